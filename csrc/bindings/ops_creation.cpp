// Creation ops: tensors of Python's data, of one value, of ranges, like others.
#include <algorithm>

#include "bindings/creation.h"
#include "bindings/interop.h"

namespace tessel::python {

namespace {

using Type = std::optional<DType>;
using Where = std::optional<Device>;

// An op's name as a template argument.
template <size_t n>
struct Name {
  char text[n];
  consteval Name(const char (&name)[n]) { std::copy_n(name, n, text); }
};

// An op of the arguments Own, and the options.
template <class... Own>
struct Creation {
  template <Name name, auto make>
  static Tensor call(Own... own, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made(name.text, out, dtype, default_dtype(), layout, device, requires_grad, [&](DType type, Device where) { return make(own..., type, where); });
  }
  // ... whose results are int64 unless told
  template <Name name, auto make>
  static Tensor integers(Own... own, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made(name.text, out, dtype, DType::int64, layout, device, requires_grad, [&](DType type, Device where) { return make(own..., type, where); });
  }
};

DType dtype_of(Scalar value) {  // of a tensor that holds a number
  return value.is_floating() ? default_dtype() : value.dtype();
}
bool integral(Scalar a, Scalar b, Scalar step) { return a.is_integral() && b.is_integral() && step.is_integral(); }

Tensor arange_from(Scalar start, Scalar end, Scalar step, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
  return made("arange", out, dtype, integral(start, end, step) ? DType::int64 : default_dtype(), layout, device, requires_grad,
              [&](DType type, Device where) { return arange(start, end, step, type, where); });
}

double bound(const char* op, const Tensor& x) {
  check(x.dim() == 0, op, ": only supports 0-dimensional start and end tensors, but got ", x.sizes());
  return item(x).as_double();
}
Tensor linear(const Tensor& start, const Tensor& end, int64_t steps, DType dtype, Device device) { return linspace(bound("linspace", start), bound("linspace", end), steps, dtype, device); }
Tensor logarithmic(const Tensor& start, const Tensor& end, int64_t steps, double base, DType dtype, Device device) { return logspace(bound("logspace", start), bound("logspace", end), steps, base, dtype, device); }
Tensor identity(int64_t n, std::optional<int64_t> m, DType dtype, Device device) { return eye(n, m.value_or(n), dtype, device); }

Dims permuted_strides(const Dims& sizes, const Dims& layout) {
  check(layout.size() == sizes.size(), "empty_permuted: Number of dimensions in size does not match the length of the physical_layout (", sizes, " and ", layout, ")");
  const Dims order = [&] {
    Dims wrapped;
    for (int64_t d : layout) {
      check(d >= 0 && d < sizes.size(), "empty_permuted: Dimension out of range (expected to be between 0 and ", sizes.size() - 1, ", but got ", d, ")");
      wrapped.push_back(d);
    }
    return wrapped;
  }();
  dim_mask("empty_permuted", order, sizes.size());
  Dims strides = sizes;
  int64_t step = 1;
  for (int i = order.size() - 1; i >= 0; --i) strides[order[i]] = step, step *= std::max<int64_t>(sizes[order[i]], 1);
  return strides;
}

Tensor permuted(const Dims& sizes, const Dims& order, DType dtype, Device device) { return empty_strided(sizes, permuted_strides(sizes, order), dtype, device); }

void add_filled() {
  add_op(with_options("zeros(int[*] size"), &Creation<const Dims&>::call<"zeros", &zeros>, "Zeros of these sizes.", kFunction);
  add_op(with_options("ones(int[*] size"), &Creation<const Dims&>::call<"ones", &ones>, "Ones of these sizes.", kFunction);
  add_op(with_options("empty(int[*] size, *, object memory_format=None"), +[](const Dims& sizes, PyObject* format, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("empty", out, dtype, default_dtype(), layout, device, requires_grad, [&](DType type, Device where) {
      const MemoryFormat order = to_memory_format("empty", format, MemoryFormat::contiguous);
      return order == MemoryFormat::contiguous ? empty(sizes, type, where) : empty_strided(sizes, format_strides("empty", sizes, order), type, where);
    });
  }, "Memory of these sizes, whose values are whatever lay there.", kFunction);
  add_op(with_options("empty_strided(int[] size, int[] stride"), &Creation<const Dims&, const Dims&>::call<"empty_strided", &empty_strided>, "", kFunction);
  add_op(with_options("empty_permuted(int[] size, int[] physical_layout"), &Creation<const Dims&, const Dims&>::call<"empty_permuted", &permuted>,
         "Dimensions in memory in the order of physical_layout, the outermost first.", kFunction);
  add_op(with_options("full(int[] size, Scalar fill_value"), +[](const Dims& sizes, Scalar value, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("full", out, dtype, dtype_of(value), layout, device, requires_grad, [&](DType type, Device where) { return full(sizes, value, type, where); });
  }, "One value everywhere; its kind gives the dtype.", kFunction);
  add_op(with_options("scalar_tensor(Scalar s"), &Creation<Scalar>::call<"scalar_tensor", &scalar_tensor>, "A 0-d tensor.", kFunction);
  add_op(with_options("eye(int n, int? m=None"), &Creation<int64_t, std::optional<int64_t>>::call<"eye", &identity>, "Ones on the diagonal of n x m zeros.", kFunction);
}

void add_ranges() {
  add_op(with_options("arange(Scalar end"), +[](Scalar end, const Tensor& out, Type dtype, PyObject* layout, Where device, bool pin, bool requires_grad) {
    return arange_from(Scalar(0), end, Scalar(1), out, dtype, layout, device, pin, requires_grad);
  }, "start, start + step, ... up to but without end.", kFunction);
  add_op(with_options("arange(Scalar start, Scalar end, Scalar step=1"), &arange_from, "", kFunction);
  add_op(with_options("linspace(Tensor|Scalar start, Tensor|Scalar end, int steps"), &Creation<const Tensor&, const Tensor&, int64_t>::call<"linspace", &linear>, "steps numbers from start to end, both included.", kFunction);
  add_op(with_options("logspace(Tensor|Scalar start, Tensor|Scalar end, int steps, float base=10.0"), &Creation<const Tensor&, const Tensor&, int64_t, double>::call<"logspace", &logarithmic>, "base to the power of linspace.", kFunction);
  add_op(with_options("tril_indices(int row, int col, int offset=0"), &Creation<int64_t, int64_t, int64_t>::integers<"tril_indices", &tril_indices>, "Rows and columns of the elements of a lower triangle.", kFunction);
  add_op(with_options("triu_indices(int row, int col, int offset=0"), &Creation<int64_t, int64_t, int64_t>::integers<"triu_indices", &triu_indices>, "Rows and columns of the elements of an upper triangle.", kFunction);
}

// ---- after another tensor

Tensor like(const char* op, const Tensor& x, Type dtype, PyObject* layout, Where device, bool requires_grad, PyObject* format) {
  check_layout(op, layout);
  if (is_complex(dtype.value_or(x.dtype()))) fail<NotImplementedError>(op, ": complex tensors are not there yet");
  return finished(op, empty_like(x, dtype.value_or(x.dtype()), device.value_or(x.device()), to_memory_format(op, format, MemoryFormat::preserve)), requires_grad);
}

template <class Fill>
Tensor filled_like(const Tensor& y, Fill fill) {
  NoGrad no_grad;
  Tensor z = y;
  fill(z);
  return y;
}

// new_zeros(x, size): of x's dtype and device
template <auto make, class... Own>
Tensor made_new(const char* op, const Tensor& x, Own... own, Type dtype, PyObject* layout, Where device, bool requires_grad) {
  return made(op, Tensor(), dtype, x.dtype(), layout, device ? device : Where(x.device()), requires_grad, [&](DType type, Device where) { return make(own..., type, where); });
}

void add_likes() {
  auto signature = [](const char* own) { return with_options(own, "dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False, object memory_format=None"); };
  add_op(signature("empty_like(Tensor input"), +[](const Tensor& x, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return like("empty_like", x, dtype, layout, device, requires_grad, format); }, "", kFunction);
  add_op(signature("zeros_like(Tensor input"), +[](const Tensor& x, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return filled_like(like("zeros_like", x, dtype, layout, device, requires_grad, format), [](Tensor& y) { zero_(y); }); }, "", kFunction);
  add_op(signature("ones_like(Tensor input"), +[](const Tensor& x, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return filled_like(like("ones_like", x, dtype, layout, device, requires_grad, format), [](Tensor& y) { fill_(y, wrapped_number(1)); }); }, "", kFunction);
  add_op(signature("full_like(Tensor input, Scalar fill_value"), +[](const Tensor& x, Scalar value, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return filled_like(like("full_like", x, dtype, layout, device, requires_grad, format), [&](Tensor& y) { fill_(y, wrapped_number(checked(value, y.dtype()))); }); }, "", kFunction);

  add_op(with_options("new_empty(Tensor input, int[*] size", kLikeOptions), +[](const Tensor& x, const Dims& sizes, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made_new<&empty, const Dims&>("new_empty", x, sizes, dtype, layout, device, requires_grad); }, "", kMethod);
  add_op(with_options("new_zeros(Tensor input, int[*] size", kLikeOptions), +[](const Tensor& x, const Dims& sizes, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made_new<&zeros, const Dims&>("new_zeros", x, sizes, dtype, layout, device, requires_grad); }, "", kMethod);
  add_op(with_options("new_ones(Tensor input, int[*] size", kLikeOptions), +[](const Tensor& x, const Dims& sizes, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made_new<&ones, const Dims&>("new_ones", x, sizes, dtype, layout, device, requires_grad); }, "", kMethod);
  add_op(with_options("new_full(Tensor input, int[] size, Scalar fill_value", kLikeOptions), +[](const Tensor& x, const Dims& sizes, Scalar value, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made_new<&full, const Dims&, Scalar>("new_full", x, sizes, value, dtype, layout, device, requires_grad); }, "", kMethod);
  add_op(with_options("new_empty_strided(Tensor input, int[] size, int[] stride", kLikeOptions), +[](const Tensor& x, const Dims& sizes, const Dims& strides, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made_new<&empty_strided, const Dims&, const Dims&>("new_empty_strided", x, sizes, strides, dtype, layout, device, requires_grad); }, "", kMethod);
  add_op(with_options("new_tensor(Tensor input, object data", kLikeOptions), +[](const Tensor& x, PyObject* data, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    check_layout("new_tensor", layout);
    return finished("new_tensor", tensor_from(data, dtype ? dtype : is_tensor(data) ? dtype : Type(x.dtype()), device.value_or(x.device()), true), requires_grad); }, "A copy of data, with x's dtype and device unless told.", kMethod);
}

// ---- of Python's data

void add_data() {
  add_op("tensor(object data, *, dtype? dtype=None, device? device=None, bool requires_grad=False, bool pin_memory=False) -> Tensor",
         +[](PyObject* data, Type dtype, Where device, bool requires_grad, bool) { return finished("tensor", tensor_from(data, dtype, device, true), requires_grad); },
         "A copy of numbers in nested sequences, an array or a tensor.", kFunction);
  add_op("as_tensor(object data, dtype? dtype=None, device? device=None) -> Tensor", +[](PyObject* data, Type dtype, Where device) { return tensor_from(data, dtype, device, false); },
         "As tensor(), but memory is shared and history kept where that is possible.", kFunction);
  add_op("asarray(object obj, *, dtype? dtype=None, device? device=None, bool? copy=None, bool requires_grad=False) -> Tensor",
         +[](PyObject* data, Type dtype, Where device, std::optional<bool> copy, bool requires_grad) {
           const bool plain = PyObject_CheckBuffer(data) && !is_tensor(data) && !is_array(data) && !is_number(data);
           Tensor x = plain ? from_buffer(data, dtype.value_or(default_dtype()), -1, 0, false) : tensor_from(data, dtype, device, false);
           if (plain && device) x = to_device(x, *device);
           const void* source = is_tensor(data) ? to_tensor(data)->storage->data() : nullptr;
           const bool shares = plain || (source ? x->storage->data() == source : !PyList_Check(data) && !PyTuple_Check(data) && !is_number(data) && !x->storage->owned());
           check_value(copy != false || shares, "asarray: can't alias the data without a copy, as copy=False asks");
           if (copy == true) x = shares ? clone(detach(x)) : x;
           if (!requires_grad && !x.is_leaf()) x = detach(x);
           return finished("asarray", x, requires_grad && !x.requires_grad());
         }, "A tensor of an object's data: shared where it can be, unless copy says otherwise.", kFunction);
  add_op("from_numpy(object ndarray) -> Tensor", +[](PyObject* array) { return from_array(array); }, "A tensor on the array's memory.", kFunction);
  add_op("frombuffer(object buffer, *, dtype dtype, int count=-1, int offset=0, bool requires_grad=False) -> Tensor", &from_buffer, "A 1-d tensor on a buffer's memory.", kFunction);
  add_op("from_dlpack(object ext_tensor, *, device? device=None, bool? copy=None) -> Tensor", +[](PyObject* source, Where device, std::optional<bool> copy) {
    Tensor x = from_dlpack(source);
    check_value(copy != false || !device || *device == x.device(), "from_dlpack: can't move to ", device_name(device.value_or(Device{})), " without a copy");
    return to(x, x.dtype(), device.value_or(x.device()), copy == true);
  }, "A tensor on the memory of an array of another library.", kFunction);
}

void add_matrices() {
  for (bool upper : {false, true}) {
    const char* name = upper ? "triu" : "tril";
    auto keep = [&](const char* rest) { return (new std::string(std::string(name) + rest))->c_str(); };
    using Short = Tensor (*)(const Tensor&, int64_t);
    using Inplace = Tensor& (*)(Tensor&, int64_t);
    add_op(keep("(Tensor input, int diagonal=0) -> Tensor"), upper ? Short(+[](const Tensor& x, int64_t diagonal) { return triu(x, diagonal); })
                                                                   : Short(+[](const Tensor& x, int64_t diagonal) { return tril(x, diagonal); }), "", kBoth);
    add_op(keep("_(Tensor input, int diagonal=0) -> Tensor"), upper ? Inplace(+[](Tensor& x, int64_t diagonal) -> Tensor& { triu(x, diagonal, Into::over(x)); return x; })
                                                                    : Inplace(+[](Tensor& x, int64_t diagonal) -> Tensor& { tril(x, diagonal, Into::over(x)); return x; }), "", kMethod);
  }
  auto grids = +[](Tensors xs, std::optional<std::string> indexing) { return meshgrid(xs, indexing.value_or("ij")); };
  add_op("meshgrid(Tensor[*] tensors, *, str? indexing=None) -> Tensor[]", grids, "Coordinates of a grid, one tensor for each axis; indexing 'ij' or 'xy'.", kFunction);
  add_op("cartesian_prod(Tensor[*] tensors) -> Tensor", &cartesian_prod, "Every choice of one element from each vector, as rows.", kFunction);
  add_op("combinations(Tensor input, int r=2, bool with_replacement=False) -> Tensor", &combinations, "Every choice of r elements, as rows.", kFunction);
  add_op("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", &vander, "Powers of x along each row.", kFunction);
}

}  // namespace

void bind_creation() {
  add_filled(), add_ranges(), add_likes(), add_data(), add_matrices();
}

}  // namespace tessel::python
