#include "ops/run.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "ops/profile.h"

namespace tessel {
namespace {

bool printing() {
  static const bool on = [] {
    const char* value = std::getenv("TESSEL_VERBOSE");
    return value && *value && *value != '0';
  }();
  return on;
}

std::atomic<bool> recording = false;
std::mutex recorded_lock;
std::vector<KernelCall> recorded;

}  // namespace

bool verbose() { return printing() || recording.load(std::memory_order_relaxed); }

void start_profile() {
  std::lock_guard lock(recorded_lock);
  recorded.clear();
  recording = true;
}

std::vector<KernelCall> stop_profile() {
  std::lock_guard lock(recorded_lock);
  recording = false;
  return std::exchange(recorded, {});
}

static int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

VerboseTimer::VerboseTimer(const char* op, const char* target, const Tensor& shape)
    : op_(op), target_(target), sizes_(shape.sizes()), dtype_(shape.dtype()), start_(now()) {}

VerboseTimer::~VerboseTimer() {
  int64_t end = now();
  if (recording.load(std::memory_order_relaxed)) {
    std::lock_guard lock(recorded_lock);
    recorded.push_back({op_, target_, sizes_, dtype_, start_, end, static_cast<int64_t>(::syscall(SYS_gettid))});
  }
  if (!printing()) return;
  double us = (end - start_) * 1e-3;
  std::string sizes;
  for (int64_t n : sizes_) sizes += (sizes.empty() ? "" : "x") + std::to_string(n);
  std::fprintf(stderr, "tessel: %s %s %s %s %.1f us\n", op_, sizes.empty() ? "scalar" : sizes.c_str(), dtype_name(dtype_), target_, us);
}

}  // namespace tessel
