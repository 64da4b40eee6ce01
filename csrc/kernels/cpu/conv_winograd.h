// Winograd's convolution: a square of m x m results of an r x r kernel, m + r = 7, costs 36 products instead of (m r)^2, which
// are 144 for 3x3 and 100 for 2x2 and 5x5. The polynomials of input and kernel are multiplied by their values at six points a
// dimension, 0, +-2/3, +-3/2 and infinity: among the reciprocal pairs the one with the least rounding error (rms 2.2 to 2.8
// times a direct sum's, where the usual +-1, +-2 have 4.8 to 6). Per pair of points (36 of them) a plain product of
// matrices is left:
//   y  = A'[ (G w G') * (B' x B) ]A     products over channels, a column for each square
//   dw = G'[ (A dy A') * (B' x B) ]G    products over squares
// Here: the transforms of lines and squares. Used by conv_winograd.cpp and conv_winograd_weight.cpp.
#pragma once
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {

constexpr int kIn = 6, kPoints = kIn * kIn;
template <int taps> constexpr int kOut = kIn + 1 - taps;  // results of a line
constexpr double kP = 2.0 / 3, kQ = 3.0 / 2;         // the points; kP * kQ == 1
constexpr double kP2 = kP * kP, kQ2 = kQ * kQ;
constexpr double kFp = 2 * kP2 * (kP2 - kQ2), kFq = 2 * kQ2 * (kQ2 - kP2);  // what the kernel's values are divided by
constexpr double kPowerP[5] = {1, kP, kP2, kP2 * kP, kP2 * kP2}, kPowerQ[5] = {1, kQ, kQ2, kQ2 * kQ, kQ2 * kQ2};

// Elements from a point's matrix to the next one's: a line more than whole pages. At the power of two that many sizes would
// give, a transform's 36 streams meet in the same sets of the caches, and push out each other's half-written lines.
template <class S> int64_t apart(int64_t elements) {
  constexpr int64_t kPage = 4096 / sizeof(S), kLine = 64 / sizeof(S);
  return round_up(elements, kPage) + kLine;
}

// ---- the five transforms of a line, x[i * step] of vectors; V is a register
template <class D> using V = typename D::V;

template <class D> inline void image_line(const V<D>* x, int step, V<D>* t) {  // B'
  using S = decltype(D::sum(V<D>{}));
  const V<D> x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
  const V<D> even_p = D::fma(D::set(S(-kQ2)), x2, x4), odd_p = D::fma(D::set(S(kP)), x3, D::set(S(-kQ)) * x1);
  const V<D> even_q = D::fma(D::set(S(-kP2)), x2, x4), odd_q = D::fma(D::set(S(kQ)), x3, D::set(S(-kP)) * x1);
  t[0] = D::fma(D::set(S(-kP2 - kQ2)), x2, x0 + x4);
  t[1] = even_p + odd_p;
  t[2] = even_p - odd_p;
  t[3] = even_q + odd_q;
  t[4] = even_q - odd_q;
  t[5] = D::fma(D::set(S(-kP2 - kQ2)), x3, x1 + x5);
}

// n values at the points, even and odd powers apart; by_p and by_q scale them
template <class D, int n> inline void values_at(const V<D>* x, int step, double by_p, double by_q, V<D>* t) {
  using S = decltype(D::sum(V<D>{}));
  V<D> p[2] = {by_p == 1 ? x[0] : D::set(S(by_p)) * x[0], D::set(S(kP * by_p)) * x[step]};
  V<D> q[2] = {by_q == 1 ? x[0] : D::set(S(by_q)) * x[0], D::set(S(kQ * by_q)) * x[step]};
#pragma GCC unroll 3
  for (int i = 2; i < n; ++i) {
    p[i % 2] = D::fma(D::set(S(kPowerP[i] * by_p)), x[i * step], p[i % 2]);
    q[i % 2] = D::fma(D::set(S(kPowerQ[i] * by_q)), x[i * step], q[i % 2]);
  }
  t[0] = x[0];
  t[1] = p[0] + p[1];
  t[2] = p[0] - p[1];
  t[3] = q[0] + q[1];
  t[4] = q[0] - q[1];
  t[5] = x[(n - 1) * step];
}

// n coefficients from values at the points, the other way round
template <class D, int n> inline void coefficients_of(const V<D>* m, int step, double by_p, double by_q, V<D>* y) {
  using S = decltype(D::sum(V<D>{}));
  const V<D> p[2] = {m[step] + m[2 * step], m[step] - m[2 * step]}, q[2] = {m[3 * step] + m[4 * step], m[3 * step] - m[4 * step]};
#pragma GCC unroll 5
  for (int i = 0; i < n; ++i) {
    V<D> sum = D::set(S(kPowerQ[i] * by_q)) * q[i % 2];
    if (i == 0) sum = by_q == 1 ? m[0] + q[0] : D::fma(D::set(S(by_q)), q[0], m[0]);
    if (i == n - 1) sum = D::fma(D::set(S(kPowerQ[i] * by_q)), q[i % 2], m[5 * step]);
    y[i] = D::fma(D::set(S(kPowerP[i] * by_p)), p[i % 2], sum);
  }
}

template <class D, int taps> inline void result_line(const V<D>* m, int step, V<D>* y) { coefficients_of<D, kOut<taps>>(m, step, 1, 1, y); }  // A'
template <class D, int taps> inline void gradient_line(const V<D>* d, int step, V<D>* t) { values_at<D, kOut<taps>>(d, step, 1, 1, t); }  // A
template <class D, int taps> inline void weight_line(const V<D>* w, int step, V<D>* u) { values_at<D, taps>(w, step, 1 / kFp, 1 / kFq, u); }  // G
template <class D, int taps> inline void weight_gradient_line(const V<D>* m, int step, V<D>* w) {  // G'
  coefficients_of<D, taps>(m, step, 1 / kFp, 1 / kFq, w);
}

// Both dimensions: `from` is [N][pitch], the result [M][M], by a line transform of N values into M.
template <class D, int N, int M, void (*line)(const V<D>*, int, V<D>*)> inline void both(const V<D>* from, int pitch, V<D>* to) {
  V<D> t[N * M], column[M];
  for (int j = 0; j < N; ++j) {
    line(from + j, pitch, column);
    for (int i = 0; i < M; ++i) t[i * N + j] = column[i];
  }
  for (int i = 0; i < M; ++i) line(t + i * N, 1, to + i * M);
}

// ---- the squares of results. A kernel whose taps stand `spread` apart meets every spread-th row and column: as many images
// lie between each other, with squares of their own.
struct Squares {
  int64_t images, depths;  // depths: positions of the outer dimension
  int64_t down, across;    // squares of one of the images between each other
  int64_t spread[2];
  int out;                 // results a side

  Squares(int64_t images, int64_t depths, int64_t height, int64_t width, int64_t spread1, int64_t spread2, int out)
      : images(images), depths(depths), down(ceil_div(ceil_div(height, spread1), out)), across(ceil_div(ceil_div(width, spread2), out)),
        spread{spread1, spread2}, out(out) {}
  int64_t count() const { return images * depths * spread[0] * spread[1] * down * across; }
};

struct Square { int64_t image, depth, row, column; };  // the position of its first result

inline Square square_of(const Squares& s, int64_t index) {
  const int64_t column = index % s.across, row = index / s.across % s.down;
  index /= s.across * s.down;
  const int64_t r2 = index % s.spread[1], r1 = index / s.spread[1] % s.spread[0];
  index /= s.spread[0] * s.spread[1];
  return {index / s.depths, index % s.depths, r1 + row * s.out * s.spread[0], r2 + column * s.out * s.spread[1]};
}

// What a square meets in planes of [height][width]: where it begins, which may be outside, and what of it exists.
struct Window {
  int64_t from;
  int first_row, last_row, first, last;
};

inline Window window_of(int64_t at, int64_t row, int64_t column, int64_t height, int64_t width, const int64_t* spread, int n) {
  auto within = [n](int64_t x) { return x < 0 ? 0 : x > n ? n : int(x); };
  return {at + row * width + column, within(ceil_div(most(0, -row), spread[0])), within(ceil_div(most(0, height - row), spread[0])),
          within(ceil_div(most(0, -column), spread[1])), within(ceil_div(most(0, width - column), spread[1]))};
}

// Squares of the positions of a gather without steps.
inline Squares squares_of(const Gather& g) {
  const Axis* a = g.axis;
  auto spread = [](int64_t step) { return step < 0 ? -step : step; };
  return Squares(g.batch, a[0].count, a[1].count, a[2].count, spread(a[1].offset_step), spread(a[2].offset_step), kIn + 1 - int(a[1].taps));
}

// The windows of squares in the source's planes that lie under an outer tap.
inline void windows_of(const Gather& g, const Squares& s, const Square* square, int64_t count, int64_t outer_tap, Window* to) {
  const Axis* a = g.axis;
  const int64_t planes = g.channels * g.groups * a[0].size;
  int64_t low[3] = {a[0].offset + outer_tap * a[0].offset_step, 0, 0};
  for (int d = 1; d < 3; ++d) low[d] = a[d].offset + least(0, (a[d].taps - 1) * a[d].offset_step);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t depth = square[i].depth * a[0].step + low[0];
    to[i] = window_of((square[i].image * planes + depth) * a[1].size * a[2].size, square[i].row + low[1], square[i].column + low[2], a[1].size,
                      a[2].size, s.spread, kIn);
    if (depth < 0 || depth >= a[0].size) to[i].last_row = 0;
  }
}

