"""numpy's scalars and arrays in PyTorch's files: built from their bytes, for dtypes of numbers alone."""

from __future__ import annotations

import re
from typing import Any

from .pickles import Call, UnpicklingError

__all__ = ["KNOWN", "take_state"]

_NUMBER = re.compile(r"[<>=|]?(b1|[biu][1248]|f[248]|c8|c16)")


class _DType:
    """A dtype under way: its byte order comes after it."""

    def __init__(self, name: Any, *flags: Any) -> None:
        if not isinstance(name, str) or not _NUMBER.fullmatch(name):
            raise UnpicklingError(f"load: the file contains an array of numpy's dtype {name!r}, which is no number")
        self.name = name
        self.order = "="

    def numpy(self) -> Any:
        import numpy as np

        return np.dtype(self.order + self.name.lstrip("<>=|") if self.order in "<>" else self.name)


class _Array:
    """An array under way: everything about it comes after it."""


def _scalar(dtype: Any, data: Any) -> Any:
    import numpy as np

    if not isinstance(dtype, _DType) or not isinstance(data, bytes):
        raise UnpicklingError("load: a numpy scalar that is not made of bytes")
    return np.frombuffer(data, dtype.numpy(), 1)[0]


def _reconstruct(kind: Any, shape: Any, code: Any) -> Any:
    import numpy as np

    if kind is not _Array:
        raise UnpicklingError("load: a numpy array of unknown kind")
    return np.empty(0, np.uint8)


def take_state(target: Any, state: Any) -> bool:
    """Gives an object of numpy its state; whether it is one."""
    if isinstance(target, _DType):
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise UnpicklingError("load: a numpy dtype that is not made of a byte order")
        target.order = state[1]
        return True
    if f"{type(target).__module__}.{type(target).__name__}" != "numpy.ndarray":
        return False
    _, shape, dtype, fortran, data = state
    if not isinstance(dtype, _DType) or not isinstance(data, bytes):
        raise UnpicklingError("load: a numpy array that is not made of bytes")
    target.__setstate__((1, tuple(map(int, shape)), dtype.numpy(), bool(fortran), data))
    return True


KNOWN: dict[str, Any] = {"numpy.ndarray": _Array, "numpy.dtype": Call("numpy.dtype", _DType)}
for _home in ("numpy.core", "numpy._core"):
    KNOWN[f"{_home}.multiarray.scalar"] = Call(f"{_home}.multiarray.scalar", _scalar)
    KNOWN[f"{_home}.multiarray._reconstruct"] = Call(f"{_home}.multiarray._reconstruct", _reconstruct)
