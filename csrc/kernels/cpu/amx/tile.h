// The tile unit: eight registers of 16 rows by 64 bytes, and tile_dot, c[16, 16] += a[16, 32] @ b[32, 16] in bfloat16 with b
// in pairs of rows. With TESSEL_EMULATE_TILES the same verbs are plain C, bit for bit what the processor does, so that
// the kernels built on them are tested on any machine.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

namespace tessel::TESSEL_TARGET {

constexpr int64_t kTileBytes = 1024;

// The registers are the thread's while a Tiles lives.
class Tiles {
 public:
  Tiles();
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

#if !defined(TESSEL_EMULATE_TILES)

// Instructions by hand: gcc's intrinsics take the register's number as a written digit only, and do not say that they read
// memory.
inline Tiles::Tiles() {
  alignas(64) uint8_t config[64] = {1};  // palette 1; bytes 16-31: bytes per row, 48-55: rows
  for (int t = 0; t < 8; ++t) {
    config[16 + 2 * t] = 64;
    config[48 + t] = 16;
  }
  __asm__ volatile("ldtilecfg (%0)" : : "r"(config) : "memory");
}
inline Tiles::~Tiles() { __asm__ volatile("tilerelease"); }

template <int t> inline void tile_zero() { __asm__ volatile("tilezero %%tmm%c0" : : "i"(t)); }
template <int t> inline void tile_load(const void* from, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(t) : "memory");
}
template <int t> inline void tile_store(void* to, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(t) : "memory");
}
template <int c, int a, int b> inline void tile_dot() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
}

#else

inline thread_local uint32_t emulated_tiles[8][16][16];

inline Tiles::Tiles() { memset(emulated_tiles, 0, sizeof emulated_tiles); }
inline Tiles::~Tiles() {}

template <int t> inline void tile_zero() { memset(emulated_tiles[t], 0, kTileBytes); }
template <int t> inline void tile_load(const void* from, int64_t stride) {
  for (int r = 0; r < 16; ++r) memcpy(emulated_tiles[t][r], static_cast<const char*>(from) + r * stride, 64);
}
template <int t> inline void tile_store(void* to, int64_t stride) {
  for (int r = 0; r < 16; ++r) memcpy(static_cast<char*>(to) + r * stride, emulated_tiles[t][r], 64);
}

inline float emulated_float(uint32_t bits) {  // denormals are zero
  float x;
  bits = bits & 0x7f800000 ? bits : bits & 0x80000000;
  memcpy(&x, &bits, 4);
  return x;
}
inline uint32_t emulated_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits & 0x7f800000 ? bits : bits & 0x80000000;
}

// Even and odd products run in two fused sums from zero; their total is added to c.
template <int c, int a, int b> inline void tile_dot() {
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      float even = 0, odd = 0;
      for (int k = 0; k < 16; ++k) {
        const uint32_t x = emulated_tiles[a][m][k], y = emulated_tiles[b][k][n];
        even = emulated_float(emulated_bits(fmaf(emulated_float(x << 16), emulated_float(y << 16), even)));
        odd = emulated_float(emulated_bits(fmaf(emulated_float(x & 0xffff0000), emulated_float(y & 0xffff0000), odd)));
      }
      const float total = emulated_float(emulated_bits(even + odd));
      emulated_tiles[c][m][n] = emulated_bits(emulated_float(emulated_tiles[c][m][n]) + total);
    }
}

#endif

}  // namespace tessel::TESSEL_TARGET
