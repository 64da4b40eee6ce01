// Winograd's convolution, forward; and dx as the convolution of dy with the turned kernel. What is not finite spreads over a
// square here. Results are looked at, and if one is not finite the caller does it all again, directly.
#include "kernels/cpu/conv_winograd.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int kMostKernel = 48;  // elements of a kernel's plane whose taps, some or all, are these

// So few squares that most of the work is turning the kernel: its rows lie in lanes then, and the squares are the rows of tiles.
constexpr int64_t kThinSquares = 4 * kTileRows;

bool is_thin(const Gather& g, const Squares& s) { return s.count() <= kThinSquares && g.rows >= 32 && g.channels >= 32; }

template <class T> struct ForwardPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  Squares squares;
  int64_t depth, mr, rows, kc, span, blocks, groups;  // rows: of weights transformed at a time; groups: tasks share them; span: squares of a block
  bool thin, owned;  // owned: every thread turns all weights for itself
  int64_t weight_bytes, image_bytes, product_bytes;

  explicit ForwardPlan(const Gather& g) : squares(squares_of(g)) {
    const int64_t size = sizeof(S);
    depth = g.axis[0].taps * g.channels;
    thin = is_thin(g, squares);
    owned = false;
    if (thin) {
      mr = strip_rows(squares.count());
      rows = NR;
      kc = least(depth, 64);
      blocks = ceil_div(g.rows, NR);
      groups = 1;
      weight_bytes = round_up(kPoints * apart<S>(squares.count() * depth) * size + kPackSlack, 64);  // of the image
      image_bytes = round_up(kPoints * apart<S>(kc * NR) * size + kPackSlack, 64);                   // of the kernel
      product_bytes = round_up(kPoints * apart<S>(squares.count() * NR) * size + kPackSlack, 64);
      return;
    }
    mr = strip_rows(g.rows);
    rows = least(ceil_div(g.rows, mr), most(1, (8 << 20) / (kPoints * depth * size) / mr)) * mr;
    kc = least(depth, kDepth<S>);
    const int64_t panels = ceil_div(squares.count(), NR);
    const int64_t block = most(1, least(least(caches().l2 / 2 / (kPoints * depth * NR * size), ceil_div(panels, 16)), 4));
    span = panels < 8 ? Simd<S>::width : block * NR;
    blocks = ceil_div(squares.count(), span);
    groups = blocks >= 4 ? 1 : least(ceil_div(4, blocks), ceil_div(rows, mr));
    weight_bytes = round_up(kPoints * apart<S>(rows * depth) * size + kPackSlack, 64);
    image_bytes = round_up(kPoints * apart<S>(round_up(span, NR) * depth) * size + kPackSlack, 64);
    product_bytes = round_up(kPoints * apart<S>(mr * round_up(span, NR)) * size + kPackSlack, 64);
    // Few weights are turned by each thread for itself: nobody waits for the others, or for lines that they have just written.
    owned = weight_bytes <= (2 << 20);
  }
  int64_t own_bytes() const { return 64 + (owned ? weight_bytes : 0) + image_bytes + product_bytes; }
  int64_t scratch() const { return (owned ? 0 : weight_bytes) + num_threads() * own_bytes(); }
};

// The kernel's taps in the order of the source's elements, which may be the kernel's turned; places in its plane.
struct KernelTaps {
  int64_t plane, at[25];

  KernelTaps(const Gather& g, int taps) : plane(g.kernel[1] * g.kernel[2]) {
    for (int t = 0; t < taps * taps; ++t) {
      const int64_t t1 = g.axis[1].offset_step > 0 ? t / taps : taps - 1 - t / taps, t2 = g.axis[2].offset_step > 0 ? t % taps : taps - 1 - t % taps;
      at[t] = tap_of(g, t1 * taps + t2).w % plane;
    }
  }
};

