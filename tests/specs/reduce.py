"""Reductions over any dimensions, and the running ones along one."""

import numpy as np

from . import (
    ALL,
    DISCRETE,
    FLOATS,
    INTS,
    NUMBERS,
    Dtype,
    Spec,
    case,
    distinct,
    error,
    given,
    nonzero,
    positive,
    rand,
)

# dim as PyTorch users give it; each joins keepdim False and True below
SHAPES = [
    case(rand(3, 4)),
    case(rand()),
    case(rand(2, 3, 4), 1),
    case(rand(2, 3, 4), -1, keepdim=True),
    case(rand(2, 3, 4), (0, 2)),
    case(rand(2, 3, 4), dim=(0, 1), keepdim=True),
    case(rand(2, 3, 4, 2), dim=(1, -1)),
    case(rand(), 0),
    case(rand(3, 0), 0),
    case(rand(37, 19), 0),
    case(rand(5, 133), 1),
]
EMPTY = [case(rand(0)), case(rand(3, 0)), case(rand(3, 0), 1), case(rand(0, 3), 1, keepdim=True)]
LARGE = case(rand(301, 1003), 1)
BENCH = [case(rand(1 << 20)), case(rand(1024, 1024), 0), case(rand(1024, 1024), 1)]
WRONG_DIM = [error(IndexError, ".*2", rand(3, 4), 2), error(IndexError, ".*-3", rand(3, 4), -3)]
DIM_TWICE = [error(RuntimeError, ".*dim", rand(3, 4), (0, 0))]


def over(dim):
    """dim as numpy's axis: an empty tuple means all, as PyTorch has it."""
    return None if dim is None or dim == () else tuple(dim) if isinstance(dim, (list, tuple)) else dim


def along(f):
    """numpy's f(x, axis=, keepdims=) with PyTorch's names; a 0-d tensor has one dimension."""

    def reference(x, dim=None, keepdim=False, dtype=None, **more):
        x = x if dtype is None else x.astype(dtype if dtype in INTS else np.float64)
        if x.ndim == 0:
            return f(x.reshape(1), axis=0, keepdims=False, **more)
        with np.errstate(all="ignore"):
            return f(x, axis=over(dim), keepdims=keepdim, **more)

    return reference


def reduction(name, f, cases=(), **more):
    more = {"out": False, "errors": WRONG_DIM + DIM_TWICE, "large": LARGE, "bench": BENCH, **more}
    return Spec(name, along(f), [*SHAPES, *cases], **more)


def retyped(cases, x):
    """The cases with their inputs drawn by another helper."""
    return [case(x(*c.args[0].shape), *c.args[1:], **c.kwargs) for c in cases]


def moment(power):
    def f(x, axis, keepdims, correction=1):
        count = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
        mean = x.mean(axis, keepdims=True)
        square = np.sum(np.abs(x - mean) ** 2, axis, keepdims=keepdims)
        return (square / np.maximum(count - correction, 0)) ** power

    return f


def with_mean(power):
    value, mean = along(moment(power)), along(lambda x, axis, keepdims, correction=1: x.mean(axis, keepdims=keepdims))
    return lambda *args, **kwargs: (value(*args, **kwargs), mean(*args, **kwargs))


