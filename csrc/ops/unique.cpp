// Which values there are: unique, isin, and searching in sorted ones.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Groups of equal neighbours among `rows` along dimension 0, where `order` (if any) says which rows of the input they are.
std::tuple<Tensor, Tensor, Tensor> groups(const Tensor& rows, const Tensor& order) {
  int64_t n = rows.sizes()[0];
  if (n == 0) return {rows, empty({0}, DType::int64, rows.device()), empty({0}, DType::int64, rows.device())};
  Tensor differs = ne(narrow(rows, 0, 1, n - 1), narrow(rows, 0, 0, n - 1));
  if (differs.dim() > 1) {
    int64_t rest = 1;
    differs = any(flatten(differs, 1, -1), std::span(&rest, 1));
  }
  Tensor begins[] = {ones({1}, DType::bool_, rows.device()), differs};
  Tensor marks = cat(begins), starts = nonzero_as_tuple(marks)[0];
  Tensor group = sub(cumsum(marks, 0), wrapped_number(Scalar(1))), inverse = group;
  if (order.defined()) {
    inverse = empty({n}, DType::int64, rows.device());
    scatter_(inverse, 0, order, group);
  }
  int64_t count = starts.numel();
  Tensor ends[] = {narrow(starts, 0, 1, count - 1), full({1}, Scalar(n), DType::int64, rows.device())};
  return {index_select(rows, 0, starts), inverse, sub(cat(ends), starts)};
}

Tensor sorted_rows(const Tensor& rows) {
  int64_t n = rows.sizes()[0];
  Tensor order = empty({n}, DType::int64, rows.device()), room = empty({n}, DType::int64, rows.device());
  SortRowsArgs args{rows.dtype(), n, n ? rows.numel() / n : 0, rows.data(), order.data_as<int64_t>(), room.data_as<int64_t>()};
  if (n) run("unique", rows, rows.numel() * 8, kernels(rows).sort_rows, args);
  return order;
}

std::tuple<Tensor, Tensor, Tensor> unique_along(const char* op, const Tensor& x_, std::optional<int64_t> dim_, bool consecutive) {
  Tensor x = detach(x_);
  if (!dim_) {
    Tensor flat = reshape(x, {-1}), order;
    if (!consecutive) std::tie(flat, order) = sort(flat);
    auto [values, inverse, counts] = groups(flat, order);
    return {values, reshape(inverse, x.sizes()), counts};
  }
  int64_t dim = wrap_dim(op, *dim_, x.dim()), front = 0;
  if (x.dim() == 0) return unique_along(op, x_, {}, consecutive);
  bool empty_rows = false;
  for (int64_t d = 0; d < x.dim(); ++d) empty_rows = empty_rows || (d != dim && x.sizes()[d] == 0);
  check(!empty_rows || x.sizes()[dim] == 0, op, ": There are 0 sized dimensions, and they aren't selected, so unique cannot be applied (input is ", x.sizes(), ")");
  Tensor rows = contiguous(movedim(x, std::span(&dim, 1), std::span(&front, 1))), order;
  if (!consecutive) {
    order = sorted_rows(rows);
    rows = index_select(rows, 0, order);
  }
  auto [values, inverse, counts] = groups(rows, order);
  return {movedim(values, std::span(&front, 1), std::span(&dim, 1)), inverse, counts};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& x, std::optional<int64_t> dim) { return unique_along("unique", x, dim, false); }
std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& x, std::optional<int64_t> dim) { return unique_along("unique_consecutive", x, dim, true); }

Tensor searchsorted(const Tensor& sorted_, const Tensor& values_, bool narrow, bool right, const Tensor& sorter_) {
  const char* op = "searchsorted";
  DType type = result_type({&sorted_, &values_});
  check(sorted_.dim() > 0, op, ": boundaries tensor should have at least 1 dimension");
  int64_t n = sorted_.size(-1), rows = n ? sorted_.numel() / n : 0;
  bool shared = sorted_.dim() == 1;
  check(shared || values_.dim() > 0, op, ": input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor ", sorted_.sizes());
  bool fits = shared || sorted_.dim() == values_.dim();
  for (int64_t d = 0; fits && !shared && d + 1 < sorted_.dim(); ++d) fits = sorted_.sizes()[d] == values_.sizes()[d];
  check(fits, op, ": boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor ",
        sorted_.sizes(), " and input value tensor ", values_.sizes());
  check(sorted_.device() == values_.device() || values_.dim() == 0, op, ": boundaries and input value tensors should have same device, got ", device_name(sorted_.device()), " and ", device_name(values_.device()));
  check(!narrow || n < INT32_MAX, op, ": the size of boundaries' last dimension should be less than ", INT32_MAX, " for out_int32=True, but we got ", n);
  Tensor sorted = contiguous(to_dtype(detach(sorted_), type)), values = contiguous(to_device(to_dtype(detach(values_), type), sorted_.device())), sorter;
  if (sorter_.defined()) {
    check(sorter_.sizes() == sorted_.sizes(), op, ": boundary and sorter must have the same size, but got boundary tensor ", sorted_.sizes(), " and got sorter tensor ", sorter_.sizes());
    check(sorter_.dtype() == DType::int64, op, ": sorter must be a tensor of long dtype but got dtype ", sorter_.dtype());
    sorter = contiguous(detach(sorter_));
    if (n) check(item(all(binary(Binary::logical_and, ge(sorter, wrapped_number(Scalar(0))), lt(sorter, wrapped_number(Scalar(n)))))).as_int(), op, ": sorter index out of range");
  }
  Tensor y = empty(values_.sizes(), narrow ? DType::int32 : DType::int64, sorted_.device());
  int64_t m = shared ? values.numel() : values.dim() ? values.size(-1) : 1;
  if (y.numel()) {
    SearchArgs args{type, shared ? 1 : m ? values.numel() / m : rows, n, m, sorted.data(), values.data(), sorter.defined() ? sorter.data_as<int64_t>() : nullptr, y.data(), shared, right, narrow};
    run(op, values, values.numel() * 16, kernels(y).search, args);
  }
  return y;
}

Tensor isin(const Tensor& elements, const Tensor& test, bool invert) {
  Device device = elements.dim() == 0 ? test.device() : elements.device();
  if (test.numel() == 0 || elements.numel() == 0) return full(elements.sizes(), Scalar(invert), DType::bool_, device);
  DType type = result_type({&elements, &test});
  Tensor known = std::get<0>(sort(to_dtype(reshape(detach(test), {-1}), type))), x = to_device(to_dtype(detach(elements), type), device);
  Tensor at = minimum(searchsorted(known, x), wrapped_number(Scalar(known.numel() - 1)));
  Tensor found = reshape(index_select(known, 0, reshape(at, {-1})), elements.sizes());
  return invert ? ne(x, found) : eq(x, found);
}

}  // namespace tessel
