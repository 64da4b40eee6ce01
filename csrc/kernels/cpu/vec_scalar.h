// The one-lane vector: every type on the scalar target, and the integers on all of them.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

template <class T> struct Mask {
  using Lane = Bool;
  bool m;
  friend Mask operator&(Mask a, Mask b) { return {a.m && b.m}; }
  friend Mask operator|(Mask a, Mask b) { return {a.m || b.m}; }
  friend Mask operator^(Mask a, Mask b) { return {a.m != b.m}; }
  friend Mask operator!(Mask a) { return {!a.m}; }
  friend bool any(Mask a) { return a.m; }
  friend bool all(Mask a) { return a.m; }
  void store(Bool* p) const { p->value = m; }
  void store(Bool* p, int) const { p->value = m; }
};

template <class T> struct Vec {
  using Lane = T;
  // Integers are computed unsigned, where overflow wraps.
  using Whole = typename Choose<sizeof(T) == 8, uint64_t, uint32_t>::type;
  using Safe = typename Choose<is_real<T>, T, Whole>::type;
  static constexpr int width = 1;
  static constexpr bool fused =
#ifdef __FP_FAST_FMA
      true;
#else
      false;
#endif
  T v;

  Vec() = default;
  explicit Vec(double x) : v(from(x)) {}
  static Vec of(T x) {
    Vec r;
    r.v = x;
    return r;
  }
  static T from(double x) {  // bounds of integers saturate
    if constexpr (is_real<T>) return T(x);
    constexpr T top = T(Whole(-1) >> 1), bottom = T(-top - 1);
    return x >= double(top) ? top : x > double(bottom) ? T(x) : bottom;
  }
  static Vec load(const T* p) { return of(*p); }
  static Vec load(const T* p, int) { return of(*p); }
  static Vec load(const Half* p) { return of(T(to_float(*p))); }
  static Vec load(const BFloat* p) { return of(T(to_float(*p))); }
  static Vec load(const Half* p, int) { return load(p); }
  static Vec load(const BFloat* p, int) { return load(p); }
  void store(T* p) const { *p = v; }
  void store(T* p, int) const { *p = v; }
  void store(Half* p) const { *p = to_half(float(v)); }
  void store(BFloat* p) const { *p = to_bfloat(float(v)); }
  void store(Half* p, int) const { store(p); }
  void store(BFloat* p, int) const { store(p); }

  friend Vec operator+(Vec a, Vec b) { return of(T(Safe(a.v) + Safe(b.v))); }
  friend Vec operator-(Vec a, Vec b) { return of(T(Safe(a.v) - Safe(b.v))); }
  friend Vec operator*(Vec a, Vec b) { return of(T(Safe(a.v) * Safe(b.v))); }
  friend Vec operator-(Vec a) {
    if constexpr (is_real<T>) return of(-a.v);
    else return of(T(Safe(0) - Safe(a.v)));
  }
  friend Vec operator/(Vec a, Vec b) {  // integers: towards zero, and nothing traps
    if constexpr (is_real<T>) return of(a.v / b.v);
    else return b.v == 0 ? of(0) : b.v == -1 ? -a : of(T(a.v / b.v));
  }
  friend Vec operator&(Vec a, Vec b) { return of(a.v & b.v); }
  friend Vec operator|(Vec a, Vec b) { return of(a.v | b.v); }
  friend Vec operator^(Vec a, Vec b) { return of(a.v ^ b.v); }
  friend Vec fma(Vec a, Vec b, Vec c) {
#ifdef __FP_FAST_FMA
    if constexpr (same<T, float>) return of(__builtin_fmaf(a.v, b.v, c.v));
    if constexpr (same<T, double>) return of(__builtin_fma(a.v, b.v, c.v));
#endif
    return a * b + c;
  }

  friend Mask<T> lt(Vec a, Vec b) { return {a.v < b.v}; }
  friend Mask<T> le(Vec a, Vec b) { return {a.v <= b.v}; }
  friend Mask<T> gt(Vec a, Vec b) { return {a.v > b.v}; }
  friend Mask<T> ge(Vec a, Vec b) { return {a.v >= b.v}; }
  friend Mask<T> eq(Vec a, Vec b) { return {a.v == b.v}; }
  friend Mask<T> ne(Vec a, Vec b) { return {a.v != b.v}; }
  friend Mask<T> unordered(Vec a, Vec b) { return {a.v != a.v || b.v != b.v}; }  // one of them is a NaN
  friend Vec select(Mask<T> m, Vec a, Vec b) { return m.m ? a : b; }
  friend Vec least(Vec a, Vec b) { return of(a.v < b.v ? a.v : b.v); }     // b where they do not compare
  friend Vec greatest(Vec a, Vec b) { return of(a.v > b.v ? a.v : b.v); }  // b where they do not compare

  friend Vec abs(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_fabsf(a.v));
    else if constexpr (same<T, double>) return of(__builtin_fabs(a.v));
    else return a.v < 0 ? -a : a;
  }
  friend Vec sqrt(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_sqrtf(a.v));
    else return of(T(__builtin_sqrt(a.v)));
  }
  friend Vec floor(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_floorf(a.v));
    else if constexpr (same<T, double>) return of(__builtin_floor(a.v));
    else return a;
  }
  friend Vec ceil(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_ceilf(a.v));
    else if constexpr (same<T, double>) return of(__builtin_ceil(a.v));
    else return a;
  }
  friend Vec trunc(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_truncf(a.v));
    else if constexpr (same<T, double>) return of(__builtin_trunc(a.v));
    else return a;
  }
  friend Vec rint(Vec a) {
    if constexpr (same<T, float>) return of(__builtin_rintf(a.v));
    else if constexpr (same<T, double>) return of(__builtin_rint(a.v));
    else return a;
  }
  friend Vec copysign(Vec a, Vec b) {
    if constexpr (same<T, float>) return of(__builtin_copysignf(a.v, b.v));
    else if constexpr (same<T, double>) return of(__builtin_copysign(a.v, b.v));
    else return (a.v < 0) == (b.v < 0) ? a : -a;
  }
  friend Mask<T> signbit(Vec a) {
    if constexpr (same<T, float>) return {bit_cast<int32_t>(a.v) < 0};
    else if constexpr (same<T, double>) return {bit_cast<int64_t>(a.v) < 0};
    else return {a.v < 0};
  }

  // 2^n for a whole n between the exponents of normal numbers.
  friend Vec pow2(Vec n) {
    if constexpr (same<T, float>) return of(bit_cast<float>((int32_t(n.v) + 127) << 23));
    else return of(bit_cast<double>((int64_t(n.v) + 1023) << 52));
  }
  // a * 2^n, in two steps, so that a result below the normal numbers is rounded once.
  friend Vec scale(Vec a, Vec n) {
    Vec half = rint(n * Vec(0.5));
    return a * pow2(half) * pow2(n - half);
  }
  // m and e with a = m * 2^e and m in [sqrt(1/2), sqrt(2)), for a normal positive a.
  friend Vec split(Vec a, Vec& e) {
    if constexpr (same<T, float>) {
      uint32_t bits = bit_cast<uint32_t>(a.v);
      int32_t exponent = int32_t(bits - 0x3f3504f3) >> 23;
      e = of(float(exponent));
      return of(bit_cast<float>(bits - (uint32_t(exponent) << 23)));
    } else {
      uint64_t bits = bit_cast<uint64_t>(a.v);
      int64_t exponent = int64_t(bits - 0x3fe6a09e667f3bcd) >> 52;
      e = of(double(exponent));
      return of(bit_cast<double>(bits - (uint64_t(exponent) << 52)));
    }
  }
};

}  // namespace tessel::TESSEL_TARGET
