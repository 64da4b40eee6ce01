// Simd<float> and Simd<double>: vec.h's vectors as GEMM, conv and pooling use them, bare registers by name, with sums over
// lanes and transposes. On the scalar target they are 128 bits wide: the baseline of x86-64 and of 64-bit Arm has those.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

// The type arithmetic is done in.
template <class T> struct ComputeOf { using type = float; };
template <> struct ComputeOf<double> { using type = double; };
template <class T> using Compute = typename ComputeOf<T>::type;

// ---- one element to and from memory. Denormals are flushed where these run, and a half's subnormals are not denormal
// floats, so they must not pass through one: without F16C the bits are moved by integer arithmetic.
inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float widen(BFloat x) { return to_float(x); }
inline float widen(Half x) {
#if defined(__F16C__)
  return _cvtsh_ss(x.bits);
#else
  const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  if (exponent == 31) return bit_cast<float>(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
  if (exponent) return bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = float(int32_t(fraction)) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
#endif
}

inline void narrow(float* to, float x) { *to = x; }
inline void narrow(double* to, double x) { *to = x; }
inline void narrow(BFloat* to, float x) { *to = to_bfloat(x); }
inline void narrow(Half* to, float x) {
#if defined(__F16C__)
  to->bits = uint16_t(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
#else
  *to = to_half(x);
#endif
}

#if defined(__AVX512F__)

inline float sum_lanes(__m512 v) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

// 16 rows become 16 columns: pairs, quads, then whole 128-bit lanes.
inline void transpose(__m512 (&r)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int h = 0; h < 2; ++h) {
      const __m512d x = _mm512_castps_pd(t[i + h]), y = _mm512_castps_pd(t[i + 2 + h]);
      r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
      r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
    }
  for (int c = 0; c < 4; ++c) {  // column c of each lane, rows 0-3, 4-7, 8-11, 12-15
    const __m512 low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    const __m512 low1 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd), high1 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    t[c] = _mm512_shuffle_f32x4(low, high, 0x88);
    t[8 + c] = _mm512_shuffle_f32x4(low, high, 0xdd);
    t[4 + c] = _mm512_shuffle_f32x4(low1, high1, 0x88);
    t[12 + c] = _mm512_shuffle_f32x4(low1, high1, 0xdd);
  }
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}
inline double sum_lanes(__m512d v) {
  const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
  const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
  return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

inline void transpose(__m512d (&r)[8]) {
  __m512d t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
  }
  for (int c = 0; c < 2; ++c) {  // column c of each 128-bit lane
    const __m512d low = _mm512_shuffle_f64x2(t[c], t[2 + c], 0x88), high = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0x88);
    const __m512d low1 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0xdd), high1 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0xdd);
    r[c] = _mm512_shuffle_f64x2(low, high, 0x88);
    r[4 + c] = _mm512_shuffle_f64x2(low, high, 0xdd);
    r[2 + c] = _mm512_shuffle_f64x2(low1, high1, 0x88);
    r[6 + c] = _mm512_shuffle_f64x2(low1, high1, 0xdd);
  }
}

template <class S, class V> inline void store_lanes(S* p, V v, int n) { Vec<S>(v).store(p, n); }

#elif defined(__AVX2__)

inline float sum_lanes(__m256 v) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

