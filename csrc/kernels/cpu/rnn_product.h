// What the steps of a recurrent layer are made of: the product of a few rows and a packed block of weight columns, and a
// team of threads that go from step to step together. Used by rnn.cpp.
#pragma once
#include <sched.h>

#include "core/parallel.h"
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/gemm_simd.h"

namespace tessel::TESSEL_TARGET {

// The sums of a strip of rows and a block of up to kBlockVectors vectors of columns stay in registers over the whole depth:
// unlike GEMM's, a block holds all gates of its units, so that they are at hand together. Per step of k the strip costs NV
// loads of weights (from L2: 64 NV bytes for MR * NV multiply-adds), MR broadcasts and MR * NV fused multiply-adds.
//   avx512: 6 x 4, 8 x 3 or 12 x 2 sums + NV + 1 = at most 29 of 32 registers
//   avx2:   3 x 4, 4 x 3 or  6 x 2 sums + 1 of weights + MR = at most 16 of 16
//   scalar: 2 x 4, 2 x 3 or  4 x 2 sums and their products
constexpr int kBlockVectors = 4;
#if defined(__AVX512F__)
constexpr int kSums = 24;
#elif defined(__AVX2__)
constexpr int kSums = 12;
#else
constexpr int kSums = 8;
#endif
constexpr int most_rows(int vectors) { return vectors > 1 ? kSums / vectors : kSums / 2; }

// sums[MR, NV vectors] = a [MR, k] @ b [k, NV vectors], or += where `add`. a is read where it lies.
template <class S, int MR, int NV>
void strip(int64_t k, const S* a, int64_t a_row, const S* b, S* sums, bool add) {
  using D = Simd<S>;
  constexpr int W = D::width;
  typename D::V sum[MR][NV];
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) sum[i][v] = D::zero();
  for (int64_t p = 0; p < k; ++p, b += NV * W) {
    typename D::V column[NV];
    for (int v = 0; v < NV; ++v) column[v] = D::load(b + v * W);
    for (int i = 0; i < MR; ++i) {
      const typename D::V x = D::set(a[i * a_row + p]);
      for (int v = 0; v < NV; ++v) sum[i][v] = D::fma(x, column[v], sum[i][v]);
    }
  }
  S* to = sums;
  if (add) {
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v, to += W) D::store(to, D::load(to) + sum[i][v]);
  } else {
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v, to += W) D::store(to, sum[i][v]);
  }
}

template <class S> using Strip = void (*)(int64_t k, const S* a, int64_t a_row, const S* b, S* sums, bool add);

template <class S, int NV, int MR = most_rows(NV)> Strip<S> strip_of(int rows) {
  if constexpr (MR == 1) return strip<S, 1, NV>;
  else return rows == MR ? strip<S, MR, NV> : strip_of<S, NV, MR - 1>(rows);
}

template <class S> Strip<S> strip_of(int rows, int vectors) {
  switch (vectors) {
    case 1: return strip_of<S, 1>(rows);
    case 2: return strip_of<S, 2>(rows);
    case 3: return strip_of<S, 3>(rows);
    default: return strip_of<S, 4>(rows);
  }
}

