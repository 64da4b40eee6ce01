"""Activation checkpointing: memory for time. What a part of a network computes on the way is not kept for the
backward pass but computed again there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .. import _C, random
from .._C import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function did not save what the first one had saved."""


def _no_contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool = False,
    context_fn: Contexts = _no_contexts,
    determinism_check: str = "default",
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which only the arguments are kept; the backward pass runs it again.

    Args:
        use_reentrant: False saves a place holder for every tensor that operations inside would save, and fills all of
            them by one second run when the first is asked for: everything autograd can do works as without it. True
            runs the function without gradients and differentiates its second run by a backward pass inside the
            backward pass: at least one argument must require a gradient, keywords are not allowed and
            `autograd.grad` is not either.
        context_fn: gives two contexts, in which the first and the second run take place (not with use_reentrant).
        determinism_check: "default" compares shapes and dtypes of what both runs save, "none" does not.
        preserve_rng_state: the second run draws the random numbers of the first, as dropout needs.

    Raises:
        CheckpointError: the two runs differ (in the backward pass).
        ValueError: keywords or contexts with use_reentrant.
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check must be 'default' or 'none', not {determinism_check!r}")
    if not use_reentrant:
        return _checkpoint_by_hooks(function, args, kwargs, context_fn, determinism_check, preserve_rng_state)
    if kwargs:
        raise ValueError(f"checkpoint: keyword arguments need use_reentrant=False: {', '.join(kwargs)}")
    if context_fn is not _no_contexts:
        raise ValueError("checkpoint: context_fn needs use_reentrant=False")
    return _reentrant().apply(function, preserve_rng_state, *args)


class _RandomState:
    """The global generator's state at one moment, for a second run from there."""

    def __init__(self, wanted: bool) -> None:
        self.state = random.get_rng_state() if wanted else None

    def __enter__(self) -> None:
        if self.state is not None:
            self.now = random.get_rng_state()
            random.set_rng_state(self.state)

    def __exit__(self, *exception: object) -> None:
        if self.state is not None:
            random.set_rng_state(self.now)


class _Enough(BaseException):
    """Ends the second run once everything asked for has been computed; no `except Exception` on the way stops it."""


class _Recomputed:
    """What one checkpointed call saves: numbers at first, tensors once the second run has filled them in.

    A second run belongs to one backward pass. With retain_graph the next pass runs the function again, so that what
    the first one computed need not be kept: every tensor is forgotten when it has been asked for.
    """

    def __init__(self, run_again: Callable[[], Any], check: bool) -> None:
        self.run_again = run_again
        self.check = check
        self.first: list[tuple[Any, Any]] = []  # shape and dtype of everything saved
        self.tensors: dict[int, Tensor] = {}

    def pack(self, tensor: Tensor) -> int:
        self.first.append((tuple(tensor.shape), tensor.dtype))
        return len(self.first) - 1

    def unpack(self, number: int) -> Tensor:
        if number not in self.tensors:
            self._fill()
        return self.tensors.pop(number)

    def _fill(self) -> None:
        from ..autograd import enable_grad
        from ..autograd.graph import saved_tensors_hooks

        count = 0

        def pack_again(tensor: Tensor) -> Tensor:
            nonlocal count
            if count < len(self.first):
                if self.check and self.first[count] != (tuple(tensor.shape), tensor.dtype):
                    shape, dtype = self.first[count]
                    raise CheckpointError(
                        f"checkpoint: the second run differs from the first: tensor {count} saved for the backward "
                        f"pass was {shape} of {dtype}, and is {tuple(tensor.shape)} of {tensor.dtype}"
                    )
                self.tensors[count] = tensor.detach()
            count += 1
            if count == len(self.first):
                raise _Enough
            return tensor.detach()

        try:
            with saved_tensors_hooks(pack_again, lambda tensor: tensor), enable_grad():
                self.run_again()
        except _Enough:
            pass
        if count < len(self.first):
            raise CheckpointError(
                f"checkpoint: the second run differs from the first: it saved {count} tensors for the backward pass, "
                f"the first {len(self.first)}"
            )


def _checkpoint_by_hooks(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context_fn: Contexts,
    determinism_check: str,
    preserve_rng_state: bool,
) -> Any:
    if not _C.is_grad_enabled():
        return function(*args, **kwargs)
    from ..autograd.graph import saved_tensors_hooks

    first_context, second_context = context_fn()
    random_state = _RandomState(preserve_rng_state)

    def run_again() -> None:
        with random_state, second_context:
            function(*args, **kwargs)

    saved = _Recomputed(run_again, determinism_check == "default")
    with saved_tensors_hooks(saved.pack, saved.unpack), first_context:
        return function(*args, **kwargs)


def _reentrant() -> Any:
    """The autograd.Function of use_reentrant=True, made at first use."""
    global _Reentrant
    if _Reentrant is not None:
        return _Reentrant
    from .. import autograd

    class CheckpointFunction(autograd.Function):
        @staticmethod
        def forward(ctx: Any, function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
            ctx.function = function
            ctx.random_state = _RandomState(preserve_rng_state)
            ctx.places = [place for place, value in enumerate(args) if isinstance(value, Tensor)]
            ctx.args = [None if isinstance(value, Tensor) else value for value in args]
            ctx.save_for_backward(*[args[place] for place in ctx.places])
            with autograd.no_grad():
                return function(*args)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            args = list(ctx.args)
            for place, tensor in zip(ctx.places, ctx.saved_tensors):
                args[place] = tensor.detach().requires_grad_(tensor.requires_grad)
            with autograd.enable_grad(), ctx.random_state:
                outputs = ctx.function(*args)
            outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
            wanted = [
                (output, grad)
                for output, grad in zip(outputs, grads)
                if isinstance(output, Tensor) and output.requires_grad
            ]
            if not wanted:
                raise RuntimeError("checkpoint: no output of the function requires a gradient, so none is needed here")
            autograd.backward([output for output, _ in wanted], [grad for _, grad in wanted])
            return None, None, *(value.grad if isinstance(value, Tensor) else None for value in args)

    _Reentrant = CheckpointFunction
    return _Reentrant


_Reentrant: Any = None


def checkpoint_sequential(
    functions: Iterable[Callable[[Any], Any]],
    segments: int,
    input: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
) -> Any:
    """A Sequential, or a list of functions, in `segments` pieces of which all but the last are checkpointed."""
    steps = list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"checkpoint_sequential: {len(steps)} functions cannot be cut into {segments} segments")

    def piece(start: int, end: int) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            for step in steps[start:end]:
                value = step(value)
            return value

        return run

    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            piece(start, start + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state
        )
    return piece(size * (segments - 1), len(steps))(input)
