// Random numbers: a draw's elements, 256 at a time. philox.h says what each of them is; here they are made side by
// side, so that the compiler's vectors carry the rounds (ten rounds of two 32-bit products for four words), then
// converted and put where the result's strides say.
#include <stdint.h>
#include <string.h>

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/entries.h"

namespace tessel::TESSEL_TARGET {
#include "kernels/philox.h"

namespace {

constexpr int kChunk = 256;  // elements: their words and values stay in 5 KB of the first cache
constexpr int64_t kGrain = 64 * kChunk;

// A draw, prepared: the dimensions in the order of element numbers, which then count the positions from 0 on.
struct Plan {
  const RandomArgs* args;
  DType compute;        // what values are made as: float32, float64, or int64
  Convert store, load;  // from and to `compute`; null when the memory has it
  int ndim;
  int64_t sizes[kMaxDims];  // innermost first
  int64_t y_strides[kMaxDims], x_strides[kMaxDims];
  bool contiguous;  // the result
  const char* x;    // operand 1; null where there is none
  double top;       // uniform: the largest result
};

// ---- words

// `blocks` blocks from number `first` on, a multiple of their count: only the lowest word of the counter changes.
TESSEL_NOINLINE void make_words(const RandomArgs& args, uint64_t first, int blocks, uint32_t* words) {
  const uint64_t seed = args.seed, draw = args.offset, high = first >> 32 << 32;
  const uint32_t low = uint32_t(first);
  for (uint32_t i = 0; i < uint32_t(blocks); ++i) {
    const PhiloxBlock block = philox(seed, draw, high | uint32_t(low + i));
    for (int k = 0; k < 4; ++k) words[4 * i + k] = block.word[k];
  }
}

RandomWord word(const uint32_t* words, int i, float) { return {words[i]}; }
RandomWide word(const uint32_t* words, int i, double) { return {words[2 * i], words[2 * i + 1]}; }

// ---- values, of a chunk

template <class T, class F> void each(T* y, F f) {
  TESSEL_INDEPENDENT
  for (int i = 0; i < kChunk; ++i) y[i] = f(i);
}

template <class T> void unit(const Plan& plan, const uint32_t* words, T* y) {
  const DType dtype = plan.args->loop.operand[0].dtype;
  if constexpr (same<T, float>) {
    if (dtype == DType::bfloat16) return each(y, [=](int i) { return random_unit(word(words, i, T()), 8); });
    if (dtype == DType::float16) return each(y, [=](int i) { return random_unit(word(words, i, T()), 11); });
  }
  each(y, [=](int i) { return random_unit(word(words, i, T())); });
}

template <class T> void uniform(const Plan& plan, const uint32_t* words, T* y) {
  const T low = T(plan.args->a), scale = T(plan.args->b - plan.args->a), top = T(plan.top);
  unit(plan, words, y);
  each(y, [=](int i) {
    const T v = random_scaled(y[i], scale, low);
    return v < top ? v : top;
  });
}

template <class T> void normal(const Plan& plan, const uint32_t* words, T* y) {
  using V = Vec<T>;
  const T mean = T(plan.args->a), deviation = T(plan.args->b);
  alignas(64) T radius[kChunk / 2];
  TESSEL_INDEPENDENT
  for (int i = 0; i < kChunk / 2; ++i) radius[i] = random_square_radius(word(words, 2 * i, T()));
  for (int i = 0; i < kChunk / 2; i += V::width) sqrt(V::load(radius + i)).store(radius + i);
  TESSEL_INDEPENDENT
  for (int i = 0; i < kChunk / 2; ++i) {
    const RandomPoint<T> p = random_turn(word(words, 2 * i + 1, T()));
    y[2 * i] = random_scaled(radius[i] * p.cosine, deviation, mean);
    y[2 * i + 1] = random_scaled(radius[i] * p.sine, deviation, mean);
  }
}

template <class T> void log_normal(const Plan& plan, const uint32_t* words, T* y) {
  normal(plan, words, y);
  each(y, [=](int i) { return random_exp(y[i]); });
}

template <class T> void exponential(const Plan& plan, const uint32_t* words, T* y) {
  const T rate = T(plan.args->a);
  each(y, [=](int i) { return random_exponential(word(words, i, T())) / rate; });
}

template <class T> void cauchy(const Plan& plan, const uint32_t* words, T* y) {
  const T median = T(plan.args->a), scale = T(plan.args->b);
  each(y, [=](int i) { return random_scaled(random_cauchy(word(words, i, T())), scale, median); });
}

void geometric(const Plan& plan, const uint32_t* words, double* y) {
  const double log_failure = random_log_complement(plan.args->a);
  each(y, [=](int i) { return random_geometric(word(words, i, double()), log_failure); });
}

void bernoulli(const Plan& plan, const uint32_t* words, const float* x, float* y) {
  const float p = float(plan.args->a);
  if (x) each(y, [=](int i) { return random_unit(word(words, i, float())) < x[i] ? 1.0f : 0.0f; });
  else each(y, [=](int i) { return random_unit(word(words, i, float())) < p ? 1.0f : 0.0f; });
}

// a is the probability of a zero; the others grow to keep the mean. A zero is x * 0: what is not a number remains so.
template <class T> void dropout(const Plan& plan, const uint32_t* words, const T* x, T* y) {
  const double p = plan.args->a;
  const float keep = float(1 - p);
  const T scale = p < 1 ? T(1 / (1 - p)) : T(0);
  each(y, [=](int i) { return x[i] * (random_unit(word(words, i, float())) < keep ? scale : T(0)); });
}

void integers(const Plan& plan, const uint32_t* words, int64_t* y) {
  const bool raw = plan.args->op == Random::raw;
  const uint64_t low = raw ? 0 : uint64_t(plan.args->low), range = raw ? 0 : plan.args->range;
  if (range == 0) each(y, [=](int i) { return int64_t(low + random_all(word(words, i, double()))); });
  else if (range <= kRandomNarrow)
    each(y, [=](int i) { return int64_t(low + random_below(word(words, i, float()), range)); });
  else each(y, [=](int i) { return int64_t(low + random_below(word(words, i, double()), range)); });
}

// Whether an element takes 64 bits.
bool wide(const Plan& plan) {
  const RandomArgs& args = *plan.args;
  switch (args.op) {
    case Random::bernoulli:
    case Random::dropout: return false;
    case Random::integers: return args.range == 0 || args.range > kRandomNarrow;
    default: return plan.compute != DType::float32;
  }
}

template <class T> void make_values(const Plan& plan, const uint32_t* words, const T* x, T* y) {
  switch (plan.args->op) {
    case Random::uniform: return uniform(plan, words, y);
    case Random::normal: return normal(plan, words, y);
    case Random::log_normal: return log_normal(plan, words, y);
    case Random::exponential: return exponential(plan, words, y);
    case Random::cauchy: return cauchy(plan, words, y);
    case Random::dropout: return dropout(plan, words, x, y);
    case Random::geometric:
      if constexpr (same<T, double>) return geometric(plan, words, y);
      return;
    case Random::bernoulli:
      if constexpr (same<T, float>) return bernoulli(plan, words, x, y);
      return;
    default: return;
  }
}

// ---- memory

// Calls f(elements before, run, y offset, x offset) for the runs along the innermost dimension that make up
// [first, first + count).
template <class F> void runs(const Plan& plan, int64_t first, int count, F f) {
  int64_t index[kMaxDims] = {}, rest = first, y = 0, x = 0;
  for (int d = 0; d < plan.ndim; ++d) {
    index[d] = rest % plan.sizes[d];
    rest /= plan.sizes[d];
    y += index[d] * plan.y_strides[d];
    x += index[d] * plan.x_strides[d];
  }
  for (int done = 0; done < count;) {
    const int64_t left = plan.ndim ? plan.sizes[0] - index[0] : 1;
    const int run = left < count - done ? int(left) : count - done;
    f(done, run, y, x);
    done += run;
    index[0] += run;
    y += run * plan.y_strides[0];
    x += run * plan.x_strides[0];
    for (int d = 0; d + 1 < plan.ndim && index[d] == plan.sizes[d]; ++d) {
      index[d] = 0;
      ++index[d + 1];
      y += plan.y_strides[d + 1] - plan.sizes[d] * plan.y_strides[d];
      x += plan.x_strides[d + 1] - plan.sizes[d] * plan.x_strides[d];
    }
  }
}

template <class Item> void copy_items(char* to, int64_t to_stride, const char* from, int64_t from_stride, int n) {
  for (int i = 0; i < n; ++i) memcpy(to + i * to_stride, from + i * from_stride, sizeof(Item));
}

void copy_run(int bytes, char* to, int64_t to_stride, const char* from, int64_t from_stride, int n) {
  switch (bytes) {
    case 1: return copy_items<uint8_t>(to, to_stride, from, from_stride, n);
    case 2: return copy_items<uint16_t>(to, to_stride, from, from_stride, n);
    case 4: return copy_items<uint32_t>(to, to_stride, from, from_stride, n);
    default: return copy_items<uint64_t>(to, to_stride, from, from_stride, n);
  }
}

// Operand 1 of a chunk as `compute`; the elements past `count` are zeros.
void load_operand(const Plan& plan, int64_t first, int count, char* x) {
  const int bytes = item_bytes(plan.args->loop.operand[1].dtype);
  alignas(64) char stored[8 * kChunk] = {};
  char* const to = plan.load ? stored : x;
  runs(plan, first, count, [&](int done, int run, int64_t, int64_t offset) {
    copy_run(bytes, to + done * bytes, bytes, plan.x + offset, plan.x_strides[0], run);
  });
  if (plan.load) plan.load(x, stored, kChunk);
}

void store_result(const Plan& plan, int64_t first, int count, const char* values) {
  const Operand& result = plan.args->loop.operand[0];
  const int bytes = item_bytes(result.dtype);
  if (plan.contiguous) {
    char* const y = result.data + first * bytes;
    if (plan.store) plan.store(y, values, count);
    else memcpy(y, values, size_t(count) * size_t(bytes));
    return;
  }
  alignas(64) char converted[8 * kChunk];
  if (plan.store) plan.store(converted, values, count);
  const char* const from = plan.store ? converted : values;
  runs(plan, first, count, [&](int done, int run, int64_t offset, int64_t) {
    copy_run(bytes, result.data + offset, plan.y_strides[0], from + done * bytes, bytes, run);
  });
}

void make_chunk(const Plan& plan, int64_t first, int count) {
  alignas(64) uint32_t words[2 * kChunk];
  alignas(64) char x[8 * kChunk] = {}, y[8 * kChunk];
  if (wide(plan)) make_words(*plan.args, uint64_t(first) / 2 | kRandomWide, kChunk / 2, words);
  else make_words(*plan.args, uint64_t(first) / 4, kChunk / 4, words);
  if (plan.x) load_operand(plan, first, count, x);
  switch (plan.compute) {
    case DType::float32: make_values(plan, words, plan.x ? (const float*)x : nullptr, (float*)y); break;
    case DType::float64: make_values(plan, words, plan.x ? (const double*)x : nullptr, (double*)y); break;
    default: integers(plan, words, (int64_t*)y);
  }
  store_result(plan, first, count, y);
}

void make_piece(void* context, int64_t begin, int64_t end, int) {
  const Plan& plan = *(const Plan*)context;
  for (int64_t first = begin; first < end; first += kChunk) {
    make_chunk(plan, first, int(end - first < kChunk ? end - first : kChunk));
  }
}

DType compute_type(const RandomArgs& args) {
  switch (args.op) {
    case Random::integers:
    case Random::raw: return DType::int64;
    case Random::geometric: return DType::float64;
    case Random::bernoulli: return DType::float32;
    default: return args.loop.operand[0].dtype == DType::float64 ? DType::float64 : DType::float32;
  }
}

double uniform_top(const RandomArgs& args) {
  switch (args.loop.operand[0].dtype) {
    case DType::float64: return random_top(args.a, args.b, 53, -1074);
    case DType::bfloat16: return random_top(args.a, args.b, 8, -133);
    case DType::float16: return random_top(args.a, args.b, 11, -24);
    default: return random_top(args.a, args.b, 24, -149);
  }
}

Plan make_plan(const RandomArgs& args) {
  const Loop& loop = args.loop;
  const Operand &result = loop.operand[0], &operand = loop.operand[1];
  Plan plan = {};
  plan.args = &args;
  plan.compute = compute_type(args);
  plan.store = converter(result.dtype, plan.compute);
  if (loop.operands > 1) {
    plan.x = operand.data ? operand.data : operand.immediate;
    plan.load = converter(plan.compute, operand.dtype);
  }
  int64_t order[kMaxDims];
  for (int d = 0; d < loop.ndim; ++d) {
    int at = plan.ndim++;
    for (; at > 0 && order[at - 1] > args.order[d]; --at) {
      order[at] = order[at - 1];
      plan.sizes[at] = plan.sizes[at - 1];
      plan.y_strides[at] = plan.y_strides[at - 1];
      plan.x_strides[at] = plan.x_strides[at - 1];
    }
    order[at] = args.order[d];
    plan.sizes[at] = loop.sizes[d];
    plan.y_strides[at] = result.strides[d];
    plan.x_strides[at] = plan.x && operand.data ? operand.strides[d] : 0;
  }
  plan.contiguous = true;
  int64_t bytes = item_bytes(result.dtype);
  for (int d = 0; d < plan.ndim; ++d) {
    plan.contiguous = plan.contiguous && (plan.sizes[d] == 1 || plan.y_strides[d] == bytes);
    bytes *= plan.sizes[d];
  }
  if (args.op == Random::uniform) plan.top = uniform_top(args);
  return plan;
}

}  // namespace

void random(const RandomArgs& args) {
  Plan plan = make_plan(args);
  parallel_for(args.loop.numel, kGrain, make_piece, &plan);
}

}  // namespace tessel::TESSEL_TARGET
