"""Threads: a whole training run gives one hash at any number of them; forks, callers and nested work stay sound."""

import hashlib
import os
import subprocess
import sys
import threading

import pytest

import tessel as torch
from tests import STANDS_IN

ours_alone = pytest.mark.skipif(STANDS_IN, reason="PyTorch does not promise equal bits at every thread count")
F = torch.nn.functional


def digest(tensors) -> str:
    told = hashlib.sha256()
    for t in tensors:
        told.update(t.detach().contiguous().numpy().tobytes())
    return told.hexdigest()


def weights(*shapes):
    return [(torch.randn(*s) / max(1, s[-1]) ** 0.5).requires_grad_() for s in shapes]


def step(parameters, loss, velocity, rate=0.05):
    """One step of momentum, written out so that this test needs no optimizer."""
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for p, g, v in zip(parameters, gradients, velocity):
            v.mul_(0.9).add_(g)
            p.sub_(v, alpha=rate)


def train(parameters, loss_of, steps):
    velocity = [torch.zeros_like(p) for p in parameters]
    for _ in range(steps):
        step(parameters, loss_of(), velocity)
    assert all(bool(p.isfinite().all()) for p in parameters)
    return digest(parameters)


def mlp():
    x, t = torch.randn(257, 61), torch.randint(0, 10, (257,))
    p = weights((128, 61), (128,), (96, 128), (96,), (10, 96), (10,))

    def loss():
        h = torch.relu(F.linear(x, p[0], p[1]))
        h = F.dropout(torch.tanh(F.linear(h, p[2], p[3])), 0.1)
        return F.cross_entropy(F.linear(h, p[4], p[5]), t)

    return train(p, loss, 12)


