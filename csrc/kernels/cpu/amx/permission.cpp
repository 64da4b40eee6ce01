// Asks Linux for the tile registers, once per process; threads made afterwards inherit the permission. Baseline flags.
#include <sys/syscall.h>
#include <unistd.h>

namespace tessel::amx {

bool request_permission() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace tessel::amx
