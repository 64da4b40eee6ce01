"""How cost grows: the same work at growing sizes, drawn as time against size on logarithmic axes (growth.png)."""

from benchmarks import case, floats
from benchmarks.models import gpt, texts
from benchmarks.ops import with_gradient


def curve(name, sizes):
    """Registers the function below it as a case for each size: function(torch, size) -> the callable to time."""

    def register(build):
        for size in sizes:

            @case(f"growth of {name}, {size}", curve=(name, size))
            def at_size(torch, size=size):
                return build(torch, size)

        return build

    return register


@curve("a product of two n x n matrices, n", (32, 64, 128, 256, 512, 1024, 2048))
def product(torch, n):
    a, b = floats(torch, n, n), floats(torch, n, n, seed=1)
    return lambda: a @ b


@curve("a 3x3 convolution 64 to 64 of 8 images, forward+backward, pixels a side", (4, 8, 16, 32, 64, 128))
def convolution(torch, side):
    x, w = floats(torch, 8, 64, side, side, grad=True), floats(torch, 64, 64, 3, 3, grad=True)
    return with_gradient(lambda: torch.nn.functional.conv2d(x, w, padding=1), x, w)


@curve("causal attention of 8 heads of 64, forward+backward, tokens", (32, 64, 128, 256, 512, 1024, 2048, 4096))
def attention(torch, length):
    q, k, v = (floats(torch, 1, 8, length, 64, grad=True, seed=seed) for seed in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    return with_gradient(lambda: attend(q, k, v, is_causal=True), q, k, v)


@curve("an LSTM of 128 over 16 sequences, forward+backward, steps", (4, 16, 64, 256, 1024))
def sequence(torch, steps):
    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(128, 128), floats(torch, steps, 16, 128, grad=True)
    function = with_gradient(lambda: lstm(x)[0], x, *lstm.parameters())
    return lambda: None if function() is None else None  # each library draws its own weights


@curve("a training step of a GPT of 4 layers, context 64, batch 4, width", (32, 64, 128, 256, 512))
def width(torch, width):
    torch.manual_seed(0)
    model, (x, y) = gpt(torch, context=64, width=width), texts(64, 96)(torch, 4)
    optimizer, loss_of = torch.optim.AdamW(model.parameters(), lr=1e-3), torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss_of(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()

    return step
