// The profiler's half in the engine: what run() writes down between start and stop. Python reads it (tessel.profiler).
#pragma once
#include <vector>

#include "core/dims.h"
#include "core/dtype.h"

namespace tessel {

// One kernel's turn: nanoseconds of the steady clock, which is Python's perf_counter_ns; the system's thread number.
struct KernelCall {
  const char* op;
  const char* target;
  Dims sizes;
  DType dtype;
  int64_t start, end, thread;
};

void start_profile();
std::vector<KernelCall> stop_profile();

}  // namespace tessel
