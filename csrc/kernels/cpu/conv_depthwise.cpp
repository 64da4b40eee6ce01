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
    row = line * g.axis[2].step;
  }
  int64_t plane() const { return rows[0] * rows[1] * row; }
};

// The usual kernels, K x K with steps of 1 or 2 between rows, do better: kBlockRows rows of y at a time, so that an element
// read serves as many of them as it stands under, up to K, and an operand of a product comes from memory as its weight.
constexpr int kBlockRows = 4;

template <class S, int K, int STEP, int NV>
void block_rows(int64_t channels, const S* frame, int64_t plane, int64_t row, const int64_t* columns, const S* weights, S* to) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[kBlockRows][NV];
  for (auto& r : sum)
    for (auto& v : r) v = D::zero();
  for (int64_t c = 0; c < channels; ++c, frame += plane)
    for (int t = 0; t < K; ++t, weights += K) {  // weights: [channel][column][row]
      const S* at = frame + columns[t];
#pragma GCC unroll 16
      for (int e = 0; e < (kBlockRows - 1) * STEP + K; ++e, at += row)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) {
          const typename D::V x = D::load(at + v * W);
#pragma GCC unroll 4
          for (int r = 0; r < kBlockRows; ++r)
            if (e - r * STEP >= 0 && e - r * STEP < K) sum[r][v] = D::fma(D::set(weights[e - r * STEP]), x, sum[r][v]);
        }
    }
  for (int r = 0; r < kBlockRows; ++r)
    for (int v = 0; v < NV; ++v) D::store(to + (r * NV + v) * W, sum[r][v]);
}

template <class S> using BlockRows = void (*)(int64_t, const S*, int64_t, int64_t, const int64_t*, const S*, S*);

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
        else copy_stepped(line + first, from + first * step + shift, last - first, step);
        for (int64_t l = last; l < f.line; ++l) line[l] = S(0);
      }
    }
}

// A plane of y by blocks of rows. `weighted` is in the order of taps, the frame's offsets among it.
template <class T>
void block_plane(const Gather& g, const Frame& f, const Compute<T>* frame, const Weighted* weighted, T* plane, int64_t channel,
                 const Epilogue<T>& e) {
  using S = Compute<T>;
  constexpr int W = Simd<S>::width;
  const Axis* a = g.axis;
  const int64_t kernel = a[1].taps, taps = kernel * kernel;
  S weights[4 * 49];  // [channel][column][row], rows as they lie in the frame
  int64_t columns[7];
  for (int64_t c = 0; c < g.channels; ++c)
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t row = a[1].offset_step > 0 ? t / kernel : kernel - 1 - t / kernel, column = t % kernel;
      weights[c * taps + column * kernel + row] = S(weighted[c * taps + t].weight);
      if (c == 0 && row == 0) columns[column] = weighted[t].at;
    }
  for (int64_t q1 = 0; q1 < a[1].count; q1 += kBlockRows) {
    const S* const from = frame + q1 * a[1].step * f.row;
    const int64_t rows = least(kBlockRows, a[1].count - q1);
    for (int64_t q = 0; q < a[2].count; q += 2 * W) {
      const int64_t lanes = least(2 * W, a[2].count - q), lead = lanes <= W ? W : 2 * W;
      alignas(64) S sums[kBlockRows * 2 * W + W];
      const BlockRows<S> run = lanes <= W ? block_rows_of<S, 1>(kernel, a[1].step) : block_rows_of<S, 2>(kernel, a[1].step);
      run(g.channels, from + q, f.plane(), f.row, columns, weights, sums);
      T* const to = plane + (a[1].to + q1 * a[1].to_step) * g.y_size[2] + a[2].to + q * a[2].to_step;
      for (int64_t r = 0; r < rows; ++r)
        merge<T>(sums + r * lead, 0, 1, int(lanes), to + r * a[1].to_step * g.y_size[2], 0, a[2].to_step, nullptr, 0, 1, channel, 0, e,
                 {true, true});
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
        if (has_blocks(g)) {
          block_plane<T>(g, f, frame, weighted, plane, group * g.rows + row, e);
          continue;
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
