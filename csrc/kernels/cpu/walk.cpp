// The walk over a Loop. The flattened index space is cut into pieces of kGrain elements for the threads, a piece into
// tiles of 4 KB. An operand that is contiguous and has the function's type is handed over where it lies; any other is
// gathered, converted or repeated into a tile in L1 first. A large fresh result goes from its tile past the caches: the
// line it falls into need not be read (a + b of 16M floats moves 192 MB instead of 256).
#include "kernels/cpu/walk.h"

#include "core/parallel.h"
#include "kernels/cpu/turn.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace tessel::TESSEL_TARGET {

void stream_fence() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

void stream(void* to, const void* from, int64_t bytes) { stream(to, from, bytes, nullptr, 0); }

void stream(void* to, const void* from, int64_t bytes, const char* const* next, int nexts) {
  char* y = (char*)to;
  const char* x = (const char*)from;
#ifdef __SSE2__
  int64_t head = -(intptr_t)y & 63;
  if (head > bytes) head = bytes;
  memcpy(y, x, size_t(head));
  int64_t i = head;
  for (; i + 64 <= bytes; i += 64) {
    for (int k = 0; k < nexts; ++k) _mm_prefetch(next[k] + i, _MM_HINT_T0);
#if defined(__AVX512F__)
    _mm512_stream_si512((__m512i*)(y + i), _mm512_loadu_si512(x + i));
#elif defined(__AVX2__)
    __m256i a = _mm256_loadu_si256((const __m256i*)(x + i)), b = _mm256_loadu_si256((const __m256i*)(x + i + 32));
    _mm256_stream_si256((__m256i*)(y + i), a);
    _mm256_stream_si256((__m256i*)(y + i + 32), b);
#else
    for (int j = 0; j < 64; j += 16) {
      _mm_stream_si128((__m128i*)(y + i + j), _mm_loadu_si128((const __m128i*)(x + i + j)));
    }
#endif
  }
  memcpy(y + i, x + i, size_t(bytes - i));
#else
  memcpy(y, x, size_t(bytes));
#endif
}

