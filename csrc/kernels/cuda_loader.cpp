// The CUDA target lives in a second shared object beside this one, loaded at first use: the CPU wheel needs none of it.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "core/allocator.h"
#include "core/error.h"
#include "kernels/cuda/target.h"
#include "kernels/targets.h"

namespace tessel {

namespace {

using Entry = const cuda::Target* (*)();

struct Loaded {
  const Kernels* kernels = nullptr;
  int devices = 0;
  std::string problem;
};

std::string library_path() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&cpu_kernels), &info) || !info.dli_fname) return "libtessel_cuda.so";
  std::string path(info.dli_fname);
  return path.substr(0, path.rfind('/') + 1) + "libtessel_cuda.so";
}

Loaded load() {
  Loaded loaded;
  void* library = dlopen(library_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    loaded.problem = "this build of tessel has no CUDA target (`make cuda` builds it)";
    return loaded;
  }
  auto entry = reinterpret_cast<Entry>(dlsym(library, "tessel_cuda_target"));
  const cuda::Target* target = entry ? entry() : nullptr;
  if (!target || !target->kernels) {
    loaded.problem = target && target->problem ? target->problem : "the CUDA library does not fit this build of tessel";
    return loaded;
  }
  register_allocator(DeviceType::cuda, *target->allocator);
  loaded.kernels = target->kernels;
  loaded.devices = target->devices;
  return loaded;
}

const Loaded& loaded_target() {
  static const Loaded loaded = load();
  return loaded;
}

}  // namespace

const Kernels& cuda_kernels() {
  check(loaded_target().kernels != nullptr, "cuda: no CUDA device can be used: ", loaded_target().problem);
  return *loaded_target().kernels;
}

bool has_cuda() { return loaded_target().kernels != nullptr; }
int cuda_devices() { return loaded_target().devices; }

}  // namespace tessel
