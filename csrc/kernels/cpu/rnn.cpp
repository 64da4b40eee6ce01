// The steps of a recurrent layer, forward and backward: one product of the state and the recurrent weights a step, its sums
// taken to gates and state while they are in L1. The products over all steps at once are GEMM's, and the op's affair.
//
// What bounds it (docs/kernels/rnn.md): with many sequences arithmetic, as GEMM; with one, reading the weights once a step.
// Packed weights are kept over all steps. Two ways of sharing the work out, which give the same bits, for a sum runs over
// the whole depth in order: by sequences, which never meet, or by units, in step (Team).
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_work.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rnn_product.h"
#include "kernels/cpu/rows.h"
#include "kernels/functions.h"

namespace tessel::TESSEL_TARGET {
namespace {

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

constexpr bool is_gru(Rnn cell) { return cell == Rnn::gru || cell == Rnn::gru_before; }
bool projects(const RnnArgs& r) { return r.w_hr != nullptr; }
bool two_phases(const RnnArgs& r) { return projects(r) || r.cell == Rnn::gru_before; }

// GCC leaves the functions of the gates as calls, which costs them half their time.
#define TESSEL_FLATTEN __attribute__((flatten))

// A whole vector, or its first lanes: told apart when compiled, for nearly all are whole.
struct All {};
struct First { int n; };
template <class S> inline VecOf<S> get(const S* p, All) { return VecOf<S>::load(p); }
template <class S> inline VecOf<S> get(const S* p, First lanes) { return VecOf<S>::load(p, lanes.n); }
template <class S> inline void put(VecOf<S> v, S* p, All) { v.store(p); }
template <class S> inline void put(VecOf<S> v, S* p, First lanes) { v.store(p, lanes.n); }
template <class V, class F> inline void each_lanes(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) f(i, All{});
  if (i < n) f(i, First{int(n - i)});
}

// tanh for the gates, about half of math.h's work: x P(x^2) / Q(x^2) with the least relative error over +-8.6, beyond which
// it is 1 in float. With roundings at most 6 ulp from tanh, 0.6 in the mean; small x keep their digits.
inline Vec<float> squash(Vec<float> x) {
  using V = Vec<float>;
  x = greatest(V(-8.6), least(V(8.6), x));
  V t = x * x;
  V p = polynomial(t, 1, 0x1.1292b0p-3, 0x1.ce36bep-9, 0x1.6260a4p-16, 0x1.e3e0a6p-27);
  V q = polynomial(t, 1, 0x1.de9ea4p-2, 0x1.a9e27cp-6, 0x1.5dd5c4p-12, 0x1.b14b3ep-21);
  return greatest(V(-1), least(V(1), x * p / q));
}
inline Vec<double> squash(Vec<double> x) { return tanh(x); }

// Sums of a product: element (row, gate, unit) at p[row * lead + gate * gate_stride + unit].
template <class S> struct Sums {
  const S* p;
  int64_t lead, gate_stride;
  VecOf<S> operator()(int64_t row, int gate, int64_t unit, auto lanes) const {
    return get(p + row * lead + gate * gate_stride + unit, lanes);
  }
};

// About how many vector operations a gate takes, for sharing out.
constexpr int64_t kGateSteps = 16;

// State rows that lie a power of two apart would fall into one set of L1.
template <class S> constexpr int64_t kRowGap = 64 / int64_t(sizeof(S));

// ---- forward

template <class S, Rnn cell> struct Forward {
  using V = VecOf<S>;

  const RnnArgs& r;
  Blocks<S> main, second;      // h w_hh^T; and r h w_hn^T (gru_before) or h w_hr^T (projected)
  Blocks<S> main_input, second_input;  // where x is there: x w_ih^T, in blocks of the same units
  S* state[2] = {nullptr, nullptr};  // h before and after a step, in turns
  int64_t state_row;

  explicit Forward(const RnnArgs& args) : r(args), state_row(args.output + kRowGap<S>) {
    const int64_t h = r.hidden;
    if (cell == Rnn::gru_before) {
      main = Blocks<S>::of_rows(r.w_hh, h, h, 2);
      second = Blocks<S>::of_rows(static_cast<const S*>(r.w_hh) + 2 * h * h, h, h, 1);
      if (r.x) main_input = Blocks<S>::of_rows(r.w_ih, r.in, h, 2);
      if (r.x) second_input = Blocks<S>::of_rows(static_cast<const S*>(r.w_ih) + 2 * h * r.in, r.in, h, 1);
    } else {
      const int gates = cell == Rnn::lstm ? 4 : cell == Rnn::gru ? 3 : 1;
      main = Blocks<S>::of_rows(r.w_hh, r.output, h, gates);
      if (r.x) main_input = Blocks<S>::of_rows(r.w_ih, r.in, h, gates);
      if (projects(r)) second = Blocks<S>::of_rows(r.w_hr, h, r.output, 1);
    }
  }

  static constexpr int kBlocks = 4;
  const Blocks<S>& blocks(int i) const { return i == 0 ? main : i == 1 ? second : i == 2 ? main_input : second_input; }
  Blocks<S>& blocks(int i) { return const_cast<Blocks<S>&>(static_cast<const Forward*>(this)->blocks(i)); }
  int64_t state_bytes() const { return round_up(2 * r.batch * state_row * int64_t(sizeof(S)), 64); }
  int64_t phases() const { return r.steps * (two_phases(r) ? 2 : 1); }

  void begin(char* scratch) {
    state[0] = reinterpret_cast<S*>(scratch);
    state[1] = state[0] + r.batch * state_row;
    for (int64_t i = 0; i < r.batch; ++i) {
      for (S* half : state) {
        S* to = half + i * state_row;
        if (r.h0) memcpy(to, static_cast<const S*>(r.h0) + i * r.output, size_t(r.output) * sizeof(S));
        else memset(to, 0, size_t(r.output) * sizeof(S));
      }
    }
    if (cell != Rnn::lstm) return;
    const size_t bytes = size_t(r.batch * r.hidden) * sizeof(S);  // c_n is the running c
    if (r.c0) memcpy(r.c_n, r.c0, bytes);
    else memset(r.c_n, 0, bytes);
  }

  struct Product {
    const Blocks<S>& blocks;
    const S* a;
    int64_t a_row;
    const Blocks<S>& input;
  };
  Product product(int64_t step, bool is_second) const {
    const int64_t row = r.first[step];
    if (!is_second) return {main, state[step & 1], state_row, main_input};
    if (cell == Rnn::lstm) return {second, static_cast<const S*>(r.unprojected) + row * r.hidden, r.hidden, second_input};
    return {second, gates_at(row) + 3 * r.hidden, r.gates_row, second_input};
  }

  // Blocks [block, end) of rows [row, row_end) of the batch.
  void run(int64_t phase, int64_t block, int64_t end, int64_t row, int64_t row_end) const {
    const bool is_second = two_phases(r) && phase % 2;
    const int64_t step = two_phases(r) ? phase / 2 : phase;
    row_end = least(row_end, r.sizes[step]);
    if (row >= row_end) return;
    const Product x = product(step, is_second);
    const Blocks<S>& b = x.blocks;
    const int64_t limit = most_rows(b.all_vectors()), strips = (row_end - row + limit - 1) / limit;
    alignas(64) S sums[kSums * Simd<S>::width], input[kSums * Simd<S>::width];
    for (; block < end; ++block) {
      const typename Blocks<S>::OfBlock multiply{block};
      for (int64_t n = 0; n < strips; ++n) {
        const int64_t i = row + (row_end - row) * n / strips, rows = row + (row_end - row) * (n + 1) / strips - i;
        if (x.input.blocks) {
          const S* from = static_cast<const S*>(r.x) + (r.first[step] + i) * r.x_row;
          multiply(x.input, rows, from, r.x_row, input, 0, r.in, false);
        }
        multiply(b, rows, x.a + i * x.a_row, x.a_row, sums, 0, b.k, false);
        const Sums<S> products = {sums, b.lead(), b.width()}, inputs = {x.input.blocks ? input : nullptr, b.lead(), b.width()};
        finish(step, is_second, i, rows, block * b.width(), b.units_of(block), products, inputs);
      }
    }
  }

  void run_whole(int64_t phase, S* sums, void* scratch) const {
    const bool is_second = two_phases(r) && phase % 2;
    const int64_t step = two_phases(r) ? phase / 2 : phase, rows = r.sizes[step];
    const Product x = product(step, is_second);
    const Blocks<S>& b = x.blocks;
    typename Blocks<S>::OfWhole{scratch}(b, rows, x.a, x.a_row, sums, 0, b.k, false);
    auto part = [&](int64_t begin, int64_t end, int) {
      const Flush flush;
      finish(step, is_second, begin, end - begin, 0, b.units, {sums + begin * b.gates * b.units, b.gates * b.units, b.units}, {nullptr, 0, 0});
    };
    for_tasks(rows, b.gates * b.units * kGateSteps / V::width, true, part);
  }

  TESSEL_FLATTEN void finish(int64_t step, bool is_second, int64_t i, int64_t rows, int64_t j, int64_t n, Sums<S> sums, Sums<S> inputs) const {
    for (int64_t q = 0; q < rows; ++q) {
      each_lanes<V>(n, [&](int64_t u, auto lanes) {
        const Spot at = {step, i + q, r.first[step] + i + q, j + u, q, u, sums, inputs};
        if constexpr (cell == Rnn::lstm) {
          if (is_second) put_h(at, lanes, sums(q, 0, u, lanes));
          else lstm(at, lanes);
        } else if constexpr (cell == Rnn::gru) {
          gru(at, lanes);
        } else if constexpr (cell == Rnn::gru_before) {
          if (is_second) gru_candidate(at, lanes);
          else gru_gates(at, lanes);
        } else {
          put_h(at, lanes, nonlinear(input(at, 0, 0, lanes) + recurrent(at, 0, 0, lanes)));
        }
      });
    }
  }

 private:
  // A vector of units of one sequence in one step, and where its sums are.
  struct Spot {
    int64_t step, sequence, row, unit, q, u;
    const Sums<S>& sums;
    const Sums<S>& inputs;
  };

  S* gates_at(int64_t row) const { return static_cast<S*>(r.gates) + row * r.gates_row; }
  V kept(const Spot& at, int g, auto lanes) const { return get(gates_at(at.row) + g * r.hidden + at.unit, lanes); }
  void keep(const Spot& at, int g, auto lanes, V v) const { put(v, gates_at(at.row) + g * r.hidden + at.unit, lanes); }
  V bias(const void* all, int g, const Spot& at, auto lanes) const {
    return all ? get(static_cast<const S*>(all) + g * r.hidden + at.unit, lanes) : V(0);
  }
  // What the input and what the state gives to gate g, which is part `of` the product's.
  V input(const Spot& at, int g, int of, auto lanes) const {
    return at.inputs.p ? at.inputs(at.q, of, at.u, lanes) + bias(r.b_ih, g, at, lanes) : kept(at, g, lanes);
  }
  V recurrent(const Spot& at, int g, int of, auto lanes) const { return at.sums(at.q, of, at.u, lanes) + bias(r.b_hh, g, at, lanes); }
  V gate(const Spot& at, int g, auto lanes) const { return sigmoid(input(at, g, g, lanes) + recurrent(at, g, g, lanes)); }

  static V nonlinear(V x) {
    if constexpr (cell == Rnn::relu) return Function<Unary::relu>::value(x, Params{});
    else return squash(x);
  }
  V before(const Spot& at, auto lanes) const { return get(state[at.step & 1] + at.sequence * state_row + at.unit, lanes); }
  void put_h(const Spot& at, auto lanes, V h) const {
    put(h, static_cast<S*>(r.y) + at.row * r.y_row + at.unit, lanes);
    put(h, state[(at.step + 1) & 1] + at.sequence * state_row + at.unit, lanes);
    const int64_t following = at.step + 1 < r.steps ? r.sizes[at.step + 1] : 0;
    if (at.sequence >= following) put(h, static_cast<S*>(r.h_n) + at.sequence * r.output + at.unit, lanes);
  }

  void lstm(const Spot& at, auto lanes) const {
    V in = gate(at, 0, lanes), forget = gate(at, 1, lanes), out = gate(at, 3, lanes);
    V fresh = squash(input(at, 2, 2, lanes) + recurrent(at, 2, 2, lanes));
    S* running = static_cast<S*>(r.c_n) + at.sequence * r.hidden + at.unit;
    V c = fma(forget, get(running, lanes), in * fresh);
    V h = out * squash(c);
    put(c, running, lanes);
    if (r.keep) {
      keep(at, 0, lanes, in);
      keep(at, 1, lanes, forget);
      keep(at, 2, lanes, fresh);
      keep(at, 3, lanes, out);
      put(c, static_cast<S*>(r.c) + at.row * r.hidden + at.unit, lanes);
    }
    if (projects(r)) put(h, static_cast<S*>(r.unprojected) + at.row * r.hidden + at.unit, lanes);
    else put_h(at, lanes, h);
  }

  void gru(const Spot& at, auto lanes) const {
    V reset = gate(at, 0, lanes), update = gate(at, 1, lanes), part = recurrent(at, 2, 2, lanes);
    V fresh = squash(fma(reset, part, input(at, 2, 2, lanes)));
    if (r.keep) {
      keep(at, 0, lanes, reset);
      keep(at, 1, lanes, update);
      keep(at, 2, lanes, fresh);
      keep(at, 3, lanes, part);
    }
    put_h(at, lanes, fma(update, before(at, lanes) - fresh, fresh));
  }

  void gru_gates(const Spot& at, auto lanes) const {
    V reset = gate(at, 0, lanes);
    keep(at, 1, lanes, gate(at, 1, lanes));
    keep(at, 3, lanes, reset * before(at, lanes));
    if (r.keep) keep(at, 0, lanes, reset);
  }
  void gru_candidate(const Spot& at, auto lanes) const {
    V fresh = squash(input(at, 2, 0, lanes) + recurrent(at, 2, 0, lanes));
    if (r.keep) keep(at, 2, lanes, fresh);
    put_h(at, lanes, fma(kept(at, 1, lanes), before(at, lanes) - fresh, fresh));
  }
};

// ---- backward: steps in the other order. dh0 (where nobody wants it, scratch in its place) and dc0 run along: what is known
// so far of the gradients of the state before the step last done, for sequences not yet reached those of h_n and c_n. The
// main phase of a step completes dh, by the product of the step after it, and takes it to the gates.

template <class S, Rnn cell> struct Backward {
  using V = VecOf<S>;

  const RnnArgs& r;
  Blocks<S> main, second;      // dq w_hh; and dn w_hn (gru_before) or dh w_hr (projected)
  int64_t dgates_row;
  S* dh = static_cast<S*>(r.dh0);

  explicit Backward(const RnnArgs& args) : r(args) {
    const int64_t h = r.hidden;
    if (cell == Rnn::gru_before) {
      main = Blocks<S>::of_columns(r.w_hh, 2 * h, h);
      second = Blocks<S>::of_columns(static_cast<const S*>(r.w_hh) + 2 * h * h, h, h);
      dgates_row = 3 * h;
    } else {
      main = Blocks<S>::of_columns(r.w_hh, (cell == Rnn::lstm ? 4 : cell == Rnn::gru ? 3 : 1) * h, r.output);
      if (projects(r)) second = Blocks<S>::of_columns(r.w_hr, r.output, h);
      dgates_row = is_gru(cell) || cell == Rnn::lstm ? 4 * h : h;
    }
  }

  static constexpr int kBlocks = 2;
  const Blocks<S>& blocks(int i) const { return i ? second : main; }
  Blocks<S>& blocks(int i) { return i ? second : main; }
  int64_t state_bytes() const { return r.dh0 ? 0 : round_up(r.batch * r.output * int64_t(sizeof(S)), 64); }
  int64_t phases() const { return r.steps * (two_phases(r) ? 2 : 1) + (r.dh0 ? 1 : 0); }

  void begin(char* scratch) {
    if (!r.dh0) dh = reinterpret_cast<S*>(scratch);
    start(dh, r.dh_n, r.output);
    if (cell == Rnn::lstm) start(r.dc0, r.dc_n, r.hidden);
  }

  void run(int64_t phase, int64_t block, int64_t end, int64_t row, int64_t row_end) const {
    const Place at = place(phase);
    row_end = least(row_end, at.rows());
    if (row >= row_end) return;
    const Blocks<S>& b = at.is_second ? second : main;
    const int64_t limit = most_rows(b.all_vectors()), strips = (row_end - row + limit - 1) / limit;
    alignas(64) S sums[kSums * Simd<S>::width];
    for (; block < end; ++block) {
      for (int64_t n = 0; n < strips; ++n) {
        const int64_t i = row + (row_end - row) * n / strips, rows = row + (row_end - row) * (n + 1) / strips - i;
        const int64_t products = least(most(at.products - i, 0), rows);
        if (products) multiply(typename Blocks<S>::OfBlock{block}, at, i, products, sums);
        finish(at, i, rows, products, block * b.width(), b.units_of(block), {sums, b.lead(), b.width()});
      }
    }
  }

  void run_whole(int64_t phase, S* sums, void* scratch) const {
    const Place at = place(phase);
    const Blocks<S>& b = at.is_second ? second : main;
    if (at.products) multiply(typename Blocks<S>::OfWhole{scratch}, at, 0, at.products, sums);
    auto part = [&](int64_t begin, int64_t end, int) {
      const Flush flush;
      finish(at, begin, end - begin, least(most(at.products - begin, 0), end - begin), 0, b.units, {sums + begin * b.units, b.units, b.units});
    };
    for_tasks(at.rows(), b.units * kGateSteps / V::width, true, part);
  }

 private:
  void start(void* to, const void* from, int64_t width) {
    const size_t bytes = size_t(r.batch * width) * sizeof(S);
    if (from) memcpy(to, from, bytes);
    else memset(to, 0, bytes);
  }

  // A phase: how many sequences have a product in it, and how many have reached its step. Step -1 has the product of step 0.
  struct Place {
    bool is_second;
    int64_t step, products, reached;
    int64_t rows() const { return most(products, reached); }
  };
  Place place(int64_t phase) const {
    const bool is_second = two_phases(r) && phase % 2;
    const int64_t step = r.steps - 1 - (two_phases(r) ? phase / 2 : phase), reached = step >= 0 ? r.sizes[step] : 0;
    return {is_second, step, is_second ? reached : step + 1 < r.steps ? r.sizes[step + 1] : 0, reached};
  }

  S* dgates_at(int64_t row) const { return static_cast<S*>(r.dgates) + row * dgates_row; }

  template <class Multiply> void multiply(Multiply product, const Place& at, int64_t i, int64_t rows, S* sums) const {
    const int64_t h = r.hidden;
    if (at.is_second && cell == Rnn::lstm) {
      product(second, rows, static_cast<const S*>(r.dprojected) + (r.first[at.step] + i) * r.output, r.output, sums, 0, second.k, false);
    } else if (at.is_second) {
      product(second, rows, dgates_at(r.first[at.step] + i) + 2 * h, dgates_row, sums, 0, h, false);
    } else {
      const S* a = dgates_at(r.first[at.step + 1] + i);
      product(main, rows, a, dgates_row, sums, 0, cell == Rnn::gru ? 2 * h : main.k, false);
      if (cell == Rnn::gru) product(main, rows, a + 3 * h, dgates_row, sums, 2 * h, h, true);  // dn stands between dz and dq_n
    }
  }

  V gate(int64_t step, int64_t i, int g, int64_t unit, auto lanes) const {
    return get(static_cast<const S*>(r.gates) + (r.first[step] + i) * r.gates_row + g * r.hidden + unit, lanes);
  }
  void put_gate(int64_t step, int64_t i, int g, int64_t unit, auto lanes, V v) const {
    put(v, dgates_at(r.first[step] + i) + g * r.hidden + unit, lanes);
  }
  V before(const void* all, int64_t all_row, const void* at_first, int64_t width, int64_t step, int64_t i, int64_t unit, auto lanes) const {
    if (step > 0 && i < r.sizes[step - 1]) return get(static_cast<const S*>(all) + (r.first[step - 1] + i) * all_row + unit, lanes);
    return at_first ? get(static_cast<const S*>(at_first) + i * width + unit, lanes) : V(0);
  }
  V h_before(int64_t step, int64_t i, int64_t unit, auto lanes) const { return before(r.y, r.y_row, r.h0, r.output, step, i, unit, lanes); }
  V c_before(int64_t step, int64_t i, int64_t unit, auto lanes) const { return before(r.c, r.hidden, r.c0, r.hidden, step, i, unit, lanes); }

  TESSEL_FLATTEN void finish(const Place& at, int64_t i, int64_t rows, int64_t products, int64_t j, int64_t n, Sums<S> sums) const {
    for (int64_t q = 0; q < rows; ++q)
      each_lanes<V>(n, [&](int64_t u, auto lanes) {
        V sum = q < products ? sums(q, 0, u, lanes) : V(0);
        if (!at.is_second) state(at.step, i + q, j + u, lanes, q < products, sum);
        else if constexpr (cell == Rnn::lstm) lstm(at.step, i + q, j + u, lanes, sum);
        else if constexpr (cell == Rnn::gru_before) gru_reset(at.step, i + q, j + u, lanes, sum);
      });
  }

  // dh of a row is complete: what the step after has left for it, or passes on through its product.
  void state(int64_t step, int64_t i, int64_t unit, auto lanes, bool has_product, V sum) const {
    S* running = dh + i * r.output + unit;
    V dy = !has_product ? get(running, lanes) : is_gru(cell) ? get(running, lanes) + sum : sum;
    if (step < 0 || i >= r.sizes[step]) {
      put(dy, running, lanes);
      return;
    }
    if (r.dy) dy = dy + get(static_cast<const S*>(r.dy) + (r.first[step] + i) * r.dy_row + unit, lanes);
    if (r.h_before) put(h_before(step, i, unit, lanes), static_cast<S*>(r.h_before) + (r.first[step] + i) * r.output + unit, lanes);
    if constexpr (cell == Rnn::lstm) {
      if (projects(r)) put(dy, static_cast<S*>(r.dprojected) + (r.first[step] + i) * r.output + unit, lanes);
      else lstm(step, i, unit, lanes, dy);
    } else if constexpr (is_gru(cell)) {
      gru(step, i, unit, lanes, dy, running);
    } else {
      V y = get(static_cast<const S*>(r.y) + (r.first[step] + i) * r.y_row + unit, lanes);
      put_gate(step, i, 0, unit, lanes, Function<cell == Rnn::relu ? Unary::relu : Unary::tanh>::grad(y, y, dy, Params{}));
    }
  }

  void lstm(int64_t step, int64_t i, int64_t unit, auto lanes, V dy) const {
    V in = gate(step, i, 0, unit, lanes), forget = gate(step, i, 1, unit, lanes), fresh = gate(step, i, 2, unit, lanes), out = gate(step, i, 3, unit, lanes);
    V squashed = squash(get(static_cast<const S*>(r.c) + (r.first[step] + i) * r.hidden + unit, lanes));
    S* running = static_cast<S*>(r.dc0) + i * r.hidden + unit;
    V dc = fma(dy * out, V(1) - squashed * squashed, get(running, lanes));
    put(dc * forget, running, lanes);
    put_gate(step, i, 0, unit, lanes, dc * fresh * (in * (V(1) - in)));
    put_gate(step, i, 1, unit, lanes, dc * c_before(step, i, unit, lanes) * (forget * (V(1) - forget)));
    put_gate(step, i, 2, unit, lanes, dc * in * (V(1) - fresh * fresh));
    put_gate(step, i, 3, unit, lanes, dy * squashed * (out * (V(1) - out)));
  }

  void gru(int64_t step, int64_t i, int64_t unit, auto lanes, V dy, S* running) const {
    V reset = gate(step, i, 0, unit, lanes), update = gate(step, i, 1, unit, lanes), fresh = gate(step, i, 2, unit, lanes);
    V dfresh = dy * (V(1) - update) * (V(1) - fresh * fresh);
    put_gate(step, i, 1, unit, lanes, dy * (h_before(step, i, unit, lanes) - fresh) * (update * (V(1) - update)));
    put_gate(step, i, 2, unit, lanes, dfresh);
    if (cell == Rnn::gru_before) {
      put(dy, running, lanes);  // gru_reset has the rest
      return;
    }
    put_gate(step, i, 0, unit, lanes, dfresh * gate(step, i, 3, unit, lanes) * (reset * (V(1) - reset)));
    put_gate(step, i, 3, unit, lanes, dfresh * reset);
    put(dy * update, running, lanes);
  }

  void gru_reset(int64_t step, int64_t i, int64_t unit, auto lanes, V dreset_h) const {
    V reset = gate(step, i, 0, unit, lanes), update = gate(step, i, 1, unit, lanes);
    S* running = dh + i * r.output + unit;
    put_gate(step, i, 0, unit, lanes, dreset_h * h_before(step, i, unit, lanes) * (reset * (V(1) - reset)));
    put(fma(get(running, lanes), update, dreset_h * reset), running, lanes);
  }
};

// ---- sharing out

// How the work is done. Only `whole`, which the shape decides, changes the order of a sum.
struct Way {
  bool whole;                 // few rows in all, or one step: packed weights would not be read again
  int64_t by_rows, by_units;  // parts of the batch, whose sequences never meet; or parts of the units, in step. One of them is 1
};

constexpr int64_t kFewRows = 8;
constexpr int64_t kPartRows = 16;            // sequences that are worth a pass over the weights of their own
constexpr int64_t kTeamWork = 32 * 1024;     // multiply-adds of a step from which threads go in step
constexpr int64_t kWork = 256 * 1024;        // multiply-adds of everything from which threads are called at all

template <class Pass> Way way_of(const Pass& pass, const RnnArgs& r) {
  const int64_t threads = num_threads(), weights = pass.main.k * pass.main.units * pass.main.gates;
  int64_t rows = 0;
  for (int64_t step = 0; step < r.steps; ++step) rows += r.sizes[step];
  if (rows <= kFewRows || r.steps == 1) return {true, 1, 1};
  if (threads == 1 || weights * rows < kWork) return {false, 1, 1};
  if (r.batch >= threads * kPartRows) return {false, threads, 1};
  if (weights * r.batch >= kTeamWork) return {false, 1, least(threads, pass.main.blocks)};
  return {false, 1, 1};
}

// Scratch: the state, then the packed weights and what the team needs, or the sums of a whole product and what GEMM needs.
template <class S> int64_t sums_bytes(const Blocks<S>& b, int64_t rows) { return round_up(rows * b.gates * b.units * int64_t(sizeof(S)), 64); }
template <class S> int64_t whole_scratch(const Blocks<S>& b, const RnnArgs& r) {
  int64_t bytes = 0;
  for (int64_t step = 0; step < r.steps; ++step)
    for (int64_t part = 1; part <= 3; ++part)  // of a gru's three gates the product is taken in parts
      bytes = most(bytes, gemm_scratch(b.whole(r.sizes[step], nullptr, b.k, nullptr, 0, part * b.k / 3, false)));
  return bytes;
}

template <class Pass> int64_t pass_scratch(const Pass& pass, const RnnArgs& r) {
  const Way way = way_of(pass, r);
  if (way.whole) {
    const int64_t sums = most(sums_bytes(pass.main, r.batch), sums_bytes(pass.second, r.batch));
    return pass.state_bytes() + sums + most(whole_scratch(pass.main, r), whole_scratch(pass.second, r));
  }
  int64_t bytes = pass.state_bytes() + Team::bytes(way.by_units);
  for (int i = 0; i < Pass::kBlocks; ++i) bytes += round_up(pass.blocks(i).bytes(), 64);
  return bytes;
}

template <class Pass> void run_pass(Pass& pass, const RnnArgs& r, char* scratch) {
  using S = typename Pass::V::Lane;
  const Way way = way_of(pass, r);
  const int64_t phases = pass.phases();
  pass.begin(scratch), scratch += pass.state_bytes();
  if (way.whole) {
    const Flush flush;
    S* sums = reinterpret_cast<S*>(scratch);
    scratch += most(sums_bytes(pass.main, r.batch), sums_bytes(pass.second, r.batch));
    for (int64_t phase = 0; phase < phases; ++phase) pass.run_whole(phase, sums, scratch);
    return;
  }
  int64_t all_blocks = 0;
  for (int i = 0; i < Pass::kBlocks; ++i) {
    pass.blocks(i).packed = reinterpret_cast<S*>(scratch), scratch += round_up(pass.blocks(i).bytes(), 64);
    all_blocks += pass.blocks(i).blocks;
  }
  auto blocks_of = [&](int64_t phase) { return two_phases(r) && phase % 2 ? pass.second.blocks : pass.main.blocks; };

  if (way.by_units > 1) {  // phase 0 packs: every thread what it will read
    Team team(phases + 1, way.by_units, scratch);
    auto part = [&](int64_t phase, int64_t n) {
      auto cut = [&](int64_t blocks, int64_t at) { return blocks * at / way.by_units; };
      if (phase == 0) {
        for (int i = 0; i < Pass::kBlocks; ++i) {
          const auto& b = pass.blocks(i);
          for (int64_t block = cut(b.blocks, n); block < cut(b.blocks, n + 1); ++block) b.pack(block);
        }
      } else {
        const int64_t blocks = blocks_of(phase - 1);
        pass.run(phase - 1, cut(blocks, n), cut(blocks, n + 1), 0, r.batch);
      }
    };
    auto work = [&](int64_t begin, int64_t end, int) {
      const Flush flush;
      for (int64_t own = begin; own < end; ++own) team.work(own, part);
    };
    for_tasks(way.by_units, kPieceSteps, true, work);
    return;
  }

  auto pack = [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      int64_t block = n;
      int i = 0;
      for (; block >= pass.blocks(i).blocks; ++i) block -= pass.blocks(i).blocks;
      pass.blocks(i).pack(block);
    }
  };
  for_tasks(all_blocks, pass.main.k * pass.main.lead() / 8, way.by_rows > 1, pack);
  auto rows = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t part = begin; part < end; ++part)
      for (int64_t phase = 0; phase < phases; ++phase)
        pass.run(phase, 0, blocks_of(phase), r.batch * part / way.by_rows, r.batch * (part + 1) / way.by_rows);
  };
  for_tasks(way.by_rows, kPieceSteps, way.by_rows > 1, rows);
}

