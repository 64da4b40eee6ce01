// Attention against a naive double reference, forward and backward, of one target (-DTESSEL_TARGET=...): dtypes, masks, causal
// edges, groups, layouts; the same bits at 1, 2 and 3 threads; nothing written outside; prints the largest errors.
#include <algorithm>

#include "kernel_test.h"
#include "kernels/cpu/entries.h"

using namespace tessel;
using namespace test;
namespace target = tessel::TESSEL_TARGET;

namespace {

Rng random_;

enum class MaskKind { none, open_or_closed, added, of_keys };

struct Case {
  DType dtype;
  int64_t batch, group, queries, keys, width, value_width;
  bool causal, heads_inside;
  MaskKind mask;

  std::string text() const {
    char s[200];
    std::snprintf(s, sizeof s, "%s batch=%ld group=%ld queries=%ld keys=%ld width=%ld value_width=%ld causal=%d inside=%d mask=%d", name_of(dtype), long(batch), long(group),
                  long(queries), long(keys), long(width), long(value_width), causal, heads_inside, int(mask));
    return s;
  }
};

// [batch, group, rows, columns], the rows of a batch index apart where heads lie inside; as the kernel sees it and as doubles.
struct Array {
  DType dtype;
  int64_t batch, group, rows, columns, row, of_group, of_batch;
  std::vector<char> bytes;
  static constexpr int64_t kGuard = 64;

  Array(DType d, int64_t batch, int64_t group, int64_t rows, int64_t columns, bool inside) : dtype(d), batch(batch), group(group), rows(rows), columns(columns) {
    row = inside ? group * columns : columns;
    of_group = inside ? columns : rows * columns;
    of_batch = group * rows * columns;
    bytes.assign(size_t((batch * of_batch + 2 * kGuard) * size_of(d)), char(0x5a));
  }
  int64_t at(int64_t b, int64_t g, int64_t i, int64_t j) const { return kGuard + b * of_batch + g * of_group + i * row + j; }
  double get(int64_t b, int64_t g, int64_t i, int64_t j) const { return read(dtype, bytes.data(), at(b, g, i, j)); }
  void fill(double scale) {
    for (int64_t i = 0; i < batch * of_batch; ++i) write(dtype, bytes.data(), kGuard + i, scale * random_.uniform());
  }
  bool guarded() const {
    const size_t n = size_t(kGuard * size_of(dtype));
    auto clean = [](char c) { return c == char(0x5a); };
    return std::all_of(bytes.begin(), bytes.begin() + long(n), clean) && std::all_of(bytes.end() - long(n), bytes.end(), clean);
  }
  AttentionMatrix matrix() {
    AttentionMatrix m{};
    m.data = bytes.data() + kGuard * size_of(dtype);
    m.batch[0] = of_batch;
    m.group = group > 1 ? of_group : 0;  // k and v are shared by all groups
    m.row = row;
    m.column = 1;
    return m;
  }
};

struct Run {
  Array q, k, v, dy, y, dq, dk, dv;
  std::vector<char> mask;
  std::vector<double> lse;
  AttentionArgs args{};

