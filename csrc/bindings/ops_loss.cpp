// Losses in Python, with PyTorch's older arguments: reduce=False is "none", size_average=False is "sum".
#include <algorithm>

#include "bindings/registry.h"

namespace tessel::python {

namespace {

using Flag = std::optional<bool>;

Reduction reduction_of(const std::string& name, Flag size_average = {}, Flag reduce = {}) {
  if (size_average || reduce) return !reduce.value_or(true) ? Reduction::none : size_average.value_or(true) ? Reduction::mean : Reduction::sum;
  check_value(name == "none" || name == "mean" || name == "sum", name, " is not a valid value for reduction");
  return name == "none" ? Reduction::none : name == "mean" ? Reduction::mean : Reduction::sum;
}

// A target of (n) against an input of (n, 1) makes n x n losses, and the training goes wrong without a word.
void warn_of_broadcasting(const char* op, const Tensor& x, const Tensor& target) {
  if (x.sizes() == target.sizes()) return;
  const std::string text = join({op, ": input is ", x.sizes(), " but target is ", target.sizes(), ": they are broadcast to each other, which is hardly meant. Give both the same size."});
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonException();
}

void bind_classes() {
  add_op("cross_entropy(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean', float label_smoothing=0.0) -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, Flag average, int64_t ignored, Flag reduce, const std::string& reduction, double smoothing) {
    return cross_entropy(x, target, weight, ignored, reduction_of(reduction, average, reduce), smoothing);
  }, "-log softmax(input)[target] of scores (N, C, ...); target: class numbers (N, ...), or probabilities shaped as input.", kNN);
  add_op("nll_loss(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, Flag average, int64_t ignored, Flag reduce, const std::string& reduction) {
    return nll_loss(x, target, weight, ignored, reduction_of(reduction, average, reduce));
  }, "-input[target] of log-probabilities (N, C, ...) and class numbers (N, ...).", kNN);
  add_op("multi_margin_loss(Tensor input, Tensor target, int p=1, float margin=1.0, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, int64_t p, double margin, const Tensor& weight, Flag average, Flag reduce, const std::string& reduction) {
    return multi_margin_loss(x, target, p, margin, weight, reduction_of(reduction, average, reduce));
  }, "sum over wrong classes c of max(0, margin - x[target] + x[c])^p / C", kNN);
  add_op("multilabel_margin_loss(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction) { return multilabel_margin_loss(x, target, reduction_of(reduction, average, reduce)); },
         "sum over targets t (up to the first -1) and other classes c of max(0, 1 - x[t] + x[c]) / C", kNN);
  add_op("multilabel_soft_margin_loss(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, Flag average, Flag reduce, const std::string& reduction) { return multilabel_soft_margin_loss(x, target, weight, reduction_of(reduction, average, reduce)); },
         "binary_cross_entropy_with_logits, averaged over the classes", kNN);
}

// Rows of logits that are made at a time: as many as the caller says, or what makes 2^22 numbers, which stay in the caches.
int64_t rows_at_a_time(const Tensor& w, std::optional<int64_t> rows) { return rows.value_or(std::max<int64_t>(1, (int64_t(1) << 22) / std::max<int64_t>(w.size(0), 1))); }

Tensor lengths_of(PyObject* given) {  // a tensor, or numbers
  if (is_tensor(given)) return to_tensor(given);
  std::vector<int64_t> numbers = Cast<std::vector<int64_t>>::from(given);
  Tensor t = empty({static_cast<int64_t>(numbers.size())}, DType::int64);
  std::copy(numbers.begin(), numbers.end(), t.data_as<int64_t>());
  return t;
}

