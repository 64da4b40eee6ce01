// Python's dtype, device, Size, Generator.
#pragma once
#include "bindings/casters.h"

namespace tessel::python {

const char* python_dtype_name(DType dtype);  // "bool", "float32"
void bind_types(PyObject* module);

}  // namespace tessel::python
