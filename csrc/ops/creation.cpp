// Tensors out of nothing, and matrices cut along a diagonal.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

static std::atomic<Device> default_device_{Device{}};
Device default_device() { return default_device_.load(std::memory_order_relaxed); }
void set_default_device(Device device) { default_device_.store(device, std::memory_order_relaxed); }

static Device resolve(Device device) {
  if (device.is_cuda() && device.index < 0) device.index = 0;
  return device;
}

static Tensor fresh(const Dims& sizes, const Dims& strides, int64_t extent, DType dtype, Device device) {
  Tensor y = make_tensor(Storage::allocate(static_cast<size_t>(extent) * item_size(dtype), resolve(device)), sizes,
                         strides, 0, dtype);
  y->inference = inference_enabled();
  return y;
}

static void check_sizes(const char* op, const Dims& sizes, DType dtype) {
  int64_t bytes = item_size(dtype);
  for (int64_t n : sizes) {
    check(n >= 0, op, ": Trying to create tensor with negative dimension ", n, ": ", sizes);
    check(!__builtin_mul_overflow(bytes, n > 0 ? n : 1, &bytes), op,
          ": Storage size calculation overflowed with sizes=", sizes);
  }
}

Tensor empty(const Dims& sizes, DType dtype, Device device) {
  check_sizes("empty", sizes, dtype);
  return fresh(sizes, contiguous_strides(sizes), sizes.numel(), dtype, device);
}

Tensor empty_strided(const Dims& sizes, const Dims& strides, DType dtype, Device device) {
  check_sizes("empty_strided", sizes, dtype);
  check(sizes.size() == strides.size(), "empty_strided: dimensionality of sizes (", sizes.size(),
        ") must match dimensionality of strides (", strides.size(), ")");
  int64_t extent = sizes.numel() == 0 ? 0 : 1;
  for (int d = 0; extent && d < sizes.size(); ++d) {
    check(strides[d] >= 0, "empty_strided: negative strides are not supported: ", strides);
    extent += (sizes[d] - 1) * strides[d];
  }
  return fresh(sizes, strides, extent, dtype, device);
}

Tensor empty_like(const Tensor& x, DType dtype, Device device, MemoryFormat format) {
  if (format != MemoryFormat::preserve)
    return empty_strided(x.sizes(), format_strides("empty_like", x.sizes(), format), dtype, device);
  Tensor y = empty_result(x.sizes(), dtype, x);
  return resolve(device) == y.device() ? y : empty_strided(y.sizes(), y.strides(), dtype, device);
}

// ---- one value

// A number's bytes, as C converts it; the 16-bit floats are left to the kernels.
static void store(void* p, Scalar value, DType dtype) {
  auto put = [p](auto v) { std::memcpy(p, &v, sizeof v); };
  switch (dtype) {
    case DType::bool_:
      return put(value.is_floating() ? value.as_double() != 0 : value.as_int() != 0);
    case DType::uint8:
      return put(static_cast<uint8_t>(value.as_int()));
    case DType::int8:
      return put(static_cast<int8_t>(value.as_int()));
    case DType::int16:
      return put(static_cast<int16_t>(value.as_int()));
    case DType::int32:
      return put(static_cast<int32_t>(value.as_int()));
    case DType::int64:
      return put(value.as_int());
    case DType::float32:
      return put(static_cast<float>(value.as_double()));
    case DType::float64:
      return put(value.as_double());
    case DType::complex64:
      return put(std::complex<float>(value.as_complex()));
    case DType::complex128:
      return put(value.as_complex());
    default:
      return;
  }
}

