// Images of other sizes: interpolation, and sampling at the positions of a grid.
//
// Interpolation of any kind goes one dimension after the other, by a table of the source elements and weights of each
// result. Its derivative is the same op with the tables turned round.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <vector>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Element j of m is the sum of weight[t] times element index[t] of n, t from first[j] to first[j + 1] - 1.
struct Table {
  int64_t n, m;
  int taps;  // of each, where all have as many; else 0
  std::vector<int64_t> first;
  std::vector<int32_t> index;
  std::vector<double> weight;
  std::vector<float> narrow;   // the weights again, for float32

  void seal() {
    narrow.assign(weight.begin(), weight.end());
    taps = m > 0 ? static_cast<int>(first[1]) : 0;
    for (int64_t j = 0; j <= m; ++j)
      if (first[j] != j * taps) taps = 0;
  }
};
struct Tables {
  Table forward, backward;
};
using Shared = std::shared_ptr<const Tables>;

Table turned(const Table& t) {
  Table r{t.m, t.n, 0, std::vector<int64_t>(static_cast<size_t>(t.n) + 1), std::vector<int32_t>(t.index.size()), std::vector<double>(t.index.size()), {}};
  for (int32_t i : t.index) ++r.first[i + 1];
  for (int64_t i = 0; i < t.n; ++i) r.first[i + 1] += r.first[i];
  std::vector<int64_t> next(r.first.begin(), r.first.end() - 1);
  for (int64_t j = 0; j < t.m; ++j)
    for (int64_t k = t.first[j]; k < t.first[j + 1]; ++k) {
      int64_t at = next[t.index[k]]++;
      r.index[at] = static_cast<int32_t>(j), r.weight[at] = t.weight[k];
    }
  r.seal();
  return r;
}

// A filter around zero; what lies `reach` or further away does not count.
struct Filter {
  double reach;
  double (*value)(double x);
};

