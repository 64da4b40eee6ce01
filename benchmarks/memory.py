"""The most memory that a training step holds: the peak of resident memory over what it was after the import, in a fresh
process; model, inputs, optimizer state and the library's own caches included."""

import json
import subprocess

STEPS = 3  # the first makes gradients and the optimizer's state, the next ones live beside them

SCRIPT = """
import gc, importlib, json, sys
library, name, threads, steps = json.loads(sys.argv[1])
library = importlib.import_module(library)
from benchmarks import CASES, load_cases
load_cases()
library.set_num_threads(threads)
library.ones(1)
def status(field):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(field))
gc.collect()
with open("/proc/self/clear_refs", "w") as f:
    f.write("5")  # the peak starts anew
before = status("VmRSS")
step = CASES[name].build(library)
for _ in range(steps):
    step()
print(status("VmHWM") - before)
"""


def measure(case, python, library, environment, threads, root) -> float:
    """Megabytes."""
    command = [python, "-c", SCRIPT, json.dumps([library, case.name, threads, STEPS])]
    run = subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])
