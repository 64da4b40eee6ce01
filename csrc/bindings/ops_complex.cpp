// Complex numbers in Python, and the special functions.
#include "bindings/rare.h"

namespace tessel::python {

namespace {

// Signatures made at import live as long as the process.
const char* keep(const std::string& text) { return (new std::string(text))->c_str(); }

void add_complex() {
  add_op("view_as_real(Tensor input) -> Tensor", &view_as_real, "A complex tensor's parts in a last dimension of two, on the same memory.", kFunction);
  add_op("view_as_complex(Tensor input) -> Tensor", &view_as_complex, "Pairs along the last dimension as complex numbers, on the same memory.", kFunction);
  add_op("real(Tensor input) -> Tensor", &real, "The real parts, on the same memory; a real tensor itself.", kFunction);
  add_op("imag(Tensor input) -> Tensor", &imag, "The imaginary parts, on the same memory.", kFunction);
  add_op("conj(Tensor input) -> Tensor", &conj, "The conjugates, a tensor of their own; a real tensor itself.");
  add_op("resolve_conj(Tensor input) -> Tensor", +[](const Tensor& x) { return x; }, "The tensor itself: conjugates are always computed.");
  add_op("resolve_neg(Tensor input) -> Tensor", +[](const Tensor& x) { return x; }, "The tensor itself: negatives are always computed.");
  add_op("complex(Tensor real, Tensor imag, *, Tensor? out=None) -> Tensor", &complex, "real + i imag", kFunction);
  add_op("polar(Tensor abs, Tensor angle, *, Tensor? out=None) -> Tensor", &polar, "abs (cos(angle) + i sin(angle))", kFunction);
  add_op("isreal(Tensor input) -> Tensor", +[](const Tensor& x) {
    return is_complex(x.dtype()) ? eq(imag(detach(x)), wrapped_number(0)) : full(x.sizes(), Scalar(true), DType::bool_, x.device());
  }, "Where the imaginary part is 0.");
}

template <Special op>
void add_special(const char* name) {
  add_op(keep(std::string(name) + "(Tensor input, *, Tensor? out=None) -> Tensor"), +[](const Tensor& x, const Into& out) { return special(op, x, out); }, "", kSpecial);
}

template <Special op>
void add_special_of_two(const char* name, const char* first, const char* second, unsigned where = kSpecial) {
  auto function = +[](const Tensor& a, const Tensor& b, const Into& out) { return special(op, a, b, out); };
  std::string n(name);  // one of the two may be a number
  add_op(keep(n + "(Tensor " + first + ", Tensor|Scalar " + second + ", *, Tensor? out=None) -> Tensor"), function, "", where);
  add_op(keep(n + "(Scalar " + first + ", Tensor " + second + ", *, Tensor? out=None) -> Tensor"), function, "", where);
}

template <Special op>
void add_incomplete_gamma(const char* name) {
  std::string n(name);
  add_op(keep(n + "(Tensor input, Tensor other, *, Tensor? out=None) -> Tensor"), +[](const Tensor& a, const Tensor& b, const Into& out) { return special(op, a, b, out); }, "", kFunction);
  add_op(keep(n + "(Tensor input, Tensor other) -> Tensor"), +[](const Tensor& a, const Tensor& b) { return special(op, a, b); }, "", kMethod);
  add_op(keep(n + "_(Tensor input, Tensor other) -> Tensor"), +[](Tensor& a, const Tensor& b) -> Tensor& { special(op, a, b, Into::over(a)); return a; }, "", kMethod);
}

Tensor polygamma(int64_t n, const Tensor& x, const Into& into) {
  if (n < 0) fail<NotImplementedError>("polygamma: polygamma(n, x) does not support negative n, got ", n);
  if (n == 0) return unary(Unary::digamma, x, {}, into);
  return special(Special::polygamma, scalar_tensor(Scalar(n), is_floating(x.dtype()) ? x.dtype() : default_dtype()), x, into);
}

// log Gamma_p(x) = p (p - 1) / 4 log(pi) + sum of lgamma(x - j / 2)
Tensor mvlgamma(const Tensor& x, int64_t p) {
  check(p >= 1, "mvlgamma: p has to be greater than or equal to 1, got ", p);
  check(x.dtype() != DType::bool_ && !is_complex(x.dtype()), "mvlgamma: The input tensor may not be a ", x.dtype(), " tensor.");
  Tensor wide = is_floating(x.dtype()) ? x : to_dtype(x, default_dtype());
  Tensor steps = arange(Scalar(0.5 * (1.0 - static_cast<double>(p))), Scalar(0.25), Scalar(0.5), wide.dtype(), x.device());
  double pairs = 0.25 * static_cast<double>(p) * static_cast<double>(p - 1);
  return sum(unary(Unary::lgamma, unsqueeze(wide, -1) + steps), Dims{-1}) + pairs * 1.14472988584940017414;
}

void add_special_functions() {
  add_special<Special::airy_ai>("airy_ai"), add_special<Special::bessel_j0>("bessel_j0"), add_special<Special::bessel_j1>("bessel_j1");
  add_special<Special::bessel_y0>("bessel_y0"), add_special<Special::bessel_y1>("bessel_y1"), add_special<Special::entr>("entr"), add_special<Special::erfcx>("erfcx");
  add_special<Special::i0e>("i0e"), add_special<Special::i1>("i1"), add_special<Special::i1e>("i1e"), add_special<Special::i1>("modified_bessel_i1");
  add_special<Special::k0>("modified_bessel_k0"), add_special<Special::k1>("modified_bessel_k1"), add_special<Special::scaled_k0>("scaled_modified_bessel_k0");
  add_special<Special::scaled_k1>("scaled_modified_bessel_k1"), add_special<Special::log_ndtr>("log_ndtr"), add_special<Special::ndtri>("ndtri"), add_special<Special::spherical_j0>("spherical_bessel_j0");
  add_special_of_two<Special::zeta>("zeta", "input", "other"), add_special_of_two<Special::gammainc>("gammainc", "input", "other"), add_special_of_two<Special::gammaincc>("gammaincc", "input", "other");
  add_special_of_two<Special::chebyshev_t>("chebyshev_polynomial_t", "input", "n"), add_special_of_two<Special::chebyshev_u>("chebyshev_polynomial_u", "input", "n");
  add_special_of_two<Special::chebyshev_v>("chebyshev_polynomial_v", "input", "n"), add_special_of_two<Special::chebyshev_w>("chebyshev_polynomial_w", "input", "n");
  add_special_of_two<Special::shifted_t>("shifted_chebyshev_polynomial_t", "input", "n"), add_special_of_two<Special::shifted_u>("shifted_chebyshev_polynomial_u", "input", "n");
  add_special_of_two<Special::shifted_v>("shifted_chebyshev_polynomial_v", "input", "n"), add_special_of_two<Special::shifted_w>("shifted_chebyshev_polynomial_w", "input", "n");
  add_special_of_two<Special::hermite_h>("hermite_polynomial_h", "input", "n"), add_special_of_two<Special::hermite_he>("hermite_polynomial_he", "input", "n");
  add_special_of_two<Special::laguerre_l>("laguerre_polynomial_l", "input", "n"), add_special_of_two<Special::legendre_p>("legendre_polynomial_p", "input", "n");
  auto xlog1py = +[](const Tensor& a, const Tensor& b, const Into& out) { return binary(Binary::xlog1py, a, b, {}, out); };
  add_op("xlog1py(Tensor input, Tensor|Scalar other, *, Tensor? out=None) -> Tensor", xlog1py, "input log(1 + other), and 0 where input is 0", kSpecial);
  add_op("xlog1py(Scalar input, Tensor other, *, Tensor? out=None) -> Tensor", xlog1py, "", kSpecial);
  add_op("ndtr(Tensor input, *, Tensor? out=None) -> Tensor", +[](const Tensor& x, const Into& out) {
    Tensor wide = is_floating(x.dtype()) ? x : to_dtype(x, default_dtype());
    return mul(unary(Unary::erfc, wide * -0.70710678118654752440), wrapped_number(0.5), out);
  }, "The normal distribution function.", kSpecial);

  add_incomplete_gamma<Special::gammainc>("igamma"), add_incomplete_gamma<Special::gammaincc>("igammac");
  add_op("polygamma(int n, Tensor input, *, Tensor? out=None) -> Tensor", &polygamma, "The n-th derivative of digamma.", kFunction | kSpecial);
  add_op("polygamma(Tensor input, int n) -> Tensor", +[](const Tensor& x, int64_t n) { return polygamma(n, x, {}); }, "", kMethod);
  add_op("polygamma_(Tensor input, int n) -> Tensor", +[](Tensor& x, int64_t n) -> Tensor& { polygamma(n, x, Into::over(x)); return x; }, "", kMethod);
  add_op("mvlgamma(Tensor input, int p) -> Tensor", &mvlgamma, "The logarithm of the multivariate gamma function of dimension p.");
  add_op("multigammaln(Tensor input, int p) -> Tensor", &mvlgamma, "The logarithm of the multivariate gamma function of dimension p.", kSpecial);
  add_op("mvlgamma_(Tensor input, int p) -> Tensor", +[](Tensor& x, int64_t p) -> Tensor& {
    Tensor y = mvlgamma(x, p);
    check_cast("mvlgamma_", y.dtype(), x.dtype());
    return copy_(x, y);
  }, "", kMethod);
}

}  // namespace

void bind_complex() {
  add_complex();
  add_special_functions();
}

}  // namespace tessel::python
