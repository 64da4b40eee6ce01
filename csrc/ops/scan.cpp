// Running sums, products, extremes and logsumexps along one dimension.
#include "ops/reduce.h"
#include "ops/complex.h"

#include <cfloat>

namespace tessel {

namespace {

// Runs the scan kernel over the rows of x along dim; `reverse` walks each from its end. `second`: the kernel's third operand.
void run_scan(const char* name, Scan op, const Tensor& y, const Tensor& x, int64_t dim, DType compute, bool reverse, const Tensor* second = nullptr) {
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
  args.out_stride = step(y), args.x_stride = step(x), args.second_stride = 0;
  args.compute = compute;
  if (second) {
    Tensor second0 = first(*second);
    args.loop = plan({&y0, &x0, &second0});
    args.second_stride = step(*second);
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
  if (is_complex(x.dtype()) && x.dim() > 0) {  // of the parts
    Tensor y = view_as_complex(contiguous(cumsum(view_as_real(dtype ? to_dtype(x, *dtype) : x), dim, {}, {}, reverse)));
    Tensor target = into.kind == Into::inplace ? *into.tensor : y;
    return into.kind == Into::inplace ? copy_(target, y) : y;
  }
  DType type = running_dtype(x, dtype, into);
  Tensor y = destination("cumsum", x, type, into);
  run_scan("cumsum", Scan::cumsum, y, type == DType::bool_ ? to_dtype(x, type) : x, dim, reduce_type(type), reverse);
  if (Node* node = record_running("cumsum", y, x, into))
    node->backward = [dim, reverse](const Tensor& dy, Needs) -> Grads { return {cumsum(dy, dim, {}, {}, !reverse)}; };
  return y;
}

// x one place later along dim (or earlier: by = -1), with `blank` where nothing comes from.
static Tensor shifted(const Tensor& x, int64_t dim, int by, double blank) {
  Dims one = x.sizes();
  one[dim] = 1;
  Tensor gap = full(one, Scalar(blank), x.dtype(), x.device()), rest = narrow(x, dim, by > 0 ? 0 : 1, x.sizes()[dim] - 1);
  Tensor parts[] = {by > 0 ? gap : rest, by > 0 ? rest : gap};
  return cat(parts, dim);
}

// y[k] = x[k] + factor[k] y[k - 1], or with `reverse` factor[k] y[k + 1]
static Tensor recurrence(const Tensor& x, const Tensor& factor, int64_t dim, bool reverse) {
  Tensor y = empty_result(x.sizes(), x.dtype(), x);
  run_scan("recurrence", Scan::recurrence, y, x, dim, compute_type(x.dtype()), reverse, &factor);
  if (Node* node = record("recurrence", y, {x, factor}))
    node->backward = [dim, reverse, factor = Saved(factor), y = SavedOutput(y)](const Tensor& dy, Needs needs) -> Grads {
      // dx runs the other way: what reaches y[k] reaches y[k + 1] times factor[k + 1].
      Tensor dx = recurrence(dy, shifted(factor(), dim, reverse ? 1 : -1, 0), dim, !reverse);
      return {dx, needs[1] ? dx * shifted(y(), dim, reverse ? -1 : 1, 0) : Tensor()};
    };
  return y;
}

// dx[k] = (product of x before k) r[k], where r[k] = dy[k] + x[k + 1] r[k + 1] gathers what follows; zeros need no care.
static Tensor cumprod_derivative(const Tensor& x, const Tensor& y, const Tensor& dy, int64_t dim) {
  if (x.numel() == 0 || x.dim() == 0) return dy;
  return shifted(y, dim, 1, 1) * recurrence(dy, shifted(x, dim, -1, 0), dim, true);
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

// dx[k] = exp(x[k] - y[k]) r[k], where r[k] = dy[k] + exp(y[k] - y[k + 1]) r[k + 1]: no exponent is above 0, as y rises.
// Infinities are cut to the largest finite numbers, whose differences exist.
static Tensor logcumsumexp_derivative(const Tensor& x_, const Tensor& y_, const Tensor& dy, int64_t dim, bool reverse) {
  if (x_.numel() == 0 || x_.dim() == 0) return dy;
  double most = x_.dtype() == DType::float16 ? 65504 : x_.dtype() == DType::float64 ? DBL_MAX : x_.dtype() == DType::float32 ? FLT_MAX : 0x1.fep127;
  Tensor x = clamp(x_, Scalar(-most), Scalar(most)), y = clamp(y_, Scalar(-most), Scalar(most));
  Tensor share = exp(y - shifted(y, dim, reverse ? 1 : -1, most));
  return exp(x - y) * recurrence(dy, share, dim, !reverse);
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
