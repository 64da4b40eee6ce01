"""Module: the tree, state dicts, hooks, conversions, errors that say where."""

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import tessel as torch
from tessel import nn
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch says or does it otherwise")


class Block(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.linear = nn.Linear(n, n)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.linear(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Block(), Block()])
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(2), persistent=False)
        self.register_parameter("nothing", None)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


def test_names_of_members():
    net = Net()
    weights = ["layers.0.linear.weight", "layers.0.linear.bias", "layers.1.linear.weight", "layers.1.linear.bias"]
    assert [name for name, _ in net.named_parameters()] == ["scale", *weights]
    assert [name for name, _ in net.named_buffers()] == ["count", "cache"]
    assert [name for name, _ in net.named_children()] == ["layers"]
    assert [name for name, _ in net.named_modules()][:4] == ["", "layers", "layers.0", "layers.0.linear"]
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert list(net.state_dict()) == ["scale", "count", *weights]


def test_shared_members_are_given_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net.again = net[0]
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    every = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert every == ["0.weight", "0.bias", "1.weight", "1.bias", "again.weight", "again.bias"]
    assert len(list(net.modules())) == 3


@ours_alone
def test_attributes_move_between_tables():
    net = nn.Module()
    net.x = nn.Linear(1, 1)
    net.x = nn.Parameter(torch.ones(1))
    assert "x" in net._parameters and "x" not in net._modules
    with pytest.raises(TypeError, match="x"):
        net.x = nn.Linear(1, 1)
    del net.x
    assert not hasattr(net, "x")
    net.x = 3
    net.x = nn.Parameter(torch.ones(1))
    assert list(net._parameters) == ["x"]
    with pytest.raises(TypeError, match="Parameter or None"):
        net.x = torch.ones(1)
    net.x = None
    assert net.x is None and list(net._parameters) == ["x"]
    net.register_buffer("b", torch.zeros(1))
    net.b = torch.ones(1)
    assert net.b is net._buffers["b"]
    net.c = nn.Buffer(torch.ones(2), persistent=False)
    assert list(net.state_dict()) == ["b"]


def test_tables_and_attributes_agree():
    net = nn.Linear(2, 2)
    other = nn.Parameter(torch.zeros(2, 2))
    net._parameters["weight"] = other
    assert net.weight is other
    del net._parameters["weight"]
    assert not hasattr(net, "weight")
    net._parameters.update(weight=other)
    assert net.weight is other
    assert net._parameters.pop("weight") is other and "weight" not in vars(net)
    net._modules = OrderedDict(a=nn.ReLU())
    assert isinstance(net.a, nn.ReLU)
    net._modules = {}
    assert not hasattr(net, "a")


def test_a_dropped_module_frees_its_memory_at_once():
    gc.disable()
    try:
        net = Net()
        gone = weakref.ref(net.layers[0])
        del net
        assert gone() is None
    finally:
        gc.enable()


@ours_alone
def test_wrong_members_are_refused():
    net = nn.Linear(2, 2)
    with pytest.raises(KeyError, match="dot"):
        net.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="already"):
        net.register_buffer("forward", None)
    with pytest.raises(TypeError, match="register_buffer"):
        net.register_buffer("b", 3)
    with pytest.raises(ValueError, match="leaves"):
        net.register_parameter("p", _non_leaf())
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = net.missing

    class Early(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match="super"):
        Early()
    with pytest.raises(NotImplementedError):
        nn.Module()(1)


def _non_leaf():
    class Fake(nn.Parameter):
        @property
        def grad_fn(self):
            return (torch.ones(1, requires_grad=True) * 2).grad_fn

    return Fake(torch.ones(1))


def test_paths():
    net = Net()
    assert net.get_submodule("layers.1.linear") is net.layers[1].linear
    assert net.get_submodule("") is net
    assert net.get_parameter("layers.0.linear.bias") is net.layers[0].linear.bias
    assert net.get_buffer("count") is net.count
    with pytest.raises(AttributeError, match="nope"):
        net.get_submodule("layers.nope")
    with pytest.raises(AttributeError):
        net.get_parameter("layers.0.act")
    net.set_submodule("layers.0.act", nn.Tanh())
    assert isinstance(net.layers[0].act, nn.Tanh)


def test_state_dict_round_trip():
    a, b = Net(), Net()
    result = b.load_state_dict(a.state_dict())
    assert str(result) == "<All keys matched successfully>"
    x = torch.ones(2, 3)
    assert torch.equal(a(x), b(x))
    assert a.state_dict()._metadata["layers.0"] == {"version": 1}
    state = a.state_dict(prefix="net.")
    assert all(key.startswith("net.") for key in state)
    assert a.state_dict(keep_vars=True)["scale"] is a.scale
    assert not a.state_dict()["scale"].requires_grad


