// Running the graph backwards: one node at a time, later nodes first, each when all gradients of its results are in.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "autograd/node.h"
#include "ops/ops.h"

namespace tessel {

namespace {

thread_local constinit Node* running = nullptr;

struct Running {  // the node whose closure is being called; nested backward passes restore it
  explicit Running(Node* node) : before(running) { running = node; }
  ~Running() { running = before; }
  Node* before;
};

// What one pass knows about a node: gradients that have arrived and consumers still to run.
struct Visit {
  Node* node = nullptr;
  uint32_t waiting = 0;
  bool wanted = true;  // leads to one of `inputs`
  Grads grads;
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
    find_captures();
    count_consumers(edges);
    if (!inputs_.empty()) mark_wanted();
    for (size_t i = 0; i < edges.size(); ++i) receive(edges[i], gradients[i]);
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
  void find_captures() {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Edge edge = grad_edge(inputs_[i]);
      check(static_cast<bool>(edge.node), "backward: One of the differentiated Tensors does not require grad");
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
      bool wanted = captures_.count(node) > 0;
      for (const Edge& edge : node->edges) wanted = wanted || (edge.node && visits_[edge.node.get()].wanted);
      visits_[node].wanted = wanted;
    }
  }

  // Adds a gradient to what has arrived. It gets the size and dtype of what it belongs to: closures of broadcasting or
  // promoting ops need not undo either.
  void receive(const Edge& edge, Tensor dy) {
    if (!dy.defined()) return;
    if (edge.output < edge.node->results.size()) {
      const ResultInfo& info = edge.node->results[edge.output];
      if (!(dy.sizes() == info.sizes)) dy = sum_to_size(dy, info.sizes);
      if (dy.dtype() != info.dtype) dy = to_dtype(dy, info.dtype);
      if (dy.device() != info.device) dy = to_device(dy, info.device);
    }
    Grads& grads = visits_[edge.node.get()].grads;
    while (grads.size() <= edge.output) grads.push_back(Tensor());
    Tensor& slot = grads[edge.output];
    slot = slot.defined() ? add(slot, dy) : dy;
  }

  bool is_queued(Node* node) const {
    return std::any_of(ready_.begin(), ready_.end(), [node](const Ref<Node>& n) { return n.get() == node; });
  }
  void push(const Ref<Node>& node) {
    ready_.push_back(node);
    std::push_heap(ready_.begin(), ready_.end(), Later());
  }

  void accumulate(Node& node, const Tensor& dy) {
    if (!node.leaf || !dy.defined()) return;
    Tensor leaf = Tensor::share(node.leaf);
    Tensor g = dy;
    for (size_t i = 0; i < leaf->grad->hooks.size(); ++i) leaf->grad->hooks[i].second(g);
    Tensor before = leaf.grad();
    if (!before.defined()) {
      // A gradient nobody else holds becomes .grad itself; others are copied, so that later writes stay apart.
      bool alone = g->count.load() <= 2 && g->storage->count.load() == 1 && g.is_contiguous() == leaf.is_contiguous() && !g->base && !g->wrapped_number && !g->wrapper;
      leaf.set_grad(grad_enabled() ? g : alone ? detach(g) : clone(detach(g)));
    } else if (grad_enabled()) {
      leaf.set_grad(add(before, g));
    } else {
      add_(before, g);
    }
    for (size_t i = 0; i < leaf->grad->after_accumulate.size(); ++i) leaf->grad->after_accumulate[i].second();
  }

  void step(const Ref<Node>& node) {
    Visit& visit = visits_[node.get()];
    Grads dys = std::move(visit.grads);
    visit.grads = Grads();
    bool wanted = visit.wanted;
    while (dys.size() < node->results.size()) dys.push_back(Tensor());
    if (!node->captures.empty())
      for (size_t i = 0; i < node->captures.size(); ++i) {
        Node::Capture& capture = node->captures[i];
        if (capture.output < dys.size() && dys[capture.output].defined()) capture.hook(dys[capture.output]);
      }
    bool captured = false;
    if (!captures_.empty())
      if (auto found = captures_.find(node.get()); found != captures_.end())
        for (const Capture& capture : found->second) {
          captured = true;
          if (options_.accumulate) continue;
          Tensor dy = capture.output < dys.size() ? dys[capture.output] : Tensor();
          if (node->leaf && dy.defined())
            for (auto& hook : inputs_[capture.slot].autograd().hooks) hook.second(dy);
          results_[capture.slot] = dy;
        }
    if (node->leaf || node->edges.size() == 0) {
      bool into_leaf = options_.accumulate && (inputs_.empty() || captured);
      if (into_leaf && dys.size() > 0) accumulate(*node, dys[0]);
      if (node->leaf || !node->backward) return;
    } else if (captured && options_.accumulate) {
      for (const Capture& capture : captures_[node.get()]) {
        const Tensor& x = inputs_[capture.slot];
        if (!dys[capture.output].defined()) continue;
        x.set_grad(x.grad().defined() ? add(x.grad(), dys[capture.output]) : dys[capture.output]);
      }
    }
    bool any = node->undefined_ok;
    for (const Tensor& dy : dys) any = any || dy.defined();
    Grads dxs;
    if (wanted && any) dxs = call(*node, dys);
    pass_on(*node, dxs);
  }

  Grads call(Node& node, Grads& dys) {
    if (!node.undefined_ok)
      for (size_t i = 0; i < node.results.size(); ++i)
        if (!dys[i].defined()) dys[i] = zeros(node.results[i].sizes, node.results[i].dtype, node.results[i].device);
    check(!node.released, node.name, ": Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
          "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.");
    Running guard(&node);
    if (node.hooks)
      for (size_t i = 0; i < node.hooks->pre.size(); ++i) node.hooks->pre[i].second(std::span<Tensor>(dys.data(), dys.size()));
    Grads dxs = node.backward(std::span<const Tensor>(dys.data(), dys.size()), Needs(node));
    if (anomaly_enabled() && anomaly_checks_nan()) check_nan(node, dxs);
    if (node.hooks)
      for (size_t i = 0; i < node.hooks->post.size(); ++i) node.hooks->post[i].second(dxs, std::span<const Tensor>(dys.data(), dys.size()));
    if (!options_.retain_graph) {
      node.backward.reset();
      node.released = true;
    }
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
      if (i < dxs.size()) receive(edge, dxs[i]);
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

Node* running_node() { return running; }

std::vector<Tensor> backward(std::span<const Tensor> roots, std::span<const Tensor> gradients, std::span<const Tensor> inputs,
                             const BackwardOptions& options) {
  std::vector<Tensor> dys;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Tensor& root = roots[i];
    check(root.requires_grad(), "backward: element ", i, " of tensors does not require grad and does not have a grad_fn");
    Tensor dy = i < gradients.size() ? gradients[i] : Tensor();
    if (!dy.defined()) {
      check(root.numel() == 1, "backward: grad can be implicitly created only for scalar outputs, this one is ", root.sizes());
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
