// Convolution, forward and both backwards, and pooling against naive double references: one to three dimensions, strides,
// paddings, dilations, groups, dtypes; the same bits at 1, 2 and 3 threads; nothing written outside.
#include <algorithm>

#include "kernel_test.h"
#include "kernels/cpu/entries_gemm.h"

using namespace tessel;
using namespace test;
namespace target = tessel::TESSEL_TARGET;

namespace {

Rng rng;

std::string text(const ConvArgs& c) {
  char s[300];
  std::snprintf(s, sizeof s, "%s batch %ld groups %ld channels %ld->%ld in %ldx%ldx%ld kernel %ldx%ldx%ld stride %ld,%ld,%ld padding %ld,%ld,%ld dilation %ld,%ld,%ld",
                name_of(c.dtype), long(c.batch), long(c.groups), long(c.in_channels), long(c.out_channels), long(c.in[0]), long(c.in[1]),
                long(c.in[2]), long(c.kernel[0]), long(c.kernel[1]), long(c.kernel[2]), long(c.stride[0]), long(c.stride[1]),
                long(c.stride[2]), long(c.padding[0]), long(c.padding[1]), long(c.padding[2]), long(c.dilation[0]),
                long(c.dilation[1]), long(c.dilation[2]));
  return s;
}

int64_t product(const int64_t* d) { return d[0] * d[1] * d[2]; }

using Entry = void (*)(const ConvArgs&, void*);
using EntryScratch = int64_t (*)(const ConvArgs&);

// Runs an entry at 1, 2 and 3 threads into copies of `result`, which it replaces by what came out.
void run(const char* name, ConvArgs c, void* ConvArgs::*where, Block& result, Entry entry, EntryScratch bytes, Block* bias = nullptr) {
  Block first = result;
  for (int threads = 1; threads <= 3; ++threads) {
    set_num_threads(threads);
    Block out = result;
    Block db = bias ? *bias : Block(c.dtype, 1);
    c.*where = out.data();
    if (bias) c.bias = db.data();
    Scratch scratch(bytes(c));
    entry(c, scratch.data());
    check(scratch.intact(), std::string(name) + " scratch overrun " + text(c));
    check(out.intact() && db.intact(), std::string(name) + " canary " + text(c));
    if (threads == 1) {
      first = out;
      if (bias) *bias = db;
    } else {
      check(out.same(first) && (!bias || db.same(*bias)), std::string(name) + " threads change bits " + text(c));
    }
  }
  result = first;
}

// May Winograd's squares be at work? Kernels of 2, 3 or 5 taps a side, or those of the residues of dx where there are steps.
bool has_squares(const ConvArgs& c) {
  auto taps = [&](int64_t n) { return n == 2 || n == 3 || n == 5; };
  auto some = [&](int d) { return taps(c.kernel[d] / c.stride[d]) || taps((c.kernel[d] + c.stride[d] - 1) / c.stride[d]); };
  return some(1) && some(2) && c.in_channels >= 8 && c.out_channels >= 8 && c.dtype != DType::float64;
}

// `size` holds the sum of the magnitudes that went into each result, `plane` results make an image of one channel. Some
// kernels may be multiplied by Winograd's squares: what rounds one result of a square rounds them all, so that a result at
// the padding, of few products, may be off by what its neighbours' many cost.
void compare(const char* name, const ConvArgs& c, const Block& got, const std::vector<double>& want, std::vector<double> size,
             double terms, int64_t plane) {
  double worst = 0;
  const bool squares = has_squares(c);
  for (size_t first = 0; squares && first < size.size(); first += size_t(plane)) {
    const auto begin = size.begin() + int64_t(first);
    std::fill(begin, begin + plane, *std::max_element(begin, begin + plane));
  }
  const double unit = rounding(c.dtype == DType::float64 ? c.dtype : DType::float32);
  for (int64_t i = 0; i < got.count; ++i) {
    const double bound = (8 + 2 * std::sqrt(terms)) * unit * size[size_t(i)] + (c.dtype == DType::float16 ? 0x1p-25 : 1e-30) + rounding(c.dtype) * 1.01 * std::fabs(want[size_t(i)]);
    const double error = std::fabs(got[i] - want[size_t(i)]) / bound;
    if (!(error <= worst)) worst = error;
  }
  check(worst <= 1, std::string(name) + " error " + std::to_string(worst) + " of the bound " + text(c));
}

void conv_case(ConvArgs c, bool with_bias, Activation activation = Activation::none) {
  for (int d = 0; d < 3; ++d)
    if (c.out[d] == 0) c.out[d] = (c.in[d] + 2 * c.padding[d] - c.dilation[d] * (c.kernel[d] - 1) - 1) / c.stride[d] + 1;
  const int64_t xc = c.groups * c.in_channels, yc = c.groups * c.out_channels, taps = product(c.kernel);
  const int64_t xp = product(c.in), yp = product(c.out);
  Block x(c.dtype, c.batch * xc * xp, 1), w(c.dtype, yc * c.in_channels * taps, 3), y(c.dtype, c.batch * yc * yp, 1);
  Block b(c.dtype, yc), dx_bias(c.dtype, xc);
  for (Block* block : {&x, &w, &y, &b, &dx_bias}) block->fill([] { return rng.uniform(); });
  const Block dy = y;
  auto zeros = [](const Block& block) { return std::vector<double>(size_t(block.count), 0.0); };
  auto want_y = zeros(y), size_y = zeros(y), want_x = zeros(x), size_x = zeros(x), want_w = zeros(w), size_w = zeros(w);
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t o = 0; o < yc; ++o)
      for (int64_t i = 0; i < c.in_channels; ++i)
        for (int64_t q = 0; q < yp; ++q)
          for (int64_t t = 0; t < taps; ++t) {
            const int64_t qs[3] = {q / c.out[2] / c.out[1], q / c.out[2] % c.out[1], q % c.out[2]};
            const int64_t ts[3] = {t / c.kernel[2] / c.kernel[1], t / c.kernel[2] % c.kernel[1], t % c.kernel[2]};
            int64_t at[3];
            bool inside = true;
            for (int d = 0; d < 3; ++d) {
              at[d] = qs[d] * c.stride[d] - c.padding[d] + ts[d] * c.dilation[d];
              inside = inside && at[d] >= 0 && at[d] < c.in[d];
            }
            if (!inside) continue;
            const int64_t group = o / c.out_channels;
            const size_t xi = size_t(((n * c.groups + group) * c.in_channels + i) * xp + (at[0] * c.in[1] + at[1]) * c.in[2] + at[2]);
            const size_t wi = size_t((o * c.in_channels + i) * taps + t), yi = size_t((n * yc + o) * yp + q);
            const double xv = x[int64_t(xi)], wv = w[int64_t(wi)], dv = dy[int64_t(yi)];
            want_y[yi] += xv * wv; size_y[yi] += std::fabs(xv * wv);
            want_x[xi] += dv * wv; size_x[xi] += std::fabs(dv * wv);
            want_w[wi] += dv * xv; size_w[wi] += std::fabs(dv * xv);
          }
  c.x = x.data(); c.w = w.data();
  c.y = const_cast<void*>(dy.data());
  std::vector<double> want_b(size_t(yc), 0.0), size_b(size_t(yc), 0.0);
  for (int64_t i = 0; i < dy.count; ++i) {
    const size_t channel = size_t(i / yp % yc);
    want_b[channel] += dy[i];
    size_b[channel] += std::fabs(dy[i]);
  }
  for (int64_t i = 0; i < y.count; ++i) {
    const int64_t channel = i / yp % yc;
    double& v = want_y[size_t(i)];
    if (with_bias) { v += b[channel]; size_y[size_t(i)] += std::fabs(b[channel]); }
    if (activation == Activation::relu && v < 0) v = 0;
  }
  if (with_bias)
    for (int64_t i = 0; i < x.count; ++i) {
      const int64_t channel = i / xp % xc;
      want_x[size_t(i)] += dx_bias[channel];
      size_x[size_t(i)] += std::fabs(dx_bias[channel]);
    }
  ConvArgs f = c;
  f.bias = with_bias ? b.data() : nullptr;
  f.activation = activation;
  run("conv", f, &ConvArgs::y, y, target::conv, target::conv_scratch);
  compare("conv", c, y, want_y, size_y, double(c.in_channels * taps), yp);
  ConvArgs d = c;
  d.bias = with_bias ? dx_bias.data() : nullptr;
  Block dx = x;
  run("conv_backward_data", d, &ConvArgs::x, dx, target::conv_backward_data, target::conv_backward_data_scratch);
  compare("conv_backward_data", c, dx, want_x, size_x, double(c.out_channels * taps), xp);
  Block dw = w, db = b;
  run("conv_backward_weight", c, &ConvArgs::w, dw, target::conv_backward_weight, target::conv_backward_weight_scratch, &db);
  compare("conv_backward_weight", c, dw, want_w, size_w, double(c.batch * yp), taps);
  compare("conv_backward_weight bias", c, db, want_b, size_b, double(c.batch * yp), 1);
}

