"""autocast, custom_fwd and custom_bwd for CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _C, amp

__all__ = ["autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):  # noqa: N801 - as its base
    """tessel.amp.autocast("cuda", ...)."""

    def __init__(self, enabled: bool = True, dtype: Any = _C.float16, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: Any = None) -> Any:
    """tessel.amp.custom_fwd for CUDA."""
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., Any] | None = None) -> Any:
    """tessel.amp.custom_bwd for CUDA."""
    return amp.custom_bwd(bwd, device_type="cuda")
