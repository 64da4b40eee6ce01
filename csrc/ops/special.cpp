// Special functions: reals of any dtype, computed in float64. Most have no derivative in PyTorch: a graph may be built
// through them and raises where it is run.
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

namespace {

constexpr const char* kNames[] = {
    "special_airy_ai", "special_bessel_j0", "special_bessel_j1", "special_bessel_y0", "special_bessel_y1", "special_entr", "special_erfcx",
    "special_i0e", "special_i1", "special_i1e", "special_modified_bessel_k0", "special_modified_bessel_k1", "special_log_ndtr", "special_ndtri",
    "special_scaled_modified_bessel_k0", "special_scaled_modified_bessel_k1", "special_spherical_bessel_j0", "special_zeta", "polygamma", "igamma",
    "igammac", "special_chebyshev_polynomial_t", "special_chebyshev_polynomial_u", "special_chebyshev_polynomial_v", "special_chebyshev_polynomial_w",
    "special_shifted_chebyshev_polynomial_t", "special_shifted_chebyshev_polynomial_u", "special_shifted_chebyshev_polynomial_v",
    "special_shifted_chebyshev_polynomial_w", "special_hermite_polynomial_h", "special_hermite_polynomial_he", "special_laguerre_polynomial_l",
    "special_legendre_polynomial_p"};
static_assert(std::size(kNames) == static_cast<size_t>(Special::count));

const char* name_of(Special op) { return kNames[static_cast<size_t>(op)]; }

Tensor none() { return wrapped_number(0.0); }

Tensor derivative(Special op, const Tensor& x, const Tensor& y, const Tensor& dy) {
  switch (op) {
    case Special::entr: return dy * where(ge(x, none()), neg(log(x)) - 1.0, wrapped_number(NAN));
    case Special::erfcx: return dy * (2.0 * x * y - 1.12837916709551257390);
    case Special::i0e: return dy * (special(Special::i1e, x) - sign(x) * y);
    case Special::i1: return dy * where(eq(x, none()), wrapped_number(0.5), unary(Unary::i0, x) - y / x);
    case Special::i1e: return dy * where(eq(x, none()), wrapped_number(0.5), special(Special::i0e, x) - y * (sign(x) + reciprocal(x)));
    case Special::log_ndtr: return dy / special(Special::erfcx, x * -0.70710678118654752440) * 0.79788456080286535588;
    case Special::ndtri: return dy * exp(square(y) / 2.0) * 2.50662827463100050242;
    default: fail<NotImplementedError>(name_of(op), ": the derivative is not implemented");
  }
}

// Gradients of the second operand; PyTorch has none of the first.
Tensor second_derivative(Special op, const Tensor& a, const Tensor& b, const Tensor& dy) {
  switch (op) {
    case Special::zeta: return dy * (neg(a) * special(Special::zeta, a + 1.0, b));
    case Special::polygamma: return dy * special(Special::polygamma, a + 1.0, b);
    case Special::gammainc: case Special::gammaincc: {
      Tensor density = exp((a - 1.0) * log(b) - b - unary(Unary::lgamma, a));
      return dy * (op == Special::gammainc ? density : neg(density));
    }
    default: fail<NotImplementedError>(name_of(op), ": the derivative is not implemented");
  }
}

DType real_type(Special op, DType type) {
  if (is_complex(type)) fail<NotImplementedError>(name_of(op), ": not implemented for ", type);
  return is_floating(type) ? type : default_dtype();
}

Tensor destination(const char* name, const Into& into, const Dims& sizes, DType type, const Tensor& like) {
  if (into.kind == Into::fresh) return empty_result(sizes, type, like);
  const Tensor& y = *into.tensor;
  check_cast(name, type, y.dtype());
  if (into.kind == Into::inplace) {
    check(y.sizes() == sizes, name, "_: output with shape ", y.sizes(), " doesn't match the broadcast shape ", sizes);
    check_inplace(name, y);
  } else {
    resize_for_out(name, y, sizes);
  }
  return y;
}

}  // namespace

Tensor special(Special op, const Tensor& x, const Into& into) {
  const char* name = name_of(op);
  DType type = real_type(op, x.dtype());
  check(into.kind != Into::out || !wants_grad({x}), name, ": functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
  Tensor kept = into.kind == Into::inplace && wants_grad({x}) ? clone(x) : x;
  Tensor y = destination(name, into, x.sizes(), type, x);
  run(name, y, y.numel() * 32, rare_kernels(name, y).special, op, plan({&y, &x}));
  if (into) y.bump_version(name);
  if (Node* node = into.kind == Into::inplace ? record_inplace(name, y, {x}) : record(name, y, {x}))
    node->backward = [op, x = Saved(kept), y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads { return {derivative(op, x(), y(), dy)}; };
  return y;
}

Tensor special(Special op, const Tensor& a, const Tensor& b, const Into& into) {
  const char* name = name_of(op);
  DType type = real_type(op, result_type({&a, &b}));
  Dims sizes = broadcast(name, a.sizes(), b.sizes());
  check(into.kind != Into::out || !wants_grad({a, b}), name, ": functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
  bool writes_b = into.kind == Into::inplace && into.tensor->is_same(b);
  Tensor kept_a = into.kind == Into::inplace && wants_grad({a, b}) ? clone(a) : a, kept_b = writes_b && wants_grad({a, b}) ? clone(b) : b;
  Tensor y = destination(name, into, sizes, type, a.sizes() == sizes ? a : b);
  run(name, y, y.numel() * 64, rare_kernels(name, y).special, op, plan({&y, &a, &b}));
  if (into) y.bump_version(name);
  Node* node = nullptr;
  if (into.kind == Into::inplace) {  // what is overwritten comes first in a record
    Tensor inputs[] = {writes_b ? b : a, writes_b ? a : b};
    node = record_inplace(name, y, inputs);
  } else {
    node = record(name, y, {a, b});
  }
  if (node)
    node->backward = [op, writes_b, a = Saved(kept_a), b = Saved(kept_b)](const Tensor& dy, Needs needs) -> Grads {
      if (needs[writes_b ? 1 : 0]) fail<NotImplementedError>(name_of(op), ": the derivative with respect to the first operand is not implemented");
      Tensor db = second_derivative(op, a(), b(), dy);
      return {writes_b ? db : Tensor(), writes_b ? Tensor() : db};
    };
  return y;
}

}  // namespace tessel
