// What the CUDA library hands to the engine when it is loaded. Plain data: the two are built by different compilers.
#pragma once
#include "core/allocator.h"
#include "kernels/kernels.h"

namespace tessel::cuda {

struct Target {
  const Kernels* kernels;      // null: no device can be used, and `problem` says why
  const Allocator* allocator;
  int devices;
  const char* problem;
};

}  // namespace tessel::cuda
