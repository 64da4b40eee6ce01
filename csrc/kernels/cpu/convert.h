// Arrays from one dtype to another. convert.cpp has the table; elementwise and copy walk with it.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

constexpr int kItemBytes[kDTypes] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
inline int item_bytes(DType dtype) { return kItemBytes[int(dtype)]; }

// n elements, both arrays contiguous and apart. Floats go to integers as C converts them, to bool as x != 0.
using Convert = void (*)(void* to, const void* from, int64_t n);
Convert converter(DType to, DType from);  // null for the same dtype, and between complex and real

}  // namespace tessel::TESSEL_TARGET
