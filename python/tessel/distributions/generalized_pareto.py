"""The generalized Pareto distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._C import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, open_uniform

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """P(X > x) = (1 + concentration z)^(-1 / concentration), z = (x - loc) / scale; exp(-z) for concentration 0."""

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / _C.where(self.concentration < 0, self.concentration, -1.0)
        return constraints.interval(self.loc, _C.where(self.concentration < 0, end, math.inf))

    def _bent(self) -> tuple[Tensor, Tensor]:
        """(whether concentration counts as 0, concentration or 1 there)"""
        flat = self.concentration.abs() < 1e-7
        return flat, _C.where(flat, 1.0, self.concentration)

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        return _C.where(c < 1, self.loc + self.scale / (1 - c), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        c = self.concentration
        return _C.where(c < 0.5, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.inf)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(open_uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        return self._log_survival(value, 1.0) - self.scale.log()

    def _log_survival(self, value: Tensor, more: float) -> Tensor:
        z = (value - self.loc) / self.scale
        flat, c = self._bent()
        return _C.where(flat, -z, -(1 / c + more) * (c * z).log1p())

    def cdf(self, value: Tensor) -> Tensor:
        self._check(value)
        return -self._log_survival(value, 0.0).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        left = (-value).log1p()
        flat, c = self._bent()
        return self.loc + self.scale * _C.where(flat, -left, (-c * left).expm1() / c)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1
