// Random numbers. An op takes one draw of a generator; the kernel makes element i of it from (seed, draw, i) alone,
// where elements are counted in C order whatever the memory's layout is. So values never depend on threads, strides or
// device.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/parallel.h"
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

namespace {
#include "kernels/philox.h"

// Fills y from one draw; x is the kernel's operand where it has one.
void fill_from(const char* op, const Tensor& y, RandomArgs args, Draw draw, const Tensor& x = {}) {
  if (y.numel() == 0) return;
  args.seed = draw.seed;
  args.offset = draw.offset;
  // A last operand that nobody reads keeps dimensions apart whose elements are not numbered in one row.
  Tensor numbered = y.is_contiguous() ? y : alias(y, y.sizes(), contiguous_strides(y.sizes()), 0);
  args.loop = x.defined() ? plan({&y, &x, &numbered}) : plan({&y, &numbered});
  const Operand& numbers = args.loop.operand[--args.loop.operands];
  for (int d = 0; d < args.loop.ndim; ++d) args.order[d] = numbers.strides[d] / y.item_size();
  constexpr int64_t kWork = 4;  // nanoseconds an element
  run(op, y, kWork * y.numel(), kernels(y).random, args);
}

// x overwritten with numbers that depend on nothing: its gradient is zero.
Tensor& overwrite(const char* op, Tensor& x, const RandomArgs& args, Generator& generator, const Tensor& operand = {}) {
  check_inplace(op, x);
  fill_from(op, x, args, generator.draw(), operand);
  x.bump_version(op);
  if (Node* node = record_inplace(op, x, {x}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {zeros(dy.sizes(), dy.dtype(), dy.device())}; };
  return x;
}

void check_floating(const char* op, DType dtype) {
  if (!is_floating(dtype))
    fail<NotImplementedError>(op, ": not implemented for ", dtype, ", only for floating point tensors");
}

}  // namespace

Tensor& uniform_(Tensor& x, double from, double to, Generator& generator) {
  if (is_complex(x.dtype())) {  // both parts
    Tensor parts = view_as_real(x);
    uniform_(parts, from, to, generator);
    return x;
  }
  check_floating("uniform_", x.dtype());
  check(from <= to, "uniform_: expects to return a [from, to) range, but found from=", from, " > to=", to);
  return overwrite("uniform_", x, {.op = Random::uniform, .a = from, .b = to}, generator);
}

Tensor& normal_(Tensor& x, double mean, double std, Generator& generator) {
  if (is_complex(x.dtype())) {  // both parts, which share the variance; the mean is real
    Tensor parts = view_as_real(x);
    normal_(parts, 0, std * 0.70710678118654752440, generator);
    if (mean != 0) add_(x, wrapped_number(mean));
    return x;
  }
  check_floating("normal_", x.dtype());
  check(std >= 0, "normal_: expects std >= 0.0, but found std ", std);
  return overwrite("normal_", x, {.op = Random::normal, .a = mean, .b = std}, generator);
}

Tensor& log_normal_(Tensor& x, double mean, double std, Generator& generator) {
  check_floating("log_normal_", x.dtype());
  check(std > 0, "log_normal_: expects std > 0.0, but found std=", std);
  return overwrite("log_normal_", x, {.op = Random::log_normal, .a = mean, .b = std}, generator);
}

Tensor& exponential_(Tensor& x, double rate, Generator& generator) {
  check_floating("exponential_", x.dtype());
  check(rate > 0, "exponential_: expects lambda > 0.0, but found lambda=", rate);
  return overwrite("exponential_", x, {.op = Random::exponential, .a = rate}, generator);
}

Tensor& cauchy_(Tensor& x, double median, double scale, Generator& generator) {
  check_floating("cauchy_", x.dtype());
  check(scale > 0, "cauchy_: expects sigma > 0.0, but found sigma=", scale);
  return overwrite("cauchy_", x, {.op = Random::cauchy, .a = median, .b = scale}, generator);
}

Tensor& geometric_(Tensor& x, double p, Generator& generator) {
  if (x.dtype() == DType::bool_) fail<NotImplementedError>("geometric_: not implemented for bool");
  check(p > 0 && p < 1, "geometric_: expects p to be in (0, 1), but got p=", p);
  return overwrite("geometric_", x, {.op = Random::geometric, .a = p}, generator);
}

// ---- integers

namespace {

// The largest integer up to which a dtype holds every one.
double largest_integer(DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return 1;
    case DType::uint8:
      return 255;
    case DType::int8:
      return 127;
    case DType::int16:
      return 32767;
    case DType::int32:
      return 0x1p31 - 1;
    case DType::int64:
      return 0x1p63;
    case DType::bfloat16:
      return 0x1p8;
    case DType::float16:
      return 0x1p11;
    case DType::float32:
      return 0x1p24;
    default:
      return 0x1p53;
  }
}

bool holds(DType dtype, int64_t value) {
  if (dtype == DType::int64) return true;
  if (is_floating(dtype))
    return std::abs(static_cast<double>(value)) <=
           (dtype == DType::float16 ? 65504 : std::numeric_limits<float>::max());
  const double top = largest_integer(dtype), low = dtype == DType::bool_ || dtype == DType::uint8 ? 0 : -top - 1;
  return static_cast<double>(value) <= top && static_cast<double>(value) >= low;
}

}  // namespace

