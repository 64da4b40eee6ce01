"""Matrix products of every kind: large, small, skinny, many at once, each dtype; arithmetic or memory is the limit."""

from benchmarks import case, floats
from benchmarks.ops import with_gradient


def typed(torch, dtype, *shape, seed=0, transposed=False):
    """A matrix (or a stack) of the shape; transposed: the same shape, with the columns along memory."""
    if transposed:
        shape = (*shape[:-2], shape[-1], shape[-2])
    x = floats(torch, *shape, seed=seed).to(getattr(torch, dtype))
    return x.transpose(-1, -2) if transposed else x


def matmul_case(a, b, dtype="float32", layout="nn"):
    """A product; the layout's letters say of either factor whether its rows (n) or its columns (t) lie along memory."""
    shape = "x".join(map(str, a)) + " by " + "x".join(map(str, b))

    @case(f"gemm {dtype} {layout}, {shape}")
    def matmul(torch):
        x = typed(torch, dtype, *a, transposed=layout[0] == "t")
        y = typed(torch, dtype, *b, seed=1, transposed=layout[1:] == "t")
        return lambda: x @ y


for n in (512, 1024):
    for layout in ("nn", "nt", "tn", "tt"):
        matmul_case((n, n), (n, n), layout=layout)
matmul_case((2048, 2048), (2048, 2048))
for dtype in ("float64", "bfloat16", "float16"):
    for n in (512, 1024):
        matmul_case((n, n), (n, n), dtype)
    matmul_case((512, 512), (512, 512), dtype, "nt")
for n in (8, 16, 32, 64, 128):
    matmul_case((n, n), (n, n))
    matmul_case((n, n), (n, n), layout="nt")
for n in (32, 128):
    for dtype in ("float64", "bfloat16", "float16"):
        matmul_case((n, n), (n, n), dtype)

# Skinny: one row, few rows, few columns, a depth far larger than the result.
for dtype in ("float32", "bfloat16"):
    matmul_case((1, 2048), (2048, 2048), dtype)
    matmul_case((1, 2048), (2048, 2048), dtype, "nt")
matmul_case((1, 256), (256, 256), layout="nt")
matmul_case((8, 1024), (1024, 1024), layout="nt")
matmul_case((32, 1024), (1024, 1024), layout="nt")
matmul_case((4096, 512), (512, 64))
matmul_case((4096, 512), (512, 16))
matmul_case((64, 512), (512, 4096))
matmul_case((64, 16384), (16384, 64), layout="tn")
matmul_case((64, 16384), (16384, 64))
matmul_case((512, 1024), (1024, 10))
matmul_case((10, 1024), (1024, 512), layout="tn")

# Stacks.
matmul_case((512, 16, 16), (512, 16, 16))
matmul_case((96, 128, 64), (96, 64, 128))
matmul_case((96, 128, 64), (96, 64, 128), layout="nt")
matmul_case((48, 256, 64), (48, 64, 256), "bfloat16", "nt")
matmul_case((8, 512, 64), (8, 64, 512))


def linear_case(rows, inputs, outputs, dtype="float32"):
    @case(f"linear {dtype}, {rows}x{inputs} to {outputs}, bias")
    def linear(torch):
        x, w = typed(torch, dtype, rows, inputs), typed(torch, dtype, outputs, inputs, seed=1)
        b = floats(torch, outputs).to(getattr(torch, dtype))
        return lambda: torch.nn.functional.linear(x, w, b)


for rows, inputs, outputs in ((1, 784, 512), (64, 784, 512), (64, 512, 10), (512, 768, 3072), (1024, 256, 1024)):
    linear_case(rows, inputs, outputs)
linear_case(512, 768, 3072, "bfloat16")


def activated_case(rows, inputs, outputs, activation):
    """A layer and the activation behind it, as nn.Sequential runs them."""

    def layers(torch):
        model = torch.nn.Sequential(torch.nn.Linear(inputs, outputs), getattr(torch.nn, activation)())
        with torch.no_grad():
            for seed, weight in enumerate(model.parameters()):
                weight.copy_(floats(torch, *weight.shape, seed=seed) / inputs**0.5)
        return model

    @case(f"Linear and {activation}, {rows}x{inputs} to {outputs}, forward")
    def forward(torch):
        model, x = layers(torch), floats(torch, rows, inputs)

        def call():
            with torch.no_grad():
                return model(x)

        return call

    @case(f"Linear and {activation}, {rows}x{inputs} to {outputs}, forward+backward")
    def forward_backward(torch):
        model, x = layers(torch), floats(torch, rows, inputs, grad=True)
        return with_gradient(lambda: model(x), x, *model.parameters())


for activation in ("ReLU", "GELU"):
    for rows, inputs, outputs in ((1, 256, 256), (64, 512, 512), (1024, 256, 1024)):
        activated_case(rows, inputs, outputs, activation)
