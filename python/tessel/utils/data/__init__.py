"""Datasets, samplers and the DataLoader, whose workers are threads, or processes on request."""

from typing import TYPE_CHECKING

from ... import _names
from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
    stratified_split,
)
from .distributed import DistributedSampler
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .seeding import (
    WorkerInfo,
    get_worker_info,
    sample_generator,
    sample_numpy,
    sample_random,
    sample_seed,
    seeded_globals,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
    "sample_generator",
    "sample_numpy",
    "sample_random",
    "sample_seed",
    "seeded_globals",
    "stratified_split",
]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
