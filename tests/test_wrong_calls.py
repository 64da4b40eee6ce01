"""Wrong calls and what they say, word for word: tests/wrong_calls.txt holds a call to each exception and its text.

    python -m tests.test_wrong_calls      # writes the texts anew: read the difference before it is committed

A text that ends in "..." stands for its beginning: signatures of other forms may follow.
"""

import copy
import io
import operator
import pathlib
import warnings

import numpy as np
import pytest

import tessel as torch
import tessel.nn.functional as F
from tessel import nn
from tests import STANDS_IN

TABLE = pathlib.Path(__file__).with_name("wrong_calls.txt")


def twice():
    y = (torch.ones(2, requires_grad=True) ** 2).sum()
    y.backward()
    y.backward()


NAMES = {
    "torch": torch, "nn": nn, "F": F, "np": np, "io": io, "copy": copy, "setitem": operator.setitem, "twice": twice,
}  # fmt: skip


def table():
    """(call, text) for every entry; sections have None for their text."""
    entries = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("    "):
            call, text = entries.pop()
            entries.append((call, line[4:] if text is None else f"{text}\n{line[4:]}"))
        elif line:
            entries.append((line, None))
    return entries


CALLS = [(call, text) for call, text in table() if not call.startswith("#")]


def outcome(call) -> str:
    default = torch.get_default_dtype()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(call, NAMES)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        torch.set_default_dtype(default)
    return "nothing was raised"


@pytest.mark.skipif(STANDS_IN, reason="these are tessel's words")
@pytest.mark.parametrize("call, text", CALLS, ids=[call for call, _ in CALLS])
def test_wrong_call(call, text):
    said = outcome(call)
    assert said.startswith(text[:-3]) if text.endswith("...") else said == text


def test_there_are_enough():
    assert len(CALLS) >= 240


def rewritten() -> str:
    lines = []
    for call, _ in table():
        if call.startswith("#"):
            lines += ["", call]
            continue
        said = outcome(call)
        for mark in (", but expected one of:", "; expected " + said.partition("(")[0].rpartition(" ")[2] + "("):
            if mark in said:
                said = said.partition(mark)[0] + mark.rstrip("(") + "..."
        lines += [call, *("    " + line for line in said.splitlines())]
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    TABLE.write_text(rewritten())
