"""Adagrad: steps scaled by the sum of all squared gradients so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings, descent, with_l1

__all__ = ["Adagrad"]


class Adagrad(NativeOptimizer):
    """Adagrad.

        g = grad + weight_decay p
        s = s + g^2
        p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    at step t = 1, 2, ...

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        initial_accumulator_value: what s begins with.
        maximize: go up instead of down.
        foreach, fused: accepted; every step is one native call anyway.
        l1: strength of a proximal L1 penalty, which gives exact zeros; see SGD.

    Source: Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        l1: float = 0,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        initial = initial_accumulator_value
        check_settings(
            self,
            defaults,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial,
            eps=eps,
            l1=l1,
        )
        super().__init__(params, with_l1(defaults, l1))
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = self._new_state(parameter, group)

    def share_memory(self) -> None:
        """Nothing to do: workers are threads, which share memory."""

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        return {"step": 0.0, "sum": _C.full_like(parameter, self.defaults["initial_accumulator_value"])}

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        _C._optim.adagrad_(
            params,
            grads,
            [state["sum"] for state in states],
            [state["step"] for state in states],
            lr_decay=group["lr_decay"],
            eps=group["eps"],
            **descent(group),
        )
