"""The rest of nn: layers of images, lazy layers, losses, computed parameters; what each adds to its function."""

import copy
import importlib
import math

import numpy as np
import pytest

import tessel as torch
from tessel import nn
from tessel.nn import functional as F
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch says or does it otherwise")


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), tolerance, tolerance)


# convolutions


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolution_undoes_the_size(dims):
    size = (7, 6, 5)[:dims]
    x = torch.randn(2, 4, *size)
    down = getattr(nn, f"Conv{dims}d")(4, 6, 3, stride=2, padding=1)
    up = getattr(nn, f"ConvTranspose{dims}d")(6, 4, 3, stride=2, padding=1, groups=2)
    assert up.weight.shape == (6, 2, *(3,) * dims)
    assert up(down(x), output_size=size).shape == x.shape
    assert up(down(x), output_size=x.shape).shape == x.shape
    with pytest.raises(ValueError):
        up(down(x), output_size=(99,) * dims)


def test_transposed_convolution_says_what_it_is():
    layer = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 2)
    expected = (
        "ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "output_padding=(1, 1), groups=2, bias=False)"
    )
    assert repr(layer) == expected
    with pytest.raises(ValueError):
        nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect")


@ours_alone
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_at_any_stride(mode, stride):
    """S10: ceil(n / stride) elements, as TensorFlow has it, what is missing to symmetry behind."""
    for n, kernel, dilation in ((7, 2, 1), (8, 3, 2), (9, 4, 1)):
        layer = nn.Conv1d(2, 3, kernel, stride, "same", dilation, padding_mode=mode)
        x = torch.randn(1, 2, n)
        total = max((math.ceil(n / stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0)
        padded = F.pad(x, (total // 2, total - total // 2), mode="constant" if mode == "zeros" else mode)
        close(layer(x), F.conv1d(padded, layer.weight, layer.bias, stride, 0, dilation))
        assert layer(x).shape[-1] == math.ceil(n / stride)


# images


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.ReflectionPad2d(1), lambda x: F.pad(x, (1,) * 4, "reflect")),
        (nn.ReplicationPad2d((1, 2, 0, 1)), lambda x: F.pad(x, (1, 2, 0, 1), "replicate")),
        (nn.CircularPad2d(1), lambda x: F.pad(x, (1,) * 4, "circular")),
        (nn.ConstantPad2d(2, 3.5), lambda x: F.pad(x, (2,) * 4, "constant", 3.5)),
        (nn.ZeroPad2d((-1, 1, 0, 0)), lambda x: F.pad(x, (-1, 1, 0, 0))),
        (nn.PixelShuffle(2), lambda x: F.pixel_shuffle(x, 2)),
        (nn.PixelUnshuffle(2), lambda x: F.pixel_unshuffle(x, 2)),
        (nn.ChannelShuffle(2), lambda x: F.channel_shuffle(x, 2)),
        (nn.Upsample(scale_factor=2, mode="bicubic"), lambda x: F.interpolate(x, None, 2.0, "bicubic")),
        (nn.UpsamplingNearest2d((3, 5)), lambda x: F.interpolate(x, (3, 5))),
        (nn.UpsamplingBilinear2d((3, 5)), lambda x: F.interpolate(x, (3, 5), None, "bilinear", True)),
        (nn.Unfold(2, stride=2), lambda x: F.unfold(x, 2, stride=2)),
        (nn.LPPool2d(2, 2), lambda x: F.lp_pool2d(x, 2, 2)),
        (nn.CosineSimilarity(2), lambda x: F.cosine_similarity(x, x, 2)),
    ],
)
def test_layers_of_images(layer, function):
    x = torch.rand(2, 4, 6, 6)
    close(layer(x, x) if isinstance(layer, nn.CosineSimilarity) else layer(x), function(x))


def test_fold_counts_how_often_windows_overlap():
    x = torch.rand(1, 2, 5, 6)
    there_and_back = nn.Fold((5, 6), 3)(nn.Unfold(3)(x))
    close(there_and_back, x * nn.Fold((5, 6), 3)(nn.Unfold(3)(torch.ones_like(x))))


def test_unpool_is_the_way_back():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    y, places = nn.MaxPool2d(2, return_indices=True)(x)
    back = nn.MaxUnpool2d(2)(y, places)
    assert back.shape == x.shape and float(back.sum()) == float(y.sum())
    close(nn.MaxPool2d(2)(back), y)


def test_fractional_pool_draws_its_windows():
    x = torch.randn(2, 3, 9, 9)
    torch.manual_seed(3)
    y, places = nn.FractionalMaxPool2d(3, output_ratio=0.6, return_indices=True)(x)
    assert y.shape == (2, 3, 5, 5)
    close(x.flatten(2).gather(2, places.flatten(2)).reshape(y.shape), y)


# norms


def test_sync_batch_norm_is_batch_norm():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm1d(4, affine=False)))
    keys = list(net.state_dict())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert isinstance(converted[1], nn.SyncBatchNorm) and isinstance(converted[2][0], nn.SyncBatchNorm)
    assert list(converted.state_dict()) == keys
    if not STANDS_IN:  # PyTorch wants a GPU
        x = torch.randn(5, 4, 2)
        fresh = nn.BatchNorm1d(4)
        close(nn.SyncBatchNorm(4)(x), fresh(x))


