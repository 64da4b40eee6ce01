// The one place where GEMM and conv turn a floating dtype into a type.
#pragma once
#include "core/dtype.h"
#include "kernels/cpu/vec.h"

namespace tessel::TESSEL_TARGET {

template <class T> struct Type { using type = T; };

template <class F> auto with_floating(DType dtype, const F& f) {
  switch (dtype) {
    case DType::float64: return f(Type<double>{});
    case DType::bfloat16: return f(Type<BFloat>{});
    case DType::float16: return f(Type<Half>{});
    default: return f(Type<float>{});
  }
}

}  // namespace tessel::TESSEL_TARGET
