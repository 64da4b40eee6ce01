"""Windows as scipy.signal.windows has them: M points, symmetric, or with sym=False periodic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(
    name: str,
    M: int,
    sym: bool,
    shape: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """shape(k, n) of the points k = 0 ... M - 1, in float64; n is the number of points of the symmetric window."""
    dtype = dtype or _C.get_default_dtype()
    if M < 0:
        raise ValueError(f"{name}: requires non-negative window length, got M={M}")
    if layout not in (None, _C.strided):
        raise ValueError(f"{name}: is implemented for strided tensors only, got: {layout}")
    if dtype not in (_C.float32, _C.float64):
        raise ValueError(f"{name}: expects float32 or float64 dtypes, got: {dtype}")
    y = _C.ones(M, dtype=dtype) if M <= 1 else shape(_C.arange(M, dtype=_C.float64), M if sym else M + 1).to(dtype)
    return (y if device is None else y.to(device)).requires_grad_(requires_grad)


def _cosines(factors: Iterable[float]) -> Any:
    def shape(k: Tensor, n: int) -> Tensor:
        t = 2 * math.pi * k / max(n - 1, 1)
        terms = [(-1) ** i * factor * _C.cos(i * t) for i, factor in enumerate(factors)]
        return sum(terms[1:], terms[0]) if n > 1 else _C.ones_like(k)

    return shape


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:
    """a[0] - a[1] cos(2 pi k / (M - 1)) + a[2] cos(4 pi k / (M - 1)) - ..."""
    if not isinstance(a, Iterable):
        raise TypeError("general_cosine: Coefficients must be a list/tuple")
    a = list(a)
    if not a:
        raise ValueError("general_cosine: Coefficients cannot be empty")
    return _window("general_cosine", M, sym, _cosines(a), **options)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi k / (M - 1))"""
    return _window("general_hamming", M, sym, _cosines([alpha, 1 - alpha]), **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi k / (M - 1))"""
    return _window("hamming", M, sym, _cosines([0.54, 0.46]), **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.5 - 0.5 cos(2 pi k / (M - 1))"""
    return _window("hann", M, sym, _cosines([0.5, 0.5]), **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi k / (M - 1)) + 0.08 cos(4 pi k / (M - 1))"""
    return _window("blackman", M, sym, _cosines([0.42, 0.5, 0.08]), **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Four cosines with a minimal side lobe (Nuttall's 4c)."""
    return _window("nuttall", M, sym, _cosines([0.3635819, 0.4891775, 0.1365995, 0.0106411]), **options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 over 1 to 0."""

    def shape(k: Tensor, n: int) -> Tensor:
        return 1 - (2 * k / (n - 1) - 1).abs() if n > 1 else _C.ones_like(k)

    return _window("bartlett", M, sym, shape, **options)


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """sin(pi (k + 1/2) / M)"""

    def shape(k: Tensor, n: int) -> Tensor:
        return _C.sin(math.pi * (k + 0.5) / n)

    return _window("cosine", M, sym, shape, **options)


def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-|k - center| / tau), the center being in the middle unless given, which a symmetric window forbids."""
    if tau <= 0:
        raise ValueError(f"exponential: Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("exponential: Center must be None for symmetric windows")

    def shape(k: Tensor, n: int) -> Tensor:
        middle = (n - 1) / 2 if center is None else center
        return _C.exp(-(k - middle).abs() / tau)

    return _window("exponential", M, sym, shape, **options)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-((k - (M - 1) / 2) / std)^2 / 2)"""
    if std <= 0:
        raise ValueError(f"gaussian: Standard deviation must be positive, got: {std} instead.")
    return _window("gaussian", M, sym, lambda k, n: _C.exp(-0.5 * ((k - (n - 1) / 2) / std).square()), **options)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 k / (M - 1) - 1)^2)) / I0(beta)"""
    if beta < 0:
        raise ValueError(f"kaiser: beta must be non-negative, got: {beta} instead.")

    def shape(k: Tensor, n: int) -> Tensor:
        if n == 1:
            return _C.ones_like(k)
        height = _C.i0(_C.tensor(float(beta), dtype=k.dtype))
        return _C.i0(beta * (1 - (2 * k / (n - 1) - 1).square()).clamp(min=0).sqrt()) / height

    return _window("kaiser", M, sym, shape, **options)
