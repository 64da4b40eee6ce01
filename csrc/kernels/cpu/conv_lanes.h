// Lanes of two neighbouring vectors: every other one of both, and both laid one between the other. What a step of two
// between columns needs, coming in and going out. Used by conv_gather.h and conv_depthwise.cpp.
#pragma once
#include "kernels/cpu/gemm_simd.h"

namespace tessel::TESSEL_TARGET {

// a[0], a[2], ..., b[0], b[2], ...
template <class S> inline typename Simd<S>::V even_lanes(typename Simd<S>::V a, typename Simd<S>::V b) {
#if defined(__AVX512F__)
  if constexpr (same<S, float>)
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), b);
  else
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
#elif defined(__AVX2__)
  if constexpr (same<S, float>)
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
  else
    return _mm256_permute4x64_pd(_mm256_unpacklo_pd(a, b), 0xd8);
#else
  constexpr int W = Simd<S>::width;
  typename Simd<S>::V even;
  for (int i = 0; i < W; ++i) even[i] = 2 * i < W ? a[2 * i] : b[2 * i - W];
  return even;
#endif
}

// a[1], a[3], ..., b[1], b[3], ...
template <class S> inline typename Simd<S>::V odd_lanes(typename Simd<S>::V a, typename Simd<S>::V b) {
#if defined(__AVX512F__)
  if constexpr (same<S, float>)
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), b);
  else
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
#elif defined(__AVX2__)
  if constexpr (same<S, float>)
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8));
  else
    return _mm256_permute4x64_pd(_mm256_unpackhi_pd(a, b), 0xd8);
#else
  constexpr int W = Simd<S>::width;
  typename Simd<S>::V odd;
  for (int i = 0; i < W; ++i) odd[i] = 2 * i + 1 < W ? a[2 * i + 1] : b[2 * i + 1 - W];
  return odd;
#endif
}

// Elements [at, at + width) of a row, zeros where it has none.
template <class T> inline typename Simd<Compute<T>>::V load_inside(const T* row, int64_t at, int64_t size) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  if (at >= 0 && at + W <= size) return D::load(row + at);
  if (at >= size || at + W <= 0) return D::zero();
  if (at >= 0) return D::load(row + at, int(size - at));
  const int first = int(-at), last = size - at < W ? int(size - at) : W;
#if defined(__AVX512F__)
  const __mmask16 mask = __mmask16((1u << last) - (1u << first));
  if constexpr (same<T, float>) return _mm512_maskz_loadu_ps(mask, row + at);
  if constexpr (same<T, Half>) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + at));
  if constexpr (same<T, BFloat>) return Vec<float>::widen(_mm256_maskz_loadu_epi16(mask, row + at));
#endif
  T lanes[W] = {};
  memcpy(lanes + first, row, size_t(last - first) * sizeof(T));
  return D::load(lanes);
}

// a[0], b[0], a[1], b[1], ...: the lower half, then the upper
template <class S> inline void weave_lanes(typename Simd<S>::V a, typename Simd<S>::V b, typename Simd<S>::V* woven) {
#if defined(__AVX512F__)
  if constexpr (same<S, float>) {
    woven[0] = _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), b);
    woven[1] = _mm512_permutex2var_ps(a, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), b);
  } else {
    woven[0] = _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b);
    woven[1] = _mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b);
  }
#elif defined(__AVX2__)
  if constexpr (same<S, float>) {
    const __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
    woven[0] = _mm256_permute2f128_ps(low, high, 0x20);
    woven[1] = _mm256_permute2f128_ps(low, high, 0x31);
  } else {
    const __m256d low = _mm256_unpacklo_pd(a, b), high = _mm256_unpackhi_pd(a, b);
    woven[0] = _mm256_permute2f128_pd(low, high, 0x20);
    woven[1] = _mm256_permute2f128_pd(low, high, 0x31);
  }
#else
  constexpr int W = Simd<S>::width;
  for (int i = 0; i < 2 * W; ++i) woven[i / W][i % W] = i % 2 ? b[i / 2] : a[i / 2];
#endif
}

}  // namespace tessel::TESSEL_TARGET
