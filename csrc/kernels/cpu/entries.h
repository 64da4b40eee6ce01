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
// norm.cpp
void row_norm(const RowNormArgs& args);
int64_t row_norm_backward_scratch(const RowNormArgs& args);
void row_norm_backward(const RowNormArgs& args, void* scratch);
int64_t channel_moments_scratch(const ChannelNormArgs& args);
void channel_moments(const ChannelNormArgs& args, void* scratch);
void channel_norm(const ChannelNormArgs& args);
int64_t channel_norm_backward_scratch(const ChannelNormArgs& args);
void channel_norm_backward(const ChannelNormArgs& args, void* scratch);
// attention.cpp
int64_t attention_scratch(const AttentionArgs& args);
void attention(const AttentionArgs& args, void* scratch);
int64_t attention_backward_scratch(const AttentionArgs& args);
void attention_backward(const AttentionArgs& args, void* scratch);
// loss.cpp
int64_t class_loss_scratch(const ClassLossArgs& args);
void class_loss(const ClassLossArgs& args, void* scratch);
void class_loss_backward(const ClassLossArgs& args);
// resample.cpp, grid_sample.cpp
void resample(const ResampleArgs& args);
void grid_sample(const GridSampleArgs& args);
void grid_sample_backward(const GridSampleArgs& args);
// ctc.cpp
int64_t ctc_scratch(const CtcArgs& args);
void ctc(const CtcArgs& args, void* scratch);
void ctc_backward(const CtcArgs& args, void* scratch);
// svd.cpp
int64_t svd_scratch(const SvdArgs& args);
void svd(const SvdArgs& args, void* scratch);
// optim.cpp
void optim(const OptimArgs& args);
int64_t optim_norm_scratch(const OptimArgs& args);
double optim_norm(const OptimArgs& args, double p, void* scratch);
// rnn.cpp
int64_t rnn_scratch(const RnnArgs& args);
void rnn(const RnnArgs& args, void* scratch);
int64_t rnn_backward_scratch(const RnnArgs& args);
void rnn_backward(const RnnArgs& args, void* scratch);
// random.cpp
void random(const RandomArgs& args);
// indexing.cpp
void index_range(const Loop& loop, int64_t* range);
void index_offsets(const OffsetsArgs& args);
void index_get(const IndexArgs& args);
void index_put(const IndexArgs& args);
int64_t nonzero_scratch(const NonzeroArgs& args);
int64_t nonzero_count(const NonzeroArgs& args);
void nonzero(const NonzeroArgs& args);
// sort.cpp
int64_t sort_scratch(const SortArgs& args);
void sort(const SortArgs& args, void* scratch);
void sort_rows(const SortRowsArgs& args);
void search(const SearchArgs& args);
// creation.cpp
void range(const RangeArgs& args);
void triangle(const TriangleArgs& args);

extern const Kernels table;

}  // namespace tessel::TESSEL_TARGET
