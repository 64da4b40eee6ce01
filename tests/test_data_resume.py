"""Worker processes, loaders taken up again in mid-epoch, stratified and distributed shares."""

import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import numpy as np
import pytest

from tests import STANDS_IN

if STANDS_IN:
    pytest.skip("PyTorch has other keywords and errors", allow_module_level=True)

import tessel as torch
from tessel.utils import data
from tessel.utils.data import DataLoader, DistributedSampler, RandomSampler, TensorDataset, WeightedRandomSampler


class Numbers(data.Dataset):
    """Samples with something of every random stream in them, and a large and a small tensor."""

    def __init__(self, n=11, size=3):
        self.n, self.size = n, size

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return {
            "index": index,
            "noise": torch.rand(2),
            "more": data.sample_random().random(),
            "big": torch.full((self.size,), float(index)),
            "name": f"sample {index}",
        }


class Stream(data.IterableDataset):
    def __iter__(self):
        info = data.get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for index in range(first, 10, step):
            yield index, torch.rand(1)


def seen(batches):
    return [
        {key: value.tolist() if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
        if isinstance(batch, dict)
        else [part.tolist() for part in batch]
        for batch in batches
    ]


def epochs(count=2, dataset=None, **settings):
    torch.manual_seed(3)
    loader = DataLoader(dataset or Numbers(), 3, **settings)
    return [seen(loader) for _ in range(count)]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("size", [3, 20000])  # through the pipe, and through shared memory
def test_processes_give_the_same_data(persistent, size):
    dataset = Numbers(size=size)
    expected = epochs(dataset=dataset, shuffle=True)
    got = epochs(dataset=dataset, shuffle=True, num_workers=2, worker_type="process", persistent_workers=persistent)
    assert got == expected


def test_processes_read_streams():
    threads = epochs(dataset=Stream(), num_workers=2)
    assert threads == epochs(dataset=Stream(), num_workers=2, multiprocessing_context="fork")


class Told(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = data.get_worker_info()
        if index == 3:
            raise KeyError("three")
        return os.getpid(), info.id, info.num_workers, int(os.environ.get("TOLD", 0))


def told(worker):
    os.environ["TOLD"] = str(worker + 5)


def test_processes_are_processes_and_tell_what_they_raise():
    loader = iter(DataLoader(Told(), 1, num_workers=2, worker_type="process", worker_init_fn=told))
    batches = [[part.item() for part in next(loader)] for _ in range(3)]
    assert all(pid != os.getpid() for pid, *_ in batches)
    assert all(number == worker + 5 and count == 2 for _, worker, count, number in batches)
    with pytest.raises(KeyError, match="three") as error:
        next(loader)
    if sys.version_info >= (3, 11):
        assert any("__getitem__" in note for note in error.value.__notes__)


class Deadly(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


class Unpicklable(data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return lambda: 0


def test_dead_processes_are_noticed():
    with pytest.raises(RuntimeError, match="killed by signal 9"):
        next(iter(DataLoader(Deadly(), num_workers=1, worker_type="process")))
    with pytest.raises((RuntimeError, AttributeError, pickle.PicklingError)):
        next(iter(DataLoader(Unpicklable(), None, num_workers=1, worker_type="process")))


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="worker_type"):
        DataLoader(Numbers(), worker_type="fibre")
    with pytest.raises(ValueError, match="num_workers"):
        DataLoader(Numbers(), multiprocessing_context="fork")
    with pytest.raises(ValueError):
        DataLoader(Numbers(), num_workers=1, multiprocessing_context="spoon")
    with pytest.raises(ValueError, match="num_samples"):
        DataLoader([], shuffle=True)
    assert list(DataLoader([])) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are sent")
def test_keyboard_interrupt_ends_processes_too(tmp_path):
    (tmp_path / "slow.py").write_text(
        textwrap.dedent("""
        import signal, time
        from tessel.utils.data import DataLoader, Dataset

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored

        class Slow(Dataset):
            def __len__(self): return 1000
            def __getitem__(self, i):
                time.sleep(0.05)
                return i

        if __name__ == "__main__":
            for i, _ in enumerate(DataLoader(Slow(), num_workers=2, worker_type="process")):
                print("ready", flush=True)
        """)
    )
    run = subprocess.Popen([sys.executable, str(tmp_path / "slow.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.readline()
    begin = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=20)
    assert run.returncode != 0 and b"KeyboardInterrupt" in errors and time.monotonic() - begin < 5


# ---- taken up again


def loaders():
    generator = lambda: torch.Generator().manual_seed(4)  # noqa: E731
    yield lambda: DataLoader(Numbers(), 2)
    yield lambda: DataLoader(Numbers(), 2, shuffle=True)
    yield lambda: DataLoader(Numbers(), 2, shuffle=True, drop_last=True, num_workers=3)
    yield lambda: DataLoader(Numbers(), 2, shuffle=True, generator=generator())
    yield lambda: DataLoader(Numbers(), 2, sampler=RandomSampler(Numbers(), True, 30, generator=generator()))
    yield lambda: DataLoader(Numbers(), 2, sampler=RandomSampler(Numbers(), num_samples=25), num_workers=2)
    yield lambda: DataLoader(Numbers(), 2, sampler=WeightedRandomSampler([1.0] * 11, 11))
    yield lambda: DataLoader(Numbers(), None, shuffle=True)
    yield lambda: DataLoader(Stream(), 3)
    yield lambda: DataLoader(Stream(), 3, num_workers=2)


@pytest.mark.parametrize("make", list(loaders()))
@pytest.mark.parametrize("given", [0, 1, 3])
def test_a_loader_goes_on_in_mid_epoch(make, given):
    def run(loader, count):
        """Batches, with a random number drawn between them as training does."""
        batches = []
        for batch in loader:
            batches += seen([batch])
            torch.rand(1)
            if len(batches) == count:
                break
        return batches

    torch.manual_seed(1)
    loader = make()
    whole = [run(loader, -1) for _ in range(3)]

    torch.manual_seed(1)
    loader = make()
    first = run(loader, -1)
    start = run(loader, given) if given else []
    if not given:
        iter(loader)
    state, rng = pickle.loads(pickle.dumps((loader.state_dict(), torch.get_rng_state())))
    if given == 0 and loader.generator is None:
        return  # the order of the second epoch is drawn by now, and the random state with it
    torch.manual_seed(99)
    loader = make()
    torch.set_rng_state(rng)
    loader.load_state_dict(state)
    assert loader.state_dict()["batches"] == given
    rest, last = run(loader, -1), run(loader, -1)
    assert first == whole[0] and start + rest == whole[1] and last == whole[2]


def test_the_state_between_epochs():
    torch.manual_seed(0)
    loader = DataLoader(Numbers(), 4, shuffle=True)
    assert loader.state_dict()["order"] is None
    list(loader)
    assert loader.state_dict()["order"] is None
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict()["batches"] == 1 and len(iterator) == 3
    loader = DataLoader(Numbers(), 4, num_workers=1, in_order=False)
    next(iter(loader))
    with pytest.raises(RuntimeError, match="in_order"):
        loader.state_dict()


# ---- shares


def test_stratified_split():
    labels = [0] * 50 + [1] * 30 + [2] * 20
    random.Random(0).shuffle(labels)
    dataset = TensorDataset(torch.arange(100), torch.tensor(labels))
    for lengths in ([0.7, 0.2, 0.1], [70, 20, 10]):
        parts = data.stratified_split(dataset, lengths, generator=torch.Generator().manual_seed(0))
        assert [len(part) for part in parts] == [70, 20, 10]
        assert sorted(index for part in parts for index in part.indices) == list(range(100))
        for part, share in zip(parts, (0.7, 0.2, 0.1)):
            counts = Counter(labels[index] for index in part.indices)
            assert all(abs(counts[label] - n * share) <= 2 for label, n in ((0, 50), (1, 30), (2, 20)))
    again = data.stratified_split(dataset, [0.5, 0.5], labels, generator=torch.Generator().manual_seed(0))
    other = data.stratified_split(dataset, [0.5, 0.5], np.array(labels), generator=torch.Generator().manual_seed(0))
    assert [part.indices for part in again] == [part.indices for part in other]
    assert again[0].indices != sorted(again[0].indices)
    with pytest.raises(ValueError, match="labels"):
        data.stratified_split(dataset, [0.5, 0.5], labels[:-1])
    with pytest.raises(ValueError, match="sum"):
        data.stratified_split(dataset, [50, 40], labels)


@pytest.mark.parametrize("drop_last", [False, True])
def test_distributed_sampler(drop_last):
    dataset = range(10)
    samplers = [DistributedSampler(dataset, 4, rank, drop_last=drop_last, seed=1) for rank in range(4)]
    orders = []
    for epoch in range(2):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        shares = [list(sampler) for sampler in samplers]
        assert {len(share) for share in shares} == {len(samplers[0])} == {2 if drop_last else 3}
        together = [index for share in shares for index in share]
        assert len(set(together)) == (8 if drop_last else 10)
        orders.append(shares)
    assert orders[0] != orders[1]
    assert list(DistributedSampler(dataset, 3, 1, shuffle=False)) == [1, 4, 7, 0]
    assert list(DistributedSampler(range(2), 5, 4, shuffle=False)) == [0]
    with pytest.raises(ValueError, match="rank"):
        DistributedSampler(dataset, 2, 2)
