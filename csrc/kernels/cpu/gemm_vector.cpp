// One row of c: bandwidth is all. `dots` when b's columns lie along memory, `axpys` when its rows do.
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_ways.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

#if defined(__AVX512F__)
constexpr int kWideVectors = 16;
#else
constexpr int kWideVectors = 8;
#endif

// y[j] = x . b[:, j], four columns at a time, two running vectors each: the order of a column's sum depends on k only.
template <class T> void dots(int64_t k, int n, const Compute<T>* x, const T* b, int64_t b_col, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width, kColumns = 4;
  for (int j = 0; j < n; j += kColumns) {
    const int columns = n - j < kColumns ? n - j : kColumns;
    typename D::V sum[kColumns][2];
    for (int c = 0; c < kColumns; ++c) sum[c][0] = sum[c][1] = D::zero();
    const T* at[kColumns];
    for (int c = 0; c < kColumns; ++c) at[c] = b + (j + (c < columns ? c : 0)) * b_col;
    int64_t p = 0;
    for (; p + 2 * W <= k; p += 2 * W) {
      const typename D::V x0 = D::load(x + p), x1 = D::load(x + p + W);
      for (int c = 0; c < kColumns; ++c) {
        sum[c][0] = D::fma(x0, D::load(at[c] + p), sum[c][0]);
        sum[c][1] = D::fma(x1, D::load(at[c] + p + W), sum[c][1]);
      }
    }
    for (int half = 0; p < k; p += W, half = 1) {
      const int rest = k - p < W ? int(k - p) : W;
      const typename D::V x0 = D::load(x + p, rest);
      for (int c = 0; c < kColumns; ++c) sum[c][half] = D::fma(x0, D::load(at[c] + p, rest), sum[c][half]);
    }
    for (int c = 0; c < columns; ++c) y[j + c] = D::sum(sum[c][0] + sum[c][1]);
  }
}

// y[0:n] = sum over p of x[p] * b[p, 0:n], n at most kVectorBlock, all of it in registers.
template <class T, int kVectors> void axpys(int64_t k, int n, const Compute<T>* x, const T* b, int64_t b_row, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width;
  for (int j = 0; j < n; j += kVectors * W) {
    typename D::V sum[kVectors];
    for (auto& s : sum) s = D::zero();
    const T* row = b + j;
    if (n - j >= kVectors * W) {
      for (int64_t p = 0; p < k; ++p, row += b_row) {
        const typename D::V xp = D::set(x[p]);
        for (int v = 0; v < kVectors; ++v) sum[v] = D::fma(xp, D::load(row + v * W), sum[v]);
      }
    } else {
      int lanes[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        const int left = n - j - v * W;
        lanes[v] = left < 0 ? 0 : left < W ? left : W;
      }
      for (int64_t p = 0; p < k; ++p, row += b_row) {
        const typename D::V xp = D::set(x[p]);
        for (int v = 0; v < kVectors && lanes[v]; ++v) sum[v] = D::fma(xp, D::load(row + v * W, lanes[v]), sum[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) D::store(y + j + v * W, sum[v]);
  }
}

template <class T> bool vector_copies(const Problem& p) {
  return sizeof(T) != sizeof(Compute<T>) || (p.g.a_col != 1 && p.g.k > 1);
}

}  // namespace

bool accepts_vector(const Problem& p) { return p.g.m == 1 && (p.g.b_row == 1 || p.g.b_col == 1); }

int64_t vector_scratch(const Problem& p) {  // x of every batch entry, converted and contiguous
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    return vector_copies<T>(p) ? p.workers() * (p.g.k * int64_t(sizeof(Compute<T>)) + 64) : 0;
  });
}

template <class T> void vector_columns(const Matrix<T>& g, const Compute<T>* x, int64_t begin, int64_t end) {
  using S = Compute<T>;
  for (int64_t j = begin; j < end; j += kVectorBlock) {
    const int n = end - j < kVectorBlock ? int(end - j) : int(kVectorBlock);
    alignas(64) S y[kVectorBlock + Simd<S>::width];
    if (g.b_row == 1 && (g.b_col != 1 || g.k > 1)) dots<T>(g.k, n, x, g.b + j * g.b_col, g.b_col, y);
    else if (n == kVectorBlock) axpys<T, kWideVectors>(g.k, n, x, g.b + j, g.b_row, y);
    else axpys<T, 4>(g.k, n, x, g.b + j, g.b_row, y);
    merge<T>(y, 0, 1, n, g.c + j * g.c_col, g.c_row, g.c_col, g.sums ? g.sums + j * g.sums_col : nullptr, g.sums_row, g.sums_col, 0, j, g.e,
             {true, g.complete});
  }
}

template void vector_columns(const Matrix<BFloat>& g, const float* x, int64_t begin, int64_t end);
#if !defined(TESSEL_ONLY_BFLOAT16)
template void vector_columns(const Matrix<float>& g, const float* x, int64_t begin, int64_t end);
template void vector_columns(const Matrix<double>& g, const double* x, int64_t begin, int64_t end);
template void vector_columns(const Matrix<Half>& g, const float* x, int64_t begin, int64_t end);
#endif

void run_vector(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const int64_t blocks = (p.g.n + kVectorBlock - 1) / kVectorBlock, bytes = p.g.k * int64_t(sizeof(S)) + 64;
    auto columns = [&](int64_t begin, int64_t end, int worker) {
      const Flush flush;
      int64_t copied = -1;
      S* copy = reinterpret_cast<S*>(scratch + worker * bytes);
      for (int64_t task = begin; task < end;) {
        const int64_t index = task / blocks, first = task % blocks;
        const int64_t last = end - task < blocks - first ? first + (end - task) : blocks;
        const Matrix<T> x = matrix<T>(p, index);
        if (vector_copies<T>(p)) {
          if (copied != index) contiguous<T>(x.k, x.a, x.a_col, copy);
          copied = index;
        }
        const S* row;
        if constexpr (sizeof(T) == sizeof(S)) row = vector_copies<T>(p) ? copy : x.a;
        else row = copy;
        vector_columns<T>(x, row, first * kVectorBlock, last * kVectorBlock < x.n ? last * kVectorBlock : x.n);
        task += last - first;
      }
    };
    for_tasks(blocks * p.g.batch, kVectorBlock * p.g.k / 2, !p.alone, columns);
  });
}

}  // namespace tessel::TESSEL_TARGET
