"""Every kind of optimizer against its formula in numpy, the errata of the primers (S1, S2, ...), averages of models."""

import copy
import math

import numpy as np
import pytest

import tessel as torch
from tessel import nn, optim
from tessel.optim import lr_scheduler, swa_utils
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch has no such setting")


def start():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((3, 5)), rng.standard_normal(4)]


def gradient(p):
    return p**3 + 1


def trained(kind, steps=9, dtype=None, turned=False, **settings):
    parameters = []
    for p in start():
        p = torch.from_numpy(p).to(dtype or torch.float64)
        parameters.append(nn.Parameter(p.t().contiguous().t() if turned and p.dim() == 2 else p))
    optimizer = getattr(optim, kind)(parameters, **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        for p in parameters:
            p.grad = (p**3 + 1).detach().contiguous()
        optimizer.step()
    return [p.detach().double().numpy() for p in parameters], optimizer


# Each gives the change of p by the gradient g at step t = 1, 2, ...; s is what it remembers.


def adagrad(s, p, g, t, lr=0.01, lr_decay=0, eps=1e-10, initial_accumulator_value=0, weight_decay=0):
    g = g + weight_decay * p
    s["sum"] = s.get("sum", initial_accumulator_value) + g * g
    return -lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def rmsprop(s, p, g, t, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    g = g + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["m"] = alpha * s.get("m", 0) + (1 - alpha) * g
    d = g / (np.sqrt(s["v"] - centered * s["m"] ** 2) + eps)
    s["b"] = momentum * s.get("b", 0) + d
    return -lr * s["b"]


def adadelta(s, p, g, t, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0):
    g = g + weight_decay * p
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d * d
    return -lr * d


def means(s, g, betas):
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    return s["m"], s["v"]


def decayed(p, g, lr, weight_decay, decoupled):
    return (g, -lr * weight_decay * p) if decoupled else (g + weight_decay * p, 0)


def nadam(
    s, p, g, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3, decoupled_weight_decay=False
):
    g, shrink = decayed(p, g, lr, weight_decay, decoupled_weight_decay)
    m, v = means(s, g, betas)
    mu = lambda t: betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay))  # noqa: E731
    s["product"] = s.get("product", 1) * mu(t)
    d = (1 - mu(t)) * g / (1 - s["product"]) + mu(t + 1) * m / (1 - s["product"] * mu(t + 1))
    return shrink - lr * d / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def radam(s, p, g, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False):
    g, shrink = decayed(p, g, lr, weight_decay, decoupled_weight_decay)
    m, v = means(s, g, betas)
    n = 2 / (1 - betas[1]) - 1
    k = n - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    d = m / (1 - betas[0] ** t)
    if k > 5:
        r = math.sqrt((k - 4) * (k - 2) * n / ((n - 4) * (n - 2) * k))
        d = d * r * math.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)
    return shrink - lr * d


def adamax(s, p, g, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
    m, _ = means(s, g + weight_decay * p, betas)
    s["u"] = np.maximum(betas[1] * s.get("u", 0 * g), np.abs(g + weight_decay * p) + eps)
    return -lr / (1 - betas[0] ** t) * m / s["u"]


def rprop(s, p, g, t, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    turn = np.sign(g * s.get("last", 0 * g))
    size = s.get("size", lr + 0 * g) * np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1))
    s["size"] = np.clip(size, *step_sizes)
    s["last"] = np.where(turn < 0, 0, g)
    return -np.sign(s["last"]) * s["size"]


def asgd(s, p, g, t, lr=0.01, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0):
    eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
    return -lambd * eta * p - eta * (g + weight_decay * p)


def adafactor(s, p, g, t, lr=0.01, beta2_decay=-0.8, eps=(2.0**-52, 1e-3), d=1.0, weight_decay=0):
    rms = lambda x: np.sqrt((x * x).mean())  # noqa: E731
    fresh, rate = t**beta2_decay, max(eps[1], rms(p)) * min(lr, 1 / math.sqrt(t))
    if p.ndim == 2:
        s["r"] = s.get("r", 0) * (1 - fresh) + fresh * (g * g).mean(1, keepdims=True)
        s["c"] = s.get("c", 0) * (1 - fresh) + fresh * (g * g).mean(0, keepdims=True)
        v = s["r"] @ s["c"] / max(s["r"].mean(), eps[0])
    else:
        v = s["v"] = s.get("v", 0) * (1 - fresh) + fresh * g * g
    u = g / np.sqrt(np.maximum(v, eps[0] ** 2))
    return -lr * weight_decay * p - rate * u / max(1, rms(u) / d)


