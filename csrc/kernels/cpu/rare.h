// The entries of the target's table of rare kernels: complex.cpp and special.cpp.
#pragma once
#include "kernels/rare.h"

namespace tessel::TESSEL_TARGET {

void complex_unary(Unary op, const Loop& loop, DType compute);
void complex_binary(Binary op, const Loop& loop, DType compute, const Params& params);
void complex_ternary(Ternary op, const Loop& loop, DType compute, const Params& params);
void special(Special op, const Loop& loop);

extern const RareKernels rare_table;

}  // namespace tessel::TESSEL_TARGET
