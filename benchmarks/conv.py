"""Convolutions of every kind, each of the three products on its own: forward, backward to the image, to the weight."""

from benchmarks import case, floats


def conv_cases(name, image, weight, dtype="float32", transposed=False, **arguments):
    """Three cases of one convolution."""
    function = f"conv{'_transpose' if transposed else ''}{len(image) - 2}d"
    stack = "x".join(map(str, image))

    def operands(torch):
        cast = getattr(torch, dtype)
        x, w = floats(torch, *image).to(cast), floats(torch, *weight, seed=1).to(cast)
        return x, w, lambda: getattr(torch.nn.functional, function)(x, w, **arguments)

    @case(f"conv {name}, {stack}, forward")
    def forward(torch):
        return operands(torch)[2]

    def backward(torch, which):
        *leaves, product = operands(torch)
        leaf = leaves[which].requires_grad_()
        y = product()
        dy = y.detach() * 0.5
        return lambda: torch.autograd.grad(y, leaf, dy, retain_graph=True)[0]

    @case(f"conv {name}, {stack}, to the image")
    def to_image(torch):
        return backward(torch, 0)

    @case(f"conv {name}, {stack}, to the weight")
    def to_weight(torch):
        return backward(torch, 1)


conv_cases("1x1 to 64", (8, 256, 56, 56), (64, 256, 1, 1))
conv_cases("1x1 to 256", (8, 64, 28, 28), (256, 64, 1, 1))
conv_cases("1x1/2 to 128", (8, 64, 56, 56), (128, 64, 1, 1), stride=2)
conv_cases("3x3 to 64", (8, 64, 56, 56), (64, 64, 3, 3), padding=1)
conv_cases("3x3 to 64", (1, 64, 56, 56), (64, 64, 3, 3), padding=1)
conv_cases("3x3 to 64", (32, 64, 32, 32), (64, 64, 3, 3), padding=1)
conv_cases("3x3 to 128", (32, 128, 16, 16), (128, 128, 3, 3), padding=1)
conv_cases("3x3 to 256", (32, 256, 8, 8), (256, 256, 3, 3), padding=1)
conv_cases("3x3 to 512", (32, 512, 4, 4), (512, 512, 3, 3), padding=1)
conv_cases("3x3 to 512", (1, 512, 7, 7), (512, 512, 3, 3), padding=1)
conv_cases("3x3 to 64", (32, 3, 32, 32), (64, 3, 3, 3), padding=1)
conv_cases("3x3/2 to 128", (8, 64, 56, 56), (128, 64, 3, 3), padding=1, stride=2)
conv_cases("3x3 dilated to 64", (8, 64, 28, 28), (64, 64, 3, 3), padding=2, dilation=2)
conv_cases("5x5 to 6", (64, 1, 28, 28), (6, 1, 5, 5), padding=2)
conv_cases("5x5 to 16", (64, 6, 14, 14), (16, 6, 5, 5))
conv_cases("5x5 to 64", (8, 32, 28, 28), (64, 32, 5, 5), padding=2)
conv_cases("7x7/2 to 64", (8, 3, 224, 224), (64, 3, 7, 7), padding=3, stride=2)
conv_cases("16x16/16 to 192", (8, 3, 224, 224), (192, 3, 16, 16), stride=16)
conv_cases("3x3 of 32 groups", (8, 128, 28, 28), (128, 4, 3, 3), padding=1, groups=32)
conv_cases("3x3 depthwise", (8, 96, 56, 56), (96, 1, 3, 3), padding=1, groups=96)
conv_cases("3x3/2 depthwise", (8, 96, 56, 56), (96, 1, 3, 3), padding=1, stride=2, groups=96)
conv_cases("7x7 depthwise", (8, 96, 28, 28), (96, 1, 7, 7), padding=3, groups=96)
conv_cases("4x4/2 transposed to 64", (8, 128, 16, 16), (128, 64, 4, 4), transposed=True, stride=2, padding=1)
conv_cases("2x2/2 transposed to 64", (8, 128, 28, 28), (128, 64, 2, 2), transposed=True, stride=2)
conv_cases("3 to 64", (8, 64, 1000), (64, 64, 3), padding=1)
conv_cases("3x3x3 to 32", (2, 16, 16, 28, 28), (32, 16, 3, 3, 3), padding=1)
conv_cases("3x3 to 64 bfloat16", (8, 64, 56, 56), (64, 64, 3, 3), dtype="bfloat16", padding=1)
conv_cases("1x1 to 64 bfloat16", (8, 256, 56, 56), (64, 256, 1, 1), dtype="bfloat16")
