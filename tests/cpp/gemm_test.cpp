// GEMM against a naive double reference: every implementation, dtype, layout, batch and epilogue, of one target
// (-DTESSEL_TARGET=...); the same bits at 1, 2 and 3 threads; NaN, infinity, denormals; nothing written outside.
#include "kernel_test.h"
#include "kernels/cpu/entries_gemm.h"

using namespace tessel;
using namespace test;
namespace target = tessel::TESSEL_TARGET;

namespace {

Rng random_;

enum class Layout { row, column, strided };

struct Case {
  DType dtype;
  int64_t m, n, k;
  Layout a, b;
  bool c_column;
  std::vector<int64_t> batch;          // innermost first
  bool broadcast_a, broadcast_b;
  double alpha, beta;
  int bias;                            // 0: none, else its stride
  Activation activation;
  int64_t pad;                         // extra elements in the leading dimensions

  std::string text() const {
    char s[300];
    const char* layouts = "NTS";
    std::snprintf(s, sizeof s, "%s m=%ld n=%ld k=%ld a=%c b=%c c=%c batch=%zu bcast=%d%d alpha=%g beta=%g bias=%d act=%d pad=%ld",
                  name_of(dtype), long(m), long(n), long(k), layouts[int(a)], layouts[int(b)], c_column ? 'T' : 'N',
                  batch.size(), broadcast_a, broadcast_b, alpha, beta, bias, int(activation), long(pad));
    return s;
  }
};

struct Strides { int64_t row, col, size; };

Strides strides_of(Layout layout, int64_t rows, int64_t cols, int64_t pad) {
  switch (layout) {
    case Layout::row: return {cols + pad, 1, rows * (cols + pad)};
    case Layout::column: return {1, rows + pad, cols * (rows + pad)};
    default: return {2 * cols + pad, 2, rows * (2 * cols + pad)};
  }
}

double apply(Activation f, double x) {
  switch (f) {
    case Activation::relu: return x < 0 ? 0 : x;
    case Activation::tanh: return std::tanh(x);
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::silu: return x / (1 + std::exp(-x));
    default: return x;
  }
}

std::string wrapped(const Case& t) {
  const DType d = t.dtype;
  const bool integer = is_integer(d);
  const Strides sa = strides_of(t.a, t.m, t.k, t.pad), sb = strides_of(t.b, t.k, t.n, t.pad);
  const Strides sc = strides_of(t.c_column ? Layout::column : Layout::row, t.m, t.n, t.pad);
  GemmArgs g{};
  g.dtype = d;
  g.m = t.m; g.n = t.n; g.k = t.k; g.batch = 1;
  g.a_row = sa.row; g.a_col = sa.col; g.b_row = sb.row; g.b_col = sb.col; g.c_row = sc.row; g.c_col = sc.col;
  int64_t na = sa.size, nb = sb.size, nc = sc.size;
  g.batch_dims = int(t.batch.size());
  for (int i = 0; i < g.batch_dims; ++i) {
    g.batch_sizes[i] = t.batch[size_t(i)];
    g.a_batch[i] = t.broadcast_a ? 0 : na;
    g.b_batch[i] = t.broadcast_b ? 0 : nb;
    g.c_batch[i] = nc;
    if (!t.broadcast_a) na *= t.batch[size_t(i)];
    if (!t.broadcast_b) nb *= t.batch[size_t(i)];
    nc *= t.batch[size_t(i)];
    g.batch *= t.batch[size_t(i)];
  }
  Block a(d, na, 1), b(d, nb, 3), c(d, nc, 1), bias(d, t.n * (t.bias ? t.bias : 1), 1);
  auto value = [&] { return integer ? double(random_.below(d == DType::bool_ ? 2 : 7) - (d == DType::bool_ || d == DType::uint8 ? 0 : 3)) : random_.uniform(); };
  a.fill(value); b.fill(value); c.fill(value); bias.fill(value);
  const Block c0 = c;
  g.a = a.data(); g.b = b.data(); g.c = c.data();
  g.alpha = t.alpha; g.beta = t.beta;
  g.bias = t.bias ? bias.data() : nullptr;
  g.bias_stride = t.bias;
  g.activation = t.activation;
  const bool activates = !integer && t.activation != Activation::none;
  Block results[3] = {c, c, c}, befores[3] = {c, c, c};
  for (int threads = 1; threads <= 3; ++threads) {
    set_num_threads(threads);
    g.c = results[threads - 1].data();
    g.before = activates ? befores[threads - 1].data() : nullptr;
    Scratch scratch(target::gemm_scratch(g));
    target::gemm(g, scratch.data());
    check(scratch.intact(), "scratch overrun " + t.text());
    check(results[threads - 1].intact() && befores[threads - 1].intact(), "canary " + t.text());
  }
  Block alone = c;
  g.c = alone.data();
  g.before = nullptr;
  Scratch own(target::gemm_alone_scratch(g));
  target::gemm_alone(g, own.data());
  check(own.intact() && alone.intact() && alone.same(results[0]), "alone: other bits " + t.text());
  const std::string where = std::string(target::gemm_implementation(g)) + " " + t.text();
  check(results[0].same(results[1]) && results[0].same(results[2]), "threads change bits: " + where);
  check(befores[0].same(befores[1]) && befores[0].same(befores[2]), "threads change what is before the activation: " + where);
  const Block &y = results[0], &sums = activates ? befores[0] : results[0];
  double worst = 0, worst_activation = 0;
  std::vector<bool> written(size_t(nc), false);
  for (int64_t index = 0; index < g.batch; ++index) {
    int64_t oa = 0, ob = 0, oc = 0, rest = index;
    for (int i = 0; i < g.batch_dims; ++i) {
      const int64_t q = rest % g.batch_sizes[i];
      rest /= g.batch_sizes[i];
      oa += q * g.a_batch[i]; ob += q * g.b_batch[i]; oc += q * g.c_batch[i];
    }
    for (int64_t i = 0; i < t.m; ++i)
      for (int64_t j = 0; j < t.n; ++j) {
        double sum = 0, size = 0;
        for (int64_t p = 0; p < t.k; ++p) {
          const double term = a[oa + i * sa.row + p * sa.col] * b[ob + p * sb.row + j * sb.col];
          sum += term;
          size += std::fabs(term);
        }
        const int64_t at = oc + i * sc.row + j * sc.col;
        written[size_t(at)] = true;
        double want = t.alpha * sum;
        size = std::fabs(t.alpha) * size;
        if (t.beta != 0) { want += t.beta * c0[at]; size += std::fabs(t.beta * c0[at]); }
        if (t.bias) { want += bias[j * t.bias]; size += std::fabs(bias[j * t.bias]); }
        if (integer) {
          want = apply(t.activation, want);
          Block one(d, 1);
          one.set(0, want);
          check(one[0] == y[at], "value " + where);
          continue;
        }
        const double unit = rounding(d == DType::float64 ? d : DType::float32);
        const double bound = (8 + 2 * std::sqrt(double(t.k))) * unit * size + 4 * unit + rounding(d) * 1.01 * std::fabs(want);
        const double error = std::fabs(sums[at] - want) / bound;
        if (!(error <= worst)) worst = error;
        if (!activates) continue;
        // The activation is that of the value which the result would have had without it.
        const double active = apply(t.activation, sums[at]);
        const double allowed = 8 * unit * std::fabs(sums[at]) + 4 * unit + rounding(d) * 1.01 * std::fabs(active);
        const double off = std::fabs(y[at] - active) / allowed;
        if (!(off <= worst_activation)) worst_activation = off;
      }
  }
  check(worst <= 1, "error " + std::to_string(worst) + " of the bound: " + where);
  check(worst_activation <= 1, "error " + std::to_string(worst_activation) + " of the activation's bound: " + where);
  bool kept = true;
  for (int64_t i = 0; i < nc; ++i)
    if (!written[size_t(i)] && (y[i] != c0[i] || (activates && sums[i] != c0[i]))) kept = false;
  check(kept, "padding overwritten: " + where);
  return target::gemm_implementation(g);
}

Case plain(DType d, int64_t m, int64_t n, int64_t k) {
  return {d, m, n, k, Layout::row, Layout::row, false, {}, false, false, 1, 0, 0, Activation::none, 0};
}

void shapes() {
  const DType floats[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16};
  const int64_t sizes[][3] = {{1, 1, 1}, {1, 16, 16}, {16, 1, 16}, {2, 3, 4}, {5, 17, 33}, {14, 32, 64}, {13, 31, 100}, {32, 16, 32},
                              {32, 2, 32}, {65, 70, 90}, {100, 100, 300}, {30, 130, 600}, {129, 65, 257}, {7, 300, 20},
                              {300, 5, 40}, {1, 200, 77}, {130, 1, 131}, {3, 40, 520}, {4, 130, 300}, {6, 70, 131}, {2, 2, 9000}, {1, 5, 9000}, {20, 33, 8500},
                              {1, 1, 20000}, {0, 4, 4}, {4, 0, 4}, {4, 5, 0}, {1, 5, 0}};
  for (DType d : floats)
    for (auto& s : sizes)
      for (Layout a : {Layout::row, Layout::column, Layout::strided})
        for (Layout b : {Layout::row, Layout::column, Layout::strided}) {
          if (s[0] * s[1] * s[2] > 500000 && (a == Layout::strided) != (b == Layout::strided)) continue;
          Case t = plain(d, s[0], s[1], s[2]);
          t.a = a; t.b = b;
          t.c_column = (int(a) + int(b)) % 2;
          t.pad = (int(a) * 3 + int(b)) % 4;
          wrapped(t);
          t.c_column = !t.c_column;
          t.alpha = 0.5; t.beta = int(a) == 1 ? 2 : 0;
          t.bias = 1 + int(b);
          t.activation = Activation((s[0] + s[1] + int(b)) % 7);
          wrapped(t);
        }
}

void random_cases(int count) {
  const DType dtypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16, DType::int64, DType::int32,
                          DType::int16, DType::int8, DType::uint8, DType::bool_};
  for (int i = 0; i < count; ++i) {
    const DType d = dtypes[random_.below(10)];
    const int64_t limit = random_.below(4) == 0 ? 200 : 40;
    Case t = plain(d, 1 + random_.below(limit), 1 + random_.below(limit), 1 + random_.below(limit * 2));
    t.a = Layout(random_.below(3));
    t.b = Layout(random_.below(3));
    t.c_column = random_.below(2);
    for (int64_t dims = random_.below(4); dims > 0; --dims) t.batch.push_back(1 + random_.below(limit > 100 ? 2 : 4));
    t.broadcast_a = random_.below(4) == 0;
    t.broadcast_b = random_.below(3) == 0;
    if (random_.below(2)) {
      t.alpha = double(random_.below(5) - 2);
      t.beta = double(random_.below(3) - 1);
    }
    t.bias = int(random_.below(3));
    if (d == DType::bool_) { t.alpha = 1; t.beta = 0; t.bias = 0; }
    if (!is_integer(d)) t.activation = Activation(random_.below(7));
    t.pad = random_.below(3);
    wrapped(t);
  }
}

