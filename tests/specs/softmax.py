"""softmax and its logarithm along one dimension."""

import numpy as np

from . import Spec, case, error, given, mask, rand


def log_softmax(x, dim, dtype=None):
    if x.size == 0:
        return x
    with np.errstate(all="ignore"):
        x = x - np.max(x, dim, keepdims=True)
        return x - np.log(np.sum(np.exp(x), dim, keepdims=True))


def softmax(x, dim, dtype=None):
    return np.exp(log_softmax(x, dim))


CASES = [
    case(rand(3, 4), 1),
    case(rand(3, 4), 0),
    case(rand(2, 3, 4), -2),
    case(rand(), 0),
    case(rand(5), -1),
    case(rand(0, 3), 1),
    case(rand(3, 0), 1),
    case(rand(2, 1), dim=1),
    case(rand(2, 133), 1),
    case(given([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]), 1),
    case(given([[0.0, -np.inf, 1.0], [-np.inf, 0.0, -np.inf]]), 1),
]
ERRORS = [
    error(IndexError, ".*2", rand(3, 4), 2),
    error(IndexError, ".*-3", rand(3, 4), -3),
]
ONLY_FLOATS = [error(RuntimeError, "", mask(3, 4), 1)]
LARGE = case(rand(300, 501), 1)
BENCH = [case(rand(32, 10), 1), case(rand(128, 1024), 1), case(rand(1024, 128), 0)]

SPECS = [
    Spec("softmax", softmax, CASES, out=True, errors=ERRORS + ONLY_FLOATS, large=LARGE, bench=BENCH),
    Spec("log_softmax", log_softmax, CASES, out=True, errors=ERRORS + ONLY_FLOATS, large=LARGE, bench=BENCH),
    Spec("nn.functional.softmax", softmax, CASES[:2], method=False, errors=ERRORS),
    Spec("nn.functional.log_softmax", log_softmax, CASES[:2], method=False, errors=ERRORS),
    Spec("nn.functional.softmin", lambda x, dim: softmax(-x, dim), CASES[:3], method=False),
]
