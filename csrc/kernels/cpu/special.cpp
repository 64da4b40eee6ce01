// Functions that are rare and long: Bessel's and Airy's, the scaled error function, the normal distribution's logarithm
// and inverse, zeta and the incomplete gamma functions, orthogonal polynomials. All in double, one number at a time.
#include "kernels/cpu/math.h"
#include "kernels/cpu/rare.h"
#include "kernels/cpu/walk.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr double kPi = 3.14159265358979323846, kSqrtPi = 1.77245385090551602730, kSqrt2 = 1.41421356237309504880;
constexpr double kEuler = 0.577215664901532860607, kEps = 1.1e-16;
const double kInf = __builtin_inf(), kNan = __builtin_nan("");

// ---- of one number

double entr(double x) { return x != x ? x : x > 0 ? -x * ::log(x) : x == 0 ? 0 : -kInf; }

// e^(x^2) erfc(x). Beyond 2, where both factors lose digits, the continued fraction x + 1/2 / (x + 1 / (x + 3/2 / ...)).
double erfcx(double x) {
  if (x < 2) return x < -26.7 ? kInf : ::exp(x * x) * ::erfc(x);
  double f = x;
  for (int k = 60; k > 0; --k) f = x + 0.5 * k / f;
  return 1 / (kSqrtPi * f);
}

// The modified Bessel functions of the first kind times e^-|x|: bessel_lane's two series.
template <int order> double scaled_i(double x) {
  double size = ::fabs(x);
  if (!(size > 30)) return bessel_lane<order>(x) * ::exp(-size);
  double sum = 1, term = 1;
  for (int k = 1; k < 30; ++k) {
    double odd = 2 * k - 1;
    sum += term *= (odd * odd - 4 * order * order) / (8 * k * size);
    if (::fabs(term) < kEps) break;
  }
  double y = sum / ::sqrt(2 * kPi * size);
  return order && x < 0 ? -y : y;
}

// K of the second kind, times e^x: the integral of e^(-x (cosh t - 1)) cosh(order t) over t > 0. The trapezoidal rule is
// exact to e^(-pi^2 / h), and to e^(-2 pi^2 / (h^2 x)) where the integrand is narrow; at x >= 2/3 it has died at t = 5.
double k_integral(double order, double x) {
  double sum = 0.5, narrow = 0.7 / ::sqrt(x), h = narrow < 0.2 ? narrow : 0.2;
  for (int i = 1; i < 40; ++i) {
    double t = i * h, half = ::sinh(0.5 * t), part = ::exp(-2 * x * half * half) * ::cosh(order * t);
    sum += part;
    if (part < kEps * sum) break;
  }
  return h * sum;
}

// Below 1 the series: K0 = -(ln(x / 2) + gamma) I0 + sum (x^2/4)^k H_k / k!^2, and K1 from I0 K1 + I1 K0 = 1 / x.
template <int order, bool scaled> double bessel_k(double x) {
  if (x != x || x < 0) return kNan;
  if (x == 0) return kInf;
  if (__builtin_isinf(x)) return 0;
  if (x >= 1) return scaled ? k_integral(order, x) : k_integral(order, x) * ::exp(-x);
  double z = 0.25 * x * x, term = 1, harmonic = 0, k0 = 0;
  for (int k = 1; k < 16; ++k) {
    term *= z / (double(k) * k);
    harmonic += 1.0 / k;
    k0 += term * harmonic;
  }
  k0 -= (::log(0.5 * x) + kEuler) * bessel_lane<0>(x);
  double y = order ? (1 / x - bessel_lane<1>(x) * k0) / bessel_lane<0>(x) : k0;
  return scaled ? y * ::exp(x) : y;
}

double log_ndtr(double x) {
  if (x < -1) return ::log(0.5 * erfcx(-x / kSqrt2)) - 0.5 * x * x;
  return ::log1p(-0.5 * ::erfc(x / kSqrt2));
}

