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

// State rows that lie a power of two apart would fall into one set of L1.
template <class S> constexpr int64_t kRowGap = 64 / int64_t(sizeof(S));

// ---- forward

template <class S, Rnn cell> struct Forward {
  using V = VecOf<S>;

  const RnnArgs& r;
  Blocks<S> main, second;      // h w_hh^T; and r h w_hn^T (gru_before) or h w_hr^T (projected)
  S* state[2] = {nullptr, nullptr};  // h before and after a step, in turns
  int64_t state_row;

  explicit Forward(const RnnArgs& args) : r(args), state_row(args.output + kRowGap<S>) {
    const int64_t h = r.hidden;
    if (cell == Rnn::gru_before) {
      main = Blocks<S>::of_rows(r.w_hh, h, h, 2);
      second = Blocks<S>::of_rows(static_cast<const S*>(r.w_hh) + 2 * h * h, h, h, 1);
    } else {
      main = Blocks<S>::of_rows(r.w_hh, r.output, h, cell == Rnn::lstm ? 4 : cell == Rnn::gru ? 3 : 1);
      if (projects(r)) second = Blocks<S>::of_rows(r.w_hr, h, r.output, 1);
    }
  }

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
  };
  Product product(int64_t step, bool is_second) const {
    const int64_t row = r.first[step];
    if (!is_second) return {main, state[step & 1], state_row};
    if (cell == Rnn::lstm) return {second, static_cast<const S*>(r.unprojected) + row * r.hidden, r.hidden};
    return {second, gates_at(row) + 3 * r.hidden, r.gates_row};
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
    alignas(64) S sums[kSums * Simd<S>::width];
    for (; block < end; ++block) {
      for (int64_t n = 0; n < strips; ++n) {
        const int64_t i = row + (row_end - row) * n / strips, rows = row + (row_end - row) * (n + 1) / strips - i;
        typename Blocks<S>::OfBlock{block}(b, rows, x.a + i * x.a_row, x.a_row, sums, 0, b.k, false);
        finish(step, is_second, i, rows, block * b.width(), b.units_of(block), {sums, b.lead(), b.width()});
      }
    }
  }

  void run_whole(int64_t phase, S* sums, void* scratch) const {
    const bool is_second = two_phases(r) && phase % 2;
    const int64_t step = two_phases(r) ? phase / 2 : phase, rows = r.sizes[step];
    const Product x = product(step, is_second);
    const Blocks<S>& b = x.blocks;
    typename Blocks<S>::OfWhole{scratch}(b, rows, x.a, x.a_row, sums, 0, b.k, false);
    finish(step, is_second, 0, rows, 0, b.units, {sums, b.gates * b.units, b.units});
  }

  TESSEL_FLATTEN void finish(int64_t step, bool is_second, int64_t i, int64_t rows, int64_t j, int64_t n, Sums<S> sums) const {
    for (int64_t q = 0; q < rows; ++q) {
      each_lanes<V>(n, [&](int64_t u, auto lanes) {
        const int64_t at = i + q, unit = j + u;
        if constexpr (cell == Rnn::lstm) {
          if (is_second) put_h(step, at, unit, lanes, sums(q, 0, u, lanes));
          else lstm(step, at, unit, lanes, sums, q, u);
        } else if constexpr (cell == Rnn::gru) {
          gru(step, at, unit, lanes, sums, q, u);
        } else if constexpr (cell == Rnn::gru_before) {
          if (is_second) gru_candidate(step, at, unit, lanes, sums(q, 0, u, lanes));
          else gru_gates(step, at, unit, lanes, sums, q, u);
        } else {
          V x = gate(step, at, 0, unit, lanes) + (sums(q, 0, u, lanes) + bias(0, unit, lanes));
          put_h(step, at, unit, lanes, nonlinear(x));
        }
      });
    }
  }

 private:
  S* gates_at(int64_t row) const { return static_cast<S*>(r.gates) + row * r.gates_row; }
  V gate(int64_t step, int64_t i, int g, int64_t unit, auto lanes) const {
    return get(gates_at(r.first[step] + i) + g * r.hidden + unit, lanes);
  }
  void put_gate(int64_t step, int64_t i, int g, int64_t unit, auto lanes, V v) const {
    put(v, gates_at(r.first[step] + i) + g * r.hidden + unit, lanes);
  }
  V bias(int g, int64_t unit, auto lanes) const {
    return r.b_hh ? get(static_cast<const S*>(r.b_hh) + g * r.hidden + unit, lanes) : V(0);
  }
  static V nonlinear(V x) {
    if constexpr (cell == Rnn::relu) return Function<Unary::relu>::value(x, Params{});
    else return squash(x);
  }
  V before(int64_t step, int64_t i, int64_t unit, auto lanes) const { return get(state[step & 1] + i * state_row + unit, lanes); }
  void put_h(int64_t step, int64_t i, int64_t unit, auto lanes, V h) const {
    put(h, static_cast<S*>(r.y) + (r.first[step] + i) * r.y_row + unit, lanes);
    put(h, state[(step + 1) & 1] + i * state_row + unit, lanes);
    const int64_t following = step + 1 < r.steps ? r.sizes[step + 1] : 0;
    if (i >= following) put(h, static_cast<S*>(r.h_n) + i * r.output + unit, lanes);
  }

  void lstm(int64_t step, int64_t at, int64_t unit, auto lanes, Sums<S> sums, int64_t q, int64_t u) const {
    V in = sigmoid(gate(step, at, 0, unit, lanes) + (sums(q, 0, u, lanes) + bias(0, unit, lanes)));
    V forget = sigmoid(gate(step, at, 1, unit, lanes) + (sums(q, 1, u, lanes) + bias(1, unit, lanes)));
    V fresh = squash(gate(step, at, 2, unit, lanes) + (sums(q, 2, u, lanes) + bias(2, unit, lanes)));
    V out = sigmoid(gate(step, at, 3, unit, lanes) + (sums(q, 3, u, lanes) + bias(3, unit, lanes)));
    S* running = static_cast<S*>(r.c_n) + at * r.hidden + unit;
    V c = fma(forget, get(running, lanes), in * fresh);
    V h = out * squash(c);
    put(c, running, lanes);
    if (r.keep) {
      put_gate(step, at, 0, unit, lanes, in);
      put_gate(step, at, 1, unit, lanes, forget);
      put_gate(step, at, 2, unit, lanes, fresh);
      put_gate(step, at, 3, unit, lanes, out);
      put(c, static_cast<S*>(r.c) + (r.first[step] + at) * r.hidden + unit, lanes);
    }
    if (projects(r)) put(h, static_cast<S*>(r.unprojected) + (r.first[step] + at) * r.hidden + unit, lanes);
    else put_h(step, at, unit, lanes, h);
  }

  void gru(int64_t step, int64_t at, int64_t unit, auto lanes, Sums<S> sums, int64_t q, int64_t u) const {
    V reset = sigmoid(gate(step, at, 0, unit, lanes) + (sums(q, 0, u, lanes) + bias(0, unit, lanes)));
    V update = sigmoid(gate(step, at, 1, unit, lanes) + (sums(q, 1, u, lanes) + bias(1, unit, lanes)));
    V part = sums(q, 2, u, lanes) + bias(2, unit, lanes);
    V fresh = squash(fma(reset, part, gate(step, at, 2, unit, lanes)));
    if (r.keep) {
      put_gate(step, at, 0, unit, lanes, reset);
      put_gate(step, at, 1, unit, lanes, update);
      put_gate(step, at, 2, unit, lanes, fresh);
      put_gate(step, at, 3, unit, lanes, part);
    }
    put_h(step, at, unit, lanes, fma(update, before(step, at, unit, lanes) - fresh, fresh));
  }

  void gru_gates(int64_t step, int64_t at, int64_t unit, auto lanes, Sums<S> sums, int64_t q, int64_t u) const {
    V reset = sigmoid(gate(step, at, 0, unit, lanes) + (sums(q, 0, u, lanes) + bias(0, unit, lanes)));
    V update = sigmoid(gate(step, at, 1, unit, lanes) + (sums(q, 1, u, lanes) + bias(1, unit, lanes)));
    put_gate(step, at, 0, unit, lanes, reset);
    put_gate(step, at, 1, unit, lanes, update);
    put_gate(step, at, 3, unit, lanes, reset * before(step, at, unit, lanes));
  }
  void gru_candidate(int64_t step, int64_t at, int64_t unit, auto lanes, V sum) const {
    V fresh = squash(gate(step, at, 2, unit, lanes) + (sum + bias(2, unit, lanes)));
    if (r.keep) put_gate(step, at, 2, unit, lanes, fresh);
    put_h(step, at, unit, lanes, fma(gate(step, at, 1, unit, lanes), before(step, at, unit, lanes) - fresh, fresh));
  }
};

