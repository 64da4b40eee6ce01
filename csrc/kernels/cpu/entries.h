// Every entry of the target's table, and the file it lives in.
#pragma once
#include "kernels/cpu/entries_gemm.h"  // gemm.cpp, conv.cpp, pool.cpp
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

// elementwise.cpp
void unary(Unary op, const Loop& loop, DType compute, const Params& params);
void unary_backward(Unary op, const Loop& loop, DType compute, const Params& params);
void binary(Binary op, const Loop& loop, DType compute, const Params& params);
void ternary(Ternary op, const Loop& loop, DType compute, const Params& params);
// reduce.cpp, scan.cpp
int64_t reduce_scratch(const ReduceArgs& args);
void reduce(const ReduceArgs& args, void* scratch);
void scan(const ScanArgs& args);
// softmax.cpp
void softmax(const RowsArgs& args);
void softmax_backward(const RowsArgs& args);
void log_softmax(const RowsArgs& args);
void log_softmax_backward(const RowsArgs& args);
// random.cpp
void random(const RandomArgs& args);

extern const Kernels table;

}  // namespace tessel::TESSEL_TARGET
