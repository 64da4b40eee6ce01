// Parts of a tensor chosen by positions, read, written and combined; where a mask is set.
// Reading is cut anywhere. Writing is cut along the dimensions of x that no position goes over, or by the destination, so
// that whoever writes an element writes it alone and in the loop's order: repeated positions give the same bits at any
// thread count. Whole rows (a table's, an embedding's) have ways of their own, that fetch the next rows while one is moved.
#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth a task
constexpr int64_t kWideRow = 1024; // rows from here on are written in pieces of columns

// f(addresses, n) for the runs along the innermost dimension that make up the elements [begin, end) of the loop.
template <int operands, class F> inline void each_run(const Loop& loop, int64_t begin, int64_t end, F f) {
  int64_t at[kMaxDims] = {}, rest = begin;
  char* address[operands];
  for (int k = 0; k < operands; ++k) address[k] = loop.operand[k].data;
  for (int d = 0; d < loop.ndim; ++d) {
    at[d] = rest % loop.sizes[d];
    rest /= loop.sizes[d];
    for (int k = 0; k < operands; ++k) address[k] += at[d] * loop.operand[k].strides[d];
  }
  int64_t size = loop.ndim ? loop.sizes[0] : 1, first = at[0];
  for (int64_t i = begin; i < end;) {
    int64_t n = size - first < end - i ? size - first : end - i;
    f(address, n);
    i += n;
    for (int k = 0; k < operands; ++k) address[k] -= loop.ndim ? first * loop.operand[k].strides[0] : 0;
    first = 0;
    for (int d = 1; d < loop.ndim; ++d) {
      for (int k = 0; k < operands; ++k) address[k] += loop.operand[k].strides[d];
      if (++at[d] < loop.sizes[d]) break;
      for (int k = 0; k < operands; ++k) address[k] -= at[d] * loop.operand[k].strides[d];
      at[d] = 0;
    }
  }
}

int64_t stride_of(const Loop& loop, int operand) { return loop.ndim ? loop.operand[operand].strides[0] : 0; }
int64_t position(const char* p) { return *(const int64_t*)p; }

// ---- the range of positions: a fixed number of pieces, folded in order

constexpr int kPieces = 64;

struct RangeWork {
  const Loop* loop;
  int64_t piece;
  int64_t least[kPieces], greatest[kPieces];
};

void range_piece(void* context, int64_t begin, int64_t end, int) {
  RangeWork& work = *(RangeWork*)context;
  int64_t step = stride_of(*work.loop, 0);
  for (int64_t k = begin; k < end; ++k) {
    int64_t least = INT64_MAX, greatest = INT64_MIN, from = k * work.piece;
    int64_t to = from + work.piece < work.loop->numel ? from + work.piece : work.loop->numel;
    each_run<1>(*work.loop, from, to, [&](char* const* at, int64_t n) {
      int64_t low = least, high = greatest;
      if (step == 8) {
        const int64_t* p = (const int64_t*)at[0];
        for (int64_t i = 0; i < n; ++i) low = p[i] < low ? p[i] : low, high = p[i] > high ? p[i] : high;
      } else {
        for (int64_t i = 0; i < n; ++i) {
          int64_t p = position(at[0] + i * step);
          low = p < low ? p : low, high = p > high ? p : high;
        }
      }
      least = low, greatest = high;
    });
    work.least[k] = least, work.greatest[k] = greatest;
  }
}

void offsets_piece(void* context, int64_t begin, int64_t end, int) {
  const OffsetsArgs& args = *(const OffsetsArgs*)context;
  int64_t to = stride_of(args.loop, 0), from = stride_of(args.loop, 1);
  each_run<2>(args.loop, begin, end, [&](char* const* at, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      int64_t p = position(at[1] + i * from);
      int64_t offset = (p < 0 ? p + args.size : p) * args.stride;
      int64_t& y = *(int64_t*)(at[0] + i * to);
      y = args.first ? offset : y + offset;
    }
  });
}

// ---- whole rows: contiguous in x and in the part, one position for each

