// The CPU's allocator: alignment, reuse, counts, limits, threads and fork.
#include "core/allocator.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "core/error.h"

using namespace tessel;

namespace {

const Allocator& cpu = cpu_allocator();
using Held = std::vector<std::pair<unsigned char*, size_t>>;

unsigned char* allocate(size_t bytes) { return static_cast<unsigned char*>(cpu.allocate(bytes)); }

void release_all(Held& blocks) {
  for (auto [block, bytes] : blocks) cpu.release(block, bytes);
  blocks.clear();
}

// Allocates, fills and frees blocks of mixed sizes; false when a block's bytes were changed by another's.
bool stir(unsigned seed, int steps) {
  Held held;
  bool intact = true;
  const auto mark = [](const unsigned char* block) {
    return static_cast<unsigned char>(reinterpret_cast<uintptr_t>(block) >> 6);
  };
  for (int i = 0; i < steps; ++i) {
    seed = seed * 1664525 + 1013904223;
    if (held.size() < 40 && (seed >> 28) < 9) {
      const size_t bytes = 1 + (seed >> 8) % (size_t{64} << (seed >> 24) % 12);
      unsigned char* block = allocate(bytes);
      std::memset(block, mark(block), bytes);
      held.emplace_back(block, bytes);
    } else if (!held.empty()) {
      std::swap(held[(seed >> 9) % held.size()], held.back());
      auto [block, bytes] = held.back();
      held.pop_back();
      intact = intact && block[0] == mark(block) && block[bytes / 2] == mark(block) && block[bytes - 1] == mark(block);
      cpu.release(block, bytes);
    }
  }
  release_all(held);
  return intact;
}

}  // namespace

TEST(allocator_blocks_are_aligned_usable_and_little_larger) {
  for (size_t bytes :
       {0, 1, 63, 64, 65, 1000, 1024, 1025, 4096, 32768, 32769, 100000, 1 << 20, 3 << 20, (4 << 20) + 1, 9 << 20}) {
    const int64_t before = cpu.memory_stats().allocated;
    unsigned char* block = allocate(bytes);
    CHECK(block && reinterpret_cast<uintptr_t>(block) % 64 == 0);
    if (bytes > 0) std::memset(block, 1, bytes);
    const int64_t taken = cpu.memory_stats().allocated - before, asked = static_cast<int64_t>(bytes);
    CHECK(taken >= asked && taken > 0 && (taken < asked + 64 + (asked == 0) || taken * 8 <= asked * 9));
    cpu.release(block, bytes);
    CHECK(cpu.memory_stats().allocated == before);
  }
  cpu.release(nullptr, 100);
}

TEST(allocator_reuses_what_was_freed) {
  for (size_t bytes : {100, 20000, 200000, 6 << 20}) {
    void* first = cpu.allocate(bytes);
    cpu.release(first, bytes);
    const int64_t asked = cpu.memory_stats().system_allocations;
    void* second = cpu.allocate(bytes);
    CHECK(first == second && cpu.memory_stats().system_allocations == asked);
    cpu.release(second, bytes);
  }
}

TEST(allocator_counts) {
  cpu.empty_cache();
  cpu.reset_peak();
  const MemoryStats before = cpu.memory_stats();
  void* a = cpu.allocate(1 << 20);
  void* b = cpu.allocate(2 << 20);
  cpu.release(a, 1 << 20);
  const MemoryStats during = cpu.memory_stats();
  CHECK(during.allocated - before.allocated == 2 << 20);
  CHECK(during.peak_allocated - before.allocated == 3 << 20);
  CHECK(during.cached - before.cached == 1 << 20);
  CHECK(during.reserved == during.allocated + during.cached);
  CHECK(during.allocations - before.allocations == 2 && during.releases - before.releases == 1);
  CHECK(during.system_allocations - before.system_allocations == 2);
  cpu.release(b, 2 << 20);
  cpu.reset_peak();
  CHECK(cpu.memory_stats().peak_allocated == before.allocated);
}

TEST(allocator_gives_everything_back) {
  Held held;
  for (size_t bytes = 1; bytes < size_t{16} << 20; bytes += bytes / 3 + 1) held.emplace_back(allocate(bytes), bytes);
  release_all(held);
  CHECK(cpu.memory_stats().cached > 0);
  cpu.empty_cache();
  CHECK(cpu.memory_stats().cached == 0);
}

TEST(allocator_empties_other_threads_caches_too) {
  std::atomic<int> step{0};
  std::thread other([&] {
    cpu.release(cpu.allocate(500), 500);
    step = 1;
    while (step == 1) std::this_thread::yield();
  });
  while (step == 0) std::this_thread::yield();
  cpu.empty_cache();
  CHECK(cpu.memory_stats().cached == 0);
  step = 2;
  other.join();
}

TEST(allocator_out_of_memory_changes_nothing) {
  const MemoryStats before = cpu.memory_stats();
  CHECK_THROWS(OutOfMemory, cpu.allocate(size_t{1} << 46));
  CHECK_THROWS(OutOfMemory, cpu.allocate(size_t{1} << 60));
  CHECK_THROWS(OutOfMemory, cpu.allocate(SIZE_MAX));
  const MemoryStats after = cpu.memory_stats();
  CHECK(after.allocated == before.allocated && after.allocations == before.allocations && after.cached == 0);
  cpu.release(cpu.allocate(10), 10);
}

TEST(allocator_small_blocks_wander_between_threads) {
  const int64_t before = cpu.memory_stats().allocated;
  constexpr int kBlocks = 5000;
  for (int round = 0; round < 4; ++round) {
    std::vector<unsigned char*> blocks(kBlocks);
    std::thread maker([&] {
      for (unsigned char*& block : blocks) std::memset(block = allocate(700), round, 700);
    });
    maker.join();
    bool intact = true;
    for (unsigned char* block : blocks) {
      intact = intact && block[699] == round;
      cpu.release(block, 700);
    }
    CHECK(intact);
  }
  CHECK(cpu.memory_stats().allocated == before);
}

TEST(allocator_under_threads) {
  std::atomic<bool> intact{true}, stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      if (!stir(t, 20000)) intact = false;
    });
  }
  std::thread counter([&] {
    while (!stop) {
      const MemoryStats stats = cpu.memory_stats();
      if (stats.cached < 0 || stats.allocated < 0) intact = false;
      cpu.empty_cache();
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  counter.join();
  CHECK(intact);
}

#if TESSEL_FORK > 0
TEST(allocator_in_a_forked_child) {
  std::atomic<int> step{0};
  std::thread other([&] {  // has blocks of its own when the child is forked
    cpu.release(cpu.allocate(500), 500);
    step = 1;
    while (step == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (step == 0) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    const bool intact = stir(3, 2000);
    cpu.empty_cache();
    _exit(intact && cpu.memory_stats().cached == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  step = 2;
  other.join();
}
#endif

#if TESSEL_FORK > 1
TEST(allocator_in_a_child_forked_while_others_allocate) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      while (!stop) stir(t, 500);
    });
  }
  for (unsigned i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const bool intact = stir(i, 2000);
      cpu.empty_cache();
      _exit(intact && cpu.memory_stats().cached == 0 ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}
#endif
