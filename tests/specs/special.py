"""Special functions against integrals, series and recurrences in float64."""

import math

import numpy as np

from . import FLOATS, Spec, case, given, ints, positive, rand, unit

NEAR = {"float32": (1e-5, 1e-5), "float64": (1e-10, 1e-10)}


def of_floats(f):
    return lambda *xs: f(*(np.asarray(x, np.float64) for x in xs))


def each(f):
    """f of Python numbers, for arrays that broadcast."""
    ready = np.vectorize(lambda *xs: f(*map(float, xs)), otypes=[np.float64])
    return lambda *xs: ready(*xs) if np.broadcast(*xs).size else np.zeros(np.broadcast(*xs).shape)


def special(name, reference, x=rand, *, extra=(), **more):
    cases = [case(x(3, 4)), case(x()), case(x(0, 3)), *extra]
    more = {"method": False, "out": True, "twice": False, "tolerance": NEAR, **more}
    return Spec(f"special.{name}", of_floats(reference), cases, **more)


def of_two(name, reference, x, y, *, extra=(), **more):
    cases = [case(x(3, 4), y(3, 4)), case(x(3, 1), y(4)), case(x(0, 3), y(3)), *extra]
    more = {"method": False, "out": True, "differentiable": False, "tolerance": NEAR, **more}
    return Spec(f"special.{name}", of_floats(reference), cases, **more)


def midpoints(f, low, high, n):
    """The integral of f, whose values may be arrays, by the midpoint rule: exact for periodic and dying integrands."""
    h = (high - low) / n
    return h * sum(f(low + (k + 0.5) * h) for k in range(n))


def bessel_j(n):
    return lambda x: midpoints(lambda t: np.cos(n * t - x * np.sin(t)), 0, np.pi, 200) / np.pi


def bessel_i(n):
    return lambda x: midpoints(lambda t: np.exp(x * np.cos(t)) * np.cos(n * t), 0, np.pi, 200) / np.pi


def bessel_k(n, scaled=False):
    return lambda x: midpoints(lambda t: np.exp(-x * (np.cosh(t) - scaled)) * np.cosh(n * t), -7, 7, 400) / 2


def bessel_y0(x):
    # 4 / pi^2 times the integral of cos(x cos t) (gamma + log(2 x sin^2 t)), whose end is a logarithm: t = (pi/2) u^4
    def part(u):
        t = 0.5 * np.pi * u**4
        return np.cos(x * np.cos(t)) * (np.euler_gamma + np.log(2 * x * np.sin(t) ** 2)) * 2 * np.pi * u**3

    nodes, weights = np.polynomial.legendre.leggauss(200)
    return 4 / np.pi**2 * sum(w * 0.5 * part(0.5 * (u + 1)) for u, w in zip(nodes, weights))


def bessel_y1(x):  # from J1 Y0 - J0 Y1 = 2 / (pi x)
    return (bessel_j(1)(x) * bessel_y0(x) - 2 / (np.pi * x)) / bessel_j(0)(x)


def airy(x):
    turn = np.exp(1j * np.pi / 6)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    part = lambda s: (turn * np.exp(-(s**3) / 3 + 1j * x * s * turn)).real
    return sum(w * 4 * part(4 * (s + 1)) for s, w in zip(nodes, weights)) / np.pi


erfc = each(math.erfc)


def ndtr(x):
    return 0.5 * erfc(-x / math.sqrt(2))


def ndtri(p):
    low, high = np.full(p.shape, -40.0), np.full(p.shape, 40.0)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = np.where(ndtr(middle) < p, middle, low), np.where(ndtr(middle) < p, high, middle)
    return (low + high) / 2


def zeta(s, q):
    n = 2000
    tail = (q + n) ** (1 - s) / (s - 1) - 0.5 * (q + n) ** -s + s / 12 * (q + n) ** (-s - 1)
    return sum((q + k) ** -s for k in range(n + 1)) + tail


def polygamma(n, x):
    return (-1.0) ** (n + 1) * math.factorial(n) * zeta(n + 1.0, np.asarray(x, np.float64))


def gammainc(a, x):
    """The series of the lower function."""
    term = total = 1 / a
    for k in range(1, 200):
        term = term * x / (a + k)
        total = total + term
    return total * np.exp(a * np.log(x) - x - each(math.lgamma)(a))


def mvlgamma(x, p):
    x = np.asarray(x, np.float64)
    return p * (p - 1) / 4 * math.log(math.pi) + sum(each(math.lgamma)(x - j / 2) for j in range(p))


def polynomial(value, scale=lambda x: x):
    """value(x, coefficients) of the one polynomial of each degree."""
    return each(lambda x, n: value(scale(x), [0] * int(n) + [1]) if n >= 0 else 0.0)


def chebyshev(first):
    """By the recurrence, from p_1."""

    def value(x, coefficients):
        before, now = 1.0, first(x)
        for _ in range(len(coefficients) - 2):
            before, now = now, 2 * x * now - before
        return now if len(coefficients) > 1 else 1.0

    return value


