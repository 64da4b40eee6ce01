// Winograd's convolution F(4x4, 3x3): a 4x4 square of results of a 3x3 kernel costs 36 products instead of 144. The
// polynomials of input and kernel are multiplied by their values at six points a dimension, 0, +-2/3, +-3/2 and infinity:
// among the reciprocal pairs the one with the least rounding error (rms 2.2 to 2.8 times a direct sum's, where the usual
// +-1, +-2 have 4.8 to 6). Per pair of points (36 of them) a plain product of matrices is left:
//   y  = A'[ (G w G') * (B' x B) ]A     products over channels, a column for each square
//   dw = G'[ (A dy A') * (B' x B) ]G    products over squares
// What is not finite spreads over a square here. Results are looked at, and if one is not finite the caller does it all
// again, directly.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int kIn = 6, kOut = 4, kPoints = kIn * kIn;
constexpr double kP = 2.0 / 3, kQ = 3.0 / 2;         // the points; kP * kQ == 1
constexpr double kP2 = kP * kP, kQ2 = kQ * kQ;
constexpr double kFp = 2 * kP2 * (kP2 - kQ2), kFq = 2 * kQ2 * (kQ2 - kP2);  // what the kernel's values are divided by

// ---- the five transforms of a line, x[i * step] of vectors; V is a register
template <class D> using V = typename D::V;

