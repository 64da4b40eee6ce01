"""Products of matrices, in every shape they come in."""

import math

import numpy as np

from . import FLOATS, INTS, Spec, case, error, given, rand, unit

TOLERANCE = {"float32": (1e-5, 1e-5), "float16": (5e-3, 1e-2), "bfloat16": (2e-2, 6e-2)}
DTYPES = FLOATS + INTS
WIDE = [
    case(rand(1, 7), rand(7, 1)),
    case(rand(33, 17), rand(17, 40)),
    case(rand(0, 3), rand(3, 2)),
    case(rand(2, 0), rand(0, 3)),
]


def product(name, reference, cases, **more):
    return Spec(name, reference, cases, **{"dtypes": DTYPES, "out": True, "tolerance": TOLERANCE, **more})


def with_added(multiply):
    """beta * x + alpha * (a times b); beta 0 ignores x."""
    return lambda x, a, b, beta=1, alpha=1: (beta * x if beta else 0) + alpha * multiply(a, b)


def einsum(equation, *operands):
    return np.einsum(equation.replace(" ", ""), *operands)


def tensordot(a, b, dims=2):
    return np.tensordot(a, b, dims)


def linear(x, w, b=None):
    return x @ w.T + (0 if b is None else b)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "none": lambda x: x,
}


def linear_activation(x, w, b, activation):
    return ACTIVATIONS[activation](linear(x, w, b))


def bilinear(a, b, w, bias=None):
    return np.einsum("...i,oij,...j->...o", a, w, b) + (0 if bias is None else bias)


# Far from singular: the inverse of a random matrix amplifies the error of any float.
REGULAR = given([[2.0, 0.5, -0.3], [0.4, -1.5, 0.2], [0.1, 0.7, 1.8]])
REGULAR_STACK = given([[[1.5, 0.2], [0.3, -2.0]], [[-1.0, 0.4], [0.1, 1.2]]])


def rebuilt(torch, x, full_matrices=True):
    """The signs of singular vectors are free; their product is not."""
    u, s, vh = torch.linalg.svd(x, full_matrices)
    n = s.shape[-1]
    return (u[..., :n] * s.unsqueeze(-2)) @ vh[..., :n, :]


def chain_matmul(*matrices):
    return np.linalg.multi_dot(matrices) if len(matrices) > 1 else matrices[0]


def cross(a, b, dim=None):
    a, b = np.broadcast_arrays(a, b)
    return np.cross(a, b, axis=a.shape.index(3) if dim is None else dim)


EINSUMS = [
    case("ij,jk->ik", rand(3, 4), rand(4, 2)),
    case("ij,jk", rand(3, 4), rand(4, 2)),
    case("bij,bjk->bik", rand(2, 3, 4), rand(2, 4, 2)),
    case("ii->i", rand(3, 3)),
    case("ii", rand(3, 3)),
    case("ij->ji", rand(3, 4)),
    case("ij->", rand(3, 4)),
    case("ij->j", rand(3, 4)),
    case("i,j->ij", rand(3), rand(4)),
    case("i,i->", rand(3), rand(3)),
    case("...ij,...jk->...ik", rand(2, 3, 4), rand(4, 2)),
    case("bhqd,bhkd->bhqk", rand(2, 2, 3, 4), rand(2, 2, 5, 4)),
    case("ij,jk,kl->il", rand(2, 3), rand(3, 4), rand(4, 2)),
    case("bn,anm,bm->ba", rand(2, 3), rand(4, 3, 5), rand(2, 5)),
    case(" i j , j -> i ", rand(3, 4), rand(4)),
    case("...i,...i->...", rand(2, 3, 4), rand(3, 4)),
]

