"""tessel under PyTorch's name: after install(), `import torch` and every `torch.x.y` give tessel's modules.

For programs that cannot be changed in one line. `python -m tessel script.py` installs it and runs them.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["install"]


class _Same(importlib.abc.Loader):
    """Gives the module that is there already, and leaves what it says of itself."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Metadata(importlib.metadata.Distribution):
    """What importlib.metadata says of torch: libraries ask for its version in this way."""

    def read_text(self, filename: str) -> str | None:
        from .version import torch

        if filename not in ("METADATA", "PKG-INFO"):
            return None
        return f"Metadata-Version: 2.1\nName: torch\nVersion: {torch}+tessel\n"

    def locate_file(self, path: Any) -> Any:
        return path


class _Finder(importlib.metadata.DistributionFinder):
    """Finds torch.x as tessel.x."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        own = fullname.replace("torch", "tessel", 1)
        try:
            module = importlib.import_module(own)
        except ModuleNotFoundError as missing:
            if missing.name is None or not own.startswith(missing.name):
                raise
            raise missing_module(fullname) from None
        return importlib.machinery.ModuleSpec(fullname, _Same(module), is_package=hasattr(module, "__path__"))

    def find_distributions(
        self,
        context: importlib.metadata.DistributionFinder.Context = importlib.metadata.DistributionFinder.Context(),  # noqa: B008
    ) -> Iterable[importlib.metadata.Distribution]:
        return [_Metadata()] if context.name == "torch" else []


def missing_module(name: str) -> ModuleNotFoundError:
    """The error for a module of PyTorch's that tessel lacks."""
    from ._names import counsel

    parent, _, last = name.rpartition(".")
    own = parent.replace("torch", "tessel", 1)
    known = dir(sys.modules[own]) if own in sys.modules else ()
    return ModuleNotFoundError(f"No module named {name!r}{counsel(own, last, known)}", name=name)


def install() -> None:
    """From here on `torch` is tessel, in this process and in those that multiprocessing spawns from it.

    Raises:
        RuntimeError: PyTorch itself has been imported already.
    """
    import tessel

    before = sys.modules.get("torch")
    if before is tessel:
        return
    if before is not None:
        raise RuntimeError("standin.install: PyTorch itself has been imported already; call install() before")
    tessel.__version__ = f"{tessel.version.torch}+tessel"
    sys.modules["torch"] = tessel
    sys.meta_path.insert(0, _Finder())
    for name in [name for name in sys.modules if name.startswith("tessel.")]:
        sys.modules[name.replace("tessel", "torch", 1)] = sys.modules[name]
    _install_in_children()


def _install_in_children() -> None:
    """Spawned interpreters begin with a line of Python; ours comes before it."""
    from multiprocessing import spawn

    command_of = spawn.get_command_line

    def get_command_line(**kwargs: Any) -> list[str]:
        command = command_of(**kwargs)
        if "-c" in command:
            at = command.index("-c") + 1
            command[at] = "from tessel.standin import install; install(); " + command[at]
        return command

    spawn.get_command_line = get_command_line
