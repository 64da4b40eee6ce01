// Reductions and scans in Python.
#include <cmath>

#include "bindings/registry.h"

namespace tessel::python {

namespace {

const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

bool is_named(PyObject* p, const char* name) { return PyUnicode_Check(p) && PyUnicode_CompareWithASCIIString(p, name) == 0; }

// The p of a norm over all dimensions alike: a number, "fro" or None.
double order_of(const char* op, PyObject* p) {
  if (p == Py_None || is_named(p, "fro")) return 2;
  check(!PyUnicode_Check(p), op, ": expected the order of a norm to be a number, 'fro' or 'nuc'");
  return to_double(p);
}

Tensor torch_norm(const Tensor& x, PyObject* p, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  if (is_named(p, "nuc")) {
    check(!dims.empty() || x.dim() == 2, "norm: the nuclear norm needs two dimensions, but the input has ", x.dim());
    return nuclear_norm(x, dims.empty() ? Dims{0, 1} : dims, keepdim, dtype);
  }
  return norm(x, order_of("norm", p), dims, keepdim, dtype);
}

Tensor norm_of_matrices(const Tensor& x, PyObject* ord, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  check(x.dim() >= 2, "matrix_norm: The input tensor A must have at least 2 dimensions.");
  check(dims.size() == 2, "matrix_norm: dim must be a 2-tuple, got ", dims);
  if (is_named(ord, "nuc")) return nuclear_norm(x, dims, keepdim, dtype);
  return ord == Py_None || PyUnicode_Check(ord) ? norm(x, order_of("matrix_norm", ord), dims, keepdim, dtype) : matrix_norm(x, to_double(ord), dims, keepdim, dtype);
}

Tensor linalg_norm(const Tensor& x, PyObject* ord, std::optional<Dims> dims, bool keepdim, std::optional<DType> dtype) {
  if (ord == Py_None) return norm(x, 2, dims.value_or(Dims()), keepdim, dtype);
  if (!dims) {
    check(x.dim() == 1 || x.dim() == 2, "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got ", x.dim(), "D.");
    dims = x.dim() == 1 ? Dims{0} : Dims{0, 1};
  }
  check(dims->size() == 1 || dims->size() == 2, "linalg.norm: If dim is specified, it must be of length 1 or 2. Got ", *dims);
  if (dims->size() == 2) return norm_of_matrices(x, ord, *dims, keepdim, dtype);
  check(!PyUnicode_Check(ord), "linalg.norm: only a number can be the order of a vector's norm");
  return norm(x, to_double(ord), *dims, keepdim, dtype);
}

void bind_sums() {
  add_op("sum(Tensor input, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype) { return sum(x, {}, false, dtype); });
  add_op("sum(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &sum, "The sum over the given dimensions (all for None).");
  add_op("mean(Tensor input, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype) { return mean(x, {}, false, dtype); });
  add_op("mean(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &mean, "The mean over the given dimensions (all for None).");
  add_op("nansum(Tensor input, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &nansum, "The sum, a NaN counted as 0.");
  add_op("nanmean(Tensor input, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &nanmean, "The mean of what is not NaN.");
  add_op("prod(Tensor input, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype) { return prod(x, {}, false, dtype); });
  add_op("prod(Tensor input, int dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &prod, "The product over a dimension (all without one).");
  add_op("sum_to_size(Tensor input, int[*] size) -> Tensor", &sum_to_size, "The sum over the dimensions that broadcasting from `size` would stretch.", kMethod);
  add_op("count_nonzero(Tensor input, int[1]? dim=None) -> Tensor", &count_nonzero, "How many elements are not zero.");
  add_op("logsumexp(Tensor input, int[1] dim, bool keepdim=False) -> Tensor", &logsumexp, "log(sum(exp(x))), without overflow.");

  // No dimensions at all leave the truth of each element.
  auto any_of = +[](const Tensor& x, std::optional<Dims> dims, bool keepdim) { return dims && dims->empty() ? truth(x) : any(x, dims.value_or(Dims()), keepdim); };
  auto all_of = +[](const Tensor& x, std::optional<Dims> dims, bool keepdim) { return dims && dims->empty() ? truth(x) : all(x, dims.value_or(Dims()), keepdim); };
  add_op("any(Tensor input, int[1]? dim=None, bool keepdim=False) -> Tensor", any_of, "Is any element not zero?");
  add_op("all(Tensor input, int[1]? dim=None, bool keepdim=False) -> Tensor", all_of, "Is no element zero?");
}

void bind_norms() {
  add_op("norm(Tensor input, object p='fro', int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &torch_norm,
         "sum(|x|^p)^(1/p); infinite p give the largest and the smallest |x|, 0 the number of elements other than zero.");
  add_op("renorm(Tensor input, float p, int dim, float maxnorm) -> Tensor", &renorm, "Every slice along dim shrunk so that its p-norm is at most maxnorm.");
  add_op("renorm_(Tensor input, float p, int dim, float maxnorm) -> Tensor", +[](Tensor& x, double p, int64_t dim, double most) -> Tensor& { return copy_(x, renorm(clone(x), p, dim, most)); }, "", kMethod);
  add_op("dist(Tensor input, Tensor other, float p=2.0) -> Tensor", &dist, "The p-norm of input - other.");
  add_op("vector_norm(Tensor x, float ord=2.0, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &norm, "The norm of vectors along the given dimensions (of all elements for None).", kLinalg);
  add_op("matrix_norm(Tensor A, object ord='fro', int[] dim=(-2, -1), bool keepdim=False, *, dtype? dtype=None) -> Tensor", &norm_of_matrices, "The norm of matrices over two dimensions: 'fro', 'nuc', 2, -2, 1, -1, inf or -inf.", kLinalg);
  add_op("norm(Tensor A, object ord=None, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &linalg_norm, "vector_norm over one dimension (or all, without ord), matrix_norm over two.", kLinalg);

  // correction: what is taken from the count; unbiased: 1 or 0.
  auto add_moment = []<Tensor (*op)(const Tensor&, Ints, double, bool)>(const std::string& name) {
    add_op(keep(name + "(Tensor input, bool unbiased) -> Tensor"), +[](const Tensor& x, bool unbiased) { return op(x, {}, unbiased, false); });
    add_op(keep(name + "(Tensor input, int[1]? dim=None, *, Scalar? correction=1, bool keepdim=False) -> Tensor"), +[](const Tensor& x, const Dims& dims, std::optional<Scalar> correction, bool keepdim) {
      return op(x, dims, correction.value_or(Scalar(1)).as_double(), keepdim);
    });
    add_op(keep(name + "(Tensor input, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor"), +[](const Tensor& x, const Dims& dims, bool unbiased, bool keepdim) { return op(x, dims, unbiased, keepdim); });
    using Pair = std::tuple<Tensor, Tensor>;
    std::string both = name + "_mean";
    add_op(keep(both + "(Tensor input, bool unbiased) -> (Tensor, Tensor)"), +[](const Tensor& x, bool unbiased) { return Pair(op(x, {}, unbiased, false), mean(x)); }, "", kFunction);
    add_op(keep(both + "(Tensor input, int[1]? dim=None, *, Scalar? correction=1, bool keepdim=False) -> (Tensor, Tensor)"), +[](const Tensor& x, const Dims& dims, std::optional<Scalar> correction, bool keepdim) {
      return Pair(op(x, dims, correction.value_or(Scalar(1)).as_double(), keepdim), mean(x, dims, keepdim));
    }, "", kFunction);
    add_op(keep(both + "(Tensor input, int[1]? dim, bool unbiased=True, bool keepdim=False) -> (Tensor, Tensor)"), +[](const Tensor& x, const Dims& dims, bool unbiased, bool keepdim) {
      return Pair(op(x, dims, unbiased, keepdim), mean(x, dims, keepdim));
    }, "", kFunction);
  };
  add_moment.template operator()<&var>("var");
  add_moment.template operator()<&deviation>("std");
}

void bind_extremes() {
  add_op("max(Tensor input) -> Tensor", +[](const Tensor& x) { return max(x); }, "The largest element; a NaN is larger than all.");
  add_op("max(Tensor input, Tensor other) -> Tensor", &maximum);
  add_op("max(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", +[](const Tensor& x, int64_t dim, bool keepdim) { return max(x, dim, keepdim); });
  add_op("min(Tensor input) -> Tensor", +[](const Tensor& x) { return min(x); }, "The smallest element; a NaN is smaller than all.");
  add_op("min(Tensor input, Tensor other) -> Tensor", &minimum);
  add_op("min(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", +[](const Tensor& x, int64_t dim, bool keepdim) { return min(x, dim, keepdim); });
  add_op("amax(Tensor input, int[1] dim=(), bool keepdim=False) -> Tensor", &amax, "The largest elements over dimensions; equals share the gradient.");
  add_op("amin(Tensor input, int[1] dim=(), bool keepdim=False) -> Tensor", &amin, "The smallest elements over dimensions; equals share the gradient.");
  add_op("aminmax(Tensor input, *, int? dim=None, bool keepdim=False, Tensor[]? out=None) -> (Tensor min, Tensor max)", +[](const Tensor& x, std::optional<int64_t> dim, bool keepdim, const std::vector<Tensor>& out) {
    Extremes result = aminmax(x, dim, keepdim);
    if (out.empty()) return result;
    check(out.size() == 2, "aminmax: out= must be a tuple of 2 tensors");
    const Tensor* from[] = {&std::get<0>(result), &std::get<1>(result)};
    for (int i = 0; i < 2; ++i) {
      check(out[i].dtype() == x.dtype(), "aminmax: Expected out tensor to have dtype ", x.dtype(), ", but got ", out[i].dtype(), " instead");
      resize_for_out("aminmax", out[i], from[i]->sizes());
      copy_(Tensor(out[i]), *from[i]);
    }
    return Extremes{out[0], out[1]};
  }, "The smallest and the largest element, along dim or of all.");
  add_op("argmax(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", &argmax, "Where the largest element stands first (in the flattened tensor for None).");
  add_op("argmin(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", &argmin, "Where the smallest element stands first (in the flattened tensor for None).");
}

void bind_scans() {
  add_op("cumsum(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, int64_t dim, std::optional<DType> dtype) { return cumsum(x, dim, dtype); }, "Running sums along dim.");
  add_op("cumsum_(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", +[](Tensor& x, int64_t dim, std::optional<DType> dtype) -> Tensor& { cumsum(x, dim, dtype, Into::over(x)); return x; }, "", kMethod);
  add_op("cumprod(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, int64_t dim, std::optional<DType> dtype) { return cumprod(x, dim, dtype); }, "Running products along dim.");
  add_op("cumprod_(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", +[](Tensor& x, int64_t dim, std::optional<DType> dtype) -> Tensor& { cumprod(x, dim, dtype, Into::over(x)); return x; }, "", kMethod);
  add_op("logcumsumexp(Tensor input, int dim) -> Tensor", +[](const Tensor& x, int64_t dim) { return logcumsumexp(x, dim); }, "log of the running sums of exp(x), without overflow.");
  add_op("cummax(Tensor input, int dim) -> (Tensor values, Tensor indices)", &cummax, "The largest so far, and where it stood last.");
  add_op("cummin(Tensor input, int dim) -> (Tensor values, Tensor indices)", &cummin, "The smallest so far, and where it stood last.");
  add_op("diff(Tensor input, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor", &diff, "n-th differences of neighbours along dim.");
  for (std::string name : {"trapezoid", "trapz"}) {
    add_op(keep(name + "(Tensor y, Tensor x, *, int dim=-1) -> Tensor"), +[](const Tensor& y, const Tensor& x, int64_t dim) { return trapezoid(y, x, 1, dim); }, "The integral of samples y at the places x, by the trapezoidal rule.", kFunction);
    add_op(keep(name + "(Tensor y, *, float dx=1.0, int dim=-1) -> Tensor"), +[](const Tensor& y, double dx, int64_t dim) { return trapezoid(y, {}, dx, dim); }, "", kFunction);
  }
  add_op("cumulative_trapezoid(Tensor y, Tensor x, *, int dim=-1) -> Tensor", +[](const Tensor& y, const Tensor& x, int64_t dim) { return cumulative_trapezoid(y, x, 1, dim); }, "The running integral of samples y at the places x.", kFunction);
  add_op("cumulative_trapezoid(Tensor y, *, float dx=1.0, int dim=-1) -> Tensor", +[](const Tensor& y, double dx, int64_t dim) { return cumulative_trapezoid(y, {}, dx, dim); }, "", kFunction);
  add_op("cov(Tensor input, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor", &cov, "Covariances of the rows, whose columns are observations.");
  add_op("corrcoef(Tensor input) -> Tensor", &corrcoef, "Correlations of the rows, whose columns are observations.");
}

}  // namespace

void bind_reduce() {
  bind_sums();
  bind_norms();
  bind_extremes();
  bind_scans();
}

}  // namespace tessel::python
