"""Elementwise maths: one value in, one value out, broadcast over everything."""

import math

import numpy as np

from . import (
    ALL,
    DISCRETE,
    FLOATS,
    INTS,
    NUMBERS,
    Spec,
    case,
    error,
    given,
    mask,
    nonzero,
    positive,
    rand,
    unit,
)

SIGNED = FLOATS + INTS[:-1]
EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan]


def unary(name, reference, x=rand, *, extra=(), **more):
    cases = [case(x(3, 4)), case(x()), case(x(0, 3)), case(x(2, 1, 5)), *extra]
    return Spec(name, quiet(reference), cases, **{"out": True, "inplace": True, "large": case(x(70_001)), **more})


def maths(name, reference, x=rand, **more):
    """A unary function onto floats: integers come in as float32."""
    return unary(name, reference, x, **{"dtypes": ALL, "result": "float", **more})


def activation(name, reference, *settings, x=rand, **more):
    """A unary function of nn.functional; settings are further keyword arguments to try."""
    cases = [case(x(3, 4), **s) for s in settings]
    more = {"method": False, "out": False, "inplace": False, "tolerance": {"float32": (1e-5, 5e-6)}, **more}
    return unary("nn.functional." + name, reference, x, extra=cases, **more)


def binary(name, reference, x=rand, y=None, *, extra=(), **more):
    y = y or x
    cases = [
        case(x(3, 4), y(3, 4)),
        case(x(3, 1), y(1, 4)),
        case(x(2, 3, 4), y(4)),
        case(x(), y(2, 3)),
        case(x(3), y()),
        case(x(0, 3), y(1, 3)),
        *extra,
    ]
    more = {"out": True, "inplace": True, "large": case(x(301, 233), y(233)), **more}
    clash = error(RuntimeError, r".*\(?3.*4", x(2, 3), y(2, 4))
    return Spec(name, quiet(reference), cases, errors=[clash, *more.pop("errors", [])], **more)


def compare(name, reference, **more):
    near = case(given([1.0, 2.0, np.nan, np.inf]), given([1.0, 3.0, np.nan, np.inf]))
    floats_only = {"dtypes": FLOATS, "extra": [near, case(rand(3), 1.5)]}
    return binary(name, reference, **{"result": "bool", "differentiable": False, **floats_only, **more})


def logical(name, reference, **more):
    return binary(name, reference, dtypes=ALL, result="bool", differentiable=False, **more)


def bitwise(name, reference, x=rand, **more):
    return binary(name, reference, x, **{"dtypes": DISCRETE, "differentiable": False, **more})


def quiet(reference):
    """The reference without numpy's warnings."""

    def f(*args, **kwargs):
        with np.errstate(all="ignore"):
            return reference(*args, **kwargs)

    return f


def each(f):
    """f of one Python number, for arrays."""
    return lambda x: np.array([f(float(v)) for v in np.ravel(x)], np.float64).reshape(np.shape(x))


def real(f):
    """f with its tensors made float64 first."""
    return lambda *args, **kw: f(*(np.asarray(a, np.float64) for a in args), **kw)


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(np.minimum(x * beta, threshold))) / beta)


erf = each(math.erf)


def erfinv(y):
    x = np.zeros_like(y)
    for _ in range(60):
        x = x - (erf(x) - y) / (2 / np.sqrt(np.pi) * np.exp(-x * x))
    return x


def digamma(x):
    shift = sum(1 / (x + i) for i in range(12))
    z = x + 12
    series = 1 / (12 * z**2) - 1 / (120 * z**4) + 1 / (252 * z**6) - 1 / (240 * z**8) + 1 / (132 * z**10)
    return np.log(z) - 1 / (2 * z) - series - shift


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def truncated(a, b):
    return np.trunc(np.true_divide(a, b)).astype(np.result_type(a, b))


def div(a, b, rounding_mode=None):
    if rounding_mode is None:
        return np.true_divide(a, b)
    return np.floor_divide(a, b) if rounding_mode == "floor" else truncated(a, b)


def clamp(x, min=None, max=None):
    y = np.asarray(x, np.float64)
    y = y if min is None else np.maximum(y, min)
    return (y if max is None else np.minimum(y, max)).astype(x.dtype)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    # of the infinities only given replacements are tried here: the default is each dtype's largest value
    return np.where(np.isnan(x), nan, np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x)))


def lerp(a, b, w):
    return a + w * (b - a)


def xlogy(x, y):
    return np.where(np.isnan(y), y, x * np.log(np.where(x == 0, 1, y)))


