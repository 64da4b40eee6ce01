// Recurrent layers. One layer in all its directions is one op: the input's part of the gates is a product over all steps, the
// kernel goes through the steps, and backward the kernel gives the gates' gradients, of which products over all steps make
// those of the input and the weights. Inside a graph that will be differentiated again, backward differentiates the layer
// written out in recorded ops. 16-bit types are computed in float32.
#include <algorithm>
#include <memory>
#include <numeric>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Which rows belong to a step: `sizes` by time, falling; `first` row by time.
struct Lengths {
  std::vector<int64_t> sizes, first;
  int64_t rows = 0, batch = 0;
  bool uniform = true;

  explicit Lengths(std::vector<int64_t> by_time) : sizes(std::move(by_time)) {
    batch = sizes.empty() ? 0 : sizes[0];
    for (int64_t n : sizes) {
      first.push_back(rows);
      rows += n;
      uniform = uniform && n == batch;
    }
  }
  int64_t steps() const { return static_cast<int64_t>(sizes.size()); }
  static std::vector<int64_t> reversed(const std::vector<int64_t>& v) { return {v.rbegin(), v.rend()}; }
};

int64_t gates_of(Rnn cell) { return cell == Rnn::lstm ? 4 : cell == Rnn::gru || cell == Rnn::gru_before ? 3 : 1; }

struct Layer {
  const char* name;
  Rnn cell;
  int64_t hidden, output, directions;  // output: of one direction
  std::shared_ptr<const Lengths> lengths;
  std::shared_ptr<const Lengths> backwards;  // the same from the last step to the first
  bool has_c() const { return cell == Rnn::lstm; }
  int64_t kept() const { return cell == Rnn::lstm || gates_of(cell) == 3 ? 4 * hidden : 0; }  // width of a row of gates; 0: y holds them
};

struct Weights {
  Tensor w_ih, w_hh, b_ih, b_hh, w_hr;
  static constexpr int count = 5;
  const Tensor& operator[](int i) const { return *std::array{&w_ih, &w_hh, &b_ih, &b_hh, &w_hr}[i]; }
  Tensor& operator[](int i) { return *std::array{&w_ih, &w_hh, &b_ih, &b_hh, &w_hr}[i]; }
};

// What a layer's derivative reads besides its inputs, which are the node's: x, h0, c0, and each direction's weights.
struct Tape {
  Layer layer;
  std::vector<Saved> inputs;
  Tensor y, gates[2], c[2], unprojected[2];  // y where no result is it: in the type computed in
};

const void* data_of(const Tensor& t) { return t.defined() ? t.data() : nullptr; }
void* writable(const Tensor& t) { return const_cast<void*>(data_of(t)); }
DType compute_of(const Tensor& x) { return x.dtype() == DType::float64 ? DType::float64 : DType::float32; }
// For kernels: in C order, in the type they compute in, without history.
Tensor plain(const Tensor& x, DType type) {
  if (!x.defined() || (x.dtype() == type && x.is_contiguous())) return x;
  return in_order(x.dtype() == type ? x : to_dtype(detach(x), type));
}
char* at(const Tensor& t, int64_t elements) { return t.data() + elements * t.item_size(); }

// c [m, n] = a @ b (+ beta c, + bias along rows), of parts of tensors.
struct Part {
  const void* p;
  int64_t row, column;
};
void product(const char* name, const Tensor& shown, int64_t m, int64_t n, int64_t k, Part a, Part b, Part c, double beta = 0, const Tensor& bias = {}) {
  if (m == 0 || n == 0) return;
  GemmArgs g{};
  g.dtype = shown.dtype(), g.precision = float32_precision();
  g.m = m, g.n = n, g.k = k, g.batch = 1;
  g.a = a.p, g.a_row = a.row, g.a_col = a.column;
  g.b = b.p, g.b_row = b.row, g.b_col = b.column;
  g.c = const_cast<void*>(c.p), g.c_row = c.row, g.c_col = c.column;
  g.alpha = 1, g.beta = beta;
  if (bias.defined()) g.bias = bias.data(), g.bias_stride = 1;
  Scratch scratch(kernels(shown).gemm_scratch(g), shown.device());
  run(name, shown, m * n * std::max<int64_t>(k, 1) / 16, kernels(shown).gemm, g, scratch.data());
}