// The kernels of up to W rows, in lanes, at their points. The rows' planes are read along memory and turned in registers.
template <class T, int taps>
inline void weight_points(const T* w, int64_t w_row, const KernelTaps& kernel, int rows, V<Simd<Compute<T>>>* u) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  V<D> plane[kMostKernel + W], at[taps * taps], t[taps * kIn], line[kIn];
  for (int64_t e = 0; e < kernel.plane; e += W) {
    const int here = int(least(W, kernel.plane - e));
    V<D> block[W];
    for (int i = 0; i < W; ++i) block[i] = i < rows ? D::load(w + i * w_row + e, here) : D::zero();
    D::transpose(block);
    for (int i = 0; i < W; ++i) plane[e + i] = block[i];
  }
  for (int i = 0; i < taps * taps; ++i) at[i] = plane[kernel.at[i]];
  for (int j = 0; j < taps; ++j) {
    weight_line<D, taps>(at + j, taps, line);
    for (int p = 0; p < kIn; ++p) t[p * taps + j] = line[p];
  }
  for (int p = 0; p < kIn; ++p) weight_line<D, taps>(t + p * taps, 1, u + p * kIn);
}

// The weights of word p of the depth, (outer tap, channel) with channels fastest.
template <class T> inline const T* weights_at(const Gather& g, const T* w, int64_t p) {
  const Axis& a = g.axis[0];
  return w + p % g.channels * g.w_channel + (a.tap + p / g.channels * a.tap_step) * g.kernel[1] * g.kernel[2];
}

// Where a square's results go in y's first plane, and how many of them exist.
struct Patch {
  int64_t at;
  int rows, cols;
};

Patch patch_of(const Gather& g, const Square& q, const Squares& s) {
  const Axis* a = g.axis;
  const Window window = window_of(0, q.row, q.column, a[1].count, a[2].count, s.spread, s.out);
  const int64_t depth = a[0].to + q.depth * a[0].to_step, row = a[1].to + q.row * a[1].to_step, column = a[2].to + q.column * a[2].to_step;
  return {q.image * g.rows * g.groups * g.y_plane() + (depth * g.y_size[1] + row) * g.y_size[2] + column, window.last_row, window.last};
}

// The results of up to W lanes, m being [point], point_stride apart: lanes are squares of one row of weights, or rows of one
// square. False if one is not finite.
template <class T, int taps>
bool store_results(const Gather& g, const Squares& s, const Compute<T>* m, int64_t point_stride, int lanes, V<Simd<Compute<T>>> bias,
                   Activation activation, T* y, int64_t lane_stride, const Patch* patch, int64_t patch_step) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, n = kOut<taps>, size = (n * n + W - 1) / W * W;
  V<D> t[n * kIn], column[n], result[size];
  for (int j = 0; j < kIn; ++j) {
    V<D> points[kIn];
    for (int i = 0; i < kIn; ++i) points[i] = D::load(m + (i * kIn + j) * point_stride);
    result_line<D, taps>(points, 1, column);
    for (int i = 0; i < n; ++i) t[i * kIn + j] = column[i];
  }
  for (int i = 0; i < n; ++i) result_line<D, taps>(t + i * kIn, 1, result + i * n);
  V<D> spoiled = D::zero();
  for (int e = 0; e < n * n; ++e) {
    spoiled = D::fma(result[e], D::zero(), spoiled);
    result[e] = result[e] + bias;
  }
  // local: [lane][row][column], or where a row is two numbers [row][lane][column]
  constexpr int lane_step = n == 2 ? 2 : size, row_step = n == 2 ? 2 * W : n, all = n == 2 ? 4 * W : W * size;
  alignas(64) S local[all + W];
  if constexpr (n == 2) {
    for (int r = 0; r < 2; ++r) {
      V<D> woven[2];
      weave_lanes<S>(result[2 * r], result[2 * r + 1], woven);
      D::store(local + r * row_step, woven[0]);
      D::store(local + r * row_step + W, woven[1]);
    }
  } else {
    for (int e = n * n; e < size; ++e) result[e] = D::zero();
    for (int e = 0; e < size; e += W) {
      V<D> block[W];
      for (int i = 0; i < W; ++i) block[i] = result[e + i];
      D::transpose(block);
      for (int i = 0; i < W; ++i) D::store(local + i * size + e, block[i]);
    }
  }
  constexpr bool narrow_them = sizeof(T) != sizeof(S);
  T narrowed[narrow_them ? all : 1];
  const T* results = narrowed;
  if constexpr (narrow_them) {
    for (int e = 0; e < all; e += W) D::store(narrowed + e, D::load(local + e));
    if (activation != Activation::none) {  // of what is rounded, as merge has it
      for (int e = 0; e < all; e += W) D::store(local + e, D::load(narrowed + e));
      activate(activation, local, all);
      put_row<T>(local, all, narrowed, 1);
    }
  } else {
    if (activation != Activation::none) activate(activation, local, all);
    results = local;
  }
  const Axis* a = g.axis;
  const int64_t down = s.spread[0] * a[1].to_step * g.y_size[2], right = s.spread[1] * a[2].to_step;
  for (int lane = 0; lane < lanes; ++lane) {
    const Patch& p = patch[lane * patch_step];
    const T* from = results + lane * lane_step;
    T* to = y + lane * lane_stride + p.at;
    for (int r = 0; r < p.rows; ++r, from += row_step, to += down) {
      if (right == 1 && p.cols == n) memcpy(to, from, n * sizeof(T));
      else for (int c = 0; c < p.cols; ++c) to[c * right] = from[c];
    }
  }
  return D::sum(spoiled) == S(0);
}

