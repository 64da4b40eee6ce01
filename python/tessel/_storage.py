"""Typed storages, as PyTorch still has them beside `untyped_storage()`, and what else tensors had before dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import _C
from ._C import Tensor, UntypedStorage

__all__ = ["TypedStorage"]


class TypedStorage:
    """The memory of a tensor and its views, as elements of one dtype."""

    def __init__(self, *args: Any, wrap_storage: UntypedStorage | None = None, dtype: Any = None, device: Any = None):
        """Of a number of elements, of a sequence of numbers, or over an untyped storage."""
        self.dtype = dtype or _C.get_default_dtype()
        if wrap_storage is not None:
            self._untyped = wrap_storage
        elif args and not isinstance(args[0], int):
            self._untyped = _C.tensor(args[0], dtype=self.dtype, device=device).untyped_storage()
        else:
            self._untyped = _C.empty(args[0] if args else 0, dtype=self.dtype, device=device).untyped_storage()

    def _tensor(self) -> Tensor:
        return self._untyped.view(self.dtype, 0, (len(self),), (1,))

    def untyped(self) -> UntypedStorage:
        """The bytes."""
        return self._untyped

    @property
    def device(self) -> Any:
        return self._untyped.device

    @property
    def is_cuda(self) -> bool:
        return self._untyped.is_cuda

    def __len__(self) -> int:
        return self._untyped.nbytes() // self.dtype.itemsize

    size = __len__

    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._untyped.nbytes()

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._untyped.data_ptr()

    def __getitem__(self, index: Any) -> Any:
        found = self._tensor()[index]
        return (
            found.item()
            if isinstance(index, int)
            else TypedStorage(wrap_storage=found.clone().untyped_storage(), dtype=self.dtype)
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        self._tensor()[index] = value

    def __iter__(self) -> Iterator:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and self.dtype == other.dtype and self._untyped == other._untyped

    def __hash__(self) -> int:
        return hash(self._untyped)

    def fill_(self, value: Any) -> TypedStorage:
        """Sets all elements."""
        self._tensor().fill_(value)
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool | None = None) -> TypedStorage:
        """Overwrites the elements with another storage's, which has as many."""
        self._tensor().copy_(source._tensor())
        return self

    def resize_(self, size: int) -> TypedStorage:
        """Room for another number of elements; those that were there stay."""
        self._untyped.resize_(size * self.dtype.itemsize)
        return self

    def clone(self) -> TypedStorage:
        """A copy."""
        return TypedStorage(wrap_storage=self._tensor().clone().untyped_storage(), dtype=self.dtype)

    def type(self, dtype: Any = None) -> Any:
        """The name of the storage's type, or a copy of another dtype."""
        if dtype is None:
            return f"tessel.{_name(self.dtype)}Storage"
        return TypedStorage(wrap_storage=self._tensor().to(dtype).untyped_storage(), dtype=dtype)

    def _as(self, dtype: Any) -> TypedStorage:
        return self if dtype == self.dtype else self.type(dtype)

    def float(self) -> TypedStorage:
        """As float32."""
        return self._as(_C.float32)

    def double(self) -> TypedStorage:
        """As float64."""
        return self._as(_C.float64)

    def half(self) -> TypedStorage:
        """As float16."""
        return self._as(_C.float16)

    def long(self) -> TypedStorage:
        """As int64."""
        return self._as(_C.int64)

    def cpu(self) -> TypedStorage:
        """On the CPU."""
        return (
            self
            if not self.is_cuda
            else TypedStorage(wrap_storage=self._tensor().cpu().untyped_storage(), dtype=self.dtype)
        )

    def tolist(self) -> list:
        """Python's numbers."""
        return self._tensor().tolist()

    def __repr__(self) -> str:
        lines = "\n".join(f" {value}" for value in self)
        return f"{lines}\n[{type(self).__name__}(dtype={self.dtype}, device={self.device}) of size {len(self)}]"


def _name(dtype: Any) -> str:
    from ._legacy import _NAMES

    return _NAMES.get(dtype, str(dtype).rpartition(".")[2])


def storage(x: Tensor) -> TypedStorage:
    return TypedStorage(wrap_storage=x.untyped_storage(), dtype=x.dtype)


def storage_type(x: Tensor) -> type:
    return TypedStorage


# ---- methods of Tensor that only Python can do, or that are kept for old programs


def new(x: Tensor, args: tuple, device: Any = None) -> Tensor:
    """x.new(...): another tensor of x's dtype, of sizes, of data, or a view of another tensor."""
    device = x.device if device is None else device
    if len(args) == 1 and isinstance(args[0], Tensor):
        if args[0].dtype != x.dtype:
            raise TypeError(f"new: expected a tensor of {x.dtype}, got one of {args[0].dtype}")
        return args[0].detach()
    if len(args) == 1 and not isinstance(args[0], (int, _C.Size)):
        return _C.tensor(args[0], dtype=x.dtype, device=device)
    sizes = args[0] if args and isinstance(args[0], _C.Size) else args or (0,)
    return _C.empty(sizes, dtype=x.dtype, device=device)


def _mapped(x: Tensor, function: Callable, others: tuple[Tensor, ...]) -> Tensor:
    """x with function(x, others...) in the place of each element."""
    if x.requires_grad:
        raise TypeError("map_: can't call apply_() or map_() on a tensor that requires grad; use detach() first")
    for other in others:
        if not isinstance(other, Tensor):
            raise TypeError(f"map_: expected Tensors, got {type(other).__name__}")
        if other.dtype != x.dtype:
            raise TypeError(f"map_: expected a tensor of {x.dtype}, got one of {other.dtype}")
    columns = [t.expand(x.shape).reshape(-1).tolist() for t in (x, *others)]
    values = [function(*row) for row in zip(*columns)]
    return x.copy_(_C.tensor(values, dtype=x.dtype).reshape(x.shape)) if values else x


def apply_(x: Tensor, callable: Callable) -> Tensor:
    return _mapped(x, callable, ())


def map_(x: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    return _mapped(x, callable, (tensor,))


def map2_(x: Tensor, tensor1: Tensor, tensor2: Tensor, callable: Callable) -> Tensor:
    return _mapped(x, callable, (tensor1, tensor2))
