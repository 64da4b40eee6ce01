// Convolution of one to three dimensions, forward and transposed. Three products belong together, and each is the
// derivative of the others:
//   y = conv(x, w)      x = conv_data(y, w)      w = conv_weight(x, y)
#include <algorithm>
#include <memory>

#include "ops/epilogue.h"
#include "ops/run.h"

namespace tessel {

namespace {

// Everything the three products must agree on: x is on the side with the larger image, y the one with the kernel's steps.
struct Geometry {
  const char* name;
  Dims x_sizes, w_sizes, y_sizes;
  int64_t groups;
  Dims stride, padding, dilation;  // one each spatial dimension; padding is what stands before
};
using Shared = std::shared_ptr<const Geometry>;

ConvArgs arguments(const Geometry& g, DType dtype) {
  ConvArgs args{};
  args.dtype = dtype;
  args.precision = float32_precision();
  args.batch = g.x_sizes[0];
  args.groups = g.groups;
  args.in_channels = g.x_sizes[1] / g.groups;
  args.out_channels = g.y_sizes[1] / g.groups;
  int spatial = g.stride.size();
  for (int i = 0; i < 3; ++i) {
    int d = i - (3 - spatial);  // absent dimensions come first
    bool there = d >= 0;
    args.in[i] = there ? g.x_sizes[2 + d] : 1;
    args.out[i] = there ? g.y_sizes[2 + d] : 1;
    args.kernel[i] = there ? g.w_sizes[2 + d] : 1;
    args.stride[i] = there ? g.stride[d] : 1;
    args.padding[i] = there ? g.padding[d] : 0;
    args.dilation[i] = there ? g.dilation[d] : 1;
  }
  return args;
}

int64_t work(const Geometry& g) {
  return g.y_sizes.numel() * (g.w_sizes.numel() / std::max<int64_t>(g.w_sizes[0], 1)) / 16;
}

Tensor conv_weight(const Tensor& x, const Tensor& y, const Shared& g);

Tensor conv_data(const Tensor& y_, const Tensor& w_, const Tensor& b, const Shared& g);

// The kernels keep no values of before the activation: where its derivative will read them, it is an op of its own.
Tensor conv_forward(const Tensor& x_, const Tensor& w_, const Tensor& b, const Shared& g, Activation activation = Activation::none, bool inplace = false) {
  Tensor x = contiguous(x_), w = contiguous(w_), bias = b.defined() ? contiguous(b) : b;
  Tensor y = empty(g->y_sizes, x.dtype(), x.device());
  Tensor before = takes_along(activation, x) ? before_activation(activation, y, wants_grad({x, w, b})) : Tensor();
  if (!before.defined() || own_memory(before, y)) return activated(activation, conv_forward(x, w, b, g), inplace);
  ConvArgs args = arguments(*g, x.dtype());
  args.activation = activation;
  args.x = x.data(), args.w = w.data(), args.y = y.data();
  args.bias = bias.defined() ? bias.data() : nullptr;
  if (y.numel() > 0) {
    Scratch scratch(kernels(y).conv_scratch(args), y.device());
    run(g->name, y, work(*g), kernels(y).conv, args, scratch.data());
  }
  if (Node* node = record(g->name, before, {x, w, b}))
    node->backward = [x = Saved(x), w = Saved(w), g](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dw, db;
      if (needs[0]) dx = conv_data(dy, w(), Tensor(), g);
      if (needs[1]) dw = conv_weight(x(), dy, g);
      if (needs[2]) {
        Dims others{0};
        for (int64_t d = 2; d < dy.dim(); ++d) others.push_back(d);
        db = sum(dy, others);
      }
      return {dx, dw, db};
    };
  return record_activation(activation, before, y, inplace);
}

Tensor conv_data(const Tensor& y_, const Tensor& w_, const Tensor& b, const Shared& g) {
  Tensor y = contiguous(y_), w = contiguous(w_), bias = b.defined() ? contiguous(b) : b;
  Tensor x = empty(g->x_sizes, y.dtype(), y.device());
  ConvArgs args = arguments(*g, y.dtype());
  args.x = x.data(), args.w = w.data(), args.y = y.data();
  args.bias = bias.defined() ? bias.data() : nullptr;
  if (x.numel() > 0) {
    Scratch scratch(kernels(x).conv_backward_data_scratch(args), x.device());
    run(g->name, x, work(*g), kernels(x).conv_backward_data, args, scratch.data());
  }
  if (Node* node = record(g->name, x, {y, w, b}))
    node->backward = [y = Saved(y), w = Saved(w), g](const Tensor& dx, Needs needs) -> Grads {
      Tensor dy, dw, db;
      if (needs[0]) dy = conv_forward(dx, w(), Tensor(), g);
      if (needs[1]) dw = conv_weight(dx, y(), g);
      if (needs[2]) {
        Dims others{0};
        for (int64_t d = 2; d < dx.dim(); ++d) others.push_back(d);
        db = sum(dx, others);
      }
      return {dy, dw, db};
    };
  return x;
}

Tensor conv_weight(const Tensor& x_, const Tensor& y_, const Shared& g) {
  Tensor x = contiguous(x_), y = contiguous(y_);
  Tensor w = empty(g->w_sizes, x.dtype(), x.device());
  ConvArgs args = arguments(*g, x.dtype());
  args.x = x.data(), args.w = w.data(), args.y = y.data();
  if (y.numel() == 0) {
    zero_(w);
  } else if (w.numel() > 0) {
    Scratch scratch(kernels(w).conv_backward_weight_scratch(args), w.device());
    run(g->name, w, work(*g), kernels(w).conv_backward_weight, args, scratch.data());
  }
  if (Node* node = record(g->name, w, {x, y}))
    node->backward = [x = Saved(x), y = Saved(y), g](const Tensor& dw, Needs needs) -> Grads {
      return {needs[0] ? conv_data(y(), dw, Tensor(), g) : Tensor(), needs[1] ? conv_forward(x(), dw, Tensor(), g) : Tensor()};
    };
  return w;
}

// An int stands for all dimensions.
Dims spread(const char* name, const char* what, const Dims& given, int n) {
  if (given.size() == 1) return Dims::filled(n, given[0]);
  check(given.size() == n, name, ": expected ", what, " to be a single integer value or a list of ", n, " values to match the convolution dimensions, but got ", what, "=", given);
  return given;
}

struct Checked {
  Tensor x;        // with a batch dimension
  bool batched;
  Dims stride, padding, dilation;
};

Checked check_arguments(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
                        int64_t in_channels, int64_t out_channels) {
  check(w.dim() == spatial + 2, name, ": expected ", spatial + 2, "D weight, but got ", w.dim(), "D (weight is ", w.sizes(), ")");
  check(x.dim() == spatial + 2 || x.dim() == spatial + 1, name, ": Expected ", spatial + 1, "D (unbatched) or ", spatial + 2, "D (batched) input to ", name, ", but got input of size: ", x.sizes());
  if (!is_floating(x.dtype()) && !is_integral(x.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x.dtype());
  check(x.dtype() == w.dtype(), name, ": Input type (", x.dtype(), ") and weight type (", w.dtype(), ") should be the same");
  check(!b.defined() || b.dtype() == x.dtype(), name, ": Input type (", x.dtype(), ") and bias type (", b.defined() ? b.dtype() : x.dtype(), ") should be the same");
  check(x.device() == w.device(), name, ": Expected all tensors to be on the same device, but found at least two devices, ", device_name(x.device()), " and ", device_name(w.device()), "!");
  Checked c{x, x.dim() == spatial + 2, spread(name, "stride", stride, spatial), spread(name, "padding", padding, spatial), spread(name, "dilation", dilation, spatial)};
  check(groups > 0, name, ": non-positive groups is not supported, got groups=", groups);
  for (int d = 0; d < spatial; ++d) {
    check(c.stride[d] > 0, name, ": non-positive stride is not supported, got stride=", c.stride);
    check(c.dilation[d] > 0, name, ": dilation should be greater than zero, got dilation=", c.dilation);
    check(c.padding[d] >= 0, name, ": negative padding is not supported, got padding=", c.padding);
    check(w.sizes()[2 + d] > 0, name, ": kernel size should be greater than zero, the weight is ", w.sizes());
  }
  int64_t channels = x.sizes()[c.batched ? 1 : 0];
  check(channels == in_channels, name, ": weight expects ", in_channels, " input channels but x has ", channels, " (x is ", x.sizes(), ", weight is ", w.sizes(), ", groups=", groups, ")");
  check(!b.defined() || (b.dim() == 1 && b.sizes()[0] == out_channels), name, ": expected bias to be 1-dimensional with ", out_channels, " elements, but got bias of size ", b.defined() ? b.sizes() : Dims{});
  if (!c.batched) c.x = unsqueeze(x, 0);
  return c;
}

}  // namespace

Tensor conv(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups, Activation activation, bool inplace) {
  int64_t out_channels = w.dim() > 0 ? w.sizes()[0] : 0;
  Checked c = check_arguments(name, spatial, x, w, b, stride, padding, dilation, groups, w.dim() > 1 ? w.sizes()[1] * groups : 0, out_channels);
  check(out_channels >= groups && out_channels % groups == 0, name, ": Given groups=", groups, ", expected weight to be divisible by ", groups, " at dimension 0, but got weight of size ", w.sizes());
  auto g = std::make_shared<Geometry>(Geometry{name, c.x.sizes(), w.sizes(), {c.x.sizes()[0], out_channels}, groups, c.stride, c.padding, c.dilation});
  for (int d = 0; d < spatial; ++d) {
    int64_t padded = c.x.sizes()[2 + d] + 2 * c.padding[d], reach = c.dilation[d] * (w.sizes()[2 + d] - 1) + 1;
    check(padded >= reach, name, ": Calculated padded input size per channel: ", padded, " in dimension ", d, ". Kernel size: ", reach, ". Kernel size can't be greater than actual input size (x is ", x.sizes(), ")");
    g->y_sizes.push_back((padded - reach) / c.stride[d] + 1);
  }
  if (c.batched) return conv_forward(c.x, w, b, g, activation, inplace);
  return activated(activation, squeeze(conv_forward(c.x, w, b, g), Dims{0}), inplace);
}

// padding="same": y has ceil(n / stride) elements along each dimension; what is missing to symmetry is padded behind.
Tensor conv_same(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& dilation, int64_t groups, Activation activation, bool inplace) {
  int64_t out_channels = w.dim() > 0 ? w.sizes()[0] : 0;
  Checked c = check_arguments(name, spatial, x, w, b, stride, Dims{0}, dilation, groups, w.dim() > 1 ? w.sizes()[1] * groups : 0, out_channels);
  check(out_channels >= groups && out_channels % groups == 0, name, ": Given groups=", groups, ", expected weight to be divisible by ", groups, " at dimension 0, but got weight of size ", w.sizes());
  auto g = std::make_shared<Geometry>(Geometry{name, c.x.sizes(), w.sizes(), {c.x.sizes()[0], out_channels}, groups, c.stride, c.padding, c.dilation});
  for (int d = 0; d < spatial; ++d) {
    int64_t n = c.x.sizes()[2 + d], out = (n + c.stride[d] - 1) / c.stride[d];
    g->padding[d] = std::max<int64_t>((out - 1) * c.stride[d] + c.dilation[d] * (w.sizes()[2 + d] - 1) + 1 - n, 0) / 2;
    g->y_sizes.push_back(out);
  }
  if (c.batched) return conv_forward(c.x, w, b, g, activation, inplace);
  return activated(activation, squeeze(conv_forward(c.x, w, b, g), Dims{0}), inplace);
}

Tensor conv(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
  return conv(name, spatial, x, w, b, stride, padding, dilation, groups, Activation::none, false);
}

Tensor conv_same(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& dilation, int64_t groups) {
  return conv_same(name, spatial, x, w, b, stride, dilation, groups, Activation::none, false);
}

Tensor conv_transpose(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& output_padding_, int64_t groups, const Dims& dilation) {
  int64_t out_channels = w.dim() > 1 ? w.sizes()[1] * groups : 0;
  Checked c = check_arguments(name, spatial, x, w, b, stride, padding, dilation, groups, w.dim() > 0 ? w.sizes()[0] : 0, out_channels);
  Dims output_padding = spread(name, "output_padding", output_padding_, spatial);
  check(w.sizes()[0] % groups == 0, name, ": Given groups=", groups, ", expected weight to be divisible by ", groups, " at dimension 0, but got weight of size ", w.sizes());
  auto g = std::make_shared<Geometry>(Geometry{name, {c.x.sizes()[0], out_channels}, w.sizes(), c.x.sizes(), groups, c.stride, c.padding, c.dilation});
  for (int d = 0; d < spatial; ++d) {
    check(output_padding[d] < std::max(c.stride[d], c.dilation[d]) && output_padding[d] >= 0, name, ": output padding must be smaller than either stride or dilation, but got output_padding=", output_padding, ", stride=", c.stride, ", dilation=", c.dilation);
    int64_t n = (c.x.sizes()[2 + d] - 1) * c.stride[d] - 2 * c.padding[d] + c.dilation[d] * (w.sizes()[2 + d] - 1) + output_padding[d] + 1;
    check(n > 0, name, ": the output size ", n, " in dimension ", d, " is too small (x is ", x.sizes(), ", weight is ", w.sizes(), ")");
    g->x_sizes.push_back(n);
  }
  Tensor y = conv_data(c.x, w, b, g);
  return c.batched ? y : squeeze(y, Dims{0});
}

}  // namespace tessel