Tensor& random_(Tensor& x, std::optional<int64_t> from, std::optional<int64_t> to, Generator& generator) {
  RandomArgs args{.op = Random::integers, .low = from.value_or(0)};
  if (to) {
    check(args.low < *to, "random_: expects 'from' to be less than 'to', but got from=", args.low, " >= to=", *to);
    check(holds(x.dtype(), args.low), "random_: from is out of bounds for ", x.dtype(), " (it is ", args.low, ")");
    check(holds(x.dtype(), *to - 1), "random_: to - 1 is out of bounds for ", x.dtype(), " (to is ", *to, ")");
    args.range = static_cast<uint64_t>(*to) - static_cast<uint64_t>(args.low);
  } else {
    check(holds(x.dtype(), args.low), "random_: from is out of bounds for ", x.dtype(), " (it is ", args.low, ")");
    const uint64_t last = x.dtype() == DType::int64 ? INT64_MAX : static_cast<uint64_t>(largest_integer(x.dtype()));
    args.range = last - static_cast<uint64_t>(args.low) + 1;
  }
  return overwrite("random_", x, args, generator);
}

// Fisher and Yates's shuffle from the inside out, in the memory that holds its random bits: step i reads bits[i], then
// puts the number at a random place j <= i there and i at place j.
Tensor randperm(int64_t n, DType dtype, Device device, Generator& generator) {
  check(n >= 0, "randperm: n must be non-negative, got ", n);
  check(static_cast<double>(n) <= largest_integer(dtype) + is_floating(dtype), "randperm: n is too large for ", dtype,
        " (it is ", n, ")");
  Tensor y = empty({n}, DType::int64);
  fill_from("randperm", y, {.op = Random::raw}, generator.draw());
  int64_t* numbers = y.data_as<int64_t>();
  Unlocked unlocked(4 * n);
  for (int64_t i = 0; i < n; ++i) {
    const auto j = static_cast<int64_t>(
        static_cast<unsigned __int128>(static_cast<uint64_t>(numbers[i])) * static_cast<uint64_t>(i + 1) >> 64);
    numbers[i] = j == i ? i : numbers[j];
    numbers[j] = i;
  }
  return to(y, dtype, device);
}

// ---- probabilities

static void check_probabilities(const char* op, const Tensor& p) {
  check_floating(op, p.dtype());
  NoGrad no_grad;
  check(p.numel() == 0 || item(all(eq(clamp(p, Scalar(0), Scalar(1)), p))).as_int() != 0, op,
        ": expects p to be in [0, 1] everywhere (p is ", p.sizes(), ")");
}

Tensor& bernoulli_(Tensor& x, double p, Generator& generator) {
  check(p >= 0 && p <= 1, "bernoulli_: expects p to be in [0, 1], but got p=", p);
  return overwrite("bernoulli_", x, {.op = Random::bernoulli, .a = p}, generator);
}

Tensor& bernoulli_(Tensor& x, const Tensor& p, Generator& generator) {
  check_probabilities("bernoulli_", p);
  check(broadcast("bernoulli_", x.sizes(), p.sizes()) == x.sizes(), "bernoulli_: p of ", p.sizes(),
        " can't be broadcast to ", x.sizes());
  Tensor apart = may_overlap(x, p) ? clone(detach(p)) : p;
  return overwrite("bernoulli_", x, {.op = Random::bernoulli}, generator, apart);
}

Tensor bernoulli(const Tensor& p, Generator& generator) {
  check_probabilities("bernoulli", p);
  Tensor y = empty_like(p);
  fill_from("bernoulli", y, {.op = Random::bernoulli}, generator.draw(), p);
  if (Node* node = record("bernoulli", y, {p}))
    node->backward = [](const Tensor& dy, Needs) -> Grads { return {zeros(dy.sizes(), dy.dtype(), dy.device())}; };
  return y;
}

