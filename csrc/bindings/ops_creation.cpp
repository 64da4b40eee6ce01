// Creation ops: tensors of Python's data, of one value, of ranges, like others.
#include <algorithm>

#include "bindings/creation.h"
#include "bindings/interop.h"

namespace tessel::python {

namespace {

// An op make(own..., dtype, device) with the options behind its own arguments; of the default dtype, or of int64.
template <class... Own> struct Creation {
  template <auto make> static Tensor call(Own... own, const Options& options) {
    return made(options, [&](DType dtype, Device device) { return make(own..., dtype, device); });
  }
  template <auto make> static Tensor integers(Own... own, const Options& options) {
    return made(options, DType::int64, [&](DType dtype, Device device) { return make(own..., dtype, device); });
  }
  // x.new_...: of x's dtype and device
  template <auto make> static Tensor after(const Tensor& x, Own... own, const NewOptions& options) {
    Options of_x = options;
    if (!options.device) of_x.device = x.device();
    return made(of_x, x.dtype(), [&](DType dtype, Device device) { return make(own..., dtype, device); });
  }
};

// ---- of one value

Tensor empty_as(const Dims& sizes, PyObject* memory_format, const Options& options) {
  const MemoryFormat format = to_memory_format(memory_format, MemoryFormat::contiguous);
  return made(options, [&](DType dtype, Device device) {
    return format == MemoryFormat::contiguous
               ? empty(sizes, dtype, device)
               : empty_strided(sizes, format_strides("empty", sizes, format), dtype, device);
  });
}

Tensor permuted(const Dims& sizes, const Dims& order, DType dtype, Device device) {
  check(order.size() == sizes.size(),
        "empty_permuted: Number of dimensions in size does not match the length of the physical_layout (", sizes,
        " and ", order, ")");
  for (int64_t d : order)
    check(d >= 0 && d < sizes.size(), "empty_permuted: Dimension out of range (expected to be between 0 and ",
          sizes.size() - 1, ", but got ", d, ")");
  dim_mask("empty_permuted", order, sizes.size());  // each of them once
  Dims strides = sizes;
  int64_t step = 1;
  for (int i = order.size() - 1; i >= 0; --i) strides[order[i]] = step, step *= std::max<int64_t>(sizes[order[i]], 1);
  return empty_strided(sizes, strides, dtype, device);
}

Tensor filled(const Dims& sizes, Scalar value, const Options& options) {
  const DType of_value = value.is_floating() ? default_dtype() : value.is_complex() && default_dtype() != DType::float64 ? DType::complex64 : value.dtype();
  return made(options, of_value, [&](DType dtype, Device device) { return full(sizes, value, dtype, device); });
}

Tensor identity(int64_t n, std::optional<int64_t> m, DType dtype, Device device) {
  return eye(n, m.value_or(n), dtype, device);
}

void add_filled() {
  using Sized = Creation<const Dims&>;
  using Laid = Creation<const Dims&, const Dims&>;
  add_op(with(kOptions, "zeros(int[*] size"), &Sized::call<&zeros>, "Zeros of these sizes.", kFunction);
  add_op(with(kOptions, "ones(int[*] size"), &Sized::call<&ones>, "Ones of these sizes.", kFunction);
  add_op(with(kOptions, "empty(int[*] size, *, object memory_format=None"), &empty_as,
         "Memory of these sizes, whose values are whatever lay there.", kFunction);
  add_op(with(kOptions, "empty_strided(int[] size, int[] stride"), &Laid::call<&empty_strided>, "", kFunction);
  add_op(with(kOptions, "empty_permuted(int[] size, int[] physical_layout"), &Laid::call<&permuted>,
         "Dimensions in memory in the order of physical_layout, the outermost first.", kFunction);
  add_op(with(kOptions, "full(int[] size, Scalar fill_value"), &filled,
         "One value everywhere; its kind gives the dtype.", kFunction);
  add_op(with(kOptions, "scalar_tensor(Scalar s"), &Creation<Scalar>::call<&scalar_tensor>, "A 0-d tensor.", kFunction);
  add_op(with(kOptions, "eye(int n, int? m=None"), &Creation<int64_t, std::optional<int64_t>>::call<&identity>,
         "Ones on the diagonal of n x m zeros.", kFunction);
}

// ---- ranges

Tensor arange_by(Scalar start, Scalar end, Scalar step, const Options& options) {
  const bool integral = start.is_integral() && end.is_integral() && step.is_integral();
  return made(options, integral ? DType::int64 : default_dtype(),
              [&](DType dtype, Device device) { return arange(start, end, step, dtype, device); });
}
Tensor arange_to(Scalar end, const Options& options) { return arange_by(Scalar(0), end, Scalar(1), options); }

double bound(const char* op, const Tensor& x) {
  check(x.dim() == 0, op, ": only supports 0-dimensional start and end tensors, but got ", x.sizes());
  return item(x).as_double();
}
Tensor linear(const Tensor& start, const Tensor& end, int64_t steps, DType dtype, Device device) {
  return linspace(bound("linspace", start), bound("linspace", end), steps, dtype, device);
}
Tensor logarithmic(const Tensor& start, const Tensor& end, int64_t steps, double base, DType dtype, Device device) {
  return logspace(bound("logspace", start), bound("logspace", end), steps, base, dtype, device);
}

void add_ranges() {
  using Bounds = Creation<const Tensor&, const Tensor&, int64_t>;
  using Based = Creation<const Tensor&, const Tensor&, int64_t, double>;
  using Triangle = Creation<int64_t, int64_t, int64_t>;
  add_op(with(kOptions, "arange(Scalar end"), &arange_to, "start, start + step, ... up to but without end.", kFunction);
  add_op(with(kOptions, "arange(Scalar start, Scalar end, Scalar step=1"), &arange_by, "", kFunction);
  add_op(with(kOptions, "linspace(Tensor|Scalar start, Tensor|Scalar end, int steps"), &Bounds::call<&linear>,
         "steps numbers from start to end, both included.", kFunction);
  add_op(with(kOptions, "logspace(Tensor|Scalar start, Tensor|Scalar end, int steps, float base=10.0"),
         &Based::call<&logarithmic>, "base to the power of linspace.", kFunction);
  add_op(with(kOptions, "tril_indices(int row, int col, int offset=0"), &Triangle::integers<&tril_indices>,
         "Rows and columns of the elements of a lower triangle.", kFunction);
  add_op(with(kOptions, "triu_indices(int row, int col, int offset=0"), &Triangle::integers<&triu_indices>,
         "Rows and columns of the elements of an upper triangle.", kFunction);
}

// ---- after another tensor

void add_likes() {
  add_op(
      with(kLikeOptions, "empty_like(Tensor input"),
      +[](const Tensor& x, const LikeOptions& options) { return made_like(x, options, [](Tensor&) {}); }, "",
      kFunction);
  add_op(
      with(kLikeOptions, "zeros_like(Tensor input"),
      +[](const Tensor& x, const LikeOptions& options) { return made_like(x, options, [](Tensor& y) { zero_(y); }); },
      "", kFunction);
  add_op(
      with(kLikeOptions, "ones_like(Tensor input"),
      +[](const Tensor& x, const LikeOptions& options) {
        return made_like(x, options, [](Tensor& y) { fill_(y, wrapped_number(1)); });
      },
      "", kFunction);
  add_op(
      with(kLikeOptions, "full_like(Tensor input, Scalar fill_value"),
      +[](const Tensor& x, Scalar value, const LikeOptions& options) {
        return made_like(x, options, [&](Tensor& y) { fill_(y, wrapped_number(checked(value, y.dtype()))); });
      },
      "", kFunction);

  using Sized = Creation<const Dims&>;
  add_op(with(kNewOptions, "new_empty(Tensor input, int[*] size"), &Sized::after<&empty>, "", kMethod);
  add_op(with(kNewOptions, "new_zeros(Tensor input, int[*] size"), &Sized::after<&zeros>, "", kMethod);
  add_op(with(kNewOptions, "new_ones(Tensor input, int[*] size"), &Sized::after<&ones>, "", kMethod);
  add_op(with(kNewOptions, "new_full(Tensor input, int[] size, Scalar fill_value"),
         &Creation<const Dims&, Scalar>::after<&full>, "", kMethod);
  add_op(with(kNewOptions, "new_empty_strided(Tensor input, int[] size, int[] stride"),
         &Creation<const Dims&, const Dims&>::after<&empty_strided>, "", kMethod);
  add_op(
      with(kNewOptions, "new_tensor(Tensor input, object data"),
      +[](const Tensor& x, PyObject* data, const NewOptions& options) {
        const auto dtype = options.dtype || is_tensor(data) ? options.dtype : std::optional(x.dtype());
        return finished(tensor_from(data, dtype, options.device.value_or(x.device()), true), options.requires_grad);
      },
      "A copy of data, with x's dtype and device unless told.", kMethod);
}

// ---- of Python's data

using MaybeType = std::optional<DType>;
using MaybeDevice = std::optional<Device>;

Tensor tensor(PyObject* data, MaybeType dtype, MaybeDevice device, bool requires_grad, bool) {
  return finished(tensor_from(data, dtype, device, true), requires_grad);
}

Tensor asarray(PyObject* data, MaybeType dtype, MaybeDevice device, std::optional<bool> copy, bool requires_grad) {
  const bool plain = PyObject_CheckBuffer(data) && !is_tensor(data) && !is_array(data) && !is_number(data);
  Tensor x = plain ? from_buffer(data, dtype.value_or(default_dtype()), -1, 0, false)
                   : tensor_from(data, dtype, device, false);
  if (plain && device) x = to_device(x, *device);
  const bool shares = is_tensor(data) ? x->storage == to_tensor(data)->storage : !x->storage->owned();
  check_value(copy != false || shares, "asarray: can't alias the data without a copy, as copy=False asks");
  if (copy == true && shares) x = clone(detach(x));
  if (!requires_grad && !x.is_leaf()) x = detach(x);
  return finished(x, requires_grad && !x.requires_grad());
}

Tensor from_other(PyObject* source, MaybeDevice device, std::optional<bool> copy) {
  Tensor x = from_dlpack(source);
  check_value(copy != false || !device || *device == x.device(), "from_dlpack: can't move to ",
              device_name(device.value_or(Device{})), " without a copy");
  return to(x, x.dtype(), device.value_or(x.device()), copy == true);
}

void add_data() {
  add_op(
      "tensor(object data, *, dtype? dtype=None, device? device=None, bool requires_grad=False, "
      "bool pin_memory=False) -> Tensor",
      &tensor, "A copy of numbers in nested sequences, an array or a tensor.", kFunction);
  add_op(
      "as_tensor(object data, dtype? dtype=None, device? device=None) -> Tensor",
      +[](PyObject* data, MaybeType dtype, MaybeDevice device) { return tensor_from(data, dtype, device, false); },
      "As tensor(), but memory is shared and history kept where that is possible.", kFunction);
  add_op(
      "asarray(object obj, *, dtype? dtype=None, device? device=None, bool? copy=None, bool requires_grad=False) "
      "-> Tensor",
      &asarray, "A tensor of an object's data: shared where it can be, unless copy says otherwise.", kFunction);
  add_op(
      "from_numpy(object ndarray) -> Tensor", +[](PyObject* array) { return from_array(array); },
      "A tensor on the array's memory.", kFunction);
  add_op("frombuffer(object buffer, *, dtype dtype, int count=-1, int offset=0, bool requires_grad=False) -> Tensor",
         &from_buffer, "A 1-d tensor on a buffer's memory.", kFunction);
  add_op("from_dlpack(object ext_tensor, *, device? device=None, bool? copy=None) -> Tensor", &from_other,
         "A tensor on the memory of an array of another library.", kFunction);
}

// ---- matrices, grids and choices

template <Tensor (*op)(const Tensor&, int64_t, const Into&)>
void add_triangle(const char* plain, const char* inplace) {
  add_op(plain, +[](const Tensor& x, int64_t diagonal) { return op(x, diagonal, {}); }, "", kBoth);
  auto over = +[](Tensor& x, int64_t diagonal) -> Tensor& { return op(x, diagonal, Into::over(x)), x; };
  add_op(inplace, over, "", kMethod);
}

void add_matrices() {
  add_triangle<&tril>("tril(Tensor input, int diagonal=0) -> Tensor", "tril_(Tensor input, int diagonal=0) -> Tensor");
  add_triangle<&triu>("triu(Tensor input, int diagonal=0) -> Tensor", "triu_(Tensor input, int diagonal=0) -> Tensor");
  auto grids = +[](Tensors xs, std::optional<std::string> indexing) { return meshgrid(xs, indexing.value_or("ij")); };
  add_op("meshgrid(Tensor[*] tensors, *, str? indexing=None) -> Tensor[]", grids,
         "Coordinates of a grid, one tensor for each axis; indexing 'ij' or 'xy'.", kFunction);
  add_op("cartesian_prod(Tensor[*] tensors) -> Tensor", &cartesian_prod,
         "Every choice of one element from each vector, as rows.", kFunction);
  add_op("combinations(Tensor input, int r=2, bool with_replacement=False) -> Tensor", &combinations,
         "Every choice of r elements, as rows.", kFunction);
  add_op("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", &vander, "Powers of x along each row.",
         kFunction);
}

}  // namespace

void bind_creation() { add_filled(), add_ranges(), add_likes(), add_data(), add_matrices(); }

}  // namespace tessel::python
