// Convolution and pooling in Python.
#include "bindings/registry.h"
#include "ops/epilogue.h"

namespace tessel::python {

namespace {

// conv1d, conv2d, conv3d and their transposed forms.
template <int n>
void add_conv() {
  static const std::string d = std::to_string(n), name = "conv" + d + "d", transpose = "conv_transpose" + d + "d";
  static const std::string numbers = name + "(Tensor input, Tensor weight, Tensor? bias=None, int[" + d + "] stride=1, int[" + d + "] padding=0, int[" + d + "] dilation=1, int groups=1) -> Tensor";
  static const std::string named = name + "(Tensor input, Tensor weight, Tensor? bias=None, int[" + d + "] stride=1, str padding='valid', int[" + d + "] dilation=1, int groups=1) -> Tensor";
  static const std::string transposed = transpose + "(Tensor input, Tensor weight, Tensor? bias=None, int[" + d + "] stride=1, int[" + d + "] padding=0, int[" + d + "] output_padding=0, int groups=1, int[" + d + "] dilation=1) -> Tensor";
  static const std::string with_numbers = name + "(Tensor input, Tensor weight, Tensor? bias, int[" + d + "] stride, int[" + d + "] padding, int[" + d + "] dilation, int groups, str activation, bool inplace=False) -> Tensor";
  static const std::string with_name = name + "(Tensor input, Tensor weight, Tensor? bias, int[" + d + "] stride, str padding, int[" + d + "] dilation, int groups, str activation, bool inplace=False) -> Tensor";
  static constexpr auto by_name = +[](const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const std::string& padding, const Dims& dilation, int64_t groups, Activation activation, bool inplace) {
    check(padding == "same" || padding == "valid", name, ": Invalid padding string: '", padding, "', expected 'valid' or 'same'");
    return padding == "valid" ? conv(name.c_str(), n, x, w, b, stride, Dims{0}, dilation, groups, activation, inplace)
                              : conv_same(name.c_str(), n, x, w, b, stride, dilation, groups, activation, inplace);
  };
  add_op(numbers.c_str(), +[](const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
    return conv(name.c_str(), n, x, w, b, stride, padding, dilation, groups);
  }, "Cross-correlation of x (N, C, ...) with weight (out, C / groups, ...).", kNN | kFunction);
  add_op(named.c_str(), +[](const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const std::string& padding, const Dims& dilation, int64_t groups) {
    return by_name(x, w, b, stride, padding, dilation, groups, Activation::none, false);
  }, "", kNN | kFunction);
  add_op(with_numbers.c_str(), +[](const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups, Activation activation, bool inplace) {
    return conv(name.c_str(), n, x, w, b, stride, padding, dilation, groups, activation, inplace);
  }, "Convolution and an activation in one pass over the result: the same values and history as one after the other.", kPrivate);
  add_op(with_name.c_str(), by_name, "", kPrivate);
  add_op(transposed.c_str(), +[](const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& output_padding, int64_t groups, const Dims& dilation) {
    return conv_transpose(transpose.c_str(), n, x, w, b, stride, padding, output_padding, groups, dilation);
  }, "The gradient of a convolution with respect to its input, as an op: x (N, C, ...), weight (C, out / groups, ...).", kNN | kFunction);
}

PyObject* with_indices(const std::tuple<Tensor, Tensor>& result, bool wanted) { return wanted ? wrap_one(result) : wrap(std::get<0>(result)); }

// None in an output_size keeps the input's size.
Dims output_size(const char* name, PyObject* given, const Tensor& x, int spatial) {
  bool list = PyTuple_Check(given) || PyList_Check(given);
  if (!list && given != Py_None) return {to_int(given)};
  int64_t n = list ? PySequence_Fast_GET_SIZE(given) : spatial;
  if (spatial > 1) check_value(x.dim() > n, name, ": Input dimension should be at least ", n + 1, ", but the input is ", x.sizes());
  Dims dims;
  for (int64_t i = 0; i < n; ++i) {
    PyObject* item = list ? PySequence_Fast_GET_ITEM(given, i) : Py_None;
    if (item == Py_None) check(x.dim() >= n, name, ": output_size None needs an input of at least ", n, " dimensions, but it is ", x.sizes());
    dims.push_back(item == Py_None ? x.sizes()[x.dim() - n + i] : to_int(item));
  }
  return dims;
}

template <int n>
void add_pool() {
  static const std::string d = std::to_string(n), ints = "int[" + d + "]";
  static const std::string max_signature = "(Tensor input, " + ints + " kernel_size, " + ints + "? stride=None, " + ints + " padding=0, " + ints + " dilation=1, bool ceil_mode=False";
  static const std::string max_full = "max_pool" + d + "d" + max_signature + ", bool return_indices=False) -> Tensor", max_plain = "max_pool" + d + "d" + max_signature + ") -> Tensor";
  static const std::string max_indices = "max_pool" + d + "d_with_indices" + max_signature + ", bool return_indices=True) -> (Tensor, Tensor)";
  static const std::string mean = "avg_pool" + d + "d(Tensor input, " + ints + " kernel_size, " + ints + "? stride=None, " + ints + " padding=0, bool ceil_mode=False, bool count_include_pad=True" + (n == 1 ? "" : ", int? divisor_override=None") + ") -> Tensor";
  static const std::string adaptive_max = "adaptive_max_pool" + d + "d(Tensor input, object output_size, bool return_indices=False) -> Tensor";
  static const std::string adaptive_max_indices = "adaptive_max_pool" + d + "d_with_indices(Tensor input, object output_size, bool return_indices=True) -> (Tensor, Tensor)";
  static const std::string adaptive_mean = "adaptive_avg_pool" + d + "d(Tensor input, object output_size) -> Tensor";
  auto max_op = +[](const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode, bool indices) {
    return with_indices(max_pool(n, x, kernel, stride, padding, dilation, ceil_mode, indices), indices);
  };
  add_op(max_full.c_str(), max_op, "The largest value of each window; with return_indices also its flat position in the plane.", kNN);
  add_op(max_indices.c_str(), max_op, "", kNN);
  add_op(max_plain.c_str(), +[](const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode) {
    return std::get<0>(max_pool(n, x, kernel, stride, padding, dilation, ceil_mode, false));
  }, "", kFunction);
  if constexpr (n == 1)
    add_op(mean.c_str(), +[](const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, bool ceil_mode, bool include) { return avg_pool(n, x, kernel, stride, padding, ceil_mode, include, {}); }, "The mean of each window.", kNN | kFunction);
  else
    add_op(mean.c_str(), +[](const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, bool ceil_mode, bool include, std::optional<int64_t> divisor) { return avg_pool(n, x, kernel, stride, padding, ceil_mode, include, divisor); }, "The mean of each window.", kNN);
  auto adaptive_max_op = +[](const Tensor& x, PyObject* size, bool indices) {
    return with_indices(adaptive_max_pool(n, x, output_size(("adaptive_max_pool" + d + "d").c_str(), size, x, n), indices), indices);
  };
  add_op(adaptive_max.c_str(), adaptive_max_op, "", kNN);
  add_op(adaptive_max_indices.c_str(), adaptive_max_op, "", kNN);
  add_op(adaptive_mean.c_str(), +[](const Tensor& x, PyObject* size) {
    return adaptive_avg_pool(n, x, output_size(("adaptive_avg_pool" + d + "d").c_str(), size, x, n));
  }, "The mean of windows chosen so that the result has output_size.", n == 1 ? kNN | kFunction : kNN);
}

}  // namespace

void bind_conv() {
  add_conv<1>(), add_conv<2>(), add_conv<3>();
  add_pool<1>(), add_pool<2>(), add_pool<3>();
}

}  // namespace tessel::python