// What forward and backward of a direction share. `order` outlives the call.
RnnArgs arguments(const Layer& l, DType type, int64_t d, const Weights& w, const Tensor& h0, const Tensor& c0, const Tensor& y) {
  const Lengths& order = d == 0 ? *l.lengths : *l.backwards;
  RnnArgs r{};
  r.cell = l.cell, r.dtype = type;
  r.steps = order.steps(), r.batch = l.lengths->batch, r.hidden = l.hidden, r.output = l.output;
  r.sizes = order.sizes.data(), r.first = order.first.data();
  r.w_hh = w.w_hh.data(), r.b_hh = data_of(w.b_hh), r.w_hr = data_of(w.w_hr);
  if (h0.defined()) r.h0 = at(h0, d * r.batch * l.output);
  if (c0.defined()) r.c0 = at(c0, d * r.batch * l.hidden);
  r.y = at(y, d * l.output), r.y_row = l.directions * l.output;
  return r;
}

int64_t work_of(const Layer& l) { return l.lengths->rows * gates_of(l.cell) * l.hidden * (l.output + 16) / 16; }

Weights plain(const Weights& w, DType type) {
  Weights p;
  for (int i = 0; i < Weights::count; ++i) p[i] = plain(w[i], type);
  return p;
}

Dims with_last(Dims sizes, int64_t last) {
  sizes[sizes.size() - 1] = last;
  return sizes;
}

// ---- the layer in recorded ops

RnnResult written_out(const Layer& l, const Tensor& x_, const Tensor& h0_, const Tensor& c0_, std::span<const Weights> weights) {
  DType type = compute_of(x_);
  auto typed = [&](const Tensor& t) { return t.defined() ? to_dtype(t, type) : t; };
  Tensor x = reshape(typed(x_), {l.lengths->rows, x_.size(-1)});
  int64_t h = l.hidden, batch = l.lengths->batch;
  std::vector<Tensor> ys, hs, cs;
  for (int64_t d = 0; d < l.directions; ++d) {
    const Lengths& order = d == 0 ? *l.lengths : *l.backwards;
    Weights w;
    for (int i = 0; i < Weights::count; ++i) w[i] = typed(weights[d][i]);
    auto start = [&](const Tensor& given, int64_t width) { return given.defined() ? select(typed(given), 0, d) : zeros({batch, width}, type, x.device()); };
    Tensor all = linear(x, w.w_ih, w.b_ih), state = start(h0_, l.output), c = l.has_c() ? start(c0_, h) : Tensor();
    std::vector<Tensor> rows(order.steps());
    for (int64_t step = 0; step < order.steps(); ++step) {
      int64_t n = order.sizes[step];
      Tensor g = narrow(all, 0, order.first[step], n), before = narrow(state, 0, 0, n), y;
      auto part = [&](const Tensor& t, int64_t i) { return narrow(t, t.dim() - 1, i * h, h); };
      auto sigmoid = [](const Tensor& t) { return unary(Unary::sigmoid, t); };
      auto tanh = [](const Tensor& t) { return unary(Unary::tanh, t); };
      Tensor q = l.cell == Rnn::gru_before ? linear(before, narrow(w.w_hh, 0, 0, 2 * h), w.b_hh.defined() ? narrow(w.b_hh, 0, 0, 2 * h) : Tensor())
                                           : linear(before, w.w_hh, w.b_hh);
      if (l.cell == Rnn::lstm) {
        g = g + q;
        Tensor fresh = sigmoid(part(g, 1)) * narrow(c, 0, 0, n) + sigmoid(part(g, 0)) * tanh(part(g, 2));
        y = sigmoid(part(g, 3)) * tanh(fresh);
        if (w.w_hr.defined()) y = linear(y, w.w_hr, {});
        c = n < batch ? cat(std::array{fresh, narrow(c, 0, n, batch - n)}, 0) : fresh;
      } else if (gates_of(l.cell) == 3) {
        Tensor reset = sigmoid(part(g, 0) + part(q, 0)), update = sigmoid(part(g, 1) + part(q, 1));
        Tensor last = l.cell == Rnn::gru ? reset * part(q, 2)
                                         : linear(reset * before, narrow(w.w_hh, 0, 2 * h, h), w.b_hh.defined() ? narrow(w.b_hh, 0, 2 * h, h) : Tensor());
        Tensor fresh = tanh(part(g, 2) + last);
        y = fresh + update * (before - fresh);
      } else {
        y = unary(l.cell == Rnn::relu ? Unary::relu : Unary::tanh, g + q);
      }
      rows[d == 0 ? step : order.steps() - 1 - step] = y;
      state = n < batch ? cat(std::array{y, narrow(state, 0, n, batch - n)}, 0) : y;
    }
    ys.push_back(cat(rows, 0)), hs.push_back(state), cs.push_back(c);
  }
  Tensor y = ys.size() == 1 ? ys[0] : cat(ys, 1);
  return {reshape(y, with_last(x_.sizes(), l.directions * l.output)), stack(hs), l.has_c() ? stack(cs) : Tensor()};
}

