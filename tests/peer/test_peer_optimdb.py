"""One test for each setting of PyTorch's optimizer database, and each wrong one."""

import pytest

pytest.importorskip("torch", reason="the peer tests compare with PyTorch, which is not installed")
pytest.importorskip("expecttest", reason="PyTorch's databases need expecttest")

from .exchange import Untranslatable  # noqa: E402
from .optimdb import ERRORS, SAMPLES, check, check_error  # noqa: E402


@pytest.mark.parametrize("info, given", [pytest.param(i, g, id=f"{i.name}-{n}") for i, n, g in SAMPLES])
def test_setting(info, given):
    check(info, given)


@pytest.mark.parametrize("info, given", [pytest.param(i, g, id=f"{i.name}-{n}") for i, n, g in ERRORS])
def test_error(info, given):
    try:
        check_error(info, given)
    except Untranslatable as what:
        pytest.skip(f"{what} is not there")
