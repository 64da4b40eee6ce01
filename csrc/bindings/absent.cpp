// What PyTorch's tensors have and tessel's do not: each such name is an attribute that raises AttributeError with advice
// (tessel._names makes its text when somebody reads it). Names that are there are found as fast as ever.
#include "bindings/absent.h"

#include "bindings/registry.h"
#include "bindings/tensor.h"
#include "bindings/torch_methods.h"

namespace tessel::python {
namespace {

struct AbsentObject {
  PyObject_HEAD;
  PyObject* name;
};

PyObject* raise_absent(PyObject* self, PyObject*, PyObject*) {
  Object names(PyImport_ImportModule("tessel._names"));
  if (!names.get()) return nullptr;
  Object kind(PyObject_GetAttrString(names.get(), "AbsentName"));
  if (!kind.get()) return nullptr;
  Object error(PyObject_CallFunction(kind.get(), "sO", "tessel.Tensor", reinterpret_cast<AbsentObject*>(self)->name));
  if (error.get()) PyErr_SetObject(kind.get(), error.get());
  return nullptr;
}

PyTypeObject AbsentType = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel._C._Absent";
  type.tp_basicsize = sizeof(AbsentObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_descr_get = raise_absent;  // without tp_descr_set: a tensor's own attribute of the name comes first
  return type;
}();

// Of names, those that can be had.
PyObject* without_absent(PyObject* self, PyObject* names) {
  if (!names) return nullptr;
  PyObject* kept = PyList_New(0);
  for (Py_ssize_t i = 0; kept && i < PyList_GET_SIZE(names); ++i) {
    PyObject* name = PyList_GET_ITEM(names, i);
    PyObject* found = PyDict_GetItem(AbsentNames.tp_dict, name);
    if (found && Py_IS_TYPE(found, &AbsentType) && !PyObject_HasAttr(self, name)) continue;
    if (PyList_Append(kept, name) < 0) Py_CLEAR(kept);
  }
  Py_DECREF(names);
  return kept;
}

PyObject* dir_of_tensor(PyObject* self, PyObject*) {
  Object object_dir(PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyBaseObject_Type), "__dir__"));
  return without_absent(self, object_dir.get() ? PyObject_CallOneArg(object_dir.get(), self) : nullptr);
}

PyObject* dir_of_type(PyObject* self, PyObject*) {
  Object type_dir(PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyType_Type), "__dir__"));
  return without_absent(self, type_dir.get() ? PyObject_CallOneArg(type_dir.get(), self) : nullptr);
}

PyMethodDef tensor_dir = {"__dir__", dir_of_tensor, METH_NOARGS, "The names of what it has."};
PyMethodDef type_dir = {"__dir__", dir_of_type, METH_NOARGS, "The names of what its tensors have."};

}  // namespace

PyTypeObject AbsentNames = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel._C._AbsentNames";
  type.tp_basicsize = sizeof(PyObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  return type;
}();

void install_absent() {
  if (PyType_Ready(&AbsentType) < 0) throw PythonException();
  for (const char* name : kTorchMethods) {
    Object key(expect(PyUnicode_InternFromString(name)));
    if (PyDict_Contains(TensorType.tp_dict, key.get())) continue;
    auto* absent = PyObject_New(AbsentObject, &AbsentType);
    if (!absent) throw PythonException();
    absent->name = Py_NewRef(key.get());
    PyDict_SetItem(AbsentNames.tp_dict, key.get(), Object(reinterpret_cast<PyObject*>(absent)).get());
  }
  PyTypeObject* meta = Py_TYPE(&TensorType);
  PyDict_SetItemString(TensorType.tp_dict, "__dir__", Object(expect(PyDescr_NewMethod(&TensorType, &tensor_dir))).get());
  PyDict_SetItemString(meta->tp_dict, "__dir__", Object(expect(PyDescr_NewMethod(meta, &type_dir))).get());
  PyType_Modified(&AbsentNames);
  PyType_Modified(meta);
}

}  // namespace tessel::python
