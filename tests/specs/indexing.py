"""Reading and writing by index: subscripts of every kind, gather and scatter, masks."""

import numpy as np

from . import ALL, FLOATS, NUMBERS, Input, Spec, case, error, given, ints, mask, rand

X = rand(4, 5, 3)
WIDE_SUM = {"float32": (1e-5, 1e-5), "float16": (8e-3, 8e-3), "bfloat16": (6e-2, 6e-2)}


def read(*index):
    """x[index]; tensors among the index are inputs of the case."""
    return case(X, *index)


def subscript(x, *index):
    """numpy's x[index], but a number takes its part first: it does not join the arrays, as numpy has it."""
    arrays = [isinstance(i, (list, np.ndarray)) for i in index]
    if any(arrays) and any(isinstance(i, int) and not isinstance(i, bool) for i in index):
        x = x[tuple(slice(None) if is_array else i for i, is_array in zip(index, arrays))]
        index = tuple(slice(None) if i is None or isinstance(i, slice) else i for i in index if not isinstance(i, int))
    return x[index if len(index) != 1 else index[0]]


def write(x, value, *index):
    y = x.copy()
    y[index if len(index) != 1 else index[0]] = value
    return y


def written(torch, x, value, *index):
    y = x.clone()
    y[index if len(index) != 1 else index[0]] = value
    return y


SUBSCRIPTS = [
    (1,),
    (-1,),
    (slice(1, 3),),
    (slice(None, None, 2),),
    (slice(-3, -1),),
    (slice(3, 1),),
    (0, 1, 2),
    (1, slice(1, 4), -1),
    (Ellipsis,),
    (Ellipsis, 0),
    (1, Ellipsis, slice(None, None, 2)),
    (None,),
    (slice(None), None, 1),
    (Ellipsis, None),
    (None, 2, Ellipsis, None),
    (True,),
    ([0, 2],),
    ([0, -1], [1, 2]),
    (slice(None), [0, 2, 4]),
    (slice(1, 3), [0, 2], None),
    ([0, 1], slice(None), [0, 2]),  # indices apart: their dimension comes first
    (slice(None), [0, 1], [0, 2]),
    (1, slice(None), [0, 2]),
    (0, [0, 2], slice(0, 2)),
    ([1], Ellipsis, [0, 1]),
    (ints(3, high=4),),
    (ints(2, 2, low=-4, high=4),),
    (ints(2, 1, high=4), ints(3, high=5)),
    (slice(None), ints(6, high=5), 1),
    (ints(high=4),),
    (mask(4),),
    (mask(4, 5),),
    (mask(4, 5, 3),),
    (slice(None), mask(5)),
    (mask(4), slice(1, 3)),
    (mask(4), Ellipsis, 0),
    (given([], "int64"),),
]

# writes whose places are all different, with a value that is broadcast
WRITES = [
    ((1,), ()),
    ((slice(1, 3),), (3,)),
    ((slice(None), slice(None, None, 2)), (4, 3, 3)),
    ((Ellipsis, 0), (5,)),
    ((None, 2), (1, 5, 3)),
    (([0, 2],), (5, 3)),
    (([0, -1], [1, 2]), (2, 3)),
    ((slice(None), [0, 2, 4]), (4, 1, 3)),
    (([0, 1], slice(None), [0, 2]), (2, 5)),
    ((given([3, 0], "int64"),), ()),
    ((mask(4),), ()),
    ((mask(4, 5, 3),), ()),
    ((slice(None), mask(5)), (4, 1, 3)),
    ((True,), ()),
]


def along(f):
    """f(y, place, index, source value) for every place of index along dim."""

    def reference(x, dim, index, source, *rest, **more):
        y = x.copy()
        if x.ndim == 0:
            y, index, source = (
                y.reshape(1),
                index.reshape(1),
                np.asarray(source).reshape(1) if np.ndim(source) else source,
            )
        for at in np.ndindex(index.shape):
            to = list(at)
            to[dim] = index[at]
            f(y, tuple(to), source[at] if np.ndim(source) else source)
        return y.reshape(x.shape)

    return reference


def setting(y, at, v):
    y[at] = v


def adding(y, at, v):
    y[at] += v


def gather(x, dim, index):
    if x.ndim == 0:
        return x
    y = np.empty(index.shape, x.dtype)
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at]
        y[at] = x[tuple(to)]
    return y


def scatter_reduce(x, dim, index, source, reduce, include_self=True):
    y = x.astype(np.float64)
    seen = [[] for _ in range(x.size)]
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at]
        seen[np.ravel_multi_index(to, x.shape)].append(float(source[at]))
    fold = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    flat = y.reshape(-1)
    for i, values in enumerate(seen):
        if values:
            values = ([flat[i]] if include_self else []) + values
            flat[i] = np.floor(fold(values)) if reduce == "mean" and x.dtype.kind in "iu" else fold(values)
    return y.astype(x.dtype)


