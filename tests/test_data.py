"""Datasets, samplers, collation, and the DataLoader: order, workers, seeds, errors, endings."""

import collections
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from tests import STANDS_IN

if STANDS_IN:
    pytest.skip("PyTorch differs: workers are processes there", allow_module_level=True)

import tessel as torch
from tessel.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
    sample_generator,
    sample_numpy,
    sample_random,
    sample_seed,
    seeded_globals,
)


class Numbers(Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index


class Counting(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.n) if info is None else range(info.id, self.n, info.num_workers))


def plain(value):
    """Nested lists of numbers, for comparing bit by bit."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


# ---- datasets


def test_tensor_dataset():
    data = TensorDataset(torch.arange(6).reshape(3, 2), torch.arange(3))
    assert len(data) == 3 and plain(data[1]) == [[2, 3], 1]
    with pytest.raises(AssertionError):
        TensorDataset(torch.ones(2), torch.ones(3))


def test_datasets_of_datasets():
    joined = Numbers(3) + Numbers(2)
    assert isinstance(joined, ConcatDataset) and [joined[i] for i in range(5)] == [0, 1, 2, 0, 1]
    assert joined[-1] == 1 and joined.cumulative_sizes == [3, 5]
    with pytest.raises(IndexError):
        joined[5]
    with pytest.raises(ValueError):
        joined[-6]
    assert [Subset(Numbers(), [5, 1])[i] for i in range(2)] == [5, 1]
    assert StackDataset(Numbers(), Numbers())[2] == (2, 2)
    assert StackDataset(a=Numbers())[3] == {"a": 3}
    assert list(ChainDataset([Counting(2), Counting(3)])) == [0, 1, 0, 1, 2]


def test_random_split():
    generator = torch.Generator().manual_seed(1)
    parts = random_split(Numbers(10), [7, 3], generator)
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(part[i] for part in parts for i in range(len(part))) == list(range(10))
    again = random_split(Numbers(10), [7, 3], torch.Generator().manual_seed(1))
    assert parts[0].indices == again[0].indices
    assert [len(part) for part in random_split(Numbers(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.raises(ValueError):
        random_split(Numbers(10), [5, 6])
    with pytest.raises(ValueError):
        random_split(Numbers(10), [1.5, -0.5])


# ---- samplers


def test_samplers():
    assert list(SequentialSampler(Numbers(3))) == [0, 1, 2]
    sampler = RandomSampler(Numbers(10))
    assert sorted(sampler) == list(range(10)) and list(sampler) != list(sampler)
    assert len(list(RandomSampler(Numbers(3), num_samples=8))) == 8
    assert set(RandomSampler(Numbers(3), replacement=True, num_samples=100)) == {0, 1, 2}
    assert sorted(SubsetRandomSampler([3, 5, 7])) == [3, 5, 7]
    drawn = list(WeightedRandomSampler([0.0, 1.0, 3.0], 1000))
    assert 0 not in drawn and 650 < drawn.count(2) < 850
    assert sorted(WeightedRandomSampler([1.0, 1.0], 2, replacement=False)) == [0, 1]
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, False)) == 3 and len(BatchSampler(range(5), 2, True)) == 2
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ValueError):
            BatchSampler(range(5), wrong, False)


def test_samplers_follow_the_seed():
    torch.manual_seed(5)
    first = list(RandomSampler(Numbers(20)))
    torch.manual_seed(5)
    assert list(RandomSampler(Numbers(20))) == first


# ---- collation


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "batch, dtype, values",
    [
        ([1, 2], "int64", [1, 2]),
        ([1.5, 2.0], "float64", [1.5, 2.0]),
        ([True, False], "bool", [True, False]),
        ([np.float32(1), np.float32(2)], "float32", [1, 2]),
        ([np.int16(1), np.int16(2)], "int16", [1, 2]),
        ([np.zeros(2, np.float32)] * 2, "float32", [[0, 0], [0, 0]]),
        ([np.array(3.0)] * 2, "float64", [3, 3]),
        ([torch.ones(2)] * 2, "float32", [[1, 1], [1, 1]]),
    ],
)
def test_collate_to_a_tensor(batch, dtype, values):
    result = default_collate(batch)
    assert result.dtype == getattr(torch, dtype) and result.tolist() == values


def test_collate_containers():
    assert default_collate(["a", "b"]) == ["a", "b"]
    result = default_collate([(1, "a"), (2, "b")])
    assert type(result) is list and plain(result) == [[1, 2], ["a", "b"]]
    result = default_collate([{"x": 1, "y": [1.0, 2.0]}, {"x": 2, "y": [3.0, 4.0]}])
    assert result["x"].tolist() == [1, 2] and plain(result["y"]) == [[1, 3], [2, 4]]
    result = default_collate([Point(1, 2), Point(3, 4)])
    assert type(result) is Point and result.y.tolist() == [2, 4]
    with pytest.raises(TypeError, match="object"):
        default_collate([object()])
    with pytest.raises(TypeError):
        default_collate([np.array("a")])
    with pytest.raises(RuntimeError, match="equally"):
        default_collate([[1], [1, 2]])


def test_convert():
    result = default_convert({"a": np.ones(2), "b": (np.float32(1), "text"), "c": 3})
    assert result["a"].dtype == torch.float64 and result["b"][1] == "text" and result["c"] == 3


# ---- the loader


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_and_batches(workers):
    assert plain(list(DataLoader(Numbers(7), 3, num_workers=workers))) == [[0, 1, 2], [3, 4, 5], [6]]
    assert plain(list(DataLoader(Numbers(7), 3, drop_last=True, num_workers=workers))) == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Numbers(3), batch_size=None, num_workers=workers)) == [0, 1, 2]
    loader = DataLoader(Numbers(5), batch_sampler=[[0, 4], [2]], num_workers=workers)
    assert plain(list(loader)) == [[0, 4], [2]] and len(loader) == 2
    assert plain(list(DataLoader(Numbers(5), 2, sampler=[4, 3, 0], num_workers=workers))) == [[4, 3], [0]]
    loader = DataLoader(Numbers(4), 2, collate_fn=sum, num_workers=workers)
    assert list(loader) == [1, 5]
    assert list(loader) == [1, 5]
    assert list(DataLoader([5, 6, 7], 3, collate_fn=list, num_workers=workers)) == [[5, 6, 7]]


@pytest.mark.parametrize("workers", [0, 2])
def test_lengths(workers):
    assert len(DataLoader(Numbers(7), 3, num_workers=workers)) == 3
    assert len(DataLoader(Numbers(7), 3, drop_last=True, num_workers=workers)) == 2
    with pytest.raises(TypeError):
        len(DataLoader(Counting(), 2))


def test_shuffle_follows_the_seed():
    def epochs(**settings):
        torch.manual_seed(3)
        loader = DataLoader(Numbers(20), 4, shuffle=True, **settings)
        return [plain(list(loader)) for _ in range(2)]

    first = epochs()
    assert first == epochs() == epochs(num_workers=2) and first[0] != first[1]
    assert sorted(sum(first[0], [])) == list(range(20))
    mine = [plain(list(DataLoader(Numbers(20), 4, True, generator=torch.Generator().manual_seed(1)))) for _ in range(2)]
    assert mine[0] == mine[1]


class Augmented(Numbers):
    """Takes unlike times, draws from every source of random numbers."""

    def __getitem__(self, index):
        if index % 4 == 0:
            time.sleep(0.002)
        with seeded_globals():
            loose = random.random(), float(np.random.rand())
        own = sample_random().random(), float(sample_numpy().normal())
        return index, *loose, *own, torch.rand(2, generator=sample_generator()), sample_seed()


def augmented(workers, epochs=3, **settings):
    torch.manual_seed(3)
    loader = DataLoader(Augmented(23), 4, shuffle=True, num_workers=workers, **settings)
    return [plain(list(loader)) for _ in range(epochs)]


def test_workers_never_change_the_data():
    alone = augmented(0)
    assert alone[0] != alone[1]
    for workers, settings in [(1, {}), (2, {"prefetch_factor": 1}), (5, {"persistent_workers": True})]:
        assert augmented(workers, **settings) == alone


def test_the_engines_own_random_functions_are_seeded_too():
    class Draws(Numbers):
        def __getitem__(self, index):
            return torch.rand(3)

    def epoch(workers):
        torch.manual_seed(3)
        return plain(list(DataLoader(Draws(16), 4, num_workers=workers, collate_fn=torch.stack)))

    alone = epoch(0)
    assert len({tuple(row) for batch in alone for row in batch}) == 16
    assert epoch(1) == alone and epoch(4) == alone


def test_loading_leaves_the_global_streams_alone():
    def after(load):
        torch.manual_seed(3)
        random.seed(1)
        np.random.seed(1)
        if load:
            list(DataLoader(Augmented(5), 2))
        return random.random(), np.random.rand()

    assert after(True) == after(False)


def test_samples_drawn_twice_differ():
    class Seeds(Numbers):
        def __getitem__(self, index):
            return sample_seed()

    sampler = RandomSampler(Numbers(2), replacement=True, num_samples=30)
    seeds = sum(plain(list(DataLoader(Seeds(2), 5, sampler=sampler))), [])
    assert len(set(seeds)) == 30
    assert sample_seed() is None and isinstance(sample_random().random(), float)


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_iterable_datasets(workers):
    loader = DataLoader(Counting(10), 2, num_workers=workers)
    batches = plain(list(loader))
    assert sorted(sum(batches, [])) == list(range(10))
    wanted = {
        0: [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]],
        2: [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]],
        3: [[0, 3], [1, 4], [2, 5], [6, 9], [7], [8]],
    }
    if workers in wanted:
        assert batches == wanted[workers]
    assert plain(list(loader)) == batches
    assert sorted(DataLoader(Counting(5), None, num_workers=workers)) == [0, 1, 2, 3, 4]


def test_iterable_dropping_the_rest():
    assert plain(list(DataLoader(Counting(7), 2, drop_last=True))) == [[0, 1], [2, 3], [4, 5]]
    assert plain(list(DataLoader(Counting(7), 2, drop_last=True, num_workers=2))) == [[0, 2], [1, 3], [4, 6]]


def test_worker_info():
    seen = []

    def init(number):
        info = get_worker_info()
        info.dataset.mark = number
        seen.append((number, info.id, info.num_workers, isinstance(info.seed, int)))

    class Marked(Numbers):
        mark = None

        def __getitem__(self, index):
            assert get_worker_info().seed == sample_seed()
            return self.mark

    data = Marked(6)
    marks = plain(list(DataLoader(data, 1, num_workers=2, worker_init_fn=init)))
    assert sorted(seen) == [(0, 0, 2, True), (1, 1, 2, True)]
    assert {mark for (mark,) in marks} <= {0, 1} and data.mark is None
    assert get_worker_info() is None


def test_persistent_workers():
    started = []
    loader = DataLoader(Numbers(4), 2, num_workers=2, persistent_workers=True, worker_init_fn=started.append)
    for _ in range(3):
        assert plain(list(loader)) == [[0, 1], [2, 3]]
    assert sorted(started) == [0, 1]
    both = zip(loader, loader)
    assert [plain(pair) for pair in both] == [[[0, 1]] * 2, [[2, 3]] * 2]


def test_prefetching_is_bounded():
    loaded = []

    class Watched(Numbers):
        def __getitem__(self, index):
            loaded.append(index)
            return index

    batches = iter(DataLoader(Watched(100), 1, num_workers=2, prefetch_factor=3))
    next(batches)
    time.sleep(0.1)
    assert len(loaded) <= 2 * 3 + 1


class Broken(Numbers):
    def __getitem__(self, index):
        if index == 5:
            raise KeyError("sample five")
        return index


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_through(workers):
    batches = iter(DataLoader(Broken(8), 2, num_workers=workers))
    assert plain([next(batches), next(batches)]) == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="sample five") as caught:
        next(batches)
    frames = [entry.name for entry in caught.traceback]
    assert "__getitem__" in frames
    if workers:
        assert plain(next(batches)) == [6, 7]
        if sys.version_info >= (3, 11):
            assert "worker" in caught.value.__notes__[0]


def test_errors_in_worker_init():
    def init(number):
        raise ValueError("cannot start")

    with pytest.raises(ValueError, match="cannot start"):
        list(DataLoader(Numbers(), num_workers=2, worker_init_fn=init))


def test_timeout():
    class Slow(Numbers):
        def __getitem__(self, index):
            time.sleep(0.3)
            return index

    with pytest.raises(RuntimeError, match="timeout"):
        next(iter(DataLoader(Slow(), num_workers=1, timeout=0.05)))


def test_many_starts_and_stops():
    before = threading.active_count()
    for _ in range(100):
        next(iter(DataLoader(Augmented(20), 2, num_workers=3)))
    for _ in range(200):
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_keyboard_interrupt_ends_at_once():
    program = textwrap.dedent("""
        import os, signal, time
        from tessel.utils.data import DataLoader
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
        class Slow:
            def __len__(self): return 4
            def __getitem__(self, index):
                os.write(1, b"loading\\n")
                time.sleep(20)
        for batch in DataLoader(Slow(), num_workers=2):
            pass
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout.readline().strip() == "loading"
    time.sleep(0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert time.monotonic() - start < 5 and "KeyboardInterrupt" in errors


def test_tensor_datasets_are_indexed_at_once():
    rows = []

    class Rows(TensorDataset):
        def __getitem__(self, index):
            rows.append(index)
            return super().__getitem__(index)

    x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10)
    for kind in (TensorDataset, Rows):
        data = Subset(kind(x, y), [9, -2, 0, 4])
        batches = list(DataLoader(data, 3))
        assert plain(batches) == [[[[18, 19], [16, 17], [0, 1]], [9, 8, 0]], [[[8, 9]], [4]]]
        assert type(batches[0]) is list
    assert rows == [9, -2, 0, 4]


