// What a convolution is to its kernels: a gather along three axes, its taps, and the runs of source elements under them.
// Used by conv.cpp and its neighbours, the files conv_*.cpp.
#pragma once
#include "kernels/cpu/caches.h"
#include "kernels/cpu/conv_lanes.h"
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_micro.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0
inline int64_t floor_of(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

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
  bool flat() const {  // one tap, and its columns are the source as it lies
    bool same_place = taps() == 1 && whole();
    for (const Axis& a : axis) same_place = same_place && a.step == 1 && a.offset == 0 && a.size == a.count;
    return same_place;
  }
  bool whole() const {  // the positions are y's plane in order
    return axis[0].count == y_size[0] && axis[1].count == y_size[1] && axis[2].count == y_size[2];
  }
};

struct Tap { int64_t w, shift[3]; };  // of the weight, and of the source coordinates

inline Tap tap_of(const Gather& g, int64_t t) {
  const Axis* a = g.axis;
  const int64_t t2 = t % a[2].taps, t1 = t / a[2].taps % a[1].taps, t0 = t / a[2].taps / a[1].taps;
  return {((a[0].tap + t0 * a[0].tap_step) * g.kernel[1] + a[1].tap + t1 * a[1].tap_step) * g.kernel[2] + a[2].tap +
              t2 * a[2].tap_step,
          {a[0].offset + t0 * a[0].offset_step, a[1].offset + t1 * a[1].offset_step, a[2].offset + t2 * a[2].offset_step}};
}

