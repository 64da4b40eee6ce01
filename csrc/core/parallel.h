// The thread pool's door. Kernels and ops use it; parallel.cpp lives behind it. Declarations only (see dtype.h).
#pragma once
#include <stdint.h>

namespace tessel {

// One piece of work: elements or tasks [begin, end), run by the worker with that index (0 is the caller), which
// is below num_threads() and can be used to pick a part of a scratch block. It must not throw.
using ParallelBody = void (*)(void* context, int64_t begin, int64_t end, int worker);

// Calls body over [0, n) in pieces that begin at multiples of `grain`. What an index computes must not depend on the
// pieces: work is cut by shape, the number of threads only decides who does it. Nested and concurrent callers run
// their own parts. Returns when all of it is done.
void parallel_for(int64_t n, int64_t grain, ParallelBody body, void* context);

// How many workers parallel_for may use, at least 1: the calling thread's own number, so that nobody changes it between
// the sizing of a scratch block and its use. A thread begins with the process's number, which begins as the CPUs that
// affinity and cgroup quota leave.
int num_threads();
void set_num_threads(int threads);  // this thread's, and that of threads that have not asked yet; ValueError below 1

}  // namespace tessel
