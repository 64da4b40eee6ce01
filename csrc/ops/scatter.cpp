// Indexing along one dimension: gather and scatter, whose index has the part's sizes, and the index_* ops, whose index is
// a vector that all rows share. What is combined with what lies there already follows the order of the index.
#include "ops/indexing.h"

namespace tessel {

namespace {

// A 0-d tensor as one with a single element.
Tensor as_vector(const Tensor& x) { return x.dim() ? x : alias(x, {1}, {1}, x.offset()); }

template <class E>
void check_positions(const char* op, const Tensor& index, int64_t low, int64_t dim, int64_t size) {
  if (index.numel() == 0) return;
  Range range = range_of(index);
  if (range.least < low || range.greatest >= size) [[unlikely]]
    fail<E>(op, ": index ", range.greatest >= size ? range.greatest : range.least, " is out of bounds for dimension ", dim, " with size ", size);
}

// ---- gather, scatter: what is checked, and the part

struct Along {
  int64_t dim;
  Tensor x, index;  // at least 1-d, without history
};

Along along(const char* op, const Tensor& x, int64_t dim, const Tensor& index_) {
  dim = wrap_dim(op, dim, x.dim());
  Tensor index = index_.numel() ? as_positions(op, detach(index_)) : to_dtype(detach(index_), DType::int64);  // of what is empty the dtype does not matter
  Along at{dim, as_vector(x), as_vector(to_device(index, x.device()))};
  check(at.x.dim() == at.index.dim() || index_.numel() == 0, op, ": Index tensor must have the same number of dimensions as input tensor (index is ", index_.sizes(), ", input is ", x.sizes(), ")");
  return at;
}

void check_within(const char* op, const Along& at, const Tensor& source, const char* what) {
  if (at.index.numel() == 0) return;
  for (int64_t d = 0; d < at.index.dim(); ++d) {
    check(d == at.dim || at.index.sizes()[d] <= at.x.sizes()[d], op, ": Expected index ", at.index.sizes(), " to be no larger than self ", at.x.sizes(), " apart from dimension ", at.dim,
          what, source.defined() ? source.sizes() : Dims{});
    if (source.defined())
      check(at.index.sizes()[d] <= source.sizes()[d], op, ": Expected index ", at.index.sizes(), " to be no larger than self ", at.x.sizes(), " apart from dimension ", at.dim,
            what, source.sizes());
  }
}

// The part of a source that an index of these sizes reads.
Tensor corner(const Tensor& source, const Dims& sizes) { return alias(source, sizes, source.strides(), source.offset()); }

// A source's values, of the index's sizes; a number is one value for all.
Tensor scatter_source(const char* op, const Along& at, const Tensor& source_) {
  if (source_->wrapped_number) return to_dtype(source_, at.x.dtype());
  check(source_.dtype() == at.x.dtype(), op, ": Expected self.dtype to be equal to src.dtype, got ", at.x.dtype(), " and ", source_.dtype());
  Tensor source = as_vector(detach(source_));
  check(source.dim() == at.index.dim() || at.index.numel() == 0, op, ": Index tensor must have the same number of dimensions as src tensor (index is ", at.index.sizes(), ", src is ", source_.sizes(), ")");
  check_within(op, at, source, " and to be no larger size than src ");
  return at.index.numel() ? corner(source, at.index.sizes()) : source;
}

void scatter_into(const char* op, const Along& at, const Tensor& source, Combine combine) {
  if (at.index.numel() == 0) return;
  check_within(op, at, Tensor(), "");
  check_positions<RuntimeError>(op, at.index, 0, at.dim, at.x.sizes()[at.dim]);
  write_part(op, at.x, choose_along(at.x, at.dim, at.index), source, combine);
}

// The gradient of a source of which the corner was read.
Tensor padded_to(const Tensor& dpart, const Dims& sizes) {
  if (dpart.sizes() == sizes) return dpart;
  if (dpart.dim() == sizes.size()) {
    Dims pad;
    for (int64_t d = sizes.size() - 1; d >= 0; --d) pad.push_back(0), pad.push_back(sizes[d] - dpart.sizes()[d]);
    return constant_pad_nd(dpart, pad);
  }
  return dpart.numel() ? reshape(dpart, sizes) : zeros(sizes, dpart.dtype(), dpart.device());
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  Along at = along("gather", x, dim, index);
  check_within("gather", at, Tensor(), "");
  check_positions<RuntimeError>("gather", at.index, 0, at.dim, at.x.sizes()[at.dim]);
  Tensor y;
  if (index.numel() == 0) {
    y = empty(index.sizes(), x.dtype(), x.device());
  } else {
    y = read_part("gather", at.x, choose_along(at.x, at.dim, at.index));
    if (index.dim() == 0) y = alias(y, {}, {}, 0);
  }
  if (Node* node = record("gather", y, {x}))
    node->backward = [index = Saved(index), dim = at.dim, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros(sizes, dy.dtype(), dy.device());
      return {scatter_add_(dx, dim, index(), dy)};
    };
  return y;
}

Tensor& scatter_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_inplace("scatter_", x);
  Along at = along("scatter_", x, dim, index);
  scatter_into("scatter_", at, scatter_source("scatter_", at, source), Combine::replace);
  x.bump_version("scatter_");
  bool number = source->wrapped_number;
  if (Node* node = wants_grad({x, source}) ? record_inplace("scatter_", x, {x, source}) : nullptr)
    node->backward = [index = Saved(index), dim = at.dim, number, sizes = source.sizes()](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dsource;
      if (needs[0]) dx = scatter(dy, dim, index(), wrapped_number(Scalar(0)));
      if (needs[1] && !number) dsource = padded_to(gather(dy, dim, index()), sizes);
      return {dx, dsource};
    };
  return x;
}

Tensor& scatter_add_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_inplace("scatter_add_", x);
  Along at = along("scatter_add_", x, dim, index);
  scatter_into("scatter_add_", at, scatter_source("scatter_add_", at, source), Combine::add);
  x.bump_version("scatter_add_");
  if (Node* node = wants_grad({x, source}) ? record_inplace("scatter_add_", x, {x, source}) : nullptr)
    node->backward = [index = Saved(index), dim = at.dim, sizes = source.sizes()](const Tensor& dy, Needs needs) -> Grads {
      return {dy, needs[1] ? padded_to(gather(dy, dim, index()), sizes) : Tensor()};
    };
  return x;
}