// What a thread's memory holds already.
struct Held {
  bool weights;
  int64_t squares;  // the first of a block
};

// Many squares: a block of them is transformed and meets all rows of weights, which have been transformed before.
template <class T, int taps>
bool forward(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const ForwardPlan<T> plan(g);
  const KernelTaps kernel(g, taps);
  S* const shared = reinterpret_cast<S*>(scratch);
  char* const own = scratch + (plan.owned ? 0 : plan.weight_bytes);
  const int64_t squares = plan.squares.count(), x_plane = g.x_plane(), y_plane = g.y_plane();
  bool spoiled = false;
  for (int64_t group = 0; group < g.groups; ++group)
    for (int64_t i0 = 0; i0 < g.rows; i0 += plan.rows) {
      const int64_t rows = least(plan.rows, g.rows - i0), strips = ceil_div(rows, plan.mr), stride = apart<S>(rows * plan.depth);
      const T* const x_group = x + group * g.channels * x_plane;
      T* const y_group = y + group * g.rows * y_plane;
      auto turn = [&](int64_t begin, int64_t end, S* weights) {  // [point][strip][depth][row]
        for (int64_t strip = begin; strip < end; ++strip) {
          const int64_t i = strip * plan.mr;
          const int height = int(least(plan.mr, rows - i));
          S* to = weights + i * plan.depth;
          for (int64_t p = 0; p < plan.depth; ++p, to += height) {
            V<D> u[kPoints];
            weight_points<T, taps>(weights_at(g, w + group * g.w_group + (i0 + i) * g.w_row, p), g.w_row, kernel, height, u);
            for (int e = 0; e < kPoints; ++e) D::store(to + e * stride, u[e], height);
          }
        }
      };
      auto transform = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        turn(begin, end, shared);
      };
      if (!plan.owned) for_tasks(strips, plan.depth * 200, true, transform);
      for (int worker = 0; worker < num_threads(); ++worker) *reinterpret_cast<Held*>(own + worker * plan.own_bytes()) = {false, -1};
      auto multiply = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        char* const mine = own + worker * plan.own_bytes();
        Held* const held = reinterpret_cast<Held*>(mine);
        S* const image = reinterpret_cast<S*>(mine + 64);
        S* const products = reinterpret_cast<S*>(mine + 64 + plan.image_bytes);
        S* const weights = plan.owned ? reinterpret_cast<S*>(mine + 64 + plan.image_bytes + plan.product_bytes) : shared;
        if (plan.owned && !held->weights) turn(0, strips, weights);
        held->weights = true;
        Square square[4 * NR];
        Window window[4 * NR];
        Patch patch[4 * NR];
        for (int64_t task = begin; task < end; ++task) {
          const int64_t part = task % plan.groups, first = task / plan.groups * plan.span;
          const int64_t count = least(plan.span, squares - first), lanes = round_up(count, W);
          // [point][panel][depth][lane]: a panel is NR lanes, or W if no more are left
          const int64_t point = apart<S>(lanes * plan.depth);
          for (int64_t s = 0; s < count; ++s) {
            square[s] = square_of(plan.squares, first + s);
            patch[s] = patch_of(g, square[s], plan.squares);
          }
          if (held->squares != first) {
            for (int64_t p = 0; p < plan.depth; p += g.channels) {
              windows_of(g, plan.squares, square, count, p / g.channels, window);
              for (int64_t s = 0; s < count; s += W) {
                const int64_t panel = s / NR * NR, lead = least(NR, lanes - panel);
                S* const to = image + panel * plan.depth + s - panel + p * lead;
                for (int64_t c = 0; c < g.channels; ++c) {
                  V<D> loaded[kLoaded<kIn>], values[kPoints];
                  load_squares<T, kIn>(x_group + c * x_plane, g.axis[2].size, plan.squares.spread, window + s, 1, 0, int(least(W, count - s)), loaded);
                  both<D, kIn, kIn, image_line<D>>(loaded, kPitch<kIn>, values);
                  for (int e = 0; e < kPoints; ++e) D::store(to + e * point + c * lead, values[e]);
                }
              }
            }
            held->squares = first;
          }
          for (int64_t strip = strips * part / plan.groups; strip < strips * (part + 1) / plan.groups; ++strip) {
            const int64_t i = strip * plan.mr;
            const int height = int(least(plan.mr, rows - i));
            for (int64_t p0 = 0; p0 < plan.depth; p0 += plan.kc) {
              const int64_t k = least(plan.kc, plan.depth - p0);
              for (int e = 0; e < kPoints; ++e)
                for (int64_t panel = 0; panel < lanes; panel += NR) {
                  const int64_t lead = least(NR, lanes - panel);
                  const Tile<S> run = lead == W ? tile_of<S, 1>(height) : tile_of<S, 2>(height);
                  run(k, weights + e * stride + i * plan.depth + p0 * height, image + e * point + panel * plan.depth + p0 * lead,
                      products + e * apart<S>(height * lanes) + panel, lanes, p0 > 0);
                }
            }
            bool finite = true;
            for (int r = 0; r < height; ++r) {
              const int64_t row = i0 + i + r;
              T* const to = y_group + row * y_plane;
              const V<D> b = D::set(bias ? S(widen(bias[group * g.rows + row])) : S(0));
              for (int64_t s = 0; s < count; s += W)
                finite &= store_results<T, taps>(g, plan.squares, products + r * lanes + s, apart<S>(height * lanes), int(least(W, count - s)), b,
                                                 activation, to, 0, patch + s, 1);
            }
            if (!finite) __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
          }
        }
      };
      for_tasks(plan.blocks * plan.groups, plan.span * plan.depth * kPoints * rows / plan.groups / W, true, multiply);
      if (spoiled) return false;
    }
  return true;
}

