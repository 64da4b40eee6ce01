// Depthwise convolution, or nearly: groups of at most four (row, channel) pairs, for which packing would cost more than the
// products.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

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
    line = round_up(line, Simd<float>::width);  // whole vectors
    row = line * g.axis[2].step;
  }
  int64_t plane() const { return rows[0] * rows[1] * row; }
};

// The usual kernels, K x K with steps of 1 or 2 between rows, do better: a block of rows of y at a time, so that an element
// read serves as many of them as it stands under, up to K, and a column of the kernel's weights stays in registers. 7 rows
// by 2 vectors are 14 sums, 7 weights and 2 of the source: 23 of 32 registers, and 1.9 loads for 7 multiply-adds of 7x7
// (odd places cross lines, so a load counts twice). Images of 7 times a power of two are cut without a rest.
#if defined(__AVX512F__)
constexpr int kBlockRows = 7;
#else
constexpr int kBlockRows = 3;  // 6 sums, 7 weights, 2 of the source: 15 of 16
#endif

// Holds a vector in a register: the compiler would rather read it anew as the operand of each multiply-add.
template <class V> inline void keep(V& x) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(x));
#elif defined(__x86_64__)
  __asm__("" : "+x"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#endif
}

// Vectors of results at `at` and, with NV == 2, `apart` elements beyond.
template <class S, int K, int STEP, int NV>
void block_rows(int64_t channels, const S* frame, int64_t plane, int64_t row, const int64_t* columns, int64_t apart, const S* weights,
                typename Simd<S>::V* to) {
  using D = Simd<S>;
  typename D::V sum[kBlockRows][NV];
#pragma GCC unroll 7
  for (int r = 0; r < kBlockRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) sum[r][v] = D::zero();
  for (int64_t c = 0; c < channels; ++c, frame += plane)
    for (int t = 0; t < K; ++t, weights += K) {  // weights: [channel][column][row]
      const S* at = frame + columns[t];
      typename D::V w[K];
      for (int k = 0; k < K; ++k) w[k] = D::set(weights[k]);
#pragma GCC unroll 20
      for (int e = 0; e < (kBlockRows - 1) * STEP + K; ++e, at += row)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) {
          typename D::V x = D::load(at + v * apart);
          keep(x);
#pragma GCC unroll 7
          for (int r = 0; r < kBlockRows; ++r)
            if (e - r * STEP >= 0 && e - r * STEP < K) sum[r][v] = D::fma(w[e - r * STEP], x, sum[r][v]);
        }
    }
#pragma GCC unroll 7
  for (int r = 0; r < kBlockRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) to[r * NV + v] = sum[r][v];
}

template <class S>
using BlockRows = void (*)(int64_t, const S*, int64_t, int64_t, const int64_t*, int64_t, const S*, typename Simd<S>::V*);

template <class S, int NV> BlockRows<S> block_rows_of(int64_t kernel, int64_t step) {
  switch (kernel) {
    case 3: return step == 1 ? block_rows<S, 3, 1, NV> : block_rows<S, 3, 2, NV>;
    case 5: return step == 1 ? block_rows<S, 5, 1, NV> : block_rows<S, 5, 2, NV>;
    default: return step == 1 ? block_rows<S, 7, 1, NV> : block_rows<S, 7, 2, NV>;
  }
}

bool has_blocks(const Gather& g) {
  const Axis* a = g.axis;
  const bool size = a[1].taps == a[2].taps && (a[1].taps == 3 || a[1].taps == 5 || a[1].taps == 7);
  return size && a[0].taps == 1 && a[0].count == 1 && a[1].step <= 2 && (a[1].offset_step == 1 || a[1].offset_step == -1);
}

struct Weighted { int64_t at; double weight; };  // where in the frame a tap reads, and what it multiplies with

template <class S> int64_t frame_bytes(const Gather& g) {
  if (g.taps() == 0) return 0;
  const Frame f(g);
  const int64_t beyond = has_blocks(g) ? kBlockRows * 2 * f.row : 0;  // the last block reads rows that are not there
  return round_up((f.plane() * g.channels + beyond + kRowVectors * Simd<S>::width) * int64_t(sizeof(S)), 64) +
         round_up(g.depth() * int64_t(sizeof(Weighted)), 64);
}

