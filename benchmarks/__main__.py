"""`python -m benchmarks`: every case over tessel and over its rival, case by case in turns, in one run.

Two worker processes hold one library each. For every case both prepare and warm up; then they take turns, so that a
machine that grows hot, or busy with something else, slows both alike; the medians of all samples are compared.
"""

import argparse
import json
import os
import re
import select
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import CASES, GROUPS, load_cases, memory, ops, report, roofline, startup

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300  # seconds a worker may be silent
# Seconds that a sample of a short case lasts: far above the clock's grain, and below the time slice of a scheduler, so
# that on a busy machine most samples are whole and the median is one of them.
SAMPLE = 0.001

# How each library is held to an instruction set: tessel by its own variable, PyTorch by those of its three parts.
ISA = {
    "scalar": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "avx512bf16": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3",
    },
    "amx": {},
}

# What may stand on the other side: the module it is imported as, its name, the version the aims were set against, and
# what pip installs it by. NumPy and JAX run the cases that facade.py can give them.
RIVALS = {
    "torch": ("PyTorch", "2.13", "'torch==2.13.*' --extra-index-url https://download.pytorch.org/whl/cpu"),
    "jax": ("JAX", "", "jax"),
    "numpy": ("NumPy", "", "numpy"),
    "tessel": ("tessel", "", "tessel"),
}

MISSING = """\
{title} could not be imported by {python}:
  {error}

The benchmark runs the same code over both libraries, so it needs {title} {version} beside tessel. Either

  make bench                                  makes .venv-peer with tessel and PyTorch, or
  {python} -m pip install {package}
                                              puts it where it was looked for, or
  python -m benchmarks --rival-python PATH    names another interpreter that has it (with numpy).
"""


class Died(Exception):
    pass


