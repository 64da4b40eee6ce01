// Normalisation: layer, rms, group, batch and instance norm, and what is composed of others.
//
//   y = (x - mean) rstd weight + bias        rstd = 1 / sqrt(var + eps)
//
// Layer, rms and group norm take mean and variance of rows of memory, batch norm those of channels. The derivatives are
// kernels; inside a graph that will be differentiated again they are composed of recorded ops.
#include <limits>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Statistics and parameters have the type the kernels calculate in.
DType statistics_type(const Tensor& x) { return x.dtype() == DType::float64 ? DType::float64 : DType::float32; }
Tensor parameter(const Tensor& p, const Tensor& x) {
  return p.defined() ? in_order(to_dtype(p.dtype() == statistics_type(x) ? p : detach(p), statistics_type(x))) : p;
}
const void* data_of(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

void check_floats(const char* name, const Tensor& x) {
  if (!is_floating(x.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x.dtype(), ", only for floats");
}

// ---- rows

struct Rows {
  const char* name;
  int64_t rows, n, inner, groups;  // as in RowNormArgs
  bool centred;
  double eps;
};

RowNormArgs row_args(const Rows& r, const Tensor& x) {
  RowNormArgs args{};
  args.dtype = x.dtype();
  args.rows = r.rows, args.n = r.n, args.inner = r.inner, args.groups = r.groups;
  args.centred = r.centred, args.eps = r.eps;
  return args;
}

// Which of dx, dweight and dbias somebody wants.
struct Wanted {
  bool of[3];
  bool operator[](int i) const { return of[i]; }
};

// dx, dweight and dbias in recorded ops: x seen as [rounds, groups, weights of a row, inner].
Grads row_norm_algebra(const Rows& r, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& bias, Wanted needs) {
  Dims shape{r.rows / r.groups, r.groups, r.n / r.inner, r.inner}, along{2, 3}, across{0, 3};
  DType type = statistics_type(x);
  Tensor a = reshape(to_dtype(x, type), shape), g = reshape(to_dtype(dy, type), shape), d = r.centred ? a - mean(a, along, true) : a;
  Tensor rstd = unary(Unary::rsqrt, mean(d * d, along, true) + r.eps), hat = d * rstd, dx, dw, db;
  if (needs[0]) {
    Tensor gw = weight.defined() ? g * reshape(weight, {r.groups, r.n / r.inner, 1}) : g;
    Tensor rest = gw - hat * mean(gw * hat, along, true);
    dx = reshape((r.centred ? rest - mean(gw, along, true) : rest) * rstd, x.sizes());
  }
  if (needs[1]) dw = reshape(sum(g * hat, across), weight.sizes());
  if (needs[2]) db = reshape(sum(g, across), bias.sizes());
  return {dx, dw, db};
}

// `dsum`, which may be undefined, is what else arrives at x: dx takes it along.
Grads row_norm_backward(const Rows& r, const Tensor& dy_, const Tensor& x_, const Tensor& weight, const Tensor& bias, const Tensor& mean, const Tensor& rstd, Wanted needs, const Tensor& dsum_ = {}) {
  if (grad_enabled()) {
    Grads grads = row_norm_algebra(r, dy_, x_, weight, bias, needs);
    if (needs[0] && dsum_.defined()) grads[0] = to_dtype(grads[0], dsum_.dtype()) + dsum_;
    return grads;
  }
  Tensor dy = in_order(dy_), x = in_order(x_), w = parameter(weight, x), dsum = dsum_.defined() ? in_order(dsum_) : dsum_, dx, dw, db;
  DType type = statistics_type(x);
  if (needs[0]) dx = empty(x.sizes(), x.dtype(), x.device());
  if (needs[1] || needs[2]) dw = empty((weight.defined() ? weight : bias).sizes(), type, x.device());
  if (needs[2]) db = empty(bias.sizes(), type, x.device());
  RowNormArgs args = row_args(r, x);
  args.x = x.data(), args.weight = data_of(w), args.mean = const_cast<void*>(data_of(mean)), args.rstd = rstd.data(), args.dy = dy.data(), args.dsum = data_of(dsum);
  args.dx = const_cast<void*>(data_of(dx)), args.dweight = const_cast<void*>(data_of(dw)), args.dbias = const_cast<void*>(data_of(db));
  Scratch scratch(kernels(x).row_norm_backward_scratch(args), x.device());
  run(r.name, x, x.numel() * 2, kernels(x).row_norm_backward, args, scratch.data());
  return {dx, needs[1] ? dw : Tensor(), db};
}

Normalised row_norm(const Rows& r, const Tensor& x_, const Tensor& weight, const Tensor& bias, const Dims& statistics) {
  Tensor x = in_order(x_), w = parameter(weight, x), b = parameter(bias, x);
  Tensor y = empty(x.sizes(), x.dtype(), x.device()), rstd = empty(statistics, statistics_type(x), x.device());
  Tensor mean = r.centred ? empty(statistics, statistics_type(x), x.device()) : Tensor();
  RowNormArgs args = row_args(r, x);
  args.x = x.data(), args.weight = data_of(w), args.bias = data_of(b);
  args.y = y.data(), args.mean = const_cast<void*>(data_of(mean)), args.rstd = rstd.data();
  run(r.name, x, x.numel(), kernels(x).row_norm, args);
  if (Node* node = record(r.name, y, {x_, weight, bias}))
    node->backward = [r, x = Saved(x_), weight = Saved(weight), bias, mean, rstd](const Tensor& dy, Needs needs) -> Grads {
      return row_norm_backward(r, dy, x(), weight(), bias, mean, rstd, {needs[0], needs[1], needs[2]});
    };
  return {y, mean, rstd};
}

// y = norm(x + residual), and the sum: on the CPU in one pass over x and residual, which lie alike.
std::tuple<Tensor, Tensor> add_row_norm(const Rows& r, const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, const Dims& statistics) {
  Tensor w = parameter(weight, x), b = parameter(bias, x), sum = empty(x.sizes(), x.dtype()), y = empty(x.sizes(), x.dtype());
  Tensor rstd = empty(statistics, statistics_type(x)), mean = r.centred ? empty(statistics, statistics_type(x)) : Tensor();
  RowNormArgs args = row_args(r, x);
  args.x = x.data(), args.residual = residual.data(), args.sum = sum.data(), args.weight = data_of(w), args.bias = data_of(b);
  args.y = y.data(), args.mean = const_cast<void*>(data_of(mean)), args.rstd = rstd.data();
  run(r.name, x, x.numel(), kernels(x).row_norm, args);
  const Tensor ys[] = {y, sum}, inputs[] = {x, residual, weight, bias};
  if (Node* node = record(r.name, std::span<const Tensor>(ys), std::span<const Tensor>(inputs))) {
    node->undefined_ok = true;
    node->backward = [r, sum = SavedOutput(sum, 1), weight = Saved(weight), bias, mean, rstd](std::span<const Tensor> dys, Needs needs) -> Grads {
      if (!dys[0].defined()) return {dys[1], dys[1]};
      Grads grads = row_norm_backward(r, dys[0], sum(), weight(), bias, mean, rstd, {needs[0] || needs[1], needs[2], needs[3]}, dys[1]);
      return {grads[0], grads[0], grads[1], grads[2]};
    };
  }
  return {y, sum};
}

// Whether one pass can make x + residual: neither is broadcast, converted or turned.
bool lie_alike(const Tensor& x, const Tensor& residual) {
  return x.sizes() == residual.sizes() && x.dtype() == residual.dtype() && x.device().is_cpu() && residual.device().is_cpu() && x.is_contiguous() && residual.is_contiguous();
}

// Normalisation over the last dimensions, which `shape` repeats.
Rows rows_over(const char* name, const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias, bool centred, double eps) {
  check(shape.size() > 0, name, ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = ", shape);
  check(!weight.defined() || weight.sizes() == shape, name, ": Expected weight to be of same shape as normalized_shape, but got weight of shape ", weight.defined() ? weight.sizes() : shape, " and normalized_shape = ", shape);
  check(!bias.defined() || bias.sizes() == shape, name, ": Expected bias to be of same shape as normalized_shape, but got bias of shape ", bias.defined() ? bias.sizes() : shape, " and normalized_shape = ", shape);
  bool fits = x.dim() >= shape.size();
  for (int d = 1; fits && d <= shape.size(); ++d) fits = x.size(-d) == shape[shape.size() - d];
  check(fits, name, ": Given normalized_shape=", shape, ", expected input with shape [*, ", shape, "], but got input of size ", x.sizes());
  check_floats(name, x);
  int64_t n = shape.numel(), rows = 1;
  for (int d = 0; d + shape.size() < x.dim(); ++d) rows *= x.sizes()[d];
  return {name, rows, n, 1, 1, centred, eps};
}

Dims ones_at_end(const Dims& sizes, int count) {
  Dims result = sizes;
  for (int d = sizes.size() - count; d < sizes.size(); ++d) result[d] = 1;
  return result;
}

// ---- channels

// x as [batch, channels, inner] in memory: in C order or, with inner 1, with the channels last.
struct Channels {
  int64_t batch = 0, count = 0, inner = 0;
  bool last = false;

  explicit Channels(const Tensor& x) {
    count = x.sizes()[1];
    batch = x.sizes()[0], inner = 1;
    for (int d = 2; d < x.dim(); ++d) inner *= x.sizes()[d];
    last = !x.is_contiguous() && x.dim() > 2 && to_rows(x).is_contiguous();
    if (last) batch *= inner, inner = 1;
  }
  static Tensor to_rows(const Tensor& x) {  // the channels moved to the end
    Dims sizes = x.sizes(), strides = x.strides();
    sizes.erase(1), strides.erase(1);
    sizes.push_back(x.sizes()[1]), strides.push_back(x.strides()[1]);
    return alias(x, sizes, strides, x.offset());
  }
  Tensor in_memory(const Tensor& x) const { return last ? in_order(to_rows(x)) : in_order(x); }
  ChannelNormArgs args(const Tensor& x) const {
    ChannelNormArgs args{};
    args.dtype = x.dtype();
    args.batch = batch, args.channels = count, args.inner = inner;
    return args;
  }
};

struct ChannelStatistics {
  Tensor mean, rstd;
  bool training;
  double eps;
};

Grads channel_norm_algebra(const Tensor& dy, const Tensor& x, const Tensor& weight, const ChannelStatistics& s, Needs needs) {
  Dims shape = Dims::filled(static_cast<int>(x.dim()), 1), along{0};
  shape[1] = x.sizes()[1];
  for (int d = 2; d < x.dim(); ++d) along.push_back(d);
  DType type = statistics_type(x);
  Tensor a = to_dtype(x, type), g = to_dtype(dy, type), d, rstd, dx, dw, db;
  if (s.training) {
    d = a - mean(a, along, true);
    rstd = unary(Unary::rsqrt, mean(d * d, along, true) + s.eps);
  } else {
    d = a - reshape(s.mean, shape);
    rstd = reshape(s.rstd, shape);
  }
  Tensor hat = d * rstd;
  if (needs[0]) {
    Tensor gw = weight.defined() ? g * reshape(weight, shape) : g;
    dx = (s.training ? gw - mean(gw, along, true) - hat * mean(gw * hat, along, true) : gw) * rstd;
  }
  if (needs[1]) dw = sum(g * hat, along);
  if (needs[2]) db = sum(g, along);
  return {dx, dw, db};
}

Grads channel_norm_backward(const Tensor& dy_, const Tensor& x_, const Tensor& weight, const ChannelStatistics& s, Needs needs) {
  if (grad_enabled()) return channel_norm_algebra(dy_, x_, weight, s, needs);
  Channels channels(x_);
  Tensor x = channels.in_memory(x_), dy = channels.in_memory(dy_), w = parameter(weight, x_), dx, dw, db;
  DType type = statistics_type(x);
  if (needs[0]) dx = channels.last ? empty_strided(x_.sizes(), x_.strides(), x.dtype(), x.device()) : empty(x.sizes(), x.dtype(), x.device());
  if (needs[1]) dw = empty(weight.sizes(), type, x.device());
  if (needs[2]) db = empty(s.mean.sizes(), type, x.device());
  ChannelNormArgs args = channels.args(x);
  args.x = x.data(), args.dy = dy.data(), args.weight = data_of(w), args.mean = s.mean.data(), args.rstd = s.rstd.data(), args.training = s.training;
  args.dx = const_cast<void*>(data_of(dx)), args.dweight = const_cast<void*>(data_of(dw)), args.dbias = const_cast<void*>(data_of(db));
  Scratch scratch(kernels(x).channel_norm_backward_scratch(args), x.device());
  run("batch_norm_backward", x, x.numel() * 2, kernels(x).channel_norm_backward, args, scratch.data());
  return {dx, dw, db};
}

// running = (1 - momentum) running + momentum scale value
void update(const Tensor& running, const Tensor& value, double momentum, double scale = 1) {
  if (!running.defined()) return;
  Tensor x = running;
  mul_(x, wrapped_number(1 - momentum));
  add_(x, value, Scalar(momentum * scale));
}

}  // namespace

// ---- over the last dimensions

Normalised native_layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias, double eps) {
  Rows rows = rows_over("layer_norm", x, shape, weight, bias, true, eps);
  return row_norm(rows, x, weight, bias, ones_at_end(x.sizes(), shape.size()));
}

Tensor layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias, double eps) {
  return native_layer_norm(x, shape, weight, bias, eps).y;
}

