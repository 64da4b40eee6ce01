// Optimizer steps over all parameters at once: their tensors laid end to end, cut into chunks, in one parallel pass. Each
// chunk reads and writes every array once. Norms of all gradients together take the same way, chunk sums joined in order.
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kWork = 32768;  // elements from which threads are called

// The chunk's part of its tensor.
struct Part {
  const OptimTensor* tensor;
  int64_t begin, n;
};

Part part_of(const OptimArgs& args, int64_t chunk) {
  int64_t at = chunk * kOptimChunk, low = 0, high = args.count;  // the last tensor that begins at or before the chunk
  while (high - low > 1) {
    int64_t middle = (low + high) / 2;
    (args.tensors[middle].first <= at ? low : high) = middle;
  }
  while (args.tensors[low].n == 0) --low;  // empty ones begin where the next begins
  const OptimTensor& t = args.tensors[low];
  int64_t begin = at - t.first;
  return {&t, begin, t.n - begin < kOptimChunk ? t.n - begin : kOptimChunk};
}

int64_t chunks(const OptimArgs& args) {
  if (args.count == 0) return 0;
  const OptimTensor& last = args.tensors[args.count - 1];
  return (last.first + last.n + kOptimChunk - 1) / kOptimChunk;
}

// What all steps share: the gradient with its sign and decay is read, rule(i, lanes, x, d, below) gives the new x, and the
// shrunk one is written. A rule reads and writes its states itself, and sets `below` to what it divides by: the penalty is
// divided by it too, so that x comes to rest where the loss with the penalty does.
template <class T, class Rule> void update(const OptimArgs& args, const Part& part, Rule rule) {
  using V = VecOf<T>;
  T* x = (T*)part.tensor->x + part.begin;
  const T* dx = (const T*)part.tensor->dx + part.begin;
  const bool decays = args.weight_decay != 0 && !args.decoupled, shrinks = args.shrink > 0;
  const V sign = V(args.maximize ? -1 : 1), decay = V(args.weight_decay), shrink = V(args.shrink);
  const V keep = V(args.decoupled ? 1 - args.lr * args.weight_decay : 1);
  each<T>(part.n, [=](int64_t i, int lanes) {
    V p = get(x + i, lanes) * keep, d = get(dx + i, lanes) * sign;
    if (decays) d = fma(decay, p, d);
    V below = V(1);
    p = rule(i, lanes, p, d, below);
    if (shrinks) {
      V by = shrink / below;
      p = p - min(max(p, -by), by);  // exactly zero within it
    }
    put(p, x + i, lanes);
  });
}

// The running means of d and d^2 that Adam and its kin keep.
template <class T> struct Means {
  using V = VecOf<T>;
  T *m, *v;
  V first, beta2, second;
  Means(const OptimArgs& args, T* m, T* v) : m(m), v(v), first(1 - args.beta1), beta2(args.beta2), second(1 - args.beta2) {}
  V mean(int64_t i, int lanes, V d) const {
    V a = get(m + i, lanes);
    a = fma(first, d - a, a);
    put(a, m + i, lanes);
    return a;
  }
  V square(int64_t i, int lanes, V d) const {
    V b = fma(second * d, d, beta2 * get(v + i, lanes));
    put(b, v + i, lanes);
    return b;
  }
};

