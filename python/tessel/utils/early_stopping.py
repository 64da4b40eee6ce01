"""EarlyStopping: training ends when a metric has not improved for a while, with the best weights."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Says when to stop.

        stopping = EarlyStopping(patience=5, model=model)
        for epoch in range(100):
            ...
            if stopping.step(validation_loss):
                break
        stopping.restore()

    Its state belongs into the checkpoint: training that is resumed goes on counting.

    Args:
        patience: epochs without improvement after which to stop.
        min_delta: what the metric must improve by to count.
        mode: whether the metric is to become smaller ("min") or larger ("max").
        model: whose weights of the best epoch are kept, for `restore`; None keeps none.
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, mode: str = "min", model: Any = None) -> None:
        if patience < 0:
            raise ValueError(f"EarlyStopping: patience must not be negative, but is {patience}")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must not be negative, but is {min_delta}")
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', not {mode!r}")
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self.model = model
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = -1
        self.bad_epochs = 0
        self.epoch = -1
        self._weights: dict[str, Any] | None = None

    @property
    def stopped(self) -> bool:
        """Whether it is time to stop."""
        return self.bad_epochs > 0 and self.bad_epochs >= self.patience

    def step(self, metric: Any) -> bool:
        """Takes the metric of an epoch; whether to stop. A NaN is no improvement."""
        value = float(metric)
        self.epoch += 1
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best = value
            self.best_epoch = self.epoch
            self.bad_epochs = 0
            if self.model is not None:
                self._weights = {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}
        else:
            self.bad_epochs += 1
        return self.stopped

    def restore(self) -> None:
        """Puts the weights of the best epoch back into the model.

        Raises:
            RuntimeError: none are kept: there was no model, or no step.
        """
        if self.model is None or self._weights is None:
            raise RuntimeError("EarlyStopping.restore: no weights are kept; give it a model, and call step()")
        self.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """The counters and the best weights, as `tessel.save` takes them."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "bad_epochs": self.bad_epochs,
            "epoch": self.epoch,
            "weights": self._weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        self.best = state_dict["best"]
        self.best_epoch = state_dict["best_epoch"]
        self.bad_epochs = state_dict["bad_epochs"]
        self.epoch = state_dict["epoch"]
        self._weights = state_dict["weights"]