Grads derivative_written_out(const Layer& l, std::span<const Tensor> inputs, std::span<const Tensor> dys, Needs needs) {
  // Copies that end at this layer: a gradient must not find its way from one input to another through their histories.
  std::vector<Tensor> cut(inputs.begin(), inputs.end()), wanted;
  for (Tensor& t : cut)
    if (t.defined()) t = t * 1.0;
  for (size_t i = 0; i < cut.size(); ++i)
    if (needs[i]) wanted.push_back(cut[i]);
  std::vector<Weights> weights(l.directions);
  for (int64_t d = 0; d < l.directions; ++d)
    for (int i = 0; i < Weights::count; ++i) weights[d][i] = cut[3 + d * Weights::count + i];
  RnnResult results = written_out(l, cut[0], cut[1], cut[2], weights);
  std::vector<Tensor> roots, gradients;
  const Tensor* outputs[] = {&results.y, &results.h_n, &results.c_n};
  for (size_t i = 0; i < dys.size(); ++i)
    if (dys[i].defined()) roots.push_back(*outputs[i]), gradients.push_back(to_dtype(dys[i], outputs[i]->dtype()));
  BackwardOptions options;
  options.retain_graph = options.create_graph = options.allow_unused = true;
  options.accumulate = false;
  std::vector<Tensor> found = backward(roots, gradients, wanted, options);
  Grads grads;
  size_t next = 0;
  for (size_t i = 0; i < cut.size(); ++i) grads.push_back(needs[i] ? found[next++] : Tensor());
  return grads;
}

// ---- the layer by its kernels

