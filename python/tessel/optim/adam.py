"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["Adam", "AdamW"]


class Adam(NativeOptimizer):
    """Adam.

        g = grad + weight_decay p
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        p = p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    at step t = 1, 2, ... With `amsgrad` the largest v so far takes v's place in the last line.

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        betas: (beta1, beta2).
        decoupled_weight_decay: shrink p by lr weight_decay instead of adding to the gradient, as AdamW does.
        maximize: go up instead of down.
        foreach, fused, capturable: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014; amsgrad: Reddi et al., "On the
    Convergence of Adam and Beyond", 2018.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        check_settings(self, defaults, lr=lr, eps=eps, weight_decay=weight_decay, l1=l1)
        super().__init__(params, with_l1(defaults, l1))

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "exp_avg": _C.zeros_like(parameter), "exp_avg_sq": _C.zeros_like(parameter)}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        amsgrad = group["amsgrad"]
        if amsgrad:
            for parameter, state in zip(params, states):
                if "max_exp_avg_sq" not in state:
                    state["max_exp_avg_sq"] = _C.zeros_like(parameter)
        beta1, beta2 = group["betas"]
        _C._optim.adam_(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if amsgrad else [],
            [state["step"] for state in states],
            beta1=float(beta1),
            beta2=float(beta2),
            eps=group["eps"],
            amsgrad=amsgrad,
            decoupled=group["decoupled_weight_decay"],
            **descent(group),
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr weight_decay p before the step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        l1: float = 0,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            l1=l1,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # states saved by older AdamWs do not say so
            group["decoupled_weight_decay"] = True
