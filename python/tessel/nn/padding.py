"""Borders around sequences, images and volumes: constant, zero, reflected, replicated, circular."""

from __future__ import annotations

from collections.abc import Iterable

from .._C import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    """What the borders share: `padding` one int for all sides, or (before, after) of the last dimension, then of the
    one before it, and so on; negative numbers cut off."""

    dims: int
    mode: str

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    mode = "constant"

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self.dims + 1, self.dims + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {self.dims + 1}D or {self.dims + 2}D input (got {input.dim()}D input)"
            )
        return super().forward(input)


class ConstantPad1d(_ConstantPadNd):
    """A border of `value`: x (n, c, l) or (c, l)."""

    dims = 1


class ConstantPad2d(_ConstantPadNd):
    """A border of `value`: x (n, c, h, w) or (c, h, w)."""

    dims = 2


class ConstantPad3d(_ConstantPadNd):
    """A border of `value`: x (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3


class ZeroPad1d(_ZeroPadNd):
    """A border of zeros: x (n, c, l) or (c, l)."""

    dims = 1


class ZeroPad2d(_ZeroPadNd):
    """A border of zeros: x (n, c, h, w) or (c, h, w)."""

    dims = 2


class ZeroPad3d(_ZeroPadNd):
    """A border of zeros: x (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3


class ReflectionPad1d(_PadNd):
    """A border that mirrors the input, without its outermost elements: x (n, c, l) or (c, l)."""

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_PadNd):
    """A border that mirrors the input, without its outermost elements: x (n, c, h, w) or (c, h, w)."""

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_PadNd):
    """A border that mirrors the input, without its outermost elements: x (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_PadNd):
    """A border of the outermost elements: x (n, c, l) or (c, l)."""

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_PadNd):
    """A border of the outermost elements: x (n, c, h, w) or (c, h, w)."""

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_PadNd):
    """A border of the outermost elements: x (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
    mode = "replicate"


class CircularPad1d(_CircularPadNd):
    """A border from the other end: x (n, c, l) or (c, l)."""

    dims = 1


class CircularPad2d(_CircularPadNd):
    """A border from the other end: x (n, c, h, w) or (c, h, w)."""

    dims = 2


class CircularPad3d(_CircularPadNd):
    """A border from the other end: x (n, c, d, h, w) or (c, d, h, w)."""

    dims = 3
