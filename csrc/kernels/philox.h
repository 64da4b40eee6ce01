// The random stream: which bits element i of a draw has, and what uniform, normal, ... numbers they become. It is
// included inside a target's namespace, after <stdint.h>, and is the same for every CPU and GPU, bit for bit: all of it
// is integer arithmetic and single IEEE operations, and no product meets a sum in one rounding.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) turns a counter into a block of
// four words, in ten rounds under a key. The key is the seed; the counter is the block's number (its 64 bits first) and
// the draw's. An element that needs 32 bits has word i % 4 of block i / 4. One that needs 64 has words 2 (i % 2) and
// 2 (i % 2) + 1 of block i / 2, in the half of the blocks whose highest bit is set, so that the two never overlap.
#pragma once

#if !defined(TESSEL_FN)
#if defined(__CUDACC__)
#define TESSEL_FN __host__ __device__ inline
#else
#define TESSEL_FN inline
#endif
#endif

// ---- single operations; nvcc would fuse a product and a sum unless told

#if defined(__CUDA_ARCH__)
TESSEL_FN float random_times(float a, float b) { return __fmul_rn(a, b); }
TESSEL_FN double random_times(double a, double b) { return __dmul_rn(a, b); }
TESSEL_FN float random_ratio(float a, float b) { return __fdiv_rn(a, b); }
TESSEL_FN double random_ratio(double a, double b) { return __ddiv_rn(a, b); }
TESSEL_FN float random_sqrt(float a) { return __fsqrt_rn(a); }
TESSEL_FN double random_sqrt(double a) { return __dsqrt_rn(a); }
#else
TESSEL_FN float random_times(float a, float b) { return a * b; }
TESSEL_FN double random_times(double a, double b) { return a * b; }
TESSEL_FN float random_ratio(float a, float b) { return a / b; }
TESSEL_FN double random_ratio(double a, double b) { return a / b; }
TESSEL_FN float random_sqrt(float a) { return __builtin_sqrtf(a); }
TESSEL_FN double random_sqrt(double a) { return __builtin_sqrt(a); }
#endif

// x * scale + shift: how a result is brought to its interval, or to its mean and deviation.
template <class T> TESSEL_FN T random_scaled(T x, T scale, T shift) { return random_times(x, scale) + shift; }

// c0 + c1 z + c2 z^2 + ...
template <class T> TESSEL_FN T random_polynomial(T, T c0) { return c0; }
template <class T, class... More> TESSEL_FN T random_polynomial(T z, T c0, More... more) {
  return random_scaled(random_polynomial(z, more...), z, c0);
}

// Exact, by placing the integer in the fraction of 2^52: not every instruction set has this conversion for vectors.
TESSEL_FN double random_double(uint32_t i) { return __builtin_bit_cast(double, 0x4330000000000000 | i) - 0x1p52; }
TESSEL_FN double random_double(int32_t i) { return random_double(uint32_t(i) ^ 0x80000000) - 0x1p31; }

// ---- bits

struct PhiloxBlock {
  uint32_t word[4];
};

constexpr uint64_t kRandomWide = uint64_t(1) << 63;  // in the block's number: its elements have 64 bits

TESSEL_FN PhiloxBlock philox(uint64_t seed, uint64_t draw, uint64_t block) {
  uint32_t x0 = uint32_t(block), x1 = uint32_t(block >> 32), x2 = uint32_t(draw), x3 = uint32_t(draw >> 32);
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xd2511f53) * x0, p1 = uint64_t(0xcd9e8d57) * x2;
    x0 = uint32_t(p1 >> 32) ^ x1 ^ k0;
    x1 = uint32_t(p1);
    x2 = uint32_t(p0 >> 32) ^ x3 ^ k1;
    x3 = uint32_t(p0);
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return {{x0, x1, x2, x3}};
}

struct RandomWord {  // 32 bits, for float
  uint32_t bits;
};
struct RandomWide {  // 64 bits, for double and wide integers; `low` is the first of its two words
  uint32_t low, high;
};

