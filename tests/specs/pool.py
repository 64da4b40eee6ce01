"""Pooling: the largest or the mean of each window."""

import numpy as np

from . import FLOATS, NUMBERS, Spec, case, distinct, error, given, rand
from .conv import tupled


def windows(x, space, kernel, stride, padding, dilation, ceil_mode):
    """For each place of the output: its index and the coordinates its window covers, outside ones included."""
    kernel, padding, dilation = tupled(kernel, space), tupled(padding, space), tupled(dilation, space)
    stride = tupled(stride, space) if stride else kernel
    sizes = []
    for n, k, s, p, d in zip(x.shape[-space:], kernel, stride, padding, dilation):
        free = n + 2 * p - d * (k - 1) - 1
        size = (-(-free // s) if ceil_mode else free // s) + 1
        sizes.append(size - 1 if ceil_mode and (size - 1) * s >= n + p else size)
    for at in np.ndindex(*sizes):
        yield (
            sizes,
            at,
            [[i * s - p + d * j for j in range(k)] for i, k, s, p, d in zip(at, kernel, stride, padding, dilation)],
        )


def inside(covered, x):
    return [[i for i in c if 0 <= i < n] for c, n in zip(covered, x.shape[-len(covered) :])]


def max_pool(space):
    def reference(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        made = list(windows(x, space, kernel_size, stride, padding, dilation, ceil_mode))
        y = np.empty((*x.shape[:-space], *made[0][0]), x.dtype)
        places = np.empty(y.shape, np.int64)
        flat = np.arange(np.prod(x.shape[-space:])).reshape(x.shape[-space:])
        for _, at, covered in made:
            taken = np.ix_(*inside(covered, x))
            part = x[(..., *taken)].reshape(*x.shape[:-space], -1)
            y[(..., *at)] = part.max(-1)
            places[(..., *at)] = flat[taken].reshape(-1)[part.argmax(-1)]
        return (y, places) if return_indices else y

    return reference


def avg_pool(space):
    def reference(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        made = list(windows(x, space, kernel_size, stride, padding, 1, ceil_mode))
        y = np.empty((*x.shape[:-space], *made[0][0]))
        edges = [n + p for n, p in zip(x.shape[-space:], tupled(padding, space))]
        for _, at, covered in made:
            kept = inside(covered, x)
            padded = [
                [i for i in c if i < e] for c, e in zip(covered, edges)
            ]  # what ceil_mode adds beyond never counts
            count = divisor_override or np.prod([len(c) for c in (padded if count_include_pad else kept)])
            y[(..., *at)] = x[(..., *np.ix_(*kept))].sum(tuple(range(-space, 0))) / count
        return np.trunc(y) if x.dtype == np.int64 else y

    return reference


def adaptive(space, fold):
    def reference(x, output_size):
        sizes = [n if o is None else o for o, n in zip(tupled(output_size, space), x.shape[-space:])]
        y = np.empty((*x.shape[:-space], *sizes))
        for at in np.ndindex(*sizes):
            window = [slice(i * n // o, -(-(i + 1) * n // o)) for i, o, n in zip(at, sizes, x.shape[-space:])]
            y[(..., *at)] = fold(x[(..., *window)], tuple(range(-space, 0)))
        return y

    return reference


def with_indices(reference):
    return lambda *args, **kwargs: reference(*args, **kwargs, return_indices=True)


def adaptive_with_indices(space):
    """The values differ, so each stands in one place of its plane."""

    def reference(x, output_size):
        y = adaptive(space, np.max)(x, output_size)
        planes, largest = x.reshape(-1, np.prod(x.shape[-space:])), y.reshape(-1, np.prod(y.shape[-space:]))
        places = [(plane == value).argmax() for plane, values in zip(planes, largest) for value in values]
        return y, np.array(places).reshape(y.shape)

    return reference


X = distinct(1, 2, 5, 6)
TIED = given([[[[1.0, 1.0], [1.0, 1.0]]]])

SPECS = [
    Spec(
        "nn.functional.max_pool1d",
        max_pool(1),
        [
            case(distinct(2, 3, 9), 3),
            case(distinct(2, 3, 9), 3, 2, 1),
            case(distinct(3, 9), 2, ceil_mode=True),
            case(distinct(2, 3, 9), 2, return_indices=True),
        ],
        method=False,
        result=("same", "int64"),
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "nn.functional.max_pool2d",
        max_pool(2),
        [
            case(X, 2),
            case(X, 3, 2),
            case(X, (2, 3), (1, 2), (1, 1)),
            case(X, 2, 1, 0, 2),
            case(X, 3, 2, 1, ceil_mode=True),
            case(X, 2, ceil_mode=True),
            case(X, 3, 2, 1, return_indices=True),
            case(distinct(2, 5, 6), 2),
            case(TIED, 2, return_indices=True),
            case(given([[[[1.0, np.nan], [3.0, 2.0]]]]), 2).of(("float32", "float64")),
        ],
        dtypes=NUMBERS,
        method=False,
        result=("same", "int64"),
        layouts=("transposed", "stepped"),
        large=case(rand(13, 16, 41, 41), 3, 2, 1),
        bench=[case(rand(16, 32, 32, 32), 2)],
        errors=[
            error(RuntimeError, ".*", X, 9),
            error(RuntimeError, ".*", X, 2, 0),
            error(RuntimeError, ".*", X, 2, 2, 2),
            error(RuntimeError, ".*", rand(5, 6), 2),
            error(RuntimeError, ".*", rand(0, 5, 6), 2),
        ],
    ),
    Spec(
        "nn.functional.avg_pool1d",
        avg_pool(1),
        [
            case(rand(2, 3, 9), 3),
            case(rand(2, 3, 9), 3, 2, 1),
            case(rand(2, 3, 9), 2, ceil_mode=True),
            case(rand(2, 3, 9), 3, 2, 1, count_include_pad=False),
        ],
        dtypes=(*FLOATS, "int64"),
        method=False,
    ),
    Spec(
        "nn.functional.avg_pool2d",
        avg_pool(2),
        [
            case(rand(1, 2, 5, 6), 2),
            case(rand(1, 2, 5, 6), 3, 2),
            case(rand(1, 2, 5, 6), (2, 3), (1, 2), (1, 1)),
            case(rand(1, 2, 5, 6), 3, 2, 1, ceil_mode=True),
            case(rand(1, 2, 5, 6), 3, 2, 1, count_include_pad=False),
            case(rand(1, 2, 5, 6), 2, divisor_override=3),
            case(rand(2, 5, 6), 2),
            case(rand(1, 2, 5, 6), 2, ceil_mode=True, count_include_pad=False),
        ],
        dtypes=(*FLOATS, "int64"),
        method=False,
        large=case(rand(13, 16, 41, 41), 3, 2, 1),
        errors=[
            error(RuntimeError, ".*", rand(1, 2, 5, 6), 9),
            error(RuntimeError, ".*", rand(1, 2, 5, 6), 2, 2, 2),
            error(RuntimeError, ".*", rand(1, 2, 5, 6), 2, divisor_override=0),
        ],
    ),
    Spec(
        "nn.functional.max_pool3d",
        max_pool(3),
        [
            case(distinct(1, 2, 3, 4, 5), 2),
            case(distinct(1, 1, 3, 4, 5), (1, 2, 3), 1, (0, 1, 1)),
            case(distinct(1, 2, 3, 4, 5), 2, return_indices=True),
        ],
        dtypes=NUMBERS,
        method=False,
        result=("same", "int64"),
        layouts=("transposed", "stepped"),
    ),
    *(
        Spec(
            f"nn.functional.max_pool{n}d_with_indices",
            with_indices(max_pool(n)),
            [case(distinct(1, 2, *(5, 4, 6)[:n]), 2), case(distinct(1, 2, *(5, 4, 6)[:n]), 3, 1, 1)],
            method=False,
            result=("same", "int64"),
            layouts=("transposed", "stepped"),
        )
        for n in (1, 2, 3)
    ),
    Spec(
        "nn.functional.avg_pool3d",
        avg_pool(3),
        [
            case(rand(1, 2, 3, 4, 5), 2),
            case(rand(1, 1, 3, 4, 5), (1, 2, 3), 1, (0, 1, 1)),
            case(rand(1, 1, 3, 4, 5), 2, ceil_mode=True, count_include_pad=False),
        ],
        method=False,
        dtypes=("float32", "float64", "int64"),
    ),
    Spec(
        "nn.functional.adaptive_avg_pool1d",
        adaptive(1, np.mean),
        [case(rand(2, 3, 7), 1), case(rand(2, 3, 7), 4), case(rand(3, 7), 9)],
        method=False,
    ),
    Spec(
        "nn.functional.adaptive_avg_pool3d",
        adaptive(3, np.mean),
        [case(rand(1, 2, 3, 4, 5), 2), case(rand(1, 2, 3, 4, 5), (1, 3, 2))],
        method=False,
        errors=[
            error(ValueError, ".*at least 4", rand(2, 2, 2), (2, 2, 2)),
            error(RuntimeError, ".*-1", rand(1, 2, 3, 4, 5), (-1, 0, 2)),
        ],
    ),
    *(
        Spec(
            f"nn.functional.adaptive_max_pool{n}d",
            adaptive(n, np.max),
            [case(distinct(1, 2, *(5, 4, 6)[:n]), 3), case(distinct(1, 2, *(5, 4, 6)[:n]), 1)],
            method=False,
            layouts=("transposed", "stepped"),
        )
        for n in (1, 3)
    ),
    *(
        Spec(
            f"nn.functional.adaptive_max_pool{n}d_with_indices",
            adaptive_with_indices(n),
            [case(distinct(1, 2, *(5, 4, 6)[:n]), 3)],
            method=False,
            result=("same", "int64"),
            layouts=("transposed", "stepped"),
        )
        for n in (1, 2, 3)
    ),
    Spec(
        "nn.functional.adaptive_avg_pool2d",
        adaptive(2, np.mean),
        [
            case(rand(1, 2, 5, 6), 1),
            case(rand(1, 2, 5, 6), (2, 4)),
            case(rand(1, 2, 5, 6), (None, 3)),
            case(rand(2, 5, 6), 7),
        ],
        method=False,
    ),
    Spec(
        "nn.functional.adaptive_max_pool2d",
        adaptive(2, np.max),
        [case(X, 1), case(X, (2, 4)), case(X, 7), case(X, (None, 3))],
        method=False,
        errors=[error(ValueError, ".*at least 3", rand(2, 2), (2, 2)), error(RuntimeError, ".*-1", X, (-1, 0))],
        layouts=("transposed", "stepped"),
    ),
]
