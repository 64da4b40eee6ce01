// The elementwise functions and their derivatives, written once: V is a vector of the target on the CPU, a float or a
// double on the GPU, and in double backward a tensor. Compiled inside the includer's own namespace, TESSEL_TARGET, which
// provides V's operators and the free functions that stand here unqualified.
//
// Function<code>::value(x..., params) is the function. Where it has a derivative, grad(x, y, dy, params) is dx, and `reads`
// says which of x and y it looks at. A grad keeps to + - * /, unary minus, V(constant), select, comparisons and functions
// that are ops themselves, so that it can be differentiated again; one that is constant in x gives V(0), to be broadcast.
// At kinks the derivative is PyTorch's.
#pragma once
#include "kernels/kernels.h"

#ifndef TESSEL_FN
#ifdef __CUDACC__
#define TESSEL_FN __host__ __device__
#else
#define TESSEL_FN
#endif
#endif

namespace tessel::TESSEL_TARGET {

constexpr double kPi = 3.14159265358979323846, kLn2 = 0.693147180559945309417, kLog2e = 1.44269504088896340736;
constexpr double kLn10 = 2.30258509299404568402, kSqrt2 = 1.41421356237309504880, kSqrtPi = 1.77245385090551602730;
constexpr double kSeluScale = 1.0507009873554804934193349852946, kSeluAlpha = 1.6732632423543772848170429916717;

// The types a function computes in.
struct Reals { static constexpr bool reals = true, integers = false; };
struct Integers { static constexpr bool reals = false, integers = true; };
struct Numbers { static constexpr bool reals = true, integers = true; };

// So common, or so few instructions, that on the CPU 16-bit floats go through it and its derivative in registers, not by way of
// tiles of floats.
struct Narrow { static constexpr bool narrow = true; };

// What a derivative reads beside dy.
enum Reads { kNothing = 0, kX = 1, kY = 2, kBoth = 3 };

template <auto code> struct Function;

// ---- sign, powers and roots

template <> struct Function<Unary::copy> : Numbers {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x; }
  template <class V> static TESSEL_FN V grad(V, V, V dy, const Params&) { return dy; }
};
template <> struct Function<Unary::positive> : Function<Unary::copy> {};

template <> struct Function<Unary::neg> : Numbers, Narrow {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return -x; }
  template <class V> static TESSEL_FN V grad(V, V, V dy, const Params&) { return -dy; }
};

template <class V> TESSEL_FN inline V sign_of(V x) { return select(gt(x, V(0)), V(1), select(lt(x, V(0)), V(-1), V(0))); }

template <> struct Function<Unary::abs> : Numbers, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return abs(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * sign_of(x); }
};

template <> struct Function<Unary::sign> : Numbers {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return sign_of(x); }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::reciprocal> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return V(1) / x; }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return -dy * y * y; }
};

template <> struct Function<Unary::square> : Numbers, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x * x; }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * (V(2) * x); }
};

template <> struct Function<Unary::sqrt> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return sqrt(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy / (V(2) * y); }
};

template <> struct Function<Unary::rsqrt> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return V(1) / sqrt(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return V(-0.5) * dy * (y * y * y); }
};

// ---- exponentials and logarithms

template <> struct Function<Unary::exp> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return exp(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * y; }
};

template <> struct Function<Unary::exp2> : Reals {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return exp2(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * y * V(kLn2); }
};

template <> struct Function<Unary::expm1> : Reals {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return expm1(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * (y + V(1)); }
};

template <> struct Function<Unary::log> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return log(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / x; }
};

template <> struct Function<Unary::log2> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return log2(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / (x * V(kLn2)); }
};

template <> struct Function<Unary::log10> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return log10(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / (x * V(kLn10)); }
};

template <> struct Function<Unary::log1p> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return log1p(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / (x + V(1)); }
};

// ---- circular and hyperbolic functions

template <> struct Function<Unary::sin> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return sin(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * cos(x); }
};

template <> struct Function<Unary::cos> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return cos(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return -dy * sin(x); }
};

template <> struct Function<Unary::tan> : Reals {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return tan(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * (V(1) + y * y); }
};

template <> struct Function<Unary::asin> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return asin(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / sqrt(V(1) - x * x); }
};

template <> struct Function<Unary::acos> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return acos(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return -dy / sqrt(V(1) - x * x); }
};

template <> struct Function<Unary::atan> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return atan(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / (V(1) + x * x); }
};

template <> struct Function<Unary::sinh> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return sinh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * cosh(x); }
};

template <> struct Function<Unary::cosh> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return cosh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * sinh(x); }
};

