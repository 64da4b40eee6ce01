"""Recurrent layers as modules: names, forms, packed sequences, dropout, graphs, equal bits however work is shared."""

import math
import pickle
import warnings

import numpy as np
import pytest

import tessel as torch
from tessel import nn
from tessel.autograd import gradcheck, gradgradcheck
from tessel.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch says or does it otherwise")


def randn(*shape, seed=0, dtype="float32"):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def bits(*tensors):
    return [t.detach().numpy().tobytes() for t in tensors]


REPRS = [
    (lambda: nn.RNN(2, 3), "RNN(2, 3)"),
    (lambda: nn.LSTM(2, 3, 2, False, True, 0.5), "LSTM(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5)"),
    (lambda: nn.LSTM(2, 3, proj_size=1, bidirectional=True), "LSTM(2, 3, proj_size=1, bidirectional=True)"),
    (lambda: nn.GRU(2, 3), "GRU(2, 3)"),
    (lambda: nn.RNNCell(2, 3, nonlinearity="relu"), "RNNCell(2, 3, nonlinearity=relu)"),
    (lambda: nn.LSTMCell(2, 3, bias=False), "LSTMCell(2, 3, bias=False)"),
    (lambda: nn.GRUCell(2, 3), "GRUCell(2, 3)"),
]


@pytest.mark.parametrize("make, text", REPRS, ids=[text for _, text in REPRS])
def test_reprs(make, text):
    assert repr(make()) == text


@ours_alone
def test_the_other_gru_says_so():
    assert repr(nn.GRU(2, 3, reset_after=False)) == "GRU(2, 3, reset_after=False)"
    assert repr(nn.GRUCell(2, 3, reset_after=False)) == "GRUCell(2, 3, reset_after=False)"


def test_parameters_and_their_start():
    layer = nn.LSTM(5, 64, 2, bidirectional=True, proj_size=7)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert list(shapes)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0"]
    assert list(shapes)[5:7] == ["weight_ih_l0_reverse", "weight_hh_l0_reverse"]
    assert shapes["weight_ih_l0"] == (256, 5) and shapes["weight_ih_l1_reverse"] == (256, 14)
    assert shapes["weight_hh_l1"] == (256, 7) and shapes["weight_hr_l1"] == (7, 64) and shapes["bias_hh_l0"] == (256,)
    bound = 1 / math.sqrt(64)
    for parameter in layer.parameters():
        assert 0.5 * bound < parameter.abs().max() <= bound
    assert [len(weights) for weights in layer.all_weights] == [5] * 4
    layer.flatten_parameters()


@pytest.mark.parametrize("kind", ("RNN", "LSTM", "GRU"))
def test_a_layer_is_its_cell_repeated(kind):
    layer, cell = getattr(nn, kind)(3, 5), getattr(nn, kind + "Cell")(3, 5)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, state = randn(12, 2, 3), None
    y, last = layer(x)
    for t in range(12):
        state = cell(x[t], state)
        h = state[0] if kind == "LSTM" else state
        np.testing.assert_allclose(y[t].detach().numpy(), h.detach().numpy(), rtol=1e-5, atol=1e-6)
    last = last[0] if kind == "LSTM" else last
    np.testing.assert_allclose(last[0].detach().numpy(), h.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ("RNN", "LSTM", "GRU"))
