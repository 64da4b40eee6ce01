// Elementwise maths: unary, binary, ternary ops with broadcasting, type promotion, in-place and out= forms. What each
// function computes stands in kernels/functions.h; what is here is which dtypes it takes and how it is differentiated.
#include <array>
#include <string>
#include <unordered_map>

#include "ops/algebra.h"
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

namespace {

// What a function gives for the dtype it gets.
enum class Gives : uint8_t {
  real,      // floats keep theirs, everything else becomes the default dtype
  same,      // keeps the dtype
  rounded,   // keeps the dtype; integers pass unchanged
  boolean,
};

struct Description {
  const char* name;
  Gives gives;
  bool takes_bool = true;
};

constexpr auto kUnary = [] {
  std::array<Description, static_cast<size_t>(kUnaryCount)> t{};
  auto set = [&t](Unary op, const char* name, Gives gives, bool takes_bool = true) { t[static_cast<size_t>(op)] = {name, gives, takes_bool}; };
  using enum Unary;
  using enum Gives;
  set(copy, "copy", same), set(positive, "positive", same, false), set(neg, "neg", same, false), set(abs, "abs", same), set(sign, "sign", same);
  set(kAngle, "angle", real), set(kSgn, "sgn", same), set(kConj, "conj", same);
  set(square, "square", same), set(reciprocal, "reciprocal", real), set(sqrt, "sqrt", real), set(rsqrt, "rsqrt", real);
  set(exp, "exp", real), set(exp2, "exp2", real), set(expm1, "expm1", real);
  set(log, "log", real), set(log2, "log2", real), set(log10, "log10", real), set(log1p, "log1p", real);
  set(sin, "sin", real), set(cos, "cos", real), set(tan, "tan", real), set(asin, "asin", real), set(acos, "acos", real), set(atan, "atan", real);
  set(sinh, "sinh", real), set(cosh, "cosh", real), set(tanh, "tanh", real), set(asinh, "asinh", real), set(acosh, "acosh", real), set(atanh, "atanh", real);
  set(erf, "erf", real), set(erfc, "erfc", real), set(erfinv, "erfinv", real), set(lgamma, "lgamma", real), set(digamma, "digamma", real);
  set(sigmoid, "sigmoid", real), set(logit, "logit", real), set(sinc, "sinc", real), set(i0, "i0", real);
  set(floor, "floor", rounded, false), set(ceil, "ceil", rounded, false), set(round, "round", rounded, false), set(trunc, "trunc", rounded, false);
  set(round_decimals, "round", rounded, false), set(frac, "frac", same);
  set(relu, "relu", same, false), set(leaky_relu, "leaky_relu", same), set(elu, "elu", same), set(celu, "celu", same), set(selu, "selu", same);
  set(silu, "silu", same), set(gelu, "gelu", same), set(gelu_tanh, "gelu", same), set(softplus, "softplus", same), set(hardtanh, "hardtanh", same);
  set(hardsigmoid, "hardsigmoid", same), set(hardswish, "hardswish", same), set(mish, "mish", same), set(logsigmoid, "logsigmoid", same);
  set(softsign, "softsign", real), set(tanhshrink, "tanhshrink", real), set(softshrink, "softshrink", same), set(hardshrink, "hardshrink", same);
  set(threshold, "threshold", same), set(relu6, "relu6", same), set(clamp, "clamp", same), set(nan_to_num, "nan_to_num", same);
  set(bitwise_not, "bitwise_not", same), set(logical_not, "logical_not", boolean), set(isnan, "isnan", boolean), set(isinf, "isinf", boolean);
  set(isfinite, "isfinite", boolean), set(isposinf, "isposinf", boolean), set(isneginf, "isneginf", boolean), set(signbit, "signbit", boolean);
  set(deg2rad, "deg2rad", real), set(rad2deg, "rad2deg", real);
  return t;
}();

constexpr auto kBinary = [] {
  std::array<Description, static_cast<size_t>(Binary::count)> t{};
  auto set = [&t](Binary op, const char* name, Gives gives) { t[static_cast<size_t>(op)] = {name, gives}; };
  using enum Binary;
  using enum Gives;
  set(add, "add", same), set(sub, "sub", same), set(mul, "mul", same), set(div, "div", real);
  set(floor_divide, "floor_divide", same), set(trunc_divide, "div", same), set(remainder, "remainder", same), set(fmod, "fmod", same);
  set(pow, "pow", same), set(atan2, "atan2", real), set(hypot, "hypot", same), set(maximum, "maximum", same), set(minimum, "minimum", same);
  set(fmax, "fmax", same), set(fmin, "fmin", same);
  set(eq, "eq", boolean), set(ne, "ne", boolean), set(lt, "lt", boolean), set(le, "le", boolean), set(gt, "gt", boolean), set(ge, "ge", boolean);
  set(logical_and, "logical_and", boolean), set(logical_or, "logical_or", boolean), set(logical_xor, "logical_xor", boolean);
  set(bitwise_and, "bitwise_and", same), set(bitwise_or, "bitwise_or", same), set(bitwise_xor, "bitwise_xor", same);
  set(left_shift, "bitwise_left_shift", same), set(right_shift, "bitwise_right_shift", same);
  set(copysign, "copysign", real), set(nextafter, "nextafter", same), set(ldexp, "ldexp", real), set(logaddexp, "logaddexp", real), set(logaddexp2, "logaddexp2", real);
  set(xlogy, "xlogy", real), set(xlog1py, "xlog1py", real), set(heaviside, "heaviside", same), set(gcd, "gcd", same), set(lcm, "lcm", same);
  set(squared_difference, "squared_difference", same), set(add_scaled, "add", same);
  return t;
}();

constexpr const char* kTernary[] = {"where", "lerp", "addcmul", "addcdiv", "clamp", "fma"};

const Description& describe(Unary op) { return kUnary[static_cast<size_t>(op)]; }
const Description& describe(Binary op) { return kBinary[static_cast<size_t>(op)]; }

DType gives(const Description& op, DType type) {
  if (op.gives == Gives::boolean) return DType::bool_;
  if (op.gives == Gives::real && !is_floating(type) && !is_complex(type)) return default_dtype();
  return type;
}

// The tensor an elementwise op writes its result to.
Tensor destination(const char* name, const Into& into, const Dims& sizes, DType dtype, const Tensor& like) {
  if (into.kind == Into::fresh) return empty_result(sizes, dtype, like);
  const Tensor& y = *into.tensor;
  check_cast(name, dtype, y.dtype());
  if (into.kind == Into::inplace) {
    check(y.sizes() == sizes, name, "_: output with shape ", y.sizes(), " doesn't match the broadcast shape ", sizes);
    check_inplace(name, y);
  } else {
    resize_for_out(name, y, sizes);
  }
  return y;
}

void check_overlap(const char* name, const Tensor& y, const Tensor& x) {
  check(!may_overlap(y, x), name, ": unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
        "Please clone() the tensor before performing the operation.");
}

void check_devices(const char* name, const Tensor& a, const Tensor& b) {
  check(a.device() == b.device() || (a.dim() == 0 && a.device().is_cpu()) || (b.dim() == 0 && b.device().is_cpu()), name,
        ": Expected all tensors to be on the same device, but found at least two devices, ", device_name(a.device()), " and ", device_name(b.device()), "!");
}

void check_complex(const char* name, bool takes, DType type) {
  if (is_complex(type) && !takes) [[unlikely]] fail<NotImplementedError>(name, ": not implemented for ", type);
}

void check_integral(const char* name, DType type) {
  if (is_floating(type)) [[unlikely]] fail<NotImplementedError>(name, ": not implemented for ", type, ", only for integers and bool");
}

// "mul_" for "mul": who overwrote a tensor, in errors. Kept for the process: versions hold the pointer.
const char* writer_name(const char* name) {
  static auto* names = new std::unordered_map<const char*, std::string>;
  auto [found, fresh] = names->try_emplace(name);
  if (fresh) found->second = std::string(name) + "_";
  return found->second.c_str();
}

// A value an op keeps for its derivative: a copy, with its history, where the op is about to overwrite it.
Tensor before_write(const Tensor& x, const Into& into, bool needed) {
  return needed && into.kind == Into::inplace && x->storage == (*into.tensor)->storage ? clone(x) : x;
}

Node* record_result(const char* name, const Tensor& y, const Into& into, Inputs inputs) {
  return into.kind == Into::inplace ? record_inplace(name, y, inputs) : record(name, y, inputs);
}

void check_out(const char* name, const Into& into, Inputs inputs) {
  if (into.kind == Into::out)
    check(!wants_grad(inputs), name, ": functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
}

}  // namespace

const char* unary_name(Unary op) { return describe(op).name; }
const char* binary_name(Binary op) { return describe(op).name; }

Tensor unary(Unary op, const Tensor& x, const Params& params, const Into& into) {
  const Description& description = describe(op);
  const char* name = description.name;
  const bool in_complex = is_complex(x.dtype());
  if (!in_complex && op >= Unary::count) {  // what remains of them on the real line
    if (op == kSgn) return unary(Unary::sign, x, params, into);
    if (op == kConj) return unary(Unary::copy, x, params, into);
    Tensor wide = is_floating(x.dtype()) ? x : to_dtype(x, default_dtype());
    Tensor turned = where(lt(wide, wrapped_number(0)), wrapped_number(3.14159265358979323846), wrapped_number(0.0));
    return where(isnan(wide), wide, to_dtype(turned, wide.dtype()), into);
  }
  if (op == Unary::positive && in_complex) return unary(Unary::copy, x, params, into);
  check_complex(name, unary_takes_complex(op), x.dtype());
  if (x.dtype() == DType::bool_ && !description.takes_bool)
    fail<RuntimeError>(name, ": not defined for bool tensors; use logical_not() to invert a mask, or convert it first");
  if (op == Unary::bitwise_not && x.dtype() == DType::bool_) op = Unary::logical_not;
  if (op == Unary::square && x.dtype() == DType::bool_) return unary(op, to_dtype(x, DType::int64), params, into);  // a power, whose exponent is an integer
  if (op == Unary::bitwise_not) check_type(!is_floating(x.dtype()), name, ": not defined for ", x.dtype(), " tensors, only for integers and bool");
  DType type = gives(description, x.dtype());
  if (in_complex && (op == Unary::abs || op == kAngle)) {
    check(into.kind != Into::inplace, name, "_: In-place ", name, " is not supported for complex tensors.");
    type = real_dtype(type);
  }
  if ((op == Unary::hardtanh || op == Unary::relu6) && !is_floating(type)) return unary(Unary::clamp, x, op == Unary::relu6 ? Params{{0, 6}} : params, into);
  if (description.gives == Gives::same && !is_floating(type) && !in_complex && !unary_takes_integers(op)) fail<NotImplementedError>(name, ": not implemented for ", type);
  check_out(name, into, {x});
  Tensor y = destination(name, into, x.sizes(), type, x);
  if (into) check_overlap(name, y, x);

  bool wanted = wants_grad({x});
  int uses = !wanted ? 0 : in_complex ? complex_uses(op) : unary_uses(op);
  Tensor kept = before_write(x, into, wanted && (uses & kUsesX));
  DType compute = compute_type(description.gives == Gives::boolean || in_complex ? x.dtype() : type);
  if (description.gives == Gives::rounded && !is_floating(x.dtype())) op = Unary::copy;
  if (in_complex && op != Unary::copy) run(name, y, y.numel(), rare_kernels(name, y).complex_unary, op, plan({&y, &x}), compute);
  else run(name, y, y.numel(), kernels(y).unary, op, plan({&y, &x}), compute, params);
  if (into) y.bump_version(writer_name(name));

  if (Node* node = wanted ? record_result(name, y, into, {x}) : nullptr)
    node->backward = [op, params, x = (uses & kUsesX) ? Saved(kept) : Saved(), y = (uses & kUsesY) ? SavedOutput(y) : SavedOutput()](const Tensor& dy, Needs) -> Grads {
      return {unary_derivative(op, x(), y(), dy, params)};
    };
  return y;
}

// dx for a unary function. Inside a graph that will be differentiated again it is composed of recorded ops, else it is
// one kernel; both come from the same line of functions.h.
Tensor unary_derivative(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params) {
  if (is_complex(dy.dtype()) || (x.defined() && is_complex(x.dtype()))) [[unlikely]] return complex_derivative(op, x, y, dy, params);
  if (grad_enabled()) return unary_algebra(op, x, y, dy, params);
  Tensor dx = empty_result(dy.sizes(), dy.dtype(), dy);
  const Tensor& x_or_dy = x.defined() ? x : dy;
  const Tensor& y_or_dy = y.defined() ? y : dy;
  run(unary_name(op), dx, dx.numel(), kernels(dx).unary_backward, op, plan({&dx, &x_or_dy, &y_or_dy, &dy}), compute_type(dx.dtype()), params);
  return dx;
}

Tensor binary(Binary op, const Tensor& a, const Tensor& b, const Params& params, const Into& into) {
  const Description& description = describe(op);
  const char* name = description.name;
  DType common = a.dtype() == b.dtype() && !a->wrapped_number && !b->wrapped_number ? a.dtype() : result_type({&a, &b});
  check_complex(name, binary_takes_complex(op), common);
  if (op >= Binary::bitwise_and && op <= Binary::right_shift) check_integral(name, common);
  if (op == Binary::gcd || op == Binary::lcm) check_integral(name, common);
  if ((op == Binary::hypot || op == Binary::nextafter) && !is_floating(common)) fail<NotImplementedError>(name, ": not implemented for ", common);
  bool bool_power = op == Binary::pow && b->wrapped_number;  // a number's powers of a mask are a mask, as in PyTorch
  if (common == DType::bool_ && op >= Binary::floor_divide && op <= Binary::pow && !bool_power) fail<NotImplementedError>(name, ": not implemented for bool");
  DType type = gives(description, common);
  Dims sizes = broadcast(name, a.sizes(), b.sizes());
  if (a.device() != b.device()) check_devices(name, a, b);
  check_out(name, into, {a, b});
  // A 0-d CPU operand does not decide where the result lives.
  const Tensor& like = a.device().is_cpu() && !b.device().is_cpu() ? b : a.sizes() == sizes ? a : b;
  Tensor y = destination(name, into, sizes, type, like);
  if (into) check_overlap(name, y, a), check_overlap(name, y, b);

  bool wanted = (a->grad || b->grad || a->base || b->base) && description.gives != Gives::boolean && wants_grad({a, b});
  int uses = wanted ? binary_uses(op, a.requires_grad(), b.requires_grad()) : 0;
  Tensor kept_a = wanted ? before_write(a, into, uses & kUsesX) : Tensor(), kept_b = wanted ? before_write(b, into, uses & kUsesB) : Tensor();
  auto kernel = is_complex(common) ? rare_kernels(name, y).complex_binary : kernels(y).binary;
  run(name, y, y.numel(), kernel, op, plan({&y, &a, &b}), compute_type(description.gives == Gives::real ? type : common), params);
  if (into) y.bump_version(writer_name(name));

  if (Node* node = wanted ? record_result(name, y, into, {a, b}) : nullptr) {
    if (op == Binary::mul) {  // the commonest, kept short
      node->backward = [a = (uses & kUsesX) ? Saved(kept_a) : Saved(), b = (uses & kUsesB) ? Saved(kept_b) : Saved()](const Tensor& dy, Needs needs) -> Grads {
        return {needs[0] ? mul(dy, conj(b())) : Tensor(), needs[1] ? mul(dy, conj(a())) : Tensor()};
      };
      return y;
    }
    node->backward = [op, params, a = (uses & kUsesX) ? Saved(kept_a) : Saved(), b = (uses & kUsesB) ? Saved(kept_b) : Saved(), y = (uses & kUsesY) ? SavedOutput(y) : SavedOutput()](const Tensor& dy, Needs needs) -> Grads {
      if (is_complex(dy.dtype())) return conjugated(binary_algebra(op, a(), b(), y(), conj(dy), params, needs));
      return binary_algebra(op, a(), b(), y(), dy, params, needs);
    };
  }
  return y;
}

static void check_alpha(const char* name, Scalar alpha, const Tensor& a, const Tensor& b) {
  DType type = result_type({&a, &b});
  check(!alpha.is_bool() || type == DType::bool_, name, ": Boolean alpha only supported for Boolean results.");
  check(is_complex(type) || !alpha.is_complex(), name, ": For non-complex input tensors, argument alpha must not be a complex number.");
  check(is_floating(type) || is_complex(type) || alpha.is_integral(), name, ": For integral input tensors, argument alpha must not be a floating point number.");
}

// A number as the parameters of a function hold it.
Params factor(Scalar value) { return {{value.as_complex().real(), value.as_complex().imag()}}; }

Tensor add(const Tensor& a, const Tensor& b, Scalar alpha, const Into& into) {
  if (alpha.as_complex() == 1.0) return binary(Binary::add, a, b, {}, into);
  check_alpha("add", alpha, a, b);
  return binary(Binary::add_scaled, a, b, factor(alpha), into);
}

Tensor sub(const Tensor& a, const Tensor& b, Scalar alpha, const Into& into) {
  check(a.dtype() != DType::bool_ || b.dtype() != DType::bool_, "sub: Subtraction, the `-` operator, with two bool tensors is not supported. "
        "Use the `^` or `logical_xor()` operator instead.");
  check(a.dtype() != DType::bool_ && b.dtype() != DType::bool_, "sub: Subtraction, the `-` operator, with a bool tensor is not supported. "
        "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.");
  if (alpha.as_complex() == 1.0) return binary(Binary::sub, a, b, {}, into);
  check_alpha("sub", alpha, a, b);
  return binary(Binary::add_scaled, a, b, factor(Scalar(-alpha.as_complex())), into);
}

Tensor ternary(Ternary op, const Tensor& a, const Tensor& b, const Tensor& c, const Params& params, const Into& into) {
  const char* name = kTernary[static_cast<int>(op)];
  DType type = op == Ternary::where ? result_type({&b, &c}) : result_type({&a, &b, &c});
  check_complex(name, ternary_takes_complex(op), type);
  Dims sizes = broadcast(name, broadcast(name, a.sizes(), b.sizes()), c.sizes());
  check_devices(name, a, b), check_devices(name, a, c), check_devices(name, b, c);
  check_out(name, into, {a, b, c});
  const Tensor& like = b.sizes() == sizes ? b : a.sizes() == sizes ? a : c;
  Tensor y = destination(name, into, sizes, type, like);
  if (into) check_overlap(name, y, a), check_overlap(name, y, b), check_overlap(name, y, c);
  bool wanted = wants_grad({a, b, c});
  int uses = wanted ? ternary_uses(op) : 0;
  Tensor kept_a = before_write(a, into, wanted && (uses & kUsesX)), kept_b = before_write(b, into, wanted && (uses & kUsesB)), kept_c = before_write(c, into, wanted && (uses & kUsesC));
  auto kernel = is_complex(type) ? rare_kernels(name, y).complex_ternary : kernels(y).ternary;
  run(name, y, y.numel(), kernel, op, plan({&y, &a, &b, &c}), compute_type(type), params);
  if (into) y.bump_version(writer_name(name));
  if (Node* node = wanted ? record_result(name, y, into, {a, b, c}) : nullptr)
    node->backward = [op, params, a = (uses & kUsesX) ? Saved(kept_a) : Saved(), b = (uses & kUsesB) ? Saved(kept_b) : Saved(), c = (uses & kUsesC) ? Saved(kept_c) : Saved()](const Tensor& dy, Needs needs) -> Grads {
      if (is_complex(dy.dtype()) && op != Ternary::where) return conjugated(ternary_algebra(op, a(), b(), c(), conj(dy), params, needs));
      return ternary_algebra(op, a(), b(), c(), dy, params, needs);
    };
  return y;
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b, const Into& into) {
  check(condition.dtype() == DType::bool_ || condition.dtype() == DType::uint8, "where: expected condition to be a boolean tensor, but got a tensor with dtype ", condition.dtype());
  return ternary(Ternary::where, condition, a, b, {}, into);
}

}  // namespace tessel
