// What every CUDA kernel file needs: errors, loads and stores of any dtype, and where element i of a loop lies.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#include <stdexcept>
#include <string>

#include "kernels/loop.h"

#define TESSEL_TARGET cuda

namespace tessel::cuda {

// Thrown across the border of the two libraries: only the standard library's types are known on both sides.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forget it: the next call starts clean
  if (status == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw std::runtime_error(std::string("cuda: ") + what + ": " + cudaGetErrorString(status));
}

constexpr int kThreads = 256;

// One thread for each element, grid-stride beyond 2^20 blocks.
inline unsigned blocks_for(int64_t n) {
  int64_t blocks = (n + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < (1 << 20) ? blocks : 1 << 20);
}

// The integers a loop's element number is unravelled in.
__device__ inline void offsets_of(const Loop& loop, int64_t i, int64_t* offsets) {
  for (int k = 0; k < loop.operands; ++k) offsets[k] = 0;
  for (int d = 0; d < loop.ndim; ++d) {
    int64_t next = i / loop.sizes[d], at = i - next * loop.sizes[d];
    for (int k = 0; k < loop.operands; ++k) offsets[k] += at * loop.operand[k].strides[d];
    i = next;
  }
}

template <class T>
__device__ inline T load(DType dtype, const char* p) {
  switch (dtype) {
    case DType::bool_: return T(*reinterpret_cast<const uint8_t*>(p) != 0);
    case DType::uint8: return T(*reinterpret_cast<const uint8_t*>(p));
    case DType::int8: return T(*reinterpret_cast<const int8_t*>(p));
    case DType::int16: return T(*reinterpret_cast<const int16_t*>(p));
    case DType::int32: return T(*reinterpret_cast<const int32_t*>(p));
    case DType::int64: return T(*reinterpret_cast<const int64_t*>(p));
    case DType::float16: return T(__half2float(*reinterpret_cast<const __half*>(p)));
    case DType::bfloat16: return T(__bfloat162float(*reinterpret_cast<const __nv_bfloat16*>(p)));
    case DType::float32: return T(*reinterpret_cast<const float*>(p));
    default: return T(*reinterpret_cast<const double*>(p));
  }
}

// An operand without memory is its immediate.
template <class T>
__device__ inline T load(const Operand& x, int64_t offset) {
  return load<T>(x.dtype, x.data ? x.data + offset : x.immediate);
}

template <class T>
__device__ inline void store(DType dtype, char* p, T v) {
  switch (dtype) {
    case DType::bool_: *reinterpret_cast<uint8_t*>(p) = v != T(0); break;
    case DType::uint8: *reinterpret_cast<uint8_t*>(p) = uint8_t(int64_t(v)); break;
    case DType::int8: *reinterpret_cast<int8_t*>(p) = int8_t(int64_t(v)); break;
    case DType::int16: *reinterpret_cast<int16_t*>(p) = int16_t(int64_t(v)); break;
    case DType::int32: *reinterpret_cast<int32_t*>(p) = int32_t(int64_t(v)); break;
    case DType::int64: *reinterpret_cast<int64_t*>(p) = int64_t(v); break;
    case DType::float16: *reinterpret_cast<__half*>(p) = __float2half_rn(float(v)); break;
    case DType::bfloat16: *reinterpret_cast<__nv_bfloat16*>(p) = __float2bfloat16_rn(float(v)); break;
    case DType::float32: *reinterpret_cast<float*>(p) = float(v); break;
    default: *reinterpret_cast<double*>(p) = double(v); break;
  }
}

}  // namespace tessel::cuda
