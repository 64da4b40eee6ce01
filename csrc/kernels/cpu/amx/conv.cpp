// Convolution through the tile unit, as implicit GEMM: the packing reads the image where the product wants a column and splits it into
// bfloat16 parts on the way (gemm.cpp tells which products of parts are summed). Where a value does not split, and for shapes
// that pay elsewhere, the kernels below run.
#include "kernels/cpu/amx/entries.h"
#include "kernels/cpu/amx/gemm_split.h"
#include "kernels/cpu/amx/tile_product.h"
#include "kernels/cpu/conv_gather.h"

namespace tessel::amx {
namespace {

// What runs where tiles do not: the entries of the table that this one is laid over.
struct Below {
  int64_t (*conv_scratch)(const ConvArgs&) = avx512::conv_scratch;
  void (*conv)(const ConvArgs&, void*) = avx512::conv;
  int64_t (*conv_backward_data_scratch)(const ConvArgs&) = avx512::conv_backward_data_scratch;
  void (*conv_backward_data)(const ConvArgs&, void*) = avx512::conv_backward_data;
  int64_t (*conv_backward_weight_scratch)(const ConvArgs&) = avx512::conv_backward_weight_scratch;
  void (*conv_backward_weight)(const ConvArgs&, void*) = avx512::conv_backward_weight;
};
constinit Below below;

constexpr int64_t kPanels = 16;          // of columns in a task, at most
constexpr int64_t kSumsBytes = 1 << 20;  // of a task's sums, which stay in L2

// ---- forward, and backward to the image by residues: rows x depth weights times depth x (batch * positions) columns. The weights
// are packed once; a task packs a block of columns, a piece of the depth at a time, for all rows. Its sums, tile by tile, are floats
// until they are complete.
template <class T> struct GatherPlan {
  int64_t depth, steps, row_panels, col_panels, block, blocks;  // block: column panels of a task
  int64_t weight_bytes, range_bytes, column_bytes, sums_bytes;

  explicit GatherPlan(const Gather& g) {
    depth = g.depth();
    steps = ceil_div(depth, kTileDepth);
    row_panels = ceil_div(g.rows, kSide);
    col_panels = ceil_div(g.batch * g.positions(), kSide);
    block = most(1, least(least(kPanels, kSumsBytes / (row_panels * kSide * kSide * 4)), ceil_div(col_panels, 16)));
    blocks = ceil_div(col_panels, block);
    weight_bytes = g.groups * row_panels * steps * kStepBytes<T>;
    range_bytes = round_up(num_threads() * int64_t(sizeof(Range)), 64);
    column_bytes = block * least(steps, kSteps) * kStepBytes<T>;
    sums_bytes = round_up((row_panels * block * kSide * kSide + kTileLanes) * 4, 64);
  }
  int64_t scratch() const { return weight_bytes + range_bytes + num_threads() * (column_bytes + sums_bytes); }
};

// A step of a panel of up to 32 lanes from numbers[depth][32].
template <class T>
void pack_step(char* to, bool rows_are_lanes, const T* numbers, int64_t lanes, int64_t depth, RangeLanes* range) {
  for (int half = 0; half < 2; ++half) {
    const int here = int(most(0, least(lanes - half * kTileLanes, kTileLanes)));
    pack_tile<T>(to + half * kTileBytes, 2 * kTileBytes, rows_are_lanes, numbers + half * kTileLanes, 1, kSide, here, int(depth), range);
  }
}

// Weights of rows [i, i + lanes), words [p0, p0 + k) of the depth, (tap, channel) with channels fastest.
template <class T>
void pack_weight_step(char* to, const Gather& g, const T* w, int64_t i, int64_t lanes, int64_t p0, int64_t k, RangeLanes* range) {
  alignas(64) T numbers[kTileDepth * kSide] = {};
  for (int64_t p = 0; p < k; ++p) {
    const T* const from = w + i * g.w_row + (p0 + p) % g.channels * g.w_channel + tap_of(g, (p0 + p) / g.channels).w;
    for (int64_t lane = 0; lane < lanes; ++lane) numbers[p * kSide + lane] = from[lane * g.w_row];
  }
  pack_step<T>(to, true, numbers, lanes, k, range);
}

template <class T>
void pack_column_step(char* to, const Gather& g, const T* x, const Segment* segments, int64_t count, int64_t lanes, int64_t p0, int64_t k,
                      RangeLanes* range) {
  alignas(64) T numbers[kTileDepth * kSide] = {};
  const int64_t plane = g.x_plane(), image = plane * g.channels * g.groups, step = g.axis[2].step;
  Run runs[kSide];
  int64_t found = 0;
  for (int64_t p = 0; p < k; ++p) {
    const int64_t channel = (p0 + p) % g.channels;
    if (p == 0 || channel == 0) {  // a tap's clipping is found once for its channels
      const Tap tap = tap_of(g, (p0 + p) / g.channels);
      found = 0;
      for (int64_t s = 0; s < count; ++s) {
        if (!clip(g.axis, segments[s], tap.shift, &runs[found])) continue;
        runs[found++].from += segments[s].image * image;
      }
    }
    T* const line = numbers + p * kSide;
    for (int64_t r = 0; r < found; ++r) {
      const T* const from = x + channel * plane + runs[r].from;
      if (step == 1) memcpy(line + runs[r].lane, from, size_t(runs[r].length) * sizeof(T));
      else for (int64_t l = 0; l < runs[r].length; ++l) line[runs[r].lane + l] = from[l * step];
    }
  }
  pack_step<T>(to, false, numbers, lanes, k, range);
}

// The product of a tile's rows and columns, added to what stands in sums unless it is the first of the depth.
template <class T> void add_product(Precision precision, int64_t steps, const char* a, const char* b, float* sums, bool first) {
  if (first) return tile_product<T>(first_product<T>(precision), steps, a, b, sums);
  alignas(64) float tile[kSide * kSide];
  tile_product<T>(first_product<T>(precision), steps, a, b, tile);
  for (int64_t i = 0; i < kSide * kSide; i += kTileLanes)
    _mm512_storeu_ps(sums + i, _mm512_add_ps(_mm512_loadu_ps(sums + i), _mm512_loadu_ps(tile + i)));
}

// False where a value does not split.
template <class T> bool gather(const Gather& g, const ConvArgs& c, const T* x, T* y, char* scratch) {
  const GatherPlan<T> plan(g);
  char* const weights = scratch;  // [group][panel][step]
  Range* const ranges = reinterpret_cast<Range*>(scratch + plan.weight_bytes);
  char* const own = scratch + plan.weight_bytes + plan.range_bytes;
  const T* const w = static_cast<const T*>(c.w);
  for (int worker = 0; worker < num_threads(); ++worker) ranges[worker] = Range();
  auto pack = [&](int64_t begin, int64_t end, int worker) {  // (group, panel, step)
    const Flush flush;
    RangeLanes range;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t p0 = task % plan.steps * kTileDepth, i = task / plan.steps % plan.row_panels * kSide, group = task / plan.steps / plan.row_panels;
      pack_weight_step<T>(weights + task * kStepBytes<T>, g, w + group * g.w_group, i, least(kSide, g.rows - i), p0, least(kTileDepth, plan.depth - p0),
                          &range);
    }
    ranges[worker].join(range.range());
  };
  for_tasks(g.groups * plan.row_panels * plan.steps, kTileDepth * kSide, true, pack);
  Range weight_range;
  for (int worker = 0; worker < num_threads(); ++worker) weight_range.join(ranges[worker]);

