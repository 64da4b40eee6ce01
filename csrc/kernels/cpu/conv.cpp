// Convolution as implicit GEMM: the packing reads the image where the product wants a column, so no column matrix is ever
// stored. Forward and backward-data are one thing, a gather: each result element sums weights times source elements at
// fixed offsets. Backward-data with a stride is one gather per residue of the result's coordinates, none of which
// multiplies by zeros. Backward-weight is a product over all output positions of all images.
#include "kernels/cpu/caches.h"
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_micro.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kBuffered = 64;  // depth of weights packed at a time

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0
int64_t floor_of(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

template <class T> struct Type { using type = T; };

template <class F> auto with_floating(DType dtype, const F& f) {
  switch (dtype) {
    case DType::float64: return f(Type<double>{});
    case DType::bfloat16: return f(Type<BFloat>{});
    case DType::float16: return f(Type<Half>{});
    default: return f(Type<float>{});
  }
}

// ---- the gather: y[to(q)] = sum over taps t of w[tap(t)] * x[q * step + offset(t)], along one dimension
struct Axis {
  int64_t count, step, size;       // positions q; source elements per position; source size
  int64_t to, to_step;             // y's coordinate is to + q * to_step
  int64_t taps, tap, tap_step;     // w's coordinate is tap + t * tap_step
  int64_t offset, offset_step;     // offset(t) = offset + t * offset_step

  // The positions whose source element exists, [first, last).
  int64_t first(int64_t shift) const { return most(0, -floor_of(shift, step)); }
  int64_t last(int64_t shift) const { return least(count, floor_of(size - 1 - shift, step) + 1); }
};

struct Gather {
  Axis axis[3];
  int64_t batch, groups, rows, channels;    // rows: channels of y in a group; channels: of x in a group
  int64_t w_group, w_row, w_channel;        // element strides of w; a tap's own follow from the kernel's sizes
  int64_t kernel[3], y_size[3];

  int64_t positions() const { return axis[0].count * axis[1].count * axis[2].count; }
  int64_t taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
  int64_t depth() const { return taps() * channels; }
  int64_t x_plane() const { return axis[0].size * axis[1].size * axis[2].size; }
  int64_t y_plane() const { return y_size[0] * y_size[1] * y_size[2]; }
  bool whole() const {  // the positions are y's plane in order
    return axis[0].count == y_size[0] && axis[1].count == y_size[1] && axis[2].count == y_size[2];
  }
  bool direct() const { return rows * channels <= 4 && groups > 1; }
};

struct Tap { int64_t w, shift[3]; };  // of the weight, and of the source coordinates

Tap tap_of(const Gather& g, int64_t t) {
  const Axis* a = g.axis;
  const int64_t t2 = t % a[2].taps, t1 = t / a[2].taps % a[1].taps, t0 = t / a[2].taps / a[1].taps;
  return {((a[0].tap + t0 * a[0].tap_step) * g.kernel[1] + a[1].tap + t1 * a[1].tap_step) * g.kernel[2] + a[2].tap +
              t2 * a[2].tap_step,
          {a[0].offset + t0 * a[0].offset_step, a[1].offset + t1 * a[1].offset_step, a[2].offset + t2 * a[2].offset_step}};
}

Gather forward_gather(const ConvArgs& c) {
  Gather g;
  for (int d = 0; d < 3; ++d) {
    g.axis[d] = {c.out[d], c.stride[d], c.in[d], 0, 1, c.kernel[d], 0, 1, -c.padding[d], c.dilation[d]};
    g.kernel[d] = c.kernel[d];
    g.y_size[d] = c.out[d];
  }
  const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  g.batch = c.batch;
  g.groups = c.groups;
  g.rows = c.out_channels;
  g.channels = c.in_channels;
  g.w_channel = taps;
  g.w_row = c.in_channels * taps;
  g.w_group = c.out_channels * g.w_row;
  return g;
}

// dx at coordinates r + q * stride: x = i meets y = (i + padding - k * dilation) / stride where that is whole.
Axis residue(const ConvArgs& c, int d, int64_t r) {
  const int64_t s = c.stride[d], dilation = c.dilation[d];
  int64_t tap = 0, step = 1;
  while (tap < s && (r + c.padding[d] - tap * dilation) % s != 0) ++tap;
  while (step * dilation % s != 0) ++step;
  const int64_t taps = tap < s && tap < c.kernel[d] ? (c.kernel[d] - 1 - tap) / step + 1 : 0;
  return {c.in[d] > r ? ceil_div(c.in[d] - r, s) : 0, 1, c.out[d], r, s, taps, tap, step,
          taps ? (r + c.padding[d] - tap * dilation) / s : 0, -(step * dilation / s)};
}

Gather backward_gather(const ConvArgs& c, int64_t r0, int64_t r1, int64_t r2) {
  Gather g;
  const int64_t r[3] = {r0, r1, r2}, taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  for (int d = 0; d < 3; ++d) {
    g.axis[d] = residue(c, d, r[d]);
    g.kernel[d] = c.kernel[d];
    g.y_size[d] = c.in[d];
  }
  g.batch = c.batch;
  g.groups = c.groups;
  g.rows = c.in_channels;
  g.channels = c.out_channels;
  g.w_row = taps;
  g.w_channel = c.in_channels * taps;
  g.w_group = c.out_channels * g.w_channel;
  return g;
}

// Positions side by side in one row of the image; `lane` is where they stand among the columns asked for.
struct Segment { int64_t lane, length, image, q[3]; };

// The segments of positions [begin, begin + n) of all images.
int64_t segments_of(const Axis* a, int64_t begin, int64_t n, Segment* to) {
  const int64_t plane = a[0].count * a[1].count * a[2].count;
  int64_t image = begin / plane, rest = begin % plane, found = 0;
  int64_t q2 = rest % a[2].count, q1 = rest / a[2].count % a[1].count, q0 = rest / a[2].count / a[1].count;
  for (int64_t lane = 0; lane < n;) {
    const int64_t length = least(n - lane, a[2].count - q2);
    to[found++] = {lane, length, image, {q0, q1, q2}};
    lane += length;
    q2 = 0;
    if (++q1 == a[1].count) {
      q1 = 0;
      if (++q0 == a[0].count) { q0 = 0; ++image; }
    }
  }
  return found;
}

// The source elements of a segment under a tap, clipped to those that exist: lane, how many, offset of the first in the
// image's planes. False when there are none.
struct Run { int64_t lane, length, from; };

bool clip(const Axis* a, const Segment& s, const int64_t* shift, Run* run) {
  const int64_t i0 = s.q[0] * a[0].step + shift[0], i1 = s.q[1] * a[1].step + shift[1];
  if (i0 < 0 || i0 >= a[0].size || i1 < 0 || i1 >= a[1].size) return false;
  const int64_t first = most(s.q[2], a[2].first(shift[2])), last = least(s.q[2] + s.length, a[2].last(shift[2]));
  if (first >= last) return false;
  *run = {s.lane + first - s.q[2], last - first, (i0 * a[1].size + i1) * a[2].size + first * a[2].step + shift[2]};
  return true;
}

// Whole vectors are stored where source elements lie side by side: zeros beyond the run, for what follows to overwrite.
template <class T, class S> void copy_run(S* to, const T* from, int64_t length, int64_t step) {
  using D = Simd<S>;
  constexpr int W = D::width;
  if (step != 1) {
    for (int64_t l = 0; l < length; ++l) to[l] = S(widen(from[l * step]));
    return;
  }
  int64_t l = 0;
  for (; l + W <= length; l += W) D::store(to + l, D::load(from + l));
  if (l < length) D::store(to + l, D::load(from + l, int(length - l)));
}

// ---- packing of the gather's columns: rows [p0, p0 + k) of the column matrix, (tap, channel) with channels fastest, so
// that a tap's clipping is found once for all channels
template <class T, class S>
void pack_columns(const Gather& g, const T* x, int64_t column, int cols, int64_t lead, int64_t p0, int64_t k, S* to) {
  using D = Simd<S>;
  Segment segments[kTileCols<S>];
  Run runs[kTileCols<S>];  // of at most a vector each
  const int64_t count = segments_of(g.axis, column, cols, segments);
  const int64_t plane = g.x_plane(), image = plane * g.channels * g.groups, step = g.axis[2].step;
  for (int64_t p = p0; p < p0 + k;) {
    const int64_t c0 = p % g.channels, channels = least(g.channels - c0, p0 + k - p);
    const Tap tap = tap_of(g, p / g.channels);
    int64_t found = 0, covered = 0;
    for (int64_t s = 0; s < count; ++s) {
      Run run;
      if (!clip(g.axis, segments[s], tap.shift, &run)) continue;
      run.from += segments[s].image * image + c0 * plane;
      covered += run.length;
      for (int64_t l = 0; l < run.length; l += D::width)
        runs[found++] = {run.lane + l, least(D::width, run.length - l), run.from + l * step};
    }
    const T* source = x;
    for (int64_t c = 0; c < channels; ++c, to += lead, source += plane) {
      if (covered < lead)
        for (int64_t v = 0; v < lead; v += D::width) D::store(to + v, D::zero());
      if (step == 1) {  // whole vectors, zeros beyond the run, for what follows to overwrite
        for (int64_t r = 0; r < found; ++r) D::store(to + runs[r].lane, D::load(source + runs[r].from, int(runs[r].length)));
      } else {
        for (int64_t r = 0; r < found; ++r) copy_run<T, S>(to + runs[r].lane, source + runs[r].from, runs[r].length, step);
      }
    }
    p += channels;
  }
}

// Rows [i, i + rows) of the weight matrix, in the same order of depth.
template <class T, class S> void pack_weights(const Gather& g, const T* w, int64_t i, int rows, int64_t p0, int64_t k, S* to) {
  for (int64_t p = p0; p < p0 + k;) {
    const int64_t c0 = p % g.channels, channels = least(g.channels - c0, p0 + k - p);
    pack_strip<T, S>(to, rows, w + i * g.w_row + c0 * g.w_channel + tap_of(g, p / g.channels).w, rows, channels, g.w_row,
                     g.w_channel);
    to += channels * rows;
    p += channels;
  }
}

// ---- the gather as a product: rows x depth weights times depth x (batch * positions) columns. All weights are packed
// once; then a grid of (group, row block, column block) tasks, each packing its columns block of depth by block.
template <class T> struct GatherPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t depth, kc, mr, mc, row_blocks, panels, block, blocks;  // block: panels of a task
  int64_t weight_bytes, column_bytes, sums_bytes;

  explicit GatherPlan(const Gather& g) {
    depth = g.depth();
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
      // The last rows may not spill a vector into what another thread packs next: the strip goes through a small buffer.
      const int rows = int(least(plan.mr, g.rows - i));
      S* to = weights + (group * plan.depth + p0) * g.rows + i * k;
      for (int64_t p = 0; p < k; p += kBuffered) {
        alignas(64) S buffer[kTileRows * kBuffered + kPackSlack / sizeof(S)];
        const int64_t part = least(kBuffered, k - p);
        pack_weights<T, S>(g, w + group * g.w_group, i, rows, p0 + p, part, buffer);
        memcpy(to + p * rows, buffer, size_t(part * rows) * sizeof(S));
      }
    }
  };
  for_tasks(g.groups * depth_blocks * strips, plan.kc * plan.mr, true, pack);

  const int64_t y_plane = g.y_plane(), to_step = g.axis[2].to_step, total = g.batch * g.positions();
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
          pack_columns<T, S>(g, x_group, panel * NR, cols, vectors * W, p0, k, packed);
          Target targets[NR];
          const int64_t count = targets_of(g, panel * NR, cols, targets);
          const bool plain = (e.plain() || !part.last) && sizeof(T) == sizeof(S) && count == 1 && cols == vectors * W && to_step == 1;
          for (int64_t i = i0; i < i1; i += plan.mr) {
            const int rows = int(least(plan.mr, g.rows - i));
            const Tile<S> run = vectors == 1 ? tile_of<S, 1>(rows) : tile_of<S, 2>(rows);
            const S* const strip = weights + (group * plan.depth + p0) * g.rows + i * k;
            if constexpr (sizeof(T) == sizeof(S)) {
              if (plain) {
                run(k, strip, packed, y_group + targets[0].at + i * y_plane, y_plane, !part.first);
                continue;
              }
            }
            alignas(64) S buffer[kTileRows * NR + W];
            run(k, strip, packed, buffer, vectors * W, false);
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

// ---- depthwise, or nearly: a group of at most four (row, channel) pairs. The source planes are copied once into a frame of
// zeros, so that no tap needs clipping, and a row is laid out by residue of the step (x[0], x[s], x[2s], ..., x[1], ...), so
// that neighbouring positions read neighbouring elements whatever the stride. Then kRowVectors of y stay in registers
// over all taps: one load and one fused multiply-add each.
constexpr int kRowVectors = 4;

struct Frame {
  int64_t least_shift[3], rows[2];  // of the taps; rows of the frame in the two outer dimensions
  int64_t line, row;                // elements of one residue's line, of a whole row

  explicit Frame(const Gather& g) {
    for (int d = 0; d < 3; ++d) {
      const Axis& a = g.axis[d];
      const int64_t reach = (a.taps - 1) * a.offset_step;
      least_shift[d] = a.offset + least(reach, 0);
      const int64_t extent = most(a.count - 1, 0) * a.step + (reach < 0 ? -reach : reach) + 1;
      if (d < 2) rows[d] = extent;
      else line = ceil_div(extent, a.step);
    }
    row = line * g.axis[2].step;
  }
  int64_t plane() const { return rows[0] * rows[1] * row; }
};

struct Weighted { int64_t at; double weight; };  // where in the frame a tap reads, and what it multiplies with

template <class S> int64_t frame_bytes(const Gather& g) {
  if (g.taps() == 0) return 0;
  const Frame f(g);
  return round_up((f.plane() * g.channels + kRowVectors * Simd<S>::width) * int64_t(sizeof(S)), 64) +
         round_up(g.depth() * int64_t(sizeof(Weighted)), 64);
}

template <class T, class S> void fill_frame(const Gather& g, const Frame& f, const T* x, S* to) {
  const Axis* a = g.axis;
  const int64_t step = a[2].step;
  for (int64_t e0 = 0; e0 < f.rows[0]; ++e0)
    for (int64_t e1 = 0; e1 < f.rows[1]; ++e1, to += f.row) {
      const int64_t i0 = e0 + f.least_shift[0], i1 = e1 + f.least_shift[1];
      const bool inside = i0 >= 0 && i0 < a[0].size && i1 >= 0 && i1 < a[1].size;
      const T* const from = x + (i0 * a[1].size + i1) * a[2].size;
      for (int64_t residue = 0; residue < step; ++residue) {
        S* const line = to + residue * f.line;
        const int64_t shift = f.least_shift[2] + residue;  // element l is x[l * step + shift]
        int64_t first = least(f.line, most(0, -floor_of(shift, step)));
        int64_t last = most(first, least(f.line, floor_of(a[2].size - 1 - shift, step) + 1));
        if (!inside) first = last = f.line;
        for (int64_t l = 0; l < first; ++l) line[l] = S(0);
        if (step == 1) for (int64_t l = first; l < last; ++l) line[l] = S(widen(from[l + shift]));
        else for (int64_t l = first; l < last; ++l) line[l] = S(widen(from[l * step + shift]));
        for (int64_t l = last; l < f.line; ++l) line[l] = S(0);
      }
    }
}

template <class T> void direct(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, kLanes = kRowVectors * W;
  const int64_t bytes = frame_bytes<S>(g), y_plane = g.y_plane(), taps = g.taps();
  const Axis* a = g.axis;
  auto planes = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    const Frame f(g);
    S* const frame = reinterpret_cast<S*>(scratch + worker * bytes);
    Weighted* const weighted = reinterpret_cast<Weighted*>(scratch + (worker + 1) * bytes - round_up(g.depth() * int64_t(sizeof(Weighted)), 64));
    const Epilogue<T> e{S(1), S(0), bias, 1, nullptr, 0, activation};
    for (int64_t task = begin; task < end; ++task) {  // (image, group)
      const int64_t group = task % g.groups;
      for (int64_t c = 0; c < (taps ? g.channels : 0); ++c)
        fill_frame<T, S>(g, f, x + (task * g.channels + c) * g.x_plane(), frame + c * f.plane());
      if (taps)
        for (int l = 0; l < kLanes; ++l) frame[f.plane() * g.channels + l] = S(0);
      for (int64_t row = 0; row < g.rows; ++row) {
        for (int64_t p = 0; p < g.depth(); ++p) {
          const Tap tap = tap_of(g, p % taps);
          const int64_t c = p / taps, u = tap.shift[2] - f.least_shift[2];
          weighted[p] = {c * f.plane() + ((tap.shift[0] - f.least_shift[0]) * f.rows[1] + tap.shift[1] - f.least_shift[1]) * f.row +
                             u % a[2].step * f.line + u / a[2].step,
                         double(widen(w[group * g.w_group + row * g.w_row + c * g.w_channel + tap.w]))};
        }
        T* const plane = y + (task * g.rows + row) * y_plane;
        for (int64_t q0 = 0; q0 < a[0].count; ++q0)
          for (int64_t q1 = 0; q1 < a[1].count; ++q1) {
            const S* const from = frame + (q0 * a[0].step * f.rows[1] + q1 * a[1].step) * f.row;
            T* const to = plane + ((a[0].to + q0 * a[0].to_step) * g.y_size[1] + a[1].to + q1 * a[1].to_step) * g.y_size[2] + a[2].to;
            for (int64_t q = 0; q < a[2].count; q += kLanes) {
              typename D::V sum[kRowVectors];
              for (auto& v : sum) v = D::zero();
              for (int64_t p = 0; p < g.depth(); ++p) {
                const typename D::V weight = D::set(S(weighted[p].weight));
                const S* const at = from + weighted[p].at + q;
                for (int v = 0; v < kRowVectors; ++v) sum[v] = D::fma(weight, D::load(at + v * W), sum[v]);
              }
              alignas(64) S row_sums[kLanes + W];
              for (int v = 0; v < kRowVectors; ++v) D::store(row_sums + v * W, sum[v]);
              merge<T>(row_sums, 0, 1, int(least(kLanes, a[2].count - q)), to + q * a[2].to_step, 0, a[2].to_step, nullptr, 0, 1,
                       group * g.rows + row, 0, e, {true, true});
            }
          }
      }
    }
  };
  for_tasks(g.batch * g.groups, g.rows * g.positions() * (g.depth() + 4) / 8, true, planes);
}

