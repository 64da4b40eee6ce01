"""tessel.array_api beside array-api-strict, the standard's own model: names, parameters, dtypes, shapes and values."""

import inspect
import warnings

import numpy as np
import pytest

import tessel
import tessel.array_api as ours

strict = pytest.importorskip("array_api_strict")
warnings.simplefilter("ignore")
strict.set_array_api_strict_flags(api_version="2024.12")

ABSENT = {"uint16", "uint32", "uint64"}  # dtypes that tessel does not have
OWN = {n for n in strict.__all__ if "strict" in n.lower() or n in ("Device", "__version__")}
NAMES = sorted(set(strict.__all__) - ABSENT - OWN)
LINALG = sorted(strict.linalg.__all__)


def names_of(space, names):
    return [n for n in names if callable(getattr(space, n)) and inspect.isfunction(getattr(space, n))]


@pytest.mark.parametrize("name", NAMES)
def test_name_is_there(name):
    if name == "fft" and not hasattr(tessel, "fft"):
        pytest.skip("tessel.fft is not there")
    assert hasattr(ours, name)


def parameters(function):
    return [(p.name, p.kind) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", names_of(strict, NAMES))
def test_signature(name):
    theirs = parameters(getattr(strict, name))
    positional = [p for p in theirs if p[1] is not inspect.Parameter.KEYWORD_ONLY]
    told = parameters(getattr(ours, name))
    assert [k for _, k in told if k is not inspect.Parameter.KEYWORD_ONLY] == [k for _, k in positional]
    assert {n for n, k in told if k is inspect.Parameter.KEYWORD_ONLY} >= {
        n for n, k in theirs if k is inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("name", LINALG)
def test_linalg_signature(name):
    assert parameters(getattr(ours.linalg, name)) == parameters(getattr(strict.linalg, name))


G = np.random.default_rng(0)
F = G.standard_normal((3, 4))
P = G.uniform(0.1, 0.9, (3, 4))
I = G.integers(-5, 6, (3, 4))  # noqa: E741
B = G.integers(0, 2, (3, 4)).astype(bool)
F32, I32 = F.astype(np.float32), I.astype(np.int32)
Z = np.float64(2.5)
SQUARE = F[:, :3] @ F[:, :3].T + np.eye(3)

CASES = [
    *(
        (n, (x,), {})
        for n in "abs ceil floor round sign trunc square negative positive isfinite isinf isnan".split()
        for x in (F, I)
    ),
    *(
        (n, (P,), {})
        for n in """acos asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 reciprocal sin sinh sqrt tan tanh
        signbit""".split()
    ),
    ("acosh", (1 + P,), {}),
    ("logical_not", (B,), {}),
    *(("bitwise_invert", (x,), {}) for x in (B, I, I32)),
    *(
        (n, (a, b), {})
        for n in "add subtract multiply".split()
        for a, b in ((F, F), (F32, F), (I, I32), (F32, np.array(2.5)), (I32, np.array(3)), (F, 2.0), (I32, 2))
    ),
    *(
        (n, (a, b), {})
        for n in ("divide", "atan2", "copysign", "hypot", "logaddexp", "nextafter")
        for a, b in ((F, P), (F32, np.array(2.5)))
    ),
    *(
        (n, (a, b), {})
        for n in ("floor_divide", "remainder")
        for a, b in ((F, P), (I, np.where(I == 0, 1, I)), (F, 2.0))
    ),
    *((n, (a, b), {}) for n in ("maximum", "minimum") for a, b in ((F, P), (I, I32), (F32, np.array(0.5)))),
    ("pow", (P, F), {}),
    ("pow", (I32, np.abs(I32)), {}),
    ("pow", (P, 2.0), {}),
    *((n, (a, b), {}) for n in ("bitwise_and", "bitwise_or", "bitwise_xor") for a, b in ((I, I32), (B, B))),
    *((n, (I, np.abs(I)), {}) for n in ("bitwise_left_shift", "bitwise_right_shift")),
    *((n, (B, ~B), {}) for n in ("logical_and", "logical_or", "logical_xor")),
    *(
        (n, (a, b), {})
        for n in "equal not_equal less less_equal greater greater_equal".split()
        for a, b in ((I, I32), (F, F32), (F, 0.0))
    ),
    ("clip", (F,), {}),
    ("clip", (F, -0.5, 0.5), {}),
    ("clip", (I, -1), {}),
    *(
        (n, (x,), {"axis": axis, "keepdims": keep})
        for n in ("sum", "prod", "max", "min", "any", "all", "mean", "std", "var", "count_nonzero")
        for x in (F, F32, *((I32, B) if n in ("any", "all") else (I32,) if n not in ("mean", "std", "var") else ()))
        for axis in (None, 0, -1, (0, 1), ())
        for keep in (False, True)
        if not (n == "mean" and axis == ())
    ),
    *((n, (F,), {"correction": 1.0}) for n in ("std", "var")),
    *(
        (n, (x,), {"axis": a, "keepdims": k})
        for n in ("argmax", "argmin")
        for x in (F, I)
        for a in (None, 0, 1)
        for k in (False, True)
    ),
    *(
        (n, (x,), {"axis": 1, "include_initial": i})
        for n in ("cumulative_sum", "cumulative_prod")
        for x in (F, I32)
        for i in (False, True)
    ),
    ("cumulative_sum", (F[0],), {}),
    ("diff", (F,), {}),
    ("diff", (I,), {"axis": 0, "n": 2}),
    ("arange", (5,), {}),
    ("arange", (1, 8, 2), {}),
    ("arange", (5, 1), {}),
    ("arange", (0.0, 1.0, 0.25), {}),
    ("eye", (3,), {}),
    ("eye", (3, 4), {"k": 1}),
    ("eye", (3, 4), {"k": -7}),
    ("linspace", (0.0, 1.0, 5), {}),
    ("linspace", (0, 10, 4), {"endpoint": False}),
    ("full", ((2, 3), 1.5), {}),
    ("full", (2, True), {}),
    ("full", ((2,), 3), {}),
    ("zeros", (3,), {}),
    ("ones", ((2, 0),), {}),
    ("tril", (F,), {"k": 1}),
    ("triu", (F,), {"k": -1}),
    ("meshgrid", (F[0], F[1]), {}),
    ("meshgrid", (F[0], F[1]), {"indexing": "ij"}),
    ("broadcast_arrays", (F, F[0]), {}),
    ("broadcast_to", (F[0], (2, 4)), {}),
    ("concat", ([F, F],), {}),
    ("concat", ([F, F32],), {"axis": None}),
    ("concat", ([F32, F],), {"axis": -1}),
    ("expand_dims", (F,), {"axis": 1}),
    ("expand_dims", (F, -1), {}),
    ("flip", (F,), {}),
    ("flip", (F,), {"axis": (0, -1)}),
    ("moveaxis", (F, 0, 1), {}),
    ("permute_dims", (F, (1, 0)), {}),
    ("repeat", (F, 2), {}),
    ("repeat", (F, 2), {"axis": 1}),
    ("reshape", (F, (2, -1)), {}),
    ("roll", (F, 2), {}),
    ("roll", (F, (1, 2)), {"axis": (0, 1)}),
    ("squeeze", (F[None], 0), {}),
    ("stack", ([F, F],), {"axis": 2}),
    ("tile", (F, (2, 1)), {}),
    ("unstack", (F,), {"axis": 1}),
    ("argsort", (F,), {"axis": 0, "descending": True}),
    ("sort", (I,), {}),
    ("sort", (F,), {"axis": 0, "descending": True}),
    ("nonzero", (I,), {}),
    ("searchsorted", (np.sort(F[0]), F[1]), {"side": "right"}),
    ("where", (B, F, F32), {}),
    ("where", (B, np.array(1.5), F32), {}),
    ("take", (F, np.array([2, 0])), {"axis": 0}),
    ("take_along_axis", (F, np.argsort(F, 1)), {"axis": 1}),
    *((n, (I,), {}) for n in ("unique_all", "unique_counts", "unique_inverse", "unique_values")),
    ("matmul", (F, F.T), {}),
    ("matmul", (F32, F.T), {}),
    ("matrix_transpose", (F,), {}),
    ("tensordot", (F, F), {"axes": ((0, 1), (0, 1))}),
    ("tensordot", (F, F.T), {"axes": 1}),
    ("vecdot", (F, F32), {"axis": -2}),
    ("astype", (F, "float32"), {}),
    ("isdtype", ("float32", "real floating"), {}),
    ("isdtype", ("int8", ("bool", "integral")), {}),
    ("can_cast", ("int8", "int16"), {}),
    ("can_cast", ("float64", "float32"), {}),
    ("result_type", (F32, "float64"), {}),
    ("result_type", (I32, "int8"), {}),
    *(
        (f"linalg.{n}", (SQUARE,), {})
        for n in "cholesky det diagonal eigvalsh inv matrix_norm matrix_rank pinv slogdet svdvals trace".split()
    ),
    ("linalg.cholesky", (SQUARE,), {"upper": True}),
    ("linalg.cross", (SQUARE, SQUARE), {}),
    ("linalg.matrix_norm", (SQUARE,), {"ord": 1, "keepdims": True}),
    ("linalg.matrix_norm", (SQUARE,), {"ord": "nuc"}),
    ("linalg.matrix_power", (SQUARE, 3), {}),
    ("linalg.outer", (F[0], F[1]), {}),
    ("linalg.solve", (SQUARE, F), {}),
    ("linalg.solve", (SQUARE, F[:, 0]), {}),
    ("linalg.solve", (np.stack([SQUARE, SQUARE + 1]), F), {}),
    ("linalg.trace", (F,), {"offset": 1}),
    *(("linalg.vector_norm", (F,), {"ord": o}) for o in (1, 2, np.inf, 0, 3)),
    ("linalg.vector_norm", (F,), {"axis": (0, 1), "keepdims": True}),
]


def given(space, value):
    if isinstance(value, np.ndarray):
        return space.asarray(value.copy() if space is not strict else value)
    if isinstance(value, str) and hasattr(strict, value) and value.rstrip("0123456789") in ("int", "float"):
        return getattr(space, value)
    if isinstance(value, list):
        return [given(space, v) for v in value]
    return tuple(given(space, v) for v in value) if isinstance(value, tuple) else value


def compared(a, b):
    if isinstance(b, (tuple, list)):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            compared(one, other)
    elif isinstance(b, (bool, int)):
        assert a == b
    elif hasattr(b, "dtype"):
        assert tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype).removeprefix("tessel.") == str(b.dtype).split(".")[-1]
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-7)
    else:
        assert str(a).removeprefix("tessel.") == str(b).split(".")[-1]


@pytest.fixture(autouse=True)
def double():
    """The standard leaves the default dtype open; the model's is float64."""
    before = tessel.get_default_dtype()
    tessel.set_default_dtype(tessel.float64)
    yield
    tessel.set_default_dtype(before)


@pytest.mark.parametrize("i", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_values(i):
    name, args, kwargs = CASES[i]
    found = []
    for space in (ours, strict):
        at = space
        for part in name.split("."):
            at = getattr(at, part)
        found.append(at(*given(space, args), **kwargs))
    compared(*found)