// A row with a NaN or an infinity spoils its own row of c and nothing else; beta == 0 does not read c.
void special_values() {
  for (DType d : {DType::float32, DType::float64, DType::bfloat16, DType::float16})
    for (int64_t size : {int64_t(1), int64_t(9), int64_t(70), int64_t(300)}) {
      Block a(d, size * size), b(d, size * size), c(d, size * size);
      a.fill([] { return random_.uniform(); });
      b.fill([] { return 0.25 + std::fabs(random_.uniform()); });
      c.fill([] { return NAN; });
      a.set(0, INFINITY);
      if (size > 2) a.set(2 * size + 1, NAN);
      GemmArgs g{};
      g.dtype = d;
      g.m = g.n = g.k = size; g.batch = 1;
      g.a = a.data(); g.a_row = size; g.a_col = 1;
      g.b = b.data(); g.b_row = size; g.b_col = 1;
      g.c = c.data(); g.c_row = size; g.c_col = 1;
      g.alpha = 1;
      Scratch scratch(target::gemm_scratch(g));
      target::gemm(g, scratch.data());
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j) {
          const double v = c[i * size + j];
          const std::string where = std::string(name_of(d)) + " size " + std::to_string(size) + " row " + std::to_string(i);
          if (i == 0) check(std::isinf(v) && v > 0, "infinity " + where);
          else if (i == 2) check(std::isnan(v), "nan " + where);
          else check(std::isfinite(v), "finite " + where);
        }
    }
}

