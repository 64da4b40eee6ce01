// Running the graph backwards: one node at a time, later nodes first, each when all gradients of its results are in.
#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "autograd/node.h"
#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// What one pass knows about a node: gradients that have arrived and consumers still to run.
struct Visit {
  Node* node = nullptr;
  uint32_t waiting = 0;
  bool wanted = true;  // is one of `inputs` or leads to one
  bool runs = true;    // leads to one
  Grads grads;
};

// Gradients of one leaf are added by one thread at a time. Whoever waits lets the interpreter go on: the thread that has
// the leaf may need it.
class Alone {
 public:
  explicit Alone(const TensorImpl* leaf) : mutex_(mutexes[reinterpret_cast<uintptr_t>(leaf) / sizeof(TensorImpl) % kMutexes]) {
    if (mutex_.try_lock()) return;
    void* token = InterpreterLock::release ? InterpreterLock::release() : nullptr;
    mutex_.lock();
    if (token) InterpreterLock::take(token);
  }
  ~Alone() { mutex_.unlock(); }
  Alone(const Alone&) = delete;

 private:
  static constexpr size_t kMutexes = 64;
  static inline std::recursive_mutex mutexes[kMutexes];  // recursive: freeing memory may run the user's code
  // A forked child has none of the threads that held them.
  [[maybe_unused]] static inline const int registered = pthread_atfork(nullptr, nullptr, [] {
    for (std::recursive_mutex& mutex : mutexes) new (&mutex) std::recursive_mutex;
  });
  std::recursive_mutex& mutex_;
};

// Node -> Visit: an open-addressing table; a pass over a small graph touches the heap a handful of times.
class Visits {
 public:
  Visits() : slots_(64, -1) { visits_.reserve(32); }

  Visit& operator[](Node* node) {
    size_t at = find(node);
    if (slots_[at] < 0) {
      if (2 * visits_.size() >= slots_.size()) {
        grow();
        at = find(node);
      }
      slots_[at] = static_cast<int32_t>(visits_.size());
      visits_.emplace_back().node = node;
    }
    return visits_[slots_[at]];
  }
  bool contains(Node* node) const { return slots_[find(node)] >= 0; }
  std::vector<Visit>& all() { return visits_; }

 private:
  size_t find(Node* node) const {
    size_t mask = slots_.size() - 1;
    size_t at = (reinterpret_cast<uintptr_t>(node) >> 4) * 0x9E3779B97F4A7C15u >> 20 & mask;
    while (slots_[at] >= 0 && visits_[slots_[at]].node != node) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<int32_t> bigger(slots_.size() * 4, -1);
    slots_.swap(bigger);
    for (size_t i = 0; i < visits_.size(); ++i) slots_[find(visits_[i].node)] = static_cast<int32_t>(i);
  }
  std::vector<int32_t> slots_;
  std::vector<Visit> visits_;
};

struct Later {  // heap order: highest sequence number on top
  bool operator()(const Ref<Node>& a, const Ref<Node>& b) const { return a->sequence < b->sequence; }
};

// One slot of `inputs`: which result of which node it is.
struct Capture {
  uint32_t output;
  size_t slot;
};

class Pass {
 public:
  Pass(std::span<const Tensor> inputs, const BackwardOptions& options) : inputs_(inputs), options_(options), results_(inputs.size()) {}

  std::vector<Tensor> run(std::span<const Tensor> roots, std::span<const Tensor> gradients) {
    std::vector<Edge> edges;
    for (const Tensor& root : roots) edges.push_back(grad_edge(root));
    find_inputs();
    count_consumers(edges);
    if (!inputs_.empty()) mark_wanted();
    for (size_t i = 0; i < edges.size(); ++i) receive(edges[i], gradients[i], nullptr, 0);
    for (Edge& edge : edges) {
      Visit& visit = visits_[edge.node.get()];
      if (visit.waiting == 0 && !is_queued(edge.node.get())) push(edge.node);
    }
    while (!ready_.empty()) {
      std::pop_heap(ready_.begin(), ready_.end(), Later());
      Ref<Node> node = std::move(ready_.back());
      ready_.pop_back();
      step(node);
    }
    return std::move(results_);
  }

