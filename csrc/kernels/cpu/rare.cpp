// The target's table of rare kernels. It is data, as the other one.
#include "kernels/cpu/rare.h"

namespace tessel::TESSEL_TARGET {

constinit const RareKernels rare_table = {
    .complex_unary = complex_unary,
    .complex_binary = complex_binary,
    .complex_ternary = complex_ternary,
    .special = special,
};

}  // namespace tessel::TESSEL_TARGET
