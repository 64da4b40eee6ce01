"""Custom differentiable functions: a forward and a backward written by the user."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import _C


class FunctionCtx:
    """What a custom function keeps between forward and backward."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple = ()
        self._dirty: tuple = ()
        self._non_differentiable: tuple = ()
        self._materialize = True
        self._saved: tuple | None = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps inputs or outputs (or None); backward() finds them in `saved_tensors`, checked against
        in-place writes."""
        for x in tensors:
            if x is not None and not isinstance(x, _C.Tensor):
                raise TypeError(
                    f"save_for_backward: can only save tensors, but argument is of type {type(x).__name__}; "
                    "keep other things as attributes of ctx"
                )
        self._to_save = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors: Any) -> None:
        """Tells which inputs forward has overwritten; each must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Tells which outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether gradients of unused outputs arrive as zeros (default) or as None."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple:
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}: Trying to backward through the graph a second time (or directly access "
                "saved tensors after they have already been freed). Specify retain_graph=True if you need to."
            )
        return tuple(None if saved is None else saved.unpack() for saved in self._saved)

    saved_variables = saved_tensors

    def _release(self) -> None:
        """The graph has run and is not retained: what was saved goes."""
        if self._saved:
            self._saved = None


class Function:
    """Base of custom functions. A subclass writes two static methods:

        forward(ctx, *inputs) -> output(s)            or  forward(*inputs) and setup_context(ctx, inputs, output)
        backward(ctx, *output_gradients) -> gradient of each input (None where there is none)

    and is called by `apply`. backward is itself recorded when the gradient will be differentiated again.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("forward: You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        raise NotImplementedError("setup_context: setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "backward: You must implement either the backward or vjp method for your custom autograd.Function "
            "to use it with backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs forward without recording and records one node whose derivative is backward."""
        ctx = FunctionCtx()
        recording = _C.is_grad_enabled()
        ctx.needs_input_grad = tuple(isinstance(a, _C.Tensor) and a.requires_grad for a in args)
        _C._set_grad_enabled(False)
        try:
            if cls.setup_context is not Function.setup_context:
                outputs = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, outputs)
            else:
                outputs = cls.forward(ctx, *args, **kwargs)
        finally:
            _C._set_grad_enabled(recording)
        many = isinstance(outputs, (tuple, list))
        results = tuple(outputs) if many else (outputs,)
        results = _C._record_function(cls, ctx, args, results, recording and any(ctx.needs_input_grad))
        return results if many else results[0]


def _run_backward(cls: type[Function], ctx: FunctionCtx, gradients: tuple, count: int) -> tuple:
    """What the engine calls: backward of the class, its result brought to one gradient for each input."""
    backward = cls.backward if cls.backward is not Function.backward else cls.vjp
    found = backward(ctx, *gradients)
    if not isinstance(found, (tuple, list)):
        found = (found,)
    if len(found) > count and all(g is None for g in found[count:]):
        found = found[:count]
    if len(found) != count:
        raise RuntimeError(
            f"{cls.__name__}Backward: function {cls.__name__}Backward returned an incorrect number of gradients "
            f"(expected {count}, got {len(found)})"
        )
    for i, g in enumerate(found):
        if g is not None and not isinstance(g, _C.Tensor):
            raise RuntimeError(
                f"{cls.__name__}Backward: expected Variable or None (got {type(g).__name__}) as gradient {i}"
            )
    return tuple(g if needed else None for g, needed in zip(found, ctx.needs_input_grad, strict=True))


def once_differentiable(backward: Callable) -> Callable:
    """Marks a backward whose own arithmetic can't be differentiated: a second differentiation raises
    instead of being wrong."""

    @functools.wraps(backward)
    def inside(ctx: Any, *gradients: Any) -> Any:
        recording = _C.is_grad_enabled()
        _C._set_grad_enabled(False)
        try:
            found = backward(ctx, *gradients)
        finally:
            _C._set_grad_enabled(recording)
        if not recording or not any(isinstance(g, _C.Tensor) and g.requires_grad for g in gradients):
            return found
        many = isinstance(found, (tuple, list))
        refused = tuple(
            _Refuse.apply(backward.__qualname__, g, *gradients) if isinstance(g, _C.Tensor) else g
            for g in (found if many else (found,))
        )
        return refused if many else refused[0]

    return inside


class _Refuse(Function):
    """Stands behind a gradient of a once-differentiable backward."""

    @staticmethod
    def forward(ctx: Any, name: str, gradient: Any, *sources: Any) -> Any:
        ctx.name = name
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise RuntimeError(
            f"{ctx.name}: trying to differentiate twice a function that was marked with @once_differentiable"
        )
