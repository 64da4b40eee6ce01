"""What the modules of devices without a target share (hpu, mps, mtia, npu, xpu): none of the devices is ever there."""

from __future__ import annotations

from typing import Any, NoReturn

from . import random

__all__ = [
    "current_allocated_memory",
    "current_device",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "get_device_name",
    "get_device_properties",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "synchronize",
]


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(*_: object) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """One random stream serves every device: the same as tessel.manual_seed."""
    random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """The same as manual_seed."""
    random.manual_seed(seed)


def synchronize(device: Any = None) -> None:
    """Nothing runs there."""


def empty_cache() -> None:
    """Nothing is kept there."""


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


def current_allocated_memory() -> int:
    """0."""
    return 0


def driver_allocated_memory() -> int:
    """0."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """0."""
    return 0


def _none(op: str) -> NoReturn:
    raise RuntimeError(f"{op}: there is no such device: tessel has no target for it; use 'cpu' or 'cuda'")


def current_device() -> int:
    """Raises: there is none."""
    _none("current_device")


def set_device(device: Any) -> None:
    """Raises: there is none."""
    _none("set_device")


def get_device_name(device: Any = None) -> str:
    """Raises: there is none."""
    _none("get_device_name")


def get_device_properties(device: Any = None) -> Any:
    """Raises: there is none."""
    _none("get_device_properties")