template <class D> void image_line(const V<D>* x, int step, V<D>* t) {  // B'
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

template <class D> void result_line(const V<D>* m, int step, V<D>* y) {  // A'
  using S = decltype(D::sum(V<D>{}));
  const V<D> sum_p = m[step] + m[2 * step], less_p = m[step] - m[2 * step];
  const V<D> sum_q = m[3 * step] + m[4 * step], less_q = m[3 * step] - m[4 * step];
  y[0] = m[0] + (sum_p + sum_q);
  y[1] = D::fma(D::set(S(kP)), less_p, D::set(S(kQ)) * less_q);
  y[2] = D::fma(D::set(S(kP2)), sum_p, D::set(S(kQ2)) * sum_q);
  y[3] = D::fma(D::set(S(kP2 * kP)), less_p, D::fma(D::set(S(kQ2 * kQ)), less_q, m[5 * step]));
}

template <class D> void gradient_line(const V<D>* d, int step, V<D>* t) {  // A
  using S = decltype(D::sum(V<D>{}));
  const V<D> d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
  const V<D> even_p = D::fma(D::set(S(kP2)), d2, d0), odd_p = D::fma(D::set(S(kP2 * kP)), d3, D::set(S(kP)) * d1);
  const V<D> even_q = D::fma(D::set(S(kQ2)), d2, d0), odd_q = D::fma(D::set(S(kQ2 * kQ)), d3, D::set(S(kQ)) * d1);
  t[0] = d0;
  t[1] = even_p + odd_p;
  t[2] = even_p - odd_p;
  t[3] = even_q + odd_q;
  t[4] = even_q - odd_q;
  t[5] = d3;
}

template <class D> void weight_line(const V<D>* w, int step, V<D>* u) {  // G
  using S = decltype(D::sum(V<D>{}));
  const V<D> w0 = w[0], w1 = w[step], w2 = w[2 * step];
  const V<D> even_p = D::fma(D::set(S(kP2 / kFp)), w2, D::set(S(1 / kFp)) * w0), odd_p = D::set(S(kP / kFp)) * w1;
  const V<D> even_q = D::fma(D::set(S(kQ2 / kFq)), w2, D::set(S(1 / kFq)) * w0), odd_q = D::set(S(kQ / kFq)) * w1;
  u[0] = w0;
  u[1] = even_p + odd_p;
  u[2] = even_p - odd_p;
  u[3] = even_q + odd_q;
  u[4] = even_q - odd_q;
  u[5] = w2;
}

template <class D> void weight_gradient_line(const V<D>* m, int step, V<D>* w) {  // G'
  using S = decltype(D::sum(V<D>{}));
  const V<D> sum_p = m[step] + m[2 * step], less_p = m[step] - m[2 * step];
  const V<D> sum_q = m[3 * step] + m[4 * step], less_q = m[3 * step] - m[4 * step];
  w[0] = D::fma(D::set(S(1 / kFp)), sum_p, D::fma(D::set(S(1 / kFq)), sum_q, m[0]));
  w[1] = D::fma(D::set(S(kP / kFp)), less_p, D::set(S(kQ / kFq)) * less_q);
  w[2] = D::fma(D::set(S(kP2 / kFp)), sum_p, D::fma(D::set(S(kQ2 / kFq)), sum_q, m[5 * step]));
}

// Both dimensions: `from` is [N][pitch], the result [M][M], by a line transform of N values into M.
template <class D, int N, int M, void (*line)(const V<D>*, int, V<D>*)> void both(const V<D>* from, int pitch, V<D>* to) {
  V<D> t[N * M], column[M];
  for (int j = 0; j < N; ++j) {
    line(from + j, pitch, column);
    for (int i = 0; i < M; ++i) t[i * N + j] = column[i];
  }
  for (int i = 0; i < M; ++i) line(t + i * N, 1, to + i * M);
}

// ---- the squares of an image
struct Squares {
  int64_t down, across, images, plane, width, height, top, left;  // top, left: where the first square begins

  int64_t count() const { return images * down * across; }
};

struct Square {
  int64_t from;                       // element of x at its upper left corner, in the image's first channel; may lie outside
  int64_t image, row, column;         // where it begins
  int first_row, last_row, first, last;  // what of it exists
};

inline int within(int64_t x, int most) { return x < 0 ? 0 : x > most ? most : int(x); }

// Squares of n elements a side, kOut apart, of planes [channels][height][width].
inline Square square_of(const Squares& s, int64_t index, int64_t channels, int n) {
  const int64_t column = index % s.across * kOut + s.left, row = index / s.across % s.down * kOut + s.top;
  const int64_t image = index / s.across / s.down;
  return {(image * channels * s.height + row) * s.width + column, image, row, column, within(-row, n), within(s.height - row, n),
          within(-column, n), within(s.width - column, n)};
}

// n x n elements of W squares, or of one square in W channels: lane by lane into rows of `pitch`, then turned, so that
// out[row * pitch + column] holds that element of every lane. What does not exist is zero.
template <int n> constexpr int kPitch = n <= 4 ? 4 : 8;

template <class T, int n>
void load_squares(const T* x, int64_t width, const Square* square, int64_t square_step, int64_t lane_stride, int lanes,
                  V<Simd<Compute<T>>>* out) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, pitch = kPitch<n>, size = n * pitch;
  alignas(64) S local[W * size + W];
  for (int lane = 0; lane < W; ++lane) {  // stores reach beyond a row, into what is written later
    S* const to = local + lane * size;
    const Square& q = square[lane < lanes ? lane * square_step : 0];
    const T* const from = x + q.from + lane * lane_stride;
    for (int r = 0; r < n; ++r) {
      const bool inside = lane < lanes && r >= q.first_row && r < q.last_row;
      if (!inside || q.last - q.first < n)
        for (int l = 0; l < pitch; l += W) D::store(to + r * pitch + l, D::zero());
      if (!inside) continue;
      for (int l = q.first; l < q.last; l += W)
        D::store(to + r * pitch + l, D::load(from + r * width + l, int(least(W, q.last - l))));
    }
  }
  for (int e = 0; e < size; e += W) {
    V<D> block[W];
    for (int i = 0; i < W; ++i) block[i] = D::load(local + i * size + e);
    D::transpose(block);
    for (int i = 0; i < W; ++i) out[e + i] = block[i];
  }
}

// Elements from a point's matrix to the next one's: a line more than whole pages. At the power of two that many sizes would
// give, a transform's 36 streams meet in the same sets of the caches, and push out each other's half-written lines.
template <class S> int64_t apart(int64_t elements) {
  constexpr int64_t kPage = 4096 / sizeof(S), kLine = 64 / sizeof(S);
  return round_up(elements, kPage) + kLine;
}

