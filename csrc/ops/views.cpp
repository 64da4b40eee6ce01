// Views: the same bytes with other sizes and strides. Derivatives are views too, or the strided write of a part.
#include <algorithm>

#include "ops/ops.h"

namespace tessel {

// ---- as_strided: the general case, on which regenerated histories of views rest

static void check_fits(const char* op, const Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset) {
  check(sizes.size() == strides.size(), op, ": mismatch in length of strides and shape: ", sizes, " and ", strides);
  check(offset >= 0, op, ": storage offset must be non-negative, got ", offset);
  int64_t last = offset;
  for (int d = 0; d < sizes.size(); ++d) {
    check(strides[d] >= 0, op, ": Negative strides are not supported at the moment, got strides: ", strides);
    check(sizes[d] >= 0, op, ": negative size in ", sizes);
    if (sizes[d] == 0) return;
    last += (sizes[d] - 1) * strides[d];
  }
  check((last + 1) * x.item_size() <= static_cast<int64_t>(x->storage->bytes()), op, ": setStorage: sizes ", sizes, ", strides ", strides, ", storage offset ", offset,
        ", and itemsize ", x.item_size(), " requiring a storage size of ", (last + 1) * x.item_size(), " are out of bounds for storage of size ", x->storage->bytes());
}

// Positions (in elements of the storage) of a strided part, as an int64 tensor.
static Tensor positions(const Dims& sizes, const Dims& strides, int64_t offset, Device device) {
  Tensor at = full(sizes, Scalar(offset), DType::int64, device);
  for (int d = 0; d < sizes.size(); ++d) {
    Dims shape = Dims::filled(sizes.size(), 1);
    shape[d] = sizes[d];
    Tensor steps = arange(Scalar(0), Scalar(sizes[d]), Scalar(1), DType::int64, device);
    add_(at, mul(view(steps, shape), Scalar(strides[d])));
  }
  return at;
}

// Do two index tuples of the part meet in one element? Exact for sorted strides that nest; else says yes.
static bool part_overlaps(const Dims& sizes, const Dims& strides) {
  int order[kMaxDims], n = 0;
  for (int d = 0; d < sizes.size(); ++d)
    if (sizes[d] > 1) order[n++] = d;
  std::sort(order, order + n, [&](int a, int b) { return strides[a] < strides[b]; });
  int64_t extent = 0;
  for (int i = 0; i < n; ++i) {
    if (strides[order[i]] <= extent) return true;
    extent += (sizes[order[i]] - 1) * strides[order[i]];
  }
  return false;
}

std::function<Grads(const Tensor&, Needs)> as_strided_derivative(const Tensor& base, const Dims& sizes, const Dims& strides, int64_t offset) {
  Dims base_sizes = base.sizes(), base_strides = base.strides();
  int64_t base_offset = base.offset();
  return [=](const Tensor& dy, Needs) -> Grads {
    // A block of memory like the base's storage from the first to the last element of either.
    int64_t first = std::min(offset, base_offset), last = first;
    auto reach = [&](const Dims& s, const Dims& st, int64_t o) {
      for (int d = 0; d < s.size(); ++d) o += std::max<int64_t>(s[d] - 1, 0) * st[d];
      last = std::max(last, o);
    };
    reach(sizes, strides, offset);
    reach(base_sizes, base_strides, base_offset);
    Tensor block = zeros({last - first + 1}, dy.dtype(), dy.device());
    if (!part_overlaps(sizes, strides)) {
      copy_(as_strided(block, sizes, strides, offset - first), dy);
    } else {
      block = index_add(block, 0, reshape(positions(sizes, strides, offset - first, dy.device()), {-1}), reshape(dy, {-1}));
    }
    Tensor whole = as_strided(block, base_sizes, base_strides, base_offset - first);
    if (part_overlaps(base_sizes, base_strides)) {  // an element of memory seen several times shares its gradient
      Tensor at = reshape(positions(base_sizes, base_strides, base_offset - first, dy.device()), {-1});
      Tensor count = zeros({last - first + 1}, dy.dtype(), dy.device());
      count = index_add(count, 0, at, ones({at.numel()}, dy.dtype(), dy.device()));
      whole = whole / as_strided(count, base_sizes, base_strides, base_offset - first);
    }
    return {whole};
  };
}

Tensor as_strided(const Tensor& x, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset) {
  int64_t at = offset.value_or(x.offset());
  check_fits("as_strided", x, sizes, strides, at);
  Tensor y = make_view(x, sizes, strides, at);
  if (Node* node = record("as_strided", y, {x})) node->backward = as_strided_derivative(x, sizes, strides, at);
  return y;
}

// ---- reshaping

// Fills in a -1 and checks that the number of elements stays.
Dims infer_sizes(const char* op, Dims sizes, int64_t numel) {
  int64_t known = 1;
  int open = -1;
  for (int d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == -1) {
      check(open < 0, op, ": only one dimension can be inferred, got ", sizes);
      open = d;
    } else {
      check(sizes[d] >= 0, op, ": invalid shape dimension ", sizes[d], " in ", sizes);
      known *= sizes[d];
    }
  }
  if (open >= 0) {
    check(known != 0, op, ": cannot reshape tensor of ", numel, " elements into shape ", sizes, " because the unspecified dimension size -1 can be any value and is ambiguous");
    check(numel % known == 0, op, ": shape '", sizes, "' is invalid for input of size ", numel);
    sizes[open] = numel / known;
  } else {
    check(known == numel, op, ": shape '", sizes, "' is invalid for input of size ", numel);
  }
  return sizes;
}

