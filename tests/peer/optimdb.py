"""PyTorch's database of optimizer settings, run through tessel: python -m tests.peer.optimdb

Every setting trains the same small network from the same weights for 20 steps in both; parameters and state dicts must
agree, and each must go on from the other's state dict.
"""

import sys
import traceback

import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import tessel

from .exchange import Untranslatable, to_tessel, to_torch

STEPS = 20
SAMPLES = [(info, place, given) for info in optim_db for place, given in enumerate(info.optim_inputs_func("cpu"))]
ERRORS = [
    (info, place, given)
    for info in optim_db
    for place, given in enumerate(info.optim_error_inputs_func("cpu", torch.float32))
]


class Run:
    """A network of one library and its optimizer; matrices alone where the optimizer wants them so."""

    def __init__(self, home, name, settings):
        generator = torch.Generator().manual_seed(5)
        shapes = [(6, 4), (6,), (3, 6), (3,)] if name != "Muon" else [(6, 4), (1, 6), (3, 6), (1, 3)]
        values = [torch.randn(shape, generator=generator) * 0.5 for shape in shapes]
        data = [torch.randn(shape, generator=generator) for shape in ((16, 4), (16, 3))]
        if name == "LBFGS":  # it multiplies differences of rounding from move to move
            values, data = [v.double() for v in values], [v.double() for v in data]
        self.home = home
        self.given = (lambda t: t) if home is torch else to_tessel
        self.params = [home.nn.Parameter(self.given(value.clone())) for value in values]
        self.x, self.y = map(self.given, data)
        self.optimizer = getattr(home.optim, name)(self.params, **self.given(settings))

    def loss(self):
        w1, b1, w2, b2 = self.params
        hidden = self.home.tanh(self.x @ w1.t() + b1)
        return ((hidden @ w2.t() + b2 - self.y) ** 2).mean()

    def closure(self):
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        return loss

    def steps(self, count):
        for _ in range(count):
            self.optimizer.step(self.closure)

    def state(self):
        state = self.optimizer.state_dict()
        return state if self.home is torch else in_torch(state)


def in_torch(state):
    """A state dict as PyTorch has it; lists stay lists."""
    if isinstance(state, dict):
        return {key: in_torch(value) for key, value in state.items()}
    return [in_torch(value) for value in state] if isinstance(state, list) else to_torch(state)


def compare(theirs, ours, place="state_dict"):
    """Two states in the form of PyTorch: the same keys, the same numbers."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, torch.Tensor), f"{place}: a tensor there, {type(ours).__name__} here"
        assert theirs.dtype == ours.dtype and theirs.shape == ours.shape, f"{place}: {theirs.dtype} {ours.dtype}"
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-5, msg=lambda m: f"{place}: {m}")
    elif isinstance(theirs, dict):
        there, here = set(theirs) - CACHES, set(ours) - CACHES
        assert there == here, f"{place}: {there - here} are missing, {here - there} too many"
        for key in there:
            compare(theirs[key], ours[key], f"{place}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert len(theirs) == len(ours), place
        for i, (a, b) in enumerate(zip(theirs, ours)):
            compare(a, b, f"{place}[{i}]")
    elif isinstance(theirs, float):
        assert abs(theirs - ours) <= 2e-4 * abs(theirs) + 2e-5, f"{place}: {theirs} there, {ours} here"
    else:
        assert theirs == ours, f"{place}: {theirs} there, {ours} here"


CACHES = {"al"}  # what LBFGS in PyTorch computes anew in every step


def loose(state):
    """A state of LBFGS in a form that compares: numbers may be tensors there."""
    if isinstance(state, dict):
        return {key: loose(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [loose(value) for value in state]
    return float(state) if isinstance(state, torch.Tensor) and state.dim() == 0 else state


def check(info, given):
    """Raises where the two libraries part."""
    name, settings = info.optim_cls.__name__, dict(given.kwargs)
    theirs, ours = Run(torch, name, settings), Run(tessel, name, settings)
    if info.only_supports_sparse_grads:  # there are none here; both refuse dense ones
        for run in (theirs, ours):
            run.closure()
            try:
                run.optimizer.step()
            except RuntimeError:
                continue
            raise AssertionError(f"{run.home.__name__} takes dense gradients")
        return
    form = loose if name == "LBFGS" else lambda state: state
    steps = 3 if name == "LBFGS" else STEPS  # each of which moves 20 times
    theirs.steps(steps)
    ours.steps(steps)
    agree(theirs, ours, form)
    # Each goes on from what the other has saved.
    saved = theirs.state()
    theirs.optimizer.load_state_dict(ours.state())
    ours.optimizer.load_state_dict(to_tessel(saved))
    for run, other in ((theirs, ours), (ours, theirs)):
        values = [to_torch(p) if other.home is tessel else p.detach().clone() for p in other.params]
        with run.home.no_grad():
            for parameter, value in zip(run.params, values):
                parameter.copy_(run.given(value))
    theirs.steps(2)
    ours.steps(2)
    agree(theirs, ours, form)


def agree(theirs, ours, form):
    for place, (a, b) in enumerate(zip(theirs.params, ours.params)):
        compare(a.detach(), to_torch(b), f"parameter {place}")
    compare(form(theirs.state()), form(ours.state()))


def same_tensors(params, made):
    """The parameters in tessel; one that stands there twice is one here too."""
    if isinstance(params, torch.Tensor):
        if id(params) not in made:
            made[id(params)] = to_tessel(params)
        return made[id(params)]
    if isinstance(params, dict):
        return {key: same_tensors(value, made) for key, value in params.items()}
    return type(params)(same_tensors(p, made) for p in params) if isinstance(params, (list, tuple)) else params


def check_error(info, given):
    """Tessel must raise where PyTorch does; PyTorch's warning of what will be an error is one here already."""
    name = info.optim_cls.__name__
    wanted = given.error_type if not issubclass(given.error_type, Warning) else (ValueError, Warning)
    faulty = given.optimizer_error_input
    try:
        params = [torch.nn.Parameter(torch.randn(2, 3)) for _ in range(2)] if faulty.params is None else faulty.params
        optimizer = getattr(tessel.optim, name)(same_tensors(params, {}), **to_tessel(faulty.kwargs))
        if given.error_on is OptimizerErrorEnum.STEP_ERROR:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = tessel.rand_like(parameter)
            optimizer.step()
    except wanted:
        return
    raise AssertionError(f"{name} raises nothing: {faulty.desc}")


def main():
    failed = 0
    for kind, samples, run in (("settings", SAMPLES, check), ("errors", ERRORS, check_error)):
        wrong, left_out = 0, {}
        for info, place, given in samples:
            try:
                run(info, given)
            except Untranslatable as what:
                left_out[str(what)] = left_out.get(str(what), 0) + 1
            except Exception as error:
                wrong += 1
                what = given.kwargs if kind == "settings" else given.optimizer_error_input.desc
                print(f"{info.name} {place} {what}: {type(error).__name__}: {str(error)[:600]}")
                if "--verbose" in sys.argv:
                    traceback.print_exc()
        count = len(samples) - sum(left_out.values())
        told = "".join(f"; {n} left out: {what} is not there" for what, n in left_out.items())
        print(f"{kind}: {count - wrong} of {count}{told}")
        failed += wrong
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
