// Convolution as implicit GEMM: the packing reads the image where the product wants a column, so no column matrix is ever
// stored. Forward and backward-data are one thing, a gather: each result element sums weights times source elements at
// fixed offsets. Backward-data with a stride is one gather per residue of the result's coordinates, none of which
// multiplies by zeros. The rooms next door take what they can do better: conv_gather.h lists them.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

// ---- packing of the gather's columns: words [p0, p0 + k) of the column matrix's depth, (tap, channel) with channels fastest,
// so that a tap's clipping is found once for all channels. A word of pairs is two channels of one tap.
template <class T> void copy_pairs(float* to, const T* below, const T* above, int64_t length, int64_t step) {
#if defined(__AVX512BF16__)
  alignas(64) T rows[2][16] = {};
  if (step != 1) {
    for (int64_t l = 0; l < length; ++l) {
      rows[0][l] = below[l * step];
      if (above) rows[1][l] = above[l * step];
    }
    below = rows[0];
    above = rows[1];
  }
  Simd<float>::store(to, pair_rows(below, above, int(length)));
#else
  (void)to, (void)below, (void)above, (void)length, (void)step;
#endif
}

template <class T, class S>
void pack_columns(const Gather& g, const T* x, int64_t column, int cols, int64_t lead, int64_t p0, int64_t k, S* to) {
  using D = Simd<S>;
  Segment segments[kTileCols<S>];
  Run runs[kTileCols<S>];  // of at most a vector each
  const int64_t count = segments_of(g.axis, column, cols, segments), lines = words<T>(g.channels);
  const int64_t plane = g.x_plane(), image = plane * g.channels * g.groups, step = g.axis[2].step;
  for (int64_t p = p0; p < p0 + k;) {
    const int64_t first = p % lines * kWord<T>, here = least(lines - p % lines, p0 + k - p);
    const Tap tap = tap_of(g, p / lines);
    int64_t found = 0, covered = 0;
    for (int64_t s = 0; s < count; ++s) {
      Run run;
      if (!clip(g.axis, segments[s], tap.shift, &run)) continue;
      run.from += segments[s].image * image + first * plane;
      covered += run.length;
      for (int64_t l = 0; l < run.length; l += D::width)
        runs[found++] = {run.lane + l, least(D::width, run.length - l), run.from + l * step};
    }
    const T* source = x;
    for (int64_t c = first; c < first + here * kWord<T>; c += kWord<T>, to += lead, source += plane * kWord<T>) {
      if (covered < lead)
        for (int64_t v = 0; v < lead; v += D::width) D::store(to + v, D::zero());
      for (int64_t r = 0; r < found; ++r) {  // whole vectors, zeros beyond the run, for what follows to overwrite
        const T* const from = source + runs[r].from;
        if constexpr (kPaired<T>) copy_pairs(to + runs[r].lane, from, c + 1 < g.channels ? from + plane : nullptr, runs[r].length, step);
        else if (step == 1) D::store(to + runs[r].lane, D::load(from, int(runs[r].length)));
        else copy_run<T, S>(to + runs[r].lane, from, runs[r].length, step);
      }
    }
    p += here;
  }
}

