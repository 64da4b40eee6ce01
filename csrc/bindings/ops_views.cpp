// Views, shapes, joining and arranging in Python.
#include "bindings/registry.h"
#include "ops/complex.h"

namespace tessel::python {

namespace {

using List = std::vector<int64_t>;  // lists that may be longer than a tensor has dimensions

void bind_shapes() {
  add_op("view(Tensor input, dtype dtype) -> Tensor", &view_as_dtype, "The same bytes read as another dtype.", kMethod);
  add_op("view(Tensor input, int[*] size) -> Tensor", &view, "The same memory in another shape; RuntimeError where a copy would be needed.", kMethod);
  add_op("view_as(Tensor input, Tensor other) -> Tensor", +[](const Tensor& x, const Tensor& other) { return view(x, other.sizes()); }, "", kMethod);
  add_op("reshape(Tensor input, int[*] shape) -> Tensor", &reshape, "A view in another shape where there is one, else a copy.");
  add_op("reshape_as(Tensor input, Tensor other) -> Tensor", +[](const Tensor& x, const Tensor& other) { return reshape(x, other.sizes()); }, "", kMethod);
  add_op("ravel(Tensor input) -> Tensor", +[](const Tensor& x) { return reshape(contiguous(x), {-1}); });
  add_op("flatten(Tensor input, int start_dim=0, int end_dim=-1) -> Tensor", &flatten);
  add_op("unflatten(Tensor input, int dim, int[] sizes) -> Tensor", &unflatten);
  add_op("unsqueeze(Tensor input, int dim) -> Tensor", &unsqueeze);
  add_op("unsqueeze_(Tensor input, int dim) -> Tensor", &unsqueeze_, "", kMethod);
  add_op("squeeze(Tensor input) -> Tensor", +[](const Tensor& x) { return squeeze(x); });
  add_op("squeeze(Tensor input, int[1] dim) -> Tensor", +[](const Tensor& x, const Dims& dims) { return dims.empty() ? index_basic(x, {}) : squeeze(x, dims); });
  add_op("squeeze_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { return squeeze_(x); }, "", kMethod);
  add_op("squeeze_(Tensor input, int[1] dim) -> Tensor", +[](Tensor& x, const Dims& dims) -> Tensor& { return dims.empty() ? x : squeeze_(x, dims); }, "", kMethod);
  add_op("expand(Tensor input, int[*] size) -> Tensor", &expand, "Dimensions of size 1 seen as larger ones, without a copy; -1 keeps a size.", kMethod);
  add_op("expand_as(Tensor input, Tensor other) -> Tensor", +[](const Tensor& x, const Tensor& other) { return expand(x, other.sizes()); }, "", kMethod);
  add_op("broadcast_to(Tensor input, int[*] size) -> Tensor", &expand);
  add_op("broadcast_tensors(Tensor[*] tensors)", &broadcast_tensors, "All of them expanded to their common shape.", kFunction);
  add_op("as_strided(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor", &as_strided);
  add_op("as_strided_(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor", &as_strided_);
  add_op("resize_(Tensor input, int[*] size) -> Tensor", &resize_, "", kMethod);
  add_op("resize_as_(Tensor input, Tensor the_template) -> Tensor", +[](Tensor& x, const Tensor& other) -> Tensor& { return resize_(x, other.sizes()); });
  add_op("set_(Tensor input, Tensor source) -> Tensor", +[](Tensor& x, const Tensor& source) -> Tensor& { return set_(x, source, source.sizes(), source.strides(), source.offset()); }, "", kMethod);
  add_op("set_(Tensor input, Tensor source, int storage_offset, int[] size, int[] stride=()) -> Tensor", +[](Tensor& x, const Tensor& source, int64_t offset, const Dims& sizes, const Dims& strides) -> Tensor& {
    return set_(x, source, sizes, strides.size() == sizes.size() ? strides : contiguous_strides(sizes), offset);
  }, "", kMethod);
  add_op("set_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { return set_(x, empty({0}, x.dtype(), x.device()), {0}, {1}, 0); }, "", kMethod);
}

void bind_order() {
  add_op("permute(Tensor input, int[*] dims) -> Tensor", &permute);
  for (const char* signature : {"transpose(Tensor input, int dim0, int dim1) -> Tensor", "swapdims(Tensor input, int dim0, int dim1) -> Tensor", "swapaxes(Tensor input, int axis0, int axis1) -> Tensor"})
    add_op(signature, &transpose);
  for (const char* signature : {"transpose_(Tensor input, int dim0, int dim1) -> Tensor", "swapdims_(Tensor input, int dim0, int dim1) -> Tensor", "swapaxes_(Tensor input, int axis0, int axis1) -> Tensor"})
    add_op(signature, &transpose_, "", kMethod);
  add_op("t(Tensor input) -> Tensor", &t);
  add_op("t_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& {
    check(x.dim() <= 2, "t_: t_() expects a tensor with <= 2 dimensions, but self is ", x.dim(), "D");
    return transpose_(x, 0, x.dim() < 2 ? 0 : 1);
  }, "", kMethod);
  add_op("adjoint(Tensor input) -> Tensor", +[](const Tensor& x) {
    check(x.dim() >= 2, "adjoint: only supported on matrices or batches of matrices. Got ", x.dim(), "-D tensor.");
    return conj(transpose(x, -2, -1));
  });
  for (const char* signature : {"movedim(Tensor input, int[1] source, int[1] destination) -> Tensor", "moveaxis(Tensor input, int[1] source, int[1] destination) -> Tensor"})
    add_op(signature, &movedim);
}

Tensor& fill_diagonal_(Tensor& x, Scalar value, bool wrap) {
  check(x.dim() >= 2, "fill_diagonal_: dimensions must larger than 1, but x is ", x.sizes());
  const Tensor number = wrapped_number(value);
  if (x.dim() == 2) {
    const int64_t rows = x.size(0), period = x.size(1) + 1;
    for (int64_t row = 0; row == 0 || (wrap && row < rows); row += period) {
      Tensor part = diagonal(narrow(x, 0, row, rows - row));
      fill_(part, number);
    }
    return x;
  }
  int64_t step = 0;
  for (int d = 0; d < x.dim(); ++d) {
    check(x.size(d) == x.size(0), "fill_diagonal_: all dimensions of input must be of equal length, but x is ", x.sizes());
    step += x.strides()[d];
  }
  Tensor part = as_strided(x, Dims{x.size(0)}, Dims{step}, std::nullopt);
  fill_(part, number);
  return x;
}

void bind_parts() {
  add_op("select(Tensor input, int dim, int index) -> Tensor", &select);
  add_op("narrow(Tensor input, int dim, int start, int length) -> Tensor", &narrow);
  add_op("narrow(Tensor input, int dim, Tensor start, int length) -> Tensor", +[](const Tensor& x, int64_t dim, const Tensor& start, int64_t length) {
    check(start.dim() == 0 && is_integral(start.dtype()), "narrow: start must be an 0-dim integral tensor, got ", start.dtype(), " of shape ", start.sizes());
    return narrow(x, dim, tessel::item(start).as_int(), length);
  });
  add_op("narrow_copy(Tensor input, int dim, int start, int length) -> Tensor", +[](const Tensor& x, int64_t dim, int64_t start, int64_t length) {
    check(dim < x.dim(), "narrow_copy: Dimension out of range (expected to be in range of [", -x.dim(), ", ", x.dim() - 1, "], but got ", dim, ")");
    return clone(narrow(x, dim, start, length));
  });
  add_op("unbind(Tensor input, int dim=0)", &unbind);
  add_op("split(Tensor tensor, int split_size_or_sections, int dim=0)", &split, "", kFunction);
  add_op("split(Tensor tensor, int[] split_size_or_sections, int dim=0)", +[](const Tensor& x, const List& sizes, int64_t dim) { return split_with_sizes(x, sizes, dim, "split"); }, "", kFunction);
  add_op("split(Tensor input, int split_size, int dim=0)", &split, "", kMethod);
  add_op("split(Tensor input, int[] split_size, int dim=0)", +[](const Tensor& x, const List& sizes, int64_t dim) { return split_with_sizes(x, sizes, dim, "split"); }, "", kMethod);
  add_op("split_with_sizes(Tensor input, int[] split_sizes, int dim=0)", +[](const Tensor& x, const List& sizes, int64_t dim) { return split_with_sizes(x, sizes, dim); });
  add_op("chunk(Tensor input, int chunks, int dim=0)", &chunk);
  add_op("unsafe_split(Tensor input, int split_size, int dim=0)", +[](const Tensor& x, int64_t size, int64_t dim) { return unsafe(split(x, size, dim)); });
  add_op("unsafe_split_with_sizes(Tensor input, int[] split_sizes, int dim=0)", +[](const Tensor& x, const List& sizes, int64_t dim) { return unsafe(split_with_sizes(x, sizes, dim)); });
  add_op("unsafe_chunk(Tensor input, int chunks, int dim=0)", +[](const Tensor& x, int64_t chunks, int64_t dim) { return unsafe(chunk(x, chunks, dim)); });
  add_op("tensor_split(Tensor input, int sections, int dim=0)", &tensor_split);
  add_op("tensor_split(Tensor input, int[] indices, int dim=0)", +[](const Tensor& x, const List& indices, int64_t dim) { return tensor_split_at(x, indices, dim); });
  add_op("tensor_split(Tensor input, Tensor tensor_indices_or_sections, int dim=0)", +[](const Tensor& x, const Tensor& at, int64_t dim) {
    check(at.dtype() == DType::int64 && at.dim() <= 1, "tensor_split: expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of int64, got ", at.dtype(), " of shape ", at.sizes());
    if (at.dim() == 0) return tensor_split(x, tessel::item(at).as_int(), dim);
    Tensor indices = contiguous(detach(at));
    return tensor_split_at(x, Ints(indices.data_as<int64_t>(), indices.numel()), dim);
  });
  add_op("hsplit(Tensor input, int sections)", &hsplit), add_op("vsplit(Tensor input, int sections)", &vsplit), add_op("dsplit(Tensor input, int sections)", &dsplit);
  add_op("hsplit(Tensor input, int[] indices)", +[](const Tensor& x, const List& indices) { return hsplit_at(x, indices); });
  add_op("vsplit(Tensor input, int[] indices)", +[](const Tensor& x, const List& indices) { return vsplit_at(x, indices); });
  add_op("dsplit(Tensor input, int[] indices)", +[](const Tensor& x, const List& indices) { return dsplit_at(x, indices); });
  add_op("diagonal(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor", &diagonal);
  add_op("fill_diagonal_(Tensor input, Scalar fill_value, bool wrap=False) -> Tensor", &fill_diagonal_, "Writes one number along the main diagonal; with `wrap` a tall matrix's begins anew below its end, one row left out.", kMethod);
  add_op("unfold(Tensor input, int dimension, int size, int step) -> Tensor", +[](const Tensor& x, int64_t dim, int64_t size, int64_t step) { return unfold(x, dim, size, step); }, "Windows of that size, every so many steps, along a dimension; they come in a new last one.", kMethod);
  add_op("select_scatter(Tensor input, Tensor src, int dim, int index) -> Tensor", &select_scatter);
  add_op("slice_scatter(Tensor input, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor", &slice_scatter);
  add_op("diagonal_scatter(Tensor input, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor", &diagonal_scatter);
  add_op("as_strided_scatter(Tensor input, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor", &as_strided_scatter);
}

std::vector<Tensor> clones(std::vector<Tensor> xs) {
  for (Tensor& x : xs) x = clone(x, MemoryFormat::contiguous);
  return xs;
}

// What the views show, copied.
void bind_view_copies() {
  constexpr MemoryFormat order = MemoryFormat::contiguous;
  add_op("alias_copy(Tensor input) -> Tensor", +[](const Tensor& x) { return clone(x, order); }, "", kFunction);
  add_op("as_strided_copy(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor", +[](const Tensor& x, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset) { return clone(as_strided(x, sizes, strides, offset), order); }, "", kFunction);
  add_op("diagonal_copy(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor", +[](const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) { return clone(diagonal(x, offset, dim1, dim2), order); }, "", kFunction);
  add_op("expand_copy(Tensor input, int[] size, *, bool implicit=False) -> Tensor", +[](const Tensor& x, const Dims& sizes, bool) { return clone(expand(x, sizes), order); }, "", kFunction);
  add_op("permute_copy(Tensor input, int[] dims) -> Tensor", +[](const Tensor& x, const Dims& dims) { return clone(permute(x, dims), order); }, "", kFunction);
  add_op("select_copy(Tensor input, int dim, int index) -> Tensor", +[](const Tensor& x, int64_t dim, int64_t index) { return clone(select(x, dim, index), order); }, "", kFunction);
  add_op("slice_copy(Tensor input, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor", +[](const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) { return clone(slice(x, dim, start, end, step), order); }, "", kFunction);
  add_op("split_copy(Tensor input, int split_size, int dim=0)", +[](const Tensor& x, int64_t size, int64_t dim) { return clones(split(x, size, dim)); }, "", kFunction);
  add_op("split_with_sizes_copy(Tensor input, int[] split_sizes, int dim=0)", +[](const Tensor& x, const List& sizes, int64_t dim) { return clones(split_with_sizes(x, sizes, dim)); }, "", kFunction);
  add_op("squeeze_copy(Tensor input) -> Tensor", +[](const Tensor& x) { return clone(squeeze(x), order); }, "", kFunction);
  add_op("squeeze_copy(Tensor input, int[1] dim) -> Tensor", +[](const Tensor& x, const Dims& dims) { return clone(dims.empty() ? x : squeeze(x, dims), order); }, "", kFunction);
  add_op("t_copy(Tensor input) -> Tensor", +[](const Tensor& x) { return clone(t(x), order); }, "", kFunction);
  add_op("transpose_copy(Tensor input, int dim0, int dim1) -> Tensor", +[](const Tensor& x, int64_t dim0, int64_t dim1) { return clone(transpose(x, dim0, dim1), order); }, "", kFunction);
  add_op("unbind_copy(Tensor input, int dim=0)", +[](const Tensor& x, int64_t dim) { return clones(unbind(x, dim)); }, "", kFunction);
  add_op("unfold_copy(Tensor input, int dimension, int size, int step) -> Tensor", +[](const Tensor& x, int64_t dim, int64_t size, int64_t step) { return clone(unfold(x, dim, size, step), order); }, "", kFunction);
  add_op("unsqueeze_copy(Tensor input, int dim) -> Tensor", +[](const Tensor& x, int64_t dim) { return clone(unsqueeze(x, dim), order); }, "", kFunction);
  add_op("view_copy(Tensor input, int[] size) -> Tensor", +[](const Tensor& x, const Dims& sizes) { return clone(view(x, sizes), order); }, "", kFunction);
  add_op("view_copy(Tensor input, dtype dtype) -> Tensor", +[](const Tensor& x, DType dtype) { return clone(view_as_dtype(x, dtype), order); }, "", kFunction);
}

template <int64_t ndim>
void add_atleast(const char* one, const char* many) {
  add_op(one, +[](const Tensor& x) { return atleast(x, ndim); }, "", kFunction);
  add_op(many, +[](Tensors xs) {
    std::vector<Tensor> ys;
    for (const Tensor& x : xs) ys.push_back(atleast(x, ndim));
    return ys;
  }, "", kFunction);
}

void bind_joining() {
  for (const char* signature : {"cat(Tensor[] tensors, int dim=0) -> Tensor", "concat(Tensor[] tensors, int dim=0) -> Tensor", "concatenate(Tensor[] tensors, int dim=0) -> Tensor"})
    add_op(signature, &cat, "Joins tensors along a dimension they have.", kFunction);
  add_op("stack(Tensor[] tensors, int dim=0) -> Tensor", &stack, "Joins tensors of one shape along a new dimension.", kFunction);
  add_op("hstack(Tensor[] tensors) -> Tensor", &hstack, "", kFunction), add_op("dstack(Tensor[] tensors) -> Tensor", &dstack, "", kFunction);
  add_op("vstack(Tensor[] tensors) -> Tensor", &vstack, "", kFunction), add_op("row_stack(Tensor[] tensors) -> Tensor", &vstack, "", kFunction);
  add_op("column_stack(Tensor[] tensors) -> Tensor", &column_stack, "", kFunction);
  add_op("block_diag(Tensor[*] tensors) -> Tensor", &block_diag, "", kFunction);
  add_atleast<1>("atleast_1d(Tensor tensors) -> Tensor", "atleast_1d(Tensor[*] tensors)");
  add_atleast<2>("atleast_2d(Tensor tensors) -> Tensor", "atleast_2d(Tensor[*] tensors)");
  add_atleast<3>("atleast_3d(Tensor tensors) -> Tensor", "atleast_3d(Tensor[*] tensors)");
}

void bind_arranging() {
  add_op("flip(Tensor input, int[*] dims) -> Tensor", &flip);
  add_op("fliplr(Tensor input) -> Tensor", +[](const Tensor& x) {
    check(x.dim() >= 2, "fliplr: Input must be >= 2-d, got ", x.sizes());
    return flip(x, Dims{1});
  });
  add_op("flipud(Tensor input) -> Tensor", +[](const Tensor& x) {
    check(x.dim() >= 1, "flipud: Input must be >= 1-d, got ", x.sizes());
    return flip(x, Dims{0});
  });
  add_op("roll(Tensor input, int[1] shifts, int[1] dims=()) -> Tensor", &roll);
  add_op("rot90(Tensor input, int k=1, int[] dims=(0, 1)) -> Tensor", &rot90);
  add_op("repeat(Tensor input, int[*] repeats) -> Tensor", &repeat, "", kMethod);
  add_op("tile(Tensor input, int[*] dims) -> Tensor", +[](const Tensor& x, const Dims& dims) {
    Dims repeats = dims;
    while (repeats.size() < x.dim()) repeats.insert(0, 1);
    return repeat(x, repeats);
  });
  add_op("repeat_interleave(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor", +[](const Tensor& x, int64_t repeats, std::optional<int64_t> dim, std::optional<int64_t>) { return repeat_interleave(x, repeats, dim); });
  add_op("repeat_interleave(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor", +[](const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim, std::optional<int64_t> size) { return repeat_interleave(x, repeats, dim, size); });
  add_op("repeat_interleave(Tensor repeats, *, int? output_size=None) -> Tensor", +[](const Tensor& repeats, std::optional<int64_t> size) { return repeat_interleave(Tensor(), repeats, {}, size); }, "", kFunction);
  add_op("diag(Tensor input, int diagonal=0) -> Tensor", &diag);
  add_op("diag_embed(Tensor input, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", &diag_embed);
  add_op("diagflat(Tensor input, int offset=0) -> Tensor", +[](const Tensor& x, int64_t offset) { return diag(reshape(x, {-1}), offset); });
  add_op("constant_pad_nd(Tensor input, int[] pad, Scalar value=0) -> Tensor", +[](const Tensor& x, const List& pad, Scalar value) { return constant_pad_nd(x, pad, value); }, "", kFunction);
  add_op("pad(Tensor input, int[] pad, str mode='constant', float? value=None) -> Tensor", +[](const Tensor& x, const List& padding, const std::string& mode, std::optional<double> value) { return pad(x, padding, mode, value); },
         "Widens the last dimensions by (before, after) each, from the last one on.", kNN);
}

}  // namespace

void bind_views() {
  bind_shapes();
  bind_order();
  bind_parts();
  bind_view_copies();
  bind_joining();
  bind_arranging();
}

}  // namespace tessel::python