template <> struct Function<Unary::tanh> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return tanh(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * (V(1) - y * y); }
};

template <> struct Function<Unary::asinh> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return asinh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / sqrt(x * x + V(1)); }
};

template <> struct Function<Unary::acosh> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return acosh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / sqrt(x * x - V(1)); }
};

template <> struct Function<Unary::atanh> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return atanh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy / (V(1) - x * x); }
};

template <> struct Function<Unary::sinc> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) {
    V angle = x * V(kPi);
    return select(eq(x, V(0)), V(1), sin(angle) / angle);
  }
  // (angle cos(angle) - sin(angle)) / (angle x), whose numerator cancels near zero: there its series.
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V angle = x * V(kPi), z = angle * angle;
    V series = V(1.0 / 30) - z * (V(1.0 / 840) - z * (V(1.0 / 45360) - z * V(1.0 / 3991680)));
    V near = V(kPi) * angle * (z * series - V(1.0 / 3));
    return dy * select(lt(abs(angle), V(0.5)), near, (angle * cos(angle) - sin(angle)) / (angle * x));
  }
};

template <> struct Function<Unary::deg2rad> : Reals {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x * V(kPi / 180); }
  template <class V> static TESSEL_FN V grad(V, V, V dy, const Params&) { return dy * V(kPi / 180); }
};

template <> struct Function<Unary::rad2deg> : Reals {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x * V(180 / kPi); }
  template <class V> static TESSEL_FN V grad(V, V, V dy, const Params&) { return dy * V(180 / kPi); }
};

// ---- special functions

template <> struct Function<Unary::erf> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return erf(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * (V(2 / kSqrtPi) * exp(-(x * x))); }
};

template <> struct Function<Unary::erfc> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return erfc(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * (V(-2 / kSqrtPi) * exp(-(x * x))); }
};

template <> struct Function<Unary::erfinv> : Reals {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return erfinv(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * (V(kSqrtPi / 2) * exp(y * y)); }
};

template <> struct Function<Unary::lgamma> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return lgamma(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * digamma(x); }
};

template <> struct Function<Unary::digamma> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return digamma(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * trigamma(x); }
};

template <> struct Function<Unary::trigamma> : Reals {
  template <class V> static TESSEL_FN V value(V x, const Params&) { return trigamma(x); }
};

template <> struct Function<Unary::i0> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return i0(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * i1(x); }
};

template <> struct Function<Unary::i1> : Reals {
  static constexpr Reads reads = kBoth;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return i1(x); }
  template <class V> static TESSEL_FN V grad(V x, V y, V dy, const Params&) {
    return dy * select(eq(x, V(0)), V(0.5), i0(x) - y / x);
  }
};

template <> struct Function<Unary::sigmoid> : Reals, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return sigmoid(x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return dy * y * (V(1) - y); }
};

template <> struct Function<Unary::logit> : Reals {  // s[0]: eps, negative for none
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    if (p.s[0] >= 0) x = min(max(x, V(p.s[0])), V(1 - p.s[0]));
    return log(x / (V(1) - x));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    double eps = p.s[0] < 0 ? 0 : p.s[0];
    V outside = V(p.s[0] < 0 ? __builtin_nan("") : 0), slope = dy / (x * (V(1) - x));
    return select(lt(x, V(eps)), outside, select(gt(x, V(1 - eps)), outside, slope));
  }
};

// ---- rounding

template <> struct Function<Unary::floor> : Numbers {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return floor(x); }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::ceil> : Numbers {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return ceil(x); }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::round> : Numbers {  // half to even
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return rint(x); }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::trunc> : Numbers {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return trunc(x); }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::round_decimals> : Reals {  // s[0]: 10^|decimals|, s[1]: 1 where decimals are negative
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    V ten = V(p.s[0]);
    return p.s[1] != 0 ? rint(x / ten) * ten : rint(x * ten) / ten;
  }
  template <class V> static TESSEL_FN V grad(V, V, V, const Params&) { return V(0); }
};

template <> struct Function<Unary::frac> : Reals {
  static constexpr Reads reads = kNothing;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x - trunc(x); }
  template <class V> static TESSEL_FN V grad(V, V, V dy, const Params&) { return dy; }
};

// ---- activations

template <> struct Function<Unary::relu> : Numbers, Narrow {
  static constexpr Reads reads = kY;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return select(le(x, V(0)), V(0), x); }
  template <class V> static TESSEL_FN V grad(V, V y, V dy, const Params&) { return select(le(y, V(0)), V(0), dy); }
};

