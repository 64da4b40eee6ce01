"""The von Mises distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._C import Tensor
from ..autograd.grad_mode import no_grad
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, drawn_uniform, lazy_property

__all__ = ["VonMises"]

# M. Abramowitz and I. Stegun, "Handbook of mathematical functions", 9.8.1 to 9.8.4: exp(-x) I0 and I1 to 2e-7
_SMALL = (
    (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813),
    (0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411),
)
_LARGE = (
    (0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633, 0.00392377),
    (0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312, 0.01787654, -0.00420059),
)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    y = _C.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = y * x + c
    return y


def _log_modified_bessel(x: Tensor, order: int) -> Tensor:
    """log I0 or log I1 of positive numbers."""
    near = x.clamp(max=3.75)
    small = _polynomial((near / 3.75).square(), _SMALL[order])
    small = small.log() if order == 0 else (near.abs() * small).log()
    far = x.clamp(min=3.75)
    large = far - 0.5 * far.log() + _polynomial(3.75 / far, _LARGE[order]).log()
    return _C.where(x < 3.75, small, large)


class VonMises(Distribution):
    """exp(concentration cos(x - loc)) / (2 pi I0(concentration)): normal numbers around a circle."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        """Of the circle: 1 - I1 / I0."""
        k = self.concentration
        return 1 - (_log_modified_bessel(k, 1) - _log_modified_bessel(k, 0)).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        k = self.concentration
        return k * (value - self.loc).cos() - math.log(2 * math.pi) - _log_modified_bessel(k, 0)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """D. Best and N. Fisher, "Efficient simulation of the von Mises distribution", 1979; whoever is rejected draws
        again."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            loc, k = self.loc.double().expand(shape), self.concentration.double().expand(shape)
            tau = 1 + (1 + 4 * k**2).sqrt()
            rho = (tau - (2 * tau).sqrt()) / (2 * k)
            r = _C.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))
            x = _C.zeros_like(loc)
            waiting = _C.ones_like(x, dtype=_C.bool)
            while bool(waiting.any()):
                u1, u2, u3 = (drawn_uniform(shape, x) for _ in range(3))
                z = (math.pi * u1).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accepted = ((c * (2 - c) - u2) > 0) | ((c / u2).log() + 1 - c >= 0)
                x = _C.where(waiting & accepted, (u3 - 0.5).sign() * f.clamp(-1, 1).acos(), x)
                waiting = waiting & ~accepted
            return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)