// ---- backward-weight: dw[row, (channel, tap)] = sum over positions of dy[row, position] * x[channel, position under tap].
// Tasks are (part of the positions, group, row block, column block); the parts' sums are added in order.
template <class T> struct WeightPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t kc, mr, mc, row_blocks, columns, block, blocks, depth, depth_blocks, splits, weights;
  int64_t partial_bytes, rows_bytes, panel_bytes, lines_bytes;

  explicit WeightPlan(const ConvArgs& c) {
    const int64_t size = sizeof(S);
    kc = kDepth<S>;
    mr = strip_rows(c.out_channels);
    mc = most(1, caches().l2 / 4 / (kc * size) / mr) * mr;
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
    rows_bytes = round_up(mc * kc * size + kPackSlack, 64);
    panel_bytes = round_up(NR * kc * size + kPackSlack, 64);
    lines_bytes = round_up(NR * kc * size + kPackSlack, 64) + round_up(kc * int64_t(sizeof(Segment)), 64);
  }
  int64_t worker_bytes() const { return rows_bytes + panel_bytes + lines_bytes; }
};

// One packed panel of columns [j, j + cols) of (channel, tap): a line of source elements for each, then transposed.
template <class T, class S>
void pack_sources(const Gather& g, const T* x, int64_t j, int cols, int64_t lead, const Segment* segments, int64_t count,
                  int64_t k, S* lines, S* to) {
  const int64_t taps = g.taps(), plane = g.x_plane(), image = plane * g.channels * g.groups, step = g.axis[2].step;
  constexpr int64_t kLine = kDepth<S>;
  for (int col = 0; col < cols; ++col) {
    const Tap tap = tap_of(g, (j + col) % taps);
    const T* const source = x + (j + col) / taps * plane;
    S* const line = lines + col * kLine;
    int64_t filled = 0;
    for (int64_t s = 0; s < count; ++s) {
      Run run;
      if (!clip(g.axis, segments[s], tap.shift, &run)) continue;
      for (; filled < run.lane; ++filled) line[filled] = S(0);
      copy_run<T, S>(line + run.lane, source + segments[s].image * image + run.from, run.length, step);
      filled = run.lane + run.length;
    }
    for (; filled < k; ++filled) line[filled] = S(0);
  }
  pack_transposed<S, S>(to, lead, lines, cols, k, kLine);
}