template <> struct Function<Unary::leaky_relu> : Reals, Narrow {  // s[0]: slope
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return select(gt(x, V(0)), x, x * V(p.s[0])); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(x, V(0)), dy, dy * V(p.s[0]));
  }
};

template <> struct Function<Unary::elu> : Reals, Narrow {  // s[0]: alpha
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return select(gt(x, V(0)), x, V(p.s[0]) * expm1(x)); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(x, V(0)), dy, dy * (V(p.s[0]) * exp(x)));
  }
};

template <> struct Function<Unary::celu> : Reals {  // s[0]: alpha
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    return select(gt(x, V(0)), x, V(p.s[0]) * expm1(x * V(1 / p.s[0])));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(x, V(0)), dy, dy * exp(x * V(1 / p.s[0])));
  }
};

template <> struct Function<Unary::selu> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) {
    return select(gt(x, V(0)), V(kSeluScale) * x, V(kSeluScale * kSeluAlpha) * expm1(x));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    return dy * select(gt(x, V(0)), V(kSeluScale), V(kSeluScale * kSeluAlpha) * exp(x));
  }
};

template <> struct Function<Unary::silu> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x * sigmoid(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V s = sigmoid(x);
    return dy * (s * (V(1) + x * (V(1) - s)));
  }
};

template <> struct Function<Unary::gelu> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) {
    return x * normal_cdf(x);
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V density = V(1 / (kSqrt2 * kSqrtPi)) * exp(V(-0.5) * (x * x));
    return dy * (normal_cdf(x) + x * density);
  }
};

template <> struct Function<Unary::gelu_tanh> : Reals, Narrow {  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  static constexpr double kScale = kSqrt2 / kSqrtPi, kCubic = 0.044715;
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) {
    V inner = V(kScale) * (x + V(kCubic) * (x * x * x));
    return V(0.5) * x * (V(1) + tanh(inner));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V square = x * x;
    V t = tanh(V(kScale) * (x + V(kCubic) * (square * x)));
    V slope = V(kScale) * (V(1) + V(3 * kCubic) * square);
    return dy * (V(0.5) * (V(1) + t) + V(0.5) * x * (V(1) - t * t) * slope);
  }
};

template <> struct Function<Unary::softplus> : Reals, Narrow {  // s[0]: beta, s[1]: threshold above which it is x itself
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    V z = x * V(p.s[0]);
    return select(gt(z, V(p.s[1])), x, log1p(exp(z)) * V(1 / p.s[0]));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    V z = x * V(p.s[0]);
    return select(gt(z, V(p.s[1])), dy, dy * sigmoid(z));
  }
};

template <> struct Function<Unary::logsigmoid> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return min(x, V(0)) - log1p(exp(-abs(x))); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return dy * sigmoid(-x); }
};

template <> struct Function<Unary::mish> : Reals {  // x tanh(softplus(x))
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x * gate(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V t = gate(x);
    return dy * (t + x * sigmoid(x) * (V(1) - t * t));
  }
  // tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2), and 1 where n would leave the range
  template <class V> static TESSEL_FN V gate(V x) {
    V e = exp(select(lt(x, V(20)), x, V(20)));
    V n = e * (e + V(2));
    return select(lt(x, V(20)), n / (n + V(2)), select(eq(x, x), V(1), x));
  }
};

template <> struct Function<Unary::hardtanh> : Reals, Narrow {  // s[0], s[1]: bounds
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return min(max(x, V(p.s[0])), V(p.s[1])); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(x, V(p.s[0])), select(lt(x, V(p.s[1])), dy, V(0)), V(0));
  }
};

template <> struct Function<Unary::relu6> : Numbers, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return min(max(x, V(0)), V(6)); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    return select(gt(x, V(0)), select(lt(x, V(6)), dy, V(0)), V(0));
  }
};

template <> struct Function<Unary::hardsigmoid> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return min(max(x + V(3), V(0)), V(6)) * V(1.0 / 6); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    return select(gt(x, V(-3)), select(lt(x, V(3)), dy * V(1.0 / 6), V(0)), V(0));
  }
};

template <> struct Function<Unary::hardswish> : Reals, Narrow {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) {
    return x * min(max(x + V(3), V(0)), V(6)) * V(1.0 / 6);
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    return select(le(x, V(-3)), V(0), select(ge(x, V(3)), dy, dy * (x * V(1.0 / 3) + V(0.5))));
  }
};

template <> struct Function<Unary::softsign> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x / (V(1) + abs(x)); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V d = V(1) + abs(x);
    return dy / (d * d);
  }
};

template <> struct Function<Unary::tanhshrink> : Reals {
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params&) { return x - tanh(x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) {
    V t = tanh(x);
    return dy * (t * t);
  }
};

