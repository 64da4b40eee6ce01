#include "kernels/targets.h"

#include <cstdlib>
#include <cstring>

#include "core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tessel {

// CMake defines TESSEL_HAVE_<target> for each it builds: all that the processor family has, unless TESSEL_TARGETS says less.
namespace scalar { extern const Kernels table; }
namespace avx2 { extern const Kernels table; }
namespace avx512 { extern const Kernels table; }
namespace avx512bf16 { void lay_over(Kernels& table); }  // AVX512_BF16's entries over avx512's table
namespace amx {
void lay_over(Kernels& table);  // AMX's entries over avx512's table
bool request_permission();      // asks the operating system for the tiles
}

namespace {

enum Level { kScalar, kAvx2, kAvx512, kAvx512Bf16, kAmx };

#if defined(__x86_64__)
// The registers the operating system saves (XCR0), as the processor alone does not decide.
uint64_t saved_state() {
  uint32_t a, b, c, d;
  __cpuid(1, a, b, c, d);
  if (!(c >> 27 & 1)) return 0;  // no XGETBV for programs
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

Level best_level() {
  uint64_t saved = saved_state();
  bool avx2 = (saved & 0x6) == 0x6 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (!avx2) return kScalar;
  uint32_t a, b, c, d;
  __cpuid(1, a, b, c, d);
  if (!(c >> 29 & 1)) return kScalar;  // F16C
  bool avx512 = (saved & 0xE6) == 0xE6 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  if (!avx512) return kAvx2;
  __cpuid_count(7, 1, a, b, c, d);
  if (!(a >> 5 & 1)) return kAvx512;
#if defined(TESSEL_HAVE_amx) && defined(TESSEL_HAVE_avx512)
  __cpuid_count(7, 0, a, b, c, d);
  bool tiles = (d >> 24 & 1) && (d >> 22 & 1);  // AMX-TILE, AMX-BF16
  if (tiles && (saved & 0x60000) == 0x60000 && amx::request_permission()) return kAmx;
#endif
  return kAvx512Bf16;
}
#else
Level best_level() { return kScalar; }
#endif

Level parse_level(const char* text) {
  constexpr const char* names[] = {"scalar", "avx2", "avx512", "avx512bf16", "amx"};
  for (int i = 0; i < 5; ++i)
    if (!std::strcmp(text, names[i])) return static_cast<Level>(i);
  fail<ValueError>("TESSEL_ISA: expected one of scalar, avx2, avx512, avx512bf16, amx, got '", text, "'");
}

const Kernels& choose() {
  Level level = best_level();
  if (const char* cap = std::getenv("TESSEL_ISA"); cap && *cap) {
    Level wanted = parse_level(cap);
    if (wanted < level) level = wanted;
  }
#if defined(TESSEL_HAVE_avx512) && (defined(TESSEL_HAVE_avx512bf16) || defined(TESSEL_HAVE_amx))
  if (level >= kAvx512Bf16) {
    static Kernels composed = avx512::table;
#if defined(TESSEL_HAVE_avx512bf16)
    avx512bf16::lay_over(composed);
#endif
#if defined(TESSEL_HAVE_amx)
    if (level == kAmx) amx::lay_over(composed);
#endif
    return composed;
  }
#endif
#if defined(TESSEL_HAVE_avx512)
  if (level >= kAvx512) return avx512::table;
#endif
#if defined(TESSEL_HAVE_avx2)
  if (level >= kAvx2) return avx2::table;
#endif
#if defined(TESSEL_HAVE_scalar)
  return scalar::table;
#else
  fail<RuntimeError>("tessel: this build has no kernels for this processor (it was built for less than every instruction set)");
#endif
}

}  // namespace

const Kernels& cpu_kernels() {
  static const Kernels& table = choose();
  return table;
}

}  // namespace tessel
