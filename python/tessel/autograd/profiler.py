"""The profiler under its old name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from ..profiler import EventList, FunctionEvent, profile, record_function

__all__ = ["EventList", "FunctionEvent", "emit_nvtx", "profile", "record_function"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


class emit_nvtx:  # noqa: N801
    """A context that changes nothing: marks for NVIDIA's profilers are not written."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
