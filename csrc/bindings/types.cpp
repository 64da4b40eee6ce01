// dtype, device, Size and Generator as Python objects; numbers and exceptions across the border.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstring>

#include "bindings/casters.h"
#include "bindings/registry.h"
#include "bindings/types.h"
#include "core/error.h"
#include "ops/plan.h"

namespace py = pybind11;

namespace tessel::python {

// ---- exceptions

void raise(const Error& e, const std::string& message) noexcept {
  PyObject* type = PyExc_RuntimeError;
  switch (e.python()) {
    case PythonError::runtime: break;
    case PythonError::value: type = PyExc_ValueError; break;
    case PythonError::type: type = PyExc_TypeError; break;
    case PythonError::index: type = PyExc_IndexError; break;
    case PythonError::not_implemented: type = PyExc_NotImplementedError; break;
    case PythonError::memory: type = PyExc_MemoryError; break;
  }
  PyErr_SetString(type, message.c_str());
}

void translate_exception() noexcept {
  try {
    throw;
  } catch (const PythonException&) {
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const Error& e) {
    raise(e, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

// ---- numbers

static bool is_numpy_number(PyObject* o) {
  const char* name = Py_TYPE(o)->tp_name;
  return !std::strncmp(name, "numpy.", 6) && std::strcmp(name, "numpy.ndarray") && (PyNumber_Check(o) || !std::strncmp(name, "numpy.bool", 10));
}

bool is_number(PyObject* o) {
  return PyFloat_Check(o) || PyLong_Check(o) || PyBool_Check(o) || PyComplex_Check(o) || is_numpy_number(o);
}

Scalar to_scalar(PyObject* o) {
  if (PyBool_Check(o)) return Scalar(o == Py_True);
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyLong_Check(o)) return Scalar(to_int(o));
  if (PyComplex_Check(o)) return Scalar(std::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)));
  if (is_tensor(o)) return item(to_tensor(o));
  if (is_numpy_number(o)) {  // numpy scalars know their Python number
    Object number(expect(PyObject_CallMethod(o, "item", nullptr)));
    if (!is_numpy_number(number.get())) return to_scalar(number.get());
  }
  fail<TypeError>("tessel: expected a number, got ", Py_TYPE(o)->tp_name);
}

int64_t to_int(PyObject* o) {
  if (is_tensor(o)) return item(to_tensor(o)).as_int();
  Object index;
  if (!PyLong_Check(o)) {
    index = Object(expect(PyNumber_Index(o)));
    o = index.get();
  }
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) {
    PyErr_SetString(PyExc_RuntimeError, "Overflow when unpacking long: the number does not fit into 64 bits");
    throw PythonException();
  }
  if (value == -1 && PyErr_Occurred()) throw PythonException();
  return value;
}

double to_double(PyObject* o) {
  if (PyFloat_Check(o)) return PyFloat_AS_DOUBLE(o);
  if (is_tensor(o)) return item(to_tensor(o)).as_double();
  double value = PyFloat_AsDouble(o);
  if (value == -1.0 && PyErr_Occurred()) throw PythonException();
  return value;
}

PyObject* wrap(Scalar value) {
  if (value.is_bool()) return PyBool_FromLong(value.as_int());
  if (value.is_complex()) return PyComplex_FromDoubles(value.as_complex().real(), value.as_complex().imag());
  if (value.is_floating()) return PyFloat_FromDouble(value.as_double());
  return PyLong_FromLongLong(value.as_int());
}

Tensor tensor_or_number(PyObject* o) {
  if (is_tensor(o)) return to_tensor(o);
  return wrapped_number(to_scalar(o));
}

// ---- dtype: one object each, compared by identity

