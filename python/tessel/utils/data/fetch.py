"""Loading one batch: the samples read with their seeds, then collated. The same in workers and without them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ... import _C
from .collate import default_collate
from .dataset import IterableDataset, Subset, TensorDataset
from .seeding import mixed, seeded

_COLLATE = 1 << 63  # marks the seeds of collate_fn calls, so that they differ from those of samples


class Batch(NamedTuple):
    """What is to be loaded: the batch's number in the epoch, its indices (one index when samples are loaded without
    batches), and how many samples came before it."""

    number: int
    indices: Any
    start: int


class Epoch(NamedTuple):
    """How an epoch of a DataLoader is loaded."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batch_size: int | None  # of an IterableDataset; None: samples are loaded without batches
    batched: bool
    drop_last: bool
    seed: int
    repeats: bool  # whether an index may come several times, which then are to be different samples


def fetch(epoch: Epoch, batch: Batch) -> Any:
    """The batch of a dataset with indices."""
    dataset = epoch.dataset
    if not epoch.batched:
        with seeded(_sample_seed(epoch, batch.indices, batch.start)):
            return epoch.collate_fn(dataset[batch.indices])
    if epoch.collate_fn is default_collate:
        rows = _rows(dataset, batch.indices)
        if rows is not None:
            return rows
    owner, indices = _resolved(dataset, batch.indices)
    if callable(getattr(owner, "__getitems__", None)):
        with seeded(mixed(epoch.seed, batch.number)):
            samples = owner.__getitems__(indices)
    else:
        samples = []
        for place, index in enumerate(batch.indices):
            with seeded(_sample_seed(epoch, index, batch.start + place)):
                samples.append(dataset[index])
    with seeded(mixed(epoch.seed, batch.number | _COLLATE)):
        return epoch.collate_fn(samples)


def _sample_seed(epoch: Epoch, index: Any, position: int) -> int:
    if not isinstance(index, int):  # an index may be anything a dataset understands
        return mixed(epoch.seed, position)
    return mixed(epoch.seed, index, position) if epoch.repeats else mixed(epoch.seed, index)


def _resolved(dataset: Any, indices: list[Any]) -> tuple[Any, list[Any]]:
    """The dataset below any Subsets, and the indices there."""
    while type(dataset) is Subset:
        indices = [dataset.indices[index] for index in indices]
        dataset = dataset.dataset
    return dataset, indices


def _rows(dataset: Any, indices: list[Any]) -> list[Any] | None:
    """The collated batch of a TensorDataset, all rows of a tensor picked at once: equal to stacking them one by one.
    None where samples must be loaded one by one."""
    dataset, indices = _resolved(dataset, indices)
    if type(dataset) is not TensorDataset or not all(type(index) is int for index in indices):
        return None
    index = _C.tensor(indices, dtype=_C.int64)
    return [tensor[index] for tensor in dataset.tensors]


class Stream:
    """The batches of an IterableDataset, one after the other; `share` is the number of the worker that reads it."""

    def __init__(self, epoch: Epoch, dataset: IterableDataset[Any], share: int) -> None:
        self.epoch = epoch
        self.share = share
        self.position = 0
        with seeded(mixed(epoch.seed, share, 0)):
            self.samples: Iterator[Any] = iter(dataset)

    def _next_samples(self) -> Iterator[Any]:
        while True:
            self.position += 1
            with seeded(mixed(self.epoch.seed, self.share, self.position)):
                try:
                    sample = next(self.samples)
                except StopIteration:
                    return
            yield sample

    def fetch(self) -> Any:
        """The next batch; StopIteration when there is none."""
        epoch = self.epoch
        if not epoch.batched:
            for sample in self._next_samples():
                return epoch.collate_fn(sample)
            raise StopIteration
        samples = list(itertools.islice(self._next_samples(), epoch.batch_size))
        if not samples or (epoch.drop_last and len(samples) < epoch.batch_size):  # type: ignore[operator]
            raise StopIteration
        with seeded(mixed(epoch.seed, self.share, self.position | _COLLATE)):
            return epoch.collate_fn(samples)
