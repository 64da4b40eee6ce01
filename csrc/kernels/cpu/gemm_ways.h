// The ways of multiplying, a file each, and what they share: one product without batch. Used by gemm.cpp, which lists them.
#pragma once
#include "kernels/cpu/gemm_problem.h"

namespace tessel::TESSEL_TARGET {

// One product without batch: m x n x k, and where its sums go. `complete` false leaves the bare sums in `sums`.
template <class T> struct Matrix {
  using S = Compute<T>;
  int64_t m, n, k;
  const T* a; int64_t a_row, a_col;
  const T* b; int64_t b_row, b_col;
  T* c; int64_t c_row, c_col;
  S* sums; int64_t sums_row, sums_col;
  Epilogue<T> e;
  bool complete;
};

template <class T> Matrix<T> matrix(const Problem& p, int64_t index) {
  const GemmArgs& g = p.g;
  const Place at = place(g, index);
  Matrix<T> x{g.m, g.n, g.k, static_cast<const T*>(g.a) + at.a, g.a_row, g.a_col,
              static_cast<const T*>(g.b) + at.b, g.b_row, g.b_col, static_cast<T*>(g.c) + at.c, g.c_row, g.c_col,
              nullptr, 0, 0, epilogue<T>(p, at), true};
  if constexpr (sizeof(T) == sizeof(Compute<T>)) {
    x.sums = x.c;
    x.sums_row = x.c_row;
    x.sums_col = x.c_col;
  }
  return x;
}

inline bool floating(const Problem& p) {
  const DType d = p.g.dtype;
  return d == DType::float32 || d == DType::float64 || d == DType::bfloat16 || d == DType::float16;
}

// Each accepts by shape, strides and dtype, states its scratch and runs.
#define TESSEL_WAY(name)                    \
  bool accepts_##name(const Problem& p);    \
  int64_t name##_scratch(const Problem& p); \
  void run_##name(const Problem& p, char* scratch);
TESSEL_WAY(empty)    // gemm_empty.cpp: nothing to sum
TESSEL_WAY(integer)  // gemm_integer.cpp
TESSEL_WAY(deep)     // gemm_blocked.cpp: k much larger than the result
TESSEL_WAY(vector)   // gemm_vector.cpp: one row
TESSEL_WAY(small)    // gemm_small.cpp
TESSEL_WAY(rows)     // gemm_rows.cpp: few rows against columns along memory
TESSEL_WAY(blocked)  // gemm_blocked.cpp: everything
#undef TESSEL_WAY

// ---- one row of c, also for parts of a deep product

// Columns of one task, a kilobyte of a row of b: the memory system streams what lies together. (With 256 bytes a row of
// 1x2048 by 2048x2048 ran at three quarters of the speed.)
constexpr int64_t kVectorBlock = 256;

// Columns [begin, end) of a one-row product; x is contiguous.
template <class T> void vector_columns(const Matrix<T>& g, const Compute<T>* x, int64_t begin, int64_t end);

template <class T> void contiguous(int64_t k, const T* from, int64_t stride, Compute<T>* to) {
  for (int64_t p = 0; p < k; ++p) to[p] = widen(from[p * stride]);
}

}  // namespace tessel::TESSEL_TARGET
