"""Complex numbers, made of two real inputs and told by their parts: the gradients are those of the parts."""

import numpy as np

from . import Spec, case, error, ints, nonzero, positive, rand

WIDE = ("float32", "float64")


def parts(z):
    return np.stack([np.real(z), np.imag(z)], -1)


def of_complex(name, reference, x=rand, y=None, *, extra=(), **more):
    """A function of re + i im, where it is not simply f(re, im)."""
    cases = [case(x(3, 4), (y or x)(3, 4)), case(x(), (y or x)()), case(x(0, 3), (y or x)(0, 3)), *extra]
    more = {"dtypes": WIDE, "method": False, "tolerance": {"float32": (2e-5, 2e-5)}, **more}

    def call(torch, re, im, **kwargs):
        made = getattr(torch, name)(torch.complex(re, im), **kwargs)
        return torch.view_as_real(made) if made.is_complex() else made

    def expected(re, im, **kwargs):
        found = reference(np.asarray(re, np.float64) + 1j * np.asarray(im, np.float64), **kwargs)
        return parts(found) if np.iscomplexobj(found) else found

    return Spec(name, expected, cases, call=call, **more)


def pair(re, im):
    return parts(np.asarray(re, np.float64) + 1j * np.asarray(im, np.float64))


def viewed(x):
    return parts(x[..., 0] + 1j * x[..., 1])


def polar(size, angle):
    return parts(size * np.exp(1j * angle))


SPECS = [
    Spec(
        "complex",
        pair,
        [case(rand(3, 4), rand(3, 4)), case(rand(), rand(2, 3)), case(rand(3, 1), rand(4))],
        call=lambda torch, re, im: torch.view_as_real(torch.complex(re, im)),
        dtypes=WIDE,
        method=False,
        errors=[error(RuntimeError, "Expected both inputs to be Half, Float or Double", rand(3), ints(3))],
    ),
    Spec(
        "polar",
        polar,
        [case(positive(3, 4), rand(3, 4)), case(positive(3, 1), rand(4))],
        call=lambda torch, size, angle: torch.view_as_real(torch.polar(size, angle)),
        dtypes=WIDE,
        method=False,
    ),
    Spec(
        "view_as_complex",
        viewed,
        [case(rand(3, 4, 2)), case(rand(2))],
        call=lambda torch, x: torch.view_as_real(torch.view_as_complex(x.contiguous()) * 1),
        dtypes=WIDE,
        method=False,
    ),
    of_complex("view_as_real", lambda z: parts(z)),
    of_complex("real", lambda z: z.real.copy()),
    of_complex("imag", lambda z: z.imag.copy()),
    of_complex("conj", np.conj),
    of_complex("conj_physical", np.conj),
    of_complex("resolve_conj", lambda z: z),
    of_complex("resolve_neg", lambda z: z),
    of_complex("angle", np.angle, nonzero, differentiable=True),
    of_complex("isreal", lambda z: z.imag == 0, result="bool", differentiable=False),
]
