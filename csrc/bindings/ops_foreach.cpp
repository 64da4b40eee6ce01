// torch._foreach_*: one op over every tensor of a list, its loop in the engine.
#include "bindings/rare.h"

namespace tessel::python {

namespace {

// Signatures made at import live as long as the process.
const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

// What stands beside each of n tensors: one number or 0-d tensor for all, or a list with one for each.
std::vector<Tensor> beside(PyObject* o, size_t n) {
  if (is_tensor(o) || is_number(o)) return std::vector<Tensor>(n, tensor_or_number(o));
  check_type(PyTuple_Check(o) || PyList_Check(o), "foreach: expected a number, a tensor or a list of them, got ", Py_TYPE(o)->tp_name);
  size_t count = static_cast<size_t>(PySequence_Fast_GET_SIZE(o));
  check(count == n, "foreach: Tensor lists must have the same number of tensors, got ", n, " and ", count);
  std::vector<Tensor> list;
  for (size_t i = 0; i < n; ++i) list.push_back(tensor_or_number(PySequence_Fast_GET_ITEM(o, static_cast<Py_ssize_t>(i))));
  return list;
}

void check_list(const std::vector<Tensor>& xs) { check(!xs.empty(), "foreach: Tensor list must have at least one tensor."); }

template <Unary op>
void add_each(const char* name) {
  std::string n = std::string("_foreach_") + name;
  add_op(keep(n + "(Tensor[] self) -> Tensor[]"), +[](const std::vector<Tensor>& xs) {
    check_list(xs);
    std::vector<Tensor> ys;
    for (const Tensor& x : xs) ys.push_back(unary(op, x));
    return ys;
  }, "", kFunction);
  add_op(keep(n + "_(Tensor[] self) -> None"), +[](const std::vector<Tensor>& xs) {
    check_list(xs);
    for (const Tensor& x : xs) unary(op, x, {}, Into::over(x));
  }, "", kFunction);
}

template <Tensor (*op)(const Tensor&, const Tensor&, const Into&)>
void add_each_two(const char* name) {
  std::string n = std::string("_foreach_") + name;
  add_op(keep(n + "(Tensor[] self, object other) -> Tensor[]"), +[](const std::vector<Tensor>& xs, PyObject* other) {
    check_list(xs);
    std::vector<Tensor> bs = beside(other, xs.size()), ys;
    for (size_t i = 0; i < xs.size(); ++i) ys.push_back(op(xs[i], bs[i], {}));
    return ys;
  }, "", kFunction);
  add_op(keep(n + "_(Tensor[] self, object other) -> None"), +[](const std::vector<Tensor>& xs, PyObject* other) {
    check_list(xs);
    std::vector<Tensor> bs = beside(other, xs.size());
    for (size_t i = 0; i < xs.size(); ++i) op(xs[i], bs[i], Into::over(xs[i]));
  }, "", kFunction);
}

template <Tensor (*op)(const Tensor&, const Tensor&, Scalar, const Into&)>
void add_each_scaled(const char* name) {
  std::string n = std::string("_foreach_") + name;
  add_op(keep(n + "(Tensor[] self, object other, *, Scalar alpha=1) -> Tensor[]"), +[](const std::vector<Tensor>& xs, PyObject* other, Scalar alpha) {
    check_list(xs);
    std::vector<Tensor> bs = beside(other, xs.size()), ys;
    for (size_t i = 0; i < xs.size(); ++i) ys.push_back(op(xs[i], bs[i], alpha, {}));
    return ys;
  }, "", kFunction);
  add_op(keep(n + "_(Tensor[] self, object other, *, Scalar alpha=1) -> None"), +[](const std::vector<Tensor>& xs, PyObject* other, Scalar alpha) {
    check_list(xs);
    std::vector<Tensor> bs = beside(other, xs.size());
    for (size_t i = 0; i < xs.size(); ++i) op(xs[i], bs[i], alpha, Into::over(xs[i]));
  }, "", kFunction);
}

template <Tensor (*op)(const Tensor&, const Tensor&, const Tensor&, Scalar, const Into&)>
void add_each_three(const char* name) {
  std::string n = std::string("_foreach_") + name;
  add_op(keep(n + "(Tensor[] self, Tensor[] tensor1, Tensor[] tensor2, object value=1) -> Tensor[]"),
         +[](const std::vector<Tensor>& xs, const std::vector<Tensor>& as, const std::vector<Tensor>& bs, PyObject* value) {
    check_list(xs);
    check(as.size() == xs.size() && bs.size() == xs.size(), "foreach: Tensor lists must have the same number of tensors, got ", xs.size(), ", ", as.size(), " and ", bs.size());
    std::vector<Tensor> values = beside(value, xs.size()), ys;
    for (size_t i = 0; i < xs.size(); ++i) ys.push_back(op(xs[i], as[i], bs[i], item(values[i]), {}));
    return ys;
  }, "", kFunction);
  add_op(keep(n + "_(Tensor[] self, Tensor[] tensor1, Tensor[] tensor2, object value=1) -> None"),
         +[](const std::vector<Tensor>& xs, const std::vector<Tensor>& as, const std::vector<Tensor>& bs, PyObject* value) {
    check_list(xs);
    check(as.size() == xs.size() && bs.size() == xs.size(), "foreach: Tensor lists must have the same number of tensors, got ", xs.size(), ", ", as.size(), " and ", bs.size());
    std::vector<Tensor> values = beside(value, xs.size());
    for (size_t i = 0; i < xs.size(); ++i) op(xs[i], as[i], bs[i], item(values[i]), Into::over(xs[i]));
  }, "", kFunction);
}

template <Binary op> Tensor two(const Tensor& a, const Tensor& b, const Into& into) { return binary(op, a, b, {}, into); }
Tensor power(const Tensor& a, const Tensor& b, const Into& into) { return pow(a, b, into); }
Tensor most(const Tensor& a, const Tensor& b, const Into& into) { return b->wrapped_number ? clamp(a, {}, item(b), into) : binary(Binary::minimum, a, b, {}, into); }
Tensor least(const Tensor& a, const Tensor& b, const Into& into) { return b->wrapped_number ? clamp(a, item(b), {}, into) : binary(Binary::maximum, a, b, {}, into); }

}  // namespace

void bind_foreach() {
  add_each<Unary::abs>("abs"), add_each<Unary::acos>("acos"), add_each<Unary::asin>("asin"), add_each<Unary::atan>("atan"), add_each<Unary::ceil>("ceil");
  add_each<Unary::cos>("cos"), add_each<Unary::cosh>("cosh"), add_each<Unary::erf>("erf"), add_each<Unary::erfc>("erfc"), add_each<Unary::exp>("exp");
  add_each<Unary::expm1>("expm1"), add_each<Unary::floor>("floor"), add_each<Unary::frac>("frac"), add_each<Unary::lgamma>("lgamma"), add_each<Unary::log>("log");
  add_each<Unary::log10>("log10"), add_each<Unary::log1p>("log1p"), add_each<Unary::log2>("log2"), add_each<Unary::neg>("neg"), add_each<Unary::reciprocal>("reciprocal");
  add_each<Unary::round>("round"), add_each<Unary::rsqrt>("rsqrt"), add_each<Unary::sigmoid>("sigmoid"), add_each<Unary::sign>("sign"), add_each<Unary::sin>("sin");
  add_each<Unary::sinh>("sinh"), add_each<Unary::sqrt>("sqrt"), add_each<Unary::tan>("tan"), add_each<Unary::tanh>("tanh"), add_each<Unary::trunc>("trunc");
  add_each_scaled<&add>("add"), add_each_scaled<&sub>("sub");
  add_each_two<&two<Binary::mul>>("mul"), add_each_two<&two<Binary::div>>("div"), add_each_two<&power>("pow");
  add_each_two<&least>("maximum"), add_each_two<&most>("minimum"), add_each_two<&least>("clamp_min"), add_each_two<&most>("clamp_max");
  add_each_three<&addcmul>("addcmul"), add_each_three<&addcdiv>("addcdiv");
  add_op("_foreach_lerp(Tensor[] self, Tensor[] tensors1, object weight) -> Tensor[]", +[](const std::vector<Tensor>& xs, const std::vector<Tensor>& ends, PyObject* weight) {
    check(xs.size() == ends.size(), "foreach: Tensor lists must have the same number of tensors, got ", xs.size(), " and ", ends.size());
    std::vector<Tensor> weights = beside(weight, xs.size()), ys;
    for (size_t i = 0; i < xs.size(); ++i) ys.push_back(lerp(xs[i], ends[i], weights[i]));
    return ys;
  }, "", kFunction);
  add_op("_foreach_lerp_(Tensor[] self, Tensor[] tensors1, object weight) -> None", +[](const std::vector<Tensor>& xs, const std::vector<Tensor>& ends, PyObject* weight) {
    check(xs.size() == ends.size(), "foreach: Tensor lists must have the same number of tensors, got ", xs.size(), " and ", ends.size());
    std::vector<Tensor> weights = beside(weight, xs.size());
    for (size_t i = 0; i < xs.size(); ++i) lerp(xs[i], ends[i], weights[i], Into::over(xs[i]));
  }, "", kFunction);
  add_op("_foreach_norm(Tensor[] self, float ord=2.0, dtype? dtype=None) -> Tensor[]", +[](const std::vector<Tensor>& xs, double p, std::optional<DType> dtype) {
    check_list(xs);
    std::vector<Tensor> ys;
    for (const Tensor& x : xs) ys.push_back(norm(x, p, {}, false, dtype));
    return ys;
  }, "", kFunction);
  add_op("_foreach_max(Tensor[] self) -> Tensor[]", +[](const std::vector<Tensor>& xs) {
    check_list(xs);
    std::vector<Tensor> ys;
    for (const Tensor& x : xs) ys.push_back(max(x));
    return ys;
  }, "", kFunction);
  add_op("_foreach_zero_(Tensor[] self) -> None", +[](const std::vector<Tensor>& xs) {
    check_list(xs);
    for (Tensor x : xs) zero_(x);
  }, "", kFunction);
  add_op("_foreach_copy_(Tensor[] self, Tensor[] src, bool non_blocking=False) -> None", +[](const std::vector<Tensor>& xs, const std::vector<Tensor>& sources, bool) {
    check_list(xs);
    check(xs.size() == sources.size(), "foreach: Tensor lists must have the same number of tensors, got ", xs.size(), " and ", sources.size());
    for (size_t i = 0; i < xs.size(); ++i) {
      Tensor x = xs[i];
      copy_(x, sources[i]);
    }
  }, "", kFunction);
}

}  // namespace tessel::python
