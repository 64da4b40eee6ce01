// The memory of what was done. Ops record a Node; its edges point at the nodes of its inputs, never at tensors, so a
// graph keeps alive only what Saved says.
#pragma once
#include <array>
#include <functional>
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

// Which input gradients somebody wants. A pass that asks for chosen inputs names what it does not want by the bits of
// `unwanted`; inputs beyond the 64th are always computed.
class Needs {
 public:
  explicit Needs(const Node& node, uint64_t unwanted = 0) : node_(node), unwanted_(unwanted) {}
  bool operator[](size_t input) const;
  uint64_t unwanted() const { return unwanted_; }

 private:
  const Node& node_;
  uint64_t unwanted_;
};

// How many saved tensors this thread has moved from place to place: a closure in which some arrive has saved something.
inline thread_local constinit uint32_t saved_moves = 0;

// A backward function: anything callable as (const Tensor& dy, Needs) -> Grads, or for nodes of several results as
// (std::span<const Tensor> dys, Needs) -> Grads. Kept in place when small.
//
// When a graph has run and is not retained, its closures let go of what they saved. One that has saved nothing runs
// again; one with a release() of its own decides itself.
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
    uint32_t moves = saved_moves;
    if constexpr (sizeof(Fn) <= sizeof(room_) && alignof(Fn) <= alignof(std::max_align_t)) {
      target_ = new (room_) Fn(std::forward<F>(f));
      destroy_ = [](void* p) { static_cast<Fn*>(p)->~Fn(); };
    } else {
      target_ = new Fn(std::forward<F>(f));
      destroy_ = [](void* p) { delete static_cast<Fn*>(p); };
    }
    if constexpr (requires(Fn& fn) { fn.release(); }) release_ = [](void* p) { static_cast<Fn*>(p)->release(); };
    else release_ = saved_moves == moves ? [](void*) {} : static_cast<void (*)(void*)>(nullptr);
    if constexpr (requires(const Fn& fn) { fn.python_object(); }) object_ = static_cast<Fn*>(target_)->python_object();
    call_ = [](void* p, std::span<const Tensor> dys, Needs needs) -> Grads {
      if constexpr (std::is_invocable_v<Fn, std::span<const Tensor>, Needs>) return (*static_cast<Fn*>(p))(dys, needs);
      else return (*static_cast<Fn*>(p))(dys[0], needs);
    };
    return *this;
  }
  explicit operator bool() const { return target_ != nullptr; }
  Grads operator()(std::span<const Tensor> dys, Needs needs) { return call_(target_, dys, needs); }
  void reset() {
    object_ = nullptr;
    if (target_) destroy_(std::exchange(target_, nullptr));
  }
  void release() {
    if (target_ && release_) release_(target_);
    else reset();
  }
  void* python_object() const { return object_; }  // held by the closure; for Python's garbage collector

 private:
  alignas(std::max_align_t) std::byte room_[128];
  void* target_ = nullptr;
  void* object_ = nullptr;
  void (*destroy_)(void*) = nullptr;
  void (*release_)(void*) = nullptr;
  Grads (*call_)(void*, std::span<const Tensor>, Needs) = nullptr;
};

// What a gradient arriving at a result must look like.
struct ResultInfo {
  Dims sizes;
  DType dtype = DType::float32;
  Device device;
};

// A function somebody registered. Lists hold it shared: one that removes itself lives until it returns.
template <class Signature>
struct Hook {
  int64_t id;
  std::function<Signature> call;
  void* object = nullptr;  // the Python object in it, for the garbage collector
  uint32_t output = 0;     // of a hook on a gradient: which result it belongs to
};
template <class Signature>
using Hooks = std::vector<std::shared_ptr<Hook<Signature>>>;

// What is called around a node. The node holds it shared, and the handles that remove a hook hold it weakly.
struct NodeHooks {
  using Gradient = void(Tensor& dy);
  using Before = void(std::span<Tensor> dys);
  using After = void(Grads& dxs, std::span<const Tensor> dys);
  using Accumulated = void(const Tensor& leaf);
  struct Retained {
    uint32_t output;
    std::shared_ptr<TensorImpl*> tensor;  // empties when the tensor dies
  };
  Hooks<Gradient> gradient;        // on the gradient of a result, once it is complete: may replace it
  std::vector<Retained> retained;  // tensors that keep it, as the hooks have left it
  Hooks<Before> before;
  Hooks<After> after;
  Hooks<Accumulated> accumulated;  // of a leaf, after its .grad has changed

  void remove(int64_t id);
};

struct Node : Counted {
  const char* name;                 // the op's
  uint64_t sequence;                // later nodes run first
  SmallVector<Edge, 3> edges;       // one for each input; a null node where no gradient is wanted
  SmallVector<ResultInfo, 1> results;
  Backward backward;                // emptied once it has run without retain_graph
  bool undefined_ok = false;        // accepts undefined tensors for results nobody used (else they arrive as zeros)
  SourceLine line;                  // where it was recorded
  std::shared_ptr<NodeHooks> hooks;
  TensorImpl* leaf = nullptr;       // of an accumulator: where to put the gradient (not owned: the leaf owns the node)
  void* wrapper = nullptr;          // the Python object, not owned

  explicit Node(const char* name);
  static void destroy(Node* node);  // without recursion: a graph may be a million nodes deep
  static void* operator new(size_t);
  static void operator delete(void* p);

  NodeHooks& hook_lists() {
    if (!hooks) hooks = std::make_shared<NodeHooks>();
    return *hooks;
  }
};

inline bool Needs::operator[](size_t input) const {
  return node_.edges[input].node && !(input < 64 && unwanted_ >> input & 1);
}

// An input kept for backward: unpacking checks that nobody has overwritten it since.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& x);
  Saved(const Saved& o) : x_(o.x_), node_(o.node_), output_(o.output_), version_(o.version_), packed_(o.packed_) { saved_moves += static_cast<bool>(*this); }
  Saved(Saved&& o) noexcept : x_(std::move(o.x_)), node_(std::move(o.node_)), output_(o.output_), version_(o.version_), packed_(std::move(o.packed_)) {
    saved_moves += static_cast<bool>(*this);
  }
  Saved& operator=(const Saved&) = default;
  Saved& operator=(Saved&&) = default;
  Tensor operator()() const;
  explicit operator bool() const { return x_.defined() || packed_; }

 private:
  friend class SavedOutput;
  Tensor x_;
  Ref<Node> node_;          // x's history when it was saved
  uint32_t output_ = 0;
  uint32_t version_ = 0;
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

// To be called before x is overwritten: throws PyTorch's RuntimeError where that would falsify a gradient, and brings
// the history of a stale view up to date.
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

// The node where x's gradient arrives, whose hooks are x's: its own, or a leaf's accumulator.
Node& gradient_node(const char* name, const Tensor& x);

// While a node runs, the node; null otherwise.
Node* running_node();
class Running {  // `node`'s closure is being called; nested backward passes restore what was before
 public:
  explicit Running(Node* node);
  ~Running();
  Running(const Running&) = delete;

 private:
  Node* before_;
  size_t unpacked_;
};

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

// The error of a node whose closure has let go of what it saved.
inline constexpr const char* kRanBefore =
    "backward: Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to "
    "backward through the graph a second time or if you need to access saved tensors after calling backward.";

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
