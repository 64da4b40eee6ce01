"""Derivatives of whole functions: Jacobians, Hessians and their products with vectors, by repeated backward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _C
from . import _as_tuple, enable_grad, grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _like_given(given: Any, values: tuple) -> Any:
    """A tuple where the user gave one, else the only value."""
    return values[0] if isinstance(given, _C.Tensor) else tuple(values)


def _to_differentiate(op: str, inputs: Any, create_graph: bool) -> tuple:
    """The inputs as starts of a new graph, which with create_graph still hangs on to the user's."""
    tensors = _as_tuple(inputs)
    for i, x in enumerate(tensors):
        if not isinstance(x, _C.Tensor):
            raise TypeError(
                f"{op}: the inputs must be a Tensor or a tuple of Tensors, but element {i} is a {type(x).__name__}"
            )
    return tuple(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in tensors)


def _outputs_of(op: str, function: Callable, inputs: tuple) -> tuple[Any, tuple]:
    outputs = function(*inputs)
    tensors = _as_tuple(outputs)
    for i, y in enumerate(tensors):
        if not isinstance(y, _C.Tensor):
            raise TypeError(
                f"{op}: the function must return a Tensor or a tuple of Tensors, "
                f"but element {i} is a {type(y).__name__}"
            )
    return outputs, tensors


def _vectors(op: str, v: Any, like: tuple) -> tuple:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{op}: v can only be left out where there is a single value with a single element")
        return (_C.ones_like(like[0]),)
    vectors = _as_tuple(v)
    if len(vectors) != len(like):
        raise RuntimeError(f"{op}: v has {len(vectors)} tensors, but {len(like)} are expected")
    for i, (vector, x) in enumerate(zip(vectors, like)):
        if vector.shape != x.shape:
            raise RuntimeError(
                f"{op}: element {i} of v has shape {tuple(vector.shape)}, but {tuple(x.shape)} is expected"
            )
    return vectors


def _gradients(
    op: str, outputs: tuple, inputs: tuple, weights: tuple | None, create_graph: bool, strict: bool
) -> tuple:
    """grad() with zeros where an input has no part in the outputs; an error there with strict."""
    wanted = [i for i, y in enumerate(outputs) if y.requires_grad]
    found: tuple = (None,) * len(inputs)
    if wanted:
        chosen = None if weights is None else [weights[i] for i in wanted]
        found = grad(
            [outputs[i] for i in wanted],
            inputs,
            chosen,
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    for i, g in enumerate(found):
        if g is None and strict:
            raise RuntimeError(f"{op}: the outputs are independent of input {i}, which strict=True does not allow")
    return tuple(_C.zeros_like(x) if g is None else g for g, x in zip(found, inputs))


def _finished(values: tuple, create_graph: bool) -> tuple:
    return values if create_graph else tuple(x.detach() for x in values)


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T J): the outputs, and the gradient of their sum weighted with v."""
    with enable_grad():
        xs = _to_differentiate("vjp", inputs, create_graph)
        outputs, ys = _outputs_of("vjp", func, xs)
        found = _gradients("vjp", ys, xs, _vectors("vjp", v, ys), create_graph, strict)
    return _like_given(outputs, _finished(ys, create_graph)), _like_given(inputs, _finished(found, create_graph))


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), J v): the outputs, and how they change when the inputs move along v.

    J v is the derivative of u^T J with respect to u, so two backward passes give it.
    """
    with enable_grad():
        xs = _to_differentiate("jvp", inputs, create_graph)
        along = _vectors("jvp", v, xs)
        outputs, ys = _outputs_of("jvp", func, xs)
        weights = tuple(_C.zeros_like(y).requires_grad_() for y in ys)
        first = _gradients("jvp", ys, xs, weights, True, strict)
        found = _gradients("jvp", first, weights, along, create_graph, False)
    return _like_given(outputs, _finished(ys, create_graph)), _like_given(outputs, _finished(found, create_graph))


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """d func / d inputs, of shape (*output.shape, *input.shape); nested tuples by output and input where
    these are tuples.

    One backward pass for each element of the outputs; `vectorize` and `strategy` change nothing in the result and are
    taken for PyTorch's programs.
    """
    with enable_grad():
        xs = _to_differentiate("jacobian", inputs, create_graph)
        outputs, ys = _outputs_of("jacobian", func, xs)
        table = []
        for y in ys:
            rows = []
            for i in range(y.numel()):
                element = y.reshape(-1)[i]
                rows.append(_gradients("jacobian", (element,), xs, None, create_graph, strict))
            table.append(
                tuple(
                    _C.stack([row[k] for row in rows]).reshape(*y.shape, *x.shape)
                    if rows
                    else _C.zeros((*y.shape, *x.shape), dtype=y.dtype)
                    for k, x in enumerate(xs)
                )
            )
    return _like_given(outputs, tuple(_like_given(inputs, _finished(row, create_graph)) for row in table))


def _scalar(op: str, func: Callable) -> Callable:
    def checked(*inputs: Any) -> Any:
        _, ys = _outputs_of(op, func, inputs)
        if len(ys) != 1 or ys[0].numel() != 1:
            raise RuntimeError(f"{op}: the function must return a single Tensor with a single element")
        return ys[0].reshape(())

    return checked


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one value: the Jacobian of its gradient, of shape
    (*input.shape, *input.shape)."""
    value = _scalar("hessian", func)

    def gradient(*xs: Any) -> Any:
        found = _gradients("hessian", (value(*xs),), xs, None, True, strict)
        return _like_given(inputs, found)

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T H) for a function with one value."""
    value = _scalar("vhp", func)
    with enable_grad():
        xs = _to_differentiate("vhp", inputs, create_graph)
        along = _vectors("vhp", v, xs)
        y = value(*xs)
        first = _gradients("vhp", (y,), xs, None, True, strict)
        found = _gradients("vhp", first, xs, along, create_graph, False)
    return _finished((y,), create_graph)[0], _like_given(inputs, _finished(found, create_graph))


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), H v): the same as vhp, as H is symmetric."""
    return vhp(func, inputs, v, create_graph, strict)
