// Running sums, products, extremes, logsumexps and recurrences along one dimension. A row is taken through L1 in tiles; where
// neighbouring rows lie beside each other in memory, 64 of them go together. Floats run in double, as PyTorch's do.
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/walk.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kTile = 512;
constexpr int64_t kRows = 64;      // rows side by side
constexpr int64_t kWork = 32768;   // elements that are worth a task
constexpr int64_t kSlot = 16;      // bytes between states

template <class T> using Wide = typename Choose<is_real<T>, double, uint64_t>::type;

// An op takes element i into its state and says what the result there is.
template <class T> struct CumulativeSum {
  using State = Wide<T>;
  static State empty() { return 0; }
  static T step(State& state, T x, int64_t) { return T(state += State(x)); }
  // Four sums at a time wait for one addition to the state, not for four.
  static int64_t fours(State& state, const T* x, T* y, int64_t n) {
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
      State a = State(x[k]), b = a + State(x[k + 1]), c = b + State(x[k + 2]), d = b + (State(x[k + 2]) + State(x[k + 3]));
      y[k] = T(state + a), y[k + 1] = T(state + b), y[k + 2] = T(state + c);
      y[k + 3] = T(state += d);
    }
    return k;
  }
};
template <class T> struct CumulativeProduct {
  using State = Wide<T>;
  static State empty() { return 1; }
  static T step(State& state, T x, int64_t) { return T(state *= State(x)); }
};
template <class T, bool greatest> struct CumulativeExtreme {  // the latest of equals; a NaN stays
  struct State {
    T value;
    int64_t index;
  };
  static State empty() { return {T(0), -1}; }
  static T step(State& state, T x, int64_t i) {
    bool beats = greatest ? x >= state.value : x <= state.value;
    if (state.index < 0 || x != x || (state.value == state.value && beats)) state = {x, i};
    return state.value;
  }
};
template <class T> struct CumulativeLogSumExp {
  using State = double;
  static State empty() { return -__builtin_inf(); }
  static T step(State& state, T element, int64_t) {
    double x = double(element), high = x > state ? x : state, low = x > state ? state : x;
    if (x != x) state = x;
    else if (high - high == 0) state = high + ::log1p(::exp(low - high));
    else state = state != state ? state : high;
    return T(state);
  }
};

template <class T> struct Recurrence {  // with factors, the second input
  using State = Wide<T>;
  static constexpr bool factors = true;
  static State empty() { return 0; }
  static T step(State& state, T x, T factor) { return T(state = State(x) + State(factor) * state); }
};

struct Scanner {
  void (*empty)(char* states, int64_t n);
  // n elements of one row, the first being number i; and element i of n rows. `second`: indices to write, or factors to read.
  void (*along)(char* state, const void* x, void* y, void* second, int64_t n, int64_t i);
  void (*across)(char* states, const void* x, void* y, void* second, int64_t n, int64_t i);
};

template <class T, class Op> struct Erased {
  using State = typename Op::State;
  static_assert(sizeof(State) <= kSlot);
  static void empty(char* states, int64_t n) {
    for (int64_t k = 0; k < n; ++k) *(State*)(states + k * kSlot) = Op::empty();
  }
  static T step(State& state, T x, void* second, int64_t k, int64_t i) {
    if constexpr (requires { Op::factors; }) return Op::step(state, x, ((const T*)second)[k]);
    T y = Op::step(state, x, i);
    if constexpr (requires { state.index; }) ((int64_t*)second)[k] = state.index;
    return y;
  }
  static void along(char* states, const void* x, void* y, void* second, int64_t n, int64_t i) {
    State state = *(State*)states;
    int64_t k = 0;
    if constexpr (requires { Op::fours; }) k = Op::fours(state, (const T*)x, (T*)y, n);
    for (; k < n; ++k) ((T*)y)[k] = step(state, ((const T*)x)[k], second, k, i + k);
    *(State*)states = state;
  }
  static void across(char* states, const void* x, void* y, void* second, int64_t n, int64_t i) {
    for (int64_t k = 0; k < n; ++k) ((T*)y)[k] = step(*(State*)(states + k * kSlot), ((const T*)x)[k], second, k, i);
  }
  static constexpr Scanner scanner = {empty, along, across};
};

