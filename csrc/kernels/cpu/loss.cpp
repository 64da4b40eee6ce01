// The loss of class numbers (cross entropy and negative log likelihood) in one pass over x, and its derivative in another.
// Only the log-sum-exp of each row is kept: probabilities are made again where they are needed. With inner == 1 the lanes
// run along the classes, otherwise across neighbouring positions.
//
//   dx[c] = dloss ((1 - s) w[t] (p[c] - [c == t]) + s / classes (sum(w) p[c] - w[c]))        p = exp(x - lse)
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kWork = 8192;  // elements that are worth a task

template <class T> using RealOf = typename VecOf<T>::Lane;

// A group is a row, or as many neighbouring positions as a vector has lanes; a task takes a block of groups.
struct Plan {
  const ClassLossArgs* args;
  int64_t groups, per_image;   // groups in all, and of one of the batch
  int64_t block, blocks;
  double weights;              // the sum of w
  double (*partial)[2];        // of each block: the sums of losses and of w[t]
};

template <class R> double sum_of_weights(const ClassLossArgs& args) {
  if (!args.weight) return double(args.classes);
  double sum = 0;
  for (int64_t c = 0; c < args.classes; ++c) sum += double(((const R*)args.weight)[c]);
  return sum;
}

Plan make_plan(const ClassLossArgs& args) {
  bool wide = args.dtype == DType::float64;
  int64_t lanes = args.inner == 1 ? 1 : wide ? Vec<double>::width : Vec<float>::width;
  Plan plan = {};
  plan.args = &args;
  plan.per_image = (args.inner + lanes - 1) / lanes;
  plan.groups = args.batch * plan.per_image;
  int64_t work = args.classes * lanes;
  plan.block = work < kWork ? kWork / (work ? work : 1) : 1;
  plan.blocks = (plan.groups + plan.block - 1) / plan.block;
  if (args.smoothing != 0) plan.weights = wide ? sum_of_weights<double>(args) : sum_of_weights<float>(args);
  return plan;
}

template <class T> inline RealOf<T> value_at(const T* p) {
  RealOf<T> lanes[VecOf<T>::width];
  VecOf<T>::load(p, 1).store(lanes);
  return lanes[0];
}
template <class T> inline void put_at(double v, T* p) { VecOf<T>(v).store(p, 1); }

