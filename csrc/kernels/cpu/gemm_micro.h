// The microkernel: a tile of C, MR rows by NV vectors, held in registers over the whole depth of a packed strip of A and
// a packed panel of B; and the merge of a finished tile into memory. Used by GEMM and conv.
#pragma once
#include "kernels/cpu/gemm_simd.h"
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

// The register budget. Per step of k the tile costs NV loads of B, MR broadcasts of A and MR * NV fused multiply-adds.
//   avx512: 14 x 2 accumulators + 2 of B + 1 broadcast = 31 of 32 registers
//   avx2:    6 x 2 accumulators + 2 of B + 1 broadcast = 15 of 16
//   scalar:  4 x 2 accumulators + 2 of B + 1 broadcast + 2 products = 13 of 16 (32 on Arm)
#if defined(__AVX512F__)
constexpr int kTileRows = 14;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;
template <class S> constexpr int kTileCols = kTileVectors * Simd<S>::width;

// The depth of a block in words: it cuts the sum over k, so it is a constant and not the cache's affair. A strip of A is
// kDepth x kTileRows words, 28 KB in avx512, and stays in L1; a panel of B, kDepth x kTileCols words, 64 KB in avx512 and 32
// KB in avx2, comes from L2 at 128 bytes per 28 multiply-adds. Twice the depth of a panel that fits L1: with sums passed
// through memory half as often, float32 1024^3 gains 5 % and bfloat16 36 %.
template <class S> constexpr int64_t kDepth = 2048 / sizeof(S);

// A panel is made of words of the compute type. A word is a number, or, where the processor multiplies pairs of bfloat16
// into a float32 sum (AVX512_BF16), two neighbours along k, the earlier one below. Such a product is exact and the sum is
// rounded as a fused multiply-add's: twice the speed, and the accuracy of float32.
#if defined(__AVX512BF16__)
template <class T> constexpr bool kPaired = same<T, BFloat>;
#else
template <class T> constexpr bool kPaired = false;
#endif
template <class T> constexpr int64_t kWord = kPaired<T> ? 2 : 1;  // elements of k in a word
template <class T> constexpr int64_t words(int64_t k) { return (k + kWord<T> - 1) / kWord<T>; }

// sum + a * b of words
template <bool paired, class S> inline typename Simd<S>::V multiply_add(typename Simd<S>::V a, typename Simd<S>::V b, typename Simd<S>::V sum) {
#if defined(__AVX512BF16__)
  if constexpr (paired) return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  else
#endif
    return Simd<S>::fma(a, b, sum);
}

// c[MR, NV vectors] = a strip @ b panel, or += when `add`. a: [k, MR], b: [k, NV vectors], in k words; whole vectors of c. Where c
// is of 16 bits (T), the sums are rounded on the way and nothing is added.
template <class S, int MR, int NV, bool paired, class T>
void tile(int64_t k, const S* a, const S* b, T* c, int64_t c_row, bool add) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  for (int i = 0; i < MR; ++i) {
    __builtin_prefetch(c + i * c_row, 1);
    for (int v = 0; v < NV; ++v) sum[i][v] = D::zero();
  }
  for (int64_t p = 0; p < k; ++p, a += MR, b += NV * W) {
    typename D::V row[NV];
    for (int v = 0; v < NV; ++v) row[v] = D::load(b + v * W);
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(a[i]);
      for (int v = 0; v < NV; ++v) sum[i][v] = multiply_add<paired, S>(x, row[v], sum[i][v]);
    }
  }
  if (sizeof(S) == sizeof(T) && add) {
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, D::load(c + i * c_row + v * W) + sum[i][v]);
  } else {
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, sum[i][v]);
  }
}

template <class S, class T = S> using Tile = void (*)(int64_t k, const S* a, const S* b, T* c, int64_t c_row, bool add);

template <class S, int NV, bool paired = false, class T = S, int MR = kTileRows> Tile<S, T> tile_of(int rows) {
  if constexpr (MR == 1) return tile<S, 1, NV, paired, T>;
  else return rows == MR ? tile<S, MR, NV, paired, T> : tile_of<S, NV, paired, T, MR - 1>(rows);
}

