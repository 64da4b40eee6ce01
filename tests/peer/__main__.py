"""The score sheet: python -m tests.peer [--modules] [--only NAME ...] [--no-grad] [--verbose] [--jobs N]"""

import argparse
import os
import select
import sys
import textwrap
import time

from .moduledb import MODULES, score_of_module
from .opdb import NAMES, Apart, Score, score_of, there


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.peer", description=__doc__.splitlines()[0])
    parser.add_argument("--modules", action="store_true", help="PyTorch's module database, and not that of operators")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these names of the database")
    parser.add_argument("--no-grad", action="store_true", help="compare no gradients")
    parser.add_argument("--verbose", action="store_true", help="tell every failure, not only the first of a name")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="names scored at a time")
    asked = parser.parse_args()
    begin = time.perf_counter()
    names = asked.only or (MODULES if asked.modules else NAMES)
    judge = score_of_module if asked.modules else score_of
    present, absent = [n for n in names if there(n)], [n for n in names if not there(n)]
    total, broken, slowest = Score(), {}, []
    for run in finished(present, not asked.no_grad, asked.jobs, judge):
        score = run.score()
        slowest.append((run.seconds, run.name))
        total.add(score)
        if score.failed:
            broken[run.name] = score
            tell(run.name, score, asked.verbose)
    print("slowest:", ", ".join(f"{name} {seconds:.0f} s" for seconds, name in sorted(slowest, reverse=True)[:8]))
    sheet(total, broken, present, absent, time.perf_counter() - begin)
    return 1 if broken else 0


def finished(names, gradients, jobs, judge):
    """The runs of these names as they end, so many at a time."""
    waiting, going = list(reversed(names)), []
    while waiting or going:
        while waiting and len(going) < jobs:
            going.append(Apart(waiting.pop(), gradients, judge))
        for run in select.select(going, [], [])[0]:
            going.remove(run)
            yield run


def tell(name, score, verbose):
    count = sum(score.passed.values())
    print(f"{name}: {len(score.failed)} failed, {count} passed", flush=True)
    for what, sample, message in score.failed if verbose else score.failed[:1]:
        print(f"    {what} of {sample}")
        print(textwrap.indent(message.strip(), " " * 8))


def sheet(total, broken, present, absent, seconds):
    print()
    if absent:
        print(f"not there yet, {len(absent)} names:")
        print(textwrap.fill(" ".join(absent), 118, initial_indent="    ", subsequent_indent="    "))
    for reason, count in total.skipped.most_common():
        print(f"skipped: {count} samples, {reason}")
    print(f"stochastic or undefined, shape and dtype compared: {total.stochastic} samples")
    for what, count in sorted(total.passed.items()):
        failed = sum(kind == what for kind, _, _ in total.failed)
        print(f"{what:>10}: {count} passed, {failed} failed")
    print(f"names: {len(present) - len(broken)} without a failure, {len(broken)} with, {len(absent)} not there yet")
    print(f"passed: {sum(total.passed.values())}, failed: {len(total.failed)}, in {seconds:.0f} s")


sys.exit(main())