// ---- y = conv(x, w), and dx as the convolution of dy with the turned kernel
template <class T> struct ForwardPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  Squares squares;
  int64_t mr, rows, kc, panels, block, blocks, groups;  // rows: of weights transformed at a time; groups: tasks share them
  int64_t weight_bytes, image_bytes, product_bytes;

  explicit ForwardPlan(const Gather& g) {
    const Axis &h = g.axis[1], &w = g.axis[2];
    const int64_t size = sizeof(S);
    squares = {ceil_div(h.count, kOut), ceil_div(w.count, kOut), g.batch, g.x_plane(), w.size, h.size,
               h.offset + least(0, 2 * h.offset_step), w.offset + least(0, 2 * w.offset_step)};
    mr = strip_rows(g.rows);
    rows = least(ceil_div(g.rows, mr), most(1, (8 << 20) / (kPoints * g.channels * size) / mr)) * mr;
    kc = least(g.channels, kDepth<S>);
    panels = ceil_div(squares.count(), NR);
    block = least(caches().l2 / 2 / (kPoints * g.channels * NR * size), ceil_div(panels, 16));
    block = most(1, least(block, 4));
    blocks = ceil_div(panels, block);
    groups = least(ceil_div(8, blocks), ceil_div(rows, mr));
    weight_bytes = round_up(kPoints * apart<S>(rows * g.channels) * size + kPackSlack, 64);
    image_bytes = round_up(kPoints * apart<S>(block * NR * g.channels) * size + kPackSlack, 64);
    product_bytes = round_up(kPoints * mr * block * NR * size + kPackSlack, 64);
  }
  int64_t scratch() const { return weight_bytes + num_threads() * (image_bytes + product_bytes); }
};

// Rows [i, i + rows) and all channels: [point][channel][row]. A kernel's nine numbers lie side by side, forwards or turned.
template <class T> void transform_weights(const Gather& g, const T* w, int64_t i, int rows, Compute<T>* to, int64_t point_stride) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  int order[9];  // in that of the source's elements
  for (int t = 0; t < 9; ++t) {
    const int64_t t1 = g.axis[1].offset_step > 0 ? t / 3 : 2 - t / 3, t2 = g.axis[2].offset_step > 0 ? t % 3 : 2 - t % 3;
    order[t] = int(tap_of(g, t1 * 3 + t2).w);
  }
  for (int64_t c = 0; c < g.channels; ++c) {
    const T* const from = w + i * g.w_row + c * g.w_channel;
    V<D> loaded[9 + W], kernel[9], t[3 * kIn], u[kIn];
    for (int e = 0; e < 9; e += W) {  // a row's numbers to a vector, then turned: a lane for each row
      V<D> block[W];
      for (int r = 0; r < W; ++r) block[r] = r < rows ? D::load(from + r * g.w_row + e, int(least(W, 9 - e))) : D::zero();
      D::transpose(block);
      for (int l = 0; l < W; ++l) loaded[e + l] = block[l];
    }
    for (int e = 0; e < 9; ++e) kernel[e] = loaded[order[e]];
    for (int j = 0; j < 3; ++j) {
      weight_line<D>(kernel + j, 3, u);
      for (int p = 0; p < kIn; ++p) t[p * 3 + j] = u[p];
    }
    for (int p = 0; p < kIn; ++p) {
      weight_line<D>(t + p * 3, 1, u);
      for (int q = 0; q < kIn; ++q) D::store(to + (p * kIn + q) * point_stride + c * rows, u[q], rows);
    }
  }
}

