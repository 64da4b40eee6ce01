"""Decompositions of matrices and what rests on them, over LAPACK as numpy brings it: what tessel.linalg calls.

A decomposition is a Function: numpy computes it, and its derivative is written in tessel's ops, so that it can be
differentiated again. Everything else is composed of these. The signatures and their docs stand in
csrc/bindings/ops_linalg.cpp; every argument arrives here, in that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _C
from ._C import Tensor
from .autograd.function import Function


def named(name: str) -> Callable:
    """The function that the extension calls for an op; its errors begin with the name of the op that was called."""
    function, op = globals()[name], name.removeprefix("torch_")

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            inner, _, message = str(error).partition(": ")
            if inner == op or not inner.isidentifier():
                raise
            raise type(error)(f"{op}: {message}") from None

    return call


class LinAlgError(RuntimeError):
    """A decomposition or inverse that does not exist, or an iteration that did not end."""


LinAlgError.__module__ = "tessel.linalg"


# ---- checks


def _numbers(op: str, *tensors: Tensor) -> None:
    """LAPACK's dtypes, all the same."""
    for x in tensors:
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            raise RuntimeError(f"{op}: Expected a floating point or complex tensor as input. Got {x.dtype}")
        if x.dtype.itemsize < 4:
            raise RuntimeError(f"{op}: Low precision dtypes not supported. Got {x.dtype}")
        if x.dtype != tensors[0].dtype:
            raise RuntimeError(f"{op}: Expected tensors of one dtype. Got {tensors[0].dtype} and {x.dtype}")
        if x.device != tensors[0].device:
            raise RuntimeError(f"{op}: Expected tensors on one device. Got {tensors[0].device} and {x.device}")


def _matrices(op: str, x: Tensor, name: str = "A") -> None:
    if x.dim() < 2:
        raise RuntimeError(
            f"{op}: The input tensor {name} must have at least 2 dimensions. Got a tensor of shape {tuple(x.shape)}"
        )
    _numbers(op, x)


def _square(op: str, x: Tensor, name: str = "A") -> None:
    _matrices(op, x, name)
    if x.size(-1) != x.size(-2):
        raise RuntimeError(
            f"{op}: {name} must be batches of square matrices, but they are {x.size(-2)} by {x.size(-1)} matrices"
        )


def _no_low_precision(op: str, x: Tensor) -> None:
    if x.dtype.is_floating_point and x.dtype.itemsize < 4:
        raise RuntimeError(f"{op}: Low precision dtypes not supported. Got {x.dtype}")


# ---- to numpy and back


def _array(x: Tensor) -> Any:
    return x.detach().cpu().numpy()


def _tensor(a: Any, like: Tensor, dtype: Any = None) -> Tensor:
    a = np.asarray(a)
    x = _C.from_numpy(a if a.flags.writeable and a.flags.owndata else a.copy()).to(like.device)
    return x if dtype is None else x.to(dtype)


def _adjoint(x: Any) -> Tensor:
    return x.transpose(-2, -1).conj() if x.dtype.is_complex else x.transpose(-2, -1)


def _conj(x: Any) -> Tensor:
    return x.conj() if x.dtype.is_complex else x


def _eye(n: int, like: Tensor) -> Tensor:
    return _C.eye(n, dtype=like.dtype, device=like.device)


def _real(x: Any) -> Tensor:
    return x.real if x.dtype.is_complex else x


def _real_dtype(x: Tensor) -> Any:
    return x.dtype.to_real() if x.dtype.is_complex else x.dtype


def _quietly(function: Callable, *arguments: Any) -> Any:
    with np.errstate(all="ignore"):
        return function(*arguments)


def _flat(*arrays: np.ndarray) -> list[np.ndarray]:
    """Stacks of matrices with one dimension for all that is stacked."""
    return [a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:]) for a in arrays]


def _which(info: np.ndarray, message: str) -> None:
    """Raises for the first matrix of the stack whose info is not 0."""
    bad = np.flatnonzero(info)
    if bad.size:
        op, what = message.split(": ", 1)
        where = f" (Batch element {bad[0]})" if info.ndim else ""
        raise LinAlgError(f"{op}:{where} {what.format(int(info.flat[bad[0]]))}")


# ---- Cholesky

_NOT_POSITIVE = (
    "{}: The factorization could not be completed because the input is not positive-definite (the leading minor of "
    "order {{}} is not positive-definite)."
)


def _leading_minor(a: np.ndarray) -> int:
    """The order of the first leading minor that is not positive definite: by halving, as these are nested."""
    low, high = 0, len(a)  # the minor of order low is positive definite, that of order high is not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            np.linalg.cholesky(a[:middle, :middle])
            low = middle
        except np.linalg.LinAlgError:
            high = middle
    return high


def _cholesky_array(a: Any) -> tuple[Any, Any]:
    """(L, info): where a matrix has no L it stays as it was, and info is the order of the minor that forbids it."""
    info = np.zeros(a.shape[:-2], np.int32)
    try:
        return np.linalg.cholesky(a), info
    except np.linalg.LinAlgError:
        y = np.tril(a)
        for to, matrix, at in zip(_flat(y)[0], _flat(a)[0], np.ndindex(info.shape)):
            try:
                to[...] = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                info[at] = _leading_minor(matrix)
        return y, info


