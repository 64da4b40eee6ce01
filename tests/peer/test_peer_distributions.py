"""Distributions beside PyTorch's: moments, densities, quantiles, entropies, divergences and their gradients."""

import numpy as np
import pytest

import tessel

torch = pytest.importorskip("torch")

GENERATOR = np.random.default_rng(0)


def real(*shape):
    return GENERATOR.standard_normal(shape)


def positive(*shape):
    return GENERATOR.uniform(0.4, 3, shape)


def unit(*shape):
    return GENERATOR.uniform(0.1, 0.9, shape)


def simplex(*shape):
    x = positive(*shape)
    return x / x.sum(-1, keepdims=True)


def matrix(*shape):
    x = GENERATOR.standard_normal(shape)
    return x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])


# name -> parameter sets; arrays become float64 tensors of each library
TABLE = {
    "Bernoulli": [{"probs": unit(3)}, {"logits": real(3, 2)}],
    "Beta": [{"concentration1": positive(3), "concentration0": positive(3)}],
    "Binomial": [{"total_count": 5, "probs": unit(3)}, {"total_count": 4, "logits": real(2, 3)}],
    "Categorical": [{"probs": positive(3, 4)}, {"logits": real(5)}],
    "Cauchy": [{"loc": real(3), "scale": positive(3)}],
    "Chi2": [{"df": positive(3)}],
    "ContinuousBernoulli": [{"probs": np.array([0.2, 0.4999, 0.9])}, {"logits": real(3)}],
    "Dirichlet": [{"concentration": positive(2, 3)}],
    "Exponential": [{"rate": positive(3)}],
    "FisherSnedecor": [{"df1": positive(3) + 3, "df2": positive(3) + 4}],
    "Gamma": [{"concentration": positive(3), "rate": positive(3)}],
    "Geometric": [{"probs": unit(3)}, {"logits": real(3)}],
    "Gumbel": [{"loc": real(3), "scale": positive(3)}],
    "HalfCauchy": [{"scale": positive(3)}],
    "HalfNormal": [{"scale": positive(3)}],
    "InverseGamma": [{"concentration": positive(3) + 2, "rate": positive(3)}],
    "Kumaraswamy": [{"concentration1": positive(3), "concentration0": positive(3)}],
    "LKJCholesky": [{"dim": 3, "concentration": positive(2)}],
    "Laplace": [{"loc": real(3), "scale": positive(3)}],
    "LogNormal": [{"loc": real(3), "scale": positive(3)}],
    "LogisticNormal": [{"loc": real(2, 3), "scale": positive(2, 3)}],
    "LowRankMultivariateNormal": [{"loc": real(2, 3), "cov_factor": real(3, 2), "cov_diag": positive(3)}],
    "Multinomial": [{"total_count": 4, "probs": simplex(2, 3)}, {"total_count": 3, "logits": real(3)}],
    "MultivariateNormal": [
        {"loc": real(2, 3), "covariance_matrix": matrix(3, 3)},
        {"loc": real(3), "precision_matrix": matrix(2, 3, 3)},
        {"loc": real(3), "scale_tril": np.linalg.cholesky(matrix(3, 3))},
    ],
    "NegativeBinomial": [{"total_count": positive(3), "probs": unit(3)}, {"total_count": 3, "logits": real(3)}],
    "Normal": [{"loc": real(3), "scale": positive(3)}, {"loc": 0.5, "scale": 2.0}],
    "OneHotCategorical": [{"probs": simplex(2, 4)}, {"logits": real(4)}],
    "OneHotCategoricalStraightThrough": [{"probs": simplex(2, 4)}],
    "Pareto": [{"scale": positive(3), "alpha": positive(3) + 2}],
    "Poisson": [{"rate": positive(3)}],
    "RelaxedBernoulli": [{"temperature": np.array(0.7), "probs": unit(3)}],
    "RelaxedOneHotCategorical": [{"temperature": np.array(0.7), "logits": real(2, 3)}],
    "StudentT": [{"df": positive(3) + 2, "loc": real(3), "scale": positive(3)}],
    "Uniform": [{"low": real(3), "high": real(3) + 9}],
    "VonMises": [{"loc": real(3), "concentration": positive(3) * 3}],
    "Wishart": [
        {"df": positive(2) + 3, "covariance_matrix": matrix(3, 3)},
        {"df": positive(2) + 3, "precision_matrix": matrix(2, 3, 3)},
    ],
    "Weibull": [{"scale": positive(3), "concentration": positive(3) + 1}],
}
CASES = [(name, i) for name, forms in TABLE.items() for i in range(len(forms))]