ConvArgs conv2d(DType d, int64_t batch, int64_t in, int64_t out, int64_t h, int64_t w, int64_t k, int64_t stride = 1, int64_t padding = 0,
                int64_t dilation = 1, int64_t groups = 1) {
  ConvArgs c{};
  c.dtype = d;
  c.batch = batch; c.groups = groups; c.in_channels = in / groups; c.out_channels = out / groups;
  for (int i = 0; i < 3; ++i) {
    c.in[i] = i == 0 ? 1 : i == 1 ? h : w;
    c.kernel[i] = i ? k : 1;
    c.stride[i] = i ? stride : 1;
    c.padding[i] = i ? padding : 0;
    c.dilation[i] = i ? dilation : 1;
  }
  return c;
}

void convs() {
  for (DType d : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
    conv_case(conv2d(d, 2, 3, 5, 7, 9, 3, 1, 1), true);
    conv_case(conv2d(d, 3, 16, 20, 8, 8, 3, 1, 1), false);
    conv_case(conv2d(d, 1, 3, 16, 20, 23, 7, 2, 3), true, Activation::relu);
    conv_case(conv2d(d, 5, 40, 17, 4, 4, 3, 2, 1), true);
    conv_case(conv2d(d, 2, 8, 12, 13, 11, 1), true);
    conv_case(conv2d(d, 2, 8, 12, 13, 11, 1, 2), false);
    conv_case(conv2d(d, 2, 8, 8, 15, 17, 3, 1, 2, 2), false);
    conv_case(conv2d(d, 2, 8, 8, 15, 40, 3, 3, 1, 2), true);
    conv_case(conv2d(d, 2, 12, 18, 9, 9, 3, 1, 1, 1, 3), true);
    conv_case(conv2d(d, 2, 10, 10, 12, 37, 3, 1, 1, 1, 10), true, Activation::relu);
    conv_case(conv2d(d, 2, 10, 20, 9, 12, 5, 2, 2, 1, 10), true);
    conv_case(conv2d(d, 1, 6, 6, 5, 150, 3, 1, 1, 1, 6), false);
    conv_case(conv2d(d, 1, 40, 33, 6, 6, 3, 1, 1), true);
    conv_case(conv2d(d, 4, 1, 6, 12, 12, 5), true);
    conv_case(conv2d(d, 1, 2, 2, 3, 3, 1, 5, 3), false);  // most of dx meets no tap
    conv_case(conv2d(d, 3, 20, 40, 4, 4, 3, 1, 1), true, Activation::relu);  // few positions, many weights
    conv_case(conv2d(d, 2, 64, 80, 5, 7, 3, 2, 1, 1, 2), true);
    conv_case(conv2d(d, 1, 3, 37, 24, 16, 8, 8), false);
    conv_case(conv2d(d, 4, 24, 40, 15, 22, 3, 1, 1), true, Activation::relu);  // Winograd's from here on
    conv_case(conv2d(d, 9, 20, 17, 6, 10, 3, 1, 2), true);
    conv_case(conv2d(d, 2, 48, 33, 19, 14, 3), false);
    conv_case(conv2d(d, 3, 32, 32, 16, 9, 3, 1, 1, 1, 2), true);
    conv_case(conv2d(d, 2, 24, 16, 13, 17, 3, 1, 2, 2), true, Activation::relu);
    conv_case(conv2d(d, 2, 16, 24, 20, 11, 3, 1, 3, 3), false);
    conv_case(conv2d(d, 2, 20, 18, 15, 12, 5, 1, 2), true, Activation::relu);
    conv_case(conv2d(d, 2, 16, 16, 21, 23, 2), false);
    conv_case(conv2d(d, 3, 24, 20, 18, 16, 4, 2, 1), true);  // residues of 2x2 taps
    conv_case(conv2d(d, 1, 70, 40, 7, 9, 3, 1, 1), true, Activation::relu);  // few squares
    conv_case(conv2d(d, 2, 3, 20, 17, 12, 4, 4), true);  // patches
    conv_case(conv2d(d, 3, 33, 50, 5, 4, 3, 1, 1, 1, 2), true);
  }
  conv_case(conv2d(DType::float32, 16, 300, 20, 4, 4, 3, 1, 1), true);  // channels beyond a block of depth
  conv_case(conv2d(DType::float32, 5, 16, 16, 40, 40, 3, 1, 1), true);  // squares beyond one
  {
    ConvArgs c = conv2d(DType::float32, 2, 18, 20, 11, 13, 3, 1, 1);  // an outer dimension
    c.in[0] = 5, c.kernel[0] = 3, c.stride[0] = 2, c.padding[0] = 1, c.out[0] = 3;
    conv_case(c, true);
    c.stride[0] = 1, c.out[0] = 5;
    conv_case(c, true, Activation::relu);
  }
  for (int i = 0; i < 150; ++i) {
    ConvArgs c{};
    const DType dtypes[] = {DType::float32, DType::float32, DType::float64, DType::bfloat16, DType::float16};
    c.dtype = dtypes[rng.below(5)];
    c.batch = 1 + rng.below(3);
    c.groups = rng.below(3) ? 1 : 1 + rng.below(4);
    c.in_channels = 1 + rng.below(rng.below(3) ? 5 : 40);
    c.out_channels = 1 + rng.below(rng.below(3) ? 5 : 40);
    const int dims = 1 + int(rng.below(3));
    for (int d = 0; d < 3; ++d) {
      const bool there = d >= 3 - dims;
      c.kernel[d] = there ? 1 + rng.below(4) : 1;
      c.stride[d] = there ? 1 + rng.below(3) : 1;
      c.dilation[d] = there ? 1 + rng.below(3) : 1;
      c.padding[d] = there ? rng.below(3) : 0;
      const int64_t least = c.dilation[d] * (c.kernel[d] - 1) + 1 - c.padding[d];
      c.in[d] = there ? (least > 1 ? least : 1) + rng.below(dims == 1 ? 60 : dims == 2 ? 12 : 6) : 1;
      // Another padding behind: "same" convolutions are lopsided.
      const int64_t behind = c.padding[d] + (there ? rng.below(2) : 0);
      c.out[d] = (c.in[d] + c.padding[d] + behind - c.dilation[d] * (c.kernel[d] - 1) - 1) / c.stride[d] + 1;
    }
    conv_case(c, rng.below(2));
  }
}

