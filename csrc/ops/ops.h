// Every op by family: the engine's table of contents. An op checks, runs its kernel and remembers its derivative.
#pragma once
#include <array>
#include <optional>
#include <string_view>
#include <tuple>

#include "autograd/node.h"
#include "core/random.h"
#include "core/tensor.h"
#include "ops/plan.h"

namespace tessel {

using Ints = std::span<const int64_t>;
using Tensors = std::span<const Tensor>;

// ---- creation
Tensor empty(const Dims& sizes, DType dtype, Device device = {});
Tensor empty_strided(const Dims& sizes, const Dims& strides, DType dtype, Device device = {});
inline Tensor empty_like(const Tensor& x) { return empty_result(x.sizes(), x.dtype(), x); }
Tensor empty_like(const Tensor& x, DType dtype, Device device, MemoryFormat format);
Tensor zeros(const Dims& sizes, DType dtype, Device device = {});
Tensor ones(const Dims& sizes, DType dtype, Device device = {});
Tensor full(const Dims& sizes, Scalar value, DType dtype, Device device = {});
Tensor scalar_tensor(Scalar value, DType dtype, Device device = {});
Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device = {});
Tensor linspace(double start, double end, int64_t steps, DType dtype, Device device = {});
Tensor logspace(double start, double end, int64_t steps, double base, DType dtype, Device device = {});
Tensor eye(int64_t n, int64_t m, DType dtype, Device device = {});
Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset, DType dtype, Device device = {});
Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset, DType dtype, Device device = {});
Tensor wrapped_number(Scalar value);        // a 0-d tensor that yields in type promotion
Scalar checked(Scalar value, DType dtype);  // the number; RuntimeError where the dtype can't hold it
Device default_device();                    // of tensors made from nothing
void set_default_device(Device device);

// ---- from a matrix or vectors to a matrix
Tensor tril(const Tensor& x, int64_t diagonal = 0, const Into& into = {});  // zero above the diagonal
Tensor triu(const Tensor& x, int64_t diagonal = 0, const Into& into = {});
std::vector<Tensor> meshgrid(Tensors xs, std::string_view indexing);
Tensor cartesian_prod(Tensors xs);
Tensor combinations(const Tensor& x, int64_t r = 2, bool with_replacement = false);
Tensor vander(const Tensor& x, std::optional<int64_t> columns, bool increasing = false);

// ---- random: each takes one draw of the generator
Tensor& uniform_(Tensor& x, double from, double to, Generator& generator);
Tensor& normal_(Tensor& x, double mean, double std, Generator& generator);
Tensor& log_normal_(Tensor& x, double mean, double std, Generator& generator);
Tensor& exponential_(Tensor& x, double rate, Generator& generator);
Tensor& cauchy_(Tensor& x, double median, double scale, Generator& generator);
Tensor& geometric_(Tensor& x, double p, Generator& generator);
Tensor& bernoulli_(Tensor& x, double p, Generator& generator);
Tensor& bernoulli_(Tensor& x, const Tensor& p, Generator& generator);
Tensor& random_(Tensor& x, std::optional<int64_t> from, std::optional<int64_t> to, Generator& generator);  // integers in [from, to)
Tensor bernoulli(const Tensor& p, Generator& generator);
Tensor normal(const Tensor& mean, const Tensor& std, Generator& generator);  // the sizes of both, broadcast
Tensor poisson(const Tensor& rate, Generator& generator);
Tensor binomial(const Tensor& count, const Tensor& p, Generator& generator);
Tensor standard_gamma(const Tensor& alpha, Generator& generator);   // differentiable: as alpha moves, its quantiles do
Tensor standard_gamma_backward(const Tensor& alpha, const Tensor& x);
Tensor randperm(int64_t n, DType dtype, Device device, Generator& generator);
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, Generator& generator);
Tensor dropout(const Tensor& x, double p, bool training, bool inplace = false);
Tensor dropout(const Tensor& x, double p, Draw draw);   // what that draw drops
Tensor feature_dropout(const Tensor& x, double p, bool training, bool inplace = false);  // whole channels: dropout1d, 2d, 3d
Tensor alpha_dropout(const Tensor& x, double p, bool training, bool inplace = false);
Tensor feature_alpha_dropout(const Tensor& x, double p, bool training, bool inplace = false);

