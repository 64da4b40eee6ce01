// Stands on its own (no engine, no benchmark library), so that `make bench` can compile it alone with one command.
#include "roofline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tessel::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The value is needed, as far as the compiler can tell; a vector of it stays in its register.
template <class T> void need(T value) { asm volatile("" : : "m"(value)); }
#if defined(__x86_64__)
#define TESSEL_KEEP(v) asm volatile("" : "+x"(v))
#else
#define TESSEL_KEEP(v) asm volatile("" : "+w"(v))
#endif

// Ten accumulators hide the latency of a multiply-add (4 to 6 cycles, two a cycle). Each is a variable, as an array would be
// kept in memory; and a macro makes the functions, because a template would not be inlined into those of other targets.
#define TESSEL_STEP(fma, a) a = fma(a, x, y); TESSEL_KEEP(a);
#define TESSEL_CHAIN(name, target, A, X, fma)                                                         \
  target void name(int64_t rounds) {                                                                  \
    A a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{}, p{}, q{};                                               \
    X x{}, y{};                                                                                       \
    for (int64_t i = 0; i < rounds; ++i) {                                                            \
      TESSEL_STEP(fma, a) TESSEL_STEP(fma, b) TESSEL_STEP(fma, c) TESSEL_STEP(fma, d) TESSEL_STEP(fma, e) \
      TESSEL_STEP(fma, f) TESSEL_STEP(fma, g) TESSEL_STEP(fma, h) TESSEL_STEP(fma, p) TESSEL_STEP(fma, q) \
    }                                                                                                 \
  }

typedef float V4 __attribute__((vector_size(16)));
typedef double D2 __attribute__((vector_size(16)));
inline V4 fma4(V4 a, V4 x, V4 y) { return x * y + a; }
inline D2 fma2(D2 a, D2 x, D2 y) { return x * y + a; }
TESSEL_CHAIN(scalar_float, , V4, V4, fma4)
TESSEL_CHAIN(scalar_double, , D2, D2, fma2)

#if defined(__x86_64__)
#define TESSEL_FMA(name, T, instruction) \
  __attribute__((always_inline)) inline T name(T a, T x, T y) { return instruction(x, y, a); }
#pragma GCC push_options
#pragma GCC target("avx2,fma")
TESSEL_FMA(fma_s8, __m256, _mm256_fmadd_ps)
TESSEL_FMA(fma_d4, __m256d, _mm256_fmadd_pd)
TESSEL_CHAIN(avx2_float, , __m256, __m256, fma_s8)
TESSEL_CHAIN(avx2_double, , __m256d, __m256d, fma_d4)
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bf16")
TESSEL_FMA(fma_s16, __m512, _mm512_fmadd_ps)
TESSEL_FMA(fma_d8, __m512d, _mm512_fmadd_pd)
TESSEL_CHAIN(avx512_float, , __m512, __m512, fma_s16)
TESSEL_CHAIN(avx512_double, , __m512d, __m512d, fma_d8)
TESSEL_CHAIN(avx512_bfloat16, , __m512, __m512bh, _mm512_dpbf16_ps)
#pragma GCC pop_options

// Three products into each of two tiles in turn; the kernel lets a process use tiles only once it has asked.
__attribute__((target("amx-tile,amx-bf16"))) void amx_bfloat16(int64_t rounds) {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return;
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } shape;
  _tile_loadconfig(&shape);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 6, 7);
    _tile_dpbf16ps(1, 6, 7);
    _tile_dpbf16ps(2, 6, 7);
    _tile_dpbf16ps(3, 6, 7);
    _tile_dpbf16ps(4, 6, 7);
  }
  _tile_release();
}
#endif
#undef TESSEL_CHAIN
#undef TESSEL_STEP

struct Chain {
  void (*run)(int64_t rounds);
  double flops;  // of one round
};

// Ten accumulators a round, two operations a lane: 20 x lanes; a tile product is 16 x 16 x 32 multiply-adds, five a round.
Chain chain(std::string_view isa, std::string_view dtype) {
#if defined(__x86_64__)
  if (dtype == "bfloat16" && isa == "amx") return {amx_bfloat16, 5 * 2.0 * 16 * 16 * 32};
  if (dtype == "bfloat16" && isa == "avx512bf16") return {avx512_bfloat16, 20.0 * 32};
  if (isa == "avx512" || isa == "avx512bf16" || isa == "amx")
    return dtype == "float64" ? Chain{avx512_double, 20.0 * 8} : Chain{avx512_float, 20.0 * 16};
  if (isa == "avx2") return dtype == "float64" ? Chain{avx2_double, 20.0 * 4} : Chain{avx2_float, 20.0 * 8};
#endif
  return dtype == "float64" ? Chain{scalar_double, 20.0 * 2} : Chain{scalar_float, 20.0 * 4};
}

// Seconds of `work(thread)` on each thread at once, from the moment the last is ready; the best of five.
template <class Work> double best_seconds(int threads, Work work) {
  double best = 1e9;
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::atomic<int> ready{0};
    std::vector<Clock::time_point> ends(static_cast<size_t>(threads));
    std::vector<std::thread> others;
    auto run = [&](int thread) {
      for (++ready; ready < threads;) continue;
      work(thread);
      ends[size_t(thread)] = Clock::now();
    };
    for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
    while (ready < threads - 1) continue;
    const auto start = Clock::now();
    run(0);
    for (std::thread& other : others) other.join();
    best = std::min(best, std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) - start).count());
  }
  return best;
}

float sum_of(const char* bytes, int64_t n) {
  const auto* x = reinterpret_cast<const V4*>(bytes);
  V4 sum[8] = {};
  for (int64_t i = 0; i + 8 <= n / 16; i += 8) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) sum[k] += x[i + k];
  }
  for (int k = 1; k < 8; ++k) sum[0] += sum[k];
  return sum[0][0];
}

}  // namespace

double peak_flops(const char* isa, const char* dtype, int threads) {
  constexpr double kSeconds = 0.02;
  const Chain found = chain(isa, dtype);
  const auto rounds = static_cast<int64_t>(kSeconds * 1e11 / found.flops);
  double rate = found.flops * double(rounds) * threads / best_seconds(threads, [&](int) { found.run(rounds); });
  if (std::string_view(isa) == "amx" && std::string_view(dtype) == "float32") {
    rate = std::max(rate, peak_flops(isa, "bfloat16", threads) / 6);
  }
  return rate;
}

double peak_bytes(int64_t working_set, int threads) {
  const int64_t share = std::max<int64_t>(working_set / threads / 256 * 256, 256), half = share / 2;
  const int64_t times = std::max<int64_t>(1, (64 << 20) / share);
  std::vector<std::unique_ptr<char, decltype(&std::free)>> shares;
  for (int i = 0; i < threads; ++i) {
    shares.emplace_back(static_cast<char*>(std::aligned_alloc(256, size_t(share))), std::free);
    std::memset(shares.back().get(), 1, size_t(share));
  }
  const double copying = best_seconds(threads, [&](int thread) {
    char* data = shares[size_t(thread)].get();
    for (int64_t i = 0; i < times; ++i) {
      std::memcpy(data, data + half, size_t(half));
      need(data);
    }
  });
  const double reading = best_seconds(threads, [&](int thread) {
    for (int64_t i = 0; i < times; ++i) need(sum_of(shares[size_t(thread)].get(), share));
  });
  return double(share) * double(times) * threads / std::min(copying, reading);
}

}  // namespace tessel::bench
