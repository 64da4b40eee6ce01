"""Apple's GPUs: tessel has no target for them, so that none is ever there."""

from typing import TYPE_CHECKING

from . import _names
from ._no_device import *  # noqa: F403

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
