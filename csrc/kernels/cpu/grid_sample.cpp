// Sampling images at the positions of a grid, and its derivatives. The elements a position reads and their weights are a
// product over the dimensions; they are made once for a block of positions and serve all channels.
//
// y and dgrid are cut by positions, dx by channels: every element of a result belongs to one task, which adds in the order
// of the positions.
#include "kernels/cpu/entries.h"
#include "kernels/cpu/gemm_work.h"
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kBlock = 32;     // positions whose taps stand in L1: 32 * 16 * 24 bytes with derivatives
constexpr int kTaps = 16;          // at most: 4 x 4 of a cubic, 2 x 2 x 2 of a trilinear
constexpr int64_t kChannels = 16;  // of one task of dx, which share the taps

// The elements along one dimension: their numbers, -1 for those outside, weights, and the derivatives of these by the
// position as the grid states it.
template <class T> struct Axis {
  int count;
  int64_t at[4];
  T weight[4], slope[4];
};

// Where a position is once it has been brought inside; `slope` is multiplied by the derivative.
template <class T> T clipped(T u, int64_t size, T& slope) {
  const T last = T(size - 1);
  if (!(u > 0)) return slope = 0, T(0);
  if (u >= last) return slope = 0, last;
  return u;
}

template <class T> T reflected(T u, int64_t size, bool align_corners, T& slope) {
  const T low = align_corners ? T(0) : T(-0.5), span = align_corners ? T(size - 1) : T(size);
  if (span == 0) return slope = 0, T(0);
  u -= low;
  if (u < 0) u = -u, slope = -slope;
  const T turns = T(floor(double(u / span))), rest = T(fmod(double(u), double(span)));
  if (turns - 2 * T(floor(double(turns / 2))) == 0) return rest + low;
  slope = -slope;
  return span - rest + low;
}

template <class T> T inside(const GridSampleArgs& p, T u, int64_t size, T& slope) {
  if (p.outside == Outside::reflection) u = reflected(u, size, p.align_corners, slope);
  return p.outside == Outside::zeros ? u : clipped(u, size, slope);
}

// The cubic through four points with a = -3/4 (Keys 1981), at distance t behind the second.
template <class T> void cubic(T t, T (&weight)[4], T (&slope)[4]) {
  const T a = T(-0.75);
  const T near[2] = {t, 1 - t}, far[2] = {t + 1, 2 - t};
  for (int k = 0; k < 2; ++k) {
    const T n = near[k], f = far[k], sign = k == 0 ? T(1) : T(-1);
    weight[1 + k] = ((a + 2) * n - (a + 3)) * n * n + 1;
    slope[1 + k] = sign * ((3 * (a + 2) * n - 2 * (a + 3)) * n);
    weight[3 * k] = ((a * f - 5 * a) * f + 8 * a) * f - 4 * a;
    slope[3 * k] = sign * ((3 * a * f - 10 * a) * f + 8 * a);
  }
}

template <class T> Axis<T> axis(const GridSampleArgs& p, T position, int64_t size) {
  T slope = (p.align_corners ? T(size - 1) : T(size)) / 2;
  T u = p.align_corners ? (position + 1) / 2 * T(size - 1) : ((position + 1) * T(size) - 1) / 2;
  if (!(u > T(-1e9) && u < T(1e9))) u = u > 0 && p.outside == Outside::border ? T(size) : T(-100);  // a NaN lies outside
  auto number = [size](T x) { return x >= 0 && x < T(size) ? int64_t(x) : int64_t(-1); };
  Axis<T> axis{};
  if (p.sampling == Sampling::cubic) {
    const T base = T(floor(double(u)));
    axis.count = 4;
    cubic(u - base, axis.weight, axis.slope);
    for (int k = 0; k < 4; ++k) {
      T unused = 1;
      axis.at[k] = number(inside(p, base - 1 + T(k), size, unused));
      axis.slope[k] *= slope;
    }
    return axis;
  }
  u = inside(p, u, size, slope);
  if (p.sampling == Sampling::nearest) {
    axis.count = 1;
    axis.at[0] = number(T(rint(double(u))));
    axis.weight[0] = 1;
    return axis;
  }
  const T base = T(floor(double(u)));
  axis.count = 2;
  axis.at[0] = number(base), axis.at[1] = number(base + 1);
  axis.weight[1] = u - base, axis.weight[0] = 1 - axis.weight[1];
  axis.slope[0] = -slope, axis.slope[1] = slope;
  return axis;
}

template <class T> struct Block {
  int64_t count;                  // positions
  int taps;                       // of each
  int64_t at[kBlock][kTaps];      // in a plane; -1: outside, nothing is there
  T weight[kBlock][kTaps];
  T slope[kBlock][3][kTaps];      // of the weight by each number of the position, as the grid has them
};

