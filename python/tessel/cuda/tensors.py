"""FloatTensor and its kin on the GPU, from before dtypes."""

from __future__ import annotations

from .. import _legacy

globals().update({f"{kind}Tensor": _legacy.on_cuda(kind) for kind in _legacy.KINDS})