 private:
  void find_inputs() {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Edge edge = grad_edge(inputs_[i]);
      check(static_cast<bool>(edge.node), "backward: One of the differentiated Tensors does not require grad");
      if (options_.accumulate) retain_grad(inputs_[i]);  // leaves keep theirs anyway
      captures_[edge.node.get()].push_back({edge.output, i});
      kept_.push_back(edge.node);
    }
  }

  // Walks what the roots reach, without recursion, and counts for each node the edges that will bring it a gradient.
  void count_consumers(const std::vector<Edge>& roots) {
    std::vector<Node*> stack;
    auto visit = [&](Node* node) {
      if (visits_.contains(node)) return;
      visits_[node];
      stack.push_back(node);
    };
    for (const Edge& root : roots) visit(root.node.get());
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      order_.push_back(node);
      for (const Edge& edge : node->edges) {
        if (!edge.node) continue;
        visit(edge.node.get());
        ++visits_[edge.node.get()].waiting;
      }
    }
  }

  // With `inputs`, only nodes that lead to one of them run: found by a walk in topological order from the far end.
  void mark_wanted() {
    std::vector<Node*> nodes = order_;
    std::sort(nodes.begin(), nodes.end(), [](Node* a, Node* b) {
      bool leaf_a = a->leaf || a->edges.size() == 0, leaf_b = b->leaf || b->edges.size() == 0;
      return leaf_a != leaf_b ? leaf_a : a->sequence < b->sequence;
    });
    for (Node* node : nodes) {
      bool runs = false;
      for (const Edge& edge : node->edges) runs = runs || (edge.node && visits_[edge.node.get()].wanted);
      visits_[node].runs = runs;
      visits_[node].wanted = runs || captures_.count(node) > 0;
    }
  }

  // Adds a gradient to what has arrived. It gets the size and dtype of what it belongs to: closures of broadcasting or
  // promoting ops need not undo either. It is the `input`th that `from` has given.
  void receive(const Edge& edge, Tensor dy, const Node* from, size_t input) {
    if (!dy.defined()) return;
    if (edge.output < edge.node->results.size()) {
      const ResultInfo& info = edge.node->results[edge.output];
      if (!(dy.sizes() == info.sizes)) {
        check(can_expand(info.sizes, dy.sizes()), from ? from->name : "backward", ": returned an invalid gradient at index ", input, ": got ", dy.sizes(), " but expected shape compatible with ", info.sizes);
        dy = sum_to_size(dy, info.sizes);
      }
      if (dy.dtype() != info.dtype) dy = to_dtype(dy, info.dtype);
      if (dy.device() != info.device) dy = to_device(dy, info.device);
    }
    Grads& grads = visits_[edge.node.get()].grads;
    while (grads.size() <= edge.output) grads.push_back(Tensor());
    Tensor& slot = grads[edge.output];
    slot = slot.defined() ? add(slot, dy) : dy;
  }

  static bool can_expand(const Dims& sizes, const Dims& to) {
    int missing = to.size() - sizes.size();
    if (missing < 0) return false;
    for (int d = 0; d < sizes.size(); ++d)
      if (sizes[d] != 1 && sizes[d] != to[d + missing]) return false;
    return true;
  }

  bool is_queued(Node* node) const {
    return std::any_of(ready_.begin(), ready_.end(), [node](const Ref<Node>& n) { return n.get() == node; });
  }
  void push(const Ref<Node>& node) {
    ready_.push_back(node);
    std::push_heap(ready_.begin(), ready_.end(), Later());
  }

  void accumulate(Node& node, const Tensor& dy) {
    if (!node.leaf) return;
    Tensor leaf = Tensor::share(node.leaf);
    {
      Alone alone(node.leaf);  // other threads may be adding theirs
      Tensor before = leaf.grad();
      if (before.defined() && !grad_enabled()) add_(before, dy);
      else leaf.set_grad(before.defined() ? add(before, dy) : grad_enabled() ? dy : kept(dy, leaf));
    }
    if (!node.hooks) return;
    for (const auto& hook : Hooks<NodeHooks::Accumulated>(node.hooks->accumulated)) hook->call(leaf);
  }

  // What becomes .grad: the gradient itself when nobody else holds it and it lies in memory as the leaf does, else a copy.
  static Tensor kept(const Tensor& dy, const Tensor& leaf) {
    bool alone = dy->count.load() == 1 && dy->storage->count.load() == 1 && dy.strides() == leaf.strides() && !dy->base && !dy->wrapped_number && !dy->wrapper;
    if (alone) return detach(dy);
    Tensor own = empty_like(leaf);
    copy_(own, dy);
    return own;
  }

  // Hooks may add and remove hooks: a copy of the list is walked.
  static void call_before(Node& node, Grads& dys) {
    if (!node.hooks) return;
    for (const auto& hook : Hooks<NodeHooks::Before>(node.hooks->before)) hook->call(std::span<Tensor>(dys.data(), dys.size()));
  }
  static void call_after(Node& node, Grads& dxs, const Grads& dys) {
    if (!node.hooks) return;
    for (const auto& hook : Hooks<NodeHooks::After>(node.hooks->after)) hook->call(dxs, std::span<const Tensor>(dys.data(), dys.size()));
  }
  static void call_hooks(Node& node, Grads& dys) {
    auto hooks = node.hooks;
    for (const auto& hook : Hooks<NodeHooks::Gradient>(hooks->gradient))
      if (hook->output < dys.size() && dys[hook->output].defined()) hook->call(dys[hook->output]);
    for (size_t i = 0; i < hooks->retained.size(); ++i) {
      const NodeHooks::Retained& retained = hooks->retained[i];
      if (!*retained.tensor || retained.output >= dys.size() || !dys[retained.output].defined()) continue;
      Tensor x = Tensor::share(*retained.tensor);
      const Tensor& dy = dys[retained.output];
      x.set_grad(x.grad().defined() ? add(x.grad(), dy) : clone(dy));
    }
  }

  void step(const Ref<Node>& node) {
    Visit& visit = visits_[node.get()];
    Grads dys = std::move(visit.grads);
    visit.grads = Grads();
    if (!visit.wanted) return pass_on(*node, {});
    while (dys.size() < node->results.size()) dys.push_back(Tensor());
    if (node->hooks) call_hooks(*node, dys);
    bool captured = false;
    if (!captures_.empty())
      if (auto found = captures_.find(node.get()); found != captures_.end()) {
        captured = true;
        if (!options_.accumulate)
          for (const Capture& capture : found->second) results_[capture.slot] = capture.output < dys.size() ? dys[capture.output] : Tensor();
      }
    if (node->edges.size() == 0) {  // an accumulator
      if (options_.accumulate && (inputs_.empty() || captured) && dys[0].defined()) {
        Grads none;
        call_before(*node, dys);
        accumulate(*node, dys[0]);
        call_after(*node, none, dys);
      }
      return;
    }
    bool any = node->undefined_ok;
    for (const Tensor& dy : dys) any = any || dy.defined();
    Grads dxs;
    if (any && visit.runs) dxs = call(*node, dys);
    pass_on(*node, dxs);
  }

  // The bits of inputs that lead to nothing in `inputs`.
  uint64_t unwanted(const Node& node) {
    uint64_t bits = 0;
    if (!inputs_.empty())
      for (size_t i = 0; i < node.edges.size() && i < 64; ++i)
        if (node.edges[i].node && !visits_[node.edges[i].node.get()].wanted) bits |= uint64_t(1) << i;
    return bits;
  }

  Grads call(Node& node, Grads& dys) {
    if (!node.undefined_ok)
      for (size_t i = 0; i < node.results.size(); ++i)
        if (!dys[i].defined()) dys[i] = zeros(node.results[i].sizes, node.results[i].dtype, node.results[i].device);
    if (!node.backward) fail<RuntimeError>(node.name, ": ", kRanBefore);
    Running guard(&node);
    call_before(node, dys);
    Grads dxs = node.backward(std::span<const Tensor>(dys.data(), dys.size()), Needs(node, unwanted(node)));
    if (anomaly_enabled() && anomaly_checks_nan()) check_nan(node, dxs);
    call_after(node, dxs, dys);
    if (!options_.retain_graph) node.backward.release();
    return dxs;
  }

  static void check_nan(const Node& node, const Grads& dxs) {
    for (size_t i = 0; i < dxs.size(); ++i) {
      if (!dxs[i].defined() || !is_floating(dxs[i].dtype())) continue;
      std::string line = node.line.describe();
      check(!item(any(isnan(dxs[i]))).as_int(), node.name, ": Function '", node.name, "' returned nan values in its ", i, "th output. It was recorded at ",
            line.empty() ? "an unknown line" : line, ".");
    }
  }

  void pass_on(Node& node, const Grads& dxs) {
    for (size_t i = 0; i < node.edges.size(); ++i) {
      const Edge& edge = node.edges[i];
      if (!edge.node) continue;
      if (i < dxs.size()) receive(edge, dxs[i], &node, i);
      if (--visits_[edge.node.get()].waiting == 0) push(edge.node);
    }
  }

  std::span<const Tensor> inputs_;
  const BackwardOptions& options_;
  std::vector<Tensor> results_;
  Visits visits_;
  std::vector<Node*> order_;
  std::vector<Ref<Node>> ready_, kept_;
  std::unordered_map<Node*, std::vector<Capture>> captures_;
};

}  // namespace

