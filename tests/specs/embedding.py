"""Rows of a table, by their numbers."""

import numpy as np

from . import Spec, case, error, given, ints, rand

# of bags in six numbers; the second bag is empty, and the last offset may be their end
OFFSETS = given([0, 2, 2, 6], "int64")


def embedding_bag(
    i, weight, offsets=None, mode="mean", include_last_offset=False, padding_idx=None, per_sample_weights=None
):
    bags = list(i) if offsets is None else np.split(i, offsets[1:])[: len(offsets) - include_last_offset]
    scales = np.ones((len(bags), 1)) if per_sample_weights is None else per_sample_weights
    fold = {"sum": lambda rows: rows.sum(0), "mean": lambda rows: rows.mean(0), "max": lambda rows: rows.max(0)}[mode]
    y = np.zeros((len(bags), weight.shape[1]))
    for n, bag in enumerate(bags):
        rows = (weight[bag] * np.broadcast_to(scales[n], bag.shape)[:, None])[bag != padding_idx]
        y[n] = fold(rows) if len(rows) else 0
    return y


SPECS = [
    Spec(
        "nn.functional.embedding",
        lambda x, w, padding_idx=None, **more: w[x],
        [
            case(ints(2, 3, high=5), rand(5, 4)),
            case(ints(high=5), rand(5, 4)),
            case(ints(0, high=5), rand(5, 4)),
            case(given([1, 1, 1, 4], "int64"), rand(5, 3)),
            case(ints(7, high=5), rand(5, 1)),
        ],
        method=False,
        layouts=("transposed", "stepped"),
        large=case(ints(6000, high=97), rand(97, 33)),
        bench=[case(ints(64, 128, high=10_000), rand(10_000, 64))],
        errors=[
            error(IndexError, ".*", given([5], "int64"), rand(5, 4)),
            error(IndexError, ".*", given([-1], "int64"), rand(5, 4)),
            error((RuntimeError, TypeError), ".*", rand(2), rand(5, 4)),
        ],
    ),
    Spec(
        "nn.functional.embedding_bag",
        embedding_bag,
        [
            *(case(ints(3, 4, high=5), rand(5, 2), mode=mode) for mode in ("sum", "mean", "max")),
            *(case(ints(6, high=5), rand(5, 2), OFFSETS, mode=mode) for mode in ("sum", "mean", "max")),
            case(ints(6, high=5), rand(5, 2), OFFSETS, include_last_offset=True),
            case(ints(3, 4, high=5), rand(5, 2), padding_idx=2),
            case(ints(3, 4, high=5), rand(5, 2), mode="sum", per_sample_weights=rand(3, 4)),
        ],
        method=False,
        tolerance={"float32": (1e-5, 1e-5)},
        layouts=("transposed", "stepped"),
        errors=[
            error(ValueError, ".*", ints(6, high=5), rand(5, 2)),
            error(ValueError, ".*", ints(3, 4, high=5), rand(5, 2), OFFSETS),
            error(ValueError, ".*", ints(3, 4, high=5), rand(5, 2), mode="product"),
        ],
    ),
]