// The results of one row of weights in up to W squares: m is [point], point_stride apart. False if one is not finite.
template <class T>
bool store_results(const Compute<T>* m, int64_t point_stride, const Square* square, int lanes, const Squares& s, const Gather& g,
                   Compute<T> bias, Activation activation, T* y) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, size = kOut * kOut;
  V<D> t[kOut * kIn], column[kOut], result[size];
  for (int j = 0; j < kIn; ++j) {
    V<D> points[kIn];
    for (int i = 0; i < kIn; ++i) points[i] = D::load(m + (i * kIn + j) * point_stride);
    result_line<D>(points, 1, column);
    for (int i = 0; i < kOut; ++i) t[i * kIn + j] = column[i];
  }
  for (int i = 0; i < kOut; ++i) result_line<D>(t + i * kIn, 1, result + i * kOut);
  V<D> spoiled = D::zero();
  for (int e = 0; e < size; ++e) {
    spoiled = D::fma(result[e], D::zero(), spoiled);
    result[e] = result[e] + D::set(bias);
  }
  alignas(64) S local[W * size + W];
  for (int e = 0; e < size; e += W) {
    V<D> block[W];
    for (int i = 0; i < W; ++i) block[i] = result[e + i];
    D::transpose(block);
    for (int i = 0; i < W; ++i) D::store(local + i * size + e, block[i]);
  }
  if (activation != Activation::none) activate(activation, local, lanes * size);
  const int64_t width = g.y_size[2], height = g.y_size[1];
  for (int lane = 0; lane < lanes; ++lane) {
    const int64_t row = square[lane].row - s.top, column0 = square[lane].column - s.left;
    T* const to = y + square[lane].image * g.rows * g.groups * g.y_plane() + row * width + column0;
    const int rows = int(least(kOut, height - row)), cols = int(least(kOut, width - column0));
    for (int r = 0; r < rows; ++r) {
      const S* const from = local + lane * size + r * kOut;
      if (sizeof(T) == sizeof(S) && cols == kOut) memcpy(to + r * width, from, kOut * sizeof(S));
      else for (int c = 0; c < cols; ++c) narrow(to + r * width + c, from[c]);
    }
  }
  return D::sum(spoiled) == S(0);
}

