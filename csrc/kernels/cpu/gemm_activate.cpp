// Activations behind a product: the elementwise functions themselves, over what the epilogue left. Used by GEMM and conv.
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_micro.h"
#include "kernels/cpu/math.h"
#include "kernels/functions.h"

namespace tessel::TESSEL_TARGET {
namespace {

template <Unary function, class S> void in_place(S* x, int64_t n, int64_t rows, int64_t lead) {
  constexpr int W = Vec<S>::width;
  for (int64_t r = 0; r < rows; ++r, x += lead)
    for (int64_t i = 0; i < n; i += W) {
      const int lanes = n - i < W ? int(n - i) : W;
      Function<function>::value(Vec<S>::load(x + i, lanes), Params{}).store(x + i, lanes);
    }
}

template <class S> void apply(Activation activation, S* x, int64_t n, int64_t rows, int64_t lead) {
  const Gradual gradual;
  switch (activation) {
    case Activation::relu: return in_place<Unary::relu>(x, n, rows, lead);
    case Activation::tanh: return in_place<Unary::tanh>(x, n, rows, lead);
    case Activation::sigmoid: return in_place<Unary::sigmoid>(x, n, rows, lead);
    case Activation::gelu: return in_place<Unary::gelu>(x, n, rows, lead);
    case Activation::gelu_tanh: return in_place<Unary::gelu_tanh>(x, n, rows, lead);
    case Activation::silu: return in_place<Unary::silu>(x, n, rows, lead);
    case Activation::none: return;
  }
}

}  // namespace

void activate(Activation activation, float* x, int64_t n, int64_t rows, int64_t lead) { apply(activation, x, n, rows, lead); }
void activate(Activation activation, double* x, int64_t n, int64_t rows, int64_t lead) { apply(activation, x, n, rows, lead); }

}  // namespace tessel::TESSEL_TARGET
