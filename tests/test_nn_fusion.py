"""A product and the activation behind it, run as one: the bits, the graph and the errors of the two apart."""

import copy

import pytest

import tessel as torch
from tessel import nn
from tessel.nn import container, fusion

ACTIVATIONS = {
    "relu": nn.ReLU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# rows, inputs, outputs: each of the kernel's ways of multiplying
SHAPES = [
    (1, 16, 16), (1, 300, 70), (7, 300, 20), (20, 100, 48), (40, 600, 90), (130, 64, 65), (3, 9000, 5),
    (5, 0, 4), (0, 4, 3),
]  # fmt: skip


def bits(x):
    return x.detach().contiguous().view(torch.int8 if x.numel() else x.dtype).tolist()


def operands(rows, inputs, outputs, dtype, grad=False):
    generator = torch.Generator().manual_seed(rows + inputs)
    x = torch.randn(rows, inputs, generator=generator)
    w = torch.randn(outputs, inputs, generator=generator) / max(inputs, 1) ** 0.5
    b = torch.randn(outputs, generator=generator)
    b[::5] -= 89.0  # where exp(x) is denormal
    b[1::5] -= 13.5  # where erfc(-x) is
    return [t.to(dtype).requires_grad_(grad) for t in (x, w, b)]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bits_are_those_of_two_ops(name, dtype):
    for shape in SHAPES:
        x, w, b = operands(*shape, dtype)
        for bias in (b, None):
            apart = ACTIVATIONS[name](nn.functional.linear(x, w, bias))
            assert bits(torch._C._ops.linear(x, w, bias, name)) == bits(apart), f"{shape} {bias is not None}"


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_are_those_of_two_ops(name, dtype):
    for shape in ((7, 300, 20), (20, 100, 48), (130, 64, 65), (1, 300, 70), (40, 600, 90)):
        results = []
        for together in (True, False):
            x, w, b = operands(*shape, dtype, grad=True)
            if together:
                y = torch._C._ops.linear(x, w, b, name)
            else:
                y = ACTIVATIONS[name](nn.functional.linear(x, w, b))
            y.sin().sum().backward()
            results.append([bits(t) for t in (y, x.grad, w.grad, b.grad)])
        assert results[0] == results[1], shape


def test_layouts_and_special_values():
    def values(y):  # which of two NaNs a product hands on, and so the sign, is the compiler's choice
        return bits(torch.where(y.isnan(), float("nan"), y))

    x, w, b = operands(33, 24, 40, torch.float32)
    x[3, 4], x[7, 2] = float("nan"), float("inf")
    wide = torch.zeros(33, 48)
    wide[:, ::2] = x
    for given in (x, x.t().contiguous().t(), wide[:, ::2], x.reshape(3, 11, 24), x[5], x[:1].expand(6, 24)):
        for weight in (w, w.t().contiguous().t()):
            for name, module in ACTIVATIONS.items():
                apart = module(nn.functional.linear(given, weight, b))
                assert values(torch._C._ops.linear(given, weight, b, name)) == values(apart), name


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_derivatives(name):
    x, w, b = operands(6, 5, 4, torch.float64, grad=True)
    b.data += 0.3
    assert torch.autograd.gradcheck(lambda *t: torch._C._ops.linear(*t, name), (x, w, b)) if name != "relu" else True
    second = []
    for call in (lambda *t: torch._C._ops.linear(*t, name), lambda *t: ACTIVATIONS[name](nn.functional.linear(*t))):
        (dx,) = torch.autograd.grad(call(x, w, b).square().sum(), x, create_graph=True)
        second.append([bits(t) for t in torch.autograd.grad(dx.square().sum(), (x, w, b))])
    assert second[0] == second[1]


def test_the_graph_is_that_of_two_ops():
    x, w, b = operands(6, 5, 4, torch.float32, grad=True)
    for name, module in ACTIVATIONS.items():
        together, apart = torch._C._ops.linear(x, w, b, name), module(nn.functional.linear(x, w, b))
        assert together.grad_fn.name() == apart.grad_fn.name()
        inner = [y.grad_fn.next_functions[0][0] for y in (together, apart)]
        assert inner[0].name() == inner[1].name()
        assert len(inner[0].next_functions) == len(inner[1].next_functions)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        torch._C._ops.linear(x, w, b, "silu")
        count = len(kept)
        nn.functional.silu(nn.functional.linear(x, w, b))
    assert kept[:count] == kept[count:]


def test_in_place_and_integers():
    x, w, b = operands(6, 5, 4, torch.float32, grad=True)
    for module in (nn.ReLU(inplace=True), nn.SiLU(inplace=True)):
        together, apart = nn.Sequential(nn.Linear(5, 4), module), nn.Sequential(nn.Linear(5, 4), nn.Identity(), module)
        apart.load_state_dict(together.state_dict())
        results = [model(x) for model in (together, apart)]
        assert results[0]._version == results[1]._version == 1
        gradients = []
        for y in results:
            x.grad = None
            y.square().sum().backward()
            gradients.append(bits(x.grad))
        assert gradients[0] == gradients[1]
    whole = torch.arange(-3, 3).reshape(2, 3)
    assert torch._C._ops.linear(whole, whole, None, "relu").tolist() == (whole @ whole.t()).relu().tolist()
    with pytest.raises(ValueError, match="linear: expected one of none, relu.*got 'softplus'"):
        torch._C._ops.linear(x, w, b, "softplus")


# channels, size of the kernel, and what it does: each of the kernel's ways of convolving
CONVOLUTIONS = [
    ((2, 3, 9, 11), (4, 3, 3, 3), {"padding": 1}),
    ((2, 16, 17, 15), (24, 16, 3, 3), {"padding": 1}),
    ((2, 16, 17, 15), (24, 16, 3, 3), {"padding": "same", "dilation": 2}),
    ((1, 40, 8, 9), (40, 40, 3, 3), {"padding": 1}),
    ((2, 8, 8, 8), (16, 8, 1, 1), {}),
    ((2, 8, 13, 40), (8, 1, 3, 3), {"padding": 1, "groups": 8, "stride": 2}),
]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_convolutions_are_those_of_two_ops(name, dtype):
    for sizes, kernel, arguments in CONVOLUTIONS:
        generator = torch.Generator().manual_seed(7)
        drawn = [torch.randn(*s, generator=generator) for s in (sizes, kernel, kernel[:1])]
        drawn[2][::5] -= 89.0
        padding = arguments.get("padding", 0)
        rest = (arguments.get("stride", 1), padding, arguments.get("dilation", 1), arguments.get("groups", 1))
        for grad in (False, True):
            results = []
            for together in (True, False):
                x, w, b = (t.clone().to(dtype).requires_grad_(grad) for t in drawn)
                if together:
                    y = torch._C._ops.conv2d(x, w, b, *rest, name)
                else:
                    y = ACTIVATIONS[name](nn.functional.conv2d(x, w, b, **arguments))
                results.append([bits(y)])
                if grad:
                    y.sin().sum().backward()
                    results[-1] += [y.grad_fn.name(), *(bits(t.grad) for t in (x, w, b))]
            assert results[0] == results[1], (sizes, kernel)


def test_sequential_of_convolutions(monkeypatch):
    x = torch.randn(2, 3, 12, 12)
    layers = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"),
        nn.GELU(),
        nn.Conv2d(8, 4, 1),
    ]
    y = x
    for layer in layers:
        y = layer(y)
    model = nn.Sequential(*layers)
    assert bits(model(x)) == bits(y)
    assert count_of_fused(monkeypatch, model, x) == ["relu", "gelu"]
    unbatched = nn.Sequential(nn.Conv1d(3, 4, 3), nn.SiLU())
    assert bits(unbatched(x[0, :, 0])) == bits(nn.functional.silu(unbatched[0](x[0, :, 0])))


