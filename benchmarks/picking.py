"""Pooling, embedding, gathers, scatters and sorting: what moves elements to where an index says."""

from benchmarks import case, floats, integers
from benchmarks.ops import with_gradient


def both(name, shape, function):
    """Two cases: function(torch, x) without and with the gradient of x."""

    @case(f"{name}, forward")
    def forward(torch):
        x = floats(torch, *shape)
        return lambda: function(torch, x)

    @case(f"{name}, forward+backward")
    def forward_backward(torch):
        x = floats(torch, *shape, grad=True)
        return with_gradient(lambda: function(torch, x), x)


for shape in (64, 6, 28, 28), (16, 64, 32, 32), (1, 64, 112, 112):
    image = "x".join(map(str, shape))
    both(f"max_pool2d(2), {image}", shape, lambda torch, x: torch.nn.functional.max_pool2d(x, 2))
    both(f"max_pool2d(3, 2, 1), {image}", shape, lambda torch, x: torch.nn.functional.max_pool2d(x, 3, 2, 1))
    both(f"avg_pool2d(2), {image}", shape, lambda torch, x: torch.nn.functional.avg_pool2d(x, 2))
    both(f"adaptive_avg_pool2d(1), {image}", shape, lambda torch, x: torch.nn.functional.adaptive_avg_pool2d(x, 1))
both("max_pool1d(2), 64x64x256", (64, 64, 256), lambda torch, x: torch.nn.functional.max_pool1d(x, 2))


def embed(torch, w, index):
    return torch.nn.functional.embedding(index, w)


def indexed(name, shape, index_shape, function, below=None):
    """function(torch, x, index) without and with the gradient of x; the index is below the first size of x."""

    @case(f"{name}, forward")
    def forward(torch):
        x, index = floats(torch, *shape), integers(torch, *index_shape, below=below or shape[0])
        return lambda: function(torch, x, index)

    @case(f"{name}, forward+backward")
    def forward_backward(torch):
        x, index = floats(torch, *shape, grad=True), integers(torch, *index_shape, below=below or shape[0])
        return with_gradient(lambda: function(torch, x, index), x)


indexed("embedding, 64x128 of 10000x64", (10000, 64), (64, 128), embed)
indexed("embedding, 32 of 1000x256", (1000, 256), (32,), embed)
indexed("gather, 4096x64 of 4096x256", (4096, 256), (4096, 64), lambda torch, x, i: x.gather(1, i), below=256)
indexed("index_select of rows, 8192 of 10000x128", (10000, 128), (8192,), lambda torch, x, i: x.index_select(0, i))
indexed("x[index], 8192 of 10000x128", (10000, 128), (8192,), lambda torch, x, i: x[i])
indexed(
    "take_along_dim, 4096x64 of 4096x256",
    (4096, 256),
    (4096, 64),
    lambda torch, x, i: x.take_along_dim(i, 1),
    below=256,
)


@case("index_add, 8192 rows into 1000x128")
def index_add(torch):
    x, rows, i = floats(torch, 1000, 128), floats(torch, 8192, 128), integers(torch, 8192, below=1000)
    return lambda: x.index_add(0, i, rows)


@case("scatter_add, 4096x64 into 4096x256")
def scatter_add(torch):
    x, values, i = floats(torch, 4096, 256), floats(torch, 4096, 64), integers(torch, 4096, 64, below=256)
    return lambda: x.scatter_add(1, i, values)


@case("x[mask], 1M")
def masked_select(torch):
    x = floats(torch, 1 << 20)
    mask = x > 0
    return lambda: x[mask]


@case("x[mask] = 0, 1M")
def masked_fill(torch):
    x = floats(torch, 1 << 20)
    mask = x > 0

    def fill():
        x[mask] = 0
        return x

    return fill


@case("nonzero, 1M")
def nonzero(torch):
    mask = floats(torch, 1 << 20) > 1
    return lambda: mask.nonzero()


both("sort, 1M", (1 << 20,), lambda torch, x: x.sort()[0])
both("sort, 1024x1024", (1024, 1024), lambda torch, x: x.sort(-1)[0])
both("sort, 1000", (1000,), lambda torch, x: x.sort()[0])
both("topk(10), 1024x1024", (1024, 1024), lambda torch, x: x.topk(10)[0])
both("topk(5), 64x32000", (64, 32000), lambda torch, x: x.topk(5)[0])
both("max along, 1024x1024", (1024, 1024), lambda torch, x: x.max(-1)[0])


@case("argsort, 64K int64")
def argsort(torch):
    x = integers(torch, 1 << 16, below=1 << 30)
    return lambda: x.argsort()


@case("unique, 64K of 1000")
def unique(torch):
    x = integers(torch, 1 << 16, below=1000)
    return lambda: x.unique()


@case("one_hot, 8192 of 100")
def one_hot(torch):
    x = integers(torch, 8192, below=100)
    return lambda: torch.nn.functional.one_hot(x, 100)
