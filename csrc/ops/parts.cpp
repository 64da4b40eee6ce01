// Parts of a tensor as views: one position, a range, all pieces along a dimension, diagonals, sliding windows. The gradient
// of a part is zero outside it.
#include <algorithm>

#include "ops/ops.h"

namespace tessel {

namespace {

Tensor zeros_of(const Dims& sizes, const Tensor& dy) { return zeros(sizes, dy.dtype(), dy.device()); }

// The gradient of a tensor that was taken apart along dim, into pieces of these lengths (none given: single positions,
// which have lost the dimension). Undefined ones are zero.
Tensor put_pieces(std::span<const Tensor> dys, int64_t dim, const Dims& sizes, Ints lengths) {
  const Tensor* any = std::find_if(dys.data(), dys.data() + dys.size(), [](const Tensor& dy) { return dy.defined(); });
  bool all = std::all_of(dys.begin(), dys.end(), [](const Tensor& dy) { return dy.defined(); });
  if (all) return lengths.empty() ? stack(dys, dim) : cat(dys, dim);
  Tensor dx = zeros_of(sizes, *any);
  int64_t at = 0;
  for (size_t i = 0; i < dys.size(); ++i) {
    int64_t length = lengths.empty() ? 1 : lengths[i];
    if (dys[i].defined()) copy_(lengths.empty() ? select(dx, dim, at) : narrow(dx, dim, at, length), dys[i]);
    at += length;
  }
  return dx;
}

}  // namespace

// ---- one part

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  check_index(x.dim() > 0, "select: select() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim("select", dim, x.dim());
  int64_t n = x.sizes()[dim];
  check_index(index >= -n && index < n, "select: index ", index, " out of range for tensor of size ", x.sizes(), " at dimension ", dim);
  if (index < 0) index += n;
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t offset = x.offset() + index * strides[dim];
  sizes.erase(dim);
  strides.erase(dim);
  Tensor y = make_view(x, sizes, strides, offset);
  if (Node* node = record("select", y, {x}))
    node->backward = [dim, index, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros_of(sizes, dy);
      copy_(select(dx, dim, index), dy);
      return {dx};
    };
  return y;
}

Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start_, std::optional<int64_t> end_, int64_t step) {
  check(x.dim() > 0, "slice: slice() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim("slice", dim, x.dim());
  check_value(step > 0, "slice: slice step must be positive, got ", step);
  int64_t n = x.sizes()[dim];
  auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  int64_t start = clamp(start_.value_or(0)), end = std::max(start, clamp(end_.value_or(n)));
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t offset = x.offset() + start * strides[dim];
  sizes[dim] = (end - start + step - 1) / step;
  strides[dim] *= step;
  Tensor y = make_view(x, sizes, strides, offset);
  if (Node* node = record("slice", y, {x}))
    node->backward = [dim, start, end, step, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros_of(sizes, dy);
      copy_(slice(dx, dim, start, end, step), dy);
      return {dx};
    };
  return y;
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  check(x.dim() > 0, "narrow: narrow() cannot be applied to a 0-dim tensor.");
  check(length >= 0, "narrow: narrow(): length must be non-negative, got ", length);
  dim = wrap_dim("narrow", dim, x.dim());
  int64_t n = x.sizes()[dim];
  check_index(start >= -n && start <= n, "narrow: start out of range (expected to be in range of [", -n, ", ", n, "], but got ", start, ")");
  if (start < 0) start += n;
  check(start + length <= n, "narrow: start (", start, ") + length (", length, ") exceeds dimension size (", n, ").");
  return slice(x, dim, start, start + length);
}

// ---- x[1, :, 2:8:2, None]: all steps make one view, and one derivative

Tensor index_basic(const Tensor& x, std::span<const IndexStep> steps) {
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t offset = x.offset();
  for (const IndexStep& s : steps) {
    if (s.kind == IndexStep::insert) {
      sizes.insert(s.dim, 1);
      strides.insert(s.dim, s.dim < strides.size() ? sizes[s.dim + 1] * strides[s.dim] : 1);
      continue;
    }
    check_index(s.dim < sizes.size(), "index: too many indices for tensor of dimension ", x.dim());
    int64_t n = sizes[s.dim];
    if (s.kind == IndexStep::select) {
      check_index(s.start >= -n && s.start < n, "index: index ", s.start, " is out of bounds for dimension ", s.dim, " with size ", n);
      offset += (s.start < 0 ? s.start + n : s.start) * strides[s.dim];
      sizes.erase(s.dim);
      strides.erase(s.dim);
    } else {
      auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
      int64_t start = clamp(s.start), end = std::max(start, clamp(s.end));
      offset += start * strides[s.dim];
      sizes[s.dim] = (end - start + s.step - 1) / s.step;
      strides[s.dim] *= s.step;
    }
  }
  Tensor y = make_view(x, sizes, strides, offset);
  if (Node* node = record("index", y, {x}))
    node->backward = [steps = std::vector<IndexStep>(steps.begin(), steps.end()), sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros_of(sizes, dy);
      copy_(index_basic(dx, steps), dy);
      return {dx};
    };
  return y;
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = wrap_dim("diagonal", dim1, x.dim());
  dim2 = wrap_dim("diagonal", dim2, x.dim());
  check(dim1 != dim2, "diagonal: dimensions cannot be identical ", dim1, ", ", dim2);
  int64_t skip1 = std::max<int64_t>(-offset, 0), skip2 = std::max<int64_t>(offset, 0);
  int64_t n = std::max<int64_t>(std::min(x.sizes()[dim1] - skip1, x.sizes()[dim2] - skip2), 0);
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t at = x.offset() + (n ? skip1 * strides[dim1] + skip2 * strides[dim2] : 0), step = strides[dim1] + strides[dim2];
  for (int64_t dim : {std::max(dim1, dim2), std::min(dim1, dim2)}) sizes.erase(dim), strides.erase(dim);
  sizes.push_back(n);
  strides.push_back(step);
  Tensor y = make_view(x, sizes, strides, at);
  if (Node* node = record("diagonal", y, {x}))
    node->backward = [offset, dim1, dim2, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros_of(sizes, dy);
      copy_(diagonal(dx, offset, dim1, dim2), dy);
      return {dx};
    };
  return y;
}

// The gradient of windows: what overlaps is added up.
static Tensor unfold_backward(const Tensor& dy, const Dims& sizes, int64_t dim, int64_t size, int64_t step) {
  if (sizes.empty()) return reshape(dy, {});
  int64_t windows = dy.sizes()[dim];
  auto count = [&](int64_t n, int64_t by) { return mul(arange(Scalar(int64_t(0)), Scalar(n), Scalar(int64_t(1)), DType::int64, dy.device()), Scalar(by)); };
  Tensor index = flatten(add(unsqueeze(count(windows, step), 1), count(size, 1)));
  int64_t last = dy.dim() - 1, beside = dim + 1;
  Tensor rows = flatten(movedim(dy, std::span(&last, 1), std::span(&beside, 1)), dim, dim + 1);
  return index_add(zeros_of(sizes, dy), dim, index, rows);
}

Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  dim = wrap_dim("unfold", dim, x.dim());
  int64_t n = x.dim() ? x.sizes()[dim] : 1;
  check(size >= 0, "unfold: size is ", size, " but must be >= 0");
  check(size <= n, "unfold: maximum size for tensor at dimension ", dim, " is ", n, " but size is ", size);
  check(step > 0, "unfold: step is ", step, " but must be > 0");
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t apart = x.dim() ? strides[dim] : 1;
  if (x.dim()) sizes[dim] = (n - size) / step + 1, strides[dim] *= step;
  sizes.push_back(size);
  strides.push_back(apart);
  Tensor y = make_view(x, sizes, strides, x.offset());
  if (Node* node = record("unfold", y, {x}))
    node->backward = [dim, size, step, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {unfold_backward(dy, sizes, dim, size, step)}; };
  return y;
}

