// A number under the names that kernels/functions.h uses: what a SIMD vector is on the CPU, one thread's value here.
#pragma once
#include "kernels/cuda/launch.cuh"

namespace tessel::cuda {

template <class T>
struct Lane {
  T v;
  Lane() = default;
  __device__ explicit Lane(T v) : v(v) {}
  template <class N> __device__ explicit Lane(N n) : v(T(n)) {}
};
using Mask = bool;

#define TESSEL_LANE template <class T> __device__ inline
TESSEL_LANE Lane<T> operator+(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v + b.v)); }
TESSEL_LANE Lane<T> operator-(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v - b.v)); }
TESSEL_LANE Lane<T> operator*(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v * b.v)); }
TESSEL_LANE Lane<T> operator-(Lane<T> a) { return Lane<T>(T(-a.v)); }
__device__ inline Lane<float> operator/(Lane<float> a, Lane<float> b) { return Lane<float>(a.v / b.v); }
__device__ inline Lane<double> operator/(Lane<double> a, Lane<double> b) { return Lane<double>(a.v / b.v); }
__device__ inline Lane<int> operator/(Lane<int> a, Lane<int> b) { return Lane<int>(b.v == 0 ? 0 : b.v == -1 ? int(0u - unsigned(a.v)) : a.v / b.v); }
__device__ inline Lane<int64_t> operator/(Lane<int64_t> a, Lane<int64_t> b) { return Lane<int64_t>(b.v == 0 ? 0 : b.v == -1 ? int64_t(0ull - uint64_t(a.v)) : a.v / b.v); }
TESSEL_LANE Lane<T> operator&(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v & b.v)); }
TESSEL_LANE Lane<T> operator|(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v | b.v)); }
TESSEL_LANE Lane<T> operator^(Lane<T> a, Lane<T> b) { return Lane<T>(T(a.v ^ b.v)); }

TESSEL_LANE Mask gt(Lane<T> a, Lane<T> b) { return a.v > b.v; }
TESSEL_LANE Mask ge(Lane<T> a, Lane<T> b) { return a.v >= b.v; }
TESSEL_LANE Mask lt(Lane<T> a, Lane<T> b) { return a.v < b.v; }
TESSEL_LANE Mask le(Lane<T> a, Lane<T> b) { return a.v <= b.v; }
TESSEL_LANE Mask eq(Lane<T> a, Lane<T> b) { return a.v == b.v; }
TESSEL_LANE Mask ne(Lane<T> a, Lane<T> b) { return a.v != b.v; }
TESSEL_LANE Lane<T> select(Mask m, Lane<T> a, Lane<T> b) { return m ? a : b; }

// A NaN wins over every number.
TESSEL_LANE Lane<T> max(Lane<T> a, Lane<T> b) { return a.v != a.v ? a : b.v != b.v ? b : a.v > b.v ? a : b; }
TESSEL_LANE Lane<T> min(Lane<T> a, Lane<T> b) { return a.v != a.v ? a : b.v != b.v ? b : a.v < b.v ? a : b; }

template <class T> struct Whole { static constexpr bool value = false; };
template <> struct Whole<int> { static constexpr bool value = true; };
template <> struct Whole<int64_t> { static constexpr bool value = true; };

TESSEL_LANE Lane<T> abs(Lane<T> a) {
  if constexpr (Whole<T>::value) return a.v < 0 ? -a : a;
  else return Lane<T>(::fabs(a.v));
}
TESSEL_LANE Mask signbit(Lane<T> a) {
  if constexpr (Whole<T>::value) return a.v < 0;
  else return ::signbit(a.v);
}

// Functions of reals: CUDA's own, chosen by the type.
#define TESSEL_REAL(name, f32, f64)                                                                \
  __device__ inline Lane<float> name(Lane<float> x) { return Lane<float>(f32(x.v)); }              \
  __device__ inline Lane<double> name(Lane<double> x) { return Lane<double>(f64(x.v)); }
