"""Layers with one state and one input give one result, gradients included, in PyTorch and in tessel."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peer tests compare with PyTorch, which is not installed")

import tessel  # noqa: E402


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def in_both(build):
    """The module in both libraries, with PyTorch's weights moved off their symmetric start."""
    theirs, ours = build(torch), build(tessel)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert repr(theirs) == repr(ours)
    state = {}
    for i, (name, value) in enumerate(theirs.state_dict().items()):
        x = value.numpy()
        state[name] = x + 0.1 * drawn(*x.shape, seed=i) ** 2 if x.dtype == np.float32 else x
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    ours.load_state_dict({k: tessel.tensor(v) for k, v in state.items()})
    return theirs, ours


def compare(build, call, *inputs, training=True, bound=2e-5):
    """call(library, module, *tensors) in both: the results, and the gradients of inputs and parameters."""
    told = []
    for lib, module in zip((torch, tessel), in_both(build)):
        module.train(training)
        given = [lib.tensor(x).requires_grad_() for x in inputs]
        result = call(lib, module, *given)
        results = [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]
        loss = sum((r * lib.tensor(drawn(*r.shape, seed=7))).sum() for r in results)
        wanted = [*given, *module.parameters()]
        gradients = lib.autograd.grad(loss, wanted, allow_unused=True)
        told.append([None if t is None else t.detach().numpy() for t in (*results, *gradients)])
    assert len(told[0]) == len(told[1])
    for theirs, ours in zip(*told):
        assert (theirs is None) == (ours is None)
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=bound, atol=bound * max(1, np.abs(theirs).max()))


X, Y, PADDING = drawn(5, 3, 8), drawn(7, 3, 8, seed=1), np.arange(21).reshape(3, 7) % 7 > 4
MASK = np.tri(5, 7, 1) == 0

MULTIHEAD = {
    "plain": ({}, {}),
    "no weights": ({}, {"need_weights": False}),
    "each head": ({}, {"average_attn_weights": False}),
    "no bias": ({"bias": False}, {}),
    "bias_kv": ({"add_bias_kv": True}, {"key_padding_mask": PADDING, "attn_mask": MASK}),
    "zero": ({"add_zero_attn": True}, {"key_padding_mask": PADDING, "need_weights": False}),
    "padding": ({}, {"key_padding_mask": PADDING}),
    "padding, no weights": ({}, {"key_padding_mask": PADDING, "need_weights": False}),
    "mask": ({}, {"attn_mask": MASK, "need_weights": False}),
    "float mask": ({}, {"attn_mask": drawn(5, 7), "need_weights": False}),
    "mask of each head": ({}, {"attn_mask": drawn(6, 5, 7)}),
    "both masks": ({}, {"attn_mask": MASK, "key_padding_mask": PADDING, "need_weights": False}),
    "widths": ({"kdim": 8, "vdim": 8}, {}),
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", MULTIHEAD)
def test_multihead_attention(name, batch_first):
    options, masks = MULTIHEAD[name]
    x, y = (np.swapaxes(a, 0, 1) if batch_first else a for a in (X, Y))

    def call(lib, module, query, memory):
        given = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}
        return module(query, memory, memory, **given)

    compare(lambda lib: lib.nn.MultiheadAttention(8, 2, batch_first=batch_first, **options), call, x, y)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_multihead_self_attention(weights, batched):
    def call(lib, module, x):
        mask = lib.nn.Transformer.generate_square_subsequent_mask(5)
        return module(x, x, x, need_weights=weights, attn_mask=mask, is_causal=True)

    compare(lambda lib: lib.nn.MultiheadAttention(8, 4), call, X if batched else X[:, 0])