namespace {

struct DTypeObject {
  PyObject_HEAD
  DType dtype;
};

DType dtype_of(PyObject* o) { return reinterpret_cast<DTypeObject*>(o)->dtype; }
PyObject* dtype_repr(PyObject* o) { return PyUnicode_FromFormat("tessel.%s", python_dtype_name(dtype_of(o))); }
PyObject* dtype_reduce(PyObject* o, PyObject*) { return PyUnicode_FromString(python_dtype_name(dtype_of(o))); }
PyObject* dtype_to_real(PyObject* o, PyObject*) { return wrap(real_dtype(dtype_of(o))); }

PyGetSetDef dtype_getset[] = {
    {"is_floating_point", [](PyObject* o, void*) { return wrap(is_floating(dtype_of(o))); }, nullptr, "float16, bfloat16, float32 or float64", nullptr},
    {"is_complex", [](PyObject* o, void*) { return wrap(is_complex(dtype_of(o))); }, nullptr, nullptr, nullptr},
    {"is_signed", [](PyObject* o, void*) { return wrap(dtype_of(o) != DType::bool_ && dtype_of(o) != DType::uint8); }, nullptr, nullptr, nullptr},
    {"itemsize", [](PyObject* o, void*) { return wrap(item_size(dtype_of(o))); }, nullptr, "bytes of one element", nullptr},
    {"__module__", [](PyObject*, void*) { return PyUnicode_FromString("tessel"); }, nullptr, nullptr, nullptr},
    {}};
PyMethodDef dtype_methods[] = {{"__reduce__", dtype_reduce, METH_NOARGS, nullptr}, {"to_real", dtype_to_real, METH_NOARGS, nullptr}, {}};

PyTypeObject DTypeType = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel.dtype";
  type.tp_basicsize = sizeof(DTypeObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_repr = dtype_repr;
  type.tp_getset = dtype_getset;
  type.tp_methods = dtype_methods;
  return type;
}();

std::array<PyObject*, kDTypes> dtype_objects;

}  // namespace

const char* python_dtype_name(DType dtype) { return dtype == DType::bool_ ? "bool" : dtype_name(dtype); }
PyObject* wrap(DType dtype) { return Py_NewRef(dtype_objects[static_cast<int>(dtype)]); }
bool is_dtype(PyObject* o) { return Py_IS_TYPE(o, &DTypeType); }
DType to_dtype(PyObject* o) {
  if (is_dtype(o)) return dtype_of(o);
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return default_dtype();
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::int64;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::bool_;
  fail<TypeError>("dtype: expected a dtype such as tessel.float32, got ", Py_TYPE(o)->tp_name);
}

// ---- layout and memory_format: names that are compared by identity

