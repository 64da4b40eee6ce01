// Reductions. The elements that fall into one result are numbered in the loop's order and cut by shape alone: blocks of
// 1024 are folded in vector lanes, blocks are merged one after the other into a chunk of 64K, chunks as a binary tree.
// So the bits do not depend on the threads, and a sum of floats errs by little more than its block's chain of 16 additions
// and 6 folds: blocks and chunks are merged in double.
//
// Four ways: rows (one result after the other, its elements gathered where they are not contiguous), panels (sixteen
// neighbouring results whose elements lie across: turned in L1 first), and for the plain folds columns (neighbouring results
// in vector lanes) and short rows (turned in L1, then as columns).
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/turn.h"
#include "kernels/cpu/walk.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kBlock = 1024;     // 16 vectors for each of 4 accumulators of 16 floats
constexpr int64_t kChunk = 65536;    // elements of one result that are one task
constexpr int64_t kWork = 32768;     // elements that are worth a task
constexpr int64_t kPanel = 16;       // results: a cache line of floats
constexpr int64_t kPanelBlock = 256; // elements of each: 32 KB of doubles
constexpr int64_t kColumns = 256;    // results that a task of the column way carries: 1 KB of accumulators
constexpr int64_t kColumnChunk = 2048;  // their elements in one task, or more where they are few
constexpr int64_t kShort = 64;       // rows of up to this length are taken 64 at a time
constexpr int64_t kRun = 64;         // contiguous runs from here on are folded where they lie
constexpr int64_t kManyRows = 4096;  // rows of up to this length go 16 to a task
constexpr int64_t kFlush = 32;       // elements that a column folds in its own type before its state takes over
constexpr int64_t kSlot = 24;         // bytes between states
constexpr double kInfinity = __builtin_inf();

// ---- what is folded. An op has an Item, the type its elements are converted to, and a State: block() takes n contiguous
// elements into it, numbered from `first`; merge() appends a later state; finish() says what it amounts to. A plain op can
// also fold rows of results: after start(), row() takes one element for each, flush() moves what they come to into the states.

template <class T> using Wide = typename Choose<is_real<T>, double, T>::type;
template <class T> constexpr T kLowest = is_real<T> ? T(-kInfinity) : T(INT64_MIN);
template <class T> constexpr T kHighest = is_real<T> ? T(kInfinity) : T(INT64_MAX);

// x[0..n) mapped and folded in the lanes of four accumulators. Lanes past the end take no part.
template <class T, class Read, class Map, class Combine>
inline T fold_block(const Read* x, int64_t n, Vec<T> identity, Map map, Combine combine) {
  using V = Vec<T>;
  constexpr int64_t w = V::width;
  V a = identity, b = identity, c = identity, d = identity;
  int64_t i = 0;
  // Integers, of one lane, are left to the compiler, and one by one: GCC 12 makes wrong code of four 512-bit accumulators.
  for (; is_real<T> && i + 4 * w <= n; i += 4 * w) {
    a = combine(a, map(V::load(x + i)));
    b = combine(b, map(V::load(x + i + w)));
    c = combine(c, map(V::load(x + i + 2 * w)));
    d = combine(d, map(V::load(x + i + 3 * w)));
  }
  for (; i + w <= n; i += w) a = combine(a, map(V::load(x + i)));
  if (w > 1 && i < n) b = first_of(combine(b, map(V::load(x + i, int(n - i)))), int(n - i), b);
  return fold(combine(combine(a, b), combine(c, d)), combine);
}

