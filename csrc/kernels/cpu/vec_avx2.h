// Vectors of the avx2 target: 8 floats, 4 doubles, masks as wide as the lanes.
#pragma once
#include <immintrin.h>

#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

// All ones in the first n of 8 lanes, and in the first n of 4 wide ones.
inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first_wide_lanes(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

template <> struct Mask<float> {
  using Lane = Bool;
  __m256 m;
  friend Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
  friend Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.m, b.m)}; }
  friend Mask operator^(Mask a, Mask b) { return {_mm256_xor_ps(a.m, b.m)}; }
  friend Mask operator!(Mask a) { return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
  friend bool any(Mask a) { return _mm256_movemask_ps(a.m) != 0; }
  friend bool all(Mask a) { return _mm256_movemask_ps(a.m) == 0xff; }
  uint64_t bytes() const {
    __m256i lanes = _mm256_castps_si256(m);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    return uint64_t(_mm_cvtsi128_si64(_mm_abs_epi8(_mm_packs_epi16(words, words))));
  }
  void store(Bool* p) const { store(p, 8); }
  void store(Bool* p, int n) const {
    uint64_t b = bytes();
    memcpy(p, &b, size_t(n));
  }
};

template <> struct Mask<double> {
  using Lane = Bool;
  __m256d m;
  friend Mask operator&(Mask a, Mask b) { return {_mm256_and_pd(a.m, b.m)}; }
  friend Mask operator|(Mask a, Mask b) { return {_mm256_or_pd(a.m, b.m)}; }
  friend Mask operator^(Mask a, Mask b) { return {_mm256_xor_pd(a.m, b.m)}; }
  friend Mask operator!(Mask a) { return {_mm256_xor_pd(a.m, _mm256_castsi256_pd(_mm256_set1_epi32(-1)))}; }
  friend bool any(Mask a) { return _mm256_movemask_pd(a.m) != 0; }
  friend bool all(Mask a) { return _mm256_movemask_pd(a.m) == 0xf; }
  void store(Bool* p) const { store(p, 4); }
  void store(Bool* p, int n) const {
    uint32_t bits = uint32_t(_mm256_movemask_pd(m));
    uint32_t b = (bits & 1) | (bits & 2) << 7 | (bits & 4) << 14 | (bits & 8) << 21;
    memcpy(p, &b, size_t(n));
  }
};

template <> struct Vec<float> {
  using Lane = float;
  static constexpr int width = 8;
  static constexpr bool fused = true;
  __m256 v;

  Vec() = default;
  Vec(__m256 r) : v(r) {}
  explicit Vec(double x) : v(_mm256_set1_ps(float(x))) {}
  static Vec of(float x) { return _mm256_set1_ps(x); }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static Vec load(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
  static Vec load(const Half* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
  static Vec load(const Half* p, int n) { return _mm256_cvtph_ps(load16(p, n)); }
  static Vec load(const BFloat* p) { return widen(_mm_loadu_si128((const __m128i*)p)); }
  static Vec load(const BFloat* p, int n) { return widen(load16(p, n)); }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm256_maskstore_ps(p, first_lanes(n), v); }
  void store(Half* p) const { _mm_storeu_si128((__m128i*)p, half()); }
  void store(Half* p, int n) const { store16(half(), p, n); }
  void store(BFloat* p) const { _mm_storeu_si128((__m128i*)p, bfloat()); }
  void store(BFloat* p, int n) const { store16(bfloat(), p, n); }
  static __m128i load16(const void* p, int n) {
    uint16_t lanes[8] = {};
    memcpy(lanes, p, size_t(n) * 2);
    return _mm_loadu_si128((const __m128i*)lanes);
  }
  static void store16(__m128i b, void* p, int n) {
    uint16_t lanes[8];
    _mm_storeu_si128((__m128i*)lanes, b);
    memcpy(p, lanes, size_t(n) * 2);
  }
  static __m256 widen(__m128i b) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(b), 16)); }
  __m128i half() const { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  __m128i bfloat() const {
    __m256i bits = _mm256_castps_si256(v), upper = _mm256_srli_epi32(bits, 16);
    __m256i half = _mm256_add_epi32(_mm256_and_si256(upper, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    __m256i r = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
  }

  friend Vec operator+(Vec a, Vec b) { return _mm256_add_ps(a.v, b.v); }
  friend Vec operator-(Vec a, Vec b) { return _mm256_sub_ps(a.v, b.v); }
  friend Vec operator*(Vec a, Vec b) { return _mm256_mul_ps(a.v, b.v); }
  friend Vec operator/(Vec a, Vec b) { return _mm256_div_ps(a.v, b.v); }
  friend Vec operator-(Vec a) { return _mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f)); }
  friend Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }

  friend Mask<float> lt(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
  friend Mask<float> le(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
  friend Mask<float> gt(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
  friend Mask<float> ge(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
  friend Mask<float> eq(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
  friend Mask<float> ne(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend Mask<float> unordered(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)}; }
  friend Vec select(Mask<float> m, Vec a, Vec b) { return _mm256_blendv_ps(b.v, a.v, m.m); }
  friend Vec least(Vec a, Vec b) { return _mm256_min_ps(a.v, b.v); }
  friend Vec greatest(Vec a, Vec b) { return _mm256_max_ps(a.v, b.v); }

  friend Vec abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
  friend Vec sqrt(Vec a) { return _mm256_sqrt_ps(a.v); }
  friend Vec floor(Vec a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  friend Vec ceil(Vec a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  friend Vec trunc(Vec a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
  friend Vec rint(Vec a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend Vec copysign(Vec a, Vec b) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a.v), _mm256_and_ps(sign, b.v));
  }
  friend Mask<float> signbit(Vec a) {
    return {_mm256_castsi256_ps(_mm256_srai_epi32(_mm256_castps_si256(a.v), 31))};
  }

  // Groups of `half` lanes trade places with their neighbours.
  template <int half> static Vec trade(Vec a) {
    if constexpr (half == 4) return _mm256_permute2f128_ps(a.v, a.v, 1);
    else return _mm256_permute_ps(a.v, half == 2 ? 0x4e : 0xb1);
  }

  friend Vec pow2(Vec n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23));
  }
  // In two steps, so that a result below the normal numbers is rounded once.
  friend Vec scale(Vec a, Vec n) {
    Vec half = rint(n * Vec(0.5));
    return a * pow2(half) * pow2(n - half);
  }
  friend Vec split(Vec a, Vec& e) {
    __m256i bits = _mm256_castps_si256(a.v);
    __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3)), 23);
    e = _mm256_cvtepi32_ps(exponent);
    return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
  }
};

