// Pooling of one to three dimensions: the largest or the mean of each window, windows of a fixed or an adaptive size.
#include <algorithm>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

struct Plan {
  const char* name;
  PoolArgs args;
  Dims x_sizes, y_sizes;
};

Dims spread(const char* name, const char* what, const Dims& given, int n) {
  if (given.size() == 1) return Dims::filled(n, given[0]);
  check(given.size() == n, name, ": ", what, " must either be a single int, or a tuple of ", n, " ints, got ", given);
  return given;
}

// The number of windows: floor or ceil((in + 2 p - reach) / stride) + 1; the last must begin inside the image or its
// padding before it.
int64_t windows(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1 + (ceil_mode ? stride - 1 : 0);
  int64_t n = (room >= 0 ? room / stride : -((-room + stride - 1) / stride)) + 1;
  if (ceil_mode && (n - 1) * stride >= in + padding) --n;
  return n;
}

Plan make_plan(const char* name, Pool op, int spatial, const Tensor& x) {
  check(x.dim() == spatial + 1 || x.dim() == spatial + 2, name, ": Expected ", spatial + 1, "D or ", spatial + 2, "D (batch mode) tensor, but got input of size: ", x.sizes());
  // A batch may be empty. Adaptive pools take the channels of a lone image for one, and the mean needs no channels.
  int64_t first = op == Pool::adaptive_average && spatial < 3 ? x.dim() - spatial : op == Pool::adaptive_average || op == Pool::adaptive_max || x.dim() == spatial + 2 ? 1 : 0;
  for (int64_t d = first; d < x.dim(); ++d) check(x.sizes()[d] > 0, name, ": Expected input to have non-zero size for non-batch dimensions, but got ", x.sizes());
  bool integers = op == Pool::max ? is_integral(x.dtype()) : op == Pool::average && x.dtype() == DType::int64;
  if (!is_floating(x.dtype()) && !integers) fail<NotImplementedError>(name, ": not implemented for ", x.dtype());
  Plan plan{name, {}, x.sizes(), {}};
  plan.args.op = op;
  plan.args.dtype = x.dtype();
  plan.args.planes = 1;
  for (int64_t d = 0; d < x.dim() - spatial; ++d) {
    plan.args.planes *= x.sizes()[d];
    plan.y_sizes.push_back(x.sizes()[d]);
  }
  for (int i = 0; i < 3; ++i) {
    plan.args.in[i] = plan.args.out[i] = plan.args.kernel[i] = plan.args.stride[i] = plan.args.dilation[i] = 1;
    plan.args.padding[i] = 0;
  }
  return plan;
}

Plan window_plan(const char* name, Pool op, int spatial, const Tensor& x, const Dims& kernel_, const Dims& stride_, const Dims& padding_, const Dims& dilation_, bool ceil_mode) {
  Dims kernel = spread(name, "kernel_size", kernel_, spatial), stride = stride_.empty() ? kernel : spread(name, "stride", stride_, spatial);
  Dims padding = spread(name, "padding", padding_, spatial), dilation = spread(name, "dilation", dilation_, spatial);
  Plan plan = make_plan(name, op, spatial, x);
  for (int d = 0; d < spatial; ++d) {
    int i = 3 - spatial + d;
    check(kernel[d] > 0, name, ": kernel size should be greater than zero, but got ", kernel);
    check(stride[d] > 0, name, ": stride should not be zero, but got ", stride);
    check(dilation[d] > 0, name, ": dilation should be greater than zero, but got ", dilation);
    check(padding[d] >= 0 && padding[d] <= ((kernel[d] - 1) * dilation[d] + 1) / 2, name, ": pad should be at most half of effective kernel size, but got pad=", padding[d], ", kernel_size=", kernel[d], " and dilation=", dilation[d]);
    int64_t in = x.sizes()[x.dim() - spatial + d], out = windows(in, kernel[d], stride[d], padding[d], dilation[d], ceil_mode);
    check(out >= 1, name, ": Given input size: ", x.sizes(), ". Calculated output size in dimension ", d, ": ", out, ". Output size is too small");
    plan.args.in[i] = in, plan.args.out[i] = out, plan.args.kernel[i] = kernel[d], plan.args.stride[i] = stride[d], plan.args.padding[i] = padding[d], plan.args.dilation[i] = dilation[d];
    plan.y_sizes.push_back(out);
  }
  return plan;
}

