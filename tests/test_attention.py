"""Attention beyond its spec: dropout's mask, both ways to the gradient, chunks, layouts, bits."""

import numpy as np
import pytest

import tessel as torch
from tests import STANDS_IN
from tests.specs.attention import attention

F = torch.nn.functional
sdpa = F.scaled_dot_product_attention
ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch does not promise it")


def heads(*shape, seed=0, dtype=None, grad=True):
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(generator.standard_normal(shape)).to(dtype or torch.float32)
    return x.requires_grad_() if grad else x


def numpy(x):
    return x.detach().to(torch.float64).numpy()


def gradients(y, inputs, seed=9, **options):
    return torch.autograd.grad(y, inputs, heads(*y.shape, seed=seed, dtype=y.dtype, grad=False), **options)


SHAPES = [
    ((2, 3, 70, 20), 130),
    ((1, 1, 700, 16), 500),
    ((1, 40, 33, 8), 64),
    ((1, 2, 65, 256), 97),
    ((1, 1, 40, 300), 66),
    ((2, 3, 1, 20), 130),
    ((2, 2, 4, 16), 200),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape, keys", SHAPES)
def test_the_kernels_gradient_is_the_composed_one(shape, keys, causal):
    """With create_graph the gradient is composed of recorded ops; without, it is one kernel."""
    b, h, _, e = shape
    inputs = (
        heads(*shape, dtype=torch.float64),
        heads(b, h, keys, e, seed=1, dtype=torch.float64),
        heads(b, h, keys, 24, seed=2, dtype=torch.float64),
    )
    y = sdpa(*inputs, is_causal=causal)
    assert np.allclose(numpy(y), attention(*map(numpy, inputs), is_causal=causal), rtol=1e-10, atol=1e-10)
    for kernel, composed in zip(gradients(y, inputs, retain_graph=True), gradients(y, inputs, create_graph=True)):
        assert np.allclose(numpy(kernel), numpy(composed), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype, bound", [("float32", 2e-6), ("bfloat16", 2e-2), ("float16", 2e-3)])
@pytest.mark.parametrize("causal", [False, True])
def test_lower_precision_follows_float64(dtype, bound, causal):
    dtype = getattr(torch, dtype)
    low = [heads(2, 2, 150, 40, seed=s, dtype=dtype) for s in range(3)]
    exact = [x.detach().to(torch.float64).requires_grad_() for x in low]
    y, z = sdpa(*low, is_causal=causal), sdpa(*exact, is_causal=causal)
    assert y.dtype == dtype
    for a, b in zip((y, *gradients(y, low)), (z, *gradients(z, exact))):
        assert np.abs(numpy(a) - numpy(b)).max() <= bound * max(1, np.abs(numpy(b)).max())


@pytest.mark.parametrize("shared", ["chunks", "groups", "heads inside"])
def test_layouts_and_groups(shared):
    if shared == "chunks":
        whole = heads(2, 90, 3 * 4 * 16)
        q, k, v = (x.view(2, 90, 4, 16).transpose(1, 2) for x in whole.chunk(3, -1))
        inputs, more = [whole], {}
    elif shared == "groups":
        q, k, v = heads(2, 6, 90, 16), heads(2, 2, 70, 16, seed=1), heads(2, 2, 70, 8, seed=2)
        inputs, more = [q, k, v], {"enable_gqa": True}
    else:
        q, k, v = (heads(2, 90, 4, 16, seed=s).transpose(1, 2) for s in range(3))
        inputs, more = [q, k, v], {}
    y = sdpa(q, k, v, is_causal=True, **more)
    assert np.allclose(numpy(y), attention(numpy(q), numpy(k), numpy(v), is_causal=True, **more), rtol=1e-5, atol=1e-5)
    if shared == "heads inside":
        assert y.transpose(1, 2).is_contiguous()
    plain = gradients(y, inputs, retain_graph=True)
    for a, b in zip(plain, gradients(y, inputs, create_graph=True)):
        assert np.allclose(numpy(a), numpy(b), rtol=1e-4, atol=1e-5)


def test_queries_that_see_nothing_give_zero_and_no_gradient():
    q, k, v = (heads(1, 2, 80, 16, seed=s) for s in range(3))
    mask = torch.ones(80, 80, dtype=torch.bool).tril()
    mask[:70] = False
    y = sdpa(q, k, v, mask)
    assert bool((y[:, :, :70] == 0).all()) and bool(y.isfinite().all())
    dq, dk, dv = gradients(y, (q, k, v))
    assert bool((dq[:, :, :70] == 0).all())
    assert all(bool(g.isfinite().all()) for g in (dq, dk, dv))


def test_what_is_not_a_number_stays_in_its_row():
    q, k, v = (heads(1, 1, 70, 16, seed=s, grad=False) for s in range(3))
    q[0, 0, 3, 2] = float("nan")
    rows = sdpa(q, k, v).isnan().any(-1)[0, 0]
    assert rows.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("queries", [1, 3, 4])
def test_few_queries_are_as_many(queries):
    """Up to four queries are computed in another way: rows of a longer call, with masks, groups and every dtype."""
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 1e-2), (torch.float16, 1e-3)):
        q, k, v = (
            heads(2, 6, 9, 20, dtype=dtype),
            heads(2, 2, 150, 20, seed=1, dtype=dtype),
            heads(2, 2, 150, 9, seed=2, dtype=dtype),
        )
        mask = heads(2, 1, 9, 150, seed=3, dtype=dtype, grad=False)
        mask[:, :, 1, 70:] = float("-inf")
        for given in (None, mask, mask > 0, mask[:, :, :1] > 9):
            some = given if given is None or given.shape[2] == 1 else given[:, :, :queries]
            few = sdpa(q[:, :, :queries], k, v, some, enable_gqa=True)
            np.testing.assert_allclose(
                numpy(few), numpy(sdpa(q, k, v, given, enable_gqa=True)[:, :, :queries]), atol=bound
            )
        causal = sdpa(q, k, v, is_causal=True, enable_gqa=True)[:, :, :queries]
        few = sdpa(q[:, :, :queries], k, v, is_causal=True, enable_gqa=True)
        np.testing.assert_allclose(numpy(few), numpy(causal), atol=bound)


