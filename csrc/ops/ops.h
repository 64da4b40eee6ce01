// Every op by family: the engine's table of contents. An op checks, runs its kernel and remembers its derivative.
#pragma once
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
Tensor zeros(const Dims& sizes, DType dtype, Device device = {});
Tensor ones(const Dims& sizes, DType dtype, Device device = {});
Tensor full(const Dims& sizes, Scalar value, DType dtype, Device device = {});
Tensor scalar_tensor(Scalar value, DType dtype, Device device = {});
Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device = {});
Tensor wrapped_number(Scalar value);        // a 0-d tensor that yields in type promotion

// ---- memory: copies and conversions
Tensor& copy_(Tensor& x, const Tensor& source);
inline Tensor& copy_(Tensor&& x, const Tensor& source) { return copy_(x, source); }
Tensor& fill_(Tensor& x, const Tensor& value);
Tensor& zero_(Tensor& x);
Tensor clone(const Tensor& x);              // keeps the layout of dense tensors
Tensor contiguous(const Tensor& x);         // x itself where it is in C order
Tensor to_dtype(const Tensor& x, DType dtype);
Tensor to_device(const Tensor& x, Device device);
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);
Scalar item(const Tensor& x);               // RuntimeError unless there is exactly one element

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

// ---- reductions; dims empty: all of them
Tensor reduce(Reduce op, const Tensor& x, Ints dims, bool keepdim, std::optional<DType> dtype = {}, double parameter = 0);
Tensor sum(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor mean(const Tensor& x, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor any(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor all(const Tensor& x, Ints dims = {}, bool keepdim = false);
Tensor sum_to_size(const Tensor& x, const Dims& sizes);   // undoes broadcasting

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

// ---- indexing
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);

// ---- matmul
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b);   // x @ w.T + b; b may be undefined

// ---- softmax
Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});

}  // namespace tessel