class Worker:
    """A worker process and the conversation with it."""

    def __init__(self, python, library, environment, specs):
        command = [python, "-m", "benchmarks.worker", library, *(["--specs"] if specs else [])]
        self.process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hello = self.answer()

    def answer(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
            raise Died(f"no answer within {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            raise Died(f"the process ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Died(f"the process ended with status {self.process.wait()}") from None
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Side:
    """One of the two libraries: its interpreter, its environment, and its worker, started anew should it die."""

    def __init__(self, title, library, python, environment, specs):
        self.title, self.library, self.python, self.environment, self.specs = title, library, python, environment, specs
        self.worker, self.threads = None, None

    def start(self):
        """The worker's first words: {"version", "threads"} or {"error"}."""
        try:
            self.worker = Worker(self.python, self.library, self.environment, self.specs)
        except (OSError, Died) as error:
            return {"error": str(error)}
        return self.worker.hello

    def ask(self, **request):
        """The worker's answer; a crash is answered as an error, and the next question goes to a new worker."""
        try:
            if self.worker is None:
                hello = self.start()
                if "error" in hello:
                    return hello
                self.worker.ask(do="threads", threads=self.threads)
            return self.worker.ask(**request)
        except Died as death:
            self.worker = None
            return {"error": str(death)}


def run(case, tessel, rival, seconds, rounds, roof):
    """Times one case on both sides; `seconds` is what each may spend on it, cut into `rounds` turns. roof: or None."""
    answers = {side: side.ask(do="prepare", case=case.name, sample_seconds=SAMPLE) for side in (rival, tessel)}
    notes = [f"{side.title}: {answer['error']}" for side, answer in answers.items() if "error" in answer]
    times = {}
    for _ in range(rounds):
        for side, prepared in answers.items():
            if "error" in prepared:
                continue
            each = max(prepared["calls"] * prepared["seconds"], 1e-6)
            measured = side.ask(do="measure", samples=max(1, min(500, int(seconds / rounds / each))))
            if "error" in measured:
                answers[side] = measured
                notes.append(f"{side.title}: {measured['error']}")
                times.pop(side, None)
            else:
                times.setdefault(side, []).extend(measured["times"])
    work = rival.ask(do="count").get("work", []) if roof and rival in times else []
    a, b = answers[tessel].get("value"), answers[rival].get("value")
    if a and b and not alike(a, b):
        notes.append(f"the results differ: {rival.title} {b}, {tessel.title} {a}")
    medians = {side: statistics.median(samples) for side, samples in times.items()}
    return report.Row(
        case.name,
        case.group,
        medians.get(rival),
        medians.get(tessel),
        aim=case.aim,
        curve=case.curve,
        note="; ".join(notes),
        flops=sum(flops for flops, _, _ in work),
        moved=sum(moved for _, moved, _ in work),
        floor=roof.floor(work) if work else None,
    )


def alike(a, b, tolerance=1e-4):
    """Whether two [shape, sum, sum of magnitudes] describe the same result, give or take the order of summing."""
    scale = tolerance * (abs(b[2]) + 1e-6)
    nan = any(x != x for x in (a[1], b[1]))
    return a[0] == b[0] and (nan or (abs(a[1] - b[1]) <= scale and abs(a[2] - b[2]) <= scale))


def import_rows(tessel, rival, repeats):
    """The two rows about importing; the limits are absolute, numpy's own share taken off."""
    figures = {}
    for side in (rival, tessel):
        try:
            figures[side] = startup.measure(side.python, side.library, side.environment, repeats)
        except subprocess.CalledProcessError as error:
            return [report.Row("import", "startup", None, None, limit=0.06, note=error.stderr.strip().splitlines()[-1])]
    (rival_ms, rival_mb), (ms, mb) = figures[rival], figures[tessel]
    return [
        report.Row("import, over numpy's", "startup", rival_ms / 1e3, ms / 1e3, limit=0.06),
        report.Row("memory after import, over numpy's", "startup", rival_mb, mb, limit=20, unit="MB"),
    ]


def memory_row(name, case, tessel, rival):
    """The peak memory of a training step on both sides: the engine's at most the rival's."""
    figures, note = {}, ""
    for side in (rival, tessel):
        try:
            figures[side] = memory.measure(case, side.python, side.library, side.environment, side.threads, ROOT)
        except subprocess.CalledProcessError as error:
            note = f"{side.title}: {(error.stderr.strip().splitlines() or ['no words'])[-1]}"
    return report.Row(name, "memory", figures.get(rival), figures.get(tessel), aim=1, unit="MB", note=note)


def show_progress(line):
    """Overwrites the terminal's last line; silent where stderr is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def cpu_name():
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else os.uname().machine


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="REGEX", help="cases whose name it is found in")
    parser.add_argument("--specs", action="store_true", help="also every bench case of tests/specs")
    parser.add_argument("--list", action="store_true", help="print the cases and leave")
    parser.add_argument("--quick", action="store_true", help="a third of the time; the noise is larger")
    parser.add_argument("--threads", type=int, help="of both libraries; default: what tessel chooses")
    parser.add_argument("--isa", choices=list(ISA), help="holds both libraries to an instruction set")
    parser.add_argument("--against", choices=list(RIVALS), default="torch", help="the rival; default: torch")
    parser.add_argument(
        "--rival-python", metavar="PATH", default=sys.executable, help="an interpreter that has the rival"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "bench", help="folder for speed.json, speed.png, growth.png"
    )
    parser.add_argument("--readme", type=Path, help="file whose speed table is replaced")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 when an aim is missed")
    args = parser.parse_args()

    load_cases()
    if args.specs:
        ops.register_specs()
    chosen = [case for case in CASES.values() if not args.only or re.search(args.only, case.name)]
    chosen.sort(key=lambda case: (*GROUPS, "specs").index(case.group))
    startup_chosen = not args.only or re.search(args.only, "import, over numpy's; memory after import, over numpy's")
    if args.list:
        print("\n".join(case.name for case in chosen))
        return

    environment = dict(os.environ)
    if args.isa:
        environment.update(ISA[args.isa], TESSEL_ISA=args.isa)
    title, version, package = RIVALS[args.against]
    if facade := args.against in ("numpy", "jax"):  # arrays alone, and no aims against them
        chosen = [replace(case, aim=None) for case in chosen if case.group != "models"]
    tessel = Side("tessel", "tessel", sys.executable, environment, args.specs)
    rival = Side(title, args.against, args.rival_python, environment, args.specs)
    for side, wanted in ((tessel, ""), (rival, version)):
        hello = side.start()
        if "error" in hello and side is rival:
            error = hello["error"]
            sys.exit(MISSING.format(title=title, python=side.python, error=error, version=version, package=package))
        if "error" in hello:
            sys.exit(f"tessel could not be imported by {side.python}:\n  {hello['error']}\nmake bench installs it.")
        side.title = f"{side.title} {hello['version']}"
        if not hello["version"].startswith(wanted):
            print(f"The aims were set against {title} {wanted}; this is {hello['version']}.", file=sys.stderr)
    threads = args.threads or tessel.worker.hello["threads"]
    for side in (tessel, rival):
        side.threads = threads
        side.ask(do="threads", threads=threads)

    roof = None
    if args.against == "torch":
        try:
            roof = roofline.measure(threads, args.isa)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"No shares of the roofline: it could not be measured ({error}).", file=sys.stderr)

    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cores / 2:
        print(f"The machine is busy (load {load:.1f} on {cores} cores): figures will be noisy.", file=sys.stderr)

    seconds, rounds = (0.15, 3) if args.quick else (0.5, 5)
    rows, start = [], time.perf_counter()
    if startup_chosen and not facade:
        rows += import_rows(tessel, rival, repeats=3 if args.quick else 9)
    for i, case in enumerate(chosen):
        show_progress(f"{i + 1}/{len(chosen)} {case.name}")
        rows.append(run(case, tessel, rival, seconds, rounds, roof))
    if facade:
        left_out = [row.name for row in rows if row.rival is None]
        rows = [row for row in rows if row.rival is not None]
        print(f"{len(left_out)} cases that {title} is not given here were left out.", file=sys.stderr)
    for case in CASES.values() if not facade else ():
        name = f"peak memory of {case.name}"
        if case.name.startswith("step: ") and (not args.only or re.search(args.only, name)):
            show_progress(name)
            rows.append(memory_row(name, case, tessel, rival))
    show_progress("")
    for side in (tessel, rival):
        if side.worker:
            side.worker.close()

    machine = {
        "cpu": cpu_name(),
        "threads": threads,
        "isa": args.isa or "the best it has",
        "rival": rival.title,
        "tessel": tessel.title,
        "python": sys.version.split()[0],
        "seconds": round(time.perf_counter() - start),
    }
    print(report.text(rows, machine))
    args.output.mkdir(parents=True, exist_ok=True)
    report.write_json(args.output / "speed.json", rows, machine)
    try:
        report.write_picture(args.output / "speed.png", rows, machine)
        report.write_growth(args.output / "growth.png", rows, machine)
    except ImportError:
        print("No picture: matplotlib is not installed.", file=sys.stderr)
    if args.readme:
        report.write_readme(args.readme, rows, machine, args.isa)
    if args.strict and any(row.met is False for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