TESSEL_FN RandomWord random_word(uint64_t seed, uint64_t draw, uint64_t element) {
  return {philox(seed, draw, element / 4).word[element % 4]};
}
TESSEL_FN RandomWide random_wide(uint64_t seed, uint64_t draw, uint64_t element) {
  const PhiloxBlock block = philox(seed, draw, element / 2 | kRandomWide);
  return {block.word[element % 2 * 2], block.word[element % 2 * 2 + 1]};
}

// ---- the unit interval

// [0, 1): multiples of 2^-24 and 2^-53.
TESSEL_FN float random_unit(RandomWord w) { return float(int32_t(w.bits >> 8)) * 0x1p-24f; }
TESSEL_FN double random_unit(RandomWide w) {
  return random_times(random_double(w.high), 0x1p-32) + random_times(random_double(w.low >> 11), 0x1p-53);
}
// [0, 1) in the digits of a 16-bit float, so that rounding never makes a 1 of it.
TESSEL_FN float random_unit(RandomWord w, int digits) {
  return float(int32_t(w.bits >> (32 - digits))) * (1.0f / float(1 << digits));
}
// (0, 1], finer towards 0: for logarithms, whose tail begins there.
TESSEL_FN float random_positive(RandomWord w) { return random_times(float(int32_t(w.bits >> 1)), 0x1p-31f) + 0x1p-32f; }
TESSEL_FN double random_positive(RandomWide w) { return random_unit(w) + 0x1p-54; }

// ---- functions. The polynomials are Chebyshev fits; their errors are below a tenth of the last place.

// log(x) of a positive normal number: x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f) and
// z = s^2, log(1 + f) = 2 s + s z P(z) = f - s (f - z P(z)).
TESSEL_FN float random_log(float x) {
  constexpr uint32_t sqrt_half = 0x3f3504f3;
  const uint32_t t = __builtin_bit_cast(uint32_t, x) - sqrt_half;
  const float e = float(int32_t(t) >> 23), f = __builtin_bit_cast(float, (t & 0x7fffff) + sqrt_half) - 1;
  const float s = random_ratio(f, 2 + f), z = random_times(s, s);
  const float p = random_polynomial(z, 0.666666851f, 0.3998875772f, 0.2958098593f);
  const float log_1_f = f - random_times(s, f - random_times(z, p));
  return random_times(e, 0x1.62e4p-1f) + (random_times(e, 1.42860682e-6f) + log_1_f);
}
// log(1 + f) from s = f / (2 + f)
TESSEL_FN double random_log_ratio(double f, double s) {
  const double z = random_times(s, s);
  const double p =
      random_polynomial(z, 0.666666666666666665, 0.400000000000008832, 0.28571428570799785, 0.222222223925810451,
                        0.181817955475211362, 0.153862447376216666, 0.132686383692668239, 0.130880348509275538);
  return f - random_times(s, f - random_times(z, p));
}
TESSEL_FN double random_log(double x) {
  constexpr uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
  const uint64_t t = __builtin_bit_cast(uint64_t, x) - sqrt_half;
  const double e = random_double(int32_t(uint32_t(t >> 32)) >> 20);
  const double f = __builtin_bit_cast(double, (t & 0xfffffffffffff) + sqrt_half) - 1;
  const double log_1_f = random_log_ratio(f, random_ratio(f, 2 + f));
  return random_times(e, 0x1.62e42fefa2p-1) + (random_times(e, 7.3710025651677989e-13) + log_1_f);
}
// log(1 - p) for 0 < p < 1; -inf for 1
TESSEL_FN double random_log_complement(double p) {
  if (p < 0.25) return random_log_ratio(-p, random_ratio(-p, 2 - p));
  return p < 1 ? random_log(1 - p) : -__builtin_inf();
}

