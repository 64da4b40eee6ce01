// Indexing by several tensors at once, x[i, :, j], as numpy has it: masks are the positions they set, indices are
// broadcast against each other, and their dimensions stand where they stood, or in front where others lie between them.
#include "ops/indexing.h"

#include "ops/complex.h"

#include "ops/run.h"

namespace tessel {

bool is_mask(const Tensor& index) { return index.dtype() == DType::bool_ || index.dtype() == DType::uint8; }

Tensor as_positions(const char* op, const Tensor& index) {
  check(index.dtype() == DType::int64 || index.dtype() == DType::int32, op, ": Expected dtype int32 or int64 for index, got ", index.dtype());
  return to_dtype(index, DType::int64);
}

Range range_of(const Tensor& index) {
  if (index.numel() == 0) return {0, -1};
  int64_t least_and_greatest[2];
  int64_t* range = least_and_greatest;
  run("index_range", index, index.numel() / 4, kernels(index).index_range, plan({&index}), range);
  return {range[0], range[1]};
}

Tensor broadcast_alias(const Tensor& x, const Dims& sizes) {
  if (x.sizes() == sizes) return x;
  Dims strides = sizes;
  int64_t shift = sizes.size() - x.dim();
  for (int d = 0; d < sizes.size(); ++d) strides[d] = d < shift || x.sizes()[d - shift] == 1 ? 0 : x.strides()[d - shift];
  return alias(x, sizes, strides, x.offset());
}

// ---- parts

static IndexArgs index_args(const Tensor& x, const Chosen& part, const Tensor& values, Combine combine) {
  Tensor walked = alias(x, part.sizes, part.strides, x.offset());
  return {plan({&walked, &values, &part.positions}), part.step * x.item_size(), combine};
}

Chosen choose_along(const Tensor& x, int64_t dim, const Tensor& index) {
  Chosen part{index.sizes(), x.strides(), index, x.strides()[dim]};
  part.strides[dim] = 0;
  return part;
}

Tensor read_part(const char* op, const Tensor& x, const Chosen& part) {
  Tensor y = empty(part.sizes, x.dtype(), x.device());
  if (y.numel()) run(op, y, y.numel(), kernels(y).index_get, index_args(x, part, y, Combine::replace));
  return y;
}

void write_part(const char* op, const Tensor& x, const Chosen& part, const Tensor& values_, Combine combine) {
  if (part.sizes.numel() == 0) return;
  if (combine != Combine::replace && (x.dtype() == DType::float16 || x.dtype() == DType::bfloat16)) {  // in float32, laid out as x is
    NoGrad no_grad;
    Tensor wide = empty_strided(x.sizes(), x.strides(), DType::float32, x.device());
    copy_(wide, detach(x));
    write_part(op, wide, part, to_dtype(detach(values_), DType::float32), combine);
    copy_(alias(x), wide);
    return;
  }
  if (combine != Combine::replace && is_complex(x.dtype())) {  // sums are sums of the parts
    if (combine != Combine::add) fail<NotImplementedError>(op, ": not implemented for ", x.dtype(), ", but for sums");
    Tensor values = alias_as_real(broadcast_alias(to_dtype(detach(values_), x.dtype()), part.sizes)), parts = alias_as_real(x);
    Chosen half{values.sizes(), part.strides, part.positions, 2 * part.step};
    for (int64_t& step : half.strides) step *= 2;
    half.strides.push_back(1);
    half.positions = unsqueeze(broadcast_alias(part.positions, part.sizes), -1);
    return write_part(op, parts, half, values, combine);
  }
  Tensor values = values_->storage == x->storage ? clone(detach(values_)) : values_;
  Chosen place = part;
  if (part.positions->storage == x->storage) place.positions = clone(detach(part.positions));
  run(op, x, values.numel(), kernels(x).index_put, index_args(x, place, broadcast_alias(values, part.sizes), combine));
}

// ---- from indices to a part

namespace {

// One index: positions along one dimension, or along several that follow each other in memory.
struct Pick {
  int64_t dim, dims;
  Tensor positions;
  int64_t size, stride;
  bool wraps = false;  // has negative positions
};

bool follow(const Tensor& x, int64_t dim, int64_t dims) {
  for (int64_t d = dim; d + 1 < dim + dims; ++d)
    if (x.strides()[d] != x.strides()[d + 1] * x.sizes()[d + 1]) return false;
  return true;
}

void pick_mask(const char* op, const Tensor& x, const Tensor& mask, int64_t dim, std::vector<Pick>& picks) {
  check_index(dim + mask.dim() <= x.dim(), op, ": too many indices for tensor of dimension ", x.dim());
  for (int64_t d = 0; d < mask.dim(); ++d)
    check_index(mask.sizes()[d] == x.sizes()[dim + d], op, ": The shape of the mask ", mask.sizes(), " at index ", d,
                " does not match the shape of the indexed tensor ", x.sizes(), " at index ", dim + d);
  if (mask.dim() > 1 && follow(x, dim, mask.dim())) {
    Tensor flat = contiguous(mask);
    flat = alias(flat, {flat.numel()}, {1}, flat.offset());
    picks.push_back({dim, mask.dim(), nonzero_as_tuple(flat)[0], flat.numel(), x.strides()[dim + mask.dim() - 1]});
    return;
  }
  int64_t d = dim;
  for (Tensor& positions : nonzero_as_tuple(mask)) {
    picks.push_back({d, 1, positions, x.sizes()[d], x.strides()[d]});
    ++d;
  }
}

void pick_positions(const char* op, const Tensor& x, const Tensor& index, int64_t dim, std::vector<Pick>& picks) {
  check_index(dim < x.dim(), op, ": too many indices for tensor of dimension ", x.dim());
  check_index(is_integral(index.dtype()), op, ": tensors used as indices must be integers, byte or bool tensors, got ", index.dtype());
  Pick pick{dim, 1, to_device(to_dtype(detach(index), DType::int64), x.device()), x.sizes()[dim], x.strides()[dim]};
  Range range = range_of(pick.positions);
  if (pick.positions.numel())
    check_index(range.least >= -pick.size && range.greatest < pick.size, op, ": index ", range.greatest >= pick.size ? range.greatest : range.least,
                " is out of bounds for dimension ", dim, " with size ", pick.size);
  pick.wraps = range.least < 0;
  picks.push_back(std::move(pick));
}

// The positions of all indices together, of their broadcast sizes, and the step between them.
Tensor combine_positions(const char* op, const std::vector<Pick>& picks, const Dims& sizes, int64_t* step) {
  if (picks.size() == 1 && !picks[0].wraps) {
    *step = picks[0].stride;
    return picks[0].positions;
  }
  *step = picks.size() == 1 ? picks[0].stride : 1;
  Tensor offsets = empty(sizes, DType::int64, picks[0].positions.device());
  if (offsets.numel() == 0) return offsets;
  for (const Pick& pick : picks) {
    OffsetsArgs args{plan({&offsets, &pick.positions}), pick.size, picks.size() == 1 ? 1 : pick.stride, &pick == &picks[0]};
    run(op, offsets, offsets.numel(), kernels(offsets).index_offsets, args);
  }
  return offsets;
}

Dims broadcast_picks(const char* op, const std::vector<Pick>& picks) {
  Dims sizes = picks[0].positions.sizes();
  try {
    for (const Pick& pick : picks) sizes = broadcast(op, sizes, pick.positions.sizes());
  } catch (const RuntimeError&) {
    std::string shapes;
    for (const Pick& pick : picks) shapes += (shapes.empty() ? "" : ", ") + join({Part(pick.positions.sizes())});
    fail<IndexError>(op, ": shape mismatch: indexing tensors could not be broadcast together with shapes ", shapes);
  }
  return sizes;
}

Chosen choose(const char* op, const Tensor& x, Tensors indices) {
  std::vector<Pick> picks;
  int64_t dim = 0;
  for (const Tensor& index : indices) {
    if (!index.defined()) {
      ++dim;
    } else if (is_mask(index)) {
      pick_mask(op, x, to_device(detach(index), x.device()), dim, picks);
      dim += index.dim();
    } else {
      pick_positions(op, x, index, dim++, picks);
    }
  }
  check_index(dim <= x.dim(), op, ": too many indices for tensor of dimension ", x.dim());
  if (picks.empty()) return {x.sizes(), x.strides(), broadcast_alias(zeros({}, DType::int64, x.device()), x.sizes()), 0};

  Chosen part;
  Dims shape = broadcast_picks(op, picks);
  Tensor positions = combine_positions(op, picks, shape, &part.step);
  bool adjacent = true;
  uint32_t taken = 0;
  for (size_t i = 0; i < picks.size(); ++i) {
    adjacent = adjacent && (i == 0 || picks[i].dim == picks[i - 1].dim + picks[i - 1].dims);
    for (int64_t d = 0; d < picks[i].dims; ++d) taken |= 1u << (picks[i].dim + d);
  }
  Dims position_strides;
  auto insert_shape = [&] {
    for (int d = 0; d < shape.size(); ++d) {
      part.sizes.push_back(shape[d]);
      part.strides.push_back(0);
      position_strides.push_back(positions.strides()[d]);
    }
  };
  if (!adjacent) insert_shape();
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (adjacent && d == picks[0].dim) insert_shape();
    if (taken >> d & 1) continue;
    part.sizes.push_back(x.sizes()[d]);
    part.strides.push_back(x.strides()[d]);
    position_strides.push_back(0);
  }
  part.positions = alias(positions, part.sizes, position_strides, positions.offset());
  return part;
}

// Indices kept for a derivative.
struct SavedIndices {
  std::vector<Saved> saved;