double cubic(double x, double a) {  // Keys 1981
  x = std::abs(x);
  return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

constexpr Filter kTriangle = {1, [](double x) { return std::max(0.0, 1 - std::abs(x)); }};
constexpr Filter kCubic = {2, [](double x) { return cubic(x, -0.5); }};
constexpr Filter kLanczos = {3, [](double x) { return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0; }};

// Source elements to one of the result, as a length: the given factor has the last word unless corners are aligned.
double step_of(int64_t n, int64_t m, bool align_corners, double factor) {
  if (align_corners) return m > 1 ? static_cast<double>(n - 1) / static_cast<double>(m - 1) : 0;
  return factor > 0 ? 1 / factor : static_cast<double>(n) / static_cast<double>(m);
}

// Nearest positions are found in float32, in which PyTorch finds them: where they fall on a border, that decides.
int64_t nearest(int64_t j, int64_t n, int64_t m, double factor, bool exact) {
  float step = factor > 0 ? static_cast<float>(1 / factor) : static_cast<float>(n) / static_cast<float>(m);
  if (exact) return std::min(static_cast<int64_t>(std::floor((static_cast<float>(j) + 0.5f) * step)), n - 1);
  if (n == m) return j;
  if (m == 2 * n) return j / 2;
  return std::min(static_cast<int64_t>(std::floor(static_cast<float>(j) * step)), n - 1);
}

Table make_table(Interpolation kind, int64_t n, int64_t m, bool align_corners, bool antialias, double factor) {
  Table t{n, m, 0, {0}, {}, {}, {}};
  auto tap = [&](int64_t i, double weight) {
    t.index.push_back(static_cast<int32_t>(std::clamp<int64_t>(i, 0, n - 1)));
    t.weight.push_back(weight);
  };
  double step = step_of(n, m, align_corners, factor);
  const Filter& filter = kind == Interpolation::linear ? kTriangle : kind == Interpolation::cubic ? kCubic : kLanczos;
  for (int64_t j = 0; j < m; ++j) {
    double x = align_corners ? step * static_cast<double>(j) : step * (static_cast<double>(j) + 0.5) - 0.5;
    if (kind == Interpolation::nearest || kind == Interpolation::nearest_exact) {
      tap(nearest(j, n, m, factor, kind == Interpolation::nearest_exact), 1);
    } else if (antialias) {  // the filter is as wide as the step, and its weights add up to 1
      double stretch = std::max(step, 1.0), reach = filter.reach * stretch, centre = step * (static_cast<double>(j) + 0.5);
      int64_t begin = std::max(static_cast<int64_t>(centre - reach + 0.5), int64_t(0)), end = std::min(static_cast<int64_t>(centre + reach + 0.5), n);
      size_t before = t.weight.size();
      double sum = 0;
      for (int64_t i = begin; i < end; ++i) {
        double weight = filter.value((static_cast<double>(i) - centre + 0.5) / stretch);
        tap(i, weight);
        sum += weight;
      }
      for (size_t k = before; sum != 0 && k < t.weight.size(); ++k) t.weight[k] /= sum;
    } else if (kind == Interpolation::linear) {
      x = std::max(x, 0.0);
      int64_t i = std::min(static_cast<int64_t>(x), n - 1);
      double after = std::clamp(x - static_cast<double>(i), 0.0, 1.0);
      tap(i, 1 - after);
      tap(i + 1, after);
    } else {
      double base = std::floor(x);
      for (int64_t k = -1; k <= 2; ++k) tap(static_cast<int64_t>(base) + k, cubic(x - base - static_cast<double>(k), -0.75));
    }
    t.first.push_back(static_cast<int64_t>(t.index.size()));
  }
  t.seal();
  return t;
}

Tensor resample(const char* name, const Tensor& x_, int64_t dim, const Shared& tables, bool turned) {
  const Table& table = turned ? tables->backward : tables->forward;
  Tensor x = contiguous(x_);
  Dims sizes = x.sizes();
  sizes[dim] = table.m;
  Tensor y = empty(sizes, x.dtype(), x.device());
  ResampleArgs args{x.dtype(), 1, table.n, table.m, 1, table.first.data(), table.index.data(), nullptr, table.taps, x.data(), y.data()};
  args.weight = x.dtype() == DType::float64 ? static_cast<const void*>(table.weight.data()) : table.narrow.data();
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != dim) (d < dim ? args.outer : args.inner) *= sizes[d];
  if (y.numel() > 0) run(name, y, y.numel() * 2, kernels(y).resample, args);
  if (Node* node = record(name, y, {x}))
    node->backward = [name, dim, tables, turned](const Tensor& dy, Needs) -> Grads { return {resample(name, dy, dim, tables, !turned)}; };
  return y;
}

}  // namespace

Tensor interpolate(const Tensor& x_, const Dims& sizes, Interpolation kind, bool align_corners, bool antialias, std::span<const double> factors) {
  const char* name = "interpolate";
  if (!is_floating(x_.dtype()) && x_.dtype() != DType::uint8) fail<NotImplementedError>(name, ": not implemented for ", x_.dtype());
  int spatial = sizes.size();
  for (int d = 0; d < x_.dim(); ++d) {
    check(d == 0 || x_.sizes()[d] > 0, name, ": Non-empty ", x_.dim(), "D data tensor expected but got a tensor with sizes ", x_.sizes());
    check(x_.sizes()[d] <= std::numeric_limits<int32_t>::max(), name, ": dimension ", d, " of ", x_.sizes(), " is too long");
  }
  for (int64_t n : sizes) check(n > 0, name, ": Input and output sizes should be greater than 0, but got input ", x_.sizes(), " and output ", sizes);
  // What shrinks goes first, from the outside on; what grows then from the inside on, where lanes cannot run along rows.
  std::vector<int> order;
  // Bytes are rounded after each, from the inside on, as image libraries do.
  bool bytes = x_.dtype() == DType::uint8;
  for (int d = 0; d < spatial; ++d)
    if (!bytes && sizes[d] < x_.sizes()[2 + d]) order.push_back(d);
  for (int d = spatial - 1; d >= 0; --d)
    if (bytes || sizes[d] >= x_.sizes()[2 + d]) order.push_back(d);
  bool picked = kind == Interpolation::nearest || kind == Interpolation::nearest_exact;
  Tensor x = x_.dtype() == DType::float32 || x_.dtype() == DType::float64 ? x_ : to_dtype(x_, DType::float32), y = x;
  for (int d : order) {
    int64_t n = x.sizes()[2 + d];
    double factor = factors.empty() ? 0 : factors[d];
    if (n == sizes[d] && (align_corners || !(factor > 0)) && (picked || !antialias || kind == Interpolation::linear)) continue;  // each is itself
    auto tables = std::make_shared<Tables>();
    tables->forward = make_table(kind, n, sizes[d], align_corners, antialias, factor);
    if (wants_grad({y})) tables->backward = turned(tables->forward);
    y = resample(name, y, 2 + d, tables, false);
    if (bytes && !picked) y = clamp(unary(Unary::floor, y + 0.5), Scalar(0.0), Scalar(255.0));
  }
  return y.is_same(x_) ? clone(x_) : to_dtype(y, x_.dtype());
}