def made(lib, name, i=0):
    """The distribution and those of its parameters that are tensors."""
    parameters = {
        k: lib.from_numpy(v.copy()).requires_grad_() if isinstance(v, np.ndarray) else v
        for k, v in TABLE[name][i].items()
    }
    leaves = [v for v in parameters.values() if isinstance(v, lib.Tensor)]
    return getattr(lib.distributions, name)(**parameters), leaves


def close(ours, theirs, bound=1e-9):
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=bound, atol=bound)


def both(call):
    """What each library gives, or the exceptions it raises."""
    found = []
    for lib in (tessel, torch):
        try:
            found.append(call(lib))
        except (NotImplementedError, RuntimeError, ValueError) as e:
            found.append(e)
    return found


def compare(call, bound=1e-9, leaves=None):
    """Values and, where both carry them, gradients; where PyTorch has nothing, neither need we."""
    ours, theirs = both(call)
    if isinstance(theirs, Exception):
        return
    if isinstance(ours, Exception):
        raise ours
    close(ours, theirs, bound)
    if leaves and theirs.requires_grad:
        weight = np.asarray(np.random.default_rng(1).standard_normal(tuple(theirs.shape)))
        slopes = []
        for lib, y, of in ((tessel, ours, leaves[0]), (torch, theirs, leaves[1])):
            slopes.append(
                lib.autograd.grad((y * lib.from_numpy(weight)).sum(), of, retain_graph=True, allow_unused=True)
            )
        for a, b in zip(*slopes):
            if b is not None and bool(torch.isfinite(b).all()):
                close(tessel.zeros(tuple(b.shape)).double() if a is None else a, b, 100 * bound)


@pytest.mark.parametrize("name, i", CASES)
def test_distribution(name, i):
    bound = {"VonMises": 1e-6, "Multinomial": 1e-7}.get(name, 1e-9)  # PyTorch takes logarithms of its counts in float32
    (ours, our_leaves), (theirs, their_leaves) = made(tessel, name, i), made(torch, name, i)
    pair, leaves = {tessel: ours, torch: theirs}, (our_leaves, their_leaves)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    assert ours.has_rsample == theirs.has_rsample and ours.has_enumerate_support == theirs.has_enumerate_support
    compare(lambda lib: pair[lib].mean, bound, leaves)
    compare(lambda lib: pair[lib].variance, bound, leaves)
    compare(lambda lib: pair[lib].stddev, bound, leaves)
    if name != "Kumaraswamy":  # PyTorch's is NaN
        compare(lambda lib: pair[lib].mode, bound, leaves)
    compare(lambda lib: pair[lib].entropy(), bound, leaves)
    compare(lambda lib: pair[lib].enumerate_support(), bound)
    torch.manual_seed(0)
    values = theirs.sample((5,)).numpy()
    compare(lambda lib: pair[lib].log_prob(lib.from_numpy(values.copy())), bound, leaves)
    if name not in ("Gamma", "Chi2", "InverseGamma") or hasattr(tessel, "igamma"):
        compare(lambda lib: pair[lib].cdf(lib.from_numpy(values.copy())), bound)
    u = np.random.default_rng(2).uniform(0.05, 0.95, (5, *theirs.batch_shape, *theirs.event_shape))
    compare(lambda lib: pair[lib].icdf(lib.from_numpy(u.copy())), bound)
    shape = (2, 4, *theirs.batch_shape)
    wide, told = ours.expand(shape), theirs.expand(shape)
    assert tuple(wide.batch_shape) == tuple(told.batch_shape) and tuple(wide.event_shape) == tuple(told.event_shape)
    compare(lambda lib: (wide if lib is tessel else told).log_prob(lib.from_numpy(np.array(values[0]))), bound)
    assert tuple(wide.sample().shape) == tuple(told.sample().shape)
    drawn = ours.sample((5,))
    assert tuple(drawn.shape) == values.shape and drawn.dtype == getattr(tessel, str(values.dtype)) or drawn.dim()
    assert bool(ours.support.check(drawn).all())


