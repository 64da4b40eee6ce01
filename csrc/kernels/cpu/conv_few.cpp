// Convolutions of few positions and many weights: deep layers on small images, answers to a single input. The weights
// are most of what is read, and packing them costs more than the products, so that they are taken as they lie: a row of
// them is a column along memory to the skinny product (gemm.cpp, "rows"), and the image's windows become its few rows.
//   y  = windows * w'       windows: [positions][channel, tap], written out: at most 64 rows
//   dx = folded(dy * w)     a product per window element, added up where windows overlap
//   dw = dy' * windows
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kPositions = 64;  // of all images: what the skinny product takes without packing
constexpr int64_t kFewestRows = 32, kLeastDepth = 128;  // below, writing the windows out costs as much as the product

struct Few {
  int64_t positions, plane, taps, window, total;  // positions of an image; elements of x's plane; window: a group's channels * taps

  explicit Few(const ConvArgs& c)
      : positions(c.out[0] * c.out[1] * c.out[2]), plane(c.in[0] * c.in[1] * c.in[2]), taps(c.kernel[0] * c.kernel[1] * c.kernel[2]),
        window(c.in_channels * taps), total(c.batch * positions) {}
};

bool worthwhile(const ConvArgs& c) {
  const Few f(c);
  return f.total > 0 && f.total <= kPositions && c.out_channels >= kFewestRows && f.window >= kLeastDepth;
}

template <class F> auto with_type(DType dtype, const F& f) {
  return with_floating(dtype, [&](auto type) { return f(typename decltype(type)::type{}); });
}

// The operands that are written out, and where the product's own scratch begins.
template <class T> struct Operands {
  T *windows, *rows;  // rows: y's or dy's, [positions][channels]
  char* rest;

  Operands(const ConvArgs& c, const Few& f, char* scratch)
      : windows(reinterpret_cast<T*>(scratch)), rows(reinterpret_cast<T*>(scratch + round_up(f.total * f.window * int64_t(sizeof(T)), 64))),
        rest(scratch + bytes(c, f)) {}
  static int64_t bytes(const ConvArgs& c, const Few& f) {
    return round_up(f.total * f.window * int64_t(sizeof(T)), 64) + round_up(f.total * c.out_channels * int64_t(sizeof(T)), 64);
  }
};

int64_t scratch_of(const ConvArgs& c, const Few& f, const GemmArgs& g) {
  return with_type(c.dtype, [&](auto zero) { return Operands<decltype(zero)>::bytes(c, f); }) + gemm_scratch(g);
}

constexpr int64_t kTaps = 512;  // at most: those of a position are kept on the stack

// The taps of a position that read an element: which they are, and where in x's plane they read.
struct Reach {
  int64_t count;
  int32_t tap[kTaps];
  int64_t at[kTaps];

  Reach(const ConvArgs& c, int64_t position) : count(0) {
    const int64_t q[3] = {position / c.out[2] / c.out[1], position / c.out[2] % c.out[1], position % c.out[2]};
    int32_t index = 0;
    int64_t t[3];
    for (t[0] = 0; t[0] < c.kernel[0]; ++t[0])
      for (t[1] = 0; t[1] < c.kernel[1]; ++t[1])
        for (t[2] = 0; t[2] < c.kernel[2]; ++t[2], ++index) {
          int64_t flat = 0;
          for (int d = 0; d < 3 && flat >= 0; ++d) {
            const int64_t i = q[d] * c.stride[d] - c.padding[d] + t[d] * c.dilation[d];
            flat = i < 0 || i >= c.in[d] ? -1 : flat * c.in[d] + i;
          }
          if (flat < 0) continue;
          tap[count] = index;
          at[count++] = flat;
        }
  }
};

// Channels at a time, whose planes stay in the first cache while all positions read them.
int64_t channel_block(const ConvArgs& c, const Few& f, int64_t item) {
  constexpr int64_t kBytes = 16384;
  return least(c.in_channels, most(8, kBytes / (f.plane * item)));
}