template <class T> void weight_products(const ConvArgs& c, char* scratch) {
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
    S* const lines = reinterpret_cast<S*>(own + plan.rows_bytes + plan.panel_bytes);
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
        const int64_t p0 = b * plan.kc, k = least(plan.kc, plan.depth - p0);
        const int64_t count = segments_of(g.axis, p0, k, segments);
        for (int64_t i = i0; i < i1; i += plan.mr) {
          const int rows = int(least(plan.mr, i1 - i));
          for (int64_t p = 0; p < k;) {  // image by image
            const int64_t image = (p0 + p) / positions, at = (p0 + p) % positions, here = least(k - p, positions - at);
            pack_strip<T, S>(rows_packed + (i - i0) * k + p * rows, rows,
                             dy + ((image * c.groups + group) * c.out_channels + i) * positions + at, rows, here, positions, 1);
            p += here;
          }
        }
        for (int64_t j = j0; j < j1; j += NR) {
          const int cols = int(least(NR, j1 - j)), vectors = cols <= W ? 1 : 2;
          pack_sources<T, S>(g, x_group, j, cols, vectors * W, segments, count, k, lines, panel);
          for (int64_t i = i0; i < i1; i += plan.mr) {
            const int rows = int(least(plan.mr, i1 - i));
            const Tile<S> run = vectors == 1 ? tile_of<S, 1>(rows) : tile_of<S, 2>(rows);
            S* const at = dw + i * plan.columns + j;
            if (cols == vectors * W) {
              run(k, rows_packed + (i - i0) * k, panel, at, plan.columns, b != from);
              continue;
            }
            alignas(64) S buffer[kTileRows * NR + W];
            run(k, rows_packed + (i - i0) * k, panel, buffer, vectors * W, false);
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

// The depthwise case: an image's plane of dy against the frame of its plane of x, four taps at a time; then over images
// in order.
constexpr int kTapGroup = 4;

template <class T>
void plane_dots(const Gather& g, const Frame& f, const Compute<T>* frame, const T* dy, Compute<T>* to) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  const Axis* a = g.axis;
  const int64_t taps = g.taps();
  for (int64_t t = 0; t < taps; t += kTapGroup) {
    int64_t at[kTapGroup];
    for (int i = 0; i < kTapGroup; ++i) {
      const Tap tap = tap_of(g, least(t + i, taps - 1));
      const int64_t u = tap.shift[2] - f.least_shift[2];
      at[i] = ((tap.shift[0] - f.least_shift[0]) * f.rows[1] + tap.shift[1] - f.least_shift[1]) * f.row + u % a[2].step * f.line +
              u / a[2].step;
    }
    typename D::V sum[kTapGroup];
    for (auto& v : sum) v = D::zero();
    const T* left = dy;
    for (int64_t q0 = 0; q0 < a[0].count; ++q0)
      for (int64_t q1 = 0; q1 < a[1].count; ++q1, left += a[2].count) {
        const S* const right = frame + (q0 * a[0].step * f.rows[1] + q1 * a[1].step) * f.row;
        int64_t q = 0;
        for (; q + W <= a[2].count; q += W) {
          const typename D::V d = D::load(left + q);
          for (int i = 0; i < kTapGroup; ++i) sum[i] = D::fma(d, D::load(right + at[i] + q), sum[i]);
        }
        if (const int rest = int(a[2].count - q)) {
          const typename D::V d = D::load(left + q, rest);
          for (int i = 0; i < kTapGroup; ++i) sum[i] = D::fma(d, D::load(right + at[i] + q, rest), sum[i]);
        }
      }
    for (int i = 0; i < kTapGroup && t + i < taps; ++i) to[t + i] = D::sum(sum[i]);
  }
}

template <class T> int64_t direct_weight_partials(const ConvArgs& c) {
  const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  return round_up(c.batch * c.groups * c.in_channels * c.out_channels * taps * int64_t(sizeof(Compute<T>)), 64);
}

template <class T> void direct_weight(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  const Gather g = forward_gather(c);
  const Frame f(g);
  const int64_t taps = g.taps(), positions = g.positions(), bytes = frame_bytes<S>(g);
  const int64_t each = c.out_channels * c.in_channels * taps, weights = c.groups * each;
  S* const partial = reinterpret_cast<S*>(scratch);
  char* const frames = scratch + direct_weight_partials<T>(c);
  auto planes = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    S* const frame = reinterpret_cast<S*>(frames + worker * bytes);
    for (int64_t task = begin; task < end; ++task)  // (image, group)
      for (int64_t channel = 0; channel < c.in_channels; ++channel) {
        fill_frame<T, S>(g, f, static_cast<const T*>(c.x) + (task * c.in_channels + channel) * g.x_plane(), frame);
        for (int64_t row = 0; row < c.out_channels; ++row)
          plane_dots<T>(g, f, frame, static_cast<const T*>(c.y) + (task * c.out_channels + row) * positions,
                        partial + task * each + (row * c.in_channels + channel) * taps);
      }
  };
  for_tasks(c.batch * c.groups, each * positions / 4, true, planes);
  const Flush flush;
  for (int64_t i = 0; i < weights; ++i) {
    S total = 0;
    for (int64_t image = 0; image < c.batch; ++image) total += partial[image * weights + i];
    narrow(static_cast<T*>(c.w) + i, total);
  }
}

// db[channel]: the sum of dy over images and positions
template <class T> void bias_sums(const ConvArgs& c) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  const int64_t channels = c.groups * c.out_channels, positions = c.out[0] * c.out[1] * c.out[2];
  auto sums = [&](int64_t begin, int64_t end, int) {
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
  for_tasks(channels, c.batch * (positions / W + 4), true, sums);
}

bool nothing(const ConvArgs& c) {
  return c.batch == 0 || c.groups == 0;
}

bool direct_weights(const ConvArgs& c) {
  return c.groups > 1 && c.in_channels * c.out_channels <= 4 && c.kernel[0] * c.kernel[1] * c.kernel[2] <= 64;
}

template <class T> int64_t scratch_of(const Gather& g) {
  return g.direct() ? num_threads() * frame_bytes<Compute<T>>(g) : GatherPlan<T>(g).scratch();
}

// ---- integers: every sum in 64 bits, wrapping around; a stretch of a row of positions at a time, its sums stay in L1
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

bool is_integer(DType dtype) { return dtype >= DType::uint8 && dtype <= DType::int64; }

template <class F> void with_integer(DType dtype, const F& f) {
  switch (dtype) {
    case DType::int64: return f(Type<int64_t>{});
    case DType::int32: return f(Type<int32_t>{});
    case DType::int16: return f(Type<int16_t>{});
    case DType::int8: return f(Type<int8_t>{});
    default: return f(Type<uint8_t>{});
  }
}

template <class F> void each_residue(const ConvArgs& c, const F& f) {
  for (int64_t r0 = 0; r0 < least(c.stride[0], c.in[0]); ++r0)
    for (int64_t r1 = 0; r1 < least(c.stride[1], c.in[1]); ++r1)
      for (int64_t r2 = 0; r2 < least(c.stride[2], c.in[2]); ++r2) f(backward_gather(c, r0, r1, r2));
}

}  // namespace