// The x whose normal distribution function is p: a guess to three digits or better, and Halley's steps, which triple
// the digits, on log p where p is small.
double ndtri(double p) {
  if (p != p || p < 0 || p > 1) return kNan;
  if (p == 0) return -kInf;
  if (p == 1) return kInf;
  if (p == 0.5) return 0;
  if (p > 0.5) return -ndtri(1 - p);
  double root = ::sqrt(-2 * ::log(p));
  double x = -(root - (2.515517 + root * (0.802853 + root * 0.010328)) / (1 + root * (1.432788 + root * (0.189269 + root * 0.001308))));
  for (int i = 0; i < 3; ++i) {
    // f = log_ndtr(x) - log p; f' = phi / Phi = sqrt(2 / pi) / erfcx(-x / sqrt 2); f'' = -f' (x + f')
    double slope = 0.797884560802865355880 / erfcx(-x / kSqrt2);
    double f = p > 0.1 ? ::log1p((0.5 * ::erfc(-x / kSqrt2) - p) / p) : log_ndtr(x) - ::log(p);
    x -= f / (slope + 0.5 * f * (x + slope));
  }
  return x;
}

double spherical_j0(double x) {
  if (__builtin_isinf(x)) return 0;
  if (::fabs(x) < 0.01) return 1 - x * x / 6 * (1 - x * x / 20 * (1 - x * x / 42));
  return ::sin(x) / x;
}

// Airy's function. From 1 on sqrt(x / 3) K_1/3(2/3 x^1.5) / pi; below it the equation y'' = x y is followed from 0 in
// steps of at most 1/2 by its Taylor series, in which a_k+2 = (x0 a_k + a_k-1) / ((k + 1) (k + 2)). Far to the left the
// asymptotic series.
double airy_ai(double x) {
  if (x != x) return x;
  if (x >= 1) {
    if (x > 104) return 0;
    double zeta = 2.0 / 3 * x * ::sqrt(x);
    return ::sqrt(x / 3) * k_integral(1.0 / 3, zeta) * ::exp(-zeta) / kPi;
  }
  if (x < -12) {
    if (__builtin_isinf(x)) return 0;
    double size = -x, zeta = 2.0 / 3 * size * ::sqrt(size), term = 1, even = 1, odd = 0;
    for (int k = 1; k < 20; ++k) {
      term *= (6.0 * k - 5) * (6 * k - 3) * (6 * k - 1) / (216.0 * k * (2 * k - 1)) / zeta;
      (k % 2 ? odd : even) += k % 4 == 1 || k % 4 == 0 ? term : -term;
      if (term < kEps) break;
    }
    return (::cos(zeta - kPi / 4) * even + ::sin(zeta - kPi / 4) * odd) / (kSqrtPi * ::sqrt(::sqrt(size)));
  }
  double y = 0.355028053887817239260, slope = -0.258819403792806798405, at = 0;
  int steps = int(::ceil(2 * ::fabs(x)));
  for (int i = 0; i < steps; ++i) {
    double h = x / steps, before = 0, a = y, next = slope, power = 1, sum = 0, rise = 0;
    for (int k = 0; k < 24; ++k) {
      sum += a * power;
      rise += (k + 1) * next * power;
      double after = (at * a + before) / ((k + 1) * (k + 2));
      before = a, a = next, next = after;
      power *= h;
    }
    y = sum, slope = rise, at += h;
  }
  return y;
}

// ---- of two

