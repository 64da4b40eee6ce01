// An activation that a product takes along, in the pass that writes its result. What comes out has the bits and the history of the
// two ops one after the other: two nodes, of which the product's belongs to the values before the activation. Used by linear and conv.
//
//   Tensor y = empty(...), before = before_activation(activation, y, wants_grad({x, w, b}));
//   ... the kernel, which keeps what the activation reads only where `before` has memory of its own (own_memory) ...
//   if (Node* node = record("linear", before, {x, w, b})) ...
//   return record_activation(activation, before, y);
#pragma once
#include "ops/ops.h"

namespace tessel {

// Do kernels take it along for tensors like x? Where not, `activated` is the op of its own.
bool takes_along(Activation activation, const Tensor& x);
Tensor activated(Activation activation, const Tensor& x, bool inplace = false);

// The tensor that the product's history belongs to: y itself where there is no activation; y's memory under another handle, for
// nobody will read it, or memory of its own where the derivative will (`wanted`: is there to be one?).
Tensor before_activation(Activation activation, const Tensor& y, bool wanted);
inline bool own_memory(const Tensor& before, const Tensor& y) { return before->storage != y->storage; }

// Makes y the activation of `before`; in place: as if it had been written over it.
const Tensor& record_activation(Activation activation, const Tensor& before, const Tensor& y, bool inplace = false);

// conv and conv_same (ops.h) with an activation.
Tensor conv(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
            Activation activation, bool inplace);
Tensor conv_same(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& dilation, int64_t groups,
                 Activation activation, bool inplace);

}  // namespace tessel
