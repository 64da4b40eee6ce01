"""Adadelta: steps as large as recent steps were, for gradients as large as recent gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["Adadelta"]


class Adadelta(NativeOptimizer):
    """Adadelta.

        g = grad + weight_decay p
        v = rho v + (1 - rho) g^2
        d = sqrt(u + eps) / sqrt(v + eps) g
        u = rho u + (1 - rho) d^2
        p = p - lr d

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        check_settings(self, defaults, lr=lr, eps=eps, weight_decay=weight_decay, l1=l1)
        if not 0 <= rho <= 1:
            raise ValueError(f"Adadelta: rho must be from 0 to 1, but is {rho}")
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "square_avg": _C.zeros_like(parameter), "acc_delta": _C.zeros_like(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        _C._optim.adadelta_(
            params,
            grads,
            [state["square_avg"] for state in states],
            [state["acc_delta"] for state in states],
            rho=group["rho"],
            eps=group["eps"],
            **descent(group),
        )
