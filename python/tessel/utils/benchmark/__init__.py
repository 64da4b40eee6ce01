"""Timer: how long a statement takes, warmed up and repeated, on a chosen number of threads."""

from __future__ import annotations

import time
import timeit
from collections.abc import Iterable
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any

from ... import _C, _names

__all__ = ["Measurement", "Timer"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def _shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.2f} ns"


class Measurement:
    """The times of a statement: `raw_times` in seconds, each of `number_per_run` runs."""

    def __init__(self, number_per_run: int, raw_times: list[float], title: str, num_threads: int) -> None:
        self.number_per_run, self.raw_times = number_per_run, raw_times
        self.title, self.num_threads = title, num_threads

    @property
    def times(self) -> list[float]:
        """Seconds a run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """Seconds a run."""
        return mean(self.times)

    @property
    def median(self) -> float:
        """Seconds a run."""
        return median(self.times)

    @property
    def iqr(self) -> float:
        """Seconds between the first and the third quartile."""
        low, _, high = quantiles(self.times, n=4, method="inclusive") if len(self.times) > 1 else (0.0, 0.0, 0.0)
        return high - low

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One measurement of all of a title."""
        found: dict[tuple[str, int, int], Measurement] = {}
        for m in measurements:
            key = (m.title, m.num_threads, m.number_per_run)
            before = found.get(key)
            times = [*(before.raw_times if before else ()), *m.raw_times]
            found[key] = Measurement(m.number_per_run, times, m.title, m.num_threads)
        return list(found.values())

    def __repr__(self) -> str:
        runs = f"{len(self.times)} measurements, {self.number_per_run} runs each, {self.num_threads} threads"
        return f"{self.title}\n  median {_shown(self.median)}, IQR {_shown(self.iqr)}\n  {runs}"


class Timer:
    """A statement to time.

    Args:
        stmt, setup: Python code; `setup` runs once before.
        globals: the names that the code sees.
        num_threads: of the kernels, while it is timed.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Any = time.perf_counter,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError(f"Timer: stmt must be text, got {type(stmt).__name__}")
        if str(language).lower() not in ("python", "py", "language.python"):
            raise NotImplementedError(f"Timer: only Python is timed, got {language!r}")
        names = dict(globals or {})
        names.setdefault("torch", _tessel())
        self._timer = timeit.Timer(stmt, setup, timer, names)
        self._threads = num_threads
        self._title = ", ".join(part for part in (label, sub_label, description) if part) or stmt

    def _time(self, number: int) -> float:
        before = _C.get_num_threads()
        _C.set_num_threads(self._threads)
        try:
            return self._timer.timeit(number)
        finally:
            _C.set_num_threads(before)

    def _measurement(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._title, self._threads)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """The time of `number` runs, after a warm-up of a hundredth of them."""
        self._time(max(number // 100, 2))
        return self._measurement(number, [self._time(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Raises: blocked_autorange repeats by itself."""
        raise NotImplementedError("Timer.repeat: use blocked_autorange or adaptive_autorange")

    def _block(self, min_run_time: float) -> int:
        """How many runs take a thousandth of the time, or a tenth of a millisecond: the clock is not noticed then."""
        number = 1
        while True:
            seconds = self._time(number)
            if seconds >= max(min_run_time / 1000, 1e-4) or number >= 1 << 40:
                return number
            number *= 10 if seconds < 1e-5 else 2

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Repeats blocks of runs for `min_run_time` seconds in all."""
        number = self._block(min_run_time)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._time(number))
            if callback is not None:
                callback(number, times[-1])
        return self._measurement(number, times)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:
        """Repeats until the quartiles are within `threshold` of the median, or `max_run_time` seconds have passed."""
        number = self._block(min_run_time)
        times: list[float] = []
        while sum(times) < max_run_time:
            times.append(self._time(number))
            if callback is not None:
                callback(number, times[-1])
            found = self._measurement(number, times)
            if sum(times) >= min_run_time and len(times) >= 3 and found.iqr < threshold * found.median:
                break
        return self._measurement(number, times)


def _tessel() -> Any:
    import tessel

    return tessel