def test_packed_sequences_run_as_each_would_alone(kind):
    layer = getattr(nn, kind)(3, 20, 2, bidirectional=True)
    sequences = [randn(n, 3, seed=n) for n in (4, 7, 1, 5)]
    packed, last = layer(pack_sequence(sequences, enforce_sorted=False))
    for i, (sequence, y) in enumerate(zip(sequences, unpack_sequence(packed))):
        alone, state = layer(sequence)
        np.testing.assert_allclose(y.detach().numpy(), alone.detach().numpy(), rtol=1e-5, atol=1e-6)
        pairs = zip(last, state) if kind == "LSTM" else [(last, state)]
        for a, b in pairs:
            np.testing.assert_allclose(a[:, i].detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


MAKES = [
    lambda: nn.RNN(2, 3, nonlinearity="relu"),
    lambda: nn.LSTM(2, 3, bidirectional=True),
    lambda: nn.LSTM(2, 4, 2, proj_size=2),
    lambda: nn.GRU(2, 3, 2),
    lambda: nn.GRU(2, 3, bias=False),
]


@pytest.mark.parametrize("index", range(len(MAKES)))
@pytest.mark.parametrize("packed", (False, True))
def test_gradients_of_both_orders(index, packed):
    torch.manual_seed(index)
    layer = MAKES[index]().double()
    names = [name for name, _ in layer.named_parameters()]
    x = randn(3, 2, 2, dtype="float64").requires_grad_()

    def run(x, *weights):
        values = [torch.zeros(layer.num_layers * (2 if layer.bidirectional else 1), 2, n).double() for n in sizes]
        sequence = pack_padded_sequence(x, [3, 2]) if packed else x
        op = {"RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru}[layer.mode]
        hx = values if layer.mode == "LSTM" else values[0]
        rest = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional)
        if packed:
            return op(sequence.data, sequence.batch_sizes, hx, list(weights), *rest)
        return op(sequence, hx, list(weights), *rest, False)

    sizes = (layer.proj_size or layer.hidden_size, layer.hidden_size)
    weights = [getattr(layer, name).detach().clone().requires_grad_() for name in names]
    assert gradcheck(run, (x, *weights))
    assert gradgradcheck(run, (x, *weights[:2]) + tuple(w.detach() for w in weights[2:]))


def test_only_the_last_state_is_used():
    for layer in (nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4), nn.RNN(3, 4)):
        x = randn(5, 2, 3).requires_grad_()
        last = layer(x)[1]
        (last[1] if isinstance(last, tuple) else last).sum().backward()
        assert x.grad.abs().sum() > 0 and all(p.grad is not None for p in layer.parameters())


def test_gradients_of_the_two_biases_are_two():
    layer = nn.LSTM(2, 3)
    layer(randn(4, 1, 2))[0].sum().backward()
    layer.bias_ih_l0.grad.zero_()
    assert layer.bias_hh_l0.grad.abs().sum() > 0


def test_a_graph_runs_once_unless_retained():
    layer = nn.GRU(2, 3)
    y = layer(randn(4, 1, 2))[0].sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_an_overwritten_output_is_noticed():
    layer = nn.LSTM(2, 3)
    y = layer(randn(4, 1, 2))[0]
    total = y.sum()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_frozen_weights_get_no_gradient():
    layer = nn.LSTM(2, 3)
    layer.weight_hh_l0.requires_grad_(False)
    layer(randn(4, 1, 2))[0].sum().backward()
    assert layer.weight_hh_l0.grad is None and layer.weight_ih_l0.grad is not None


