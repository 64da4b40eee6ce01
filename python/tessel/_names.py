"""How a package answers for a name: it loads it at the first use, or says what stands nearest to it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

# What to do instead of names that will not come, or that come under another name.
_INSTEAD = {
    "torch.export": "run the module itself: there is no graph; tessel.save(model.state_dict(), file) keeps it",
    "torch.fx": "call the modules directly; hooks (register_forward_hook) see what passes through them",
    "torch.library": "autograd.Function makes an op of one's own, with its derivative",
    "torch.utils.cpp_extension": "autograd.Function makes an op of one's own, with its derivative",
    "torch.distributed.fsdp": "the model itself: one process holds all of it",
    "torch.distributed.tensor": "plain tensors: one process holds all of them",
    "torch.distributed._tensor": "plain tensors: one process holds all of them",
    "torch.distributed.checkpoint": "tessel.save and tessel.load",
    "torch.distributed.rpc": "multiprocessing",
    "torch.sparse": "dense tensors",
    "torch.ao": "dtype=torch.bfloat16, or torch.autocast",
    "torch.quantization": "dtype=torch.bfloat16, or torch.autocast",
    "torch._inductor": "nothing: the kernels are compiled already",
    "torch.sparse_coo_tensor": "a dense tensor, made with index_put_(..., accumulate=True)",
    "torch.Tensor.to_sparse": "the dense tensor",
    "torch.Tensor.coalesce": "the dense tensor",
    "torch.Tensor.dequantize": "the tensor itself: nothing is quantized",
}


def torch_names(where: str) -> frozenset[str]:
    """The public names of PyTorch's module or class `where` ("torch.nn"), in the version of the list."""
    global _known
    if _known is None:
        import pathlib

        text = pathlib.Path(__file__).with_name("_torch_names.txt").read_text()
        _known = {
            place: frozenset(names.split())
            for place, _, names in (line.partition(": ") for line in text.splitlines() if not line.startswith("#"))
        }
    return _known.get(where, frozenset())


_known: dict[str, frozenset[str]] | None = None


def instead_of(name: str) -> str | None:
    """What to use for PyTorch's `name` ("torch.fx.Graph"), where there is something to say."""
    while name:
        if name in _INSTEAD:
            return _INSTEAD[name]
        name = name.rpartition(".")[0]
    return None


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant: one that differs in capitals alone, else the most like it."""
    import difflib

    known = [n for n in names if n != name and (not n.startswith("_") or name.startswith("_"))]
    same = [n for n in known if n.lower().strip("_") == name.lower().strip("_")]
    found = same or difflib.get_close_matches(name, known, 1)
    return found[0] if found else None


# Where a name may stand that was looked for in the wrong place.
_PLACES = ("", "nn", "nn.functional", "linalg", "special", "fft", "optim", "utils.data", "autograd", "nn.utils")


def _elsewhere(where: str, name: str) -> str | None:
    for place in _PLACES:
        module = f"tessel.{place}".rstrip(".")
        if module == where or name.startswith("_"):
            continue
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            continue
        if found is not None and not isinstance(found, ModuleType):
            return f"{module}.{name}"
    return None


def counsel(where: str, name: str, names: Iterable[str]) -> str:
    """What can be said of an absent name of tessel's module or class `where`: "; nearest: 'Fold'"."""
    torch_name = where.replace("tessel", "torch", 1)
    instead = instead_of(f"{torch_name}.{name}")
    near = nearest(name, names)
    place = _elsewhere(where, name)
    advice = (
        f"; instead: {instead}" if instead else f"; it is {place}" if place else f"; nearest: {near!r}" if near else ""
    )
    return (": PyTorch has it, tessel does not yet" if name in torch_names(torch_name) and not place else "") + advice


class AbsentName(AttributeError):
    """A missing attribute of a module or of Tensor. Its text is made only if somebody reads it: hasattr() is cheap."""

    def __init__(self, where: str, name: str) -> None:
        super().__init__(where, name)
        self.where, self.absent = where, name

    def __str__(self) -> str:
        if self.where == "tessel.Tensor":
            from ._C import Tensor

            return f"'Tensor' object has no attribute {self.absent!r}{counsel(self.where, self.absent, dir(Tensor))}"
        module = sys.modules.get(self.where)
        names = dir(module) if module else ()
        return f"module {self.where!r} has no attribute {self.absent!r}{counsel(self.where, self.absent, names)}"


def absent(where: str) -> Callable[[str], Any]:
    """A module's __getattr__ for when all it has is there."""

    def no_attribute(name: str) -> Any:
        raise AbsentName(where, name)

    return no_attribute


def load(where: str, places: Mapping[str, str], name: str) -> Any:
    """The lazy name of a package: `places` says where it stands. A module that is not there is a missing name."""
    if name not in places:
        raise AbsentName(where, name)
    module, _, attribute = places[name].partition(":")
    module = f"{where}.{module}"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        raise AbsentName(where, name) from None
    value = getattr(found, attribute) if attribute else found
    setattr(sys.modules[where], name, value)
    return value


def names_there(where: str, places: Mapping[str, str]) -> list[str]:
    """What a package has and what it would load."""
    modules = {place.partition(":")[0] for place in places.values()}
    there = {module for module in modules if importlib.util.find_spec(f"{where}.{module}")}
    return sorted({*vars(sys.modules[where]), *(n for n, place in places.items() if place.partition(":")[0] in there)})


def lazily(
    where: str, names: Mapping[str, str] | Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's __getattr__ and __dir__, which load names when they are first used.

    `names` are those of submodules, or a mapping: name -> "module" for the module itself, "module:attribute" for what
    stands in it. Modules are named relative to the package.
    """
    places = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    return partial(load, where, places), partial(names_there, where, places)
