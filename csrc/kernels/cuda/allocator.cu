// GPU memory, cached by size: cudaMalloc waits for the device, so a block that dies is the next result. Work on one
// stream is done in order, so a block may be given out again before its last kernel has run.
#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include "core/allocator.h"
#include "kernels/cuda/launch.cuh"

namespace tessel::cuda {

namespace {

struct Memory {
  std::mutex lock;
  std::multimap<size_t, void*> cached;             // by size
  std::unordered_map<void*, size_t> in_use;
  MemoryStats stats;
};
Memory& memory() {
  static auto* m = new Memory;  // outlives every tensor
  return *m;
}

// To 512 bytes, above 1 MB to 2 MB.
size_t rounded(size_t bytes) {
  size_t unit = bytes > (1 << 20) ? size_t(2) << 20 : 512;
  return (std::max<size_t>(bytes, 1) + unit - 1) / unit * unit;
}

void empty_locked(Memory& m) {
  for (auto& [bytes, block] : m.cached) {
    cudaFree(block);
    m.stats.cached -= int64_t(bytes);
    m.stats.reserved -= int64_t(bytes);
  }
  m.cached.clear();
}

void* allocate(size_t bytes) {
  Memory& m = memory();
  std::lock_guard guard(m.lock);
  size_t size = rounded(bytes);
  void* block = nullptr;
  auto found = m.cached.lower_bound(size);
  if (found != m.cached.end() && found->first <= size + size / 8) {
    size = found->first;
    block = found->second;
    m.cached.erase(found);
    m.stats.cached -= int64_t(size);
  } else {
    if (cudaMalloc(&block, size) != cudaSuccess) {
      cudaGetLastError();
      empty_locked(m);
      check(cudaMalloc(&block, size), "allocation");
    }
    ++m.stats.system_allocations;
    m.stats.reserved += int64_t(size);
    m.stats.peak_reserved = std::max(m.stats.peak_reserved, m.stats.reserved);
  }
  m.in_use[block] = size;
  ++m.stats.allocations;
  m.stats.allocated += int64_t(size);
  m.stats.peak_allocated = std::max(m.stats.peak_allocated, m.stats.allocated);
  return block;
}

void release(void* block, size_t) {
  if (!block) return;
  Memory& m = memory();
  std::lock_guard guard(m.lock);
  auto found = m.in_use.find(block);
  size_t size = found->second;
  m.in_use.erase(found);
  m.cached.emplace(size, block);
  ++m.stats.releases;
  m.stats.allocated -= int64_t(size);
  m.stats.cached += int64_t(size);
}

void empty_cache() {
  std::lock_guard guard(memory().lock);
  cudaDeviceSynchronize();
  empty_locked(memory());
}

MemoryStats memory_stats() {
  std::lock_guard guard(memory().lock);
  return memory().stats;
}

void reset_peak() {
  std::lock_guard guard(memory().lock);
  memory().stats.peak_allocated = memory().stats.allocated;
  memory().stats.peak_reserved = memory().stats.reserved;
}

}  // namespace

extern const Allocator allocator_table;
const Allocator allocator_table = {allocate, release, empty_cache, memory_stats, reset_peak};

}  // namespace tessel::cuda