// ---- grids

Tensor affine_grid(const Tensor& theta, const Dims& sizes, bool align_corners) {
  const char* name = "affine_grid";
  int spatial = sizes.size() - 2;
  if (spatial != 2 && spatial != 3) fail<NotImplementedError>(name, ": only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size ", sizes);
  check_value(is_floating(theta.dtype()), name, ": Expected theta to have floating point type, but got ", theta.dtype());
  check_value(theta.dim() == 3 && theta.sizes()[1] == spatial && theta.sizes()[2] == spatial + 1 && theta.sizes()[0] == sizes[0], name, ": Expected a batch of ", spatial, "D affine matrices of shape ",
              Dims{sizes[0], spatial, spatial + 1}, " for size ", sizes, ", but got ", theta.sizes());
  for (int64_t n : sizes) check_value(n > 0, name, ": Expected non-zero, positive output size. Got ", sizes);
  // Positions (..., 1) of the result's elements, the last dimension first, and each times the matrix.
  Dims shape;
  for (int d = 0; d < spatial; ++d) shape.push_back(sizes[2 + d]);
  std::vector<Tensor> parts;
  for (int d = spatial - 1; d >= 0; --d) {
    int64_t n = shape[d];
    double end = n == 1 ? 0 : align_corners ? 1 : 1 - 1 / static_cast<double>(n);
    Dims along = Dims::filled(spatial, 1);
    along[d] = n;
    parts.push_back(expand(reshape(linspace(-end, end, n, theta.dtype(), theta.device()), along), shape));
  }
  parts.push_back(ones(shape, theta.dtype(), theta.device()));
  Tensor base = reshape(stack(parts, -1), {1, -1, spatial + 1});
  Dims result{sizes[0]};
  for (int64_t n : shape) result.push_back(n);
  result.push_back(spatial);
  return reshape(matmul(base, transpose(theta, 1, 2)), result);
}

