"""Normal vectors with a covariance of low rank and a diagonal."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from . import constraints
from .distribution import Distribution
from .multivariate_normal import _batch_mahalanobis, _batch_mv
from .utils import LOG_2_PI, drawn_normal, lazy_property

__all__ = ["LowRankMultivariateNormal"]


def _batch_capacitance_tril(factor: Tensor, diagonal: Tensor) -> Tensor:
    """The Cholesky factor of 1 + W^T D^-1 W, which stands for the covariance by Woodbury's identity."""
    inside = (factor.transpose(-2, -1) / diagonal.unsqueeze(-2)) @ factor
    return _C._linalg.cholesky(inside + _C.eye(factor.size(-1), dtype=factor.dtype, device=factor.device))


def _batch_lowrank_logdet(diagonal: Tensor, capacitance: Tensor) -> Tensor:
    return 2 * capacitance.diagonal(0, -2, -1).log().sum(-1) + diagonal.log().sum(-1)


def _batch_lowrank_mahalanobis(factor: Tensor, diagonal: Tensor, off: Tensor, capacitance: Tensor) -> Tensor:
    inside = _batch_mv(factor.transpose(-2, -1) / diagonal.unsqueeze(-2), off)
    return (off.pow(2) / diagonal).sum(-1) - _batch_mahalanobis(capacitance, inside)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with mean loc and covariance cov_factor cov_factor^T + diag(cov_diag)."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("LowRankMultivariateNormal: loc must be at least one-dimensional.")
        n = loc.size(-1)
        if cov_factor.dim() < 2 or cov_factor.size(-2) != n:
            raise ValueError(
                f"LowRankMultivariateNormal: cov_factor must be a batch of matrices with shape {n} x m, "
                f"got {tuple(cov_factor.shape)}"
            )
        if cov_diag.dim() < 1 or cov_diag.size(-1) != n:
            raise ValueError(
                f"LowRankMultivariateNormal: cov_diag must be a batch of vectors with shape {n}, "
                f"got {tuple(cov_diag.shape)}"
            )
        batch = _C.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        self.loc = loc.expand(*batch, n)
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(*batch, n)
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = _batch_capacitance_tril(cov_factor, cov_diag)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._unbroadcasted_cov_factor = self._unbroadcasted_cov_factor
        new._unbroadcasted_cov_diag = self._unbroadcasted_cov_diag
        new._capacitance_tril = self._capacitance_tril
        return new

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        found = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return found.expand(*self._batch_shape, *self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """With W = D^1/2 V, the covariance is D^1/2 (1 + V V^T) D^1/2."""
        n = self._event_shape[0]
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        inside = scaled @ scaled.transpose(-2, -1) + _C.eye(n, dtype=root.dtype, device=root.device)
        return (root * _C._linalg.cholesky(inside)).expand(*self._batch_shape, n, n)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        n = self._event_shape[0]
        factor = self._unbroadcasted_cov_factor
        found = factor @ factor.transpose(-2, -1) + self._unbroadcasted_cov_diag.diag_embed()
        return found.expand(*self._batch_shape, n, n)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        n = self._event_shape[0]
        below = self._unbroadcasted_cov_factor.transpose(-2, -1) / self._unbroadcasted_cov_diag.unsqueeze(-2)
        half = _C._linalg.solve_triangular(self._capacitance_tril, below, upper=False)
        found = self._unbroadcasted_cov_diag.reciprocal().diag_embed() - half.transpose(-2, -1) @ half
        return found.expand(*self._batch_shape, n, n)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        along = drawn_normal((*shape[:-1], self.cov_factor.size(-1)), self.loc)
        return (
            self.loc
            + _batch_mv(self._unbroadcasted_cov_factor, along)
            + self._unbroadcasted_cov_diag.sqrt() * drawn_normal(shape, self.loc)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        factor, diagonal, capacitance = (
            self._unbroadcasted_cov_factor,
            self._unbroadcasted_cov_diag,
            self._capacitance_tril,
        )
        distance = _batch_lowrank_mahalanobis(factor, diagonal, value - self.loc, capacitance)
        return -0.5 * (self._event_shape[0] * LOG_2_PI + _batch_lowrank_logdet(diagonal, capacitance) + distance)

    def entropy(self) -> Tensor:
        log_det = _batch_lowrank_logdet(self._unbroadcasted_cov_diag, self._capacitance_tril)
        return (0.5 * (self._event_shape[0] * (1.0 + LOG_2_PI) + log_det)).expand(self._batch_shape)
