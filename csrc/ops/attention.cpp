// Scaled dot product attention: y = softmax(scale q k^T + mask) v, with dropout between the two products.
//
// One kernel forward, which keeps y and one number for each query, and one backward, which computes the weights again: neither
// holds a matrix of queries x keys. A gradient of the mask has that size itself; it, and gradients that will be
// differentiated again, are composed of recorded ops.
#include <cmath>
#include <limits>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

const char* const kName = "scaled_dot_product_attention";

// How q [..., heads, L, E], k and v [..., heads, S, ...] meet. The leading dimensions are broadcast; where k and v have one
// head and q several, the kernel takes those as a group.
struct Plan {
  double scale, dropout;
  bool causal;
  Draw draw;
  Dims lead;     // broadcast
  bool grouped;
  Dims of_rows(int64_t rows, int64_t columns, bool group = true) const {
    Dims sizes = lead;
    if (grouped && !group) sizes[sizes.size() - 1] = 1;
    sizes.push_back(rows);
    sizes.push_back(columns);
    return sizes;
  }
};

Dims lead_of(const Tensor& x) { return Dims(std::span<const int64_t>(x.sizes()).first(static_cast<size_t>(std::max<int64_t>(x.dim() - 2, 0)))); }

// The kernel's view of x as [lead..., rows, columns], with strides of 0 where it is broadcast.
AttentionMatrix matrix(const Plan& p, const Tensor& x) {
  AttentionMatrix m{};
  m.data = x.data();
  int dims = p.lead.size(), batch = dims - p.grouped, missing = dims + 2 - static_cast<int>(x.dim());
  auto stride = [&](int d) { return d < missing || x.sizes()[d - missing] == 1 ? 0 : x.strides()[d - missing]; };
  for (int d = 0; d < batch; ++d) m.batch[d] = stride(batch - 1 - d);
  m.group = p.grouped ? stride(dims - 1) : 0;
  m.row = stride(dims);
  m.column = stride(dims + 1);
  return m;
}

AttentionArgs arguments(const Plan& p, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, const Tensor& y) {
  AttentionArgs args{};
  args.dtype = q.dtype();
  args.batch = 1;
  args.batch_dims = p.lead.size() - p.grouped;
  for (int d = 0; d < args.batch_dims; ++d) args.batch *= args.batch_sizes[d] = p.lead[args.batch_dims - 1 - d];
  args.group = p.grouped ? p.lead.back() : 1;
  args.queries = q.size(-2), args.keys = k.size(-2), args.width = q.size(-1), args.value_width = v.size(-1);
  args.scale = p.scale, args.dropout = p.dropout, args.causal = p.causal;
  args.seed = p.draw.seed, args.offset = p.draw.offset;
  args.q = matrix(p, q), args.k = matrix(p, k), args.v = matrix(p, v), args.y = matrix(p, y);
  if (mask.defined()) args.mask = matrix(p, mask), args.mask_dtype = mask.dtype();
  return args;
}

int64_t work_of(const AttentionArgs& args) { return args.batch * args.group * args.queries * args.keys * (args.width + args.value_width) / 32; }

// The kernel wants columns along memory.
Tensor in_rows(const Tensor& x) { return x.size(-1) <= 1 || x.stride(-1) == 1 ? x : in_order(x); }

// A result of these sizes, with the heads within the rows where `like` has them so: what is split into heads by view and
// transpose comes back together without a copy.
Tensor empty_heads(const Dims& sizes, const Tensor& like) {
  int n = sizes.size();
  if (n < 3 || like.dim() < 3 || like.size(-3) == 1 || like.stride(-3) >= like.stride(-2)) return empty(sizes, like.dtype(), like.device());
  Dims swapped = sizes;
  std::swap(swapped[n - 3], swapped[n - 2]);
  Dims strides = contiguous_strides(swapped);
  std::swap(strides[n - 3], strides[n - 2]);
  return empty_strided(sizes, strides, like.dtype(), like.device());
}

Tensor transposed(const Tensor& x) { return transpose(x, -2, -1); }