constexpr int64_t kAhead = 4;         // rows that are fetched before they are read
constexpr int64_t kAheadBytes = 1024; // of each: the rest of longer rows the processor fetches by itself

bool whole_rows(const Loop& loop) {
  int64_t bytes = item_bytes(loop.operand[0].dtype);
  return loop.ndim == 2 && loop.operand[0].strides[0] == bytes && loop.operand[1].strides[0] == bytes &&
         loop.operand[2].strides[0] == 0 && loop.operand[0].strides[1] == 0 && loop.sizes[0] * bytes >= 64;
}

inline void fetch(const char* p, int64_t bytes) {
  for (int64_t i = 0; i < bytes && i < kAheadBytes; i += 64) __builtin_prefetch(p + i);
}

void get_rows(void* context, int64_t begin, int64_t end, int) {
  const IndexArgs& args = *(const IndexArgs*)context;
  const Operand &x = args.loop.operand[0], &y = args.loop.operand[1], &p = args.loop.operand[2];
  const int64_t bytes = args.loop.sizes[0] * item_bytes(x.dtype);
  auto row = [&](int64_t i) { return x.data + position(p.data + i * p.strides[1]) * args.step; };
  for (int64_t i = begin; i < end; ++i) {
    if (i + kAhead < end) fetch(row(i + kAhead), bytes);
    const char* from = row(i);
    char* to = y.data + i * y.strides[1];
    int64_t b = 0;
    for (; b + 64 <= bytes; b += 64) memcpy(to + b, from + b, 64);
    memcpy(to + b, from + b, size_t(bytes - b));
  }
}

// ---- reading

template <class T> void get_piece(void* context, int64_t begin, int64_t end, int) {
  const IndexArgs& args = *(const IndexArgs*)context;
  int64_t x_step = stride_of(args.loop, 0), y_step = stride_of(args.loop, 1), p_step = stride_of(args.loop, 2);
  each_run<3>(args.loop, begin, end, [&](char* const* at, int64_t n) {
    if (p_step == 0) {  // a row of x
      const char* x = at[0] + position(at[2]) * args.step;
      if (x_step == sizeof(T) && y_step == sizeof(T)) memcpy(at[1], x, size_t(n) * sizeof(T));
      else for (int64_t i = 0; i < n; ++i) *(T*)(at[1] + i * y_step) = *(const T*)(x + i * x_step);
    } else if (x_step == 0 && p_step == 8 && y_step == sizeof(T)) {
      const int64_t *p = (const int64_t*)at[2], step = args.step;
      T* y = (T*)at[1];
      if (step == sizeof(T)) for (int64_t i = 0; i < n; ++i) y[i] = ((const T*)at[0])[p[i]];
      else for (int64_t i = 0; i < n; ++i) y[i] = *(const T*)(at[0] + p[i] * step);
    } else {
      for (int64_t i = 0; i < n; ++i)
        *(T*)(at[1] + i * y_step) = *(const T*)(at[0] + i * x_step + position(at[2] + i * p_step) * args.step);
    }
  });
}

// ---- writing: f(x, part) for each element

struct Replace {
  template <class T> static T of(T, T b) { return b; }
};
struct Add {  // integers wrap
  template <class T> static T of(T a, T b) {
    if constexpr (is_real<T>) return a + b;
    else if constexpr (same<T, Bool>) return {uint8_t(a.value | b.value)};
    else return T(uint64_t(a) + uint64_t(b));
  }
};
struct Multiply {
  template <class T> static T of(T a, T b) {
    if constexpr (is_real<T>) return a * b;
    else if constexpr (same<T, Bool>) return {uint8_t(a.value & b.value)};
    else return T(uint64_t(a) * uint64_t(b));
  }
};
struct Greatest {  // a NaN wins
  template <class T> static T of(T a, T b) {
    if constexpr (same<T, Bool>) return {uint8_t(a.value | b.value)};
    else return a != a || a > b ? a : b;
  }
};
struct Least {
  template <class T> static T of(T a, T b) {
    if constexpr (same<T, Bool>) return {uint8_t(a.value & b.value)};
    else return a != a || a < b ? a : b;
  }
};

