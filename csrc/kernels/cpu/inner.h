// From a Function to loops over contiguous arrays, one for each type it computes in, and from an enum to their table.
#pragma once
#include "kernels/cpu/math.h"
#include "kernels/cpu/walk.h"
#include "kernels/functions.h"

namespace tessel::TESSEL_TARGET {

template <class F, int arity, class T>
void inner(const Params& params, int64_t n, void* y, const void* const* x, [[maybe_unused]] unsigned repeated) {
  using V = Vec<T>;
  const Params p = params;  // a copy of its own, which no store can change
  auto apply = [&p](V a, V b, V c) {
    if constexpr (arity == 1) return F::value(a, p);
    else if constexpr (arity == 2) return F::value(a, b, p);
    else return F::value(a, b, c, p);
  };
  const T *a = (const T*)x[0], *b = (const T*)x[arity > 1 ? 1 : 0], *c = (const T*)x[arity > 2 ? 2 : 0];
  auto* r = (typename decltype(apply(V(), V(), V()))::Lane*)y;
  if constexpr (arity > 1 && V::width > 1) {
    const int64_t step[3] = {repeated & 1 ? 0 : V::width, repeated & 2 ? 0 : V::width,
                             arity < 3 || repeated & 4 ? 0 : V::width};  // c without a third operand is a, which may be one value
    for (; n >= V::width; n -= V::width) {
      apply(V::load(a), V::load(b), V::load(c)).store(r);
      a += step[0], b += step[1], c += step[2], r += V::width;
    }
    if (n > 0) apply(V::load(a, int(n)), V::load(b, int(n)), V::load(c, int(n))).store(r, int(n));
    return;
  }
  int64_t i = 0;
  TESSEL_INDEPENDENT
  for (; i <= n - V::width; i += V::width) apply(V::load(a + i), V::load(b + i), V::load(c + i)).store(r + i);
  if (V::width > 1 && i < n) {
    int left = int(n - i);
    apply(V::load(a + i, left), V::load(b + i, left), V::load(c + i, left)).store(r + i, left);
  }
}

// The same for 16-bit floats, read and written as such; repeated values are floats. Through tiles of floats a product of
// 1M takes twice as long: three more stores and loads of whole vectors for one operation.
template <class F, int arity, class T>
void narrow_inner(const Params& params, int64_t n, void* y, const void* const* x, unsigned repeated) {
  using V = Vec<float>;
  const Params p = params;
  V value[arity];
  for (int k = 0; k < arity; ++k) value[k] = repeated >> k & 1 ? V::of(*(const float*)x[k]) : V(0);
  auto item = [&](int k, int64_t i, int left) {
    const T* from = (const T*)x[k] + i;
    return repeated >> k & 1 ? value[k] : left < V::width ? V::load(from, left) : V::load(from);
  };
  auto apply = [&](int64_t i, int left) {
    if constexpr (arity == 1) return F::value(item(0, i, left), p);
    else if constexpr (arity == 2) return F::value(item(0, i, left), item(1, i, left), p);
    else return F::value(item(0, i, left), item(1, i, left), item(2, i, left), p);
  };
  auto* r = (typename Choose<same<decltype(apply(0, 0)), V>, T, Bool>::type*)y;
  int64_t i = 0;
  for (; i <= n - V::width; i += V::width) apply(i, V::width).store(r + i);
  if (i < n) apply(i, int(n - i)).store(r + i, int(n - i));
}

struct Inners {
  Inner of[4];     // float, double, int32, int64; null where the function does not compute in it
  Inner narrow[2]; // float16, bfloat16; null where they go by way of a tile of floats
  bool question;   // the result is bool

  Inner in(DType compute) const {
    return of[compute == DType::float32 ? 0 : compute == DType::float64 ? 1 : compute == DType::int32 ? 2 : 3];
  }
};

template <class F, int arity> constexpr Inners inners() {
  Inners r = {};
  if constexpr (F::reals) r.of[0] = inner<F, arity, float>, r.of[1] = inner<F, arity, double>;
  if constexpr (F::reals && requires { F::narrow; } && Vec<float>::width > 1) {
    r.narrow[0] = narrow_inner<F, arity, Half>, r.narrow[1] = narrow_inner<F, arity, BFloat>;
  }
  if constexpr (F::integers) r.of[2] = inner<F, arity, int32_t>, r.of[3] = inner<F, arity, int64_t>;
  return r;
}

// The walk of a function over a loop.
inline void walk(const Loop& loop, const Inners& row, DType compute, const Params& params) {
  DType result = row.question ? DType::bool_ : compute;
  if (row.narrow[0] && compute == DType::float32) {
    // All but single values are of one 16-bit type, and so is the result, unless it is bool.
    DType narrow = loop.operand[row.question ? 1 : 0].dtype;
    bool alike = narrow == DType::float16 || narrow == DType::bfloat16;
    for (int k = 1; alike && k < loop.operands; ++k) {
      const Operand& operand = loop.operand[k];
      bool single = true;
      for (int d = 0; operand.data && d < loop.ndim; ++d) single &= operand.strides[d] == 0;
      alike = single || operand.dtype == narrow;
    }
    if (alike) return walk(loop, row.narrow[narrow == DType::bfloat16], row.question ? result : narrow, narrow, DType::float32, params);
  }
  bool knows = Vec<float>::width > 1 && loop.operands > 2 && (compute == DType::float32 || compute == DType::float64);
  if (knows) walk(loop, row.in(compute), result, compute, compute, params);
  else walk(loop, row.in(compute), result, compute, params);
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