// Strides that show x in another shape without a copy; false where there are none.
static bool view_strides(const Tensor& x, const Dims& sizes, Dims& strides) {
  strides = contiguous_strides(sizes);
  if (x.is_contiguous() || x.numel() == 0) return true;
  // Runs of x's dimensions that follow each other in memory are cut into the new dimensions, from the back.
  int at = sizes.size() - 1;
  int64_t run = 1, taken = 1, step = x.strides().back();
  for (int64_t d = x.dim() - 1; d >= 0; --d) {
    run *= x.sizes()[d];
    bool ends = d == 0 || (x.sizes()[d - 1] != 1 && x.strides()[d - 1] != run * step);
    if (!ends) continue;
    while (at >= 0 && (taken < run || sizes[at] == 1)) {
      strides[at] = taken * step;
      taken *= sizes[at--];
    }
    if (taken != run) return false;
    if (d > 0) step = x.strides()[d - 1], run = 1, taken = 1;
  }
  return at < 0;
}

static Tensor view_with(const char* name, const Tensor& x, const Dims& sizes, const Dims& strides, ViewKind kind = ViewKind::plain) {
  Tensor y = make_view(x, sizes, strides, x.offset(), kind);
  if (Node* node = record(name, y, {x}))
    node->backward = [sizes = x.sizes()](const Tensor& dy, Needs) -> Grads { return {reshape(dy, sizes)}; };
  return y;
}

Tensor view(const Tensor& x, const Dims& shape) {
  Dims sizes = infer_sizes("view", shape, x.numel()), strides;
  check(view_strides(x, sizes, strides), "view: size ", sizes, " is not compatible with input tensor's size ", x.sizes(), " and stride ", x.strides(),
        " (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.");
  return view_with("view", x, sizes, strides);
}

Tensor reshape(const Tensor& x, const Dims& shape) {
  Dims sizes = infer_sizes("reshape", shape, x.numel()), strides;
  if (view_strides(x, sizes, strides)) return view_with("view", x, sizes, strides);
  return view(contiguous(clone(x)), sizes);
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  dim = wrap_dim("unsqueeze", dim, x.dim() + 1);
  Dims sizes = x.sizes(), strides = x.strides();
  strides.insert(dim, dim < x.dim() ? sizes[dim] * strides[dim] : 1);
  sizes.insert(dim, 1);
  return view_with("unsqueeze", x, sizes, strides);
}

Tensor squeeze(const Tensor& x, Ints dims) {
  uint32_t mask = dim_mask("squeeze", dims, x.dim());
  Dims sizes, strides;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if ((mask >> d & 1) && x.sizes()[d] == 1) continue;
    sizes.push_back(x.sizes()[d]);
    strides.push_back(x.strides()[d]);
  }
  return view_with("squeeze", x, sizes, strides);
}

// ---- reordering

Tensor permute(const Tensor& x, Ints dims) {
  check(static_cast<int64_t>(dims.size()) == x.dim(), "permute: number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ",
        x.dim(), " is not equal to len(dims) = ", dims.size());
  Dims sizes = x.sizes(), strides = x.strides(), inverse = x.sizes();
  uint32_t seen = 0;
  for (int d = 0; d < sizes.size(); ++d) {
    int64_t from = wrap_dim("permute", dims[d], x.dim());
    check(!(seen >> from & 1), "permute: duplicate dims are not allowed: dim ", from, " stands twice");
    seen |= 1u << from;
    sizes[d] = x.sizes()[from];
    strides[d] = x.strides()[from];
    inverse[from] = d;
  }
  Tensor y = make_view(x, sizes, strides, x.offset());
  if (Node* node = record("permute", y, {x}))
    node->backward = [inverse](const Tensor& dy, Needs) -> Grads { return {permute(dy, inverse)}; };
  return y;
}