// ---- memory: copies and conversions
Tensor& copy_(Tensor& x, const Tensor& source);
inline Tensor& copy_(Tensor&& x, const Tensor& source) { return copy_(x, source); }
void copy_elements(const char* name, const Tensor& y, const Tensor& x);   // y = x on one device: no checks, no history, no new version
Tensor& fill_(Tensor& x, const Tensor& value);
Tensor& zero_(Tensor& x);
Tensor clone(const Tensor& x);              // keeps the layout of dense tensors
Tensor clone(const Tensor& x, MemoryFormat format);
Tensor contiguous(const Tensor& x);         // x itself where it is in C order
inline Tensor in_order(const Tensor& x) { return x.is_contiguous() ? x : contiguous(detach(x)); }  // for kernels: without history
Tensor contiguous(const Tensor& x, MemoryFormat format);
// The same values as another dtype on another device; x itself where nothing changes, unless `copy`.
Tensor to(const Tensor& x, DType dtype, Device device, bool copy = false, MemoryFormat format = MemoryFormat::preserve);
Tensor to_dtype(const Tensor& x, DType dtype);
Tensor to_device(const Tensor& x, Device device);
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);
Scalar item(const Tensor& x);               // RuntimeError unless there is exactly one element

// ---- comparing whole tensors
bool equal(const Tensor& a, const Tensor& b);
Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan);
bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan);

// ---- elementwise (the lists of names stand in kernels.h; the functions in functions.h)
Tensor unary(Unary op, const Tensor& x, const Params& params = {}, const Into& into = {});
Tensor binary(Binary op, const Tensor& a, const Tensor& b, const Params& params = {}, const Into& into = {});
Tensor ternary(Ternary op, const Tensor& a, const Tensor& b, const Tensor& c, const Params& params = {}, const Into& into = {});
const char* unary_name(Unary op);
const char* binary_name(Binary op);

inline Tensor neg(const Tensor& x) { return unary(Unary::neg, x); }
inline Tensor abs(const Tensor& x) { return unary(Unary::abs, x); }
inline Tensor sign(const Tensor& x) { return unary(Unary::sign, x); }
inline Tensor exp(const Tensor& x) { return unary(Unary::exp, x); }
inline Tensor log(const Tensor& x) { return unary(Unary::log, x); }
inline Tensor sqrt(const Tensor& x) { return unary(Unary::sqrt, x); }
inline Tensor square(const Tensor& x) { return unary(Unary::square, x); }
inline Tensor reciprocal(const Tensor& x) { return unary(Unary::reciprocal, x); }
inline Tensor isnan(const Tensor& x) { return unary(Unary::isnan, x); }
inline Tensor logical_not(const Tensor& x) { return unary(Unary::logical_not, x); }