namespace {

constexpr int64_t kGrain = 32768;     // elements a thread takes at a time: some 10 us of additions
constexpr int64_t kLongRow = 128;     // from here on a row is worth a call of its own
constexpr int kTileBytes = 4096;      // five of them fill a little over half of L1
constexpr int kTileStride = 4096 + 192;  // three lines off, or a store to one tile would delay loads of the next

enum class Way : uint8_t { direct, constant, gather };  // constant: one value along what one tile covers

struct Walk {
  const Loop* loop;
  Inner inner;
  Params params;
  int inputs;
  int result_bytes, compute_bytes, repeat_bytes;  // items as the function sees them
  int bytes[kMaxOperands];              // items as they lie in memory
  Way way[kMaxOperands];
  bool contiguous[kMaxOperands];        // along what one tile covers
  Convert convert[kMaxOperands];        // memory to compute type; of the result the other way
  bool long_rows, streaming;
  unsigned repeated;                    // the operands that the function takes as one value
  int64_t tile;                         // elements
  int across;                           // crossed walks: the dimension along which an input is contiguous,
  int64_t columns, groups, rows;        // the columns of a block, and the blocks along it and along dimension 0
};

// The runs of a strided block, one innermost dimension after the other: move(address, i, run, step) for each.
template <class Move>
inline void each_run(char* address, int ndim, const int64_t* sizes, const int64_t* strides, const int64_t* at, int64_t n,
                     Move move) {
  int64_t position[kMaxDims];
  for (int d = 0; d < ndim; ++d) position[d] = at[d];
  int64_t size = ndim ? sizes[0] : 1, step = ndim ? strides[0] : 0, first = ndim ? at[0] : 0;
  for (int64_t i = 0; i < n;) {
    int64_t run = size - first < n - i ? size - first : n - i;
    move(address, i, run, step);
    i += run;
    address -= first * step;
    first = 0;
    for (int d = 1; d < ndim; ++d) {
      address += strides[d];
      if (++position[d] < sizes[d]) break;
      address -= position[d] * strides[d];
      position[d] = 0;
    }
  }
}

template <class T> void gather_items(void* tile, const char* from, int ndim, const int64_t* sizes, const int64_t* strides,
                                     const int64_t* at, int64_t n) {
  each_run((char*)from, ndim, sizes, strides, at, n, [tile](const char* address, int64_t i, int64_t run, int64_t step) {
    T* y = (T*)tile + i;
    if (step == sizeof(T)) memcpy(y, address, size_t(run) * sizeof(T));
    else for (int64_t j = 0; j < run; ++j) memcpy(y + j, address + j * step, sizeof(T));
  });
}

template <class T> void scatter_items(const void* tile, char* to, int ndim, const int64_t* sizes, const int64_t* strides,
                                      const int64_t* at, int64_t n) {
  each_run(to, ndim, sizes, strides, at, n, [tile](char* address, int64_t i, int64_t run, int64_t step) {
    const T* x = (const T*)tile + i;
    if (step == sizeof(T)) memcpy(address, x, size_t(run) * sizeof(T));
    else for (int64_t j = 0; j < run; ++j) memcpy(address + j * step, x + j, sizeof(T));
  });
}

struct Pair { uint64_t low, high; };

void scatter(int bytes, const void* tile, char* to, const int64_t* strides, const Loop& loop, const int64_t* at, int64_t n) {
  switch (bytes) {
    case 1: return scatter_items<uint8_t>(tile, to, loop.ndim, loop.sizes, strides, at, n);
    case 2: return scatter_items<uint16_t>(tile, to, loop.ndim, loop.sizes, strides, at, n);
    case 4: return scatter_items<uint32_t>(tile, to, loop.ndim, loop.sizes, strides, at, n);
    case 8: return scatter_items<uint64_t>(tile, to, loop.ndim, loop.sizes, strides, at, n);
    default: return scatter_items<Pair>(tile, to, loop.ndim, loop.sizes, strides, at, n);
  }
}

template <class T> void fill(void* tile, const void* value, int64_t n) {
  T x;
  memcpy(&x, value, sizeof(T));
  for (int64_t i = 0; i < n; ++i) ((T*)tile)[i] = x;
}

void fill_items(int bytes, void* tile, const void* value, int64_t n) {
  switch (bytes) {
    case 1: return fill<uint8_t>(tile, value, n);
    case 2: return fill<uint16_t>(tile, value, n);
    case 4: return fill<uint32_t>(tile, value, n);
    case 8: return fill<uint64_t>(tile, value, n);
    default: return fill<Pair>(tile, value, n);
  }
}

// By whole vectors, as it will be read: a load that spans two stores waits until both have left for the cache.
template <class T> inline void repeat_once(T* tile, const char* from) {
  T x;
  memcpy(&x, from, sizeof(T));
  for (int64_t i = 0; i < kRepeat / int64_t(sizeof(T)); i += Vec<T>::width) Vec<T>::of(x).store(tile + i);
}

// One value, converted and repeated: n times, or as often as a function needs that takes it as one.
void repeat(const Walk& walk, int k, const char* from, char* tile, int64_t n) {
  alignas(16) char value[16];
  if (walk.convert[k]) {
    walk.convert[k](value, from, 1);
    from = value;
  }
  if (!(walk.repeated >> (k - 1) & 1)) fill_items(walk.compute_bytes, tile, from, n);
  else if (walk.repeat_bytes == 4) repeat_once((float*)tile, from);
  else repeat_once((double*)tile, from);
}

void piece(void* context, int64_t begin, int64_t end, int) {
  const Walk& walk = *(const Walk*)context;
  const Loop& loop = *walk.loop;
  alignas(64) char tiles[kMaxOperands][kTileStride];
  alignas(64) char staging[2 * kTileStride];  // items as in memory, up to twice as wide as the function's
  const void* x[kMaxOperands - 1];
  const char* repeated[kMaxOperands] = {};    // the value a tile holds, and how often
  int64_t repetitions[kMaxOperands] = {};
  int64_t at[kMaxDims] = {}, rest = begin;  // a loop without dimensions has position 0
  for (int d = 0; d < loop.ndim; ++d) {
    at[d] = rest % loop.sizes[d];
    rest /= loop.sizes[d];
  }
  char* base[kMaxOperands];
  const auto locate = [&] {
    for (int k = 0; k <= walk.inputs; ++k) {
      const Operand& operand = loop.operand[k];
      base[k] = operand.data ? operand.data : (char*)operand.immediate;
      for (int d = 0; operand.data && d < loop.ndim; ++d) base[k] += at[d] * operand.strides[d];
    }
  };
  locate();
  for (int64_t i = begin; i < end;) {
    int64_t n = end - i < walk.tile ? end - i : walk.tile;
    if (walk.long_rows && loop.ndim && loop.sizes[0] - at[0] < n) n = loop.sizes[0] - at[0];
    for (int k = 1; k <= walk.inputs; ++k) {
      const Operand& operand = loop.operand[k];
      x[k - 1] = tiles[k];
      if (walk.way[k] == Way::direct) {
        x[k - 1] = base[k];
      } else if (walk.way[k] == Way::constant) {
        if (repeated[k] == base[k] && (repetitions[k] >= n || walk.repeated >> (k - 1) & 1)) continue;
        repeat(walk, k, base[k], tiles[k], n);
        repeated[k] = base[k];
        repetitions[k] = n;
      } else if (walk.contiguous[k]) {
        walk.convert[k](tiles[k], base[k], n);
      } else if (!walk.convert[k]) {
        gather(walk.bytes[k], tiles[k], base[k], loop.ndim, loop.sizes, operand.strides, at, n);
      } else {
        gather(walk.bytes[k], staging, base[k], loop.ndim, loop.sizes, operand.strides, at, n);
        walk.convert[k](tiles[k], staging, n);
      }
    }
    const Operand& result = loop.operand[0];
    if (walk.way[0] == Way::direct && !walk.streaming) {
      walk.inner(walk.params, n, base[0], x, walk.repeated);
    } else {
      char* y = tiles[0];
      walk.inner(walk.params, n, y, x, walk.repeated);
      if (walk.convert[0] && walk.contiguous[0] && !walk.streaming) {
        walk.convert[0](base[0], y, n);
      } else {
        if (walk.convert[0]) {
          walk.convert[0](staging, y, n);
          y = staging;
        }
        if (walk.streaming) {
          const char* next[kMaxOperands];
          int nexts = 0;
          for (int k = 1; k <= walk.inputs; ++k) {
            if (walk.way[k] != Way::constant && walk.contiguous[k]) next[nexts++] = base[k] + n * walk.bytes[k];
          }
          stream(base[0], y, n * walk.bytes[0], next, nexts);
        } else {
          scatter(walk.bytes[0], y, base[0], result.strides, loop, at, n);
        }
      }
    }
    i += n;
    at[0] += n;
    if (walk.long_rows && (loop.ndim < 2 || at[0] < loop.sizes[0])) {  // on in the same row
      for (int k = 0; k <= walk.inputs; ++k) {
        if (loop.ndim && loop.operand[k].data) base[k] += n * loop.operand[k].strides[0];
      }
      continue;
    }
    for (int d = 0; d + 1 < loop.ndim && at[d] >= loop.sizes[d]; ++d) {
      int64_t carry = walk.long_rows ? 1 : at[d] / loop.sizes[d];
      at[d] -= carry * loop.sizes[d];
      at[d + 1] += carry;
    }
    locate();
  }
  if (walk.streaming) stream_fence();
}

// The rows of a walk of two dimensions that needs no tiles: a matrix beside a row or a column.
void row_piece(void* context, int64_t begin, int64_t end, int) {
  const Walk& walk = *(const Walk*)context;
  const Loop& loop = *walk.loop;
  alignas(64) char tiles[kMaxOperands][kRepeat];
  const char *x[kMaxOperands - 1], *repeated[kMaxOperands] = {};
  for (int64_t row = begin; row < end; ++row) {
    for (int k = 1; k <= walk.inputs; ++k) {
      const Operand& operand = loop.operand[k];
      x[k - 1] = operand.data ? operand.data + row * operand.strides[1] : operand.immediate;
      if (walk.way[k] == Way::direct) continue;
      if (repeated[k] != x[k - 1]) repeat(walk, k, x[k - 1], tiles[k], 0);
      repeated[k] = x[k - 1];
      x[k - 1] = tiles[k];
    }
    walk.inner(walk.params, loop.sizes[0], loop.operand[0].data + row * loop.operand[0].strides[1], (const void* const*)x, walk.repeated);
  }
}

// A walk where an input is contiguous along another dimension than the result is: by blocks of 64 rows (along dimension 0)
// and some columns, that input turned on its way into the tile. a + b.T of 2048 x 2048: 3.5 ms instead of 24.
void crossed_piece(void* context, int64_t begin, int64_t end, int) {
  const Walk& walk = *(const Walk*)context;
  const Loop& loop = *walk.loop;
  alignas(64) char tiles[kMaxOperands][kTileStride];
  alignas(64) char staging[kTurnRows * 16 * 8];
  const char* repeated[kMaxOperands] = {};
  for (int64_t task = begin; task < end; ++task) {
    int64_t at[kMaxDims], rest = task / walk.groups;
    at[walk.across] = task % walk.groups * walk.columns;
    at[0] = rest % walk.rows * kTurnRows;
    rest /= walk.rows;
    for (int d = 1; d < loop.ndim; ++d) {
      if (d == walk.across) continue;
      at[d] = rest % loop.sizes[d];
      rest /= loop.sizes[d];
    }
    int64_t rows = loop.sizes[0] - at[0] < kTurnRows ? loop.sizes[0] - at[0] : kTurnRows, zero = 0;
    int64_t columns = loop.sizes[walk.across] - at[walk.across];
    if (columns > walk.columns) columns = walk.columns;
    char* base[kMaxOperands];
    for (int k = 0; k <= walk.inputs; ++k) {
      const Operand& operand = loop.operand[k];
      base[k] = operand.data ? operand.data : (char*)operand.immediate;
      for (int d = 0; operand.data && d < loop.ndim; ++d) base[k] += at[d] * operand.strides[d];
    }
    for (int k = 1; k <= walk.inputs; ++k) {
      const Operand& operand = loop.operand[k];
      int bytes = walk.bytes[k];
      if (walk.repeated >> (k - 1) & 1) continue;  // one value for each column
      int64_t down = operand.data ? operand.strides[0] : 0, over = operand.data ? operand.strides[walk.across] : 0;
      if (down == 0 && over == 0) {
        if (repeated[k] != base[k]) repeat(walk, k, base[k], tiles[k], kTurnRows * walk.columns);
        repeated[k] = base[k];
        continue;
      }
      char* raw = walk.convert[k] ? staging : tiles[k];
      if (over == bytes && down != bytes) {
        if (bytes == 1) turn(base[k], down, rows, columns, (uint8_t*)raw);
        else if (bytes == 2) turn(base[k], down, rows, columns, (uint16_t*)raw);
        else if (bytes == 4) turn(base[k], down, rows, columns, (uint32_t*)raw);
        else turn(base[k], down, rows, columns, (uint64_t*)raw);
      } else {
        for (int64_t c = 0; c < columns; ++c) {
          gather(bytes, raw + c * kTurnRows * bytes, base[k] + c * over, 1, &rows, &down, &zero, rows);
        }
      }
      for (int64_t c = 0; walk.convert[k] && c < columns; ++c) {
        walk.convert[k](tiles[k] + c * kTurnRows * walk.compute_bytes, raw + c * kTurnRows * bytes, rows);
      }
    }
    for (int64_t c = 0; c < columns; ++c) {
      const void* x[kMaxOperands - 1];
      for (int k = 1; k <= walk.inputs; ++k) {
        const Operand& operand = loop.operand[k];
        x[k - 1] = tiles[k] + c * kTurnRows * walk.compute_bytes;
        if (!(walk.repeated >> (k - 1) & 1)) continue;
        const char* from = base[k] + (operand.data ? c * operand.strides[walk.across] : 0);
        if (repeated[k] != from) repeat(walk, k, from, tiles[k], 0);
        repeated[k] = from;
        x[k - 1] = tiles[k];
      }
      char* to = base[0] + c * loop.operand[0].strides[walk.across];
      char* y = tiles[0];
      if (!walk.streaming && !walk.convert[0]) {
        walk.inner(walk.params, rows, to, x, walk.repeated);
        continue;
      }
      walk.inner(walk.params, rows, y, x, walk.repeated);
      if (walk.convert[0]) {
        walk.convert[0](staging, y, rows);
        y = staging;
      }
      if (walk.streaming) stream(to, y, rows * walk.bytes[0]);
      else memcpy(to, y, size_t(rows * walk.bytes[0]));
    }
  }
  if (walk.streaming) stream_fence();
}

// Whether the walk is better crossed, and how.
bool cross(Walk& walk) {
  const Loop& loop = *walk.loop;
  walk.across = 0;
  if (loop.ndim < 2 || loop.sizes[0] < 16 || loop.operand[0].strides[0] != walk.bytes[0]) return false;
  for (int k = 1; k <= walk.inputs && !walk.across; ++k) {
    const Operand& operand = loop.operand[k];
    if (!operand.data || operand.strides[0] == walk.bytes[k] || operand.strides[0] == 0) continue;
    for (int d = 1; d < loop.ndim && !walk.across; ++d) {
      if (operand.strides[d] == walk.bytes[k] && loop.sizes[d] >= 4) walk.across = d;
    }
  }
  if (!walk.across) return false;
  int widest = walk.result_bytes > walk.compute_bytes ? walk.result_bytes : walk.compute_bytes;
  walk.columns = widest > 4 ? 8 : 16;
  if (widest > 8) return false;
  for (int k = 1; k <= walk.inputs; ++k) {  // the columns of one line
    if (walk.bytes[k] > 4) walk.columns = 8;
    if (walk.bytes[k] > 8) return false;
  }
  walk.groups = (loop.sizes[walk.across] + walk.columns - 1) / walk.columns;
  walk.rows = (loop.sizes[0] + kTurnRows - 1) / kTurnRows;
  return true;
}

// Whether the elements lie one after the other in the loop's order.
bool dense(const Loop& loop, const Operand& operand, int bytes) {
  int64_t expected = bytes;
  for (int d = 0; d < loop.ndim; ++d) {
    if (loop.sizes[d] != 1 && operand.strides[d] != expected) return false;
    expected *= loop.sizes[d];
  }
  return true;
}

bool overlap(const Loop& loop, const Operand& operand, const char* begin, const char* end, int bytes) {
  const char *low = operand.data, *high = operand.data + bytes;
  for (int d = 0; d < loop.ndim; ++d) {
    int64_t reach = operand.strides[d] * (loop.sizes[d] - 1);
    (reach < 0 ? low : high) += reach;
  }
  return operand.data && low < end && begin < high;
}

}  // namespace

