// Gradients of a convolution's parameters: dw as a product over all output positions of all images, db as a sum over them.
#include "kernels/cpu/conv_frame.h"

namespace tessel::TESSEL_TARGET {
namespace {

// ---- dw[(channel, tap), row] = sum over positions of x[channel, position under tap] * dy[row, position]. Rows of x come from a
// frame where each tap's elements lie along memory, so they are read where they lie, one broadcast at a time; dy is turned
// once, rows in lanes. Tasks are (part of the bands, group, block of channels); the parts' sums are added in order.
#if defined(__AVX512F__)
constexpr int kRowsAtOnce = 8;  // 8 x 2 sums; 8 row addresses in general registers
#else
constexpr int kRowsAtOnce = 4;
#endif

// What a line of k positions is made of before it is turned: numbers, or the pairs' own bfloat16.
template <class T> struct LineOf { using type = Compute<T>; };
#if defined(__AVX512BF16__)
template <> struct LineOf<BFloat> { using type = BFloat; };
#endif
template <class T> using Line = typename LineOf<T>::type;


// c[MR, NV vectors] += over `count` words in each of `lines` lines: row i of x at rows[i], `jump` elements from line to line
template <class T, int MR, int NV>
void tile_rows(int64_t lines, int64_t count, const Line<T>* const* rows, int64_t jump, const Compute<T>* b, Compute<T>* c, int64_t c_row,
               bool add) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  const Line<T>* row[MR];
  // Unrolled by order, for the compiler would else pass the sums through memory, here and at the end.
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
    row[i] = rows[i];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) sum[i][v] = add ? D::load(c + i * c_row + v * W) : D::zero();
  }
  for (int64_t line = 0; line < lines; ++line) {
    for (int64_t p = 0; p < count; ++p, b += NV * W) {
      typename D::V column[NV];
      for (int v = 0; v < NV; ++v) column[v] = D::load(b + v * W);
      for (int i = 0; i < MR; ++i) {
        S word;
        memcpy(&word, row[i] + p * kWord<T>, sizeof word);
        const typename D::V x = D::set(word);
        for (int v = 0; v < NV; ++v) sum[i][v] = multiply_add<kPaired<T>, S>(x, column[v], sum[i][v]);
      }
    }
    for (int i = 0; i < MR; ++i) row[i] += jump;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, sum[i][v]);
}

template <class T> using TileRows = void (*)(int64_t, int64_t, const Line<T>* const*, int64_t, const Compute<T>*, Compute<T>*, int64_t, bool);

template <class T, int NV, int MR = kRowsAtOnce> TileRows<T> tile_rows_of(int rows) {
  if constexpr (MR == 1) return tile_rows<T, 1, NV>;
  else return rows == MR ? tile_rows<T, MR, NV> : tile_rows_of<T, NV, MR - 1>(rows);
}

template <class T> struct FramePlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t band, bands, parts, splits, channels, blocks, width, rows, plane;  // channels: of a block; rows: (channel, tap) of a group
  int64_t partial_bytes, frame_bytes, turned_bytes;

  explicit FramePlan(const Gather& g) {
    const int64_t size = sizeof(S), count = g.axis[1].count, line = g.axis[2].count, taps = g.taps();
    width = round_up(g.rows, Simd<S>::width);
    rows = g.channels * taps;
    // A band: some 512 words of depth, so that the sums are seldom moved and dy's panel stays in L2.
    band = most(1, least(count, ceil_div(512, ceil_div(line, kWord<T>))));
    band = ceil_div(count, ceil_div(count, band));
    bands = ceil_div(count, band);
    parts = g.batch * g.axis[0].count * bands;
    plane = Frame(g, band).plane();
    channels = least(g.channels, most(1, caches().l2 / 4 / (plane * int64_t(sizeof(Line<T>)))));
    // The number of splits orders the sum, so it is a matter of the shape alone: enough for 16 tasks, at most 16 MB.
    if (g.groups * ceil_div(g.channels, channels) < 16 && channels * taps > 64) channels = most(ceil_div(64, taps), ceil_div(channels, 2));
    channels = ceil_div(g.channels, ceil_div(g.channels, channels));
    blocks = ceil_div(g.channels, channels);
    const int64_t sums = g.groups * rows * width;
    splits = most(1, least(least(parts, ceil_div(16, g.groups * blocks)), (4 << 20) / sums));
    partial_bytes = round_up(splits * sums * size, 64);
    frame_bytes = round_up((plane * channels + 64) * int64_t(sizeof(Line<T>)), 64);
    turned_bytes = round_up(width * band * words<T>(line) * size + NR * size + kPackSlack, 64);
  }
  int64_t scratch() const { return partial_bytes + num_threads() * (frame_bytes + turned_bytes); }
};

// Kernels of one tap read their rows where they lie.
template <class T> bool in_place(const Gather& g) { return same<T, Line<T>> && g.flat(); }

