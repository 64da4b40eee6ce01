// Rows of a table chosen by number, and counting numbers.
#include <cmath>

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

// Bags of rows summed, averaged, or their greatest: bag i begins at offsets[i].
Tensor embedding_bag(const Tensor& index_, const Tensor& weight, const Tensor& offsets_, std::string_view mode, const Tensor& sample_weights, bool include_last_offset,
                     std::optional<int64_t> padding_idx, bool scale_grad_by_freq) {
  const char* op = "embedding_bag";
  check_value(mode == "sum" || mode == "mean" || mode == "max", op, ": mode has to be one of sum, mean or max, got ", mode);
  check_value(index_.dim() == 1 || index_.dim() == 2, op, ": input has to be 1D or 2D Tensor, but got Tensor of dimension ", index_.dim());
  check_value(index_.dim() == 2 || offsets_.defined(), op, ": offsets has to be a 1D Tensor but got None");
  check_value(index_.dim() == 1 || !offsets_.defined(), op, ": if input is 2D, then offsets has to be None, as input is treated as a mini-batch of fixed length sequences");
  check_value(!offsets_.defined() || offsets_.dim() == 1, op, ": offsets has to be a 1D Tensor");
  if (sample_weights.defined()) {
    if (mode != "sum") fail<NotImplementedError>(op, ": per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='", mode, "').");
    check_value(sample_weights.sizes() == index_.sizes(), op, ": If per_sample_weights (", sample_weights.sizes(), ") is not None, then it must have the same shape as the input (", index_.sizes(), ")");
  }
  Tensor index = reshape(as_positions(op, index_), {-1}), scale = sample_weights.defined() ? reshape(sample_weights, {-1}) : Tensor(), bag;
  int64_t n = index.numel(), bags;
  auto count_to = [&](int64_t m) { return arange(Scalar(int64_t(0)), Scalar(m), Scalar(int64_t(1)), DType::int64, weight.device()); };
  if (index_.dim() == 2) {
    bags = index_.sizes()[0];
    bag = repeat_interleave(count_to(bags), index_.sizes()[1]);
  } else {
    Tensor offsets = as_positions(op, offsets_);
    bags = offsets.numel();
    if (include_last_offset) {
      check(bags >= 1, op, ": include_last_offset: number of offsets should be at least 1");
      offsets = narrow(offsets, 0, 0, --bags);
    }
    if (bags) {
      check(item(select(offsets, 0, 0)).as_int() == 0, op, ": offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0, got ", item(select(offsets, 0, 0)).as_int());
      check(range_of(offsets).greatest <= n, op, ": offsets[-1] can not be greater than input's length (", n, "), got ", range_of(offsets).greatest);
    }
    bag = sub(searchsorted(offsets, count_to(n), false, true), wrapped_number(Scalar(1)));
  }
  if (padding_idx) {
    int64_t rows = weight.sizes()[0];
    check(*padding_idx >= -rows && *padding_idx < rows, op, ": padding_idx must be within the number of embeddings (", rows, "), got ", *padding_idx);
    Tensor kept = nonzero_as_tuple(ne(index, wrapped_number(Scalar(*padding_idx < 0 ? *padding_idx + rows : *padding_idx))))[0];
    index = index_select(index, 0, kept);
    bag = index_select(bag, 0, kept);
    if (scale.defined()) scale = index_select(scale, 0, kept);
  }
  // Sums of 16-bit rows are kept in float32, and rounded once.
  bool narrow_rows = weight.dtype() == DType::float16 || weight.dtype() == DType::bfloat16;
  DType type = narrow_rows && mode != "max" ? DType::float32 : weight.dtype();
  Tensor looked_up = to_dtype(embedding(index, weight, {}, scale_grad_by_freq), type), empty_bags = zeros({bags, weight.sizes()[1]}, type, weight.device());
  if (mode == "max") return index_reduce(empty_bags, 0, bag, looked_up, "amax", false);
  if (scale.defined()) looked_up = looked_up * unsqueeze(to_dtype(scale, type), 1);
  Tensor y = index_add_(empty_bags, 0, bag, looked_up);
  if (mode == "mean") y = y / unsqueeze(maximum(to_dtype(bincount(bag, {}, bags), type), wrapped_number(Scalar(1))), 1);
  return to_dtype(y, weight.dtype());
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

Tensor histc(const Tensor& x_, int64_t bins, double low, double high) {
  if (!is_floating(x_.dtype())) fail<NotImplementedError>("histc: not there for ", x_.dtype(), " tensors, only for floating point");
  check(bins > 0, "histc: bins must be > 0, but got ", bins);
  Tensor x = reshape(detach(x_), {-1});
  if (low == high && x.numel()) {
    low = item(min(x)).as_double();
    high = item(max(x)).as_double();
  }
  check(std::isfinite(low) && std::isfinite(high), "histc: range of [", low, ", ", high, "] is not finite");
  check(low <= high, "histc: max must be larger than min, got ", low, " and ", high);
  if (low == high) low -= 1, high += 1;
  Tensor inside = binary(Binary::logical_and, ge(x, wrapped_number(Scalar(low))), le(x, wrapped_number(Scalar(high))));
  x = masked_select(x, inside);
  Tensor at = to_dtype((x - low) * static_cast<double>(bins) / (high - low), DType::int64);
  return to_dtype(bincount(minimum(at, wrapped_number(Scalar(bins - 1))), {}, bins), x.dtype());
}

}  // namespace tessel