Grads layer_backward(const Tape& tape, const Tensor& y, std::span<const Tensor> inputs, std::span<const Tensor> dys, Needs needs) {
  const Layer& l = tape.layer;
  const Lengths& lengths = *l.lengths;
  DType type = compute_of(inputs[0]);
  Tensor x = plain(inputs[0], type), h0 = plain(inputs[1], type), c0 = plain(inputs[2], type);
  Tensor dy = plain(dys[0], type), dh_n = plain(dys[1], type), dc_n = l.has_c() ? plain(dys[2], type) : Tensor();
  int64_t rows = lengths.rows, batch = lengths.batch, in = x.size(-1), h = l.hidden, out = l.output, parts = gates_of(l.cell);
  int64_t width = l.cell == Rnn::gru ? 4 * h : parts * h;
  Tensor dx = needs[0] ? empty(inputs[0].sizes(), type, x.device()) : Tensor();
  Tensor dh0 = needs[1] ? empty({l.directions, batch, out}, type, x.device()) : Tensor(), dc0 = l.has_c() ? empty({l.directions, batch, h}, type, x.device()) : Tensor();
  std::vector<Weights> dw(l.directions);
  for (int64_t d = 0; d < l.directions; ++d) {
    Weights w;
    auto wanted = [&](int i) { return needs[3 + d * Weights::count + i]; };
    for (int i = 0; i < Weights::count; ++i) w[i] = plain(inputs[3 + d * Weights::count + i], type);
    RnnArgs r = arguments(l, type, d, w, h0, c0, y);
    Tensor dgates = empty({rows, width}, type, x.device()), dprojected, h_before;
    if (w.w_hr.defined()) dprojected = empty({rows, out}, type, x.device());
    if (wanted(1) && !lengths.uniform) h_before = empty({rows, out}, type, x.device());
    r.gates = tape.gates[d].defined() ? tape.gates[d].data() : r.y;
    r.gates_row = l.kept() ? l.kept() : r.y_row;
    r.c = writable(tape.c[d]), r.unprojected = writable(tape.unprojected[d]);
    r.dy = dy.defined() ? at(dy, d * out) : nullptr, r.dy_row = l.directions * out;
    if (dh_n.defined()) r.dh_n = at(dh_n, d * batch * out);
    if (dc_n.defined()) r.dc_n = at(dc_n, d * batch * h);
    r.dgates = dgates.data(), r.dprojected = writable(dprojected), r.h_before = writable(h_before);
    if (needs[1]) r.dh0 = at(dh0, d * batch * out);
    if (l.has_c()) r.dc0 = at(dc0, d * batch * h);
    {
      Scratch scratch(kernels(x).rnn_backward_scratch(r), x.device());
      run("rnn_backward", dgates, 2 * work_of(l), kernels(x).rnn_backward, r, scratch.data());
    }
    const char* name = l.name;
    Part gates = {dgates.data(), width, 1}, gates_turned = {dgates.data(), 1, width};
    if (needs[0]) product(name, x, rows, in, parts * h, gates, {w.w_ih.data(), in, 1}, {dx.data(), in, 1}, d > 0 ? 1 : 0);
    if (wanted(0)) {
      dw[d].w_ih = empty({parts * h, in}, type, x.device());
      product(name, x, parts * h, in, rows, gates_turned, {x.data(), in, 1}, {dw[d].w_ih.data(), in, 1});
    }
    if (wanted(1)) {
      Tensor& to = dw[d].w_hh = empty({parts * h, out}, type, x.device());
      // Rows [from, from + n) of the weight: the columns of dgates from `column` on times the states before.
      auto recurrent = [&](int64_t from, int64_t n, int64_t column) {
        Part c = {at(to, from * out), out, 1};
        auto add = [&](int64_t row, int64_t count, const void* state, int64_t state_row, double beta) {
          product(name, x, n, out, count, {at(dgates, row * width + column), 1, width}, {state, state_row, 1}, c, beta);
        };
        if (!lengths.uniform) return add(0, rows, h_before.data(), out, 0);
        // The state before a step is y a step earlier: rows shifted by a batch, and h0 for the first.
        int64_t all = l.directions * out, first = d == 0 ? batch : 0, edge = d == 0 ? 0 : rows - batch;
        add(first, rows - batch, at(y, d * out + (batch - first) * all), all, 0);
        if (h0.defined()) add(edge, batch, r.h0, out, 1);
      };
      if (l.cell == Rnn::gru_before) {
        recurrent(0, 2 * h, 0);
        Part c = {at(to, 2 * h * out), out, 1};
        product(name, x, h, out, rows, {at(dgates, 2 * h), 1, width}, {at(tape.gates[d], 3 * h), 4 * h, 1}, c);
      } else if (l.cell == Rnn::gru) {
        recurrent(0, 2 * h, 0);
        recurrent(2 * h, h, 3 * h);
      } else {
        recurrent(0, parts * h, 0);
      }
    }
    if (wanted(2) || wanted(3)) {
      Tensor sums = sum(dgates, Dims{0});
      if (wanted(2)) dw[d].b_ih = narrow(sums, 0, 0, parts * h);
      if (wanted(3)) dw[d].b_hh = l.cell == Rnn::gru ? cat(std::array{narrow(sums, 0, 0, 2 * h), narrow(sums, 0, 3 * h, h)}, 0) : clone(sums);
    }
    if (w.w_hr.defined() && wanted(4)) {
      dw[d].w_hr = empty({out, h}, type, x.device());
      product(name, x, out, h, rows, {dprojected.data(), 1, out}, {tape.unprojected[d].data(), h, 1}, {dw[d].w_hr.data(), h, 1});
    }
  }
  Grads grads;
  grads.push_back(dx), grads.push_back(dh0), grads.push_back(l.has_c() && needs[2] ? dc0 : Tensor());
  for (int64_t d = 0; d < l.directions; ++d)
    for (int i = 0; i < Weights::count; ++i) grads.push_back(dw[d][i]);
  return grads;
}

// Whether the kernel makes the input's part of the gates on the way: where a step has the rows for it, and the weights are
// packed anyway, the gates need not go through memory twice (docs/kernels/rnn.md has the gains). Matrix units, which only
// the product over all steps has, gain more.
bool together(const Tensor& x, const Lengths& lengths) {
  return lengths.steps() > 1 && lengths.batch >= 4 && lengths.rows >= 32 && std::string_view(kernels(x).name) != "amx";
}

