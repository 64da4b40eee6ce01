"""Distributions: draws against closed forms, gradients through draws, one stream at any number of threads, checks."""

import math

import numpy as np
import pytest

import tessel as torch
from tessel import distributions as D  # noqa: N812
from tessel.distributions.categorical import Categorical
from tessel.distributions.kl import kl_divergence
from tessel.distributions.normal import Normal

N = 20_000


def of(*values):
    return torch.tensor(values, dtype=torch.float64)


DRAWN = {
    "Normal": lambda: D.Normal(of(0.5, -1.0), of(1.0, 2.0)),
    "Laplace": lambda: D.Laplace(of(0.5), of(2.0)),
    "Uniform": lambda: D.Uniform(of(-1.0, 2.0), of(1.0, 5.0)),
    "Exponential": lambda: D.Exponential(of(0.5, 3.0)),
    "Gamma": lambda: D.Gamma(of(0.3, 2.0, 40.0), of(1.0, 0.5, 2.0)),
    "Chi2": lambda: D.Chi2(of(3.0)),
    "InverseGamma": lambda: D.InverseGamma(of(5.0), of(2.0)),
    "Beta": lambda: D.Beta(of(0.5, 3.0), of(0.7, 2.0)),
    "Dirichlet": lambda: D.Dirichlet(of(0.5, 1.0, 3.0)),
    "StudentT": lambda: D.StudentT(of(7.0), of(1.0), of(2.0)),
    "FisherSnedecor": lambda: D.FisherSnedecor(of(5.0), of(12.0)),
    "Poisson": lambda: D.Poisson(of(0.3, 4.0, 80.0)),
    "Bernoulli": lambda: D.Bernoulli(of(0.2, 0.8)),
    "Geometric": lambda: D.Geometric(of(0.2, 0.7)),
    "Binomial": lambda: D.Binomial(of(5.0, 100.0, 1000.0), of(0.3, 0.9, 0.35)),
    "NegativeBinomial": lambda: D.NegativeBinomial(of(3.0, 7.5), of(0.3, 0.5)),
    "Multinomial": lambda: D.Multinomial(6, of(0.2, 0.3, 0.5)),
    "OneHotCategorical": lambda: D.OneHotCategorical(of(0.2, 0.3, 0.5)),
    "ContinuousBernoulli": lambda: D.ContinuousBernoulli(of(0.2, 0.5, 0.7)),
    "Gumbel": lambda: D.Gumbel(of(1.0), of(2.0)),
    "Weibull": lambda: D.Weibull(of(1.0), of(2.0)),
    "Pareto": lambda: D.Pareto(of(1.0), of(6.0)),
    "Kumaraswamy": lambda: D.Kumaraswamy(of(2.0), of(3.0)),
    "LogNormal": lambda: D.LogNormal(of(0.5), of(0.4)),
    "HalfNormal": lambda: D.HalfNormal(of(2.0)),
    "MultivariateNormal": lambda: D.MultivariateNormal(of(1.0, 2.0), torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()),
    "LowRankMultivariateNormal": lambda: D.LowRankMultivariateNormal(of(1.0, 2.0), of([2.0], [1.0]), of(1.0, 0.5)),
    "Wishart": lambda: D.Wishart(of(4.5), torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()),
    "GeneralizedPareto": lambda: D.GeneralizedPareto(of(1.0), of(2.0), of(-0.3, 0.0, 0.1)),
    "MixtureSameFamily": lambda: D.MixtureSameFamily(
        D.Categorical(of(0.3, 0.7)), D.Normal(of(-1.0, 2.0), of(0.5, 1.0))
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_have_the_moments_that_are_told(name):
    torch.manual_seed(0)
    d = DRAWN[name]()
    x = d.sample((N,))
    assert x.dtype == torch.float64 and tuple(x.shape) == (N, *d.batch_shape, *d.event_shape)
    x, mean, deviation = x.numpy(), d.mean.numpy(), d.variance.sqrt().numpy()
    np.testing.assert_array_less(np.abs(x.mean(0) - mean), 5 * deviation / math.sqrt(N))
    np.testing.assert_allclose(x.var(0), deviation**2, rtol=0.25)
    assert bool(d.support.check(d.sample((100,))).all())


@pytest.mark.parametrize("name", ["Normal", "Gamma", "Beta", "Weibull", "Pareto", "Kumaraswamy", "Gumbel", "Laplace"])
def test_densities_integrate_to_one(name):
    d = DRAWN[name]().expand((1, *DRAWN[name]().batch_shape))
    if name == "Gamma" or name == "Beta":
        d = type(d)(of(2.0), of(3.0))
    low, high = {"Beta": (0, 1), "Kumaraswamy": (0, 1), "Pareto": (1, 60)}.get(name, (1e-9, 12))
    if name in ("Normal", "Gumbel", "Laplace"):
        low, high = -40, 40
    steps = 20_001
    x = torch.linspace(low + 1e-9, high - 1e-9, steps, dtype=torch.float64)
    x = x.reshape(-1, *(1,) * len(d.batch_shape))
    y = d.log_prob(x).exp()
    total = (y.sum(0) - (y[0] + y[-1]) / 2) * (high - low) / (steps - 1)
    np.testing.assert_allclose(total.numpy(), 1, rtol=3e-3)


def test_the_same_seed_draws_the_same_at_any_number_of_threads():
    def draws():
        torch.manual_seed(3)
        alpha = torch.linspace(0.1, 20, 5000)
        return [
            D.Gamma(alpha, 1.0).sample().tolist(),
            D.Binomial(100, torch.linspace(0, 1, 5000)).sample().tolist(),
            D.Beta(alpha, 2.0).sample().tolist(),
        ]

    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(draws())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def incomplete_gamma(alpha, x):
    """P(alpha, x), by its series."""
    term = total = 1 / alpha
    for n in range(1, 2000):
        term *= x / (alpha + n)
        total += term
    return total * math.exp(alpha * math.log(x) - x - math.lgamma(alpha))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.5, 30.0, 400.0])
