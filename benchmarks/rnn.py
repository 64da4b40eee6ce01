"""Recurrent layers, forward and with all gradients: one sequence to many, narrow to wide, packed, both directions."""

from benchmarks import case, floats
from benchmarks.ops import with_gradient

AIM = 1.05  # of each case: not slower, but for noise; their mean is to be at most 1 / 1.2


def layer(torch, kind, inputs, hidden, **form):
    """The layer with the same weights in every library."""
    module = getattr(torch.nn, kind)(inputs, hidden, **form)
    with torch.no_grad():
        for seed, weight in enumerate(module.parameters()):
            weight.copy_(floats(torch, *weight.shape, seed=seed) / hidden**0.5)
    return module


def cases(kind, steps, batch, inputs, hidden, told="", **form):
    name = f"{kind}, {batch} of {steps} steps, {inputs} to {hidden}{told}"

    @case(f"{name}, forward", aim=AIM)
    def forward(torch):
        module, x = layer(torch, kind, inputs, hidden, **form), floats(torch, steps, batch, inputs)

        def call():
            with torch.no_grad():
                return module(x)[0]

        return call

    @case(f"{name}, forward+backward", aim=AIM)
    def forward_backward(torch):
        module, x = layer(torch, kind, inputs, hidden, **form), floats(torch, steps, batch, inputs, grad=True)
        return with_gradient(lambda: module(x)[0], x, *module.parameters())


for kind in ("LSTM", "GRU", "RNN"):
    for batch, hidden in ((1, 32), (1, 256), (1, 1024), (16, 128), (32, 256), (128, 32), (128, 256), (32, 1024)):
        cases(kind, 32, batch, hidden, hidden)
    cases(kind, 128, 32, 256, 256)
    cases(kind, 64, 16, 128, 128, ", both directions", bidirectional=True)
cases("LSTM", 35, 64, 650, 650, " in 2 layers", num_layers=2)
cases("LSTM", 35, 20, 200, 200, " in 2 layers", num_layers=2)
cases("LSTM", 32, 32, 256, 512, ", projected to 128", proj_size=128)


@case("LSTM, 32 packed sequences of 1 to 64 steps, 128 to 128, forward+backward", aim=AIM)
def packed(torch):
    rnn = torch.nn.utils.rnn
    module, x = layer(torch, "LSTM", 128, 128), floats(torch, 64, 32, 128, grad=True)
    lengths = [64 - 2 * i for i in range(32)]
    return with_gradient(lambda: module(rnn.pack_padded_sequence(x, lengths))[0].data, x, *module.parameters())


def step_cases(kind):
    for batch, hidden in ((1, 64), (1, 512), (64, 256)):

        @case(f"{kind}Cell, batch {batch}, {hidden} to {hidden}", aim=AIM)
        def step(torch, batch=batch, hidden=hidden):
            cell, x, h = (
                layer(torch, kind + "Cell", hidden, hidden),
                floats(torch, batch, hidden),
                floats(torch, batch, hidden),
            )
            state = (h, h) if kind == "LSTM" else h

            def call():
                with torch.no_grad():
                    y = cell(x, state)
                return y[0] if kind == "LSTM" else y

            return call


for kind in ("LSTM", "GRU", "RNN"):
    step_cases(kind)
