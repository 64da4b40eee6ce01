"""Attention with several heads: MultiheadAttention, and its functional form, which nn.functional takes from here."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from . import init
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention"]

_attend = _C._nn.scaled_dot_product_attention
_linear = _C._nn.linear
_NAME = "multi_head_attention_forward"


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear; of its own name, which PyTorch shows."""


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> None:
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError(f"{_NAME}: query should be unbatched 2D or batched 3D, but is {dims}-D")
    if key.dim() != dims or value.dim() != dims:
        raise AssertionError(
            f"{_NAME}: for a {dims}-D query expected key and value to be {dims}-D, but found {key.dim()}-D and "
            f"{value.dim()}-D tensors respectively"
        )
    if padding is not None and padding.dim() != dims - 1:
        raise AssertionError(
            f"{_NAME}: for a {dims}-D query expected key_padding_mask to be None or {dims - 1}-D but found a "
            f"{padding.dim()}-D tensor"
        )
    if mask is not None and mask.dim() not in (2, 3):
        raise RuntimeError(f"{_NAME}: attn_mask's dimension {mask.dim()} is not supported")
    for name, given in (("key_padding_mask", padding), ("attn_mask", mask)):
        if given is not None and given.dtype != _C.bool and not given.is_floating_point():
            raise AssertionError(
                f"{_NAME}: only bool and floating types of {name} are supported, but got {given.dtype}"
            )


def _additive(closed: Tensor, dtype: Any) -> Tensor:
    """A mask to be added: of bool, -inf where it is true."""
    if closed.dtype != _C.bool:
        return closed.to(dtype)
    return _C.zeros(closed.shape, dtype=dtype, device=closed.device).masked_fill_(closed, float("-inf"))


def _merged(padding: Tensor | None, mask: Tensor | None, dtype: Any) -> Tensor | None:
    """Both masks in one, of broadcast shape; true is closed, and so is -inf."""
    if padding is None or mask is None:
        return mask if padding is None else padding
    if padding.dtype == _C.bool and mask.dtype == _C.bool:
        return padding | mask
    return _additive(padding, dtype) + _additive(mask, dtype)