inline Gather forward_gather(const ConvArgs& c) {
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
inline Axis residue(const ConvArgs& c, int d, int64_t r) {
  const int64_t s = c.stride[d], dilation = c.dilation[d];
  int64_t tap = 0, step = 1;
  while (tap < s && (r + c.padding[d] - tap * dilation) % s != 0) ++tap;
  while (step * dilation % s != 0) ++step;
  const int64_t taps = tap < s && tap < c.kernel[d] ? (c.kernel[d] - 1 - tap) / step + 1 : 0;
  return {c.in[d] > r ? ceil_div(c.in[d] - r, s) : 0, 1, c.out[d], r, s, taps, tap, step,
          taps ? (r + c.padding[d] - tap * dilation) / s : 0, -(step * dilation / s)};
}

inline Gather backward_gather(const ConvArgs& c, int64_t r0, int64_t r1, int64_t r2) {
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
inline int64_t segments_of(const Axis* a, int64_t begin, int64_t n, Segment* to) {
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

inline bool clip(const Axis* a, const Segment& s, const int64_t* shift, Run* run) {
  const int64_t i0 = s.q[0] * a[0].step + shift[0], i1 = s.q[1] * a[1].step + shift[1];
  if (i0 < 0 || i0 >= a[0].size || i1 < 0 || i1 >= a[1].size) return false;
  const int64_t first = most(s.q[2], a[2].first(shift[2])), last = least(s.q[2] + s.length, a[2].last(shift[2]));
  if (first >= last) return false;
  *run = {s.lane + first - s.q[2], last - first, (i0 * a[1].size + i1) * a[2].size + first * a[2].step + shift[2]};
  return true;
}

// to[l] = from[l * step]
template <class T, class S> void copy_stepped(S* to, const T* from, int64_t length, int64_t step) {
  int64_t l = 0;
  if (step == 2) {  // nothing is read beyond the last element, where the source may end
    using D = Simd<S>;
    constexpr int W = D::width;
    for (; l + W < length; l += W) D::store(to + l, even_lanes<S>(D::load(from + 2 * l), D::load(from + 2 * l + W)));
    if (l < length) {
      const int left = int(2 * (length - l) - 1);
      const auto low = left < W ? D::load(from + 2 * l, left) : D::load(from + 2 * l);
      const auto high = left > W ? D::load(from + 2 * l + W, left - W) : D::zero();
      D::store(to + l, even_lanes<S>(low, high), int(length - l));
    }
    return;
  }
  for (; l < length; ++l) to[l] = S(widen(from[l * step]));
}

// Whole vectors are stored where source elements lie side by side: zeros beyond the run, for what follows to overwrite.
template <class T, class S> void copy_run(S* to, const T* from, int64_t length, int64_t step) {
  using D = Simd<S>;
  constexpr int W = D::width;
  if (step != 1) return copy_stepped(to, from, length, step);
  int64_t l = 0;
  for (; l + W <= length; l += W) D::store(to + l, D::load(from + l));
  if (l < length) D::store(to + l, D::load(from + l, int(length - l)));
}

// ---- weights as a product wants them: words [p0, p0 + k) of depth, (tap, channel) with channels fastest, of rows [i, i + rows)
template <class T> void pack_weight_rows(const Gather& g, const T* w, int64_t i, int rows, int64_t p0, int64_t k, Compute<T>* to) {
  const int64_t lines = words<T>(g.channels);
  for (int64_t p = p0; p < p0 + k;) {
    const int64_t first = p % lines * kWord<T>, here = least(lines - p % lines, p0 + k - p);
    pack_words<T>(to, rows, w + i * g.w_row + first * g.w_channel + tap_of(g, p / lines).w, rows,
                  least(here * kWord<T>, g.channels - first), g.w_row, g.w_channel);
    to += here * rows;
    p += here;
  }
}

// The same for tasks side by side: the last rows may not spill a vector into what another thread packs next, so the strip goes
// through a small buffer.
template <class T> void pack_weights(const Gather& g, const T* w, int64_t i, int rows, int64_t p0, int64_t k, Compute<T>* to) {
  constexpr int64_t kBuffered = 64;  // words packed at a time
  using S = Compute<T>;
  for (int64_t p = 0; p < k; p += kBuffered) {
    alignas(64) S buffer[kTileRows * kBuffered + kPackSlack / sizeof(S)];
    const int64_t part = least(kBuffered, k - p);
    pack_weight_rows<T>(g, w, i, rows, p0 + p, part, buffer);
    memcpy(to + p * rows, buffer, size_t(part * rows) * sizeof(S));
  }
}

// ---- the rooms next door; an empty batch never comes here
// conv_integer.cpp: integers, without activation
void integer_gather(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias);
// conv_depthwise.cpp: groups of at most four (row, channel) pairs
bool depthwise_accepts(const Gather& g);
int64_t depthwise_scratch(const Gather& g, DType dtype);
void depthwise(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation,
               char* scratch);
bool depthwise_image_accepts(const ConvArgs& c);  // dx of a step of two: all its columns at once
int64_t depthwise_image_scratch(const ConvArgs& c);
void depthwise_image(const ConvArgs& c, char* scratch);
bool depthwise_weight_accepts(const ConvArgs& c);
int64_t depthwise_weight_scratch(const ConvArgs& c);
void depthwise_weight(const ConvArgs& c, char* scratch);
// conv_patch.cpp: dx where the steps are as long as the kernel
bool patch_accepts(const ConvArgs& c);
int64_t patch_scratch(const ConvArgs& c);
void patch_image(const ConvArgs& c, char* scratch);
// conv_weight.cpp: any dw; and db, the sum of dy over images and positions
int64_t weight_products_scratch(const ConvArgs& c);
void weight_products(const ConvArgs& c, char* scratch);
void bias_sums(const ConvArgs& c);
// conv_few.cpp: few positions and many weights, which are read as they lie
bool few_accepts(const ConvArgs& c);
int64_t few_scratch(const ConvArgs& c);
void few(const ConvArgs& c, char* scratch);
bool few_data_accepts(const ConvArgs& c);
int64_t few_data_scratch(const ConvArgs& c);
void few_data(const ConvArgs& c, char* scratch);
int64_t few_weight_scratch(const ConvArgs& c);  // accepts what few_accepts does
void few_weight(const ConvArgs& c, char* scratch);
// conv_direct.cpp: where packing columns would cost more than columns that are thrown away
bool direct_accepts(const Gather& g, DType dtype);
int64_t direct_scratch(const Gather& g, DType dtype);
void direct(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation, char* scratch);
// conv_winograd.cpp: 3x3 kernels without strides; false where a result is not finite and must be had another way
bool winograd_accepts(const Gather& g, DType dtype);
int64_t winograd_scratch(const Gather& g, DType dtype);
bool winograd(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation,
              char* scratch);
bool winograd_weight_accepts(const ConvArgs& c);
int64_t winograd_weight_scratch(const ConvArgs& c);
bool winograd_weight(const ConvArgs& c, char* scratch);

}  // namespace tessel::TESSEL_TARGET