template <class T> const Scanner& scanner_of(Scan op) {
  switch (op) {
    case Scan::cumprod: return Erased<T, CumulativeProduct<T>>::scanner;
    case Scan::cummax: return Erased<T, CumulativeExtreme<T, true>>::scanner;
    case Scan::cummin: return Erased<T, CumulativeExtreme<T, false>>::scanner;
    case Scan::logcumsumexp: return Erased<T, CumulativeLogSumExp<T>>::scanner;
    case Scan::recurrence: return Erased<T, Recurrence<T>>::scanner;
    default: return Erased<T, CumulativeSum<T>>::scanner;
  }
}

struct Plan {
  const ScanArgs* args;
  const Scanner* scanner;
  Convert load, store, load_factor;
  int x_bytes, y_bytes, second_bytes;
  int64_t group, groups;  // rows taken together, and such groups along the innermost dimension
  bool indexed, factors;
};

struct Row {
  const char* x;
  char *y, *second;
  int64_t width;
};

Row row_of(const Plan& plan, int64_t task) {
  const Loop& loop = plan.args->loop;
  Row row = {loop.operand[1].data, loop.operand[0].data, plan.indexed || plan.factors ? loop.operand[2].data : nullptr, 1};
  int64_t at = task % plan.groups * plan.group, rest = task / plan.groups;
  if (loop.ndim) row.width = loop.sizes[0] - at < plan.group ? loop.sizes[0] - at : plan.group;
  for (int d = 0; d < loop.ndim; ++d) {
    row.x += at * loop.operand[1].strides[d];
    row.y += at * loop.operand[0].strides[d];
    if (row.second) row.second += at * loop.operand[2].strides[d];
    if (d + 1 == loop.ndim) break;
    at = rest % loop.sizes[d + 1];
    rest /= loop.sizes[d + 1];
  }
  return row;
}

template <class T> void turn_around(void* to, const void* from, int64_t n) {
  for (int64_t k = 0; k < n; ++k) ((T*)to)[k] = ((const T*)from)[n - 1 - k];
}

// n items of 4 or 8 bytes, the last of them first.
void turn_around(void* to, const void* from, int64_t n, int bytes) {
  if (bytes == 4) turn_around<uint32_t>(to, from, n);
  else turn_around<uint64_t>(to, from, n);
}

bool backwards(int64_t stride, int bytes) { return stride == -bytes && (bytes == 4 || bytes == 8); }

void put(char* to, int64_t stride, const char* from, int64_t n, int bytes) {
  if (stride == bytes) memcpy(to, from, size_t(n * bytes));
  else if (backwards(stride, bytes)) turn_around(to + (n - 1) * stride, from, n, bytes);
  else for (int64_t k = 0; k < n; ++k) memcpy(to + k * stride, from + k * bytes, size_t(bytes));
}

// n items, `stride` bytes apart, converted into `tile`; the address where they lie then.
const void* take(void* tile, void* raw, const char* x, int64_t stride, int64_t n, int bytes, Convert convert) {
  if (stride != bytes) {
    int64_t at = 0;
    if (backwards(stride, bytes)) turn_around(raw, x + (n - 1) * stride, n, bytes);
    else gather(bytes, raw, x, 1, &n, &stride, &at, n);
    x = (const char*)raw;
  }
  if (!convert) return x;
  convert(tile, x, n);
  return tile;
}

