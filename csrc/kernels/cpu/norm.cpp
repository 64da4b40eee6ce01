// Normalisation: by rows (layer, group and rms norm) and by channels (batch and instance norm), forward and backward.
//
//   xhat = (x - mean) rstd          y = xhat w + b          g = dy w
//   dx = rstd (g - mean(g) - xhat mean(g xhat))             dw = sum(dy xhat)      db = sum(dy)
//
// Work is cut by shape into blocks whose sums are kept apart and joined in order, in double: a row's by lanes (rows.h), a
// channel's moments by Chan's formula, a weight's gradient block after block.
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kWork = 32768;  // elements that are worth a task; of float32, 128 KB: they stay in L2 for a second pass
constexpr int64_t kKept = 4096;   // floats of a 16-bit row that are kept between its three passes: 16 KB
constexpr int64_t kTile = 64;     // neighbouring channels that a task takes where they lie side by side

template <class T> using RealOf = typename VecOf<T>::Lane;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

void run(int64_t tasks, int64_t work, ParallelBody body, const void* context) {
  int64_t grain = work < kWork ? kWork / larger(work, 1) : 1;
  if (tasks <= grain) body((void*)context, 0, tasks, 0);
  else parallel_for(tasks, grain, body, (void*)context);
}

template <template <class> class Body> ParallelBody body_for(DType dtype) {
  return dtype == DType::float64 ? Body<double>::run : dtype == DType::float32 ? Body<float>::run
       : dtype == DType::float16 ? Body<Half>::run : Body<BFloat>::run;
}

// ---- rows

// Calls f(first, length, weights) for the spans of a row that share a weight: all of it, each element with a weight of its
// own, where inner is 1. `weights` is the number of the first weight.
template <class F> inline void each_span(const RowNormArgs& args, int64_t row, F f) {
  int64_t per_row = args.n / args.inner, first = row % args.groups * per_row;
  if (args.inner == 1) f(int64_t(0), args.n, first);
  else for (int64_t k = 0; k < per_row; ++k) f(k * args.inner, args.inner, first + k);
}

// w[i] for each lane where every element has its weight, else the same for all; `otherwise` where there are none.
template <class T> struct Weights {
  using V = VecOf<T>;
  const RealOf<T>* w;
  bool each;
  V otherwise;
  V operator()(int64_t i, int lanes) const { return !w ? otherwise : each ? get(w + i, lanes) : V::of(*w); }
};
template <class T> inline Weights<T> weights_from(const RowNormArgs& args, const void* w, int64_t first, double otherwise) {
  return {w ? (const RealOf<T>*)w + first : nullptr, args.inner == 1, VecOf<T>(otherwise)};
}

// The row of sum = x + residual, whose denormals are those of any other addition.
template <class T> inline const T* add_residual(const RowNormArgs& args, int64_t row) {
  Gradual gradual;
  const T *x = (const T*)args.x + row * args.n, *residual = (const T*)args.residual + row * args.n;
  T* sum = (T*)args.sum + row * args.n;
  each<T>(args.n, [=](int64_t i, int lanes) { put(get(x + i, lanes) + get(residual + i, lanes), sum + i, lanes); });
  return sum;
}

