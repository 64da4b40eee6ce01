"""Whole models: a training step (zero_grad, forward, loss, backward, optimizer step), the answer to a single input, and
an epoch of the data loader.

Each library draws its own weights, so nothing is returned that could be compared.
"""

import math

from benchmarks import case, floats, integers


def mlp(torch, *widths):
    nn = torch.nn
    layers = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def lenet5(torch):
    nn = torch.nn
    features = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    classifier = [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*features, *classifier)


def residual_block(torch, inputs, outputs, stride):
    """Two 3x3 convolutions and the way around them, a 1x1 convolution where the shape changes."""
    nn, relu = torch.nn, torch.nn.functional.relu

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
            self.shortcut = nn.Identity()
            if stride > 1 or inputs != outputs:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            y = relu(self.norm1(self.conv1(x)))
            return relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    return Block()


def residual_cnn(torch):
    nn = torch.nn
    blocks = [residual_block(torch, *form) for form in ((3, 64, 1), (64, 64, 1), (64, 128, 2))]
    return nn.Sequential(*blocks, nn.AvgPool2d(16), nn.Flatten(), nn.Linear(128, 10))


def resnet18(torch):
    """ResNet-18 as it is used on 32x32 images: the stem is one 3x3 convolution, and nothing pools before the end."""
    nn = torch.nn
    stem = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [residual_block(torch, a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:])]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def vgg11(torch):
    """VGG-11 with batch normalization, as it is used on 32x32 images."""
    nn, layers, inputs = torch.nn, [], 3
    for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def lstm_language_model(torch, vocabulary=1000, width=200):
    nn = torch.nn

    class LanguageModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
            self.head = nn.Linear(width, vocabulary)

        def forward(self, x):
            return self.head(self.lstm(self.embedding(x))[0])

    return LanguageModel()


def gpt(torch, vocabulary=96, context=128, width=256, heads=8, depth=4):
    """A causal transformer, its attention spelled out as teaching code does."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.register_buffer("future", torch.ones(context, context).triu(1) > 0)

        def forward(self, x):
            n = x.shape[0]
            q, k, v = self.qkv(self.norm1(x)).view(n, context, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(width // heads)
            mixed = scores.masked_fill(self.future, float("-inf")).softmax(-1) @ v
            x = x + self.output(mixed.transpose(1, 2).reshape(n, context, width))
            return x + self.mlp(self.norm2(x))

    blocks = [Block() for _ in range(depth)]
    return nn.Sequential(nn.Embedding(vocabulary, width), *blocks, nn.LayerNorm(width), nn.Linear(width, vocabulary))


def vit_tiny(torch, size=32, patch=4, width=192, heads=3, depth=4):
    """A vision transformer of tiny's width on 32x32 images: 64 patches, the class token, torch's own encoder layer."""
    nn = torch.nn

    class VisionTransformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, patch)
            self.token = nn.Parameter(torch.zeros(1, 1, width))
            self.position = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
            layer = nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
            return self.head(self.norm(self.encoder(x))[:, 0])

    return VisionTransformer()


def adam(torch, parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


def sgd(torch, parameters):
    return torch.optim.SGD(parameters, lr=0.01)


def momentum(torch, parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def model_cases(name, build, inputs, batches, optimizer, aim=None):
    """A training step for each batch size, and the answer to one input. inputs(torch, n): n inputs, their classes."""

    def step_case(batch):
        @case(f"step: {name}, batch {batch}", aim=aim)
        def step(torch):
            torch.manual_seed(0)
            model, (x, y), loss_of = build(torch), inputs(torch, batch), torch.nn.CrossEntropyLoss()
            descent = optimizer(torch, model.parameters())

            def call():
                descent.zero_grad()
                scores = model(x)
                loss_of(scores.reshape(-1, scores.shape[-1]), y.reshape(-1)).backward()
                descent.step()

            return call

    for batch in batches:
        step_case(batch)

    @case(f"one input: {name}")
    def answer(torch):
        torch.manual_seed(0)
        model, (x, _) = build(torch).eval(), inputs(torch, 1)

        def call():
            with torch.inference_mode():
                model(x)

        return call


def vectors(width, classes):
    return lambda torch, n: (floats(torch, n, width), integers(torch, n, below=classes))


def images(channels, size):
    return lambda torch, n: (floats(torch, n, channels, size, size), integers(torch, n, below=10))


def texts(length, vocabulary):
    return lambda torch, n: (
        integers(torch, n, length, below=vocabulary),
        integers(torch, n, length, below=vocabulary),
    )


model_cases("MLP 16-32-32-2, SGD", lambda torch: mlp(torch, 16, 32, 32, 2), vectors(16, 2), (32,), sgd, aim=0.3)
model_cases(
    "MLP 784-512-512-10, Adam", lambda torch: mlp(torch, 784, 512, 512, 10), vectors(784, 10), (1, 64, 1024), adam
)
model_cases("LeNet-5, Adam", lenet5, images(1, 32), (64,), adam)
model_cases("residual CNN 3-64-64-128, SGD with momentum", residual_cnn, images(3, 32), (16,), momentum)
model_cases("ResNet-18 on 32x32, SGD with momentum", resnet18, images(3, 32), (16,), momentum)
model_cases("VGG-11 on 32x32, SGD with momentum", vgg11, images(3, 32), (16,), momentum)
model_cases("LSTM language model 2x200, 35 steps, Adam", lstm_language_model, texts(35, 1000), (20,), adam)
model_cases("GPT 4 layers x 256, context 128, Adam", gpt, texts(128, 96), (8,), adam)
model_cases("ViT 4 layers x 192, 65 tokens, Adam", vit_tiny, images(3, 32), (16,), adam)


@case("epoch of a DataLoader, 1797 digits in batches of 32, shuffled")
def loader(torch):
    data = torch.utils.data
    digits = data.TensorDataset(floats(torch, 1797, 1, 32, 32), integers(torch, 1797, below=10))
    batches = data.DataLoader(digits, batch_size=32, shuffle=True)

    def epoch():
        for _ in batches:
            pass

    return epoch
