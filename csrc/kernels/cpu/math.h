// Elementary functions on vectors. float has vector code for nearly all of them, within 1 to 2 units in the last place;
// double has it for the exponentials and logarithms and what follows from them, and asks the C library lane by lane for the
// rest. tests/cpp/kernel_accuracy.cpp measures both.
//
// The polynomials are minimax fits (Remez exchange at 50 digits; for float the coefficients are rounded one after the other
// and the rest refitted). Where a float formula would lose digits it is evaluated in double, half of the lanes at a time.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

constexpr double kInf = __builtin_inf(), kNan = __builtin_nan("");

// c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule.
template <class V> inline V polynomial(V, double c) { return V(c); }
template <class V, class... C> inline V polynomial(V x, double c, C... rest) { return fma(polynomial(x, rest...), x, V(c)); }

// ---- exponentials

// ln 2 in a part with few digits, whose product with any exponent is exact, and the rest.
template <class T> constexpr double kLn2High = same<T, float> ? 0x1.63p-1 : 0x1.62e42fee00000p-1;
template <class T> constexpr double kLn2Low = same<T, float> ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;

// e^r = 1 + r + r^2 P(r) for |r| <= ln 2 / 2.
template <class T> inline Vec<T> exp_rest(Vec<T> r) {
  if constexpr (same<T, float>) return polynomial(r, 0.5, 0.16666539, 0.041666612, 0.008367101, 0.0013917522);
  else return polynomial(r, 0.5, 0.1666666666666667, 0.041666666666666685, 0.008333333333326084, 0.0013888888888874305,
                         0.0001984126987500208, 2.4801587347582332e-05, 2.755725516983278e-06, 2.7557252660742615e-07,
                         2.5105312892958715e-08, 2.0921678122664916e-09);
}

// Beyond these e^x is 0 or infinite; a NaN passes, as the second operand of both.
template <class T> inline Vec<T> exp_range(Vec<T> x) {
  using V = Vec<T>;
  return greatest(V(same<T, float> ? -104.0 : -746.0), least(V(same<T, float> ? 89.0 : 710.0), x));
}

template <class T> inline Vec<T> exp(Vec<T> x) {
  using V = Vec<T>;
  x = exp_range(x);
  V n = rint(x * V(1.44269504088896340736));
  V r = fma(n, V(-kLn2Low<T>), fma(n, V(-kLn2High<T>), x));
  return scale(fma(r * r, exp_rest(r), r) + V(1), n);
}

template <class T> inline Vec<T> exp2(Vec<T> x) {
  using V = Vec<T>;
  x = greatest(V(same<T, float> ? -151.0 : -1076.0), least(V(same<T, float> ? 129.0 : 1025.0), x));
  V n = rint(x), r = (x - n) * V(0.693147180559945309417);
  return scale(fma(r * r, exp_rest(r), r) + V(1), n);
}

// 2^n (e^r - 1) + (2^n - 1), with what the rounding of r lost; in halves, because 2^n alone might be infinite.
template <class T> inline Vec<T> expm1(Vec<T> x) {
  using V = Vec<T>;
  V z = greatest(V(-40), exp_range(x)), n = rint(z * V(1.44269504088896340736));
  V high = fma(n, V(-kLn2High<T>), z), low = n * V(-kLn2Low<T>), r = high + low, lost = (high - r) + low;
  V p = r + fma(r * r, exp_rest(r), lost), half = pow2(n - V(1)), y = fma(half, p, half - V(0.5));
  return select(eq(x, V(0)), x, y + y);
}

// ---- logarithms

