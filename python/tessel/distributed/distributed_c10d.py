"""What stands in tessel.distributed, under PyTorch's name for the file it stands in there."""

from __future__ import annotations

from typing import Any

from . import *  # noqa: F403
from . import GroupMember, ProcessGroup, _world


def _get_default_group() -> ProcessGroup:
    """The world."""
    return _world("_get_default_group")


def __getattr__(name: str) -> Any:
    from .. import _names

    raise _names.AbsentName(__name__, name)


__all__ = ["GroupMember", "ProcessGroup"]
