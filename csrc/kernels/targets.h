// Device -> table. Picks once, by what processor and operating system allow; TESSEL_ISA caps it.
#pragma once
#include "kernels/kernels.h"

namespace tessel {

const Kernels& cpu_kernels();    // scalar, avx2, avx512, avx512bf16 or amx
const Kernels& cuda_kernels();   // throws RuntimeError where there is none
bool has_cuda();                 // a CUDA table could be loaded and a device is there
int cuda_devices();              // how many

}  // namespace tessel
