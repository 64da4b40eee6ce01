// GEMM and convolution: arithmetic is the bound. A share above 1 is a matrix unit's, which the roofline does not count.
#include "bench.h"

namespace tessel::bench {
namespace {

template <DType dtype, class T> void gemm(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  Block<T> a(m * k), b(k * n), c(m * n);
  GemmArgs args = {};
  args.dtype = dtype;
  args.m = m, args.n = n, args.k = k, args.batch = 1;
  args.a = a.get(), args.a_row = k, args.a_col = 1;
  args.b = b.get(), args.b_row = n, args.b_col = 1;
  args.c = c.get(), args.c_row = n, args.c_col = 1;
  args.alpha = 1;
  const Kernels& table = cpu_kernels();
  Scratch scratch(table.gemm_scratch(args));
  const double bytes = double(sizeof(T)) * double(m * k + k * n + m * n);
  time(state, 2.0 * double(m) * double(n) * double(k), bytes, [&] { table.gemm(args, scratch.get()); });
}

void shapes(benchmark::internal::Benchmark* b) {
  for (int64_t n : {8, 32, 128, 512, 1024, 2048}) b->Args({n, n, n});
  b->Args({1, 2048, 2048})->Args({4096, 64, 512})->Args({64, 64, 16384})->UseRealTime();
}
BENCHMARK(gemm<DType::float32, float>)->Name("gemm_float32")->Apply(shapes);
BENCHMARK(gemm<DType::float64, double>)->Name("gemm_float64")->Apply(shapes);
BENCHMARK(gemm<DType::bfloat16, uint16_t>)->Name("gemm_bfloat16")->Apply(shapes);  // bits 0 and 1: zeros and denormals
BENCHMARK(gemm<DType::float16, uint16_t>)->Name("gemm_float16")->Apply(shapes);

enum class Pass { forward, data, weight };

template <Pass pass> void conv(benchmark::State& state) {
  const int64_t batch = state.range(0), in = state.range(1), out = state.range(2), side = state.range(3), kernel = state.range(4);
  Block<> x(batch * in * side * side), w(out * in * kernel * kernel), y(batch * out * side * side);
  ConvArgs args = {};
  args.dtype = DType::float32;
  args.batch = batch, args.groups = 1, args.in_channels = in, args.out_channels = out;
  for (int d = 0; d < 3; ++d) {
    args.in[d] = args.out[d] = d ? side : 1;
    args.kernel[d] = d ? kernel : 1;
    args.stride[d] = args.dilation[d] = 1;
    args.padding[d] = d ? kernel / 2 : 0;
  }
  args.x = x.get(), args.w = w.get(), args.y = y.get();
  const Kernels& t = cpu_kernels();
  const auto bytes_of = pass == Pass::forward ? t.conv_scratch : pass == Pass::data ? t.conv_backward_data_scratch : t.conv_backward_weight_scratch;
  const auto entry = pass == Pass::forward ? t.conv : pass == Pass::data ? t.conv_backward_data : t.conv_backward_weight;
  Scratch scratch(bytes_of(args));
  const double flops = 2.0 * double(batch * out * side * side) * double(in * kernel * kernel);
  const double bytes = 4.0 * double(batch * (in + out) * side * side + out * in * kernel * kernel);
  time(state, flops, bytes, [&] { entry(args, scratch.get()); });
}

void images(benchmark::internal::Benchmark* b) {
  b->Args({64, 1, 6, 32, 5})->Args({16, 64, 64, 32, 3})->Args({8, 64, 64, 56, 3})->Args({8, 256, 64, 56, 1})->Args({1, 128, 128, 28, 3});
  b->ArgNames({"batch", "in", "out", "side", "kernel"})->UseRealTime();
}
BENCHMARK(conv<Pass::forward>)->Name("conv")->Apply(images);
BENCHMARK(conv<Pass::data>)->Name("conv_backward_data")->Apply(images);
BENCHMARK(conv<Pass::weight>)->Name("conv_backward_weight")->Apply(images);

}  // namespace
}  // namespace tessel::bench
