// Matrix products: everything here ends in one GEMM call with strides, so no transpose or batch is ever copied.
#include <algorithm>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

struct Product {  // what is added to a[i] @ b[i]
  double alpha = 1, beta = 0;
  Tensor bias;
  Activation activation = Activation::none;
};

// c = alpha * a @ b + beta * c (+ bias), for matrices or stacks of them whose leading sizes broadcast to c's.
void gemm(const char* name, const Tensor& c, const Tensor& a, const Tensor& b, const Product& product) {
  if (c.numel() == 0) return;
  GemmArgs g{};
  g.dtype = c.dtype();
  g.m = c.size(-2), g.n = c.size(-1), g.k = a.size(-1);
  g.a = a.data(), g.a_row = a.stride(-2), g.a_col = a.stride(-1);
  g.b = b.data(), g.b_row = b.stride(-2), g.b_col = b.stride(-1);
  g.c = c.data(), g.c_row = c.stride(-2), g.c_col = c.stride(-1);
  g.alpha = product.alpha, g.beta = product.beta;
  g.batch = 1;
  auto batch_stride = [](const Tensor& x, int64_t from_end) {
    int64_t d = x.dim() - 3 - from_end;
    return d < 0 || x.sizes()[d] == 1 ? 0 : x.strides()[d];
  };
  for (int64_t i = 0; i + 2 < c.dim(); ++i) {
    int64_t n = c.sizes()[c.dim() - 3 - i], sa = batch_stride(a, i), sb = batch_stride(b, i), sc = batch_stride(c, i);
    g.batch *= n;
    if (n == 1) continue;
    int last = g.batch_dims - 1;
    if (last >= 0 && sa == g.a_batch[last] * g.batch_sizes[last] && sb == g.b_batch[last] * g.batch_sizes[last] && sc == g.c_batch[last] * g.batch_sizes[last]) {
      g.batch_sizes[last] *= n;
    } else {
      ++last;
      g.batch_sizes[last] = n, g.a_batch[last] = sa, g.b_batch[last] = sb, g.c_batch[last] = sc;
      g.batch_dims = last + 1;
    }
  }
  // A stack of matrices against one matrix is one tall matrix.
  if (g.batch_dims == 1 && g.b_batch[0] == 0 && g.a_batch[0] == g.m * g.a_row && g.c_batch[0] == g.m * g.c_row) {
    g.m *= g.batch, g.batch = 1, g.batch_dims = 0;
  }
  if (product.bias.defined()) g.bias = product.bias.data(), g.bias_stride = product.bias.size(-1) == 1 ? 0 : product.bias.stride(-1);
  g.activation = product.activation;
  Scratch scratch(kernels(c).gemm_scratch(g), c.device());
  run(name, c, g.batch * g.m * g.n * std::max<int64_t>(g.k, 1) / 16, kernels(c).gemm, g, scratch.data());
}

void check_types(const char* name, const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), name, ": expected m1 and m2 to have the same dtype, but got: ", a.dtype(), " != ", b.dtype());
  check(a.device() == b.device(), name, ": Expected all tensors to be on the same device, but found at least two devices, ", device_name(a.device()), " and ", device_name(b.device()), "!");
  if (is_complex(a.dtype())) fail<NotImplementedError>(name, ": not there yet for complex tensors");
}

Tensor swap_last(const Tensor& x) { return transpose(x, -1, -2); }

// The product of two stacks of matrices (at least 2 dimensions each).
Tensor product(const char* name, const Tensor& a, const Tensor& b) {
  Dims a_batch(std::span(a.sizes().data(), a.dim() - 2)), b_batch(std::span(b.sizes().data(), b.dim() - 2));
  Dims sizes = broadcast(name, a_batch, b_batch);
  sizes.push_back(a.size(-2));
  sizes.push_back(b.size(-1));
  Tensor y = empty(sizes, a.dtype(), a.device());
  gemm(name, y, a, b, {});
  if (Node* node = record(name, y, {a, b}))
    node->backward = [name, a = Saved(a), b = Saved(b)](const Tensor& dy, Needs needs) -> Grads {
      Tensor da, db;
      if (needs[0]) {
        Tensor bt = swap_last(b());
        da = product(name, dy, bt);
      }
      if (needs[1]) {
        // Where a is a stack against one matrix, the sum over the stack is part of the product.
        Tensor left = a(), right = dy;
        if (b().dim() == 2 && left.dim() > 2) {
          left = reshape(left, {-1, left.size(-1)});
          right = reshape(right, {-1, right.size(-1)});
        }
        db = product(name, swap_last(left), right);
      }
      return {da, db};
    };
  return y;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check(a.dim() > 0 && b.dim() > 0, "matmul: both arguments to matmul need to be at least 1D, but they are ", a.dim(), "D and ", b.dim(), "D");
  check_types("matmul", a, b);
  Tensor left = a.dim() == 1 ? unsqueeze(a, 0) : a;
  Tensor right = b.dim() == 1 ? unsqueeze(b, 1) : b;
  check(left.size(-1) == right.size(-2), "matmul: mat1 and mat2 shapes cannot be multiplied (a is ", a.sizes(), ", b is ", b.sizes(), ": ", left.size(-1), " columns against ", right.size(-2), " rows)");
  Tensor y = product("matmul", left, right);
  if (b.dim() == 1) y = squeeze(y, Dims{-1});
  if (a.dim() == 1) y = squeeze(y, Dims{b.dim() == 1 ? -1 : -2});
  return y;
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  check(w.dim() == 2 || w.dim() == 1, "linear: weight must be 1D or 2D, but it is ", w.sizes());
  check(x.dim() > 0, "linear: input must have at least one dimension");
  check_types("linear", x, w);
  if (w.dim() == 1) {
    Tensor y = matmul(x, w);
    return b.defined() ? add(y, b) : y;
  }
  int64_t in = w.sizes()[1], out = w.sizes()[0];
  check(x.size(-1) == in, "linear: weight expects ", in, " input features but x has ", x.size(-1), " (x is ", x.sizes(), ", weight is ", w.sizes(), ")");
  if (b.defined()) check(b.dim() <= 1 && (b.numel() == out || b.numel() == 1), "linear: bias has shape ", b.sizes(), " but the weight gives ", out, " output features");
  Dims sizes = x.sizes();
  sizes[sizes.size() - 1] = out;
  Tensor y = empty(sizes, x.dtype(), x.device());
  Dims wt_sizes{in, out}, wt_strides{w.strides()[1], w.strides()[0]};
  Tensor wt = alias(w, wt_sizes, wt_strides, w.offset());
  Tensor row = x.dim() == 1 ? alias(x, {1, in}, {0, x.strides()[0]}, x.offset()) : x;
  gemm("linear", x.dim() == 1 ? alias(y, {1, out}, {out, 1}, 0) : y, row, wt, {.bias = b});
  if (Node* node = record("linear", y, {x, w, b}))
    node->backward = [x = Saved(x), w = Saved(w)](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dw, db;
      Tensor rows = dy.dim() == 2 ? dy : reshape(dy, {-1, dy.size(-1)});
      if (needs[0]) dx = matmul(dy, w());
      if (needs[1]) {
        Tensor x2 = x();
        if (x2.dim() != 2) x2 = reshape(x2, {-1, x2.size(-1)});
        dw = matmul(t(rows), x2);
      }
      if (needs[2]) db = sum(rows, Dims{0});
      return {dx, dw, db};
    };
  return y;
}

}  // namespace tessel
