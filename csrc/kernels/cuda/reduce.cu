// Reductions: a block of threads folds one result's elements, each thread every 256th of a chunk, then a tree over the
// block, then one over the chunks. Which elements meet when depends on the shape alone, so the bits never change.
#include "kernels/cuda/launch.cuh"
#include "kernels/kernels.h"

namespace tessel::cuda {

namespace {

constexpr int64_t kChunk = 1 << 16;  // elements of one result that a block folds

// What is folded, for every reduction: a value, a position, and for the variance count, mean and sum of squares.
struct State {
  double v, mean, m2;
  int64_t n, at;
  __int128 whole;  // integer sums and products, exact modulo 2^64
};

struct Job {
  ReduceArgs args;
  int64_t count, chunks;             // elements of one result, chunks they are cut in
  int ndim_out, ndim_in;             // kept and reduced dimensions
  int64_t sizes_out[kMaxDims], y_strides[kMaxDims], x_strides_out[kMaxDims], index_strides[kMaxDims];
  int64_t sizes_in[kMaxDims], x_strides_in[kMaxDims];
};

__device__ bool integral(const Job& job) { return job.args.compute == DType::int64; }

__device__ State start(const Job& job) {
  const double inf = __longlong_as_double(0x7ff0000000000000ll);
  State s = {0, 0, 0, 0, INT64_MAX, 0};
  switch (job.args.op) {
    case Reduce::prod: s.v = 1, s.whole = 1; break;
    case Reduce::max: case Reduce::argmax: s.v = -inf, s.whole = INT64_MIN; break;
    case Reduce::min: case Reduce::argmin: s.v = inf, s.whole = INT64_MAX; break;
    case Reduce::logsumexp: s.v = -inf; break;
    case Reduce::all: s.v = 1; break;
    case Reduce::norm: s.v = job.args.parameter == -inf ? inf : 0; break;
    default: break;
  }
  return s;
}

// Is (v, at) a better extreme? NaN wins, then the earlier position.
__device__ bool better(const Job& job, double v, __int128 w, int64_t at, const State& s) {
  bool highest = job.args.op == Reduce::max || job.args.op == Reduce::argmax;
  if (integral(job)) return w != s.whole ? (w > s.whole) == highest : at < s.at;
  if (v != v) return s.v == s.v || at < s.at;
  if (s.v != s.v) return false;
  return v != s.v ? (v > s.v) == highest : at < s.at;
}

__device__ void take(const Job& job, State& s, double v, int64_t w, int64_t at) {
  const double inf = __longlong_as_double(0x7ff0000000000000ll), p = job.args.parameter;
  switch (job.args.op) {
    case Reduce::sum: case Reduce::mean: s.v += v, s.whole += w; break;
    case Reduce::nansum: s.v += v == v ? v : 0; s.whole += w; break;
    case Reduce::prod: s.v *= v, s.whole = __int128(int64_t(s.whole)) * w; break;
    case Reduce::sum_of_squares: s.v += v * v; break;
    case Reduce::max: case Reduce::min: case Reduce::argmax: case Reduce::argmin:
      if (better(job, v, w, at, s)) s.v = v, s.whole = w, s.at = at;
      break;
    case Reduce::all: s.v = s.v != 0 && v != 0; break;
    case Reduce::any: s.v = s.v != 0 || v != 0; break;
    case Reduce::count_nonzero: s.v += v != 0, s.whole += v != 0; break;
    case Reduce::norm: {
      double a = ::fabs(v);
      if (p == inf) s.v = a > s.v || a != a ? a : s.v;
      else if (p == -inf) s.v = a < s.v || a != a ? a : s.v;
      else if (p == 0) s.v += a != 0;
      else s.v += p == 1 ? a : p == 2 ? a * a : ::pow(a, p);
      break;
    }
    case Reduce::logsumexp:  // v is the largest, mean the sum of exp(x - v)
      if (v > s.v) s.mean = s.mean * ::exp(s.v - v) + 1, s.v = v;
      else if (v == v) s.mean += v == -inf ? 0 : ::exp(v - s.v);
      else s.mean = v;
      break;
    case Reduce::var: {
      ++s.n;
      double d = v - s.mean;
      s.mean += d / double(s.n);
      s.m2 += d * (v - s.mean);
      break;
    }
    default: break;
  }
}

__device__ void merge(const Job& job, State& s, const State& t) {
  const double inf = __longlong_as_double(0x7ff0000000000000ll), p = job.args.parameter;
  switch (job.args.op) {
    case Reduce::prod: s.v *= t.v, s.whole = __int128(int64_t(s.whole)) * int64_t(t.whole); break;
    case Reduce::max: case Reduce::min: case Reduce::argmax: case Reduce::argmin:
      if (t.at != INT64_MAX && better(job, t.v, t.whole, t.at, s)) s = t;
      break;
    case Reduce::all: s.v = s.v != 0 && t.v != 0; break;
    case Reduce::any: s.v = s.v != 0 || t.v != 0; break;
    case Reduce::norm:
      if (p == inf) s.v = t.v > s.v || t.v != t.v ? t.v : s.v;
      else if (p == -inf) s.v = t.v < s.v || t.v != t.v ? t.v : s.v;
      else s.v += t.v;
      break;
    case Reduce::logsumexp:
      if (t.v > s.v) s.mean = s.mean * ::exp(s.v - t.v) + t.mean, s.v = t.v;
      else s.mean += t.v == -inf ? (t.mean == t.mean ? 0 : t.mean) : t.mean * ::exp(t.v - s.v);
      break;
    case Reduce::var: {
      if (t.n == 0) break;
      double n = double(s.n + t.n), d = t.mean - s.mean;
      s.mean += d * double(t.n) / n;
      s.m2 += t.m2 + d * d * (double(s.n) * double(t.n) / n);
      s.n += t.n;
      break;
    }
    default: s.v += t.v, s.whole += t.whole; break;
  }
}

__device__ void finish(const Job& job, const State& s, int64_t result) {
  int64_t y = 0, at = 0, i = result;
  for (int d = 0; d < job.ndim_out; ++d) {
    int64_t next = i / job.sizes_out[d], k = i - next * job.sizes_out[d];
    y += k * job.y_strides[d];
    at += k * job.index_strides[d];
    i = next;
  }
  const Operand& out = job.args.loop.operand[0];
  char* to = out.data + y;
  const double inf = __longlong_as_double(0x7ff0000000000000ll), p = job.args.parameter;
  switch (job.args.op) {
    case Reduce::argmax: case Reduce::argmin: store<int64_t>(out.dtype, to, s.at); return;
    case Reduce::mean: store<double>(out.dtype, to, s.v * p); return;
    case Reduce::var: {
      double divisor = double(s.n) - p;
      store<double>(out.dtype, to, s.m2 / (divisor > 0 ? divisor : 0));
      return;
    }
    case Reduce::norm: store<double>(out.dtype, to, p == 2 ? ::sqrt(s.v) : p == 0 || p == 1 || p == inf || p == -inf ? s.v : ::pow(s.v, 1 / p)); return;
    case Reduce::logsumexp: store<double>(out.dtype, to, ::isinf(s.v) ? (s.mean == s.mean ? s.v : s.mean) : s.v + ::log(s.mean)); return;
    case Reduce::count_nonzero: store<int64_t>(out.dtype, to, int64_t(s.whole)); return;
    case Reduce::all: case Reduce::any: store<int>(out.dtype, to, s.v != 0); return;
    default:
      if (integral(job)) store<int64_t>(out.dtype, to, int64_t(s.whole));
      else store<double>(out.dtype, to, s.v);
      if (job.args.loop.operands > 2) store<int64_t>(DType::int64, job.args.loop.operand[2].data + at, s.at);
  }
}

// Folds the block's states into thread 0's.
__device__ State fold_block(const Job& job, State s) {
  __shared__ State shared[kThreads];
  shared[threadIdx.x] = s;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) merge(job, shared[threadIdx.x], shared[threadIdx.x + step]);
    __syncthreads();
  }
  return shared[0];
}

