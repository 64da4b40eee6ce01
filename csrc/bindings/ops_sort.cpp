// Sorting, ranks and sets of values in Python.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

void bind_orders() {
  auto sorted = +[](const Tensor& x, int64_t dim, bool descending, bool) { return sort(x, dim, descending); };  // always stable
  add_op("sort(Tensor input, int dim=-1, bool descending=False, bool stable=False) -> (Tensor values, Tensor indices)", sorted);
  add_op("sort(Tensor input, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)", +[](const Tensor& x, bool, int64_t dim, bool descending) { return sort(x, dim, descending); });
  add_op("argsort(Tensor input, int dim=-1, bool descending=False, bool stable=False) -> Tensor", +[](const Tensor& x, int64_t dim, bool descending, bool) { return std::get<1>(sort(detach(x), dim, descending)); });
  add_op("msort(Tensor input) -> Tensor", +[](const Tensor& x) { return std::get<0>(sort(x, 0)); });
  add_op("topk(Tensor input, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)", +[](const Tensor& x, int64_t k, int64_t dim, bool largest, bool) { return topk(x, k, dim, largest); });
  add_op("kthvalue(Tensor input, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", &kthvalue);
  add_op("mode(Tensor input, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", &mode);
  add_op("median(Tensor input) -> Tensor", +[](const Tensor& x) { return median(x); });
  add_op("median(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", +[](const Tensor& x, int64_t dim, bool keepdim) { return median(x, dim, keepdim); }, "The lower one of two.");
  add_op("nanmedian(Tensor input) -> Tensor", +[](const Tensor& x) { return nanmedian(x); });
  add_op("nanmedian(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", +[](const Tensor& x, int64_t dim, bool keepdim) { return nanmedian(x, dim, keepdim); });
  add_op("quantile(Tensor input, Tensor|Scalar q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor",
         +[](const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, const std::string& how) { return quantile(x, q, dim, keepdim, how, false); });
  add_op("nanquantile(Tensor input, Tensor|Scalar q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor",
         +[](const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, const std::string& how) { return quantile(x, q, dim, keepdim, how, true); });
}

// (values, inverse, counts) as far as they were asked for; values alone come as they are.
PyObject* asked_for(const std::tuple<Tensor, Tensor, Tensor>& found, bool inverse, bool counts) {
  if (!inverse && !counts) return wrap(std::get<0>(found));
  std::vector<Tensor> list{std::get<0>(found)};
  if (inverse) list.push_back(std::get<1>(found));
  if (counts) list.push_back(std::get<2>(found));
  return wrap(list);
}

bool to_right(bool right, const std::optional<std::string>& side) {
  if (!side) return right;
  check(*side == "left" || *side == "right", "searchsorted: side can only be 'left' or 'right' but got ", *side);
  check(!right || *side == "right", "searchsorted: side and right can't be set to opposites, got side of ", *side, " while right was True");
  return *side == "right";
}

}  // namespace

void bind_sort() {
  bind_orders();
  add_op("unique(Tensor input, bool sorted=True, bool return_inverse=False, bool return_counts=False, int? dim=None)",
         +[](const Tensor& x, bool, bool inverse, bool counts, std::optional<int64_t> dim) { return asked_for(unique(x, dim), inverse, counts); }, "The different values, sorted.");
  add_op("unique_consecutive(Tensor input, bool return_inverse=False, bool return_counts=False, int? dim=None)",
         +[](const Tensor& x, bool inverse, bool counts, std::optional<int64_t> dim) { return asked_for(unique_consecutive(x, dim), inverse, counts); });
  auto is_in = +[](const Tensor& x, const Tensor& test, bool, bool invert) { return isin(x, test, invert); };
  add_op("isin(Tensor elements, Tensor|Scalar test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor", is_in, "", kFunction);
  add_op("isin(Scalar element, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor", is_in, "", kFunction);
  add_op("searchsorted(Tensor sorted_sequence, Tensor|Scalar input, *, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor",
         +[](const Tensor& sorted, const Tensor& values, bool narrow, bool right, const std::optional<std::string>& side, const Tensor& sorter) { return searchsorted(sorted, values, narrow, to_right(right, side), sorter); }, "", kFunction);
  add_op("bucketize(Tensor|Scalar input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor", +[](const Tensor& values, const Tensor& boundaries, bool narrow, bool right) {
    check(boundaries.dim() == 1, "bucketize: boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(), ")");
    return searchsorted(boundaries, values, narrow, right);
  }, "", kFunction);
}

}  // namespace tessel::python
