// What the ops that reduce share: a mask of dimensions, the call of the kernel, the way back to the input's shape.
#pragma once
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

// The type reductions of `dtype` are calculated in.
inline DType reduce_type(DType dtype) { return is_floating(dtype) ? compute_type(dtype) : DType::int64; }

// x's sizes with 1 in the masked dimensions, and without them.
inline Dims kept_sizes(Dims sizes, uint32_t mask) {
  for (int d = 0; d < sizes.size(); ++d)
    if (mask >> d & 1) sizes[d] = 1;
  return sizes;
}
inline Dims dropped_sizes(const Dims& sizes, uint32_t mask) {
  Dims kept;
  for (int d = 0; d < sizes.size(); ++d)
    if (!(mask >> d & 1)) kept.push_back(sizes[d]);
  return kept;
}
inline int64_t count_reduced(const Dims& sizes, uint32_t mask) {
  int64_t n = 1;
  for (int d = 0; d < sizes.size(); ++d)
    if (mask >> d & 1) n *= sizes[d];
  return n;
}

// A reduced result, or its gradient, with the reduced dimensions put back as ones.
inline Tensor restore(const Tensor& y, uint32_t mask, bool keepdim, const Dims& sizes) {
  return keepdim || mask == 0 ? y : reshape(y, kept_sizes(sizes, mask));
}

// Runs a reduction kernel, without a record. `index`, where given, receives the positions.
Tensor run_reduce(const char* name, Reduce op, const Tensor& x, uint32_t mask, bool keepdim, DType type, DType compute, double parameter = 0, Tensor* index = nullptr);

}  // namespace tessel
