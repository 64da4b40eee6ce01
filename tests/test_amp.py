"""autocast and GradScaler: which precision an op takes, what is left alone, what a step with an infinity does."""

import copy
import threading

import pytest

import tessel as torch
from tessel import nn, optim
from tessel.nn import functional as F
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch does it otherwise")

x = torch.ones(2, 3)
low = x.to(torch.bfloat16)


def dtypes(function, dtype=torch.bfloat16):
    with torch.autocast("cpu", dtype=dtype):
        return function().dtype


LOW = {
    "matmul": lambda: torch.matmul(x, x.t()),
    "@": lambda: x @ x.t(),
    "mm": lambda: x.mm(x.t()),
    "bmm": lambda: torch.bmm(x[None], x.t()[None]),
    "addmm": lambda: torch.addmm(torch.zeros(2, 2), x, x.t()),
    "linear": lambda: F.linear(x, x, torch.zeros(2)),
    "a layer": lambda: nn.Linear(3, 2)(x),
    "layers": lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU())(x),
    "conv1d": lambda: F.conv1d(x[None], torch.ones(1, 2, 2)),
    "conv2d": lambda: nn.Conv2d(1, 1, 2)(x[None, None]),
    "conv_transpose1d": lambda: F.conv_transpose1d(x[None], torch.ones(2, 1, 2)),
    "attention": lambda: F.scaled_dot_product_attention(x[None], x[None], x[None]),
    "prelu": lambda: F.prelu(x, torch.ones(1)),
    "einsum": lambda: torch.einsum("ij,kj->ik", x, x),
}
FULL = {
    "cross_entropy": lambda: F.cross_entropy(low, torch.tensor([0, 1])),
    "mse_loss": lambda: F.mse_loss(low, low),
    "l1_loss": lambda: nn.L1Loss()(low, x),
    "bce": lambda: F.binary_cross_entropy_with_logits(low, low),
    "nll_loss": lambda: F.nll_loss(low, torch.tensor([0, 1])),
    "prod": lambda: low.prod(),
    "cdist": lambda: torch.cdist(low, low),
    "trace": lambda: low.trace(),
    "svd": lambda: torch.linalg.svdvals(low),
}
GIVEN = {
    "add": lambda: low + low,
    "add32": lambda: x + x,
    "softmax": lambda: low.softmax(0),
    "sum": lambda: x.sum(),
    "layer_norm": lambda: F.layer_norm(low, (3,)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOW)
def test_ops_of_low_precision(name, dtype):
    assert dtypes(LOW[name], dtype) is dtype
    assert LOW[name]().dtype is torch.float32


@pytest.mark.parametrize("name", FULL)
def test_ops_of_full_precision(name):
    assert dtypes(FULL[name]) is torch.float32


@pytest.mark.parametrize("name", GIVEN)
def test_ops_that_take_what_comes(name):
    assert dtypes(GIVEN[name]) is GIVEN[name]().dtype


def test_ops_of_the_widest_type():
    for op in (torch.cat, torch.stack):
        assert dtypes(lambda op=op: op([low, x])) is torch.float32
        assert dtypes(lambda op=op: op([low, low])) is torch.bfloat16
        assert dtypes(lambda op=op: op((x, x))) is torch.float32


def test_what_is_never_touched():
    double = x.double()
    assert dtypes(lambda: double @ double.t()) is torch.float64
    whole = torch.ones(2, 2, dtype=torch.int64)
    assert dtypes(lambda: whole @ whole) is torch.int64
    with torch.autocast("cpu"):
        y = torch.zeros(2, 2)
        assert torch.addmm(y, x, x.t()).dtype is torch.bfloat16
        assert y.addmm_(x, x.t()).dtype is torch.float32


def test_recurrent_layers_and_attention():
    with torch.autocast("cpu"):
        assert nn.MultiheadAttention(4, 2)(torch.ones(3, 2, 4), torch.ones(3, 2, 4), torch.ones(3, 2, 4))[0].dtype is (
            torch.bfloat16
        )


@ours_alone
def test_recurrent_layers():
    with torch.autocast("cpu"):
        for layer in (nn.LSTM(3, 4), nn.GRU(3, 4), nn.RNN(3, 4)):
            y, state = layer(torch.ones(5, 2, 3))
            assert y.dtype is torch.bfloat16


def test_regions():
    assert not torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu"):
        assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda")
        assert torch.get_autocast_dtype("cpu") is torch.bfloat16
        with torch.autocast("cpu", torch.float16):
            assert (x @ x.t()).dtype is torch.float16
            with torch.autocast("cpu", enabled=False):
                assert not torch.is_autocast_enabled("cpu") and (x @ x.t()).dtype is torch.float32
        assert (x @ x.t()).dtype is torch.bfloat16
        with pytest.raises(KeyError), torch.autocast("cpu", torch.float16):
            raise KeyError
        assert torch.get_autocast_dtype("cpu") is torch.bfloat16

    @torch.autocast("cpu")
    def inside():
        return (x @ x.t()).dtype

    assert inside() is torch.bfloat16 and (x @ x.t()).dtype is torch.float32
    seen = []
    with torch.amp.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((x @ x.t()).dtype))
        thread.start()
        thread.join()
    assert seen == [torch.float32]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_regions_that_cannot_be():
    with pytest.warns(UserWarning, match="cuda|CUDA"), torch.autocast("cuda"):
        assert (x @ x.t()).dtype is torch.float32
    with pytest.warns(UserWarning, match="disabl|Disabl"), torch.autocast("cpu", dtype=torch.int32):
        assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(RuntimeError, match="device"):
        torch.autocast("abacus")
    with pytest.raises(ValueError, match="device_type"):
        torch.autocast(3)


