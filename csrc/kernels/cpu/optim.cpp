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

template <class T> void sgd(const OptimArgs& args, const Part& part) {
  using V = VecOf<T>;
  const OptimTensor& t = *part.tensor;
  T *x = (T*)t.x + part.begin, *velocity = t.a ? (T*)t.a + part.begin : nullptr;
  const T* dx = (const T*)t.dx + part.begin;
  const bool fresh = t.fresh, nesterov = args.nesterov, decays = args.weight_decay != 0;
  const V sign = V(args.maximize ? -1 : 1), decay = V(args.weight_decay), rate = V(-args.lr);
  const V momentum = V(args.momentum), taken = V(1 - args.dampening);
  each<T>(part.n, [=](int64_t i, int lanes) {
    V p = get(x + i, lanes), d = get(dx + i, lanes) * sign;
    if (decays) d = fma(decay, p, d);
    if (velocity) {
      V v = fresh ? d : fma(momentum, get(velocity + i, lanes), taken * d);
      put(v, velocity + i, lanes);
      d = nesterov ? fma(momentum, v, d) : v;
    }
    put(fma(rate, d, p), x + i, lanes);
  });
}

template <class T> void adam(const OptimArgs& args, const Part& part) {
  using V = VecOf<T>;
  const OptimTensor& t = *part.tensor;
  T *x = (T*)t.x + part.begin, *m = (T*)t.a + part.begin, *v = (T*)t.b + part.begin, *most = args.amsgrad ? (T*)t.c + part.begin : nullptr;
  const T* dx = (const T*)t.dx + part.begin;
  const bool decays = args.weight_decay != 0 && !args.decoupled;
  const V sign = V(args.maximize ? -1 : 1), decay = V(args.weight_decay);
  const V keep = V(args.decoupled ? 1 - args.lr * args.weight_decay : 1);
  const V first = V(1 - args.beta1), beta2 = V(args.beta2), second = V(1 - args.beta2);
  const V step = V(-t.step), root = V(1 / t.root), eps = V(args.eps);
  each<T>(part.n, [=](int64_t i, int lanes) {
    V p = get(x + i, lanes) * keep, d = get(dx + i, lanes) * sign, a = get(m + i, lanes);
    if (decays) d = fma(decay, p, d);
    a = fma(first, d - a, a);
    V b = fma(second * d, d, beta2 * get(v + i, lanes));
    put(a, m + i, lanes);
    put(b, v + i, lanes);
    if (most) {
      b = max(get(most + i, lanes), b);
      put(b, most + i, lanes);
    }
    put(fma(step, a / fma(sqrt(b), root, eps), p), x + i, lanes);
  });
}

template <class T> void scale(const OptimArgs& args, const Part& part) {
  T* x = (T*)part.tensor->x + part.begin;
  const VecOf<T> by = VecOf<T>(args.lr);
  each<T>(part.n, [=](int64_t i, int lanes) { put(get(x + i, lanes) * by, x + i, lanes); });
}

template <class T> void clamp(const OptimArgs& args, const Part& part) {
  using V = VecOf<T>;
  T* x = (T*)part.tensor->x + part.begin;
  const V high = V(args.lr), low = V(-args.lr);
  each<T>(part.n, [=](int64_t i, int lanes) { put(min(max(get(x + i, lanes), low), high), x + i, lanes); });
}

template <class T> void step(const OptimArgs& args, const Part& part) {
  switch (args.op) {
    case Optim::sgd: return sgd<T>(args, part);
    case Optim::adam: return adam<T>(args, part);
    case Optim::scale: return scale<T>(args, part);
    case Optim::clamp: return clamp<T>(args, part);
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
