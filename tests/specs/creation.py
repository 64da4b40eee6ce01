"""Tensors made from nothing, or after the shape of another."""

import numpy as np

from . import ALL, FLOATS, NUMBERS, Dtype, Spec, case, error, given, positive, rand

NUMPY = {
    "float32": np.float32,
    "float64": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "bool": np.bool_,
    "uint8": np.uint8,
}


def made(name, reference, cases, **more):
    """From numbers alone: one dtype to try, the default one unless the case says otherwise."""
    more = {"dtypes": ("float32",), "result": None, "differentiable": False, "method": False, "layouts": (), **more}
    return Spec(name, reference, cases, **more)


def like(name, reference, cases, **more):
    """After another tensor, whose dtype it takes."""
    return Spec(name, reference, cases, **{"dtypes": ALL, "differentiable": False, **more})


def sizes(args):
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (list, tuple)) else args


def filled(value):
    return lambda *shape, dtype="float32": np.full(sizes(shape), value, NUMPY[dtype])


def full(shape, value, dtype=None):
    return np.full(shape, value, dtype and NUMPY[dtype])


def arange(*bounds, dtype=None):
    start, end, step = {1: (0, *bounds, 1), 2: (*bounds, 1), 3: bounds}[len(bounds)]
    return np.arange(start, end, step).astype(
        dtype and NUMPY[dtype] or (np.int64 if all(isinstance(b, int) for b in bounds) else np.float64)
    )


def full_like(x, value, dtype=None):
    return np.full(x.shape, value, x.dtype)


def eye(n, m=None, dtype=None):
    return np.eye(n, m)


def tensor(data, dtype=None):
    return np.array(data)


SHAPES = [
    case(2, 3),
    case((2, 3)),
    case(0, 3),
    case(()),
    case(2, 3, dtype=Dtype("int64")),
    case(4, dtype=Dtype("bool")),
]
NEGATIVE = [error(RuntimeError, "(?i).*-2|.*negative", -2, 3), error(TypeError, ".*", "a")]

FROM_NOTHING = [
    made("zeros", filled(0), SHAPES, out=True, errors=NEGATIVE, bench=[case(1 << 20)]),
    made("ones", filled(1), SHAPES, errors=NEGATIVE),
    made("empty", None, SHAPES, errors=NEGATIVE),
    made("empty_permuted", None, [case((2, 3), (1, 0)), case((2, 0, 3), (0, 2, 1))]),
    made("empty_strided", None, [case((2, 3), (1, 2)), case((0,), (1,))]),
    made(
        "full",
        full,
        [case((2, 3), 2.5), case((2,), 7), case((), True), case((2, 2), 3, dtype=Dtype("float64"))],
        errors=[error(RuntimeError, ".*", (-2,), 1.0)],
    ),
    made("scalar_tensor", lambda v, dtype=None: np.array(v), [case(2.5), case(3, dtype=Dtype("int32"))]),
    made(
        "arange",
        arange,
        [
            case(5),
            case(2, 7),
            case(2, 7, 2),
            case(7, 2, -2),
            case(0),
            case(0.5, 3.0),
            case(0.0, 1.0, 0.1),
            case(5, dtype=Dtype("float64")),
            case(3, 3),
        ],
        errors=[
            error(RuntimeError, ".*", 1, 5, 0),
            error(RuntimeError, ".*", 5, 1),
            error(RuntimeError, ".*", 1, 5, -1),
        ],
        bench=[case(1 << 20)],
    ),
    made(
        "linspace",
        lambda a, b, steps, dtype=None: np.linspace(a, b, steps),
        [
            case(0, 1, 5),
            case(-3, 10, 7),
            case(2, 2, 3),
            case(0, 1, 1),
            case(0, 1, 0),
            case(5, -5, 11, dtype=Dtype("float64")),
        ],
        errors=[error(RuntimeError, ".*", 0, 1, -1)],
    ),
    made(
        "logspace",
        lambda a, b, steps, base=10.0: np.logspace(a, b, steps, base=base),
        [case(0, 1, 5), case(-1, 1, 3, base=2.0), case(0, 1, 0)],
        tolerance={"float32": (1e-5, 1e-5)},
    ),
    made(
        "eye",
        eye,
        [case(3), case(2, 4), case(4, 2), case(0), case(3, dtype=Dtype("int64"))],
        errors=[error(RuntimeError, ".*", -1)],
    ),
    made(
        "tril_indices",
        lambda r, c, offset=0: np.stack(np.tril_indices(r, offset, c)),
        [case(3, 3), case(3, 4, 1), case(4, 2, -1), case(0, 3)],
    ),
    made(
        "triu_indices",
        lambda r, c, offset=0: np.stack(np.triu_indices(r, offset, c)),
        [case(3, 3), case(3, 4, 1), case(4, 2, -1)],
    ),
    made(
        "tensor",
        tensor,
        [
            case([1, 2, 3]),
            case([[1.5, 2.0], [3.0, 4.0]]),
            case(7),
            case([True, False]),
            case([]),
            case([[], []]),
            case([1, 2], dtype=Dtype("float64")),
        ],
    ),
    made("as_tensor", tensor, [case([1, 2, 3]), case(2.5)]),
    made("asarray", tensor, [case([1, 2, 3])]),
    made(
        "vander",
        lambda x, N=None, increasing=False: np.vander(x, N, increasing),
        [case(rand(4)), case(rand(4), 3), case(rand(4), 3, True)],
        dtypes=NUMBERS,
        layouts=("stepped",),
        tolerance={"bfloat16": (5e-2, 5e-2), "float16": (1e-2, 1e-2)},
    ),
]

