// Creation ops and Tensor's constructors.
#include "bindings/registry.h"
#include "bindings/tensor.h"

namespace tessel::python {

PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  (void)args, (void)kwargs;
  return wrap_as(type, empty({0}, default_dtype()));
}

void bind_creation() {}

}  // namespace tessel::python
