"""Intel's MKL: it is not used, the kernels are tessel's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """False: it is not used."""
    return False


VERBOSE_OFF = 0
VERBOSE_ON = 1


class verbose:  # noqa: N801
    """A context that changes nothing; TESSEL_VERBOSE=1 prints every kernel that runs."""

    def __init__(self, enable: int) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