template <> struct Function<Unary::softshrink> : Reals {  // s[0]: lambda
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    V lambda = V(p.s[0]);
    return select(gt(x, lambda), x - lambda, select(lt(x, -lambda), x + lambda, x * V(0)));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(abs(x), V(p.s[0])), dy, V(0));
  }
};

template <> struct Function<Unary::hardshrink> : Reals {  // s[0]: lambda
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return select(le(abs(x), V(p.s[0])), V(0), x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(gt(abs(x), V(p.s[0])), dy, V(0));
  }
};

template <> struct Function<Unary::threshold> : Numbers {  // s[0]: threshold, s[1]: the value at and below it
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return select(le(x, V(p.s[0])), V(p.s[1]), x); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) { return select(le(x, V(p.s[0])), V(0), dy); }
};

template <> struct Function<Unary::clamp> : Numbers, Narrow {  // s[0], s[1]: bounds, infinite where absent
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) { return min(max(x, V(p.s[0])), V(p.s[1])); }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params& p) {
    return select(ge(x, V(p.s[0])), select(le(x, V(p.s[1])), dy, V(0)), V(0));
  }
};

template <> struct Function<Unary::nan_to_num> : Reals {  // s[0]: for NaN, s[1]: for inf, s[2]: for -inf
  static constexpr Reads reads = kX;
  template <class V> static TESSEL_FN V value(V x, const Params& p) {
    V infinite = select(gt(x, V(0)), V(p.s[1]), V(p.s[2]));
    return select(eq(x - x, V(0)), x, select(eq(x, x), infinite, V(p.s[0])));
  }
  template <class V> static TESSEL_FN V grad(V x, V, V dy, const Params&) { return select(eq(x - x, V(0)), dy, V(0)); }
};

// ---- questions: the result is a mask. x - x is a NaN for what is not finite.

template <> struct Function<Unary::logical_not> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return eq(x, V(0)); }
};
template <> struct Function<Unary::isnan> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return ne(x, x); }
};
template <> struct Function<Unary::isfinite> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return eq(x - x, V(0)); }
};
template <> struct Function<Unary::isinf> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return ne(select(eq(x, x), x - x, V(0)), V(0)); }
};
template <> struct Function<Unary::isposinf> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return ne(select(gt(x, V(0)), x - x, V(0)), V(0)); }
};
template <> struct Function<Unary::isneginf> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return ne(select(lt(x, V(0)), x - x, V(0)), V(0)); }
};
template <> struct Function<Unary::signbit> : Numbers {
  template <class V> static TESSEL_FN auto value(V x, const Params&) { return signbit(x); }
};

template <> struct Function<Unary::bitwise_not> : Integers {  // of bool: logical_not
  template <class V> static TESSEL_FN V value(V x, const Params&) { return -x - V(1); }
};

// ---- two operands: arithmetic

template <> struct Function<Binary::add> : Numbers, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a + b; }
};
template <> struct Function<Binary::sub> : Numbers, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a - b; }
};
template <> struct Function<Binary::mul> : Numbers, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a * b; }
};
template <> struct Function<Binary::div> : Reals, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a / b; }
};
template <> struct Function<Binary::add_scaled> : Numbers, Narrow {  // a + s[0] b
  template <class V> static TESSEL_FN V value(V a, V b, const Params& p) { return a + V(p.s[0]) * b; }
};
template <> struct Function<Binary::squared_difference> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return (a - b) * (a - b); }
};
template <> struct Function<Binary::floor_divide> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return floor_divide(a, b); }
};
template <> struct Function<Binary::trunc_divide> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return trunc(a / b); }
};
template <> struct Function<Binary::remainder> : Numbers {  // has b's sign
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return remainder(a, b); }
};
template <> struct Function<Binary::fmod> : Numbers {  // has a's sign
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return fmod(a, b); }
};
template <> struct Function<Binary::pow> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return pow(a, b); }
};
template <> struct Function<Binary::gcd> : Integers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return gcd(a, b); }
};
template <> struct Function<Binary::lcm> : Integers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    V g = gcd(a, b);
    return abs(select(eq(g, V(0)), g, a / g * b));
  }
};

// ---- two operands: choices. max and min let a NaN win, fmax and fmin let the number win.

