// Tensors to other dtypes, devices and libraries, and to Python's numbers and lists; what a tensor tells about its
// memory; copies and pickles.
#include <pybind11/pybind11.h>

#include <cstring>

#include "bindings/interop.h"
#include "bindings/registry.h"
#include "bindings/tensor.h"
#include "bindings/types.h"

namespace py = pybind11;

namespace tessel::python {

namespace {

using Type = std::optional<DType>;
using Where = std::optional<Device>;

// A function of tessel's own Python code that a method stands for.
Object python(const char* module, const char* name) {
  Object found(expect(PyImport_ImportModule(module)));
  return Object(expect(PyObject_GetAttrString(found.get(), name)));
}

Tensor converted(const Tensor& x, Type dtype, Where device, bool copy, PyObject* format) {
  return to(x, dtype.value_or(x.dtype()), device.value_or(x.device()), copy,
            to_memory_format(format, MemoryFormat::preserve));
}

void add_to() {
  add_op(
      "to(Tensor input, dtype dtype, bool non_blocking=False, bool copy=False, *, object memory_format=None) -> Tensor",
      +[](const Tensor& x, DType dtype, bool, bool copy, PyObject* format) {
        return converted(x, dtype, std::nullopt, copy, format);
      },
      "The same values as another dtype or on another device; the tensor itself where nothing changes, unless copy.",
      kMethod);
  add_op(
      "to(Tensor input, Tensor other, bool non_blocking=False, bool copy=False, *, object memory_format=None) -> "
      "Tensor",
      +[](const Tensor& x, const Tensor& other, bool, bool copy, PyObject* format) {
        return converted(x, other.dtype(), other.device(), copy, format);
      },
      "", kMethod);
  add_op(
      "to(Tensor input, device? device=None, dtype? dtype=None, bool non_blocking=False, bool copy=False, *, object "
      "memory_format=None) -> Tensor",
      +[](const Tensor& x, Where device, Type dtype, bool, bool copy, PyObject* format) {
        return converted(x, dtype, device, copy, format);
      },
      "", kMethod);
  add_op(
      "type_as(Tensor input, Tensor other) -> Tensor",
      +[](const Tensor& x, const Tensor& other) { return to(x, other.dtype(), other.device()); }, "", kMethod);
  add_op(
      "cpu(Tensor input, *, object memory_format=None) -> Tensor",
      +[](const Tensor& x, PyObject* format) { return converted(x, std::nullopt, Device{}, false, format); }, "",
      kMethod);
  add_op(
      "cuda(Tensor input, device? device=None, bool non_blocking=False, *, object memory_format=None) -> Tensor",
      +[](const Tensor& x, Where device, bool, PyObject* format) {
        return converted(x, std::nullopt, device.value_or(Device{DeviceType::cuda, 0}), false, format);
      },
      "", kMethod);
}

template <DType dtype> void add_conversion(const char* signature) {
  add_op(
      signature, +[](const Tensor& x, PyObject* format) { return converted(x, dtype, std::nullopt, false, format); },
      "", kMethod);
}

void add_conversions() {
  add_conversion<DType::float32>("float(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::float64>("double(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::complex64>("cfloat(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::complex128>("cdouble(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::float16>("half(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::bfloat16>("bfloat16(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::int64>("long(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::int32>("int(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::int16>("short(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::int8>("char(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::uint8>("byte(Tensor input, *, object memory_format=None) -> Tensor");
  add_conversion<DType::bool_>("bool(Tensor input, *, object memory_format=None) -> Tensor");
  // "tessel.FloatTensor" and back stand with those classes, in Python.
  add_op(
      "type(Tensor input, object dtype=None, bool non_blocking=False) -> object",
      +[](PyObject* x, PyObject* dtype, bool) {
        if (is_dtype(dtype)) return wrap(to(to_tensor(x), to_dtype(dtype), impl_of(x)->device));
        return expect(PyObject_CallFunctionObjArgs(python("tessel._legacy", "type_of").get(), x, dtype, nullptr));
      },
      "The tensor's type as a string, or the tensor as another dtype.", kMethod);
  add_op(
      "__array_namespace__(Tensor input, *, str? api_version=None) -> object",
      +[](const Tensor&, std::optional<std::string> version) {
        check_value(!version || *version <= "2024.12", "__array_namespace__: the array API standard is followed up to 2024.12, not ",
                    version.value_or(""));
        return expect(PyImport_ImportModule("tessel.array_api"));
      },
      "tessel.array_api, the functions of the array API standard.", kMethod);
}

// ---- to Python's numbers and lists

template <class T> PyObject* number_of(const char* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
    return PyComplex_FromDoubles(static_cast<double>(v.real()), static_cast<double>(v.imag()));
  else if constexpr (std::is_same_v<T, bool>)
    return PyBool_FromLong(v);
  else if constexpr (std::is_floating_point_v<T>)
    return PyFloat_FromDouble(static_cast<double>(v));
  else
    return PyLong_FromLongLong(v);
}

PyObject* nested(const Tensor& x, int64_t d, const char* p, PyObject* (*number)(const char*)) {
  if (d == x.dim()) return expect(number(p));
  const int64_t n = x.sizes()[d], step = x.strides()[d] * x.item_size();
  Object list(expect(PyList_New(n)));
  for (int64_t i = 0; i < n; ++i) PyList_SET_ITEM(list.get(), i, nested(x, d + 1, p + i * step, number));
  return list.release();
}

PyObject* to_list(const Tensor& x_) {
  const bool half = x_.dtype() == DType::float16 || x_.dtype() == DType::bfloat16;
  Tensor x = to(detach(x_), half ? DType::float32 : x_.dtype(), Device{});
  auto number = [&]() -> PyObject* (*)(const char*) {
    switch (x.dtype()) {
      case DType::bool_:
        return number_of<bool>;
      case DType::uint8:
        return number_of<uint8_t>;
      case DType::int8:
        return number_of<int8_t>;
      case DType::int16:
        return number_of<int16_t>;
      case DType::int32:
        return number_of<int32_t>;
      case DType::int64:
        return number_of<int64_t>;
      case DType::float32:
        return number_of<float>;
      case DType::float64:
        return number_of<double>;
      case DType::complex64:
        return number_of<std::complex<float>>;
      default:
        return number_of<std::complex<double>>;
    }
  }();
  return nested(x, 0, x.data(), number);
}

// ---- facts

template <class F> void add_fact(const char* signature, F fact, const char* doc = "", unsigned where = kMethod) {
  add_op(signature, +fact, doc, where);
}

void add_facts() {
  add_fact(
      "size(Tensor input, int? dim=None) -> object",
      [](const Tensor& x, std::optional<int64_t> dim) {
        return dim ? wrap(x.sizes()[wrap_dim("size", *dim, x.dim())]) : wrap_size(x.sizes());
      },
      "The sizes, or one of them.");
  add_fact(
      "stride(Tensor input, int? dim=None) -> object",
      [](const Tensor& x, std::optional<int64_t> dim) {
        if (dim) return wrap(x.strides()[wrap_dim("stride", *dim, x.dim())]);
        Object size(wrap_size(x.strides()));
        return expect(PySequence_Tuple(size.get()));
      },
      "Elements of memory from one to the next along each dimension, or along one.");
  add_fact("dim(Tensor input) -> int", [](const Tensor& x) { return x.dim(); });
  add_fact("ndimension(Tensor input) -> int", [](const Tensor& x) { return x.dim(); });
  add_fact("nelement(Tensor input) -> int", [](const Tensor& x) { return x.numel(); });
  add_fact("element_size(Tensor input) -> int", [](const Tensor& x) { return x.item_size(); }, "Bytes of one element.");
  add_fact(
      "data_ptr(Tensor input) -> int",
      [](const Tensor& x) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(x.numel() ? x.data() : nullptr)); },
      "The address of the first element.");
  add_fact("storage_offset(Tensor input) -> int", [](const Tensor& x) { return x.offset(); });
  add_fact(
      "get_device(Tensor input) -> int",
      [](const Tensor& x) { return int64_t(x.device().is_cuda() ? x.device().index : -1); },
      "The number of the CUDA device; -1 on the CPU.", kBoth);
  add_fact("is_contiguous(Tensor input, *, object memory_format=None) -> bool", [](const Tensor& x, PyObject* format) {
    return has_format(x, to_memory_format(format, MemoryFormat::contiguous));
  });
  add_fact(
      "is_floating_point(Tensor input) -> bool", [](const Tensor& x) { return is_floating(x.dtype()); }, "", kBoth);
  add_fact("is_complex(Tensor input) -> bool", [](const Tensor& x) { return is_complex(x.dtype()); }, "", kBoth);
  add_fact(
      "is_signed(Tensor input) -> bool",
      [](const Tensor& x) { return x.dtype() != DType::bool_ && x.dtype() != DType::uint8; }, "", kBoth);
  add_fact("is_conj(Tensor input) -> bool", [](const Tensor&) { return false; }, "", kBoth);
  add_fact("is_neg(Tensor input) -> bool", [](const Tensor&) { return false; }, "", kBoth);
  add_fact("is_inference(Tensor input) -> bool", [](const Tensor& x) { return x->inference; }, "", kBoth);
  add_fact("is_pinned(Tensor input, object device=None) -> bool", [](const Tensor&, PyObject*) { return false; });
  add_fact("is_shared(Tensor input) -> bool", [](const Tensor&) { return false; });
  add_fact(
      "is_nonzero(Tensor input) -> bool",
      [](const Tensor& x) {
        check(x.numel() == 1, "is_nonzero: Boolean value of Tensor with ",
              x.numel() ? "more than one value" : "no values", " is ambiguous (it is ", x.sizes(), ")");
        return item(x).as_complex() != 0.0;
      },
      "", kBoth);
  add_fact(
      "is_same_size(Tensor input, Tensor other) -> bool",
      [](const Tensor& x, const Tensor& other) { return x.sizes() == other.sizes(); }, "", kBoth);
  add_fact(
      "is_set_to(Tensor input, Tensor tensor) -> bool",
      [](const Tensor& x, const Tensor& other) {
        return x->storage == other->storage && x.offset() == other.offset() && x.sizes() == other.sizes() &&
               x.strides() == other.strides();
      },
      "Whether both are the same view of the same memory.");
  add_op("is_tensor(object obj) -> bool", +[](PyObject* o) { return is_tensor(o); }, "", kFunction);
  add_op("numel(Tensor input) -> int", +[](const Tensor& x) { return x.numel(); }, "The number of elements.");

  add_op("equal(Tensor input, Tensor other) -> bool", &equal, "Same sizes and the same values everywhere.");
  add_op("isclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
         &isclose, "|input - other| <= atol + rtol * |other|");
  add_op("allclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool",
         &allclose);
}

void add_types() {
  add_op("can_cast(dtype from_, dtype to) -> bool", &can_cast,
         "Whether a result of one dtype may be stored as the other.", kFunction);
  add_op("promote_types(dtype type1, dtype type2) -> dtype", &promote, "The smallest dtype that holds both.",
         kFunction);
  add_op(
      "result_type(Tensor|Scalar tensor1, Tensor|Scalar tensor2) -> dtype",
      +[](const Tensor& a, const Tensor& b) { return result_type({&a, &b}); }, "The dtype of arithmetic on the two.",
      kFunction);
  add_op("get_default_device() -> device", &default_device, "", kFunction);
  add_op(
      "set_default_device(device? device) -> None",
      +[](Where device) {
        Device d = device.value_or(Device{});
        empty({0}, DType::float32, d);  // raises where there is no such device
        set_default_device(d);
      },
      "Where tensors are made that name no device.", kFunction);
}

// ---- other libraries

void add_interop() {
  add_op("tolist(Tensor input) -> object", &to_list, "Nested lists of Python numbers; a number for a 0-d tensor.",
         kMethod);
  add_op("item(Tensor input) -> Scalar", &item, "The only element as a Python number.", kMethod);
  add_op("numpy(Tensor input, *, bool force=False) -> object", &to_array,
         "A numpy array on the tensor's memory; force detaches and copies from a device where needed.", kMethod);
  add_op("detach(Tensor input) -> Tensor", &detach, "The same values without history.");
  add_op(
      "contiguous(Tensor input, *, object memory_format=None) -> Tensor",
      +[](const Tensor& x, PyObject* format) {
        return contiguous(x, to_memory_format(format, MemoryFormat::contiguous));
      },
      "The tensor itself where its elements follow each other in memory, else a copy.", kMethod);
  add_op(
      "clone(Tensor input, *, object memory_format=None) -> Tensor",
      +[](const Tensor& x, PyObject* format) { return clone(x, to_memory_format(format, MemoryFormat::preserve)); },
      "A copy.");
  add_op(
      "fill_(Tensor input, Tensor|Scalar value) -> Tensor", +[](Tensor& x, const Tensor& value) -> Tensor& {
        if (value->wrapped_number) checked(item(value), x.dtype());
        return fill_(x, value);
      });
  add_op("zero_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { return zero_(x); });
  add_op(
      "copy_(Tensor input, Tensor src, bool non_blocking=False) -> Tensor",
      +[](Tensor& x, const Tensor& source, bool) -> Tensor& { return copy_(x, source); }, "", kMethod);
  add_op(
      "fill(Tensor input, Tensor|Scalar value) -> Tensor",
      +[](const Tensor& x, const Tensor& value) {
        Tensor y = clone(x);
        if (value->wrapped_number) checked(item(value), x.dtype());
        return fill_(y, value);
      },
      "", kFunction);
}

// ---- storages

struct StorageHandle {
  Ref<Storage> storage;
};

py::object wrapped(const Tensor& x) { return py::reinterpret_steal<py::object>(wrap(x)); }

void bind_storage(py::module_& m) {
  py::class_<StorageHandle>(m, "UntypedStorage", "The bytes that a tensor and its views share.")
      .def(py::init([](int64_t bytes) {
             check(bytes >= 0, "UntypedStorage: negative size ", bytes);
             return StorageHandle{Storage::allocate(static_cast<size_t>(bytes), Device{})};
           }),
           py::arg("size") = 0)
      .def("data_ptr", [](const StorageHandle& s) { return reinterpret_cast<uintptr_t>(s.storage->data()); })
      .def("nbytes", [](const StorageHandle& s) { return s.storage->bytes(); })
      .def("size", [](const StorageHandle& s) { return s.storage->bytes(); })
      .def("__len__", [](const StorageHandle& s) { return s.storage->bytes(); })
      .def("element_size", [](const StorageHandle&) { return 1; })
      .def(
          "resize_", [](StorageHandle& s, size_t bytes) { s.storage->resize(bytes); }, py::arg("size"))
      .def_property_readonly(
          "device", [](const StorageHandle& s) { return py::reinterpret_steal<py::object>(wrap(s.storage->device())); })
      .def_property_readonly("is_cuda", [](const StorageHandle& s) { return s.storage->device().is_cuda(); })
      .def(
          "tensor",
          [](const StorageHandle& s) {
            return wrapped(make_tensor(s.storage, {static_cast<int64_t>(s.storage->bytes())}, {1}, 0, DType::uint8));
          },
          "All bytes, as a uint8 tensor on the same memory.")
      .def(
          "view",
          [](const StorageHandle& s, const py::object& dtype, int64_t offset, const py::object& sizes,
             const py::object& strides) {
            const DType type = to_dtype(dtype.ptr());
            const Dims shape = Cast<Dims>::from(py::tuple(sizes).ptr()),
                       steps = Cast<Dims>::from(py::tuple(strides).ptr());
            check_value(shape.size() == steps.size() && offset >= 0, "UntypedStorage: sizes ", shape, ", strides ",
                        steps, " and offset ", offset, " are not a view");
            int64_t last = offset;
            for (int d = 0; d < shape.size(); ++d) {
              check_value(shape[d] >= 0 && steps[d] >= 0, "UntypedStorage: negative sizes or strides: ", shape, ", ",
                          steps);
              last += (shape[d] - 1) * steps[d];
            }
            check_value(shape.numel() == 0 || (last + 1) * item_size(type) <= static_cast<int64_t>(s.storage->bytes()),
                        "UntypedStorage: sizes ", shape, " and strides ", steps, " from ", offset, " reach beyond its ",
                        s.storage->bytes(), " bytes");
            return wrapped(make_tensor(s.storage, shape, steps, offset, type));
          },
          py::arg("dtype"), py::arg("offset"), py::arg("size"), py::arg("stride"),
          "A tensor of a dtype on this memory.")
      .def("tolist",
           [](const StorageHandle& s) {
             Tensor bytes = make_tensor(s.storage, {static_cast<int64_t>(s.storage->bytes())}, {1}, 0, DType::uint8);
             return py::reinterpret_steal<py::object>(to_list(bytes));
           })
      .def("__eq__",
           [](const StorageHandle& a, const py::object& b) {
             return py::isinstance<StorageHandle>(b) && a.storage == py::cast<StorageHandle&>(b).storage;
           })
      .def("__hash__", [](const StorageHandle& s) { return reinterpret_cast<uintptr_t>(s.storage.get()) >> 4; })
      .def("__repr__", [](const StorageHandle& s) {
        return "UntypedStorage(" + std::to_string(s.storage->bytes()) + " bytes on " +
               device_name(s.storage->device()) + ")";
      });
}

// ---- methods with Python's own protocols

template <class F> PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    translate_exception();
    return nullptr;
  }
}

PyObject* array_method(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:__array__", const_cast<char**>(names), &dtype, &copy))
    return nullptr;
  return guarded([&]() -> PyObject* {
    Object array(to_array(to_tensor(self), false));
    const bool must = copy != Py_None && PyObject_IsTrue(copy) == 1, may_not = copy == Py_False;
    if (dtype == Py_None) return must ? expect(PyObject_CallMethod(array.get(), "copy", nullptr)) : array.release();
    Object plain(expect(PyObject_GetAttrString(array.get(), "dtype")));
    const int same = PyObject_RichCompareBool(plain.get(), dtype, Py_EQ);
    if (same < 0) throw PythonException();
    check_value(same || !may_not, "__array__: another dtype needs a copy, which copy=False forbids");
    return expect(
        PyObject_CallFunction(Object(expect(PyObject_GetAttrString(array.get(), "astype"))).get(), "O", dtype));
  });
}

PyObject* array_wrap(PyObject*, PyObject* args) {  // results of numpy's functions on tensors
  PyObject *array, *context = nullptr, *scalar = nullptr;
  if (!PyArg_ParseTuple(args, "O|OO:__array_wrap__", &array, &context, &scalar)) return nullptr;
  return guarded(
      [&] { return wrap(from_array(is_array(array) ? Object::share(array).get() : as_array(array).get(), true)); });
}

PyObject* dlpack_method(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"stream", "max_version", "dl_device", "copy", nullptr};
  PyObject *stream = Py_None, *version = Py_None, *device = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", const_cast<char**>(names), &stream, &version,
                                   &device, &copy))
    return nullptr;
  return guarded([&] {
    Tensor x = to_tensor(self);
    if (device != Py_None) {
      Object here(dlpack_device(x));
      const int same = PyObject_RichCompareBool(here.get(), device, Py_EQ);
      if (same < 0) throw PythonException();
      if (!same) {
        PyErr_SetString(PyExc_BufferError,
                        "__dlpack__: the tensor is on another device than dl_device; move it with .to() first");
        throw PythonException();
      }
    }
    const bool copied = copy != Py_None && PyObject_IsTrue(copy) == 1;
    bool versioned = false;
    if (version != Py_None) {
      Object major(expect(PySequence_GetItem(version, 0)));
      versioned = PyLong_AsLong(major.get()) >= 1;
    }
    if (copied && !x.requires_grad()) x = clone(x);
    return to_dlpack(x, versioned, copied);
  });
}

PyObject* dlpack_device_method(PyObject* self, PyObject*) {
  return guarded([&] { return dlpack_device(to_tensor(self)); });
}

PyObject* reduce_method(PyObject* self, PyObject*) {
  return guarded([&] { return expect(PyObject_CallOneArg(python("tessel._copying", "reduce").get(), self)); });
}
PyObject* deepcopy_method(PyObject* self, PyObject* memo) {
  return guarded([&] {
    return expect(PyObject_CallFunctionObjArgs(python("tessel._copying", "deepcopy").get(), self, memo, nullptr));
  });
}

PyObject* format_method(PyObject* self, PyObject* spec) {
  return guarded([&]() -> PyObject* {
    Tensor x = to_tensor(self);
    if (x.dim() == 0 && Py_IS_TYPE(self, &TensorType)) {
      Object number(wrap(item(x)));
      return expect(PyObject_Format(number.get(), spec));
    }
    return expect(PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyBaseObject_Type), "__format__", "OO", self, spec));
  });
}

PyObject* complex_method(PyObject* self, PyObject*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    check_value(x.numel() == 1, "complex: only one element tensors can be converted to Python scalars (it is ", x.sizes(), ")");
    const std::complex<double> value = item(x).as_complex();
    return PyComplex_FromDoubles(value.real(), value.imag());
  });
}

PyObject* storage_method(PyObject* self, PyObject*) {
  return guarded([&] { return py::cast(StorageHandle{impl_of(self)->storage}).release().ptr(); });
}

PyObject* reversed_method(PyObject* self, PyObject*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    Dims dims;
    for (int64_t d = 0; d < x.dim(); ++d) dims.push_back(d);
    return wrap(flip(x, dims));
  });
}

