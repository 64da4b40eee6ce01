"""What programs touch of PyTorch's compiler front end: settings that are kept, functions that come back as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _names
from ..compiler import allow_in_graph, assume_constant_result, disable, is_compiling, list_backends, reset
from . import config

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "config",
    "disable",
    "graph_break",
    "is_compiling",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "maybe_mark_dynamic",
    "optimize",
    "reset",
    "run",
]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def optimize(backend: Any = "inductor", **_: Any) -> Any:
    """A decorator that gives back what it gets."""
    return lambda function: function


def run(fn: Any = None) -> Any:
    """The function itself."""
    return fn if fn is not None else lambda function: function


def graph_break(msg: str = "") -> None:
    """Nothing to break."""


def mark_dynamic(t: Any, index: Any, **_: Any) -> None:
    """Every size may change from call to call anyway."""


def maybe_mark_dynamic(t: Any, index: Any) -> None:
    """Every size may change from call to call anyway."""


def mark_static(t: Any, index: Any = None) -> None:
    """Every size may change from call to call anyway."""
