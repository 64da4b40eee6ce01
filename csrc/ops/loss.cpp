// Losses: how far x is from its target. Cross entropy and negative log likelihood of class numbers are kernels; the others
// are composed of elementwise ops and a reduction.
#include <cmath>
#include <numbers>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

Tensor reduced(const Tensor& loss, Reduction reduction) {
  return reduction == Reduction::none ? loss : reduction == Reduction::mean ? mean(loss) : sum(loss);
}

Tensor weighted(const Tensor& loss, const Tensor& weight) { return weight.defined() ? loss * weight : loss; }

void check_floats(const char* name, const Tensor& x) {
  if (!is_floating(x.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x.dtype(), ", only for floats");
}

// ---- class numbers

struct ClassLoss {
  const char* name;
  int64_t ignored;
  double smoothing;
  Reduction reduction;
  bool logits;
};

// x as [batch, classes, inner]: the classes are dimension 1, or the only one.
ClassLossArgs class_args(const ClassLoss& l, const Tensor& x, const Tensor& target, const Tensor& weight) {
  ClassLossArgs args{};
  args.dtype = x.dtype();
  args.classes = x.sizes()[x.dim() == 1 ? 0 : 1];
  args.batch = x.dim() == 1 ? 1 : x.sizes()[0], args.inner = 1;
  for (int d = 2; d < x.dim(); ++d) args.inner *= x.sizes()[d];
  args.x = x.data(), args.target = target.data_as<int64_t>(), args.weight = weight.defined() ? weight.data() : nullptr;
  args.ignored = l.ignored, args.logits = l.logits, args.mean = l.reduction == Reduction::mean, args.smoothing = l.smoothing;
  return args;
}

// dx in recorded ops, for a graph that will be differentiated again: the same loss from log-probabilities.
Tensor class_loss_algebra(const ClassLoss& l, const Tensor& dloss, const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& total) {
  int64_t classes = x.dim() == 1 ? 0 : 1;
  Tensor t = unsqueeze(target, classes), kept = ne(t, wrapped_number(Scalar(l.ignored)));
  Tensor safe = where(kept, t, wrapped_number(Scalar(int64_t(0))));
  Tensor hot = scatter(zeros(x.sizes(), x.dtype(), x.device()), classes, safe, to_dtype(kept, x.dtype()));
  Dims shape = Dims::filled(static_cast<int>(x.dim()), 1);
  shape[classes] = x.sizes()[classes];
  Tensor w = weight.defined() ? reshape(to_dtype(weight, x.dtype()), shape) : ones(shape, x.dtype(), x.device());
  Tensor wanted = hot * w * (1 - l.smoothing);  // what each log-probability is multiplied by
  if (l.smoothing != 0) wanted = wanted + kept * w * (l.smoothing / static_cast<double>(x.sizes()[classes]));
  Tensor g = l.reduction == Reduction::none ? unsqueeze(dloss, classes) : l.reduction == Reduction::mean ? dloss / to_dtype(total, x.dtype()) : dloss;
  if (!l.logits) return -(g * wanted);
  return g * (softmax(x, classes) * sum(wanted, Dims{classes}, true) - wanted);
}

Tensor class_loss(const ClassLoss& l, const Tensor& x_, const Tensor& target_, const Tensor& weight_) {
  check_floats(l.name, x_);
  check_value(x_.dim() > 0, l.name, ": Expected input to have at least one dimension");
  int64_t classes = x_.dim() == 1 ? 0 : 1;
  Dims shape = x_.sizes();
  shape.erase(classes);
  if (x_.dim() > 1 && target_.dim() > 0)
    check_value(x_.size(0) == target_.size(0), l.name, ": Expected input batch_size (", x_.size(0), ") to match target batch_size (", target_.size(0), ").");
  check(target_.sizes() == shape, l.name, ": Expected target size ", shape, ", got ", target_.sizes(), " (x is ", x_.sizes(), ")");
  check(target_.dtype() == DType::int64 || target_.dtype() == DType::uint8, l.name, ": expected scalar type Long but found ", target_.dtype());
  int64_t n = x_.sizes()[classes];
  check(!weight_.defined() || (weight_.dim() == 1 && weight_.numel() == n), l.name, ": weight tensor should be defined either for all ", n, " classes or no classes but got weight tensor of shape: ", weight_.defined() ? weight_.sizes() : Dims());

  DType inside = x_.dtype() == DType::float64 ? DType::float64 : DType::float32;
  Tensor x = in_order(x_), target = in_order(to_dtype(target_, DType::int64));
  Tensor weight = weight_.defined() ? in_order(to_dtype(detach(weight_), inside)) : weight_;
  if (target.device().is_cpu())
    for (const int64_t *t = target.data_as<int64_t>(), *end = t + target.numel(); t < end; ++t)
      check_index((*t >= 0 && *t < n) || *t == l.ignored, l.name, ": Target ", *t, " is out of bounds (there are ", n, " classes).");

  bool summed = l.reduction != Reduction::none;
  Tensor y = empty(summed ? Dims() : shape, x.dtype(), x.device()), lse, total;
  if (l.logits) lse = empty(shape, inside, x.device());
  if (summed) total = empty({}, inside, x.device());
  ClassLossArgs args = class_args(l, x, target, weight);
  args.loss = y.data(), args.lse = l.logits ? lse.data() : nullptr, args.total = summed ? total.data() : nullptr;
  Scratch scratch(kernels(x).class_loss_scratch(args), x.device());
  run(l.name, x, x.numel() * 4, kernels(x).class_loss, args, scratch.data());

  if (Node* node = record(l.name, y, {x_}))
    node->backward = [l, x = Saved(x_), target, weight, lse, total](const Tensor& dy, Needs) -> Grads {
      if (grad_enabled()) return {class_loss_algebra(l, dy, x(), target, weight, total)};
      Tensor a = in_order(x()), g = in_order(dy), dx = empty(a.sizes(), a.dtype(), a.device());
      ClassLossArgs args = class_args(l, a, target, weight);
      args.lse = lse.defined() ? lse.data() : nullptr, args.total = total.defined() ? total.data() : nullptr;
      args.dloss = g.data(), args.dx = dx.data();
      run(l.name, dx, dx.numel() * 4, kernels(dx).class_loss_backward, args);
      return {dx};
    };
  return y;
}

}  // namespace

Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction) {
  return class_loss({"nll_loss", ignore_index, 0, reduction, false}, x, target, weight);
}

Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction, double label_smoothing) {
  check(label_smoothing >= 0 && label_smoothing <= 1, "cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  if (!(target.sizes() == x.sizes())) return class_loss({"cross_entropy", ignore_index, label_smoothing, reduction, true}, x, target, weight);
  // The target holds probabilities.
  check(is_floating(target.dtype()), "cross_entropy: Expected floating point type for target with class probabilities, got ", target.dtype());
  check(ignore_index < 0, "cross_entropy: ignore_index is not supported for floating point target");
  int64_t classes = x.dim() == 1 ? 0 : 1, n = x.sizes()[classes];
  check(!weight.defined() || (weight.dim() == 1 && weight.numel() == n), "cross_entropy: weight tensor should be defined either for all ", n, " classes or no classes but got weight tensor of shape: ", weight.defined() ? weight.sizes() : Dims());
  Tensor p = label_smoothing > 0 ? target * (1 - label_smoothing) + label_smoothing / static_cast<double>(n) : target;
  if (weight.defined()) {
    Dims shape = Dims::filled(static_cast<int>(x.dim()), 1);
    shape[classes] = n;
    p = p * reshape(weight, shape);
  }
  Tensor loss = -sum(log_softmax(x, classes) * p, Dims{classes});
  if (reduction != Reduction::mean) return reduced(loss, reduction);
  return x.dim() == 1 ? loss : sum(loss) / static_cast<double>(x.numel() / std::max<int64_t>(n, 1));
}

// ---- class numbers from a linear layer, without its whole output

namespace {

// Logits of `rows` samples at a time are made, used and dropped, and made again on the way back: one product more, for
// memory of rows * classes instead of samples * classes.
struct LinearClassLoss {
  ClassLoss loss;
  int64_t rows;
};

template <class F> void each_part(int64_t n, int64_t rows, F f) {
  for (int64_t at = 0; at < n; at += rows) f(at, std::min(rows, n - at));
}

Grads linear_class_loss_backward(const LinearClassLoss& l, const Tensor& dy_, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& target, const Tensor& weight, Needs needs) {
  NoGrad no_grad;
  Tensor dy = in_order(dy_), dx = needs[0] ? empty(x.sizes(), x.dtype(), x.device()) : Tensor(), dw, db;
  DType inside = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  if (needs[1]) dw = zeros(w.sizes(), inside, w.device());
  if (needs[2]) db = zeros(b.sizes(), inside, b.device());
  each_part(x.sizes()[0], l.rows, [&](int64_t at, int64_t n) {
    Tensor part = narrow(x, 0, at, n), logits = detach(linear(part, w, b)), t = narrow(target, 0, at, n), g = narrow(dy, 0, at, n);
    set_requires_grad(logits, true);
    Tensor dlogits;
    {
      GradMode grad(true);
      Tensor y[] = {class_loss(l.loss, logits, t, weight)}, wanted[] = {logits};
      dlogits = backward(y, std::span<const Tensor>(&g, 1), wanted, {.accumulate = false})[0];
    }
    if (needs[0]) copy_(narrow(dx, 0, at, n), matmul(dlogits, w));
    if (needs[1]) add_(dw, to_dtype(matmul(transpose(dlogits, 0, 1), part), inside));
    if (needs[2]) add_(db, to_dtype(sum(dlogits, Dims{0}), inside));
  });
  return {dx, dw, db};
}

Tensor linear_class_loss(const LinearClassLoss& l, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& target, const Tensor& weight) {
  std::vector<Tensor> parts;
  {
    NoGrad no_grad;
    each_part(x.sizes()[0], l.rows, [&](int64_t at, int64_t n) {
      parts.push_back(class_loss(l.loss, linear(narrow(x, 0, at, n), w, b), narrow(target, 0, at, n), weight));
    });
  }
  Tensor y = cat(parts, 0);
  if (Node* node = record("linear_cross_entropy", y, {x, w, b}))
    node->backward = [l, x = Saved(x), w = Saved(w), b = b.defined() ? Saved(b) : Saved(), target = detach(target), weight](const Tensor& dy, Needs needs) -> Grads {
      Tensor bias = b ? b() : Tensor();
      if (!grad_enabled()) return linear_class_loss_backward(l, dy, x(), w(), bias, target, weight, needs);
      Tensor from[] = {x(), w(), bias}, whole[] = {class_loss(l.loss, linear(from[0], from[1], bias), target, weight)};
      std::vector<Tensor> wanted;
      for (int i = 0; i < 3; ++i)
        if (needs[i]) wanted.push_back(from[i]);
      std::vector<Tensor> found = backward(whole, std::span<const Tensor>(&dy, 1), wanted, {.retain_graph = true, .create_graph = true, .accumulate = false, .allow_unused = true});
      Grads grads;
      for (int i = 0, next = 0; i < 3; ++i) grads.push_back(needs[i] ? found[next++] : Tensor());
      return grads;
    };
  return y;
}

}  // namespace

Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction, double label_smoothing, int64_t rows) {
  const char* name = "linear_cross_entropy";
  check(label_smoothing >= 0 && label_smoothing <= 1, name, ": label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  check(x.dim() == 2 && w.dim() == 2 && target.dim() == 1, name, ": rows of logits are made from x (n, in), weight (classes, in) and target (n), but they are ", x.sizes(), ", ", w.sizes(), " and ", target.sizes());
  check_value(x.sizes()[0] == target.sizes()[0], name, ": Expected input batch_size (", x.sizes()[0], ") to match target batch_size (", target.sizes()[0], ").");
  check(rows > 0, name, ": expected at least one row at a time, got ", rows);
  if (x.sizes()[0] == 0) return cross_entropy(linear(x, w, b), target, weight, ignore_index, reduction, label_smoothing);
  Tensor loss = linear_class_loss({{name, ignore_index, label_smoothing, Reduction::none, true}, rows}, x, w, b, target, weight);
  if (reduction != Reduction::mean) return reduced(loss, reduction);
  DType inside = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  Tensor kept = ne(detach(target), wrapped_number(Scalar(ignore_index))), total = to_dtype(kept, inside);
  if (weight.defined()) total = total * index_select(to_dtype(detach(weight), inside), 0, where(kept, detach(target), wrapped_number(Scalar(int64_t(0)))));
  return to_dtype(sum(to_dtype(loss, inside)) / sum(total), x.dtype());
}

// ---- focal losses (Lin et al., "Focal loss for dense object detection", 2017): what is already right counts for less

// a (1 - p)^gamma of the binary cross entropy, p the probability given to the target and a its share of alpha (none below 0)
Tensor sigmoid_focal_loss(const Tensor& x, const Tensor& target, double alpha, double gamma, Reduction reduction) {
  check_floats("sigmoid_focal_loss", x);
  check_value(alpha <= 1, "sigmoid_focal_loss: alpha must be at most 1, or negative for none, but is ", alpha);
  Tensor t = to_dtype(target, x.dtype()), entropy = binary_cross_entropy_with_logits(x, t, {}, {}, Reduction::none);
  Tensor wrong = unary(Unary::sigmoid, x * (1.0 - t * 2.0));  // 1 - p, without losing digits
  if (!(t.numel() == 0 || item(all(eq(t * (t - 1.0), wrapped_number(0.0)))).as_int())) {  // targets between 0 and 1
    Tensor p = unary(Unary::sigmoid, x);
    wrong = p + t - p * t * 2.0;
  }
  Tensor loss = gamma == 0 ? entropy : entropy * pow(wrong, wrapped_number(gamma));
  if (alpha >= 0) loss = loss * (t * (2 * alpha - 1) + (1 - alpha));
  return reduced(loss, reduction);
}

// w[t] (1 - p[t])^gamma of the cross entropy; the mean is weighted as cross_entropy's
Tensor focal_loss(const Tensor& x, const Tensor& target, const Tensor& weight, double gamma, int64_t ignore_index, Reduction reduction) {
  Tensor entropy = class_loss({"focal_loss", ignore_index, 0, Reduction::none, true}, x, target, {});
  Tensor wrong = -unary(Unary::expm1, -entropy), kept = ne(target, wrapped_number(Scalar(ignore_index)));
  Tensor loss = gamma == 0 ? entropy : entropy * pow(wrong, wrapped_number(gamma));
  if (!weight.defined() && reduction != Reduction::mean) return reduced(loss, reduction);
  Tensor w = to_dtype(kept, x.dtype());
  if (weight.defined()) {
    check(weight.dim() == 1 && weight.numel() == x.sizes()[x.dim() == 1 ? 0 : 1], "focal_loss: weight must have one number for each class, but is ", weight.sizes());
    Tensor of_target = index_select(weight, 0, reshape(where(kept, target, wrapped_number(Scalar(int64_t(0)))), {-1}));
    w = w * reshape(of_target, target.sizes());
    loss = loss * w;
  }
  return reduction == Reduction::mean ? sum(loss) / sum(w) : reduced(loss, reduction);
}

// ---- distances

Tensor mse_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  if (weight.defined() || reduction == Reduction::none || x.dtype() != target.dtype() || !is_floating(x.dtype())) {
    Tensor square = weighted(binary(Binary::squared_difference, x, target), weight);
    // A weighted mean is divided by the weights.
    return weight.defined() && reduction == Reduction::mean ? sum(square) / sum(expand(weight, square.sizes())) : reduced(square, reduction);
  }
  // The commonest, with one node: dx = 2 scale dy (x - target)
  Tensor y;
  double scale = 1;
  {
    NoGrad no_grad;
    Tensor square = binary(Binary::squared_difference, x, target);
    if (reduction == Reduction::mean) scale = 1.0 / static_cast<double>(square.numel());
    y = reduced(square, reduction);
  }
  if (Node* node = record("mse_loss", y, {x, target}))
    node->backward = [scale, x = Saved(x), target = Saved(target)](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx = (x() - target()) * (dy * (2 * scale));
      return {dx, needs[1] ? -dx : Tensor()};
    };
  return y;
}

