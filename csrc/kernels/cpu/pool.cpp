// Pooling, forward and backward: max and average over windows on a grid, and their adaptive kinds. A plane (one channel of
// one image) is one task. Grid windows are walked tap by tap along a row of the result, which the compiler vectorises;
// adaptive windows differ, so each is summed by itself.
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_simd.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T> struct Type { using type = T; };

template <class F> auto with_floating(DType dtype, const F& f) {
  switch (dtype) {
    case DType::float64: return f(Type<double>{});
    case DType::bfloat16: return f(Type<BFloat>{});
    case DType::float16: return f(Type<Half>{});
    default: return f(Type<float>{});
  }
}

// What values of a type are compared and added as. Integers keep their type in max; their averages, which only int64
// has, are cut towards zero.
template <class T> struct Value {
  using S = Compute<T>;
  static constexpr S lowest = S(-INFINITY);
  static S load(T x) { return S(widen(x)); }
  static void store(T* to, S x) { narrow(to, x); }
};
template <class T> struct IntegerValue {
  using S = T;
  static constexpr S lowest = T(-1) < T(0) ? T(uint64_t(1) << (8 * sizeof(T) - 1)) : T(0);
  static S load(T x) { return x; }
  static void store(T* to, S x) { *to = x; }
};
template <> struct Value<int64_t> : IntegerValue<int64_t> {};
template <> struct Value<int32_t> : IntegerValue<int32_t> {};
template <> struct Value<int16_t> : IntegerValue<int16_t> {};
template <> struct Value<int8_t> : IntegerValue<int8_t> {};
template <> struct Value<uint8_t> : IntegerValue<uint8_t> {};

int64_t size_of(const int64_t* d) { return d[0] * d[1] * d[2]; }
int64_t flat(const int64_t* sizes, int64_t i0, int64_t i1, int64_t i2) { return (i0 * sizes[1] + i1) * sizes[2] + i2; }

// The part of the source that position o's window covers along dimension d; `extent` counts the padding in.
struct Window { int64_t first, last, extent; };

Window grid_window(const PoolArgs& p, int d, int64_t o) {
  const int64_t start = o * p.stride[d] - p.padding[d], dilation = p.dilation[d];
  const int64_t end = start + dilation * (p.kernel[d] - 1) + 1;
  const int64_t first = start < 0 ? start + ceil_div(-start, dilation) * dilation : start;
  return {first, least(end, p.in[d]), least(end, p.in[d] + p.padding[d]) - start};
}

Window adaptive_window(const PoolArgs& p, int d, int64_t o) {
  const int64_t first = o * p.in[d] / p.out[d], last = ceil_div((o + 1) * p.in[d], p.out[d]);
  return {first, last, last - first};
}

bool adaptive(const PoolArgs& p) { return p.op == Pool::adaptive_max || p.op == Pool::adaptive_average; }

Window window(const PoolArgs& p, int d, int64_t o) { return adaptive(p) ? adaptive_window(p, d, o) : grid_window(p, d, o); }

// One tap of the grid's windows along a row of results: results [first, last) have it inside, the first of them at source
// element `from`, the next `step` further.
struct TapRow { int64_t first, last, from, step; };

template <class F> void each_tap(const PoolArgs& p, int64_t o0, int64_t o1, int64_t begin, int64_t end, const F& f) {
  const int64_t s = p.stride[2];
  for (int64_t k0 = 0; k0 < p.kernel[0]; ++k0) {
    const int64_t i0 = o0 * p.stride[0] - p.padding[0] + k0 * p.dilation[0];
    if (i0 < 0 || i0 >= p.in[0]) continue;
    for (int64_t k1 = 0; k1 < p.kernel[1]; ++k1) {
      const int64_t i1 = o1 * p.stride[1] - p.padding[1] + k1 * p.dilation[1];
      if (i1 < 0 || i1 >= p.in[1]) continue;
      for (int64_t k2 = 0; k2 < p.kernel[2]; ++k2) {
        const int64_t shift = k2 * p.dilation[2] - p.padding[2];  // result o reads o * s + shift
        const int64_t first = most(begin, shift < 0 ? ceil_div(-shift, s) : 0);
        const int64_t last = p.in[2] > shift ? least(end, (p.in[2] - 1 - shift) / s + 1) : 0;
        if (first < last) f(TapRow{first, last, flat(p.in, i0, i1, first * s + shift), s});
      }
    }
  }
}

constexpr int64_t kRow = 128;  // results of a row walked together: values and places stay in L1
constexpr int64_t kSpan = 4 * kRow;  // elements they span that are worth a tile of floats

