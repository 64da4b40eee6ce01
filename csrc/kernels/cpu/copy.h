// The copy: unary's plainest function, and by far its commonest.
#pragma once
#include "kernels/loop.h"

namespace tessel::TESSEL_TARGET {

// Operand 1 into operand 0, converted where the dtypes differ.
void copy(const Loop& loop);

}  // namespace tessel::TESSEL_TARGET
