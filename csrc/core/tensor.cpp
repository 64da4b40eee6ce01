// Tensor and Storage: birth, layout, death. Everybody uses it.
#include "core/tensor.h"

#include <cstdlib>

#include "core/allocator.h"
#include "core/error.h"

namespace tessel {

Dims contiguous_strides(const Dims& sizes) {
  Dims strides = sizes;
  int64_t step = 1;
  for (int d = sizes.size() - 1; d >= 0; --d) {
    strides[d] = step;
    step *= sizes[d] > 0 ? sizes[d] : 1;
  }
  return strides;
}

void TensorImpl::update_layout() {
  numel = sizes.numel();
  int64_t step = 1;
  contiguous = true;
  if (numel == 0) return;
  for (int d = sizes.size() - 1; d >= 0; --d) {
    if (sizes[d] == 1) continue;
    if (strides[d] != step) {
      contiguous = false;
      return;
    }
    step *= sizes[d];
  }
}

void TensorImpl::destroy(TensorImpl* impl) {
  if (impl->owns_wrapper && drop_wrapper(impl)) return;
  delete impl;
}

Tensor make_tensor(Ref<Storage> storage, const Dims& sizes, const Dims& strides, int64_t offset, DType dtype) {
  auto* impl = new TensorImpl;
  impl->device = storage->device();
  impl->storage = std::move(storage);
  impl->sizes = sizes;
  impl->strides = strides;
  impl->offset = offset;
  impl->dtype = dtype;
  impl->update_layout();
  return Tensor(Ref<TensorImpl>::adopt(impl));
}

Tensor alias(const Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset) {
  Tensor y = make_tensor(x->storage, sizes, strides, offset, x.dtype());
  y->own_version = x->own_version;
  y->inference = x->inference;
  return y;
}

Tensor Tensor::grad() const { return impl_->grad ? Tensor(impl_->grad->grad) : Tensor(); }
void Tensor::set_grad(const Tensor& g) const { autograd().grad = g.ref(); }

void Tensor::bump_version(const char* writer) const {
  if (impl_->inference) return;
  Version& v = impl_->version();
  v.value.fetch_add(1, std::memory_order_relaxed);
  v.writer = writer;
  v.line = SourceLine::here();
}

static std::atomic<DType> default_dtype_{DType::float32};
DType default_dtype() { return default_dtype_.load(std::memory_order_relaxed); }
void set_default_dtype(DType dtype) {
  check_type(is_floating(dtype), "set_default_dtype: only floating-point types are supported as the default type, got ", dtype);
  default_dtype_.store(dtype, std::memory_order_relaxed);
}

// ---- devices

Device parse_device(std::string_view text) {
  std::string_view kind = text.substr(0, text.find(':'));
  Device device;
  if (kind == "cuda") device.type = DeviceType::cuda;
  else check(kind == "cpu", "device: expected one of cpu, cuda at the start of the device string, got '", std::string(text), "'");
  if (kind.size() < text.size()) {
    std::string digits(text.substr(kind.size() + 1));
    char* end = nullptr;
    long index = std::strtol(digits.c_str(), &end, 10);
    check(!digits.empty() && *end == '\0' && index >= 0 && index < 128, "device: invalid index in '", std::string(text), "'");
    device.index = static_cast<int8_t>(index);
  }
  return device;
}

std::string device_name(Device device) {
  std::string name = device.is_cuda() ? "cuda" : "cpu";
  return device.index < 0 ? name : name + ":" + std::to_string(device.index);
}

}  // namespace tessel
