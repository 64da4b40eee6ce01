"""Quantized engines: none is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

engine = "none"
supported_engines = ["none"]
