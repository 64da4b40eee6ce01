// Where a device's bytes come from. An Allocator is a table of plain functions, one constant per device; storage.cpp
// asks it, nobody else. Freed blocks are kept by size and given back by empty_cache().
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/device.h"

namespace tessel {

// Bytes and counts since the process began; peaks since the last reset_peak(). Sizes are those of the blocks, at most
// an eighth larger than what was asked for (or 63 bytes, for blocks below 1 KB).
struct MemoryStats {
  int64_t allocated = 0;           // in blocks that are in use
  int64_t cached = 0;              // in blocks kept for the next caller
  int64_t reserved = 0;            // both: what was taken from the system
  int64_t peak_allocated = 0;      // of what threads have reported: each may be 64 KB of small blocks behind
  int64_t peak_reserved = 0;
  int64_t allocations = 0;         // calls of allocate()
  int64_t releases = 0;            // calls of release(): allocations - releases blocks are in use
  int64_t system_allocations = 0;  // blocks that the cache did not have
};

struct Allocator {
  // At least `bytes` bytes (never null, not even for 0), 64-byte aligned, contents undefined. When the system has none
  // left, the cache is emptied and the system asked again; then OutOfMemory is thrown.
  void* (*allocate)(size_t bytes);
  // Takes a block back, on any thread; `bytes` as in allocate(). Null is ignored.
  void (*release)(void* block, size_t bytes);
  void (*empty_cache)();
  MemoryStats (*memory_stats)();
  void (*reset_peak)();  // peaks start again from what is in use now
};

const Allocator& cpu_allocator();

// The table of a device's memory. CUDA's is registered by its library when that is loaded; until then asking for it
// raises RuntimeError.
const Allocator& allocator(Device device);
void register_allocator(DeviceType type, const Allocator& allocator);

}  // namespace tessel
