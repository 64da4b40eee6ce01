// Functions of one operand.
#include "kernels/cpu/copy.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/inner.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr auto kUnary = make_table<Unary, Function, 1>(Count<int(Unary::count)>::type());

}  // namespace

void unary(Unary op, const Loop& loop, DType compute, const Params& params) {
  if (op == Unary::copy) return copy(loop);
  walk(loop, kUnary.row[int(op)], compute, params);
}

}  // namespace tessel::TESSEL_TARGET
