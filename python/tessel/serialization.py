"""save and load: tensors, and plain containers of them, in safetensors files.

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
from collections.abc import Callable
from typing import Any

from . import _C
from ._C import Tensor

__all__ = ["load", "save"]

_KEY = "tessel"
_MAX_HEADER = 100_000_000  # bytes; the limit of the format
_DTYPES = {
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
_NAMES = {dtype: str(dtype).rpartition(".")[2] for dtype in _DTYPES.values()}  # "float32": safetensors' names too
_ALL_DTYPES = {*_NAMES.values(), "complex64", "complex128"}
_MAX_DEPTH = 200  # of nested containers, both ways

MapLocation = str | Callable[[Tensor, str], Tensor] | dict[str, str] | Any | None


# ---- saving


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: Any = None) -> None:
    """Writes an object to a safetensors file.

    A file on disk is written under another name, flushed to the disk and renamed: at every moment there is either the
    old file or the whole new one.

    Args:
        obj: tensors, None, bool, int, float, str, bytes, dtypes, devices and sizes, in dicts (OrderedDicts), lists and
            tuples nested as you like. Tensors that share memory do so again when loaded.
        f: a path, or a binary file open for writing.
        pickle_module, pickle_protocol: accepted; nothing is pickled.

    Raises:
        TypeError: an object of another kind, named by its place: `save: obj["model"]["fn"] is a function, ...`.
        ValueError: a container that contains itself.
        OSError: the file could not be written; what was there before is there still.
    """
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
        _write_atomically(os.fspath(f), _specs(tensors), metadata)


def _specs(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The tensors as the safetensors package takes them: by the address of their bytes, without a copy."""
    from safetensors import TensorSpec

    return {
        name: TensorSpec(
            dtype=_NAMES[tensor.dtype],
            shape=list(tensor.shape),
            data_ptr=tensor.data_ptr(),
            data_len=tensor.numel() * tensor.element_size(),
        )
        for name, tensor in tensors.items()
    }


def _write_atomically(path: str, specs: dict[str, Any], metadata: dict[str, str]) -> None:
    """The whole file at `path`, or what was there before."""
    import tempfile

    from safetensors import SafetensorError, serialize_file

    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"save: there is no folder {folder!r}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    os.close(descriptor)
    try:
        try:
            serialize_file(specs, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"save: {path!r} could not be written: {error}") from error
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


def _extent(tensor: Tensor) -> tuple[int, int]:
    """First and last element of its storage that a tensor (not an empty one) reaches."""
    first = tensor.storage_offset()
    return first, first + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride()))


def _storage_of(tensor: Tensor) -> Any:
    """What is equal for tensors that share memory (and have one dtype)."""
    if tensor.numel() == 0:
        return id(tensor)
    start = tensor.data_ptr() - tensor.storage_offset() * tensor.element_size()
    return str(tensor.device), start, tensor.dtype