# lazy layers


@pytest.mark.parametrize(
    "lazy, eager, shape",
    [
        (lambda: nn.LazyLinear(3), lambda: nn.Linear(5, 3), (2, 5)),
        (lambda: nn.LazyConv1d(4, 3, bias=False), lambda: nn.Conv1d(6, 4, 3, bias=False), (2, 6, 5)),
        (lambda: nn.LazyConv2d(4, 3, 2, groups=2), lambda: nn.Conv2d(6, 4, 3, 2, groups=2), (6, 5, 5)),
        (lambda: nn.LazyConv3d(4, 2), lambda: nn.Conv3d(3, 4, 2), (2, 3, 4, 4, 4)),
        (lambda: nn.LazyConvTranspose1d(4, 3), lambda: nn.ConvTranspose1d(6, 4, 3), (2, 6, 5)),
        (lambda: nn.LazyConvTranspose2d(4, 3, 2), lambda: nn.ConvTranspose2d(6, 4, 3, 2), (2, 6, 5, 5)),
        (lambda: nn.LazyConvTranspose3d(4, 2), lambda: nn.ConvTranspose3d(3, 4, 2), (2, 3, 4, 4, 4)),
        (lambda: nn.LazyBatchNorm1d(), lambda: nn.BatchNorm1d(6), (2, 6)),
        (lambda: nn.LazyBatchNorm2d(affine=False), lambda: nn.BatchNorm2d(6, affine=False), (2, 6, 3, 3)),
        (
            lambda: nn.LazyInstanceNorm2d(),
            lambda: nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
            (2, 6, 3, 3),
        ),
    ],
)
def test_lazy_layers_become_what_they_wait_for(lazy, eager, shape):
    x = torch.randn(*shape)
    torch.manual_seed(1)
    first = lazy()
    assert first.has_uninitialized_params()
    torch.manual_seed(1)
    y = first(x)
    torch.manual_seed(1)
    plain = eager()
    assert type(first) is type(plain)
    assert {k: v.shape for k, v in first.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    close(y, plain(x))
    other = lazy()
    other.load_state_dict(first.state_dict())
    assert not other.has_uninitialized_params()
    close(other.eval()(x), first.eval()(x))


def test_lazy_parameters_have_no_shape_yet():
    layer = nn.LazyLinear(3)
    with pytest.raises(RuntimeError):
        layer.weight.shape  # noqa: B018
    twin = copy.deepcopy(layer)
    twin(torch.ones(1, 4))
    assert layer.has_uninitialized_params() and twin.weight.shape == (3, 4)


# losses and rows


def test_embedding_bag_is_a_sum_of_rows():
    bag, rows = nn.EmbeddingBag(10, 3, mode="sum"), nn.Embedding(10, 3)
    rows.weight = bag.weight
    index = torch.tensor([[1, 2, 4], [4, 3, 9]])
    close(bag(index), rows(index).sum(1))
    close(bag(index.flatten(), torch.tensor([0, 3])), rows(index).sum(1))
    frozen = nn.EmbeddingBag.from_pretrained(bag.weight.detach(), mode="max", padding_idx=4)
    assert not frozen.weight.requires_grad and repr(frozen) == "EmbeddingBag(10, 3, mode='max', padding_idx=4)"


def test_adaptive_softmax_is_a_distribution():
    torch.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10, 15], div_value=2.0)
    x, target = torch.randn(12, 16), torch.randint(0, 20, (12,))
    whole = layer.log_prob(x)
    close(whole.exp().sum(1), torch.ones(12))
    output, loss = layer(x, target)
    close(output, whole.gather(1, target[:, None])[:, 0])
    close(loss, -output.mean())
    assert layer.predict(x).tolist() == whole.argmax(1).tolist()
    for wrong in ([], [5, 5], [0, 3], [25]):
        with pytest.raises(ValueError):
            nn.AdaptiveLogSoftmaxWithLoss(16, 20, wrong)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("rows", [1, 4, None])