// Rows are shared out evenly: 16 rows are two strips of 8, not 14 + 2.
inline int strip_rows(int64_t m) {
  const int64_t strips = (m + kTileRows - 1) / kTileRows;
  return strips ? int((m + strips - 1) / strips) : 1;
}

// What becomes of the sums of a product: where they go, and what is done to them when they are complete.
template <class T> struct Epilogue {
  using S = Compute<T>;
  S alpha, beta;              // beta == 0: the old value is not read
  const T* bias_row;          // bias_row[i * bias_row_stride], or null
  int64_t bias_row_stride;
  const T* bias_col;          // bias_col[j * bias_col_stride], or null
  int64_t bias_col_stride;
  Activation activation;
  T* before = nullptr;        // the result without the activation, laid out as c; null: not kept

  bool plain() const { return alpha == S(1) && beta == S(0) && !bias_row && !bias_col && activation == Activation::none; }
};

// A part of k: is it the first, so that nothing has been summed yet; is it the last, so that the result is complete?
struct Part { bool first, last; };

// In place, the elementwise functions themselves, denormals and all: `rows` times n values, `lead` apart.
void activate(Activation activation, float* x, int64_t n, int64_t rows = 1, int64_t lead = 0);
void activate(Activation activation, double* x, int64_t n, int64_t rows = 1, int64_t lead = 0);

// n values of a row in the compute type, to where they belong. Not by Simd's stores, which may flush a denormal bfloat16.
template <class T> void put_row(const Compute<T>* from, int n, T* to, int64_t stride) {
  constexpr int W = Simd<Compute<T>>::width;
  int q = 0;
  if (stride == 1)
    for (; q + W <= n; q += W) Simd<Compute<T>>::store_exact(to + q, Simd<Compute<T>>::load(from + q));
  for (; q < n; ++q) narrow(to + q * stride, from[q]);
}

