// What the kernel tests share: a checker, a small generator, 16-bit conversions of their own, canaries, and the
// targets' entries. A test is a program: it prints what failed and returns 1.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "kernels/kernels.h"

namespace test {

inline int failures = 0, checks = 0;

// Can this machine run the target under test?
inline bool machine_has(const char* target) {
#if defined(__x86_64__)
  const std::string t = target;
  if (t == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (t == "avx512bf16" && !__builtin_cpu_supports("avx512bf16")) return false;
  if (t.starts_with("avx512")) return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return target != nullptr;
}

#define TEST_QUOTE(x) #x
#define TEST_NAME(x) TEST_QUOTE(x)
#define SKIP_WHERE_MISSING()                                                        \
  if (!test::machine_has(TEST_NAME(TESSEL_TARGET))) {                               \
    std::printf("skipped: this machine has no %s\n", TEST_NAME(TESSEL_TARGET));     \
    return 0;                                                                       \
  }

inline void check(bool ok, const std::string& what) {
  ++checks;
  if (ok) return;
  if (++failures <= 10) std::printf("FAILED %s\n", what.c_str());
}

inline int report(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, checks, failures);
  return failures ? 1 : 0;
}

struct Rng {
  uint64_t state = 88172645463325252ull;
  uint64_t next() { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
  double uniform() { return double(next() >> 11) * 0x1p-52 - 1; }
  int64_t below(int64_t n) { return int64_t(next() % uint64_t(n)); }
};

using tessel::DType;

inline int64_t size_of(DType d) {
  switch (d) {
    case DType::float64: case DType::int64: return 8;
    case DType::float32: case DType::int32: return 4;
    case DType::bfloat16: case DType::float16: case DType::int16: return 2;
    default: return 1;
  }
}

inline const char* name_of(DType d) {
  static const char* names[] = {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"};
  return names[int(d)];
}

inline bool is_integer(DType d) { return d < DType::float16; }

// One unit of rounding of a type, relative.
inline double rounding(DType d) {
  return d == DType::float64 ? 0x1p-53 : d == DType::float32 ? 0x1p-24 : d == DType::float16 ? 0x1p-11 : 0x1p-8;
}

inline double read(DType d, const void* base, int64_t i) {
  const char* p = static_cast<const char*>(base) + i * size_of(d);
  switch (d) {
    case DType::float64: { double x; std::memcpy(&x, p, 8); return x; }
    case DType::float32: { float x; std::memcpy(&x, p, 4); return x; }
    case DType::bfloat16: { uint16_t h; std::memcpy(&h, p, 2); uint32_t u = uint32_t(h) << 16; float x; std::memcpy(&x, &u, 4); return x; }
    case DType::float16: {
      uint16_t h; std::memcpy(&h, p, 2);
      const int e = h >> 10 & 31, f = h & 1023;
      const double v = e == 31 ? (f ? NAN : INFINITY) : e ? std::ldexp(1024 + f, e - 25) : std::ldexp(f, -24);
      return h & 0x8000 ? -v : v;
    }
    case DType::int64: { int64_t x; std::memcpy(&x, p, 8); return double(x); }
    case DType::int32: { int32_t x; std::memcpy(&x, p, 4); return x; }
    case DType::int16: { int16_t x; std::memcpy(&x, p, 2); return x; }
    case DType::int8: return *reinterpret_cast<const int8_t*>(p);
    default: return *reinterpret_cast<const uint8_t*>(p);
  }
}

inline void write(DType d, void* base, int64_t i, double v) {
  char* p = static_cast<char*>(base) + i * size_of(d);
  switch (d) {
    case DType::float64: std::memcpy(p, &v, 8); break;
    case DType::float32: { const float x = float(v); std::memcpy(p, &x, 4); break; }
    case DType::bfloat16: {
      const float x = float(v); uint32_t u; std::memcpy(&u, &x, 4);
      const uint16_t h = std::isnan(x) ? uint16_t(0x7fc0) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
      std::memcpy(p, &h, 2); break;
    }
    case DType::float16: {
      uint16_t h = std::signbit(v) ? 0x8000 : 0;
      const double a = std::fabs(v);
      if (std::isnan(v)) h |= 0x7e00;
      else if (a >= 65520) h |= 0x7c00;
      else {
        int e = a > 0 ? std::ilogb(a) : -15;
        if (e < -14) e = -15;
        const double unit = e == -15 ? 0x1p-24 : std::ldexp(1.0, e - 10);
        const int64_t q = int64_t(std::nearbyint(a / unit));
        h = uint16_t(h + (e == -15 ? q : ((e + 14) << 10) + q));
      }
      std::memcpy(p, &h, 2); break;
    }
    case DType::int64: { const int64_t x = int64_t(v); std::memcpy(p, &x, 8); break; }
    case DType::int32: { const int32_t x = int32_t(int64_t(v)); std::memcpy(p, &x, 4); break; }
    case DType::int16: { const int16_t x = int16_t(int64_t(v)); std::memcpy(p, &x, 2); break; }
    case DType::int8: { const int8_t x = int8_t(int64_t(v)); std::memcpy(p, &x, 1); break; }
    case DType::bool_: { const uint8_t x = v != 0; std::memcpy(p, &x, 1); break; }
    default: { const uint8_t x = uint8_t(int64_t(v)); std::memcpy(p, &x, 1); break; }
  }
}

// Memory with canaries before and behind; `offset` elements unalign it.
class Block {
 public:
  Block(DType dtype, int64_t elements, int64_t offset = 0)
      : dtype(dtype), count(elements), bytes_(size_t(elements * size_of(dtype))),
        memory_(bytes_ + 2 * kGuard + size_t(offset * size_of(dtype)), 0xa5), start_(kGuard + size_t(offset * size_of(dtype))) {}
  void* data() { return memory_.data() + start_; }
  const void* data() const { return memory_.data() + start_; }
  double operator[](int64_t i) const { return read(dtype, data(), i); }
  void set(int64_t i, double v) { write(dtype, data(), i, v); }
  void fill(const std::function<double()>& f) { for (int64_t i = 0; i < count; ++i) set(i, f()); }
  bool intact() const {
    for (size_t i = 0; i < start_; ++i) if (memory_[i] != 0xa5) return false;
    for (size_t i = start_ + bytes_; i < memory_.size(); ++i) if (memory_[i] != 0xa5) return false;
    return true;
  }
  bool same(const Block& other) const { return std::memcmp(data(), other.data(), bytes_) == 0; }
  DType dtype;
  int64_t count;

 private:
  static constexpr size_t kGuard = 256;
  size_t bytes_;
  std::vector<unsigned char> memory_;
  size_t start_;
};

// Scratch of exactly the stated size, 64-byte aligned, canaries behind it, full of NaN.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : bytes_(size_t(bytes)), base_(static_cast<char*>(std::aligned_alloc(64, (bytes_ + 64 + 63) / 64 * 64 + 64))) {
    std::memset(base_, 0xff, bytes_);
    std::memset(base_ + bytes_, 0x5a, 64);
  }
  ~Scratch() { std::free(base_); }
  Scratch(const Scratch&) = delete;
  void* data() { return base_; }
  bool intact() const { for (int i = 0; i < 64; ++i) if (base_[bytes_ + size_t(i)] != 0x5a) return false; return true; }

 private:
  size_t bytes_;
  char* base_;
};

}  // namespace test