@ours_alone
def test_state_dict_table_of_what_does_not_fit():
    net = Net()
    state = net.state_dict()
    del state["layers.0.linear.bias"]
    state["head.weight"] = torch.ones(4, 5)
    state["scale"] = torch.ones(7)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    lines = [line.split() for line in str(caught.value).splitlines()]
    assert lines[0][-1] == "Net:"
    assert lines[1] == ["key", "module", "state", "dict"]
    assert lines[2] == ["missing", "layers.0.linear.bias", "(3,)", "-"]
    assert lines[3] == ["unexpected", "head.weight", "-", "(4,", "5)"]
    assert lines[4] == ["size", "mismatch", "scale", "(3,)", "(7,)"]
    state["scale"] = torch.full((3,), 5.0)
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["layers.0.linear.bias"]
    assert result.unexpected_keys == ["head.weight"]
    assert net.scale.tolist() == [5.0] * 3
    with pytest.raises(TypeError):
        net.load_state_dict([1])


def test_load_state_dict_assign():
    net = nn.Linear(2, 2)
    state = {"weight": torch.zeros(2, 2, dtype=torch.float64), "bias": torch.ones(2, dtype=torch.float64)}
    net.load_state_dict(state, assign=True)
    assert isinstance(net.weight, nn.Parameter) and net.weight.dtype == torch.float64 and net.weight.requires_grad
    assert net.weight.data_ptr() == state["weight"].data_ptr()


def test_extra_state():
    class Counting(nn.Module):
        seen = 0

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].seen = 4
    assert list(a.state_dict()) == ["0._extra_state"]
    b.load_state_dict(a.state_dict())
    assert b[0].seen == 4
    with pytest.raises(RuntimeError, match="_extra_state"):
        b.load_state_dict({})


def test_state_dict_hooks():
    net = nn.Linear(1, 1)
    seen = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(("pre", prefix)))
    net.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update(extra=torch.ones(1)))

    def rename(module, state, prefix, meta, strict, missing, unexpected, errors):
        state[prefix + "weight"] = state.pop(prefix + "old")

    net.register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    assert list(net.state_dict()) == ["weight", "bias", "extra"] and seen == [("pre", "")]
    given = {"old": torch.full((1, 1), 2.0), "bias": torch.zeros(1), "else": torch.ones(1)}
    net.load_state_dict(given)
    assert net.weight.item() == 2 and "old" in given
    clone = copy.deepcopy(net)
    clone.load_state_dict({"old": torch.full((1, 1), 3.0), "bias": torch.zeros(1)})
    assert clone.weight.item() == 3 and net.weight.item() == 2


def test_modes_and_gradients():
    net = Net()
    assert net.eval() is net and not net.layers[1].linear.training
    net.train()
    assert net.layers[1].linear.training
    with pytest.raises(ValueError):
        net.train("yes")
    net.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in net.parameters())
    net.requires_grad_()
    net(torch.ones(1, 3)).sum().backward()
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0, 0, 0]
    net.zero_grad()
    assert net.scale.grad is None


def test_apply_goes_bottom_up():
    order = []
    Net().apply(lambda module: order.append(type(module).__name__))
    assert order == ["Linear", "ReLU", "Block", "Linear", "ReLU", "Block", "ModuleList", "Net"]


def test_conversions_keep_the_parameters():
    net = nn.BatchNorm1d(2)
    weight = net.weight
    weight.sum().backward()
    assert net.double() is net and net.weight is weight
    assert weight.dtype == torch.float64 and weight.grad.dtype == torch.float64
    assert net.running_mean.dtype == torch.float64 and net.num_batches_tracked.dtype == torch.int64
    assert net.to(torch.bfloat16).weight.dtype == torch.bfloat16
    assert net.to(torch.ones(1)).weight.dtype == torch.float32
    assert net.to("cpu", torch.float16).half().float().running_var.dtype == torch.float32
    assert net.to(device="cpu", dtype=torch.float64, non_blocking=True).weight.dtype == torch.float64
    with pytest.raises(TypeError, match="floating"):
        net.to(torch.int64)
    assert net.to_empty(device="cpu").weight.shape == (2,)
    assert net.share_memory() is net


def test_copies_are_independent():
    net = Net()
    for clone in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(clone.scale, net.scale) and clone.scale is not net.scale
        assert isinstance(clone.scale, nn.Parameter) and clone.scale.requires_grad
        clone.layers[0].linear.weight.data.zero_()
        assert clone.layers[0].linear._parameters["weight"] is clone.layers[0].linear.weight
        assert net.layers[0].linear.weight.abs().sum() > 0
        clone.extra = nn.Linear(1, 1)
        assert not hasattr(net, "extra")
        assert torch.equal(clone(torch.zeros(1, 3)), clone(torch.zeros(1, 3)))
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    clone = copy.deepcopy(tied)
    assert clone[1].weight is clone[0].weight
    clone = copy.deepcopy(nn.Parameter(torch.ones(2), requires_grad=False))
    assert isinstance(clone, nn.Parameter) and not clone.requires_grad


