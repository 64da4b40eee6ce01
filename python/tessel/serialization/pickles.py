"""Pickles, as far as files of tensors need them: an interpreter that executes nothing, and a writer.

The interpreter is a stack machine like pickle's, but it never imports: a global is looked up in a table that its user
gives, and only what stands there as a Call can be called.
"""

from __future__ import annotations

import codecs
import os
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

__all__ = ["Call", "Interpreter", "Pickler", "UnpicklingError"]


class Call:
    """What a global stands for that may be called: `function` builds the object, `build` takes its state."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _bytes_of(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise UnpicklingError(
            f"load: _codecs.encode of {type(text).__name__} in {encoding!r} is not what bytes look like"
        )
    return codecs.encode(text, encoding)


def _set_of(entries: Any = ()) -> set[Any]:
    return set(_plain(entries, list))


def _counter_of(entries: Any = ()) -> Counter[Any]:
    return Counter(_plain(entries, dict))


def _ordered_of(entries: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(_plain(entries, list))


def _bytearray_of(*arguments: Any) -> bytearray:
    if arguments and not isinstance(arguments[0], (bytes, str)):
        raise UnpicklingError("load: a bytearray that is not made of bytes")
    return bytearray(*arguments)


def _plain(entries: Any, kind: type) -> Any:
    if entries != () and type(entries) is not kind:
        raise UnpicklingError(f"load: expected a {kind.__name__}, got {type(entries).__name__}")
    return entries


def _complex_of(real: float, imaginary: float) -> complex:
    return complex(float(real), float(imaginary))


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_of,
    "collections.Counter": _counter_of,
    "_codecs.encode": _bytes_of,
    "builtins.set": _set_of,
    "builtins.bytearray": _bytearray_of,
    "builtins.complex": _complex_of,
}
PLAIN: dict[str, Any] = {name: Call(name, function) for name, function in _CALLS.items()}

_CONTAINERS = (dict, OrderedDict, Counter)


class Interpreter:
    """Runs the pickle that begins where a file stands.

    Args:
        file: an open file that can seek.
        known: {full name: value or Call} of the globals a file may contain.
        persistent: what a persistent id stands for.
        trusted: {full name: class or function} that the user allows to be called.
        build: (object, state) for objects other than ordered dicts; False where it takes no state.
    """

    def __init__(
        self,
        file: Any,
        known: dict[str, Any],
        persistent: Callable[[Any], Any],
        trusted: dict[str, Any] | None = None,
        build: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self.file = file
        self.known = known
        self.persistent = persistent
        self.trusted = trusted or {}
        self.build = build
        here = file.tell()
        self.end = file.seek(0, os.SEEK_END)
        file.seek(here)
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object."""
        try:
            while True:
                code = self.take(1)
                if code == b".":
                    return self.pop()
                step = _STEPS.get(code[0])
                if step is None:
                    raise UnpicklingError(f"load: the opcode {code!r} has no place in a file of tensors")
                step(self)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            raise RuntimeError(f"load: the file is damaged: its pickle cannot be read ({error})") from error

    # -- reading

    def take(self, count: int) -> bytes:
        if count > self.end - self.file.tell():
            raise ValueError("it ends too early")
        return self.file.read(count)

    def unpack(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        line = self.file.readline(1000)
        if not line.endswith(b"\n"):
            raise ValueError("a name has no end")
        return line[:-1].decode("utf-8")

    # -- the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise ValueError("its stack is out of step")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        place = self.marks.pop()
        entries = self.stack[place:]
        del self.stack[place:]
        return entries

    # -- objects

    def find(self, module: str, name: str) -> None:
        module = "builtins" if module == "__builtin__" else module
        full = f"{module}.{name}"
        if full in self.known:
            self.push(self.known[full])
        elif full in self.trusted:
            self.push(Call(full, self.trusted[full]))
        else:
            raise UnpicklingError(
                f"load: the file contains the global {full}, which is neither tensor nor plain container. Nothing in a "
                "file is executed, with weights_only=False neither; save the state dict instead of the object, or, if "
                f"you trust the file, allow it by serialization.add_safe_globals([{name}])"
            )

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("a global has no name")
        self.find(module, name)

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Call) or type(arguments) is not tuple:
            raise UnpicklingError(f"load: the file wants to call {function!r}, which is no function it may call")
        self.push(function.function(*arguments))

    def new(self) -> None:
        arguments, cls = self.pop(), self.pop()
        if isinstance(cls, Call) and cls.name in self.trusted:
            made: Any = cls.function
            self.push(made.__new__(made, *arguments))
        elif isinstance(cls, Call) and cls.name.startswith("collections."):
            self.push(cls.function(*arguments))
        else:
            raise UnpicklingError(f"load: the file wants to make a {cls!r}, which it may not")

    def take_state(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if type(target) is OrderedDict and type(state) is dict:
            if any(hasattr(OrderedDict, str(key)) for key in state):
                raise UnpicklingError("load: the file wants to change the methods of an OrderedDict")
            target.__dict__.update(state)
        elif self.build is not None and self.build(target, state):
            pass
        elif f"{type(target).__module__}.{type(target).__qualname__}" in self.trusted:
            if hasattr(target, "__setstate__"):
                target.__setstate__(state)
            else:
                target.__dict__.update(state)
        else:
            raise UnpicklingError(f"load: the file wants to change a {type(target).__name__}, which takes no state")

    def set_items(self, entries: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in _CONTAINERS or len(entries) % 2:
            raise ValueError(f"entries for a {type(target).__name__}")
        for key, value in zip(entries[::2], entries[1::2]):
            target[key] = value

    def append(self, entries: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"elements for a {type(target).__name__}")
        target.extend(entries)

    def add(self) -> None:
        entries, target = self.since_mark(), self.stack[-1]
        if type(target) is not set:
            raise ValueError(f"elements for a {type(target).__name__}")
        target.update(entries)

    def pair(self) -> list[Any]:
        value = self.pop()
        return [self.pop(), value]

    def tuple_of(self, count: int) -> None:
        entries = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(entries)))

    def text(self, count: int) -> None:
        self.push(self.take(count).decode("utf-8", "surrogatepass"))

    def old_text(self, count: int) -> None:
        """A string of Python 2."""
        data = self.take(count)
        try:
            self.push(data.decode("utf-8"))
        except UnicodeDecodeError:
            self.push(data.decode("latin1"))

    def number(self, count: int) -> None:
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    def old_number(self) -> None:
        line = self.line()
        self.push({"00": False, "01": True}[line] if line in ("00", "01") else int(line))

    def dict_of(self) -> None:
        entries = self.since_mark()
        self.push({})
        self.set_items(entries)


