// roofline THREADS [ISA]: the machine's limits as one JSON object, for benchmarks/roofline.py. ISA caps the instruction set.
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "roofline.h"

namespace {

// The best of tessel's instruction sets that this machine has, up to the cap.
const char* instruction_set(std::string_view cap) {
#if defined(__x86_64__)
  const struct {
    const char* name;
    bool there;
  } sets[] = {
      {"scalar", true},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"avx512", __builtin_cpu_supports("avx512bw") != 0},
      {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0},
      {"amx", __builtin_cpu_supports("amx-bf16") != 0},
  };
  const char* best = "scalar";
  for (const auto& [name, there] : sets) {
    if (there) best = name;
    if (name == cap) break;
  }
  return best;
#else
  (void)cap;
  return "scalar";
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tessel::bench;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: roofline THREADS [ISA]\n");
    return 2;
  }
  const char* isa = instruction_set(argc > 2 ? argv[2] : "amx");
  std::printf("{\"flops\": {");
  const char* separator = "";
  for (const char* dtype : {"float32", "float64", "bfloat16"}) {
    std::printf("%s\"%s\": %.4g", separator, dtype, peak_flops(isa, dtype, threads));
    separator = ", ";
  }
  std::printf("}, \"bytes\": [");
  separator = "";
  for (int64_t set = 1 << 14; set <= int64_t{1} << 28; set *= 2) {
    std::printf("%s[%lld, %.4g]", separator, static_cast<long long>(set), peak_bytes(set, threads));
    separator = ", ";
  }
  std::printf("]}\n");
}