AFTER_ANOTHER = [
    like("zeros_like", np.zeros_like, [case(rand(2, 3)), case(rand()), case(rand(0, 3))], method=False),
    like("ones_like", np.ones_like, [case(rand(2, 3)), case(rand())], method=False),
    like("empty_like", None, [case(rand(2, 3)), case(rand(0))], method=False),
    like("full_like", full_like, [case(rand(2, 3), 1), case(rand(), 0)], method=False),
    like("new_zeros", lambda x, *s: np.zeros(sizes(s), x.dtype), [case(rand(1), 2, 3), case(rand(1), (2, 3))]),
    like("new_ones", lambda x, *s: np.ones(sizes(s), x.dtype), [case(rand(1), 2, 3)]),
    like("new_full", lambda x, s, v: np.full(s, v, x.dtype), [case(rand(1), (2, 3), 1)]),
    like("new_empty", None, [case(rand(1), 2, 3)]),
    like("new_empty_strided", None, [case(rand(1), (2, 3), (1, 2))]),
    like("new_tensor", lambda x, v: np.array(v).astype(x.dtype), [case(rand(1), [1, 0, 1])]),
]

FILLED = [
    Spec(
        "fill",
        lambda x, v: np.full_like(x, v),
        [case(rand(2, 3), 1), case(rand(2, 3), rand())],
        dtypes=ALL,
        method=False,
    ),
    Spec(
        "fill_",
        lambda x, v: np.full_like(x, v),
        [case(rand(2, 3), 1), case(rand(), 0)],
        call=lambda torch, x, v: x.clone().fill_(v),
        dtypes=ALL,
        method=False,
    ),
    Spec(
        "zero_",
        np.zeros_like,
        [case(rand(2, 3)), case(rand(0))],
        call=lambda torch, x: x.clone().zero_(),
        dtypes=ALL,
        method=False,
        differentiable=False,
    ),
    Spec(
        "copy_",
        lambda x, y: np.broadcast_to(y, x.shape),
        [case(rand(2, 3), rand(2, 3)), case(rand(2, 3), rand(3)), case(rand(2, 3), rand())],
        call=lambda torch, x, y: x.clone().copy_(y),
        dtypes=ALL,
        method=False,
        errors=[error(RuntimeError, ".*", rand(3), rand(2, 3))],
    ),
]


def on_diagonal(x, wrap):
    """Which elements lie on the main diagonal; wrapped, a tall matrix's begins anew every columns + 1 rows."""
    row, *others = np.indices(x.shape)
    if wrap:
        row = row % (x.shape[1] + 1)
    return np.logical_and.reduce([row == other for other in others])


def in_place(name, reference, cases, **more):
    """x.name(...) on a fresh tensor; the result is x."""
    call = lambda torch, x, *args: getattr(x.clone(), name)(*args)
    return like(name, reference, cases, call=call, method=False, **more)


