"""Correlation matrices."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._C import Tensor
from ..autograd.grad_mode import no_grad
from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all, drawn_normal, tiny_of

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of dim by dim correlation matrices of density det^(concentration - 1), drawn by the onion method
    (D. Lewandowski, D. Kurowicka and H. Joe, 2009)."""

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"LKJCholesky: Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        self._make_beta()
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def _make_beta(self) -> None:
        steps = _C.arange(self.dim - 1, dtype=self.concentration.dtype, device=self.concentration.device)
        offset = _C.cat([steps.new_zeros(1), steps])
        marginal = self.concentration + 0.5 * (self.dim - 2)
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(LKJCholesky, _instance)
        new.dim, new.concentration = self.dim, self.concentration.expand(batch_shape)
        new._make_beta()
        return self._finish(new, batch_shape)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            length = self._beta.sample(sample_shape).unsqueeze(-1)
            normal = drawn_normal(self._extended_shape(sample_shape), self.concentration).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True).clamp(min=tiny_of(normal))
            direction = _C.cat([_C.zeros_like(direction[..., :1, :]), direction[..., 1:, :]], -2)
            rows = length.sqrt() * direction
            left = (1 - (rows**2).sum(-1)).clamp(min=tiny_of(rows)).sqrt()
            return rows + left.diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        diagonal = value.diagonal(0, -2, -1)[..., 1:]
        order = _C.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        unnormalized = (order * diagonal.log()).sum(-1)
        alpha, below = self.concentration + 0.5 * (self.dim - 1), self.dim - 1
        steps = _C.arange(1, self.dim, dtype=alpha.dtype, device=alpha.device)
        numerator = (alpha.unsqueeze(-1) - 0.5 * steps).lgamma().sum(-1) + 0.25 * below * (below + 1) * math.log(
            math.pi
        )
        return unnormalized - (numerator - alpha.lgamma() * below)