// g with log(1 + f) = f + g, for f between sqrt(1/2) - 1 and sqrt(2) - 1.
inline Vec<float> log_rest(Vec<float> f) {
  using V = Vec<float>;
  V p = polynomial(f, 0.33333313, -0.2500017, 0.20002225, -0.16659214, 0.14209424, -0.12552167, 0.12112265, -0.109046474,
                   0.0531296);
  V square = f * f;
  return fma(square * f, p, V(-0.5) * square);
}
// With s = f / (2 + f), log(1 + f) is 2 s + s^3 (2/3 + 2/5 s^2 + ...), and f - s f stands for 2 s without its rounding.
inline Vec<double> log_rest(Vec<double> f) {
  using V = Vec<double>;
  V s = f / (f + V(2)), z = s * s, half = V(0.5) * f * f;
  V p = z * polynomial(z, 0.6666666666666735, 0.3999999999940935, 0.285714287436868, 0.22222198428885845,
                       0.18183572363987602, 0.15313831804366654, 0.14798263797731237);
  return s * (half + p) - half;
}

// x = 2^e (1 + f), subnormal x included.
template <class T> inline Vec<T> log_parts(Vec<T> x, Vec<T>& e) {
  using V = Vec<T>;
  auto small = lt(x, V(same<T, float> ? 0x1p-126 : 0x1p-1022));
  V m = split(select(small, x * V(0x1p54), x), e);
  e = select(small, e - V(54), e);
  return m - V(1);
}

// What every logarithm says outside the positive finite numbers.
template <class T> inline Vec<T> log_edges(Vec<T> x, Vec<T> y) {
  using V = Vec<T>;
  y = select(eq(x, V(kInf)), x, y);
  return select(gt(x, V(0)), y, select(eq(x, V(0)), V(-kInf), V(kNan)));
}

template <class T> inline Vec<T> log_sum(Vec<T> f, Vec<T> e) {
  using V = Vec<T>;
  V low = fma(e, V(kLn2Low<T>), log_rest(f));
  return fma(e, V(kLn2High<T>), f + low);
}

template <class T> inline Vec<T> log(Vec<T> x) {
  Vec<T> e, f = log_parts(x, e);
  return log_edges(x, log_sum(f, e));
}

// log(1 + x): the exponent of the rounded sum serves to scale x and 1 apart, so that nothing of x is lost.
template <class T> inline Vec<T> log1p(Vec<T> x) {
  using V = Vec<T>;
  V sum = x + V(1), e, f = log_parts(sum, e);
  V by = pow2(greatest(V(-64), least(V(64), -e)));
  f = select(lt(sum, V(0x1p60)), fma(x, by, by - V(1)), f);
  return select(eq(x, V(0)), x, log_edges(sum, log_sum(f, e)));
}

// (f + g) / ln base + e * unit, the largest product kept with its rounding error.
template <class T> inline Vec<T> log_base(Vec<T> x, double high, double low, double unit_high, double unit_low) {
  using V = Vec<T>;
  V e, f = log_parts(x, e), g = log_rest(f);
  V top = f * V(high), lost = V::fused ? fma(f, V(high), -top) : V(0);
  V rest = fma(f, V(low), lost) + fma(g, V(high), e * V(unit_low));
  return log_edges(x, fma(e, V(unit_high), top + rest));
}

template <class T> inline Vec<T> log2(Vec<T> x) {
  if constexpr (same<T, float>) return log_base(x, 0x1.715476p+0, 1.9259629911266175e-08, 1, 0);
  else return log_base(x, 0x1.71547652b82fep+0, 2.0355273740931033e-17, 1, 0);
}

template <class T> inline Vec<T> log10(Vec<T> x) {
  if constexpr (same<T, float>) return log_base(x, 0x1.bcb7b2p-2, -1.0103050052231683e-08, 0x1.344p-2, 4.605038981195214e-06);
  else return log_base(x, 0x1.bcb7b1526e50ep-2, 1.098319650216765e-17, 0x1.34413509f4p-2, 8.241712586023572e-13);
}

// ---- what follows from them

template <class T> inline Vec<T> sigmoid(Vec<T> x) { return Vec<T>(1) / (Vec<T>(1) + exp(-x)); }