// One row, forward. What the passes read is x, or `kept`, its floats, if that is not null and the first pass fills it.
template <class T, class R> inline void forward_row(const RowNormArgs& args, int64_t row, [[maybe_unused]] R* kept) {
  using V = VecOf<T>;
  const int64_t n = args.n;
  const T* x = args.residual ? add_residual<T>(args, row) : (const T*)args.x + row * n;
  T* y = (T*)args.y + row * n;
  constexpr bool keeps = !same<T, R>;
  auto read = [=](int64_t i, int lanes) {
    if constexpr (keeps) return get((const R*)kept + i, lanes);
    else return get(x + i, lanes);
  };
  auto fill = [=](int64_t i, int lanes) {
    V a = get(x + i, lanes);
    if constexpr (keeps) put<R>(a, kept + i, lanes);
    return a;
  };
  double mean = args.centred ? sum_row<T>(n, fill) / double(n) : 0;
  V middle = V(mean);
  auto squares = [=](auto from) {
    return sum_row<T>(n, [=](int64_t i, int lanes) {
      V d = from(i, lanes) - middle;
      return d * d;
    });
  };
  double square = args.centred ? squares(read) : squares(fill);
  double rstd = 1 / __builtin_sqrt(square / double(n) + args.eps);
  V scale = V(rstd);
  each_span(args, row, [&](int64_t first, int64_t length, int64_t number) {
    auto w = weights_from<T>(args, args.weight, number, 1), b = weights_from<T>(args, args.bias, number, 0);
    T* to = y + first;
    each<T>(length, [=](int64_t i, int lanes) {
      put(fma((read(first + i, lanes) - middle) * scale, w(i, lanes), b(i, lanes)), to + i, lanes);
    });
  });
  if (args.mean) ((RealOf<T>*)args.mean)[row] = RealOf<T>(mean);
  ((RealOf<T>*)args.rstd)[row] = RealOf<T>(rstd);
}

template <class T> struct RowForward {
  static void run(void* context, int64_t begin, int64_t end, int) {
    const RowNormArgs& args = *(const RowNormArgs*)context;
    Flush flush;
    if constexpr (sizeof(T) == 2) {
      alignas(64) float kept[kKept];
      if (args.n <= kKept) {
        for (int64_t row = begin; row < end; ++row) forward_row<T, float>(args, row, kept);
        return;
      }
    }
    for (int64_t row = begin; row < end; ++row) forward_row<T, T>(args, row, nullptr);
  }
};

// Rows whose contributions to dweight and dbias are summed by one task: whole rounds of groups, enough of them that the
// partial sums stay small beside x, few enough that their float sums stay exact to some digits.
int64_t rows_per_block(const RowNormArgs& args) {
  if (!args.dweight) return 1;
  int64_t rounds = kWork / larger(args.n * args.groups, 1), least = args.inner == 1 ? 8 : 1;
  return args.groups * smaller(larger(rounds, least), 512);
}
int64_t weights_of(const RowNormArgs& args) { return args.groups * (args.n / args.inner); }

struct RowBlocks {
  RowNormArgs args;
  int64_t rows, blocks, weights;
  void* partial;  // [blocks][2][weights]: sums of dy xhat, and of dy
};

// Two sums over the elements of a row, or of a channel, in lanes that outlive the planes its elements lie in.
template <class T> struct TwoSums {
  using V = VecOf<T>;
  V a[2] = {V(0), V(0)}, b[2] = {V(0), V(0)};
  int64_t pending = 0;  // elements that are in the lanes, not in the totals
  double first = 0, second = 0;

  template <class F> void add(int64_t n, F f) {  // f(i, lanes, a, b) adds to its lanes
    for (int64_t i = 0; i < n; i += kRowBlock) {
      int64_t stop = smaller(n, i + kRowBlock), j = i;
      for (; j + 2 * V::width <= stop; j += 2 * V::width) f(j, V::width, a[0], b[0]), f(j + V::width, V::width, a[1], b[1]);
      for (; j < stop; j += V::width) {
        int lanes = int(smaller(V::width, stop - j));
        V c = a[0], d = b[0];
        f(j, lanes, c, d);
        a[0] = first_of(c, lanes, a[0]);
        b[0] = first_of(d, lanes, b[0]);
      }
      if ((pending += stop - i) >= kRowBlock) flush();
    }
  }
  void flush() {
    first += double(fold(a[0] + a[1], Plus()));
    second += double(fold(b[0] + b[1], Plus()));
    a[0] = a[1] = b[0] = b[1] = V(0);
    pending = 0;
  }
};