def test_linear_cross_entropy_in_parts(reduction, rows):
    torch.manual_seed(0)
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=rows, chunking_method=None if rows else "auto")
    x, target, weight = torch.randn(7, 5, requires_grad=True), torch.randint(0, 9, (7,)), torch.rand(9)
    target[2] = 3
    layer = nn.LinearCrossEntropyLoss(
        5, 9, bias=True, reduction=reduction, weight=weight, ignore_index=3, options=options
    )
    grads = []
    for call in (layer, lambda x, t: F.cross_entropy(layer.linear(x), t, weight, ignore_index=3, reduction=reduction)):
        loss = call(x, target)
        grads.append([loss, *torch.autograd.grad(loss.sum(), [x, layer.linear.weight, layer.linear.bias])])
    for part, whole in zip(*grads):
        close(part, whole)
    assert list(layer.state_dict()) == ["weight", "linear.weight", "linear.bias"]


@ours_alone
def test_linear_cross_entropy_in_parts_differentiates_twice():
    x, w = torch.randn(3, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    target, options = torch.tensor([0, 3, 1]), nn.LinearCrossEntropyOptions(batch_chunk_size=2, chunking_method=None)
    loss = lambda x, w: F.linear_cross_entropy(x, w, target, options=options)
    assert torch.autograd.gradgradcheck(loss, (x.requires_grad_(), w.requires_grad_()))


@ours_alone
def test_focal_loss_without_focus_is_cross_entropy():
    """S12"""
    x, target, weight = torch.randn(6, 4), torch.randint(0, 4, (6,)), torch.rand(4)
    close(F.focal_loss(x, target, weight, gamma=0), F.cross_entropy(x, target, weight))
    close(nn.FocalLoss(weight, 0.0)(x, target), nn.CrossEntropyLoss(weight)(x, target))
    hard = torch.tensor([0.0, 1.0, 1.0])
    logits = torch.tensor([-1e4, 1e4, -1e4])
    assert F.sigmoid_focal_loss(logits, hard, reduction="none").tolist() == [0, 0, 2500]


def test_ctc_loss_learns_to_read():
    torch.manual_seed(0)
    logits = torch.zeros(12, 2, 5, requires_grad=True)
    targets, lengths = torch.tensor([[1, 2, 2], [3, 4, 0]]), (3, 2)
    loss = nn.CTCLoss()
    for _ in range(60):
        value = loss(logits.log_softmax(2), targets, (12, 12), lengths)
        (grad,) = torch.autograd.grad(value, logits)
        logits.data -= 40 * grad
    assert float(value) < 0.01
    best = logits.argmax(2).T.tolist()
    read = [[c for i, c in enumerate(row) if c and (i == 0 or c != row[i - 1])] for row in best]
    assert read == [[1, 2, 2], [3, 4]]


# sequences


@ours_alone
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_lengths_do_what_packing_does(kind, batch_first):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(3, 4, 2, bidirectional=True, batch_first=batch_first)
    x, lengths = torch.randn(3, 5, 3) if batch_first else torch.randn(5, 3, 3), [2, 5, 3]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    wanted, states = layer(packed)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(wanted, batch_first, total_length=5)
    y, h = layer(x, lengths=torch.tensor(lengths))
    close(y, wanted)
    for one, other in zip(*((h, states) if kind == "LSTM" else ((h,), (states,)))):
        close(one, other)
    with pytest.raises(ValueError):
        layer(x[0], lengths=[1])


@ours_alone
def test_sinusoidal_positions():
    """S29: against Python's integers and high precision, at far positions and for an odd width."""
    for d in (1, 4, 7):
        layer = nn.SinusoidalPositionalEncoding(d)
        for t in (0, 1, 17, 10**5 + 1, 10**9):
            codes = layer.encoding(torch.tensor([t]))[0].tolist()
            for k, code in enumerate(codes):
                angle = t / 10000 ** ((k - k % 2) / d)
                assert abs(code - (math.cos(angle) if k % 2 else math.sin(angle))) < 1e-6
    layer = nn.SinusoidalPositionalEncoding(6, batch_first=True)
    x = torch.randn(2, 9, 6)
    close(torch.cat([layer(x[:, :4]), layer(x[:, 4:], offset=4)], 1), layer(x))
    close(nn.SinusoidalPositionalEncoding(6)(x.transpose(0, 1)).transpose(0, 1), layer(x))
    close(layer(x[0]), layer(x)[0])
    assert layer.state_dict() == {}
    assert list(layer.encoding(torch.tensor(0)).tolist()) == [0, 1, 0, 1, 0, 1]


# computed parameters


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, y):
        return y.triu()


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