Tensor rms_norm(const Tensor& x, const Dims& shape, const Tensor& weight, std::optional<double> eps) {
  double least = x.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  Rows rows = rows_over("rms_norm", x, shape, weight, {}, false, eps.value_or(least));
  return row_norm(rows, x, weight, {}, ones_at_end(x.sizes(), shape.size())).y;
}

std::tuple<Tensor, Tensor> add_layer_norm(const Tensor& x, const Tensor& residual, const Dims& shape, const Tensor& weight, const Tensor& bias, double eps) {
  if (!lie_alike(x, residual)) {
    Tensor sum = x + residual;
    return {layer_norm(sum, shape, weight, bias, eps), sum};
  }
  Rows rows = rows_over("add_layer_norm", x, shape, weight, bias, true, eps);
  return add_row_norm(rows, x, residual, weight, bias, ones_at_end(x.sizes(), shape.size()));
}

std::tuple<Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual, const Dims& shape, const Tensor& weight, std::optional<double> eps) {
  if (!lie_alike(x, residual)) {
    Tensor sum = x + residual;
    return {rms_norm(sum, shape, weight, eps), sum};
  }
  double least = x.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  Rows rows = rows_over("add_rms_norm", x, shape, weight, {}, false, eps.value_or(least));
  return add_row_norm(rows, x, residual, weight, {}, ones_at_end(x.sizes(), shape.size()));
}

