// Seeds, draws and states.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "core/error.h"
#include "core/random.h"

using namespace tessel;

TEST(generator_counts_draws) {
  Generator g(7);
  CHECK(g.initial_seed() == 7);
  for (uint64_t i = 0; i < 3; ++i) {
    const Draw draw = g.draw();
    CHECK(draw.seed == 7 && draw.offset == i);
  }
  g.manual_seed(9);
  CHECK(g.initial_seed() == 9 && g.draw().offset == 0);
}

TEST(generator_state_travels) {
  Generator a(0x0123456789abcdef), b;
  a.draw();
  const Generator::State state = a.get_state();
  CHECK(state.size() == 16 && state[0] == 0xef && state[7] == 0x01 && state[8] == 1);
  b.set_state(state);
  const Draw x = a.draw(), y = b.draw();
  CHECK(x.seed == y.seed && x.offset == 1 && y.offset == 1);
  CHECK_THROWS(ValueError, b.set_state(std::vector<uint8_t>(15)));
}

TEST(generator_seeds_from_the_system) {
  Generator g;
  CHECK(g.initial_seed() == Generator::kDefaultSeed);
  const uint64_t first = g.seed(), second = g.seed();
  CHECK(first != second && first < uint64_t{1} << 53 && g.initial_seed() == second);
  CHECK(&default_generator() == &default_generator());
}

TEST(generator_gives_every_thread_other_draws) {
  constexpr int kThreads = 4, kDraws = 2000;
  Generator g;
  std::vector<uint64_t> offsets(kThreads * kDraws);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kDraws; ++i) offsets[t * kDraws + i] = g.draw().offset;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::set<uint64_t>(offsets.begin(), offsets.end()).size() == offsets.size());
}

#if TESSEL_FORK > 1
TEST(generator_works_in_a_child_forked_while_others_draw) {
  Generator g;
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) g.draw();
  });
  for (int i = 0; i < 30; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(g.draw().seed == g.initial_seed() ? 0 : 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  stop = true;
  busy.join();
}
#endif
