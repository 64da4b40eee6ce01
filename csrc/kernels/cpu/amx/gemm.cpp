// GEMM through the tile unit: bfloat16 as it is, float32 as six products of bfloat16 parts (a1 b1, a1 b2, a2 b1, a2 b2,
// a1 b3, a3 b1: all that reaches 2^-23), the smallest first, which is closer to the exact product than a float32 loop.
// Blocks whose values do not split (see parts_hold) take avx512's kernel; so do shapes too small to pay for the packing.
#include "core/parallel.h"
#include "kernels/cpu/amx/entries.h"
#include "kernels/cpu/amx/tile_product.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_problem.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::amx {

void activate(Activation activation, float* x, int64_t n, int64_t rows, int64_t lead) { avx512::activate(activation, x, n, rows, lead); }

namespace {

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows and columns of a block, packed whole: 2048 x 384 in three parts are 4.5 MB each of L3.
constexpr int64_t kBlockRows = 2048, kBlockCols = 2048;
// Rows of a task: 256 x 384 in three parts are 576 KB of L2.
constexpr int64_t kTaskPanels = 8;

// A panel of up to 32 lanes.
template <class T>
void pack_panel(char* to, bool rows_are_lanes, const T* from, int64_t lane_stride, int64_t k_stride, int64_t lanes, int64_t k,
                RangeLanes* range) {
  for (int64_t p = 0; p < k; p += kTileDepth, to += kStepBytes<T>)
    for (int half = 0; half < 2; ++half) {
      const int here = int(least(lanes - half * kTileLanes, kTileLanes));
      pack_tile<T>(to + half * kTileBytes, 2 * kTileBytes, rows_are_lanes, from + half * kTileLanes * lane_stride + p * k_stride,
                   lane_stride, k_stride, here < 0 ? 0 : here, int(least(k - p, kTileDepth)), range);
    }
}

template <class T> struct Layout {
  int64_t rows, cols, steps;                          // of a block
  int64_t a_bytes, b_bytes, sums_bytes, range_bytes;  // ranges: one of A and one of B per worker
  int64_t other_bytes;                                // of avx512's kernel, for a block that does not split

  Layout(const GemmArgs& g, bool parallel) {
    rows = least(g.m, kBlockRows);
    cols = least(g.n, kBlockCols);
    steps = least(ceil_div(g.k, kTileDepth), kSteps);
    a_bytes = ceil_div(rows, kSide) * steps * kStepBytes<T>;
    b_bytes = ceil_div(cols, kSide) * steps * kStepBytes<T>;
    sums_bytes = sizeof(T) == 2 && g.k > steps * kTileDepth ? round_up(g.m * cols * 4, 64) : 0;
    range_bytes = round_up((parallel ? num_threads() : 1) * 2 * int64_t(sizeof(Range)), 64);
    other_bytes = 0;
    if (sizeof(T) == 2) return;
    const int64_t deep = kSteps * kTileDepth;
    for (int which = 0; which < 8; ++which) {  // whole blocks and what is left of each dimension
      const int64_t m = which & 1 ? g.m % kBlockRows : rows, n = which & 2 ? g.n % kBlockCols : cols;
      const int64_t k = which & 4 ? g.k % deep : least(deep, g.k);
      if (!m || !n || !k) continue;
      const GemmArgs block = slice(g, 0, m, 0, n, 0, k);
      const int64_t bytes = parallel ? avx512::gemm_scratch(block) : avx512::gemm_alone_scratch(block);
      if (bytes > other_bytes) other_bytes = bytes;
    }
  }
  int64_t bytes() const { return round_up(a_bytes + b_bytes + sums_bytes + range_bytes + other_bytes, 64); }

  // The product of a block of rows, columns and depth, added to what stands in c unless it is the first.
  static GemmArgs slice(const GemmArgs& g, int64_t i, int64_t m, int64_t j, int64_t n, int64_t p, int64_t k) {
    GemmArgs s = g;
    s.batch = 1;
    s.batch_dims = 0;
    s.m = m;
    s.n = n;
    s.k = k;
    s.a = static_cast<const T*>(g.a) + i * g.a_row + p * g.a_col;
    s.b = static_cast<const T*>(g.b) + p * g.b_row + j * g.b_col;
    s.c = static_cast<T*>(g.c) + i * g.c_row + j * g.c_col;
    if (p > 0) s.beta = 1;
    s.bias = nullptr;
    s.activation = Activation::none;
    s.before = nullptr;
    return s;
  }
};

// Adds the bias and applies the activation where avx512's kernel finished the sums.
template <class T> void finish(const GemmArgs& g, Epilogue<T> e, int64_t i0, int64_t m, int64_t j0, int64_t n) {
  e.alpha = 1;
  e.beta = 1;  // c itself, to which nothing is added
  for (int64_t i = i0; i < i0 + m; ++i)
    for (int64_t j = j0; j < j0 + n; j += kSide) {
      alignas(64) float zero[kSide + kTileLanes] = {};
      T* const c = static_cast<T*>(g.c) + i * g.c_row + j * g.c_col;
      merge<T>(zero, 0, 1, int(least(kSide, j0 + n - j)), c, g.c_row, g.c_col, nullptr, 0, 1, i, j, e, {true, true});
    }
}

// One matrix, g.batch == 1 in effect: g's pointers are the matrix's own.
template <class T> void multiply(const GemmArgs& g, const Epilogue<T>& e, bool parallel, char* scratch) {
  const Layout<T> z(g, parallel);
  char *const a_packed = scratch, *const b_packed = a_packed + z.a_bytes;
  float* const sums = z.sums_bytes ? reinterpret_cast<float*>(b_packed + z.b_bytes) : nullptr;
  Range* const ranges = reinterpret_cast<Range*>(b_packed + z.b_bytes + z.sums_bytes);
  char* const other = reinterpret_cast<char*>(ranges) + z.range_bytes;
  const int workers = parallel ? num_threads() : 1;
  auto seen = [&](int which) {
    Range all;
    for (int w = 0; w < workers; ++w) all.join(ranges[2 * w + which]);
    return all;
  };
  auto forget = [&](int which) {
    for (int w = 0; w < workers; ++w) ranges[2 * w + which] = Range();
  };
  for (int64_t jc = 0; jc < g.n; jc += kBlockCols)
    for (int64_t pc = 0; pc < g.k; pc += kSteps * kTileDepth) {
      const int64_t n = least(kBlockCols, g.n - jc), k = least(kSteps * kTileDepth, g.k - pc), steps = ceil_div(k, kTileDepth);
      const int64_t col_panels = ceil_div(n, kSide), panel_bytes = steps * kStepBytes<T>;
      const Part part{pc == 0, pc + k == g.k};
      forget(1);
      auto pack_b = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        RangeLanes range;
        for (int64_t panel = begin; panel < end; ++panel)
          pack_panel<T>(b_packed + panel * panel_bytes, false,
                        static_cast<const T*>(g.b) + pc * g.b_row + (jc + panel * kSide) * g.b_col, g.b_col, g.b_row,
                        least(kSide, n - panel * kSide), k, &range);
        ranges[2 * worker + 1].join(range.range());
      };
      for_tasks(col_panels, kSide * k / 2, parallel, pack_b);
      const Range b_range = seen(1);
      for (int64_t ic = 0; ic < g.m; ic += kBlockRows) {
        const int64_t m = least(kBlockRows, g.m - ic), row_panels = ceil_div(m, kSide);
        forget(0);
        auto pack_a = [&](int64_t begin, int64_t end, int worker) {
          const Flush flush;
          RangeLanes range;
          for (int64_t panel = begin; panel < end; ++panel)
            pack_panel<T>(a_packed + panel * panel_bytes, true,
                          static_cast<const T*>(g.a) + (ic + panel * kSide) * g.a_row + pc * g.a_col, g.a_row, g.a_col,
                          least(kSide, m - panel * kSide), k, &range);
          ranges[2 * worker].join(range.range());
        };
        for_tasks(row_panels, kSide * k / 2, parallel, pack_a);
        if (sizeof(T) == 4 && !parts_hold(seen(0), b_range)) {
          const GemmArgs block = Layout<T>::slice(g, ic, m, jc, n, pc, k);
          if (parallel) avx512::gemm(block, other);
          else avx512::gemm_alone(block, other);
          if (part.last && (e.bias_row || e.bias_col || e.activation != Activation::none)) finish<T>(g, e, ic, m, jc, n);
          continue;
        }
        const int64_t row_tasks = ceil_div(row_panels, kTaskPanels), groups = least(col_panels, ceil_div(16, row_tasks));
        auto products = [&](int64_t begin, int64_t end, int) {
          const Flush flush;
          const Tiles tiles;
          for (int64_t task = begin; task < end; ++task) {
            const int64_t first = task / groups * kTaskPanels, last = least(row_panels, first + kTaskPanels), group = task % groups;
            for (int64_t col = col_panels * group / groups; col < col_panels * (group + 1) / groups; ++col)
              for (int64_t row = first; row < last; ++row) {
                alignas(64) float tile[kSide * kSide + kTileLanes];
                tile_product<T>(first_product<T>(g.precision), steps, a_packed + row * panel_bytes, b_packed + col * panel_bytes, tile);
                const int64_t i = ic + row * kSide, j = jc + col * kSide;
                T* const c = static_cast<T*>(g.c) + i * g.c_row + j * g.c_col;
                float* part_sums = nullptr;
                int64_t sums_row = 0, sums_col = 1;
                if constexpr (sizeof(T) == 4) {
                  part_sums = c;
                  sums_row = g.c_row;
                  sums_col = g.c_col;
                } else if (sums) {
                  sums_row = n;
                  part_sums = sums + i * n + col * kSide;
                }
                merge<T>(tile, kSide, int(least(kSide, m - row * kSide)), int(least(kSide, n - col * kSide)), c, g.c_row, g.c_col,
                         part_sums, sums_row, sums_col, i, j, e, part);
              }
          }
        };
        for_tasks(row_tasks * groups, m * n * k / (row_tasks * groups) / 64, parallel, products);
      }
    }
}

