// tessel.Tensor: a hand-written type object. The same tensor is the same Python object; a wrapper with state of its own
// (a __dict__, weak references, a subclass) lives as long as its tensor.
#include "bindings/tensor.h"
#include "ops/complex.h"

#include <cstring>

#include "bindings/absent.h"
#include "bindings/autocast.h"
#include "bindings/casters.h"
#include "bindings/interop.h"
#include "bindings/registry.h"
#include "bindings/types.h"

namespace tessel::python {

// ---- identity and lifetime

namespace {

TensorObject* object_of(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }

// Wrappers of the plain type are born and die with every op.
constexpr int kKept = 64;
TensorObject* kept[kKept];
int kept_count = 0;

bool has_state(PyObject* self) {
  TensorObject* t = object_of(self);
  return t->dict || t->weakrefs || !Py_IS_TYPE(self, &TensorType);
}

void destroy_wrapper(PyObject* self) {
  TensorObject* t = object_of(self);
  if (Py_TYPE(self)->tp_finalize && PyObject_CallFinalizerFromDealloc(self) < 0) return;  // __del__ brought it back
  if (t->weakrefs) PyObject_ClearWeakRefs(self);
  if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
  Py_CLEAR(t->dict);
  if (TensorImpl* impl = std::exchange(t->impl, nullptr)) {
    impl->wrapper = nullptr;
    Ref<TensorImpl>::adopt(impl);
  }
  if (Py_IS_TYPE(self, &TensorType) && kept_count < kKept) {
    kept[kept_count++] = t;
    return;
  }
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_Del(self);
  if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) Py_DECREF(type);
}

// Python holds no reference any more. A wrapper with state stays with its tensor when others still hold that.
void tensor_dealloc(PyObject* self) {
  TensorObject* t = object_of(self);
  if (t->impl && t->impl->count.load() > 1 && has_state(self)) {
    // Ownership turns round: the tensor holds the wrapper now, which no longer counts as an owner.
    Py_SET_REFCNT(self, 1);
    t->impl->owns_wrapper = true;
    if (t->impl->count.fetch_sub(1) == 1) TensorImpl::destroy(t->impl);  // another thread has dropped it meanwhile
    return;
  }
  destroy_wrapper(self);
}

// The last owner of a tensor that holds its wrapper has gone. The wrapper takes the tensor over and dies with it, as it
// would have had Python let go of it now: __del__ and callbacks of weak references see a whole tensor.
bool drop_wrapper(TensorImpl* impl) {
  if (!Py_IsInitialized()) return false;
  PyGILState_STATE state = PyGILState_Ensure();
  impl->owns_wrapper = false;
  impl->count.store(1);
  Py_DECREF(static_cast<PyObject*>(impl->wrapper));
  PyGILState_Release(state);
  return true;
}

// What a wrapper that is the only owner of its tensor holds through it.
Grad* grad_of_sole_owner(PyObject* self) {
  TensorImpl* impl = object_of(self)->impl;
  return impl && impl->grad && !impl->owns_wrapper && impl->count.load() == 1 ? impl->grad.get() : nullptr;
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {  // a subclass's type is visited by Python's own
  Py_VISIT(object_of(self)->dict);
  if (Grad* grad = grad_of_sole_owner(self)) {
    if (int r = visit_node(grad->node, visit, arg)) return r;
    return visit_node(grad->accumulator, visit, arg);
  }
  return 0;
}
int tensor_clear(PyObject* self) {
  if (Grad* grad = grad_of_sole_owner(self)) {
    clear_node(grad->node);
    clear_node(grad->accumulator);
  }
  Py_CLEAR(object_of(self)->dict);
  return 0;
}

PyObject* alloc_wrapper(PyTypeObject* type) {
  if (type == &TensorType && kept_count > 0) {
    auto* self = reinterpret_cast<PyObject*>(kept[--kept_count]);
    PyObject_Init(self, type);
    return self;
  }
  auto* t = PyObject_GC_New(TensorObject, type);
  if (!t) throw PythonException();
  t->impl = nullptr;
  t->dict = t->weakrefs = nullptr;
  if (type != &TensorType) PyObject_GC_Track(t);  // a plain tensor is tracked when it gets a __dict__
  return reinterpret_cast<PyObject*>(t);
}

}  // namespace

PyObject* wrap_as(PyTypeObject* type, const Tensor& x) {
  PyObject* self = alloc_wrapper(type);
  object_of(self)->impl = x.ref().leak();
  x->wrapper = self;
  if (x->grad) {
    const Node* node = x->grad->node ? x->grad->node.get() : x->grad->accumulator.get();
    if (node && (node->hooks || node->backward.python_object())) track(self);
  }
  return self;
}

void track(PyObject* tensor) {
  if (!PyObject_GC_IsTracked(tensor)) PyObject_GC_Track(tensor);
}

PyObject* wrap(const Tensor& x) {
  if (!x.defined()) Py_RETURN_NONE;
  auto* self = static_cast<PyObject*>(x->wrapper);
  if (!self) return wrap_as(&TensorType, x);
  if (x->owns_wrapper) {  // back to Python: the wrapper owns the tensor again
    x->owns_wrapper = false;
    x->retain();
    return self;
  }
  return Py_NewRef(self);
}

// ---- attributes

namespace {

template <class F>
PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    translate_exception();
    return nullptr;
  }
}
template <class F>
int guarded_set(PyObject* value, F&& f) noexcept {
  try {
    check_type(value != nullptr, "tensor: neither attributes nor elements of a tensor can be deleted");
    f();
    return 0;
  } catch (...) {
    translate_exception();
    return -1;
  }
}

