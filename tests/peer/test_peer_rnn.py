"""Recurrent layers beside PyTorch's: outputs, states and gradients with the same weights, in every form a layer has."""

import itertools
import warnings

import numpy as np
import pytest

import tessel

torch = pytest.importorskip("torch")

KINDS = ("RNN", "LSTM", "GRU")
FORMS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 3, "batch_first": True},
    {"bidirectional": True, "batch_first": True},
]


def pair(kind, *args, **kwargs):
    """The same layer in both libraries, with the same weights, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, kind)(*args, **kwargs, dtype=torch.float64)
        ours = getattr(tessel.nn, kind)(*args, **kwargs, dtype=tessel.float64)
    state = {name: tessel.from_numpy(value.numpy().copy()) for name, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(state)
    assert repr(ours) == repr(theirs)
    return ours, theirs


def both(array):
    return tessel.from_numpy(array.copy()).requires_grad_(), torch.from_numpy(array.copy()).requires_grad_()


def close(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-11)


def flat(result):
    if result is None or not isinstance(result, (tuple, list)):
        return [] if result is None or result.dtype in (tessel.int64, torch.int64) else [result]
    return [t for part in result for t in flat(part)]


def compare(ours, theirs, modules, leaves):
    """Results, and what comes back to the leaves and the weights."""
    generator = np.random.default_rng(1)
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs)
    numbers = [0, 0]
    for a, b in zip(ours, theirs):
        close(a, b)
        weight = generator.standard_normal(tuple(b.shape))
        numbers[0] = numbers[0] + (a * tessel.from_numpy(weight)).sum()
        numbers[1] = numbers[1] + (b * torch.from_numpy(weight)).sum()
    for number in numbers:
        number.backward()
    for a, b in leaves:
        close(a.grad, b.grad)
    for (name, a), (_, b) in zip(modules[0].named_parameters(), modules[1].named_parameters()):
        assert a.grad.shape == tuple(b.grad.shape), name
        close(a.grad, b.grad)


def states(kind, layers, batch, hidden, projected=0):
    generator = np.random.default_rng(2)
    h = both(generator.standard_normal((layers, *batch, projected or hidden)))
    if kind != "LSTM":
        return h, [h]
    c = both(generator.standard_normal((layers, *batch, hidden)))
    return ((h[0], c[0]), (h[1], c[1])), [h, c]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("given", (False, True))
def test_sequences(kind, form, given):
    for steps, batch, inputs, hidden in ((5, 3, 4, 6), (1, 2, 3, 4), (7, 1, 3, 37), (3, 19, 5, 70)):
        modules = pair(kind, inputs, hidden, **form)
        x = both(
            np.random.default_rng(0).standard_normal(
                (batch, steps, inputs) if form.get("batch_first") else (steps, batch, inputs)
            )
        )
        layers = form.get("num_layers", 1) * (2 if form.get("bidirectional") else 1)
        hx, leaves = states(kind, layers, (batch,), hidden) if given else ((None, None), [])
        compare(modules[0](x[0], hx[0]), modules[1](x[1], hx[1]), modules, [x, *leaves])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_projections(form):
    modules = pair("LSTM", 4, 21, proj_size=5, **form)
    x = both(np.random.default_rng(0).standard_normal((5, 3, 4)))
    layers, batch = (
        form.get("num_layers", 1) * (2 if form.get("bidirectional") else 1),
        5 if form.get("batch_first") else 3,
    )
    hx, leaves = states("LSTM", layers, (batch,), 21, 5)
    compare(modules[0](x[0], hx[0]), modules[1](x[1], hx[1]), modules, [x, *leaves])


@pytest.mark.parametrize("kind", (*KINDS, "relu"))
def test_unbatched(kind):
    more = {"nonlinearity": "relu"} if kind == "relu" else {}
    kind = "RNN" if kind == "relu" else kind
    modules = pair(kind, 4, 6, 2, bidirectional=True, **more)
    x = both(np.random.default_rng(0).standard_normal((5, 4)))
    hx, leaves = states(kind, 4, (), 6)
    compare(modules[0](x[0], hx[0]), modules[1](x[1], hx[1]), modules, [x, *leaves])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", (False, True))
@pytest.mark.parametrize("lengths", ((6, 4, 4, 1), (2, 6, 1, 6), (3, 3, 3, 3)), ids=str)
def test_packed(kind, bidirectional, lengths):
    in_order = list(lengths) == sorted(lengths, reverse=True)
    for batch_first, enforce in itertools.product((False, True), (True, False) if in_order else (False,)):
        modules = pair(kind, 3, 5, 2, bidirectional=bidirectional)
        x = both(np.random.default_rng(0).standard_normal((4, 6, 3) if batch_first else (6, 4, 3)))
        hx, leaves = states(kind, 4 if bidirectional else 2, (4,), 5)
        results = []
        for library, module, input, state in zip((tessel, torch), modules, x, hx):
            rnn = library.nn.utils.rnn
            packed = rnn.pack_padded_sequence(input, library.tensor(lengths), batch_first, enforce)
            y, last = module(packed, state)
            padded, back = rnn.pad_packed_sequence(y, batch_first, padding_value=0.5, total_length=7)
            assert back.tolist() == list(lengths)
            results.append((y, padded, last))
        assert results[0][0].batch_sizes.tolist() == results[1][0].batch_sizes.tolist()
        compare(*results, modules, [x, *leaves])


@pytest.mark.parametrize("kind", ("RNNCell", "LSTMCell", "GRUCell"))
@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("given", (False, True))
@pytest.mark.parametrize("batch", ((), (3,), (20,)), ids=str)
def test_cells(kind, bias, given, batch):
    modules = pair(kind, 4, 6, bias=bias)
    generator = np.random.default_rng(0)
    x = both(generator.standard_normal((*batch, 4)))
    h, c = (both(generator.standard_normal((*batch, 6))) for _ in range(2))
    hx = ((h[0], c[0]), (h[1], c[1])) if kind == "LSTMCell" else h
    leaves = [] if not given else [h, c] if kind == "LSTMCell" else [h]
    hx = hx if given else (None, None)
    compare(modules[0](x[0], hx[0]), modules[1](x[1], hx[1]), modules, [x, *leaves])


WRONG = [
    lambda nn, t: nn.LSTM(0, 3),
    lambda nn, t: nn.LSTM(3, 0),
    lambda nn, t: nn.LSTM(3.0, 3),
    lambda nn, t: nn.GRU(3, 3.0),
    lambda nn, t: nn.GRU(3, 3, 0),
    lambda nn, t: nn.GRU(3, 3, dropout=1.5),
    lambda nn, t: nn.GRU(3, 3, dropout=True),
    lambda nn, t: nn.GRU(3, 3, proj_size=2),
    lambda nn, t: nn.RNN(3, 3, proj_size=2),
    lambda nn, t: nn.LSTM(3, 3, proj_size=3),
    lambda nn, t: nn.LSTM(3, 3, proj_size=-1),
    lambda nn, t: nn.RNN(3, 3, nonlinearity="gelu"),
    lambda nn, t: nn.LSTM(3, 3)(t(2, 2, 2, 3)),
    lambda nn, t: nn.LSTM(3, 3)(t(2, 2, 4)),
    lambda nn, t: nn.GRU(3, 3)(t(2, 2, 3), t(1, 3)),
    lambda nn, t: nn.GRU(3, 3)(t(2, 2, 3), t(1, 4, 3)),
    lambda nn, t: nn.GRU(3, 3)(t(2, 3), t(1, 1, 3)),
    lambda nn, t: nn.LSTM(3, 3)(t(2, 2, 3), (t(1, 2, 3), t(1, 2, 4))),
    lambda nn, t: nn.LSTM(3, 3)(t(0, 2, 3)),
    lambda nn, t: nn.LSTM(3, 3)(t(2, 2, 3).double()),
    lambda nn, t: nn.GRUCell(3, 3)(t(2, 2, 3)),
    lambda nn, t: nn.GRUCell(3, 3)(t(2, 4)),
    lambda nn, t: nn.GRUCell(3, 3)(t(2, 3), t(3, 3)),
    lambda nn, t: nn.LSTMCell(3, 3)(t(2, 3), (t(2, 4), t(2, 4))),
    lambda nn, t: nn.RNNCell(3, 3, nonlinearity="gelu")(t(2, 3)),
    lambda nn, t: nn.utils.rnn.pack_padded_sequence(t(3, 2, 1), [1, 3]),
    lambda nn, t: nn.utils.rnn.pack_padded_sequence(t(3, 2, 1), [3, 0]),
    lambda nn, t: nn.utils.rnn.pack_padded_sequence(t(3, 2, 1), [3]),
    lambda nn, t: nn.utils.rnn.pack_sequence([t(1, 2), t(2, 2)]),
    lambda nn, t: nn.utils.rnn.pad_packed_sequence(nn.utils.rnn.pack_sequence([t(3, 2)]), total_length=2),
    lambda nn, t: nn.utils.rnn.pad_sequence([]),
    lambda nn, t: nn.utils.rnn.pad_sequence([t(2, 2), t(2, 3)]),
]


@pytest.mark.parametrize("index", range(len(WRONG)))
def test_errors_have_the_type_of_pytorchs(index):
    raised = []
    for library in (torch, tessel):
        with pytest.raises(Exception) as error:
            WRONG[index](library.nn, library.ones)
        raised.append(error.value)
    assert type(raised[0]) is type(raised[1]), raised


def test_packing():
    for library in (torch, tessel):
        rnn = library.nn.utils.rnn
        parts = [library.arange(n).double() for n in (2, 4, 1)]
        packed = rnn.pack_sequence(parts, enforce_sorted=False)
        assert packed.data.tolist() == [0, 0, 0, 1, 1, 2, 3] and packed.batch_sizes.tolist() == [3, 2, 1, 1]
        assert packed.sorted_indices.tolist() == [1, 0, 2] and packed.unsorted_indices.tolist() == [1, 0, 2]
        assert [p.tolist() for p in rnn.unpack_sequence(packed)] == [p.tolist() for p in parts]
        padded, lengths = rnn.pad_packed_sequence(packed, True, -1)
        assert padded.tolist() == [[0, 1, -1, -1], [0, 1, 2, 3], [0, -1, -1, -1]] and lengths.tolist() == [2, 4, 1]
        left = rnn.pad_sequence(parts, True, -1, "left")
        assert left.tolist() == [[-1, -1, 0, 1], [0, 1, 2, 3], [-1, -1, -1, 0]]
        assert [p.tolist() for p in rnn.unpad_sequence(padded, lengths, True)] == [p.tolist() for p in parts]
        assert packed.to(library.float32).data.dtype == library.float32 and packed.to(library.float64) is packed