// With t = e^(2|x|) - 1: t / (t + 2), and 1 - 2 / (t + 2) where that is the smaller part.
template <class T> inline Vec<T> tanh(Vec<T> x) {
  using V = Vec<T>;
  V size = abs(x), t = expm1(size + size);
  auto far = gt(size, V(0.55));
  V part = select(far, V(-2), t) / (t + V(2));
  return copysign(select(far, V(1) + part, part), x);
}

// These lose digits in float, and in double only near zero, where two terms of their series serve.
constexpr double kNearZero = 0x1p-9;

inline Vec<float> sinh(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) {
    V e = exp(abs(a)), y = V(0.5) * (e - V(1) / e);
    return select(lt(abs(a), V(kNearZero)), fma(a * a, V(1.0 / 6) * a, a), copysign(y, a));
  }, x);
}

inline Vec<float> cosh(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) {
    V e = exp(abs(a));
    return V(0.5) * (e + V(1) / e);
  }, x);
}

inline Vec<float> asinh(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) {
    V y = log(abs(a) + sqrt(fma(a, a, V(1))));
    return select(lt(abs(a), V(kNearZero)), fma(a * a, V(-1.0 / 6) * a, a), copysign(y, a));
  }, x);
}

inline Vec<float> acosh(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) { return select(lt(a, V(1)), V(kNan), log(a + sqrt(a * a - V(1)))); }, x);
}

inline Vec<float> atanh(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) {
    V y = V(0.5) * log((V(1) + a) / (V(1) - a));
    return select(lt(abs(a), V(kNearZero)), fma(a * a, V(1.0 / 3) * a, a), y);
  }, x);
}

// |a|^b is e^(b log |a|), which in double is exact to 45 digits over all floats; the rest are C's edges.
inline Vec<float> pow(Vec<float> x, Vec<float> y) {
  using V = Vec<double>;
  return in_double([](V a, V b) {
    V size = abs(a), power = exp(b * log(size)), half = b * V(0.5);
    auto whole = eq(floor(b), b), odd = whole & ne(floor(half), half);
    auto one = eq(b, V(0)) | eq(a, V(1)) | (eq(size, V(1)) & eq(b, b));
    power = select(one, V(1), power);
    power = select(signbit(a) & odd, -power, power);
    return select(lt(a, V(0)) & gt(a, V(-kInf)) & !whole, V(kNan), power);
  }, x, y);
}

// ---- circular functions, in double with coefficients for float: x = n pi/2 + r, n pi/2 exact in three parts up to kFar.

constexpr double kFar = 1e6;

inline Vec<double> quarter(Vec<double> x, Vec<double>& n) {
  using V = Vec<double>;
  n = rint(x * V(0.6366197723675814));
  V r = fma(n, V(-0x1.921fb544p+0), x);
  return fma(n, V(-0x1.3198a2e037073p-69), fma(n, V(-0x1.0b4611a6p-34), r));
}
inline Vec<double> sin_near(Vec<double> r, Vec<double> z) {
  return fma(r * z, polynomial(z, -0.16666667, 0.00833338, -0.00019853505, 2.8373868e-06), r);
}
inline Vec<double> cos_near(Vec<double> z) {
  using V = Vec<double>;
  return fma(z * z, polynomial(z, 0.041666668, -0.0013888982, 2.4822977e-05, -2.8975907e-07), fma(z, V(-0.5), V(1)));
}

// sin(x + shift pi/2)
inline Vec<float> sin_shifted(Vec<float> x, double shift) {
  using V = Vec<double>;
  return in_double([shift](V a) {
    V n, r = quarter(a, n), z = r * r;
    n = n + V(shift);
    V turn = n - V(4) * floor(n * V(0.25));
    auto odd = eq(turn, V(1)) | eq(turn, V(3));
    V y = select(odd, cos_near(z), sin_near(r, z));
    return select(ge(turn, V(2)), -y, y);
  }, x);
}

