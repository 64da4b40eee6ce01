"""The score sheet: python -m tests.peer [--only NAME ...] [--no-grad] [--verbose]"""

import argparse
import sys
import textwrap
import time

from .opdb import NAMES, Score, score_apart, there


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.peer", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these names of the database")
    parser.add_argument("--no-grad", action="store_true", help="compare no gradients")
    parser.add_argument("--verbose", action="store_true", help="tell every failure, not only the first of a name")
    asked = parser.parse_args()
    begin = time.perf_counter()
    names = asked.only or NAMES
    present, absent = [n for n in names if there(n)], [n for n in names if not there(n)]
    total, broken = Score(), {}
    for name in present:
        score = score_apart(name, gradients=not asked.no_grad)
        total.add(score)
        if score.failed:
            broken[name] = score
            tell(name, score, asked.verbose)
    sheet(total, broken, present, absent, time.perf_counter() - begin)
    return 1 if broken else 0


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
