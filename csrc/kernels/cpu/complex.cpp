// Elementwise functions of complex numbers. Sums, products and comparisons are loops over pairs in their own precision;
// everything with an exponential or a root in it is computed in double by the C library, one number at a time.
#include "kernels/cpu/complex.h"

#include "kernels/cpu/rare.h"
#include "kernels/cpu/walk.h"

namespace tessel::TESSEL_TARGET {
namespace {

using Z = Complex<double>;

template <class T> inline Complex<T> operator+(Complex<T> a, Complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T> inline Complex<T> operator-(Complex<T> a, Complex<T> b) { return {a.re - b.re, a.im - b.im}; }
template <class T> inline Complex<T> operator*(Complex<T> a, Complex<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class T> inline Complex<T> operator*(Complex<T> a, T b) { return {a.re * b, a.im * b}; }
template <class T> inline T larger(T a, T b) { return a < b ? b : a; }

// Both parts of b are scaled by the larger: their squares neither overflow nor vanish.
template <class T> inline Complex<T> operator/(Complex<T> a, Complex<T> b) {
  T scale = larger<T>(__builtin_fabs(b.re), __builtin_fabs(b.im));
  if (scale == 0) return {a.re / scale, a.im / scale};
  T re = b.re / scale, im = b.im / scale, square = (re * re + im * im) * scale;
  return {(a.re * re + a.im * im) / square, (a.im * re - a.re * im) / square};
}
template <class T> inline bool is_zero(Complex<T> z) { return z.re == 0 && z.im == 0; }
template <class T> inline bool is_nan(Complex<T> z) { return z.re != z.re || z.im != z.im; }

// ---- the C library's functions

__complex__ double library(Z z) {
  __complex__ double w;
  __real__ w = z.re;
  __imag__ w = z.im;
  return w;
}
inline Z of(__complex__ double w) { return {__real__ w, __imag__ w}; }

#define TESSEL_LIBRARY(name) Z name(Z z) { return of(__builtin_c##name(library(z))); }
TESSEL_LIBRARY(sqrt) TESSEL_LIBRARY(exp) TESSEL_LIBRARY(log) TESSEL_LIBRARY(sin) TESSEL_LIBRARY(cos) TESSEL_LIBRARY(tan)
TESSEL_LIBRARY(sinh) TESSEL_LIBRARY(cosh) TESSEL_LIBRARY(tanh) TESSEL_LIBRARY(asin) TESSEL_LIBRARY(acos)
TESSEL_LIBRARY(atan) TESSEL_LIBRARY(asinh) TESSEL_LIBRARY(acosh) TESSEL_LIBRARY(atanh)
#undef TESSEL_LIBRARY

constexpr double kLn2 = 0.693147180559945309417, kLn10 = 2.30258509299404568402, kPi = 3.14159265358979323846;

Z reciprocal(Z z) { return Z{1, 0} / z; }
Z rsqrt(Z z) { return reciprocal(sqrt(z)); }
Z square(Z z) { return z * z; }
Z exp2(Z z) { return exp(z * kLn2); }
Z log2(Z z) { return log(z) * (1 / kLn2); }
Z log10(Z z) { return log(z) * (1 / kLn10); }
Z sigmoid(Z z) { return reciprocal(Z{1, 0} + exp({-z.re, -z.im})); }
Z sinc(Z z) { return is_zero(z) ? Z{1, 0} : sin(z * kPi) / (z * kPi); }
Z silu(Z z) { return z / (Z{1, 0} + exp({-z.re, -z.im})); }
Z sgn(Z z) {
  double size = __builtin_hypot(z.re, z.im);
  return size == 0 ? Z{0, 0} : Z{z.re / size, z.im / size};
}
// Near 0 both keep their digits: exp(x) cos(y) - 1 = expm1(x) cos(y) - 2 sin(y / 2)^2.
Z expm1(Z z) {
  double half = __builtin_sin(z.im / 2), grown = __builtin_expm1(z.re);
  return {grown * __builtin_cos(z.im) - 2 * half * half, (grown + 1) * __builtin_sin(z.im)};
}
Z log1p(Z z) {
  double size = __builtin_hypot(z.re, z.im), angle = __builtin_atan2(z.im, 1 + z.re);
  if (size < 0.5) return {0.5 * __builtin_log1p(z.re * (2 + z.re) + z.im * z.im), angle};
  return {__builtin_log(__builtin_hypot(1 + z.re, z.im)), angle};
}

using Map = Z (*)(Z);

constexpr Map map_of(Unary op) {
  switch (op) {
    case Unary::sqrt: return sqrt;
    case Unary::rsqrt: return rsqrt;
    case Unary::exp: return exp;
    case Unary::exp2: return exp2;
    case Unary::expm1: return expm1;
    case Unary::log: return log;
    case Unary::log2: return log2;
    case Unary::log10: return log10;
    case Unary::log1p: return log1p;
    case Unary::sin: return sin;
    case Unary::cos: return cos;
    case Unary::tan: return tan;
    case Unary::asin: return asin;
    case Unary::acos: return acos;
    case Unary::atan: return atan;
    case Unary::sinh: return sinh;
    case Unary::cosh: return cosh;
    case Unary::tanh: return tanh;
    case Unary::asinh: return asinh;
    case Unary::acosh: return acosh;
    case Unary::atanh: return atanh;
    case Unary::reciprocal: return reciprocal;
    case Unary::square: return square;
    case Unary::sigmoid: return sigmoid;
    case Unary::silu: return silu;
    case Unary::sinc: return sinc;
    default: return sgn;
  }
}

// ---- loops

// One loop serves all maps: which it is stands in the parameters.
template <class T> void map_all(const Params& params, int64_t n, void* y, const void* const* x, unsigned) {
  const Map map = map_of(Unary(int(params.s[0])));
  const Complex<T>* a = (const Complex<T>*)x[0];
  Complex<T>* r = (Complex<T>*)y;
  for (int64_t i = 0; i < n; ++i) {
    Z z = map({double(a[i].re), double(a[i].im)});
    r[i] = {T(z.re), T(z.im)};
  }
}

template <class T, class R, class F> inline void each(int64_t n, void* y, const void* const* x, F f) {
  const Complex<T>* a = (const Complex<T>*)x[0];
  R* r = (R*)y;
  TESSEL_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) r[i] = f(a[i]);
}
template <class T> void neg(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  each<T, Complex<T>>(n, y, x, [](Complex<T> z) { return Complex<T>{-z.re, -z.im}; });
}
template <class T> void conj(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  each<T, Complex<T>>(n, y, x, [](Complex<T> z) { return Complex<T>{z.re, -z.im}; });
}
template <class T> void abs(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  each<T, T>(n, y, x, [](Complex<T> z) { return T(__builtin_hypot(z.re, z.im)); });
}
template <class T> void angle(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  each<T, T>(n, y, x, [](Complex<T> z) { return T(is_nan(z) ? __builtin_nan("") : __builtin_atan2(z.im, z.re)); });
}

// Questions, whose answer is a mask; which it is stands in the parameters.
template <class T> void ask(const Params& params, int64_t n, void* y, const void* const* x, unsigned) {
  const Unary op = Unary(int(params.s[0]));
  auto infinite = [](T v) { return __builtin_isinf(v) != 0; };
  each<T, uint8_t>(n, y, x, [op, infinite](Complex<T> z) {
    if (op == Unary::logical_not) return uint8_t(is_zero(z));
    if (op == Unary::isnan) return uint8_t(is_nan(z));
    bool inf = infinite(z.re) || infinite(z.im);
    return uint8_t(op == Unary::isinf ? inf : !inf && !is_nan(z));
  });
}

template <class T, class R, class F> inline void each2(int64_t n, void* y, const void* const* x, F f) {
  const Complex<T> *a = (const Complex<T>*)x[0], *b = (const Complex<T>*)x[1];
  R* r = (R*)y;
  TESSEL_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) r[i] = f(a[i], b[i]);
}

// a^b = exp(b log(a)), with 0^0 = 1 and 0^b = 0 where b's real part is positive; a square is a product.
template <class T> Complex<T> power(Complex<T> a, Complex<T> b) {
  if (is_zero(b)) return {1, 0};
  if (b.im == 0 && b.re == 2) return a * a;
  if (is_zero(a) && b.re > 0) return {0, 0};
  Z z = exp(Z{double(b.re), double(b.im)} * log({double(a.re), double(a.im)}));
  return {T(z.re), T(z.im)};
}

template <class T> Inner binary_of(Binary op) {
  using C = Complex<T>;
  switch (op) {
    case Binary::add: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, C>(n, y, x, [](C a, C b) { return a + b; }); };
    case Binary::sub: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, C>(n, y, x, [](C a, C b) { return a - b; }); };
    case Binary::mul: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, C>(n, y, x, [](C a, C b) { return a * b; }); };
    case Binary::div: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, C>(n, y, x, [](C a, C b) { return a / b; }); };
    case Binary::pow: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, C>(n, y, x, power<T>); };
    case Binary::add_scaled:
      return [](const Params& p, int64_t n, void* y, const void* const* x, unsigned) {
        C by = {T(p.s[0]), T(p.s[1])};
        each2<T, C>(n, y, x, [by](C a, C b) { return a + b * by; });
      };
    case Binary::eq: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, uint8_t>(n, y, x, [](C a, C b) { return uint8_t(a.re == b.re && a.im == b.im); }); };
    case Binary::ne: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, uint8_t>(n, y, x, [](C a, C b) { return uint8_t(a.re != b.re || a.im != b.im); }); };
    case Binary::logical_and: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, uint8_t>(n, y, x, [](C a, C b) { return uint8_t(!is_zero(a) && !is_zero(b)); }); };
    case Binary::logical_or: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, uint8_t>(n, y, x, [](C a, C b) { return uint8_t(!is_zero(a) || !is_zero(b)); }); };
    default: return [](const Params&, int64_t n, void* y, const void* const* x, unsigned) { each2<T, uint8_t>(n, y, x, [](C a, C b) { return uint8_t(is_zero(a) != is_zero(b)); }); };  // logical_xor
  }
}

