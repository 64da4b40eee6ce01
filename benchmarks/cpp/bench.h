// What the microbenchmarks share: the measured roofline, plain memory, and how a kernel's rate is told beside its bound.
#pragma once
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "core/dtype.h"
#include "core/parallel.h"
#include "kernels/targets.h"
#include "roofline.h"

namespace tessel::bench {

// What this machine reaches with num_threads() threads: float32 multiply-adds from registers, and bytes from memory that
// no cache holds. Measured at the first call, in half a second.
struct Roofline {
  double flops, bytes;  // a second
};
inline const Roofline& roofline() {
  static const Roofline measured = {peak_flops(cpu_kernels().name, "float32", num_threads()), peak_bytes(int64_t{1} << 28, num_threads())};
  return measured;
}

// Memory for n elements, filled with small numbers that no denormal or infinity comes of.
template <class T = float> class Block {
 public:
  explicit Block(int64_t n, double least = -1, double most = 1)
      : data_(static_cast<T*>(std::aligned_alloc(64, (size_t(n) * sizeof(T) + 63) / 64 * 64)), std::free) {
    uint64_t state = 88172645463325252u;
    for (int64_t i = 0; i < n; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      data_.get()[i] = T(least + (most - least) * double(state >> 11) * 0x1p-53);
    }
  }
  T* get() const { return data_.get(); }

 private:
  std::unique_ptr<T, decltype(&std::free)> data_;
};

class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(std::aligned_alloc(64, size_t(bytes + 127) / 64 * 64), std::free) {}
  void* get() const { return memory_.get(); }

 private:
  std::unique_ptr<void, decltype(&std::free)> memory_;
};

// Runs `call` for as long as the benchmark wants it. `flops` and `bytes` are what one call must do at least; the bound is
// the later of the two, and `roof` says which part of it was reached (above 1: from the caches, or by a matrix unit).
template <class Call> void time(benchmark::State& state, double flops, double bytes, Call call) {
  call();  // warm
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Roofline& roof = roofline();
  const double calls = double(state.iterations()), least = std::max(flops / roof.flops, bytes / roof.bytes);
  using benchmark::Counter;
  if (flops > 0) state.counters["flop/s"] = Counter(flops * calls, Counter::kIsRate);
  if (bytes > 0) state.counters["B/s"] = Counter(bytes * calls, Counter::kIsRate);
  state.counters["roof"] = least * calls / seconds;
}

}  // namespace tessel::bench
