"""assert_close: |actual - expected| <= atol + rtol |expected|, with the tolerances of the dtype.

The tolerances are PyTorch's: float16 1e-3, bfloat16 1.6e-2, float32 and complex64 1.3e-6, float64 and complex128 1e-7
relative; 1e-5 absolute, and 1e-7 for float64 and complex128. Everything else has to be equal.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import _C
from .._C import Tensor

__all__ = ["assert_allclose", "assert_close"]

_TOLERANCES = {
    _C.float16: (1e-3, 1e-5),
    _C.bfloat16: (1.6e-2, 1e-5),
    _C.float32: (1.3e-6, 1e-5),
    _C.float64: (1e-7, 1e-7),
    _C.complex64: (1.3e-6, 1e-5),
    _C.complex128: (1e-7, 1e-7),
}
_NUMBERS = (int, float, complex)
Message = str | Callable[[str], str] | None


class _Differ(Exception):
    """Two values differ: the kind of error, what to say, and where in the containers they stand."""

    def __init__(self, kind: type[Exception], text: str, at: tuple[Any, ...] = ()) -> None:
        super().__init__(text)
        self.kind, self.text, self.at = kind, text, at


class _Comparison:
    """What holds for every pair of one assert_close."""

    def __init__(self, rtol: float | None, atol: float | None, **checks: bool) -> None:
        if (rtol is None) != (atol is None):
            raise ValueError(
                f"assert_close: rtol and atol must both be given or both be left out, got rtol={rtol} and atol={atol}"
            )
        self.given = (rtol, atol)
        self.__dict__.update(checks)
        self.checks = checks

    def tolerances(self, *dtypes: _C.dtype) -> tuple[float, float]:
        if self.given[0] is not None and self.given[1] is not None:
            return self.given[0], self.given[1]
        found = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
        return max(r for r, _ in found), max(a for _, a in found)

    def compare(self, actual: Any, expected: Any, at: tuple[Any, ...] = ()) -> None:
        """Raises _Differ where something does."""
        text = isinstance(actual, str) or isinstance(expected, str)
        if isinstance(actual, Sequence) and isinstance(expected, Sequence) and not text:
            if len(actual) != len(expected):
                raise _Differ(
                    AssertionError, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", at
                )
            for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
                self.compare(a, b, (*at, i))
        elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
            if actual.keys() != expected.keys():
                less, more = (sorted(map(repr, x)) for x in (expected.keys() - actual, actual.keys() - expected))
                raise _Differ(
                    AssertionError,
                    "The keys of the mappings do not match:\n"
                    f"Missing keys in the actual mapping: [{', '.join(less)}]\n"
                    f"Additional keys in the actual mapping: [{', '.join(more)}]",
                    at,
                )
            for key in expected:
                self.compare(actual[key], expected[key], (*at, key))
        else:
            self.pair(actual, expected, at)

    def pair(self, actual: Any, expected: Any, at: tuple[Any, ...]) -> None:
        if actual is None or expected is None:
            if actual is not expected:
                raise _Differ(AssertionError, f"None mismatch: {actual} is not {expected}", at)
        elif isinstance(actual, bool) and isinstance(expected, bool):
            if actual != expected:
                raise _Differ(AssertionError, f"Booleans mismatch: {actual} is not {expected}", at)
        elif isinstance(actual, _NUMBERS) and isinstance(expected, _NUMBERS):
            self.numbers(actual, expected, at)
        else:
            related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
            if not related or (not self.checks["allow_subclasses"] and type(actual) is not type(expected)):
                raise _Differ(
                    TypeError, f"Cannot compare a {type(actual).__name__} with a {type(expected).__name__}", at
                )
            self.tensors(_as_tensor(actual, at), _as_tensor(expected, at), at)

    def numbers(self, actual: Any, expected: Any, at: tuple[Any, ...]) -> None:
        if self.checks["check_dtype"] and type(actual) is not type(expected):
            raise _Differ(AssertionError, f"The (d)types do not match: {type(actual)} != {type(expected)}", at)
        kinds = [
            _C.complex128 if isinstance(x, complex) else _C.float64 if isinstance(x, float) else _C.int64
            for x in (actual, expected)
        ]
        rtol, atol = self.tolerances(*kinds)
        both_nan = cmath.isnan(actual) and cmath.isnan(expected)
        if actual == expected or (both_nan and self.checks["equal_nan"]):
            return
        difference = abs(actual - expected)
        if math.isfinite(difference) and difference <= atol + rtol * abs(expected):
            return
        relative = difference / abs(expected) if expected else math.inf
        raise _Differ(
            AssertionError,
            f"Scalars are not {'equal' if rtol == atol == 0 else 'close'}!\n\n"
            f"Expected {expected} but got {actual}.\n"
            f"Absolute difference: {difference}{_allowed(atol)}\n"
            f"Relative difference: {relative}{_allowed(rtol)}",
            at,
        )

    def tensors(self, actual: Tensor, expected: Tensor, at: tuple[Any, ...]) -> None:
        def same(what: str, a: Any, b: Any) -> None:
            if a != b:
                raise _Differ(AssertionError, f"The values for attribute '{what}' do not match: {a} != {b}.", at)

        same("shape", actual.shape, expected.shape)
        if self.checks["check_device"]:
            same("device", actual.device, expected.device)
        if self.checks["check_dtype"]:
            same("dtype", actual.dtype, expected.dtype)
        if self.checks["check_stride"]:
            same("stride()", actual.stride(), expected.stride())
        actual, expected = actual.detach().cpu(), expected.detach().cpu()
        rtol, atol = self.tolerances(actual.dtype, expected.dtype)
        if actual.dtype != expected.dtype:
            wide = _C.promote_types(actual.dtype, expected.dtype)
            actual, expected = actual.to(wide), expected.to(wide)
        near = _C.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=self.checks["equal_nan"])
        if not near.all():
            raise _Differ(AssertionError, _tensor_message(actual, expected, near, rtol, atol), at)


def _allowed(tolerance: float) -> str:
    return f" (up to {tolerance} allowed)" if tolerance else ""


def _as_tensor(x: Any, at: tuple[Any, ...]) -> Tensor:
    if isinstance(x, Tensor):
        return x
    try:
        return _C.as_tensor(x)
    except Exception as error:
        raise _Differ(TypeError, f"No tensor can be made of a {type(x).__name__}: {error}", at) from None


def _tensor_message(actual: Tensor, expected: Tensor, near: Tensor, rtol: float, atol: float) -> str:
    """How many elements differ, and where the absolute and the relative difference are greatest."""
    n, far = near.numel(), int((~near).sum())
    wide = _C.complex128 if actual.dtype.is_complex else _C.float64 if actual.dtype.is_floating_point else _C.int64
    a, b = actual.to(wide), expected.to(wide)
    absolute = (a - b).abs()
    relative = absolute / b.abs()
    head = f"Tensor-likes are not {'equal' if rtol == atol == 0 else 'close'}!"
    if not near.dim():
        return (
            f"{head.replace('Tensor-likes', 'Scalars')}\n\nExpected {expected.item()} but got {actual.item()}.\n"
            f"Absolute difference: {absolute.item()}{_allowed(atol)}\n"
            f"Relative difference: {relative.item()}{_allowed(rtol)}"
        )

    def greatest(difference: Tensor) -> tuple[Any, tuple[int, ...]]:
        flat = difference.masked_fill(near, 0).reshape(-1)
        at = int(flat.argmax())
        value, index = flat[at].item(), []
        for size in reversed(near.shape):
            at, rest = divmod(at, size)
            index.append(rest)
        return value, tuple(reversed(index))

    (most, where), (ratio, there) = greatest(absolute), greatest(relative)
    return (
        f"{head}\n\nMismatched elements: {far} / {n} ({100 * far / n:.1f}%)\n"
        f"Greatest absolute difference: {most} at index {where}{_allowed(atol)}\n"
        f"Greatest relative difference: {ratio} at index {there}{_allowed(rtol)}"
    )


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Raises AssertionError unless the two are close: tensors, numbers, arrays, and containers of them.

    Args:
        rtol, atol: both or neither; by default those of the dtype, the larger where two dtypes are compared.
        equal_nan: NaN equals NaN.
        check_device, check_dtype, check_stride: these have to be equal too.
        msg: the message to raise, or a function of the one there would be.
    """
    comparison = _Comparison(
        rtol,
        atol,
        allow_subclasses=allow_subclasses,
        equal_nan=equal_nan,
        check_device=check_device,
        check_dtype=check_dtype,
        check_stride=check_stride,
    )
    try:
        comparison.compare(actual, expected)
        return
    except _Differ as found:
        text = found.text
        if found.at:
            text += "\n\nThe failure occurred for item " + "".join(f"[{place!r}]" for place in found.at)
        kind = found.kind
    raise kind(text if msg is None else msg(text) if callable(msg) else msg)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """assert_close under its old name, which did not look at dtypes, devices or strides."""
    a = actual if isinstance(actual, Tensor) else _C.tensor(actual)
    b = expected if isinstance(expected, Tensor) else _C.tensor(expected, dtype=a.dtype)
    if rtol is None and atol is None:
        rtol, atol = _Comparison(None, None).tolerances(a.dtype, b.dtype)
    assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, msg=msg or None)
