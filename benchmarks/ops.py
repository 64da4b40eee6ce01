"""Single operations, forward or with their gradients; and, on demand, whatever the specs in tests/ want timed."""

import math

from benchmarks import CASES, Case, case, floats, integers


def with_gradient(function, *leaves):
    """A callable that runs the function and its backward pass; its result is the gradient of the first leaf."""
    if hasattr(type(leaves[0]), "with_gradient"):  # a library that differentiates functions, not arrays
        return leaves[0].with_gradient(function, leaves)
    seed = None

    def call():
        nonlocal seed
        for leaf in leaves:
            leaf.grad = None
        y = function()
        if seed is None:
            seed = y.detach().cos()  # not constant: a normalization's gradient would be nothing but rounding
        y.backward(seed)
        return leaves[0].grad

    return call


# What a call costs before any arithmetic.


@case("a + b, 1 element", aim=0.6)
def add_one(torch):
    a, b = floats(torch, 1), floats(torch, 1, seed=1)
    return lambda: a + b


@case("linear, 1x16 by 16x16", aim=0.5)
def linear_small(torch):
    x, w, b = floats(torch, 1, 16), floats(torch, 16, 16), floats(torch, 16)
    linear = torch.nn.functional.linear
    return lambda: linear(x, w, b)


@case("a * b and backward, 1 element")
def product_with_gradient(torch):
    a, b = floats(torch, 1, grad=True), floats(torch, 1, grad=True, seed=1)
    return with_gradient(lambda: a * b, a, b)


@case("100 products of 1 element and backward", aim=0.4)
def chain(torch):
    x, w = floats(torch, 1, grad=True), torch.ones(1)

    def product():
        y = x
        for _ in range(100):
            y = y * w
        return y

    return with_gradient(product, x)


@case("x[3, 1:5]")
def index_view(torch):
    x = floats(torch, 8, 8)
    return lambda: x[3, 1:5]


# Elementwise: the memory system is the limit.


@case("a + b, 1M elements")
def add_million(torch):
    a, b = floats(torch, 1 << 20), floats(torch, 1 << 20, seed=1)
    return lambda: a + b


@case("a + b, 16M elements", aim=0.4)
def add_large(torch):
    a, b = floats(torch, 1 << 24), floats(torch, 1 << 24, seed=1)
    return lambda: a + b


@case("exp, 1M elements")
def exp(torch):
    x = floats(torch, 1 << 20)
    return lambda: x.exp()


@case("gelu, 1M elements")
def gelu(torch):
    x = floats(torch, 1 << 20)
    return lambda: torch.nn.functional.gelu(x)


@case("gelu written out in 9 operations, 1M elements")
def gelu_by_hand(torch):
    x = floats(torch, 1 << 20)
    return lambda: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@case("transpose copy, 2048x2048")
def transpose(torch):
    x = floats(torch, 2048, 2048)
    return lambda: x.t().contiguous()


# Along a dimension.


@case("sum of all, 16M elements")
def sum_all(torch):
    x = floats(torch, 1 << 24)
    return lambda: x.sum()


@case("sum over rows, 4096x1024")
def sum_rows(torch):
    x = floats(torch, 4096, 1024)
    return lambda: x.sum(0)


@case("argmax along rows, 4096x1024")
def argmax(torch):
    x = floats(torch, 4096, 1024)
    return lambda: x.argmax(1)


@case("softmax, 4096x1024")
def softmax(torch):
    x = floats(torch, 4096, 1024)
    return lambda: x.softmax(-1)


@case("layer_norm, 4096x768, forward+backward")
def layer_norm(torch):
    x, w, b = floats(torch, 4096, 768, grad=True), floats(torch, 768, grad=True), floats(torch, 768, grad=True, seed=1)
    return with_gradient(lambda: torch.nn.functional.layer_norm(x, (768,), w, b), x, w, b)


