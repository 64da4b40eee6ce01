// Products of integers: every sum in 64 bits, wrapping around; one row of c at a time, its columns in blocks that stay in L1.
#include "kernels/cpu/floating.h"
#include "kernels/cpu/gemm_ways.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kIntegerBlock = 512;

template <class T> void integer_row(const GemmArgs& g, const T* a, const T* b, T* c, int64_t begin, int64_t end,
                                    const T* bias) {
  uint64_t sum[kIntegerBlock];
  const int64_t n = end - begin;
  for (int64_t j = 0; j < n; ++j) sum[j] = 0;
  if (g.b_row == 1 && g.b_col != 1) {
    for (int64_t j = 0; j < n; ++j) {
      const T* column = b + (begin + j) * g.b_col;
      uint64_t total = 0;
      for (int64_t p = 0; p < g.k; ++p) total += uint64_t(int64_t(a[p * g.a_col])) * uint64_t(int64_t(column[p]));
      sum[j] = total;
    }
  } else {
    for (int64_t p = 0; p < g.k; ++p) {
      const uint64_t x = uint64_t(int64_t(a[p * g.a_col]));
      const T* row = b + p * g.b_row + begin * g.b_col;
      if (x == 0) continue;
      for (int64_t j = 0; j < n; ++j) sum[j] += x * uint64_t(int64_t(row[j * g.b_col]));
    }
  }
  const uint64_t alpha = uint64_t(int64_t(g.alpha)), beta = uint64_t(int64_t(g.beta));
  for (int64_t j = 0; j < n; ++j) {
    T* to = c + (begin + j) * g.c_col;
    uint64_t value = alpha * sum[j];
    if (beta) value += beta * uint64_t(int64_t(*to));
    if (bias) value += uint64_t(int64_t(bias[(begin + j) * g.bias_stride]));
    if (g.activation == Activation::relu && int64_t(value) < 0) value = 0;
    *to = T(value);
  }
}

template <class F> void with_integer(DType dtype, const F& f) {
  switch (dtype) {
    case DType::int64: f(Type<int64_t>{}); break;
    case DType::int32: f(Type<int32_t>{}); break;
    case DType::int16: f(Type<int16_t>{}); break;
    case DType::int8: f(Type<int8_t>{}); break;
    case DType::bool_: f(Type<bool>{}); break;
    default: f(Type<uint8_t>{}); break;
  }
}

}  // namespace

bool accepts_integer(const Problem& p) { return !floating(p); }
int64_t integer_scratch(const Problem&) { return 0; }

void run_integer(const Problem& p, char*) {
  with_integer(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    GemmArgs g = p.g;
    const T* bias = static_cast<const T*>(g.bias);
    if (p.transposed) g.bias_stride = 0;
    const int64_t blocks = (g.n + kIntegerBlock - 1) / kIntegerBlock;
    auto rows = [&](int64_t begin, int64_t end, int) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t block = task % blocks, row = task / blocks % g.m;
        const Place at = place(g, task / blocks / g.m);
        const int64_t stop = (block + 1) * kIntegerBlock;
        integer_row<T>(g, static_cast<const T*>(g.a) + at.a + row * g.a_row, static_cast<const T*>(g.b) + at.b,
                       static_cast<T*>(g.c) + at.c + row * g.c_row, block * kIntegerBlock, stop < g.n ? stop : g.n,
                       bias && p.transposed ? bias + row * p.g.bias_stride : bias);
      }
    };
    const int64_t columns = g.n < kIntegerBlock ? g.n : kIntegerBlock;
    for_tasks(blocks * g.m * g.batch, columns * (g.k + 1), !p.alone, rows);
  });
}

}  // namespace tessel::TESSEL_TARGET