namespace {

struct NameObject {
  PyObject_HEAD
  const char* name;
  int value;
};

NameObject* name_of(PyObject* o) { return reinterpret_cast<NameObject*>(o); }
PyObject* name_repr(PyObject* o) { return PyUnicode_FromFormat("tessel.%s", name_of(o)->name); }
PyObject* name_reduce(PyObject* o, PyObject*) { return PyUnicode_FromString(name_of(o)->name); }
PyMethodDef name_methods[] = {{"__reduce__", name_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef name_getset[] = {{"__module__", [](PyObject*, void*) { return PyUnicode_FromString("tessel"); }, nullptr, nullptr, nullptr}, {}};

PyTypeObject name_type(const char* name) {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = name;
  type.tp_basicsize = sizeof(NameObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_repr = name_repr;
  type.tp_methods = name_methods;
  type.tp_getset = name_getset;
  return type;
}
PyTypeObject LayoutType = name_type("tessel.layout"), MemoryFormatType = name_type("tessel.memory_format");
PyObject* strided = nullptr;

PyObject* add_name(PyObject* module, PyTypeObject* type, const char* name, int value) {
  auto* object = PyObject_New(NameObject, type);
  object->name = name;
  object->value = value;
  PyModule_AddObjectRef(module, name, reinterpret_cast<PyObject*>(object));
  return reinterpret_cast<PyObject*>(object);
}

void bind_names(PyObject* module) {
  if (PyType_Ready(&LayoutType) < 0 || PyType_Ready(&MemoryFormatType) < 0) throw PythonException();
  PyModule_AddObjectRef(module, "layout", reinterpret_cast<PyObject*>(&LayoutType));
  PyModule_AddObjectRef(module, "memory_format", reinterpret_cast<PyObject*>(&MemoryFormatType));
  strided = add_name(module, &LayoutType, "strided", 0);
  add_name(module, &MemoryFormatType, "preserve_format", static_cast<int>(MemoryFormat::preserve));
  add_name(module, &MemoryFormatType, "contiguous_format", static_cast<int>(MemoryFormat::contiguous));
  add_name(module, &MemoryFormatType, "channels_last", static_cast<int>(MemoryFormat::channels_last));
  add_name(module, &MemoryFormatType, "channels_last_3d", static_cast<int>(MemoryFormat::channels_last_3d));
}

}  // namespace

PyObject* wrap_layout() { return Py_NewRef(strided); }

void check_layout(PyObject* layout) {
  check_type(!layout || layout == Py_None || Py_IS_TYPE(layout, &LayoutType), "argument 'layout' must be tessel.layout, not ", layout ? Py_TYPE(layout)->tp_name : "");
}

MemoryFormat to_memory_format(PyObject* o, MemoryFormat otherwise) {
  if (!o || o == Py_None) return otherwise;
  check_type(Py_IS_TYPE(o, &MemoryFormatType), "argument 'memory_format' must be tessel.memory_format, not ", Py_TYPE(o)->tp_name);
  return static_cast<MemoryFormat>(name_of(o)->value);
}

// ---- Size: a tuple that prints and slices as PyTorch's

namespace {

PyObject* as_size(PyObject* tuple);

PyObject* size_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* self = PyTuple_Type.tp_new(type, args, kwargs);
  if (!self) return nullptr;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    PyObject* item = PyTuple_GET_ITEM(self, i);
    if (PyLong_Check(item)) continue;
    PyObject* number = PyNumber_Index(item);
    if (!number) {
      PyErr_Format(PyExc_TypeError, "Size: Size() takes an iterable of 'int' (item %zd is '%s')", i, Py_TYPE(item)->tp_name);
      Py_DECREF(self);
      return nullptr;
    }
    PyTuple_SET_ITEM(self, i, number);
    Py_DECREF(item);
  }
  return self;
}

PyObject* size_repr(PyObject* self) {
  std::string text = "tessel.Size([";
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    if (i) text += ", ";
    text += std::to_string(PyLong_AsLongLong(PyTuple_GET_ITEM(self, i)));
  }
  return wrap(text + "])");
}
PyObject* size_numel(PyObject* self, PyObject*) {
  int64_t n = 1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) n *= PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
  return wrap(n);
}
PyObject* size_reduce(PyObject* self, PyObject*) {
  PyObject* plain = PyTuple_New(PyTuple_GET_SIZE(self));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) PyTuple_SET_ITEM(plain, i, Py_NewRef(PyTuple_GET_ITEM(self, i)));
  return Py_BuildValue("(O(N))", Py_TYPE(self), plain);
}
PyObject* size_subscript(PyObject* self, PyObject* key) {
  PyObject* part = PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
  return part && PyTuple_Check(part) ? as_size(part) : part;
}
PyObject* size_concat(PyObject* self, PyObject* other) { return as_size(PyTuple_Type.tp_as_sequence->sq_concat(self, other)); }
PyObject* size_repeat(PyObject* self, Py_ssize_t n) { return as_size(PyTuple_Type.tp_as_sequence->sq_repeat(self, n)); }

PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The number of elements of a tensor of this size."}, {"__reduce__", size_reduce, METH_NOARGS, nullptr}, {}};
PySequenceMethods size_sequence = {.sq_concat = size_concat, .sq_repeat = size_repeat};
PyMappingMethods size_mapping = {nullptr, size_subscript, nullptr};

PyTypeObject SizeType = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel.Size";
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_base = &PyTuple_Type;
  type.tp_new = size_new;
  type.tp_repr = size_repr;
  type.tp_str = size_repr;
  type.tp_methods = size_methods;
  type.tp_as_sequence = &size_sequence;
  type.tp_as_mapping = &size_mapping;
  return type;
}();

