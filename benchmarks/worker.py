"""The process that holds one library and times cases on demand: `python -m benchmarks.worker tessel`.

One JSON request a line on stdin, one JSON answer a line on stdout:

    {"do": "prepare", "case": name, "sample_seconds": s} -> {"calls": n, "seconds": t, "value": [shape, sum, sum|x|]}
    {"do": "measure", "samples": k}                      -> {"times": [seconds per call, k of them]}
    {"do": "count"}                                      -> {"work": [[operations, bytes, dtype], an op each]}
    {"do": "threads", "threads": n}                      -> {"threads": n}

A failure is an answer too: {"error": text}.
"""

import contextlib
import gc
import importlib
import itertools
import json
import os
import sys
import time

from benchmarks import CASES, facade, load_cases, ops


def seconds(call, calls):
    """Time of one call, the loop and the collector included as little as they can be."""
    turns = itertools.repeat(None, calls)
    enabled = gc.isenabled()
    gc.disable()
    start = time.perf_counter()
    for _ in turns:
        call()
    elapsed = time.perf_counter() - start
    if enabled:
        gc.enable()
    return elapsed / calls


# What calling a Python function that does nothing costs: 50 ns or so, as much as a tenth of the smallest case.
EMPTY = min(seconds(lambda: None, 20_000) for _ in range(5))


def value(library, result):
    """A result's shape, sum and sum of magnitudes, for comparison with the other library; None for other results."""
    if isinstance(library, facade.Library):
        return library.value(result)
    if not isinstance(result, library.Tensor):
        return None
    x = result.detach().double()
    return [list(x.shape), x.sum().item(), x.abs().sum().item()]


class Worker:
    def __init__(self, name):
        self.library = facade.load(name) if name in ("numpy", "jax") else importlib.import_module(name)
        self.call, self.calls = None, 1

    def prepare(self, case, sample_seconds):
        self.call = None  # the last case's tensors go before the next ones come
        gc.collect()
        self.call = CASES[case].build(self.library)
        if isinstance(self.library, facade.Library):
            self.call = self.library.compiled(self.call)
        found = value(self.library, self.call())
        self.calls = 1
        while (once := seconds(self.call, self.calls)) * self.calls < sample_seconds / 2:
            self.calls = min(2 * self.calls, int(sample_seconds / once) + 1)
        return {"calls": self.calls, "seconds": once, "value": found}

    def measure(self, samples):
        seconds(self.call, 1)  # the other worker has just run: caches and threads wake up here
        return {"times": [max(seconds(self.call, self.calls) - EMPTY, 1e-9) for _ in range(samples)]}

    def count(self):
        """What the prepared case computes and moves; only PyTorch tells."""
        if self.library.__name__ != "torch":
            return {"work": []}
        from benchmarks import count

        return {"work": count.work(self.call)}

    def threads(self, threads):
        if isinstance(self.library, facade.Library):  # they take their threads from the cores the process may use
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
            return {"threads": threads}
        self.library.set_num_threads(threads)
        return {"threads": self.library.get_num_threads()}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not stand between the answers

    def answer(**fields):
        print(json.dumps(fields), file=answers, flush=True)

    load_cases()
    if sys.argv[2:] == ["--specs"]:
        ops.register_specs()
    try:
        worker = Worker(sys.argv[1])
        threads = getattr(worker.library, "get_num_threads", lambda: len(os.sched_getaffinity(0)))()
        answer(version=worker.library.__version__, threads=threads)
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                fields = getattr(worker, request.pop("do"))(**request)
            answer(**fields)
        except Exception as error:
            worker.call = None
            answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