// Few squares: all of them are transformed first; then each task turns some rows of the kernel, a piece of the depth at a time
// that stays in L2 until the squares have met it.
template <class T, int taps>
bool forward_thin(const Gather& g, const T* x, const T* w, T* y, const T* bias, Activation activation, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width;
  constexpr int64_t NR = kTileCols<S>;
  const ForwardPlan<T> plan(g);
  const KernelTaps kernel(g, taps);
  S* const image = reinterpret_cast<S*>(scratch);  // [point][strip of squares][depth][square]
  char* const own = scratch + plan.weight_bytes;
  const int64_t squares = plan.squares.count(), strips = ceil_div(squares, plan.mr), x_plane = g.x_plane(), y_plane = g.y_plane();
  const int64_t point = apart<S>(squares * plan.depth);
  Square square[kThinSquares];
  Patch patch[kThinSquares];
  for (int64_t s = 0; s < squares; ++s) {
    square[s] = square_of(plan.squares, s);
    patch[s] = patch_of(g, square[s], plan.squares);
  }
  bool spoiled = false;
  for (int64_t group = 0; group < g.groups; ++group) {
    const T* const x_group = x + group * g.channels * x_plane;
    T* const y_group = y + group * g.rows * y_plane;
    constexpr int64_t kChannels = 16;  // of a task
    auto transform = [&](int64_t begin, int64_t end, int) {
      const Flush flush;
      Window window[kTileRows];
      for (int64_t task = begin; task < end; ++task) {  // (piece of the depth, strip)
        const int64_t s = task % strips * plan.mr, p0 = task / strips * kChannels;
        const int height = int(least(plan.mr, squares - s));
        for (int64_t p = p0; p < least(plan.depth, p0 + kChannels); ++p) {
          if (p == p0 || p % g.channels == 0) windows_of(g, plan.squares, square + s, height, p / g.channels, window);
          V<D> loaded[kLoaded<kIn>], values[kPoints];
          load_squares<T, kIn>(x_group + p % g.channels * x_plane, g.axis[2].size, plan.squares.spread, window, 1, 0, height, loaded);
          both<D, kIn, kIn, image_line<D>>(loaded, kPitch<kIn>, values);
          S* const to = image + s * plan.depth + p * height;
          for (int e = 0; e < kPoints; ++e) D::store(to + e * point, values[e], height);
        }
      }
    };
    for_tasks(ceil_div(plan.depth, kChannels) * strips, kChannels * 500, true, transform);
    auto multiply = [&](int64_t begin, int64_t end, int worker) {
      const Flush flush;
      S* const panel = reinterpret_cast<S*>(own + worker * plan.own_bytes());  // [point][depth][row]
      S* const products = reinterpret_cast<S*>(own + worker * plan.own_bytes() + plan.image_bytes);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t i = task * NR, rows = least(NR, g.rows - i), lead = round_up(rows, W);
        for (int64_t p0 = 0; p0 < plan.depth; p0 += plan.kc) {
          const int64_t k = least(plan.kc, plan.depth - p0);
          for (int64_t p = 0; p < k; ++p)
            for (int64_t r = 0; r < rows; r += W) {
              V<D> u[kPoints];
              weight_points<T, taps>(weights_at(g, w + group * g.w_group + (i + r) * g.w_row, p0 + p), g.w_row, kernel,
                                     int(least(W, rows - r)), u);
              for (int e = 0; e < kPoints; ++e) D::store(panel + e * apart<S>(k * lead) + p * lead + r, u[e]);
            }
          for (int e = 0; e < kPoints; ++e)
            for (int64_t s = 0; s < squares; s += plan.mr) {
              const int height = int(least(plan.mr, squares - s));
              const Tile<S> run = lead == W ? tile_of<S, 1>(height) : tile_of<S, 2>(height);
              run(k, image + e * point + s * plan.depth + p0 * height, panel + e * apart<S>(k * lead),
                  products + e * apart<S>(squares * lead) + s * lead, lead, p0 > 0);
            }
        }
        bool finite = true;
        for (int64_t r = 0; r < rows; r += W) {
          const int lanes = int(least(W, rows - r));
          const V<D> b = bias ? D::load(bias + group * g.rows + i + r, lanes) : D::zero();
          for (int64_t s = 0; s < squares; ++s)
            finite &= store_results<T, taps>(g, plan.squares, products + s * lead + r, apart<S>(squares * lead), lanes, b, activation,
                                             y_group + (i + r) * y_plane, y_plane, patch + s, 0);
        }
        if (!finite) __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
      }
    };
    for_tasks(plan.blocks, plan.depth * NR * 20, true, multiply);
    if (spoiled) return false;
  }
  return true;
}

}  // namespace

