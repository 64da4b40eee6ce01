"""finfo and iinfo: what numbers a dtype holds."""

from __future__ import annotations

from . import _C
from ._C import dtype as DType

# digits of the significand (the leading one counted), exponents of the largest and of the smallest normal number, and
# the decimal digits that survive
_FLOATS = {
    "float64": (53, 1023, -1022, 15),
    "float32": (24, 127, -126, 6),
    "bfloat16": (8, 127, -126, 2),
    "float16": (11, 15, -14, 3),
}


class finfo:  # noqa: N801
    """The limits of a floating point dtype: bits, eps, max, min, tiny (smallest_normal), resolution."""

    def __init__(self, type: DType | None = None) -> None:
        kind = _C.get_default_dtype() if type is None else type
        name = str(kind).removeprefix("tessel.")
        name = {"complex64": "float32", "complex128": "float64"}.get(name, name)
        if name not in _FLOATS:
            raise TypeError(f"finfo: expected a floating point dtype, got {kind}; integers have iinfo")
        digits, top, low, decimals = _FLOATS[name]
        self.dtype = name
        self.bits = 8 * getattr(_C, name).itemsize
        self.eps = 2.0 ** (1 - digits)
        self.max = (2 - self.eps) * 2.0**top
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0**low
        self.resolution = 10.0**-decimals

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


class iinfo:  # noqa: N801
    """The limits of an integer dtype: bits, max, min."""

    def __init__(self, type: DType) -> None:
        name = str(type).removeprefix("tessel.")
        if "int" not in name:
            raise TypeError(
                f"iinfo: expected an integer dtype, got {type}"
                + ("; floats have finfo" if type.is_floating_point else "")
            )
        self.dtype = name
        self.bits = 8 * type.itemsize
        signed = int(type.is_signed)
        self.max = (1 << (self.bits - signed)) - 1
        self.min = -(1 << (self.bits - 1)) if signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)
