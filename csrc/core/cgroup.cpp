// Reads the limits of control groups. A line of /proc/self/cgroup is `id:controllers:/path`; version 2 has the single
// line `0::/path`. Inside a container the path may not exist below the mount: then the mount itself is the group.
#include "core/cgroup.h"

#include <fstream>
#include <sstream>
#include <string>

namespace tessel {
namespace {

void tighten(auto& limit, auto value) {
  if (value > 0 && (limit == 0 || value < limit)) limit = value;
}

// A file's first number, or -1: it is missing, or says "max".
int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t value;
  return file >> value ? value : -1;
}

// cpu.max is `quota period` or `max period`, in microseconds.
double read_cpu_max(const std::string& path) {
  std::ifstream file(path);
  double quota, period;
  return file >> quota >> period && period > 0 ? quota / period : -1;
}

double read_cfs_quota(const std::string& group) {
  const int64_t quota = read_number(group + "/cpu.cfs_quota_us"), period = read_number(group + "/cpu.cfs_period_us");
  return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : -1;
}

// Version 1 writes "no limit" as a number near 2^63, version 2 as "max".
int64_t read_memory(const std::string& path) {
  const int64_t bytes = read_number(path);
  return bytes < int64_t{1} << 60 ? bytes : -1;
}

bool lists(const std::string& controllers, const std::string& name) {
  return ("," + controllers + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

CgroupLimits cgroup_limits(const char* membership, const char* mount) {
  CgroupLimits limits;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, controllers, path;
    if (!std::getline(fields, id, ':') || !std::getline(fields, controllers, ':') || !std::getline(fields, path))
      continue;
    // From the group up to the root, whose path is empty.
    for (std::string group = path == "/" ? "" : path;; group.erase(group.rfind('/'))) {
      if (controllers.empty()) {
        tighten(limits.cpus, read_cpu_max(mount + group + "/cpu.max"));
        tighten(limits.memory, read_memory(mount + group + "/memory.max"));
      }
      if (lists(controllers, "cpu")) tighten(limits.cpus, read_cfs_quota(std::string(mount) + "/cpu" + group));
      if (lists(controllers, "memory"))
        tighten(limits.memory, read_memory(std::string(mount) + "/memory" + group + "/memory.limit_in_bytes"));
      if (group.empty() || group[0] != '/') break;
    }
  }
  return limits;
}

}  // namespace tessel