template <class T> void step(const OptimArgs& args, const Part& part) {
  using V = VecOf<T>;
  const OptimTensor& t = *part.tensor;
  T* x = (T*)t.x + part.begin;
  T *a = t.a ? (T*)t.a + part.begin : nullptr, *b = t.b ? (T*)t.b + part.begin : nullptr, *c = t.c ? (T*)t.c + part.begin : nullptr;
  const V rate = V(-args.lr), momentum = V(args.momentum), eps = V(args.eps), step = V(-t.step), other = V(-t.other);
  const Means<T> means(args, a, b);
  switch (args.op) {
    case Optim::sgd: {
      const bool fresh = t.fresh, nesterov = args.nesterov, classic = args.classic;
      const V taken = V(1 - args.dampening), gain = V(args.lr), by = V(classic ? -1 : -args.lr);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V&) {
        if (classic) d = d * gain;
        if (a) {
          V v = fresh ? d : fma(momentum, get(a + i, lanes), taken * d);
          put(v, a + i, lanes);
          d = nesterov ? fma(momentum, v, d) : v;
        }
        return fma(by, d, p);
      });
    }
    case Optim::adam: {
      const V root = V(1 / t.root);
      T* most = args.amsgrad ? c : nullptr;
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V m = means.mean(i, lanes, d), v = means.square(i, lanes, d);
        if (most) {
          v = max(get(most + i, lanes), v);
          put(v, most + i, lanes);
        }
        below = fma(sqrt(v), root, eps);
        return fma(step, m / below, p);
      });
    }
    case Optim::nadam: {
      const V root = V(1 / t.root);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V m = means.mean(i, lanes, d), v = means.square(i, lanes, d);
        below = fma(sqrt(v), root, eps);
        return p + fma(other, d, step * m) / below;
      });
    }
    case Optim::radam: {
      const bool adapts = t.root != 0;
      const V root = V(adapts ? 1 / t.root : 1);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V m = means.mean(i, lanes, d), v = means.square(i, lanes, d);
        if (adapts) below = (sqrt(v) + eps) * root;
        return fma(step, m / below, p);
      });
    }
    case Optim::adamax: {
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V m = means.mean(i, lanes, d);
        below = max(get(b + i, lanes) * means.beta2, abs(d) + eps);
        put(below, b + i, lanes);
        return fma(step, m / below, p);
      });
    }
    case Optim::adagrad: {
      const V slower = V(args.lr / t.step);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V sum = fma(d, d, get(a + i, lanes));
        put(sum, a + i, lanes);
        below = (sqrt(sum) + eps) * slower;
        return fma(rate, d / below, p);
      });
    }
    case Optim::rmsprop: {
      const bool centered = args.centered;
      const Means<T> squares(args, a, a);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V v = squares.square(i, lanes, d);
        if (centered) {
          V mean = get(b + i, lanes);
          mean = fma(squares.second, d - mean, mean);
          put(mean, b + i, lanes);
          v = max(v - mean * mean, V(0));  // rounding may take it below
        }
        below = sqrt(v) + eps;
        d = d / below;
        if (c) {
          d = fma(momentum, get(c + i, lanes), d);
          put(d, c + i, lanes);
        }
        return fma(rate, d, p);
      });
    }
    case Optim::adadelta: {
      const Means<T> squares(args, a, a), deltas(args, b, b);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V& below) {
        V v = squares.square(i, lanes, d);
        below = sqrt(v + eps) / sqrt(get(b + i, lanes) + eps);
        d = d / below;
        deltas.square(i, lanes, d);
        return fma(rate, d, p);
      });
    }
    case Optim::rprop: {
      const V less = V(args.beta1), more = V(args.beta2), low = V(args.low), high = V(args.high), zero = V(0);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V&) {
        V turn = d * get(a + i, lanes), size = get(b + i, lanes);
        auto against = lt(turn, zero);
        size = min(max(size * select(gt(turn, zero), more, select(against, less, V(1))), low), high);
        d = select(against, zero, d);
        put(size, b + i, lanes);
        put(d, a + i, lanes);
        return p + select(gt(d, zero), -size, select(lt(d, zero), size, d));
      });
    }
    case Optim::asgd: {
      const V keep = V(t.root);
      return update<T>(args, part, [=](int64_t i, int lanes, V p, V d, V&) {
        p = fma(step, d, p * keep);
        V mean = get(a + i, lanes);
        put(t.other == 1 ? p : fma(V(t.other), p - mean, mean), a + i, lanes);
        return p;
      });
    }
    case Optim::lerp: {
      return update<T>(args, part, [=](int64_t, int, V p, V d, V&) { return fma(rate, p - d, p); });
    }
    case Optim::scale: {
      const V by = V(args.lr);
      return each<T>(part.n, [=](int64_t i, int lanes) { put(get(x + i, lanes) * by, x + i, lanes); });
    }
    case Optim::unscale: {
      const V by = V(args.lr);
      auto product = [=](int64_t i, int lanes) {
        V y = get(x + i, lanes) * by;
        put(y, x + i, lanes);
        return abs(y * V(0));  // a NaN where it is not finite, and else 0
      };
      VecOf<T> sum = V(0);
      bool finite = double(fold_range<T>(0, part.n, sum, product, Plus())) == 0;
      if (!finite) __atomic_store_n(args.found, 1, __ATOMIC_RELAXED);
      return;
    }
    case Optim::clamp: {
      const V high = V(args.lr);
      return each<T>(part.n, [=](int64_t i, int lanes) { put(min(max(get(x + i, lanes), -high), high), x + i, lanes); });
    }
  }
}