CASES = [
    ("Adagrad", adagrad, {}),
    ("Adagrad", adagrad, dict(lr=0.1, lr_decay=0.5, initial_accumulator_value=0.1, weight_decay=0.3)),
    ("RMSprop", rmsprop, {}),
    ("RMSprop", rmsprop, dict(lr=0.02, alpha=0.9, momentum=0.8, weight_decay=0.3)),
    ("RMSprop", rmsprop, dict(lr=0.02, centered=True, eps=1e-2)),
    ("Adadelta", adadelta, {}),
    ("Adadelta", adadelta, dict(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.3)),
    ("NAdam", nadam, {}),
    ("NAdam", nadam, dict(lr=0.1, weight_decay=0.3, momentum_decay=0.1)),
    ("NAdam", nadam, dict(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True)),
    ("RAdam", radam, dict(lr=0.1)),
    ("RAdam", radam, dict(lr=0.1, betas=(0.8, 0.9), weight_decay=0.3, decoupled_weight_decay=True)),
    ("Adamax", adamax, dict(lr=0.1)),
    ("Adamax", adamax, dict(weight_decay=0.3, betas=(0.5, 0.9))),
    ("Rprop", rprop, {}),
    ("Rprop", rprop, dict(lr=0.5, etas=(0.4, 1.5), step_sizes=(0.1, 1))),
    ("ASGD", asgd, dict(lambd=0.1, weight_decay=0.3)),
    ("Adafactor", adafactor, {}),
    ("Adafactor", adafactor, dict(lr=0.1, weight_decay=0.3, d=1.5)),
]


@pytest.mark.parametrize("kind, formula, settings", CASES, ids=[f"{k}-{n}" for n, (k, _, _) in enumerate(CASES)])
def test_formulas(kind, formula, settings):
    result, _ = trained(kind, **settings)
    for p, ours in zip(start(), result):
        memory = {}
        for t in range(1, 10):
            p = p + formula(memory, p, gradient(p), t, **settings)
        np.testing.assert_allclose(ours, p, rtol=1e-6 if STANDS_IN else 1e-9, atol=1e-12)
    turned, _ = trained(kind, turned=True, **settings)
    for a, b in zip(result, turned):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    for dtype, near in ((torch.float32, 1e-4), (torch.bfloat16, 0.3), (torch.float16, 0.1)):
        for a, b in zip(trained(kind, dtype=dtype, steps=4, **settings)[0], trained(kind, steps=4, **settings)[0]):
            np.testing.assert_allclose(a, b, rtol=near, atol=near)


@pytest.mark.parametrize("kind", [kind for kind, _, settings in CASES if kind not in ("Rprop",)])
def test_maximize_goes_up(kind):
    parameter = nn.Parameter(torch.ones(3))
    optimizer = getattr(optim, kind)([parameter], maximize=True)
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert (parameter > 1).all()


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in CASES}))
def test_training_goes_on_from_a_state_dict(kind):
    def make():
        torch.manual_seed(1)
        parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(5))]
        return parameters, getattr(optim, kind)(parameters)

    def steps(parameters, optimizer, count):
        for _ in range(count):
            for p in parameters:
                p.grad = (p**3 + 1).detach()
            optimizer.step()

    whole = make()
    steps(*whole, 5)
    first = make()
    steps(*first, 3)
    state = copy.deepcopy(first[1].state_dict())
    assert all(torch.is_tensor(entry["step"]) and entry["step"] == 3 for entry in state["state"].values())
    rest = make()
    with torch.no_grad():
        for p, q in zip(rest[0], first[0]):
            p.copy_(q)
    rest[1].load_state_dict(state)
    steps(*rest, 2)
    for p, q in zip(whole[0], rest[0]):
        assert torch.equal(p, q)


def test_muon():
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.zeros(6, 4))
    optimizer = optim.Muon([parameter], lr=1.0, weight_decay=0, nesterov=False)
    parameter.grad = torch.randn(6, 4)
    optimizer.step()
    step = parameter.detach().double().numpy() / math.sqrt(6 / 4)
    u, _, vt = np.linalg.svd(parameter.grad.double().numpy(), full_matrices=False)
    values = np.diag(u.T @ -step @ vt.T)  # the step has the gradient's singular vectors, with values about 1
    assert (values > 0.5).all() and (values < 1.4).all()
    assert np.abs(u.T @ -step @ vt.T - np.diag(values)).max() < 0.1
    with pytest.raises(ValueError, match="matri|2D"):
        optim.Muon([nn.Parameter(torch.zeros(3))])


def test_sparse_adam_says_what_to_use():
    parameter = nn.Parameter(torch.ones(2))
    optimizer = optim.SparseAdam([parameter])
    parameter.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="Adam"):
        optimizer.step()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs(search):
    p = nn.Parameter(torch.tensor([-1.5, 2.0], dtype=torch.float64))  # Rosenbrock's valley
    optimizer = optim.LBFGS([p], lr=1 if search else 0.1, max_iter=100 if search else 400, line_search_fn=search)

    def closure():
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + (100 if search else 1) * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert first.item() > 1 and closure().item() < 1e-8
    assert p.tolist() == pytest.approx([1, 1], abs=1e-3)
    with pytest.raises(ValueError):
        optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(torch.ones(1))]}])