  const int64_t total = g.batch * g.positions(), y_plane = g.y_plane(), to_step = g.axis[2].to_step;
  const Epilogue<T> e{1, 0, static_cast<const T*>(c.bias), 1, nullptr, 0, c.activation};
  bool spoiled = false;
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    const Tiles tiles;
    char* const columns = own + worker * (plan.column_bytes + plan.sums_bytes);
    float* const sums = reinterpret_cast<float*>(columns + plan.column_bytes);
    for (int64_t task = begin; task < end && !__atomic_load_n(&spoiled, __ATOMIC_RELAXED); ++task) {
      const int64_t group = task / plan.blocks, first = task % plan.blocks * plan.block, last = least(plan.col_panels, first + plan.block);
      const T* const x_group = x + group * g.channels * g.x_plane();
      if (plan.steps == 0) memset(sums, 0, size_t(plan.sums_bytes));
      for (int64_t s0 = 0; s0 < plan.steps; s0 += kSteps) {
        const int64_t steps = least(kSteps, plan.steps - s0);
        RangeLanes range;
        for (int64_t panel = first; panel < last; ++panel) {
          Segment segments[kSide];
          const int64_t lanes = least(kSide, total - panel * kSide), count = segments_of(g.axis, panel * kSide, lanes, segments);
          for (int64_t s = 0; s < steps; ++s) {
            const int64_t p0 = (s0 + s) * kTileDepth;
            pack_column_step<T>(columns + ((panel - first) * steps + s) * kStepBytes<T>, g, x_group, segments, count, lanes, p0,
                                least(kTileDepth, plan.depth - p0), &range);
          }
        }
        if (sizeof(T) == 4 && !parts_hold(weight_range, range.range())) {
          __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
          break;
        }
        for (int64_t panel = first; panel < last; ++panel)
          for (int64_t row = 0; row < plan.row_panels; ++row)
            add_product<T>(c.precision, steps, weights + ((group * plan.row_panels + row) * plan.steps + s0) * kStepBytes<T>,
                           columns + (panel - first) * steps * kStepBytes<T>, sums + ((panel - first) * plan.row_panels + row) * kSide * kSide,
                           s0 == 0);
      }
      for (int64_t panel = first; panel < last; ++panel) {
        Segment segments[kSide];
        const int64_t lanes = least(kSide, total - panel * kSide), count = segments_of(g.axis, panel * kSide, lanes, segments);
        for (int64_t s = 0; s < count; ++s) {
          const Segment& q = segments[s];
          const Axis* a = g.axis;
          const int64_t y0 = a[0].to + q.q[0] * a[0].to_step, y1 = a[1].to + q.q[1] * a[1].to_step, y2 = a[2].to + q.q[2] * to_step;
          T* const to = y + (q.image * g.groups + group) * g.rows * y_plane + (y0 * g.y_size[1] + y1) * g.y_size[2] + y2;
          for (int64_t i = 0; i < g.rows; i += kSide)
            merge<T>(sums + ((panel - first) * plan.row_panels + i / kSide) * kSide * kSide + q.lane, kSide, int(least(kSide, g.rows - i)),
                     int(q.length), to + i * y_plane, y_plane, to_step, nullptr, 0, 1, group * g.rows + i, 0, e, {true, true});
        }
      }
    }
  };
  if (total > 0) for_tasks(g.groups * plan.blocks, plan.block * kSide * g.rows * most(1, plan.depth) / 64, true, multiply);
  return !spoiled;
}