def logsumexp(x, axis, keepdims):
    if x.size == 0:
        return np.log(np.sum(np.exp(x), axis, keepdims=keepdims))
    top = np.max(x, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    y = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


def norm(x, p=2, dim=None, keepdim=False):
    x, axis = (x.reshape(1), 0) if x.ndim == 0 else (x, over(dim))
    p = 2 if p in ("fro", None) else p
    a = np.abs(x)
    if p == np.inf:
        return np.max(a, axis, keepdims=keepdim)
    if p == -np.inf:
        return np.min(a, axis, keepdims=keepdim)
    if p == 0:
        return np.sum(a != 0, axis, keepdims=keepdim).astype(np.float64)
    return np.sum(a**p, axis, keepdims=keepdim) ** (1 / p)


def vector_norm(x, ord=2, dim=None, keepdim=False):
    return norm(x, ord, dim, keepdim)


def extreme(value, index):
    """max and min: of everything; along dim with the index; of two tensors."""

    def f(x, dim=None, keepdim=False):
        if isinstance(dim, np.ndarray):
            return (np.maximum if value is np.max else np.minimum)(x, dim)
        if dim is None:
            return value(x)
        x, dim = (x.reshape(1), 0) if x.ndim == 0 else (x, dim)
        keep = keepdim and x.ndim > 0
        return value(x, dim, keepdims=keep), index(x, dim, keepdims=keep)

    return f


def indexed(index):
    def f(x, dim=None, keepdim=False):
        return np.asarray(
            index(
                x.reshape(-1) if dim is None or x.ndim == 0 else x,
                axis=0 if x.ndim == 0 else dim,
                keepdims=keepdim and x.ndim > 0,
            )
        )

    return f


def running(f):
    def reference(x, dim, dtype=None):
        if x.ndim == 0:
            return x if x.dtype != bool else x.astype(np.int64)
        return f(x.astype(np.int64) if x.dtype.kind in "iub" else x, axis=dim)

    return reference


def running_extreme(better):
    def reference(x, dim):
        if x.ndim == 0:
            return x, np.zeros((), np.int64)
        moved = np.moveaxis(x, dim, 0)
        values, places = moved.copy(), np.zeros(moved.shape, np.int64)
        for i in range(1, len(moved)):
            wins = better(moved[i], values[i - 1]) | np.isnan(np.asarray(moved[i], np.float64))
            values[i] = np.where(wins, moved[i], values[i - 1])
            places[i] = np.where(wins, i, places[i - 1])
        return np.moveaxis(values, 0, dim), np.moveaxis(places, 0, dim)

    return reference


def logcumsumexp(x, axis):
    return np.logaddexp.accumulate(x, axis)


def median(x, dim=None, keepdim=False):
    if dim is None:
        return np.sort(x.reshape(-1))[(x.size - 1) // 2]
    order = np.argsort(x, dim, kind="stable").take([(x.shape[dim] - 1) // 2], dim)
    value = np.take_along_axis(x, order, dim)
    return (value, order) if keepdim else (np.squeeze(value, dim), np.squeeze(order, dim))


def nanmedian(x, dim=None, keepdim=False):
    if dim is None:
        kept = np.sort(x[~np.isnan(x)])
        return kept[(len(kept) - 1) // 2]
    rows = np.moveaxis(x, dim, -1)
    place = np.empty(rows.shape[:-1], np.int64)
    for at in np.ndindex(*place.shape):
        kept = np.flatnonzero(~np.isnan(rows[at]))
        place[at] = kept[np.argsort(rows[at][kept])[(len(kept) - 1) // 2]]
    value = np.take_along_axis(rows, place[..., None], -1)[..., 0]
    return (np.expand_dims(value, dim), np.expand_dims(place, dim)) if keepdim else (value, place)


def mode(x, dim=-1):
    """The most frequent value, the smallest of several, and where it stands last."""
    rows = np.moveaxis(x, dim, -1)
    value, place = np.empty(rows.shape[:-1], x.dtype), np.empty(rows.shape[:-1], np.int64)
    for at in np.ndindex(*place.shape):
        seen, counts = np.unique(rows[at], return_counts=True)
        value[at] = seen[counts.argmax()]
        place[at] = np.flatnonzero(rows[at] == value[at])[-1]
    return value, place


def quantile(f):
    return lambda x, q, dim=None, keepdim=False, interpolation="linear": f(
        x, q, dim, keepdims=keepdim, method=interpolation
    )


def truth(f):
    return lambda x, axis, keepdims: f(x != 0, axis=axis, keepdims=keepdims)


def diff(x, n=1, dim=-1, prepend=None, append=None):
    return np.diff(np.concatenate([part for part in (prepend, x, append) if part is not None], dim), n, dim)


def slices(y, x=None, dx=1.0, dim=-1):
    """The area between each two neighbouring samples."""
    y = np.moveaxis(y, dim, -1)
    widths = dx if x is None else np.diff(x if x.ndim == 1 else np.moveaxis(x, dim, -1))
    return np.moveaxis((y[..., 1:] + y[..., :-1]) / 2 * widths, -1, dim)


def trapezoid(y, x=None, dx=1.0, dim=-1):
    return slices(y, x, dx, dim).sum(dim)


def cumulative_trapezoid(y, x=None, dx=1.0, dim=-1):
    return slices(y, x, dx, dim).cumsum(dim)


def sum_to_size(x, *size):
    size = size[0] if len(size) == 1 and isinstance(size[0], tuple) else size
    y = x.sum(tuple(range(x.ndim - len(size))))
    return y.sum(tuple(i for i, n in enumerate(size) if n == 1), keepdims=True)


def cov(x, correction=1, fweights=None, aweights=None):
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


def distance(a, b, p):
    """The p-norm over the last dimension of a - b."""
    d = np.abs(a - b)
    if p == 0:
        return (d != 0).sum(-1).astype(d.dtype)
    return d.max(-1, initial=0) if p == np.inf else (d**p).sum(-1) ** (1 / p)


def cdist(a, b, p=2.0, compute_mode=None):
    return distance(a[..., :, None, :], b[..., None, :, :], p)


def pairwise_distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    d = distance(a + eps, b, p)
    return d[..., None] if keepdim else d


def pdist(x, p=2.0):
    first, second = np.triu_indices(len(x), 1)
    return distance(x[first], x[second], p)


def renorm(x, p, dim, maxnorm):
    others = tuple(d for d in range(x.ndim) if d != dim % x.ndim)
    long = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
    return x * np.where(long > maxnorm, maxnorm / (long + 1e-7), 1.0)


def cosine_similarity(a, b, dim=1, eps=1e-8):
    a, b = np.broadcast_arrays(a, b)
    long = lambda x: np.maximum(np.sqrt((x * x).sum(dim)), eps)
    return (a * b).sum(dim) / (long(a) * long(b))


SUMS_DTYPE = [
    case(rand(3, 4), dtype=Dtype("float64")).of(DISCRETE),
    case(rand(3, 4), 1, dtype=Dtype("float64")).of(DISCRETE),
]
ROWS = [
    case(distinct(3, 4), 1),
    case(distinct(2, 3, 4), -2, keepdim=True),
    case(distinct(4, 7), 0),
    case(distinct(), 0),
]
ALONG = [
    case(rand(3, 4), 1),
    case(rand(2, 3, 4), -2),
    case(rand(2, 3, 4), dim=0),
    case(rand(), 0),
    case(rand(3, 0), 1),
    case(rand(0, 3), 1),
    case(rand(3, 70), 1),
]
SUM_TOLERANCE = {"float32": (1e-5, 1e-5), "float16": (4e-3, 8e-3), "bfloat16": (2e-2, 3e-2)}

SUMS = [
    reduction("sum", np.sum, [*EMPTY, case(rand(2, 3), ())], dtypes=ALL, result="sum", tolerance=SUM_TOLERANCE),
    Spec(
        "nansum",
        along(np.nansum),
        [case(rand(3, 4)), case(rand(3, 4), 1), case(given([[1.0, np.nan], [np.nan, np.nan]]), 1)],
        dtypes=ALL,
        result="sum",
        large=LARGE,
        tolerance=SUM_TOLERANCE,
    ),
    reduction(
        "mean",
        np.mean,
        [case(rand(0)), case(rand(3, 0), 1)],
        tolerance=SUM_TOLERANCE,
        errors=WRONG_DIM + [error(RuntimeError, "(?i).*(dtype|int64|long|float)", given([1, 2], "int64"))],
    ),
    Spec(
        "nanmean",
        along(np.nanmean),
        [case(rand(3, 4)), case(rand(3, 4), 1), case(given([[1.0, np.nan], [3.0, 4.0]]), 1)],
        tolerance=SUM_TOLERANCE,
    ),
    Spec(
        "prod",
        along(np.prod),
        [
            case(rand(3, 4)),
            case(rand()),
            case(rand(2, 3, 4), 1),
            case(rand(2, 3), -1, keepdim=True),
            case(given([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]]), 1),
            *EMPTY,
            case(nonzero(5), dim=0),
        ],
        dtypes=ALL,
        result="sum",
        large=case(positive(300, 1001, low=0.99, high=1.01), 1),
        errors=WRONG_DIM,
        tolerance={"float32": (2e-5, 2e-5), "float16": (4e-3, 4e-3), "bfloat16": (3e-2, 3e-2)},
    ),
    reduction(
        "var",
        moment(1),
        [case(rand(3, 4), correction=0), case(rand(3, 4), 1, correction=2), case(rand(1, 3), 0)],
        tolerance=SUM_TOLERANCE,
    ),
    reduction(
        "std",
        moment(0.5),
        [case(rand(3, 4), correction=0), case(rand(3, 4), 1, correction=2)],
        tolerance=SUM_TOLERANCE,
        twice=True,
    ),
    Spec(
        "var_mean",
        with_mean(1),
        SHAPES[:8] + [case(rand(3, 4), 1, correction=0)],
        method=False,
        large=LARGE,
        tolerance=SUM_TOLERANCE,
    ),
    Spec(
        "std_mean",
        with_mean(0.5),
        [case(rand(3, 4)), case(rand(3, 4), 1, keepdim=True)],
        method=False,
        tolerance=SUM_TOLERANCE,
    ),
    Spec(
        "logsumexp",
        along(logsumexp),
        [c for c in SHAPES if len(c.args) > 1 or c.kwargs] + [case(given([[1e4, 1e4], [-np.inf, -np.inf]]), 1)],
        large=LARGE,
        errors=WRONG_DIM,
        tolerance={"bfloat16": (2e-2, 2e-2)},
    ),
    Spec(
        "count_nonzero",
        lambda x, dim=None: np.count_nonzero(x, over(dim)),
        [
            case(rand(3, 4)),
            case(rand(3, 4), 1),
            case(rand(2, 3, 4), (0, 2)),
            case(rand()),
            case(given([0.0, -0.0, np.nan])),
        ],
        dtypes=ALL,
        result="int64",
        differentiable=False,
        large=LARGE,
    ),
]

NORMS = [
    Spec(
        "norm",
        norm,
        [
            case(rand(3, 4)),
            case(rand(3, 4), 2, 1),
            case(rand(3, 4), 1, 0),
            case(rand(3, 4), p=3, dim=(0, 1)),
            case(rand()),
            case(rand(3, 4), float("inf"), 1),
            case(rand(3, 4), float("-inf")),
            case(rand(3, 4), 0),
            case(rand(3, 4), "fro"),
            case(rand(0)),
        ],
        large=case(rand(301, 1003), 2, 1),
        tolerance=SUM_TOLERANCE,
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "linalg.vector_norm",
        vector_norm,
        [
            case(rand(3, 4)),
            case(rand(3, 4), 1.5, 1),
            case(rand(2, 3, 4), 2, (0, 2), keepdim=True),
            case(rand(3, 4), float("inf"), 0),
        ],
        method=False,
        tolerance=SUM_TOLERANCE,
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "linalg.norm",
        lambda x, ord=2, dim=None, keepdim=False: norm(x, ord, dim, keepdim),
        [case(rand(3, 4)), case(rand(5), 1), case(rand(3, 4), 2, 1)],
        method=False,
        tolerance=SUM_TOLERANCE,
    ),
    Spec(
        "linalg.matrix_norm",
        lambda x, ord="fro", dim=(-2, -1), keepdim=False: np.linalg.norm(x, ord, dim, keepdim),
        [
            case(rand(3, 4)),
            case(rand(2, 3, 4), keepdim=True),
            *(case(rand(2, 3, 4), o) for o in (1, -1, float("inf"), -float("inf"))),
            case(rand(2, 3, 4), 1, (0, 2)),
        ],
        method=False,
        tolerance=SUM_TOLERANCE,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3))],
    ),
    Spec(
        "dist",
        lambda a, b, p=2: norm(a - b, p),
        [case(rand(3, 4), rand(3, 4)), case(rand(3, 4), rand(4), 1)],
        tolerance=SUM_TOLERANCE,
    ),
]

EXTREMES = [
    reduction(
        "amax",
        np.max,
        dtypes=ALL,
        errors=WRONG_DIM + [error(IndexError, ".*", rand(3, 0), 1)],
        layouts=("transposed", "stepped"),
    ),
    reduction("amin", np.min, dtypes=ALL, errors=WRONG_DIM, layouts=("transposed", "stepped")),
    Spec(
        "aminmax",
        lambda x, dim=None, keepdim=False: (along(np.min)(x, dim, keepdim), along(np.max)(x, dim, keepdim)),
        [case(distinct(3, 4)), case(distinct(3, 4), dim=1), case(distinct(2, 3), dim=0, keepdim=True)],
        dtypes=ALL,
    ),
    Spec(
        "max",
        extreme(np.max, np.argmax),
        [
            case(distinct(3, 4)),
            case(rand()),
            *ROWS,
            case(rand(3, 4), rand(4)),
            case(given([1.0, np.nan, 3.0])),
            case(given([[2.0, 5.0, 5.0]]), 1),
        ],
        dtypes=ALL,
        result=("same", "int64"),
        large=case(rand(301, 1003), 1),
        errors=WRONG_DIM + [error(RuntimeError, ".*", rand(0)), error(IndexError, ".*", rand(3, 0), 1)],
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "min",
        extreme(np.min, np.argmin),
        [
            case(distinct(3, 4)),
            case(rand()),
            *ROWS,
            case(rand(3, 4), rand(4)),
            case(given([1.0, np.nan, 3.0])),
            case(given([[5.0, 2.0, 2.0]]), 1),
        ],
        dtypes=ALL,
        result=("same", "int64"),
        large=case(rand(301, 1003), 1),
        errors=WRONG_DIM + [error(RuntimeError, ".*", rand(0))],
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "argmax",
        indexed(np.argmax),
        [case(distinct(3, 4)), *ROWS, case(rand()), case(given([1.0, np.nan, 3.0])), case(given([2.0, 7.0, 7.0]))],
        dtypes=NUMBERS,
        result="int64",
        differentiable=False,
        large=LARGE,
        errors=WRONG_DIM + [error(IndexError, ".*", rand(0))],
    ),
    Spec(
        "argmin",
        indexed(np.argmin),
        [case(distinct(3, 4)), *ROWS, case(rand()), case(given([1.0, np.nan, 3.0])), case(given([7.0, 2.0, 2.0]))],
        dtypes=NUMBERS,
        result="int64",
        differentiable=False,
        large=LARGE,
        errors=WRONG_DIM,
    ),
    Spec(
        "median",
        median,
        [case(distinct(3, 5)), case(distinct(3, 4)), case(distinct(3, 5), 1), case(distinct(3, 4), 0, keepdim=True)],
        dtypes=NUMBERS,
        result=("same", "int64"),
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "nanmedian",
        nanmedian,
        [
            case(distinct(3, 5)),
            case(distinct(3, 5), 1),
            case(given([[3.0, np.nan, 1.0, 2.0], [np.nan, 4.0, np.nan, np.nan]]), 1),
            case(distinct(2, 3), 0, keepdim=True),
        ],
        result=("same", "int64"),
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "mode",
        mode,
        [case(given([[1.0, 2.0, 2.0, 3.0], [5.0, 4.0, 4.0, 5.0]])), case(given([[1.0, 2.0], [1.0, 3.0]]), 0)],
        dtypes=NUMBERS,
        result=("same", "int64"),
        layouts=(),
    ),
    Spec(
        "quantile",
        quantile(np.quantile),
        [
            case(distinct(3, 5), 0.3),
            case(distinct(3, 5), 0.3, 1),
            case(distinct(3, 5), 0.5, dim=0, keepdim=True),
            *(case(distinct(7), 0.4, 0, interpolation=i) for i in ("lower", "higher", "nearest", "midpoint")),
        ],
        dtypes=("float32", "float64"),
        errors=[error(RuntimeError, ".*", rand(3), 1.5)],
    ),
    Spec(
        "nanquantile",
        quantile(np.nanquantile),
        [case(given([[3.0, np.nan, 1.0, 2.0], [1.0, 4.0, np.nan, np.nan]]), 0.4, 1)],
        dtypes=("float32", "float64"),
    ),
    reduction("all", truth(np.all), [*EMPTY], dtypes=ALL[:-2] + ("bool",), result="bool", differentiable=False),
    reduction("any", truth(np.any), [*EMPTY], dtypes=ALL[:-2] + ("bool",), result="bool", differentiable=False),
]

RUNNING = [
    Spec(
        "cumsum",
        running(np.cumsum),
        ALONG,
        dtypes=ALL,
        result="sum",
        inplace=True,
        out=True,
        errors=WRONG_DIM,
        large=case(rand(301, 1003), 1),
        tolerance=SUM_TOLERANCE,
        bench=[case(rand(1024, 1024), 1)],
    ),
    Spec(
        "cumprod",
        running(np.cumprod),
        [*ALONG[:-1], case(given([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]]), 1)],
        dtypes=ALL,
        result="sum",
        inplace=True,
        out=True,
        large=case(positive(301, 1003, low=0.99, high=1.01), 1),
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 1e-2), "bfloat16": (5e-2, 5e-2)},
    ),
    Spec(
        "cummax",
        running_extreme(np.greater_equal),
        ALONG,
        dtypes=NUMBERS,
        result=("same", "int64"),
        large=case(rand(301, 1003), 1),
        errors=WRONG_DIM,
    ),
    Spec(
        "cummin",
        running_extreme(np.less_equal),
        ALONG,
        dtypes=NUMBERS,
        result=("same", "int64"),
        large=case(rand(301, 1003), 1),
        errors=WRONG_DIM,
    ),
    Spec(
        "logcumsumexp",
        running(logcumsumexp),
        ALONG,
        out=True,
        large=case(rand(301, 1003), 1),
        errors=WRONG_DIM,
        tolerance={"float16": (4e-3, 4e-3), "bfloat16": (4e-2, 4e-2)},
    ),
]

