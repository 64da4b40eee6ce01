"""Speed measured side by side: `python -m benchmarks` times the same code over tessel and over PyTorch.

A case is a function of the library it is handed; it prepares its inputs and returns what is to be timed:

    @case("softmax, 4096x1024")
    def softmax(torch):
        x = floats(torch, 4096, 1024)
        return lambda: x.softmax(-1)

The modules that GROUPS names hold the cases, worker.py times them, __main__.py makes two workers take turns, report.py
shows what came out.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Modules of cases, in the order they are reported in.
GROUPS = ("ops", "elementwise", "rows", "picking", "gemm", "conv", "rnn", "attention", "optim", "models", "growth")


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[Any], Callable[[], Any]]  # library -> the callable to time; its first result is compared
    group: str
    aim: float | None = None  # the engine's time over the rival's, at most
    curve: tuple[str, int] | None = None  # the curve that the case is a point of, and its size


CASES: dict[str, Case] = {}


def load_cases():
    """Fills CASES with what the modules of GROUPS register."""
    for group in GROUPS:
        importlib.import_module(f"benchmarks.{group}")


def case(name: str, aim: float | None = None, curve: tuple[str, int] | None = None):
    """Registers the function below it as a case; its group is the module it stands in."""

    def register(build):
        if name in CASES:
            raise ValueError(f"two cases are called {name!r}")
        CASES[name] = Case(name, build, build.__module__.rsplit(".", 1)[-1], aim, curve)
        return build

    return register


def floats(torch, *shape: int, grad: bool = False, seed: int = 0):
    """A float32 tensor of normal numbers, the same for every library."""
    x = torch.from_numpy(np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32))
    return x.requires_grad_() if grad else x


def integers(torch, *shape: int, below: int):
    """An int64 tensor of numbers in [0, below), the same for every library."""
    return torch.from_numpy(np.random.default_rng([below, *shape]).integers(0, below, shape))