Tensor add(const Tensor& a, const Tensor& b, Scalar alpha = 1, const Into& into = {});
Tensor sub(const Tensor& a, const Tensor& b, Scalar alpha = 1, const Into& into = {});
inline Tensor mul(const Tensor& a, const Tensor& b, const Into& into = {}) { return binary(Binary::mul, a, b, {}, into); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(Binary::div, a, b); }
Tensor div(const Tensor& a, const Tensor& b, std::optional<std::string> rounding_mode, const Into& into = {});
Tensor floor_divide(const Tensor& a, const Tensor& b, const Into& into = {});
Tensor remainder(const Tensor& a, const Tensor& b, const Into& into = {});
Tensor fmod(const Tensor& a, const Tensor& b, const Into& into = {});
Tensor pow(const Tensor& a, const Tensor& b, const Into& into = {});
Tensor clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high, const Into& into = {});
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high, const Into& into = {});   // either may be undefined
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight, const Into& into = {});
Tensor addcmul(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value = 1, const Into& into = {});
Tensor addcdiv(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value = 1, const Into& into = {});
Tensor round(const Tensor& x, int64_t decimals = 0, const Into& into = {});
Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> posinf, std::optional<double> neginf, const Into& into = {});
inline Tensor maximum(const Tensor& a, const Tensor& b) { return binary(Binary::maximum, a, b); }
inline Tensor minimum(const Tensor& a, const Tensor& b) { return binary(Binary::minimum, a, b); }
inline Tensor eq(const Tensor& a, const Tensor& b) { return binary(Binary::eq, a, b); }
inline Tensor ne(const Tensor& a, const Tensor& b) { return binary(Binary::ne, a, b); }
inline Tensor lt(const Tensor& a, const Tensor& b) { return binary(Binary::lt, a, b); }
inline Tensor le(const Tensor& a, const Tensor& b) { return binary(Binary::le, a, b); }
inline Tensor gt(const Tensor& a, const Tensor& b) { return binary(Binary::gt, a, b); }
inline Tensor ge(const Tensor& a, const Tensor& b) { return binary(Binary::ge, a, b); }
inline Tensor& add_(Tensor& x, const Tensor& b, Scalar alpha = 1) { add(x, b, alpha, Into::over(x)); return x; }
inline Tensor& mul_(Tensor& x, const Tensor& b) { mul(x, b, Into::over(x)); return x; }
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b, const Into& into = {});

inline Tensor mul(const Tensor& a, Scalar b) { return mul(a, wrapped_number(b)); }
inline Tensor add(const Tensor& a, Scalar b) { return add(a, wrapped_number(b), Scalar(1)); }
inline Tensor div(const Tensor& a, Scalar b) { return div(a, wrapped_number(b)); }
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& a) { return neg(a); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, Scalar(b)); }
inline Tensor operator*(double a, const Tensor& b) { return mul(b, Scalar(a)); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, Scalar(b)); }
inline Tensor operator+(double a, const Tensor& b) { return add(b, Scalar(a)); }
inline Tensor operator-(double a, const Tensor& b) { return sub(wrapped_number(Scalar(a)), b); }
inline Tensor operator-(const Tensor& a, double b) { return sub(a, wrapped_number(Scalar(b))); }
inline Tensor operator/(const Tensor& a, double b) { return div(a, Scalar(b)); }

Tensor glu(const Tensor& x, int64_t dim);
Tensor prelu(const Tensor& x, const Tensor& w);       // w: one slope, or one for each channel (dimension 1)
Tensor rrelu(const Tensor& x, double lower, double upper, bool training, Generator& generator, const Into& into = {});

