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
constexpr int64_t kKept = 4096;    // floats of a row that are kept between passes: 16 KB
constexpr int kAbreast = 4;        // vectors of columns that go together

// The forward pass: lanes along the row. x is read from T, what is kept between the passes from R: y itself, or for 16-bit
// types, whose y would not keep the exponentials, a row of floats in L1.
template <class T, class R, bool logarithm> inline void row_by(const T* x, R* kept, T* y, int64_t n) {
  using V = VecOf<T>;
  V top = V(double(fold_range<T>(0, n, V(-__builtin_inf()), [=](int64_t i, int lanes) {
    V a = get(x + i, lanes);
    if constexpr (logarithm && !same<T, R>) put<R>(a, kept + i, lanes);
    return a;
  }, Greater())));
  double sum = sum_row<T>(n, [=](int64_t i, int lanes) {
    V a = logarithm && !same<T, R> ? get(kept + i, lanes) : get(x + i, lanes), e = exp(a - top);
    if constexpr (!logarithm) put<R>(e, kept + i, lanes);
    return e;
  });
  V scale = V(1 / sum), shift = V(::log(sum));
  each<T>(n, [=](int64_t i, int lanes) {
    if constexpr (!logarithm) put<T>(get(kept + i, lanes) * scale, y + i, lanes);
    else put<T>(((same<T, R> ? get(x + i, lanes) : get(kept + i, lanes)) - top) - shift, y + i, lanes);
  });
}

// The same for rows of 16-bit types that are too long to be kept.
template <class T, bool logarithm> void long_row(const T* x, T* y, int64_t n) {
  using V = VecOf<T>;
  V top = V(double(fold_range<T>(0, n, V(-__builtin_inf()), [=](int64_t i, int lanes) { return get(x + i, lanes); }, Greater())));
  double sum = sum_row<T>(n, [=](int64_t i, int lanes) { return exp(get(x + i, lanes) - top); });
  V scale = V(1 / sum), shift = V(::log(sum));
  each<T>(n, [=](int64_t i, int lanes) {
    V a = get(x + i, lanes) - top;
    put(logarithm ? a - shift : exp(a) * scale, y + i, lanes);
  });
}

template <class T, bool logarithm> void row(const T* x, T* y, int64_t n) {
  if constexpr (sizeof(T) >= 4) {
    row_by<T, T, logarithm>(x, y, y, n);
  } else if (n <= kKept) {
    alignas(64) float kept[kKept];
    row_by<T, float, logarithm>(x, kept, y, n);
  } else {
    long_row<T, logarithm>(x, y, n);
  }
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

// Sums of f(i, k) over i < n, one in each lane of vector k.
template <class T, int count, class F> inline void sum_columns(int64_t n, VecOf<T>* total, F f) {
  using V = VecOf<T>;
  for (int k = 0; k < count; ++k) total[k] = V(0);
  for (int64_t i = 0; i < n; i += kFlush) {
    V sum[count];
    for (int k = 0; k < count; ++k) sum[k] = V(0);
    int64_t last = n - i < kFlush ? n : i + kFlush;
    for (int64_t j = i; j < last; ++j) {
      for (int k = 0; k < count; ++k) sum[k] = sum[k] + f(j, k);
    }
    for (int k = 0; k < count; ++k) total[k] = total[k] + sum[k];
  }
}

// `count` vectors of neighbouring columns of n elements, `step` apart; the last vector has so many lanes. Several at a time,
// for rows that are powers of two apart meet in one set of each cache: what is fetched of a row is used at once.
template <class T, bool logarithm, int count> void columns(const T* x, T* y, int64_t n, int64_t step, int lanes) {
  using V = VecOf<T>;
  constexpr int w = V::width;
  auto held = [=](int k) { return k + 1 < count ? w : lanes; };
  V top[count], sum[count], scale[count], shift[count];
  for (int k = 0; k < count; ++k) top[k] = V(-__builtin_inf());
  for (int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < count; ++k) top[k] = max(top[k], get(x + i * step + k * w, held(k)));
  }
  constexpr bool keeps = !logarithm && sizeof(T) >= 4;
  sum_columns<T, count>(n, sum, [=, &top](int64_t i, int k) {
    V e = exp(get(x + i * step + k * w, held(k)) - top[k]);
    if constexpr (keeps) put(e, y + i * step + k * w, held(k));
    return e;
  });
  for (int k = 0; k < count; ++k) scale[k] = V(1) / sum[k], shift[k] = logarithm ? log(sum[k]) : sum[k];
  for (int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < count; ++k) {
      int64_t at = i * step + k * w;
      if constexpr (keeps) put(get(y + at, held(k)) * scale[k], y + at, held(k));
      else if constexpr (logarithm) put((get(x + at, held(k)) - top[k]) - shift[k], y + at, held(k));
      else put(exp(get(x + at, held(k)) - top[k]) * scale[k], y + at, held(k));
    }
  }
}

template <class T, bool logarithm, int count>
void columns_backward(const T* y, const T* dy, T* dx, int64_t n, int64_t step, int lanes) {
  using V = VecOf<T>;
  constexpr int w = V::width;
  auto held = [=](int k) { return k + 1 < count ? w : lanes; };
  V sum[count];
  sum_columns<T, count>(n, sum, [=](int64_t i, int k) {
    V g = get(dy + i * step + k * w, held(k));
    return logarithm ? g : get(y + i * step + k * w, held(k)) * g;
  });
  for (int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < count; ++k) {
      int64_t at = i * step + k * w;
      V a = get(y + at, held(k)), g = get(dy + at, held(k));
      put(logarithm ? g - exp(a) * sum[k] : a * (g - sum[k]), dx + at, held(k));
    }
  }
}

// Tasks are rows, or vectors of columns.
template <class T, bool logarithm, bool backward> void tasks(void* context, int64_t begin, int64_t end, int) {
  const RowsArgs& args = *(const RowsArgs*)context;
  const T *x = (const T*)args.x, *dy = (const T*)args.dy;
  T *y = (T*)args.y, *dx = (T*)args.dx;
  constexpr int64_t w = VecOf<T>::width, wide = kAbreast * w;
  int64_t groups = (args.inner + wide - 1) / wide;
  for (int64_t t = begin; t < end; ++t) {
    if (args.inner == 1) {
      int64_t at = t * args.n;
      if constexpr (backward) row_backward<T, logarithm>(y + at, dy + at, dx + at, args.n);
      else row<T, logarithm>(x + at, y + at, args.n);
      continue;
    }
    int64_t column = t % groups * wide, at = t / groups * args.n * args.inner + column;
    int64_t width = args.inner - column < wide ? args.inner - column : wide;
    if (width == wide) {
      if constexpr (backward) columns_backward<T, logarithm, kAbreast>(y + at, dy + at, dx + at, args.n, args.inner, int(w));
      else columns<T, logarithm, kAbreast>(x + at, y + at, args.n, args.inner, int(w));
      continue;
    }
    for (int64_t k = 0; k < width; k += w, at += w) {
      int lanes = width - k < w ? int(width - k) : int(w);
      if constexpr (backward) columns_backward<T, logarithm, 1>(y + at, dy + at, dx + at, args.n, args.inner, lanes);
      else columns<T, logarithm, 1>(x + at, y + at, args.n, args.inner, lanes);
    }
  }
}

template <bool logarithm, bool backward> void run(const RowsArgs& args) {
  if (args.outer * args.n * args.inner == 0) return;
  bool wide = args.dtype == DType::float64;
  int64_t w = args.inner == 1 ? 1 : kAbreast * (wide ? VecOf<double>::width : VecOf<float>::width);
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
