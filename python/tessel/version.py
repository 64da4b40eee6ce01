"""What this build is made of, under the names that PyTorch's version module has."""

from __future__ import annotations

from . import _C
from . import __version__ as __version__

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "torch", "xpu"]

# The release of PyTorch whose names, defaults and meanings are meant.
torch = "2.13.0"

cuda: str | None = _C._cuda_version() if hasattr(_C, "_cuda_version") else None
hip: str | None = None
xpu: str | None = None
rocm: str | None = None
debug = False
git_version = "Unknown"