namespace {

struct Sample {
  Sampling sampling;
  Outside outside;
  bool align_corners;
};

GridSampleArgs grid_args(const Sample& s, const Tensor& x, const Tensor& grid) {
  GridSampleArgs args{};
  int spatial = static_cast<int>(x.dim()) - 2;
  args.dtype = x.dtype();
  args.sampling = s.sampling, args.outside = s.outside, args.align_corners = s.align_corners, args.spatial = spatial;
  args.batch = x.sizes()[0], args.channels = x.sizes()[1], args.in[0] = 1, args.out = 1;
  for (int d = 0; d < spatial; ++d) args.in[3 - spatial + d] = x.sizes()[2 + d], args.out *= grid.sizes()[1 + d];
  args.x = x.data(), args.grid = grid.data();
  return args;
}

Dims sampled_sizes(const Tensor& x, const Tensor& grid) {
  Dims sizes{x.sizes()[0], x.sizes()[1]};
  for (int64_t d = 1; d + 1 < grid.dim(); ++d) sizes.push_back(grid.sizes()[d]);
  return sizes;
}

// ---- the same in recorded ops, for gradients that will be differentiated again

// The elements along one dimension that a position reads, their weights, and where they lie inside.
struct Taps {
  std::vector<Tensor> at, weight;
};

Tensor brought_inside(const Sample& s, Tensor u, double n) {
  if (s.outside == Outside::reflection) {
    double low = s.align_corners ? 0 : -0.5, span = s.align_corners ? n - 1 : n;
    if (span == 0) return u * 0.0;
    Tensor away = abs(u - low), turns = unary(Unary::floor, detach(away) / span), rest = away - turns * span;
    Tensor odd = ne(remainder(turns, wrapped_number(2.0)), wrapped_number(0.0));
    u = where(odd, span - rest, rest) + low;
  }
  return s.outside == Outside::zeros ? u : clamp(u, Scalar(0.0), Scalar(n - 1));
}

Taps taps_along(const Sample& s, const Tensor& position, int64_t n) {
  double size = static_cast<double>(n);
  Tensor u = s.align_corners ? (position + 1.0) * ((size - 1) / 2) : ((position + 1.0) * size - 1.0) * 0.5;
  Taps taps;
  if (s.sampling == Sampling::cubic) {
    Tensor base = unary(Unary::floor, detach(u)), t = u - base;
    for (int k = -1; k <= 2; ++k) {
      Tensor d = abs(t - static_cast<double>(k));
      taps.weight.push_back(k == 0 || k == 1 ? (d * 1.25 - 2.25) * d * d + 1.0 : ((d * -0.75 + 3.75) * d - 6.0) * d + 3.0);
      taps.at.push_back(brought_inside(s, base + static_cast<double>(k), size));
    }
    return taps;
  }
  u = brought_inside(s, u, size);
  if (s.sampling == Sampling::nearest) return {{round(detach(u))}, {ones(u.sizes(), u.dtype(), u.device())}};
  Tensor base = unary(Unary::floor, detach(u));
  return {{base, base + 1.0}, {1.0 - (u - base), u - base}};
}

Tensor sample_algebra(const Sample& s, const Tensor& x, const Tensor& grid) {
  int spatial = static_cast<int>(x.dim()) - 2;
  int64_t n = x.sizes()[0], channels = x.sizes()[1];
  std::vector<Tensor> positions = unbind(reshape(grid, {n, -1, spatial}), -1);
  Taps axes[3];
  for (int d = 0; d < spatial; ++d) axes[d] = taps_along(s, positions[spatial - 1 - d], x.sizes()[2 + d]);
  Tensor flat = reshape(x, {n, channels, -1}), y;
  size_t count = axes[0].at.size(), all = count * count * (spatial == 3 ? count : 1);
  for (size_t k = 0; k < all; ++k) {
    Tensor at, weight, there;
    size_t rest = k;
    for (int d = 0; d < spatial; ++d, rest /= count) {
      const Tensor& place = axes[d].at[rest % count];
      double last = static_cast<double>(x.sizes()[2 + d] - 1);
      Tensor open = binary(Binary::logical_and, ge(place, wrapped_number(0.0)), le(place, wrapped_number(last)));
      Tensor number = to_dtype(where(open, place, zeros({}, place.dtype(), place.device())), DType::int64);
      there = d ? binary(Binary::logical_and, there, open) : open;
      at = d ? at * wrapped_number(Scalar(x.sizes()[2 + d])) + number : number;
      weight = d ? weight * axes[d].weight[rest % count] : axes[d].weight[rest % count];
    }
    Tensor values = gather(flat, 2, expand(unsqueeze(at, 1), {n, channels, at.sizes()[1]}));
    Tensor part = where(unsqueeze(there, 1), values * unsqueeze(weight, 1), zeros({}, x.dtype(), x.device()));
    y = y.defined() ? y + part : part;
  }
  return reshape(y, sampled_sizes(x, grid));
}

Grads sample_backward(const Sample& s, const Tensor& dy_, const Tensor& x_, const Tensor& grid_, Needs needs) {
  Tensor dx, dgrid;
  if (grad_enabled()) {
    Tensor from[] = {x_, grid_}, y[] = {sample_algebra(s, x_, grid_)}, dys[] = {dy_};
    std::vector<Tensor> wanted, given;
    for (int i = 0; i < 2; ++i)
      if (needs[i]) wanted.push_back(from[i]);
    std::vector<Tensor> found = backward(y, dys, wanted, {.retain_graph = true, .create_graph = true, .accumulate = false, .allow_unused = true});
    Grads grads;
    size_t next = 0;
    for (int i = 0; i < 2; ++i) grads.push_back(needs[i] ? found[next++] : Tensor());
    return grads;
  }
  Tensor dy = in_order(dy_), x = in_order(x_), grid = in_order(grid_);
  GridSampleArgs args = grid_args(s, x, grid);
  args.dy = dy.data();
  if (needs[0]) dx = empty(x.sizes(), x.dtype(), x.device()), args.dx = dx.data();
  if (needs[1]) dgrid = empty(grid.sizes(), grid.dtype(), grid.device()), args.dgrid = dgrid.data();
  if (dy.numel() > 0) {
    run("grid_sample_backward", dy, dy.numel() * 16, kernels(dy).grid_sample_backward, args);
  } else {
    if (dx.defined()) zero_(dx);
    if (dgrid.defined()) zero_(dgrid);
  }
  return {dx, dgrid};
}

}  // namespace

