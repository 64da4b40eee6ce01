"""The accelerator at hand: CUDA where there is a GPU, else none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _C, _names, cuda

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "device_count",
    "empty_cache",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "synchronize",
]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_available() -> bool:
    """Whether there is a GPU."""
    return cuda.is_available()


def device_count() -> int:
    """The number of GPUs."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> _C.device | None:
    """device("cuda"), or None without a GPU."""
    return _C.device("cuda") if is_available() else None


def current_device_index() -> int:
    """The GPU in use."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Chooses the GPU."""
    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


def synchronize(device: Any = None) -> None:
    """Waits until the GPU has done all it was given; without one, there is nothing to wait for."""
    cuda.synchronize()


def empty_cache() -> None:
    """Gives cached memory back, the GPU's and the processor's."""
    _C.empty_cache()
    cuda.empty_cache()


def memory_allocated(device: Any = None) -> int:
    """Bytes of the GPU's memory in use."""
    return cuda.memory_allocated(device)


def memory_reserved(device: Any = None) -> int:
    """Bytes of the GPU's memory in use or cached."""
    return cuda.memory_reserved(device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of the GPU's memory that were in use at once."""
    return cuda.max_memory_allocated(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Counts peaks from now on."""
    cuda.reset_peak_memory_stats(device)
