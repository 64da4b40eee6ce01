// Views and shapes in Python.
#include "bindings/registry.h"

namespace tessel::python {

void bind_views() {
  add_op("view(Tensor input, int[*] size) -> Tensor", &view, "", kMethod);
  add_op("reshape(Tensor input, int[*] shape) -> Tensor", &reshape);
  add_op("permute(Tensor input, int[*] dims) -> Tensor", &permute);
  add_op("transpose(Tensor input, int dim0, int dim1) -> Tensor", &transpose);
  add_op("expand(Tensor input, int[*] size) -> Tensor", &expand, "", kMethod);
  add_op("unsqueeze(Tensor input, int dim) -> Tensor", &unsqueeze);
  add_op("t(Tensor input) -> Tensor", &t);
  add_op("numel(Tensor input) -> int", +[](const Tensor& x) { return x.numel(); });
  add_op("item(Tensor input) -> Scalar", &item, "", kMethod);
  add_op("detach(Tensor input) -> Tensor", &detach);
  add_op("contiguous(Tensor input) -> Tensor", &contiguous, "", kMethod);
  add_op("clone(Tensor input) -> Tensor", &clone);
}

}  // namespace tessel::python
