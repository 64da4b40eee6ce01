"""Convolution, which is cross-correlation under PyTorch's name."""

import itertools

import numpy as np

from . import FLOATS, NUMBERS, Spec, case, error, rand

TOLERANCE = {"float32": (2e-5, 2e-5), "float16": (8e-3, 2e-2), "bfloat16": (4e-2, 0.15)}


def tupled(v, n):
    return (v,) * n if isinstance(v, int) else tuple(v)


def convolve(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, p] = b[o] + sum over c, k of x[n, c, p * stride + k * dilation] * w[o, c, k], written as it is read."""
    space = w.ndim - 2
    lone = x.ndim == space + 1
    x = x[None] if lone else x
    stride, dilation, kernel = tupled(stride, space), tupled(dilation, space), w.shape[2:]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if padding == "same":  # ceil(n / s) results, what is missing to symmetry behind
        missing = [max((-(-n // s) - 1) * s + r + 1 - n, 0) for n, s, r in zip(x.shape[2:], stride, reach)]
        widths = [(m // 2, m - m // 2) for m in missing]
    else:
        widths = [(p, p) for p in tupled(0 if padding == "valid" else padding, space)]
    x = np.pad(x, [(0, 0), (0, 0), *widths])
    sizes = [(n - r - 1) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride)]
    o, c = w.shape[0] // groups, w.shape[1]
    y = np.zeros((x.shape[0], w.shape[0], *sizes))
    for g, k in itertools.product(range(groups), np.ndindex(*kernel)):
        window = tuple(slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in zip(k, dilation, sizes, stride))
        part = x[(slice(None), slice(g * c, (g + 1) * c), *window)]
        y[:, g * o : (g + 1) * o] += np.einsum("nc...,oc->no...", part, w[(slice(g * o, (g + 1) * o), slice(None), *k)])
    y = y if b is None else y + b.reshape(-1, *(1,) * space)
    return y[0] if lone else y


def transposed(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of convolve: every x[n, c, p] spreads x * w[c, o, k] over y[n, o, p * stride + k * dilation]."""
    space = w.ndim - 2
    lone = x.ndim == space + 1
    x = x[None] if lone else x
    stride, padding, dilation, extra = (tupled(v, space) for v in (stride, padding, dilation, output_padding))
    kernel, c, o = w.shape[2:], w.shape[0] // groups, w.shape[1]
    sizes = [(n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in zip(x.shape[2:], stride, dilation, kernel, extra)]
    y = np.zeros((x.shape[0], o * groups, *sizes))
    for g, k in itertools.product(range(groups), np.ndindex(*kernel)):
        window = tuple(slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in zip(k, dilation, x.shape[2:], stride))
        mine = slice(g * c, (g + 1) * c)
        y[(slice(None), slice(g * o, (g + 1) * o), *window)] += np.einsum(
            "nc...,co->no...", x[:, mine], w[(mine, slice(None), *k)]
        )
    y = y[(..., *(slice(p, n - p) for p, n in zip(padding, sizes)))]
    y = y if b is None else y + b.reshape(-1, *(1,) * space)
    return y[0] if lone else y


def spec(space, cases, **more):
    more.setdefault("dtypes", NUMBERS)
    return Spec(f"nn.functional.conv{space}d", convolve, cases, method=False, tolerance=TOLERANCE, **more)


def spec_transposed(space, cases, **more):
    more.setdefault("dtypes", (*FLOATS, "int64"))
    return Spec(f"nn.functional.conv_transpose{space}d", transposed, cases, method=False, tolerance=TOLERANCE, **more)


X, W, B = rand(2, 4, 5, 6), rand(6, 4, 3, 2), rand(6)

SPECS = [
    spec(
        1,
        [
            case(rand(2, 4, 9), rand(6, 4, 3), B),
            case(rand(2, 4, 9), rand(6, 4, 3)),
            case(rand(2, 4, 9), rand(6, 2, 3), B, 2, 1, 2, 2),
            case(rand(4, 9), rand(6, 4, 1), B),
            case(rand(2, 4, 9), rand(4, 1, 3), groups=4),
            case(rand(2, 4, 9), rand(6, 4, 4), B, padding="same"),
            case(rand(2, 4, 9), rand(6, 4, 4), B, 2, "same"),
            case(rand(2, 4, 9), rand(6, 4, 2), B, 3, "same"),
        ],
        large=case(rand(5, 16, 701), rand(24, 16, 5), rand(24), padding=2),
        errors=[error(RuntimeError, ".*3.*4|.*4.*3", rand(2, 3, 9), rand(6, 4, 3))],
    ),
    spec(
        2,
        [
            case(X, W, B),
            case(X, W),
            case(X, W, B, stride=2),
            case(X, W, B, padding=1),
            case(X, W, B, (2, 1), (0, 2), (1, 2)),
            case(X, W, B, padding="same"),
            case(X, W, B, (2, 3), "same", (1, 2)),
            case(X, W, B, padding="valid"),
            case(X, rand(6, 4, 2, 4), B, padding="same", dilation=2),
            case(X, rand(6, 2, 3, 2), B, groups=2),
            case(X, rand(4, 1, 3, 3), None, padding=1, groups=4),
            case(X, rand(8, 1, 3, 3), rand(8), groups=4),
            case(X, rand(6, 4, 1, 1), B),
            case(X, rand(6, 4, 5, 6), B).of((*FLOATS, "int64")),  # beyond uint8
            case(rand(4, 5, 6), W, B),
            case(rand(0, 4, 5, 6), W, B),
            case(X, W, B, 3, 2, 2),
        ],
        large=case(rand(5, 16, 30, 31), rand(24, 16, 3, 3), rand(24), padding=1),
        bench=[
            case(rand(8, 16, 32, 32), rand(32, 16, 3, 3), rand(32), padding=1),
            case(rand(1, 64, 56, 56), rand(64, 64, 3, 3), padding=1),
        ],
        errors=[
            error(RuntimeError, ".*weight.*4.*3|.*3.*4", rand(2, 3, 5, 6), W),
            error(RuntimeError, ".*", rand(2, 4, 2, 6), W),
            error(RuntimeError, ".*", X, W, rand(5)),
            error(RuntimeError, ".*", X, W, B, stride=0),
            error(RuntimeError, ".*", X, W, B, padding=-1),
            error(RuntimeError, ".*", X, W, B, groups=3),
            error(RuntimeError, ".*", rand(4, 5), W, B),
        ],
    ),
    spec(
        3,
        [
            case(rand(1, 2, 3, 4, 3), rand(2, 2, 2, 2, 2), rand(2)),
            case(rand(1, 2, 3, 4, 3), rand(2, 1, 2, 2, 2), None, 2, 1, 1, 2),
        ],
    ),
    spec_transposed(
        1,
        [
            case(rand(2, 4, 5), rand(4, 3, 3), rand(3)),
            case(rand(2, 4, 5), rand(4, 3, 3), None, 2, 1, 1),
            case(rand(4, 5), rand(4, 3, 2), rand(3)),
            case(rand(2, 4, 5), rand(4, 2, 3), rand(4), groups=2, dilation=2),
        ],
    ),
    spec_transposed(
        2,
        [
            case(rand(2, 4, 3, 4), rand(4, 3, 2, 3), rand(3)),
            case(rand(2, 4, 3, 4), rand(4, 3, 2, 3), rand(3), (2, 1), (1, 2), (1, 0)),
            case(rand(2, 4, 3, 4), rand(4, 1, 2, 3), rand(2), stride=3, groups=2),
            case(rand(2, 4, 3, 4), rand(4, 3, 2, 3), stride=2, dilation=2),
        ],
        large=case(rand(3, 16, 20, 21), rand(16, 8, 3, 3), rand(8), stride=2),
        errors=[
            error(RuntimeError, ".*", rand(2, 3, 3, 4), rand(4, 3, 2, 3)),
            error(RuntimeError, ".*", rand(2, 4, 3, 4), rand(4, 3, 2, 3), stride=2, output_padding=2),
        ],
    ),
    spec_transposed(3, [case(rand(1, 2, 2, 3, 2), rand(2, 2, 2, 2, 2), rand(2), 2, 1)]),
]
