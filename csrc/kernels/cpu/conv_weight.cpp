// Gradients of a convolution's parameters: dw as a product over all output positions of all images, db as a sum over them.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

// ---- backward-weight: dw[row, (channel, tap)] = sum over positions of dy[row, position] * x[channel, position under tap].
// Tasks are (part of the positions, group, row block, column block); the parts' sums are added in order.
template <class T> struct WeightPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t kc, mr, mc, row_blocks, columns, block, blocks, depth, depth_blocks, splits, weights;
  int64_t partial_bytes, rows_bytes, panel_bytes, lines_bytes;

  explicit WeightPlan(const ConvArgs& c) {
    const int64_t size = sizeof(S);
    kc = kDepth<S> * kWord<T>;
    mr = strip_rows(c.out_channels);
    mc = most(1, caches().l2 / 4 / (words<T>(kc) * size) / mr) * mr;
    row_blocks = ceil_div(c.out_channels, mc);
    columns = c.in_channels * c.kernel[0] * c.kernel[1] * c.kernel[2];
    const int64_t panels = ceil_div(columns, NR);
    block = least(panels, 8);
    blocks = ceil_div(panels, block);
    weights = c.groups * c.out_channels * columns;
    depth = c.batch * c.out[0] * c.out[1] * c.out[2];
    depth_blocks = ceil_div(depth, kc);
    // The number of parts orders the sum, so it is a matter of the shape alone: enough for 16 tasks, at most 16 MB.
    const int64_t wanted = ceil_div(16, most(1, c.groups * ceil_div(c.out_channels, 128) * blocks));
    splits = most(1, least(least(wanted, depth_blocks), (4 << 20) / most(1, weights)));
    const bool partial = splits > 1 || sizeof(T) != sizeof(S);
    partial_bytes = partial ? round_up(splits * weights * size, 64) : 0;
    rows_bytes = round_up(mc * words<T>(kc) * size + kPackSlack, 64);
    panel_bytes = round_up(NR * words<T>(kc) * size + kPackSlack, 64);
    lines_bytes = round_up(NR * words<T>(kc) * size + kPackSlack, 64) + round_up(kc * int64_t(sizeof(Segment)), 64);
  }
  int64_t worker_bytes() const { return rows_bytes + panel_bytes + lines_bytes; }
};

// What a line of k positions is made of before it is turned: numbers, or the pairs' own bfloat16.
template <class T> struct LineOf { using type = Compute<T>; };
#if defined(__AVX512BF16__)
template <> struct LineOf<BFloat> { using type = BFloat; };
#endif
template <class T> using Line = typename LineOf<T>::type;

template <class T> void append(Line<T>* to, const T* from, int64_t length, int64_t step) {
  if constexpr (!kPaired<T>) copy_run<T, Compute<T>>(to, from, length, step);
  else if (step == 1) memcpy(to, from, size_t(length) * sizeof(T));
  else for (int64_t l = 0; l < length; ++l) to[l] = from[l * step];
}

// One packed panel of columns [j, j + cols) of (channel, tap): a line of source elements for each, then transposed.
template <class T, class S>
void pack_sources(const Gather& g, const T* x, int64_t j, int cols, int64_t lead, const Segment* segments, int64_t count,
                  int64_t k, Line<T>* lines, S* to) {
  const int64_t taps = g.taps(), plane = g.x_plane(), image = plane * g.channels * g.groups, step = g.axis[2].step;
  constexpr int64_t kLine = kDepth<S> * kWord<T>;
  for (int col = 0; col < cols; ++col) {
    const Tap tap = tap_of(g, (j + col) % taps);
    const T* const source = x + (j + col) / taps * plane;
    Line<T>* const line = lines + col * kLine;
    int64_t filled = 0;
    for (int64_t s = 0; s < count; ++s) {
      Run run;
      if (!clip(g.axis, segments[s], tap.shift, &run)) continue;
      for (; filled < run.lane; ++filled) line[filled] = Line<T>{};
      append<T>(line + run.lane, source + segments[s].image * image + run.from, run.length, step);
      filled = run.lane + run.length;
    }
    for (; filled < k; ++filled) line[filled] = Line<T>{};
  }
  pack_words<Line<T>>(to, lead, lines, cols, k, kLine, 1);
}

// One packed strip of rows of dy. Pairs may straddle images: their lines are put together first.
template <class T, class S>
void pack_gradients(const T* dy, int64_t row_stride, int64_t image_stride, int64_t positions, int64_t p0, int64_t k, int rows, Line<T>* lines,
                    S* to) {
  constexpr int64_t kLine = kDepth<S> * kWord<T>;
  for (int64_t p = 0; p < k;) {  // image by image
    const int64_t image = (p0 + p) / positions, at = (p0 + p) % positions, here = least(k - p, positions - at);
    const T* const from = dy + image * image_stride + at;
    if constexpr (kPaired<T>)
      for (int r = 0; r < rows; ++r) memcpy(lines + r * kLine + p, from + r * row_stride, size_t(here) * sizeof(T));
    else pack_strip<T, S>(to + p * rows, rows, from, rows, here, row_stride, 1);
    p += here;
  }
  if constexpr (kPaired<T>) pack_words<T>(to, rows, lines, rows, k, kLine, 1);
}