  explicit Run(const Case& t)
      : q(t.dtype, t.batch, t.group, t.queries, t.width, t.heads_inside), k(t.dtype, t.batch, 1, t.keys, t.width, false), v(t.dtype, t.batch, 1, t.keys, t.value_width, false),
        dy(t.dtype, t.batch, t.group, t.queries, t.value_width, t.heads_inside), y(dy), dq(q), dk(k), dv(v), lse(size_t(t.batch * t.group * t.queries)) {
    for (Array* x : {&q, &k, &v, &dy}) x->fill(2);
    args.dtype = t.dtype;
    args.batch_dims = 1;
    args.batch = args.batch_sizes[0] = t.batch;
    args.group = t.group, args.queries = t.queries, args.keys = t.keys, args.width = t.width, args.value_width = t.value_width;
    args.scale = 0.4, args.causal = t.causal;
    const int64_t rows = t.mask == MaskKind::of_keys ? 1 : t.queries;
    args.mask_dtype = t.mask == MaskKind::added ? t.dtype : DType::bool_;
    mask.resize(size_t(rows * t.keys * size_of(args.mask_dtype)));
    for (int64_t i = 0; i < rows * t.keys; ++i)
      write(args.mask_dtype, mask.data(), i, t.mask == MaskKind::added ? random_.uniform() : double(random_.uniform() > -0.4 && i / t.keys != 1));
  }
  void compute(const Case& t, int threads) {
    set_num_threads(threads);
    args.q = q.matrix(), args.k = k.matrix(), args.v = v.matrix(), args.y = y.matrix();
    args.dy = dy.matrix(), args.dq = dq.matrix(), args.dk = dk.matrix(), args.dv = dv.matrix();
    args.lse = lse.data();
    args.mask = {};
    if (t.mask != MaskKind::none) args.mask.data = mask.data(), args.mask.row = t.mask == MaskKind::of_keys ? 0 : t.keys, args.mask.column = 1;
    std::vector<char> scratch(size_t(target::attention_scratch(args) + 64), char(0x7f));
    char* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64);
    target::attention(args, aligned);
    scratch.assign(size_t(target::attention_backward_scratch(args) + 64), char(0x7f));
    aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64);
    target::attention_backward(args, aligned);
  }
  // Is key j open to query i, and what is added to its score?
  bool open(const Case& t, int64_t i, int64_t j, double& added) const {
    added = 0;
    if (t.causal && j > i) return false;
    if (t.mask == MaskKind::added) added = read(t.dtype, mask.data(), i * t.keys + j);
    if (t.mask == MaskKind::open_or_closed) return mask[size_t(i * t.keys + j)] != 0;
    return t.mask != MaskKind::of_keys || mask[size_t(j)] != 0;
  }
};

double worst[4][4];  // by dtype: y, dq, dk, dv, in units of rounding of the largest sum of absolute terms

