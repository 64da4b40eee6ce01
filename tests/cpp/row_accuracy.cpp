// Softmax and the norms of every dtype against long double: prints the largest error of each in units of rounding of what
// was added up, and fails where it is beyond its bound. docs/kernels/rows.md has the table.
#include <algorithm>

#include "kernel_test.h"
#include "kernels/cpu/entries.h"

using namespace tessel;
using namespace test;
namespace target = tessel::TESSEL_TARGET;

namespace {

using Real = long double;

// Rows of up to one vector, of many, kept between passes in 16 bits, and too long for that.
const int64_t kLengths[] = {1, 7, 64, 1000, 4096, 4097, 20000};
const DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16};

// The largest error so far; `scale` is what the result's rounding is relative to.
struct Worst {
  double error = 0;
  void see(DType dtype, double y, Real want, Real scale) {
    double e = double(std::fabs(y - want) / (scale * rounding(dtype) + 1e-300L));
    if (!(e <= error)) error = e;
  }
  void report(const char* name, DType dtype, double bound) const {
    std::printf("  %-24s %-9s %6.2f\n", name, name_of(dtype), error);
    check(error <= bound, std::string(name) + " " + name_of(dtype) + ": " + std::to_string(error));
  }
};

double bound_of(DType dtype, double wide) { return size_of(dtype) == 2 ? 1.1 : wide; }

// Three rows of n, or n rows of 37 columns, whose softmax runs down the columns.
void softmax(DType dtype, bool logarithm, bool columns) {
  Rng rng;
  Worst forward, backward;
  for (int64_t n : kLengths) {
    if (columns && n > 1000) continue;
    const int64_t lines = columns ? 37 : 3, step = columns ? lines : 1, next = columns ? 1 : n;
    Block x(dtype, lines * n), y(dtype, lines * n), dy(dtype, lines * n), dx(dtype, lines * n);
    x.fill([&] { return 8 * rng.uniform(); });
    dy.fill([&] { return rng.uniform(); });
    RowsArgs args = {dtype, columns ? 1 : lines, n, columns ? lines : 1, x.data(), y.data(), dy.data(), dx.data()};
    (logarithm ? target::log_softmax : target::softmax)(args);
    (logarithm ? target::log_softmax_backward : target::softmax_backward)(args);
    check(y.intact() && dx.intact(), "softmax: writes outside");
    for (int64_t line = 0; line < lines; ++line) {
      auto at = [&](int64_t i) { return line * next + i * step; };
      Real top = -INFINITY, sum = 0, products = 0, magnitudes = 0;
      for (int64_t i = 0; i < n; ++i) top = std::max(top, Real(x[at(i)]));
      for (int64_t i = 0; i < n; ++i) sum += std::exp(Real(x[at(i)]) - top);
      for (int64_t i = 0; i < n; ++i) {
        Real g = Real(dy[at(i)]) * (logarithm ? 1 : Real(y[at(i)]));
        products += g, magnitudes += std::fabs(g);
      }
      for (int64_t i = 0; i < n; ++i) {
        Real a = Real(x[at(i)]) - top, g = dy[at(i)], p = y[at(i)];
        if (logarithm) {
          forward.see(dtype, y[at(i)], a - std::log(sum), std::fabs(a) + std::log(sum) + 1);  // the sum begins with 1
          backward.see(dtype, dx[at(i)], g - std::exp(p) * products, std::fabs(g) + std::exp(p) * magnitudes + 0x1p-20L);
        } else {
          Real want = std::exp(a) / sum;  // what a loses by rounding is a relative error of its power
          forward.see(dtype, y[at(i)], want, want * (1 + std::fabs(a)) + (dtype == DType::float16 ? 0x1p-14L : 0));
          backward.see(dtype, dx[at(i)], p * (g - products), p * (std::fabs(g) + magnitudes) + 0x1p-14L);
        }
      }
    }
  }
  std::string name = std::string(logarithm ? "log_softmax" : "softmax") + (columns ? " of columns" : "");
  forward.report(name.c_str(), dtype, bound_of(dtype, 6));  // the power 3, the sum, its inverse and their product one each
  backward.report((name + ", dx").c_str(), dtype, bound_of(dtype, 4));
}