// f lane by lane where x is too far out, y elsewhere: a lane's value must not depend on its neighbours.
template <class F> inline Vec<float> or_far(Vec<float> x, Vec<float> y, F f) {
  auto near = le(abs(x), Vec<float>(kFar));
  return all(near) ? y : select(near, y, per_lane(f, x));
}

inline Vec<float> sin(Vec<float> x) {
  Vec<float> y = select(eq(x, Vec<float>(0)), x, sin_shifted(x, 0));
  return or_far(x, y, [](double a) { return ::sin(a); });
}
inline Vec<float> cos(Vec<float> x) {
  return or_far(x, sin_shifted(x, 1), [](double a) { return ::cos(a); });
}
inline Vec<float> tan(Vec<float> x) {
  using V = Vec<double>;
  Vec<float> y = in_double([](V a) {
    V n, r = quarter(a, n), z = r * r, s = sin_near(r, z), c = cos_near(z), half = n * V(0.5);
    auto odd = ne(floor(half), half);
    return select(odd, -c, s) / select(odd, s, c);
  }, x);
  return or_far(x, select(eq(x, Vec<float>(0)), x, y), [](double a) { return ::tan(a); });
}

constexpr double kHalfPi = 0x1.921fb6p+0, kHalfPiRest = -4.371139000186241e-08;  // as a float, and what it lacks

// atan on [0, 1]
template <class V> inline V atan_near(V x) {
  V z = x * x;
  V p = polynomial(z, -0.33333302, 0.19998626, -0.14265092, 0.10956657, -0.084164545, 0.05817787, -0.031394158, 0.011028744,
                   -0.0018186505);
  return fma(x * z, p, x);
}

inline Vec<float> atan(Vec<float> x) {
  using V = Vec<float>;
  V size = abs(x);
  auto far = gt(size, V(1));
  V near = atan_near(select(far, V(1) / size, size));
  return copysign(select(far, V(kHalfPi) - (near - V(kHalfPiRest)), near), x);
}

inline Vec<float> atan2(Vec<float> y, Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V b, V a) {
    V width = abs(a), height = abs(b), large = greatest(width, height), small = least(width, height);
    V ratio = select(eq(large, V(0)), V(0), select(eq(small, V(kInf)), V(1), small / large));
    V angle = atan_near(ratio);
    angle = select(gt(height, width), V(1.57079632679489661923) - angle, angle);
    angle = select(signbit(a), V(3.14159265358979323846) - angle, angle);
    return select(is_nan(a) | is_nan(b), a + b, copysign(angle, b));
  }, y, x);
}

// asin(s) for s^2 = z <= 1/4
inline Vec<float> asin_near(Vec<float> s, Vec<float> z) {
  return fma(s * z, polynomial(z, 0.1666666, 0.07500521, 0.044513635, 0.031836055, 0.0143291885, 0.03767313), s);
}

// Beyond 1/2 by asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
inline Vec<float> asin(Vec<float> x) {
  using V = Vec<float>;
  V size = abs(x);
  auto far = gt(size, V(0.5));
  V z = select(far, fma(size, V(-0.5), V(0.5)), x * x), near = asin_near(select(far, sqrt(z), size), z);
  return copysign(select(far, V(kHalfPi) - ((near + near) - V(kHalfPiRest)), near), x);
}
inline Vec<float> acos(Vec<float> x) {
  using V = Vec<float>;
  V size = abs(x);
  auto far = gt(size, V(0.5));
  V z = select(far, fma(size, V(-0.5), V(0.5)), x * x), near = asin_near(select(far, sqrt(z), size), z);
  V twice = near + near;
  twice = select(signbit(x), V(2 * kHalfPi) - (twice - V(2 * kHalfPiRest)), twice);
  return select(far, twice, V(kHalfPi) - (copysign(near, x) - V(kHalfPiRest)));
}

// ---- error functions

