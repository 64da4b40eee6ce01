// The source of a convolution laid out so that the columns of every tap lie side by side, and none needs clipping. Used by
// conv_direct.cpp and conv_weight.cpp.
#pragma once
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {

// For each line of elements (a channel, or where words are pairs two) a frame holds [row of the outer dimension][residue of
// the step in either inner dimension][row][column]. Positions run through a band of it without a break, the columns between the
// last position of a row and the first of the next included: their sums are formed and forgotten.
struct Frame {
  int64_t least[3];            // the smallest shift of a tap
  int64_t outer, rows, line;   // rows of the outer dimension; rows and columns of a residue
  int64_t steps[2];            // residues

  Frame(const Gather& g, int64_t band) {
    int64_t extent[3];
    for (int d = 0; d < 3; ++d) {
      const Axis& a = g.axis[d];
      const int64_t reach = (a.taps - 1) * a.offset_step, count = d == 0 ? 1 : d == 1 ? band : a.count;
      least[d] = a.offset + (reach < 0 ? reach : 0);
      extent[d] = (count - 1) * a.step + (reach < 0 ? -reach : reach) + 1;
    }
    outer = extent[0];
    steps[0] = g.axis[1].step;
    steps[1] = g.axis[2].step;
    rows = ceil_div(extent[1], steps[0]);
    line = ceil_div(extent[2], steps[1]);
  }
  int64_t residue() const { return rows * line; }
  int64_t plane() const { return outer * steps[0] * steps[1] * residue(); }
  // Where a tap's column of position 0 lies.
  int64_t at(const Tap& tap) const {
    const int64_t u0 = tap.shift[0] - least[0], u1 = tap.shift[1] - least[1], u2 = tap.shift[2] - least[2];
    return ((u0 * steps[0] + u1 % steps[0]) * steps[1] + u2 % steps[1]) * residue() + u1 / steps[0] * line + u2 / steps[1];
  }
};

// n elements of a channel as they are, or as words: widened, or paired with those of the channel above.
template <class T> void fill_line(T* to, const T* from, const T*, int64_t n, int64_t step) {
  if (step == 1) memcpy(to, from, size_t(n) * sizeof(T));
  else for (int64_t l = 0; l < n; ++l) to[l] = from[l * step];
}
template <class T, class S> void fill_line(S* to, const T* from, const T* above, int64_t n, int64_t step) {
  using D = Simd<S>;
  constexpr int W = D::width;
#if defined(__AVX512BF16__)
  if constexpr (kPaired<T>) {
    for (int64_t l = 0; l < n; l += W) {
      const int here = int(least(W, n - l));
      alignas(64) T low[W] = {}, high[W] = {};
      if (step != 1)
        for (int i = 0; i < here; ++i) {
          low[i] = from[(l + i) * step];
          if (above) high[i] = above[(l + i) * step];
        }
      D::store(to + l, step == 1 ? pair_rows(from + l, above ? above + l : nullptr, here) : pair_rows(low, high, here), here);
    }
    return;
  }
#endif
  (void)above;
  if (step != 1) return copy_stepped(to, from, n, step);
  int64_t l = 0;
  for (; l + W <= n; l += W) D::store(to + l, D::load(from + l));
  if (l < n) D::store(to + l, D::load(from + l, int(n - l)), int(n - l));
}

// A row of the source as a line of each residue: whole vectors, the last of a line exactly.
template <class T, class S> void fill_lines(const T* row, int64_t size, int64_t shift, int64_t step, int64_t line, int64_t residue, S* to) {
  using D = Simd<S>;
  constexpr int W = D::width;
  for (int64_t l = 0; l < line; l += W) {
    const int here = int(least(W, line - l));
    if (step == 1) {
      D::store(to + l, load_inside(row, l + shift, size), here);
      continue;
    }
    const typename D::V low = load_inside(row, 2 * l + shift, size), high = load_inside(row, 2 * l + shift + W, size);
    D::store(to + l, even_lanes<S>(low, high), here);
    D::store(to + residue + l, odd_lanes<S>(low, high), here);
  }
}

// The frame of result rows [q0][q1, q1 + band) in `channels` channels of an image: a line each, or one for two.
template <class T, class E>
void fill_frame(const Gather& g, const Frame& f, const T* x, int64_t q0, int64_t q1, int64_t channels, E* to) {
  constexpr int64_t each = same<T, E> ? 1 : kWord<T>;
  const Axis* a = g.axis;
  const int64_t x_plane = g.x_plane(), step = f.steps[1];
  if constexpr (same<E, Compute<T>> && !kPaired<T>) {
    if (step <= 2) {
      for (int64_t channel = 0; channel < channels; ++channel)
        for (int64_t e0 = 0; e0 < f.outer; ++e0)
          for (int64_t r1 = 0; r1 < f.steps[0]; ++r1, to += step * f.residue())
            for (int64_t row = 0; row < f.rows; ++row) {
              const int64_t i0 = q0 * a[0].step + e0 + f.least[0], i1 = q1 * a[1].step + row * f.steps[0] + r1 + f.least[1];
              const bool inside = i0 >= 0 && i0 < a[0].size && i1 >= 0 && i1 < a[1].size;
              const T* const from = x + channel * x_plane + (i0 * a[1].size + i1) * a[2].size;
              fill_lines<T, E>(from, inside ? a[2].size : 0, f.least[2], step, f.line, f.residue(), to + row * f.line);
            }
      return;
    }
  }
  int64_t first[64], last[64];  // columns of a residue that exist
  for (int64_t r = 0; r < step; ++r) {
    const int64_t shift = f.least[2] + r;  // column l is x[l * step + shift]
    first[r] = least(f.line, most(0, -floor_of(shift, step)));
    last[r] = most(first[r], least(f.line, floor_of(a[2].size - 1 - shift, step) + 1));
  }
  for (int64_t channel = 0; channel < channels; channel += each) {
    const T* const plane = x + channel * x_plane;
    const bool both = channel + 1 < channels;
    for (int64_t e0 = 0; e0 < f.outer; ++e0)
      for (int64_t r1 = 0; r1 < f.steps[0]; ++r1)
        for (int64_t r2 = 0; r2 < step; ++r2)
          for (int64_t row = 0; row < f.rows; ++row, to += f.line) {
            const int64_t i0 = q0 * a[0].step + e0 + f.least[0], i1 = q1 * a[1].step + row * f.steps[0] + r1 + f.least[1];
            const bool inside = i0 >= 0 && i0 < a[0].size && i1 >= 0 && i1 < a[1].size;
            const int64_t begin = inside ? first[r2] : f.line, end = inside ? last[r2] : f.line;
            for (int64_t l = 0; l < begin; ++l) to[l] = E{};
            if (begin < end) {
              const T* const from = plane + (i0 * a[1].size + i1) * a[2].size + begin * step + r2 + f.least[2];
              fill_line(to + begin, from, both ? from + x_plane : nullptr, end - begin, step);
            }
            for (int64_t l = end; l < f.line; ++l) to[l] = E{};
          }
  }
}

}  // namespace tessel::TESSEL_TARGET
