// Complex numbers, and the special functions: what ops.h lists for the rest. Every op that knows complex numbers uses it.
#pragma once
#include "kernels/rare.h"
#include "ops/ops.h"

namespace tessel {

Params factor(Scalar value);                // of add_scaled, addcmul and addcdiv
const RareKernels& rare_kernels(const char* op, const Tensor& x);   // of x's device; NotImplementedError where it has none

// Functions in rare.h's list Special; without a derivative where PyTorch has none.
Tensor special(Special op, const Tensor& x, const Into& into = {});
Tensor special(Special op, const Tensor& a, const Tensor& b, const Into& into = {});

Tensor view_as_real(const Tensor& x);       // the same memory, with a last dimension of the two parts
Tensor view_as_complex(const Tensor& x);
Tensor alias_as_real(const Tensor& x);      // view_as_real without history
Tensor real(const Tensor& x);               // a view of the parts; a real tensor itself
Tensor imag(const Tensor& x);
Tensor conj(const Tensor& x);               // a real tensor itself
Tensor sgn(const Tensor& x);                // x / |x|
Tensor complex(const Tensor& re, const Tensor& im, const Into& into = {});
Tensor polar(const Tensor& size, const Tensor& angle, const Into& into = {});

// The part of `whole` that a view is, whose dtype may be that of the numbers' parts, and its derivative; in the view's elements.
struct Portion {
  DType dtype;
  Dims sizes, strides;
  int64_t offset;
};
Tensor part_of(const Tensor& whole, const Portion& part);
std::function<Grads(const Tensor&, Needs)> part_derivative(const Tensor& base, const Portion& part);

}  // namespace tessel