Tensor normal(const Tensor& mean, const Tensor& std, Generator& generator) {
  DType dtype = mean->wrapped_number ? std.dtype() : mean.dtype();
  check_floating("normal", dtype);
  NoGrad no_grad;
  check(std.numel() == 0 || item(all(ge(std, wrapped_number(0)))).as_int() != 0,
        "normal: expects all elements of std >= 0.0");
  Tensor y = empty(broadcast("normal", mean.sizes(), std.sizes()), dtype, (mean->wrapped_number ? std : mean).device());
  fill_from("normal", y, {.op = Random::normal, .a = 0, .b = 1}, generator.draw());
  mul(y, std, Into::over(y));
  return add_(y, mean);
}

// ---- multinomial

// Runs f(begin, end) over [0, n) in pieces.
template <class F> static void in_parallel(int64_t n, int64_t grain, F f) {
  parallel_for(
      n, grain, [](void* context, int64_t begin, int64_t end, int) { (*static_cast<F*>(context))(begin, end); }, &f);
}

namespace {

// `count` independent draws: the place of each uniform number in the running sum of the weights.
void with_replacement(const double* weights, int64_t n, const double* uniform, int64_t count, double* sums,
                      int64_t* y) {
  std::partial_sum(weights, weights + n, sums);
  const double total = sums[n - 1];
  int64_t last = n - 1;  // of positive weight, for a product that rounds up to the total
  while (last > 0 && weights[last] == 0) --last;
  for (int64_t i = 0; i < count; ++i)
    y[i] = std::min<int64_t>(std::upper_bound(sums, sums + n, uniform[i] * total) - sums, last);
}

// Without: the largest of weight / exponential number, in order, are a sample taken one by one (Efraimidis and
// Spirakis, "Weighted random sampling with a reservoir", 2006).
void without_replacement(const double* weights, int64_t n, double* keys, int64_t count, int64_t* places, int64_t* y) {
  for (int64_t i = 0; i < n; ++i) keys[i] = weights[i] / keys[i];
  std::iota(places, places + n, 0);
  std::partial_sort(places, places + count, places + n,
                    [keys](int64_t a, int64_t b) { return keys[a] != keys[b] ? keys[a] > keys[b] : a < b; });
  std::copy_n(places, count, y);
}

void check_weights(const double* weights, int64_t rows, int64_t n, int64_t count, bool replacement) {
  for (int64_t row = 0; row < rows; ++row, weights += n) {
    double sum = 0;
    int64_t positive = 0;
    for (int64_t i = 0; i < n; ++i) {
      check(std::isfinite(weights[i]) && weights[i] >= 0,
            "multinomial: probability tensor contains either `inf`, `nan` or element < 0");
      sum += weights[i];
      positive += weights[i] > 0;
    }
    check(sum > 0, "multinomial: invalid multinomial distribution (sum of probabilities <= 0)");
    check(replacement || positive >= count,
          "multinomial: invalid multinomial distribution (with replacement=False, not enough non-negative category to "
          "sample: ",
          positive, " for ", count, ")");
  }
}

}  // namespace

Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, Generator& generator) {
  check(weights.dim() == 1 || weights.dim() == 2, "multinomial: prob_dist must be 1 or 2 dim, got ", weights.sizes());
  check(is_floating(weights.dtype()),
        "multinomial: only supports floating-point dtypes for input, got: ", weights.dtype());
  check(count > 0, "multinomial: cannot sample n_sample <= 0 samples, got ", count);
  const int64_t n = weights.size(-1), rows = weights.dim() == 1 ? 1 : weights.size(0);
  check(n > 0 || rows == 0, "multinomial: there is no category to sample from");
  check(replacement || count <= n,
        "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement (", count, " of ", n,
        ")");
  NoGrad no_grad;
  Dims sizes = weights.sizes();
  sizes[sizes.size() - 1] = count;
  Tensor y = empty(sizes, DType::int64);
  if (rows == 0) return to_device(y, weights.device());

  Tensor w = contiguous(to(weights, DType::float64, Device{}));
  check_weights(w.data_as<double>(), rows, n, count, replacement);
  Tensor drawn = empty({rows, replacement ? count : n}, DType::float64);
  if (replacement)
    uniform_(drawn, 0, 1, generator);
  else
    exponential_(drawn, 1, generator);
  Tensor room = empty({rows, n}, replacement ? DType::float64 : DType::int64);
  in_parallel(rows, std::max<int64_t>(1, 16384 / n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const double* of_row = w.data_as<double>() + row * n;
      int64_t* result = y.data_as<int64_t>() + row * count;
      if (replacement)
        with_replacement(of_row, n, drawn.data_as<double>() + row * count, count, room.data_as<double>() + row * n,
                         result);
      else
        without_replacement(of_row, n, drawn.data_as<double>() + row * n, count, room.data_as<int64_t>() + row * n,
                            result);
    }
  });
  return to_device(y, weights.device());
}