EQUALITY = [
    Spec(
        "equal",
        lambda a, b: a.shape == b.shape and bool(np.array_equal(a, b)),
        [
            case(rand(3, 4), rand(3, 4)),
            case(given([1, 2]), given([1, 2])),
            case(rand(3), rand(4)),
            case(rand(0), rand(0)),
        ],
        dtypes=ALL,
        differentiable=False,
    ),
    Spec(
        "allclose",
        lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: bool(np.allclose(a, b, rtol, atol, equal_nan)),
        [
            case(given([1.0, 2.0]), given([1.0, 2.0])),
            case(rand(3), rand(3)),
            case(given([1.0, 2.0]), given([1.0, 2.1]), rtol=0.1),
        ],
        differentiable=False,
        dtypes=("float32", "float64"),
    ),
    Spec(
        "trace",
        np.trace,
        [case(rand(3, 3)), case(rand(3, 5)), case(rand(4, 2))],
        dtypes=NUMBERS,
        result="sum",
        tolerance=SUM_TOLERANCE,
        errors=[error(RuntimeError, ".*", rand(3))],
    ),
]

SAMPLES = [
    case(rand(5)),
    case(rand(3, 5)),
    case(rand(5, 3), dim=0),
    case(rand(5), rand(5)),
    case(rand(3, 5), rand(5)),
    case(rand(3, 5), rand(3, 5)),
    case(rand(5, 3), rand(5), dim=0),
    case(rand(3, 5), dx=0.5),
]