// ---- subclasses

PyTypeObject* subclass(PyObject* type) {
  check_type(PyType_Check(type) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), &TensorType),
             "Tensor: cls must be a type that inherits from Tensor, got ", Py_TYPE(type)->tp_name);
  return reinterpret_cast<PyTypeObject*>(type);
}

PyObject* make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"cls", "data", "require_grad", nullptr};
  PyObject *type, *data;
  int requires_grad = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|p:_make_subclass", const_cast<char**>(names), &type, &data,
                                   &requires_grad))
    return nullptr;
  return guarded([&] {
    check_type(is_tensor(data), "_make_subclass: data must be a Tensor, got ", Py_TYPE(data)->tp_name);
    Tensor x = detach(to_tensor(data));
    if (requires_grad) set_requires_grad(x, true);
    return wrap_as(subclass(type), x);
  });
}

PyObject* as_subclass(PyObject* self, PyObject* type) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    Tensor y = make_view(x, x.sizes(), x.strides(), x.offset());
    if (Node* node = record("as_subclass", y, {x}))
      node->backward = [](const Tensor& dy, Needs) -> Grads { return {dy}; };
    return wrap_as(subclass(type), y);
  });
}

template <class F> PyCFunction method(F* f) { return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f)); }

}  // namespace

int contains(PyObject* self, PyObject* value) {
  try {
    if (!is_tensor(value) && !is_number(value))
      fail<RuntimeError>("in: Tensor.__contains__ only supports Tensor or scalar, but you passed in a ",
                         Py_TYPE(value)->tp_name, ".");
    NoGrad no_grad;
    return item(any(eq(to_tensor(self), tensor_or_number(value)))).as_double() != 0;
  } catch (...) {
    translate_exception();
    return -1;
  }
}