template <class T, bool slopes> void fill(const GridSampleArgs& p, int64_t image, int64_t begin, Block<T>& block) {
  block.count = p.out - begin < kBlock ? p.out - begin : kBlock;
  for (int64_t i = 0; i < block.count; ++i) {
    const T* const position = static_cast<const T*>(p.grid) + (image * p.out + begin + i) * p.spatial;
    Axis<T> a[3];                 // of the last dimension, the one before, and the first
    for (int d = 0; d < p.spatial; ++d) a[d] = axis(p, position[d], p.in[2 - d]);
    if (p.spatial == 2) a[2] = Axis<T>{1, {0}, {1}, {0}};
    int tap = 0;
    for (int k2 = 0; k2 < a[2].count; ++k2)
      for (int k1 = 0; k1 < a[1].count; ++k1)
        for (int k0 = 0; k0 < a[0].count; ++k0, ++tap) {
          const bool there = a[0].at[k0] >= 0 && a[1].at[k1] >= 0 && a[2].at[k2] >= 0;
          block.at[i][tap] = there ? (a[2].at[k2] * p.in[1] + a[1].at[k1]) * p.in[2] + a[0].at[k0] : -1;
          block.weight[i][tap] = a[0].weight[k0] * a[1].weight[k1] * a[2].weight[k2];
          if constexpr (slopes) {
            block.slope[i][0][tap] = a[0].slope[k0] * a[1].weight[k1] * a[2].weight[k2];
            block.slope[i][1][tap] = a[0].weight[k0] * a[1].slope[k1] * a[2].weight[k2];
            block.slope[i][2][tap] = a[0].weight[k0] * a[1].weight[k1] * a[2].slope[k2];
          }
        }
    block.taps = tap;
  }
}

int64_t plane(const GridSampleArgs& p) { return p.in[0] * p.in[1] * p.in[2]; }
int64_t blocks(const GridSampleArgs& p) { return (p.out + kBlock - 1) / kBlock; }

template <class T> void forward(const GridSampleArgs& p) {
  auto tasks = [&](int64_t begin, int64_t end, int) {
    Block<T> block;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / blocks(p), at = task % blocks(p) * kBlock;
      fill<T, false>(p, image, at, block);
      for (int64_t c = 0; c < p.channels; ++c) {
        const T* const x = static_cast<const T*>(p.x) + (image * p.channels + c) * plane(p);
        T* const y = static_cast<T*>(p.y) + (image * p.channels + c) * p.out + at;
        for (int64_t i = 0; i < block.count; ++i) {
          T sum = 0;
          for (int tap = 0; tap < block.taps; ++tap)
            if (block.at[i][tap] >= 0) sum += block.weight[i][tap] * x[block.at[i][tap]];
          y[i] = sum;
        }
      }
    }
  };
  for_tasks(p.batch * blocks(p), kBlock * (p.channels + 8) * 4, true, tasks);
}

template <class T> void to_image(const GridSampleArgs& p) {
  const int64_t groups = (p.channels + kChannels - 1) / kChannels;
  auto tasks = [&](int64_t begin, int64_t end, int) {
    Block<T> block;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / groups, first = task % groups * kChannels;
      const int64_t last = first + kChannels < p.channels ? first + kChannels : p.channels;
      T* const dx = static_cast<T*>(p.dx) + image * p.channels * plane(p);
      memset(static_cast<void*>(dx + first * plane(p)), 0, size_t((last - first) * plane(p)) * sizeof(T));
      for (int64_t at = 0; at < p.out; at += kBlock) {
        fill<T, false>(p, image, at, block);
        for (int64_t c = first; c < last; ++c) {
          const T* const dy = static_cast<const T*>(p.dy) + (image * p.channels + c) * p.out + at;
          for (int64_t i = 0; i < block.count; ++i)
            for (int tap = 0; tap < block.taps; ++tap)
              if (block.at[i][tap] >= 0) dx[c * plane(p) + block.at[i][tap]] += block.weight[i][tap] * dy[i];
        }
      }
    }
  };
  for_tasks(p.batch * groups, kPieceSteps, true, tasks);
}

template <class T> void to_grid(const GridSampleArgs& p) {
  auto tasks = [&](int64_t begin, int64_t end, int) {
    Block<T> block;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / blocks(p), at = task % blocks(p) * kBlock;
      fill<T, true>(p, image, at, block);
      T sums[kBlock][3] = {};
      for (int64_t c = 0; c < p.channels; ++c) {
        const T* const x = static_cast<const T*>(p.x) + (image * p.channels + c) * plane(p);
        const T* const dy = static_cast<const T*>(p.dy) + (image * p.channels + c) * p.out + at;
        for (int64_t i = 0; i < block.count; ++i)
          for (int tap = 0; tap < block.taps; ++tap) {
            if (block.at[i][tap] < 0) continue;
            const T value = dy[i] * x[block.at[i][tap]];
            for (int d = 0; d < p.spatial; ++d) sums[i][d] += block.slope[i][d][tap] * value;
          }
      }
      T* const dgrid = static_cast<T*>(p.dgrid) + (image * p.out + at) * p.spatial;
      for (int64_t i = 0; i < block.count; ++i)
        for (int d = 0; d < p.spatial; ++d) dgrid[i * p.spatial + d] = sums[i][d];
    }
  };
  for_tasks(p.batch * blocks(p), kBlock * (p.channels + 8) * 8, true, tasks);
}

}  // namespace

void grid_sample(const GridSampleArgs& args) {
  if (args.dtype == DType::float64) forward<double>(args);
  else forward<float>(args);
}

void grid_sample_backward(const GridSampleArgs& args) {
  const bool wide = args.dtype == DType::float64;
  if (args.dx) wide ? to_image<double>(args) : to_image<float>(args);
  if (args.dgrid) wide ? to_grid<double>(args) : to_grid<float>(args);
}

}  // namespace tessel::TESSEL_TARGET
