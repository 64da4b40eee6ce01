// Convolution without a packed column matrix: the source is laid out once, per image and band of result rows, in a frame of
// zeros where the columns of every tap lie side by side, and the microkernel reads its rows from there. What packing costs,
// a dozen cycles for each row of 32 columns, is paid once a channel instead of once a channel and tap; it pays off where few
// rows of weights share it, or where a kernel has many taps.
#include "kernels/cpu/conv_frame.h"

namespace tessel::TESSEL_TARGET {
namespace {

template <class T> struct DirectPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  int64_t lines, depth, kc, mr, mc, row_blocks, band, bands, lanes, plane;
  int64_t weight_bytes, offset_bytes, frame_bytes, sums_bytes;

  explicit DirectPlan(const Gather& g) {
    const int64_t size = sizeof(S);
    lines = words<T>(g.channels);
    depth = g.taps() * lines;
    kc = least(depth, kDepth<S>);
    mr = strip_rows(g.rows);
    // A band's frame takes half of L2, or the band is one row; and there are tasks enough for everybody.
    const int64_t count = g.axis[1].count, whole = g.batch * g.axis[0].count * g.groups;
    band = count;
    const int64_t wanted = least(count, ceil_div(16, whole));
    if (wanted > 1) band = ceil_div(count, wanted);
    while (band > 1 && Frame(g, band).plane() * lines * size > caches().l2 / 2) band = ceil_div(band, 2);
    bands = ceil_div(count, band);
    const Frame frame(g, band);
    plane = frame.plane();
    lanes = round_up((band - 1) * frame.line + g.axis[2].count, Simd<S>::width);
    mc = least(ceil_div(g.rows, mr), most(1, (256 << 10) / (lanes * size) / mr)) * mr;
    row_blocks = ceil_div(g.rows, mc);
    weight_bytes = round_up(g.groups * g.rows * depth * size + kPackSlack, 64);
    offset_bytes = round_up(depth * int64_t(sizeof(int32_t)), 64);
    frame_bytes = round_up((plane * lines + NR + 64) * size, 64);
    sums_bytes = round_up(mc * lanes * size + kPackSlack, 64);
  }
  int64_t scratch() const { return weight_bytes + offset_bytes + num_threads() * (frame_bytes + sums_bytes); }
};

// tile, with a row of b for each offset
template <class S, int MR, int NV, bool paired>
void tile_at(int64_t k, const S* a, const S* b, const int32_t* offsets, S* c, int64_t c_row, bool add) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  // Unrolled by order, for the compiler would else pass the sums through memory, here and at the end.
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) sum[i][v] = add ? D::load(c + i * c_row + v * W) : D::zero();
  for (int64_t p = 0; p < k; ++p, a += MR) {
    const S* const from = b + offsets[p];
    typename D::V row[NV];
    for (int v = 0; v < NV; ++v) row[v] = D::load(from + v * W);
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(a[i]);
      for (int v = 0; v < NV; ++v) sum[i][v] = multiply_add<paired, S>(x, row[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) D::store(c + i * c_row + v * W, sum[i][v]);
}

template <class S> using TileAt = void (*)(int64_t, const S*, const S*, const int32_t*, S*, int64_t, bool);

template <class S, int NV, bool paired, int MR = kTileRows> TileAt<S> tile_at_of(int rows) {
  if constexpr (MR == 1) return tile_at<S, 1, NV, paired>;
  else return rows == MR ? tile_at<S, MR, NV, paired> : tile_at_of<S, NV, paired, MR - 1>(rows);
}

template <class T> void run(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const DirectPlan<T> plan(g);
  const Frame frame(g, plan.band);
  S* const weights = reinterpret_cast<S*>(scratch);  // [group][row][depth], in strips
  int32_t* const offsets = reinterpret_cast<int32_t*>(scratch + plan.weight_bytes);
  char* const own = scratch + plan.weight_bytes + plan.offset_bytes;
  const int64_t strips = ceil_div(g.rows, plan.mr), depth_blocks = ceil_div(plan.depth, plan.kc);
  for (int64_t p = 0; p < plan.depth; ++p) offsets[p] = int32_t(p % plan.lines * plan.plane + frame.at(tap_of(g, p / plan.lines)));
  auto pack = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t strip = task % strips, p0 = task / strips % depth_blocks * plan.kc, group = task / strips / depth_blocks;
      const int64_t i = strip * plan.mr;
      const int rows = int(least(plan.mr, g.rows - i));
      const int64_t k = least(plan.kc, plan.depth - p0);
      pack_weights<T>(g, w + group * g.w_group, i, rows, p0, k, weights + (group * plan.depth + p0) * g.rows + i * k);
    }
  };
  for_tasks(g.groups * depth_blocks * strips, plan.kc * plan.mr, true, pack);

  const Axis* a = g.axis;
  const Epilogue<T> e{S(1), S(0), bias, 1, nullptr, 0, activation};
  const int64_t y_plane = g.y_plane(), to_step = a[2].to_step;
  auto multiply = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    S* const source = reinterpret_cast<S*>(own + worker * (plan.frame_bytes + plan.sums_bytes));
    S* const sums = reinterpret_cast<S*>(own + worker * (plan.frame_bytes + plan.sums_bytes) + plan.frame_bytes);
    for (int l = 0; l < NR; ++l) source[plan.plane * plan.lines + l] = S(0);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t band = task % plan.bands, q0 = task / plan.bands % a[0].count, image = task / plan.bands / a[0].count / g.groups;
      const int64_t group = task / plan.bands / a[0].count % g.groups, q1 = band * plan.band;
      const int64_t rows1 = least(plan.band, a[1].count - q1), lanes = round_up((rows1 - 1) * frame.line + a[2].count, W);
      fill_frame<T>(g, frame, x + (image * g.groups + group) * g.channels * g.x_plane(), q0, q1, g.channels, source);
      T* const y_group = y + (image * g.groups + group) * g.rows * y_plane;
      for (int64_t i0 = 0; i0 < g.rows; i0 += plan.mc) {
        const int64_t rows = least(plan.mc, g.rows - i0);
        for (int64_t p0 = 0; p0 < plan.depth; p0 += plan.kc) {
          const int64_t k = least(plan.kc, plan.depth - p0);
          for (int64_t i = 0; i < rows; i += plan.mr) {
            const int height = int(least(plan.mr, rows - i));
            const S* const strip = weights + (group * plan.depth + p0) * g.rows + (i0 + i) * k;
            for (int64_t lane = 0; lane < lanes; lane += NR) {
              const TileAt<S> tile = lanes - lane <= W ? tile_at_of<S, 1, kPaired<T>>(height) : tile_at_of<S, 2, kPaired<T>>(height);
              tile(k, strip, source + lane, offsets + p0, sums + i * lanes + lane, lanes, p0 > 0);
            }
          }
        }
        for (int64_t q = 0; q < rows1; ++q) {
          const int64_t at = ((a[0].to + q0 * a[0].to_step) * g.y_size[1] + a[1].to + (q1 + q) * a[1].to_step) * g.y_size[2] + a[2].to;
          merge<T>(sums + q * frame.line, lanes, int(rows), int(a[2].count), y_group + i0 * y_plane + at, y_plane, to_step, nullptr, 0,
                   1, group * g.rows + i0, 0, e, {true, true});
        }
      }
    }
  };
  for_tasks(g.batch * g.groups * a[0].count * plan.bands, plan.band * frame.line * g.rows * plan.depth / 8, true, multiply);
}

