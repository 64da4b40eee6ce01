// Elementary functions against the C library one precision up, over numbers of every magnitude, and reductions against
// long double: prints the largest error of each in units of the last place, and fails where it is beyond its bound.
#include <limits>
#include <type_traits>

#include "kernel_test.h"
#include "kernels/cpu/entries.h"

using namespace tessel;
using namespace test;
namespace target = tessel::TESSEL_TARGET;

namespace {

Loop flat(int64_t n, std::initializer_list<std::pair<const void*, DType>> operands) {
  Loop loop = {};
  loop.ndim = 1;
  loop.numel = loop.sizes[0] = n;
  for (auto [data, dtype] : operands) {
    Operand& operand = loop.operand[loop.operands++];
    operand.data = (char*)data;
    operand.dtype = dtype;
    operand.strides[0] = size_of(dtype);
  }
  return loop;
}

// The distance between y and the true value, in units of the last place of a T at that value.
template <class T> double error_in_ulps(T y, long double want) {
  if (std::isnan(want)) return std::isnan(y) ? 0 : INFINITY;
  T nearest = T(want);
  if (y == nearest) return 0;
  if (std::isinf(nearest)) {  // beyond the largest number by less than a unit: that number will do
    return std::isinf(y) || std::fabs(y) < std::numeric_limits<T>::max() ? INFINITY : 1;
  }
  if (!std::isfinite(y)) return INFINITY;
  int exponent = std::max(want == 0 ? -10000 : std::ilogb(want), std::numeric_limits<T>::min_exponent - 1);
  return double(std::fabs((long double)y - want) / std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits + 1));
}

template <class T> using Wider = std::conditional_t<sizeof(T) == 4, double, long double>;

template <class T> std::vector<T> samples(double low, double high) {
  std::vector<T> x;
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  const int count = 1 << (sizeof(T) == 4 ? 18 : 14);
  for (int i = 0; i < count; ++i) {  // bit patterns evenly: as many numbers in each binade
    Bits bits = Bits(i) * (Bits(-1) / Bits(count)) + Bits(rand());
    T v;
    std::memcpy(&v, &bits, sizeof v);
    if (v >= T(low) && v <= T(high)) x.push_back(v);
  }
  double from = std::max(low, -50.0), to = std::min(high, 50.0);
  for (int i = 0; i < count; ++i) x.push_back(T(from + (to - from) * i / count));  // and where they are mostly used
  for (T v : {T(0), T(-0.0), T(1), T(-1), T(0.5), T(INFINITY), T(-INFINITY), T(NAN)}) x.push_back(v);
  return x;
}

template <class T> void unary(const char* name, Unary op, Wider<T> (*f)(Wider<T>), double low, double high, double bound) {
  std::vector<T> x = samples<T>(low, high), y(x.size());
  DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  target::unary(op, flat(int64_t(x.size()), {{y.data(), dtype}, {x.data(), dtype}}), dtype, {});
  double worst = 0;
  T where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double error = error_in_ulps(y[i], f(x[i]));
    if (error > worst) worst = error, where = x[i];
  }
  std::printf("  %-10s float%d  %6.2f ulp at %.9g\n", name, int(sizeof(T)) * 8, worst, double(where));
  check(worst <= bound, std::string(name) + ": " + std::to_string(worst) + " ulp");
}

void power() {
  Rng rng;
  std::vector<float> a, b;
  const float edges[] = {0, -0.f, 1, -1, 2, -2, 3, -3, 0.5f, -0.5f, 1e30f, -1e30f, 1e-40f, INFINITY, -INFINITY, NAN, 7, 2.5f, 16777216, 16777215};
  for (float x : edges) for (float y : edges) a.push_back(x), b.push_back(y);
  for (int i = 0; i < 200000; ++i) {
    a.push_back(float(std::exp(20 * rng.uniform()) * (i % 5 ? 1 : -1)));
    b.push_back(i % 5 ? float(10 * rng.uniform()) : float(rng.below(20) - 10));
  }
  std::vector<float> y(a.size());
  target::binary(Binary::pow, flat(int64_t(a.size()), {{y.data(), DType::float32}, {a.data(), DType::float32}, {b.data(), DType::float32}}),
                 DType::float32, {});
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double error = error_in_ulps(y[i], std::pow(double(a[i]), double(b[i])));
    if (error > worst) worst = error;
    if (!(error <= 1)) std::printf("  pow(%g, %g) = %g\n", a[i], b[i], y[i]);
  }
  std::printf("  %-10s float32  %6.2f ulp\n", "pow", worst);
  check(worst <= 1, "pow");
}

