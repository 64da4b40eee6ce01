// The one place where GEMM and conv turn a floating dtype into a type. A target that is laid over avx512's for bfloat16 alone
// knows no other.
#pragma once
#include "core/dtype.h"
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

template <class T> struct Type { using type = T; };

template <class F> auto with_floating(DType dtype, const F& f) {
#if defined(TESSEL_ONLY_BFLOAT16)
  (void)dtype;
  return f(Type<BFloat>{});
#else
  switch (dtype) {
    case DType::float64: return f(Type<double>{});
    case DType::bfloat16: return f(Type<BFloat>{});
    case DType::float16: return f(Type<Half>{});
    default: return f(Type<float>{});
  }
#endif
}

}  // namespace tessel::TESSEL_TARGET
