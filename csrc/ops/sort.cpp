// Sorting and ranks along a dimension: (values, indices). Every op is one kernel call that puts elements of some ranks in
// their places, and every derivative sends the gradient back to where the values came from.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

Dims without(Dims sizes, int64_t dim) {
  sizes.erase(dim);
  return sizes;
}

Tensor as_vector(const Tensor& x) { return x.dim() ? x : alias(x, {1}, {1}, x.offset()); }

// The elements of those ranks along dim, in their order: results have size `count` there.
Sorted ranked(const char* op, const Tensor& x_, int64_t dim, Order order, bool descending, int64_t first, int64_t count) {
  if (is_complex(x_.dtype())) fail<NotImplementedError>(op, ": not there for complex tensors (", x_.dtype(), ")");
  Tensor x = as_vector(detach(x_));
  int64_t n = x.sizes()[dim];
  check(n <= UINT32_MAX, op, ": dimensions of more than ", UINT32_MAX, " elements can't be sorted, got ", n);
  Dims sizes = x.sizes();
  sizes[dim] = count;
  Tensor values = count == n ? empty_result(sizes, x.dtype(), x) : empty(sizes, x.dtype(), x.device());
  Tensor indices = empty_strided(sizes, values.strides(), DType::int64, x.device());
  if (values.numel()) {
    auto rows = [dim](const Tensor& t) { return alias(t, without(t.sizes(), dim), without(t.strides(), dim), t.offset()); };
    Tensor value_rows = rows(values), x_rows = rows(x), index_rows = rows(indices);
    SortArgs args{order, descending, plan({&value_rows, &x_rows, &index_rows}), n, first, count,
                  values.strides()[dim] * values.item_size(), x.strides()[dim] * x.item_size(), indices.strides()[dim] * 8};
    Scratch scratch(kernels(x).sort_scratch(args), x.device());
    run(op, x, x.numel() * 8, kernels(x).sort, args, scratch.data());
  }
  if (x_.dim()) return {values, indices};
  return {alias(values, {}, {}, 0), alias(indices, {}, {}, 0)};
}

// The gradient goes to where the values came from. Without keepdim the results have lost their dimension.
Sorted with_derivative(const char* op, const Tensor& x, int64_t dim, bool keepdim, const Sorted& kept) {
  auto [values, indices] = kept;
  bool drop = !keepdim && x.dim() > 0;
  if (drop) {
    values = alias(values, without(values.sizes(), dim), without(values.strides(), dim), 0);
    indices = alias(indices, without(indices.sizes(), dim), without(indices.strides(), dim), 0);
  }
  if (Node* node = record(op, values, {x}))
    node->backward = [dim, drop, indices = Saved(indices), sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros(sizes, dy.dtype(), dy.device());
      return {scatter_(dx, dim, drop ? unsqueeze(indices(), dim) : indices(), drop ? unsqueeze(dy, dim) : dy)};
    };
  return {values, indices};
}

void check_not_empty(const char* op, const Tensor& x, int64_t dim) {
  check_index(x.dim() == 0 || x.sizes()[dim] > 0, op, ": Expected reduction dim ", dim, " to have non-zero size, got ", x.sizes());
}

Sorted one_of(const char* op, Order order, const Tensor& x, int64_t dim, bool keepdim) {
  dim = wrap_dim(op, dim, x.dim());
  check_not_empty(op, x, dim);
  return with_derivative(op, x, dim, keepdim, ranked(op, x, dim, order, false, 0, 1));
}

// Of all elements; those that equal the median share its gradient.
Tensor median_of_all(const char* op, Order order, const Tensor& x) {
  if (x.numel() == 0) return full({}, is_floating(x.dtype()) ? Scalar(std::numeric_limits<double>::quiet_NaN()) : Scalar(int64_t(0)), x.dtype(), x.device());
  Tensor flat = reshape(detach(x), {-1});
  Tensor y = alias(std::get<0>(ranked(op, flat, 0, order, false, 0, 1)), {}, {}, 0);
  if (Node* node = record(op, y, {x}))
    node->backward = [x = Saved(x), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor from = detach(x()), at = detach(y());
      Tensor chosen = to_dtype(item(isnan(at)).as_int() ? isnan(from) : eq(from, at), dy.dtype());
      return {chosen * (dy / sum(chosen))};
    };
  return y;
}

}  // namespace

Sorted sort(const Tensor& x, int64_t dim, bool descending) {
  dim = wrap_dim("sort", dim, x.dim());
  int64_t n = x.dim() ? x.sizes()[dim] : 1;
  return with_derivative("sort", x, dim, true, ranked("sort", x, dim, Order::ranks, descending, 0, n));
}

Sorted topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  dim = wrap_dim("topk", dim, x.dim());
  int64_t n = x.dim() ? x.sizes()[dim] : 1;
  check(x.dtype() != DType::bool_, "topk: does not support bool tensors");
  check(k >= 0 && k <= n, "topk: selected index k out of range: ", k, " of ", n, " elements (input is ", x.sizes(), ")");
  return with_derivative("topk", x, dim, true, ranked("topk", x, dim, Order::ranks, largest, 0, k));
}

