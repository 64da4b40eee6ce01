// The few vector verbs that GEMM, conv and pooling are written in: Simd<float> and Simd<double>, one width per target.
// Memory may be float, double, bfloat16 or float16; registers are float or double.
#pragma once
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessel::TESSEL_TARGET {

struct Bf16 { uint16_t bits; };
struct F16 { uint16_t bits; };

// The type arithmetic is done in.
template <class T> struct ComputeOf { using type = float; };
template <> struct ComputeOf<double> { using type = double; };
template <class T> using Compute = typename ComputeOf<T>::type;

// ---- scalars to and from memory; integer arithmetic only where FTZ would change a value
inline uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
inline float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float widen(Bf16 x) { return float_of(uint32_t{x.bits} << 16); }
inline float widen(F16 x) {
#if defined(__F16C__)
  return _cvtsh_ss(x.bits);
#else
  const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  if (exponent == 31) return float_of(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
  if (exponent) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = float(int32_t(fraction)) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
#endif
}

inline void narrow(float* to, float x) { *to = x; }
inline void narrow(double* to, double x) { *to = x; }
inline void narrow(Bf16* to, float x) {
  const uint32_t u = bits_of(x);
  to->bits = (u & 0x7fffffff) > 0x7f800000 ? uint16_t(u >> 16 | 0x40) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
inline void narrow(F16* to, float x) {
#if defined(__F16C__)
  to->bits = uint16_t(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
#else
  const uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) { to->bits = uint16_t(sign | 0x7e00 | (magnitude >> 13 & 0x3ff)); return; }
  if (magnitude >= 0x47800000) { to->bits = uint16_t(sign | 0x7c00); return; }
  if (magnitude >= 0x38800000) {  // normal: rebias, round to even on the 13 bits that go
    to->bits = uint16_t(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
    return;
  }
  const uint32_t exponent = magnitude >> 23;  // subnormal result: shift the full significand down
  if (exponent < 102) { to->bits = uint16_t(sign); return; }
  const uint32_t significand = (magnitude & 0x7fffff) | 0x800000, shift = 126 - exponent;
  const uint32_t half = 1u << (shift - 1), rest = significand & (2 * half - 1);
  uint32_t value = significand >> shift;
  if (rest > half || (rest == half && (value & 1))) ++value;
  to->bits = uint16_t(sign | value);
#endif
}

template <class S> struct Simd;

#if defined(__AVX512F__)

template <> struct Simd<float> {
  using V = __m512;
  static constexpr int width = 16;
  static V zero() { return _mm512_setzero_ps(); }
  static V set(float x) { return _mm512_set1_ps(x); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static __mmask16 first(int n) { return __mmask16((1u << n) - 1); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static V load(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static V widen(__m256i u) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(u), 16)); }
  static V load(const Bf16* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }
  static V load(const Bf16* p, int n) { return widen(_mm256_maskz_loadu_epi16(first(n), p)); }
  static V load(const F16* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
  static V load(const F16* p, int n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p)); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static void store(float* p, V v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
  static __m256i round_bf16(V v) {
    const __m512i u = _mm512_castps_si512(v), top = _mm512_srli_epi32(u, 16);
    const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, top, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(r);
  }
  static void store(Bf16* p, V v) { _mm256_storeu_si256((__m256i*)p, round_bf16(v)); }
  static void store(Bf16* p, V v, int n) { _mm256_mask_storeu_epi16(p, first(n), round_bf16(v)); }
  static __m256i round_f16(V v) { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }
  static void store(F16* p, V v) { _mm256_storeu_si256((__m256i*)p, round_f16(v)); }
  static void store(F16* p, V v, int n) { _mm256_mask_storeu_epi16(p, first(n), round_f16(v)); }
  static float sum(V v) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
  }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  // 16 rows become 16 columns: pairs, quads, then whole 128-bit lanes.
  static void transpose(V (&r)[16]) {
    V t[16];
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
      const V low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
      const V low1 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd), high1 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
      t[c] = _mm512_shuffle_f32x4(low, high, 0x88);
      t[8 + c] = _mm512_shuffle_f32x4(low, high, 0xdd);
      t[4 + c] = _mm512_shuffle_f32x4(low1, high1, 0x88);
      t[12 + c] = _mm512_shuffle_f32x4(low1, high1, 0xdd);
    }
    for (int i = 0; i < 16; ++i) r[i] = t[i];
  }
};

template <> struct Simd<double> {
  using V = __m512d;
  static constexpr int width = 8;
  static V zero() { return _mm512_setzero_pd(); }
  static V set(double x) { return _mm512_set1_pd(x); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
  static __mmask8 first(int n) { return __mmask8((1u << n) - 1); }
  static V load(const double* p) { return _mm512_loadu_pd(p); }
  static V load(const double* p, int n) { return _mm512_maskz_loadu_pd(first(n), p); }
  static void store(double* p, V v) { _mm512_storeu_pd(p, v); }
  static void store(double* p, V v, int n) { _mm512_mask_storeu_pd(p, first(n), v); }
  static double sum(V v) {
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
  }
  static V max(V a, V b) { return _mm512_max_pd(a, b); }
  static void transpose(V (&r)[8]) {
    V t[8];
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
    }
    for (int c = 0; c < 2; ++c) {  // column c of each 128-bit lane
      const V low = _mm512_shuffle_f64x2(t[c], t[2 + c], 0x88), high = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0x88);
      const V low1 = _mm512_shuffle_f64x2(t[c], t[2 + c], 0xdd), high1 = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0xdd);
      r[c] = _mm512_shuffle_f64x2(low, high, 0x88);
      r[4 + c] = _mm512_shuffle_f64x2(low, high, 0xdd);
      r[2 + c] = _mm512_shuffle_f64x2(low1, high1, 0x88);
      r[6 + c] = _mm512_shuffle_f64x2(low1, high1, 0xdd);
    }
  }
};

