// Tensors of Python's data: numbers, nested sequences, arrays, tensors; and what Tensor(...) makes. A list is walked
// twice: once for its sizes and its dtype, once to put its numbers in place.
#include <cmath>
#include <limits>

#include "bindings/interop.h"
#include "bindings/registry.h"
#include "bindings/tensor.h"
#include "bindings/types.h"

namespace tessel::python {

namespace {

// ---- one element

const char* type_name(PyObject* o) { return Py_TYPE(o)->tp_name; }

Tensor only_element(PyObject* o) {  // of a list: a tensor stands for a number
  Tensor x = to_tensor(o);
  check_value(x.numel() == 1, "tensor: only one element tensors can be converted to Python scalars (got ", x.sizes(),
              ")");
  return x;
}

int64_t long_of(PyObject* number) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  check_value(!overflow, "tensor: Overflow when unpacking long: the number does not fit into 64 bits");
  if (value == -1 && PyErr_Occurred()) throw PythonException();
  return value;
}

std::complex<double> complex_of(PyObject* o) {
  if (is_tensor(o)) return item(only_element(o)).as_complex();
  Object held = Object::share(o);
  if (is_number(o) && !PyFloat_Check(o) && !PyLong_Check(o) && !PyComplex_Check(o)) return to_scalar(o).as_complex();
  const Py_complex value = PyComplex_AsCComplex(o);
  if (value.real == -1 && PyErr_Occurred()) throw PythonException();
  return {value.real, value.imag};
}

double real_of(PyObject* o) {
  if (PyFloat_CheckExact(o)) return PyFloat_AS_DOUBLE(o);
  if (is_tensor(o)) return item(only_element(o)).as_double();
  const double value = PyFloat_AsDouble(o);
  if (value == -1 && PyErr_Occurred()) throw PythonException();
  return value;
}

[[noreturn]] void overflows(double value, DType dtype) {
  fail<RuntimeError>("tensor: value cannot be converted to type ", dtype, " without overflow (it is ", value, ")");
}

// Integers of 64 bits, from reals too, which lose their fraction.
int64_t integer_of(PyObject* o) {
  if (PyLong_CheckExact(o)) return long_of(o);
  if (is_tensor(o)) {
    Scalar value = item(only_element(o));
    if (!value.is_floating()) return value.as_int();
    Object real(PyFloat_FromDouble(value.as_double()));
    return integer_of(real.get());
  }
  if (PyFloat_Check(o) || (!PyIndex_Check(o) && is_number(o))) {
    const double value = real_of(o);
    if (!(value >= -0x1p63 && value < 0x1p63)) overflows(value, DType::int64);
    return static_cast<int64_t>(value);
  }
  Object index(expect(PyNumber_Index(o)));
  return long_of(index.get());
}

template <class T> void put(PyObject* o, T* y, DType dtype) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    *y = static_cast<T>(complex_of(o));
  } else if constexpr (std::is_same_v<T, bool>) {
    const int truth = is_tensor(o) ? item(only_element(o)).as_double() != 0 : PyObject_IsTrue(o);
    if (truth < 0) throw PythonException();
    check_type(is_tensor(o) || !PySequence_Check(o), "tensor: expected a number, got ", type_name(o));
    *y = truth;
  } else if constexpr (std::is_floating_point_v<T>) {
    *y = static_cast<T>(real_of(o));
  } else {
    const int64_t value = integer_of(o);
    if constexpr (sizeof(T) < sizeof(int64_t)) {  // unsigned ones take negatives and wrap, as PyTorch's
      constexpr int64_t top = std::numeric_limits<T>::max(),
                        low = std::is_signed_v<T> ? std::numeric_limits<T>::min() : -top;
      if (value > top || value < low) overflows(static_cast<double>(value), dtype);
    }
    *y = static_cast<T>(value);
  }
}

// ---- sequences

bool is_text(PyObject* o) { return PyUnicode_Check(o) || PyBytes_Check(o); }
bool is_list(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o); }
bool is_nested(PyObject* o) { return is_list(o) || (!is_tensor(o) && PySequence_Check(o) && !is_text(o)); }

Object as_list(PyObject* sequence) {
  if (is_list(sequence)) return Object::share(sequence);
  return Object(expect(PySequence_Fast(sequence, "not a sequence")));
}