// ---- backward: steps in the other order. dh0 and dc0 run along: what is known so far of the gradients of the state before
// the step last done, for sequences not yet reached those of h_n and c_n. The main phase of a step completes dh, by the
// product of the step after it, and takes it to the gates.

template <class S, Rnn cell> struct Backward {
  using V = VecOf<S>;

  const RnnArgs& r;
  Blocks<S> main, second;      // dq w_hh; and dn w_hn (gru_before) or dh w_hr (projected)
  int64_t dgates_row;

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

  int64_t state_bytes() const { return 0; }
  int64_t phases() const { return r.steps * (two_phases(r) ? 2 : 1) + 1; }

  void begin(char*) {
    start(r.dh0, r.dh_n, r.output);
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
    finish(at, 0, at.rows(), at.products, 0, b.units, {sums, b.units, b.units});
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
    S* running = static_cast<S*>(r.dh0) + i * r.output + unit;
    V dh = !has_product ? get(running, lanes) : is_gru(cell) ? get(running, lanes) + sum : sum;
    if (step < 0 || i >= r.sizes[step]) {
      put(dh, running, lanes);
      return;
    }
    if (r.dy) dh = dh + get(static_cast<const S*>(r.dy) + (r.first[step] + i) * r.dy_row + unit, lanes);
    if (r.h_before) put(h_before(step, i, unit, lanes), static_cast<S*>(r.h_before) + (r.first[step] + i) * r.output + unit, lanes);
    if constexpr (cell == Rnn::lstm) {
      if (projects(r)) put(dh, static_cast<S*>(r.dprojected) + (r.first[step] + i) * r.output + unit, lanes);
      else lstm(step, i, unit, lanes, dh);
    } else if constexpr (is_gru(cell)) {
      gru(step, i, unit, lanes, dh, running);
    } else {
      V y = get(static_cast<const S*>(r.y) + (r.first[step] + i) * r.y_row + unit, lanes);
      put_gate(step, i, 0, unit, lanes, Function<cell == Rnn::relu ? Unary::relu : Unary::tanh>::grad(y, y, dh, Params{}));
    }
  }

  void lstm(int64_t step, int64_t i, int64_t unit, auto lanes, V dh) const {
    V in = gate(step, i, 0, unit, lanes), forget = gate(step, i, 1, unit, lanes), fresh = gate(step, i, 2, unit, lanes), out = gate(step, i, 3, unit, lanes);
    V squashed = squash(get(static_cast<const S*>(r.c) + (r.first[step] + i) * r.hidden + unit, lanes));
    S* running = static_cast<S*>(r.dc0) + i * r.hidden + unit;
    V dc = fma(dh * out, V(1) - squashed * squashed, get(running, lanes));
    put(dc * forget, running, lanes);
    put_gate(step, i, 0, unit, lanes, dc * fresh * (in * (V(1) - in)));
    put_gate(step, i, 1, unit, lanes, dc * c_before(step, i, unit, lanes) * (forget * (V(1) - forget)));
    put_gate(step, i, 2, unit, lanes, dc * in * (V(1) - fresh * fresh));
    put_gate(step, i, 3, unit, lanes, dh * squashed * (out * (V(1) - out)));
  }

  void gru(int64_t step, int64_t i, int64_t unit, auto lanes, V dh, S* running) const {
    V reset = gate(step, i, 0, unit, lanes), update = gate(step, i, 1, unit, lanes), fresh = gate(step, i, 2, unit, lanes);
    V dfresh = dh * (V(1) - update) * (V(1) - fresh * fresh);
    put_gate(step, i, 1, unit, lanes, dh * (h_before(step, i, unit, lanes) - fresh) * (update * (V(1) - update)));
    put_gate(step, i, 2, unit, lanes, dfresh);
    if (cell == Rnn::gru_before) {
      put(dh, running, lanes);  // gru_reset has the rest
      return;
    }
    put_gate(step, i, 0, unit, lanes, dfresh * gate(step, i, 3, unit, lanes) * (reset * (V(1) - reset)));
    put_gate(step, i, 3, unit, lanes, dfresh * reset);
    put(dh * update, running, lanes);
  }

  void gru_reset(int64_t step, int64_t i, int64_t unit, auto lanes, V dreset_h) const {
    V reset = gate(step, i, 0, unit, lanes), update = gate(step, i, 1, unit, lanes);
    S* running = static_cast<S*>(r.dh0) + i * r.output + unit;
    put_gate(step, i, 0, unit, lanes, dreset_h * h_before(step, i, unit, lanes) * (reset * (V(1) - reset)));
    put(fma(get(running, lanes), update, dreset_h * reset), running, lanes);
  }
};

