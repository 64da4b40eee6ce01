// Reductions over any dimensions.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

// x with its reduced dimensions of size 1, in the result's own memory.
static Dims reduced_sizes(const Tensor& x, uint32_t mask) {
  Dims sizes = x.sizes();
  for (int d = 0; d < sizes.size(); ++d)
    if (mask >> d & 1) sizes[d] = 1;
  return sizes;
}

static Dims drop(const Dims& sizes, uint32_t mask) {
  Dims kept;
  for (int d = 0; d < sizes.size(); ++d)
    if (!(mask >> d & 1)) kept.push_back(sizes[d]);
  return kept;
}

// Runs a reduction kernel: the result has size 1 in the reduced dimensions.
static Tensor reduce_keeping(const char* name, Reduce op, const Tensor& x, uint32_t mask, DType type, DType compute, double parameter) {
  Tensor y = empty(reduced_sizes(x, mask), type, x.device());
  ReduceArgs args;
  args.op = op;
  args.reduced = mask;
  args.loop = plan({&y, &x}, &args.reduced);
  args.compute = compute;
  args.parameter = parameter;
  Scratch scratch(kernels(y).reduce_scratch(args), y.device());
  run(name, x, x.numel(), kernels(y).reduce, args, scratch.data());
  return y;
}

static Tensor finish(const Tensor& y, uint32_t mask, bool keepdim) {
  if (keepdim || mask == 0) return y;
  Dims sizes = drop(y.sizes(), mask);
  return alias(y, sizes, contiguous_strides(sizes), y.offset());
}

// dy as if the reduced dimensions had been kept.
static Tensor kept(const Tensor& dy, uint32_t mask, bool keepdim, const Dims& sizes) {
  if (keepdim || mask == 0) return dy;
  Dims shape = sizes;
  for (int d = 0; d < shape.size(); ++d)
    if (mask >> d & 1) shape[d] = 1;
  return reshape(dy, shape);
}

static int64_t count(const Tensor& x, uint32_t mask) {
  int64_t n = 1;
  for (int d = 0; d < x.dim(); ++d)
    if (mask >> d & 1) n *= x.sizes()[d];
  return n;
}

static DType sum_compute(DType type) { return is_floating(type) ? compute_type(type) : DType::int64; }

Tensor sum(const Tensor& x_, Ints dims, bool keepdim, std::optional<DType> dtype) {
  uint32_t mask = dim_mask("sum", dims, x_.dim());
  DType type = dtype.value_or(is_floating(x_.dtype()) ? x_.dtype() : DType::int64);
  Tensor x = is_floating(type) == is_floating(x_.dtype()) || type == DType::float32 ? x_ : to_dtype(x_, type);
  Tensor y = finish(reduce_keeping("sum", Reduce::sum, x, mask, type, sum_compute(type), 0), mask, keepdim);
  if (Node* node = record("sum", y, {x}))
    node->backward = [mask, keepdim, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {expand(kept(dy, mask, keepdim, sizes), sizes)}; };
  return y;
}

Tensor mean(const Tensor& x_, Ints dims, bool keepdim, std::optional<DType> dtype) {
  DType type = dtype.value_or(x_.dtype());
  check(is_floating(type), "mean: mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ", type);
  Tensor x = to_dtype(x_, type);
  uint32_t mask = dim_mask("mean", dims, x.dim());
  double scale = 1.0 / static_cast<double>(count(x, mask));
  Tensor y = finish(reduce_keeping("mean", Reduce::mean, x, mask, type, compute_type(type), scale), mask, keepdim);
  if (Node* node = record("mean", y, {x}))
    node->backward = [mask, keepdim, scale, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {expand(kept(dy, mask, keepdim, sizes) * scale, sizes)}; };
  return y;
}

static Tensor truth(const char* name, Reduce op, const Tensor& x, Ints dims, bool keepdim) {
  uint32_t mask = dim_mask(name, dims, x.dim());
  DType type = x.dtype() == DType::uint8 ? DType::uint8 : DType::bool_;  // PyTorch keeps uint8, its old bool
  return finish(reduce_keeping(name, op, x, mask, type, sum_compute(x.dtype()), 0), mask, keepdim);
}

Tensor any(const Tensor& x, Ints dims, bool keepdim) { return truth("any", Reduce::any, x, dims, keepdim); }
Tensor all(const Tensor& x, Ints dims, bool keepdim) { return truth("all", Reduce::all, x, dims, keepdim); }

Tensor sum_to_size(const Tensor& x, const Dims& sizes) {
  if (x.sizes() == sizes) return x;
  int64_t lead = x.dim() - sizes.size();
  check(lead >= 0, "sum_to_size: size ", sizes, " is not expandable to size ", x.sizes());
  Dims dims;
  for (int64_t d = 0; d < x.dim(); ++d) {
    bool summed = d < lead || (sizes[d - lead] == 1 && x.sizes()[d] != 1);
    check(summed || sizes[d - lead] == x.sizes()[d], "sum_to_size: size ", sizes, " is not expandable to size ", x.sizes());
    if (summed) dims.push_back(d);
  }
  Tensor y = dims.empty() ? x : sum(x, dims, true);
  return lead > 0 ? reshape(y, sizes) : y;
}

}  // namespace tessel
