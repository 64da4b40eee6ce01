"""jit under PyTorch's names: programs run eagerly, and what would be scripted or traced comes back as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from . import _names
from .nn.module import Module

__all__ = [
    "Attribute",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "TracerWarning",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_T = TypeVar("_T")
_is = isinstance

from typing import Final  # noqa: E402 - a name of this module in PyTorch

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

# A function that was scripted is a function, a module that was scripted a module.
ScriptFunction = Callable[..., Any]
ScriptModule = Module
RecursiveScriptModule = Module


class TracerWarning(Warning):
    """What a tracer would warn with; nothing is traced."""


def script(obj: _T, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> _T:
    """The function, class or module itself."""
    if not callable(obj):
        raise RuntimeError(f"script: expected a module, a class or a function, got {type(obj).__name__}")
    return obj


def trace(func: _T, example_inputs: Any = None, *args: Any, example_kwarg_inputs: Any = None, **kwargs: Any) -> _T:
    """The function or module itself, called once with the example inputs, so that lazy layers have their shapes."""
    if not callable(func):
        raise RuntimeError(f"trace: expected a module or a function, got {type(func).__name__}")
    inputs = (
        example_inputs if _is(example_inputs, (tuple, list)) else () if example_inputs is None else (example_inputs,)
    )
    if inputs or example_kwarg_inputs:
        from .autograd.grad_mode import no_grad

        with no_grad():
            func(*inputs, **(example_kwarg_inputs or {}))
    return func


def trace_module(mod: Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Module:
    """The module itself."""
    return mod


def ignore(drop: Any = False, **_: Any) -> Any:
    """The function itself, also as a decorator with arguments."""
    return drop if callable(drop) else lambda function: function


def unused(fn: _T) -> _T:
    """The function itself."""
    return fn


def export(fn: _T) -> _T:
    """The function itself."""
    return fn


def interface(obj: _T) -> _T:
    """The class itself."""
    return obj


def script_method(fn: _T) -> _T:
    """The method itself."""
    return fn


def script_if_tracing(fn: _T) -> _T:
    """The function itself: nothing is traced."""
    return fn


def freeze(mod: _T, preserved_attrs: Any = None, optimize_numerics: bool = True) -> _T:
    """The module itself, which must be in evaluation mode."""
    if getattr(mod, "training", False):
        raise RuntimeError("freeze: the module is in training mode: call model.eval() first")
    return mod


def optimize_for_inference(mod: _T, other_methods: Any = None) -> _T:
    """The module itself."""
    return mod


def is_scripting() -> bool:
    """False: programs run eagerly."""
    return False


def is_tracing() -> bool:
    """False: programs run eagerly."""
    return False


def annotate(the_type: Any, the_value: _T) -> _T:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:  # noqa: A001 - PyTorch's name
    """Python's isinstance, for parametrised types by what they are of."""
    import typing

    return _is(obj, typing.get_origin(target_type) or target_type)


class Attribute:
    """A value and its type."""

    def __init__(self, value: Any, type: Any) -> None:
        self.value, self.type = value, type


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result, computed at once; `wait` gives it."""
    return func(*args, **kwargs)


def wait(future: _T) -> _T:
    """What `fork` computed."""
    return future


class optimized_execution:  # noqa: N801
    """A context that changes nothing."""

    def __init__(self, should_optimize: bool = True) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Accepted; nothing is fused at run time."""
    return []


def save(m: Any, f: Any, _extra_files: Any = None) -> NoReturn:
    """Raises: a scripted program cannot be kept without its Python source."""
    raise NotImplementedError(
        "jit.save: TorchScript programs are not written; tessel.save(model.state_dict(), file) keeps the weights"
    )


def load(f: Any, map_location: Any = None, _extra_files: Any = None) -> NoReturn:
    """Raises: a scripted program cannot be run without TorchScript."""
    raise NotImplementedError(
        "jit.load: TorchScript programs are not read; build the model in Python and load its state_dict (tessel.load)"
    )
