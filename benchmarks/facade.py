"""NumPy and JAX under the names that the cases use, as far as arrays and functions of arrays go: `--against numpy|jax`.

JAX compiles each case once, as its users do, and is waited for; NumPy runs it as it is written. A case that needs more
(modules, optimizers, whatever stands below under no name) is left out of the run.
"""

from types import SimpleNamespace

import numpy as np

DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
UNARY = ("abs", "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "tanh", "floor", "ceil", "round", "sign")
BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "matmul", "where", "arctan2")
FOLDS = {"sum": "sum", "mean": "mean", "amax": "max", "amin": "min", "argmax": "argmax", "argmin": "argmin"}
OPERATORS = ("add", "sub", "mul", "truediv", "pow", "matmul", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "mod")


class Missing(AttributeError):
    """The case is not for this library."""


def raw(x):
    return x.data if isinstance(x, Array) else x


class Array:
    """An array with a tensor's methods."""

    def __init__(self, data, library):
        self.data, self.library = data, library

    def __getattr__(self, name):
        function = getattr(self.library, name, None)
        if name.startswith("_") or not callable(function):
            raise Missing(f"{self.library.__name__}: no {name}")
        return lambda *args, **kwargs: function(self, *args, **kwargs)

    def make(self, data):
        return Array(data, self.library)

    def __getitem__(self, index):
        return self.make(self.data[tuple(map(raw, index)) if isinstance(index, tuple) else raw(index)])

    def __neg__(self):
        return self.make(-self.data)

    def numel(self):
        return self.data.size

    @property
    def shape(self):
        return self.data.shape

    def requires_grad_(self):
        if not self.library.differentiates:
            raise Missing(f"{self.library.__name__} has no gradients")
        return self

    def with_gradient(self, function, leaves):
        return self.library.with_gradient(function, leaves)

    def t(self):
        return self.make(self.data.T)

    def transpose(self, a, b):
        return self.make(self.library.xp.swapaxes(self.data, a, b))

    def permute(self, *dims):
        return self.make(self.library.xp.transpose(self.data, dims))

    def reshape(self, *shape):
        return self.make(self.data.reshape(shape))

    view = reshape

    def to(self, dtype):
        return self.make(self.data.astype(dtype))

    def contiguous(self):
        return self.make(self.library.xp.array(self.data, order="C"))

    clone = contiguous

    def item(self):
        return self.data.item()


def operator(name):
    def apply(self, other):
        return self.make(getattr(self.data, f"__{name}__")(raw(other)))

    return apply


for name in OPERATORS:
    setattr(Array, f"__{name}__", operator(name))
    if name not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Array, f"__r{name}__", operator(f"r{name}"))


class Library:
    """What a case is handed in torch's place. xp: numpy, or jax.numpy."""

    Tensor = Array
    differentiates = False

    def __init__(self, name, xp, version):
        self.__name__, self.__version__, self.xp = name, version, xp
        for dtype in DTYPES:
            setattr(self, dtype, getattr(xp, dtype if dtype != "bool" else "bool_"))
        for function in UNARY + BINARY:
            setattr(self, function, self.lifted(getattr(xp, function)))
        for function, theirs in FOLDS.items():
            setattr(self, function, self.fold(getattr(xp, theirs)))
        functions = (
            "relu",
            "sigmoid",
            "silu",
            "softmax",
            "log_softmax",
            "linear",
            "layer_norm",
            "rms_norm",
            "mse_loss",
        )
        names = {function: getattr(self, function) for function in functions}
        self.nn = SimpleNamespace(functional=SimpleNamespace(**names))

    def lifted(self, function):
        return lambda *args, **kwargs: Array(function(*map(raw, args), **kwargs), self)

    def fold(self, function):
        return lambda x, dim=None, keepdim=False: Array(function(raw(x), axis=dim, keepdims=keepdim), self)

    def from_numpy(self, array):
        return Array(self.xp.asarray(array), self)

    def cat(self, parts, dim=0):
        return Array(self.xp.concatenate([raw(part) for part in parts], axis=dim), self)

    def stack(self, parts, dim=0):
        return Array(self.xp.stack([raw(part) for part in parts], axis=dim), self)

    def sigmoid(self, x):
        return 1 / (1 + (-x).exp())

    def relu(self, x):
        return Array(self.xp.maximum(raw(x), 0), self)

    def silu(self, x):
        return x * self.sigmoid(x)

    def softmax(self, x, dim):
        e = (x - x.amax(dim, keepdim=True)).exp()
        return e / e.sum(dim, keepdim=True)

    def log_softmax(self, x, dim):
        shifted = x - x.amax(dim, keepdim=True)
        return shifted - shifted.exp().sum(dim, keepdim=True).log()

    def var(self, x, dim=None, keepdim=False):
        return Array(self.xp.var(raw(x), axis=dim, ddof=1, keepdims=keepdim), self)

    def linear(self, x, w, b=None):
        y = x @ w.t()
        return y if b is None else y + b

    def layer_norm(self, x, shape, w=None, b=None, eps=1e-5):
        centered = x - x.mean(-1, keepdim=True)
        y = centered / ((centered * centered).mean(-1, keepdim=True) + eps).sqrt()
        y = y if w is None else y * w
        return y if b is None else y + b

    def rms_norm(self, x, shape, w=None, eps=1.1920929e-07):
        y = x / ((x * x).mean(-1, keepdim=True) + eps).sqrt()
        return y if w is None else y * w

    def mse_loss(self, x, y):
        return ((x - y) * (x - y)).mean()

    def manual_seed(self, seed):
        pass

    def compiled(self, call):
        """The case as it is to be timed."""
        return call

    def value(self, result):
        """A result's shape, sum and sum of magnitudes; None for other results."""
        if not isinstance(result, Array):
            return None
        x = np.asarray(result.data, np.float64)
        return [list(x.shape), x.sum().item(), np.abs(x).sum().item()]