def lenet():
    x, t = torch.randn(33, 1, 32, 32), torch.randint(0, 10, (33,))
    p = weights((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (84, 400), (84,), (10, 84), (10,))
    scale, shift = torch.ones(6, requires_grad=True), torch.zeros(6, requires_grad=True)

    def loss():
        h = F.conv2d(x, p[0], p[1])
        h = F.batch_norm(h, None, None, scale, shift, training=True)
        h = F.max_pool2d(torch.relu(h), 2)
        h = F.avg_pool2d(torch.relu(F.conv2d(h, p[2], p[3])), 2)
        h = torch.relu(F.linear(h.flatten(1), p[4], p[5]))
        return F.nll_loss(F.log_softmax(F.linear(h, p[6], p[7]), 1), t)

    return train([*p, scale, shift], loss, 5)


def transformer():
    batch, length, width, heads = 9, 33, 32, 4
    tokens = torch.randint(0, 50, (batch, length + 1))
    p = weights(
        (50, width), (length, width), (3 * width, width), (width, width), (4 * width, width), (width, 4 * width)
    )
    norms = [torch.ones(width, requires_grad=True), torch.zeros(width, requires_grad=True)]
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)

    def loss():
        h = F.embedding(tokens[:, :-1], p[0]) + p[1]
        n = F.layer_norm(h, (width,), *norms)
        q, k, v = F.linear(n, p[2]).view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        score = (q @ k.transpose(-1, -2) / (width // heads) ** 0.5).masked_fill(hidden, float("-inf"))
        mixed = (torch.softmax(score, -1) @ v).transpose(1, 2).reshape(batch, length, width)
        h = h + F.linear(mixed, p[3])
        h = h + F.linear(F.gelu(F.linear(F.layer_norm(h, (width,), *norms), p[4])), p[5])
        return F.cross_entropy((h @ p[0].t()).flatten(0, 1), tokens[:, 1:].flatten())

    return train([*p, *norms], loss, 5)


NETWORKS = {"mlp": mlp, "lenet": lenet, "transformer": transformer}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_run_repeats(name):
    told = []
    for _ in range(2):
        torch.manual_seed(1)
        told.append(NETWORKS[name]())
    assert told[0] == told[1]


@ours_alone
@pytest.mark.parametrize("name", NETWORKS)
def test_one_hash_at_any_thread_count(name, threads):
    told = {}
    for count in (1, 2, 3, 7):
        threads(count)
        torch.manual_seed(1)
        told[count] = NETWORKS[name]()
    assert len(set(told.values())) == 1, told


def test_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.get_num_threads() == 3
        for wrong in (0, -1):
            with pytest.raises((RuntimeError, ValueError)):
                torch.set_num_threads(wrong)
        with pytest.raises((TypeError, RuntimeError)):
            torch.set_num_threads("two")
    finally:
        torch.set_num_threads(before)


@ours_alone
def test_the_pool_follows_the_affinity():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity on this system")
    one = f"{{{min(os.sched_getaffinity(0))}}}"
    program = f"import os; os.sched_setaffinity(0, {one}); import tessel; print(tessel.get_num_threads())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "1"


def test_concurrent_callers_get_their_own_results():
    a, b = torch.randn(200, 200), torch.randn(200, 200)
    wanted, wrong = (a @ b).exp().sum(0), []

    def work(n):
        for _ in range(20):
            if not torch.equal((a @ b).exp().sum(0), wanted):
                wrong.append(n)

    if STANDS_IN:
        torch.set_num_threads(1)
    many = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    [t.start() for t in many]
    [t.join() for t in many]
    assert not wrong or STANDS_IN


def test_backward_in_several_threads_sums_up():
    w = torch.ones(300, 300, requires_grad=True)

    def work():
        for _ in range(10):
            (w * 2).sum().backward()

    many = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in many]
    [t.join() for t in many]
    assert w.grad.unique().tolist() == [80.0]


def test_work_started_inside_a_hook():
    w = torch.randn(400, 400, requires_grad=True)
    y = w.exp()
    y.register_hook(lambda g: g * torch.ones(400, 400).sum() / 160_000)
    y.sum().backward()
    assert torch.allclose(w.grad, w.detach().exp())


def child(work) -> int:
    """The exit status of work done in a forked child; a child that hangs is killed."""
    name = os.fork()
    if name == 0:
        import signal

        signal.alarm(60)
        try:
            os._exit(0 if work() else 1)
        except BaseException:
            os._exit(2)
    return os.waitpid(name, 0)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_works():
    x = torch.randn(1000, 1000)
    wanted = (x * 2).exp().sum().item()  # the parent's pool is warm

    def work():
        y = torch.randn(500, 500, requires_grad=True)
        (y @ y).sum().backward()
        return abs((x * 2).exp().sum().item() / wanted - 1) < 1e-5

    if STANDS_IN:
        pytest.skip("PyTorch's OpenMP pool does not survive a fork")
    assert child(work) == 0
    assert child(lambda: child(work) == 0) == 0
    assert (x * 2).exp().sum().item() == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@ours_alone
def test_forks_while_other_threads_work():
    stop = threading.Event()
    x = torch.randn(300, 300)

    def busy():
        while not stop.is_set():
            (x @ x).exp()
            torch.rand(100_000)
            [torch.empty(n) for n in (10, 1000, 100_000)]

    many = [threading.Thread(target=busy) for _ in range(2)]
    [t.start() for t in many]
    try:
        for _ in range(20):
            assert child(lambda: bool(torch.rand(200, 200).matmul(torch.ones(200, 200)).isfinite().all())) == 0
    finally:
        stop.set()
        [t.join() for t in many]


@ours_alone
def test_importing_starts_no_thread():
    program = "import os, tessel; print(len(os.listdir('/proc/self/task')))"
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("no /proc on this system")
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "1"


@ours_alone
def test_an_interrupted_main_thread_leaves_the_pool_usable():
    program = """
import tessel as torch, signal, threading, _thread
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
threading.Timer(0.2, _thread.interrupt_main).start()
x = torch.randn(600, 600)
try:
    while True:
        x @ x
except KeyboardInterrupt:
    print(bool((x @ x).isfinite().all()))
"""
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60).stdout.strip()
        == "True"
    )