// Block (chunk, result): with a single chunk the result itself, else a partial state.
__global__ void reduce_chunks(Job job, State* partials, int64_t results) {
  for (int64_t task = blockIdx.x; task < results * job.chunks; task += gridDim.x) {
    int64_t result = task / job.chunks, chunk = task % job.chunks, base = 0, i = result;
    for (int d = 0; d < job.ndim_out; ++d) {
      int64_t next = i / job.sizes_out[d];
      base += (i - next * job.sizes_out[d]) * job.x_strides_out[d];
      i = next;
    }
    const Operand& x = job.args.loop.operand[1];
    State s = start(job);
    int64_t end = min((chunk + 1) * kChunk, job.count);
    for (int64_t e = chunk * kChunk + threadIdx.x; e < end; e += kThreads) {
      int64_t offset = base, rest = e;
      for (int d = 0; d < job.ndim_in; ++d) {
        int64_t next = rest / job.sizes_in[d];
        offset += (rest - next * job.sizes_in[d]) * job.x_strides_in[d];
        rest = next;
      }
      if (integral(job)) {
        int64_t w = load<int64_t>(x.dtype, x.data + offset);
        take(job, s, double(w != 0), w, e);
      } else {
        take(job, s, load<double>(x.dtype, x.data + offset), 0, e);
      }
    }
    s = fold_block(job, s);
    if (threadIdx.x == 0) {
      if (job.chunks == 1) finish(job, s, result);
      else partials[task] = s;
    }
    __syncthreads();
  }
}

