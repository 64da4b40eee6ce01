// The stream itself: published vectors, and its functions against the C library's.
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "check.h"

namespace tessel::stream {
#include "kernels/philox.h"
}

using namespace tessel::stream;

namespace {

bool gives(uint64_t seed, uint64_t draw, uint64_t block, const uint32_t (&words)[4]) {
  const PhiloxBlock b = philox(seed, draw, block);
  return b.word[0] == words[0] && b.word[1] == words[1] && b.word[2] == words[2] && b.word[3] == words[3];
}

uint32_t next(uint32_t& state) { return state = state * 1664525 + 1013904223; }

// In units of float's or double's last place, near enough.
double error(float value, double truth) { return std::fabs(value - truth) / std::fabs(truth) / 0x1p-24; }
double error(double value, long double truth) {
  return static_cast<double>(std::fabs(static_cast<long double>(value) - truth) / std::fabs(truth)) / 0x1p-53;
}

}  // namespace

// Random123's known answers for philox4x32-10.
TEST(philox_known_vectors) {
  CHECK(gives(0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK(gives(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(gives(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
              {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(philox_words_of_an_element) {
  const PhiloxBlock narrow = philox(5, 6, 2), wide = philox(5, 6, kRandomWide | 3);
  for (int i = 0; i < 4; ++i) CHECK(random_word(5, 6, 8 + i).bits == narrow.word[i]);
  for (int i = 0; i < 2; ++i) {
    const RandomWide w = random_wide(5, 6, 6 + i);
    CHECK(w.low == wide.word[2 * i] && w.high == wide.word[2 * i + 1]);
  }
}

TEST(philox_unit_intervals) {
  CHECK(random_unit(RandomWord{0}) == 0 && random_unit(RandomWord{~0u}) == 1 - 0x1p-24f);
  CHECK(random_unit(RandomWide{0, 0}) == 0 && random_unit(RandomWide{~0u, ~0u}) == 1 - 0x1p-53);
  CHECK(random_unit(RandomWord{~0u}, 8) == 1 - 0x1p-8f);
  CHECK(random_positive(RandomWord{0}) == 0x1p-32f && random_positive(RandomWord{~0u}) == 1);
  CHECK(random_positive(RandomWide{0, 0}) == 0x1p-54 && random_positive(RandomWide{~0u, ~0u}) == 1);
  CHECK(random_exponential(RandomWord{~0u}) > 0 && random_exponential(RandomWide{~0u, ~0u}) > 0);
  CHECK(std::isfinite(random_cauchy(RandomWord{0x80000000})) &&
        std::isfinite(random_cauchy(RandomWide{0, 0x80000000})));
  uint32_t state = 1;
  bool exact = true;
  for (int i = 0; i < 10000; ++i) {
    const uint32_t low = next(state), high = next(state);
    exact = exact &&
            random_unit(RandomWide{low, high}) == static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
    exact =
        exact && random_double(high) == high && random_double(static_cast<int32_t>(high)) == static_cast<int32_t>(high);
  }
  CHECK(exact);
}

TEST(philox_functions_are_accurate) {
  double log_float = 0, log_double = 0, exp_float = 0, exp_double = 0, turn_float = 0, turn_double = 0, complement = 0;
  uint32_t state = 1;
  const auto worst = [](double& most, double e) { most = std::fmax(most, e); };
  for (int i = 0; i < 200000; ++i) {
    const uint32_t low = next(state), high = next(state) >> next(state) % 32;
    const float f = random_positive(RandomWord{high});
    const double d = random_positive(RandomWide{low, high});
    if (f < 1) worst(log_float, error(random_log(f), std::log(static_cast<double>(f))));
    if (d < 1) worst(log_double, error(random_log(d), std::log(static_cast<long double>(d))));
    if (d < 1) worst(complement, error(random_log_complement(d), std::log1p(-static_cast<long double>(d))));
    const double x = (d - 0.5) * 160;
    worst(exp_float, error(random_exp(static_cast<float>(x)), std::exp(static_cast<double>(static_cast<float>(x)))));
    worst(exp_double, error(random_exp(8 * x), std::exp(8 * static_cast<long double>(x))));
    const long double tau = 6.283185307179586476925286766559L;
    const uint32_t turn = next(state);
    const RandomPoint<float> p = random_turn(RandomWord{turn});
    worst(turn_float, std::fabs(p.sine - std::sin(static_cast<double>(tau) * turn * 0x1p-32)) / 0x1p-24);
    worst(turn_float, std::fabs(p.cosine - std::cos(static_cast<double>(tau) * turn * 0x1p-32)) / 0x1p-24);
    const RandomPoint<double> q = random_turn(RandomWide{low, turn});
    const long double angle = tau * static_cast<long double>(uint64_t{turn} << 32 | low) * 0x1p-64L;
    worst(turn_double, static_cast<double>(std::fabs(q.sine - std::sin(angle))) / 0x1p-53);
    worst(turn_double, static_cast<double>(std::fabs(q.cosine - std::cos(angle))) / 0x1p-53);
  }
  std::printf("  units in the last place: log %.2f %.2f, log(1 - p) %.2f, exp %.2f %.2f, sine and cosine %.2f %.2f\n",
              log_float, log_double, complement, exp_float, exp_double, turn_float, turn_double);
  CHECK(log_float < 4 && log_double < 4 && complement < 4 && exp_float < 4 && exp_double < 4);
  CHECK(turn_float < 3 && turn_double < 3);
}

TEST(philox_exp_at_the_ends) {
  CHECK(random_exp(0.0f) == 1 && random_exp(0.0) == 1);
  CHECK(random_exp(-1e30f) == 0 && random_exp(-1e300) == 0);
  CHECK(std::isinf(random_exp(1e30f)) && std::isinf(random_exp(1e300)) && std::isinf(random_exp(89.0f)) &&
        std::isinf(random_exp(710.0)));
  CHECK(random_exp(88.0f) < INFINITY && random_exp(-100.0f) > 0 && random_exp(709.0) < INFINITY &&
        random_exp(-744.0) > 0);
  CHECK(std::isnan(random_exp(NAN)) && std::isnan(random_exp(static_cast<double>(NAN))));
}

TEST(philox_integers_below) {
  CHECK(random_below(RandomWord{~0u}, 10) == 9 && random_below(RandomWord{0}, 10) == 0);
  CHECK(random_below(RandomWide{~0u, ~0u}, uint64_t{1} << 63) == (uint64_t{1} << 63) - 1);
  uint32_t state = 7;
  bool exact = true;
#if defined(__SIZEOF_INT128__)
  for (int i = 0; i < 10000; ++i) {
    const RandomWide w{next(state), next(state)};
    const uint64_t range = (uint64_t{next(state)} << 32 | next(state)) >> next(state) % 64;
    __extension__ using Product = unsigned __int128;
    exact = exact && random_below(w, range) == static_cast<uint64_t>(static_cast<Product>(random_all(w)) * range >> 64);
  }
#endif
  CHECK(exact);
}

TEST(philox_top_of_an_interval) {
  for (double to : {1.0, 2.0, 1.5, 0.1, 1e-30, 3.0e38, -1.0, -0.3, 123.456}) {
    const double from = to - std::fabs(to);
    CHECK(random_top(from, static_cast<float>(to), 24, -149) == std::nextafter(static_cast<float>(to), -INFINITY));
    CHECK(random_top(from, to, 53, -1074) == std::nextafter(to, -INFINITY));
  }
  CHECK(random_top(-1, 0, 24, -149) == -0x1p-149);
  CHECK(random_top(0, 1, 8, -133) == 1 - 0x1p-8 && random_top(0, 1, 11, -24) == 1 - 0x1p-11);
  CHECK(random_top(5, 5, 24, -149) == 5);
}