struct Add {
  template <class T> static constexpr T identity = T(0);
  template <class V> static V lanes(V a, V b) { return a + b; }
  static double merge(double a, double b) { return a + b; }
  static int64_t merge(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
};
struct Multiply {
  template <class T> static constexpr T identity = T(1);
  template <class V> static V lanes(V a, V b) { return a * b; }
  static double merge(double a, double b) { return a * b; }
  static int64_t merge(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
};
struct Greatest {  // a NaN wins; the new value comes first, so that only it has to be asked whether it is one
  template <class T> static constexpr T identity = kLowest<T>;
  template <class V> static V lanes(V a, V b) { return max(b, a); }
  template <class V> static V numbers(V a, V b) { return greatest(b, a); }  // of numbers only
  template <class T> static T merge(T a, T b) { return a != a || a > b ? a : b; }
};
struct Least {
  template <class T> static constexpr T identity = kHighest<T>;
  template <class V> static V lanes(V a, V b) { return min(b, a); }
  template <class V> static V numbers(V a, V b) { return least(b, a); }
  template <class T> static T merge(T a, T b) { return a != a || a < b ? a : b; }
};

// The extreme of x[0..n). Asking each number whether it is a NaN would triple the work: one comparison asks two vectors at
// once, and where the answer is yes the block is done again.
template <class Law, class T, class Read> inline T fold_extreme(const Read* x, int64_t n) {
  using V = Vec<T>;
  constexpr int64_t w = V::width;
  const auto slow = [](const Read* p, int64_t count) {
    return fold_block<T>(p, count, V::of(Law::template identity<T>), [](V a) { return a; }, [](V a, V b) { return Law::lanes(a, b); });
  };
  if (!is_real<T> || n < 4 * w) return slow(x, n);
  V a = V::of(Law::template identity<T>), b = a, c = a, d = a;
  auto nan = unordered(a, a);
  int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    V p = V::load(x + i), q = V::load(x + i + w), r = V::load(x + i + 2 * w), s = V::load(x + i + 3 * w);
    nan = nan | unordered(p, q) | unordered(r, s);
    a = Law::numbers(a, p);
    b = Law::numbers(b, q);
    c = Law::numbers(c, r);
    d = Law::numbers(d, s);
  }
  if (any(nan)) return slow(x, n);
  const auto numbers = [](V u, V v) { return Law::numbers(u, v); };
  T most = fold(numbers(numbers(a, b), numbers(c, d)), numbers);
  return i < n ? Law::merge(most, slow(x + i, n - i)) : most;
}

struct Itself { template <class V> static V map(V x, double) { return x; } };
struct Square { template <class V> static V map(V x, double) { return x * x; } };
struct Magnitude { template <class V> static V map(V x, double) { return abs(x); } };
struct NotNan { template <class V> static V map(V x, double) { return select(ne(x, x), V(0), x); } };
struct NotZero { template <class V> static V map(V x, double) { return select(ne(x, V(0)), V(1), V(0)); } };
struct Power { template <class V> static V map(V x, double p) { return pow(abs(x), V(p)); } };

// Read is T, or a 16-bit float that is folded as it is read.
template <class T, class Law, class Map = Itself, class Read = T> struct Plain {
  using Item = Read;
  using Value = T;
  using State = Wide<T>;
  using V = Vec<T>;
  static constexpr bool columns = true;
  static State empty() { return Law::template identity<State>; }
  static V identity() { return V::of(Law::template identity<T>); }
  static void block(State& state, const Read* x, int64_t n, int64_t, const ReduceArgs& args) {
    double p = args.parameter;
    if constexpr (same<Map, Itself> && (same<Law, Greatest> || same<Law, Least>)) {
      state = Law::merge(state, State(fold_extreme<Law, T>(x, n)));
    } else {
      auto map = [p](V a) { return Map::map(a, p); };
      state = Law::merge(state, State(fold_block<T>(x, n, identity(), map, [](V a, V b) { return Law::lanes(a, b); })));
    }
  }
  static void merge(State& state, State later) { state = Law::merge(state, later); }
  static void start(T* folded, int64_t n) {
    for (int64_t i = 0; i < n; ++i) folded[i] = Law::template identity<T>;
  }
  static void row(T* folded, const Read* x, int64_t n, const ReduceArgs& args) {
    double p = args.parameter;
    int64_t i = 0;
    TESSEL_INDEPENDENT
    for (; i <= n - V::width; i += V::width) {
      Law::lanes(V::load(folded + i), Map::map(V::load(x + i), p)).store(folded + i);
    }
    if (V::width > 1 && i < n) Law::lanes(V::load(folded + i), Map::map(V::load(x + i, int(n - i)), p)).store(folded + i);
  }
  static void flush(void* states, T* folded, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      State& state = *(State*)((char*)states + i * kSlot);
      state = Law::merge(state, State(folded[i]));
      folded[i] = Law::template identity<T>;
    }
  }
  static T finish(State state, const ReduceArgs& args, int64_t) {
    if constexpr (!is_real<T>) return state;
    else if (args.op == Reduce::mean) return T(state * args.parameter);
    else if (args.op == Reduce::norm && same<Map, Square>) return T(__builtin_sqrt(state));
    else if (args.op == Reduce::norm && same<Map, Power>) return T(::pow(state, 1 / args.parameter));
    else return T(state);
  }
};