// x [..., in] in rows by time -> y [..., directions * output], h_n and c_n [directions, batch, ...].
RnnResult rnn_layer(const Layer& l, const Tensor& x_, const Tensor& h0_, const Tensor& c0_, std::span<const Weights> weights) {
  DType type = compute_of(x_);
  int64_t rows = l.lengths->rows, batch = l.lengths->batch, in = x_.size(-1), h = l.hidden, out = l.output, parts = gates_of(l.cell);
  std::vector<Tensor> inputs = {x_, h0_, c0_};
  for (const Weights& w : weights)
    for (int i = 0; i < Weights::count; ++i) inputs.push_back(w[i]);
  bool keep = std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.defined() && wants_grad({t}); });
  Tensor x = plain(x_, type), h0 = plain(h0_, type), c0 = plain(c0_, type);
  Tensor y = empty(with_last(x_.sizes(), l.directions * out), type, x.device());
  Tensor h_n = empty({l.directions, batch, out}, type, x.device()), c_n = l.has_c() ? empty({l.directions, batch, h}, type, x.device()) : Tensor();
  Tape tape{l, {}, {}, {}, {}, {}};
  for (int64_t d = 0; d < l.directions; ++d) {
    Weights w = plain(weights[d], type);
    RnnArgs r = arguments(l, type, d, w, h0, c0, y);
    bool on_the_way = together(x, *l.lengths), needed = keep || !on_the_way || l.cell == Rnn::gru_before;
    Tensor gates = l.kept() && needed ? empty({rows, l.kept()}, type, x.device()) : Tensor();
    r.keep = keep;
    r.gates = gates.defined() ? gates.data() : r.y, r.gates_row = gates.defined() ? l.kept() : r.y_row;
    if (on_the_way) r.x = x.data(), r.x_row = r.in = in, r.w_ih = w.w_ih.data(), r.b_ih = data_of(w.b_ih);
    else product(l.name, x, rows, parts * h, in, {x.data(), in, 1}, {w.w_ih.data(), 1, in}, {r.gates, r.gates_row, 1}, 0, w.b_ih);
    if (keep && l.has_c()) tape.c[d] = empty({rows, h}, type, x.device());
    if (w.w_hr.defined()) tape.unprojected[d] = empty({rows, h}, type, x.device());
    r.c = writable(tape.c[d]), r.unprojected = writable(tape.unprojected[d]);
    r.h_n = at(h_n, d * batch * out), r.c_n = l.has_c() ? at(c_n, d * batch * h) : nullptr;
    Scratch scratch(kernels(x).rnn_scratch(r), x.device());
    run(l.name, y, work_of(l), kernels(x).rnn, r, scratch.data());
    if (keep) tape.gates[d] = gates;
  }
  RnnResult result = {to_dtype(y, x_.dtype()), to_dtype(h_n, x_.dtype()), l.has_c() ? to_dtype(c_n, x_.dtype()) : Tensor()};
  std::vector<Tensor> results = {result.y, result.h_n};
  if (l.has_c()) results.push_back(result.c_n);
  if (!keep) return result;
  if (Node* node = record(l.name, results, inputs)) {
    for (size_t i = 1; i < inputs.size(); ++i) tape.inputs.push_back(inputs[i].defined() ? Saved(inputs[i]) : Saved());
    if (!y.is_same(result.y)) tape.y = y;
    node->undefined_ok = true;
    node->backward = [x = Saved(x_), y = SavedOutput(result.y), tape = std::make_shared<const Tape>(std::move(tape))](std::span<const Tensor> dys, Needs needs) -> Grads {
      std::vector<Tensor> inputs = {x()};
      for (const Saved& s : tape->inputs) inputs.push_back(s ? s() : Tensor());
      Tensor seen = y();
      if (grad_enabled()) return derivative_written_out(tape->layer, inputs, dys, needs);
      return layer_backward(*tape, tape->y.defined() ? tape->y : seen, inputs, dys, needs);
    };
  }
  return result;
}

// ---- checks

void check_tensor(const char* name, const char* what, const Tensor& t, const Tensor& x) {
  check(t.dtype() == x.dtype(), name, ": expected ", what, " to have the input's dtype ", x.dtype(), ", but got ", t.dtype());
  check(t.device() == x.device(), name, ": Expected all tensors to be on the same device, but found ", what, " on ", device_name(t.device()), " and the input on ", device_name(x.device()));
}