void bind_sequences() {
  add_op("linear_cross_entropy(Tensor input, Tensor linear_weight, Tensor target, *, Tensor? linear_bias=None, Tensor? weight=None, str reduction='mean', int ignore_index=-100, float label_smoothing=0.0, int? rows=None) -> Tensor",
         +[](const Tensor& x, const Tensor& w, const Tensor& target, const Tensor& b, const Tensor& weight, const std::string& reduction, int64_t ignored, double smoothing, std::optional<int64_t> rows) {
    return linear_cross_entropy(x, w, b, target, weight, ignored, reduction_of(reduction), smoothing, rows_at_a_time(w, rows));
  }, "cross_entropy(linear(input, linear_weight, linear_bias), target) of class numbers (n), with the logits of `rows` samples at a time.", kPrivate);
  add_op("sigmoid_focal_loss(Tensor input, Tensor target, float alpha=0.25, float gamma=2.0, str reduction='none') -> Tensor",
         +[](const Tensor& x, const Tensor& target, double alpha, double gamma, const std::string& reduction) { return sigmoid_focal_loss(x, target, alpha, gamma, reduction_of(reduction)); },
         "-a (1 - p)^gamma log p from logits, with p the probability given to the target (0 or 1) and a alpha for 1, 1 - alpha for 0; a negative alpha is none.", kNN);
  add_op("focal_loss(Tensor input, Tensor target, Tensor? weight=None, float gamma=2.0, int ignore_index=-100, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, double gamma, int64_t ignored, const std::string& reduction) { return focal_loss(x, target, weight, gamma, ignored, reduction_of(reduction)); },
         "-w[t] (1 - p[t])^gamma log p[t] from scores (N, C, ...), with p their softmax and t the class numbers (N, ...).", kNN);
  add_op("ctc_loss(Tensor log_probs, Tensor targets, object input_lengths, object target_lengths, int blank=0, str reduction='mean', bool zero_infinity=False) -> Tensor",
         +[](const Tensor& x, const Tensor& targets, PyObject* lengths, PyObject* target_lengths, int64_t blank, const std::string& reduction, bool zero_infinity) {
    return ctc_loss(x, targets, lengths_of(lengths), lengths_of(target_lengths), blank, reduction_of(reduction), zero_infinity);
  }, "-log of the probability that log_probs (steps, batch, classes) read as targets, (batch, longest) or all in a row, once repetitions and then blanks are struck out. 'mean' divides each by its target's length.", kNN);
}

void bind_distances() {
  add_op("mse_loss(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? weight=None) -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction, const Tensor& weight) { warn_of_broadcasting("mse_loss", x, target); return mse_loss(x, target, weight, reduction_of(reduction, average, reduce)); },
         "(input - target)^2", kNN);
  add_op("l1_loss(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? weight=None) -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction, const Tensor& weight) { warn_of_broadcasting("l1_loss", x, target); return l1_loss(x, target, weight, reduction_of(reduction, average, reduce)); },
         "|input - target|", kNN);
  add_op("smooth_l1_loss(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', float beta=1.0) -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction, double beta) { warn_of_broadcasting("smooth_l1_loss", x, target); return smooth_l1_loss(x, target, reduction_of(reduction, average, reduce), beta); },
         "d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2", kNN);
  add_op("huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, Tensor? weight=None) -> Tensor",
         +[](const Tensor& x, const Tensor& target, const std::string& reduction, double delta, const Tensor& weight) { warn_of_broadcasting("huber_loss", x, target); return huber_loss(x, target, weight, reduction_of(reduction), delta); },
         "d^2 / 2 where d = |input - target| <= delta, else delta (d - delta / 2)", kNN);
  add_op("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", &cosine_similarity, "x1 . x2 / (||x1|| ||x2||) along dim", kFunction);
  add_op("pdist(Tensor input, float p=2.0) -> Tensor", &pdist, "The p-norms of the differences of all pairs of rows.", kFunction | kNN);
  add_op("pairwise_distance(Tensor x1, Tensor x2, float p=2.0, float eps=1e-06, bool keepdim=False) -> Tensor", &pairwise_distance, "||x1 - x2 + eps||_p along the last dimension", kFunction);
}