// ---- reductions; dims empty: all of them
using Extremes = std::tuple<Tensor, Tensor>;   // (values, indices), (least, greatest), ...
Tensor sum(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor mean(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor nansum(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor nanmean(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor prod(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor any(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor all(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor truth(const Tensor& x);                            // of each element: any and all over no dimensions
Tensor count_nonzero(const Tensor& x, Ints dims = {});
Tensor logsumexp(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor norm(const Tensor& x, double p = 2, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor dist(const Tensor& a, const Tensor& b, double p = 2);
Tensor renorm(const Tensor& x, double p, int64_t dim, double most);   // slices along dim, shrunk to a norm of at most `most`
Tensor sum_to_size(const Tensor& x, const Dims& sizes);   // undoes broadcasting
Tensor var(const Tensor& x, Ints dims = {}, double correction = 1, bool keepdim = false);
Tensor deviation(const Tensor& x, Ints dims = {}, double correction = 1, bool keepdim = false);  // Python's std
Tensor max(const Tensor& x);
Tensor min(const Tensor& x);
Extremes max(const Tensor& x, int64_t dim, bool keepdim = false);
Extremes min(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor amax(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, Ints dims = {}, bool keepdim = false);
Extremes aminmax(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
Tensor argmax(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
Tensor argmin(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);

// ---- running along a dimension; `reverse` begins at its end
Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype = {}, const Into& into = {}, bool reverse = false);
Tensor cumprod(const Tensor& x, int64_t dim, std::optional<DType> dtype = {}, const Into& into = {});
Tensor logcumsumexp(const Tensor& x, int64_t dim, bool reverse = false);
Extremes cummax(const Tensor& x, int64_t dim);
Extremes cummin(const Tensor& x, int64_t dim);
Tensor diff(const Tensor& x, int64_t n = 1, int64_t dim = -1, const Tensor& prepend = {}, const Tensor& append = {});
Tensor trapezoid(const Tensor& y, const Tensor& x, double dx = 1, int64_t dim = -1);             // x may be undefined
Tensor cumulative_trapezoid(const Tensor& y, const Tensor& x, double dx = 1, int64_t dim = -1);
Tensor cov(const Tensor& x, int64_t correction = 1, const Tensor& counts = {}, const Tensor& weights = {});
Tensor corrcoef(const Tensor& x);

// ---- views
Tensor as_strided(const Tensor& x, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset = {});
// The derivative of a strided part of `base` (sizes, strides, offset are absolute, in its storage).
std::function<Grads(const Tensor&, Needs)> as_strided_derivative(const Tensor& base, const Dims& sizes, const Dims& strides, int64_t offset);
Tensor view(const Tensor& x, const Dims& sizes);          // RuntimeError where a copy would be needed
Tensor reshape(const Tensor& x, const Dims& sizes);
Tensor permute(const Tensor& x, Ints dims);
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
Tensor t(const Tensor& x);
Tensor expand(const Tensor& x, const Dims& sizes);        // -1 keeps a size
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor squeeze(const Tensor& x, Ints dims = {});
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step = 1);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);
Dims infer_sizes(const char* op, Dims sizes, int64_t numel);   // fills in a -1
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor view_as_dtype(const Tensor& x, DType dtype);       // the same bytes, read as another dtype
Tensor movedim(const Tensor& x, Ints source, Ints destination);
Tensor flatten(const Tensor& x, int64_t start = 0, int64_t end = -1);
Tensor unflatten(const Tensor& x, int64_t dim, const Dims& sizes);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step);   // windows along dim, in a new last dimension
std::vector<Tensor> broadcast_tensors(Tensors xs);
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);   // the last part may be smaller
std::vector<Tensor> split_with_sizes(const Tensor& x, Ints sizes, int64_t dim = 0, const char* op = "split_with_sizes");
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t dim = 0);
std::vector<Tensor> tensor_split_at(const Tensor& x, Ints indices, int64_t dim = 0);
std::vector<Tensor> hsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> vsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> dsplit(const Tensor& x, int64_t sections);
std::vector<Tensor> hsplit_at(const Tensor& x, Ints indices);
std::vector<Tensor> vsplit_at(const Tensor& x, Ints indices);
std::vector<Tensor> dsplit_at(const Tensor& x, Ints indices);
std::vector<Tensor> unsafe(const std::vector<Tensor>& parts);   // parts that may be written in place: no longer views
// x with a part of it replaced.
Tensor select_scatter(const Tensor& x, const Tensor& source, int64_t dim, int64_t index);
Tensor slice_scatter(const Tensor& x, const Tensor& source, int64_t dim = 0, std::optional<int64_t> start = {}, std::optional<int64_t> end = {}, int64_t step = 1);
Tensor diagonal_scatter(const Tensor& x, const Tensor& source, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor as_strided_scatter(const Tensor& x, const Tensor& source, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset = {});
// The views that change x itself.
Tensor& unsqueeze_(Tensor& x, int64_t dim);
Tensor& squeeze_(Tensor& x, Ints dims = {});
Tensor& transpose_(Tensor& x, int64_t dim0, int64_t dim1);
Tensor& as_strided_(Tensor& x, const Dims& sizes, const Dims& strides, std::optional<int64_t> offset = {});
Tensor& resize_(Tensor& x, const Dims& sizes);             // more memory where it has to be; what is new is not initialised
Tensor& set_(Tensor& x, const Tensor& source, const Dims& sizes, const Dims& strides, int64_t offset);   // the source's storage

// ---- joining and arranging
Tensor cat(Tensors xs, int64_t dim = 0);    // legacy: 1-d tensors without elements are left out
Tensor stack(Tensors xs, int64_t dim = 0);
Tensor atleast(const Tensor& x, int64_t ndim);   // as atleast_1d, _2d, _3d
Tensor hstack(Tensors xs);
Tensor vstack(Tensors xs);
Tensor dstack(Tensors xs);
Tensor column_stack(Tensors xs);
Tensor block_diag(Tensors xs);
Tensor flip(const Tensor& x, Ints dims);
Tensor roll(const Tensor& x, Ints shifts, Ints dims);
Tensor rot90(const Tensor& x, int64_t k, Ints dims);
Tensor repeat(const Tensor& x, const Dims& repeats);
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim = {});
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim = {}, std::optional<int64_t> output_size = {});
Tensor diag(const Tensor& x, int64_t diagonal = 0);
Tensor diag_embed(const Tensor& x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);
Tensor constant_pad_nd(const Tensor& x, Ints pad, Scalar value = 0);   // from the last dimension on: before, after
Tensor pad(const Tensor& x, Ints pad, std::string_view mode, std::optional<double> value = {});

// ---- basic indexing: the steps of x[1, 2:8:2, None], in turn; `dim` counts the dimensions as the steps before have left them
struct IndexStep {
  enum Kind : uint8_t { select, slice, insert } kind;
  int64_t dim;
  int64_t start = 0, end = 0, step = 1;   // select: start alone
};
Tensor index_basic(const Tensor& x, std::span<const IndexStep> steps);

// ---- indexing. An undefined index takes the whole dimension; a mask takes as many dimensions as it has.
Tensor index(const Tensor& x, Tensors indices);
Tensor& index_put_(Tensor& x, Tensors indices, const Tensor& values, bool accumulate = false);
Tensor index_put(const Tensor& x, Tensors indices, const Tensor& values, bool accumulate = false);
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor& scatter_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor& scatter_add_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor& scatter_reduce_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self = true);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self = true);
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor& index_add_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
Tensor& index_copy_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor& index_fill_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
Tensor& index_reduce_(Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self = true);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
Tensor index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce, bool include_self = true);
Tensor take(const Tensor& x, const Tensor& index);
Tensor& put_(Tensor& x, const Tensor& index, const Tensor& source, bool accumulate = false);
Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int64_t> dim = {});
Tensor nonzero(const Tensor& x);                          // positions, one a row
std::vector<Tensor> nonzero_as_tuple(const Tensor& x);    // positions, one tensor for each dimension
Tensor nonzero_static(const Tensor& x, int64_t size, int64_t fill_value = -1);   // that many rows, cut or filled up
Tensor& masked_fill_(Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor& masked_scatter_(Tensor& x, const Tensor& mask, const Tensor& source);
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source);
Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<int64_t> padding_idx = {}, bool scale_grad_by_freq = false);
void embedding_renorm_(Tensor& weight, const Tensor& index, double max_norm, double norm_type);   // rows longer than max_norm are cut to it
Tensor embedding_bag(const Tensor& index, const Tensor& weight, const Tensor& offsets, std::string_view mode, const Tensor& sample_weights, bool include_last_offset,
                     std::optional<int64_t> padding_idx, bool scale_grad_by_freq);
