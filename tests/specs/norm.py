"""Normalisation over a batch or over the last dimensions."""

import numpy as np

from . import Spec, case, error, given, positive, rand

TOLERANCE = {"float32": (2e-5, 2e-5), "float16": (6e-3, 6e-3), "bfloat16": (4e-2, 4e-2)}


def scaled(y, w, b, shape):
    y = y if w is None else y * w.reshape(shape)
    return y if b is None else y + b.reshape(shape)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return scaled(y, weight, bias, normalized_shape)


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    axes = (0,) + tuple(range(2, x.ndim))
    mean, var = (x.mean(axes), x.var(axes)) if training else (running_mean, running_var)
    return scaled((x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps), weight, bias, shape)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    eps = np.finfo(np.float64).eps if eps is None else eps
    return scaled(x / np.sqrt((x * x).mean(axes, keepdims=True) + eps), weight, None, normalized_shape)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    y = x.reshape(x.shape[0], groups, -1)
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + eps)
    return scaled(y.reshape(x.shape), weight, bias, (1, -1) + (1,) * (x.ndim - 2))


def moments(y, eps):
    """The mean along the last dimension and 1 / sqrt(variance + eps), as the native ops hand them out."""
    return y.mean(-1), 1 / np.sqrt(y.var(-1) + eps)


def native_layer_norm(x, shape, w, b, eps):
    rest = x.shape[: x.ndim - len(shape)]
    mean, rstd = moments(x.reshape(*rest, -1), eps)
    kept = rest + (1,) * len(shape)
    return layer_norm(x, shape, w, b, eps), mean.reshape(kept), rstd.reshape(kept)


def native_group_norm(x, w, b, n, c, inner, groups, eps):
    return group_norm(x, groups, w, b, eps), *moments(x.reshape(n, groups, -1), eps)


def native_batch_norm(x, w, b, running_mean, running_var, training, momentum, eps):
    y = batch_norm(x, running_mean, running_var, w, b, training, momentum, eps)
    return y, *moments(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1), eps)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    widths = [(0, 0)] * x.ndim
    widths[1] = size // 2, (size - 1) // 2
    squares = np.pad(x * x, widths)
    mean = sum(squares[:, i : i + x.shape[1]] for i in range(size)) / size
    return x / (k + alpha * mean) ** beta


def normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / np.maximum(np.sum(np.abs(x) ** p, dim, keepdims=True) ** (1 / p), eps)


C = 3
FROZEN = rand(C).const, positive(C).const
# mean 1e4, deviation 1e-3: two passes or Welford survive it, the difference of squares does not
FAR = given([[1e4, 1e4 + 1e-3, 1e4 - 1e-3, 1e4 + 2e-3]])


def added(norm):
    """norm(x + residual, ...) and the sum."""
    return lambda x, residual, *rest, **more: (norm(x + residual, *rest, **more), x + residual)


def native(name, reference, cases, **more):
    """With the moments; their own gradient is nobody's, so the gradients stand with the plain ops."""
    more = {"method": False, "differentiable": False, **more}
    return Spec(name, reference, cases, tolerance=TOLERANCE, layouts=("transposed", "stepped"), **more)