template <class T> bool forward(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const ForwardPlan<T> plan(g);
  S* const weights = reinterpret_cast<S*>(scratch);
  char* const own = scratch + plan.weight_bytes;
  const int64_t squares = plan.squares.count(), x_plane = g.x_plane(), y_plane = g.y_plane();
  bool spoiled = false;
  for (int64_t group = 0; group < g.groups; ++group)
    for (int64_t i0 = 0; i0 < g.rows; i0 += plan.rows) {
      const int64_t rows = least(plan.rows, g.rows - i0), strips = ceil_div(rows, plan.mr), stride = apart<S>(rows * g.channels);
      const T* const x_group = x + group * g.channels * x_plane;
      T* const y_group = y + group * g.rows * y_plane;
      auto transform = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t strip = begin; strip < end; ++strip) {
          const int64_t i = strip * plan.mr;
          transform_weights<T>(g, w + group * g.w_group, i0 + i, int(least(plan.mr, rows - i)), weights + i * g.channels, stride);
        }
      };
      for_tasks(strips, g.channels * 150, true, transform);
      auto multiply = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        S* const image = reinterpret_cast<S*>(own + worker * (plan.image_bytes + plan.product_bytes));
        S* const products = reinterpret_cast<S*>(own + worker * (plan.image_bytes + plan.product_bytes) + plan.image_bytes);
        Square square[4 * NR];
        int64_t transformed = -1;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t part = task % plan.groups, first = task / plan.groups * plan.block * NR;
          const int64_t count = least(plan.block * NR, squares - first), lanes = round_up(count, W);
          // [point][panel][channel][lane]: a panel is NR lanes, or W if no more are left
          const int64_t point = apart<S>(lanes * g.channels);
          if (transformed != first) {
            for (int64_t s = 0; s < count; ++s) square[s] = square_of(plan.squares, first + s, g.channels * g.groups, kIn);
            for (int64_t s = 0; s < count; s += W) {
              const int64_t panel = s / NR * NR, lead = least(NR, lanes - panel);
              S* const to = image + panel * g.channels + s - panel;
              for (int64_t c = 0; c < g.channels; ++c) {
                V<D> loaded[kIn * kPitch<kIn>], values[kPoints];
                load_squares<T, kIn>(x_group + c * x_plane, plan.squares.width, square + s, 1, 0, int(least(W, count - s)), loaded);
                both<D, kIn, kIn, image_line<D>>(loaded, kPitch<kIn>, values);
                for (int p = 0; p < kPoints; ++p) D::store(to + p * point + c * lead, values[p]);
              }
            }
            transformed = first;
          }
          for (int64_t strip = strips * part / plan.groups; strip < strips * (part + 1) / plan.groups; ++strip) {
            const int64_t i = strip * plan.mr;
            const int height = int(least(plan.mr, rows - i));
            for (int64_t p0 = 0; p0 < g.channels; p0 += plan.kc) {
              const int64_t k = least(plan.kc, g.channels - p0);
              for (int p = 0; p < kPoints; ++p)
                for (int64_t panel = 0; panel < lanes; panel += NR) {
                  const int64_t lead = least(NR, lanes - panel);
                  const Tile<S> run = lead == W ? tile_of<S, 1>(height) : tile_of<S, 2>(height);
                  run(k, weights + p * stride + i * g.channels + p0 * height, image + p * point + panel * g.channels + p0 * lead,
                      products + p * height * lanes + panel, lanes, p0 > 0);
                }
            }
            bool finite = true;
            for (int r = 0; r < height; ++r) {
              const int64_t row = i0 + i + r;
              const S b = bias ? S(widen(bias[group * g.rows + row])) : S(0);
              for (int64_t s = 0; s < count; s += W)
                finite &= store_results<T>(products + r * lanes + s, height * lanes, square + s, int(least(W, count - s)),
                                           plan.squares, g, b, activation, y_group + row * y_plane);
            }
            if (!finite) __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
          }
        }
      };
      for_tasks(plan.blocks * plan.groups, plan.block * NR * g.channels * kPoints * rows / plan.groups / W, true, multiply);
      if (spoiled) return false;
    }
  return true;
}

// ---- dw: a chunk of squares at a time is transformed by everybody, then everybody takes points
template <class T> struct WeightPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  Squares squares, results;
  int64_t mr, rows, chunk, panels;
  int64_t gradient_bytes, image_bytes, result_bytes;

  explicit WeightPlan(const ConvArgs& c) {
    const int64_t size = sizeof(S);
    squares = {ceil_div(c.out[1], kOut), ceil_div(c.out[2], kOut), c.batch, c.in[1] * c.in[2], c.in[2], c.in[1], -c.padding[1], -c.padding[2]};
    results = {squares.down, squares.across, c.batch, c.out[1] * c.out[2], c.out[2], c.out[1], 0, 0};
    mr = strip_rows(c.out_channels);
    panels = ceil_div(c.in_channels, NR);
    rows = least(ceil_div(c.out_channels, mr), most(1, (8 << 20) / (kPoints * c.in_channels * size) / mr)) * mr;
    chunk = least(kDepth<S>, squares.count());
    gradient_bytes = round_up(kPoints * rows * panels * NR * size, 64);
    image_bytes = round_up(kPoints * chunk * panels * NR * size + kPackSlack, 64);
    result_bytes = round_up(kPoints * chunk * rows * size + kPackSlack, 64);
  }
  int64_t scratch() const { return gradient_bytes + image_bytes + result_bytes; }
};

constexpr int64_t kSquaresOfTask = 32;