template <class T> struct Forward {
  using V = VecOf<T>;
  using R = RealOf<T>;

  // One position, when its log-sum-exp and (for smoothing) the sum of w (lse - x) are known.
  static void finish(const ClassLossArgs& args, const T* x, int64_t at, double lse, double spread, double* sums) {
    int64_t t = args.target[at];
    double loss = 0;
    if (t != args.ignored) {
      double w = args.weight ? double(((const R*)args.weight)[t]) : 1;
      loss = (1 - args.smoothing) * w * (lse - double(value_at(x + t * args.inner))) + args.smoothing / double(args.classes) * spread;
      sums[0] += loss;
      sums[1] += w;
    }
    if (args.lse) ((R*)args.lse)[at] = R(lse);
    if (!args.total) put_at(loss, (T*)args.loss + at);
  }

  static void row(const ClassLossArgs& args, int64_t at, double* sums) {
    const int64_t n = args.classes;
    const T* x = (const T*)args.x + at * n;
    double lse = 0, spread = 0;
    if (args.logits) {
      V top = V(double(fold_range<T>(0, n, V(-__builtin_inf()), [=](int64_t i, int lanes) { return get(x + i, lanes); }, Greater())));
      double sum = sum_row<T>(n, [=](int64_t i, int lanes) { return exp(get(x + i, lanes) - top); });
      R highest[V::width];
      top.store(highest);
      lse = double(highest[0]) + ::log(sum);
    }
    if (args.smoothing != 0) {
      const R* w = (const R*)args.weight;
      V shift = V(lse);
      spread = sum_row<T>(n, [=](int64_t i, int lanes) {
        V d = shift - get(x + i, lanes);
        return w ? d * get(w + i, lanes) : d;
      });
    }
    finish(args, x, at, lse, spread, sums);
  }

  static void columns(const ClassLossArgs& args, int64_t image, int64_t column, double* sums) {
    const T* x = (const T*)args.x + image * args.classes * args.inner + column;
    int lanes = args.inner - column < V::width ? int(args.inner - column) : V::width;
    V lse = V(0), spread = V(0);
    if (args.logits) {
      V top = V(-__builtin_inf()), sum = V(0);
      for (int64_t c = 0; c < args.classes; ++c) top = max(top, get(x + c * args.inner, lanes));
      for (int64_t c = 0; c < args.classes; ++c) sum = sum + exp(get(x + c * args.inner, lanes) - top);
      lse = top + log(sum);
    }
    if (args.smoothing != 0) {
      for (int64_t c = 0; c < args.classes; ++c) {
        V d = lse - get(x + c * args.inner, lanes);
        spread = spread + (args.weight ? d * V::of(((const R*)args.weight)[c]) : d);
      }
    }
    R lse_of[V::width], spread_of[V::width];
    lse.store(lse_of);
    spread.store(spread_of);
    for (int k = 0; k < lanes; ++k) finish(args, x + k, image * args.inner + column + k, double(lse_of[k]), double(spread_of[k]), sums);
  }

  static void run(void* context, int64_t begin, int64_t end, int) {
    const Plan& plan = *(const Plan*)context;
    const ClassLossArgs& args = *plan.args;
    for (int64_t block = begin; block < end; ++block) {
      double sums[2] = {0, 0};
      int64_t last = (block + 1) * plan.block < plan.groups ? (block + 1) * plan.block : plan.groups;
      for (int64_t group = block * plan.block; group < last; ++group) {
        if (args.inner == 1) row(args, group, sums);
        else columns(args, group / plan.per_image, group % plan.per_image * V::width, sums);
      }
      if (args.total) plan.partial[block][0] = sums[0], plan.partial[block][1] = sums[1];
    }
  }

  static void join(const Plan& plan) {
    const ClassLossArgs& args = *plan.args;
    double loss = 0, weight = 0;
    for (int64_t block = 0; block < plan.blocks; ++block) loss += plan.partial[block][0], weight += plan.partial[block][1];
    put_at(args.mean ? loss / weight : loss, (T*)args.loss);
    *(R*)args.total = R(weight);
  }
};

