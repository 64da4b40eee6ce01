"""Muon: momentum made orthogonal, for the matrices of hidden layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _C
from .optimizer import Optimizer, check_not_negative

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon.

        b = momentum b + (1 - momentum) grad
        u = momentum b + (1 - momentum) grad with nesterov, else b
        p = p (1 - lr weight_decay) - lr k O(u)

    O(u) is u with all its singular values brought near 1, by `ns_steps` Newton-Schulz iterations in bfloat16; k is
    sqrt(max(1, rows / columns)), or 0.2 sqrt(max(rows, columns)) with adjust_lr_fn="match_rms_adamw".

    Args:
        params: parameters that are matrices, or groups of them; train the others by AdamW.
        lr: the learning rate, a number or a 0-d tensor.
        ns_coefficients, ns_steps, eps: of the iteration x = a x + (b x x^T + c (x x^T)^2) x, which begins with u
            divided by its norm, or by eps if that is larger.
        adjust_lr_fn: None or "original", or "match_rms_adamw".

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is
    Scalable for LLM Training", 2025.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_not_negative("Muon", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Muon: adjust_lr_fn must be 'original' or 'match_rms_adamw', not {adjust_lr_fn!r}")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(
                        f"Muon: parameters must be matrices, but one has the shape {tuple(parameter.shape)}; "
                        "train the others by AdamW"
                    )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._run_closure(closure)
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in params:
                if "momentum_buffer" not in self.state[parameter]:
                    self.state[parameter]["momentum_buffer"] = _C.zeros_like(parameter.grad)
            _C._optim.muon_(
                params,
                [parameter.grad for parameter in params],
                [self.state[parameter]["momentum_buffer"] for parameter in params],
                lr=float(group["lr"]),
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                nesterov=group["nesterov"],
                ns_coefficients=list(group["ns_coefficients"]),
                ns_steps=group["ns_steps"],
                eps=group["eps"],
                adjust_lr_fn=group["adjust_lr_fn"] or "original",
            )
        return loss
