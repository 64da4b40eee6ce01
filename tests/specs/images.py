"""Images in other sizes and orders: interpolation, grids, columns, shuffles, and pooling's relatives."""

import itertools

import numpy as np

from . import FLOATS, Spec, case, distinct, error, given, ints, positive, rand
from .conv import tupled
from .pool import windows

WIDE = {"float32": (1e-5, 1e-5), "float16": (4e-3, 4e-3), "bfloat16": (3e-2, 3e-2)}
HELD = ("transposed", "stepped")


# interpolation: a matrix for each dimension


def keys(x, a):
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def lanczos(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def matrix(n, m, mode, align_corners, antialias, factor):
    """[m, n]: what each element of the source gives to each of the result."""
    if align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    else:
        step = 1 / factor if factor else n / m
    weights = np.zeros((m, n))
    for j in range(m):
        x = step * j if align_corners else step * (j + 0.5) - 0.5
        if mode == "nearest":
            weights[j, min(int(np.float32(j) * np.float32(step)), n - 1)] = 1
        elif mode == "nearest-exact":
            weights[j, min(int((np.float32(j) + np.float32(0.5)) * np.float32(step)), n - 1)] = 1
        elif antialias:
            stretch, centre = max(step, 1.0), step * (j + 0.5)
            reach = {"linear": 1, "cubic": 2, "lanczos": 3}[mode] * stretch
            at = np.arange(max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n))
            d = (at - centre + 0.5) / stretch
            w = np.maximum(0, 1 - np.abs(d)) if mode == "linear" else keys(d, -0.5) if mode == "cubic" else lanczos(d)
            weights[j, at] = w / w.sum()
        elif mode == "linear":
            x = max(x, 0.0)
            i = min(int(x), n - 1)
            weights[j, i] += 1 - min(x - i, 1.0)
            weights[j, min(i + 1, n - 1)] += min(x - i, 1.0)
        else:
            base = int(np.floor(x))
            for k in range(-1, 3):
                weights[j, min(max(base + k, 0), n - 1)] += keys(x - base - k, -0.75)
    return weights


def interpolate(
    x,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    space = x.ndim - 2
    if size is None:
        factors = (scale_factor,) * space if np.isscalar(scale_factor) else scale_factor
        sizes = [int(np.floor(n * f)) for n, f in zip(x.shape[2:], factors)]
    else:
        sizes, factors = tupled(size, space), (None,) * space
    if recompute_scale_factor or mode == "area":
        factors = (None,) * space
    kind = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    y = x
    for d, (n, m, f) in enumerate(zip(x.shape[2:], sizes, factors)):
        if mode == "area":
            w = np.zeros((m, n))
            for j in range(m):
                begin, end = j * n // m, -(-(j + 1) * n // m)
                w[j, begin:end] = 1 / (end - begin)
        else:
            w = matrix(n, m, kind, bool(align_corners), antialias, f)
        y = np.moveaxis(np.tensordot(w, y, (1, 2 + d)), 0, 2 + d)
    return y


# grids


def affine_grid(theta, size, align_corners=None):
    axes = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size[2:]]
    places = np.stack([*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(size[2:])], -1)
    return np.einsum("...j,nij->n...i", places, theta)


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    y = np.zeros((x.shape[0], x.shape[1], *grid.shape[1:-1]))
    for n in range(x.shape[0]):
        for at in np.ndindex(*grid.shape[1:-1]):
            taps = []
            for size, p in zip(x.shape[2:], grid[(n, *at)][::-1]):
                taps.append(along(size, p, mode, padding_mode, align_corners))
            for tap in itertools.product(*taps):
                i = tuple(t[0] for t in tap)
                if all(0 <= k < s for k, s in zip(i, x.shape[2:])):
                    y[(n, slice(None), *at)] += np.prod([t[1] for t in tap]) * x[(n, slice(None), *i)]
    return y


def along(size, p, mode, padding_mode, align_corners):
    u = (p + 1) / 2 * (size - 1) if align_corners else ((p + 1) * size - 1) / 2

    def inside(u):
        if padding_mode == "reflection":
            low, span = (0, size - 1) if align_corners else (-0.5, size)
            u = abs(u - low) % (2 * span) if span else 0
            u = (2 * span - u if u > span else u) + low
        return u if padding_mode == "zeros" else min(max(u, 0), size - 1)

    if mode == "bicubic":
        base = int(np.floor(u))
        return [
            (int(inside(base + k)) if inside(base + k) >= 0 else -1, keys(u - base - k, -0.75)) for k in range(-1, 3)
        ]
    u = inside(u)
    if mode == "nearest":
        return [(int(np.rint(u)), 1.0)]
    base = int(np.floor(u))
    return [(base, 1 - (u - base)), (base + 1, u - base)]