// windows[n][channel][tap] of one group
template <class T> void write_windows(const ConvArgs& c, const Few& f, int64_t group, const T* x, T* windows) {
  const int64_t block = channel_block(c, f, sizeof(T)), blocks = ceil_div(c.in_channels, block);
  auto write = [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / blocks, first = task % blocks * block, count = least(block, c.in_channels - first);
      const T* const planes = x + ((image * c.groups + group) * c.in_channels + first) * f.plane;
      for (int64_t p = 0; p < f.positions; ++p) {
        const Reach reach(c, p);
        T* to = windows + (image * f.positions + p) * f.window + first * f.taps;
        if (reach.count < f.taps) memset(to, 0, size_t(count * f.taps) * sizeof(T));
        const T* from = planes;
        for (int64_t channel = 0; channel < count; ++channel, from += f.plane, to += f.taps)
          for (int64_t t = 0; t < reach.count; ++t) to[reach.tap[t]] = from[reach.at[t]];
      }
    }
  };
  for_tasks(c.batch * blocks, f.positions * block * f.taps, true, write);
}

// A group's channels between y [image][channel][position] and rows [image, position][channel], a line's worth of channels at a
// time: whole columns of rows, a power of two apart, would push each other out of the first cache.
template <class T, bool into_y> void turn(const ConvArgs& c, const Few& f, int64_t group, T* y, T* rows) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t blocks = ceil_div(c.out_channels, kLine);
  auto move = [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / blocks, first = task % blocks * kLine, count = least(kLine, c.out_channels - first);
      T* const planes = y + ((image * c.groups + group) * c.out_channels + first) * f.positions;
      T* line = rows + image * f.positions * c.out_channels + first;
      for (int64_t p = 0; p < f.positions; ++p, line += c.out_channels)
        for (int64_t l = 0; l < count; ++l) {
          if (into_y) planes[l * f.positions + p] = line[l];
          else line[l] = planes[l * f.positions + p];
        }
    }
  };
  for_tasks(c.batch * blocks, f.positions * kLine, true, move);
}

// The three products, without their operands: y's rows by windows, dy's rows by weights, dy's rows by windows.
GemmArgs product(DType dtype, int64_t m, int64_t n, int64_t k) {
  GemmArgs g = {};
  g.dtype = dtype;
  g.m = m, g.n = n, g.k = k, g.batch = 1;
  g.c_row = n, g.c_col = 1;
  g.alpha = 1;
  return g;
}

GemmArgs forward_product(const ConvArgs& c, const Few& f) {
  GemmArgs g = product(c.dtype, f.total, c.out_channels, f.window);
  g.a_row = f.window, g.a_col = 1;
  g.b_row = 1, g.b_col = f.window;
  g.bias = c.bias, g.bias_stride = 1;
  g.activation = c.activation;
  return g;
}

GemmArgs data_product(const ConvArgs& c, const Few& f) {
  GemmArgs g = product(c.dtype, f.total, f.window, c.out_channels);
  g.a_row = c.out_channels, g.a_col = 1;
  g.b_row = f.window, g.b_col = 1;
  return g;
}

GemmArgs weight_product(const ConvArgs& c, const Few& f) {
  GemmArgs g = product(c.dtype, c.out_channels, f.window, f.total);
  g.a_row = 1, g.a_col = c.out_channels;
  g.b_row = f.window, g.b_col = 1;
  return g;
}

