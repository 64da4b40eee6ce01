// The limits of this machine, measured: arithmetic from registers, bytes from each level of its memory.
#pragma once
#include <cstdint>

namespace tessel::bench {

// Multiply-adds that wait for nothing, two operations each, in operations a second. isa: scalar, avx2, avx512, avx512bf16
// or amx; dtype: float32, float64 or bfloat16. bfloat16 is float32's rate where no instruction multiplies it, and float32
// under amx the better of the vectors' rate and a sixth of the tiles' (six bfloat16 products make one of float32).
double peak_flops(const char* isa, const char* dtype, int threads);

// Bytes a second, read or copied, whichever is faster, over and over in a working set of so many bytes, each thread in its
// own share: the level of the memory that holds the set is what answers.
double peak_bytes(int64_t working_set, int threads);

}  // namespace tessel::bench
