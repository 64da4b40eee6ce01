// Indexing by name in Python (x[key] is in indexing.cpp): gather and scatter, index_*, masks, embeddings.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

// Signatures made at import live as long as the process.
const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

// An op out of place as function and method, and in place as method.
template <class F, class G>
void add_both(const char* name, const char* parameters, F function, G inplace) {
  std::string n(name), p(parameters);
  add_op(keep(n + "(Tensor input, " + p + ") -> Tensor"), function);
  add_op(keep(n + "_(Tensor input, " + p + ") -> Tensor"), inplace, "", kMethod);
}

// scatter's old `reduce`: add or multiply.
const char* old_reduce(const std::string& reduce) {
  check(reduce == "add" || reduce == "multiply", "scatter: reduce argument must be either add or multiply, got ", reduce);
  return reduce == "add" ? "sum" : "prod";
}

Tensor filled(const Tensor& index, Scalar value, DType dtype) { return expand(to_dtype(wrapped_number(checked(value, dtype)), dtype), index.sizes()); }

Tensor gather_out(const Tensor& x, int64_t dim, const Tensor& index, bool, const Into& out) {
  if (!out) return gather(x, dim, index);
  const Tensor& y = *out.tensor;
  check(!wants_grad({x, y}), "gather: functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
  check(y.dtype() == x.dtype(), "gather: Expected out tensor to have dtype ", x.dtype(), ", but got ", y.dtype(), " instead");
  Tensor found = gather(x, dim, index), to = y;
  resize_for_out("gather", y, found.sizes());
  return copy_(to, found);
}

void bind_scatter() {
  add_op("gather(Tensor input, int dim, Tensor index, *, bool sparse_grad=False, Tensor? out=None) -> Tensor", &gather_out, "Elements along dim by position.", kFunction);
  add_op("gather(Tensor input, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", +[](const Tensor& x, int64_t dim, const Tensor& index, bool) { return gather(x, dim, index); }, "", kMethod);
  add_both("scatter", "int dim, Tensor index, Tensor src", &scatter, &scatter_);
  add_both("scatter", "int dim, Tensor index, Scalar value",
           +[](const Tensor& x, int64_t dim, const Tensor& index, Scalar value) { return scatter(x, dim, index, wrapped_number(checked(value, x.dtype()))); },
           +[](Tensor& x, int64_t dim, const Tensor& index, Scalar value) -> Tensor& { return scatter_(x, dim, index, wrapped_number(checked(value, x.dtype()))); });
  add_both("scatter", "int dim, Tensor index, Tensor src, *, str reduce",
           +[](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce) { return scatter_reduce(x, dim, index, src, old_reduce(reduce)); },
           +[](Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce) -> Tensor& { return scatter_reduce_(x, dim, index, src, old_reduce(reduce)); });
  add_both("scatter", "int dim, Tensor index, Scalar value, *, str reduce",
           +[](const Tensor& x, int64_t dim, const Tensor& index, Scalar value, const std::string& reduce) { return scatter_reduce(x, dim, index, filled(index, value, x.dtype()), old_reduce(reduce)); },
           +[](Tensor& x, int64_t dim, const Tensor& index, Scalar value, const std::string& reduce) -> Tensor& { return scatter_reduce_(x, dim, index, filled(index, value, x.dtype()), old_reduce(reduce)); });
  add_both("scatter_add", "int dim, Tensor index, Tensor src", &scatter_add, &scatter_add_);
  add_both("scatter_reduce", "int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True",
           +[](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce, bool self) { return scatter_reduce(x, dim, index, src, reduce, self); },
           +[](Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, const std::string& reduce, bool self) -> Tensor& { return scatter_reduce_(x, dim, index, src, reduce, self); });
}

void bind_index() {
  add_op("index_select(Tensor input, int dim, Tensor index) -> Tensor", &index_select);
  add_both("index_add", "int dim, Tensor index, Tensor source, *, Scalar alpha=1", &index_add, &index_add_);
  add_both("index_copy", "int dim, Tensor index, Tensor source", &index_copy, &index_copy_);
  add_both("index_fill", "int dim, Tensor index, Tensor value", &index_fill, &index_fill_);
  add_both("index_fill", "int dim, Tensor index, Scalar value",
           +[](const Tensor& x, int64_t dim, const Tensor& index, Scalar value) { return index_fill(x, dim, index, wrapped_number(checked(value, x.dtype()))); },
           +[](Tensor& x, int64_t dim, const Tensor& index, Scalar value) -> Tensor& { return index_fill_(x, dim, index, wrapped_number(checked(value, x.dtype()))); });
  add_both("index_reduce", "int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True",
           +[](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const std::string& reduce, bool self) { return index_reduce(x, dim, index, source, reduce, self); },
           +[](Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const std::string& reduce, bool self) -> Tensor& { return index_reduce_(x, dim, index, source, reduce, self); });
  add_both("index_put", "Tensor[] indices, Tensor values, bool accumulate=False", &index_put, &index_put_);
  add_op("take(Tensor input, Tensor index) -> Tensor", &take, "Elements of the flattened tensor.");
  add_both("put", "Tensor index, Tensor source, bool accumulate=False",
           +[](const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) {
             Tensor y = clone(x);
             return put_(y, index, source, accumulate);
           }, &put_);
  add_op("take_along_dim(Tensor input, Tensor indices, int? dim=None) -> Tensor", &take_along_dim);
}

void bind_masks() {
  add_op("nonzero(Tensor input, *, bool as_tuple=False)", +[](const Tensor& x, bool as_tuple) -> PyObject* { return as_tuple ? wrap(nonzero_as_tuple(x)) : wrap(nonzero(x)); },
         "Where elements are not zero: one position a row, or one tensor for each dimension.");
  add_op("nonzero_static(Tensor input, *, int size, int fill_value=-1) -> Tensor", &nonzero_static);
  add_op("argwhere(Tensor input) -> Tensor", &nonzero);
  add_op("where(Tensor condition)", &nonzero_as_tuple, "", kFunction);
  add_op("where(Tensor condition, Tensor|Scalar input, Tensor|Scalar other, *, Tensor? out=None) -> Tensor", +[](const Tensor& condition, const Tensor& a, const Tensor& b, const Into& out) { return where(condition, a, b, out); },
         "input where the condition holds, else other.", kFunction);
  add_op("where(Tensor input, Tensor condition, Tensor|Scalar other) -> Tensor", +[](const Tensor& a, const Tensor& condition, const Tensor& b) { return where(condition, a, b); }, "", kMethod);
  add_both("masked_fill", "Tensor mask, Tensor|Scalar value", &masked_fill, &masked_fill_);
  add_both("masked_scatter", "Tensor mask, Tensor source", &masked_scatter, &masked_scatter_);
  add_op("masked_select(Tensor input, Tensor mask) -> Tensor", &masked_select);
}

Tensor embedding_in_python(const Tensor& index, Tensor weight, std::optional<int64_t> padding_idx, std::optional<double> max_norm, double norm_type, bool by_freq, bool) {
  if (max_norm) embedding_renorm_(weight, index, *max_norm, norm_type);
  return embedding(index, weight, padding_idx, by_freq);
}

Tensor embedding_bag_in_python(const Tensor& index, Tensor weight, const Tensor& offsets, std::optional<double> max_norm, double norm_type, bool by_freq, const std::string& mode, bool,
                               const Tensor& sample_weights, bool include_last_offset, std::optional<int64_t> padding_idx) {
  if (max_norm) embedding_renorm_(weight, index, *max_norm, norm_type);
  return embedding_bag(index, weight, offsets, mode, sample_weights, include_last_offset, padding_idx, by_freq);
}

}  // namespace

void bind_indexing() {
  bind_scatter();
  bind_index();
  bind_masks();
  add_op("embedding(Tensor input, Tensor weight, int? padding_idx=None, float? max_norm=None, float norm_type=2.0, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor", &embedding_in_python,
         "Rows of weight (n, d) by number: (*) -> (*, d). The gradient is dense, sparse or not.", kNN);
  add_op("embedding_bag(Tensor input, Tensor weight, Tensor? offsets=None, float? max_norm=None, float norm_type=2.0, bool scale_grad_by_freq=False, str mode='mean', bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, int? padding_idx=None) -> Tensor",
         &embedding_bag_in_python, "Bags of rows, summed, averaged or their greatest: (bags, d).", kNN);
  add_op("one_hot(Tensor tensor, int num_classes=-1) -> Tensor", &one_hot, "", kNN);
  add_op("histc(Tensor input, int bins=100, float min=0, float max=0) -> Tensor", &histc);
  add_op("bincount(Tensor input, Tensor? weights=None, int minlength=0) -> Tensor", &bincount);
}

}  // namespace tessel::python