TESSEL_REAL(sqrt, ::sqrtf, ::sqrt) TESSEL_REAL(exp, ::expf, ::exp) TESSEL_REAL(exp2, ::exp2f, ::exp2) TESSEL_REAL(expm1, ::expm1f, ::expm1)
TESSEL_REAL(log, ::logf, ::log) TESSEL_REAL(log2, ::log2f, ::log2) TESSEL_REAL(log10, ::log10f, ::log10) TESSEL_REAL(log1p, ::log1pf, ::log1p)
TESSEL_REAL(sin, ::sinf, ::sin) TESSEL_REAL(cos, ::cosf, ::cos) TESSEL_REAL(tan, ::tanf, ::tan)
TESSEL_REAL(asin, ::asinf, ::asin) TESSEL_REAL(acos, ::acosf, ::acos) TESSEL_REAL(atan, ::atanf, ::atan)
TESSEL_REAL(sinh, ::sinhf, ::sinh) TESSEL_REAL(cosh, ::coshf, ::cosh) TESSEL_REAL(tanh, ::tanhf, ::tanh)
TESSEL_REAL(asinh, ::asinhf, ::asinh) TESSEL_REAL(acosh, ::acoshf, ::acosh) TESSEL_REAL(atanh, ::atanhf, ::atanh)
TESSEL_REAL(erf, ::erff, ::erf) TESSEL_REAL(erfc, ::erfcf, ::erfc) TESSEL_REAL(erfinv, ::erfinvf, ::erfinv) TESSEL_REAL(lgamma, ::lgammaf, ::lgamma)
TESSEL_REAL(normal_cdf, ::normcdff, ::normcdf)
TESSEL_REAL(i0, ::cyl_bessel_i0f, ::cyl_bessel_i0) TESSEL_REAL(i1, ::cyl_bessel_i1f, ::cyl_bessel_i1)
#undef TESSEL_REAL

#define TESSEL_ROUND(name, f32, f64)                                                               \
  __device__ inline Lane<float> name(Lane<float> x) { return Lane<float>(f32(x.v)); }              \
  __device__ inline Lane<double> name(Lane<double> x) { return Lane<double>(f64(x.v)); }           \
  __device__ inline Lane<int> name(Lane<int> x) { return x; }                                      \
  __device__ inline Lane<int64_t> name(Lane<int64_t> x) { return x; }
TESSEL_ROUND(floor, ::floorf, ::floor) TESSEL_ROUND(ceil, ::ceilf, ::ceil) TESSEL_ROUND(trunc, ::truncf, ::trunc) TESSEL_ROUND(rint, ::rintf, ::rint)
#undef TESSEL_ROUND

TESSEL_LANE Lane<T> sigmoid(Lane<T> x) {  // no overflow on either side
  Lane<T> e = exp(-abs(x));
  return select(x.v >= T(0), Lane<T>(1) / (Lane<T>(1) + e), e / (Lane<T>(1) + e));
}

// The logarithmic derivative of gamma and its derivative: upwards to x >= 10 by the recurrence, then the asymptotic series;
// left of 1/2 by reflection. In double for both types.
__device__ inline double digamma_of(double x) {
  if (x == 0) return ::copysign(__longlong_as_double(0x7ff0000000000000ll), -x);
  double result = 0;
  if (x < 0.5) {
    if (x == ::floor(x)) return __longlong_as_double(0x7ff8000000000000ll);
    result = -3.14159265358979323846 / ::tan(3.14159265358979323846 * (x - ::floor(x)));
    x = 1 - x;
  }
  for (; x < 10; x += 1) result -= 1 / x;
  double z = 1 / (x * x);
  return result + ::log(x) - 0.5 / x - z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760))))));
}
__device__ inline double trigamma_of(double x) {
  double sign = 1, result = 0;
  if (x < 0.5) {
    double s = ::sin(3.14159265358979323846 * x);
    result = -9.86960440108935861883 / (s * s);
    sign = -1;
    x = 1 - x;
  }
  double sum = 0;
  for (; x < 10; x += 1) sum += 1 / (x * x);
  double z = 1 / (x * x);
  sum += 1 / x + z / 2 + z / x * (1.0 / 6 - z * (1.0 / 30 - z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66)))));
  return sign < 0 ? -(result + sum) : sum;
}
TESSEL_LANE Lane<T> digamma(Lane<T> x) { return Lane<T>(T(digamma_of(double(x.v)))); }
TESSEL_LANE Lane<T> trigamma(Lane<T> x) { return Lane<T>(T(trigamma_of(double(x.v)))); }

// ---- two and three operands

