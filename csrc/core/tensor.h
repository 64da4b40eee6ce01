// What a tensor is: a counted handle on {storage, sizes, strides, offset, dtype} with an optional autograd part.
#pragma once
#include <memory>
#include <vector>

#include "core/dims.h"
#include "core/scalar.h"
#include "core/storage.h"

namespace tessel {

class Tensor;
struct TensorImpl;
struct Node;

// How a view came to be; decides whether it may be written in place.
enum class ViewKind : uint8_t { none, plain, multi_output, no_grad };

// The autograd part of a tensor, made when it is needed.
struct Grad {
  Ref<TensorImpl> grad;
  Ref<Node> node;          // who made the tensor; null for a leaf
  uint32_t output = 0;     // which result of `node` it is
  Ref<Node> accumulator;   // where a leaf's gradients arrive
  bool requires_grad = false;
  std::shared_ptr<TensorImpl*> retained;  // of a result that keeps its gradient: the tensor, for the node that fills it in

  Grad();   // in autograd/node.cpp, where Node is known
  ~Grad();
};

struct TensorImpl : Counted {
  Ref<Storage> storage;
  int64_t offset = 0;  // elements from the storage's start
  int64_t numel = 0;
  Dims sizes, strides;  // strides in elements
  DType dtype = DType::float32;
  Device device;
  bool contiguous = true;       // in C order
  bool wrapped_number = false;  // came from a Python number: yields in type promotion
  bool inference = false;       // made in inference mode: has no version
  ViewKind view_kind = ViewKind::none;
  uint32_t view_version = 0;    // version at which the view's history was made
  Ref<TensorImpl> base;         // of a view: the tensor that owns the history
  Ref<Version> own_version;     // of `.data`; others share the storage's
  std::unique_ptr<Grad> grad;

  void* wrapper = nullptr;      // the Python object, if there is one
  bool owns_wrapper = false;    // it has state of its own and outlives Python's references

  Version& version() const { return own_version ? *own_version : storage->version; }
  void update_layout();         // numel and contiguous from sizes and strides

  static void destroy(TensorImpl* impl);
  static void* operator new(size_t) { return Recycler<sizeof(TensorImpl)>::get(); }
  static void operator delete(void* p) { Recycler<sizeof(TensorImpl)>::put(p); }
  using WrapperDropper = bool (*)(TensorImpl*);  // true when the wrapper has taken the tensor over
  static constinit inline WrapperDropper drop_wrapper = nullptr;  // installed by bindings
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  static Tensor share(TensorImpl* impl) { return Tensor(Ref<TensorImpl>::share(impl)); }

  bool defined() const { return static_cast<bool>(impl_); }
  TensorImpl* impl() const { return impl_.get(); }
  TensorImpl* operator->() const { return impl_.get(); }
  Ref<TensorImpl> ref() const { return impl_; }
  bool is_same(const Tensor& other) const { return impl() == other.impl(); }

  const Dims& sizes() const { return impl_->sizes; }
  const Dims& strides() const { return impl_->strides; }
  int64_t dim() const { return impl_->sizes.size(); }
  int64_t numel() const { return impl_->numel; }
  int64_t size(int64_t d) const { return impl_->sizes[d < 0 ? d + dim() : d]; }
  int64_t stride(int64_t d) const { return impl_->strides[d < 0 ? d + dim() : d]; }
  int64_t offset() const { return impl_->offset; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->device; }
  bool is_contiguous() const { return impl_->contiguous; }
  int64_t item_size() const { return tessel::item_size(impl_->dtype); }
  char* data() const { return static_cast<char*>(impl_->storage->data()) + impl_->offset * item_size(); }
  template <class T>
  T* data_as() const { return reinterpret_cast<T*>(data()); }

  // ---- autograd (autograd/node.h has the rest)
  bool requires_grad() const;      // a leaf that was asked for, or the result of a recorded op
  bool is_leaf() const;
  Tensor grad() const;
  void set_grad(const Tensor& g) const;
  Grad& autograd() const {         // makes the part if there is none
    if (!impl_->grad) impl_->grad = std::make_unique<Grad>();
    return *impl_->grad;
  }
  uint32_t version() const { return impl_->version().value.load(std::memory_order_relaxed); }
  void bump_version(const char* writer) const;

 private:
  Ref<TensorImpl> impl_;
};

// A tensor over an existing storage, without history.
Tensor make_tensor(Ref<Storage> storage, const Dims& sizes, const Dims& strides, int64_t offset, DType dtype);
// The same bytes seen through other sizes and strides, sharing the version; no history, no base.
Tensor alias(const Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset);
inline Tensor alias(const Tensor& x) { return alias(x, x.sizes(), x.strides(), x.offset()); }

DType default_dtype();
void set_default_dtype(DType dtype);

}  // namespace tessel
