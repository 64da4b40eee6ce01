// Random numbers by rejection: poisson, binomial, gamma. An element takes as many words of its own stream as its
// rejections ask for, so its value depends on nothing but the draw, its number and its parameters.
#include <cmath>

#include "core/parallel.h"
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {
#include "kernels/philox.h"

void check_floating(const char* op, DType dtype) {
  if (!is_floating(dtype))
    fail<NotImplementedError>(op, ": not implemented for ", dtype, ", only for floating point tensors");
}

bool everywhere(const Tensor& truth) { return truth.numel() == 0 || item(all(truth)).as_int() != 0; }

struct Words {
  Draw draw;
  uint64_t element, numel;
  RandomWide wide() {
    const RandomWide w = random_wide(draw.seed, draw.offset, element);
    element += numel;
    return w;
  }
  double next() { return random_positive(wide()); }
  double normal() {
    const RandomWide first = wide();
    return random_normal_pair<double>(first, wide()).cosine;
  }
};

// number(i, words) of each element of the result, made in float64.
template <class F> Tensor drawn(const Dims& sizes, DType dtype, Device device, Generator& generator, F number) {
  Tensor y = empty(sizes, DType::float64);
  double* out = y.data_as<double>();
  const Draw draw = generator.draw();
  const auto numel = static_cast<uint64_t>(y.numel());
  auto piece = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = number(i, Words{draw, static_cast<uint64_t>(i), numel});
  };
  using Piece = decltype(piece);
  parallel_for(
      y.numel(), 1024, [](void* f, int64_t begin, int64_t end, int) { (*static_cast<Piece*>(f))(begin, end); }, &piece);
  return to(y, dtype, device);
}

Tensor doubles(const Tensor& x, const Dims& sizes) {
  return contiguous(expand(to(detach(x), DType::float64, Device{}), sizes));
}

// Below 10: the number of uniform factors until their product falls under exp(-rate). From 10 on: W. Hoermann, "The
// transformed rejection method for generating Poisson random variables", 1993, algorithm PTRS.
double poisson_number(double rate, Words words) {
  if (rate == 0) return 0;
  if (rate < 10) {
    const double limit = std::exp(-rate);
    double product = words.next(), n = 0;
    for (; product > limit; ++n) product *= words.next();
    return n;
  }
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2), log_rate = std::log(rate);
  for (;;) {
    const double u = words.next() - 0.5, v = words.next(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b) <=
        -rate + k * log_rate - std::lgamma(k + 1))
      return k;
  }
}

// Few successes: the number of waiting times until they exceed n. Else W. Hoermann, "The generation of binomial random
// variates", 1993, algorithm BTRS.
double binomial_number(double n, double p, Words words) {
  if (p > 0.5) return n - binomial_number(n, 1 - p, words);
  if (n <= 0 || p <= 0) return 0;
  if (n * p < 10) {
    const double log_failure = random_log_complement(p);
    double sum = random_geometric(words.wide(), log_failure), k = 0;
    for (; sum <= n; ++k) sum += random_geometric(words.wide(), log_failure);
    return k;
  }
  const double spread = std::sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
  const double alpha = (2.83 + 5.1 / b) * spread, v_r = 0.92 - 4.2 / b, mode = std::floor((n + 1) * p);
  const double log_odds = std::log(p / (1 - p)), at_mode = std::lgamma(mode + 1) + std::lgamma(n - mode + 1);
  for (;;) {
    const double u = words.next() - 0.5, v = words.next(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + n * p + 0.5);
    if (k < 0 || k > n) continue;
    if (us >= 0.07 && v <= v_r) return k;
    if (std::log(v * alpha / (a / (us * us) + b)) <=
        at_mode - std::lgamma(k + 1) - std::lgamma(n - k + 1) + (k - mode) * log_odds)
      return k;
  }
}

// G. Marsaglia and W. Tsang, "A simple method for generating gamma variables", 2000; below 1 by way of alpha + 1.
double gamma_number(double alpha, Words words) {
  if (!(alpha > 0)) return alpha == 0 ? 0 : std::nan("");
  double scale = 1;
  if (alpha < 1) scale = std::exp(std::log(words.next()) / alpha), alpha += 1;
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = words.normal(), t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t, u = words.next();
    if (u < 1 - 0.0331 * x * x * x * x || std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) return scale * d * v;
  }
}

double digamma(double x) {
  double y = 0;
  for (; x < 12; ++x) y -= 1 / x;
  const double z = 1 / (x * x);
  return y + std::log(x) - 0.5 / x -
         z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * 691.0 / 32760)))));
}

