// Data from Python's side and back: lists, numpy, buffers, DLPack. construct.cpp, numpy.cpp, buffers.cpp, dlpack.cpp.
#pragma once
#include "bindings/casters.h"

namespace tessel::python {

// ---- construct.cpp
// A tensor of nested sequences, numbers, arrays or a tensor. Without `copy` it shares memory where it can.
Tensor tensor_from(PyObject* data, std::optional<DType> dtype, std::optional<Device> device, bool copy);

// ---- numpy.cpp
bool is_array(PyObject* o);  // does not import numpy
bool is_numpy_scalar(PyObject* o);
// Shares memory and keeps the array alive; TypeError or ValueError where it can't. Warns of a read-only array unless
// the tensor is only read.
Tensor from_array(PyObject* array, bool for_reading = false);
Object as_array(PyObject* o);                     // numpy.asarray(o)
PyObject* to_array(const Tensor& x, bool force);  // shares memory; TypeError or RuntimeError where PyTorch refuses

// ---- buffers.cpp
Tensor from_buffer(PyObject* buffer, DType dtype, int64_t count, int64_t offset, bool requires_grad);
extern PyBufferProcs tensor_buffer;  // of the type object

// ---- dlpack.cpp
Tensor from_dlpack(PyObject* source);  // a capsule, or what has __dlpack__
PyObject* to_dlpack(const Tensor& x, bool versioned, bool copied);
PyObject* dlpack_device(const Tensor& x);

// A Python reference as the owner of a Storage's memory.
void release_object(void* object);  // takes the interpreter's lock; does nothing after its end

// ---- conversions.cpp
extern PyMethodDef tensor_methods[];            // of the type object
int contains(PyObject* self, PyObject* value);  // value in self
PyObject* array_interface(PyObject* self);

void bind_conversions(PyObject* module);

}  // namespace tessel::python
