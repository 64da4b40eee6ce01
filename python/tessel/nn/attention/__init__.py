"""Which implementation attention uses. There is one fused path; the contexts are accepted and change nothing."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ... import _names

__all__ = ["SDPBackend", "sdpa_kernel"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


class SDPBackend(enum.IntEnum):
    """PyTorch's implementations of scaled_dot_product_attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: SDPBackend | list[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """Accepted: every shape and mask runs on the one fused path."""
    chosen: Any = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(chosen, (list, tuple, set)) or not all(isinstance(b, SDPBackend) for b in chosen):
        raise TypeError(f"sdpa_kernel: expected an SDPBackend or a list of them, got {backends!r}")
    yield
