// Elementary functions on vectors.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

#define TESSEL_BY_LANE(name) \
  template <class T> inline Vec<T> name(Vec<T> x) { return per_lane([](double a) { return ::name(a); }, x); }
TESSEL_BY_LANE(exp) TESSEL_BY_LANE(exp2) TESSEL_BY_LANE(expm1) TESSEL_BY_LANE(log) TESSEL_BY_LANE(log2) TESSEL_BY_LANE(log10)
TESSEL_BY_LANE(log1p) TESSEL_BY_LANE(sin) TESSEL_BY_LANE(cos) TESSEL_BY_LANE(tan) TESSEL_BY_LANE(asin) TESSEL_BY_LANE(acos)
TESSEL_BY_LANE(atan) TESSEL_BY_LANE(sinh) TESSEL_BY_LANE(cosh) TESSEL_BY_LANE(tanh) TESSEL_BY_LANE(asinh) TESSEL_BY_LANE(acosh)
TESSEL_BY_LANE(atanh) TESSEL_BY_LANE(erf) TESSEL_BY_LANE(erfc) TESSEL_BY_LANE(lgamma)
template <class T> inline Vec<T> sigmoid(Vec<T> x) { return Vec<T>(1) / (Vec<T>(1) + exp(-x)); }
template <class T> inline Vec<T> digamma(Vec<T> x) { return x; }
template <class T> inline Vec<T> trigamma(Vec<T> x) { return x; }
template <class T> inline Vec<T> i0(Vec<T> x) { return x; }
template <class T> inline Vec<T> i1(Vec<T> x) { return x; }
template <class T> inline Vec<T> erfinv(Vec<T> x) { return x; }
template <class T> inline Vec<T> atan2(Vec<T> a, Vec<T> b) { return per_lane([](double a, double b) { return ::atan2(a, b); }, a, b); }
template <class T> inline Vec<T> hypot(Vec<T> a, Vec<T> b) { return per_lane([](double a, double b) { return ::hypot(a, b); }, a, b); }

// ---- arithmetic that is not an instruction. Integers wrap, and dividing by zero gives zero.

template <class T> inline Vec<T> nextafter(Vec<T> a, Vec<T> b) {
  T x[Vec<T>::width], y[Vec<T>::width];
  a.store(x);
  b.store(y);
  for (int i = 0; i < Vec<T>::width; ++i) {
    if constexpr (same<T, float>) x[i] = ::nextafterf(x[i], y[i]);
    else x[i] = ::nextafter(x[i], y[i]);
  }
  return Vec<T>::load(x);
}

template <class T> inline Vec<T> fmod(Vec<T> a, Vec<T> b) {
  if constexpr (is_real<T>) return per_lane([](double x, double y) { return ::fmod(x, y); }, a, b);
  else return a - a / b * b;
}

template <class T> inline Vec<T> remainder(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  V r = fmod(a, b);
  V wrapped = select(lt(b, V(0)), select(gt(r, V(0)), r + b, r), select(lt(r, V(0)), r + b, r));
  if constexpr (is_real<T>) return wrapped;
  else return select(eq(b, V(0)), V(0), wrapped);
}

// Python's floor division; of reals, so that it agrees with the remainder.
template <class T> inline Vec<T> floor_divide(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  if constexpr (is_real<T>) {
    V r = fmod(a, b), quotient = (a - r) / b;
    quotient = select(ne(r, V(0)) & (lt(b, V(0)) ^ lt(r, V(0))), quotient - V(1), quotient);
    V whole = floor(quotient);
    whole = select(gt(quotient - whole, V(0.5)), whole + V(1), whole);
    whole = select(eq(quotient, V(0)), copysign(V(0), a / b), whole);
    return select(eq(b, V(0)), a / b, whole);
  } else {
    V quotient = a / b, r = a - quotient * b;
    return select(ne(b, V(0)) & ne(r, V(0)) & (lt(b, V(0)) ^ lt(r, V(0))), quotient - V(1), quotient);
  }
}

template <class T> inline Vec<T> pow(Vec<T> a, Vec<T> b) {
  if constexpr (is_real<T>) return per_lane([](double x, double y) { return ::pow(x, y); }, a, b);
  else {  // by squaring; of negative exponents only those of 1 and -1 are whole
    using V = Vec<T>;
    if (b.v < 0) return V::of(a.v == 1 ? 1 : a.v == -1 ? (b.v & 1 ? -1 : 1) : 0);
    V power = V::of(1);
    for (T n = b.v; n; n >>= 1, a = a * a) {
      if (n & 1) power = power * a;
    }
    return power;
  }
}

template <class T> inline Vec<T> gcd(Vec<T> a, Vec<T> b) {
  using Whole = typename Vec<T>::Whole;
  Whole m = Whole(abs(a).v), n = Whole(abs(b).v);
  while (n) {
    Whole r = m % n;
    m = n;
    n = r;
  }
  return Vec<T>::of(T(m));
}

template <class T> inline Vec<T> left_shift(Vec<T> a, Vec<T> b) {
  using Whole = typename Vec<T>::Whole;
  return Vec<T>::of(Whole(b.v) < sizeof(T) * 8 ? T(Whole(a.v) << b.v) : 0);
}
template <class T> inline Vec<T> right_shift(Vec<T> a, Vec<T> b) {
  using Whole = typename Vec<T>::Whole;
  return Vec<T>::of(a.v >> (Whole(b.v) < sizeof(T) * 8 ? b.v : T(sizeof(T) * 8 - 1)));
}

}  // namespace tessel::TESSEL_TARGET