// n x n elements of W windows, or of one window in W channels: lane by lane into rows of `pitch`, then turned, so that
// out[row * pitch + column] holds that element of every lane. What does not exist is zero.
template <int n> constexpr int kPitch = n <= 4 ? 4 : 8;
template <int n> constexpr int kLoaded = n <= 4 ? 16 : n * 8;  // whole vectors of elements

template <class T, int n>
inline void load_squares(const T* x, int64_t width, const int64_t* spread, const Window* window, int64_t window_step, int64_t lane_stride,
                         int lanes, V<Simd<Compute<T>>>* out) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, pitch = kPitch<n>, size = kLoaded<n>;
  alignas(64) S local[W * size + W];
  for (int lane = 0; lane < W; ++lane) {  // stores reach beyond a row, into what is written later
    S* const to = local + lane * size;
    const Window& q = window[lane < lanes ? lane * window_step : 0];
    const T* const from = x + q.from + lane * lane_stride;
    for (int r = 0; r < size / pitch; ++r) {
      const bool inside = lane < lanes && r >= q.first_row && r < q.last_row;
      if (!inside || q.last - q.first < n)
        for (int l = 0; l < pitch; l += W) D::store(to + r * pitch + l, D::zero());
      if (!inside) continue;
      const T* const row = from + r * spread[0] * width;
      if (spread[1] == 1) {
        for (int l = q.first; l < q.last; l += W) D::store(to + r * pitch + l, D::load(row + l, int(least(W, q.last - l))));
      } else if (q.first < q.last) {
        copy_stepped<T, S>(to + r * pitch + q.first, row + q.first * spread[1], q.last - q.first, spread[1]);
      }
    }
  }
  for (int e = 0; e < size; e += W) {
    V<D> block[W];
    for (int i = 0; i < W; ++i) block[i] = D::load(local + i * size + e);
    D::transpose(block);
    for (int i = 0; i < W; ++i) out[e + i] = block[i];
  }
}

