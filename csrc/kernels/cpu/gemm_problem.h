// A product as its implementations see it, brought into one form: columns of c lie along memory, a vector result is a row,
// batches that are only more rows have become rows. Used by gemm_ways.h and amx/gemm.cpp.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/gemm_micro.h"

namespace tessel::TESSEL_TARGET {

struct Problem {
  GemmArgs g;
  bool transposed;  // a and b have changed places: the bias belongs to rows
  bool alone;       // the caller is one task of many: no other thread is asked

  int workers() const { return alone ? 1 : num_threads(); }
};

template <class X> void swap(X& a, X& b) { const X t = a; a = b; b = t; }

inline Problem normalised(const GemmArgs& args, bool alone = false) {
  Problem p{args, false, alone};
  GemmArgs& g = p.g;
  if ((g.c_col != 1 && g.c_row == 1 && g.m > 1) || (g.n == 1 && g.m > 1)) {
    p.transposed = true;
    swap(g.m, g.n);
    swap(g.a, g.b);
    swap(g.a_row, g.b_col);
    swap(g.a_col, g.b_row);
    swap(g.c_row, g.c_col);
    for (int d = 0; d < g.batch_dims; ++d) swap(g.a_batch[d], g.b_batch[d]);
  }
  if (g.m == 1) g.a_row = 0;
  if (g.n == 1) g.b_col = g.c_col = 1;
  int kept = 0;
  for (int d = 0; d < g.batch_dims; ++d) {
    const int64_t size = g.batch_sizes[d];
    if (size == 1) continue;
    const bool rows = kept == 0 && g.m > 1 && g.b_batch[d] == 0 && g.a_batch[d] == g.m * g.a_row &&
                      g.c_batch[d] == g.m * g.c_row && !(p.transposed && g.bias);
    if (rows) {
      g.m *= size;
      g.batch /= size;
      continue;
    }
    g.batch_sizes[kept] = size;
    g.a_batch[kept] = g.a_batch[d];
    g.b_batch[kept] = g.b_batch[d];
    g.c_batch[kept] = g.c_batch[d];
    ++kept;
  }
  g.batch_dims = kept;
  return p;
}

struct Place { int64_t a, b, c; };  // element offsets of one matrix of the batch

inline Place place(const GemmArgs& g, int64_t index) {
  Place at{0, 0, 0};
  for (int d = 0; d < g.batch_dims; ++d) {
    const int64_t i = index % g.batch_sizes[d];
    index /= g.batch_sizes[d];
    at.a += i * g.a_batch[d];
    at.b += i * g.b_batch[d];
    at.c += i * g.c_batch[d];
  }
  return at;
}

template <class T> Epilogue<T> epilogue(const Problem& p, const Place& at) {
  using S = Compute<T>;
  T* const before = static_cast<T*>(p.g.before);
  Epilogue<T> e{S(p.g.alpha), S(p.g.beta), nullptr, 0, nullptr, 0, p.g.activation, before ? before + at.c : nullptr};
  const T* bias = static_cast<const T*>(p.g.bias);
  if (p.transposed) { e.bias_row = bias; e.bias_row_stride = p.g.bias_stride; }
  else { e.bias_col = bias; e.bias_col_stride = p.g.bias_stride; }
  return e;
}

}  // namespace tessel::TESSEL_TARGET