template <class T> struct RowBackward {
  using V = VecOf<T>;
  using R = RealOf<T>;
  static void run(void* context, int64_t begin, int64_t end, int) {
    const RowBlocks& plan = *(const RowBlocks*)context;
    Flush flush;
    for (int64_t block = begin; block < end; ++block) {
      R* dw = plan.partial ? (R*)plan.partial + block * 2 * plan.weights : nullptr;
      R* db = dw ? dw + plan.weights : nullptr;
      if (dw) memset(dw, 0, size_t(2 * plan.weights) * sizeof(R));
      int64_t last = smaller((block + 1) * plan.rows, plan.args.rows);
      for (int64_t row = block * plan.rows; row < last; ++row) one(plan.args, row, dw, db);
    }
  }

  static void one(const RowNormArgs& args, int64_t row, R* dw, R* db) {
    const int64_t n = args.n;
    const T *x = (const T*)args.x + row * n, *dy = (const T*)args.dy + row * n;
    V middle = V::of(args.centred ? ((const R*)args.mean)[row] : R(0)), scale = V::of(((const R*)args.rstd)[row]);
    auto xhat = [=](int64_t i, int lanes) { return (get(x + i, lanes) - middle) * scale; };
    double sum = 0, sum_hat = 0;  // of g and of g xhat
    each_span(args, row, [&](int64_t first, int64_t length, int64_t number) {
      auto w = weights_from<T>(args, args.weight, number, 1);
      if (args.inner == 1) {  // one pass over x and dy for all four sums
        TwoSums<T> sums;
        if (dw) {
          R *to = dw + number, *to_bias = db + number;
          sums.add(n, [=](int64_t i, int lanes, V& a, V& b) {
            V g = get(dy + i, lanes), hat = xhat(i, lanes), gw = g * w(i, lanes);
            a = a + gw;
            b = fma(gw, hat, b);
            put(fma(g, hat, get(to + i, lanes)), to + i, lanes);
            put(get(to_bias + i, lanes) + g, to_bias + i, lanes);
          });
        } else {
          sums.add(n, [=](int64_t i, int lanes, V& a, V& b) {
            V gw = get(dy + i, lanes) * w(i, lanes);
            a = a + gw;
            b = fma(gw, xhat(i, lanes), b);
          });
        }
        sums.flush();
        sum += sums.first, sum_hat += sums.second;
      } else {
        double s = sum_row<T>(length, [=](int64_t i, int lanes) { return get(dy + first + i, lanes); });
        double s_hat = sum_row<T>(length, [=](int64_t i, int lanes) { return get(dy + first + i, lanes) * xhat(first + i, lanes); });
        double weight = args.weight ? double(((const R*)args.weight)[number]) : 1;
        sum += weight * s;
        sum_hat += weight * s_hat;
        if (dw) dw[number] += R(s_hat), db[number] += R(s);
      }
    });
    if (!args.dx) return;
    T* dx = (T*)args.dx + row * n;
    const T* dsum = args.dsum ? (const T*)args.dsum + row * n : nullptr;
    V mean_g = V(args.centred ? sum / double(n) : 0), mean_hat = V(sum_hat / double(n));
    each_span(args, row, [&](int64_t first, int64_t length, int64_t number) {
      auto w = weights_from<T>(args, args.weight, number, 1);
      each<T>(length, [=](int64_t i, int lanes) {
        V g = get(dy + first + i, lanes) * w(i, lanes), d = scale * (g - mean_g - xhat(first + i, lanes) * mean_hat);
        put(dsum ? d + get(dsum + first + i, lanes) : d, dx + first + i, lanes);
      });
    });
  }
};

// Neighbouring weights side by side: a block's partial sums are read along memory.
template <class R> void join_weights(void* context, int64_t begin, int64_t end, int) {
  const RowBlocks& plan = *(const RowBlocks*)context;
  R* to[2] = {(R*)plan.args.dweight, (R*)plan.args.dbias};
  for (int64_t i = begin; i < end; i += kTile) {
    int64_t width = smaller(kTile, end - i);
    for (int k = 0; k < 2; ++k) {
      if (!to[k]) continue;
      double sum[kTile] = {};
      for (int64_t block = 0; block < plan.blocks; ++block) {
        const R* part = (const R*)plan.partial + (2 * block + k) * plan.weights + i;
        TESSEL_INDEPENDENT
        for (int64_t j = 0; j < width; ++j) sum[j] += double(part[j]);
      }
      for (int64_t j = 0; j < width; ++j) to[k][i + j] = R(sum[j]);
    }
  }
}

