"""NNPACK: it is not used, the kernels are tessel's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """False: NNPACK is not used."""
    return False
