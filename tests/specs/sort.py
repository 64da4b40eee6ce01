"""Sorting and searching. Where values tie, only a stable order is promised, so inputs do not tie unless stable."""

import numpy as np

from . import ALL, NUMBERS, Spec, case, distinct, error, given, ints, rand

NO_TIES = ("transposed", "stepped")
ROWS = [
    case(distinct(3, 5), 1),
    case(distinct(4, 3), 0),
    case(distinct(2, 3, 4), -2),
    case(distinct(), 0),
    case(distinct(0, 3), 0),
    case(distinct(3, 1), 1),
    case(distinct(2, 57), 1),
]


def ordered(x, dim=-1, descending=False, stable=False):
    if x.ndim == 0:
        return x, np.zeros((), np.int64)
    key = x.astype(np.int64) if x.dtype == bool else x
    order = np.argsort(-key.astype(np.float64) if descending else key, dim, kind="stable")
    return np.take_along_axis(x, order, dim), order


def topk(x, k, dim=-1, largest=True, sorted=True):
    if x.ndim == 0:
        return x, np.zeros((), np.int64)
    values, order = ordered(x, dim, largest)
    return values.take(range(k), dim), order.take(range(k), dim)


def kthvalue(x, k, dim=-1, keepdim=False):
    if x.ndim == 0:
        return x, np.zeros((), np.int64)
    values, order = ordered(x, dim)
    taken = values.take([k - 1], dim), order.take([k - 1], dim)
    return taken if keepdim else tuple(np.squeeze(t, dim) for t in taken)


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    kept = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    inverse = kept[1].reshape(x.shape if dim is None else -1)
    made = [kept[0]] + [inverse] * return_inverse + [kept[2]] * return_counts
    return made if len(made) > 1 else made[0]


def unique_consecutive(x, return_inverse=False, return_counts=False, dim=None):
    flat = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    fresh = np.array([i == 0 or not np.array_equal(flat[i], flat[i - 1]) for i in range(len(flat))], bool)
    starts = np.flatnonzero(fresh)
    inverse = (np.cumsum(fresh) - 1).reshape(x.shape if dim is None else -1)
    values = flat[starts] if dim is None else np.moveaxis(flat[starts], 0, dim)
    made = [values] + [inverse] * return_inverse + [np.diff(np.append(starts, len(flat)))] * return_counts
    return made if len(made) > 1 else made[0]


def searchsorted(edges, values, right=False):
    if edges.ndim == 1:
        return np.searchsorted(edges, values, "right" if right else "left")
    return np.stack([np.searchsorted(e, v, "right" if right else "left") for e, v in zip(edges, values)])


STABLE = [
    case(given([3.0, 1.0, 3.0, 1.0, 2.0]), stable=True),
    case(given([3.0, 1.0, 3.0, 1.0]), descending=True, stable=True),
]
NAN = [case(given([2.0, np.nan, -np.inf, 1.0, np.inf, -0.5]))]

SPECS = [
    Spec(
        "sort",
        ordered,
        [*ROWS, case(distinct(5), descending=True), case(distinct(3, 5), 1, descending=True), *STABLE, *NAN],
        dtypes=NUMBERS,
        result=("same", "int64"),
        layouts=NO_TIES,
        large=case(distinct(101, 701), 1),
        bench=[case(rand(1 << 18)), case(rand(512, 512), 0)],
        errors=[error(IndexError, ".*2", rand(3, 4), 2)],
    ),
    Spec(
        "argsort",
        lambda *a, **k: ordered(*a, **k)[1],
        [*ROWS[:4], case(distinct(5), descending=True), *STABLE],
        dtypes=NUMBERS,
        result="int64",
        differentiable=False,
        layouts=NO_TIES,
        errors=[error(IndexError, ".*2", rand(3, 4), 2)],
    ),
    Spec("msort", lambda x: np.sort(x, 0), [case(distinct(4, 3))], dtypes=NUMBERS),
    Spec(
        "topk",
        topk,
        [
            case(distinct(3, 5), 2),
            case(distinct(4, 3), 3, 0),
            case(distinct(5), 2, largest=False),
            case(distinct(5), 0),
            case(distinct(5), 5),
            case(distinct(), 1),
            case(distinct(2, 3, 4), 2, 1),
        ],
        dtypes=NUMBERS,
        result=("same", "int64"),
        layouts=NO_TIES,
        large=case(distinct(101, 701), 20, 1),
        bench=[case(rand(64, 4096), 10)],
        errors=[error(RuntimeError, ".*", rand(3, 4), 5), error(RuntimeError, ".*", rand(3, 4), -1)],
    ),
    Spec(
        "kthvalue",
        kthvalue,
        [case(distinct(3, 5), 2), case(distinct(4, 3), 3, 0), case(distinct(5), 1, keepdim=True), case(distinct(), 1)],
        dtypes=NUMBERS,
        result=("same", "int64"),
        layouts=NO_TIES,
        errors=[error(RuntimeError, ".*", rand(3, 4), 5), error(RuntimeError, ".*", rand(3, 4), 0)],
    ),
    Spec(
        "unique",
        unique,
        [
            case(ints(20, high=6)),
            case(given([[2.0, 1.0], [2.0, 5.0]])),
            case(ints(3, 4, high=5), return_inverse=True),
            case(ints(20, high=6), return_inverse=True, return_counts=True),
            case(given([[1, 2], [1, 2], [0, 5]], "int64"), dim=0),
            case(given([[1, 2, 1], [3, 4, 3]], "int64"), return_inverse=True, return_counts=True, dim=1),
            case(ints(0)),
        ],
        dtypes=ALL,
        result=None,
        differentiable=False,
        errors=[error(IndexError, ".*", rand(3), dim=2)],
    ),
    Spec(
        "unique_consecutive",
        unique_consecutive,
        [
            case(given([1, 1, 2, 2, 1], "int64")),
            case(given([1, 1, 2, 2, 1], "int64"), return_inverse=True, return_counts=True),
            case(given([[1, 1], [1, 1], [2, 2]], "int64"), dim=0),
        ],
        dtypes=("int64",),
        result=None,
        differentiable=False,
    ),
    Spec(
        "searchsorted",
        searchsorted,
        [
            case(given([1.0, 3.0, 5.0]), rand(3, 4)),
            case(given([1.0, 3.0, 3.0, 5.0]), given([3.0, 0.0, 9.0]), right=True),
            case(given([[1.0, 2.0], [3.0, 4.0]]), given([[2.0, 9.0], [2.0, 4.0]])),
        ],
        dtypes=("float32", "float64"),
        result="int64",
        differentiable=False,
        method=False,
        layouts=(),
    ),
    Spec(
        "bucketize",
        lambda x, edges, right=False: np.searchsorted(edges, x, "right" if right else "left"),
        [
            case(rand(3, 4), given([-1.0, 0.0, 2.0])),
            case(given([3.0, 0.0, 9.0, np.nan]), given([1.0, 3.0, 3.0, 5.0])),
            case(given([3.0, 0.0, 9.0]), given([1.0, 3.0, 3.0, 5.0]), right=True),
            case(rand(), given([1.0, 2.0])),
        ],
        dtypes=("float32", "float64", "int64", "int32"),
        result="int64",
        differentiable=False,
        method=False,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3), rand(3, 4))],
    ),
    Spec(
        "isin",
        np.isin,
        [case(ints(3, 4, high=9), ints(3, high=9)), case(ints(3, 4, high=9), ints(3, high=9), invert=True)],
        dtypes=("int64",),
        result="bool",
        differentiable=False,
        method=False,
    ),
]