# columns


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    lone = x.ndim == 3
    x = x[None] if lone else x
    k, d, p, s = (tupled(v, 2) for v in (kernel_size, dilation, padding, stride))
    x = np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])])
    oh, ow = ((x.shape[2 + i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2))
    parts = [
        x[:, :, i * d[0] : i * d[0] + (oh - 1) * s[0] + 1 : s[0], j * d[1] : j * d[1] + (ow - 1) * s[1] + 1 : s[1]]
        for i in range(k[0])
        for j in range(k[1])
    ]
    y = np.stack(parts, 2).reshape(x.shape[0], x.shape[1] * len(parts), oh * ow)
    return y[0] if lone else y


def fold(y, output_size, kernel_size, dilation=1, padding=0, stride=1):
    lone = y.ndim == 2
    y = y[None] if lone else y
    size, k, d, p, s = (tupled(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    c = y.shape[1] // (k[0] * k[1])
    x = np.zeros((y.shape[0], c, size[0] + 2 * p[0], size[1] + 2 * p[1]))
    oh, ow = ((x.shape[2 + i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2))
    y = y.reshape(y.shape[0], c, k[0], k[1], oh, ow)
    for i, j, a, b in np.ndindex(k[0], k[1], oh, ow):
        x[:, :, i * d[0] + a * s[0], j * d[1] + b * s[1]] += y[:, :, i, j, a, b]
    x = x[:, :, p[0] : p[0] + size[0], p[1] : p[1] + size[1]]
    return x[0] if lone else x


# shuffles


def pixel_shuffle(x, upscale_factor):
    r, (*lead, c, h, w) = upscale_factor, x.shape
    y = x.reshape(-1, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(*lead, c // r**2, h * r, w * r)


def pixel_unshuffle(x, downscale_factor):
    r, (*lead, c, h, w) = downscale_factor, x.shape
    y = x.reshape(-1, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
    return y.reshape(*lead, c * r**2, h // r, w // r)


def channel_shuffle(x, groups):
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)


# pools


def max_unpool(space):
    def reference(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        kernel, padding = tupled(kernel_size, space), tupled(padding, space)
        stride = tupled(stride, space) if stride else kernel
        sizes = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(x.shape[-space:], stride, kernel, padding)]
        sizes = list(output_size)[-space:] if output_size else sizes
        y = np.zeros((*x.shape[:-space], np.prod(sizes)))
        np.put_along_axis(y, indices.reshape(*x.shape[:-space], -1), x.reshape(*x.shape[:-space], -1), -1)
        return y.reshape(*x.shape[:-space], *sizes)

    return reference


def lp_pool(space):
    def reference(x, norm_type, kernel_size, stride=None, ceil_mode=False):
        made = list(windows(x, space, kernel_size, stride, 0, 1, ceil_mode))
        y = np.empty((*x.shape[:-space], *made[0][0]))
        for _, at, covered in made:
            kept = [[i for i in c if 0 <= i < n] for c, n in zip(covered, x.shape[-space:])]
            part = x[(..., *np.ix_(*kept))]
            share = np.prod(tupled(kernel_size, space)) / np.prod([len(c) for c in kept])
            y[(..., *at)] = ((part**norm_type).sum(tuple(range(-space, 0))) * share) ** (1 / norm_type)
        return y

    return reference


def begins(sample, n, kernel, out):
    alpha = (n - kernel) / (out - 1) if out > 1 else 0
    return [int((i + sample) * alpha) - int(sample * alpha) for i in range(out - 1)] + [n - kernel]


def fractional(space):
    def reference(x, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        k = tupled(kernel_size, space)
        if output_size is None:
            ratios = (output_ratio,) * space if np.isscalar(output_ratio) else output_ratio
            output_size = tuple(int(n * r) for n, r in zip(x.shape[-space:], ratios))
        out = tupled(output_size, space)
        lone = x.ndim == space + 1
        image = x[None] if lone else x
        y, places = (np.zeros((*image.shape[:2], *out), t) for t in (np.float64, np.int64))
        flat = np.arange(np.prod(x.shape[-space:])).reshape(x.shape[-space:])
        for n, c in np.ndindex(*image.shape[:2]):
            samples = _random_samples[n, c][:: -1 if space == 2 else 1]
            first = [begins(*a) for a in zip(samples, x.shape[-space:], k, out)]
            for at in np.ndindex(*out):
                window = tuple(slice(f[i], f[i] + w) for f, i, w in zip(first, at, k))
                part = image[(n, c, *window)]
                y[(n, c, *at)], places[(n, c, *at)] = part.max(), flat[window].reshape(-1)[part.argmax()]
        y, places = (y[0], places[0]) if lone else (y, places)
        return (y, places) if return_indices else y

    return reference


def with_indices(reference):
    return lambda *args, **kwargs: reference(*args, **{"return_indices": True, **kwargs})


X1, X2, X3 = rand(2, 3, 7), rand(2, 3, 5, 6), rand(1, 2, 3, 4, 5)
GRID, DEEP = rand(2, 3, 4, 2, low=-1.4, high=1.4), rand(1, 2, 3, 2, 3, low=-1.3, high=1.3)
THETA = rand(2, 2, 3)
UNPOOL = np.random.default_rng(5).permutation(24)[:12].reshape(1, 1, 3, 4)
SAMPLES = given([[[0.1, 0.7], [0.55, 0.25]]]).const
SAMPLES3 = given([[[0.1, 0.7, 0.4]]]).const


def unpool_spec(space, x, indices, sizes, **more):
    return Spec(
        f"nn.functional.max_unpool{space}d",
        max_unpool(space),
        [case(x, given(indices, "int64"), 2), case(x, given(indices, "int64"), 2, 2, 0, output_size=sizes)],
        dtypes=(*FLOATS, "int64"),
        method=False,
        layouts=HELD,
        **more,
    )


SPECS = [
    Spec(
        "nn.functional.interpolate",
        interpolate,
        [
            *(
                case(X1, size=m, mode=mode)
                for m in (4, 7, 12)
                for mode in ("nearest", "nearest-exact", "linear", "area")
            ),
            *(case(X2, size=(3, 9), mode=mode) for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")),
            *(case(X2, size=(8, 3), mode=mode, align_corners=True) for mode in ("bilinear", "bicubic")),
            *(
                case(X2, size=s, mode=m, antialias=True)
                for s in ((3, 2), (9, 4))
                for m in ("bilinear", "bicubic", "lanczos")
            ),
            *(case(X3, size=(2, 6, 5), mode=mode) for mode in ("nearest", "nearest-exact", "trilinear", "area")),
            case(X3, scale_factor=2, mode="trilinear", align_corners=True),
            *(case(X2, scale_factor=(1.3, 0.6), mode=m) for m in ("nearest", "bilinear", "bicubic", "area")),
            case(X2, scale_factor=(1.3, 0.6), mode="bicubic", recompute_scale_factor=True),
            case(rand(1, 1, 1, 1), scale_factor=3, mode="bilinear", align_corners=True),
            case(rand(0, 2, 3), size=5),
        ],
        method=False,
        tolerance=WIDE,
        large=case(rand(2, 8, 61, 67), size=(130, 120), mode="bicubic"),
        errors=[
            error(ValueError, "size or scale_factor", X2),
            error(ValueError, "only one", X2, size=3, scale_factor=2),
            error(ValueError, "spatial dimensions", X2, size=(3, 4, 5)),
            error(ValueError, "align_corners", X2, size=3, align_corners=True),
            error(ValueError, "(?i)anti-?alias", X1, size=3, mode="linear", antialias=True),
            error(NotImplementedError, "4D input", X1, size=3, mode="bilinear"),
            error(RuntimeError, "greater than 0", X2, size=(0, 3)),
            error(NotImplementedError, "int64", ints(1, 1, 3), size=4),
        ],
        bench=[
            case(rand(8, 64, 56, 56), scale_factor=2, mode="nearest"),
            case(rand(8, 64, 56, 56), scale_factor=2, mode="bilinear", align_corners=False),
            case(rand(4, 3, 256, 256), size=(112, 112), mode="bilinear", antialias=True),
        ],
    ),
    Spec(
        "nn.functional.affine_grid",
        affine_grid,
        [
            case(THETA, (2, 3, 4, 5), align_corners=False),
            case(THETA, (2, 3, 4, 5), align_corners=True),
            case(rand(1, 3, 4), (1, 2, 2, 3, 4), align_corners=False),
            case(rand(1, 3, 4), (1, 2, 1, 3, 4), align_corners=True),
        ],
        method=False,
        tolerance=WIDE,
        errors=[error(ValueError, ".*matrices|theta", rand(2, 3, 3), (2, 3, 4, 5), align_corners=False)],
    ),
    Spec(
        "affine_grid_generator",
        affine_grid,
        [case(THETA, (2, 3, 4, 5), False), case(rand(1, 3, 4), (1, 2, 2, 3, 4), True)],
        method=False,
        tolerance=WIDE,
    ),
    Spec(
        "nn.functional.grid_sample",
        grid_sample,
        [
            *(
                case(X2, GRID, mode, padding, align)
                for mode in ("bilinear", "nearest", "bicubic")
                for padding in ("zeros", "border", "reflection")
                for align in (False, True)
            ),
            *(
                case(X3, DEEP, mode, padding, align)
                for mode in ("bilinear", "nearest")
                for padding in ("zeros", "border", "reflection")
                for align in (False, True)
            ),
            case(rand(2, 3, 1, 1), GRID.const, align_corners=True),
            case(rand(2, 3, 1, 1), GRID.const, "bilinear", "reflection", True),
            case(rand(0, 3, 4, 5), rand(0, 2, 2, 2), align_corners=False),
        ],
        # Positions have as few digits as the dtype: what is nearest can turn on the last.
        dtypes=("float32", "float64"),
        method=False,
        layouts=HELD,
        tolerance=WIDE,
        large=case(rand(2, 20, 40, 41), rand(2, 37, 31, 2, low=-1.1, high=1.1), "bicubic", "reflection", False),
        errors=[
            error(RuntimeError, "same batch size", X2, rand(1, 3, 4, 2), align_corners=False),
            error(RuntimeError, "last dimension", X2, rand(2, 3, 4, 3), align_corners=False),
            error(RuntimeError, "4D or 5D", X1, rand(2, 3, 4), align_corners=False),
            error(ValueError, "mode", X2, GRID, "cubic", align_corners=False),
            error(ValueError, "padding_mode", X2, GRID, "nearest", "wrap", align_corners=False),
        ],
        bench=[case(rand(8, 32, 64, 64), rand(8, 64, 64, 2, low=-1.1, high=1.1), align_corners=False)],
    ),
    *(
        Spec(
            f"grid_sampler{kind}",
            lambda x, grid, mode, padding, align: grid_sample(
                x, grid, ("bilinear", "nearest", "bicubic")[mode], ("zeros", "border", "reflection")[padding], align
            ),
            [case(x, grid, 0, 1, False), case(x, grid, 1, 2, True)],
            dtypes=("float32", "float64"),
            method=False,
            layouts=HELD,
            tolerance=WIDE,
        )
        for kind, x, grid in (("", X2, GRID), ("_2d", X2, GRID), ("_3d", X3, DEEP))
    ),
    Spec(
        "nn.functional.unfold",
        unfold,
        [
            case(X2, 3),
            case(X2, (2, 3), (1, 2), (1, 2), (2, 1)),
            case(rand(3, 4, 5), 2, stride=2),
            case(X2, 1),
            case(rand(0, 2, 3, 3), 2),
        ],
        dtypes=(*FLOATS, "bool"),
        method=False,
        errors=[error(RuntimeError, "", rand(3, 4), 2), error(RuntimeError, "", X2, 9)],
    ),
    Spec(
        "nn.functional.fold",
        fold,
        [
            case(rand(2, 27, 12), (5, 6), 3),
            case(rand(2, 12, 18), (5, 6), (2, 3), (1, 2), (1, 2), (2, 1)),
            case(rand(2, 12, 12), (5, 6), (2, 2), 1, 1, 2),
            case(rand(12, 4), (4, 5), 2, stride=2),
            case(rand(2, 4, 12), (3, 4), (2, 2), 1, (1, 0), 1),
        ],
        method=False,
        errors=[
            error(RuntimeError, "sliding blocks", rand(2, 27, 11), (5, 6), 3),
            error(RuntimeError, "divisible", rand(2, 26, 12), (5, 6), 3),
        ],
    ),
    Spec(
        "nn.functional.pixel_shuffle",
        pixel_shuffle,
        [case(rand(2, 8, 3, 4), 2), case(rand(9, 2, 2), 3), case(rand(2, 1, 4, 2, 3), 2), case(rand(0, 4, 2, 2), 2)],
        dtypes=(*FLOATS, "int64", "bool"),
        method=False,
        errors=[
            error(RuntimeError, "divisible", rand(2, 7, 3, 4), 2),
            error(RuntimeError, "3 dimensions", rand(4, 4), 2),
        ],
    ),
    Spec(
        "nn.functional.pixel_unshuffle",
        pixel_unshuffle,
        [case(rand(2, 2, 6, 4), 2), case(rand(1, 6, 3), 3), case(rand(2, 1, 2, 2, 4), 2)],
        dtypes=(*FLOATS, "int64", "bool"),
        method=False,
        errors=[error(RuntimeError, "divisible", rand(2, 7, 3, 4), 2)],
    ),
    Spec(
        "nn.functional.channel_shuffle",
        channel_shuffle,
        [case(rand(2, 6, 3), 2), case(rand(2, 6, 2, 2), 3), case(rand(1, 4, 1, 2, 2), 4)],
        dtypes=(*FLOATS, "int64", "bool"),
        method=False,
        errors=[error(RuntimeError, "divisible", rand(2, 7, 3), 2)],
    ),
    Spec(
        "native_channel_shuffle",
        channel_shuffle,
        [case(rand(2, 6, 3), 2)],
        dtypes=(*FLOATS, "int64"),
        method=False,
    ),
    unpool_spec(1, rand(2, 3, 3), [[[0, 3, 5], [1, 2, 4], [0, 2, 5]]] * 2, (6,)),
    unpool_spec(
        2,
        rand(1, 1, 3, 4),
        UNPOOL,
        (6, 8),
        errors=[
            error(RuntimeError, "invalid max index", rand(1, 1, 2, 2), given([[[[0, 1], [2, 99]]]], "int64"), 2),
            error(ValueError, "output_size", rand(1, 1, 3, 4), given(UNPOOL, "int64"), 2, output_size=(30, 30)),
        ],
    ),
    unpool_spec(3, rand(1, 1, 1, 2, 2), [[[[[0, 5], [9, 14]]]]], (2, 4, 4)),
    Spec(
        "nn.functional.lp_pool1d",
        lp_pool(1),
        [case(positive(2, 3, 7), 2, 3), case(positive(2, 3, 7), 1.5, 2, 1), case(positive(2, 3, 8), 3, 3, 3, True)],
        method=False,
        tolerance=WIDE,
    ),
    Spec(
        "nn.functional.lp_pool2d",
        lp_pool(2),
        [case(positive(2, 3, 5, 6), 2, 2), case(positive(2, 3, 5, 6), 2, (2, 3), 1, True)],
        method=False,
        tolerance=WIDE,
    ),
    Spec(
        "nn.functional.lp_pool3d",
        lp_pool(3),
        [case(positive(1, 2, 4, 4, 5), 2, 2), case(positive(1, 2, 4, 4, 5), 3, (1, 2, 3), 1)],
        method=False,
        tolerance=WIDE,
    ),
    Spec(
        "nn.functional.fractional_max_pool2d",
        fractional(2),
        [
            case(distinct(1, 2, 6, 7), 2, output_size=(3, 4), _random_samples=SAMPLES),
            case(distinct(1, 2, 6, 7), (3, 2), output_ratio=(0.5, 0.6), _random_samples=SAMPLES),
            case(distinct(2, 6, 7), 2, output_size=3, _random_samples=SAMPLES, return_indices=True),
        ],
        dtypes=("float32", "float64"),
        result=("same", "int64"),
        method=False,
        layouts=HELD,
        errors=[error(RuntimeError, "too large", distinct(1, 2, 3, 3), 3, output_size=2)],
    ),
    Spec(
        "nn.functional.fractional_max_pool2d_with_indices",
        with_indices(fractional(2)),
        [case(distinct(1, 2, 6, 7), 2, output_size=(3, 4), _random_samples=SAMPLES)],
        dtypes=("float32", "float64"),
        result=("same", "int64"),
        method=False,
        layouts=HELD,
    ),
    Spec(
        "nn.functional.fractional_max_pool3d",
        fractional(3),
        [case(distinct(1, 1, 4, 5, 6), 2, output_size=(2, 3, 3), _random_samples=SAMPLES3)],
        dtypes=("float32", "float64"),
        method=False,
        layouts=HELD,
    ),
    Spec(
        "nn.functional.fractional_max_pool3d_with_indices",
        with_indices(fractional(3)),
        [case(distinct(1, 1, 4, 5, 6), 2, output_size=(2, 3, 3), _random_samples=SAMPLES3)],
        dtypes=("float32", "float64"),
        result=("same", "int64"),
        method=False,
        layouts=HELD,
    ),
]