// The rms error of 3x3 convolutions, in which Winograd's algorithm may be at work, against that of the same sums as plain
// float32 loops: at most 4 times as large, for each of the three products.
void winograd_error(int64_t batch, int64_t channels, int64_t rows, int64_t side, bool positive, int64_t kernel = 3, int64_t dilation = 1) {
  const int64_t padding = dilation * (kernel - 1) / 2, taps = kernel * kernel;
  ConvArgs c = conv2d(DType::float32, batch, channels, rows, side, side, kernel, 1, padding, dilation);
  c.out[0] = 1;
  c.out[1] = c.out[2] = side;
  const int64_t plane = side * side;
  Block x(c.dtype, batch * channels * plane), w(c.dtype, rows * channels * taps), y(c.dtype, batch * rows * plane);
  auto draw = [&] { return positive ? std::fabs(rng.uniform()) : rng.uniform() + rng.uniform() + rng.uniform(); };
  for (Block* block : {&x, &w, &y}) block->fill(draw);
  auto index = [&](int64_t n, int64_t k, int64_t of, int64_t i, int64_t j) { return ((n * of + k) * side + i) * side + j; };
  std::vector<double> exact[3];
  std::vector<float> plain[3];
  const Block* blocks[3] = {&y, &x, &w};
  for (int e = 0; e < 3; ++e) exact[e].assign(size_t(blocks[e]->count), 0), plain[e].assign(size_t(blocks[e]->count), 0);
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t o = 0; o < rows; ++o)
      for (int64_t k = 0; k < channels; ++k)
        for (int64_t t = 0; t < taps; ++t)
          for (int64_t i = 0; i < side; ++i)
            for (int64_t j = 0; j < side; ++j) {
              const int64_t u = i + t / kernel * dilation - padding, v = j + t % kernel * dilation - padding;
              if (u < 0 || v < 0 || u >= side || v >= side) continue;
              const int64_t at[3] = {index(n, o, rows, i, j), index(n, k, channels, u, v), (o * channels + k) * taps + t};
              for (int e = 0; e < 3; ++e) {
                const double a = (*blocks[(e + 1) % 3])[at[(e + 1) % 3]], b = (*blocks[(e + 2) % 3])[at[(e + 2) % 3]];
                exact[e][size_t(at[e])] += a * b;
                plain[e][size_t(at[e])] = std::fma(float(a), float(b), plain[e][size_t(at[e])]);
              }
            }
  const char* names[3] = {"forward", "to the image", "to the weight"};
  Block got[3] = {y, x, w};
  c.x = x.data(), c.w = w.data(), c.y = y.data();
  run("conv", c, &ConvArgs::y, got[0], target::conv, target::conv_scratch);
  run("conv_backward_data", c, &ConvArgs::x, got[1], target::conv_backward_data, target::conv_backward_data_scratch);
  run("conv_backward_weight", c, &ConvArgs::w, got[2], target::conv_backward_weight, target::conv_backward_weight_scratch);
  for (int e = 0; e < 3; ++e) {
    double here = 0, there = 0;
    for (int64_t i = 0; i < got[e].count; ++i) {
      here += std::pow(got[e][i] - exact[e][size_t(i)], 2);
      there += std::pow(double(plain[e][size_t(i)]) - exact[e][size_t(i)], 2);
    }
    const double ratio = std::sqrt(here / there);
    std::printf("  %ldx%ld%s, %ld to %ld channels, %ldx%ld, %-13s rms error / a plain loop's: %.2f\n", long(kernel), long(kernel),
                dilation > 1 ? " dilated" : "", long(channels), long(rows), long(side), long(side), names[e], ratio);
    check(ratio <= 4, std::string("rms error of ") + names[e]);
  }
}

