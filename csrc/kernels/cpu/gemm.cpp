// c = alpha * a @ b + beta * c (+ bias, activation), batched: matmul, linear, and through its packing conv.
// The room's implementations stand in kImplementations, from the most special to the blocked one that takes everything;
// the first that accepts the shape, the strides and the dtype runs.
#include "core/parallel.h"
#include "kernels/cpu/caches.h"
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_micro.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_problem.h"
#include "kernels/cpu/gemm_work.h"
#include "kernels/cpu/math.h"
#include "kernels/functions.h"

namespace tessel::TESSEL_TARGET {
namespace {

// One product without batch: m x n x k, and where its sums go. `complete` false leaves the bare sums in `sums`.
template <class T> struct Matrix {
  using S = Compute<T>;
  int64_t m, n, k;
  const T* a; int64_t a_row, a_col;
  const T* b; int64_t b_row, b_col;
  T* c; int64_t c_row, c_col;
  S* sums; int64_t sums_row, sums_col;
  Epilogue<T> e;
  bool complete;
};

template <class T> Matrix<T> matrix(const Problem& p, int64_t index) {
  const GemmArgs& g = p.g;
  const Place at = place(g, index);
  Matrix<T> x{g.m, g.n, g.k, static_cast<const T*>(g.a) + at.a, g.a_row, g.a_col,
              static_cast<const T*>(g.b) + at.b, g.b_row, g.b_col, static_cast<T*>(g.c) + at.c, g.c_row, g.c_col,
              nullptr, 0, 0, epilogue<T>(p, at), true};
  if constexpr (sizeof(T) == sizeof(Compute<T>)) {
    x.sums = x.c;
    x.sums_row = x.c_row;
    x.sums_col = x.c_col;
  }
  return x;
}

bool floating(const Problem& p) {
  const DType d = p.g.dtype;
  return d == DType::float32 || d == DType::float64 || d == DType::bfloat16 || d == DType::float16;
}

// ---- nothing to sum: k == 0, or an empty result
bool accepts_empty(const Problem& p) {
  return p.g.m == 0 || p.g.n == 0 || p.g.batch == 0 || (p.g.k == 0 && floating(p));
}
int64_t no_scratch(const Problem&) { return 0; }

void run_empty(const Problem& p, char*) {
  if (p.g.m == 0 || p.g.n == 0) return;
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const Flush flush;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> x = matrix<T>(p, index);
      for (int64_t i = 0; i < x.m; ++i)
        for (int64_t j = 0; j < x.n; j += kTileCols<Compute<T>>) {
          alignas(64) Compute<T> zero[kTileCols<Compute<T>>] = {};
          const int cols = x.n - j < kTileCols<Compute<T>> ? int(x.n - j) : kTileCols<Compute<T>>;
          merge<T>(zero, 0, 1, cols, x.c + i * x.c_row + j * x.c_col, x.c_row, x.c_col, nullptr, 0, 1, i, j, x.e,
                   {true, true});
        }
    }
  });
}

// ---- integers: every sum in 64 bits, wrapping around; one row of c at a time, its columns in blocks that stay in L1
constexpr int64_t kIntegerBlock = 512;

template <class T> void integer_row(const GemmArgs& g, const T* a, const T* b, T* c, int64_t begin, int64_t end,
                                    const T* bias) {
  uint64_t sum[kIntegerBlock];
  const int64_t n = end - begin;
  for (int64_t j = 0; j < n; ++j) sum[j] = 0;
  if (g.b_row == 1 && g.b_col != 1) {
    for (int64_t j = 0; j < n; ++j) {
      const T* column = b + (begin + j) * g.b_col;
      uint64_t total = 0;
      for (int64_t p = 0; p < g.k; ++p) total += uint64_t(int64_t(a[p * g.a_col])) * uint64_t(int64_t(column[p]));
      sum[j] = total;
    }
  } else {
    for (int64_t p = 0; p < g.k; ++p) {
      const uint64_t x = uint64_t(int64_t(a[p * g.a_col]));
      const T* row = b + p * g.b_row + begin * g.b_col;
      if (x == 0) continue;
      for (int64_t j = 0; j < n; ++j) sum[j] += x * uint64_t(int64_t(row[j * g.b_col]));
    }
  }
  const uint64_t alpha = uint64_t(int64_t(g.alpha)), beta = uint64_t(int64_t(g.beta));
  for (int64_t j = 0; j < n; ++j) {
    T* to = c + (begin + j) * g.c_col;
    uint64_t value = alpha * sum[j];
    if (beta) value += beta * uint64_t(int64_t(*to));
    if (bias) value += uint64_t(int64_t(bias[(begin + j) * g.bias_stride]));
    if (g.activation == Activation::relu && int64_t(value) < 0) value = 0;
    *to = T(value);
  }
}