inline void transpose(__m256 (&r)[8]) {
  __m256 t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int h = 0; h < 2; ++h) {
      r[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0x44);
      r[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0xee);
    }
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
    t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
  }
  for (int i = 0; i < 8; ++i) r[i] = t[i];
}
inline double sum_lanes(__m256d v) {
  const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

inline void transpose(__m256d (&r)[4]) {
  const __m256d a = _mm256_unpacklo_pd(r[0], r[1]), b = _mm256_unpackhi_pd(r[0], r[1]);
  const __m256d c = _mm256_unpacklo_pd(r[2], r[3]), d = _mm256_unpackhi_pd(r[2], r[3]);
  r[0] = _mm256_permute2f128_pd(a, c, 0x20);
  r[1] = _mm256_permute2f128_pd(b, d, 0x20);
  r[2] = _mm256_permute2f128_pd(a, c, 0x31);
  r[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

// Halves instead of a masked store, which costs a dozen cycles on AMD.
inline void store_lanes(float* p, __m256 v, int n) {
  __m128 q = _mm256_castps256_ps128(v);
  if (n >= 8) { _mm256_storeu_ps(p, v); return; }
  if (n >= 4) { _mm_storeu_ps(p, q); p += 4; n -= 4; q = _mm256_extractf128_ps(v, 1); }
  if (n >= 2) { _mm_storel_pi((__m64*)p, q); p += 2; n -= 2; q = _mm_movehl_ps(q, q); }
  if (n) _mm_store_ss(p, q);
}
inline void store_lanes(double* p, __m256d v, int n) {
  __m128d q = _mm256_castpd256_pd128(v);
  if (n >= 4) { _mm256_storeu_pd(p, v); return; }
  if (n >= 2) { _mm_storeu_pd(p, q); p += 2; n -= 2; q = _mm256_extractf128_pd(v, 1); }
  if (n) _mm_store_sd(p, q);
}

#endif

#if defined(__AVX2__)

template <class S> Vec<S> fused(Vec<S> a, Vec<S> b, Vec<S> c) { return fma(a, b, c); }

template <class S> struct Simd {
  using V = decltype(Vec<S>::v);
  static constexpr int width = Vec<S>::width;
  static V zero() { return V{}; }
  static V set(S x) { return Vec<S>::of(x).v; }
  static V fma(V a, V b, V c) { return fused<S>(a, b, c).v; }
  template <class T> static V load(const T* p) { return Vec<S>::load(p).v; }
  template <class T> static V load(const T* p, int n) { return Vec<S>::load(p, n).v; }
  template <class T> static void store(T* p, V v) { Vec<S>(v).store(p); }
#if defined(__AVX512BF16__)
  static void store(BFloat* p, V v) { _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(v)); }
#endif
  // Whole vectors by a plain store: a masked one of 16-bit lanes costs a hundred cycles on Zen 4.
  template <class T> static void store(T* p, V v, int n) {
    if (n == width) store(p, v);
    else Vec<S>(v).store(p, n);
  }
  static void store(S* p, V v, int n) { store_lanes(p, v, n); }
  template <class T> static void store_exact(T* p, V v) { Vec<S>(v).store(p); }  // denormals too
  static S sum(V v) { return sum_lanes(v); }
  static void transpose(V (&r)[width]) { tessel::TESSEL_TARGET::transpose(r); }
};

#else

// Baseline: 128-bit vectors of the compiler's own kind, which both x86-64 and 64-bit Arm have; product and sum are
// rounded separately, so that both give the same bits.
template <class S> struct Simd {
  typedef S V __attribute__((vector_size(16)));
  static constexpr int width = int(16 / sizeof(S));
  static V zero() { return V{}; }
  static V set(S x) {
    V v;
    for (int i = 0; i < width; ++i) v[i] = x;
    return v;
  }
  static V fma(V a, V b, V c) { return a * b + c; }
  template <class T> static V load(const T* p, int n) {
    V v{};
    for (int i = 0; i < n; ++i) v[i] = widen(p[i]);
    return v;
  }
  static V load(const S* p) { V v; memcpy(&v, p, sizeof v); return v; }
  template <class T> static V load(const T* p) { return load(p, width); }
  static void store(S* p, V v) { memcpy(p, &v, sizeof v); }
  template <class T> static void store(T* p, V v) { store(p, v, width); }
  template <class T> static void store(T* p, V v, int n) {
    for (int i = 0; i < n; ++i) narrow(p + i, v[i]);
  }
  template <class T> static void store_exact(T* p, V v) { store(p, v); }
  static S sum(V v) {
    if constexpr (width == 2) return v[0] + v[1];
    else return (v[0] + v[2]) + (v[1] + v[3]);
  }
  static void transpose(V (&r)[width]) {
    for (int i = 0; i < width; ++i)
      for (int j = 0; j < i; ++j) { const S x = r[i][j]; r[i][j] = r[j][i]; r[j][i] = x; }
  }
};

#endif

}  // namespace tessel::TESSEL_TARGET