// The sum of (q + k)^-s over k >= 0: ten terms or more, and the Euler-Maclaurin formula for the rest.
double zeta(double s, double q) {
  if (s == 1) return kInf;
  if (!(s > 1)) return kNan;
  if (q <= 0) {
    if (q == ::floor(q)) return kInf;
    if (s != ::floor(s)) return kNan;
  }
  double sum = 0, a = q;
  for (int k = 0; k < 10 || a <= 9; ++k, a += 1) {
    double part = ::pow(a, -s);
    sum += part;
    if (::fabs(part) < kEps * ::fabs(sum) && a > 9) return sum;
  }
  // B_2k / (2k)!
  constexpr double bernoulli[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160, -691.0 / 1307674368000,
                                  1.0 / 74724249600, -3617.0 / 10670622842880000, 43867.0 / 5109094217170944000};
  double last = ::pow(a, -s), factor = s / a;
  sum += last * a / (s - 1) + 0.5 * last;
  for (int k = 0; k < 9; ++k) {
    double part = bernoulli[k] * factor * last;
    sum += part;
    if (::fabs(part) < kEps * ::fabs(sum)) break;
    factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a);
  }
  return sum;
}

double polygamma(double n, double x) {
  if (n == 0) return digamma_lane(x);
  if (n == 1) return trigamma_lane(x);
  double y = ::tgamma(n + 1) * zeta(n + 1, x);
  return int64_t(n) % 2 ? y : -y;
}

// x^a e^-x / Gamma(a + 1). Where a and x are large and near each other the exponent is built of their difference:
// a (log(x / a) - (x - a) / a), and Stirling's series stands for Gamma.
double gamma_factor(double a, double x) {
  if (a < 20) return ::exp(a * ::log(x) - x - ::lgamma(a + 1));
  double u = (x - a) / a, log_part;
  if (::fabs(u) < 0.3) {  // log(1 + u) - u, without cancellation
    double v = u / (2 + u), square = v * v, sum = 0;
    for (int k = 25; k >= 1; k -= 2) sum = sum * square + 2.0 / (k + 2);
    log_part = v * square * sum - u * v;
  } else {
    log_part = ::log(x / a) - u;
  }
  double z = 1 / (a * a), stirling = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z / 1680))) / a;
  return ::exp(a * log_part - stirling) / ::sqrt(2 * kPi * a);
}

