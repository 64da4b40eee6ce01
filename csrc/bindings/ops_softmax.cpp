// softmax and log_softmax in Python.
#include "bindings/registry.h"

namespace tessel::python {

namespace {

// The dimension that nn.functional takes when none is given, with PyTorch's warning.
int64_t implicit_dim(const char* op, const Tensor& x, std::optional<int64_t> dim, int64_t stacklevel) {
  if (dim) return *dim;
  std::string text = join({op, ": Implicit dimension choice has been deprecated. Change the call to include dim=X as an argument."});
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), stacklevel - 2) < 0) throw PythonException();  // this function and PyTorch's own are no frames
  return x.dim() == 0 || x.dim() == 1 || x.dim() == 3 ? 0 : 1;
}

}  // namespace

void bind_softmax() {
  add_op("softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", &softmax, "exp(x) / sum(exp(x)) along dim; dtype: convert first.");
  add_op("log_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", &log_softmax, "log(softmax(x)) along dim, without overflow; dtype: convert first.");
  add_op("softmax(Tensor input, int? dim=None, int _stacklevel=3, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<int64_t> dim, int64_t level, std::optional<DType> dtype) {
    return softmax(x, implicit_dim("softmax", x, dim, level), dtype);
  }, "exp(x) / sum(exp(x)) along dim.", kNN);
  add_op("log_softmax(Tensor input, int? dim=None, int _stacklevel=3, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<int64_t> dim, int64_t level, std::optional<DType> dtype) {
    return log_softmax(x, implicit_dim("log_softmax", x, dim, level), dtype);
  }, "log(softmax(x)) along dim, without overflow.", kNN);
  add_op("softmin(Tensor input, int? dim=None, int _stacklevel=3, dtype? dtype=None) -> Tensor", +[](const Tensor& x, std::optional<int64_t> dim, int64_t level, std::optional<DType> dtype) {
    return softmax(neg(x), implicit_dim("softmin", x, dim, level), dtype);
  }, "softmax(-x) along dim.", kNN);
}

}  // namespace tessel::python
