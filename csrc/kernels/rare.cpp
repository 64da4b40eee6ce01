// The rare kernels of the target that targets.cpp has chosen.
#include "kernels/rare.h"

#include <cstring>

#include "kernels/targets.h"

namespace tessel {

namespace scalar { extern const RareKernels rare_table; }
namespace avx2 { extern const RareKernels rare_table; }
namespace avx512 { extern const RareKernels rare_table; }

const RareKernels& rare_kernels() {
  static const RareKernels& table = []() -> const RareKernels& {
    [[maybe_unused]] const char* name = cpu_kernels().name;
#if defined(TESSEL_HAVE_scalar)
    if (!std::strcmp(name, "scalar")) return scalar::rare_table;
#endif
#if defined(TESSEL_HAVE_avx2)
    if (!std::strcmp(name, "avx2")) return avx2::rare_table;
#endif
#if defined(TESSEL_HAVE_avx512)  // what is laid over it holds none of these
    return avx512::rare_table;
#elif defined(TESSEL_HAVE_avx2)
    return avx2::rare_table;
#else
    return scalar::rare_table;
#endif
  }();
  return table;
}

}  // namespace tessel
