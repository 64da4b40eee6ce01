"""Elementwise maths, broadcasting, casting, copies and joins from 16 to 16M elements: memory is the limit."""

from benchmarks import case, floats

SIZES = {"16": 16, "1K": 1 << 10, "16K": 1 << 14, "256K": 1 << 18, "1M": 1 << 20, "16M": 1 << 24}


def sized(name, prepare, sizes=tuple(SIZES)):
    """A case for each size; prepare(torch, n) gives what is to be timed."""
    for size in sizes:
        case(f"{name}, {size}")(lambda torch, n=SIZES[size]: prepare(torch, n))


def binary(operation):
    def prepare(torch, n):
        a, b = floats(torch, n), floats(torch, n, seed=1)
        return lambda: operation(a, b)

    return prepare


def unary(operation):
    def prepare(torch, n):
        x = floats(torch, n)
        return lambda: operation(torch, x)

    return prepare


def into_out(torch, n):
    a, b, y = floats(torch, n), floats(torch, n, seed=1), floats(torch, n, seed=2)
    return lambda: torch.add(a, b, out=y)


def broadcast_row(torch, n):
    rows = max(1, n // 1024)
    a, b = floats(torch, rows, n // rows), floats(torch, n // rows)
    return lambda: a + b


def broadcast_column(torch, n):
    rows = max(4, n // 1024)
    a, b = floats(torch, rows, n // rows), floats(torch, rows, 1)
    return lambda: a * b


def transposed(torch, n):
    side = int(n**0.5)
    x = floats(torch, side, side).t()
    return lambda: x.contiguous()


def add_transposed(torch, n):
    side = int(n**0.5)
    a, b = floats(torch, side, side), floats(torch, side, side).t()
    return lambda: a + b


def cast(wanted, given="float32"):
    def prepare(torch, n):
        x, dtype = floats(torch, n).to(getattr(torch, given)), getattr(torch, wanted)
        return lambda: x.to(dtype)

    return prepare


def typed(dtype):
    def prepare(torch, n):
        a, b = (floats(torch, n, seed=seed).to(getattr(torch, dtype)) for seed in range(2))
        return lambda: a * b

    return prepare


def joined(dim):
    def prepare(torch, n):
        parts = [floats(torch, max(4, n // 4096), 256, seed=seed) for seed in range(4)]
        return lambda: torch.cat(parts, dim)

    return prepare


sized("a + b", binary(lambda a, b: a + b))
sized("a * 2", unary(lambda torch, x: x * 2))
sized("a.add_(b)", binary(lambda a, b: a.add_(b, alpha=1e-6)))
sized("add(a, b, out=)", into_out)
sized("a < b", binary(lambda a, b: a < b))
sized("relu", unary(lambda torch, x: torch.relu(x)))
sized("exp", unary(lambda torch, x: x.exp()))
sized("tanh", unary(lambda torch, x: x.tanh()))
sized("sigmoid", unary(lambda torch, x: x.sigmoid()))
sized("log of |x|", unary(lambda torch, x: x.abs().log()), ("1K", "1M"))
sized("sin", unary(lambda torch, x: x.sin()), ("1K", "1M"))
sized("silu", unary(lambda torch, x: torch.nn.functional.silu(x)), ("1K", "1M"))
sized("where(a < b, a, b)", binary(lambda a, b: a.where(a < b, b)), ("1K", "1M"))
sized("clamp", unary(lambda torch, x: x.clamp(-1, 1)), ("1K", "1M"))
sized("a / b", binary(lambda a, b: a / b), ("1K", "1M"))
sized("a ** 2", unary(lambda torch, x: x**2), ("1K", "1M"))
sized("a + row", broadcast_row, ("16K", "1M", "16M"))
sized("a * column", broadcast_column, ("16K", "1M", "16M"))
sized("transpose copy", transposed, ("16K", "1M", "16M"))
sized("a + b.t()", add_transposed, ("16K", "1M"))
sized("clone", unary(lambda torch, x: x.clone()), ("1K", "1M", "16M"))
sized("float32 to bfloat16", cast("bfloat16"), ("1K", "1M", "16M"))
sized("bfloat16 to float32", cast("float32", "bfloat16"), ("1K", "1M"))
sized("float32 to int64", cast("int64"), ("1M",))
sized("float32 to float64", cast("float64"), ("1M",))
for dtype in ("float64", "bfloat16", "float16", "int32", "int64"):
    sized(f"a * b {dtype}", typed(dtype), ("1K", "1M"))
sized("cat of 4 along 0", joined(0), ("16K", "1M", "16M"))
sized("cat of 4 along 1", joined(1), ("16K", "1M", "16M"))
sized("zeros", unary(lambda torch, x: torch.zeros(x.shape[0])), ("1K", "1M", "16M"))
sized("randn", unary(lambda torch, x: torch.randn(x.shape[0])), ("1K", "1M"))
sized("dropout", unary(lambda torch, x: torch.nn.functional.dropout(x, 0.5)), ("1K", "1M"))