// Calls f(elements) with what n results read that lie `step` apart: 16-bit ones as floats, converted by whole vectors, where
// one after the other would be a conversion of 20 instructions each.
template <class T, class F> inline void with_values(const T* from, int64_t n, int64_t step, const F& f) {
  if constexpr (sizeof(T) == 2 && !same<T, int16_t>) {
    using V = Vec<float>;
    const int64_t span = (n - 1) * step + 1;
    if (span <= kSpan) {
      alignas(64) float tile[kSpan];
      int64_t i = 0;
      for (; i + V::width <= span; i += V::width) V::load(from + i).store(tile + i);
      if (i < span) V::load(from + i, int(span - i)).store(tile + i, int(span - i));
      return f((const float*)tile);
    }
  }
  f(from);
}

// The results of a row: 16-bit ones by whole vectors.
template <class T, class S> inline void store_row(T* to, const S* values, int64_t n) {
  if constexpr (sizeof(T) == 2 && !same<T, int16_t>) {
    using V = Vec<float>;
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) V::load(values + i).store(to + i);
    if (i < n) V::load(values + i, int(n - i)).store(to + i, int(n - i));
  } else {
    for (int64_t i = 0; i < n; ++i) Value<T>::store(to + i, values[i]);
  }
}

// ---- max: a later element wins when it is greater or a NaN, as PyTorch has it. Place counts elements, or is Nowhere where
// nobody asks which of them won.
struct Nowhere {};

template <class T, class Place> void max_plane(const PoolArgs& p, const T* x, T* y, int64_t* indices) {
  using S = typename Value<T>::S;
  for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
    for (int64_t o1 = 0; o1 < p.out[1]; ++o1)
      for (int64_t begin = 0; begin < p.out[2]; begin += kRow) {
        const int64_t end = least(p.out[2], begin + kRow);
        constexpr bool placed = !same<Place, Nowhere>;
        S best[kRow];
        [[maybe_unused]] Place place[kRow];
        for (int64_t o = begin; o < end; ++o) best[o - begin] = Value<T>::lowest;
        if constexpr (placed) {
          const int64_t start = flat(p.in, window(p, 0, o0).first, window(p, 1, o1).first, 0);
          for (int64_t o = begin; o < end; ++o) place[o - begin] = Place(start + window(p, 2, o).first);
        }
        each_tap(p, o0, o1, begin, end, [&](const TapRow& tap) {
          S* const value = best + (tap.first - begin);
          const int64_t n = tap.last - tap.first;
          auto walk = [&]<class E>(const E* from, int64_t stride) {
            for (int64_t l = 0; l < n; ++l) {
              const S v = Value<E>::load(from[l * stride]);
              const bool wins = (v > value[l]) | (v != v);
              value[l] = wins ? v : value[l];
              if constexpr (placed) {
                Place& at = place[tap.first - begin + l];
                at = wins ? Place(Place(tap.from) + Place(l) * Place(tap.step)) : at;
              }
            }
          };
          with_values(x + tap.from, n, tap.step, [&](auto* from) {
            if (tap.step == 1) walk(from, 1);
            else if (tap.step == 2) walk(from, 2);
            else walk(from, tap.step);
          });
        });
        const int64_t out = flat(p.out, o0, o1, begin);
        store_row(y + out, best, end - begin);
        if constexpr (placed)
          for (int64_t o = begin; o < end; ++o) indices[out + o - begin] = int64_t(place[o - begin]);
      }
}

template <class T> void adaptive_max_plane(const PoolArgs& p, const T* x, T* y, int64_t* indices) {
  using S = Compute<T>;
  for (int64_t o = 0; o < size_of(p.out); ++o) {
    const Window w0 = window(p, 0, o / p.out[2] / p.out[1]), w1 = window(p, 1, o / p.out[2] % p.out[1]), w2 = window(p, 2, o % p.out[2]);
    S best = S(-INFINITY);
    int64_t place = flat(p.in, w0.first, w1.first, w2.first);
    for (int64_t i0 = w0.first; i0 < w0.last; ++i0)
      for (int64_t i1 = w1.first; i1 < w1.last; ++i1)
        for (int64_t i2 = w2.first; i2 < w2.last; ++i2) {
          const S v = S(widen(x[flat(p.in, i0, i1, i2)]));
          if (v > best || v != v) {
            best = v;
            place = flat(p.in, i0, i1, i2);
          }
        }
    narrow(y + o, best);
    if (indices) indices[o] = place;
  }
}

// ---- average
int64_t divisor(const PoolArgs& p, const Window& w0, const Window& w1, const Window& w2) {
  if (p.divisor_override) return p.divisor_override;
  if (p.count_include_pad) return w0.extent * w1.extent * w2.extent;
  return (w0.last - w0.first) * (w1.last - w1.first) * (w2.last - w2.first);
}