def test_gradients_have_the_dtype_of_the_weights():
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    with torch.autocast("cpu"):
        y = layer(x) + layer(2 * x)  # the weight is cast once
        assert y.dtype is torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.grad.dtype is torch.float32
    assert torch.allclose(layer.weight.grad, torch.full((2, 3), 6.0))


@ours_alone
def test_cast_weights_follow_their_weights():
    layer = nn.Linear(3, 1, bias=False)
    with torch.autocast("cpu"):
        layer(x)
        with torch.no_grad():
            layer.weight.fill_(2.0)
            assert layer(x)[0, 0].item() == 6
        y = layer(x)
        assert y[0, 0].item() == 6 and y.requires_grad


def test_functions_of_ones_own():
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, dy):
            a, b = ctx.saved_tensors
            seen.append(torch.is_autocast_enabled("cpu"))
            return dy @ b.t(), a.t() @ dy

    class Wide(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, a):
            seen.append((a.dtype, torch.is_autocast_enabled("cpu")))
            return a * 2

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, dy):
            return dy * 2

    seen = []
    a = x.clone().requires_grad_()
    with torch.autocast("cpu"):
        y = Product.apply(a, x.t())
        assert y.dtype is torch.bfloat16
        assert Wide.apply(low).dtype is torch.float32
    y.float().sum().backward()
    assert a.grad.dtype is torch.float32 and seen == [(torch.float32, False), True]


# ---- scaling


def scaled(value=1.0, **settings):
    p = nn.Parameter(torch.ones(3))
    optimizer = optim.SGD([p], lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2, **settings)
    scaler.scale((p * value).sum()).backward()
    return p, optimizer, scaler


def test_scaled_steps():
    p, optimizer, scaler = scaled()
    assert p.grad.tolist() == [8, 8, 8]
    scaler.step(optimizer)
    assert p.tolist() == [0.5] * 3 and p.grad.tolist() == [1, 1, 1]
    scaler.update()
    assert scaler.get_scale() == 8 and scaler.state_dict()["_growth_tracker"] == 1
    p.grad.fill_(8.0)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 16


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
def test_steps_with_an_infinity_are_left_out(wrong):
    p, optimizer, scaler = scaled()
    p.grad[1] = wrong
    assert scaler.step(optimizer) is None
    scaler.update()
    assert p.tolist() == [1, 1, 1] and scaler.get_scale() == 4
    big = nn.Parameter(torch.zeros(100_003))
    big.grad = torch.ones(100_003)
    big.grad[-1] = wrong
    optimizer = optim.SGD([big], lr=1.0)
    scaler.step(optimizer)
    assert big.sum() == 0


def test_scalers_that_are_called_out_of_turn():
    p, optimizer, scaler = scaled()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    scaler.update()
    with pytest.raises(AssertionError):
        scaler.update()
    with pytest.raises(RuntimeError, match="losure"):
        scaler.step(optimizer, closure=lambda: 0)
    half = nn.Parameter(torch.ones(1, dtype=torch.float16))
    half.grad = torch.ones(1, dtype=torch.float16)
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(optim.SGD([half]))


def test_state_of_scalers():
    p, optimizer, scaler = scaled()
    scaler.step(optimizer)
    scaler.update(2.0)
    state = copy.deepcopy(scaler.state_dict())
    assert state == {
        "scale": 2.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2,
        "_growth_tracker": 0,
    }
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(state)
    assert other.get_scale() == 2 and other.get_growth_interval() == 2
    off = torch.amp.GradScaler("cpu", enabled=False)
    assert off.state_dict() == {} and off.scale(x) is x and off.get_scale() == 1 and not off.is_enabled()
    off.step(optimizer)
    losses = other.scale([x, (x,)])
    assert losses[0].sum().item() == 12 and losses[1][0].sum().item() == 12


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.filterwarnings("ignore")
def test_the_old_names():
    assert not torch.cuda.amp.GradScaler().is_enabled()
    with torch.cuda.amp.autocast():
        assert (x @ x.t()).dtype is torch.float32
    with torch.cpu.amp.autocast():
        assert (x @ x.t()).dtype is torch.bfloat16 and torch.is_autocast_cpu_enabled()
    assert issubclass(torch.cuda.amp.autocast, torch.autocast)
    assert torch.amp.autocast is torch.autocast and torch.get_autocast_gpu_dtype() is torch.float16


def test_a_model_trains_in_mixed_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.AdamW(model.parameters(), lr=0.02)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    a = torch.randn(64, 4)
    y = a.sum(1, keepdim=True)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.mse_loss(model(a), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