Scalar checked(Scalar value, DType dtype) {
  auto fits = [&](bool yes) {
    check(yes, "fill: value cannot be converted to type ", dtype, " without overflow (it is ", value.as_double(), ")");
  };
  if (value.is_complex()) {
    check(is_complex(dtype) || value.as_complex().imag() == 0, "fill: value cannot be converted to type ", dtype,
          " without overflow (it has an imaginary part)");
    return value;
  }
  if (is_integral(dtype)) {
    const int digits = static_cast<int>(8 * item_size(dtype)) - (dtype != DType::uint8);
    const double top = std::ldexp(1, digits),
                 low = dtype == DType::uint8 ? -top : -top - 1;  // unsigned ones take negatives and wrap
    fits(value.as_double() < top && value.as_double() > low &&
         !(dtype == DType::int64 && value.is_floating() && value.as_double() < -top));
  } else if (is_floating(dtype) && std::isfinite(value.as_double())) {
    constexpr double half_top = 65504, bfloat_top = 0x1.fep127;
    const double top = dtype == DType::float16    ? half_top
                       : dtype == DType::bfloat16 ? bfloat_top
                       : dtype == DType::float32  ? std::numeric_limits<float>::max()
                                                  : std::numeric_limits<double>::max();
    fits(std::abs(value.as_double()) <= top);
  }
  return value;
}

Tensor zeros(const Dims& sizes, DType dtype, Device device) {
  Tensor y = empty(sizes, dtype, device);
  NoGrad no_grad;
  zero_(y);
  return y;
}

Tensor full(const Dims& sizes, Scalar value, DType dtype, Device device) {
  Tensor y = empty(sizes, dtype, device);
  checked(value, dtype);
  constexpr int64_t kShort = 512;
  const bool plain = dtype != DType::float16 && dtype != DType::bfloat16;
  if (y.numel() > kShort || y.device().is_cuda() || !plain) {
    NoGrad no_grad;
    return fill_(y, wrapped_number(value));
  }
  const size_t width = static_cast<size_t>(y.item_size());
  char pattern[16];
  store(pattern, value, dtype);
  for (int64_t i = 0; i < y.numel(); ++i) std::memcpy(y.data() + i * width, pattern, width);
  return y;
}

Tensor ones(const Dims& sizes, DType dtype, Device device) { return full(sizes, Scalar(1), dtype, device); }
Tensor scalar_tensor(Scalar value, DType dtype, Device device) { return full({}, value, dtype, device); }

Tensor wrapped_number(Scalar value) {
  DType dtype = value.dtype();
  Tensor y = make_tensor(Storage::allocate(item_size(dtype), Device{}), {}, {}, 0, dtype);
  store(y.data(), value, dtype);
  y->wrapped_number = true;
  return y;
}

// ---- ranges

static Tensor range(const char* op, RangeArgs args, Device device) {
  if (args.dtype == DType::bool_ || is_complex(args.dtype))
    fail<NotImplementedError>(op, ": not implemented for ", args.dtype);
  Tensor y = empty({args.n}, args.dtype, device);
  if (args.n == 0) return y;
  if (!kernels(y).range) return to_device(range(op, args, Device{}), device);
  args.y = y.data();
  run(op, y, args.n, kernels(y).range, args);
  return y;
}

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device) {
  const double from = start.as_double(), to = end.as_double(), by = step.as_double();
  check(by != 0, "arange: step must be nonzero");
  check(std::isfinite(from) && std::isfinite(to), "arange: unsupported range: ", from, " -> ", to);
  check(by > 0 ? from <= to : from >= to, "arange: upper bound and lower bound inconsistent with step sign (", from,
        " -> ", to, " by ", by, ")");
  double count = std::ceil((to - from) / by);
  RangeArgs args{.dtype = dtype,
                 .integral = is_integral(dtype),
                 .first = start.as_int(),
                 .stride = step.as_int(),
                 .start = from,
                 .step = by};
  if (dtype == DType::int64) {  // exact, where a double would round
    check_value(args.stride != 0, "arange: step must be nonzero, as an integer it is 0");
    const int64_t last = end.as_int(), sign = args.stride > 0 ? 1 : -1;
    count = std::max<double>(0, static_cast<double>((last - args.first + args.stride - sign) / args.stride));
  }
  check(count >= 0 && count < 0x1p62, "arange: invalid size, possible overflow (", from, " -> ", to, " by ", by, ")");
  args.n = static_cast<int64_t>(count);
  return range("arange", args, device);
}

