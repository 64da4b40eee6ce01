// The random kernels: what philox.h says of each element, on every instruction set, for any strides, at any number of
// threads; and the moments of the distributions.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "core/parallel.h"
#include "kernels/kernels.h"

namespace tessel::stream {
#include "kernels/philox.h"
}
namespace tessel::scalar {
void random(const RandomArgs&);
}
#if defined(__x86_64__)
namespace tessel::avx2 {
void random(const RandomArgs&);
}
namespace tessel::avx512 {
void random(const RandomArgs&);
}
#endif

using namespace tessel;
using namespace tessel::stream;

namespace {

using Kernel = void (*)(const RandomArgs&);

std::vector<Kernel> kernels() {
  std::vector<Kernel> found{scalar::random};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(avx2::random);
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) found.push_back(avx512::random);
#endif
  return found;
}

RandomArgs arguments(Random op, DType dtype, int64_t n, double a = 0, double b = 1) {
  RandomArgs args = {};
  args.op = op;
  args.seed = 0x123456789abcdef;
  args.offset = 5;
  args.a = a;
  args.b = b;
  args.order[0] = 1;
  args.loop.ndim = 1;
  args.loop.operands = 1;
  args.loop.numel = args.loop.sizes[0] = n;
  args.loop.operand[0].dtype = dtype;
  args.loop.operand[0].strides[0] = item_size(dtype);
  return args;
}

void add_operand(RandomArgs& args, const void* x, DType dtype, int64_t stride) {
  args.loop.operands = 2;
  args.loop.operand[1].data = static_cast<char*>(const_cast<void*>(x));
  args.loop.operand[1].dtype = dtype;
  args.loop.operand[1].strides[0] = stride;
}

template <class T> std::vector<T> draw(RandomArgs args, Kernel kernel = scalar::random) {
  std::vector<T> y(static_cast<size_t>(args.loop.numel));
  args.loop.operand[0].data = reinterpret_cast<char*>(y.data());
  kernel(args);
  return y;
}

constexpr Random kOps[] = {Random::uniform,     Random::normal,  Random::bernoulli,  Random::integers,
                           Random::exponential, Random::dropout, Random::log_normal, Random::cauchy,
                           Random::geometric,   Random::raw};

RandomArgs sample(Random op, DType dtype, int64_t n) {
  RandomArgs args = arguments(op, dtype, n, 0.25, 2);
  args.low = -3;
  args.range = 40;
  return args;
}

struct Moments {
  double mean, variance, skew, kurtosis;
};

template <class T> Moments moments(const std::vector<T>& y) {
  const double n = static_cast<double>(y.size()), mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double m2 = 0, m3 = 0, m4 = 0;
  for (const T& v : y) {
    const double d = static_cast<double>(v) - mean;
    m2 += d * d / n;
    m3 += d * d * d / n;
    m4 += d * d * d * d / n;
  }
  return {mean, m2, m3 / std::pow(m2, 1.5), m4 / (m2 * m2)};
}

bool near(double value, double expected, double tolerance) { return std::fabs(value - expected) <= tolerance; }

float to_float(uint16_t bfloat) {
  const uint32_t bits = uint32_t{bfloat} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr int64_t kMany = 1 << 20;

}  // namespace

TEST(random_elements_are_those_of_the_stream) {
  constexpr int64_t n = 1000;
  const RandomArgs args = arguments(Random::uniform, DType::float32, n);
  const auto f = draw<float>(args), normals = draw<float>(arguments(Random::normal, DType::float32, n));
  const auto d = draw<double>(arguments(Random::uniform, DType::float64, n));
  const auto bits = draw<int64_t>(arguments(Random::raw, DType::int64, n));
  RandomArgs narrow = arguments(Random::integers, DType::int32, n), wide = narrow;
  narrow.range = 1000, narrow.low = -500;
  wide.range = 1000000, wide.low = 7;
  const auto narrow_y = draw<int32_t>(narrow), wide_y = draw<int32_t>(wide);
  bool same = true;
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = static_cast<size_t>(i);
    const uint64_t e = static_cast<uint64_t>(i);
    const RandomWord word = random_word(args.seed, args.offset, e);
    const RandomWide w = random_wide(args.seed, args.offset, e);
    const auto p = random_normal_pair<float>(random_word(args.seed, args.offset, e & ~1ull),
                                             random_word(args.seed, args.offset, e | 1));
    same = same && f[at] == random_unit(word) && d[at] == random_unit(w) &&
           static_cast<uint64_t>(bits[at]) == random_all(w);
    same = same && normals[at] == (i % 2 ? p.sine : p.cosine);
    same = same && narrow_y[at] == static_cast<int32_t>(random_below(word, 1000)) - 500;
    same = same && wide_y[at] == static_cast<int32_t>(random_below(w, 1000000)) + 7;
  }
  CHECK(same);
}

