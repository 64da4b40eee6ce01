"""SparseAdam: for sparse gradients, which tessel does not have; it says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._C import Tensor
from .optimizer import Optimizer, check_not_negative

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam for sparse gradients alone. Gradients are dense here, and for those its step raises, as in PyTorch."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_not_negative("SparseAdam", lr=lr, eps=eps)
        if lr == 0 or eps == 0:
            raise ValueError(f"SparseAdam: lr and eps must be positive, but are {lr} and {eps}")
        for place, beta in enumerate(betas):
            if not 0 <= beta < 1:
                raise ValueError(f"SparseAdam: betas[{place}] must be at least 0 and below 1, but is {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._run_closure(closure)
        if any(parameter.grad is not None for group in self.param_groups for parameter in group["params"]):
            raise RuntimeError("SparseAdam: it does not support dense gradients, and there are no others; use Adam")
        return loss