template <class F> void with_integer(DType dtype, const F& f) {
  switch (dtype) {
    case DType::int64: f(Type<int64_t>{}); break;
    case DType::int32: f(Type<int32_t>{}); break;
    case DType::int16: f(Type<int16_t>{}); break;
    case DType::int8: f(Type<int8_t>{}); break;
    case DType::bool_: f(Type<bool>{}); break;
    default: f(Type<uint8_t>{}); break;
  }
}

bool accepts_integer(const Problem& p) { return !floating(p); }

void run_integer(const Problem& p, char*) {
  with_integer(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    GemmArgs g = p.g;
    const T* bias = static_cast<const T*>(g.bias);
    if (p.transposed) g.bias_stride = 0;
    const int64_t blocks = (g.n + kIntegerBlock - 1) / kIntegerBlock;
    auto rows = [&](int64_t begin, int64_t end, int) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t block = task % blocks, row = task / blocks % g.m;
        const Place at = place(g, task / blocks / g.m);
        const int64_t stop = (block + 1) * kIntegerBlock;
        integer_row<T>(g, static_cast<const T*>(g.a) + at.a + row * g.a_row, static_cast<const T*>(g.b) + at.b,
                       static_cast<T*>(g.c) + at.c + row * g.c_row, block * kIntegerBlock, stop < g.n ? stop : g.n,
                       bias && p.transposed ? bias + row * p.g.bias_stride : bias);
      }
    };
    const int64_t columns = g.n < kIntegerBlock ? g.n : kIntegerBlock;
    for_tasks(blocks * g.m * g.batch, columns * (g.k + 1), !p.alone, rows);
  });
}

// ---- one row of c: bandwidth is all. `dots` when b's columns lie along memory, `axpys` when its rows do.
// Columns of one task, a kilobyte of a row of b: the memory system streams what lies together. (With 256 bytes a row of
// 1x2048 by 2048x2048 ran at three quarters of the speed.)
constexpr int64_t kVectorBlock = 256;
#if defined(__AVX512F__)
constexpr int kWideVectors = 16;
#else
constexpr int kWideVectors = 8;
#endif

// y[j] = x . b[:, j], four columns at a time, two running vectors each: the order of a column's sum depends on k only.
template <class T> void dots(int64_t k, int n, const Compute<T>* x, const T* b, int64_t b_col, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width, kColumns = 4;
  for (int j = 0; j < n; j += kColumns) {
    const int columns = n - j < kColumns ? n - j : kColumns;
    typename D::V sum[kColumns][2];
    for (int c = 0; c < kColumns; ++c) sum[c][0] = sum[c][1] = D::zero();
    const T* at[kColumns];
    for (int c = 0; c < kColumns; ++c) at[c] = b + (j + (c < columns ? c : 0)) * b_col;
    int64_t p = 0;
    for (; p + 2 * W <= k; p += 2 * W) {
      const typename D::V x0 = D::load(x + p), x1 = D::load(x + p + W);
      for (int c = 0; c < kColumns; ++c) {
        sum[c][0] = D::fma(x0, D::load(at[c] + p), sum[c][0]);
        sum[c][1] = D::fma(x1, D::load(at[c] + p + W), sum[c][1]);
      }
    }
    for (int half = 0; p < k; p += W, half = 1) {
      const int rest = k - p < W ? int(k - p) : W;
      const typename D::V x0 = D::load(x + p, rest);
      for (int c = 0; c < kColumns; ++c) sum[c][half] = D::fma(x0, D::load(at[c] + p, rest), sum[c][half]);
    }
    for (int c = 0; c < columns; ++c) y[j + c] = D::sum(sum[c][0] + sum[c][1]);
  }
}

