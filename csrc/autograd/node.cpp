// Recording: nodes, histories, views, saved tensors. Ops use it through node.h.
#include "autograd/node.h"

#include <algorithm>
#include <memory>

#include "ops/complex.h"

namespace tessel {

struct PackedTensor {
  std::shared_ptr<void> value;
  std::shared_ptr<SavedTensorHooks> hooks;
};

namespace {
thread_local constinit bool grad_mode = true;
thread_local constinit bool inference_mode = false;
thread_local constinit bool recording = true;  // gradients are on, and inference mode is not
std::atomic<uint64_t> next_sequence{0};
bool anomaly_mode = false, anomaly_nan = true;
thread_local constinit Node* running = nullptr;
thread_local std::vector<std::shared_ptr<SavedTensorHooks>> saved_hooks;

// While the node of a write into a view runs inside the base's node: what the view is of the base.
struct Slice {
  Node* inner;
  Node* outer;
  Tensor base;  // its sizes and strides
  Portion part;
};
thread_local constinit const Slice* running_slice = nullptr;

// What the running nodes have unpacked: a hook is asked once, however often the closure asks for the tensor.
thread_local std::vector<std::pair<const PackedTensor*, Tensor>> unpacked;
}  // namespace

bool grad_enabled() { return grad_mode; }
void set_grad_enabled(bool enabled) { grad_mode = enabled, recording = grad_mode && !inference_mode; }
bool inference_enabled() { return inference_mode; }
void set_inference_enabled(bool enabled) { inference_mode = enabled, recording = grad_mode && !inference_mode; }
bool anomaly_enabled() { return anomaly_mode; }
bool anomaly_checks_nan() { return anomaly_nan; }
void set_anomaly(bool enabled, bool check_nan) { anomaly_mode = enabled, anomaly_nan = check_nan; }
void push_saved_tensor_hooks(SavedTensorHooks hooks) { saved_hooks.push_back(std::make_shared<SavedTensorHooks>(std::move(hooks))); }
void pop_saved_tensor_hooks() { saved_hooks.pop_back(); }

// ---- nodes

Node::Node(const char* name) : name(name), sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}
void* Node::operator new(size_t) { return Recycler<sizeof(Node)>::get(); }
void Node::operator delete(void* p) { Recycler<sizeof(Node)>::put(p); }

void Node::destroy(Node* node) {
  // Deleting a node releases its inputs' nodes: those only join the list, so the depth of the graph costs no stack.
  static thread_local std::vector<Node*> dying;
  static thread_local bool draining = false;
  dying.push_back(node);
  if (draining) return;
  draining = true;
  while (!dying.empty()) {
    Node* last = dying.back();
    dying.pop_back();
    delete last;
  }
  draining = false;
}

// The graph may still hold the accumulator of a leaf that is gone: what arrives there is dropped.
Grad::Grad() = default;
Grad::~Grad() {
  if (accumulator) accumulator->leaf = nullptr;
  if (retained) *retained = nullptr;
}

Node* running_node() { return running; }
Running::Running(Node* node) : before_(running), unpacked_(unpacked.size()) { running = node; }
Running::~Running() {
  running = before_;
  unpacked.resize(unpacked_);
}

// ---- histories

bool Tensor::requires_grad() const {
  const TensorImpl* x = impl_.get();
  if (x->grad && (x->grad->requires_grad || x->grad->node)) return true;
  return x->base && x->base->grad && (x->base->grad->requires_grad || x->base->grad->node) && grad_fn(*this);
}

bool Tensor::is_leaf() const { return !grad_fn(*this); }

Ref<Node> grad_fn(const Tensor& x) {
  TensorImpl* impl = x.impl();
  if (impl->base && impl->view_version != x.version()) {
    // The base (or this view) was written since the history was made: what the view is now is a part of the base.
    Tensor base(impl->base);
    if (base.requires_grad() && impl->view_kind != ViewKind::no_grad) {
      auto node = Ref<Node>::adopt(new Node("as_strided"));
      node->edges.push_back(grad_edge(base));
      node->results.push_back({x.sizes(), x.dtype(), x.device()});
      node->line = SourceLine::here();
      node->backward = part_derivative(base, {x.dtype(), x.sizes(), x.strides(), x.offset()});
      set_history(x, std::move(node), 0);
    }
    impl->view_version = x.version();
  }
  return impl->grad ? impl->grad->node : Ref<Node>();
}

