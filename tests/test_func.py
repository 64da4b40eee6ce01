"""func: derivatives of functions in any nesting, maps over a dimension, modules as functions of their parameters."""

import numpy as np
import pytest

import tessel as torch
from tessel import func, nn


def drawn(*shape):
    return torch.from_numpy(np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape))


def close(a, b, bound=1e-10):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=bound, atol=bound)


def test_grad_in_any_nesting():
    x = drawn(3)
    close(func.grad(lambda x: x.sin().sum())(x), x.cos())
    close(func.grad(func.grad(lambda t: t.sin()))(torch.tensor(0.5).double()), -torch.tensor(0.5).double().sin())
    y = torch.tensor(2.0)
    assert func.grad(lambda y: func.grad(lambda x: x * y)(torch.tensor(1.0)))(y) == 1
    gradients, value = func.grad_and_value(lambda p: (p["a"] * p["b"][0]).sum())({"a": x, "b": [x + 1]})
    close(gradients["a"], x + 1), close(gradients["b"][0], x), close(value, (x * (x + 1)).sum())
    first, second = func.grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, 2 * x)
    close(first, 2 * x), close(second, x)
    gradient, aux = func.grad(lambda x: (x.sum(), x * 2), has_aux=True)(x)
    close(gradient, torch.ones(3)), close(aux, 2 * x)
    assert not gradient.requires_grad and not aux.requires_grad


def test_results_belong_to_a_graph_only_where_it_is_wanted():
    x = drawn(3)
    assert not func.grad(lambda x: (x**3).sum())(x).requires_grad
    leaf = drawn(3).requires_grad_()
    func.grad(lambda x: (x**3).sum())(leaf).sum().backward()
    close(leaf.grad, 6 * leaf)
    with torch.no_grad():
        close(func.grad(lambda x: (x**2).sum())(x), 2 * x)


def test_products_with_vectors():
    a, x, v = drawn(2, 3), drawn(3), drawn(3) + 1
    f = lambda x: torch.tanh(a @ x)  # noqa: E731
    jacobian = (1 - f(x) ** 2).unsqueeze(1) * a
    value, pull = func.vjp(f, x)
    close(value, f(x))
    close(pull(torch.ones(2).double())[0], jacobian.sum(0))
    close(pull(torch.ones(2).double())[0], jacobian.sum(0))  # again: the graph is kept
    value, moved = func.jvp(f, (x,), (v,))
    close(value, f(x)), close(moved, jacobian @ v)
    value, push = func.linearize(f, x)
    close(push(v), jacobian @ v), close(push(2 * v), 2 * jacobian @ v)
    _, _, aux = func.jvp(lambda x: (f(x), x + 1), (x,), (v,), has_aux=True)
    close(aux, x + 1)


def test_jacobians_and_hessians():
    a, x = drawn(2, 3), drawn(3)
    f = lambda x: torch.tanh(a @ x)  # noqa: E731
    jacobian = (1 - f(x) ** 2).unsqueeze(1) * a
    close(func.jacrev(f)(x), jacobian), close(func.jacfwd(f)(x), jacobian)
    table = func.jacrev(lambda x, y: {"p": x * y, "s": y.sum()}, argnums=(0, 1))(x, 2 * x)
    close(table["p"][0], torch.diag(2 * x)), close(table["p"][1], torch.diag(x)), close(table["s"][1], torch.ones(3))
    close(table["s"][0], torch.zeros(3))
    close(func.hessian(lambda x: (x**3).sum())(x), torch.diag(6 * x))
    close(func.jacrev(func.jacrev(lambda x: (x**3).sum()))(x), torch.diag(6 * x))


def test_vmap():
    x, y = drawn(4, 3), drawn(3)
    close(func.vmap(torch.dot, in_dims=(0, None))(x, y), x @ y)
    close(torch.vmap(torch.dot, (1, None))(x.T, y), x @ y)
    close(func.vmap(lambda r: r * 2, out_dims=1)(x), 2 * x.T)
    close(func.vmap(func.vmap(lambda t: t.sin()))(x), x.sin())
    both = func.vmap(lambda d, t: {"sum": d["a"] + t, "t": t}, in_dims=({"a": 0}, None))({"a": x}, y)
    close(both["sum"], x + y), close(both["t"], y.expand(4, 3))
    first, whole = func.vmap(lambda r: (r, y), out_dims=(0, None))(x)
    close(first, x), close(whole, y)
    close(func.jacrev(func.vmap(lambda r: r.sum()))(x)[1, 1], torch.ones(3))


