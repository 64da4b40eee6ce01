// Vectors of the avx512bf16 target: avx512's, in its own namespace.
#pragma once
#include "kernels/cpu/vec_avx512.h"