// ---- dw[row, (channel, tap)], the sum over positions of dy[row, position] * x[channel, position under tap]. Tasks are (part of the
// positions, group, row block, column block); the parts' sums are added in order.
constexpr int64_t kWeightPanels = 8;  // of rows and of columns in a task: 256 KB of sums

template <class T> struct WeightPlan {
  int64_t columns, depth, pieces, row_panels, col_panels, row_blocks, col_blocks, splits, weights;
  int64_t partial_bytes, a_bytes, b_bytes, sums_bytes, segment_bytes;

  explicit WeightPlan(const ConvArgs& c) {
    columns = c.in_channels * c.kernel[0] * c.kernel[1] * c.kernel[2];
    depth = c.batch * c.out[0] * c.out[1] * c.out[2];
    pieces = ceil_div(depth, kSteps * kTileDepth);
    row_panels = ceil_div(c.out_channels, kSide);
    col_panels = ceil_div(columns, kSide);
    row_blocks = ceil_div(row_panels, kWeightPanels);
    col_blocks = ceil_div(col_panels, kWeightPanels);
    weights = c.groups * c.out_channels * columns;
    // The number of parts orders the sum, so it is a matter of the shape alone: enough for 16 tasks, at most 16 MB.
    splits = most(1, least(least(pieces, ceil_div(16, c.groups * row_blocks * col_blocks)), (4 << 20) / most(1, weights)));
    partial_bytes = round_up(splits * weights * 4, 64);
    a_bytes = kWeightPanels * kSteps * kStepBytes<T>;
    b_bytes = kSteps * kStepBytes<T>;
    sums_bytes = (kWeightPanels * kWeightPanels * kSide * kSide + kTileLanes) * 4;
    segment_bytes = round_up(kSteps * kTileDepth * int64_t(sizeof(Segment)), 64);
  }
  int64_t own_bytes() const { return a_bytes + b_bytes + sums_bytes + segment_bytes; }
  int64_t scratch() const { return partial_bytes + num_threads() * own_bytes(); }
};

