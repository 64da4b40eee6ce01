"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

from .. import _C, nn
from .._C import Tensor
from . import constraints
from .exp_family import ExponentialFamily
from .utils import tiny_of

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Probabilities of categories: gamma numbers with these concentrations, divided by their sum."""

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("Dirichlet: `concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        drawn = _C._standard_gamma(self.concentration.expand(self._extended_shape(sample_shape)))
        drawn = drawn + (drawn.detach().clamp(min=tiny_of(drawn)) - drawn.detach())
        return drawn / drawn.sum(-1, True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        c = self.concentration
        return _C.xlogy(c - 1.0, value).sum(-1) + c.sum(-1).lgamma() - c.lgamma().sum(-1)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        flat = (self.concentration < 1).all(-1, True)
        corner = nn.functional.one_hot(self.concentration.argmax(-1), above.size(-1)).to(mode.dtype)
        return _C.where(flat, corner, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        c, k = self.concentration, self.concentration.size(-1)
        total = c.sum(-1)
        spread = ((c - 1.0) * c.digamma()).sum(-1)
        return c.lgamma().sum(-1) - total.lgamma() - (k - total) * total.digamma() - spread

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.concentration,)

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        return natural_params[0].lgamma().sum(-1) - natural_params[0].sum(-1).lgamma()
