"""Decompositions of matrices, solvers and functions of matrices. numpy is the reference; where vectors may turn around,
what they multiply to is compared."""

import numpy as np

from . import Spec, case, error, given, rand
from .matmul import REGULAR, REGULAR_STACK

LAPACK = ("float32", "float64")
TOLERANCE = {"float32": (5e-5, 5e-5)}
NOT_SQUARE = error(RuntimeError, ".*", rand(2, 3))
NOT_SQUARE_SOLVE = error(RuntimeError, ".*", rand(2, 3), rand(2))
FLAT = error(RuntimeError, ".*", rand(3))
SIDES = given([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]])
VECTOR = given([0.5, -1.25, 2.0])
TALL = given([[1.0, 0.5], [-0.5, 2.0], [0.75, -1.0]])
WIDE = given([[1.0, -0.5, 0.75], [0.5, 2.0, -1.0]])
SINGULAR = given([[1.0, 2.0], [2.0, 4.0]])
NEGATIVE = given([[1.0, 2.0], [2.0, 1.0]])


def matrices(name, reference, cases, **more):
    plain = {"dtypes": LAPACK, "method": False, "layouts": ("transposed", "stepped"), "tolerance": TOLERANCE}
    return Spec(name, reference, cases, **{**plain, **more})


def t(x):
    return np.swapaxes(x, -1, -2)


def positive(x):
    """A positive definite matrix made of any."""
    return x @ t(x) + np.eye(x.shape[-1])


def positive_tensor(torch, x):
    return x @ x.transpose(-2, -1) + torch.eye(x.shape[-1], dtype=x.dtype)


def of_positive(name):
    """The op of a positive definite matrix."""

    def call(torch, x, *args, **kwargs):
        return getattr(torch.linalg, name)(positive_tensor(torch, x), *args, **kwargs)

    return call


def of_symmetric(name):
    def call(torch, x, *args, **kwargs):
        return getattr(torch.linalg, name)(x + x.transpose(-2, -1), *args, **kwargs)

    return call


def cholesky(x, upper=False):
    return t(np.linalg.cholesky(positive(x))) if upper else np.linalg.cholesky(positive(x))


def no_info(a):
    return np.zeros(a.shape[:-2], np.int32)


def rebuilt_eigh(torch, x, uplo="L"):
    w, v = torch.linalg.eigh(x + x.transpose(-2, -1), uplo)
    return (v * w.unsqueeze(-2).sin()) @ v.transpose(-2, -1)


def sine_of_symmetric(x, uplo="L"):
    w, v = np.linalg.eigh(x + t(x))
    return (v * np.sin(w)[..., None, :]) @ t(v)


def multiplied(*factors):
    """What the factors of a decomposition multiply to."""
    y = factors[0]
    for f in factors[1:]:
        y = y @ f
    return y


def solve_lu(torch, a, b, **kwargs):
    return torch.linalg.lu_solve(*torch.linalg.lu_factor(a), b, **kwargs)


def solved(a, b, left=True, adjoint=False):
    a = t(a) if adjoint else a
    return np.linalg.solve(a, b) if left else t(np.linalg.solve(t(a), t(b)))


def triangle(a, upper, unitriangular=False):
    a = np.triu(a) if upper else np.tril(a)
    return a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1]) if unitriangular else a


def solve_triangular(a, b, upper, left=True, unitriangular=False):
    return solved(triangle(a, upper, unitriangular), b, left)


def reflections(a, tau):
    m, n = a.shape
    q = np.eye(m)
    for i in range(len(tau)):
        v = np.where(np.arange(m) > i, a[:, i], 0) + (np.arange(m) == i)
        q = q @ (np.eye(m) - tau[i] * np.outer(v, v))
    return q


def exponential(a):
    y, term = np.eye(a.shape[-1]) + 0 * a, np.eye(a.shape[-1]) + 0 * a
    for k in range(1, 60):
        term = term @ a / k
        y = y + term
    return y


def least_squares(a, b, rcond=None, driver=None):
    return np.linalg.pinv(a) @ b


TWO_STACKS = given([[[1.5, 0.2], [0.3, -2.0]], [[-1.0, 0.4], [0.1, 1.2]], [[0.5, -1.0], [2.0, 0.3]]])