// Sizes, as the first of each level says.
Dims sizes_of(PyObject* data) {
  Dims sizes;
  Object level = Object::share(data);
  while (is_nested(level.get())) {
    const Py_ssize_t n = PySequence_Length(level.get());
    if (n < 0) {
      if (!is_array(level.get())) throw PythonException();
      PyErr_Clear();  // an array of no dimensions
      break;
    }
    sizes.push_back(n);
    if (n == 0) break;
    level = Object(expect(PySequence_GetItem(level.get(), 0)));
  }
  check_value(!is_text(level.get()), "tensor: too many dimensions '", type_name(level.get()), "'");
  return sizes;
}

// The dtype that holds everything that was seen.
struct Seen {
  bool boolean = false, integer = false, real = false, imaginary = false;  // Python's own numbers
  std::optional<DType> others;

  void add(DType dtype) { others = others ? promote(*others, dtype) : dtype; }
  DType dtype() const {
    std::optional<DType> result = others;
    auto meet = [&](bool seen, DType type) {
      if (seen) result = result ? promote(*result, type) : type;
    };
    meet(boolean, DType::bool_), meet(integer, DType::int64), meet(real, default_dtype());
    meet(imaginary, default_dtype() == DType::float64 ? DType::complex128 : DType::complex64);
    return result.value_or(default_dtype());
  }
};

// `depth` levels of sequences may follow: more would not fit, and a list that holds itself has no end.
void look(PyObject* data, int depth, Seen& seen) {
  if (PyFloat_CheckExact(data))
    seen.real = true;
  else if (PyLong_CheckExact(data))
    seen.integer = true;
  else if (PyBool_Check(data))
    seen.boolean = true;
  else if (is_tensor(data))
    seen.add(impl_of(data)->dtype);
  else if (is_array(data))
    seen.add(from_array(data, true).dtype());
  else if (is_numpy_scalar(data))
    seen.add(from_array(as_array(data).get(), true).dtype());
  else if (PyFloat_Check(data))
    seen.real = true;
  else if (PyLong_Check(data))
    seen.integer = true;
  else if (PyComplex_Check(data))
    seen.imaginary = true;
  else if (is_text(data))
    fail<TypeError>("tensor: new(): invalid data type '", type_name(data), "'");
  else if (is_nested(data)) {
    check_type(depth > 0, "tensor: expected a number, got ", type_name(data), ", a sequence deeper than the others");
    Object list = as_list(data);
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) {
      PyObject* o = PySequence_Fast_GET_ITEM(list.get(), i);
      if (PyFloat_CheckExact(o))
        seen.real = true;
      else if (PyLong_CheckExact(o))
        seen.integer = true;
      else
        look(Object::share(o).get(), depth - 1, seen);
    }
  } else {
    fail<RuntimeError>("tensor: Could not infer dtype of ", type_name(data));
  }
}

// Writes the numbers of `data` to y and on, where `depth` of the sizes are left.
template <class T> void place(PyObject* data, const Dims& sizes, int depth, T*& y, DType dtype) {
  if (depth == sizes.size()) {
    put<T>(data, y++, dtype);
    return;
  }
  check_type(is_nested(data), "tensor: not a sequence: ", type_name(data), " where one of length ", sizes[depth],
             " was expected");
  Object list = as_list(data);
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(list.get());
  check_value(n == sizes[depth], "tensor: expected sequence of length ", sizes[depth], " at dim ", depth, " (got ",
              int64_t(n), ")");
  if (depth + 1 < sizes.size()) {
    for (Py_ssize_t i = 0; i < n; ++i) {
      check_value(PySequence_Fast_GET_SIZE(list.get()) == n, "tensor: the list changed its length while it was read");
      Object row = Object::share(PySequence_Fast_GET_ITEM(list.get(), i));
      place(row.get(), sizes, depth + 1, y, dtype);
    }
    return;
  }
  for (Py_ssize_t i = 0; i < n; ++i, ++y) {
    check_value(PySequence_Fast_GET_SIZE(list.get()) == n, "tensor: the list changed its length while it was read");
    PyObject* o = PySequence_Fast_GET_ITEM(list.get(), i);
    if constexpr (std::is_floating_point_v<T>) {
      if (PyFloat_CheckExact(o)) [[likely]] {
        *y = static_cast<T>(PyFloat_AS_DOUBLE(o));
        continue;
      }
    }
    Object held = Object::share(o);
    put<T>(o, y, dtype);
  }
}

template <class T> void fill(PyObject* data, const Tensor& y) {
  T* to = y.data_as<T>();
  if (y.numel() > 0 || y.dim() == 0) place<T>(data, y.sizes(), 0, to, y.dtype());
}