template <class T> void frame_products(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const Gather g = forward_gather(c);
  const FramePlan<T> plan(g);
  const Frame frame(g, plan.band);
  const Axis* a = g.axis;
  const int64_t taps = g.taps(), positions = g.positions(), line = a[2].count, plane = a[1].count * line;
  const T* const x = static_cast<const T*>(c.x);
  const T* const dy = static_cast<const T*>(c.y);
  S* const partial = reinterpret_cast<S*>(scratch);  // [split][group][channel][tap][row]
  const bool flat = in_place<T>(g);
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    char* const own = scratch + plan.partial_bytes + worker * (plan.frame_bytes + plan.turned_bytes);
    Line<T>* const source = reinterpret_cast<Line<T>*>(own);
    S* const turned = reinterpret_cast<S*>(own + plan.frame_bytes);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % plan.blocks, group = task / plan.blocks % g.groups, split = task / plan.blocks / g.groups;
      const int64_t c0 = block * plan.channels, channels = least(plan.channels, g.channels - c0), rows = channels * taps;
      S* const sums = partial + ((split * g.groups + group) * plan.rows + c0 * taps) * plan.width;
      const int64_t from = plan.parts * split / plan.splits, to = plan.parts * (split + 1) / plan.splits;
      for (int64_t part = from; part < to; ++part) {
        const int64_t q1 = part % plan.bands * plan.band, q0 = part / plan.bands % a[0].count, image = part / plan.bands / a[0].count;
        const int64_t lines = least(plan.band, a[1].count - q1), count = words<T>(line), depth = lines * count;
        const T* const x_channels = x + ((image * g.groups + group) * g.channels + c0) * g.x_plane();
        if (!flat) fill_frame(g, frame, x_channels, q0, q1, channels, source);
        const T* const gradient = dy + (image * g.groups + group) * g.rows * positions + q0 * plane + q1 * line;
        for (int64_t o = 0; o < g.rows; o += NR) {
          const int cols = int(least(NR, g.rows - o)), lead = cols <= W ? W : int(NR);
          pack_words<T>(turned + o * depth, lead, gradient + o * positions, cols, lines * line, positions, 1);
        }
        for (int64_t row = 0; row < rows; row += kRowsAtOnce) {
          const int here = int(least(kRowsAtOnce, rows - row));
          const Line<T>* at[kRowsAtOnce];
          for (int i = 0; i < here; ++i) {
            if constexpr (same<T, Line<T>>) {
              if (flat) {
                at[i] = x_channels + (row + i) * g.x_plane() + q0 * plane + q1 * line;
                continue;
              }
            }
            at[i] = source + (row + i) / taps * frame.plane() + frame.at(tap_of(g, (row + i) % taps));
          }
          for (int64_t o = 0; o < g.rows; o += NR) {
            const TileRows<T> tile = g.rows - o <= W ? tile_rows_of<T, 1>(here) : tile_rows_of<T, 2>(here);
            tile(lines, count, at, frame.line, turned + o * depth, sums + row * plan.width + o, plan.width, part != from);
          }
        }
      }
    }
  };
  for_tasks(plan.splits * g.groups * plan.blocks, most(1, plan.parts / plan.splits) * plan.channels * taps * g.rows * plan.band * line / 8, true, multiply);
  auto add = [&](int64_t begin, int64_t end, int) {  // W rows of a group turned at a time
    const Flush flush;
    const int64_t columns = ceil_div(plan.rows, W);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / columns, row = task % columns * W;
      const int here = int(least(W, plan.rows - row));
      const S* const sums = partial + (group * plan.rows + row) * plan.width;
      T* const dw = static_cast<T*>(c.w) + group * g.rows * plan.rows + row;
      for (int64_t o = 0; o < g.rows; o += W) {
        typename D::V block[W];
        for (int i = 0; i < W; ++i) {
          block[i] = D::zero();
          for (int64_t s = 0; s < plan.splits && i < here; ++s)
            block[i] = block[i] + D::load(sums + s * g.groups * plan.rows * plan.width + i * plan.width + o);
        }
        D::transpose(block);
        for (int64_t i = 0; i < least(W, g.rows - o); ++i) D::store(dw + (o + i) * plan.rows, block[i], here);
      }
    }
  };
  for_tasks(g.groups * ceil_div(plan.rows, W), g.rows * plan.splits, true, add);
}

// More than one tap shares a frame, or none is needed; rows of weights fill some lanes; lines of pairs are whole pairs; a channel's frame fits L2.
bool frame_accepts(const ConvArgs& c) {
  const Gather g = forward_gather(c);
  if (g.axis[2].step > 64 || g.positions() == 0 || g.rows <= 4) return false;
  return with_floating(c.dtype, [&](auto type) -> bool {
    using T = typename decltype(type)::type;
    if ((kPaired<T> && g.axis[2].count % 2 != 0) || (g.taps() < 2 && !g.flat())) return false;
    return FramePlan<T>(g).frame_bytes <= caches().l2;
  });
}

// ---- any other: dw[row, (channel, tap)] = sum over positions of dy[row, position] * x[channel, position under tap].
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
    if (frame_accepts(c)) return FramePlan<typename decltype(type)::type>(forward_gather(c)).scratch();
    const WeightPlan<typename decltype(type)::type> plan(c);
    return plan.partial_bytes + num_threads() * plan.worker_bytes();
  });
}

void weight_products(const ConvArgs& c, char* scratch) {
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if (frame_accepts(c)) frame_products<T>(c, scratch);
    else products<T>(c, scratch);
  });
}

void bias_sums(const ConvArgs& c) {
  with_floating(c.dtype, [&](auto type) { sums<typename decltype(type)::type>(c); });
}

}  // namespace tessel::TESSEL_TARGET
