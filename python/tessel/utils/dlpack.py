"""DLPack by its older names; `tessel.from_dlpack` and `Tensor.__dlpack__` are the newer ones."""

from __future__ import annotations

from typing import Any

from .._C import Tensor, from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule on the tensor's memory, which can be taken once."""
    return tensor.__dlpack__()
