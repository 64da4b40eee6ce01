// Functions of one operand.
#include <utility>

#include "kernels/cuda/elementwise.cuh"

namespace tessel::cuda {

static const auto table_of_unary = make_launchers<Unary, 1>(std::make_index_sequence<size_t(Unary::count)>());

void unary(Unary op, const Loop& loop, DType compute, const Params& params) { call("unary", table_of_unary.row[int(op)], loop, compute, params); }

}  // namespace tessel::cuda