// What is not finite reaches the windows that hold it, and no other.
void winograd_not_finite() {
  for (const double bad : {double(INFINITY), double(NAN), 1e38}) {
    ConvArgs c = conv2d(DType::float32, 4, 16, 16, 16, 16, 3, 1, 1);
    c.out[0] = 1;
    c.out[1] = c.out[2] = 16;
    Block x(c.dtype, 4 * 16 * 256), w(c.dtype, 16 * 16 * 9), y(c.dtype, 4 * 16 * 256);
    x.fill([] { return rng.uniform(); });
    w.fill([] { return rng.uniform() + 2; });
    x.set(5 * 16 + 5, bad);  // image 0, channel 0, row 5, column 5
    c.x = x.data(), c.w = w.data();
    run("conv", c, &ConvArgs::y, y, target::conv, target::conv_scratch);
    bool right = true;
    for (int64_t i = 0; i < y.count; ++i) {
      const int64_t row = i / 16 % 16, column = i % 16;
      const bool near = i / 4096 == 0 && row >= 4 && row <= 6 && column >= 4 && column <= 6;
      right = right && (near ? bad == 1e38 || !std::isfinite(y[i]) : std::fabs(y[i]) < 1e4);
    }
    check(right, "what is not finite stays where it belongs: " + std::to_string(bad));
  }
}