Tensor one_hot(const Tensor& x, int64_t classes = -1);
Tensor bincount(const Tensor& x, const Tensor& weights = {}, int64_t minlength = 0);
Tensor histc(const Tensor& x, int64_t bins = 100, double low = 0, double high = 0);   // equal bounds: the least and the greatest

// ---- sorting and searching; (values, indices), stable, a NaN behind everything
using Sorted = std::tuple<Tensor, Tensor>;
Sorted sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Sorted topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
Sorted kthvalue(const Tensor& x, int64_t k, int64_t dim = -1, bool keepdim = false);
Sorted median(const Tensor& x, int64_t dim, bool keepdim = false);      // the lower one of two
Sorted nanmedian(const Tensor& x, int64_t dim, bool keepdim = false);
Sorted mode(const Tensor& x, int64_t dim = -1, bool keepdim = false);
Tensor median(const Tensor& x);
Tensor nanmedian(const Tensor& x);
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool narrow = false, bool right = false, const Tensor& sorter = {});
std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& x, std::optional<int64_t> dim = {});              // (values, inverse, counts)
std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& x, std::optional<int64_t> dim = {});
Tensor isin(const Tensor& elements, const Tensor& test, bool invert = false);
Tensor quantile(const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, std::string_view interpolation, bool ignore_nan);