// x = f(x, y) for a row.
template <class T, class F> inline void put_row(T* x, const T* y, int64_t n) {
  if constexpr (is_real<T> && same<F, Add>) {
    each<T>(n, [=](int64_t i, int lanes) { put(get(x + i, lanes) + get(y + i, lanes), x + i, lanes); });
  } else {
    TESSEL_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) x[i] = F::of(x[i], y[i]);
  }
}

template <class T, class F> void put_run(const IndexArgs& args, const Loop& loop, char* const* at, int64_t n) {
  int64_t x_step = stride_of(loop, 0), y_step = stride_of(loop, 1), p_step = stride_of(loop, 2);
  if (p_step == 0 && x_step == sizeof(T) && y_step == sizeof(T)) {
    return put_row<T, F>((T*)(at[0] + position(at[2]) * args.step), (const T*)at[1], n);
  }
  if (x_step == 0 && p_step == 8 && y_step == sizeof(T) && args.step == sizeof(T)) {
    T* x = (T*)at[0];
    const T* y = (const T*)at[1];
    const int64_t* p = (const int64_t*)at[2];
    for (int64_t i = 0; i < n; ++i) x[p[i]] = F::of(x[p[i]], y[i]);
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    T& x = *(T*)(at[0] + i * x_step + position(at[2] + i * p_step) * args.step);
    x = F::of(x, *(const T*)(at[1] + i * y_step));
  }
}

struct PutWork {
  const IndexArgs* args;
  int d;         // the dimension that is cut, or -1
  int64_t mask;  // by destination: the number of tasks, less one
};

template <class T, class F> void put_piece(void* context, int64_t begin, int64_t end, int) {
  const PutWork& work = *(const PutWork*)context;
  Loop loop = work.args->loop;
  if (work.d >= 0) {
    loop.numel = loop.numel / loop.sizes[work.d] * (end - begin);
    loop.sizes[work.d] = end - begin;
    for (int k = 0; k < 3; ++k) loop.operand[k].data += begin * loop.operand[k].strides[work.d];
  }
  each_run<3>(loop, 0, loop.numel, [&](char* const* at, int64_t n) { put_run<T, F>(*work.args, loop, at, n); });
}

// Whole rows, cut by their destination: task t of 2^bits has the rows of x whose position hashes to t, so that one that is
// met often and its neighbours are not one task's. Every task looks at all positions, which is little beside a row.
template <class T, class F> void put_rows(void* context, int64_t begin, int64_t end, int) {
  const PutWork& work = *(const PutWork*)context;
  const Loop& loop = work.args->loop;
  const Operand &x = loop.operand[0], &y = loop.operand[1], &p = loop.operand[2];
  const int64_t n = loop.sizes[0], rows = loop.sizes[1], step = work.args->step;
  constexpr int64_t kBlock = 1024;
  int64_t from[kBlock + kAhead], to[kBlock + kAhead];  // offsets of the task's rows in this block of positions
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t i = 0; i < rows; i += kBlock) {
      int64_t found = 0, last = rows - i < kBlock ? rows : i + kBlock;
      for (int64_t j = i; j < last; ++j) {
        int64_t at = position(p.data + j * p.strides[1]);
        from[found] = j * y.strides[1], to[found] = at * step;
        found += int64_t(uint64_t(at) * 0x9e3779b97f4a7c15u >> 32 & work.mask) == t;
      }
      for (int64_t j = 0; j < found; ++j) {
        if (j + kAhead < found) fetch(y.data + from[j + kAhead], n * int64_t(sizeof(T))), fetch(x.data + to[j + kAhead], n * int64_t(sizeof(T)));
        put_row<T, F>((T*)(x.data + to[j]), (const T*)(y.data + from[j]), n);
      }
    }
  }
}

// How to run: along pieces of a dimension, or by destination.
struct PutBodies {
  ParallelBody pieces, rows;
};
template <class T, class F> constexpr PutBodies kPut = {put_piece<T, F>, put_rows<T, F>};

