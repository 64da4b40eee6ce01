// Matrix products in Python.
#include <string>

#include "bindings/registry.h"
#include "ops/complex.h"

namespace tessel::python {

namespace {

const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

// Labels given as ints, as einsum's equation has them.
std::string letters(PyObject* labels) {
  Object list(expect(PySequence_Fast(labels, "einsum: expected a list of subscripts")));
  std::string text;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(list.get(), i);
    if (item == Py_Ellipsis) {
      text += "...";
      continue;
    }
    int64_t label = to_int(item);
    check_value(label >= 0 && label < 52, "einsum: not all subscripts in the operand list are in [0, 52), found ", label);
    text += static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26);
  }
  return text;
}

Tensor einsum_call(PyObject* given) {
  Py_ssize_t n = PyTuple_GET_SIZE(given);
  check_value(n >= 2, "einsum: must specify the equation string and at least one operand, or at least one operand and its subscripts list");
  auto at = [given](Py_ssize_t i) { return PyTuple_GET_ITEM(given, i); };
  std::string equation;
  std::vector<Tensor> xs;
  auto add = [&xs](PyObject* o) {
    check_type(is_tensor(o), "einsum: operands must be tensors, got ", Py_TYPE(o)->tp_name);
    xs.push_back(to_tensor(o));
  };
  if (is_tensor(at(0))) {
    for (Py_ssize_t i = 0; i + 1 < n; i += 2) {
      if (i) equation += ",";
      add(at(i));
      equation += letters(at(i + 1));
    }
    if (n % 2) equation += "->" + letters(at(n - 1));
  } else {
    equation = Cast<std::string>::from(at(0));
    if (n == 2 && (PyTuple_Check(at(1)) || PyList_Check(at(1))))
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(at(1)); ++i) add(PySequence_Fast_GET_ITEM(at(1), i));
    else
      for (Py_ssize_t i = 1; i < n; ++i) add(at(i));
  }
  return einsum(equation, xs);
}

// dims: how many of the last and first dimensions, or two lists of them.
Tensor tensordot_call(const Tensor& a, const Tensor& b, PyObject* dims) {
  if (!PyTuple_Check(dims) && !PyList_Check(dims) && !(is_tensor(dims) && impl_of(dims)->numel != 1)) {
    int64_t n = to_int(dims);
    check(n >= 0, "tensordot: expects dims >= 0, but got dims=", n);
    check(n <= a.dim() && n <= b.dim(), "tensordot: expects dims < ndim_a or ndim_b, but got dims=", n, " for ", a.dim(), " and ", b.dim(), " dimensions");
    Dims left, right;
    for (int64_t i = 0; i < n; ++i) left.push_back(a.dim() - n + i), right.push_back(i);
    return tensordot(a, b, left, right);
  }
  Object list(is_tensor(dims) ? expect(PyObject_CallMethod(dims, "tolist", nullptr)) : Py_NewRef(dims));
  check(PySequence_Size(list.get()) == 2, "tensordot: dims must be an int or two lists of dimensions");
  Object left(PySequence_GetItem(list.get(), 0)), right(PySequence_GetItem(list.get(), 1));
  return tensordot(a, b, Cast<Dims>::from(left.get()), Cast<Dims>::from(right.get()));
}

// name(input, a, b, *, beta, alpha) and its in-place method.
using Added = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, Scalar, Scalar, const Into&);
template <Added op>
void add_sum(const std::string& name, const std::string& a, const std::string& b, const char* doc) {
  std::string parameters = "(Tensor input, Tensor " + a + ", Tensor " + b + ", *, Scalar beta=1, Scalar alpha=1) -> Tensor";
  add_op(keep(name + parameters), +[](const Tensor& x, const Tensor& left, const Tensor& right, Scalar beta, Scalar alpha) { return op(x, left, right, beta, alpha, {}); }, doc);
  add_op(keep(name + "_" + parameters), +[](Tensor& x, const Tensor& left, const Tensor& right, Scalar beta, Scalar alpha) -> Tensor& { op(x, left, right, beta, alpha, Into::over(x)); return x; }, "", kMethod);
}

}  // namespace