# ---- errata of the primers


def one_step(make, p, g):
    parameter = nn.Parameter(torch.tensor(p, dtype=torch.float64))
    optimizer = make([parameter])
    parameter.grad = torch.tensor(g, dtype=torch.float64)
    optimizer.step()
    return parameter.detach().numpy()


def test_s1_adam_does_not_move_without_a_gradient():
    assert one_step(lambda ps: optim.Adam(ps, eps=0.1), [1.0, -2.0], [0.0, 0.0]).tolist() == [1, -2]


def test_s2_the_first_step_of_adam_is_the_rate():
    moved = one_step(lambda ps: optim.Adam(ps, lr=0.01), [0.0] * 4, [3.0, -0.2, 1e-3, 50.0])
    np.testing.assert_allclose(moved, [-0.01, 0.01, -0.01, -0.01], rtol=1e-4)


def rates(make, epochs):
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=0.5)
    schedule = make(optimizer)
    seen = []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_s6_steps_go_down_at_once():
    expected = [0.5 * 0.1 ** (epoch // 3) for epoch in range(10)]
    assert rates(lambda o: lr_scheduler.StepLR(o, 3), 10) == pytest.approx(expected, rel=1e-12)


def test_s7_exponential_decay_is_a_power():
    expected = [0.5 * math.exp(-0.3 * epoch) for epoch in range(10)]
    assert rates(lambda o: lr_scheduler.ExponentialLR(o, math.exp(-0.3)), 10) == pytest.approx(expected, rel=1e-14)


@pytest.mark.filterwarnings("ignore")
def test_s8_the_cosine_goes_up_again_behind_its_end():
    expected = [0.1 + 0.2 * (1 + math.cos(math.pi * epoch / 5)) for epoch in range(12)]
    assert rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 5, 0.1), 12) == pytest.approx(expected, rel=1e-9)
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=0.5)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, 5, 0.1)
    for epoch in (3, 7, 1):  # the closed form
        schedule.step(epoch)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected[epoch], rel=1e-12)


@ours_alone
@pytest.mark.parametrize("nesterov", [False, True])
def test_s18_both_forms_of_momentum(nesterov):
    def run(classic):
        p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        optimizer = optim.SGD([p], lr=0.1, momentum=0.9, nesterov=nesterov, classic=classic)
        schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(6):
            p.grad = p.detach().clone()
            optimizer.step()
            schedule.step()
        return p.detach().numpy(), optimizer

    def formula(classic):
        p, v = np.array([1.0, -2.0]), 0
        for t in range(6):
            lr, g = 0.1 * 0.5**t, p
            v = 0.9 * v + (lr * g if classic else g)
            inner = 0.9 * v + (lr * g if classic else g) if nesterov else v
            p = p - (inner if classic else lr * inner)
        return p

    for classic in (False, True):
        np.testing.assert_allclose(run(classic)[0], formula(classic), rtol=1e-12)
    assert not np.allclose(run(True)[0], run(False)[0])
    assert "classic" not in run(False)[1].state_dict()["param_groups"][0]


def test_s19_adagrad_adds_eps_to_the_root():
    assert one_step(lambda ps: optim.Adagrad(ps, lr=1.0, eps=1.0), [0.0], [3.0]) == pytest.approx(-3 / (3 + 1))


def test_s20_rmsprop_adds_eps_to_the_root():
    moved = one_step(lambda ps: optim.RMSprop(ps, lr=1.0, alpha=0.75, eps=1.0), [0.0], [4.0])
    assert moved == pytest.approx(-4 / (2 + 1))


def test_s32_weight_decay_is_half_the_squared_norm_for_sgd_alone():
    def run(kind, penalty, **settings):
        p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        optimizer = kind([p], lr=0.1, **settings)
        for _ in range(5):
            optimizer.zero_grad()
            ((p - 3) ** 2).sum().add(penalty * 0.5 * (p * p).sum()).backward()
            optimizer.step()
        return p.detach().numpy()

    np.testing.assert_allclose(run(optim.SGD, 0.3), run(optim.SGD, 0, weight_decay=0.3), rtol=1e-12)
    assert not np.allclose(run(optim.Adam, 0.3), run(optim.AdamW, 0, weight_decay=0.3))