std::vector<Tensor> backward(std::span<const Tensor> roots, std::span<const Tensor> gradients, std::span<const Tensor> inputs,
                             const BackwardOptions& options) {
  std::vector<Tensor> dys;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Tensor& root = roots[i];
    check(root.requires_grad(), "backward: element ", i, " of tensors does not require grad and does not have a grad_fn");
    Tensor dy = i < gradients.size() ? gradients[i] : Tensor();
    if (!dy.defined()) {
      check(root.numel() == 1, "backward: grad can be implicitly created only for scalar outputs, this one is ", root.sizes());
      check(!is_complex(root.dtype()), "backward: grad can be implicitly created only for real scalar outputs but got ", root.dtype());
      dy = ones(root.sizes(), root.dtype(), root.device());
    } else {
      check(dy.sizes() == root.sizes(), "backward: Mismatch in shape: grad_output[", i, "] has a shape of ", dy.sizes(), " and output[", i, "] has a shape of ", root.sizes(), ".");
    }
    dys.push_back(dy);
  }
  GradMode mode(options.create_graph);
  Pass pass(inputs, options);
  std::vector<Tensor> results = pass.run(roots, dys);
  if (!options.accumulate && !options.allow_unused)
    for (size_t i = 0; i < results.size(); ++i)
      check(results[i].defined(), "grad: One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.");
  return results;
}

}  // namespace tessel