// Merges a tile of sums [rows, cols] (leading dimension `lead`, readable for a vector beyond its end) into c, whose partial
// sums live in `sums` (c itself when T is the compute type). i and j are the tile's place in the result, for the biases.
// An activation sees the complete sums as c would hold them, so that fused it gives the bits it gives apart. relu, which
// rounding commutes with, is taken along; the others go over the tile once more, in L1.
template <class T>
void merge(Compute<T>* from, int64_t lead, int rows, int cols, T* c, int64_t c_row, int64_t c_col, Compute<T>* sums,
           int64_t sums_row, int64_t sums_col, int64_t i, int64_t j, const Epilogue<T>& e, Part part) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  if (part.first && part.last && e.plain()) {  // nothing but a conversion
    const int whole = cols / W * W;
    for (int r = 0; r < rows; ++r) {
      if (c_col != 1) {
        for (int q = 0; q < cols; ++q) narrow(c + r * c_row + q * c_col, from[r * lead + q]);
        continue;
      }
      for (int q = 0; q < whole; q += W) D::store(c + r * c_row + q, D::load(from + r * lead + q));
      if (whole < cols) D::store(c + r * c_row + whole, D::load(from + r * lead + whole), cols - whole);
    }
    return;
  }
  const bool relu = part.last && e.activation == Activation::relu, again = part.last && e.activation != Activation::none && !relu;
  T* const before = part.last && e.before ? e.before + i * c_row + j * c_col : nullptr;
  for (int r = 0; r < rows; ++r) {
    S* x = from + r * lead;
    if (c_col == 1 && (sums_col == 1 || (part.first && part.last))) {
      for (int q = 0; q < cols; q += W) {
        const int n = cols - q < W ? cols - q : W;
        typename D::V v = D::load(x + q);
        if (e.alpha != S(1)) v = v * D::set(e.alpha);
        if (!part.first) v = D::load(sums + r * sums_row + q, n) + v;
        else if (e.beta != S(0)) v = D::set(e.beta) * D::load(c + r * c_row + q, n) + v;
        if (!part.last) {
          D::store(sums + r * sums_row + q, v, n);
          continue;
        }
        if (e.bias_row) v = v + D::set(S(widen(e.bias_row[(i + r) * e.bias_row_stride])));
        if (e.bias_col) {
          if (e.bias_col_stride == 1) {
            v = v + D::load(e.bias_col + j + q, n);
          } else {
            S bias[W];
            for (int l = 0; l < W; ++l) bias[l] = l < n ? S(widen(e.bias_col[(j + q + l) * e.bias_col_stride])) : S(0);
            v = v + D::load(bias);
          }
        }
        if (before) D::store(before + r * c_row + q, v, n);
        if (relu) v = v <= D::zero() ? D::zero() : v;
        if (!again) {
          D::store(c + r * c_row + q, v, n);
          continue;
        }
        if constexpr (sizeof(T) != sizeof(S)) {
          alignas(64) T rounded[W];
          D::store(rounded, v, n);
          v = D::load(rounded, n);
        }
        D::store(x + q, v, n);  // the lanes beyond are another segment's
      }
      continue;
    }
    for (int q = 0; q < cols; ++q) {  // scattered columns, the same arithmetic one by one
      S v = x[q];
      if (e.alpha != S(1)) v = v * e.alpha;
      if (!part.first) v = sums[r * sums_row + q * sums_col] + v;
      else if (e.beta != S(0)) v = e.beta * S(widen(c[r * c_row + q * c_col])) + v;
      if (!part.last) {
        sums[r * sums_row + q * sums_col] = v;
        continue;
      }
      if (e.bias_row) v = v + S(widen(e.bias_row[(i + r) * e.bias_row_stride]));
      if (e.bias_col) v = v + S(widen(e.bias_col[(j + q) * e.bias_col_stride]));
      if (before) narrow(before + r * c_row + q * c_col, v);
      if (relu) v = v <= S(0) ? S(0) : v;
      T rounded;
      narrow(&rounded, v);
      if (again) x[q] = S(widen(rounded));
      else c[r * c_row + q * c_col] = rounded;
    }
  }
  if (!again) return;
  activate(e.activation, from, cols, rows, lead);
  for (int r = 0; r < rows; ++r) put_row<T>(from + r * lead, cols, c + r * c_row, c_col);
}

// One tile of the product of a packed strip (rows lanes) and a packed panel (whole vectors, cols of them wanted), k words.
template <class T>
inline void product(int64_t k, const Compute<T>* a, int rows, const Compute<T>* b, int cols, T* c, int64_t c_row,
                    int64_t c_col, Compute<T>* sums, int64_t sums_row, int64_t sums_col, int64_t i, int64_t j,
                    const Epilogue<T>& e, Part part, bool plain) {
  using S = Compute<T>;
  constexpr int W = Simd<S>::width;
  const int vectors = cols <= W ? 1 : 2;
  if constexpr (sizeof(T) != sizeof(S)) {  // a result that is complete needs no buffer: stacks of a depth of 64 gain 9 %
    if (plain && part.first && part.last && c_col == 1 && cols == vectors * W)
      return (vectors == 1 ? tile_of<S, 1, kPaired<T>, T>(rows) : tile_of<S, 2, kPaired<T>, T>(rows))(k, a, b, c, c_row, false);
  }
  const Tile<S> run = vectors == 1 ? tile_of<S, 1, kPaired<T>>(rows) : tile_of<S, 2, kPaired<T>>(rows);
  if constexpr (sizeof(T) == sizeof(S)) {
    if (plain && c_col == 1 && cols == vectors * W) {
      run(k, a, b, c, c_row, !part.first);
      return;
    }
  } else if (!part.last && sums_col == 1 && cols == vectors * W && e.alpha == S(1) && (e.beta == S(0) || !part.first)) {
    run(k, a, b, sums, sums_row, !part.first);
    return;
  }
  alignas(64) S buffer[kTileRows * kTileCols<S> + W];
  run(k, a, b, buffer, vectors * W, false);
  merge(buffer, vectors * W, rows, cols, c, c_row, c_col, sums, sums_row, sums_col, i, j, e, part);
}

}  // namespace tessel::TESSEL_TARGET
