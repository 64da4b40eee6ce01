"""Datasets: what gives samples by index or one after the other, and datasets made of others."""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ... import _C
from ..._C import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
    "stratified_split",
]

T = TypeVar("T")


class Dataset(Generic[T]):
    """Base of datasets that give a sample by its index; a subclass defines `__getitem__`, and `__len__` too unless the
    sampler knows how many samples there are."""

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__}: __getitem__ is not defined")

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T], Iterable[T]):
    """Base of datasets that give samples one after the other; a subclass defines `__iter__`.

    With several workers each iterates over a copy of its own: `get_worker_info()` tells which share is its to give.
    """

    def __add__(self, other: Dataset[T]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is the tuple of the i-th rows of several tensors with equally many rows."""

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if any(len(tensor) != len(tensors[0]) for tensor in tensors):
            sizes = ", ".join(str(len(tensor)) for tensor in tensors)
            raise AssertionError(f"TensorDataset: the tensors have {sizes} rows, not equally many")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class StackDataset(Dataset[Any]):
    """Samples of several datasets of one length side by side: a tuple, or a dict where they are given by keyword."""

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give datasets either one after the other or by keyword")
        self.datasets: Any = args or kwargs
        lengths = {len(dataset) for dataset in self._all()}  # type: ignore[arg-type]
        if len(lengths) > 1:
            raise ValueError(f"StackDataset: the datasets have different lengths: {sorted(lengths)}")
        self._length = lengths.pop()

    def _all(self) -> Iterable[Dataset[Any]]:
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Datasets one behind the other."""

    datasets: list[Dataset[T]]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: there must be at least one dataset")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset: an IterableDataset has no indices; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))  # type: ignore

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T:
        position = index + len(self) if index < 0 else index
        if position < 0:
            raise ValueError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
        place = bisect.bisect_right(self.cumulative_sizes, position)
        if place == len(self.datasets):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
        return self.datasets[place][position - (self.cumulative_sizes[place - 1] if place else 0)]


class ChainDataset(IterableDataset[Any]):
    """Iterable datasets one behind the other."""

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(f"ChainDataset: {type(dataset).__name__} is no IterableDataset")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)  # type: ignore[misc, arg-type]


class Subset(Dataset[T]):
    """The samples of a dataset at the given indices, in their order."""

    dataset: Dataset[T]
    indices: Sequence[int]

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Dataset[T], lengths: Sequence[int | float], generator: Any = None) -> list[Subset[T]]:
    """Cuts a dataset at random into parts that share no sample.

    Args:
        lengths: how many samples each part gets; they sum to len(dataset). Or fractions that sum to 1: every part then
            gets floor(fraction times samples), and what is left goes to the first parts, one each.
        generator: where the random order comes from; the global one by default.

    Raises:
        ValueError: the lengths do not sum to the number of samples.
    """
    counts = _counts("random_split", len(dataset), lengths)  # type: ignore[arg-type]
    order = _C.randperm(sum(counts), generator=generator).tolist()
    ends = list(itertools.accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]  # type: ignore[misc]


def stratified_split(
    dataset: Dataset[T], lengths: Sequence[int | float], labels: Any = None, generator: Any = None
) -> list[Subset[T]]:
    """Cuts a dataset at random into parts in which every class has the share that it has in the whole.

    Args:
        lengths: as of `random_split`: numbers of samples, or fractions.
        labels: the class of every sample, a sequence or a 1-d tensor; by default `dataset.targets`, or what stands at
            the end of every sample.
        generator: where the random order comes from; the global one by default.

    Returns:
        The parts, each in random order. The number of samples of a class in a part is within one or two of its share.

    Raises:
        ValueError: there is not one label for each sample, or the lengths do not sum to the number of samples.
    """
    total = len(dataset)  # type: ignore[arg-type]
    counts = _counts("stratified_split", total, lengths)
    if labels is None:
        labels = getattr(dataset, "targets", None)
    if labels is None:
        labels = [dataset[index][-1] for index in range(total)]  # type: ignore[index]
    labels = [label.item() if isinstance(label, Tensor) else label for label in labels]
    if len(labels) != total:
        raise ValueError(f"stratified_split: {len(labels)} labels for {total} samples")
    # The samples, class after class and each class shuffled, are dealt out; every part takes at even distances.
    shuffled = _C.randperm(total, generator=generator).tolist()
    ranks: dict[Any, int] = {}
    for label in labels:
        ranks.setdefault(label, len(ranks))
    by_class = sorted(shuffled, key=lambda index: ranks[labels[index]])
    turns = sorted(((j + 0.5) / count, part) for part, count in enumerate(counts) for j in range(count))
    part_of = {index: part for index, (_, part) in zip(by_class, turns)}
    parts: list[list[int]] = [[] for _ in counts]
    for index in shuffled:
        parts[part_of[index]].append(index)
    return [Subset(dataset, indices) for indices in parts]


def _counts(name: str, total: int, lengths: Sequence[int | float]) -> list[int]:
    """How many samples every part gets."""
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for place, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"{name}: fraction {place} must be from 0 to 1, but is {fraction}")
        counts = [math.floor(total * fraction) for fraction in lengths]
        for place in range(total - sum(counts)):
            counts[place % len(counts)] += 1
    else:
        counts = [operator.index(length) for length in lengths]  # type: ignore[arg-type]  # what is no int raises
    if sum(counts) != total:
        raise ValueError(f"{name}: the lengths sum to {sum(counts)}, but there are {total} samples")
    return counts