SPECS = [
    product(
        "matmul",
        np.matmul,
        [
            *WIDE,
            case(rand(3), rand(3)),
            case(rand(2, 3), rand(3)),
            case(rand(3), rand(3, 2)),
            case(rand(2, 3, 4), rand(4)),
            case(rand(2, 3, 4), rand(2, 4, 5)),
            case(rand(2, 1, 3, 4), rand(3, 4, 2)),
            case(rand(4), rand(2, 4, 3)),
            case(rand(2, 3, 4), rand(4, 5)),
        ],
        large=case(rand(150, 301), rand(301, 97)),
        bench=[case(rand(n, n), rand(n, n)) for n in (16, 128, 512)],
        errors=[
            error(RuntimeError, r".*3.*4|.*4.*3", rand(2, 3), rand(4, 5)),
            error(RuntimeError, ".*", rand(), rand(3)),
            error(RuntimeError, ".*", given([[1.0]], "float32"), given([[1.0]], "float64")),
        ],
    ),
    product(
        "mm",
        np.matmul,
        [case(rand(3, 4), rand(4, 2)), *WIDE],
        large=case(rand(150, 301), rand(301, 97)),
        errors=[
            error(RuntimeError, r".*4", rand(2, 3), rand(4, 5)),
            error(RuntimeError, ".*", rand(2, 3, 4), rand(4, 5)),
        ],
    ),
    product(
        "bmm",
        np.matmul,
        [case(rand(2, 3, 4), rand(2, 4, 5)), case(rand(0, 3, 4), rand(0, 4, 5)), case(rand(2, 3, 0), rand(2, 0, 5))],
        large=case(rand(7, 50, 64), rand(7, 64, 30)),
        errors=[
            error(RuntimeError, ".*", rand(2, 3, 4), rand(3, 4, 5)),
            error(RuntimeError, ".*", rand(3, 4), rand(3, 4, 5)),
        ],
    ),
    product(
        "mv",
        np.matmul,
        [case(rand(3, 4), rand(4)), case(rand(33, 17), rand(17)), case(rand(3, 0), rand(0))],
        large=case(rand(1001, 301), rand(301)),
        errors=[error(RuntimeError, ".*", rand(2, 3), rand(4))],
    ),
    product(
        "dot",
        np.dot,
        [case(rand(5), rand(5)), case(rand(0), rand(0)), case(rand(133), rand(133))],
        large=case(rand(100_001), rand(100_001)),
        tolerance={**TOLERANCE, "float32": (1e-5, 2e-5), "bfloat16": (2e-2, 0.2), "float16": (5e-3, 5e-2)},
        errors=[error(RuntimeError, ".*", rand(3), rand(4)), error(RuntimeError, ".*", rand(3, 1), rand(3))],
    ),
    product("inner", np.inner, [case(rand(5), rand(5)), case(rand(2, 3), rand(4, 3)), case(rand(), rand(2))]),
    product(
        "outer",
        np.outer,
        [case(rand(3), rand(4)), case(rand(0), rand(4))],
        errors=[error(RuntimeError, ".*", rand(2, 2), rand(3))],
    ),
    product(
        "addmm",
        with_added(np.matmul),
        [
            case(rand(3, 2), rand(3, 4), rand(4, 2)),
            case(rand(2), rand(3, 4), rand(4, 2)),
            case(rand(3, 1), rand(3, 4), rand(4, 2), beta=2, alpha=3),
            case(given([[np.nan]]), rand(3, 4), rand(4, 2), beta=0),
            case(rand(3, 2), rand(3, 0), rand(0, 2)),
            case(rand(), rand(3, 4), rand(4, 2)),
        ],
        large=case(rand(97), rand(150, 301), rand(301, 97)),
        errors=[error(RuntimeError, ".*", rand(3, 2), rand(3, 4), rand(5, 2))],
        bench=[case(rand(64), rand(32, 64), rand(64, 64))],
    ),
    product(
        "addmv",
        with_added(np.matmul),
        [case(rand(3), rand(3, 4), rand(4)), case(rand(3), rand(3, 4), rand(4), beta=2, alpha=3)],
    ),
    product(
        "addr",
        with_added(np.outer),
        [case(rand(3, 4), rand(3), rand(4)), case(rand(4), rand(3), rand(4), beta=2, alpha=3)],
    ),
    product(
        "baddbmm",
        with_added(np.matmul),
        [
            case(rand(2, 3, 5), rand(2, 3, 4), rand(2, 4, 5)),
            case(rand(3, 5), rand(2, 3, 4), rand(2, 4, 5), beta=2, alpha=3),
            case(rand(1), rand(2, 3, 4), rand(2, 4, 5), beta=0),
        ],
    ),
    product(
        "addbmm",
        with_added(lambda a, b: np.matmul(a, b).sum(0)),
        [
            case(rand(3, 5), rand(2, 3, 4), rand(2, 4, 5)),
            case(rand(3, 5), rand(2, 3, 4), rand(2, 4, 5), beta=2, alpha=3),
        ],
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 3e-2), "bfloat16": (4e-2, 0.25)},
    ),
    product(
        "einsum",
        einsum,
        EINSUMS,
        out=False,
        method=False,
        dtypes=FLOATS,
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 3e-2), "bfloat16": (4e-2, 0.3)},
        errors=[
            error(RuntimeError, ".*", "ij,jk->ik", rand(3, 4), rand(5, 2)),
            error(RuntimeError, ".*", "ij->ik", rand(3, 4)),
            error(RuntimeError, ".*", "ijk->i", rand(3, 4)),
        ],
    ),
    product(
        "tensordot",
        tensordot,
        [
            case(rand(3, 4, 5), rand(4, 5, 2)),
            case(rand(3, 4), rand(4, 2), 1),
            case(rand(3, 4, 5), rand(5, 3), dims=([0, 2], [1, 0])),
            case(rand(2), rand(3), 0),
        ],
        out=False,
        method=False,
        dtypes=FLOATS,
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 3e-2), "bfloat16": (4e-2, 0.3)},
    ),
    product(
        "nn.functional.linear",
        linear,
        [
            case(rand(5, 4), rand(3, 4), rand(3)),
            case(rand(5, 4), rand(3, 4)),
            case(rand(4), rand(3, 4), rand(3)),
            case(rand(2, 5, 4), rand(3, 4), rand(3)),
            case(rand(0, 4), rand(3, 4), rand(3)),
        ],
        out=False,
        method=False,
        dtypes=FLOATS,
        large=case(rand(150, 301), rand(97, 301), rand(97)),
        bench=[case(rand(1, 16), rand(16, 16), rand(16)), case(rand(64, 512), rand(512, 512), rand(512))],
        errors=[error(RuntimeError, ".*4.*5|.*5.*4", rand(2, 4), rand(3, 5), rand(3))],
    ),
    product(
        "_C._ops.linear",
        linear_activation,
        [case(rand(5, 4), unit(3, 4), rand(3), name) for name in ACTIVATIONS]
        + [
            case(rand(4), unit(3, 4), rand(3), "gelu"),
            case(rand(2, 5, 4), unit(3, 4), None, "tanh"),
            case(rand(0, 4), unit(3, 4), rand(3), "silu"),
            case(rand(2, 5, 4), unit(3, 4), rand(3), "none"),
        ],
        out=False,
        method=False,
        dtypes=FLOATS,
        tolerance={"float32": (1e-5, 1e-5), "float16": (1e-2, 1e-2), "bfloat16": (6e-2, 6e-2)},
        large=case(rand(150, 301), unit(97, 301), rand(97), "gelu"),
        bench=[case(rand(64, 512), unit(512, 512), rand(512), name) for name in ("relu", "gelu")],
        errors=[error(RuntimeError, ".*4.*5|.*5.*4", rand(2, 4), rand(3, 5), rand(3), "relu")],
    ),
    product(
        "bilinear",
        bilinear,
        [
            case(rand(5, 3), rand(5, 4), rand(2, 3, 4), rand(2)),
            case(rand(5, 3), rand(5, 4), rand(2, 3, 4)),
            case(rand(3), rand(4), rand(2, 3, 4), rand(2)),
            case(rand(2, 5, 3), rand(2, 5, 4), rand(2, 3, 4), rand(2)),
        ],
        out=False,
        method=False,
        dtypes=FLOATS,
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 3e-2), "bfloat16": (4e-2, 0.4)},
        errors=[
            error(RuntimeError, ".*", rand(5, 3), rand(5, 3), rand(2, 3, 4)),
            error(RuntimeError, ".*", rand(5, 3), rand(6, 4), rand(2, 3, 4)),
        ],
    ),
    product(
        "chain_matmul",
        chain_matmul,
        [case(rand(3, 4), rand(4, 2)), case(rand(2, 5), rand(5, 3), rand(3, 4), rand(4, 2)), case(rand(3, 4))],
        method=False,
        out=False,
        dtypes=FLOATS,
        tolerance={"float32": (3e-5, 3e-5), "float16": (1e-2, 0.1), "bfloat16": (6e-2, 1.5)},
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(5, 2))],
    ),
    product(
        "cross",
        cross,
        [
            case(rand(2, 3), rand(2, 3)),
            case(rand(3, 3), rand(3, 3), dim=0),
            case(rand(4, 3), rand(1, 3), dim=-1),
            case(rand(3, 2), rand(3, 2)),
            case(rand(0, 3), rand(0, 3)),
        ],
        errors=[
            error(RuntimeError, ".*", rand(2, 4), rand(2, 4)),
            error(RuntimeError, ".*", rand(2, 3), rand(2, 3), dim=0),
        ],
    ),
    product(
        "kron",
        np.kron,
        [
            case(rand(2, 3), rand(3, 2)),
            case(rand(3), rand(2, 2)),
            case(rand(2, 2, 2), rand(3)),
            case(rand(), rand(3)),
            case(rand(0), rand(3)),
        ],
    ),
    product(
        "matrix_power",
        np.linalg.matrix_power,
        [*(case(unit(3, 3), n) for n in (0, 1, 2, 3, 5)), case(unit(2, 3, 3), 2)],
        dtypes=FLOATS,
        tolerance={"float32": (2e-5, 2e-5), "float16": (1e-2, 1e-2), "bfloat16": (6e-2, 0.1)},
        errors=[error(RuntimeError, ".*", rand(2, 3), 2)],
    ),
    product(
        "vdot",
        np.vdot,
        [case(rand(5), rand(5)), case(rand(0), rand(0))],
        errors=[error(RuntimeError, ".*", rand(3), rand(4)), error(RuntimeError, ".*", rand(3, 1), rand(3))],
    ),
    product(
        "linalg.svd",
        lambda x, full_matrices=True: x,
        [case(REGULAR), case(REGULAR_STACK), case(rand(4, 2), False), case(rand(2, 4), False)],
        call=rebuilt,
        method=False,
        out=False,
        differentiable=False,
        dtypes=("float32", "float64"),
        tolerance={"float32": (2e-5, 2e-5), "float64": (1e-10, 1e-10)},
    ),
    product(
        "linalg.svdvals",
        lambda x: np.linalg.svd(x, compute_uv=False),
        [case(REGULAR), case(REGULAR_STACK), case(rand(4, 2))],
        method=False,
        differentiable=False,
        dtypes=("float32", "float64"),
        tolerance={"float32": (2e-5, 2e-5), "float64": (1e-10, 1e-10)},
    ),
    product(
        "linalg.multi_dot",
        lambda matrices: np.linalg.multi_dot(matrices),
        [
            case([rand(3, 4), rand(4, 2)]),
            case([rand(2, 5), rand(5, 3), rand(3, 4)]),
            case([rand(3), rand(3, 4), rand(4)]),
        ],
        method=False,
        out=False,
        dtypes=FLOATS,
        tolerance={"float32": (3e-5, 3e-5), "float16": (1e-2, 0.1), "bfloat16": (6e-2, 0.6)},
        errors=[error(RuntimeError, ".*", [rand(3, 4)]), error(RuntimeError, ".*", [rand(3, 4), rand(5, 2)])],
    ),
    product(
        "linalg.vecdot",
        lambda x, y, dim=-1: (x * y).sum(dim),
        [case(rand(3, 4), rand(3, 4)), case(rand(3, 4), rand(4)), case(rand(3, 4), rand(3, 1), dim=0)],
        method=False,
        out=False,
        dtypes=FLOATS,
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(3, 5))],
    ),
]