int64_t conv_scratch(const ConvArgs& c) {
  if (nothing(c) || is_integer(c.dtype)) return 0;
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    const Gather g = forward_gather(c);
    return scratch_of<T>(g);
  });
}

void conv(const ConvArgs& c, void* scratch) {
  if (nothing(c)) return;
  if (is_integer(c.dtype))
    return with_integer(c.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      integer_gather<T>(forward_gather(c), static_cast<const T*>(c.x), static_cast<const T*>(c.w), static_cast<T*>(c.y), static_cast<const T*>(c.bias));
    });
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const Gather g = forward_gather(c);
    const T *x = static_cast<const T*>(c.x), *w = static_cast<const T*>(c.w), *bias = static_cast<const T*>(c.bias);
    if (g.direct()) direct<T>(g, x, w, static_cast<T*>(c.y), bias, c.activation, static_cast<char*>(scratch));
    else gather<T>(g, x, w, static_cast<T*>(c.y), bias, c.activation, static_cast<char*>(scratch));
  });
}

int64_t conv_backward_data_scratch(const ConvArgs& c) {
  if (nothing(c) || is_integer(c.dtype)) return 0;
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    int64_t bytes = 0;
    each_residue(c, [&](const Gather& g) {
      bytes = most(bytes, scratch_of<T>(g));
    });
    return bytes;
  });
}