template <class T> PutBodies combining(Combine combine) {
  switch (combine) {
    case Combine::add: return kPut<T, Add>;
    case Combine::multiply: return kPut<T, Multiply>;
    case Combine::greatest: return kPut<T, Greatest>;
    case Combine::least: return kPut<T, Least>;
    default: return kPut<T, Replace>;
  }
}

struct Pair { uint64_t low, high; };

PutBodies put_bodies(DType dtype, Combine combine) {
  if (combine == Combine::replace) {
    switch (item_bytes(dtype)) {
      case 1: return kPut<uint8_t, Replace>;
      case 2: return kPut<uint16_t, Replace>;
      case 4: return kPut<uint32_t, Replace>;
      case 8: return kPut<uint64_t, Replace>;
      default: return kPut<Pair, Replace>;
    }
  }
  switch (dtype) {
    case DType::bool_: return combining<Bool>(combine);
    case DType::uint8: return combining<uint8_t>(combine);
    case DType::int8: return combining<int8_t>(combine);
    case DType::int16: return combining<int16_t>(combine);
    case DType::int32: return combining<int32_t>(combine);
    case DType::int64: return combining<int64_t>(combine);
    case DType::float64: return combining<double>(combine);
    default: return combining<float>(combine);
  }
}

// ---- where a mask is set

constexpr int64_t kBlock = 4096;

// A block as bytes of 0 and 1.
const uint8_t* truth(const NonzeroArgs& args, int64_t begin, int64_t n, uint8_t* tile) {
  const char* x = (const char*)args.x + begin * item_bytes(args.dtype);
  if (args.dtype == DType::bool_) return (const uint8_t*)x;
  converter(DType::bool_, args.dtype)(tile, x, n);
  return tile;
}

void count_piece(void* context, int64_t begin, int64_t end, int) {
  const NonzeroArgs& args = *(const NonzeroArgs*)context;
  alignas(64) uint8_t tile[kBlock];
  for (int64_t b = begin; b < end; ++b) {
    int64_t n = args.n - b * kBlock < kBlock ? args.n - b * kBlock : kBlock;
    const uint8_t* set = truth(args, b * kBlock, n, tile);
    int32_t count = 0;
    for (int64_t i = 0; i < n; ++i) count += set[i];
    args.counts[b + 1] = count;
  }
}

// The coordinates of ever later elements: only a new row costs divisions.
struct Coordinates {
  const NonzeroArgs& args;
  int64_t row_begin = 0, row_end = -1;
  int64_t at[kMaxDims] = {};

  void write(int64_t i, int64_t* out) {
    int last = args.ndim - 1;
    if (i >= row_end) {
      int64_t row = i / args.sizes[last], rest = row;
      row_begin = row * args.sizes[last];
      row_end = row_begin + args.sizes[last];
      for (int d = last - 1; d >= 0; --d) {
        at[d] = rest % args.sizes[d];
        rest /= args.sizes[d];
      }
    }
    for (int d = 0; d < last; ++d) out[d * args.dim_step] = at[d];
    out[last * args.dim_step] = i - row_begin;
  }
};

void nonzero_piece(void* context, int64_t begin, int64_t end, int) {
  const NonzeroArgs& args = *(const NonzeroArgs*)context;
  alignas(64) uint8_t tile[kBlock];
  Coordinates coordinates{args};
  for (int64_t b = begin; b < end; ++b) {
    int64_t first = b * kBlock, n = args.n - first < kBlock ? args.n - first : kBlock;
    if (args.counts[b + 1] == args.counts[b]) continue;
    const uint8_t* set = truth(args, first, n, tile);
    int64_t* out = args.out + args.counts[b] * args.row_step;
    for (int64_t i = 0; i < n; i += 8) {
      uint64_t eight = 0;
      memcpy(&eight, set + i, size_t(n - i < 8 ? n - i : 8));
      for (; eight; eight &= eight - 1, out += args.row_step) {
        int64_t found = first + i + __builtin_ctzll(eight) / 8;
        if (args.ndim == 1) *out = found;
        else coordinates.write(found, out);
      }
    }
  }
}

int64_t blocks(const NonzeroArgs& args) { return (args.n + kBlock - 1) / kBlock; }

}  // namespace

