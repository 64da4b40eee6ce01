"""Complex tensors: arithmetic, functions, reductions and products against numpy, gradients against differences."""

import cmath

import numpy as np
import pytest

import tessel as torch

RNG = np.random.default_rng(7)
TYPES = {"complex64": 3e-6, "complex128": 1e-13}


def drawn(*shape, dtype="complex128"):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(dtype)


def given(a, grad=False):
    return torch.from_numpy(np.array(a)).requires_grad_(grad)


def near(got, wanted, tolerance=1e-12):
    got = got.detach().numpy() if isinstance(got, torch.Tensor) else got
    assert got.dtype == np.asarray(wanted).dtype, (got.dtype, np.asarray(wanted).dtype)
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_made_of_python_numbers_and_of_numpy():
    x = torch.tensor([1 + 2j, 3, 4.5])
    assert x.dtype == torch.complex64 and x.tolist() == [1 + 2j, 3 + 0j, 4.5 + 0j]
    assert torch.tensor(1j).item() == 1j and torch.tensor([[1j, 2]], dtype=torch.complex128).shape == (1, 2)
    assert torch.tensor([1, 2], dtype=torch.cfloat).tolist() == [1 + 0j, 2 + 0j]
    a = drawn(3, 4)
    assert torch.from_numpy(a).numpy() is not a and torch.from_numpy(a).numpy().base is not None
    near(torch.from_numpy(a[:, ::2]), a[:, ::2])
    assert torch.zeros(2, dtype=torch.complex64).tolist() == [0j, 0j]
    assert torch.full((2,), 1 - 1j).dtype == torch.complex64
    assert complex(torch.tensor(2 - 3j)) == 2 - 3j and bool(torch.tensor(1j))
    assert memoryview(torch.tensor([1j])).nbytes == 8


def test_conversions():
    a = drawn(5)
    x = given(a)
    near(x.cfloat(), a.astype("complex64"), 1e-6)
    near(x.cfloat().cdouble(), a.astype("complex64").astype("complex128"))
    near(x.double(), a.real)
    near(given(a.real).to(torch.complex128), a.real.astype("complex128"))
    for dtype in ("float32", "float16", "int64", "int8", "uint8", "bool"):
        real = torch.tensor([0, 1, 2]).to(getattr(torch, dtype))
        assert real.to(torch.complex64).tolist() == [complex(v) for v in real.tolist()]
    for wide in (torch.complex128, torch.float64):  # into memory with holes
        for narrow in (torch.int8, torch.bool, torch.float16):
            x = (torch.arange(5000) % 7).to(narrow)
            holes = torch.zeros(5000, 2, dtype=wide)
            assert torch.equal(holes[:, 0].copy_(x), x.to(wide)) and not holes[:, 1].any()
    assert torch.tensor([0j, 1j, 1]).bool().tolist() == [False, True, True]
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.ones(2).add_(1j)


@pytest.mark.parametrize(
    "value, shown",
    [
        ([1 + 2j, -0.5 - 1j], "tensor([ 1.0000+2.j, -0.5000-1.j])"),
        ([1j], "tensor([0.+1.j])"),
    ],
)
def test_printed(value, shown):
    assert repr(torch.tensor(value)) == shown


def test_parts_share_memory():
    x = torch.zeros(2, 3, dtype=torch.complex64)
    x.real[0] = 5
    x.imag = torch.ones(2, 3)
    assert x[0, 0].item() == 5 + 1j and x[1, 2].item() == 1j
    pairs = torch.view_as_real(x)
    assert pairs.shape == (2, 3, 2) and pairs.data_ptr() == x.data_ptr()
    assert torch.equal(torch.view_as_complex(pairs), x)
    assert x.T.real.stride() == (2, 6) and x[:, 1:].imag.storage_offset() == 3
    assert torch.arange(3.0).real.tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="imag: .*complex"):
        print(torch.arange(3.0).imag)
    for bad in (torch.zeros(3), torch.zeros(2, 4)[:, ::2], torch.zeros(2, 2, dtype=torch.int64), torch.zeros(5)[1:3]):
        with pytest.raises(RuntimeError, match="^view_as_complex: "):
            torch.view_as_complex(bad)


UNARY = """sqrt exp log sin cos tan sinh cosh tanh reciprocal square exp2 expm1 log2 log10 log1p neg abs angle conj
    positive sgn arcsin arccos arctan arcsinh arccosh arctanh isnan isfinite isinf""".split()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions(name, dtype):
    a = drawn(40, dtype=dtype)
    a[:2] = [0.3, -0.7j]
    reference = {"neg": np.negative, "sgn": lambda z: z / abs(z)}.get(name) or getattr(np, name)
    near(getattr(torch, name)(given(a)), reference(a), 20 * TYPES[dtype])
    holes = np.repeat(a, 2)[::2]
    near(getattr(torch, name)(given(np.repeat(a, 2))[::2]), reference(holes), 20 * TYPES[dtype])


