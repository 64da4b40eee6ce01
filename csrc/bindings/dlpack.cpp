// DLPack, the common way from one array library to another without a copy: https://dmlc.github.io/dlpack. Its
// structures stand here as the specification gives them, in the form of before and after version 1.0.
#include <memory>

#include "bindings/interop.h"

namespace tessel::python {

namespace {

constexpr int32_t kCpu = 1, kCuda = 2, kCudaHost = 3, kCudaManaged = 13;
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };
constexpr uint64_t kCopied = 2;

struct DLDevice {
  int32_t type, index;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* sizes;
  int64_t* strides;  // in elements; null: C order
  uint64_t byte_offset;
};
struct Unversioned {
  DLTensor tensor;
  void* context;
  void (*deleter)(Unversioned*);
};
struct Versioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(Versioned*);
  uint64_t flags;
  DLTensor tensor;
};

template <class Managed> constexpr const char* kName = "dltensor";
template <> constexpr const char* kName<Versioned> = "dltensor_versioned";
template <class Managed> constexpr const char* kUsed = "used_dltensor";
template <> constexpr const char* kUsed<Versioned> = "used_dltensor_versioned";

DLDataType to_dl(DType dtype) {
  const auto bits = static_cast<uint8_t>(8 * item_size(dtype));
  const Code code = dtype == DType::bool_      ? kBool
                    : dtype == DType::uint8    ? kUInt
                    : dtype == DType::bfloat16 ? kBfloat
                    : is_floating(dtype)       ? kFloat
                    : is_complex(dtype)        ? kComplex
                                               : kInt;
  return {code, bits, 1};
}

DType from_dl(DLDataType type) {
  for (int i = 0; i < kDTypes; ++i) {
    const DLDataType known = to_dl(static_cast<DType>(i));
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) return static_cast<DType>(i);
  }
  fail<RuntimeError>("from_dlpack: unsupported element type (code ", type.code, ", ", type.bits, " bits, ", type.lanes,
                     " lanes)");
}

DLDevice device_of(const Tensor& x) {
  return {x.device().is_cuda() ? kCuda : kCpu, x.device().is_cuda() ? x.device().index : 0};
}

// ---- export

template <class Managed> struct Exported {
  Managed managed;
  Tensor tensor;
  int64_t sizes[kMaxDims], strides[kMaxDims];
};

// Called by the importer, on whatever thread.
template <class Managed> void delete_exported(Managed* managed) {
  if (!Py_IsInitialized()) return;
  PyGILState_STATE state = PyGILState_Ensure();
  delete static_cast<Exported<Managed>*>(managed->context);
  PyGILState_Release(state);
}

template <class Managed> void drop_capsule(PyObject* capsule) {  // nobody has taken it
  if (!PyCapsule_IsValid(capsule, kName<Managed>)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kName<Managed>));
  if (managed->deleter) managed->deleter(managed);
}

template <class Managed> PyObject* export_as(const Tensor& x, bool copied) {
  auto owner = std::make_unique<Exported<Managed>>();
  Managed& m = owner->managed;
  m = {};
  owner->tensor = detach(x);
  for (int d = 0; d < x.dim(); ++d)
    owner->sizes[d] = x.sizes()[d], owner->strides[d] = x.sizes()[d] <= 1 ? 1 : x.strides()[d];
  m.tensor = {x.numel() ? x.data() : nullptr,
              device_of(x),
              static_cast<int32_t>(x.dim()),
              to_dl(x.dtype()),
              owner->sizes,
              owner->strides,
              0};
  m.context = owner.get();
  m.deleter = delete_exported<Managed>;
  if constexpr (std::is_same_v<Managed, Versioned>) {
    m.major = 1, m.minor = 0;
    m.flags = copied ? kCopied : 0;
  }
  x->storage->lend();
  PyObject* capsule = expect(PyCapsule_New(&m, kName<Managed>, drop_capsule<Managed>));
  owner.release();
  return capsule;
}

// ---- import