PyObject* as_size(PyObject* tuple) {  // takes the reference
  if (!tuple) return nullptr;
  PyObject* size = SizeType.tp_alloc(&SizeType, PyTuple_GET_SIZE(tuple));
  for (Py_ssize_t i = 0; size && i < PyTuple_GET_SIZE(tuple); ++i) PyTuple_SET_ITEM(size, i, Py_NewRef(PyTuple_GET_ITEM(tuple, i)));
  Py_DECREF(tuple);
  return size;
}

}  // namespace

bool is_size(PyObject* o) { return Py_IS_TYPE(o, &SizeType); }
PyObject* wrap_size(const Dims& sizes) {
  PyObject* size = expect(SizeType.tp_alloc(&SizeType, sizes.size()));
  for (int i = 0; i < sizes.size(); ++i) PyTuple_SET_ITEM(size, i, PyLong_FromLongLong(sizes[i]));
  return size;
}

// ---- device and Generator: rarely on a hot path, so pybind11 carries them

static std::vector<Device> entered_devices;  // what the default was outside of each `with device:`

bool is_device(PyObject* o) { return py::isinstance<Device>(o); }
Device to_device(PyObject* o) {
  if (PyUnicode_Check(o)) return parse_device(PyUnicode_AsUTF8(o));
  if (PyLong_Check(o)) return Device{DeviceType::cuda, static_cast<int8_t>(PyLong_AsLong(o))};
  check_type(is_device(o), "device: expected a device, a string or an index, got ", Py_TYPE(o)->tp_name);
  return py::cast<Device>(py::handle(o));
}
PyObject* wrap(Device device) { return py::cast(device).release().ptr(); }
bool is_generator(PyObject* o) { return py::isinstance<Generator>(o); }
Generator& to_generator(PyObject* o) { return *py::cast<Generator*>(py::handle(o)); }