@ours_alone
@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta", "NAdam", "RAdam", "Adamax"])
def test_s32_proximal_l1_gives_exact_zeros(kind):
    torch.manual_seed(0)
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 10)))[0]
    x = torch.from_numpy(q).float() * 8  # of orthogonal columns: then the optimum is known
    y = x[:, :2] @ torch.tensor([2.0, -3.0]) + 0.1 * x[:, 2]
    w = nn.Parameter(torch.randn(10) * 0.1)
    settings = {"SGD": dict(momentum=0.9), "RMSprop": dict(momentum=0.5), "AdamW": dict(weight_decay=0)}.get(kind, {})
    settings["lr"] = {"SGD": 0.02, "Adagrad": 0.5, "Adadelta": 1.0}.get(kind, 0.02)
    optimizer = getattr(optim, kind)([w], l1=0.3, **settings)
    for step in range(2000):
        optimizer.zero_grad()
        ((x @ w - y) ** 2).mean().backward()
        optimizer.step()
        if step == 1800 and kind != "Adadelta":
            optimizer.param_groups[0]["lr"] /= 10
    assert (w[2:] == 0).all()
    np.testing.assert_allclose(w[:2].detach().numpy(), [2 - 0.15, -3 + 0.15], atol=0.02)
    assert optimizer.param_groups[0]["l1"] == 0.3
    with pytest.raises(ValueError, match="l1"):
        getattr(optim, kind)([w], l1=-1)


# ---- clipping, averages


def test_norms_of_many():
    tensors = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert nn.utils.get_total_norm(tensors).item() == 5
    assert nn.utils.get_total_norm(tensors, math.inf).item() == 4
    assert nn.utils.get_total_norm([]).item() == 0
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.get_total_norm([torch.tensor([math.nan])], error_if_nonfinite=True)
    parameters = [nn.Parameter(torch.zeros_like(t)) for t in tensors]
    for p, t in zip(parameters, tensors):
        p.grad = t.clone()
    nn.utils.clip_grads_with_norm_(parameters, 1.0, torch.tensor(5.0))
    assert parameters[0].grad[0].item() == pytest.approx(0.6, rel=1e-5)
    with pytest.warns(FutureWarning):
        assert nn.utils.clip_grad_norm(parameters, 0.5).item() == pytest.approx(1, rel=1e-5)


def test_averaged_models():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    equal = swa_utils.AveragedModel(model)
    moving = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True)
    single = swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.9), use_buffers=True)
    values = []
    for step in range(4):
        with torch.no_grad():
            model[0].weight.fill_(float(step))
            model[1].running_mean.fill_(float(step))
        values.append(float(step))
        for average in (equal, moving, single):
            average.update_parameters(model)
    expected = 0.0
    for value in values[1:]:
        expected = 0.9 * expected + 0.1 * value
    assert equal.n_averaged.item() == 4 and equal.module[0].weight[0, 0].item() == pytest.approx(1.5)
    assert equal.module[1].running_mean[0].item() == 3
    for average in (moving, single):
        assert average.module[0].weight[0, 0].item() == pytest.approx(expected, rel=1e-6)
        assert average.module[1].running_mean[0].item() == pytest.approx(expected, rel=1e-6)
    assert equal(torch.ones(3, 2)).shape == (3, 2)
    assert list(equal.state_dict())[:2] == ["n_averaged", "module.0.weight"]
    with pytest.raises(ValueError, match="decay"):
        swa_utils.get_ema_multi_avg_fn(2)


def test_update_bn():
    model = nn.Sequential(nn.BatchNorm1d(2))
    batches = [torch.tensor([[0.0, 2.0], [2.0, 2.0]]), (torch.tensor([[4.0, 2.0], [6.0, 2.0]]), 1)]
    model.eval()
    swa_utils.update_bn(batches, model)
    assert model[0].running_mean.tolist() == [3, 2] and model[0].momentum == 0.1 and not model.training


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_swalr(strategy):
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = swa_utils.SWALR(optimizer, 0.2, anneal_epochs=4, anneal_strategy=strategy)
    seen = []
    for _ in range(6):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    shares = [min(1, epoch / 4) for epoch in range(6)]
    shares = [(1 - math.cos(math.pi * t)) / 2 if strategy == "cos" else t for t in shares]
    assert seen == pytest.approx([1 - 0.8 * share for share in shares], rel=1e-9)


def test_the_places_of_pytorch():
    from tessel.optim.adam import Adam
    from tessel.optim.adamw import AdamW
    from tessel.optim.lr_scheduler import _LRScheduler
    from tessel.optim.rmsprop import RMSprop

    assert Adam is optim.Adam and AdamW is optim.AdamW and RMSprop is optim.RMSprop
    assert isinstance(
        lr_scheduler.StepLR(optim.Adam([nn.Parameter(torch.ones(1))]), 1), (_LRScheduler, lr_scheduler.LRScheduler)
    )
