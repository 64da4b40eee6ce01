// Random ops: creation from a draw, in-place draws, dropout. `generator=` everywhere; without it, the default one.
#include "bindings/creation.h"

namespace tessel::python {

namespace {

using Type = std::optional<DType>;
using Where = std::optional<Device>;

Tensor uniform(const char* op, const Dims& sizes, DType dtype, Device device, Generator& generator) {
  if (!is_floating(dtype)) fail<NotImplementedError>(op, ": not implemented for ", dtype, ", only for floating point tensors");
  Tensor y = empty(sizes, dtype, device);
  NoGrad no_grad;
  return uniform_(y, 0, 1, generator);
}

Tensor gaussian(const char* op, const Dims& sizes, DType dtype, Device device, Generator& generator) {
  if (!is_floating(dtype)) fail<NotImplementedError>(op, ": not implemented for ", dtype, ", only for floating point tensors");
  Tensor y = empty(sizes, dtype, device);
  NoGrad no_grad;
  return normal_(y, 0, 1, generator);
}

Tensor integers(int64_t low, int64_t high, const Dims& sizes, DType dtype, Device device, Generator& generator) {
  Tensor y = empty(sizes, dtype, device);
  NoGrad no_grad;
  return random_(y, low, high, generator);
}

Tensor randint(int64_t low, int64_t high, const Dims& sizes, Generator* generator, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
  check(low < high, "randint: random_ expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  return made("randint", out, dtype, DType::int64, layout, device, requires_grad, [&](DType type, Device where) { return integers(low, high, sizes, type, where, *generator); });
}

void add_draws() {
  add_op(with_options("rand(int[*] size, *, Generator? generator=None"), +[](const Dims& sizes, Generator* generator, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("rand", out, dtype, default_dtype(), layout, device, requires_grad, [&](DType type, Device where) { return uniform("rand", sizes, type, where, *generator); });
  }, "Uniform numbers in [0, 1).", kFunction);
  add_op(with_options("randn(int[*] size, *, Generator? generator=None"), +[](const Dims& sizes, Generator* generator, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("randn", out, dtype, default_dtype(), layout, device, requires_grad, [&](DType type, Device where) { return gaussian("randn", sizes, type, where, *generator); });
  }, "Normal numbers of mean 0 and variance 1.", kFunction);
  add_op(with_options("randint(int high, int[] size, *, Generator? generator=None"), +[](int64_t high, const Dims& sizes, Generator* generator, const Tensor& out, Type dtype, PyObject* layout, Where device, bool pin, bool requires_grad) {
    return randint(0, high, sizes, generator, out, dtype, layout, device, pin, requires_grad);
  }, "Integers in [low, high).", kFunction);
  add_op(with_options("randint(int low, int high, int[] size, *, Generator? generator=None"), &randint, "", kFunction);
  add_op(with_options("randperm(int n, *, Generator? generator=None"), +[](int64_t n, Generator* generator, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("randperm", out, dtype, DType::int64, layout, device, requires_grad, [&](DType type, Device where) { return randperm(n, type, where, *generator); });
  }, "The numbers 0 ... n - 1 in random order.", kFunction);
}

template <class Fill>
Tensor like(const char* op, const Tensor& x, Type dtype, PyObject* layout, Where device, bool requires_grad, PyObject* format, Fill fill) {
  check_layout(op, layout);
  Tensor y = empty_like(x, dtype.value_or(x.dtype()), device.value_or(x.device()), to_memory_format(op, format, MemoryFormat::preserve));
  {
    NoGrad no_grad;
    fill(y);
  }
  return finished(op, y, requires_grad);
}

void add_likes() {
  auto signature = [](const char* own) {
    return with_options(own, "Generator? generator=None, dtype? dtype=None, object layout=None, device? device=None, bool pin_memory=False, bool requires_grad=False, object memory_format=None");
  };
  add_op(signature("rand_like(Tensor input"), +[](const Tensor& x, Generator* generator, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return like("rand_like", x, dtype, layout, device, requires_grad, format, [&](Tensor& y) { uniform_(y, 0, 1, *generator); }); }, "", kFunction);
  add_op(signature("randn_like(Tensor input"), +[](const Tensor& x, Generator* generator, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return like("randn_like", x, dtype, layout, device, requires_grad, format, [&](Tensor& y) { normal_(y, 0, 1, *generator); }); }, "", kFunction);
  add_op(signature("randint_like(Tensor input, int high"), +[](const Tensor& x, int64_t high, Generator* generator, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return like("randint_like", x, dtype, layout, device, requires_grad, format, [&](Tensor& y) { random_(y, 0, high, *generator); }); }, "", kFunction);
  add_op(signature("randint_like(Tensor input, int low, int high"), +[](const Tensor& x, int64_t low, int64_t high, Generator* generator, Type dtype, PyObject* layout, Where device, bool, bool requires_grad, PyObject* format) {
    return like("randint_like", x, dtype, layout, device, requires_grad, format, [&](Tensor& y) { random_(y, low, high, *generator); }); }, "", kFunction);
}

void add_inplace() {
  add_op("uniform_(Tensor input, float from=0.0, float to=1.0, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double from, double to, Generator* g) -> Tensor& { return uniform_(x, from, to, *g); }, "", kMethod);
  add_op("normal_(Tensor input, float mean=0.0, float std=1.0, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double mean, double std, Generator* g) -> Tensor& { return normal_(x, mean, std, *g); }, "", kMethod);
  add_op("log_normal_(Tensor input, float mean=1.0, float std=2.0, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double mean, double std, Generator* g) -> Tensor& { return log_normal_(x, mean, std, *g); }, "", kMethod);
  add_op("exponential_(Tensor input, float lambd=1.0, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double rate, Generator* g) -> Tensor& { return exponential_(x, rate, *g); }, "", kMethod);
  add_op("cauchy_(Tensor input, float median=0.0, float sigma=1.0, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double median, double scale, Generator* g) -> Tensor& { return cauchy_(x, median, scale, *g); }, "", kMethod);
  add_op("geometric_(Tensor input, float p, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double p, Generator* g) -> Tensor& { return geometric_(x, p, *g); }, "", kMethod);
  add_op("random_(Tensor input, int from, int? to, *, Generator? generator=None) -> Tensor", +[](Tensor& x, int64_t from, std::optional<int64_t> to, Generator* g) -> Tensor& { return random_(x, from, to, *g); }, "Integers in [from, to).", kMethod);
  add_op("random_(Tensor input, int to, *, Generator? generator=None) -> Tensor", +[](Tensor& x, int64_t to, Generator* g) -> Tensor& { return random_(x, 0, to, *g); }, "", kMethod);
  add_op("random_(Tensor input, *, Generator? generator=None) -> Tensor", +[](Tensor& x, Generator* g) -> Tensor& { return random_(x, std::nullopt, std::nullopt, *g); }, "", kMethod);
  add_op("bernoulli_(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor", +[](Tensor& x, const Tensor& p, Generator* g) -> Tensor& { return bernoulli_(x, p, *g); }, "", kMethod);
  add_op("bernoulli_(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor", +[](Tensor& x, double p, Generator* g) -> Tensor& { return bernoulli_(x, p, *g); }, "", kMethod);
}

Tensor of_probability(const Tensor& x, double p, Generator* generator) {
  Tensor y = empty_like(x);
  NoGrad no_grad;
  return bernoulli_(y, p, *generator);
}

void add_distributions() {
  add_op("bernoulli(Tensor input, *, Generator? generator=None) -> Tensor", +[](const Tensor& p, Generator* g) { return bernoulli(p, *g); }, "1 with the probability that the input says, else 0.");
  add_op("bernoulli(Tensor input, float p, *, Generator? generator=None) -> Tensor", &of_probability);
  add_op("poisson(Tensor input, Generator? generator=None) -> Tensor", +[](const Tensor& rate, Generator* g) { return poisson(rate, *g); }, "Counts of the rates that the input says.", kFunction);
  add_op("multinomial(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None, Tensor? out=None) -> Tensor",
         +[](const Tensor& weights, int64_t count, bool replacement, Generator* g, const Tensor& out) {
           check(!out.defined() || out.dtype() == DType::int64, "multinomial: expects an int64 out, got ", out.defined() ? out.dtype() : DType::int64);
           Tensor y = multinomial(weights, count, replacement, *g);
           if (!out.defined()) return y;
           resize_for_out("multinomial", out, y.sizes());
           copy_(Tensor(out), y);
           return out;
         }, "Places drawn with the probabilities that each row's weights give.");

  auto both = +[](const Tensor& mean, const Tensor& std, Generator* g) { return normal(mean, std, *g); };
  add_op("normal(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor", both, "Normal numbers of these means and deviations.", kFunction);
  add_op("normal(Tensor mean, float std=1.0, *, Generator? generator=None) -> Tensor", +[](const Tensor& mean, double std, Generator* g) {
    check(std >= 0, "normal: expects std >= 0.0, but found std ", std);
    return normal(mean, wrapped_number(Scalar(std)), *g);
  }, "", kFunction);
  add_op("normal(float mean, Tensor std, *, Generator? generator=None) -> Tensor", +[](double mean, const Tensor& std, Generator* g) { return normal(wrapped_number(Scalar(mean)), std, *g); }, "", kFunction);
  add_op(with_options("normal(float mean, float std, int[] size, *, Generator? generator=None"), +[](double mean, double std, const Dims& sizes, Generator* g, const Tensor& out, Type dtype, PyObject* layout, Where device, bool, bool requires_grad) {
    return made("normal", out, dtype, default_dtype(), layout, device, requires_grad, [&](DType type, Device where) {
      Tensor y = empty(sizes, type, where);
      NoGrad no_grad;
      return normal_(y, mean, std, *g);
    });
  }, "", kFunction);
}

// Channels are dimension 1; without a batch, an input of one dimension less.
template <int unbatched, Tensor (*op)(const Tensor&, double, bool, bool)>
Tensor of_channels(const Tensor& x, double p, bool training, bool inplace) {
  if (x.dim() != unbatched) return op(x, p, training, inplace);
  Tensor y = op(unsqueeze(x, 0), p, training, inplace);
  return inplace ? x : squeeze(y, Dims{0});
}

Tensor dropout1d(const Tensor& x, double p, bool training, bool inplace) {
  check(x.dim() == 2 || x.dim() == 3, "dropout1d: Expected 2D or 3D input, but received a ", x.dim(), "D input. Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
        "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs).");
  return of_channels<2, &feature_dropout>(x, p, training, inplace);
}

template <Tensor (*op)(const Tensor&, double, bool, bool)>
void add_dropout(const char* functional, const char* function, const char* inplace) {
  add_op(functional, op, "", kNN);
  // PyTorch's older functions raise another error.
  add_op(function, +[](const Tensor& x, double p, bool train) {
    check(p >= 0 && p <= 1, "dropout: probability has to be between 0 and 1, but got ", p);
    return op(x, p, train, false);
  }, "", kFunction);
  add_op(inplace, +[](Tensor& x, double p, bool train) -> Tensor& {
    check(p >= 0 && p <= 1, "dropout: probability has to be between 0 and 1, but got ", p);
    op(x, p, train, true);
    return x;
  }, "", kFunction);
}

void add_dropouts() {
  add_dropout<&dropout>("dropout(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", "dropout(Tensor input, float p, bool train) -> Tensor", "dropout_(Tensor input, float p, bool train) -> Tensor");
  add_dropout<&alpha_dropout>("alpha_dropout(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor", "alpha_dropout(Tensor input, float p, bool train) -> Tensor", "alpha_dropout_(Tensor input, float p, bool train) -> Tensor");
  add_dropout<&feature_alpha_dropout>("feature_alpha_dropout(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor", "feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor",
                                      "feature_alpha_dropout_(Tensor input, float p, bool train) -> Tensor");
  add_op("feature_dropout(Tensor input, float p, bool train) -> Tensor", +[](const Tensor& x, double p, bool train) {
    check(p >= 0 && p <= 1, "feature_dropout: probability has to be between 0 and 1, but got ", p);
    return feature_dropout(x, p, train);
  }, "", kFunction);
  add_op("dropout1d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", &dropout1d, "Whole channels of (n, c, l) or (c, l).", kNN);
  add_op("dropout2d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", &feature_dropout, "Whole channels of (n, c, h, w).", kNN);
  add_op("dropout3d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", &of_channels<4, &feature_dropout>, "Whole channels of (n, c, d, h, w) or (c, d, h, w).", kNN);
}

}  // namespace

void bind_random() {
  add_draws(), add_likes(), add_inplace(), add_distributions(), add_dropouts();
}

}  // namespace tessel::python
