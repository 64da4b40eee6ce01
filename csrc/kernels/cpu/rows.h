// Walks along one row of floats in vector lanes, 16-bit ones read and written as such and computed in float. Softmax, the
// norms and the losses are made of them.
#pragma once
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

constexpr int64_t kRowBlock = 1024;   // elements of a row that are added in lanes; blocks are added in double

template <class T> using VecOf = Vec<typename Choose<same<T, double>, double, float>::type>;

struct Plus { template <class V> V operator()(V a, V b) const { return a + b; } };
struct Greater { template <class V> V operator()(V a, V b) const { return max(a, b); } };

// f(i, lanes) for the vectors of [begin, end), folded; f gives the elements from i on, of which `lanes` count.
template <class T, class F, class Combine>
inline auto fold_range(int64_t begin, int64_t end, VecOf<T> identity, F f, Combine combine) {
  using V = VecOf<T>;
  constexpr int w = V::width;
  V a = identity, b = identity, c = identity, d = identity;  // four, as an addition is ready after four cycles
  int64_t i = begin;
  for (; i + 4 * w <= end; i += 4 * w) {
    a = combine(a, f(i, w));
    b = combine(b, f(i + w, w));
    c = combine(c, f(i + 2 * w, w));
    d = combine(d, f(i + 3 * w, w));
  }
  for (; i < end; i += w) {
    int lanes = end - i < w ? int(end - i) : w;
    a = first_of(combine(a, f(i, lanes)), lanes, a);
  }
  return fold(combine(combine(a, b), combine(c, d)), combine);
}

template <class T, class F> inline double sum_row(int64_t n, F f) {
  double sum = 0;
  for (int64_t i = 0; i < n; i += kRowBlock) {
    sum += double(fold_range<T>(i, n - i < kRowBlock ? n : i + kRowBlock, VecOf<T>(0), f, Plus()));
  }
  return sum;
}

template <class T> inline VecOf<T> get(const T* p, int lanes) {
  using V = VecOf<T>;
  return lanes == V::width ? V::load(p) : V::load(p, lanes);
}
template <class T> inline void put(VecOf<T> v, T* p, int lanes) {
  if (lanes == VecOf<T>::width) v.store(p);
  else v.store(p, lanes);
}

template <class T, class F> inline void each(int64_t n, F f) {
  constexpr int w = VecOf<T>::width;
  int64_t i = 0;
  for (; i + w <= n; i += w) f(i, w);
  if (i < n) f(i, int(n - i));
}

}  // namespace tessel::TESSEL_TARGET