Tensor movedim(const Tensor& x, Ints source, Ints destination) {
  check(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", Dims(source), " dims) should contain the same number of dims as destination (", Dims(destination), " dims)");
  int64_t n = x.dim();
  uint32_t moved = 0, taken = 0;
  Dims order = Dims::filled(n, 0);
  for (size_t i = 0; i < source.size(); ++i) {
    int64_t from = wrap_dim("movedim", source[i], n), to = wrap_dim("movedim", destination[i], n);
    check(!(moved >> from & 1), "movedim: repeated dim in `source` (", Dims(source), ")");
    check(!(taken >> to & 1), "movedim: repeated dim in `destination` (", Dims(destination), ")");
    moved |= 1u << from, taken |= 1u << to;
    if (n) order[to] = from;
  }
  if (n == 0) return view_with("movedim", x, x.sizes(), x.strides());
  for (int64_t to = 0, from = 0; to < n; ++to) {  // the others keep their order
    if (taken >> to & 1) continue;
    while (moved >> from & 1) ++from;
    order[to] = from++;
  }
  return permute(x, order);
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  dim0 = wrap_dim("transpose", dim0, x.dim());
  dim1 = wrap_dim("transpose", dim1, x.dim());
  if (x.dim() == 0) return view_with("transpose", x, x.sizes(), x.strides());
  Dims sizes = x.sizes(), strides = x.strides();
  std::swap(sizes[dim0], sizes[dim1]);
  std::swap(strides[dim0], strides[dim1]);
  Tensor y = make_view(x, sizes, strides, x.offset());
  if (Node* node = record("transpose", y, {x}))
    node->backward = [dim0, dim1](const Tensor& dy, Needs) -> Grads { return {transpose(dy, dim0, dim1)}; };
  return y;
}

Tensor t(const Tensor& x) {
  check(x.dim() <= 2, "t: expects a tensor of at most 2 dimensions, but got ", x.sizes(), "; use transpose() or .mT");
  return transpose(x, 0, x.dim() < 2 ? 0 : 1);
}

Tensor expand(const Tensor& x, const Dims& shape) {
  check(shape.size() >= x.dim(), "expand: from ", x.sizes(), " to ", shape, ": the number of sizes provided (", shape.size(),
        ") must be greater or equal to the number of dimensions in the tensor (", x.dim(), ")");
  Dims sizes = shape, strides = shape;
  int64_t shift = shape.size() - x.dim();
  for (int d = 0; d < shape.size(); ++d) {
    int64_t have = d < shift ? 1 : x.sizes()[d - shift];
    if (shape[d] == -1) {
      check(d >= shift, "expand: The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ", d);
      sizes[d] = have;
    }
    check(sizes[d] >= 0 && (have == 1 || have == sizes[d]), "expand: The expanded size of the tensor (", sizes[d], ") must match the existing size (", have,
          ") at non-singleton dimension ", d, ".  Target sizes: ", shape, ".  Tensor sizes: ", x.sizes());
    strides[d] = d < shift || (have == 1 && sizes[d] != 1) ? 0 : x.strides()[d - shift];
  }
  Tensor y = make_view(x, sizes, strides, x.offset());
  if (Node* node = record("expand", y, {x}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {dy}; };  // the engine sums it to x's size
  return y;
}

std::vector<Tensor> broadcast_tensors(Tensors xs) {
  Dims sizes;
  for (const Tensor& x : xs) sizes = broadcast("broadcast_tensors", sizes, x.sizes());
  std::vector<Tensor> ys;
  for (const Tensor& x : xs) ys.push_back(expand(x, sizes));
  return ys;
}

// ---- shapes in terms of others

Tensor flatten(const Tensor& x, int64_t start, int64_t end) {
  start = wrap_dim("flatten", start, x.dim());
  end = wrap_dim("flatten", end, x.dim());
  check(start <= end, "flatten: start_dim ", start, " cannot come after end_dim ", end);
  if (x.dim() == 0) return reshape(x, {1});
  if (start == end) return x;
  Dims sizes;
  int64_t n = 1;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d >= start && d <= end) n *= x.sizes()[d];
    if (d < start || d > end) sizes.push_back(x.sizes()[d]);
    else if (d == end) sizes.push_back(n);
  }
  return reshape(x, sizes);
}

Tensor unflatten(const Tensor& x, int64_t dim, const Dims& parts_) {
  dim = wrap_dim("unflatten", dim, x.dim());
  check(!parts_.empty(), "unflatten: sizes must be non-empty");
  int64_t n = x.sizes()[dim], known = 1, open = 0;
  for (int64_t part : parts_) part == -1 ? ++open : known *= part;
  check(open <= 1, "unflatten: only one dimension can be inferred, got ", parts_);
  check(open ? known != 0 && n % known == 0 : known == n, "unflatten: Provided sizes ", parts_, " don't multiply up to the size of dim ", dim, " (", n, ") in the input tensor");
  Dims sizes;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d != dim) sizes.push_back(x.sizes()[d]);
    else for (int64_t part : parts_) sizes.push_back(part == -1 ? n / known : part);
  }
  return view(x, sizes);
}