@ours_alone
@pytest.mark.parametrize("keys", [64, 77])
@pytest.mark.parametrize("queries", [3, 70])
def test_dropout_is_recomputed(queries, keys):
    """The weights that a draw drops are those it drops from the whole matrix."""
    q, k, v = heads(2, 2, queries, 16), heads(2, 2, keys, 16, seed=1), heads(2, 2, keys, 16, seed=2)
    torch.manual_seed(5)
    y = sdpa(q, k, v, dropout_p=0.3)
    torch.manual_seed(5)
    weights = F.dropout(torch.softmax(q @ k.transpose(-1, -2) / 4, -1), 0.3)
    expected = weights @ v
    assert np.allclose(numpy(y), numpy(expected), rtol=1e-5, atol=1e-5)
    kernel, whole = gradients(y, (q, k, v), retain_graph=True), gradients(expected, (q, k, v))
    for a, b, c in zip(kernel, whole, gradients(y, (q, k, v), create_graph=True)):
        assert np.allclose(numpy(a), numpy(b), rtol=1e-4, atol=1e-5)
        assert np.allclose(numpy(c), numpy(b), rtol=1e-4, atol=1e-5)
    assert bool((sdpa(q, k, v, dropout_p=1.0) == 0).all())


@ours_alone
@pytest.mark.parametrize("shape", [(1, 1, 700, 16), (3, 5, 130, 20), (2, 16, 200, 8)])
def test_same_bits_at_any_thread_count(shape):
    before = torch.get_num_threads()
    told = set()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            inputs = [heads(*shape, seed=s) for s in range(3)]
            y = sdpa(*inputs, dropout_p=0.1, is_causal=True)
            told.add(b"".join(x.detach().numpy().tobytes() for x in (y, *gradients(y, inputs))))
    finally:
        torch.set_num_threads(before)
    assert len(told) == 1


def test_double_backward_of_a_penalty():
    """The gradient of a gradient's norm, against differences."""
    inputs = [heads(1, 2, 5, 3, seed=s, dtype=torch.float64) for s in range(3)]

    def penalty(q, k, v):
        y = sdpa(q, k, v, is_causal=True)
        return sum((g * g).sum() for g in torch.autograd.grad(y.sum(), (q, k, v), create_graph=True))

    assert torch.autograd.gradcheck(penalty, inputs)
