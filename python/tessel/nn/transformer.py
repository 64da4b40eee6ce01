"""Transformer, and the encoder and decoder layers it is made of."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .. import _C
from .._C import Tensor
from . import functional as F
from . import init
from .container import ModuleList
from .dropout import Dropout
from .fusion import activation_of, add_norm, run_together
from .linear import Linear
from .module import Module
from .multihead import MultiheadAttention
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _activation(given: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return F.relu if given == "relu" else F.gelu


def _causal_mask(length: int, device: Any = None, dtype: Any = None) -> Tensor:
    return _C.full((length, length), float("-inf"), device=device, dtype=dtype).triu(1)


def _is_causal(mask: Tensor | None, told: bool | None, length: int) -> bool:
    """Whether the mask is the causal one: as told, else by looking."""
    if told is not None or mask is None:
        return bool(told)
    if tuple(mask.shape) != (length, length):
        return False
    if mask.dtype == _C.bool:
        return _C.equal(mask, _C.ones_like(mask).triu(1))
    return _C.equal(mask, _causal_mask(length, mask.device, mask.dtype))


def _clones(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What encoder and decoder layers share: the feed-forward part, and where the norms stand."""

    norm_first: bool
    activation: Callable[[Tensor], Tensor]

    def _add_feed_forward(
        self, d_model: int, dim_feedforward: int, dropout: float, bias: bool, device: Any, dtype: Any
    ) -> None:
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, device=device, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, device=device, dtype=dtype)

    def _add_norms(
        self, count: int, d_model: int, eps: float, dropout: float, bias: bool, device: Any, dtype: Any
    ) -> None:
        for i in range(1, count + 1):
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=eps, bias=bias, device=device, dtype=dtype))
        for i in range(1, count + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _feed_forward(self, x: Tensor) -> Tensor:
        together = activation_of(self.linear1, self.activation)
        hidden = self.activation(self.linear1(x)) if together is None else run_together(self.linear1, together, x)
        return self.linear2(self.dropout(hidden))

    def _residual(self, x: Tensor, *parts: tuple[Callable[[Tensor], Tensor], Module, Module]) -> Tensor:
        """x + part(x) for each (part, norm, dropout), normalised after the sum or (norm_first) before the part."""
        if not self.norm_first:
            for part, norm, dropout in parts:
                x, _ = add_norm(x, dropout(part(x)), norm)
            return x
        y = parts[0][1](x)
        for (part, _, dropout), (_, norm, _) in pairwise(parts):  # each sum is what the next norm takes
            y, x = add_norm(x, dropout(part(y)), norm)
        part, _, dropout = parts[-1]
        return x + dropout(part(y))


class TransformerEncoderLayer(_Layer):
    """x = norm1(x + self_attn(x)); x = norm2(x + linear2(activation(linear1(x)))).

    Shapes: (l, n, d_model), with `batch_first` (n, l, d_model), or without n. With `norm_first` each norm stands before
    its part instead of behind the sum. In training, parts and hidden activations are dropped with probability
    `dropout`. `activation`: "relu", "gelu" or a function.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, device=device, dtype=dtype
        )
        self._add_feed_forward(d_model, dim_feedforward, dropout, bias, device, dtype)
        self.norm_first = norm_first
        self._add_norms(2, d_model, layer_norm_eps, dropout, bias, device, dtype)
        self.activation = _activation(activation)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The layer's output; masks as MultiheadAttention takes them."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._residual(src, (attend, self.norm1, self.dropout1), (self._feed_forward, self.norm2, self.dropout2))


class TransformerDecoderLayer(_Layer):
    """x = norm1(x + self_attn(x)); x = norm2(x + multihead_attn(x, memory)); x = norm3(x + feed_forward(x)).

    Shapes: tgt (l, n, d_model) and memory (s, n, d_model), with `batch_first` n comes first, or without n. The other
    arguments are those of TransformerEncoderLayer.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name in ("self_attn", "multihead_attn"):
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, device=device, dtype=dtype
            )
            setattr(self, name, attention)
        self._add_feed_forward(d_model, dim_feedforward, dropout, bias, device, dtype)
        self.norm_first = norm_first
        self._add_norms(3, d_model, layer_norm_eps, dropout, bias, device, dtype)
        self.activation = _activation(activation)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The layer's output; masks as MultiheadAttention takes them."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def attend_memory(x: Tensor) -> Tensor:
            mask, padding = memory_mask, memory_key_padding_mask
            return self.multihead_attn(x, memory, memory, padding, False, mask, is_causal=memory_is_causal)[0]

        return self._residual(
            tgt,
            (attend, self.norm1, self.dropout1),
            (attend_memory, self.norm2, self.dropout2),
            (self._feed_forward, self.norm3, self.dropout3),
        )


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer, one after the other, and a norm behind them if there is one.

    enable_nested_tensor and mask_check are accepted for PyTorch's sake: padding is masked, never cut out.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = False
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The last layer's output. `is_causal` None: the mask is compared with the causal one."""
        first = self.layers[0].self_attn if len(self.layers) else None
        length = src.shape[-2] if src.dim() == 2 or getattr(first, "batch_first", False) else src.shape[0]
        causal = _is_causal(mask, is_causal, length)
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """`num_layers` copies of a decoder layer, one after the other, and a norm behind them if there is one."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The last layer's output. `tgt_is_causal` None: the mask is compared with the causal one."""
        first = self.layers[0].self_attn if len(self.layers) else None
        length = tgt.shape[-2] if tgt.dim() == 2 or getattr(first, "batch_first", False) else tgt.shape[0]
        causal = _is_causal(tgt_mask, tgt_is_causal, length)
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder, each with a LayerNorm behind its layers.

    Shapes: src (s, n, d_model), tgt and the result (l, n, d_model); with `batch_first` n comes first, or without n. All
    matrices are drawn uniform after Glorot. The arguments are those of TransformerEncoderLayer; custom_encoder and
    custom_decoder take the place of the usual ones.

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            self.encoder = TransformerEncoder(
                TransformerEncoderLayer(*layer, device=device, dtype=dtype), num_encoder_layers, norm()
            )
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            self.decoder = TransformerDecoder(
                TransformerDecoderLayer(*layer, device=device, dtype=dtype), num_decoder_layers, norm()
            )
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoder's output for tgt, which sees the encoder's for src; masks as MultiheadAttention takes them."""
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(
                "Transformer: the batch number of src and tgt must be equal, "
                f"got {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                "Transformer: the feature number of src and tgt must be equal to d_model "
                f"{self.d_model}, got {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(sz, sz) of 0 where j <= i and -inf elsewhere: position i may attend to those up to itself."""
        return _causal_mask(sz, device, dtype)

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)