int tensor_setattr(PyObject* self, PyObject* name, PyObject* value) {
  int result = PyObject_GenericSetAttr(self, name, value);
  if (object_of(self)->dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return result;
}

PyObject* get_shape(PyObject* self, void*) {
  return guarded([&] { return wrap_size(impl_of(self)->sizes); });
}
PyObject* get_dtype(PyObject* self, void*) { return wrap(impl_of(self)->dtype); }
PyObject* get_device(PyObject* self, void*) {
  return guarded([&] { return wrap(impl_of(self)->device); });
}
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(impl_of(self)->sizes.size()); }
PyObject* get_requires_grad(PyObject* self, void*) {
  return guarded([&] { return wrap(to_tensor(self).requires_grad()); });
}
int set_requires_grad_attribute(PyObject* self, PyObject* value, void*) {
  return guarded_set(value, [&] {
    check(PyBool_Check(value), "requires_grad must be a bool");
    Tensor x = to_tensor(self);
    check(x.is_leaf(), "requires_grad: you can only change requires_grad flags of leaf variables.",
          value == Py_True ? "" : " If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    set_requires_grad(x, value == Py_True);
  });
}
PyObject* get_is_leaf(PyObject* self, void*) {
  return guarded([&] { return wrap(to_tensor(self).is_leaf()); });
}
PyObject* get_grad(PyObject* self, void*) {
  TensorImpl* impl = impl_of(self);
  if (!impl->grad || !impl->grad->grad) Py_RETURN_NONE;
  return guarded([&] { return wrap(Tensor(impl->grad->grad)); });
}
int set_grad(PyObject* self, PyObject* value, void*) {
  try {
    Tensor x = to_tensor(self);
    if (!value || value == Py_None) {
      if (x->grad) x->grad->grad = nullptr;
      return 0;
    }
    check_type(is_tensor(value), "grad: assigned grad expected to be a Tensor or None but got ", Py_TYPE(value)->tp_name);
    Tensor g = to_tensor(value);
    check(!g.is_same(x), "grad: can't assign Variable as its own grad");
    check(g.dtype() == x.dtype(), "grad: assigned grad has data of a different type (", g.dtype(), " for a tensor of ", x.dtype(), ")");
    check(g.device() == x.device(), "grad: assigned grad has data located on a different device");
    check(g.sizes() == x.sizes(), "grad: assigned grad has data of a different size (", g.sizes(), " for a tensor of ", x.sizes(), ")");
    x.set_grad(g);
    return 0;
  } catch (...) {
    translate_exception();
    return -1;
  }
}
PyObject* get_data(PyObject* self, void*) {
  return guarded([&] { return wrap(data(to_tensor(self))); });
}
int set_data_attribute(PyObject* self, PyObject* value, void*) {
  return guarded_set(value, [&] {
    check_type(is_tensor(value), "data: expected a Tensor, got ", Py_TYPE(value)->tp_name);
    set_data(to_tensor(self), to_tensor(value));
  });
}
PyObject* get_T(PyObject* self, void*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    Dims dims;
    for (int64_t d = x.dim() - 1; d >= 0; --d) dims.push_back(d);
    return wrap(permute(x, dims));
  });
}
PyObject* get_mT(PyObject* self, void*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    check(x.dim() >= 2, "mT: tensor.mT is only supported on matrices or batches of matrices. Got ", x.dim(), "-D tensor.");
    return wrap(transpose(x, -2, -1));
  });
}
PyObject* get_mH(PyObject* self, void*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    check(x.dim() >= 2, "mH: tensor.mH is only supported on matrices or batches of matrices. Got ", x.dim(), "-D tensor.");
    return wrap(conj(transpose(x, -2, -1)));
  });
}
PyObject* get_H(PyObject* self, void*) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    check(x.dim() == 2 || x.dim() == 0, "H: tensor.H is only supported on matrices (2-D tensors). Got ", x.dim(), "-D tensor.");
    return wrap(conj(x.dim() ? transpose(x, 0, 1) : x));
  });
}
PyObject* get_real(PyObject* self, void*) {
  return guarded([&] { return wrap(real(to_tensor(self))); });
}
PyObject* get_imag(PyObject* self, void*) {
  return guarded([&] { return wrap(imag(to_tensor(self))); });
}
template <Tensor (*part)(const Tensor&)>
int set_part(PyObject* self, PyObject* value, void*) {
  return guarded_set(value, [&] { copy_(part(to_tensor(self)), tensor_or_number(value)); });
}
PyObject* get_base(PyObject* self, void*) {
  return guarded([&] { return wrap(Tensor(impl_of(self)->base)); });
}
PyObject* get_version(PyObject* self, void*) {
  return guarded([&] {
    check(!impl_of(self)->inference, "_version: Inference tensors do not track version counter.");
    return PyLong_FromUnsignedLong(to_tensor(self).version());
  });
}
PyObject* get_is_cuda(PyObject* self, void*) { return wrap(impl_of(self)->device.is_cuda()); }
PyObject* get_is_cpu(PyObject* self, void*) { return wrap(impl_of(self)->device.is_cpu()); }
PyObject* get_itemsize(PyObject* self, void*) { return wrap(item_size(impl_of(self)->dtype)); }
PyObject* get_nbytes(PyObject* self, void*) { return wrap(impl_of(self)->numel * item_size(impl_of(self)->dtype)); }
PyObject* get_retains_grad(PyObject* self, void*) { return wrap(impl_of(self)->grad && impl_of(self)->grad->retained); }
PyObject* get_false(PyObject*, void*) { Py_RETURN_FALSE; }
PyObject* get_grad_fn(PyObject* self, void*) {
  return guarded([&] { return wrap_node(grad_fn(to_tensor(self))); });
}

