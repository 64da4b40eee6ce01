"""Parameter and Buffer: tensors that a Module takes in when they are assigned to one of its attributes."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that is trained: assigning it to a Module's attribute registers it there.

    Args:
        data: the values, shared and not copied. None gives an empty tensor.
        requires_grad: whether gradients flow into it.
    """

    _repr_name = "tensor"  # printed as "Parameter containing:\ntensor(...)"

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = _C.empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor, not {type(data).__name__}")
        return Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        copy = memo.get(id(self))
        if copy is None:
            data = self.data.clone(memory_format=_C.preserve_format)
            copy = memo[id(self)] = type(self)(data, self.requires_grad)
        return copy

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_parameter, (type(self), self.data, self.requires_grad), self.__dict__ or None


def _rebuild_parameter(cls: type[Parameter], data: Tensor, requires_grad: bool) -> Parameter:
    return cls(data, requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained (a running mean, a mask).

    Assigning it to a Module's attribute calls `register_buffer` with this `persistent`.

    Args:
        data: the values, shared and not copied. None gives an empty tensor.
        persistent: whether `state_dict` holds it.
    """

    persistent: bool
    _repr_name = "tensor"

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = _C.empty(0)
        buffer: Buffer = Tensor._make_subclass(cls, data, data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        copy = memo.get(id(self))
        if copy is None:
            copy = memo[id(self)] = type(self)(self.data.clone(), persistent=self.persistent)
        return copy

    def __repr__(self) -> str:
        return "Buffer containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_buffer, (type(self), self.data, self.persistent)


def _rebuild_buffer(cls: type[Buffer], data: Tensor, persistent: bool) -> Buffer:
    return cls(data, persistent=persistent)
