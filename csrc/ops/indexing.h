// Parts of a tensor that positions choose: what the ops of indexing, masks and embeddings share.
#pragma once
#include "ops/ops.h"

namespace tessel {

// How the elements of a part lie in x: along x's own dimensions, or where positions say.
struct Chosen {
  Dims sizes;
  Dims strides;       // in x, in elements; 0 where positions choose
  Tensor positions;   // int64, of the part's sizes, within x
  int64_t step;       // elements of x from one position to the next
};

// Positions along one dimension: `index` has the part's sizes.
Chosen choose_along(const Tensor& x, int64_t dim, const Tensor& index);

// The part of x, and the part written or combined into x (without autograd, and without a new version).
Tensor read_part(const char* op, const Tensor& x, const Chosen& part);
void write_part(const char* op, const Tensor& x, const Chosen& part, const Tensor& values, Combine combine);

bool is_mask(const Tensor& index);                       // bool, or uint8: PyTorch's old masks
Tensor as_positions(const char* op, const Tensor& index);  // int64; RuntimeError unless int32 or int64
struct Range { int64_t least, greatest; };
Range range_of(const Tensor& index);                     // of int64 positions; of none: {0, -1}
Tensor broadcast_alias(const Tensor& x, const Dims& sizes);  // without history

}  // namespace tessel