// ---- all parts along a dimension; written in place they would falsify each other's history

// Views of x along dim, of these lengths.
static std::vector<Tensor> pieces(const char* name, const Tensor& x, int64_t dim, Ints lengths) {
  std::vector<Tensor> ys;
  ys.reserve(lengths.size());
  Dims sizes = x.sizes();
  int64_t at = x.offset();
  for (int64_t length : lengths) {
    sizes[dim] = length;
    ys.push_back(make_view(x, sizes, x.strides(), at, ViewKind::multi_output));
    at += length * x.strides()[dim];
  }
  if (Node* node = record(name, ys, std::span(&x, 1))) {
    node->undefined_ok = true;
    node->backward = [dim, sizes = x.sizes(), lengths = std::vector<int64_t>(lengths.begin(), lengths.end())](std::span<const Tensor> dys, Needs) -> Grads {
      return {put_pieces(dys, dim, sizes, lengths)};
    };
  }
  return ys;
}

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  check_index(x.dim() > 0, "unbind: Dimension specified as ", dim, " but tensor has no dimensions");
  dim = wrap_dim("unbind", dim, x.dim());
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t n = sizes[dim], step = strides[dim];
  sizes.erase(dim);
  strides.erase(dim);
  std::vector<Tensor> ys;
  ys.reserve(n);
  for (int64_t i = 0; i < n; ++i) ys.push_back(make_view(x, sizes, strides, x.offset() + i * step, ViewKind::multi_output));
  if (Node* node = record("unbind", ys, std::span(&x, 1))) {
    node->undefined_ok = true;
    node->backward = [dim, sizes = x.sizes()](std::span<const Tensor> dys, Needs) -> Grads { return {put_pieces(dys, dim, sizes, {})}; };
  }
  return ys;
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  check(x.dim() > 0, "split: expects at least a 1-dimensional tensor");
  check(size >= 0, "split: expects split_size to be non-negative, but got split_size=", size);
  dim = wrap_dim("split", dim, x.dim());
  int64_t n = x.sizes()[dim];
  check(size > 0 || n == 0, "split: split_size can only be 0 if dimension size is 0, but got dimension size of ", n);
  std::vector<int64_t> lengths(size > 0 ? std::max<int64_t>((n + size - 1) / size, 1) : 1, size);
  lengths.back() = n - size * static_cast<int64_t>(lengths.size() - 1);
  return pieces("split", x, dim, lengths);
}