// f.template operator()<S, cell>() for the dtype and the cell.
template <class S, class F> auto with_cell(Rnn cell, const F& f) {
  switch (cell) {
    case Rnn::tanh: return f.template operator()<S, Rnn::tanh>();
    case Rnn::relu: return f.template operator()<S, Rnn::relu>();
    case Rnn::lstm: return f.template operator()<S, Rnn::lstm>();
    case Rnn::gru: return f.template operator()<S, Rnn::gru>();
    default: return f.template operator()<S, Rnn::gru_before>();
  }
}
template <class F> auto with_cell(const RnnArgs& r, const F& f) {
  return r.dtype == DType::float64 ? with_cell<double>(r.cell, f) : with_cell<float>(r.cell, f);
}

}  // namespace

int64_t rnn_scratch(const RnnArgs& r) {
  return with_cell(r, [&]<class S, Rnn cell>() { return pass_scratch(Forward<S, cell>(r), r); });
}

void rnn(const RnnArgs& r, void* scratch) {
  if (r.batch == 0) return;  // every array is empty, and may be null
  with_cell(r, [&]<class S, Rnn cell>() {
    Forward<S, cell> pass(r);
    run_pass(pass, r, static_cast<char*>(scratch));
  });
}

int64_t rnn_backward_scratch(const RnnArgs& r) {
  return with_cell(r, [&]<class S, Rnn cell>() { return pass_scratch(Backward<S, cell>(r), r); });
}

void rnn_backward(const RnnArgs& r, void* scratch) {
  if (r.batch == 0) return;
  with_cell(r, [&]<class S, Rnn cell>() {
    Backward<S, cell> pass(r);
    run_pass(pass, r, static_cast<char*>(scratch));
  });
}

}  // namespace tessel::TESSEL_TARGET
