"""The standard's fft: tessel.fft's functions, whose dim is called axis and dims axes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .._C import Tensor

_fft: Any = import_module("tessel.fft")

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def _along(name: str) -> Any:
    transform = getattr(_fft, name)

    def op(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return transform(x, n=n, dim=axis, norm=norm)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"tessel.fft.{name} along axis."
    return op


def _over(name: str) -> Any:
    transform = getattr(_fft, name)

    def op(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
        return transform(x, s=s, dim=axes, norm=norm)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"tessel.fft.{name} over axes."
    return op


fft, ifft, rfft, irfft, hfft, ihfft = map(_along, ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"))
fftn, ifftn, rfftn, irfftn = map(_over, ("fftn", "ifftn", "rfftn", "irfftn"))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    return _fft.fftfreq(n, d, dtype=dtype, device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    return _fft.rfftfreq(n, d, dtype=dtype, device=device)


def fftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    return _fft.fftshift(x, dim=axes)


def ifftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    return _fft.ifftshift(x, dim=axes)
