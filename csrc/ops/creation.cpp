// Tensors out of nothing.
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

static Device resolve(Device device) {
  if (device.is_cuda() && device.index < 0) device.index = 0;
  return device;
}

static Tensor fresh(const Dims& sizes, const Dims& strides, int64_t extent, DType dtype, Device device) {
  Tensor y = make_tensor(Storage::allocate(static_cast<size_t>(extent) * item_size(dtype), resolve(device)), sizes, strides, 0, dtype);
  y->inference = inference_enabled();
  return y;
}

static void check_sizes(const char* op, const Dims& sizes, DType dtype) {
  int64_t bytes = item_size(dtype);
  for (int64_t n : sizes) {
    check(n >= 0, op, ": Trying to create tensor with negative dimension ", n, ": ", sizes);
    check(!__builtin_mul_overflow(bytes, n > 0 ? n : 1, &bytes), op, ": Storage size calculation overflowed with sizes=", sizes);
  }
}

Tensor empty(const Dims& sizes, DType dtype, Device device) {
  check_sizes("empty", sizes, dtype);
  return fresh(sizes, contiguous_strides(sizes), sizes.numel(), dtype, device);
}

Tensor empty_strided(const Dims& sizes, const Dims& strides, DType dtype, Device device) {
  check_sizes("empty_strided", sizes, dtype);
  check(sizes.size() == strides.size(), "empty_strided: dimensionality of sizes (", sizes.size(), ") must match dimensionality of strides (", strides.size(), ")");
  int64_t extent = sizes.numel() == 0 ? 0 : 1;
  for (int d = 0; extent && d < sizes.size(); ++d) {
    check(strides[d] >= 0, "empty_strided: negative strides are not supported: ", strides);
    extent += (sizes[d] - 1) * strides[d];
  }
  return fresh(sizes, strides, extent, dtype, device);
}

Tensor zeros(const Dims& sizes, DType dtype, Device device) {
  Tensor y = empty(sizes, dtype, device);
  return zero_(y);
}

Tensor full(const Dims& sizes, Scalar value, DType dtype, Device device) {
  Tensor y = empty(sizes, dtype, device);
  return fill_(y, wrapped_number(value));
}

Tensor ones(const Dims& sizes, DType dtype, Device device) { return full(sizes, Scalar(1), dtype, device); }

// A number's bytes in a dtype that can hold it exactly.
static void store(void* p, Scalar value, DType dtype) {
  switch (dtype) {
    case DType::bool_: *static_cast<bool*>(p) = value.as_int() != 0; break;
    case DType::int64: *static_cast<int64_t*>(p) = value.as_int(); break;
    case DType::float64: *static_cast<double*>(p) = value.as_double(); break;
    case DType::float32: *static_cast<float*>(p) = static_cast<float>(value.as_double()); break;
    default: *static_cast<std::complex<double>*>(p) = value.as_complex(); break;
  }
}

Tensor wrapped_number(Scalar value) {
  DType dtype = value.dtype();
  Tensor y = make_tensor(Storage::allocate(item_size(dtype), Device{}), {}, {}, 0, dtype);
  store(y.data(), value, dtype);
  y->wrapped_number = true;
  return y;
}

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device) {
  (void)start, (void)end, (void)step, (void)dtype, (void)device;
  fail<NotImplementedError>("arange");
}

Tensor scalar_tensor(Scalar value, DType dtype, Device device) { return full({}, value, dtype, device); }

}  // namespace tessel
