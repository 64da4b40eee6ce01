// Attention in Python.
#include "bindings/registry.h"

namespace tessel::python {

void bind_attention() {
  add_op("scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor", &scaled_dot_product_attention,
         "softmax(scale query key^T + attn_mask) value over (..., heads, L, E), (..., heads, S, E) and (..., heads, S, Ev); scale is 1 / sqrt(E) unless given. attn_mask, broadcast to (..., heads, L, S), "
         "is added, or (bool) says where attention is allowed; is_causal allows key j to query i where j <= i. A query that may attend to nothing gives 0. Weights are dropped with probability dropout_p. "
         "enable_gqa: heads of query share those of key and value in equal groups.", kNN);
  add_op("scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False, bool return_weights) -> (Tensor, Tensor)",
         +[](const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout_p, bool is_causal, std::optional<double> scale, bool gqa, bool weights) {
    Tensor y = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal, scale, gqa);
    return weights ? wrap_one(std::tuple(y, attention_weights(q, k, mask, is_causal, scale, gqa))) : wrap(y);
  }, "", kNN);
}

}  // namespace tessel::python