SPECS = [
    # decompositions
    matrices(
        "linalg.cholesky",
        cholesky,
        [case(REGULAR), case(REGULAR_STACK), case(REGULAR, upper=True)],
        call=of_positive("cholesky"),
    ),
    matrices(
        "linalg.cholesky_ex",
        lambda x, upper=False: (cholesky(x, upper), no_info(x)),
        [case(REGULAR), case(REGULAR_STACK), case(REGULAR, upper=True)],
        call=of_positive("cholesky_ex"),
        result=("same", "int32"),
    ),
    matrices(
        "cholesky",
        lambda x, upper=False: t(np.linalg.cholesky(x)) if upper else np.linalg.cholesky(x),
        [case(given([[4.0, 2.0], [2.0, 5.0]])), case(given([[4.0, 2.0], [2.0, 5.0]]), upper=True)],
        method=True,
        differentiable=False,
        errors=[NOT_SQUARE, error(RuntimeError, "positive-definite", NEGATIVE)],
    ),
    matrices(
        "cholesky_solve",
        lambda b, factor, upper=False: np.linalg.solve(
            t(triangle(factor, True)) @ triangle(factor, True)
            if upper
            else triangle(factor, False) @ t(triangle(factor, False)),
            b,
        ),
        [case(SIDES, REGULAR), case(SIDES, REGULAR, upper=True)],
        method=True,
        errors=[error(RuntimeError, ".*", rand(3, 2), rand(2, 2)), error(RuntimeError, ".*", rand(3), rand(3, 3))],
    ),
    matrices(
        "cholesky_inverse",
        lambda factor, upper=False: np.linalg.inv(
            t(triangle(factor, True)) @ triangle(factor, True)
            if upper
            else triangle(factor, False) @ t(triangle(factor, False))
        ),
        [case(REGULAR), case(REGULAR_STACK, upper=True)],
        method=True,
        errors=[NOT_SQUARE],
    ),
    matrices(
        "linalg.qr",
        lambda x, mode="reduced": (
            multiplied(*np.linalg.qr(x, mode)) + np.linalg.qr(x, mode)[1].sum((-1, -2), keepdims=True)
        ),
        [case(REGULAR), case(REGULAR_STACK), case(TALL), case(WIDE), case(WIDE, "complete")],
        call=lambda torch, x, mode="reduced": (lambda q, r: q @ r + r.sum((-1, -2), keepdim=True))(
            *torch.linalg.qr(x, mode)
        ),
        errors=[FLAT, error(RuntimeError, "mode", rand(2, 2), "full")],
    ),
    matrices(
        "qr",
        lambda x, some=True: np.linalg.qr(x, "reduced" if some else "complete"),
        [case(TALL), case(TALL, False), case(WIDE)],
        method=True,
        differentiable=False,
        result=("same", "same"),
    ),
    matrices(
        "linalg.eigh",
        sine_of_symmetric,
        [case(REGULAR), case(REGULAR_STACK), case(REGULAR, "U")],
        call=rebuilt_eigh,
        errors=[error(RuntimeError, "UPLO", rand(2, 2), "X")],
    ),
    matrices(
        "linalg.eigvalsh",
        lambda x: np.linalg.eigvalsh(x + t(x)),
        [case(REGULAR), case(REGULAR_STACK)],
        call=of_symmetric("eigvalsh"),
    ),
    matrices(
        "linalg.lu",
        lambda x: x,
        [case(REGULAR), case(TWO_STACKS), case(TALL), case(WIDE), case(rand(40, 37))],
        call=lambda torch, x: multiplied(*torch.linalg.lu(x)),
        out=False,
        differentiable=False,
        errors=[FLAT],
    ),
    matrices(
        "linalg.lu_factor",
        lambda a, b, **kwargs: solved(a, b, **kwargs),
        [case(REGULAR, SIDES), case(REGULAR, SIDES, adjoint=True)],
        call=solve_lu,
    ),
    matrices(
        "linalg.lu_factor_ex",
        lambda x: x,
        [case(TALL), case(WIDE), case(REGULAR)],
        call=lambda torch, x: multiplied(*torch.lu_unpack(*torch.linalg.lu_factor_ex(x)[:2])),
    ),
    matrices(
        "linalg.lu_solve",
        solved,
        [case(REGULAR, SIDES), case(REGULAR, given([[1.0, 0.5, -2.0]]), left=False)],
        call=solve_lu,
        errors=[error(RuntimeError, ".*", rand(3, 3), rand(2, 1))],
    ),
    matrices("lu", lambda x: x, [case(TALL)], call=lambda torch, x: multiplied(*torch.lu_unpack(*x.lu()))),
    matrices(
        "lu_unpack",
        lambda x: x,
        [case(TALL), case(TWO_STACKS)],
        call=lambda torch, x: multiplied(*torch.lu_unpack(*torch.linalg.lu_factor(x))),
    ),
    matrices(
        "lu_solve",
        lambda b, a: np.linalg.solve(a, b),
        [case(SIDES, REGULAR)],
        call=lambda torch, b, a: torch.lu_solve(b, *torch.linalg.lu_factor(a)),
    ),
    matrices(
        "linalg.householder_product",
        lambda a, tau: reflections(a, tau)[:, : a.shape[1]],
        [case(TALL, given([0.5, 1.5])), case(TALL, given([0.75]))],
        errors=[error(RuntimeError, ".*", rand(2, 3), rand(2)), error(RuntimeError, ".*", rand(3, 2), rand(3))],
    ),
    matrices(
        "orgqr", lambda a, tau: reflections(a, tau)[:, : a.shape[1]], [case(TALL, given([0.5, 1.5]))], method=True
    ),
    matrices(
        "ormqr",
        lambda a, tau, c, left=True, transpose=False: (lambda q: q @ c if left else c @ q)(
            reflections(a, tau).T if transpose else reflections(a, tau)
        ),
        [
            case(TALL, given([0.5, 1.5]), SIDES),
            case(TALL, given([0.5, 1.5]), SIDES, True, True),
            case(TALL, given([0.5, 1.5]), WIDE, False),
            case(TALL, given([0.5, 1.5]), WIDE, False, True),
        ],
        method=True,
        errors=[error(RuntimeError, ".*", TALL, given([0.5, 1.5]), rand(2, 2))],
    ),
    matrices(
        "geqrf",
        lambda x: tuple(t(y) if y.ndim == x.ndim else y for y in np.linalg.qr(x, "raw")),
        [case(TALL), case(REGULAR_STACK)],
        method=True,
        differentiable=False,
        result=("same", "same"),
    ),
    matrices(
        "svd",
        lambda x, some=True: x,
        [case(REGULAR), case(TALL), case(WIDE)],
        call=lambda torch, x, some=True: (lambda u, s, v: (u * s) @ v.transpose(-2, -1))(*torch.svd(x, some)),
    ),
    # solvers
    matrices(
        "linalg.solve",
        lambda a, b, left=True: solved(a, b if b.ndim > 1 else b[:, None], left).reshape(b.shape),
        [case(REGULAR, SIDES), case(REGULAR, VECTOR), case(REGULAR, WIDE, left=False)],
        errors=[
            NOT_SQUARE_SOLVE,
            error(RuntimeError, "singular", SINGULAR, given([1.0, 2.0])),
            error(RuntimeError, ".*", rand(2, 2), rand(3, 1)),
        ],
    ),
    matrices(
        "linalg.solve_ex",
        lambda a, b: (np.linalg.solve(a, b), no_info(a)),
        [case(REGULAR, SIDES)],
        result=("same", "int32"),
        errors=[NOT_SQUARE_SOLVE],
    ),
    matrices(
        "linalg.solve_triangular",
        solve_triangular,
        [
            case(REGULAR, SIDES, upper=True),
            case(REGULAR, SIDES, upper=False),
            case(REGULAR, SIDES, upper=False, unitriangular=True),
            case(REGULAR, WIDE, upper=True, left=False),
        ],
        errors=[error(RuntimeError, ".*", rand(2, 2), rand(3, 1), upper=True)],
    ),
    matrices(
        "triangular_solve",
        lambda b, a, upper=True, transpose=False, unitriangular=False: solved(
            triangle(a, upper, unitriangular), b, adjoint=transpose
        ),
        [
            case(SIDES, REGULAR),
            case(SIDES, REGULAR, False),
            case(SIDES, REGULAR, True, True),
            case(SIDES, REGULAR, False, True, True),
        ],
        call=lambda torch, *args: torch.triangular_solve(*args)[0],
        errors=[error(RuntimeError, ".*", rand(3, 1), rand(2, 2))],
    ),
    *(
        matrices(
            name,
            np.linalg.inv,
            [case(REGULAR), case(REGULAR_STACK)],
            method=name == "inverse",
            out=True,
            errors=[NOT_SQUARE, error(RuntimeError, "singular", SINGULAR)],
        )
        for name in ("inverse", "linalg.inv")
    ),
    matrices(
        "linalg.inv_ex",
        lambda a: (np.linalg.inv(a), no_info(a)),
        [case(REGULAR), case(REGULAR_STACK)],
        result=("same", "int32"),
    ),
    matrices(
        "linalg.pinv",
        lambda a, **kwargs: np.linalg.pinv(a),
        [case(REGULAR), case(TALL), case(WIDE), case(TALL, rtol=1e-3), case(TALL, atol=1e-3)],
        errors=[FLAT],
    ),
    matrices("pinverse", np.linalg.pinv, [case(TALL), case(WIDE)], method=True),
    matrices(
        "linalg.lstsq",
        least_squares,
        [case(TALL, SIDES), case(REGULAR, SIDES), case(TALL, SIDES, driver="gelsd")],
        call=lambda torch, *args, **kwargs: torch.linalg.lstsq(*args, **kwargs)[0],
        errors=[
            error(RuntimeError, ".*", rand(3, 2), rand(2, 2)),
            error(RuntimeError, "driver", TALL, SIDES, driver="x"),
        ],
    ),
    matrices(
        "linalg.tensorinv",
        lambda a, ind=2: np.linalg.tensorinv(a, ind),
        [case(rand(2, 3, 6)), case(rand(4, 2, 2), ind=1)],
        layouts=(),
        tolerance={"float32": (2e-3, 2e-3)},
        errors=[error(RuntimeError, "ind", rand(2, 2), ind=0), error(RuntimeError, "prod", rand(2, 3, 4))],
    ),
    matrices(
        "linalg.tensorsolve",
        lambda a, b, dims=None: np.linalg.tensorsolve(a, b, dims),
        [case(rand(2, 3, 6), rand(2, 3)), case(rand(6, 2, 3), rand(2, 3), dims=(0,))],
        layouts=(),
        tolerance={"float32": (2e-3, 2e-3)},
        errors=[error(RuntimeError, "prod", rand(2, 3, 4), rand(2, 3))],
    ),
    # functions
    *(
        matrices(name, np.linalg.det, [case(REGULAR), case(REGULAR_STACK)], method=name == "det", errors=[NOT_SQUARE])
        for name in ("det", "linalg.det")
    ),
    *(
        matrices(
            name,
            lambda x: tuple(np.linalg.slogdet(x)),
            [case(REGULAR), case(REGULAR_STACK)],
            method=name == "slogdet",
            result=("same", "same"),
            errors=[NOT_SQUARE],
        )
        for name in ("slogdet", "linalg.slogdet")
    ),
    matrices(
        "logdet",
        lambda x: np.log(np.linalg.det(positive(x))),
        [case(REGULAR), case(REGULAR_STACK)],
        call=lambda torch, x: positive_tensor(torch, x).logdet(),
    ),
    *(
        matrices(
            name,
            exponential,
            [case(REGULAR), case(REGULAR_STACK), case(given([[20.0, 1.0], [0.5, -3.0]])), case(rand(0, 0))],
            method=name == "matrix_exp",
            layouts=("transposed", "stepped", "expanded"),
            errors=[NOT_SQUARE],
        )
        for name in ("matrix_exp", "linalg.matrix_exp")
    ),
    matrices(
        "linalg.matrix_rank",
        lambda x, **kwargs: np.linalg.matrix_rank(x),
        [case(REGULAR), case(TALL), case(SINGULAR), case(REGULAR_STACK, rtol=1e-3)],
        result="int64",
        differentiable=False,
        errors=[FLAT],
    ),
    matrices(
        "linalg.cond",
        lambda x, p=None: np.linalg.cond(x, p),
        [case(REGULAR), case(REGULAR_STACK), case(REGULAR, 1), case(REGULAR, "fro"), case(TALL, -2)],
        errors=[FLAT, error(RuntimeError, ".*", rand(2, 3), 1)],
    ),
    matrices(
        "linalg.vander",
        lambda x, N=None: x[..., None] ** np.arange(x.shape[-1] if N is None else N),
        [case(rand(3)), case(rand(2, 4), N=3)],
        layouts=("transposed", "stepped", "expanded"),
        errors=[error(RuntimeError, "N", rand(3), N=1)],
    ),
]
