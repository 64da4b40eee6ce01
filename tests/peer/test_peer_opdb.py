"""One test for each name of PyTorch's operator database that tessel has: no sample may fail."""

import pytest

pytest.importorskip("torch", reason="the peer tests compare with PyTorch, which is not installed")
pytest.importorskip("expecttest", reason="PyTorch's operator database needs expecttest")

from .opdb import NAMES, score_apart, there  # noqa: E402


@pytest.mark.parametrize("name", [n for n in NAMES if there(n)])
def test_op(name):
    score = score_apart(name)
    told = "\n".join(f"{what} of {sample}\n{message}" for what, sample, message in score.failed[:5])
    assert not score.failed, f"{len(score.failed)} failed, {sum(score.passed.values())} passed\n{told}"
    assert score.passed or score.skipped or score.stochastic, "no sample was run"