def integral(name, reference):
    return Spec(
        name,
        reference,
        SAMPLES,
        method=False,
        tolerance=SUM_TOLERANCE,
        layouts=("transposed", "stepped"),
        errors=[error(IndexError, ".*3", rand(3, 4), dim=3), error(RuntimeError, ".*", rand(5), rand(4))],
    )


DIFFERENCES = [
    Spec(
        "diff",
        diff,
        [
            case(rand(5)),
            case(rand(3, 5)),
            case(rand(3, 5), dim=0),
            case(rand(3, 5), 2),
            case(rand(3, 5), 7),
            case(rand(3, 5), prepend=rand(3, 2), append=rand(3, 1)),
            case(rand(5, 2), 2, 0, rand(1, 2)),
            case(rand(0)),
        ],
        dtypes=ALL,
        layouts=("transposed", "stepped"),
        tolerance={"float16": (4e-3, 8e-3), "bfloat16": (3e-2, 6e-2)},
        errors=[error(RuntimeError, ".*", rand()), error(IndexError, ".*2", rand(3, 4), 1, 2)],
    ),
    integral("trapezoid", trapezoid),
    integral("trapz", trapezoid),
    integral("cumulative_trapezoid", cumulative_trapezoid),
    Spec(
        "sum_to_size",
        sum_to_size,
        [
            case(rand(3, 4), 4),
            case(rand(3, 4), 3, 1),
            case(rand(2, 3, 4), (1, 4)),
            case(rand(3, 4), (3, 4)).of(FLOATS),
            case(rand(3, 4), ()),
            case(rand(), ()),
        ],
        dtypes=NUMBERS,
        result="sum",
        method=False,
        tolerance=SUM_TOLERANCE,
        errors=[error(RuntimeError, ".*", rand(3, 4), 2)],
    ),
    Spec(
        "cov",
        cov,
        [
            case(rand(3, 5)),
            case(rand(5)),
            case(rand(3, 5), correction=0),
            case(rand(3, 4), fweights=given([1, 2, 3, 1], "int64")),
            case(rand(3, 4), aweights=positive(4).const),
            case(rand(3, 4), fweights=given([1, 2, 3, 1], "int64"), aweights=positive(4).const),
        ],
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 3e-2), "bfloat16": (6e-2, 0.2)},
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(2, 3, 4))],
    ),
    Spec(
        "corrcoef",
        np.corrcoef,
        [case(rand(3, 5)), case(rand(5))],
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 1e-2), "bfloat16": (6e-2, 6e-2)},
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(2, 3, 4))],
    ),
]