@case("batch_norm, 32x64x56x56, forward+backward")
def batch_norm(torch):
    x, w, b = floats(torch, 32, 64, 56, 56, grad=True), floats(torch, 64, grad=True), floats(torch, 64, grad=True)
    return with_gradient(lambda: torch.nn.functional.batch_norm(x, None, None, w, b, training=True), x, w, b)


@case("cross_entropy, 4096x10000, forward+backward")
def cross_entropy(torch):
    x, y = floats(torch, 4096, 10000, grad=True), integers(torch, 4096, below=10000)
    return with_gradient(lambda: torch.nn.functional.cross_entropy(x, y), x)


@case("max_pool2d(2), 64x64x56x56, forward+backward")
def max_pool(torch):
    x = floats(torch, 64, 64, 56, 56, grad=True)
    return with_gradient(lambda: torch.nn.functional.max_pool2d(x, 2), x)


@case("embedding, 8192 of 50000x512, forward+backward")
def embedding(torch):
    w, rows = floats(torch, 50000, 512, grad=True), integers(torch, 8192, below=50000)
    return with_gradient(lambda: torch.nn.functional.embedding(rows, w), w)


# Matrix products and convolutions: arithmetic is the limit.


def matmul_case(n):
    @case(f"matmul, {n}x{n}x{n}", aim=3.0)
    def matmul(torch):
        a, b = floats(torch, n, n), floats(torch, n, n, seed=1)
        return lambda: a @ b


for n in (256, 512, 1024, 2048):
    matmul_case(n)


@case("matmul, 96 of 128x64x128")
def matmul_batched(torch):
    a, b = floats(torch, 96, 128, 64), floats(torch, 96, 64, 128)
    return lambda: a @ b


@case("linear, 512x768 by 768x3072, forward+backward")
def linear_large(torch):
    x, w, b = floats(torch, 512, 768, grad=True), floats(torch, 3072, 768, grad=True), floats(torch, 3072, grad=True)
    return with_gradient(lambda: torch.nn.functional.linear(x, w, b), x, w, b)


def conv_cases(name, image, weight, **arguments):
    """Two cases of one convolution: forward alone, and with the gradients of image and weight."""

    @case(f"conv {name}, forward", aim=3.0)
    def forward(torch):
        x, w = floats(torch, *image), floats(torch, *weight)
        return lambda: torch.nn.functional.conv2d(x, w, **arguments)

    @case(f"conv {name}, forward+backward", aim=3.0)
    def forward_backward(torch):
        x, w = floats(torch, *image, grad=True), floats(torch, *weight, grad=True)
        return with_gradient(lambda: torch.nn.functional.conv2d(x, w, **arguments), x, w)


conv_cases("3x3, 8x64x56x56 to 64", (8, 64, 56, 56), (64, 64, 3, 3), padding=1)
conv_cases("1x1, 8x256x56x56 to 64", (8, 256, 56, 56), (64, 256, 1, 1))
conv_cases("depthwise 3x3, 8x96x56x56", (8, 96, 56, 56), (96, 1, 3, 3), padding=1, groups=96)


@case("attention by hand, 4x12x512x64, forward+backward")
def attention(torch):
    q, k, v = (floats(torch, 4, 12, 512, 64, grad=True, seed=seed) for seed in range(3))
    return with_gradient(lambda: (q @ k.transpose(-2, -1) / 8).softmax(-1) @ v, q, k, v)


def register_specs():
    """Adds every bench case of tests/specs, without an aim: whatever has a spec can be timed."""
    from tests.specs import every_spec

    for spec in every_spec():
        for wanted in spec.bench:

            def build(torch, spec=spec, wanted=wanted):
                args, kwargs = wanted.tensors(torch, "float32")
                function = spec.function(torch)
                return lambda: function(*args, **kwargs)

            name = f"{spec.name}({wanted})"
            CASES[name] = Case(name, build, "specs")