def test_multihead_attention_of_other_widths():
    def build(lib):
        return lib.nn.MultiheadAttention(8, 2, kdim=6, vdim=4)

    compare(build, lambda lib, m, q, k, v: m(q, k, v), X, drawn(7, 3, 6, seed=2), drawn(7, 3, 4, seed=3))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_transformer(norm_first, batch_first, masked):
    def build(lib):
        return lib.nn.Transformer(8, 2, 2, 2, 16, 0.0, "gelu", batch_first=batch_first, norm_first=norm_first)

    def call(lib, module, source, target):
        if not masked:
            return module(source, target)
        causal, padding = module.generate_square_subsequent_mask(5), lib.tensor(PADDING)
        return module(source, target, tgt_mask=causal, memory_key_padding_mask=padding, src_key_padding_mask=padding)

    source, target = (np.swapaxes(a, 0, 1) if batch_first else a for a in (Y, X))
    compare(build, call, source, target, bound=1e-4)


@pytest.mark.parametrize("activation", ["relu", "module"])
def test_encoder_layer_without_bias(activation):
    def build(lib):
        chosen = lib.nn.SiLU() if activation == "module" else activation
        layer = lib.nn.TransformerEncoderLayer(8, 2, 16, 0.0, chosen, bias=False)
        return lib.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    compare(build, lambda lib, m, x: m(x), X)


NORMS = {
    "instance1d": (lambda lib: lib.nn.InstanceNorm1d(4), (3, 4, 6)),
    "instance1d, no batch": (lambda lib: lib.nn.InstanceNorm1d(4, affine=True), (4, 6)),
    "instance2d": (lambda lib: lib.nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (3, 4, 2, 3)),
    "instance3d": (lambda lib: lib.nn.InstanceNorm3d(4, affine=True, bias=False), (3, 4, 2, 3, 2)),
    "batch3d": (lambda lib: lib.nn.BatchNorm3d(4), (3, 4, 2, 3, 2)),
    "group": (lambda lib: lib.nn.GroupNorm(2, 4), (3, 4, 2, 3)),
    "rms": (lambda lib: lib.nn.RMSNorm((2, 3)), (3, 4, 2, 3)),
    "local response": (lambda lib: lib.nn.LocalResponseNorm(3, 0.5), (3, 4, 2, 3)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NORMS)
def test_norms(name, training):
    build, shape = NORMS[name]
    compare(build, lambda lib, m, x: m(x), drawn(*shape), training=training)


WRONG = [
    lambda lib, m, x: m(x[0, 0], x, x),
    lambda lib, m, x: m(x, x[0], x),
    lambda lib, m, x: m(x[..., :4], x, x),
    lambda lib, m, x: m(x, x, x, attn_mask=lib.zeros(4, 4)),
    lambda lib, m, x: m(x, x, x, attn_mask=lib.zeros(4, 5, 5)),
    lambda lib, m, x: m(x, x, x, is_causal=True),
    lambda lib, m, x: m(x, x, x, key_padding_mask=lib.zeros(5, 3, dtype=lib.bool)),
    lambda lib, m, x: m(x, x[:4], x),
    lambda lib, m, x: m(x, x, x, attn_mask=lib.zeros(5, 5, dtype=lib.int64)),
    lambda lib, m, x: m(x, x, x, key_padding_mask=lib.zeros(3, 5, dtype=lib.int64)),
    lambda lib, m, x: lib.nn.MultiheadAttention(8, 3),
    lambda lib, m, x: lib.nn.MultiheadAttention(0, 3),
    lambda lib, m, x: lib.nn.TransformerEncoderLayer(8, 2, activation="x"),
    lambda lib, m, x: lib.nn.InstanceNorm2d(3)(x[0]),
    lambda lib, m, x: lib.nn.InstanceNorm1d(3, affine=True)(lib.zeros(2, 4, 5)),
    lambda lib, m, x: lib.nn.Transformer(8, 2, 1, 1)(x, x[:, :2]),
    lambda lib, m, x: lib.nn.Transformer(8, 2, 1, 1)(x[..., :4], x[..., :4]),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors_are_of_one_type(number):
    told = []
    for lib in (torch, tessel):
        with pytest.raises(Exception) as raised:
            WRONG[number](lib, lib.nn.MultiheadAttention(8, 2), lib.tensor(X))
        told.append(raised.type)
    assert told[0] is told[1]
