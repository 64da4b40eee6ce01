"""The standard's functions, where PyTorch's differ: promotion of 0-dimensional arrays, names, defaults, dtypes."""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import _C
from .._C import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asarray",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "can_cast",
    "ceil",
    "clip",
    "concat",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "divide",
    "e",
    "empty",
    "empty_like",
    "equal",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "flip",
    "floor",
    "floor_divide",
    "from_dlpack",
    "full",
    "full_like",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "inf",
    "isdtype",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "meshgrid",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "nan",
    "negative",
    "newaxis",
    "nextafter",
    "nonzero",
    "not_equal",
    "ones",
    "ones_like",
    "permute_dims",
    "pi",
    "positive",
    "pow",
    "prod",
    "real",
    "reciprocal",
    "remainder",
    "repeat",
    "reshape",
    "result_type",
    "roll",
    "round",
    "searchsorted",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sort",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "tril",
    "triu",
    "trunc",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "var",
    "vecdot",
    "where",
    "zeros",
    "zeros_like",
]

_SIGNED = (_C.int8, _C.int16, _C.int32, _C.int64)
_UNSIGNED = (_C.uint8,)
_REAL = (_C.float32, _C.float64)
_COMPLEX = (_C.complex64, _C.complex128)
_KINDS = {
    "bool": (_C.bool,),
    "signed integer": _SIGNED,
    "unsigned integer": _UNSIGNED,
    "integral": _SIGNED + _UNSIGNED,
    "real floating": _REAL,
    "complex floating": _COMPLEX,
    "numeric": _SIGNED + _UNSIGNED + _REAL + _COMPLEX,
}
_NUMBERS = (builtins.bool, int, float, complex)


# ---- dtypes


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Whether dtype is of a kind ("bool", "signed integer", ..., "numeric"), is that dtype, or one of a tuple."""
    if isinstance(kind, tuple):
        return builtins.any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype: unrecognized data type kind: {kind!r}; there are {', '.join(_KINDS)}")
        return dtype in _KINDS[kind]
    return dtype == kind


def _promoted(dtypes: Sequence[Any]) -> Any:
    return functools.reduce(_C.promote_types, dtypes)


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype of an operation on these; 0-dimensional arrays count like all others, numbers yield."""
    dtypes, numbers = [], []
    for x in arrays_and_dtypes:
        if isinstance(x, Tensor):
            dtypes.append(x.dtype)
        elif isinstance(x, _NUMBERS):
            numbers.append(x)
        else:
            dtypes.append(x)
    if not dtypes:
        raise ValueError("result_type: at least one array or dtype is needed")
    found = _promoted(dtypes)
    return _C.result_type(_C.empty(1, dtype=found), builtins.sum(numbers)) if numbers else found


def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Whether the standard's promotion leads from one dtype to the other."""
    dtype = from_.dtype if isinstance(from_, Tensor) else from_
    try:
        return _promoted([dtype, to]) == to
    except (RuntimeError, TypeError):
        return False


def astype(x: Tensor, dtype: Any, /, *, copy: builtins.bool = True, device: Any = None) -> Tensor:
    return x.to(x.device if device is None else device, dtype, copy=copy)


def _together(*xs: Any) -> list[Any]:
    """Arrays as their common dtype, so that 0-dimensional ones promote too; numbers as they are."""
    arrays = [x for x in xs if isinstance(x, Tensor)]
    if not builtins.any(x.dim() == 0 for x in arrays) or len({x.dtype for x in arrays}) < 2:
        return list(xs)
    dtype = _promoted([x.dtype for x in arrays])
    return [x.to(dtype) if isinstance(x, Tensor) else x for x in xs]


def _binary(name: str, function: Callable) -> Callable:
    def op(x1: Any, x2: Any, /) -> Any:
        a, b = _together(x1, x2)
        if not isinstance(a, Tensor):
            a = _C.tensor(a, dtype=result_type(b, a), device=b.device)
        return function(a, b)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"The standard's {name}, of arrays and numbers."
    return op


def _unary(name: str, function: Callable) -> Callable:
    def op(x: Tensor, /) -> Tensor:
        return function(x)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"The standard's {name}."
    return op