class _Cholesky(Function):
    """dA = L^-H M L^-1 / 2, M the lower triangle of L^H dL mirrored at its diagonal"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, upper: bool) -> Any:
        y, info = _cholesky_array(_array(_adjoint(x) if upper else x))
        lower, info = _tensor(y, x), _tensor(info, x)
        ctx.save_for_backward(lower)
        ctx.mark_non_differentiable(info)
        return lower, info

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Any) -> Any:
        (lower,) = ctx.saved_tensors
        inside = _adjoint(lower) @ dy
        below = inside.tril(-1)
        inside = below + _adjoint(below) + inside.diagonal(0, -2, -1).diag_embed()
        dx = solve_triangular(_adjoint(lower), inside, True, True, False)
        return solve_triangular(lower, dx, False, False, False) * 0.5, None


def cholesky_ex(A: Tensor, upper: bool, check_errors: bool) -> tuple[Tensor, Tensor]:
    _square("cholesky", A)
    lower, info = _Cholesky.apply(A, upper)
    if check_errors:
        _which(_array(info), _NOT_POSITIVE.format("cholesky_ex"))
    return (_adjoint(lower) if upper else lower), info


def cholesky(A: Tensor, upper: bool) -> Tensor:
    found, info = cholesky_ex(A, upper, False)
    _which(_array(info), _NOT_POSITIVE.format("cholesky"))
    return found


torch_cholesky = cholesky


def torch_cholesky_solve(B: Tensor, L: Tensor, upper: bool) -> Tensor:
    _matrices("cholesky_solve", B, "b")
    _square("cholesky_solve", L, "u")
    _numbers("cholesky_solve", B, L)
    first, second = (_adjoint(L), L) if upper else (L, _adjoint(L))
    return solve_triangular(second, solve_triangular(first, B, False, True, False), True, True, False)


def torch_cholesky_inverse(L: Tensor, upper: bool) -> Tensor:
    _square("cholesky_inverse", L)
    return torch_cholesky_solve(_eye(L.size(-1), L).expand(L.shape), L, upper)


# ---- QR and reflections


class _Qr(Function):
    """With M = R dR^H - dQ^H Q: dA = (dQ + Q copyltu(M)) R^-H; copyltu mirrors the lower triangle."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mode: Any) -> Any:
        q, r = (_tensor(a, x) for a in np.linalg.qr(_array(x), mode))
        ctx.mode = mode
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, dq: Tensor, dr: Tensor) -> Any:
        q, r = ctx.saved_tensors
        m, n = q.size(-2), r.size(-1)
        if ctx.mode == "complete" and m > n:
            raise RuntimeError("qr: The QR decomposition is not differentiable when mode='complete' and nrows > ncols")
        if m >= n:
            return _Qr._of_tall(q, r, dq, dr), None
        # A = [X | Y] = Q [U | V]: V = Q^H Y gives part of dQ and dY, and the rest is the square case.
        u, v, du, dv = r[..., :m], r[..., m:], dr[..., :m], dr[..., m:]
        y = q @ v
        dx = _Qr._of_tall(q, u, dq + y @ _adjoint(dv), du)
        return _C.cat([dx, q @ dv], -1), None

    @staticmethod
    def _of_tall(q: Tensor, r: Tensor, dq: Tensor, dr: Tensor) -> Tensor:
        m = (dr @ _adjoint(r) - _adjoint(q) @ dq).triu()
        m = m + _adjoint(m)
        m = m - m.diagonal(0, -2, -1).diag_embed() * 0.5
        return solve_triangular(_adjoint(r), dq + q @ m, False, False, False)


def qr(A: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    _matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr: received unrecognized mode '{mode}' but expected 'reduced', 'r', or 'complete'")
    if mode == "r":
        if A.requires_grad and _C.is_grad_enabled():
            raise RuntimeError(
                "qr: The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
                "Please use linalg.qr(A, mode='reduced')"
            )
        return _C.empty(0, dtype=A.dtype, device=A.device), _tensor(np.linalg.qr(_array(A), "r"), A)
    return _Qr.apply(A, mode)


def torch_qr(input: Tensor, some: bool) -> tuple[Tensor, Tensor]:
    return qr(input, "reduced" if some else "complete")


def torch_geqrf(input: Tensor) -> tuple[Tensor, Tensor]:
    _matrices("geqrf", input, "input")
    turned, tau = np.linalg.qr(_array(input), "raw")
    return _tensor(np.ascontiguousarray(np.swapaxes(turned, -1, -2)), input), _tensor(tau, input)


def _reflected(vectors: Tensor, tau: Tensor, y: Tensor, last_first: bool, adjoint: bool) -> Tensor:
    """y multiplied from the left with the reflections 1 - tau v v^H, one after another."""
    k = tau.size(-1)
    v = vectors[..., :k].tril(-1) + _C.eye(vectors.size(-2), k, dtype=y.dtype, device=y.device)
    factors = _conj(tau) if adjoint else tau
    for i in reversed(range(k)) if last_first else range(k):
        column = v[..., i : i + 1]
        y = y - column @ (factors[..., i : i + 1].unsqueeze(-1) * (_adjoint(column) @ y))
    return y


def _check_reflections(op: str, A: Tensor, tau: Tensor) -> None:
    _matrices(op, A)
    _numbers(op, A, tau)
    m, n, k = A.size(-2), A.size(-1), tau.size(-1) if tau.dim() else 0
    if m < n:
        raise RuntimeError(f"{op}: input.shape[-2] must be greater than or equal to input.shape[-1], got {m} and {n}")
    if tau.dim() != A.dim() - 1 or tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            f"{op}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got tau of shape "
            f"{tuple(tau.shape)} for input of shape {tuple(A.shape)}"
        )
    if n < k:
        raise RuntimeError(f"{op}: input.shape[-1] must be greater than or equal to tau.shape[-1], got {n} and {k}")


def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    _check_reflections("householder_product", A, tau)
    m, n = A.size(-2), A.size(-1)
    start = _C.eye(m, n, dtype=A.dtype, device=A.device).expand(A.shape)
    if tau.size(-1) == 0:
        return start + A[..., :0].sum()  # a zero, which keeps the graph whole
    return _reflected(A, tau, start, True, False)


torch_orgqr = householder_product


def torch_ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool, transpose: bool) -> Tensor:
    op = "ormqr"
    _matrices(op, input, "input")
    _matrices(op, other, "other")
    _numbers(op, input, tau, other)
    if tau.dim() != input.dim() - 1 or tau.shape[:-1] != input.shape[:-2] or other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            f"{op}: batch dimensions of tau and other must be those of input, but got {tuple(tau.shape)}, "
            f"{tuple(other.shape)} and {tuple(input.shape)}"
        )
    if tau.size(-1) > input.size(-1):
        raise RuntimeError(f"{op}: tau.shape[-1] must be at most input.shape[-1], got {tau.size(-1)}")
    if other.size(-2 if left else -1) != input.size(-2):
        raise RuntimeError(
            f"{op}: other.shape[{-2 if left else -1}] must be equal to input.shape[-2], got "
            f"{other.size(-2 if left else -1)} and {input.size(-2)}"
        )
    if left:
        return _reflected(input, tau, other, not transpose, transpose)
    # C Q = (Q^H C^H)^H
    return _adjoint(_reflected(input, tau, _adjoint(other), transpose, not transpose))


# ---- eigenvalues


def _converged(op: str, function: Callable, a: np.ndarray, *more: Any) -> Any:
    try:
        return function(a, *more)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{op}: The algorithm failed to converge: {error}") from None


