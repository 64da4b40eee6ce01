"""Classes from before dtypes: FloatTensor and its kin, and the strings that `Tensor.type()` gives."""

from __future__ import annotations

from typing import Any

from . import _C
from ._C import Tensor

_DTYPES = {
    "Float": _C.float32,
    "Double": _C.float64,
    "Half": _C.float16,
    "BFloat16": _C.bfloat16,
    "Long": _C.int64,
    "Int": _C.int32,
    "Short": _C.int16,
    "Char": _C.int8,
    "Byte": _C.uint8,
    "Bool": _C.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
KINDS = tuple(_DTYPES)


class _TensorOf(type):
    """The type of these classes: instances are the tensors of one dtype."""

    dtype: _C.dtype
    place: str

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Tensor) and x.dtype == cls.dtype and x.device.type == cls.place

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        """Of sizes, of data, or the tensor that is given, which must have the dtype."""
        device = cls.place if device is None else device
        if len(args) == 1 and isinstance(args[0], Tensor):
            if args[0].dtype != cls.dtype:
                raise TypeError(f"{cls.__name__}: expected a tensor of {cls.dtype}, got one of {args[0].dtype}")
            return args[0].detach()
        if len(args) == 1 and not isinstance(args[0], (int, _C.Size)):
            return _C.tensor(args[0], dtype=cls.dtype, device=device)
        sizes = args[0] if args and isinstance(args[0], _C.Size) else args or (0,)
        return _C.empty(sizes, dtype=cls.dtype, device=device)


def _class(name: str, place: str = "cpu", module: str = "tessel") -> _TensorOf:
    return _TensorOf(f"{name}Tensor", (), {"dtype": _DTYPES[name], "place": place, "__module__": module})


def on_cuda(name: str) -> _TensorOf:
    """The class of the GPU's tensors of one kind: tessel.cuda.FloatTensor and its kin."""
    return _class(name, "cuda", "tessel.cuda")


FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor = map(_class, ("Float", "Double", "Half", "BFloat16"))
LongTensor, IntTensor, ShortTensor, CharTensor = map(_class, ("Long", "Int", "Short", "Char"))
ByteTensor, BoolTensor = map(_class, ("Byte", "Bool"))


def dtype_of(kind: str) -> _C.dtype | None:
    """The dtype of a type's name without its module, "FloatTensor"; None for others."""
    return _DTYPES.get(kind.removesuffix("Tensor")) if kind.endswith("Tensor") else None


def type_of(x: Tensor, dtype: Any) -> Any:
    """x.type(dtype): the type's name for None, else x as that type."""
    if dtype is None:
        return f"tessel.{'cuda.' if x.is_cuda else ''}{_NAMES[x.dtype]}Tensor"
    if isinstance(dtype, str):
        *where, name = dtype.split(".")
        found = dtype_of(name)
        if found is None or where[-1:] not in (["tessel"], ["torch"], ["cuda"]):
            raise ValueError(f"type: invalid type: '{dtype}'")
        return x.to("cuda" if "cuda" in where else "cpu", found)
    if isinstance(dtype, _TensorOf):
        return x.to(dtype.place, dtype.dtype)
    raise RuntimeError(f"type: dtype must be a type, str, or dtype object, got {type(dtype).__name__}")