def test_parametrization_stands_in_front_of_the_parameter():
    from tessel.nn.utils import parametrize

    layer = nn.Linear(3, 3)
    before = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert layer.parametrizations.weight.original is before
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    close(layer.weight, layer.weight.T)
    layer(torch.ones(1, 3)).sum().backward()
    assert before.grad is not None
    wanted = torch.eye(3) * 4
    layer.weight = wanted
    close(layer.weight, wanted)
    parametrize.register_parametrization(layer, "weight", Twice())
    close(layer.weight, 2 * wanted)
    with parametrize.cached():
        assert layer.weight is layer.weight
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight")
    close(layer.weight, 2 * wanted)
    assert type(layer) is nn.Linear and layer.weight is before and sorted(layer.state_dict()) == ["bias", "weight"]
    close(twin.weight, 2 * wanted)
    assert not parametrize.is_parametrized(layer) and parametrize.is_parametrized(twin)
    parametrize.remove_parametrizations(twin, "weight", leave_parametrized=False)
    close(twin.weight, wanted)


def test_parametrization_refuses():
    from tessel.nn.utils import parametrize

    class Wider(nn.Module):
        def forward(self, x):
            return x.repeat(2, 1)

    layer = nn.Linear(3, 3)
    with pytest.raises(ValueError):
        parametrize.register_parametrization(layer, "weight", Wider())
    with pytest.raises(ValueError):
        parametrize.register_parametrization(layer, "nothing", Twice())
    with pytest.raises(ValueError):
        parametrize.remove_parametrizations(layer, "weight")
    parametrize.register_parametrization(layer, "weight", Wider(), unsafe=True)
    assert layer.weight.shape == (6, 3)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim):
    from tessel.nn.utils import parametrizations

    layer = nn.Linear(4, 3)
    weight = layer.weight.detach().clone()
    parametrizations.weight_norm(layer, dim=dim)
    keys = ["parametrizations.weight.original0", "parametrizations.weight.original1"]
    assert [k for k in layer.state_dict() if k != "bias"] == keys
    close(layer.weight, weight)
    older = nn.Linear(4, 3)
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(older, dim=dim)
    assert set(older.state_dict()) == {"bias", "weight_g", "weight_v"}
    layer.load_state_dict(older.state_dict())
    x = torch.randn(2, 4)
    close(layer(x), older(x))
    older(x).sum().backward()
    assert older.weight_g.grad is not None
    nn.utils.remove_weight_norm(older)
    assert sorted(older.state_dict()) == ["bias", "weight"]
    close(layer(x), older(x))


def test_spectral_norm_brings_the_greatest_singular_value_to_one():
    from tessel.nn.utils import parametrizations

    torch.manual_seed(0)
    for make in (lambda: nn.Linear(6, 4), lambda: nn.Conv2d(2, 3, 2), lambda: nn.ConvTranspose2d(2, 3, 2)):
        layer = parametrizations.spectral_norm(make(), n_power_iterations=20)
        layer.train()
        weight = layer.weight
        dim = int(isinstance(layer, nn.ConvTranspose2d))
        matrix = weight.detach().movedim(dim, 0).flatten(1).numpy()
        assert abs(np.linalg.svd(matrix, compute_uv=False)[0] - 1) < 1e-3
        assert {"parametrizations.weight.original", "parametrizations.weight.0._u"} <= set(layer.state_dict())
    older = nn.utils.spectral_norm(nn.Linear(6, 4))
    assert set(older.state_dict()) == {"bias", "weight_orig", "weight_u", "weight_v"}
    for _ in range(30):
        older(torch.ones(1, 6))
    assert abs(float(np.linalg.svd(older.weight.detach().numpy(), compute_uv=False)[0]) - 1) < 1e-3
    nn.utils.remove_spectral_norm(older)
    assert set(older.state_dict()) == {"bias", "weight"}


