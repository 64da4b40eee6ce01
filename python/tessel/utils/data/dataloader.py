"""DataLoader: batches of a dataset, in order or shuffled, loaded ahead by worker threads or processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ... import _C
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import Batch, Epoch, Stream, fetch
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .seeding import draw_seed

__all__ = ["DataLoader"]

T_co = TypeVar("T_co", covariant=True)


class _EndlessSampler(Sampler[None]):
    """What stands in for indices when the dataset is iterated over."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class _Progress:
    """How far an epoch has come."""

    def __init__(self, order: Any) -> None:
        self.order = order  # the generators' states when the epoch began
        self.given = 0
        self.ended = False


class _Counted:
    """The iterator of an epoch, which counts what it gives."""

    def __init__(self, batches: Iterator[Any], progress: _Progress, loader: DataLoader[Any]) -> None:
        self._batches = batches
        self._progress = progress
        self._loader = loader

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._batches)
        except StopIteration:
            self._progress.ended = True
            raise
        self._progress.given += 1
        return batch

    def __len__(self) -> int:
        return len(self._loader)


class DataLoader(Generic[T_co]):
    """Iterates over a dataset in batches, a new epoch every time.

    Random numbers drawn while a sample is loaded depend on the epoch and on the sample alone, never on the workers;
    `tessel.utils.data.seeding` says how. Workers are threads: nothing needs pickling, memory is shared, and what they
    overlap is work outside of the interpreter. For a dataset whose `__getitem__` is much Python, processes do it.

    Args:
        dataset: a dataset with indices, an IterableDataset, or anything with `__getitem__` and `__len__`.
        batch_size: samples in a batch; None gives single samples.
        shuffle: another random order every epoch.
        sampler: gives the indices instead; excludes `shuffle`.
        batch_sampler: gives lists of indices; excludes `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: threads or processes that load ahead; 0 loads in the calling thread.
        collate_fn: makes a batch of a list of samples; by default `default_collate`.
        pin_memory: accepted; batches stay where they are.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch before RuntimeError; 0 waits for ever.
        worker_init_fn: called with the worker's number in every new worker.
        multiprocessing_context: how processes are started ("fork", "forkserver", "spawn"), or a context of
            multiprocessing; giving it makes the workers processes.
        generator: where the order and the seeds come from; the global generator by default.
        prefetch_factor: batches loaded ahead by every worker, 2 by default.
        persistent_workers: keep the workers from one epoch to the next.
        in_order: give batches in order; otherwise as soon as one is ready.
        worker_type: "thread" or "process".

    `state_dict()` in the middle of an epoch, loaded into a loader of the same arguments, lets it go on with the next
    batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        worker_type: str | None = None,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, but is {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative, but is {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("DataLoader: prefetch_factor needs workers; set num_workers")
        if prefetch_factor is not None and prefetch_factor <= 0:
            raise ValueError(f"DataLoader: prefetch_factor must be positive, but is {prefetch_factor}")
        if num_workers == 0 and persistent_workers:
            raise ValueError("DataLoader: persistent_workers needs workers; set num_workers")
        if worker_type not in (None, "thread", "process"):
            raise ValueError(f"DataLoader: worker_type must be 'thread' or 'process', not {worker_type!r}")
        if multiprocessing_context is not None and num_workers == 0:
            raise ValueError("DataLoader: multiprocessing_context needs workers; set num_workers")
        if multiprocessing_context is not None and worker_type == "thread":
            raise ValueError("DataLoader: threads have no multiprocessing_context; leave one of them out")
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value not in (None, False):
                    raise ValueError(f"DataLoader: an IterableDataset decides its order itself; {name} is not for it")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: give either a sampler or shuffle=True")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")
        if sampler is None:
            if self._iterable:
                sampler = _EndlessSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
                if len(dataset) == 0:
                    raise ValueError(
                        "DataLoader: the dataset has no samples to shuffle; num_samples should be positive"
                    )
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.worker_type = worker_type or ("thread" if multiprocessing_context is None else "process")
        self._context()  # an unknown one raises now
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self._auto_collation = batch_sampler is not None
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._pool: Any = None
        self._progress: _Progress | None = None
        self._resumed: dict[str, Any] | None = None
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if name in fixed and "_initialized" in self.__dict__:
            raise ValueError(f"DataLoader: {name} cannot be changed any more; make a new DataLoader")
        super().__setattr__(name, value)

    def _context(self) -> Any:
        """The context of multiprocessing, where workers are processes; else None."""
        if self.worker_type == "thread":
            return None
        import multiprocessing

        context = self.multiprocessing_context
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context)  # ValueError for one that is not there
        return context

    def __iter__(self) -> Iterator[Any]:
        resumed, self._resumed = self._resumed, None
        skip = resumed["batches"] if resumed else 0
        generators = self._generators()
        now = generators[0].get_state()
        if resumed:
            for generator, state in zip(generators, resumed["order"]):
                generator.set_state(state)
        progress = self._progress = _Progress([generator.get_state() for generator in generators])
        epoch = Epoch(
            self.dataset,
            self.collate_fn,
            self.batch_size,
            self._auto_collation,
            self.drop_last,
            draw_seed(self.generator),
            getattr(self.sampler, "replacement", False),
        )
        batches = self._batches()
        if resumed:
            progress.given = skip
            if not self._iterable:
                batches = itertools.islice(batches, skip, None)
            first = list(itertools.islice(batches, 1))  # so that the sampler has drawn its order
            batches = itertools.chain(first, batches)
            if self.generator is None:  # the global one is where the program put it
                generators[0].set_state(now)
        iterator: Iterator[Any]
        if self.num_workers == 0:
            iterator = self._load_here(epoch, batches)
        else:
            from .workers import Pool, ThreadedIterator

            pool = self._pool
            if pool is None:
                pool = Pool(epoch, self.num_workers, self.worker_init_fn, self._context())
                if self.persistent_workers:
                    self._pool = pool
            iterator = ThreadedIterator(
                epoch,
                batches,
                pool,
                not self.persistent_workers,
                self.prefetch_factor or 2,
                self.timeout,
                self.in_order,
                0 if self._iterable else skip,
            )
        if self._iterable:  # what was given before is read again
            for _ in itertools.islice(iterator, skip):
                pass
        return _Counted(iterator, progress, self)

    def _generators(self) -> list[Any]:
        """What the seed and the order of an epoch are drawn from; the loader's own or the global one comes first."""
        generators = [self.generator or _C._current_generator()]
        for sampler in (self.sampler, getattr(self.batch_sampler, "sampler", None), self.batch_sampler):
            own = getattr(sampler, "generator", None)
            if own is not None and all(own is not generator for generator in generators):
                generators.append(own)
        return generators

    def _batches(self) -> Iterator[Batch]:
        start = 0
        if self._iterable:
            indices: Iterable[Any] = self.sampler  # one None after the other: the dataset itself makes the batches
        else:
            indices = self.batch_sampler if self._auto_collation else self.sampler  # type: ignore[assignment]
        for number, picked in enumerate(indices):
            yield Batch(number, picked, start)
            start += len(picked) if self._auto_collation and picked is not None else 1

    def _load_here(self, epoch: Epoch, batches: Iterator[Batch]) -> Iterator[Any]:
        if not self._iterable:
            for batch in batches:
                yield fetch(epoch, batch)
            return
        stream = Stream(epoch, self.dataset, 0)
        while True:
            try:
                batch = stream.fetch()
            except StopIteration:
                return
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: how many batches of the epoch were given, and what their order was drawn from.

        The random state of the program is not in it: save `get_rng_state()` beside it.

        Raises:
            RuntimeError: with in_order=False, where it is not known which batches were given.
        """
        progress = self._progress
        own = self._generators()[0 if self.generator is not None else 1 :]
        state: dict[str, Any] = {"batches": 0, "order": None, "generators": [g.get_state() for g in own]}
        if self._resumed is not None:
            state.update(batches=self._resumed["batches"], order=self._resumed["order"])
        elif progress is not None and not progress.ended:
            if not self.in_order:
                raise RuntimeError(
                    "DataLoader.state_dict: with in_order=False there is no saying which batches were given"
                )
            state.update(batches=progress.given, order=progress.order)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave: the next iteration begins with the batch that would have come."""
        own = self._generators()[0 if self.generator is not None else 1 :]
        for generator, state in zip(own, state_dict["generators"]):
            generator.set_state(state)
        self._resumed = dict(state_dict) if state_dict["order"] is not None else None
        self._progress = None

    def __len__(self) -> int:
        """The number of batches of an epoch; of an IterableDataset that has a length, what that amounts to."""
        if self._iterable:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.batch_sampler if self._auto_collation else self.sampler)  # type: ignore[arg-type]

    def __del__(self) -> None:
        pool = self.__dict__.get("_pool")
        if pool is not None:
            pool.close()