void check_floats(const char* name, const Tensor& x) {
  if (!is_floating(x.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x.dtype(), ", only for floats");
}

void check_shape(const char* name, const char* what, const Tensor& t, const Dims& sizes, const Tensor& x) {
  check_tensor(name, what, t, x);
  check(t.sizes() == sizes, name, ": Expected ", what, " of size ", sizes, ", got ", t.sizes());
}

void check_weights(const Layer& l, const Weights& w, int64_t in, const Tensor& x) {
  int64_t gates = gates_of(l.cell) * l.hidden;
  check_tensor(l.name, "weight_ih", w.w_ih, x);
  check(w.w_ih.dim() == 2 && w.w_ih.size(0) == gates, l.name, ": Expected weight_ih of size ", Dims{gates, in}, ", got ", w.w_ih.sizes());
  check(w.w_ih.size(1) == in, l.name, ": input.size(-1) must be equal to input_size. Expected ", w.w_ih.size(1), ", got ", in, " (the input is ", x.sizes(), ")");
  check_shape(l.name, "weight_hh", w.w_hh, {gates, l.output}, x);
  if (w.b_ih.defined()) check_shape(l.name, "bias_ih", w.b_ih, {gates}, x);
  if (w.b_hh.defined()) check_shape(l.name, "bias_hh", w.b_hh, {gates}, x);
  if (w.w_hr.defined()) check_shape(l.name, "weight_hr", w.w_hr, {l.output, l.hidden}, x);
}

// All layers over x in rows by time.
RnnResult all_layers(const char* name, Rnn cell, Tensor x, const Tensor& h0, const Tensor& c0, Tensors weights, std::shared_ptr<const Lengths> lengths, const RnnOptions& o) {
  bool has_c = cell == Rnn::lstm;
  int64_t directions = o.bidirectional ? 2 : 1, all = o.layers * directions, batch = lengths->batch;
  check_floats(name, x);
  check(o.layers > 0, name, ": num_layers must be greater than 0, got ", o.layers);
  check(o.dropout >= 0 && o.dropout <= 1, name, ": dropout probability has to be between 0 and 1, but got ", o.dropout);
  check(lengths->steps() > 0, name, ": Expected sequence length to be larger than 0 in RNN");
  bool enough = weights.size() > 1 && weights[1].dim() == 2 && weights[1].size(0) % gates_of(cell) == 0;
  int64_t output = enough ? weights[1].size(1) : 0, hidden = enough ? weights[1].size(0) / gates_of(cell) : 0;
  bool projects = has_c && output != hidden;
  int64_t each = 2 + (o.biases ? 2 : 0) + (projects ? 1 : 0);
  check(enough && static_cast<int64_t>(weights.size()) == all * each, name, ": Expected ", all * each, " weights (", each, " for each layer and direction), got ", weights.size());
  if (h0.defined()) check_shape(name, has_c ? "hx[0]" : "hx", h0, {all, batch, output}, x);
  if (has_c && c0.defined()) check_shape(name, "hx[1]", c0, {all, batch, hidden}, x);
  auto backwards = std::make_shared<Lengths>(*lengths);
  std::reverse(backwards->sizes.begin(), backwards->sizes.end());
  std::reverse(backwards->first.begin(), backwards->first.end());
  Layer l{name, cell, hidden, output, directions, lengths, backwards};
  std::vector<Tensor> hs, cs;
  for (int64_t layer = 0; layer < o.layers; ++layer) {
    std::vector<Weights> own(directions);
    for (int64_t d = 0; d < directions; ++d) {
      const Tensor* w = &weights[(layer * directions + d) * each];
      own[d] = {w[0], w[1], o.biases ? w[2] : Tensor(), o.biases ? w[3] : Tensor(), projects ? w[each - 1] : Tensor()};
      check_weights(l, own[d], x.size(-1), x);
    }
    auto part = [&](const Tensor& t) { return !t.defined() || o.layers == 1 ? t : narrow(t, 0, layer * directions, directions); };
    if (layer > 0 && o.dropout > 0) x = dropout(x, o.dropout, o.training);
    RnnResult r = rnn_layer(l, x, part(h0), part(c0), own);
    x = r.y;
    hs.push_back(r.h_n), cs.push_back(r.c_n);
  }
  return {x, hs.size() == 1 ? hs[0] : cat(hs, 0), !has_c ? Tensor() : cs.size() == 1 ? cs[0] : cat(cs, 0)};
}

// The numbers in batch_sizes or lengths.
std::vector<int64_t> numbers(const char* name, const char* what, const Tensor& t) {
  check(t.dim() == 1, name, ": ", what, " must be a 1-d tensor, got ", t.sizes());
  check(t.dtype() == DType::int64 && t.device().is_cpu(), name, ": ", what, " must be int64 on the CPU, got ", t.dtype(), " on ", device_name(t.device()));
  Tensor list = contiguous(t);
  const int64_t* p = list.data_as<int64_t>();
  return {p, p + list.numel()};
}

std::shared_ptr<const Lengths> lengths_of(const char* name, const Tensor& batch_sizes) {
  std::vector<int64_t> sizes = numbers(name, "batch_sizes", batch_sizes);
  for (size_t t = 0; t < sizes.size(); ++t)
    check(sizes[t] > 0 && (t == 0 || sizes[t] <= sizes[t - 1]), name, ": batch_sizes must be positive and must not grow, got ", sizes[t], " at step ", t);
  return std::make_shared<const Lengths>(std::move(sizes));
}

}  // namespace

