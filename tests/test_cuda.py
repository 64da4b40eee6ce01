"""The CUDA target against the CPU's: copies, elementwise maths, reductions, random numbers. Runs wherever a GPU is."""

import numpy as np
import pytest

import tessel as torch

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device, or a build without the CUDA target"
)

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
UNARY = """neg abs sign square reciprocal sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh
    cosh tanh asinh atanh erf erfc erfinv lgamma digamma sigmoid floor ceil round trunc frac relu isnan isfinite
    logical_not sinc i0"""
BINARY = """add sub mul div pow atan2 hypot maximum minimum fmax fmin eq ne lt le gt ge logical_and logical_or
    floor_divide remainder fmod copysign logaddexp xlogy"""
INTEGERS = """add sub mul floor_divide remainder fmod bitwise_and bitwise_or bitwise_xor bitwise_left_shift gcd lcm
    maximum"""


def near(got, wanted, dtype=torch.float32):
    assert got.device.type == "cuda" and got.dtype == wanted.dtype and got.shape == wanted.shape
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    np.testing.assert_allclose(got.cpu().double().numpy(), wanted.double().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "dtype", [*FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool], ids=str
)
def test_copies_there_and_back(dtype):
    x = (torch.arange(60) % 7).to(dtype).reshape(3, 4, 5)
    for view in (x, x.transpose(0, 2), x[:, 1:3], x[::2]):
        there = view.cuda()
        assert there.is_cuda and there.shape == view.shape
        assert torch.equal(there.cpu(), view)
        assert torch.equal(there.transpose(0, 1).contiguous().cpu(), view.transpose(0, 1))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", UNARY.split())
def test_unary(name, dtype):
    x = (torch.rand(1000) * 0.9 + 0.05).to(dtype)
    f = getattr(torch, name)
    near(f(x.cuda()), f(x), dtype)
    near(f(x.cuda().reshape(20, 50).t()), f(x.reshape(20, 50).t()), dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", BINARY.split())
def test_binary(name, dtype):
    a, b = (torch.rand(30, 1) * 3 + 0.5).to(dtype), (torch.rand(1, 40) * 3 + 0.5).to(dtype)
    f = getattr(torch, name)
    near(f(a.cuda(), b.cuda()), f(a, b), dtype)
    near(f(a.cuda(), 2.0), f(a, 2.0), dtype)


def test_integers():
    a, b = torch.randint(-50, 50, (500,)), torch.randint(1, 9, (500,))
    for name in INTEGERS.split():
        f = getattr(torch, name)
        assert torch.equal(f(a.cuda(), b.cuda()).cpu(), f(a, b)), name


def test_gradients():
    for name in "tanh sigmoid exp log sqrt sin relu square erf".split():
        x = (torch.rand(200) + 0.2).requires_grad_()
        y = x.detach().cuda().requires_grad_()
        getattr(torch, name)(x).sum().backward()
        getattr(torch, name)(y).sum().backward()
        near(y.grad, x.grad)


@pytest.mark.parametrize("shape", [(7,), (100_000,), (300, 257), (4, 5, 6, 7), (0, 3), (3, 70_001)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_reductions(shape, dtype):
    x = torch.randn(shape, dtype=dtype)
    dims = [None, *range(len(shape)), tuple(range(len(shape)))]
    for name in "sum mean amax amin argmax argmin all any logsumexp var".split():
        for dim in dims:
            if (
                x.numel() == 0
                and name not in ("sum", "all", "any")
                or isinstance(dim, tuple)
                and name.startswith("arg")
            ):
                continue
            arguments = () if dim is None else (dim,)
            if name == "logsumexp" and dim is None:
                continue
            got, wanted = getattr(x.cuda(), name)(*arguments), getattr(x, name)(*arguments)
            np.testing.assert_allclose(got.cpu().numpy(), wanted.numpy(), rtol=1e-5, atol=1e-4, err_msg=f"{name} {dim}")


def test_reductions_have_one_result():
    x = torch.randn(1_000_003).cuda()
    assert len({float(x.sum()) for _ in range(20)}) == 1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("draw", ["rand", "randn"])
def test_random_numbers_are_the_cpus(draw, dtype):
    torch.manual_seed(7)
    wanted = getattr(torch, draw)(10_001, dtype=dtype)
    torch.manual_seed(7)
    assert torch.equal(getattr(torch, draw)(10_001, dtype=dtype, device="cuda").cpu(), wanted)


def test_random_integers_and_masks_are_the_cpus():
    for make in (
        lambda d: torch.randint(-5, 10**12, (1001,), device=d),
        lambda d: torch.randint(0, 100, (1001,), device=d),
    ):
        torch.manual_seed(3)
        wanted = make("cpu")
        torch.manual_seed(3)
        assert torch.equal(make("cuda").cpu(), wanted)
    x = torch.ones(1000)
    torch.manual_seed(5)
    wanted = torch.nn.functional.dropout(x, 0.3)
    torch.manual_seed(5)
    assert torch.equal(torch.nn.functional.dropout(x.cuda(), 0.3).cpu(), wanted)


def test_what_is_missing_says_so():
    with pytest.raises(RuntimeError, match="cuda"):
        torch.ones(2, 3).cuda() @ torch.ones(3, 2).cuda()


def test_devices_do_not_mix():
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3).cuda() + torch.ones(3)
    assert float((torch.ones(3).cuda() + torch.tensor(1.0)).sum()) == 6
