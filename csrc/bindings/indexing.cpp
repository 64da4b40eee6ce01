// x[key] and x[key] = value: Python's keys become steps of basic indexing (one view) and tensors of positions. An int or a
// slice alone, the commonest keys, go to their view directly.
#include "bindings/tensor.h"

#include <cstring>

namespace tessel::python {

namespace {

bool is_int(PyObject* o) { return PyLong_CheckExact(o) || (PyIndex_Check(o) && !PyBool_Check(o) && !is_tensor(o) && !PySequence_Check(o)); }
bool is_numpy_bool(PyObject* o) { return !std::strcmp(Py_TYPE(o)->tp_name, "numpy.bool") || !std::strcmp(Py_TYPE(o)->tp_name, "numpy.bool_"); }

int64_t index_of(PyObject* o) {
  Py_ssize_t i = PyNumber_AsSsize_t(o, PyExc_IndexError);
  if (i == -1 && PyErr_Occurred()) throw PythonException();
  return i;
}

IndexStep slice_step(PyObject* slice, int64_t dim) {
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(slice, &start, &stop, &step) < 0) throw PythonException();
  check_value(step > 0, "index: step must be greater than zero, got ", int64_t(step));
  return {IndexStep::slice, dim, start, stop, step};
}

// ---- lists as indices: nested sequences of ints or bools

struct Nested {
  Dims sizes;
  std::vector<int64_t> values;
  bool bools = true;    // nothing but
  bool plain = true;    // ints and bools, of one shape

  void read(PyObject* list, int depth) {
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    if (depth == sizes.size()) {
      if (depth == kMaxDims) return void(plain = false);
      sizes.push_back(n);
    }
    if (sizes[depth] != n) plain = false;
    for (Py_ssize_t i = 0; i < n && plain; ++i) {
      PyObject* item = PySequence_Fast_GET_ITEM(list, i);
      if (PyList_Check(item) || PyTuple_Check(item)) {
        if (!values.empty() && depth + 1 == sizes.size()) plain = false;  // a number stood beside it
        else read(item, depth + 1);
      } else if (depth + 1 != sizes.size()) {
        plain = false;
      } else if (PyBool_Check(item)) {
        values.push_back(item == Py_True);
      } else if (PyLong_Check(item)) {
        values.push_back(index_of(item));
        bools = false;
      } else {
        plain = false;
      }
    }
  }
};

// What tessel.tensor makes of an object.
Tensor made_by_python(PyObject* o) {
  Object module(expect(PyImport_ImportModule("tessel")));
  Object made(expect(PyObject_CallMethod(module.get(), "tensor", "O", o)));
  return to_tensor(made.get());
}

Tensor sequence_index(PyObject* o) {
  if (PyList_Check(o) || PyTuple_Check(o)) {
    Nested nested;
    nested.read(o, 0);
    if (nested.plain) {
      Tensor index = empty(nested.sizes, DType::int64);
      if (!nested.values.empty()) std::memcpy(index.data(), nested.values.data(), nested.values.size() * sizeof(int64_t));
      return nested.bools && !nested.values.empty() ? to_dtype(index, DType::bool_) : index;
    }
  }
  Tensor index = made_by_python(o);  // numpy arrays, ranges, lists of other things
  bool listed = PyList_Check(o) || PyTuple_Check(o);
  return is_floating(index.dtype()) && (listed || index.numel() == 0) ? to_dtype(index, DType::int64) : index;
}

// ---- a key, taken apart

struct Key {
  const Tensor& x;
  std::vector<IndexStep> steps;
  std::vector<Tensor> indices;   // by dimension of what the steps leave; undefined: all of it
  int64_t dim = 0;               // the next dimension of that
  bool advanced = false;

  explicit Key(const Tensor& x) : x(x) {}

  void whole() {
    indices.emplace_back();
    ++dim;
  }
  void tensor(const Tensor& index) {
    indices.push_back(index);
    dim += is_mask(index) ? index.dim() : 1;
    advanced = true;
  }
  // A truth value adds a dimension of size 1 or 0.
  void truth(bool value) {
    steps.push_back({IndexStep::insert, dim});
    tensor(zeros({value ? 1 : 0}, DType::int64, x.device()));
  }
  void select(int64_t i) {
    check_index(x.dim() > 0, "index: invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number");
    steps.push_back({IndexStep::select, dim, i});
  }
  void add(PyObject* item, int64_t unnamed) {
    if (is_int(item)) {
      select(index_of(item));
    } else if (PySlice_Check(item)) {
      IndexStep step = slice_step(item, dim);
      check_index(x.dim() > 0, "index: slice() cannot be applied to a 0-dim tensor.");
      if (step.start != 0 || step.end != PY_SSIZE_T_MAX || step.step != 1) steps.push_back(step);
      whole();
    } else if (item == Py_None) {
      steps.push_back({IndexStep::insert, dim});
      whole();
    } else if (item == Py_Ellipsis) {
      for (int64_t i = 0; i < unnamed; ++i) whole();
    } else if (PyBool_Check(item)) {
      truth(item == Py_True);
    } else if (is_tensor(item)) {
      add_tensor(to_tensor(item));
    } else if (is_numpy_bool(item)) {
      truth(PyObject_IsTrue(item) == 1);
    } else if (PySequence_Check(item) && !PyUnicode_Check(item)) {
      add_tensor(sequence_index(item));
    } else if (PyUnicode_Check(item)) {
      fail<TypeError>("index: a string is no index");
    } else {
      fail<IndexError>("index: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got ", Py_TYPE(item)->tp_name, ")");
    }
  }
  void add_tensor(const Tensor& index) {
    check_index(is_mask(index) || is_integral(index.dtype()), "index: tensors used as indices must be long, int, byte or bool tensors, got ", index.dtype());
    if (index.dim() > 0) tensor(index);
    else if (is_mask(index)) truth(item(index).as_int() != 0);
    else select(item(index).as_int());
  }
  Tensor part() const { return steps.empty() ? x : index_basic(x, steps); }

