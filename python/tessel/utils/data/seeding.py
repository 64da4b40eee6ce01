"""Random numbers while data is loaded: every sample has a seed of its own.

The seed of a sample is made of a number drawn when the epoch begins, and of the sample's index. So neither the number
of workers nor the order in which they finish changes a random augmentation.

While a sample is loaded, tessel's random functions draw from a generator with its seed, without further ado. Python's
`random` and numpy's `np.random` are one for the whole process, and worker threads would take numbers from each other.
In a dataset, use instead

    sample_random().random()           # a random.Random
    sample_numpy().normal(size=3)      # a numpy.random.Generator

or, where a library draws from the global ones, run it under `with seeded_globals():`, one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ... import _C

if TYPE_CHECKING:
    import random

    import numpy as np

__all__ = [
    "WorkerInfo",
    "get_worker_info",
    "sample_generator",
    "sample_numpy",
    "sample_random",
    "sample_seed",
    "seeded_globals",
]

_MASK = (1 << 64) - 1


def mixed(*words: int) -> int:
    """A number below 2^63 in which every bit of every word counts (the finaliser of SplitMix64, word by word)."""
    h = 0x9E3779B97F4A7C15
    for word in words:
        h = (h ^ (word & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        h = (h ^ h >> 27) * 0x94D049BB133111EB & _MASK
        h ^= h >> 31
    return h >> 1


def draw_seed(generator: Any) -> int:
    """A seed drawn from a generator, by default the global one."""
    return int(_C.randint(1 << 62, (), dtype=_C.int64, generator=generator))


class _Loading(threading.local):
    """What this thread is loading."""

    info: WorkerInfo | None = None
    seed: int | None = None
    streams: dict[str, Any] | None = None  # the random streams of the sample made so far


_loading = _Loading()


class WorkerInfo:
    """What `get_worker_info()` tells in a worker thread.

    Attributes:
        id: the worker's number, from 0.
        num_workers: how many there are.
        dataset: the dataset, in an IterableDataset's worker this worker's own copy.
        seed: the seed of the sample being loaded; before the first one, in `worker_init_fn`, the worker's own.
    """

    def __init__(self, id: int, num_workers: int, dataset: Any, seed: int) -> None:
        self.id = id
        self.num_workers = num_workers
        self.dataset = dataset
        self._seed = seed

    @property
    def seed(self) -> int:
        return self._seed if _loading.seed is None else _loading.seed

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


def get_worker_info() -> WorkerInfo | None:
    """In a worker thread of a DataLoader its WorkerInfo, elsewhere None."""
    return _loading.info


def enter_worker(info: WorkerInfo) -> None:
    """Makes this thread a worker."""
    _loading.info = info


class seeded:  # noqa: N801 - used like a function, as a context
    """Inside, this thread loads the sample with this seed; contexts may be nested."""

    __slots__ = ("before", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        generator = _C.Generator()
        generator.manual_seed(self.seed)
        self.before = _loading.seed, _loading.streams, _C._set_thread_generator(generator)
        _loading.seed = self.seed
        _loading.streams = {"tessel": generator}

    def __exit__(self, *exception: object) -> None:
        _loading.seed, _loading.streams, generator = self.before
        _C._set_thread_generator(generator)


def sample_seed() -> int | None:
    """The seed of the sample this thread is loading, below 2^63; None outside of a DataLoader."""
    return _loading.seed


def _stream(kind: str, make: Any) -> Any:
    """The sample's random stream of a kind, made at first use; outside of a DataLoader a new one, seeded from the
    global generator."""
    if _loading.streams is None:
        return make(draw_seed(None))
    stream = _loading.streams.get(kind)
    if stream is None:
        stream = _loading.streams[kind] = make(_loading.seed)
    return stream


def sample_random() -> random.Random:
    """A `random.Random` that belongs to the sample being loaded."""
    import random

    return _stream("random", random.Random)


def sample_numpy() -> np.random.Generator:
    """A `numpy.random.Generator` that belongs to the sample being loaded."""
    import numpy as np

    return _stream("numpy", np.random.default_rng)


def sample_generator() -> Any:
    """A `tessel.Generator` that belongs to the sample being loaded: the one that random functions called without a
    generator draw from meanwhile."""

    def make(seed: int) -> Any:
        generator = _C.Generator()
        generator.manual_seed(seed)
        return generator

    return _stream("tessel", make)


_globals_lock = threading.RLock()


@contextmanager
def seeded_globals() -> Iterator[None]:
    """Inside, the functions of `random` and of `np.random` draw numbers that belong to the sample being loaded.

    They are seeded at the start and put back at the end, and one thread is let in at a time: keep what needs it short.
    Outside of a DataLoader it does nothing.
    """
    seed = _loading.seed
    if seed is None:
        yield
        return
    import random

    import numpy as np

    with _globals_lock:
        before = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % (1 << 32))
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
