// What the container allows this process: read from cgroup v1 and v2. The thread pool and the allocator ask once.
#pragma once
#include <cstdint>

namespace tessel {

struct CgroupLimits {
  double cpus = 0;     // CPU seconds a second; 0 when unlimited
  int64_t memory = 0;  // bytes; 0 when unlimited
};

// The strictest limits on the way from this process's group up to the root. The arguments are for tests.
CgroupLimits cgroup_limits(const char* membership = "/proc/self/cgroup", const char* mount = "/sys/fs/cgroup");

}  // namespace tessel