bool winograd_accepts(const Gather& g, DType dtype) {
  const Axis* a = g.axis;
  const int taps = int(a[1].taps);
  if (a[1].taps != a[2].taps || (taps != 2 && taps != 3 && taps != 5) || a[0].taps < 1 || dtype == DType::float64) return false;
  if (a[1].step != 1 || a[2].step != 1 || a[1].offset_step == 0 || a[2].offset_step == 0 || g.kernel[1] * g.kernel[2] > kMostKernel) return false;
  if ((a[1].offset_step > 0) != (a[2].offset_step > 0)) return false;
  return with_single(dtype, [&](auto type) -> bool {
    using T = typename decltype(type)::type;
    if (!kWinogradPays<T>(taps) || g.positions() == 0 || (taps == 2 && g.channels < 32)) return false;  // fewer sums hide less of the error
    const Squares s = squares_of(g);
    // Cycles of avx512 for a channel and 16 rows: turning their kernels and meeting the squares; or meeting what is there.
    if (is_thin(g, s)) return 250 + 40 * s.count() < g.batch * g.positions() * taps * taps;
    return winograd_worthwhile(s, g.rows, g.channels, g.batch * g.positions());
  });
}

int64_t winograd_scratch(const Gather& g, DType dtype) {
  return with_single(dtype, [&](auto type) -> int64_t { return ForwardPlan<typename decltype(type)::type>(g).scratch(); });
}

bool winograd(const Gather& g, DType dtype, const void* x, const void* w, void* y, const void* bias, Activation activation, char* scratch) {
  return with_single(dtype, [&](auto type) -> bool {
    using T = typename decltype(type)::type;
    return with_taps(g.axis[1].taps, [&](auto taps) -> bool {
      constexpr int n = decltype(taps)::value;
      auto* const run = ForwardPlan<T>(g).thin ? forward_thin<T, n> : forward<T, n>;
      return run(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y), static_cast<const T*>(bias), activation, scratch);
    });
  });
}

}  // namespace tessel::TESSEL_TARGET
