"""Modules that PyTorch spreads over devices. With one process and one device they call what they wrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import _names
from .data_parallel import DataParallel, data_parallel
from .distributed import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
