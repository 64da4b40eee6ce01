// softmax(scale q k^T + mask) v and its gradient, in blocks of queries and keys: no matrix of queries x keys stands in memory.
// Powers are those of two: c = scale log2(e), and masks are multiplied by log2(e).
//
//   forward     s = c q k^T + mask     p = 2^(s - m)    o = o 2^(m_before - m) + p v    m, l: running maximum, running sum of p
//               y = o / l              lse = m + log2(l)
//   backward    p = 2^(s - lse)        dp = dy v^T      ds = p (dp - sum(dy y))
//               dv = p^T dy            dk = scale ds^T q                dq = scale ds k
//
// Scores are held with keys in rows and queries in lanes. Then the maximum, the sum, the powers and the masks are done lane by
// lane without a shuffle, k and v are read where they lie (their elements are broadcast), and only q and dy are transposed, once
// for all keys. For width 64 a block's q, scores and o are 16 KB each and stay in L1 and L2, as do 64 rows of k and v; every
// element of k and v that is read meets 64 queries.
#include "core/parallel.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/floating.h"
#include "kernels/cpu/flush.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_work.h"

namespace tessel::TESSEL_TARGET {
#include "kernels/philox.h"

namespace {

constexpr int64_t kQueries = 64, kKeys = 64;  // of a block
constexpr int64_t kStep = 16;                 // lanes, and keys at the causal edge, are counted in steps
constexpr double kLog2E = 1.44269504088896340736;

inline int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

// ---- scratch, carved into arrays; without a base it only counts
struct Carver {
  char* base;
  int64_t used = 0;
  template <class S> S* take(int64_t n) {
    S* const p = base ? reinterpret_cast<S*>(base + used) : nullptr;
    used += round_up(n * int64_t(sizeof(S)) + kPackSlack, 64);
    return p;
  }
};

// ---- one matrix of queries against its keys

struct Place { int64_t entry, group; };

inline int64_t offset_of(const AttentionArgs& args, const AttentionMatrix& x, Place at) {
  int64_t offset = at.group * x.group, rest = at.entry;
  for (int d = 0; d < args.batch_dims; ++d) {
    offset += rest % args.batch_sizes[d] * x.batch[d];
    rest /= args.batch_sizes[d];
  }
  return offset;
}
template <class T> inline T* matrix_at(const AttentionArgs& args, const AttentionMatrix& x, Place at) {
  return static_cast<T*>(x.data) + offset_of(args, x, at);
}

// Rows in the compute type. `data` is where they lie, if that is of the type, near enough together that 64 of them do not
// contend for the same lines of the caches, and (padded) whole vectors; else a copy, with zeros up to whole vectors.
template <class S> struct Rows {
  const S* data;
  int64_t step;
};

template <class S> inline int64_t padded(int64_t width) { return round_up(width, Simd<S>::width); }

template <class T, class S = Compute<T>>
Rows<S> rows_of(const T* from, int64_t step, int64_t n, int64_t width, bool whole_vectors, S* room) {
  constexpr int W = Simd<S>::width;
  if constexpr (same<T, S>) {
    const bool near = step * int64_t(sizeof(S)) < 2048 || step == width;
    if (near && (!whole_vectors || width % W == 0)) return {from, step};
  }
  const int64_t to_step = padded<S>(width);
  for (int64_t i = 0; i < n; ++i, from += step) {
    S* to = room + i * to_step;
    int64_t j = 0;
    for (; j + W <= width; j += W) Simd<S>::store(to + j, Simd<S>::load(from + j));
    if (j < width) Simd<S>::store(to + j, Simd<S>::load(from + j, int(width - j)));
  }
  return {room, to_step};
}

// n rows transposed: [width, lead], times `factor`; zeros in the lanes beyond n.
template <class T, class S>
void turn(const T* from, int64_t step, int64_t n, int64_t width, S factor, S* to, int64_t lead) {
  pack_strip<T, S>(to, lead, from, int(n), width, step, 1);
  if (factor == S(1)) return;
  for (int64_t i = 0; i < width * lead; i += Vec<S>::width) (Vec<S>::load(to + i) * Vec<S>::of(factor)).store(to + i);
}

// ---- masks

// One query's mask over n keys, in powers of two.
template <class M, class S> void mask_row(const M* from, int64_t step, int64_t n, S* to) {
  if constexpr (same<M, Bool>) {
    for (int64_t j = 0; j < n; ++j) to[j] = from[j * step].value ? S(0) : S(-__builtin_inf());
  } else {
    for (int64_t j = 0; j < n; ++j) to[j] = S(widen(from[j * step])) * S(kLog2E);
  }
}

template <class T, class S> void mask_row(DType dtype, const void* mask, int64_t offset, int64_t step, int64_t n, S* to) {
  if (dtype == DType::bool_) mask_row(static_cast<const Bool*>(mask) + offset, step, n, to);
  else if (dtype == DType::float32) mask_row(static_cast<const float*>(mask) + offset, step, n, to);
  else mask_row(static_cast<const T*>(mask) + offset, step, n, to);
}

// The mask of a block, turned: to [keys, lead]. False, and nothing done, where all of it is closed.
template <class T, class S>
bool load_mask(const AttentionArgs& args, int64_t offset, int64_t query, int64_t queries, int64_t key, int64_t keys, S* rows, S* to,
               int64_t lead) {
  const AttentionMatrix& mask = args.mask;
  const int64_t count = mask.row == 0 ? 1 : queries;
  for (int64_t i = 0; i < count; ++i)
    mask_row<T>(args.mask_dtype, mask.data, offset + (query + i) * mask.row + key * mask.column, mask.column, keys, rows + i * kKeys);
  bool open = false;
  for (int64_t i = 0; i < count && !open; ++i)
    for (int64_t j = 0; j < keys; ++j) open |= !(rows[i * kKeys + j] == S(-__builtin_inf()));
  if (!open) return false;
  if (mask.row != 0) {
    pack_strip<S, S>(to, lead, rows, int(queries), keys, kKeys, 1);
  } else {
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t i = 0; i < lead; ++i) to[j * lead + i] = rows[j];
  }
  return true;
}

// ---- dropout

// What one query's weights for n keys are multiplied by: 0 or 1 / (1 - p). `element` is the number of the first.
template <class S> void kept_row(const AttentionArgs& args, uint64_t element, int64_t n, S* to) {
  constexpr int kBlocks = kKeys / 4 + 1;  // of four words: 64 words that need not begin with a block
  const float keep = float(1 - args.dropout);
  const S factor = args.dropout < 1 ? S(1 / (1 - args.dropout)) : S(0);
  const uint64_t block = element / 4;
  uint32_t words[4 * kBlocks];
  TESSEL_INDEPENDENT
  for (int b = 0; b < kBlocks; ++b) {
    const PhiloxBlock four = philox(args.seed, args.offset, block + uint64_t(b));
    for (int w = 0; w < 4; ++w) words[4 * b + w] = four.word[w];
  }
  const uint32_t* const word = words + element % 4;
  for (int64_t j = 0; j < n; ++j) to[j] = random_unit(RandomWord{word[j]}) < keep ? factor : S(0);
}

// The same for a block, turned; `first` is the number of the block's first element.
template <class S>
void load_kept(const AttentionArgs& args, uint64_t first, int64_t queries, int64_t keys, S* rows, S* to, int64_t lead) {
  for (int64_t i = 0; i < queries; ++i) kept_row(args, first + uint64_t(i * args.keys), keys, rows + i * kKeys);
  pack_strip<S, S>(to, lead, rows, int(queries), keys, kKeys, 1);
}

// ---- softmax of a block

// A block of scores [keys, lanes], and the causal edge in it: at the diagonal, key j is closed to the lanes before j.
struct Block {
  int64_t queries, keys, lanes;
  bool diagonal;