// ---- scatter_reduce: sum, prod, mean, amax, amin of what lies there (unless left out) and what arrives

namespace {

enum class How { sum, prod, mean, amax, amin };

How parse_reduce(const char* op, std::string_view reduce) {
  constexpr std::string_view names[] = {"sum", "prod", "mean", "amax", "amin"};
  for (int i = 0; i < 5; ++i)
    if (reduce == names[i]) return static_cast<How>(i);
  fail<RuntimeError>(op, ": reduce argument must be either sum, prod, mean, amax or amin, got ", reduce);
}

Combine combine_of(How how) {
  return how == How::prod ? Combine::multiply : how == How::amax ? Combine::greatest : how == How::amin ? Combine::least : Combine::add;
}

// What a place holds before anything has arrived.
Tensor neutral(How how, DType dtype) {
  double inf = std::numeric_limits<double>::infinity();
  bool real = is_floating(dtype);
  auto limit = [&](bool least) {
    switch (dtype) {
      case DType::bool_: return Scalar(!least);
      case DType::uint8: return Scalar(int64_t(least ? 0 : 255));
      case DType::int8: return Scalar(int64_t(least ? INT8_MIN : INT8_MAX));
      case DType::int16: return Scalar(int64_t(least ? INT16_MIN : INT16_MAX));
      case DType::int32: return Scalar(int64_t(least ? INT32_MIN : INT32_MAX));
      default: return Scalar(least ? INT64_MIN : INT64_MAX);
    }
  };
  switch (how) {
    case How::prod: return wrapped_number(Scalar(1));
    case How::amax: return wrapped_number(real ? Scalar(-inf) : limit(true));
    case How::amin: return wrapped_number(real ? Scalar(inf) : limit(false));
    default: return wrapped_number(Scalar(0));
  }
}

Tensor one() { return wrapped_number(Scalar(1)); }
Tensor zero() { return wrapped_number(Scalar(0)); }

// How many elements met in each place, the one that lay there included; at least 1.
Tensor met(const Tensor& like, int64_t dim, const Tensor& index, DType dtype, bool include_self) {
  Tensor count = full(like.sizes(), Scalar(include_self ? 1 : 0), dtype, like.device());
  scatter_add_(count, dim, index, ones(index.sizes(), dtype, like.device()));
  return maximum(count, one());
}

Tensor times_where(const Tensor& mask, const Tensor& x) { return where(mask, x, zero()); }

struct Reduced {
  Tensor x, index, source, y;
  int64_t dim;
  bool include_self;