Tensor l1_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  Tensor size = weighted(abs(x - target), weight);
  return weight.defined() && reduction == Reduction::mean ? sum(size) / sum(expand(weight, size.sizes())) : reduced(size, reduction);
}

// d^2 / 2 / beta where d = |x - target| < beta, else d - beta / 2
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction, double beta) {
  check(beta >= 0, "smooth_l1_loss: does not support negative values for beta.");
  check_floats("smooth_l1_loss", x);
  if (beta == 0) return l1_loss(x, target, {}, reduction);
  Tensor apart = x - target, size = abs(apart);
  return reduced(where(lt(size, wrapped_number(beta)), square(apart) * (0.5 / beta), size - 0.5 * beta), reduction);
}

// d^2 / 2 where d = |x - target| <= delta, else delta (d - delta / 2)
Tensor huber_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction, double delta) {
  check(delta > 0, "huber_loss: does not support non-positive values for delta.");
  check_floats("huber_loss", x);
  Tensor apart = x - target, size = abs(apart);
  Tensor loss = weighted(where(le(size, wrapped_number(delta)), square(apart) * 0.5, (size - 0.5 * delta) * delta), weight);
  return weight.defined() && reduction == Reduction::mean ? sum(loss) / sum(expand(weight, loss.sizes())) : reduced(loss, reduction);
}