Tensor linspace(double start, double end, int64_t steps, DType dtype, Device device) {
  check(steps >= 0, "linspace: number of steps must be non-negative, got ", steps);
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  return range("linspace",
               {.dtype = dtype, .n = steps, .mirrored = steps > 1, .start = start, .step = step, .end = end}, device);
}

Tensor logspace(double start, double end, int64_t steps, double base, DType dtype, Device device) {
  check(steps >= 0, "logspace: number of steps must be non-negative, got ", steps);
  if (dtype == DType::bool_ || is_complex(dtype)) fail<NotImplementedError>("logspace: not implemented for ", dtype);
  return to_dtype(pow(wrapped_number(Scalar(base)), linspace(start, end, steps, DType::float64, device)), dtype);
}

// ---- matrices

Tensor eye(int64_t n, int64_t m, DType dtype, Device device) {
  check(n >= 0, "eye: n must be greater or equal to 0, got ", n);
  check(m >= 0, "eye: m must be greater or equal to 0, got ", m);
  Tensor y = zeros({n, m}, dtype, device);
  NoGrad no_grad;
  copy_(alias(y, {std::min(n, m)}, {m + 1}, 0), wrapped_number(Scalar(1)));
  return y;
}

// x [..., m, n] with the elements on one side of a diagonal set to zero.
static Tensor triangle(const char* op, const Tensor& x, int64_t diagonal, bool upper, const Into& into) {
  check(x.dim() >= 2, op, ": input tensor must have at least 2 dimensions, got ", x.sizes());
  auto write = [&](const Tensor& source, const Tensor& y) {  // both in C order
    const int64_t m = y.size(-2), n = y.size(-1);
    if (y.numel() == 0) return;
    run(op, y, y.numel(), kernels(y).triangle,
        TriangleArgs{y.dtype(), source.data(), y.data(), y.numel() / (m * n), m, n, diagonal, upper});
  };
  Tensor y;
  if (into.kind == Into::inplace) {
    check_inplace(op, x);
    y = x;
    if (y.is_contiguous()) {
      write(y, y);
      y.bump_version(op);
    } else {
      NoGrad no_grad;
      copy_(y, triangle(op, x, diagonal, upper, {}));
    }
  } else {
    y = empty(x.sizes(), x.dtype(), x.device());
    NoGrad no_grad;
    write(contiguous(x), y);
  }
  Node* node = into.kind == Into::inplace ? record_inplace(op, y, {x}) : record(op, y, {x});
  if (node)
    node->backward = [op, diagonal, upper](const Tensor& dy, Needs) -> Grads {
      return {triangle(op, dy, diagonal, upper, {})};
    };
  return y;
}

Tensor tril(const Tensor& x, int64_t diagonal, const Into& into) { return triangle("tril", x, diagonal, false, into); }
Tensor triu(const Tensor& x, int64_t diagonal, const Into& into) { return triangle("triu", x, diagonal, true, into); }

// The places of a triangle: two rows, of row and of column numbers.
static Tensor triangle_indices(const char* op, int64_t rows, int64_t columns, int64_t offset, bool upper, DType dtype,
                               Device device) {
  check(rows >= 0, op, ": row must be non-negative, got ", rows);
  check(columns >= 0, op, ": col must be non-negative, got ", columns);
  if (dtype != DType::int64 && dtype != DType::int32)
    fail<NotImplementedError>(op, ": only int32 and int64 indices are supported, got ", dtype);
  auto cut = [&](int64_t row) { return std::clamp<int64_t>(row + offset + (upper ? 0 : 1), 0, columns); };
  int64_t count = 0;
  for (int64_t i = 0; i < rows; ++i) count += upper ? columns - cut(i) : cut(i);
  Tensor y = empty({2, count}, DType::int64);
  int64_t* row = y.data_as<int64_t>();
  int64_t* column = row + count;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = upper ? cut(i) : 0, end = upper ? columns : cut(i); j < end; ++j) *row++ = i, *column++ = j;
  return to(y, dtype, device);
}

Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset, DType dtype, Device device) {
  return triangle_indices("tril_indices", rows, columns, offset, false, dtype, device);
}
Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset, DType dtype, Device device) {
  return triangle_indices("triu_indices", rows, columns, offset, true, dtype, device);
}