PAIRS = [
    ("Bernoulli", "Bernoulli"),
    ("Bernoulli", "Poisson"),
    *(("Beta", q) for q in ("Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Normal", "Uniform", "Pareto")),
    ("Binomial", "Binomial"),
    ("Categorical", "Categorical"),
    ("Cauchy", "Cauchy"),
    ("Chi2", "Chi2"),
    *(("ContinuousBernoulli", q) for q in ("ContinuousBernoulli", "Exponential", "Normal", "Uniform", "Pareto")),
    ("Dirichlet", "Dirichlet"),
    *(("Exponential", q) for q in ("Exponential", "Gamma", "Gumbel", "Normal", "Beta", "Pareto")),
    *(("Gamma", q) for q in ("Gamma", "Exponential", "Gumbel", "Normal", "Uniform")),
    ("Geometric", "Geometric"),
    *(("Gumbel", q) for q in ("Gumbel", "Normal", "Beta")),
    ("HalfNormal", "HalfNormal"),
    *(("Laplace", q) for q in ("Laplace", "Normal", "Beta")),
    ("LogNormal", "LogNormal"),
    *(
        (p, q)
        for p in ("LowRankMultivariateNormal", "MultivariateNormal")
        for q in ("LowRankMultivariateNormal", "MultivariateNormal")
    ),
    *(("Normal", q) for q in ("Normal", "Gumbel", "Laplace", "Exponential")),
    ("OneHotCategorical", "OneHotCategorical"),
    *(("Pareto", q) for q in ("Pareto", "Exponential", "Gamma", "Normal", "Uniform")),
    ("Poisson", "Poisson"),
    ("Poisson", "Bernoulli"),
    *(
        ("Uniform", q)
        for q in ("Uniform", "Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Gumbel", "Normal", "Pareto")
    ),
]


@pytest.mark.parametrize("p, q", PAIRS)
def test_divergence(p, q):
    first = {lib: made(lib, p) for lib in (tessel, torch)}
    second = {lib: made(lib, q, min(1, len(TABLE[q]) - 1) if p == q and q in ("Categorical",) else 0) for lib in first}
    if p == q == "Categorical":
        second = {lib: (lib.distributions.Categorical(lib.full((4,), 0.25).double()), []) for lib in first}
    if p == q and p not in ("Categorical", "Binomial"):  # another of the same family
        for lib in second:
            for x in second[lib][1]:
                x.data.mul_(1.25 if p not in ("Bernoulli", "Geometric", "ContinuousBernoulli") else 0.75)
        second = {lib: (rebuilt(lib, q, second[lib][1]), second[lib][1]) for lib in second}
    leaves = tuple(first[lib][1] + second[lib][1] for lib in (tessel, torch))
    wanted = both(lambda lib: lib.distributions.kl_divergence(first[lib][0], second[lib][0]))[1]
    assert not isinstance(wanted, Exception), wanted
    compare(lambda lib: lib.distributions.kl_divergence(first[lib][0], second[lib][0]), 1e-8, leaves)


def rebuilt(lib, name, leaves):
    """The distribution of these parameters, given in the order of the table."""
    values = iter(leaves)
    parameters = {k: next(values) if isinstance(v, np.ndarray) else v for k, v in TABLE[name][0].items()}
    return getattr(lib.distributions, name)(**parameters, validate_args=False)


