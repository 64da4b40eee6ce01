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
inline void turn_8x8(const uint32_t* x, int64_t x_row, uint32_t* y, int64_t y_row) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps((const float*)(x + i * x_row));
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
    _mm256_storeu_ps((float*)(y + i * y_row), _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps((float*)(y + (i + 4) * y_row), _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}
#endif

// y[c * kTurnRows + r] = x[r][c] for r < rows <= 64 and c < columns <= kTurnColumns; rows of x lie `step` bytes apart.
// Every line of x is read once and whole, whatever the step: rows a power of two apart all fall into one set of the cache.
template <class T> inline void turn(const char* x, int64_t step, int64_t rows, int64_t columns, T* y) {
  constexpr int64_t line = kTurnColumns<T>;
  alignas(64) T lines[kTurnRows][line];
  for (int64_t r = 0; r < rows; ++r) {
    __builtin_prefetch(x + r * step + 64);  // the next block's line
    if (columns == line) memcpy(lines[r], x + r * step, sizeof lines[r]);
    else memcpy(lines[r], x + r * step, size_t(columns) * sizeof(T));
  }
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4) {
    for (int64_t r = 0; r < rows; r += 8) {
      for (int64_t c = 0; c < columns; c += 8) {
        turn_8x8((const uint32_t*)&lines[r][c], line, (uint32_t*)y + c * kTurnRows + r, kTurnRows);
      }
    }
    return;
  }
#endif
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) y[c * kTurnRows + r] = lines[r][c];
  }
}

}  // namespace tessel::TESSEL_TARGET
