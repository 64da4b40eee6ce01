"""OpenMP: it is not used, threads come from tessel's own pool (tessel.set_num_threads)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """False: OpenMP is not used."""
    return False
