// Copies and conversions: between layouts, dtypes and devices.
#include <cstring>

#include "core/parallel.h"
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

// Both on devices a kernel can reach: any dtypes, any strides, x broadcast.
void copy_elements(const char* name, const Tensor& y, const Tensor& x) {
  if (y.numel() == 0) return;
  if (is_complex(x.dtype()) && !is_complex(y.dtype())) {  // the imaginary parts are dropped, but for the question of truth
    NoGrad no_grad;
    return copy_elements(name, y, y.dtype() == DType::bool_ ? ne(detach(x), wrapped_number(0)) : select(alias_as_real(x), -1, 0));
  }
  if (is_complex(y.dtype()) && y.dtype() != x.dtype()) rare_kernels(name, y);
  bool to_bool = y.dtype() == DType::bool_ && x.dtype() != DType::bool_;
  DType compute = compute_type(to_bool || is_floating(x.dtype()) ? x.dtype() : promote(x.dtype(), y.dtype()));
  if (is_floating(x.dtype()) && is_integral(y.dtype()) && item_size(y.dtype()) == 8) compute = DType::float64;
  run(name, y, y.numel(), kernels(y).unary, Unary::copy, plan({&y, &x}), compute, Params{});
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (bytes == 0) return;
  if (to_device.is_cpu() && from_device.is_cpu()) std::memcpy(to, from, bytes);
  else cuda_kernels().copy_bytes(to, to_device.is_cuda(), from, from_device.is_cuda(), bytes);
}

static void copy_across(const Tensor& y, const Tensor& x) {
  Tensor source = contiguous(to_dtype(x, y.dtype()));
  if (!(source.sizes() == y.sizes())) source = contiguous(expand(source, y.sizes()));
  Tensor target = y.is_contiguous() ? y : empty(y.sizes(), y.dtype(), y.device());
  copy_bytes(target.data(), y.device(), source.data(), x.device(), target.numel() * target.item_size());
  if (!y.is_contiguous()) copy_elements("copy_", y, target);
}

Tensor& copy_(Tensor& y, const Tensor& x) {
  check(broadcast("copy_", y.sizes(), x.sizes()) == y.sizes(), "copy_: The expanded size of the tensor ", y.sizes(), " must match the existing size ", x.sizes());
  check_inplace("copy_", y);
  if (y.is_same(x)) return y;
  Tensor source = may_overlap(y, x) ? clone(detach(x)) : x;
  if (y.device() == x.device()) copy_elements("copy_", y, source);
  else copy_across(y, source);
  y.bump_version("copy_");
  if (Node* node = wants_grad({y, x}) ? record_inplace("copy_", y, {y, x}) : nullptr)
    node->backward = [](const Tensor& dy, Needs needs) -> Grads {
      return {needs[0] ? zeros(dy.sizes(), dy.dtype(), dy.device()) : Tensor(), needs[1] ? dy : Tensor()};
    };
  return y;
}

Tensor& fill_(Tensor& y, const Tensor& value) {
  check(value.dim() == 0, "fill_: fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(), " dimensions.");
  return copy_(y, value);
}

// Bytes set to zero, a megabyte a piece: the C library knows the fastest way there is.
static void clear(void* data, int64_t bytes) {
  Unlocked unlocked(bytes / 16);
  parallel_for(bytes, 1 << 20, [](void* context, int64_t begin, int64_t end, int) {
    std::memset(static_cast<char*>(context) + begin, 0, static_cast<size_t>(end - begin));
  }, data);
}

Tensor& zero_(Tensor& y) {
  if (!y.device().is_cpu() || !dense(y) || wants_grad({y})) return copy_(y, wrapped_number(Scalar(0)));
  check_inplace("zero_", y);
  if (y.numel()) clear(y.data(), y.numel() * y.item_size());
  y.bump_version("zero_");
  return y;
}

static Tensor copied(const char* name, const Tensor& x, Tensor y) {
  if (x.device() == y.device()) copy_elements(name, y, x);
  else copy_across(y, x);
  if (Node* node = record(name, y, {x}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {dy}; };  // the engine converts dtype and device back
  return y;
}

Tensor clone(const Tensor& x) { return copied("clone", x, empty_like(x)); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : copied("contiguous", x, empty(x.sizes(), x.dtype(), x.device())); }
// A Python number becomes a tensor like others, also where its dtype stays.
Tensor to_dtype(const Tensor& x, DType dtype) { return x.dtype() == dtype && !x->wrapped_number ? x : copied("to", x, empty_result(x.sizes(), dtype, x)); }
Tensor to_device(const Tensor& x, Device device) {
  if (device.is_cuda() && device.index < 0) device.index = 0;
  return x.device() == device ? x : copied("to", x, empty(x.sizes(), x.dtype(), device));
}

Tensor clone(const Tensor& x, MemoryFormat format) { return copied("clone", x, empty_like(x, x.dtype(), x.device(), format)); }

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.is_contiguous() && format == MemoryFormat::preserve) return x;
  check(format != MemoryFormat::preserve, "contiguous: preserve memory format is unsupported by the contiguous operator");
  return has_format(x, format) ? x : copied("contiguous", x, empty_like(x, x.dtype(), x.device(), format));
}

Tensor to(const Tensor& x, DType dtype, Device device, bool copy, MemoryFormat format) {
  if (device.is_cuda() && device.index < 0) device.index = 0;
  const bool same = x.dtype() == dtype && x.device() == device && (format == MemoryFormat::preserve || has_format(x, format));
  return same && !copy ? x : copied("to", x, empty_like(x, dtype, device, format));
}

Scalar item(const Tensor& x) {
  check(x.numel() == 1, "item: a Tensor with ", x.numel(), " elements cannot be converted to Scalar");
  Tensor y = x.device().is_cpu() ? x : to_device(detach(x), Device{});
  const void* p = y.data();
  switch (y.dtype()) {
    case DType::bool_: return Scalar(*static_cast<const bool*>(p));
    case DType::uint8: return Scalar(int64_t(*static_cast<const uint8_t*>(p)));
    case DType::int8: return Scalar(int64_t(*static_cast<const int8_t*>(p)));
    case DType::int16: return Scalar(int64_t(*static_cast<const int16_t*>(p)));
    case DType::int32: return Scalar(int64_t(*static_cast<const int32_t*>(p)));
    case DType::int64: return Scalar(*static_cast<const int64_t*>(p));
    case DType::float32: return Scalar(double(*static_cast<const float*>(p)));
    case DType::float64: return Scalar(*static_cast<const double*>(p));
    case DType::complex64: return Scalar(std::complex<double>(*static_cast<const std::complex<float>*>(p)));
    case DType::complex128: return Scalar(*static_cast<const std::complex<double>*>(p));
    default: return item(to_dtype(detach(y), DType::float32));
  }
}

}  // namespace tessel
