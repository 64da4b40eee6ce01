"""What copy and pickle do with tensors: views of one storage stay views of one storage."""

from __future__ import annotations

import weakref
from typing import Any

from ._C import Tensor, UntypedStorage

# A storage's address -> its one Python object while somebody holds it: by that, pickle's memo sees that tensors share.
_objects: weakref.WeakValueDictionary[int, UntypedStorage] = weakref.WeakValueDictionary()


def reduce(x: Tensor) -> tuple[Any, ...]:
    """How pickle takes a tensor apart."""
    storage = x.untyped_storage()
    storage = _objects.setdefault(hash(storage), storage)  # the hash is the address
    parts = (type(x), storage, x.dtype, x.storage_offset(), tuple(x.shape), x.stride(), x.requires_grad)
    return rebuild_tensor, parts, x.__dict__ or None


def rebuild_tensor(
    cls: type, storage: UntypedStorage, dtype: Any, offset: int, size: Any, stride: Any, requires_grad: bool
) -> Tensor:
    x = storage.view(dtype, offset, size, stride)
    if cls is Tensor:
        return x.requires_grad_() if requires_grad else x
    return Tensor._make_subclass(cls, x, requires_grad)


def reduce_storage(storage: UntypedStorage) -> tuple[Any, ...]:
    return rebuild_storage, (bytes(memoryview(storage.tensor().cpu())), str(storage.device))


def rebuild_storage(data: bytes, device: str) -> UntypedStorage:
    storage = UntypedStorage(len(data))
    memoryview(storage.tensor())[:] = data
    return storage if device == "cpu" else storage.tensor().to(device).untyped_storage()


UntypedStorage.__reduce__ = reduce_storage  # type: ignore[method-assign, assignment]


def deepcopy(x: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A tensor on memory of its own, which it shares with the copies of x's views; a leaf as x is."""
    import copy

    if id(x) in memo:
        return memo[id(x)]
    if x.grad_fn is not None and not x.is_leaf:
        raise RuntimeError(
            "deepcopy: only tensors created by the user (graph leaves) can be copied deeply, this one was computed by "
            f"{x.grad_fn.name()}; detach() or clone() it"
        )
    storages = memo.setdefault("tessel storages", {})
    storage = x.untyped_storage()
    if storage not in storages:
        storages[storage] = storage.tensor().clone().untyped_storage()
    y = rebuild_tensor(
        type(x), storages[storage], x.dtype, x.storage_offset(), tuple(x.shape), x.stride(), x.requires_grad
    )
    memo[id(x)] = y
    if x.grad is not None:
        y.grad = copy.deepcopy(x.grad, memo)
    if x.__dict__:
        y.__dict__.update(copy.deepcopy(x.__dict__, memo))
    return y