  Tensor gathered(const Tensor& t) const { return gather(t, dim, index); }
  Tensor here(const Tensor& t) const { return include_self ? t : scatter(t, dim, index, zero()); }  // what lay there counts not
};

Grads reduce_prod_backward(const Reduced& r, const Tensor& dy, Needs needs) {
  auto product = [&](const Tensor& x, const Tensor& source) { return scatter_reduce(x, r.dim, r.index, source, "prod", r.include_self); };
  Tensor dx, dsource;
  if (needs[0]) {  // the product of the others, exact where x is 0
    Tensor masked = masked_fill(r.x, eq(r.x, zero()), one());
    dx = r.here(dy * product(masked, r.source) / masked);
  }
  if (needs[1]) {  // where a place has a single zero, only that factor has a gradient
    Tensor is_zero = eq(r.source, zero());
    Tensor zeros_there = scatter_add(zeros(r.x.sizes(), dy.dtype(), dy.device()), r.dim, r.index, to_dtype(is_zero, dy.dtype()));
    Tensor single = binary(Binary::logical_and, is_zero, eq(r.gathered(zeros_there), one()));
    Tensor others = product(r.x, masked_fill(r.source, single, one()));
    dsource = where(single, r.gathered(dy * others), r.gathered(dy * r.y) / masked_fill(r.source, is_zero, one()));
  }
  return {dx, dsource};
}

// Equal extremes share the gradient.
Grads reduce_extreme_backward(const Reduced& r, const Tensor& dy) {
  DType type = dy.dtype();
  Tensor x_is = to_dtype(eq(r.x, r.y), type), source_is = to_dtype(eq(r.source, r.gathered(r.y)), type);
  x_is = r.here(x_is);
  Tensor share = dy / maximum(scatter_add(x_is, r.dim, r.index, source_is), one());
  return {x_is * share, source_is * r.gathered(share)};
}

// y is empty where the derivative reads nothing.
Grads reduce_backward(How how, const Reduced& r, const Tensor& dy, Needs needs) {
  switch (how) {
    case How::sum: return {r.here(dy), needs[1] ? r.gathered(dy) : Tensor()};
    case How::mean: {
      Tensor share = dy / met(dy, r.dim, r.index, dy.dtype(), r.include_self);
      return {r.here(share), needs[1] ? r.gathered(share) : Tensor()};
    }
    case How::prod: return reduce_prod_backward(r, dy, needs);
    default: return reduce_extreme_backward(r, dy);
  }
}

// x reduced with a source, both at least 1-d, where `index` (of the source's sizes, no larger than x) says.
void reduce_into(const char* op, const Along& at, const Tensor& source, How how, bool include_self) {
  if (at.index.numel() == 0) return;
  check_within(op, at, Tensor(), "");
  check_positions<RuntimeError>(op, at.index, 0, at.dim, at.x.sizes()[at.dim]);
  Chosen part = choose_along(at.x, at.dim, at.index);
  if (!include_self) write_part(op, at.x, part, to_dtype(neutral(how, at.x.dtype()), at.x.dtype()), Combine::replace);
  write_part(op, at.x, part, source, combine_of(how));
}

// The whole op: index has the source's sizes or less, x_ has been checked to be writable.
Tensor reduce_any(const char* op, const Tensor& x, bool inplace, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  How how = parse_reduce(op, reduce);
  if (inplace) check_inplace(op, x);
  Along at = along(op, x, dim, index);
  bool wanted = wants_grad({x, source}), reads = wanted && how != How::sum && how != How::mean;
  Tensor before = inplace && reads ? clone(x) : x;
  Tensor y = inplace ? x : clone(detach(x));
  at.x = as_vector(y);
  reduce_into(op, at, scatter_source(op, at, source), how, include_self);
  if (how == How::mean && at.index.numel()) {
    NoGrad no_grad;
    Tensor count = met(at.x, at.dim, at.index, is_floating(x.dtype()) ? x.dtype() : DType::int64, include_self);
    copy_(alias(at.x), binary(is_floating(x.dtype()) ? Binary::div : Binary::floor_divide, alias(at.x), count));
  }
  if (inplace) y.bump_version(op);
  if (Node* node = !wanted ? nullptr : inplace ? record_inplace(op, y, {y, source}) : record(op, y, {x, source}))
    node->backward = [how, dim = at.dim, include_self, index = Saved(index), x = reads ? Saved(before) : Saved(), source = reads ? Saved(source) : Saved(),
                      y = reads ? SavedOutput(y) : SavedOutput(), sizes = source.sizes()](const Tensor& dy, Needs needs) -> Grads {
      Tensor src = source();
      if (src.defined() && !(src.sizes() == index().sizes())) src = as_strided(src, index().sizes(), src.strides());
      Grads grads = reduce_backward(how, {x(), index(), src, y(), dim, include_self}, dy, needs);
      if (grads[1].defined()) grads[1] = padded_to(grads[1], sizes);
      return grads;
    };
  return y;
}

}  // namespace

