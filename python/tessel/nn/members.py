"""The tables in which a Module keeps its parameters, buffers and submodules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from .module import Module


class Members(dict):
    """One of a module's tables, mirrored into the module's `__dict__`.

    There the interpreter finds `self.weight` without the detour over `__getattr__`, ten times as fast, which is what
    small models spend their time on. The module is known weakly: a cycle would keep its memory until the next
    garbage collection.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: Module, entries: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._owner = ref(owner)
        if entries:
            self.update(entries)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        owner = self._owner()
        if owner is not None:
            owner.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        owner = self._owner()
        if owner is not None:
            owner.__dict__.pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        if name not in self:
            return super().pop(name, *default)
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other: Any) -> Members:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)  # copied or pickled without its module it is a plain dict