TEST(random_bits_are_equal_for_all_targets_and_threads) {
  constexpr int64_t n = 70001;  // several pieces and a rest
  const std::vector<double> x(n, 1.5);
  for (Random op : kOps) {
    for (DType dtype : {DType::float32, DType::float64, DType::bfloat16, DType::float16, DType::int64, DType::int32,
                        DType::uint8, DType::bool_}) {
      RandomArgs args = sample(op, dtype, n);
      if (!is_floating(dtype) && op != Random::bernoulli && op != Random::integers && op != Random::geometric &&
          op != Random::raw)
        continue;
      if (op == Random::dropout) add_operand(args, x.data(), DType::float64, 8);
      std::vector<std::vector<char>> results;
      for (Kernel kernel : kernels()) {
        for (int threads : {1, 2, 7}) {
          set_num_threads(threads);
          std::vector<char> y(static_cast<size_t>(n * item_size(dtype)));
          args.loop.operand[0].data = y.data();
          kernel(args);
          results.push_back(y);
        }
      }
      for (const std::vector<char>& y : results) CHECK(y == results[0]);
    }
  }
  set_num_threads(2);
}

TEST(random_strides_change_places_not_values) {
  constexpr int64_t rows = 37, columns = 53;
  std::vector<float> x(rows * columns);
  std::iota(x.begin(), x.end(), 1.0f);
  for (Random op : {Random::normal, Random::dropout}) {
    RandomArgs args = sample(op, DType::float32, rows * columns);
    if (op == Random::dropout) add_operand(args, x.data(), DType::float32, 4);
    const auto expected = draw<float>(args);
    // The result transposed in memory, its dimension of stride one first, as a plan would put it.
    std::vector<float> y(rows * columns);
    RandomArgs turned = args;
    Loop& loop = turned.loop;
    loop.ndim = 2;
    loop.sizes[0] = rows, loop.sizes[1] = columns;
    loop.operand[0].data = reinterpret_cast<char*>(y.data());
    loop.operand[0].strides[0] = 4, loop.operand[0].strides[1] = 4 * rows;
    loop.operand[1].strides[0] = 4 * columns, loop.operand[1].strides[1] = 4;
    turned.order[0] = columns, turned.order[1] = 1;
    for (Kernel kernel : kernels()) {
      kernel(turned);
      bool same = true;
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < columns; ++c) same = same && y[c * rows + r] == expected[r * columns + c];
      }
      CHECK(same);
    }
  }
}

TEST(random_scalar_result_and_immediate_operand) {
  float y = -1;
  RandomArgs args = arguments(Random::dropout, DType::float32, 1);
  add_operand(args, nullptr, DType::float32, 0);
  const float three = 3;
  std::memcpy(args.loop.operand[1].immediate, &three, sizeof three);
  args.loop.operand[0].data = reinterpret_cast<char*>(&y);
  args.loop.ndim = 0;
  for (Kernel kernel : kernels()) {
    kernel(args);
    CHECK(y == 3);
  }
}

TEST(random_uniform_moments_and_bounds) {
  for (const auto& m : {moments(draw<float>(arguments(Random::uniform, DType::float32, kMany))),
                        moments(draw<double>(arguments(Random::uniform, DType::float64, kMany)))}) {
    CHECK(near(m.mean, 0.5, 0.0015) && near(m.variance, 1.0 / 12, 0.0005) && near(m.kurtosis, 1.8, 0.01));
  }
  for (float v : draw<float>(arguments(Random::uniform, DType::float32, kMany, 1, 2))) {
    if (!(v >= 1 && v < 2)) CHECK(false);
  }
  bool inside = true;
  for (uint16_t v : draw<uint16_t>(arguments(Random::uniform, DType::bfloat16, kMany, -2, 1)))
    inside = inside && to_float(v) >= -2 && to_float(v) < 1;
  CHECK(inside);
}

TEST(random_normal_moments_and_tails) {
  for (const auto& m : {moments(draw<float>(arguments(Random::normal, DType::float32, kMany))),
                        moments(draw<double>(arguments(Random::normal, DType::float64, kMany)))}) {
    CHECK(near(m.mean, 0, 0.004) && near(m.variance, 1, 0.006) && near(m.skew, 0, 0.01) && near(m.kurtosis, 3, 0.02));
  }
  const auto y = draw<float>(arguments(Random::normal, DType::float32, 1 << 24));
  int64_t beyond[6] = {};
  for (float v : y) {
    for (int s = 1; s < 6; ++s) beyond[s] += std::fabs(v) > static_cast<float>(s);
  }
  for (int s = 1; s < 6; ++s) {
    const double expected = std::erfc(s / std::sqrt(2.0)) * static_cast<double>(y.size());
    CHECK(near(static_cast<double>(beyond[s]), expected, 5 * std::sqrt(expected) + 1));
  }
  double product = 0;
  for (size_t i = 0; i < y.size(); i += 2) product += double{y[i]} * double{y[i + 1]};
  CHECK(near(product / static_cast<double>(y.size() / 2), 0, 5 / std::sqrt(static_cast<double>(y.size() / 2))));
  const auto m = moments(draw<float>(arguments(Random::normal, DType::float32, kMany, -3, 0.5)));
  CHECK(near(m.mean, -3, 0.003) && near(m.variance, 0.25, 0.002));
}

