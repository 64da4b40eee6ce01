"""Parametrizations of weights: weight_norm, spectral_norm, orthogonal."""

from __future__ import annotations

from typing import Any

from ... import _C
from ..._C import Tensor
from ...autograd import no_grad
from .. import functional as F
from ..conv import _ConvTransposeNd
from ..module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The length of v along all dimensions but one, which is kept; of all of v where dim is None or -1."""
    if dim is None or dim == -1:
        return v.norm()
    return v.norm(2, [d for d in range(v.dim()) if d != dim % v.dim()], keepdim=True)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """weight = g v / |v|: its length g, along all dimensions but `dim`, apart from its direction v.

    They stand in `module.parametrizations.<name>` as original0 (g) and original1 (v). A state dict of the older
    `nn.utils.weight_norm` can be loaded. Source: Salimans and Kingma, "Weight normalization", 2016.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def take_older_names(state_dict: dict[str, Any], prefix: str, *unused: Any) -> None:
        for old, new in (("g", "original0"), ("v", "original1")):
            if f"{prefix}{name}_{old}" in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.{new}"] = state_dict.pop(f"{prefix}{name}_{old}")

    module._register_load_state_dict_pre_hook(take_older_names)
    return module


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.dim() <= dim < weight.dim():
            raise IndexError(
                f"spectral_norm: Dimension out of range (expected to be in range of [-{weight.dim()}, "
                f"{weight.dim() - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: expected n_power_iterations to be positive, but got {n_power_iterations}")
        self.dim = dim % weight.dim()
        self.eps = eps
        if weight.dim() > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight.detach())
            for name, size in zip(("_u", "_v"), matrix.shape):
                self.register_buffer(name, F.normalize(matrix.new_empty(size).normal_(0, 1), dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.movedim(self.dim, 0) if self.dim else weight).flatten(1)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        """Brings u and v nearer to the singular vectors of the greatest singular value, in place."""
        with no_grad():
            for _ in range(times):
                self._u.copy_(F.normalize(_C.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(_C.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:  # a vector's greatest singular value is its length
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # a second call before backward writes over the buffers
        return weight / _C.dot(u, _C.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """weight / its greatest singular value, seen as a matrix with rows along `dim` (1 for transposed convolutions, else
    0); in training the value is followed by `n_power_iterations` steps a call.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter or buffer with name {name!r}")
    if dim is None:
        dim = 1 if isinstance(module, _ConvTransposeNd) else 0
    return parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows, where it is wide) from any: by the exponential or the Cayley transform
    of a skew matrix made of its lower triangle, or as a product of Householder reflections; times `base`, if any."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if orthogonal_map == "householder" and weight.is_complex():
            raise ValueError("orthogonal: the householder map does not support complex tensors")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        linalg = _linalg()
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2], x.shape[-1]
        if self.orthogonal_map == "householder":
            # Column i's reflection is x[i:, i] with 1 on the diagonal, as LAPACK keeps them.
            lower = x.tril(-1)
            tau = 2.0 / (1.0 + (lower * lower).sum(-2))
            q = linalg.householder_product(lower, tau)
            q = q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            lower = x.tril()
            if n != k:
                lower = _C.cat([lower, lower.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], -1)
            skew = lower - lower.mH
            if self.orthogonal_map == "matrix_exp":
                q = linalg.matrix_exp(skew)
            else:
                identity = _C.eye(n, dtype=skew.dtype, device=skew.device)
                q = linalg.solve(identity - 0.5 * skew, identity + 0.5 * skew)
            if n != k:
                q = q[..., :k]
        if hasattr(self, "base") and self.base is not None:
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(f"orthogonal: expected a matrix or batch of matrices of shape {self.shape}, got {q.shape}")
        wide = q.shape[-2] < q.shape[-1]
        start = q.mT if wide else q
        n, k = start.shape[-2], start.shape[-1]
        if not hasattr(self, "base"):
            if self.orthogonal_map in ("cayley", "matrix_exp"):
                raise NotImplementedError(
                    f"orthogonal: assigning to the tensor needs use_trivialization=True with {self.orthogonal_map}"
                )
            a, tau = _C.geqrf(start)  # type: ignore[attr-defined,unused-ignore]
            a.diagonal(dim1=-2, dim2=-1).sign_()
            a.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
            return a.mT if wide else a
        if n == k:
            base = start.clone() if _is_orthogonal(start) else _orthonormal(start)
            self.base = base.detach()
        else:  # filled up to a square with what is orthogonal to it
            more = _C.randn(*start.shape[:-2], n, n - k, dtype=start.dtype, device=start.device)
            full = _orthonormal(_C.cat([start, more], -1))
            if _is_orthogonal(start):
                full[..., :k] = start
            self.base = full.detach()
        identity = _C.zeros_like(start)
        if self.orthogonal_map == "householder":
            identity.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return identity.mT if wide else identity


def _linalg() -> Any:
    from ... import linalg

    return linalg


def _is_orthogonal(q: Tensor) -> bool:
    k = q.shape[-1]
    identity = _C.eye(k, dtype=q.dtype, device=q.device)
    eps = 10.0 * q.shape[-2] * float(_eps(q.dtype))
    return bool(_C.allclose(q.mH @ q, identity, atol=eps))


def _eps(dtype: Any) -> float:
    from ..._limits import finfo

    return float(finfo(dtype).eps)


def _orthonormal(a: Tensor) -> Tensor:
    """The orthonormal factor of a's QR decomposition, with signs that make the other's diagonal positive."""
    q, r = _linalg().qr(a)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keeps a matrix, or each of a batch, orthogonal: orthonormal columns, or rows where it is wide.

    Args:
        orthogonal_map: "matrix_exp" (the default of square matrices), "cayley", or "householder" (of others).
        use_trivialization: multiplies by a fixed orthogonal matrix, so that the tensor can begin anywhere and be set.

    Sources: Lezcano-Casado and Martinez-Rubio, 2019; Lezcano-Casado, "Trivializations", 2019.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"orthogonal: {type(module).__name__} has no parameter or buffer with name {name!r}")
    if weight.dim() < 2:
        raise ValueError(
            f"orthogonal: expected a matrix or batch of matrices, got a tensor of {weight.dim()} dimensions"
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f"orthogonal: orthogonal_map has to be 'matrix_exp', 'cayley' or 'householder', got {orthogonal_map!r}"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)
