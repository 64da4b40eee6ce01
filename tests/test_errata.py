"""Where textbook formulas are wrong, incomplete or differ from the PyTorch name they stand under: S1 to S40.

Each test bears the number of its entry and says what holds here. S27 and S36 are about words, not about behaviour.
"""

import inspect
import math

import numpy as np
import pytest

import tessel as torch
import tessel.nn.functional as F
from tessel import nn, optim


def lacks(place, *names):
    missing = [name for name in names if not hasattr(place, name)]
    return pytest.mark.skipif(bool(missing), reason=f"not there yet: {', '.join(missing)}")


def close(got, wanted, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=tolerance, atol=tolerance)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def descend(optimizer_of, gradients, start=1.0, rates=None):
    """A parameter's path under given gradients; `rates` are set by hand before each step."""
    p = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = optimizer_of([p])
    path = []
    for i, g in enumerate(gradients):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[i]
        p.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        path.append(p.item())
    return path


GRADIENTS = [0.5, -1.5, 0.25, 2.0]


def test_s1_adam_does_not_drift_without_gradient():
    """epsilon stands in the denominator: lr m / (sqrt(v) + eps), not beside the quotient."""
    assert descend(lambda p: optim.Adam(p, lr=0.1, eps=1e-3), [0.0] * 5) == [1.0] * 5


def test_s2_adam_corrects_its_moments_from_step_one():
    for g in (1e-3, -7.0, 300.0):
        close(descend(lambda p: optim.Adam(p, lr=0.1), [g])[0], 1 - 0.1 * math.copysign(1, g), 1e-5)
    m = v = 0.0
    p, path = 1.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p -= 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        path.append(p)
    close(descend(lambda p: optim.Adam(p, lr=0.1), GRADIENTS), path, 1e-12)


@pytest.mark.parametrize("reset_after", [True, False])
def test_s3_gru_in_both_forms(reset_after):
    """PyTorch's GRU resets after the product with the hidden state, the primers' before it; z keeps the old state."""
    torch.manual_seed(0)
    gru = nn.GRU(3, 4, reset_after=reset_after).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    wi, wh, bi, bh = (p.detach().numpy() for p in (gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0))
    (wir, wiz, win), (whr, whz, whn) = np.split(wi, 3), np.split(wh, 3)
    (bir, biz, bin_), (bhr, bhz, bhn) = np.split(bi, 3), np.split(bh, 3)
    h, outputs = np.zeros((2, 4)), []
    for xt in x.numpy():
        r = sigmoid(xt @ wir.T + bir + h @ whr.T + bhr)
        z = sigmoid(xt @ wiz.T + biz + h @ whz.T + bhz)
        inner = r * (h @ whn.T + bhn) if reset_after else (r * h) @ whn.T + bhn
        n = np.tanh(xt @ win.T + bin_ + inner)
        h = (1 - z) * n + z * h
        outputs.append(h)
    close(gru(x)[0].detach(), outputs, 1e-12)


def test_s4_dropout_drops_with_probability_p_and_scales_the_rest():
    torch.manual_seed(0)
    x = torch.ones(100_000)
    y = F.dropout(x, 0.3)
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(y.mean().item() - 1) < 0.01 and abs((y == 0).float().mean().item() - 0.3) < 0.01
    assert torch.equal(F.dropout(x, 0.0), x) and torch.equal(F.dropout(x, 1.0), torch.zeros_like(x))
    noise = torch.randn(50)
    assert torch.equal(nn.Dropout(0.9).eval()(noise), noise)


@pytest.mark.parametrize("slope", [2.0, -0.5, 0.01])
def test_s5_leaky_relu_is_no_maximum(slope):
    x = torch.linspace(-2, 2, 9)
    close(F.leaky_relu(x, slope), np.where(x.numpy() > 0, x.numpy(), slope * x.numpy()))