RnnResult rnn(const char* name, Rnn cell, const Tensor& x, const Tensor& h0, const Tensor& c0, Tensors weights, const RnnOptions& options) {
  check(x.dim() == 3, name, ": input must have 3 dimensions, got ", x.dim());
  Tensor by_time = options.batch_first ? transpose(x, 0, 1) : x;
  auto lengths = std::make_shared<const Lengths>(std::vector<int64_t>(by_time.size(0), by_time.size(1)));
  RnnResult r = all_layers(name, cell, by_time, h0, c0, weights, lengths, options);
  if (options.batch_first) r.y = transpose(r.y, 0, 1);
  return r;
}

RnnResult rnn_packed(const char* name, Rnn cell, const Tensor& rows, const Tensor& batch_sizes, const Tensor& h0, const Tensor& c0, Tensors weights, const RnnOptions& options) {
  check(rows.dim() == 2, name, ": input must have 2 dimensions, got ", rows.dim());
  auto lengths = lengths_of(name, batch_sizes);
  check(lengths->rows == rows.size(0), name, ": batch_sizes add up to ", lengths->rows, " rows, but the data has ", rows.size(0));
  return all_layers(name, cell, rows, h0, c0, weights, lengths, options);
}

RnnResult rnn_cell(const char* name, Rnn cell, const Tensor& x, const Tensor& h, const Tensor& c, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) {
  check(x.dim() == 2, name, ": Expected input to be 2D, got ", x.dim(), "D");
  check_floats(name, x);
  check(h.dim() == 2 && (!c.defined() || c.dim() == 2), name, ": Expected the hidden state to be 2D, got ", h.dim(), "D");
  check(h.size(0) == x.size(0), name, ": Input batch size ", x.size(0), " doesn't match hidden batch size ", h.size(0));
  int64_t batch = x.size(0), hidden = h.size(1);
  check(w_hh.dim() == 2 && w_hh.size(1) == hidden, name, ": hidden has inconsistent hidden_size: got ", hidden, ", expected ", w_hh.dim() == 2 ? w_hh.size(1) : 0);
  check_tensor(name, "the hidden state", h, x);
  if (c.defined()) check_shape(name, "hx[1]", c, {batch, hidden}, x);
  auto lengths = std::make_shared<const Lengths>(std::vector<int64_t>{batch});
  Layer l{name, cell, hidden, hidden, 1, lengths, lengths};
  Weights w{w_ih, w_hh, b_ih, b_hh, {}};
  check_weights(l, w, x.size(1), x);
  RnnResult r = rnn_layer(l, x, unsqueeze(h, 0), c.defined() ? unsqueeze(c, 0) : c, std::span(&w, 1));
  return {r.y, {}, c.defined() ? squeeze(r.c_n, Dims{0}) : Tensor()};
}

// ---- sequences of several lengths

// The rows (time, sequence) that are there, step after step, as positions in x flattened over its first two dimensions.
static Tensor positions(const std::vector<int64_t>& sizes, int64_t steps, int64_t batch, bool batch_first, Device device) {
  int64_t rows = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  Tensor at = empty({rows}, DType::int64);
  int64_t* p = at.data_as<int64_t>();
  for (size_t t = 0; t < sizes.size(); ++t)
    for (int64_t i = 0; i < sizes[t]; ++i) *p++ = batch_first ? i * steps + static_cast<int64_t>(t) : static_cast<int64_t>(t) * batch + i;
  return to_device(at, device);
}

static Dims merged(const Tensor& x, int64_t from) {  // sizes with one size for all dimensions before `from`
  Dims sizes{-1};
  for (int64_t d = from; d < x.dim(); ++d) sizes.push_back(x.sizes()[d]);
  return sizes;
}

