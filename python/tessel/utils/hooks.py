"""RemovableHandle: what every register_*_hook of Module and Optimizer returns."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from typing import Any

__all__ = ["RemovableHandle"]


class RemovableHandle:
    """Takes a hook out again: by `remove()`, or at the end of a `with` block.

    The handle knows its tables only weakly, so that a forgotten handle never keeps a module alive.

    Args:
        hooks: the table the hook stands in, keyed by `handle.id`.
        extra: further tables with flags of the same hook (`with_kwargs`, ...); one, or several.
    """

    _ids = itertools.count()

    def __init__(self, hooks: OrderedDict[int, Any], *, extra: Any = ()) -> None:
        self.id = next(RemovableHandle._ids)
        tables = [hooks, *([extra] if isinstance(extra, dict) else extra)]
        self._tables = [weakref.ref(table) for table in tables]

    def remove(self) -> None:
        """Takes the hook out; a second call does nothing."""
        for reference in self._tables:
            table = reference()
            if table is not None:
                table.pop(self.id, None)

    def __getstate__(self) -> tuple[list[Any], int]:
        return [reference() for reference in self._tables], self.id

    def __setstate__(self, state: tuple[list[Any], int]) -> None:
        tables, self.id = state
        # A table that was gone when the handle was pickled comes back as an empty one of its own.
        self._tables = [weakref.ref(OrderedDict() if table is None else table) for table in tables]

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
