"""Convolutions: Conv1d, Conv2d, Conv3d."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


def _tuple_of(value: Any, count: int) -> tuple[int, ...]:
    """An int repeated for every spatial dimension, or the given values."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * count


class _ConvNd(Module):
    """What the convolutions share; `dims` spatial dimensions, the operation in `_convolve`."""

    dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if groups <= 0:
            raise ValueError(f"{name}: groups must be positive, not {groups}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels and out_channels must be divisible by groups, "
                f"not {in_channels} and {out_channels} by {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _tuple_of(kernel_size, self.dims)
        self.stride = _tuple_of(stride, self.dims)
        self.padding = padding if isinstance(padding, str) else _tuple_of(padding, self.dims)
        self.dilation = _tuple_of(dilation, self.dims)
        self.groups = groups
        self.padding_mode = padding_mode
        if padding not in ("same", "valid") and isinstance(padding, str):
            raise ValueError(f"{name}: padding must be 'same', 'valid' or numbers, not {padding!r}")
        if padding == "same" and any(step != 1 for step in self.stride):
            raise ValueError(f"{name}: padding='same' needs stride 1, not {self.stride}")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"{name}: padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', not {padding_mode!r}"
            )
        self._reversed_padding_repeated_twice = self._pad_amounts()
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(_C.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(_C.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _pad_amounts(self) -> list[int]:
        """(before, after) of every spatial dimension as `F.pad` takes them: last dimension first."""
        amounts: list[int] = []
        for dim in reversed(range(self.dims)):
            if self.padding == "same":
                total = self.dilation[dim] * (self.kernel_size[dim] - 1)
                amounts += [total // 2, total - total // 2]
            else:
                amounts += [0, 0] if self.padding == "valid" else [self.padding[dim]] * 2  # type: ignore[list-item]
        return amounts

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, uniform in +-1/sqrt(fan in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # a = sqrt(5) makes its bound 1/sqrt(fan in)
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    _convolve: Callable[..., Tensor]  # conv1d, conv2d or conv3d

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return self._convolve(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return self._convolve(padded, weight, bias, self.stride, (0,) * self.dims, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        parts = [str(self.in_channels), str(self.out_channels)]
        parts += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        if self.padding != (0,) * self.dims:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.dims:
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(_ConvNd):
    """Convolution over sequences.

    Shapes: x (n, in_channels, l) or (in_channels, l), y (n, out_channels, l'), weight (out_channels,
    in_channels / groups, kernel_size), with l' = floor((l + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Args:
        padding: zeros at both ends, or "valid" for none, or "same" for as many as keep the length (stride 1).
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        groups: cuts the channels into that many independent convolutions.
    """

    dims = 1
    _convolve = staticmethod(F.conv1d)


class Conv2d(_ConvNd):
    """Convolution over images.

    Shapes: x (n, in_channels, h, w) or (in_channels, h, w), y (n, out_channels, h', w'), weight (out_channels,
    in_channels / groups, kernel height, kernel width), with
    h' = floor((h + 2 padding - dilation (kernel - 1) - 1) / stride) + 1, and w' likewise.

    Args:
        kernel_size, stride, padding, dilation: one int for both directions, or (vertical, horizontal).
        padding: may be "valid" for none, or "same" for as much as keeps height and width (stride 1).
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        groups: cuts the channels into that many independent convolutions.
    """

    dims = 2
    _convolve = staticmethod(F.conv2d)


class Conv3d(_ConvNd):
    """Convolution over volumes: x (n, in_channels, d, h, w), arguments as Conv2d's."""

    dims = 3
    _convolve = staticmethod(F.conv3d)