// ---- pooling
std::string text(const PoolArgs& p) {
  static const char* names[] = {"max", "average", "adaptive_max", "adaptive_average"};
  char s[300];
  std::snprintf(s, sizeof s, "%s pool %s in %ldx%ldx%ld out %ldx%ldx%ld kernel %ldx%ldx%ld stride %ld,%ld,%ld padding %ld,%ld,%ld dilation %ld,%ld,%ld",
                names[int(p.op)], name_of(p.dtype), long(p.in[0]), long(p.in[1]), long(p.in[2]), long(p.out[0]), long(p.out[1]),
                long(p.out[2]), long(p.kernel[0]), long(p.kernel[1]), long(p.kernel[2]), long(p.stride[0]), long(p.stride[1]),
                long(p.stride[2]), long(p.padding[0]), long(p.padding[1]), long(p.padding[2]), long(p.dilation[0]),
                long(p.dilation[1]), long(p.dilation[2]));
  return s;
}

void pool_case(PoolArgs p, bool ties) {
  const int64_t in = product(p.in), out = product(p.out);
  Block x(p.dtype, p.planes * in, 1), y(p.dtype, p.planes * out, 1), dy(p.dtype, p.planes * out), dx(p.dtype, p.planes * in, 1);
  Block indices(DType::int64, p.planes * out);
  x.fill([&] { return ties ? double(rng.below(3)) : rng.uniform(); });
  if (ties && x.count > 3) x.set(rng.below(x.count), NAN);
  dy.fill([] { return rng.uniform(); });
  const bool is_max = p.op == Pool::max || p.op == Pool::adaptive_max;
  const bool is_adaptive = p.op == Pool::adaptive_max || p.op == Pool::adaptive_average;
  p.x = x.data(); p.dy = dy.data();
  Block y1 = y, dx1 = dx, indices1 = indices;
  for (int threads = 1; threads <= 3; ++threads) {
    set_num_threads(threads);
    Block yt = y, dxt = dx, it = indices;
    p.y = yt.data(); p.dx = dxt.data();
    p.indices = is_max ? static_cast<int64_t*>(it.data()) : nullptr;
    target::pool(p);
    Scratch scratch(target::pool_backward_scratch(p));
    target::pool_backward(p, scratch.data());
    check(yt.intact() && dxt.intact() && it.intact() && scratch.intact(), "canary " + text(p));
    if (threads == 1) { y1 = yt; dx1 = dxt; indices1 = it; }
    else check(yt.same(y1) && dxt.same(dx1) && it.same(indices1), "threads change bits " + text(p));
  }
  std::vector<double> want_dx(size_t(dx.count), 0.0);
  const double unit = rounding(p.dtype);
  bool values = true, places = true, gradients = true;
  for (int64_t plane = 0; plane < p.planes; ++plane)
    for (int64_t o = 0; o < out; ++o) {
      const int64_t at[3] = {o / p.out[2] / p.out[1], o / p.out[2] % p.out[1], o % p.out[2]};
      std::vector<int64_t> inside;
      int64_t extent = 1;
      int64_t lo[3], hi[3], step[3];
      for (int d = 0; d < 3; ++d) {
        if (is_adaptive) {
          lo[d] = at[d] * p.in[d] / p.out[d]; hi[d] = ((at[d] + 1) * p.in[d] + p.out[d] - 1) / p.out[d]; step[d] = 1;
          extent *= hi[d] - lo[d];
        } else {
          lo[d] = at[d] * p.stride[d] - p.padding[d]; step[d] = p.dilation[d];
          hi[d] = lo[d] + p.dilation[d] * (p.kernel[d] - 1) + 1;
          extent *= std::min(hi[d], p.in[d] + p.padding[d]) - lo[d];
        }
      }
      for (int64_t i = lo[0]; i < hi[0]; i += step[0])
        for (int64_t j = lo[1]; j < hi[1]; j += step[1])
          for (int64_t l = lo[2]; l < hi[2]; l += step[2])
            if (i >= 0 && j >= 0 && l >= 0 && i < p.in[0] && j < p.in[1] && l < p.in[2]) inside.push_back((i * p.in[1] + j) * p.in[2] + l);
      const double d = dy[plane * out + o], got = y1[plane * out + o];
      if (is_max) {
        int64_t best = inside[0];
        double value = -INFINITY;
        for (int64_t i : inside) {
          const double v = x[plane * in + i];
          if (v > value || std::isnan(v)) { value = v; best = i; }
        }
        values = values && (got == value || (std::isnan(got) && std::isnan(value)));
        places = places && indices1[plane * out + o] == double(best);
        want_dx[size_t(plane * in + best)] += d;
        continue;
      }
      double sum = 0, size = 0;
      for (int64_t i : inside) { sum += x[plane * in + i]; size += std::fabs(x[plane * in + i]); }
      const double by = p.divisor_override ? double(p.divisor_override) : is_adaptive || !p.count_include_pad ? double(inside.size()) : double(extent);
      values = values && (std::fabs(got - sum / by) <= (std::fabs(sum) * 2 * unit + 0x1p-22 * size * (p.dtype != DType::float64) + 1e-14 * size) / by + 0x1p-24 * (p.dtype == DType::float16) || std::isnan(sum));
      for (int64_t i : inside) want_dx[size_t(plane * in + i)] += d / by;
    }
  for (int64_t i = 0; i < dx.count; ++i)
    gradients = gradients && std::fabs(dx1[i] - want_dx[size_t(i)]) <= 2 * unit * std::fabs(want_dx[size_t(i)]) + (p.dtype == DType::float64 ? 1e-13 : 1e-5);
  check(values, "value " + text(p));
  check(places, "index " + text(p));
  check(gradients, "gradient " + text(p));
}