void bind_probabilities() {
  add_op("binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, Flag average, Flag reduce, const std::string& reduction) { return binary_cross_entropy(x, target, weight, reduction_of(reduction, average, reduce)); },
         "-(target log(input) + (1 - target) log(1 - input)), the logarithms at least -100", kNN);
  add_op("binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? pos_weight=None) -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& weight, Flag average, Flag reduce, const std::string& reduction, const Tensor& pos_weight) {
    return binary_cross_entropy_with_logits(x, target, weight, pos_weight, reduction_of(reduction, average, reduce));
  }, "binary_cross_entropy of sigmoid(input), without losing digits", kNN);
  add_op("kl_div(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', bool log_target=False) -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction, bool log_target) {
    bool batchmean = reduction == "batchmean" && !average && !reduce;
    Tensor loss = kl_div(x, target, batchmean ? Reduction::sum : reduction_of(reduction, average, reduce), log_target);
    return batchmean && x.dim() > 0 ? loss / static_cast<double>(x.size(0)) : loss;
  }, "target (log target - input); 'batchmean' divides the sum by the batch size", kNN);
  add_op("poisson_nll_loss(Tensor input, Tensor target, bool log_input=True, bool full=False, bool? size_average=None, float eps=1e-08, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, bool log_input, bool full, Flag average, double eps, Flag reduce, const std::string& reduction) {
    return poisson_nll_loss(x, target, log_input, full, eps, reduction_of(reduction, average, reduce));
  }, "exp(input) - target input, or input - target log(input)", kNN);
  // var may be a number, as large as x.
  add_op("gaussian_nll_loss(Tensor input, Tensor target, Tensor|Scalar var, bool full=False, float eps=1e-06, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, const Tensor& var, bool whole, double eps, const std::string& reduction) {
    check_value(!var->wrapped_number || item(var).as_double() >= 0, "gaussian_nll_loss: var has negative entry/entries");
    return gaussian_nll_loss(x, target, var->wrapped_number ? full(x.sizes(), item(var), x.dtype(), x.device()) : var, whole, eps, reduction_of(reduction));
  }, "(log(var) + (input - target)^2 / var) / 2", kNN);
}

void bind_margins() {
  add_op("hinge_embedding_loss(Tensor input, Tensor target, float margin=1.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, double margin, Flag average, Flag reduce, const std::string& reduction) { return hinge_embedding_loss(x, target, margin, reduction_of(reduction, average, reduce)); },
         "input where target is 1, max(0, margin - input) where it is -1", kNN);
  add_op("margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& a, const Tensor& b, const Tensor& target, double margin, Flag average, Flag reduce, const std::string& reduction) { return margin_ranking_loss(a, b, target, margin, reduction_of(reduction, average, reduce)); },
         "max(0, -target (input1 - input2) + margin)", kNN);
  add_op("cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& a, const Tensor& b, const Tensor& target, double margin, Flag average, Flag reduce, const std::string& reduction) { return cosine_embedding_loss(a, b, target, margin, reduction_of(reduction, average, reduce)); },
         "1 - cos where target is 1, max(0, cos - margin) where it is -1", kNN);
  add_op("soft_margin_loss(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& x, const Tensor& target, Flag average, Flag reduce, const std::string& reduction) { return soft_margin_loss(x, target, reduction_of(reduction, average, reduce)); },
         "log(1 + exp(-target input))", kNN);
  add_op("triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, float p=2, float eps=1e-06, bool swap=False, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
         +[](const Tensor& a, const Tensor& p, const Tensor& n, double margin, double power, double eps, bool swap, Flag average, Flag reduce, const std::string& reduction) {
    return triplet_margin_loss(a, p, n, margin, power, eps, swap, reduction_of(reduction, average, reduce));
  }, "max(0, ||anchor - positive|| - ||anchor - negative|| + margin)", kNN);
}

}  // namespace

void bind_loss() {
  bind_classes();
  bind_sequences();
  bind_distances();
  bind_probabilities();
  bind_margins();
}

}  // namespace tessel::python
