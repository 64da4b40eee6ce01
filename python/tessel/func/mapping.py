"""vmap: a function of single examples as one of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from ..random import get_rng_state, set_rng_state
from ..utils._pytree import tree_flatten, tree_unflatten

__all__ = ["vmap"]


def _dims_of(tree: Any, dims: Any) -> list[Any]:
    """A dimension, or None, for each leaf of tree; one entry of dims stands for all below it."""
    if isinstance(dims, int) or dims is None:
        return [dims] * len(tree_flatten(tree)[0])
    if isinstance(dims, dict) and isinstance(tree, dict) and dims.keys() == tree.keys():
        return [d for key in tree for d in _dims_of(tree[key], dims[key])]
    if isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list)) and len(dims) == len(tree):
        return [d for part, of in zip(tree, dims) for d in _dims_of(part, of)]
    raise ValueError(f"vmap: in_dims is not compatible with the structure of the inputs: {dims} for {_shown(tree)}")


def _shown(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return f"tensor{tuple(tree.shape)}"
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_shown, tree))
    return {k: _shown(v) for k, v in tree.items()} if isinstance(tree, dict) else type(tree).__name__


def _checked_dims(leaves: list[Any], dims: list[Any]) -> tuple[list[Any], int]:
    """The dimensions counted from the front, and the size that all of them have."""
    sizes = set()
    found = []
    for x, dim in zip(leaves, dims):
        if dim is not None:
            if not isinstance(x, Tensor):
                raise ValueError(f"vmap: got in_dim={dim} for an input that is a {type(x).__name__}, not a tensor")
            if not -x.dim() <= dim < x.dim():
                raise ValueError(
                    f"vmap: got in_dim={dim} for an input of {x.dim()} dimensions (shape {tuple(x.shape)})"
                )
            dim %= x.dim()
            sizes.add(x.size(dim))
        found.append(dim)
    if not sizes:
        raise ValueError("vmap: at least one of the inputs must have a dimension to map over, but in_dims are all None")
    if len(sizes) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{[x.size(d) for x, d in zip(leaves, found) if d is not None]} for the mapped dimension"
        )
    return found, sizes.pop()


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """func, called with one slice after another along in_dims; its results stacked along out_dims.

    in_dims: a dimension for all inputs, None for what every call gets whole (like keyword arguments), or a nesting
    of these like the inputs'.
    out_dims: likewise, of the results. randomness: "different" numbers in each call, the "same" in all, or an "error"
    where numbers are drawn. chunk_size changes nothing: there is one call for each slice.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"vmap: Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(in_dims, (int, tuple, list, dict)):
            raise ValueError(f"vmap: expected `in_dims` to be int or a (potentially nested) tuple, got {type(in_dims)}")
        if not args:
            raise ValueError("vmap: got no inputs to map over; perhaps the function takes none")
        given, form = tree_flatten(args)
        named, named_form = tree_flatten(kwargs)
        dims = _dims_of(args, in_dims) + [None] * len(named)
        leaves = given + named
        dims, count = _checked_dims(leaves, dims)
        if count == 0:
            raise RuntimeError("vmap: there is no slice to call the function with: the mapped dimension is of size 0")
        start = get_rng_state()
        columns: list[list[Any]] = []
        out_form: Any = None
        for i in range(count):
            slices = [x if d is None else x.select(d, i) for x, d in zip(leaves, dims)]
            if randomness == "same":
                set_rng_state(start)
            result = func(
                *tree_unflatten(slices[: len(given)], form), **tree_unflatten(slices[len(given) :], named_form)
            )
            if randomness == "error" and not _C.equal(start, get_rng_state()):
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
                )
            ys, out_form = tree_flatten(result)
            for y in ys:
                if not isinstance(y, Tensor):
                    raise ValueError(f"vmap: the function must only return Tensors, got type {type(y).__name__}")
            columns = [[] for _ in ys] if i == 0 else columns
            for column, y in zip(columns, ys):
                column.append(y)
        stacked = [_C.stack(column) for column in columns]
        outs = _dims_of(tree_unflatten(stacked, out_form), out_dims)
        for k, (y, dim) in enumerate(zip(stacked, outs)):
            if dim is None:
                stacked[k] = y[0]
            elif not -y.dim() <= dim < y.dim():
                raise IndexError(f"vmap: Dimension out of range: out_dim={dim} for a result of {y.dim()} dimensions")
            else:
                stacked[k] = y.movedim(0, dim)
        return tree_unflatten(stacked, out_form)

    return wrapper
