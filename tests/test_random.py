"""Random numbers: the stream against an independent Philox in plain Python, seeds, threads, and the shapes of laws."""

import math
import pickle

import numpy as np
import pytest

import tessel as torch
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch draws another stream")

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 of Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC'11)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(c[0] * 0xD2511F53, 1 << 32)
        high1, low1 = divmod(c[2] * 0xCD9E8D57, 1 << 32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def words(seed, draw, count):
    """The first count 32-bit words of one draw: element i is lane i % 4 of block i // 4."""
    blocks = [
        philox((b & MASK, b >> 32, draw & MASK, draw >> 32), (seed & MASK, seed >> 32)) for b in range((count + 3) // 4)
    ]
    return np.array(blocks, np.uint32).reshape(-1)[:count]


@pytest.mark.parametrize(
    "counter, key, wanted",
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_reference_gives_the_published_vectors(counter, key, wanted):
    assert tuple(philox(counter, key)) == wanted


@ours_alone
@pytest.mark.parametrize("seed", [0, 1, 1234567890123, (1 << 64) - 1])
def test_uniform_floats_are_philox(seed):
    torch.manual_seed(seed)
    wanted = (words(seed, 0, 1003) >> 8).astype(np.float32) * np.float32(2.0**-24)
    np.testing.assert_array_equal(torch.rand(1003).numpy(), wanted)


@ours_alone
def test_each_draw_has_its_own_stream():
    torch.manual_seed(7)
    drawn = [torch.rand(5).numpy() for _ in range(4)]
    streams = {tuple((words(7, n, 5) >> 8) * np.float32(2.0**-24)): n for n in range(64)}
    offsets = [streams.get(tuple(d)) for d in drawn]
    assert offsets[0] == 0 and None not in offsets and offsets == sorted(set(offsets)), offsets


@ours_alone
def test_an_element_depends_on_its_index_alone():
    torch.manual_seed(3)
    long = torch.rand(100_003)
    for size in (1, 7, 1000, 40_001):
        torch.manual_seed(3)
        assert torch.equal(torch.rand(size), long[:size])
    torch.manual_seed(3)
    assert torch.equal(torch.rand(7, 11, 13).reshape(-1), long[: 7 * 11 * 13])


DRAWS = {
    "rand": lambda: torch.rand(100_001),
    "rand double": lambda: torch.rand(50_001, dtype=torch.float64),
    "rand half": lambda: torch.rand(50_001, dtype=torch.bfloat16).float(),
    "randn": lambda: torch.randn(100_001),
    "randn double": lambda: torch.randn(50_001, dtype=torch.float64),
    "randint": lambda: torch.randint(-5, 17, (100_001,)),
    "randint of a wide range": lambda: torch.randint(-(1 << 62), 1 << 62, (50_001,)),
    "randperm": lambda: torch.randperm(100_001),
    "bernoulli": lambda: torch.bernoulli(torch.full((100_001,), 0.3)),
    "bernoulli_": lambda: torch.empty(100_001).bernoulli_(0.3),
    "uniform_": lambda: torch.empty(100_001).uniform_(-2, 3),
    "normal_": lambda: torch.empty(100_001).normal_(1, 2),
    "uniform_ in a transposed tensor": lambda: torch.empty(301, 333).t().uniform_(),
    "multinomial": lambda: torch.multinomial(torch.arange(1.0, 50), 20_001, replacement=True),
    "multinomial without replacement": lambda: torch.multinomial(torch.ones(40, 1000), 700),
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(100_001), 0.4),
    "normal": lambda: torch.normal(torch.zeros(50_001), torch.full((50_001,), 2.0)),
    "rand_like": lambda: torch.rand_like(torch.ones(1000)),
    "randn_like": lambda: torch.randn_like(torch.ones(1000)),
    "randint_like": lambda: torch.randint_like(torch.ones(1000), 10),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_values_again(name):
    torch.manual_seed(11)
    first, next_one = DRAWS[name](), DRAWS[name]()
    torch.manual_seed(11)
    assert torch.equal(DRAWS[name](), first) and not torch.equal(first, next_one)
    torch.manual_seed(12)
    assert not torch.equal(DRAWS[name](), first)


@ours_alone
@pytest.mark.parametrize("name", DRAWS)
def test_the_same_values_at_any_thread_count(name, threads):
    seen = []
    for count in (1, 2, 3, 7):
        threads(count)
        torch.manual_seed(11)
        seen.append(DRAWS[name]())
    assert all(torch.equal(seen[0], other) for other in seen)


# laws; the bounds are five standard errors of the estimate


def test_uniform_moments_and_ends():
    x = torch.rand(1_000_000)
    assert 0 <= x.min() and x.max() < 1
    assert abs(float(x.mean()) - 0.5) < 5 / math.sqrt(12e6)
    assert abs(float(x.double().var()) - 1 / 12) < 5e-4
    y = torch.empty(100_000).uniform_(-2, 3)
    assert -2 <= y.min() and y.max() < 3 and abs(float(y.mean()) - 0.5) < 0.03
    z = torch.rand(100_000, dtype=torch.float16)
    assert z.max() < 1 and z.min() >= 0
    assert float(torch.rand(100_000, dtype=torch.bfloat16).max()) < 1


def test_uniform_bins_are_even():
    counts = np.bincount((torch.rand(1_000_000) * 100).long().numpy(), minlength=100)
    chi = ((counts - 10_000) ** 2 / 10_000).sum()
    assert 40 < chi < 180, chi  # 99 degrees of freedom


def test_neighbours_are_not_correlated():
    x = torch.randn(1_000_000).double().numpy()
    for lag in (1, 2, 3, 4, 5, 8, 16, 64):
        assert abs(np.mean(x[:-lag] * x[lag:])) < 5e-3, lag


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_moments_and_tails(dtype):
    x = torch.randn(1_000_000, dtype=getattr(torch, dtype)).double().numpy()
    assert np.isfinite(x).all()
    assert (
        abs(x.mean()) < 5e-3 and abs(x.var() - 1) < 8e-3 and abs((x**3).mean()) < 0.02 and abs((x**4).mean() - 3) < 0.06
    )
    assert abs((np.abs(x) > 3).mean() - 0.0026998) < 3e-4 and np.abs(x).max() > 4
    y = torch.empty(100_000).normal_(5, 0.5)
    assert abs(float(y.mean()) - 5) < 0.01 and abs(float(y.std()) - 0.5) < 0.01


def test_randint_is_even_and_keeps_its_bounds():
    x = torch.randint(-3, 4, (700_000,))
    assert x.dtype == torch.int64 and int(x.min()) == -3 and int(x.max()) == 3
    counts = np.bincount(x.numpy() + 3)
    assert (abs(counts - 100_000) < 1_600).all()
    assert torch.randint(5, (3,), dtype=torch.int32).dtype == torch.int32
    assert torch.randint(4, 5, (100,)).tolist() == [4] * 100
    with pytest.raises(RuntimeError):
        torch.randint(5, 5, (2,))


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000, 100_003])
def test_randperm_is_a_permutation(n):
    p = torch.randperm(n)
    assert p.dtype == torch.int64 and torch.equal(p.sort()[0], torch.arange(n))
    with pytest.raises(RuntimeError):
        torch.randperm(-1)


def test_every_permutation_is_as_likely():
    seen = {}
    for _ in range(6000):
        p = tuple(torch.randperm(3).tolist())
        seen[p] = seen.get(p, 0) + 1
    assert len(seen) == 6 and all(abs(n - 1000) < 150 for n in seen.values()), seen


def test_bernoulli():
    p = torch.tensor([0.0, 0.25, 0.5, 1.0]).repeat(100_000, 1)
    means = torch.bernoulli(p).mean(0).tolist()
    assert means[0] == 0 and means[3] == 1 and abs(means[1] - 0.25) < 0.007 and abs(means[2] - 0.5) < 0.008
    assert set(torch.empty(1000).bernoulli_(0.5).tolist()) == {0.0, 1.0}
    with pytest.raises(RuntimeError):
        torch.bernoulli(torch.tensor([1.5]))


def test_multinomial():
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0, 6.0])
    drawn = torch.multinomial(weights, 100_000, replacement=True)
    assert drawn.dtype == torch.int64
    share = np.bincount(drawn.numpy(), minlength=5) / 100_000
    np.testing.assert_allclose(share, [0, 0.1, 0.3, 0, 0.6], atol=0.008)
    rows = torch.multinomial(weights.repeat(50, 1), 3)
    assert rows.shape == (50, 3) and all(sorted(r) == [1, 2, 4] for r in rows.tolist())
    first = torch.multinomial(weights.repeat(20_000, 1), 1)[:, 0]
    assert abs(float((first == 4).float().mean()) - 0.6) < 0.02
    with pytest.raises(RuntimeError):
        torch.multinomial(weights, 6)
    with pytest.raises(RuntimeError):
        torch.multinomial(torch.tensor([-1.0, 2.0]), 1)
    with pytest.raises(RuntimeError):
        torch.multinomial(torch.zeros(3), 1)