def _split(projected: Tensor, heads: int, batch_first: bool) -> Tensor:
    """(n, l, e), or (l, n, e), as (n, heads, l, e / heads), which is a view."""
    x = projected.view(*projected.shape[:2], heads, projected.shape[2] // heads)
    return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Tensor | tuple[Tensor, ...],
    bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three projections, in one product where they have the same input."""
    if isinstance(weights, tuple):
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        q, k, v = (_linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
        return q, k, v
    if query is key and key is value:
        q, k, v = _linear(query, weights, bias).chunk(3, -1)
        return q, k, v
    if key is value:
        e = weights.shape[0] // 3
        w, rest = weights.split([e, 2 * e])
        b, more = (None, None) if bias is None else bias.split([e, 2 * e])
        k, v = _linear(key, rest, more).chunk(2, -1)
        return _linear(query, w, b), k, v
    return _project(query, key, value, tuple(weights.chunk(3)), bias)


def _multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    weights: Tensor | tuple[Tensor, ...],
    bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_weight: Tensor,
    out_bias: Tensor | None,
    key_padding_mask: Tensor | None,
    need_weights: bool,
    attn_mask: Tensor | None,
    static_k: Tensor | None,
    static_v: Tensor | None,
    average_attn_weights: bool,
    is_causal: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor | None]:
    """What module and function share, for either order of batch and length."""
    _check_shapes(query, key, value, key_padding_mask, attn_mask)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            f"{_NAME}: Need attn_mask if specifying the is_causal hint; "
            "Transformer.generate_square_subsequent_mask makes one"
        )
    batched = query.dim() == 3
    if not batched:
        query, key, value = _shared((query, key, value), lambda x: x.unsqueeze(0 if batch_first else 1))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    long, wide = (1, 0) if batch_first else (0, 1)
    n, queries = query.shape[wide], query.shape[long]
    keys = key.shape[long] if static_k is None else static_k.shape[1]
    if key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"{_NAME}: key of {tuple(key.shape)} does not match value of {tuple(value.shape)}")
    q, k, v = _project(query, key, value, weights, bias)
    # A mask of the batch's own or of each head's; with the hint, whose mask is known, the kernel goes without it.
    if attn_mask is not None:
        expected = (queries, keys) if attn_mask.dim() == 2 else (n * heads, queries, keys)
        if tuple(attn_mask.shape) != expected:
            raise RuntimeError(
                f"{_NAME}: The shape of the {attn_mask.dim()}D attn_mask is {tuple(attn_mask.shape)}, "
                f"but should be {expected}."
            )
    causal = is_causal and not need_weights and keys == queries
    causal = causal and bias_k is None and not add_zero_attn and static_k is None and static_v is None
    if causal:
        attn_mask = None
    if bias_k is not None and bias_v is not None:
        k = _C.cat([k, bias_k.expand(n, 1, -1) if batch_first else bias_k.expand(1, n, -1)], long)
        v = _C.cat([v, bias_v.expand(n, 1, -1) if batch_first else bias_v.expand(1, n, -1)], long)
    k = _split(k, heads, batch_first) if static_k is None else _static("static_k", static_k, n, heads, q)
    v = _split(v, heads, batch_first) if static_v is None else _static("static_v", static_v, n, heads, q)
    q = _split(q, heads, batch_first)
    more = int(bias_k is not None) + int(add_zero_attn)
    if add_zero_attn:
        k, v = (_C.cat([x, x.new_zeros(*x.shape[:2], 1, x.shape[3])], 2) for x in (k, v))
    if more and attn_mask is not None:
        attn_mask = _C._nn.pad(attn_mask, (0, more))
    if key_padding_mask is not None:
        if more:
            key_padding_mask = _C._nn.pad(key_padding_mask, (0, more))
        if tuple(key_padding_mask.shape) != (n, k.shape[2]):
            raise AssertionError(
                f"{_NAME}: expected key_padding_mask of {(n, k.shape[2] - more)}, "
                f"but got {(key_padding_mask.shape[0], key_padding_mask.shape[1] - more)}"
            )
        key_padding_mask = key_padding_mask.view(n, 1, 1, k.shape[2])
    if attn_mask is not None and attn_mask.dim() == 3:
        attn_mask = attn_mask.view(n, heads, *attn_mask.shape[1:])
    mask = _merged(key_padding_mask, attn_mask, q.dtype)
    if need_weights:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        scores = scores if mask is None else scores + _additive(mask, q.dtype)
        shares = _C._nn.dropout(scores.softmax(-1), dropout_p) if dropout_p > 0 else scores.softmax(-1)
        y = shares @ v
    else:
        shares = None
        mask = ~mask if mask is not None and mask.dtype == _C.bool else mask
        y = _attend(q, k, v, mask, dropout_p, causal)
    y = y.transpose(1, 2) if batch_first else y.permute(2, 0, 1, 3)
    y = _linear(y.reshape(*y.shape[:2], -1), out_weight, out_bias)
    if shares is not None and average_attn_weights:
        shares = shares.mean(1)
    if not batched:
        y = y.squeeze(wide)
        shares = None if shares is None else shares.squeeze(0)
    return y, shares


def _static(name: str, x: Tensor, n: int, heads: int, q: Tensor) -> Tensor:
    """Keys or values given as (n * heads, s, e / heads)."""
    width = q.shape[-1] // heads
    if x.shape[0] != n * heads or x.shape[2] != width:
        raise AssertionError(f"{_NAME}: expecting {name} of ({n * heads}, s, {width}), but got {tuple(x.shape)}")
    return x.view(n, heads, *x.shape[1:])


def _shared(tensors: tuple[Tensor, Tensor, Tensor], function: Any) -> tuple[Tensor, Tensor, Tensor]:
    """function of each; what is one tensor stays one, so that it is projected at once."""
    query, key, value = tensors
    q = function(query)
    k = q if key is query else function(key)
    return q, k, q if value is query else k if value is key else function(value)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """concat(softmax(q_h k_h^T / sqrt(e / heads) + mask) v_h for each head h) w_out^T + b_out.

    Shapes: query (l, n, e) or (l, e), key and value (s, n, *) or (s, *); the result is as query. With `need_weights`
    also the weights, (n, l, s) in the mean over heads, or (n, heads, l, s). key_padding_mask (n, s) and attn_mask
    (l, s) or (n * heads, l, s) are added, or (bool) true where attention is forbidden. `is_causal` is a hint: attn_mask
    is the causal one, and need not be read. Source: Vaswani et al., "Attention Is All You Need", 2017.
    """
    if query.shape[-1] != embed_dim_to_check:
        raise AssertionError(
            f"{_NAME}: was expecting embedding dimension of {embed_dim_to_check}, but got {query.shape[-1]}"
        )
    if num_heads <= 0 or embed_dim_to_check % num_heads:
        raise AssertionError(f"{_NAME}: embed_dim {embed_dim_to_check} not divisible by num_heads {num_heads}")
    if (bias_k is None) != (bias_v is None):
        raise AssertionError(f"{_NAME}: bias_k and bias_v must be given together")
    if bias_k is not None and not (static_k is None and static_v is None):
        raise AssertionError(f"{_NAME}: bias cannot be added to static key or value.")
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None for w in weights):
            raise AssertionError(
                f"{_NAME}: use_separate_proj_weight needs q_proj_weight, k_proj_weight and v_proj_weight"
            )
    else:
        weights = in_proj_weight
        if weights is None:
            raise AssertionError(f"{_NAME}: use_separate_proj_weight is False but in_proj_weight is None")
        if key.shape != value.shape:
            raise AssertionError(
                f"{_NAME}: key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}"
            )
    return _multi_head_attention(
        query,
        key,
        value,
        num_heads,
        weights,
        in_proj_bias,
        bias_k,
        bias_v,
        add_zero_attn,
        dropout_p if training else 0.0,
        out_proj_weight,
        out_proj_bias,
        key_padding_mask,
        need_weights,
        attn_mask,
        static_k,
        static_v,
        average_attn_weights,
        is_causal,
        batch_first=False,
    )


class MultiheadAttention(Module):
    """concat(softmax(q_h k_h^T / sqrt(e / heads) + mask) v_h for each head h) w_out^T + b_out, q = query w_q^T + b_q.

    Shapes: query and the result (l, n, e), key (s, n, kdim), value (s, n, vdim); with `batch_first` n comes first; one
    sequence may come without n. in_proj_weight (3 e, e) where all widths are e, else q_proj_weight (e, e),
    k_proj_weight (e, kdim), v_proj_weight (e, vdim), drawn uniform after Glorot; in_proj_bias (3 e,) is 0.

    Args:
        dropout: the share of the weights that is dropped in training.
        add_bias_kv: a learned key and value behind every sequence.
        add_zero_attn: a key and value of zeros behind every sequence.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "MultiheadAttention: embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"MultiheadAttention: embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def parameter(*shape: int) -> Parameter:
            return Parameter(_C.empty(shape, device=device, dtype=dtype))

        same = self._qkv_same_embed_dim
        widths = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
        if same:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
        for name, width in widths.items():
            self.register_parameter(f"{name}_proj_weight", None if same else parameter(embed_dim, width))
        if not same:
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for weight in (self.bias_k, self.bias_v):
            if weight is not None:
                init.xavier_normal_(weight)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The attended values, and the weights (None without `need_weights`, which is faster).

        key_padding_mask (n, s) and attn_mask (l, s) or (n * heads, l, s) are added to the scores, or (bool) true where
        attention is forbidden. `is_causal` is a hint that attn_mask is the causal one.
        """
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(
                f"MultiheadAttention: was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}"
            )
        same = self._qkv_same_embed_dim
        return _multi_head_attention(
            query,
            key,
            value,
            self.num_heads,
            self.in_proj_weight if same else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight),
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout if self.training else 0.0,
            self.out_proj.weight,
            self.out_proj.bias,
            key_padding_mask,
            need_weights,
            attn_mask,
            None,
            None,
            average_attn_weights,
            is_causal,
            batch_first=self.batch_first,
        )

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one for the scores (n, heads, l, s), and its type: 0 attn_mask, 1 key_padding_mask, 2 both."""
        kind = 1 if key_padding_mask is not None else None
        merged = key_padding_mask
        if attn_mask is not None:
            n, length = query.shape[:2]
            kind = 2
            dims = attn_mask.dim()
            merged = attn_mask.view(n, -1, length, length) if dims == 3 else attn_mask.view(1, 1, length, length)
            merged = merged.expand(n, self.num_heads, -1, -1)
            if key_padding_mask is not None:
                merged = merged + key_padding_mask.view(n, 1, 1, length).expand(-1, self.num_heads, -1, -1)
        return merged, kind
