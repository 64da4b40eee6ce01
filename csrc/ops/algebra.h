// Derivatives of elementwise functions as expressions in recorded ops: what a gradient is made of when it will itself be
// differentiated. They need not undo broadcasting: the engine sums a gradient to the size of what it belongs to. Unary ones come from kernels/functions.h, instantiated with tensors in place of SIMD vectors.
#pragma once
#include "ops/ops.h"
#include <array>

namespace tessel {

// Which of its values a derivative reads: the op keeps only those.
enum Uses { kUsesX = 1, kUsesY = 2, kUsesB = 4, kUsesC = 8 };  // x is the first operand
bool unary_takes_integers(Unary op);  // is there a kernel for integers?
int unary_uses(Unary op);
int binary_uses(Binary op, bool a_wants_grad, bool b_wants_grad);
int ternary_uses(Ternary op);

// Functions of complex numbers: which there are, and their derivatives. A gradient made by the real formulas from
// conj(dy) has to be conjugated.
bool unary_takes_complex(Unary op);
bool binary_takes_complex(Binary op);
bool ternary_takes_complex(Ternary op);
int complex_uses(Unary op);
Tensor complex_derivative(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params);
Grads conjugated(Grads grads);

Tensor unary_derivative(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params);
Tensor unary_algebra(Unary op, const Tensor& x, const Tensor& y, const Tensor& dy, const Params& params);
Grads binary_algebra(Binary op, const Tensor& a, const Tensor& b, const Tensor& y, const Tensor& dy, const Params& params, Needs needs);
Grads ternary_algebra(Ternary op, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& dy, const Params& params, Needs needs);

}  // namespace tessel
