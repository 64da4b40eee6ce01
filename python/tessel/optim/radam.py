"""RAdam: Adam whose adaptive steps wait until their variance is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["RAdam"]


class RAdam(NativeOptimizer):
    """RAdam.

        m, v as Adam's;  n = 2 / (1 - beta2) - 1;  k = n - 2 t beta2^t / (1 - beta2^t)
        r = sqrt((k - 4) (k - 2) n / ((n - 4) (n - 2) k))
        p = p - lr m / (1 - beta1^t) r sqrt(1 - beta2^t) / (sqrt(v) + eps)    where k > 5
        p = p - lr m / (1 - beta1^t)                                          else

    at step t = 1, 2, ...

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        betas: (beta1, beta2).
        decoupled_weight_decay: shrink p by lr weight_decay instead of adding to the gradient, as AdamW does.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        check_settings(self, defaults, lr=lr, eps=eps, weight_decay=weight_decay, l1=l1)
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "exp_avg": _C.zeros_like(parameter), "exp_avg_sq": _C.zeros_like(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        beta1, beta2 = group["betas"]
        _C._optim.radam_(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["step"] for state in states],
            beta1=float(beta1),
            beta2=float(beta2),
            eps=group["eps"],
            decoupled=group["decoupled_weight_decay"],
            **descent(group),
        )
