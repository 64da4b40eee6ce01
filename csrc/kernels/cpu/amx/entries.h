// What the tile unit does better than avx512; targets.cpp lays it over avx512's table.
#pragma once
#include "kernels/kernels.h"

namespace tessel::avx512 {

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);
int64_t gemm_alone_scratch(const GemmArgs& args);
void gemm_alone(const GemmArgs& args, void* scratch);
int64_t conv_scratch(const ConvArgs& args);
void conv(const ConvArgs& args, void* scratch);
int64_t conv_backward_data_scratch(const ConvArgs& args);
void conv_backward_data(const ConvArgs& args, void* scratch);
int64_t conv_backward_weight_scratch(const ConvArgs& args);
void conv_backward_weight(const ConvArgs& args, void* scratch);
void activate(Activation activation, float* x, int64_t n, int64_t rows, int64_t lead);

}  // namespace tessel::avx512

namespace tessel::amx {

bool request_permission();       // of the operating system, once per process, before the table is used
void lay_over(Kernels& table);   // names it amx and replaces the entries below

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);

// conv.cpp
void lay_conv_over(Kernels& table);
int64_t conv_scratch(const ConvArgs& args);
void conv(const ConvArgs& args, void* scratch);
int64_t conv_backward_data_scratch(const ConvArgs& args);
void conv_backward_data(const ConvArgs& args, void* scratch);
int64_t conv_backward_weight_scratch(const ConvArgs& args);
void conv_backward_weight(const ConvArgs& args, void* scratch);

}  // namespace tessel::amx
