"""SinusoidalPositionalEncoding: where in a sequence an element stands, as sines and cosines."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from . import functional as F
from .module import Module

__all__ = ["SinusoidalPositionalEncoding"]


class SinusoidalPositionalEncoding(Module):
    """x + p, with p[t, 2i] = sin(t / base^(2i / d)) and p[t, 2i + 1] = cos(the same): x (t, n, d), (n, t, d) with
    `batch_first`, or (t, d); then dropout.

    Angles are computed in float64: at positions of 10^5 float32 has lost their digits. An odd d_model ends with a sine.
    Nothing is learned or saved, and sequences may be of any length. A call's `offset` is the position of the first
    element, for sequences that come in pieces.

    Source: Vaswani et al., "Attention is all you need", 2017.
    """

    def __init__(self, d_model: int, dropout: float = 0.0, batch_first: bool = False, base: float = 10000.0) -> None:
        super().__init__()
        if d_model <= 0:
            raise ValueError(f"SinusoidalPositionalEncoding: d_model must be positive, not {d_model}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"SinusoidalPositionalEncoding: dropout must be between 0 and 1, not {dropout}")
        self.d_model = d_model
        self.dropout = dropout
        self.batch_first = batch_first
        self.base = base
        self._made: tuple[Any, Tensor] | None = None  # the last table, and what it was made for

    def encoding(self, positions: Tensor) -> Tensor:
        """The codes of these positions, which may be fractions: (*) to (*, d_model), float64."""
        place = _C.arange(self.d_model, dtype=_C.float64, device=positions.device)
        even = place - place % 2
        angle = positions.to(_C.float64).unsqueeze(-1) * self.base ** (-even / self.d_model)
        return _C.where(place % 2 == 0, angle.sin(), angle.cos())

    def _table(self, length: int, offset: int, like: Tensor) -> Tensor:
        wanted = (length, offset, like.dtype, like.device)
        if self._made is None or self._made[0] != wanted:
            codes = self.encoding(_C.arange(offset, offset + length, device=like.device))
            self._made = (wanted, codes.to(like.dtype))
        return self._made[1]

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        if x.dim() not in (2, 3) or x.shape[-1] != self.d_model:
            raise RuntimeError(
                f"SinusoidalPositionalEncoding: expected (t, {self.d_model}) or a batch of them, got {tuple(x.shape)}"
            )
        along = 1 if self.batch_first and x.dim() == 3 else 0
        codes = self._table(x.shape[along], offset, x)
        y = x + (codes if along == 1 or x.dim() == 2 else codes.unsqueeze(1))
        return F.dropout(y, self.dropout, self.training) if self.dropout else y

    def extra_repr(self) -> str:
        return f"{self.d_model}, dropout={self.dropout}, batch_first={self.batch_first}, base={self.base}"