Tensor& scatter_reduce_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  reduce_any("scatter_reduce_", x, true, dim, index, source, reduce, include_self);
  return x;
}
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  return reduce_any("scatter_reduce", x, false, dim, index, source, reduce, include_self);
}

// ---- index_*: the index is a vector

namespace {

Dims with_size(Dims sizes, int64_t dim, int64_t n) {
  if (sizes.size()) sizes[dim] = n;
  return sizes;
}

// The vector as an index of every row, of the part's sizes.
Tensor for_all_rows(const Tensor& index, int64_t dim, const Dims& sizes) {
  Dims strides = Dims::filled(sizes.size(), 0);
  if (sizes.size()) strides[dim] = index.dim() ? index.strides()[0] : 0;
  return alias(index, sizes, strides, index.offset());
}

// x, dim and the index as a vector of int64.
Along along_vector(const char* op, const Tensor& x, int64_t dim, const Tensor& index_) {
  dim = wrap_dim(op, dim, x.dim());
  check_index(index_.dim() <= 1, op, ": Index is supposed to be a vector, got ", index_.sizes());
  return {dim, as_vector(x), as_vector(to_device(as_positions(op, detach(index_)), x.device()))};
}

// A source that has x's sizes but for one row an index along dim. Where it has not, E is raised.
template <class E>
Tensor checked_source(const char* op, const Along& at, const Tensor& source_) {
  check(source_.dtype() == at.x.dtype(), op, ": self and source expected to have the same dtype, but got (self) ", at.x.dtype(), " and (source) ", source_.dtype());
  Tensor source = as_vector(detach(source_));
  int64_t n = at.index.numel();
  if (source.dim() != at.x.dim() && !(source_.dim() == 0 && n == 1))
    fail<E>(op, ": When source and destination are not scalars, their dimensionality must match. Source dimensionality (",
              source_.dim(), "), destination dimensionality (", at.x.dim(), ")");
  if (source_.dim() == 0) return broadcast_alias(source, with_size(at.x.sizes(), at.dim, n));
  if (source.sizes()[at.dim] != n) fail<E>(op, ": Number of indices (", n, ") should be equal to source.size(dim): (", source.sizes()[at.dim], "), for dim: ", at.dim);
  for (int64_t d = 0; d < source.dim(); ++d)
    check(d == at.dim || source.sizes()[d] == at.x.sizes()[d], op, ": source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = ",
          at.x.sizes(), " source.shape = ", source.sizes());
  return source;
}

void write_rows(const char* op, const Along& at, const Tensor& source, Combine combine) {
  Dims sizes = with_size(at.x.sizes(), at.dim, at.index.numel());
  write_part(op, at.x, choose_along(at.x, at.dim, for_all_rows(at.index, at.dim, sizes)), source, combine);
}

}  // namespace

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  Along at = along_vector("index_select", x, dim, index);
  check_positions<IndexError>("index_select", at.index, 0, at.dim, at.x.sizes()[at.dim]);
  Dims sizes = with_size(at.x.sizes(), at.dim, at.index.numel());
  Tensor y = read_part("index_select", at.x, choose_along(at.x, at.dim, for_all_rows(at.index, at.dim, sizes)));
  if (x.dim() == 0) {
    check(index.numel() == 1, "index_select: Index to scalar can have only 1 value, got ", index.numel(), " value(s)");
    y = alias(y, {}, {}, 0);
  }
  if (Node* node = record("index_select", y, {x}))
    node->backward = [index = Saved(index), dim = at.dim, sizes = x.sizes()](const Tensor& dy, Needs) -> Grads {
      Tensor dx = zeros(sizes, dy.dtype(), dy.device());
      return {index_add_(dx, dim, index(), dy)};
    };
  return y;
}

