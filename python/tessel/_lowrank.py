"""Decompositions of low rank by random projections (N. Halko, P. Martinsson and J. Tropp, "Finding structure with
randomness", 2009)."""

from __future__ import annotations

from typing import Any

from . import _C
from ._C import Tensor

__all__ = ["get_approximate_basis", "pca_lowrank", "svd_lowrank"]


def _adjoint(x: Any) -> Tensor:
    return x.transpose(-2, -1).conj() if x.dtype.is_complex else x.transpose(-2, -1)


def get_approximate_basis(A: Tensor, q: int, niter: int | None = 2, M: Tensor | None = None) -> Tensor:
    """q orthonormal columns that span most of what A - M does: of a random projection, after niter steps of the power
    method."""
    x = A if M is None else A - M
    drawn = _C.randn((x.size(-1), q), dtype=x.dtype, device=x.device)
    basis = _C._linalg.qr(x @ drawn).Q
    for _ in range(2 if niter is None else niter):
        basis = _C._linalg.qr(_adjoint(x) @ basis).Q
        basis = _C._linalg.qr(x @ basis).Q
    return basis


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of about the q greatest singular values of A - M: A - M is near U diag(S) V^H."""
    q = 6 if q is None else q
    x = A if M is None else A - M.expand(A.shape)
    if x.dim() < 2:
        raise RuntimeError(f"svd_lowrank: expected matrices, got a tensor of shape {tuple(x.shape)}")
    if x.size(-2) < x.size(-1):
        u, s, v = svd_lowrank(_adjoint(x), q, niter)
        return v, s, u
    basis = get_approximate_basis(x, q, niter)
    u, s, vh = _C._linalg.svd(_adjoint(basis) @ x, False)
    return basis @ u, s, _adjoint(vh)


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """svd_lowrank of A's columns less their means: the columns of V are its principal directions."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(
            f"pca_lowrank: q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"pca_lowrank: niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, True) if center else A, q, niter)
