#include "ops/run.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace tessel {

bool verbose() {
  static const bool on = [] {
    const char* value = std::getenv("TESSEL_VERBOSE");
    return value && *value && *value != '0';
  }();
  return on;
}

static int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

VerboseTimer::VerboseTimer(const char* op, const char* target, const Tensor& shape)
    : op_(op), target_(target), sizes_(shape.sizes()), dtype_(shape.dtype()), start_(now()) {}

VerboseTimer::~VerboseTimer() {
  double us = (now() - start_) * 1e-3;
  std::string sizes;
  for (int64_t n : sizes_) sizes += (sizes.empty() ? "" : "x") + std::to_string(n);
  std::fprintf(stderr, "tessel: %s %s %s %s %.1f us\n", op_, sizes.empty() ? "scalar" : sizes.c_str(), dtype_name(dtype_), target_, us);
}

}  // namespace tessel
