// Resampling along one dimension: every element of the result is a weighted sum of a few of the source, which a table names.
// Interpolation of any kind is this, once for each dimension, and its gradient is the same with the table turned round.
//
// With inner > 1 a row of the result is the sum of whole rows of the source: lanes run along them, and two taps cost two
// loads, two multiply-adds and a store for each vector. With inner == 1 the taps of an element lie side by side, or nearly;
// the loop over elements has its number of taps at compile time, and the compiler gathers.
#include "kernels/cpu/entries.h"
#include "kernels/cpu/gemm_work.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

template <class T> void row(const ResampleArgs& a, int64_t outer, int64_t j) {
  const T* const x = static_cast<const T*>(a.x) + outer * a.n * a.inner;
  T* const y = static_cast<T*>(a.y) + (outer * a.m + j) * a.inner;
  const T* const weight = static_cast<const T*>(a.weight);
  const int64_t begin = a.first[j], end = a.first[j + 1];
  if (end == begin + 2) {
    const T *const x0 = x + a.index[begin] * a.inner, *const x1 = x + a.index[begin + 1] * a.inner;
    const VecOf<T> w0 = VecOf<T>::of(weight[begin]), w1 = VecOf<T>::of(weight[begin + 1]);
    each<T>(a.inner, [=](int64_t i, int lanes) { put<T>(fma(w1, get(x1 + i, lanes), w0 * get(x0 + i, lanes)), y + i, lanes); });
    return;
  }
  each<T>(a.inner, [=, &a](int64_t i, int lanes) {
    VecOf<T> sum(0);
    for (int64_t t = begin; t < end; ++t) sum = fma(VecOf<T>::of(weight[t]), get(x + a.index[t] * a.inner + i, lanes), sum);
    put<T>(sum, y + i, lanes);
  });
}

// Elements of one line, each of as many taps; 0: of any number.
template <class T, int taps> void line(const ResampleArgs& a, const T* x, T* y) {
  const T* const weight = static_cast<const T*>(a.weight);
  if constexpr (taps == 0) {
    for (int64_t j = 0; j < a.m; ++j) {
      T sum = 0;
      for (int64_t t = a.first[j]; t < a.first[j + 1]; ++t) sum += weight[t] * x[a.index[t]];
      y[j] = sum;
    }
  } else {
    for (int64_t j = 0; j < a.m; ++j) {
      T sum = weight[j * taps] * x[a.index[j * taps]];
      for (int t = 1; t < taps; ++t) sum += weight[j * taps + t] * x[a.index[j * taps + t]];
      y[j] = sum;
    }
  }
}

template <class T> void resample_all(const ResampleArgs& a) {
  const int64_t taps = a.m ? (a.first[a.m] + a.m - 1) / a.m : 0;
  if (a.inner > 1) {
    auto rows = [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) row<T>(a, i / a.m, i % a.m);
    };
    return for_tasks(a.outer * a.m, a.inner * (taps + 1) / VecOf<T>::width + 1, true, rows);
  }
  auto lines = [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const T* const x = static_cast<const T*>(a.x) + i * a.n;
      T* const y = static_cast<T*>(a.y) + i * a.m;
      switch (a.taps) {
        case 1: line<T, 1>(a, x, y); break;
        case 2: line<T, 2>(a, x, y); break;
        case 4: line<T, 4>(a, x, y); break;
        default: line<T, 0>(a, x, y);
      }
    }
  };
  for_tasks(a.outer, a.m * (taps + 1), true, lines);
}

}  // namespace

void resample(const ResampleArgs& args) {
  if (args.dtype == DType::float64) resample_all<double>(args);
  else resample_all<float>(args);
}

}  // namespace tessel::TESSEL_TARGET