// ---- channels

// How one channel's elements are cut into chunks, and which channels a task takes: neighbours in vector lanes where inner
// is 1 (a chunk is then of rows), else one.
struct ChannelPlan {
  ChannelNormArgs args;
  int64_t count;             // elements of a channel
  int64_t tile, tiles;       // channels of a task, and such tiles
  int64_t chunk, chunks;     // elements of a channel that a task takes
  double* partial;           // [chunks][channels][2]
  double* sums;              // [2][channels] of the compute type: what dx takes
};

ChannelPlan plan_channels(const ChannelNormArgs& args) {
  ChannelPlan plan = {};
  plan.args = args;
  plan.count = args.batch * args.inner;
  plan.tile = args.inner == 1 ? kTile : 1;
  plan.tiles = ceil_div(args.channels, plan.tile);
  plan.chunk = kWork / smaller(plan.tile, larger(args.channels, 1));
  plan.chunks = larger(ceil_div(plan.count, plan.chunk), 1);
  return plan;
}
int64_t partials(const ChannelPlan& plan) { return plan.chunks * plan.args.channels * 2 * int64_t(sizeof(double)); }
int64_t work_of(const ChannelPlan& plan) { return smaller(plan.count, plan.chunk) * smaller(plan.tile, plan.args.channels); }

// A task's part: elements [begin, end) of channels [channel, channel + width).
struct Part {
  int64_t chunk, begin, end, channel, width;
  double* out;  // of the first channel
};
Part part_of(const ChannelPlan& plan, int64_t task) {
  int64_t chunk = task / plan.tiles, channel = task % plan.tiles * plan.tile, begin = chunk * plan.chunk;
  return {chunk, begin, smaller(begin + plan.chunk, plan.count), channel, smaller(plan.tile, plan.args.channels - channel),
          plan.partial + (chunk * plan.args.channels + channel) * 2};
}

// Calls f(offset, length) for the parts of planes that a chunk of one channel consists of.
template <class F> inline void each_plane(const ChannelNormArgs& args, const Part& part, F f) {
  for (int64_t i = part.begin; i < part.end;) {
    int64_t at = i % args.inner, length = smaller(args.inner - at, part.end - i);
    f((i / args.inner * args.channels + part.channel) * args.inner + at, length);
    i += length;
  }
}

// Two sums for each of a tile's channels over rows: f(row offset, column, lanes, a, b). A strip of two vectors of channels goes
// down 32 rows with its sums in registers; the tile's rows stay in L1 for the next strip.
template <class T, class F> inline void sum_tile(const ChannelNormArgs& args, const Part& part, double (*sums)[2], F f) {
  using V = VecOf<T>;
  constexpr int64_t kRows = 32;  // rows that are added in the compute type
  constexpr int w = V::width;
  for (int64_t k = 0; k < part.width; ++k) sums[k][0] = sums[k][1] = 0;
  for (int64_t i = part.begin; i < part.end; i += kRows) {
    const int64_t last = smaller(i + kRows, part.end);
    for (int64_t k = 0; k < part.width; k += 2 * w) {
      V a[2] = {V(0), V(0)}, b[2] = {V(0), V(0)};
      RealOf<T> first[2 * w], second[2 * w];
      const int64_t width = smaller(2 * w, part.width - k);
      const int one = int(smaller(w, width)), other = int(width - one);
      int64_t at = i * args.channels + part.channel + k;
      if (other == w) {
        for (int64_t row = i; row < last; ++row, at += args.channels) f(at, k, w, a[0], b[0]), f(at + w, k + w, w, a[1], b[1]);
      } else {
        for (int64_t row = i; row < last; ++row, at += args.channels) {
          f(at, k, one, a[0], b[0]);
          if (other) f(at + w, k + w, other, a[1], b[1]);
        }
      }
      a[0].store(first), a[1].store(first + w), b[0].store(second), b[1].store(second + w);
      for (int64_t j = 0; j < width; ++j) sums[k + j][0] += double(first[j]), sums[k + j][1] += double(second[j]);
    }
  }
}