def by_rows(f):
    """f(y, row of the index, row of the source) along dim."""

    def reference(x, dim, index, source, alpha=1):
        y = np.moveaxis(x.copy(), dim, 0)
        rows = np.moveaxis(source, dim, 0) if np.ndim(source) else [source] * len(index)
        for i, row in zip(index, rows):
            y[i] = f(y[i], row, alpha)
        return np.moveaxis(y, 0, dim)

    return reference


def index_reduce(x, dim, index, source, reduce, include_self=True):
    spread = np.broadcast_to(index.reshape([-1 if d == dim else 1 for d in range(x.ndim)]), source.shape)
    return scatter_reduce(x, dim, spread, source, reduce, include_self)


def masked_scatter(x, m, source):
    y, m = x.copy(), np.broadcast_to(m, x.shape)
    y[m] = source.ravel()[: m.sum()]
    return y


def put(x, index, values, accumulate=False):
    y = x.copy()
    if accumulate:
        np.add.at(y, tuple(index), values)
    else:
        y[tuple(index)] = values
    return y


def take_along(x, index, dim=None):
    return np.take_along_axis(x, index, dim) if dim is not None else x.ravel()[index.ravel()]


def one_hot(x, classes=-1):
    return np.eye(x.max() + 1 if classes == -1 else classes, dtype=np.int64)[x]


def nonzero(x):
    return np.argwhere(x) if x.ndim else np.zeros((int(bool(x)), 0), np.int64)


OUT_OF_RANGE = error((IndexError, RuntimeError), ".*7", rand(3, 4), 0, given([7], "int64"))

SUBSCRIPTION = [
    Spec(
        "__getitem__",
        subscript,
        [read(*i) for i in SUBSCRIPTS],
        call=lambda torch, x, *i: x[i if len(i) != 1 else i[0]],
        dtypes=ALL,
        method=False,
        large=case(rand(1001, 301), ints(5000, low=-1001, high=1001)),
        errors=[
            error(IndexError, ".*4", X, 4),
            error(IndexError, ".*", X, 0, 0, 0, 0),
            error(IndexError, ".*9", X, given([9], "int64")),
            error(IndexError, ".*", X, mask(3)),
            error(ValueError, ".*", X, slice(None, None, -1)),
        ],
    ),
    Spec(
        "__setitem__",
        write,
        [case(X, Input(shape), *i) for i, shape in WRITES]
        + [case(X, 2, 1).of(NUMBERS), case(X, 0, mask(4, 5)), case(rand(), rand(), Ellipsis)],
        call=written,
        dtypes=ALL,
        method=False,
        errors=[error(IndexError, ".*4", X, 1, 4), error(RuntimeError, ".*", X, rand(7), 1)],
    ),
    Spec(
        "index_put",
        put,
        [
            case(X, (ints(3, high=1), given([0, 1, 2], "int64")), rand(3, 3)),
            case(X, (given([0, 0, 1, 0], "int64"),), rand(4, 5, 3), accumulate=True).of(NUMBERS),
            case(X, (given([2, 0], "int64"),), rand()),
        ],
        dtypes=ALL,
        inplace=True,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        large=case(rand(300, 20), (ints(5000, high=300),), rand(5000, 20), accumulate=True),
        errors=[error(IndexError, ".*9", X, (given([9], "int64"),), rand())],
    ),
    Spec(
        "index_select",
        lambda x, dim, index: x.take(np.atleast_1d(index), dim),
        [
            case(X, 1, ints(7, high=5)),
            case(X, -1, ints(2, high=3)),
            case(X, 0, ints(0, high=4)),
            case(rand(3), 0, given(1, "int64")),
        ],
        dtypes=ALL,
        large=case(rand(1001, 301), 0, ints(500, high=1001)),
        errors=[OUT_OF_RANGE, error((IndexError, RuntimeError), ".*", rand(3, 4), 0, ints(2, 2))],
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "gather",
        gather,
        [
            case(X, 1, ints(4, 2, 3, high=5)),
            case(rand(3, 4), 0, ints(2, 3, high=3)),
            case(rand(3, 4), -1, ints(3, 6, high=4)),
            case(rand(), 0, given(0, "int64")),
            case(rand(3, 4), 0, ints(0, 4)),
        ],
        dtypes=ALL,
        large=case(rand(301, 233), 1, ints(301, 200, high=233)),
        errors=[
            error((RuntimeError, IndexError), ".*", rand(3, 4), 1, ints(3, 2, low=7, high=9)),
            error(RuntimeError, ".*", rand(3, 4), 1, ints(3)),
        ],
    ),
    Spec(
        "take",
        lambda x, i: x.ravel()[i],
        [case(rand(3, 4), ints(2, 3, low=-12, high=12)), case(rand(3, 4), ints(0))],
        dtypes=ALL,
        errors=[error(IndexError, ".*", rand(3, 4), given([12], "int64"))],
    ),
    Spec(
        "take_along_dim",
        take_along,
        [
            case(rand(3, 4), ints(3, 2, high=4), 1),
            case(rand(12), ints(5, high=12)),
            case(rand(3, 4), ints(1, 4, high=3), dim=0),
        ],
        dtypes=ALL,
    ),
]