// ---- columns of kernels of one tap, which need no packing: tile, with rows of b where they lie, b_row apart. The next panel's
// stand beside them, in as many pages of memory, and are asked for meanwhile.
template <class T, int MR, int NV>
void tile_in_place(int64_t k, const Compute<T>* a, const T* b, int64_t b_row, Compute<T>* c, int64_t c_row, bool add) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) sum[i][v] = D::zero();
  for (int64_t p = 0; p < k; ++p, a += MR, b += b_row) {
    typename D::V row[NV];
    for (int v = 0; v < NV; ++v) {
      row[v] = D::load(b + v * W);
      __builtin_prefetch(b + (NV + v) * W);
    }
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(a[i]);
      for (int v = 0; v < NV; ++v) sum[i][v] = D::fma(x, row[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v)
      D::store(c + i * c_row + v * W, add ? D::load(c + i * c_row + v * W) + sum[i][v] : sum[i][v]);
}

template <class T>
using TileInPlace = void (*)(int64_t k, const Compute<T>* a, const T* b, int64_t b_row, Compute<T>* c, int64_t c_row, bool add);

template <class T, int NV, int MR = kTileRows> TileInPlace<T> tile_in_place_of(int rows) {
  if constexpr (MR == 1) return tile_in_place<T, 1, NV>;
  else return rows == MR ? tile_in_place<T, MR, NV> : tile_in_place_of<T, NV, MR - 1>(rows);
}

// ---- the gather as a product: rows x depth weights times depth x (batch * positions) columns. All weights are packed
// once; then a grid of (group, row block, column block) tasks, each packing its columns block of depth by block.
template <class T> struct GatherPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t depth, kc, mr, mc, row_blocks, panels, block, blocks;  // block: panels of a task
  int64_t weight_bytes, column_bytes, sums_bytes;

  explicit GatherPlan(const Gather& g) {
    depth = g.taps() * words<T>(g.channels);  // in words
    kc = least(depth, kDepth<S>);
    mr = strip_rows(g.rows);
    panels = ceil_div(g.batch * g.positions(), NR);
    block = most(1, least(8, panels * g.groups / 32));
    blocks = ceil_div(panels, block);
    // Too few columns for everybody: the rows are shared out too, each packing the columns again.
    const int64_t strips = ceil_div(g.rows, mr), wanted = ceil_div(8, most(1, blocks * g.groups));
    const int64_t whole = most(1, caches().l2 / 2 / (kDepth<S> * int64_t(sizeof(S))) / mr);
    const int64_t together = wanted > 1 ? least(whole, most(1, strips / wanted)) : strips;
    mc = together * mr;
    row_blocks = ceil_div(g.rows, mc);
    weight_bytes = round_up(g.groups * g.rows * depth * int64_t(sizeof(S)) + kPackSlack, 64);
    column_bytes = round_up(block * NR * kc * int64_t(sizeof(S)) + kPackSlack, 64);
    sums_bytes = sizeof(T) != sizeof(S) && depth > kc ? round_up(mc * block * NR * int64_t(sizeof(S)), 64) : 0;
  }
  int64_t scratch() const { return weight_bytes + num_threads() * (column_bytes + sums_bytes); }
};

// Where a panel's columns lie in y.
struct Target { int64_t lane, length, at; };

int64_t targets_of(const Gather& g, int64_t column, int64_t cols, Target* to) {
  const int64_t plane = g.y_plane(), image = plane * g.rows * g.groups, positions = g.positions();
  int64_t found = 0;
  if (g.whole()) {
    for (int64_t lane = 0; lane < cols;) {
      const int64_t at = (column + lane) % positions, length = least(cols - lane, positions - at);
      to[found++] = {lane, length, (column + lane) / positions * image + at};
      lane += length;
    }
    return found;
  }
  Segment segments[kTileCols<float>];
  const int64_t count = segments_of(g.axis, column, cols, segments);
  const Axis* a = g.axis;
  for (; found < count; ++found) {
    const Segment& s = segments[found];
    const int64_t y0 = a[0].to + s.q[0] * a[0].to_step, y1 = a[1].to + s.q[1] * a[1].to_step;
    to[found] = {s.lane, s.length, s.image * image + (y0 * g.y_size[1] + y1) * g.y_size[2] + a[2].to + s.q[2] * a[2].to_step};
  }
  return found;
}