// softmax(scale q k^T + mask) in recorded ops; a row without an open key is 0.
Tensor weights_of(double scale, bool causal, const Tensor& q, const Tensor& k, const Tensor& mask) {
  DType type = q.dtype();
  const Tensor closed_score = wrapped_number(-std::numeric_limits<double>::infinity()), zero = wrapped_number(0.0);
  Tensor scores = matmul(q * scale, transposed(k));
  if (mask.defined() && mask.dtype() != DType::bool_) scores = scores + to_dtype(mask, type);
  if (mask.defined() && mask.dtype() == DType::bool_) scores = masked_fill(scores, logical_not(mask), closed_score);
  if (causal) scores = masked_fill(scores, triu(ones({q.size(-2), k.size(-2)}, DType::bool_, q.device()), 1), closed_score);
  if (k.size(-2) == 0) return scores;
  if (!mask.defined()) return softmax(scores, -1);  // the first key is open to all
  Tensor closed = binary(Binary::eq, amax(detach(scores), Dims{-1}, true), closed_score);
  return masked_fill(softmax(masked_fill(scores, closed, zero), -1), closed, zero);
}

// The gradients in recorded ops, from weights [..., L, S] that are computed anew.
Grads attention_algebra(const Plan& p, const Tensor& dy_, const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& mask, Needs needs) {
  DType type = compute_type(q_.dtype());
  Tensor dy = to_dtype(dy_, type), q = to_dtype(q_, type), k = to_dtype(k_, type), v = to_dtype(v_, type);
  Tensor weights = weights_of(p.scale, p.causal, q, k, mask);
  Tensor kept = p.dropout > 0 ? dropout(ones(weights.sizes(), type, q.device()), p.dropout, p.draw) : Tensor();
  Tensor dweights = matmul(dy, transposed(v));
  if (kept.defined()) dweights = dweights * kept;
  Tensor dscores = weights * (dweights - sum(dweights * weights, Dims{-1}, true));
  Grads grads;
  grads.push_back(needs[0] ? matmul(dscores, k) * p.scale : Tensor());
  grads.push_back(needs[1] ? matmul(transposed(dscores), q) * p.scale : Tensor());
  grads.push_back(needs[2] ? matmul(transposed(kept.defined() ? weights * kept : weights), dy) : Tensor());
  grads.push_back(needs[3] ? dscores : Tensor());
  return grads;
}

Grads attention_backward(const Plan& p, const Tensor& dy_, const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& mask, const Tensor& y, const Tensor& lse, Needs needs) {
  if (grad_enabled() || needs[3]) return attention_algebra(p, dy_, q_, k_, v_, mask, needs);
  Tensor dy = in_rows(dy_), q = in_rows(q_), k = in_rows(k_), v = in_rows(v_), dq, dk, dv;
  AttentionArgs args = arguments(p, q, k, v, mask, y);
  args.dy = matrix(p, dy), args.lse = lse.data();
  if (needs[0]) dq = empty_heads(p.of_rows(args.queries, args.width), q), args.dq = matrix(p, dq);
  if (needs[1]) dk = empty_heads(p.of_rows(args.keys, args.width, false), k), args.dk = matrix(p, dk);
  if (needs[2]) dv = empty_heads(p.of_rows(args.keys, args.value_width, false), v), args.dv = matrix(p, dv);
  Scratch scratch(kernels(q).attention_backward_scratch(args), q.device());
  run("scaled_dot_product_attention_backward", q, work_of(args) * 3, kernels(q).attention_backward, args, scratch.data());
  Grads grads{dq, dk, dv};
  grads.push_back(Tensor());
  return grads;
}

Tensor attend(const Plan& p, const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& mask) {
  Tensor q = in_rows(q_), k = in_rows(k_), v = in_rows(v_), y = empty_heads(p.of_rows(q.size(-2), v.size(-1)), q), lse;
  AttentionArgs args = arguments(p, q, k, v, mask, y);
  if (wants_grad({q_, k_, v_, mask})) {
    Dims sizes = p.lead;
    sizes.push_back(args.queries);
    lse = empty(sizes, compute_type(q.dtype()), q.device());
    args.lse = lse.data();
  }
  {
    Scratch scratch(kernels(q).attention_scratch(args), q.device());
    run(kName, y, work_of(args), kernels(q).attention, args, scratch.data());
  }
  if (Node* node = record(kName, y, {q_, k_, v_, mask}))
    node->backward = [p, lse, q = Saved(q_), k = Saved(k_), v = Saved(v_), mask = mask.defined() ? Saved(mask) : Saved(), y = SavedOutput(y)](const Tensor& dy, Needs needs) -> Grads {
      return attention_backward(p, dy, q(), k(), v(), mask ? mask() : Tensor(), y(), lse, needs);
    };
  return y;
}