// Whole vectors, those at the edges filled up with zeros: a line's length is a multiple of theirs.
template <class T, class S> void fill_frame(const Gather& g, const Frame& f, const T* x, S* to) {
  using D = Simd<S>;
  constexpr int W = D::width;
  const Axis* a = g.axis;
  const int64_t step = a[2].step, size = a[2].size, shift = f.least_shift[2];
  for (int64_t e0 = 0; e0 < f.rows[0]; ++e0)
    for (int64_t e1 = 0; e1 < f.rows[1]; ++e1, to += f.row) {
      const int64_t i0 = e0 + f.least_shift[0], i1 = e1 + f.least_shift[1];
      const bool inside = i0 >= 0 && i0 < a[0].size && i1 >= 0 && i1 < a[1].size;
      const T* const from = x + (i0 * a[1].size + i1) * size;
      if (!inside) {
        for (int64_t l = 0; l < f.row; l += W) D::store(to + l, D::zero());
      } else if (step == 1) {
        for (int64_t l = 0; l < f.line; l += W) D::store(to + l, load_inside(from, l + shift, size));
      } else if (step == 2) {  // both residues of what is loaded
        for (int64_t l = 0; l < f.line; l += W) {
          const typename D::V low = load_inside(from, 2 * l + shift, size), high = load_inside(from, 2 * l + shift + W, size);
          D::store(to + l, even_lanes<S>(low, high));
          D::store(to + f.line + l, odd_lanes<S>(low, high));
        }
      } else {
        for (int64_t residue = 0; residue < step; ++residue)
          for (int64_t l = 0; l < f.line; ++l) {
            const int64_t i = l * step + residue + shift;
            to[residue * f.line + l] = i >= 0 && i < size ? S(widen(from[i])) : S(0);
          }
      }
    }
}

// Where the taps of blocks lie, [column of the kernel][row], rows as they lie in the frame.
struct BlockTaps {
  int64_t columns[7], w[49];

  BlockTaps() = default;
  BlockTaps(const Gather& g, const Frame& f) {
    const Axis* a = g.axis;
    const int64_t kernel = a[1].taps;
    for (int64_t t = 0; t < kernel * kernel; ++t) {
      const Tap tap = tap_of(g, t);
      const int64_t row = a[1].offset_step > 0 ? t / kernel : kernel - 1 - t / kernel, u = tap.shift[2] - f.least_shift[2];
      w[t % kernel * kernel + row] = tap.w;
      if (row == 0) columns[t % kernel] = u % a[2].step * f.line + u / a[2].step;
    }
  }
};

// A plane of y by blocks of rows. The last of them, as the last vector of a row, stands back so far that it is whole: what it
// sums a second time comes to the same bits.
template <class T>
void block_plane(const Gather& g, const Frame& f, const BlockTaps& taps, const Compute<T>* frame, const T* w, T* plane, int64_t channel,
                 const Epilogue<T>& e) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  const Axis* a = g.axis;
  const int64_t kernel = a[1].taps, size = kernel * kernel, count = a[2].count;
  S weights[4 * 49];
  for (int64_t c = 0; c < g.channels; ++c)
    for (int64_t t = 0; t < size; ++t) weights[c * size + t] = S(widen(w[c * g.w_channel + taps.w[t]]));
  const bool plain = e.activation == Activation::none && a[2].to_step == 1;
  const typename D::V bias = D::set(e.bias_row ? S(widen(e.bias_row[channel])) : S(0));
  const int lanes = int(least(W, count));
  for (int64_t block = 0; block < a[1].count; block += kBlockRows) {
    const int64_t q1 = most(0, least(block, a[1].count - kBlockRows)), rows = least(kBlockRows, a[1].count - q1);
    const S* const from = frame + q1 * a[1].step * f.row;
    for (int64_t q = 0; q < count; q += 2 * W) {
      const int64_t at[2] = {most(0, least(q, count - W)), most(0, least(q + W, count - W))};
      const int vectors = q + W < count ? 2 : 1;
      typename D::V sums[kBlockRows * 2];
      const BlockRows<S> run = vectors == 1 ? block_rows_of<S, 1>(kernel, a[1].step) : block_rows_of<S, 2>(kernel, a[1].step);
      run(g.channels, from + at[0], f.plane(), f.row, taps.columns, at[1] - at[0], weights, sums);
      for (int64_t r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) {
          T* const to = plane + (a[1].to + (q1 + r) * a[1].to_step) * g.y_size[2] + a[2].to + at[v] * a[2].to_step;
          if (plain) {
            const typename D::V sum = e.bias_row ? sums[r * vectors + v] + bias : sums[r * vectors + v];
            if (lanes == W) D::store(to, sum);
            else D::store(to, sum, lanes);
          } else {
            alignas(64) S row_sums[2 * W];
            D::store(row_sums, sums[r * vectors + v]);
            merge<T>(row_sums, 0, 1, lanes, to, 0, a[2].to_step, nullptr, 0, 1, channel, 0, e, {true, true});
          }
        }
    }
  }
}

