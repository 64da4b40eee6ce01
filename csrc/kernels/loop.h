// A strided walk over a few operands, dimensions already merged and broadcast (plain data). ops/plan.cpp makes it,
// the elementwise, reduction, copy and random kernels of every target walk it.
#pragma once
#include "core/dtype.h"

namespace tessel {

constexpr int kMaxOperands = 5;

struct Operand {
  char* data;                  // address of the first element; null: the value is `immediate`
  int64_t strides[kMaxDims];   // bytes, innermost dimension first; 0 where broadcast
  DType dtype;                 // of the memory; kernels convert at load and store
  alignas(16) char immediate[16];
};

// Operand 0 is the result unless a kernel says otherwise.
struct Loop {
  int ndim;                    // 0 for a single element
  int operands;
  int64_t numel;               // product of sizes
  int64_t sizes[kMaxDims];     // innermost (fastest) dimension first
  Operand operand[kMaxOperands];
};

}  // namespace tessel
