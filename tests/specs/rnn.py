"""Recurrent layers and cells, step by step in numpy; sequences of one length and packed ones."""

import numpy as np

from . import Input, Spec, case, error, given, rand

# Many steps and sums: rounding adds up.
TOLERANCE = {"float32": (2e-5, 2e-5), "float16": (6e-3, 6e-3), "bfloat16": (4e-2, 4e-2)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def product(x, w, b=None):
    return x @ w.T + (0 if b is None else b)


def plain_step(f):
    def step(x, state, w_ih, w_hh, b_ih=None, b_hh=None):
        h = f(product(x, w_ih, b_ih) + product(state[0], w_hh, b_hh))
        return (h,)

    return step


def lstm_step(x, state, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None):
    h, c = state
    i, f, g, o = np.split(product(x, w_ih, b_ih) + product(h, w_hh, b_hh), 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h if w_hr is None else h @ w_hr.T), c


def gru_step(reset_after):
    def step(x, state, w_ih, w_hh, b_ih=None, b_hh=None):
        (h,) = state
        g, n = product(x, w_ih, b_ih), h.shape[-1]
        q = product(h, w_hh, b_hh)
        r, z = sigmoid(g[:, :n] + q[:, :n]), sigmoid(g[:, n : 2 * n] + q[:, n : 2 * n])
        if reset_after:
            last = r * q[:, 2 * n :]
        else:
            last = product(r * h, w_hh[2 * n :], None if b_hh is None else b_hh[2 * n :])
        return ((1 - z) * np.tanh(g[:, 2 * n :] + last) + z * h,)

    return step


def layers(step, rows, sizes, states, weights, biases, num_layers, bidirectional):
    """rows: step after step, as many as `sizes` says."""
    directions = 2 if bidirectional else 1
    each = len(weights) // (num_layers * directions)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    lasts = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            w = weights[k * each : (k + 1) * each]
            w = w if biases else (*w[:2], None, None, *w[2:])
            state = [s[k].copy() for s in states]
            y = [None] * len(sizes)
            for t in range(len(sizes))[:: -1 if direction else 1]:
                n = sizes[t]
                fresh = step(rows[starts[t] : starts[t + 1]], [s[:n] for s in state], *w)
                state = [np.concatenate([f, s[n:]]) for f, s in zip(fresh, state)]
                y[t] = fresh[0]
            outputs.append(np.concatenate(y))
            lasts.append(state)
        rows = np.concatenate(outputs, -1)
    return rows, *(np.stack(s) for s in zip(*lasts))


def sequence(step, count):
    def run(*args, **kwargs):
        after = kwargs.pop("reset_after", True)
        do = step(after) if step is gru_step else step
        states_of = lambda hx: hx if count > 1 else [hx]
        if isinstance(args[3], list):  # packed
            rows, sizes, hx, weights, biases, num_layers, _, _, bidirectional = args
            sizes = [int(n) for n in sizes]
            return layers(do, rows, sizes, states_of(hx), weights, biases, num_layers, bidirectional)
        x, hx, weights, biases, num_layers, _, _, bidirectional, batch_first = args
        x = np.swapaxes(x, 0, 1) if batch_first else x
        steps, batch = x.shape[:2]
        y, *lasts = layers(
            do, x.reshape(steps * batch, -1), [batch] * steps, states_of(hx), weights, biases, num_layers, bidirectional
        )
        y = y.reshape(steps, batch, -1)
        return np.swapaxes(y, 0, 1) if batch_first else y, *lasts

    return run


def cell(step, count):
    def run(x, hx, w_ih, w_hh, b_ih=None, b_hh=None, reset_after=True):
        do = step(reset_after) if step is gru_step else step
        result = do(x, hx if count > 1 else [hx], w_ih, w_hh, b_ih, b_hh)
        return result if count > 1 else result[0]

    return run


def weight(hidden, *shape):
    """Within +-1.2/sqrt(hidden), near what layers begin with: larger ones let a relu's state grow step by step, and
    its sums lose the digits that a small result would need."""
    bound = min(0.6, 1.2 / hidden**0.5)
    return Input(shape, -bound, bound)


def weights(gates, inputs, hidden, num_layers=1, directions=1, biases=True, projected=0):
    found = []
    for layer in range(num_layers):
        for _ in range(directions):
            output = projected or hidden
            found += [
                weight(hidden, gates * hidden, output * directions if layer else inputs),
                weight(hidden, gates * hidden, output),
            ]
            found += [weight(hidden, gates * hidden), weight(hidden, gates * hidden)] if biases else []
            found += [weight(hidden, projected, hidden)] if projected else []
    return found


def layer_cases(gates, lstm=False):
    def states(count, batch, hidden, projected=0):
        h = rand(count, batch, projected or hidden)
        return [h, rand(count, batch, hidden)] if lstm else h

    def one(steps, batch, inputs, hidden, num_layers=1, both=False, biases=True, batch_first=False, projected=0):
        directions = 2 if both else 1
        x = rand(batch, steps, inputs) if batch_first else rand(steps, batch, inputs)
        hx = states(num_layers * directions, batch, hidden, projected)
        w = weights(gates, inputs, hidden, num_layers, directions, biases, projected)
        return case(x, hx, w, biases, num_layers, 0.0, False, both, batch_first)

    def packed(sizes, inputs, hidden, num_layers=1, both=False):
        directions = 2 if both else 1
        hx = states(num_layers * directions, sizes[0], hidden)
        w = weights(gates, inputs, hidden, num_layers, directions)
        return case(rand(sum(sizes), inputs), given(sizes, "int64"), hx, w, True, num_layers, 0.0, False, both)

    cases = [
        one(4, 3, 2, 3),
        packed([3, 2, 2, 1], 2, 3, both=True),
        one(5, 2, 3, 2, biases=False, batch_first=True),
        one(3, 5, 2, 3, num_layers=2, both=True),
        packed([5, 5, 2, 1], 3, 2),
        packed([2, 1], 2, 2, num_layers=2, both=True),
        one(1, 2, 3, 4),
        one(2, 1, 3, 5),
        one(12, 1, 5, 35),
        one(3, 17, 7, 70),
        one(2, 2, 3, 1),
    ]
    if lstm:
        cases.insert(2, one(4, 3, 2, 4, both=True, projected=2))
        cases += [one(11, 3, 2, 35, projected=18), one(1, 2, 3, 4, num_layers=2, projected=2, biases=False)]
    return cases, one(9, 40, 19, 70, both=True), one(32, 16, 128, 128)


PLAIN, PLAIN_LARGE, PLAIN_BENCH = layer_cases(1)
LSTM, LSTM_LARGE, LSTM_BENCH = layer_cases(4, lstm=True)
GRU, GRU_LARGE, GRU_BENCH = layer_cases(3)
# the same with the reset gate before the product
GRU += [type(c)(c.args, {"reset_after": False}, c.only) for c in GRU]
GRU = GRU[:2] + GRU[len(GRU) // 2 : len(GRU) // 2 + 2] + GRU[2 : len(GRU) // 2] + GRU[len(GRU) // 2 + 2 :]


def layer_errors(gates, lstm=False):
    def wrong(kind, match, x=(4, 2, 3), batch=2, w=None, count=1, both=False):
        h = rand(count, batch, 3)
        w = weights(gates, 3, 3) if w is None else w
        return error(kind, match, rand(*x), [h, h] if lstm else h, w, True, 1, 0.0, False, both, False)

    return [
        wrong(RuntimeError, "input must have 3 dimensions, got 2", x=(4, 3)),
        wrong(RuntimeError, ".*Expected 3, got 5", x=(4, 2, 5)),
        wrong(RuntimeError, r".*\(1, 2, 3\), got \(1, 5, 3\)", batch=5),
        wrong(RuntimeError, ".*weights", both=True),
        wrong(RuntimeError, ".*larger than 0", x=(0, 2, 3)),
    ]


def layer(name, step, cases, large, bench, gates, lstm=False):
    return Spec(
        name,
        sequence(step, 2 if lstm else 1),
        cases,
        method=False,
        tolerance=TOLERANCE,
        layouts=("transposed", "stepped"),
        large=large,
        bench=[bench],
        errors=layer_errors(gates, lstm),
    )


def one_step(name, step, gates, lstm=False):
    hx = lambda *shape: [rand(*shape), rand(*shape)] if lstm else rand(*shape)
    cases = [
        case(rand(3, 2), hx(3, 4), *weights(gates, 2, 4)),
        case(rand(2, 3), hx(2, 3), *weights(gates, 3, 3, biases=False)),
        case(rand(1, 4), hx(1, 20), *weights(gates, 4, 20)),
        case(rand(11, 5), hx(11, 33), *weights(gates, 5, 33)),
    ]
    if gates == 3:
        cases += [type(c)(c.args, {"reset_after": False}, c.only) for c in cases]
    return Spec(
        name,
        cell(step, 2 if lstm else 1),
        cases,
        method=False,
        tolerance=TOLERANCE,
        layouts=("transposed", "stepped"),
        large=case(rand(64, 40), hx(64, 150), *weights(gates, 40, 150)),
        bench=[case(rand(16, 128), hx(16, 128), *weights(gates, 128, 128))],
        errors=[
            error(RuntimeError, ".*2D", rand(2), hx(1, 3), *weights(gates, 2, 3)),
            error(RuntimeError, ".*batch size", rand(2, 2), hx(3, 3), *weights(gates, 2, 3)),
            error(RuntimeError, ".*Expected 3, got 2", rand(2, 2), hx(2, 3), *weights(gates, 3, 3)),
            error(RuntimeError, ".*hidden", rand(2, 2), hx(2, 4), *weights(gates, 2, 3)),
        ],
    )


def relu(x):
    return np.maximum(x, 0)


SPECS = [
    layer("lstm", lstm_step, LSTM, LSTM_LARGE, LSTM_BENCH, 4, lstm=True),
    layer("gru", gru_step, GRU, GRU_LARGE, GRU_BENCH, 3),
    layer("rnn_tanh", plain_step(np.tanh), PLAIN, PLAIN_LARGE, PLAIN_BENCH, 1),
    layer("rnn_relu", plain_step(relu), PLAIN, PLAIN_LARGE, PLAIN_BENCH, 1),
    one_step("lstm_cell", lstm_step, 4, lstm=True),
    one_step("gru_cell", gru_step, 3),
    one_step("rnn_tanh_cell", plain_step(np.tanh), 1),
    one_step("rnn_relu_cell", plain_step(relu), 1),
]
