// The derivatives of unary functions with tensors in the place of SIMD vectors: kernels/functions.h, instantiated once
// more, so that a gradient can itself be differentiated.
#include <utility>

#include "ops/algebra.h"

#define TESSEL_TARGET algebra

namespace tessel::algebra {

struct Value {
  Tensor t;
  Value(const Tensor& t) : t(t) {}
  explicit Value(double number) : t(wrapped_number(Scalar(number))) {}
};

static Value operator+(const Value& a, const Value& b) { return add(a.t, b.t); }
static Value operator-(const Value& a, const Value& b) { return sub(a.t, b.t); }
static Value operator*(const Value& a, const Value& b) { return mul(a.t, b.t); }
static Value operator/(const Value& a, const Value& b) { return div(a.t, b.t); }
static Value operator-(const Value& a) { return neg(a.t); }

static Value select(const Value& mask, const Value& a, const Value& b) { return where(mask.t, a.t, b.t); }
static Value gt(const Value& a, const Value& b) { return tessel::gt(a.t, b.t); }
static Value ge(const Value& a, const Value& b) { return tessel::ge(a.t, b.t); }
static Value lt(const Value& a, const Value& b) { return tessel::lt(a.t, b.t); }
static Value le(const Value& a, const Value& b) { return tessel::le(a.t, b.t); }
static Value eq(const Value& a, const Value& b) { return tessel::eq(a.t, b.t); }
[[maybe_unused]] static Value ne(const Value& a, const Value& b) { return tessel::ne(a.t, b.t); }

#define TESSEL_LIFT(name) [[maybe_unused]] static Value name(const Value& x) { return unary(Unary::name, x.t); }
TESSEL_LIFT(abs) TESSEL_LIFT(sqrt) TESSEL_LIFT(exp) TESSEL_LIFT(exp2) TESSEL_LIFT(expm1) TESSEL_LIFT(log) TESSEL_LIFT(log1p) TESSEL_LIFT(sin) TESSEL_LIFT(cos)
TESSEL_LIFT(tan) TESSEL_LIFT(sinh) TESSEL_LIFT(cosh) TESSEL_LIFT(tanh) TESSEL_LIFT(erf) TESSEL_LIFT(erfc) TESSEL_LIFT(sigmoid) TESSEL_LIFT(softplus)
TESSEL_LIFT(digamma) TESSEL_LIFT(trigamma) TESSEL_LIFT(i0) TESSEL_LIFT(i1)
#undef TESSEL_LIFT
[[maybe_unused]] static Value normal_cdf(const Value& x) { return Value(0.5) * erfc(x * Value(-0.70710678118654752440)); }

}  // namespace tessel::algebra

#include "kernels/functions.h"

namespace tessel {

namespace {

using Derivative = Tensor (*)(const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params);
struct Entry {
  Derivative derivative = nullptr;
  int reads = 0;
  bool integers = false;
};

template <Unary op>
constexpr Entry entry() {
  using F = algebra::Function<op>;
  if constexpr (requires { F::reads; }) {
    return {[](const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params) { return F::grad(algebra::Value(x), algebra::Value(y), algebra::Value(dy), params).t; },
            (F::reads & algebra::kX ? kUsesX : 0) | (F::reads & algebra::kY ? kUsesY : 0), F::integers};
  } else {
    return {nullptr, 0, F::integers};
  }
}

template <size_t... I>
constexpr auto make_table(std::index_sequence<I...>) {
  return std::array<Entry, sizeof...(I)>{entry<static_cast<Unary>(I)>()...};
}
constexpr auto table = make_table(std::make_index_sequence<static_cast<size_t>(Unary::count)>());

}  // namespace

bool unary_takes_integers(Unary op) { return table[static_cast<size_t>(op)].integers; }

int unary_uses(Unary op) { return table[static_cast<size_t>(op)].reads; }

Tensor unary_algebra(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params) {
  Derivative derivative = table[static_cast<size_t>(op)].derivative;
  if (!derivative) fail<RuntimeError>(unary_name(op), ": the derivative is not implemented");
  Tensor dx = derivative(x, y, dy, params);
  return dx.sizes() == dy.sizes() ? dx : expand(dx, dy.sizes());
}

}  // namespace tessel
