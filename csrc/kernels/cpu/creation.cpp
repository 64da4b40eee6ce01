// Ranges of numbers, and matrices cut along a diagonal.
#include <string.h>

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/entries.h"

namespace tessel::TESSEL_TARGET {
namespace {

// Elements made at a time: 4 KB of the first cache between the arithmetic and the conversion.
constexpr int64_t kChunk = 512;
constexpr int64_t kGrain = 64 * kChunk;

template <class T, class F> void make_range(const RangeArgs& args, int64_t begin, int64_t end, DType compute, F value) {
  const Convert store = converter(args.dtype, compute);
  const int64_t bytes = item_bytes(args.dtype);
  alignas(64) T made[kChunk];
  for (int64_t first = begin; first < end; first += kChunk) {
    const int64_t count = end - first < kChunk ? end - first : kChunk;
    T* const y = store ? made : static_cast<T*>(args.y) + first;
    for (int64_t i = 0; i < count; ++i) y[i] = value(first + i);
    if (store) store(static_cast<char*>(args.y) + first * bytes, made, count);
  }
}

void range_piece(void* context, int64_t begin, int64_t end, int) {
  const RangeArgs& args = *static_cast<const RangeArgs*>(context);
  if (args.integral) {
    const uint64_t start = uint64_t(args.first), step = uint64_t(args.stride);
    return make_range<int64_t>(args, begin, end, DType::int64,
                               [=](int64_t i) { return int64_t(start + uint64_t(i) * step); });
  }
  const double start = args.start, step = args.step, last = args.end;
  const int64_t from_end = args.mirrored ? args.n / 2 : args.n, n = args.n;
  make_range<double>(args, begin, end, DType::float64, [=](int64_t i) {
    return i < from_end ? start + double(i) * step : last - double(n - 1 - i) * step;
  });
}

void triangle_piece(void* context, int64_t begin, int64_t end, int) {
  const TriangleArgs& args = *static_cast<const TriangleArgs*>(context);
  const int64_t bytes = item_bytes(args.dtype), n = args.n;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t edge =
        row % args.m + args.diagonal + (args.upper ? 0 : 1);  // the first column on the right side of the cut
    const int64_t cut = edge < 0 ? 0 : edge > n ? n : edge;
    const char* x = static_cast<const char*>(args.x) + row * n * bytes;
    char* y = static_cast<char*>(args.y) + row * n * bytes;
    const int64_t kept = args.upper ? cut : 0, end_kept = args.upper ? n : cut;
    if (x != y) memcpy(y + kept * bytes, x + kept * bytes, size_t((end_kept - kept) * bytes));
    memset(y + (args.upper ? 0 : cut) * bytes, 0, size_t((args.upper ? cut : n - cut) * bytes));
  }
}

}  // namespace

void range(const RangeArgs& args) {
  RangeArgs copy = args;
  parallel_for(args.n, kGrain, range_piece, &copy);
}

void triangle(const TriangleArgs& args) {
  TriangleArgs copy = args;
  const int64_t rows = kGrain / (args.n > 0 ? args.n : 1);
  parallel_for(args.batch * args.m, rows > 0 ? rows : 1, triangle_piece, &copy);
}

}  // namespace tessel::TESSEL_TARGET
