"""GradScaler: losses are scaled up, so that small gradients survive float16, and gradients down again before a step."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import _C
from .._C import Tensor
from .autocast_mode import is_autocast_available

__all__ = ["GradScaler"]


class GradScaler:
    """Scales losses by a factor that grows while all gradients are finite, and shrinks when one is not.

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    A step with a gradient that is not finite is left out. To look at gradients, or clip them, call
    `scaler.unscale_(optimizer)` before.

    Args:
        device: "cuda" or "cpu"; without such a device the scaler is disabled, and does nothing.
        init_scale: the first factor.
        growth_factor, growth_interval: after so many steps without an infinity the scale is multiplied.
        backoff_factor: by which it is multiplied after one with an infinity.

    Source: Micikevicius et al., "Mixed Precision Training", 2017.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        if enabled and not is_autocast_available(device):
            warnings.warn(f"GradScaler: there is no device {device!r}; it is disabled", UserWarning, stacklevel=2)
            enabled = False
        self._enabled = enabled
        if growth_factor <= 1:
            raise AssertionError(f"GradScaler: growth_factor must be above 1, but is {growth_factor}")
        if backoff_factor >= 1:
            raise AssertionError(f"GradScaler: backoff_factor must be below 1, but is {backoff_factor}")
        self._scale = float(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        # Of optimizers unscaled since the last update: whether they met an infinity.
        self._found: dict[int, bool] = {}
        self._stepped: set[int] = set()

    def scale(self, outputs: Any) -> Any:
        """A loss, or a list or tuple of them, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * _C.tensor(self._scale, dtype=_C.float32, device=outputs.device)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(output) for output in outputs)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError(f"GradScaler.scale: expected a tensor or tensors, not {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of an optimizer's parameters by the scale, in place, once between two updates.

        Raises:
            RuntimeError: it was done already.
            ValueError: a gradient is float16: dividing would lose what scaling kept; let parameters be float32.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("GradScaler: unscale_() is being called after step()")
        if id(optimizer) in self._found:
            raise RuntimeError(
                "GradScaler: unscale_() has already been called on this optimizer since the last update()"
            )
        grads = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if any(grad.dtype is _C.float16 for grad in grads):
            raise ValueError("GradScaler: Attempting to unscale FP16 gradients; keep parameters in float32")
        if not grads:
            raise AssertionError(
                "GradScaler: the optimizer's parameters have no gradients, so there is nothing to check"
            )
        self._found[id(optimizer)] = _C._optim.unscale_(grads, 1.0 / self._scale)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscales, if that was not done, and takes the optimizer's step unless a gradient is not finite.

        Returns:
            What `optimizer.step` returned, or None.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise RuntimeError("GradScaler.step: closures are not supported with it")
        if id(optimizer) in self._stepped:
            raise RuntimeError("GradScaler: step() has already been called since the last update()")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        self._stepped.add(id(optimizer))
        return None if self._found[id(optimizer)] else optimizer.step(**kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapts the scale, after the steps of all optimizers; or sets it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            if not self._found:
                raise AssertionError("GradScaler: update() needs a step() or unscale_() before")
            if any(self._found.values()):
                self._scale *= self._backoff_factor
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    grown = self._scale * self._growth_factor
                    self._scale = grown if grown < 3.5e38 and math.isfinite(grown) else self._scale
                    self._growth_tracker = 0
        self._found.clear()
        self._stepped.clear()

    def get_scale(self) -> float:
        """The present scale; 1 when disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The state in PyTorch's form; empty when disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("GradScaler: the state is empty: it is that of a disabled scaler")
        self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = int(state_dict["_growth_tracker"])
