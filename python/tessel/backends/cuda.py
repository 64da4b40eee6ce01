"""Switches of PyTorch's CUDA half: they are kept and change nothing. Attention has one fused path, always on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .. import _C, _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=False,
    allow_bf16_reduced_precision_reduction=False,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
cufft_plan_cache = SimpleNamespace(size=0, max_size=0, clear=lambda: None)

_sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether this build can have a CUDA half: it is a shared object of its own, loaded at the first use."""
    return _C._cuda_available()


def flash_sdp_enabled() -> bool:
    """The flag."""
    return _sdp["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """The flag."""
    return _sdp["mem_efficient"]


def math_sdp_enabled() -> bool:
    """The flag."""
    return _sdp["math"]


def cudnn_sdp_enabled() -> bool:
    """The flag."""
    return _sdp["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """Sets the flag."""
    _sdp["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Sets the flag."""
    _sdp["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Sets the flag."""
    _sdp["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """Sets the flag."""
    _sdp["cudnn"] = enabled


def can_use_flash_attention(params: Any = None, debug: bool = False) -> bool:
    """False: the fused path is tessel's own."""
    return False


def can_use_efficient_attention(params: Any = None, debug: bool = False) -> bool:
    """False: the fused path is tessel's own."""
    return False


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """Sets the flags and takes them back."""
    before = dict(_sdp)
    _sdp.update(flash=enable_flash, mem_efficient=enable_mem_efficient, math=enable_math, cudnn=enable_cudnn)
    try:
        yield
    finally:
        _sdp.update(before)
