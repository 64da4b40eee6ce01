"""The profiler: it has every kernel timed on its way through the engine, and puts them under the parts of the program.

A kernel's time is that of its call, measured in the engine (csrc/ops/run.h) by a clock that costs some 50 ns; while
nobody profiles, it costs nothing. What is not a kernel (views, bookkeeping, Python) is not seen.
"""

from __future__ import annotations

import enum
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .. import _C
from .table import EventList, FunctionEvent


class ProfilerActivity(enum.Enum):
    """What can be looked at; only the processor is."""

    CPU = 0
    CUDA = 1
    XPU = 2
    MTIA = 3
    HPU = 4
    PrivateUse1 = 5


class DeviceType(enum.Enum):
    """Where something ran."""

    CPU = 0
    CUDA = 1


class ProfilerAction(enum.Enum):
    """What a schedule says of a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


Schedule = Callable[[int], ProfilerAction]


def supported_activities() -> set[ProfilerActivity]:
    """The processor."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Schedule:
    """For each step: after `skip_first` steps, again and again (or `repeat` times) wait, warm up, record."""
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise ValueError(
            "schedule: wait, warmup, repeat and skip_first must not be negative and active must be positive, got"
            f" wait={wait}, warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}"
        )
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise ValueError(f"schedule: a step is not negative, got {step}")
        step -= skip_first
        if skip_first_wait:
            step += wait
        if step < 0 or (repeat and step // length >= repeat):
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An on_trace_ready that writes each trace into a folder."""

    def write(profiled: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        end = ".pt.trace.json.gz" if use_gzip else ".pt.trace.json"
        profiled.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns() // 1_000_000}{end}"))

    return write


# The open ranges of every thread, and whether anybody listens.
_annotations: list[tuple[str, int, int, int]] | None = None


class record_function:  # noqa: N801
    """A part of the program under a name, as a context or a decorator."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._starts: list[int] = []

    def __enter__(self) -> record_function:
        self._starts.append(time.perf_counter_ns())
        return self

    def __exit__(self, *_: object) -> None:
        start = self._starts.pop()
        if _annotations is not None:
            _annotations.append((self.name, start, time.perf_counter_ns(), threading.get_native_id()))

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return recorded


class profile:  # noqa: N801
    """A context in which every kernel is timed.

    Args:
        activities: accepted; kernels on the processor are timed.
        schedule: which steps to record, by calls of step(); all of them by default.
        on_trace_ready: called with this whenever a recording is complete.
        record_shapes: keeps the shape of every call.
        use_cuda, profile_memory, with_stack, with_flops, with_modules: accepted.

    One profile runs at a time: a second one raises RuntimeError.
    """

    def __init__(
        self,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Schedule | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Any = None,
        enabled: bool = True,
        **_: Any,
    ) -> None:
        self.activities = set(activities) if activities is not None else supported_activities()
        self._schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready, self.record_shapes, self._enabled = on_trace_ready, record_shapes, enabled
        self.step_num = 0
        self.action_name: str | None = None
        self._metadata: dict[str, str] = {}
        self._action = ProfilerAction.NONE
        self._events = EventList()
        self._begin = self._step_begin = 0

    # recording

    def _listens(self) -> bool:
        return self._action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)

    def _go_on(self, action: ProfilerAction) -> None:
        """From what was done to what is to be done."""
        global _annotations
        if self._listens() and (
            self._action == ProfilerAction.RECORD_AND_SAVE or action.value < ProfilerAction.RECORD.value
        ):
            self._collect()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
        listened = self._listens() and _annotations is not None
        self._action = action
        if self._listens() and not listened:
            if _annotations is not None:
                raise RuntimeError("profile: another profile is running; one runs at a time")
            _annotations = []
            self._begin = time.perf_counter_ns()
            _C._profile_start()

    def _collect(self) -> None:
        global _annotations
        spans = [
            (name, start, end, thread, sizes, dtype, target, False)
            for name, sizes, dtype, target, start, end, thread in _C._profile_stop()
        ]
        spans += [(name, start, end, thread, [], "", "", True) for name, start, end, thread in _annotations or ()]
        _annotations = None
        self._events = _nested(spans, self._begin, self.record_shapes)

    def start(self) -> None:
        """Begins; `with` does it."""
        if self._enabled:
            self._step_begin = time.perf_counter_ns()
            self._go_on(self._schedule(self.step_num))

    def stop(self) -> None:
        """Ends; `with` does it."""
        if not self._enabled:
            return
        self._mark_step()
        self._go_on(ProfilerAction.NONE)

    def _mark_step(self) -> None:
        now = time.perf_counter_ns()
        if self._listens() and self.step_num and _annotations is not None:
            _annotations.append((f"ProfilerStep#{self.step_num}", self._step_begin, now, threading.get_native_id()))
        self._step_begin = now

    def step(self) -> None:
        """The next step begins."""
        if self._enabled:
            self._mark_step()
            self.step_num += 1
            self._go_on(self._schedule(self.step_num))

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # what was found

    def events(self) -> EventList:
        """Every call."""
        return self._events

    @property
    def function_events(self) -> EventList:
        """Every call."""
        return self._events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, **_: Any) -> EventList:
        """One entry for each name, or for each name and shape; `.table()` writes them."""
        return self._events.key_averages(group_by_input_shape)

    def total_average(self) -> FunctionEvent:
        """All calls as one."""
        return self._events.total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all kernels."""
        return self._events.self_cpu_time_total

    def table(self, **options: Any) -> str:
        """The table of the calls."""
        return self._events.table(**options)

    def add_metadata(self, key: str, value: str) -> None:
        """Text for the trace."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """JSON for the trace."""
        self._metadata[key] = json.loads(value)

    def preset_metadata_json(self, key: str, value: str) -> None:
        """JSON for the trace."""
        self.add_metadata_json(key, value)

    def export_chrome_trace(self, path: str) -> None:
        """Writes a trace that chrome://tracing and Perfetto show; packed when the name ends in .gz."""
        trace = {
            "displayTimeUnit": "ms",
            **self._metadata,
            "traceEvents": [
                {
                    "ph": "X",
                    "cat": "user_annotation" if e.is_user_annotation else "cpu_op",
                    "name": e.name,
                    "pid": os.getpid(),
                    "tid": e.thread,
                    "ts": e.start,
                    "dur": e.cpu_time_total,
                    "args": {
                        k: v for k, v in (("shape", e.input_shapes), ("dtype", e.dtype), ("kernels", e.target)) if v
                    },
                }
                for e in self._events
            ],
        }
        import gzip

        with gzip.open(path, "wt") if str(path).endswith(".gz") else open(path, "w") as f:
            json.dump(trace, f)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Raises: stacks are not recorded."""
        raise NotImplementedError("export_stacks: stacks are not recorded; export_chrome_trace writes what was")


def _nested(spans: list[tuple[Any, ...]], begin: int, shapes: bool) -> EventList:
    """Spans as events, in order of their start; the time of what runs inside is taken off the time of its own."""
    events = EventList()
    open_ends: dict[int, list[tuple[int, FunctionEvent]]] = {}
    for name, start, end, thread, sizes, dtype, target, annotation in sorted(spans, key=lambda s: (s[1], -s[2])):
        us = (end - start) / 1e3
        event = FunctionEvent(name, (start - begin) / 1e3, us, us, 1, [], dtype, target, thread, annotation)
        if shapes and not annotation:
            event.input_shapes.append(list(sizes))
        around = open_ends.setdefault(thread, [])
        while around and around[-1][0] <= start:
            around.pop()
        if around:
            around[-1][1].self_cpu_time_total -= us
        around.append((end, event))
        events.append(event)
    return events