PyObject* array_interface(PyObject* self) {
  Object array(to_array(to_tensor(self), false));
  return expect(PyObject_GetAttrString(array.get(), "__array_interface__"));
}

PyMethodDef tensor_methods[] = {
    {"__array__", method(array_method), METH_VARARGS | METH_KEYWORDS,
     "(dtype=None, copy=None): a numpy array, on the same memory where it can be."},
    {"__array_wrap__", array_wrap, METH_VARARGS, nullptr},
    {"__dlpack__", method(dlpack_method), METH_VARARGS | METH_KEYWORDS,
     "(*, stream=None, max_version=None, dl_device=None, copy=None): a DLPack capsule on the same memory."},
    {"__dlpack_device__", dlpack_device_method, METH_NOARGS, nullptr},
    {"__reduce_ex__", reduce_method, METH_O, nullptr},
    {"__deepcopy__", deepcopy_method, METH_O, nullptr},
    {"__format__", format_method, METH_O, nullptr},
    {"__complex__", complex_method, METH_NOARGS, nullptr},
    {"__reversed__", reversed_method, METH_NOARGS, nullptr},
    {"untyped_storage", storage_method, METH_NOARGS, "The bytes that this tensor and its views share."},
    {"as_subclass", as_subclass, METH_O, "The same tensor as an object of a subclass."},
    {"_make_subclass", method(make_subclass), METH_VARARGS | METH_KEYWORDS | METH_STATIC, nullptr},
    {}};

void bind_conversions(PyObject* module) {
  add_to(), add_conversions(), add_facts(), add_types(), add_interop();
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  bind_storage(m);
  // numpy leaves arithmetic between its own objects and tensors to the tensor
  PyDict_SetItemString(TensorType.tp_dict, "__array_priority__", Object(PyLong_FromLong(1000)).get());
}

}  // namespace tessel::python