// Cycles of avx512 for a row of 32 columns: packing them from an image, a masked copy for each piece of a row; against what
// the frame's columns between rows cost in products, and its own filling, shared by the taps.
bool worthwhile(const Gather& g, const Frame& f, int64_t band, int64_t lanes) {
  const double count = double(g.axis[2].count), waste = double(lanes) / (count * double(band)) - 1;
  const double packing = 6 + 4 * (32 / count + 2);
  const double filling = 6.0 * double(f.plane()) / double(lanes) / double(g.taps());
  return 2 * double(g.rows) * waste + filling < packing;
}

}  // namespace

bool direct_accepts(const Gather& g, DType dtype) {
  if (g.taps() == 0 || g.positions() == 0 || g.axis[2].step > 64) return false;
  return with_floating(dtype, [&](auto type) {
    if (g.flat() && !kPaired<typename decltype(type)::type>) return false;  // conv.cpp takes those in place
    const DirectPlan<typename decltype(type)::type> plan(g);
    return plan.plane * plan.lines * int64_t(sizeof(Compute<typename decltype(type)::type>)) <= caches().l2 &&
           worthwhile(g, Frame(g, plan.band), plan.band, plan.lanes);
  });
}

int64_t direct_scratch(const Gather& g, DType dtype) {
  return with_floating(dtype, [&](auto type) -> int64_t { return DirectPlan<typename decltype(type)::type>(g).scratch(); });
}

void direct(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation, char* scratch) {
  with_floating(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    run<T>(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y), static_cast<const T*>(bias), activation, scratch);
  });
}

}  // namespace tessel::TESSEL_TARGET