// Up to 1 a series; beyond, 1 - e^q with q = log(erfc(|x|)), which is all but a parabola. From 4 on it is 1.
inline Vec<float> erf(Vec<float> x) {
  using V = Vec<float>;
  V size = abs(x), z = x * x;
  V near = fma(x, polynomial(z, 0.12837917, -0.37612626, 0.11283579, -0.026853347, 0.005187162, -0.0007997853, 7.806903e-05), x);
  V far = least(V(4), size);
  V q = polynomial(far, 0.0001884681, -1.1295803, -0.6332166, -0.10842172, 0.025210012, -0.004205134, 0.00044143846,
                   -2.1694692e-05);
  return select(le(size, V(1)), near, copysign(V(1) - exp(q), x));
}

// The standard normal distribution's share below x. The tail is 2^q, q a polynomial in |x|, so it keeps its digits (3e-6 of
// it at -5.5) where (1 + erf) / 2 has lost them all; beyond 5.5 it is less than half a unit of the last place of 1: zero.
inline Vec<float> normal_cdf(Vec<float> x) {
  using V = Vec<float>;
  V size = abs(x), a = least(V(5.5), size);
  V q = polynomial(a, -1.0, -1.151104927062988, -0.45921617746353149, -0.052446432411670685, 0.0069352909922599792,
                   3.1659659725846723e-05, -0.00031029540696181357, 9.2106994998175651e-05, -1.5583853382850066e-05,
                   1.6481112652400043e-06, -1.0146589346504697e-07, 2.7832602889077407e-09);
  V n = rint(q), r = (q - n) * V(0.693147180559945309417);
  V tail = select(gt(size, V(5.5)), V(0), scale(fma(r * r, exp_rest(r), r) + V(1), n));
  return select(signbit(x), tail, V(1) - tail);
}

// erfc(x) = e^(-x^2) P((x - 5/2) / (x + 5/2)) for x >= 0, zero in float from 10.2 on.
inline Vec<float> erfc(Vec<float> x) {
  using V = Vec<double>;
  return in_double([](V a) {
    V size = least(V(10.2), abs(a)), t = (size - V(2.5)) / (size + V(2.5));
    V p = polynomial(t, 0.21080636405949718, -0.3717367312669138, 0.2517131893065133, -0.1250331596257093,
                     0.03992265259049877, -0.003992471696933421, -0.0026431258921046368, 0.0008698054133345975,
                     0.0002294564843105243, -0.0001144751294230996, -3.101812242234431e-05, 4.551539142143385e-06);
    V y = exp(-(size * size)) * p;
    return select(lt(a, V(0)), V(2) - y, y);
  }, x);
}

// x P(w) with w = -log(1 - x^2), which both halves of the range make nearly straight.
inline Vec<double> erfinv_guess(Vec<double> x) {
  using V = Vec<double>;
  V w = -log((V(1) - x) * (V(1) + x)), c = w - V(2.5), t = sqrt(w) - V(3);
  V centre = polynomial(c, 1.50140935351669, 0.24664028763801948, -0.004177339409065547, -0.0012527446668341047,
                        0.00021828263169622518, -4.961908356114651e-06, -3.4346110654276177e-06, 4.6589134676032775e-07,
                        1.8037008317766512e-08, -8.772770094339254e-09, 3.355553515116394e-10);
  V tail = polynomial(t, 2.8329768879392954, 1.0016758596652022, 0.009442060336027878, -0.007650506670814196,
                      0.005710359870888892, -0.0035473709685230888, 0.0014155019236428536, -0.00012283365971639852,
                      -0.00021972192550825958, 0.00013763132553046997, -3.939107873903551e-05, 5.788069474152541e-06,
                      -3.5193975615014234e-07);
  return select(eq(abs(x), V(1)), x * V(kInf), x * select(lt(w, V(5)), centre, tail));
}

inline Vec<float> erfinv(Vec<float> x) { return in_double([](Vec<double> a) { return erfinv_guess(a); }, x); }

