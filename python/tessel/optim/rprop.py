"""Rprop: steps that follow the signs of the gradients alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings

__all__ = ["Rprop"]


class Rprop(NativeOptimizer):
    """Resilient backpropagation, for gradients of the whole data.

        size = size etas[1] where grad keeps its sign, size etas[0] where it changes (and grad counts as 0 then)
        p = p - sign(grad) size

    with sizes kept in `step_sizes`.

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the first step size, a number or a 0-d tensor.
        etas: the factors by which a step size shrinks and grows.
        step_sizes: the smallest and the largest step size.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.

    Source: Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning", 1993.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_settings(self, defaults, lr=lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: etas must be one below and one above 1, but are {etas[0]} and {etas[1]}")
        super().__init__(params, defaults)

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {
            "step": 0.0,
            "prev": _C.zeros_like(parameter),
            "step_size": _C.full_like(parameter, float(group["lr"])),
        }

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        less, more = group["etas"]
        low, high = group["step_sizes"]
        _C._optim.rprop_(
            params,
            grads,
            [state["prev"] for state in states],
            [state["step_size"] for state in states],
            etaminus=less,
            etaplus=more,
            step_size_min=low,
            step_size_max=high,
            maximize=group["maximize"],
        )