__device__ inline Lane<float> atan2(Lane<float> a, Lane<float> b) { return Lane<float>(::atan2f(a.v, b.v)); }
__device__ inline Lane<double> atan2(Lane<double> a, Lane<double> b) { return Lane<double>(::atan2(a.v, b.v)); }
__device__ inline Lane<float> hypot(Lane<float> a, Lane<float> b) { return Lane<float>(::hypotf(a.v, b.v)); }
__device__ inline Lane<double> hypot(Lane<double> a, Lane<double> b) { return Lane<double>(::hypot(a.v, b.v)); }
__device__ inline Lane<float> copysign(Lane<float> a, Lane<float> b) { return Lane<float>(::copysignf(a.v, b.v)); }
__device__ inline Lane<double> copysign(Lane<double> a, Lane<double> b) { return Lane<double>(::copysign(a.v, b.v)); }
__device__ inline Lane<float> nextafter(Lane<float> a, Lane<float> b) { return Lane<float>(::nextafterf(a.v, b.v)); }
__device__ inline Lane<double> nextafter(Lane<double> a, Lane<double> b) { return Lane<double>(::nextafter(a.v, b.v)); }

TESSEL_LANE Lane<T> fmod(Lane<T> a, Lane<T> b) {
  if constexpr (Whole<T>::value) return Lane<T>(b.v == 0 || b.v == -1 ? T(0) : T(a.v % b.v));
  else return Lane<T>(T(::fmod(a.v, b.v)));
}
TESSEL_LANE Lane<T> remainder(Lane<T> a, Lane<T> b) {  // with b's sign
  Lane<T> r = fmod(a, b);
  return r.v != T(0) && (r.v < T(0)) != (b.v < T(0)) ? r + b : r;
}
TESSEL_LANE Lane<T> floor_divide(Lane<T> a, Lane<T> b) {
  if constexpr (Whole<T>::value) {
    Lane<T> q = a / b;
    return fmod(a, b).v != T(0) && (a.v < 0) != (b.v < 0) ? q - Lane<T>(1) : q;
  } else {  // Python's: exact also where a / b would round up to an integer
    if (b.v == T(0)) return a / b;
    T r = T(::fmod(a.v, b.v)), q = (a.v - r) / b.v;
    if (r != T(0) && (b.v < T(0)) != (r < T(0))) q -= T(1);
    if (q == T(0)) return Lane<T>(T(::copysign(T(0), a.v / b.v)));
    T whole = T(::floor(q));
    return Lane<T>(q - whole > T(0.5) ? whole + T(1) : whole);
  }
}
TESSEL_LANE Lane<T> pow(Lane<T> a, Lane<T> b) {
  if constexpr (Whole<T>::value) {
    if (b.v < 0) return Lane<T>(a.v == 1 ? T(1) : a.v == -1 ? (b.v % 2 ? T(-1) : T(1)) : T(0));
    uint64_t result = 1, power = uint64_t(a.v);
    for (T n = b.v; n > 0; n >>= 1, power *= power)
      if (n & 1) result *= power;
    return Lane<T>(T(result));
  } else {
    return Lane<T>(T(::pow(a.v, b.v)));
  }
}
TESSEL_LANE Lane<T> gcd(Lane<T> a, Lane<T> b) {
  T x = a.v < 0 ? -a.v : a.v, y = b.v < 0 ? -b.v : b.v;
  while (y != 0) {
    T rest = x % y;
    x = y;
    y = rest;
  }
  return Lane<T>(x);
}
TESSEL_LANE Lane<T> left_shift(Lane<T> a, Lane<T> b) { return Lane<T>(b.v < 0 || b.v >= T(8 * sizeof(T)) ? T(0) : T(uint64_t(a.v) << b.v)); }
TESSEL_LANE Lane<T> right_shift(Lane<T> a, Lane<T> b) { return Lane<T>(b.v < 0 || b.v >= T(8 * sizeof(T)) ? (a.v < 0 ? T(-1) : T(0)) : T(a.v >> b.v)); }
TESSEL_LANE Lane<T> fma(Lane<T> a, Lane<T> b, Lane<T> c) {
  if constexpr (Whole<T>::value) return a * b + c;
  else return Lane<T>(T(::fma(a.v, b.v, c.v)));
}
#undef TESSEL_LANE

}  // namespace tessel::cuda

// The functions themselves: every name they use is found above.
#define TESSEL_FN __device__
#include "kernels/functions.h"