DISTANCES = [
    Spec(
        "cdist",
        cdist,
        [
            case(rand(3, 4), rand(5, 4)),
            case(rand(2, 3, 4), rand(2, 5, 4)),
            case(rand(2, 3, 4), rand(5, 4)),
            *(case(rand(3, 4), rand(5, 4), p) for p in (0.0, 1.0, 1.5, 3.0, float("inf"))),
            case(rand(30, 4), rand(27, 4)),
            case(rand(0, 4), rand(5, 4)),
            case(rand(3, 0), rand(5, 0)),
        ],
        dtypes=("float32", "float64"),
        method=False,
        tolerance=SUM_TOLERANCE,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(5, 3)), error(RuntimeError, ".*", rand(4), rand(5, 4))],
    ),
    Spec(
        "nn.functional.pairwise_distance",
        pairwise_distance,
        [
            case(rand(3, 4), rand(3, 4)),
            case(rand(3, 4), rand(4)),
            case(rand(4), rand(4)),
            *(case(rand(3, 4), rand(3, 4), p, keepdim=True) for p in (1.0, 3.0, float("inf"))),
        ],
        method=False,
        tolerance={"float32": (2e-5, 2e-5), "float16": (6e-3, 6e-3), "bfloat16": (4e-2, 6e-2)},
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(3, 5))],
    ),
    Spec(
        "nn.functional.pdist",
        pdist,
        [case(rand(4, 3)), case(rand(4, 3), 1.0), case(rand(5, 2), 3.0), case(rand(1, 3))],
        method=False,
        dtypes=("float32", "float64"),
        twice=False,
        tolerance={"float32": (2e-5, 2e-5)},
        errors=[error(RuntimeError, ".*", rand(2, 3, 4))],
    ),
    Spec(
        "renorm",
        renorm,
        [case(rand(3, 4), 2.0, 0, 1.0), case(rand(3, 4), 1.0, 1, 0.5), case(rand(2, 3, 4), 2.0, -1, 0.1)],
        inplace=True,
        dtypes=("float32", "float64"),
        tolerance={"float32": (2e-5, 2e-5), "float64": (1e-6, 1e-6)},
        errors=[error(RuntimeError, ".*", rand(3, 4), 2.0, 0, -1.0)],
    ),
    Spec(
        "nn.functional.cosine_similarity",
        cosine_similarity,
        [
            case(rand(3, 4), rand(3, 4)),
            case(rand(3, 4), rand(1, 4), dim=0),
            case(rand(2, 3, 4), rand(4), -1),
            case(rand(4).const, rand(4).const, 0, 50.0),
        ],
        method=False,
        tolerance={"float32": (1e-5, 1e-5), "float16": (6e-3, 6e-3), "bfloat16": (4e-2, 4e-2)},
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(3, 5))],
    ),
]

SPECS = DIFFERENCES + DISTANCES + SUMS + NORMS + EXTREMES + RUNNING + EQUALITY