// dx of one group: each element the sum of the windows that reach it, in the order of positions and taps.
template <class T> void fold_windows(const ConvArgs& c, const Few& f, int64_t group, const T* windows, T* dx) {
  const int64_t block = channel_block(c, f, sizeof(T)), blocks = ceil_div(c.in_channels, block);
  auto fold = [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / blocks, first = task % blocks * block, count = least(block, c.in_channels - first);
      T* const planes = dx + ((image * c.groups + group) * c.in_channels + first) * f.plane;
      for (int64_t channel = 0; channel < count; ++channel) {
        const T start = c.bias ? static_cast<const T*>(c.bias)[group * c.in_channels + first + channel] : T(0);
        for (int64_t i = 0; i < f.plane; ++i) planes[channel * f.plane + i] = start;
      }
      for (int64_t p = 0; p < f.positions; ++p) {
        const Reach reach(c, p);
        const T* from = windows + (image * f.positions + p) * f.window + first * f.taps;
        T* to = planes;
        for (int64_t channel = 0; channel < count; ++channel, from += f.taps, to += f.plane)
          for (int64_t t = 0; t < reach.count; ++t) to[reach.at[t]] += from[reach.tap[t]];
      }
    }
  };
  for_tasks(c.batch * blocks, f.positions * block * f.taps, true, fold);
}

}  // namespace

bool few_accepts(const ConvArgs& c) {
  return c.dtype >= DType::float16 && c.dtype <= DType::float64 && worthwhile(c) && Few(c).taps <= kTaps;
}

// Windows are added up in the dtype itself, which 16 bits are too few for.
bool few_data_accepts(const ConvArgs& c) {
  return (c.dtype == DType::float32 || c.dtype == DType::float64) && c.activation == Activation::none && few_accepts(c);
}

int64_t few_scratch(const ConvArgs& c) {
  const Few f(c);
  return scratch_of(c, f, forward_product(c, f));
}

void few(const ConvArgs& c, char* scratch) {
  with_type(c.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Few f(c);
    const Operands<T> o(c, f, scratch);
    for (int64_t group = 0; group < c.groups; ++group) {
      write_windows(c, f, group, static_cast<const T*>(c.x), o.windows);
      GemmArgs g = forward_product(c, f);
      g.a = o.windows;
      g.b = static_cast<const T*>(c.w) + group * c.out_channels * f.window;
      if (c.bias) g.bias = static_cast<const T*>(c.bias) + group * c.out_channels;
      g.c = o.rows;
      gemm(g, o.rest);
      turn<T, true>(c, f, group, static_cast<T*>(c.y), o.rows);
    }
  });
}

int64_t few_data_scratch(const ConvArgs& c) {
  const Few f(c);
  return scratch_of(c, f, data_product(c, f));
}

void few_data(const ConvArgs& c, char* scratch) {
#if !defined(TESSEL_ONLY_BFLOAT16)
  auto run = [&](auto zero) {
    using T = decltype(zero);
    const Few f(c);
    const Operands<T> o(c, f, scratch);
    for (int64_t group = 0; group < c.groups; ++group) {
      turn<T, false>(c, f, group, static_cast<T*>(c.y), o.rows);
      GemmArgs g = data_product(c, f);
      g.a = o.rows;
      g.b = static_cast<const T*>(c.w) + group * c.out_channels * f.window;
      g.c = o.windows;
      gemm(g, o.rest);
      fold_windows(c, f, group, o.windows, static_cast<T*>(c.x));
    }
  };
  c.dtype == DType::float64 ? run(double{}) : run(float{});
#else
  (void)c, (void)scratch;
#endif
}

int64_t few_weight_scratch(const ConvArgs& c) {
  const Few f(c);
  return scratch_of(c, f, weight_product(c, f));
}

void few_weight(const ConvArgs& c, char* scratch) {
  with_type(c.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Few f(c);
    const Operands<T> o(c, f, scratch);
    for (int64_t group = 0; group < c.groups; ++group) {
      write_windows(c, f, group, static_cast<const T*>(c.x), o.windows);
      turn<T, false>(c, f, group, static_cast<T*>(c.y), o.rows);
      GemmArgs g = weight_product(c, f);
      g.a = o.rows;
      g.b = o.windows;
      g.c = static_cast<T*>(c.w) + group * c.out_channels * f.window;
      gemm(g, o.rest);
    }
  });
}

}  // namespace tessel::TESSEL_TARGET
