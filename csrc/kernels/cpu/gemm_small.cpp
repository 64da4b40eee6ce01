// Small products: a is read where it lies, b too if its rows are whole vectors, else packed first.
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_ways.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

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

int64_t small_bytes(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const int64_t columns = (p.g.n + Simd<S>::width - 1) / Simd<S>::width * Simd<S>::width;
    return small_packs<T>(p) ? columns * p.g.k * int64_t(sizeof(S)) + kPackSlack : 0;
  });
}

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

}  // namespace

bool accepts_small(const Problem& p) {
  const bool pairs = kPaired<BFloat> && p.g.dtype == DType::bfloat16;  // packed as pairs they soon overtake
  return p.g.k <= 128 && p.g.n <= 64 && p.g.m * p.g.n * p.g.k <= (pairs ? 40 * 40 * 40 : 64 * 64 * 64);
}

int64_t small_scratch(const Problem& p) { return small_bytes(p) * (p.g.batch == 1 ? 1 : p.workers()); }

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

}  // namespace tessel::TESSEL_TARGET
