// Derivatives of the functions of one operand: dx from x, y and dy.
#include "kernels/cpu/entries.h"
#include "kernels/cpu/inner.h"

namespace tessel::TESSEL_TARGET {
namespace {

template <bool> struct AsNarrow {};
template <> struct AsNarrow<true> : Narrow {};

// The derivative as a function of three operands; nothing where there is none.
template <auto code> struct Gradient : AsNarrow<requires { Function<code>::narrow; }> {
  static constexpr bool reals = requires { Function<code>::reads; }, integers = false;
  template <class V> static V value(V x, V y, V dy, const Params& p) { return Function<code>::grad(x, y, dy, p); }
};

constexpr auto kGradient = make_table<Unary, Gradient, 3>(Count<int(Unary::count)>::type());

}  // namespace

void unary_backward(Unary op, const Loop& loop, DType compute, const Params& params) {
  walk(loop, kGradient.row[int(op)], compute, params);
}

}  // namespace tessel::TESSEL_TARGET
