"""Marks for NVIDIA's profilers: accepted, and not written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def range_push(msg: str) -> int:
    """The depth of the range that begins."""
    global _depth
    _depth += 1
    return _depth - 1


def range_pop() -> int:
    """The depth of the range that ends."""
    global _depth
    _depth -= 1
    return _depth


def range_start(msg: str) -> int:
    """A handle for range_end."""
    return 0


def range_end(range_id: int) -> None:
    """Ends a range."""


def mark(msg: str) -> None:
    """A moment."""


@contextlib.contextmanager
def range(msg: str, *args: object, **kwargs: object) -> Iterator[None]:  # noqa: A001 - PyTorch's name
    """A range as a context."""
    range_push(msg)
    try:
        yield
    finally:
        range_pop()
