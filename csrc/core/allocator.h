// Where a device's bytes come from. An Allocator is a table of plain functions, one constant per device; storage.cpp
// asks it, nobody else. Freed blocks are kept by size and given back by empty_cache().
#pragma once
#include <cstddef>
#include <cstdint>

namespace tessel {

// Bytes and counts since the process began; peaks since the last reset_peak(). Sizes are those of the blocks, which
// are at most an eighth (and at most 63 bytes for blocks below 1 KB) larger than what was asked for.
struct MemoryStats {
  int64_t allocated = 0;        // in blocks that are in use
  int64_t cached = 0;           // in blocks kept for the next caller
  int64_t reserved = 0;         // both: what was taken from the system
  int64_t peak_allocated = 0;
  int64_t peak_reserved = 0;
  int64_t allocations = 0;      // calls of allocate()
  int64_t releases = 0;         // calls of release(); allocations - releases blocks are in use
  int64_t system_allocations = 0;  // blocks that the cache did not have
};

struct Allocator {
  // At least `bytes` bytes (never null, for 0 too), 64-byte aligned, contents undefined. When the system has none left, the cache is emptied and
  // the system asked again; then OutOfMemory is thrown.
  void* (*allocate)(size_t bytes);
  // Takes a block back, on any thread; `bytes` as in allocate(). Null is ignored.
  void (*release)(void* block, size_t bytes);
  void (*empty_cache)();
  MemoryStats (*memory_stats)();
  void (*reset_peak)();  // peaks start again from what is in use now
};

const Allocator& cpu_allocator();

}  // namespace tessel
