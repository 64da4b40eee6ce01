// Blocked products, for whatever has no way of its own: five loops. And products whose k is much larger than the result, which
// are cut along k, each chunk a blocked product.
#include "kernels/cpu/caches.h"
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_ways.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
namespace {

// Columns in blocks of nc, depth in blocks of kDepth, then a grid of (row block, column group) tasks. A worker packs the row block of
// a that it uses, and each panel of b that it comes across. Workers that share rows of the grid pack the same panels: what another
// core has packed lies in that core's cache, and fetching it costs more than packing it once more.
struct Blocks {
  int64_t mr, mc, nc, kc;       // rows of a strip, rows and columns of a block, depth of a block in elements
  int64_t a_bytes, b_bytes;     // of every worker
  int64_t sums_bytes;
};

constexpr int64_t kMostColumns = 4096;

// What a worker has packed of this block of columns and depth. Its rows of a and its panels of b follow.
struct Held {
  int64_t block;                           // of rows; -1: none
  uint64_t panels[kMostColumns / 4 / 64];  // a bit each

  void clear() {
    block = -1;
    for (uint64_t& word : panels) word = 0;
  }
  bool take(int64_t panel) {  // true the first time
    const uint64_t bit = uint64_t{1} << (panel % 64);
    if (panels[panel / 64] & bit) return false;
    panels[panel / 64] |= bit;
    return true;
  }
};
constexpr int64_t kHeldBytes = round_up(sizeof(Held), 64);

template <class T> Blocks blocks_of(int64_t m, int64_t n, int64_t k, bool complete, int workers) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>, size = sizeof(S);
  static_assert(NR >= 4, "a bit for every panel");
  const Caches& cache = caches();
  Blocks x;
  x.kc = k < kDepth<S> * kWord<T> ? k : kDepth<S> * kWord<T>;
  const int64_t most = cache.l2 / 2 / (kDepth<S> * size);  // rows: a block of a takes half of L2
  int64_t row_blocks = (m + most - 1) / most;
  if (row_blocks > 1) row_blocks += row_blocks % 2;  // so that two threads, or four, meet at the border of a block
  x.mc = row_blocks ? (m + row_blocks - 1) / row_blocks : 1;
  x.mr = strip_rows(x.mc);
  int64_t widest = cache.l3 / 4 / workers / (kDepth<S> * size) / NR * NR;  // all workers' panels take a quarter of L3
  widest = widest < 8 * NR ? 8 * NR : widest > kMostColumns ? kMostColumns : widest;
  const int64_t column_blocks = (n + widest - 1) / widest, panels = (n + NR - 1) / NR;
  x.nc = (panels + column_blocks - 1) / column_blocks * NR;
  x.a_bytes = round_up(kHeldBytes + x.mc * words<T>(x.kc) * size + kPackSlack, 64);
  x.b_bytes = round_up(x.nc * words<T>(x.kc) * size + kPackSlack, 64);
  x.sums_bytes = sizeof(T) != sizeof(S) && complete && k > x.kc ? round_up(m * x.nc * size, 64) : 0;
  return x;
}

