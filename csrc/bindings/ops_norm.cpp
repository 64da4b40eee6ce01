// Normalisation in Python.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

using Triple = std::tuple<Tensor, Tensor, Tensor>;

// The statistics of 16-bit inputs are kept in float32, but told in the inputs' own dtype unless a parameter is wider.
Triple triple(const Normalised& n, std::initializer_list<const Tensor*> parameters) {
  DType type = n.y.dtype();
  for (const Tensor* p : parameters)
    if (p->defined()) type = promote(type, p->dtype());
  return {n.y, to_dtype(n.mean, type), to_dtype(n.rstd, type)};
}

// nn.functional refuses to train on one value per channel, whose variance is 0.
void check_many(const char* op, const Tensor& x, int64_t values, const char* what) {
  check_value(values != 1, op, ": Expected more than 1 ", what, " when training, got input size ", x.sizes());
}
int64_t spatial(const Tensor& x) {
  int64_t n = 1;
  for (int d = 2; d < x.dim(); ++d) n *= x.sizes()[d];
  return n;
}

void bind_rows() {
  add_op("layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor", &layer_norm,
         "(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which normalized_shape repeats.", kNN);
  add_op("layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor",
         +[](const Tensor& x, const Dims& shape, const Tensor& w, const Tensor& b, double eps, bool) { return layer_norm(x, shape, w, b, eps); }, "", kFunction);
  add_op("native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)",
         +[](const Tensor& x, const Dims& shape, const Tensor& w, const Tensor& b, double eps) { return triple(native_layer_norm(x, shape, w, b, eps), {&w, &b}); }, "layer_norm with the mean and 1 / sqrt(var + eps) of each row.", kFunction);
  add_op("rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", &rms_norm, "x / sqrt(mean(x^2) + eps) * weight over the last dimensions.", kFunction | kNN);
  add_op("add_layer_norm(Tensor input, Tensor residual, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> (Tensor, Tensor)", &add_layer_norm,
         "layer_norm(input + residual) and the sum, in one pass: the same values and gradients as one after the other.", kPrivate);
  add_op("add_rms_norm(Tensor input, Tensor residual, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> (Tensor, Tensor)", &add_rms_norm,
         "rms_norm(input + residual) and the sum, in one pass: the same values and gradients as one after the other.", kPrivate);
  add_op("group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor", +[](const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, double eps) {
    check(x.dim() >= 2, "group_norm: Expected at least 2 dimensions for input tensor but received ", x.dim());
    if (groups > 0) check_many("group_norm", x, x.size(0) * (x.size(1) / groups) * spatial(x), "value per channel");
    return group_norm(x, groups, w, b, eps);
  }, "layer_norm over each of num_groups groups of channels of x (N, C, ...); weight and bias (C).", kNN);
  add_op("group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor",
         +[](const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, double eps, bool) { return group_norm(x, groups, w, b, eps); }, "", kFunction);
  add_op("native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) -> (Tensor, Tensor, Tensor)",
         +[](const Tensor& x, const Tensor& w, const Tensor& b, int64_t n, int64_t c, int64_t inner, int64_t groups, double eps) {
    check(x.dim() >= 2 && x.size(0) == n && x.size(1) == c && x.numel() == n * c * inner, "native_group_norm: Expected N * C * HxW elements for ", x.sizes(), ", got N ", n, ", C ", c, ", HxW ", inner);
    Normalised y = native_group_norm(x, groups, w, b, eps);
    if (wants_grad({x})) {  // which its statistics pass on here, as PyTorch's do
      Tensor rows = reshape(x, {n, groups, c / groups * inner});
      y.mean = mean(rows, Dims{2}), y.rstd = unary(Unary::rsqrt, var(rows, Dims{2}, 0) + eps);
    }
    return triple(y, {&w, &b});
  }, "group_norm with the mean and 1 / sqrt(var + eps) of each group.", kFunction);
}

void bind_channels() {
  add_op("batch_norm(Tensor input, Tensor? running_mean, Tensor? running_var, Tensor? weight=None, Tensor? bias=None, bool training=False, float momentum=0.1, float eps=1e-05) -> Tensor",
         +[](const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& w, const Tensor& b, bool training, double momentum, double eps) {
    if (training && x.dim() >= 2) check_many("batch_norm", x, x.size(0) * spatial(x), "value per channel");
    return batch_norm(x, w, b, mean, var, training, momentum, eps);
  }, "(x - mean) / sqrt(var + eps) * weight + bias for each channel of x (N, C, ...), by the batch's own statistics in training, else by the running ones.", kNN);
  add_op("batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor",
         +[](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool training, double momentum, double eps, bool) { return batch_norm(x, w, b, mean, var, training, momentum, eps); }, "", kFunction);
  add_op("native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
         +[](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool training, double momentum, double eps) {
    Normalised n = native_batch_norm(x, w, b, mean, var, training, momentum, eps);
    if (!training) n.mean = empty({0}, n.mean.dtype()), n.rstd = empty({0}, n.rstd.dtype());
    return triple(n, {&w, &b, &mean, &var});
  }, "batch_norm with the mean and 1 / sqrt(var + eps) that training took.", kFunction);
  add_op("instance_norm(Tensor input, Tensor? running_mean=None, Tensor? running_var=None, Tensor? weight=None, Tensor? bias=None, bool use_input_stats=True, float momentum=0.1, float eps=1e-05) -> Tensor",
         +[](const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& w, const Tensor& b, bool use_input_stats, double momentum, double eps) {
    if (use_input_stats && x.dim() >= 2) check_many("instance_norm", x, spatial(x), "spatial element");
    return instance_norm(x, w, b, mean, var, use_input_stats, momentum, eps);
  }, "batch_norm of every sample by itself.", kNN);
  add_op("instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor",
         +[](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool use_input_stats, double momentum, double eps, bool) { return instance_norm(x, w, b, mean, var, use_input_stats, momentum, eps); }, "", kFunction);
  add_op("local_response_norm(Tensor input, int size, float alpha=0.0001, float beta=0.75, float k=1.0) -> Tensor", &local_response_norm, "x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels.", kNN);
  add_op("normalize(Tensor input, float p=2.0, int[1] dim=1, float eps=1e-12) -> Tensor", &normalize, "x / max(||x||_p, eps), with the p-norm along dim; zero vectors stay zero.", kNN);
}

}  // namespace

void bind_norm() {
  bind_rows();
  bind_channels();
}

}  // namespace tessel::python