def test_dropout():
    dropout = torch.nn.functional.dropout
    x = torch.ones(1_000_000)
    y = dropout(x, 0.3)
    assert abs(float(y.mean()) - 1) < 5e-3 and abs(float((y == 0).float().mean()) - 0.3) < 3e-3
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert torch.equal(dropout(x, 0.0), x) and not bool(dropout(x, 1.0).any())
    assert torch.equal(dropout(x, 0.9, training=False), x)
    with pytest.raises(ValueError):
        dropout(x, 1.5)
    with pytest.raises(ValueError):
        dropout(x, -0.1)


def test_the_gradient_of_dropout_uses_the_same_mask():
    x = torch.ones(100_001, requires_grad=True)
    y = torch.nn.functional.dropout(x, 0.6)
    torch.rand(10)  # the stream moves on in between
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_generators():
    a, b = torch.Generator(), torch.Generator()
    a.manual_seed(5)
    b.manual_seed(5)
    torch.manual_seed(9)
    mine = torch.rand(10)
    first = torch.rand(10, generator=a)
    assert torch.equal(first, torch.rand(10, generator=b)) and a.initial_seed() == 5
    torch.manual_seed(9)
    assert torch.equal(torch.rand(10), mine)  # the default generator did not move
    for draw in (
        lambda g: torch.randn(10, generator=g),
        lambda g: torch.randint(0, 9, (10,), generator=g),
        lambda g: torch.randperm(10, generator=g),
        lambda g: torch.empty(10).normal_(generator=g),
        lambda g: torch.bernoulli(torch.full((50,), 0.5), generator=g),
        lambda g: torch.multinomial(torch.ones(20), 5, generator=g),
    ):
        assert torch.equal(draw(a), draw(b))
    assert torch.default_generator.initial_seed() == 9 == torch.initial_seed()


