// The element types. Everybody uses this file, kernels too, so it declares and defines no inline code
// (inline code shared between files built for different instruction sets is merged by the linker).
#pragma once
#include <stdint.h>

namespace tessel {

enum class DType : uint8_t {
  bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128,
};
constexpr int kDTypes = 12;
constexpr int kMaxDims = 8;

int64_t item_size(DType dtype);            // bytes of one element
const char* dtype_name(DType dtype);       // "float32"
bool is_floating(DType dtype);             // float16, bfloat16, float32, float64
bool is_complex(DType dtype);
bool is_integral(DType dtype);             // uint8 ... int64, not bool
DType promote(DType a, DType b);           // PyTorch's lattice for two tensors of the same category
DType real_dtype(DType complex_dtype);     // complex64 -> float32; others unchanged

}  // namespace tessel