class _Eigh(Function):
    """dA = V (diag(dL) + (V^H dV) / (L_j - L_i)) V^H, made Hermitian"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, uplo: str) -> Any:
        w, v = _converged("eigh", np.linalg.eigh, _array(x), uplo)
        w, v = _tensor(w, x), _tensor(v, x)
        ctx.save_for_backward(w, v)
        ctx.set_materialize_grads(False)
        return w, v

    @staticmethod
    def backward(ctx: Any, dw: Any, dv: Any) -> Any:
        w, v = ctx.saved_tensors
        if dv is None:
            return (None if dw is None else (v * dw.unsqueeze(-2)) @ _adjoint(v)), None  # is Hermitian
        inside = _adjoint(v) @ dv
        if v.dtype.is_complex:
            _phase_free("eigh", inside.diagonal(0, -2, -1).imag)
        gaps = w.unsqueeze(-2) - w.unsqueeze(-1)
        one = _C.eye(w.size(-1), dtype=_C.bool, device=w.device)
        inside = (inside / gaps.masked_fill(one, 1)).masked_fill(one, 0)
        if dw is not None:
            inside = inside + dw.diag_embed()
        dx = v @ inside @ _adjoint(v)
        return (dx + _adjoint(dx)) * 0.5, None


def _phase_free(op: str, imaginary: Tensor) -> None:
    if not np.all(np.abs(_array(imaginary)) < 1e-2):
        raise RuntimeError(
            f"{op}: the loss depends on the phase of the vectors, which is free: this derivative does not exist"
        )


def eigh(A: Tensor, UPLO: str) -> tuple[Tensor, Tensor]:
    _square("eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"eigh: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return _Eigh.apply(A, UPLO.upper())


def eigvalsh(A: Tensor, UPLO: str) -> Tensor:
    _square("eigvalsh", A)
    if A.requires_grad and _C.is_grad_enabled():
        return eigh(A, UPLO)[0]
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"eigvalsh: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return _tensor(_converged("eigvalsh", np.linalg.eigvalsh, _array(A), UPLO.upper()), A)


class _Eig(Function):
    """dA = V^-H (diag(dL) + (V^H dV - V^H V diag(Re(V^H dV))) / conj(L_j - L_i)) V^H, real where A is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        w, v = _converged("eig", np.linalg.eig, _finite("eig", x))
        kind = np.result_type(w.dtype, np.complex64)
        w, v = _tensor(w.astype(kind), x), _tensor(v.astype(kind), x)
        ctx.real = not x.dtype.is_complex
        ctx.save_for_backward(w, v)
        ctx.set_materialize_grads(False)
        return w, v

    @staticmethod
    def backward(ctx: Any, dw: Any, dv: Any) -> Any:
        w, v = ctx.saved_tensors
        vh = _adjoint(v)
        if dv is None:
            dx = None if dw is None else solve(vh, dw.unsqueeze(-1) * vh, True)
        else:
            inside = vh @ dv
            along = inside.diagonal(0, -2, -1)
            _phase_free("eig", along.imag)
            inside = inside - (vh @ v) * along.real.unsqueeze(-2)
            gaps = (w.unsqueeze(-2) - w.unsqueeze(-1)).conj()
            one = _C.eye(w.size(-1), dtype=_C.bool, device=w.device)
            inside = (inside / gaps.masked_fill(one, 1)).masked_fill(one, 0)
            if dw is not None:
                inside = inside + dw.diag_embed()
            dx = solve(vh, inside @ vh, True)
        return _real(dx) if ctx.real and dx is not None else dx


def _finite(op: str, x: Tensor) -> np.ndarray:
    a = _array(x)
    if not np.isfinite(a).all():
        raise RuntimeError(f"{op}: input tensor should not contain infs or NaNs.")
    return a


def eig(A: Tensor) -> tuple[Tensor, Tensor]:
    _square("eig", A)
    return _Eig.apply(A)


def eigvals(A: Tensor) -> Tensor:
    _square("eigvals", A)
    if A.requires_grad and _C.is_grad_enabled():
        return eig(A)[0]
    w = _converged("eigvals", np.linalg.eigvals, _finite("eigvals", A))
    return _tensor(w.astype(np.result_type(w.dtype, np.complex64)), A)


# ---- singular values: of real matrices by the engine's own kernel


