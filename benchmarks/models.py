"""Whole training steps: zero_grad, forward, loss, backward, optimizer step; and an epoch of the data loader.

Each library draws its own weights, so a step returns nothing that could be compared.
"""

import math

from benchmarks import case, floats, integers


def training_step(torch, model, optimizer, x, y):
    """One step of a classifier: scores (..., classes) against class numbers."""
    loss_of = torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        scores = model(x)
        loss_of(scores.reshape(-1, scores.shape[-1]), y).backward()
        optimizer.step()

    return step


def mlp(torch, *widths):
    nn = torch.nn
    layers = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


@case("step: MLP 16-32-32-2, batch 32, SGD", aim=0.3)
def mlp_tiny(torch):
    model = mlp(torch, 16, 32, 32, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training_step(torch, model, optimizer, floats(torch, 32, 16), integers(torch, 32, below=2))


def mlp_case(batch):
    @case(f"step: MLP 784-512-512-10, batch {batch}, Adam")
    def mlp_large(torch):
        model = mlp(torch, 784, 512, 512, 10)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return training_step(torch, model, optimizer, floats(torch, batch, 784), integers(torch, batch, below=10))


for batch in (64, 1024):
    mlp_case(batch)


@case("step: LeNet-5, batch 64, Adam")
def lenet(torch):
    nn = torch.nn
    features = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    classifier = [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    model = nn.Sequential(*features, *classifier)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training_step(torch, model, optimizer, floats(torch, 64, 1, 32, 32), integers(torch, 64, below=10))


@case("step: residual CNN 3-64-64-128, 32x32, batch 16, SGD with momentum")
def residual(torch):
    nn, relu = torch.nn, torch.nn.functional.relu

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

        def forward(self, x):
            y = relu(self.norm1(self.conv1(x)))
            return relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    head = [nn.AvgPool2d(16), nn.Flatten(), nn.Linear(128, 10)]
    model = nn.Sequential(Block(3, 64, 1), Block(64, 64, 1), Block(64, 128, 2), *head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return training_step(torch, model, optimizer, floats(torch, 16, 3, 32, 32), integers(torch, 16, below=10))


@case("step: GPT 4 layers x 256, context 128, batch 8, AdamW")
def gpt(torch):
    nn = torch.nn
    vocabulary, context, width, heads, n = 96, 128, 256, 8, 8

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.register_buffer("future", torch.ones(context, context).triu(1) > 0)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).view(n, context, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(width // heads)
            mixed = scores.masked_fill(self.future, float("-inf")).softmax(-1) @ v
            x = x + self.output(mixed.transpose(1, 2).reshape(n, context, width))
            return x + self.mlp(self.norm2(x))

    blocks = [Block() for _ in range(4)]
    model = nn.Sequential(nn.Embedding(vocabulary, width), *blocks, nn.LayerNorm(width), nn.Linear(width, vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = integers(torch, n, context, below=vocabulary), integers(torch, n * context, below=vocabulary)
    return training_step(torch, model, optimizer, x, y)


@case("epoch of a DataLoader, 1797 digits in batches of 32, shuffled")
def loader(torch):
    data = torch.utils.data
    digits = data.TensorDataset(floats(torch, 1797, 1, 32, 32), integers(torch, 1797, below=10))
    batches = data.DataLoader(digits, batch_size=32, shuffle=True)

    def epoch():
        for _ in batches:
            pass

    return epoch