PyObject* get_layout(PyObject*, void*) { return wrap_layout(); }
PyObject* get_array_interface(PyObject* self, void*) {
  return guarded([&] { return array_interface(self); });
}
PyObject* get_dict(PyObject* self, void* closure) {  // once it has one, a tensor may be part of a cycle
  PyObject* dict = PyObject_GenericGetDict(self, closure);
  if (dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return dict;
}

PyGetSetDef tensor_getset[] = {
    {"shape", get_shape, nullptr, "The sizes, as a Size.", nullptr},
    {"dtype", get_dtype, nullptr, nullptr, nullptr},
    {"device", get_device, nullptr, nullptr, nullptr},
    {"ndim", get_ndim, nullptr, "The number of dimensions.", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad_attribute, nullptr, nullptr},
    {"is_leaf", get_is_leaf, nullptr, nullptr, nullptr},
    {"grad", get_grad, set_grad, "What backward() has accumulated, or None.", nullptr},
    {"grad_fn", get_grad_fn, nullptr, "The node of the graph this tensor comes from, or None for a leaf.", nullptr},
    {"data", get_data, set_data_attribute, "The same values without history and with a version of their own.", nullptr},
    {"T", get_T, nullptr, "The dimensions in reverse order.", nullptr},
    {"mT", get_mT, nullptr, "The last two dimensions swapped.", nullptr},
    {"H", get_H, nullptr, "The conjugate transpose of a matrix.", nullptr},
    {"mH", get_mH, nullptr, "The conjugate transpose of each matrix.", nullptr},
    {"real", get_real, set_part<real>, "The real parts, on the same memory; a real tensor itself.", nullptr},
    {"imag", get_imag, set_part<imag>, "The imaginary parts, on the same memory.", nullptr},
    {"_base", get_base, nullptr, "Of a view: the tensor it is a view of.", nullptr},
    {"_version", get_version, nullptr, "How often the memory was written in place.", nullptr},
    {"is_cuda", get_is_cuda, nullptr, nullptr, nullptr},
    {"is_cpu", get_is_cpu, nullptr, nullptr, nullptr},
    {"is_sparse", get_false, nullptr, nullptr, nullptr},
    {"is_quantized", get_false, nullptr, nullptr, nullptr},
    {"is_meta", get_false, nullptr, nullptr, nullptr},
    {"is_mps", get_false, nullptr, nullptr, nullptr},
    {"itemsize", get_itemsize, nullptr, "Bytes of one element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of all elements.", nullptr},
    {"retains_grad", get_retains_grad, nullptr, nullptr, nullptr},
    {"layout", get_layout, nullptr, nullptr, nullptr},
    {"__array_interface__", get_array_interface, nullptr, "numpy's description of the memory.", nullptr},
    {"__dict__", get_dict, PyObject_GenericSetDict, nullptr, nullptr},
    {}};

// ---- operators

// Calls f on two operands of which at least one is a tensor; NotImplemented where the other is neither tensor nor number.
template <class F>
PyObject* operate(PyObject* a, PyObject* b, F&& f) {
  bool tensor_a = is_tensor(a), tensor_b = is_tensor(b);
  if (!(tensor_a || is_number(a)) || !(tensor_b || is_number(b))) Py_RETURN_NOTIMPLEMENTED;
  return guarded([&] { return wrap(f(tensor_a ? to_tensor(a) : tensor_or_number(a), tensor_b ? to_tensor(b) : tensor_or_number(b))); });
}

// a op= b
template <class F>
PyObject* operate_inplace(PyObject* a, PyObject* b, F&& f) {
  if (!is_tensor(b) && !is_number(b)) Py_RETURN_NOTIMPLEMENTED;
  return guarded([&] {
    Tensor x = to_tensor(a);
    f(x, tensor_or_number(b), Into::over(x));
    return Py_NewRef(a);
  });
}

template <Binary op>
PyObject* binary_operator(PyObject* a, PyObject* b) {
  return operate(a, b, [](const Tensor& x, const Tensor& y) { return binary(op, x, y); });
}
template <Binary op>
PyObject* inplace_operator(PyObject* a, PyObject* b) {
  return operate_inplace(a, b, [](const Tensor& x, const Tensor& y, const Into& into) { binary(op, x, y, {}, into); });
}
template <Tensor (*op)(const Tensor&, const Tensor&, const Into&)>
PyObject* form_operator(PyObject* a, PyObject* b) {
  return operate(a, b, [](const Tensor& x, const Tensor& y) { return op(x, y, {}); });
}
template <Tensor (*op)(const Tensor&, const Tensor&, const Into&)>
PyObject* form_inplace(PyObject* a, PyObject* b) {
  return operate_inplace(a, b, [](const Tensor& x, const Tensor& y, const Into& into) { op(x, y, into); });
}
PyObject* subtract(PyObject* a, PyObject* b) {
  return operate(a, b, [](const Tensor& x, const Tensor& y) { return sub(x, y); });
}
PyObject* inplace_subtract(PyObject* a, PyObject* b) {
  return operate_inplace(a, b, [](const Tensor& x, const Tensor& y, const Into& into) { sub(x, y, 1, into); });
}
PyObject* power(PyObject* a, PyObject* b, PyObject*) {
  return operate(a, b, [](const Tensor& x, const Tensor& y) { return pow(x, y); });
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) {
  return operate_inplace(a, b, [](const Tensor& x, const Tensor& y, const Into& into) { pow(x, y, into); });
}
PyObject* matrix_multiply(PyObject* a, PyObject* b) {
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return guarded([&] {
    if (!autocasting.load(std::memory_order_relaxed)) [[likely]] return wrap(matmul(to_tensor(a), to_tensor(b)));
    PyObject* both[] = {a, b};
    Autocast cast;
    cast.apply(Precision::low, both, 2);
    return wrap(matmul(to_tensor(both[0]), to_tensor(both[1])));
  });
}
template <Unary op>
PyObject* unary_operator(PyObject* a) {
  return guarded([&] { return wrap(unary(op, to_tensor(a))); });
}
int truth(PyObject* self) {
  try {
    Tensor x = to_tensor(self);
    check(x.numel() != 0, "bool: Boolean value of Tensor with no values is ambiguous");
    check(x.numel() == 1, "bool: Boolean value of Tensor with more than one value is ambiguous (it is ", x.sizes(), ")");
    Scalar value = item(x);
    return value.is_complex() ? value.as_complex() != 0.0 : value.as_double() != 0;
  } catch (...) {
    translate_exception();
    return -1;
  }
}
Scalar only_element(const char* op, PyObject* self) {
  Tensor x = to_tensor(self);
  check_value(x.numel() == 1, op, ": only one element tensors can be converted to Python scalars (it is ", x.sizes(), ")");
  return item(x);
}
PyObject* to_python_int(PyObject* self) {
  return guarded([&] {
    Scalar value = only_element("int", self);
    return value.is_floating() ? PyLong_FromDouble(value.as_double()) : wrap(value.as_int());
  });
}
PyObject* to_python_float(PyObject* self) {
  return guarded([&] { return PyFloat_FromDouble(only_element("float", self).as_double()); });
}
PyObject* to_index(PyObject* self) {
  return guarded([&] {
    Tensor x = to_tensor(self);
    check_type(x.numel() == 1 && !is_floating(x.dtype()) && !is_complex(x.dtype()), "index: only integer tensors of a single element can be converted to an index");
    return wrap(item(x).as_int());
  });
}
PyObject* compare(PyObject* a, PyObject* b, int how) {
  constexpr Binary ops[] = {Binary::lt, Binary::le, Binary::eq, Binary::ne, Binary::gt, Binary::ge};
  return operate(a, b, [how, &ops](const Tensor& x, const Tensor& y) { return binary(ops[how], x, y); });
}
Py_hash_t hash(PyObject* self) { return static_cast<Py_hash_t>(reinterpret_cast<uintptr_t>(impl_of(self)) >> 4); }

PyNumberMethods tensor_number = {
    .nb_add = binary_operator<Binary::add>,
    .nb_subtract = subtract,
    .nb_multiply = binary_operator<Binary::mul>,
    .nb_remainder = form_operator<&remainder>,
    .nb_power = power,
    .nb_negative = unary_operator<Unary::neg>,
    .nb_positive = [](PyObject* a) { return Py_NewRef(a); },
    .nb_absolute = unary_operator<Unary::abs>,
    .nb_bool = truth,
    .nb_invert = unary_operator<Unary::bitwise_not>,
    .nb_lshift = binary_operator<Binary::left_shift>,
    .nb_rshift = binary_operator<Binary::right_shift>,
    .nb_and = binary_operator<Binary::bitwise_and>,
    .nb_xor = binary_operator<Binary::bitwise_xor>,
    .nb_or = binary_operator<Binary::bitwise_or>,
    .nb_int = to_python_int,
    .nb_float = to_python_float,
    .nb_inplace_add = inplace_operator<Binary::add>,
    .nb_inplace_subtract = inplace_subtract,
    .nb_inplace_multiply = inplace_operator<Binary::mul>,
    .nb_inplace_remainder = form_inplace<&remainder>,
    .nb_inplace_power = inplace_power,
    .nb_inplace_lshift = inplace_operator<Binary::left_shift>,
    .nb_inplace_rshift = inplace_operator<Binary::right_shift>,
    .nb_inplace_and = inplace_operator<Binary::bitwise_and>,
    .nb_inplace_xor = inplace_operator<Binary::bitwise_xor>,
    .nb_inplace_or = inplace_operator<Binary::bitwise_or>,
    .nb_floor_divide = form_operator<&floor_divide>,
    .nb_true_divide = binary_operator<Binary::div>,
    .nb_inplace_floor_divide = form_inplace<&floor_divide>,
    .nb_inplace_true_divide = inplace_operator<Binary::div>,
    .nb_index = to_index,
    .nb_matrix_multiply = matrix_multiply,
};

Py_ssize_t length(PyObject* self) {
  TensorImpl* x = impl_of(self);
  if (x->sizes.empty()) {
    PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
    return -1;
  }
  return x->sizes[0];
}
PyObject* get_item(PyObject* self, PyObject* key) {
  return guarded([&] { return wrap(index_get(to_tensor(self), key)); });
}
int set_item(PyObject* self, PyObject* key, PyObject* value) {
  return guarded_set(value, [&] { index_set(to_tensor(self), key, value); });
}
PyMappingMethods tensor_mapping = {length, get_item, set_item};

// `i in range` of the sequence protocol, used by iteration.
PyObject* sequence_item(PyObject* self, Py_ssize_t i) {
  return guarded([&] { return wrap(select(to_tensor(self), 0, i)); });
}
PySequenceMethods tensor_sequence = {.sq_length = length, .sq_item = sequence_item, .sq_contains = contains};

PyObject* iterate(PyObject* self) {
  return guarded([&]() -> PyObject* {
    Tensor x = to_tensor(self);
    check_type(x.dim() > 0, "iter: iteration over a 0-d tensor");
    Object parts(expect(wrap(unbind(x, 0))));
    return PyObject_GetIter(parts.get());
  });
}

PyObject* tensor_repr(PyObject* self) {
  return guarded([&] {
    Object printer(expect(PyImport_ImportModule("tessel._tensor_str")));
    return expect(PyObject_CallMethod(printer.get(), "tensor_repr", "O", self));
  });
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] { return construct(type, args, kwargs); });
}

}  // namespace