// layer_norm and rms_norm of five rows, with the residual sum before them or without, and all three gradients.
void norm(DType dtype, bool centred, bool added) {
  Rng rng;
  Worst forward, backward, weights;
  const DType type = dtype == DType::float64 ? DType::float64 : DType::float32;
  const int64_t rows = 5;
  for (int64_t n : kLengths) {
    if (n == 1) continue;
    Block x(dtype, rows * n), more(dtype, rows * n), sum(dtype, rows * n), y(dtype, rows * n), dy(dtype, rows * n), dx(dtype, rows * n);
    Block w(type, n), b(type, n), dw(type, n), db(type, n), mean(type, rows), rstd(type, rows);
    x.fill([&] { return 3 + rng.uniform(); });
    for (Block* each : {&more, &dy, &w, &b}) each->fill([&] { return rng.uniform(); });
    RowNormArgs args = {};
    args.dtype = dtype, args.rows = rows, args.n = n, args.inner = args.groups = 1, args.centred = centred, args.eps = 1e-5;
    args.x = x.data(), args.weight = w.data(), args.bias = centred ? b.data() : nullptr, args.y = y.data();
    args.mean = centred ? mean.data() : nullptr, args.rstd = rstd.data();
    if (added) args.residual = more.data(), args.sum = sum.data();
    target::row_norm(args);
    const Block& from = added ? sum : x;
    args.x = from.data(), args.dy = dy.data(), args.dx = dx.data(), args.dweight = dw.data(), args.dbias = db.data();
    if (added) args.dsum = more.data();
    Scratch scratch(target::row_norm_backward_scratch(args));
    target::row_norm_backward(args, scratch.data());
    check(y.intact() && sum.intact() && dx.intact() && dw.intact() && db.intact() && scratch.intact(), "norm: writes outside");
    std::vector<Real> dweight(n), dweight_scale(n);
    for (int64_t row = 0; row < rows; ++row) {
      auto at = [&](const Block& block, int64_t i) { return Real(block[row * n + i]); };
      Real middle = 0, squares = 0, size = 0;
      for (int64_t i = 0; i < n && centred; ++i) middle += at(from, i) / n;
      for (int64_t i = 0; i < n; ++i) squares += (at(from, i) - middle) * (at(from, i) - middle) / n, size = std::max(size, std::fabs(at(from, i)));
      Real scale = 1 / std::sqrt(squares + args.eps), g = 0, hats = 0, all = 0, all_hats = 0;
      for (int64_t i = 0; i < n; ++i) {
        Real hat = (at(from, i) - middle) * scale, gw = at(dy, i) * w[i];
        g += gw / n, hats += gw * hat / n, all += std::fabs(gw) / n, all_hats += std::fabs(gw * hat) / n;
        dweight[i] += at(dy, i) * hat, dweight_scale[i] += std::fabs(at(dy, i)) * size * scale;
        forward.see(dtype, y[row * n + i], hat * w[i] + (centred ? b[i] : 0), size * scale * std::fabs(w[i]) + std::fabs(b[i]));
      }
      for (int64_t i = 0; i < n; ++i) {
        Real hat = (at(from, i) - middle) * scale, gw = at(dy, i) * w[i], extra = added ? at(more, i) : 0;
        Real want = scale * (gw - (centred ? g : 0) - hat * hats) + extra;
        backward.see(dtype, dx[row * n + i], want, scale * (std::fabs(gw) + all + size * scale * all_hats) + std::fabs(extra));
      }
    }
    for (int64_t i = 0; i < n; ++i) weights.see(type, dw[i], dweight[i], dweight_scale[i]);
  }
  std::string name = std::string(added ? "add_" : "") + (centred ? "layer_norm" : "rms_norm");
  forward.report(name.c_str(), dtype, bound_of(dtype, 4));
  backward.report((name + ", dx").c_str(), dtype, bound_of(dtype, 4));
  weights.report((name + ", dw").c_str(), dtype, 4);
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
  set_num_threads(2);
  for (DType dtype : kTypes) {
    for (bool logarithm : {false, true}) softmax(dtype, logarithm, false), softmax(dtype, logarithm, true);
    for (bool centred : {true, false}) norm(dtype, centred, false), norm(dtype, centred, true);
  }
  return report("row_accuracy " TEST_NAME(TESSEL_TARGET));
}
