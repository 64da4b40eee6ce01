// Handing out tasks: a callable over [begin, end) goes to parallel_for, in pieces worth a thread's while.
#pragma once
#include "core/parallel.h"

namespace tessel::TESSEL_TARGET {

constexpr int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

// A piece is at least this much work; a step is about one vector operation. Waking a thread costs about 5 us.
constexpr int64_t kPieceSteps = 16384;

// body(begin, end, worker) over [0, n), `steps` of work each.
template <class F> void for_tasks(int64_t n, int64_t steps, bool parallel, F& body) {
  const int64_t grain = steps >= kPieceSteps ? 1 : (kPieceSteps + steps) / (steps + 1);
  if (n <= 0) return;
  if (!parallel || n <= grain) {
    body(int64_t{0}, n, 0);
    return;
  }
  parallel_for(n, grain, [](void* f, int64_t begin, int64_t end, int worker) { (*static_cast<F*>(f))(begin, end, worker); },
               &body);
}

}  // namespace tessel::TESSEL_TARGET