def test_dropout_works_between_layers_in_training():
    layer = nn.GRU(4, 8, 2, dropout=0.5)
    x = randn(5, 3, 4)
    torch.manual_seed(1)
    first = layer(x)[0]
    second = layer(x)[0]
    torch.manual_seed(1)
    assert bits(first) == bits(layer(x)[0]) and bits(first) != bits(second)
    layer.eval()
    assert bits(layer(x)[0]) == bits(layer(x)[0])
    silent = nn.GRU(4, 8, 2, dropout=1.0)
    silent.load_state_dict(layer.state_dict())
    assert bits(silent(x)[0]) == bits(silent(x + 1)[0])  # nothing passes the first layer
    with pytest.warns(UserWarning, match="dropout"):
        nn.GRU(4, 8, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.GRU(4, 8, 2, dropout=0.5)


@pytest.mark.parametrize("dtype", ("bfloat16", "float16"))
def test_sixteen_bits_are_computed_in_float32(dtype):
    layer = nn.LSTM(3, 20, 2).to(getattr(torch, dtype))
    wide = nn.LSTM(3, 20, 2)
    wide.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    x = randn(30, 2, 3).to(getattr(torch, dtype))
    y, (h, c) = layer(x)
    wanted = wide(x.float())[0]
    assert y.dtype == h.dtype == c.dtype == x.dtype
    step = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    assert (y.float() - wanted).abs().max() < 2 * step
    y.sum().backward()
    assert layer.weight_ih_l0.grad.dtype == x.dtype


@pytest.mark.skipif(STANDS_IN, reason="PyTorch does not promise equal bits at every thread count")
@pytest.mark.parametrize("kind", ("RNN", "LSTM", "GRU", "before", "projected"))
def test_the_same_bits_however_threads_share(kind, threads):
    """Batches so small that threads go in step by units, and so large that they share the sequences out."""
    for batch, hidden in ((1, 200), (5, 130), (130, 50)):
        torch.manual_seed(0)
        if kind == "before":
            layer = nn.GRU(20, hidden, reset_after=False)
        elif kind == "projected":
            layer = nn.LSTM(20, hidden, proj_size=40)
        else:
            layer = getattr(nn, kind)(20, hidden, bidirectional=True)
        lengths = sorted(np.random.default_rng(0).integers(3, 13, batch).tolist(), reverse=True)
        for packed in (False, True):
            seen = []
            for count in (1, 2, 3, 7):
                threads(count)
                layer.zero_grad()
                x = randn(max(lengths), batch, 20).requires_grad_()
                y, last = layer(pack_padded_sequence(x, lengths) if packed else x)
                y = y.data if packed else y
                (y * y).sum().backward()
                last = last[0] if isinstance(last, tuple) else last
                seen.append(bits(y, last, x.grad, *(p.grad for p in layer.parameters())))
            assert all(s == seen[0] for s in seen), (kind, batch, packed)


def test_empty_batches():
    for layer in (nn.LSTM(3, 4, 2), nn.GRU(3, 4), nn.RNN(3, 4)):
        x = torch.zeros(5, 0, 3, requires_grad=True)
        y, _ = layer(x)
        assert y.shape == (5, 0, 4)
        y.sum().backward()
        assert all((p.grad == 0).all() for p in layer.parameters())


def test_packing_and_padding():
    parts = [torch.arange(float(n)) for n in (2, 4, 1)]
    packed = pack_sequence(parts, enforce_sorted=False)
    assert packed.data.tolist() == [0, 0, 0, 1, 1, 2, 3] and packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert [p.tolist() for p in unpack_sequence(packed)] == [p.tolist() for p in parts]
    padded, lengths = pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=5)
    assert padded.tolist() == [[0, 1, -1, -1, -1], [0, 1, 2, 3, -1], [0, -1, -1, -1, -1]]
    assert lengths.tolist() == [2, 4, 1]
    assert [p.tolist() for p in unpad_sequence(padded, lengths, True)] == [p.tolist() for p in parts]
    assert pad_sequence(parts, True, -1, "left").tolist() == [[-1, -1, 0, 1], [0, 1, 2, 3], [-1, -1, -1, 0]]
    assert invert_permutation(torch.tensor([2, 0, 1])).tolist() == [1, 2, 0] and invert_permutation(None) is None


def test_a_packed_sequence_is_a_tuple_that_converts_and_pickles():
    packed = pack_sequence([torch.arange(3.0), torch.arange(1.0)])
    data, sizes, order, back = packed
    assert data is packed.data and order is None and back is None and sizes.tolist() == [2, 1, 1]
    assert packed.double().data.dtype == torch.float64 and packed.float() is packed and packed.cpu() is packed
    assert packed.to(torch.float16).half().data.dtype == torch.float16 and packed.long().data.dtype == torch.int64
    copy = pickle.loads(pickle.dumps(packed))
    assert isinstance(copy, PackedSequence) and copy.data.tolist() == data.tolist() and copy.sorted_indices is None


def test_packing_passes_gradients():
    x = randn(4, 3, 2, dtype="float64").requires_grad_()
    lengths = [1, 4, 2]

    def there_and_back(x):
        return pad_packed_sequence(pack_padded_sequence(x, lengths, enforce_sorted=False))[0]

    assert gradcheck(there_and_back, (x,))
    there_and_back(x).sum().backward()
    assert x.grad[:, :, 0].tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 0], [0, 1, 0]]


def test_a_layer_learns():
    """The sign of a sum over a sequence: only a working recurrence, forward and backward, gets there."""
    torch.manual_seed(0)
    layer, head = nn.GRU(1, 16), nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    x = randn(10, 64, 1, seed=3)
    y = (x.sum(0) > 0).float()
    for _ in range(150):
        loss = nn.functional.binary_cross_entropy_with_logits(head(layer(x)[1][0]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