SCATTERS = [
    Spec(
        "scatter",
        along(setting),
        [
            case(rand(3, 5), 1, given([[0, 3], [2, 1], [4, 0]], "int64"), rand(3, 2)),
            case(rand(3, 5), 0, given([[0, 1, 2, 0, 1]], "int64"), rand(2, 5).const),
            case(rand(3, 5), 1, given([[0], [3], [1]], "int64"), 1),
            case(rand(3, 5), 0, ints(0, 5), rand(3, 5).const),
        ],
        dtypes=ALL,
        inplace=True,
        layouts=("transposed", "stepped"),
        errors=[
            error(RuntimeError, ".*7", rand(3, 5), 1, given([[7]], "int64"), rand(1, 1)),
            error(RuntimeError, ".*", rand(3, 5), 1, ints(3, 2), rand(3, 1)),
        ],
    ),
    Spec(
        "scatter_add",
        along(adding),
        [
            case(rand(3, 5), 1, ints(3, 7, high=5), rand(3, 7)),
            case(rand(3, 5), 0, ints(2, 5, high=3), rand(4, 6).const),
            case(rand(), 0, given(0, "int64"), rand()),
        ],
        dtypes=NUMBERS,
        inplace=True,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        large=case(rand(211, 30), 0, ints(5000, 30, high=211), rand(5000, 30)),
        errors=[error(RuntimeError, ".*7", rand(3, 5), 1, given([[7]], "int64"), rand(1, 1))],
    ),
    Spec(
        "scatter_reduce",
        scatter_reduce,
        [
            case(rand(3, 5), 1, ints(3, 7, high=5), rand(3, 7), reduce=r, include_self=s)
            for r in ("sum", "mean", "amax", "amin")
            for s in (True, False)
        ]
        + [case(rand(3, 5), 1, ints(3, 4, high=5), rand(3, 4), reduce="prod")],
        dtypes=FLOATS,
        inplace=True,
        twice=False,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3, 5), 1, ints(3, 2), rand(3, 2), reduce="median")],
    ),
    Spec(
        "index_add",
        by_rows(lambda y, v, a: y + a * v),
        [
            case(X, 1, ints(7, high=5), rand(4, 7, 3)),
            case(X, 0, ints(2, high=4), rand(2, 5, 3), alpha=2),
            case(X, -1, ints(0, high=3), rand(4, 5, 0)),
        ],
        dtypes=NUMBERS,
        inplace=True,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        large=case(rand(211, 30), 0, ints(5000, high=211), rand(5000, 30)),
        errors=[
            error((IndexError, RuntimeError), ".*", X, 0, given([9], "int64"), rand(1, 5, 3)),
            error(RuntimeError, ".*", X, 0, ints(2, high=4), rand(3, 5, 3)),
        ],
    ),
    Spec(
        "index_copy",
        by_rows(lambda y, v, a: v),
        [case(X, 1, given([4, 0, 2], "int64"), rand(4, 3, 3)), case(X, 0, given([1], "int64"), rand(1, 5, 3))],
        dtypes=ALL,
        inplace=True,
        layouts=("transposed", "stepped"),
        errors=[error((IndexError, RuntimeError), ".*", X, 0, given([9], "int64"), rand(1, 5, 3))],
    ),
    Spec(
        "index_fill",
        by_rows(lambda y, v, a: np.full_like(y, v)),
        [case(X, 1, given([4, 0], "int64"), 1), case(X, 0, given([1, 1], "int64"), 0)],
        dtypes=ALL,
        inplace=True,
        layouts=("transposed", "stepped"),
    ),
]