  // The keys that a step of lanes sees, and those of them that no lane of it is before.
  int64_t seen(int64_t lane) const { return diagonal ? least_of(keys, lane + kStep) : keys; }
  int64_t open(int64_t lane) const { return diagonal ? least_of(keys, lane + 1) : keys; }
};

// f(key, keys, lane): the parts of a block that have weights, for the lanes from `lane` on.
template <class F> inline void each_part(const Block& block, const F& f) {
  if (!block.diagonal) return f(int64_t{0}, block.keys, int64_t{0});
  for (int64_t key = 0; key < block.keys && key < block.lanes; key += kStep) f(key, least_of(kStep, block.keys - key), key);
}

// The vectors of a step of lanes, and of the four that are worked on together where none is at the diagonal.
template <class S> constexpr int kStepVectors = int(kStep) / Vec<S>::width;
template <class S> constexpr int kManyVectors = Vec<S>::width < 16 ? kStepVectors<S> : 4 * kStepVectors<S>;

// The numbers of the lanes of a vector that begins at lane `first`.
template <class S> inline Vec<S> lane_numbers(int64_t first) {
  constexpr S kNumber[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return Vec<S>::load(kNumber) + Vec<S>(double(first));
}

template <class S> struct Softmax {
  S *scores, *top, *sum, *factor;  // scores become weights; top, sum: running; factor: what the sums so far are worth
  const S* kept;                   // dropout's factors, or null
  int64_t lead;

  template <int N> void lanes(const Block& block, int64_t lane) const {
    using V = Vec<S>;
    constexpr int W = V::width;
    const int64_t seen = block.seen(lane), open = block.open(lane);
    V before[N], most[N], total[N], number[N];
    for (int v = 0; v < N; ++v) {
      most[v] = before[v] = V::load(top + lane + v * W);
      number[v] = lane_numbers<S>(lane + v * W);
    }
    int64_t j = 0;
    for (; j < open; ++j)
      for (int v = 0; v < N; ++v) most[v] = greatest(most[v], V::load(scores + j * lead + lane + v * W));
    for (; j < seen; ++j)
      for (int v = 0; v < N; ++v) {
        S* const at = scores + j * lead + lane + v * W;
        const V x = select(ge(number[v], V(double(j))), V::load(at), V(-__builtin_inf()));
        x.store(at);
        most[v] = greatest(most[v], x);
      }
    for (int v = 0; v < N; ++v) {
      most[v].store(top + lane + v * W);
      most[v] = select(eq(most[v], V(-__builtin_inf())), V(0), most[v]);  // no open key so far: -inf - 0 is a power of 0
      total[v] = V(0);
    }
    for (j = 0; j < seen; ++j)
      for (int v = 0; v < N; ++v) {
        S* const at = scores + j * lead + lane + v * W;
        V p = power_of_two(V::load(at) - most[v]);
        total[v] = total[v] + p;
        if (kept) p = p * V::load(kept + j * lead + lane + v * W);
        p.store(at);
      }
    for (int v = 0; v < N; ++v) {
      const V f = power_of_two(before[v] - most[v]);
      f.store(factor + lane + v * W);
      fma(V::load(sum + lane + v * W), f, total[v]).store(sum + lane + v * W);
    }
  }

  void operator()(const Block& block) const {
    constexpr int64_t many = kManyVectors<S> * Vec<S>::width;
    int64_t lane = 0;
    if (!block.diagonal)
      for (; lane + many <= block.lanes; lane += many) lanes<kManyVectors<S>>(block, lane);
    for (; lane < block.lanes; lane += kStep) lanes<kStepVectors<S>>(block, lane);
  }
};

// Backward: scores become weights (times dropout's factors), and dp = dy v^T becomes ds.
template <class S> struct SoftmaxBackward {
  S *scores, *dp;
  const S *lse, *delta, *kept;
  int64_t lead;

  template <int N> void lanes(const Block& block, int64_t lane) const {
    using V = Vec<S>;
    constexpr int W = V::width;
    const int64_t seen = block.seen(lane), open = block.open(lane);
    V shift[N], mean[N], number[N];
    for (int v = 0; v < N; ++v) {
      shift[v] = V::load(lse + lane + v * W);
      mean[v] = V::load(delta + lane + v * W);
      number[v] = lane_numbers<S>(lane + v * W);
    }
    for (int64_t j = 0; j < seen; ++j)
      for (int v = 0; v < N; ++v) {
        const int64_t at = j * lead + lane + v * W;
        V p = power_of_two(V::load(scores + at) - shift[v]), g = V::load(dp + at);
        if (j >= open) p = select(ge(number[v], V(double(j))), p, V(0));
        if (kept) {
          const V k = V::load(kept + at);
          g = g * k;
          (p * k).store(scores + at);
        } else {
          p.store(scores + at);
        }
        (p * (g - mean[v])).store(dp + at);
      }
  }

  void operator()(const Block& block) const {
    constexpr int64_t many = kManyVectors<S> * Vec<S>::width;
    int64_t lane = 0;
    if (!block.diagonal)
      for (; lane + many <= block.lanes; lane += many) lanes<kManyVectors<S>>(block, lane);
    for (; lane < block.lanes; lane += kStep) lanes<kStepVectors<S>>(block, lane);
  }
};

// The block of `queries` from `query` on and of keys from `key` on.
inline Block block_at(const AttentionArgs& args, int64_t query, int64_t key) {
  const int64_t queries = least_of(kQueries, args.queries - query), keys = least_of(kKeys, args.keys - key);
  return {queries, keys, round_up(queries, kStep), args.causal && key == query};
}
// Where the keys end that some query of a block sees.
inline int64_t keys_end(const AttentionArgs& args, int64_t query_end) {
  return args.causal ? least_of(args.keys, query_end) : args.keys;
}
inline uint64_t element_at(const AttentionArgs& args, Place at, int64_t query, int64_t key) {
  return uint64_t(((at.entry * args.group + at.group) * args.queries + query) * args.keys + key);
}

// ---- rows

// a . b for each of R rows b, `step` apart.
template <int R, class S, class T> inline void row_products(const S* a, const T* b, int64_t step, int64_t n, S* to) {
  using D = Simd<S>;
  typename D::V sum[R];
  for (int r = 0; r < R; ++r) sum[r] = D::zero();
  int64_t i = 0;
  for (; i + D::width <= n; i += D::width) {
    const typename D::V x = D::load(a + i);
    for (int r = 0; r < R; ++r) sum[r] = D::fma(x, D::load(b + r * step + i), sum[r]);
  }
  if (i < n) {
    const typename D::V x = D::load(a + i, int(n - i));
    for (int r = 0; r < R; ++r) sum[r] = D::fma(x, D::load(b + r * step + i, int(n - i)), sum[r]);
  }
  for (int r = 0; r < R; ++r) to[r] = D::sum(sum[r]);
}

// n rows, times `factor`, to where they belong.
template <class F, class T, class S> void store_rows(const F* from, int64_t from_step, int64_t n, int64_t width, S factor, T* to, int64_t step) {
  using D = Simd<S>;
  for (int64_t i = 0; i < n; ++i, from += from_step, to += step) {
    int64_t j = 0;
    for (; j + D::width <= width; j += D::width) D::store(to + j, D::load(from + j) * D::set(factor));
    if (j < width) D::store(to + j, D::load(from + j, int(width - j)) * D::set(factor), int(width - j));
  }
}

// ---- forward

// Blocks of queries that one task takes together, so that a copy of k and v serves them all: two, where tasks are many.
inline int64_t forward_blocks(const AttentionArgs& args) {
  const int64_t blocks = blocks_of(args.queries, kQueries);
  return blocks > 1 && args.batch * args.group * blocks >= 64 ? 2 : 1;
}

template <class S> struct ForwardRoom {
  S *q, *o, *top, *sum;                          // of each block: [width, lanes], [value_width, lanes], [lanes]
  S *scores, *factor, *mask, *kept, *k, *v;
  int64_t bytes;

  ForwardRoom(const AttentionArgs& args, char* base) {
    Carver room{base};
    const int64_t blocks = forward_blocks(args);
    q = room.take<S>(blocks * padded<S>(args.width) * kQueries);
    o = room.take<S>(blocks * padded<S>(args.value_width) * kQueries);
    top = room.take<S>(blocks * kQueries);
    sum = room.take<S>(blocks * kQueries);
    scores = room.take<S>(kKeys * kQueries);
    factor = room.take<S>(kQueries);
    mask = room.take<S>(args.mask.data || args.dropout > 0 ? kQueries * kKeys : 0);
    kept = room.take<S>(args.dropout > 0 ? kKeys * kQueries : 0);
    k = room.take<S>(kKeys * padded<S>(args.width));
    v = room.take<S>(kKeys * padded<S>(args.value_width));
    bytes = room.used;
  }
};

// o / l turned back into rows of y, and lse.
template <class T, class S>
void finish(const AttentionArgs& args, Place at, int64_t query, int64_t queries, int64_t lanes, const S* o, const S* top, const S* sum) {
  using D = Simd<S>;
  constexpr int W = D::width;
  alignas(64) S inverse[kQueries], power[kQueries];
  for (int64_t i = 0; i < lanes; i += Vec<S>::width) log2(Vec<S>::load(sum + i)).store(power + i);
  for (int64_t i = 0; i < lanes; ++i) inverse[i] = sum[i] == S(0) ? S(0) : S(1) / sum[i];
  if (args.lse) {
    S* const lse = static_cast<S*>(args.lse) + (at.entry * args.group + at.group) * args.queries + query;
    for (int64_t i = 0; i < queries; ++i) lse[i] = sum[i] == S(0) ? S(__builtin_inf()) : top[i] + power[i];
  }
  T* const y = matrix_at<T>(args, args.y, at) + query * args.y.row;
  for (int64_t i = 0; i < queries; i += W) {
    const int rows = int(least_of(W, queries - i));
    const typename D::V scale = D::load(inverse + i);
    for (int64_t d = 0; d < args.value_width; d += W) {
      const int columns = int(least_of(W, args.value_width - d));
      typename D::V square[W];
      for (int r = 0; r < W; ++r) square[r] = r < columns ? D::load(o + (d + r) * lanes + i) * scale : D::zero();
      D::transpose(square);
      for (int r = 0; r < rows; ++r) {
        T* const to = y + (i + r) * args.y.row + d;
        if (columns == W) D::store(to, square[r]);
        else D::store(to, square[r], columns);
      }
    }
  }
}

template <class T> void forward_task(const AttentionArgs& args, Place at, int64_t begin, int64_t end, char* scratch) {
  using S = Compute<T>;
  const ForwardRoom<S> room(args, scratch);
  const int64_t q_size = padded<S>(args.width) * kQueries, o_size = padded<S>(args.value_width) * kQueries;
  const T *q = matrix_at<T>(args, args.q, at), *k = matrix_at<T>(args, args.k, at), *v = matrix_at<T>(args, args.v, at);
  const int64_t mask = args.mask.data ? offset_of(args, args.mask, at) : 0;
  bool started[2] = {};
  for (int64_t query = begin, b = 0; query < end; query += kQueries, ++b) {
    const Block block = block_at(args, query, 0);
    turn(q + query * args.q.row, args.q.row, block.queries, args.width, S(args.scale * kLog2E), room.q + b * q_size, block.lanes);
    for (int64_t i = 0; i < block.lanes; ++i) room.top[b * kQueries + i] = S(-__builtin_inf()), room.sum[b * kQueries + i] = S(0);
  }
  for (int64_t key = 0, last = keys_end(args, end); key < last; key += kKeys) {
    const int64_t keys = least_of(kKeys, args.keys - key);
    const Rows<S> ks = rows_of(k + key * args.k.row, args.k.row, keys, args.width, false, room.k);
    const Rows<S> vs = rows_of(v + key * args.v.row, args.v.row, keys, args.value_width, false, room.v);
    for (int64_t query = begin, b = 0; query < end; query += kQueries, ++b) {
      const Block block = block_at(args, query, key);
      const int64_t lead = block.lanes;
      if (args.causal && key >= query + block.queries) continue;
      if (args.mask.data && !load_mask<T>(args, mask, query, block.queries, key, keys, room.mask, room.scores, lead)) continue;
      if (args.dropout > 0) load_kept(args, element_at(args, at, query, key), block.queries, keys, room.mask, room.kept, lead);
      each_part(block, [&](int64_t j, int64_t n, int64_t lane) {
        multiply<S, true>(n, lead - lane, args.width, ks.data + j * ks.step, ks.step, room.q + b * q_size + lane, lead,
                          room.scores + j * lead + lane, lead, args.mask.data ? Begin::add : Begin::zero);
      });
      Softmax<S>{room.scores, room.top + b * kQueries, room.sum + b * kQueries, room.factor, args.dropout > 0 ? room.kept : nullptr, lead}(block);
      each_part(block, [&](int64_t j, int64_t n, int64_t lane) {
        multiply<S, false>(args.value_width, lead - lane, n, vs.data + j * vs.step, vs.step, room.scores + j * lead + lane, lead,
                           room.o + b * o_size + lane, lead, j > 0 ? Begin::add : started[b] ? Begin::scaled : Begin::zero, room.factor + lane);
      });
      started[b] = true;
    }
  }
  for (int64_t query = begin, b = 0; query < end; query += kQueries, ++b) {
    const Block block = block_at(args, query, 0);
    S* const o = room.o + b * o_size;
    if (!started[b]) memset(o, 0, size_t(o_size) * sizeof(S));
    finish<T>(args, at, query, block.queries, block.lanes, o, room.top + b * kQueries, room.sum + b * kQueries);
  }
}

// With few queries, as when a sequence is written one by one, most lanes would be empty: here they run along the rows of k
// and v. One query of 8 heads of 64 over 1,024 keys takes 66 us instead of 430; with more than eight queries the other way is
// the faster one.
constexpr int64_t kFewQueries = 8;

template <class T> void few_queries(const AttentionArgs& args, Place at, char* scratch) {
  using S = Compute<T>;
  using V = Vec<S>;
  constexpr int W = V::width;
  const ForwardRoom<S> room(args, scratch);
  const int64_t width = padded<S>(args.width), value_width = padded<S>(args.value_width);
  const T *q = matrix_at<T>(args, args.q, at), *k = matrix_at<T>(args, args.k, at), *v = matrix_at<T>(args, args.v, at);
  const int64_t mask = args.mask.data ? offset_of(args, args.mask, at) : 0;
  S *const top = room.top, *const sum = room.sum;
  for (int64_t i = 0; i < args.queries; ++i) {
    store_rows(q + i * args.q.row, 0, 1, args.width, S(args.scale * kLog2E), room.q + i * width, 0);
    top[i] = S(-__builtin_inf());
    sum[i] = S(0);
  }
  memset(room.o, 0, size_t(args.queries * value_width) * sizeof(S));
  for (int64_t key = 0, last = keys_end(args, args.queries); key < last; key += kKeys) {
    const int64_t keys = least_of(kKeys, last - key);
    const Rows<S> vs = rows_of(v + key * args.v.row, args.v.row, keys, args.value_width, true, room.v);
    for (int64_t i = 0; i < args.queries; ++i) {
      S* const scores = room.scores + i * kKeys;
      const int64_t seen = args.causal ? least_of(keys, i + 1 - key) : keys;
      const T* const rows = k + key * args.k.row;
      int64_t j = 0;
      for (; j + 4 <= seen; j += 4) row_products<4>(room.q + i * width, rows + j * args.k.row, args.k.row, args.width, scores + j);
      for (; j < seen; ++j) row_products<1>(room.q + i * width, rows + j * args.k.row, args.k.row, args.width, scores + j);
      for (; j < kKeys; ++j) scores[j] = S(-__builtin_inf());
      if (args.mask.data) {
        mask_row<T>(args.mask_dtype, args.mask.data, mask + i * args.mask.row + key * args.mask.column, args.mask.column, keys, room.mask);
        for (j = 0; j < seen; ++j) scores[j] += room.mask[j];
      }
      V most = V::of(top[i]), total = V(0);
      for (j = 0; j < kKeys; j += W) most = greatest(most, V::load(scores + j));
      const S before = top[i], now = fold(most, [](auto a, auto b) { return greatest(a, b); });
      const V shift = V::of(now == S(-__builtin_inf()) ? S(0) : now);
      for (j = 0; j < kKeys; j += W) {
        const V p = power_of_two(V::load(scores + j) - shift);
        total = total + p;
        p.store(scores + j);
      }
      S factor[W];
      power_of_two(V::of(before) - shift).store(factor);
      sum[i] = sum[i] * factor[0] + fold(total, [](auto a, auto b) { return a + b; });
      top[i] = now;
      if (args.dropout > 0) {
        kept_row(args, element_at(args, at, i, key), keys, room.kept);
        for (j = 0; j < keys; ++j) scores[j] *= room.kept[j];
      }
      S* const o = room.o + i * value_width;
      for (int64_t d = 0; d < value_width; d += W) (V::load(o + d) * V::of(factor[0])).store(o + d);
    }
    multiply<S, true>(args.queries, value_width, keys, room.scores, kKeys, vs.data, vs.step, room.o, value_width, Begin::add);
  }
  for (int64_t i = 0; i < args.queries; ++i) {
    S power[W];
    log2(V::of(sum[i])).store(power);
    const S inverse = sum[i] == S(0) ? S(0) : S(1) / sum[i];
    if (args.lse)
      static_cast<S*>(args.lse)[(at.entry * args.group + at.group) * args.queries + i] = sum[i] == S(0) ? S(__builtin_inf()) : top[i] + power[0];
    store_rows(room.o + i * value_width, 0, 1, args.value_width, inverse, matrix_at<T>(args, args.y, at) + i * args.y.row, 0);
  }
}

template <class T> void forward(const AttentionArgs& args, char* scratch) {
  const int64_t span = forward_blocks(args) * kQueries, spans = blocks_of(args.queries, span);
  const int64_t bytes = ForwardRoom<Compute<T>>(args, nullptr).bytes;
  auto tasks = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t matrix = task / spans, query = task % spans * span;
      const Place at{matrix / args.group, matrix % args.group};
      if (args.queries <= kFewQueries) few_queries<T>(args, at, scratch + worker * bytes);
      else forward_task<T>(args, at, query, least_of(args.queries, query + span), scratch + worker * bytes);
    }
  };
  for_tasks(args.batch * args.group * spans, least_of(span, args.queries) * args.keys * (args.width + args.value_width + 32) / 16, true, tasks);
}