void bind_types(PyObject* module) {
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  py::register_local_exception_translator([](std::exception_ptr p) {  // of what pybind11 binds
    try {
      std::rethrow_exception(p);
    } catch (const Error&) {
      translate_exception();
    } catch (const PythonException&) {
    }
  });
  SizeType.tp_basicsize = PyTuple_Type.tp_basicsize;
  SizeType.tp_itemsize = PyTuple_Type.tp_itemsize;
  bind_names(module);
  if (PyType_Ready(&DTypeType) < 0 || PyType_Ready(&SizeType) < 0) throw PythonException();
  m.attr("dtype") = py::handle(reinterpret_cast<PyObject*>(&DTypeType));
  m.attr("Size") = py::handle(reinterpret_cast<PyObject*>(&SizeType));
  for (int i = 0; i < kDTypes; ++i) {
    auto* object = PyObject_New(DTypeObject, &DTypeType);
    object->dtype = static_cast<DType>(i);
    dtype_objects[i] = reinterpret_cast<PyObject*>(object);
    m.attr(python_dtype_name(object->dtype)) = py::handle(dtype_objects[i]);
  }
  struct Alias { const char* name; DType dtype; };
  for (Alias a : {Alias{"float", DType::float32}, Alias{"double", DType::float64}, Alias{"half", DType::float16}, Alias{"long", DType::int64}, Alias{"int", DType::int32},
                  Alias{"short", DType::int16}, Alias{"cfloat", DType::complex64}, Alias{"cdouble", DType::complex128}})
    m.attr(a.name) = py::handle(dtype_objects[static_cast<int>(a.dtype)]);

  py::class_<Device>(m, "device", "Where a tensor's memory lives: device('cpu'), device('cuda', 0), device('cuda:1').")
      .def(py::init([](const py::object& type, std::optional<int> index) {
             Device device = to_device(type.ptr());
             if (index) device.index = static_cast<int8_t>(*index);
             return device;
           }), py::arg("type"), py::arg("index") = py::none())
      .def_property_readonly("type", [](Device d) { return d.is_cuda() ? "cuda" : "cpu"; })
      .def_property_readonly("index", [](Device d) { return d.index < 0 ? py::object(py::none()) : py::object(py::int_(d.index)); })
      .def("__repr__", [](Device d) { return d.index < 0 ? std::string("device(type='") + (d.is_cuda() ? "cuda" : "cpu") + "')" : std::string("device(type='") + (d.is_cuda() ? "cuda" : "cpu") + "', index=" + std::to_string(d.index) + ")"; })
      .def("__str__", [](Device d) { return device_name(d); })
      .def("__eq__", [](Device a, const py::object& b) { return is_device(b.ptr()) && a == to_device(b.ptr()); })
      .def("__ne__", [](Device a, const py::object& b) { return !is_device(b.ptr()) || a != to_device(b.ptr()); })
      .def("__hash__", [](Device d) { return static_cast<int>(d.type) * 256 + d.index; })
      .def("__enter__", [](py::object self) {
             entered_devices.push_back(default_device());
             set_default_device(py::cast<Device>(self));
             return self;
           })
      .def("__exit__", [](const Device&, const py::args&) {
             set_default_device(entered_devices.back());
             entered_devices.pop_back();
           })
      .def("__reduce__", [](Device d) { return py::make_tuple(py::type::of<Device>(), py::make_tuple(device_name(d))); });

  // PyTorch's `generator.get_state()` is a uint8 tensor.
  auto state_tensor = [](const Generator& g) {
    Generator::State state = g.get_state();
    Tensor x = empty({static_cast<int64_t>(state.size())}, DType::uint8);
    std::memcpy(x.data(), state.data(), state.size());
    return py::reinterpret_steal<py::object>(wrap(x));
  };
  py::class_<Generator>(m, "Generator", "A stream of random numbers: Philox keyed by seed, draw and element index, the same on every device.")
      .def(py::init([](const py::object& device) {
             to_device(device.ptr());  // one stream serves every device, but it has to be one
             return std::make_unique<Generator>();
           }), py::arg("device") = "cpu")
      .def("manual_seed", [](py::object self, const py::int_& seed) {
             uint64_t value = PyLong_AsUnsignedLongLongMask(seed.ptr());
             if (PyErr_Occurred()) throw py::error_already_set();
             self.cast<Generator&>().manual_seed(value);
             return self;
           }, py::arg("seed"))
      .def("initial_seed", &Generator::initial_seed)
      .def("seed", &Generator::seed)
      .def("get_state", state_tensor)
      .def("set_state", [](Generator& g, const py::object& state) {
             check_type(is_tensor(state.ptr()) && to_tensor(state.ptr()).dtype() == DType::uint8, "set_state: expected a uint8 tensor as get_state gives");
             Tensor x = contiguous(to_tensor(state.ptr()));
             check(x.numel() == static_cast<int64_t>(Generator::kStateBytes), "set_state: a generator's state has ", Generator::kStateBytes, " bytes but got ", x.sizes());
             g.set_state({x.data_as<uint8_t>(), static_cast<size_t>(x.numel())});
           }, py::arg("new_state"))
      .def("clone_state", [](const Generator& g) {
             auto copy = std::make_unique<Generator>();
             copy->set_state(g.get_state());
             return copy;
           })
      .def_property_readonly("device", [](const Generator&) { return Device{}; })
      .def(py::pickle(
          [](const Generator& g) {
            Generator::State state = g.get_state();
            return py::bytes(reinterpret_cast<const char*>(state.data()), state.size());
          },
          [](const py::bytes& state) {
            std::string_view bytes(state);
            auto g = std::make_unique<Generator>();
            g->set_state({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
            return g;
          }));
  m.def("broadcast_shapes", [](const py::args& shapes) {
    Dims common;
    for (py::handle shape : shapes) {
      Dims sizes = Cast<Dims>::from(shape.ptr());
      for (int64_t size : sizes) check(size >= 0, "broadcast_shapes: a shape must not have negative sizes, but got ", sizes);
      common = broadcast("broadcast_shapes", common, sizes);
    }
    return py::reinterpret_steal<py::object>(wrap_size(common));
  }, "The shape that tensors of these shapes have when they are broadcast to one another.");
  m.def("_current_generator", [] { return &default_generator(); }, py::return_value_policy::reference, "What this thread draws from by default.");
  m.attr("default_generator") = py::cast(&default_generator(), py::return_value_policy::reference);
}

}  // namespace tessel::python
