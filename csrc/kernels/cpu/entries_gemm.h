// The entries of the GEMM, conv and pooling rooms, declared for table.cpp; kernels.h says what they do.
#pragma once
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);
const char* gemm_implementation(const GemmArgs& args);  // the name of the one that would run, for TESSEL_VERBOSE

}  // namespace tessel::TESSEL_TARGET
