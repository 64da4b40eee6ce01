"""Tools around training: data loading, activation checkpointing, hook handles, timing. Each loads when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

__all__ = [
    "_pytree",
    "benchmark",
    "checkpoint",
    "data",
    "dlpack",
    "early_stopping",
    "hooks",
    "model_zoo",
    "tensorboard",
]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import _pytree, benchmark, checkpoint, data, dlpack, early_stopping, hooks, model_zoo, tensorboard
else:
    __getattr__, __dir__ = _names.lazily(__name__, __all__)