def test_gamma_draws_move_with_their_concentration(alpha):
    """dx/dalpha = -(dP/dalpha) / (dP/dx), by differences."""
    for x in (0.3 * alpha, alpha, 1.1 * alpha + 1, alpha + 5 * math.sqrt(alpha) + 4):
        h, k = 1e-5 * alpha, 1e-5 * x
        by_alpha = (incomplete_gamma(alpha + h, x) - incomplete_gamma(alpha - h, x)) / (2 * h)
        by_x = (incomplete_gamma(alpha, x + k) - incomplete_gamma(alpha, x - k)) / (2 * k)
        slope = torch._standard_gamma_grad(of(alpha), of(x)).item()
        if by_x > 1e-7:
            assert slope == pytest.approx(-by_alpha / by_x, rel=2e-3)


def test_gradients_of_means_pass_through_draws():
    torch.manual_seed(0)
    c = of(2.0).requires_grad_()
    b = of(3.0).requires_grad_()
    D.Beta(c, b).rsample((N,)).mean().backward()
    np.testing.assert_allclose([c.grad.item(), b.grad.item()], [3 / 25, -2 / 25], rtol=0.05)  # of c / (c + b)
    loc = of(0.3).requires_grad_()
    D.TransformedDistribution(D.Normal(loc, 1.0), D.ExpTransform()).rsample((N,)).log().mean().backward()
    assert loc.grad.item() == pytest.approx(1)


@pytest.mark.parametrize(
    "name", ["Normal", "Cauchy", "Laplace", "Gumbel", "Weibull", "GeneralizedPareto", "HalfCauchy"]
)
def test_quantiles_undo_probabilities(name):
    d = {**DRAWN, "Cauchy": lambda: D.Cauchy(0.5, 2.0), "HalfCauchy": lambda: D.HalfCauchy(2.0)}[name]()
    u = torch.linspace(0.05, 0.95, 7, dtype=torch.float64).reshape(-1, *(1,) * len(d.batch_shape))
    u = u.expand(7, *d.batch_shape)
    np.testing.assert_allclose(d.cdf(d.icdf(u)).numpy(), u.numpy(), atol=1e-6)


def test_the_second_derivative_of_gamma_draws_is_refused():
    alpha = of(2.0).requires_grad_()
    (slope,) = torch.autograd.grad(torch._standard_gamma(alpha).sum(), alpha, create_graph=True)
    with pytest.raises(NotImplementedError, match="second derivative of gamma"):
        slope.sum().backward()


def test_divergences():
    p, q = Normal(0.0, 1.0), Normal(1.0, 2.0)
    assert kl_divergence(p, q).item() == pytest.approx(math.log(2) + (1 + 1) / 8 - 0.5, rel=1e-6)
    assert kl_divergence(p, p).item() == 0

    class Mine(Normal):
        pass

    @D.register_kl(Mine, Mine)
    def mine(p, q):
        return torch.zeros(3)

    assert kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)).shape == (3,)
    with pytest.raises(NotImplementedError, match="p type Categorical and q type Mine"):
        kl_divergence(Categorical(torch.ones(2)), Mine(0.0, 1.0))


def test_policy_gradient_forms():
    logits = torch.tensor([[0.0, 1.0], [2.0, -1.0]], requires_grad=True)
    policy = Categorical(logits=logits)
    action = policy.sample()
    assert action.shape == (2,) and action.dtype == torch.int64
    policy.log_prob(action).sum().backward()
    chosen = torch.nn.functional.one_hot(action, 2)
    np.testing.assert_allclose(logits.grad.numpy(), (chosen - policy.probs).detach().numpy(), atol=1e-6)


def test_checks_name_the_parameter():
    with pytest.raises(ValueError, match=r"Normal: Expected parameter scale .* to satisfy the constraint GreaterThan"):
        D.Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="Bernoulli: Expected value argument .* to be within the support"):
        D.Bernoulli(0.5).log_prob(torch.tensor(0.5))
    assert math.isnan(D.Normal(0.0, -1.0, validate_args=False).log_prob(torch.tensor(0.0)).item())
    assert repr(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
