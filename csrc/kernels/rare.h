// THE CONTRACT, continued: kernels that are rare and that every CPU target has, in a table of their own. Functions of complex
// numbers, and special functions. Beside kernels.h, so that who needs neither is not compiled anew for them.
#pragma once
#include "kernels/kernels.h"

namespace tessel {

// Unary functions that only complex numbers need a kernel for.
constexpr Unary kAngle = Unary(int(Unary::count)), kSgn = Unary(int(Unary::count) + 1), kConj = Unary(int(Unary::count) + 2);
constexpr int kUnaryCount = int(Unary::count) + 3;

// Reals of any dtype, computed in float64. Of one operand, then of two: zeta(s, q), polygamma(n, x), gammainc(a, x) and
// gammaincc(a, x), the polynomial of degree n at x given as (x, n).
enum class Special : uint8_t {
  airy_ai, bessel_j0, bessel_j1, bessel_y0, bessel_y1, entr, erfcx, i0e, i1, i1e, k0, k1, log_ndtr, ndtri, scaled_k0, scaled_k1,
  spherical_j0,
  zeta, polygamma, gammainc, gammaincc, chebyshev_t, chebyshev_u, chebyshev_v, chebyshev_w, shifted_t, shifted_u, shifted_v, shifted_w,
  hermite_h, hermite_he, laguerre_l, legendre_p, count
};

struct RareKernels {
  // `compute` is complex64 or complex128; abs and angle give reals, questions masks.
  void (*complex_unary)(Unary op, const Loop& loop, DType compute);
  void (*complex_binary)(Binary op, const Loop& loop, DType compute, const Params& params);
  void (*complex_ternary)(Ternary op, const Loop& loop, DType compute, const Params& params);
  void (*special)(Special op, const Loop& loop);
};

const RareKernels& rare_kernels();  // of the CPU target in use

}  // namespace tessel
