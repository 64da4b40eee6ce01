// The largest and the smallest, and where they stand: max, min, amax, amin, aminmax, argmax, argmin.
#include "ops/reduce.h"

namespace tessel {

namespace {

constexpr const char* kNoDim = ": Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.";

// x's dimension `dim`, or all of it; IndexError where there is nothing to choose from.
uint32_t mask_to_choose(const char* name, const Tensor& x, std::optional<int64_t> dim) {
  if (!dim) {
    check_index(x.numel() > 0, name, kNoDim);
    return (1u << x.dim()) - 1;
  }
  int64_t d = wrap_dim(name, *dim, x.dim());
  check_index(x.dim() == 0 || x.sizes()[d] > 0, name, ": Expected reduction dim ", d, " to have non-zero size (input is ", x.sizes(), ")");
  return x.dim() == 0 ? 0 : 1u << d;
}

// The gradient goes to all elements that reach the extreme, in equal parts.
Tensor share(const Tensor& x, const Tensor& y, const Tensor& dy, uint32_t mask) {
  Tensor reached = binary(Binary::logical_or, eq(x, y), binary(Binary::logical_and, isnan(x), isnan(y)));
  Dims dims;
  for (int d = 0; d < x.dim(); ++d)
    if (mask >> d & 1) dims.push_back(d);
  return reached * (dims.empty() ? dy : dy / sum(reached, dims, true));
}

Tensor extreme(const char* name, Reduce op, const Tensor& x, uint32_t mask, bool keepdim) {
  Tensor y = run_reduce(name, op, x, mask, keepdim, x.dtype(), reduce_type(x.dtype()));
  if (Node* node = record(name, y, {x}))
    node->backward = [mask, keepdim, x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor a = x();
      return {share(a, restore(y(), mask, keepdim, a.sizes()), restore(dy, mask, keepdim, a.sizes()), mask)};
    };
  return y;
}

Tensor extreme_of_all(const char* name, Reduce op, const Tensor& x) {
  check(x.numel() > 0, name, kNoDim);
  return extreme(name, op, x, (1u << x.dim()) - 1, false);
}

Extremes extreme_along(const char* name, Reduce op, const Tensor& x, int64_t dim, bool keepdim) {
  uint32_t mask = mask_to_choose(name, x, dim);
  Tensor index, y = run_reduce(name, op, x, mask, keepdim, x.dtype(), reduce_type(x.dtype()), 0, &index);
  if (x.dim() == 0) zero_(index);
  if (Node* node = record(name, y, {x}))
    node->backward = [mask, keepdim, dim, sizes = x.sizes(), index = Saved(index)](const Tensor& dy, Needs) -> Grads {
      if (mask == 0) return {dy};
      return {scatter(zeros(sizes, dy.dtype(), dy.device()), dim, restore(index(), mask, keepdim, sizes), restore(dy, mask, keepdim, sizes))};
    };
  return {y, index};
}

Tensor extreme_over(const char* name, Reduce op, const Tensor& x, Ints dims, bool keepdim) {
  uint32_t mask = dim_mask(name, dims, x.dim());
  check(!dims.empty() || x.numel() > 0, name, kNoDim);
  for (int64_t d : dims) mask_to_choose(name, x, d);
  return extreme(name, op, x, mask, keepdim);
}

Tensor position(const char* name, Reduce op, const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  check(x.dtype() != DType::bool_, name, ": does not support bool input");
  uint32_t mask = mask_to_choose(name, x, dim);
  // Without a dimension the position is the one in the flattened tensor, whatever the strides are.
  if (!dim && x.dim() > 1 && !x.is_contiguous()) {
    Tensor y = position(name, op, reshape(detach(x), {-1}), {}, false);
    return keepdim ? reshape(y, kept_sizes(x.sizes(), mask)) : y;
  }
  return run_reduce(name, op, x, mask, keepdim, DType::int64, reduce_type(x.dtype()));
}

}  // namespace

Tensor max(const Tensor& x) { return extreme_of_all("max", Reduce::max, x); }
Tensor min(const Tensor& x) { return extreme_of_all("min", Reduce::min, x); }
Extremes max(const Tensor& x, int64_t dim, bool keepdim) { return extreme_along("max", Reduce::max, x, dim, keepdim); }
Extremes min(const Tensor& x, int64_t dim, bool keepdim) { return extreme_along("min", Reduce::min, x, dim, keepdim); }
Tensor amax(const Tensor& x, Ints dims, bool keepdim) { return extreme_over("amax", Reduce::max, x, dims, keepdim); }
Tensor amin(const Tensor& x, Ints dims, bool keepdim) { return extreme_over("amin", Reduce::min, x, dims, keepdim); }
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) { return position("argmax", Reduce::argmax, x, dim, keepdim); }
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) { return position("argmin", Reduce::argmin, x, dim, keepdim); }

Extremes aminmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  if (!dim) check(x.numel() > 0, "aminmax: cannot compute aminmax over an empty dimension as the operation has no identity.");
  uint32_t mask = mask_to_choose("aminmax", x, dim);
  return {extreme("aminmax", Reduce::min, x, mask, keepdim), extreme("aminmax", Reduce::max, x, mask, keepdim)};
}

}  // namespace tessel
