"""LBFGS: a quasi-Newton method for smooth functions without noise, with a line search on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .. import _C
from .._C import Tensor
from ..autograd.grad_mode import enable_grad, no_grad
from .optimizer import Optimizer, check_not_negative

__all__ = ["LBFGS"]


class _Point(NamedTuple):
    """What is known at step t along the direction: loss, gradient, and the loss's slope there."""

    t: float
    loss: float
    grad: Tensor
    slope: float


class LBFGS(Optimizer):
    """Limited-memory BFGS.

    A step makes up to `max_iter` moves along directions that the last `history_size` changes of parameters and gradient
    suggest; the closure is called as often as that takes.

    Args:
        params: parameters; there can be no groups.
        lr: the length of a move, of which a line search is the first guess.
        max_iter: moves in a step.
        max_eval: calls of the closure in a step; by default 1.25 max_iter.
        tolerance_grad: stop where no gradient is larger.
        tolerance_change: stop where neither parameters nor loss change by more.
        history_size: changes that are kept.
        line_search_fn: None, or "strong_wolfe".

    Source: Nocedal and Wright, "Numerical Optimization", 2006: algorithms 7.4 and 3.5.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_not_negative("LBFGS", lr=lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS: there cannot be parameter groups, only one list of parameters")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _flat_grad(self) -> Tensor:
        return _C.cat([p.new_zeros(p.numel()) if p.grad is None else p.grad.detach().reshape(-1) for p in self._params])

    def _move(self, t: float, direction: Tensor) -> None:
        place = 0
        for parameter in self._params:
            count = parameter.numel()
            parameter.add_(direction[place : place + count].view_as(parameter), alpha=t)
            place += count

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Moves the parameters; `closure` computes the loss and its gradients anew. Gives the first loss."""
        group = self.param_groups[0]
        lr, tolerance_change = float(group["lr"]), group["tolerance_change"]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None, not {group['line_search_fn']!r}")
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[float, Tensor]:
            state["func_evals"] += 1
            with enable_grad():
                loss = closure()
            return float(loss), self._flat_grad()

        evals_before = state["func_evals"]
        with enable_grad():
            first_loss = closure()
        state["func_evals"] += 1
        loss, grad = float(first_loss), self._flat_grad()
        if float(grad.abs().max()) <= group["tolerance_grad"]:
            return first_loss

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, grad, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"], state["d"] = grad, loss, direction
            state["t"] = t = lr if state["n_iter"] > 1 else min(1.0, 1.0 / float(grad.abs().sum())) * lr
            slope = float(grad.dot(direction))
            if slope > -tolerance_change:
                break
            last = iteration == group["max_iter"]
            if group["line_search_fn"] is not None:
                start = [parameter.clone() for parameter in self._params]

                def at(t: float, start: list[Tensor] = start, direction: Tensor = direction) -> _Point:
                    self._move(t, direction)
                    loss, grad = evaluate()
                    for parameter, old in zip(self._params, start):
                        parameter.copy_(old)
                    return _Point(t, loss, grad, float(grad.dot(direction)))

                most = group["max_eval"] - (state["func_evals"] - evals_before)
                found = _strong_wolfe(at, _Point(0.0, loss, grad, slope), t, float(direction.abs().max()), most)
                loss_before, (t, loss, grad, _) = loss, found
                state["t"] = t
                self._move(t, direction)
            else:
                self._move(t, direction)
                loss_before = loss
                if not last:
                    loss, grad = evaluate()
            if (
                last
                or state["func_evals"] - evals_before >= group["max_eval"]
                or float(grad.abs().max()) <= group["tolerance_grad"]
                or float(direction.abs().max()) * abs(t) <= tolerance_change
                or abs(loss - loss_before) < tolerance_change
            ):
                break
        return first_loss

    @staticmethod
    def _direction(state: dict[str, Any], grad: Tensor, history_size: int) -> Tensor:
        """The negative gradient times what the history says of the inverse Hessian, which the last move is added to."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return grad.neg()
        change, move = grad.sub(state["prev_flat_grad"]), state["d"].mul(state["t"])
        curvature = change.dot(move)
        dirs, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if float(curvature) > 1e-10:
            if len(dirs) == history_size:
                del dirs[0], steps[0], ro[0]
            dirs.append(change)
            steps.append(move)
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / change.dot(change)
        return _C._optim.lbfgs_direction(grad, dirs, steps, [float(r) for r in ro], float(state["H_diag"]))


def _lowest_between(a: _Point, b: _Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds; their middle if it is nowhere."""
    if a.t > b.t:
        a, b = b, a
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t) if a.t != b.t else math.nan
    square = mean * mean - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = math.sqrt(square)
    below = b.slope - a.slope + 2 * root
    t = b.t - (b.t - a.t) * ((b.slope + root - mean) / below) if below else math.nan
    return min(max(t, low), high) if t == t else (low + high) / 2


def _strong_wolfe(
    at: Callable[[float], _Point],
    start: _Point,
    t: float,
    reach: float,
    most: int,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    tolerance: float = 1e-9,
) -> _Point:
    """A point along the direction where the loss is low enough and its slope flat enough, or the best one found.

    Args:
        t: the first step to try.
        reach: how far step 1 moves any parameter.
        most: points to try.
    """

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + decrease * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -curvature * start.slope

    # Go further until a minimum is behind the last point.
    before, point = start, at(t)
    tries = 0
    while tries < most:
        if too_high(point) or (tries > 1 and point.loss >= before.loss):
            break
        if flat(point):
            return point
        if point.slope >= 0:
            break
        t = _lowest_between(before, point, point.t + 0.01 * (point.t - before.t), point.t * 10)
        before, point = point, at(t)
        tries += 1
    else:
        before = start

    # Narrow the bracket between the two.
    low, high = (before, point) if before.loss <= point.loss else (point, before)
    stuck = False
    while tries < most and abs(high.t - low.t) * reach >= tolerance:
        left, right = min(low.t, high.t), max(low.t, high.t)
        t = _lowest_between(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # the second time so near to an end: go inwards
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = at(t)
        tries += 1
        if too_high(point) or point.loss >= low.loss:
            high = point
            if high.loss < low.loss:
                low, high = high, low
            continue
        if flat(point):
            return point
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low
