// Functions of two and of three operands.
#include <utility>

#include "kernels/cuda/elementwise.cuh"

namespace tessel::cuda {

static const auto table_of_binary = make_launchers<Binary, 2>(std::make_index_sequence<size_t(Binary::count)>());
static const auto table_of_ternary = make_launchers<Ternary, 3>(std::make_index_sequence<size_t(Ternary::count)>());

void binary(Binary op, const Loop& loop, DType compute, const Params& params) { call("binary", table_of_binary.row[int(op)], loop, compute, params); }
void ternary(Ternary op, const Loop& loop, DType compute, const Params& params) { call("ternary", table_of_ternary.row[int(op)], loop, compute, params); }

}  // namespace tessel::cuda