// ---- backward

// For each batch index the blocks of queries of all its groups are units, in turn; a chunk of units is a task with sums of its
// own for dk and dv. Chunks are as many as keep 32 tasks going, but not of less than four units, which pay for the joining.
inline int64_t units_of(const AttentionArgs& args) { return args.group * blocks_of(args.queries, kQueries); }
inline int64_t chunks_of(const AttentionArgs& args) {
  const int64_t wanted = blocks_of(32, args.batch), most = blocks_of(units_of(args), 4);
  const int64_t chunks = least_of(wanted, most);
  return chunks < 1 ? 1 : chunks;
}
struct Chunk {
  int64_t begin, end, keys;  // units; and the keys from `keys` on belong to none of its queries
};
inline Chunk chunk_at(const AttentionArgs& args, int64_t chunk) {
  const int64_t chunks = chunks_of(args), units = units_of(args), blocks = blocks_of(args.queries, kQueries);
  const int64_t begin = units * chunk / chunks, end = units * (chunk + 1) / chunks;
  int64_t query_end = 0;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t stop = least_of(args.queries, (unit % blocks + 1) * kQueries);
    query_end = stop > query_end ? stop : query_end;
  }
  return {begin, end, keys_end(args, query_end)};
}

// Sums for dk and dv: [keys, width] each. Where a chunk is alone and they have the right type, in place.
template <class S> inline int64_t sums_of(const AttentionArgs& args) {
  return round_up(args.keys * (padded<S>(args.width) + padded<S>(args.value_width)), 64 / int64_t(sizeof(S)));
}
template <class T> inline bool in_place(const AttentionArgs& args, const AttentionMatrix& x, int64_t width) {
  return same<T, Compute<T>> && chunks_of(args) == 1 && x.data && width % Simd<Compute<T>>::width == 0;
}

