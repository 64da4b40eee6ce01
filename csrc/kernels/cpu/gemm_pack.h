// Packing: a strip of a few lanes (rows of A or columns of B) is laid out in the order the microkernel reads it,
// element (p, lane) at to[p * lead + lane], converted to the compute type. Used by GEMM and conv.
#pragma once
#include "kernels/cpu/gemm_micro.h"

namespace tessel::TESSEL_TARGET {

// Lanes [lanes, lead) are filled with zeros. Whole vectors are stored: up to one vector beyond the strip's last element
// may be written, so strips are packed in ascending order and the buffer ends with kPackSlack bytes to spare.
constexpr int64_t kPackSlack = 64;

// k runs along memory: W x W blocks are loaded along k and transposed in registers.
template <class T, class S>
void pack_transposed(S* to, int64_t lead, const T* from, int lanes, int64_t k, int64_t lane_stride) {
  using D = Simd<S>;
  constexpr int W = D::width;
  for (int64_t p = 0; p < k; p += W) {
    const int depth = k - p < W ? int(k - p) : W;
    for (int64_t group = 0; group < lead; group += W) {
      typename D::V block[W];
      const int here = lanes - int(group);
      const T* source = from + group * lane_stride + p;
      if (depth == W && here >= W) {
        for (int i = 0; i < W; ++i) block[i] = D::load(source + i * lane_stride);
      } else {
        for (int i = 0; i < W; ++i) block[i] = i < here ? D::load(source + i * lane_stride, depth) : D::zero();
      }
      D::transpose(block);
      S* target = to + p * lead + group;
      // A part of a vector beside another group must not spill over it; alone it may, into the rows still to come.
      if (group + W <= lead || group == 0) {
        if (depth == W) {
          for (int q = 0; q < W; ++q) D::store(target + q * lead, block[q]);
        } else {
          for (int q = 0; q < depth; ++q) D::store(target + q * lead, block[q]);
        }
      } else {
        for (int q = 0; q < depth; ++q) D::store(target + q * lead, block[q], int(lead - group));
      }
    }
  }
}

// Lanes run along memory: rows are copied.
template <class T, class S>
void pack_rows(S* to, int64_t lead, const T* from, int lanes, int64_t k, int64_t k_stride) {
  using D = Simd<S>;
  constexpr int W = D::width;
  const int full = lanes / W, rest = lanes % W;
  for (int64_t p = 0; p < k; ++p, from += k_stride, to += lead) {
    for (int v = 0; v < full; ++v) D::store(to + v * W, D::load(from + v * W));
    int64_t done = int64_t(full) * W;
    if (rest) {
      D::store(to + done, D::load(from + done, rest));  // zeros, or lanes of the row to come
      done += W;
    }
    for (; done < lead; done += W) D::store(to + done, D::zero());
  }
}

template <class T, class S>
void pack_strip(S* to, int64_t lead, const T* from, int lanes, int64_t k, int64_t lane_stride, int64_t k_stride) {
  if (lane_stride == 1) {
    pack_rows(to, lead, from, lanes, k, k_stride);
  } else if (k_stride == 1) {
    pack_transposed(to, lead, from, lanes, k, lane_stride);
  } else {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t lane = 0; lane < lead; ++lane)
        to[p * lead + lane] = lane < lanes ? S(widen(from[lane * lane_stride + p * k_stride])) : S(0);
  }
}

// ---- pairs of bfloat16, a float's bytes each; an odd k ends with a zero
#if defined(__AVX512BF16__)

inline __m512i pair(__m256i below, __m256i above) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(below), _mm512_slli_epi32(_mm512_cvtepu16_epi32(above), 16));
}

// Two rows of `lanes` (at most 16) elements as words.
inline __m512 pair_rows(const BFloat* below, const BFloat* above, int lanes) {
  if (lanes == 16 && above)
    return _mm512_castsi512_ps(pair(_mm256_loadu_si256((const __m256i*)below), _mm256_loadu_si256((const __m256i*)above)));
  const __mmask16 mask = __mmask16((1u << lanes) - 1);
  const __m256i low = _mm256_maskz_loadu_epi16(mask, below);
  return _mm512_castsi512_ps(pair(low, above ? _mm256_maskz_loadu_epi16(mask, above) : _mm256_setzero_si256()));
}

// 2n neighbours as n words.
inline __m512 pair_line(const BFloat* from, int64_t n) {
  if (n >= 32) return _mm512_loadu_ps(from);
  const __mmask32 mask = (1u << n) - 1;
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, from));
}

inline void pack_pairs(float* to, int64_t lead, const BFloat* from, int lanes, int64_t k, int64_t lane_stride, int64_t k_stride) {
  using D = Simd<float>;
  constexpr int W = 16;
  const int64_t depth = (k + 1) / 2;
  if (lane_stride == 1) {
    for (int64_t p = 0; p < depth; ++p, to += lead) {
      const BFloat* const below = from + 2 * p * k_stride;
      for (int64_t lane = 0; lane < lead; lane += W) {
        const int here = lanes - int(lane) < W ? lanes - int(lane) : W;
        D::store(to + lane, here > 0 ? pair_rows(below + lane, 2 * p + 1 < k ? below + k_stride + lane : nullptr, here) : D::zero());
      }
    }
    return;
  }
  for (int64_t p = 0; p < depth; p += W)
    for (int64_t group = 0; group < lead; group += W) {
      __m512 block[W];
      if (k_stride == 1) {
        for (int i = 0; i < W; ++i)
          block[i] = group + i < lanes ? pair_line(from + (group + i) * lane_stride + 2 * p, k - 2 * p) : D::zero();
      } else {
        for (int i = 0; i < W; ++i) {
          alignas(64) BFloat line[2 * W] = {};
          for (int64_t q = 0; q < 2 * W && 2 * p + q < k && group + i < lanes; ++q)
            line[q] = from[(group + i) * lane_stride + (2 * p + q) * k_stride];
          block[i] = pair_line(line, 32);
        }
      }
      transpose(block);
      for (int64_t q = 0; q < W && p + q < depth; ++q) {
        float* const row = to + (p + q) * lead + group;  // may spill alone, as in pack_transposed
        if (group + W <= lead || group == 0) D::store(row, block[q]);
        else D::store(row, block[q], int(lead - group));
      }
    }
}

#endif

// A strip as the microkernel of T reads it, words<T>(k) deep.
template <class T>
void pack_words(Compute<T>* to, int64_t lead, const T* from, int lanes, int64_t k, int64_t lane_stride, int64_t k_stride) {
#if defined(__AVX512BF16__)
  if constexpr (kPaired<T>) return pack_pairs(to, lead, from, lanes, k, lane_stride, k_stride);
  else
#endif
    pack_strip<T, Compute<T>>(to, lead, from, lanes, k, lane_stride, k_stride);
}

}  // namespace tessel::TESSEL_TARGET