class _ComplexSvd(Function):
    """dA = U ((skew(U^H dU) S + S skew(V^H dV)) / (S_j^2 - S_i^2) + diag(dS + diag(U^H dU) / 2 S)) V^H, and what of dU
    and dV lies outside of the vectors' span. The phase of a pair of vectors is free: nothing may depend on it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, full: bool) -> Any:
        u, s, vh = (_tensor(a, x) for a in _converged("svd", np.linalg.svd, _array(x), full))
        ctx.save_for_backward(u, s, vh)
        ctx.set_materialize_grads(False)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, du: Any, ds: Any, dvh: Any) -> Any:
        u, s, vh = ctx.saved_tensors
        k, m, n = s.size(-1), u.size(-2), vh.size(-1)
        u, vh = u[..., :k], vh[..., :k, :]
        du = None if du is None else du[..., :k]
        dvh = None if dvh is None else dvh[..., :k, :]
        if du is None and dvh is None:
            return (None if ds is None else (u * ds.unsqueeze(-2)) @ vh), None
        gaps = (s * s).unsqueeze(-2) - (s * s).unsqueeze(-1)
        gaps = gaps.masked_fill(_C.eye(k, dtype=_C.bool, device=s.device), 1)
        skew = lambda a: a - _adjoint(a)  # noqa: E731
        left = None if du is None else skew(_adjoint(u) @ du)
        right = None if dvh is None else skew(vh @ _adjoint(dvh))
        inside: Any = 0
        if left is not None:
            inside = inside + left * s.unsqueeze(-2) / gaps
        if right is not None:
            inside = inside + s.unsqueeze(-1) * right / gaps
        _phase_free("svd", inside.diagonal(0, -2, -1))
        if ds is not None:
            inside = inside + ds.diag_embed()
        if left is not None and right is not None:
            inside = inside + (left.diagonal(0, -2, -1) / (2 * s)).diag_embed()
        dx = u @ inside @ vh
        if du is not None and m > k:
            part = du / s.unsqueeze(-2)
            dx = dx + (part - u @ (_adjoint(u) @ part)) @ vh
        if dvh is not None and n > k:
            part = dvh / s.unsqueeze(-1)
            dx = dx + u @ (part - (part @ _adjoint(vh)) @ vh)
        return dx, None


def svd(A: Tensor, full_matrices: bool, driver: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    if not A.dtype.is_complex:
        return _C._ops.svd(A, full_matrices)
    _matrices("svd", A)
    return _ComplexSvd.apply(A, full_matrices)


def svdvals(A: Tensor, driver: Any = None) -> Tensor:
    if not A.dtype.is_complex:
        return _C._ops.svdvals(A)
    _matrices("svdvals", A)
    if A.requires_grad and _C.is_grad_enabled():
        return _ComplexSvd.apply(A, False)[1]
    return _tensor(_converged("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), _array(A)), A)


def torch_svd(input: Tensor, some: bool, compute_uv: bool) -> tuple[Tensor, Tensor, Tensor]:
    if not compute_uv:
        m, n = input.size(-2), input.size(-1)
        u, v = (_C.zeros((*input.shape[:-2], k, k), dtype=input.dtype, device=input.device) for k in (m, n))
        return u, svdvals(input), v
    u, s, vh = svd(input, not some)
    return u, s, _adjoint(vh)


# ---- LU


def _magnitude(a: np.ndarray) -> np.ndarray:
    """By which LAPACK chooses pivots: of complex numbers |re| + |im|."""
    return np.abs(a.real) + np.abs(a.imag) if a.dtype.kind == "c" else np.abs(a)


def _lu_array(a: np.ndarray, block: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """(LU, pivots) of a stack, rows changing places so that pivots are greatest; pivots count from 0.

    Columns are worked off in blocks: within a block one after another, and then the block's effect on all that lies
    right of it is one product.
    """
    a = np.array(a, order="C")
    m, n = a.shape[-2:]
    k = min(m, n)
    stack = _flat(a)[0]
    pivots = np.zeros((len(stack), k), np.int32)
    every = np.arange(len(stack))
    for begin in range(0, k, block):
        end = min(begin + block, k)
        for j in range(begin, end):
            p = j + _magnitude(stack[:, j:, j]).argmax(1)
            pivots[:, j] = p
            stack[every, p], stack[:, j] = stack[:, j].copy(), stack[every, p]
            pivot = stack[:, j, j, None]
            stack[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)  # below a zero pivot all is zero
            stack[:, j + 1 :, j + 1 : end] -= stack[:, j + 1 :, j, None] * stack[:, j, None, j + 1 : end]
        if end < n:
            corner = np.tril(stack[:, begin:end, begin:end], -1) + np.eye(end - begin, dtype=a.dtype)
            stack[:, begin:end, end:] = np.linalg.solve(corner, stack[:, begin:end, end:])
            stack[:, end:, end:] -= stack[:, end:, begin:end] @ stack[:, begin:end, end:]
    return a, pivots.reshape(*a.shape[:-2], k)


def _zero_pivot(lu: np.ndarray) -> np.ndarray:
    """The first zero on each diagonal, counted from 1; 0 where there is none."""
    zero = np.diagonal(lu, axis1=-2, axis2=-1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1 if zero.shape[-1] else 0, 0).astype(np.int32)


def _permutation(pivots: np.ndarray, m: int) -> np.ndarray:
    """Where the rows of P^T A come from, after the rows have changed places one by one."""
    rows = np.broadcast_to(np.arange(m), (*pivots.shape[:-1], m)).copy()
    count = math.prod(pivots.shape[:-1])
    flat, order = pivots.reshape(count, pivots.shape[-1]), rows.reshape(count, m)
    every = np.arange(len(order))
    for j in range(flat.shape[1]):
        order[every, flat[:, j]], order[:, j] = order[:, j].copy(), order[every, flat[:, j]]
    return rows


def _permuted(x: Tensor, rows: Tensor) -> Tensor:
    """The rows of x in that order."""
    return x.gather(-2, rows.unsqueeze(-1).expand(x.shape))


class _Lu(Function):
    """With A' = P^T A = L U of a square A: dA' = L^-H (tril(L^H dL, -1) + triu(dU U^H)) U^-H. What lies right of the
    square, or below, is solved for with its triangle, and adds what that triangle takes part in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        lu, pivots = _lu_array(_array(x))
        rows = _tensor(_permutation(pivots, x.size(-2)), x, _C.int64)
        y, places, info = _tensor(lu, x), _tensor(pivots + 1, x, _C.int32), _tensor(_zero_pivot(lu), x)
        ctx.save_for_backward(y, rows)
        ctx.mark_non_differentiable(places, info, rows)
        return y, places, info, rows

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Any) -> Any:
        y, rows = ctx.saved_tensors
        m, n = y.size(-2), y.size(-1)
        k = min(m, n)
        square = y[..., :k, :k]
        lower, upper = square.tril(-1) + _eye(k, y), square.triu()
        below, right = y[..., k:, :k], y[..., :k, k:]
        inside_l = _adjoint(lower) @ dy[..., :k, :k].tril(-1)
        inside_u = dy[..., :k, :k].triu() @ _adjoint(upper)
        if right.size(-1):
            inside_l = inside_l - dy[..., :k, k:] @ _adjoint(right)
        if below.size(-2):
            inside_u = inside_u - _adjoint(below) @ dy[..., k:, :k]
        dx = solve_triangular(_adjoint(lower), inside_l.tril(-1) + inside_u.triu(), True, True, True)
        dx = solve_triangular(_adjoint(upper), dx, False, False, False)
        if right.size(-1):
            dx = _C.cat([dx, solve_triangular(_adjoint(lower), dy[..., :k, k:], True, True, True)], -1)
        if below.size(-2):
            dx = _C.cat([dx, solve_triangular(_adjoint(upper), dy[..., k:, :k], False, False, False)], -2)
        return _permuted(dx, rows.argsort(-1))


def _check_lu(op: str, A: Tensor, pivot: bool) -> None:
    _matrices(op, A)
    if not pivot:
        raise RuntimeError(f"{op}: LU without pivoting is not implemented on the CPU")


def lu_factor_ex(A: Tensor, pivot: bool, check_errors: bool) -> tuple[Tensor, Tensor, Tensor]:
    _check_lu("lu_factor_ex", A, pivot)
    found, pivots, info, _ = _Lu.apply(A)
    if check_errors:
        _which(_array(info), "lu_factor_ex: U[{0},{0}] is zero and using it on lu_solve would give a division by zero")
    return found, pivots, info


def lu_factor(A: Tensor, pivot: bool) -> tuple[Tensor, Tensor]:
    _check_lu("lu_factor", A, pivot)
    return _Lu.apply(A)[:2]


