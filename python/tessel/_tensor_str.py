"""How a tensor is printed: the text of repr(tensor), laid out as PyTorch lays it out."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from . import _C
from ._C import Tensor

__all__ = ["get_printoptions", "printoptions", "set_printoptions", "tensor_repr"]


_options = SimpleNamespace(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed.

    Args:
        precision: digits behind the point.
        threshold: tensors of more elements are summarised.
        edgeitems: how many elements of every dimension a summary shows at either end.
        linewidth: characters of a line before it is broken.
        profile: "default", "short" or "full": the four settings above at once, which they may then change.
        sci_mode: always (True) or never (False) in scientific notation; None, which every call without it restores,
            decides by the values.
    """
    if profile is not None:
        for key, value in _PROFILES[profile].items():
            setattr(_options, key, value)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for key, value in given.items():
        if value is not None:
            setattr(_options, key, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The settings of `set_printoptions` as a dict."""
    return dict(vars(_options))


class printoptions:  # noqa: N801 - PyTorch's name
    """Context in which tensors are printed with other settings: `with printoptions(precision=2): print(x)`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def __enter__(self) -> None:
        self.before = get_printoptions()
        set_printoptions(**self.settings)

    def __exit__(self, *exception: object) -> None:
        set_printoptions(**self.before)


class _Formatter:
    """Brings the elements of a tensor to strings of one width.

    Floats are printed as integers with a point when all are whole, in scientific notation when they lie too far apart
    for `precision` digits (more than 1000 times, above 1e8 or below 1e-4), else with `precision` digits.
    """

    def __init__(self, values: list[Any], is_float: bool) -> None:
        precision = _options.precision
        self.is_float = is_float
        self.whole = True
        self.scientific = False
        if not is_float:
            self.width = max((len(str(value)) for value in values), default=1)
            return
        self.width = 1
        finite = [value for value in values if value != 0 and math.isfinite(value)]
        if finite:  # zeros, infinities and NaNs take no part in the decision
            smallest, largest = min(map(abs, finite)), max(map(abs, finite))
            self.whole = all(value == math.ceil(value) for value in finite)
            far_apart = largest / smallest > 1000.0 or largest > 1.0e8
            self.scientific = far_apart or (not self.whole and smallest < 1.0e-4)
            if _options.sci_mode is not None:
                self.scientific = _options.sci_mode
            style = "e" if self.scientific else "f"
            digits = 0 if self.whole and not self.scientific else precision
            self.width = max(len(f"{value:.{digits}{style}}") for value in finite)
            self.width += self.whole and not self.scientific  # the point

    def __call__(self, value: Any) -> str:
        if not self.is_float:
            text = str(value)
        elif self.scientific:
            text = f"{value:.{_options.precision}e}"
        elif self.whole:
            text = f"{value:.0f}"
            if math.isfinite(value):
                text += "."
        else:
            text = f"{value:.{_options.precision}f}"
        return text.rjust(self.width)


def _shown(tensor: Tensor) -> Tensor:
    """The part of a large tensor that its summary shows: `edgeitems` at either end of every dimension."""
    edge = _options.edgeitems
    for dim in range(tensor.dim()):
        size = tensor.shape[dim]
        if size > 2 * edge:
            ends = [tensor.narrow(dim, 0, edge), tensor.narrow(dim, size - edge, edge)] if edge else []
            tensor = _C.cat(ends, dim) if ends else tensor.narrow(dim, 0, 0)
    return tensor


def _flattened(nested: Any) -> list[Any]:
    if not isinstance(nested, list):
        return [nested]
    while nested and isinstance(nested[0], list):
        nested = [value for row in nested for value in row]
    return nested


def _layout(nested: Any, shape: tuple[int, ...], indent: int, summarise: bool, formatter: Any) -> str:
    """The bracketed text of nested lists of elements; `shape` is that of the tensor before it was summarised."""
    if not shape:
        return formatter(nested)
    edge = _options.edgeitems
    cut = summarise and shape[0] > 2 * edge
    if len(shape) == 1:
        cells = [formatter(value) for value in nested]
        if cut:
            cells[edge:edge] = [" ..."]
        per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))  # 2: the comma and the space
        lines = [cells[start : start + per_line] for start in range(0, len(cells), per_line)] or [[]]
        return "[" + (",\n" + " " * (indent + 1)).join(", ".join(line) for line in lines) + "]"
    blocks = [_layout(row, shape[1:], indent + 1, summarise, formatter) for row in nested]
    if cut:
        blocks[edge:edge] = ["..."]
    gap = "," + "\n" * (len(shape) - 1) + " " * (indent + 1)
    return "[" + gap.join(blocks) + "]"


def _contents(tensor: Tensor, indent: int) -> str:
    tensor = tensor.detach()
    summarise = tensor.numel() > _options.threshold
    shape = tuple(tensor.shape)
    nested = (_shown(tensor) if summarise else tensor).tolist()
    values = _flattened(nested)
    if not tensor.is_complex():
        return _layout(nested, shape, indent, summarise, _Formatter(values, tensor.is_floating_point()))
    return _layout(nested, shape, indent, summarise, _ComplexFormatter(values))


class _ComplexFormatter:
    """Complex numbers as "1.0000+2.0000j", real and imaginary parts formatted each by their own values."""

    def __init__(self, values: list[complex]) -> None:
        self.real = _Formatter([value.real for value in values], True)
        self.imag = _Formatter([value.imag for value in values], True)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip()
        sign = "" if imag[0] in "+-" else "+"
        return f"{self.real(value.real)}{sign}{imag}j"


def tensor_repr(tensor: Tensor) -> str:
    """The text of repr(tensor): its values, and after them what is not told by the values.

    That is the dtype unless it is bool, int64 or the default one, the device unless it is the CPU, the size of an
    empty tensor, and the function it came from or that it requires a gradient.
    """
    cls = type(tensor)
    prefix = ("tensor" if cls is Tensor else getattr(cls, "_repr_name", cls.__name__)) + "("
    indent = len(prefix)
    suffixes: list[str] = []
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    default = _C.get_default_dtype()
    plain = (default, _C.complex128 if default == _C.float64 else _C.complex64, _C.int64, _C.bool)
    if tensor.numel() == 0:
        if tensor.dim() != 1:
            suffixes.append(f"size={tuple(tensor.shape)}")
        if tensor.dtype != default:  # an empty list has the default dtype
            suffixes.append(f"dtype={tensor.dtype}")
        contents = "[]"
    else:
        if tensor.dtype not in plain:
            suffixes.append(f"dtype={tensor.dtype}")
        contents = _contents(tensor, indent)
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name().rpartition('::')[2]}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")

    text = prefix + contents
    last_line = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:  # each on the same line while there is room, else on a line of its own
        if last_line + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            last_line = indent + len(suffix)
        else:
            text += ", " + suffix
            last_line += len(suffix) + 2
    return text + ")"
