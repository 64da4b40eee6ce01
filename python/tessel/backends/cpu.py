"""What the processor can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _C, _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def get_cpu_capability() -> str:
    """The instruction set that the kernels use, in PyTorch's words: DEFAULT, AVX2 or AVX512."""
    target = _C._cpu_target()
    return "DEFAULT" if target == "scalar" else "AVX2" if target == "avx2" else "AVX512"