Plan adaptive_plan(const char* name, Pool op, int spatial, const Tensor& x, const Dims& output_size_) {
  Dims output_size = spread(name, "output_size", output_size_, spatial);
  Plan plan = make_plan(name, op, spatial, x);
  for (int d = 0; d < spatial; ++d) {
    int i = 3 - spatial + d;
    int64_t in = x.sizes()[x.dim() - spatial + d], out = output_size[d];
    check(out >= 0, name, ": elements of output_size must be greater than or equal to 0, but got ", output_size);
    plan.args.in[i] = in, plan.args.out[i] = out;
    plan.y_sizes.push_back(out);
  }
  return plan;
}

int64_t work(const Plan& plan) { return plan.x_sizes.numel() * 2; }

Tensor pool_mean(const Tensor& x, const Plan& plan);

// dx of a mean. Linear in dy: its derivative is the mean itself.
Tensor pool_mean_backward(const Tensor& dy_, const Plan& plan) {
  Tensor dy = contiguous(dy_), dx = empty(plan.x_sizes, dy.dtype(), dy.device());
  PoolArgs args = plan.args;
  args.dy = dy.data(), args.dx = dx.data();
  if (dy.numel() == 0) {
    zero_(dx);
  } else {
    Scratch scratch(kernels(dx).pool_backward_scratch(args), dx.device());
    run(plan.name, dx, work(plan), kernels(dx).pool_backward, args, scratch.data());
  }
  if (Node* node = record(plan.name, dx, {dy}))
    node->backward = [plan](const Tensor& ddx, Needs) -> Grads { return {pool_mean(ddx, plan)}; };
  return dx;
}

Tensor pool_mean(const Tensor& x_, const Plan& plan) {
  Tensor x = contiguous(x_), y = empty(plan.y_sizes, x.dtype(), x.device());
  PoolArgs args = plan.args;
  args.x = x.data(), args.y = y.data();
  if (y.numel() > 0) run(plan.name, y, work(plan), kernels(y).pool, args);
  if (Node* node = record(plan.name, y, {x}))
    node->backward = [plan](const Tensor& dy, Needs) -> Grads { return {pool_mean_backward(dy, plan)}; };
  return y;
}

Dims flat_planes(const Dims& sizes, int spatial) {  // [..., image] -> [planes, image elements]
  int64_t planes = 1, image = 1;
  for (int d = 0; d < sizes.size(); ++d) (d < sizes.size() - spatial ? planes : image) *= sizes[d];
  return {planes, image};
}

Tensor pool_max_backward(const Tensor& dy_, const Tensor& indices, const Plan& plan, int spatial) {
  Tensor dy = contiguous(dy_), dx = empty(plan.x_sizes, dy.dtype(), dy.device());
  PoolArgs args = plan.args;
  args.dy = dy.data(), args.dx = dx.data(), args.indices = indices.data_as<int64_t>();
  if (dy.numel() == 0) {
    zero_(dx);
  } else {
    Scratch scratch(kernels(dx).pool_backward_scratch(args), dx.device());
    run(plan.name, dx, work(plan), kernels(dx).pool_backward, args, scratch.data());
  }
  if (Node* node = record(plan.name, dx, {dy}))
    node->backward = [indices, plan, spatial](const Tensor& ddx, Needs) -> Grads {
      Tensor picked = gather(reshape(ddx, flat_planes(plan.x_sizes, spatial)), 1, reshape(indices, flat_planes(plan.y_sizes, spatial)));
      return {reshape(picked, plan.y_sizes)};
    };
  return dx;
}

std::tuple<Tensor, Tensor> pool_max(const Tensor& x_, const Plan& plan, int spatial, bool want_indices) {
  Tensor x = contiguous(x_), y = empty(plan.y_sizes, x.dtype(), x.device());
  Tensor indices = want_indices || wants_grad({x}) ? empty(plan.y_sizes, DType::int64, x.device()) : Tensor();
  PoolArgs args = plan.args;
  args.x = x.data(), args.y = y.data();
  args.indices = indices.defined() ? indices.data_as<int64_t>() : nullptr;
  if (y.numel() > 0) run(plan.name, y, work(plan), kernels(y).pool, args);
  if (Node* node = record(plan.name, y, {x}))
    node->backward = [indices = detach(indices), plan, spatial](const Tensor& dy, Needs) -> Grads { return {pool_max_backward(dy, indices, plan, spatial)}; };
  return {y, indices};
}

constexpr const char* kMaxNames[] = {"", "max_pool1d", "max_pool2d", "max_pool3d"};
constexpr const char* kMeanNames[] = {"", "avg_pool1d", "avg_pool2d", "avg_pool3d"};
constexpr const char* kAdaptiveMaxNames[] = {"", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"};
constexpr const char* kAdaptiveMeanNames[] = {"", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"};

}  // namespace

std::tuple<Tensor, Tensor> max_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode, bool want_indices) {
  return pool_max(x, window_plan(kMaxNames[spatial], Pool::max, spatial, x, kernel, stride, padding, dilation, ceil_mode), spatial, want_indices);
}

