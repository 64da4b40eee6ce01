// The entries of the GEMM, conv and pooling rooms, declared for table.cpp; kernels.h says what they do.
#pragma once
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);
// The same product, with the same bits, by the calling thread alone: for kernels that are themselves tasks.
int64_t gemm_alone_scratch(const GemmArgs& args);
void gemm_alone(const GemmArgs& args, void* scratch);
const char* gemm_implementation(const GemmArgs& args);  // the name of the one that would run, for TESSEL_VERBOSE

int64_t conv_scratch(const ConvArgs& args);
void conv(const ConvArgs& args, void* scratch);
int64_t conv_backward_data_scratch(const ConvArgs& args);
void conv_backward_data(const ConvArgs& args, void* scratch);
int64_t conv_backward_weight_scratch(const ConvArgs& args);
void conv_backward_weight(const ConvArgs& args, void* scratch);

void pool(const PoolArgs& args);
int64_t pool_backward_scratch(const PoolArgs& args);
void pool_backward(const PoolArgs& args, void* scratch);

}  // namespace tessel::TESSEL_TARGET
