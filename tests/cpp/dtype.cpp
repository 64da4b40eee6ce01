// The facts of the element types and PyTorch's promotion lattice, written out.
#include "core/dtype.h"

#include <cstring>

#include "check.h"

using namespace tessel;

namespace {

// torch.promote_types of the row's and the column's type; both in the enum's order.
constexpr const char* kPromoted[kDTypes] = {
    "b1 u1 i1 i2 i4 i8 f2 bf f4 f8 c8 cd",  // bool
    "u1 u1 i2 i2 i4 i8 f2 bf f4 f8 c8 cd",  // uint8
    "i1 i2 i1 i2 i4 i8 f2 bf f4 f8 c8 cd",  // int8
    "i2 i2 i2 i2 i4 i8 f2 bf f4 f8 c8 cd",  // int16
    "i4 i4 i4 i4 i4 i8 f2 bf f4 f8 c8 cd",  // int32
    "i8 i8 i8 i8 i8 i8 f2 bf f4 f8 c8 cd",  // int64
    "f2 f2 f2 f2 f2 f2 f2 f4 f4 f8 c8 cd",  // float16
    "bf bf bf bf bf bf f4 bf f4 f8 c8 cd",  // bfloat16
    "f4 f4 f4 f4 f4 f4 f4 f4 f4 f8 c8 cd",  // float32
    "f8 f8 f8 f8 f8 f8 f8 f8 f8 f8 cd cd",  // float64
    "c8 c8 c8 c8 c8 c8 c8 c8 c8 cd c8 cd",  // complex64
    "cd cd cd cd cd cd cd cd cd cd cd cd",  // complex128
};
constexpr const char* kShort[kDTypes] = {"b1", "u1", "i1", "i2", "i4", "i8", "f2", "bf", "f4", "f8", "c8", "cd"};

}  // namespace

TEST(dtype_promotion) {
  for (int a = 0; a < kDTypes; ++a) {
    for (int b = 0; b < kDTypes; ++b) {
      const int promoted = static_cast<int>(promote(static_cast<DType>(a), static_cast<DType>(b)));
      CHECK(std::strncmp(kPromoted[a] + 3 * b, kShort[promoted], 2) == 0);
    }
  }
}

TEST(dtype_facts) {
  const int64_t sizes[kDTypes] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
  const char* names[kDTypes] = {"bool",    "uint8",    "int8",    "int16",   "int32",     "int64",
                                "float16", "bfloat16", "float32", "float64", "complex64", "complex128"};
  for (int i = 0; i < kDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    CHECK(item_size(dtype) == sizes[i]);
    CHECK(std::strcmp(dtype_name(dtype), names[i]) == 0);
    CHECK(is_integral(dtype) == (i >= 1 && i <= 5));
    CHECK(is_floating(dtype) == (i >= 6 && i <= 9));
    CHECK(is_complex(dtype) == (i >= 10));
  }
  CHECK(real_dtype(DType::complex64) == DType::float32 && real_dtype(DType::complex128) == DType::float64);
  CHECK(real_dtype(DType::int8) == DType::int8);
}
