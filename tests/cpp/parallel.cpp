// The pool: every index once, at any number of threads, nested, from several threads, and after fork().
#include "core/parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "core/error.h"

using namespace tessel;

namespace {

template <class F> void each_piece(int64_t n, int64_t grain, F f) {
  parallel_for(
      n, grain, [](void* f, int64_t begin, int64_t end, int worker) { (*static_cast<F*>(f))(begin, end, worker); }, &f);
}

// Whether every index of [0, n) is visited once, in pieces and by workers as promised.
bool covers(int64_t n, int64_t grain) {
  std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
  std::atomic<bool> good{true};
  const int threads = num_threads();
  each_piece(n, grain, [&](int64_t begin, int64_t end, int worker) {
    if (begin % grain != 0 || begin >= end || end > n || worker < 0 || worker >= threads) good = false;
    for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
  });
  for (const std::atomic<int>& count : visits) {
    if (count != 1) good = false;
  }
  return good;
}

[[maybe_unused]] bool exits_well(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

TEST(parallel_for_visits_every_index_once) {
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    CHECK(num_threads() == threads);
    for (int64_t n : {1, 2, 7, 64, 1000, 4097}) {
      for (int64_t grain : {1, 3, 64, 5000}) CHECK(covers(n, grain));
    }
  }
}

TEST(parallel_for_of_nothing) {
  bool called = false;
  each_piece(0, 1, [&](int64_t, int64_t, int) { called = true; });
  each_piece(-5, 1, [&](int64_t, int64_t, int) { called = true; });
  CHECK(!called);
}

TEST(parallel_for_below_the_grain_stays_with_the_caller) {
  set_num_threads(4);
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  each_piece(100, 100, [&](int64_t begin, int64_t end, int worker) {
    ++calls;
    CHECK(begin == 0 && end == 100 && worker == 0 && std::this_thread::get_id() == caller);
  });
  CHECK(calls == 1);
}

TEST(parallel_for_uses_several_threads) {
  set_num_threads(3);
  std::atomic<int> arrived{0};
  each_piece(3, 1, [&](int64_t begin, int64_t end, int) {  // nobody leaves before all three are there
    arrived += static_cast<int>(end - begin);
    while (arrived < 3) std::this_thread::yield();
  });
  CHECK(arrived == 3);
}

TEST(parallel_for_nests) {
  for (int threads : {2, 7}) {
    set_num_threads(threads);
    std::atomic<int64_t> sum{0};
    each_piece(50, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        each_piece(100, 7, [&](int64_t from, int64_t to, int worker) {
          if (worker == 0) sum += to - from;
        });
      }
    });
    CHECK(sum == 5000);
  }
}

TEST(parallel_for_from_several_threads) {
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      set_num_threads(t + 1);
      for (int i = 0; i < 200; ++i) good += covers(500 + i, 1 + i % 9);
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(good == 800);
}

TEST(parallel_for_warm_and_cold) {
  set_num_threads(3);
  for (int i = 0; i < 300; ++i) {
    CHECK(covers(97, 4));
    if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 150));
  }
}

TEST(parallel_plain_results_are_visible) {
  set_num_threads(4);
  std::vector<int64_t> y(10000);
  for (int round = 1; round < 50; ++round) {
    each_piece(10000, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) y[static_cast<size_t>(i)] += i;
    });
  }
  bool good = true;
  for (int64_t i = 0; i < 10000; ++i) good = good && y[static_cast<size_t>(i)] == 49 * i;
  CHECK(good);
}

TEST(parallel_num_threads_belongs_to_the_thread) {
  set_num_threads(3);
  std::thread other([] {
    CHECK(num_threads() == 3);
    set_num_threads(5);
    CHECK(num_threads() == 5);
  });
  other.join();
  CHECK(num_threads() == 3);
  CHECK_THROWS(ValueError, set_num_threads(0));
  CHECK_THROWS(ValueError, set_num_threads(-2));
  CHECK(num_threads() == 3);
}

#if TESSEL_FORK > 0
TEST(parallel_for_in_a_forked_child) {
  set_num_threads(3);
  CHECK(covers(1000, 1));
  for (int i = 0; i < 5; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const bool good = covers(1000, 1);
      const pid_t grandchild = fork();
      if (grandchild == 0) _exit(covers(100, 1) ? 0 : 1);
      _exit(good && exits_well(grandchild) ? 0 : 1);
    }
    CHECK(covers(1000, 1));
    CHECK(exits_well(child));
  }
}
#endif

#if TESSEL_FORK > 1
TEST(parallel_for_in_a_child_forked_while_a_job_runs) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    set_num_threads(3);
    while (!stop) covers(300, 1);
  });
  set_num_threads(2);
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(covers(500, 1) ? 0 : 1);
    CHECK(exits_well(child));
  }
  stop = true;
  busy.join();
}
#endif