void steps(void* context, int64_t begin, int64_t end, int) {
  const OptimArgs& args = *(const OptimArgs*)context;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    Part part = part_of(args, chunk);
    switch (part.tensor->dtype) {
      case DType::float64: step<double>(args, part); break;
      case DType::float16: step<Half>(args, part); break;
      case DType::bfloat16: step<BFloat>(args, part); break;
      default: step<float>(args, part);
    }
  }
}

// ---- the norm of all

struct NormPlan {
  const OptimArgs* args;
  double p;
  double* partial;  // of each chunk: the sum of |x|^p, or the extreme |x|
};

template <class T> double norm_part(const T* x, int64_t n, double p) {
  using V = VecOf<T>;
  if (p == 2) return sum_row<T>(n, [=](int64_t i, int lanes) { V a = get(x + i, lanes); return a * a; });
  if (p == 1) return sum_row<T>(n, [=](int64_t i, int lanes) { return abs(get(x + i, lanes)); });
  if (p == 0) return sum_row<T>(n, [=](int64_t i, int lanes) { return select(ne(get(x + i, lanes), V(0)), V(1), V(0)); });
  if (p == __builtin_inf()) return double(fold_range<T>(0, n, V(0), [=](int64_t i, int lanes) { return abs(get(x + i, lanes)); }, Greater()));
  if (p == -__builtin_inf()) {
    auto smaller = [](V a, V b) { return min(a, b); };
    return double(fold_range<T>(0, n, V(__builtin_inf()), [=](int64_t i, int lanes) { return abs(get(x + i, lanes)); }, smaller));
  }
  return sum_row<T>(n, [=](int64_t i, int lanes) { return pow(abs(get(x + i, lanes)), V(p)); });
}

void norm_parts(void* context, int64_t begin, int64_t end, int) {
  const NormPlan& plan = *(const NormPlan*)context;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    Part part = part_of(*plan.args, chunk);
    const void* x = part.tensor->x;
    double& out = plan.partial[chunk];
    switch (part.tensor->dtype) {
      case DType::float64: out = norm_part((const double*)x + part.begin, part.n, plan.p); break;
      case DType::float16: out = norm_part((const Half*)x + part.begin, part.n, plan.p); break;
      case DType::bfloat16: out = norm_part((const BFloat*)x + part.begin, part.n, plan.p); break;
      default: out = norm_part((const float*)x + part.begin, part.n, plan.p);
    }
  }
}

void run(const OptimArgs& args, ParallelBody body, void* context) {
  int64_t work = 0, count = chunks(args);
  for (int64_t i = 0; i < args.count && work < kWork; ++i) work += args.tensors[i].n;
  if (work < kWork) body(context, 0, count, 0);
  else parallel_for(count, 1, body, context);
}

}  // namespace

void optim(const OptimArgs& args) { run(args, steps, (void*)&args); }

int64_t optim_norm_scratch(const OptimArgs& args) { return chunks(args) * int64_t(sizeof(double)); }

double optim_norm(const OptimArgs& args, double p, void* scratch) {
  NormPlan plan = {&args, p, (double*)scratch};
  run(args, norm_parts, &plan);
  bool least = p == -__builtin_inf(), extreme = p == __builtin_inf() || least;
  double total = least ? __builtin_inf() : 0;
  for (int64_t i = 0, n = chunks(args); i < n; ++i) {
    double part = plan.partial[i];
    if (!extreme) total += part;
    else if (part != part || total != total) total = part != part ? part : total;
    else if (least ? part < total : part > total) total = part;
  }
  return extreme || p == 1 || p == 0 ? total : p == 2 ? __builtin_sqrt(total) : ::pow(total, 1 / p);
}

}  // namespace tessel::TESSEL_TARGET
