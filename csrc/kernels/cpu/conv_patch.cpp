// dx of a convolution whose steps are as long as its kernel (patches of an image to tokens): no two results share an element of
// x, so all taps are rows of one product, [positions, (channel, tap)] = dy^T w, whose rows are then laid out as patches. A gather
// for each residue of the steps would be a product of a few rows for each tap: 256 of them for 16x16.
#include "kernels/cpu/conv_gather.h"

namespace tessel::TESSEL_TARGET {
namespace {

// One image and group: c[positions, (channel, tap)]
GemmArgs patch_product(const ConvArgs& c, int64_t index) {
  const int64_t positions = c.out[1] * c.out[2], columns = c.in_channels * c.kernel[1] * c.kernel[2], group = index % c.groups;
  return with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    GemmArgs g{};
    g.dtype = c.dtype;
    g.m = positions;
    g.n = columns;
    g.k = c.out_channels;
    g.batch = 1;
    g.a = static_cast<const T*>(c.y) + index * c.out_channels * positions;
    g.a_row = 1;
    g.a_col = positions;
    g.b = static_cast<const T*>(c.w) + group * c.out_channels * columns;
    g.b_row = columns;
    g.b_col = 1;
    g.c_row = columns;
    g.c_col = 1;
    g.alpha = 1;
    return g;
  });
}

template <class T> int64_t patch_bytes(const ConvArgs& c) {
  return round_up(c.out[1] * c.out[2] * c.in_channels * c.kernel[1] * c.kernel[2] * int64_t(sizeof(T)), 64);
}

template <class T> void lay_out(const ConvArgs& c, int64_t index, const T* patches) {
  const int64_t taps = c.kernel[1] * c.kernel[2], width = c.kernel[2], height = c.in[1], columns = c.in_channels * taps;
  const T* const bias = static_cast<const T*>(c.bias);
  auto rows = [&](int64_t begin, int64_t end, int) {  // (channel, row of x)
    const Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t channel = task / height, row = task % height, q1 = row / c.kernel[1], t1 = row % c.kernel[1];
      T* const to = static_cast<T*>(c.x) + ((index * c.in_channels + channel) * height + row) * c.in[2];
      const int64_t covered = q1 < c.out[1] ? c.out[2] : 0;
      for (int64_t q2 = 0; q2 < covered; ++q2)
        memcpy(to + q2 * width, patches + (q1 * c.out[2] + q2) * columns + channel * taps + t1 * width, size_t(width) * sizeof(T));
      memset(to + covered * width, 0, size_t(c.in[2] - covered * width) * sizeof(T));
      if constexpr (sizeof(T) == sizeof(Compute<T>)) {
        if (bias)
          for (int64_t i = 0; i < c.in[2]; ++i) to[i] = to[i] + bias[index % c.groups * c.in_channels + channel];
      }
    }
  };
  for_tasks(c.in_channels * height, c.in[2] / 4 + 1, true, rows);
}

}  // namespace

bool patch_accepts(const ConvArgs& c) {
  const bool flat = c.in[0] == 1 && c.out[0] == 1 && c.kernel[0] == 1 && c.padding[0] == 0;
  for (int d = 1; d < 3; ++d)
    if (c.kernel[d] != c.stride[d] || c.padding[d] != 0 || c.dilation[d] != 1 || c.out[d] * c.stride[d] > c.in[d]) return false;
  const bool rounded_once = c.dtype == DType::float32 || c.dtype == DType::float64 || !c.bias;
  return flat && c.kernel[2] >= 4 && c.out_channels >= 8 && c.activation == Activation::none && rounded_once;
}

int64_t patch_scratch(const ConvArgs& c) {
  return with_floating(c.dtype, [&](auto type) -> int64_t {
    return patch_bytes<typename decltype(type)::type>(c) + gemm_scratch(patch_product(c, 0));
  });
}

void patch_image(const ConvArgs& c, char* scratch) {
  with_floating(c.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    T* const patches = reinterpret_cast<T*>(scratch);
    for (int64_t index = 0; index < c.batch * c.groups; ++index) {
      GemmArgs g = patch_product(c, index);
      g.c = patches;
      gemm(g, scratch + patch_bytes<T>(c));
      lay_out<T>(c, index, patches);
    }
  });
}

}  // namespace tessel::TESSEL_TARGET