template <class Managed> void release_managed(void* p) {
  auto* managed = static_cast<Managed*>(p);
  if (!managed->deleter) return;
  if (!Py_IsInitialized()) return;
  PyGILState_STATE state = PyGILState_Ensure();
  managed->deleter(managed);
  PyGILState_Release(state);
}

Device imported_device(DLDevice device) {
  if (device.type == kCpu || device.type == kCudaHost) return Device{};
  check(device.type == kCuda || device.type == kCudaManaged, "from_dlpack: unsupported device type ", device.type);
  return Device{DeviceType::cuda, static_cast<int8_t>(device.index)};
}

template <class Managed> Tensor import_as(PyObject* capsule) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kName<Managed>));
  if (!managed) throw PythonException();
  if constexpr (std::is_same_v<Managed, Versioned>)
    if (managed->major != 1) {
      PyErr_Format(PyExc_BufferError, "from_dlpack: version %u.%u is not understood, only 1.x", managed->major,
                   managed->minor);
      throw PythonException();
    }
  const DLTensor& t = managed->tensor;
  const DType dtype = from_dl(t.dtype);
  const Device device = imported_device(t.device);
  Dims sizes(std::span<const int64_t>(t.sizes, static_cast<size_t>(t.ndim)));
  Dims strides =
      t.strides ? Dims(std::span<const int64_t>(t.strides, static_cast<size_t>(t.ndim))) : contiguous_strides(sizes);
  int64_t extent = sizes.numel() == 0 ? 0 : 1;
  for (int d = 0; d < sizes.size(); ++d) {
    check_value(strides[d] >= 0 || sizes[d] <= 1, "from_dlpack: negative strides are not supported (", strides,
                "); make a copy first");
    if (sizes[d] <= 1) strides[d] = 1;
    if (extent) extent += (sizes[d] - 1) * strides[d];
  }
  if (extent == 0) strides = contiguous_strides(sizes);
  check_value(PyCapsule_SetName(capsule, kUsed<Managed>) == 0, "from_dlpack: the capsule can't be taken");
  Ref<Storage> storage =
      Storage::borrow(static_cast<char*>(t.data) + t.byte_offset, static_cast<size_t>(extent * item_size(dtype)),
                      device, release_managed<Managed>, managed);
  return make_tensor(std::move(storage), sizes, strides, 0, dtype);
}

}  // namespace

Tensor from_dlpack(PyObject* source) {
  Object capsule = Object::share(source);
  if (!PyCapsule_CheckExact(source)) {
    Object method(PyObject_GetAttrString(source, "__dlpack__"));
    if (!method) {
      PyErr_Clear();
      fail<RuntimeError>("from_dlpack: expected a capsule or an object with __dlpack__, got ",
                         Py_TYPE(source)->tp_name);
    }
    Object nothing(expect(PyTuple_New(0))), options(expect(Py_BuildValue("{s:(ii)}", "max_version", 1, 0)));
    capsule = Object(PyObject_Call(method.get(), nothing.get(), options.get()));
    if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {  // from before version 1.0
      PyErr_Clear();
      capsule = Object(PyObject_CallNoArgs(method.get()));
    }
    expect(capsule.get());
  }
  if (PyCapsule_IsValid(capsule.get(), kName<Versioned>)) return import_as<Versioned>(capsule.get());
  check(PyCapsule_IsValid(capsule.get(), kName<Unversioned>),
        "from_dlpack: the capsule is not a DLPack capsule, or it was consumed already: it can be taken only once");
  return import_as<Unversioned>(capsule.get());
}

PyObject* to_dlpack(const Tensor& x, bool versioned, bool copied) {
  if (x.requires_grad()) {
    PyErr_SetString(PyExc_BufferError, "__dlpack__: Can't export tensors that require gradient, use tensor.detach()");
    throw PythonException();
  }
  return versioned ? export_as<Versioned>(x, copied) : export_as<Unversioned>(x, copied);
}

PyObject* dlpack_device(const Tensor& x) {
  const DLDevice device = device_of(x);
  return expect(Py_BuildValue("(ii)", device.type, device.index));
}

}  // namespace tessel::python
