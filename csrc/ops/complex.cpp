// Complex numbers: their parts as views of the same memory, building them from parts, and how functions of them are
// differentiated.
#include "ops/algebra.h"
#include "ops/complex.h"

namespace tessel {

const RareKernels& rare_kernels(const char* op, const Tensor& x) {
  if (!x.device().is_cpu()) fail<NotImplementedError>(op, ": not there yet for tensors on ", device_name(x.device()));
  return rare_kernels();
}

// ---- parts

// The layout of a complex tensor's parts: one more dimension, of two.
static void parts_layout(Dims& sizes, Dims& strides) {
  for (int64_t& step : strides) step *= 2;
  sizes.push_back(2);
  strides.push_back(1);
}

Tensor alias_as_real(const Tensor& x) {
  Dims sizes = x.sizes(), strides = x.strides();
  parts_layout(sizes, strides);
  Tensor y = alias(x, sizes, strides, 2 * x.offset());
  y->dtype = real_dtype(x.dtype());
  return y;
}

static DType complex_dtype(DType dtype) { return dtype == DType::float64 ? DType::complex128 : DType::complex64; }

// Do the elements of x lie in pairs that can be read as complex numbers?
static bool lies_in_pairs(const Tensor& x) {
  bool even = x.stride(-1) == 1 && x.offset() % 2 == 0;
  for (int d = 0; d + 1 < x.dim(); ++d) even = even && x.strides()[d] % 2 == 0;
  return even || x.numel() == 0;
}

static Tensor in_pairs(const Tensor& x) { return lies_in_pairs(x) ? x : contiguous(x); }

Tensor view_as_real(const Tensor& x) {
  check(is_complex(x.dtype()), "view_as_real: only supported for complex tensors, got ", x.dtype());
  Dims sizes = x.sizes(), strides = x.strides();
  parts_layout(sizes, strides);
  Tensor y = make_view(x, sizes, strides, 2 * x.offset());
  y->dtype = real_dtype(x.dtype());
  y->update_layout();
  if (Node* node = record("view_as_real", y, {x}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {view_as_complex(in_pairs(dy))}; };
  return y;
}

Tensor view_as_complex(const Tensor& x) {
  if (x.dtype() == DType::float16) fail<NotImplementedError>("view_as_complex: complex32 is not there; convert the parts with .float()");
  check(x.dtype() == DType::float32 || x.dtype() == DType::float64, "view_as_complex: only supported for float32 and float64 tensors, but got a tensor of ", x.dtype());
  check(x.dim() > 0, "view_as_complex: Input tensor must have one or more dimensions");
  check(x.size(-1) == 2, "view_as_complex: Tensor must have a last dimension of size 2, but it is ", x.sizes());
  check(x.stride(-1) == 1, "view_as_complex: Tensor must have a last dimension with stride 1, but its strides are ", x.strides());
  check(x.offset() % 2 == 0, "view_as_complex: Tensor must have a storage_offset divisible by 2, but it is ", x.offset());
  Dims sizes = x.sizes(), strides = x.strides();
  sizes.erase(sizes.size() - 1), strides.erase(strides.size() - 1);
  for (int d = 0; d < sizes.size(); ++d) {
    check(strides[d] % 2 == 0 || sizes[d] <= 1, "view_as_complex: Tensor must have a stride divisible by 2 for all but last dimension, but its strides are ", x.strides());
    strides[d] /= 2;
  }
  Tensor y = make_view(x, sizes, strides, x.offset() / 2);
  y->dtype = complex_dtype(x.dtype());
  y->update_layout();
  if (Node* node = record("view_as_complex", y, {x}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {view_as_real(dy)}; };
  return y;
}

Tensor real(const Tensor& x) { return is_complex(x.dtype()) ? select(view_as_real(x), -1, 0) : x; }

Tensor imag(const Tensor& x) {
  check(is_complex(x.dtype()), "imag: only defined for complex tensors, got ", x.dtype());
  return select(view_as_real(x), -1, 1);
}

Tensor conj(const Tensor& x) { return is_complex(x.dtype()) ? unary(kConj, x) : x; }

Tensor sgn(const Tensor& x) { return unary(is_complex(x.dtype()) ? kSgn : Unary::sign, x); }

// A view of another dtype than its base, as a strided part of it, in either's own elements.
Tensor part_of(const Tensor& whole, const Portion& part) {
  if (whole.dtype() == part.dtype || is_complex(whole.dtype()) == is_complex(part.dtype)) return as_strided(whole, part.sizes, part.strides, part.offset);
  if (is_complex(whole.dtype())) return as_strided(view_as_real(whole), part.sizes, part.strides, part.offset);
  Dims sizes = part.sizes, strides = part.strides;
  parts_layout(sizes, strides);
  return view_as_complex(as_strided(whole, sizes, strides, 2 * part.offset));
}

std::function<Grads(const Tensor&, Needs)> part_derivative(const Tensor& base, const Portion& part) {
  if (base.dtype() == part.dtype || is_complex(base.dtype()) == is_complex(part.dtype)) return as_strided_derivative(base, part.sizes, part.strides, part.offset);
  if (is_complex(base.dtype())) {
    return [inner = as_strided_derivative(alias_as_real(base), part.sizes, part.strides, part.offset)](const Tensor& dy, Needs needs) -> Grads {
      return {view_as_complex(in_pairs(inner(dy, needs)[0]))};
    };
  }
  Dims sizes = part.sizes, strides = part.strides;
  parts_layout(sizes, strides);
  return [inner = as_strided_derivative(base, sizes, strides, 2 * part.offset)](const Tensor& dy, Needs needs) { return inner(view_as_real(dy), needs); };
}

// ---- from parts

Tensor complex(const Tensor& re, const Tensor& im, const Into& into) {
  for (const Tensor* part : {&re, &im})
    check(part->dtype() == DType::float32 || part->dtype() == DType::float64 || part->dtype() == DType::float16,
          "complex: Expected both inputs to be Half, Float or Double tensors but got ", re.dtype(), " and ", im.dtype());
  check(re.dtype() == im.dtype(), "complex: Expected object of scalar type ", re.dtype(), " but got scalar type ", im.dtype(), " for second argument");
  if (re.dtype() == DType::float16) fail<NotImplementedError>("complex: complex32 is not there; convert the parts with .float()");
  Dims sizes = broadcast("complex", re.sizes(), im.sizes());
  DType type = complex_dtype(re.dtype());
  Tensor y;
  if (into.kind == Into::out) {
    y = *into.tensor;
    check(y.dtype() == type, "complex: Expected object of scalar type ", type, " but got scalar type ", y.dtype(), " for argument 'out'");
    check(!wants_grad({re, im}), "complex: functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
    resize_for_out("complex", y, sizes);
    y.bump_version("complex");
  } else {
    y = empty(sizes, type, re.device());
  }
  Tensor parts = alias_as_real(y);
  {
    NoGrad no_grad;
    copy_elements("complex", select(parts, -1, 0), detach(re));
    copy_elements("complex", select(parts, -1, 1), detach(im));
  }
  if (Node* node = record("complex", y, {re, im}))
    node->backward = [](const Tensor& dy, Needs needs) -> Grads { return {needs[0] ? real(dy) : Tensor(), needs[1] ? imag(dy) : Tensor()}; };
  return y;
}

Tensor polar(const Tensor& size, const Tensor& angle, const Into& into) {
  for (const Tensor* part : {&size, &angle})
    check(part->dtype() == DType::float32 || part->dtype() == DType::float64, "polar: Expected both inputs to be Half, Float or Double tensors but got ", size.dtype(), " and ", angle.dtype());
  check(size.dtype() == angle.dtype(), "polar: Expected object of scalar type ", size.dtype(), " but got scalar type ", angle.dtype(), " for second argument");
  return complex(size * unary(Unary::cos, angle), size * unary(Unary::sin, angle), into);
}

// ---- derivatives: the gradient of a real loss is dL/dRe + i dL/dIm

bool unary_takes_complex(Unary op) {
  if (op >= Unary::count) return true;
  switch (op) {
    using enum Unary;
    case copy: case positive: case neg: case abs: case square: case reciprocal: case sqrt: case rsqrt: case exp: case exp2: case expm1:
    case log: case log2: case log10: case log1p: case sin: case cos: case tan: case asin: case acos: case atan: case sinh: case cosh: case tanh:
    case asinh: case acosh: case atanh: case sigmoid: case silu: case sinc:
    case logical_not: case isnan: case isinf: case isfinite:
      return true;
    default: return false;
  }
}

bool binary_takes_complex(Binary op) {
  switch (op) {
    using enum Binary;
    case add: case sub: case mul: case div: case pow: case eq: case ne: case logical_and: case logical_or: case logical_xor: case add_scaled: return true;
    default: return false;
  }
}

bool ternary_takes_complex(Ternary op) { return op == Ternary::where || op == Ternary::lerp || op == Ternary::addcmul || op == Ternary::addcdiv; }

int complex_uses(Unary op) {
  if (op == kConj) return 0;
  return op == Unary::abs || op == kAngle || op == kSgn || op == Unary::acosh ? kUsesX : unary_uses(op);
}

// Of a holomorphic f the gradient is dy conj(f'(x)): what the real formula, linear in dy, makes of conj(dy), conjugated.
Tensor complex_derivative(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params) {
  Tensor none = wrapped_number(0.0);
  if (op == Unary::copy) return dy;
  if (op == kConj) return conj(dy);
  if (op == Unary::abs) return dy * sgn(x);
  if (op == kAngle) {  // (re d im - im d re) / |x|^2, and 0 at 0
    Tensor size = abs(x), turned = x * wrapped_number(std::complex<double>(0, 1));
    return where(eq(size, none), none, turned * (dy / square(size)));
  }
  if (op == kSgn) {  // what is across the direction of x, divided by |x|
    Tensor size = abs(x), direction = sgn(x);
    return where(eq(size, none), none, (dy - direction * real(conj(direction) * dy)) / size);
  }
  // The branches of the two roots are acosh's.
  if (op == Unary::acosh) return conj(conj(dy) / (sqrt(x + 1.0) * sqrt(x - 1.0)));
  return conj(unary_algebra(op, x, y, conj(dy), params));
}

Grads conjugated(Grads grads) {
  for (Tensor& g : grads)
    if (g.defined()) g = conj(g);
  return grads;
}

}  // namespace tessel