RESHAPED = [
    in_place(
        "resize_",
        lambda x, *size: x.reshape(-1)[: np.prod(sizes(size), dtype=int)].reshape(sizes(size)),
        [case(rand(2, 3), 3, 2), case(rand(2, 3), (2, 2)), case(rand(2, 3), 0), case(rand(2, 3), ())],
        layouts=(),
        errors=[error(RuntimeError, ".*-2", rand(3), -2)],
    ),
    in_place("resize_as_", lambda x, y: x.reshape(y.shape), [case(rand(2, 3), rand(3, 2))], layouts=()),
    in_place(
        "fill_diagonal_",
        lambda x, value, wrap=False: np.where(on_diagonal(x, wrap), np.asarray(value, x.dtype), x),
        [
            case(rand(3, 3), 2.5),
            case(rand(2, 4), 1.0),
            case(rand(7, 2), 3.0),
            case(rand(7, 2), 3.0, True),
            case(rand(2, 5), 3.0, True),
            case(rand(3, 3, 3), 1.0),
            case(rand(0, 2), 1.0),
        ],
        errors=[
            error(RuntimeError, "", rand(3), 1.0),
            error(RuntimeError, "", rand(2, 2, 3), 1.0),
        ],
    ),
    in_place("set_", lambda x, y: y, [case(rand(2, 3), rand(4)), case(rand(0), rand(2, 3))]),
]


SIZED = (case(rand(2, 3)), case(rand()), case(rand(0)))


def told(name, answer, cases=SIZED, **more):
    """What a tensor says of itself."""
    return like(name, answer, list(cases), **more)


FLOATING = lambda x: x.dtype.kind == "f"

TOLD = [
    *(told(name, lambda x: False) for name in ("is_complex", "is_conj", "is_inference", "is_neg")),
    *(told(name, lambda x: False, method=False) for name in ("is_pinned", "is_shared")),
    told("is_floating_point", FLOATING),
    told("is_signed", lambda x: x.dtype.kind in "fi"),
    told(
        "is_nonzero",
        bool,
        [case(rand()), case(rand(1, 1)), case(given(0))],
        errors=[error(RuntimeError, ".*", rand(2))],
    ),
    told("is_same_size", lambda x, y: x.shape == y.shape, [case(rand(2, 3), rand(2, 3)), case(rand(2), rand(2, 1))]),
    told("is_set_to", lambda x, y: False, [case(rand(2, 3), rand(2, 3))], method=False),
    told("get_device", lambda x: -1),
    told("ndimension", np.ndim, method=False),
    told("is_tensor", lambda x: isinstance(x, np.ndarray), [case(rand(2)), case(3), case([1])], method=False),
    made(
        "get_default_device",
        lambda: "cpu",
        [case()],
        call=lambda torch: str(torch.get_default_device()),
    ),
    made(
        "set_default_device",
        lambda device: "cpu",
        [case("cpu"), case(None)],
        call=lambda torch, device: torch.set_default_device(device) or str(torch.zeros(1).device),
    ),
]


def converted(name, reference, dtype, x=rand, **more):
    return Spec(
        name,
        reference,
        [case(x(2, 3)), case(x())],
        call=lambda torch, x: getattr(x, name)(),
        **{"dtypes": FLOATS, "result": dtype, **more},
    )


CONVERTED = [
    Spec("to", lambda x, dtype: x, [case(rand(2, 3), Dtype("float64"))], dtypes=FLOATS, result="float64"),
    Spec("type_as", lambda x, y: x, [case(rand(2, 3), rand(1).const)]),
    converted("double", lambda x: x, "float64"),
    # a difference of rounded values is no derivative: the gradients of these stand in test_autograd.py
    *(
        converted(name, lambda x: x, dtype, differentiable=False)
        for name, dtype in (("float", "float32"), ("half", "float16"), ("bfloat16", "bfloat16"))
    ),
    *(
        converted(name, np.trunc, dtype, differentiable=False)
        for name, dtype in (("long", "int64"), ("int", "int32"), ("short", "int16"), ("char", "int8"))
    ),
    # a negative float has no place in uint8
    converted("byte", np.trunc, "uint8", positive, differentiable=False),
    converted("cpu", lambda x: x, "same", dtypes=ALL),
    Spec(
        "type",
        lambda x, dtype: x,
        [case(rand(2, 3), Dtype("float64"))],
        dtypes=FLOATS,
        result="float64",
        errors=[error(ValueError, ".*", rand(2), "Float")],
    ),
    converted("bool", lambda x: x != 0, "bool", dtypes=ALL, differentiable=False),
]

SPECS = FROM_NOTHING + AFTER_ANOTHER + FILLED + RESHAPED + TOLD + CONVERTED
