// Elementwise kernels from the functors of kernels/functions.h: one thread an element.
#pragma once
#include "kernels/cuda/lane.cuh"

namespace tessel::cuda {

// Operand 0 is the result. `flat`: every operand is contiguous and of the compute type (a mask's result: bytes).
template <class F, class T, int arity, bool flat>
__global__ void elementwise(Loop loop, Params params) {
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < loop.numel; i += int64_t(gridDim.x) * blockDim.x) {
    int64_t offsets[kMaxOperands];
    Lane<T> x[4];
    if constexpr (flat) {
      for (int k = 0; k < arity; ++k) x[k] = Lane<T>(reinterpret_cast<const T*>(loop.operand[k + 1].data)[i]);
    } else {
      offsets_of(loop, i, offsets);
      for (int k = 0; k < arity; ++k) x[k] = Lane<T>(load<T>(loop.operand[k + 1], offsets[k + 1]));
    }
    auto apply = [&] {
      if constexpr (arity == 1) return F::value(x[0], params);
      else if constexpr (arity == 2) return F::value(x[0], x[1], params);
      else return F::value(x[0], x[1], x[2], params);
    };
    auto y = apply();
    if constexpr (sizeof(y) == sizeof(bool) && !flat) store<int>(loop.operand[0].dtype, loop.operand[0].data + offsets[0], int(y));
    else if constexpr (sizeof(y) == sizeof(bool)) reinterpret_cast<uint8_t*>(loop.operand[0].data)[i] = y;
    else if constexpr (flat) reinterpret_cast<T*>(loop.operand[0].data)[i] = y.v;
    else store<T>(loop.operand[0].dtype, loop.operand[0].data + offsets[0], y.v);
  }
}

inline bool is_flat(const Loop& loop, DType compute, bool mask) {
  int64_t bytes = compute == DType::float64 || compute == DType::int64 ? 8 : 4;
  if (loop.ndim > 1) return false;
  for (int k = 0; k < loop.operands; ++k) {
    bool result = k == 0 && mask;
    const Operand& o = loop.operand[k];
    if (!o.data || o.dtype != (result ? DType::bool_ : compute) || (loop.ndim == 1 && o.strides[0] != (result ? 1 : bytes))) return false;
  }
  return true;
}

template <class F, class T, int arity>
void launch(const Loop& loop, DType compute, const Params& params) {
  if (loop.numel == 0) return;
  constexpr bool mask = F::mask;
  if (is_flat(loop, compute, mask)) elementwise<F, T, arity, true><<<blocks_for(loop.numel), kThreads>>>(loop, params);
  else elementwise<F, T, arity, false><<<blocks_for(loop.numel), kThreads>>>(loop, params);
  check(cudaGetLastError(), "elementwise launch");
}

// Questions, whose answer is a mask.
constexpr bool asks(Unary op) {
  return op == Unary::logical_not || op == Unary::isnan || op == Unary::isinf || op == Unary::isfinite || op == Unary::isposinf || op == Unary::isneginf || op == Unary::signbit;
}
constexpr bool asks(Binary op) { return op >= Binary::eq && op <= Binary::logical_xor; }
constexpr bool asks(Ternary) { return false; }

template <auto code>
struct Value : Function<code> {
  static constexpr bool mask = asks(code);
};

using Launcher = void (*)(const Loop&, DType, const Params&);
struct Launchers {
  Launcher of[4];  // float, double, int32, int64
};

template <class F, int arity>
constexpr Launchers launchers() {
  Launchers r = {};
  if constexpr (F::reals) r.of[0] = launch<F, float, arity>, r.of[1] = launch<F, double, arity>;
  if constexpr (F::integers) r.of[2] = launch<F, int, arity>, r.of[3] = launch<F, int64_t, arity>;
  return r;
}

inline void call(const char* what, const Launchers& row, const Loop& loop, DType compute, const Params& params) {
  Launcher f = row.of[compute == DType::float32 ? 0 : compute == DType::float64 ? 1 : compute == DType::int32 ? 2 : 3];
  if (!f) throw std::runtime_error(std::string("cuda: ") + what + ": not defined for this dtype");
  f(loop, compute, params);
}

template <class Code, int arity, size_t... i>
constexpr auto make_launchers(std::index_sequence<i...>) {
  struct Table { Launchers row[sizeof...(i)]; };
  return Table{{launchers<Value<Code(i)>, arity>()...}};
}

}  // namespace tessel::cuda
