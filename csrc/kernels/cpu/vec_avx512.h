// Vectors of the avx512 target: 16 floats, 8 doubles, masks in mask registers.
#pragma once
// GCC 12 warns of the deliberately undefined registers inside its own header (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

template <> struct Mask<float> {
  using Lane = Bool;
  __mmask16 m;
  friend Mask operator&(Mask a, Mask b) { return {__mmask16(a.m & b.m)}; }
  friend Mask operator|(Mask a, Mask b) { return {__mmask16(a.m | b.m)}; }
  friend Mask operator^(Mask a, Mask b) { return {__mmask16(a.m ^ b.m)}; }
  friend Mask operator!(Mask a) { return {__mmask16(~a.m)}; }
  friend bool any(Mask a) { return a.m != 0; }
  friend bool all(Mask a) { return a.m == 0xffff; }
  __m128i bytes() const { return _mm_maskz_set1_epi8(m, 1); }
  void store(Bool* p) const { _mm_storeu_si128((__m128i*)p, bytes()); }
  void store(Bool* p, int n) const { _mm_mask_storeu_epi8(p, __mmask16((1u << n) - 1), bytes()); }
};

template <> struct Mask<double> {
  using Lane = Bool;
  __mmask8 m;
  friend Mask operator&(Mask a, Mask b) { return {__mmask8(a.m & b.m)}; }
  friend Mask operator|(Mask a, Mask b) { return {__mmask8(a.m | b.m)}; }
  friend Mask operator^(Mask a, Mask b) { return {__mmask8(a.m ^ b.m)}; }
  friend Mask operator!(Mask a) { return {__mmask8(~a.m)}; }
  friend bool any(Mask a) { return a.m != 0; }
  friend bool all(Mask a) { return a.m == 0xff; }
  __m128i bytes() const { return _mm_maskz_set1_epi8(m, 1); }
  void store(Bool* p) const { _mm_storel_epi64((__m128i*)p, bytes()); }
  void store(Bool* p, int n) const { _mm_mask_storeu_epi8(p, __mmask16((1u << n) - 1), bytes()); }
};

template <> struct Vec<float> {
  using Lane = float;
  static constexpr int width = 16;
  static constexpr bool fused = true;
  __m512 v;

  Vec() = default;
  Vec(__m512 r) : v(r) {}
  explicit Vec(double x) : v(_mm512_set1_ps(float(x))) {}
  static Vec of(float x) { return _mm512_set1_ps(x); }
  static __mmask16 first(int n) { return __mmask16((1u << n) - 1); }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static Vec load(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static Vec load(const Half* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
  static Vec load(const Half* p, int n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p)); }
  static Vec load(const BFloat* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }
  static Vec load(const BFloat* p, int n) { return widen(_mm256_maskz_loadu_epi16(first(n), p)); }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  void store(Half* p) const { _mm256_storeu_si256((__m256i*)p, half()); }
  void store(Half* p, int n) const { _mm256_mask_storeu_epi16(p, first(n), half()); }
  void store(BFloat* p) const { _mm256_storeu_si256((__m256i*)p, bfloat()); }
  void store(BFloat* p, int n) const { _mm256_mask_storeu_epi16(p, first(n), bfloat()); }
  // Words take their places among zeros, and leave them, in one permutation.
  static __m512 widen(__m256i b) {
    const __m512i place = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0, 0, 0);
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, place, _mm512_castsi256_si512(b)));
  }
  __m256i half() const { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  __m256i bfloat() const {  // half of the last kept bit is added, less one where that bit is even
    const __m512i upper = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __m512i bits = _mm512_castps_si512(v), rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    rounded = _mm512_mask_add_epi32(rounded, _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000)), bits, _mm512_set1_epi32(0x8000));
    rounded = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bits, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_si256(_mm512_permutexvar_epi16(upper, rounded));
  }

  friend Vec operator+(Vec a, Vec b) { return _mm512_add_ps(a.v, b.v); }
  friend Vec operator-(Vec a, Vec b) { return _mm512_sub_ps(a.v, b.v); }
  friend Vec operator*(Vec a, Vec b) { return _mm512_mul_ps(a.v, b.v); }
  friend Vec operator/(Vec a, Vec b) { return _mm512_div_ps(a.v, b.v); }
  friend Vec operator-(Vec a) { return _mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f)); }
  friend Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }

  friend Mask<float> lt(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend Mask<float> le(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend Mask<float> gt(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend Mask<float> ge(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
  friend Mask<float> eq(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
  friend Mask<float> ne(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend Mask<float> unordered(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q)}; }
  friend Vec select(Mask<float> m, Vec a, Vec b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
  friend Vec least(Vec a, Vec b) { return _mm512_min_ps(a.v, b.v); }
  friend Vec greatest(Vec a, Vec b) { return _mm512_max_ps(a.v, b.v); }

  friend Vec abs(Vec a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v); }
  friend Vec sqrt(Vec a) { return _mm512_sqrt_ps(a.v); }
  friend Vec floor(Vec a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  friend Vec ceil(Vec a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  friend Vec trunc(Vec a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
  friend Vec rint(Vec a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend Vec copysign(Vec a, Vec b) {  // 0xd8: a where the mask is clear, b where it is set
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v),
                                                         _mm512_set1_epi32(INT32_MIN), 0xd8));
  }
  friend Mask<float> signbit(Vec a) { return {_mm512_movepi32_mask(_mm512_castps_si512(a.v))}; }

  // Groups of `half` lanes trade places with their neighbours.
  template <int half> static Vec trade(Vec a) {
    if constexpr (half == 8) return _mm512_shuffle_f32x4(a.v, a.v, 0x4e);
    else if constexpr (half == 4) return _mm512_shuffle_f32x4(a.v, a.v, 0xb1);
    else return _mm512_permute_ps(a.v, half == 2 ? 0x4e : 0xb1);
  }

  friend Vec pow2(Vec n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23));
  }
  friend Vec scale(Vec a, Vec n) { return _mm512_scalef_ps(a.v, n.v); }
  friend Vec split(Vec a, Vec& e) {
    __m512i bits = _mm512_castps_si512(a.v);
    __m512i exponent = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f3)), 23);
    e = _mm512_cvtepi32_ps(exponent);
    return _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
  }
};

