"""SGD: stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .optimizer import Optimizer, check_modes, check_not_negative

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

        g = grad + weight_decay p
        b = momentum b + (1 - dampening) g          (b = g at the first step)
        p = p - lr b,  or with nesterov  p - lr (g + momentum b)

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        nesterov: look ahead; needs momentum and no dampening.
        maximize: go up instead of down.
        foreach, fused: accepted; every step is one native call anyway.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, with the
    learning rate outside the velocity.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        check_modes("SGD", foreach, fused, differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum and no dampening, but momentum is {momentum} and dampening {dampening}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._run_closure(closure)
        for group in self.param_groups:
            params: list[Tensor] = []
            grads: list[Tensor] = []
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is not None:
                    params.append(parameter)
                    grads.append(grad)
            momentum = group["momentum"]
            buffers, first = self._momentum_buffers(params) if momentum else ([], [])
            _C._optim.sgd_(
                params,
                grads,
                buffers,
                lr=float(group["lr"]),
                momentum=momentum,
                dampening=group["dampening"],
                weight_decay=float(group["weight_decay"]),
                nesterov=group["nesterov"],
                maximize=group["maximize"],
                first=first,
            )
        return loss

    def _momentum_buffers(self, params: list[Tensor]) -> tuple[list[Tensor], list[bool]]:
        """The buffers, and for each whether it is new: then the step sets it to the gradient."""
        buffers = []
        first = []
        for parameter in params:
            state = self.state[parameter]
            buffer = state.get("momentum_buffer")
            first.append(buffer is None)
            if buffer is None:
                buffer = state["momentum_buffer"] = _C.empty_like(parameter)
            buffers.append(buffer)
        return buffers, first