template <class T> bool weight(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const WeightPlan<T> plan(c);
  S* const gradient = reinterpret_cast<S*>(scratch);                                          // [point][row][channel]
  S* const image = reinterpret_cast<S*>(scratch + plan.gradient_bytes);                       // [point][panel][square][channel]
  S* const result = reinterpret_cast<S*>(scratch + plan.gradient_bytes + plan.image_bytes);   // [point][strip][square][row]
  const int64_t squares = plan.squares.count(), channels = c.in_channels, width = plan.panels * NR;
  bool spoiled = false;
  for (int64_t group = 0; group < c.groups; ++group)
    for (int64_t i0 = 0; i0 < c.out_channels; i0 += plan.rows) {
      const int64_t rows = least(plan.rows, c.out_channels - i0), strips = ceil_div(rows, plan.mr);
      const T* const x = static_cast<const T*>(c.x) + group * channels * plan.squares.plane;
      const T* const dy = static_cast<const T*>(c.y) + (group * c.out_channels + i0) * plan.results.plane;
      for (int64_t first = 0; first < squares; first += plan.chunk) {
        const int64_t k = least(plan.chunk, squares - first), parts = ceil_div(k, kSquaresOfTask), vectors = ceil_div(channels, W);
        auto transform = [&](int64_t begin, int64_t end, int) {
          const Flush flush;
          for (int64_t task = begin; task < end; ++task) {
            const int64_t s0 = task % parts * kSquaresOfTask, s1 = least(k, s0 + kSquaresOfTask), which = task / parts;
            V<D> loaded[kIn * kPitch<kIn>], values[kPoints];
            for (int64_t s = s0; s < s1; ++s) {
              if (which < vectors) {
                const int64_t channel = which * W, panel = channel / NR, lead = least(NR, round_up(channels - panel * NR, W));
                const Square q = square_of(plan.squares, first + s, channels * c.groups, kIn);
                load_squares<T, kIn>(x + channel * plan.squares.plane, plan.squares.width, &q, 0, plan.squares.plane,
                                     int(least(W, channels - channel)), loaded);
                both<D, kIn, kIn, image_line<D>>(loaded, kPitch<kIn>, values);
                S* const to = image + panel * k * NR + s * lead + channel % NR;
                for (int p = 0; p < kPoints; ++p) D::store(to + p * k * width, values[p]);
              } else {
                const int64_t i = (which - vectors) * plan.mr;
                const int height = int(least(plan.mr, rows - i));
                const Square q = square_of(plan.results, first + s, c.out_channels * c.groups, kOut);
                load_squares<T, kOut>(dy + i * plan.results.plane, plan.results.width, &q, 0, plan.results.plane, height, loaded);
                both<D, kOut, kIn, gradient_line<D>>(loaded, kPitch<kOut>, values);
                S* const to = result + i * k + s * height;
                for (int p = 0; p < kPoints; ++p) D::store(to + p * k * rows, values[p], height);
              }
            }
          }
        };
        for_tasks((vectors + strips) * parts, kSquaresOfTask * 500, true, transform);
        auto multiply = [&](int64_t begin, int64_t end, int) {
          const Flush flush;
          for (int64_t task = begin; task < end; ++task) {  // (point, panel)
            const int64_t p = task / plan.panels, panel = task % plan.panels;
            const bool thin = channels - panel * NR <= W;
            for (int64_t strip = 0; strip < strips; ++strip) {
              const int64_t i = strip * plan.mr;
              const int height = int(least(plan.mr, rows - i));
              const Tile<S> run = thin ? tile_of<S, 1>(height) : tile_of<S, 2>(height);
              run(k, result + p * k * rows + i * k, image + p * k * width + panel * k * NR,
                  gradient + (p * rows + i) * width + panel * NR, width, first > 0);
            }
          }
        };
        for_tasks(kPoints * plan.panels, k * rows * NR / 8, true, multiply);
      }
      auto finish = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t i = begin; i < end; ++i)
          for (int64_t channel = 0; channel < channels; channel += W) {
            V<D> t[3 * kIn], column[3], result[9], spoilt = D::zero();
            const S* const from = gradient + i * width + channel;
            for (int j = 0; j < kIn; ++j) {
              V<D> points[kIn];
              for (int p = 0; p < kIn; ++p) points[p] = D::load(from + (p * kIn + j) * rows * width);
              weight_gradient_line<D>(points, 1, column);
              for (int r = 0; r < 3; ++r) t[r * kIn + j] = column[r];
            }
            for (int r = 0; r < 3; ++r) weight_gradient_line<D>(t + r * kIn, 1, result + r * 3);
            alignas(64) S local[9 * W];
            for (int e = 0; e < 9; ++e) {
              spoilt = D::fma(result[e], D::zero(), spoilt);
              D::store(local + e * W, result[e]);
            }
            const int64_t here = least(W, channels - channel);
            T* const to = static_cast<T*>(c.w) + ((group * c.out_channels + i0 + i) * channels + channel) * 9;
            for (int64_t l = 0; l < here; ++l)
              for (int e = 0; e < 9; ++e) narrow(to + l * 9 + e, local[e * W + l]);
            if (!(D::sum(spoilt) == S(0))) __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
          }
      };
      for_tasks(rows, channels * 16, true, finish);
      if (spoiled) return false;
    }
  return true;
}