 private:
  static bool is_mask(const Tensor& index) { return index.dtype() == DType::bool_ || index.dtype() == DType::uint8; }
};

// Lists were tuples once: those that hold slices, None, ... or sequences still are.
bool is_tuple_like(PyObject* key) {
  if (PyTuple_Check(key)) return true;
  if (!PyList_Check(key) || PyList_GET_SIZE(key) >= 32) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) {
    PyObject* item = PyList_GET_ITEM(key, i);
    if (is_tensor(item) || PySlice_Check(item) || item == Py_None || item == Py_Ellipsis || (PySequence_Check(item) && !PyUnicode_Check(item))) return true;
  }
  return false;
}

bool is_sequence_index(PyObject* o) { return PySequence_Check(o) && !is_tensor(o) && !PyUnicode_Check(o) && !PyBytes_Check(o); }

// The dimensions an item of a tuple stands for.
int64_t dims_named(PyObject* item, const Tensor& index) {
  if (index.defined()) return index.dtype() == DType::bool_ || index.dtype() == DType::uint8 ? index.dim() : 1;
  return item == Py_None || item == Py_Ellipsis || PyBool_Check(item) || is_numpy_bool(item) ? 0 : 1;
}

void read_key(Key& key, PyObject* o) {
  if (!is_tuple_like(o)) return key.add(o, key.x.dim());
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  std::vector<Tensor> tensors(n);
  int64_t named = 0;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(o, i);
    if (is_tensor(item)) tensors[i] = to_tensor(item);
    else if (is_sequence_index(item)) tensors[i] = sequence_index(item);
    named += dims_named(item, tensors[i]);
  }
  check_index(named <= key.x.dim(), "index: too many indices for tensor of dimension ", key.x.dim());
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (tensors[i].defined()) key.add_tensor(tensors[i]);
    else key.add(PySequence_Fast_GET_ITEM(o, i), key.x.dim() - named);
  }
}

Tensor select_first(const Tensor& x, PyObject* key) {
  int64_t i = index_of(key);
  check_index(x.dim() > 0, "index: invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number");
  int64_t n = x.sizes()[0];
  check_index(i >= -n && i < n, "index: index ", i, " is out of bounds for dimension 0 with size ", n);
  return select(x, 0, i);
}

Tensor slice_first(const Tensor& x, PyObject* key) {
  IndexStep step = slice_step(key, 0);
  check_index(x.dim() > 0, "index: slice() cannot be applied to a 0-dim tensor.");
  return slice(x, 0, step.start, step.end, step.step);
}

// ---- values to be written

Tensor value_for(const Tensor& x, PyObject* value) {
  if (is_tensor(value)) return to_tensor(value);
  check_type(is_number(value), "index: can't assign a ", Py_TYPE(value)->tp_name, " to a ", x.dtype(), " tensor");
  return to_dtype(wrapped_number(checked(to_scalar(value), x.dtype())), x.dtype());
}

// The same elements of memory in the same order: `x[i] += y` writes back what stands there already.
bool same_elements(const Tensor& a, const Tensor& b) {
  return a->storage.get() == b->storage.get() && a.offset() == b.offset() && a.sizes() == b.sizes() && a.strides() == b.strides() && a.dtype() == b.dtype();
}

void write(Tensor part, Tensor value) {
  if (same_elements(part, value)) return;
  Dims sizes = value.sizes();
  while (sizes.size() > part.dim() && sizes[0] == 1) sizes.erase(0);
  bool fits = sizes.size() <= part.dim();
  for (int d = 1; fits && d <= sizes.size(); ++d) fits = sizes[sizes.size() - d] == 1 || sizes[sizes.size() - d] == part.size(-d);
  check(fits, "index: shape mismatch: value tensor of shape ", value.sizes(), " cannot be broadcast to indexing result of shape ", part.sizes());
  copy_(part, sizes.size() == value.dim() ? value : reshape(value, sizes));
}

}  // namespace

Tensor index_get(const Tensor& x, PyObject* o) {
  if (PyLong_CheckExact(o)) return select_first(x, o);
  if (PySlice_Check(o)) return slice_first(x, o);
  Key key(x);
  read_key(key, o);
  if (!key.advanced) return index_basic(x, key.steps);
  return index(key.part(), key.indices);
}

void index_set(const Tensor& x, PyObject* o, PyObject* value_) {
  Tensor value = value_for(x, value_);
  if (PyLong_CheckExact(o)) return write(select_first(x, o), value);
  if (PySlice_Check(o)) return write(slice_first(x, o), value);
  Key key(x);
  read_key(key, o);
  Tensor part = key.part();
  if (key.advanced) index_put_(part, key.indices, value);
  else write(part, value);
}

}  // namespace tessel::python
