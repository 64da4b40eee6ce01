// softmax and log_softmax over n of [outer, n, inner], and their derivatives. With inner == 1 the lanes run along a row,
// otherwise across neighbouring columns. 16-bit floats are read and written as such and computed in float.
//
//   softmax       y = exp(x - max) / sum(exp(x - max))       dx = y (dy - sum(y dy))
//   log_softmax   y = x - max - log(sum(exp(x - max)))       dx = dy - exp(y) sum(dy)
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kWork = 4096;    // elements that are worth a task: some 5 us
constexpr int64_t kFlush = 32;     // elements that a column adds before its total takes them

// The forward pass: lanes along the row.
template <class T, bool logarithm> void row(const T* x, T* y, int64_t n) {
  using V = VecOf<T>;
  V top = V(double(fold_range<T>(0, n, V(-__builtin_inf()), [=](int64_t i, int lanes) { return get(x + i, lanes); }, Greater())));
  // Where the result's type keeps the exponentials, they are stored on the way and need not be computed again.
  constexpr bool keeps = !logarithm && sizeof(T) >= 4;
  double sum = sum_row<T>(n, [=](int64_t i, int lanes) {
    V e = exp(get(x + i, lanes) - top);
    if constexpr (keeps) put(e, y + i, lanes);
    return e;
  });
  V scale = V(1 / sum), shift = V(::log(sum));
  each<T>(n, [=](int64_t i, int lanes) {
    if constexpr (keeps) put(get(y + i, lanes) * scale, y + i, lanes);
    else if constexpr (logarithm) put((get(x + i, lanes) - top) - shift, y + i, lanes);
    else put(exp(get(x + i, lanes) - top) * scale, y + i, lanes);
  });
}

template <class T, bool logarithm> void row_backward(const T* y, const T* dy, T* dx, int64_t n) {
  using V = VecOf<T>;
  V sum = V(sum_row<T>(n, [=](int64_t i, int lanes) {
    return logarithm ? get(dy + i, lanes) : get(y + i, lanes) * get(dy + i, lanes);
  }));
  each<T>(n, [=](int64_t i, int lanes) {
    V a = get(y + i, lanes), g = get(dy + i, lanes);
    put(logarithm ? g - exp(a) * sum : a * (g - sum), dx + i, lanes);
  });
}

// Sums of f(i) over i < n, one in each lane.
template <class T, class F> inline VecOf<T> sum_columns(int64_t n, F f) {
  using V = VecOf<T>;
  V total = V(0);
  for (int64_t i = 0; i < n; i += kFlush) {
    V sum = V(0);
    int64_t last = n - i < kFlush ? n : i + kFlush;
    for (int64_t j = i; j < last; ++j) sum = sum + f(j);
    total = total + sum;
  }
  return total;
}

// `lanes` neighbouring columns of n elements, `step` apart.
template <class T, bool logarithm> void columns(const T* x, T* y, int64_t n, int64_t step, int lanes) {
  using V = VecOf<T>;
  V top = V(-__builtin_inf());
  for (int64_t i = 0; i < n; ++i) top = max(top, get(x + i * step, lanes));
  constexpr bool keeps = !logarithm && sizeof(T) >= 4;
  V sum = sum_columns<T>(n, [=](int64_t i) {
    V e = exp(get(x + i * step, lanes) - top);
    if constexpr (keeps) put(e, y + i * step, lanes);
    return e;
  });
  V scale = V(1) / sum, shift = logarithm ? log(sum) : sum;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = i * step;
    if constexpr (keeps) put(get(y + at, lanes) * scale, y + at, lanes);
    else if constexpr (logarithm) put((get(x + at, lanes) - top) - shift, y + at, lanes);
    else put(exp(get(x + at, lanes) - top) * scale, y + at, lanes);
  }
}

template <class T, bool logarithm> void columns_backward(const T* y, const T* dy, T* dx, int64_t n, int64_t step, int lanes) {
  using V = VecOf<T>;
  V sum = sum_columns<T>(n, [=](int64_t i) {
    V g = get(dy + i * step, lanes);
    return logarithm ? g : get(y + i * step, lanes) * g;
  });
  for (int64_t i = 0; i < n; ++i) {
    V a = get(y + i * step, lanes), g = get(dy + i * step, lanes);
    put(logarithm ? g - exp(a) * sum : a * (g - sum), dx + i * step, lanes);
  }
}

// Tasks are rows, or vectors of columns.
template <class T, bool logarithm, bool backward> void tasks(void* context, int64_t begin, int64_t end, int) {
  const RowsArgs& args = *(const RowsArgs*)context;
  const T *x = (const T*)args.x, *dy = (const T*)args.dy;
  T *y = (T*)args.y, *dx = (T*)args.dx;
  constexpr int64_t w = VecOf<T>::width;
  int64_t groups = (args.inner + w - 1) / w;
  for (int64_t t = begin; t < end; ++t) {
    if (args.inner == 1) {
      int64_t at = t * args.n;
      if constexpr (backward) row_backward<T, logarithm>(y + at, dy + at, dx + at, args.n);
      else row<T, logarithm>(x + at, y + at, args.n);
    } else {
      int64_t column = t % groups * w, at = t / groups * args.n * args.inner + column;
      int lanes = args.inner - column < w ? int(args.inner - column) : int(w);
      if constexpr (backward) columns_backward<T, logarithm>(y + at, dy + at, dx + at, args.n, args.inner, lanes);
      else columns<T, logarithm>(x + at, y + at, args.n, args.inner, lanes);
    }
  }
}

template <bool logarithm, bool backward> void run(const RowsArgs& args) {
  if (args.outer * args.n * args.inner == 0) return;
  bool wide = args.dtype == DType::float64;
  int64_t w = args.inner == 1 ? 1 : wide ? VecOf<double>::width : VecOf<float>::width;
  int64_t count = args.outer * ((args.inner + w - 1) / w), work = args.n * w;
  int64_t grain = work < kWork ? kWork / work : 1;
  ParallelBody body = wide ? tasks<double, logarithm, backward>
                    : args.dtype == DType::float32 ? tasks<float, logarithm, backward>
                    : args.dtype == DType::float16 ? tasks<Half, logarithm, backward> : tasks<BFloat, logarithm, backward>;
  if (count <= grain) body((void*)&args, 0, count, 0);
  else parallel_for(count, grain, body, (void*)&args);
}

}  // namespace

void softmax(const RowsArgs& args) { run<false, false>(args); }
void softmax_backward(const RowsArgs& args) { run<false, true>(args); }
void log_softmax(const RowsArgs& args) { run<true, false>(args); }
void log_softmax_backward(const RowsArgs& args) { run<true, true>(args); }

}  // namespace tessel::TESSEL_TARGET