template <class T> void rows_of(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
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
    const bool blocks = has_blocks(g);
    const BlockTaps block_taps = blocks ? BlockTaps(g, f) : BlockTaps();
    for (int64_t task = begin; task < end; ++task) {  // (image, group)
      const int64_t group = task % g.groups;
      for (int64_t c = 0; c < (taps ? g.channels : 0); ++c)
        fill_frame<T, S>(g, f, x + (task * g.channels + c) * g.x_plane(), frame + c * f.plane());
      if (taps)
        for (int l = 0; l < kLanes; ++l) frame[f.plane() * g.channels + l] = S(0);
      for (int64_t row = 0; row < g.rows; ++row) {
        T* const plane = y + (task * g.rows + row) * y_plane;
        if (blocks) {
          block_plane<T>(g, f, block_taps, frame, w + group * g.w_group + row * g.w_row, plane, group * g.rows + row, e);
          continue;
        }
        for (int64_t p = 0; p < g.depth(); ++p) {
          const Tap tap = tap_of(g, p % taps);
          const int64_t c = p / taps, u = tap.shift[2] - f.least_shift[2];
          weighted[p] = {c * f.plane() + ((tap.shift[0] - f.least_shift[0]) * f.rows[1] + tap.shift[1] - f.least_shift[1]) * f.row +
                             u % a[2].step * f.line + u / a[2].step,
                         double(widen(w[group * g.w_group + row * g.w_row + c * g.w_channel + tap.w]))};
        }
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

// ---- dx where columns are two steps apart: even and odd columns meet different taps of the same frame of dy. Both are summed
// side by side, so that a row of dx is woven of them and written once, where a residue at a time would write every other
// element, twice, one by one.
struct ColumnTaps {
  int even, odd;       // taps of either kind of column
  int64_t at[7];       // where they read in a row of the frame, even columns' first
  int64_t w[7];        // the kernel's columns
};

// Columns [2 q, 2 q + 4 vectors) of a row of dx, woven: `rows` rows of dy meet EVEN taps of the even columns and ODD of the odd.
template <class S, int EVEN, int ODD>
void woven_columns(int64_t rows, const S* const* row, int64_t q, const ColumnTaps& taps, const S* weights, typename Simd<S>::V* to) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V even[2] = {D::zero(), D::zero()}, odd[2] = {D::zero(), D::zero()};
  for (int64_t r = 0; r < rows; ++r, weights += EVEN + ODD) {
    const S* const from = row[r] + q;
#pragma GCC unroll 8
    for (int t = 0; t < EVEN + ODD; ++t) {
      typename D::V* const sum = t < EVEN ? even : odd;
      const typename D::V w = D::set(weights[t]);
      for (int v = 0; v < 2; ++v) sum[v] = D::fma(w, D::load(from + taps.at[t] + v * W), sum[v]);
    }
  }
  weave_lanes<S>(even[0], odd[0], to);
  weave_lanes<S>(even[1], odd[1], to + 2);
}

template <class S>
using WovenColumns = void (*)(int64_t, const S* const*, int64_t, const ColumnTaps&, const S*, typename Simd<S>::V*);

template <class S> WovenColumns<S> woven_columns_of(int even, int odd) {
  switch (even * 10 + odd) {
    case 11: return woven_columns<S, 1, 1>;
    case 12: return woven_columns<S, 1, 2>;
    case 21: return woven_columns<S, 2, 1>;
    case 22: return woven_columns<S, 2, 2>;
    case 23: return woven_columns<S, 2, 3>;
    case 32: return woven_columns<S, 3, 2>;
    case 33: return woven_columns<S, 3, 3>;
    case 34: return woven_columns<S, 3, 4>;
    default: return woven_columns<S, 4, 3>;
  }
}

// What lies around dy: its rows and columns that a tap may meet, zeros outside.
struct WovenFrame {
  int64_t top, left, rows, line;

  explicit WovenFrame(const ConvArgs& c) {
    int64_t low[3] = {0, 0, 0}, high[3] = {0, 0, 0};
    for (int d = 1; d < 3; ++d) {
      low[d] = c.out[d];
      for (int64_t r = 0; r < c.stride[d]; ++r) {
        const Axis a = residue(c, d, r);
        if (a.taps == 0 || a.count == 0) continue;
        const int64_t reach = (a.taps - 1) * a.offset_step;
        low[d] = least(low[d], a.offset + least(reach, 0));
        high[d] = most(high[d], a.offset + most(reach, 0) + a.count);
      }
    }
    top = low[1];
    left = low[2];
    rows = most(1, high[1] - low[1]);
    line = round_up(most(1, high[2] - low[2]), Simd<float>::width);
  }
};

bool woven_accepts(const ConvArgs& c) {
  const bool flat = c.in[0] == 1 && c.out[0] == 1 && c.kernel[0] == 1 && c.padding[0] == 0;
  return c.groups > 1 && c.in_channels == 1 && c.out_channels == 1 && flat && c.stride[2] == 2 && c.stride[1] <= 2 && c.dilation[2] == 1 &&
         c.kernel[1] <= 8 && c.kernel[2] >= 2 && c.kernel[2] <= 7 && c.in[2] >= 2 && c.out[1] * c.out[2] > 0;
}

template <class T> int64_t woven_bytes(const ConvArgs& c) {
  const WovenFrame f(c);
  return round_up((f.rows * f.line + 4 * Simd<Compute<T>>::width) * int64_t(sizeof(Compute<T>)), 64);
}

template <class T> void woven_planes(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  const WovenFrame f(c);
  const int64_t bytes = woven_bytes<T>(c), size = c.kernel[1] * c.kernel[2], width = c.in[2], pairs = ceil_div(width, 2);
  Gather around{};  // dy as the source of a kernel of one tap: what fill_frame wants to know
  for (int d = 0; d < 3; ++d) around.axis[d] = {1, 1, c.out[d], 0, 1, 1, 0, 1, 0, 0};
  around.axis[1].count = f.rows;
  around.axis[1].offset = f.top;
  around.axis[2].count = f.line;
  around.axis[2].offset = f.left;
  const Frame frame(around);
  const Axis columns[2] = {residue(c, 2, 0), residue(c, 2, 1)};
  ColumnTaps taps{int(columns[0].taps), int(columns[1].taps), {}, {}};
  for (int r = 0, t = 0; r < 2; ++r)
    for (int64_t k = 0; k < columns[r].taps; ++k, ++t) {
      taps.at[t] = columns[r].offset + k * columns[r].offset_step - f.left;
      taps.w[t] = columns[r].tap + k * columns[r].tap_step;
    }
  const int each = taps.even + taps.odd;
  const WovenColumns<S> run = woven_columns_of<S>(taps.even, taps.odd);
  auto planes = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    S* const around_dy = reinterpret_cast<S*>(scratch + worker * bytes);
    for (int64_t task = begin; task < end; ++task) {  // (image, channel)
      const int64_t channel = task % c.groups;
      fill_frame<T, S>(around, frame, static_cast<const T*>(c.y) + task * c.out[1] * c.out[2], around_dy);
      T* const dx = static_cast<T*>(c.x) + task * c.in[1] * width;
      const T* const w = static_cast<const T*>(c.w) + channel * size;
      const T* const bias = static_cast<const T*>(c.bias);
      const Epilogue<T> e{S(1), S(0), bias, 1, nullptr, 0, c.activation};
      for (int64_t r1 = 0; r1 < least(c.stride[1], c.in[1]); ++r1) {
        const Axis a = residue(c, 1, r1);
        S weights[8 * 7];
        for (int64_t k = 0; k < a.taps; ++k)
          for (int t = 0; t < each; ++t) weights[k * each + t] = S(widen(w[(a.tap + k * a.tap_step) * c.kernel[2] + taps.w[t]]));
        for (int64_t q1 = 0; q1 < a.count; ++q1) {
          const S* row[8];
          for (int64_t k = 0; k < a.taps; ++k) row[k] = around_dy + (q1 + a.offset + k * a.offset_step - f.top) * f.line;
          T* const to = dx + (r1 + q1 * a.to_step) * width;
          for (int64_t q = 0; q < pairs; q += 2 * W) {
            typename D::V sums[4];
            run(a.taps, row, q, taps, weights, sums);
            const int lanes = int(least(4 * W, width - 2 * q));
            if (e.plain()) {
              for (int v = 0; v * W < lanes; ++v) {
                if (lanes - v * W >= W) D::store(to + 2 * q + v * W, sums[v]);
                else D::store(to + 2 * q + v * W, sums[v], lanes - v * W);
              }
              continue;
            }
            alignas(64) S row_sums[5 * W];
            for (int v = 0; v < 4; ++v) D::store(row_sums + v * W, sums[v]);
            merge<T>(row_sums, 0, 1, lanes, to + 2 * q, 0, 1, nullptr, 0, 1, channel, 0, e, {true, true});
          }
        }
      }
    }
  };
  for_tasks(c.batch * c.groups, c.in[1] * width * (size / 4 + 4) / 8, true, planes);
}

// The depthwise case: an image's plane of dy against the frame of its plane of x, nine taps at a time; then over images
// in order.
constexpr int kTapGroup = 9;

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

}  // namespace