def count_of_fused(monkeypatch, model, x):
    count = []

    def counted(*args):
        count.append(args[1][0])
        return fusion.run_together(*args)

    with monkeypatch.context() as patch:
        patch.setattr(container, "run_together", counted)
        model(x)
    return count


def test_sequential_runs_neighbours_as_one(monkeypatch):
    x = torch.randn(4, 6)
    layers = [nn.Linear(6, 5), nn.GELU("tanh"), nn.Linear(5, 4), nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 2)]
    model = nn.Sequential(*layers)
    y = x
    for layer in layers:
        y = layer(y)
    assert bits(model(x)) == bits(y)
    assert count_of_fused(monkeypatch, model, x) == ["gelu_tanh", "relu"]
    assert count_of_fused(monkeypatch, copy.deepcopy(model), x) == ["gelu_tanh", "relu"]


def test_who_stands_between_is_called(monkeypatch):
    x, seen = torch.randn(4, 6), []

    class Own(nn.ReLU):
        def forward(self, x):
            seen.append("subclass")
            return super().forward(x)

    def fused(change):
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
        undo = change(model)
        count = len(count_of_fused(monkeypatch, model, x))
        if undo is not None:
            undo.remove()
        return count

    assert fused(lambda model: None) == 1
    assert fused(lambda model: model[0].register_forward_hook(lambda *_: seen.append("forward"))) == 0
    assert fused(lambda model: model[1].register_forward_pre_hook(lambda *_: seen.append("before"))) == 0
    assert fused(lambda model: model[1].register_full_backward_hook(lambda *_: None)) == 0
    assert fused(lambda model: model.__setitem__(1, Own())) == 0
    assert fused(lambda model: setattr(model[0], "forward", lambda x: seen.append("instance") or x)) == 0
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda self, x: seen.append("class") or x)
        assert fused(lambda model: None) == 0
    assert seen == ["forward", "before", "subclass", "instance", "class"]


def test_errors_name_the_layer():
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 5), nn.ReLU()), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match=r"^linear: weight expects 6 input features but x has 7.*\(in 0\.0\)$"):
        model(torch.randn(4, 7))
    with pytest.raises(RuntimeError, match="linear: expected bias to have the input's dtype"):
        nn.functional.linear(torch.randn(2, 3), torch.randn(4, 3), torch.randn(4, dtype=torch.float64))


def test_transformers_feed_forward(monkeypatch):
    x = torch.randn(2, 5, 8)
    for activation in ("relu", "gelu", nn.GELU("tanh"), torch.sin):
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation=activation, batch_first=True)
        together = layer(x)
        monkeypatch.setattr("tessel.nn.transformer.activation_of", lambda *_: None)
        assert bits(together) == bits(layer(x))
        monkeypatch.undo()