// y[0:n] = sum over p of x[p] * b[p, 0:n], n at most kVectorBlock, all of it in registers.
template <class T, int kVectors> void axpys(int64_t k, int n, const Compute<T>* x, const T* b, int64_t b_row, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  for (int j = 0; j < n; j += kVectors * W) {
    typename D::V sum[kVectors];
    for (auto& s : sum) s = D::zero();
    const T* row = b + j;
    if (n - j >= kVectors * W) {
      for (int64_t p = 0; p < k; ++p, row += b_row) {
        const typename D::V xp = D::set(x[p]);
        for (int v = 0; v < kVectors; ++v) sum[v] = D::fma(xp, D::load(row + v * W), sum[v]);
      }
    } else {
      int lanes[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        const int left = n - j - v * W;
        lanes[v] = left < 0 ? 0 : left < W ? left : W;
      }
      for (int64_t p = 0; p < k; ++p, row += b_row) {
        const typename D::V xp = D::set(x[p]);
        for (int v = 0; v < kVectors && lanes[v]; ++v) sum[v] = D::fma(xp, D::load(row + v * W, lanes[v]), sum[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) D::store(y + j + v * W, sum[v]);
  }
}

template <class T> bool vector_copies(const Problem& p) {
  return sizeof(T) != sizeof(Compute<T>) || (p.g.a_col != 1 && p.g.k > 1);
}

bool accepts_vector(const Problem& p) { return p.g.m == 1 && (p.g.b_row == 1 || p.g.b_col == 1); }

int64_t vector_scratch(const Problem& p) {  // x of every batch entry, converted and contiguous
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    return vector_copies<T>(p) ? p.workers() * (p.g.k * int64_t(sizeof(Compute<T>)) + 64) : 0;
  });
}

// Columns [begin, end) of a one-row product; x is contiguous.
template <class T> void vector_columns(const Matrix<T>& g, const Compute<T>* x, int64_t begin, int64_t end) {
  using S = Compute<T>;
  for (int64_t j = begin; j < end; j += kVectorBlock) {
    const int n = end - j < kVectorBlock ? int(end - j) : int(kVectorBlock);
    alignas(64) S y[kVectorBlock + Simd<S>::width];
    if (g.b_row == 1 && (g.b_col != 1 || g.k > 1)) dots<T>(g.k, n, x, g.b + j * g.b_col, g.b_col, y);
    else if (n == kVectorBlock) axpys<T, kWideVectors>(g.k, n, x, g.b + j, g.b_row, y);
    else axpys<T, 4>(g.k, n, x, g.b + j, g.b_row, y);
    merge<T>(y, 0, 1, n, g.c + j * g.c_col, g.c_row, g.c_col, g.sums ? g.sums + j * g.sums_col : nullptr, g.sums_row, g.sums_col, 0, j, g.e,
             {true, g.complete});
  }
}

template <class T> void contiguous(int64_t k, const T* from, int64_t stride, Compute<T>* to) {
  for (int64_t p = 0; p < k; ++p) to[p] = widen(from[p * stride]);
}

void run_vector(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const int64_t blocks = (p.g.n + kVectorBlock - 1) / kVectorBlock, bytes = p.g.k * int64_t(sizeof(S)) + 64;
    auto columns = [&](int64_t begin, int64_t end, int worker) {
      const Flush flush;
      int64_t copied = -1;
      S* copy = reinterpret_cast<S*>(scratch + worker * bytes);
      for (int64_t task = begin; task < end;) {
        const int64_t index = task / blocks, first = task % blocks;
        const int64_t last = end - task < blocks - first ? first + (end - task) : blocks;
        const Matrix<T> x = matrix<T>(p, index);
        if (vector_copies<T>(p)) {
          if (copied != index) contiguous<T>(x.k, x.a, x.a_col, copy);
          copied = index;
        }
        const S* row;
        if constexpr (sizeof(T) == sizeof(S)) row = vector_copies<T>(p) ? copy : x.a;
        else row = copy;
        vector_columns<T>(x, row, first * kVectorBlock, last * kVectorBlock < x.n ? last * kVectorBlock : x.n);
        task += last - first;
      }
    };
    for_tasks(blocks * p.g.batch, kVectorBlock * p.g.k / 2, !p.alone, columns);
  });
}

// ---- small: a is read where it lies, b too if its rows are whole vectors, else packed first
#if defined(__AVX512F__)
constexpr int kDirectRows = 8;  // 8 x 2 sums + 2 of b + 1, and 8 row addresses in general registers
#else
constexpr int kDirectRows = 4;
#endif

template <class T, class B, int MR, int NV>
void direct(int64_t k, const T* a, int64_t a_row, int64_t a_col, const B* b, int64_t b_row, Compute<T>* c, int64_t c_row) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) sum[i][v] = D::zero();
  for (int64_t p = 0; p < k; ++p, a += a_col, b += b_row) {
    typename D::V row[NV];
    for (int v = 0; v < NV; ++v) row[v] = D::load(b + v * W);
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(widen(a[i * a_row]));
      for (int v = 0; v < NV; ++v) sum[i][v] = D::fma(x, row[v], sum[i][v]);
    }
  }
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, sum[i][v]);
}

