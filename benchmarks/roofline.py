"""The measured roofline: what this machine's arithmetic and each level of its memory give; what a work takes at least.

benchmarks/cpp/roofline.cpp measures; it is compiled here with the compiler that also built tessel, in a second.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = [Path(__file__).with_name("cpp") / name for name in ("roofline.cpp", "roofline_main.cpp")]


@dataclass(frozen=True)
class Roofline:
    flops: dict[str, float]  # dtype -> operations a second
    bytes: list[tuple[int, float]]  # (working set, bytes a second), the sets ascending

    def floor(self, work) -> float:
        """The seconds that a work takes at least: of each op the later of its arithmetic and its memory.

        work: a list of [operations, bytes, dtype], an op each. What a dtype has no arithmetic of its own for is done in
        float32. An op's memory is as fast as the level that holds all of its operands.
        """
        return sum(max(flops / self.rate(dtype), moved / self.bandwidth(moved)) for flops, moved, dtype in work)

    def rate(self, dtype) -> float:
        return self.flops.get(dtype, self.flops["float32"])

    def bandwidth(self, working_set) -> float:
        return next((rate for size, rate in self.bytes if size >= working_set), self.bytes[-1][1])


def measure(threads, isa=None) -> Roofline:
    """Raises OSError or subprocess.CalledProcessError where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/roofline"
        compiler = os.environ.get("CXX", "c++").split()
        subprocess.run([*compiler, "-std=c++20", "-O2", "-pthread", *map(str, SOURCES), "-o", program], check=True)
        arguments = [program, str(threads), *([isa] if isa else [])]
        measured = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
    return Roofline(measured["flops"], [tuple(pair) for pair in measured["bytes"]])