def _pop_mark(i: Interpreter) -> None:
    i.since_mark()


def _protocol(i: Interpreter) -> None:
    version = i.unpack("<B")
    if version > 5:
        raise ValueError(f"it has protocol {version}")


_STEPS: dict[int, Callable[[Interpreter], Any]] = {
    code[0]: step
    for code, step in {
        b"\x80": _protocol,
        b"\x95": lambda i: i.take(8),  # a frame's length: frames help only who reads from a slow stream
        b"(": lambda i: i.marks.append(len(i.stack)),
        b"0": lambda i: i.pop(),
        b"1": _pop_mark,
        b"N": lambda i: i.push(None),
        b"\x88": lambda i: i.push(True),
        b"\x89": lambda i: i.push(False),
        b"I": lambda i: i.old_number(),
        b"J": lambda i: i.push(i.unpack("<i")),
        b"K": lambda i: i.push(i.unpack("<B")),
        b"M": lambda i: i.push(i.unpack("<H")),
        b"\x8a": lambda i: i.number(i.unpack("<B")),
        b"G": lambda i: i.push(i.unpack(">d")),
        b"X": lambda i: i.text(i.unpack("<I")),
        b"\x8c": lambda i: i.text(i.unpack("<B")),
        b"\x8d": lambda i: i.text(i.unpack("<Q")),
        b"T": lambda i: i.old_text(i.unpack("<I")),
        b"U": lambda i: i.old_text(i.unpack("<B")),
        b"B": lambda i: i.push(i.take(i.unpack("<I"))),
        b"C": lambda i: i.push(i.take(i.unpack("<B"))),
        b"\x8e": lambda i: i.push(i.take(i.unpack("<Q"))),
        b"\x96": lambda i: i.push(bytearray(i.take(i.unpack("<Q")))),
        b")": lambda i: i.push(()),
        b"\x85": lambda i: i.tuple_of(1),
        b"\x86": lambda i: i.tuple_of(2),
        b"\x87": lambda i: i.tuple_of(3),
        b"t": lambda i: i.push(tuple(i.since_mark())),
        b"]": lambda i: i.push([]),
        b"l": lambda i: i.push(i.since_mark()),
        b"a": lambda i: i.append([i.pop()]),
        b"e": lambda i: i.append(i.since_mark()),
        b"}": lambda i: i.push({}),
        b"d": lambda i: i.dict_of(),
        b"s": lambda i: i.set_items(i.pair()),
        b"u": lambda i: i.set_items(i.since_mark()),
        b"\x8f": lambda i: i.push(set()),
        b"\x90": lambda i: i.add(),
        b"\x91": lambda i: i.push(frozenset(i.since_mark())),
        b"c": lambda i: i.find(i.line(), i.line()),
        b"\x93": lambda i: i.stack_global(),
        b"R": lambda i: i.call(),
        b"\x81": lambda i: i.new(),
        b"b": lambda i: i.take_state(),
        b"q": lambda i: i.memo.__setitem__(i.unpack("<B"), i.stack[-1]),
        b"r": lambda i: i.memo.__setitem__(i.unpack("<I"), i.stack[-1]),
        b"\x94": lambda i: i.memo.__setitem__(len(i.memo), i.stack[-1]),
        b"h": lambda i: i.push(i.memo[i.unpack("<B")]),
        b"j": lambda i: i.push(i.memo[i.unpack("<I")]),
        b"Q": lambda i: i.push(i.persistent(i.pop())),
    }.items()
}