template <class T> void average_plane(const PoolArgs& p, const T* x, T* y) {
  using S = typename Value<T>::S;
  for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
    for (int64_t o1 = 0; o1 < p.out[1]; ++o1)
      for (int64_t begin = 0; begin < p.out[2]; begin += kRow) {
        const int64_t end = least(p.out[2], begin + kRow);
        S sum[kRow] = {};
        each_tap(p, o0, o1, begin, end, [&](const TapRow& tap) {
          S* const to = sum + (tap.first - begin);
          const int64_t n = tap.last - tap.first;
          with_values(x + tap.from, n, tap.step, [&]<class E>(const E* from) {
            if (tap.step == 1) for (int64_t l = 0; l < n; ++l) to[l] += Value<E>::load(from[l]);
            else for (int64_t l = 0; l < n; ++l) to[l] += Value<E>::load(from[l * tap.step]);
          });
        });
        const Window w0 = window(p, 0, o0), w1 = window(p, 1, o1);
        for (int64_t o = begin; o < end; ++o) sum[o - begin] /= S(divisor(p, w0, w1, window(p, 2, o)));
        store_row(y + flat(p.out, o0, o1, begin), sum, end - begin);
      }
}

// n neighbouring elements; the order of the sum depends on n only
template <class T> Compute<T> sum_of(const T* x, int64_t n) {
  using D = Simd<Compute<T>>;
  typename D::V lanes[2] = {D::zero(), D::zero()};
  for (int64_t i = 0, v = 0; i < n; i += D::width, v ^= 1) {
    if (n - i >= D::width) lanes[v] = lanes[v] + D::load(x + i);
    else lanes[v] = lanes[v] + D::load(x + i, int(n - i));
  }
  return D::sum(lanes[0] + lanes[1]);
}

template <class T> void adaptive_average_plane(const PoolArgs& p, const T* x, T* y) {
  using S = Compute<T>;
  for (int64_t o = 0; o < size_of(p.out); ++o) {
    const Window w0 = window(p, 0, o / p.out[2] / p.out[1]), w1 = window(p, 1, o / p.out[2] % p.out[1]), w2 = window(p, 2, o % p.out[2]);
    const bool rows = w2.first == 0 && w2.last == p.in[2];  // whole rows lie together
    S sum = 0;
    for (int64_t i0 = w0.first; i0 < w0.last; ++i0) {
      if (rows) {
        sum += sum_of<T>(x + flat(p.in, i0, w1.first, 0), (w1.last - w1.first) * p.in[2]);
        continue;
      }
      for (int64_t i1 = w1.first; i1 < w1.last; ++i1) sum += sum_of<T>(x + flat(p.in, i0, i1, w2.first), w2.last - w2.first);
    }
    narrow(y + o, sum / S((w0.last - w0.first) * (w1.last - w1.first) * (w2.last - w2.first)));
  }
}

// ---- backward: dx starts at zero and gathers in the compute type
template <class T> void max_backward_plane(const PoolArgs& p, const T* dy, const int64_t* indices, Compute<T>* dx) {
  for (int64_t o = 0; o < size_of(p.out); ++o) dx[indices[o]] += Compute<T>(widen(dy[o]));
}

template <class T> void average_backward_plane(const PoolArgs& p, const T* dy, Compute<T>* dx) {
  using S = Compute<T>;
  for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
    for (int64_t o1 = 0; o1 < p.out[1]; ++o1)
      for (int64_t begin = 0; begin < p.out[2]; begin += kRow) {
        const int64_t end = least(p.out[2], begin + kRow);
        const Window w0 = window(p, 0, o0), w1 = window(p, 1, o1);
        S share[kRow];
        for (int64_t o = begin; o < end; ++o)
          share[o - begin] = S(widen(dy[flat(p.out, o0, o1, o)])) / S(divisor(p, w0, w1, window(p, 2, o)));
        each_tap(p, o0, o1, begin, end, [&](const TapRow& tap) {
          const S* const from = share + (tap.first - begin);
          S* const to = dx + tap.from;
          const int64_t n = tap.last - tap.first;
          if (tap.step == 1) for (int64_t l = 0; l < n; ++l) to[l] += from[l];
          else for (int64_t l = 0; l < n; ++l) to[l * tap.step] += from[l];
        });
      }
}

