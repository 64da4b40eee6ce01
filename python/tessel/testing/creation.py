"""make_tensor: random values of any dtype, for tests."""

from __future__ import annotations

import math
from typing import Any

from .. import _C, _limits
from .._C import Tensor

__all__ = ["make_tensor"]


def make_tensor(
    *shape: Any,
    dtype: _C.dtype,
    device: Any = "cpu",
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Values drawn evenly from [low, high).

    By default from -9 to 9 for floating point, complex and signed dtypes, from 0 to 9 for uint8, and 0 or 1 for bool.

    Args:
        noncontiguous: with gaps between elements, where there are two or more.
        exclude_zero: the smallest positive number stands for zero.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    floating = dtype.is_floating_point or dtype.is_complex
    if dtype == _C.bool:
        least, most = 0.0, 2.0
    elif floating:
        least, most = -9.0, 9.0
    else:
        least, most = (0.0 if dtype == _C.uint8 else -9.0), 10.0
    low, high = least if low is None else low, most if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"make_tensor: low and high must be numbers, got {low} and {high}")
    if low > high or (low == high and floating and low != high):
        raise ValueError(f"make_tensor: low must be less than high, got {low} >= {high}")
    if requires_grad and not floating:
        raise ValueError(f"make_tensor: requires_grad needs a floating point or complex dtype, got {dtype}")
    if noncontiguous and memory_format is not None:
        raise ValueError("make_tensor: noncontiguous and memory_format exclude each other")
    gaps = noncontiguous and math.prod(sizes) > 1
    drawn = (*sizes[:-1], 2 * sizes[-1]) if gaps else sizes
    if floating:
        limits = _limits.finfo(dtype)
        real = dtype.to_real() if dtype.is_complex else dtype
        bottom, top = max(low, limits.min), min(high, limits.max)
        parts = [
            _C.rand(drawn, dtype=_C.float64).mul_(top - bottom).add_(bottom).to(real)
            for _ in range(2 if dtype.is_complex else 1)
        ]
        x = parts[0] + 1j * parts[1] if dtype.is_complex else parts[0]
    else:
        x = _C.randint(math.ceil(low), max(math.ceil(high), math.ceil(low) + 1), drawn).to(dtype)
    x = x.to(device)
    if gaps:
        x = x[..., ::2]
    if exclude_zero:
        x = _C.where(x == 0, _limits.finfo(dtype).tiny if floating else 1, x).to(dtype)
        if gaps:
            spread = _C.empty(drawn, dtype=dtype, device=device)
            spread[..., ::2] = x
            x = spread[..., ::2]
    if memory_format is not None:
        x = x.clone(memory_format=memory_format)
    return x.requires_grad_(requires_grad) if requires_grad else x
