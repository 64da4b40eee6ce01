// Functions of two and three operands. unary.cpp has those of one.
#include "kernels/cpu/entries.h"
#include "kernels/cpu/inner.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr auto kBinary = make_table<Binary, Function, 2>(Count<int(Binary::count)>::type());
constexpr auto kTernary = make_table<Ternary, Function, 3>(Count<int(Ternary::count)>::type());

}  // namespace

void binary(Binary op, const Loop& loop, DType compute, const Params& params) {
  walk(loop, kBinary.row[int(op)], compute, params);
}

void ternary(Ternary op, const Loop& loop, DType compute, const Params& params) {
  walk(loop, kTernary.row[int(op)], compute, params);
}

}  // namespace tessel::TESSEL_TARGET
