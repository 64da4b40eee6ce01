"""Which of PyTorch's names a program uses, and which of them tessel lacks: read from its source, nothing is run."""

from __future__ import annotations

import ast
import importlib
import io
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _names


@dataclass
class Survey:
    """Names of PyTorch's with the lines where they stand; methods are those called on values of unknown type."""

    names: dict[str, list[int]] = field(default_factory=dict)
    methods: dict[str, list[int]] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)


class _Reader(ast.NodeVisitor):
    """Follows imports of torch and their aliases; a function's parameter or a local of the name hides them there."""

    def __init__(self) -> None:
        self.found = Survey()
        self.aliases: dict[str, str] = {}

    def _add(self, name: str, line: int) -> None:
        self.found.names.setdefault(name, []).append(line)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == "torch":
                self.aliases[alias.asname or "torch"] = alias.name if alias.asname else "torch"
                self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or (node.module or "").split(".")[0] != "torch":
            return
        for alias in node.names:
            if alias.name == "*":
                self._add(str(node.module), node.lineno)
                continue
            self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self._add(f"{node.module}.{alias.name}", node.lineno)

    def _chain(self, node: ast.expr) -> list[str] | None:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return None
        return [*self.aliases[node.id].split("."), *reversed(parts)]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = self._chain(node)
        if chain is not None:
            self._add(".".join(chain), node.lineno)
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and self._chain(node.func) is None:
            self.found.methods.setdefault(node.func.attr, []).append(node.lineno)
        self.generic_visit(node)

    def _function(self, node: Any) -> None:
        self.found.defined.add(getattr(node, "name", ""))
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        hidden = {a.arg for a in every if a is not None}
        outside = self.aliases
        self.aliases = {name: place for name, place in outside.items() if name not in hidden}
        inside = dict(self.aliases)
        self.generic_visit(node)
        imported = {name: place for name, place in self.aliases.items() if inside.get(name) != place}
        self.aliases = outside | imported  # an import inside a function is noticed by what follows: better than missed

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.found.defined.add(node.name)
        self.generic_visit(node)


def survey(source: str, file: str = "<string>") -> Survey:
    """What a program's source says."""
    reader = _Reader()
    reader.visit(ast.parse(source, file))
    return reader.found


def look_up(name: str) -> Any:
    """tessel's object of PyTorch's name. Raises LookupError with the part that is missing and advice."""
    parts = name.split(".")[1:]
    place: Any = importlib.import_module("tessel")
    path = "tessel"
    for part in parts:
        try:
            place = getattr(place, part)
        except ImportError:
            return None  # there, but for a library that is not installed
        except AttributeError as error:
            try:
                place = importlib.import_module(f"{path}.{part}")
            except ModuleNotFoundError:
                missing = f"{path}.{part}".replace("tessel", "torch", 1)
                if isinstance(error, _names.AbsentName):
                    advice = _names.counsel(path, part, dir(sys.modules.get(path) or place))
                elif isinstance(place, type) and part in _names.torch_names(f"torch.{place.__name__}"):
                    advice = ": PyTorch has it, tessel does not yet"
                else:
                    near = _names.nearest(part, dir(place))
                    advice = f"; nearest: {near!r}" if near else ""
                raise LookupError(missing, advice) from None
            except ImportError:
                return None
        path += f".{part}"
    return place


# What values other than tensors have too, so that a call says nothing about tensors.
_KINDS: tuple[type[Any], ...] = (
    str,
    bytes,
    int,
    float,
    list,
    dict,
    set,
    tuple,
    Path,
    io.TextIOWrapper,
    types.GeneratorType,
)
_OTHERS = {name for kind in _KINDS for name in dir(kind)}


def _missing_methods(found: Survey) -> Iterator[tuple[str, list[int]]]:
    from ._C import Tensor

    known = _names.torch_names("torch.Tensor")
    for name, lines in found.methods.items():
        if name in known and not hasattr(Tensor, name) and name not in _OTHERS and name not in found.defined:
            yield name, lines


def _lines(lines: list[int]) -> str:
    distinct = sorted(set(lines))
    shown = ", ".join(map(str, distinct[:6])) + (", ..." if len(distinct) > 6 else "")
    return f"line{'s' if len(distinct) > 1 else ''} {shown}"


def check(paths: list[str]) -> int:
    """Prints how many of PyTorch's names each file uses and which are missing. 1 if any are, 2 if one is unreadable."""
    files = [f for p in map(Path, paths) for f in (sorted(p.rglob("*.py")) if p.is_dir() else [p])]
    status = 0
    for file in files:
        try:
            found = survey(file.read_text(), str(file))
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            print(f"{file}: cannot be read: {error}")
            status = 2
            continue
        if not found.names:
            continue
        missing: dict[str, tuple[str, list[int]]] = {}
        for name, lines in found.names.items():
            try:
                look_up(name)
            except LookupError as error:
                absent, advice = error.args
                missing.setdefault(absent, (advice, []))[1].extend(lines)
        methods = list(_missing_methods(found))
        print(f"{file}: {len(found.names)} names of PyTorch's, {len(missing)} missing")
        for name, (advice, lines) in sorted(missing.items()):
            print(f"  {name} ({_lines(lines)}){advice}")
        for name, lines in sorted(methods):
            print(f"  x.{name}() ({_lines(lines)}): PyTorch's tensors have it, tessel's do not yet")
        status = max(status, 1 if missing or methods else 0)
    return status
