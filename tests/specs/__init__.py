"""What every op promises, one line per case. test_ops.py, test_house.py and benchmarks/ops.py read these rooms.

A spec never imports the engine: it speaks to the package it is handed, so the same lines run against PyTorch.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

FLOATS = ("float32", "float64", "bfloat16", "float16")
INTS = ("int64", "int32", "int16", "int8", "uint8")
NUMBERS = FLOATS + INTS
ALL = NUMBERS + ("bool",)
DISCRETE = INTS + ("bool",)
LAYOUTS = ("transposed", "stepped", "expanded")

# rtol and atol of a result against its float64 reference
TOLERANCE = {"float64": (1e-10, 1e-10), "float32": (4e-6, 4e-6), "float16": (2e-3, 2e-3), "bfloat16": (1.6e-2, 1.6e-2)}


@dataclass(frozen=True)
class Input:
    """A tensor to be: its shape and where its values lie. It takes the dtype under test unless it has its own."""

    shape: tuple[int, ...]
    low: float = -3.0
    high: float = 3.0
    gap: float = 0.0  # no value lies within gap of zero
    distinct: bool = False  # all values differ, in every dtype
    values: Any = None  # given values instead of drawn ones
    dtype: str | None = None
    differentiable: bool = True

    def make(self, generator: np.random.Generator, dtype: str) -> np.ndarray:
        """The values as numpy has them: float64 holding only numbers that dtype can hold, or the integer type."""
        dtype = self.dtype or dtype
        size = int(np.prod(self.shape))
        if self.values is not None:
            x = np.asarray(self.values)
        elif dtype == "bool":
            x = generator.integers(0, 2, self.shape)
        elif self.distinct:
            x = generator.permutation(size).reshape(self.shape)
            x = x if dtype in INTS else (x - size // 2) / 8
        elif dtype in INTS:
            low, high = int(np.ceil(self.low)), int(np.floor(self.high))
            x = generator.integers(max(low, 0) if dtype == "uint8" else low, high + 1, self.shape)
            x = np.where(x == 0, 1, x) if self.gap else x
        else:
            x = generator.uniform(self.low, self.high, self.shape)
            x = np.where(np.abs(x) < self.gap, x + np.copysign(self.gap, x), x)
        return held(x, dtype)

    @property
    def const(self) -> Input:
        """The same input, which nobody differentiates."""
        return replace(self, differentiable=False)


def rand(*shape, low=-3.0, high=3.0):
    return Input(shape, low, high)


def positive(*shape, low=0.5, high=3.0):
    return Input(shape, low, high)


def unit(*shape):
    return Input(shape, -0.9, 0.9)


def nonzero(*shape):
    return Input(shape, gap=0.5)


def distinct(*shape):
    return Input(shape, distinct=True)


def ints(*shape, low=0, high=3):
    """Integers in [low, high): indices and class numbers."""
    return Input(shape, low, high - 1, dtype="int64", differentiable=False)


def mask(*shape):
    return Input(shape, dtype="bool", differentiable=False)


def given(values, dtype=None):
    values = np.asarray(values)
    return Input(values.shape, values=values, dtype=dtype, differentiable=dtype is None)


@dataclass(frozen=True)
class Dtype:
    """A dtype as an argument of a case."""

    name: str


@dataclass(frozen=True)
class Case:
    args: tuple
    kwargs: dict = field(default_factory=dict)
    only: tuple[str, ...] | None = None

    def of(self, dtypes) -> Case:
        """The same case, for these dtypes only."""
        return replace(self, only=tuple(dtypes))

    def suits(self, dtype: str) -> bool:
        """Whether that dtype can hold the case's given values and plain numbers."""
        if dtype in FLOATS or self.only is not None:
            return self.only is None or dtype in self.only
        numbers = found(self.arguments, float) + [v for i in self.inputs if i.dtype is None for v in np.ravel(i.values)]
        numbers = [v for v in numbers if v is not None]
        return all(np.isfinite(v) and v == int(v) and 0 <= v < 100 for v in numbers)

    def arrays(self, dtype: str, layout: str = "contiguous") -> tuple[list, dict]:
        """The arguments with numpy arrays for inputs; the same case always draws the same values."""
        generator = np.random.default_rng(zlib.crc32(repr(self).encode()))

        def made(x):
            if isinstance(x, Dtype):
                return x.name
            a = x.make(generator, dtype)
            return np.broadcast_to(a[:1], a.shape) if layout == "expanded" and a.ndim and len(a) else a

        return replaced(self.arguments, (Input, Dtype), made)

    def tensors(self, torch, dtype: str, layout: str = "contiguous") -> tuple[list, dict]:
        """The arguments with tensors for inputs, lying in memory as layout says."""
        arrays = iter(found(self.arrays(dtype, layout), np.ndarray))

        def made(x):
            if isinstance(x, Dtype):
                return getattr(torch, x.name)
            return placed(torch, next(arrays), x.dtype or dtype, layout)

        return replaced(self.arguments, (Input, Dtype), made)

    @property
    def arguments(self) -> tuple[list, dict]:
        return list(self.args), self.kwargs

    @property
    def inputs(self) -> list[Input]:
        return found(self.arguments, Input)

    def __str__(self):
        shown = replaced(self.arguments, Input, Shown)
        return ", ".join([repr(a) for a in shown[0]] + [f"{k}={v!r}" for k, v in shown[1].items()])