add, subtract, multiply, divide, floor_divide, remainder, pow = (
    _binary(name, getattr(_C, torch))
    for name, torch in (
        ("add", "add"),
        ("subtract", "sub"),
        ("multiply", "mul"),
        ("divide", "div"),
        ("floor_divide", "floor_divide"),
        ("remainder", "remainder"),
        ("pow", "pow"),
    )
)
atan2, copysign, hypot, logaddexp, maximum, minimum, nextafter = (
    _binary(name, lambda a, b, name=name: getattr(_C, name)(a, _as_array(b, a)))  # type: ignore[misc]
    for name in "atan2 copysign hypot logaddexp maximum minimum nextafter".split()
)
bitwise_and, bitwise_or, bitwise_xor, bitwise_left_shift, bitwise_right_shift = (
    _binary(name, getattr(_C, name))
    for name in "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift".split()
)
logical_and, logical_or, logical_xor = (
    _binary(name, lambda a, b, name=name: getattr(_C, name)(a, _as_array(b, a)))  # type: ignore[misc]
    for name in "logical_and logical_or logical_xor".split()
)
equal, not_equal, less, less_equal, greater, greater_equal = (
    _binary(name, getattr(_C, torch))
    for name, torch in (
        ("equal", "eq"),
        ("not_equal", "ne"),
        ("less", "lt"),
        ("less_equal", "le"),
        ("greater", "gt"),
        ("greater_equal", "ge"),
    )
)


def _as_array(x: Any, like: Tensor) -> Tensor:
    return x if isinstance(x, Tensor) else _C.tensor(x, dtype=result_type(like, x), device=like.device)


def _whole(function: Callable) -> Callable:
    """Of integers: themselves."""
    return lambda x: x.clone() if isdtype(x.dtype, "integral") else function(x)


(
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    cos,
    cosh,
    exp,
    expm1,
    log,
    log10,
    log1p,
    log2,
    reciprocal,
    sin,
    sinh,
    sqrt,
    tan,
) = (
    _unary(name, getattr(_C, name))
    for name in """acos acosh asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 reciprocal sin sinh sqrt
    tan""".split()
)
tanh, square, negative, positive, isfinite, isinf, isnan, logical_not, signbit, bitwise_invert = (
    _unary(name, getattr(_C, torch, None) or getattr(Tensor, torch))
    for name, torch in (
        ("tanh", "tanh"),
        ("square", "square"),
        ("negative", "neg"),
        ("positive", "positive"),
        ("isfinite", "isfinite"),
        ("isinf", "isinf"),
        ("isnan", "isnan"),
        ("logical_not", "logical_not"),
        ("signbit", "signbit"),
        ("bitwise_invert", "bitwise_not"),
    )
)
ceil, floor, trunc, round = (_unary(name, _whole(getattr(_C, name))) for name in "ceil floor trunc round".split())
abs = _unary("abs", _C.abs)
real = _unary("real", lambda x: x.real if x.dtype.is_complex else x)
imag = _unary("imag", lambda x: x.imag)
conj = _unary("conj", lambda x: x.conj() if x.dtype.is_complex else x)
sign = _unary("sign", lambda x: _C.sgn(x) if x.dtype.is_complex else _C.sign(x))  # type: ignore[attr-defined]


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """x between min and max, which are numbers or arrays; the dtype stays x's."""
    dtype = x.dtype
    for bound, choose in ((min, _C.maximum), (max, _C.minimum)):
        if bound is not None:
            edge = bound.to(dtype) if isinstance(bound, Tensor) else _C.tensor(bound, dtype=dtype, device=x.device)
            x = choose(x, edge)
    return x.clone() if min is None and max is None else x


# ---- reductions


def _axes(x: Tensor, axis: Any) -> tuple[int, ...]:
    given = tuple(range(x.dim())) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    for a in given:
        if not -x.dim() <= a < x.dim():
            raise IndexError(f"axis {a} is out of range for an array of {x.dim()} dimensions")
    return tuple(a % x.dim() for a in given)


def _default_sum(x: Tensor, dtype: Any) -> Any:
    return dtype if dtype is not None else _C.int64 if isdtype(x.dtype, ("bool", "integral")) else x.dtype