template <class S> struct BackwardRoom {
  S *q, *dy, *q_rows, *dy_rows, *dq, *lse, *delta, *scores, *dp, *mask, *kept, *k, *v, *sums;
  int64_t bytes;

  BackwardRoom(const AttentionArgs& args, char* base) {
    Carver room{base};
    const int64_t width = padded<S>(args.width), value_width = padded<S>(args.value_width);
    q = room.take<S>(width * kQueries);
    dy = room.take<S>(value_width * kQueries);
    q_rows = room.take<S>(kQueries * width);
    dy_rows = room.take<S>(kQueries * value_width);
    dq = room.take<S>(kQueries * width);
    lse = room.take<S>(kQueries);
    delta = room.take<S>(kQueries);
    scores = room.take<S>(kKeys * kQueries);
    dp = room.take<S>(kKeys * kQueries);
    mask = room.take<S>(args.mask.data || args.dropout > 0 ? kQueries * kKeys : 0);
    kept = room.take<S>(args.dropout > 0 ? kKeys * kQueries : 0);
    k = room.take<S>(kKeys * width);
    v = room.take<S>(kKeys * value_width);
    sums = room.take<S>(chunks_of(args) == 1 ? sums_of<S>(args) : 0);
    bytes = room.used;
  }
};

// dq of one block of queries, and what it adds to dk and dv.
template <class T, class S = Compute<T>>
void backward_unit(const AttentionArgs& args, Place at, int64_t query, const BackwardRoom<S>& room, S* dk, int64_t dk_step, S* dv, int64_t dv_step) {
  const Block first = block_at(args, query, 0);
  const int64_t queries = first.queries, lead = first.lanes, width = padded<S>(args.width), value_width = padded<S>(args.value_width);
  const Rows<S> q = rows_of(matrix_at<T>(args, args.q, at) + query * args.q.row, args.q.row, queries, args.width, true, room.q_rows);
  const Rows<S> dy = rows_of(matrix_at<T>(args, args.dy, at) + query * args.dy.row, args.dy.row, queries, args.value_width, true, room.dy_rows);
  turn(q.data, q.step, queries, args.width, S(args.scale * kLog2E), room.q, lead);
  turn(dy.data, dy.step, queries, args.value_width, S(1), room.dy, lead);
  const T *y = matrix_at<T>(args, args.y, at) + query * args.y.row, *k = matrix_at<T>(args, args.k, at), *v = matrix_at<T>(args, args.v, at);
  const S* lse = static_cast<const S*>(args.lse) + (at.entry * args.group + at.group) * args.queries + query;
  for (int64_t i = 0; i < lead; ++i) {
    room.lse[i] = i < queries ? lse[i] : S(__builtin_inf());
    room.delta[i] = S(0);
    if (i < queries) row_products<1>(dy.data + i * dy.step, y + i * args.y.row, 0, args.value_width, room.delta + i);
  }
  if (args.dq.data) memset(room.dq, 0, size_t(queries * width) * sizeof(S));
  const int64_t mask = args.mask.data ? offset_of(args, args.mask, at) : 0;
  for (int64_t key = 0, last = keys_end(args, query + queries); key < last; key += kKeys) {
    const Block block = block_at(args, query, key);
    if (args.mask.data && !load_mask<T>(args, mask, query, queries, key, block.keys, room.mask, room.scores, lead)) continue;
    if (args.dropout > 0) load_kept(args, element_at(args, at, query, key), queries, block.keys, room.mask, room.kept, lead);
    const Rows<S> ks = rows_of(k + key * args.k.row, args.k.row, block.keys, args.width, true, room.k);
    const Rows<S> vs = rows_of(v + key * args.v.row, args.v.row, block.keys, args.value_width, false, room.v);
    each_part(block, [&](int64_t j, int64_t n, int64_t lane) {
      multiply<S, true>(n, lead - lane, args.width, ks.data + j * ks.step, ks.step, room.q + lane, lead,
                        room.scores + j * lead + lane, lead, args.mask.data ? Begin::add : Begin::zero);
      multiply<S, true>(n, lead - lane, args.value_width, vs.data + j * vs.step, vs.step, room.dy + lane, lead,
                        room.dp + j * lead + lane, lead, Begin::zero);
    });
    SoftmaxBackward<S>{room.scores, room.dp, room.lse, room.delta, args.dropout > 0 ? room.kept : nullptr, lead}(block);
    each_part(block, [&](int64_t j, int64_t n, int64_t lane) {
      const S *p = room.scores + j * lead + lane, *ds = room.dp + j * lead + lane;
      if (lane >= queries) return;
      if (dv) multiply<S, true>(n, value_width, queries - lane, p, lead, dy.data + lane * dy.step, dy.step, dv + (key + j) * dv_step, dv_step, Begin::add);
      if (dk) multiply<S, true>(n, width, queries - lane, ds, lead, q.data + lane * q.step, q.step, dk + (key + j) * dk_step, dk_step, Begin::add);
      if (args.dq.data) multiply<S, false>(queries - lane, width, n, ds, lead, ks.data + j * ks.step, ks.step, room.dq + lane * width, width, Begin::add);
    });
  }
  if (args.dq.data)
    store_rows(room.dq, width, queries, args.width, S(args.scale), matrix_at<T>(args, args.dq, at) + query * args.dq.row, args.dq.row);
}