// ---- probabilities

// -(target log x + (1 - target) log(1 - x)), the logarithms cut at -100; dx = dy (x - target) / max(x (1 - x), 1e-12)
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  check_value(x.sizes() == target.sizes(), "binary_cross_entropy: target must have the size of the input, ", x.sizes(), ", but is ", target.sizes());
  check_floats("binary_cross_entropy", x);
  check(x.dtype() == target.dtype(), "binary_cross_entropy: Found dtype ", target.dtype(), " of the target but expected ", x.dtype());
  Tensor one = wrapped_number(1.0), loss;
  {
    NoGrad no_grad;
    check(x.numel() == 0 || item(all(binary(Binary::logical_and, ge(x, wrapped_number(0.0)), le(x, one)))).as_int(), "binary_cross_entropy: all elements of input should be between 0 and 1");
    auto cut = [](const Tensor& p) { return clamp(p, Scalar(-100.0), {}); };
    loss = (target - one) * cut(unary(Unary::log1p, -x)) - target * cut(log(x));
  }
  if (Node* node = record("binary_cross_entropy", loss, {x, target}))
    node->backward = [x = Saved(x), target = Saved(target)](const Tensor& dy, Needs needs) -> Grads {
      Tensor a = x(), one = wrapped_number(1.0);
      return {needs[0] ? dy * (a - target()) / clamp((one - a) * a, Scalar(1e-12), {}) : Tensor(),
              needs[1] ? dy * (unary(Unary::log1p, -a) - log(a)) : Tensor()};
    };
  return reduced(weighted(loss, weight), reduction);
}