// Mean and squared distances of a chunk, in two passes over L2. What the rounding of the mean left over is the mean of the distances.
template <class T> struct ChannelMoments {
  using V = VecOf<T>;
  static void finish(double near, double rest, double squares, double n, double* out) {
    out[0] = near + rest / n;
    out[1] = squares - rest * rest / n;
  }
  static void run(void* context, int64_t begin, int64_t end, int) {
    const ChannelPlan& plan = *(const ChannelPlan*)context;
    const T* x = (const T*)plan.args.x;
    Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      Part part = part_of(plan, task);
      double n = double(part.end - part.begin);
      if (plan.tile == 1) {
        TwoSums<T> sums;
        each_plane(plan.args, part, [&](int64_t at, int64_t length) {
          sums.add(length, [=](int64_t i, int lanes, V& a, V&) { a = a + get(x + at + i, lanes); });
        });
        sums.flush();
        RealOf<T> near = RealOf<T>(sums.first / n);
        V middle = V::of(near);
        TwoSums<T> apart;
        each_plane(plan.args, part, [&](int64_t at, int64_t length) {
          apart.add(length, [=](int64_t i, int lanes, V& a, V& b) {
            V d = get(x + at + i, lanes) - middle;
            a = a + d;
            b = b + d * d;
          });
        });
        apart.flush();
        finish(double(near), apart.first, apart.second, n, part.out);
      } else {
        double sums[kTile][2];
        RealOf<T> near[kTile];
        sum_tile<T>(plan.args, part, sums, [=](int64_t at, int64_t, int lanes, V& a, V&) { a = a + get(x + at, lanes); });
        for (int64_t k = 0; k < part.width; ++k) near[k] = RealOf<T>(sums[k][0] / n);
        sum_tile<T>(plan.args, part, sums, [x, &near](int64_t at, int64_t k, int lanes, V& a, V& b) {
          V d = get(x + at, lanes) - get(near + k, lanes);
          a = a + d;
          b = b + d * d;
        });
        for (int64_t k = 0; k < part.width; ++k) finish(double(near[k]), sums[k][0], sums[k][1], n, part.out + 2 * k);
      }
    }
  }
};

template <class R> void join_moments(const ChannelPlan& plan) {
  for (int64_t c = 0; c < plan.args.channels; ++c) {
    double n = 0, mean = 0, squares = 0;
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      const double* part = plan.partial + (chunk * plan.args.channels + c) * 2;
      double more = double(smaller(plan.chunk, plan.count - chunk * plan.chunk)), total = n + more, d = part[0] - mean;
      mean += d * (more / total);
      squares += part[1] + d * d * (n * more / total);
      n = total;
    }
    ((R*)plan.args.moment[0])[c] = R(mean);
    ((R*)plan.args.moment[1])[c] = R(squares / n);
  }
}

// A parameter or statistic of channel c, and of the channels from c on in lanes.
template <class T> inline VecOf<T> of_channel(const void* p, int64_t c, double otherwise) {
  return p ? VecOf<T>::of(((const RealOf<T>*)p)[c]) : VecOf<T>(otherwise);
}
template <class T> inline VecOf<T> of_channels(const void* p, int64_t c, int lanes, double otherwise) {
  return p ? get((const RealOf<T>*)p + c, lanes) : VecOf<T>(otherwise);
}

// Tasks of the elementwise passes: pieces of planes, or of rows of channels.
struct Pieces {
  int64_t length, per_line, count;
};
Pieces pieces_of(const ChannelNormArgs& args) {
  int64_t line = args.inner == 1 ? args.channels : args.inner, lines = args.inner == 1 ? args.batch : args.batch * args.channels;
  int64_t per_line = larger(ceil_div(line, kWork), 1);
  return {smaller(line, kWork), per_line, lines * per_line};
}

