// Joining tensors: one strided copy for each.
#include "ops/ops.h"

namespace tessel {

namespace {

// A 1-d tensor without elements is left out whatever the others are, as it always was.
bool left_out(const Tensor& x) { return x.dim() == 1 && x.numel() == 0; }

DType common_dtype(Tensors xs) {
  DType type = xs[0].dtype();
  for (const Tensor& x : xs) type = promote(type, x.dtype());
  return type;
}

}  // namespace

Tensor cat(Tensors xs, int64_t dim) {
  check_value(!xs.empty(), "cat: expected a non-empty list of Tensors");
  const Tensor* first = nullptr;
  for (size_t i = 0; i < xs.size(); ++i) {
    check(xs[i].dim() > 0, "cat: zero-dimensional tensor (at position ", i, ") cannot be concatenated");
    if (!first && !left_out(xs[i])) first = &xs[i];
  }
  if (!first) first = &xs[0];
  dim = wrap_dim("cat", dim, first->dim());
  Dims sizes = first->sizes();
  sizes[dim] = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (left_out(xs[i])) continue;
    check(xs[i].dim() == first->dim(), "cat: Tensors must have same number of dimensions: got ", first->dim(), " and ", xs[i].dim());
    for (int64_t d = 0; d < first->dim(); ++d)
      check(d == dim || xs[i].sizes()[d] == sizes[d], "cat: Sizes of tensors must match except in dimension ", dim, ". Expected size ", sizes[d], " but got size ", xs[i].sizes()[d],
            " for tensor number ", i, " in the list (it is ", xs[i].sizes(), ").");
    check(xs[i].device() == first->device(), "cat: Expected all tensors to be on the same device, but found at least two devices, ", device_name(first->device()), " and ", device_name(xs[i].device()), "!");
    sizes[dim] += xs[i].sizes()[dim];
  }
  Tensor y = empty(sizes, common_dtype(xs), first->device());
  std::vector<int64_t> lengths;
  Dims part = sizes;
  int64_t end = 0;
  for (const Tensor& x : xs) {
    lengths.push_back(left_out(x) ? -1 : x.sizes()[dim]);
    if (x.numel() == 0) continue;
    part[dim] = lengths.back();
    copy_elements("cat", alias(y, part, y.strides(), end * y.strides()[dim]), x);
    end += lengths.back();
  }
  if (Node* node = record("cat", y, xs))
    node->backward = [dim, lengths = std::move(lengths)](const Tensor& dy, Needs needs) -> Grads {
      Grads dxs;
      int64_t at = 0;
      for (size_t i = 0; i < lengths.size(); ++i) {
        int64_t length = lengths[i];
        dxs.push_back(!needs[i] ? Tensor() : length < 0 ? zeros({0}, dy.dtype(), dy.device()) : narrow(dy, dim, at, length));
        at += std::max<int64_t>(length, 0);
      }
      return dxs;
    };
  return y;
}

Tensor stack(Tensors xs, int64_t dim) {
  check(!xs.empty(), "stack: expects a non-empty TensorList");
  dim = wrap_dim("stack", dim, xs[0].dim() + 1);
  Dims sizes = xs[0].sizes();
  for (size_t i = 1; i < xs.size(); ++i)
    check(xs[i].sizes() == sizes, "stack: expects each tensor to be equal size, but got ", sizes, " at entry 0 and ", xs[i].sizes(), " at entry ", i);
  Dims joined = sizes;
  joined.insert(dim, static_cast<int64_t>(xs.size()));
  Tensor y = empty(joined, common_dtype(xs), xs[0].device());
  Dims strides = y.strides();
  strides.erase(dim);
  int64_t at = 0;
  for (const Tensor& x : xs) {
    check(x.device() == y.device(), "stack: Expected all tensors to be on the same device, but found at least two devices, ", device_name(y.device()), " and ", device_name(x.device()), "!");
    copy_elements("stack", alias(y, sizes, strides, at), x);
    at += y.strides()[dim];
  }
  if (Node* node = record("stack", y, xs))
    node->backward = [dim, n = xs.size()](const Tensor& dy, Needs needs) -> Grads {
      Grads dxs;
      for (size_t i = 0; i < n; ++i) dxs.push_back(needs[i] ? select(dy, dim, static_cast<int64_t>(i)) : Tensor());
      return dxs;
    };
  return y;
}

// ---- stacks of tensors that are given missing dimensions first

Tensor atleast(const Tensor& x, int64_t ndim) {
  if (x.dim() >= ndim) return x;
  Dims sizes = x.sizes();  // n becomes 1 x n x 1
  if (sizes.empty()) sizes.push_back(1);
  if (ndim >= 2 && sizes.size() == 1) sizes.insert(0, 1);
  if (ndim >= 3 && sizes.size() == 2) sizes.push_back(1);
  return reshape(x, sizes);
}

static std::vector<Tensor> atleast_all(const char* op, Tensors xs, int64_t ndim) {
  check(!xs.empty(), op, ": expects a non-empty TensorList");
  std::vector<Tensor> ys;
  for (const Tensor& x : xs) ys.push_back(atleast(x, ndim));
  return ys;
}

Tensor hstack(Tensors xs) {
  std::vector<Tensor> ys = atleast_all("hstack", xs, 1);
  return cat(ys, ys[0].dim() == 1 ? 0 : 1);
}
Tensor vstack(Tensors xs) { return cat(atleast_all("vstack", xs, 2), 0); }
Tensor dstack(Tensors xs) { return cat(atleast_all("dstack", xs, 3), 2); }
Tensor column_stack(Tensors xs) {
  check(!xs.empty(), "column_stack: expects a non-empty TensorList");
  std::vector<Tensor> ys;
  for (const Tensor& x : xs) ys.push_back(x.dim() <= 1 ? reshape(x, {x.numel(), 1}) : x);
  return cat(ys, 1);
}

Tensor block_diag(Tensors xs) {
  std::vector<Tensor> matrices;
  int64_t rows = 0, columns = 0;
  for (const Tensor& x : xs) {
    check(x.dim() <= 2, "block_diag: Input tensors must have 2 or fewer dimensions. Input ", matrices.size(), " has ", x.dim(), " dimensions");
    matrices.push_back(x.dim() == 2 ? x : reshape(x, {1, x.numel()}));
    rows += matrices.back().sizes()[0];
    columns += matrices.back().sizes()[1];
  }
  if (matrices.empty()) return empty({1, 0}, default_dtype());
  Tensor y = zeros({rows, columns}, common_dtype(xs), xs[0].device());
  int64_t row = 0, column = 0;
  for (const Tensor& x : matrices) {
    copy_(narrow(narrow(y, 0, row, x.sizes()[0]), 1, column, x.sizes()[1]), x);
    row += x.sizes()[0];
    column += x.sizes()[1];
  }
  return y;
}

}  // namespace tessel
