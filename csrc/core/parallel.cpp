// The pool: workers that take pieces of one job at a time. A job is announced in one word, `state`, and a worker may
// look at the job only while it is counted there; so the caller waits for nobody but those who joined, and a worker
// that wakes up late finds the door closed.
#include "core/parallel.h"

#include <pthread.h>
#include <signal.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <system_error>
#include <thread>

#include "core/cgroup.h"
#include "core/error.h"

namespace tessel {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kPiecesPerThread = 8;  // a thread that is kept waiting by the system delays the others by an eighth
constexpr auto kSpin = std::chrono::microseconds(50);

// ---- how many CPUs there are for us

struct Cpus {
  int count;   // rounded up
  bool whole;  // no quota below the cores: whoever spins takes time from nobody's share
};

Cpus count_cpus() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
#endif
  cores = std::clamp(cores, 1, kMaxThreads);
  const double quota = cgroup_limits().cpus;
  if (quota == 0 || quota >= cores) return {cores, true};
  return {std::max(1, static_cast<int>(std::ceil(quota))), false};
}

// Counted once, without a lock that a forked child could inherit.
Cpus cpus() {
  static constinit std::atomic<Cpus> counted{Cpus{0, false}};
  Cpus known = counted.load(std::memory_order_relaxed);
  if (known.count == 0) counted.store(known = count_cpus(), std::memory_order_relaxed);
  return known;
}

constinit std::atomic<int> process_threads{0};  // 0: not asked yet
constinit thread_local int own_threads = 0;
constinit thread_local bool inside = false;  // a job: what it calls runs in this thread

int first_num_threads() {
  int threads = process_threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    const int counted = cpus().count;
    threads = process_threads.compare_exchange_strong(threads, counted) ? counted : threads;
  }
  return own_threads = threads;
}

// ---- waiting

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // about as long as x86's pause; `yield` does nothing on most Arm cores
#endif
}