std::vector<Tensor> split_with_sizes(const Tensor& x, Ints lengths, int64_t dim, const char* op) {
  check(x.dim() > 0, op, ": expects at least a 1-dimensional tensor");
  dim = wrap_dim(op, dim, x.dim());
  int64_t total = 0;
  for (int64_t length : lengths) {
    check(length >= 0, op, ": expects split_sizes to have only non-negative entries, but got split_sizes=", lengths);
    total += length;
  }
  check(total == x.sizes()[dim], op, ": expects split_sizes to sum exactly to ", x.sizes()[dim], " (input tensor's size at dimension ", dim, "), but got split_sizes=", lengths);
  return pieces(op, x, dim, lengths);
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  check(x.dim() > 0, "chunk: expects at least a 1-dimensional tensor");
  check(chunks > 0, "chunk: expects `chunks` to be greater than 0, got: ", chunks);
  dim = wrap_dim("chunk", dim, x.dim());
  int64_t size = (x.sizes()[dim] + chunks - 1) / chunks;
  if (size == 0) return split_with_sizes(x, std::vector<int64_t>(chunks, 0), dim);
  return split(x, size, dim);
}

// Each part is a view of its own, as PyTorch has it: these may be written in place.
std::vector<Tensor> tensor_split_at(const Tensor& x, Ints indices, int64_t dim) {
  check(x.dim() > 0, "tensor_split: expected at least a 1-dimensional tensor, but got a tensor with ", x.dim(), " dims");
  dim = wrap_dim("tensor_split", dim, x.dim());
  std::vector<Tensor> ys;
  int64_t start = 0;
  for (int64_t end : indices) {
    ys.push_back(slice(x, dim, start, end));
    start = end;
  }
  ys.push_back(slice(x, dim, start, x.sizes()[dim]));
  return ys;
}

