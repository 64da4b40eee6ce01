"""func beside PyTorch's: the same functions, given as code over either library."""

import numpy as np
import pytest

import tessel

torch = pytest.importorskip("torch")

A = np.random.default_rng(0).standard_normal((2, 3))
X = np.random.default_rng(1).standard_normal(3)
BATCH = np.random.default_rng(2).standard_normal((4, 3))

CASES = {
    "grad": lambda F, t, x: F.grad(lambda x: (x.sin() * x).sum())(x),
    "grad of dict": lambda F, t, x: F.grad(lambda p: (p["a"] * p["b"]).sum())({"a": x, "b": x + 1}),
    "grad and value": lambda F, t, x: F.grad_and_value(lambda x: ((x**2).sum(), x), has_aux=True)(x),
    "argnums": lambda F, t, x: F.grad(lambda a, b: (a * b).sum(), argnums=(1, 0))(x, 2 * x),
    "argnums of one": lambda F, t, x: F.grad(lambda a, b: (a * b).sum(), argnums=(1,))(x, 2 * x),
    "negative argnum": lambda F, t, x: F.grad(lambda a, b: (a * b).sum(), argnums=-1)(x, 2 * x),
    "vjp": lambda F, t, x: F.vjp(lambda x: (t(A) @ x, x[0]), x)[1]((x[:2], x[2])),
    "vjp of two": lambda F, t, x: F.vjp(lambda x, y: x * y, x, 3 * x)[1](x),
    "jvp": lambda F, t, x: F.jvp(lambda x, y: {"p": x * y, "q": x.exp()}, (x, 2 * x), (x, x)),
    "jacrev": lambda F, t, x: F.jacrev(lambda x: t(A) @ x.tanh())(x),
    "jacrev of tuple": lambda F, t, x: F.jacrev(lambda x: (t(A) @ x, x.sum()))(x),
    "jacrev by dict": lambda F, t, x: F.jacrev(lambda p: p["a"] * p["b"])({"a": x, "b": x}),
    "jacfwd": lambda F, t, x: F.jacfwd(lambda x, y: t(A) @ (x * y), argnums=(0, 1))(x, x),
    "hessian": lambda F, t, x: F.hessian(lambda x: (x**3).prod())(x),
    "hessian by two": lambda F, t, x: F.hessian(lambda x, y: (x * y**2).sum(), argnums=(0, 1))(x, x),
    "vmap": lambda F, t, x: F.vmap(lambda r, s: r * s.sum(), in_dims=(0, None), out_dims=1)(t(BATCH), x),
    "vmap of last": lambda F, t, x: F.vmap(lambda r: r.sum(), in_dims=-1)(t(BATCH)),
    "vmap of grad": lambda F, t, x: F.vmap(F.grad(lambda r: (r**3).sum()))(t(BATCH)),
    "grad of vmap": lambda F, t, x: F.grad(lambda b: F.vmap(lambda r: r.prod())(b).sum())(t(BATCH)),
    "vmap keywords": lambda F, t, x: F.vmap(lambda r, k: r + k)(t(BATCH), k=t(BATCH)),
    "vmap of tree": lambda F, t, x: F.vmap(lambda d: (d["a"], d["b"][0]), out_dims=(0, -1))(
        {"a": t(BATCH), "b": [t(BATCH)]}
    ),
    "linearize": lambda F, t, x: F.linearize(lambda x: t(A) @ x.sin(), x)[1](x),
}


def flat(tree):
    if isinstance(tree, dict):
        return [t for key in tree for t in flat(tree[key])]
    return [t for part in tree for t in flat(part)] if isinstance(tree, (tuple, list)) else [tree]


def form(tree):
    if isinstance(tree, dict):
        return {key: form(value) for key, value in tree.items()}
    return tuple(map(form, tree)) if isinstance(tree, (tuple, list)) else tuple(tree.shape)


@pytest.mark.parametrize("name", CASES)
def test_function(name):
    found = []
    for lib in (tessel, torch):
        t = lambda a, lib=lib: lib.from_numpy(a.copy())
        found.append(CASES[name](lib.func, t, t(X)))
    assert form(found[0]) == form(found[1])
    for a, b in zip(*map(flat, found)):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)
        assert not a.requires_grad


WRONG = [
    lambda F, x: F.grad(lambda x: x)(x),
    lambda F, x: F.grad(lambda x: x.sum(), argnums=3)(x),
    lambda F, x: F.vmap(lambda x: x)(1.0),
    lambda F, x: F.vmap(lambda x: 1)(x),
    lambda F, x: F.vmap(lambda x, y: x)(x, x[:2]),
    lambda F, x: F.vmap(lambda x: x, in_dims=4)(x),
    lambda F, x: F.vmap(lambda x: x, randomness="x")(x),
    lambda F, x: F.jvp(lambda x: x, (x,), (x[:2],)),
    lambda F, x: F.jvp(lambda x: x, x, x),
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors_are_of_one_type(i):
    raised = []
    for lib in (tessel, torch):
        with pytest.raises(Exception) as error:
            WRONG[i](lib.func, lib.from_numpy(X.copy()))
        raised.append(error.type)
    assert raised[0] is raised[1]