template <class T> void blocked(Matrix<T> x, const Blocks& z, bool parallel, char* scratch) {
  using S = Compute<T>;
  constexpr int64_t NR = kTileCols<S>;
  char *const own_sums = scratch, *const packed = own_sums + z.sums_bytes;
  const bool plain = x.e.plain() || !x.complete;
  const int workers = parallel ? num_threads() : 1;
  auto held_by = [&](int worker) -> Held& { return *reinterpret_cast<Held*>(packed + worker * (z.a_bytes + z.b_bytes)); };
  for (int64_t jc = 0; jc < x.n; jc += z.nc) {
    const int64_t n = x.n - jc < z.nc ? x.n - jc : z.nc, panels = (n + NR - 1) / NR;
    if (z.sums_bytes) {
      x.sums = reinterpret_cast<S*>(own_sums) - jc;
      x.sums_row = n;
      x.sums_col = 1;
    }
    for (int64_t pc = 0; pc < x.k; pc += z.kc) {
      const int64_t k = x.k - pc < z.kc ? x.k - pc : z.kc;
      const int64_t depth = words<T>(k);
      const Part part{pc == 0, x.complete && pc + k == x.k};
      const int64_t row_blocks = (x.m + z.mc - 1) / z.mc;
      int64_t groups = (32 + row_blocks - 1) / row_blocks;
      if (groups > panels) groups = panels;
      for (int w = 0; w < workers; ++w) held_by(w).clear();
      auto multiply = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        Held& held = held_by(worker);
        S* const a_packed = reinterpret_cast<S*>(reinterpret_cast<char*>(&held) + kHeldBytes);
        S* const b_packed = reinterpret_cast<S*>(reinterpret_cast<char*>(&held) + z.a_bytes);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t block = task / groups, group = task % groups, ic = block * z.mc;
          const int64_t m = x.m - ic < z.mc ? x.m - ic : z.mc;
          if (held.block != block) {
            for (int64_t i = 0; i < m; i += z.mr) {
              const int rows = int(m - i < z.mr ? m - i : z.mr);
              pack_words<T>(a_packed + i * depth, rows, x.a + (ic + i) * x.a_row + pc * x.a_col, rows, k, x.a_row, x.a_col);
            }
            held.block = block;
          }
          for (int64_t panel = panels * group / groups; panel < panels * (group + 1) / groups; ++panel) {
            const int64_t j = jc + panel * NR;
            const int cols = jc + n - j < NR ? int(jc + n - j) : int(NR);
            S* const b = b_packed + panel * NR * depth;
            if (held.take(panel))  // whole vectors: none spills into the next panel, which may be there already
              pack_words<T>(b, cols <= Simd<S>::width ? Simd<S>::width : NR, x.b + pc * x.b_row + j * x.b_col, cols, k, x.b_col, x.b_row);
            for (int64_t i = 0; i < m; i += z.mr) {
              const int rows = int(m - i < z.mr ? m - i : z.mr);
              product<T>(depth, a_packed + i * depth, rows, b, cols, x.c + (ic + i) * x.c_row + j * x.c_col, x.c_row, x.c_col,
                         x.sums ? x.sums + (ic + i) * x.sums_row + j * x.sums_col : nullptr, x.sums_row, x.sums_col, ic + i,
                         j, x.e, part, plain);
            }
          }
        }
      };
      for_tasks(row_blocks * groups, x.m * n * k / (row_blocks * groups) / 8, parallel, multiply);
    }
  }
}

// Many matrices, or small ones: whole matrices are the tasks. Few large ones: one after the other, each cut up.
bool by_matrix(const Problem& p) {
  return p.g.batch > 1 && (p.g.batch >= 16 || p.g.m * p.g.n * p.g.k <= 192 * 192 * 192);
}

}  // namespace

bool accepts_blocked(const Problem&) { return true; }

int64_t blocked_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    using T = typename decltype(type)::type;
    const Blocks z = blocks_of<T>(p.g.m, p.g.n, p.g.k, true, by_matrix(p) ? 1 : p.workers());
    const int64_t own = z.a_bytes + z.b_bytes;
    return by_matrix(p) ? p.workers() * (z.sums_bytes + own) : z.sums_bytes + p.workers() * own;
  });
}

void run_blocked(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const Blocks z = blocks_of<T>(p.g.m, p.g.n, p.g.k, true, by_matrix(p) ? 1 : p.workers());
    if (!by_matrix(p)) {
      for (int64_t index = 0; index < p.g.batch; ++index) blocked<T>(matrix<T>(p, index), z, !p.alone, scratch);
      return;
    }
    const int64_t bytes = z.b_bytes + z.sums_bytes + z.a_bytes;
    auto matrices = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t index = begin; index < end; ++index) blocked<T>(matrix<T>(p, index), z, false, scratch + worker * bytes);
    };
    for_tasks(p.g.batch, p.g.m * p.g.n * p.g.k / 8, !p.alone, matrices);
  });
}