def sum(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Tensor:
    dtype = _default_sum(x, dtype)
    axes = _axes(x, axis)
    return _C.sum(x, axes, keepdims, dtype=dtype) if axes else x.to(dtype, copy=True)


def prod(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Tensor:
    x = x.to(_default_sum(x, dtype), copy=True)
    for a in sorted(_axes(x, axis), reverse=True):
        x = _C.prod(x, a, keepdims)
    return x


def _over(name: str, function: Callable) -> Callable:
    def op(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
        axes = _axes(x, axis)
        return function(x, axes, keepdims) if axes else function(x.unsqueeze(0), (0,), False)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"The standard's {name}; axis may be a tuple."
    return op


mean = _over("mean", _C.mean)
max = _over("max", _C.amax)
min = _over("min", _C.amin)
all = _over("all", lambda x, axes, keepdims: _C.all(x.to(_C.bool), axes, keepdims))
any = _over("any", lambda x, axes, keepdims: _C.any(x.to(_C.bool), axes, keepdims))


def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    axes = _axes(x, axis)
    return _C.var(x, axes, correction=correction, keepdim=keepdims) if axes else _C.zeros_like(x)


def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    return var(x, axis=axis, correction=correction, keepdims=keepdims).sqrt()


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return sum(x != 0, axis=axis, keepdims=keepdims)


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    return _first(_C.argmax, x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    return _first(_C.argmin, x, axis, keepdims)


def _first(function: Callable, x: Tensor, axis: int | None, keepdims: builtins.bool) -> Tensor:
    found = function(x, axis, keepdims) if axis is not None else function(x)
    return found.reshape((1,) * x.dim()) if keepdims and axis is None else found


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False
) -> Tensor:
    return _running("cumulative_sum", _C.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False
) -> Tensor:
    return _running("cumulative_prod", _C.cumprod, 1, x, axis, dtype, include_initial)


def _running(
    name: str, function: Callable, start: int, x: Tensor, axis: int | None, dtype: Any, include: builtins.bool
) -> Tensor:
    if axis is None:
        if x.dim() > 1:
            raise ValueError(f"{name}: axis must be given for arrays of more than one dimension")
        axis = 0
        x = x.reshape(-1)
    y = function(x, axis, dtype=_default_sum(x, dtype))
    if not include:
        return y
    shape = list(y.shape)
    shape[axis] = 1
    return _C.cat([_C.full(shape, start, dtype=y.dtype, device=y.device), y], axis)


def diff(x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    return _C.diff(x, n, axis, prepend, append)


# ---- creation


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    """An array of numbers, nested sequences, buffers or arrays; copy=False raises where memory can't be shared."""
    if copy is False:
        if not isinstance(obj, Tensor):
            raise ValueError("asarray: copy=False shares memory with arrays only")
        if dtype not in (None, obj.dtype):
            raise ValueError(f"asarray: copy=False can't change {obj.dtype} into {dtype}")
        return obj
    if isinstance(obj, Tensor):
        return obj.to(obj.device if device is None else device, dtype or obj.dtype, copy=builtins.bool(copy))
    if copy:
        return _C.tensor(obj, dtype=dtype, device=device)
    return _C.as_tensor(obj, dtype=dtype, device=device)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    if stop is None:
        start, stop = 0, start
    if step > 0 and stop <= start or step < 0 and stop >= start:
        whole = builtins.all(isinstance(v, int) for v in (start, stop, step))
        return _C.empty(0, dtype=dtype or (_C.int64 if whole else _C.get_default_dtype()), device=device)
    return _C.arange(start, stop, step, dtype=dtype, device=device)


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.empty(_shape(shape), dtype=dtype, device=device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.zeros(_shape(shape), dtype=dtype, device=device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.ones(_shape(shape), dtype=dtype, device=device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.full(_shape(shape), fill_value, dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.empty_like(x, dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.zeros_like(x, dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.ones_like(x, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    return _C.full_like(x, fill_value, dtype=dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    columns = n_rows if n_cols is None else n_cols
    dtype = _C.get_default_dtype() if dtype is None else dtype
    found = _C.zeros((n_rows, columns), dtype=dtype, device=device)
    if -n_rows < k < columns:
        found.diagonal(k).fill_(1)
    return found


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: builtins.bool = True
) -> Tensor:
    if isinstance(start, complex) or isinstance(stop, complex) or (dtype is not None and dtype.is_complex):
        kind = dtype or (_C.complex128 if _C.get_default_dtype() == _C.float64 else _C.complex64)
        steps = linspace(0.0, 1.0, num, dtype=kind.to_real(), device=device, endpoint=endpoint)
        return start + (stop - start) * steps.to(kind)
    found = _C.linspace(start, stop, num if endpoint else num + 1, dtype=dtype, device=device)
    return found if endpoint else found[:-1]


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    return tuple(_C.meshgrid(*_together(*arrays), indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    return _C.tril(x, k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    return _C.triu(x, k)


def from_dlpack(x: Any, /, *, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    found = _C.from_dlpack(x)
    if device is not None and _C.device(device) != found.device:
        if copy is False:
            raise ValueError(f"from_dlpack: copy=False can't bring the array from {found.device} to {device}")
        found = found.to(device)
    return found.clone() if copy else found


# ---- form


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    return tuple(_C.broadcast_tensors(*arrays))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_C.broadcast_shapes(*shapes))


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    return x.expand(*shape) if shape else x.expand(())


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    arrays = _together(*arrays)
    if axis is None:
        return _C.cat([x.reshape(-1) for x in arrays])
    return _C.cat(list(arrays), axis)


def expand_dims(x: Tensor, /, axis: Any = 0) -> Tensor:
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    dims = x.dim() + len(axes)
    for a in axes:
        if not -dims <= a < dims:
            raise IndexError(f"expand_dims: axis {a} is out of range for a result of {dims} dimensions")
    if len({a % dims for a in axes}) < len(axes):
        raise ValueError(f"expand_dims: axis names a dimension twice: {axis}")
    for a in sorted(a % dims for a in axes):
        x = x.unsqueeze(a)
    return x


def flip(x: Tensor, /, *, axis: Any = None) -> Tensor:
    return _C.flip(x, _axes(x, axis))


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    return _C.movedim(x, source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    return x.permute(*axes) if axes else x


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    return _C.repeat_interleave(x, repeats, axis)


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: builtins.bool | None = None) -> Tensor:
    if copy is False:
        try:
            return x.view(shape)
        except RuntimeError as error:
            raise ValueError(f"reshape: copy=False, but {error}") from None
    return _C.reshape(x.clone() if copy else x, shape)


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    if axis is None:
        return _C.roll(x, shift)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    return _C.roll(x, shifts, axes)


def squeeze(x: Tensor, /, axis: Any) -> Tensor:
    axes = _axes(x, axis)
    for a in axes:
        if x.size(a) != 1:
            raise ValueError(f"squeeze: the dimension {a} has size {x.size(a)}, not 1")
    return x.squeeze(axes)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return _C.stack(_together(*arrays), axis)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    return _C.tile(x, repetitions)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    return tuple(x.unbind(axis))


# ---- searching, sorting, sets


def argsort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    return _C.sort(x, stable=stable, dim=axis, descending=descending)[1]


def sort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    return _C.sort(x, stable=stable, dim=axis, descending=descending)[0]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    if x.dim() == 0:
        raise ValueError("nonzero: the array must have at least one dimension")
    return tuple(_C.nonzero(x, as_tuple=True))


def searchsorted(x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    return _C.searchsorted(x1, x2, side=side, sorter=sorter)


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    a, b = _together(x1, x2)
    return _C.where(condition, a, b)


def isin(x1: Any, x2: Any, /, *, invert: builtins.bool = False) -> Tensor:
    return _C.isin(x1, x2, invert=invert)


class UniqueAll(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def _unique(x: Tensor) -> Any:
    return _C.unique(x, return_inverse=True, return_counts=True)


def unique_all(x: Tensor, /) -> UniqueAll:
    values, inverse, counts = _unique(x)
    places = inverse.reshape(-1).argsort(stable=True)  # by value; the first of each is where it is met first
    first = _C.cumsum(counts, 0) - counts
    return UniqueAll(values, places[first], inverse, counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    values, _, counts = _unique(x)
    return UniqueCounts(values, counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    values, inverse, _ = _unique(x)
    return UniqueInverse(values, inverse)


def unique_values(x: Tensor, /) -> Tensor:
    return _unique(x)[0]


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    if axis is None:
        if x.dim() != 1:
            raise ValueError("take: axis must be given for arrays of more than one dimension")
        axis = 0
    return x.index_select(axis, indices)


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    return _C.take_along_dim(x, indices, axis)


# ---- products


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    return _C.matmul(*_same_dtype(x1, x2))


def _same_dtype(*xs: Tensor) -> list[Tensor]:
    dtype = _promoted([x.dtype for x in xs])
    return [x.to(dtype) for x in xs]


def matrix_transpose(x: Tensor, /) -> Tensor:
    if x.dim() < 2:
        raise ValueError(f"matrix_transpose: the array must have at least two dimensions, got {x.dim()}")
    return x.transpose(-2, -1)


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    a, b = _same_dtype(x1, x2)
    return _C.tensordot(a, b, axes)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    a, b = _same_dtype(x1, x2)
    return _C._linalg.vecdot(a, b, dim=axis)


# ---- about


class _Info:
    """What there is: dtypes, devices, which of the standard's options hold."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 8}

    def default_device(self) -> Any:
        return _C.device("cpu")

    def devices(self) -> list[Any]:
        from .. import cuda

        return [_C.device("cpu"), *(_C.device("cuda", i) for i in range(cuda.device_count()))]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        real = _C.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": _C.complex128 if real == _C.float64 else _C.complex64,
            "integral": _C.int64,
            "indexing": _C.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        known = (_C.bool, *_KINDS["numeric"])
        return {str(d).removeprefix("tessel."): d for d in known if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> _Info:  # noqa: N807 - the standard's name
    return _Info()


e, inf, nan, pi = math.e, math.inf, math.nan, math.pi
newaxis = None
