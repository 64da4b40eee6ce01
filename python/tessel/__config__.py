"""How this build was made."""

from __future__ import annotations

from . import _C, __version__


def show() -> str:
    """The version, the instruction set in use and the number of threads, as text."""
    return f"tessel {__version__}\n  kernels: {_C._cpu_target()}\n  CUDA: {_C._cuda_available()}\n{parallel_info()}"


def parallel_info() -> str:
    """The number of threads that kernels use."""
    return f"  threads: {_C.get_num_threads()} of tessel's own pool\n"
