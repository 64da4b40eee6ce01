"""LRScheduler: the base of every schedule."""

from __future__ import annotations

from typing import Any

from ..._C import Tensor
from ..optimizer import Optimizer


def _set(group: dict[str, Any], key: str, value: float) -> None:
    """Changes a setting of a group; one that is a tensor keeps its identity."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


class LRScheduler:
    """Base of the schedules.

    A subclass defines `get_lr()`, which gives the rates of all groups for `self.last_epoch`; it may also define
    `_get_closed_form_lr()`, which gives them without looking at the present rates.

    Args:
        optimizer: whose groups are changed.
        last_epoch: the number of the last finished epoch when training is resumed; -1 starts anew.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]  # a schedule made before on the same optimizer has noted it already
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {place} has no initial_lr to resume from")
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self._is_initial = True
        self.step()
        self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All that the schedule needs to go on, without the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave; the optimizer's own state is loaded by itself."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[float]:
        """The rates set last, one for every group."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """The rates of all groups for `self.last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__}: get_lr is not defined")

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        return [lr * factor for lr in self._present()]

    def step(self, epoch: int | None = None) -> None:
        """Goes to the next epoch, or to the given one, and sets its rates. Call it after the optimizer's step."""
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            closed_form = getattr(self, "_get_closed_form_lr", None)
            rates = self.get_lr() if closed_form is None else closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates):
            _set(group, "lr", lr)
        self._last_lr = [lr.clone() if isinstance(lr, Tensor) else lr for lr in self._present()]


_LRScheduler = LRScheduler  # the name it had
