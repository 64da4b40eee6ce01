"""The Wishart distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._C import Tensor
from . import constraints
from .distribution import Distribution
from .multivariate_normal import _precision_to_scale_tril
from .utils import drawn_normal, lazy_property, tiny_of

__all__ = ["Wishart"]


def _steps(x: Tensor, p: int) -> Tensor:
    """x, x - 1/2, ... x - (p - 1) / 2, along a new last dimension."""
    return x.unsqueeze(-1) - 0.5 * _C.arange(p, dtype=x.dtype, device=x.device)


def _log_gamma_of_matrices(x: Tensor, p: int) -> Tensor:
    return _steps(x, p).lgamma().sum(-1) + 0.25 * p * (p - 1) * math.log(math.pi)


class Wishart(Distribution):
    """X^T X of df rows X of normal vectors (any df above the dimension less 1) with one of covariance_matrix,
    precision_matrix and scale_tril; drawn by M. Bartlett's decomposition."""

    arg_constraints = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.greater_than(0),
    }
    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        chosen = [(name, value) for name, value in given.items() if value is not None]
        if len(chosen) != 1:
            raise ValueError(
                "Wishart: Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        name, matrix = chosen[0]
        if matrix.dim() < 2:
            raise ValueError(f"Wishart: {name} must be at least two-dimensional, got shape {tuple(matrix.shape)}")
        degrees = df if isinstance(df, Tensor) else _C.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch = _C.broadcast_shapes(matrix.shape[:-2], degrees.shape)
        n = matrix.size(-1)
        self.df = degrees.expand(batch)
        self.__dict__[name] = matrix.expand(*batch, n, n)
        if bool((self.df <= n - 1).any()):
            raise ValueError(f"Wishart: Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        super().__init__(batch, matrix.shape[-2:], validate_args=validate_args)
        if scale_tril is not None:
            self._unbroadcasted_scale_tril = scale_tril
        elif covariance_matrix is not None:
            self._unbroadcasted_scale_tril = _C._linalg.cholesky(covariance_matrix)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._unbroadcasted_scale_tril.expand(self._extended_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        lower = self._unbroadcasted_scale_tril
        return (lower @ lower.transpose(-2, -1)).expand(self._extended_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return _C.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._extended_shape())

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.size(-1) - 1
        return factor.masked_fill(factor <= 0, math.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(0, -2, -1)
        return self.df[..., None, None] * (v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        n = self._event_shape[0]
        shape = self._extended_shape(sample_shape)
        squares = 2 * _C._standard_gamma(_steps(0.5 * self.df, n).expand(shape[:-1]))
        normal = drawn_normal(shape, self.df).tril(-1)
        lower = self._unbroadcasted_scale_tril @ (normal + squares.clamp(min=tiny_of(squares)).sqrt().diag_embed())
        return lower @ lower.transpose(-2, -1)

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        n = self._event_shape[0]
        stack = _C.broadcast_shapes(value.shape[:-2], self._unbroadcasted_scale_tril.shape[:-2])
        value = value.expand(*stack, n, n)
        trace = (
            _C.cholesky_solve(value, self._unbroadcasted_scale_tril.expand(*stack, n, n)).diagonal(0, -2, -1).sum(-1)
        )
        return (
            -self.df * (n * math.log(2) / 2 + self._half_log_det())
            - _log_gamma_of_matrices(self.df / 2, n)
            + (self.df - n - 1) / 2 * _C._linalg.slogdet(value).logabsdet
            - trace / 2
        )

    def entropy(self) -> Tensor:
        n = self._event_shape[0]
        half = self.df / 2
        return (
            (n + 1) * (n * math.log(2) / 2 + self._half_log_det())
            + _log_gamma_of_matrices(half, n)
            - (self.df - n - 1) / 2 * _steps(half, n).digamma().sum(-1)
            + self.df * n / 2
        )
