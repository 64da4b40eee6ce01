// The keywords that every creation op has, and what they do. ops_creation.cpp and ops_random.cpp use it. Errors get the
// op's name where it was called (registry.cpp).
#pragma once
#include "bindings/registry.h"
#include "bindings/types.h"

namespace tessel::python {

// Pinned memory is for copies to a GPU and has no meaning here.
constexpr const char* kOptions =
    "Tensor? out=None, dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, "
    "bool requires_grad=False";
struct Options {
  Tensor out;
  std::optional<DType> dtype;
  std::optional<Device> device;
  bool requires_grad = false;
};

// Of a tensor made after another, x.new_zeros(...).
constexpr const char* kNewOptions =
    "dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False";
struct NewOptions : Options {};

// Of a tensor that also takes another's sizes and its order in memory, zeros_like(x, ...).
constexpr const char* kLikeOptions =
    "dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False, "
    "object memory_format=None";
struct LikeOptions : Options {
  MemoryFormat format = MemoryFormat::preserve;
};

template <> constexpr size_t kSlots<Options> = 6;
template <> constexpr size_t kSlots<NewOptions> = 5;
template <> constexpr size_t kSlots<LikeOptions> = 6;

// dtype, layout, device, pin_memory, requires_grad
inline Options cast_options(Arguments slots) {
  check_layout(slots[1]);
  return {
      {}, Cast<std::optional<DType>>::from(slots[0]), Cast<std::optional<Device>>::from(slots[2]), slots[4] == Py_True};
}
template <> struct Cast<Options> {
  static Options from(Arguments slots) {
    Options options = cast_options(slots + 1);
    options.out = Cast<Tensor>::from(slots[0]);
    return options;
  }
};
template <> struct Cast<NewOptions> {
  static NewOptions from(Arguments slots) { return {cast_options(slots)}; }
};
template <> struct Cast<LikeOptions> {
  static LikeOptions from(Arguments slots) {
    return {cast_options(slots), to_memory_format(slots[5], MemoryFormat::preserve)};
  }
};

// "zeros(int[*] size" with the options behind it. Signatures made at import live as long as the process.
inline const char* with(const char* options, std::string_view own) {
  const bool keyword_only = own.find("*,") != own.npos;
  return (new std::string(std::string(own) + (keyword_only ? ", " : ", *, ") + options + ") -> Tensor"))->c_str();
}

inline Tensor finished(const Tensor& y, bool requires_grad) {
  if (requires_grad) {
    check(is_floating(y.dtype()) || is_complex(y.dtype()), "Only Tensors of floating point and complex dtype can require gradients, got ",
          y.dtype());
    set_requires_grad(y, true);
  }
  return y;
}

// make(dtype, device), into out= where there is one.
template <class Make> Tensor made(const Options& options, DType otherwise, Make make) {
  if (const Tensor& out = options.out; out.defined()) {
    check(!options.dtype || *options.dtype == out.dtype(), "dtype ", options.dtype.value_or(otherwise),
          " does not match dtype of out parameter (", out.dtype(), ")");
    check(!options.device || *options.device == out.device(), "device ", device_name(options.device.value_or(Device{})),
          " does not match device of out parameter (", device_name(out.device()), ")");
    Tensor y = make(out.dtype(), out.device());
    resize_for_out("out", out, y.sizes());
    NoGrad no_grad;
    copy_(Tensor(out), y);
    return out;
  }
  const DType dtype = options.dtype.value_or(otherwise);
  return finished(make(dtype, options.device ? *options.device : default_device()), options.requires_grad);
}
// Of the default dtype unless told.
template <class Make> Tensor made(const Options& options, Make make) { return made(options, default_dtype(), make); }

// Memory as options say for a tensor like x, which fill(y) then writes.
template <class Fill> Tensor made_like(const Tensor& x, const LikeOptions& options, Fill fill) {
  const DType dtype = options.dtype.value_or(x.dtype());
  Tensor y = empty_like(x, dtype, options.device.value_or(x.device()), options.format);
  {
    NoGrad no_grad;
    fill(y);
  }
  return finished(y, options.requires_grad);
}

}  // namespace tessel::python