// ---- the same bytes as another dtype

Tensor view_as_dtype(const Tensor& x, DType dtype) {
  int64_t from = x.item_size(), to = item_size(dtype);
  Dims sizes = x.sizes(), strides = x.strides();
  int64_t offset = x.offset();
  if (from != to) {
    check(x.dim() > 0, "view: self.dim() cannot be 0 to view ", x.dtype(), " as ", dtype, " (different element sizes)");
    int last = sizes.size() - 1;
    check(strides[last] == 1 || x.numel() <= 1, "view: self.stride(-1) must be 1 to view ", x.dtype(), " as ", dtype, " (different element sizes), but got ", strides[last]);
    bool divides = sizes[last] * from % to == 0 && offset * from % to == 0;
    for (int d = 0; d < last; ++d) divides = divides && strides[d] * from % to == 0;
    check(divides, "view: self.size(-1), the strides and the offset must be divisible by ", to / std::max<int64_t>(from, 1), " to view ", x.dtype(), " as ", dtype,
          " (different element sizes), but got size ", sizes, ", stride ", strides, ", offset ", offset);
    sizes[last] = sizes[last] * from / to;
    offset = offset * from / to;
    for (int d = 0; d < last; ++d) strides[d] = strides[d] * from / to;
  }
  Tensor y = make_view(x, sizes, strides, offset, ViewKind::no_grad);  // no gradient goes through bits
  y->dtype = dtype;
  return y;
}

// ---- the forms that change x itself

// x gets another shape on the same bytes. Its own history gets a node with that derivative; a view's is found anew from
// its base, through the new shape.
template <class Derivative>
static Tensor& become(const char* name, Tensor& x, const Dims& sizes, const Dims& strides, int64_t offset, Derivative&& derivative) {
  check(!(grad_enabled() && x.is_leaf() && x.requires_grad()), name, ": a leaf Variable that requires grad is being used in an in-place operation.");
  bool wanted = wants_grad({x});
  x->sizes = sizes;
  x->strides = strides;
  x->offset = offset;
  x->update_layout();
  x.bump_version(name);
  if (!wanted) {
    x->view_version = x.version();
  } else if (x->base) {
    x->view_version = x.version() - 1;
  } else if (Node* node = record_inplace(name, x, {x})) {
    node->backward = std::forward<Derivative>(derivative);
  }
  return x;
}

static auto back_to(const Dims& sizes) {
  return [sizes](const Tensor& dy, Needs) -> Grads { return {reshape(dy, sizes)}; };
}

Tensor& unsqueeze_(Tensor& x, int64_t dim) {
  Tensor y = unsqueeze(detach(x), dim);
  return become("unsqueeze_", x, y.sizes(), y.strides(), y.offset(), back_to(x.sizes()));
}

Tensor& squeeze_(Tensor& x, Ints dims) {
  Tensor y = squeeze(detach(x), dims);
  return become("squeeze_", x, y.sizes(), y.strides(), y.offset(), back_to(x.sizes()));
}

Tensor& transpose_(Tensor& x, int64_t dim0, int64_t dim1) {
  Tensor y = transpose(detach(x), dim0, dim1);
  return become("transpose_", x, y.sizes(), y.strides(), y.offset(),
                [dim0, dim1](const Tensor& dy, Needs) -> Grads { return {transpose(dy, dim0, dim1)}; });
}

Tensor& as_strided_(Tensor& x, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset) {
  int64_t at = offset.value_or(x.offset());
  check_fits("as_strided_", x, sizes, strides, at);
  return become("as_strided_", x, sizes, strides, at, as_strided_derivative(x, sizes, strides, at));
}

// ---- other memory

Tensor& resize_(Tensor& x, const Dims& sizes) {
  check(!x.requires_grad(), "resize_: cannot resize variables that require grad");
  for (int64_t n : sizes) check(n >= 0, "resize_: negative dimension ", n, " in ", sizes);
  resize_for_out("resize_", x, sizes);
  return x;
}

Tensor& set_(Tensor& x, const Tensor& source, const Dims& sizes, const Dims& strides, int64_t offset) {
  check(!x.requires_grad(), "set_: can't change the memory of a tensor that requires grad");
  check(x.dtype() == source.dtype(), "set_: could not set tensor of type ", source.dtype(), " to a tensor of type ", x.dtype());
  check(x.device() == source.device(), "set_: Expected a tensor on ", device_name(x.device()), ", got one on ", device_name(source.device()));
  check_fits("set_", source, sizes, strides, offset);
  x->storage = source->storage;
  x->own_version = source->own_version;
  x->base.reset();
  x->view_kind = ViewKind::none;
  x->sizes = sizes;
  x->strides = strides;
  x->offset = offset;
  x->update_layout();
  return x;
}

}  // namespace tessel