def test_functions_at_the_edges():
    huge = torch.tensor([1e200 + 1e200j, 1e-200 + 1e-200j], dtype=torch.complex128)
    near(huge / huge, np.array([1 + 0j, 1 + 0j]))
    near(huge.abs(), np.array([np.hypot(1e200, 1e200), np.hypot(1e-200, 1e-200)]))
    assert torch.sgn(torch.tensor(0j)).item() == 0 and torch.tensor(0j).angle().item() == 0
    tiny = torch.tensor([1e-12 + 1e-12j], dtype=torch.complex128)
    near(torch.expm1(tiny), tiny.numpy(), 1e-20), near(torch.log1p(tiny), tiny.numpy(), 1e-20)
    near(torch.tensor([0j, 0j]) ** torch.tensor([0j, 2 + 0j]), np.array([1, 0], "complex64"))
    near(torch.sigmoid(torch.tensor([1 + 1j])), np.array([1 / (1 + cmath.exp(-1 - 1j))], "complex64"), 1e-6)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "pow", "eq", "ne", "logical_and", "logical_or", "logical_xor"]
)
def test_two_operands(name):
    a, b = drawn(3, 4), drawn(4)
    reference = {"sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "eq": np.equal}
    f = reference.get(name) or {"ne": np.not_equal}.get(name) or getattr(np, name)
    near(getattr(torch, name)(given(a), given(b)), f(a, b))
    near(getattr(torch, name)(given(a.T).T, given(b.real)), f(a, b.real))
    near(getattr(torch, name)(given(a.real), given(b)), f(a.real, b))


def test_promotion():
    c64, c128 = torch.ones(2, dtype=torch.complex64), torch.ones(2, dtype=torch.complex128)
    assert (c64 + 1j).dtype == torch.complex64 and (torch.ones(2) * 1j).dtype == torch.complex64
    assert (torch.ones(2, dtype=torch.float64) * 1j).dtype == torch.complex128
    assert (c64 + c128).dtype == torch.complex128 and (
        c64 + torch.ones(2, dtype=torch.float64)
    ).dtype == torch.complex128
    assert (torch.ones(2, dtype=torch.int64) + 1j).dtype == torch.complex64 and (c64 + 2.5).dtype == torch.complex64
    assert torch.result_type(c64, torch.ones(2, dtype=torch.float64)) == torch.complex128


def test_scaled_sums():
    a, b, c = drawn(5), drawn(5), drawn(5)
    x, y, z = given(a), given(b), given(c)
    near(torch.add(x, y, alpha=2 - 1j), a + (2 - 1j) * b)
    near(torch.sub(x, y, alpha=1j), a - 1j * b)
    near(torch.addcmul(x, y, z, value=1 + 1j), a + (1 + 1j) * b * c)
    near(torch.addcdiv(x, y, z, value=2), a + 2 * b / c)
    near(torch.lerp(x, y, z), a + c * (b - a))
    near(torch.where(y.real > 0, x, z), np.where(b.real > 0, a, c))
    w = given(a.copy())
    w.mul_(1j).add_(y)
    near(w, a * 1j + b)
    with pytest.raises(RuntimeError, match="complex number"):
        torch.add(torch.ones(2), torch.ones(2), alpha=1j)


def test_reductions():
    a = drawn(3, 4, 5)
    x = given(a)
    near(x.sum(), a.sum()), near(x.sum((0, 2)), a.sum((0, 2))), near(x.sum(1, keepdim=True), a.sum(1, keepdims=True))
    near(x.mean(-1), a.mean(-1)), near(x.cumsum(1), a.cumsum(1)), near(x.prod(1), a.prod(1)), near(x.prod(), a.prod())
    near(x.var(0), a.var(0, ddof=1)), near(x.std(), a.std(ddof=1))
    for p in (1, 2, 3, np.inf, 0):
        near(x.norm(p, dim=1), np.linalg.norm(a, p, axis=1))
    near(torch.linalg.vector_norm(x), np.linalg.norm(a.ravel()))
    assert x.any().item() and x.all().item() and x.count_nonzero().item() == 60
    assert torch.equal(torch.nonzero(torch.tensor([0j, 1j])), torch.tensor([[1]]))
    near(torch.sum(given(a.real), dtype=torch.complex128), a.real.sum() + 0j)


def test_moving_and_choosing():
    a = drawn(4, 5)
    x = given(a)
    near(torch.cat([x, x.conj()], 1), np.concatenate([a, a.conj()], 1)), near(torch.stack([x, x]), np.stack([a, a]))
    near(x[[2, 0]], a[[2, 0]]), near(x[x.real > 0], a[a.real > 0]), near(x.flip(0).roll(1, 1), np.roll(a[::-1], 1, 1))
    near(x.masked_fill(x.imag > 0, 1j), np.where(a.imag > 0, 1j, a)), near(x.repeat(2, 1), np.tile(a, (2, 1)))
    near(torch.gather(x, 1, torch.tensor([[0], [1], [2], [3]])), a[np.arange(4), np.arange(4)][:, None])
    y = given(a.copy())
    y[1] = 7
    y.index_put_((torch.tensor([0, 0]),), given(a[2:]), accumulate=True)
    wanted = a.copy()
    wanted[1] = 7
    wanted[0] += a[2] + a[3]
    near(y, wanted)
    near(torch.zeros(3, 5, dtype=torch.complex128).index_add(0, torch.tensor([1, 1, 2, 0]), x)[1], a[0] + a[1])
    (
        near(x.mH, a.conj().T),
        near(x.H, a.conj().T),
        near(x.tril(), np.tril(a)),
        near(torch.diag(x[:, 0]), np.diag(a[:, 0])),
    )
    assert torch.allclose(x, x.clone()) and torch.equal(x, x.clone()) and not torch.isclose(x, -x).any()


@pytest.mark.parametrize("dtype", TYPES)
def test_products(dtype):
    a, b, v = drawn(6, 7, dtype=dtype), drawn(7, 5, dtype=dtype), drawn(7, dtype=dtype)
    near(given(a) @ given(b), a @ b, 10 * TYPES[dtype]), near(given(a) @ given(v), a @ v, 10 * TYPES[dtype])
    near(given(a.T).T @ given(b.T).T, a @ b, 10 * TYPES[dtype])
    stack, other = drawn(2, 1, 3, 4, dtype=dtype), drawn(5, 4, 2, dtype=dtype)
    near(given(stack) @ given(other), stack @ other, 10 * TYPES[dtype])
    near(torch.dot(given(v), given(v)), v @ v, 10 * TYPES[dtype])
    near(torch.vdot(given(v), given(v)), np.vdot(v, v), 10 * TYPES[dtype])
    near(torch.outer(given(v), given(v)), np.outer(v, v), 10 * TYPES[dtype])
    near(torch.einsum("ij,jk->ki", given(a), given(b)), (a @ b).T, 10 * TYPES[dtype])
    c = drawn(6, 5, dtype=dtype)
    near(
        torch.addmm(given(c), given(a), given(b), beta=2j, alpha=1 - 1j), 2j * c + (1 - 1j) * (a @ b), 20 * TYPES[dtype]
    )
    near(torch.nn.functional.linear(given(a), given(b.T), given(c[0])), a @ b + c[0], 10 * TYPES[dtype])
    with pytest.raises(RuntimeError, match="same dtype"):
        given(a) @ torch.ones(7, 2)


def test_what_has_no_order():
    x = torch.tensor([1j, 2])
    for call in (
        lambda: x < x,
        lambda: x.sort(),
        lambda: x.max(),
        lambda: x.floor(),
        lambda: x.clamp(0, 1),
        lambda: x.sign(),
    ):
        with pytest.raises(RuntimeError):
            call()


def test_random():
    torch.manual_seed(0)
    x = torch.randn(20000, dtype=torch.complex64)
    assert abs(x.abs().square().mean().item() - 1) < 0.05 and abs(x.real.var().item() - 0.5) < 0.03
    u = torch.rand(1000, dtype=torch.complex128)
    assert u.real.min() >= 0 and u.imag.max() < 1 and abs(u.imag.mean().item() - 0.5) < 0.05


# gradients: of a real loss they are dL/dRe + i dL/dIm


def differences(loss, a, eps=1e-6):
    grad = np.zeros(a.shape, "complex128")
    for at in np.ndindex(a.shape):
        for unit in (1, 1j):
            up, down = a.copy(), a.copy()
            up[at] += eps * unit
            down[at] -= eps * unit
            grad[at] += unit * (loss(given(up)).item() - loss(given(down)).item()) / (2 * eps)
    return grad


WEIGHT = given(drawn(3, 4))
LOSSES = {
    "abs": lambda x: x.abs().sum(),
    "angle": lambda x: x.angle().sum(),
    "real": lambda x: (x.real * WEIGHT.real).sum() + (x.imag * WEIGHT.imag).sum(),
    "mul": lambda x: (x * WEIGHT * x.conj()).abs().sum(),
    "div": lambda x: (WEIGHT / x).imag.sum(),
    "pow": lambda x: (x**3 + WEIGHT**x).real.sum(),
    "exp": lambda x: (x.exp() + x.sin() * x.cos() + x.tanh()).real.sum(),
    "log": lambda x: (x.log() * WEIGHT + x.sqrt() + x.rsqrt() + x.reciprocal()).imag.sum(),
    "inverse": lambda x: (x.asin() + x.acosh() + x.atan() * WEIGHT + x.asinh() + x.atanh() + x.acos()).imag.sum(),
    "sgn": lambda x: (x.sgn() * WEIGHT).real.sum(),
    "sigmoid": lambda x: (x.sigmoid() * WEIGHT + x.log1p() + x.expm1() + x.sinc()).real.sum(),
    "matmul": lambda x: (x @ WEIGHT.T @ x).abs().square().sum(),
    "addmm": lambda x: torch.addmm(x[:, :3], x, WEIGHT.T, beta=1j, alpha=2).imag.sum(),
    "prod": lambda x: (x.prod(1) * WEIGHT[:, 0]).real.sum(),
    "norm": lambda x: x.norm() + x.norm(3, dim=0).sum() + x.var() + x.mean().abs(),
    "index": lambda x: (x[[0, 0, 2]] * WEIGHT).real.sum() + x[x.detach().real > 0].abs().sum(),
    "cat": lambda x: (torch.cat([x, x.real.to(x.dtype)], 1).cumsum(1)).abs().sum(),
    "complex": lambda x: torch.complex(x.imag, x.real.exp()).mul(WEIGHT).real.sum(),
    "polar": lambda x: (torch.polar(x.abs(), x.real) * WEIGHT).imag.sum(),
    "pairs": lambda x: (torch.view_as_complex(torch.view_as_real(x).flip(-1).contiguous()) * WEIGHT).real.sum(),
    "lerp": lambda x: (torch.lerp(x, WEIGHT, x) + torch.addcmul(x, x, WEIGHT, value=1j)).real.sum(),
    "where": lambda x: torch.where(WEIGHT.real > 0, x * x, 1j * x).real.sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name):
    a = drawn(3, 4) + 0.3
    x = given(a, True)
    LOSSES[name](x).backward()
    np.testing.assert_allclose(x.grad.numpy(), differences(LOSSES[name], a), rtol=2e-5, atol=2e-7)


def test_gradients_of_reals_are_real():
    x = torch.ones(3, requires_grad=True)
    (x * (2 + 3j)).real.sum().backward()
    assert x.grad.dtype == torch.float32 and x.grad.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="only for real scalar outputs"):
        (x * 1j).sum().backward()


