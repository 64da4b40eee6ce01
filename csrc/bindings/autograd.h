// Autograd's Python side: modes, backward, graph nodes, custom functions, hooks; and the memory and thread settings.
#pragma once
#include "bindings/casters.h"

namespace tessel::python {

void bind_autograd(PyObject* module);
void bind_memory(PyObject* module);

}  // namespace tessel::python