def test_vmap_and_random_numbers():
    x = torch.zeros(3)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        func.vmap(lambda t: t + torch.rand(()))(x)
    same = func.vmap(lambda t: t + torch.rand(()), randomness="same")(x)
    assert same[0] == same[1] == same[2]
    different = func.vmap(lambda t: t + torch.rand(()), randomness="different")(x)
    assert different[0] != different[1]


def test_gradients_of_single_examples():
    model = nn.Linear(3, 1).double()
    x, y = drawn(5, 3), drawn(5, 1)
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def loss(p, x, y):
        return ((func.functional_call(model, p, (x,)) - y) ** 2).mean()

    each = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    assert each["weight"].shape == (5, 1, 3) and each["bias"].shape == (5, 1)
    ((model(x) - y) ** 2).mean().backward()
    close(each["weight"].mean(0), model.weight.grad), close(each["bias"].mean(0), model.bias.grad)


def test_functional_call_gives_everything_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = dict(model.named_parameters())
    zeros = {k: torch.zeros_like(v) for k, v in before.items()}
    assert not func.functional_call(model, zeros, torch.ones(3, 2)).any()
    assert dict(model.named_parameters()).items() == before.items() and model[0].weight is before["0.weight"]
    with pytest.raises(RuntimeError, match="functional_call: .* Missing key"):
        func.functional_call(model, {"0.weight": before["0.weight"]}, torch.ones(3, 2), strict=True)
    with pytest.raises(KeyError, match="no parameter or buffer 'x'"):
        func.functional_call(model, {"x": torch.ones(1)}, torch.ones(3, 2))
    with pytest.raises(ZeroDivisionError):
        func.functional_call(Raises(), {"w": torch.ones(1)}, ())


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self):
        raise ZeroDivisionError


def test_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.ones(1))
            self.b = self.a

        def forward(self):
            return self.a + self.b

    assert func.functional_call(Tied(), {"a": torch.zeros(1)}, ()) == 0
    assert func.functional_call(Tied(), {"a": torch.zeros(1)}, (), tie_weights=False) == 1
    with pytest.raises(ValueError, match="two different values for the tied weights"):
        func.functional_call(Tied(), {"a": torch.zeros(1), "b": torch.ones(1)}, ())


def test_ensembles():
    models = [nn.Linear(3, 2) for _ in range(4)]
    parameters, buffers = func.stack_module_state(models)
    x = torch.randn(5, 3)
    out = func.vmap(lambda p, b: func.functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for found, model in zip(out, models):
        close(found, model(x), 1e-6)
    assert parameters["weight"].requires_grad and parameters["weight"].is_leaf


def test_wrong_calls_say_what_is_wrong():
    for call, kind, match in (
        (lambda: func.grad(lambda x: x)(torch.ones(2)), RuntimeError, "scalar tensor, got a tensor of shape"),
        (lambda: func.grad(lambda x: 1.0)(torch.ones(2)), RuntimeError, "return a tensor, got float"),
        (lambda: func.grad(lambda x: x.sum())(torch.ones(2, dtype=torch.int64)), RuntimeError, "floating point"),
        (lambda: func.grad(lambda x: x.sum(), 1)(torch.ones(2)), RuntimeError, "only 1 positional"),
        (lambda: func.jvp(lambda x: x, (torch.ones(2),), (torch.ones(3),)), RuntimeError, r"tangents of shape \(2,\)"),
        (lambda: func.vmap(lambda x, y: x)(torch.ones(2), torch.ones(3)), ValueError, "same size in the mapped"),
        (lambda: func.vmap(lambda x: x, 2)(torch.ones(2)), ValueError, "in_dim=2"),
        (lambda: func.vmap(lambda x: 1)(torch.ones(2)), ValueError, "must only return Tensors, got type int"),
        (lambda: func.vmap(lambda x: x, None)(torch.ones(2)), ValueError, "in_dims"),
        (lambda: torch.autograd.forward_ad.make_dual(1, 2), NotImplementedError, "func.jvp"),
    ):
        with pytest.raises(kind, match=match):
            call()
