"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._C import Tensor
from ..nn import functional
from . import constraints
from .exp_family import ExponentialFamily
from .utils import ProbsOrLogits, broadcast_all, clamp_probs, drawn_uniform, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """C p^x (1-p)^(1-x) on [0, 1] (G. Loaiza-Ganem and J. Cunningham, 2019). Near p = 1/2, between lims, the constant C
    and the moments are Taylor series: their closed forms lose all digits there."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        (value,) = broadcast_all(self._take(probs, logits))
        if probs is not None:
            if (validate_args if validate_args is not None else self._validate_args) and not bool(
                constraints.unit_interval.check(value).all()
            ):
                raise ValueError("ContinuousBernoulli: The parameter probs has invalid values")
            value = clamp_probs(value)
        self.__dict__["logits" if probs is None else "probs"] = value
        self._lims = lims
        super().__init__(value.shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._lims = self._lims
        return new

    def _outside(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """probs where the closed forms hold, else a value that is safe in them."""
        return _C.where(self._outside(), self.probs, self._lims[0])

    def _cont_bern_log_norm(self) -> Tensor:
        p = self._cut_probs()
        below = _C.where(p <= 0.5, p, 0.0)
        above = _C.where(p >= 0.5, p, 1.0)
        log_norm = ((-p).log1p() - p.log()).abs().log() - _C.where(
            p <= 0.5, (-2.0 * below).log1p(), (2.0 * above - 1.0).log()
        )
        x = (self.probs - 0.5).square()
        return _C.where(self._outside(), log_norm, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Tensor:
        p = self._cut_probs()
        x = self.probs - 0.5
        closed = p / (2.0 * p - 1.0) + 1.0 / ((-p).log1p() - p.log())
        return _C.where(self._outside(), closed, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.square()) * x)

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        p = self._cut_probs()
        x = (self.probs - 0.5).square()
        closed = p * (p - 1.0) / (1.0 - 2.0 * p).square() + 1.0 / ((-p).log1p() - p.log()).square()
        return _C.where(self._outside(), closed, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    @property
    def param_shape(self) -> Any:
        return self._param.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(drawn_uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        return (
            -functional.binary_cross_entropy_with_logits(logits, value, reduction="none") + self._cont_bern_log_norm()
        )

    def cdf(self, value: Tensor) -> Tensor:
        self._check(value)
        p = self._cut_probs()
        found = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        found = _C.where(self._outside(), found, value)
        return _C.where(value <= 0.0, 0.0, _C.where(value >= 1.0, 1.0, found)).to(found.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        p = self._cut_probs()
        closed = ((-p + value * (2.0 * p - 1.0)).log1p() - (-p).log1p()) / (p.log() - (-p).log1p())
        return _C.where(self._outside(), closed, value)

    def entropy(self) -> Tensor:
        log0, log1 = (-self.probs).log1p(), self.probs.log()
        return self.mean * (log0 - log1) - self._cont_bern_log_norm() - log0

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        x = natural_params[0]
        p = logits_to_probs(x, True)
        outside = (p <= self._lims[0]) | (p > self._lims[1])
        safe = _C.where(outside, x, (self._lims[0] - 0.5) * _C.ones_like(x))
        series = 0.5 * x + x.square() / 24.0 - x.pow(4) / 2880.0
        return _C.where(outside, (safe.exp() - 1).abs().log() - safe.abs().log(), series)