Tensor from_sequence(PyObject* data, std::optional<DType> wanted) {
  const Dims sizes = sizes_of(data);
  Seen seen;
  if (!wanted && (sizes.empty() || sizes.numel() > 0)) look(data, sizes.size(), seen);
  const DType dtype = wanted.value_or(seen.dtype());
  const bool half = dtype == DType::float16 || dtype == DType::bfloat16;
  Tensor y = empty(sizes, half ? DType::float32 : dtype);
  switch (y.dtype()) {
    case DType::bool_:
      fill<bool>(data, y);
      break;
    case DType::uint8:
      fill<uint8_t>(data, y);
      break;
    case DType::int8:
      fill<int8_t>(data, y);
      break;
    case DType::int16:
      fill<int16_t>(data, y);
      break;
    case DType::int32:
      fill<int32_t>(data, y);
      break;
    case DType::int64:
      fill<int64_t>(data, y);
      break;
    case DType::float32:
      fill<float>(data, y);
      break;
    case DType::complex64:
      fill<std::complex<float>>(data, y);
      break;
    case DType::complex128:
      fill<std::complex<double>>(data, y);
      break;
    default:
      fill<double>(data, y);
      break;
  }
  return half ? to_dtype(y, dtype) : y;
}

// A tensor on the memory of an array, if `data` is one or knows how to become one.
std::optional<Tensor> shared(PyObject* data, bool for_reading) {
  if (is_array(data)) return from_array(data, for_reading);
  if (is_numpy_scalar(data)) return from_array(as_array(data).get(), for_reading);
  if (is_list(data) || is_text(data) || is_number(data)) return std::nullopt;
  if (PyObject_HasAttrString(data, "__dlpack__")) return from_dlpack(data);
  if (PyObject_HasAttrString(data, "__array__") || PyObject_HasAttrString(data, "__array_interface__"))
    return from_array(as_array(data).get(), for_reading);
  return std::nullopt;
}

}  // namespace

Tensor tensor_from(PyObject* data, std::optional<DType> dtype, std::optional<Device> device, bool copy) {
  if (is_tensor(data)) {
    Tensor x = to_tensor(data);
    return to(copy ? detach(x) : x, dtype.value_or(x.dtype()), device.value_or(x.device()), copy);
  }
  check_type(!is_text(data), "tensor: new(): invalid data type '", type_name(data), "'");
  if (auto x = shared(data, copy)) return to(*x, dtype.value_or(x->dtype()), device.value_or(default_device()), copy);
  return to_device(from_sequence(data, dtype), device.value_or(default_device()));
}

// Tensor(), Tensor(2, 3), Tensor(sizes), Tensor([...]), Tensor(another): of the default dtype. For the type and
// subclasses.
PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  std::optional<Device> device;
  if (kwargs) {
    PyObject *key, *value;
    for (Py_ssize_t at = 0; PyDict_Next(kwargs, &at, &key, &value);) {
      if (PyUnicode_CompareWithASCIIString(key, "device") == 0) {
        if (value != Py_None) device = to_device(value);
      } else if (type == &TensorType) {
        fail<TypeError>("Tensor: got an unexpected keyword argument '", PyUnicode_AsUTF8(key), "'");
      }
    }
  }
  const Device where = device.value_or(default_device());
  const Py_ssize_t count = PyTuple_GET_SIZE(args);
  if (count == 0) return wrap_as(type, empty({0}, default_dtype(), where));
  PyObject* first = PyTuple_GET_ITEM(args, 0);
  if (PyLong_Check(first) && !PyBool_Check(first)) {
    Dims sizes;
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* size = PyTuple_GET_ITEM(args, i);
      check_type(PyIndex_Check(size) && !PyBool_Check(size),
                 "Tensor: argument 'size' must be a tuple of ints, but got ", type_name(size), " at pos ",
                 int64_t(i + 1));
      sizes.push_back(to_int(size));
    }
    return wrap_as(type, empty(sizes, default_dtype(), where));
  }
  check_type(count == 1 || type != &TensorType, "Tensor: takes sizes or one piece of data, but ", int64_t(count),
             " arguments were given");
  if (is_tensor(first)) return wrap_as(type, detach(to_tensor(first)));
  if (is_size(first)) return wrap_as(type, empty(Cast<Dims>::from(first), default_dtype(), where));
  check_type(is_nested(first) || is_array(first) || is_text(first), "Tensor: new(): data must be a sequence (got ",
             type_name(first), ")");
  return wrap_as(type, tensor_from(first, default_dtype(), where, true));
}

}  // namespace tessel::python
