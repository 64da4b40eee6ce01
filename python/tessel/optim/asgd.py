"""ASGD: stochastic gradient descent that averages its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings

__all__ = ["ASGD"]


class ASGD(NativeOptimizer):
    """Averaged stochastic gradient descent.

        g = grad + weight_decay p
        p = (1 - lambd eta) p - eta g
        ax = ax + mu (p - ax)
        eta = lr / (1 + lambd lr t)^alpha;  mu = 1 / max(1, t - t0)

    at step t = 1, 2, ...; the averages stand in the state, as `ax`.

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        lambd, alpha: how fast the rate falls.
        t0: the step after which to average.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    _numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        check_settings(self, defaults, lr=lr, weight_decay=weight_decay)
        super().__init__(params, defaults)

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "eta": float(group["lr"]), "mu": 1.0, "ax": _C.zeros_like(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        lambd, lr = group["lambd"], float(group["lr"])
        _C._optim.asgd_(
            params,
            grads,
            [state["ax"] for state in states],
            [state["eta"] for state in states],
            [state["mu"] for state in states],
            lambd=lambd,
            weight_decay=float(group["weight_decay"]),
            maximize=group["maximize"],
        )
        for state in states:
            state["eta"] = lr / (1 + lambd * lr * state["step"]) ** group["alpha"]
            state["mu"] = 1 / max(1, state["step"] - group["t0"])
