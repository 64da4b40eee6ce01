// The product of packed panels of 32 rows and 32 columns in tiles: bfloat16 as it is, float32 as products of its bfloat16 parts.
// Used by gemm.cpp and conv.cpp.
#pragma once
#include "kernels/cpu/amx/gemm_split.h"
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

// Eight tile registers: 2 x 2 sums (32 rows by 32 columns), two of A, two of B.
constexpr int64_t kSide = 2 * kTileLanes;
// Depth of a block, in steps of 32 of k: it cuts the sum, so it is a constant.
constexpr int64_t kSteps = 12;
// The products are summed smallest first over this many steps: their parts of A and B, 3 * 4 tiles a step and 36 KB
// altogether, stay in L1 (48 KB) while the six products pass over them.
constexpr int64_t kPassSteps = 3;

// Packed, for each panel of 32 lanes: [step][part][2 tiles].
template <class T> constexpr int64_t kStepBytes = kParts<T> * 2 * kTileBytes;

struct Products { int count; struct { int a, b; } of[6]; };
template <class T> constexpr Products kProducts = {1, {{0, 0}}};
template <> constexpr Products kProducts<float> = {6, {{0, 2}, {2, 0}, {1, 1}, {0, 1}, {1, 0}, {0, 0}}};

// Less exact products of floats are the last of the six: three, or one.
template <class T> int first_product(Precision precision) {
  return sizeof(T) == 2 || precision == Precision::highest ? 0 : precision == Precision::high ? 3 : 5;
}

// c[32, 32] = a panel @ b panel, by the products from `first` on
template <class T> void tile_product(int first, int64_t steps, const char* a, const char* b, float* c) {
  constexpr int64_t step = kStepBytes<T>, part = 2 * kTileBytes;
  tile_zero<0>();
  tile_zero<1>();
  tile_zero<2>();
  tile_zero<3>();
  for (int64_t pass = 0; pass < steps; pass += kPassSteps)
    for (int i = first; i < kProducts<T>.count; ++i) {
      const int64_t last = steps < pass + kPassSteps ? steps : pass + kPassSteps;
      const char* left = a + pass * step + kProducts<T>.of[i].a * part;
      const char* right = b + pass * step + kProducts<T>.of[i].b * part;
      for (int64_t s = pass; s < last; ++s, left += step, right += step) {
        tile_load<4>(left, 64);
        tile_load<6>(right, 64);
        tile_dot<0, 4, 6>();
        tile_load<7>(right + kTileBytes, 64);
        tile_dot<1, 4, 7>();
        tile_load<5>(left + kTileBytes, 64);
        tile_dot<2, 5, 6>();
        tile_dot<3, 5, 7>();
      }
    }
  constexpr int64_t row = kSide * int64_t(sizeof(float));
  tile_store<0>(c, row);
  tile_store<1>(c + kTileLanes, row);
  tile_store<2>(c + kTileLanes * kSide, row);
  tile_store<3>(c + kTileLanes * kSide + kTileLanes, row);
}

}  // namespace tessel::TESSEL_TARGET