def _parts_of_lu(packed: Tensor) -> tuple[Tensor, Tensor]:
    k = min(packed.size(-2), packed.size(-1))
    lower = packed[..., :, :k].tril(-1) + _C.eye(packed.size(-2), k, dtype=packed.dtype, device=packed.device)
    return lower, packed[..., :k, :].triu()


def _permutation_matrix(rows: Tensor, like: Tensor) -> Tensor:
    """P with P (P^T A) = A, where P^T A has these rows of A."""
    return _permuted(_eye(rows.size(-1), like).expand(*rows.shape, rows.size(-1)), rows).transpose(-2, -1).contiguous()


def lu(A: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Tensor]:
    _check_lu("lu", A, pivot)
    packed, _, _, rows = _Lu.apply(A)
    return _permutation_matrix(rows, A.detach()), *_parts_of_lu(packed)


def torch_lu(A: Tensor, pivot: bool, get_infos: bool) -> tuple[Tensor, ...]:
    found = lu_factor_ex(A, pivot, False)
    return found if get_infos else found[:2]


def _rows_of(op: str, pivots: Tensor, m: int) -> Tensor:
    given = _array(pivots)
    if pivots.dtype != _C.int32:
        raise RuntimeError(f"{op}: pivots should be a Tensor of scalar type torch.int32. Got {pivots.dtype}")
    if given.size and not (1 <= given.min() and given.max() <= m):
        raise RuntimeError(f"{op}: pivots must be between 1 and {m}")
    return _tensor(_permutation(given - 1, m), pivots, _C.int64)


def lu_unpack(LU: Tensor, pivots: Tensor, unpack_data: bool, unpack_pivots: bool) -> tuple[Tensor, Tensor, Tensor]:
    if LU.dim() < 2:
        raise RuntimeError(f"lu_unpack: LU_data must have at least 2 dimensions. Got shape {tuple(LU.shape)}")
    nothing = LU.detach().new_empty(0)
    permutation = lower = upper = nothing
    if unpack_pivots:
        permutation = _permutation_matrix(_rows_of("lu_unpack", pivots, LU.size(-2)), LU.detach())
    if unpack_data:
        lower, upper = _parts_of_lu(LU)
    return permutation, lower, upper


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, left: bool, adjoint: bool) -> Tensor:
    op = "lu_solve"
    _square(op, LU, "LU")
    _matrices(op, B, "B")
    _numbers(op, LU, B)
    if not left:  # X A = B  <=>  A^H X^H = B^H
        return _adjoint(lu_solve(LU, pivots, _adjoint(B), True, not adjoint))
    n = LU.size(-1)
    if B.size(-2) != n:
        raise RuntimeError(f"{op}: Incompatible shapes of LU and B for the equation AX = B ({n} and {B.size(-2)} rows)")
    if pivots.dim() < 1 or pivots.size(-1) != n or pivots.shape[:-1] != LU.shape[:-2]:
        raise RuntimeError(f"{op}: Number of pivots per batch should be {n}. Got pivots of shape {tuple(pivots.shape)}")
    rows = _rows_of(op, pivots, n)
    stack = _C.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    rows, B = rows.expand(*stack, n), B.expand(*stack, *B.shape[-2:])
    if adjoint:
        half = solve_triangular(_adjoint(LU), B, False, True, False)
        return _permuted(solve_triangular(_adjoint(LU), half, True, True, True), rows.argsort(-1))
    half = solve_triangular(LU, _permuted(B, rows), False, True, True)
    return solve_triangular(LU, half, True, True, False)


def torch_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    return lu_solve(LU_data, LU_pivots, b, True, False)


# ---- LDL, which numpy lacks


def _scipy_lapack(op: str) -> Any:
    try:
        from scipy.linalg import lapack  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(f"{op}: this decomposition comes with SciPy: pip install scipy") from None
    return lapack


def ldl_factor_ex(A: Tensor, hermitian: bool, check_errors: bool) -> tuple[Tensor, Tensor, Tensor]:
    op = "ldl_factor_ex"
    _square(op, A)
    kind = "hetrf" if hermitian and A.dtype.is_complex else "sytrf"
    a = _array(A)
    y, pivots, info = np.array(a, order="C"), np.zeros(a.shape[:-1], np.int32), np.zeros(a.shape[:-2], np.int32)
    if a.size:
        (factor,) = _scipy_lapack(op).get_lapack_funcs((kind,), (a,))
        for at in np.ndindex(info.shape):
            y[at], pivots[at], info[at] = factor(a[at], lower=1)
    if check_errors:
        _which(info, op + ": D[{0},{0}] is zero and using it on ldl_solve would give a division by zero")
    return _tensor(np.tril(y), A), _tensor(pivots, A), _tensor(info, A)


def ldl_factor(A: Tensor, hermitian: bool) -> tuple[Tensor, Tensor]:
    return ldl_factor_ex(A, hermitian, True)[:2]


def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, hermitian: bool) -> Tensor:
    op = "ldl_solve"
    _square(op, LD, "LD")
    _matrices(op, B, "B")
    _numbers(op, LD, B)
    if pivots.shape != LD.shape[:-1]:
        raise RuntimeError(
            f"{op}: Expected pivots of shape {tuple(LD.shape[:-1])} for LD of shape {tuple(LD.shape)}, "
            f"got {tuple(pivots.shape)}"
        )
    if pivots.dtype.is_floating_point or pivots.dtype.is_complex or pivots.dtype == _C.bool:
        raise RuntimeError(f"{op}: Expected pivots to be integers. Got {pivots.dtype}")
    if B.size(-2) != LD.size(-1):
        raise RuntimeError(f"{op}: Incompatible shapes of LD and B: {tuple(LD.shape)} and {tuple(B.shape)}")
    rows = np.abs(_array(pivots))
    if rows.size and not (1 <= rows.min() and rows.max() <= LD.size(-1)):
        raise RuntimeError(f"{op}: pivots must be between 1 and {LD.size(-1)}, or -{LD.size(-1)} and -1")
    stack = _C.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    factors, b = (np.broadcast_to(_array(t), (*stack, *t.shape[-2:])) for t in (LD, B))
    given = np.broadcast_to(_array(pivots), (*stack, pivots.shape[-1]))
    y = np.array(b, order="C")
    if y.size:
        kind = "hetrs" if hermitian and LD.dtype.is_complex else "sytrs"
        (solver,) = _scipy_lapack(op).get_lapack_funcs((kind,), (factors,))
        for at in np.ndindex(*stack):
            y[at] = solver(factors[at], given[at].astype(np.int32), b[at], lower=1)[0]
    return _tensor(y, B)


# ---- solving


