// GEMM and convolution through the tile unit, emulated (-DTESSEL_EMULATE_TILES on the kernel) or real: bit for bit the stated order of
// products and sums; closer to float64 than a float32 loop; values that do not split take the other kernel.
#include "kernel_test.h"
#include "kernels/cpu/amx/entries.h"

using namespace tessel;
using namespace test;

namespace {

Rng rng;

uint16_t nearest(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
float wide(uint16_t h) {
  const uint32_t u = uint32_t(h) << 16;
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
void split(float x, float* parts) {
  for (int i = 0; i < 3; ++i) {
    parts[i] = wide(nearest(x));
    x -= parts[i];
  }
}

struct Operands {
  int64_t m, n, k;
  bool a_column, b_column, c_column;
  Block a, b, c;
  GemmArgs g{};
  Operands(DType d, int64_t m, int64_t n, int64_t k, bool at, bool bt, bool ct)
      : m(m), n(n), k(k), a_column(at), b_column(bt), c_column(ct), a(d, m * k, 1), b(d, k * n, 1), c(d, m * n, 1) {
    a.fill([] { return rng.uniform(); });
    b.fill([] { return rng.uniform(); });
    g.dtype = d;
    g.m = m; g.n = n; g.k = k; g.batch = 1;
    g.a_row = at ? 1 : k; g.a_col = at ? m : 1;
    g.b_row = bt ? 1 : n; g.b_col = bt ? k : 1;
    g.c_row = ct ? 1 : n; g.c_col = ct ? m : 1;
    g.alpha = 1;
  }
  double at(int64_t i, int64_t p) const { return a[i * g.a_row + p * g.a_col]; }
  double bt(int64_t p, int64_t j) const { return b[p * g.b_row + j * g.b_col]; }
  void run(int threads = 1) {
    set_num_threads(threads);
    g.a = a.data(); g.b = b.data(); g.c = c.data();
    Scratch scratch(amx::gemm_scratch(g));
    amx::gemm(g, scratch.data());
    check(scratch.intact() && c.intact(), "canary");
  }
};

// The stated order, element by element. In the transposed form a and b change places, and with them the products.
float stated(const Operands& o, int64_t i, int64_t j) {
  static const int products[6][2] = {{0, 2}, {2, 0}, {1, 1}, {0, 1}, {1, 0}, {0, 0}};
  const Precision precision = o.g.precision;
  const int first = o.g.dtype == DType::bfloat16 || precision == Precision::medium ? 5 : precision == Precision::high ? 3 : 0;
  float result = 0;
  for (int64_t p0 = 0; p0 < o.k; p0 += 384) {
    float sum = 0;
    const int64_t end = std::min<int64_t>(o.k, p0 + 384);
    for (int64_t pass = p0; pass < end; pass += 96)
      for (int q = first; q < 6; ++q)
        for (int64_t s = pass; s < std::min(end, pass + 96); s += 32) {
          float even = 0, odd = 0;
          for (int64_t p = s; p < std::min(end, s + 32); ++p) {
            float x[3], y[3];
            split(float(o.c_column ? o.bt(p, j) : o.at(i, p)), x);
            split(float(o.c_column ? o.at(i, p) : o.bt(p, j)), y);
            float& to = (p - s) % 2 ? odd : even;
            to = std::fma(x[products[q][0]], y[products[q][1]], to);
          }
          sum += even + odd;
        }
    result = p0 == 0 ? sum : result + sum;
  }
  return result;
}

void bits() {
  const int64_t sizes[][3] = {{96, 96, 96}, {130, 97, 100}, {64, 150, 400}, {33, 200, 800}};
  for (DType d : {DType::float32, DType::bfloat16})
    for (auto& s : sizes)
      for (int layout = 0; layout < 8; ++layout) {
        Operands o(d, s[0], s[1], s[2], layout & 1, layout & 2, layout & 4);
        if (&s == sizes) o.g.precision = Precision(layout % 3);
        o.run(1);
        Block first = o.c;
        o.run(2);
        check(o.c.same(first), "threads change bits");
        bool same = true;
        for (int64_t i = 0; i < o.m; i += 7)
          for (int64_t j = 0; j < o.n; ++j) {
            Block want(d, 1);
            want.set(0, stated(o, i, j));
            const double got = o.c[i * o.g.c_row + j * o.g.c_col];
            same = same && want[0] == got;
          }
        check(same, std::string("bits ") + name_of(d) + " layout " + std::to_string(layout) + " m " + std::to_string(s[0]));
      }
}

void accuracy() {
  for (Precision precision : {Precision::high, Precision::medium}) {  // 16 and 8 bits of significand
    Operands o(DType::float32, 96, 128, 512, false, false, false);
    o.g.precision = precision;
    o.run(2);
    double off = 0, size = 0;
    for (int64_t i = 0; i < o.m; ++i)
      for (int64_t j = 0; j < o.n; ++j) {
        double exact = 0;
        for (int64_t p = 0; p < o.k; ++p) exact += o.at(i, p) * o.bt(p, j);
        off += (o.c[i * o.n + j] - exact) * (o.c[i * o.n + j] - exact);
        size += exact * exact;
      }
    const double error = std::sqrt(off / size);
    std::printf("%s: %.2g (rms, relative)\n", precision == Precision::high ? "three products" : "one product", error);
    check(error < (precision == Precision::high ? 0x1p-16 : 0x1p-8), "less exact products are as exact as they say");
    check(error > (precision == Precision::high ? 0x1p-22 : 0x1p-12), "less exact products are fewer");
  }
  for (int64_t k : {int64_t(256), int64_t(1024)}) {
    Operands o(DType::float32, 96, 128, k, false, false, false);
    o.run(2);
    double six = 0, loop = 0, size = 0;
    for (int64_t i = 0; i < o.m; ++i)
      for (int64_t j = 0; j < o.n; ++j) {
        double exact = 0;
        float plain = 0;
        for (int64_t p = 0; p < k; ++p) {
          exact += o.at(i, p) * o.bt(p, j);
          plain += float(o.at(i, p)) * float(o.bt(p, j));
        }
        const double e = o.c[i * o.n + j] - exact;
        six += e * e;
        loop += (plain - exact) * (plain - exact);
        size += exact * exact;
      }
    std::printf("k %ld: six products %.2g, float32 loop %.2g (rms, relative)\n", long(k), std::sqrt(six / size), std::sqrt(loop / size));
    check(six <= loop, "six products are as accurate as a float32 loop");
  }
}

// Where parts do not hold the values, results are those of float32: with the epilogue, in the first and the last block.
void values_that_do_not_split() {
  const double specials[] = {INFINITY, NAN, 3.4e38, 1e-37, 1e-30, 0.0};
  for (double special : specials)
    for (int64_t where : {int64_t(3), int64_t(500), int64_t(799)}) {
      Operands o(DType::float32, 70, 120, 800, false, true, false);
      o.a.set(5 * 800 + where, special);
      Block bias(DType::float32, 120);
      bias.fill([] { return rng.uniform(); });
      o.g.bias = bias.data();
      o.g.bias_stride = 1;
      o.g.beta = 0.5;
      o.g.alpha = 2;
      o.g.activation = Activation::relu;
      o.c.fill([] { return rng.uniform(); });
      const Block before = o.c;
      o.run(2);
      double worst = 0;
      bool kinds = true;
      for (int64_t i = 0; i < o.m; ++i)
        for (int64_t j = 0; j < o.n; ++j) {
          double sum = 0, size = 1;
          for (int64_t p = 0; p < o.k; ++p) {
            sum += o.at(i, p) * o.bt(p, j);
            size += std::fabs(o.at(i, p) * o.bt(p, j));
          }
          double want = 2 * sum + 0.5 * before[i * o.n + j] + bias[j];
          want = want < 0 ? 0 : want;
          const double got = o.c[i * o.n + j];
          if (std::isnan(want) || std::fabs(want) > 3.4e38) kinds = kinds && (std::isnan(want) ? std::isnan(got) : got == INFINITY);
          else worst = std::max(worst, std::fabs(got - want) / (size * 1e-5));
        }
      check(kinds, "infinity and nan as IEEE has them, with " + std::to_string(special));
      check(worst <= 1, "values with " + std::to_string(special) + " at " + std::to_string(where));
    }
}

void batches() {
  const int64_t n = 100;
  Block a(DType::float32, 3 * n * n), b(DType::float32, n * n), c(DType::float32, 3 * n * n);
  a.fill([] { return rng.uniform(); });
  b.fill([] { return rng.uniform(); });
  GemmArgs g{};
  g.dtype = DType::float32;
  g.m = g.n = g.k = n; g.batch = 3;
  g.a_row = n; g.a_col = 1; g.b_row = n; g.b_col = 1; g.c_row = n; g.c_col = 1;
  g.batch_dims = 1;
  g.batch_sizes[0] = 3;
  g.a_batch[0] = n * n + 0; g.b_batch[0] = 0; g.c_batch[0] = n * n;
  g.alpha = 1;
  g.a = a.data(); g.b = b.data(); g.c = c.data();
  set_num_threads(2);
  Scratch scratch(amx::gemm_scratch(g));
  amx::gemm(g, scratch.data());
  check(scratch.intact() && c.intact(), "batch canary");
  double worst = 0;
  for (int64_t i = 0; i < 3 * n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < n; ++p) sum += a[i * n + p] * b[p * n + j];
      worst = std::max(worst, std::fabs(sum - c[i * n + j]));
    }
  check(worst < 1e-5, "batch values");
  // A matrix that does not split, among others that do.
  g.b_batch[0] = n * n;
  Block b3(DType::float32, 3 * n * n), again(DType::float32, 3 * n * n);
  b3.fill([] { return rng.uniform(); });
  b3.set(n * n + 5, INFINITY);
  g.b = b3.data();
  g.c = again.data();
  for (int threads = 1; threads <= 3; ++threads) {
    set_num_threads(threads);
    Scratch more(amx::gemm_scratch(g));
    amx::gemm(g, more.data());
    check(more.intact() && again.intact(), "batch canary, one infinite");
    if (threads == 1) std::memcpy(c.data(), again.data(), size_t(again.count) * 4);
    check(again.same(c), "batch threads change bits");
  }
  for (int64_t i = 0; i < n; ++i) check(!std::isfinite(again[n * n + i * n + 5]) && std::isfinite(again[i * n + 5]), "one infinite column");
}

// ---- convolution: the three products against double sums, the same bits at any number of threads
struct Conv {
  ConvArgs c{};
  Block x, w, y;

  Conv(DType d, int64_t batch, int64_t groups, int64_t in, int64_t out, int64_t side, int64_t kernel, int64_t stride, int64_t padding)
      : x(d, batch * groups * in * side * side), w(d, groups * out * in * kernel * kernel),
        y(d, batch * groups * out * results(side, kernel, stride, padding) * results(side, kernel, stride, padding)) {
    c.dtype = d;
    c.batch = batch, c.groups = groups, c.in_channels = in, c.out_channels = out;
    for (int i = 0; i < 3; ++i) {
      c.in[i] = i ? side : 1;
      c.kernel[i] = i ? kernel : 1;
      c.stride[i] = i ? stride : 1;
      c.padding[i] = i ? padding : 0;
      c.dilation[i] = 1;
      c.out[i] = i ? results(side, kernel, stride, padding) : 1;
    }
    for (Block* block : {&x, &w, &y}) block->fill([] { return rng.uniform(); });
  }
  static int64_t results(int64_t side, int64_t kernel, int64_t stride, int64_t padding) { return (side + 2 * padding - kernel) / stride + 1; }

  using Entry = void (*)(const ConvArgs&, void*);
  using Bytes = int64_t (*)(const ConvArgs&);
  Block run(int which, Entry entry, Bytes bytes, const Block* bias = nullptr) {
    Block first = which == 0 ? y : which == 1 ? x : w;
    for (int threads = 1; threads <= 2; ++threads) {
      set_num_threads(threads);
      Block out = which == 0 ? y : which == 1 ? x : w;
      ConvArgs a = c;
      a.x = which == 1 ? out.data() : x.data();
      a.w = which == 2 ? out.data() : w.data();
      a.y = which == 0 ? out.data() : y.data();
      a.bias = bias ? const_cast<void*>(bias->data()) : nullptr;
      Scratch scratch(bytes(a));
      entry(a, scratch.data());
      check(scratch.intact() && out.intact(), "conv canary");
      if (threads == 1) first = out;
      else check(out.same(first), "conv: threads change bits");
    }
    return first;
  }
  // The exact results of the three products, and the sums of magnitudes that went into each.
  void exact(std::vector<double>* want, std::vector<double>* size) const {
    const Block* blocks[3] = {&y, &x, &w};
    for (int e = 0; e < 3; ++e) want[e].assign(size_t(blocks[e]->count), 0), size[e].assign(size_t(blocks[e]->count), 0);
    const int64_t side = c.in[1], out = c.out[1], k = c.kernel[1];
    for (int64_t n = 0; n < c.batch * c.groups; ++n)
      for (int64_t o = 0; o < c.out_channels; ++o)
        for (int64_t i = 0; i < c.in_channels; ++i)
          for (int64_t t = 0; t < k * k; ++t)
            for (int64_t q = 0; q < out * out; ++q) {
              const int64_t u = q / out * c.stride[1] + t / k - c.padding[1], v = q % out * c.stride[2] + t % k - c.padding[2];
              if (u < 0 || v < 0 || u >= side || v >= side) continue;
              const int64_t at[3] = {(n * c.out_channels + o) * out * out + q, ((n * c.in_channels + i) * side + u) * side + v,
                                     ((n % c.groups * c.out_channels + o) * c.in_channels + i) * k * k + t};
              for (int e = 0; e < 3; ++e) {
                const double product = (*blocks[(e + 1) % 3])[at[(e + 1) % 3]] * (*blocks[(e + 2) % 3])[at[(e + 2) % 3]];
                want[e][size_t(at[e])] += product;
                size[e][size_t(at[e])] += std::fabs(product);
              }
            }
  }
};

const Conv::Entry kConv[3] = {amx::conv, amx::conv_backward_data, amx::conv_backward_weight};
const Conv::Bytes kConvBytes[3] = {amx::conv_scratch, amx::conv_backward_data_scratch, amx::conv_backward_weight_scratch};

// The largest error of the three products, in the sums of magnitudes.
double conv_error(Conv& conv) {
  std::vector<double> want[3], size[3];
  conv.exact(want, size);
  double worst = 0;
  for (int e = 0; e < 3; ++e) {
    const Block got = conv.run(e, kConv[e], kConvBytes[e]);
    for (int64_t i = 0; i < got.count; ++i) {
      double error = std::fabs(got[i] - want[e][size_t(i)]) - (conv.c.dtype == DType::bfloat16 ? 0x1p-8 * std::fabs(want[e][size_t(i)]) : 0);
      if (size[e][size_t(i)] > 0) worst = std::max(worst, error / size[e][size_t(i)]);
      else check(got[i] == 0, "a result without products is zero");
    }
  }
  return worst;
}

void convolutions() {
  for (DType d : {DType::float32, DType::bfloat16}) {
    Conv cases[] = {Conv(d, 2, 1, 70, 70, 7, 1, 1, 0), Conv(d, 1, 1, 36, 40, 9, 5, 1, 2), Conv(d, 2, 1, 64, 33, 12, 4, 2, 1),
                    Conv(d, 2, 2, 64, 40, 7, 1, 1, 0), Conv(d, 1, 1, 16, 200, 9, 3, 1, 1)};
    for (Conv& conv : cases) {
      const double error = conv_error(conv);
      std::printf("conv %s %ld to %ld, %ldx%ld: %.2g of the sum of magnitudes\n", name_of(d), long(conv.c.in_channels), long(conv.c.out_channels),
                  long(conv.c.kernel[1]), long(conv.c.kernel[2]), error);
      check(error <= 4e-7, "conv error");
    }
  }
  const double bounds[] = {4e-7, 1e-4, 2e-2};
  double last = 0;
  for (Precision precision : {Precision::highest, Precision::high, Precision::medium}) {
    Conv conv(DType::float32, 2, 1, 96, 40, 8, 1, 1, 0);
    conv.c.precision = precision;
    const double error = conv_error(conv);
    check(error <= bounds[int(precision)] && error > last, "conv precision " + std::to_string(int(precision)));
    last = error;
  }
  // A value that does not split: the bits are those of the kernels below; with bias and activation too.
  for (double special : {double(INFINITY), double(NAN), 1e-37}) {
    Conv conv(DType::float32, 2, 1, 40, 70, 9, 1, 1, 0);
    conv.x.set(77, special);
    Block bias(DType::float32, 70);
    bias.fill([] { return rng.uniform(); });
    conv.c.activation = Activation::relu;
    check(conv.run(0, amx::conv, amx::conv_scratch, &bias).same(conv.run(0, avx512::conv, avx512::conv_scratch, &bias)), "conv that does not split");
    conv.c.activation = Activation::none;
    check(conv.run(2, amx::conv_backward_weight, amx::conv_backward_weight_scratch)
              .same(conv.run(2, avx512::conv_backward_weight, avx512::conv_backward_weight_scratch)), "conv weight that does not split");
  }
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
  bits();
  accuracy();
  values_that_do_not_split();
  batches();
  convolutions();
  return report("amx");
}