Edge grad_edge(const Tensor& x) {
  if (Ref<Node> node = grad_fn(x)) return {std::move(node), x->grad->output};
  if (!x->grad || !x->grad->requires_grad) return {};
  Grad& grad = *x->grad;
  if (!grad.accumulator) {
    auto node = Ref<Node>::adopt(new Node("AccumulateGrad"));
    node->sequence = UINT64_MAX;  // gradients are put away as soon as they are complete
    node->leaf = x.impl();
    node->results.push_back({x.sizes(), x.dtype(), x.device()});
    grad.accumulator = std::move(node);
  }
  return {grad.accumulator, 0};
}

void set_history(const Tensor& x, Ref<Node> node, uint32_t output) {
  Grad& grad = x.autograd();
  if (grad.retained) [[unlikely]] {  // .grad belongs to what the tensor is now
    if (grad.node && grad.node->hooks) std::erase_if(grad.node->hooks->retained, [&](const auto& r) { return r.tensor == grad.retained; });
    node->hook_lists().retained.push_back({output, grad.retained});
  }
  grad.node = std::move(node);
  grad.output = output;
  x->view_version = x.version();
}

void set_requires_grad(const Tensor& x, bool requires_grad) {
  check(!(requires_grad && x->inference && !inference_mode), "requires_grad_: Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  if (requires_grad)
    check(is_floating(x.dtype()) || is_complex(x.dtype()), "requires_grad_: only tensors of floating point and complex dtype can require gradients, this one is ", x.dtype());
  if (!x.is_leaf()) {
    check(requires_grad, "requires_grad_: you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
          "in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    return;
  }
  if (!requires_grad && !x->grad) return;
  x.autograd().requires_grad = requires_grad;
}

template <class List>
static bool any_requires_grad(const List& inputs) {
  for (const Tensor& x : inputs)
    if (x.defined() && (x->grad || x->base) && x.requires_grad()) return true;
  return false;
}

bool wants_grad(Inputs inputs) { return recording && any_requires_grad(inputs); }

template <class List>
static Ref<Node> new_node(const char* name, const List& inputs) {
  SmallVector<Edge, 3> edges;  // first, as asking for them may make nodes: what is made later runs earlier
  for (const Tensor& x : inputs) edges.push_back(x.defined() ? grad_edge(x) : Edge{});
  auto node = Ref<Node>::adopt(new Node(name));
  node->edges = std::move(edges);
  node->line = SourceLine::here();
  return node;
}

static bool differentiable(const Tensor& y) { return is_floating(y.dtype()) || is_complex(y.dtype()); }

template <class List>
static Node* record_one(const char* name, const Tensor& y, const List& inputs) {
  if (!recording || !any_requires_grad(inputs) || !differentiable(y)) return nullptr;
  Ref<Node> node = new_node(name, inputs);
  Node* raw = node.get();
  node->results.push_back({y.sizes(), y.dtype(), y.device()});
  set_history(y, std::move(node), 0);
  return raw;
}

Node* record(const char* name, const Tensor& y, Inputs inputs) { return record_one(name, y, inputs); }
Node* record(const char* name, const Tensor& y, std::span<const Tensor> inputs) { return record_one(name, y, inputs); }

Node* record(const char* name, std::span<const Tensor> ys, std::span<const Tensor> inputs) {
  if (!recording || !any_requires_grad(inputs)) return nullptr;
  Ref<Node> node = new_node(name, inputs);
  uint32_t output = 0;
  for (const Tensor& y : ys) {
    node->results.push_back({y.sizes(), y.dtype(), y.device()});
    if (differentiable(y)) set_history(y, node, output);
    ++output;
  }
  return node.get();
}

// ---- in-place writes

static bool overlaps_itself(const Tensor& x) {
  for (int64_t d = 0; d < x.dim(); ++d)
    if (x.size(d) > 1 && x.stride(d) == 0) return true;
  return false;
}

void check_inplace(const char* name, const Tensor& x) {
  check(!overlaps_itself(x), name, ": unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
        "Please clone() the tensor before performing the operation.");
  if (x->inference) {
    check(inference_mode, name, ": Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal tensor before doing inplace update.");
    return;
  }
  if (!recording) return;
  if (x->base) {
    grad_fn(x);
    Tensor base(x->base);
    check(!(base.requires_grad() && base.is_leaf()), name, ": a view of a leaf Variable that requires grad is being used in an in-place operation.");
    if (x->view_kind == ViewKind::multi_output) {
      Ref<Node> node = grad_fn(x);
      check(!node && !base.requires_grad(), name, ": Output ", x->grad ? x->grad->output : 0, " of ", node ? node->name : "a multi-output op",
            " is a view and is being modified inplace. This view is the output of a function that returns multiple views. "
            "Such functions do not allow the output views to be modified inplace. You should replace the inplace operation by an out-of-place one.");
    }
    check(x->view_kind != ViewKind::no_grad || !base.requires_grad(), name, ": A view was created in no_grad mode and is being modified inplace with grad mode enabled. "
          "Given that this use case is ambiguous and error-prone, it is forbidden. Make the view inside or the write under no_grad.");
  }
  check(!(x->grad && x->grad->requires_grad && !x->grad->node && !(x->base && grad_fn(x))), name, ": a leaf Variable that requires grad is being used in an in-place operation.");
}

// How far the last element lies from the first.
static int64_t reach(const Dims& sizes, const Dims& strides) {
  int64_t distance = 0;
  for (int d = 0; d < sizes.size(); ++d) distance += std::max<int64_t>(sizes[d] - 1, 0) * strides[d];
  return distance;
}

// The derivative of a base of which a view was overwritten: outside the view the gradient passes, inside it goes through
// the node of the write.
struct SliceBackward {
  Ref<Node> inner;
  Portion portion;
  Dims base_strides;

  Grads operator()(const Tensor& dy, Needs needs) {
    check(static_cast<bool>(inner->backward), kRanBefore);
    // A block of memory like the storage from the first to the last element of base and view. Where the view covers holes
    // of the base nothing has arrived: zeros.
    auto in_base = [&](int64_t at) {  // the view's elements counted in the base's
      return is_complex(dy.dtype()) == is_complex(portion.dtype) ? at : is_complex(dy.dtype()) ? at >> 1 : 2 * at;
    };
    int64_t first = std::min<int64_t>(in_base(portion.offset), 0);
    int64_t last = std::max(reach(dy.sizes(), base_strides), in_base(portion.offset + reach(portion.sizes, portion.strides) + 1) - 1 + is_complex(dy.dtype()));
    Dims extent{last - first + 1};
    Tensor block = extent[0] == dy.numel() ? empty(extent, dy.dtype(), dy.device()) : zeros(extent, dy.dtype(), dy.device());
    Tensor whole = as_strided(block, dy.sizes(), base_strides, -first);
    copy_(whole, dy);
    Portion within = portion;
    within.offset -= is_complex(dy.dtype()) == is_complex(portion.dtype) ? first : is_complex(dy.dtype()) ? 2 * first : first / 2;
    Tensor part = part_of(block, within);
    Slice slice{inner.get(), running, whole, within};
    Grads inside = run_inner(slice, clone(part), needs);
    if (inside.size() > 0 && inside[0].defined()) copy_(part, inside[0]);
    else zero_(part);
    Grads result;
    result.push_back(needs[0] ? whole : Tensor());
    for (size_t i = 1; i < inside.size(); ++i) result.push_back(inside[i]);
    return result;
  }
  Grads run_inner(const Slice& slice, const Tensor& dpart, Needs needs) {
    struct Enter {
      explicit Enter(const Slice* slice) : before(std::exchange(running_slice, slice)), node(slice->inner) {}
      ~Enter() { running_slice = before; }
      const Slice* before;
      Running node;
    } enter(&slice);
    return inner->backward(std::span<const Tensor>(&dpart, 1), Needs(*inner, needs.unwanted()));
  }
  void release() { inner->backward.release(); }
};

// The history of a base of which a view was overwritten.
static Ref<Node> copy_slices(const Tensor& base, const Tensor& view, Ref<Node> inner) {
  auto node = Ref<Node>::adopt(new Node("CopySlices"));
  node->line = SourceLine::here();
  node->edges.push_back(grad_edge(base));
  for (size_t i = 1; i < inner->edges.size(); ++i) node->edges.push_back(inner->edges[i]);
  node->results.push_back({base.sizes(), base.dtype(), base.device()});
  // In the view's elements, which are halves or pairs of the base's where one of the two is complex.
  int64_t first = base.offset() * base.item_size() / view.item_size();
  node->backward = SliceBackward{std::move(inner), {view.dtype(), view.sizes(), view.strides(), view.offset() - first}, base.strides()};
  return node;
}

template <class List>
static Node* record_inplace_any(const char* name, const Tensor& x, const List& inputs) {
  if (!recording || !differentiable(x)) return nullptr;
  // The version has been bumped, but x's history is still the one before the write.
  x->view_version = x.version();
  bool wanted = any_requires_grad(inputs) || (x->base && Tensor(x->base).requires_grad());
  if (!wanted) return nullptr;
  Ref<Node> node = new_node(name, inputs);
  Node* raw = node.get();
  node->results.push_back({x.sizes(), x.dtype(), x.device()});
  if (!x->base) {
    set_history(x, std::move(node), 0);
    x->grad->requires_grad = false;
    return raw;
  }
  // The base's node owns the inner one, whose closure the caller fills in.
  Tensor base(x->base);
  node->edges[0] = grad_edge(base);  // what was overwritten was the base's
  set_history(base, copy_slices(base, x, std::move(node)), 0);
  base->grad->requires_grad = false;
  x.autograd().requires_grad = false;
  x->view_kind = ViewKind::plain;
  x->view_version = x.version() - 1;  // stale: regenerated from the base when asked for
  return raw;
}

Node* record_inplace(const char* name, const Tensor& x, Inputs inputs) { return record_inplace_any(name, x, inputs); }
Node* record_inplace(const char* name, const Tensor& x, std::span<const Tensor> inputs) { return record_inplace_any(name, x, inputs); }

// ---- views and detaching

Tensor make_view(const Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset, ViewKind kind) {
  Tensor y = alias(x, sizes, strides, offset);
  if (x->inference) return y;
  y->base = x->base ? x->base : x.ref();
  if (x->base && x->view_kind != ViewKind::plain) kind = x->view_kind;
  y->view_kind = grad_mode || kind == ViewKind::multi_output ? kind : ViewKind::no_grad;
  y->view_version = y.version();
  return y;
}

Tensor detach(const Tensor& x) { return alias(x); }

void detach_(const Tensor& x) {
  check(!x->base || x->view_kind == ViewKind::none, "detach_: can't detach views in-place. Use detach() instead.");
  if (!x->grad) return;
  x->grad->node = nullptr;
  x->grad->output = 0;
  x->grad->requires_grad = false;
  if (x->grad->retained) *std::exchange(x->grad->retained, nullptr) = nullptr;
}

Tensor data(const Tensor& x) {
  Tensor y = alias(x);
  y->own_version = Ref<Version>::adopt(new Version);
  return y;
}

void set_data(const Tensor& x, const Tensor& y) {
  check(!(x.requires_grad() && !differentiable(y)), "data: data set to a tensor that requires gradients must be floating point or complex dtype");
  check(x.device() == y.device() || !x->grad || !x->grad->node, "data: incompatible tensor type, ", device_name(y.device()), " given for a tensor on ", device_name(x.device()));
  if (!x->own_version) {  // x keeps its version, whose number no longer lives in its storage
    x->own_version = Ref<Version>::adopt(new Version);
    x->own_version->value = x->storage->version.value.load();
  }
  x->storage = y->storage;
  x->sizes = y->sizes;
  x->strides = y->strides;
  x->offset = y->offset;
  x->dtype = y->dtype;
  x->device = y->device;
  x->update_layout();
  if (x->grad && x->grad->accumulator) x->grad->accumulator->results[0] = {x.sizes(), x.dtype(), x.device()};
}

// ---- hooks

void NodeHooks::remove(int64_t id) {
  auto same = [id](const auto& hook) { return hook->id == id; };
  std::erase_if(gradient, same), std::erase_if(before, same), std::erase_if(after, same), std::erase_if(accumulated, same);
}

Node& gradient_node(const char* name, const Tensor& x) {
  check(x.requires_grad(), name, ": cannot register a hook on a tensor that doesn't require gradient");
  return *grad_edge(x).node;
}

void retain_grad(const Tensor& x) {
  check(x.requires_grad(), "retain_grad: can't retain_grad on Tensor that has requires_grad=False");
  Ref<Node> node = grad_fn(x);
  if (!node || x->grad->retained) return;
  x->grad->retained = std::make_shared<TensorImpl*>(x.impl());
  node->hook_lists().retained.push_back({x->grad->output, x->grad->retained});
}

// ---- saved tensors

Saved::Saved(const Tensor& x) : x_(x) {
  if (!x.defined()) return;
  check(!x->inference, "backward: Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor and use it in autograd.");
  version_ = x.version();
  if (x->grad || x->base) {
    node_ = grad_fn(x);
    output_ = node_ ? x->grad->output : 0;
  }
  if (!saved_hooks.empty()) [[unlikely]] {
    auto hooks = saved_hooks.back();
    if (!node_ && x.requires_grad()) node_ = grad_edge(x).node;  // what comes back leads to the same leaf
    NoGrad no_grad;
    packed_ = std::make_shared<PackedTensor>(hooks->pack(x.is_leaf() ? x : detach(x)), hooks);
    x_ = Tensor();
  }
}

static std::string_view or_unknown(const std::string& line) { return line.empty() ? std::string_view("an unknown line") : std::string_view(line); }

// In-place forms bear their op's name with an underscore.
static std::string writer_name(const Version& version) {
  std::string name = version.writer ? version.writer : "an op";
  if (version.writer && !name.ends_with('_')) name += '_';
  return name;
}

Tensor Saved::operator()() const {
  if (packed_) [[unlikely]] {
    for (const auto& [packed, x] : unpacked)
      if (packed == packed_.get()) return x;
    Tensor x = detach(packed_->hooks->unpack(packed_->value));
    if (node_) set_history(x, node_, output_);
    if (running) unpacked.emplace_back(packed_.get(), x);
    return x;
  }
  if (!x_.defined()) return x_;
  if (x_.version() != version_) [[unlikely]] {
    Node* node = running_node();
    const Version& v = x_->version();
    fail<RuntimeError>(node ? node->name : "backward", ": one of the variables needed for gradient computation has been modified by an inplace operation: a ",
                       x_.dtype(), " tensor of shape ", x_.sizes(), " was saved by ", node ? node->name : "an op", " at ",
                       or_unknown(node ? node->line.describe() : ""), " (version ", version_, ") and overwritten by ", writer_name(v), " at ",
                       or_unknown(v.line.describe()), " (version ", x_.version(), "). Use an out-of-place operation there, or clone() the tensor first.");
  }
  if (x_->grad && x_->grad->node.get() != node_.get() && node_) {  // same values, other history (detach_)
    Tensor x = detach(x_);
    set_history(x, node_, output_);
    return x;
  }
  return x_;
}

SavedOutput::SavedOutput(const Tensor& y, uint32_t output) : saved_(y.defined() ? detach(y) : y), output_(output) {}

Tensor SavedOutput::operator()() const {
  Tensor y = saved_();
  Node* node = running_node();
  if (!node || !grad_mode || !y.defined()) return y;
  y = detach(y);
  if (running_slice && running_slice->inner == node) {  // the result is a part of what the running node has made
    const Slice& slice = *running_slice;
    auto view = Ref<Node>::adopt(new Node("as_strided"));
    view->edges.push_back({Ref<Node>::share(slice.outer), 0});
    view->results.push_back({y.sizes(), y.dtype(), y.device()});
    view->backward = part_derivative(slice.base, slice.part);
    set_history(y, std::move(view), 0);
  } else {
    set_history(y, Ref<Node>::share(node), output_);
  }
  return y;
}

}  // namespace tessel