def heaviside(x, v):
    return np.where(x == 0, v, (x > 0).astype(np.result_type(x, v)))


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def beyond_one(*shape):
    return positive(*shape, low=1.2, high=4.0)


def fraction(*shape):
    return positive(*shape, low=0.1, high=0.9)


edges = case(given(EDGES))
quarters = case(given([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.25, -0.0]))
bad_out = error(RuntimeError, "", rand(3), out=given([1, 2, 3], "int64"))

FLOAT_FUNCTIONS = [
    maths("exp", real(np.exp), extra=[edges], errors=[bad_out], bench=[case(rand(1)), case(rand(1 << 20))]),
    maths("exp2", real(np.exp2), extra=[edges]),
    maths("expm1", real(np.expm1), extra=[edges, case(given([1e-5, -1e-5]))]),
    maths("log", real(np.log), positive, extra=[edges]),
    maths("log2", real(np.log2), positive, extra=[edges]),
    maths("log10", real(np.log10), positive, extra=[edges]),
    maths("log1p", real(np.log1p), positive, extra=[edges, case(given([1e-5, -1e-5]))]),
    maths("sqrt", real(np.sqrt), positive, extra=[edges]),
    maths("rsqrt", real(lambda x: 1 / np.sqrt(x)), positive),
    maths("reciprocal", real(lambda x: 1 / x), nonzero, extra=[edges]),
    maths("sin", real(np.sin), extra=[case(given([100.0, -1000.0, 12345.0]))]),
    maths("cos", real(np.cos), extra=[case(given([100.0, -1000.0, 12345.0]))]),
    maths("tan", real(np.tan), unit),
    maths("asin", real(np.arcsin), unit),
    maths("acos", real(np.arccos), unit),
    maths("atan", real(np.arctan), extra=[edges]),
    maths("sinh", real(np.sinh)),
    maths("cosh", real(np.cosh)),
    maths("tanh", real(np.tanh), extra=[edges, case(given([1e-4, 30.0, -200.0]))], bench=[case(rand(1 << 20))]),
    maths("asinh", real(np.arcsinh)),
    maths("acosh", real(np.arccosh), beyond_one),
    maths("atanh", real(np.arctanh), unit),
    maths("sigmoid", real(sigmoid), extra=[edges, case(given([-90.0, 90.0]))], bench=[case(rand(1 << 20))]),
    maths("logit", real(lambda x: np.log(x / (1 - x))), fraction, dtypes=FLOATS),
    maths("erf", real(erf), extra=[edges]),
    maths("erfc", real(each(math.erfc)), tolerance={"float32": (1e-5, 4e-6)}),
    maths("erfinv", real(erfinv), unit, dtypes=FLOATS),
    maths("lgamma", real(each(math.lgamma)), positive, dtypes=FLOATS, twice=False, tolerance={"float32": (1e-5, 1e-5)}),
    maths("digamma", real(digamma), positive, dtypes=FLOATS, twice=False, tolerance={"float32": (1e-5, 1e-5)}),
    maths("deg2rad", real(np.deg2rad)),
    maths("rad2deg", real(np.rad2deg), tolerance={"float32": (4e-6, 2e-5)}),
    maths("i0", real(np.i0), twice=False, tolerance={"float32": (1e-5, 1e-5)}),
    maths("sinc", real(np.sinc), nonzero),
]

SAME_TYPE_FUNCTIONS = [
    unary("neg", np.negative, dtypes=NUMBERS, extra=[edges]),
    unary("abs", np.abs, dtypes=NUMBERS, extra=[edges]),
    unary("square", np.square, dtypes=NUMBERS),
    unary("sign", np.sign, nonzero, dtypes=NUMBERS, extra=[case(given([0.0, -0.0, np.inf, -np.inf]))]),
    unary("sgn", np.sign, nonzero, dtypes=NUMBERS, differentiable=False),
    unary("floor", np.floor, dtypes=NUMBERS, extra=[edges, quarters]),
    unary("ceil", np.ceil, dtypes=NUMBERS, extra=[edges, quarters]),
    unary(
        "round",
        np.round,
        dtypes=NUMBERS,
        extra=[edges, quarters, case(rand(3, 4), decimals=2).of(("float32", "float64"))],
        layouts=("transposed", "stepped"),
    ),
    unary("trunc", np.trunc, dtypes=NUMBERS, extra=[edges, quarters]),
    unary("frac", lambda x: x - np.trunc(x)),
    unary("positive", np.positive, dtypes=NUMBERS, out=False, inplace=False),
    unary(
        "nan_to_num",
        nan_to_num,
        rand,
        dtypes=FLOATS,
        extra=[case(given([np.nan, np.inf, -np.inf, 1.0]), nan=0.5, posinf=7.0, neginf=-7.0)],
    ),
    unary("bitwise_not", np.bitwise_not, dtypes=DISCRETE, differentiable=False),
    unary(
        "nn.functional.relu",
        lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)),
        dtypes=NUMBERS,
        extra=[edges],
        out=False,
        inplace=False,
        method=False,
        bench=[case(rand(1 << 20))],
    ),
    unary("relu", lambda x: np.maximum(x, 0), dtypes=NUMBERS, out=False),
]