// ---- matmul
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor mm(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);
Tensor mv(const Tensor& a, const Tensor& b);
Tensor dot(const Tensor& a, const Tensor& b);
Tensor outer(const Tensor& a, const Tensor& b);
Tensor inner(const Tensor& a, const Tensor& b);
// beta * x + alpha * (a times b)
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1, const Into& into = {});
Tensor addmv(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1, const Into& into = {});
Tensor addr(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1, const Into& into = {});
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1, const Into& into = {});
Tensor addbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1, const Into& into = {});
Tensor einsum(std::string_view equation, Tensors xs);
Tensor tensordot(const Tensor& a, const Tensor& b, Ints a_dims, Ints b_dims);
Tensor chain_matmul(Tensors xs);
Tensor matrix_power(const Tensor& x, int64_t n);
Tensor kron(const Tensor& a, const Tensor& b);
Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim = {});
Tensor trace(const Tensor& x);
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& w, const Tensor& bias);
Tensor cdist(const Tensor& a, const Tensor& b, double p = 2);

// ---- decompositions of small matrices
struct Svd {
  Tensor u, s, vh;
};
Svd svd(const Tensor& x, bool full = false);   // full: u and vh are square
Tensor inverse(const Tensor& x);
Tensor nuclear_norm(const Tensor& x, const Dims& dims, bool keepdim = false, std::optional<DType> dtype = {});
Tensor matrix_norm(const Tensor& x, double p, const Dims& dims, bool keepdim = false, std::optional<DType> dtype = {});
// The activation of x @ w.T + b (b may be undefined), with the bits and the history that it has as an op of its own behind the product.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation = Activation::none, bool inplace = false);
Precision float32_precision();   // of every product; highest unless set otherwise
void set_float32_precision(Precision precision);

// ---- convolution and pooling of 1, 2 or 3 spatial dimensions; a single int stands for all of them
Tensor conv(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups);
Tensor conv_same(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& dilation, int64_t groups);
Tensor conv_transpose(const char* name, int spatial, const Tensor& x, const Tensor& w, const Tensor& b, const Dims& stride, const Dims& padding, const Dims& output_padding, int64_t groups, const Dims& dilation);
std::tuple<Tensor, Tensor> max_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode, bool want_indices);
Tensor avg_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride, const Dims& padding, bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor_override);
std::tuple<Tensor, Tensor> adaptive_max_pool(int spatial, const Tensor& x, const Dims& output_size, bool want_indices);
Tensor adaptive_avg_pool(int spatial, const Tensor& x, const Dims& output_size);
Tensor lp_pool(int spatial, const Tensor& x, double p, const Dims& kernel, const Dims& stride, bool ceil_mode);
Tensor max_unpool(int spatial, const Tensor& x, const Tensor& indices, const Dims& output_size);
std::tuple<Tensor, Tensor> fractional_max_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& output_size, const Tensor& samples = {});   // samples: [n, c, spatial] of [0, 1)

// ---- images in other orders and sizes
Tensor unfold(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride);   // windows as columns: (n, c kh kw, windows)
Tensor fold(const Tensor& y, const Dims& output_size, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride);   // their sum in place
Tensor pixel_shuffle(const Tensor& x, int64_t r);      // (..., c r r, h, w) to (..., c, h r, w r)
Tensor pixel_unshuffle(const Tensor& x, int64_t r);
Tensor channel_shuffle(const Tensor& x, int64_t groups);
enum class Interpolation : uint8_t { nearest, nearest_exact, linear, cubic, lanczos };
// To these sizes of the last dimensions. factors: one for each where the caller gave any; what they say counts for the positions.
Tensor interpolate(const Tensor& x, const Dims& sizes, Interpolation kind, bool align_corners = false, bool antialias = false, std::span<const double> factors = {});
Tensor affine_grid(const Tensor& theta, const Dims& sizes, bool align_corners);
Tensor grid_sample(const Tensor& x, const Tensor& grid, std::string_view mode, std::string_view padding, bool align_corners);