// The incomplete gamma functions, upper or lower: the power series of the lower below a + 1, above it the continued
// fraction of the upper (Lentz).
double incomplete_gamma(double a, double x, bool upper) {
  if (a != a || x != x || a < 0 || x < 0) return kNan;
  if (a == 0) return x > 0 ? (upper ? 0 : 1) : kNan;
  if (x == 0) return upper ? 1 : 0;
  if (__builtin_isinf(a)) return __builtin_isinf(x) ? kNan : upper ? 1 : 0;
  if (__builtin_isinf(x)) return upper ? 0 : 1;
  double factor = gamma_factor(a, x);
  if (x < a + 1) {
    double term = 1, sum = 1;
    for (int k = 1; k < 100000 && term > kEps * sum; ++k) sum += term *= x / (a + k);
    double lower = factor * sum;
    return upper ? 1 - lower : lower;
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
  for (int k = 1; k < 100000; ++k) {
    double an = -k * (k - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    f *= c * d;
    if (::fabs(c * d - 1) < kEps) break;
  }
  double rest = factor * a * f;
  return upper ? rest : 1 - rest;
}
double gammainc(double a, double x) { return incomplete_gamma(a, x, false); }
double gammaincc(double a, double x) { return incomplete_gamma(a, x, true); }

// Polynomials by their recurrence, from p_0 = 1 and p_1: next(k, p_k, p_k-1) is p_k+1. A fraction of a degree is cut
// off, and a negative degree gives 0.
int64_t degree_of(double n) { return n >= 0 ? int64_t(n < 1e9 ? n : 1e9) : n > -1 ? 0 : -1; }

template <class Next> double recurrence(double degree, double first, Next next) {
  int64_t n = degree_of(degree);
  if (n < 0) return 0;
  if (n == 0) return 1;
  double before = 1, now = first;
  for (int64_t k = 1; k < n && now == now; ++k) {
    double after = next(double(k), now, before);
    before = now, now = after;
  }
  return now;
}

// The four kinds of Chebyshev polynomials differ in p_1. Within [-1, 1] one of high degree is a quotient of cosines or sines.
double chebyshev(double x, double n, double first) {
  return recurrence(n, first, [x](double, double now, double before) { return 2 * x * now - before; });
}
bool waves(double x, double n) { return n > 8 && ::fabs(x) < 1; }
double chebyshev_t(double x, double n) {
  return waves(x, n) ? ::cos(double(degree_of(n)) * ::acos(x)) : chebyshev(x, n, x);
}
double chebyshev_u(double x, double n) {
  double t = ::acos(x);
  return waves(x, n) ? ::sin(double(degree_of(n) + 1) * t) / ::sin(t) : chebyshev(x, n, 2 * x);
}
double chebyshev_v(double x, double n) {
  double t = ::acos(x);
  return waves(x, n) ? ::cos((double(degree_of(n)) + 0.5) * t) / ::cos(0.5 * t) : chebyshev(x, n, 2 * x - 1);
}
double chebyshev_w(double x, double n) {
  double t = ::acos(x);
  return waves(x, n) ? ::sin((double(degree_of(n)) + 0.5) * t) / ::sin(0.5 * t) : chebyshev(x, n, 2 * x + 1);
}
double shifted_t(double x, double n) { return chebyshev_t(2 * x - 1, n); }
double shifted_u(double x, double n) { return chebyshev_u(2 * x - 1, n); }
double shifted_v(double x, double n) { return chebyshev_v(2 * x - 1, n); }
double shifted_w(double x, double n) { return chebyshev_w(2 * x - 1, n); }

double hermite_h(double x, double n) {
  return recurrence(n, 2 * x, [x](double k, double now, double before) { return 2 * x * now - 2 * k * before; });
}
double hermite_he(double x, double n) {
  return recurrence(n, x, [x](double k, double now, double before) { return x * now - k * before; });
}
double laguerre_l(double x, double n) {
  return recurrence(n, 1 - x, [x](double k, double now, double before) { return ((2 * k + 1 - x) * now - k * before) / (k + 1); });
}
double legendre_p(double x, double n) {
  return recurrence(n, x, [x](double k, double now, double before) { return ((2 * k + 1) * x * now - k * before) / (k + 1); });
}

double bessel_j0(double x) { return ::j0(x); }
double bessel_j1(double x) { return ::j1(x); }
double bessel_y0(double x) { return ::y0(x); }
double bessel_y1(double x) { return ::y1(x); }

// ---- the loops

template <double (*f)(double)> void one(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  for (int64_t i = 0; i < n; ++i) ((double*)y)[i] = f(((const double*)x[0])[i]);
}
template <double (*f)(double, double)> void two(const Params&, int64_t n, void* y, const void* const* x, unsigned) {
  for (int64_t i = 0; i < n; ++i) ((double*)y)[i] = f(((const double*)x[0])[i], ((const double*)x[1])[i]);
}

constexpr Inner kFunctions[int(Special::count)] = {
    one<airy_ai>, one<bessel_j0>, one<bessel_j1>, one<bessel_y0>, one<bessel_y1>, one<entr>, one<erfcx>, one<scaled_i<0>>,
    one<bessel_lane<1>>, one<scaled_i<1>>, one<bessel_k<0, false>>, one<bessel_k<1, false>>, one<log_ndtr>, one<ndtri>,
    one<bessel_k<0, true>>, one<bessel_k<1, true>>, one<spherical_j0>,
    two<zeta>, two<polygamma>, two<gammainc>, two<gammaincc>, two<chebyshev_t>, two<chebyshev_u>, two<chebyshev_v>,
    two<chebyshev_w>, two<shifted_t>, two<shifted_u>, two<shifted_v>, two<shifted_w>, two<hermite_h>, two<hermite_he>,
    two<laguerre_l>, two<legendre_p>,
};

}  // namespace

void special(Special op, const Loop& loop) { walk(loop, kFunctions[int(op)], DType::float64, DType::float64, {}); }

}  // namespace tessel::TESSEL_TARGET