// (1 - target) x - w log(sigmoid(x)), with w = 1 + (pos_weight - 1) target
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& pos_weight, Reduction reduction) {
  check_value(x.sizes() == target.sizes(), "binary_cross_entropy_with_logits: target must have the size of the input, ", x.sizes(), ", but is ", target.sizes());
  check_floats("binary_cross_entropy_with_logits", x);
  Tensor log_sigmoid = unary(Unary::logsigmoid, x);
  if (pos_weight.defined()) log_sigmoid = log_sigmoid * (target * (pos_weight - 1.0) + 1.0);
  return reduced(weighted((1.0 - target) * x - log_sigmoid, weight), reduction);
}

Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction, bool log_target) {
  Tensor loss = log_target ? exp(target) * (target - x) : binary(Binary::xlogy, target, target) - target * x;
  return reduced(loss, reduction);
}

// ---- margins

// a . b / (|a| |b|), the lengths at least eps
Tensor cosine_similarity(const Tensor& a_, const Tensor& b_, int64_t dim, double eps) {
  Tensor both[] = {a_, b_};
  DType type = promote(a_.dtype(), b_.dtype());
  check(is_floating(type), "cosine_similarity: expected common dtype to be floating point, yet common dtype is ", type);
  std::vector<Tensor> parts = broadcast_tensors(both);
  Tensor a = to_dtype(parts[0], type), b = to_dtype(parts[1], type);
  auto unit = [&](const Tensor& x) { return x / clamp(norm(x, 2, Dims{dim}, true), Scalar(eps), {}); };
  return sum(unit(a) * unit(b), Dims{dim});
}

