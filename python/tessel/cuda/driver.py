"""What the NVIDIA driver tells of a GPU: name, capability and memory. It is loaded at the first question."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

# CUdevice_attribute
_MULTIPROCESSORS, _MAJOR, _MINOR, _WARP, _THREADS, _L2, _SHARED = 16, 75, 76, 10, 39, 38, 97


@dataclass(frozen=True)
class DeviceProperties:
    """A GPU: sizes in bytes, `major`.`minor` its compute capability."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    L2_cache_size: int
    shared_memory_per_block_optin: int
    is_integrated: bool = False
    is_multi_gpu_board: bool = False
    gcnArchName: str = ""


@cache
def _library() -> Any:
    library = ctypes.CDLL("libcuda.so.1")
    _checked("cuInit", library.cuInit(0))
    return library


def _checked(call: str, status: int) -> None:
    if status:
        raise RuntimeError(f"cuda: {call} failed with error {status} of the driver")


def _device(index: int) -> ctypes.c_int:
    device = ctypes.c_int()
    _checked("cuDeviceGet", _library().cuDeviceGet(ctypes.byref(device), index))
    return device


@cache
def properties(index: int) -> DeviceProperties:
    """The properties of the GPU of that number."""
    library, device = _library(), _device(index)

    def attribute(which: int) -> int:
        value = ctypes.c_int()
        _checked("cuDeviceGetAttribute", library.cuDeviceGetAttribute(ctypes.byref(value), which, device))
        return value.value

    name = ctypes.create_string_buffer(256)
    _checked("cuDeviceGetName", library.cuDeviceGetName(name, 256, device))
    total = ctypes.c_size_t()
    _checked("cuDeviceTotalMem", library.cuDeviceTotalMem_v2(ctypes.byref(total), device))
    return DeviceProperties(
        name.value.decode(),
        attribute(_MAJOR),
        attribute(_MINOR),
        total.value,
        attribute(_MULTIPROCESSORS),
        attribute(_WARP),
        attribute(_THREADS),
        attribute(_L2),
        attribute(_SHARED),
    )


def memory(index: int) -> tuple[int, int]:
    """Free and total bytes of the GPU of that number."""
    library, device = _library(), _device(index)
    context = ctypes.c_void_p()
    _checked("cuDevicePrimaryCtxRetain", library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    try:
        _checked("cuCtxPushCurrent", library.cuCtxPushCurrent_v2(context))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        status = library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        _checked("cuMemGetInfo", status)
    finally:
        library.cuDevicePrimaryCtxRelease_v2(device)
    return free.value, total.value


def version() -> int | None:
    """The CUDA version that the driver speaks (12080 for 12.8), None without one."""
    try:
        number = ctypes.c_int()
        return None if _library().cuDriverGetVersion(ctypes.byref(number)) else number.value
    except (OSError, RuntimeError):
        return None
