// Connectionist temporal classification, forward and backward, in the logarithm and in double: sums over thousands of steps
// lose no digits that float32 would. A sequence is one task; its steps follow each other, and the places of a step, which
// only look at the step before, are taken in lanes. Rows of places have room for two neighbours that are never reached.
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/math.h"

namespace tessel::TESSEL_TARGET {
namespace {

using V = Vec<double>;
constexpr double kNever = -__builtin_inf();

int64_t round_up_lanes(int64_t n) { return (n + V::width - 1) / V::width * V::width; }

// log(e^a + e^b + e^c), of which all may be -inf
V log_sum(V a, V b, V c) {
  const V top = max(a, max(b, c)), shift = select(eq(top, V(kNever)), V(0), top);
  return log(exp(a - shift) + exp(b - shift) + exp(c - shift)) + shift;
}

// One sequence: which class stands at each place, and where a place may be reached over a blank.
struct Sequence {
  int64_t steps, places, row;  // row: elements from one row of alpha to the next
  int64_t* label;              // [places]
  double *over, *emitted, *beta, *ahead, *behind;   // rows of places with room on both sides
};

int64_t row_room(const CtcArgs& a) { return round_up_lanes(a.places + 4) + 2 * V::width; }
int64_t scratch_doubles(const CtcArgs& a) { return row_room(a) * 6; }

Sequence sequence(const CtcArgs& a, int64_t n, void* scratch) {
  double* const room = static_cast<double*>(scratch) + n * scratch_doubles(a);
  const int64_t width = row_room(a);
  Sequence s{a.lengths[n], 2 * a.target_lengths[n] + 1, a.places + 2, reinterpret_cast<int64_t*>(room), room + width + 2, room + 2 * width + 2, room + 3 * width + 2, room + 4 * width + 2, room + 5 * width + 2};
  const int64_t* const target = a.targets + a.begin[n];
  for (int64_t i = -2; i < width - 2; ++i) s.over[i] = s.beta[i] = s.ahead[i] = s.behind[i] = kNever, s.emitted[i] = 0;
  for (int64_t i = 0; i < s.places; ++i) {
    s.label[i] = i % 2 ? target[i / 2] : a.blank;
    if (i % 2 && i > 1 && target[i / 2] != target[i / 2 - 1]) s.over[i] = 0;
  }
  return s;
}

// What is read at step t, by place.
template <class T> void emit(const CtcArgs& a, const Sequence& s, int64_t n, int64_t t) {
  const T* const x = static_cast<const T*>(a.x) + (t * a.batch + n) * a.classes;
  for (int64_t i = 0; i < s.places; ++i) s.emitted[i] = double(x[s.label[i]]);
}

template <class T> void forward(const CtcArgs& a, int64_t n, void* scratch) {
  Sequence s = sequence(a, n, scratch);
  double* const rows = a.alpha + n * a.steps * s.row;
  if (s.steps == 0) {
    a.loss[n] = s.places == 1 ? 0 : -kNever;
    return;
  }
  double *before = s.behind, *now = s.ahead;  // with room for whole vectors, which a row of alpha has not
  for (int64_t t = 0; t < s.steps; ++t) {
    emit<T>(a, s, n, t);
    if (t == 0) {
      now[0] = s.emitted[0];
      if (s.places > 1) now[1] = s.emitted[1];
    } else {
      for (int64_t i = 0; i < s.places; i += V::width) {
        const V over = V::load(before + i - 2) + V::load(s.over + i);
        (log_sum(V::load(before + i), V::load(before + i - 1), over) + V::load(s.emitted + i)).store(now + i);
      }
      for (int64_t i = s.places; i < round_up_lanes(s.places); ++i) now[i] = kNever;
    }
    memcpy(rows + t * s.row, now - 2, size_t(s.places + 2) * sizeof(double));
    double* const swap = before;
    before = now, now = swap;
  }
  double lanes[V::width];
  log_sum(V(before[s.places - 1]), V(s.places > 1 ? before[s.places - 2] : kNever), V(kNever)).store(lanes);
  a.loss[n] = -lanes[0];
}

template <class T> void backward(const CtcArgs& a, int64_t n, void* scratch) {
  Sequence s = sequence(a, n, scratch);
  const double* const rows = a.alpha + n * a.steps * s.row;
  for (int64_t t = 0; t < a.steps; ++t) {
    T* const dx = static_cast<T*>(a.dx) + (t * a.batch + n) * a.classes;
    memset(static_cast<void*>(dx), 0, size_t(a.classes) * sizeof(T));
  }
  const double loss = a.loss[n], dloss = a.dloss[n];
  if (s.steps == 0 || (a.zero_infinity && loss == -kNever)) return;
  double *beta = s.beta, *ahead = s.ahead;  // ahead[i]: what follows place i, once it is read at the next step
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    if (t == s.steps - 1) {
      beta[s.places - 1] = 0;
      if (s.places > 1) beta[s.places - 2] = 0;
    } else {
      emit<T>(a, s, n, t + 1);
      for (int64_t i = 0; i < s.places; ++i) ahead[i] = beta[i] + s.emitted[i];
      for (int64_t i = 0; i < s.places; i += V::width) {
        const V over = V::load(ahead + i + 2) + V::load(s.over + i + 2);
        log_sum(V::load(ahead + i), V::load(ahead + i + 1), over).store(beta + i);
      }
      for (int64_t i = s.places; i < round_up_lanes(s.places); ++i) beta[i] = kNever;
    }
    memcpy(s.behind, rows + t * s.row + 2, size_t(s.places) * sizeof(double));
    for (int64_t i = 0; i < s.places; i += V::width)
      (exp(V::load(s.behind + i) + V::load(beta + i) + V(loss)) * V(-dloss)).store(s.emitted + i);
    T* const dx = static_cast<T*>(a.dx) + (t * a.batch + n) * a.classes;
    for (int64_t i = 0; i < s.places; ++i) dx[s.label[i]] += T(s.emitted[i]);
  }
}

struct Work {
  const CtcArgs* args;
  void* scratch;
};

template <class T, void (*one)(const CtcArgs&, int64_t, void*)> void sequences(void* context, int64_t begin, int64_t end, int) {
  const Work& work = *static_cast<const Work*>(context);
  for (int64_t n = begin; n < end; ++n) one(*work.args, n, work.scratch);
}

}  // namespace

int64_t ctc_scratch(const CtcArgs& args) { return args.batch * scratch_doubles(args) * int64_t(sizeof(double)); }

void ctc(const CtcArgs& args, void* scratch) {
  Work work = {&args, scratch};
  parallel_for(args.batch, 1, args.dtype == DType::float64 ? sequences<double, forward<double>> : sequences<float, forward<float>>, &work);
}

void ctc_backward(const CtcArgs& args, void* scratch) {
  Work work = {&args, scratch};
  parallel_for(args.batch, 1, args.dtype == DType::float64 ? sequences<double, backward<double>> : sequences<float, backward<float>>, &work);
}

}  // namespace tessel::TESSEL_TARGET
