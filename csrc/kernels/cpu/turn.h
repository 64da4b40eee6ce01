// Turning a block of memory: what lies along one dimension comes to lie along another. For copies and walks over
// operands of which one is transposed.
#pragma once
#include <stdint.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace tessel::TESSEL_TARGET {

constexpr int64_t kTurnRows = 64;  // rows of a block; its columns are one cache line
template <class T> constexpr int64_t kTurnColumns = 64 / sizeof(T) > 8 ? 64 / sizeof(T) : 8;

#ifdef __AVX2__
// 8 x 8 items of 4 bytes: pairs of rows, pairs of pairs, halves.
inline void turn_8x8(const char* x, int64_t step, float* y) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps((const float*)(x + i * step));
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(y + i * kTurnRows, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(y + (i + 4) * kTurnRows, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}
#endif

// y[c * kTurnRows + r] = x[r][c] for r < rows <= 64 and c < columns <= kTurnColumns; rows of x lie `step` bytes apart.
// A few rows at a time, every line of them whole: rows a power of two apart all fall into one set of the cache.
template <class T> inline void turn(const char* x, int64_t step, int64_t rows, int64_t columns, T* y) {
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8) {
    const char* from = x + r * step;
    int64_t c = 0;
    for (int i = 0; i < 8; ++i) __builtin_prefetch(from + i * step + 64);  // the next block's line
#ifdef __AVX2__
    if constexpr (sizeof(T) == 4) {
      for (; c + 8 <= columns; c += 8) turn_8x8(from + c * 4, step, (float*)y + c * kTurnRows + r);
    }
#endif
    for (; c < columns; ++c) {
      for (int i = 0; i < 8; ++i) memcpy(y + c * kTurnRows + r + i, from + i * step + c * int64_t(sizeof(T)), sizeof(T));
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) memcpy(y + c * kTurnRows + r, x + r * step + c * int64_t(sizeof(T)), sizeof(T));
  }
}

}  // namespace tessel::TESSEL_TARGET
