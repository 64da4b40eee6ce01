"""save and load: state dicts, checkpoints and tensors, in PyTorch's files (.pt, .pth) and in safetensors files.

Both are read by what stands in them, whatever their name is. No name in a file is ever imported or called: of a
safetensors file the structure is JSON, and the pickle in PyTorch's file goes through an interpreter that knows the
opcodes and globals that tensors and plain containers need, and raises at every other one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .contents import MapLocation

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]

_PYTORCH = (".pt", ".pth", ".ckpt", ".bin")  # names of files that are to be PyTorch's


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: Any = None,
    _use_new_zipfile_serialization: bool = True,
    *,
    format: str | None = None,
) -> None:
    """Writes an object to a file.

    A file on disk is written under another name, flushed to the disk and renamed: at every moment there is either the
    old file or the whole new one.

    Args:
        obj: tensors, None, bool, int, float, str, bytes, dtypes, devices and sizes, in dicts (OrderedDicts), lists and
            tuples nested as you like. Tensors that share memory do so again when loaded.
        f: a path, or a binary file open for writing.
        pickle_module, pickle_protocol: accepted; the pickle in PyTorch's files has protocol 2.
        format: "pytorch" or "safetensors". By default a name that ends with .pt, .pth, .ckpt or .bin means PyTorch's
            file, which torch.load(weights_only=True) reads there, and everything else a safetensors file.

    Raises:
        TypeError: an object of another kind, named by its place: `save: obj["model"]["fn"] is a function, ...`.
        ValueError: a container that contains itself.
        OSError: the file could not be written; what was there before is there still.
    """
    if format is None:
        name = getattr(f, "name", "") if hasattr(f, "write") else os.fspath(f)
        format = "pytorch" if isinstance(name, str) and name.endswith(_PYTORCH) else "safetensors"
    if format == "pytorch":
        from .pytorch_writer import write
    elif format == "safetensors":
        from .safetensors_format import write
    else:
        raise ValueError(f"save: format must be 'pytorch' or 'safetensors', not {format!r}")
    write(obj, f)


def load(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Reads what `save` wrote, here or in PyTorch; of any other safetensors file, the dict of its tensors.

    Args:
        f: a path, or a binary file open for reading.
        map_location: where tensors go: a device, or a dict from saved to new devices, or a function
            (tensor, saved device as str) -> tensor. By default each goes to the device it was saved from.
        mmap: map the tensors of PyTorch's file into memory instead of reading them; f must be a path then. What is
            written into them stays in memory.
        weights_only, pickle_module: accepted. Nothing in a file is ever executed, whatever they say.

    Raises:
        pickle.UnpicklingError: the file asks for what is neither tensor nor plain container; the error names it.
        RuntimeError: the file is damaged, or of another format. Nothing is returned in part.
    """
    if hasattr(f, "read"):
        if mmap:
            raise ValueError("load: mmap needs a path, not an open file")
        if not (hasattr(f, "seekable") and f.seekable()):
            import io

            f = io.BytesIO(f.read())
        return _read(f, getattr(f, "name", "the file"), map_location, False)
    path = os.fspath(f)
    with open(path, "rb") as file:
        return _read(file, path, map_location, bool(mmap))


def _read(file: Any, name: Any, map_location: MapLocation, mapped: bool) -> Any:
    start = file.read(16)
    file.seek(-len(start), os.SEEK_CUR)
    if start[:4] == b"PK\x03\x04":
        from .pytorch_reader import read_zip

        return read_zip(file, name, map_location, mapped)
    if start[:1] == b"\x80" and start[8:9] != b"{":  # else the length of a header
        from .pytorch_reader import read_legacy

        return read_legacy(file, name, map_location)
    from .safetensors_format import read

    return read(file, name, map_location)


# ---- classes of one's own


_safe: dict[str, Any] = {}


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Lets files contain these classes and functions: loading calls them, so name only what you trust.

    Args:
        safe_globals: classes or functions, or pairs of one with the full name that it has in files.
    """
    for entry in safe_globals:
        value, name = entry if isinstance(entry, tuple) else (entry, f"{entry.__module__}.{entry.__qualname__}")
        _safe[name] = value


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` was given."""
    return list(_safe.values())


def clear_safe_globals() -> None:
    """Forgets what `add_safe_globals` was given."""
    _safe.clear()


class safe_globals:  # noqa: N801 - used like a function, as a context
    """Inside, files may contain these classes and functions too; see `add_safe_globals`."""

    def __init__(self, safe_globals: Iterable[Any]) -> None:
        self.added = list(safe_globals)

    def __enter__(self) -> None:
        self.before = dict(_safe)
        add_safe_globals(self.added)

    def __exit__(self, *exception: object) -> None:
        _safe.clear()
        _safe.update(self.before)