Tensor pdist(const Tensor& x, double p) {
  check(x.dim() == 2, "pdist: only supports 2D tensors, got: ", x.dim(), "D");
  check(is_floating(x.dtype()), "pdist: only supports floating-point dtypes, got ", x.dtype());
  check(p >= 0, "pdist: only supports non-negative p values");
  std::vector<Tensor> pairs = unbind(triu_indices(x.size(0), x.size(0), 1, DType::int64, x.device()));
  return norm(index_select(x, 0, pairs[0]) - index_select(x, 0, pairs[1]), p, Dims{1});
}

Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim) {
  int64_t dim = std::max(a.dim(), b.dim()) - 1;
  return norm(a - b + eps, p, Dims{dim}, keepdim);
}

Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction reduction) {
  Tensor none = wrapped_number(0.0), one = wrapped_number(Scalar(int64_t(1))), zero_ = zeros({}, x.dtype(), x.device());
  Tensor apart = where(ne(target, one), clamp(margin - x, Scalar(0.0), {}), zero_);
  return reduced(apart + where(ne(target, wrapped_number(Scalar(int64_t(-1)))), x, zero_), reduction);
}

Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction reduction) {
  check(a.dim() == b.dim() && a.dim() == target.dim(), "margin_ranking_loss: All input tensors should have same dimension but got sizes: input1: ", a.sizes(), ", input2: ", b.sizes(), ", target: ", target.sizes());
  return reduced(clamp(-target * (a - b) + margin, Scalar(0.0), {}), reduction);
}

Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction reduction) {
  check(target.dim() <= 1, "cosine_embedding_loss: 0D or 1D target tensor expected, multi-target not supported (target is ", target.sizes(), ")");
  check(a.dim() == target.dim() + 1 && b.dim() == target.dim() + 1, "cosine_embedding_loss: ", target.dim(), "D target tensor expects ", target.dim() + 1, "D input tensors, but found inputs with sizes ", a.sizes(), " and ", b.sizes());
  constexpr double kEpsilon = 1e-12;
  int64_t dim = target.dim();
  Tensor dots = sum(a * b, Dims{dim}), squares = (sum(a * a, Dims{dim}) + kEpsilon) * (sum(b * b, Dims{dim}) + kEpsilon);
  Tensor cosine = dots / sqrt(squares), zero_ = zeros({}, cosine.dtype(), cosine.device());
  Tensor near = where(eq(target, wrapped_number(Scalar(int64_t(1)))), 1.0 - cosine, zero_);
  Tensor far = where(eq(target, wrapped_number(Scalar(int64_t(-1)))), clamp(cosine - margin, Scalar(0.0), {}), zero_);
  return reduced(near + far, reduction);
}