// ---- recurrent layers (kernels.h has the cells' formulas). `weights`: for each layer and direction w_ih, w_hh, with
// biases b_ih and b_hh, and w_hr where the lstm projects. States: [layers * directions, batch, ...]; c0 and c_n the lstm's.
struct RnnOptions {
  bool biases = true;
  int64_t layers = 1;
  double dropout = 0;
  bool training = false, bidirectional = false, batch_first = false;
};
struct RnnResult {
  Tensor y, h_n, c_n;
};
RnnResult rnn(const char* name, Rnn cell, const Tensor& x, const Tensor& h0, const Tensor& c0, Tensors weights, const RnnOptions& options);
// The same over the rows of a packed batch, step after step; batch_sizes (int64, on the CPU): the rows of each step.
RnnResult rnn_packed(const char* name, Rnn cell, const Tensor& rows, const Tensor& batch_sizes, const Tensor& h0, const Tensor& c0, Tensors weights, const RnnOptions& options);
// One step of x (batch, in) or (in); b_ih and b_hh may be undefined. c_n the lstm's.
RnnResult rnn_cell(const char* name, Rnn cell, const Tensor& x, const Tensor& h, const Tensor& c, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh);
std::tuple<Tensor, Tensor> pack_padded(const Tensor& x, const Tensor& lengths, bool batch_first);   // (rows, batch_sizes)
std::tuple<Tensor, Tensor> pad_packed(const Tensor& rows, const Tensor& batch_sizes, bool batch_first, double padding_value, int64_t total_length);   // (x, lengths)
Tensor pad_sequence(Tensors xs, bool batch_first, double padding_value, bool left);

// ---- attention: softmax(scale q k^T + mask) v, scale 1 / sqrt(width) unless given; the mask may be undefined
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask = {}, double dropout_p = 0, bool is_causal = false,
                                    std::optional<double> scale = {}, bool enable_gqa = false);
Tensor attention_weights(const Tensor& q, const Tensor& k, const Tensor& mask = {}, bool is_causal = false, std::optional<double> scale = {}, bool enable_gqa = false);   // the softmax alone

// ---- softmax
Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});

// ---- normalisation; weights, biases and running statistics may be undefined
struct Normalised {
  Tensor y, mean, rstd;
};
Normalised native_layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias, double eps);
Normalised native_group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps);
Normalised native_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps);
Tensor layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor rms_norm(const Tensor& x, const Dims& shape, const Tensor& weight = {}, std::optional<double> eps = {});
// What follows a residual connection: the norm of x + residual, and x + residual.
std::tuple<Tensor, Tensor> add_layer_norm(const Tensor& x, const Tensor& residual, const Dims& shape, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
std::tuple<Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual, const Dims& shape, const Tensor& weight = {}, std::optional<double> eps = {});
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps);
Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool use_input_stats, double momentum, double eps);
Tensor local_response_norm(const Tensor& x, int64_t size, double alpha = 1e-4, double beta = 0.75, double k = 1);
Tensor normalize(const Tensor& x, double p = 2, Ints dims = Dims{1}, double eps = 1e-12);

