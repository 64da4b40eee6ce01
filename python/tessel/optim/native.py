"""NativeOptimizer: what the optimizers share whose step is one native call for each group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from .optimizer import Optimizer, check_modes, check_not_negative

__all__ = ["NativeOptimizer"]

State = dict[str, Any]


class NativeOptimizer(Optimizer):
    """Base of optimizers that keep a state for every parameter and step all parameters of a group at once.

    A subclass gives a parameter's first state, and hands parameters, gradients and states to the engine. The numbers of
    a state (how many steps there were) are floats in memory, where a step only adds to them, and 0-d tensors in a state
    dict, as PyTorch has them.
    """

    _numbers: tuple[str, ...] = ("step",)

    def _new_state(self, parameter: Tensor, group: dict[str, Any]) -> State:
        """The state of a parameter before its first step; `step` is 0."""
        raise NotImplementedError(f"{type(self).__name__}: _new_state is not defined")

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        """Takes the step; every state's `step` counts it already."""
        raise NotImplementedError(f"{type(self).__name__}: _update is not defined")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._run_closure(closure)
        for group in self.param_groups:
            params: list[Tensor] = []
            grads: list[Tensor] = []
            states: list[State] = []
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(self._new_state(parameter, group))
                state["step"] += 1.0
                params.append(parameter)
                grads.append(grad)
                states.append(state)
            if params:
                self._update(group, params, grads, states)
        return loss

    def _saved_state(self, state: Any) -> Any:
        dtype = _C.float64 if _C.get_default_dtype() is _C.float64 else _C.float32
        return {
            key: _C.tensor(value, dtype=dtype) if key in self._numbers and not isinstance(value, Tensor) else value
            for key, value in state.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for entry in self.state.values():
            for key in self._numbers:
                if key in entry:
                    entry[key] = float(entry[key])


def descent(group: dict[str, Any]) -> dict[str, Any]:
    """The settings of a group that every step has."""
    return {
        "lr": float(group["lr"]),
        "weight_decay": float(group["weight_decay"]),
        "maximize": group["maximize"],
        "l1": group.get("l1", 0.0),
    }


def with_l1(defaults: dict[str, Any], l1: float) -> dict[str, Any]:
    """The defaults with `l1` where it is asked for: PyTorch has no such setting, and state dicts go there too."""
    return {**defaults, "l1": l1} if l1 else defaults


def check_settings(optimizer: Any, settings: dict[str, Any], **bounds: Any) -> None:
    """Checks what the optimizers' settings have in common: `bounds` must not be negative, betas lie in [0, 1)."""
    name = type(optimizer).__name__
    check_not_negative(name, **bounds)
    check_modes(name, settings.get("foreach"), settings.get("fused"), settings.get("differentiable", False))
    alone = settings.get("foreach") and not settings.get("capturable")
    betas = settings.get("betas", ())
    if alone and any(isinstance(value, Tensor) for value in (settings["lr"], *betas)):
        raise ValueError(f"{name}: lr and betas may be tensors only without foreach=True, or with capturable=True too")
    if len({isinstance(beta, Tensor) for beta in betas}) > 1:
        raise ValueError(f"{name}: betas must be both numbers or both tensors")
    for place, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"{name}: betas[{place}] must be one number, but is a tensor of {tuple(beta.shape)}")
        if not 0 <= beta < 1:
            raise ValueError(f"{name}: betas[{place}] must be at least 0 and below 1, but is {beta}")
