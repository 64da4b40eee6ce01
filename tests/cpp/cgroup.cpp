// Container limits, read from a small copy of the kernel's files.
#include "core/cgroup.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "check.h"

using namespace tessel;
namespace fs = std::filesystem;

namespace {

class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "tessel-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Directory() { fs::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    const fs::path file = path_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file.string();
  }
  std::string mount() const { return (path_ / "mount").string(); }

 private:
  fs::path path_;
};

}  // namespace

TEST(cgroup_v2_takes_the_strictest_on_the_way_up) {
  Directory d;
  const std::string membership = d.write("membership", "0::/a/b\n");
  d.write("mount/cpu.max", "max 100000\n");
  d.write("mount/a/cpu.max", "150000 100000\n");
  d.write("mount/a/memory.max", "1073741824\n");
  d.write("mount/a/b/cpu.max", "400000 100000\n");
  d.write("mount/a/b/memory.max", "max\n");
  const CgroupLimits limits = cgroup_limits(membership.c_str(), d.mount().c_str());
  CHECK(limits.cpus == 1.5 && limits.memory == 1073741824);
}

TEST(cgroup_v2_in_a_container_sees_only_the_mount) {
  Directory d;
  const std::string membership = d.write("membership", "0::/../somewhere/else\n");
  d.write("mount/cpu.max", "50000 100000\n");
  CHECK(cgroup_limits(membership.c_str(), d.mount().c_str()).cpus == 0.5);
}

TEST(cgroup_v1) {
  Directory d;
  const std::string membership = d.write("membership", "5:memory:/m\n4:cpu,cpuacct:/c\n3:cpuset:/\n");
  d.write("mount/cpu/c/cpu.cfs_quota_us", "300000\n");
  d.write("mount/cpu/c/cpu.cfs_period_us", "100000\n");
  d.write("mount/cpu/cpu.cfs_quota_us", "-1\n");
  d.write("mount/cpu/cpu.cfs_period_us", "100000\n");
  d.write("mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
  d.write("mount/memory/m/memory.limit_in_bytes", "2147483648\n");
  const CgroupLimits limits = cgroup_limits(membership.c_str(), d.mount().c_str());
  CHECK(limits.cpus == 3 && limits.memory == 2147483648);
}

TEST(cgroup_absent) {
  const CgroupLimits limits = cgroup_limits("/nonexistent", "/nonexistent");
  CHECK(limits.cpus == 0 && limits.memory == 0);
}