template <class T, class B>
using Direct = void (*)(int64_t, const T*, int64_t, int64_t, const B*, int64_t, Compute<T>*, int64_t);

template <class T, class B, int NV, int MR = kDirectRows> Direct<T, B> direct_of(int rows) {
  if constexpr (MR == 1) return direct<T, B, 1, NV>;
  else return rows == MR ? direct<T, B, MR, NV> : direct_of<T, B, NV, MR - 1>(rows);
}

template <class T> bool small_packs(const Problem& p) { return p.g.b_col != 1 || p.g.n % Simd<Compute<T>>::width != 0; }

bool accepts_small(const Problem& p) {
  const bool pairs = kPaired<BFloat> && p.g.dtype == DType::bfloat16;  // packed as pairs they soon overtake
  return p.g.k <= 128 && p.g.n <= 64 && p.g.m * p.g.n * p.g.k <= (pairs ? 40 * 40 * 40 : 64 * 64 * 64);
}

int64_t small_bytes(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const int64_t columns = (p.g.n + Simd<S>::width - 1) / Simd<S>::width * Simd<S>::width;
    return small_packs<T>(p) ? columns * p.g.k * int64_t(sizeof(S)) + kPackSlack : 0;
  });
}
int64_t small_scratch(const Problem& p) { return small_bytes(p) * (p.g.batch == 1 ? 1 : p.workers()); }

// b: columns [j, ...) of packed or plain rows
template <class T, class B> void small_columns(const Matrix<T>& x, const B* b, int64_t b_row, int64_t j, int cols, bool plain) {
  using S = Compute<T>;
  constexpr int W = Simd<S>::width;
  const int vectors = cols <= W ? 1 : 2;
  for (int64_t i = 0; i < x.m;) {
    const int rows = x.m - i < kDirectRows ? int(x.m - i) : kDirectRows;
    const Direct<T, B> run = vectors == 1 ? direct_of<T, B, 1>(rows) : direct_of<T, B, 2>(rows);
    const T* a = x.a + i * x.a_row;
    T* c = x.c + i * x.c_row + j * x.c_col;
    bool done = false;
    if constexpr (sizeof(T) == sizeof(S)) {
      if (plain && cols == vectors * W) {
        run(x.k, a, x.a_row, x.a_col, b, b_row, c, x.c_row);
        done = true;
      }
    }
    if (!done) {
      alignas(64) S buffer[kDirectRows * 2 * W];
      run(x.k, a, x.a_row, x.a_col, b, b_row, buffer, vectors * W);
      merge<T>(buffer, vectors * W, rows, cols, c, x.c_row, x.c_col, nullptr, 0, 1, i, j, x.e, {true, true});
    }
    i += rows;
  }
}

template <class T> void small_matrix(const Matrix<T>& x, bool packs, char* scratch) {
  using S = Compute<T>;
  constexpr int64_t W = Simd<S>::width;
  const bool plain = x.e.plain() && x.c_col == 1;
  for (int64_t j = 0; j < x.n; j += 2 * W) {
    const int cols = x.n - j < 2 * W ? int(x.n - j) : int(2 * W);
    if (packs) {
      S* packed = reinterpret_cast<S*>(scratch);
      const int64_t lead = cols <= W ? W : 2 * W;
      pack_strip<T, S>(packed, lead, x.b + j * x.b_col, cols, x.k, x.b_col, x.b_row);
      small_columns<T, S>(x, packed, lead, j, cols, plain);
    } else {
      small_columns<T, T>(x, x.b + j, x.b_row, j, cols, plain);
    }
  }
}

void run_small(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const bool packs = small_packs<T>(p);
    const int64_t bytes = small_bytes(p);
    auto matrices = [&](int64_t begin, int64_t end, int worker) {
      const Flush flush;
      for (int64_t index = begin; index < end; ++index)
        small_matrix<T>(matrix<T>(p, index), packs, scratch + worker * bytes);
    };
    for_tasks(p.g.batch, p.g.m * p.g.n * p.g.k / 8 + 64, p.g.batch > 1 && !p.alone, matrices);
  });
}

// ---- few rows against columns that lie along memory (a small batch through a linear layer): b is read once, from where it
// lies, instead of being packed for rows too few to pay for it. Four rows against four columns are 16 multiply-adds for 8
// loads; the columns stay in L1 for all the rows. 32x1024 by 1024x1024 takes two thirds of what it takes packed.
constexpr int kFewRows = 8, kMoreRows = 64, kRowsAtOnce = 4;
constexpr int64_t kRowsBlock = 64;  // columns of one task

