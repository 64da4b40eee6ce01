"""Tensors of one dtype as one vector, and back."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _C
from .._C import Tensor


def _flatten_dense_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """All elements, one tensor after the other."""
    return _C.cat([t.reshape(-1) for t in tensors]) if tensors else _C.empty(0)


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Parts of the vector, as views, in the shapes of the tensors."""
    parts = flat.split([t.numel() for t in tensors])
    return tuple(part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True))
