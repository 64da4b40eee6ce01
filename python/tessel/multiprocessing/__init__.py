"""Python's multiprocessing, and spawn. Tensors go to other processes by value."""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403
from multiprocessing import reduction as reduction
from typing import TYPE_CHECKING

from .. import _names

__all__ = [  # noqa: PLE0604 - Python's, and ours
    *(name for name in multiprocessing.__all__ if name != "reducer"),
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]

if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from .start import (
        ProcessContext,
        ProcessExitedException,
        ProcessRaisedException,
        SpawnContext,
        spawn,
        start_processes,
    )
else:
    _started = "ProcessContext ProcessExitedException ProcessRaisedException SpawnContext spawn start_processes".split()
    __getattr__, __dir__ = _names.lazily(__name__, {name: f"start:{name}" for name in _started})


def get_all_sharing_strategies() -> set[str]:
    """The one way: memory that the children inherit."""
    return {"file_descriptor"}


def get_sharing_strategy() -> str:
    """The one way."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted, by PyTorch's names."""
    if new_strategy not in ("file_descriptor", "file_system"):
        raise ValueError(f"set_sharing_strategy: expected 'file_descriptor' or 'file_system', got {new_strategy!r}")


def _supports_context() -> bool:
    return True
