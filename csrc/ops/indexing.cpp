// Indexing: parts chosen by tensors of positions.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  (void)x, (void)dim, (void)index, (void)source, (void)alpha;
  fail<NotImplementedError>("index_add");
}

}  // namespace tessel
