"""Optimizers against their formulas in numpy, groups, state dicts, hooks, schedules."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest

import tessel as torch
from tessel import nn, optim
from tessel.optim import lr_scheduler
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch says or does it otherwise")


def start():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def gradient(p):
    """Of the loss sum(p^4 / 4 + p)."""
    return p**3 + 1


def trained(make, steps=7):
    parameters = [nn.Parameter(torch.from_numpy(p.copy())) for p in start()]
    optimizer = make(parameters)
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p**4 / 4 + p).sum() for p in parameters).backward()
        optimizer.step()
    return [p.detach().numpy() for p in parameters]


def sgd(p, steps, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    p, buffer = p.astype(np.float64), None
    for _ in range(steps):
        g = gradient(p) * (-1 if maximize else 1) + weight_decay * p
        if momentum:
            buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        p = p - lr * g
    return p


def adam(p, steps, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, decoupled=False, maximize=False):
    p = p.astype(np.float64)
    m = v = largest = np.zeros_like(p)
    for t in range(1, steps + 1):
        g = gradient(p) * (-1 if maximize else 1)
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = np.maximum(largest, v)
        root = np.sqrt((largest if amsgrad else v) / (1 - betas[1] ** t))
        p = p - lr * m / (1 - betas[0] ** t) / (root + eps)
    return p


@pytest.mark.parametrize(
    "settings",
    [
        dict(lr=0.05),
        dict(lr=0.05, weight_decay=0.1),
        dict(lr=0.05, momentum=0.9),
        dict(lr=0.05, momentum=0.9, dampening=0.5),
        dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        dict(lr=0.01, momentum=0.5, maximize=True),
    ],
)
def test_sgd(settings):
    for p, reference in zip(trained(lambda ps: optim.SGD(ps, **settings)), start()):
        np.testing.assert_allclose(p, sgd(reference, 7, **settings), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        dict(lr=0.1),
        dict(lr=0.1, betas=(0.5, 0.9), eps=1e-3),
        dict(lr=0.1, weight_decay=0.2),
        dict(lr=0.1, amsgrad=True),
        dict(lr=0.1, maximize=True),
    ],
)
def test_adam(settings):
    for p, reference in zip(trained(lambda ps: optim.Adam(ps, **settings)), start()):
        np.testing.assert_allclose(p, adam(reference, 7, **settings), rtol=1e-4, atol=1e-5)


def test_adamw():
    for p, reference in zip(trained(lambda ps: optim.AdamW(ps, lr=0.1)), start()):
        np.testing.assert_allclose(p, adam(reference, 7, 0.1, weight_decay=0.01, decoupled=True), rtol=1e-4, atol=1e-5)
    adam_like = trained(lambda ps: optim.Adam(ps, lr=0.1, weight_decay=0.3, decoupled_weight_decay=True))
    for p, q in zip(adam_like, trained(lambda ps: optim.AdamW(ps, lr=0.1, weight_decay=0.3))):
        assert np.array_equal(p, q)


@ours_alone
def test_rates_may_be_tensors():
    for p, q in zip(
        trained(lambda ps: optim.Adam(ps, lr=torch.tensor(0.125))), trained(lambda ps: optim.Adam(ps, lr=0.125))
    ):
        assert np.array_equal(p, q)


def test_groups():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.1)
    c = nn.Parameter(torch.zeros(1))
    optimizer.add_param_group({"params": iter([c]), "lr": 1.0})
    for parameter in (a, b, c):
        parameter.grad = torch.ones(1)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [pytest.approx(-0.1), -0.5, -1.0]
    assert repr(optimizer).splitlines()[:2] == ["SGD (", "Parameter Group 0"]
    assert "    lr: 0.5" in repr(optimizer) and "\n\nParameter Group 1\n" in repr(optimizer)


def test_parameters_without_gradient_are_left_alone():
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = optim.Adam([a, b])
    a.grad = torch.ones(1)
    optimizer.step()
    assert b.item() == 1 and b not in optimizer.state and a in optimizer.state


@ours_alone
def test_wrong_arguments():
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="empty"):
        optim.SGD([], lr=0.1)
    with pytest.raises(TypeError, match="iterable"):
        optim.SGD(p, lr=0.1)
    with pytest.raises(TypeError, match="int"):
        optim.SGD([3], lr=0.1)
    with pytest.raises(TypeError, match="set"):
        optim.SGD([{"params": {p}}], lr=0.1)
    with pytest.raises(ValueError, match="leaf"):
        optim.SGD([p * 2], lr=0.1)
    with pytest.raises(ValueError, match="more than one"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)
    for wrong in (dict(lr=-1), dict(momentum=-1), dict(weight_decay=-1), dict(nesterov=True)):
        with pytest.raises(ValueError, match="SGD"):
            optim.SGD([p], **wrong)
    for wrong in (dict(lr=-1), dict(betas=(1.0, 0.9)), dict(eps=-1)):
        with pytest.raises(ValueError, match="AdamW"):
            optim.AdamW([p], **wrong)
    with pytest.raises(RuntimeError, match="foreach"):
        optim.SGD([p], foreach=True, fused=True)
    optim.Adam([p], foreach=True, capturable=False)


def test_zero_grad():
    p = nn.Parameter(torch.ones(1))
    optimizer = optim.SGD([p])
    p.grad = torch.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.item() == 0
    optimizer.zero_grad()
    assert p.grad is None


def test_closure():
    p = nn.Parameter(torch.ones(1))
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 1
    assert p.item() == 0


def make_pair(kind, **settings):
    """Two optimizers of equal parameters, the first of which has made three steps."""
    made = []
    for _ in range(2):
        parameters = [nn.Parameter(torch.from_numpy(p.copy())) for p in start()]
        made.append((parameters, kind(parameters, **settings)))
    for _ in range(3):
        step(*made[0])
    return made


def step(parameters, optimizer):
    for p in parameters:
        p.grad = p.detach() ** 3 + 1
    optimizer.step()


@pytest.mark.parametrize(
    "kind, settings, names",
    [
        (optim.SGD, dict(lr=0.1, momentum=0.9), ["momentum_buffer"]),
        (optim.Adam, dict(lr=0.1), ["step", "exp_avg", "exp_avg_sq"]),
        (optim.AdamW, dict(lr=0.1, amsgrad=True), ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]),
    ],
)
def test_state_dict(kind, settings, names):
    (first, a), (second, b) = make_pair(kind, **settings)
    state = a.state_dict()
    assert sorted(state["state"]) == [0, 1] and sorted(state["state"][0]) == sorted(names)
    assert state["param_groups"][0]["params"] == [0, 1] and state["param_groups"][0]["lr"] == 0.1
    if "step" in names:
        count = state["state"][0]["step"]
        assert count.dtype == torch.float32 and count.shape == () and count.item() == 3
    for p, q in zip(first, second):
        q.data.copy_(p.data)
    saved = copy.deepcopy(state)
    b.load_state_dict(saved)
    step(first, a)
    step(second, b)
    for p, q in zip(first, second):
        assert torch.equal(p, q)
    assert torch.equal(saved["state"][0][names[-1]], copy.deepcopy(saved)["state"][0][names[-1]])
    c = pickle.loads(pickle.dumps(b))
    assert c.param_groups[0]["lr"] == 0.1 and len(c.state) == 2


def test_loaded_state_takes_the_parameters_dtype():
    (_, a), _ = make_pair(optim.Adam, lr=0.1)
    parameters = [nn.Parameter(torch.from_numpy(p.astype(np.float64))) for p in start()]
    optimizer = optim.Adam(parameters, lr=0.5)
    optimizer.load_state_dict(a.state_dict())
    assert optimizer.state[parameters[0]]["exp_avg"].dtype == torch.float64
    assert optimizer.param_groups[0]["lr"] == 0.1 and optimizer.param_groups[0]["params"][0] is parameters[0]


def test_state_that_does_not_fit():
    (parameters, a), _ = make_pair(optim.SGD, lr=0.1)
    with pytest.raises(ValueError, match="parameter"):
        optim.SGD(parameters[:1]).load_state_dict(a.state_dict())
    with pytest.raises(ValueError, match="groups"):
        optim.SGD([{"params": [p]} for p in parameters]).load_state_dict(a.state_dict())


def test_step_hooks():
    p = nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    optimizer = optim.SGD([p], lr=0.1)
    seen = []
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: seen.append("before"))
    handle = optimizer.register_step_post_hook(lambda optimizer, args, kwargs: seen.append("after"))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert seen == ["before", "after", "before"]
    p.grad = torch.tensor([2.0])
    optimizer.register_step_pre_hook(lambda *called: seen.append(called))
    assert optimizer.step(lambda: 5) == 5
    hooked, args, kwargs = seen[-1]
    assert hooked is optimizer and args[0] is optimizer and args[1]() == 5 and kwargs == {}
    optimizer.register_state_dict_post_hook(lambda optimizer, state: {**state, "more": 1})
    assert optimizer.state_dict()["more"] == 1


def test_named_parameters():
    net = nn.Linear(1, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="names"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})


def test_an_optimizer_of_ones_own():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.add_(p.grad.sign(), alpha=-group["lr"])

    p = nn.Parameter(torch.ones(2))
    p.grad = torch.tensor([3.0, -2.0])
    optimizer = SignDescent([p], 0.5)
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    optimizer.step()
    assert p.tolist() == [0.5, 1.5] and seen == [1]


# ---- schedules


def rates(make, epochs=10, lr=1.0):
    warnings.simplefilter("ignore")
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = make(optimizer)
    seen = []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def cosine(epoch, period, low=0.0):
    return low + (1 - low) * (1 + math.cos(math.pi * epoch / period)) / 2


SCHEDULES = [
    (lambda o: lr_scheduler.StepLR(o, 3, 0.5), lambda e: 0.5 ** (e // 3)),
    (lambda o: lr_scheduler.MultiStepLR(o, [2, 5], 0.1), lambda e: 0.1 ** ((e >= 2) + (e >= 5))),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.9), lambda e: 0.9**e),
    (lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e)), lambda e: 1 / (1 + e)),
    (lambda o: lr_scheduler.MultiplicativeLR(o, lambda e: 0.9), lambda e: 0.9**e),
    (lambda o: lr_scheduler.ConstantLR(o, 0.5, 4), lambda e: 0.5 if e < 4 else 1),
    (lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 4), lambda e: 0.5 + 0.5 * min(e, 4) / 4),
    (lambda o: lr_scheduler.PolynomialLR(o, 5, 2.0), lambda e: (1 - min(e, 5) / 5) ** 2),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 4, 0.1), lambda e: cosine(e, 4, 0.1)),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3), lambda e: cosine(e % 3, 3)),
    (
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.ConstantLR(o, 0.1, 3), lr_scheduler.ExponentialLR(o, 0.9)], [3]
        ),
        lambda e: 0.1 if e < 3 else 0.9 ** (e - 3),
    ),
    (
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)]
        ),
        lambda e: (0.1 if e < 2 else 1) * 0.9**e,
    ),
]


@pytest.mark.parametrize("make, reference", SCHEDULES)
def test_schedule(make, reference):
    assert rates(make) == pytest.approx([reference(epoch) for epoch in range(10)])


def test_one_cycle():
    seen = rates(lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=10, pct_start=0.3), epochs=10)
    assert seen[0] == pytest.approx(0.02) and max(seen) == seen[2] == pytest.approx(0.5)
    assert seen[-1] == pytest.approx(2e-6) and seen[2:] == sorted(seen[2:], reverse=True)
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], momentum=0.9)
    lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=10)
    assert optimizer.param_groups[0]["momentum"] == 0.95


def test_reduce_on_plateau():
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, min_lr=0.25)
    seen = []
    for loss in [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]:
        scheduler.step(torch.tensor(loss))
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_schedule_state():
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    state = scheduler.state_dict()
    assert "optimizer" not in state and scheduler.get_last_lr() == [0.5]
    other = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    other.load_state_dict(optimizer.state_dict())
    resumed = lr_scheduler.StepLR(other, 2, 0.5)
    resumed.load_state_dict(state)
    other.load_state_dict(optimizer.state_dict())
    other.step()
    resumed.step()
    assert other.param_groups[0]["lr"] == 0.25


CYCLE = [0.01, 0.04, 0.07, 0.1, 0.07, 0.04]


@pytest.mark.parametrize(
    "settings, heights",
    [
        ({}, lambda cycle, step: 1.0),
        ({"mode": "triangular2"}, lambda cycle, step: 0.5**cycle),
        ({"mode": "exp_range", "gamma": 0.9}, lambda cycle, step: 0.9**step),
        ({"scale_fn": lambda cycle: 1 / cycle}, lambda cycle, step: 1 / (cycle + 1)),
    ],
)
def test_cyclic(settings, heights):
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.5)
    schedule = lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3, **settings)
    for step in range(14):
        rise = (CYCLE[step % 6] - 0.01) / 0.09 * heights(step // 6, step)
        group = optimizer.param_groups[0]
        assert group["lr"] == pytest.approx(0.01 + 0.09 * rise)
        assert group["momentum"] == pytest.approx(0.9 - 0.1 * rise)
        if step == 7:
            resumed = lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3, **settings)
            resumed.load_state_dict(schedule.state_dict())
            schedule = resumed
        optimizer.step()
        schedule.step()


def test_cyclic_that_cannot_be():
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    for wrong in ({"mode": "square"}, {"base_lr": [0.1, 0.2]}):
        with pytest.raises(ValueError, match="CyclicLR"):
            lr_scheduler.CyclicLR(optimizer, **{"base_lr": 0.01, "max_lr": 0.1, **wrong})
    with pytest.raises(TypeError, match="CyclicLR"):
        lr_scheduler.CyclicLR(None, 0.01, 0.1)
