"""Adafactor: adaptive steps whose second moments take a row and a column instead of a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import NativeOptimizer, State, check_settings

__all__ = ["Adafactor"]


class Adafactor(NativeOptimizer):
    """Adafactor.

        b = 1 - t^beta2_decay;  rate = max(eps[1], rms(p)) min(lr, 1 / sqrt(t));  p = p (1 - lr weight_decay)
        R = b R + (1 - b) mean of g^2 along rows;  C = b C + (1 - b) mean of g^2 along columns
        V = R C / max(mean R, eps[0])         or, of a vector,  V = b V + (1 - b) g^2
        u = g / sqrt(max(V, eps[0]^2))
        p = p - rate u / max(1, rms(u) / d)

    at step t = 1, 2, ... A tensor of more dimensions is a stack of matrices.

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the largest relative step, a number or a 0-d tensor.
        eps: two floors; None for the first is the dtype's epsilon.
        d: what the root mean square of an update may be at most.
        maximize: go up instead of down.
        foreach: accepted; every step is one native call anyway.

    Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018, with lr in the
    place of their 0.01.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        check_settings(
            self, defaults, lr=lr, epsilon1=0 if eps[0] is None else eps[0], epsilon2=eps[1], weight_decay=weight_decay
        )
        if not beta2_decay <= 0:
            raise ValueError(f"Adafactor: beta2_decay must not be positive, but is {beta2_decay}")
        if not d >= 1:
            raise ValueError(f"Adafactor: the threshold d must be at least 1, but is {d}")
        super().__init__(params, defaults)

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        shape = list(parameter.shape)
        if len(shape) < 2:
            return {"step": 0.0, "variance": _C.zeros_like(parameter)}
        return {
            "step": 0.0,
            "row_var": parameter.new_zeros([*shape[:-1], 1]),
            "col_var": parameter.new_zeros([*shape[:-2], 1, shape[-1]]),
        }

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        from .._limits import finfo

        eps1, eps2 = group["eps"]
        _C._optim.adafactor_(
            params,
            grads,
            [state.get("row_var") for state in states],
            [state.get("col_var") for state in states],
            [state.get("variance") for state in states],
            [state["step"] for state in states],
            lr=float(group["lr"]),
            eps1=finfo(params[0].dtype).eps if eps1 is None else eps1,
            eps2=eps2,
            beta2_decay=group["beta2_decay"],
            d=group["d"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
