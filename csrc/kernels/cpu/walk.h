// The walk: runs a function of contiguous arrays over a Loop of any strides and dtypes, in parallel.
// elementwise.cpp and copy.cpp call it; walk.cpp says how.
#pragma once
#include "kernels/cpu/convert.h"
#include "kernels/kernels.h"

namespace tessel::TESSEL_TARGET {

// y[i] = f(x[0][i], x[1][i], ...) for n elements of the types the function was made for. Bit k of `repeated`: x[k] is one
// value for all n, kRepeat bytes of it; only where walk was told that the function knows the bits.
using Inner = void (*)(const Params& params, int64_t n, void* y, const void* const* x, unsigned repeated);
constexpr int64_t kRepeat = 64;

// Operand 0 of the loop is the result. `result` and `compute` are the types Inner writes and reads; one value for all is
// handed over as `repeat`, where that is said, else written out n times.
void walk(const Loop& loop, Inner inner, DType result, DType compute, const Params& params);
void walk(const Loop& loop, Inner inner, DType result, DType compute, DType repeat, const Params& params);

// n items of 1, 2, 4, 8 or 16 bytes into a tile, from the position `at` on, in the order of the dimensions. `from` is that
// position's address.
void gather(int bytes, void* tile, const char* from, int ndim, const int64_t* sizes, const int64_t* strides,
            const int64_t* at, int64_t n);

// Bytes moved past the caches, for results that would only flush them. They arrive with the next fence.
void stream(void* to, const void* from, int64_t bytes);
// The same; meanwhile the caches are told of what is read next, line by line at each of the `nexts` addresses: the cores'
// few buffers for such writes would otherwise keep the reads waiting.
void stream(void* to, const void* from, int64_t bytes, const char* const* next, int nexts);
void stream_fence();
constexpr int64_t kStreamBytes = 8 << 20;  // results of at least this size are streamed

}  // namespace tessel::TESSEL_TARGET