// ---- over groups of channels

Normalised native_group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const char* name = "group_norm";
  check(x.dim() >= 2, name, ": Expected at least 2 dimensions for input tensor but received ", x.dim());
  int64_t channels = x.sizes()[1], inner = 1;
  check(groups > 0, name, ": Expected num groups to be greater than 0, got ", groups);
  check(channels % groups == 0, name, ": Expected number of channels in input to be divisible by num_groups, but got input of shape ", x.sizes(), " and num_groups=", groups);
  for (const Tensor* p : {&weight, &bias})
    check(!p->defined() || (p->dim() == 1 && p->numel() == channels), name, ": Expected weight and bias to be vectors of size equal to the number of channels (", channels, "), but got ", p->defined() ? p->sizes() : Dims());
  check_floats(name, x);
  for (int d = 2; d < x.dim(); ++d) inner *= x.sizes()[d];
  Rows rows{name, x.sizes()[0] * groups, channels / groups * inner, std::max<int64_t>(inner, 1), groups, true, eps};
  return row_norm(rows, x, weight, bias, {x.sizes()[0], groups});
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) { return native_group_norm(x, groups, weight, bias, eps).y; }

// ---- over the batch

Normalised native_batch_norm(const Tensor& x_, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps) {
  const char* name = "batch_norm";
  if (x_.numel() == 0) {  // no statistics: the parameters only lend their history
    Tensor y = clone(x_);
    if (weight.defined() && weight.numel() > 0) y = y * select(weight, 0, 0);
    if (bias.defined() && bias.numel() > 0) y = y + select(bias, 0, 0);
    Tensor none = empty({0}, statistics_type(x_), x_.device());
    return {y, none, none};
  }
  check(x_.dim() >= 2, name, ": input must have at least 2 dimensions, (N, C, ...), but is ", x_.sizes());
  check(training || (running_mean.defined() && running_var.defined()), name, ": Expected running_mean and running_var to be defined when training=False");
  check_floats(name, x_);
  Channels channels(x_);
  const std::pair<const char*, const Tensor*> parameters[] = {{"running_mean", &running_mean}, {"running_var", &running_var}, {"weight", &weight}, {"bias", &bias}};
  for (auto [what, p] : parameters)
    check(!p->defined() || p->numel() == channels.count, name, ": ", what, " should contain ", channels.count, " elements not ", p->defined() ? p->numel() : 0);
  Tensor x = channels.in_memory(x_), w = parameter(weight, x_), b = parameter(bias, x_);
  Tensor y = channels.last ? empty_strided(x_.sizes(), x_.strides(), x.dtype(), x.device()) : empty(x.sizes(), x.dtype(), x.device());
  ChannelNormArgs args = channels.args(x);
  args.x = x.data(), args.weight = data_of(w), args.bias = data_of(b), args.y = y.data();

  ChannelStatistics s{{}, {}, training, eps};
  {
    NoGrad no_grad;
    Tensor variance;
    if (training) {
      s.mean = empty({channels.count}, statistics_type(x), x.device()), variance = empty_like(s.mean);
      args.moment[0] = s.mean.data(), args.moment[1] = variance.data();
      Scratch scratch(kernels(x).channel_moments_scratch(args), x.device());
      run(name, x, x.numel(), kernels(x).channel_moments, args, scratch.data());
      double n = static_cast<double>(channels.batch * channels.inner);
      update(running_mean, s.mean, momentum);
      update(running_var, variance, momentum, n / (n - 1));  // the unbiased one
      if (running_var.defined() && n == 1) copy_(Tensor(running_var), wrapped_number(std::numeric_limits<double>::quiet_NaN()));
    } else {  // copies: the running ones may go on
      s.mean = clone(parameter(running_mean, x_)), variance = parameter(running_var, x_);
    }
    s.rstd = unary(Unary::rsqrt, variance + eps);
  }
  args.mean = s.mean.data(), args.rstd = s.rstd.data();
  run(name, x, x.numel(), kernels(x).channel_norm, args);
  if (Node* node = record(name, y, {x_, weight, bias}))
    node->backward = [x = Saved(x_), weight = Saved(weight), s](const Tensor& dy, Needs needs) -> Grads {
      return channel_norm_backward(dy, x(), weight(), s, needs);
    };
  return {y, s.mean, s.rstd};
}

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps) {
  return native_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps).y;
}