// Waits up to `limit` for done() to be true; says whether it is.
template <class Done> bool spin(std::chrono::nanoseconds limit, Done done) {
  if (done()) return true;
  if (limit.count() == 0) return false;
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

// ---- the pool

// The word that announces a job: its number, how many threads may work on it (the caller counted), whether it is open,
// whether the caller sleeps until the last worker leaves, and how many workers are at it.
using State = uint64_t;
constexpr State kWorker = 1;
constexpr State kOpen = State{1} << 15;
constexpr State kCallerSleeps = State{1} << 16;
constexpr int kLimitShift = 17;
constexpr int kJobShift = 32;
static_assert(kMaxThreads < 1 << (kJobShift - kLimitShift));

int workers_at(State s) { return static_cast<int>(s & (kOpen - 1)); }
int limit_of(State s) { return static_cast<int>(s >> kLimitShift & ((1 << (kJobShift - kLimitShift)) - 1)); }
uint32_t job_of(State s) { return static_cast<uint32_t>(s >> kJobShift); }
bool is_open(State s) { return s & kOpen; }

// The processor this thread runs on; -1 where nobody knows.
int this_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// A thread that is woken may be put on the processor of the one that woke it, and the two take turns there while another processor
// idles (Linux 6.18; products of 200 us then ran as on one thread for seconds). It moves, and is free again to go anywhere.
void step_aside([[maybe_unused]] int from) {
#if defined(__linux__)
  cpu_set_t all, others;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  others = all;
  CPU_CLR(from, &others);
  if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
#endif
}

class ThreadPool {
 public:
  // False when somebody else's job is running.
  bool run(int64_t n, int64_t grain, ParallelBody body, void* context, int threads);

 private:
  // Each thread has a stretch of the job to itself and takes from the others' only when its own is done: what it wrote
  // in one job is still in its cache when it reads the same stretch in the next.
  struct alignas(64) Worker {
    std::atomic<int64_t> next{0};  // where its stretch goes on
    int64_t end = 0;
    std::atomic<int> asleep{0};
  };

  void hire(int threads);
  void work(int index);
  bool join(uint32_t job, int index);
  void leave();
  void wake_children(int index, int limit);
  void take_pieces(int index);
  void close();
  std::chrono::nanoseconds patience(int threads) const {
    return cpus().whole && threads <= cpus().count ? kSpin : std::chrono::nanoseconds(0);
  }

  alignas(64) std::atomic<bool> taken_{false};
  int hired_ = 0;  // workers that exist, the caller (index 0) not among them
  bool can_hire_ = true;

  // The job; written by the caller before it opens `state_`, read by those who joined.
  ParallelBody body_ = nullptr;
  void* context_ = nullptr;
  int64_t piece_ = 0;
  int threads_ = 0;
  std::atomic<int> callers_cpu_{-1};  // -1: whoever comes need not care

  alignas(64) std::atomic<State> state_{0};
  std::atomic<int> all_left_{0};
  Worker workers_[kMaxThreads];
};

bool ThreadPool::run(int64_t n, int64_t grain, ParallelBody body, void* context, int threads) {
  if (taken_.exchange(true, std::memory_order_acquire)) return false;
  const int64_t grains = (n - 1) / grain + 1;
  threads = static_cast<int>(std::min<int64_t>(threads, grains));
  hire(threads);
  threads = std::min(threads, hired_ + 1);

  body_ = body;
  context_ = context;
  piece_ = grain * std::max<int64_t>(1, grains / (int64_t{threads} * kPiecesPerThread));
  threads_ = threads;
  callers_cpu_.store(threads <= cpus().count ? this_cpu() : -1, std::memory_order_relaxed);
  const int64_t pieces = (n - 1) / piece_ + 1;
  for (int t = 0; t < threads; ++t) {
    workers_[t].next.store(pieces * t / threads * piece_, std::memory_order_relaxed);
    workers_[t].end = std::min(n, pieces * (t + 1) / threads * piece_);
  }
  const State job = State{job_of(state_.load(std::memory_order_relaxed)) + 1} << kJobShift;
  // In one order with a worker's falling asleep: either it sees the job or we see it asleep.
  state_.store(job | State(threads) << kLimitShift | kOpen, std::memory_order_seq_cst);
  wake_children(0, threads);

  inside = true;
  take_pieces(0);
  inside = false;
  close();
  taken_.store(false, std::memory_order_release);
  return true;
}

void ThreadPool::take_pieces(int index) {
  for (int turn = 0; turn < threads_; ++turn) {
    Worker& from = workers_[index + turn < threads_ ? index + turn : index + turn - threads_];
    while (from.next.load(std::memory_order_relaxed) < from.end) {
      const int64_t begin = from.next.fetch_add(piece_, std::memory_order_relaxed);
      if (begin < from.end) body_(context_, begin, std::min(from.end, begin + piece_), index);
    }
  }
}

// Nobody may join any more; those who did finish their pieces.
void ThreadPool::close() {
  const State open = state_.fetch_and(~kOpen, std::memory_order_acq_rel);
  if (workers_at(open) == 0) return;
  if (spin(patience(limit_of(open)), [&] { return workers_at(state_.load(std::memory_order_acquire)) == 0; })) return;
  all_left_.store(0, std::memory_order_relaxed);
  if (workers_at(state_.fetch_or(kCallerSleeps, std::memory_order_acq_rel)) == 0) return;
  while (all_left_.load(std::memory_order_acquire) == 0) all_left_.wait(0, std::memory_order_acquire);
}

bool ThreadPool::join(uint32_t job, int index) {
  State now = state_.load(std::memory_order_acquire);
  while (job_of(now) == job && is_open(now) && index < limit_of(now)) {
    if (state_.compare_exchange_weak(now, now + kWorker, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void ThreadPool::leave() {
  const State before = state_.fetch_sub(kWorker, std::memory_order_acq_rel);
  if (workers_at(before) > 1 || !(before & kCallerSleeps)) return;
  all_left_.store(1, std::memory_order_release);
  all_left_.notify_one();
}

// Each worker wakes two, so that the last of 64 is reached in six steps.
void ThreadPool::wake_children(int index, int limit) {
  for (int child = 2 * index + 1; child <= 2 * index + 2 && child < limit; ++child) {
    std::atomic<int>& asleep = workers_[child].asleep;
    if (asleep.load(std::memory_order_seq_cst) == 0) continue;
    asleep.store(0, std::memory_order_release);
    asleep.notify_one();
  }
}

void ThreadPool::work(int index) {
  inside = true;
  std::atomic<int>& asleep = workers_[index].asleep;
  const auto for_me = [&](uint32_t seen) {
    const State now = state_.load(std::memory_order_seq_cst);
    return job_of(now) != seen && is_open(now) && index < limit_of(now);
  };
  std::chrono::nanoseconds warm{0};  // how long to look out for the next job before going to sleep
  for (uint32_t seen = 0;;) {
    if (!spin(warm, [&] { return for_me(seen); })) {
      asleep.store(1, std::memory_order_seq_cst);
      while (!for_me(seen) && asleep.load(std::memory_order_acquire) == 1) asleep.wait(1, std::memory_order_acquire);
      asleep.store(0, std::memory_order_relaxed);
    }
    const State now = state_.load(std::memory_order_acquire);
    seen = job_of(now);
    warm = patience(limit_of(now));
    if (const int cpu = callers_cpu_.load(std::memory_order_relaxed); cpu >= 0 && cpu == this_cpu()) step_aside(cpu);
    if (!join(seen, index)) continue;
    wake_children(index, limit_of(now));
    take_pieces(index);
    leave();
  }
}

// Makes the workers that are missing, as far as the system allows. They see no signals: those are the main thread's.
void ThreadPool::hire(int threads) {
  if (hired_ + 1 >= threads || !can_hire_) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    while (hired_ + 1 < threads) {
      std::thread worker([this, index = hired_ + 1] { work(index); });
#if defined(__linux__)
      pthread_setname_np(worker.native_handle(), "tessel");
#endif
      worker.detach();
      ++hired_;
    }
  } catch (const std::system_error&) {
    can_hire_ = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// ---- the process's pool. It is never destroyed: at exit its workers sleep or spin on it. A forked child has no
// workers, so it leaves the pool that it inherited (and keeps its address, for leak checkers) and makes its own.

constinit std::atomic<ThreadPool*> pool{nullptr};
[[maybe_unused]] ThreadPool* parents_pool = nullptr;

void after_fork_in_child() {
  if (ThreadPool* inherited = pool.exchange(nullptr)) parents_pool = inherited;
  inside = false;
}
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);

ThreadPool& make_pool() {
  auto made = std::make_unique<ThreadPool>();
  ThreadPool* current = nullptr;
  return pool.compare_exchange_strong(current, made.get()) ? *made.release() : *current;
}

ThreadPool& the_pool() {
  ThreadPool* made = pool.load(std::memory_order_acquire);
  return made ? *made : make_pool();
}

}  // namespace

int num_threads() { return own_threads ? own_threads : first_num_threads(); }

void set_num_threads(int threads) {
  check_value(threads >= 1 && threads <= kMaxThreads, "set_num_threads: expected 1 to ", kMaxThreads,
              " threads but got ", threads);
  process_threads.store(threads, std::memory_order_relaxed);
  own_threads = threads;
}

void parallel_for(int64_t n, int64_t grain, ParallelBody body, void* context) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (n > grain && !inside) {
    const int threads = num_threads();
    if (threads > 1 && the_pool().run(n, grain, body, context, threads)) return;
  }
  body(context, 0, n, 0);
}

}  // namespace tessel
