"""What `import` costs: time and resident memory over those of importing numpy, in fresh processes."""

import statistics
import subprocess

# Both libraries import numpy or are used with it, so numpy goes first and what follows is the library's own.
SCRIPT = """
import time, numpy
def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * __import__("resource").getpagesize() / 2**20
memory, start = resident(), time.perf_counter()
import {library}
print(1e3 * (time.perf_counter() - start), resident() - memory)
"""


def measure(python, library, environment, repeats):
    """Medians of (milliseconds, megabytes). The first process only warms the file cache."""
    runs = []
    for _ in range(repeats + 1):
        command = [python, "-c", SCRIPT.format(library=library)]
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        runs.append([float(field) for field in output.split()[-2:]])
    return [statistics.median(column) for column in zip(*runs[1:])]
