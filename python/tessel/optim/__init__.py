"""Optimizers: they change parameters by their gradients, one native call a step and parameter group."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import lr_scheduler
else:

    def __getattr__(name: str) -> Any:
        if name == "lr_scheduler":
            return importlib.import_module(f"{__name__}.lr_scheduler")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