def test_fused_layers_do_what_both_did():
    conv, up, norm = nn.Conv2d(3, 4, 2, bias=False), nn.ConvTranspose2d(3, 4, 2), nn.BatchNorm2d(4)
    norm.running_mean.uniform_(), norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
    x = torch.randn(2, 3, 5, 5)
    for layer, turned in ((conv, False), (up, True)):
        both = nn.Sequential(layer, norm).eval()
        close(nn.utils.fuse_conv_bn_eval(layer, norm, turned)(x), both(x), 1e-4)
    linear, norm = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval()
    norm.running_mean.uniform_()
    close(nn.utils.fuse_linear_bn_eval(linear, norm)(x[0, 0, :, :3]), norm(linear(x[0, 0, :, :3])))


def test_orthogonal_stays_orthogonal():
    from tessel.nn.utils import parametrizations

    torch.manual_seed(0)
    for rows, columns in ((4, 4), (5, 3), (3, 5)):
        for how in ("matrix_exp", "cayley", "householder"):
            layer = parametrizations.orthogonal(nn.Linear(columns, rows), orthogonal_map=how)
            optimizer = torch.optim.SGD(layer.parameters(), lr=0.3)
            for _ in range(2):
                w = layer.weight
                small = w.T @ w if rows >= columns else w @ w.T
                close(small, torch.eye(min(rows, columns)), 1e-4)
                optimizer.zero_grad()
                (layer(torch.ones(2, columns)) ** 2).sum().backward()
                optimizer.step()
            assert layer.parametrizations.weight.original.grad.abs().sum() > 0
            q = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns)))[0]
            q = q if rows >= columns else q.T
            layer.weight = q
            close(layer.weight, q, 1e-4)


def test_call_with_other_parameters():
    from tessel.nn.utils.stateless import functional_call

    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[1].weight = nn.Parameter(torch.zeros(2, 2))
    other = {"0.weight": torch.ones(2, 3, requires_grad=True), "1.weight": torch.eye(2), "1.bias": torch.zeros(2)}
    x, kept = torch.randn(4, 3), net[0].weight
    y = functional_call(net.eval(), other, (x,))
    close(y, net[2](F.linear(x, other["0.weight"], net[0].bias)))
    y.sum().backward()
    assert other["0.weight"].grad is not None and net[0].weight is kept and kept.grad is None
    tied = nn.ModuleList([nn.Linear(2, 2, bias=False)] * 2)
    tied.forward = lambda x: tied[1](tied[0](x))
    close(functional_call(tied, {"0.weight": 2 * torch.eye(2)}, torch.ones(1, 2)), torch.full((1, 2), 4.0))
    if not STANDS_IN:
        with pytest.raises(KeyError):
            functional_call(net, {"9.weight": x}, x)
        with pytest.raises(RuntimeError):
            functional_call(net, other, x, strict=True)


# names


def test_older_names_of_init_warn():
    x = torch.empty(3, 4)
    with pytest.warns(FutureWarning, match="nn.init.constant_"):
        nn.init.constant(x, 2.0)
    assert float(x.sum()) == 24


def test_module_paths():
    modules = importlib.import_module(nn.__name__ + ".modules")
    assert isinstance(nn.BatchNorm2d(3), modules.batchnorm._BatchNorm)
    assert isinstance(nn.MSELoss(), modules.loss._Loss)
    assert modules.utils._pair(3) == (3, 3) and modules.utils._single((4,)) == (4,)
    assert (
        modules.Module is nn.Module and modules.linear.Linear is nn.Linear and modules.sparse.Embedding is nn.Embedding
    )
    assert importlib.import_module(nn.__name__ + ".modules.instancenorm")._InstanceNorm
    keys = nn.Linear(2, 2).load_state_dict({}, strict=False)
    assert isinstance(keys, modules.module._IncompatibleKeys)
    assert modules.utils._reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)


def test_skip_init():
    layer = nn.utils.skip_init(nn.Linear, 5, 3)
    assert type(layer) is nn.Linear and layer.weight.shape == (3, 5)
    with pytest.raises(RuntimeError):
        nn.utils.skip_init(nn.ReLU)
