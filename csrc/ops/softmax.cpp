// softmax and log_softmax along one dimension, and their derivatives, which are ops of their own with derivatives again.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

using Kernel = void (*)(const RowsArgs& args);

// [outer, n, inner] around dim; x is in C order.
RowsArgs rows_along(const Tensor& x, int64_t dim) {
  RowsArgs args{};
  args.dtype = x.dtype();
  args.outer = args.n = args.inner = 1;
  for (int d = 0; d < x.dim(); ++d) (d < dim ? args.outer : d == dim ? args.n : args.inner) *= x.sizes()[d];
  return args;
}

Tensor forward(const char* name, Kernel kernel, const Tensor& x_, int64_t dim) {
  if (!is_floating(x_.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x_.dtype(), ", only for floats");
  Tensor x = in_order(x_), y = empty(x.sizes(), x.dtype(), x.device());
  RowsArgs args = rows_along(x, dim);
  args.x = x.data(), args.y = y.data();
  run(name, y, y.numel() * 4, kernel, args);
  return y;
}

Tensor backward(const char* name, Kernel kernel, const Tensor& dy_, const Tensor& y_, int64_t dim) {
  Tensor dy = in_order(dy_), y = in_order(y_), dx = empty(y.sizes(), y.dtype(), y.device());
  RowsArgs args = rows_along(y, dim);
  args.y = y.data(), args.dy = dy.data(), args.dx = dx.data();
  run(name, dx, dx.numel() * 4, kernel, args);
  return dx;
}

// dx = y (dy - sum(y dy))
Tensor softmax_backward(const Tensor& dy, const Tensor& y, int64_t dim) {
  Tensor dx = backward("softmax_backward", kernels(y).softmax_backward, dy, y, dim);
  if (Node* node = record("softmax_backward", dx, {dy, y}))
    node->backward = [dim, dy = Saved(dy), y = Saved(y)](const Tensor& g, Needs needs) -> Grads {
      Tensor a = y(), b = dy(), along_y;
      if (needs[1]) along_y = g * (b - sum(a * b, Dims{dim}, true)) - b * sum(g * a, Dims{dim}, true);
      return {needs[0] ? softmax_backward(g, a, dim) : Tensor(), along_y};
    };
  return dx;
}

// dx = dy - exp(y) sum(dy)
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t dim) {
  Tensor dx = backward("log_softmax_backward", kernels(y).log_softmax_backward, dy, y, dim);
  if (Node* node = record("log_softmax_backward", dx, {dy, y}))
    node->backward = [dim, dy = Saved(dy), y = Saved(y)](const Tensor& g, Needs needs) -> Grads {
      Tensor p = exp(y());
      return {needs[0] ? g - sum(g * p, Dims{dim}, true) : Tensor(), needs[1] ? -(g * p) * sum(dy(), Dims{dim}, true) : Tensor()};
    };
  return dx;
}

}  // namespace

Tensor softmax(const Tensor& x_, int64_t dim, std::optional<DType> dtype) {
  Tensor x = to_dtype(x_, dtype.value_or(x_.dtype()));
  dim = wrap_dim("softmax", dim, x.dim());
  Tensor y = forward("softmax", kernels(x).softmax, x, dim);
  if (Node* node = record("softmax", y, {x}))
    node->backward = [dim, y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads { return {softmax_backward(dy, y(), dim)}; };
  return y;
}

Tensor log_softmax(const Tensor& x_, int64_t dim, std::optional<DType> dtype) {
  Tensor x = to_dtype(x_, dtype.value_or(x_.dtype()));
  dim = wrap_dim("log_softmax", dim, x.dim());
  Tensor y = forward("log_softmax", kernels(x).log_softmax, x, dim);
  if (Node* node = record("log_softmax", y, {x}))
    node->backward = [dim, y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads { return {log_softmax_backward(dy, y(), dim)}; };
  return y;
}

}  // namespace tessel