// Halley's step twice, on 1 - |x| where that keeps more digits.
inline double erfinv_lane(double x) {
  double lanes[Vec<double>::width];
  erfinv_guess(Vec<double>(x)).store(lanes);
  double y = lanes[0];
  if (!(y - y == 0) || y == 0) return y;
  for (int i = 0; i < 2; ++i) {
    double off = ::fabs(x) < 0.5 ? ::erf(y) - x : x > 0 ? (1 - x) - ::erfc(y) : ::erfc(-y) - (1 + x);
    double step = off / (1.12837916709551257390 * ::exp(-y * y));
    y -= step / (1 + y * step);
  }
  return y;
}
inline Vec<double> erfinv(Vec<double> x) { return per_lane(erfinv_lane, x); }

// ---- rare functions, a lane at a time

inline double lgamma_lane(double x) {
#ifdef __GLIBC__
  int sign;  // ::lgamma would write it to a variable that all threads share
  return ::lgamma_r(x, &sign);
#else
  return ::lgamma(x);
#endif
}

// Reflection below 0, recurrence up to 10, and from there the asymptotic series
// log x - 1/(2x) - sum B_2k / (2k x^2k).
inline double digamma_lane(double x) {
  if (x == 0) return ::copysign(kInf, -x);
  if (x < 0) {
    double whole, part = ::modf(x, &whole);
    if (part == 0) return kNan;
    return digamma_lane(1 - x) - 3.14159265358979323846 / ::tan(3.14159265358979323846 * part);
  }
  double sum = 0;
  for (; x < 10; x += 1) sum -= 1 / x;
  double z = 1 / (x * x);
  double series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12))))));
  return sum + ::log(x) - 0.5 / x - series;
}

// Its derivative: the same three steps, with 1/x + 1/(2x^2) + sum B_2k / x^(2k+1).
inline double trigamma_lane(double x) {
  if (x <= 0) {
    double s = ::sin(3.14159265358979323846 * (x - ::floor(x)));
    return 9.86960440108935861883 / (s * s) - (x == 0 ? 0 : trigamma_lane(1 - x));
  }
  double sum = 0;
  for (; x < 10; x += 1) sum += 1 / (x * x);
  double z = 1 / (x * x);
  double series = z * (1.0 / 6 - z * (1.0 / 30 - z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730 - z * 7 / 6))))));
  return sum + (1 + 0.5 / x + series) / x;
}

// The modified Bessel functions of order 0 and 1: the power series, all of whose terms are positive, up to 30, and beyond
// it the asymptotic one, e^x / sqrt(2 pi x) (1 - (m - 1) / 8x + (m - 1)(m - 9) / 2! (8x)^2 - ...) with m = 4 order^2.
template <int order> inline double bessel_lane(double x) {
  double size = ::fabs(x), sum = 1, term = 1;
  if (size != size) return x;
  if (size <= 30) {
    double z = 0.25 * x * x;
    for (int k = 1; term > 1e-17 * sum; ++k) sum += term *= z / (double(k) * (k + order));
    return order ? 0.5 * x * sum : sum;
  }
  for (int k = 1; k < 30; ++k) {
    double odd = 2 * k - 1;
    sum += term *= (odd * odd - 4 * order * order) / (8 * k * size);
    if (::fabs(term) < 1e-17) break;
  }
  double root = ::exp(0.5 * size);  // twice, because e^x may overflow before the quotient does
  double y = root / ::sqrt(6.28318530717958647693 * size) * sum * root;
  return order && x < 0 ? -y : y;
}

template <class T> inline Vec<T> lgamma(Vec<T> x) { return per_lane(lgamma_lane, x); }
template <class T> inline Vec<T> digamma(Vec<T> x) { return per_lane(digamma_lane, x); }
template <class T> inline Vec<T> trigamma(Vec<T> x) { return per_lane(trigamma_lane, x); }
template <class T> inline Vec<T> i0(Vec<T> x) { return per_lane(bessel_lane<0>, x); }
template <class T> inline Vec<T> i1(Vec<T> x) { return per_lane(bessel_lane<1>, x); }