Tensor& index_add_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  check_inplace("index_add_", x);
  Along at = along_vector("index_add_", x, dim, index);
  Tensor rows = checked_source<RuntimeError>("index_add_", at, source);
  check_positions<RuntimeError>("index_add_", at.index, 0, at.dim, at.x.sizes()[at.dim]);
  check(alpha.is_integral() || is_floating(x.dtype()), "index_add_: For integral input tensors, argument alpha must not be a floating point number.");
  bool scaled = alpha.as_double() != 1;
  if (scaled) {
    NoGrad no_grad;
    rows = to_dtype(mul(rows, alpha), x.dtype());
  }
  write_rows("index_add_", at, rows, Combine::add);
  x.bump_version("index_add_");
  if (Node* node = wants_grad({x, source}) ? record_inplace("index_add_", x, {x, source}) : nullptr)
    node->backward = [index = Saved(index), dim = at.dim, scaled, alpha, sizes = source.sizes()](const Tensor& dy, Needs needs) -> Grads {
      Tensor dsource;
      if (needs[1]) dsource = index_select(dy, dim, index());
      if (needs[1] && scaled) dsource = mul(dsource, alpha);
      if (needs[1] && !(dsource.sizes() == sizes)) dsource = reshape(dsource, sizes);
      return {dy, dsource};
    };
  return x;
}

Tensor& index_copy_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  check_inplace("index_copy_", x);
  Along at = along_vector("index_copy_", x, dim, index);
  Tensor rows = checked_source<IndexError>("index_copy_", at, source);
  check_positions<IndexError>("index_copy_", at.index, 0, at.dim, at.x.sizes()[at.dim]);
  write_rows("index_copy_", at, rows, Combine::replace);
  x.bump_version("index_copy_");
  if (Node* node = wants_grad({x, source}) ? record_inplace("index_copy_", x, {x, source}) : nullptr)
    node->backward = [index = Saved(index), dim = at.dim, sizes = source.sizes()](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dsource;
      if (needs[0]) dx = index_fill(dy, dim, index(), zero());
      if (needs[1]) dsource = index_select(dy, dim, index());
      if (needs[1] && !(dsource.sizes() == sizes)) dsource = sizes.empty() ? sum(dsource) : reshape(dsource, sizes);
      return {dx, dsource};
    };
  return x;
}

Tensor& index_fill_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  check_inplace("index_fill_", x);
  check(value.dim() == 0, "index_fill_: only supports a 0-dimensional value tensor, but got tensor with ", value.dim(), " dimension(s).");
  Along at = along_vector("index_fill_", x, dim, index);
  int64_t n = at.x.sizes()[at.dim];
  check_positions<IndexError>("index_fill_", at.index, -n, at.dim, n);
  if (range_of(at.index).least < 0) at.index = binary(Binary::remainder, at.index, wrapped_number(Scalar(n)));
  write_rows("index_fill_", at, to_dtype(detach(value), x.dtype()), Combine::replace);
  x.bump_version("index_fill_");
  if (Node* node = wants_grad({x, value}) ? record_inplace("index_fill_", x, {x, value}) : nullptr)
    node->backward = [index = Saved(at.index), dim = at.dim](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dvalue;
      if (needs[0]) dx = index_fill(dy, dim, index(), zero());
      if (needs[1]) dvalue = sum(index_select(dy, dim, std::get<0>(unique(index()))));  // a row that comes twice is written once
      return {dx, dvalue};
    };
  return x;
}

