"""compile and what belongs to it. Nothing is compiled at run time: functions and modules come back as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import _names

_T = TypeVar("_T", bound=Callable[..., Any])

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


@overload
def compile(
    model: _T,
    *,
    fullgraph: bool = ...,
    dynamic: bool | None = ...,
    backend: str | Callable[..., Any] = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> _T: ...
@overload
def compile(
    model: None = ...,
    *,
    fullgraph: bool = ...,
    dynamic: bool | None = ...,
    backend: str | Callable[..., Any] = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> Callable[[_T], _T]: ...
def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """The function or module itself, also as a decorator: the kernels are compiled already, and no call waits for it.

    A state_dict keeps its keys: there is no wrapper, hence no `_orig_mod.` before them.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "compile: either mode or options can be specified, but both can't be specified at the same time"
        )
    if model is None:
        return lambda function: compile(
            function,
            fullgraph=fullgraph,
            dynamic=dynamic,
            backend=backend,
            mode=mode,
            options=options,
            disable=disable,
        )
    if not callable(model):
        raise RuntimeError(f"compile: expected a callable, got {type(model).__name__}")
    return model


def _itself(fn: Any = None, *args: Any, **kwargs: Any) -> Any:
    return fn if fn is not None else lambda function: function


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself, also as a decorator."""
    return _itself(fn)


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


def assume_constant_result(fn: Any) -> Any:
    """The function itself."""
    return fn


def is_compiling() -> bool:
    """False: nothing is compiled at run time."""
    return False


def is_dynamo_compiling() -> bool:
    """False: nothing is compiled at run time."""
    return False


def is_exporting() -> bool:
    """False: nothing is exported."""
    return False


def reset() -> None:
    """Forgets what was compiled, which is nothing."""


def list_backends(exclude_tags: tuple[str, ...] = ("debug", "experimental")) -> list[str]:
    """No backend: nothing is compiled at run time."""
    return []


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark: there are no captured graphs."""


class set_stance:  # noqa: N801
    """Accepted, also as a context or a decorator; every stance is eager."""

    def __init__(self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None):
        self.stance = stance

    def __call__(self, fn: _T) -> _T:
        return fn

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