#elif defined(__AVX2__)

template <> struct Simd<float> {
  using V = __m256;
  static constexpr int width = 8;
  static V zero() { return _mm256_setzero_ps(); }
  static V set(float x) { return _mm256_set1_ps(x); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static V load(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
  static V widen(__m128i u) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(u), 16)); }
  template <class T> static __m128i part(const T* p, int n) {
    alignas(16) uint16_t u[8] = {};
    memcpy(u, p, size_t(n) * 2);
    return _mm_load_si128((const __m128i*)u);
  }
  static V load(const Bf16* p) { return widen(_mm_loadu_si128((const __m128i*)p)); }
  static V load(const Bf16* p, int n) { return widen(part(p, n)); }
  static V load(const F16* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
  static V load(const F16* p, int n) { return _mm256_cvtph_ps(part(p, n)); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  // Halves instead of a masked store, which costs a dozen cycles on AMD.
  static void store(float* p, V v, int n) {
    __m128 q = _mm256_castps256_ps128(v);
    if (n >= 8) { store(p, v); return; }
    if (n >= 4) { _mm_storeu_ps(p, q); p += 4; n -= 4; q = _mm256_extractf128_ps(v, 1); }
    if (n >= 2) { _mm_storel_pi((__m64*)p, q); p += 2; n -= 2; q = _mm_movehl_ps(q, q); }
    if (n) _mm_store_ss(p, q);
  }
  static __m128i round_bf16(V v) {
    const __m256i u = _mm256_castps_si256(v), top = _mm256_srli_epi32(u, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    r = _mm256_blendv_epi8(r, _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
  }
  template <class T> static void put(T* p, __m128i u, int n) {
    alignas(16) uint16_t to[8];
    _mm_store_si128((__m128i*)to, u);
    memcpy(p, to, size_t(n) * 2);
  }
  static void store(Bf16* p, V v) { _mm_storeu_si128((__m128i*)p, round_bf16(v)); }
  static void store(Bf16* p, V v, int n) { put(p, round_bf16(v), n); }
  static __m128i round_f16(V v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }
  static void store(F16* p, V v) { _mm_storeu_si128((__m128i*)p, round_f16(v)); }
  static void store(F16* p, V v, int n) { put(p, round_f16(v), n); }
  static float sum(V v) {
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
  }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static void transpose(V (&r)[8]) {
    V t[8];
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
};

template <> struct Simd<double> {
  using V = __m256d;
  static constexpr int width = 4;
  static V zero() { return _mm256_setzero_pd(); }
  static V set(double x) { return _mm256_set1_pd(x); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  static __m256i first(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
  static V load(const double* p) { return _mm256_loadu_pd(p); }
  static V load(const double* p, int n) { return _mm256_maskload_pd(p, first(n)); }
  static void store(double* p, V v) { _mm256_storeu_pd(p, v); }
  static void store(double* p, V v, int n) {
    __m128d q = _mm256_castpd256_pd128(v);
    if (n >= 4) { store(p, v); return; }
    if (n >= 2) { _mm_storeu_pd(p, q); p += 2; n -= 2; q = _mm256_extractf128_pd(v, 1); }
    if (n) _mm_store_sd(p, q);
  }
  static double sum(V v) {
    const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
  }
  static V max(V a, V b) { return _mm256_max_pd(a, b); }
  static void transpose(V (&r)[4]) {
    const V a = _mm256_unpacklo_pd(r[0], r[1]), b = _mm256_unpackhi_pd(r[0], r[1]);
    const V c = _mm256_unpacklo_pd(r[2], r[3]), d = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(a, c, 0x20);
    r[1] = _mm256_permute2f128_pd(b, d, 0x20);
    r[2] = _mm256_permute2f128_pd(a, c, 0x31);
    r[3] = _mm256_permute2f128_pd(b, d, 0x31);
  }
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
  static S sum(V v) {
    if constexpr (width == 2) return v[0] + v[1];
    else return (v[0] + v[2]) + (v[1] + v[3]);
  }
  static V max(V a, V b) { return a > b ? a : b; }
  static void transpose(V (&r)[width]) {
    for (int i = 0; i < width; ++i)
      for (int j = 0; j < i; ++j) { const S x = r[i][j]; r[i][j] = r[j][i]; r[j][i] = x; }
  }
};

#endif

}  // namespace tessel::TESSEL_TARGET