  explicit SavedIndices(Tensors indices) {
    for (const Tensor& index : indices) saved.emplace_back(index);
  }
  std::vector<Tensor> operator()() const {
    std::vector<Tensor> indices;
    for (const Saved& index : saved) indices.push_back(index());
    return indices;
  }
};

// Values as an in-place write takes them: leading dimensions of size 1 that the part lacks are let go.
Tensor fitting(const char* op, const Tensor& values, const Dims& sizes) {
  Dims shape = values.sizes();
  while (shape.size() > sizes.size() && shape[0] == 1) shape.erase(0);
  bool fits = shape.size() <= sizes.size();
  for (int d = 1; fits && d <= shape.size(); ++d) {
    int64_t n = shape[shape.size() - d];
    fits = n == 1 || n == sizes[sizes.size() - d];
  }
  check(fits, op, ": shape mismatch: value tensor of shape ", values.sizes(), " cannot be broadcast to indexing result of shape ", sizes);
  return shape.size() == values.dim() ? values : reshape(values, shape);
}

}  // namespace

Tensor index(const Tensor& x, Tensors indices) {
  Tensor y = read_part("index", x, choose("index", x, indices));
  if (Node* node = record("index", y, {x}))
    node->backward = [indices = SavedIndices(indices), sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros(sizes, dy.dtype(), dy.device());
      return {index_put_(dx, indices(), dy, true)};
    };
  return y;
}

