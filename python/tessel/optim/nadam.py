"""NAdam: Adam that looks ahead as Nesterov's momentum does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["NAdam"]


class NAdam(NativeOptimizer):
    """NAdam.

        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
        m, v as Adam's
        d = (1 - mu_t) g / (1 - mu_1 ... mu_t) + mu_(t+1) m / (1 - mu_1 ... mu_(t+1))
        p = p - lr d / (sqrt(v / (1 - beta2^t)) + eps)

    at step t = 1, 2, ...

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        betas: (beta1, beta2).
        decoupled_weight_decay: shrink p by lr weight_decay instead of adding to the gradient, as AdamW does.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    _numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        check_settings(self, defaults, lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay, l1=l1)
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        zeros = _C.zeros_like
        return {"step": 0.0, "mu_product": 1.0, "exp_avg": zeros(parameter), "exp_avg_sq": zeros(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        beta1, beta2 = group["betas"]
        decay = group["momentum_decay"]
        _C._optim.nadam_(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["step"] for state in states],
            [state["mu_product"] for state in states],
            beta1=float(beta1),
            beta2=float(beta2),
            eps=group["eps"],
            momentum_decay=decay,
            decoupled=group["decoupled_weight_decay"],
            **descent(group),
        )
        for state in states:
            state["mu_product"] *= beta1 * (1.0 - 0.5 * 0.96 ** (state["step"] * decay))
