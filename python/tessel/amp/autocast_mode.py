"""autocast: a region in which every op computes in the precision it is good at.

Matrix products, convolutions, recurrent layers and attention take their floating arguments as bfloat16 or float16;
losses, norms of matrices, decompositions and other ops that lose digits take them as float32; stack and cat take them
as the widest among them; all others take what comes. The casts happen where the engine reads an op's arguments, in C++;
outside of such regions they cost nothing. float64 is never touched, nor are ops in place or with out=.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor

_OTHERS = ("xpu", "hpu", "mps", "mtia", "xla", "ipu", "maia", "privateuseone")  # devices that are nowhere here


def _which(device_type: Any) -> bool:
    """Whether it is CUDA's state that is meant, and not the CPU's."""
    if not isinstance(device_type, str):
        raise ValueError(f"autocast: device_type must be a str, not {type(device_type).__name__}")
    kind = device_type.partition(":")[0]
    if kind not in ("cpu", "cuda", *_OTHERS):
        raise RuntimeError(f"autocast: unknown device_type {device_type!r}; it may be 'cpu' or 'cuda'")
    return kind != "cpu"


def is_autocast_available(device_type: str) -> bool:
    """Whether there are such devices."""
    return not _which(device_type) or (device_type.startswith("cuda") and _C._cuda_available())


class autocast:  # noqa: N801 - used like a function, as a context and as a decorator
    """Inside, ops on tensors of a device take the precision that suits them; contexts may be nested.

    Args:
        device_type: "cpu" or "cuda".
        dtype: the low precision, bfloat16 or float16; by default bfloat16 on the CPU and float16 on CUDA.
        enabled: whether to do anything; False switches an outer autocast off.
        cache_enabled: whether a weight that several ops use is cast once, and kept until the outermost autocast ends.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        self.device = device_type
        self._cuda = _which(device_type)
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and not is_autocast_available(device_type):
            warnings.warn(f"autocast: there is no device {device_type!r}; it is disabled", UserWarning, stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (_C.bfloat16, _C.float16):
            warnings.warn(
                f"autocast: the low precision may be bfloat16 or float16, not {self.fast_dtype}; it is disabled",
                UserWarning,
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[Any] = []

    def __enter__(self) -> autocast:
        self._before.append((_C._autocast_state(self._cuda), _C._autocast_caches()))
        _C._set_autocast_state(self._cuda, self._enabled, self.fast_dtype)
        _C._set_autocast_caches(self._cache_enabled)
        _C._autocast_nesting(1)
        return self

    def __exit__(self, *exception: object) -> None:
        _C._autocast_nesting(-1)
        (enabled, dtype), caches = self._before.pop()
        _C._set_autocast_state(self._cuda, enabled, dtype)
        _C._set_autocast_caches(caches)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside


# ---- the state


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether this thread is inside an autocast for the device."""
    return _C._autocast_state(_which(device_type))[0]


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Switches it on or off; `set_autocast_enabled(enabled)` is for CUDA."""
    if enabled is None:
        device_type, enabled = "cuda", bool(device_type)
    cuda = _which(device_type)
    _C._set_autocast_state(cuda, enabled, _C._autocast_state(cuda)[1])


def get_autocast_dtype(device_type: str) -> Any:
    """The low precision for the device."""
    return _C._autocast_state(_which(device_type))[1]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Changes the low precision for the device."""
    cuda = _which(device_type)
    _C._set_autocast_state(cuda, _C._autocast_state(cuda)[0], dtype)


def is_autocast_cpu_enabled() -> bool:
    """Whether this thread is inside an autocast for the CPU."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switches it on or off for the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Any:
    """The low precision for the CPU."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """Changes the low precision for the CPU."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Any:
    """The low precision for CUDA."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """Changes the low precision for CUDA."""
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether cast weights are kept."""
    return _C._autocast_caches()


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Says whether cast weights are kept."""
    _C._set_autocast_caches(enabled)


def clear_autocast_cache() -> None:
    """Forgets the cast weights."""
    _C._clear_autocast_cache()


def autocast_increment_nesting() -> int:
    """Goes one autocast further in; gives how many there are."""
    return _C._autocast_nesting(1)


def autocast_decrement_nesting() -> int:
    """Goes one autocast out; gives how many there are."""
    return _C._autocast_nesting(-1)


# ---- functions of one's own


def _cast(value: Any, device_type: str, dtype: Any) -> Any:
    if isinstance(value, Tensor):
        touched = value.is_floating_point() and value.device.type == device_type and value.dtype is not _C.float64
        return value.to(dtype) if touched else value
    if isinstance(value, dict):
        return {_cast(key, device_type, dtype): _cast(entry, device_type, dtype) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(entry, device_type, dtype) for entry in value)
    return value


def custom_fwd(fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Decorates the `forward` of an autograd.Function that autocast is to know of.

    Args:
        cast_inputs: a dtype to which floating arguments are cast inside an autocast; the forward then runs with
            autocast off. None leaves the arguments alone, and the forward runs in the autocast there is.
    """
    _which(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = get_autocast_dtype(device_type)
        inside = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = inside and cast_inputs is None
        if not inside or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorates the `backward` that belongs to a `custom_fwd`: it runs in the autocast in which the forward ran."""
    _which(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return backward