// How many are not zero: of all the ones, any of them, or their number.
struct Counting {
  using Item = Bool;
  using State = int64_t;
  static constexpr bool columns = false;
  static State empty() { return 0; }
  static void block(State& state, const Bool* x, int64_t n, int64_t, const ReduceArgs&) {
    uint32_t count = 0;
    for (int64_t i = 0; i < n; ++i) count += x[i].value;
    state += count;
  }
  static void merge(State& state, State later) { state += later; }
  static int64_t finish(State state, const ReduceArgs& args, int64_t n) {
    return args.op == Reduce::all ? state == n : args.op == Reduce::any ? state > 0 : state;
  }
};

// An extreme value and where it stands first; the first NaN beats all.
template <class T, class Law> struct Extreme {
  using Item = T;
  struct State {
    T value;
    int64_t index;
  };
  static constexpr bool columns = false;
  static State empty() { return {Law::template identity<T>, -1}; }
  static bool beats(T a, T b) { return b == b && (a != a || (same<Law, Greatest> ? a > b : a < b)); }
  static void block(State& state, const T* x, int64_t n, int64_t first, const ReduceArgs&) {
    using V = Vec<T>;
    T extreme = fold_extreme<Law, T>(x, n);
    if (state.index >= 0 && !beats(extreme, state.value)) return;
    int64_t i = 0;
    auto found = [&](V a) { return extreme == extreme ? eq(a, V::of(extreme)) : ne(a, a); };
    while (i + V::width <= n && !any(found(V::load(x + i)))) i += V::width;
    while (extreme == extreme ? x[i] != extreme : x[i] == x[i]) ++i;
    state = {x[i], first + i};
  }
  static void merge(State& state, State later) {
    if (state.index < 0 || (later.index >= 0 && beats(later.value, state.value))) state = later;
  }
  static T finish(State state, const ReduceArgs&, int64_t) { return state.value; }
};

// Mean and sum of squared distances from it: a block in two passes over L1, blocks joined by Chan's formula.
template <class T> struct Variance {
  using Item = T;
  struct State { double n, mean, squares; };
  static constexpr bool columns = false;
  static State empty() { return {0, 0, 0}; }
  static void block(State& state, const T* x, int64_t n, int64_t, const ReduceArgs&) {
    using V = Vec<T>;
    auto add = [](V a, V b) { return a + b; };
    T near = T(double(fold_block<T>(x, n, V(0), [](V a) { return a; }, add)) / double(n));
    V middle = V::of(near);
    // What the rounding of the mean left over is the mean of the distances.
    double rest = double(fold_block<T>(x, n, V(0), [middle](V a) { return a - middle; }, add));
    double squares = double(fold_block<T>(x, n, V(0), [middle](V a) { return (a - middle) * (a - middle); }, add));
    merge(state, {double(n), double(near) + rest / double(n), squares - rest * rest / double(n)});
  }
  static void merge(State& state, State later) {
    if (later.n == 0) return;
    if (state.n == 0) {
      state = later;
      return;
    }
    double n = state.n + later.n, d = later.mean - state.mean;
    state = {n, state.mean + d * (later.n / n), state.squares + later.squares + d * d * (state.n * later.n / n)};
  }
  static T finish(State state, const ReduceArgs& args, int64_t n) {
    double freedom = double(n) - args.parameter;
    return T(n == 0 ? 0.0 / 0.0 : state.squares / (freedom > 0 ? freedom : 0));
  }
};

// log(sum(exp(x))) as shift + log(sum), the shift being the greatest x seen.
template <class T> struct LogSumExp {
  using Item = T;
  struct State { double shift, sum; };
  static constexpr bool columns = false;
  static State empty() { return {0, 0}; }
  static void block(State& state, const T* x, int64_t n, int64_t, const ReduceArgs&) {
    using V = Vec<T>;
    T top = fold_block<T>(x, n, V::of(kLowest<T>), [](V a) { return a; }, [](V a, V b) { return max(a, b); });
    T shift = top - top == 0 ? top : T(0);  // an infinite or missing top speaks for itself
    V by = V::of(shift);
    merge(state, {double(shift), double(fold_block<T>(x, n, V(0), [by](V a) { return exp(a - by); }, [](V a, V b) { return a + b; }))});
  }
  static void merge(State& state, State later) {
    if (later.sum == 0) return;
    if (state.sum == 0) {
      state = later;
      return;
    }
    double shift = state.shift > later.shift ? state.shift : later.shift;
    state = {shift, state.sum * ::exp(state.shift - shift) + later.sum * ::exp(later.shift - shift)};
  }
  static T finish(State state, const ReduceArgs&, int64_t) { return T(state.shift + ::log(state.sum)); }
};

