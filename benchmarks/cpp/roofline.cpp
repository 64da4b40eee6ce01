// The two limits of this machine, measured: a chain-free run of multiply-adds in the widest vectors of the table in use,
// and blocks that no cache holds, read or copied.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessel::bench {
namespace {

// The value is needed, as far as the compiler can tell, and it stays in its register.
#if defined(__x86_64__)
#define TESSEL_KEEP(v) asm volatile("" : "+x"(v))
#else
#define TESSEL_KEEP(v) asm volatile("" : "+w"(v))
#endif

using Clock = std::chrono::steady_clock;
constexpr int64_t kRounds = 4'000'000;

// Ten accumulators hide the latency of a multiply-add (4 to 5 cycles, two a cycle). Each is a variable, as an array would be
// kept in memory; and a macro makes the functions, because a template would not be inlined into those of other targets.
#define TESSEL_STEP(fma, a) a = fma(a, x, y); TESSEL_KEEP(a);
#define TESSEL_CHAIN(name, target, V, fma)                                                            \
  target float name(int64_t rounds) {                                                                 \
    V x = V{} + 0.999999f, y = V{} + 1e-6f, a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, p = x, q = x; \
    for (int64_t i = 0; i < rounds; ++i) {                                                            \
      TESSEL_STEP(fma, a) TESSEL_STEP(fma, b) TESSEL_STEP(fma, c) TESSEL_STEP(fma, d) TESSEL_STEP(fma, e) \
      TESSEL_STEP(fma, f) TESSEL_STEP(fma, g) TESSEL_STEP(fma, h) TESSEL_STEP(fma, p) TESSEL_STEP(fma, q) \
    }                                                                                                 \
    return (a + b + c + d + e + f + g + h + p + q)[0];                                                \
  }

typedef float V4 __attribute__((vector_size(16)));
inline V4 multiply_add(V4 a, V4 b, V4 c) { return a * b + c; }
TESSEL_CHAIN(run_scalar, , V4, multiply_add)
#if defined(__x86_64__)
TESSEL_CHAIN(run_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_fmadd_ps)
TESSEL_CHAIN(run_avx512, __attribute__((target("avx512f"))), __m512, _mm512_fmadd_ps)
#endif
#undef TESSEL_CHAIN
#undef TESSEL_STEP

template <class Call> double best_seconds(int times, Call call) {
  double best = 1e9;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

struct Work {
  float (*run)(int64_t);
  char *to, *from;
};

double measure_flops() {
  const char* name = cpu_kernels().name;
  Work work = {run_scalar, nullptr, nullptr};
  int width = 4;
#if defined(__x86_64__)
  if (std::strcmp(name, "avx2") == 0) work.run = run_avx2, width = 8;
  else if (std::strcmp(name, "scalar") != 0) work.run = run_avx512, width = 16;
#else
  (void)name;
#endif
  const int threads = num_threads();
  const double seconds = best_seconds(3, [&] {
    parallel_for(threads, 1, [](void* context, int64_t begin, int64_t end, int) {
      for (; begin < end; ++begin) benchmark::DoNotOptimize(static_cast<Work*>(context)->run(kRounds));
    }, &work);
  });
  return 2.0 * 10 * width * double(kRounds) * threads / seconds;
}

// The better of copying and of reading alone, which some machines do at twice the rate.
double measure_bytes() {
  constexpr int64_t n = 256 << 20;
  Block<char> to(n), from(n);
  Work work = {nullptr, to.get(), from.get()};
  const double copying = best_seconds(3, [&] {
    parallel_for(n, 1 << 20, [](void* context, int64_t begin, int64_t end, int) {
      const Work& w = *static_cast<Work*>(context);
      std::memcpy(w.to + begin, w.from + begin, size_t(end - begin));
    }, &work);
  });
  const double reading = best_seconds(3, [&] {
    parallel_for(n, 1 << 20, [](void* context, int64_t begin, int64_t end, int) {
      const auto* x = reinterpret_cast<const V4*>(static_cast<Work*>(context)->from);
      V4 sum[8] = {};
      for (int64_t i = begin / 16; i + 8 <= end / 16; i += 8) {
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) sum[k] += x[i + k];
      }
      for (int k = 1; k < 8; ++k) sum[0] += sum[k];
      benchmark::DoNotOptimize(sum[0]);
    }, &work);
  });
  return std::max(2.0 * n / copying, n / reading);
}

}  // namespace

const Roofline& roofline() {
  static const Roofline measured = {measure_flops(), measure_bytes()};
  return measured;
}

}  // namespace tessel::bench