void pools() {
  for (int i = 0; i < 400; ++i) {
    PoolArgs p{};
    const DType dtypes[] = {DType::float32, DType::float32, DType::float64, DType::bfloat16, DType::float16};
    p.op = Pool(rng.below(4));
    p.dtype = dtypes[rng.below(5)];
    p.planes = 1 + rng.below(5);
    const int dims = 1 + int(rng.below(3));
    const bool is_adaptive = p.op == Pool::adaptive_max || p.op == Pool::adaptive_average;
    p.count_include_pad = rng.below(2);
    p.divisor_override = p.op == Pool::average && rng.below(4) == 0 ? 3 : 0;
    for (int d = 0; d < 3; ++d) {
      const bool there = d >= 3 - dims;
      p.kernel[d] = there ? 1 + rng.below(4) : 1;
      p.stride[d] = there ? 1 + rng.below(3) : 1;
      p.dilation[d] = there && p.op == Pool::max ? 1 + rng.below(2) : 1;
      p.padding[d] = there ? rng.below(p.kernel[d] / 2 + 1) : 0;
      const int64_t reach = p.dilation[d] * (p.kernel[d] - 1) + 1;
      p.in[d] = there ? reach + rng.below(dims == 1 ? 300 : dims == 2 ? 30 : 7) : 1;
      const int64_t span = p.in[d] + 2 * p.padding[d] - reach;
      p.out[d] = rng.below(2) ? span / p.stride[d] + 1 : (span + p.stride[d] - 1) / p.stride[d] + 1;  // ceil_mode
      if ((p.out[d] - 1) * p.stride[d] >= p.in[d] + p.padding[d]) --p.out[d];
      if (is_adaptive) p.out[d] = there ? 1 + rng.below(p.in[d] + 2) : 1;
    }
    pool_case(p, rng.below(2));
  }
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
  convs();
  winograd_error(2, 16, 16, 24, false);
  winograd_error(2, 64, 64, 28, false);
  winograd_error(2, 64, 64, 28, true);
  winograd_error(8, 128, 64, 7, false);
  winograd_error(1, 256, 64, 7, false);
  winograd_error(2, 32, 48, 20, false, 5);
  winograd_error(2, 32, 48, 20, true, 5);
  winograd_error(1, 16, 16, 14, false, 5);
  winograd_error(2, 32, 32, 21, false, 2);
  winograd_error(2, 32, 32, 22, false, 3, 2);
  winograd_not_finite();
  pools();
  return report("conv");
}
