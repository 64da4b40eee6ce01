"""Layers against numpy or hard numbers, their reprs, initialisation, gradient clipping, checkpointing."""

import math
import warnings

import numpy as np
import pytest

import tessel as torch
from tessel import nn
from tessel.nn import functional as F
from tessel.nn import init
from tessel.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch says or does it otherwise")


def array(tensor):
    return tensor.detach().numpy()


def close(tensor, reference, tolerance=1e-5):
    np.testing.assert_allclose(array(tensor), reference, rtol=tolerance, atol=tolerance)


def randn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


REPRS = [
    (lambda: nn.Linear(2, 3), "Linear(in_features=2, out_features=3, bias=True)"),
    (lambda: nn.Bilinear(2, 3, 4), "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"),
    (lambda: nn.Conv1d(1, 2, 3, bias=False), "Conv1d(1, 2, kernel_size=(3,), stride=(1,), bias=False)"),
    (
        lambda: nn.Conv2d(2, 4, (3, 5), padding=1, dilation=2, groups=2, padding_mode="reflect"),
        "Conv2d(2, 4, kernel_size=(3, 5), stride=(1, 1), padding=(1, 1), dilation=(2, 2), groups=2, "
        "padding_mode=reflect)",
    ),
    (lambda: nn.Conv2d(1, 1, 3, padding="same"), "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=same)"),
    (lambda: nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
    (lambda: nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
    (lambda: nn.AvgPool2d(2, 1), "AvgPool2d(kernel_size=2, stride=1, padding=0)"),
    (lambda: nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
    (
        lambda: nn.BatchNorm2d(3, momentum=None),
        "BatchNorm2d(3, eps=1e-05, momentum=None, affine=True, bias=True, track_running_stats=True)",
    ),
    (lambda: nn.LayerNorm(4), "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (lambda: nn.RMSNorm([2, 4]), "RMSNorm((2, 4), eps=None, elementwise_affine=True)"),
    (lambda: nn.LocalResponseNorm(5), "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)"),
    (
        lambda: nn.InstanceNorm3d(3),
        "InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)",
    ),
    (
        lambda: nn.MultiheadAttention(8, 2),
        "MultiheadAttention(\n"
        "  (out_proj): NonDynamicallyQuantizableLinear(in_features=8, out_features=8, bias=True)\n)",
    ),
    (lambda: nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
    (lambda: nn.Embedding(5, 2, padding_idx=-1), "Embedding(5, 2, padding_idx=4)"),
    (lambda: nn.Dropout(0.1), "Dropout(p=0.1, inplace=False)"),
    (lambda: nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (lambda: nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (lambda: nn.ReLU(), "ReLU()"),
    (lambda: nn.ReLU(inplace=True), "ReLU(inplace=True)"),
    (lambda: nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (lambda: nn.GELU(), "GELU(approximate='none')"),
    (lambda: nn.Hardtanh(), "Hardtanh(min_val=-1.0, max_val=1.0)"),
    (lambda: nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (lambda: nn.PReLU(), "PReLU(num_parameters=1)"),
    (lambda: nn.Softmax(1), "Softmax(dim=1)"),
    (lambda: nn.Softshrink(), "Softshrink(0.5)"),
    (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
]


@pytest.mark.parametrize("make, text", REPRS, ids=[text.split("(")[0] for _, text in REPRS])
def test_repr(make, text):
    assert repr(make()) == text


# ---- layers


def test_linear():
    layer = nn.Linear(3, 2)
    x = randn(4, 5, 3)
    close(layer(x), array(x) @ array(layer.weight).T + array(layer.bias))
    assert nn.Linear(3, 2, bias=False).bias is None
    assert nn.Linear(3, 2, dtype=torch.float64).weight.dtype == torch.float64
    bound = 1 / math.sqrt(300)
    wide = nn.Linear(300, 50)
    assert wide.weight.abs().max() <= bound and wide.weight.abs().max() > 0.9 * bound
    assert wide.bias.abs().max() <= bound


def test_bilinear():
    layer = nn.Bilinear(3, 4, 2)
    a, b = randn(5, 3), randn(5, 4, seed=1)
    reference = np.einsum("ni,kij,nj->nk", array(a), array(layer.weight), array(b)) + array(layer.bias)
    close(layer(a, b), reference)


def convolved(x, w, b, stride=1, dilation=1):
    """A valid convolution of images (n, c, h, w), by the definition."""
    n, _, h, width = x.shape
    out, _, kh, kw = w.shape
    oh = (h - dilation * (kh - 1) - 1) // stride + 1
    ow = (width - dilation * (kw - 1) - 1) // stride + 1
    y = np.zeros((n, out, oh, ow))
    for i in range(oh):
        for j in range(ow):
            rows, columns = i * stride + dilation * np.arange(kh), j * stride + dilation * np.arange(kw)
            patch = x[:, :, rows][:, :, :, columns]
            y[:, :, i, j] = np.einsum("nchw,ochw->no", patch, w)
    return y + b[None, :, None, None]


@pytest.mark.parametrize(
    "mode, numpy_mode", [("zeros", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_conv2d_padding_modes(mode, numpy_mode):
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=(1, 2), padding_mode=mode)
    x = randn(2, 2, 6, 7)
    padded = np.pad(array(x), ((0, 0), (0, 0), (1, 1), (2, 2)), mode=numpy_mode)
    close(layer(x), convolved(padded, array(layer.weight), array(layer.bias), stride=2))


@pytest.mark.parametrize("mode, numpy_mode", [("zeros", "constant"), ("circular", "wrap")])
def test_conv2d_same(mode, numpy_mode):
    layer = nn.Conv2d(1, 2, (3, 4), padding="same", dilation=2, padding_mode=mode)
    x = randn(1, 1, 8, 9)
    padded = np.pad(array(x), ((0, 0), (0, 0), (2, 2), (3, 3)), mode=numpy_mode)
    assert layer(x).shape == (1, 2, 8, 9)
    close(layer(x), convolved(padded, array(layer.weight), array(layer.bias), dilation=2))


def test_conv1d_and_groups():
    layer = nn.Conv1d(4, 6, 3, padding=1, groups=2)
    assert layer.weight.shape == (6, 2, 3)
    x = randn(2, 4, 7)
    y = layer(x)
    padded = np.pad(array(x), ((0, 0), (0, 0), (1, 1)))[:, :, None]
    w, b = array(layer.weight)[:, :, None], array(layer.bias)
    halves = [convolved(padded[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3], b[3 * g : 3 * g + 3]) for g in range(2)]
    close(y, np.concatenate(halves, 1)[:, :, 0])


@ours_alone
def test_conv_refusals():
    for wrong in (
        dict(groups=2),
        dict(groups=0),
        dict(padding="full"),
        dict(padding_mode="mirror"),
    ):
        with pytest.raises(ValueError, match="Conv2d"):
            nn.Conv2d(3, 4, 3, **wrong)


def test_pools():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert nn.MaxPool2d(2)(x).tolist() == [[[[5, 7], [13, 15]]]]
    y, where = nn.MaxPool2d(2, return_indices=True)(x)
    assert where.tolist() == [[[[5, 7], [13, 15]]]]
    assert nn.MaxPool2d(3, stride=2, ceil_mode=True)(x).tolist() == [[[[10, 11], [14, 15]]]]
    assert nn.AvgPool2d(2)(x).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert nn.AvgPool2d(2, padding=1, count_include_pad=False)(x)[0, 0, 0].tolist() == [0, 1.5, 3]
    assert nn.AdaptiveAvgPool2d(1)(x).tolist() == [[[[7.5]]]]
    assert nn.AdaptiveAvgPool2d((2, None))(x).shape == (1, 1, 2, 4)
    assert nn.AdaptiveMaxPool2d(2)(x).tolist() == [[[[5, 7], [13, 15]]]]
    volume = x.reshape(1, 1, 2, 2, 4)
    assert nn.MaxPool3d(2)(volume).tolist() == [[[[[13, 15]]]]]
    assert nn.AvgPool3d((2, 1, 4))(volume).tolist() == [[[[[5.5], [9.5]]]]]
    assert nn.AdaptiveAvgPool3d(1)(volume).item() == 7.5 and nn.AdaptiveMaxPool3d(1)(volume).item() == 15
    line = x.reshape(1, 2, 8)
    assert nn.MaxPool1d(4)(line).tolist() == [[[3, 7], [11, 15]]]
    assert nn.AvgPool1d(4)(line).tolist() == [[[1.5, 5.5], [9.5, 13.5]]]
    assert nn.AdaptiveAvgPool1d(1)(line).tolist() == [[[3.5], [11.5]]]


def test_batch_norm():
    layer = nn.BatchNorm2d(3)
    x = randn(4, 3, 5, 6) * 2 + 1
    mean, var = array(x).mean((0, 2, 3)), array(x).var((0, 2, 3))
    normal = (array(x) - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    close(layer(x), normal)
    close(layer.running_mean, 0.1 * mean)
    close(layer.running_var, 0.9 + 0.1 * var * 120 / 119)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    shift, scale = array(layer.running_mean), np.sqrt(array(layer.running_var) + 1e-5)
    close(layer(x), (array(x) - shift[:, None, None]) / scale[:, None, None])
    assert layer.num_batches_tracked.item() == 1
    with pytest.raises(ValueError, match="4"):
        layer(randn(4, 3))
    assert nn.BatchNorm2d(3, bias=False).bias is None


def test_batch_norm_plain_mean_of_batches():
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = [randn(8, 2, seed=seed) + seed for seed in range(3)]
    for x in batches:
        layer(x)
    close(layer.running_mean, np.mean([array(x).mean(0) for x in batches], 0))
    assert nn.BatchNorm1d(2)(randn(4, 2, 3)).shape == (4, 2, 3)


def test_batch_norm_without_running_statistics():
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    assert not layer.state_dict() and not list(layer.parameters())
    close(layer(randn(50, 2)).mean(0), [0, 0])


def test_batch_norm_reads_old_state():
    state = nn.BatchNorm1d(2).state_dict()
    del state["num_batches_tracked"]
    del state._metadata
    layer = nn.BatchNorm1d(2)
    layer(randn(3, 2))
    layer.load_state_dict(state)
    assert layer.num_batches_tracked.item() == 1


def test_layer_norm():
    layer = nn.LayerNorm((3, 4))
    layer.weight.data.copy_(randn(3, 4, seed=1))
    x = randn(2, 3, 4)
    a = array(x)
    normal = (a - a.mean((1, 2), keepdims=True)) / np.sqrt(a.var((1, 2), keepdims=True) + 1e-5)
    close(layer(x), normal * array(layer.weight))
    assert nn.LayerNorm(4, bias=False).bias is None
    assert nn.LayerNorm(4, elementwise_affine=False).weight is None


def test_rms_norm_and_group_norm():
    x = randn(2, 4, 3)
    a = array(x)
    close(nn.RMSNorm(3, eps=1e-6)(x), a / np.sqrt((a**2).mean(-1, keepdims=True) + 1e-6))
    groups = a.reshape(2, 2, 6)
    normal = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    close(nn.GroupNorm(2, 4)(x), normal.reshape(2, 4, 3))
    with pytest.raises(ValueError):
        nn.GroupNorm(3, 4)


def test_embedding():
    layer = nn.Embedding(5, 3, padding_idx=0)
    index = torch.tensor([[1, 0], [4, 1]])
    close(layer(index), array(layer.weight)[[[1, 0], [4, 1]]])
    assert layer.weight[0].abs().sum() == 0
    layer(index).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [0, 2, 0, 0, 1]
    frozen = nn.Embedding.from_pretrained(randn(4, 2))
    assert not frozen.weight.requires_grad and frozen.num_embeddings == 4
    with pytest.raises(AssertionError):
        nn.Embedding(5, 3, padding_idx=5)


def test_dropout():
    x = torch.ones(10000)
    layer = nn.Dropout(0.25)
    y = layer(x)
    assert sorted(set(y.tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert abs((y == 0).float().mean().item() - 0.25) < 0.02
    assert torch.equal(layer.eval()(x), x)
    assert nn.Dropout(1.0)(x).sum() == 0
    with pytest.raises(ValueError):
        nn.Dropout(1.5)


def test_flatten():
    x = randn(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12) and nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Unflatten(2, (2, -1))(x).shape == (2, 3, 2, 2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ERF = np.vectorize(math.erf)
ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1))),
    (nn.CELU(2.0), lambda x: np.maximum(x, 0) + np.minimum(0, 2 * (np.exp(x / 2) - 1))),
    (nn.SELU(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))),
    (nn.Sigmoid(), sigmoid),
    (nn.LogSigmoid(), lambda x: np.log(sigmoid(x))),
    (nn.Tanh(), np.tanh),
    (nn.SiLU(), lambda x: x * sigmoid(x)),
    (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (nn.GELU(), lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2),
    (nn.GELU("tanh"), lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
    (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    (nn.Hardtanh(-0.5, 1.5), lambda x: np.clip(x, -0.5, 1.5)),
    (nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    (nn.Hardswish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (nn.Hardshrink(0.5), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    (nn.Softshrink(0.5), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    (nn.Threshold(0.3, -2.0), lambda x: np.where(x > 0.3, x, -2)),
    (nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x)),
    (nn.RReLU().eval(), lambda x: np.where(x > 0, x, (1 / 8 + 1 / 3) / 2 * x)),
    (nn.GLU(1), lambda x: x[:, :4] * sigmoid(x[:, 4:])),
    (nn.Softmax(1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    (nn.LogSoftmax(0), lambda x: x - np.log(np.exp(x).sum(0, keepdims=True))),
    (nn.Softmin(1), lambda x: np.exp(-x) / np.exp(-x).sum(1, keepdims=True)),
]


@pytest.mark.parametrize("layer, reference", ACTIVATIONS, ids=[type(layer).__name__ for layer, _ in ACTIVATIONS])
def test_activation(layer, reference):
    x = randn(6, 8) * 3
    close(layer(x), reference(array(x).astype(np.float64)))


@pytest.mark.parametrize("kind", [nn.ReLU, nn.SiLU, nn.ELU, nn.Hardtanh, nn.LeakyReLU])
def test_activations_in_place(kind):
    x = randn(5)
    wanted = kind()(x)
    y = kind(inplace=True)(x)
    assert torch.equal(x, wanted) and y.data_ptr() == x.data_ptr()


def test_softmax2d():
    x = randn(2, 3, 4, 5)
    close(nn.Softmax2d()(x).sum(1), np.ones((2, 4, 5)))
    with pytest.raises(ValueError):
        nn.Softmax2d()(randn(2, 3))


# ---- losses


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def test_cross_entropy():
    x, target = randn(6, 4), torch.tensor([0, 3, 1, -100, 2, 3])
    logs = log_softmax(array(x).astype(np.float64))
    kept = [0, 1, 2, 4, 5]
    picked = -logs[kept, array(target)[kept]]
    close(nn.CrossEntropyLoss()(x, target), picked.mean())
    close(nn.CrossEntropyLoss(reduction="sum")(x, target), picked.sum())
    close(nn.CrossEntropyLoss(reduction="none")(x, target), [*picked[:3], 0, *picked[3:]])
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    w = array(weight)[array(target)[kept]]
    close(nn.CrossEntropyLoss(weight=weight)(x, target), (picked * w).sum() / w.sum())
    smooth = 0.9 * picked.mean() + 0.1 * -logs[kept].mean()
    close(nn.CrossEntropyLoss(label_smoothing=0.1)(x, target), smooth)
    close(nn.NLLLoss()(F.log_softmax(x, 1), target), picked.mean())
    assert nn.CrossEntropyLoss(size_average=False).reduction == "sum"
    assert nn.CrossEntropyLoss(reduce=False).reduction == "none"
    assert list(nn.CrossEntropyLoss(weight=weight).state_dict()) == ["weight"]


def test_cross_entropy_of_probabilities_and_images():
    x, soft = randn(5, 3), torch.softmax(randn(5, 3, seed=1), 1)
    close(nn.CrossEntropyLoss()(x, soft), -(array(soft) * log_softmax(array(x))).sum(1).mean())
    x, target = randn(2, 3, 4, 4), torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 4, 4)))
    logs = log_softmax(array(x))
    close(nn.CrossEntropyLoss()(x, target), -np.take_along_axis(logs, array(target)[:, None], 1).mean())


def test_elementwise_losses():
    x, y = randn(4, 3), randn(4, 3, seed=1)
    d = np.abs(array(x) - array(y)).astype(np.float64)
    close(nn.MSELoss()(x, y), (d**2).mean())
    close(nn.L1Loss(reduction="sum")(x, y), d.sum())
    close(nn.SmoothL1Loss(beta=0.5)(x, y), np.where(d < 0.5, d**2, d - 0.25).mean())
    close(nn.HuberLoss(delta=0.5)(x, y), np.where(d < 0.5, d**2 / 2, 0.5 * (d - 0.25)).mean())
    p, t = sigmoid(array(x)), array(y) > 0
    bce = -(t * np.log(p) + ~t * np.log(1 - p))
    target = (y > 0).float()
    close(nn.BCELoss()(torch.sigmoid(x), target), bce.mean())
    close(nn.BCEWithLogitsLoss(reduction="none")(x, target), bce)
    weighted = -(3 * t * np.log(p) + ~t * np.log(1 - p))
    close(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))(x, target), weighted.mean())
    q = torch.softmax(y, 1)
    kl = array(q) * (np.log(array(q)) - log_softmax(array(x)))
    close(nn.KLDivLoss(reduction="batchmean")(F.log_softmax(x, 1), q), kl.sum() / 4)
    close(nn.KLDivLoss(reduction="sum", log_target=True)(F.log_softmax(x, 1), q.log()), kl.sum())


def test_normalize_and_gumbel():
    x = randn(3, 4)
    close(F.normalize(x), array(x) / np.linalg.norm(array(x), axis=1, keepdims=True))
    assert F.normalize(torch.zeros(1, 2)).tolist() == [[0, 0]]
    hard = F.gumbel_softmax(randn(100, 5).requires_grad_(), hard=True)
    assert hard.sum(1).tolist() == pytest.approx([1.0] * 100) and hard.max(1)[0].min() > 0.99
    close(F.gumbel_softmax(randn(9, 5), tau=0.5).sum(1), np.ones(9))


# ---- initialisation


def test_gains():
    assert init.calculate_gain("relu") == math.sqrt(2) and init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1) == 1 and init.calculate_gain("conv2d") == 1
    assert init.calculate_gain("selu") == 0.75
    with pytest.raises(ValueError):
        init.calculate_gain("nothing")


@pytest.mark.parametrize(
    "fill, std",
    [
        (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(2 / (300 + 200))),
        (lambda w: init.xavier_normal_(w), math.sqrt(2 / 500)),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / 300)),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 200)),
        (lambda w: init.normal_(w, 0, 3.0), 3.0),
        (lambda w: init.uniform_(w, -1, 1), math.sqrt(1 / 3)),
    ],
)
def test_random_initialisation(fill, std):
    weight = nn.Parameter(torch.empty(200, 300))
    assert fill(weight) is weight and weight.grad_fn is None
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert abs(weight.mean().item()) < 0.02 * std * 3


def test_fans_of_convolutions():
    assert init._calculate_fan_in_and_fan_out(torch.empty(8, 4, 3, 5)) == (60, 120)
    with pytest.raises(ValueError):
        init.xavier_uniform_(torch.empty(3))
    with pytest.raises(ValueError):
        init.kaiming_uniform_(torch.empty(3, 3), mode="fan")


def test_generator():
    def draw():
        return init.normal_(torch.empty(5), generator=torch.Generator().manual_seed(3))

    assert torch.equal(draw(), draw())


def test_truncated_normal():
    weight = init.trunc_normal_(torch.empty(20000), mean=1.0, std=2.0, a=0.0, b=2.0)
    assert weight.min() >= 0 and weight.max() <= 2
    assert weight.mean().item() == pytest.approx(1.0, abs=0.02)
    assert weight.std().item() == pytest.approx(0.5655, abs=0.01)  # of a normal one cut at +-half a deviation


def test_fixed_initialisation():
    assert init.constant_(torch.empty(2), 3).tolist() == [3, 3]
    assert init.ones_(torch.empty(1)).item() == 1 and init.zeros_(torch.empty(1)).item() == 0
    assert init.eye_(torch.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = randn(1, 2, 5)
    close(F.conv1d(x, init.dirac_(torch.empty(2, 2, 3)), padding=1), array(x))
    grouped = init.dirac_(torch.empty(4, 2, 3), groups=2)
    assert grouped[2, 0].tolist() == [0, 1, 0] and grouped[3, 1].tolist() == [0, 1, 0]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 2, 3)])
def test_orthogonal(shape):
    weight = init.orthogonal_(torch.empty(shape), gain=2.0).reshape(shape[0], -1)
    small = weight @ weight.t() if shape[0] <= weight.shape[1] else weight.t() @ weight
    close(small, 4 * np.eye(small.shape[0]), 1e-4)


def test_sparse():
    weight = init.sparse_(torch.empty(10, 4), sparsity=0.25)
    assert (weight == 0).sum(0).tolist() == [3, 3, 3, 3]


# ---- utilities


def with_grads():
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(3))]
    parameters[0].grad = torch.tensor([3.0, 0.0])
    parameters[1].grad = torch.tensor([-4.0])
    return parameters


def test_clip_grad_norm():
    parameters = with_grads()
    assert clip_grad_norm_(parameters, 1.0).item() == 5
    assert [p.grad.tolist() for p in parameters[:2]] == [[pytest.approx(0.6), 0], [pytest.approx(-0.8)]]
    assert clip_grad_norm_(with_grads(), 1.0, norm_type=math.inf).item() == 4
    unchanged = with_grads()
    clip_grad_norm_((p for p in unchanged), 100.0)
    assert unchanged[0].grad.tolist() == [3, 0]
    parameters[0].grad[0] = math.nan
    with pytest.raises(RuntimeError):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert clip_grad_norm_([], 1.0).item() == 0


def test_clip_by_value_and_measured_norm():
    parameters = with_grads()
    clip_grad_value_(parameters, 2.0)
    assert [p.grad.tolist() for p in parameters[:2]] == [[2, 0], [-2]]
    parameters = with_grads()
    total = get_total_norm([p.grad for p in parameters[:2]])
    assert total.item() == 5
    clip_grads_with_norm_(parameters, 2.5, total)
    assert parameters[1].grad.item() == pytest.approx(-2)


def test_parameters_as_vector():
    net = nn.Linear(2, 1)
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (3,) and vector.requires_grad
    vector_to_parameters(torch.tensor([1.0, 2.0, 3.0]), net.parameters())
    assert net.weight.tolist() == [[1, 2]] and net.bias.tolist() == [3]


# ---- checkpointing


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(reentrant):
    from tessel.utils.checkpoint import checkpoint, checkpoint_sequential

    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1))
    x = randn(5, 4).requires_grad_()

    def gradients(run):
        torch.manual_seed(0)
        net.zero_grad()
        x.grad = None
        run(x).sum().backward()
        return [x.grad, *[parameter.grad for parameter in net.parameters()]]

    plain = gradients(net)
    once = gradients(lambda x: checkpoint(net, x, use_reentrant=reentrant))
    pieces = gradients(lambda x: checkpoint_sequential(net, 3, x, use_reentrant=reentrant))
    for a, b, c in zip(plain, once, pieces):
        assert torch.equal(a, b) and torch.equal(a, c)


@ours_alone
def test_checkpoint_runs_twice_and_keeps_less():
    from tessel.utils.checkpoint import CheckpointError, checkpoint

    runs = []

    def square(x, by=1):
        runs.append(x.shape)
        return (x * x).exp() * by

    x = randn(3).requires_grad_()
    y = checkpoint(square, x, by=2)
    assert len(runs) == 1
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert len(runs) == 2
    close(gradient, 4 * array(x) * np.exp(array(x) ** 2))
    with torch.no_grad():
        checkpoint(square, x)
    assert len(runs) == 3

    def changes(x):
        runs.append(None)
        return x * x if len(runs) % 2 == 0 else x[:2] * x[:2]

    with pytest.raises(CheckpointError):
        checkpoint(changes, x).sum().backward()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_losses_warn_of_broadcasting(name):
    loss = getattr(nn.functional, name)
    with pytest.warns(UserWarning, match=r"input is \(4, 1\) but target is \(4,\)"):
        assert loss(torch.rand(4, 1), torch.rand(4), reduction="none").shape == (4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(torch.rand(4, 1), torch.rand(4, 1))
        with pytest.raises(UserWarning, match=name):
            loss(torch.rand(4, 1), torch.rand(4))


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_losses_that_do_not_broadcast(name):
    with pytest.raises(ValueError, match=rf"{name}: target must have the size of the input, \(4, 1\), but is \(4,\)"):
        getattr(nn.functional, name)(torch.rand(4, 1), torch.rand(4))
