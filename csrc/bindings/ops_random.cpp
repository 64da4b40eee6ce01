// Random ops: creation from a draw, in-place draws, dropout. `generator=` everywhere; without it, the default one.
#include "bindings/creation.h"

namespace tessel::python {

namespace {

// ---- creation

template <class Fill> Tensor drawn(const Dims& sizes, const Options& options, DType otherwise, Fill fill) {
  return made(options, otherwise, [&](DType dtype, Device device) {
    Tensor y = empty(sizes, dtype, device);
    NoGrad no_grad;
    return fill(y);
  });
}

Tensor rand(const Dims& sizes, Generator* generator, const Options& options) {
  return drawn(sizes, options, default_dtype(), [&](Tensor& y) { return uniform_(y, 0, 1, *generator); });
}
Tensor randn(const Dims& sizes, Generator* generator, const Options& options) {
  return drawn(sizes, options, default_dtype(), [&](Tensor& y) { return normal_(y, 0, 1, *generator); });
}
Tensor normal_of(double mean, double std, const Dims& sizes, Generator* generator, const Options& options) {
  return drawn(sizes, options, default_dtype(), [&](Tensor& y) { return normal_(y, mean, std, *generator); });
}
Tensor randint(int64_t low, int64_t high, const Dims& sizes, Generator* generator, const Options& options) {
  return drawn(sizes, options, DType::int64, [&](Tensor& y) { return random_(y, low, high, *generator); });
}
Tensor randint_below(int64_t high, const Dims& sizes, Generator* generator, const Options& options) {
  return randint(0, high, sizes, generator, options);
}
Tensor permutation(int64_t n, Generator* generator, const Options& options) {
  return made(options, DType::int64,
              [&](DType dtype, Device device) { return randperm(n, dtype, device, *generator); });
}

void add_creation() {
  add_op(with(kOptions, "rand(int[*] size, *, Generator? generator=None"), &rand, "Uniform numbers in [0, 1).",
         kFunction);
  add_op(with(kOptions, "randn(int[*] size, *, Generator? generator=None"), &randn,
         "Normal numbers of mean 0 and variance 1.", kFunction);
  add_op(with(kOptions, "randint(int high, int[] size, *, Generator? generator=None"), &randint_below,
         "Integers in [low, high).", kFunction);
  add_op(with(kOptions, "randint(int low, int high, int[] size, *, Generator? generator=None"), &randint, "",
         kFunction);
  add_op(with(kOptions, "randperm(int n, *, Generator? generator=None"), &permutation,
         "The numbers 0 ... n - 1 in random order.", kFunction);
}

void add_likes() {
  add_op(
      with(kLikeOptions, "rand_like(Tensor input, *, Generator? generator=None"),
      +[](const Tensor& x, Generator* g, const LikeOptions& options) {
        return made_like(x, options, [&](Tensor& y) { uniform_(y, 0, 1, *g); });
      },
      "", kFunction);
  add_op(
      with(kLikeOptions, "randn_like(Tensor input, *, Generator? generator=None"),
      +[](const Tensor& x, Generator* g, const LikeOptions& options) {
        return made_like(x, options, [&](Tensor& y) { normal_(y, 0, 1, *g); });
      },
      "", kFunction);
  add_op(
      with(kLikeOptions, "randint_like(Tensor input, int high, *, Generator? generator=None"),
      +[](const Tensor& x, int64_t high, Generator* g, const LikeOptions& options) {
        return made_like(x, options, [&](Tensor& y) { random_(y, 0, high, *g); });
      },
      "", kFunction);
  add_op(
      with(kLikeOptions, "randint_like(Tensor input, int low, int high, *, Generator? generator=None"),
      +[](const Tensor& x, int64_t low, int64_t high, Generator* g, const LikeOptions& options) {
        return made_like(x, options, [&](Tensor& y) { random_(y, low, high, *g); });
      },
      "", kFunction);
}

// ---- in place

// x.name_(parameters, generator)
template <auto fill, class... Parameter> Tensor& overwrite(Tensor& x, Parameter... parameter, Generator* generator) {
  return fill(x, parameter..., *generator);
}

void add_inplace() {
  add_op("uniform_(Tensor input, float from=0.0, float to=1.0, *, Generator? generator=None) -> Tensor",
         &overwrite<&uniform_, double, double>, "", kMethod);
  add_op("normal_(Tensor input, float mean=0.0, float std=1.0, *, Generator? generator=None) -> Tensor",
         &overwrite<&normal_, double, double>, "", kMethod);
  add_op("log_normal_(Tensor input, float mean=1.0, float std=2.0, *, Generator? generator=None) -> Tensor",
         &overwrite<&log_normal_, double, double>, "", kMethod);
  add_op("exponential_(Tensor input, float lambd=1.0, *, Generator? generator=None) -> Tensor",
         &overwrite<&exponential_, double>, "", kMethod);
  add_op("cauchy_(Tensor input, float median=0.0, float sigma=1.0, *, Generator? generator=None) -> Tensor",
         &overwrite<&cauchy_, double, double>, "", kMethod);
  add_op("geometric_(Tensor input, float p, *, Generator? generator=None) -> Tensor", &overwrite<&geometric_, double>,
         "", kMethod);

  using Maybe = std::optional<int64_t>;
  add_op("random_(Tensor input, int from, int? to, *, Generator? generator=None) -> Tensor",
         &overwrite<&random_, Maybe, Maybe>, "Integers in [from, to).", kMethod);
  auto below = +[](Tensor& x, int64_t to, Generator* g) -> Tensor& { return random_(x, 0, to, *g); };
  add_op("random_(Tensor input, int to, *, Generator? generator=None) -> Tensor", below, "", kMethod);
  auto any = +[](Tensor& x, Generator* g) -> Tensor& { return random_(x, std::nullopt, std::nullopt, *g); };
  add_op("random_(Tensor input, *, Generator? generator=None) -> Tensor", any, "", kMethod);

  auto of_tensor = +[](Tensor& x, const Tensor& p, Generator* g) -> Tensor& { return bernoulli_(x, p, *g); };
  auto of_number = +[](Tensor& x, double p, Generator* g) -> Tensor& { return bernoulli_(x, p, *g); };
  add_op("bernoulli_(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor", of_tensor, "", kMethod);
  add_op("bernoulli_(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor", of_number, "", kMethod);
}

// ---- distributions of a tensor's values

Tensor of_probability(const Tensor& x, double p, Generator* generator) {
  Tensor y = empty_like(x);
  NoGrad no_grad;
  return bernoulli_(y, p, *generator);
}

Tensor places(const Tensor& weights, int64_t count, bool replacement, Generator* generator, const Tensor& out) {
  check(!out.defined() || out.dtype() == DType::int64, "multinomial: expects an int64 tensor as out");
  Tensor y = multinomial(weights, count, replacement, *generator);
  if (!out.defined()) return y;
  resize_for_out("multinomial", out, y.sizes());
  copy_(Tensor(out), y);
  return out;
}

void add_distributions() {
  add_op(
      "bernoulli(Tensor input, *, Generator? generator=None) -> Tensor",
      +[](const Tensor& p, Generator* g) { return bernoulli(p, *g); },
      "1 with the probability that the input says, else 0.");
  add_op("bernoulli(Tensor input, float p, *, Generator? generator=None) -> Tensor", &of_probability);
  add_op(
      "poisson(Tensor input, Generator? generator=None) -> Tensor",
      +[](const Tensor& rate, Generator* g) { return poisson(rate, *g); }, "Counts of the rates that the input says.",
      kFunction);
  add_op(
      "binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor",
      +[](const Tensor& n, const Tensor& p, Generator* g) { return binomial(n, p, *g); },
      "Successes in count trials of probability prob.", kFunction);
  add_op(
      "_standard_gamma(Tensor input, Generator? generator=None) -> Tensor",
      +[](const Tensor& alpha, Generator* g) { return standard_gamma(alpha, *g); },
      "Gamma numbers of these concentrations and rate 1, differentiable.", kFunction);
  add_op("_standard_gamma_grad(Tensor input, Tensor output) -> Tensor", &standard_gamma_backward,
         "How gamma numbers move with their concentration.", kFunction);
  add_op(
      "multinomial(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None, "
      "Tensor? out=None) -> Tensor",
      &places, "Places drawn with the probabilities that each row's weights give.");

  add_op(
      "normal(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor",
      +[](const Tensor& mean, const Tensor& std, Generator* g) { return normal(mean, std, *g); },
      "Normal numbers of these means and deviations.", kFunction);
  add_op(
      "normal(Tensor mean, float std=1.0, *, Generator? generator=None) -> Tensor",
      +[](const Tensor& mean, double std, Generator* g) { return normal(mean, wrapped_number(Scalar(std)), *g); }, "",
      kFunction);
  add_op(
      "normal(float mean, Tensor std, *, Generator? generator=None) -> Tensor",
      +[](double mean, const Tensor& std, Generator* g) { return normal(wrapped_number(Scalar(mean)), std, *g); }, "",
      kFunction);
  add_op(with(kOptions, "normal(float mean, float std, int[] size, *, Generator? generator=None"), &normal_of, "",
         kFunction);
}

// ---- dropout

using Dropout = Tensor (*)(const Tensor&, double, bool, bool);

// Channels are dimension 1; without a batch, an input of one dimension less.
template <int unbatched, Dropout op> Tensor of_channels(const Tensor& x, double p, bool training, bool inplace) {
  if (x.dim() != unbatched) return op(x, p, training, inplace);
  Tensor y = op(unsqueeze(x, 0), p, training, inplace);
  return inplace ? x : squeeze(y, Dims{0});
}

Tensor dropout1d(const Tensor& x, double p, bool training, bool inplace) {
  check(x.dim() == 2 || x.dim() == 3, "dropout1d: Expected 2D or 3D input, but received ", x.sizes(),
        ": it drops whole channels of inputs with one spatial dimension");
  return of_channels<2, &feature_dropout>(x, p, training, inplace);
}

// nn.functional's form, and the older functions, whose errors differ.
template <Dropout op> void add_dropout(const char* functional, const char* function, const char* inplace) {
  add_op(functional, op, "", kNN);
  static constexpr auto check_p = [](double p) {
    check(p >= 0 && p <= 1, "dropout: probability has to be between 0 and 1, but got ", p);
  };
  add_op(
      function, +[](const Tensor& x, double p, bool train) { return check_p(p), op(x, p, train, false); }, "",
      kFunction);
  auto over = +[](Tensor& x, double p, bool train) -> Tensor& { return check_p(p), op(x, p, train, true), x; };
  add_op(inplace, over, "", kFunction);
}

void add_dropouts() {
  add_dropout<&dropout>("dropout(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
                        "dropout(Tensor input, float p, bool train) -> Tensor",
                        "dropout_(Tensor input, float p, bool train) -> Tensor");
  add_dropout<&alpha_dropout>(
      "alpha_dropout(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor",
      "alpha_dropout(Tensor input, float p, bool train) -> Tensor",
      "alpha_dropout_(Tensor input, float p, bool train) -> Tensor");
  add_dropout<&feature_alpha_dropout>(
      "feature_alpha_dropout(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor",
      "feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor",
      "feature_alpha_dropout_(Tensor input, float p, bool train) -> Tensor");
  add_op(
      "feature_dropout(Tensor input, float p, bool train) -> Tensor",
      +[](const Tensor& x, double p, bool train) {
        check(p >= 0 && p <= 1, "feature_dropout: probability has to be between 0 and 1, but got ", p);
        return feature_dropout(x, p, train);
      },
      "", kFunction);
  add_op("dropout1d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", &dropout1d,
         "Whole channels of (n, c, l) or (c, l).", kNN);
  add_op("dropout2d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor", &feature_dropout,
         "Whole channels of (n, c, h, w).", kNN);
  add_op("dropout3d(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
         &of_channels<4, &feature_dropout>, "Whole channels of (n, c, d, h, w) or (c, d, h, w).", kNN);
}

}  // namespace

void bind_random() { add_creation(), add_likes(), add_inplace(), add_distributions(), add_dropouts(); }

}  // namespace tessel::python