// Denormals are flushed inside, and the caller's own arithmetic keeps them.
void denormals() {
  const int64_t n = 96;
  Block a(DType::float32, n * n), b(DType::float32, n * n), c(DType::float32, n * n);
  a.fill([] { return 1e-40; });
  b.fill([] { return 1.0; });
  GemmArgs g{};
  g.dtype = DType::float32;
  g.m = g.n = g.k = n; g.batch = 1;
  g.a = a.data(); g.a_row = n; g.a_col = 1;
  g.b = b.data(); g.b_row = n; g.b_col = 1;
  g.c = c.data(); g.c_row = n; g.c_col = 1;
  g.alpha = 1;
  Scratch scratch(target::gemm_scratch(g));
  target::gemm(g, scratch.data());
  bool zero = true;
  for (int64_t i = 0; i < n * n; ++i) zero = zero && c[i] == 0;
  check(zero, "denormals are flushed");
  volatile float tiny = 1e-39f;
  check(tiny * 0.5f != 0.0f, "the caller keeps its denormals");
}

// A half's subnormals are ordinary numbers to float: they are kept.
void half_subnormals() {
  for (int64_t n : {int64_t(1), int64_t(20), int64_t(100)}) {
    Block a(DType::float16, n * n), b(DType::float16, n * n), c(DType::float16, n * n);
    a.fill([] { return 0x1p-22; });
    b.fill([] { return 1.0; });
    GemmArgs g{};
    g.dtype = DType::float16;
    g.m = g.n = g.k = n; g.batch = 1;
    g.a = a.data(); g.a_row = n; g.a_col = 1;
    g.b = b.data(); g.b_row = n; g.b_col = 1;
    g.c = c.data(); g.c_row = n; g.c_col = 1;
    g.alpha = 1;
    Scratch scratch(target::gemm_scratch(g));
    target::gemm(g, scratch.data());
    bool exact = true;
    for (int64_t i = 0; i < n * n; ++i) exact = exact && c[i] == double(n) * 0x1p-22;
    check(exact, "half subnormals " + std::to_string(n));
  }
}