// log(1 + exp(-target x))
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  check_floats("soft_margin_loss", x);
  return reduced(unary(Unary::log1p, exp(-target * x)), reduction);
}

// sum over the wrong classes of max(0, margin - x[t] + x[c])^p w[t], divided by the number of classes
Tensor multi_margin_loss(const Tensor& x_, const Tensor& target_, double p, double margin, const Tensor& weight, Reduction reduction) {
  const char* name = "multi_margin_loss";
  check_value(p == 1 || p == 2, name, ": only p == 1 and p == 2 supported");
  check_value(!weight.defined() || weight.dim() == 1, name, ": weight must be one-dimensional");
  check_floats(name, x_);
  check(x_.dim() <= 2 && (x_.dim() < 2 || x_.size(1) > 0) && (x_.dim() == 2 || x_.numel() > 0), name, ": Expected non-empty vector or matrix with optional 0-dim batch size, but got: ", x_.sizes());
  Tensor x = x_.dim() == 2 ? x_ : reshape(x_, {1, -1}), target = x_.dim() == 2 ? target_ : reshape(target_, {-1});
  check(target.dim() <= 1 && target.numel() == x.size(0), name, ": inconsistent target size, expected ", x.size(0), " but got ", target_.sizes());
  check(target.dtype() == DType::int64, name, ": expected scalar type Long but found ", target.dtype());
  int64_t n = x.size(1);
  check(!weight.defined() || weight.numel() == n, name, ": inconsistent weight size, expected ", n, " but got ", weight.defined() ? weight.sizes() : Dims());
  if (target.numel() > 0) {
    check(item(min(target)).as_int() >= 0 && item(max(target)).as_int() < n, name, ": target out of range");
  }
  Tensor t = reshape(target, {-1, 1}), apart = clamp(margin - gather(x, 1, t) + x, Scalar(0.0), {});
  if (p == 2) apart = square(apart);
  if (weight.defined()) apart = apart * reshape(index_select(reshape(weight, {-1}), 0, target), {-1, 1});
  Tensor wrong = ne(arange(Scalar(int64_t(0)), Scalar(n), Scalar(int64_t(1)), DType::int64, x.device()), t);
  Tensor loss = sum(where(wrong, apart, zeros({}, x.dtype(), x.device())), Dims{1}) / static_cast<double>(n);
  if (x_.dim() < 2 && target_.dim() == 0) loss = reshape(loss, {});
  return reduced(loss, reduction);
}

