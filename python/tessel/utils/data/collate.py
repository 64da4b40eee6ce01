"""How samples become a batch: default_collate, and default_convert for loading without batches."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from ... import _C
from ..._C import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Makes one batch of a list of samples, by the kind of the first one.

    Tensors of one shape are stacked along a new first dimension; arrays and numbers become tensors (a Python float
    float64, an int int64); strings and bytes stay a list; dicts, tuples and lists are collated entry by entry, with
    tuples becoming lists.

    Raises:
        TypeError: samples of a kind it does not know.
        RuntimeError: lists of different lengths.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _C.stack(list(batch), 0)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, float) and not _is_numpy(first):
        return _C.tensor(batch, dtype=_C.float64)
    if isinstance(first, int):  # bool included: a tensor of bools
        return _C.tensor(batch)
    if _is_numpy(first):
        return _collate_numpy(batch, first)
    if isinstance(first, Mapping):
        entries = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return _of_same_kind(first, entries) if isinstance(first, MutableMapping) else _rebuilt(first, entries)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in zip(*batch)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            lengths = sorted({len(sample) for sample in batch})
            raise RuntimeError(f"default_collate: the samples have {lengths} entries, not equally many")
        columns = [default_collate(column) for column in zip(*batch)]
        if isinstance(first, tuple):
            return columns
        return _of_same_kind(first, columns) if isinstance(first, MutableSequence) else _rebuilt(first, columns)
    raise TypeError(
        f"default_collate: cannot make a batch of {type(first).__name__}; samples may be tensors, arrays, numbers, "
        "strings, dicts and lists of them, or give the DataLoader a collate_fn"
    )


def _is_numpy(value: Any) -> bool:
    """Whether it is an array or a scalar of numpy, without importing numpy for the question."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))


def _collate_numpy(batch: Sequence[Any], first: Any) -> Any:
    import numpy as np

    if first.dtype.kind in "SUO":
        raise TypeError(f"default_collate: cannot make a tensor of a numpy array of dtype {first.dtype}")
    if isinstance(first, np.ndarray) and first.ndim:
        return _C.stack([_C.as_tensor(array) for array in batch], 0)
    return _C.as_tensor(np.asarray(batch, dtype=first.dtype))


def _rebuilt(like: Any, entries: Any) -> Any:
    """A container of the type of `like` where its constructor takes the entries, else a plain dict or list."""
    try:
        return type(like)(entries)
    except TypeError:
        return entries


def _of_same_kind(like: Any, entries: Any) -> Any:
    """A copy of the container `like`, whose type may carry more than its entries, with other entries."""
    if type(like) in (dict, list):
        return entries
    try:
        clone = copy.copy(like)
        if isinstance(entries, dict):
            clone.update(entries)
        else:
            clone[:] = entries
        return clone
    except TypeError:
        return entries


def default_convert(data: Any) -> Any:
    """Turns the arrays in a sample into tensors and leaves everything else as it is; dicts, tuples and lists are
    converted entry by entry."""
    if isinstance(data, Tensor):
        return data
    if _is_numpy(data):
        return data if data.dtype.kind in "SUO" else _C.as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt(data, [default_convert(value) for value in data])
    return data