// At least so many squares that the kernel's transform, 36 numbers for every 9, is paid for; and not mostly beyond the edge.
bool worthwhile(int64_t rows, int64_t channels, int64_t images, int64_t height, int64_t width) {
  const int64_t squares = images * ceil_div(height, kOut) * ceil_div(width, kOut);
  return rows >= 8 && channels >= 8 && rows * channels >= 256 && squares >= 16 && 2 * images * height * width >= squares * kOut * kOut;
}

template <class F> auto with_single(DType dtype, const F& f) {
#if defined(TESSEL_ONLY_BFLOAT16)
  (void)dtype;
  return f(Type<BFloat>{});
#else
  return dtype == DType::bfloat16 ? f(Type<BFloat>{}) : dtype == DType::float16 ? f(Type<Half>{}) : f(Type<float>{});
#endif
}

}  // namespace

bool winograd_accepts(const Gather& g, DType dtype) {
  const Axis *a = g.axis;
  const bool square = a[1].taps == 3 && a[2].taps == 3 && g.kernel[1] == 3 && g.kernel[2] == 3 && g.kernel[0] == 1 && a[0].taps == 1;
  const bool flat = a[0].size == 1 && a[0].count == 1 && a[0].offset == 0;
  for (int d = 1; d < 3; ++d)
    if (a[d].step != 1 || a[d].to_step != 1 || (a[d].offset_step != 1 && a[d].offset_step != -1)) return false;
  return square && flat && g.whole() && dtype != DType::float64 &&
         worthwhile(g.rows, g.channels, g.batch, a[1].count, a[2].count);
}

int64_t winograd_scratch(const Gather& g, DType dtype) {
  return with_single(dtype, [&](auto type) -> int64_t { return ForwardPlan<typename decltype(type)::type>(g).scratch(); });
}

bool winograd(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation, char* scratch) {
  return with_single(dtype, [&](auto type) -> bool {
    using T = typename decltype(type)::type;
    return forward<T>(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y), static_cast<const T*>(bias), activation,
                      scratch);
  });
}

bool winograd_weight_accepts(const ConvArgs& c) {
  const bool square = c.kernel[0] == 1 && c.kernel[1] == 3 && c.kernel[2] == 3 && c.in[0] == 1 && c.out[0] == 1 && c.padding[0] == 0;
  for (int d = 1; d < 3; ++d)
    if (c.stride[d] != 1 || c.dilation[d] != 1) return false;
  return square && c.dtype != DType::float64 && worthwhile(c.out_channels, c.in_channels, c.batch, c.out[1], c.out[2]);
}

int64_t winograd_weight_scratch(const ConvArgs& c) {
  return with_single(c.dtype, [&](auto type) -> int64_t { return WeightPlan<typename decltype(type)::type>(c).scratch(); });
}

bool winograd_weight(const ConvArgs& c, char* scratch) {
  return with_single(c.dtype, [&](auto type) -> bool { return weight<typename decltype(type)::type>(c, scratch); });
}

}  // namespace tessel::TESSEL_TARGET