SPECS = [
    Spec(
        "nn.functional.layer_norm",
        layer_norm,
        [
            case(rand(4, 5), (5,)),
            case(rand(4, 5), (5,), rand(5), rand(5)),
            case(rand(2, 3, 4), (3, 4), rand(3, 4), rand(3, 4)),
            case(rand(4, 5), (5,), rand(5)),
            case(rand(4, 5), (5,), None, rand(5)),
            case(rand(0, 5), (5,), rand(5), rand(5)),
            case(rand(7), (7,), eps=0.1),
            case(rand(2, 133), (133,)),
            case(FAR, (4,)).of(("float64",)),
        ],
        method=False,
        tolerance={**TOLERANCE, "float64": (1e-6, 1e-6)},
        large=case(rand(150, 501), (501,), rand(501), rand(501)),
        bench=[case(rand(64, 768), (768,), rand(768), rand(768))],
        errors=[error(RuntimeError, ".*5", rand(3, 4), (5,)), error(RuntimeError, ".*", rand(3, 4), (4,), rand(3))],
    ),
    Spec(
        "nn.functional.batch_norm",
        batch_norm,
        [
            case(rand(4, C), None, None, training=True),
            case(rand(4, C), None, None, rand(C), rand(C), training=True),
            case(rand(2, C, 4), None, None, rand(C), rand(C), training=True),
            case(rand(2, C, 2, 3), None, None, rand(C), rand(C), training=True),
            case(rand(4, C), *FROZEN),
            case(rand(2, C, 2, 3), *FROZEN, rand(C), rand(C)),
            case(rand(2, C, 2, 2), *FROZEN, rand(C), eps=0.1),
            case(rand(2, C, 2, 3), None, None, None, rand(C), training=True, eps=0.5),
        ],
        method=False,
        tolerance=TOLERANCE,
        layouts=("transposed", "stepped"),
        large=case(rand(17, 13, 20, 20), None, None, rand(13), rand(13), training=True),
        bench=[case(rand(32, 64, 28, 28), None, None, rand(64), rand(64), training=True)],
        errors=[
            error(ValueError, ".*", rand(1, C), None, None, training=True),
            error(RuntimeError, ".*4", rand(2, C), rand(4), positive(4)),
        ],
    ),
    Spec(
        "nn.functional.instance_norm",
        lambda x, *rest, **more: group_norm(x, x.shape[1], *rest[2:4]),
        [case(rand(2, C, 5)), case(rand(2, C, 2, 3), None, None, rand(C), rand(C))],
        method=False,
        tolerance=TOLERANCE,
    ),
    Spec(
        "nn.functional.group_norm",
        group_norm,
        [case(rand(2, 6, 4), 3), case(rand(2, 6, 2, 2), 2, rand(6), rand(6)), case(rand(3, 4), 2)],
        method=False,
        tolerance=TOLERANCE,
        errors=[error(RuntimeError, ".*", rand(2, 6), 4)],
    ),
    Spec(
        "nn.functional.rms_norm",
        rms_norm,
        [case(rand(4, 5), (5,)), case(rand(4, 5), (5,), rand(5)), case(rand(2, 3, 4), (3, 4), eps=0.1)],
        method=False,
        tolerance=TOLERANCE,
        layouts=("transposed", "stepped"),
    ),
    Spec(
        "nn.functional.normalize",
        normalize,
        [case(rand(3, 4)), case(rand(3, 4), dim=0), case(rand(3, 4), p=1.0)],
        method=False,
        tolerance=TOLERANCE,
    ),
    Spec(
        "_C._ops.add_layer_norm",
        added(layer_norm),
        [
            case(rand(4, 5), rand(4, 5), (5,), rand(5), rand(5)),
            case(rand(2, 3, 4), rand(2, 3, 4), (3, 4)),
            case(rand(4, 5), rand(5), (5,), rand(5)),
            case(rand(2, 133), rand(2, 133), (133,), None, rand(133), eps=0.1),
            case(rand(0, 5), rand(0, 5), (5,)),
        ],
        out=False,
        method=False,
        tolerance={**TOLERANCE, "float64": (1e-6, 1e-6)},
        large=case(rand(150, 501), rand(150, 501), (501,), rand(501), rand(501)),
        bench=[case(rand(64, 768), rand(64, 768), (768,), rand(768), rand(768))],
        errors=[error(RuntimeError, ".*5", rand(3, 4), rand(3, 4), (5,))],
    ),
    Spec(
        "_C._ops.add_rms_norm",
        added(rms_norm),
        [
            case(rand(4, 5), rand(4, 5), (5,), rand(5), eps=1e-5),
            case(rand(2, 3, 4), rand(2, 3, 4), (4,), eps=1e-3),
            case(rand(4, 5), rand(4, 1), (5,), eps=1e-3),
        ],
        out=False,
        method=False,
        tolerance=TOLERANCE,
        large=case(rand(150, 501), rand(150, 501), (501,), rand(501), eps=1e-5),
        bench=[case(rand(64, 768), rand(64, 768), (768,), rand(768))],
        errors=[error(RuntimeError, ".*5", rand(3, 4), rand(3, 4), (5,))],
    ),
    native(
        "native_layer_norm",
        native_layer_norm,
        [
            case(rand(4, 5), (5,), rand(5), rand(5), 1e-5),
            case(rand(2, 3, 4), (3, 4), None, None, 0.1),
            case(rand(2, 3, 4), (4,), rand(4), None, 1e-5),
        ],
        errors=[error(RuntimeError, ".*5", rand(3, 4), (5,), None, None, 1e-5)],
    ),
    native(
        "native_group_norm",
        native_group_norm,
        [
            case(rand(2, 6, 4), rand(6), rand(6), 2, 6, 4, 3, 1e-5),
            case(rand(2, 6, 2, 2), None, None, 2, 6, 4, 2, 0.1),
        ],
        errors=[error(RuntimeError, ".*", rand(2, 6, 4), None, None, 2, 6, 4, 4, 1e-5)],
    ),
    native(
        "native_batch_norm",
        native_batch_norm,
        [
            case(rand(4, C), rand(C), rand(C), None, None, True, 0.1, 1e-5),
            case(rand(2, C, 2, 3), None, None, None, None, True, 0.1, 0.5),
        ],
        errors=[error(RuntimeError, ".*4", rand(2, C), None, None, rand(4), positive(4), False, 0.1, 1e-5)],
    ),
    Spec(
        "nn.functional.local_response_norm",
        local_response_norm,
        [
            case(rand(2, 5, 4), 3),
            case(rand(2, 5, 4), 2, 0.5, 0.6, 2.0),
            case(rand(2, 5, 3, 2), 4, alpha=1.0),
            case(rand(2, 3, 2, 2, 2), 5, alpha=1.0),
        ],
        method=False,
        tolerance=TOLERANCE,
        errors=[error(ValueError, ".*", rand(2, 3), 2)],
    ),
]
