// The CUDA table and the one symbol this library exports. What has no kernel here yet throws, naming itself.
#include <string.h>

#include "core/allocator.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/target.h"
#include "kernels/kernels.h"

namespace tessel::cuda {

void unary(Unary op, const Loop& loop, DType compute, const Params& params);
void unary_backward(Unary op, const Loop& loop, DType compute, const Params& params);
void binary(Binary op, const Loop& loop, DType compute, const Params& params);
void ternary(Ternary op, const Loop& loop, DType compute, const Params& params);
int64_t reduce_scratch(const ReduceArgs& args);
void reduce(const ReduceArgs& args, void* scratch);
void random(const RandomArgs& args);
extern const Allocator allocator_table;

namespace {

void copy_bytes(void* to, bool to_device, const void* from, bool from_device, int64_t bytes) {
  cudaMemcpyKind kind = to_device ? (from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice) : cudaMemcpyDeviceToHost;
  check(cudaMemcpy(to, from, size_t(bytes), kind), "copy");
}

void synchronize() { check(cudaDeviceSynchronize(), "synchronize"); }

// Stands in every entry of the table that no kernel fills. It throws before it could return, whatever the entry's type.
void missing() {
  throw std::runtime_error("cuda: this operation is not there yet for CUDA tensors; move them to the CPU with .cpu()");
}

Kernels make_table(const char* name) {
  Kernels table;
  static_assert(sizeof(Kernels) % sizeof(&missing) == 0, "the table is a name and pointers to functions");
  void (*entries[sizeof(Kernels) / sizeof(&missing)])();
  for (auto& entry : entries) entry = missing;
  memcpy(&table, entries, sizeof(table));
  table.name = name;
  table.copy_bytes = copy_bytes;
  table.synchronize = synchronize;
  table.unary = unary;
  table.unary_backward = unary_backward;
  table.binary = binary;
  table.ternary = ternary;
  table.reduce_scratch = reduce_scratch;
  table.reduce = reduce;
  table.random = random;
  return table;
}

Target find() {
  static std::string problem, name;
  int devices = 0;
  cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    problem = status == cudaSuccess ? "no CUDA device was found" : cudaGetErrorString(status);
    cudaGetLastError();
    return {nullptr, nullptr, 0, problem.c_str()};
  }
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess || properties.major < 8) {
    problem = "the GPU is older than the generation this library is built for (compute capability 8.0)";
    return {nullptr, nullptr, 0, problem.c_str()};
  }
  name = "cuda:sm" + std::to_string(properties.major) + std::to_string(properties.minor);
  static const Kernels table = make_table(name.c_str());
  return {&table, &allocator_table, devices, nullptr};
}

}  // namespace
}  // namespace tessel::cuda

extern "C" __attribute__((visibility("default"))) const tessel::cuda::Target* tessel_cuda_target() {
  static const tessel::cuda::Target target = tessel::cuda::find();
  return &target;
}
