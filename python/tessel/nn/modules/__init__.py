"""Layers under the names of the files where PyTorch has them: nn.modules.batchnorm.BatchNorm2d is nn.BatchNorm2d."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

from ... import _names, nn
from ..module import Module as Module

# PyTorch's file -> tessel's, where it has another name
_ELSEWHERE = {"sparse": "embedding", "utils": "sizes"}
_ELSEWHERE |= dict.fromkeys(("channelshuffle", "fold", "pixelshuffle", "upsampling"), "images")
_FILES = """activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm lazy
    linear loss module normalization padding pixelshuffle pooling rnn sparse transformer unflatten upsampling utils"""


def __getattr__(name: str) -> Any:
    if not name.startswith("__"):
        found = getattr(nn, name, None)
        if found is not None:
            return found
    raise _names.AbsentName(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(nn)})


class _File(ModuleType):
    """A file of PyTorch's: what tessel's file of that name holds, and all of nn for what stands elsewhere."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{__name__}.{name}", f"nn.modules.{name}: layers that PyTorch has in this file.")
        own = f"tessel.nn.{_ELSEWHERE.get(name, name)}"
        self._own = importlib.import_module(own) if importlib.util.find_spec(own) else nn

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for place in (self._own, nn):
                if name in vars(place):
                    return vars(place)[name]
            if name == "_IncompatibleKeys" and self._own.__name__ == "tessel.nn.module":
                return importlib.import_module("tessel.nn.state").IncompatibleKeys
        raise _names.AbsentName(self.__name__, name)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self._own), *dir(nn)})


for _name in _FILES.split():
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _File(_name)