Tensor avg_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor_override) {
  check(!divisor_override || *divisor_override != 0, kMeanNames[spatial], ": divisor must be not zero");
  Plan plan = window_plan(kMeanNames[spatial], Pool::average, spatial, x, kernel, stride, padding, Dims{1}, ceil_mode);
  plan.args.count_include_pad = count_include_pad;
  plan.args.divisor_override = divisor_override.value_or(0);
  return pool_mean(x, plan);
}

std::tuple<Tensor, Tensor> adaptive_max_pool(int spatial, const Tensor& x, const Dims& output_size, bool want_indices) {
  return pool_max(x, adaptive_plan(kAdaptiveMaxNames[spatial], Pool::adaptive_max, spatial, x, output_size), spatial, want_indices);
}

Tensor adaptive_avg_pool(int spatial, const Tensor& x, const Dims& output_size) {
  Plan plan = adaptive_plan(kAdaptiveMeanNames[spatial], Pool::adaptive_average, spatial, x, output_size);
  const int64_t* out = plan.args.out;
  if (out[0] * out[1] * out[2] == 1) {  // one window: a reduction, which runs at the memory's speed
    Dims image;
    for (int d = x.dim() - spatial; d < x.dim(); ++d) image.push_back(d);
    return mean(x, image, true);
  }
  return pool_mean(x, plan);
}

// (sum of x^p over each window)^(1/p)
Tensor lp_pool(int spatial, const Tensor& x, double p, const Dims& kernel_, const Dims& stride, bool ceil_mode) {
  constexpr const char* kNames[] = {"", "lp_pool1d", "lp_pool2d", "lp_pool3d"};
  check(p != 0, kNames[spatial], ": norm_type must not be 0");
  Dims kernel = spread(kNames[spatial], "kernel_size", kernel_, spatial);
  Plan plan = window_plan(kNames[spatial], Pool::average, spatial, x, kernel, stride, Dims{0}, Dims{1}, ceil_mode);
  plan.args.count_include_pad = true;
  Tensor y = pool_mean(pow(x, wrapped_number(p)), plan);
  // As PyTorch has it, the root is of the sum's size and bears its sign; its derivative at 0 is 0 or, for p > 1, a NaN's.
  return pow(sign(y) * unary(Unary::relu, abs(y)) * static_cast<double>(kernel.numel()), wrapped_number(1 / p));
}

// ---- the way back from the places of the greatest

Tensor max_unpool(int spatial, const Tensor& x, const Tensor& indices, const Dims& output_size) {
  constexpr const char* kNames[] = {"", "max_unpool1d", "max_unpool2d", "max_unpool3d"};
  const char* name = kNames[spatial];
  check(indices.dtype() == DType::int64, name, ": elements in indices should be type int64 but got: ", indices.dtype());
  check(x.dim() == spatial + 1 || x.dim() == spatial + 2, name, ": Input to ", name, " should be a ", spatial + 1, "d or ", spatial + 2, "d Tensor, but got a tensor with ", x.dim(), " dimensions.");
  check(x.sizes() == indices.sizes(), name, ": Expected shape of indices to be same as that of the input tensor (", x.sizes(), ") but got indices tensor with shape: ", indices.sizes());
  check(output_size.size() == spatial, name, ": There should be exactly ", spatial, " elements in output_size, but got ", output_size);
  for (int64_t d = x.dim() == spatial + 2 ? 1 : 0; d < x.dim(); ++d)
    check(x.sizes()[d] > 0, name, ": Expected input to have non-zero size for non-batch dimensions, but got ", x.sizes());
  Dims sizes = x.sizes();
  for (int d = 0; d < spatial; ++d) sizes[x.dim() - spatial + d] = output_size[d];
  Dims from = flat_planes(x.sizes(), spatial), to = flat_planes(sizes, spatial);
  Tensor places = reshape(indices, from);
  if (places.numel() > 0) {
    int64_t least = item(min(places)).as_int(), greatest = item(max(places)).as_int();
    check(least >= 0 && greatest < to[1], name, ": Found an invalid max index: ", least < 0 ? least : greatest, " (output volumes are of size ", output_size, ")");
  }
  return reshape(scatter(zeros(to, x.dtype(), x.device()), 1, places, reshape(x, from)), sizes);
}

// ---- windows that begin at random (Graham, "Fractional max-pooling", 2014)