bool depthwise_accepts(const Gather& g) { return g.rows * g.channels <= 4 && g.groups > 1; }

int64_t depthwise_scratch(const Gather& g, DType dtype) {
  return with_floating(dtype, [&](auto type) -> int64_t { return num_threads() * frame_bytes<Compute<typename decltype(type)::type>>(g); });
}

void depthwise(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation,
               char* scratch) {
  with_floating(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    rows_of<T>(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y), static_cast<const T*>(bias), activation, scratch);
  });
}

bool depthwise_image_accepts(const ConvArgs& c) { return woven_accepts(c); }

int64_t depthwise_image_scratch(const ConvArgs& c) {
  return with_floating(c.dtype, [&](auto type) -> int64_t { return num_threads() * woven_bytes<typename decltype(type)::type>(c); });
}

void depthwise_image(const ConvArgs& c, char* scratch) {
  with_floating(c.dtype, [&](auto type) { woven_planes<typename decltype(type)::type>(c, scratch); });
}

bool depthwise_weight_accepts(const ConvArgs& c) {
  return c.groups > 1 && c.in_channels * c.out_channels <= 4 && c.kernel[0] * c.kernel[1] * c.kernel[2] <= 64;
}

int64_t depthwise_weight_scratch(const ConvArgs& c) {
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    return direct_weight_partials<T>(c) + num_threads() * frame_bytes<Compute<T>>(forward_gather(c));
  });
}

void depthwise_weight(const ConvArgs& c, char* scratch) {
  with_floating(c.dtype, [&](auto type) { direct_weight<typename decltype(type)::type>(c, scratch); });
}

}  // namespace tessel::TESSEL_TARGET
