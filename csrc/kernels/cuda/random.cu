// Random numbers: the CPU's values, bit for bit, from the same philox.h; one thread an element.
#include "kernels/cuda/launch.cuh"
#include "kernels/kernels.h"

namespace tessel::cuda {
#undef TESSEL_FN
#include "kernels/philox.h"

namespace {

struct Shape {
  RandomArgs args;
  double top, log_failure;
};

__device__ uint64_t element_number(const RandomArgs& args, int64_t i) {
  uint64_t number = 0;
  for (int d = 0; d < args.loop.ndim; ++d) {
    int64_t next = i / args.loop.sizes[d];
    number += uint64_t(i - next * args.loop.sizes[d]) * uint64_t(args.order[d]);
    i = next;
  }
  return number;
}

template <class T> struct WordOf { using type = RandomWord; };
template <> struct WordOf<double> { using type = RandomWide; };
__device__ RandomWord word(const RandomArgs& a, uint64_t e, float) { return random_word(a.seed, a.offset, e); }
__device__ RandomWide word(const RandomArgs& a, uint64_t e, double) { return random_wide(a.seed, a.offset, e); }

template <class T>
__device__ T normal(const RandomArgs& a, uint64_t e) {
  uint64_t even = e & ~uint64_t(1);
  RandomPoint<T> p = random_normal_pair<T>(word(a, even, T()), word(a, even + 1, T()));
  return random_scaled(e & 1 ? p.sine : p.cosine, T(a.b), T(a.a));
}

template <class T>
__device__ T uniform(const Shape& s, uint64_t e, DType dtype) {
  T u;
  if constexpr (sizeof(T) == 4) {
    u = dtype == DType::bfloat16 ? random_unit(word(s.args, e, T()), 8) : dtype == DType::float16 ? random_unit(word(s.args, e, T()), 11) : random_unit(word(s.args, e, T()));
  } else {
    u = random_unit(word(s.args, e, T()));
  }
  T v = random_scaled(u, T(s.args.b - s.args.a), T(s.args.a));
  return v < T(s.top) ? v : T(s.top);
}

template <class T>
__device__ T value(const Shape& s, uint64_t e, DType dtype) {
  const RandomArgs& a = s.args;
  switch (a.op) {
    case Random::uniform: return uniform<T>(s, e, dtype);
    case Random::normal: return normal<T>(a, e);
    case Random::log_normal: return random_exp(normal<T>(a, e));
    case Random::exponential: return random_ratio(random_exponential(word(a, e, T())), T(a.a));
    case Random::cauchy: return random_scaled(random_cauchy(word(a, e, T())), T(a.b), T(a.a));
    default: return T(0);
  }
}

__global__ void make(Shape s) {
  const RandomArgs& a = s.args;
  const Operand& y = a.loop.operand[0];
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < a.loop.numel; i += int64_t(gridDim.x) * blockDim.x) {
    int64_t offsets[kMaxOperands];
    offsets_of(a.loop, i, offsets);
    uint64_t e = element_number(a, i);
    char* to = y.data + offsets[0];
    switch (a.op) {
      case Random::integers: {
        uint64_t below = a.range == 0 ? random_all(random_wide(a.seed, a.offset, e)) : a.range <= kRandomNarrow ? random_below(random_word(a.seed, a.offset, e), a.range) : random_below(random_wide(a.seed, a.offset, e), a.range);
        store<int64_t>(y.dtype, to, int64_t(uint64_t(a.low) + below));
        break;
      }
      case Random::raw: store<int64_t>(y.dtype, to, int64_t(random_all(random_wide(a.seed, a.offset, e)))); break;
      case Random::geometric: store<double>(y.dtype, to, random_geometric(random_wide(a.seed, a.offset, e), s.log_failure)); break;
      case Random::bernoulli: {
        float p = a.loop.operands > 1 ? load<float>(a.loop.operand[1], offsets[1]) : float(a.a);
        store<float>(y.dtype, to, random_unit(random_word(a.seed, a.offset, e)) < p ? 1.0f : 0.0f);
        break;
      }
      case Random::dropout: {
        bool keep = random_unit(random_word(a.seed, a.offset, e)) < float(1 - a.a);
        if (y.dtype == DType::float64) store<double>(y.dtype, to, random_times(load<double>(a.loop.operand[1], offsets[1]), keep ? random_ratio(1.0, 1 - a.a) : 0.0));
        else store<float>(y.dtype, to, random_times(load<float>(a.loop.operand[1], offsets[1]), keep ? float(random_ratio(1.0, 1 - a.a)) : 0.0f));
        break;
      }
      default:
        if (y.dtype == DType::float64) store<double>(y.dtype, to, value<double>(s, e, y.dtype));
        else store<float>(y.dtype, to, value<float>(s, e, y.dtype));
    }
  }
}

}  // namespace

void random(const RandomArgs& args) {
  if (args.loop.numel == 0) return;
  Shape s{args, 0, 0};
  DType dtype = args.loop.operand[0].dtype;
  if (args.op == Random::uniform)
    s.top = dtype == DType::float64 ? random_top(args.a, args.b, 53, -1074) : dtype == DType::bfloat16 ? random_top(args.a, args.b, 8, -133) : dtype == DType::float16 ? random_top(args.a, args.b, 11, -24) : random_top(args.a, args.b, 24, -149);
  if (args.op == Random::geometric) s.log_failure = random_log_complement(args.a);
  make<<<blocks_for(args.loop.numel), kThreads>>>(s);
  check(cudaGetLastError(), "random launch");
}

}  // namespace tessel::cuda
