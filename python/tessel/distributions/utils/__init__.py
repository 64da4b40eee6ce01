"""What distributions have in common: parameters brought to one shape, probabilities and logits, lazy attributes."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number
from typing import Any

from ... import _C
from ..._C import Tensor
from ...autograd.grad_mode import enable_grad
from ...nn import functional

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "sum_rightmost"]

euler_constant = 0.57721566490153286060  # the Euler-Mascheroni constant
LOG_2_PI = math.log(2 * math.pi)


def eps_of(x: Tensor) -> float:
    """The distance from 1 to the next number of x's dtype."""
    return {8: 2.0**-52, 4: 2.0**-23}.get(x.dtype.itemsize, 2.0**-7 if x.dtype == _C.bfloat16 else 2.0**-10)


def tiny_of(x: Tensor) -> float:
    """The smallest normal number of x's dtype."""
    return {8: 2.0**-1022, 4: 2.0**-126}.get(x.dtype.itemsize, 2.0**-126 if x.dtype == _C.bfloat16 else 2.0**-14)


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """All as tensors of one shape; numbers take dtype and device of the first tensor, else the default dtype."""
    for value in values:
        if not isinstance(value, (Tensor, Number)):
            raise ValueError(
                f"broadcast_all: parameters must be numbers or tensors, but one is a {type(value).__name__}"
            )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = _C.get_default_dtype() if first is None else first.dtype
    device = None if first is None else first.device
    made = [v if isinstance(v, Tensor) else _C.tensor(v, dtype=dtype, device=device) for v in values]
    return tuple(_C.broadcast_tensors(*made))


def drawn_uniform(shape: Any, like: Tensor) -> Tensor:
    return _C.rand(tuple(shape), dtype=like.dtype, device=like.device)


def drawn_normal(shape: Any, like: Tensor) -> Tensor:
    return _C.randn(tuple(shape), dtype=like.dtype, device=like.device)


def open_uniform(shape: Any, like: Tensor) -> Tensor:
    """In (0, 1): finite under a logarithm from either end."""
    return drawn_uniform(shape, like).clamp(tiny_of(like), 1 - eps_of(like) / 2)


def clamp_probs(probs: Tensor) -> Tensor:
    """Inside of (0, 1) by the dtype's eps."""
    eps = eps_of(probs)
    return probs.clamp(eps, 1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    return logits.sigmoid() if is_binary else functional.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    inside = clamp_probs(probs)
    return inside.log() - (-inside).log1p() if is_binary else inside.log()


def sum_rightmost(x: Tensor, dims: int) -> Tensor:
    """x summed over its last `dims` dimensions."""
    return x.reshape(*x.shape[: x.dim() - dims], -1).sum(-1) if dims else x


class lazy_property:  # noqa: N801 - PyTorch's name
    """An attribute computed when it is first asked for, with gradients, and kept."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.name = wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.name] = value
        return value


class ProbsOrLogits:
    """Of distributions that are given one of `probs` and `logits`: the other follows when it is asked for."""

    _binary = True

    def _take(self, probs: Any, logits: Any) -> Tensor:
        """Keeps what was given, and says which parameter it was."""
        if (probs is None) == (logits is None):
            raise ValueError(
                f"{type(self).__name__}: Either `probs` or `logits` must be specified, but not both of them."
            )
        name = "logits" if probs is None else "probs"
        value: Tensor = logits if probs is None else probs
        self.__dict__[name] = value
        return value

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @property
    def param_shape(self) -> Any:
        return self._param.shape

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, self._binary)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, self._binary)
