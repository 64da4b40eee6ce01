// Names that tessel's tensors lack; module.cpp has them put in when all others are there.
#pragma once
#include <Python.h>

namespace tessel::python {

extern PyTypeObject AbsentNames;  // Tensor's base: it holds these names and nothing else

void install_absent();

}  // namespace tessel::python