template <class T> struct Type { using type = T; };
template <class F> auto with_type(DType dtype, const F& f) {
  return dtype == DType::float32 ? f(Type<float>{}) : f(Type<BFloat>{});
}

// By the trial in facts/cpu_limits.md six products overtake avx512's kernel between 64 and 128 on a side; plain
// bfloat16 pays for its packing sooner. Measured again when this runs on its own hardware.
bool accepts(const Problem& p) {
  const GemmArgs& g = p.g;
  if (g.dtype != DType::float32 && g.dtype != DType::bfloat16) return false;
  return g.batch > 0 && g.m >= kSide && g.n >= kSide && g.k >= 2 * kTileDepth && g.m * g.n * g.k >= 96 * 96 * 96;
}

bool by_matrix(const GemmArgs& g) { return g.batch > 1 && (g.batch >= 16 || g.m * g.n * g.k <= 256 * 256 * 256); }

}  // namespace

int64_t gemm_scratch(const GemmArgs& args) {
  const Problem p = normalised(args);
  if (!accepts(p)) return avx512::gemm_scratch(args);
  return with_type(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    return by_matrix(p.g) ? num_threads() * Layout<T>(p.g, false).bytes() : Layout<T>(p.g, true).bytes();
  });
}

void gemm(const GemmArgs& args, void* scratch) {
  const Problem p = normalised(args);
  if (!accepts(p)) return avx512::gemm(args, scratch);
  with_type(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const bool whole = by_matrix(p.g);
    const int64_t bytes = whole ? Layout<T>(p.g, false).bytes() : 0;
    auto matrices = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t index = begin; index < end; ++index) {
        const Place at = place(p.g, index);
        GemmArgs g = p.g;
        g.a = static_cast<const T*>(g.a) + at.a;
        g.b = static_cast<const T*>(g.b) + at.b;
        g.c = static_cast<T*>(g.c) + at.c;
        multiply<T>(g, epilogue<T>(p, at), !whole, static_cast<char*>(scratch) + worker * bytes);
      }
    };
    for_tasks(p.g.batch, whole ? p.g.m * p.g.n * p.g.k / 64 : 0, whole, matrices);
  });
}

void lay_over(Kernels& table) {
  table.name = "amx";
  table.gemm_scratch = gemm_scratch;
  table.gemm = gemm;
  lay_conv_over(table);
}

}  // namespace tessel::amx