// ---- from vectors

std::vector<Tensor> meshgrid(Tensors xs, std::string_view indexing) {
  check(!xs.empty(), "meshgrid: expects a non-empty list of tensors");
  check(indexing == "ij" || indexing == "xy",
        "meshgrid: indexing must be one of \"xy\" or \"ij\", but received: ", indexing);
  Dims sizes;
  for (const Tensor& x : xs) {
    check(x.dim() <= 1, "meshgrid: expected 0D or 1D tensors but got one of ", x.sizes());
    check(x.dtype() == xs[0].dtype(), "meshgrid: expects all tensors to have the same dtype, got ", xs[0].dtype(),
          " and ", x.dtype());
    check(x.device() == xs[0].device(), "meshgrid: expects all tensors to be on the same device");
    sizes.push_back(x.numel());
  }
  const bool swapped = indexing == "xy" && xs.size() >= 2;
  if (swapped) std::swap(sizes[0], sizes[1]);
  std::vector<Tensor> grids;
  for (size_t i = 0; i < xs.size(); ++i) {
    Dims shape = Dims::filled(sizes.size(), 1);
    shape[swapped && i < 2 ? 1 - i : i] = xs[i].numel();
    grids.push_back(expand(reshape(xs[i], shape), sizes));
  }
  return grids;
}

Tensor cartesian_prod(Tensors xs) {
  for (const Tensor& x : xs) check(x.dim() == 1, "cartesian_prod: Expect a 1D vector, but got shape ", x.sizes());
  check(!xs.empty(), "cartesian_prod: expects at least one tensor");
  if (xs.size() == 1) return xs[0];
  std::vector<Tensor> columns = meshgrid(xs, "ij");
  for (Tensor& column : columns) column = reshape(column, {-1});
  return stack(columns, 1);
}

Tensor combinations(const Tensor& x, int64_t r, bool with_replacement) {
  check(x.dim() == 1, "combinations: Expect a 1D vector, but got shape ", x.sizes());
  check(r >= 0, "combinations: Expect a non-negative number, but got ", r);
  if (r == 0) return empty({0}, x.dtype(), x.device());
  const int64_t n = x.numel(), step = with_replacement ? 0 : 1;
  std::vector<int64_t> places, at(static_cast<size_t>(r));
  for (int64_t i = 1; i < r; ++i) at[i] = at[i - 1] + step;
  // In the order of a dictionary: the last place that can move moves on, those behind it follow as closely as they may.
  for (int64_t moved = 0; n > 0 && at[r - 1] < n && moved >= 0;) {
    places.insert(places.end(), at.begin(), at.end());
    for (moved = r - 1; moved >= 0 && at[moved] == n - 1 - step * (r - 1 - moved);) --moved;
    if (moved < 0) break;
    ++at[moved];
    for (int64_t i = moved + 1; i < r; ++i) at[i] = at[i - 1] + step;
  }
  const auto count = static_cast<int64_t>(places.size());
  Tensor index = empty({count}, DType::int64);
  std::copy(places.begin(), places.end(), index.data_as<int64_t>());
  return reshape(index_select(x, 0, to_device(index, x.device())), {count / r, r});
}

Tensor vander(const Tensor& x, std::optional<int64_t> columns, bool increasing) {
  check(x.dim() == 1, "vander: x must be a one-dimensional tensor, got ", x.sizes());
  const int64_t n = columns.value_or(x.numel());
  check(n >= 0, "vander: N must be non-negative, got ", n);
  Tensor powers =
      increasing ? arange(0, n, 1, DType::int64, x.device()) : arange(n - 1, -1, -1, DType::int64, x.device());
  return pow(unsqueeze(x, -1), powers);
}

}  // namespace tessel