void compare(const Case& t) {
  Run one(t);
  one.compute(t, 1);
  Run two = one, three = one;
  two.compute(t, 2);
  three.compute(t, 3);
  for (auto part : {&Run::y, &Run::dq, &Run::dk, &Run::dv}) {
    check((one.*part).bytes == (two.*part).bytes && (one.*part).bytes == (three.*part).bytes, "same bits: " + t.text());
    check((one.*part).guarded(), "nothing outside: " + t.text());
  }
  std::vector<double> want[4], size[4];  // and what the terms come to without their signs
  want[0].resize(size_t(t.batch * t.group * t.queries * t.value_width));
  want[1].resize(size_t(t.batch * t.group * t.queries * t.width));
  want[2].resize(size_t(t.batch * t.keys * t.width));
  want[3].resize(size_t(t.batch * t.keys * t.value_width));
  for (int a = 0; a < 4; ++a) size[a].resize(want[a].size());
  std::vector<long double> p(size_t(t.keys));  // as the test's own rounding would be a double's
  std::vector<double> dp(size_t(t.keys)), dp_size(dp);
  double reach = 0;  // of a score's absolute terms
  auto add = [&](int a, int64_t at, double x, double x_size, double y) {
    want[a][size_t(at)] += x * y;
    size[a][size_t(at)] += x_size * std::fabs(y);
  };
  for (int64_t b = 0; b < t.batch; ++b)
    for (int64_t g = 0; g < t.group; ++g)
      for (int64_t i = 0; i < t.queries; ++i) {
        long double top = -INFINITY, sum = 0;
        double mean = 0, mean_size = 0;
        for (int64_t j = 0; j < t.keys; ++j) {
          long double s = 0;
          double s_size = 0, added;
          for (int64_t d = 0; d < t.width; ++d) {
            const long double term = static_cast<long double>(one.q.get(b, g, i, d)) * one.k.get(b, 0, j, d);
            s += term;
            s_size += std::fabs(double(term));
          }
          reach = std::max(reach, s_size * one.args.scale);
          p[size_t(j)] = one.open(t, i, j, added) ? s * one.args.scale + added : -INFINITY;
          top = std::max(top, p[size_t(j)]);
        }
        for (long double& x : p) sum += x = top == -INFINITY ? 0 : std::exp(x - top);
        const int64_t row = (b * t.group + g) * t.queries + i;
        for (int64_t j = 0; j < t.keys; ++j) {
          if (sum > 0) p[size_t(j)] /= sum;
          const double x = double(p[size_t(j)]);
          dp[size_t(j)] = dp_size[size_t(j)] = 0;
          for (int64_t d = 0; d < t.value_width; ++d) {
            const double dy = one.dy.get(b, g, i, d), v = one.v.get(b, 0, j, d);
            add(0, row * t.value_width + d, x, x, v);
            add(3, (b * t.keys + j) * t.value_width + d, x, x, dy);
            dp[size_t(j)] += dy * v;
            dp_size[size_t(j)] += std::fabs(dy * v);
          }
          mean += x * dp[size_t(j)];
          mean_size += x * dp_size[size_t(j)];
        }
        for (int64_t j = 0; j < t.keys; ++j) {
          const double ds = double(p[size_t(j)]) * (dp[size_t(j)] - mean) * one.args.scale;
          const double ds_size = double(p[size_t(j)]) * (dp_size[size_t(j)] + mean_size) * one.args.scale;
          for (int64_t d = 0; d < t.width; ++d) {
            add(1, row * t.width + d, ds, ds_size, one.k.get(b, 0, j, d));
            add(2, (b * t.keys + j) * t.width + d, ds, ds_size, one.q.get(b, g, i, d));
          }
        }
      }
  const Array* const got[4] = {&one.y, &one.dq, &one.dk, &one.dv};
  const char* const names[4] = {"y", "dq", "dk", "dv"};
  for (int a = 0; a < 4; ++a) {
    double error = 0, most = 1e-30;
    size_t n = 0;
    for (int64_t b = 0; b < got[a]->batch; ++b)
      for (int64_t g = 0; g < got[a]->group; ++g)
        for (int64_t i = 0; i < got[a]->rows; ++i)
          for (int64_t d = 0; d < got[a]->columns; ++d, ++n) {
            const double x = got[a]->get(b, g, i, d);
            most = std::max(most, size[a][n]);
            error = std::isnan(x) ? INFINITY : std::max(error, std::fabs(x - want[a][n]));
          }
    const double units = error / most / rounding(t.dtype);
    double& so_far = worst[int(t.dtype) - int(DType::float16)][a];
    so_far = std::max(so_far, units);
    // A score is wrong by some roundings of the sum of its absolute terms, and its power relatively by as much. 16-bit types are
    // computed in float32 and rounded at the end; but the gradient reads a rounded y.
    check(units <= (size_of(t.dtype) == 2 ? 2 : 4 + reach), std::string(names[a]) + " " + std::to_string(units) + " units: " + t.text());
  }
}

}  // namespace

int main() {
  SKIP_WHERE_MISSING();
  for (DType d : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
    compare({d, 1, 1, 64, 64, 64, 64, false, false, MaskKind::none});
    compare({d, 1, 1, 700, 130, 16, 16, true, false, MaskKind::none});  // several chunks
    compare({d, 2, 3, 70, 150, 33, 20, false, true, MaskKind::none});
    for (int i = 0; i < 60; ++i) {
      const int64_t group = 1 + random_.below(3);
      compare({d, 1 + random_.below(3), group, 1 + random_.below(i % 4 ? 150 : 12), 1 + random_.below(150), 1 + random_.below(i % 3 ? 70 : 20), 1 + random_.below(70), i % 2 == 0,
               random_.below(2) == 0, MaskKind(random_.below(4))});
    }
  }
  std::printf("largest errors of y, dq, dk and dv, in units of rounding of the largest sum of absolute terms:\n");
  for (DType d : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
    const double* w = worst[int(d) - int(DType::float16)];
    std::printf("%10s %8.1f %8.1f %8.1f %8.1f\n", name_of(d), w[0], w[1], w[2], w[3]);
  }
  return report("attention");
}