// One reduction of n floats to a number, at 1, 2 and 3 threads.
float reduced(Reduce op, const std::vector<float>& x, double parameter) {
  float first = 0;
  for (int threads = 1; threads <= 3; ++threads) {
    set_num_threads(threads);
    float y = 0;
    ReduceArgs args = {op, flat(int64_t(x.size()), {{&y, DType::float32}, {x.data(), DType::float32}}), 1, DType::float32, parameter};
    args.loop.operand[0].strides[0] = 0;
    Scratch scratch(target::reduce_scratch(args));
    target::reduce(args, scratch.data());
    check(scratch.intact(), "reduce: scratch overrun");
    if (threads == 1) first = y;
    else check(std::memcmp(&first, &y, sizeof y) == 0, "reduce: threads change bits");
  }
  return first;
}

void reductions() {
  Rng rng;
  for (int64_t n : {1, 15, 17, 1000, 65537, 1 << 20}) {
    std::vector<float> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(float(rng.uniform() + 0.25));
    long double sum = 0, squares = 0, deviations = 0, exponentials = 0;
    for (float v : x) sum += v, squares += (long double)v * v, exponentials += std::exp((long double)v);
    for (float v : x) deviations += (v - sum / n) * (v - sum / n);
    auto compare = [&](const char* name, float y, long double want) {
      double error = error_in_ulps(y, want);
      std::printf("  %-14s of %8ld  %6.2f ulp\n", name, long(n), error);
      check(error <= 4, name);
    };
    compare("sum", reduced(Reduce::sum, x, 0), sum);
    compare("mean", reduced(Reduce::mean, x, 1.0 / double(n)), sum / n);
    compare("norm", reduced(Reduce::norm, x, 2), std::sqrt(squares));
    if (n > 1) compare("var", reduced(Reduce::var, x, 1), deviations / (n - 1));
    compare("logsumexp", reduced(Reduce::logsumexp, x, 0), std::log(exponentials));
  }
  check(reduced(Reduce::sum, std::vector<float>(1 << 24, 1.0f), 0) == 1 << 24, "the sum of 16M ones");
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
#define EACH(T, name, low, high, bound) \
  unary<T>(#name, Unary::name, [](Wider<T> x) -> Wider<T> { return std::name(x); }, low, high, bound)
#define FLOAT(name, low, high, bound) EACH(float, name, low, high, bound)
#define DOUBLE(name, low, high, bound) EACH(double, name, low, high, bound)
  const double all = INFINITY;
  FLOAT(exp, -all, all, 1.5);
  FLOAT(exp2, -all, all, 1.5);
  FLOAT(expm1, -all, all, 2);
  FLOAT(log, -all, all, 1.5);
  FLOAT(log2, -all, all, 2);
  FLOAT(log10, -all, all, 2);
  FLOAT(log1p, -all, all, 1.5);
  FLOAT(sin, -all, all, 1);
  FLOAT(cos, -all, all, 1);
  FLOAT(tan, -all, all, 1);
  FLOAT(asin, -all, all, 2.5);
  FLOAT(acos, -all, all, 2);
  FLOAT(atan, -all, all, 2);
  FLOAT(sinh, -all, all, 1);
  FLOAT(cosh, -all, all, 1);
  FLOAT(tanh, -all, all, 2.5);
  FLOAT(asinh, -all, all, 1);
  FLOAT(acosh, -all, all, 1);
  FLOAT(atanh, -all, all, 1);
  FLOAT(erf, -all, all, 2);
  FLOAT(erfc, -all, all, 1);
  FLOAT(sqrt, -all, all, 0.5);
  unary<float>("sigmoid", Unary::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -87, all, 2.5);
  unary<float>("rsqrt", Unary::rsqrt, [](double x) { return 1 / std::sqrt(x); }, 0, all, 1.5);
  FLOAT(lgamma, 0, 1e30, 1);
  DOUBLE(exp, -all, all, 1);
  DOUBLE(exp2, -all, all, 1);
  DOUBLE(expm1, -all, all, 1.5);
  DOUBLE(log, -all, all, 1.5);
  DOUBLE(log2, -all, all, 2.5);
  DOUBLE(log10, -all, all, 2.5);
  DOUBLE(log1p, -all, all, 1.5);
  DOUBLE(tanh, -all, all, 2.5);
  power();
  reductions();
  return report("kernel_accuracy " TEST_NAME(TESSEL_TARGET));
}