// Calls f(at, c, inner) for a piece: `at` elements from the start, c the channel of its first element.
template <class F> inline void each_piece(const ChannelNormArgs& args, int64_t begin, int64_t end, F f) {
  Pieces pieces = pieces_of(args);
  int64_t line_length = args.inner == 1 ? args.channels : args.inner;
  for (int64_t t = begin; t < end; ++t) {
    int64_t line = t / pieces.per_line, first = t % pieces.per_line * kWork;
    f(line * line_length + first, smaller(kWork, line_length - first), args.inner == 1 ? first : line % args.channels);
  }
}

template <class T> struct ChannelForward {
  using V = VecOf<T>;
  static void run(void* context, int64_t begin, int64_t end, int) {
    const ChannelNormArgs& args = *(const ChannelNormArgs*)context;
    Flush flush;
    each_piece(args, begin, end, [&](int64_t at, int64_t length, int64_t c) {
      const T* x = (const T*)args.x + at;
      T* y = (T*)args.y + at;
      if (args.inner == 1) {
        each<T>(length, [&](int64_t i, int lanes) {
          V scale = of_channels<T>(args.rstd, c + i, lanes, 1) * of_channels<T>(args.weight, c + i, lanes, 1);
          put(fma(get(x + i, lanes) - of_channels<T>(args.mean, c + i, lanes, 0), scale, of_channels<T>(args.bias, c + i, lanes, 0)), y + i, lanes);
        });
      } else {
        V mean = of_channel<T>(args.mean, c, 0), bias = of_channel<T>(args.bias, c, 0);
        V scale = of_channel<T>(args.rstd, c, 1) * of_channel<T>(args.weight, c, 1);
        each<T>(length, [=](int64_t i, int lanes) { put(fma(get(x + i, lanes) - mean, scale, bias), y + i, lanes); });
      }
    });
  }
};

// Sums of dy and of dy (x - mean) over a chunk.
template <class T> struct ChannelSums {
  using V = VecOf<T>;
  static void run(void* context, int64_t begin, int64_t end, int) {
    const ChannelPlan& plan = *(const ChannelPlan*)context;
    const T *x = (const T*)plan.args.x, *dy = (const T*)plan.args.dy;
    const RealOf<T>* means = (const RealOf<T>*)plan.args.mean;
    Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      Part part = part_of(plan, task);
      if (plan.tile == 1) {
        TwoSums<T> sums;
        V mean = V::of(means[part.channel]);
        each_plane(plan.args, part, [&](int64_t at, int64_t length) {
          sums.add(length, [=](int64_t i, int lanes, V& a, V& b) {
            V g = get(dy + at + i, lanes);
            a = a + g;
            b = fma(g, get(x + at + i, lanes) - mean, b);
          });
        });
        sums.flush();
        part.out[0] = sums.first, part.out[1] = sums.second;
      } else {
        sum_tile<T>(plan.args, part, (double (*)[2])part.out, [=](int64_t at, int64_t k, int lanes, V& a, V& b) {
          V g = get(dy + at, lanes);
          a = a + g;
          b = fma(g, get(x + at, lanes) - get(means + part.channel + k, lanes), b);
        });
      }
    }
  }
};

// The sums of all chunks: dbias and, times rstd, dweight. What dx takes of them stays in `sums`: mean(dy), rstd^2 mean(dy (x - mean)).
template <class R> void join_sums(const ChannelPlan& plan) {
  const ChannelNormArgs& args = plan.args;
  for (int64_t c = 0; c < args.channels; ++c) {
    double sum = 0, product = 0, rstd = double(((const R*)args.rstd)[c]), n = double(plan.count);
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      const double* part = plan.partial + (chunk * args.channels + c) * 2;
      sum += part[0];
      product += part[1];
    }
    if (args.dweight) ((R*)args.dweight)[c] = R(product * rstd);
    if (args.dbias) ((R*)args.dbias)[c] = R(sum);
    ((R*)plan.sums)[c] = R(sum / n);
    ((R*)plan.sums)[args.channels + c] = R(product * rstd * rstd / n);
  }
}