// int64 sums wrap around instead of losing bits.
void wraparound() {
  const int64_t big = int64_t(1) << 62;
  int64_t a[4] = {big, 3, big, big}, b[4] = {4, 5, 1, 2}, c[4];
  GemmArgs g{};
  g.dtype = DType::int64;
  g.m = g.n = g.k = 2; g.batch = 1;
  g.a = a; g.a_row = 2; g.a_col = 1;
  g.b = b; g.b_row = 2; g.b_col = 1;
  g.c = c; g.c_row = 2; g.c_col = 1;
  g.alpha = 1;
  target::gemm(g, nullptr);
  const uint64_t u = uint64_t(big);
  check(c[0] == int64_t(u * 4 + 3) && c[1] == int64_t(u * 5 + 6) && c[2] == int64_t(u * 5) && c[3] == int64_t(u * 7), "int64 wraps");
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
  shapes();
  random_cases(800);
  special_values();
  denormals();
  half_subnormals();
  wraparound();
  // Blocks of rows, columns and depth that are all cut.
  for (DType d : {DType::float32, DType::bfloat16}) {
    Case t = plain(d, 700, 90, 600);
    wrapped(t);
    t.c_column = true;
    t.b = Layout::column;
    wrapped(t);
  }
  return report("gemm");
}
