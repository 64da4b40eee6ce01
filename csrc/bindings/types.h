// Python's dtype, device, Size, Generator.
#pragma once
#include "bindings/casters.h"

namespace tessel::python {

const char* python_dtype_name(DType dtype);  // "bool", "float32"
PyObject* wrap_layout();                      // strided, the only one there is
void check_layout(PyObject* layout);           // TypeError unless a layout or None
MemoryFormat to_memory_format(PyObject* o, MemoryFormat otherwise);  // `otherwise` for null or None
bool is_size(PyObject* o);
void bind_types(PyObject* module);

}  // namespace tessel::python