template <class T> struct ChannelBackward {
  using V = VecOf<T>;
  static void run(void* context, int64_t begin, int64_t end, int) {
    const ChannelPlan& plan = *(const ChannelPlan*)context;
    const ChannelNormArgs& args = plan.args;
    const RealOf<T>* sums = (const RealOf<T>*)plan.sums;
    Flush flush;
    each_piece(args, begin, end, [&](int64_t at, int64_t length, int64_t c) {
      const T *x = (const T*)args.x + at, *dy = (const T*)args.dy + at;
      T* dx = (T*)args.dx + at;
      if (args.inner == 1) {
        each<T>(length, [&](int64_t i, int lanes) {
          V scale = of_channels<T>(args.rstd, c + i, lanes, 1) * of_channels<T>(args.weight, c + i, lanes, 1), g = get(dy + i, lanes);
          if (args.training) {
            V a = get(sums + c + i, lanes), b = get(sums + args.channels + c + i, lanes);
            g = g - a - (get(x + i, lanes) - of_channels<T>(args.mean, c + i, lanes, 0)) * b;
          }
          put(g * scale, dx + i, lanes);
        });
      } else {
        V scale = of_channel<T>(args.rstd, c, 1) * of_channel<T>(args.weight, c, 1), mean = of_channel<T>(args.mean, c, 0);
        if (args.training) {
          V a = V::of(sums[c]), b = V::of(sums[args.channels + c]);
          each<T>(length, [=](int64_t i, int lanes) {
            put((get(dy + i, lanes) - a - (get(x + i, lanes) - mean) * b) * scale, dx + i, lanes);
          });
        } else {
          each<T>(length, [=](int64_t i, int lanes) { put(get(dy + i, lanes) * scale, dx + i, lanes); });
        }
      }
    });
  }
};

}  // namespace

void row_norm(const RowNormArgs& args) {
  if (args.rows * args.n == 0) return;
  run(args.rows, args.n, body_for<RowForward>(args.dtype), &args);
}

int64_t row_norm_backward_scratch(const RowNormArgs& args) {
  if (!args.dweight) return 0;
  return ceil_div(args.rows, rows_per_block(args)) * 2 * weights_of(args) * (args.dtype == DType::float64 ? 8 : 4);
}

void row_norm_backward(const RowNormArgs& args, void* scratch) {
  RowBlocks plan = {args, rows_per_block(args), 0, weights_of(args), args.dweight ? scratch : nullptr};
  plan.blocks = ceil_div(args.rows, plan.rows);
  run(plan.blocks, plan.rows * args.n, body_for<RowBackward>(args.dtype), &plan);
  if (args.dweight) run(plan.weights, 2 * plan.blocks, args.dtype == DType::float64 ? join_weights<double> : join_weights<float>, &plan);
}

int64_t channel_moments_scratch(const ChannelNormArgs& args) { return partials(plan_channels(args)); }

void channel_moments(const ChannelNormArgs& args, void* scratch) {
  ChannelPlan plan = plan_channels(args);
  plan.partial = (double*)scratch;
  run(plan.tiles * plan.chunks, work_of(plan), body_for<ChannelMoments>(args.dtype), &plan);
  if (args.dtype == DType::float64) join_moments<double>(plan);
  else join_moments<float>(plan);
}

void channel_norm(const ChannelNormArgs& args) {
  Pieces pieces = pieces_of(args);
  run(pieces.count, pieces.length, body_for<ChannelForward>(args.dtype), &args);
}

int64_t channel_norm_backward_scratch(const ChannelNormArgs& args) {
  return partials(plan_channels(args)) + args.channels * 2 * int64_t(sizeof(double));
}

void channel_norm_backward(const ChannelNormArgs& args, void* scratch) {
  ChannelPlan plan = plan_channels(args);
  plan.sums = (double*)scratch;
  plan.partial = plan.sums + args.channels * 2;
  if (args.training || args.dweight || args.dbias) {
    run(plan.tiles * plan.chunks, work_of(plan), body_for<ChannelSums>(args.dtype), &plan);
    if (args.dtype == DType::float64) join_sums<double>(plan);
    else join_sums<float>(plan);
  }
  Pieces pieces = pieces_of(args);
  if (args.dx) run(pieces.count, pieces.length, body_for<ChannelBackward>(args.dtype), &plan);
}

}  // namespace tessel::TESSEL_TARGET
