"""MultiheadAttention and Transformer against numpy and against themselves: layouts, masks, caches of state."""

import copy

import numpy as np
import pytest

import tessel as torch
from tessel import nn
from tests.specs.attention import attention

F = nn.functional


def randn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def close(a, b, bound=1e-5):
    np.testing.assert_allclose(
        a.detach().numpy(), b.detach().numpy() if isinstance(b, torch.Tensor) else b, rtol=bound, atol=bound
    )


def reference(module, query, key, value, closed=None):
    """concat of the heads' attention in numpy; batch first, equal widths."""
    w, b = module.in_proj_weight.detach().numpy(), module.in_proj_bias.detach().numpy()
    projected = []
    for x, wx, bx in zip((query, key, value), np.split(w, 3), np.split(b, 3)):
        y = x.detach().numpy() @ wx.T + bx
        projected.append(y.reshape(*y.shape[:2], module.num_heads, module.head_dim).swapaxes(1, 2))
    y = attention(*projected, None if closed is None else ~closed)
    y = y.swapaxes(1, 2).reshape(*query.shape)
    return y @ module.out_proj.weight.detach().numpy().T + module.out_proj.bias.detach().numpy()


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention(need_weights, batch_first):
    module = nn.MultiheadAttention(12, 3, batch_first=batch_first)
    nn.init.normal_(module.in_proj_bias)
    q, k = randn(2, 5, 12), randn(2, 7, 12, seed=1)
    padding = np.arange(14).reshape(2, 7) % 7 > 4
    mask = np.tri(5, 7, 1) == 0
    given = (q, k, k) if batch_first else tuple(x.transpose(0, 1) for x in (q, k, k))
    y, weights = module(*given, torch.from_numpy(padding), need_weights, torch.from_numpy(mask))
    y = y if batch_first else y.transpose(0, 1)
    close(y, reference(module, q, k, k, padding[:, None, None] | mask))
    if need_weights:
        assert weights.shape == (2, 5, 7)
        close(weights.sum(-1), np.ones((2, 5)))
        assert bool((weights[0][torch.from_numpy(mask)] == 0).all())
    else:
        assert weights is None


def test_separate_widths_have_separate_weights():
    module = nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True)
    keys = ["q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias", "bias_k", "bias_v"]
    assert list(module.state_dict()) == [*keys, "out_proj.weight", "out_proj.bias"]
    y, weights = module(randn(4, 2, 8), randn(6, 2, 3), randn(6, 2, 5), average_attn_weights=False)
    assert y.shape == (4, 2, 8) and weights.shape == (2, 2, 4, 7)
    assert bool((module.in_proj_bias == 0).all()) and bool((module.out_proj.bias == 0).all())


def test_static_keys_and_values():
    module = nn.MultiheadAttention(8, 2)
    q, memory = randn(4, 3, 8), randn(6, 3, 8, seed=1)
    k, v = F.linear(memory, module.in_proj_weight[8:], module.in_proj_bias[8:]).chunk(2, -1)
    k, v = (x.reshape(6, 6, 4).transpose(0, 1) for x in (k, v))
    more = (0.0, module.out_proj.weight, module.out_proj.bias)
    y, _ = F.multi_head_attention_forward(
        q,
        memory,
        memory,
        8,
        2,
        module.in_proj_weight,
        module.in_proj_bias,
        None,
        None,
        False,
        *more,
        static_k=k,
        static_v=v,
    )
    close(y, module(q, memory, memory)[0])


def test_the_causal_hint_changes_nothing():
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
    x, mask = randn(2, 9, 16), nn.Transformer.generate_square_subsequent_mask(9)
    padding = torch.zeros(2, 9, dtype=torch.bool)
    padding[1, 6:] = True
    close(layer(x, mask, is_causal=True), layer(x, mask))
    close(layer(x, mask, padding, is_causal=True), layer(x, mask, padding))
    encoder = nn.TransformerEncoder(layer, 2)
    close(encoder(x, mask), encoder(x, mask == float("-inf"), is_causal=False))
    for a, b in zip(encoder.parameters(), copy.deepcopy(encoder).parameters()):
        close(a, b)