def test_datasets_that_load_whole_batches():
    class Batched(Numbers):
        def __getitems__(self, indices):
            return [index * 10 for index in indices]

    assert plain(list(DataLoader(Batched(4), 2))) == [[0, 10], [20, 30]]
    assert plain(list(DataLoader(Subset(Batched(4), [3, 1]), 2))) == [[30, 10]]


@pytest.mark.parametrize(
    "wrong",
    [
        dict(num_workers=-1),
        dict(timeout=-1),
        dict(prefetch_factor=2),
        dict(num_workers=1, prefetch_factor=0),
        dict(persistent_workers=True),
        dict(shuffle=True, sampler=[0]),
        dict(batch_sampler=[[0]], batch_size=2),
        dict(batch_sampler=[[0]], drop_last=True),
        dict(batch_size=None, drop_last=True),
        dict(batch_size=0),
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError):
        DataLoader(Numbers(), **wrong)


def test_iterable_datasets_take_no_order():
    for wrong in (dict(shuffle=True), dict(sampler=[0]), dict(batch_sampler=[[0]])):
        with pytest.raises(ValueError, match="Iterable"):
            DataLoader(Counting(), **wrong)
    loader = DataLoader(Numbers())
    with pytest.raises(ValueError, match="batch_size"):
        loader.batch_size = 3