// Lines of k numbers along memory as a panel: lines[lane][depth of a piece].
template <class T> void pack_lines(char* to, bool rows_are_lanes, const T* lines, int64_t lanes, int64_t k, RangeLanes* range) {
  constexpr int64_t kLine = kSteps * kTileDepth;
  for (int64_t p = 0; p < k; p += kTileDepth, to += kStepBytes<T>)
    for (int half = 0; half < 2; ++half) {
      const int here = int(most(0, least(lanes - half * kTileLanes, kTileLanes)));
      pack_tile<T>(to + half * kTileBytes, 2 * kTileBytes, rows_are_lanes, lines + half * kTileLanes * kLine + p, kLine, 1, here,
                   int(least(kTileDepth, k - p)), range);
    }
}

template <class T> bool weight(const ConvArgs& c, char* scratch) {
  constexpr int64_t kLine = kSteps * kTileDepth;
  const WeightPlan<T> plan(c);
  const Gather g = forward_gather(c);
  const T* const x = static_cast<const T*>(c.x);
  const T* const dy = static_cast<const T*>(c.y);
  float* const partial = reinterpret_cast<float*>(scratch);  // [split][weight]
  const int64_t positions = g.positions(), taps = g.taps(), plane = g.x_plane(), step = g.axis[2].step;
  bool spoiled = false;
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    const Tiles tiles;
    char* const rows_packed = scratch + plan.partial_bytes + worker * plan.own_bytes();
    char* const panel_packed = rows_packed + plan.a_bytes;
    float* const sums = reinterpret_cast<float*>(panel_packed + plan.b_bytes);
    Segment* const segments = reinterpret_cast<Segment*>(panel_packed + plan.b_bytes + plan.sums_bytes);
    for (int64_t task = begin; task < end && !__atomic_load_n(&spoiled, __ATOMIC_RELAXED); ++task) {
      const int64_t col_block = task % plan.col_blocks, row_block = task / plan.col_blocks % plan.row_blocks;
      const int64_t group = task / plan.col_blocks / plan.row_blocks % c.groups, split = task / plan.col_blocks / plan.row_blocks / c.groups;
      const int64_t r0 = row_block * kWeightPanels, r1 = least(plan.row_panels, r0 + kWeightPanels);
      const int64_t c0 = col_block * kWeightPanels, c1 = least(plan.col_panels, c0 + kWeightPanels);
      const int64_t from = plan.pieces * split / plan.splits, to = plan.pieces * (split + 1) / plan.splits;
      alignas(64) T lines[kSide * kLine];
      for (int64_t piece = from; piece < to; ++piece) {
        const int64_t p0 = piece * kLine, k = least(kLine, plan.depth - p0), steps = ceil_div(k, kTileDepth);
        const int64_t count = segments_of(g.axis, p0, k, segments);
        RangeLanes rows_range;
        for (int64_t panel = r0; panel < r1; ++panel) {
          const int64_t i = panel * kSide, lanes = least(kSide, c.out_channels - i);
          for (int64_t p = 0; p < k;) {  // image by image
            const int64_t image = (p0 + p) / positions, at = (p0 + p) % positions, here = least(k - p, positions - at);
            for (int64_t lane = 0; lane < lanes; ++lane)
              memcpy(lines + lane * kLine + p, dy + ((image * c.groups + group) * c.out_channels + i + lane) * positions + at, size_t(here) * sizeof(T));
            p += here;
          }
          pack_lines<T>(rows_packed + (panel - r0) * steps * kStepBytes<T>, true, lines, lanes, k, &rows_range);
        }
        for (int64_t panel = c0; panel < c1; ++panel) {
          const int64_t j = panel * kSide, lanes = least(kSide, plan.columns - j);
          memset(lines, 0, size_t(lanes * kLine) * sizeof(T));
          for (int64_t lane = 0; lane < lanes; ++lane) {
            const Tap tap = tap_of(g, (j + lane) % taps);
            for (int64_t s = 0; s < count; ++s) {
              Run run;
              if (!clip(g.axis, segments[s], tap.shift, &run)) continue;
              const T* const source = x + ((segments[s].image * c.groups + group) * c.in_channels + (j + lane) / taps) * plane + run.from;
              T* const line = lines + lane * kLine + run.lane;
              if (step == 1) memcpy(line, source, size_t(run.length) * sizeof(T));
              else for (int64_t l = 0; l < run.length; ++l) line[l] = source[l * step];
            }
          }
          RangeLanes range;
          pack_lines<T>(panel_packed, false, lines, lanes, k, &range);
          if (sizeof(T) == 4 && !parts_hold(rows_range.range(), range.range())) {
            __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
            break;
          }
          for (int64_t row = r0; row < r1; ++row)
            add_product<T>(c.precision, steps, rows_packed + (row - r0) * steps * kStepBytes<T>, panel_packed,
                           sums + ((panel - c0) * kWeightPanels + row - r0) * kSide * kSide, piece == from);
        }
      }
      float* const dw = partial + split * plan.weights + group * c.out_channels * plan.columns;
      for (int64_t panel = c0; panel < c1; ++panel)
        for (int64_t i = r0 * kSide; i < least(c.out_channels, r1 * kSide); ++i)
          memcpy(dw + i * plan.columns + panel * kSide, sums + ((panel - c0) * kWeightPanels + i / kSide - r0) * kSide * kSide + i % kSide * kSide,
                 size_t(least(kSide, plan.columns - panel * kSide)) * 4);
    }
  };
  for_tasks(plan.splits * c.groups * plan.row_blocks * plan.col_blocks, most(1, plan.depth / plan.splits) * 1024, true, multiply);
  if (spoiled) return false;
  auto add = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t i = begin; i < end; ++i) {
      float total = partial[i];
      for (int64_t s = 1; s < plan.splits; ++s) total += partial[s * plan.weights + i];
      narrow(static_cast<T*>(c.w) + i, total);
    }
  };
  for_tasks(plan.weights, plan.splits, true, add);
  return true;
}

