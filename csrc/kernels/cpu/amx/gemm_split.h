// Packing for the tile unit: a block of 16 lanes (rows of A, columns of B) by 32 of k becomes tiles of bfloat16 pairs,
// a float split exactly into three (8 + 8 + 8 bits of significand): x = x1 + x2 + x3, each the nearest to what is left.
#pragma once
#include "kernels/cpu/amx/tile.h"
#include "kernels/cpu/gemm_simd.h"

namespace tessel::TESSEL_TARGET {

constexpr int kTileLanes = 16, kTileDepth = 32;

template <class T> constexpr int kParts = 1;
template <> constexpr int kParts<float> = 3;

// The largest magnitude and the smallest but zero, as bits: what decides whether the three parts hold a float.
struct Range {
  uint32_t high = 0, low = ~0u;  // low: magnitude - 1, so that zero is the largest

  void join(const Range& other) {
    high = other.high > high ? other.high : high;
    low = other.low < low ? other.low : low;
  }
  uint32_t exponent_high() const { return high >> 23; }
  uint32_t exponent_low() const { return low == ~0u ? 254 : (low + 1) >> 23; }
};

struct RangeLanes {
  __m512i high = _mm512_setzero_si512(), low = _mm512_set1_epi32(-1);

  void see(__m512 x) {
    const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
    high = _mm512_max_epu32(high, magnitude);
    low = _mm512_min_epu32(low, _mm512_sub_epi32(magnitude, _mm512_set1_epi32(1)));
  }
  Range range() const {
    Range r;
    r.high = _mm512_reduce_max_epu32(high);
    r.low = _mm512_reduce_min_epu32(low);
    return r;
  }
};

// Products of parts whose sum is the product of two floats: nothing may overflow on the way, and the smallest low product
// (2^-24 of the whole) and the lowest part must stay normal, for the tile unit flushes what is not.
inline bool parts_hold(const Range& a, const Range& b) {
  return a.exponent_high() < 254 && b.exponent_high() < 254 && a.exponent_high() + b.exponent_high() < 254 + 120 &&
         a.exponent_low() > 25 && b.exponent_low() > 25 && a.exponent_low() + b.exponent_low() > 152;
}

inline __m512i nearest_bf16(__m512 x) {  // in the upper half of each lane
  const __m512i u = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  return _mm512_and_si512(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), _mm512_set1_epi32(-65536));
}

// Words of two neighbours along k, the earlier one below: parts of (even, odd).
inline void split_pairs(__m512 even, __m512 odd, __m512i* words, int64_t stride) {
  for (int part = 0; part < 3; ++part) {
    const __m512i e = nearest_bf16(even), o = nearest_bf16(odd);
    _mm512_storeu_si512(words + part * stride, _mm512_or_si512(o, _mm512_srli_epi32(e, 16)));
    even = _mm512_sub_ps(even, _mm512_castsi512_ps(e));
    odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(o));
  }
}

inline void transpose_words(__m512i* words) {
  __m512 rows[16];
  for (int i = 0; i < 16; ++i) rows[i] = _mm512_castsi512_ps(_mm512_loadu_si512(words + i));
  transpose(rows);
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(words + i, _mm512_castps_si512(rows[i]));
}

// One block: words[part][16] as [pair of k][lane] where the lanes lie along memory, [lane][pair of k] where k does.
inline void load_lanes(const float* from, int64_t k_stride, int lanes, int depth, __m512i* words, RangeLanes* range) {
  for (int q = 0; q < 16; ++q) {
    const __m512 even = 2 * q < depth ? Simd<float>::load(from + 2 * q * k_stride, lanes) : _mm512_setzero_ps();
    const __m512 odd = 2 * q + 1 < depth ? Simd<float>::load(from + (2 * q + 1) * k_stride, lanes) : _mm512_setzero_ps();
    range->see(even);
    range->see(odd);
    split_pairs(even, odd, words + q, 16);
  }
}
inline void load_depth(const float* from, int64_t lane_stride, int lanes, int depth, __m512i* words, RangeLanes* range) {
  const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
  for (int lane = 0; lane < 16; ++lane) {
    const float* const row = from + lane * lane_stride;
    const bool here = lane < lanes;
    const __m512 first = here ? Simd<float>::load(row, depth < 16 ? depth : 16) : _mm512_setzero_ps();
    const __m512 second = here && depth > 16 ? Simd<float>::load(row + 16, depth - 16) : _mm512_setzero_ps();
    range->see(first);
    range->see(second);
    split_pairs(_mm512_permutex2var_ps(first, evens, second), _mm512_permutex2var_ps(first, odds, second), words + lane, 16);
  }
}
inline void load_lanes(const BFloat* from, int64_t k_stride, int lanes, int depth, __m512i* words, RangeLanes*) {
  const __mmask16 mask = __mmask16((1u << lanes) - 1);
  for (int q = 0; q < 16; ++q) {
    const __m256i even = 2 * q < depth ? _mm256_maskz_loadu_epi16(mask, from + 2 * q * k_stride) : _mm256_setzero_si256();
    const __m256i odd = 2 * q + 1 < depth ? _mm256_maskz_loadu_epi16(mask, from + (2 * q + 1) * k_stride) : _mm256_setzero_si256();
    _mm512_storeu_si512(words + q, _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16)));
  }
}
inline void load_depth(const BFloat* from, int64_t lane_stride, int lanes, int depth, __m512i* words, RangeLanes*) {
  const __mmask32 mask = depth >= 32 ? ~__mmask32(0) : __mmask32((1u << depth) - 1);
  for (int lane = 0; lane < 16; ++lane)
    _mm512_storeu_si512(words + lane, lane < lanes ? _mm512_maskz_loadu_epi16(mask, from + lane * lane_stride) : _mm512_setzero_si512());
}

// Packs `lanes` (up to 16) by `depth` (up to 32); part i goes to tile `to + i * part_bytes`. Rows of the tile are lanes
// (for A) or pairs of k (for B).
template <class T>
void pack_tile(char* to, int64_t part_bytes, bool rows_are_lanes, const T* from, int64_t lane_stride, int64_t k_stride, int lanes,
               int depth, RangeLanes* range) {
  __m512i words[16 * kParts<T>];
  bool lane_rows;
  if (k_stride == 1) {
    load_depth(from, lane_stride, lanes, depth, words, range);
    lane_rows = true;
  } else if (lane_stride == 1) {
    load_lanes(from, k_stride, lanes, depth, words, range);
    lane_rows = false;
  } else {
    T gathered[kTileDepth * kTileLanes];
    for (int p = 0; p < depth; ++p)
      for (int lane = 0; lane < lanes; ++lane) gathered[p * kTileLanes + lane] = from[lane * lane_stride + p * k_stride];
    load_lanes(gathered, kTileLanes, lanes, depth, words, range);
    lane_rows = false;
  }
  for (int part = 0; part < kParts<T>; ++part) {
    if (lane_rows != rows_are_lanes) transpose_words(words + 16 * part);
    memcpy(to + part * part_bytes, words + 16 * part, kTileBytes);
  }
}

}  // namespace tessel::TESSEL_TARGET