// The source elements of all windows of each plane: [planes, windows, elements of a window]. `samples` [planes, spatial]
// say where along each dimension the sequence of windows begins.
static Tensor fractional_places(int spatial, const Dims& in, const Dims& kernel, const Dims& out, const Tensor& samples) {
  int64_t planes = samples.sizes()[0], count = out.numel(), window = kernel.numel();
  Tensor places = empty({planes, count, window}, DType::int64);
  int64_t* place = places.data_as<int64_t>();
  bool wide = samples.dtype() == DType::float64;
  std::vector<int64_t> begin[3];
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int d = 0; d < spatial; ++d) {
      int64_t at = plane * spatial + (spatial == 2 ? 1 - d : d);  // of an image the last dimension's comes first
      begin[d].assign(static_cast<size_t>(out[d]), in[d] - kernel[d]);
      auto fill = [&](auto sample) {  // in the samples' own precision: where a window begins is cut to an integer
        using T = decltype(sample);
        T alpha = out[d] > 1 ? T(in[d] - kernel[d]) / T(out[d] - 1) : T(0);
        for (int64_t i = 0; i + 1 < out[d]; ++i) begin[d][i] = int64_t((T(i) + sample) * alpha) - int64_t(sample * alpha);
      };
      if (wide) fill(samples.data_as<double>()[at]);
      else fill(samples.data_as<float>()[at]);
    }
    for (int64_t o = 0; o < count; ++o) {
      int64_t first[3], rest = o;
      for (int d = spatial - 1; d >= 0; rest /= out[d], --d) first[d] = begin[d][rest % out[d]];
      for (int64_t k = 0; k < window; ++k) {
        int64_t flat = 0, scale = 1, left = k;
        for (int d = spatial - 1; d >= 0; scale *= in[d], left /= kernel[d], --d) flat += (first[d] + left % kernel[d]) * scale;
        *place++ = flat;
      }
    }
  }
  return places;
}

std::tuple<Tensor, Tensor> fractional_max_pool(int spatial, const Tensor& x, const Dims& kernel_, const Dims& output_size, const Tensor& samples_) {
  const char* name = spatial == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d";
  Plan plan = make_plan(name, Pool::adaptive_max, spatial, x);
  Dims kernel = spread(name, "kernel_size", kernel_, spatial), out = spread(name, "output_size", output_size, spatial), in;
  for (int d = 0; d < spatial; ++d) {
    in.push_back(x.sizes()[x.dim() - spatial + d]);
    check(kernel[d] > 0 && out[d] > 0, name, ": kernel_size and output_size must be greater than zero, but got ", kernel, " and ", out);
    check(out[d] + kernel[d] - 1 <= in[d], name, ": pool size (", kernel, ") too large relative to input size (", in, ") for output size ", out);
    plan.y_sizes.push_back(out[d]);
  }
  int64_t planes = plan.args.planes, batch = x.dim() == spatial + 2 ? x.sizes()[0] : 1, channels = x.sizes()[x.dim() - spatial - 1];
  Tensor samples = samples_;
  if (!samples.defined()) samples = empty({batch, channels, spatial}, x.dtype(), x.device()), uniform_(samples, 0, 1, default_generator());
  check(samples.dtype() == x.dtype(), name, ": Expect _random_samples to have the same dtype as input, but got ", samples.dtype(), " and ", x.dtype());
  check(samples.dim() == 3 && samples.sizes()[0] >= batch && samples.sizes()[1] >= channels && samples.sizes()[2] == spatial, name, ": Expect _random_samples of shape ",
        Dims{batch, channels, spatial}, ", but got ", samples.sizes());
  samples = narrow(narrow(detach(samples), 0, 0, batch), 1, 0, channels);
  samples = contiguous(to_device(reshape(x.dtype() == DType::float64 ? samples : to_dtype(samples, DType::float32), {planes, spatial}), Device{}));
  Tensor places = to_device(fractional_places(spatial, in, kernel, out, samples), x.device());
  Dims flat{planes, in.numel()}, windows = places.sizes();
  Tensor candidates = reshape(gather(reshape(detach(x), flat), 1, reshape(places, {planes, windows[1] * windows[2]})), windows);
  Tensor which = unsqueeze(argmax(candidates, 2), 2);  // the first of equals, and a NaN before all
  Tensor chosen = squeeze(gather(places, 2, which), Dims{2});
  Tensor y = reshape(gather(reshape(x, flat), 1, chosen), plan.y_sizes);
  return {y, reshape(chosen, plan.y_sizes)};
}

}  // namespace tessel
