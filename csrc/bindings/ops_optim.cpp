// Optimizer steps and gradient clipping for tessel.optim and tessel.nn.utils.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

using Floats = const std::vector<double>&;

// Lists in which None stands for a state that a parameter has not.
std::vector<Tensor> tensors_or_none(PyObject* list) {
  Object sequence(expect(PySequence_Fast(list, "adafactor_: states must be in lists")));
  std::vector<Tensor> found;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    PyObject* entry = PySequence_Fast_GET_ITEM(sequence.get(), i);
    check_type(entry == Py_None || is_tensor(entry), "adafactor_: states must be tensors or None, not ", Py_TYPE(entry)->tp_name);
    found.push_back(entry == Py_None ? Tensor() : to_tensor(entry));
  }
  return found;
}

}  // namespace

void bind_optim() {
  add_op("sgd_(Tensor[] params, Tensor[] grads, Tensor[] buffers, *, float lr, float momentum=0.0, float dampening=0.0, float weight_decay=0.0, bool nesterov=False, bool maximize=False, object first=(), bool classic=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors buffers, double lr, double momentum, double dampening, double weight_decay, bool nesterov, bool maximize, PyObject* first, bool classic, double l1) {
    Object list(expect(PySequence_Fast(first, "sgd_: `first` must be a list of bools")));
    std::vector<bool> fresh;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) fresh.push_back(Cast<bool>::from(PySequence_Fast_GET_ITEM(list.get(), i)));
    sgd_(params, grads, buffers, fresh, {lr, weight_decay, l1, maximize}, {momentum, dampening, nesterov, classic});
  }, "One step; `buffers` hold the momenta (empty without momentum), `first` says which of them are new.", kOptim);
  add_op("adam_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] max_exp_avg_sqs, float[] steps, *, float lr, float beta1, float beta2, float eps, float weight_decay=0.0, bool amsgrad=False, bool maximize=False, bool decoupled=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs, Floats steps, double lr, double beta1, double beta2, double eps, double weight_decay, bool amsgrad, bool maximize, bool decoupled, double l1) {
    adam_(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, {lr, weight_decay, l1, maximize}, {{beta1, beta2, eps}, amsgrad, decoupled});
  }, "One step; `steps` count from 1, `decoupled` is AdamW's weight decay.", kOptim);
  add_op("nadam_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, float[] steps, float[] mu_products, *, float lr, float beta1, float beta2, float eps, float momentum_decay, float weight_decay=0.0, bool maximize=False, bool decoupled=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Floats steps, Floats mu_products, double lr, double beta1, double beta2, double eps, double momentum_decay, double weight_decay, bool maximize, bool decoupled, double l1) {
    nadam_(params, grads, exp_avgs, exp_avg_sqs, steps, mu_products, momentum_decay, {lr, weight_decay, l1, maximize}, {{beta1, beta2, eps}, false, decoupled});
  }, "One step; `mu_products` are those of the steps before.", kOptim);
  add_op("radam_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, float[] steps, *, float lr, float beta1, float beta2, float eps, float weight_decay=0.0, bool maximize=False, bool decoupled=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Floats steps, double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize, bool decoupled, double l1) {
    radam_(params, grads, exp_avgs, exp_avg_sqs, steps, {lr, weight_decay, l1, maximize}, {{beta1, beta2, eps}, false, decoupled});
  }, "One step; `steps` count from 1.", kOptim);
  add_op("adamax_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_infs, float[] steps, *, float lr, float beta1, float beta2, float eps, float weight_decay=0.0, bool maximize=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_infs, Floats steps, double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize, double l1) {
    adamax_(params, grads, exp_avgs, exp_infs, steps, {lr, weight_decay, l1, maximize}, {beta1, beta2, eps});
  }, "One step; `steps` count from 1.", kOptim);
  add_op("adagrad_(Tensor[] params, Tensor[] grads, Tensor[] sums, float[] steps, *, float lr, float lr_decay, float eps, float weight_decay=0.0, bool maximize=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors sums, Floats steps, double lr, double lr_decay, double eps, double weight_decay, bool maximize, double l1) {
    adagrad_(params, grads, sums, steps, {lr, weight_decay, l1, maximize}, lr_decay, eps);
  }, "One step; `steps` count from 1.", kOptim);
  add_op("rmsprop_(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] grad_avgs, Tensor[] buffers, *, float lr, float alpha, float eps, float momentum=0.0, float weight_decay=0.0, bool maximize=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors square_avgs, Tensors grad_avgs, Tensors buffers, double lr, double alpha, double eps, double momentum, double weight_decay, bool maximize, double l1) {
    rmsprop_(params, grads, square_avgs, grad_avgs, buffers, {lr, weight_decay, l1, maximize}, {alpha, eps, momentum});
  }, "One step; `grad_avgs` are empty unless centered, `buffers` without momentum.", kOptim);
  add_op("adadelta_(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] acc_deltas, *, float lr, float rho, float eps, float weight_decay=0.0, bool maximize=False, float l1=0.0)",
         +[](Tensors params, Tensors grads, Tensors square_avgs, Tensors acc_deltas, double lr, double rho, double eps, double weight_decay, bool maximize, double l1) {
    adadelta_(params, grads, square_avgs, acc_deltas, {lr, weight_decay, l1, maximize}, rho, eps);
  }, "One step.", kOptim);
  add_op("rprop_(Tensor[] params, Tensor[] grads, Tensor[] prevs, Tensor[] step_sizes, *, float etaminus, float etaplus, float step_size_min, float step_size_max, bool maximize=False)",
         +[](Tensors params, Tensors grads, Tensors prevs, Tensors step_sizes, double etaminus, double etaplus, double step_size_min, double step_size_max, bool maximize) {
    rprop_(params, grads, prevs, step_sizes, maximize, {etaminus, etaplus, step_size_min, step_size_max});
  }, "One step; `prevs` are the last gradients, 0 where they changed their sign.", kOptim);
  add_op("asgd_(Tensor[] params, Tensor[] grads, Tensor[] axs, float[] etas, float[] mus, *, float lambd, float weight_decay=0.0, bool maximize=False)",
         +[](Tensors params, Tensors grads, Tensors axs, Floats etas, Floats mus, double lambd, double weight_decay, bool maximize) {
    asgd_(params, grads, axs, etas, mus, lambd, {0, weight_decay, 0, maximize});
  }, "One step; `etas` are the rates, `mus` the weights of the new parameters in the averages `axs`.", kOptim);
  add_op("adafactor_(Tensor[] params, Tensor[] grads, object row_vars, object col_vars, object variances, float[] steps, *, float lr, float eps1, float eps2, float beta2_decay, float d, float weight_decay=0.0, bool maximize=False)",
         +[](Tensors params, Tensors grads, PyObject* row_vars, PyObject* col_vars, PyObject* variances, Floats steps, double lr, double eps1, double eps2, double beta2_decay, double d, double weight_decay, bool maximize) {
    adafactor_(params, grads, tensors_or_none(row_vars), tensors_or_none(col_vars), tensors_or_none(variances), steps, {lr, weight_decay, 0, maximize}, {eps1, eps2, beta2_decay, d});
  }, "One step; matrices have `row_vars` and `col_vars`, vectors `variances`, and None in place of the others.", kOptim);
  add_op("muon_(Tensor[] params, Tensor[] grads, Tensor[] buffers, *, float lr, float weight_decay, float momentum, bool nesterov, float[] ns_coefficients, int ns_steps, float eps, str adjust_lr_fn)",
         +[](Tensors params, Tensors grads, Tensors buffers, double lr, double weight_decay, double momentum, bool nesterov, Floats ns_coefficients, int64_t ns_steps, double eps, const std::string& adjust_lr_fn) {
    check_value(ns_coefficients.size() == 3, "muon_: Coefficients must be a tuple of exactly 3 values, not of ", ns_coefficients.size());
    check_value(ns_steps < 100, "muon_: ns_steps must be less than 100, but is ", ns_steps);
    muon_(params, grads, buffers, {lr, weight_decay, 0, false}, {momentum, eps, nesterov, {ns_coefficients[0], ns_coefficients[1], ns_coefficients[2]}, ns_steps, adjust_lr_fn});
  }, "One step of parameters that are matrices.", kOptim);
  add_op("lbfgs_direction(Tensor grad, Tensor[] changes, Tensor[] moves, float[] inverse_curvatures, float scale) -> Tensor", +[](const Tensor& grad, Tensors changes, Tensors moves, Floats inverse_curvatures, double scale) {
    return lbfgs_direction(grad, changes, moves, inverse_curvatures, scale);
  }, "Where to go, by the last changes of the gradient and moves of the parameters.", kOptim);
  add_op("get_total_norm(Tensor[] tensors, float norm_type=2.0, bool error_if_nonfinite=False) -> Tensor", &total_norm, "The norm of all together.", kOptim);
  add_op("scale_(Tensor[] xs, float factor)", &scale_tensors_, "x *= factor, of all.", kOptim);
  add_op("unscale_(Tensor[] xs, float factor) -> bool", &unscale_tensors_, "x *= factor, of all; whether any result is not finite.", kOptim);
  add_op("lerp_(Tensor[] xs, Tensor[] ends, float weight)", &lerp_tensors_, "x += weight (end - x), of all.", kOptim);
  add_op("clip_grad_norm_(Tensor[] grads, float max_norm, float norm_type=2.0, bool error_if_nonfinite=False) -> Tensor", &clip_grad_norm_, "Scales all gradients so that their norm together is at most max_norm; gives the norm before.", kOptim);
  add_op("clip_grad_value_(Tensor[] grads, float clip_value)", &clip_grad_value_, "Cuts all gradients to [-clip_value, clip_value].", kOptim);
}

}  // namespace tessel::python
