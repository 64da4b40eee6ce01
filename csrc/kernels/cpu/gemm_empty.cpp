// Products with nothing to sum: k == 0, or an empty result.
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_ways.h"

namespace tessel::TESSEL_TARGET {

bool accepts_empty(const Problem& p) {
  return p.g.m == 0 || p.g.n == 0 || p.g.batch == 0 || (p.g.k == 0 && floating(p));
}
int64_t empty_scratch(const Problem&) { return 0; }

void run_empty(const Problem& p, char*) {
  if (p.g.m == 0 || p.g.n == 0) return;
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const Flush flush;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> x = matrix<T>(p, index);
      for (int64_t i = 0; i < x.m; ++i)
        for (int64_t j = 0; j < x.n; j += kTileCols<Compute<T>>) {
          alignas(64) Compute<T> zero[kTileCols<Compute<T>>] = {};
          const int cols = x.n - j < kTileCols<Compute<T>> ? int(x.n - j) : kTileCols<Compute<T>>;
          merge<T>(zero, 0, 1, cols, x.c + i * x.c_row + j * x.c_col, x.c_row, x.c_col, nullptr, 0, 1, i, j, x.e,
                   {true, true});
        }
    }
  });
}

}  // namespace tessel::TESSEL_TARGET