template <class T>
void gather(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>;
  constexpr int W = Simd<S>::width;
  const GatherPlan<T> plan(g);
  S* const weights = reinterpret_cast<S*>(scratch);
  char* const own = scratch + plan.weight_bytes;
  const int64_t strips = ceil_div(g.rows, plan.mr), depth_blocks = ceil_div(plan.depth, plan.kc ? plan.kc : 1);

  // Packed weights: [group][block of depth][row][depth of the block]
  auto pack = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t strip = task % strips, p0 = task / strips % depth_blocks * plan.kc, group = task / strips / depth_blocks;
      const int64_t k = least(plan.kc, plan.depth - p0), i = strip * plan.mr;
      pack_weights<T>(g, w + group * g.w_group, i, int(least(plan.mr, g.rows - i)), p0, k, weights + (group * plan.depth + p0) * g.rows + i * k);
    }
  };
  for_tasks(g.groups * depth_blocks * strips, plan.kc * plan.mr, true, pack);

  const int64_t y_plane = g.y_plane(), to_step = g.axis[2].to_step, total = g.batch * g.positions(), plane = g.x_plane();
  const bool flat = g.flat();
  Epilogue<T> e{S(1), S(0), bias, 1, nullptr, 0, activation};
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    S* const columns = reinterpret_cast<S*>(own + worker * (plan.column_bytes + plan.sums_bytes));
    S* const sums = plan.sums_bytes ? reinterpret_cast<S*>(reinterpret_cast<char*>(columns) + plan.column_bytes) : nullptr;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % plan.blocks, row_block = task / plan.blocks % plan.row_blocks;
      const int64_t group = task / plan.blocks / plan.row_blocks;
      const int64_t first = block * plan.block, last = least(plan.panels, first + plan.block);
      const int64_t i0 = row_block * plan.mc, i1 = least(g.rows, i0 + plan.mc);
      const T* const x_group = x + group * g.channels * g.x_plane();
      T* const y_group = y + group * g.rows * y_plane;
      const int64_t bias_row = group * g.rows;
      for (int64_t p0 = 0; p0 < most(plan.depth, 1); p0 += most(plan.kc, 1)) {
        const int64_t k = least(plan.kc, plan.depth - p0);
        const Part part{p0 == 0, p0 + k >= plan.depth};
        for (int64_t panel = first; panel < last; ++panel) {
          const int cols = int(least(NR, total - panel * NR));
          const int vectors = cols <= W ? 1 : 2;
          S* const packed = columns + (panel - first) * NR * plan.kc;
          Target targets[NR];
          const int64_t count = targets_of(g, panel * NR, cols, targets);
          const T* in_place = nullptr;
          if (!kPaired<T> && flat && count == 1 && cols == vectors * W)
            in_place = x_group + panel * NR / plane * plane * g.channels * g.groups + panel * NR % plane + p0 * plane;
          if (!in_place) pack_columns<T, S>(g, x_group, panel * NR, cols, vectors * W, p0, k, packed);
          const bool plain = (e.plain() || !part.last) && sizeof(T) == sizeof(S) && count == 1 && cols == vectors * W && to_step == 1;
          for (int64_t i = i0; i < i1; i += plan.mr) {
            const int rows = int(least(plan.mr, g.rows - i));
            const S* const strip = weights + (group * plan.depth + p0) * g.rows + i * k;
            auto run = [&](S* to, int64_t to_row, bool add) {
              if constexpr (!kPaired<T>) {
                if (in_place) return (vectors == 1 ? tile_in_place_of<T, 1>(rows) : tile_in_place_of<T, 2>(rows))(k, strip, in_place, plane, to, to_row, add);
              }
              (vectors == 1 ? tile_of<S, 1, kPaired<T>>(rows) : tile_of<S, 2, kPaired<T>>(rows))(k, strip, packed, to, to_row, add);
            };
            if constexpr (sizeof(T) == sizeof(S)) {
              if (plain) {
                run(y_group + targets[0].at + i * y_plane, y_plane, !part.first);
                continue;
              }
            }
            alignas(64) S buffer[kTileRows * NR + W];
            run(buffer, vectors * W, false);
            for (int64_t t = 0; t < count; ++t) {
              T* const c = y_group + targets[t].at + i * y_plane;
              S* part_sums = nullptr;
              int64_t sums_row = 0, sums_col = 1;
              if constexpr (sizeof(T) == sizeof(S)) {
                part_sums = c;
                sums_row = y_plane;
                sums_col = to_step;
              } else if (sums) {
                sums_row = plan.block * NR;
                part_sums = sums + (i - i0) * sums_row + (panel - first) * NR + targets[t].lane;
              }
              merge<T>(buffer + targets[t].lane, vectors * W, rows, int(targets[t].length), c, y_plane, to_step, part_sums,
                       sums_row, sums_col, bias_row + i, 0, e, part);
            }
          }
        }
      }
    }
  };
  const int64_t tasks = g.groups * plan.row_blocks * plan.blocks;
  if (total > 0) for_tasks(tasks, plan.block * NR * plan.mc * most(plan.depth, 8) / 8, true, multiply);
}

// ---- a gather, by the first room that takes it
bool is_integer(DType dtype) { return dtype >= DType::uint8 && dtype <= DType::int64; }

int64_t gather_scratch(const Gather& g, DType dtype) {
  if (is_integer(dtype)) return 0;
  if (depthwise_accepts(g)) return depthwise_scratch(g, dtype);
  const int64_t bytes = direct_accepts(g, dtype) ? direct_scratch(g, dtype) : with_floating(dtype, [&](auto type) -> int64_t {
    return GatherPlan<typename decltype(type)::type>(g).scratch();
  });
  return winograd_accepts(g, dtype) ? most(bytes, winograd_scratch(g, dtype)) : bytes;
}