// How the quantile x of a gamma distribution moves with alpha: -(dP/dalpha) / (dP/dx), P the regularised incomplete
// gamma function, over which x^(alpha-1) e^-x / gamma(alpha) cancels.
double gamma_slope(double alpha, double x) {
  if (!(x > 0) || !(alpha > 0)) return 0;
  if (alpha > 1e4) {  // Cornish and Fisher's expansion of the quantile, whose normal quantile w Newton's method finds
    const double root = std::sqrt(alpha);
    double w = (x - alpha) / root;
    for (int i = 0; i < 4; ++i) {
      const double at = alpha + w * root + (w * w - 1) / 3 + (w * w * w - 7 * w) / (36 * root);
      w -= (at - x) / (root + 2 * w / 3 + (3 * w * w - 7) / (36 * root));
    }
    return 1 + w / (2 * root) - (w * w * w - 7 * w) / (72 * alpha * root);
  }
  const double turn = std::log(x) - digamma(alpha);
  if (x < alpha + 4 * std::sqrt(alpha) + 8) {  // P = x^alpha e^-x / gamma(alpha) sum of x^n / (alpha ... (alpha + n))
    double term = 1 / alpha, harmonic = 1 / alpha, sum = term, slope = -term * harmonic;
    for (double n = 1; n < 1e5; ++n) {
      term *= x / (alpha + n);
      harmonic += 1 / (alpha + n);
      sum += term, slope -= term * harmonic;
      if (term * harmonic < 1e-17 * std::abs(slope) && n > x - alpha) break;
    }
    return -x * (turn * sum + slope);
  }
  // 1 - P = x^(alpha-1) e^-x / gamma(alpha) c, c = x / (x + 1 - alpha - 1 (1 - alpha) / (x + 3 - alpha - ...)): Lentz's
  // method, with derivatives by alpha beside the values.
  double b = x + 1 - alpha, db = -1, d = 1 / b, dd = -db * d * d, h = d, dh = dd, c = 1e300, dc = 0;
  for (double i = 1; i < 1000; ++i) {
    const double an = -i * (i - alpha), dan = i;
    b += 2;
    const double e = an * d + b, de = dan * d + an * dd + db;
    const double f = b + an / c, df = db + dan / c - an * dc / (c * c);
    d = 1 / e, dd = -de * d * d;
    c = f, dc = df;
    const double factor = d * c, dfactor = dd * c + d * dc;
    dh = dh * factor + h * dfactor;
    h *= factor;
    if (std::abs(factor - 1) < 1e-15 && std::abs(dfactor) < 1e-15) break;
  }
  return x * (turn * h + dh);
}

}  // namespace

Tensor poisson(const Tensor& rate, Generator& generator) {
  check_floating("poisson", rate.dtype());
  NoGrad no_grad;
  check(everywhere(ge(rate, wrapped_number(0))), "poisson: invalid Poisson rate, expected rate to be non-negative");
  Tensor rates = doubles(rate, rate.sizes());
  const double* r = rates.data_as<double>();
  return drawn(rate.sizes(), rate.dtype(), rate.device(), generator, [=](int64_t i, Words words) { return poisson_number(r[i], words); });
}

Tensor binomial(const Tensor& count, const Tensor& p, Generator& generator) {
  check_floating("binomial", count.dtype());
  check_floating("binomial", p.dtype());
  check(count.dtype() == p.dtype(), "binomial: Found dtype ", p.dtype(), " for prob but expected ", count.dtype());
  NoGrad no_grad;
  check(everywhere(ge(count, wrapped_number(0))), "binomial: expected count to be non-negative");
  const Dims sizes = broadcast("binomial", count.sizes(), p.sizes());
  Tensor counts = doubles(count, sizes), probabilities = doubles(p, sizes);
  const double *n = counts.data_as<double>(), *q = probabilities.data_as<double>();
  return drawn(sizes, count.dtype(), count.device(), generator, [=](int64_t i, Words words) { return binomial_number(n[i], q[i], words); });
}

Tensor standard_gamma_backward(const Tensor& alpha, const Tensor& x) {
  const char* name = "standard_gamma_backward";
  check_floating(name, alpha.dtype());
  const Dims sizes = broadcast(name, alpha.sizes(), x.sizes());
  Tensor alphas = doubles(alpha, sizes), xs = doubles(x, sizes), y = empty(sizes, DType::float64);
  const double *a = alphas.data_as<double>(), *at = xs.data_as<double>();
  double* out = y.data_as<double>();
  auto piece = [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = gamma_slope(a[i], at[i]);
  };
  using Piece = const decltype(piece);
  parallel_for(
      y.numel(), 256, [](void* f, int64_t begin, int64_t end, int) { (*static_cast<Piece*>(f))(begin, end); },
      const_cast<std::remove_const_t<Piece>*>(&piece));
  y = to(y, alpha.dtype(), alpha.device());
  if (Node* node = record(name, y, {alpha, x}))
    node->backward = [name](const Tensor&, Needs) -> Grads {
      fail<NotImplementedError>(name, ": the second derivative of gamma numbers by their concentration is not there");
    };
  return y;
}

Tensor standard_gamma(const Tensor& alpha, Generator& generator) {
  const char* name = "standard_gamma";
  check_floating(name, alpha.dtype());
  Tensor y;
  {
    NoGrad no_grad;
    Tensor alphas = doubles(alpha, alpha.sizes());
    const double* a = alphas.data_as<double>();
    y = drawn(alpha.sizes(), alpha.dtype(), alpha.device(), generator, [=](int64_t i, Words words) { return gamma_number(a[i], words); });
  }
  if (Node* node = record(name, y, {alpha}))
    node->backward = [alpha = Saved(alpha), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      return {dy * standard_gamma_backward(alpha(), y())};
    };
  return y;
}

}  // namespace tessel
