// Device -> allocator.
#include "core/allocator.h"

#include <atomic>

#include "core/error.h"

namespace tessel {
namespace {

constinit std::atomic<const Allocator*> cuda_allocator{nullptr};

}  // namespace

const Allocator& allocator(Device device) {
  if (device.is_cpu()) return cpu_allocator();
  const Allocator* found = cuda_allocator.load(std::memory_order_acquire);
  check(found != nullptr, "cuda: no CUDA memory, as tessel's CUDA library is not loaded");
  return *found;
}

void register_allocator(DeviceType type, const Allocator& allocator) {
  check(type == DeviceType::cuda, "register_allocator: the CPU has its own allocator");
  cuda_allocator.store(&allocator, std::memory_order_release);
}

}  // namespace tessel