// Targets are class numbers up to the first -1: sum over t and wrong c of max(0, 1 - (x[t] - x[c])), divided by the classes.
Tensor multilabel_margin_loss(const Tensor& x_, const Tensor& target_, Reduction reduction) {
  const char* name = "multilabel_margin_loss";
  check_floats(name, x_);
  check(x_.dim() <= 2 && (x_.dim() < 2 || x_.size(1) > 0), name, ": Expected non-empty vector or matrix with optional 0-dim batch size, but got: ", x_.sizes());
  check(target_.sizes() == x_.sizes() || (x_.dim() < 2 && target_.numel() == x_.numel()), name, ": inconsistent target size: ", target_.sizes(), " for input of size: ", x_.sizes());
  check(target_.dtype() == DType::int64, name, ": expected scalar type Long but found ", target_.dtype());
  Tensor x = x_.dim() == 2 ? x_ : reshape(x_, {1, -1}), target = x_.dim() == 2 ? target_ : reshape(target_, {1, -1});
  int64_t n = x.size(1);
  Tensor none = wrapped_number(Scalar(int64_t(0)));
  if (target.numel() > 0)
    check(item(min(target)).as_int() >= -1 && item(max(target)).as_int() < n, name, ": target out of range");
  Tensor valid = eq(cumsum(lt(target, none), 1), none);  // before the first -1
  Tensor t = where(valid, target, none);
  Tensor right = gt(scatter_add(zeros(x.sizes(), DType::int64, x.device()), 1, t, to_dtype(valid, DType::int64)), none);
  Tensor apart = clamp(1.0 - unsqueeze(gather(x, 1, t), 2) + unsqueeze(x, 1), Scalar(0.0), {});  // [batch, t, c]
  Tensor counted = binary(Binary::logical_and, unsqueeze(valid, 2), unsqueeze(logical_not(right), 1));
  Tensor loss = sum(where(counted, apart, zeros({}, x.dtype(), x.device())), Dims{1, 2}) / static_cast<double>(n);
  return reduced(x_.dim() < 2 ? reshape(loss, {}) : loss, reduction);
}

Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  Tensor loss = weighted(-(target * unary(Unary::logsigmoid, x) + (1.0 - target) * unary(Unary::logsigmoid, -x)), weight);
  return reduced(mean(loss, Dims{-1}), reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p, double eps, bool swap, Reduction reduction) {
  check(anchor.dim() == positive.dim() && anchor.dim() == negative.dim(), "triplet_margin_loss: The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor ", anchor.dim(), "D, positive ", positive.dim(), "D, and negative ", negative.dim(), "D inputs");
  check_value(margin > 0, "triplet_margin_loss: margin must be greater than 0, got ", margin);
  Tensor near = pairwise_distance(anchor, positive, p, eps), far = pairwise_distance(anchor, negative, p, eps);
  if (swap) far = minimum(far, pairwise_distance(positive, negative, p, eps));
  return reduced(clamp(near - far + margin, Scalar(0.0), {}), reduction);
}

