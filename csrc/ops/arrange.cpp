// The same elements in other places: flipped, rolled, rotated, repeated, on a diagonal, with a border.
#include <algorithm>

#include "ops/ops.h"

namespace tessel {

// ---- flip, roll, rot90

// Reads x backwards along the dimensions of the mask.
static Tensor reversed(const Tensor& x, uint32_t mask) {
  Dims strides = x.strides();
  int64_t offset = x.offset();
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (!(mask >> d & 1) || x.numel() == 0) continue;
    offset += (x.sizes()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  return alias(x, x.sizes(), strides, offset);
}

Tensor flip(const Tensor& x, Ints dims) {
  uint32_t mask = dims.empty() ? 0 : dim_mask("flip", dims, x.dim());
  Tensor y = empty_like(x);
  copy_elements("flip", y, reversed(x, mask));
  if (Node* node = record("flip", y, {x}))
    node->backward = [dims = Dims(dims)](const Tensor& dy, Needs) -> Grads { return {flip(dy, dims)}; };
  return y;
}

Tensor roll(const Tensor& x, Ints shifts, Ints dims) {
  if (dims.empty() && shifts.size() == 1) {
    int64_t dim = 0;
    return reshape(roll(reshape(x, {-1}), shifts, std::span(&dim, 1)), x.sizes());
  }
  check(!shifts.empty(), "roll: `shifts` required");
  check(shifts.size() == dims.size(), "roll: shifts and dimensions must align. shifts: ", shifts.size(), ", dims:", dims.size());
  check_index(x.dim() > 0, "roll: Dimension specified as ", dims[0], " but tensor has no dimensions");
  Dims back;
  Tensor y = x;
  {
    NoGrad no_grad;
    for (size_t i = 0; i < dims.size(); ++i) {
      int64_t dim = wrap_dim("roll", dims[i], x.dim()), n = x.sizes()[dim];
      int64_t cut = n ? ((-shifts[i]) % n + n) % n : 0;
      back.push_back(-shifts[i]);
      if (cut == 0) continue;
      Tensor parts[] = {narrow(y, dim, cut, n - cut), narrow(y, dim, 0, cut)};
      y = cat(parts, dim);
    }
    if (y.is_same(x)) y = clone(x);
  }
  if (Node* node = record("roll", y, {x}))
    node->backward = [back, dims = Dims(dims)](const Tensor& dy, Needs) -> Grads { return {roll(dy, back, dims)}; };
  return y;
}

Tensor rot90(const Tensor& x, int64_t k, Ints dims) {
  check(dims.size() == 2, "rot90: expected total rotation dims == 2, but got dims = ", dims.size());
  check(x.dim() >= 2, "rot90: expected total dims >= 2, but got total dims = ", x.dim());
  int64_t a = wrap_dim("rot90", dims[0], x.dim()), b = wrap_dim("rot90", dims[1], x.dim());
  check(a != b, "rot90: expected rotation dims to be different, but got dim0 = ", dims[0], " and dim1 = ", dims[1]);
  switch ((k % 4 + 4) % 4) {
    case 1: return transpose(flip(x, std::span(&b, 1)), a, b);
    case 2: return flip(x, Dims{a, b});
    case 3: return transpose(flip(x, std::span(&a, 1)), a, b);
    default: return clone(x);
  }
}

// ---- repeat

// One dimension at a time, for tensors whose repeated dimensions would be more than eight at once.
static Tensor repeat_in_turn(Tensor x, const Dims& repeats) {
  for (int d = 0; d < repeats.size(); ++d) {
    if (repeats[d] == 1) continue;
    Dims one = Dims::filled(repeats.size(), 1);
    one[d] = repeats[d];
    x = repeat(x, one);
  }
  return x;
}

Tensor repeat(const Tensor& x, const Dims& repeats) {
  check(repeats.size() >= x.dim(), "repeat: Number of dimensions of repeat dims (", repeats.size(), ") can not be smaller than number of dimensions of tensor (", x.dim(), ")");
  int64_t lead = repeats.size() - x.dim();
  Dims padded, result;  // x's sizes with leading ones, and the result's
  int extra = 0, repeated = 0;
  for (int d = 0; d < repeats.size(); ++d) {
    padded.push_back(d < lead ? 1 : x.sizes()[d - lead]);
    result.push_back(padded[d] * repeats[d]);
    check(repeats[d] >= 0, "repeat: Trying to create tensor with negative dimension ", result[d], " (repeats are ", repeats, ")");
    extra += repeats[d] != 1 && padded[d] != 1;
    repeated += repeats[d] != 1;
  }
  Tensor from = lead ? reshape(x, padded) : x;
  if (repeated == 0) return clone(from);
  if (repeats.size() + extra > kMaxDims) return repeat_in_turn(from, repeats);
  Dims split, wide;  // each repeated dimension stands behind one of its repetitions
  for (int d = 0; d < repeats.size(); ++d) {
    if (repeats[d] != 1 && padded[d] != 1) split.push_back(1), wide.push_back(repeats[d]);
    split.push_back(padded[d]);
    wide.push_back(padded[d] == 1 ? repeats[d] : padded[d]);
  }
  return reshape(expand(reshape(from, split), wide), result);
}

Tensor repeat_interleave(const Tensor& x_, int64_t repeats, std::optional<int64_t> dim_) {
  check(repeats >= 0, "repeat_interleave: Repeats must be non-negative, got ", repeats);
  Tensor x = dim_ && x_.dim() ? x_ : reshape(x_, {-1});
  int64_t dim = wrap_dim("repeat_interleave", dim_.value_or(0), x.dim());
  if (repeats == 1) return clone(x);
  Dims sizes = x.sizes();
  sizes.insert(dim + 1, repeats);
  return flatten(expand(unsqueeze(x, dim + 1), sizes), dim, dim + 1);
}

// Position i, repeats[i] times.
static Tensor repeated_positions(const Tensor& repeats, std::optional<int64_t> output_size) {
  if (!is_integral(repeats.dtype())) fail<NotImplementedError>("repeat_interleave: not there for repeats of ", repeats.dtype(), ", only for int32 and int64");
  check(repeats.dim() <= 1, "repeat_interleave: repeats must be 0-dim or 1-dim tensor, got ", repeats.sizes());
  Tensor counts = contiguous(to_device(to_dtype(detach(repeats), DType::int64), Device{}));
  const int64_t* count = counts.data_as<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < counts.numel(); ++i) {
    check(count[i] >= 0, "repeat_interleave: repeats can not be negative, got ", count[i], " at ", i);
    total += count[i];
  }
  check(!output_size || *output_size == total, "repeat_interleave: allocated size ", output_size.value_or(0), " does not match required size ", total);
  Tensor positions = empty({total}, DType::int64);
  int64_t* p = positions.data_as<int64_t>();
  for (int64_t i = 0; i < counts.numel(); ++i)
    for (int64_t k = 0; k < count[i]; ++k) *p++ = i;
  return to_device(positions, repeats.device());
}

Tensor repeat_interleave(const Tensor& x_, const Tensor& repeats, std::optional<int64_t> dim_, std::optional<int64_t> output_size) {
  if (!x_.defined()) return repeated_positions(repeats, output_size);
  if (repeats.numel() == 1 && repeats.dim() <= 1 && is_integral(repeats.dtype())) return repeat_interleave(x_, item(repeats).as_int(), dim_);
  Tensor x = dim_ && x_.dim() ? x_ : reshape(x_, {-1});
  int64_t dim = wrap_dim("repeat_interleave", dim_.value_or(0), x.dim());
  check(repeats.dim() != 1 || repeats.numel() == x.sizes()[dim], "repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = ",
        repeats.numel(), " and input.size(", dim, ") = ", x.sizes()[dim]);
  return index_select(x, dim, repeated_positions(repeats, output_size));
}

// ---- diagonals

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  check(x.dim() > 0, "diag_embed: expected at least a 1-dimensional tensor, got ", x.sizes());
  int64_t ndim = x.dim() + 1, n = x.size(-1) + std::abs(offset);
  dim1 = wrap_dim("diag_embed", dim1, ndim);
  dim2 = wrap_dim("diag_embed", dim2, ndim);
  check(dim1 != dim2, "diag_embed: diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  Dims sizes = x.sizes();
  sizes.erase(x.dim() - 1);
  sizes.insert(std::min(dim1, dim2), n);
  sizes.insert(std::max(dim1, dim2), n);
  Tensor y = zeros(sizes, x.dtype(), x.device());
  copy_elements("diag_embed", diagonal(alias(y), offset, dim1, dim2), x);
  if (Node* node = record("diag_embed", y, {x}))
    node->backward = [offset, dim1, dim2](const Tensor& dy, Needs) -> Grads { return {diagonal(dy, offset, dim1, dim2)}; };
  return y;
}

Tensor diag(const Tensor& x, int64_t offset) {
  check(x.dim() == 1 || x.dim() == 2, "diag: Supports 1D or 2D tensors. Got ", x.dim(), "D");
  return x.dim() == 1 ? diag_embed(x, offset) : clone(diagonal(x, offset));
}

// ---- borders

// x without what negative padding cuts off, and the padding that is left. `pad` counts from the last dimension on.
static Tensor cropped(const char* op, Tensor x, Dims& pad) {
  for (int i = 0; i < pad.size(); i += 2) {
    int64_t d = x.dim() - 1 - i / 2, before = std::max<int64_t>(-pad[i], 0), after = std::max<int64_t>(-pad[i + 1], 0);
    if (before + after == 0) continue;
    check(before + after <= x.sizes()[d] + std::max<int64_t>(pad[i], 0) + std::max<int64_t>(pad[i + 1], 0), op, ": The input size ", x.sizes()[d], ", plus negative padding ", pad[i], " and ",
          pad[i + 1], " resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
    int64_t n = x.sizes()[d], start = std::min(before, n);
    x = narrow(x, d, start, std::max<int64_t>(n - after - start, 0));
    pad[i] = std::max<int64_t>(pad[i], 0);
    pad[i + 1] = std::max<int64_t>(pad[i + 1], 0);
  }
  return x;
}

static void check_pad(const char* op, const Tensor& x, Ints pad) {
  check(pad.size() % 2 == 0, op, ": Padding length must be divisible by 2, got ", pad.size());
  check(static_cast<int64_t>(pad.size()) <= 2 * x.dim(), op, ": Padding length should be less than or equal to two times the input dimension but got padding length ", pad.size(),
        " and input of dimension ", x.dim());
}

// Writes the value around the inner part of y: slab by slab, each as wide as the inner part in the dimensions done before.
static void fill_border(const Tensor& y, const Tensor& inner, Ints pad, const Tensor& value) {
  Dims sizes = y.sizes();
  int64_t offset = 0;
  for (size_t i = 0; i < pad.size(); i += 2) {
    int64_t d = y.dim() - 1 - static_cast<int64_t>(i) / 2, before = pad[i], after = pad[i + 1], n = inner.sizes()[d], step = y.strides()[d];
    for (auto [at, length] : {std::pair{int64_t(0), before}, std::pair{before + n, after}}) {
      if (length == 0) continue;
      sizes[d] = length;
      copy_elements("constant_pad_nd", alias(y, sizes, y.strides(), offset + at * step), value);
    }
    sizes[d] = n;
    offset += before * step;
  }
}

Tensor constant_pad_nd(const Tensor& x, Ints pad, Scalar value) {
  check_pad("constant_pad_nd", x, pad);
  Dims border(pad), sizes = x.sizes();
  for (int i = 0; i < border.size(); i += 2) {
    int64_t d = x.dim() - 1 - i / 2;
    sizes[d] += border[i] + border[i + 1];
    check(sizes[d] >= 0, "constant_pad_nd: The input size ", x.sizes()[d], ", plus negative padding ", border[i], " and ", border[i + 1],
          " resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
  }
  Tensor y = empty(sizes, x.dtype(), x.device());
  if (y.numel()) {
    NoGrad no_grad;
    Tensor number = wrapped_number(checked(value, x.dtype()));
    Tensor inner = cropped("constant_pad_nd", detach(x), border);
    if (inner.numel() == 0) {
      fill_(y, number);
    } else {
      int64_t offset = 0;
      for (int i = 0; i < border.size(); i += 2) offset += border[i] * y.strides()[x.dim() - 1 - i / 2];
      copy_elements("constant_pad_nd", alias(y, inner.sizes(), y.strides(), offset), inner);
      fill_border(y, inner, border, number);
    }
  }
  if (Node* node = record("constant_pad_nd", y, {x})) {
    Dims back(pad);
    for (int64_t& p : back) p = -p;
    node->backward = [back](const Tensor& dy, Needs) -> Grads { return {constant_pad_nd(dy, back)}; };
  }
  return y;
}

enum class Border { reflect, replicate, circular };

// Where the elements of a reflected or replicated dimension come from; negative padding cuts off.
static Tensor border_positions(int64_t n, int64_t before, int64_t after, Border border, Device device) {
  Tensor positions = empty({n + before + after}, DType::int64);
  int64_t* p = positions.data_as<int64_t>();
  for (int64_t j = 0; j < positions.numel(); ++j) {
    int64_t i = j - before;
    p[j] = border == Border::replicate ? std::clamp<int64_t>(i, 0, n - 1) : i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
  }
  return to_device(positions, device);
}

static Tensor pad_dim(const Tensor& x, int64_t d, int64_t before, int64_t after, Border border) {
  if (before == 0 && after == 0) return x;
  int64_t n = x.sizes()[d];
  if (before < 0 || after < 0) return index_select(x, d, border_positions(n, before, after, border, x.device()));
  std::vector<Tensor> parts;
  auto side = [&](int64_t length, bool front) {
    if (length == 0) return;
    Dims sizes = x.sizes();
    sizes[d] = length;
    switch (border) {
      case Border::reflect: return parts.push_back(flip(narrow(x, d, front ? 1 : n - 1 - length, length), std::span(&d, 1)));
      case Border::replicate: return parts.push_back(expand(narrow(x, d, front ? 0 : n - 1, 1), sizes));
      case Border::circular: return parts.push_back(narrow(x, d, front ? n - length : 0, length));
    }
  };
  side(before, true);
  parts.push_back(x);
  side(after, false);
  return cat(parts, d);
}

Tensor pad(const Tensor& x_, Ints pad, std::string_view mode, std::optional<double> value) {
  check_pad("pad", x_, pad);
  if (mode == "constant") {
    double v = value.value_or(0);
    bool whole = !is_floating(x_.dtype()) && v == static_cast<double>(static_cast<int64_t>(v));
    return constant_pad_nd(x_, pad, whole ? Scalar(static_cast<int64_t>(v)) : Scalar(v));
  }
  check(!value || *value == 0, "pad: Padding mode \"", mode, "\" doesn't take in value argument");
  Border border = mode == "reflect" ? Border::reflect : mode == "replicate" ? Border::replicate : Border::circular;
  if (border == Border::circular && mode != "circular") fail<NotImplementedError>("pad: Unrecognised padding mode ", mode);
  int64_t spatial = static_cast<int64_t>(pad.size()) / 2;
  if (spatial < 1 || spatial > 3 || (x_.dim() != spatial + 1 && x_.dim() != spatial + 2))
    fail<NotImplementedError>("pad: Padding size ", pad.size(), " is not supported for ", x_.dim(), "D input tensor with mode ", mode, ": it pads the last 1, 2 or 3 dimensions of tensors that have one or two more");
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t d = x_.dim() - 1 - i, n = x_.sizes()[d];
    for (int64_t p : {pad[2 * i], pad[2 * i + 1]}) {
      check(border != Border::reflect || p < n, "pad: Padding size should be less than the corresponding input dimension, but got: padding (", pad[2 * i], ", ", pad[2 * i + 1],
            ") at dimension ", d, " of input ", x_.sizes());
      check(border != Border::circular || p <= n, "pad: Padding value causes wrapping around more than once: padding (", pad[2 * i], ", ", pad[2 * i + 1], ") at dimension ", d, " of input ", x_.sizes());
    }
    check(n > 0 || (pad[2 * i] <= 0 && pad[2 * i + 1] <= 0), "pad: Expected a non-empty dimension ", d, " to pad with mode ", mode, ", but got input of size ", x_.sizes());
    check(n + pad[2 * i] + pad[2 * i + 1] >= 1, "pad: input (", x_.sizes(), ") is too small for padding ", pad, ": dimension ", d, " would have size ", n + pad[2 * i] + pad[2 * i + 1]);
  }
  Dims rest(pad);
  Tensor x = border == Border::circular ? cropped("pad", x_, rest) : x_;
  for (int64_t i = 0; i < spatial; ++i) x = pad_dim(x, x.dim() - 1 - i, rest[2 * i], rest[2 * i + 1], border);
  return x.is_same(x_) ? clone(x) : x;
}

}  // namespace tessel