// y[i, j] = x[i, :] . b[:, j]; four columns against MR rows, 4 * MR sums
template <class T, int MR>
void dot_rows(int64_t k, int columns, const Compute<T>* x, int64_t x_row, const T* b, int64_t b_col, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width, kColumns = 4;
  const T* at[kColumns];
  for (int c = 0; c < kColumns; ++c) at[c] = b + (c < columns ? c : 0) * b_col;
  typename D::V sum[MR][kColumns];
  for (int i = 0; i < MR; ++i)
    for (int c = 0; c < kColumns; ++c) sum[i][c] = D::zero();
  int64_t p = 0;
  for (; p + W <= k; p += W) {
    typename D::V column[kColumns];
    for (int c = 0; c < kColumns; ++c) column[c] = D::load(at[c] + p);
    for (int i = 0; i < MR; ++i) {
      const typename D::V row = D::load(x + i * x_row + p);
      for (int c = 0; c < kColumns; ++c) sum[i][c] = D::fma(row, column[c], sum[i][c]);
    }
  }
  if (const int rest = int(k - p)) {
    for (int i = 0; i < MR; ++i) {
      const typename D::V row = D::load(x + i * x_row + p, rest);
      for (int c = 0; c < kColumns; ++c) sum[i][c] = D::fma(row, D::load(at[c] + p, rest), sum[i][c]);
    }
  }
  for (int i = 0; i < MR; ++i)
    for (int c = 0; c < columns; ++c) y[i * kRowsBlock + c] = D::sum(sum[i][c]);
}

// Rows beyond a few only where k is long enough to pay for adding up the lanes, and not where pairs are twice as fast.
bool accepts_rows(const Problem& p) {
  if (p.g.b_row != 1 || p.g.b_col == 1 || p.g.m > kMoreRows) return false;
  return p.g.m <= kFewRows || (p.g.k >= 256 && !(kPaired<BFloat> && p.g.dtype == DType::bfloat16));
}

template <class T> int64_t rows_bytes(const GemmArgs& g) {  // the rows, converted and contiguous
  if (sizeof(T) == sizeof(Compute<T>) && g.a_col == 1) return 0;
  return round_up(g.m * g.k * int64_t(sizeof(Compute<T>)), 64);
}

int64_t rows_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t { return rows_bytes<typename decltype(type)::type>(p.g); });
}

void run_rows(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> g = matrix<T>(p, index);
      const S* rows = reinterpret_cast<const S*>(scratch);
      int64_t x_row = g.k;
      if (rows_bytes<T>(p.g)) {
        for (int64_t i = 0; i < g.m; ++i) contiguous<T>(g.k, g.a + i * g.a_row, g.a_col, reinterpret_cast<S*>(scratch) + i * g.k);
      } else if constexpr (sizeof(T) == sizeof(S)) {
        rows = g.a;
        x_row = g.a_row;
      }
      auto columns = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t j = begin * kRowsBlock; j < end * kRowsBlock && j < g.n; j += kRowsBlock) {
          const int n = g.n - j < kRowsBlock ? int(g.n - j) : int(kRowsBlock);
          alignas(64) S y[kMoreRows * kRowsBlock + Simd<S>::width];
          for (int q = 0; q < n; q += 4) {
            const int four = n - q < 4 ? n - q : 4;
            const T* const b = g.b + (j + q) * g.b_col;
            for (int64_t i = 0; i < g.m; i += kRowsAtOnce) {
              const S* const x = rows + i * x_row;
              S* const to = y + i * kRowsBlock + q;
              switch (g.m - i) {
                case 1: dot_rows<T, 1>(g.k, four, x, x_row, b, g.b_col, to); break;
                case 2: dot_rows<T, 2>(g.k, four, x, x_row, b, g.b_col, to); break;
                case 3: dot_rows<T, 3>(g.k, four, x, x_row, b, g.b_col, to); break;
                default: dot_rows<T, 4>(g.k, four, x, x_row, b, g.b_col, to); break;
              }
            }
          }
          merge<T>(y, kRowsBlock, int(g.m), n, g.c + j * g.c_col, g.c_row, g.c_col, nullptr, 0, 1, 0, j, g.e, {true, true});
        }
      };
      for_tasks((g.n + kRowsBlock - 1) / kRowsBlock, kRowsBlock * g.k * g.m / 8, !p.alone, columns);
    }
  });
}