PyTypeObject TensorType = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel.Tensor";
  type.tp_doc = "A multi-dimensional array of one dtype on one device, with an optional history of how it was computed.";
  type.tp_base = &AbsentNames;
  type.tp_basicsize = sizeof(TensorObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;
  type.tp_dealloc = tensor_dealloc;
  type.tp_traverse = tensor_traverse;
  type.tp_clear = tensor_clear;
  type.tp_dictoffset = offsetof(TensorObject, dict);
  type.tp_weaklistoffset = offsetof(TensorObject, weakrefs);
  type.tp_setattro = tensor_setattr;
  type.tp_getset = tensor_getset;
  type.tp_as_number = &tensor_number;
  type.tp_as_mapping = &tensor_mapping;
  type.tp_as_sequence = &tensor_sequence;
  type.tp_as_buffer = &tensor_buffer;
  type.tp_methods = tensor_methods;
  type.tp_richcompare = compare;
  type.tp_hash = hash;
  type.tp_iter = iterate;
  type.tp_repr = tensor_repr;
  type.tp_new = tensor_new;
  return type;
}();

// The type of Tensor's type: subclasses written in Python get tensor_dealloc itself (Python's own would free a wrapper
// that has just gone over to its tensor).
static int meta_init(PyObject* type, PyObject* args, PyObject* kwargs) {
  if (PyType_Type.tp_init(type, args, kwargs) < 0) return -1;
  reinterpret_cast<PyTypeObject*>(type)->tp_dealloc = tensor_dealloc;
  return 0;
}

static PyTypeObject TensorMeta = [] {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = "tessel._TensorMeta";
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  type.tp_base = &PyType_Type;
  type.tp_init = meta_init;
  return type;
}();

void bind_tensor(PyObject* module) {
  if (PyType_Ready(&AbsentNames) < 0 || PyType_Ready(&TensorMeta) < 0) throw PythonException();
  Py_SET_TYPE(&TensorType, &TensorMeta);
  if (PyType_Ready(&TensorType) < 0) throw PythonException();
  PyModule_AddObjectRef(module, "_TensorMeta", reinterpret_cast<PyObject*>(&TensorMeta));
  TensorImpl::drop_wrapper = drop_wrapper;
  PyModule_AddObjectRef(module, "Tensor", reinterpret_cast<PyObject*>(&TensorType));
}

}  // namespace tessel::python
