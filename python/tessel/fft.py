"""Discrete Fourier transforms: PyTorch's names over numpy.fft, with gradients of any order.

Over N points `fft` is y[k] = sum_j x[j] exp(-2 pi i j k / N). `norm` says where the factor 1 / N stands: "backward"
(the default) at the inverse, "forward" at the forward transform, "ortho" as 1 / sqrt(N) at both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from . import _C
from ._C import Tensor
from .autograd import Function

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "hfft2",
    "hfftn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

_TURNED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
_COMPLEX = {_C.float32: _C.complex64, _C.float64: _C.complex128}
_REAL = {_C.complex64: _C.float32, _C.complex128: _C.float64}


# ---- the three transforms that everything is made of; a gradient is the transform's adjoint, one of the three again


def _called(transform: Any, x: Tensor, dtype: Any, **settings: Any) -> Tensor:
    y = _C.from_numpy(transform(x.detach().numpy(), **settings))
    return y.to(dtype)  # before its second version numpy transforms in float64


class _ComplexToComplex(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], norm: str, inverse: bool) -> Tensor:
        ctx.settings = dims, norm, inverse
        if len(dims) == 1:
            return _called(numpy.fft.ifft if inverse else numpy.fft.fft, x, x.dtype, axis=dims[0], norm=norm)
        return _called(numpy.fft.ifftn if inverse else numpy.fft.fftn, x, x.dtype, axes=dims, norm=norm)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple:
        dims, norm, inverse = ctx.settings
        return _complex_to_complex(dy, dims, _TURNED[norm], not inverse), None, None, None


class _RealToComplex(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, norm: str) -> Tensor:
        ctx.settings = dim, norm, x.shape[dim]
        return _called(numpy.fft.rfft, x, _COMPLEX[x.dtype], axis=dim, norm=norm)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple:
        dim, norm, n = ctx.settings
        return _complex_to_complex(_sized(dy, dim, n), (dim,), _TURNED[norm], True).real, None, None


class _ComplexToReal(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, norm: str, n: int) -> Tensor:
        ctx.settings = dim, norm, n
        return _called(numpy.fft.irfft, x, _REAL[x.dtype], n=n, axis=dim, norm=norm)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple:
        dim, norm, n = ctx.settings
        half = _real_to_complex(dy, dim, _TURNED[norm])
        twice = _C.ones(half.shape[dim], dtype=dy.dtype)  # the frequencies that stand for their mirror image too
        twice[1 : (n + 1) // 2] = 2
        return half * twice.reshape(-1, *(1,) * (half.dim() - 1 - dim)), None, None, None


def _complex_to_complex(x: Tensor, dims: tuple[int, ...], norm: str, inverse: bool) -> Tensor:
    return _ComplexToComplex.apply(x, dims, norm, inverse) if dims else x.clone()


def _real_to_complex(x: Tensor, dim: int, norm: str) -> Tensor:
    return _RealToComplex.apply(x, dim, norm)


def _complex_to_real(x: Tensor, dim: int, norm: str, n: int) -> Tensor:
    return _ComplexToReal.apply(x, dim, norm, n)


# ---- arguments


def _mode(name: str, norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _TURNED:
        raise RuntimeError(f'{name}: Invalid normalization mode: "{norm}"; expected "backward", "ortho" or "forward"')
    return norm


def _floating(name: str, x: Tensor) -> Tensor:
    """x in a floating point type that has a transform."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: argument 'input' must be Tensor, not {type(x).__name__}")
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(_C.get_default_dtype())
    if x.dtype in (_C.float16, _C.bfloat16):
        raise RuntimeError(f"{name}: Unsupported dtype {x.dtype}; convert the tensor first, e.g. with .float()")
    return x


def _as_complex(name: str, x: Tensor) -> Tensor:
    x = _floating(name, x)
    return x if x.is_complex() else x.to(_COMPLEX[x.dtype])


def _as_real(name: str, x: Tensor) -> Tensor:
    x = _floating(name, x)
    if x.is_complex():
        raise RuntimeError(f"{name}: expects a real input tensor, but got {x.dtype}")
    return x


def _wrapped(name: str, dim: int, ndim: int) -> int:
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-max(ndim, 1)}, {max(ndim, 1) - 1}], "
            f"but got {dim})"
        )
    if ndim == 0:
        raise IndexError(f"{name}: Dimension specified as {dim} but tensor has no dimensions")
    return dim % ndim


def _points(name: str, n: int) -> int:
    if n < 1:
        raise RuntimeError(f"{name}: Invalid number of data points ({n}) specified")
    return n


def _sized(x: Tensor, dim: int, n: int) -> Tensor:
    """x cut or filled up with zeros to n elements along dim."""
    size = x.shape[dim]
    if size == n:
        return x
    if size > n:
        return x.narrow(dim, 0, n)
    shape = list(x.shape)
    shape[dim] = n - size
    return _C.cat([x, _C.zeros(shape, dtype=x.dtype)], dim)