def _substituted(a: np.ndarray, b: np.ndarray, unit: bool, block: int = 64) -> np.ndarray:
    """x with a x = b, of the upper triangle a. Large ones in halves, whose coupling is a product."""
    n = a.shape[-1]
    if n > block:
        half = n // 2
        low = _substituted(a[..., half:, half:], b[..., half:, :], unit, block)
        rest = b[..., :half, :] - a[..., :half, half:] @ low
        return np.concatenate([_substituted(a[..., :half, :half], rest, unit, block), low], -2)
    a = np.triu(a, 1) + np.eye(n, dtype=a.dtype) if unit else np.triu(a)
    try:
        return np.linalg.solve(a, b)  # elimination has nothing to do in an upper triangle: this is substitution
    except np.linalg.LinAlgError:  # a zero on the diagonal: infinite where divided by, as in BLAS
        x = np.array(np.broadcast_to(b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])))
        for i in reversed(range(n)):
            x[..., i, :] = _quietly(np.divide, x[..., i, :], a[..., i, i, None])
            x[..., :i, :] -= _quietly(np.multiply, a[..., :i, i, None], x[..., i, None, :])
        return x


class _SolveTriangular(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, upper: bool, unit: bool) -> Any:
        if upper:
            y = _substituted(_array(a), _array(b), unit)
        else:  # with both orders reversed a lower triangle is an upper one
            y = _substituted(_array(a)[..., ::-1, ::-1], _array(b)[..., ::-1, :], unit)[..., ::-1, :]
        x = _tensor(np.ascontiguousarray(y), b)
        ctx.upper, ctx.unit = upper, unit
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> Any:
        a, x = ctx.saved_tensors
        db = solve_triangular(_adjoint(a), dx, not ctx.upper, True, ctx.unit)
        da = None
        if ctx.needs_input_grad[0]:
            da = -(db @ _adjoint(x))
            da = da.triu(int(ctx.unit)) if ctx.upper else da.tril(-int(ctx.unit))
        return da, db, None, None


