// Windows of images as columns and back, and other orders of what stands in images: pixel and channel shuffles.
#include "ops/ops.h"

namespace tessel {

namespace {

struct Windows {
  Dims image, kernel, dilation, padding, stride, count;  // of two dimensions each
};

Dims pair_of(const char* name, const char* what, const Dims& given, bool may_be_zero = false) {
  check(given.size() == 1 || given.size() == 2, name, ": It is expected ", what, " equals to 1 or 2 numbers, but got ", given);
  Dims pair{given[0], given.back()};
  for (int64_t v : pair) check(v > 0 || (may_be_zero && v == 0), name, ": ", what, " should be ", may_be_zero ? "at least" : "greater than", " zero, but got ", given);
  return pair;
}

Windows windows(const char* name, const Dims& image, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride) {
  Windows w{image, pair_of(name, "kernel_size", kernel), pair_of(name, "dilation", dilation), pair_of(name, "padding", padding, true), pair_of(name, "stride", stride), {}};
  for (int d = 0; d < 2; ++d) {
    int64_t free = image[d] + 2 * w.padding[d] - w.dilation[d] * (w.kernel[d] - 1) - 1;
    check(free >= 0, name, ": Given an image of ", image, ", kernel_size=", w.kernel, ", dilation=", w.dilation, ", padding=", w.padding, ", there is no window: the padded image is too small");
    w.count.push_back(free / w.stride[d] + 1);
  }
  return w;
}

// All windows of padded images [n, c, h, w] in one view [n, c, kh, kw, oh, ow].
Tensor windows_of(const Tensor& padded, const Windows& w) {
  const Dims& s = padded.strides();
  Dims sizes{padded.sizes()[0], padded.sizes()[1], w.kernel[0], w.kernel[1], w.count[0], w.count[1]};
  return alias(padded, sizes, {s[0], s[1], s[2] * w.dilation[0], s[3] * w.dilation[1], s[2] * w.stride[0], s[3] * w.stride[1]}, padded.offset());
}

Tensor to_columns(const Tensor& x, const Windows& w);

// The sum of all columns in their places: [n, c kh kw, windows] to [n, c, h, w].
Tensor from_columns(const Tensor& y_, const Windows& w) {
  Tensor x;
  {
    NoGrad no_grad;
    bool narrow_type = y_.dtype() == DType::float16 || y_.dtype() == DType::bfloat16;  // added in float32, rounded once
    Tensor y = narrow_type ? to_dtype(detach(y_), DType::float32) : detach(y_);
    int64_t n = y.sizes()[0], c = y.sizes()[1] / (w.kernel[0] * w.kernel[1]);
    y = reshape(y, {n, c, w.kernel[0], w.kernel[1], w.count[0], w.count[1]});
    Tensor padded = zeros({n, c, w.image[0] + 2 * w.padding[0], w.image[1] + 2 * w.padding[1]}, y.dtype(), y.device());
    Tensor places = windows_of(padded, w);
    for (int64_t i = 0; i < w.kernel[0]; ++i)  // windows overlap, those of one tap do not
      for (int64_t j = 0; j < w.kernel[1]; ++j) {
        Tensor tap = select(select(places, 2, i), 2, j);
        add_(tap, select(select(y, 2, i), 2, j));
      }
    x = narrow(narrow(padded, 2, w.padding[0], w.image[0]), 3, w.padding[1], w.image[1]);
    x = narrow_type ? to_dtype(x, y_.dtype()) : contiguous(x);
  }
  if (Node* node = record("fold", x, {y_}))
    node->backward = [w](const Tensor& dx, Needs) -> Grads { return {to_columns(dx, w)}; };
  return x;
}

Tensor to_columns(const Tensor& x, const Windows& w) {
  Tensor y = empty({x.sizes()[0], x.sizes()[1] * w.kernel[0] * w.kernel[1], w.count[0] * w.count[1]}, x.dtype(), x.device());
  {
    NoGrad no_grad;
    Tensor padded = constant_pad_nd(detach(x), Dims{w.padding[1], w.padding[1], w.padding[0], w.padding[0]});
    Tensor from = windows_of(padded, w);
    copy_elements("unfold", alias(y, from.sizes(), contiguous_strides(from.sizes()), y.offset()), from);
  }
  if (Node* node = record("unfold", y, {x}))
    node->backward = [w](const Tensor& dy, Needs) -> Grads { return {from_columns(dy, w)}; };
  return y;
}

// Dimensions [..., c, h, w] of x: c, h and w.
struct Image {
  Dims lead;
  int64_t c, h, w;
};

Image image_of(const char* name, const Tensor& x) {
  check(x.dim() >= 3, name, ": expects input to have at least 3 dimensions, but got input with ", x.dim(), " dimension(s)");
  Image m{{}, x.size(-3), x.size(-2), x.size(-1)};
  for (int64_t d = 0; d < x.dim() - 3; ++d) m.lead.push_back(x.sizes()[d]);
  return m;
}

// x seen as [lead..., parts...], those permuted by `order`, and seen as [lead..., sizes...].
Tensor shuffled(const Tensor& x, const Dims& lead, const Dims& parts, const Dims& order, const Dims& sizes) {
  Dims split{lead.numel()}, dims{0}, result = lead;  // the leading dimensions as one
  for (int64_t n : parts) split.push_back(n);
  for (int64_t d : order) dims.push_back(d + 1);
  for (int64_t n : sizes) result.push_back(n);
  return reshape(clone(permute(reshape(x, split), dims), MemoryFormat::contiguous), result);
}

}  // namespace

Tensor unfold(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride) {
  const char* name = "unfold";
  check(x.dim() == 3 || x.dim() == 4, name, ": Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ", x.sizes());
  for (int64_t d = x.dim() - 3; d < x.dim(); ++d) check(x.sizes()[d] > 0, name, ": Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ", x.sizes());
  if (!is_floating(x.dtype()) && x.dtype() != DType::bool_) fail<NotImplementedError>(name, ": not implemented for ", x.dtype());
  Windows w = windows(name, {x.size(-2), x.size(-1)}, kernel, dilation, padding, stride);
  return x.dim() == 4 ? to_columns(x, w) : squeeze(to_columns(unsqueeze(x, 0), w), Dims{0});
}

Tensor fold(const Tensor& y, const Dims& output_size, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride) {
  const char* name = "fold";
  check(y.dim() == 2 || y.dim() == 3, name, ": Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: ", y.sizes());
  if (!is_floating(y.dtype()) && y.dtype() != DType::bool_) fail<NotImplementedError>(name, ": not implemented for ", y.dtype());
  Windows w = windows(name, pair_of(name, "output_size", output_size), kernel, dilation, padding, stride);
  int64_t taps = w.kernel[0] * w.kernel[1], count = w.count[0] * w.count[1];
  check(y.size(-2) > 0 && y.size(-2) % taps == 0, name, ": Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=", y.size(-2), " and kernel_size=", w.kernel);
  check(y.size(-1) == count, name, ": Given output_size=", w.image, ", kernel_size=", w.kernel, ", dilation=", w.dilation, ", padding=", w.padding, ", stride=", w.stride, ", expected size of input's dimension 2 to match the calculated number of sliding blocks ", count, ", but got input.size(2)=", y.size(-1));
  return y.dim() == 3 ? from_columns(y, w) : squeeze(from_columns(unsqueeze(y, 0), w), Dims{0});
}

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  Image m = image_of("pixel_shuffle", x);
  check(r > 0, "pixel_shuffle: expects a positive upscale_factor, but got ", r);
  check(m.c % (r * r) == 0, "pixel_shuffle: expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=", m.c, " is not divisible by ", r * r);
  int64_t c = m.c / (r * r);
  return shuffled(x, m.lead, {c, r, r, m.h, m.w}, {0, 3, 1, 4, 2}, {c, m.h * r, m.w * r});
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  Image m = image_of("pixel_unshuffle", x);
  check(r > 0, "pixel_unshuffle: expects a positive downscale_factor, but got ", r);
  check(m.h % r == 0 && m.w % r == 0, "pixel_unshuffle: expects height and width to be divisible by downscale_factor, but input.size(-2)=", m.h, " and input.size(-1)=", m.w, " are not both divisible by ", r);
  return shuffled(x, m.lead, {m.c, m.h / r, r, m.w / r, r}, {0, 2, 4, 1, 3}, {m.c * r * r, m.h / r, m.w / r});
}

Tensor channel_shuffle(const Tensor& x, int64_t groups) {
  check(x.dim() > 2, "channel_shuffle: expects input with > 2 dims, but got input with sizes ", x.sizes());
  check(groups > 0, "channel_shuffle: Number of groups to divide channels in must be positive. Value of groups:", groups);
  int64_t c = x.sizes()[1], rest = 1;
  check(c % groups == 0, "channel_shuffle: Number of channels must be divisible by groups. Got ", c, " channels and ", groups, " groups.");
  for (int64_t d = 2; d < x.dim(); ++d) rest *= x.sizes()[d];
  Tensor y = permute(reshape(x, {x.sizes()[0], groups, c / groups, rest}), Dims{0, 2, 1, 3});
  return reshape(clone(y, MemoryFormat::contiguous), x.sizes());
}

}  // namespace tessel