// ---- dropout

// Whether anything is to be dropped.
static bool drops(const char* op, const Tensor& x, double p, bool training) {
  check_value(p >= 0 && p <= 1, op, ": dropout probability has to be between 0 and 1, but got ", p);
  if (!training || p == 0 || x.numel() == 0) return false;
  check(is_floating(x.dtype()), op, ": result type Float can't be cast to the desired output type ", x.dtype());
  return true;
}

// x with elements set to zero with probability p, the others divided by 1 - p. Which ones follows from the draw alone,
// so the gradient is the same function of dy, and no mask is kept.
static Tensor dropped(const Tensor& x, double p, Draw draw, bool inplace) {
  if (inplace) check_inplace("dropout", x);
  Tensor y = inplace ? x : empty_like(x);
  fill_from("dropout", y, {.op = Random::dropout, .a = p}, draw, x);
  if (inplace) y.bump_version("dropout");
  if (Node* node = inplace ? record_inplace("dropout", y, {x}) : record("dropout", y, {x}))
    node->backward = [p, draw](const Tensor& dy, Needs) -> Grads { return {dropped(dy, p, draw, false)}; };
  return y;
}

Tensor dropout(const Tensor& x, double p, Draw draw) { return dropped(x, p, draw, false); }

Tensor dropout(const Tensor& x, double p, bool training, bool inplace) {
  if (!drops("dropout", x, p, training)) return x;
  return dropped(x, p, default_generator().draw(), inplace);
}

// One number for each channel: sizes [n, c, 1, ...].
static Dims channels(const char* op, const Tensor& x) {
  check(x.dim() >= 2, op, ": Feature dropout requires at least 2 dimensions in the input, got ", x.sizes());
  Dims sizes = Dims::filled(static_cast<int>(x.dim()), 1);
  sizes[0] = x.size(0);
  sizes[1] = x.size(1);
  return sizes;
}

Tensor feature_dropout(const Tensor& x, double p, bool training, bool inplace) {
  if (!drops("feature_dropout", x, p, training)) return x;
  Tensor noise =
      dropped(ones(channels("feature_dropout", x), x.dtype(), x.device()), p, default_generator().draw(), true);
  return mul(x, noise, inplace ? Into::over(x) : Into{});
}

// G. Klambauer et al., "Self-Normalizing Neural Networks", 2017: what is dropped becomes SELU's lower limit, then scale
// and shift restore mean 0 and variance 1.
static Tensor alpha_dropped(const char* op, const Tensor& x, const Dims& sizes, double p, bool inplace) {
  constexpr double kLimit = -1.7580993408473766;
  if (p == 1) return mul(x, wrapped_number(Scalar(0)), inplace ? Into::over(x) : Into{});
  const double scale = 1 / std::sqrt((kLimit * kLimit * p + 1) * (1 - p));
  Tensor kept = empty(sizes, x.dtype(), x.device()), shift;
  {
    NoGrad no_grad;
    fill_from(op, kept, {.op = Random::bernoulli, .a = 1 - p}, default_generator().draw());
    shift = add(mul(sub(kept, wrapped_number(1)), Scalar(kLimit * scale)), Scalar(kLimit * scale * p));
    mul_(kept, wrapped_number(Scalar(scale)));
  }
  if (!inplace) return add(mul(x, kept), shift);
  mul(x, kept, Into::over(x));
  return add(x, shift, 1, Into::over(x));
}

Tensor alpha_dropout(const Tensor& x, double p, bool training, bool inplace) {
  if (!drops("alpha_dropout", x, p, training)) return x;
  return alpha_dropped("alpha_dropout", x, x.sizes(), p, inplace);
}

Tensor feature_alpha_dropout(const Tensor& x, double p, bool training, bool inplace) {
  if (!drops("feature_alpha_dropout", x, p, training)) return x;
  return alpha_dropped("feature_alpha_dropout", x, channels("feature_alpha_dropout", x), p, inplace);
}

}  // namespace tessel