class Shown:
    def __init__(self, x: Input):
        self.text = f"{x.dtype or ''}{list(x.shape)}"

    def __repr__(self):
        return self.text


def case(*args, **kwargs) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True)
class Error:
    """A wrong call: what it raises and what its message says after the op's name."""

    raises: type[Exception]
    match: str
    case: Case


def error(raises, match, *args, **kwargs) -> Error:
    return Error(raises, match, Case(args, kwargs))


@dataclass(frozen=True)
class Spec:
    name: str  # below the package: "softmax", "nn.functional.conv2d"; else a method of Tensor
    reference: Callable | None  # the arguments with float64 arrays in, arrays out; None: only shape and dtype are known
    cases: list[Case]
    call: Callable | None = None  # call(torch, *args, **kwargs), where it is not simply the function
    dtypes: tuple[str, ...] = FLOATS
    result: Any = "same"  # the result's dtype: same, float, sum, or a name; one for each output
    differentiable: bool = True
    twice: bool = True  # the gradient is differentiable too
    method: bool = True  # also x.name(...)
    inplace: bool = False  # also x.name_(...)
    out: bool = False  # also out=
    view: bool = False  # the result shares the input's memory
    layouts: tuple[str, ...] = LAYOUTS
    stochastic: bool = False
    errors: list[Error] = field(default_factory=list)
    large: Case | None = None  # big enough for several threads
    bench: list[Case] = field(default_factory=list)
    tolerance: dict = field(default_factory=dict)

    @property
    def short(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    def function(self, torch) -> Callable:
        if self.call is not None:
            return lambda *args, **kwargs: self.call(torch, *args, **kwargs)
        return resolved(torch, self.name)

    def expected_dtype(self, dtype: str, output: int) -> str | None:
        rule = self.result[output] if isinstance(self.result, tuple) else self.result
        if rule == "same":
            return dtype
        if rule == "float":
            return dtype if dtype in FLOATS else "float32"
        if rule == "sum":
            return dtype if dtype in FLOATS else "int64"
        return rule

    def close_enough(self, dtype: str) -> tuple[float, float]:
        """rtol and atol of a result of that dtype."""
        return self.tolerance.get(dtype, TOLERANCE.get(dtype, (0.0, 0.0)))


@cache
def rooms() -> dict[str, list[Spec]]:
    """Every room's specs, by the room's name."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").SPECS for name in names}


def every_spec() -> list[Spec]:
    return [spec for specs in rooms().values() for spec in specs]


def exists(torch, spec: Spec) -> bool:
    try:
        resolved(torch, spec.name)
    except AttributeError:
        return False
    return True


def resolved(torch, name: str) -> Callable:
    """The function of that dotted name below the package, else the method of Tensor."""
    try:
        at = torch
        for part in name.split("."):
            at = getattr(at, part)
        return at
    except AttributeError:
        return getattr(torch.Tensor, name)


def held(x, dtype: str) -> np.ndarray:
    """x with every value rounded to one that dtype holds; 16-bit and 32-bit floats come back as float64."""
    if dtype == "bfloat16":
        bits = np.asarray(x, np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return np.where(np.isnan(x), x, bits.astype(np.uint32).view(np.float32)).astype(np.float64)
    if dtype in FLOATS:
        return np.asarray(x).astype(dtype).astype(np.float64)
    return np.asarray(x).astype(dtype)


def placed(torch, a: np.ndarray, dtype: str, layout: str):
    """A tensor with a's values, lying in memory as layout says; what lies between is poison."""
    if layout == "transposed" and a.ndim >= 2:
        return tensor(torch, np.swapaxes(a, -1, -2), dtype).transpose(-1, -2)
    if layout == "stepped" and a.ndim >= 1:
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), np.nan if a.dtype.kind == "f" else 1, a.dtype)
        wide[..., 1::2] = a
        return tensor(torch, wide, dtype)[..., 1::2]
    if layout == "expanded" and a.ndim >= 1 and a.shape[0] > 0:
        return tensor(torch, a[:1], dtype).expand(a.shape)
    return tensor(torch, a, dtype)


def tensor(torch, a: np.ndarray, dtype: str):
    return torch.from_numpy(np.array(a, order="C")).to(getattr(torch, dtype))


def array(torch, t) -> np.ndarray:
    """The tensor's values as numpy has them; 16-bit floats as float64."""
    t = t.detach()
    return (t.to(torch.float64) if t.dtype in (torch.bfloat16, torch.float16) else t).numpy()


def replaced(value, kind, function):
    """value, with every instance of kind inside its lists, tuples and dicts replaced."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, (list, tuple)):
        return type(value)(replaced(v, kind, function) for v in value)
    if isinstance(value, dict):
        return {k: replaced(v, kind, function) for k, v in value.items()}
    return value


def found(value, kind) -> list:
    """Every instance of kind inside value, in the order of replaced."""
    instances = []
    replaced(value, kind, lambda v: instances.append(v) or v)
    return instances
