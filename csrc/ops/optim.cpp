// Optimizer steps and gradient clipping: one kernel call over all tensors of the call, whatever their dtypes and layouts.
#include <algorithm>
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

OptimArgs begun(Optim op, const Descent& how) {
  OptimArgs args{};
  args.op = op;
  args.lr = how.lr, args.weight_decay = how.weight_decay, args.maximize = how.maximize;
  args.shrink = how.lr * how.l1;
  return args;
}
OptimArgs begun(Optim op, const Descent& how, const Betas& betas) {
  OptimArgs args = begun(op, how);
  args.beta1 = betas.beta1, args.beta2 = betas.beta2, args.eps = betas.eps;
  return args;
}

// One step: parameters, gradients and up to three lists of states (an empty one is not there); complete(line, i) says what
// else the i-th tensor's line needs.
template <class Complete>
void take_step(const char* name, OptimArgs args, Tensors params, Tensors grads, std::initializer_list<Tensors> states, Complete complete) {
  check_lengths(name, params.size(), {grads.size()});
  for (Tensors list : states)
    if (!list.empty()) check_lengths(name, params.size(), {list.size()});
  NoGrad no_grad;
  Lines lines(name, params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& line = lines.add(params[i]);
    line.dx = lines.read(grads[i]);
    void** place[] = {&line.a, &line.b, &line.c};
    size_t next = 0;
    for (Tensors list : states) {
      if (!list.empty()) *place[next] = lines.write(list[i]);
      ++next;
    }
    complete(line, i);
  }
  lines.run(args);
  for (const Tensor& x : params) x.bump_version(name);
  for (Tensors list : states)
    for (const Tensor& x : list) x.bump_version(name);
}

double corrected(double beta, double step) { return 1 - std::pow(beta, step); }

}  // namespace

void sgd_(Tensors params, Tensors grads, Tensors buffers, const std::vector<bool>& fresh, const Descent& how, const Sgd& sgd) {
  if (!buffers.empty()) check_lengths("sgd_", params.size(), {fresh.size()});
  OptimArgs args = begun(Optim::sgd, how);
  args.momentum = sgd.momentum, args.dampening = sgd.dampening, args.nesterov = sgd.nesterov, args.classic = sgd.classic;
  if (!buffers.empty() && sgd.momentum < 1) args.shrink *= (1 - sgd.dampening) / (1 - sgd.momentum);  // as a steady gradient is
  take_step("sgd_", args, params, grads, {buffers}, [&](OptimTensor& line, size_t i) { line.fresh = !buffers.empty() && fresh[i]; });
}

void adam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs, Reals steps, const Descent& how, const Adam& adam) {
  check_lengths("adam_", params.size(), {exp_avgs.size(), exp_avg_sqs.size(), steps.size()});
  if (adam.amsgrad) check_lengths("adam_", params.size(), {max_exp_avg_sqs.size()});
  OptimArgs args = begun(Optim::adam, how, adam);
  args.amsgrad = adam.amsgrad, args.decoupled = adam.decoupled;
  take_step("adam_", args, params, grads, {exp_avgs, exp_avg_sqs, max_exp_avg_sqs}, [&](OptimTensor& line, size_t i) {
    line.step = how.lr / corrected(adam.beta1, steps[i]);
    line.root = std::sqrt(corrected(adam.beta2, steps[i]));
  });
}

// Dozat, "Incorporating Nesterov Momentum into Adam", 2016: the momentum grows with the steps, mu_t = beta1 (1 - 0.96^(t decay) / 2).
void nadam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Reals steps, Reals mu_products, double momentum_decay, const Descent& how, const Adam& adam) {
  check_lengths("nadam_", params.size(), {exp_avgs.size(), exp_avg_sqs.size(), steps.size(), mu_products.size()});
  OptimArgs args = begun(Optim::nadam, how, adam);
  args.decoupled = adam.decoupled;
  auto mu = [&](double step) { return adam.beta1 * (1 - 0.5 * std::pow(0.96, step * momentum_decay)); };
  take_step("nadam_", args, params, grads, {exp_avgs, exp_avg_sqs}, [&](OptimTensor& line, size_t i) {
    double now = mu(steps[i]), next = mu(steps[i] + 1), product = mu_products[i] * now;
    line.other = how.lr * (1 - now) / (1 - product);
    line.step = how.lr * next / (1 - product * next);
    line.root = std::sqrt(corrected(adam.beta2, steps[i]));
  });
}

// Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019: steps adapt once their variance is tractable.
void radam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Reals steps, const Descent& how, const Adam& adam) {
  check_lengths("radam_", params.size(), {exp_avgs.size(), exp_avg_sqs.size(), steps.size()});
  OptimArgs args = begun(Optim::radam, how, adam);
  args.decoupled = adam.decoupled;
  double longest = 2 / (1 - adam.beta2) - 1;
  take_step("radam_", args, params, grads, {exp_avgs, exp_avg_sqs}, [&](OptimTensor& line, size_t i) {
    double left = corrected(adam.beta2, steps[i]), length = longest - 2 * steps[i] * (1 - left) / left;
    line.step = how.lr / corrected(adam.beta1, steps[i]);
    if (length > 5) line.root = std::sqrt(left * (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
  });
}

void adamax_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_infs, Reals steps, const Descent& how, const Betas& betas) {
  check_lengths("adamax_", params.size(), {exp_avgs.size(), exp_infs.size(), steps.size()});
  take_step("adamax_", begun(Optim::adamax, how, betas), params, grads, {exp_avgs, exp_infs},
            [&](OptimTensor& line, size_t i) { line.step = how.lr / corrected(betas.beta1, steps[i]); });
}

void adagrad_(Tensors params, Tensors grads, Tensors sums, Reals steps, const Descent& how, double lr_decay, double eps) {
  check_lengths("adagrad_", params.size(), {sums.size(), steps.size()});
  OptimArgs args = begun(Optim::adagrad, how);
  args.eps = eps;
  take_step("adagrad_", args, params, grads, {sums}, [&](OptimTensor& line, size_t i) { line.step = how.lr / (1 + (steps[i] - 1) * lr_decay); });
}

void rmsprop_(Tensors params, Tensors grads, Tensors square_avgs, Tensors grad_avgs, Tensors buffers, const Descent& how, const RmsProp& rmsprop) {
  check_lengths("rmsprop_", params.size(), {square_avgs.size()});
  OptimArgs args = begun(Optim::rmsprop, how);
  args.beta2 = rmsprop.alpha, args.eps = rmsprop.eps, args.momentum = rmsprop.momentum, args.centered = !grad_avgs.empty();
  if (!buffers.empty() && rmsprop.momentum < 1) args.shrink /= 1 - rmsprop.momentum;  // as a steady gradient is
  take_step("rmsprop_", args, params, grads, {square_avgs, grad_avgs, buffers}, [](OptimTensor&, size_t) {});
}

void adadelta_(Tensors params, Tensors grads, Tensors square_avgs, Tensors acc_deltas, const Descent& how, double rho, double eps) {
  check_lengths("adadelta_", params.size(), {square_avgs.size(), acc_deltas.size()});
  OptimArgs args = begun(Optim::adadelta, how);
  args.beta2 = rho, args.eps = eps;
  take_step("adadelta_", args, params, grads, {square_avgs, acc_deltas}, [](OptimTensor&, size_t) {});
}

void rprop_(Tensors params, Tensors grads, Tensors prevs, Tensors step_sizes, bool maximize, const Rprop& rprop) {
  check_lengths("rprop_", params.size(), {prevs.size(), step_sizes.size()});
  OptimArgs args = begun(Optim::rprop, {0, 0, 0, maximize});
  args.beta1 = rprop.less, args.beta2 = rprop.more, args.low = rprop.low, args.high = rprop.high;
  take_step("rprop_", args, params, grads, {prevs, step_sizes}, [](OptimTensor&, size_t) {});
}

void asgd_(Tensors params, Tensors grads, Tensors axs, Reals etas, Reals mus, double lambd, const Descent& how) {
  check_lengths("asgd_", params.size(), {axs.size(), etas.size(), mus.size()});
  take_step("asgd_", begun(Optim::asgd, how), params, grads, {axs}, [&](OptimTensor& line, size_t i) {
    line.step = etas[i], line.root = 1 - lambd * etas[i], line.other = mus[i];
  });
}

// Shazeer and Stern, "Adafactor", 2018. Its second moments are outer products of means of rows and columns: matrices are
// touched several times in a step, so this is a story of ops, told for one tensor after the other.
void adafactor_(Tensors params, Tensors grads, Tensors row_vars, Tensors col_vars, Tensors variances, Reals steps, const Descent& how, const Adafactor& adafactor) {
  check_lengths("adafactor_", params.size(), {grads.size(), row_vars.size(), col_vars.size(), variances.size(), steps.size()});
  NoGrad no_grad;
  auto rms = [](const Tensor& x) { return item(norm(x)).as_double() / std::sqrt(double(x.numel())); };
  auto number = [](double value) { return wrapped_number(Scalar(value)); };
  for (size_t i = 0; i < params.size(); ++i) {
    Tensor x = params[i], d = how.maximize ? neg(grads[i]) : grads[i];
    if (x.numel() == 0) continue;
    Tensor fresh = number(std::pow(steps[i], adafactor.beta2_decay));  // 1 - beta2 of this step
    double rate = std::max(adafactor.eps2, rms(x)) * std::min(how.lr, 1 / std::sqrt(steps[i]));
    if (how.weight_decay != 0) mul_(x, number(1 - how.lr * how.weight_decay));
    auto mean_square = [&](int64_t dim) { return div(square(norm(d, 2, std::array{dim}, true)), number(double(d.size(dim)))); };
    Tensor variance;
    if (d.dim() > 1) {
      Tensor row = row_vars[i], col = col_vars[i];
      lerp(row, mean_square(-1), fresh, Into::over(row));
      lerp(col, mean_square(-2), fresh, Into::over(col));
      variance = div(matmul(row, col), clamp(mean(row, std::array<int64_t, 1>{-2}, true), Scalar(adafactor.eps1), {}));
    } else {
      variance = variances[i];
      lerp(variance, mul(d, d), fresh, Into::over(variance));
    }
    Tensor update = mul(unary(Unary::rsqrt, clamp(variance, Scalar(adafactor.eps1 * adafactor.eps1), {})), d);
    add_(x, update, Scalar(-rate / std::max(1.0, rms(update) / adafactor.d)));
  }
}

// Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: the momentum, made orthogonal by a quintic
// Newton-Schulz iteration in bfloat16, is the step.
void muon_(Tensors params, Tensors grads, Tensors buffers, const Descent& how, const Muon& muon) {
  check_lengths("muon_", params.size(), {grads.size(), buffers.size()});
  NoGrad no_grad;
  auto number = [](double value) { return wrapped_number(Scalar(value)); };
  auto [a, b, c] = muon.coefficients;
  for (size_t i = 0; i < params.size(); ++i) {
    Tensor x = params[i], buffer = buffers[i];
    check_value(grads[i].dim() == 2, "muon_: a gradient must be a matrix, but is ", grads[i].sizes());
    lerp(buffer, grads[i], number(1 - muon.momentum), Into::over(buffer));
    Tensor d = muon.nesterov ? lerp(grads[i], buffer, number(muon.momentum)) : buffer;
    bool tall = d.size(0) > d.size(1);
    Tensor o = to(tall ? transpose(d, 0, 1) : d, DType::bfloat16, d.device(), true);
    o = div(o, clamp(norm(o), Scalar(muon.eps), {}));
    for (int64_t k = 0; k < muon.iterations; ++k) {
      Tensor gram = mm(o, transpose(o, 0, 1));
      o = addmm(o, addmm(gram, gram, gram, Scalar(b), Scalar(c)), o, Scalar(a));
    }
    double rows = double(d.size(0)), columns = double(d.size(1));
    double factor = muon.adjust_lr == "match_rms_adamw" ? 0.2 * std::sqrt(std::max(rows, columns)) : std::sqrt(std::max(1.0, rows / columns));
    mul_(x, number(1 - how.lr * how.weight_decay));
    add_(x, tall ? transpose(o, 0, 1) : o, Scalar(-how.lr * factor));
  }
}

// Nocedal and Wright, algorithm 7.4: minus the inverse Hessian times the gradient, from the history alone.
Tensor lbfgs_direction(const Tensor& grad, Tensors changes, Tensors moves, Reals inverse_curvatures, double scale) {
  check_lengths("lbfgs_direction", changes.size(), {moves.size(), inverse_curvatures.size()});
  NoGrad no_grad;
  Tensor d = neg(grad);
  std::vector<double> weights(changes.size());
  for (size_t i = changes.size(); i-- > 0;) {
    weights[i] = item(dot(moves[i], d)).as_double() * inverse_curvatures[i];
    add_(d, changes[i], Scalar(-weights[i]));
  }
  mul_(d, wrapped_number(Scalar(scale)));
  for (size_t i = 0; i < changes.size(); ++i) add_(d, moves[i], Scalar(weights[i] - item(dot(changes[i], d)).as_double() * inverse_curvatures[i]));
  return d;
}

Tensor total_norm(Tensors tensors, double p, bool error_if_nonfinite) {
  if (tensors.empty()) return scalar_tensor(Scalar(0.0), default_dtype());
  NoGrad no_grad;
  Lines lines("get_total_norm", tensors.size());
  DType type = tensors[0].dtype();
  for (const Tensor& x : tensors) lines.add(x), type = promote(type, x.dtype());
  OptimArgs args{};
  double total = lines.norm(args, p);
  check(!error_if_nonfinite || std::isfinite(total), "get_total_norm: The total norm of order ", p, " for gradients from `parameters` is non-finite, so it cannot be clipped. "
        "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`");
  return scalar_tensor(Scalar(total), type, tensors[0].device());
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

void scale_tensors_(Tensors xs, double factor) {
  NoGrad no_grad;
  Lines lines("scale_tensors_", xs.size());
  for (const Tensor& x : xs) lines.add(x);
  OptimArgs args{};
  args.op = Optim::scale, args.lr = factor;
  lines.run(args);
  for (const Tensor& x : xs) x.bump_version("scale_tensors_");
}

bool unscale_tensors_(Tensors xs, double factor) {
  NoGrad no_grad;
  Lines lines("unscale_tensors_", xs.size());
  for (const Tensor& x : xs) lines.add(x);
  int32_t found = 0;
  OptimArgs args{};
  args.op = Optim::unscale, args.lr = factor, args.found = &found;
  lines.run(args);
  for (const Tensor& x : xs) x.bump_version("unscale_tensors_");
  return found != 0;
}

void lerp_tensors_(Tensors xs, Tensors ends, double weight) {
  take_step("lerp_tensors_", begun(Optim::lerp, {weight, 0, 0, false}), xs, ends, {}, [](OptimTensor&, size_t) {});
}

}  // namespace tessel
