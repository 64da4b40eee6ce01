"""Averages of a model's parameters over its training, and update_bn for the statistics that belong to them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from ... import _C
from ..._C import Tensor
from ...autograd.grad_mode import no_grad
from ...nn.batchnorm import _BatchNorm
from ...nn.module import Module

__all__ = [
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]
Average = Callable[[Tensor, Tensor, Any], Tensor]


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be from 0 to 1, but is {decay}")


def _lerp(averages: list[Tensor], currents: list[Tensor], weight: float) -> None:
    """averages += weight (currents - averages), all floats in one native call."""
    pairs = list(zip(averages, currents))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    _C._optim.lerp_([average for average, _ in floats], [current for _, current in floats], weight)
    for average, current in pairs:
        if not average.is_floating_point():
            average.copy_(average * (1 - weight) + current * weight)


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """The exponential moving average of many tensors at once: average = decay average + (1 - decay) current."""
    _check_decay(decay)

    @no_grad()
    def ema_update(averages: list[Tensor], currents: list[Tensor], num_averaged: Any) -> None:
        _lerp(averages, currents, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """The equal average of many tensors at once: average += (current - average) / (n + 1)."""

    @no_grad()
    def swa_update(averages: list[Tensor], currents: list[Tensor], num_averaged: Any) -> None:
        _lerp(averages, currents, 1 / (float(num_averaged) + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average of one tensor."""
    _check_decay(decay)

    @no_grad()
    def ema_update(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * average + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Average:
    """The equal average of one tensor."""

    @no_grad()
    def swa_update(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return average + (current - average) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's over the calls of `update_parameters`.

    Args:
        model: the model; it is copied, and may go on training.
        device: where the averages are kept; by default where the parameters are.
        avg_fn: (average, parameter, number of averages so far) -> new average, for one parameter at a time.
        multi_avg_fn: (averages, parameters, number) -> None, for all at once, in place. By default
            `get_swa_multi_avg_fn()`, the equal average.
        use_buffers: average the buffers too; otherwise they are copied.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: give either avg_fn or multi_avg_fn")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", _C.tensor(0, dtype=_C.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _members(self, module: Module) -> list[Tensor]:
        buffers = module.buffers() if self.use_buffers else ()
        return [member.detach() for member in itertools.chain(module.parameters(), buffers)]

    def update_parameters(self, model: Module) -> None:
        """Takes the model's present parameters into the averages; the first call copies them."""
        averages = self._members(self.module)
        currents = [now.to(average.device) for now, average in zip(self._members(model), averages)]
        count = self.n_averaged
        if int(count) == 0:
            for average, current in zip(averages, currents):
                average.copy_(current)
        elif self.avg_fn is None:
            groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
            for average, current in zip(averages, currents):
                group = groups.setdefault((str(average.device), average.dtype), ([], []))
                group[0].append(average)
                group[1].append(current)
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for group in groups.values():
                update(*group, count)
        else:
            for average, current in zip(averages, currents):
                average.copy_(self.avg_fn(average, current, count))
        if not self.use_buffers:
            for kept, buffer in zip(self.module.buffers(), model.buffers()):
                kept.detach().copy_(buffer.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of the model's batch norms anew, as plain averages over the loader's batches.

    Args:
        loader: batches; of a tuple or list the first entry goes into the model.
        device: where batches are moved to first.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        model.train(was_training)
