// Derivatives of the functions of one operand: dx from x, y, dy.
#include <utility>

#include "kernels/cuda/elementwise.cuh"

namespace tessel::cuda {

template <Unary code>
struct Derivative : Reals {
  static constexpr bool mask = false;
  template <class V> static __device__ V value(V x, V y, V dy, const Params& params) { return Function<code>::grad(x, y, dy, params); }
};

template <Unary code>
constexpr Launchers derivative() {
  if constexpr (requires { Function<code>::reads; }) return launchers<Derivative<code>, 3>();
  else return {};
}
template <size_t... i>
constexpr auto make_derivatives(std::index_sequence<i...>) {
  struct Table { Launchers row[sizeof...(i)]; };
  return Table{{derivative<Unary(i)>()...}};
}
static const auto table_of_derivatives = make_derivatives(std::make_index_sequence<size_t(Unary::count)>());

void unary_backward(Unary op, const Loop& loop, DType compute, const Params& params) { call("unary_backward", table_of_derivatives.row[int(op)], loop, compute, params); }

}  // namespace tessel::cuda
