"""Functional forms of the layers, straight from the engine: what `_C._nn` holds stands here under the same names."""

from __future__ import annotations

from .. import _C
from .._C import Tensor
from .._C._nn import *  # noqa: F403  (every function of the engine under its own name)
from .._C._nn import softmax

__all__ = [name for name in dir(_C._nn) if not name.startswith("_")] + ["gumbel_softmax", "normalize", "softmin"]


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> Tensor:
    """softmax(-x) along `dim`."""
    return softmax(-input, dim, dtype=dtype)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x / max(||x||_p, eps), with the p-norm along `dim`; zero vectors stay zero."""
    length = input.norm(p, dim, keepdim=True).clamp_min(eps)
    return input / length if out is None else _C.div(input, length, out=out)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample from the Gumbel-softmax distribution along `dim`, sharper for smaller `tau`.

    With `hard` the result is one-hot, and its gradient that of the soft sample. Source: Jang et al., "Categorical
    Reparameterization with Gumbel-Softmax", 2016.
    """
    noise = -_C.empty_like(logits).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = _C.zeros_like(logits).scatter_(dim, soft.max(dim, keepdim=True)[1], 1.0)
    return chosen - soft.detach() + soft