def rates(schedule_of, steps, lr=0.1):
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=lr)
    schedule = schedule_of(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_s6_step_decay_has_a_floor():
    found = rates(lambda o: optim.lr_scheduler.StepLR(o, 3, gamma=0.5), 10)
    close(found, [0.1 * 0.5 ** (t // 3) for t in range(10)], 1e-15)


def test_s7_exponential_decay_by_gamma():
    decay = 0.05
    found = rates(lambda o: optim.lr_scheduler.ExponentialLR(o, math.exp(-decay)), 10)
    close(found, [0.1 * math.exp(-decay * t) for t in range(10)], 1e-15)


def test_s8_cosine_annealing_recursive_and_closed():
    """Up to T_max the recursive form is the closed one; a rate changed by hand goes on from there."""
    found = rates(lambda o: optim.lr_scheduler.CosineAnnealingLR(o, T_max=8, eta_min=0.01), 9)
    close(found, [0.01 + 0.09 * (1 + math.cos(math.pi * t / 8)) / 2 for t in range(9)], 1e-12)
    beyond = rates(lambda o: optim.lr_scheduler.CosineAnnealingLR(o, T_max=4), 9)
    close([beyond[4], beyond[8]], [0.0, 0.1], 1e-12)  # it climbs again


def test_s9_convolution_layers_cross_correlate():
    x, k = np.random.default_rng(0).normal(size=(2, 9))
    k = k[:4]
    y = F.conv1d(torch.from_numpy(x)[None, None], torch.from_numpy(k[::-1].copy())[None, None], padding=3)
    close(y[0, 0], np.convolve(x, k), 1e-12)
    y = F.conv1d(torch.from_numpy(x)[None, None], torch.from_numpy(k)[None, None])
    close(y[0, 0], np.correlate(x, k), 1e-12)


@pytest.mark.parametrize("kernel, dilation", [(3, 1), (4, 1), (3, 2), (1, 1)])
def test_s10_same_padding_with_stride_one(kernel, dilation):
    x = torch.randn(1, 2, 11)
    y = F.conv1d(x, torch.randn(3, 2, kernel), padding="same", dilation=dilation)
    assert y.shape == (1, 3, 11)


def same_at_any_stride():
    try:
        F.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2), stride=2, padding="same")
    except RuntimeError:
        return False
    return True


@pytest.mark.skipif(not same_at_any_stride(), reason="not there yet: padding='same' with strides")
@pytest.mark.parametrize("stride, kernel, dilation, size", [(2, 3, 1, 7), (3, 4, 1, 11), (2, 2, 2, 9), (3, 1, 1, 10)])
def test_s10_same_padding_with_strides(stride, kernel, dilation, size):
    """ceil(size / stride) positions, the odd one of the padding at the end."""
    x, w = torch.randn(1, 2, size), torch.randn(3, 2, kernel)
    y = F.conv1d(x, w, stride=stride, padding="same", dilation=dilation)
    out = -(-size // stride)
    total = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    padded = F.pad(x, (total // 2, total - total // 2))
    assert y.shape == (1, 3, out)
    close(y, F.conv1d(padded, w, stride=stride, dilation=dilation)[..., :out], 1e-5)


def test_s11_losses_are_means_and_stay_finite():
    p, y = torch.tensor([0.0, 1.0, 0.25]), torch.tensor([1.0, 1.0, 0.0])
    each = F.binary_cross_entropy(p, y, reduction="none")
    close(each, [100, 0, -math.log(0.75)])
    close(F.binary_cross_entropy(p, y), each.mean().item())
    close(F.binary_cross_entropy(p, y, reduction="sum"), each.sum().item())
    logits = torch.tensor([1e4, -1e4, 1e4])
    close(F.binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0, 0.0]), reduction="none"), [0, 0, 1e4])
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    close(F.cross_entropy(logits, torch.tensor([0])), 0)
    close(F.cross_entropy(logits, torch.tensor([[0.5, 0.5, 0.0]])), 1e4)


@lacks(F, "sigmoid_focal_loss")
def test_s12_focal_loss_weighs_both_classes():
    x = torch.tensor([-3.0, 0.5, 2.0, 40.0, -40.0], dtype=torch.float64)
    y = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    p = x.sigmoid()
    pt, at = torch.where(y == 1, p, 1 - p), torch.where(y == 1, 0.25, 0.75)
    wanted = -at * (1 - pt) ** 2 * pt.clamp(min=1e-300).log()
    close(F.sigmoid_focal_loss(x, y, alpha=0.25, gamma=2, reduction="none"), wanted, 1e-9)
    plain = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    close(F.sigmoid_focal_loss(x, y, alpha=-1, gamma=0, reduction="none"), plain, 1e-12)


def test_s13_softmax_of_large_numbers_and_of_masked_rows():
    close(F.softmax(torch.tensor([1e4, -1e4, 1e4]), 0), [0.5, 0, 0.5])
    assert F.softmax(torch.full((3,), -math.inf), 0).isnan().all()
    q = torch.randn(1, 1, 2, 4)
    mask = torch.tensor([[True, True], [False, False]])
    y = F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
    assert torch.equal(y[0, 0, 1], torch.zeros(4)) and not y.isnan().any()


def test_s14_exponentials_of_large_numbers():
    x = torch.tensor([-1e4, -89.0, 0.0, 89.0, 1e4])
    close(x.tanh(), [-1, -1, 0, 1, 1])
    close(x.sigmoid(), [0, 0, 0.5, 1, 1])
    close(F.softplus(x), [0, 0, math.log(2), 89, 1e4])
    close(F.silu(x), [0, 0, 0, 89, 1e4])
    close(F.elu(x), [-1, -1, 0, 89, 1e4])
    close(F.logsigmoid(x), [-1e4, -89, -math.log(2), 0, 0], 1e-5)
    assert not F.mish(x).isnan().any()


@pytest.mark.parametrize("activation", [torch.sigmoid, torch.tanh, F.gelu, F.softplus, lambda x: F.softmax(x, 1)])
def test_s15_gradients_of_activations_under_losses(activation):
    """softmax has a full Jacobian; cross entropy from logits has the gradient p - y."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(3, 4, dtype=torch.float64)
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy_with_logits):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(activation(x), target), (x,))
    classes = torch.tensor([1, 3, 0])
    (gradient,) = torch.autograd.grad(F.cross_entropy(x, classes, reduction="sum"), x)
    close(gradient, F.softmax(x, 1).detach() - F.one_hot(classes, 4), 1e-12)


def test_s16_a_biases_gradient_is_summed_over_what_it_was_broadcast_to():
    x, b = torch.randn(5, 3, 4), torch.randn(3, 1, requires_grad=True)
    dy = torch.randn(5, 3, 4)
    (x + b).backward(dy)
    close(b.grad, dy.sum((0, 2))[:, None], 1e-5)


def test_s17_gradients_at_kinks():
    def gradient(f, *values):
        xs = [torch.tensor(v, requires_grad=True) for v in values]
        return [g.tolist() for g in torch.autograd.grad(f(*xs).sum(), xs)]

    assert gradient(torch.relu, 0.0) == [0] and gradient(torch.abs, 0.0) == [0]
    assert gradient(torch.maximum, 2.0, 2.0) == [0.5, 0.5] == gradient(torch.minimum, 2.0, 2.0)
    assert gradient(lambda x: F.max_pool1d(x[None, None], 3), [1.0, 1.0, 1.0]) == [[1, 0, 0]]
    assert gradient(lambda x: F.hardtanh(x), 1.0) == [0]


RATES = [0.1, 0.1, 0.01, 0.01]


def test_s18_momentum_with_the_rate_outside():
    """v = mu v + g, p -= lr v: the rate of today works on all of the velocity."""
    v, p, path = 0.0, 1.0, []
    for lr, g in zip(RATES, GRADIENTS, strict=True):
        v = 0.9 * v + g
        p -= lr * v
        path.append(p)
    close(descend(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), GRADIENTS, rates=RATES), path, 1e-12)


@pytest.mark.skipif("classic" not in inspect.signature(optim.SGD).parameters, reason="not there yet: classic=")
def test_s18_momentum_with_the_rate_inside():
    """The primers' form, v = mu v + lr g, p -= v: it parts from PyTorch's when the rate changes."""
    v, p, path = 0.0, 1.0, []
    for lr, g in zip(RATES, GRADIENTS, strict=True):
        v = 0.9 * v + lr * g
        p -= v
        path.append(p)
    classic = lambda p: optim.SGD(p, lr=0.1, momentum=0.9, classic=True)  # noqa: E731
    close(descend(classic, GRADIENTS, rates=RATES), path, 1e-12)
    assert abs(descend(lambda p: optim.SGD(p, lr=0.1, momentum=0.9), GRADIENTS, rates=RATES)[-1] - path[-1]) > 0.01


@lacks(optim, "Adagrad")
def test_s19_adagrad_adds_epsilon_outside_the_root():
    s, p, path = 0.0, 1.0, []
    for g in GRADIENTS:
        s += g * g
        p -= 0.1 * g / (math.sqrt(s) + 1e-3)
        path.append(p)
    close(descend(lambda p: optim.Adagrad(p, lr=0.1, eps=1e-3), GRADIENTS), path, 1e-12)


@lacks(optim, "RMSprop")
def test_s20_rmsprop_adds_epsilon_outside_the_root():
    s, p, path = 0.0, 1.0, []
    for g in GRADIENTS:
        s = 0.99 * s + 0.01 * g * g
        p -= 0.1 * g / (math.sqrt(s) + 1e-3)
        path.append(p)
    close(descend(lambda p: optim.RMSprop(p, lr=0.1, eps=1e-3), GRADIENTS), path, 1e-12)


def test_s21_batch_norm_normalises_with_the_biased_and_keeps_the_unbiased_variance():
    x = torch.randn(6, 3, dtype=torch.float64)
    norm = nn.BatchNorm1d(3).double()
    y, n = norm(x), x.numpy()
    close(y.detach(), (n - n.mean(0)) / np.sqrt(n.var(0) + 1e-5), 1e-12)
    close(norm.running_mean, 0.1 * n.mean(0), 1e-12)  # momentum weighs the new value
    close(norm.running_var, 0.9 + 0.1 * n.var(0, ddof=1), 1e-12)
    norm.eval()
    close(norm(x).detach(), (n - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + 1e-5), 1e-12)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(3)(torch.ones(1, 3))


def test_s22_layer_norm_of_a_large_mean_and_a_small_deviation():
    x = 1e4 + 1e-3 * np.random.default_rng(0).normal(size=(4, 256))
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
    close(F.layer_norm(torch.from_numpy(x), (256,), eps=1e-12), wanted, 1e-5)
    narrow = torch.from_numpy(x).float()
    wide = narrow.double().numpy()
    deviation = np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    y = F.layer_norm(narrow, (256,)).double().numpy()
    # no float32 need be nearer to the mean than half of the distance between its neighbours
    off = np.spacing(np.float32(1e4)) / 2 / deviation
    assert (np.abs(y - (wide - wide.mean(1, keepdims=True)) / deviation) <= off).all()
    assert (np.abs(y.std(1, keepdims=True) * deviation / wide.std(1, keepdims=True) - 1) <= off**2).all()


def test_s23_initialisations_by_their_moments():
    torch.manual_seed(0)
    w = torch.empty(400, 300)
    assert abs(nn.init.xavier_normal_(w).var().item() * 700 / 2 - 1) < 0.02
    assert abs(nn.init.kaiming_normal_(w, nonlinearity="relu").var().item() * 300 / 2 - 1) < 0.02
    layer = nn.Linear(300, 400)
    bound = 1 / math.sqrt(300)
    assert bound * 0.99 < layer.weight.abs().max().item() <= bound >= layer.bias.abs().max().item()
    assert abs(layer.weight.var().item() * 3 * 300 - 1) < 0.02
    grouped = nn.Conv2d(8, 16, 3, groups=4)  # its fan in: channels of one group times the kernel
    assert grouped.weight.abs().max().item() <= 1 / math.sqrt(2 * 9) + 1e-6


def recurrence(module, x):
    w, u, b, c = (p.detach().numpy() for p in module.parameters())
    return w, u, b + c, x.numpy()


def test_s24_a_recurrent_layer_has_two_biases_that_add():
    for nonlinearity, f in (("tanh", np.tanh), ("relu", lambda v: np.maximum(v, 0))):
        rnn = nn.RNN(3, 4, nonlinearity=nonlinearity).double()
        w, u, b, x = recurrence(rnn, torch.randn(5, 2, 3, dtype=torch.float64))
        h, outputs = np.zeros((2, 4)), []
        for xt in x:
            h = f(xt @ w.T + h @ u.T + b)
            outputs.append(h)
        close(rnn(torch.from_numpy(x))[0].detach(), outputs, 1e-12)


def test_s25_lstm_gates_stand_in_the_order_ifgo():
    lstm = nn.LSTM(3, 4).double()
    w, u, b, x = recurrence(lstm, torch.randn(5, 2, 3, dtype=torch.float64))
    h, c, outputs = np.zeros((2, 4)), np.zeros((2, 4)), []
    for xt in x:
        i, f, g, o = np.split(xt @ w.T + h @ u.T + b, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    y, (hn, cn) = lstm(torch.from_numpy(x))
    close(y.detach(), outputs, 1e-12)
    close(cn[0].detach(), c, 1e-12)


@pytest.mark.parametrize("norm_first", [False, True])
def test_s26_a_decoder_layer_has_three_norms_and_looks_at_the_memory(norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, norm_first=norm_first, batch_first=True).eval()
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)

    def self_attention(v):
        return layer.self_attn(v, v, v, need_weights=False)[0]

    def cross_attention(v):
        return layer.multihead_attn(v, memory, memory, need_weights=False)[0]

    def feed_forward(v):
        return layer.linear2(F.relu(layer.linear1(v)))

    y = x
    for part, norm in ((self_attention, layer.norm1), (cross_attention, layer.norm2), (feed_forward, layer.norm3)):
        y = y + part(norm(y)) if norm_first else norm(y + part(y))
    close(layer(x, memory).detach(), y.detach(), 1e-5)


def test_s28_attention_scales_by_the_width_of_a_head():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, bias=False, batch_first=True).double()
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    q, k, v = (x[0].numpy() @ w.T for w in np.split(attention.in_proj_weight.detach().numpy(), 3))
    heads = []
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        scores = q[:, part] @ k[:, part].T / math.sqrt(4)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        heads.append(weights @ v[:, part])
    wanted = np.concatenate(heads, 1) @ attention.out_proj.weight.detach().numpy().T
    close(attention(x, x, x)[0][0].detach(), wanted, 1e-12)


@lacks(nn, "SinusoidalPositionalEncoding")
def test_s29_positions_far_away_and_odd_widths():
    for width in (6, 7):
        encoding = nn.SinusoidalPositionalEncoding(width, batch_first=True)
        y = encoding(torch.zeros(1, 200, width))
        for pos, i in ((0, 0), (1, 1), (150, 4), (199, 5)):
            angle = pos / 10000 ** (2 * (i // 2) / width)
            close(y[0, pos, i].item(), math.cos(angle) if i % 2 else math.sin(angle), 1e-5)


def test_s30_parameters_of_dense_and_convolution_layers():
    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(nn.Linear(7, 5)) == 7 * 5 + 5
    assert count(nn.Conv2d(8, 12, (3, 5), groups=4)) == 12 * (8 // 4 * 3 * 5) + 12


def test_s31_an_epoch_has_the_ceiling_of_its_batches():
    from tessel.utils.data import DataLoader

    data = list(range(10))
    assert len(DataLoader(data, batch_size=4)) == 3 == len(list(DataLoader(data, batch_size=4)))
    assert len(DataLoader(data, batch_size=4, drop_last=True)) == 2


def test_s32_weight_decay_is_the_squared_norm_for_plain_descent_alone():
    def penalised(optimizer_of, penalty):
        p = nn.Parameter(torch.tensor([1.5, -0.5], dtype=torch.float64))
        optimizer = optimizer_of([p])
        for _ in range(4):
            optimizer.zero_grad()
            (p.sum() + penalty / 2 * (p * p).sum()).backward()
            optimizer.step()
        return p.detach()

    plain = penalised(lambda p: optim.SGD(p, lr=0.1, weight_decay=0.3), 0.0)
    close(plain, penalised(lambda p: optim.SGD(p, lr=0.1), 0.3), 1e-12)
    close(
        penalised(lambda p: optim.Adam(p, lr=0.1, weight_decay=0.3), 0.0),
        penalised(lambda p: optim.Adam(p, lr=0.1), 0.3),
        1e-12,
    )
    decoupled = penalised(lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3), 0.0)
    assert (decoupled - penalised(lambda p: optim.Adam(p, lr=0.1), 0.3)).abs().max() > 0.01
    one = descend(lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.5), [0.0])  # no gradient: the decay alone
    close(one, [1 - 0.1 * 0.5], 1e-12)


def test_s33_a_residual_needs_equal_shapes():
    x = torch.randn(2, 4, 8, 8)
    with pytest.raises(RuntimeError, match="size of tensor"):
        nn.Conv2d(4, 6, 3, stride=2, padding=1)(x) + x
    shortcut = nn.Conv2d(4, 6, 1, stride=2)
    assert (nn.Conv2d(4, 6, 3, stride=2, padding=1)(x) + shortcut(x)).shape == (2, 6, 4, 4)


def test_s34_both_adversarial_losses_are_finite_for_sure_discriminators():
    for value in (50.0, -50.0):
        logits = torch.tensor([value], requires_grad=True)
        saturating = -F.binary_cross_entropy_with_logits(logits, torch.zeros(1))
        other = F.binary_cross_entropy_with_logits(logits, torch.ones(1))
        gradients = [torch.autograd.grad(loss, logits)[0].item() for loss in (saturating, other)]
        assert all(map(math.isfinite, [saturating.item(), other.item(), *gradients]))
        if value < 0:  # the generator is losing: the saturating loss has nothing to learn from
            assert abs(gradients[0]) < 1e-10 < 0.99 < abs(gradients[1])


def test_s35_the_closed_divergence_from_the_standard_normal():
    torch.manual_seed(0)
    mu, logvar = torch.tensor([0.5, -1.0]), torch.tensor([0.2, -0.7])
    closed = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
    z = mu + (0.5 * logvar).exp() * torch.randn(200_000, 2)
    log_q = -0.5 * ((z - mu) ** 2 / logvar.exp() + logvar).sum(1)
    log_p = -0.5 * (z**2).sum(1)
    close((log_q - log_p).mean().item(), closed.item(), 0.01)


@lacks(torch, "distributions")
def test_s35_the_divergence_by_name():
    from tessel.distributions import Normal, kl_divergence

    mu, std = torch.tensor([0.5, -1.0]), torch.tensor([1.1, 0.7])
    closed = -0.5 * (1 + 2 * std.log() - mu**2 - std**2)
    close(kl_divergence(Normal(mu, std), Normal(torch.zeros(2), torch.ones(2))), closed, 1e-6)


def test_s38_gelu_is_exact_unless_asked():
    x = torch.linspace(-4, 4, 17, dtype=torch.float64)
    exact = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    tanh = [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x.tolist()]
    close(F.gelu(x), exact, 1e-12)
    close(F.gelu(x, approximate="tanh"), tanh, 1e-12)
    assert max(abs(a - b) for a, b in zip(exact, tanh, strict=True)) > 1e-4


def test_s39_smooth_l1_is_huber_over_delta():
    x, y = torch.linspace(-3, 3, 13), torch.zeros(13)
    for delta in (0.5, 1.0, 2.0):
        close(F.smooth_l1_loss(x, y, beta=delta) * delta, F.huber_loss(x, y, delta=delta).item())
    close(F.huber_loss(x, y, reduction="none", delta=2.0)[0], 2.0 * (3 - 1))


@lacks(torch, "metrics")
def test_s37_areas_of_one_class_are_undefined():
    """Ties count half, as Mann and Whitney have it; one class alone raises."""
    from tessel import metrics

    close(metrics.roc_auc_score([0, 1, 1, 0], [0.5, 0.5, 0.9, 0.1]), 0.875, 1e-12)
    with pytest.raises(ValueError):
        metrics.roc_auc_score([1, 1], [0.1, 0.9])
