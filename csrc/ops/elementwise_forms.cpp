// Elementwise ops with forms of their own: scalar shortcuts, rounding modes, bounds, weights.
#include <cmath>
#include <limits>

#include "ops/complex.h"

namespace tessel {

namespace {

bool integral_result(const Tensor& a, const Tensor& b) {
  DType type = result_type({&a, &b});
  return !is_floating(type) && !is_complex(type);
}

// Integer division has no value for 0: PyTorch raises.
void check_divisor(const char* name, const Tensor& a, const Tensor& b) {
  if (!integral_result(a, b) || b.numel() == 0) return;
  NoGrad no_grad;
  check(item(all(ne(b, wrapped_number(Scalar(0))))).as_int() != 0, name, ": ZeroDivisionError: integer division by zero");
}

Tensor identity(const Tensor& x, const Into& into) { return unary(Unary::copy, x, {}, into); }

}  // namespace

Tensor pow(const Tensor& a, const Tensor& b, const Into& into) {
  if (b->wrapped_number && is_floating(a.dtype()) && !is_complex(b.dtype())) {  // the usual exponents have cheaper kernels, and exact ones
    double exponent = item(b).as_double();
    if (exponent == 2) return unary(Unary::square, a, {}, into);
    if (exponent == 1) return identity(a, into);
    if (exponent == 0.5) return unary(Unary::sqrt, a, {}, into);
    if (exponent == -1) return unary(Unary::reciprocal, a, {}, into);
    if (exponent == -0.5) return unary(Unary::rsqrt, a, {}, into);
  }
  if (b->wrapped_number && integral_result(a, b)) check(item(b).as_double() >= 0, "pow: Integers to negative integer powers are not allowed.");
  return binary(Binary::pow, a, b, {}, into);
}

Tensor div(const Tensor& a, const Tensor& b, std::optional<std::string> rounding_mode, const Into& into) {
  if (!rounding_mode) return binary(Binary::div, a, b, {}, into);
  check(*rounding_mode == "trunc" || *rounding_mode == "floor", "div: div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", *rounding_mode, "'");
  check_divisor("div", a, b);
  return binary(*rounding_mode == "trunc" ? Binary::trunc_divide : Binary::floor_divide, a, b, {}, into);
}

Tensor floor_divide(const Tensor& a, const Tensor& b, const Into& into) {
  check_divisor("floor_divide", a, b);
  return binary(Binary::floor_divide, a, b, {}, into);
}

Tensor remainder(const Tensor& a, const Tensor& b, const Into& into) {
  check_divisor("remainder", a, b);
  return binary(Binary::remainder, a, b, {}, into);
}

Tensor fmod(const Tensor& a, const Tensor& b, const Into& into) {
  check_divisor("fmod", a, b);
  return binary(Binary::fmod, a, b, {}, into);
}

Tensor clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high, const Into& into) {
  check(low || high, "clamp: At least one of 'min' or 'max' must not be None");
  Tensor bound = wrapped_number(low && high && !high->is_integral() ? *high : low ? *low : *high), other = wrapped_number(low ? *low : *high);
  DType type = result_type({&x, &bound, &other});
  constexpr double inf = std::numeric_limits<double>::infinity();
  double a = low ? low->as_double() : -inf, b = high ? high->as_double() : inf;
  if (std::isnan(a) || std::isnan(b)) a = b = std::numeric_limits<double>::quiet_NaN();
  if (into.kind == Into::inplace) check_cast("clamp", type, x.dtype());
  return unary(Unary::clamp, into.kind == Into::inplace ? x : to_dtype(x, type), {{a, b}}, into);
}

Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high, const Into& into) {
  check(low.defined() || high.defined(), "clamp: At least one of 'min' or 'max' must not be None");
  if (low.defined() && high.defined()) return ternary(Ternary::clamp_tensor, x, low, high, {}, into);
  const Tensor& bound = low.defined() ? low : high;
  DType type = result_type({&x, &bound});
  if (!is_floating(type)) return binary(low.defined() ? Binary::maximum : Binary::minimum, x, bound, {}, into);
  constexpr double inf = std::numeric_limits<double>::infinity();
  Tensor open = wrapped_number(Scalar(low.defined() ? inf : -inf));
  return low.defined() ? ternary(Ternary::clamp_tensor, x, low, open, {}, into) : ternary(Ternary::clamp_tensor, x, open, high, {}, into);
}

Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight, const Into& into) {
  check(a.dtype() == b.dtype(), "lerp: expected dtype ", a.dtype(), " for `end` but got dtype ", b.dtype());
  check(weight->wrapped_number || weight.dtype() == a.dtype(), "lerp: expected dtype ", a.dtype(), " for `weight` but got dtype ", weight.dtype());
  if (!is_floating(a.dtype()) && !is_complex(a.dtype())) fail<NotImplementedError>("lerp: not implemented for ", a.dtype());
  return ternary(Ternary::lerp, a, b, weight, {}, into);
}

Tensor addcmul(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value, const Into& into) {
  return ternary(Ternary::addcmul, a, b, c, factor(value), into);
}

Tensor addcdiv(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value, const Into& into) {
  check(is_floating(result_type({&b, &c})) || is_complex(result_type({&b, &c})), "addcdiv: Integer division with addcdiv is no longer supported, got ", b.dtype(), " and ", c.dtype());
  return ternary(Ternary::addcdiv, a, b, c, factor(value), into);
}

Tensor round(const Tensor& x, int64_t decimals, const Into& into) {
  if (decimals == 0 || !is_floating(x.dtype())) return unary(Unary::round, x, {}, into);
  return unary(Unary::round_decimals, x, {{std::pow(10.0, static_cast<double>(std::abs(decimals))), decimals < 0 ? 1.0 : 0.0}}, into);
}

Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> posinf, std::optional<double> neginf, const Into& into) {
  if (!is_floating(x.dtype())) return identity(x, into);
  double largest = x.dtype() == DType::float64   ? std::numeric_limits<double>::max()
                   : x.dtype() == DType::float32 ? static_cast<double>(std::numeric_limits<float>::max())
                   : x.dtype() == DType::float16 ? 65504.0
                                                 : 3.3895313892515355e38;  // bfloat16
  return unary(Unary::nan_to_num, x, {{nan.value_or(0), posinf.value_or(largest), neginf.value_or(-largest)}}, into);
}

}  // namespace tessel