std::tuple<Tensor, Tensor> pack_padded(const Tensor& x, const Tensor& lengths, bool batch_first) {
  const char* name = "pack_padded_sequence";
  check(x.dim() >= 2, name, ": Expected an input of at least 2 dimensions, got ", x.sizes());
  check(x.numel() > 0, name, ": Cannot pack empty tensors.");
  std::vector<int64_t> each = numbers(name, "lengths", lengths);
  int64_t batch = x.size(batch_first ? 0 : 1), steps = x.size(batch_first ? 1 : 0);
  check(static_cast<int64_t>(each.size()) == batch, name, ": Expected `len(lengths)` to be equal to batch_size, but got ", each.size(), " (batch_size=", batch, ")");
  for (size_t i = 0; i < each.size(); ++i) {
    check(each[i] > 0, name, ": Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0");
    check(i == 0 || each[i] <= each[i - 1], name, ": `lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
          "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability.");
  }
  check(each[0] <= steps, name, ": Expected no length above the input's ", steps, " steps, got ", each[0]);
  std::vector<int64_t> sizes(each[0]);
  for (int64_t t = 0, n = batch; t < each[0]; ++t) {
    while (each[n - 1] <= t) --n;
    sizes[t] = n;
  }
  Tensor batch_sizes = empty({each[0]}, DType::int64);
  std::copy(sizes.begin(), sizes.end(), batch_sizes.data_as<int64_t>());
  return {index_select(reshape(x, merged(x, 2)), 0, positions(sizes, steps, batch, batch_first, x.device())), batch_sizes};
}

std::tuple<Tensor, Tensor> pad_packed(const Tensor& rows, const Tensor& batch_sizes, bool batch_first, double padding_value, int64_t total_length) {
  const char* name = "pad_packed_sequence";
  auto lengths = lengths_of(name, batch_sizes);
  int64_t steps = lengths->steps(), batch = lengths->batch;
  check(steps > 0, name, ": batch_sizes is empty");
  check(rows.dim() > 0 && rows.size(0) == lengths->rows, name, ": batch_sizes add up to ", lengths->rows, " rows, but the data is ", rows.sizes());
  if (total_length > 0) {
    check_value(total_length >= steps, name, ": Expected total_length to be at least the length of the longest sequence in input, but got total_length=", total_length, " and max sequence length being ", steps);
    steps = total_length;
  }
  Dims sizes = batch_first ? Dims{batch, steps} : Dims{steps, batch}, flat{batch * steps};
  for (int64_t d = 1; d < rows.dim(); ++d) sizes.push_back(rows.sizes()[d]), flat.push_back(rows.sizes()[d]);
  Tensor padding = full(flat, Scalar(padding_value), rows.dtype(), rows.device());
  Tensor x = reshape(index_copy(padding, 0, positions(lengths->sizes, steps, batch, batch_first, rows.device()), rows), sizes);
  Tensor each = empty({batch}, DType::int64);
  int64_t* p = each.data_as<int64_t>();
  for (int64_t i = 0, t = lengths->steps(); i < batch; ++i) {
    while (lengths->sizes[t - 1] <= i) --t;
    p[i] = t;
  }
  return {x, each};
}

Tensor pad_sequence(Tensors xs, bool batch_first, double padding_value, bool left) {
  check(!xs.empty(), "pad_sequence: received an empty list of sequences");
  int64_t steps = 0;
  for (const Tensor& x : xs) {
    check(x.dim() > 0, "pad_sequence: sequences must have at least one dimension");
    steps = std::max(steps, x.size(0));
    bool fits = x.dim() == xs[0].dim();
    for (int64_t d = 1; fits && d < x.dim(); ++d) fits = x.sizes()[d] == xs[0].sizes()[d];
    check(fits, "pad_sequence: sequences may differ in their first dimension only, got ", xs[0].sizes(), " and ", x.sizes());
  }
  std::vector<Tensor> padded;
  for (const Tensor& x : xs) {
    std::vector<int64_t> widths(2 * x.dim(), 0);
    widths[2 * x.dim() - (left ? 2 : 1)] = steps - x.size(0);
    padded.push_back(steps == x.size(0) ? x : constant_pad_nd(x, widths, Scalar(padding_value)));
  }
  return stack(padded, batch_first ? 0 : 1);
}

}  // namespace tessel