template <class T> void backward_task(const AttentionArgs& args, int64_t entry, int64_t number, char* scratch, char* chunk_sums) {
  using S = Compute<T>;
  const BackwardRoom<S> room(args, scratch);
  const Chunk chunk = chunk_at(args, number);
  const int64_t width = padded<S>(args.width), value_width = padded<S>(args.value_width), blocks = blocks_of(args.queries, kQueries);
  const bool alone = chunks_of(args) == 1;
  S* const sums = alone ? room.sums : reinterpret_cast<S*>(chunk_sums);
  S *dk = args.dk.data ? sums : nullptr, *dv = args.dv.data ? sums + args.keys * width : nullptr;
  int64_t dk_step = width, dv_step = value_width;
  const Place first{entry, 0};
  if constexpr (same<T, S>) {
    if (in_place<T>(args, args.dk, args.width)) dk = matrix_at<T>(args, args.dk, first), dk_step = args.dk.row;
    if (in_place<T>(args, args.dv, args.value_width)) dv = matrix_at<T>(args, args.dv, first), dv_step = args.dv.row;
  }
  const int64_t zeroed = alone ? args.keys : chunk.keys;
  for (int64_t j = 0; j < zeroed; ++j) {
    if (dk) memset(dk + j * dk_step, 0, size_t(width) * sizeof(S));
    if (dv) memset(dv + j * dv_step, 0, size_t(value_width) * sizeof(S));
  }
  for (int64_t unit = chunk.begin; unit < chunk.end; ++unit)
    backward_unit<T>(args, {entry, unit / blocks}, unit % blocks * kQueries, room, dk, dk_step, dv, dv_step);
  if (!alone) return;
  if (dk) store_rows(dk, dk_step, args.keys, args.width, S(args.scale), matrix_at<T>(args, args.dk, first), args.dk.row);
  if (dv && !in_place<T>(args, args.dv, args.value_width))
    store_rows(dv, dv_step, args.keys, args.value_width, S(1), matrix_at<T>(args, args.dv, first), args.dv.row);
}