TESTS_OF_A_VALUE = [
    unary(name, reference, dtypes=ALL, result="bool", differentiable=False, inplace=False, out=out, extra=[edges])
    for name, reference, out in [
        ("isnan", np.isnan, False),
        ("isinf", np.isinf, False),
        ("isfinite", np.isfinite, False),
        ("isposinf", lambda x: x == np.inf, True),
        ("isneginf", lambda x: x == -np.inf, True),
        ("signbit", real(np.signbit), True),
    ]
] + [unary("logical_not", np.logical_not, dtypes=ALL, result="bool", differentiable=False)]

ACTIVATIONS = [
    activation("gelu", gelu, {"approximate": "tanh"}, bench=[case(rand(1 << 20))]),
    activation("silu", lambda x: x * sigmoid(x)),
    activation(
        "leaky_relu",
        lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope),
        {"negative_slope": 0.3},
        {"negative_slope": 2.0},
        {"negative_slope": -0.5},
    ),
    activation("elu", elu, {"alpha": 0.7}),
    activation("selu", selu),
    activation(
        "celu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)), {"alpha": 0.5}
    ),
    activation("mish", lambda x: x * np.tanh(softplus(x))),
    activation("softplus", softplus, {"beta": 2.0}, {"threshold": 1.0}),
    activation("softsign", lambda x: x / (1 + np.abs(x))),
    activation("logsigmoid", lambda x: -softplus(-x)),
    activation("tanhshrink", lambda x: x - np.tanh(x)),
    activation("relu6", lambda x: np.clip(x, 0, 6)),
    activation(
        "hardtanh", lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val), {"min_val": -2.0, "max_val": 0.5}
    ),
    activation("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), twice=False),
    activation("hardswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), tolerance={"float16": (4e-3, 4e-3)}),
    activation("softshrink", lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), {"lambd": 1.0}),
    activation("hardshrink", lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0), {"lambd": 1.0}),
    activation("threshold", lambda x, threshold, value: np.where(x > threshold, x, value)),
]
# threshold has no defaults
ACTIVATIONS[-1].cases[:] = [case(rand(3, 4), 0.5, 2.0), case(rand(0, 3), 0.5, 2.0), case(rand(), -1.0, 7.0)]
ACTIVATIONS[-1] = Spec(**{**vars(ACTIVATIONS[-1]), "large": case(rand(70_001), 0.5, 2.0)})