void index_range(const Loop& loop, int64_t* range) {
  RangeWork work;
  work.loop = &loop;
  work.piece = loop.numel <= kGrain ? loop.numel : (loop.numel + kPieces - 1) / kPieces;
  int64_t pieces = (loop.numel + work.piece - 1) / work.piece;
  if (pieces == 1) range_piece(&work, 0, 1, 0);
  else parallel_for(pieces, 1, range_piece, &work);
  range[0] = INT64_MAX, range[1] = INT64_MIN;
  for (int64_t k = 0; k < pieces; ++k) {
    if (work.least[k] < range[0]) range[0] = work.least[k];
    if (work.greatest[k] > range[1]) range[1] = work.greatest[k];
  }
}

void index_offsets(const OffsetsArgs& args) {
  if (args.loop.numel <= kGrain) offsets_piece((void*)&args, 0, args.loop.numel, 0);
  else parallel_for(args.loop.numel, kGrain, offsets_piece, (void*)&args);
}

void index_get(const IndexArgs& args) {
  const Loop& loop = args.loop;
  if (whole_rows(loop)) {
    if (loop.numel <= kGrain) get_rows((void*)&args, 0, loop.sizes[1], 0);
    else parallel_for(loop.sizes[1], (kGrain + loop.sizes[0] - 1) / loop.sizes[0], get_rows, (void*)&args);
    return;
  }
  ParallelBody body;
  switch (item_bytes(loop.operand[0].dtype)) {
    case 1: body = get_piece<uint8_t>; break;
    case 2: body = get_piece<uint16_t>; break;
    case 4: body = get_piece<uint32_t>; break;
    case 8: body = get_piece<uint64_t>; break;
    default: body = get_piece<Pair>;
  }
  if (loop.numel <= kGrain) body((void*)&args, 0, loop.numel, 0);
  else parallel_for(loop.numel, kGrain, body, (void*)&args);
}

void index_put(const IndexArgs& args) {
  const Loop& loop = args.loop;
  PutBodies bodies = put_bodies(loop.operand[0].dtype, args.combine);
  PutWork work = {&args, -1, 0};
  if (loop.numel > kGrain && whole_rows(loop) && loop.sizes[0] < kWideRow) {
    // As many tasks as keep the look at all positions below a fifth of the work: 16 elements cost as much as a look or two.
    while (work.mask < 15 && 2 * (work.mask + 1) * 16 <= loop.sizes[0]) work.mask = 2 * work.mask + 1;
    return parallel_for(work.mask + 1, 1, bodies.rows, &work);
  }
  if (loop.numel > kGrain) {
    for (int d = 0; d < loop.ndim; ++d) {
      bool alone = loop.operand[0].strides[d] != 0 && loop.sizes[d] > 1;
      if (alone && (work.d < 0 || loop.sizes[d] > loop.sizes[work.d])) work.d = d;
    }
  }
  if (work.d < 0) return bodies.pieces(&work, 0, 0, 0);
  // Along the innermost dimension a piece is at least a few cache lines wide.
  int64_t each = loop.numel / loop.sizes[work.d], grain = (kGrain + each - 1) / each;
  if (work.d == 0) grain = (grain + 63) / 64 * 64;
  parallel_for(loop.sizes[work.d], grain, bodies.pieces, &work);
}

int64_t nonzero_scratch(const NonzeroArgs& args) { return (blocks(args) + 1) * int64_t(sizeof(int64_t)); }

int64_t nonzero_count(const NonzeroArgs& args) {
  int64_t count = blocks(args);
  args.counts[0] = 0;
  if (count == 1) count_piece((void*)&args, 0, 1, 0);
  else parallel_for(count, 8, count_piece, (void*)&args);
  for (int64_t b = 0; b < count; ++b) args.counts[b + 1] += args.counts[b];
  return args.counts[count];
}

void nonzero(const NonzeroArgs& args) {
  if (blocks(args) == 1) nonzero_piece((void*)&args, 0, 1, 0);
  else parallel_for(blocks(args), 8, nonzero_piece, (void*)&args);
}

}  // namespace tessel::TESSEL_TARGET