def test_writing_into_parts_of_a_graph():
    x = given(drawn(3), True)
    y = x * 2
    y.real.mul_(3)
    y.imag[0] = 0
    y.abs().square().sum().backward()
    a = x.detach().numpy()
    wanted = 2 * 36 * a.real + 1j * 2 * 4 * a.imag * np.array([0, 1, 1])
    np.testing.assert_allclose(x.grad.numpy(), wanted)
    r = torch.ones(3, 2, requires_grad=True)
    pairs = r * 1
    torch.view_as_complex(pairs).mul_(2j)
    pairs.select(1, 1).sum().backward()  # the imaginary parts: twice the real ones
    assert r.grad.tolist() == [[2, 0]] * 3


def test_gradcheck():
    x, w = given(drawn(2, 3), True), given(drawn(3, 2), True)
    assert torch.autograd.gradcheck(lambda x, w: (x @ w).exp(), (x, w))
    assert torch.autograd.gradgradcheck(
        lambda x, w: torch.tanh(x @ w) * w, (given(drawn(2, 2), True), given(drawn(2, 2), True))
    )
    assert torch.autograd.gradcheck(lambda x: x.abs() + x.angle(), (x,))
    assert torch.autograd.gradcheck(
        lambda r: torch.polar(r.exp(), r), (torch.ones(3, dtype=torch.float64, requires_grad=True),)
    )
    with pytest.raises(torch.autograd.gradcheck.__globals__["GradcheckError"]):

        class Wrong(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * (1 + 1j)

            @staticmethod
            def backward(ctx, dy):
                return dy * (1 + 1j)  # not conjugated

        torch.autograd.gradcheck(Wrong.apply, (x,))


def test_one_result_at_any_number_of_threads():
    a, b = given(drawn(200, 150, dtype="complex64")), given(drawn(150, 170, dtype="complex64"))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(torch.cat([(a @ b).flatten(), (a * 2j).exp().flatten(), a.sum(0)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