// ---- what both directions ask of a shape
// At least so many squares that the kernel's transform, 36 numbers for each of its own, is paid for; and not mostly beyond the edge.
inline bool winograd_worthwhile(const Squares& s, int64_t rows, int64_t channels, int64_t positions) {
  return rows >= 8 && channels >= 8 && rows * channels >= 256 && s.count() >= 16 && 2 * positions >= s.count() * s.out * s.out;
}

// Pairs of bfloat16 multiply twice as fast as what these points are multiplied in: less than fourfold does not pay.
template <class T> constexpr bool kWinogradPays(int taps) { return taps == 3 || !kPaired<T>; }

template <class F> auto with_single(DType dtype, const F& f) {
#if defined(TESSEL_ONLY_BFLOAT16)
  (void)dtype;
  return f(Type<BFloat>{});
#else
  return dtype == DType::bfloat16 ? f(Type<BFloat>{}) : dtype == DType::float16 ? f(Type<Half>{}) : f(Type<float>{});
#endif
}

template <int n> struct Taps { static constexpr int value = n; };

template <class F> auto with_taps(int64_t taps, const F& f) {
  return taps == 2 ? f(Taps<2>{}) : taps == 3 ? f(Taps<3>{}) : f(Taps<5>{});
}

}  // namespace tessel::TESSEL_TARGET
