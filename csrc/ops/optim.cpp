// Optimizer steps and gradient clipping: one kernel call over all tensors of the call, whatever their dtypes and layouts.
#include <cmath>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// One line for each tensor of a call. The kernel walks flat memory: operands that do not lie as their parameter does are
// copied for the call, and written ones back after it.
class Lines {
 public:
  Lines(const char* name, size_t count) : name_(name) { lines_.reserve(count); }

  OptimTensor& add(const Tensor& x) {
    if (!is_floating(x.dtype())) fail<NotImplementedError>(name_, ": not implemented for ", x.dtype(), ", only for floats");
    check(lines_.empty() || x.device() == device_.value(), name_, ": all tensors must be on one device");
    device_ = x.device();
    OptimTensor& line = lines_.emplace_back();
    line = {};
    line.dtype = x.dtype(), line.n = x.numel(), line.first = first_;
    numel_ += x.numel();
    first_ += (x.numel() + kOptimChunk - 1) / kOptimChunk * kOptimChunk;
    like_ = dense(x) ? x : written_copy(x);
    line.x = like_.data();
    return line;
  }
  // The memory of a gradient or a state of the tensor added last.
  void* read(const Tensor& t) { return fitted(t).data(); }
  void* write(const Tensor& t) {
    Tensor f = fitted(t);
    if (!f.is_same(t)) written_.emplace_back(t, f);
    return f.data();
  }
  void run(OptimArgs& args) {
    if (lines_.empty()) return;
    args.count = static_cast<int64_t>(lines_.size());
    args.tensors = lines_.data();
    const Kernels& table = device_->is_cpu() ? cpu_kernels() : cuda_kernels();
    tessel::run(name_, like_, numel_, table.optim, args);
    for (auto& [to, from] : written_) copy_(Tensor(to), from);
  }
  double norm(OptimArgs& args, double p) {
    args.count = static_cast<int64_t>(lines_.size());
    args.tensors = lines_.data();
    const Kernels& table = device_->is_cpu() ? cpu_kernels() : cuda_kernels();
    Scratch scratch(table.optim_norm_scratch(args), *device_);
    Unlocked unlocked(numel_);
    return table.optim_norm(args, p, scratch.data());
  }

 private:
  bool lies_alike(const Tensor& t) const {
    return t.dtype() == like_.dtype() && ((t.is_contiguous() && like_.is_contiguous()) || t.strides() == like_.strides());
  }
  Tensor fitted(const Tensor& t) {
    check(t.sizes() == like_.sizes(), name_, ": a gradient or state of shape ", t.sizes(), " belongs to a tensor of shape ", like_.sizes());
    if (lies_alike(t)) return t;
    Tensor copy = empty_like(like_);
    copy_(copy, t);
    return copies_.emplace_back(copy);
  }
  Tensor written_copy(const Tensor& x) {
    Tensor copy = contiguous(x);
    written_.emplace_back(x, copy);
    return copy;
  }

  const char* name_;
  std::vector<OptimTensor> lines_;
  std::vector<Tensor> copies_;
  std::vector<std::pair<Tensor, Tensor>> written_;
  Tensor like_;
  int64_t first_ = 0, numel_ = 0;
  std::optional<Device> device_;
};

void check_lengths(const char* name, size_t params, std::initializer_list<size_t> others) {
  for (size_t n : others) check(n == params, name, ": expected lists of one length, got ", params, " parameters and ", n, " gradients or states");
}

}  // namespace

void sgd_(Tensors params, Tensors grads, Tensors buffers, const std::vector<bool>& fresh, const Sgd& sgd) {
  check_lengths("sgd_", params.size(), {grads.size()});
  if (!buffers.empty()) check_lengths("sgd_", params.size(), {buffers.size(), fresh.size()});
  NoGrad no_grad;
  Lines lines("sgd_", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& line = lines.add(params[i]);
    line.dx = lines.read(grads[i]);
    if (buffers.empty()) continue;
    line.a = lines.write(buffers[i]);
    line.fresh = fresh[i];
  }
  OptimArgs args{};
  args.op = Optim::sgd;
  args.lr = sgd.lr, args.momentum = sgd.momentum, args.dampening = sgd.dampening, args.weight_decay = sgd.weight_decay;
  args.nesterov = sgd.nesterov, args.maximize = sgd.maximize;
  lines.run(args);
  for (const Tensor& x : params) x.bump_version("sgd_");
  for (const Tensor& x : buffers) x.bump_version("sgd_");
}

void adam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs, std::span<const double> steps, const Adam& adam) {
  check_lengths("adam_", params.size(), {grads.size(), exp_avgs.size(), exp_avg_sqs.size(), steps.size()});
  if (adam.amsgrad) check_lengths("adam_", params.size(), {max_exp_avg_sqs.size()});
  NoGrad no_grad;
  Lines lines("adam_", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& line = lines.add(params[i]);
    line.dx = lines.read(grads[i]);
    line.a = lines.write(exp_avgs[i]), line.b = lines.write(exp_avg_sqs[i]);
    if (adam.amsgrad) line.c = lines.write(max_exp_avg_sqs[i]);
    line.step = adam.lr / (1 - std::pow(adam.beta1, steps[i]));
    line.root = std::sqrt(1 - std::pow(adam.beta2, steps[i]));
  }
  OptimArgs args{};
  args.op = Optim::adam;
  args.lr = adam.lr, args.beta1 = adam.beta1, args.beta2 = adam.beta2, args.eps = adam.eps, args.weight_decay = adam.weight_decay;
  args.amsgrad = adam.amsgrad, args.maximize = adam.maximize, args.decoupled = adam.decoupled;
  lines.run(args);
  for (Tensors written : {params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs})
    for (const Tensor& x : written) x.bump_version("adam_");
}

Tensor clip_grad_norm_(Tensors grads, double max_norm, double p, bool error_if_nonfinite) {
  if (grads.empty()) return scalar_tensor(Scalar(0.0), default_dtype());
  NoGrad no_grad;
  Lines lines("clip_grad_norm_", grads.size());
  DType type = grads[0].dtype();
  for (const Tensor& grad : grads) lines.add(grad), type = promote(type, grad.dtype());
  OptimArgs args{};
  double total = lines.norm(args, p);
  check(!error_if_nonfinite || std::isfinite(total), "clip_grad_norm_: The total norm of order ", p, " for gradients from `parameters` is non-finite, so it cannot be clipped. "
        "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`");
  args.op = Optim::scale;
  args.lr = max_norm / (total + 1e-6);
  if (!(args.lr >= 1)) {  // also for a NaN
    lines.run(args);
    for (const Tensor& grad : grads) grad.bump_version("clip_grad_norm_");
  }
  return scalar_tensor(Scalar(total), type, grads[0].device());
}

void clip_grad_value_(Tensors grads, double value) {
  NoGrad no_grad;
  Lines lines("clip_grad_value_", grads.size());
  for (const Tensor& grad : grads) lines.add(grad);
  OptimArgs args{};
  args.op = Optim::clamp;
  args.lr = value;
  lines.run(args);
  for (const Tensor& grad : grads) grad.bump_version("clip_grad_value_");
}

}  // namespace tessel