Sorted kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
  dim = wrap_dim("kthvalue", dim, x.dim());
  check_not_empty("kthvalue", x, dim);
  int64_t n = x.dim() ? x.sizes()[dim] : 1;
  check(k >= 1 && k <= n, "kthvalue: selected number k out of range for dimension ", dim, ": ", k, " of ", n, " elements");
  return with_derivative("kthvalue", x, dim, keepdim, ranked("kthvalue", x, dim, Order::ranks, false, k - 1, 1));
}

Sorted median(const Tensor& x, int64_t dim, bool keepdim) { return one_of("median", Order::median, x, dim, keepdim); }
Sorted nanmedian(const Tensor& x, int64_t dim, bool keepdim) { return one_of("nanmedian", Order::nanmedian, x, dim, keepdim); }
Sorted mode(const Tensor& x, int64_t dim, bool keepdim) { return one_of("mode", Order::mode, x, dim, keepdim); }
Tensor median(const Tensor& x) { return median_of_all("median", Order::median, x); }
Tensor nanmedian(const Tensor& x) { return median_of_all("nanmedian", Order::nanmedian, x); }

// ---- quantiles: between the two ranks next to q * (n - 1)

namespace {

enum class Between { linear, lower, higher, midpoint, nearest };

Between parse_between(const char* op, std::string_view interpolation) {
  constexpr std::string_view names[] = {"linear", "lower", "higher", "midpoint", "nearest"};
  for (int i = 0; i < 5; ++i)
    if (interpolation == names[i]) return static_cast<Between>(i);
  fail<RuntimeError>(op, ": interpolation must be one of linear, lower, higher, midpoint or nearest, but got ", interpolation);
}

Tensor number(double value) { return wrapped_number(Scalar(value)); }

}  // namespace

Tensor quantile(const Tensor& x_, const Tensor& q_, std::optional<int64_t> dim_, bool keepdim, std::string_view interpolation, bool ignore_nan) {
  const char* op = ignore_nan ? "nanquantile" : "quantile";
  check(x_.numel() > 0, op, ": input tensor must be non-empty, got ", x_.sizes());
  check(x_.dtype() == DType::float32 || x_.dtype() == DType::float64, op, ": input tensor must be either float or double dtype, got ", x_.dtype());
  check(q_.dim() <= 1, op, ": q must be a scalar or 1D tensor, got ", q_.sizes());
  check(q_->wrapped_number || q_.dtype() == x_.dtype(), op, ": q tensor must be same dtype as the input tensor, got ", q_.dtype(), " and ", x_.dtype());
  Between between = parse_between(op, interpolation);
  Tensor q = to_device(to_dtype(q_, x_.dtype()), x_.device());
  if (q.numel()) check(item(all(binary(Binary::logical_and, ge(detach(q), number(0)), le(detach(q), number(1))))).as_int(), op, ": q must be in the range [0, 1]", q_.dim() ? std::string() : join({", got ", item(q).as_double()}));

  int64_t dim = dim_ ? wrap_dim(op, *dim_, x_.dim()) : 0;
  Dims sizes = !dim_ ? Dims::filled(x_.dim(), 1) : x_.sizes();  // of the result, for one q
  if (dim_ && x_.dim()) sizes[dim] = 1;
  if (!keepdim) sizes = dim_ && x_.dim() ? without(sizes, dim) : Dims{};
  int64_t front = 0, end = -1;
  Tensor x = !dim_ || x_.dim() == 0 ? reshape(x_, {-1}) : movedim(x_, std::span(&dim, 1), std::span(&end, 1));
  Tensor sorted = std::get<0>(sort(x, -1));
  int64_t n = sorted.size(-1);

  // The ranks asked for, [..., q]: among the numbers of a row only, or at the row's end where a NaN is to win.
  Tensor nan = isnan(detach(sorted)), ranks;
  int64_t last = sorted.dim() - 1;
  if (ignore_nan) {
    Tensor numbers = to_dtype(sum(logical_not(nan), std::span(&last, 1), true), q.dtype());
    ranks = maximum(q * (numbers - 1.0), number(0));
  } else {
    ranks = where(any(nan, std::span(&last, 1), true), number(static_cast<double>(n - 1)), q * static_cast<double>(n - 1));
  }
  if (between == Between::lower) ranks = unary(Unary::floor, ranks);
  if (between == Between::higher) ranks = unary(Unary::ceil, ranks);
  if (between == Between::nearest) ranks = unary(Unary::round, ranks);
  Tensor below = to_dtype(detach(ranks), DType::int64), y = gather(sorted, -1, below);
  if (between == Between::linear || between == Between::midpoint) {
    Tensor weight = between == Between::midpoint ? full(ranks.sizes(), Scalar(0.5), ranks.dtype(), ranks.device()) : ranks - to_dtype(below, ranks.dtype());
    y = lerp(y, gather(sorted, -1, to_dtype(unary(Unary::ceil, detach(ranks)), DType::int64)), weight);
  }
  if (q.dim()) sizes.insert(0, q.numel());  // the quantiles come first
  return reshape(movedim(y, std::span(&end, 1), std::span(&front, 1)), sizes);
}

}  // namespace tessel
