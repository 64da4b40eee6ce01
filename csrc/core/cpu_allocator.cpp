// The CPU's memory: blocks of fixed sizes, kept when freed. Small ones wait in the thread that freed them, the others
// on shelves that all threads share; what was not used for longest goes back to the system first.
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sysinfo.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>  // two macros, empty unless AddressSanitizer is on
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "core/allocator.h"
#include "core/cgroup.h"
#include "core/error.h"

namespace tessel {
namespace {

// ---- sizes: multiples of 64 bytes up to 1 KB, then eight to an octave, so at most an eighth of a block is unused

constexpr size_t kUnit = 64;

constexpr int size_class(size_t bytes) {
  const size_t units = bytes == 0 ? 0 : (bytes - 1) / kUnit;  // units needed, less one
  const int octave = units < 16 ? 0 : std::bit_width(units) - 4;
  return 8 * octave + static_cast<int>(units >> octave);
}

constexpr size_t class_bytes(int size_class) {
  const int octave = size_class < 16 ? 0 : size_class / 8 - 1;
  return static_cast<size_t>(size_class - 8 * octave + 1) << octave << 6;
}

constexpr size_t kSmall = 32 << 10;  // up to here a thread keeps its own
constexpr size_t kMapped = 1 << 20;  // from here on malloc is not asked but the kernel
constexpr size_t kHuge = 4 << 20;    // and for huge pages: first touch of 64 MB takes 10 ms instead of 41
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kLargest = size_t{1} << 47;
constexpr int kSmallClasses = size_class(kSmall) + 1;
constexpr int kClasses = size_class(kLargest) + 1;

static_assert(class_bytes(size_class(1)) == 64 && class_bytes(size_class(1025)) == 1152);
static_assert(class_bytes(size_class(kSmall)) == kSmall && class_bytes(size_class(kLargest)) == kLargest);

constexpr size_t kThreadBytes = 1 << 20;    // what one thread keeps at most
constexpr size_t kSmallBytes = 64 << 20;    // what the shared stacks of small blocks keep at most
constexpr size_t kRefillBytes = 32 << 10;   // what a thread fetches from them at a time
constexpr int64_t kUnpublished = 64 << 10;  // by this much the peak may be off, for each thread

// What a block holds while nobody uses it.
struct Block {
  Block* next;
  Block* previous;   // on a shelf only
  uint64_t shelved;  // when: a running number
  int size_class;
};
static_assert(sizeof(Block) <= kUnit);

// ---- the system

void* from_system(size_t bytes) {
  if (bytes < kMapped) return std::aligned_alloc(kUnit, bytes);
  const size_t slack = bytes < kHuge ? 0 : kHugePage;  // to begin at a huge page's border
  void* mapped = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (slack == 0) return mapped;
  char* const begin = static_cast<char*>(mapped);
  const size_t head = -reinterpret_cast<uintptr_t>(begin) % kHugePage;
  char* const block = begin + head;
  if (head > 0) munmap(begin, head);
  if (head < slack) munmap(block + bytes, slack - head);
#if defined(MADV_HUGEPAGE)
  madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void to_system(void* block, size_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(block, bytes);
  if (bytes < kMapped) std::free(block);
  else munmap(block, bytes);
}

// Memory and swap of the machine, or of the container.
int64_t measure_memory() {
#if defined(__linux__)
  struct sysinfo info;
  if (sysinfo(&info) != 0) return INT64_MAX;
  const int64_t unit = info.mem_unit, memory = static_cast<int64_t>(info.totalram) * unit,
                swap = static_cast<int64_t>(info.totalswap) * unit;
#else
  const int64_t memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE), swap = 0;
#endif
  const int64_t container = cgroup_limits().memory;
  return (container > 0 ? std::min(container, memory) : memory) + swap;
}

// What this process may hold at most; asked once.
int64_t memory_limit() {
  static constinit std::atomic<int64_t> measured{0};
  int64_t limit = measured.load(std::memory_order_relaxed);
  if (limit == 0) measured.store(limit = measure_memory(), std::memory_order_relaxed);
  return limit;
}

// Under AddressSanitizer a cached block and the unused end of a block in use can't be touched.
void* hand_out(Block* block, size_t bytes, int size_class) {
  ASAN_UNPOISON_MEMORY_REGION(block, class_bytes(size_class));
  ASAN_POISON_MEMORY_REGION(reinterpret_cast<char*>(block) + bytes, class_bytes(size_class) - bytes);
  return block;
}

Block* take_in(void* address, int size_class) {
  ASAN_UNPOISON_MEMORY_REGION(address, sizeof(Block));
  Block* block = new (address) Block{nullptr, nullptr, 0, size_class};
  ASAN_POISON_MEMORY_REGION(block + 1, class_bytes(size_class) - sizeof(Block));
  return block;
}

// ---- what a thread keeps

// Taken by its own thread, and once in a while by one that counts or empties.
class SpinLock {
 public:
  void lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

struct Stack {
  Block* top = nullptr;