def test_repr():
    assert repr(nn.Identity()) == "Identity()"
    assert repr(Block()) == "Block(\n  (linear): Linear(in_features=3, out_features=3, bias=True)\n  (act): ReLU()\n)"
    assert repr(Net()).splitlines()[:4] == [
        "Net(",
        "  (layers): ModuleList(",
        "    (0-1): 2 x Block(",
        "      " + repr(Block()).splitlines()[1].strip(),
    ]

    class Two(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(Two()) == "Two(\n  a=1\n  b=2\n)"
    assert "linear" in dir(Block()) and "weight" in dir(nn.Linear(1, 1))


# ---- hooks


def test_forward_hooks():
    net = nn.Linear(2, 1, bias=False)
    net.weight.data.fill_(1.0)
    seen = []
    x = torch.ones(1, 2)
    pre = net.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    post = net.register_forward_hook(lambda module, args, output: output + 1)
    assert net(x).item() == 5
    first = net.register_forward_hook(lambda module, args, output: seen.append(output.item()), prepend=True)
    assert net(x).item() == 5 and seen == [4.0]
    for handle in (pre, post, first):
        handle.remove()
        handle.remove()
    assert net(x).item() == 2
    with net.register_forward_pre_hook(lambda module, args: torch.zeros(1, 2)):
        assert net(x).item() == 0
    assert net(x).item() == 2


def test_forward_hooks_with_keywords():
    class Scale(nn.Module):
        def forward(self, x, *, by=1):
            return x * by

    net = Scale()
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, kwargs, output: output + kwargs["by"], with_kwargs=True)
    assert net(torch.ones(1), by=2).item() == 6
    net.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pre-hook"):
        net(torch.ones(1), by=2)


def test_always_called_hooks():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    seen = []
    net = Fails()
    net.register_forward_hook(lambda module, args, output: seen.append("ordinary"))
    net.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    with pytest.raises(ValueError, match="^no$"):
        net(1)
    assert seen == [None]


def test_backward_hooks():
    net = nn.Linear(2, 1, bias=False)
    net.weight.data.fill_(3.0)
    seen = []
    net.register_full_backward_pre_hook(lambda module, grad_output: seen.append(("pre", grad_output[0].item())))
    net.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append((grad_input[0].tolist(), grad_output[0].item()))
    )
    x = torch.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert seen == [("pre", 1.0), ([[3.0, 3.0]], 1.0)]
    assert x.grad.tolist() == [[3, 3]] and net.weight.grad.tolist() == [[1, 1]]


def test_backward_hooks_change_gradients():
    net = nn.Linear(2, 1, bias=False)
    net.weight.data.fill_(3.0)
    net.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    net.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 10,))
    x = torch.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [[60, 60]] and net.weight.grad.tolist() == [[2, 2]]


def test_backward_hook_without_gradients_of_inputs():
    net = nn.Linear(2, 1)
    seen = []
    net.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_input))
    net(torch.ones(1, 2)).sum().backward()
    assert seen == [(None,)]


@ours_alone
def test_hooks_on_every_module():
    from tessel.nn import hooks

    seen = []
    handle = hooks.register_module_forward_hook(lambda module, args, output: seen.append(type(module).__name__))
    nn.Sequential(nn.ReLU(), nn.Tanh())(torch.ones(1))
    handle.remove()
    nn.ReLU()(torch.ones(1))
    assert seen == ["ReLU", "Tanh", "Sequential"]


def test_hooks_are_copied():
    net = nn.Linear(1, 1)
    handle = net.register_forward_hook(_add_one)
    clone = copy.deepcopy(net)
    handle.remove()
    x = torch.zeros(1, 1)
    assert np.isclose(clone(x).item(), net(x).item() + 1)
    assert len(net._forward_hooks) == 0 and len(clone._forward_hooks) == 1


def _add_one(module, args, output):
    return output + 1


# ---- errors