TEST(random_other_moments) {
  const auto mean_of = [](Random op, double a, double b) {
    return moments(draw<float>(arguments(op, DType::float32, kMany, a, b)));
  };
  const Moments bernoulli = mean_of(Random::bernoulli, 0.3, 0), exponential = mean_of(Random::exponential, 2, 0);
  const Moments log_normal = mean_of(Random::log_normal, 0.1, 0.4), geometric = mean_of(Random::geometric, 0.2, 0);
  CHECK(near(bernoulli.mean, 0.3, 0.002));
  CHECK(near(exponential.mean, 0.5, 0.002) && near(exponential.variance, 0.25, 0.003));
  CHECK(near(log_normal.mean, std::exp(0.1 + 0.08), 0.003));
  CHECK(near(geometric.mean, 5, 0.02) && near(geometric.variance, 20, 0.3));
  CHECK(moments(draw<float>(arguments(Random::geometric, DType::float32, 1000, 1, 0))).mean == 1);
  int64_t quarters[4] = {};  // of the Cauchy distribution: -infinity, -1, 0, 1, infinity
  for (double v : draw<double>(arguments(Random::cauchy, DType::float64, kMany)))
    ++quarters[v < -1 ? 0 : v < 0 ? 1 : v < 1 ? 2 : 3];
  for (int64_t count : quarters) CHECK(near(static_cast<double>(count) / kMany, 0.25, 0.002));
  CHECK(moments(draw<float>(arguments(Random::bernoulli, DType::float32, 1000, 1, 0))).mean == 1);
  CHECK(moments(draw<float>(arguments(Random::bernoulli, DType::float32, 1000, 0, 0))).mean == 0);
}

TEST(random_bernoulli_with_a_probability_for_each) {
  std::vector<double> p(kMany);
  for (size_t i = 0; i < p.size(); ++i) p[i] = static_cast<double>(i % 4) / 3;
  RandomArgs args = arguments(Random::bernoulli, DType::bool_, kMany);
  add_operand(args, p.data(), DType::float64, 8);
  const auto y = draw<uint8_t>(args);
  double counts[4] = {};
  for (size_t i = 0; i < y.size(); ++i) counts[i % 4] += y[i];
  for (int i = 0; i < 4; ++i) CHECK(near(counts[i] / (kMany / 4), i / 3.0, i % 3 ? 0.004 : 0));
}

TEST(random_integers_fill_their_range_evenly) {
  for (uint64_t range : {uint64_t{1}, uint64_t{7}, uint64_t{256}, uint64_t{100000}}) {
    RandomArgs args = arguments(Random::integers, DType::int64, kMany);
    args.low = -20;
    args.range = range;
    std::vector<int64_t> counts(range);
    bool inside = true;
    for (int64_t v : draw<int64_t>(args)) {
      inside = inside && v >= -20 && v < -20 + static_cast<int64_t>(range);
      if (inside) ++counts[static_cast<size_t>(v + 20)];
    }
    CHECK(inside);
    const double expected = static_cast<double>(kMany) / static_cast<double>(range),
                 freedom = static_cast<double>(range) - 1;
    double chi2 = 0;
    for (int64_t count : counts)
      chi2 += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
    CHECK(near(chi2, freedom, 5 * std::sqrt(2 * freedom)));
  }
}

TEST(random_dropout) {
  const std::vector<float> x(kMany, 2);
  RandomArgs args = arguments(Random::dropout, DType::float32, kMany, 0.25);
  add_operand(args, x.data(), DType::float32, 4);
  const auto y = draw<float>(args), again = draw<float>(args);
  int64_t zeros = 0, scaled = 0;
  for (float v : y) zeros += v == 0, scaled += v == 2 / 0.75f;
  CHECK(y == again && zeros + scaled == kMany && near(static_cast<double>(zeros) / kMany, 0.25, 0.002));
  args.a = 1;
  CHECK(draw<float>(args) == std::vector<float>(kMany, 0));
  args.a = 0;
  CHECK(draw<float>(args) == x);
}

TEST(random_draws_and_seeds_differ) {
  RandomArgs args = arguments(Random::raw, DType::int64, 1000), later = args, other = args;
  later.offset += 1;
  other.seed += 1;
  const auto a = draw<int64_t>(args), b = draw<int64_t>(later), c = draw<int64_t>(other);
  int equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += (a[i] == b[i]) + (a[i] == c[i]) + (b[i] == c[i]);
  CHECK(equal == 0);
}
