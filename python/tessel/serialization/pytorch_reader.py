"""Reads PyTorch's files: a zip archive of a pickle and the bytes of every storage; and those of before 2020.

    name/data.pkl      the object; a tensor in it is a call of torch._utils._rebuild_tensor_v2, its storage
                       a persistent id ("storage", torch.FloatStorage, key, device, elements)
    name/byteorder     "little" or "big"
    name/data/KEY      a storage's bytes, not compressed, at a multiple of 64
    name/version       "3"

Before 2020 there was no archive: pickles of a magic number, the protocol, sizes of C types, the object and the keys of
its storages follow each other, and then for every key the number of elements and the bytes.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from . import _safe
from .contents import STORAGES, MapLocation, are_counts, placed
from .pickles import PLAIN, Call, Interpreter, UnpicklingError


class _StorageKind:
    """What a global like torch.FloatStorage stands for: a dtype, or None for bytes of any."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


class _Storage:
    """A storage of the file, as a row of elements."""

    def __init__(self, elements: Tensor) -> None:
        self.elements = elements


def _rebuilt(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    if not isinstance(storage, _Storage):
        raise UnpicklingError(f"load: a tensor has a {type(storage).__name__} for its storage")
    if not (are_counts(size) and are_counts(stride) and are_counts([offset]) and len(size) == len(stride)):
        raise ValueError("a tensor's layout is not made of whole numbers from 0 on")
    elements = storage.elements
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if 0 not in size and last >= elements.numel():
        raise ValueError(f"a tensor reaches element {last} of a storage of {elements.numel()}")
    return elements.as_strided(size, stride, offset if 0 not in size else 0)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    return _rebuilt(storage, offset, size, stride)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    tensor = _rebuilt(storage, offset, size, stride)
    return tensor.detach().requires_grad_() if requires_grad else tensor


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if not isinstance(storage, _Storage) or not isinstance(dtype, _C.dtype):
        raise UnpicklingError("load: a tensor of another kind than tessel has")
    return _rebuild_tensor_v2(
        _Storage(storage.elements.view(dtype)), offset, size, stride, requires_grad, hooks, metadata
    )


def _rebuild_parameter(data: Any, requires_grad: Any, hooks: Any) -> Tensor:
    from ..nn.parameter import Parameter

    if not isinstance(data, Tensor):
        raise UnpicklingError(f"load: a parameter made of a {type(data).__name__}")
    return Parameter(data.detach(), requires_grad=bool(requires_grad))


def _rebuild_parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Tensor:
    return _rebuild_parameter(data, requires_grad, hooks)


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor of a subclass, as a plain one, without the attributes it had."""
    if not isinstance(function, Call) or not function.name.startswith("torch._utils."):
        raise UnpicklingError(f"load: a tensor made by {function!r}")
    return function.function(*arguments)


def _size(dims: Any = ()) -> Any:
    return _C.Size(dims)


def _layout(name: Any) -> Any:
    if name != "torch.strided":
        raise UnpicklingError(f"load: the layout {name} is not there; tensors are strided")
    return _C.strided


def _known() -> dict[str, Any]:
    """The globals a file may contain."""
    known = dict(PLAIN)
    calls: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": _rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
        "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
        "torch._utils._rebuild_parameter_with_state": _rebuild_parameter_with_state,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
        "torch.serialization._get_layout": _layout,
        "torch.Size": _size,
        "torch.device": _C.device,
    }
    known.update({name: Call(name, function) for name, function in calls.items()})
    for storage, dtype in STORAGES.items():
        known[f"torch.{storage}"] = known[f"torch.cuda.{storage}"] = _StorageKind(getattr(_C, dtype))
        known[f"torch.{dtype}"] = getattr(_C, dtype)
    known["torch.storage.UntypedStorage"] = known["torch.UntypedStorage"] = _StorageKind(None)
    known["torch.Tensor"] = known["torch._tensor.Tensor"] = Tensor
    known["torch.nn.parameter.Parameter"] = "torch.nn.parameter.Parameter"
    from .numpy_values import KNOWN

    known.update(KNOWN)
    return known


def _interpret(file: Any, persistent: Any) -> Any:
    from .numpy_values import take_state

    return Interpreter(file, _known(), persistent, _safe, take_state).run()


class _Storages:
    """The storages of a file: every one is read once, and put where it belongs."""

    def __init__(self, map_location: MapLocation) -> None:
        self.map_location = map_location
        self.found: dict[str, _Storage] = {}

    def elements(self, key: str, dtype: Any, count: int) -> Tensor:
        raise NotImplementedError

    def find(self, identity: Any) -> _Storage:
        if type(identity) is not tuple or len(identity) < 5 or identity[0] != "storage":
            raise UnpicklingError(f"load: a persistent id that is no storage: {str(identity)[:100]}")
        _, kind, key, device, count, *view = identity
        if not isinstance(kind, _StorageKind) or not isinstance(key, str) or not isinstance(device, str):
            raise UnpicklingError("load: a storage of unknown kind")
        if not are_counts([count]):
            raise ValueError(f"a storage of {count} elements")
        if any(part is not None for part in view):
            raise UnpicklingError("load: a storage that is part of another; save the file again with a newer PyTorch")
        storage = self.found.get(key)
        dtype = _C.uint8 if kind.dtype is None else kind.dtype
        if storage is None:
            elements = self.elements(key, dtype, count)
            storage = self.found[key] = _Storage(placed(elements, device, self.map_location))
        if storage.elements.dtype != dtype:
            raise ValueError(f"storage {key!r} has two dtypes")
        return storage


def _row(data: Tensor, dtype: Any, swapped: bool) -> Tensor:
    """The bytes as elements."""
    if dtype is _C.bool:
        return data.ne(0)  # a byte of 0 or 1; a file may hold anything
    if swapped and dtype.itemsize > 1:
        part = dtype.to_real().itemsize if dtype.is_complex else dtype.itemsize
        data = data.view(-1, part).flip(1).reshape(-1)
    return data.view(dtype)


class _Archive(_Storages):
    """The storages in a zip archive."""

    def __init__(self, file: Any, name: Any, map_location: MapLocation, mapped: bool) -> None:
        super().__init__(map_location)
        self.name = name
        self.file = file
        self.archive = zipfile.ZipFile(file)
        names = self.archive.namelist()
        if len(set(names)) != len(names):
            raise ValueError("a name stands in it twice")
        places = [entry for entry in names if entry.endswith("/data.pkl") and entry.count("/") == 1]
        if len(places) != 1:
            raise RuntimeError(f"load: {name!r} is a zip archive, but not one that torch.save writes")
        self.prefix = places[0].removesuffix("data.pkl")
        if f"{self.prefix}constants.pkl" in names:
            raise RuntimeError(f"load: {name!r} is a TorchScript program; save the state dict of its module")
        self.swapped = False
        if f"{self.prefix}byteorder" in names:
            self.swapped = self.content("byteorder").decode("ascii", "replace") != sys.byteorder
        self.map: Any = None
        if mapped:
            import mmap

            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def entry(self, name: str) -> zipfile.ZipInfo:
        entry = self.archive.getinfo(self.prefix + name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
            raise ValueError(f"{entry.filename!r} is compressed or encrypted")
        return entry

    def content(self, name: str) -> bytes:
        return self.archive.read(self.entry(name))

    def begin(self, entry: zipfile.ZipInfo) -> int:
        """Where an entry's data begin: behind the header that stands before them."""
        self.file.seek(entry.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ValueError(f"{entry.filename!r} has no header")
        return (
            entry.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        )

    def elements(self, key: str, dtype: Any, count: int) -> Tensor:
        entry = self.entry(f"data/{key}")
        size = count * dtype.itemsize
        if entry.file_size != size:
            raise ValueError(f"storage {key!r} has {entry.file_size:,} bytes, not {size:,}")
        begin = self.begin(entry)
        if begin + size > self.file.seek(0, os.SEEK_END):
            raise ValueError(f"it ends within storage {key!r}")
        if size == 0:
            return _C.empty(0, dtype=dtype)
        if self.map is not None:
            return _row(_C.frombuffer(self.map, dtype=_C.uint8, count=size, offset=begin), dtype, self.swapped)
        data = _C.empty(size, dtype=_C.uint8)
        self.file.seek(begin)
        _fill(self.file, data, key)
        if zlib.crc32(memoryview(data)) != entry.CRC:
            raise ValueError(f"the checksum of storage {key!r} is another")
        return _row(data, dtype, self.swapped)


def _fill(file: Any, data: Tensor, key: str) -> None:
    place = memoryview(data)
    while len(place):
        got = file.readinto(place)
        if not got:
            raise ValueError(f"it ends within storage {key!r}")
        place = place[got:]


def read_zip(file: Any, name: Any, map_location: MapLocation, mapped: bool) -> Any:
    """The object of an archive."""
    if file.tell() != 0:  # zip archives know where they begin
        file = io.BytesIO(file.read())
    try:
        archive = _Archive(file, name, map_location, mapped)
        return _interpret(io.BytesIO(archive.content("data.pkl")), archive.find)
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, EOFError) as error:
        raise RuntimeError(f"load: {name!r} is damaged: {error}") from error


_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Legacy(_Storages):
    """The storages of an old file. Their bytes come after the object, which is therefore read twice: the first time
    with empty storages, to see what there is."""

    def __init__(self, size: int, map_location: MapLocation) -> None:
        super().__init__(map_location)
        self.size = size
        self.rows: dict[str, Tensor] = {}

    def elements(self, key: str, dtype: Any, count: int) -> Tensor:
        if key not in self.rows:
            if count * dtype.itemsize > self.size:
                raise ValueError(f"storage {key!r} has more elements than the file has bytes")
            self.rows[key] = _C.empty(count, dtype=dtype)
        return self.rows[key]


def read_legacy(file: Any, name: Any, map_location: MapLocation) -> Any:
    """The object of a file from before the archives."""
    begin = file.tell()
    size = file.seek(0, os.SEEK_END) - begin
    file.seek(begin)
    try:
        if _interpret(file, None) != _MAGIC or _interpret(file, None) != _PROTOCOL:
            raise RuntimeError(f"load: {name!r} is a pickle, but not one that torch.save writes")
        system = _interpret(file, None)
        swapped = isinstance(system, dict) and system.get("little_endian") is not (sys.byteorder == "little")
        structure = file.tell()
        empty = _Legacy(size, "cpu")
        _interpret(file, empty.find)
        for key in _interpret(file, None):
            row = empty.rows[key]
            count = int.from_bytes(file.read(8), "big" if swapped else "little")
            if count != row.numel():
                raise ValueError(f"storage {key!r} has {count} elements, not {row.numel()}")
            data = _C.empty(count * row.element_size(), dtype=_C.uint8)
            _fill(file, data, key)
            row.copy_(_row(data, row.dtype, swapped))
        end = file.tell()
        full = _Legacy(size, map_location)
        full.rows = empty.rows
        file.seek(structure)
        value = _interpret(file, full.find)
        file.seek(end)
        return value
    except (KeyError, ValueError, TypeError) as error:
        raise RuntimeError(f"load: {name!r} is damaged: {error}") from error
