"""Switches that hold for the whole process, and small questions about types; PyTorch has them at its top level."""

from __future__ import annotations

import builtins
from typing import Any

from . import _C, _legacy
from ._C import Tensor

# Kernels are deterministic whatever is asked for; what was asked for is remembered.
_deterministic = {"enabled": False, "warn_only": False}
_PRECISIONS = ("highest", "high", "medium")
_warn_always = False


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: every kernel is deterministic, at any number of threads, in either mode."""
    _deterministic.update(enabled=bool(mode), warn_only=bool(warn_only))


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was last called with."""
    return _deterministic["enabled"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What use_deterministic_algorithms was last called with."""
    return _deterministic["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or "default", 1 or "warn", 2 or "error": remembered; every kernel is deterministic."""
    modes = {"default": 0, "warn": 1, "error": 2, 0: 0, 1: 1, 2: 2}
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"set_deterministic_debug_mode: debug_mode must be str or int, but got {type(debug_mode)}")
    if debug_mode not in modes:
        raise RuntimeError(
            f"set_deterministic_debug_mode: expected 0, 1, 2, 'default', 'warn' or 'error', got {debug_mode!r}"
        )
    level = modes[debug_mode]
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error)."""
    return 0 if not _deterministic["enabled"] else 1 if _deterministic["warn_only"] else 2


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 are where a matrix unit multiplies bfloat16.

    "highest": as float32, by six products of the parts of a float; "high": by three; "medium": by one. Without such a
    unit all are computed in float32.
    """
    if precision not in _PRECISIONS:
        raise RuntimeError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _C._set_float32_precision(_PRECISIONS.index(precision))


def get_float32_matmul_precision() -> str:
    """What holds."""
    return _PRECISIONS[_C._float32_precision()]


def set_flush_denormal(mode: bool) -> bool:
    """False: the caller's floating point mode is left alone; kernels where denormals are slow flush them."""
    return False


def set_num_interop_threads(num: int) -> None:
    """Accepted: operations run one after the other, each on all threads (set_num_threads)."""
    if num <= 0:
        raise RuntimeError(f"set_num_interop_threads: expected a positive number of threads, got {num}")


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


def set_warn_always(b: bool) -> None:
    """Remembered; tessel warns through Python's warnings, whose filters decide."""
    global _warn_always
    _warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """What set_warn_always was last called with."""
    return _warn_always


def set_default_tensor_type(t: Any) -> None:
    """The default dtype, and for torch.cuda's types the default device, from a tensor type or its name."""
    name = t if isinstance(t, str) else f"{t.__module__}.{t.__name__}"
    *where, kind = name.split(".")
    dtype = _legacy.dtype_of(kind)
    if dtype is None or not dtype.is_floating_point:
        raise TypeError(
            f"set_default_tensor_type: only floating-point types are supported as the default type, got {name}"
        )
    _C.set_default_dtype(dtype)
    _C.set_default_device("cuda" if "cuda" in where else "cpu")


def typename(obj: Any, /) -> str:
    """The type's name: 'torch.FloatTensor' for tensors, else with its module."""
    if isinstance(obj, Tensor):
        return str(obj.type())
    kind = obj if isinstance(obj, type) or callable(obj) and hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None) or ""
    return kind.__qualname__ if module in ("", "builtins", "__builtin__") else f"{module}.{kind.__qualname__}"


def is_storage(obj: Any, /) -> bool:
    """Whether the object is a storage."""
    if isinstance(obj, _C.UntypedStorage):
        return True
    from ._storage import TypedStorage

    return isinstance(obj, TypedStorage)


def compiled_with_cxx11_abi() -> bool:
    """True."""
    return True


def is_vulkan_available() -> bool:
    """False: there is no such target."""
    return False


# checks


def _message(message: Any) -> str:
    if message is None:
        return "the condition is False"
    return str(message()) if callable(message) else str(message)


def _assert(condition: Any, message: str) -> None:
    """Raises AssertionError with the message unless the condition holds."""
    if not builtins.bool(condition):
        raise AssertionError(message)


def _check(cond: bool, message: Any = None) -> None:
    """Raises RuntimeError with what message() gives unless the condition holds."""
    _check_with(RuntimeError, cond, message)


def _check_with(error_type: type[Exception], cond: bool, message: Any) -> None:
    if not isinstance(cond, bool):
        raise TypeError(f"_check: cond must be a bool, but got {type(cond)}")
    if not cond:
        raise error_type(_message(message))


def _check_value(cond: bool, message: Any = None) -> None:
    """Raises ValueError unless the condition holds."""
    _check_with(ValueError, cond, message)


def _check_type(cond: bool, message: Any = None) -> None:
    """Raises TypeError unless the condition holds."""
    _check_with(TypeError, cond, message)


def _check_index(cond: bool, message: Any = None) -> None:
    """Raises IndexError unless the condition holds."""
    _check_with(IndexError, cond, message)


def _check_not_implemented(cond: bool, message: Any = None) -> None:
    """Raises NotImplementedError unless the condition holds."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(i: Any, message: Any = None, **_: Any) -> None:
    """Raises RuntimeError unless i can be a size."""
    _check(i >= 0, message)
