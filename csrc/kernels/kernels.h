// THE CONTRACT: what a target can do. Argument structs, the list of kernels, struct Kernels. A kernel works on plain
// memory, never checks, never allocates: where it needs scratch, it states the bytes and the op obtains them.
#pragma once
#include <stdint.h>

#include "core/dtype.h"
#include "kernels/loop.h"

namespace tessel {

// ---- elementwise: results and operands may have any dtype; `compute` is the type the arithmetic is done in
// (float32 for the 16-bit floats, int32 for integers up to 32 bits and bool).
enum class Unary : uint8_t {
  copy, neg, abs, sign, reciprocal, square, sqrt, rsqrt, exp, exp2, expm1, log, log2, log10, log1p,
  sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, erf, erfc, erfinv, lgamma, digamma,
  sigmoid, logit, floor, ceil, round, trunc, frac, sinc,
  relu, leaky_relu, elu, celu, selu, silu, gelu, gelu_tanh, softplus, hardtanh, hardsigmoid, hardswish, mish,
  logsigmoid, softsign, tanhshrink, softshrink, hardshrink, threshold, relu6, clamp, nan_to_num, round_decimals,
  bitwise_not, logical_not, isnan, isinf, isfinite, isposinf, isneginf, signbit, deg2rad, rad2deg, i0, positive,
  i1, trigamma, count
};
enum class Binary : uint8_t {
  add, sub, mul, div, floor_divide, trunc_divide, remainder, fmod, pow, atan2, hypot, maximum, minimum, fmax, fmin,
  eq, ne, lt, le, gt, ge, logical_and, logical_or, logical_xor, bitwise_and, bitwise_or, bitwise_xor,
  left_shift, right_shift, copysign, nextafter, ldexp, logaddexp, logaddexp2, xlogy, xlog1py, heaviside, gcd, lcm,
  squared_difference, add_scaled, count                     // add_scaled: a + params[0] * b
};
enum class Ternary : uint8_t {
  where, lerp, addcmul, addcdiv, clamp_tensor, fma,         // addcmul: a + p0 * b * c
  count
};
// The derivative of a unary function from (x, y, dy); the codes are Unary's.

struct Params { double s[4]; };  // scalars that belong to the function: slope, alpha, bounds, ...

// ---- reductions: operand 0 is the result with stride 0 along reduced dimensions, operand 1 the input. `reduced` has a
// bit for each dimension of the loop that is reduced.
enum class Reduce : uint8_t {
  sum, prod, max, min, argmax, argmin, all, any, norm, count_nonzero, logsumexp, mean, var, nansum, sum_of_squares, count
};

struct ReduceArgs {
  Reduce op;
  Loop loop;           // operand 0: result (of argmax and argmin the int64 index), operand 1: input, operand 2 (max
                       // and min, if at all): int64 indices. Indices count in the loop's order of the reduced dimensions
  uint32_t reduced;
  DType compute;       // float32, float64, int64
  double parameter;    // norm: p; var: correction; mean: 1 / count
};

enum class Scan : uint8_t { cumsum, cumprod, cummax, cummin, logcumsumexp, recurrence, count };  // recurrence: y[i] = x[i] + factor[i] y[i - 1]

// rows x n elements walked along one dimension; addresses in bytes
struct ScanArgs {
  Scan op;
  Loop loop;           // operand 0: result, 1: input, 2: int64 indices (cummax, cummin) or factors; the scanned dimension taken out
  int64_t n, out_stride, x_stride, second_stride;
  DType compute;
};

// ---- rows: [outer, n, inner] in C order, normalised along n
struct RowsArgs {
  DType dtype;
  int64_t outer, n, inner;
  const void* x;
  void* y;
  const void* dy;      // backward: y is an input too, dx is written to `dx`
  void* dx;
};

// ---- GEMM: c[b] = alpha * a[b] @ b[b] + beta * c[b] (+ bias, activation); strides in elements, any signless layout
enum class Activation : uint8_t { none, relu, tanh, sigmoid, gelu, gelu_tanh, silu };

// How exact float32 products are where a matrix unit multiplies bfloat16: as float32 (six products of the parts of a float),
// 16 bits of significand (three), or 8 (one). Without such a unit all are float32's.
enum class Precision : uint8_t { highest, high, medium };

struct GemmArgs {
  DType dtype;                                   // of a, b and c: float32, float64, bfloat16, float16; integers too
  Precision precision;
  int64_t m, n, k, batch;
  const void* a; int64_t a_row, a_col;           // element strides of a[i, p]
  const void* b; int64_t b_row, b_col;           // element strides of b[p, j]
  void* c; int64_t c_row, c_col;                 // element strides of c[i, j]; one of them is 1 unless m or n is 1
  // The batch index is unravelled over up to 6 dimensions, so that broadcast and transposed batches need no copy.
  int batch_dims;
  int64_t batch_sizes[kMaxDims - 2];             // innermost first
  int64_t a_batch[kMaxDims - 2], b_batch[kMaxDims - 2], c_batch[kMaxDims - 2];
  double alpha, beta;                            // beta == 0: c is not read
  const void* bias; int64_t bias_stride;         // bias[j], added to every row; null for none
  Activation activation;                         // of the sums as they would be without it: rounded to dtype, denormals flushed
  void* before;                                  // where those go too, laid out as c; null: they are not kept
};

// ---- convolution: x [batch, groups * in_channels, in], w [groups * out_channels, in_channels, kernel],
// y [batch, groups * out_channels, out], all in C order; three spatial dimensions, size 1 where absent (then stride 1,
// padding 0). What is read and what is written depends on the entry:
//   conv                  x, w, bias (per output channel) -> y, with the activation
//   conv_backward_data    y, w, bias (per input channel) -> x: dx from dy, and the transposed convolution's forward
//   conv_backward_weight  x, y -> w and, where not null, bias: dw and db from x and dy
struct ConvArgs {
  DType dtype;                                   // of everything: float32, float64, bfloat16, float16
  Precision precision;
  int64_t batch, groups, in_channels, out_channels;  // channels of one group
  int64_t in[3], out[3], kernel[3], stride[3], dilation[3];
  int64_t padding[3];                            // before; what is after follows from `out`
  void* x;
  void* w;
  void* y;
  void* bias;                                    // null for none
  Activation activation;                         // of conv and conv_backward_data
};

// ---- pooling over planes (batch * channels) of three spatial dimensions, size 1 where absent. Output positions are
// given by `out`, so ceil_mode is the caller's arithmetic. Max: the first of equals wins, NaN wins over all; `indices`
// are flat within a plane. Average: a window's elements, or with count_include_pad its padded extent, divide the sum.
// Adaptive windows are [floor(i * in / out), ceil((i + 1) * in / out)): kernel, stride, padding and dilation unused.
enum class Pool : uint8_t { max, average, adaptive_max, adaptive_average };

struct PoolArgs {
  Pool op;
  DType dtype;
  int64_t planes;
  int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  bool count_include_pad;
  int64_t divisor_override;  // 0: none
  const void* x;
  void* y;
  int64_t* indices;          // max: written forward (null: not wanted), read backward
  const void* dy;            // backward: dx from dy and, for max, indices
  void* dx;
};

// ---- resampling along one dimension: y [outer, m, inner] from x [outer, n, inner], both in C order. Element j of y is the
// sum of weight[t] x[index[t]] over t from first[j] to first[j + 1] - 1. Its derivative is the same with the table transposed.
struct ResampleArgs {
  DType dtype;               // of x, y and weight: float32 or float64
  int64_t outer, n, m, inner;
  const int64_t* first;      // m + 1 of them
  const int32_t* index;
  const void* weight;
  int taps;                  // of each element, where all have as many; else 0
  const void* x;
  void* y;
};

// ---- sampling an image at the positions of a grid: x [batch, channels, in] of three spatial dimensions (the first of size 1
// where spatial is 2), grid [batch, out, spatial] of positions from -1 to 1, the last dimension of x first; y [batch,
// channels, out]. With align_corners -1 and 1 are the centres of the outermost elements, else their outer edges.
enum class Sampling : uint8_t { nearest, linear, cubic };
enum class Outside : uint8_t { zeros, border, reflection };

struct GridSampleArgs {
  DType dtype;               // of everything: float32 or float64
  Sampling sampling;
  Outside outside;
  bool align_corners;
  int spatial;
  int64_t batch, channels, in[3], out;
  const void *x, *grid;
  void* y;
  const void* dy;            // backward
  void *dx, *dgrid;          // null where not wanted
};

// ---- connectionist temporal classification: of each sequence the negative logarithm of the probability that x [steps,
// batch, classes], logarithms of probabilities, reads as its targets once repetitions and then blanks are struck out. With
// the targets l between blanks (blank, l1, blank, l2, ..., blank) and place s of those:
//   alpha[t, s] = x[t, l[s]] + log(e^alpha[t - 1, s] + e^alpha[t - 1, s - 1] + e^alpha[t - 1, s - 2])
// the last term only where l[s] is neither a blank nor l[s - 2]; beta the same from the end, without x[t]. Then
//   dx[t, c] = -dloss sum over s with l[s] = c of e^(alpha[t, s] + beta[t, s] + loss)
struct CtcArgs {
  DType dtype;               // float32 or float64
  int64_t steps, batch, classes, blank;
  int64_t places;            // 2 longest + 1
  const void* x;
  const int64_t *targets, *begin;   // all targets, and where those of each sequence begin
  const int64_t *lengths, *target_lengths;
  double* alpha;             // [batch, steps, places + 2], the first two places -inf: written forward, read backward
  double* loss;              // [batch]: written forward, read backward
  bool zero_infinity;        // backward: an infinite loss has no gradient
  const double* dloss;       // [batch]
  void* dx;
};

// ---- recurrent layers: the steps of one layer in one direction, whose sequences are sorted by falling length. In the order of
// running, step s has the first sizes[s] sequences of the batch, and its rows begin at row first[s] of every array of rows.
// With g the input's part of the gates (x @ w_ih^T + b_ih, made before) and q = h w_hh^T + b_hh of the state h before:
//   tanh, relu   h = f(g + q)
//   lstm         i, f, g, o = g + q; c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c), projected: h = h w_hr^T
//   gru          r, z = sigmoid(g + q); n = tanh(g_n + r q_n); h = (1 - z) n + z h
//   gru_before   the same with n = tanh(g_n + (r h) w_hn^T + b_hn): the reset comes before the product
enum class Rnn : uint8_t { tanh, relu, lstm, gru, gru_before };

struct RnnArgs {
  Rnn cell;
  DType dtype;                               // of everything: float32 or float64
  int64_t steps, batch, hidden, output;      // output: of h; other than hidden where an lstm projects it
  const int64_t *sizes, *first;
  const void *w_hh, *b_hh, *w_hr;            // [gates * hidden, output], [gates * hidden] or null, [output, hidden] or null
  const void *h0, *c0;                       // [batch, output], [batch, hidden]; null: zeros
  const void *x; int64_t x_row, in;          // forward: null, or the rows of the input, and g is made of them on the way
  const void *w_ih, *b_ih;                   // [gates * hidden, in], [gates * hidden] or null; read beside x
  // Forward: g in (without x), and out what backward reads where `keep`: lstm i f g o, gru r z n q_n, gru_before r z n (r h), four parts
  // in a row of gates_row; tanh and relu: y itself.
  bool keep;
  void* gates; int64_t gates_row;
  void* y; int64_t y_row;                    // h of every row
  void* c;                                   // lstm, where `keep`: [rows, hidden]
  void* unprojected;                         // [rows, hidden] of a projected lstm
  void *h_n, *c_n;                           // [batch, output], [batch, hidden]: after each sequence's last step
  // Backward, from all of these:
  const void* dy; int64_t dy_row;            // null: zeros, as dh_n and dc_n
  const void *dh_n, *dc_n;
  void* dgates;                              // of g: lstm [rows, 4 hidden], tanh and relu [rows, hidden], gru_before [rows, 3 hidden];
                                             // gru [rows, 4 hidden], the last part being that of q_n
  void* dprojected;                          // [rows, output], of a projected lstm: all that reaches h
  void* h_before;                            // [rows, output]: the state before each row; null: not wanted
  void *dh0, *dc0;                           // [batch, output], [batch, hidden]
};

// ---- random: element i of the draw `offset` under `seed` (kernels/philox.h says which bits)
enum class Random : uint8_t { uniform, normal, bernoulli, integers, exponential, dropout, log_normal, cauchy, geometric, raw, count };

struct RandomArgs {
  Random op;
  Loop loop;           // operand 0: result; 1: probabilities or dropout's input where there is one. Element numbers
  uint64_t seed;       // follow the loop's logical order in `order` strides (elements, innermost first)
  uint64_t offset;
  int64_t order[kMaxDims];
  double a, b;         // uniform bounds, mean and std, probability, ...
  int64_t low;
  uint64_t range;      // integers: low + bits * range / 2^32 or 2^64 (philox.h); 0 stands for 2^64
};

// ---- creation: element i of a C-ordered result. Integral: first + i * stride, wrapping. Otherwise start + i * step, made
// in float64; `mirrored` counts the second half back from `end`, so that both ends are exact.
struct RangeArgs {
  DType dtype;
  void* y;
  int64_t n;
  bool integral, mirrored;
  int64_t first, stride;
  double start, step, end;
};

// Matrices [batch, m, n] in C order, zero on one side of a diagonal: `upper` keeps columns from i + diagonal on, else
// those up to it. x may be y.
struct TriangleArgs {
  DType dtype;
  const void* x;
  void* y;
  int64_t batch, m, n, diagonal;
  bool upper;
};

// ---- indexing: the part of x that positions choose, moved out of x or into it. The loop goes over the part. Operand 0: x, with
// stride 0 along the dimensions that the positions go over; 1: the part, of x's dtype; 2: int64 positions, counted in steps
// of `step` bytes. They lie within x: the op has looked. Where a position comes twice, the later element of the loop has the
// last word, and elements are combined in the loop's order.
enum class Combine : uint8_t { replace, add, multiply, greatest, least };

struct IndexArgs {
  Loop loop;
  int64_t step;
  Combine combine;     // of index_put; float16 and bfloat16 are only replaced
};

// Positions along several dimensions as one: offsets (operand 0, int64) = or += wrapped(operand 1, int64) * stride.
struct OffsetsArgs {
  Loop loop;
  int64_t size;        // of the dimension: a negative position counts from its end
  int64_t stride;
  bool first;          // = and not +=
};

// The positions of elements other than zero, in C order. nonzero_count fills `counts` (nonzero_scratch bytes) and gives
// their number; nonzero, with the same counts, writes coordinate d of the i-th to out[i * row_step + d * dim_step].
struct NonzeroArgs {
  DType dtype;
  const void* x;       // in C order
  int64_t n;
  int ndim;            // at least 1
  int64_t sizes[kMaxDims];
  int64_t* counts;
  int64_t* out;
  int64_t row_step, dim_step;
};

// ---- sorting along rows of n < 2^32 elements, stable, a NaN behind everything. `ranks`: those of rank first ... first + count - 1
// in order. median (the lower one; NaN where there is one), nanmedian and mode (the last of the commonest, of those the
// least) have a count of 1.
enum class Order : uint8_t { ranks, median, nanmedian, mode };

struct SortArgs {
  Order order;
  bool descending;
  Loop loop;           // operand 0: values, 1: input, 2: int64 indices; the sorted dimension taken out
  int64_t n, first, count;
  int64_t out_stride, x_stride, index_stride;   // along the sorted dimension, in bytes
};

// The order of n rows of m elements, in C order, compared lexicographically; `room` has as many places as `order`.
struct SortRowsArgs {
  DType dtype;
  int64_t n, m;
  const void* x;
  int64_t *order, *room;
};

// Where m values a row would go in n sorted ones, both in C order: before their equals, or behind them (right).
struct SearchArgs {
  DType dtype;
  int64_t rows, n, m;
  const void* sorted;
  const void* values;
  const int64_t* sorter;  // the order that sorts `sorted`; null where it is sorted
  void* out;              // int64, or int32 (narrow)
  bool shared;            // all rows are searched in the first row of `sorted`
  bool right, narrow;
};

// ---- normalisation. Statistics, weights and biases are of the compute type: float64 for float64, else float32.
// Rows: each of x [rows, n], in C order, by its own mean and rstd = 1 / sqrt(variance + eps); not centred (rms), the mean
// is 0 and the mean square stands for the variance. Element j of row i has the weight
// weight[i % groups * (n / inner) + j / inner].
struct RowNormArgs {
  DType dtype;
  int64_t rows, n, inner, groups;
  bool centred;
  double eps;
  const void *x, *weight, *bias;          // weight and bias may be null
  void *y, *mean, *rstd;                  // mean (null where not centred) and rstd are written forward, read backward
  const void* residual;                   // CPU: where not null, sum = x + residual is written and stands for x
  void* sum;
  const void *dy, *dsum;                  // backward; dsum, which dx takes along, may be null
  void *dx, *dweight, *dbias;             // null where not wanted; dbias only beside dweight
};

// Channels: x [batch, channels, inner] in C order, each channel by its mean and rstd over batch and inner.
struct ChannelNormArgs {
  DType dtype;
  int64_t batch, channels, inner;
  const void *x, *weight, *bias;          // weight and bias may be null
  const void *mean, *rstd;
  void* y;
  void *moment[2];                        // channel_moments writes mean and (biased) variance here
  const void* dy;                         // backward
  bool training;                          // mean and rstd came from x and depend on it
  void *dx, *dweight, *dbias;             // null where not wanted
};

// ---- attention: y = softmax(scale q k^T + mask) v, for every batch index and each of `group` matrices of queries that
// share keys and values. A score whose mask is false, or with `causal` whose key comes after its query (j > i), is -inf;
// a row of nothing else gives 0. With dropout, element i of the draw `offset` under `seed`, counted over [batch, group,
// queries, keys], says whether a weight is kept, as for Random::dropout.
struct AttentionMatrix {                         // [batch..., group, rows, columns]
  void* data;                                    // null for none
  int64_t batch[kMaxDims], group, row, column;   // strides in elements; `column` is 1 for all but the mask
};

struct AttentionArgs {
  DType dtype, mask_dtype;                       // mask: bool, dtype, or float32
  int batch_dims;
  int64_t batch_sizes[kMaxDims];                 // innermost first
  int64_t batch, group, queries, keys;           // batch: the product of batch_sizes
  int64_t width, value_width;                    // columns of q and k; of v and y
  double scale, dropout;
  uint64_t seed, offset;
  bool causal;
  AttentionMatrix q, k, v, mask, y;
  void* lse;                                     // [batch, group, queries], compute type: log2 of the sum of exponentials, inf where
                                                 // there are none; written forward, read backward
  AttentionMatrix dy, dq, dk, dv;                // backward: y is an input too; dk and dv have no group
};

// ---- the loss of class numbers: x [batch, classes, inner] and target [batch, inner] in C order. With t the target,
// w the weights (of the compute type, 1 where null) and s the smoothing:
//   loss = (1 - s) w[t] (lse - x[t]) + s / classes sum_c(w[c] (lse - x[c]))     lse = log(sum_c(exp(x[c])))
// Without `logits`, x holds logarithms of probabilities: lse is 0, and s too. The loss of a target that is `ignored` is 0.
struct ClassLossArgs {
  DType dtype;
  int64_t batch, classes, inner;
  const void *x, *weight;
  const int64_t* target;
  int64_t ignored;
  bool logits, mean;
  double smoothing;
  void* lse;                              // [batch, inner], compute type: written forward, read backward
  void* loss;                             // [batch, inner]; or, where `total` is not null, one element: their sum or mean
  void* total;                            // the sum of w[t], one element of the compute type; null: nothing is summed
  const void* dloss;                      // backward: as loss
  void* dx;
};

// ---- singular values, greatest first: x [m, n] = u [m, n] diag(s) v^T [n, n] for each of a stack, m >= n, in C order,
// float32 or float64. `full`: u is [m, m], its further columns orthogonal to all.
struct SvdArgs {
  DType dtype;
  bool full;
  int64_t batch, m, n;
  const void* x;
  void *u, *s, *v;
};

// ---- optimizer steps: x [n] of many tensors at once, with gradients and states of x's dtype. With d = dx + weight_decay x
// (decoupled: x *= 1 - lr weight_decay, d = dx), and -dx for dx with maximize:
//   sgd       a = momentum a + (1 - dampening) d, or d where fresh; x -= lr (a, or nesterov d + momentum a); classic: lr d for d, and lr = 1
//   adam      a += (1 - beta1) (d - a); b = beta2 b + (1 - beta2) d^2; x -= step a / (sqrt(b) / root + eps), with amsgrad
//             the largest b so far, in c
//   nadam     a and b as adam; x -= (other d + step a) / (sqrt(b) / root + eps)
//   radam     a and b as adam; x -= step a root / (sqrt(b) + eps), or step a where root is 0
//   adamax    a as adam; b = max(beta2 b, |d| + eps); x -= step a / b
//   adagrad   a += d^2; x -= step d / (sqrt(a) + eps)
//   rmsprop   a = beta2 a + (1 - beta2) d^2; v = a, centered: b += (1 - beta2) (d - b), v = a - b^2
//             d /= sqrt(v) + eps; with momentum c = momentum c + d, d = c; x -= lr d
//   adadelta  a = beta2 a + (1 - beta2) d^2; d *= sqrt(b + eps) / sqrt(a + eps); b = beta2 b + (1 - beta2) d^2; x -= lr d
//   rprop     b into [low, high] after times beta2 where d and the last d, in a, agree, or beta1 where they do not (then
//             d = 0); a = d; x -= sign(d) b
//   asgd      x = root x - step d; a += other (x - a)
// and then x moves towards zero by shrink / (what divides the step above), and stops there.
//   lerp      x += lr (dx - x)
//   scale     x *= lr
//   unscale   x *= lr, and *found = 1 where a result is not finite
//   clamp     x into [-lr, lr]
enum class Optim : uint8_t { sgd, adam, nadam, radam, adamax, adagrad, rmsprop, adadelta, rprop, asgd, lerp, scale, unscale, clamp };

struct OptimTensor {
  DType dtype;
  bool fresh;
  int64_t n, first;                       // `first`: elements of the tensors before it, each rounded up to kOptimChunk
  void* x;
  const void* dx;
  void *a, *b, *c;                        // states, null where there is none
  double step, root, other;               // what depends on the number of steps
};
constexpr int64_t kOptimChunk = 8192;     // elements of one task

struct OptimArgs {
  Optim op;
  int64_t count;
  const OptimTensor* tensors;
  double lr, momentum, dampening, weight_decay, beta1, beta2, eps, low, high, shrink;
  bool nesterov, maximize, amsgrad, decoupled, classic, centered;
  int32_t* found;
};

struct Kernels {
  const char* name;    // "avx2"
  // Between devices, in bytes; null on the CPU, whose memory needs no help.
  void (*copy_bytes)(void* to, bool to_device, const void* from, bool from_device, int64_t bytes);
  void (*synchronize)();  // waits for what was given to the device; null on the CPU
  void (*unary)(Unary op, const Loop& loop, DType compute, const Params& params);
  void (*unary_backward)(Unary op, const Loop& loop, DType compute, const Params& params);  // operands dx, x, y, dy
  void (*binary)(Binary op, const Loop& loop, DType compute, const Params& params);
  void (*ternary)(Ternary op, const Loop& loop, DType compute, const Params& params);
  int64_t (*reduce_scratch)(const ReduceArgs& args);
  void (*reduce)(const ReduceArgs& args, void* scratch);
  void (*scan)(const ScanArgs& args);
  void (*softmax)(const RowsArgs& args);
  void (*softmax_backward)(const RowsArgs& args);
  void (*log_softmax)(const RowsArgs& args);
  void (*log_softmax_backward)(const RowsArgs& args);
  void (*row_norm)(const RowNormArgs& args);
  int64_t (*row_norm_backward_scratch)(const RowNormArgs& args);
  void (*row_norm_backward)(const RowNormArgs& args, void* scratch);
  int64_t (*channel_moments_scratch)(const ChannelNormArgs& args);
  void (*channel_moments)(const ChannelNormArgs& args, void* scratch);
  void (*channel_norm)(const ChannelNormArgs& args);
  int64_t (*channel_norm_backward_scratch)(const ChannelNormArgs& args);
  void (*channel_norm_backward)(const ChannelNormArgs& args, void* scratch);
  int64_t (*class_loss_scratch)(const ClassLossArgs& args);
  void (*class_loss)(const ClassLossArgs& args, void* scratch);
  void (*class_loss_backward)(const ClassLossArgs& args);
  int64_t (*svd_scratch)(const SvdArgs& args);
  void (*svd)(const SvdArgs& args, void* scratch);
  void (*optim)(const OptimArgs& args);
  int64_t (*optim_norm_scratch)(const OptimArgs& args);
  double (*optim_norm)(const OptimArgs& args, double p, void* scratch);  // of all x together
  int64_t (*gemm_scratch)(const GemmArgs& args);
  void (*gemm)(const GemmArgs& args, void* scratch);
  int64_t (*conv_scratch)(const ConvArgs& args);
  void (*conv)(const ConvArgs& args, void* scratch);
  int64_t (*conv_backward_data_scratch)(const ConvArgs& args);
  void (*conv_backward_data)(const ConvArgs& args, void* scratch);
  int64_t (*conv_backward_weight_scratch)(const ConvArgs& args);
  void (*conv_backward_weight)(const ConvArgs& args, void* scratch);
  int64_t (*attention_scratch)(const AttentionArgs& args);
  void (*attention)(const AttentionArgs& args, void* scratch);
  int64_t (*attention_backward_scratch)(const AttentionArgs& args);
  void (*attention_backward)(const AttentionArgs& args, void* scratch);
  void (*pool)(const PoolArgs& args);
  int64_t (*pool_backward_scratch)(const PoolArgs& args);
  void (*pool_backward)(const PoolArgs& args, void* scratch);
  void (*resample)(const ResampleArgs& args);
  void (*grid_sample)(const GridSampleArgs& args);
  void (*grid_sample_backward)(const GridSampleArgs& args);
  int64_t (*ctc_scratch)(const CtcArgs& args);
  void (*ctc)(const CtcArgs& args, void* scratch);
  void (*ctc_backward)(const CtcArgs& args, void* scratch);
  int64_t (*rnn_scratch)(const RnnArgs& args);
  void (*rnn)(const RnnArgs& args, void* scratch);
  int64_t (*rnn_backward_scratch)(const RnnArgs& args);
  void (*rnn_backward)(const RnnArgs& args, void* scratch);
  void (*random)(const RandomArgs& args);
  void (*index_range)(const Loop& loop, int64_t* range);  // the least and the greatest of the int64 in operand 0
  void (*index_offsets)(const OffsetsArgs& args);
  void (*index_get)(const IndexArgs& args);
  void (*index_put)(const IndexArgs& args);
  int64_t (*nonzero_scratch)(const NonzeroArgs& args);
  int64_t (*nonzero_count)(const NonzeroArgs& args);
  void (*nonzero)(const NonzeroArgs& args);
  int64_t (*sort_scratch)(const SortArgs& args);
  void (*sort)(const SortArgs& args, void* scratch);
  void (*sort_rows)(const SortRowsArgs& args);
  void (*search)(const SearchArgs& args);
  void (*range)(const RangeArgs& args);
  void (*triangle)(const TriangleArgs& args);
};

}  // namespace tessel
