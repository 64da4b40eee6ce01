"""The base of exponential families."""

from __future__ import annotations

from typing import Any

from .._C import Tensor
from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Distributions with the density exp(<t(x), theta> - F(theta) + k(x)). theta are `_natural_params`, F is
    `_log_normalizer`; the entropy of a family that has no form of its own follows from F and its gradient."""

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"_natural_params: not there for {type(self).__name__}")

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError(f"_log_normalizer: not there for {type(self).__name__}")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"_mean_carrier_measure: not there for {type(self).__name__}")

    def entropy(self) -> Tensor:
        from ..autograd import grad

        thetas = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*thetas)
        slopes = grad(normalizer.sum(), thetas, create_graph=True)
        entropy = normalizer - self._mean_carrier_measure
        for theta, slope in zip(thetas, slopes):
            entropy = entropy - (theta * slope).reshape(*self._batch_shape, -1).sum(-1)
        return entropy
