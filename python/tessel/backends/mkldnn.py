"""oneDNN: it is not used, the kernels are tessel's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from .mkl import VERBOSE_OFF as VERBOSE_OFF
from .mkl import VERBOSE_ON as VERBOSE_ON
from .mkl import is_available as is_available
from .mkl import verbose as verbose

enabled = True
deterministic = True
allow_tf32 = False

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
