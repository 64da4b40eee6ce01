// Python objects <-> the core's types, for the argument parser and for results. Only bindings use it.
#pragma once
#include <Python.h>

#include <optional>
#include <string>
#include <vector>

#include "ops/ops.h"

namespace tessel::python {

// An owned Python reference.
class Object {
 public:
  Object() = default;
  explicit Object(PyObject* owned) : p_(owned) {}
  static Object share(PyObject* p) { Py_XINCREF(p); return Object(p); }
  Object(const Object& o) : p_(o.p_) { Py_XINCREF(p_); }
  Object(Object&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Object& operator=(Object o) noexcept { std::swap(p_, o.p_); return *this; }
  ~Object() { Py_XDECREF(p_); }
  PyObject* get() const { return p_; }
  PyObject* release() { return std::exchange(p_, nullptr); }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  PyObject* p_ = nullptr;
};

// Thrown where a Python exception is already set.
struct PythonException {};
// Sets the Python exception that belongs to the C++ one being handled.
void translate_exception() noexcept;
void raise(const Error& e, const std::string& message) noexcept;  // the Python type that e stands for
inline PyObject* expect(PyObject* p) {  // throws where a C-API call failed
  if (!p) throw PythonException();
  return p;
}

// ---- tensors (tensor.cpp)
extern PyTypeObject TensorType;
struct TensorObject {
  PyObject_HEAD
  TensorImpl* impl;        // null after its tensor died
  PyObject* dict;
  PyObject* weakrefs;
};
inline bool is_tensor(PyObject* o) { return Py_IS_TYPE(o, &TensorType) || PyObject_TypeCheck(o, &TensorType); }
inline TensorImpl* impl_of(PyObject* o) { return reinterpret_cast<TensorObject*>(o)->impl; }
inline Tensor to_tensor(PyObject* o) { return Tensor::share(impl_of(o)); }
PyObject* wrap(const Tensor& x);                        // a new reference; None for an undefined tensor
PyObject* wrap_as(PyTypeObject* type, const Tensor& x);  // a new object of a subclass
Tensor tensor_or_number(PyObject* o);                   // numbers become wrapped numbers
bool is_number(PyObject* o);                            // int, float, bool, complex, numpy scalars
Scalar to_scalar(PyObject* o);                          // also from 0-d tensors
int64_t to_int(PyObject* o);
double to_double(PyObject* o);

// ---- dtype, device, Size, Generator (types.cpp)
PyObject* wrap(DType dtype);
PyObject* wrap(Device device);
PyObject* wrap_size(const Dims& sizes);
bool is_dtype(PyObject* o);
DType to_dtype(PyObject* o);
bool is_device(PyObject* o);                            // a device object, a string or an int
Device to_device(PyObject* o);
bool is_generator(PyObject* o);
Generator& to_generator(PyObject* o);

PyObject* wrap(Scalar value);
inline PyObject* wrap(bool v) { return PyBool_FromLong(v); }
inline PyObject* wrap(int64_t v) { return PyLong_FromLongLong(v); }
inline PyObject* wrap(double v) { return PyFloat_FromDouble(v); }
inline PyObject* wrap(const std::string& v) { return PyUnicode_FromStringAndSize(v.data(), v.size()); }
inline PyObject* wrap(PyObject* o) { return o; }

}  // namespace tessel::python