// [..., heads, rows, columns] as [..., heads / group, group, rows, columns].
Tensor in_groups(const Tensor& x, int64_t group) {
  Dims sizes = x.sizes();
  int64_t at = x.dim() - 3;
  sizes[at] /= group;
  sizes.insert(at + 1, group);
  return reshape(x, sizes);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  check(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2, kName, ": Expected query, key, and value to all be at least 2 dimensional, but got query.dim: ", q.dim(), " key.dim: ", k.dim(), " and value.dim: ", v.dim(), " instead");
  check(q.dtype() == k.dtype() && q.dtype() == v.dtype(), kName, ": Expected query, key, and value to have the same dtype, but got query.dtype: ", q.dtype(), " key.dtype: ", k.dtype(), " and value.dtype: ", v.dtype(), " instead");
  check(q.device() == k.device() && q.device() == v.device(), kName, ": Expected query, key, and value to be on the same device");
  check(is_floating(q.dtype()), kName, ": expected a floating point type, but got ", q.dtype());
  check(q.size(-1) == k.size(-1), kName, ": query and key differ in their last size: ", q.size(-1), " and ", k.size(-1), " (query is ", q.sizes(), ", key is ", k.sizes(), ")");
  check(k.size(-2) == v.size(-2), kName, ": key has ", k.size(-2), " rows but value has ", v.size(-2), " (key is ", k.sizes(), ", value is ", v.sizes(), ")");
  check(dropout_p >= 0 && dropout_p <= 1, kName, ": dropout probability has to be between 0 and 1, but got ", dropout_p);
  if (enable_gqa) {
    for (const Tensor* x : {&q, &k, &v}) check_index(x->dim() >= 3, kName, ": enable_gqa needs a dimension of heads, but got ", x->sizes());
    int64_t heads = q.size(-3), of_k = k.size(-3), of_v = v.size(-3);
    check(of_k > 0 && of_v > 0 && heads % of_k == 0 && heads % of_v == 0, kName, ": Number of heads in key and value must divide the number of heads in query, but got ", of_k, ", ", of_v, " and ", heads);
    if (of_k == of_v && of_k > 1 && of_k < heads) {
      int64_t group = heads / of_k;
      Tensor m = mask;  // which knows nothing of groups
      if (mask.defined() && mask.dim() >= 3) m = mask.size(-3) == heads ? in_groups(mask, group) : unsqueeze(mask, -3);
      Tensor y = scaled_dot_product_attention(in_groups(q, group), unsqueeze(k, -3), unsqueeze(v, -3), m, dropout_p, is_causal, scale);
      Dims sizes = y.sizes();
      sizes.erase(y.dim() - 4);
      sizes[sizes.size() - 3] = heads;
      return reshape(y, sizes);
    }
    if (of_k != of_v) {
      auto repeated = [heads](const Tensor& x) { return x.size(-3) == 1 ? x : repeat_interleave(x, heads / x.size(-3), x.dim() - 3); };
      return scaled_dot_product_attention(q, repeated(k), repeated(v), mask, dropout_p, is_causal, scale);
    }
  }
  Plan p{};
  p.lead = broadcast(kName, lead_of(q), broadcast(kName, lead_of(k), lead_of(v)));
  p.grouped = !p.lead.empty() && p.lead.back() > 1 && (k.dim() < 3 || k.size(-3) == 1) && (v.dim() < 3 || v.size(-3) == 1);
  p.scale = scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1))));
  p.dropout = dropout_p, p.causal = is_causal;
  if (mask.defined()) {
    check(mask.dtype() == DType::bool_ || mask.dtype() == DType::float32 || mask.dtype() == q.dtype(), kName, ": Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ", mask.dtype(), " and query.dtype: ", q.dtype(), " instead");
    Dims scores = p.of_rows(q.size(-2), k.size(-2));
    bool fits = mask.dim() <= scores.size();
    for (int d = 1; fits && d <= mask.dim(); ++d) fits = mask.size(-d) == 1 || mask.size(-d) == scores[scores.size() - d];
    check(fits, kName, ": attn_mask of size ", mask.sizes(), " cannot be broadcast to the scores of size ", scores);
  }
  if (dropout_p > 0) p.draw = default_generator().draw();
  return attend(p, q, k, v, mask);
}

Tensor attention_weights(const Tensor& q, const Tensor& k_, const Tensor& mask, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  Tensor k = enable_gqa && k_.size(-3) != q.size(-3) ? repeat_interleave(k_, q.size(-3) / k_.size(-3), k_.dim() - 3) : k_;
  DType type = compute_type(q.dtype());
  double by = scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1))));
  return to_dtype(weights_of(by, is_causal, to_dtype(q, type), to_dtype(k, type), mask), q.dtype());
}

}  // namespace tessel