template <> struct Vec<double> {
  using Lane = double;
  static constexpr int width = 8;
  static constexpr bool fused = true;
  __m512d v;

  Vec() = default;
  Vec(__m512d r) : v(r) {}
  explicit Vec(double x) : v(_mm512_set1_pd(x)) {}
  static Vec of(double x) { return _mm512_set1_pd(x); }
  static __mmask8 first(int n) { return __mmask8((1u << n) - 1); }
  static Vec load(const double* p) { return _mm512_loadu_pd(p); }
  static Vec load(const double* p, int n) { return _mm512_maskz_loadu_pd(first(n), p); }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  void store(double* p, int n) const { _mm512_mask_storeu_pd(p, first(n), v); }

  friend Vec operator+(Vec a, Vec b) { return _mm512_add_pd(a.v, b.v); }
  friend Vec operator-(Vec a, Vec b) { return _mm512_sub_pd(a.v, b.v); }
  friend Vec operator*(Vec a, Vec b) { return _mm512_mul_pd(a.v, b.v); }
  friend Vec operator/(Vec a, Vec b) { return _mm512_div_pd(a.v, b.v); }
  friend Vec operator-(Vec a) { return _mm512_xor_pd(a.v, _mm512_set1_pd(-0.0)); }
  friend Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_pd(a.v, b.v, c.v); }

  friend Mask<double> lt(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend Mask<double> le(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend Mask<double> gt(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend Mask<double> ge(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GE_OQ)}; }
  friend Mask<double> eq(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
  friend Mask<double> ne(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend Mask<double> unordered(Vec a, Vec b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_UNORD_Q)}; }
  friend Vec select(Mask<double> m, Vec a, Vec b) { return _mm512_mask_blend_pd(m.m, b.v, a.v); }
  friend Vec least(Vec a, Vec b) { return _mm512_min_pd(a.v, b.v); }
  friend Vec greatest(Vec a, Vec b) { return _mm512_max_pd(a.v, b.v); }

  friend Vec abs(Vec a) { return _mm512_andnot_pd(_mm512_set1_pd(-0.0), a.v); }
  friend Vec sqrt(Vec a) { return _mm512_sqrt_pd(a.v); }
  friend Vec floor(Vec a) { return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  friend Vec ceil(Vec a) { return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  friend Vec trunc(Vec a) { return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
  friend Vec rint(Vec a) { return _mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend Vec copysign(Vec a, Vec b) {
    return _mm512_castsi512_pd(_mm512_ternarylogic_epi64(_mm512_castpd_si512(a.v), _mm512_castpd_si512(b.v),
                                                         _mm512_set1_epi64(INT64_MIN), 0xd8));
  }
  friend Mask<double> signbit(Vec a) { return {_mm512_movepi64_mask(_mm512_castpd_si512(a.v))}; }

  template <int half> static Vec trade(Vec a) {
    if constexpr (half == 1) return _mm512_permute_pd(a.v, 0x55);
    else return _mm512_shuffle_f64x2(a.v, a.v, half == 4 ? 0x4e : 0xb1);
  }

  friend Vec pow2(Vec n) {
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_add_epi64(_mm512_cvtpd_epi64(n.v), _mm512_set1_epi64(1023)), 52));
  }
  friend Vec scale(Vec a, Vec n) { return _mm512_scalef_pd(a.v, n.v); }
  friend Vec split(Vec a, Vec& e) {
    __m512i bits = _mm512_castpd_si512(a.v);
    __m512i exponent = _mm512_srai_epi64(_mm512_sub_epi64(bits, _mm512_set1_epi64(0x3fe6a09e667f3bcd)), 52);
    e = _mm512_cvtepi64_pd(exponent);
    return _mm512_castsi512_pd(_mm512_sub_epi64(bits, _mm512_slli_epi64(exponent, 52)));
  }
};

inline Vec<double> lower(Vec<float> a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a.v)); }
inline Vec<double> upper(Vec<float> a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1)); }
inline Vec<float> narrow(Vec<double> low, Vec<double> high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.v)), _mm512_cvtpd_ps(high.v), 1);
}

}  // namespace tessel::TESSEL_TARGET
