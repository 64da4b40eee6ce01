"""RMSprop: steps scaled by a running mean of squared gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["RMSprop"]


class RMSprop(NativeOptimizer):
    """RMSprop.

        g = grad + weight_decay p
        v = alpha v + (1 - alpha) g^2
        d = g / (sqrt(v) + eps),  or centered  g / (sqrt(v - m^2) + eps)  with m = alpha m + (1 - alpha) g
        p = p - lr d,  or with momentum  p - lr b  with  b = momentum b + d

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Hinton, lecture 6e of "Neural Networks for Machine Learning", 2012; centered: Graves, "Generating Sequences
    With Recurrent Neural Networks", 2013.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        check_settings(self, defaults, lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha, l1=l1)
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        state = {"step": 0.0, "square_avg": _C.zeros_like(parameter)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = _C.zeros_like(parameter)
        if group["centered"]:
            state["grad_avg"] = _C.zeros_like(parameter)
        return state

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        momentum = group["momentum"]
        _C._optim.rmsprop_(
            params,
            grads,
            [state["square_avg"] for state in states],
            [state["grad_avg"] for state in states] if group["centered"] else [],
            [state["momentum_buffer"] for state in states] if momentum > 0 else [],
            alpha=group["alpha"],
            eps=group["eps"],
            momentum=momentum,
            **descent(group),
        )