// ---- which shapes
bool typed(DType dtype) { return dtype == DType::float32 || dtype == DType::bfloat16; }

// Rows that fill panels, and depth; where Winograd's squares do a quarter of the products, a row of columns must serve more rows to
// pay for its splitting. By the arithmetic of facts known (six products at 400 GFLOP/s a core once packed), not yet measured.
bool pays(const Gather& g) {
  const bool squares = g.axis[1].taps == 3 && g.axis[2].taps == 3 && g.axis[1].step == 1 && g.axis[2].step == 1;
  return g.rows >= (squares ? 192 : kSide) && g.depth() >= 2 * kTileDepth && g.batch * g.positions() > 64;
}

template <class F> void each_residue(const ConvArgs& c, const F& f) {
  for (int64_t r0 = 0; r0 < least(c.stride[0], c.in[0]); ++r0)
    for (int64_t r1 = 0; r1 < least(c.stride[1], c.in[1]); ++r1)
      for (int64_t r2 = 0; r2 < least(c.stride[2], c.in[2]); ++r2) f(backward_gather(c, r0, r1, r2));
}

bool forward_accepts(const ConvArgs& c) { return typed(c.dtype) && c.batch * c.groups > 0 && pays(forward_gather(c)); }

// Most of the work, counted in the depth of all residues.
bool image_accepts(const ConvArgs& c) {
  bool all = typed(c.dtype) && c.batch * c.groups > 0;
  if (all) each_residue(c, [&](const Gather& g) { all = all && (g.depth() == 0 || pays(g)); });
  return all && c.stride[0] * c.stride[1] * c.stride[2] <= 16;
}