// One row at a time.
void scan_along(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  const ScanArgs& args = *plan.args;
  alignas(64) uint64_t raw[kTile], in[kTile], out[kTile], raw_factors[kTile], factors[kTile];
  int64_t index[kTile];
  for (int64_t task = begin; task < end; ++task) {
    Row row = row_of(plan, task);
    alignas(16) char state[kSlot];
    plan.scanner->empty(state, 1);
    for (int64_t i = 0; i < args.n; i += kTile) {
      int64_t n = args.n - i < kTile ? args.n - i : kTile;
      const void* x = take(in, raw, row.x + i * args.x_stride, args.x_stride, n, plan.x_bytes, plan.load);
      char* second = row.second + i * args.second_stride;
      const void* factor = plan.factors ? take(factors, raw_factors, second, args.second_stride, n, plan.second_bytes, plan.load_factor) : nullptr;
      plan.scanner->along(state, x, out, plan.factors ? (void*)factor : index, n, i);
      if (plan.store) plan.store(raw, out, n);
      put(row.y + i * args.out_stride, args.out_stride, (const char*)(plan.store ? raw : out), n, plan.y_bytes);
      if (plan.indexed) put(second, args.second_stride, (const char*)index, n, 8);
    }
  }
}

// Rows side by side, an element of each at a time.
void scan_across(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  const ScanArgs& args = *plan.args;
  alignas(64) uint64_t in[kRows], out[kRows], raw[kRows], factors[kRows];
  int64_t index[kRows];
  alignas(16) char states[kRows * kSlot];
  int64_t step = args.loop.operand[2].strides[0];
  for (int64_t task = begin; task < end; ++task) {
    Row row = row_of(plan, task);
    plan.scanner->empty(states, row.width);
    for (int64_t i = 0; i < args.n; ++i) {
      const void* x = row.x + i * args.x_stride;
      void* y = row.y + i * args.out_stride;
      char* second = row.second + i * args.second_stride;
      if (plan.load) {
        plan.load(in, x, row.width);
        x = in;
      }
      const void* factor = plan.factors ? take(factors, raw, second, step, row.width, plan.second_bytes, plan.load_factor) : nullptr;
      plan.scanner->across(states, x, plan.store ? out : y, plan.factors ? (void*)factor : index, row.width, i);
      if (plan.store) plan.store(y, out, row.width);
      if (plan.indexed) put(second, step, (const char*)index, row.width, 8);
    }
  }
}

}  // namespace

void scan(const ScanArgs& args) {
  const Loop& loop = args.loop;
  if (args.n == 0 || loop.numel == 0) return;
  const Operand &y = loop.operand[0], &x = loop.operand[1];
  Plan plan = {};
  plan.args = &args;
  plan.scanner = args.compute == DType::float32 ? &scanner_of<float>(args.op)
               : args.compute == DType::float64 ? &scanner_of<double>(args.op) : &scanner_of<int64_t>(args.op);
  plan.load = converter(args.compute, x.dtype);
  plan.store = converter(y.dtype, args.compute);
  plan.x_bytes = item_bytes(x.dtype);
  plan.y_bytes = item_bytes(y.dtype);
  plan.factors = args.op == Scan::recurrence;
  plan.indexed = loop.operands > 2 && !plan.factors;
  if (plan.factors) {
    plan.load_factor = converter(args.compute, loop.operand[2].dtype);
    plan.second_bytes = item_bytes(loop.operand[2].dtype);
  }
  bool across = loop.ndim && loop.sizes[0] >= 4 && x.strides[0] == plan.x_bytes && y.strides[0] == plan.y_bytes &&
                args.n > 1 && args.x_stride != plan.x_bytes;
  plan.group = across ? kRows : 1;
  plan.groups = loop.ndim ? (loop.sizes[0] + plan.group - 1) / plan.group : 1;
  int64_t tasks = loop.ndim ? loop.numel / loop.sizes[0] * plan.groups : 1, work = args.n * plan.group;
  int64_t grain = work < kWork ? kWork / work : 1;
  ParallelBody body = across ? scan_across : scan_along;
  if (tasks <= grain) body(&plan, 0, tasks, 0);
  else parallel_for(tasks, grain, body, &plan);
}

}  // namespace tessel::TESSEL_TARGET