// Adds up the chunks' sums, in order, for the keys from `key` on.
template <class T> void join(const AttentionArgs& args, int64_t entry, int64_t key, Compute<T>* sums) {
  using S = Compute<T>;
  using D = Simd<S>;
  const int64_t chunks = chunks_of(args), last = least_of(args.keys, key + kKeys), size = sums_of<S>(args);
  const int64_t widths[2] = {padded<S>(args.width), padded<S>(args.value_width)};
  const AttentionMatrix* const results[2] = {&args.dk, &args.dv};
  for (int64_t c = 0; c < chunks; ++c) {
    int64_t seen = chunk_at(args, c).keys;
    if (c == 0 && seen < last) {  // the first takes the others' sums, so it must hold something
      for (int r = 0; r < 2; ++r) {
        S* const to = sums + r * args.keys * widths[0];
        for (int64_t j = seen > key ? seen : key; j < last; ++j) memset(to + j * widths[r], 0, size_t(widths[r]) * sizeof(S));
      }
    }
    if (c == 0) continue;
    if (seen > last) seen = last;
    for (int r = 0; r < 2; ++r) {
      S* const to = sums + r * args.keys * widths[0];
      const S* const from = to + c * size;
      for (int64_t i = key * widths[r]; i < seen * widths[r]; i += D::width) D::store(to + i, D::load(to + i) + D::load(from + i));
    }
  }
  for (int r = 0; r < 2; ++r) {
    if (!results[r]->data) continue;
    const S* const from = sums + r * args.keys * widths[0] + key * widths[r];
    store_rows(from, widths[r], last - key, r ? args.value_width : args.width, r ? S(1) : S(args.scale),
               matrix_at<T>(args, *results[r], {entry, 0}) + key * results[r]->row, results[r]->row);
  }
}

