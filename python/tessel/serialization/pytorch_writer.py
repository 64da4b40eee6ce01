"""Writes PyTorch's files; pytorch_reader.py tells what stands in them."""

from __future__ import annotations

import os
import sys
import zipfile
from collections import Counter, OrderedDict
from typing import Any

from .. import _C
from .._C import Tensor
from .contents import NAMES, STORAGES, Tensors, is_parameter, refused, storage_of, write_atomically
from .pickles import Pickler

_ALIGNMENT = 64
_STORAGE_OF = {dtype: name for name, dtype in STORAGES.items()}


def write(obj: Any, f: Any) -> None:
    """Writes an object to a path or an open file."""
    writer = _Writer()
    writer.find_tensors(obj, "obj", ())
    writer.value(obj, "obj")
    if hasattr(f, "write"):
        writer.write_archive(f, "archive")
    else:
        path = os.fspath(f)
        stem = os.path.splitext(os.path.basename(path))[0]

        def write_file(temporary: str) -> None:
            with open(temporary, "wb") as file:
                writer.write_archive(file, stem if stem.isascii() and stem else "archive")

        write_atomically(path, write_file)


class _Writer(Tensors):
    """Pickles an object; its storages keep the elements that some tensor reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.pickler = Pickler()
        self.entries: list[Tensor] = []

    def value(self, value: Any, path: str) -> None:
        kind, p = type(value), self.pickler
        if value is None:
            p.none()
        elif kind is bool:
            p.boolean(value)
        elif isinstance(value, Tensor):
            self.tensor(value)
        elif isinstance(value, int):
            p.integer(int(value))
        elif isinstance(value, float):
            p.real(float(value))
        elif isinstance(value, str):
            p.text(str(value))
        elif kind is tuple:
            self.tuple(value, path)
        elif kind in (list, dict, OrderedDict, Counter, set, bytearray):
            if not p.again(id(value)):
                self.container(value, path)
        elif kind is bytes:
            self.bytes(value)
        elif kind is complex:
            self.call("__builtin__", "complex", value.real, value.imag)
        elif kind is _C.Size:
            self.call("torch", "Size", tuple(value))
        elif isinstance(value, _C.device):
            self.call("torch", "device", *str(value).split(":")[:1], *map(int, str(value).split(":")[1:]))
        elif isinstance(value, _C.dtype):
            p.name("torch", str(value).rpartition(".")[2])
        else:
            raise refused(value, path)

    def call(self, module: str, name: str, *arguments: Any) -> None:
        self.pickler.name(module, name)
        self.tuple(arguments, "")
        self.pickler.call()

    def tuple(self, value: tuple[Any, ...], path: str) -> None:
        p = self.pickler
        if len(value) > 3:
            p.mark()
        for place, entry in enumerate(value):
            self.value(entry, f"{path}[{place}]")
        if len(value) > 3:
            p.emit(b"t")
        else:
            p.close_tuple(len(value))

    def bytes(self, value: bytes) -> None:
        p = self.pickler
        p.name("_codecs", "encode")
        p.text(value.decode("latin1"))
        p.text("latin1")
        p.close_tuple(2)
        p.call()

    def container(self, value: Any, path: str) -> None:
        kind, p = type(value), self.pickler
        if kind is list:
            p.emit(b"]")
            p.remember(id(value))
            p.mark()
            for place, entry in enumerate(value):
                self.value(entry, f"{path}[{place}]")
            p.emit(b"e")
        elif kind is dict:
            p.emit(b"}")
            p.remember(id(value))
            self.items(value, path)
        elif kind is OrderedDict:
            self.call("collections", "OrderedDict")
            p.remember(id(value))
            self.items(value, path)
            if value.__dict__:  # `_metadata`: the versions of the modules
                p.emit(b"}")
                self.items(value.__dict__, f"vars({path})")
                p.emit(b"b")
        elif kind is Counter:
            self.call("collections", "Counter", dict(value))
            p.remember(id(value))
        elif kind is set:
            self.call("__builtin__", "set", list(value))
            p.remember(id(value))
        else:
            self.call("__builtin__", "bytearray", bytes(value))
            p.remember(id(value))

    def items(self, value: dict[Any, Any], path: str) -> None:
        p = self.pickler
        p.mark()
        for key, entry in value.items():
            parts = key if type(key) is tuple else (key,)
            if not all(type(part) in (str, int, float, bool, type(None)) for part in parts):
                raise TypeError(f"save: {path} has the key {key!r}; keys may be strings, numbers and tuples of them")
            self.value(key, path)
            self.value(entry, f"{path}[{key!r}]")
        p.emit(b"u")

    def tensor(self, tensor: Tensor) -> None:
        p = self.pickler
        if p.again(id(tensor)):
            return
        if is_parameter(tensor):
            p.name("torch._utils", "_rebuild_parameter")
            self.plain_tensor(tensor, False)
            p.boolean(tensor.requires_grad)
            self.call("collections", "OrderedDict")  # its hooks
            p.close_tuple(3)
            p.call()
        else:
            self.plain_tensor(tensor, tensor.requires_grad)
        p.remember(id(tensor))

    def plain_tensor(self, tensor: Tensor, requires_grad: bool) -> None:
        p, shared = self.pickler, self.storages[storage_of(tensor)]
        low, high = shared.span() if tensor.numel() else (0, -1)
        if shared.name is None:
            shared.name = str(len(self.entries))
            entry = tensor.detach()
            self.entries.append(entry.as_strided((high - low + 1,), (1,), low) if tensor.numel() else entry.reshape(-1))
        p.name("torch._utils", "_rebuild_tensor_v2")
        p.mark()
        p.mark()
        p.text("storage")
        p.name("torch", _STORAGE_OF[NAMES[tensor.dtype]])
        p.text(shared.name)
        p.text(str(tensor.device))
        p.integer(high - low + 1)
        p.emit(b"tQ")
        p.integer(tensor.storage_offset() - low if tensor.numel() else 0)
        self.tuple(tuple(tensor.shape), "")
        self.tuple(tuple(tensor.stride()), "")
        p.boolean(requires_grad)
        self.call("collections", "OrderedDict")  # its hooks
        p.emit(b"t")
        p.call()

    def write_archive(self, file: Any, stem: str) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, f"{stem}/data.pkl", self.pickler.done())
            _add(archive, f"{stem}/.format_version", b"1")
            _add(archive, f"{stem}/.storage_alignment", str(_ALIGNMENT).encode())
            _add(archive, f"{stem}/byteorder", sys.byteorder.encode())
            for place, entry in enumerate(self.entries):
                flat = entry.cpu().contiguous()
                _add(archive, f"{stem}/data/{place}", memoryview(flat.view(_C.uint8)) if flat.numel() else b"")
            _add(archive, f"{stem}/version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """An entry whose data begin at a multiple of 64, for which a field of padding stands in its header."""
    entry = zipfile.ZipInfo(name)
    entry.file_size = len(data)
    large = len(data) > zipfile.ZIP64_LIMIT  # then the header has 20 bytes more
    begin = archive.fp.tell() + 30 + len(name.encode()) + 4 + (20 if large else 0)  # type: ignore[union-attr]
    padding = -begin % _ALIGNMENT
    entry.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    with archive.open(entry, "w", force_zip64=large) as place:
        place.write(data)
