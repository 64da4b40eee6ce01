// Elementwise ops in Python: function, method, in-place method, out=.
#include "bindings/registry.h"

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

// The same for two operands; `swap` also offers numbers as the first one.
template <Binary op>
void add_binary(const char* name, bool inplace = true, const char* first = "Tensor") {
  std::string n(name);
  add_op(keep(n + "(" + first + " input, Tensor|Scalar other, *, Tensor? out=None) -> Tensor"),
         +[](const Tensor& a, const Tensor& b, const Into& out) { return binary(op, a, b, {}, out); }, "", kFunction);
  add_op(keep(n + "(Tensor input, Tensor|Scalar other) -> Tensor"), +[](const Tensor& a, const Tensor& b) { return binary(op, a, b); }, "", kMethod);
  if (inplace)
    add_op(keep(n + "_(Tensor input, Tensor|Scalar other) -> Tensor"), +[](Tensor& a, const Tensor& b) -> Tensor& { binary(op, a, b, {}, Into::over(a)); return a; }, "", kMethod);
}

}  // namespace

void bind_elementwise() {
  add_unary<Unary::neg>("neg"), add_unary<Unary::neg>("negative"), add_unary<Unary::abs>("abs"), add_unary<Unary::abs>("absolute"), add_unary<Unary::sign>("sign"), add_unary<Unary::sign>("sgn");
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
  const char* either = "Tensor|Scalar";
  add_binary<Binary::mul>("mul", true, either), add_binary<Binary::mul>("multiply", true, either);
  add_binary<Binary::floor_divide>("floor_divide", true, either), add_binary<Binary::remainder>("remainder", true, either), add_binary<Binary::fmod>("fmod");
  add_binary<Binary::atan2>("atan2"), add_binary<Binary::atan2>("arctan2"), add_binary<Binary::hypot>("hypot"), add_binary<Binary::copysign>("copysign"), add_binary<Binary::nextafter>("nextafter");
  add_binary<Binary::maximum>("maximum", false), add_binary<Binary::minimum>("minimum", false), add_binary<Binary::fmax>("fmax", false), add_binary<Binary::fmin>("fmin", false);
  add_binary<Binary::eq>("eq"), add_binary<Binary::ne>("ne"), add_binary<Binary::lt>("lt"), add_binary<Binary::le>("le"), add_binary<Binary::gt>("gt"), add_binary<Binary::ge>("ge");
  add_binary<Binary::ne>("not_equal"), add_binary<Binary::lt>("less"), add_binary<Binary::le>("less_equal"), add_binary<Binary::gt>("greater"), add_binary<Binary::ge>("greater_equal");
  add_binary<Binary::logical_and>("logical_and"), add_binary<Binary::logical_or>("logical_or"), add_binary<Binary::logical_xor>("logical_xor");
  add_binary<Binary::bitwise_and>("bitwise_and", true, either), add_binary<Binary::bitwise_or>("bitwise_or", true, either), add_binary<Binary::bitwise_xor>("bitwise_xor", true, either);
  add_binary<Binary::left_shift>("bitwise_left_shift", true, either), add_binary<Binary::right_shift>("bitwise_right_shift", true, either);
  add_binary<Binary::logaddexp>("logaddexp", false), add_binary<Binary::logaddexp2>("logaddexp2", false), add_binary<Binary::ldexp>("ldexp"), add_binary<Binary::heaviside>("heaviside");
  add_binary<Binary::xlogy>("xlogy", true, either), add_binary<Binary::gcd>("gcd"), add_binary<Binary::lcm>("lcm"), add_binary<Binary::pow>("pow", true, either);
}

}  // namespace tessel::python
