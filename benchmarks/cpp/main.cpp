// The kernels of the CPU's table, timed without tensors and Python around them. TESSEL_ISA caps the table,
// TESSEL_BENCH_THREADS says how many threads; the rest are Google Benchmark's options.
#include <cstdio>
#include <cstdlib>

#include "bench.h"

int main(int argc, char** argv) {
  using namespace tessel;
  if (const char* threads = std::getenv("TESSEL_BENCH_THREADS")) set_num_threads(std::atoi(threads));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const bench::Roofline& roof = bench::roofline();
  std::fprintf(stderr, "table %s, %d threads: %.1f GFLOP/s of float32 multiply-adds, %.1f GB/s from memory\n", cpu_kernels().name,
               num_threads(), roof.flops / 1e9, roof.bytes / 1e9);
  benchmark::RunSpecifiedBenchmarks();
}
