"""Comparing what was computed with what was expected, and making tensors to compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from .closeness import assert_allclose, assert_close
from .creation import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
