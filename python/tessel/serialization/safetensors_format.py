"""Objects in safetensors files: tensors, and plain containers of them.

A dict of tensors is saved as any safetensors reader expects it. What such a file cannot say by itself (nesting, order,
numbers and strings, tensors that share memory) stands as JSON in its metadata, under the key `tessel`:

    null, true, 3, 0.5, "text", [...]                 as in JSON
    {"tensor": name}                                  an entry of the file
    {"tensor": name, "view": [size, stride, offset]}  part of a one-dimensional entry that several tensors share
    {"dict": [[key, value], ...]}                     or "ordered_dict", whose "attributes" are those of a state dict
    {"tuple": [...]}  {"size": [...]}  {"bytes": base64}  {"float": "nan"}  {"dtype": "float32"}  {"device": "cpu"}

A tensor's node also says, where it is so, that it requires a gradient, that it is a Parameter, and its device. Loading
builds these and nothing else: no name in a file is ever imported or called. Every size is checked against the file
before memory is taken for it.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections import OrderedDict
from typing import Any

from .. import _C
from .._C import Tensor
from .contents import (
    ALL_DTYPES,
    DTYPES,
    NAMES,
    MapLocation,
    Tensors,
    are_counts,
    is_parameter,
    placed,
    refused,
    storage_of,
    write_atomically,
)

_KEY = "tessel"
_MAX_HEADER = 100_000_000  # bytes; the limit of the format


# ---- saving


def write(obj: Any, f: Any) -> None:
    """Writes an object to a path or an open file."""
    from safetensors import serialize

    writer = _Writer()
    writer.find_tensors(obj, "obj", ())
    structure = json.dumps(writer.encode(obj, "obj", ()), separators=(",", ":"), allow_nan=False)
    if len(structure) > _MAX_HEADER // 2:
        raise ValueError(
            f"save: what is not tensors takes {len(structure):,} bytes, too much for the header of a safetensors file; "
            "turn long lists of numbers into tensors"
        )
    tensors = {name: tensor.cpu().contiguous() for name, tensor in writer.entries.items()}  # alive while they are read
    metadata = {"format": "pt", _KEY: structure}
    if hasattr(f, "write"):
        f.write(serialize(_specs(tensors), metadata=metadata))
    else:
        write_atomically(os.fspath(f), lambda path: _serialize(path, _specs(tensors), metadata))


def _specs(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The tensors as the safetensors package takes them: by the address of their bytes, without a copy."""
    from safetensors import TensorSpec

    return {
        name: TensorSpec(
            dtype=NAMES[tensor.dtype],
            shape=list(tensor.shape),
            data_ptr=tensor.data_ptr(),
            data_len=tensor.numel() * tensor.element_size(),
        )
        for name, tensor in tensors.items()
    }


def _serialize(path: str, specs: dict[str, Any], metadata: dict[str, str]) -> None:
    from safetensors import SafetensorError, serialize_file

    try:
        serialize_file(specs, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"save: {path!r} could not be written: {error}") from error