def _in_step(op: str, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same stacked dimensions."""
    if A.shape[:-2] == B.shape[:-2]:
        return A, B
    try:
        stack = _C.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except RuntimeError:
        raise RuntimeError(
            f"{op}: Incompatible batch dimensions of A {tuple(A.shape)} and B {tuple(B.shape)}"
        ) from None
    return A.expand(*stack, *A.shape[-2:]), B.expand(*stack, *B.shape[-2:])


def _check_system(op: str, A: Tensor, B: Tensor, left: bool) -> None:
    _square(op, A)
    _matrices(op, B, "B")
    _numbers(op, A, B)
    if A.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"{op}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.size(-2)}x{A.size(-1)} and {B.size(-2)}x{B.size(-1)})"
        )


def solve_triangular(A: Tensor, B: Tensor, upper: bool, left: bool, unitriangular: bool) -> Tensor:
    _check_system("solve_triangular", A, B, left)
    A, B = _in_step("solve_triangular", A, B)
    if left:
        return _SolveTriangular.apply(A, B, upper, unitriangular)
    turned = _SolveTriangular.apply(A.transpose(-2, -1), B.transpose(-2, -1), not upper, unitriangular)
    return turned.transpose(-2, -1)


def torch_triangular_solve(
    b: Tensor, A: Tensor, upper: bool, transpose: bool, unitriangular: bool
) -> tuple[Tensor, Tensor]:
    _check_system("triangular_solve", A, b, True)
    turned = A.transpose(-2, -1) if transpose else A
    A_, b_ = _in_step("triangular_solve", turned, b)
    found = _SolveTriangular.apply(A_, b_, upper != transpose, unitriangular)
    return found, A.expand(*found.shape[:-2], *A.shape[-2:]).clone()


_SINGULAR = "{}: The solver failed because the input matrix is singular."


class _Solve(Function):
    """X = A^-1 B: dB = A^-H dX, dA = -dB X^H"""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Any:
        matrices, sides = _array(a), _array(b)
        info = np.zeros(matrices.shape[:-2], np.int32)
        try:
            y = np.linalg.solve(matrices, sides)
        except np.linalg.LinAlgError:
            info = _zero_pivot(_lu_array(matrices)[0])
            regular = np.where((info != 0)[..., None, None], np.eye(matrices.shape[-1], dtype=matrices.dtype), matrices)
            y = np.linalg.solve(regular, sides)
        x, info_ = _tensor(y, b), _tensor(info, b)
        ctx.save_for_backward(a, x)
        ctx.mark_non_differentiable(info_)
        return x, info_

    @staticmethod
    def backward(ctx: Any, dx: Tensor, _: Any) -> Any:
        a, x = ctx.saved_tensors
        db = solve(_adjoint(a), dx, True)
        return (-(db @ _adjoint(x)) if ctx.needs_input_grad[0] else None), db


def _is_vector(A: Tensor, B: Tensor) -> bool:
    return B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])


def solve_ex(A: Tensor, B: Tensor, left: bool, check_errors: bool, op: str = "solve_ex") -> tuple[Tensor, Tensor]:
    _square(op, A)
    _numbers(op, A, B)
    vector = _is_vector(A, B)
    if vector and not left:
        raise RuntimeError(
            f"{op}: with left=False B must hold matrices, not vectors (A is {tuple(A.shape)}, B {tuple(B.shape)})"
        )
    sides = B.unsqueeze(-1) if vector else B
    _check_system(op, A, sides, left)
    A, sides = _in_step(op, A, sides)
    if left:
        found, info = _Solve.apply(A, sides)
    else:
        found, info = _Solve.apply(A.transpose(-2, -1), sides.transpose(-2, -1))
        found = found.transpose(-2, -1)
    if check_errors:
        _which(_array(info), _SINGULAR.format(op))
    return (found.squeeze(-1) if vector else found), info


def solve(A: Tensor, B: Tensor, left: bool) -> Tensor:
    return solve_ex(A, B, left, True, "solve")[0]


class _Inv(Function):
    """dA = -Y^H dY Y^H"""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        a = _array(x)
        info = np.zeros(a.shape[:-2], np.int32)
        try:
            y = np.linalg.inv(a)
        except np.linalg.LinAlgError:
            info = _zero_pivot(_lu_array(a)[0])
            y = np.linalg.inv(np.where((info != 0)[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a))
        inverse, info_ = _tensor(y, x), _tensor(info, x)
        ctx.save_for_backward(inverse)
        ctx.mark_non_differentiable(info_)
        return inverse, info_

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Any) -> Any:
        turned = _adjoint(ctx.saved_tensors[0])
        return -(turned @ dy @ turned)


def inv_ex(A: Tensor, check_errors: bool, op: str = "inv_ex") -> tuple[Tensor, Tensor]:
    _square(op, A)
    found, info = _Inv.apply(A)
    if check_errors:
        _which(
            _array(info),
            f"{op}: The diagonal element {{}} is zero, the inversion could not be completed because the input matrix "
            "is singular.",
        )
    return found, info


def inv(A: Tensor) -> Tensor:
    return inv_ex(A, True, "inv")[0]


torch_inverse = inv


# ---- by way of singular values


def _tolerance(op: str, x: Tensor, atol: Any, rtol: Any, greatest: Tensor) -> Tensor:
    """max(atol, rtol * greatest), of shape [..., 1]; rtol is eps * max(m, n) unless one of them is given."""
    real = greatest.dtype
    for given in (atol, rtol):
        if isinstance(given, Tensor) and given.dtype.is_complex:
            raise RuntimeError(f"{op}: tolerances must not be complex, got {given.dtype}")
    if rtol is None:
        eps = 2.0**-52 if real == _C.float64 else 2.0**-23
        default = eps * max(x.size(-1), x.size(-2))
        if atol is None:
            rtol = default
        elif isinstance(atol, Tensor):
            rtol = _C.where(atol > 0, 0.0, default).to(real)
        else:
            rtol = 0.0 if atol > 0 else default
    atol = 0.0 if atol is None else atol
    as_tensor = lambda t: (
        t.to(real) if isinstance(t, Tensor) else _C.full((), t, dtype=real, device=x.device)
    ).unsqueeze(-1)
    return _C.maximum(as_tensor(atol), as_tensor(rtol) * greatest)


def _spectrum(x: Tensor, hermitian: bool) -> Tensor:
    return eigvalsh(x, "L").abs() if hermitian else svdvals(x)


class _Pinv(Function):
    """With P = A^+ and G = dP: dA = -P^H G P^H + (1 - A P) G^H P P^H + P^H P G^H (1 - P A)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Any:
        if hermitian:
            s, u = eigh(x, "L")
            size = s.abs()
            keep = size > _tolerance("pinv", x, atol, rtol, size.amax(-1, keepdim=True))
            y = (u * _C.where(keep, s, 1).reciprocal().mul(keep).unsqueeze(-2)) @ _adjoint(u)
        else:
            u, s, vh = svd(x, False)
            keep = s > _tolerance("pinv", x, atol, rtol, s[..., :1])
            y = (_adjoint(vh) * _C.where(keep, s, 1).reciprocal().mul(keep).unsqueeze(-2)) @ _adjoint(u)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, p = ctx.saved_tensors
        ph, g = _adjoint(p), _adjoint(dy)
        left, right = g @ p @ ph, ph @ (p @ g)
        dx = left - x @ (p @ left) + right - (right @ p) @ x - ph @ dy @ ph
        return dx, None, None, None


def pinv(A: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
    _matrices("pinv", A)
    if hermitian:
        _square("pinv", A)
    if A.numel() == 0:
        return A.transpose(-2, -1) * 1
    return _Pinv.apply(A, atol, rtol, hermitian)


def torch_pinv(A: Tensor, rcond: Any, hermitian: bool) -> Tensor:
    return pinv(A, None, rcond, hermitian)


def torch_pinverse(input: Tensor, rcond: float) -> Tensor:
    return pinv(input, None, rcond, False)


def matrix_rank(A: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
    _matrices("matrix_rank", A)
    if hermitian:
        _square("matrix_rank", A)
    A = A.detach()
    if A.numel() == 0:
        return _C.zeros(A.shape[:-2], dtype=_C.int64, device=A.device)
    s = _spectrum(A, hermitian)
    return (s > _tolerance("matrix_rank", A, atol, rtol, s.amax(-1, keepdim=True))).sum(-1)


def torch_matrix_rank(A: Tensor, tol: Any, hermitian: bool) -> Tensor:
    return matrix_rank(A, tol, 0.0, hermitian)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(A: Tensor, B: Tensor, rcond: Any, driver: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    op = "lstsq"
    _matrices(op, A, "input")
    if B.dim() < 1:
        raise RuntimeError(f"{op}: other must have at least 1 dimension")
    _numbers(op, A, B)
    if driver is not None and driver not in _DRIVERS:
        raise RuntimeError(f"{op}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got {driver!r}")
    driver = driver or "gelsy"
    vector = A.dim() - 1 == B.dim() and B.shape == A.shape[:-1]
    sides = B.unsqueeze(-1) if vector else B
    if sides.dim() < 2 or A.size(-2) != sides.size(-2):
        raise RuntimeError(
            f"{op}: input.size(-2) should match other.size(-{1 if vector else 2}), got {tuple(A.shape)} and "
            f"{tuple(B.shape)}"
        )
    A, sides = _in_step(op, A, sides)
    m, n = A.size(-2), A.size(-1)
    eps = 2.0**-52 if _real_dtype(A) == _C.float64 else 2.0**-23
    rcond = eps * max(m, n) if rcond is None or rcond < 0 else rcond
    found = pinv(A, None, rcond, False) @ sides
    no_floats = _C.empty(0, dtype=_real_dtype(A), device=A.device)
    s = svdvals(A.detach())
    rank = (s > rcond * s[..., :1]).sum(-1)
    residuals = _real(found.reshape(-1)[:0])
    if m > n and driver != "gelsy" and (driver == "gels" or bool((rank == n).all())):
        off = A @ found - sides
        residuals = _real((off * _conj(off)).sum(-2))
    return (
        found.squeeze(-1) if vector else found,
        residuals,
        _C.empty(0, dtype=_C.int64) if driver == "gels" else rank,
        s if driver in ("gelsd", "gelss") else no_floats,
    )


def cond(A: Tensor, p: Any) -> Tensor:
    op = "cond"
    _matrices(op, A)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"{op}: got an invalid norm type: {p}")
    if p is None or p in (2, -2):
        s = svdvals(A)
        if A.numel() == 0:
            return _C.zeros(A.shape[:-2], dtype=_real_dtype(A), device=A.device)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    _square(op, A)
    if A.numel() == 0:
        return _C.zeros(A.shape[:-2], dtype=_real_dtype(A), device=A.device)
    inverse, info = inv_ex(A, False)
    y = _C._linalg.matrix_norm(A, p) * _C._linalg.matrix_norm(inverse, p)
    return y.masked_fill(info != 0, math.inf)


def tensorinv(A: Tensor, ind: int) -> Tensor:
    op = "tensorinv"
    if ind <= 0:
        raise RuntimeError(f"{op}: Expected a strictly positive integer for 'ind', got {ind}")
    ahead, behind = A.shape[:ind], A.shape[ind:]
    rows, columns = math.prod(ahead), math.prod(behind)
    if rows != columns:
        raise RuntimeError(
            f"{op}: Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{columns} != {rows}"
        )
    return inv_ex(A.reshape(rows, columns), True, op)[0].reshape(*behind, *ahead)


def tensorsolve(A: Tensor, B: Tensor, dims: Any) -> Tensor:
    op = "tensorsolve"
    if dims is not None:
        chosen = [d % A.dim() for d in dims]
        A = A.permute([d for d in range(A.dim()) if d not in chosen] + chosen)
    behind = A.shape[B.dim() :]
    rows, columns = B.numel(), math.prod(behind)
    if rows != columns or A.numel() != rows * columns:
        raise RuntimeError(
            f"{op}: Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {columns} != {math.prod(A.shape[: B.dim()])}"
        )
    return solve_ex(A.reshape(rows, columns), B.reshape(rows), True, True, op)[0].reshape(behind)


# ---- determinants


class _Det(Function):
    """dA = det(A) A^-H; near a singular matrix by way of its singular values, as U adj(S) V^H times a sign."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        y = _tensor(_quietly(np.linalg.det, _array(x)), x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, y = ctx.saved_tensors
        inverse, info = inv_ex(x, False)
        grown = _C._linalg.matrix_norm(x.detach()) * _C._linalg.matrix_norm(inverse.detach())
        limit = 1e7 if _real_dtype(x) == _C.float64 else 1e3
        if bool(((info == 0) & (grown < limit)).all()):
            return (dy * _conj(y))[..., None, None] * _adjoint(inverse)
        u, s, vh = svd(x, False)
        one = _C.eye(s.size(-1), dtype=_C.bool, device=s.device)
        others = s.unsqueeze(-2).expand(*s.shape, s.size(-1)).masked_fill(one, 1).prod(-1)
        sign = det(u) * det(vh)
        return (dy * _conj(sign))[..., None, None] * (u @ (others.unsqueeze(-1) * vh))


def det(A: Tensor) -> Tensor:
    _no_low_precision("det", A)
    _square("det", A)
    return _Det.apply(A)


class _Slogdet(Function):
    """d log|det A| = A^-H; a real sign has no derivative, a complex one turns with the imaginary part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        sign, log = _quietly(np.linalg.slogdet, _array(x))
        sign, log = _tensor(sign, x), _tensor(log, x)
        ctx.save_for_backward(x, sign)
        return sign, log

    @staticmethod
    def backward(ctx: Any, dsign: Tensor, dlog: Tensor) -> Any:
        x, sign = ctx.saved_tensors
        weight = dlog
        if x.dtype.is_complex:
            numbers: Any = _C
            weight = numbers.complex(dlog, (dsign * sign.conj()).imag)
        return weight[..., None, None] * _adjoint(inv_ex(x, False)[0])


def slogdet(A: Tensor) -> tuple[Tensor, Tensor]:
    _square("slogdet", A)
    return _Slogdet.apply(A)


def logdet(A: Tensor) -> Tensor:
    _square("logdet", A)
    sign, log = _Slogdet.apply(A)
    return sign.log() + log


# ---- the exponential

# numerators of Pade's approximants to exp, and the largest 1-norm up to which each is exact to rounding
_PADE = {
    3: [120.0, 60.0, 12.0, 1.0],
    5: [30240.0, 15120.0, 3360.0, 420.0, 30.0, 1.0],
    7: [17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0],
    13: [
        64764752532480000.0,
        32382376266240000.0,
        7771770303897600.0,
        1187353796428800.0,
        129060195264000.0,
        10559470521600.0,
        670442572800.0,
        33522128640.0,
        1323241920.0,
        40840800.0,
        960960.0,
        16380.0,
        182.0,
        1.0,
    ],
}
# N. Higham, "The scaling and squaring method for the matrix exponential revisited", 2005, table 2.3
_REACH = [(3, 1.495585217958292e-2), (5, 2.539398330063230e-1), (7, 9.504178996162932e-1), (13, 5.371920351148152)]


def matrix_exp(A: Tensor) -> Tensor:
    """Pade's approximant of A / 2^s, squared s times; every matrix of the stack has its own s."""
    if A.dtype in (_C.bfloat16, _C.float16):
        return matrix_exp(A.float()).to(A.dtype)
    _square("matrix_exp", A)
    if A.dtype in (_C.float32, _C.complex64):  # each squaring doubles the relative error
        return matrix_exp(A.to(_C.complex128 if A.dtype.is_complex else _C.float64)).to(A.dtype)
    n = A.size(-1)
    if A.numel() == 0:
        return A * 1
    size = _C._linalg.matrix_norm(A.detach(), 1)
    largest = float(size.max())
    if not math.isfinite(largest):
        return A * math.nan
    degree, limit = next((found for found in _REACH if largest <= found[1]), _REACH[-1])
    squarings = _C.ceil(_C.log2(size / limit)).clamp(min=0)
    x = A / (2.0**squarings)[..., None, None]
    one, square = _eye(n, A), x @ x
    powers = [one, square]  # even ones
    for _ in range(2, degree // 2 + 1):
        powers.append(powers[-1] @ square)
    weights = _PADE[degree]
    even: Any = sum(w * p for w, p in zip(weights[::2], powers))
    odd: Any = sum(w * p for w, p in zip(weights[1::2], powers))
    odd = x @ odd
    y = solve(even - odd, even + odd, True)
    for i in range(int(squarings.max())):
        y = _C.where((squarings > i)[..., None, None], y @ y, y)
    return y


def vander(x: Tensor, N: Any) -> Tensor:
    if x.dim() < 1 and N is None:
        raise RuntimeError("vander: Expected a tensor of at least 1 dimension, or N")
    n = x.size(-1) if N is None else N
    if n <= 1:
        raise RuntimeError(f"vander: N must be greater than 1, got {n}")
    x = x if x.dtype.is_floating_point or x.dtype.is_complex else x.to(_C.int64)
    x = x if x.dim() else x.unsqueeze(0)
    rows = x.unsqueeze(-1).expand(*x.shape, n - 1).cumprod(-1)
    return _C.cat([_C.ones_like(rows[..., :1]), rows], -1)