void gather(const Gather& g, const ConvArgs& c, const void* x, void* y, char* scratch) {
  if (is_integer(c.dtype)) return integer_gather(g, c.dtype, x, c.w, y, c.bias);
  if (depthwise_accepts(g)) return depthwise(g, c.dtype, x, c.w, y, c.bias, c.activation, scratch);
  if (winograd_accepts(g, c.dtype) && winograd(g, c.dtype, x, c.w, y, c.bias, c.activation, scratch)) return;
  if (direct_accepts(g, c.dtype)) return direct(g, c.dtype, x, c.w, y, c.bias, c.activation, scratch);
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    gather<T>(g, static_cast<const T*>(x), static_cast<const T*>(c.w), static_cast<T*>(y), static_cast<const T*>(c.bias), c.activation,
              scratch);
  });
}

bool nothing(const ConvArgs& c) { return c.batch == 0 || c.groups == 0; }

template <class F> void each_residue(const ConvArgs& c, const F& f) {
  for (int64_t r0 = 0; r0 < least(c.stride[0], c.in[0]); ++r0)
    for (int64_t r1 = 0; r1 < least(c.stride[1], c.in[1]); ++r1)
      for (int64_t r2 = 0; r2 < least(c.stride[2], c.in[2]); ++r2) f(backward_gather(c, r0, r1, r2));
}

}  // namespace

int64_t conv_scratch(const ConvArgs& c) {
  if (few_accepts(c)) return few_scratch(c);
  return nothing(c) ? 0 : gather_scratch(forward_gather(c), c.dtype);
}

void conv(const ConvArgs& c, void* scratch) {
  if (few_accepts(c)) return few(c, static_cast<char*>(scratch));
  if (!nothing(c)) gather(forward_gather(c), c, c.x, c.y, static_cast<char*>(scratch));
}

int64_t conv_backward_data_scratch(const ConvArgs& c) {
  if (few_data_accepts(c)) return few_data_scratch(c);
  int64_t bytes = 0;
  if (nothing(c)) return bytes;
  if (!is_integer(c.dtype) && depthwise_image_accepts(c)) return depthwise_image_scratch(c);
  if (!is_integer(c.dtype) && patch_accepts(c)) return patch_scratch(c);
  each_residue(c, [&](const Gather& g) { bytes = most(bytes, gather_scratch(g, c.dtype)); });
  return bytes;
}

void conv_backward_data(const ConvArgs& c, void* scratch) {
  if (few_data_accepts(c)) return few_data(c, static_cast<char*>(scratch));
  if (nothing(c)) return;
  if (!is_integer(c.dtype) && depthwise_image_accepts(c)) return depthwise_image(c, static_cast<char*>(scratch));
  if (!is_integer(c.dtype) && patch_accepts(c)) return patch_image(c, static_cast<char*>(scratch));
  each_residue(c, [&](const Gather& g) { gather(g, c, c.y, c.x, static_cast<char*>(scratch)); });
}

int64_t conv_backward_weight_scratch(const ConvArgs& c) {
  if (depthwise_weight_accepts(c)) return depthwise_weight_scratch(c);
  if (few_accepts(c)) return few_weight_scratch(c);
  const int64_t bytes = weight_products_scratch(c);
  return winograd_weight_accepts(c) ? most(bytes, winograd_weight_scratch(c)) : bytes;
}

void conv_backward_weight(const ConvArgs& c, void* scratch_) {
  char* const scratch = static_cast<char*>(scratch_);
  if (c.bias) bias_sums(c);
  if (c.batch * c.out[0] * c.out[1] * c.out[2] == 0) {
    with_floating(c.dtype, [&](auto type) {
      memset(c.w, 0, size_t(c.groups * c.out_channels * c.in_channels * c.kernel[0] * c.kernel[1] * c.kernel[2]) * sizeof(typename decltype(type)::type));
    });
  } else if (depthwise_weight_accepts(c)) {
    depthwise_weight(c, scratch);
  } else if (few_accepts(c)) {
    few_weight(c, scratch);
  } else if (!winograd_weight_accepts(c) || !winograd_weight(c, scratch)) {
    weight_products(c, scratch);
  }
}

}  // namespace tessel::TESSEL_TARGET