__global__ void reduce_partials(Job job, const State* partials) {
  int64_t result = blockIdx.x;
  State s = start(job);
  for (int64_t chunk = threadIdx.x; chunk < job.chunks; chunk += kThreads) merge(job, s, partials[result * job.chunks + chunk]);
  s = fold_block(job, s);
  if (threadIdx.x == 0) finish(job, s, result);
}

Job make_job(const ReduceArgs& args, int64_t* results) {
  Job job = {};
  job.args = args;
  job.count = 1;
  *results = 1;
  const Loop& loop = args.loop;
  for (int d = 0; d < loop.ndim; ++d) {
    if (args.reduced >> d & 1) {
      job.sizes_in[job.ndim_in] = loop.sizes[d];
      job.x_strides_in[job.ndim_in++] = loop.operand[1].strides[d];
      job.count *= loop.sizes[d];
    } else {
      job.sizes_out[job.ndim_out] = loop.sizes[d];
      job.y_strides[job.ndim_out] = loop.operand[0].strides[d];
      job.index_strides[job.ndim_out] = loop.operands > 2 ? loop.operand[2].strides[d] : 0;
      job.x_strides_out[job.ndim_out++] = loop.operand[1].strides[d];
      *results *= loop.sizes[d];
    }
  }
  job.chunks = job.count > kChunk ? (job.count + kChunk - 1) / kChunk : 1;
  return job;
}

}  // namespace

int64_t reduce_scratch(const ReduceArgs& args) {
  int64_t results;
  Job job = make_job(args, &results);
  return job.chunks > 1 ? results * job.chunks * int64_t(sizeof(State)) : 0;
}

void reduce(const ReduceArgs& args, void* scratch) {
  int64_t results;
  Job job = make_job(args, &results);
  if (results == 0) return;
  int64_t tasks = results * job.chunks;
  reduce_chunks<<<unsigned(tasks < (1 << 20) ? tasks : 1 << 20), kThreads>>>(job, static_cast<State*>(scratch), results);
  check(cudaGetLastError(), "reduce launch");
  if (job.chunks > 1) {
    reduce_partials<<<unsigned(results), kThreads>>>(job, static_cast<const State*>(scratch));
    check(cudaGetLastError(), "reduce launch");
  }
}

}  // namespace tessel::cuda
