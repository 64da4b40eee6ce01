"""Worker threads of a DataLoader, and the iterator that keeps them busy and gives their batches in order.

Threads share the dataset and hand tensors over without a copy; what they overlap is time spent outside of the
interpreter: reading files, decoding, tensor operations. For work inside of it each thread can have a process that loads
in its place (processes.py).
"""

from __future__ import annotations

import atexit
import copy
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, NamedTuple

from .dataset import IterableDataset
from .fetch import Batch, Epoch, Stream, fetch
from .seeding import WorkerInfo, enter_worker, mixed


class _Failure(NamedTuple):
    error: BaseException


_EXHAUSTED = object()  # a worker's share of an IterableDataset has come to its end


_numbers = itertools.count()


class _Run:
    """One epoch under way: where the workers put their batches."""

    def __init__(self, epoch: Epoch) -> None:
        self.number = next(_numbers)
        self.epoch = epoch
        self.arrived = threading.Condition()
        self.results: dict[int, Any] = {}
        self.stopped = False
        self.streams: dict[int, Stream] = {}

    def put(self, number: int, result: Any) -> None:
        with self.arrived:
            self.results[number] = result
            self.arrived.notify()


class Pool:
    """Worker threads, each waiting for tasks (run, batch).

    Workers of a dataset with indices take from one queue, so that none waits for a slow batch; those of an
    IterableDataset have one each, since batch n must come from the share of worker n mod num_workers.

    Args:
        epoch: the first one.
        context: of multiprocessing, where processes are to load; else None.
    """

    def __init__(self, epoch: Epoch, num_workers: int, init: Callable[[int], None] | None, context: Any = None) -> None:
        dataset, seed = epoch.dataset, epoch.seed
        self.iterable = isinstance(dataset, IterableDataset)
        self.num_workers = num_workers
        infos = [WorkerInfo(number, num_workers, dataset, mixed(seed, number)) for number in range(num_workers)]
        children: list[Any] = [None] * num_workers
        if context is not None:  # before there are threads, which a fork does not take along
            from .processes import ChildProcess

            for info in infos:
                children[info.id] = ChildProcess(context, epoch, info, init)
            init = None
        shared: SimpleQueue[Any] = SimpleQueue()
        self.inboxes = [SimpleQueue() if self.iterable else shared for _ in range(num_workers)]
        self.threads = []
        for number, inbox in enumerate(self.inboxes):
            info = infos[number]
            # worker_init_fn may change the dataset it finds in its WorkerInfo: every worker has a (shallow) copy then.
            if self.iterable or init is not None:
                info.dataset = copy.copy(dataset)
            thread = threading.Thread(
                target=_work,
                args=(info, inbox, init, children[number]),
                name=f"tessel DataLoader worker {number}",
                daemon=True,
            )
            thread.start()
            self.threads.append(thread)
        _pools.add(self)

    def close(self) -> None:
        """Lets every worker end when it has finished what it is doing, without waiting for it."""
        for inbox in self.inboxes:
            inbox.put(None)


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A thread that is cut off inside the engine at the interpreter's end would take the process down with it, so the
    workers get half a second to finish."""
    deadline = time.monotonic() + 0.5
    pools = list(_pools)
    for pool in pools:
        pool.close()
    for pool in pools:
        for thread in pool.threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(info: WorkerInfo, inbox: SimpleQueue[Any], init: Callable[[int], None] | None, child: Any) -> None:
    enter_worker(info)
    failed: _Failure | None = None
    if init is not None:
        try:
            init(info.id)
        except BaseException as error:
            failed = _Failure(_located(error, info, "in worker_init_fn"))
    while (task := inbox.get()) is not None:
        run, batch = task
        if not run.stopped:
            run.put(batch.number, failed or _load(run, batch, info, child))
        del task, run, batch  # while it waits, a worker keeps nothing alive
    if child is not None:
        child.close()


def _load(run: _Run, batch: Batch, info: WorkerInfo, child: Any) -> Any:
    shared = isinstance(info.dataset, IterableDataset)
    try:
        if child is not None:
            load: Callable[[], Any] = lambda: child.load(run.number, run.epoch.seed, batch)  # noqa: E731
        elif not shared:
            return fetch(run.epoch._replace(dataset=info.dataset), batch)
        else:
            stream = run.streams.get(info.id)
            if stream is None:
                stream = run.streams[info.id] = Stream(run.epoch, info.dataset, info.id)
            load = stream.fetch
        try:
            return load()
        except StopIteration:
            if not shared:
                raise
            return _EXHAUSTED
    except BaseException as error:
        return _Failure(_located(error, info, f"while loading batch {batch.number}"))


def _located(error: BaseException, info: WorkerInfo, where: str) -> BaseException:
    """The error with a note on the worker; its traceback has the worker's frames already. StopIteration would end the
    loop that reads the loader without a word, so it becomes a RuntimeError."""
    if isinstance(error, StopIteration):
        stopped, error = error, RuntimeError("a dataset raised StopIteration")
        error.__cause__ = stopped
    if hasattr(error, "add_note"):
        error.add_note(f"raised in DataLoader worker {info.id}, {where}")
    return error


class ThreadedIterator:
    """Iterates over an epoch: up to `prefetch` batches a worker are on their way, and come out in order."""

    def __init__(
        self,
        epoch: Epoch,
        batches: Iterator[Batch],
        pool: Pool,
        owns_pool: bool,
        prefetch: int,
        timeout: float,
        in_order: bool,
        first: int = 0,
    ) -> None:
        self._run = _Run(epoch)
        self._batches = batches
        self._pool = pool
        self._owns_pool = owns_pool
        self._timeout = timeout
        self._in_order = in_order
        self._sent = first  # batches handed to workers, with those of before the epoch was taken up again
        self._next = first  # the batch to come out next
        self._done: set[int] = set()  # batches behind _next that have come out already; only when not in order
        self._active = [True] * pool.num_workers
        self._finalizer = weakref.finalize(self, _end, self._run, pool if owns_pool else None)
        for _ in range(prefetch * pool.num_workers):
            self._send()

    def __iter__(self) -> ThreadedIterator:
        return self

    def _send(self) -> None:
        """Hands the next batch to a worker, if there is one."""
        if self._run.stopped or not any(self._active):
            return
        batch = next(self._batches, None)
        if batch is None:
            return
        self._pool.inboxes[self._sent % self._pool.num_workers].put((self._run, batch))
        self._sent += 1

    def __next__(self) -> Any:
        while self._next < self._sent:
            number, result = self._receive()
            if result is _EXHAUSTED:
                self._active[number % self._pool.num_workers] = False
                self._send()
                continue
            self._send()
            if isinstance(result, _Failure):
                raise result.error
            return result
        self.close()
        raise StopIteration

    def _receive(self) -> tuple[int, Any]:
        run = self._run
        with run.arrived:
            if not run.arrived.wait_for(self._ready, self._timeout or None):
                raise RuntimeError(f"DataLoader: no batch arrived within the timeout of {self._timeout} seconds")
            number = self._next if self._in_order else next(iter(run.results))
            result = run.results.pop(number)
        self._done.add(number)
        while self._next in self._done:
            self._done.remove(self._next)
            self._next += 1
        return number, result

    def _ready(self) -> bool:
        return self._next in self._run.results if self._in_order else bool(self._run.results)

    def close(self) -> None:
        """Stops loading; called at the end of the epoch, and when the iterator is dropped before."""
        self._finalizer()


def _end(run: _Run, pool: Pool | None) -> None:
    run.stopped = True
    run.results.clear()
    if pool is not None:
        pool.close()
