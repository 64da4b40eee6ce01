// Reductions in Python.
#include "bindings/registry.h"

namespace tessel::python {

void bind_reduce() {
  add_op("sum(Tensor input, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype) { return sum(x, {}, false, dtype); });
  add_op("sum(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &sum, "The sum over the given dimensions (all for None).");
  add_op("mean(Tensor input, *, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype) { return mean(x, {}, false, dtype); });
  add_op("mean(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", &mean, "");
}

}  // namespace tessel::python