class Jax(Library):
    differentiates = True

    def __init__(self):
        import jax

        jax.config.update("jax_platforms", "cpu")
        super().__init__("jax", jax.numpy, jax.__version__)
        self.jax, self.leaves = jax, []
        functional, lax = self.nn.functional, jax.lax
        self.bfloat16 = jax.numpy.bfloat16
        for function in ("softmax", "log_softmax"):
            setattr(self, function, self.along(getattr(jax.nn, function)))
            setattr(functional, function, getattr(self, function))
        functional.gelu = lambda x, approximate="none": self.lifted(jax.nn.gelu)(x, approximate=approximate == "tanh")
        functional.embedding = lambda rows, w: self.lifted(jax.numpy.take)(w, rows, axis=0)

        def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
            pads, strides, spread = [(padding, padding)] * 2, (stride, stride), (dilation, dilation)
            y = lax.conv_general_dilated(raw(x), raw(w), strides, pads, rhs_dilation=spread, feature_group_count=groups)
            return Array(y, self) if b is None else Array(y + raw(b).reshape(-1, 1, 1), self)

        def attention(q, k, v, mask=None, is_causal=False, scale=None):
            swap, xp = (lambda x: raw(x).swapaxes(-2, -3)), jax.numpy  # jax: (batch, length, heads, width)
            mask = None if mask is None else xp.broadcast_to(raw(mask), (*q.shape[:-1], k.shape[-2]))
            y = jax.nn.dot_product_attention(swap(q), swap(k), swap(v), mask=mask, is_causal=is_causal, scale=scale)
            return Array(y.swapaxes(-2, -3), self)

        functional.conv2d, functional.scaled_dot_product_attention = conv2d, attention

    def along(self, function):
        return lambda x, dim: Array(function(raw(x), axis=dim), self)

    def from_numpy(self, array):
        leaf = super().from_numpy(array)
        self.leaves.append(leaf)
        return leaf

    def with_gradient(self, function, leaves):
        def call():
            def pure(*values):
                for leaf, value in zip(leaves, values):
                    leaf.data = value
                return function().data

            y, pull = self.jax.vjp(pure, *(leaf.data for leaf in leaves))
            return Array(pull(self.jax.numpy.cos(y))[0], self)

        return call

    def compiled(self, call):
        leaves, self.leaves = self.leaves, []

        def pure(values):
            for leaf, value in zip(leaves, values):
                leaf.data = value
            result = call()
            return None if result is None else raw(result)

        run, values = self.jax.jit(pure), [leaf.data for leaf in leaves]
        return lambda: Array(self.jax.block_until_ready(run(values)), self)


def load(name) -> Library:
    return Jax() if name == "jax" else Library("numpy", np, np.__version__)