// ---- likelihoods

// exp(x) - target x, or x - target log(x + eps); `full` adds Stirling's approximation of log(target!) where target > 1
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input, bool full, double eps, Reduction reduction) {
  Tensor loss = log_input ? exp(x) - target * x : x - target * log(x + eps);
  if (full) {
    Tensor rest = target * log(target) - target + log(target * (2 * std::numbers::pi)) * 0.5;
    loss = loss + where(gt(target, wrapped_number(Scalar(int64_t(1)))), rest, zeros({}, rest.dtype(), rest.device()));
  }
  return reduced(loss, reduction);
}

// (log(variance) + (x - target)^2 / variance) / 2, the variance at least eps; its derivative does not see the bound
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& variance_, bool full, double eps, Reduction reduction) {
  Tensor variance = variance_;
  if (!(variance.sizes() == x.sizes())) {
    Dims short_by_one = x.sizes();
    if (x.dim() > 0) short_by_one.erase(x.dim() - 1);
    if (variance.sizes() == short_by_one) {
      variance = unsqueeze(variance, -1);
    } else if (variance.dim() > 0) {  // one dimension of all may be 1
      int64_t different = variance.dim() == x.dim() ? 0 : 2;
      for (int64_t d = 0; d < std::min(x.dim(), variance.dim()); ++d)
        if (variance.sizes()[d] != x.sizes()[d]) different += variance.sizes()[d] == 1 ? 1 : 2;
      check_value(different == 1, "gaussian_nll_loss: var is of incorrect size ", variance.sizes(), " (x is ", x.sizes(), ")");
    }
  }
  check_value(variance.numel() == 0 || item(all(ge(detach(variance), wrapped_number(0.0)))).as_int(), "gaussian_nll_loss: var has negative entry/entries");
  Tensor bound;
  {
    NoGrad no_grad;
    bound = clamp(variance, Scalar(eps), {}) - variance;
  }
  variance = variance + bound;
  Tensor loss = (log(variance) + square(x - target) / variance) * 0.5;
  if (full) loss = loss + 0.5 * std::log(2 * std::numbers::pi);
  return reduced(loss, reduction);
}

}  // namespace tessel