// ---- the ops as data, so that what follows is compiled once

struct Fold {
  DType item, value;  // what block() reads and finish() writes
  bool columns, indexed;
  void (*empty)(void* states, int64_t n);
  void (*block)(void* state, const void* x, int64_t n, int64_t first, const ReduceArgs& args);
  void (*merge)(void* state, const void* later);
  void (*finish)(const void* states, int64_t count, const ReduceArgs& args, int64_t n, void* values, int64_t* indices);
  void (*start)(void* folded, int64_t n);
  void (*row)(void* folded, const void* x, int64_t n, const ReduceArgs& args);
  void (*flush)(void* states, void* folded, int64_t n);
};

template <class T> constexpr DType dtype_of = same<T, float> ? DType::float32 : same<T, double> ? DType::float64
                                            : same<T, Half> ? DType::float16 : same<T, BFloat> ? DType::bfloat16
                                            : same<T, Bool> ? DType::bool_ : DType::int64;

template <class Op> struct ValueOf { using type = typename Op::Item; };
template <class Op> requires requires { typename Op::Value; } struct ValueOf<Op> { using type = typename Op::Value; };

template <class Op> struct Erased {
  using State = typename Op::State;
  using Item = typename Op::Item;
  using Value = typename ValueOf<Op>::type;  // what finish() gives, and what columns fold in
  static_assert(sizeof(State) <= kSlot);
  static void empty(void* states, int64_t n) {
    for (int64_t i = 0; i < n; ++i) *(State*)((char*)states + i * kSlot) = Op::empty();
  }
  static void block(void* state, const void* x, int64_t n, int64_t first, const ReduceArgs& args) {
    Op::block(*(State*)state, (const Item*)x, n, first, args);
  }
  static void merge(void* state, const void* later) { Op::merge(*(State*)state, *(const State*)later); }
  static void finish(const void* states, int64_t count, const ReduceArgs& args, int64_t n, void* values, int64_t* indices) {
    for (int64_t i = 0; i < count; ++i) {
      const State& s = *(const State*)((const char*)states + i * kSlot);
      auto value = Op::finish(s, args, n);
      memcpy((char*)values + i * int64_t(sizeof value), &value, sizeof value);
      if constexpr (requires { s.index; }) indices[i] = s.index;
    }
  }
  static void start(void* folded, int64_t n) {
    if constexpr (Op::columns) Op::start((Value*)folded, n);
  }
  static void row(void* folded, const void* x, int64_t n, const ReduceArgs& args) {
    if constexpr (Op::columns) Op::row((Value*)folded, (const Item*)x, n, args);
  }
  static void flush(void* states, void* folded, int64_t n) {
    if constexpr (Op::columns) Op::flush(states, (Value*)folded, n);
  }
  static constexpr Fold fold = {dtype_of<Item>, dtype_of<Value> == DType::bool_ ? DType::int64 : dtype_of<Value>,
                                Op::columns, requires(State s) { s.index; }, empty, block, merge, finish, start, row, flush};
};

// The commonest folds of 16-bit floats, read as such; null for others, whose blocks are converted first.
template <class Read> const Fold* narrow_fold(const ReduceArgs& args) {
  if (args.loop.operands > 2) return nullptr;
  switch (args.op) {
    case Reduce::sum: case Reduce::mean: return &Erased<Plain<float, Add, Itself, Read>>::fold;
    case Reduce::max: return &Erased<Plain<float, Greatest, Itself, Read>>::fold;
    case Reduce::min: return &Erased<Plain<float, Least, Itself, Read>>::fold;
    case Reduce::norm: return args.parameter == 2 ? &Erased<Plain<float, Add, Square, Read>>::fold : nullptr;
    default: return nullptr;
  }
}