class Pickler:
    """Writes a pickle of protocol 2, piece by piece; what is there twice, by identity or by key, is written once."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [b"\x80\x02"]
        self.memo: dict[Any, int] = {}

    def emit(self, *pieces: bytes) -> None:
        self.pieces.extend(pieces)

    def done(self) -> bytes:
        return b"".join([*self.pieces, b"."])

    def again(self, key: Any) -> bool:
        """Whether what has this key was written before; then it is on the stack again."""
        place = self.memo.get(key)
        if place is None:
            return False
        self.emit(b"h" + struct.pack("<B", place) if place < 256 else b"j" + struct.pack("<I", place))
        return True

    def remember(self, key: Any) -> None:
        """The object on top of the stack has this key."""
        place = self.memo[key] = len(self.memo)
        self.emit(b"q" + struct.pack("<B", place) if place < 256 else b"r" + struct.pack("<I", place))

    def name(self, module: str, name: str) -> None:
        """A global."""
        key = "global", module, name
        if not self.again(key):
            self.emit(f"c{module}\n{name}\n".encode())
            self.remember(key)

    def none(self) -> None:
        self.emit(b"N")

    def boolean(self, value: bool) -> None:
        self.emit(b"\x88" if value else b"\x89")

    def integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.emit(b"K" + struct.pack("<B", value))
        elif 0 <= value < 65536:
            self.emit(b"M" + struct.pack("<H", value))
        elif -(1 << 31) <= value < 1 << 31:
            self.emit(b"J" + struct.pack("<i", value))
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(data) > 255:
                raise ValueError(f"save: an int of {value.bit_length()} bits is too long")
            self.emit(b"\x8a" + struct.pack("<B", len(data)) + data)

    def real(self, value: float) -> None:
        self.emit(b"G" + struct.pack(">d", value))

    def text(self, value: str) -> None:
        key = "text", value
        if not self.again(key):
            data = value.encode("utf-8", "surrogatepass")
            self.emit(b"X" + struct.pack("<I", len(data)), data)
            self.remember(key)

    def close_tuple(self, count: int) -> None:
        """Of the last 0 to 3 objects."""
        self.emit((b")", b"\x85", b"\x86", b"\x87")[count])

    def mark(self) -> None:
        self.emit(b"(")

    def call(self) -> None:
        """Of the global below the tuple of arguments."""
        self.emit(b"R")
