"""Optimizers: they change parameters by their gradients, one native call a step and parameter group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import lr_scheduler
else:
    __getattr__, __dir__ = _names.lazily(__name__, ["lr_scheduler"])
