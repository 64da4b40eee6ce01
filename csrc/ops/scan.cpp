// Running sums, products, extremes and logsumexps along one dimension.
#include "ops/reduce.h"

#include <cmath>

namespace tessel {

namespace {

// Runs the scan kernel over the rows of x along dim; `reverse` walks each from its end.
void run_scan(const char* name, Scan op, const Tensor& y, const Tensor& x, int64_t dim, DType compute, bool reverse, const Tensor* index = nullptr) {
  if (x.numel() == 0) return;
  auto first = [&](const Tensor& t) {  // of each row; a 0-d tensor is one row
    if (t.dim() == 0) return alias(t);
    Dims sizes = t.sizes(), strides = t.strides();
    int64_t offset = t.offset() + (reverse ? (sizes[dim] - 1) * strides[dim] : 0);
    sizes.erase(dim), strides.erase(dim);
    return alias(t, sizes, strides, offset);
  };
  auto step = [&](const Tensor& t) { return t.dim() == 0 ? t.item_size() : t.strides()[dim] * t.item_size() * (reverse ? -1 : 1); };
  Tensor y0 = first(y), x0 = first(x);
  ScanArgs args;
  args.op = op;
  args.n = x.dim() == 0 ? 1 : x.sizes()[dim];
  args.out_stride = step(y), args.x_stride = step(x), args.index_stride = 0;
  args.compute = compute;
  if (index) {
    Tensor index0 = first(*index);
    args.loop = plan({&y0, &x0, &index0});
    args.index_stride = step(*index);
  } else {
    args.loop = plan({&y0, &x0});
  }
  run(name, x, x.numel() * 4, kernels(y).scan, args);
}

DType running_dtype(const Tensor& x, std::optional<DType> dtype, const Into& into) {
  if (into.kind == Into::inplace) return into.tensor->dtype();
  return dtype.value_or(is_floating(x.dtype()) || is_complex(x.dtype()) ? x.dtype() : DType::int64);
}

Tensor destination(const char* name, const Tensor& x, DType type, const Into& into) {
  if (is_complex(x.dtype())) fail<NotImplementedError>(name, ": not there yet for complex tensors (", x.dtype(), ")");
  if (into.kind != Into::inplace) return empty_result(x.sizes(), type, x);
  check_inplace(name, *into.tensor);
  return *into.tensor;
}

Node* record_running(const char* name, const Tensor& y, const Tensor& x, const Into& into) {
  if (into.kind != Into::inplace) return record(name, y, {x});
  y.bump_version(name);
  return record_inplace(name, y, {x});
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype, const Into& into, bool reverse) {
  dim = wrap_dim("cumsum", dim, x.dim());
  DType type = running_dtype(x, dtype, into);
  Tensor y = destination("cumsum", x, type, into);
  run_scan("cumsum", Scan::cumsum, y, type == DType::bool_ ? to_dtype(x, type) : x, dim, reduce_type(type), reverse);
  if (Node* node = record_running("cumsum", y, x, into))
    node->backward = [dim, reverse](const Tensor& dy, Needs) -> Grads { return {cumsum(dy, dim, {}, {}, !reverse)}; };
  return y;
}

// dx[k] = sum over i >= k of dy[i] times the product of x[j <= i] without x[k]. Without zeros among the x that is a sum of
// dy y, divided by x[k]. With them, products before k times r[k] = dy[k] + x[k + 1] r[k + 1], step by step from the end.
static Tensor cumprod_derivative(const Tensor& x, const Tensor& y, const Tensor& dy, int64_t dim) {
  if (x.numel() == 0 || x.dim() == 0) return dy;
  if (!item(any(detach(eq(x, wrapped_number(0))))).as_int()) return cumsum(dy * y, dim, {}, {}, true) / x;
  int64_t n = x.sizes()[dim];
  std::vector<Tensor> rest(n);
  rest[n - 1] = narrow(dy, dim, n - 1, 1);
  for (int64_t k = n - 2; k >= 0; --k) rest[k] = narrow(dy, dim, k, 1) + narrow(x, dim, k + 1, 1) * rest[k + 1];
  Dims one = x.sizes();
  one[dim] = 1;
  Tensor before[] = {ones(one, x.dtype(), x.device()), narrow(y, dim, 0, n - 1)};
  return cat(before, dim) * cat(rest, dim);
}

Tensor cumprod(const Tensor& x, int64_t dim, std::optional<DType> dtype, const Into& into) {
  dim = wrap_dim("cumprod", dim, x.dim());
  DType type = running_dtype(x, dtype, into);
  Tensor y = destination("cumprod", x, type, into);
  bool wanted = wants_grad({x});
  Tensor kept = wanted && into.kind == Into::inplace ? clone(detach(x)) : x;
  run_scan("cumprod", Scan::cumprod, y, type == DType::bool_ ? to_dtype(x, type) : x, dim, reduce_type(type), false);
  if (Node* node = record_running("cumprod", y, x, into))
    node->backward = [dim, x = Saved(kept), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads { return {cumprod_derivative(x(), y(), dy, dim)}; };
  return y;
}

// dx[k] = sum over i >= k of dy[i] exp(x[k] - y[i]): a running logsumexp from the end of log |dy| - y, for each sign of dy.
static Tensor logcumsumexp_derivative(const Tensor& x, const Tensor& y, const Tensor& dy, int64_t dim, bool reverse) {
  Tensor size = log(abs(dy)), none = wrapped_number(-INFINITY), zero = wrapped_number(0.0);
  auto part = [&](const Tensor& chosen) { return exp(logcumsumexp(where(chosen, size, none) - y, dim, !reverse) + x); };
  return part(gt(dy, zero)) - part(lt(dy, zero));
}

Tensor logcumsumexp(const Tensor& x, int64_t dim, bool reverse) {
  dim = wrap_dim("logcumsumexp", dim, x.dim());
  if (!is_floating(x.dtype())) fail<NotImplementedError>("logcumsumexp: not implemented for ", x.dtype());
  Tensor y = destination("logcumsumexp", x, x.dtype(), {});
  run_scan("logcumsumexp", Scan::logcumsumexp, y, x, dim, compute_type(x.dtype()), reverse);
  if (Node* node = record("logcumsumexp", y, {x}))
    node->backward = [dim, reverse, x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      return {logcumsumexp_derivative(x(), y(), dy, dim, reverse)};
    };
  return y;
}

static Extremes running_extreme(const char* name, Scan op, const Tensor& x, int64_t dim) {
  dim = wrap_dim(name, dim, x.dim());
  Tensor y = destination(name, x, x.dtype(), {}), index = empty_result(x.sizes(), DType::int64, x);
  run_scan(name, op, y, x, dim, reduce_type(x.dtype()), false, &index);
  if (Node* node = record(name, y, {x}))
    node->backward = [dim, index = Saved(index)](const Tensor& dy, Needs) -> Grads {
      if (dy.dim() == 0 || dy.numel() == 0) return {dy};
      return {scatter_add(zeros(dy.sizes(), dy.dtype(), dy.device()), dim, index(), dy)};
    };
  return {y, index};
}

Extremes cummax(const Tensor& x, int64_t dim) { return running_extreme("cummax", Scan::cummax, x, dim); }
Extremes cummin(const Tensor& x, int64_t dim) { return running_extreme("cummin", Scan::cummin, x, dim); }

}  // namespace tessel