template <class T> void products(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>;
  constexpr int W = Simd<S>::width;
  const WeightPlan<T> plan(c);
  const Gather g = forward_gather(c);
  const T* const x = static_cast<const T*>(c.x);
  const T* const dy = static_cast<const T*>(c.y);
  S* partial = reinterpret_cast<S*>(scratch);
  if constexpr (sizeof(T) == sizeof(S)) {
    if (!plan.partial_bytes) partial = static_cast<S*>(c.w);
  }
  const int64_t positions = g.positions(), x_plane = g.x_plane();
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    char* const own = scratch + plan.partial_bytes + worker * plan.worker_bytes();
    S* const rows_packed = reinterpret_cast<S*>(own);
    S* const panel = reinterpret_cast<S*>(own + plan.rows_bytes);
    Line<T>* const lines = reinterpret_cast<Line<T>*>(own + plan.rows_bytes + plan.panel_bytes);
    Segment* const segments = reinterpret_cast<Segment*>(own + plan.worker_bytes() - round_up(plan.kc * int64_t(sizeof(Segment)), 64));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % plan.blocks, row_block = task / plan.blocks % plan.row_blocks;
      const int64_t group = task / plan.blocks / plan.row_blocks % c.groups, split = task / plan.blocks / plan.row_blocks / c.groups;
      const int64_t i0 = row_block * plan.mc, i1 = least(c.out_channels, i0 + plan.mc);
      const int64_t j0 = block * plan.block * NR, j1 = least(plan.columns, j0 + plan.block * NR);
      const T* const x_group = x + group * c.in_channels * x_plane;
      S* const dw = partial + split * plan.weights + group * c.out_channels * plan.columns;
      const int64_t from = plan.depth_blocks * split / plan.splits, to = plan.depth_blocks * (split + 1) / plan.splits;
      for (int64_t b = from; b < to; ++b) {
        const int64_t p0 = b * plan.kc, k = least(plan.kc, plan.depth - p0), depth = words<T>(k);
        const int64_t count = segments_of(g.axis, p0, k, segments);
        for (int64_t i = i0; i < i1; i += plan.mr) {
          const int rows = int(least(plan.mr, i1 - i));
          pack_gradients<T, S>(dy + (group * c.out_channels + i) * positions, positions, c.groups * c.out_channels * positions, positions,
                               p0, k, rows, lines, rows_packed + (i - i0) * depth);
        }
        for (int64_t j = j0; j < j1; j += NR) {
          const int cols = int(least(NR, j1 - j)), vectors = cols <= W ? 1 : 2;
          pack_sources<T, S>(g, x_group, j, cols, vectors * W, segments, count, k, lines, panel);
          for (int64_t i = i0; i < i1; i += plan.mr) {
            const int rows = int(least(plan.mr, i1 - i));
            const Tile<S> run = vectors == 1 ? tile_of<S, 1, kPaired<T>>(rows) : tile_of<S, 2, kPaired<T>>(rows);
            S* const at = dw + i * plan.columns + j;
            if (cols == vectors * W) {
              run(depth, rows_packed + (i - i0) * depth, panel, at, plan.columns, b != from);
              continue;
            }
            alignas(64) S buffer[kTileRows * NR + W];
            run(depth, rows_packed + (i - i0) * depth, panel, buffer, vectors * W, false);
            const Epilogue<S> bare{S(1), S(0), nullptr, 0, nullptr, 0, Activation::none};
            merge<S>(buffer, vectors * W, rows, cols, at, plan.columns, 1, at, plan.columns, 1, 0, 0, bare, {b == from, true});
          }
        }
      }
    }
  };
  const int64_t tasks = plan.splits * c.groups * plan.row_blocks * plan.blocks;
  for_tasks(tasks, most(1, plan.depth / plan.splits) * plan.mc * plan.block * NR / 8, true, multiply);
  if (!plan.partial_bytes) return;
  auto add = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    T* const dw = static_cast<T*>(c.w);
    for (int64_t i = begin; i < end; ++i) {
      S total = partial[i];
      for (int64_t s = 1; s < plan.splits; ++s) total += partial[s * plan.weights + i];
      narrow(dw + i, total);
    }
  };
  for_tasks(plan.weights, plan.splits, true, add);
}

// db[channel]: the sum of dy over images and positions
template <class T> void sums(const ConvArgs& c) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  const int64_t channels = c.groups * c.out_channels, positions = c.out[0] * c.out[1] * c.out[2];
  auto channel_sums = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t channel = begin; channel < end; ++channel) {
      S total = 0;
      for (int64_t image = 0; image < c.batch; ++image) {
        const T* const plane = static_cast<const T*>(c.y) + (image * channels + channel) * positions;
        typename D::V lanes[4] = {D::zero(), D::zero(), D::zero(), D::zero()};
        int64_t p = 0;
        for (; p + 4 * W <= positions; p += 4 * W)
          for (int v = 0; v < 4; ++v) lanes[v] = lanes[v] + D::load(plane + p + v * W);
        for (int v = 0; p < positions; p += W, ++v) lanes[v] = lanes[v] + D::load(plane + p, int(least(W, positions - p)));
        total += D::sum((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
      }
      narrow(static_cast<T*>(c.bias) + channel, total);
    }
  };
  for_tasks(channels, c.batch * (positions / W + 4), true, channel_sums);
}

}  // namespace

int64_t weight_products_scratch(const ConvArgs& c) {
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    const WeightPlan<typename decltype(type)::type> plan(c);
    return plan.partial_bytes + num_threads() * plan.worker_bytes();
  });
}

void weight_products(const ConvArgs& c, char* scratch) {
  with_floating(c.dtype, [&](auto type) { products<typename decltype(type)::type>(c, scratch); });
}

void bias_sums(const ConvArgs& c) {
  with_floating(c.dtype, [&](auto type) { sums<typename decltype(type)::type>(c); });
}

}  // namespace tessel::TESSEL_TARGET