def _line(name: str, x: Tensor, n: int | None, dim: int) -> tuple[int, int]:
    """The wrapped dimension and the number of points along it."""
    dim = _wrapped(name, dim, x.dim())
    return dim, _points(name, x.shape[dim] if n is None else n)


def _dims_and_sizes(
    name: str, x: Tensor, s: Sequence[int] | int | None, dim: Sequence[int] | int | None
) -> tuple[tuple[int, ...], list[int]]:
    """Which dimensions are transformed, and over how many points each."""
    if isinstance(s, int):
        s = (s,)
    if isinstance(dim, int):
        dim = (dim,)
    if dim is not None:
        dims = tuple(_wrapped(name, d, x.dim()) for d in dim)
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"{name}: FFT dims must be unique, but dim is {tuple(dim)}")
        if s is not None and len(s) != len(dims):
            raise RuntimeError(
                f"{name}: When given, dim and shape arguments must have the same length, got {len(dims)} and {len(s)}"
            )
    elif s is not None:
        if len(s) > x.dim():
            raise RuntimeError(
                f"{name}: Got shape with {len(s)} values but input tensor only has {x.dim()} dimensions."
            )
        dims = tuple(range(x.dim() - len(s), x.dim()))
    else:
        dims = tuple(range(x.dim()))
    sizes = [x.shape[d] if n == -1 else n for d, n in zip(dims, s if s is not None else (-1,) * len(dims))]
    for n in sizes:
        _points(name, n)
    return dims, sizes


def _all_sized(x: Tensor, dims: Sequence[int], sizes: Sequence[int]) -> Tensor:
    for d, n in zip(dims, sizes):
        x = _sized(x, d, n)
    return x


def _given(name: str, y: Tensor, out: Tensor | None) -> Tensor:
    if out is None:
        return y
    if not _C.can_cast(y.dtype, out.dtype):
        raise RuntimeError(f"{name}: result type {y.dtype} can't be cast to the desired output type {out.dtype}")
    if y.requires_grad or out.requires_grad:
        raise RuntimeError(
            f"{name}: functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    if out.shape != y.shape:
        out.resize_(y.shape)
    return out.copy_(y)


# ---- along one dimension


def _fft(name: str, x: Tensor, n: int | None, dim: int, norm: str | None, inverse: bool, out: Tensor | None) -> Tensor:
    x = _as_complex(name, x)
    dim, n = _line(name, x, n, dim)
    return _given(name, _complex_to_complex(_sized(x, dim, n), (dim,), _mode(name, norm), inverse), out)


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """The transform along `dim`, over `n` points (cut or filled up with zeros; all of them for None)."""
    return _fft("fft", input, n, dim, norm, False, out)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `fft`."""
    return _fft("ifft", input, n, dim, norm, True, out)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """`fft` of reals: the n // 2 + 1 frequencies that are not negative."""
    x = _as_real("rfft", input)
    dim, n = _line("rfft", x, n, dim)
    return _given("rfft", _real_to_complex(_sized(x, dim, n), dim, _mode("rfft", norm)), out)


def _half_line(name: str, x: Tensor, n: int | None, dim: int) -> tuple[int, int]:
    """The same as `_line` where x has the n // 2 + 1 frequencies that are not negative."""
    dim = _wrapped(name, dim, x.dim())
    return dim, _points(name, 2 * (x.shape[dim] - 1) if n is None else n)


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `rfft`: n reals, 2 (size - 1) for None."""
    x = _as_complex("irfft", input)
    dim, n = _half_line("irfft", x, n, dim)
    return _given("irfft", _complex_to_real(_sized(x, dim, n // 2 + 1), dim, _mode("irfft", norm), n), out)


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """`fft` of a signal that is Hermitian in time, given by its first half: n reals, 2 (size - 1) for None."""
    x = _as_complex("hfft", input)
    dim, n = _half_line("hfft", x, n, dim)
    mode = _TURNED[_mode("hfft", norm)]
    return _given("hfft", _complex_to_real(_sized(x, dim, n // 2 + 1).conj(), dim, mode, n), out)


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `hfft`."""
    x = _as_real("ihfft", input)
    dim, n = _line("ihfft", x, n, dim)
    mode = _TURNED[_mode("ihfft", norm)]
    return _given("ihfft", _real_to_complex(_sized(x, dim, n), dim, mode).conj(), out)


# ---- along several


def _fftn(name: str, x: Tensor, s: Any, dim: Any, norm: str | None, inverse: bool, out: Tensor | None) -> Tensor:
    x = _as_complex(name, x)
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    return _given(name, _complex_to_complex(_all_sized(x, dims, sizes), dims, _mode(name, norm), inverse), out)


def _at_least_one(name: str, dims: tuple[int, ...]) -> None:
    if not dims:
        raise RuntimeError(f"{name}: must transform at least one axis")


def _rfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str, conj: bool, out: Tensor | None) -> Tensor:
    """From reals: along the last of the dimensions first, then along the others; with `conj` the inverse of hfftn."""
    x = _as_real(name, x)
    dims, sizes = _dims_and_sizes(name, x, s, dim)
    _at_least_one(name, dims)
    y = _real_to_complex(_all_sized(x, dims, sizes), dims[-1], norm)
    if conj:
        return _given(name, _complex_to_complex(y.conj(), dims[:-1], _TURNED[norm], True), out)
    return _given(name, _complex_to_complex(y, dims[:-1], norm, False), out)