class _Writer(Tensors):
    """Finds the tensors of an object, then describes the object around them.

    These are two walks, since only when all tensors are known is it clear which of them share memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, Tensor] = {}

    def encode(self, value: Any, path: str, keys: tuple[Any, ...]) -> Any:
        """The node of a value; `path` names its place for people, `keys` for the entries of the file."""
        kind = type(value)
        if isinstance(value, Tensor):
            return self._tensor(value, keys)
        if value is None or kind is bool:
            return value
        if isinstance(value, (int, str)):
            return int(value) if isinstance(value, int) else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if kind is _C.Size:
            return {"size": list(value)}
        if kind is list or kind is tuple:
            nodes = [self.encode(entry, f"{path}[{i}]", (*keys, i)) for i, entry in enumerate(value)]
            return nodes if kind is list else {"tuple": nodes}
        if kind is dict or kind is OrderedDict:
            pairs = [
                [self._key(key, path), self.encode(entry, f"{path}[{key!r}]", (*keys, key))]
                for key, entry in value.items()
            ]
            node: dict[str, Any] = {"dict" if kind is dict else "ordered_dict": pairs}
            if kind is OrderedDict and value.__dict__:  # `_metadata`: the versions of the modules
                node["attributes"] = self.encode(dict(value.__dict__), f"vars({path})", (*keys, "__dict__"))
            return node
        if kind is bytes or kind is bytearray:
            import base64

            return {"bytes": base64.b64encode(value).decode("ascii")}
        if isinstance(value, _C.dtype):
            return {"dtype": str(value).rpartition(".")[2]}
        if isinstance(value, _C.device):
            return {"device": str(value)}
        raise refused(value, path)

    def _key(self, key: Any, path: str) -> Any:
        parts = key if type(key) is tuple else (key,)
        if not all(type(part) in (str, int, float, bool, type(None)) for part in parts):
            raise TypeError(f"save: {path} has the key {key!r}; keys may be strings, numbers and tuples of them")
        return self.encode(key, path, ())

    def _tensor(self, tensor: Tensor, keys: tuple[Any, ...]) -> dict[str, Any]:
        shared = self.storages[storage_of(tensor)]
        as_one = shared.as_one()
        if shared.name is None:
            shared.name = self._free_name(".".join(map(str, keys)) or "tensor")
            entry = tensor.detach()
            if not as_one:
                low, high = shared.span()
                entry = entry.as_strided((high - low + 1,), (1,), low)
            self.entries[shared.name] = entry
        node: dict[str, Any] = {"tensor": shared.name}
        if not as_one:
            offset = tensor.storage_offset() - shared.span()[0]
            node["view"] = [list(tensor.shape), list(tensor.stride()), offset]
        if tensor.requires_grad:
            node["requires_grad"] = True
        if is_parameter(tensor):
            node["parameter"] = True
        if tensor.device.type != "cpu":
            node["device"] = str(tensor.device)
        return node

    def _free_name(self, name: str) -> str:
        while name in self.entries or name == "__metadata__":
            name += "_"
        return name


# ---- loading


def read(file: Any, name: Any, map_location: MapLocation) -> Any:
    """The object of an open file that can seek."""
    return _Reader(file, name, map_location).read()


class _Reader:
    """Reads one file: the header, checked whole; then the tensors; then the object around them."""

    def __init__(self, file: Any, name: Any, map_location: MapLocation) -> None:
        self.file = file
        self.name = name
        self.map_location = map_location
        self.tensors: dict[str, Tensor] = {}
        self.made: dict[Any, Tensor] = {}

    def damaged(self, what: str) -> RuntimeError:
        return RuntimeError(f"load: {self.name!r} is damaged: {what}")

    def read(self) -> Any:
        entries, metadata = self._read_header()
        for key, (dtype, shape, count) in entries.items():
            self.tensors[key] = self._read_tensor(key, dtype, shape, count)
        if _KEY not in metadata:
            return {key: self._placed(tensor, "cpu") for key, tensor in self.tensors.items()}
        try:
            structure = json.loads(metadata[_KEY])
            return self._decode(structure)
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise self.damaged(f"its structure cannot be read ({error})") from error

    def _read_header(self) -> tuple[dict[str, tuple[Any, list[int], int]], dict[str, str]]:
        """({name: (dtype, shape, bytes)} in the order of the data, metadata), after every check there is."""
        here = self.file.tell()
        size = self.file.seek(0, os.SEEK_END) - here
        self.file.seek(here)
        start = self.file.read(8)
        if len(start) < 8:
            raise self.damaged(f"it has {size} bytes, fewer than any safetensors file")
        (length,) = struct.unpack("<Q", start)
        if length > _MAX_HEADER or 8 + length > size:
            if start[:1] == b"\x80":
                raise RuntimeError(f"load: {self.name!r} is a pickle, but not one that torch.save writes")
            raise self.damaged(f"its header would be {length:,} bytes of a file of {size:,}")
        text = self.file.read(length)
        if text[:1] != b"{":
            raise self.damaged("its header does not begin with a brace")
        try:
            header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"its header is not the JSON it should be ({error})") from error
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise self.damaged("its metadata is not a dict of strings")
        spans = sorted((self._checked_entry(key, entry) for key, entry in header.items()), key=lambda span: span[:2])
        end = 0
        for begin, stop, key, _, _ in spans:
            if begin != end:
                raise self.damaged(f"the data of {key!r} begin at byte {begin:,}, not at {end:,}")
            end = stop
        if end != size - 8 - length:
            raise self.damaged(f"its tensors take {end:,} bytes, but {size - 8 - length:,} are there")
        return {key: (dtype, shape, stop - begin) for begin, stop, key, dtype, shape in spans}, metadata

    def _checked_entry(self, key: str, entry: Any) -> tuple[int, int, str, Any, list[int]]:
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise self.damaged(f"the header's entry of {key!r} is incomplete")
        if entry["dtype"] not in DTYPES:
            raise RuntimeError(f"load: {self.name!r}: tensor {key!r} has the dtype {entry['dtype']!r}, unknown here")
        dtype = DTYPES[entry["dtype"]]
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (are_counts(shape) and are_counts(offsets) and len(offsets) == 2):
            raise self.damaged(f"shape or place of {key!r} are not whole numbers from 0 on")
        begin, end = offsets
        expected = math.prod(shape) * dtype.itemsize
        if end - begin != expected:
            raise self.damaged(f"{key!r} of shape {tuple(shape)} needs {expected:,} bytes but has {end - begin:,}")
        return begin, end, key, dtype, shape

    def _read_tensor(self, key: str, dtype: Any, shape: list[int], count: int) -> Tensor:
        data = _C.empty(count, dtype=_C.uint8)
        if count:
            place = memoryview(data)
            while len(place):
                got = self.file.readinto(place)
                if not got:
                    raise self.damaged(f"it ends within the data of {key!r}")
                place = place[got:]
        # A bool is a byte of 0 or 1; a file may hold anything.
        return (data.ne(0) if dtype is _C.bool else data.view(dtype)).reshape(shape)

    def _placed(self, tensor: Tensor, saved: str) -> Tensor:
        return placed(tensor, saved, self.map_location)

    def _decode(self, node: Any) -> Any:
        if not isinstance(node, (dict, list)):
            return node
        if isinstance(node, list):
            return [self._decode(entry) for entry in node]
        if "tensor" in node:
            return self._tensor(node)
        kind: str
        value: Any
        kind, value = next(iter(node.items()), ("", None))
        if kind in ("dict", "ordered_dict"):
            pairs = [(self._decode(key), self._decode(entry)) for key, entry in value]
            if kind == "dict":
                return dict(pairs)
            ordered = OrderedDict(pairs)
            if "attributes" in node:
                ordered.__dict__.update(self._decode(node["attributes"]))
            return ordered
        if kind == "tuple":
            return tuple(self._decode(entry) for entry in value)
        if kind == "size":
            return _C.Size(value)
        if kind == "bytes":
            import base64

            return base64.b64decode(value, validate=True)
        if kind == "float":
            return float(value)
        if kind == "dtype" and value in ALL_DTYPES:
            return getattr(_C, value)
        if kind == "device":
            return _C.device(value)
        raise ValueError(f"unknown kind {kind!r}")

    def _tensor(self, node: dict[str, Any]) -> Tensor:
        identity = json.dumps(node, sort_keys=True)  # one tensor in several places is one tensor again
        made = self.made.get(identity)
        if made is not None:
            return made
        name = node["tensor"]
        if name not in self.tensors:
            raise ValueError(f"there is no tensor {name!r}")
        storage = name, node.get("device", "cpu")
        tensor = self.made.get(storage)
        if tensor is None:
            tensor = self.made[storage] = self._placed(self.tensors[name], storage[1])
        if "view" in node:
            size, stride, offset = node["view"]
            if not (are_counts(size) and are_counts(stride) and are_counts([offset]) and len(size) == len(stride)):
                raise ValueError(f"the view into {name!r} is not made of whole numbers from 0 on")
            last = offset + sum((n - 1) * step for n, step in zip(size, stride))
            if 0 not in size and last >= tensor.numel():
                raise ValueError(f"a view reaches element {last} of {name!r}, which has {tensor.numel()}")
            tensor = tensor.as_strided(size, stride, offset)
        if node.get("parameter"):
            from ..nn.parameter import Parameter

            tensor = Parameter(tensor, requires_grad=bool(node.get("requires_grad")))
        elif node.get("requires_grad"):
            tensor = tensor.detach().requires_grad_()
        self.made[identity] = tensor
        return tensor


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name stands in it twice")
    return entries
