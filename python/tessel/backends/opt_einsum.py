"""opt_einsum: it is not used, einsum orders its products itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

enabled = False
strategy: str | None = None

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """False: opt_einsum is not used."""
    return False