// Every channel of every sample by itself.
Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool use_input_stats, double momentum, double eps) {
  check(x.dim() >= 2, "instance_norm: input must have at least 2 dimensions, (N, C, ...), but is ", x.sizes());
  check(use_input_stats || (running_mean.defined() && running_var.defined()), "instance_norm: Expected running_mean and running_var to be defined when use_input_stats is false");
  if (!use_input_stats) return batch_norm(x, weight, bias, running_mean, running_var, false, momentum, eps);
  if (running_mean.defined() || running_var.defined()) {
    NoGrad no_grad;
    Tensor rows = to_dtype(reshape(x, {x.sizes()[0], x.sizes()[1], -1}), statistics_type(x));
    update(running_mean, mean(mean(rows, Dims{2}), Dims{0}), momentum);
    update(running_var, mean(var(rows, Dims{2}), Dims{0}), momentum);
  }
  return group_norm(x, x.sizes()[1], weight, bias, eps);
}

// ---- composed

// x / (k + alpha mean(x^2 over `size` neighbouring channels))^beta
Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k) {
  check_value(x.dim() >= 3, "local_response_norm: Expected 3D or higher dimensionality input (got ", x.dim(), " dimensions)");
  if (x.numel() == 0) return clone(x);
  Tensor squares = reshape(x * x, {x.sizes()[0], x.sizes()[1], -1});
  Tensor windows = unfold(constant_pad_nd(squares, Dims{0, 0, size / 2, (size - 1) / 2}), 1, size, 1);
  std::optional<std::string> mode = is_floating(x.dtype()) ? std::optional<std::string>() : "trunc";
  Tensor near = reshape(div(sum(windows, Dims{-1}), wrapped_number(Scalar(size)), mode), x.sizes());
  return x / pow(near * alpha + k, wrapped_number(beta));
}

Tensor normalize(const Tensor& x, double p, Ints dims, double eps) { return x / clamp(norm(x, p, dims, true), Scalar(eps), {}); }

}  // namespace tessel
