// Products of blocks that lie in the caches, unpacked, and the powers of two of a softmax. Used by attention.
#pragma once
#include "kernels/cpu/gemm_simd.h"
#include "kernels/cpu/math.h"

namespace tessel::TESSEL_TARGET {

// c [m, n] = a [m, k] b [k, n]: columns of b and c lie along memory, n is a multiple of the vector width. The elements of a
// are broadcast; they lie along k (by_rows) or along m.
enum class Begin : uint8_t { zero, add, scaled };  // what the sums are added to: nothing, c, or c times a factor for each column

// The register budget. MR x NV sums, NV of b and one broadcast:
//   avx512: 8 x 2 + 2 + 1 = 19 of 32       avx2: 6 x 2 + 2 + 1 = 15 of 16       scalar: 4 x 2 + 2 + 1 + 2 products = 13 of 16
// Rows of a that lie apart need an address each, so avx512 leaves registers idle: on 64 x 64 blocks 8 x 2 reaches 113 of a core's
// 117 GFLOP/s, 8 x 3 reaches 111, 6 x 4 reaches 107 and 12 x 2, whose addresses are spilled, 101.
#if defined(__AVX512F__)
constexpr int kBlockRows = 8;
#elif defined(__AVX2__)
constexpr int kBlockRows = 6;
#else
constexpr int kBlockRows = 4;
#endif

template <class S, bool by_rows, int MR, int NV>
inline void block_tile(int64_t k, const S* a, int64_t a_step, const S* b, int64_t b_row, S* c, int64_t c_row, Begin begin,
                       const S* factor) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) sum[i][v] = D::zero();
  const S* row_of[MR];
  for (int i = 0; i < MR; ++i) row_of[i] = by_rows ? a + i * a_step : a + i;
  for (int64_t p = 0; p < k; ++p, b += b_row) {
    typename D::V row[NV];
    for (int v = 0; v < NV; ++v) row[v] = D::load(b + v * W);
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(by_rows ? row_of[i][p] : row_of[0][i]);
      for (int v = 0; v < NV; ++v) sum[i][v] = D::fma(x, row[v], sum[i][v]);
    }
    if (!by_rows) row_of[0] += a_step;
  }
  if (begin == Begin::zero) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, sum[i][v]);
    return;
  }
  typename D::V f[NV];
  for (int v = 0; v < NV; ++v) f[v] = begin == Begin::scaled ? D::load(factor + v * W) : D::set(S(1));
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, D::fma(D::load(c + i * c_row + v * W), f[v], sum[i][v]));
}

// NV vectors of columns, all rows: in strips as tall as the registers allow, then 4, 2 and 1.
template <class S, bool by_rows, int NV>
TESSEL_NOINLINE void block_columns(int64_t m, int64_t k, const S* a, int64_t a_step, const S* b, int64_t b_row, S* c, int64_t c_row,
                                   Begin begin, const S* factor) {
  constexpr int MR = NV == 2 ? kBlockRows : 8;
  const int64_t a_row = by_rows ? a_step : 1;
  int64_t i = 0;
  for (; i + MR <= m; i += MR) block_tile<S, by_rows, MR, NV>(k, a + i * a_row, a_step, b, b_row, c + i * c_row, c_row, begin, factor);
  if (m - i >= 4) {
    block_tile<S, by_rows, 4, NV>(k, a + i * a_row, a_step, b, b_row, c + i * c_row, c_row, begin, factor);
    i += 4;
  }
  if (m - i >= 2) {
    block_tile<S, by_rows, 2, NV>(k, a + i * a_row, a_step, b, b_row, c + i * c_row, c_row, begin, factor);
    i += 2;
  }
  if (m - i >= 1) block_tile<S, by_rows, 1, NV>(k, a + i * a_row, a_step, b, b_row, c + i * c_row, c_row, begin, factor);
}

template <class S, bool by_rows>
void multiply(int64_t m, int64_t n, int64_t k, const S* a, int64_t a_step, const S* b, int64_t b_row, S* c, int64_t c_row,
              Begin begin, const S* factor = nullptr) {
  constexpr int64_t W = Simd<S>::width;
  for (int64_t j = 0; j < n; j += 2 * W) {
    const S* const f = begin == Begin::scaled ? factor + j : nullptr;
    if (n - j > W) block_columns<S, by_rows, 2>(m, k, a, a_step, b + j, b_row, c + j, c_row, begin, f);
    else block_columns<S, by_rows, 1>(m, k, a, a_step, b + j, b_row, c + j, c_row, begin, f);
  }
}

// 2^x for x <= 0 or little above: 2^n 2^r, |r| <= 1/2, the second factor a minimax polynomial within 2e-9. A NaN passes;
// -inf gives 0.
inline Vec<float> power_of_two(Vec<float> x) {
  using V = Vec<float>;
  x = greatest(V(-127), x);
  const V n = rint(x), r = x - n;
  const V y = polynomial(r, 1.0, 0.6931472028550494, 0.24022647913631395, 0.0555033247115252, 0.009618437357492175,
                         0.0013398874405682155, 0.00015353361937292);
#if defined(__AVX512F__)
  return scale(y, n);
#else
  return y * pow2(n);  // of -127: 0
#endif
}
inline Vec<double> power_of_two(Vec<double> x) { return exp2(x); }

}  // namespace tessel::TESSEL_TARGET
