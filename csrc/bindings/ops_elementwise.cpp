// Elementwise ops in Python: function, method, in-place method, out=.
#include "bindings/rare.h"

namespace tessel::python {

namespace {

// Signatures made at import live as long as the process.
const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

// name(input, *, out), x.name(), x.name_() for a unary function without parameters.
template <Unary op>
void add_unary(const char* name, bool inplace = true) {
  std::string n(name);
  add_op(keep(n + "(Tensor input, *, Tensor? out=None) -> Tensor"), +[](const Tensor& x, const Into& out) { return unary(op, x, {}, out); }, "", kFunction);
  add_op(keep(n + "(Tensor input) -> Tensor"), +[](const Tensor& x) { return unary(op, x); }, "", kMethod);
  if (inplace) {
    auto over = +[](Tensor& x) -> Tensor& { unary(op, x, {}, Into::over(x)); return x; };
    add_op(keep(n + "_(Tensor input) -> Tensor"), over, "", kBoth);
  }
}

// What may stand first: a tensor alone, or a number before a tensor, or any two. PyTorch chose op by op.
enum First : uint8_t { kTensor, kNumber, kAny };

void add_function(const std::string& n, First first, const char* second, const char* other, Tensor (*op)(const Tensor&, const Tensor&, const Into&), const char* doc = "") {
  add_op(keep(n + (first == kAny ? "(Tensor|Scalar" : "(Tensor") + " input, " + second + " " + other + ", *, Tensor? out=None) -> Tensor"), op, doc, kFunction);
  if (first == kNumber) add_op(keep(n + "(Scalar input, Tensor " + other + ", *, Tensor? out=None) -> Tensor"), op, "", kFunction);
}

// The same for two operands, whose kinds PyTorch chose op by op.
template <Binary op>
void add_binary(const char* name, bool inplace = true, First first = kTensor, const char* second = "Tensor|Scalar") {
  std::string n(name);
  add_function(n, first, second, "other", +[](const Tensor& a, const Tensor& b, const Into& out) { return binary(op, a, b, {}, out); });
  add_op(keep(n + "(Tensor input, " + second + " other) -> Tensor"), +[](const Tensor& a, const Tensor& b) { return binary(op, a, b); }, "", kMethod);
  if (inplace)
    add_op(keep(n + "_(Tensor input, " + second + " other) -> Tensor"), +[](Tensor& a, const Tensor& b) -> Tensor& { binary(op, a, b, {}, Into::over(a)); return a; }, "", kMethod);
}

// An op of two operands with a story of its own: function, method, in-place method.
template <Tensor (*op)(const Tensor&, const Tensor&, const Into&)>
void add_form(const char* name, First first) {
  std::string n(name);
  add_function(n, first, "Tensor|Scalar", "other", op);
  add_op(keep(n + "(Tensor input, Tensor|Scalar other) -> Tensor"), +[](const Tensor& a, const Tensor& b) { return op(a, b, {}); }, "", kMethod);
  add_op(keep(n + "_(Tensor input, Tensor|Scalar other) -> Tensor"), +[](Tensor& a, const Tensor& b) -> Tensor& { op(a, b, Into::over(a)); return a; }, "", kMethod);
}

Tensor power(const Tensor& a, const Tensor& b, const Into& into) { return pow(a, b, into); }
Tensor float_power(const Tensor& a, const Tensor& b, const Into& into) {
  if (into) check(into.tensor->dtype() == DType::float64, into.kind == Into::inplace ? "float_power_: the base has dtype " : "float_power: out has dtype ", into.tensor->dtype(), ", but the result needs float64");
  return pow(a->wrapped_number ? a : to_dtype(a, DType::float64), b->wrapped_number ? b : to_dtype(b, DType::float64), into);
}

void add_forms() {
  add_form<&floor_divide>("floor_divide", kAny), add_form<&remainder>("remainder", kNumber), add_form<&fmod>("fmod", kTensor), add_form<&float_power>("float_power", kNumber);
  add_function("pow", kNumber, "Tensor|Scalar", "exponent", &power, "input ** exponent");
  add_op("pow(Tensor input, Tensor|Scalar exponent) -> Tensor", +[](const Tensor& a, const Tensor& b) { return pow(a, b); }, "", kMethod);
  add_op("pow_(Tensor input, Tensor|Scalar exponent) -> Tensor", +[](Tensor& a, const Tensor& b) -> Tensor& { pow(a, b, Into::over(a)); return a; }, "", kMethod);

  auto divide = +[](const Tensor& a, const Tensor& b, std::optional<std::string> mode, const Into& out) { return div(a, b, mode, out); };
  auto divide_inplace = +[](Tensor& a, const Tensor& b, std::optional<std::string> mode) -> Tensor& { div(a, b, mode, Into::over(a)); return a; };
  for (const char* name : {"div", "divide"}) {
    std::string n(name);
    add_op(keep(n + "(Tensor|Scalar input, Tensor|Scalar other, *, str? rounding_mode=None, Tensor? out=None) -> Tensor"), divide, "input / other; rounding_mode: None, 'trunc' or 'floor'", kBoth);
    add_op(keep(n + "_(Tensor input, Tensor|Scalar other, *, str? rounding_mode=None) -> Tensor"), divide_inplace, "", kMethod);
  }
  add_binary<Binary::div>("true_divide", true, kAny);
  add_op("rsub(Tensor input, Tensor|Scalar other, *, Scalar alpha=1) -> Tensor", +[](const Tensor& a, const Tensor& b, Scalar alpha) { return sub(b, a, alpha); }, "other - alpha * input", kFunction);

  auto clamp_numbers = +[](const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high, const Into& out) { return clamp(x, low, high, out); };
  auto clamp_tensors = +[](const Tensor& x, const Tensor& low, const Tensor& high, const Into& out) { return clamp(x, low, high, out); };
  for (const char* name : {"clamp", "clip"}) {
    std::string n(name);
    add_op(keep(n + "(Tensor input, Tensor? min=None, Tensor? max=None, *, Tensor? out=None) -> Tensor"), clamp_tensors, "The values limited to [min, max].");
    add_op(keep(n + "(Tensor input, Scalar? min=None, Scalar? max=None, *, Tensor? out=None) -> Tensor"), clamp_numbers);
    add_op(keep(n + "_(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor"), +[](Tensor& x, const Tensor& low, const Tensor& high) -> Tensor& { clamp(x, low, high, Into::over(x)); return x; }, "", kBoth);
    add_op(keep(n + "_(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor"), +[](Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high) -> Tensor& { clamp(x, low, high, Into::over(x)); return x; }, "", kBoth);
  }
  add_op("clamp_min(Tensor input, Tensor min, *, Tensor? out=None) -> Tensor", +[](const Tensor& x, const Tensor& low, const Into& out) { return clamp(x, low, Tensor(), out); });
  add_op("clamp_max(Tensor input, Tensor max, *, Tensor? out=None) -> Tensor", +[](const Tensor& x, const Tensor& high, const Into& out) { return clamp(x, Tensor(), high, out); });
  add_op("clamp_min(Tensor input, Scalar min, *, Tensor? out=None) -> Tensor", +[](const Tensor& x, Scalar low, const Into& out) { return clamp(x, low, std::nullopt, out); });
  add_op("clamp_max(Tensor input, Scalar max, *, Tensor? out=None) -> Tensor", +[](const Tensor& x, Scalar high, const Into& out) { return clamp(x, std::nullopt, high, out); });
  add_op("clamp_min_(Tensor input, Tensor min) -> Tensor", +[](Tensor& x, const Tensor& low) -> Tensor& { clamp(x, low, Tensor(), Into::over(x)); return x; });
  add_op("clamp_max_(Tensor input, Tensor max) -> Tensor", +[](Tensor& x, const Tensor& high) -> Tensor& { clamp(x, Tensor(), high, Into::over(x)); return x; });
  add_op("clamp_min_(Tensor input, Scalar min) -> Tensor", +[](Tensor& x, Scalar low) -> Tensor& { clamp(x, low, std::nullopt, Into::over(x)); return x; });
  add_op("clamp_max_(Tensor input, Scalar max) -> Tensor", +[](Tensor& x, Scalar high) -> Tensor& { clamp(x, std::nullopt, high, Into::over(x)); return x; });

  add_op("lerp(Tensor input, Tensor end, Tensor|Scalar weight, *, Tensor? out=None) -> Tensor", &lerp, "input + weight * (end - input)");
  add_op("lerp_(Tensor input, Tensor end, Tensor|Scalar weight) -> Tensor", +[](Tensor& a, const Tensor& b, const Tensor& w) -> Tensor& { lerp(a, b, w, Into::over(a)); return a; }, "", kMethod);
  add_op("addcmul(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1, Tensor? out=None) -> Tensor", &addcmul, "input + value * tensor1 * tensor2");
  add_op("addcmul_(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", +[](Tensor& a, const Tensor& b, const Tensor& c, Scalar v) -> Tensor& { addcmul(a, b, c, v, Into::over(a)); return a; }, "", kMethod);
  add_op("addcdiv(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1, Tensor? out=None) -> Tensor", &addcdiv, "input + value * tensor1 / tensor2");
  add_op("addcdiv_(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", +[](Tensor& a, const Tensor& b, const Tensor& c, Scalar v) -> Tensor& { addcdiv(a, b, c, v, Into::over(a)); return a; }, "", kMethod);
  add_op("round(Tensor input, *, int decimals=0, Tensor? out=None) -> Tensor", &round, "To the nearest, halves to even.");
  add_op("round_(Tensor input, *, int decimals=0) -> Tensor", +[](Tensor& x, int64_t decimals) -> Tensor& { round(x, decimals, Into::over(x)); return x; });
  add_op("nan_to_num(Tensor input, float? nan=None, float? posinf=None, float? neginf=None, *, Tensor? out=None) -> Tensor", &nan_to_num);
  add_op("nan_to_num_(Tensor input, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
         +[](Tensor& x, std::optional<double> nan, std::optional<double> high, std::optional<double> low) -> Tensor& { nan_to_num(x, nan, high, low, Into::over(x)); return x; });
  auto logit = +[](const Tensor& x, std::optional<double> eps, const Into& out) { return unary(Unary::logit, x, {{eps.value_or(-1)}}, out); };
  add_op("logit(Tensor input, float? eps=None, *, Tensor? out=None) -> Tensor", logit);
  add_op("logit_(Tensor input, float? eps=None) -> Tensor", +[](Tensor& x, std::optional<double> eps) -> Tensor& { unary(Unary::logit, x, {{eps.value_or(-1)}}, Into::over(x)); return x; });
}

Into over_if(bool inplace, const Tensor& x) { return inplace ? Into::over(x) : Into{}; }

// nn.functional's activations: f(input, parameters..., inplace=False).
template <Unary op>
void add_activation(const char* name, const char* parameters = "", unsigned where = kNN) {
  std::string n(name);
  add_op(keep(n + "(Tensor input" + parameters + ", bool inplace=False) -> Tensor"), +[](const Tensor& x, bool inplace) { return unary(op, x, {}, over_if(inplace, x)); }, "", where);
  add_op(keep(n + "_(Tensor input" + parameters + ") -> Tensor"), +[](Tensor& x) -> Tensor& { unary(op, x, {}, Into::over(x)); return x; }, "", where);
}

// A function that knows reals only, given integers: PyTorch's kernels raise.
void check_real(const char* name, const Tensor& x) {
  if (!is_floating(x.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x.dtype());
}

void add_activations() {
  add_activation<Unary::relu>("relu"), add_activation<Unary::relu6>("relu6"), add_activation<Unary::selu>("selu", "", kNN | kFunction), add_activation<Unary::silu>("silu");
  add_activation<Unary::mish>("mish"), add_activation<Unary::hardsigmoid>("hardsigmoid"), add_activation<Unary::hardswish>("hardswish");
  add_op("leaky_relu(Tensor input, float negative_slope=0.01, bool inplace=False) -> Tensor", +[](const Tensor& x, double slope, bool inplace) {
    check_real("leaky_relu", x);
    return unary(Unary::leaky_relu, x, {{slope}}, over_if(inplace, x)); }, "x for x > 0, else negative_slope * x", kNN);
  add_op("leaky_relu_(Tensor input, float negative_slope=0.01) -> Tensor", +[](Tensor& x, double slope) -> Tensor& { unary(Unary::leaky_relu, x, {{slope}}, Into::over(x)); return x; }, "", kNN);
  add_op("elu(Tensor input, float alpha=1.0, bool inplace=False) -> Tensor", +[](const Tensor& x, double alpha, bool inplace) {
    check_real("elu", x);
    return unary(Unary::elu, x, {{alpha}}, over_if(inplace, x)); }, "x for x > 0, else alpha * (exp(x) - 1)", kNN);
  add_op("elu_(Tensor input, float alpha=1.0) -> Tensor", +[](Tensor& x, double alpha) -> Tensor& { unary(Unary::elu, x, {{alpha}}, Into::over(x)); return x; }, "", kNN);
  add_op("celu(Tensor input, float alpha=1.0, bool inplace=False) -> Tensor", +[](const Tensor& x, double alpha, bool inplace) {
    check(alpha != 0, "celu: ZeroDivisionError: alpha cannot be 0 for CELU");
    check_real("celu", x);
    return unary(Unary::celu, x, {{alpha}}, over_if(inplace, x)); }, "", kNN | kFunction);
  add_op("celu_(Tensor input, float alpha=1.0) -> Tensor", +[](Tensor& x, double alpha) -> Tensor& { unary(Unary::celu, x, {{alpha}}, Into::over(x)); return x; }, "", kNN | kFunction);
  add_op("gelu(Tensor input, *, str approximate='none') -> Tensor", +[](const Tensor& x, const std::string& approximate) {
    check(approximate == "none" || approximate == "tanh", "gelu: approximate argument must be either none or tanh, got '", approximate, "'");
    check_real("gelu", x);
    return unary(approximate == "none" ? Unary::gelu : Unary::gelu_tanh, x); }, "x times the normal distribution function of x; approximate='tanh' for its tanh form", kNN);
  add_op("softplus(Tensor input, float beta=1.0, float threshold=20.0) -> Tensor", +[](const Tensor& x, double beta, double threshold) {
    check_real("softplus", x);
    return unary(Unary::softplus, x, {{beta, threshold}}); }, "log(1 + exp(beta x)) / beta; x itself where beta x > threshold", kNN);
  add_op("hardtanh(Tensor input, float min_val=-1.0, float max_val=1.0, bool inplace=False) -> Tensor", +[](const Tensor& x, double low, double high, bool inplace) {
    check_value(low <= high, "hardtanh: min_val cannot be greater than max_val, got ", low, " and ", high);
    return unary(Unary::hardtanh, x, {{low, high}}, over_if(inplace, x)); }, "", kNN);
  add_op("hardtanh_(Tensor input, float min_val=-1.0, float max_val=1.0) -> Tensor", +[](Tensor& x, double low, double high) -> Tensor& { unary(Unary::hardtanh, x, {{low, high}}, Into::over(x)); return x; }, "", kNN);
  add_op("threshold(Tensor input, float threshold, float value, bool inplace=False) -> Tensor", +[](const Tensor& x, double threshold, double value, bool inplace) { return unary(Unary::threshold, x, {{threshold, value}}, over_if(inplace, x)); }, "", kNN | kFunction);
  add_op("threshold_(Tensor input, float threshold, float value) -> Tensor", +[](Tensor& x, double threshold, double value) -> Tensor& { unary(Unary::threshold, x, {{threshold, value}}, Into::over(x)); return x; }, "", kNN | kFunction);
  add_op("glu(Tensor input, int dim=-1) -> Tensor", &glu, "The first half along dim times the sigmoid of the second.", kNN);
  add_op("prelu(Tensor input, Tensor weight) -> Tensor", &prelu, "x for x > 0, else weight * x: one weight, or one for each channel.", kNN | kBoth);
  add_op("rrelu(Tensor input, float lower=0.125, float upper=0.3333333333333333, bool training=False, bool inplace=False, Generator? generator=None) -> Tensor",
         +[](const Tensor& x, double lower, double upper, bool training, bool inplace, Generator* generator) { return rrelu(x, lower, upper, training, *generator, over_if(inplace, x)); },
         "Negative elements scaled by random slopes from [lower, upper) in training, by their mean otherwise.", kNN);
  add_op("logsigmoid(Tensor input) -> Tensor", +[](const Tensor& x) { return unary(Unary::logsigmoid, x); }, "log(sigmoid(x)), without overflow", kNN);
  add_op("softsign(Tensor input) -> Tensor", +[](const Tensor& x) { return unary(Unary::softsign, x); }, "x / (1 + |x|)", kNN);
  add_op("tanhshrink(Tensor input) -> Tensor", +[](const Tensor& x) { return unary(Unary::tanhshrink, x); }, "x - tanh(x)", kNN);
  add_op("softshrink(Tensor input, float lambd=0.5) -> Tensor", +[](const Tensor& x, double lambd) {
    check(lambd >= 0, "softshrink: lambda must be greater or equal to 0, but found to be ", lambd);
    check_real("softshrink", x);
    return unary(Unary::softshrink, x, {{lambd}}); }, "", kNN);
  add_op("hardshrink(Tensor input, float lambd=0.5) -> Tensor", +[](const Tensor& x, double lambd) { return unary(Unary::hardshrink, x, {{lambd}}); }, "", kNN | kBoth);
}

}  // namespace

void bind_elementwise() {
  add_unary<Unary::neg>("neg"), add_unary<Unary::neg>("negative"), add_unary<Unary::abs>("abs"), add_unary<Unary::abs>("absolute"), add_unary<Unary::sign>("sign"), add_unary<kSgn>("sgn");
  add_unary<kAngle>("angle", false), add_unary<kConj>("conj_physical");
  add_unary<Unary::square>("square"), add_unary<Unary::reciprocal>("reciprocal"), add_unary<Unary::sqrt>("sqrt"), add_unary<Unary::rsqrt>("rsqrt");
  add_unary<Unary::exp>("exp"), add_unary<Unary::exp2>("exp2"), add_unary<Unary::expm1>("expm1");
  add_unary<Unary::log>("log"), add_unary<Unary::log2>("log2"), add_unary<Unary::log10>("log10"), add_unary<Unary::log1p>("log1p");
  add_unary<Unary::sin>("sin"), add_unary<Unary::cos>("cos"), add_unary<Unary::tan>("tan");
  add_unary<Unary::asin>("asin"), add_unary<Unary::acos>("acos"), add_unary<Unary::atan>("atan"), add_unary<Unary::asin>("arcsin"), add_unary<Unary::acos>("arccos"), add_unary<Unary::atan>("arctan");
  add_unary<Unary::sinh>("sinh"), add_unary<Unary::cosh>("cosh"), add_unary<Unary::tanh>("tanh");
  add_unary<Unary::asinh>("asinh"), add_unary<Unary::acosh>("acosh"), add_unary<Unary::atanh>("atanh"), add_unary<Unary::asinh>("arcsinh"), add_unary<Unary::acosh>("arccosh"), add_unary<Unary::atanh>("arctanh");
  add_unary<Unary::erf>("erf"), add_unary<Unary::erfc>("erfc"), add_unary<Unary::erfinv>("erfinv"), add_unary<Unary::lgamma>("lgamma"), add_unary<Unary::digamma>("digamma"), add_unary<Unary::i0>("i0");
  add_unary<Unary::sigmoid>("sigmoid"), add_unary<Unary::sinc>("sinc"), add_unary<Unary::relu>("relu");
  add_unary<Unary::floor>("floor"), add_unary<Unary::ceil>("ceil"), add_unary<Unary::trunc>("trunc"), add_unary<Unary::trunc>("fix"), add_unary<Unary::frac>("frac");
  add_unary<Unary::deg2rad>("deg2rad"), add_unary<Unary::rad2deg>("rad2deg");
  add_unary<Unary::bitwise_not>("bitwise_not"), add_unary<Unary::logical_not>("logical_not"), add_unary<Unary::positive>("positive", false);
  add_unary<Unary::isnan>("isnan", false), add_unary<Unary::isinf>("isinf", false), add_unary<Unary::isfinite>("isfinite", false);
  add_unary<Unary::isposinf>("isposinf", false), add_unary<Unary::isneginf>("isneginf", false), add_unary<Unary::signbit>("signbit", false);

  auto add3 = +[](const Tensor& a, const Tensor& b, Scalar alpha, const Into& out) { return add(a, b, alpha, out); };
  auto add_inplace = +[](Tensor& a, const Tensor& b, Scalar alpha) -> Tensor& { add(a, b, alpha, Into::over(a)); return a; };
  add_op("add(Tensor|Scalar input, Tensor|Scalar other, *, Scalar alpha=1, Tensor? out=None) -> Tensor", add3, "input + alpha * other", kFunction);
  add_op("add(Tensor input, Tensor|Scalar other, *, Scalar alpha=1, Tensor? out=None) -> Tensor", add3, "", kMethod);
  add_op("add_(Tensor input, Tensor|Scalar other, *, Scalar alpha=1) -> Tensor", add_inplace, "", kMethod);
  auto sub3 = +[](const Tensor& a, const Tensor& b, Scalar alpha, const Into& out) { return sub(a, b, alpha, out); };
  auto sub_inplace = +[](Tensor& a, const Tensor& b, Scalar alpha) -> Tensor& { sub(a, b, alpha, Into::over(a)); return a; };
  for (const char* name : {"sub", "subtract"}) {
    std::string n(name);
    add_op(keep(n + "(Tensor|Scalar input, Tensor|Scalar other, *, Scalar alpha=1, Tensor? out=None) -> Tensor"), sub3, "input - alpha * other", kFunction);
    add_op(keep(n + "(Tensor input, Tensor|Scalar other, *, Scalar alpha=1, Tensor? out=None) -> Tensor"), sub3, "", kMethod);
    add_op(keep(n + "_(Tensor input, Tensor|Scalar other, *, Scalar alpha=1) -> Tensor"), sub_inplace, "", kMethod);
  }
  const char* tensor = "Tensor";
  add_binary<Binary::mul>("mul", true, kAny), add_binary<Binary::mul>("multiply", true, kAny);
  add_binary<Binary::atan2>("atan2", true, kTensor, tensor), add_binary<Binary::atan2>("arctan2", true, kTensor, tensor), add_binary<Binary::hypot>("hypot", true, kTensor, tensor), add_binary<Binary::copysign>("copysign"), add_binary<Binary::nextafter>("nextafter", true, kTensor, tensor);
  add_binary<Binary::maximum>("maximum", false, kTensor, tensor), add_binary<Binary::minimum>("minimum", false, kTensor, tensor), add_binary<Binary::fmax>("fmax", false, kTensor, tensor), add_binary<Binary::fmin>("fmin", false, kTensor, tensor);
  add_binary<Binary::eq>("eq"), add_binary<Binary::ne>("ne"), add_binary<Binary::lt>("lt"), add_binary<Binary::le>("le"), add_binary<Binary::gt>("gt"), add_binary<Binary::ge>("ge");
  add_binary<Binary::ne>("not_equal"), add_binary<Binary::lt>("less"), add_binary<Binary::le>("less_equal"), add_binary<Binary::gt>("greater"), add_binary<Binary::ge>("greater_equal");
  add_binary<Binary::logical_and>("logical_and", true, kTensor, tensor), add_binary<Binary::logical_or>("logical_or", true, kTensor, tensor), add_binary<Binary::logical_xor>("logical_xor", true, kTensor, tensor);
  add_binary<Binary::bitwise_and>("bitwise_and", true, kNumber), add_binary<Binary::bitwise_or>("bitwise_or", true, kNumber), add_binary<Binary::bitwise_xor>("bitwise_xor", true, kNumber);
  add_binary<Binary::left_shift>("bitwise_left_shift", true, kNumber), add_binary<Binary::right_shift>("bitwise_right_shift", true, kNumber);
  add_binary<Binary::logaddexp>("logaddexp", false, kTensor, tensor), add_binary<Binary::logaddexp2>("logaddexp2", false, kTensor, tensor), add_binary<Binary::ldexp>("ldexp", true, kTensor, tensor), add_binary<Binary::heaviside>("heaviside", true, kTensor, tensor);
  add_binary<Binary::xlogy>("xlogy", true, kNumber), add_binary<Binary::gcd>("gcd", true, kTensor, tensor), add_binary<Binary::lcm>("lcm", true, kTensor, tensor);
  add_forms();
  add_activations();
}

}  // namespace tessel::python
