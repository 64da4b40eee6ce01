// Convolution of integers: every sum in 64 bits, wrapping around; a stretch of a row of positions at a time, its sums stay
// in L1.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kIntegerBlock = 512;

template <class T> void integer_gather(const Gather& g, const T* x, const T* w, T* y, const T* bias) {
  const Axis* a = g.axis;
  const int64_t taps = g.taps();
  auto planes = [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {  // (image, group, row)
      const int64_t row = task % g.rows, group = task / g.rows % g.groups;
      const T* const image = x + task / g.rows * g.channels * g.x_plane();
      const T* const weights = w + group * g.w_group + row * g.w_row;
      const uint64_t start = bias ? uint64_t(int64_t(bias[group * g.rows + row])) : 0;
      for (int64_t q = 0; q < g.positions(); q += a[2].count)
        for (int64_t block = 0; block < a[2].count; block += kIntegerBlock) {
          const int64_t n = least(kIntegerBlock, a[2].count - block), q0 = q / a[2].count / a[1].count, q1 = q / a[2].count % a[1].count;
          uint64_t sum[kIntegerBlock];
          for (int64_t l = 0; l < n; ++l) sum[l] = start;
          for (int64_t t = 0; t < taps; ++t) {
            const Tap tap = tap_of(g, t);
            Run run;
            if (!clip(a, {0, n, 0, {q0, q1, block}}, tap.shift, &run)) continue;
            for (int64_t c = 0; c < g.channels; ++c) {
              const uint64_t weight = uint64_t(int64_t(weights[c * g.w_channel + tap.w]));
              const T* const from = image + c * g.x_plane() + run.from;
              for (int64_t l = 0; l < run.length; ++l) sum[run.lane + l] += weight * uint64_t(int64_t(from[l * a[2].step]));
            }
          }
          T* const to = y + task * g.y_plane() + ((a[0].to + q0 * a[0].to_step) * g.y_size[1] + a[1].to + q1 * a[1].to_step) * g.y_size[2] + a[2].to;
          for (int64_t l = 0; l < n; ++l) to[(block + l) * a[2].to_step] = T(sum[l]);
        }
    }
  };
  for_tasks(g.batch * g.groups * g.rows, g.positions() * (g.depth() + 1), true, planes);
}

template <class F> void with_integer(DType dtype, const F& f) {
  switch (dtype) {
    case DType::int64: return f(Type<int64_t>{});
    case DType::int32: return f(Type<int32_t>{});
    case DType::int16: return f(Type<int16_t>{});
    case DType::int8: return f(Type<int8_t>{});
    default: return f(Type<uint8_t>{});
  }
}

}  // namespace

void integer_gather(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias) {
  with_integer(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    integer_gather<T>(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y), static_cast<const T*>(bias));
  });
}

}  // namespace tessel::TESSEL_TARGET