class Fails(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


class Encoder(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.layers = nn.ModuleList([nn.Identity(), nn.Sequential(nn.Identity(), inner)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@ours_alone
@pytest.mark.parametrize("kind", [RuntimeError, ValueError, TypeError, IndexError, NotImplementedError])
def test_errors_say_which_module(kind):
    net = nn.ModuleDict({"encoder": Encoder(Fails(kind("what is wrong")))})
    with pytest.raises(kind) as caught:
        net["encoder"](1)
    assert str(caught.value) == "what is wrong (in layers.1.1)"
    outer = nn.Sequential(OrderedDict(body=nn.Sequential(OrderedDict(encoder=Encoder(Fails(kind("wrong")))))))
    with pytest.raises(kind) as caught:
        outer(1)
    assert str(caught.value) == "wrong (in body.encoder.layers.1.1)"


def test_errors_of_the_outermost_module_stay_as_they_are():
    with pytest.raises(ValueError, match="^wrong$"):
        Fails(ValueError("wrong"))(1)


def test_errors_whose_argument_is_no_message():
    with pytest.raises(KeyError) as caught:
        nn.Sequential(Fails(KeyError("key")))(1)
    assert caught.value.args == ("key",)
    with pytest.raises(OSError) as caught:
        nn.Sequential(Fails(OSError(2, "gone")))(1)
    assert caught.value.args == (2, "gone")


@ours_alone
def test_errors_through_a_module_that_is_not_a_child():
    hidden = nn.Sequential(Fails(ValueError("wrong")))

    class Holds(nn.Module):
        def forward(self, x):
            return hidden(x)

    with pytest.raises(ValueError, match=r"^wrong \(in <Sequential>.0\)$"):
        Holds()(1)


@ours_alone
def test_the_shape_error_of_a_layer_is_located():
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 2)))
    with pytest.raises(RuntimeError, match=r"\(in 1\.0\)$"):
        net(torch.ones(2, 3))


# ---- containers


def test_sequential():
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    assert len(net) == 3 and net[-1] is net[2] and [type(m).__name__ for m in net[:2]] == ["Linear", "ReLU"]
    assert net[1:][0] is net[1]
    with pytest.raises(IndexError):
        net[3]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    net.append(nn.ReLU()).insert(1, nn.GELU()).extend([nn.SiLU()])
    assert [type(m).__name__ for m in net] == ["Linear", "GELU", "Tanh", "Linear", "ReLU", "SiLU"]
    assert isinstance(net.pop(1), nn.GELU)
    del net[-1]
    assert list(net._modules) == ["0", "1", "2", "3"]
    both = net + nn.Sequential(nn.ReLU())
    assert len(both) == 5 and both[0] is net[0] and len(net * 2) == 8
    named = nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.ReLU()))
    assert isinstance(named.b, nn.ReLU) and list(named[:1]._modules) == ["a"]


def test_module_list():
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers.append(nn.ReLU()).extend([nn.Tanh(), nn.Tanh()])
    layers.insert(1, nn.GELU())
    assert [type(m).__name__ for m in layers] == ["Linear", "GELU", "ReLU", "Tanh", "Tanh"]
    assert isinstance(layers[-1], nn.Tanh) and len(layers[1:3]) == 2 and isinstance(layers[1:3], nn.ModuleList)
    assert isinstance(layers.pop(1), nn.GELU)
    del layers[1:3]
    assert len(layers) == 2 and list(layers._modules) == ["0", "1"]
    layers += [nn.ReLU()]
    assert len(layers + [nn.ReLU()]) == 4
    with pytest.raises(TypeError):
        layers.append(3)
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.ReLU()})
    modules["b"] = nn.Linear(1, 1)
    modules.update([("c", nn.Tanh())])
    assert list(modules) == ["a", "b", "c"] and "b" in modules and len(modules) == 3
    assert isinstance(modules.pop("a"), nn.ReLU)
    assert list(modules.keys()) == ["b", "c"] and len(list(modules.parameters())) == 2
    modules.clear()
    assert len(modules) == 0


@ours_alone
def test_parameter_list_and_dict():
    values = nn.ParameterList([torch.ones(2), nn.Parameter(torch.zeros(1)), "text"])
    assert isinstance(values[0], nn.Parameter) and values[2] == "text" and len(values) == 3
    values.append(torch.ones(1)).extend([torch.ones(3)])
    assert len(list(values.parameters())) == 4 and len(values[1:3]) == 2
    values[0] = torch.zeros(5)
    assert values[-5].shape == (5,)
    text = repr(nn.ParameterList([torch.ones(2, 3), 1]))
    assert text.splitlines()[2] == "    (1): Object of type: int" and "of size 2x3]" in text
    named = nn.ParameterDict({"a": torch.ones(1), "b": nn.Parameter(torch.ones(2))})
    named["c"] = 3
    assert list(named) == ["a", "b", "c"] and named.get("zz") is None and len(list(named.parameters())) == 2
    assert named.pop("c") == 3 and named.setdefault("d", torch.ones(1)).shape == (1,)
    assert list(named | nn.ParameterDict({"e": torch.ones(1)})) == ["a", "b", "d", "e"]
    with pytest.raises(KeyError):
        named["nothing"]
