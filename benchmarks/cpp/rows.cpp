// Elementwise functions, reductions and normalizations: memory is the bound, or what a function costs in registers.
#include "bench.h"

namespace tessel::bench {
namespace {

Operand operand(const void* data, int64_t stride = 4) {
  Operand made = {};
  made.data = (char*)data;
  made.strides[0] = stride;
  made.dtype = DType::float32;
  return made;
}

Loop flat(int64_t n, std::initializer_list<const void*> blocks) {
  Loop loop = {};
  loop.ndim = 1;
  loop.numel = loop.sizes[0] = n;
  for (const void* block : blocks) loop.operand[loop.operands++] = operand(block);
  return loop;
}

template <Binary op> void binary(benchmark::State& state) {
  const int64_t n = state.range(0);
  Block<> a(n), b(n), y(n);
  const Loop loop = flat(n, {y.get(), a.get(), b.get()});
  time(state, 0, 12.0 * double(n), [&] { cpu_kernels().binary(op, loop, DType::float32, Params{}); });
}

template <Unary op> void unary(benchmark::State& state) {
  const int64_t n = state.range(0);
  Block<> x(n), y(n);
  const Loop loop = flat(n, {y.get(), x.get()});
  time(state, 0, 8.0 * double(n), [&] { cpu_kernels().unary(op, loop, DType::float32, Params{}); });
}

template <Reduce op> void reduce(benchmark::State& state) {
  const int64_t n = state.range(0);
  Block<> x(n), y(1);
  ReduceArgs args = {};
  args.op = op;
  args.loop = flat(n, {y.get(), x.get()});
  args.loop.operand[0].strides[0] = 0;
  args.reduced = 1;
  args.compute = DType::float32;
  args.parameter = 1;
  const Kernels& table = cpu_kernels();
  Scratch scratch(table.reduce_scratch(args));
  time(state, 0, 4.0 * double(n), [&] { table.reduce(args, scratch.get()); });
}

void softmax(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1);
  Block<> x(rows * n), y(rows * n);
  RowsArgs args = {};
  args.dtype = DType::float32;
  args.outer = rows, args.n = n, args.inner = 1;
  args.x = x.get(), args.y = y.get();
  time(state, 0, 8.0 * double(rows * n), [&] { cpu_kernels().softmax(args); });
}

void layer_norm(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1);
  Block<> x(rows * n), y(rows * n), w(n), b(n), mean(rows), rstd(rows);
  RowNormArgs args = {};
  args.dtype = DType::float32;
  args.rows = rows, args.n = n, args.inner = 1, args.groups = 1;
  args.centred = true;
  args.eps = 1e-5;
  args.x = x.get(), args.y = y.get(), args.weight = w.get(), args.bias = b.get(), args.mean = mean.get(), args.rstd = rstd.get();
  time(state, 0, 8.0 * double(rows * n), [&] { cpu_kernels().row_norm(args); });
}

void sizes(benchmark::internal::Benchmark* b) { b->Arg(1 << 10)->Arg(1 << 14)->Arg(1 << 20)->Arg(1 << 24)->UseRealTime(); }
BENCHMARK(binary<Binary::add>)->Name("add")->Apply(sizes);
BENCHMARK(binary<Binary::div>)->Name("div")->Apply(sizes);
BENCHMARK(unary<Unary::exp>)->Name("exp")->Apply(sizes);
BENCHMARK(unary<Unary::tanh>)->Name("tanh")->Apply(sizes);
BENCHMARK(unary<Unary::gelu>)->Name("gelu")->Apply(sizes);
BENCHMARK(reduce<Reduce::sum>)->Name("sum")->Apply(sizes);
BENCHMARK(reduce<Reduce::max>)->Name("max")->Apply(sizes);
BENCHMARK(reduce<Reduce::var>)->Name("var")->Apply(sizes);

void matrices(benchmark::internal::Benchmark* b) { b->Args({128, 64})->Args({1024, 1024})->Args({4096, 1024})->Args({64, 32768})->UseRealTime(); }
BENCHMARK(softmax)->Apply(matrices);
BENCHMARK(layer_norm)->Apply(matrices);

}  // namespace
}  // namespace tessel::bench