def _irfftn(name: str, x: Tensor, s: Any, dim: Any, norm: str, conj: bool, out: Tensor | None) -> Tensor:
    """To reals: along the last of the dimensions at the end; with `conj` hfftn."""
    x = _as_complex(name, x)
    given = (s,) if isinstance(s, int) else s
    dims = _dims_and_sizes(name, x, given if given is None else [n if n != -1 else 1 for n in given], dim)[0]
    _at_least_one(name, dims)
    sizes = list(given) if given is not None else [-1] * len(dims)
    n = _points(name, 2 * (x.shape[dims[-1]] - 1) if sizes[-1] == -1 else sizes[-1])
    sizes = [x.shape[d] if size == -1 else size for d, size in zip(dims, sizes)]
    x = _all_sized(x, dims, [*sizes[:-1], n // 2 + 1])
    if conj:
        y = _complex_to_complex(x, dims[:-1], _TURNED[norm], False)
        return _given(name, _complex_to_real(y.conj(), dims[-1], norm, n), out)
    y = _complex_to_complex(x, dims[:-1], norm, True)
    return _given(name, _complex_to_real(y, dims[-1], norm, n), out)


def fftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """`fft` along several dimensions: `dim`, else the last of as many as `s` has sizes, else all."""
    return _fftn("fftn", input, s, dim, norm, False, out)


def ifftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `fftn`."""
    return _fftn("ifftn", input, s, dim, norm, True, out)


def rfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """`fftn` of reals: along the last dimension only the frequencies that are not negative."""
    return _rfftn("rfftn", input, s, dim, _mode("rfftn", norm), False, out)


def irfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `rfftn`."""
    return _irfftn("irfftn", input, s, dim, _mode("irfftn", norm), False, out)


def hfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """`fftn` of a signal that is Hermitian in time, given by its first half along the last dimension."""
    return _irfftn("hfftn", input, s, dim, _TURNED[_mode("hfftn", norm)], True, out)


def ihfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None):
    """The inverse of `hfftn`."""
    return _rfftn("ihfftn", input, s, dim, _TURNED[_mode("ihfftn", norm)], True, out)


def fft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`fftn` along the last two dimensions."""
    return _fftn("fft2", input, s, dim, norm, False, out)


def ifft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`ifftn` along the last two dimensions."""
    return _fftn("ifft2", input, s, dim, norm, True, out)


def rfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`rfftn` along the last two dimensions."""
    return _rfftn("rfft2", input, s, dim, _mode("rfft2", norm), False, out)


def irfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`irfftn` along the last two dimensions."""
    return _irfftn("irfft2", input, s, dim, _mode("irfft2", norm), False, out)


def hfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`hfftn` along the last two dimensions."""
    return _irfftn("hfft2", input, s, dim, _TURNED[_mode("hfft2", norm)], True, out)


def ihfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None):
    """`ihfftn` along the last two dimensions."""
    return _rfftn("ihfft2", input, s, dim, _TURNED[_mode("ihfft2", norm)], True, out)


# ---- frequencies


def _frequencies(
    name: str, at: Tensor, n: int, d: float, out: Tensor | None, dtype: Any, requires_grad: bool
) -> Tensor:
    y = (at / (n * d)).to(dtype or (out.dtype if out is not None else _C.get_default_dtype()))
    return _given(name, y, out).requires_grad_(requires_grad)


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of `fft` over n points that lie d apart: 0, 1, ..., -2, -1, divided by n d."""
    at = _C.arange(n, dtype=_C.float64)
    at[(n + 1) // 2 :] -= n
    return _frequencies("fftfreq", at, n, d, out, dtype, requires_grad)


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of `rfft` over n points that lie d apart: 0, 1, ..., n // 2, divided by n d."""
    return _frequencies("rfftfreq", _C.arange(n // 2 + 1, dtype=_C.float64), n, d, out, dtype, requires_grad)


def _shifted(x: Tensor, dim: Any, shift: Any) -> Tensor:
    dims = range(x.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = [d % max(x.dim(), 1) if -x.dim() <= d < x.dim() else d for d in dims]
    return _C.roll(x, [shift(x.shape[d]) for d in dims], dims) if dims else x.clone()


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Frequency 0 brought to the middle, along `dim` or all dimensions."""
    return _shifted(input, dim, lambda n: n // 2)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted(input, dim, lambda n: (n + 1) // 2)
