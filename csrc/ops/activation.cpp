// Activations that are more than a function of one number: gated, with weights, with random slopes; and those that products
// take along.
#include "ops/algebra.h"
#include "ops/epilogue.h"

namespace tessel {

// ---- taken along by products

static Unary function_of(Activation activation) {
  switch (activation) {
    case Activation::relu: return Unary::relu;
    case Activation::tanh: return Unary::tanh;
    case Activation::sigmoid: return Unary::sigmoid;
    case Activation::gelu: return Unary::gelu;
    case Activation::gelu_tanh: return Unary::gelu_tanh;
    case Activation::silu: return Unary::silu;
    case Activation::none: break;
  }
  return Unary::positive;
}

bool takes_along(Activation activation, const Tensor& x) { return activation == Activation::none || (x.device().is_cpu() && is_floating(x.dtype())); }

Tensor activated(Activation activation, const Tensor& x, bool inplace) {
  return activation == Activation::none ? x : unary(function_of(activation), x, {}, inplace ? Into::over(x) : Into{});
}

Tensor before_activation(Activation activation, const Tensor& y, bool wanted) {
  if (activation == Activation::none) return y;
  return wanted && unary_uses(function_of(activation)) & kUsesX ? empty_like(y) : alias(y);
}

const Tensor& record_activation(Activation activation, const Tensor& before, const Tensor& y, bool inplace) {
  if (activation == Activation::none) return y;
  Unary op = function_of(activation);
  if (inplace) y.bump_version(op == Unary::silu ? "silu_" : "relu_");  // the only modules that have the choice
  int uses = unary_uses(op);
  if (Node* node = record(unary_name(op), y, {before}))
    node->backward = [op, x = (uses & kUsesX) ? Saved(before) : Saved(), y = (uses & kUsesY) ? SavedOutput(y) : SavedOutput()](const Tensor& dy, Needs) -> Grads {
      return {unary_derivative(op, x(), y(), dy, {})};
    };
  return y;
}

// ---- gated, with weights, with random slopes

Tensor glu(const Tensor& x, int64_t dim) {
  check(x.dim() > 0, "glu: glu does not support 0-dimensional tensors");
  dim = wrap_dim("glu", dim, x.dim());
  int64_t n = x.sizes()[dim];
  check(n % 2 == 0, "glu: Halving dimension must be even, but dimension ", dim, " is size ", n);
  return narrow(x, dim, 0, n / 2) * unary(Unary::sigmoid, narrow(x, dim, n / 2, n / 2));
}

Tensor prelu(const Tensor& x, const Tensor& w) {
  check(w.dim() <= 1, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = ", w.dim());
  Tensor slope = w;
  if (w.numel() != 1) {
    int64_t channels = x.dim() >= 2 ? x.sizes()[1] : 1;
    check(w.numel() == channels, "prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = ", w.numel(), " and channel size = ", channels, ".");
    Dims shape = Dims::filled(static_cast<int>(x.dim()), 1);
    shape[1] = channels;
    slope = view(w, shape);
  } else if (w.dim() == 1) {
    slope = reshape(w, {});
  }
  return where(gt(x, wrapped_number(Scalar(0))), x, slope * x);
}

// Training: negative elements are scaled by slopes drawn from [lower, upper); else by their mean.
Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator, const Into& into) {
  check(lower <= upper, "rrelu: Lower bound should be less than or equal to the upper bound, got ", lower, " and ", upper);
  if (!training) return unary(Unary::leaky_relu, x, {{(lower + upper) / 2}}, into);
  Tensor slope = empty_like(detach(x));
  {
    NoGrad no_grad;
    uniform_(slope, lower, upper, generator);
    slope = where(le(detach(x), wrapped_number(Scalar(0))), slope, wrapped_number(Scalar(1)));
  }
  return binary(Binary::mul, x, slope, {}, into);
}

}  // namespace tessel
