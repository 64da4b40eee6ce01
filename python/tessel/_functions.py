"""Rare functions of the top-level namespace, loaded when they are first used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _C
from ._C import Tensor

__all__ = ["frobenius_norm", "gradient", "nuclear_norm", "range", "unravel_index"]


def range(start: float = 0, end: float | None = None, step: float = 1, *, out: Tensor | None = None, **options: Any):
    """Like `arange`, but with the end in it where a step meets it (deprecated; use `arange`)."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("range: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"range: upper bound and lower bound inconsistent with step sign ({start}, {end}, {step})")
    count = int((end - start) / step) + 1
    y = _C.arange(count, **{"dtype": _C.get_default_dtype(), **options}) * step + start
    return y if out is None else out.resize_(y.shape).copy_(y)


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, one tensor for each dimension, of flat indices into a tensor of that shape."""
    if (
        not isinstance(indices, Tensor)
        or indices.is_floating_point()
        or indices.is_complex()
        or indices.dtype == _C.bool
    ):
        kind = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise ValueError(f"unravel_index: expected 'indices' to be integer dtype, but got {kind}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"unravel_index: 'shape' cannot have negative values, but got {tuple(sizes)}")
    indices = indices.long()
    coordinates = []
    for n in reversed(sizes):
        coordinates.append(indices % n)
        indices = _C.floor_divide(indices, n)
    return tuple(reversed(coordinates))


def frobenius_norm(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The root of the sum of squares over `dim`, at most two dimensions; all for ()."""
    y = _C._linalg.vector_norm(input, 2, dim if dim != () else None, keepdim)
    return y if out is None else out.resize_(y.shape).copy_(y)


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The sum of the singular values of matrices."""
    y = _C._linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else tuple(dim), keepdim)
    return y if out is None else out.resize_(y.shape).copy_(y)


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> list[Tensor]:
    """The derivatives of sampled values along dimensions: central differences inside, one-sided ones of `edge_order`
    (1 or 2) at the ends.

    Args:
        input: the values.
        spacing: the distance of neighbours: a number, one for each dimension, or tensors of coordinates.
        dim: the dimensions, all for None.
        edge_order: of the differences at the ends.
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: only supports edge_order=1 and edge_order=2, got {edge_order}")
    dims = list(_indices(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    for d in dims:
        if not -input.dim() <= d < input.dim():
            raise IndexError(
                f"gradient: Dimension out of range (expected to be in range of [{-input.dim()}, {input.dim() - 1}], "
                f"but got {d})"
            )
    dims = [d % input.dim() for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"gradient: dim {dims} appears multiple times in the list of dims")
    spacing = 1 if spacing is None else spacing
    if isinstance(spacing, (int, float, complex)):
        steps: list[Any] = [spacing] * len(dims)
    else:
        steps = list(spacing)
    if len(steps) != len(dims):
        raise RuntimeError(
            f"gradient: expected spacing to be unspecified, a scalar or a list of length equal to {len(dims)}, "
            f"but got a list of length {len(steps)}"
        )
    for d in dims:
        if input.shape[d] <= edge_order:
            raise RuntimeError(
                f"gradient: expected each dimension size to be at least edge_order+1, but dimension {d} has "
                f"{input.shape[d]}"
            )
    return [_derivative(input, d, step, edge_order) for d, step in zip(dims, steps)]


def _derivative(x: Tensor, dim: int, step: Any, order: int) -> Tensor:
    x = x.movedim(dim, -1)
    n = x.shape[-1]
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(_C.get_default_dtype())
    if isinstance(step, Tensor):
        if step.dim() != 1 or step.numel() != n:
            raise RuntimeError(
                f"gradient: expected spacing[{dim}] to be 1-dimensional with {n} coordinates, got {tuple(step.shape)}"
            )
        h = step.diff()
        left, right = h[:-1], h[1:]
        inside = (
            -right / (left * (left + right)) * x[..., :-2]
            + (right - left) / (left * right) * x[..., 1:-1]
            + left / (right * (left + right)) * x[..., 2:]
        )
    else:
        h = _C.full((n - 1,), step, dtype=x.dtype)
        inside = (x[..., 2:] - x[..., :-2]) / (2 * step)
    if order == 1:
        first, last = (x[..., 1] - x[..., 0]) / h[0], (x[..., -1] - x[..., -2]) / h[-1]
    else:
        first, last = _edge(x[..., :3], h[:2]), -_edge(x[..., -3:].flip(-1), h[-2:].flip(0))
    return _C.cat([first.unsqueeze(-1), inside, last.unsqueeze(-1)], -1).movedim(-1, dim)


def _edge(values: Tensor, h: Tensor) -> Tensor:
    """The derivative at the first of three values, exact for parabolas."""
    a, b = h[0], h[1]
    x, y, z = values.unbind(-1)
    return -(2 * a + b) / (a * (a + b)) * x + (a + b) / (a * b) * y - a / (b * (a + b)) * z


def _indices(n: int) -> Any:
    import builtins

    return builtins.range(n)  # the name is taken here