// ---- K much larger than the result: chunks of k are the tasks, their sums are added in order
namespace {

constexpr int64_t kChunks = 64;

template <class T> int64_t chunk_of(int64_t k) {  // whole blocks of depth, at least 2048 of k
  constexpr int64_t depth = kDepth<Compute<T>> * kWord<T>;
  const int64_t chunk = (k + kChunks - 1) / kChunks;
  return chunk < 2048 ? 2048 : round_up(chunk, depth);
}

template <class T> struct Deep {
  int64_t chunk, chunks, sums_bytes, worker_bytes;
  Blocks z;
  explicit Deep(const GemmArgs& g) {
    using S = Compute<T>;
    chunk = chunk_of<T>(g.k);
    chunks = (g.k + chunk - 1) / chunk;
    sums_bytes = round_up(g.m * g.n * int64_t(sizeof(S)), 64);
    z = blocks_of<T>(g.m, g.n, chunk, false, 1);
    worker_bytes = z.a_bytes + z.b_bytes;
    const int64_t row = round_up(chunk * int64_t(sizeof(S)), 64);
    if (worker_bytes < row) worker_bytes = row;
  }
};

}  // namespace

bool accepts_deep(const Problem& p) {
  const int64_t outputs = p.g.m * p.g.n * p.g.batch;
  return p.g.k >= 8192 && outputs <= (p.g.m == 1 ? 1024 : 128 * 128);
}

int64_t deep_scratch(const Problem& p) {
  return with_floating(p.g.dtype, [&](auto type) -> int64_t {
    const Deep<typename decltype(type)::type> d(p.g);
    return d.chunks * d.sums_bytes + p.workers() * d.worker_bytes;
  });
}

void run_deep(const Problem& p, char* scratch) {
  with_floating(p.g.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using S = Compute<T>;
    const Deep<T> d(p.g);
    char* const worker_scratch = scratch + d.chunks * d.sums_bytes;
    for (int64_t index = 0; index < p.g.batch; ++index) {
      const Matrix<T> x = matrix<T>(p, index);
      auto chunks = [&](int64_t begin, int64_t end, int worker) {
        const Flush flush;
        char* const own = worker_scratch + worker * d.worker_bytes;
        for (int64_t c = begin; c < end; ++c) {
          Matrix<T> part = x;
          part.k = x.k - c * d.chunk < d.chunk ? x.k - c * d.chunk : d.chunk;
          part.a += c * d.chunk * x.a_col;
          part.b += c * d.chunk * x.b_row;
          part.sums = reinterpret_cast<S*>(scratch + c * d.sums_bytes);
          part.sums_row = x.n;
          part.sums_col = 1;
          part.complete = false;
          part.e = Epilogue<T>{S(1), S(0), nullptr, 0, nullptr, 0, Activation::none};
          if (accepts_vector(p)) {
            contiguous<T>(part.k, part.a, part.a_col, reinterpret_cast<S*>(own));
            vector_columns<T>(part, reinterpret_cast<const S*>(own), 0, part.n);
            continue;
          }
          if constexpr (sizeof(T) == sizeof(S)) {  // the sums are the microkernel's result
            part.c = part.sums;
            part.c_row = x.n;
            part.c_col = 1;
          }
          blocked<T>(part, d.z, false, own);
        }
      };
      for_tasks(d.chunks, x.m * x.n * d.chunk / 8, !p.alone, chunks);
      const Flush flush;
      S* const total = reinterpret_cast<S*>(scratch);
      for (int64_t c = 1; c < d.chunks; ++c) {
        const S* part = reinterpret_cast<const S*>(scratch + c * d.sums_bytes);
        for (int64_t i = 0; i < x.m * x.n; ++i) total[i] += part[i];
      }
      for (int64_t i = 0; i < x.m; ++i)
        for (int64_t j = 0; j < x.n; j += kVectorBlock) {
          const int n = x.n - j < kVectorBlock ? int(x.n - j) : int(kVectorBlock);
          alignas(64) S row[kVectorBlock] = {};
          memcpy(row, total + i * x.n + j, sizeof(S) * size_t(n));
          merge<T>(row, 0, 1, n, x.c + i * x.c_row + j * x.c_col, x.c_row, x.c_col, nullptr, 0, 1, i, j, x.e, {true, true});
        }
    }
  });
}

}  // namespace tessel::TESSEL_TARGET