// ---- blocked: five loops. Columns in blocks of nc, depth in blocks of kDepth: the panel of b is packed once and shared;
// then a grid of (row block, column group) tasks, each packing its row block of a beside the core that uses it.
struct Blocks {
  int64_t mr, mc, nc, kc;       // rows of a strip, rows and columns of a block, depth of a block in elements
  int64_t a_bytes, b_bytes, sums_bytes;
};

template <class T> Blocks blocks_of(int64_t m, int64_t n, int64_t k, bool complete) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>, size = sizeof(S);
  const Caches& cache = caches();
  Blocks x;
  x.kc = k < kDepth<S> * kWord<T> ? k : kDepth<S> * kWord<T>;
  x.mr = strip_rows(m);
  int64_t most = cache.l2 / 2 / (kDepth<S> * size) / x.mr * x.mr;  // a block of a takes half of L2
  if (most < x.mr) most = x.mr;
  const int64_t row_blocks = (m + most - 1) / most, strips = (m + x.mr - 1) / x.mr;
  x.mc = (strips + row_blocks - 1) / row_blocks * x.mr;
  int64_t widest = cache.l3 / 4 / (kDepth<S> * size) / NR * NR;  // a panel of b takes a quarter of L3
  widest = widest < 8 * NR ? 8 * NR : widest > 4096 ? 4096 : widest;
  const int64_t column_blocks = (n + widest - 1) / widest, panels = (n + NR - 1) / NR;
  x.nc = (panels + column_blocks - 1) / column_blocks * NR;
  x.a_bytes = round_up(64 + x.mc * words<T>(x.kc) * size + kPackSlack, 64);
  x.b_bytes = round_up(x.nc * words<T>(x.kc) * size + kPackSlack, 64);
  x.sums_bytes = sizeof(T) != sizeof(S) && complete && k > x.kc ? round_up(m * x.nc * size, 64) : 0;
  return x;
}

template <class T> void blocked(Matrix<T> x, const Blocks& z, bool parallel, char* scratch) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>;
  S* const b_packed = reinterpret_cast<S*>(scratch);
  char* const own_sums = scratch + z.b_bytes;
  char* const a_scratch = own_sums + z.sums_bytes;
  const bool plain = x.e.plain() || !x.complete;
  for (int64_t jc = 0; jc < x.n; jc += z.nc) {
    const int64_t n = x.n - jc < z.nc ? x.n - jc : z.nc, panels = (n + NR - 1) / NR;
    if (z.sums_bytes) {
      x.sums = reinterpret_cast<S*>(own_sums) - jc;
      x.sums_row = n;
      x.sums_col = 1;
    }
    for (int64_t pc = 0; pc < x.k; pc += z.kc) {
      const int64_t k = x.k - pc < z.kc ? x.k - pc : z.kc;
      const int64_t depth = words<T>(k);
      const Part part{pc == 0, x.complete && pc + k == x.k};
      auto pack_b = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t panel = begin; panel < end; ++panel) {
          const int64_t j = panel * NR;
          const int cols = n - j < NR ? int(n - j) : int(NR);
          const int64_t lead = cols <= Simd<S>::width ? Simd<S>::width : NR;
          pack_words<T>(b_packed + j * depth, lead, x.b + pc * x.b_row + (jc + j) * x.b_col, cols, k, x.b_col, x.b_row);
        }
      };
      for_tasks(panels, NR * k, parallel, pack_b);

      const int64_t row_blocks = (x.m + z.mc - 1) / z.mc;
      int64_t groups = (16 + row_blocks - 1) / row_blocks;
      if (groups > panels) groups = panels;
      const int workers = parallel ? num_threads() : 1;
      for (int w = 0; w < workers; ++w) *reinterpret_cast<int64_t*>(a_scratch + w * z.a_bytes) = -1;
      auto multiply = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        int64_t* const packed_block = reinterpret_cast<int64_t*>(a_scratch + worker * z.a_bytes);
        S* const a_packed = reinterpret_cast<S*>(packed_block + 8);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t block = task / groups, group = task % groups, ic = block * z.mc;
          const int64_t m = x.m - ic < z.mc ? x.m - ic : z.mc;
          if (*packed_block != block) {
            for (int64_t i = 0; i < m; i += z.mr) {
              const int rows = int(m - i < z.mr ? m - i : z.mr);
              pack_words<T>(a_packed + i * depth, rows, x.a + (ic + i) * x.a_row + pc * x.a_col, rows, k, x.a_row, x.a_col);
            }
            *packed_block = block;
          }
          for (int64_t panel = panels * group / groups; panel < panels * (group + 1) / groups; ++panel) {
            const int64_t j = jc + panel * NR;
            const int cols = jc + n - j < NR ? int(jc + n - j) : int(NR);
            for (int64_t i = 0; i < m; i += z.mr) {
              const int rows = int(m - i < z.mr ? m - i : z.mr);
              product<T>(depth, a_packed + i * depth, rows, b_packed + panel * NR * depth, cols,
                         x.c + (ic + i) * x.c_row + j * x.c_col, x.c_row, x.c_col,
                         x.sums ? x.sums + (ic + i) * x.sums_row + j * x.sums_col : nullptr, x.sums_row, x.sums_col, ic + i,
                         j, x.e, part, plain);
            }
          }
        }
      };
      for_tasks(row_blocks * groups, x.m * n * k / (row_blocks * groups) / 8, parallel, multiply);
    }
  }
}