void gather(int bytes, void* tile, const char* from, int ndim, const int64_t* sizes, const int64_t* strides,
            const int64_t* at, int64_t n) {
  switch (bytes) {
    case 1: return gather_items<uint8_t>(tile, from, ndim, sizes, strides, at, n);
    case 2: return gather_items<uint16_t>(tile, from, ndim, sizes, strides, at, n);
    case 4: return gather_items<uint32_t>(tile, from, ndim, sizes, strides, at, n);
    case 8: return gather_items<uint64_t>(tile, from, ndim, sizes, strides, at, n);
    default: return gather_items<Pair>(tile, from, ndim, sizes, strides, at, n);
  }
}

// `repeat` is the type of values that the function takes as one, or null.
static void walk_loop(const Loop& loop, Inner inner, DType result, DType compute, const DType* repeat, const Params& params) {
  if (loop.numel == 0) return;
  int inputs = loop.operands - 1;
  if (loop.ndim <= 1 && loop.numel <= kGrain) {  // the small case: nothing to plan when all is as the function wants it
    const void* x[kMaxOperands - 1];
    bool plain = loop.operand[0].dtype == result && (loop.numel == 1 || loop.operand[0].strides[0] == item_bytes(result));
    for (int k = 1; k <= inputs; ++k) {
      const Operand& operand = loop.operand[k];
      plain &= operand.dtype == compute &&
               (loop.numel == 1 || (operand.data && operand.strides[0] == item_bytes(compute)));
      x[k - 1] = operand.data ? operand.data : operand.immediate;
    }
    if (plain) return inner(params, loop.numel, loop.operand[0].data, x, 0);
  }

  Walk walk;
  walk.loop = &loop;
  walk.inner = inner;
  walk.params = params;
  walk.inputs = inputs;
  walk.result_bytes = item_bytes(result);
  walk.compute_bytes = item_bytes(compute);
  walk.repeat_bytes = repeat ? item_bytes(*repeat) : 0;
  walk.repeated = 0;
  walk.long_rows = loop.ndim <= 1 || loop.sizes[0] >= kLongRow;
  bool whole = true;  // no tile is needed
  for (int k = 0; k <= inputs; ++k) {
    const Operand& operand = loop.operand[k];
    DType type = k ? compute : result;
    walk.bytes[k] = item_bytes(operand.dtype);
    bool constant = k && (!operand.data || loop.ndim == 0 || operand.strides[0] == 0);
    for (int d = 1; constant && operand.data && !walk.long_rows && d < loop.ndim; ++d) constant = operand.strides[d] == 0;
    walk.contiguous[k] = walk.long_rows ? loop.ndim == 0 || operand.strides[0] == walk.bytes[k]
                                        : dense(loop, operand, walk.bytes[k]);
    walk.way[k] = constant ? Way::constant
                : operand.dtype == type && walk.contiguous[k] ? Way::direct
                                                              : Way::gather;
    bool once = constant && repeat;
    if (once) walk.repeated |= 1u << (k - 1);
    walk.convert[k] = k ? converter(once ? *repeat : type, operand.dtype) : converter(operand.dtype, type);
    whole &= once || walk.way[k] == Way::direct;
  }
  const Operand& y = loop.operand[0];
  int64_t y_bytes = loop.numel * walk.bytes[0];
  walk.streaming = y_bytes >= kStreamBytes && dense(loop, y, walk.bytes[0]);
  for (int k = 1; walk.streaming && k <= inputs; ++k) {
    walk.streaming = !overlap(loop, loop.operand[k], y.data, y.data + y_bytes, walk.bytes[k]);
  }
  if (cross(walk)) {
    int64_t tasks = walk.groups * walk.rows;
    for (int d = 1; d < loop.ndim; ++d) tasks *= d == walk.across ? 1 : loop.sizes[d];
    int64_t grain = kGrain / (kTurnRows * walk.columns);
    if (tasks <= grain) crossed_piece(&walk, 0, tasks, 0);
    else parallel_for(tasks, grain, crossed_piece, &walk);
    return;
  }
  int widest = walk.result_bytes > walk.compute_bytes ? walk.result_bytes : walk.compute_bytes;
  if (whole && !walk.streaming && walk.long_rows && loop.ndim == 2 && loop.sizes[0] <= kGrain / 4) {
    if (loop.numel <= kGrain) row_piece(&walk, 0, loop.sizes[1], 0);
    else parallel_for(loop.sizes[1], kGrain / loop.sizes[0], row_piece, &walk);
    return;
  }
  for (int k = 0; k <= inputs; ++k) {  // the staging has room for items twice as wide
    if (walk.convert[k] && walk.bytes[k] > 2 * widest) widest = walk.bytes[k] / 2;
  }
  walk.tile = whole && !walk.streaming ? kGrain : kTileBytes / widest;
  if (loop.numel <= kGrain) piece(&walk, 0, loop.numel, 0);
  else parallel_for(loop.numel, kGrain, piece, &walk);
}

void walk(const Loop& loop, Inner inner, DType result, DType compute, const Params& params) {
  walk_loop(loop, inner, result, compute, nullptr, params);
}

void walk(const Loop& loop, Inner inner, DType result, DType compute, DType repeat, const Params& params) {
  walk_loop(loop, inner, result, compute, &repeat, params);
}

}  // namespace tessel::TESSEL_TARGET
