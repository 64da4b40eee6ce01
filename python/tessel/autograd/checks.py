"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _C


class GradcheckError(RuntimeError):
    """A gradient that differs from finite differences."""


def _tensors(values: Any) -> tuple:
    return tuple(v for v in ((values,) if isinstance(values, _C.Tensor) else tuple(values)) if isinstance(v, _C.Tensor))


def _parts(x: Any) -> Any:
    """Of a complex tensor the real and the imaginary parts, which are differentiated one by one."""
    return _C.view_as_real(x) if x.is_complex() else x


def _differentiable(outputs: Any) -> tuple:
    return tuple(_parts(y) for y in _tensors(outputs) if y.requires_grad)


def _numerical(f: Callable, inputs: tuple, x: Any, output: int, eps: float) -> Any:
    """The Jacobian d(output)/dx by central differences: one row per element of x."""
    rows = []
    data = _parts(x.data)
    flat = data.reshape(-1) if data.is_contiguous() else None
    for i in range(data.numel()):
        place = flat[i : i + 1] if flat is not None else _element(data, i)
        before = place.clone()
        values = []
        for step in (eps, -eps):
            place.copy_(before + step)
            with_step = _differentiable_values(f(*inputs), output)
            values.append(with_step)
        place.copy_(before)
        rows.append(((values[0] - values[1]) / (2 * eps)).reshape(-1))
    return _C.stack(rows)


def _differentiable_values(outputs: Any, output: int) -> Any:
    return _differentiable(outputs)[output].detach().clone()


def _element(x: Any, i: int) -> Any:
    index = []
    for size in reversed(x.shape):
        index.append(i % size)
        i //= size
    for position in reversed(index):
        x = x[position]
    return x.reshape(1) if x.dim() == 0 else x


def _analytical(y: Any, x: Any) -> Any:
    """The same Jacobian by running backward once for each element of y."""
    from . import grad

    columns = []
    for i in range(y.numel()):
        seed = _C.zeros_like(y).reshape(-1)
        seed[i] = 1
        (dx,) = grad(y, x, seed.reshape(y.shape), retain_graph=True, allow_unused=True)
        columns.append(_parts(_C.zeros_like(x) if dx is None else dx.detach()).reshape(-1))
    return _C.stack(columns, 1) if columns else _C.zeros((_parts(x).numel(), 0), dtype=_parts(x).dtype)


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compares the gradients of func(*inputs) with central differences for every input that requires one.

    Inputs should be float64 or complex128: differences of float32 are too coarse. Complex numbers are checked as pairs
    of reals. Returns True, or raises GradcheckError (False with
    raise_exception=False) naming the output, the input and the largest difference.
    """
    given = (inputs,) if isinstance(inputs, _C.Tensor) else tuple(inputs)
    wanted = [x for x in given if isinstance(x, _C.Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck: at least one input must require a gradient, but none of them has requires_grad=True"
        )
    for x in wanted:
        x.retain_grad()
    outputs = _differentiable(func(*given))
    for number, y in enumerate(outputs):
        for position, x in enumerate(wanted):
            expected = _numerical(func, given, x, number, eps)
            found = _analytical(y, x)
            if _C.allclose(found, expected, rtol=rtol, atol=atol):
                continue
            if not raise_exception:
                return False
            worst = float((found - expected).abs().max())
            raise GradcheckError(
                f"gradcheck: Jacobian mismatch for output {number} with respect to input {position} "
                f"(largest difference {worst:.3g}),\n"
                f"numerical:{expected}\nanalytical:{found}\n"
            )
    return True


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Sequence | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradient: second derivatives, with random weights of the outputs unless `grad_outputs` gives
    them."""
    from . import grad

    given = (inputs,) if isinstance(inputs, _C.Tensor) else tuple(inputs)
    outputs = _differentiable(func(*given))
    if grad_outputs is None:
        weights = tuple(_C.randn_like(y.detach()).requires_grad_(True) for y in outputs)
    else:
        weights = tuple(grad_outputs)
    count = len(weights)

    def first(*both: Any) -> tuple:
        inputs_now, weights_now = both[:-count], both[-count:]
        wanted = [x for x in inputs_now if isinstance(x, _C.Tensor) and x.requires_grad]
        found = grad(_differentiable(func(*inputs_now)), wanted, weights_now, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(first, given + weights, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