ARITHMETIC = [
    binary(
        "add",
        lambda a, b, alpha=1: a + (b if alpha == 1 else alpha * b),
        dtypes=ALL,
        extra=[case(rand(2, 3), 2).of(NUMBERS), case(rand(3), rand(3), alpha=3).of(NUMBERS)],
        bench=[case(rand(1), rand(1)), case(rand(1 << 24), rand(1 << 24))],
    ),
    binary(
        "sub",
        lambda a, b, alpha=1: a - alpha * b,
        dtypes=NUMBERS,
        extra=[case(rand(2, 3), 1), case(rand(3), rand(3), alpha=2)],
        errors=[error(RuntimeError, "", mask(3), mask(3))],
    ),
    binary("mul", np.multiply, dtypes=ALL, extra=[case(rand(2, 3), 2).of(NUMBERS)], bench=[case(rand(1), rand(1))]),
    binary(
        "div",
        div,
        rand,
        nonzero,
        dtypes=ALL,
        result="float",
        inplace=True,
        extra=[case(rand(2, 3), 2), case(given([1.0, -1.0, 0.0]), given([0.0, 0.0, 0.0]))],
    ),
    Spec(
        "divide",
        div,
        [case(rand(3, 4), nonzero(3, 4), rounding_mode=mode) for mode in ("floor", "trunc")],
        dtypes=NUMBERS,
        inplace=True,
        out=True,
        errors=[error(RuntimeError, ".*(rounding|half)", rand(2), rand(2), rounding_mode="half")],
    ),
    binary(
        "floor_divide",
        np.floor_divide,
        rand,
        nonzero,
        dtypes=NUMBERS,
        differentiable=False,
        extra=[case(given([-7.0, 7.0, -1.0]), given([2.0, -2.0, 3.0]))],
        errors=[error(RuntimeError, "(?i).*zero", given([1, 2], "int64"), given([0, 1], "int64"))],
    ),
    binary(
        "remainder",
        np.remainder,
        rand,
        nonzero,
        dtypes=NUMBERS,
        extra=[case(rand(5), 2)],
        layouts=("transposed", "stepped"),
    ),
    binary("fmod", np.fmod, rand, nonzero, dtypes=NUMBERS, extra=[case(rand(5), 2)], layouts=("transposed", "stepped")),
    binary(
        "pow",
        np.power,
        positive,
        dtypes=NUMBERS,
        extra=[case(rand(2, 3), 2), case(rand(2, 3), 3), case(positive(3), 0.5), case(2, positive(3))],
        tolerance={"float32": (1e-5, 1e-5)},
        errors=[error(RuntimeError, ".*negative", given([1, 2], "int64"), -2)],
    ),
    binary(
        "float_power",
        lambda a, b: np.power(a, b, dtype=np.float64),
        positive,
        dtypes=NUMBERS,
        result="float64",
        inplace=False,
    ),
    binary(
        "atan2",
        real(np.arctan2),
        nonzero,
        dtypes=NUMBERS,
        result="float",
        extra=[case(given([0.0, -0.0]), given([-1.0, -1.0]))],
    ),
    binary("hypot", np.hypot, nonzero),
    binary("maximum", np.maximum, dtypes=ALL, inplace=False, extra=[case(given(EDGES), given(EDGES[::-1]))]),
    binary("minimum", np.minimum, dtypes=ALL, inplace=False, extra=[case(given(EDGES), given(EDGES[::-1]))]),
    binary("fmax", np.fmax, dtypes=ALL, inplace=False, extra=[case(given(EDGES), given(EDGES[::-1]))]),
    binary("fmin", np.fmin, dtypes=ALL, inplace=False, extra=[case(given(EDGES), given(EDGES[::-1]))]),
    binary("copysign", np.copysign, nonzero),
    binary("nextafter", np.nextafter, dtypes=("float64",)),
    binary(
        "logaddexp",
        np.logaddexp,
        dtypes=("float32", "float64"),
        inplace=False,
        extra=[case(given([1e4, -1e4]), given([1e4, 0.0]))],
    ),
    binary("logaddexp2", np.logaddexp2, dtypes=("float32", "float64"), inplace=False),
    binary("xlogy", xlogy, positive, extra=[case(given([0.0, 0.0]), given([0.0, np.nan]))]),
    binary(
        "heaviside", heaviside, dtypes=NUMBERS, differentiable=False, extra=[case(given([0.0, 1.0]), given([0.5, 0.5]))]
    ),
    binary("ldexp", lambda a, b: a * 2.0**b, inplace=False, layouts=("transposed", "stepped")),
    binary("gcd", np.gcd, dtypes=INTS, differentiable=False),
    binary("lcm", np.lcm, dtypes=INTS, differentiable=False),
    Spec(
        "rsub",
        lambda a, b, alpha=1: b - alpha * a,
        [case(rand(3, 4), rand(4)), case(rand(3), 2)],
        dtypes=NUMBERS,
        method=False,
    ),
]

COMPARISONS = [
    compare("eq", np.equal, bench=[case(rand(1 << 20), rand(1 << 20))]),
    compare("ne", np.not_equal),
    compare("lt", np.less),
    compare("le", np.less_equal),
    compare("gt", np.greater),
    compare("ge", np.greater_equal),
    binary(
        "isclose",
        isclose,
        dtypes=ALL,
        result="bool",
        differentiable=False,
        inplace=False,
        out=False,
        extra=[
            case(given([1.0, np.nan, np.inf, 1.0]), given([1.0 + 1e-7, np.nan, np.inf, 1.1])),
            case(given([np.nan, 1.0]), given([np.nan, 1.2]), rtol=0.3, equal_nan=True),
        ],
        layouts=(),
    ),
    logical("logical_and", np.logical_and),
    logical("logical_or", np.logical_or),
    logical("logical_xor", np.logical_xor),
    bitwise(
        "bitwise_and",
        np.bitwise_and,
        extra=[case(rand(3), 1).of(INTS)],
        errors=[error(RuntimeError, "", given([1.0], "float32"), given([1.0], "float32"))],
    ),
    bitwise("bitwise_or", np.bitwise_or),
    bitwise("bitwise_xor", np.bitwise_xor),
    bitwise("bitwise_left_shift", np.left_shift, positive, dtypes=INTS),
    bitwise("bitwise_right_shift", np.right_shift, positive, dtypes=INTS),
]