bool weight_accepts(const ConvArgs& c) {
  return typed(c.dtype) && c.out_channels >= kSide && c.batch * c.out[0] * c.out[1] * c.out[2] > 64 && pays(forward_gather(c));
}

template <class F> auto with_type(DType dtype, const F& f) {
  return dtype == DType::float32 ? f(Type<float>{}) : f(Type<BFloat>{});
}

}  // namespace

int64_t conv_scratch(const ConvArgs& c) {
  const int64_t bytes = below.conv_scratch(c);
  if (!forward_accepts(c)) return bytes;
  return most(bytes, with_type(c.dtype, [&](auto type) { return GatherPlan<typename decltype(type)::type>(forward_gather(c)).scratch(); }));
}

void conv(const ConvArgs& c, void* scratch) {
  const bool done = forward_accepts(c) && with_type(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    return gather<T>(forward_gather(c), c, static_cast<const T*>(c.x), static_cast<T*>(c.y), static_cast<char*>(scratch));
  });
  if (!done) below.conv(c, scratch);
}

int64_t conv_backward_data_scratch(const ConvArgs& c) {
  int64_t bytes = below.conv_backward_data_scratch(c);
  if (image_accepts(c))
    each_residue(c, [&](const Gather& g) {
      bytes = most(bytes, with_type(c.dtype, [&](auto type) { return GatherPlan<typename decltype(type)::type>(g).scratch(); }));
    });
  return bytes;
}

void conv_backward_data(const ConvArgs& c, void* scratch) {
  bool done = image_accepts(c);
  if (done)
    each_residue(c, [&](const Gather& g) {
      done = done && with_type(c.dtype, [&](auto type) {
        using T = typename decltype(type)::type;
        return gather<T>(g, c, static_cast<const T*>(c.y), static_cast<T*>(c.x), static_cast<char*>(scratch));
      });
    });
  if (!done) below.conv_backward_data(c, scratch);
}

int64_t conv_backward_weight_scratch(const ConvArgs& c) {
  const int64_t bytes = below.conv_backward_weight_scratch(c);
  if (!weight_accepts(c)) return bytes;
  return most(bytes, with_type(c.dtype, [&](auto type) { return WeightPlan<typename decltype(type)::type>(c).scratch(); }));
}

void conv_backward_weight(const ConvArgs& c, void* scratch) {
  const bool done = !c.bias && weight_accepts(c) && with_type(c.dtype, [&](auto type) {
    return weight<typename decltype(type)::type>(c, static_cast<char*>(scratch));
  });
  if (!done) below.conv_backward_weight(c, scratch);
}

void lay_conv_over(Kernels& table) {
  below = {table.conv_scratch, table.conv, table.conv_backward_data_scratch, table.conv_backward_data, table.conv_backward_weight_scratch,
           table.conv_backward_weight};
  table.conv_scratch = conv_scratch;
  table.conv = conv;
  table.conv_backward_data_scratch = conv_backward_data_scratch;
  table.conv_backward_data = conv_backward_data;
  table.conv_backward_weight_scratch = conv_backward_weight_scratch;
  table.conv_backward_weight = conv_backward_weight;
}

}  // namespace tessel::amx
