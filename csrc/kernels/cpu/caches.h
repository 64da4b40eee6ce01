// The cache sizes of this machine, for GEMM's and conv's block sizes. Declaration only: caches.cpp is built once, with
// baseline flags.
#pragma once
#include <stdint.h>

namespace tessel {

struct Caches {
  int64_t l1, l2, l3;  // bytes of data cache one core sees
};

const Caches& caches();  // asked of the system at the first call

}  // namespace tessel
