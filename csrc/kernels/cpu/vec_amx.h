// Vectors of the amx target: avx512's, in its own namespace.
#pragma once
#include "kernels/cpu/vec_avx512.h"