// Many matrices, or small ones: whole matrices are the tasks. Few large ones: one after the other, each cut up.
bool by_matrix(const Problem& p) {
  return p.g.batch > 1 && (p.g.batch >= 16 || p.g.m * p.g.n * p.g.k <= 192 * 192 * 192);
}

bool accepts_all(const Problem&) { return true; }

int64_t blocked_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    const Blocks z = blocks_of<T>(p.g.m, p.g.n, p.g.k, true);
    if (by_matrix(p)) return p.workers() * (z.b_bytes + z.sums_bytes + z.a_bytes);
    return z.b_bytes + z.sums_bytes + p.workers() * z.a_bytes;
  });
}

void run_blocked(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const Blocks z = blocks_of<T>(p.g.m, p.g.n, p.g.k, true);
    if (!by_matrix(p)) {
      for (int64_t index = 0; index < p.g.batch; ++index) blocked<T>(matrix<T>(p, index), z, !p.alone, scratch);
      return;
    }
    const int64_t bytes = z.b_bytes + z.sums_bytes + z.a_bytes;
    auto matrices = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t index = begin; index < end; ++index) blocked<T>(matrix<T>(p, index), z, false, scratch + worker * bytes);
    };
    for_tasks(p.g.batch, p.g.m * p.g.n * p.g.k / 8, !p.alone, matrices);
  });
}

// ---- K much larger than the result: chunks of k are the tasks, their sums are added in order
constexpr int64_t kChunks = 64;

template <class T> int64_t chunk_of(int64_t k) {  // whole blocks of depth, at least 2048 of k
  constexpr int64_t depth = kDepth<Compute<T>> * kWord<T>;
  const int64_t chunk = (k + kChunks - 1) / kChunks;
  return chunk < 2048 ? 2048 : round_up(chunk, depth);
}

bool accepts_deep(const Problem& p) {
  const int64_t outputs = p.g.m * p.g.n * p.g.batch;
  return p.g.k >= 8192 && outputs <= (p.g.m == 1 ? 1024 : 128 * 128);
}

template <class T> struct Deep {
  int64_t chunk, chunks, sums_bytes, worker_bytes;
  Blocks z;
  explicit Deep(const GemmArgs& g) {
    using S = Compute<T>;
    chunk = chunk_of<T>(g.k);
    chunks = (g.k + chunk - 1) / chunk;
    sums_bytes = round_up(g.m * g.n * int64_t(sizeof(S)), 64);
    z = blocks_of<T>(g.m, g.n, chunk, false);
    worker_bytes = z.a_bytes + z.b_bytes;
    const int64_t row = round_up(chunk * int64_t(sizeof(S)), 64);
    if (worker_bytes < row) worker_bytes = row;
  }
};

int64_t deep_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    const Deep<typename decltype(type)::type> d(p.g);
    return d.chunks * d.sums_bytes + p.workers() * d.worker_bytes;
  });
}

