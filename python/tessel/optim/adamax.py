"""Adamax: Adam with the largest recent gradient in the place of their root mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["Adamax"]


class Adamax(NativeOptimizer):
    """Adamax.

        g = grad + weight_decay p
        m = beta1 m + (1 - beta1) g
        u = max(beta2 u, |g| + eps)
        p = p - lr / (1 - beta1^t) m / u

    at step t = 1, 2, ...

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        betas: (beta1, beta2).
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, section 7.1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_settings(self, defaults, lr=lr, eps=eps, weight_decay=weight_decay, l1=l1)
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "exp_avg": _C.zeros_like(parameter), "exp_inf": _C.zeros_like(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        beta1, beta2 = group["betas"]
        _C._optim.adamax_(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_inf"] for state in states],
            [state["step"] for state in states],
            beta1=float(beta1),
            beta2=float(beta2),
            eps=group["eps"],
            **descent(group),
        )
