// numpy's arrays and tensors, one memory for both. numpy is imported when it is first needed.
#include <pybind11/numpy.h>

#include <cstring>

#include "bindings/interop.h"
#include "bindings/types.h"

namespace py = pybind11;

namespace tessel::python {

namespace {

using Api = py::detail::npy_api;

// The numbers by which numpy's C interface calls its types, with C's names for the integers.
int numpy_type(DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return Api::NPY_BOOL_;
    case DType::uint8:
      return Api::NPY_UBYTE_;
    case DType::int8:
      return Api::NPY_BYTE_;
    case DType::int16:
      return Api::NPY_SHORT_;
    case DType::int32:
      return Api::NPY_INT_;
    case DType::int64:
      return sizeof(long) == 8 ? Api::NPY_LONG_ : Api::NPY_LONGLONG_;
    case DType::float16:
      return 23;
    case DType::float32:
      return Api::NPY_FLOAT_;
    case DType::float64:
      return Api::NPY_DOUBLE_;
    case DType::complex64:
      return Api::NPY_CFLOAT_;
    case DType::complex128:
      return Api::NPY_CDOUBLE_;
    default:
      return -1;
  }
}

DType dtype_of_array(PyObject* array) {
  const int number = py::detail::array_descriptor1_proxy(py::detail::array_proxy(array)->descr)->type_num;
  if (number == Api::NPY_LONG_) return sizeof(long) == 8 ? DType::int64 : DType::int32;
  if (number == Api::NPY_LONGLONG_) return DType::int64;
  for (int i = 0; i < kDTypes; ++i)
    if (const DType dtype = static_cast<DType>(i); numpy_type(dtype) == number) return dtype;
  Object type(expect(PyObject_GetAttrString(array, "dtype"))), name(expect(PyObject_Str(type.get())));
  fail<TypeError>("from_numpy: can't convert an array of type ", PyUnicode_AsUTF8(name.get()),
                  "; supported are complex128, complex64, float64, float32, float16, int64, int32, int16, int8, uint8 and bool");
}

constexpr int kWriteable = 0x0400;

}  // namespace

bool is_array(PyObject* o) {
  for (PyTypeObject* type = Py_TYPE(o); type; type = type->tp_base)
    if (!std::strcmp(type->tp_name, "numpy.ndarray")) return true;
  return false;
}

bool is_numpy_scalar(PyObject* o) { return !std::strncmp(Py_TYPE(o)->tp_name, "numpy.", 6) && is_number(o); }

Object as_array(PyObject* o) {
  Object numpy(expect(PyImport_ImportModule("numpy")));
  Object array(expect(PyObject_CallMethod(numpy.get(), "asarray", "O", o)));
  check_type(is_array(array.get()), "tensor: ", Py_TYPE(o)->tp_name, " did not give a numpy array");
  return array;
}

Tensor from_array(PyObject* array, bool for_reading) {
  check_type(is_array(array), "from_numpy: expected np.ndarray (got ", Py_TYPE(array)->tp_name, ")");
  const DType dtype = dtype_of_array(array);
  const auto* a = py::detail::array_proxy(array);
  const char order = py::detail::array_descriptor1_proxy(a->descr)->byteorder;
  check_value(order != (std::endian::native == std::endian::little ? '>' : '<'),
              "from_numpy: given numpy array has byte order different from the native byte order. "
              "Conversion between byte orders is currently not supported.");
  if (!(a->flags & kWriteable) && !for_reading &&
      PyErr_WarnEx(PyExc_UserWarning,
                   "from_numpy: the array is not writable and a tensor can't be: writing to the tensor would change "
                   "the array. Copy the array first, or don't write.",
                   1) < 0)
    throw PythonException();
  Dims sizes, strides;
  int64_t extent = 1;  // elements from the first to the last
  for (int d = 0; d < a->nd; ++d) {
    const int64_t size = a->dimensions[d], step = a->strides[d];
    check_value(step >= 0 || size <= 1, "from_numpy: at least one stride of the array is negative (", step,
                "), and tensors with negative strides are not supported. Make a copy with array.copy().");
    check_value(step % item_size(dtype) == 0 || size <= 1,
                "from_numpy: the array's strides are not a multiple of the element byte size. Copy the numpy array to "
                "reallocate the memory.");
    sizes.push_back(size);
    strides.push_back(size <= 1 ? 1 : step / item_size(dtype));
    extent = size == 0 || extent == 0 ? 0 : extent + (size - 1) * strides[d];
  }
  if (sizes.numel() == 0) strides = contiguous_strides(sizes);
  Ref<Storage> storage = Storage::borrow(a->data, static_cast<size_t>(extent * item_size(dtype)), Device{},
                                         release_object, Py_NewRef(array));
  return make_tensor(std::move(storage), sizes, strides, 0, dtype);
}

PyObject* to_array(const Tensor& x, bool force) {
  if (force) {
    Tensor plain = to_device(detach(x), Device{});
    return to_array(plain, false);
  }
  check(!x.requires_grad() || !grad_enabled(),
        "numpy: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
  check_type(x.device().is_cpu(), "numpy: can't convert ", device_name(x.device()),
             " device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.");
  const int type = numpy_type(x.dtype());
  check_type(type >= 0, "numpy: numpy has no ", x.dtype(), "; convert the tensor first, e.g. with .float()");
  const Api& api = Api::get();
  Py_intptr_t sizes[kMaxDims], strides[kMaxDims];
  for (int d = 0; d < x.dim(); ++d) sizes[d] = x.sizes()[d], strides[d] = x.strides()[d] * x.item_size();
  const bool empty = x.numel() == 0;  // numpy then has memory of its own
  PyObject* array = expect(api.PyArray_NewFromDescr_(api.PyArray_Type_, api.PyArray_DescrFromType_(type),
                                                     static_cast<int>(x.dim()), sizes, empty ? nullptr : strides,
                                                     empty ? nullptr : x.data(), empty ? 0 : kWriteable, nullptr));
  if (!empty) {
    x->storage->lend();
    if (api.PyArray_SetBaseObject_(array, wrap(x)) < 0) throw PythonException();
  }
  return array;
}

}  // namespace tessel::python
