"""The fast path of attention: always the fused kernel, whatever the flag says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

_flag = True


def get_fastpath_enabled() -> bool:
    """The flag."""
    return _flag


def set_fastpath_enabled(value: bool) -> None:
    """Sets the flag."""
    global _flag
    _flag = value
