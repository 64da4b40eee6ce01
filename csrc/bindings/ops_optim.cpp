// Optimizer steps and gradient clipping for tessel.optim and tessel.nn.utils.
#include "bindings/registry.h"

namespace tessel::python {

void bind_optim() {
  add_op("sgd_(Tensor[] params, Tensor[] grads, Tensor[] buffers, *, float lr, float momentum=0.0, float dampening=0.0, float weight_decay=0.0, bool nesterov=False, bool maximize=False, object first=())",
         +[](Tensors params, Tensors grads, Tensors buffers, double lr, double momentum, double dampening, double weight_decay, bool nesterov, bool maximize, PyObject* first) {
    Object list(expect(PySequence_Fast(first, "sgd_: `first` must be a list of bools")));
    std::vector<bool> fresh;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) fresh.push_back(Cast<bool>::from(PySequence_Fast_GET_ITEM(list.get(), i)));
    sgd_(params, grads, buffers, fresh, {lr, momentum, dampening, weight_decay, nesterov, maximize});
  }, "One step; `buffers` hold the momenta (empty without momentum), `first` says which of them are new.", kOptim);
  add_op("adam_(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] max_exp_avg_sqs, float[] steps, *, float lr, float beta1, float beta2, float eps, float weight_decay=0.0, bool amsgrad=False, bool maximize=False, bool decoupled=False)",
         +[](Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs, const std::vector<double>& steps, double lr, double beta1, double beta2, double eps, double weight_decay, bool amsgrad, bool maximize, bool decoupled) {
    adam_(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, {lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled});
  }, "One step; `steps` count from 1, `decoupled` is AdamW's weight decay.", kOptim);
  add_op("clip_grad_norm_(Tensor[] grads, float max_norm, float norm_type=2.0, bool error_if_nonfinite=False) -> Tensor", &clip_grad_norm_, "Scales all gradients so that their norm together is at most max_norm; gives the norm before.", kOptim);
  add_op("clip_grad_value_(Tensor[] grads, float clip_value)", &clip_grad_value_, "Cuts all gradients to [-clip_value, clip_value].", kOptim);
}

}  // namespace tessel::python
