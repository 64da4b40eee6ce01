// A parallel_for for kernel tests that link nothing else: fresh threads at each call, pieces handed out by a counter.
#include <atomic>
#include <thread>
#include <vector>

#include "core/parallel.h"

namespace tessel {
namespace {
std::atomic<int> threads{1};
thread_local bool inside = false;
}  // namespace

int num_threads() { return threads; }
void set_num_threads(int n) { threads = n; }

void parallel_for(int64_t n, int64_t grain, ParallelBody body, void* context) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  const int workers = inside ? 1 : int(threads);
  if (workers == 1 || n <= grain) {
    body(context, 0, n, 0);
    return;
  }
  std::atomic<int64_t> next{0};
  auto work = [&](int worker) {
    inside = true;
    for (int64_t begin; (begin = next.fetch_add(grain)) < n;) body(context, begin, begin + grain < n ? begin + grain : n, worker);
    inside = false;
  };
  std::vector<std::thread> others;
  for (int w = 1; w < workers; ++w) others.emplace_back(work, w);
  work(0);
  for (auto& t : others) t.join();
}

}  // namespace tessel