// ---- sharing out

// How the work is done. Only `whole`, which the shape decides, changes the order of a sum.
struct Way {
  bool whole;                 // few rows in all: the weights are read where they lie
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
  if (rows <= kFewRows) return {true, 1, 1};
  if (threads == 1 || weights * rows < kWork) return {false, 1, 1};
  if (r.batch >= threads * kPartRows) return {false, threads, 1};
  if (weights * r.batch >= kTeamWork) return {false, 1, least(threads, pass.main.blocks)};
  return {false, 1, 1};
}

// Scratch: the state, then the packed weights and what the team needs, or the sums of a whole product and what GEMM needs.
template <class S> int64_t sums_bytes(const Blocks<S>& b, int64_t rows) { return round_up(rows * b.gates * b.units * int64_t(sizeof(S)), 64); }
template <class S> int64_t whole_scratch(const Blocks<S>& b, int64_t rows) {
  int64_t bytes = 0;
  for (int64_t n = 1; n <= rows; ++n)
    for (int64_t part = 1; part <= 3; ++part)  // of a gru's three gates the product is taken in parts
      bytes = most(bytes, gemm_scratch(b.whole(n, nullptr, b.k, nullptr, 0, part * b.k / 3, false)));
  return bytes;
}

template <class Pass> int64_t pass_scratch(const Pass& pass, const RnnArgs& r) {
  const Way way = way_of(pass, r);
  if (way.whole) {
    const int64_t sums = most(sums_bytes(pass.main, r.batch), sums_bytes(pass.second, r.batch));
    return pass.state_bytes() + sums + most(whole_scratch(pass.main, r.batch), whole_scratch(pass.second, r.batch));
  }
  return pass.state_bytes() + round_up(pass.main.bytes(), 64) + round_up(pass.second.bytes(), 64) + Team::bytes(way.by_units);
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
  pass.main.packed = reinterpret_cast<S*>(scratch), scratch += round_up(pass.main.bytes(), 64);
  pass.second.packed = reinterpret_cast<S*>(scratch), scratch += round_up(pass.second.bytes(), 64);
  auto blocks_of = [&](int64_t phase) { return two_phases(r) && phase % 2 ? pass.second.blocks : pass.main.blocks; };

  if (way.by_units > 1) {  // phase 0 packs: every thread what it will read
    Team team(phases + 1, way.by_units, scratch);
    auto part = [&](int64_t phase, int64_t n) {
      auto cut = [&](int64_t blocks, int64_t at) { return blocks * at / way.by_units; };
      if (phase == 0) {
        for (int64_t b = cut(pass.main.blocks, n); b < cut(pass.main.blocks, n + 1); ++b) pass.main.pack(b);
        for (int64_t b = cut(pass.second.blocks, n); b < cut(pass.second.blocks, n + 1); ++b) pass.second.pack(b);
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
      if (n < pass.main.blocks) pass.main.pack(n);
      else pass.second.pack(n - pass.main.blocks);
    }
  };
  for_tasks(pass.main.blocks + pass.second.blocks, pass.main.k * pass.main.lead() / 8, way.by_rows > 1, pack);
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
  with_cell(r, [&]<class S, Rnn cell>() {
    Forward<S, cell> pass(r);
    run_pass(pass, r, static_cast<char*>(scratch));
  });
}

int64_t rnn_backward_scratch(const RnnArgs& r) {
  return with_cell(r, [&]<class S, Rnn cell>() { return pass_scratch(Backward<S, cell>(r), r); });
}

void rnn_backward(const RnnArgs& r, void* scratch) {
  with_cell(r, [&]<class S, Rnn cell>() {
    Backward<S, cell> pass(r);
    run_pass(pass, r, static_cast<char*>(scratch));
  });
}

}  // namespace tessel::TESSEL_TARGET
