// What tensors have from before dtypes and from kinds of tensors that are not there: old constructors and storages,
// functions of Python's numbers, what a dense tensor answers to calls meant for other kinds; frexp and histogram.
#include "bindings/rare.h"

namespace tessel::python {

namespace {

// Calls a function of tessel's own Python code.
template <class... Args>
PyObject* call_python(const char* module, const char* name, Args... args) {
  Object home(expect(PyImport_ImportModule(module)));
  Object function(expect(PyObject_GetAttrString(home.get(), name)));
  return expect(PyObject_CallFunctionObjArgs(function.get(), args..., nullptr));
}

void add_old() {
  add_op("new(Tensor input, object[*] args=(), *, object device=None) -> object", +[](PyObject* x, PyObject* args, PyObject* device) {
    return call_python("tessel._storage", "new", x, args, device);
  }, "Another tensor of the same dtype, of sizes or of data.", kMethod);
  add_op("apply_(Tensor input, object callable) -> object", +[](PyObject* x, PyObject* f) { return call_python("tessel._storage", "apply_", x, f); },
         "callable(element) in the place of each element; slow, on the CPU only.", kMethod);
  add_op("map_(Tensor input, Tensor tensor, object callable) -> object", +[](PyObject* x, PyObject* other, PyObject* f) {
    return call_python("tessel._storage", "map_", x, other, f);
  }, "callable(element, element of tensor) in the place of each element; slow, on the CPU only.", kMethod);
  add_op("map2_(Tensor input, Tensor tensor1, Tensor tensor2, object callable) -> object", +[](PyObject* x, PyObject* a, PyObject* b, PyObject* f) {
    return call_python("tessel._storage", "map2_", x, a, b, f);
  }, "", kMethod);
  add_op("storage(Tensor input) -> object", +[](PyObject* x) { return call_python("tessel._storage", "storage", x); }, "The memory as elements of the tensor's dtype.", kMethod);
  add_op("storage_type(Tensor input) -> object", +[](PyObject* x) { return call_python("tessel._storage", "storage_type", x); }, "", kMethod);
  add_op("resize(Tensor input, int[*] sizes) -> Tensor", +[](const Tensor& x, const Dims& sizes) {
    check(sizes.numel() == x.numel(), "resize: requested resize to ", sizes, " but the tensor has ", x.numel(), " elements; use resize_() to change their number");
    return reshape(x, sizes);
  }, "The same elements in another shape (deprecated: reshape).", kMethod);
  add_op("resize_as(Tensor input, Tensor tensor) -> Tensor", +[](const Tensor& x, const Tensor& other) {
    check(other.numel() == x.numel(), "resize_as: requested resize to ", other.sizes(), " but the tensor has ", x.numel(), " elements; use resize_as_() to change their number");
    return reshape(x, other.sizes());
  }, "", kMethod);
}

// ---- kinds that are not there: all tensors are dense, whole and pageable

void add_kinds() {
  add_op("to_dense(Tensor input, dtype? dtype=None, *, bool? masked_grad=None) -> Tensor", +[](const Tensor& x, std::optional<DType> dtype, std::optional<bool>) {
    return to_dtype(x, dtype.value_or(x.dtype()));
  }, "The tensor itself: all are dense.", kMethod);
  add_op("pin_memory(Tensor input, object device=None) -> Tensor", +[](const Tensor& x, PyObject*) { return x; },
         "The tensor itself: no memory is pinned, and copies to a device do not ask for it.", kMethod);
  add_op("record_stream(Tensor input, object stream) -> None", +[](const Tensor&, PyObject*) {}, "Nothing: memory is never given back while a device may use it.", kMethod);
}

// ---- numbers taken apart, and counted

// Mantissas in [0.5, 1) and exponents: x = mantissa 2^exponent, read off the bits; numbers too small for an exponent of
// their own are raised first.
std::tuple<Tensor, Tensor> frexp(const Tensor& x_) {
  if (!is_floating(x_.dtype())) fail<NotImplementedError>("frexp: only supports floating-point dtypes, got ", x_.dtype());
  if (x_.dtype() == DType::float16 || x_.dtype() == DType::bfloat16) {
    auto [mantissa, exponent] = frexp(to_dtype(x_, DType::float32));
    return {to_dtype(mantissa, x_.dtype()), exponent};
  }
  const bool wide = x_.dtype() == DType::float64;
  const DType integers = wide ? DType::int64 : DType::int32;
  const int64_t digits = wide ? 52 : 23, mask = wide ? 2047 : 255, bias = wide ? 1022 : 126, raised = wide ? 54 : 25;
  auto number = [&](int64_t v) { return scalar_tensor(Scalar(v), integers); };
  Tensor mantissa, exponent;
  {
    NoGrad no_grad;
    Tensor x = contiguous(detach(x_)), small = lt(abs(x), wrapped_number(wide ? 0x1p-1022 : 0x1p-126));
    Tensor normal = where(small, x * std::ldexp(1.0, static_cast<int>(raised)), x), bits = view_as_dtype(normal, integers);
    Tensor biased = binary(Binary::bitwise_and, binary(Binary::right_shift, bits, number(digits)), number(mask));
    Tensor plain = binary(Binary::logical_and, unary(Unary::isfinite, x), ne(x, wrapped_number(0)));
    exponent = to_dtype(where(plain, sub(biased, where(small, number(bias + raised), number(bias))), number(0)), DType::int32);
    Tensor kept = binary(Binary::bitwise_and, bits, number(~(mask << digits)));
    mantissa = where(plain, view_as_dtype(contiguous(binary(Binary::bitwise_or, kept, number(bias << digits))), x.dtype()), x);
  }
  if (Node* node = record("frexp", mantissa, {x_}))
    node->backward = [exponent](const Tensor& dy, Needs) -> Grads { return {binary(Binary::ldexp, dy, neg(exponent))}; };
  return {mantissa, exponent};
}

// How many values, or how much weight, lie in each bin; the last one has both its bounds.
std::tuple<Tensor, Tensor> counted(const Tensor& x, const Tensor& edges, const Tensor& weight, bool density) {
  check(is_floating(x.dtype()) && edges.dtype() == x.dtype(), "histogram: input tensor and bins tensors should have the same floating dtype, but got ", x.dtype(), " and ", edges.dtype());
  check(edges.dim() == 1 && edges.numel() > 1, "histogram: bins tensor should have one dimension and at least two elements, but is ", edges.sizes());
  if (weight.defined()) {
    check(weight.sizes() == x.sizes(), "histogram: if weight tensor is provided it should have the same shape as the input tensor, but it is ", weight.sizes(), " and not ", x.sizes());
    check(weight.dtype() == x.dtype(), "histogram: if weight tensor is provided, input tensor and weight tensor should have the same dtype, but got ", x.dtype(), " and ", weight.dtype());
  }
  NoGrad no_grad;
  Tensor values = reshape(contiguous(detach(x)), {-1}), bounds = contiguous(detach(edges));
  int64_t bins = bounds.numel() - 1;
  Tensor at = searchsorted(bounds, values, false, true) - 1.0, last = eq(values, select(bounds, 0, bins));
  at = to_dtype(where(last, scalar_tensor(Scalar(bins - 1), DType::int64), to_dtype(at, DType::int64)), DType::int64);
  Tensor inside = binary(Binary::logical_and, ge(values, select(bounds, 0, 0)), le(values, select(bounds, 0, bins)));
  Tensor amounts = weight.defined() ? reshape(contiguous(detach(weight)), {-1}) : ones(values.sizes(), x.dtype(), x.device());
  Tensor hist = index_add(zeros({bins}, x.dtype(), x.device()), 0, masked_select(at, inside), masked_select(amounts, inside));
  if (density) hist = hist / sum(hist) / diff(bounds);
  return {hist, edges};
}

std::tuple<Tensor, Tensor> histogram(const Tensor& x, int64_t bins, std::optional<std::vector<double>> range, const Tensor& weight, bool density) {
  check(bins > 0, "histogram: bins must be > 0, but got ", bins);
  double low = 0, high = 0;
  if (range) {
    check(range->size() == 2, "histogram: range should have 2 elements, but got ", static_cast<int64_t>(range->size()));
    low = (*range)[0], high = (*range)[1];
    check(low <= high, "histogram: min should not exceed max, but got ", low, " and ", high);
  } else if (x.numel()) {
    low = item(min(detach(x))).as_double(), high = item(max(detach(x))).as_double();
  } else {
    high = 1;
  }
  check(std::isfinite(low) && std::isfinite(high), "histogram: range [", low, ", ", high, "] is not finite");
  if (low == high) low -= 0.5, high += 0.5;
  return counted(x, linspace(low, high, bins + 1, x.dtype(), x.device()), weight, density);
}

void add_numbers() {
  add_op("frexp(Tensor input) -> (Tensor mantissa, Tensor exponent)", &frexp, "Mantissas in [0.5, 1) and exponents: input = mantissa 2^exponent.");
  add_op("histogram(Tensor input, int bins, *, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor bin_edges)", &histogram,
         "How many values, or how much weight, lie in each bin.");
  add_op("histogram(Tensor input, Tensor bins, *, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor bin_edges)", &counted);
}

// ---- short-time Fourier transforms stand in Python

void add_spectral() {
  add_op("stft(Tensor input, int n_fft, int? hop_length=None, int? win_length=None, object window=None, bool center=True, str pad_mode='reflect', bool normalized=False, "
         "bool? onesided=None, bool? return_complex=None, bool? align_to_window=None) -> object",
         +[](PyObject* x, PyObject* n, PyObject* hop, PyObject* win, PyObject* window, PyObject* center, PyObject* mode, PyObject* normalized, PyObject* onesided, PyObject* in_complex, PyObject* align) {
           return call_python("tessel._spectral", "stft", x, n, hop ? hop : Py_None, win ? win : Py_None, window ? window : Py_None, center, mode, normalized, onesided ? onesided : Py_None,
                              in_complex ? in_complex : Py_None, align ? align : Py_None);
         }, "tessel.stft of the tensor.", kMethod);
  add_op("istft(Tensor input, int n_fft, int? hop_length=None, int? win_length=None, object window=None, bool center=True, bool normalized=False, bool? onesided=None, int? length=None, "
         "bool return_complex=False) -> object",
         +[](PyObject* x, PyObject* n, PyObject* hop, PyObject* win, PyObject* window, PyObject* center, PyObject* normalized, PyObject* onesided, PyObject* length, PyObject* in_complex) {
           return call_python("tessel._spectral", "istft", x, n, hop ? hop : Py_None, win ? win : Py_None, window ? window : Py_None, center, normalized, onesided ? onesided : Py_None,
                              length ? length : Py_None, in_complex);
         }, "tessel.istft of the tensor.", kMethod);
}

}  // namespace

void bind_legacy() {
  add_old();
  add_kinds();
  add_numbers();
  add_spectral();
}

}  // namespace tessel::python
