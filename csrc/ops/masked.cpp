// Masks: where they are set, and reading, filling and writing there.
#include "ops/indexing.h"
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Coordinate d of the i-th element other than zero stands at [i, d]: by rows, or by columns.
Tensor nonzero_positions(const Tensor& x_, bool by_rows) {
  Tensor x = contiguous(is_complex(x_.dtype()) ? ne(detach(x_), wrapped_number(0)) : detach(x_));
  NonzeroArgs args{};
  args.dtype = x.dtype();
  args.x = x.data();
  args.n = x.numel();
  args.ndim = std::max<int>(1, x.dim());
  args.sizes[0] = 1;
  for (int d = 0; d < x.dim(); ++d) args.sizes[d] = x.sizes()[d];
  int64_t n = x.dim(), count = 0;
  if (args.n == 0) return empty(by_rows ? Dims{0, n} : Dims{n, 0}, DType::int64, x.device());
  const Kernels& target = kernels(x);
  Scratch counts(target.nonzero_scratch(args), x.device());
  args.counts = static_cast<int64_t*>(counts.data());
  run("nonzero", x, args.n / 8, [&](const NonzeroArgs& a) { count = target.nonzero_count(a); }, args);
  Tensor y = empty(by_rows ? Dims{count, n} : Dims{n, count}, DType::int64, x.device());
  if (y.numel() == 0) return y;
  args.out = y.data_as<int64_t>();
  args.row_step = by_rows ? n : 1;
  args.dim_step = by_rows ? 1 : count;
  run("nonzero", x, args.n / 8, target.nonzero, args);
  return y;
}

}  // namespace

Tensor nonzero(const Tensor& x) { return nonzero_positions(x, true); }

std::vector<Tensor> nonzero_as_tuple(const Tensor& x) {
  if (x.dim() == 0) return nonzero_as_tuple(alias(x, {1}, {1}, x.offset()));
  Tensor columns = nonzero_positions(x, false);
  std::vector<Tensor> ys;
  int64_t count = columns.sizes()[1];
  for (int64_t d = 0; d < x.dim(); ++d) ys.push_back(alias(columns, {count}, {1}, d * count));
  return ys;
}

Tensor nonzero_static(const Tensor& x, int64_t size, int64_t fill_value) {
  check(size >= 0, "nonzero_static: `size` must be >= 0, got ", size);
  Tensor found = nonzero(x), y = full({size, x.dim()}, Scalar(fill_value), DType::int64, x.device());
  int64_t rows = std::min(size, found.sizes()[0]);
  copy_(narrow(y, 0, 0, rows), narrow(found, 0, 0, rows));
  return y;
}

Tensor& masked_fill_(Tensor& x, const Tensor& mask, const Tensor& value) {
  check(mask.dtype() == DType::bool_, "masked_fill_: only supports boolean masks, but got mask with dtype ", mask.dtype());
  check(value.dim() == 0, "masked_fill_: only supports a 0-dimensional value tensor, but got tensor with ", value.dim(), " dimension(s).");
  check(is_complex(x.dtype()) || !is_complex(value.dtype()), "masked_fill_: value cannot be converted to type ", x.dtype(), " without overflow");
  check(broadcast("masked_fill_", x.sizes(), mask.sizes()) == x.sizes(), "masked_fill_: mask of shape ", mask.sizes(), " can't be broadcast to ", x.sizes());
  check_inplace("masked_fill_", x);
  Tensor wide = broadcast_alias(mask->storage == x->storage ? clone(detach(mask)) : mask, x.sizes());
  Tensor fill = to_dtype(detach(value), x.dtype());
  auto kernel = is_complex(x.dtype()) ? rare_kernels("masked_fill_", x).complex_ternary : kernels(x).ternary;
  if (x.numel()) run("masked_fill_", x, x.numel(), kernel, Ternary::where, plan({&x, &wide, &fill, &x}), compute_type(x.dtype()), Params{});
  x.bump_version("masked_fill_");
  if (Node* node = wants_grad({x, value}) ? record_inplace("masked_fill_", x, {x, value}) : nullptr)
    node->backward = [mask = Saved(mask)](const Tensor& dy, Needs needs) -> Grads {
      Tensor zero = zeros({}, dy.dtype(), dy.device());
      return {needs[0] ? where(mask(), zero, dy) : Tensor(), needs[1] ? sum(where(mask(), dy, zero)) : Tensor()};
    };
  return x;
}

// Out of place x may be broadcast too.
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  Dims sizes = broadcast("masked_fill", x.sizes(), mask.sizes());
  Tensor y = x.sizes() == sizes ? clone(x) : clone(expand(x, sizes));
  return masked_fill_(y, mask, value);
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  check(is_mask(mask), "masked_select: expected BoolTensor for mask, got ", mask.dtype());
  Dims sizes = broadcast("masked_select", x.sizes(), mask.sizes());
  Tensor wide = expand(mask, sizes), from = expand(x, sizes);
  if (sizes.empty()) wide = reshape(wide, {1}), from = reshape(from, {1});
  return index(from, std::span(&wide, 1));
}

Tensor& masked_scatter_(Tensor& x, const Tensor& mask, const Tensor& source) {
  check(source.dtype() == x.dtype(), "masked_scatter_: expected self and source to have same dtypes but got ", x.dtype(), " and ", source.dtype());
  check(mask.dtype() == DType::bool_, "masked_scatter_: only supports boolean masks, but got mask with dtype ", mask.dtype());
  check(broadcast("masked_scatter_", x.sizes(), mask.sizes()) == x.sizes(), "masked_scatter_: mask of shape ", mask.sizes(), " can't be broadcast to ", x.sizes());
  std::vector<Tensor> at = nonzero_as_tuple(broadcast_alias(mask, x.sizes()));
  int64_t count = at[0].numel();
  check(source.numel() >= count, "masked_scatter_: Number of elements of source (", source.numel(), ") < number of ones in mask (", count, ")");
  Tensor values = narrow(reshape(source, {-1}), 0, 0, count);
  if (x.dim() == 0) {
    if (count) copy_(x, reshape(values, {}));
    return x;
  }
  return index_put_(x, at, values);
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
  Dims sizes = broadcast("masked_scatter", x.sizes(), mask.sizes());
  Tensor y = x.sizes() == sizes ? clone(x) : clone(expand(x, sizes));
  return masked_scatter_(y, mask, source);
}

}  // namespace tessel
