"""What the file formats share: which tensors of an object share memory, where loaded ones go, writing whole files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor

MAX_DEPTH = 200  # of nested containers, both ways

DTYPES = {
    "BOOL": _C.bool,
    "U8": _C.uint8,
    "I8": _C.int8,
    "I16": _C.int16,
    "I32": _C.int32,
    "I64": _C.int64,
    "F16": _C.float16,
    "BF16": _C.bfloat16,
    "F32": _C.float32,
    "F64": _C.float64,
}
NAMES = {dtype: str(dtype).rpartition(".")[2] for dtype in DTYPES.values()}  # "float32": safetensors' names too
ALL_DTYPES = {*NAMES.values(), "complex64", "complex128"}
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}  # PyTorch's names of storages, and their dtypes

MapLocation = str | Callable[[Tensor, str], Tensor] | dict[str, str] | Any | None


def placed(tensor: Tensor, saved: str, where: MapLocation) -> Tensor:
    """The tensor where `map_location` wants one that was saved from the device `saved`."""
    if callable(where) and not isinstance(where, (str, _C.device)):
        moved = where(tensor, saved)
        return tensor if moved is None else moved
    if isinstance(where, dict):
        where = where.get(saved, saved)
    elif where is None:
        where = saved
    return tensor.to(where)


def is_parameter(tensor: Tensor) -> bool:
    """Whether the tensor is a Parameter, without importing layers for the question."""
    if type(tensor) is Tensor:
        return False
    from ..nn.parameter import Parameter

    return isinstance(tensor, Parameter)


def are_counts(values: Any) -> bool:
    """Whether it is a list or tuple of whole numbers from 0 on."""
    return isinstance(values, (list, tuple)) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def write_atomically(path: str, write: Callable[[str], None]) -> None:
    """The whole file at `path`, which `write` puts at the path it is given, or what was there before."""
    import tempfile

    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"save: there is no folder {folder!r}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    os.close(descriptor)
    try:
        write(temporary)
        # Temporary files are for their owner only; this one gets the rights of the file it replaces, or of a new one.
        os.chmod(temporary, os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~_umask())
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        _flush(folder, os.O_RDONLY)  # the new name is on the disk once the folder is


def _flush(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def extent(tensor: Tensor) -> tuple[int, int]:
    """First and last element of its storage that a tensor (not an empty one) reaches."""
    first = tensor.storage_offset()
    return first, first + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride()))


def storage_of(tensor: Tensor) -> Any:
    """What is equal for tensors that share memory (and have one dtype)."""
    if tensor.numel() == 0:
        return id(tensor)
    start = tensor.data_ptr() - tensor.storage_offset() * tensor.element_size()
    return str(tensor.device), start, tensor.dtype


class Shared:
    """The tensors of one storage, and the entry of the file they are read from."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.name: str | None = None

    def as_one(self) -> bool:
        """Whether all are the same elements in the same order, each of them once: then the entry is simply they."""
        first = self.tensors[0]
        if first.numel() == 0:
            return True
        low, high = extent(first)
        layouts = {(t.storage_offset(), tuple(t.shape), tuple(t.stride())) for t in self.tensors}
        return len(layouts) == 1 and high - low + 1 >= first.numel()

    def span(self) -> tuple[int, int]:
        """First and last element of the storage that any of them reaches."""
        extents = [extent(tensor) for tensor in self.tensors]
        return min(low for low, _ in extents), max(high for _, high in extents)


class Tensors:
    """All tensors of an object, by the storages they share; the base of those that write the object."""

    def __init__(self) -> None:
        self.storages: dict[Any, Shared] = {}

    def find_tensors(self, value: Any, path: str, above: tuple[int, ...]) -> None:
        if isinstance(value, Tensor):
            if value.dtype not in NAMES:
                raise TypeError(f"save: {path} is a tensor of {value.dtype}, which cannot be saved")
            self.storages.setdefault(storage_of(value), Shared()).tensors.append(value)
        elif isinstance(value, (dict, list, tuple)):
            if id(value) in above:
                raise ValueError(f"save: {path} contains itself")
            if len(above) == MAX_DEPTH:
                raise ValueError(f"save: {path} is nested more than {MAX_DEPTH} levels deep")
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                self.find_tensors(entry, f"{path}[{key!r}]", (*above, id(value)))


def refused(value: Any, path: str) -> TypeError:
    """The error for an object at `path` that cannot be saved."""
    kind = type(value)
    hint = "; use from_numpy or item()" if kind.__module__ == "numpy" else ""
    where = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    return TypeError(
        f"save: {path} is a {where}{kind.__qualname__}; what can be saved are tensors, numbers, "
        f"strings, bytes, None, dtypes and devices in dicts, lists and tuples{hint}"
    )
