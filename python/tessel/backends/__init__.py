"""Questions about the libraries behind PyTorch. tessel has kernels of its own: flags are kept and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "mha",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "quantized",
    "xnnpack",
]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import cpu, cuda, cudnn, mha, mkl, mkldnn, mps, nnpack, openmp, opt_einsum, quantized, xnnpack
else:
    __getattr__, __dir__ = _names.lazily(__name__, __all__)