// exp(x): x = k log(2) + r, exp(r) = 1 + r + r^2 E(r); 2^k in two steps, as it may lie outside of the exponents.
TESSEL_FN float random_exp(float x) {
  x = x < -104 ? -104 : x;
  constexpr float rounder = 0x1.8p23f;  // adding it leaves an integer
  float k = random_times(x, 1.44269504f) + rounder - rounder;
  k = k < 129 ? k : 129;
  const float r = x - random_times(k, 0x1.62e4p-1f) - random_times(k, 1.42860682e-6f);
  const float p = random_polynomial(r, 0.5f, 0.1666657667f, 0.04166655421f, 0.008363232884f, 0.001392625083f);
  const float y = 1 + (r + random_times(random_times(r, r), p));
  const int32_t e = int32_t(k), half = e >> 1;
  return y * __builtin_bit_cast(float, (half + 127) << 23) * __builtin_bit_cast(float, (e - half + 127) << 23);
}
TESSEL_FN double random_exp(double x) {
  x = x < -746 ? -746 : x;
  constexpr double rounder = 0x1.8p52;
  double k = random_times(x, 1.4426950408889634) + rounder - rounder;
  k = k < 1025 ? k : 1025;
  const double r = x - random_times(k, 0x1.62e42fefa2p-1) - random_times(k, 7.3710025651677989e-13);
  const double p =
      random_polynomial(r, 0.500000000000000103, 0.166666666666666675, 0.0416666666666238205, 0.0083333333333300382,
                        0.00138888889173670806, 0.00019841269863171556, 0.0000248015210578682052,
                        2.75572682769056962e-6, 2.76202015910315488e-7, 2.5100472505694996e-8);
  const double y = 1 + (r + random_times(random_times(r, r), p));
  const int32_t e = int32_t(k), half = e >> 1;
  return y * __builtin_bit_cast(double, int64_t(half + 1023) << 52) *
         __builtin_bit_cast(double, int64_t(e - half + 1023) << 52);
}

// A point on the circle, after a fraction of a full turn given as 32 or 64 bits. The nearest quarter is `quarter`, what
// is left of a quarter `s` in [-1/2, 1/2): both exact, as they are cut from the bits.
template <class T> struct RandomPoint {
  T cosine, sine;
};
template <class T> TESSEL_FN RandomPoint<T> random_in_quarter(uint32_t quarter, T cosine, T sine) {
  const bool odd = quarter & 1, left = (quarter + 1) & 2, below = quarter & 2;
  const T x = odd ? sine : cosine, y = odd ? cosine : sine;
  return {left ? -x : x, below ? -y : y};
}
TESSEL_FN RandomPoint<float> random_turn(RandomWord turn) {
  const float s = float(int32_t(turn.bits << 2)) * 0x1p-32f, z = random_times(s, s);
  const float cosine = random_polynomial(z, 1.0f, -1.233700549f, 0.2536694104f, -0.02086152834f, 0.0009067398984f);
  const float sine = random_polynomial(z, 1.57079633f, -0.6459640198f, 0.07968703122f, -0.004621966732f);
  return random_in_quarter((turn.bits + 0x20000000) >> 30, cosine, random_times(s, sine));
}
TESSEL_FN RandomPoint<double> random_turn(RandomWide turn) {
  const int32_t high = int32_t(turn.high << 2 | turn.low >> 30);
  const double s = random_times(random_double(high), 0x1p-32) + random_times(random_double(turn.low << 2), 0x1p-64);
  const double z = random_times(s, s);
  const double cosine = random_polynomial(z, 1.0, -1.23370055013616983, 0.253669507901047823, -0.0208634807633407725,
                                          0.000919260274546844619, -0.0000252020390280291761, 4.71067840550522711e-7,
                                          -6.32939634496742351e-9);
  const double sine = random_polynomial(z, 1.5707963267948966, -0.645964097506246254, 0.0796926262461670275,
                                        -0.00468175413531756108, 0.000160441184760306177, -3.59884292592520688e-6,
                                        5.69199136492612377e-8, -6.6351523872308367e-10);
  return random_in_quarter((turn.high + 0x20000000) >> 30, cosine, random_times(s, sine));
}

