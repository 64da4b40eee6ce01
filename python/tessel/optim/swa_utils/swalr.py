"""SWALR: the schedule that leads to the rate at which models are averaged."""

from __future__ import annotations

import math

from ..lr_scheduler import LRScheduler
from ..lr_scheduler.cycles import _per_group
from ..optimizer import Optimizer

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """Goes from the present rate to `swa_lr` in `anneal_epochs` epochs, and stays there.

    Args:
        swa_lr: the last rate; one number, or one for every group.
        anneal_strategy: along a cosine ("cos") or a line ("linear").

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"SWALR: expected an Optimizer, not {type(optimizer).__name__}")
        groups = optimizer.param_groups
        for group, rate in zip(groups, _per_group("SWALR", "swa_lr", swa_lr, len(groups))):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an int of at least 0, but is {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """The share of the way that is behind at the share `t` of the time."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def _share(self, step: int) -> float:
        return self.anneal_func(max(0, min(1, step / max(1, self.anneal_epochs))))

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, end = group["lr"], group["swa_lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
