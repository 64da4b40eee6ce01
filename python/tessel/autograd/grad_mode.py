"""The modes of recording: each a context manager and a decorator, as PyTorch's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .. import _C

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """Switches a mode on entering and restores it on leaving; may be used again and nested."""

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *error: object) -> None:
        raise NotImplementedError

    def clone(self) -> _Mode:
        return self.__class__()

    def __call__(self, function: F) -> F:
        if inspect.isclass(function):
            raise TypeError(f"{type(self).__name__}: decorate functions and methods, not the class {function.__name__}")
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]

    def _wrap_generator(self, function: F) -> F:
        # The mode holds while the generator's own code runs, not while its consumer does.
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            try:
                with self.clone():
                    value = next(generator)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        with self.clone():
                            generator.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 - handed on to the generator
                        with self.clone():
                            value = generator.throw(error)
                    else:
                        with self.clone():
                            value = generator.send(sent)
            except StopIteration as end:
                return end.value

        return inside  # type: ignore[return-value]


class _GradMode(_Mode):
    _enabled: bool

    def __enter__(self) -> None:
        self._before.append(_C.is_grad_enabled())
        _C._set_grad_enabled(self._enabled)

    def __exit__(self, *error: object) -> None:
        _C._set_grad_enabled(self._before.pop())


class no_grad(_GradMode):  # noqa: N801 - PyTorch's names
    """Nothing is recorded inside."""

    _enabled = False

    def __new__(cls, function: Any = None) -> Any:
        # `@no_grad` without brackets decorates at once.
        if function is None:
            return super().__new__(cls)
        mode = super().__new__(cls)
        mode.__init__()  # type: ignore[misc]  # Python does so only where the class itself is returned
        return mode(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__()


class enable_grad(no_grad):  # noqa: N801
    """Recording inside, also within no_grad."""

    _enabled = True


class set_grad_enabled(_GradMode):  # noqa: N801
    """Switches recording on or off: at once as a function, and until the end of the block as a context manager."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._enabled = bool(mode)
        self._outside = _C.is_grad_enabled()
        _C._set_grad_enabled(self._enabled)

    def __enter__(self) -> None:
        self._before.append(self._outside)
        _C._set_grad_enabled(self._enabled)

    def __call__(self, function: F) -> F:
        _C._set_grad_enabled(self._outside)  # as a decorator it acts inside the function only
        return super().__call__(function)

    def clone(self) -> set_grad_enabled:
        return self.__class__(self._enabled)


class inference_mode(_Mode):  # noqa: N801
    """Nothing is recorded, and tensors made inside have no version: cheaper than no_grad, but they
    can't be saved for backward later."""

    def __new__(cls, mode: Any = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = mode

    def __enter__(self) -> None:
        self._before += [_C.is_inference_mode_enabled(), _C.is_grad_enabled()]
        _C._set_inference_enabled(self._mode)
        _C._set_grad_enabled(not self._mode)

    def __exit__(self, *error: object) -> None:
        _C._set_grad_enabled(self._before.pop())
        _C._set_inference_enabled(self._before.pop())

    def clone(self) -> inference_mode:
        return self.__class__(self._mode)