void bind_matmul() {
  add_op("matmul(Tensor input, Tensor other) -> Tensor", &matmul, "The matrix product; leading dimensions broadcast.", kBoth | kLinalg);
  add_op("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", +[](const Tensor& x, const Tensor& w, const Tensor& b) { return linear(x, w, b); },
         "input @ weight.T + bias: (*, in) x (out, in) -> (*, out)", kNN);
  add_op("linear(Tensor input, Tensor weight, Tensor? bias, str activation, bool inplace=False) -> Tensor",
         &linear, "linear and an activation in one pass over the result: the same values and history as one after the other.", kPrivate);
  add_op("mm(Tensor input, Tensor mat2) -> Tensor", &mm, "The product of two matrices.");
  add_op("bmm(Tensor input, Tensor mat2) -> Tensor", &bmm, "The products of two stacks of matrices.");
  add_op("mv(Tensor input, Tensor vec) -> Tensor", &mv, "The product of a matrix and a vector.");
  add_op("dot(Tensor input, Tensor tensor) -> Tensor", &dot, "The sum of the products of two vectors.");
  add_op("vdot(Tensor input, Tensor other) -> Tensor", +[](const Tensor& a, const Tensor& b) { return dot(conj(a), b); }, "The sum of the products of two vectors, the first of them conjugated.");
  add_op("inner(Tensor input, Tensor other) -> Tensor", &inner, "Products summed over the last dimension of both.");
  add_op("outer(Tensor input, Tensor vec2) -> Tensor", &outer, "All products of the elements of two vectors.");
  add_op("ger(Tensor input, Tensor vec2) -> Tensor", &outer);
  add_sum<&addmm>("addmm", "mat1", "mat2", "beta * input + alpha * (mat1 @ mat2)");
  add_sum<&addmv>("addmv", "mat", "vec", "beta * input + alpha * (mat @ vec)");
  add_sum<&addr>("addr", "vec1", "vec2", "beta * input + alpha * outer(vec1, vec2)");
  add_sum<&baddbmm>("baddbmm", "batch1", "batch2", "beta * input + alpha * (batch1 @ batch2)");
  add_sum<&addbmm>("addbmm", "batch1", "batch2", "beta * input + alpha * (batch1 @ batch2).sum(0)");
  add_op("einsum(object[*] operands) -> Tensor", &einsum_call, "einsum(equation, *tensors): products summed over the labels that '->' drops. Also einsum(a, [0, 1], b, [1, 2], [0, 2]).", kFunction);
  add_op("tensordot(Tensor a, Tensor b, object dims=2) -> Tensor", &tensordot_call, "Products summed over the last dims of a and the first of b, or over two lists of them.", kFunction);
  add_op("chain_matmul(Tensor[*] matrices) -> Tensor", &chain_matmul, "The product of several matrices, in the cheapest order.", kFunction);
  add_op("multi_dot(Tensor[] tensors) -> Tensor", +[](Tensors xs) {
    check(xs.size() >= 2, "multi_dot: expected at least 2 tensors but got ", int64_t(xs.size()));
    std::vector<Tensor> matrices(xs.begin(), xs.end());
    bool row = xs[0].dim() == 1, column = xs.back().dim() == 1;
    if (row) matrices[0] = unsqueeze(matrices[0], 0);
    if (column) matrices.back() = unsqueeze(matrices.back(), 1);
    Tensor y = chain_matmul(matrices);
    if (column) y = squeeze(y, Dims{1});
    return row ? squeeze(y, Dims{0}) : y;
  }, "The product of several matrices, in the cheapest order; the first and the last may be vectors.", kLinalg);
  add_op("matrix_power(Tensor input, int n) -> Tensor", &matrix_power, "A square matrix multiplied by itself.", kBoth);
  add_op("matrix_power(Tensor A, int n) -> Tensor", &matrix_power, "A square matrix multiplied by itself.", kLinalg);
  add_op("svd(Tensor A, bool full_matrices) -> (Tensor, Tensor, Tensor)", +[](const Tensor& x, bool full) {
    Svd parts = svd(x, full);
    return std::tuple(parts.u, parts.s, parts.vh);
  }, "", kPrivate);
  add_op("svdvals(Tensor A) -> Tensor", +[](const Tensor& x) { return svd(x).s; }, "", kPrivate);
  add_op("kron(Tensor input, Tensor other) -> Tensor", &kron, "Kronecker's product: every element of input times all of other.");
  add_op("cross(Tensor input, Tensor other, int? dim=None) -> Tensor", &cross, "The vector product along dim (the first of size 3 for None).", kBoth);
  add_op("cross(Tensor input, Tensor other, *, int dim=-1) -> Tensor", +[](const Tensor& a, const Tensor& b, int64_t dim) { return cross(a, b, dim); }, "The vector product along dim.", kLinalg);
  add_op("vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", +[](const Tensor& a, const Tensor& b, int64_t dim) { return sum(conj(a) * b, Dims{dim}, false, result_type({&a, &b})); }, "The sum of products along dim.", kLinalg);
  add_op("diagonal(Tensor A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", &diagonal, "A view of the diagonals of matrices.", kLinalg);
  add_op("trace(Tensor input) -> Tensor", &trace, "The sum of a matrix's diagonal.");
  add_op("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", &bilinear, "input1 @ weight[o] @ input2 + bias[o] for each output o.", kFunction | kNN);
  add_op("cdist(Tensor x1, Tensor x2, float p=2.0, str? compute_mode=None) -> Tensor", +[](const Tensor& a, const Tensor& b, double p, std::optional<std::string>) { return cdist(a, b, p); }, "The p-norms of all differences of rows of x1 and x2.", kFunction);
}

}  // namespace tessel::python
