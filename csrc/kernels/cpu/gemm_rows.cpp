// Few rows against columns that lie along memory (a small batch through a linear layer): b is read once, from where it
// lies, instead of being packed for rows too few to pay for it. Four rows against four columns are 16 multiply-adds for 8
// loads; the columns stay in L1 for all the rows. 32x1024 by 1024x1024 takes two thirds of what it takes packed.
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_ways.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int kFewRows = 8, kMoreRows = 64, kRowsAtOnce = 4;
constexpr int64_t kRowsBlock = 64;  // columns of one task

// y[i, j] = x[i, :] . b[:, j]; four columns against MR rows, 4 * MR sums
template <class T, int MR>
void dot_rows(int64_t k, int columns, const Compute<T>* x, int64_t x_row, const T* b, int64_t b_col, Compute<T>* y) {
  using D = Simd<Compute<T>>;
  constexpr int W = D::width, kColumns = 4;
  const T* at[kColumns];
  for (int c = 0; c < kColumns; ++c) at[c] = b + (c < columns ? c : 0) * b_col;
  typename D::V sum[MR][kColumns];
  for (int i = 0; i < MR; ++i)
    for (int c = 0; c < kColumns; ++c) sum[i][c] = D::zero();
  int64_t p = 0;
  for (; p + W <= k; p += W) {
    typename D::V column[kColumns];
    for (int c = 0; c < kColumns; ++c) column[c] = D::load(at[c] + p);
    for (int i = 0; i < MR; ++i) {
      const typename D::V row = D::load(x + i * x_row + p);
      for (int c = 0; c < kColumns; ++c) sum[i][c] = D::fma(row, column[c], sum[i][c]);
    }
  }
  if (const int rest = int(k - p)) {
    for (int i = 0; i < MR; ++i) {
      const typename D::V row = D::load(x + i * x_row + p, rest);
      for (int c = 0; c < kColumns; ++c) sum[i][c] = D::fma(row, D::load(at[c] + p, rest), sum[i][c]);
    }
  }
  for (int i = 0; i < MR; ++i)
    for (int c = 0; c < columns; ++c) y[i * kRowsBlock + c] = D::sum(sum[i][c]);
}

template <class T> int64_t rows_bytes(const GemmArgs& g) {  // the rows, converted and contiguous
  if (sizeof(T) == sizeof(Compute<T>) && g.a_col == 1) return 0;
  return round_up(g.m * g.k * int64_t(sizeof(Compute<T>)), 64);
}

}  // namespace

// Rows beyond a few only where k is long enough to pay for adding up the lanes, and not where pairs are twice as fast.
bool accepts_rows(const Problem& p) {
  if (p.g.b_row != 1 || p.g.b_col == 1 || p.g.m > kMoreRows) return false;
  return p.g.m <= kFewRows || (p.g.k >= 256 && !(kPaired<BFloat> && p.g.dtype == DType::bfloat16));
}

int64_t rows_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t { return rows_bytes<typename decltype(type)::type>(p.g); });
}

void run_rows(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> g = matrix<T>(p, index);
      const S* rows = reinterpret_cast<const S*>(scratch);
      int64_t x_row = g.k;
      if (rows_bytes<T>(p.g)) {
        for (int64_t i = 0; i < g.m; ++i) contiguous<T>(g.k, g.a + i * g.a_row, g.a_col, reinterpret_cast<S*>(scratch) + i * g.k);
      } else if constexpr (sizeof(T) == sizeof(S)) {
        rows = g.a;
        x_row = g.a_row;
      }
      auto columns = [&](int64_t begin, int64_t end, int) {
        const Flush flush;
        for (int64_t j = begin * kRowsBlock; j < end * kRowsBlock && j < g.n; j += kRowsBlock) {
          const int n = g.n - j < kRowsBlock ? int(g.n - j) : int(kRowsBlock);
          alignas(64) S y[kMoreRows * kRowsBlock + Simd<S>::width];
          for (int q = 0; q < n; q += 4) {
            const int four = n - q < 4 ? n - q : 4;
            const T* const b = g.b + (j + q) * g.b_col;
            for (int64_t i = 0; i < g.m; i += kRowsAtOnce) {
              const S* const x = rows + i * x_row;
              S* const to = y + i * kRowsBlock + q;
              switch (g.m - i) {
                case 1: dot_rows<T, 1>(g.k, four, x, x_row, b, g.b_col, to); break;
                case 2: dot_rows<T, 2>(g.k, four, x, x_row, b, g.b_col, to); break;
                case 3: dot_rows<T, 3>(g.k, four, x, x_row, b, g.b_col, to); break;
                default: dot_rows<T, 4>(g.k, four, x, x_row, b, g.b_col, to); break;
              }
            }
          }
          merge<T>(y, kRowsBlock, int(g.m), n, g.c + j * g.c_col, g.c_row, g.c_col, nullptr, 0, 1, 0, j, g.e, {true, true});
        }
      };
      for_tasks((g.n + kRowsBlock - 1) / kRowsBlock, kRowsBlock * g.k * g.m / 8, !p.alone, columns);
    }
  });
}

}  // namespace tessel::TESSEL_TARGET
