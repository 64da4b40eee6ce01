"""The CUDA device, where this build has the target and the machine a GPU."""

from __future__ import annotations

from . import _C, random


def is_available() -> bool:
    """Whether tensors can be moved to "cuda"."""
    return _C._cuda_available()


def device_count() -> int:
    """The number of GPUs."""
    return _C._cuda_device_count()


def manual_seed(seed: int) -> None:
    """One random stream serves every device: the same as tessel.manual_seed."""
    random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """The same as manual_seed."""
    random.manual_seed(seed)


def synchronize(device: object = None) -> None:
    """Waits until the GPU has done all it was given."""
    if is_available():
        _C._cuda_synchronize()


def empty_cache() -> None:
    """Gives cached GPU memory back to the driver."""
    if is_available():
        _C._cuda_empty_cache()
