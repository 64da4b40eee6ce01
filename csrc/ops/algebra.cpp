// The derivatives of binary and ternary functions, and which of their values each reads.
#include "ops/algebra.h"

#include "ops/complex.h"

namespace tessel {

namespace {

Tensor number(double value) { return wrapped_number(Scalar(value)); }
// The factor that add_scaled, addcmul and addcdiv were given.
Tensor factor(const Params& params) { return params.s[1] == 0 ? number(params.s[0]) : wrapped_number(std::complex<double>(params.s[0], params.s[1])); }
Tensor zeros_like(const Tensor& x) { return zeros(x.sizes(), x.dtype(), x.device()); }
Tensor when(const Tensor& mask, const Tensor& dy) { return where(mask, dy, number(0)); }

// dy split between two operands: all of it to the chosen one, half to each on a tie (maximum, minimum).
Tensor share(const Tensor& chosen, const Tensor& tie, const Tensor& dy) { return where(tie, dy * 0.5, when(chosen, dy)); }

Tensor pow_da(const Tensor& a, const Tensor& b, const Tensor& dy) {
  // b * a^(b-1), and 0 where b is 0 (not 0 * inf)
  return where(eq(b, number(0)), number(0), dy * (b * pow(a, b - 1.0)));
}
Tensor pow_db(const Tensor& a, const Tensor& b, const Tensor& y, const Tensor& dy) {
  // y * log(a), and 0 for a = 0 with b >= 0, where y * log(a) would be 0 * -inf
  Tensor settled = unary(Unary::logical_not, ne(a, number(0)));
  Tensor positive = ge(real(b), number(0));
  return where(binary(Binary::logical_and, settled, positive), number(0), dy * (y * log(a)));
}

}  // namespace

int binary_uses(Binary op, bool a_wants, bool b_wants) {
  auto either = [&](int for_a, int for_b) { return (a_wants ? for_a : 0) | (b_wants ? for_b : 0); };
  switch (op) {
    case Binary::mul: return either(kUsesB, kUsesX);
    case Binary::div: return either(kUsesB, kUsesX | kUsesB);
    case Binary::pow: return either(kUsesX | kUsesB, kUsesX | kUsesB | kUsesY);
    case Binary::atan2: case Binary::squared_difference: return kUsesX | kUsesB;
    case Binary::hypot: return kUsesX | kUsesB | kUsesY;
    case Binary::maximum: case Binary::minimum: case Binary::fmax: case Binary::fmin: return kUsesX | kUsesB;
    case Binary::remainder: case Binary::fmod: return either(0, kUsesX | kUsesB);
    case Binary::copysign: return either(kUsesX | kUsesY, 0);
    case Binary::nextafter: return either(kUsesX | kUsesB, 0);
    case Binary::ldexp: return either(kUsesB, kUsesY);
    case Binary::logaddexp: case Binary::logaddexp2: return kUsesX | kUsesB | kUsesY;
    case Binary::xlogy: case Binary::xlog1py: return either(kUsesX | kUsesB, kUsesX | kUsesB);
    default: return 0;
  }
}

Grads binary_algebra(Binary op, const Tensor& a, const Tensor& b, const Tensor& y, const Tensor& dy, const Params& params, Needs needs) {
  Tensor da, db;
  bool need_a = needs[0], need_b = needs[1];
  switch (op) {
    case Binary::add: da = dy, db = dy; break;
    case Binary::add_scaled:
      da = dy;
      if (need_b) db = dy * factor(params);
      break;
    case Binary::sub:
      da = dy;
      if (need_b) db = neg(dy);
      break;
    case Binary::mul:
      if (need_a) da = dy * b;
      if (need_b) db = dy * a;
      break;
    case Binary::div:
      if (need_a) da = dy / b;
      if (need_b) db = neg(dy * ((a / b) / b));
      break;
    case Binary::pow:
      if (need_a) da = pow_da(a, b, dy);
      if (need_b) db = pow_db(a, b, y, dy);
      break;
    case Binary::atan2: {  // d atan2(a, b) = (b da - a db) / (a^2 + b^2)
      Tensor norm = a * a + b * b;
      Tensor g = where(eq(norm, number(0)), number(0), dy / norm);
      if (need_a) da = g * b;
      if (need_b) db = neg(g * a);
      break;
    }
    case Binary::hypot: {
      Tensor g = where(eq(y, number(0)), number(0), dy / y);
      if (need_a) da = g * a;
      if (need_b) db = g * b;
      break;
    }
    case Binary::maximum: case Binary::minimum: {
      bool max = op == Binary::maximum;
      Tensor tie = eq(a, b);
      if (need_a) da = share(max ? gt(a, b) : lt(a, b), tie, dy);
      if (need_b) db = share(max ? lt(a, b) : gt(a, b), tie, dy);
      break;
    }
    case Binary::fmax: case Binary::fmin: {  // a NaN loses; PyTorch gives a tie to a
      bool max = op == Binary::fmax;
      Tensor first = binary(Binary::logical_or, max ? ge(a, b) : le(a, b), isnan(b));
      if (need_a) da = when(first, dy);
      if (need_b) db = when(logical_not(first), dy);
      break;
    }
    case Binary::remainder:
      da = dy;
      if (need_b) db = neg(dy * binary(Binary::floor_divide, a, b));
      break;
    case Binary::fmod:
      da = dy;
      if (need_b) db = neg(dy * binary(Binary::trunc_divide, a, b));
      break;
    case Binary::copysign:  // y = +-a: the sign that was given, 0 at 0
      if (need_a) da = where(eq(a, number(0)), number(0), dy * (y / a));
      if (need_b) db = zeros_like(dy);
      break;
    case Binary::ldexp:  // a * 2^b
      if (need_a) da = dy * unary(Unary::exp2, to_dtype(b, dy.dtype()));
      if (need_b) db = dy * y * 0.69314718055994530942;
      break;
    case Binary::logaddexp:
      if (need_a) da = dy * exp(a - y);
      if (need_b) db = dy * exp(b - y);
      break;
    case Binary::logaddexp2:
      if (need_a) da = dy * unary(Unary::exp2, a - y);
      if (need_b) db = dy * unary(Unary::exp2, b - y);
      break;
    case Binary::xlogy: {
      Tensor off = binary(Binary::logical_and, eq(a, number(0)), le(b, number(0)));
      if (need_a) da = dy * when(logical_not(off), log(b));
      if (need_b) db = dy * (a / b);
      break;
    }
    case Binary::xlog1py: {
      Tensor off = binary(Binary::logical_and, eq(a, number(0)), le(b, number(-1)));
      if (need_a) da = dy * when(logical_not(off), unary(Unary::log1p, b));
      if (need_b) db = dy * (a / (b + 1.0));
      break;
    }
    case Binary::squared_difference: {
      Tensor g = dy * (a - b) * 2.0;
      if (need_a) da = g;
      if (need_b) db = neg(g);
      break;
    }
    case Binary::nextafter:  // a step that is as good as none; b gives only its direction
      if (need_a) da = where(eq(a, b), number(0), dy);
      if (need_b) db = zeros_like(dy);
      break;
    case Binary::heaviside:
      fail<RuntimeError>(binary_name(op), ": the derivative is not implemented");
    default:  // constant between its jumps: floor_divide, trunc_divide, comparisons, integer functions
      if (need_a) da = zeros_like(dy);
      if (need_b) db = zeros_like(dy);
  }
  return {need_a ? da : Tensor(), need_b ? db : Tensor()};
}

int ternary_uses(Ternary op) {
  switch (op) {
    case Ternary::where: return kUsesX;
    case Ternary::addcmul: return kUsesB | kUsesC;
    default: return kUsesX | kUsesB | kUsesC;
  }
}

Grads ternary_algebra(Ternary op, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& dy, const Params& params, Needs needs) {
  Tensor da, db, dc;
  switch (op) {
    case Ternary::where:  // a is the condition
      if (needs[1]) db = when(a, dy);
      if (needs[2]) dc = where(a, number(0), dy);
      break;
    case Ternary::lerp:  // a + c * (b - a)
      if (needs[0]) da = dy * (1.0 - c);
      if (needs[1]) db = dy * c;
      if (needs[2]) dc = dy * (b - a);
      break;
    case Ternary::addcmul:
      da = dy;
      if (needs[1]) db = dy * c * factor(params);
      if (needs[2]) dc = dy * b * factor(params);
      break;
    case Ternary::addcdiv:
      da = dy;
      if (needs[1]) db = dy / c * factor(params);
      if (needs[2]) dc = neg(dy * (b / (c * c)) * factor(params));
      break;
    case Ternary::clamp_tensor: {  // b <= a <= c passes; b wins nothing where b > c (the result is c)
      Tensor below = lt(a, b), above = gt(a, c), crossed = gt(b, c);
      if (needs[0]) da = where(binary(Binary::logical_or, below, above), number(0), dy);
      if (needs[1]) db = when(binary(Binary::logical_and, below, logical_not(crossed)), dy);
      if (needs[2]) dc = when(binary(Binary::logical_or, above, binary(Binary::logical_and, crossed, below)), dy);
      break;
    }
    case Ternary::fma:
      if (needs[0]) da = dy * b;
      if (needs[1]) db = dy * a;
      dc = dy;
      break;
    default: break;
  }
  return {needs[0] ? da : Tensor(), needs[1] ? db : Tensor(), needs[2] ? dc : Tensor()};
}

}  // namespace tessel