// ---- losses
enum class Reduction : uint8_t { none, mean, sum };
Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction, double label_smoothing);
Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction);
// cross_entropy(x w^T + b) of class numbers, the logits made `rows` at a time, forward and backward, and never whole
Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& target, const Tensor& weight, int64_t ignore_index, Reduction reduction, double label_smoothing, int64_t rows);
Tensor sigmoid_focal_loss(const Tensor& x, const Tensor& target, double alpha, double gamma, Reduction reduction);
Tensor focal_loss(const Tensor& x, const Tensor& target, const Tensor& weight, double gamma, int64_t ignore_index, Reduction reduction);
Tensor ctc_loss(const Tensor& x, const Tensor& targets, const Tensor& lengths, const Tensor& target_lengths, int64_t blank, Reduction reduction, bool zero_infinity);
Tensor mse_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction);
Tensor l1_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction);
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction, double beta);
Tensor huber_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction, double delta);
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction);
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& pos_weight, Reduction reduction);
Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction, bool log_target);
Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t dim = 1, double eps = 1e-8);
Tensor pdist(const Tensor& x, double p = 2);
Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p = 2, double eps = 1e-6, bool keepdim = false);
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction reduction);
Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction reduction);
Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction reduction);
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction);
Tensor multi_margin_loss(const Tensor& x, const Tensor& target, double p, double margin, const Tensor& weight, Reduction reduction);
Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction);
Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction);
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p, double eps, bool swap, Reduction reduction);
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input, bool full, double eps, Reduction reduction);
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& variance, bool full, double eps, Reduction reduction);

// ---- optimizer steps over many tensors at once; no derivative. `steps` count from 1.
struct Descent {                 // what every optimizer has; l1: after the step x goes towards zero as far as a gradient of l1 would take it
  double lr, weight_decay, l1;
  bool maximize;
};
struct Sgd {
  double momentum, dampening;
  bool nesterov, classic;        // classic: the learning rate stands inside the velocity
};
struct Betas {
  double beta1, beta2, eps;
};
struct Adam : Betas {
  bool amsgrad, decoupled;
};
struct RmsProp {
  double alpha, eps, momentum;   // no buffers without momentum, no means of gradients unless centered
};
struct Rprop {
  double less, more, low, high;  // factors of the step sizes, and their bounds
};
struct Adafactor {
  double eps1, eps2, beta2_decay, d;
};
struct Muon {
  double momentum, eps;
  bool nesterov;
  std::array<double, 3> coefficients;
  int64_t iterations;
  std::string_view adjust_lr;
};
using Reals = std::span<const double>;
void sgd_(Tensors params, Tensors grads, Tensors buffers, const std::vector<bool>& fresh, const Descent& how, const Sgd& sgd);
void adam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs, Reals steps, const Descent& how, const Adam& adam);
void nadam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Reals steps, Reals mu_products, double momentum_decay, const Descent& how, const Adam& adam);  // mu_products: without this step's mu
void radam_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Reals steps, const Descent& how, const Adam& adam);
void adamax_(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_infs, Reals steps, const Descent& how, const Betas& betas);
void adagrad_(Tensors params, Tensors grads, Tensors sums, Reals steps, const Descent& how, double lr_decay, double eps);
void rmsprop_(Tensors params, Tensors grads, Tensors square_avgs, Tensors grad_avgs, Tensors buffers, const Descent& how, const RmsProp& rmsprop);
void adadelta_(Tensors params, Tensors grads, Tensors square_avgs, Tensors acc_deltas, const Descent& how, double rho, double eps);
void rprop_(Tensors params, Tensors grads, Tensors prevs, Tensors step_sizes, bool maximize, const Rprop& rprop);
void asgd_(Tensors params, Tensors grads, Tensors axs, Reals etas, Reals mus, double lambd, const Descent& how);
void adafactor_(Tensors params, Tensors grads, Tensors row_vars, Tensors col_vars, Tensors variances, Reals steps, const Descent& how, const Adafactor& adafactor);  // undefined where a parameter has the other kind
void muon_(Tensors params, Tensors grads, Tensors buffers, const Descent& how, const Muon& muon);
Tensor lbfgs_direction(const Tensor& grad, Tensors changes, Tensors moves, Reals inverse_curvatures, double scale);  // of gradients, of parameters
Tensor total_norm(Tensors tensors, double p, bool error_if_nonfinite);
Tensor clip_grad_norm_(Tensors grads, double max_norm, double p, bool error_if_nonfinite);   // the norm before
void clip_grad_value_(Tensors grads, double value);
void scale_tensors_(Tensors xs, double factor);
bool unscale_tensors_(Tensors xs, double factor);             // whether a result is not finite
void lerp_tensors_(Tensors xs, Tensors ends, double weight);  // x += weight (end - x)

}  // namespace tessel