// ---- distributions

// Two normal numbers (Box and Muller): on a circle of radius sqrt(-2 log u), at a random angle. The first word of a
// pair of elements gives u, the second the angle; the even element is the cosine's.
TESSEL_FN float random_square_radius(RandomWord w) { return -2 * random_log(random_positive(w)); }
TESSEL_FN double random_square_radius(RandomWide w) { return -2 * random_log(random_positive(w)); }
template <class T, class Word> TESSEL_FN RandomPoint<T> random_normal_pair(Word first, Word second) {
  const T radius = random_sqrt(random_square_radius(first));
  const RandomPoint<T> p = random_turn(second);
  return {random_times(radius, p.cosine), random_times(radius, p.sine)};
}

// Never 0: what rounds to 1 before the logarithm gives that interval's mean.
TESSEL_FN float random_exponential(RandomWord w) {
  const float x = -random_log(random_positive(w));
  return x > 0x1p-26f ? x : 0x1p-26f;
}
TESSEL_FN double random_exponential(RandomWide w) {
  const double x = -random_log(random_positive(w));
  return x > 0x1p-55 ? x : 0x1p-55;
}

// tan(pi (u - 1/2)); the lowest bit is set, as the tangent of a right angle is not a number.
TESSEL_FN float random_cauchy(RandomWord w) {
  const RandomPoint<float> p = random_turn(RandomWord{uint32_t(int32_t(w.bits) >> 1) | 1});
  return random_ratio(p.sine, p.cosine);
}
TESSEL_FN double random_cauchy(RandomWide w) {
  const uint32_t high = uint32_t(int32_t(w.high) >> 1), low = w.low >> 1 | w.high << 31 | 1;
  const RandomPoint<double> p = random_turn(RandomWide{low, high});
  return random_ratio(p.sine, p.cosine);
}

// Trials until the first success: at least 1. log_failure is random_log_complement(p).
TESSEL_FN double random_geometric(RandomWide w, double log_failure) {
  double trials = __builtin_ceil(random_ratio(random_log(random_positive(w)), log_failure));
  trials = trials < 0x1p62 ? trials : 0x1p62;
  return trials > 1 ? trials : 1;
}

// An integer in [0, range): bits * range / 2^32 or 2^64; every one is as likely as another but for 2^-16. Ranges up to
// kRandomNarrow use 32 bits; 0 stands for 2^64: all bits.
constexpr uint64_t kRandomNarrow = 1 << 16;
TESSEL_FN uint64_t random_all(RandomWide w) { return uint64_t(w.high) << 32 | w.low; }
TESSEL_FN uint64_t random_below(RandomWord w, uint64_t range) { return w.bits * range >> 32; }
TESSEL_FN uint64_t random_below(RandomWide w, uint64_t range) {
  const uint64_t low = range & 0xffffffff, high = range >> 32;
  const uint64_t middle = w.high * low + (w.low * low >> 32), other = w.low * high + (middle & 0xffffffff);
  return w.high * high + (middle >> 32) + (other >> 32);
}

// The largest number below `to` (but not below `from`) with so many binary digits: what a uniform number in [from, to)
// is held to, as its sum may round up. The smallest positive number of the type is 2^least.
inline double random_top(double from, double to, int digits, int least) {
  int exponent;
  __builtin_frexp(to, &exponent);
  const int last = exponent - digits > least ? exponent - digits : least;
  const double step = to == 0 ? __builtin_ldexp(1, least) : __builtin_ldexp(1, last);
  double top = __builtin_floor(to / step) * step;
  if (top >= to) {
    const bool power_of_two = to > 0 && to == __builtin_ldexp(0.5, exponent) && last > least;
    top = to - (power_of_two ? step / 2 : step);
  }
  return top > from ? top : from;
}
