"""SummaryWriter, as tensorboardX writes it: `pip install tensorboardX`."""

from __future__ import annotations

import importlib
from typing import Any

from ... import _names

_WRITERS = ("SummaryWriter", "FileWriter", "RecordWriter")


def __getattr__(name: str) -> Any:
    if name not in _WRITERS:
        raise _names.AbsentName(__name__, name)
    try:
        tensorboardX = importlib.import_module("tensorboardX")
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"utils.tensorboard.{name}: event files are written by tensorboardX, which is not installed:"
            " pip install tensorboardX"
        ) from missing
    return getattr(tensorboardX, name)


def __dir__() -> list[str]:
    return [*_WRITERS]