void conv_backward_data(const ConvArgs& c, void* scratch) {
  if (nothing(c)) return;
  if (is_integer(c.dtype))
    return with_integer(c.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      each_residue(c, [&](const Gather& g) {
        integer_gather<T>(g, static_cast<const T*>(c.y), static_cast<const T*>(c.w), static_cast<T*>(c.x), static_cast<const T*>(c.bias));
      });
    });
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const T *dy = static_cast<const T*>(c.y), *w = static_cast<const T*>(c.w), *bias = static_cast<const T*>(c.bias);
    each_residue(c, [&](const Gather& g) {
      if (g.direct()) direct<T>(g, dy, w, static_cast<T*>(c.x), bias, c.activation, static_cast<char*>(scratch));
      else gather<T>(g, dy, w, static_cast<T*>(c.x), bias, c.activation, static_cast<char*>(scratch));
    });
  });
}

int64_t conv_backward_weight_scratch(const ConvArgs& c) {
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    if (direct_weights(c)) return direct_weight_partials<T>(c) + num_threads() * frame_bytes<Compute<T>>(forward_gather(c));
    const WeightPlan<T> plan(c);
    return plan.partial_bytes + num_threads() * plan.worker_bytes();
  });
}

void conv_backward_weight(const ConvArgs& c, void* scratch) {
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if (c.bias) bias_sums<T>(c);
    const int64_t weights = c.groups * c.out_channels * c.in_channels * c.kernel[0] * c.kernel[1] * c.kernel[2];
    if (c.batch * c.out[0] * c.out[1] * c.out[2] == 0) memset(c.w, 0, size_t(weights) * sizeof(T));
    else if (direct_weights(c)) direct_weight<T>(c, static_cast<char*>(scratch));
    else weight_products<T>(c, static_cast<char*>(scratch));
  });
}

}  // namespace tessel::TESSEL_TARGET
