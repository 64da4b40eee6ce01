// Recurrent layers and cells in Python, and the packing of sequences of several lengths.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

using Pair = std::tuple<Tensor, Tensor>;
using Triple = std::tuple<Tensor, Tensor, Tensor>;

RnnOptions options(bool biases, int64_t layers, double dropout, bool training, bool bidirectional, bool batch_first = false) {
  return {biases, layers, dropout, training, bidirectional, batch_first};
}

Pair two(const RnnResult& r) { return {r.y, r.h_n}; }
Triple three(const RnnResult& r) { return {r.y, r.h_n, r.c_n}; }

void check_states(const char* name, const std::vector<Tensor>& hx) {
  check(hx.size() == 2, name, ": expects two hidden states, got ", hx.size());
}

#define TESSEL_SEQUENCE(hx) "(Tensor input, " hx ", Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first"
#define TESSEL_PACKED(hx) "(Tensor data, Tensor batch_sizes, " hx ", Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"

void bind_lstm() {
  add_op("lstm" TESSEL_SEQUENCE("Tensor[] hx") ") -> (Tensor, Tensor, Tensor)",
         +[](const Tensor& x, const std::vector<Tensor>& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional, bool batch_first) {
    check_states("lstm", hx);
    return three(rnn("lstm", Rnn::lstm, x, hx[0], hx[1], w, options(biases, layers, dropout, train, bidirectional, batch_first)));
  }, "Long short-term memory over input (time, batch, in): outputs, and the last h and c. hx: h and c (layers * directions, batch, ...).", kFunction);
  add_op("lstm" TESSEL_PACKED("Tensor[] hx") ") -> (Tensor, Tensor, Tensor)",
         +[](const Tensor& x, const Tensor& sizes, const std::vector<Tensor>& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional) {
    check_states("lstm", hx);
    return three(rnn_packed("lstm", Rnn::lstm, x, sizes, hx[0], hx[1], w, options(biases, layers, dropout, train, bidirectional)));
  }, "", kFunction);
  add_op("lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> (Tensor, Tensor)",
         +[](const Tensor& x, const std::vector<Tensor>& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) -> Pair {
    check_states("lstm_cell", hx);
    RnnResult r = rnn_cell("lstm_cell", Rnn::lstm, x, hx[0], hx[1], w_ih, w_hh, b_ih, b_hh);
    return {r.y, r.c_n};
  }, "One step of lstm: h and c (batch, hidden) from input (batch, in).", kFunction);
}

void bind_gru() {
  add_op("gru" TESSEL_SEQUENCE("Tensor hx") ", *, bool reset_after=True) -> (Tensor, Tensor)",
         +[](const Tensor& x, const Tensor& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional, bool batch_first, bool after) {
    return two(rnn("gru", after ? Rnn::gru : Rnn::gru_before, x, hx, {}, w, options(biases, layers, dropout, train, bidirectional, batch_first)));
  }, "Gated recurrent units over input (time, batch, in): outputs, and the last h. The reset gate multiplies the candidate's product with h or, without reset_after, h itself.", kFunction);
  add_op("gru" TESSEL_PACKED("Tensor hx") ", *, bool reset_after=True) -> (Tensor, Tensor)",
         +[](const Tensor& x, const Tensor& sizes, const Tensor& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional, bool after) {
    return two(rnn_packed("gru", after ? Rnn::gru : Rnn::gru_before, x, sizes, hx, {}, w, options(biases, layers, dropout, train, bidirectional)));
  }, "", kFunction);
  add_op("gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None, *, bool reset_after=True) -> Tensor",
         +[](const Tensor& x, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh, bool after) {
    return rnn_cell("gru_cell", after ? Rnn::gru : Rnn::gru_before, x, hx, {}, w_ih, w_hh, b_ih, b_hh).y;
  }, "One step of gru: h (batch, hidden) from input (batch, in).", kFunction);
}

// h = f(x w_ih^T + b_ih + h w_hh^T + b_hh)
template <Rnn cell>
void bind_plain(const char* f) {
  static const std::string name = std::string("rnn_") + f, cell_name = name + "_cell";
  static const std::string sequence = name + TESSEL_SEQUENCE("Tensor hx") ") -> (Tensor, Tensor)", packed = name + TESSEL_PACKED("Tensor hx") ") -> (Tensor, Tensor)";
  static const std::string one = cell_name + "(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor";
  add_op(sequence.c_str(), +[](const Tensor& x, const Tensor& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional, bool batch_first) {
    return two(rnn(name.c_str(), cell, x, hx, {}, w, options(biases, layers, dropout, train, bidirectional, batch_first)));
  }, "Elman recurrence over input (time, batch, in): outputs, and the last h (layers * directions, batch, hidden).", kFunction);
  add_op(packed.c_str(), +[](const Tensor& x, const Tensor& sizes, const Tensor& hx, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional) {
    return two(rnn_packed(name.c_str(), cell, x, sizes, hx, {}, w, options(biases, layers, dropout, train, bidirectional)));
  }, "", kFunction);
  add_op(one.c_str(), +[](const Tensor& x, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) {
    return rnn_cell(cell_name.c_str(), cell, x, hx, {}, w_ih, w_hh, b_ih, b_hh).y;
  }, "One step: h (batch, hidden) from input (batch, in).", kFunction);
}

#undef TESSEL_SEQUENCE
#undef TESSEL_PACKED

// What the layers of nn call: states that are not given are zeros, and are never made.
template <Rnn cell>
void bind_layer(const char* op) {
  static const std::string name = op;
  static const std::string signature = name + "(Tensor input, Tensor? batch_sizes, Tensor? hx, Tensor? cx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first, bool reset_after) -> (Tensor, Tensor, Tensor)";
  add_op(signature.c_str(), +[](const Tensor& x, const Tensor& sizes, const Tensor& h, const Tensor& c, const std::vector<Tensor>& w, bool biases, int64_t layers, double dropout, bool train, bool bidirectional, bool batch_first, bool after) {
    Rnn chosen = cell == Rnn::gru && !after ? Rnn::gru_before : cell;
    RnnOptions o = options(biases, layers, dropout, train, bidirectional, batch_first);
    return three(sizes.defined() ? rnn_packed(name.c_str(), chosen, x, sizes, h, c, w, o) : rnn(name.c_str(), chosen, x, h, c, w, o));
  }, "A recurrent layer: outputs, and the last h and, of an lstm, c.", kPrivate);
}

void bind_packing() {
  add_op("pack_padded(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)", &pack_padded,
         "The rows of padded sequences that are there, step after step, and how many each step has.", kPrivate);
  add_op("pad_packed(Tensor data, Tensor batch_sizes, bool batch_first, float padding_value, int total_length) -> (Tensor, Tensor)", &pad_packed,
         "pack_padded undone: padded sequences, and their lengths.", kPrivate);
  add_op("pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0.0, bool left=False) -> Tensor", &pad_sequence,
         "Sequences (steps, ...) stacked, the shorter ones padded.", kPrivate);
}

}  // namespace

void bind_rnn() {
  bind_lstm();
  bind_gru();
  bind_plain<Rnn::tanh>("tanh");
  bind_plain<Rnn::relu>("relu");
  bind_layer<Rnn::lstm>("lstm");
  bind_layer<Rnn::gru>("gru");
  bind_layer<Rnn::tanh>("rnn_tanh");
  bind_layer<Rnn::relu>("rnn_relu");
  bind_packing();
}

}  // namespace tessel::python
