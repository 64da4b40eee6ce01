"""Convolutions: Conv1d, Conv2d, Conv3d, and their transposes."""

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

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


def _tuple_of(value: Any, count: int) -> tuple[int, ...]:
    """An int repeated for every spatial dimension, or the given values."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * count


class _ConvNd(Module):
    """What the convolutions share; `dims` spatial dimensions, the operation in `_convolve`."""

    dims: int
    transposed = False

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
        self.output_padding = (0,) * self.dims
        self.groups = groups
        self.padding_mode = padding_mode
        if padding not in ("same", "valid") and isinstance(padding, str):
            raise ValueError(f"{name}: padding must be 'same', 'valid' or numbers, not {padding!r}")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"{name}: padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', not {padding_mode!r}"
            )
        self._reversed_padding_repeated_twice = self._pad_amounts()
        self.weight = Parameter(_C.empty(self._weight_shape(), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(_C.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def _pad_amounts(self, sizes: Any = None) -> list[int]:
        """(before, after) of every spatial dimension as `F.pad` takes them: last dimension first. With a stride, "same"
        depends on the input's `sizes`; without them, it stands for a stride of 1."""
        amounts: list[int] = []
        for dim in reversed(range(self.dims)):
            if self.padding == "same":
                total = self.dilation[dim] * (self.kernel_size[dim] - 1)
                if sizes is not None:
                    steps = -(-sizes[dim] // self.stride[dim]) - 1
                    total = max(steps * self.stride[dim] + total + 1 - sizes[dim], 0)
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
        amounts = self._reversed_padding_repeated_twice
        if self.padding == "same":
            amounts = self._pad_amounts(input.shape[-self.dims :])
        padded = F.pad(input, amounts, mode=self.padding_mode)
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
        if self.output_padding != (0,) * self.dims:
            parts.append(f"output_padding={self.output_padding}")
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
        padding: zeros at both ends, or "valid" for none, or "same" for l' = ceil(l / stride).
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
        padding: may be "valid" for none, or "same" for h' = ceil(h / stride); what is missing to symmetry is padded
            behind, as TensorFlow does.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        groups: cuts the channels into that many independent convolutions.
    """

    dims = 2
    _convolve = staticmethod(F.conv2d)


class Conv3d(_ConvNd):
    """Convolution over volumes: x (n, in_channels, d, h, w), arguments as Conv2d's."""

    dims = 3
    _convolve = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """What the transposes share."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{name}: only padding_mode 'zeros' is supported, not {padding_mode!r}")
        if isinstance(padding, str):
            raise ValueError(f"{name}: padding must be numbers, not {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.output_padding = _tuple_of(output_padding, self.dims)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What is missing at the end to the wanted size of the result."""
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)
        if len(wanted) == input.dim():
            wanted = wanted[-self.dims :]
        name = type(self).__name__
        if len(wanted) != self.dims:
            raise ValueError(f"{name}: output_size must have {self.dims} or {input.dim()} elements (got {len(wanted)})")
        missing = []
        for dim, size in enumerate(input.shape[-self.dims :]):
            least = (size - 1) * self.stride[dim] - 2 * self.padding[dim]  # type: ignore[operator]
            least += self.dilation[dim] * (self.kernel_size[dim] - 1) + 1
            if not least <= wanted[dim] < least + self.stride[dim]:
                raise ValueError(
                    f"{name}: requested an output size of {wanted}, but dimension {dim} can be {least} to "
                    f"{least + self.stride[dim] - 1} (for an input of {tuple(input.shape)})"
                )
            missing.append(wanted[dim] - least)
        return tuple(missing)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        return self._convolve(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d, which makes sequences longer.

    Shapes: x (n, in_channels, l) or (in_channels, l), y (n, out_channels, l'), weight (in_channels,
    out_channels / groups, kernel_size), with
    l' = (l - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.

    Args:
        padding: elements taken off both ends of the result.
        output_padding: elements more at the end, where several lengths would be taken to the same by Conv1d; a call's
            `output_size` says the length itself.
    """

    dims = 1
    _convolve = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of Conv2d, which makes images larger: x (n, in_channels, h, w), y (n, out_channels, h', w'), weight
    (in_channels, out_channels / groups, kernel height, kernel width); arguments as ConvTranspose1d's."""

    dims = 2
    _convolve = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of Conv3d, over volumes: x (n, in_channels, d, h, w), arguments as ConvTranspose1d's."""

    dims = 3
    _convolve = staticmethod(F.conv_transpose3d)
