"""_foreach_*: one operation over a list of tensors. Each tensor's turn is one native call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _C
from ._C import Tensor

_UNARY = """abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal
    round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"""
_BINARY = "add sub mul div pow maximum minimum clamp_min clamp_max lerp addcmul addcdiv copy"


def _turns(op: str, tensors: Sequence[Tensor], arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The arguments of each turn: a list gives one to each tensor, anything else goes to all."""
    rows: list[list[Any]] = []
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            if len(argument) != len(tensors):
                raise RuntimeError(f"{op}: the tensor lists have {len(tensors)} and {len(argument)} entries")
            rows.append(list(argument))
        else:
            rows.append([argument] * len(tensors))
    return list(zip(*rows, strict=True)) if rows else [()] * len(tensors)


def _of(name: str) -> Callable[..., Any]:
    in_place = name.endswith("_")
    method = name if hasattr(Tensor, name) else name.removesuffix("_")

    def foreach(self: Sequence[Tensor], *arguments: Any, **keywords: Any) -> Any:
        op = f"_foreach_{name}"
        value = keywords.pop("value", 1)
        scalars: Any = keywords.pop("scalars", None)
        if name.startswith(("addcmul", "addcdiv")):
            first, second, *more = arguments
            values = more[0] if more else scalars if scalars is not None else value
            done = [
                getattr(x, method)(a, b, value=v)
                for x, (a, b, v) in zip(self, _turns(op, self, (first, second, values)), strict=True)
            ]
        else:
            given = arguments + ((scalars,) if scalars is not None else ())
            done = [getattr(x, method)(*a, **keywords) for x, a in zip(self, _turns(op, self, given), strict=True)]
        return None if in_place else tuple(done)

    foreach.__name__ = foreach.__qualname__ = f"_foreach_{name}"
    foreach.__doc__ = f"{name} of every tensor of a list" + (", in place." if in_place else ".")
    return foreach


NAMES = [f"{name}{end}" for name in (*_UNARY.split(), *_BINARY.split()) for end in ("", "_") if name + end != "copy"]
globals().update({f"_foreach_{name}": _of(name) for name in NAMES})


def _foreach_zero_(self: Sequence[Tensor]) -> None:
    """Zeros every tensor of a list."""
    for x in self:
        x.zero_()


def _foreach_norm(self: Sequence[Tensor], ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The vector norm of every tensor of a list."""
    return tuple(_C._linalg.vector_norm(x, ord, dtype=dtype) for x in self)