class _Shared:
    """The tensors of one storage, and the entry of the file they are read from."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.name: str | None = None

    def as_one(self) -> bool:
        """Whether all are the same elements in the same order, each of them once: then the entry is simply they."""
        first = self.tensors[0]
        if first.numel() == 0:
            return True
        low, high = _extent(first)
        layouts = {(t.storage_offset(), tuple(t.shape), tuple(t.stride())) for t in self.tensors}
        return len(layouts) == 1 and high - low + 1 >= first.numel()

    def span(self) -> tuple[int, int]:
        """First and last element of the storage that any of them reaches."""
        extents = [_extent(tensor) for tensor in self.tensors]
        return min(low for low, _ in extents), max(high for _, high in extents)


class _Writer:
    """Finds the tensors of an object, then describes the object around them.

    These are two walks, since only when all tensors are known is it clear which of them share memory.
    """

    def __init__(self) -> None:
        self.storages: dict[Any, _Shared] = {}
        self.entries: dict[str, Tensor] = {}

    def find_tensors(self, value: Any, path: str, above: tuple[int, ...]) -> None:
        if isinstance(value, Tensor):
            if value.dtype not in _NAMES:
                raise TypeError(f"save: {path} is a tensor of {value.dtype}, which cannot be saved")
            self.storages.setdefault(_storage_of(value), _Shared()).tensors.append(value)
        elif isinstance(value, (dict, list, tuple)):
            if id(value) in above:
                raise ValueError(f"save: {path} contains itself")
            if len(above) == _MAX_DEPTH:
                raise ValueError(f"save: {path} is nested more than {_MAX_DEPTH} levels deep")
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                self.find_tensors(entry, f"{path}[{key!r}]", (*above, id(value)))

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
        hint = "; use from_numpy or item()" if kind.__module__ == "numpy" else ""
        where = "" if kind.__module__ == "builtins" else kind.__module__ + "."
        raise TypeError(
            f"save: {path} is a {where}{kind.__qualname__}; what can be saved are tensors, numbers, "
            f"strings, bytes, None, dtypes and devices in dicts, lists and tuples{hint}"
        )

    def _key(self, key: Any, path: str) -> Any:
        parts = key if type(key) is tuple else (key,)
        if not all(type(part) in (str, int, float, bool, type(None)) for part in parts):
            raise TypeError(f"save: {path} has the key {key!r}; keys may be strings, numbers and tuples of them")
        return self.encode(key, path, ())

    def _tensor(self, tensor: Tensor, keys: tuple[Any, ...]) -> dict[str, Any]:
        shared = self.storages[_storage_of(tensor)]
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
        if _is_parameter(tensor):
            node["parameter"] = True
        if tensor.device.type != "cpu":
            node["device"] = str(tensor.device)
        return node

    def _free_name(self, name: str) -> str:
        while name in self.entries or name == "__metadata__":
            name += "_"
        return name


def _is_parameter(tensor: Tensor) -> bool:
    if type(tensor) is Tensor:
        return False
    from .nn.parameter import Parameter

    return isinstance(tensor, Parameter)


# ---- loading


def load(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Reads what `save` wrote; of any other safetensors file, the dict of its tensors.

    Args:
        f: a path, or a binary file open for reading.
        map_location: where tensors go: a device, or a dict from saved to new devices, or a function
            (tensor, saved device as str) -> tensor. By default each goes to the device it was saved from.
        weights_only, mmap, pickle_module: accepted. Nothing in a file is ever executed, whatever they say.

    Raises:
        RuntimeError: the file is damaged, or is no safetensors file. Nothing is returned in part.
    """
    if hasattr(f, "read"):
        return _Reader(f, getattr(f, "name", "the file"), map_location).read()
    path = os.fspath(f)
    with open(path, "rb") as file:
        return _Reader(file, path, map_location).read()


class _Reader:
    """Reads one file: the header, checked whole; then the tensors; then the object around them."""

    def __init__(self, file: Any, name: Any, map_location: MapLocation) -> None:
        if not (hasattr(file, "seekable") and file.seekable()):
            import io

            file = io.BytesIO(file.read())
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
            if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
                raise RuntimeError(
                    f"load: {self.name!r} is a pickle as PyTorch writes it, not a safetensors file; save the state "
                    "dict by safetensors.torch.save_file there, and load that"
                )
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
        if entry["dtype"] not in _DTYPES:
            raise RuntimeError(f"load: {self.name!r}: tensor {key!r} has the dtype {entry['dtype']!r}, unknown here")
        dtype = _DTYPES[entry["dtype"]]
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
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
        where = self.map_location
        if callable(where) and not isinstance(where, (str, _C.device)):
            placed = where(tensor, saved)
            return tensor if placed is None else placed
        if isinstance(where, dict):
            where = where.get(saved, saved)
        elif where is None:
            where = saved
        return tensor.to(where)

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
        if kind == "dtype" and value in _ALL_DTYPES:
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
            if not (_are_counts(size) and _are_counts(stride) and _are_counts([offset]) and len(size) == len(stride)):
                raise ValueError(f"the view into {name!r} is not made of whole numbers from 0 on")
            last = offset + sum((n - 1) * step for n, step in zip(size, stride))
            if 0 not in size and last >= tensor.numel():
                raise ValueError(f"a view reaches element {last} of {name!r}, which has {tensor.numel()}")
            tensor = tensor.as_strided(size, stride, offset)
        if node.get("parameter"):
            from .nn.parameter import Parameter

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


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)
