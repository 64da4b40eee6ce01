"""What runs along a dimension: sums, extremes, moments, scans, softmax, normalizations, losses. Memory is the limit."""

from benchmarks import case, floats, integers
from benchmarks.ops import with_gradient

FOLDS = {
    "sum": lambda x, *dim: x.sum(*dim),
    "mean": lambda x, *dim: x.mean(*dim),
    "amax": lambda x, *dim: x.amax(*dim),
    "argmax": lambda x, *dim: x.argmax(*dim),
    "var": lambda x, *dim: x.var(*dim),
    "norm": lambda x, *dim: x.norm(2, *dim),
}
for name, fold in FOLDS.items():
    for shape, *dim in (
        ((1024,),),
        ((1 << 20,),),
        ((1024, 1024), 0),
        ((1024, 1024), 1),
        ((64, 32, 512), 1),
        ((65536, 16), 1),
    ):
        title = f"{name}, {'x'.join(map(str, shape))}{f' over {dim[0]}' if dim else ''}"

        @case(title)
        def folded(torch, fold=fold, shape=shape, dim=dim):
            x = floats(torch, *shape)
            return lambda: fold(x, *dim)


def row_case(name, shape, function, *leaves):
    """Two cases, without and with gradients: function(torch, x, *leaves) over x of the shape; leaves: more shapes."""
    title = f"{name}, {'x'.join(map(str, shape))}"

    @case(f"{title}, forward")
    def forward(torch):
        x, *rest = (floats(torch, *s, seed=i) for i, s in enumerate((shape, *leaves)))
        return lambda: function(torch, x, *rest)

    @case(f"{title}, forward+backward")
    def forward_backward(torch):
        x, *rest = (floats(torch, *s, seed=i, grad=True) for i, s in enumerate((shape, *leaves)))
        return with_gradient(lambda: function(torch, x, *rest), x, *rest)


for shape in (128, 64), (1024, 1024), (64, 32768):
    row_case("softmax", shape, lambda torch, x: x.softmax(-1))
    row_case("log_softmax", shape, lambda torch, x: x.log_softmax(-1))
row_case("softmax over channels", (8, 21, 64, 64), lambda torch, x: x.softmax(1))
row_case("logsumexp", (1024, 1024), lambda torch, x: x.logsumexp(-1))
row_case("cumsum", (1024, 1024), lambda torch, x: x.cumsum(-1))
for shape in (32, 256), (1024, 768), (128, 4096):
    row_case(
        "layer_norm",
        shape,
        lambda torch, x, w, b: torch.nn.functional.layer_norm(x, w.shape, w, b),
        shape[1:],
        shape[1:],
    )
    row_case("rms_norm", shape, lambda torch, x, w: torch.nn.functional.rms_norm(x, w.shape, w), shape[1:])
for shape in (16, 64, 32, 32), (64, 256, 8, 8), (1024, 128):
    row_case(
        "batch_norm",
        shape,
        lambda torch, x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True),
        shape[1:2],
        shape[1:2],
    )
row_case(
    "group_norm of 8", (16, 64, 32, 32), lambda torch, x, w, b: torch.nn.functional.group_norm(x, 8, w, b), (64,), (64,)
)

for rows, classes in (128, 10), (1024, 1000):

    @case(f"cross_entropy, {rows}x{classes}, forward+backward")
    def cross_entropy(torch, rows=rows, classes=classes):
        x, y = floats(torch, rows, classes, grad=True), integers(torch, rows, below=classes)
        return with_gradient(lambda: torch.nn.functional.cross_entropy(x, y), x)


row_case("mse_loss", (1024, 1024), lambda torch, x, y: torch.nn.functional.mse_loss(x, y), (1024, 1024))
