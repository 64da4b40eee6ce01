"""to, half, cuda and their kin: the part of Module that moves and casts its parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import _C
from .._C import Tensor
from .state import Stateful

Self = TypeVar("Self", bound="Convertible")


class Convertible(Stateful):
    """The part of Module that puts tensors of another device or dtype in place of its own."""

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Puts `fn(tensor)` in place of every parameter, gradient and buffer. Parameters keep their identity, so that
        an optimizer made before still trains them."""
        if recurse:
            for module in dict.fromkeys(self._modules.values()):
                if module is not None:
                    module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is not None:
                grad = parameter.grad
                parameter.data = fn(parameter.data)
                if grad is not None:
                    parameter.grad = fn(grad.data).requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Moves and casts parameters and buffers in place: `to(device)`, `to(dtype)`, `to(device, dtype)` or
        `to(tensor)`, which takes both from the tensor; `non_blocking` as keyword.

        Only floating point tensors are cast; index buffers keep their dtype.
        """
        device, dtype, non_blocking = _parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"Module.to: the dtype must be floating point or complex, not {dtype}")

        def convert(tensor: Tensor) -> Tensor:
            castable = tensor.is_floating_point() or tensor.is_complex()
            return tensor.to(
                device=tensor.device if device is None else device,
                dtype=dtype if dtype is not None and castable else tensor.dtype,
                non_blocking=non_blocking,
            )

        return self._apply(convert)

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Moves parameters and buffers to a device without their values."""
        return self._apply(lambda tensor: _C.empty_like(tensor, device=device), recurse)

    def cpu(self: Self) -> Self:
        """Moves parameters and buffers to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: Self, device: Any = None) -> Self:
        """Moves parameters and buffers to a GPU: the current one, or that of the given index."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def type(self: Self, dst_type: Any) -> Self:
        """Casts all parameters and buffers to a dtype."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def float(self: Self) -> Self:
        """Casts floating point parameters and buffers to float32."""
        return self._cast_floating(_C.float32)

    def double(self: Self) -> Self:
        """Casts floating point parameters and buffers to float64."""
        return self._cast_floating(_C.float64)

    def half(self: Self) -> Self:
        """Casts floating point parameters and buffers to float16."""
        return self._cast_floating(_C.float16)

    def bfloat16(self: Self) -> Self:
        """Casts floating point parameters and buffers to bfloat16."""
        return self._cast_floating(_C.bfloat16)

    def _cast_floating(self: Self, dtype: Any) -> Self:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the kernels are compiled already. Takes what `tessel.compile` takes."""

    def share_memory(self: Self) -> Self:
        """Does nothing: workers are threads here, and share all memory already."""
        return self


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool]:
    """(device, dtype, non_blocking) of a call of `to`; None where nothing was said."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    other = kwargs.pop("tensor", None)
    non_blocking = kwargs.pop("non_blocking", False)
    kwargs.pop("memory_format", None)  # only a hint about speed: every kernel takes any strides
    if kwargs:
        raise TypeError(f"Module.to: unexpected keyword argument {next(iter(kwargs))!r}")
    for place, argument in enumerate(args):
        if isinstance(argument, Tensor):
            other = argument
        elif isinstance(argument, _C.dtype):
            dtype = argument
        elif isinstance(argument, bool):
            non_blocking = argument if place < 3 else non_blocking
        elif argument is not None:
            device = argument
    if other is not None:
        device, dtype = other.device, other.dtype
    return (None if device is None else _C.device(device)), dtype, non_blocking