template <class T> void adaptive_average_backward_plane(const PoolArgs& p, const T* dy, Compute<T>* dx) {
  using S = Compute<T>;
  for (int64_t o = 0; o < size_of(p.out); ++o) {
    const Window w0 = window(p, 0, o / p.out[2] / p.out[1]), w1 = window(p, 1, o / p.out[2] % p.out[1]), w2 = window(p, 2, o % p.out[2]);
    const S share = S(widen(dy[o])) / S((w0.last - w0.first) * (w1.last - w1.first) * (w2.last - w2.first));
    for (int64_t i0 = w0.first; i0 < w0.last; ++i0)
      for (int64_t i1 = w1.first; i1 < w1.last; ++i1) {
        S* const to = dx + flat(p.in, i0, i1, 0);
        for (int64_t i2 = w2.first; i2 < w2.last; ++i2) to[i2] += share;
      }
  }
}

int64_t steps_of(const PoolArgs& p) {
  return (adaptive(p) ? size_of(p.in) : size_of(p.out) * size_of(p.kernel)) / 4 + size_of(p.in) / 16 + 16;
}

template <class T> int64_t plane_bytes(const PoolArgs& p) {
  return sizeof(T) == sizeof(Compute<T>) ? 0 : round_up(size_of(p.in) * int64_t(sizeof(Compute<T>)), 64);
}

// f over planes: where it stands in x and y, and its places
template <class T, class F> void each_plane(const PoolArgs& p, const F& f) {
  const int64_t in = size_of(p.in), out = size_of(p.out);
  auto planes = [&](int64_t begin, int64_t end, int) {
    for (int64_t plane = begin; plane < end; ++plane)
      f(static_cast<const T*>(p.x) + plane * in, static_cast<T*>(p.y) + plane * out, p.indices ? p.indices + plane * out : nullptr);
  };
  for_tasks(p.planes, steps_of(p), true, planes);
}

template <class T> void max_planes(const PoolArgs& p) {
  if (!p.indices) each_plane<T>(p, [&](const T* x, T* y, int64_t*) { max_plane<T, Nowhere>(p, x, y, nullptr); });
  else if (size_of(p.in) < INT32_MAX) each_plane<T>(p, [&](const T* x, T* y, int64_t* indices) { max_plane<T, int32_t>(p, x, y, indices); });
  else each_plane<T>(p, [&](const T* x, T* y, int64_t* indices) { max_plane<T, int64_t>(p, x, y, indices); });
}

}  // namespace

void pool(const PoolArgs& p) {
  switch (p.dtype) {
    case DType::int64: return p.op == Pool::max ? max_planes<int64_t>(p) : each_plane<int64_t>(p, [&](const int64_t* x, int64_t* y, int64_t*) { average_plane(p, x, y); });
    case DType::int32: return max_planes<int32_t>(p);
    case DType::int16: return max_planes<int16_t>(p);
    case DType::int8: return max_planes<int8_t>(p);
    case DType::uint8: return max_planes<uint8_t>(p);
    default: break;
  }
  with_floating(p.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if (p.op == Pool::max) return max_planes<T>(p);
    each_plane<T>(p, [&](const T* x, T* y, int64_t* indices) {
      switch (p.op) {
        case Pool::average: return average_plane<T>(p, x, y);
        case Pool::adaptive_max: return adaptive_max_plane<T>(p, x, y, indices);
        default: return adaptive_average_plane<T>(p, x, y);
      }
    });
  });
}

int64_t pool_backward_scratch(const PoolArgs& p) {
  return with_floating(p.dtype, [&](auto type) -> int64_t {
    return num_threads() * plane_bytes<typename decltype(type)::type>(p);
  });
}

void pool_backward(const PoolArgs& p, void* scratch) {
  with_floating(p.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const int64_t in = size_of(p.in), out = size_of(p.out), bytes = plane_bytes<T>(p);
    auto planes = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* const dy = static_cast<const T*>(p.dy) + plane * out;
        T* const dx = static_cast<T*>(p.dx) + plane * in;
        S* sums;
        if constexpr (sizeof(T) == sizeof(S)) sums = dx;
        else sums = reinterpret_cast<S*>(static_cast<char*>(scratch) + worker * bytes);
        memset(sums, 0, size_t(in) * sizeof(S));
        switch (p.op) {
          case Pool::max: case Pool::adaptive_max: max_backward_plane<T>(p, dy, p.indices + plane * out, sums); break;
          case Pool::average: average_backward_plane<T>(p, dy, sums); break;
          case Pool::adaptive_average: adaptive_average_backward_plane<T>(p, dy, sums); break;
        }
        if constexpr (sizeof(T) != sizeof(S))
          for (int64_t i = 0; i < in; ++i) narrow(dx + i, sums[i]);
      }
    };
    for_tasks(p.planes, steps_of(p), true, planes);
  });
}

}  // namespace tessel::TESSEL_TARGET
