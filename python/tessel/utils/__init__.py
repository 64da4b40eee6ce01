"""Tools around training: data loading, activation checkpointing, hook handles. Each loads when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import checkpoint, data, dlpack, hooks
else:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