// What double leaves to the C library.
#define TESSEL_FROM_C(name) \
  inline Vec<double> name(Vec<double> x) { return per_lane([](double a) { return ::name(a); }, x); }
TESSEL_FROM_C(sin)
TESSEL_FROM_C(cos)
TESSEL_FROM_C(tan)
TESSEL_FROM_C(asin)
TESSEL_FROM_C(acos)
TESSEL_FROM_C(atan)
TESSEL_FROM_C(sinh)
TESSEL_FROM_C(cosh)
TESSEL_FROM_C(asinh)
TESSEL_FROM_C(acosh)
TESSEL_FROM_C(atanh)
TESSEL_FROM_C(erf)
TESSEL_FROM_C(erfc)
inline Vec<double> normal_cdf(Vec<double> x) { return Vec<double>(0.5) * erfc(x * Vec<double>(-0.70710678118654752440)); }
#undef TESSEL_FROM_C
inline Vec<double> pow(Vec<double> a, Vec<double> b) {
  return per_lane([](double x, double y) { return ::pow(x, y); }, a, b);
}
inline Vec<double> atan2(Vec<double> a, Vec<double> b) {
  return per_lane([](double y, double x) { return ::atan2(y, x); }, a, b);
}

// ---- two operands

template <class T> inline Vec<T> hypot(Vec<T> a, Vec<T> b) {
  if constexpr (same<T, double>) {
    return per_lane([](double x, double y) { return ::hypot(x, y); }, a, b);
  } else {
    using V = Vec<double>;
    return in_double([](V x, V y) {
      auto infinite = eq(abs(x), V(kInf)) | eq(abs(y), V(kInf));
      return select(infinite, V(kInf), sqrt(fma(x, x, y * y)));
    }, a, b);
  }
}

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

// The remainder with a's sign. In double a - trunc(a / b) b is exact for floats while the quotient has at most 29 digits;
// a quotient that was rounded up shows in the sign.
template <class T> inline Vec<T> fmod(Vec<T> a, Vec<T> b) {
  auto far = [](double x, double y) { return ::fmod(x, y); };
  if constexpr (same<T, float>) {
    using V = Vec<double>;
    Vec<float> r = in_double([](V x, V y) {
      V size = abs(x), by = abs(y), rest = fma(-trunc(size / by), by, size);
      return copysign(select(lt(rest, V(0)), rest + by, rest), x);
    }, a, b);
    auto near = lt(abs(a / b), Vec<float>(0x1p28)) & lt(abs(b), Vec<float>(kInf));
    return all(near) ? r : select(near, r, per_lane(far, a, b));
  } else if constexpr (same<T, double>) {
    return per_lane(far, a, b);
  } else {
    return a - a / b * b;
  }
}

// The remainder with b's sign.
template <class T> inline Vec<T> remainder(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  V r = fmod(a, b);
  V wrapped = select(lt(b, V(0)), select(gt(r, V(0)), r + b, r), select(lt(r, V(0)), r + b, r));
  if constexpr (is_real<T>) return wrapped;
  else return select(eq(b, V(0)), V(0), wrapped);  // dividing integers by zero gives zero
}

// Division towards minus infinity; of reals from the remainder, so that the two agree.
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

// ---- integers only

// By squaring, wrapping; of negative exponents only those of 1 and -1 are whole numbers.
template <class T> inline Vec<T> pow(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  if (b.v < 0) return V::of(a.v == 1 ? 1 : a.v == -1 ? (b.v & 1 ? -1 : 1) : 0);
  V power = V::of(1);
  for (T n = b.v; n; n >>= 1, a = a * a) {
    if (n & 1) power = power * a;
  }
  return power;
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
