// The memory of what was done. Ops record a Node; its edges point at the nodes of its inputs, never at tensors, so a
// graph keeps alive only what Saved says.
#pragma once
#include <array>
#include <new>
#include <span>
#include <type_traits>

#include "core/tensor.h"

namespace tessel {

// A short list that needs no heap for the usual lengths.
template <class T, int Inline>
class SmallVector {
 public:
  SmallVector() = default;
  SmallVector(std::initializer_list<T> values) {
    for (const T& v : values) push_back(v);
  }
  SmallVector(SmallVector&& o) noexcept : inline_(std::move(o.inline_)), rest_(std::move(o.rest_)), n_(std::exchange(o.n_, 0)) {}
  SmallVector& operator=(SmallVector&& o) noexcept {
    inline_ = std::move(o.inline_);
    rest_ = std::move(o.rest_);
    n_ = std::exchange(o.n_, 0);
    return *this;
  }
  void push_back(T v) {
    if (n_ < Inline) {
      inline_[n_] = std::move(v);
    } else {
      if (n_ == Inline) {
        rest_.reserve(2 * Inline);
        for (T& x : inline_) rest_.push_back(std::move(x));
      }
      rest_.push_back(std::move(v));
    }
    ++n_;
  }
  void clear() {
    for (int i = 0; i < Inline; ++i) inline_[i] = T();
    rest_.clear();
    n_ = 0;
  }
  size_t size() const { return n_; }
  T* data() { return n_ > Inline ? rest_.data() : inline_.data(); }
  const T* data() const { return n_ > Inline ? rest_.data() : inline_.data(); }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + n_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + n_; }

 private:
  std::array<T, Inline> inline_{};
  std::vector<T> rest_;
  size_t n_ = 0;
};

// The gradients of a node's inputs; an undefined tensor stands for zero or "not asked for".
using Grads = SmallVector<Tensor, 3>;

struct Edge {
  Ref<Node> node;
  uint32_t output = 0;
};

// Which input gradients somebody wants.
class Needs {
 public:
  explicit Needs(const Node& node) : node_(node) {}
  bool operator[](size_t input) const;

 private:
  const Node& node_;
};

// A backward function: anything callable as (const Tensor& dy, Needs) -> Grads, or for nodes of several results as
// (std::span<const Tensor> dys, Needs) -> Grads. Kept in place when small.
class Backward {
 public:
  Backward() = default;
  Backward(const Backward&) = delete;
  ~Backward() { reset(); }

  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, Backward>)
  Backward& operator=(F&& f) {
    using Fn = std::decay_t<F>;
    reset();
    if constexpr (sizeof(Fn) <= sizeof(room_) && alignof(Fn) <= alignof(std::max_align_t)) {
      target_ = new (room_) Fn(std::forward<F>(f));
      destroy_ = [](void* p) { static_cast<Fn*>(p)->~Fn(); };
    } else {
      target_ = new Fn(std::forward<F>(f));
      destroy_ = [](void* p) { delete static_cast<Fn*>(p); };
    }
    call_ = [](void* p, std::span<const Tensor> dys, Needs needs) -> Grads {
      if constexpr (std::is_invocable_v<Fn, std::span<const Tensor>, Needs>) return (*static_cast<Fn*>(p))(dys, needs);
      else return (*static_cast<Fn*>(p))(dys[0], needs);
    };
    return *this;
  }
  explicit operator bool() const { return target_ != nullptr; }
  Grads operator()(std::span<const Tensor> dys, Needs needs) { return call_(target_, dys, needs); }
  void reset() {
    if (target_) destroy_(std::exchange(target_, nullptr));
  }

 private:
  alignas(std::max_align_t) std::byte room_[128];
  void* target_ = nullptr;
  void (*destroy_)(void*) = nullptr;
  Grads (*call_)(void*, std::span<const Tensor>, Needs) = nullptr;
};

// What a gradient arriving at a result must look like.
struct ResultInfo {
  Dims sizes;
  DType dtype = DType::float32;
  Device device;
};

struct NodeHooks {  // on the node itself (grad_fn.register_hook, register_prehook, anomaly mode)
  using Post = std::function<void(Grads& inputs, std::span<const Tensor> outputs)>;
  using Pre = std::function<void(std::span<Tensor> outputs)>;
  std::vector<std::pair<int64_t, Post>> post;
  std::vector<std::pair<int64_t, Pre>> pre;
};

struct Node : Counted {
  const char* name;                 // the op's
  uint64_t sequence;                // later nodes run first
  SmallVector<Edge, 3> edges;       // one for each input; a null node where no gradient is wanted
  SmallVector<ResultInfo, 1> results;
  Backward backward;                // emptied once it has run without retain_graph
  bool released = false;            // that has happened
  bool undefined_ok = false;        // accepts undefined tensors for results nobody used (else they arrive as zeros)
  SourceLine line;                  // where it was recorded
  std::unique_ptr<NodeHooks> hooks;
  // For results whose tensors have hooks or retain their gradient: called when the gradient is complete.
  struct Capture {
    int64_t id;
    uint32_t output;
    Grad::Hook hook;
  };
  std::vector<Capture> captures;
  TensorImpl* leaf = nullptr;       // of an accumulator: where to put the gradient (not owned: the leaf owns the node)
  void* wrapper = nullptr;          // the Python object (custom Function nodes), not owned
  std::function<void()> on_release; // drops what bindings attached

