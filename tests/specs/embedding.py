"""Rows of a table, by their numbers."""

from . import Spec, case, error, given, ints, rand

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
]
