"""What all tests share: every test begins with seed 0, two threads and gradients on."""

import gc

import pytest

import tessel as torch
from tests import STANDS_IN


@pytest.fixture(autouse=True)
def same_start():
    torch.manual_seed(0)
    torch.set_num_threads(1 if STANDS_IN else 2)
    torch.set_grad_enabled(True)
    yield
    torch.set_grad_enabled(True)


@pytest.fixture
def threads():
    """A function that sets the number of threads; the old number comes back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def collected():
    """A function that drops what nobody holds any more."""
    return lambda: [gc.collect() for _ in range(2)]


def pytest_report_header():
    return f"tessel is {torch.__file__} {torch.__version__}"
