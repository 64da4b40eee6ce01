"""grad, vjp, jvp and what is made of them: derivatives of functions of tensors in any nesting of tuples, lists, dicts.

A function is called with fresh tensors in place of those it is differentiated by. The results belong to a graph only
where somebody outside differentiates further: inside another of these transforms, or where an argument requires grad.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .. import _C
from .._C import Tensor
from ..autograd import grad as _grad
from ..autograd.grad_mode import enable_grad
from ..utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


class _Depth(threading.local):
    """How many transforms this thread is inside of."""

    value = 0


_depth = _Depth()


class _Inside:
    """Within a transform: gradients are recorded, and results keep their graph where somebody outside may want it."""

    def __init__(self, leaves: Sequence[Any]) -> None:
        asked = _C.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in leaves)
        self.kept = _depth.value > 0 or asked
        self._mode = enable_grad()

    def __enter__(self) -> _Inside:
        _depth.value += 1
        self._mode.__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self._mode.__exit__(*args)  # type: ignore[arg-type]
        _depth.value -= 1

    def result(self, tree: Any) -> Any:
        return tree if self.kept else tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, tree)


def _fresh(op: str, tree: Any) -> tuple[list[Tensor], Any, Any]:
    """(leaves to differentiate by, the tree of them, its form)"""
    leaves, form = tree_flatten(tree)
    for x in leaves:
        if not isinstance(x, Tensor):
            raise RuntimeError(f"{op}: expected tensors to differentiate by, got a {type(x).__name__}")
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            raise RuntimeError(f"{op}: only floating point tensors can be differentiated by, got {x.dtype}")
    made = [x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in leaves]
    return made, tree_unflatten(made, form), form


def _chosen(op: str, argnums: Any, args: tuple) -> tuple[tuple[int, ...], bool]:
    """Positions of the arguments to differentiate by, and whether there is one that is not in a tuple."""
    single = isinstance(argnums, int)
    positions = (argnums,) if single else tuple(argnums)
    if not positions:
        raise RuntimeError(f"{op}: argnums must not be empty")
    for i in positions:
        if not isinstance(i, int) or not -len(args) <= i < len(args):
            raise RuntimeError(f"{op}: got argnum={i}, but only {len(args)} positional inputs")
    found = tuple(i % len(args) for i in positions)
    if len(set(found)) != len(found):
        raise RuntimeError(f"{op}: argnums elements must be unique, got {argnums}")
    return found, single


def _with(args: tuple, positions: tuple[int, ...], values: Sequence[Any]) -> list:
    replaced = list(args)
    for i, value in zip(positions, values):
        replaced[i] = value
    return replaced


def _split(op: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{op}: with has_aux=True the function must return a tuple (output, aux)")
    return result


def _gradients(outputs: Sequence[Any], inputs: Sequence[Tensor], weights: Sequence[Any], create: bool) -> list[Tensor]:
    """The gradients, zeros where an output does not depend on an input."""
    pairs = [(y, w) for y, w in zip(outputs, weights) if y.requires_grad]
    found: Sequence[Any] = [None] * len(inputs)
    if pairs:
        found = _grad(
            [y for y, _ in pairs],
            inputs,
            [w for _, w in pairs],
            retain_graph=True,
            create_graph=create,
            allow_unused=True,
        )
    return [_C.zeros_like(x) if g is None else g for g, x in zip(found, inputs)]


def grad_and_value(func: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    """A function that gives (the gradient of func's only value by args[argnums], the value); with has_aux func returns
    (value, aux), and so does the function: (gradient, (value, aux))."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positions, single = _chosen("grad", argnums, args)
        with _Inside(tree_flatten((args, kwargs))[0]) as inside:
            leaves, values, form = _fresh("grad", tuple(args[i] for i in positions))
            value, aux = _split("grad", func(*_with(args, positions, values), **kwargs), has_aux)
            if not isinstance(value, Tensor):
                raise RuntimeError(
                    f"grad: Expected the function to return a tensor, got {type(value).__name__}"
                    + ("" if has_aux else "; with has_aux=True it may return (value, aux)")
                )
            if value.dim() != 0:
                raise RuntimeError(
                    f"grad: Expected the function to return a scalar tensor, got a tensor of shape {tuple(value.shape)}"
                )
            found = _gradients([value], leaves, [None], inside.kept)
            gradient = tree_unflatten(found, form)
            gradient = gradient[0] if single else gradient
            return inside.result((gradient, (value, aux) if has_aux else value))

    return wrapper


def grad(func: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    """A function that gives the gradient of func's only value by args[argnums]; (gradient, aux) with has_aux."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def _outputs(op: str, result: Any) -> tuple[list[Tensor], Any]:
    ys, form = tree_flatten(result)
    for y in ys:
        if not isinstance(y, Tensor):
            raise RuntimeError(f"{op}: Expected the function to return only tensors, got a {type(y).__name__}")
    return ys, form


def _like(op: str, what: str, given: Any, like: Sequence[Tensor], form: Any) -> list[Tensor]:
    values, own = tree_flatten(given)
    if own != form:
        raise RuntimeError(f"{op}: Expected {what} to have the structure {form}, but got {own}")
    for value, x in zip(values, like):
        if not isinstance(value, Tensor) or value.shape != x.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise RuntimeError(f"{op}: Expected {what} of shape {tuple(x.shape)}, got {shape}")
    return values


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), a function from cotangents of the outputs to those of the primals); aux as a third."""
    if not primals:
        raise RuntimeError("vjp: needs at least one primal to differentiate by")
    with _Inside(tree_flatten(primals)[0]) as inside:
        leaves, values, form = _fresh("vjp", primals)
        result, aux = _split("vjp", func(*values), has_aux)
        ys, y_form = _outputs("vjp", result)
        kept = inside.kept

        def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
            weights = _like("vjp", "cotangents", cotangents, ys, y_form)
            outside = _depth.value > 0 or any(w.requires_grad for w in weights)
            create = kept or outside if create_graph is None else create_graph
            found = _gradients(ys, leaves, weights, create)
            gradient = tree_unflatten(found if create else [g.detach() for g in found], form)
            return gradient

        value = inside.result(result)
        return (value, pull, inside.result(aux)) if has_aux else (value, pull)


class _Tangents:
    """J v of a function that has been called: the derivative of u^T J by u, of which two backward passes give any."""

    def __init__(self, op: str, ys: list[Tensor], leaves: list[Tensor]) -> None:
        self.op, self.ys, self.leaves = op, ys, leaves
        self.weights = [_C.zeros_like(y).requires_grad_() for y in ys]
        self.first = _gradients(ys, leaves, self.weights, True)

    def along(self, tangents: Sequence[Tensor], create: bool) -> list[Tensor]:
        return _gradients(self.first, self.weights, tangents, create)


def jvp(func: Callable, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(func(*primals), how it changes when the primals move along the tangents); aux as a third."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise RuntimeError("jvp: Expected primals and tangents to be tuples of one length")
    if not primals:
        raise RuntimeError("jvp: needs at least one primal to differentiate by")
    with _Inside(tree_flatten((primals, tangents))[0]) as inside:
        leaves, values, form = _fresh("jvp", primals)
        along = _like("jvp", "tangents", tangents, leaves, form)
        result, aux = _split("jvp", func(*values), has_aux)
        ys, y_form = _outputs("jvp", result)
        if strict and not all(y.requires_grad for y in ys):
            raise RuntimeError("jvp: an output does not depend on the primals, which strict=True does not allow")
        moved = _Tangents("jvp", ys, leaves).along(along, inside.kept)
        found = inside.result((result, tree_unflatten(moved, y_form)))
        return (*found, inside.result(aux)) if has_aux else found


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """(func(*primals), the linear function from tangents of the primals to those of the outputs)."""
    with _Inside(tree_flatten(primals)[0]) as inside:
        leaves, values, form = _fresh("linearize", primals)
        result = func(*values)
        ys, y_form = _outputs("linearize", result)
        prepared = _Tangents("linearize", ys, leaves)
        kept = inside.kept

        def push(*tangents: Any) -> Any:
            along = _like("linearize", "tangents", tangents, leaves, form)
            moved = prepared.along(along, kept)
            return tree_unflatten(moved if kept else [m.detach() for m in moved], y_form)

        return inside.result(result), push


def jacrev(
    func: Callable,
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """A function that gives the Jacobian of func by args[argnums]: for each output, and each input, a tensor of shape
    (*output.shape, *input.shape). One backward pass for each element of the outputs, whatever chunk_size."""
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"jacrev: `chunk_size` should be greater than 0, got {chunk_size}")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positions, single = _chosen("jacrev", argnums, args)
        with _Inside(tree_flatten((args, kwargs))[0]) as inside:
            leaves, values, form = _fresh("jacrev", tuple(args[i] for i in positions))
            result, aux = _split("jacrev", func(*_with(args, positions, values), **kwargs), has_aux)
            ys, y_form = _outputs("jacrev", result)
            blocks = []
            for y in ys:
                unit = _C.eye(y.numel(), dtype=y.dtype, device=y.device).reshape(y.numel(), *y.shape)
                rows = [_gradients([y], leaves, [unit[i]], inside.kept) for i in range(y.numel())]
                columns = [
                    _C.stack([row[k] for row in rows]).reshape(*y.shape, *x.shape)
                    if rows
                    else x.new_zeros((*y.shape, *x.shape))
                    for k, x in enumerate(leaves)
                ]
                block = tree_unflatten(columns, form)
                blocks.append(block[0] if single else block)
            # A block is itself a tree, so it is put into the outputs' form by that form's own leaves.
            found = inside.result(_planted(blocks, y_form))
            return (found, inside.result(aux)) if has_aux else found

    return wrapper


def _planted(trees: list[Any], form: Any) -> Any:
    """Trees as the leaves of a larger one."""
    return tree_unflatten(trees, form)


def jacfwd(func: Callable, argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable:
    """What jacrev gives: without a forward mode both take the same passes."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable, argnums: Any = 0) -> Callable:
    """A function that gives func's second derivatives by args[argnums]: the Jacobian of its Jacobian."""
    return jacfwd(jacrev(func, argnums), argnums)