KINDS = {"t": lambda x: x, "u": lambda x: 2 * x, "v": lambda x: 2 * x - 1, "w": lambda x: 2 * x + 1}
POLYNOMIALS = {
    **{f"chebyshev_polynomial_{k}": polynomial(chebyshev(first)) for k, first in KINDS.items()},
    **{
        f"shifted_chebyshev_polynomial_{k}": polynomial(chebyshev(first), lambda x: 2 * x - 1)
        for k, first in KINDS.items()
    },
    "hermite_polynomial_h": polynomial(np.polynomial.hermite.hermval),
    "hermite_polynomial_he": polynomial(np.polynomial.hermite_e.hermeval),
    "laguerre_polynomial_l": polynomial(np.polynomial.laguerre.lagval),
    "legendre_polynomial_p": polynomial(np.polynomial.legendre.legval),
}


def moderate(*shape):
    return positive(*shape, low=0.5, high=8.0)


def probability(*shape):
    return positive(*shape, low=0.02, high=0.98)


def above_one(*shape):
    return positive(*shape, low=1.5, high=5.0)


def degrees(*shape):
    return ints(*shape, low=-1, high=14)


# PyTorch has no derivative of these
FLAT = {"differentiable": False}

SPECS = [
    special("airy_ai", airy, extra=[case(given([-6.5, 2.5]))], **FLAT),
    special("bessel_j0", bessel_j(0), **FLAT),
    special("bessel_j1", bessel_j(1), **FLAT),
    special("bessel_y0", bessel_y0, positive, **FLAT),
    special("bessel_y1", bessel_y1, positive, **FLAT),
    special("entr", lambda x: -x * np.log(x), positive),
    special("erfcx", lambda x: np.exp(x * x) * erfc(x), unit, extra=[case(given([-4.0, 0.0, 1.99, 2.01, 5.0]))]),
    special("i0e", lambda x: np.i0(x) * np.exp(-abs(x)), extra=[case(given([29.0, -31.0, 50.0]))]),
    special("i1", bessel_i(1), extra=[case(given([0.0]).const)]),
    special("i1e", lambda x: bessel_i(1)(x) * np.exp(-abs(x)), extra=[case(given([29.0, -31.0, 50.0]))]),
    special("modified_bessel_i1", bessel_i(1)),
    special("modified_bessel_k0", bessel_k(0), moderate, **FLAT),
    special("modified_bessel_k1", bessel_k(1), moderate, **FLAT),
    special("scaled_modified_bessel_k0", bessel_k(0, True), moderate, **FLAT),
    special("scaled_modified_bessel_k1", bessel_k(1, True), moderate, **FLAT),
    special("log_ndtr", lambda x: np.log(ndtr(x)), extra=[case(given([-8.0, 3.0]))]),
    special("ndtr", ndtr),
    special(
        "ndtri",
        ndtri,
        probability,
        extra=[case(given([1e-9, 1e-3, 0.5])).of(("float32", "float64"))],
        tolerance={"float32": (1e-5, 2e-5)},
    ),
    special("spherical_bessel_j0", lambda x: np.sinc(x / np.pi), **FLAT),
    of_two("zeta", zeta, above_one, positive),
    of_two("gammainc", gammainc, moderate, moderate),
    of_two("gammaincc", lambda a, x: 1 - gammainc(a, x), moderate, moderate),
    of_two("xlog1py", lambda a, b: a * np.log1p(b), rand, positive, differentiable=True),
    *(of_two(name, f, unit, degrees, tolerance={"float32": (1e-5, 1e-4)}) for name, f in POLYNOMIALS.items()),
    Spec(
        "igamma",
        of_floats(gammainc),
        [case(moderate(3, 4).const, moderate(3, 4))],
        out=True,
        twice=False,
        tolerance=NEAR,
    ),
    Spec(
        "igammac",
        of_floats(lambda a, x: 1 - gammainc(a, x)),
        [case(moderate(3, 4).const, moderate(3, 4))],
        out=True,
        twice=False,
        tolerance=NEAR,
    ),
    Spec(
        "polygamma",
        polygamma,
        [case(n, moderate(3, 4)) for n in (1, 2, 3)],
        method=False,
        out=True,
        tolerance={"float32": (1e-5, 1e-5)},
    ),
    Spec("mvlgamma", mvlgamma, [case(positive(3, 4, low=2.0), 3)], inplace=True, twice=False, tolerance=NEAR),
    Spec(
        "special.multigammaln", mvlgamma, [case(positive(3, 4, low=2.0), 2)], method=False, twice=False, tolerance=NEAR
    ),
    Spec(
        "frexp",
        lambda x: np.frexp(np.asarray(x, np.float64)),
        [case(rand(3, 4)), case(given([0.0, -0.0, 1e-3, 1024.0, -0.75])), case(rand(0, 3))],
        result=("same", "int32"),
        dtypes=FLOATS,
    ),
    Spec(
        "histogram",
        lambda x, bins, **kw: np.histogram(x, bins, **{**kw, "range": kw.get("range")}),
        [case(rand(40).const, 7), case(rand(5, 8).const, 5, range=(-2.0, 2.0)), case(rand(30).const, 4, density=True)],
        dtypes=("float32", "float64"),
        result=("same", "same"),
        differentiable=False,
    ),
]