template <> struct Vec<double> {
  using Lane = double;
  static constexpr int width = 4;
  static constexpr bool fused = true;
  __m256d v;

  Vec() = default;
  Vec(__m256d r) : v(r) {}
  explicit Vec(double x) : v(_mm256_set1_pd(x)) {}
  static Vec of(double x) { return _mm256_set1_pd(x); }
  static Vec load(const double* p) { return _mm256_loadu_pd(p); }
  static Vec load(const double* p, int n) { return _mm256_maskload_pd(p, first_wide_lanes(n)); }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store(double* p, int n) const { _mm256_maskstore_pd(p, first_wide_lanes(n), v); }

  friend Vec operator+(Vec a, Vec b) { return _mm256_add_pd(a.v, b.v); }
  friend Vec operator-(Vec a, Vec b) { return _mm256_sub_pd(a.v, b.v); }
  friend Vec operator*(Vec a, Vec b) { return _mm256_mul_pd(a.v, b.v); }
  friend Vec operator/(Vec a, Vec b) { return _mm256_div_pd(a.v, b.v); }
  friend Vec operator-(Vec a) { return _mm256_xor_pd(a.v, _mm256_set1_pd(-0.0)); }
  friend Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_pd(a.v, b.v, c.v); }

  friend Mask<double> lt(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)}; }
  friend Mask<double> le(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LE_OQ)}; }
  friend Mask<double> gt(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ)}; }
  friend Mask<double> ge(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_GE_OQ)}; }
  friend Mask<double> eq(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ)}; }
  friend Mask<double> ne(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_NEQ_UQ)}; }
  friend Mask<double> unordered(Vec a, Vec b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_UNORD_Q)}; }
  friend Vec select(Mask<double> m, Vec a, Vec b) { return _mm256_blendv_pd(b.v, a.v, m.m); }
  friend Vec least(Vec a, Vec b) { return _mm256_min_pd(a.v, b.v); }
  friend Vec greatest(Vec a, Vec b) { return _mm256_max_pd(a.v, b.v); }

  friend Vec abs(Vec a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v); }
  friend Vec sqrt(Vec a) { return _mm256_sqrt_pd(a.v); }
  friend Vec floor(Vec a) { return _mm256_round_pd(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  friend Vec ceil(Vec a) { return _mm256_round_pd(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  friend Vec trunc(Vec a) { return _mm256_round_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
  friend Vec rint(Vec a) { return _mm256_round_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  friend Vec copysign(Vec a, Vec b) {
    __m256d sign = _mm256_set1_pd(-0.0);
    return _mm256_or_pd(_mm256_andnot_pd(sign, a.v), _mm256_and_pd(sign, b.v));
  }
  friend Mask<double> signbit(Vec a) {
    return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_castpd_si256(a.v)))};
  }

  // A whole number and a 53-bit fraction: 2^52 + 2^51 + n holds n in its low bits.
  template <int half> static Vec trade(Vec a) {
    if constexpr (half == 2) return _mm256_permute2f128_pd(a.v, a.v, 1);
    else return _mm256_permute_pd(a.v, 0x5);
  }

  friend Vec pow2(Vec n) {
    __m256i bits = _mm256_castpd_si256(_mm256_add_pd(n.v, _mm256_set1_pd(0x1.8p52)));
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_add_epi64(bits, _mm256_set1_epi64x(1023)), 52));
  }
  // In two steps, so that a result below the normal numbers is rounded once.
  friend Vec scale(Vec a, Vec n) {
    Vec half = rint(n * Vec(0.5));
    return a * pow2(half) * pow2(n - half);
  }
  // Moved so that sqrt(1/2) falls on a change of exponent; the biased exponent becomes a double inside 2^52's fraction.
  friend Vec split(Vec a, Vec& e) {
    __m256i bits = _mm256_castpd_si256(a.v);
    __m256i biased = _mm256_srli_epi64(_mm256_add_epi64(bits, _mm256_set1_epi64x(0x3ff0000000000000 - 0x3fe6a09e667f3bcd)), 52);
    __m256d whole = _mm256_castsi256_pd(_mm256_or_si256(biased, _mm256_castpd_si256(_mm256_set1_pd(0x1p52))));
    e = _mm256_sub_pd(whole, _mm256_set1_pd(0x1p52 + 1023));
    __m256i exponent = _mm256_sub_epi64(biased, _mm256_set1_epi64x(1023));
    return _mm256_castsi256_pd(_mm256_sub_epi64(bits, _mm256_slli_epi64(exponent, 52)));
  }
};

inline Vec<double> lower(Vec<float> a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a.v)); }
inline Vec<double> upper(Vec<float> a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1)); }
inline Vec<float> narrow(Vec<double> low, Vec<double> high) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low.v)), _mm256_cvtpd_ps(high.v), 1);
}

}  // namespace tessel::TESSEL_TARGET
