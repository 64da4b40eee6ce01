"""Processes that run one function: they are started together, and the first failure ends all of them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any


class ProcessException(Exception):
    """A process ended badly: its index, its id, and why."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid, self.error_pid = msg, error_index, error_pid, error_pid


class ProcessRaisedException(ProcessException):
    """A process ended by an exception, whose traceback is the message."""


class ProcessExitedException(ProcessException):
    """A process exited with a code other than 0, or by a signal."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(fn: Callable[..., Any], i: int, args: tuple[Any, ...], errors: Any) -> None:
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass  # the parent has had it too
    except Exception:
        errors.send(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """The processes of one start."""

    def __init__(self, processes: Sequence[Any], errors: Sequence[Any]) -> None:
        self.processes, self._errors = list(processes), list(errors)
        self._running = {process.sentinel: i for i, process in enumerate(self.processes)}

    def pids(self) -> list[int]:
        """The processes' ids."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Waits until some have ended. True when all have, and well; one that has not ends the others, and raises."""
        if not self._running:
            return True
        failed = None
        for sentinel in multiprocessing.connection.wait(list(self._running), timeout):
            i = self._running.pop(sentinel)  # type: ignore[call-overload]
            self.processes[i].join()
            if self.processes[i].exitcode != 0 and failed is None:
                failed = i
        if failed is None:
            return not self._running
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(grace_period if grace_period is not None else 30)
            if process.is_alive():
                process.kill()
                process.join()
        self._raise(failed)
        return False

    def _raise(self, i: int) -> None:
        process, code = self.processes[i], self.processes[i].exitcode
        if self._errors[i].poll():
            text = self._errors[i].recv()
            raise ProcessRaisedException(f"spawn: process {i} raised:\n{text}", i, process.pid)
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            raise ProcessExitedException(f"spawn: process {i} was ended by {name}", i, process.pid, code, name)
        raise ProcessExitedException(f"spawn: process {i} exited with code {code}", i, process.pid, code)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Runs fn(i, *args) in nprocs processes, i from 0. Waits for all of them, or with join=False gives their context.

    Raises:
        ProcessRaisedException: one raised; its traceback is in the message.
        ProcessExitedException: one exited with a code other than 0.
    """
    context: Any = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for i in range(nprocs):
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(fn, i, args, sending), daemon=daemon)
        process.start()
        sending.close()
        processes.append(process)
        errors.append(receiving)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Runs fn(i, *args) in nprocs fresh interpreters: start_processes with the start method spawn."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