def test_dropout_acts_in_training_only():
    module = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = randn(6, 3, 8)
    assert not torch.equal(module(x, x, x)[0], module(x, x, x)[0])
    assert torch.equal(module.eval()(x, x, x)[0], module(x, x, x)[0])


def test_a_transformer_learns_to_reverse():
    torch.manual_seed(0)
    model = nn.Transformer(16, 2, 1, 1, 32, 0.0, batch_first=True)
    table, out = nn.Embedding(6, 16), nn.Linear(16, 5)
    place = nn.Parameter(torch.randn(5, 16))
    optimizer = torch.optim.Adam([*model.parameters(), *table.parameters(), *out.parameters(), place], lr=3e-3)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    for _ in range(150):
        x = torch.randint(0, 5, (32, 5))
        wanted = x.flip(1)
        begun = torch.cat([torch.full((32, 1), 5), wanted[:, :-1]], 1)
        scores = out(model(table(x) + place, table(begun) + place, tgt_mask=mask))
        loss = F.cross_entropy(scores.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5


@pytest.mark.parametrize(
    "raises, match, call",
    [
        (
            AssertionError,
            "embed_dim must be divisible by num_heads, got 8 and 3",
            lambda x: nn.MultiheadAttention(8, 3),
        ),
        (ValueError, "num_heads=0", lambda x: nn.MultiheadAttention(8, 0)),
        (AssertionError, "1-D", lambda x: nn.MultiheadAttention(8, 2)(x[0, 0], x, x)),
        (
            AssertionError,
            "expecting embedding dimension of 6, but got 8",
            lambda x: nn.MultiheadAttention(6, 2)(x, x, x),
        ),
        (
            RuntimeError,
            r"2D attn_mask is \(4, 4\)",
            lambda x: nn.MultiheadAttention(8, 2)(x, x, x, attn_mask=torch.zeros(4, 4)),
        ),
        (RuntimeError, "relu/gelu, not tanh", lambda x: nn.TransformerEncoderLayer(8, 2, activation="tanh")),
        (RuntimeError, "equal to d_model 4", lambda x: nn.Transformer(4, 2, 1, 1)(x, x)),
        (RuntimeError, "batch number", lambda x: nn.Transformer(8, 2, 1, 1)(x, x[:, :2])),
        (ValueError, "InstanceNorm1d: expected 2-d or 3-d", lambda x: nn.InstanceNorm1d(3)(x[None])),
        (ValueError, r"num_features \(3\), but got: 8", lambda x: nn.InstanceNorm1d(3, affine=True)(x[0].t()[None])),
    ],
)
def test_errors(raises, match, call):
    with pytest.raises(raises, match=match):
        call(randn(5, 3, 8))


def test_instance_norm_keeps_statistics():
    norm = nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.5)
    x = randn(2, 3, 4, 5)
    y = norm(x)
    close(y.mean((2, 3)), np.zeros((2, 3)))
    close(norm.running_mean, 0.5 * x.numpy().mean((2, 3)).mean(0))
    close(norm.eval()(x[0]), norm(x)[0])


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_norm_behind_a_residual_connection_has_the_bits_it_has_apart(norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(16, 2, 32, dropout=0.1, batch_first=True, norm_first=norm_first)
    x, memory = torch.randn(2, 7, 16, requires_grad=True), torch.randn(2, 5, 16)

    def run():
        torch.manual_seed(1)
        leaves = [x, *layer.parameters()]
        return torch.autograd.grad(layer(x, memory).square().sum(), leaves)

    together = run()
    for norm in (layer.norm1, layer.norm2, layer.norm3):
        norm.register_forward_hook(lambda *_: None)  # whoever looks in between sees the sum
    assert all(torch.equal(a, b) for a, b in zip(together, run()))
