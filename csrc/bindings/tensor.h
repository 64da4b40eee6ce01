// What Tensor's type object takes from its neighbours.
#pragma once
#include "bindings/casters.h"

namespace tessel::python {

void bind_tensor(PyObject* module);
// x[key] and x[key] = value (indexing.cpp)
Tensor index_get(const Tensor& x, PyObject* key);
void index_set(const Tensor& x, PyObject* key, PyObject* value);
// Tensor(...), of the type or a subclass (construct.cpp)
PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs);
// A node of the graph as a Python object; None for null (autograd.cpp)
PyObject* wrap_node(const Ref<Node>& node);
// For the garbage collector: Python objects that hold nobody but a node, which nobody but its tensor holds (autograd.cpp)
int visit_node(const Ref<Node>& node, visitproc visit, void* arg);
void clear_node(Ref<Node>& node);
// Shows a tensor's object to the garbage collector, as it holds others now.
void track(PyObject* tensor);

}  // namespace tessel::python