template <class T> const Fold& fold_of(const ReduceArgs& args) {
  if constexpr (same<T, float>) {
    DType read = args.loop.operand[1].dtype;
    const Fold* narrow = read == DType::float16 ? narrow_fold<Half>(args) : read == DType::bfloat16 ? narrow_fold<BFloat>(args) : nullptr;
    if (narrow) return *narrow;
  }
  bool indexed = args.loop.operands > 2;
  switch (args.op) {
    case Reduce::prod: return Erased<Plain<T, Multiply>>::fold;
    case Reduce::max: return indexed ? Erased<Extreme<T, Greatest>>::fold : Erased<Plain<T, Greatest>>::fold;
    case Reduce::min: return indexed ? Erased<Extreme<T, Least>>::fold : Erased<Plain<T, Least>>::fold;
    case Reduce::argmax: return Erased<Extreme<T, Greatest>>::fold;
    case Reduce::argmin: return Erased<Extreme<T, Least>>::fold;
    case Reduce::all: case Reduce::any: case Reduce::count_nonzero: return Erased<Counting>::fold;
    case Reduce::sum_of_squares: return Erased<Plain<T, Add, Square>>::fold;
    default: break;
  }
  if constexpr (is_real<T>) {
    switch (args.op) {
      case Reduce::nansum: return Erased<Plain<T, Add, NotNan>>::fold;
      case Reduce::var: return Erased<Variance<T>>::fold;
      case Reduce::logsumexp: return Erased<LogSumExp<T>>::fold;
      case Reduce::norm:
        return args.parameter == 2 ? Erased<Plain<T, Add, Square>>::fold
             : args.parameter == 1 ? Erased<Plain<T, Add, Magnitude>>::fold
             : args.parameter == 0 ? Erased<Plain<T, Add, NotZero>>::fold
             : args.parameter == kInfinity ? Erased<Plain<T, Greatest, Magnitude>>::fold
             : args.parameter == -kInfinity ? Erased<Plain<T, Least, Magnitude>>::fold
                                            : Erased<Plain<T, Add, Power>>::fold;
      default: break;
    }
  }
  return Erased<Plain<T, Add>>::fold;
}

// ---- the plan, by shape alone

enum class Way : uint8_t { rows, panels, columns, short_rows };

struct Plan {
  const ReduceArgs* args;
  const Fold* fold;
  int kept, folded;                       // dimensions
  int64_t kept_size[kMaxDims], folded_size[kMaxDims];
  int64_t y_stride[kMaxDims], index_stride[kMaxDims], x_stride[kMaxDims], folded_stride[kMaxDims];
  int64_t results, n;                     // elements of the result, and of the input for each
  int64_t chunks, chunk;                  // pieces a result's elements are cut into
  int64_t groups, group;                  // results a task takes, along the innermost kept dimension
  int bytes;                              // of an input item in memory
  bool dense;                             // a result's elements follow each other in memory
  bool runs;                              // or they do along the innermost folded dimension
  Way way;
  Convert convert, convert_result;
  char* scratch;                          // states: [results][chunks]
};

Plan make_plan(const ReduceArgs& args) {
  const Loop& loop = args.loop;
  Plan plan = {};
  plan.args = &args;
  plan.fold = args.compute == DType::float32 ? &fold_of<float>(args)
            : args.compute == DType::float64 ? &fold_of<double>(args) : &fold_of<int64_t>(args);
  plan.results = plan.n = 1;
  for (int d = 0; d < loop.ndim; ++d) {
    if (args.reduced >> d & 1) {
      plan.folded_size[plan.folded] = loop.sizes[d];
      plan.folded_stride[plan.folded++] = loop.operand[1].strides[d];
      plan.n *= loop.sizes[d];
    } else {
      plan.kept_size[plan.kept] = loop.sizes[d];
      plan.y_stride[plan.kept] = loop.operand[0].strides[d];
      plan.x_stride[plan.kept] = loop.operand[1].strides[d];
      plan.index_stride[plan.kept++] = loop.operands > 2 ? loop.operand[2].strides[d] : 0;
      plan.results *= loop.sizes[d];
    }
  }
  plan.bytes = item_bytes(loop.operand[1].dtype);
  plan.convert = converter(plan.fold->item, loop.operand[1].dtype);
  bool only_index = args.op == Reduce::argmax || args.op == Reduce::argmin;
  plan.convert_result = converter(loop.operand[0].dtype, only_index ? DType::int64 : plan.fold->value);
  plan.dense = true;
  int64_t expected = plan.bytes;
  for (int d = 0; d < plan.folded; ++d) {
    plan.dense &= plan.folded_size[d] == 1 || plan.folded_stride[d] == expected;
    expected *= plan.folded_size[d];
  }
  plan.runs = !plan.dense && plan.folded_stride[0] == plan.bytes && plan.folded_size[0] >= kRun;
  int64_t size = plan.kept ? plan.kept_size[0] : 1;
  bool across = !plan.dense && size >= 4 && plan.x_stride[0] == plan.bytes;
  bool many_short = plan.dense && plan.fold->columns && plan.n > 0 && plan.n <= kShort && size >= 16;
  plan.way = many_short ? Way::short_rows : !across ? Way::rows : plan.fold->columns ? Way::columns : Way::panels;
  plan.chunk = plan.way != Way::columns || size < kChunk / kColumnChunk ? kChunk / (plan.way == Way::columns ? size : 1) : kColumnChunk;
  plan.chunks = plan.n > plan.chunk ? (plan.n + plan.chunk - 1) / plan.chunk : 1;
  plan.group = plan.way == Way::columns ? kColumns : plan.way == Way::short_rows ? kTurnRows
             : plan.way == Way::panels || plan.n <= kManyRows ? kPanel : 1;
  plan.groups = (size + plan.group - 1) / plan.group;
  return plan;
}

