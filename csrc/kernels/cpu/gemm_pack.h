// Packing: a strip of a few lanes (rows of A or columns of B) is laid out in the order the microkernel reads it,
// element (p, lane) at to[p * lead + lane], converted to the compute type. Used by GEMM and conv.
#pragma once
#include "kernels/cpu/gemm_simd.h"

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

}  // namespace tessel::TESSEL_TARGET