std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
  check(x.dim() > 0, "tensor_split: expected at least a 1-dimensional tensor, but got a tensor with ", x.dim(), " dims");
  dim = wrap_dim("tensor_split", dim, x.dim());
  check(sections > 0, "tensor_split: number of sections must be larger than 0, got ", sections);
  int64_t n = x.sizes()[dim], at = 0;
  std::vector<int64_t> ends;
  for (int64_t i = 0; i + 1 < sections; ++i) ends.push_back(at += n / sections + (i < n % sections ? 1 : 0));
  return tensor_split_at(x, ends, dim);
}

static int64_t even_dim(const char* op, const Tensor& x, int64_t least, int64_t dim) {
  check(x.dim() >= least, op, ": requires a tensor with at least ", least, " dimension", least == 1 ? "" : "s", ", but got a tensor with ", x.dim(), " dimensions!");
  return std::min(dim, x.dim() - 1);
}

static std::vector<Tensor> split_evenly(const char* op, const Tensor& x, int64_t sections, int64_t dim) {
  int64_t n = x.sizes()[dim];
  check(sections > 0 && n % sections == 0, op, ": attempted to split along dimension ", dim, ", but the size of the dimension ", n, " is not divisible by the split_size ", sections, "!");
  return tensor_split(x, sections, dim);
}

std::vector<Tensor> hsplit(const Tensor& x, int64_t sections) { return split_evenly("hsplit", x, sections, even_dim("hsplit", x, 1, 1)); }
std::vector<Tensor> vsplit(const Tensor& x, int64_t sections) { return split_evenly("vsplit", x, sections, even_dim("vsplit", x, 2, 0)); }
std::vector<Tensor> dsplit(const Tensor& x, int64_t sections) { return split_evenly("dsplit", x, sections, even_dim("dsplit", x, 3, 2)); }
std::vector<Tensor> hsplit_at(const Tensor& x, Ints indices) { return tensor_split_at(x, indices, even_dim("hsplit", x, 1, 1)); }
std::vector<Tensor> vsplit_at(const Tensor& x, Ints indices) { return tensor_split_at(x, indices, even_dim("vsplit", x, 2, 0)); }
std::vector<Tensor> dsplit_at(const Tensor& x, Ints indices) { return tensor_split_at(x, indices, even_dim("dsplit", x, 3, 2)); }

std::vector<Tensor> unsafe(const std::vector<Tensor>& parts) {
  for (const Tensor& part : parts) {
    part->base.reset();
    part->view_kind = ViewKind::none;
  }
  return parts;
}

// ---- parts replaced, in a copy

template <class Part>
static Tensor with_part(const char* op, Tensor y, const Tensor& source, Part&& part) {
  Tensor place = part(y);
  check(place.sizes() == source.sizes(), op, ": expected src to have a size equal to the slice of self. src size = ", source.sizes(), ", slice size = ", place.sizes());
  copy_(place, source);
  return y;
}

Tensor select_scatter(const Tensor& x, const Tensor& source, int64_t dim, int64_t index) {
  return with_part("select_scatter", clone(x), source, [&](const Tensor& y) { return select(y, dim, index); });
}
Tensor slice_scatter(const Tensor& x, const Tensor& source, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
  return with_part("slice_scatter", clone(x), source, [&](const Tensor& y) { return slice(y, dim, start, end, step); });
}
Tensor diagonal_scatter(const Tensor& x, const Tensor& source, int64_t offset, int64_t dim1, int64_t dim2) {
  return with_part("diagonal_scatter", clone(x), source, [&](const Tensor& y) { return diagonal(y, offset, dim1, dim2); });
}
Tensor as_strided_scatter(const Tensor& x, const Tensor& source, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset) {
  // The part is counted in x's storage, and may reach beyond x: all of it is copied, and x found again in the copy.
  int64_t n = static_cast<int64_t>(x->storage->bytes()) / item_size(x.dtype());
  Tensor memory = empty({n}, x.dtype(), x.device());
  copy_bytes(memory.data(), x.device(), x->storage->data(), x.device(), n * item_size(x.dtype()));
  Tensor y = alias(memory, x.sizes(), x.strides(), x.offset());
  copy_(y, x);  // which remembers where it comes from
  return with_part("as_strided_scatter", y, source, [&](const Tensor& t) { return as_strided(t, sizes, strides, offset.value_or(x.offset())); });
}

}  // namespace tessel
