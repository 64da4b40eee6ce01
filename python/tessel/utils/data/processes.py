"""Worker processes of a DataLoader: each has a thread of the loader that hands it tasks and takes its batches.

A batch comes back as a pickle in which tensors are places in one block of anonymous shared memory: the child writes
there, and sends the file descriptor; nothing has a name, so nothing is left behind, whoever dies. Where there is no
such memory, and for small batches, the bytes stand in the message itself.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any

from ... import _C
from ..._C import Tensor
from .dataset import IterableDataset
from .fetch import Batch, Epoch, Stream, fetch
from .seeding import WorkerInfo, enter_worker

_SMALL = 1 << 16  # bytes up to which a batch goes through the pipe: a block costs about as much as copying that many
_ALIGNMENT = 64


class ChildProcess:
    """A worker process, from the side of the loader.

    Args:
        context: of multiprocessing: how the process is made.
        epoch: how batches are loaded; of later epochs only the seed may differ.
        info: the worker's number and dataset.
        init: the user's worker_init_fn, run in the process.
    """

    def __init__(self, context: Any, epoch: Epoch, info: WorkerInfo, init: Callable[[int], None] | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(theirs, epoch, info, init),
            name=f"tessel DataLoader worker {info.id}",
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def load(self, run: int, seed: int, batch: Batch) -> Any:
        """The batch, loaded over there; raises what was raised there, and StopIteration at the end of a share."""
        try:
            self.pipe.send((run, seed, batch))
            message, data, block = self.pipe.recv()
            if block:
                data = _mapped(self.pipe, block)
        except (EOFError, OSError) as error:
            self.process.join(1)
            code = self.process.exitcode
            end = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
            raise RuntimeError(f"DataLoader: worker process {self.process.pid} {end}") from error
        kind, value = _Reader(io.BytesIO(message), data).load()
        if kind == "error":
            raised, text = value
            if hasattr(raised, "add_note"):
                raised.add_note(f"in worker process {self.process.pid}:\n{text}")
            raise raised
        if kind == "end":
            raise StopIteration
        return value

    def close(self) -> None:
        """Lets the process end: it finds its pipe closed."""
        self.pipe.close()


# ---- the other side


def _serve(pipe: Any, epoch: Epoch, info: WorkerInfo, init: Callable[[int], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends this one
    _seed_globals(info.seed)
    enter_worker(info)
    failed: BaseException | None = None
    if init is not None:
        try:
            init(info.id)
        except BaseException as error:
            failed = error
    epoch = epoch._replace(dataset=info.dataset)
    streams: dict[int, Stream] = {}
    while True:
        try:
            run, seed, batch = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if failed is not None:
                raise failed
            now = epoch._replace(seed=seed)
            if not isinstance(info.dataset, IterableDataset):
                answer = "batch", fetch(now, batch)
            else:
                if run not in streams:
                    streams = {run: Stream(now, info.dataset, info.id)}
                try:
                    answer = "batch", streams[run].fetch()
                except StopIteration:
                    answer = "end", None
        except BaseException as error:
            answer = "error", (_portable(error), traceback.format_exc())
        try:
            _send(pipe, answer)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # a batch that cannot be pickled
            _send(pipe, ("error", (_portable(error), traceback.format_exc())))


def _seed_globals(seed: int) -> None:
    """Python's and numpy's random streams: without it, a forked worker would go on where the main process stands."""
    import random
    import sys

    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % (1 << 32))


def _portable(error: BaseException) -> BaseException:
    """The error, or one that says the same, if it does not survive pickling."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


class _Writer(pickle.Pickler):
    """Pickles a batch; tensors become places in a block to be."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.tensors: list[tuple[int, Tensor]] = []
        self.size = 0

    def persistent_id(self, value: Any) -> Any:
        if type(value) is not Tensor or value.numel() == 0:
            return None
        flat = value.detach().cpu().contiguous().view(-1)
        place = self.size
        self.tensors.append((place, flat.view(_C.uint8)))
        self.size = -(-(place + flat.numel() * flat.element_size()) // _ALIGNMENT) * _ALIGNMENT
        return place, str(value.dtype).rpartition(".")[2], tuple(value.shape), value.requires_grad


class _Reader(pickle.Unpickler):
    """Reads it again; the tensors lie in the block."""

    def __init__(self, file: Any, data: Any) -> None:
        super().__init__(file)
        self.data = data

    def persistent_load(self, identity: Any) -> Tensor:
        place, name, shape, requires_grad = identity
        count = 1
        for n in shape:
            count *= n
        flat = _C.frombuffer(self.data, dtype=getattr(_C, name), count=count, offset=place)
        return flat.reshape(shape).requires_grad_(requires_grad)


def _send(pipe: Any, answer: tuple[str, Any]) -> None:
    file = io.BytesIO()
    writer = _Writer(file)
    writer.dump(answer)
    if writer.size > _SMALL and hasattr(os, "memfd_create"):
        from multiprocessing import reduction

        descriptor = os.memfd_create("tessel batch")
        try:
            os.ftruncate(descriptor, writer.size)
            with mmap.mmap(descriptor, writer.size) as block:
                _fill(block, writer)
            pipe.send((file.getvalue(), None, writer.size))
            reduction.send_handle(pipe, descriptor, os.getppid())
        finally:
            os.close(descriptor)
    else:
        data = bytearray(writer.size)
        _fill(data, writer)
        pipe.send((file.getvalue(), data, 0))


def _fill(block: Any, writer: _Writer) -> None:
    with memoryview(block) as bytes_of_block:
        for place, flat in writer.tensors:
            bytes_of_block[place : place + flat.numel()] = memoryview(flat)


def _mapped(pipe: Any, size: int) -> Any:
    from multiprocessing import reduction

    descriptor = reduction.recv_handle(pipe)
    try:
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)
