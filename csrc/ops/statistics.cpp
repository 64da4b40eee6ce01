// What is composed of differences, sums and products: diff, the trapezoidal rule, covariance and correlation.
#include "ops/complex.h"

namespace tessel {

static Tensor difference(const Tensor& x, int64_t dim) {
  int64_t n = x.sizes()[dim];
  if (n == 0) return narrow(x, dim, 0, 0);
  Tensor after = narrow(x, dim, 1, n - 1), before = narrow(x, dim, 0, n - 1);
  return x.dtype() == DType::bool_ ? binary(Binary::logical_xor, after, before) : after - before;
}

Tensor diff(const Tensor& x, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
  check(x.dim() > 0, "diff: expects input to be at least one-dimensional");
  check(n >= 0, "diff: order must be non-negative but got ", n);
  dim = wrap_dim("diff", dim, x.dim());
  std::vector<Tensor> parts;
  for (const Tensor* part : {&prepend, &x, &append}) {
    if (!part->defined()) continue;
    check(part->dim() == x.dim(), "diff: expected prepend and append to have as many dimensions as input (", x.dim(), "), but got ", part->dim());
    for (int d = 0; d < x.dim(); ++d)
      check(d == dim || part->sizes()[d] == x.sizes()[d], "diff: expected the size of prepend and append to match input's in all dimensions but ", dim, ", but got ", part->sizes(), " and ", x.sizes());
    parts.push_back(*part);
  }
  Tensor y = n == 0 || parts.size() == 1 ? x : cat(parts, dim);
  for (int64_t i = 0; i < n; ++i) y = difference(y, dim);
  return n == 0 ? clone(x) : y;
}

// The areas of the strips between neighbouring samples of y along dim, times two.
static Tensor doubled_strips(const char* name, const Tensor& y, const Tensor& x, double dx, int64_t dim) {
  check(y.dim() > 0 && y.dtype() != DType::bool_ && (!x.defined() || x.dtype() != DType::bool_), name, ": received a bool or 0-d input for x or y, but only numbers along a dimension are supported");
  int64_t n = y.sizes()[dim];
  Tensor sums = narrow(y, dim, 1, n - 1) + narrow(y, dim, 0, n - 1);
  if (!x.defined()) return sums * dx;
  // One-dimensional x are the places along dim for every row of y.
  Tensor places = x;
  if (x.dim() == 1) {
    check(x.sizes()[0] == n, name, ": there must be one x value for each sample point, but got ", x.sizes()[0], " for ", n);
    Dims shape = Dims::filled(static_cast<int>(y.dim()), 1);
    shape[dim] = n;
    places = reshape(x, shape);
  } else if (x.dim() < y.dim()) {
    Dims shape = x.sizes();
    while (shape.size() < y.dim()) shape.insert(0, 1);
    places = reshape(x, shape);
  }
  int64_t m = places.sizes()[wrap_dim(name, dim - y.dim(), places.dim())];
  if (m == 0) return sums * 0.0;
  return sums * diff(places, 1, dim - y.dim());
}

Tensor trapezoid(const Tensor& y, const Tensor& x, double dx, int64_t dim) {
  dim = wrap_dim("trapezoid", dim, y.dim());
  if (y.dim() > 0 && y.sizes()[dim] == 0) return sum(y, Dims{dim}, false, is_floating(y.dtype()) ? y.dtype() : default_dtype());
  return sum(doubled_strips("trapezoid", y, x, dx, dim), Dims{dim}) / 2.0;
}

Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, double dx, int64_t dim) {
  dim = wrap_dim("cumulative_trapezoid", dim, y.dim());
  if (y.dim() > 0 && y.sizes()[dim] == 0) return y;
  return cumsum(doubled_strips("cumulative_trapezoid", y, x, dx, dim), dim) / 2.0;
}

// Rows are variables, columns observations, each counted `counts` times and weighted by `weights`.
Tensor cov(const Tensor& x, int64_t correction, const Tensor& counts, const Tensor& weights) {
  check(x.dim() <= 2, "cov: expected input to have two or fewer dimensions but got an input with ", x.dim(), " dimensions");
  check(x.dtype() != DType::bool_, "cov: bool dtype is not supported for input");
  Tensor rows = x.dim() == 0 ? reshape(x, {1, 1}) : x.dim() == 1 ? unsqueeze(x, 0) : x;
  int64_t n = rows.sizes()[1];
  auto check_weights = [&](const char* name, const Tensor& w, bool whole) {
    if (!w.defined()) return;
    check(w.dim() <= 1, "cov: expected ", name, " to have one or fewer dimensions but got ", w.dim());
    check(is_integral(w.dtype()) == whole && w.dtype() != DType::bool_, "cov: expected ", name, " to have ", whole ? "integral" : "floating point", " dtype but got ", w.dtype());
    check(w.numel() == n, "cov: expected ", name, " to have the same numel as there are observations in the input but got ", w.numel(), " and ", n);
    check(n == 0 || item(ge(min(detach(w)), wrapped_number(0))).as_int(), "cov: ", name, " cannot be negative");
  };
  check_weights("fweights", counts, true), check_weights("aweights", weights, false);
  Tensor w = counts;
  if (weights.defined()) w = w.defined() ? w * weights : weights;
  Tensor total = w.defined() ? sum(w) : scalar_tensor(Scalar(n), DType::int64, x.device());
  check(!w.defined() || item(total).as_double() != 0, "cov: weights sum to zero, can't be normalized");
  Tensor average = (w.defined() ? sum(rows * w, Dims{1}) : sum(rows, Dims{1})) / total;
  // With weights of observations the degrees of freedom shrink by the share that the heavy ones take.
  Tensor freedom = !w.defined() || !weights.defined() || correction == 0 ? total - wrapped_number(Scalar(correction))
                                                                         : total - sum(w * weights) / total * wrapped_number(Scalar(correction));
  freedom = where(le(freedom, wrapped_number(0)), wrapped_number(0), freedom);
  Tensor apart = rows - unsqueeze(average, 1);
  Tensor weighted = w.defined() ? apart * w : apart;
  DType type = promote(apart.dtype(), weighted.dtype());
  Tensor c = mm(to_dtype(apart, type), t(conj(to_dtype(weighted, type)))) / freedom;
  return squeeze(c);
}

Tensor corrcoef(const Tensor& x) {
  check(x.dim() <= 2, "corrcoef: expected input to have two or fewer dimensions but got an input with ", x.dim(), " dimensions");
  Tensor c = cov(x);
  if (c.dim() == 0) return c / c;
  Tensor root = sqrt(diagonal(c));
  return clamp(c / unsqueeze(root, 1) / unsqueeze(root, 0), Scalar(-1.0), Scalar(1.0));
}

}  // namespace tessel