Tensor grid_sample(const Tensor& x_, const Tensor& grid_, std::string_view mode, std::string_view padding, bool align_corners) {
  const char* name = "grid_sample";
  check_value(mode == "bilinear" || mode == "nearest" || mode == "bicubic", name, ": expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '", mode, "'");
  check_value(padding == "zeros" || padding == "border" || padding == "reflection", name, ": expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '", padding, "'");
  check((x_.dim() == 4 || x_.dim() == 5) && x_.dim() == grid_.dim(), name, ": expected 4D or 5D input and grid with same number of dimensions, but got input with sizes ", x_.sizes(), " and grid with sizes ", grid_.sizes());
  check(x_.dtype() == grid_.dtype(), name, ": expected input and grid to have same dtype, but input has ", x_.dtype(), " and grid has ", grid_.dtype());
  if (!is_floating(x_.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x_.dtype());
  check(x_.sizes()[0] == grid_.sizes()[0], name, ": expected grid and input to have same batch size, but got input with sizes ", x_.sizes(), " and grid with sizes ", grid_.sizes());
  check(grid_.size(-1) == x_.dim() - 2, name, ": expected grid to have size ", x_.dim() - 2, " in last dimension, but got grid with sizes ", grid_.sizes());
  for (int64_t d = 2; d < x_.dim(); ++d) check(x_.sizes()[d] > 0, name, ": expected input to have non-empty spatial dimensions, but input has sizes ", x_.sizes(), " with dimension ", d, " being empty");
  check(mode != "bicubic" || x_.dim() == 4, name, ": bicubic interpolation only supports 4D input");
  Sample s{mode == "nearest" ? Sampling::nearest : mode == "bicubic" ? Sampling::cubic : Sampling::linear,
           padding == "zeros" ? Outside::zeros : padding == "border" ? Outside::border : Outside::reflection, align_corners};
  if (x_.dtype() == DType::float16 || x_.dtype() == DType::bfloat16)  // positions of a large image need float32
    return to_dtype(grid_sample(to_dtype(x_, DType::float32), to_dtype(grid_, DType::float32), mode, padding, align_corners), x_.dtype());
  Tensor x = in_order(x_), grid = in_order(grid_), y = empty(sampled_sizes(x, grid), x.dtype(), x.device());
  GridSampleArgs args = grid_args(s, x, grid);
  args.y = y.data();
  if (y.numel() > 0) run(name, y, y.numel() * 8, kernels(y).grid_sample, args);
  if (Node* node = record(name, y, {x_, grid_}))
    node->backward = [s, x = Saved(x_), grid = Saved(grid_)](const Tensor& dy, Needs needs) -> Grads { return sample_backward(s, dy, x(), grid(), needs); };
  return y;
}

}  // namespace tessel