// x[mask] = number: no positions are needed.
static bool fills_mask(const Tensor& x, Tensors indices, const Tensor& values, bool accumulate, Tensor* mask) {
  if (accumulate || values.numel() != 1) return false;
  int64_t before = 0, after = 0;
  for (const Tensor& index : indices) {
    if (index.defined() && mask->defined()) return false;
    if (index.defined() && (!is_mask(index) || index.dtype() != DType::bool_)) return false;
    if (index.defined()) *mask = index;
    else ++(mask->defined() ? after : before);
  }
  if (!mask->defined() || before + mask->dim() + after > x.dim()) return false;
  for (int64_t d = 0; d < mask->dim(); ++d)
    if (mask->sizes()[d] != x.sizes()[before + d]) return false;
  Dims sizes = mask->sizes(), strides = mask->strides();
  while (sizes.size() + before < x.dim()) sizes.push_back(1), strides.push_back(0);
  *mask = alias(*mask, sizes, strides, mask->offset());
  return true;
}

Tensor& index_put_(Tensor& x, Tensors indices, const Tensor& values, bool accumulate) {
  if (Tensor mask; fills_mask(x, indices, values, accumulate, &mask)) return masked_fill_(x, mask, reshape(values, {}));
  check(values.dtype() == x.dtype(), "index_put_: Index put requires the source and destination dtypes match, got ", x.dtype(), " for the destination and ",
        values.dtype(), " for the source.");
  check_inplace("index_put_", x);
  Chosen part = choose("index_put_", x, indices);
  Tensor source = fitting("index_put_", values, part.sizes);
  write_part("index_put_", x, part, source, accumulate ? Combine::add : Combine::replace);
  x.bump_version("index_put_");
  if (Node* node = wants_grad({x, source}) ? record_inplace("index_put_", x, {x, source}) : nullptr)
    node->backward = [indices = SavedIndices(indices), accumulate](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dsource;
      std::vector<Tensor> at = indices();
      if (needs[0]) dx = accumulate ? dy : index_put(dy, at, zeros({}, dy.dtype(), dy.device()));
      if (needs[1]) dsource = index(dy, at);
      return {dx, dsource};
    };
  return x;
}

Tensor index_put(const Tensor& x, Tensors indices, const Tensor& values, bool accumulate) {
  Tensor y = clone(x);
  return index_put_(y, indices, values, accumulate);
}

}  // namespace tessel