template <> struct Function<Binary::maximum> : Numbers, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return max(a, b); }
};
template <> struct Function<Binary::minimum> : Numbers, Narrow {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return min(a, b); }
};
template <> struct Function<Binary::fmax> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return select(ne(a, a), b, select(lt(a, b), b, a)); }
};
template <> struct Function<Binary::fmin> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return select(ne(a, a), b, select(gt(a, b), b, a)); }
};
template <> struct Function<Binary::heaviside> : Numbers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    return select(eq(a, V(0)), b, select(gt(a, V(0)), V(1), V(0)));
  }
};
template <> struct Function<Binary::copysign> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return copysign(a, b); }
};
template <> struct Function<Binary::nextafter> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return nextafter(a, b); }
};

// ---- two operands: functions

template <> struct Function<Binary::atan2> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return atan2(a, b); }
};
template <> struct Function<Binary::hypot> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return hypot(a, b); }
};
template <> struct Function<Binary::ldexp> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a * exp2(b); }
};
template <> struct Function<Binary::logaddexp> : Reals {  // equal infinities: themselves
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    return select(eq(a, b), a + V(kLn2), max(a, b) + log1p(exp(-abs(a - b))));
  }
};
template <> struct Function<Binary::logaddexp2> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    return select(eq(a, b), a + V(1), max(a, b) + V(kLog2e) * log1p(exp2(-abs(a - b))));
  }
};
template <> struct Function<Binary::xlogy> : Reals {  // 0 log(b) is 0, unless b is a NaN
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    return select(ne(b, b), b, select(eq(a, V(0)), V(0), a * log(b)));
  }
};
template <> struct Function<Binary::xlog1py> : Reals {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) {
    return select(ne(b, b), b, select(eq(a, V(0)), V(0), a * log1p(b)));
  }
};

// ---- two operands: comparisons and logic, the result is a mask

template <> struct Function<Binary::eq> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return eq(a, b); }
};
template <> struct Function<Binary::ne> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return ne(a, b); }
};
template <> struct Function<Binary::lt> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return lt(a, b); }
};
template <> struct Function<Binary::le> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return le(a, b); }
};
template <> struct Function<Binary::gt> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return gt(a, b); }
};
template <> struct Function<Binary::ge> : Numbers, Narrow {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return ge(a, b); }
};
template <> struct Function<Binary::logical_and> : Numbers {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return ne(select(ne(a, V(0)), b, V(0)), V(0)); }
};
template <> struct Function<Binary::logical_or> : Numbers {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) { return ne(select(ne(a, V(0)), a, b), V(0)); }
};
template <> struct Function<Binary::logical_xor> : Numbers {
  template <class V> static TESSEL_FN auto value(V a, V b, const Params&) {
    return ne(select(ne(a, V(0)), V(1), V(0)), select(ne(b, V(0)), V(1), V(0)));
  }
};

// ---- two operands: bits

template <> struct Function<Binary::bitwise_and> : Integers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a & b; }
};
template <> struct Function<Binary::bitwise_or> : Integers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a | b; }
};
template <> struct Function<Binary::bitwise_xor> : Integers {
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return a ^ b; }
};
template <> struct Function<Binary::left_shift> : Integers {  // 0 where b is outside the type's bits
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return left_shift(a, b); }
};
template <> struct Function<Binary::right_shift> : Integers {  // the sign where b is outside the type's bits
  template <class V> static TESSEL_FN V value(V a, V b, const Params&) { return right_shift(a, b); }
};

// ---- three operands

template <> struct Function<Ternary::where> : Numbers {
  template <class V> static TESSEL_FN V value(V condition, V a, V b, const Params&) {
    return select(ne(condition, V(0)), a, b);
  }
};
template <> struct Function<Ternary::lerp> : Reals, Narrow {  // exact at both ends
  template <class V> static TESSEL_FN V value(V a, V b, V weight, const Params&) {
    V d = b - a;
    return select(lt(abs(weight), V(0.5)), a + weight * d, b - d * (V(1) - weight));
  }
};
template <> struct Function<Ternary::addcmul> : Numbers, Narrow {  // a + s[0] b c
  template <class V> static TESSEL_FN V value(V a, V b, V c, const Params& p) { return a + V(p.s[0]) * b * c; }
};
template <> struct Function<Ternary::addcdiv> : Reals, Narrow {  // a + s[0] b / c
  template <class V> static TESSEL_FN V value(V a, V b, V c, const Params& p) { return a + V(p.s[0]) * b / c; }
};
template <> struct Function<Ternary::clamp_tensor> : Numbers {  // x, low, high
  template <class V> static TESSEL_FN V value(V x, V low, V high, const Params&) { return min(max(x, low), high); }
};
template <> struct Function<Ternary::fma> : Numbers {  // a b + c, rounded once where the processor can
  template <class V> static TESSEL_FN V value(V a, V b, V c, const Params&) { return fma(a, b, c); }
};

}  // namespace tessel::TESSEL_TARGET
