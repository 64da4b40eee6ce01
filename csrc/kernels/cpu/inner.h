// From a Function to loops over contiguous arrays, one for each type it computes in, and from an enum to their table.
#pragma once
#include "kernels/cpu/math.h"
#include "kernels/cpu/walk.h"
#include "kernels/functions.h"

namespace tessel::TESSEL_TARGET {

template <class F, int arity, class T> void inner(const Params& params, int64_t n, void* y, const void* const* x) {
  using V = Vec<T>;
  const Params p = params;  // a copy of its own, which no store can change
  auto apply = [&p](V a, V b, V c) {
    if constexpr (arity == 1) return F::value(a, p);
    else if constexpr (arity == 2) return F::value(a, b, p);
    else return F::value(a, b, c, p);
  };
  const T *a = (const T*)x[0], *b = (const T*)x[arity > 1 ? 1 : 0], *c = (const T*)x[arity > 2 ? 2 : 0];
  auto* r = (typename decltype(apply(V(), V(), V()))::Lane*)y;
  int64_t i = 0;
  TESSEL_INDEPENDENT
  for (; i <= n - V::width; i += V::width) apply(V::load(a + i), V::load(b + i), V::load(c + i)).store(r + i);
  if (V::width > 1 && i < n) {
    int left = int(n - i);
    apply(V::load(a + i, left), V::load(b + i, left), V::load(c + i, left)).store(r + i, left);
  }
}

struct Inners {
  Inner of[4];    // float, double, int32, int64; null where the function does not compute in it
  bool question;  // the result is bool

  Inner in(DType compute) const {
    return of[compute == DType::float32 ? 0 : compute == DType::float64 ? 1 : compute == DType::int32 ? 2 : 3];
  }
};

template <class F, int arity> constexpr Inners inners() {
  Inners r = {};
  if constexpr (F::reals) r.of[0] = inner<F, arity, float>, r.of[1] = inner<F, arity, double>;
  if constexpr (F::integers) r.of[2] = inner<F, arity, int32_t>, r.of[3] = inner<F, arity, int64_t>;
  return r;
}

template <class V, class F, int arity> constexpr bool asks() {
  Params p = {};
  if constexpr (arity == 1) return !same<decltype(F::value(V(), p)), V>;
  else if constexpr (arity == 2) return !same<decltype(F::value(V(), V(), p)), V>;
  else return false;
}

// The numbers 0 .. count - 1 as a pack.
template <int... i> struct Numbering {};
template <int count, int... i> struct Count { using type = typename Count<count - 1, count - 1, i...>::type; };
template <int... i> struct Count<0, i...> { using type = Numbering<i...>; };

template <int count> struct Table {
  Inners row[count];
};

// One row for each code, Function<code> or Gradient<code>.
template <class Code, template <auto> class Family, int arity, int... i> constexpr auto make_table(Numbering<i...>) {
  auto row = []<class F>(F*) {
    Inners r = inners<F, arity>();
    r.question = asks<Vec<typename Choose<F::reals, float, int32_t>::type>, F, arity>();
    return r;
  };
  return Table<int(sizeof...(i))>{{row((Family<Code(i)>*)nullptr)...}};
}

}  // namespace tessel::TESSEL_TARGET