SCATTERS += [
    Spec(
        "put",
        lambda x, i, v, accumulate=False: put(x.reshape(-1), (i.ravel(),), v.ravel(), accumulate).reshape(x.shape),
        [
            case(rand(3, 4), given([0, 5, -1], "int64"), rand(3)),
            case(rand(3, 4), given([[0, 5], [5, 2]], "int64"), rand(2, 2), accumulate=True).of(NUMBERS),
        ],
        dtypes=ALL,
        inplace=True,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        errors=[error(IndexError, ".*", rand(3), given([3], "int64"), rand(1))],
    ),
    Spec(
        "index_reduce",
        index_reduce,
        [
            case(rand(4, 3), 0, ints(6, high=4), rand(6, 3), reduce=r, include_self=s)
            for r in ("prod", "mean", "amax", "amin")
            for s in (True, False)
        ],
        inplace=True,
        twice=False,
        tolerance=WIDE_SUM,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(4, 3), 0, ints(2, high=4), rand(2, 3), reduce="sum")],
    ),
]

MASKS = [
    Spec(
        "masked_fill",
        lambda x, m, v: np.where(m, np.asarray(v).astype(x.dtype), x),
        [
            case(rand(3, 4), mask(3, 4), 1),
            case(rand(3, 4), mask(4), 0),
            case(rand(3, 4), mask(3, 1), rand()),
            case(rand(), mask(), 1),
            case(rand(3, 4), mask(3, 4), float("-inf")).of(FLOATS),
        ],
        dtypes=ALL,
        inplace=True,
        large=case(rand(301, 233), mask(233), 1),
        errors=[
            error(RuntimeError, ".*", rand(3, 4), rand(3, 4), 1),
            error(RuntimeError, ".*", rand(3, 4), mask(3), 1),
        ],
    ),
    Spec(
        "masked_select",
        lambda x, m: np.broadcast_to(x, np.broadcast_shapes(x.shape, m.shape))[
            np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))
        ],
        [case(rand(3, 4), mask(3, 4)), case(rand(3, 4), mask(4)), case(rand(4), mask(3, 1)), case(rand(0), mask(0))],
        dtypes=ALL,
        large=case(rand(301, 233), mask(301, 233)),
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(3, 4))],
    ),
    Spec(
        "masked_scatter",
        masked_scatter,
        [case(rand(3, 4), mask(3, 4), rand(12)), case(rand(3, 4), mask(4), rand(3, 4))],
        dtypes=ALL,
        inplace=True,
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "nonzero",
        nonzero,
        [case(rand(3, 4)), case(mask(3, 4)), case(rand()), case(rand(0, 3)), case(given([0.0, 1.0, 0.0, 2.0]))],
        dtypes=ALL,
        result="int64",
        differentiable=False,
        large=case(mask(301, 233)),
    ),
    Spec(
        "nonzero_static",
        lambda x, size, fill_value=-1: np.concatenate([nonzero(x), np.full((size, x.ndim), fill_value)])[:size],
        [case(given([[0.0, 1.0], [3.0, 2.0]]), size=n) for n in (0, 2, 5)] + [case(mask(3, 4), size=15, fill_value=7)],
        dtypes=ALL,
        result="int64",
        differentiable=False,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3), size=-1)],
    ),
    Spec(
        "argwhere",
        nonzero,
        [case(mask(3, 4)), case(given([0.0, 1.0, 0.0, 2.0]))],
        dtypes=ALL,
        result="int64",
        differentiable=False,
    ),
    Spec(
        "nn.functional.one_hot",
        one_hot,
        [case(ints(5, high=4)), case(ints(2, 3, high=4), 6)],
        dtypes=("int64",),
        result="int64",
        differentiable=False,
        method=False,
        errors=[error(RuntimeError, ".*", given([-1], "int64")), error(RuntimeError, ".*", given([5], "int64"), 3)],
    ),
    Spec(
        "bincount",
        lambda x, weights=None, minlength=0: np.bincount(x, weights, minlength),
        [
            case(ints(20, high=6)),
            case(ints(20, high=6), minlength=9),
            case(ints(0)),
            case(ints(20, high=6), rand(20).const),
        ],
        dtypes=("float64",),
        result=None,
        differentiable=False,
        errors=[error(RuntimeError, ".*", given([-1], "int64"))],
    ),
    Spec(
        "histc",
        lambda x, bins=100, min=0, max=0: np.histogram(x, bins, (min, max) if min != max else None)[0],
        [
            case(rand(50), 7),
            case(rand(5, 9), 4, -1, 2),
            case(rand(5, 9), bins=3, min=-2, max=2),
            case(given([2.0, 2.0]), 4),
            case(given([0.0, 1.0, 1.5, 2.0, 5.0]), 2, 0, 2),
        ],
        dtypes=("float32", "float64"),
        differentiable=False,
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3), 0), error(RuntimeError, ".*", rand(3), 4, 2, 1)],
    ),
]

SPECS = SUBSCRIPTION + SCATTERS + MASKS