def test_generator_state():
    g = torch.Generator().manual_seed(5)
    torch.rand(3, generator=g)
    state = g.get_state()
    assert state.dtype == torch.uint8
    first = torch.randn(100, generator=g)
    g.set_state(state)
    assert torch.equal(torch.randn(100, generator=g), first)
    other = torch.Generator()
    other.set_state(state)
    assert torch.equal(torch.randn(100, generator=other), first)
    with pytest.raises(RuntimeError):
        g.set_state(torch.zeros(3, dtype=torch.uint8))


def test_generators_are_pickled():
    g = torch.Generator().manual_seed(3)
    torch.rand(2, generator=g)
    other = pickle.loads(pickle.dumps(g))
    assert torch.equal(torch.rand(5, generator=g), torch.rand(5, generator=other))


def test_poisson():
    for rate in (0.0, 0.5, 4.0, 10.0, 60.0, 1000.0):
        x = torch.poisson(torch.full((40_000,), rate, dtype=torch.float64)).numpy()
        assert (x == np.floor(x)).all() and (x >= 0).all()
        assert abs(x.mean() - rate) <= 5 * math.sqrt(rate / 40_000)
        assert abs(x.var() - rate) <= 6 * rate * math.sqrt((2 + 1 / max(rate, 0.1)) / 40_000)


def test_global_state():
    torch.manual_seed(21)
    state = torch.get_rng_state()
    first = torch.rand(5), torch.randn(3)
    torch.set_rng_state(state)
    assert torch.equal(torch.rand(5), first[0]) and torch.equal(torch.randn(3), first[1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.rand(10)
    after = torch.rand(2)
    torch.set_rng_state(state)
    torch.rand(5), torch.randn(3)
    assert torch.equal(torch.rand(2), after)
    assert isinstance(torch.seed(), int)
    assert torch.equal(pickle.loads(pickle.dumps(state)), state)


def test_seeds_of_any_size():
    for seed in (0, 1, -1, 1 << 40, (1 << 63) - 1):
        torch.manual_seed(seed)
        assert torch.initial_seed() == seed % (1 << 64)
    drawn = []
    for seed in (0, 1, 1 << 32, 1 << 40):
        torch.manual_seed(seed)
        drawn.append(tuple(torch.rand(4).tolist()))
    if not STANDS_IN:  # PyTorch's Mersenne Twister reads 32 bits of its seed
        assert len(set(drawn)) == 4


def test_a_half_filled_draw_leaves_nothing_behind():
    torch.manual_seed(4)
    torch.rand(3)
    a = torch.rand(5)
    torch.manual_seed(4)
    torch.rand(3)
    assert torch.equal(torch.rand(5), a)


def test_seeding_cuda_is_seeding_the_one_stream():
    """Programs seed every device they might have; here there is one stream, with or without a GPU."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    for seed in (torch.cuda.manual_seed, torch.cuda.manual_seed_all):
        seed(3)
        assert torch.equal(torch.rand(4), expected)
