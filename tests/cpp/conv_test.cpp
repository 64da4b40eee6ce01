// Convolution, forward and both backwards, and pooling against naive double references: one to three dimensions, strides,
// paddings, dilations, groups, dtypes; the same bits at 1, 2 and 3 threads; nothing written outside.
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

void compare(const char* name, const ConvArgs& c, const Block& got, const std::vector<double>& want, const std::vector<double>& size,
             double terms) {
  double worst = 0;
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
  compare("conv", c, y, want_y, size_y, double(c.in_channels * taps));
  ConvArgs d = c;
  d.bias = with_bias ? dx_bias.data() : nullptr;
  Block dx = x;
  run("conv_backward_data", d, &ConvArgs::x, dx, target::conv_backward_data, target::conv_backward_data_scratch);
  compare("conv_backward_data", c, dx, want_x, size_x, double(c.out_channels * taps));
  Block dw = w, db = b;
  run("conv_backward_weight", c, &ConvArgs::w, dw, target::conv_backward_weight, target::conv_backward_weight_scratch, &db);
  compare("conv_backward_weight", c, dw, want_w, size_w, double(c.batch * yp));
  compare("conv_backward_weight bias", c, db, want_b, size_b, double(c.batch * yp));
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

}  // namespace

int main() {
  convs();
  return report("conv");
}
