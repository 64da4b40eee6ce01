// Reductions over any dimensions: sums, products, counts, norms, moments. The extremes stand in extremes.cpp.
#include "ops/reduce.h"

#include "ops/complex.h"

#include <cmath>

namespace tessel {

Tensor run_reduce(const char* name, Reduce op, const Tensor& x, uint32_t mask, bool keepdim, DType type, DType compute, double parameter, Tensor* index) {
  if (is_complex(x.dtype())) fail<NotImplementedError>(name, ": not there yet for complex tensors (", x.dtype(), ")");
  Dims kept = kept_sizes(x.sizes(), mask);
  Tensor y = empty(kept, type, x.device());
  if (index) *index = empty(kept, DType::int64, x.device());
  ReduceArgs args;
  args.op = op;
  args.reduced = mask;
  args.loop = index ? plan({&y, &x, index}, &args.reduced) : plan({&y, &x}, &args.reduced);
  args.compute = compute;
  args.parameter = parameter;
  Scratch scratch(kernels(y).reduce_scratch(args), y.device());
  run(name, x, x.numel(), kernels(y).reduce, args, scratch.data());
  if (keepdim || mask == 0) return y;
  auto drop = [sizes = dropped_sizes(kept, mask)](const Tensor& t) {
    t->sizes = sizes;
    t->strides = contiguous_strides(sizes);
  };
  drop(y);
  if (index) drop(*index);
  return y;
}

// ---- sums

static DType sum_dtype(const Tensor& x, std::optional<DType> dtype) {
  return dtype.value_or(is_floating(x.dtype()) || is_complex(x.dtype()) ? x.dtype() : DType::int64);
}

// Of complex numbers: what is linear is taken of the parts.
template <class F>
static Tensor of_parts(const char* name, const Tensor& x, Ints dims, F reduce) {
  uint32_t mask = dim_mask(name, dims, x.dim());
  Dims reduced;
  for (int d = 0; d < x.dim(); ++d)
    if (mask >> d & 1) reduced.push_back(d);
  return reduced.empty() ? clone(x) : view_as_complex(contiguous(reduce(view_as_real(x), reduced)));
}

Tensor sum(const Tensor& x, Ints dims, bool keepdim, std::optional<DType> dtype) {
  uint32_t mask = dim_mask("sum", dims, x.dim());
  DType type = sum_dtype(x, dtype);
  if (is_complex(type)) return of_parts("sum", to_dtype(x, type), dims, [&](const Tensor& parts, Ints reduced) { return sum(parts, reduced, keepdim); });
  Tensor y = run_reduce("sum", Reduce::sum, type == DType::bool_ || is_complex(x.dtype()) ? to_dtype(detach(x), type) : x, mask, keepdim, type, reduce_type(type));
  if (Node* node = record("sum", y, {x}))
    node->backward = [mask, keepdim, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {expand(restore(dy, mask, keepdim, sizes), sizes)}; };
  return y;
}

Tensor mean(const Tensor& x, Ints dims, bool keepdim, std::optional<DType> dtype) {
  DType type = dtype.value_or(x.dtype());
  if (is_complex(type)) return of_parts("mean", to_dtype(x, type), dims, [&](const Tensor& parts, Ints reduced) { return mean(parts, reduced, keepdim); });
  check(is_floating(type), "mean: could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ", type);
  uint32_t mask = dim_mask("mean", dims, x.dim());
  double scale = 1.0 / static_cast<double>(count_reduced(x.sizes(), mask));
  Tensor y = run_reduce("mean", Reduce::mean, x, mask, keepdim, type, compute_type(type), scale);
  if (Node* node = record("mean", y, {x}))
    node->backward = [mask, keepdim, scale, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {expand(restore(dy, mask, keepdim, sizes) * scale, sizes)}; };
  return y;
}

Tensor nansum(const Tensor& x, Ints dims, bool keepdim, std::optional<DType> dtype) {
  if (!is_floating(x.dtype())) return sum(x, dims, keepdim, dtype);
  uint32_t mask = dim_mask("nansum", dims, x.dim());
  DType type = sum_dtype(x, dtype);
  Tensor y = run_reduce("nansum", Reduce::nansum, x, mask, keepdim, type, is_floating(type) ? compute_type(type) : DType::float64);
  if (Node* node = record("nansum", y, {x}))
    node->backward = [mask, keepdim, x = Saved(x)](const Tensor& dy, Needs) -> Grads {
      return {restore(dy, mask, keepdim, x().sizes()) * logical_not(isnan(x()))};
    };
  return y;
}

Tensor nanmean(const Tensor& x, Ints dims, bool keepdim, std::optional<DType> dtype) {
  check(is_floating(x.dtype()), "nanmean: expected input to have floating point or complex dtype but got ", x.dtype());
  return nansum(x, dims, keepdim, dtype) / sum(logical_not(isnan(detach(x))), dims, keepdim);
}

Tensor sum_to_size(const Tensor& x, const Dims& sizes) {
  if (sizes.empty() && !is_floating(x.dtype())) return sum(x);  // int64 even where there is nothing to sum
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

// ---- products

// The product of all others along dim: what stands before, times what stands behind.
static Tensor product_of_others(const Tensor& x, int64_t dim) {
  Dims one = x.sizes();
  one[dim] = 1;
  Tensor ones_ = ones(one, x.dtype(), x.device());
  int64_t n = x.sizes()[dim];
  auto before = [&](const Tensor& a) {
    Tensor parts[] = {ones_, cumprod(narrow(a, dim, 0, n - 1), dim)};
    return cat(parts, dim);
  };
  return before(x) * flip(before(flip(x, Dims{dim})), Dims{dim});
}

// d of a product is the product times 1 / x, but where an x is zero the others have to be multiplied out.
static Tensor prod_derivative(const Tensor& x, const Tensor& y, const Tensor& dy, int64_t dim) {
  if (x.numel() == 0) return expand(dy, x.sizes()) * x;
  if (!item(any(detach(eq(y, wrapped_number(0))))).as_int()) return dy * y / x;
  return dy * product_of_others(x, dim);
}

// Of complex numbers: halves are multiplied with each other until one is left.
static Tensor complex_prod(Tensor x, std::optional<int64_t> dim, bool keepdim) {
  if (x.dim() == 0) return clone(x);
  if (!dim) x = reshape(x, {-1});
  int64_t d = dim.value_or(0);
  if (x.sizes()[d] == 0) {
    Dims sizes = x.sizes();
    sizes[d] = 1;
    x = ones(sizes, x.dtype(), x.device());
  }
  while (int64_t n = x.sizes()[d]) {
    if (n == 1) break;
    Tensor y = narrow(x, d, 0, n / 2) * narrow(x, d, n / 2, n / 2);
    Tensor parts[] = {y, narrow(x, d, n - 1, 1)};
    x = n % 2 ? cat(parts, d) : y;
  }
  return keepdim ? x : squeeze(x, Dims{d});
}

Tensor prod(const Tensor& x_, std::optional<int64_t> dim, bool keepdim, std::optional<DType> dtype) {
  int64_t d = dim ? wrap_dim("prod", *dim, x_.dim()) : -1;
  DType type = sum_dtype(x_, dtype);
  if (is_complex(type)) return complex_prod(to_dtype(x_, type), dim ? std::optional(d) : std::nullopt, keepdim);
  Tensor x = is_floating(type) || type == DType::bool_ ? to_dtype(x_, type) : x_;
  uint32_t mask = x.dim() == 0 ? 0 : dim ? 1u << d : (1u << x.dim()) - 1;
  Tensor y = run_reduce("prod", Reduce::prod, x, mask, keepdim, type, reduce_type(type));
  if (Node* node = record("prod", y, {x}))
    node->backward = [mask, keepdim, d, x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor a = x();
      if (mask == 0) return {dy};
      if (d < 0) return {reshape(prod_derivative(reshape(a, {-1}), y(), dy, 0), a.sizes())};
      return {prod_derivative(a, restore(y(), mask, keepdim, a.sizes()), restore(dy, mask, keepdim, a.sizes()), d)};
    };
  return y;
}

// ---- truth

static Tensor truth_of(const char* name, Reduce op, const Tensor& x, uint32_t mask, bool keepdim) {
  if (is_complex(x.dtype())) return truth_of(name, op, ne(detach(x), wrapped_number(0)), mask, keepdim);
  DType type = x.dtype() == DType::uint8 ? DType::uint8 : DType::bool_;  // PyTorch keeps uint8, its old bool
  return run_reduce(name, op, x, mask, keepdim, type, reduce_type(x.dtype()));
}

Tensor any(const Tensor& x, Ints dims, bool keepdim) { return truth_of("any", Reduce::any, x, dim_mask("any", dims, x.dim()), keepdim); }
Tensor all(const Tensor& x, Ints dims, bool keepdim) { return truth_of("all", Reduce::all, x, dim_mask("all", dims, x.dim()), keepdim); }
Tensor truth(const Tensor& x) { return truth_of("any", Reduce::any, x, 0, true); }

Tensor count_nonzero(const Tensor& x, Ints dims) {
  if (is_complex(x.dtype())) return count_nonzero(ne(detach(x), wrapped_number(0)), dims);
  return run_reduce("count_nonzero", Reduce::count_nonzero, x, dim_mask("count_nonzero", dims, x.dim()), false, DType::int64, reduce_type(x.dtype()));
}

// ---- norms

Tensor logsumexp(const Tensor& x_, Ints dims, bool keepdim) {
  if (is_complex(x_.dtype())) fail<NotImplementedError>("logsumexp: not implemented for ", x_.dtype());
  Tensor x = is_floating(x_.dtype()) ? x_ : to_dtype(x_, default_dtype());
  uint32_t mask = dim_mask("logsumexp", dims, x.dim());
  Tensor y = run_reduce("logsumexp", Reduce::logsumexp, x, mask, keepdim, x.dtype(), compute_type(x.dtype()));
  if (Node* node = record("logsumexp", y, {x}))
    node->backward = [mask, keepdim, x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor a = x(), top = restore(y(), mask, keepdim, a.sizes());
      // Where all of x is -inf, so is y, and no x has a part in it.
      Tensor shift = where(eq(detach(top), wrapped_number(-INFINITY)), wrapped_number(0.0), top);
      return {restore(dy, mask, keepdim, a.sizes()) * exp(a - shift)};
    };
  return y;
}

// dx for y = (sum |x|^p)^(1/p). Where y is 0 there is no direction: 0, the least of the subgradients.
static Tensor norm_derivative(const Tensor& x, const Tensor& y, const Tensor& dy, double p, uint32_t mask) {
  Tensor none = wrapped_number(0.0);
  auto or_none = [&](const Tensor& value, const Tensor& condition) { return where(condition, none, value); };
  if (p == 0) return zeros(x.sizes(), x.dtype(), x.device());
  if (p == 1) return sign(x) * dy;
  if (p == 2) return x * or_none(dy / y, eq(y, none));
  if (std::isinf(p)) {
    Tensor size = abs(x), reached = eq(size, y);
    reached = binary(Binary::logical_or, reached, isnan(size));
    Dims dims;
    for (int d = 0; d < x.dim(); ++d)
      if (mask >> d & 1) dims.push_back(d);
    return sign(x) * reached * (dims.empty() ? dy : dy / sum(reached, dims, true));
  }
  Tensor power = pow(abs(x), wrapped_number(p - 1));
  if (p < 1) return sign(x) * or_none(power, eq(x, none)) * dy * pow(y, wrapped_number(1 - p));
  return sign(x) * power * or_none(dy / pow(y, wrapped_number(p - 1)), eq(y, none));
}

Tensor norm(const Tensor& x_, double p, Ints dims, bool keepdim, std::optional<DType> dtype) {
  check(is_floating(x_.dtype()) || is_complex(x_.dtype()), "norm: expected a floating point or complex tensor as input, got ", x_.dtype());
  check(!dtype || is_floating(*dtype) || is_complex(*dtype), "norm: dtype should be floating point or complex, but got ", dtype.value_or(x_.dtype()));
  check(!dtype || can_cast(x_.dtype(), *dtype) , "norm: the input's dtype ", x_.dtype(), " can't be narrowed to ", dtype.value_or(x_.dtype()));
  Tensor x = dtype ? to_dtype(x_, *dtype) : x_;
  uint32_t mask = dim_mask("norm", dims, x.dim());
  if (is_complex(x.dtype())) {  // of the sizes; the Euclidean one is that of the parts
    if (p != 2) return norm(abs(x), p, dims, keepdim);
    Dims reduced;
    for (int d = 0; d < x.dim(); ++d)
      if (mask >> d & 1) reduced.push_back(d);
    reduced.push_back(x.dim());
    Tensor y = norm(view_as_real(x), 2, reduced, keepdim);
    return keepdim ? squeeze(y, Dims{-1}) : y;
  }
  if (x.numel() == 0 && (p < 0 || std::isinf(p))) {
    check(!dims.empty(), "norm: the norm of order ", p, " of an empty tensor does not exist: the operation does not have an identity");
    for (int d = 0; d < x.dim(); ++d)
      check(!(mask >> d & 1) || x.sizes()[d] > 0, "norm: the norm of order ", p, " along dimension ", d, " does not exist: this dimension is empty and the operation does not have an identity");
  }
  Tensor y = run_reduce("norm", Reduce::norm, x, mask, keepdim, x.dtype(), compute_type(x.dtype()), p);
  if (Node* node = record("norm", y, {x}))
    node->backward = [p, mask, keepdim, x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor a = x();
      return {norm_derivative(a, restore(y(), mask, keepdim, a.sizes()), restore(dy, mask, keepdim, a.sizes()), p, mask)};
    };
  return y;
}

Tensor dist(const Tensor& a, const Tensor& b, double p) { return norm(a - b, p); }

Tensor renorm(const Tensor& x, double p, int64_t dim, double most) {
  check(p > 0, "renorm: non-positive-norm not supported, got p=", p);
  check(x.dim() >= 2, "renorm: input needs at least 2 dimensions, got ", x.dim(), " dimensions");
  check(most >= 0, "renorm: expected maxnorm to be >= 0 but got ", most);
  dim = wrap_dim("renorm", dim, x.dim());
  Dims others;
  for (int d = 0; d < x.dim(); ++d)
    if (d != dim) others.push_back(d);
  // The order of a sum follows the memory it is read from: read densely, a view and its copy (renorm_) have one norm.
  Tensor size = norm(contiguous(x), p, others, true), limit = wrapped_number(most);
  return x * where(gt(size, limit), limit / (size + 1e-7), wrapped_number(1.0));
}

// ---- moments

static Tensor var_derivative(const Tensor& x, const Tensor& dy, uint32_t mask, double correction) {
  Dims dims;
  for (int d = 0; d < x.dim(); ++d)
    if (mask >> d & 1) dims.push_back(d);
  double freedom = static_cast<double>(count_reduced(x.sizes(), mask)) - correction;
  Tensor apart = dims.empty() ? x - x : x - mean(x, dims, true);
  return apart * (dy * (2 / freedom));
}

static Tensor moment(const char* name, const Tensor& x, Ints dims, double correction, bool keepdim, bool root) {
  check(is_floating(x.dtype()) || is_complex(x.dtype()), name, ": only floating point and complex dtypes are supported, got ", x.dtype());
  uint32_t mask = dim_mask(name, dims, x.dim());
  if (is_complex(x.dtype())) {  // that of the real parts and that of the imaginary ones
    Tensor v = moment("var", real(x), dims, correction, keepdim, false) + moment("var", imag(x), dims, correction, keepdim, false);
    return root ? sqrt(v) : v;
  }
  Tensor y = run_reduce(name, Reduce::var, x, mask, keepdim, x.dtype(), compute_type(x.dtype()), correction);
  if (root) {
    NoGrad no_grad;
    y = sqrt(y);
  }
  if (Node* node = record(name, y, {x}))
    node->backward = [mask, keepdim, correction, root, x = Saved(x), y = root ? SavedOutput(y) : SavedOutput()](const Tensor& dy, Needs) -> Grads {
      Tensor a = x(), g = dy;
      if (root) {
        Tensor s = y();
        g = where(eq(s, wrapped_number(0.0)), wrapped_number(0.0), dy / (s * 2.0));
      }
      return {var_derivative(a, restore(g, mask, keepdim, a.sizes()), mask, correction)};
    };
  return y;
}

Tensor var(const Tensor& x, Ints dims, double correction, bool keepdim) { return moment("var", x, dims, correction, keepdim, false); }
Tensor deviation(const Tensor& x, Ints dims, double correction, bool keepdim) { return moment("std", x, dims, correction, keepdim, true); }

}  // namespace tessel