  explicit Node(const char* name);
  static void destroy(Node* node);  // without recursion: a graph may be a million nodes deep
  static void* operator new(size_t);
  static void operator delete(void* p);
};

inline bool Needs::operator[](size_t input) const { return static_cast<bool>(node_.edges[input].node); }

// An input kept for backward: unpacking checks that nobody has overwritten it since.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& x);
  Tensor operator()() const;
  explicit operator bool() const { return x_.defined(); }

 private:
  friend class SavedOutput;
  Tensor x_;
  Ref<Node> node_;          // x's history when it was saved
  uint32_t output_ = 0;
  uint32_t version_ = 0;
  bool requires_grad_ = false;
  std::shared_ptr<struct PackedTensor> packed_;  // what saved_tensors_hooks made of it
};

// A result kept for backward. It holds no edge to its own node (that would be a cycle): unpacking, which happens while
// the node runs, restores it, so second-order terms are not lost.
class SavedOutput {
 public:
  SavedOutput() = default;
  explicit SavedOutput(const Tensor& y, uint32_t output = 0);
  Tensor operator()() const;

 private:
  Saved saved_;
  uint32_t output_ = 0;
};

// ---- recording

bool grad_enabled();
void set_grad_enabled(bool enabled);
bool inference_enabled();
void set_inference_enabled(bool enabled);

class GradMode {  // sets the mode and restores it
 public:
  explicit GradMode(bool enabled) : before_(grad_enabled()) { set_grad_enabled(enabled); }
  ~GradMode() { set_grad_enabled(before_); }
  GradMode(const GradMode&) = delete;

 private:
  bool before_;
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};

using Inputs = std::initializer_list<std::reference_wrapper<const Tensor>>;

// Would an op on these inputs be recorded?
bool wants_grad(Inputs inputs);

// Makes y the result of a new node with edges to the inputs, or returns null when nobody wants a gradient. The caller
// then fills in node->backward. Undefined inputs are allowed and want nothing.
Node* record(const char* name, const Tensor& y, Inputs inputs);
Node* record(const char* name, const Tensor& y, std::span<const Tensor> inputs);
Node* record(const char* name, std::span<const Tensor> ys, std::span<const Tensor> inputs);

// The same for an op that has just overwritten x (which must be inputs[0]): rebases x's history, and its base's when x
// is a view. Bump the version before.
Node* record_inplace(const char* name, const Tensor& x, Inputs inputs);
Node* record_inplace(const char* name, const Tensor& x, std::span<const Tensor> inputs);

// To be called before x is overwritten: throws PyTorch's RuntimeError where that would falsify a gradient.
void check_inplace(const char* name, const Tensor& x);

// The node x comes from (regenerated for a view whose base was overwritten), or null; and the edge for a new consumer.
Ref<Node> grad_fn(const Tensor& x);
Edge grad_edge(const Tensor& x);
void set_history(const Tensor& x, Ref<Node> node, uint32_t output);
void set_requires_grad(const Tensor& x, bool requires_grad);
void retain_grad(const Tensor& x);
// A view of x: shares storage and version, knows its base. The caller records its derivative.
Tensor make_view(const Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset, ViewKind kind = ViewKind::plain);
Tensor detach(const Tensor& x);        // shares the version
void detach_(const Tensor& x);
Tensor data(const Tensor& x);          // x.data: a version of its own
void set_data(const Tensor& x, const Tensor& y);

int64_t add_tensor_hook(const Tensor& x, Grad::Hook hook);
void remove_tensor_hook(const Tensor& x, int64_t id);

// While a node runs, the node; null otherwise.
Node* running_node();

// pack/unpack of saved tensors (autograd.graph.saved_tensors_hooks); null when none are active.
struct SavedTensorHooks {
  std::function<std::shared_ptr<void>(const Tensor&)> pack;
  std::function<Tensor(const std::shared_ptr<void>&)> unpack;
};
void push_saved_tensor_hooks(SavedTensorHooks hooks);
void pop_saved_tensor_hooks();

bool anomaly_enabled();
bool anomaly_checks_nan();
void set_anomaly(bool enabled, bool check_nan);

// ---- running

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;
  bool accumulate = true;    // into leaves' .grad; false: only what `inputs` asks for is returned
  bool allow_unused = false;
};
// Runs the graph from roots with their gradients. With `inputs`, only what leads to them is run: accumulated into their
// .grad when options.accumulate, else returned in order (undefined where unused).
std::vector<Tensor> backward(std::span<const Tensor> roots, std::span<const Tensor> gradients, std::span<const Tensor> inputs,
                             const BackwardOptions& options);

}  // namespace tessel