int64_t offset(int ndim, const int64_t* sizes, const int64_t* strides, int64_t i) {
  int64_t bytes = 0;
  for (int d = 0; d < ndim; ++d) {
    bytes += (d + 1 < ndim ? i % sizes[d] : i) * strides[d];
    i = d + 1 < ndim ? i / sizes[d] : 0;
  }
  return bytes;
}

// `count` results from number `first` on, neighbours along the innermost kept dimension.
void write(const Plan& plan, int64_t first, int64_t count, const char* states) {
  const ReduceArgs& args = *plan.args;
  const Operand& y = args.loop.operand[0];
  alignas(64) uint64_t values[kColumns], converted[kColumns];
  int64_t indices[kColumns];
  plan.fold->finish(states, count, args, plan.n, values, indices);
  auto put = [&](const Operand& operand, const int64_t* strides, const void* items) {
    char* to = operand.data + offset(plan.kept, plan.kept_size, strides, first);
    int bytes = item_bytes(operand.dtype);
    if (count == 1 || strides[0] == bytes) {
      memcpy(to, items, size_t(count * bytes));
      return;
    }
    for (int64_t k = 0; k < count; ++k) {
      memcpy(to + k * strides[0], (const char*)items + k * bytes, size_t(bytes));
    }
  };
  bool only_index = args.op == Reduce::argmax || args.op == Reduce::argmin;
  const void* items = only_index ? (const void*)indices : values;
  if (plan.convert_result) {
    plan.convert_result(converted, items, count);
    items = converted;
  }
  put(y, plan.y_stride, items);
  if (plan.fold->indexed && !only_index) put(args.loop.operand[2], plan.index_stride, indices);
}

// A task is a chunk of a group of neighbouring results; the chunk changes fastest.
struct Task {
  int64_t result, width, begin, end, chunk;
  const char* x;
};

Task task_of(const Plan& plan, int64_t t) {
  Task task;
  task.chunk = t % plan.chunks;
  task.begin = task.chunk * plan.chunk;
  task.end = plan.n - task.begin < plan.chunk ? plan.n : task.begin + plan.chunk;
  int64_t group = t / plan.chunks, size = plan.kept ? plan.kept_size[0] : 1;
  int64_t first = group % plan.groups * plan.group;
  task.result = group / plan.groups * size + first;
  task.width = size - first < plan.group ? size - first : plan.group;
  task.x = plan.args->loop.operand[1].data + offset(plan.kept, plan.kept_size, plan.x_stride, task.result);
  return task;
}

void keep(const Plan& plan, const Task& task, const char* states) {
  if (plan.chunks == 1) return write(plan, task.result, task.width, states);
  for (int64_t k = 0; k < task.width; ++k) {
    memcpy(plan.scratch + ((task.result + k) * plan.chunks + task.chunk) * kSlot, states + k * kSlot, kSlot);
  }
}

// ---- rows