BOUNDS = [case(rand(3, 4), 0), case(rand(3, 4), 1), case(rand(3, 4), rand(4)), case(rand(3, 4), rand())]

COMPOSED = [
    Spec(
        "clamp",
        clamp,
        [
            case(rand(3, 4), -1, 1).of(SIGNED),
            case(rand(3, 4), min=0),
            case(rand(3, 4), max=1),
            case(rand(0, 3), 0, 1),
            case(rand(3, 4), rand(3, 4), positive(1, 4)),
            case(rand(3, 4), max=rand(4)),
            case(rand(), 0, 1),
        ],
        dtypes=NUMBERS,
        inplace=True,
        out=True,
        large=case(rand(70_001), -1, 1),
        errors=[error(RuntimeError, ".*min.*max", rand(3))],
    ),
    Spec("clip", clamp, [case(rand(3, 4), -1, 1).of(SIGNED)], dtypes=NUMBERS, inplace=True, out=True),
    Spec("clamp_min", lambda x, m: np.maximum(x, m), BOUNDS, dtypes=NUMBERS, inplace=True, out=True),
    Spec("clamp_max", lambda x, m: np.minimum(x, m), BOUNDS, dtypes=NUMBERS, inplace=True, out=True),
    Spec(
        "where",
        np.where,
        [
            case(mask(3, 4), rand(3, 4), rand(3, 4)),
            case(mask(3, 1), rand(4), rand()),
            case(mask(0, 3), rand(3), rand(3)),
            case(mask(2, 3, 4), rand(3, 1), rand(4)),
            case(mask(), rand(2), rand(2)),
        ],
        dtypes=ALL,
        method=False,
        out=True,
        large=case(mask(70_001), rand(70_001), rand(1)),
    ),
    Spec(
        "lerp",
        lerp,
        [
            case(rand(3, 4), rand(3, 4), 0.3),
            case(rand(3, 4), rand(4), rand(3, 1)),
            case(rand(0), rand(0), 0.5),
            case(rand(), rand(), rand()),
            case(rand(5), rand(5), 0.8),
        ],
        inplace=True,
        out=True,
        large=case(rand(70_001), rand(70_001), 0.25),
        tolerance={"bfloat16": (3e-2, 3e-2), "float16": (4e-3, 4e-3)},
    ),
    Spec(
        "addcmul",
        lambda x, a, b, value=1: x + value * a * b,
        [
            case(rand(3, 4), rand(3, 4), rand(3, 4)),
            case(rand(3, 4), rand(4), rand(3, 1), value=2),
            case(rand(0), rand(0), rand(0)),
        ],
        dtypes=NUMBERS,
        inplace=True,
        out=True,
        large=case(rand(70_001), rand(70_001), rand(70_001)),
        tolerance={"bfloat16": (3e-2, 3e-2), "float16": (4e-3, 4e-3)},
    ),
    Spec(
        "addcdiv",
        lambda x, a, b, value=1: x + value * a / b,
        [case(rand(3, 4), rand(3, 4), nonzero(3, 4)), case(rand(3, 4), rand(4), nonzero(3, 1), value=0.5)],
        inplace=True,
        out=True,
        large=case(rand(70_001), rand(70_001), nonzero(70_001)),
        tolerance={"bfloat16": (3e-2, 3e-2), "float16": (4e-3, 4e-3)},
    ),
    Spec(
        "nn.functional.glu",
        lambda x, dim=-1: np.multiply(*[h if i == 0 else sigmoid(h) for i, h in enumerate(np.split(x, 2, dim))]),
        [case(rand(3, 4)), case(rand(4, 3), dim=0)],
        method=False,
        errors=[error(RuntimeError, ".*3", rand(2, 3))],
    ),
    Spec(
        "nn.functional.prelu",
        lambda x, w: np.where(x > 0, x, x * w.reshape((-1,) + (1,) * (x.ndim - 2)) if x.ndim > 1 else x * w),
        [case(rand(2, 3, 4), rand(3)), case(rand(3, 4), rand(1)), case(rand(2, 3), rand(3))],
        method=False,
    ),
]

SPECS = FLOAT_FUNCTIONS + SAME_TYPE_FUNCTIONS + TESTS_OF_A_VALUE + ACTIVATIONS + ARITHMETIC + COMPARISONS + COMPOSED