// where, lerp, addcmul, addcdiv; p is the value of the last two.
template <class T, int which> void three(const Params& params, int64_t n, void* y, const void* const* x, unsigned) {
  const Complex<T> *a = (const Complex<T>*)x[0], *b = (const Complex<T>*)x[1], *c = (const Complex<T>*)x[2];
  const Complex<T> p = {T(params.s[0]), T(params.s[1])};
  Complex<T>* r = (Complex<T>*)y;
  TESSEL_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (which == 0) r[i] = is_zero(a[i]) ? c[i] : b[i];
    else if constexpr (which == 1) r[i] = a[i] + c[i] * (b[i] - a[i]);
    else if constexpr (which == 2) r[i] = a[i] + p * b[i] * c[i];
    else r[i] = a[i] + p * b[i] / c[i];
  }
}

}  // namespace

void complex_unary(Unary op, const Loop& loop, DType compute) {
  const bool single = compute == DType::complex64;
  const DType real = single ? DType::float32 : DType::float64;
  const Params params = {{double(int(op))}};
  if (op == kConj) return walk(loop, single ? conj<float> : conj<double>, compute, compute, params);
  if (op == kAngle) return walk(loop, single ? angle<float> : angle<double>, real, compute, params);
  switch (op) {
    case Unary::neg: return walk(loop, single ? neg<float> : neg<double>, compute, compute, params);
    case Unary::abs: return walk(loop, single ? abs<float> : abs<double>, real, compute, params);
    case Unary::logical_not: case Unary::isnan: case Unary::isinf: case Unary::isfinite:
      return walk(loop, single ? ask<float> : ask<double>, DType::bool_, compute, params);
    default: return walk(loop, single ? map_all<float> : map_all<double>, compute, compute, params);
  }
}

void complex_binary(Binary op, const Loop& loop, DType compute, const Params& params) {
  Inner inner = compute == DType::complex64 ? binary_of<float>(op) : binary_of<double>(op);
  walk(loop, inner, op >= Binary::eq && op <= Binary::logical_xor ? DType::bool_ : compute, compute, params);
}

void complex_ternary(Ternary op, const Loop& loop, DType compute, const Params& params) {
  const bool single = compute == DType::complex64;
  Inner inner = op == Ternary::where   ? (single ? three<float, 0> : three<double, 0>)
              : op == Ternary::lerp    ? (single ? three<float, 1> : three<double, 1>)
              : op == Ternary::addcmul ? (single ? three<float, 2> : three<double, 2>)
                                       : (single ? three<float, 3> : three<double, 3>);
  walk(loop, inner, compute, compute, params);
}

}  // namespace tessel::TESSEL_TARGET