// Elements [begin, end) of the result at x.
void fold_row(const Plan& plan, const char* x, int64_t begin, int64_t end, char* state) {
  alignas(64) uint64_t tile[kBlock], raw[kBlock];
  for (int64_t i = begin; i < end;) {
    int64_t n = end - i < kBlock ? end - i : kBlock;
    const void* items = x + i * plan.bytes;
    if (!plan.dense) {
      int64_t at[kMaxDims], rest = i, start = 0;
      for (int d = 0; d < plan.folded; ++d) {
        at[d] = rest % plan.folded_size[d];
        rest /= plan.folded_size[d];
        start += at[d] * plan.folded_stride[d];
      }
      items = x + start;
      if (plan.runs) {
        if (plan.folded_size[0] - at[0] < n) n = plan.folded_size[0] - at[0];
      } else {
        gather(plan.bytes, raw, x + start, plan.folded, plan.folded_size, plan.folded_stride, at, n);
        items = raw;
      }
    }
    if (plan.convert) {
      plan.convert(tile, items, n);
      items = tile;
    }
    plan.fold->block(state, items, n, i, *plan.args);
    i += n;
  }
}

void rows(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  alignas(8) char states[kPanel * kSlot];
  for (int64_t t = begin; t < end; ++t) {
    Task task = task_of(plan, t);
    plan.fold->empty(states, task.width);
    for (int64_t k = 0; k < task.width; ++k) {
      fold_row(plan, task.x + k * plan.x_stride[0], task.begin, task.end, states + k * kSlot);
    }
    keep(plan, task, states);
  }
}

// Up to 64 neighbouring results of up to 64 contiguous elements each: turned, element i of all of them is a row of columns.
template <class T> void fold_short(const Plan& plan, const Task& task, char* states) {
  alignas(64) T turned[kTurnColumns<T> * kTurnRows];
  alignas(64) uint64_t folded[kTurnRows], tile[kTurnRows];
  plan.fold->empty(states, task.width);
  plan.fold->start(folded, task.width);
  for (int64_t i = 0; i < plan.n; i += kTurnColumns<T>) {
    int64_t columns = plan.n - i < kTurnColumns<T> ? plan.n - i : kTurnColumns<T>;
    turn(task.x + i * plan.bytes, plan.x_stride[0], task.width, columns, turned);
    for (int64_t c = 0; c < columns; ++c) {
      const void* items = turned + c * kTurnRows;
      if (plan.convert) {
        plan.convert(tile, items, task.width);
        items = tile;
      }
      plan.fold->row(folded, items, task.width, *plan.args);
    }
  }
  plan.fold->flush(states, folded, task.width);
}

void short_rows(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  alignas(8) char states[kTurnRows * kSlot];
  auto fold = plan.bytes == 1 ? fold_short<uint8_t> : plan.bytes == 2 ? fold_short<uint16_t>
            : plan.bytes == 4 ? fold_short<uint32_t> : fold_short<uint64_t>;
  for (int64_t t = begin; t < end; ++t) {
    Task task = task_of(plan, t);
    fold(plan, task, states);
    keep(plan, task, states);
  }
}

// ---- across: elements of one result lie a stride apart, its neighbours' beside them

// Calls row(address, i) for the elements [begin, end) of the result at x.
template <class Row> inline void each_row(const Plan& plan, const char* x, int64_t begin, int64_t end, Row row) {
  int64_t at[kMaxDims], rest = begin;
  for (int d = 0; d < plan.folded; ++d) {
    at[d] = rest % plan.folded_size[d];
    rest /= plan.folded_size[d];
    x += at[d] * plan.folded_stride[d];
  }
  for (int64_t i = begin; i < end; ++i) {
    row(x, i);
    for (int d = 0; d < plan.folded; ++d) {
      x += plan.folded_stride[d];
      if (++at[d] < plan.folded_size[d]) break;
      x -= at[d] * plan.folded_stride[d];
      at[d] = 0;
    }
  }
}

template <class T> void turn_panel(const Plan& plan, const char* x, int64_t begin, int64_t end, int64_t width, void* panel) {
  T* y = (T*)panel;
  each_row(plan, x, begin, end, [&](const char* row, int64_t i) {
    const T* items = (const T*)row;
    if (width == kPanel) {
      for (int64_t k = 0; k < kPanel; ++k) y[k * kPanelBlock + i - begin] = items[k];
    } else {
      for (int64_t k = 0; k < width; ++k) y[k * kPanelBlock + i - begin] = items[k];
    }
  });
}

