// Matrix products in Python.
#include "bindings/registry.h"

namespace tessel::python {

void bind_matmul() {
  add_op("matmul(Tensor input, Tensor other) -> Tensor", &matmul, "The matrix product; leading dimensions broadcast.");
  add_op("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", &linear, "input @ weight.T + bias: (*, in) x (out, in) -> (*, out)", kNN);
}

}  // namespace tessel::python
