"""Random draws: here only their shapes, dtypes and seeds; their laws and values stand in test_random.py."""

import numpy as np

from . import FLOATS, Dtype, Spec, case, error, given, positive, rand


def drawn(name, cases, **more):
    more = {"dtypes": ("float32",), "stochastic": True, "differentiable": False, "method": False, "layouts": (), **more}
    return Spec(name, None, cases, **more)


def inplace(name, *settings, **more):
    """x.name_(...) on a fresh tensor; the result is x."""
    call = lambda torch, x, *args, **kwargs: getattr(x.clone(), name)(*args, **kwargs)
    return drawn(
        name, [case(rand(3, 4)), *(case(rand(3, 4), *s) for s in settings)], call=call, large=case(rand(70_001)), **more
    )


def kept_or_dropped(x, p=0.5, training=True, inplace=False):
    """Only the deterministic ends."""
    return x if p == 0 or not training else np.zeros_like(x)


NEGATIVE = [error(RuntimeError, ".*", -2)]

SPECS = [
    drawn(
        "rand",
        [case(2, 3), case((2, 3)), case(0), case(3, dtype=Dtype("float64"))],
        errors=NEGATIVE,
        large=case(70_001),
        bench=[case(1 << 20)],
    ),
    drawn(
        "randn",
        [case(2, 3), case((2, 3)), case(0), case(3, dtype=Dtype("float64"))],
        errors=NEGATIVE,
        large=case(70_001),
        bench=[case(1 << 20)],
    ),
    drawn(
        "randint",
        [case(9, (2, 3)), case(-4, 9, (2, 3)), case(2, (0,))],
        large=case(1000, (70_001,)),
        errors=[error(RuntimeError, ".*", 5, 5, (2,))],
    ),
    drawn("randperm", [case(10), case(1), case(0)], large=case(70_001), errors=[error(RuntimeError, ".*", -1)]),
    drawn("rand_like", [case(rand(2, 3)), case(rand())]),
    drawn("randn_like", [case(rand(2, 3)), case(rand())]),
    drawn("randint_like", [case(rand(2, 3), 9), case(rand(2, 3), -3, 9)]),
    drawn(
        "bernoulli",
        [case(positive(3, 4, low=0.1, high=0.9))],
        method=False,
        large=case(positive(70_001, low=0.1, high=0.9)),
        errors=[error(RuntimeError, ".*", positive(3, low=1.5))],
    ),
    drawn(
        "normal",
        [case(rand(3, 4), positive(3, 4)), case(rand(3, 4), 2.0), case(1.0, positive(3)), case(0.0, 1.0, (2, 3))],
        errors=[error(RuntimeError, ".*", rand(3), rand(3, low=-2.0, high=-1.0))],
    ),
    drawn(
        "multinomial",
        [case(positive(7), 3), case(positive(4, 7), 3), case(positive(7), 20, replacement=True)],
        errors=[error(RuntimeError, ".*", positive(3), 5), error(RuntimeError, ".*", rand(3, low=-2.0, high=-1.0), 1)],
    ),
    drawn("poisson", [case(positive(3, 4))]),
    drawn("binomial", [case(given([[3.0, 20.0, 0.0, 100.0]]), positive(3, 4, low=0.1, high=0.9))]),
    inplace("uniform_", (-2.0, 3.0), errors=[error(RuntimeError, ".*", rand(3), 2.0, 1.0)]),
    inplace("normal_", (1.0, 2.0), errors=[error(RuntimeError, ".*", rand(3), 0.0, -1.0)]),
    inplace("bernoulli_", (0.3,), errors=[error(RuntimeError, ".*", rand(3), 1.5)]),
    inplace("random_", (5,), (2, 9)),
    inplace("exponential_", (2.0,), errors=[error(RuntimeError, ".*", rand(3), -1.0)]),
    inplace("cauchy_", (1.0, 2.0)),
    inplace("log_normal_", (0.5, 0.3)),
    drawn("geometric_", [case(rand(3, 4), 0.3)], call=lambda torch, x, p: x.clone().geometric_(p)),
    drawn(
        "nn.functional.dropout",
        [case(rand(30, 4)), case(rand(30, 4), 0.3), case(rand(3), 0.0), case(rand(3), 1.0)],
        large=case(rand(70_001), 0.4),
        errors=[error(ValueError, ".*1.5", rand(3), 1.5)],
    ),
    drawn("nn.functional.alpha_dropout", [case(rand(30, 4), 0.3, training=True)]),
    drawn("nn.functional.dropout1d", [case(rand(3, 4, 5), 0.3)]),
    drawn("nn.functional.dropout2d", [case(rand(3, 4, 5, 2), 0.3)]),
    drawn("nn.functional.dropout3d", [case(rand(3, 4, 5, 2, 2), 0.3)]),
    drawn("nn.functional.feature_alpha_dropout", [case(rand(3, 4, 5), 0.3, training=True)]),
    drawn(
        "feature_dropout",
        [case(rand(30, 4, 5), 0.3, True)],
        errors=[error(RuntimeError, ".*1.5", rand(3, 4), 1.5, True)],
    ),
    # outside of training the slope is the mean of the two
    Spec(
        "nn.functional.rrelu",
        lambda x, lower=1 / 8, upper=1 / 3, training=False: np.where(x >= 0, x, x * (lower + upper) / 2),
        [case(rand(3, 4)), case(rand(3, 4), 0.3, 0.3, True), case(rand(0), 0.1, 0.2)],
        dtypes=FLOATS,
        method=False,
        errors=[error(RuntimeError, ".*", rand(3), 0.5, 0.2, True)],
    ),
    Spec(
        "dropout",
        kept_or_dropped,
        [
            case(rand(3, 4), 0.0, True),
            case(rand(3, 4), 1.0, True),
            case(rand(3, 4), 0.5, False),
            case(rand(0), 1.0, True),
        ],
        dtypes=FLOATS,
        method=False,
    ),
]