void panels(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  alignas(64) uint64_t panel[kPanel * kPanelBlock], tile[kPanelBlock];
  alignas(8) char states[kPanel * kSlot];
  auto turned = plan.bytes == 1 ? turn_panel<uint8_t> : plan.bytes == 2 ? turn_panel<uint16_t>
              : plan.bytes == 4 ? turn_panel<uint32_t> : turn_panel<uint64_t>;
  for (int64_t t = begin; t < end; ++t) {
    Task task = task_of(plan, t);
    plan.fold->empty(states, task.width);
    for (int64_t i = task.begin; i < task.end; i += kPanelBlock) {
      int64_t n = task.end - i < kPanelBlock ? task.end - i : kPanelBlock;
      turned(plan, task.x, i, i + n, task.width, panel);
      for (int64_t k = 0; k < task.width; ++k) {
        const void* items = (const char*)panel + k * kPanelBlock * plan.bytes;
        if (plan.convert) {
          plan.convert(tile, items, n);
          items = tile;
        }
        plan.fold->block(states + k * kSlot, items, n, i, *plan.args);
      }
    }
    keep(plan, task, states);
  }
}

// Where whole rows follow each other in memory, as many as fit into the accumulators are folded as one row.
void columns(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  const Fold& fold = *plan.fold;
  alignas(64) uint64_t folded[kColumns], tile[kColumns];
  alignas(8) char states[kColumns * kSlot];
  auto take = [&](const char* x, int64_t width) {
    if (plan.convert) plan.convert(tile, x, width);
    fold.row(folded, plan.convert ? (const void*)tile : x, width, *plan.args);
  };
  for (int64_t t = begin; t < end; ++t) {
    Task task = task_of(plan, t);
    bool follow = plan.folded == 1 && plan.folded_stride[0] == task.width * plan.bytes;
    int64_t abreast = follow ? kColumns / task.width : 1, i = task.begin, step = plan.folded_stride[0];
    fold.empty(states, abreast * task.width);
    fold.start(folded, abreast * task.width);
    while (abreast > 1 && i + abreast <= task.end) {
      for (int64_t k = 0; k < kFlush && i + abreast <= task.end; ++k, i += abreast) {
        take(task.x + i * step, abreast * task.width);
      }
      fold.flush(states, folded, abreast * task.width);
    }
    for (; i < task.end; i += kFlush) {
      each_row(plan, task.x, i, task.end - i < kFlush ? task.end : i + kFlush, [&](const char* x, int64_t) { take(x, task.width); });
      fold.flush(states, folded, task.width);
    }
    for (int64_t k = task.width; k < abreast * task.width; ++k) {
      fold.merge(states + k % task.width * kSlot, states + k * kSlot);
    }
    keep(plan, task, states);
  }
}

// The chunks of each result, merged as a tree: neighbours, then neighbours of those.
void merge_chunks(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  for (int64_t i = begin; i < end; ++i) {
    char* states = plan.scratch + i * plan.chunks * kSlot;
    for (int64_t step = 1; step < plan.chunks; step *= 2) {
      for (int64_t k = 0; k + step < plan.chunks; k += 2 * step) {
        plan.fold->merge(states + k * kSlot, states + (k + step) * kSlot);
      }
    }
    write(plan, i, 1, states);
  }
}

}  // namespace

int64_t reduce_scratch(const ReduceArgs& args) {
  int64_t results = 1, n = 1;
  for (int d = 0; d < args.loop.ndim; ++d) (args.reduced >> d & 1 ? n : results) *= args.loop.sizes[d];
  if (n <= kColumnChunk) return 0;  // no way cuts so few
  Plan plan = make_plan(args);
  return plan.chunks == 1 ? 0 : plan.results * plan.chunks * kSlot;
}

void reduce(const ReduceArgs& args, void* scratch) {
  Plan plan = make_plan(args);
  if (plan.results == 0) return;
  plan.scratch = (char*)scratch;
  ParallelBody body = plan.way == Way::rows ? rows : plan.way == Way::panels ? panels
                    : plan.way == Way::columns ? columns : short_rows;
  int64_t size = plan.kept ? plan.kept_size[0] : 1, tasks = plan.results / size * plan.groups * plan.chunks;
  int64_t work = (plan.n < plan.chunk ? plan.n : plan.chunk) * (size < plan.group ? size : plan.group);
  int64_t grain = work == 0 ? tasks : work < kWork ? kWork / work : 1;
  if (tasks <= grain) body(&plan, 0, tasks, 0);
  else parallel_for(tasks, grain, body, &plan);
  if (plan.chunks > 1) parallel_for(plan.results, 1 + 4096 / plan.chunks, merge_chunks, &plan);
}

}  // namespace tessel::TESSEL_TARGET