TRANSFORMS = {
    "ExpTransform": lambda T, lib: T.ExpTransform(),
    "PowerTransform": lambda T, lib: T.ComposeTransform([T.ExpTransform(), T.PowerTransform(lib.tensor(0.7).double())]),
    "SigmoidTransform": lambda T, lib: T.SigmoidTransform(),
    "SoftplusTransform": lambda T, lib: T.SoftplusTransform(),
    "TanhTransform": lambda T, lib: T.TanhTransform(),
    "AffineTransform": lambda T, lib: T.AffineTransform(0.5, -2.0),
    "AffineTransform of events": lambda T, lib: T.AffineTransform(lib.ones(3).double(), 3 * lib.ones(3).double(), 1),
    "StickBreakingTransform": lambda T, lib: T.StickBreakingTransform(),
    "CorrCholeskyTransform": lambda T, lib: T.CorrCholeskyTransform(),
    "ReshapeTransform": lambda T, lib: T.ReshapeTransform((3,), (3, 1)),
    "IndependentTransform": lambda T, lib: T.IndependentTransform(T.ExpTransform(), 1),
    "StackTransform": lambda T, lib: T.StackTransform([T.ExpTransform(), T.TanhTransform(), T.SigmoidTransform()], -1),
    "CatTransform": lambda T, lib: T.CatTransform([T.ExpTransform(), T.TanhTransform()], -1, [1, 2]),
    "inverse": lambda T, lib: T.ExpTransform().inv.inv,
    "compose": lambda T, lib: T.ComposeTransform([T.AffineTransform(1.0, 2.0), T.StickBreakingTransform()]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name):
    x = real(4, 3)
    results = []
    for lib in (tessel, torch):
        t = TRANSFORMS[name](lib.distributions.transforms, lib)
        given = lib.from_numpy(x.copy())
        y = t(given)
        results.append((y, t.inv(y), t.log_abs_det_jacobian(given, y), t.domain.event_dim, t.codomain.event_dim))
        assert tuple(t.forward_shape(tuple(x.shape))) == tuple(y.shape)
    for a, b in zip(*results):
        if isinstance(b, int):
            assert a == b
        else:
            close(a, b)


@pytest.mark.parametrize("name", ("real", "positive", "unit_interval", "simplex", "real_vector", "corr_cholesky"))
def test_registry(name):
    x = real(3)
    found = []
    for lib in (tessel, torch):
        constraint = getattr(lib.distributions.constraints, name)
        for to in (lib.distributions.biject_to, lib.distributions.transform_to):
            y = to(constraint)(lib.from_numpy(x.copy()))
            assert bool(constraint.check(y).all())
            found.append(y)
    close(found[0], found[2])
    close(found[1], found[3])


COMPOSITIONS = [
    lambda D, t: D.Independent(D.Normal(t(real_a), t(positive_a)), 1),
    lambda D, t: D.MixtureSameFamily(D.Categorical(t(mix)), D.Normal(t(real_b), t(positive_b))),
    lambda D, t: D.TransformedDistribution(D.Normal(t(real_a), t(positive_a)), [D.AffineTransform(1.0, -2.0)]),
    lambda D, t: D.TransformedDistribution(
        D.Independent(D.Normal(t(real_a), t(positive_a)), 1), [D.TanhTransform(), D.AffineTransform(0.5, 2.0)]
    ),
]


@pytest.mark.parametrize("i", range(len(COMPOSITIONS)))
def test_compositions(i):
    torch.manual_seed(0)
    ours = COMPOSITIONS[i](tessel.distributions, lambda a: tessel.from_numpy(a.copy()))
    theirs = COMPOSITIONS[i](torch.distributions, lambda a: torch.from_numpy(a.copy()))
    pair = {tessel: ours, torch: theirs}
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    value = theirs.sample((6,)).numpy()
    compare(lambda lib: pair[lib].log_prob(lib.from_numpy(value.copy())))
    compare(lambda lib: pair[lib].mean)
    compare(lambda lib: pair[lib].variance)
    compare(lambda lib: pair[lib].cdf(lib.from_numpy(value.copy())))
    compare(lambda lib: pair[lib].entropy())
    assert tuple(ours.sample((7,)).shape) == tuple(theirs.sample((7,)).shape)


def test_gamma_slopes():
    """PyTorch's are approximations to a few digits where it has no series."""
    alpha = np.exp(GENERATOR.uniform(np.log(0.05), np.log(3e4), 300))
    x = np.maximum(GENERATOR.gamma(alpha), 1e-30)
    a, b = (lib._standard_gamma_grad(lib.from_numpy(alpha), lib.from_numpy(x)) for lib in (tessel, torch))
    close(a, b, 2e-3)


real_a, positive_a = real(2, 3), positive(2, 3)
mix, real_b, positive_b = simplex(2, 4), real(2, 4), positive(2, 4)

WRONG = [
    lambda D, t: D.Normal(t([0.0]), t([-1.0])),
    lambda D, t: D.Normal("a", 1.0),
    lambda D, t: D.Normal(t([0.0]), t([1.0])).log_prob(t([float("nan")])),
    lambda D, t: D.Normal(t([0.0, 1.0]), t([1.0])).log_prob(t([1.0, 2.0, 3.0])),
    lambda D, t: D.Categorical(),
    lambda D, t: D.Categorical(probs=t([0.5, 0.5]), logits=t([0.5, 0.5])),
    lambda D, t: D.Categorical(probs=t([0.5, 0.5])).log_prob(t(3)),
    lambda D, t: D.Bernoulli(probs=t(1.5)),
    lambda D, t: D.Uniform(t(2.0), t(1.0)),
    lambda D, t: D.Dirichlet(t(1.0)),
    lambda D, t: D.MultivariateNormal(t([0.0, 0.0])),
    lambda D, t: D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 2.0], [2.0, 1.0]])),
    lambda D, t: D.Independent(D.Normal(t([0.0]), t([1.0])), 2),
    lambda D, t: D.kl_divergence(D.Cauchy(t(0.0), t(1.0)), D.Poisson(t(1.0))),
    lambda D, t: D.Poisson(t(1.0)).rsample(),
    lambda D, t: D.Normal(t(0.0), t(1.0)).enumerate_support(),
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors_are_of_one_type(i):
    raised = []
    for lib in (tessel, torch):
        with pytest.raises(Exception) as e:
            WRONG[i](lib.distributions, lib.tensor)
        raised.append(e.type)
    assert raised[0] is raised[1]
