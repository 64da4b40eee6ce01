"""Modules made without drawing their parameters."""

from __future__ import annotations

import inspect
from typing import Any

from ..module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """module_cls(*args, **kwargs) whose own parameters hold whatever their memory held: for what is loaded at once.

    Raises:
        RuntimeError: module_cls is no Module, or takes no `device`.
    """
    if not isinstance(module_cls, type) or not issubclass(module_cls, Module):
        raise RuntimeError(f"skip_init: expected a Module's class; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init: {module_cls.__name__} must support a 'device' argument to skip initialization")
    quiet = type(module_cls.__name__, (module_cls,), {"reset_parameters": lambda self: None})
    module = quiet(*args, **kwargs)
    module.__class__ = module_cls
    return module
