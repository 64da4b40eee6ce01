// Rows of a table chosen by number, and counting numbers.
#include "ops/indexing.h"
#include "ops/run.h"

namespace tessel {

// dw: each row is the sum of the gradients that were looked up from it, in the order of the positions.
static Tensor embedding_backward(const Tensor& dy, const Tensor& index, const Dims& sizes, std::optional<int64_t> padding_idx, bool by_freq) {
  Tensor at = reshape(index, {-1}), rows = reshape(dy, {at.numel(), sizes[1]});
  if (by_freq) {
    Tensor counts = to_dtype(bincount(at, {}, sizes[0]), dy.dtype());
    rows = rows / unsqueeze(index_select(counts, 0, at), 1);
  }
  Tensor dw = zeros(sizes, dy.dtype(), dy.device());
  index_add_(dw, 0, at, rows);
  if (padding_idx) {
    Tensor row = select(dw, 0, *padding_idx);
    zero_(row);
  }
  return dw;
}

Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<int64_t> padding_idx, bool scale_grad_by_freq) {
  check(weight.dim() == 2, "embedding: 'weight' must be 2-D, got ", weight.sizes());
  check(index.dtype() == DType::int64 || index.dtype() == DType::int32, "embedding: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got ", index.dtype(), " instead");
  int64_t n = weight.sizes()[0];
  if (padding_idx) {
    check(*padding_idx >= -n && *padding_idx < n, "embedding: Padding_idx must be within num_embeddings (", n, "), got ", *padding_idx);
    if (*padding_idx < 0) *padding_idx += n;
  }
  Tensor at = to_dtype(detach(index), DType::int64);
  Range range = range_of(at);
  check_index(range.least >= 0 && range.greatest < n, "embedding: index out of range in self: ", range.least < 0 ? range.least : range.greatest, " for a weight of ", n, " rows");
  Dims sizes = index.sizes(), position_strides = at.strides(), row_strides = Dims::filled(index.dim(), 0);
  sizes.push_back(weight.sizes()[1]);
  position_strides.push_back(0);
  row_strides.push_back(weight.strides()[1]);
  Tensor y = read_part("embedding", weight, {sizes, row_strides, alias(at, sizes, position_strides, at.offset()), weight.strides()[0]});
  if (Node* node = record("embedding", y, {weight}))
    node->backward = [index = Saved(at), sizes = weight.sizes(), padding_idx, scale_grad_by_freq](const Tensor& dy, Needs) -> Grads {
      return {embedding_backward(dy, index(), sizes, padding_idx, scale_grad_by_freq)};
    };
  return y;
}

void embedding_renorm_(Tensor& weight, const Tensor& index, double max_norm, double norm_type) {
  NoGrad no_grad;
  Tensor table = detach(weight), rows = std::get<0>(unique(reshape(index, {-1})));
  Tensor chosen = index_select(table, 0, rows);
  int64_t dim = 1;
  Tensor norms = norm(chosen, norm_type, std::span(&dim, 1), true);
  Tensor scale = where(gt(norms, wrapped_number(Scalar(max_norm))), max_norm * reciprocal(norms + 1e-7), wrapped_number(Scalar(1.0)));
  index_copy_(table, 0, rows, to_dtype(chosen * scale, table.dtype()));
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  check(index.dtype() == DType::int64, "one_hot: is only applicable to index tensor of type LongTensor, got ", index.dtype());
  check(index.numel() > 0 || classes > 0, "one_hot: Can not infer total number of classes from empty tensor.");
  Range range = range_of(index);
  check(range.least >= 0, "one_hot: Class values must be non-negative, got ", range.least);
  if (classes == -1) classes = range.greatest + 1;
  check(classes >= 1 || index.numel() == 0, "one_hot: num_classes should be positive, got ", classes);
  check(range.greatest < classes, "one_hot: Class values must be smaller than num_classes (", classes, "), got ", range.greatest);
  Dims sizes = index.sizes();
  sizes.push_back(classes);
  Tensor y = zeros(sizes, DType::int64, index.device());
  return scatter_(y, -1, unsqueeze(index, -1), wrapped_number(Scalar(1)));
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
  check(x.dim() == 1 && is_integral(x.dtype()), "bincount: only supports 1-d non-negative integral inputs, got ", x.dtype(), " of shape ", x.sizes());
  check(minlength >= 0, "bincount: minlength should be >= 0, got ", minlength);
  Tensor at = to_dtype(detach(x), DType::int64);
  Range range = range_of(at);
  check(range.least >= 0, "bincount: only supports 1-d non-negative integral inputs, got ", range.least);
  if (weights.defined()) check(weights.dim() == 1 && weights.numel() == x.numel(), "bincount: weights should be 1-d and have the same length as input, got ", weights.sizes(), " for ", x.sizes());
  int64_t bins = std::max(range.greatest + 1, minlength);
  if (!weights.defined()) {
    Tensor y = zeros({bins}, DType::int64, x.device());
    return at.numel() ? index_add_(y, 0, at, ones({at.numel()}, DType::int64, x.device())) : y;
  }
  DType type = weights.dtype() == DType::float32 ? DType::float32 : DType::float64;
  Tensor y = zeros({bins}, type, x.device());
  return at.numel() ? index_add_(y, 0, at, to_dtype(detach(weights), type)) : y;
}

}  // namespace tessel