static Tensor index_reduce_any(const char* op, const Tensor& x, bool inplace, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  check(reduce == "prod" || reduce == "mean" || reduce == "amax" || reduce == "amin", op, ": Expected reduce to be one of prod, mean, amax or amin but got ", reduce, ".");
  Along at = along_vector(op, x, dim, index);
  checked_source<IndexError>(op, at, source);
  check_positions<IndexError>(op, at.index, 0, at.dim, at.x.sizes()[at.dim]);
  return reduce_any(op, x, inplace, dim, for_all_rows(at.index, at.dim, source.sizes()), source, reduce, include_self);
}

Tensor& index_reduce_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  index_reduce_any("index_reduce_", x, true, dim, index, source, reduce, include_self);
  return x;
}
Tensor index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self) {
  return index_reduce_any("index_reduce", x, false, dim, index, source, reduce, include_self);
}

// ---- out of place: the same on a copy

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  Tensor y = clone(x);
  return scatter_(y, dim, index, source);
}
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  Tensor y = clone(x);
  return scatter_add_(y, dim, index, source);
}
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  Tensor y = clone(x);
  return index_add_(y, dim, index, source, alpha);
}
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  Tensor y = clone(x);
  return index_copy_(y, dim, index, source);
}
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  Tensor y = clone(x);
  return index_fill_(y, dim, index, value);
}

// ---- positions in the flattened tensor

Tensor take(const Tensor& x, const Tensor& index) {
  check(index.dtype() == DType::int64, "take: Expected a long tensor for index, but got ", index.dtype());
  int64_t n = x.numel();
  Range range = range_of(index);
  if (index.numel())
    check_index(range.least >= -n && range.greatest < n, "take: out of range: tried to access index ", range.greatest >= n ? range.greatest : range.least, " on a tensor of ", n, " elements.");
  return tessel::index(reshape(x, {-1}), std::span(&index, 1));
}

Tensor& put_(Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) {
  check(index.dtype() == DType::int64, "put_: Expected a long tensor for index, but got ", index.dtype());
  check(source.dtype() == x.dtype(), "put_: self and source expected to have the same dtype, but got self.dtype = ", x.dtype(), " and source.dtype = ", source.dtype());
  check(index.numel() == source.numel(), "put_: Expected source and index to have the same number of elements, but got source.numel() = ", source.numel(), ", index.numel() = ", index.numel());
  int64_t n = x.numel();
  Range range = range_of(index);
  if (index.numel())
    check_index(range.least >= -n && range.greatest < n, "put_: out of range: tried to access index ", range.greatest >= n ? range.greatest : range.least, " on a tensor of ", n, " elements.");
  Tensor values = reshape(source, index.sizes());
  if (x.is_contiguous()) {
    Tensor flat = view(x, {n});
    index_put_(flat, std::span(&index, 1), values, accumulate);
  } else {
    check_inplace("put_", x);
    Tensor flat = reshape(clone(x), {n});
    copy_(x, reshape(index_put(flat, std::span(&index, 1), values, accumulate), x.sizes()));
  }
  return x;
}

Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int64_t> dim_) {
  check(is_integral(index.dtype()), "take_along_dim: dtype of indices should be Long but got ", index.dtype());
  if (!dim_) return gather(reshape(x, {-1}), 0, reshape(index, {-1}));
  check(x.dim() == index.dim(), "take_along_dim: input and indices should have the same number of dimensions, but got ", x.dim(), " dimensions for input, and ", index.dim(), " dimensions for indices");
  int64_t dim = wrap_dim("take_along_dim", *dim_, x.dim());
  auto without = [dim](Dims sizes, int64_t n) { return with_size(sizes, dim, n); };
  Dims common = broadcast("take_along_dim", without(x.sizes(), 1), without(index.sizes(), 1));
  if (common.empty()) return gather(x, dim, index);
  int64_t n = x.sizes()[dim];
  Tensor at = expand(index, without(common, index.sizes()[dim]));
  if (range_of(to_dtype(detach(index), DType::int64)).least < 0) at = where(lt(at, zero()), add(at, Scalar(n)), at);
  return gather(expand(x, without(common, n)), dim, at);
}

}  // namespace tessel
