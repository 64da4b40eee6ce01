"""The standard's linalg."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import _C
from .._C import Tensor
from ._core import matmul, matrix_transpose, tensordot, vecdot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    return _C._linalg.cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    return _C._linalg.cross(x1, x2, dim=axis)


def det(x: Tensor, /) -> Tensor:
    return _C._linalg.det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    return x.diagonal(offset, -2, -1)


def eigh(x: Tensor, /) -> EighResult:
    return EighResult(*_C._linalg.eigh(x))


def eigvalsh(x: Tensor, /) -> Tensor:
    return _C._linalg.eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    return _C._linalg.inv(x)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    return _C._linalg.matrix_norm(x, ord, (-2, -1), keepdims)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    return _C._linalg.matrix_power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return _C._linalg.matrix_rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    return _C.outer(x1, x2)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return _C._linalg.pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> QRResult:
    return QRResult(*_C._linalg.qr(x, mode))


def slogdet(x: Tensor, /) -> SlogdetResult:
    return SlogdetResult(*_C._linalg.slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """x2 holds a vector where it has one dimension, else matrices."""
    if x2.dim() == 1:
        return _C._linalg.solve(x1, x2.unsqueeze(-1)).squeeze(-1)
    if x2.dim() == x1.dim() - 1:  # matrices, where PyTorch would see a stack of vectors
        x2 = x2.unsqueeze(0)
    return _C._linalg.solve(x1, x2)


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    return SVDResult(*_C._linalg.svd(x, full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    return _C._linalg.svdvals(x)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    return _C.sum(x.diagonal(offset, -2, -1), (-1,), dtype=dtype)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    if axis == ():
        return x.abs() if ord != 0 else (x != 0).to(x.dtype)
    return _C._linalg.vector_norm(x, float(ord), axis, keepdims)
