"""Differentiation: running graphs backwards, the modes that decide what is recorded, custom functions, checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import _C
from . import function
from .function import Function, once_differentiable
from .grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

if TYPE_CHECKING:
    from .._C import Tensor

__all__ = [
    "Function",
    "Variable",
    "anomaly_mode",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "once_differentiable",
    "profiler",
    "set_detect_anomaly",
    "set_grad_enabled",
]

_LAZY = {
    "anomaly_mode": "anomaly_mode",
    "detect_anomaly": "anomaly_mode:detect_anomaly",
    "forward_ad": "forward_ad",
    "functional": "functional",
    "gradcheck": "checks:gradcheck",
    "gradgradcheck": "checks:gradgradcheck",
    "graph": "graph",
    "profiler": "profiler",
    "set_detect_anomaly": "anomaly_mode:set_detect_anomaly",
}


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import anomaly_mode, forward_ad, functional, graph, profiler
    from .anomaly_mode import detect_anomaly, set_detect_anomaly
    from .checks import gradcheck, gradgradcheck
else:

    def __getattr__(name: str) -> Any:
        from .. import _names  # not before: `import tessel` loads this file

        return _names.load(__name__, _LAZY, name)

    def __dir__() -> list[str]:
        from .. import _names

        return _names.names_there(__name__, _LAZY)


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:  # noqa: N802 - PyTorch's name
    """A tensor over the same data; what PyTorch programs from before 0.4 wrap tensors in."""
    x = data.detach() if data.is_leaf else data
    return x.requires_grad_(True) if requires_grad else x


def _as_tuple(value: Tensor | Sequence | None) -> tuple:
    return () if value is None else (value,) if isinstance(value, _C.Tensor) else tuple(value)


def _gradients(outputs: tuple, given: Tensor | Sequence | None, op: str) -> tuple:
    gradients = (None,) * len(outputs) if given is None else _as_tuple(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{op}: got {len(outputs)} tensors and {len(gradients)} gradients")
    return gradients


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Accumulates into the leaves' `.grad` the gradients of `tensors`, weighted with `grad_tensors`.

    A scalar needs no weight; anything else needs one of its own shape. With `inputs`, only these receive a gradient.
    """
    outputs = _as_tuple(tensors)
    wanted = _as_tuple(inputs)
    if inputs is not None and not wanted:
        raise RuntimeError("backward: 'inputs' argument to backward() cannot be empty.")
    retain = create_graph if retain_graph is None else retain_graph
    _C._ops.run_backward(
        outputs, _gradients(outputs, grad_tensors, "backward"), wanted, retain, create_graph, True, True
    )


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of `outputs` (weighted with `grad_outputs`) with respect to each of `inputs`.

    An input that the outputs do not depend on raises, unless allow_unused (its gradient is None) or materialize_grads
    (zeros).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "grad: materialize_grads=True needs allow_unused to be True or not passed, but got allow_unused=False"
        )
    if not only_inputs:
        raise ValueError("grad: only_inputs argument is deprecated and must be True")
    ys, xs = _as_tuple(outputs), _as_tuple(inputs)
    gradients = _gradients(ys, grad_outputs, "grad")
    if is_grads_batched:
        rows = [
            grad(
                ys,
                xs,
                [None if g is None else g[i] for g in gradients],
                True,
                create_graph,
                True,
                allow_unused,
                False,
                materialize_grads,
            )
            for i in range(len(next(g for g in gradients if g is not None)))
        ]
        # As in PyTorch the declared type leaves out the None that allow_unused asks for.
        return tuple(None if column[0] is None else _C.stack(column) for column in zip(*rows, strict=True))  # type: ignore[misc]
    retain = create_graph if retain_graph is None else retain_graph
    unused = bool(allow_unused) or materialize_grads
    found = _C._ops.run_backward(ys, gradients, xs, retain, create_graph, False, unused)
    if materialize_grads:
        found = tuple(_C.zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True))
    return found