void run_deep(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const Deep<T> d(p.g);
    char* const worker_scratch = scratch + d.chunks * d.sums_bytes;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> x = matrix<T>(p, index);
      auto chunks = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        char* const own = worker_scratch + worker * d.worker_bytes;
        for (int64_t c = begin; c < end; ++c) {
          Matrix<T> part = x;
          part.k = x.k - c * d.chunk < d.chunk ? x.k - c * d.chunk : d.chunk;
          part.a += c * d.chunk * x.a_col;
          part.b += c * d.chunk * x.b_row;
          part.sums = reinterpret_cast<S*>(scratch + c * d.sums_bytes);
          part.sums_row = x.n;
          part.sums_col = 1;
          part.complete = false;
          part.e = Epilogue<T>{S(1), S(0), nullptr, 0, nullptr, 0, Activation::none};
          if (accepts_vector(p)) {
            contiguous<T>(part.k, part.a, part.a_col, reinterpret_cast<S*>(own));
            vector_columns<T>(part, reinterpret_cast<const S*>(own), 0, part.n);
            continue;
          }
          if constexpr (sizeof(T) == sizeof(S)) {  // the sums are the microkernel's result
            part.c = part.sums;
            part.c_row = x.n;
            part.c_col = 1;
          }
          blocked<T>(part, d.z, false, own);
        }
      };
      for_tasks(d.chunks, x.m * x.n * d.chunk / 8, !p.alone, chunks);
      const Flush flush;
      S* const total = reinterpret_cast<S*>(scratch);
      for (int64_t c = 1; c < d.chunks; ++c) {
        const S* part = reinterpret_cast<const S*>(scratch + c * d.sums_bytes);
        for (int64_t i = 0; i < x.m * x.n; ++i) total[i] += part[i];
      }
      for (int64_t i = 0; i < x.m; ++i)
        for (int64_t j = 0; j < x.n; j += kVectorBlock) {
          const int n = x.n - j < kVectorBlock ? int(x.n - j) : int(kVectorBlock);
          alignas(64) S row[kVectorBlock] = {};
          memcpy(row, total + i * x.n + j, sizeof(S) * size_t(n));
          merge<T>(row, 0, 1, n, x.c + i * x.c_row + j * x.c_col, x.c_row, x.c_col, nullptr, 0, 1, i, j, x.e, {true, true});
        }
    }
  });
}

// ---- the list
struct Implementation {
  const char* name;
  bool (*accepts)(const Problem&);
  int64_t (*scratch)(const Problem&);
  void (*run)(const Problem&, char* scratch);
};

constexpr Implementation kImplementations[] = {
    {"empty", accepts_empty, no_scratch, run_empty},
    {"integer", accepts_integer, no_scratch, run_integer},
    {"deep", accepts_deep, deep_scratch, run_deep},
    {"vector", accepts_vector, vector_scratch, run_vector},
    {"small", accepts_small, small_scratch, run_small},
    {"rows", accepts_rows, rows_scratch, run_rows},
    {"blocked", accepts_all, blocked_scratch, run_blocked},
};

const Implementation& choose(const Problem& p) {
  const Implementation* x = kImplementations;
  while (!x->accepts(p)) ++x;
  return *x;
}

}  // namespace

int64_t gemm_scratch(const GemmArgs& args) {
  const Problem p = normalised(args);
  return choose(p).scratch(p);
}

void gemm(const GemmArgs& args, void* scratch) {
  const Problem p = normalised(args);
  choose(p).run(p, static_cast<char*>(scratch));
}

int64_t gemm_alone_scratch(const GemmArgs& args) {
  const Problem p = normalised(args, true);
  return choose(p).scratch(p);
}

void gemm_alone(const GemmArgs& args, void* scratch) {
  const Problem p = normalised(args, true);
  choose(p).run(p, static_cast<char*>(scratch));
}

const char* gemm_implementation(const GemmArgs& args) { return choose(normalised(args)).name; }

// ---- activations of the epilogue: the elementwise functions themselves
namespace {

template <Unary function, class S> void in_place(S* x, int64_t n, int64_t rows, int64_t lead) {
  constexpr int W = Vec<S>::width;
  for (int64_t r = 0; r < rows; ++r, x += lead)
    for (int64_t i = 0; i < n; i += W) {
      const int lanes = n - i < W ? int(n - i) : W;
      Function<function>::value(Vec<S>::load(x + i, lanes), Params{}).store(x + i, lanes);
    }
}

template <class S> void apply(Activation activation, S* x, int64_t n, int64_t rows, int64_t lead) {
  const Gradual gradual;
  switch (activation) {
    case Activation::relu: return in_place<Unary::relu>(x, n, rows, lead);
    case Activation::tanh: return in_place<Unary::tanh>(x, n, rows, lead);
    case Activation::sigmoid: return in_place<Unary::sigmoid>(x, n, rows, lead);
    case Activation::gelu: return in_place<Unary::gelu>(x, n, rows, lead);
    case Activation::gelu_tanh: return in_place<Unary::gelu_tanh>(x, n, rows, lead);
    case Activation::silu: return in_place<Unary::silu>(x, n, rows, lead);
    case Activation::none: return;
  }
}

}  // namespace

void activate(Activation activation, float* x, int64_t n, int64_t rows, int64_t lead) { apply(activation, x, n, rows, lead); }
void activate(Activation activation, double* x, int64_t n, int64_t rows, int64_t lead) { apply(activation, x, n, rows, lead); }

}  // namespace tessel::TESSEL_TARGET