  void push(Block* block) {
    block->next = top;
    top = block;
  }
  Block* pop() {
    Block* block = top;
    if (block) top = block->next;
    return block;
  }
};

struct alignas(64) ThreadCache {
  SpinLock mutex;
  Stack stacks[kSmallClasses];
  size_t cached = 0;      // bytes in the stacks
  int64_t allocated = 0;  // bytes not yet added to the shared count
  int64_t allocations = 0;
  int64_t releases = 0;
  ThreadCache* next = nullptr;
};

// ---- what all threads share; locks are taken in the order: registry, a thread's, mutex

struct Shelf {
  Block* newest = nullptr;
  Block* oldest = nullptr;
};

struct Shared {
  std::mutex registry;
  ThreadCache* threads = nullptr;

  std::mutex mutex;
  Stack small[kSmallClasses];
  size_t small_bytes = 0;
  Shelf shelves[kClasses];
  size_t shelf_bytes = 0;
  uint64_t shelved = 0;
  MemoryStats stats;  // `cached` is what remains of the others
};

// Made before anything runs and never destroyed: tensors may die after every destructor of the process has run.
constinit Shared shared;

// In a library loaded at run time the default way to a thread's variable is a function call.
#if defined(__GLIBC__) && defined(__x86_64__)
[[gnu::tls_model("initial-exec")]]
#endif
constinit thread_local ThreadCache* this_thread = nullptr;
constinit thread_local bool thread_ended = false;

// Appends the stacks of a thread to the shared ones, and to `surplus` what is too much. Under both locks.
void hand_over(ThreadCache& cache, Stack& surplus) {
  for (int c = 0; c < kSmallClasses; ++c) {
    while (Block* block = cache.stacks[c].pop()) {
      const bool room = shared.small_bytes + class_bytes(c) <= kSmallBytes;
      if (room) shared.small_bytes += class_bytes(c);
      (room ? shared.small[c] : surplus).push(block);
    }
  }
  cache.cached = 0;
}

void publish(ThreadCache& cache) {
  shared.stats.allocated += std::exchange(cache.allocated, 0);
  shared.stats.allocations += std::exchange(cache.allocations, 0);
  shared.stats.releases += std::exchange(cache.releases, 0);
  shared.stats.peak_allocated = std::max(shared.stats.peak_allocated, shared.stats.allocated);
}

void free_all(Stack blocks) {
  int64_t bytes = 0;
  while (Block* block = blocks.pop()) {
    const size_t size = class_bytes(block->size_class);
    to_system(block, size);
    bytes += static_cast<int64_t>(size);
  }
  std::lock_guard lock(shared.mutex);
  shared.stats.reserved -= bytes;
}

struct ThreadEnd {
  ~ThreadEnd() {
    Stack surplus;
    {
      std::lock_guard registry(shared.registry);
      std::lock_guard lock(shared.mutex);
      ThreadCache** link = &shared.threads;
      while (*link != this_thread) link = &(*link)->next;
      *link = this_thread->next;
      publish(*this_thread);
      hand_over(*this_thread, surplus);
    }
    delete std::exchange(this_thread, nullptr);
    thread_ended = true;
    free_all(surplus);
  }
};

// Null in a thread that is ending: its blocks go to the shared stacks.
ThreadCache* thread_cache() {
  if (this_thread || thread_ended) return this_thread;
  auto* cache = new (std::nothrow) ThreadCache;
  if (!cache) return nullptr;
  static thread_local ThreadEnd end;
  (void)end;
  std::lock_guard lock(shared.registry);
  cache->next = std::exchange(shared.threads, cache);
  return this_thread = cache;
}

// ---- shelves, under the mutex

void shelve(Block* block) {
  Shelf& shelf = shared.shelves[block->size_class];
  block->shelved = ++shared.shelved;
  block->previous = nullptr;
  block->next = shelf.newest;
  (shelf.newest ? shelf.newest->previous : shelf.oldest) = block;
  shelf.newest = block;
  shared.shelf_bytes += class_bytes(block->size_class);
}

void unshelve(Block* block) {
  Shelf& shelf = shared.shelves[block->size_class];
  (block->previous ? block->previous->next : shelf.newest) = block->next;
  (block->next ? block->next->previous : shelf.oldest) = block->previous;
  shared.shelf_bytes -= class_bytes(block->size_class);
}

Block* oldest_block() {
  Block* oldest = nullptr;
  for (const Shelf& shelf : shared.shelves) {
    if (shelf.oldest && (!oldest || shelf.oldest->shelved < oldest->shelved)) oldest = shelf.oldest;
  }
  return oldest;
}

// ---- the allocator

void empty_cache() {
  Stack blocks;
  {
    std::lock_guard registry(shared.registry);
    for (ThreadCache* cache = shared.threads; cache; cache = cache->next) {
      std::lock_guard thread(cache->mutex);
      std::lock_guard lock(shared.mutex);
      hand_over(*cache, blocks);
    }
    std::lock_guard lock(shared.mutex);
    for (Stack& stack : shared.small) {
      while (Block* block = stack.pop()) blocks.push(block);
    }
    shared.small_bytes = 0;
    while (Block* block = shared.shelf_bytes > 0 ? oldest_block() : nullptr) {
      unshelve(block);
      blocks.push(block);
    }
  }
  free_all(blocks);
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

// Null when the system has no more. Counts the bytes first, so that the limit holds for all threads together.
Block* new_block(size_t bytes) {
  const int64_t limit = memory_limit();
  {
    std::lock_guard lock(shared.mutex);
    if (shared.stats.reserved + static_cast<int64_t>(bytes) > limit) return nullptr;
    shared.stats.reserved += static_cast<int64_t>(bytes);
  }
  void* block = from_system(bytes);
  std::lock_guard lock(shared.mutex);
  if (block) {
    ++shared.stats.system_allocations;
    shared.stats.peak_reserved = std::max(shared.stats.peak_reserved, shared.stats.reserved);
  } else {
    shared.stats.reserved -= static_cast<int64_t>(bytes);
  }
  return static_cast<Block*>(block);
}

[[noreturn]] void out_of_memory(size_t bytes) {
  const auto gigabytes = [](auto n) { return std::round(static_cast<double>(n) / 1e7) / 100; };
  std::unique_lock lock(shared.mutex);
  const double in_use = gigabytes(shared.stats.reserved);
  lock.unlock();
  fail<OutOfMemory>("out of memory: a tensor needs ", bytes, " bytes (", gigabytes(bytes), " GB), and tensors hold ",
                    in_use, " GB of the ", gigabytes(memory_limit()), " GB there are");
}

Block* new_block_or_throw(int size_class) {
  const size_t bytes = class_bytes(size_class);
  if (Block* block = new_block(bytes)) return block;
  empty_cache();
  if (Block* block = new_block(bytes)) return block;
  out_of_memory(bytes);
}

void count_allocation(size_t bytes) {
  shared.stats.allocated += static_cast<int64_t>(bytes);
  ++shared.stats.allocations;
  shared.stats.peak_allocated = std::max(shared.stats.peak_allocated, shared.stats.allocated);
}

[[gnu::noinline]] void* allocate_large(size_t bytes) {
  if (bytes > kLargest) out_of_memory(bytes);
  const int c = size_class(bytes);
  {
    std::lock_guard lock(shared.mutex);
    if (Block* block = shared.shelves[c].newest) {
      unshelve(block);
      count_allocation(class_bytes(c));
      return hand_out(block, bytes, c);
    }
  }
  Block* block = new_block_or_throw(c);
  std::lock_guard lock(shared.mutex);
  count_allocation(class_bytes(c));
  return hand_out(block, bytes, c);
}

[[gnu::noinline]] void release_large(void* address, size_t bytes) {
  const int c = size_class(bytes);
  const size_t size = class_bytes(c), limit = static_cast<size_t>(memory_limit() / 2);
  Stack surplus;
  Block* block = take_in(address, c);
  {
    std::lock_guard lock(shared.mutex);
    shared.stats.allocated -= static_cast<int64_t>(size);
    ++shared.stats.releases;
    if (size > limit) surplus.push(block);
    else shelve(block);
    while (shared.shelf_bytes > limit) {
      Block* oldest = oldest_block();
      unshelve(oldest);
      surplus.push(oldest);
    }
  }
  if (surplus.top) free_all(surplus);
}

// Under the thread's lock. `sign` is 1 for a block that leaves, -1 for one that comes back.
void count(ThreadCache& cache, int sign, size_t bytes) {
  cache.allocated += sign * static_cast<int64_t>(bytes);
  ++(sign > 0 ? cache.allocations : cache.releases);
  if (cache.allocated > kUnpublished || cache.allocated < -kUnpublished) [[unlikely]] {
    std::lock_guard lock(shared.mutex);
    publish(cache);
  }
}

// The thread has none of this size: it takes a handful from the shared stack, or one from the system.
[[gnu::noinline]] void* allocate_small(size_t bytes, int c) {
  ThreadCache* cache = thread_cache();
  const size_t size = class_bytes(c), wanted = cache ? kRefillBytes : size;
  Stack fetched;
  size_t fetched_bytes = 0;
  {
    std::lock_guard lock(shared.mutex);
    for (; fetched_bytes < wanted && shared.small[c].top; fetched_bytes += size) fetched.push(shared.small[c].pop());
    shared.small_bytes -= fetched_bytes;
  }
  Block* block = fetched.top ? fetched.pop() : new_block_or_throw(c);
  if (cache) {
    std::lock_guard lock(cache->mutex);
    for (; Block* spare = fetched.pop(); cache->cached += size) cache->stacks[c].push(spare);
    count(*cache, 1, size);
  } else {
    std::lock_guard lock(shared.mutex);
    count_allocation(size);
  }
  return hand_out(block, bytes, c);
}

// The thread keeps too much, and hands all of it to the others; or it has just begun, or is ending and keeps nothing.
[[gnu::noinline]] void release_small(void* address, int c) {
  const size_t size = class_bytes(c);
  Stack surplus;
  Block* block = take_in(address, c);
  if (ThreadCache* cache = thread_cache()) {
    std::lock_guard thread(cache->mutex);
    cache->stacks[c].push(block);
    cache->cached += size;
    count(*cache, -1, size);
    std::lock_guard lock(shared.mutex);
    if (cache->cached > kThreadBytes) hand_over(*cache, surplus);
  } else {
    std::lock_guard lock(shared.mutex);
    shared.stats.allocated -= static_cast<int64_t>(size);
    ++shared.stats.releases;
    shared.small[c].push(block);
    shared.small_bytes += size;
  }
  if (surplus.top) free_all(surplus);
}

void* allocate(size_t bytes) {
  if (bytes > kSmall) return allocate_large(bytes);
  const int c = size_class(bytes);
  if (ThreadCache* cache = this_thread) [[likely]] {
    std::lock_guard lock(cache->mutex);
    if (Block* block = cache->stacks[c].pop()) [[likely]] {
      cache->cached -= class_bytes(c);
      count(*cache, 1, class_bytes(c));
      return hand_out(block, bytes, c);
    }
  }
  return allocate_small(bytes, c);
}

void release(void* address, size_t bytes) {
  if (!address) return;
  if (bytes > kSmall) return release_large(address, bytes);
  const int c = size_class(bytes);
  if (ThreadCache* cache = this_thread) [[likely]] {
    std::lock_guard lock(cache->mutex);
    if (cache->cached <= kThreadBytes) [[likely]] {
      cache->stacks[c].push(take_in(address, c));
      cache->cached += class_bytes(c);
      count(*cache, -1, class_bytes(c));
      return;
    }
  }
  release_small(address, c);
}

MemoryStats memory_stats() {
  std::lock_guard registry(shared.registry);
  for (ThreadCache* cache = shared.threads; cache; cache = cache->next) {
    std::lock_guard thread(cache->mutex);
    std::lock_guard lock(shared.mutex);
    publish(*cache);
  }
  std::lock_guard lock(shared.mutex);
  MemoryStats stats = shared.stats;
  stats.cached = stats.reserved - stats.allocated;
  return stats;
}

void reset_peak() {
  const MemoryStats now = memory_stats();
  std::lock_guard lock(shared.mutex);
  shared.stats.peak_allocated = now.allocated;
  shared.stats.peak_reserved = shared.stats.reserved;
}

// ---- fork: every lock is held while it happens, so that the child finds all of it in order. Only the forking thread
// exists there: what the others kept is handed over, and what they held is lost.

void before_fork() {
  shared.registry.lock();
  for (ThreadCache* cache = shared.threads; cache; cache = cache->next) cache->mutex.lock();
  shared.mutex.lock();
}

void after_fork_in_parent() {
  shared.mutex.unlock();
  for (ThreadCache* cache = shared.threads; cache; cache = cache->next) cache->mutex.unlock();
  shared.registry.unlock();
}

void after_fork_in_child() {
  Stack surplus;
  size_t kept = 0;
  while (ThreadCache* cache = shared.threads) {
    shared.threads = cache->next;
    publish(*cache);
    if (cache == this_thread) continue;
    hand_over(*cache, surplus);
    delete cache;
  }
  if (this_thread) {
    kept = this_thread->cached;
    this_thread->next = nullptr;
    this_thread->mutex.unlock();
  }
  shared.threads = this_thread;
  shared.mutex.unlock();
  shared.registry.unlock();
  free_all(surplus);
  // The others may have been between the system and the books.
  kept += shared.small_bytes + shared.shelf_bytes;
  shared.stats.reserved = shared.stats.allocated + static_cast<int64_t>(kept);
}

// At load: the first fork may come while another thread is at its first allocation.
[[maybe_unused]] const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

constexpr Allocator kCpuAllocator{allocate, release, empty_cache, memory_stats, reset_peak};

}  // namespace

const Allocator& cpu_allocator() { return kCpuAllocator; }

}  // namespace tessel
