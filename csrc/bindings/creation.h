// The keywords that every creation op has, and what they do. ops_creation.cpp and ops_random.cpp use it.
#pragma once
#include "bindings/registry.h"
#include "bindings/types.h"

namespace tessel::python {

// name(own, *, out, dtype, layout, device, pin_memory, requires_grad); pinning is for copies to a GPU and has no meaning here.
constexpr const char* kOptions = "Tensor? out=None, dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False";
// The same for tensors made after another.
constexpr const char* kLikeOptions = "dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False";

// Signatures made at import live as long as the process.
inline const char* with_options(const char* own, const char* options = kOptions) {
  std::string_view text(own);
  const bool keyword_only = text.find("*,") != text.npos;
  return (new std::string(std::string(text) + (keyword_only ? ", " : ", *, ") + options + ") -> Tensor"))->c_str();
}

inline Tensor finished(const char* op, const Tensor& y, bool requires_grad) {
  if (requires_grad) {
    check(is_floating(y.dtype()), op, ": Only Tensors of floating point and complex dtype can require gradients, got ", y.dtype());
    set_requires_grad(y, true);
  }
  return y;
}

// make(dtype, device), into out= where there is one.
template <class Make>
Tensor made(const char* op, const Tensor& out, std::optional<DType> dtype, DType otherwise, PyObject* layout, std::optional<Device> device, bool requires_grad, Make make) {
  check_layout(op, layout);
  if (out.defined()) {
    check(!dtype || *dtype == out.dtype(), op, ": dtype ", dtype.value_or(otherwise), " does not match dtype of out parameter (", out.dtype(), ")");
    check(!device || *device == out.device(), op, ": device ", device_name(device.value_or(Device{})), " does not match device of out parameter (", device_name(out.device()), ")");
    Tensor y = make(out.dtype(), out.device());
    resize_for_out(op, out, y.sizes());
    NoGrad no_grad;
    copy_(Tensor(out), y);
    return out;
  }
  const DType type = dtype.value_or(otherwise);
  if (is_complex(type)) fail<NotImplementedError>(op, ": complex tensors are not there yet (", type, ")");
  return finished(op, make(type, device ? *device : default_device()), requires_grad);
}

}  // namespace tessel::python
