// Asks the C library for the cache sizes; a machine that does not tell gets modest ones.
#include "kernels/cpu/caches.h"

#include <unistd.h>

namespace tessel {
namespace {

int64_t ask(int name, int64_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

}  // namespace

const Caches& caches() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  static const Caches found = {ask(_SC_LEVEL1_DCACHE_SIZE, 32 << 10), ask(_SC_LEVEL2_CACHE_SIZE, 512 << 10),
                               ask(_SC_LEVEL3_CACHE_SIZE, 4 << 20)};
#else
  static const Caches found = {32 << 10, 512 << 10, 4 << 20};
#endif
  return found;
}

}  // namespace tessel
