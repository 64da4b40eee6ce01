// Winograd's convolution to the weight: squares of dy meet the squares of x under them, and the sum of all of them is the kernel
// at its points.
#include "kernels/cpu/conv_winograd.h"

namespace tessel::TESSEL_TARGET {
namespace {

// A chunk of squares at a time is transformed by everybody, then everybody takes points. Columns are (outer tap, channel), each
// tap's channels filled up to whole vectors.
template <class T> struct WeightPlan {
  using S = Compute<T>;
  static constexpr int64_t NR = kTileCols<S>;
  Squares squares;
  int64_t mr, rows, chunk, vectors, panels;  // vectors: of columns
  int64_t gradient_bytes, image_bytes, result_bytes;

  explicit WeightPlan(const Gather& g) : squares(squares_of(g)) {
    constexpr int64_t W = Simd<S>::width, size = sizeof(S);
    mr = strip_rows(g.rows);
    vectors = g.axis[0].taps * ceil_div(g.channels, W);
    panels = ceil_div(vectors * W, NR);
    rows = least(ceil_div(g.rows, mr), most(1, (8 << 20) / (kPoints * vectors * W * size) / mr)) * mr;
    chunk = least(kDepth<S>, squares.count());
    gradient_bytes = round_up(kPoints * apart<S>(rows * panels * NR) * size, 64);
    image_bytes = round_up(kPoints * apart<S>(chunk * panels * NR) * size + kPackSlack, 64);
    result_bytes = round_up(kPoints * apart<S>(chunk * rows) * size + kPackSlack, 64);
  }
  int64_t scratch() const { return gradient_bytes + image_bytes + result_bytes; }
};

constexpr int64_t kSquaresOfTask = 32;

template <class T, int taps> bool weight(const ConvArgs& c, char* scratch) {
  using S = Compute<T>;
  using D = Simd<S>;
  constexpr int W = D::width, out = kOut<taps>;
  constexpr int64_t NR = kTileCols<S>;
  const Gather g = forward_gather(c);
  const WeightPlan<T> plan(g);
  S* const gradient = reinterpret_cast<S*>(scratch);                                          // [point][row][column]
  S* const image = reinterpret_cast<S*>(scratch + plan.gradient_bytes);                       // [point][panel][square][column]
  S* const result = reinterpret_cast<S*>(scratch + plan.gradient_bytes + plan.image_bytes);   // [point][strip][square][row]
  const int64_t squares = plan.squares.count(), channels = g.channels, width = plan.panels * NR, of_tap = ceil_div(channels, W);
  const int64_t x_plane = g.x_plane(), y_plane = g.y_plane(), kernel = taps * taps * g.axis[0].taps;
  bool spoiled = false;
  for (int64_t group = 0; group < g.groups; ++group)
    for (int64_t i0 = 0; i0 < g.rows; i0 += plan.rows) {
      const int64_t rows = least(plan.rows, g.rows - i0), strips = ceil_div(rows, plan.mr);
      const T* const x = static_cast<const T*>(c.x) + group * channels * x_plane;
      const T* const dy = static_cast<const T*>(c.y) + (group * g.rows + i0) * y_plane;
      for (int64_t first = 0; first < squares; first += plan.chunk) {
        const int64_t k = least(plan.chunk, squares - first), parts = ceil_div(k, kSquaresOfTask);
        auto transform = [&](int64_t begin, int64_t end, int) {
          const Flush flush;
          for (int64_t task = begin; task < end; ++task) {
            const int64_t s0 = task % parts * kSquaresOfTask, count = least(k - s0, kSquaresOfTask), which = task / parts;
            Square square[kSquaresOfTask];
            Window window[kSquaresOfTask];
            for (int64_t s = 0; s < count; ++s) square[s] = square_of(plan.squares, first + s0 + s);
            V<D> loaded[kLoaded<kIn>], values[kPoints];
            if (which < plan.vectors) {
              const int64_t channel = which % of_tap * W, panel = which * W / NR, lead = least(NR, plan.vectors * W - panel * NR);
              windows_of(g, plan.squares, square, count, which / of_tap, window);
              S* to = image + panel * k * NR + s0 * lead + which * W % NR;
              for (int64_t s = 0; s < count; ++s, to += lead) {
                load_squares<T, kIn>(x + channel * x_plane, g.axis[2].size, plan.squares.spread, window + s, 0, x_plane,
                                     int(least(W, channels - channel)), loaded);
                both<D, kIn, kIn, image_line<D>>(loaded, kPitch<kIn>, values);
                for (int p = 0; p < kPoints; ++p) D::store(to + p * apart<S>(k * width), values[p]);
              }
            } else {
              const int64_t i = (which - plan.vectors) * plan.mr, height = least(plan.mr, rows - i);
              S* to = result + i * k + s0 * height;
              for (int64_t s = 0; s < count; ++s, to += height) {
                const Square& q = square[s];
                const Window under = window_of(q.image * g.rows * g.groups * y_plane + q.depth * g.y_size[1] * g.y_size[2], q.row, q.column,
                                               g.y_size[1], g.y_size[2], plan.squares.spread, out);
                load_squares<T, out>(dy + i * y_plane, g.y_size[2], plan.squares.spread, &under, 0, y_plane, int(height), loaded);
                both<D, out, kIn, gradient_line<D, taps>>(loaded, kPitch<out>, values);
                for (int p = 0; p < kPoints; ++p) D::store(to + p * apart<S>(k * rows), values[p], int(height));
              }
            }
          }
        };
        for_tasks((plan.vectors + strips) * parts, kSquaresOfTask * 500, true, transform);
        auto multiply = [&](int64_t begin, int64_t end, int) {
          const Flush flush;
          for (int64_t task = begin; task < end; ++task) {  // (point, panel)
            const int64_t p = task / plan.panels, panel = task % plan.panels;
            const bool narrow_panel = plan.vectors * W - panel * NR <= W;
            for (int64_t strip = 0; strip < strips; ++strip) {
              const int64_t i = strip * plan.mr;
              const int height = int(least(plan.mr, rows - i));
              const Tile<S> run = narrow_panel ? tile_of<S, 1>(height) : tile_of<S, 2>(height);
              run(k, result + p * apart<S>(k * rows) + i * k, image + p * apart<S>(k * width) + panel * k * NR,
                  gradient + p * apart<S>(rows * width) + i * width + panel * NR, width, first > 0);
            }
          }
        };
        for_tasks(kPoints * plan.panels, k * rows * NR / 8, true, multiply);
      }
      auto finish = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t i = begin; i < end; ++i)
          for (int64_t v = 0; v < plan.vectors; ++v) {
            const int64_t channel = v % of_tap * W, here = least(W, channels - channel);
            V<D> t[taps * kIn], column[taps], result[taps * taps], spoilt = D::zero();
            const S* const from = gradient + i * width + v * W;
            for (int j = 0; j < kIn; ++j) {
              V<D> points[kIn];
              for (int p = 0; p < kIn; ++p) points[p] = D::load(from + (p * kIn + j) * apart<S>(rows * width));
              weight_gradient_line<D, taps>(points, 1, column);
              for (int r = 0; r < taps; ++r) t[r * kIn + j] = column[r];
            }
            for (int r = 0; r < taps; ++r) weight_gradient_line<D, taps>(t + r * kIn, 1, result + r * taps);
            alignas(64) S local[taps * taps * W];
            for (int e = 0; e < taps * taps; ++e) {
              spoilt = D::fma(result[e], D::zero(), spoilt);
              D::store(local + e * W, result[e]);
            }
            T* const to = static_cast<T*>(c.w) + ((group * g.rows + i0 + i) * channels + channel) * kernel + v / of_tap * taps * taps;
            for (int64_t l = 0; l < here; ++l)
              for (int e = 0; e < taps * taps; ++e) narrow(to + l * kernel + e, local[e * W + l]);
            if (!(D::sum(spoilt) == S(0))) __atomic_store_n(&spoiled, true, __ATOMIC_RELAXED);
          }
      };
      for_tasks(rows, plan.vectors * W * 16, true, finish);
      if (spoiled) return false;
    }
  return true;
}

}  // namespace

bool winograd_weight_accepts(const ConvArgs& c) {
  if (c.kernel[1] != c.kernel[2] || (c.kernel[1] != 3 && c.kernel[1] != 5) || c.dtype == DType::float64) return false;
  if (c.stride[1] != 1 || c.stride[2] != 1) return false;
  const Gather g = forward_gather(c);
  return with_single(c.dtype, [&](auto type) -> bool {
    return kWinogradPays<typename decltype(type)::type>(int(c.kernel[1])) && g.positions() > 0 &&
           winograd_worthwhile(squares_of(g), g.rows, g.channels, g.batch * g.positions());
  });
}

int64_t winograd_weight_scratch(const ConvArgs& c) {
  return with_single(c.dtype, [&](auto type) -> int64_t { return WeightPlan<typename decltype(type)::type>(forward_gather(c)).scratch(); });
}

bool winograd_weight(const ConvArgs& c, char* scratch) {
  return with_single(c.dtype, [&](auto type) -> bool {
    using T = typename decltype(type)::type;
    return c.kernel[1] == 3 ? weight<T, 3>(c, scratch) : weight<T, 5>(c, scratch);
  });
}

}  // namespace tessel::TESSEL_TARGET
