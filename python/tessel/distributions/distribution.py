"""Distribution: what every distribution has, and the checks of its parameters and of the values it is asked about."""

from __future__ import annotations

import warnings
from typing import Any

from .._C import Size, Tensor
from ..autograd.grad_mode import no_grad
from . import constraints
from .constraints import Constraint
from .utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """Base of distributions.

    A sample has the shape sample_shape + batch_shape + event_shape: independent draws, distributions side by side, and
    what one draw consists of.
    """

    has_rsample = False  # samples carry gradients to the parameters
    has_enumerate_support = False
    _validate_args = __debug__

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            known = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self).__name__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        for name, constraint in known.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name, None), lazy_property):
                continue
            value = getattr(self, name)
            if not bool(constraint.check(value).all()):
                raise ValueError(
                    f"{type(self).__name__}: Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint {constraint!r}, but "
                    f"found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their parameters and values unless told otherwise."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected a bool, got {value!r}")
        Distribution._validate_args = value

    # ---- form

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        raise NotImplementedError(f"arg_constraints: not there for {type(self).__name__}")

    @property
    def support(self) -> Any:
        raise NotImplementedError(f"support: not there for {type(self).__name__}")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution as a batch of that shape; its parameters are expanded, not copied."""
        new = self._get_checked_instance(type(self), _instance)
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                own = value.shape[value.dim() - constraint.event_dim :]
                new.__dict__[name] = value.expand(*batch_shape, *own)
        return self._finish(new, batch_shape)

    def _finish(self, new: Any, batch_shape: Any) -> Any:
        """new, whose parameters are set, as a distribution of that batch and with this one's event."""
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"expand: {type(self).__name__} defines a custom __init__ method, so it must define expand() too"
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    # ---- what it tells

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError(f"mean: not there for {type(self).__name__}")

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError(f"variance: not there for {type(self).__name__}")

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws that carry gradients to the parameters."""
        raise NotImplementedError(f"rsample: not there for {type(self).__name__}")

    def sample_n(self, n: int) -> Tensor:
        warnings.warn("sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at value."""
        raise NotImplementedError(f"log_prob: not there for {type(self).__name__}")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of what is at most value."""
        raise NotImplementedError(f"cdf: not there for {type(self).__name__}")

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: where cdf is value."""
        raise NotImplementedError(f"icdf: not there for {type(self).__name__}")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dimension."""
        raise NotImplementedError(f"enumerate_support: not there for {type(self).__name__}")

    def entropy(self) -> Tensor:
        raise NotImplementedError(f"entropy: not there for {type(self).__name__}")

    def perplexity(self) -> Tensor:
        return self.entropy().exp()

    # ---- checks

    def _validate_sample(self, value: Tensor) -> None:
        """ValueError unless value has a shape that fits and lies in the support."""
        name = type(self).__name__
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: The value argument to log_prob must be a Tensor, got {type(value).__name__}")
        events = len(self._event_shape)
        if value.dim() < events or value.shape[value.dim() - events :] != self._event_shape:
            raise ValueError(
                f"{name}: The right-most size of value must match event_shape: {tuple(value.shape)} vs "
                f"{tuple(self._event_shape)}."
            )
        expected = (*self._batch_shape, *self._event_shape)
        for i, j in zip(reversed(value.shape), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"{name}: Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs "
                    f"{expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{name} does not define `support` to enable sample validation. Please initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not bool(support.check(value).all()):
            raise ValueError(
                f"{name}: Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within "
                f"the support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _check(self, value: Tensor) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                x = self.__dict__[name]
                shown.append(f"{name}: {x if not isinstance(x, Tensor) or x.numel() == 1 else tuple(x.shape)}")
        return f"{type(self).__name__}({', '.join(shown)})"