template <class T> struct Backward {
  using V = VecOf<T>;
  using R = RealOf<T>;

  // dx[c] = all p[c] - each w[c], and less `own` at the target.
  struct Factors {
    double all, each, own;
  };
  static Factors factors(const Plan& plan, int64_t at) {
    const ClassLossArgs& args = *plan.args;
    int64_t t = args.target[at];
    if (t == args.ignored) return {0, 0, 0};
    double w = args.weight ? double(((const R*)args.weight)[t]) : 1;
    double dloss = double(value_at((const T*)args.dloss + (args.total ? 0 : at)));
    if (args.mean) dloss /= double(*(const R*)args.total);
    double each = dloss * args.smoothing / double(args.classes), own = dloss * (1 - args.smoothing) * w;
    return {own + each * plan.weights, each, own};
  }
  static void own(const ClassLossArgs& args, const Factors& f, const T* x, T* dx, int64_t t, double lse) {
    double w = args.weight ? double(((const R*)args.weight)[t]) : 1;
    double p = args.logits ? ::exp(double(value_at(x + t * args.inner)) - lse) : 0;
    put_at(args.logits ? f.all * p - f.each * w - f.own : -f.own, dx + t * args.inner);
  }

  static void row(const Plan& plan, int64_t at) {
    const ClassLossArgs& args = *plan.args;
    const int64_t n = args.classes;
    const T* x = (const T*)args.x + at * n;
    T* dx = (T*)args.dx + at * n;
    bool ignored = args.target[at] == args.ignored;
    if (ignored || !args.logits) {
      memset((void*)dx, 0, size_t(n) * sizeof(T));
      if (!ignored) own(args, factors(plan, at), x, dx, args.target[at], 0);
      return;
    }
    Factors f = factors(plan, at);
    const R* w = (const R*)args.weight;
    V lse = V::of(((const R*)args.lse)[at]), all = V(f.all), each_ = V(f.each);
    if (args.smoothing == 0) {
      each<T>(n, [=](int64_t i, int lanes) { put(exp(get(x + i, lanes) - lse) * all, dx + i, lanes); });
    } else {
      each<T>(n, [=](int64_t i, int lanes) {
        put(exp(get(x + i, lanes) - lse) * all - (w ? get(w + i, lanes) * each_ : each_), dx + i, lanes);
      });
    }
    own(args, f, x, dx, args.target[at], double(((const R*)args.lse)[at]));
  }

  static void columns(const Plan& plan, int64_t image, int64_t column) {
    const ClassLossArgs& args = *plan.args;
    int64_t first = image * args.classes * args.inner + column, at = image * args.inner + column;
    const T* x = (const T*)args.x + first;
    T* dx = (T*)args.dx + first;
    int lanes = args.inner - column < V::width ? int(args.inner - column) : V::width;
    Factors f[V::width] = {};
    R all_of[V::width] = {}, each_of[V::width] = {};
    for (int k = 0; k < lanes; ++k) f[k] = factors(plan, at + k), all_of[k] = R(f[k].all), each_of[k] = R(f[k].each);
    if (args.logits) {
      V lse = get((const R*)args.lse + at, lanes), all = V::load(all_of), each_ = V::load(each_of), none = V(0);
      for (int64_t c = 0; c < args.classes; ++c) {
        V w = args.weight ? V::of(((const R*)args.weight)[c]) : V(1);
        V p = select(eq(all, none), none, exp(get(x + c * args.inner, lanes) - lse) * all);  // an ignored NaN stays out
        put(p - w * each_, dx + c * args.inner, lanes);
      }
    } else {
      for (int64_t c = 0; c < args.classes; ++c) put(V(0), dx + c * args.inner, lanes);
    }
    for (int k = 0; k < lanes; ++k) {
      if (args.target[at + k] != args.ignored)
        own(args, f[k], x + k, dx + k, args.target[at + k], args.logits ? double(((const R*)args.lse)[at + k]) : 0);
    }
  }

  static void run(void* context, int64_t begin, int64_t end, int) {
    const Plan& plan = *(const Plan*)context;
    for (int64_t group = begin * plan.block; group < plan.groups && group < end * plan.block; ++group) {
      if (plan.args->inner == 1) row(plan, group);
      else columns(plan, group / plan.per_image, group % plan.per_image * V::width);
    }
  }
};

template <template <class> class Way> ParallelBody body_for(DType dtype) {
  return dtype == DType::float64 ? Way<double>::run : dtype == DType::float32 ? Way<float>::run
       : dtype == DType::float16 ? Way<Half>::run : Way<BFloat>::run;
}

void run(const Plan& plan, ParallelBody body) {
  if (plan.blocks <= 1) body((void*)&plan, 0, plan.blocks, 0);
  else parallel_for(plan.blocks, 1, body, (void*)&plan);
}

}  // namespace

int64_t class_loss_scratch(const ClassLossArgs& args) { return args.total ? make_plan(args).blocks * int64_t(sizeof(double[2])) : 0; }

void class_loss(const ClassLossArgs& args, void* scratch) {
  Plan plan = make_plan(args);
  plan.partial = (double (*)[2])scratch;
  run(plan, body_for<Forward>(args.dtype));
  if (!args.total) return;
  if (args.dtype == DType::float64) Forward<double>::join(plan);
  else if (args.dtype == DType::float32) Forward<float>::join(plan);
  else if (args.dtype == DType::float16) Forward<Half>::join(plan);
  else Forward<BFloat>::join(plan);
}

void class_loss_backward(const ClassLossArgs& args) { run(make_plan(args), body_for<Backward>(args.dtype)); }

}  // namespace tessel::TESSEL_TARGET