// A matrix [k, gates * units] in blocks: element (p, gate, unit) of a block at packed[(p * gates + gate) * vectors * W + unit].
template <class S> struct Blocks {
  int64_t k = 0, units = 0, blocks = 0;
  int gates = 1, vectors = 1;   // vectors of units in a block
  const S* w = nullptr;
  int64_t unit_stride = 0, k_stride = 0, gate_stride = 0;
  S* packed = nullptr;

  static constexpr int W = Simd<S>::width;

  Blocks() = default;
  // Columns are rows of w [gates * units, k] (forward), or columns of w [k, units] (backward).
  static Blocks of_rows(const void* w, int64_t k, int64_t units, int gates) {
    Blocks b(w, k, units, gates);
    b.unit_stride = k, b.k_stride = 1, b.gate_stride = units * k;
    return b;
  }
  static Blocks of_columns(const void* w, int64_t k, int64_t units) {
    Blocks b(w, k, units, 1);
    b.unit_stride = 1, b.k_stride = units;
    return b;
  }
  int width() const { return vectors * W; }           // units of a block
  int all_vectors() const { return gates * vectors; }
  int64_t lead() const { return int64_t(gates) * width(); }
  int64_t bytes() const { return blocks * k * lead() * int64_t(sizeof(S)); }
  int units_of(int64_t block) const { return units - block * width() < width() ? int(units - block * width()) : width(); }

  void pack(int64_t block) const {
    for (int g = 0; g < gates; ++g)
      for (int v = 0; v < vectors; ++v) {
        const int64_t unit = block * width() + v * W;
        const int lanes = units - unit >= W ? W : units - unit > 0 ? int(units - unit) : 0;
        S* to = packed + block * k * lead() + g * width() + v * W;
        if (k_stride == 1) pack_turned(to, w + g * gate_stride + unit * unit_stride, lanes);
        else pack_straight(to, w + unit, lanes);
      }
  }

  // Rows times the matrix's rows [from, from + depth), `add`ing to what is there: a strip of at most most_rows() rows and a
  // block, or any rows and the whole matrix where it lies, which for a few rows in all is less work than to pack it.
  struct OfBlock {
    int64_t block;
    void operator()(const Blocks& b, int64_t rows, const S* a, int64_t a_row, S* sums, int64_t from, int64_t depth, bool add) const {
      strip_of<S>(int(rows), b.all_vectors())(depth, a, a_row, b.packed + block * b.k * b.lead() + from * b.lead(), sums, add);
    }
  };
  struct OfWhole {
    void* scratch;
    void operator()(const Blocks& b, int64_t rows, const S* a, int64_t a_row, S* sums, int64_t from, int64_t depth, bool add) const {
      gemm(b.whole(rows, a, a_row, sums, from, depth, add), scratch);
    }
  };
  GemmArgs whole(int64_t rows, const S* a, int64_t a_row, S* sums, int64_t from, int64_t depth, bool add) const {
    GemmArgs g{};
    g.dtype = sizeof(S) == 8 ? DType::float64 : DType::float32;
    g.m = rows, g.n = gates * units, g.k = depth, g.batch = 1;
    g.a = a, g.a_row = a_row, g.a_col = 1;
    g.b = w + from * k_stride, g.b_row = k_stride, g.b_col = unit_stride;
    g.c = sums, g.c_row = g.n, g.c_col = 1;
    g.alpha = 1, g.beta = add ? 1 : 0;
    return g;
  }

 private:
  Blocks(const void* w, int64_t k, int64_t units, int gates) : k(k), units(units), gates(gates), w(static_cast<const S*>(w)) {
    const int most = kBlockVectors / gates;
    const int64_t all = (units + W - 1) / W;
    vectors = all < most ? int(all) : most;
    if (vectors < 1) vectors = 1;
    blocks = (units + width() - 1) / width();
  }
  void pack_turned(S* to, const S* from, int lanes) const {
    using D = Simd<S>;
    for (int64_t p = 0; p < k; p += W) {
      const int depth = k - p < W ? int(k - p) : W;
      typename D::V x[W];
      for (int i = 0; i < W; ++i) {
        if (i >= lanes) x[i] = D::zero();
        else x[i] = depth == W ? D::load(from + i * unit_stride + p) : D::load(from + i * unit_stride + p, depth);
      }
      D::transpose(x);
      for (int q = 0; q < depth; ++q) D::store(to + (p + q) * lead(), x[q]);
    }
  }
  void pack_straight(S* to, const S* from, int lanes) const {
    using D = Simd<S>;
    for (int64_t p = 0; p < k; ++p, from += k_stride, to += lead()) {
      if (lanes == W) D::store(to, D::load(from));
      else D::store(to, lanes ? D::load(from, lanes) : D::zero());
    }
  }
};

// Threads that work through phases, each phase in `parts`, all of one before any of the next. Every thread has parts of its
// own, so that the weights it needs stay in its cache, and takes over those of others who are late; so whoever is running
// never waits for a thread that is not. A phase ends with one counter read by all instead of the pool's two handshakes.
struct Team {
  static constexpr int64_t kApart = 8;  // claims lie in cache lines of their own

  int64_t phases, parts;
  int64_t* claims;                      // by part: the next phase in which nobody has taken it
  alignas(64) int64_t done = 0;         // parts of all phases that are finished

  static int64_t bytes(int64_t parts) { return parts * kApart * int64_t(sizeof(int64_t)); }
  Team(int64_t phases, int64_t parts, void* scratch) : phases(phases), parts(parts), claims(static_cast<int64_t*>(scratch)) {
    for (int64_t part = 0; part < parts; ++part) claims[part * kApart] = 0;
  }

  bool take(int64_t phase, int64_t part) {
    int64_t* claim = claims + part * kApart;
    int64_t expected = phase;
    return __atomic_load_n(claim, __ATOMIC_RELAXED) == phase &&
           __atomic_compare_exchange_n(claim, &expected, phase + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
  }
  bool finished(int64_t phase) const { return __atomic_load_n(&done, __ATOMIC_ACQUIRE) >= (phase + 1) * parts; }

  template <class F> void work(int64_t own, F& f) {
    constexpr int kPatience = 64, kYield = 4096;
    int patience = 0;  // looks at the counter before taking over: none from those who have not come at all
    for (int64_t phase = 0; phase < phases; ++phase) {
      if (take(phase, own)) {
        f(phase, own);
        __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
      }
      for (int looks = 0; !finished(phase); ++looks) {
        if (looks >= patience) {
          bool took = false;
          for (int64_t i = 1; i < parts; ++i) {
            const int64_t part = own + i < parts ? own + i : own + i - parts;
            if (!take(phase, part)) continue;
            f(phase, part);
            __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
            took = true;
          }
          patience = took ? 0 : kPatience;
          if (took) continue;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (looks >= kYield) sched_yield();
      }
    }
  }
};

}  // namespace tessel::TESSEL_TARGET
