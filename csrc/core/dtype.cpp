// The element types' facts and PyTorch's promotion lattice.
#include "core/dtype.h"

namespace tessel {
namespace {

struct Facts {
  const char* name;
  int8_t size;
  enum Category : int8_t { boolean, integral, floating, complex } category;
};

constexpr Facts kFacts[kDTypes] = {
    {"bool", 1, Facts::boolean},     {"uint8", 1, Facts::integral},    {"int8", 1, Facts::integral},
    {"int16", 2, Facts::integral},   {"int32", 4, Facts::integral},    {"int64", 8, Facts::integral},
    {"float16", 2, Facts::floating}, {"bfloat16", 2, Facts::floating}, {"float32", 4, Facts::floating},
    {"float64", 8, Facts::floating}, {"complex64", 8, Facts::complex}, {"complex128", 16, Facts::complex},
};

constexpr const Facts& facts(DType dtype) { return kFacts[static_cast<int>(dtype)]; }

// The enum stands in order of rank, so the higher of two types holds both, but for three meetings.
constexpr DType meet(DType a, DType b) {
  const DType low = a < b ? a : b, high = a < b ? b : a;
  if (low == DType::uint8 && high == DType::int8) return DType::int16;
  if (low == DType::float16 && high == DType::bfloat16) return DType::float32;
  if (low == DType::float64 && high == DType::complex64) return DType::complex128;
  return high;
}

}  // namespace

int64_t item_size(DType dtype) { return facts(dtype).size; }
const char* dtype_name(DType dtype) { return facts(dtype).name; }
bool is_floating(DType dtype) { return facts(dtype).category == Facts::floating; }
bool is_complex(DType dtype) { return facts(dtype).category == Facts::complex; }
bool is_integral(DType dtype) { return facts(dtype).category == Facts::integral; }
DType promote(DType a, DType b) { return meet(a, b); }

DType real_dtype(DType complex_dtype) {
  switch (complex_dtype) {
    case DType::complex64: return DType::float32;
    case DType::complex128: return DType::float64;
    default: return complex_dtype;
  }
}

}  // namespace tessel
