"""Gradient clipping: by the norm of all gradients together, or value by value; one native pass each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import _C
from ..._C import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Tensor | Iterable[Tensor]


def _as_list(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Any) -> list[Tensor]:
    return [parameter.grad for parameter in _as_list(parameters) if parameter.grad is not None]


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients down together, in place, so that their common norm is at most `max_norm`.

    Args:
        norm_type: the p of the norm; may be infinite.
        error_if_nonfinite: raise instead of scaling by a NaN or infinite norm.
        foreach: accepted; all gradients are handled in one call anyway.

    Returns:
        The norm before clipping, a 0-d tensor.

    Raises:
        RuntimeError: the norm is not finite and `error_if_nonfinite` is set.
    """
    return _C._optim.clip_grad_norm_(_gradients(parameters), float(max_norm), float(norm_type), error_if_nonfinite)


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Cuts every element of every gradient, in place, to the range from -clip_value to clip_value."""
    _C._optim.clip_grad_value_(_gradients(parameters), float(clip_value))


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all tensors together, as if they were one vector; a 0-d tensor.

    Raises:
        RuntimeError: the norm is not finite and `error_if_nonfinite` is set.
    """
    return _C._optim.get_total_norm(_as_list(tensors), float(norm_type), error_if_nonfinite)


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales all gradients, in place, by min(1, max_norm / (total_norm + 1e-6)), for a norm measured before."""
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if not factor >= 1:  # also for a NaN
        _C._optim.scale_(_gradients(parameters), factor)


def clip_grad_norm(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`; it warns."""
    import warnings

    warnings.warn("clip_grad_norm: its name is clip_grad_norm_ now", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
