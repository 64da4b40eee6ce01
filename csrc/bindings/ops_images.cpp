// Images in other sizes and orders, in Python: interpolate, grids, fold and unfold, shuffles, and pooling's relatives.
#include <algorithm>
#include <cmath>

#include "bindings/registry.h"

namespace tessel::python {

namespace {

bool is_list(PyObject* o) { return PyTuple_Check(o) || PyList_Check(o); }
bool given(PyObject* o) { return o && o != Py_None; }

const char* const kInterpolate = "interpolate";

template <class T> std::vector<T> spread(PyObject* o, const char* what, const Tensor& x) {
  size_t spatial = static_cast<size_t>(x.dim() - 2);
  if (!is_list(o)) return std::vector<T>(spatial, Cast<T>::from(o));
  std::vector<T> values = Cast<std::vector<T>>::from(o);
  check_value(values.size() == spatial, kInterpolate, ": Input and ", what, " must have the same number of spatial dimensions, but got input of ", x.sizes(), " with ", spatial, " of them and ", values.size(), " numbers of ", what);
  return values;
}

Interpolation kind_of(const std::string& mode, int64_t dims) {
  struct Mode {
    const char* name;
    int64_t dims;  // of the input; 0: any
    Interpolation kind;
  };
  constexpr Mode kModes[] = {{"nearest", 0, Interpolation::nearest}, {"nearest-exact", 0, Interpolation::nearest_exact}, {"linear", 3, Interpolation::linear},
                             {"bilinear", 4, Interpolation::linear}, {"trilinear", 5, Interpolation::linear}, {"bicubic", 4, Interpolation::cubic},
                             {"lanczos", 4, Interpolation::lanczos}, {"area", 0, Interpolation::linear}};
  auto found = std::find_if(std::begin(kModes), std::end(kModes), [&](const Mode& m) { return mode == m.name; });
  bool fits = found != std::end(kModes) && dims >= 3 && dims <= 5;
  if (fits && found->dims && found->dims != dims) fail<NotImplementedError>(kInterpolate, ": Got ", dims, "D input, but ", mode, " mode needs ", found->dims, "D input");
  if (!fits)
    fail<NotImplementedError>(kInterpolate, ": Input Error: Only 3D, 4D and 5D input Tensors supported (got ", dims, "D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got ", mode, ")");
  return found->kind;
}

Tensor interpolate_in_python(const Tensor& x, PyObject* size, PyObject* scale_factor, const std::string& mode, std::optional<bool> align_corners, std::optional<bool> recompute, bool antialias) {
  bool picks = mode == "nearest" || mode == "nearest-exact" || mode == "area";
  check_value(!picks || !align_corners, kInterpolate, ": align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear");
  check_value(!given(size) || !given(scale_factor), kInterpolate, ": only one of size or scale_factor should be defined");
  check_value(given(size) || given(scale_factor), kInterpolate, ": either size or scale_factor should be defined");
  check_value(!recompute.value_or(false) || !given(size), kInterpolate, ": recompute_scale_factor is not meaningful with an explicit size.");
  bool filtered = mode == "bilinear" || mode == "bicubic" || mode == "lanczos";
  Dims sizes;
  std::vector<double> factors;
  if (x.dim() > 2) {
    if (given(size)) {
      sizes = Dims(std::span<const int64_t>(spread<int64_t>(size, "output", x)));
    } else {
      factors = spread<double>(scale_factor, "scale_factor", x);
      for (size_t d = 0; d < factors.size(); ++d) sizes.push_back(static_cast<int64_t>(std::floor(static_cast<double>(x.sizes()[2 + d]) * factors[d])));
      if (recompute.value_or(false) || mode == "area") factors.clear();
    }
  }
  check_value(!antialias || (filtered && x.dim() == 4), kInterpolate, ": Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input");
  Interpolation kind = kind_of(mode, x.dim());
  check_value(mode != "lanczos" || !align_corners.value_or(false), kInterpolate, ": Lanczos mode does not support align_corners=True");
  check_value(mode != "lanczos" || antialias, kInterpolate, ": Lanczos mode requires antialias=True");
  if (mode == "area") return adaptive_avg_pool(static_cast<int>(x.dim()) - 2, x, sizes);
  return interpolate(x, sizes, kind, align_corners.value_or(false), antialias, factors);
}

void warn_of_corners(const char* op, std::optional<bool> align_corners) {
  if (align_corners) return;
  const std::string text = join({op, ": align_corners is not given and taken for False. Say so, or True for the corners' centres."});
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonException();
}

void bind_resampling() {
  add_op("interpolate(Tensor input, object size=None, object scale_factor=None, str mode='nearest', bool? align_corners=None, bool? recompute_scale_factor=None, bool antialias=False) -> Tensor", &interpolate_in_python,
         "input (N, C, ...) with its last dimensions resized to `size`, or by scale_factor. mode: nearest, nearest-exact, linear (of 1 dimension), bilinear, bicubic, lanczos (2), trilinear (3) or area. "
         "align_corners: the outermost elements keep their places, and not their outer edges. antialias: what shrinks is filtered.", kNN);
  add_op("grid_sample(Tensor input, Tensor grid, str mode='bilinear', str padding_mode='zeros', bool? align_corners=None) -> Tensor",
         +[](const Tensor& x, const Tensor& grid, const std::string& mode, const std::string& padding, std::optional<bool> align_corners) {
    warn_of_corners("grid_sample", align_corners);
    return grid_sample(x, grid, mode, padding, align_corners.value_or(false));
  }, "input (N, C, ...) at the positions of grid (N, ..., 2 or 3), from -1 to 1 and the last dimension first. mode: bilinear, nearest, bicubic; padding_mode, of what lies outside: zeros, border, reflection.", kNN);
  for (const char* signature : {"grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor", "grid_sampler_2d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor",
                                "grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor"})
    add_op(signature, +[](const Tensor& x, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners) {
      constexpr const char *kModes[] = {"bilinear", "nearest", "bicubic"}, *kPaddings[] = {"zeros", "border", "reflection"};
      check(mode >= 0 && mode < 3 && padding >= 0 && padding < 3, "grid_sampler: interpolation_mode and padding_mode are numbers from 0 to 2, but are ", mode, " and ", padding);
      return grid_sample(x, grid, kModes[mode], kPaddings[padding], align_corners);
    }, "grid_sample with its modes by number: bilinear, nearest, bicubic; zeros, border, reflection.", kFunction);
  add_op("affine_grid(Tensor theta, int[] size, bool? align_corners=None) -> Tensor", +[](const Tensor& theta, const Dims& size, std::optional<bool> align_corners) {
    warn_of_corners("affine_grid", align_corners);
    return affine_grid(theta, size, align_corners.value_or(false));
  }, "A grid for grid_sample: the positions of an image of `size` (N, C, ...), times matrices theta (N, 2, 3) or (N, 3, 4).", kNN);
  add_op("affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor", +[](const Tensor& theta, const Dims& size, bool align_corners) { return affine_grid(theta, size, align_corners); }, "", kFunction);
}

void bind_rearranging() {
  add_op("unfold(Tensor input, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor", +[](const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride) { return unfold(x, kernel, dilation, padding, stride); },
         "The windows of images (N, C, H, W) as columns (N, C * kernel height * kernel width, windows).", kNN);
  add_op("fold(Tensor input, int[2] output_size, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor", &fold,
         "The sum of windows, as unfold makes them, in their places in images of output_size.", kNN);
  add_op("pixel_shuffle(Tensor input, int upscale_factor) -> Tensor", &pixel_shuffle, "(..., C r r, H, W) to (..., C, H r, W r): channels become pixels.", kFunction | kNN);
  add_op("pixel_unshuffle(Tensor input, int downscale_factor) -> Tensor", &pixel_unshuffle, "(..., C, H r, W r) to (..., C r r, H, W): pixels become channels.", kFunction | kNN);
  add_op("channel_shuffle(Tensor input, int groups) -> Tensor", &channel_shuffle, "Channels (groups, C / groups) in the order (C / groups, groups).", kFunction | kNN);
  add_op("native_channel_shuffle(Tensor input, int groups) -> Tensor", &channel_shuffle, "", kFunction | kNN);
}

// The size that a pool with this kernel, stride and padding came from, or the one that is given, which must be near it.
Dims unpooled(const char* name, int spatial, const Tensor& x, const Dims& kernel_, const Dims& stride_, const Dims& padding_, PyObject* size) {
  auto all = [spatial](const Dims& d) { return d.size() == 1 ? Dims::filled(spatial, d[0]) : d; };
  Dims kernel = all(kernel_), stride = stride_.empty() ? kernel : all(stride_), padding = all(padding_), sizes;
  check(x.dim() >= spatial, name, ": Input should be a ", spatial + 1, "d or ", spatial + 2, "d Tensor, but is ", x.sizes());
  for (int d = 0; d < spatial; ++d) {
    check(stride[d] > 0, name, ": strides should be greater than zero, but got stride: ", stride);
    sizes.push_back((x.size(d - spatial) - 1) * stride[d] + kernel[d] - 2 * padding[d]);
  }
  if (!given(size)) return sizes;
  Dims wanted = Cast<Dims>::from(size);
  if (wanted.size() == spatial + 2) wanted = Dims(std::span<const int64_t>(wanted).subspan(2));
  check_value(wanted.size() == spatial, name, ": output_size should be a sequence containing ", spatial, " or ", spatial + 2, " elements, but it has a length of ", wanted.size());
  for (int d = 0; d < spatial; ++d)
    check_value(wanted[d] > sizes[d] - stride[d] && wanted[d] < sizes[d] + stride[d], name, ": invalid output_size ", wanted, " (dim ", d, " must be between ", sizes[d] - stride[d], " and ", sizes[d] + stride[d], ")");
  return wanted;
}

template <int n>
void add_pool() {
  static const std::string d = std::to_string(n), ints = "int[" + d + "]";
  static const std::string unpool_name = "max_unpool" + d + "d";
  static const std::string unpool = unpool_name + "(Tensor input, Tensor indices, " + ints + " kernel_size, " + ints + "? stride=None, " + ints + " padding=0, object output_size=None) -> Tensor";
  static const std::string lp = "lp_pool" + d + "d(Tensor input, Scalar norm_type, " + ints + " kernel_size, " + ints + "? stride=None, bool ceil_mode=False) -> Tensor";
  add_op(unpool.c_str(), +[](const Tensor& x, const Tensor& indices, const Dims& kernel, const Dims& stride, const Dims& padding, PyObject* size) {
    return max_unpool(n, x, indices, unpooled(unpool_name.c_str(), n, x, kernel, stride, padding, size));
  }, "Values back in the places that max_pool found them in, among zeros.", kNN);
  add_op(lp.c_str(), +[](const Tensor& x, Scalar p, const Dims& kernel, const Dims& stride, bool ceil_mode) { return lp_pool(n, x, p.as_double(), kernel, stride, ceil_mode); },
         "(sum of x^p)^(1/p) over each window.", kNN);
}

template <int n>
void add_fractional_pool() {
  static const std::string d = std::to_string(n), name = "fractional_max_pool" + d + "d", ints = "int[" + d + "]";
  static const std::string arguments = "(Tensor input, " + ints + " kernel_size, object output_size=None, object output_ratio=None, ";
  static const std::string plain = name + arguments + "bool return_indices=False, Tensor? _random_samples=None) -> Tensor";
  static const std::string indexed = name + "_with_indices" + arguments + "bool return_indices=True, Tensor? _random_samples=None) -> (Tensor, Tensor)";
  auto op = +[](const Tensor& x, const Dims& kernel, PyObject* size, PyObject* ratio, bool indices, const Tensor& samples) {
    check_value(given(size) || given(ratio), name, ": requires specifying either an output_size or an output_ratio");
    check_value(!given(size) || !given(ratio), name, ": only one of output_size and output_ratio can be given");
    check(x.dim() >= n, name, ": Expected input of at least ", n, " dimensions, but it is ", x.sizes());
    Dims sizes = given(size) ? Cast<Dims>::from(size) : Dims();
    if (!given(size)) {
      std::vector<double> ratios = is_list(ratio) ? Cast<std::vector<double>>::from(ratio) : std::vector<double>(n, to_double(ratio));
      check_value(ratios.size() == n, name, ": output_ratio must have ", n, " numbers, but has ", ratios.size());
      for (int i = 0; i < n; ++i) {
        check_value(ratios[i] > 0 && ratios[i] < 1, name, ": output_ratio must be between 0 and 1, but is ", ratios[i]);
        sizes.push_back(static_cast<int64_t>(static_cast<double>(x.size(i - n)) * ratios[i]));
      }
    }
    std::tuple<Tensor, Tensor> found = fractional_max_pool(n, x, kernel, sizes, samples);
    return indices ? wrap_one(found) : wrap(std::get<0>(found));
  };
  add_op(plain.c_str(), op, "The greatest of windows that begin at random, so many that the result has output_size, or output_ratio of the input's.", kNN);
  add_op(indexed.c_str(), op, "", kNN);
}

}  // namespace

void bind_images() {
  bind_resampling();
  bind_rearranging();
  add_pool<1>(), add_pool<2>(), add_pool<3>();
  add_fractional_pool<2>(), add_fractional_pool<3>();
}

}  // namespace tessel::python
