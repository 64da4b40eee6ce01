"""SGD: stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _C
from .._C import Tensor
from .native import descent, with_l1
from .optimizer import Optimizer, check_modes, check_not_negative

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

        g = grad + weight_decay p
        b = momentum b + (1 - dampening) g          (b = g at the first step)
        p = p - lr b,  or with nesterov  p - lr (g + momentum b)

    With `classic` the learning rate stands inside the velocity, so that a change of it does not touch the momentum that
    there is:

        b = momentum b + (1 - dampening) lr g          (b = lr g at the first step)
        p = p - b,  or with nesterov  p - (lr g + momentum b)

    With `l1` a proximal step follows every step: p goes towards zero as far as a steady gradient of the size l1 would
    take it, and stops there. So weights become exactly zero, where a penalty in the loss would let them dance around:

        p = sign(p) max(|p| - lr l1, 0)                (lr l1 (1 - dampening) / (1 - momentum) with momentum)

    An optimizer that divides its gradients divides l1 by the same. All come to rest where the sum of the loss and of
    l1 |p| does.

    Args:
        params: parameters or groups of them, see Optimizer.
        lr: the learning rate, a number or a 0-d tensor.
        nesterov: look ahead; needs momentum and no dampening.
        maximize: go up instead of down.
        foreach, fused: accepted; every step is one native call anyway.
        classic: the form of Polyak and of Keras; PyTorch has the other.
        l1: strength of the L1 penalty.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, which is the
    classic form; Daubechies et al., "An iterative thresholding algorithm for linear inverse problems", 2004; Yun et
    al., "Adaptive Proximal Gradient Methods for Structured Neural Networks", 2021.
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
        classic: bool = False,
        l1: float = 0,
    ) -> None:
        check_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay, l1=l1)
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
        if classic:  # as with l1: PyTorch knows no such setting
            defaults["classic"] = classic
        super().__init__(params, with_l1(defaults, l1))

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
                momentum=momentum,
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                classic=group.get("classic", False),
                first=first,
                **descent(group),
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
