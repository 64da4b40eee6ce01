// What the tile unit does better than avx512; targets.cpp lays it over avx512's table.
#pragma once
#include "kernels/kernels.h"

namespace tessel::avx512 {

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);
int64_t gemm_alone_scratch(const GemmArgs& args);
void gemm_alone(const GemmArgs& args, void* scratch);
void activate(Activation activation, float* x, int64_t n, int64_t rows, int64_t lead);

}  // namespace tessel::avx512

namespace tessel::amx {

bool request_permission();       // of the operating system, once per process, before the table is used
void lay_over(Kernels& table);   // names it amx and replaces the entries below

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);

}  // namespace tessel::amx
