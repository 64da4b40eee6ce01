"""Apple's GPUs: there is no target for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """False: Metal is not used."""
    return False


def is_built() -> bool:
    """False: there is no target for it."""
    return False


def is_macos_or_newer(major: int = 13, minor: int = 0) -> bool:
    """False: there is no target for it."""
    return False