template <class T> int64_t chunk_bytes(const AttentionArgs& args) {
  return chunks_of(args) == 1 ? 0 : args.batch * chunks_of(args) * sums_of<Compute<T>>(args) * int64_t(sizeof(Compute<T>));
}

template <class T> void backward(const AttentionArgs& args, char* scratch) {
  using S = Compute<T>;
  const int64_t chunks = chunks_of(args), bytes = BackwardRoom<S>(args, nullptr).bytes, sum_bytes = sums_of<S>(args) * int64_t(sizeof(S));
  char* const sums = scratch + num_threads() * bytes;
  auto tasks = [&](int64_t begin, int64_t end, int worker) {
    const Flush flush;
    for (int64_t task = begin; task < end; ++task)
      backward_task<T>(args, task / chunks, task % chunks, scratch + worker * bytes, sums + task * sum_bytes);
  };
  const int64_t work = args.queries * args.group * args.keys * (args.width + args.value_width + 16) / 8 / chunks;
  for_tasks(args.batch * chunks, work, true, tasks);
  if (chunks == 1) return;
  const int64_t blocks = blocks_of(args.keys, kKeys);
  auto joins = [&](int64_t begin, int64_t end, int) {
    const Flush flush;
    for (int64_t task = begin; task < end; ++task)
      join<T>(args, task / blocks, task % blocks * kKeys, reinterpret_cast<S*>(sums + task / blocks * chunks * sum_bytes));
  };
  for_tasks(args.batch * blocks, kKeys * (args.width + args.value_width) * chunks / 16, true, joins);
}

}  // namespace

int64_t attention_scratch(const AttentionArgs& args) {
  return with_floating(args.dtype, [&](auto type) {
    return num_threads() * ForwardRoom<Compute<typename decltype(type)::type>>(args, nullptr).bytes;
  });
}
void attention(const AttentionArgs& args, void* scratch) {
  with_floating(args.dtype, [&](auto type) { forward<typename decltype(type)::type>(args, static_cast<char*>(scratch)); });
}

int64_t attention_backward_scratch(const AttentionArgs& args) {
  return with_floating(args.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    return num_threads() * BackwardRoom<Compute<T>>(args, nullptr).bytes + chunk_bytes<T>(args);
  });
}
void attention_backward(const AttentionArgs& args, void* scratch) {
  with_floating(args.dtype, [&](auto type) { backward<typename decltype(type)::type>(args, static_cast<char*>(scratch)); });
}

}  // namespace tessel::TESSEL_TARGET
