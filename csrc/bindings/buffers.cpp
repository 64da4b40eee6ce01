// Python's buffer protocol, both ways: memoryview(x) and frombuffer.
#include "bindings/interop.h"

namespace tessel::python {

namespace {

const char* format_of(DType dtype) {  // as the struct module writes it
  switch (dtype) {
    case DType::bool_:
      return "?";
    case DType::uint8:
      return "B";
    case DType::int8:
      return "b";
    case DType::int16:
      return "h";
    case DType::int32:
      return "i";
    case DType::int64:
      return sizeof(long) == 8 ? "l" : "q";
    case DType::float16:
      return "e";
    case DType::float32:
      return "f";
    case DType::float64:
      return "d";
    case DType::complex64:
      return "Zf";
    case DType::complex128:
      return "Zd";
    default:
      return nullptr;
  }
}

struct Shape {  // what a Py_buffer points to
  Py_ssize_t sizes[kMaxDims], strides[kMaxDims];
};

[[noreturn]] void refuse(const char* why) {
  PyErr_Format(PyExc_BufferError, "buffer: %s", why);
  throw PythonException();
}

bool fortran(const Tensor& x) {
  int64_t step = 1;
  for (int d = 0; d < x.dim(); ++d) {
    if (x.sizes()[d] != 1 && x.strides()[d] != step) return false;
    step *= x.sizes()[d];
  }
  return true;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  try {
    view->obj = nullptr;
    Tensor x = to_tensor(self);
    if (x.requires_grad()) refuse("the tensor requires a gradient; take tensor.detach()");
    if (!x.device().is_cpu()) refuse("the tensor is not in the CPU's memory; take tensor.cpu()");
    const char* format = format_of(x.dtype());
    if (!format) refuse("Python has no such element type; convert the tensor first, e.g. with .float()");
    if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !x.is_contiguous()) refuse("the tensor is not contiguous");
    if ((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS && !x.is_contiguous())
      refuse("the tensor is not C-contiguous");
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && !fortran(x))
      refuse("the tensor is not Fortran-contiguous");
    if ((flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS && !x.is_contiguous() && !fortran(x))
      refuse("the tensor is not contiguous");
    auto* shape = new Shape;
    for (int d = 0; d < x.dim(); ++d)
      shape->sizes[d] = x.sizes()[d], shape->strides[d] = x.strides()[d] * x.item_size();
    static char nothing;
    view->buf = x.numel() ? x.data() : &nothing;
    view->len = x.numel() * x.item_size();
    view->itemsize = x.item_size();
    view->readonly = 0;
    view->ndim = static_cast<int>(x.dim());
    view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
    view->shape = flags & PyBUF_ND ? shape->sizes : nullptr;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? shape->strides : nullptr;
    view->suboffsets = nullptr;
    view->internal = shape;
    view->obj = Py_NewRef(self);
    x->storage->lend();
    return 0;
  } catch (...) {
    translate_exception();
    return -1;
  }
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Shape*>(view->internal); }

void release_view(void* held) {
  auto* view = static_cast<Py_buffer*>(held);
  if (Py_IsInitialized()) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyBuffer_Release(view);
    PyGILState_Release(state);
  }
  delete view;
}

}  // namespace

PyBufferProcs tensor_buffer = {get_buffer, release_buffer};

void release_object(void* object) {
  if (!Py_IsInitialized()) return;
  PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF(static_cast<PyObject*>(object));
  PyGILState_Release(state);
}

Tensor from_buffer(PyObject* buffer, DType dtype, int64_t count, int64_t offset, bool requires_grad) {
  auto view = std::make_unique<Py_buffer>();
  check_value(PyObject_CheckBuffer(buffer), "frombuffer: the object does not implement Python buffer protocol (",
              Py_TYPE(buffer)->tp_name, ")");
  if (PyObject_GetBuffer(buffer, view.get(), PyBUF_WRITABLE) < 0) {
    PyErr_Clear();
    if (PyObject_GetBuffer(buffer, view.get(), PyBUF_SIMPLE) < 0) throw PythonException();
    if (PyErr_WarnEx(PyExc_UserWarning,
                     "frombuffer: the buffer is not writable and a tensor can't be: writing to the tensor would change "
                     "the buffer. Copy it first, or don't write.",
                     1) < 0) {
      PyBuffer_Release(view.get());
      throw PythonException();
    }
  }
  char* data = static_cast<char*>(view->buf);
  const int64_t bytes = view->len, each = item_size(dtype);
  // From here on the storage owns the view.
  Py_buffer* held = view.release();
  Ref<Storage> storage = Storage::borrow(
      data + std::max<int64_t>(std::min(offset, bytes), 0),
      static_cast<size_t>(std::max<int64_t>(bytes - std::max<int64_t>(offset, 0), 0)), Device{}, release_view, held);
  check_value(bytes > 0 && count != 0, "frombuffer: both buffer length (", bytes, ") and count (", count,
              ") must not be 0");
  check_value(offset >= 0 && offset < bytes, "frombuffer: offset (", offset,
              " bytes) must be non-negative and no greater than buffer length (", bytes, " bytes) - 1");
  check_value(count > 0 || (bytes - offset) % each == 0, "frombuffer: buffer length (", bytes - offset,
              " bytes) after offset (", offset, " bytes) must be a multiple of element size (", each, ")");
  const int64_t n = count < 0 ? (bytes - offset) / each : count;
  check_value(n <= (bytes - offset) / each, "frombuffer: requested buffer length (", n, " * ", each,
              " bytes) after offset (", offset, " bytes) must not be greater than actual buffer length (", bytes,
              " bytes)");
  Tensor y = make_tensor(std::move(storage), {n}, {1}, 0, dtype);
  if (requires_grad) set_requires_grad(y, true);
  return y;
}

}  // namespace tessel::python
