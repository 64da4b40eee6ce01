"""How tensors are printed: PyTorch's layout, character for character, with tessel's names of dtypes."""

import math

import pytest

from tests import STANDS_IN

if STANDS_IN:
    pytest.skip("PyTorch differs: it calls its dtypes torch.float32", allow_module_level=True)

import tessel as torch
from tessel import nn


@pytest.fixture(autouse=True)
def default_options():
    torch.set_printoptions(profile="default")
    yield
    torch.set_printoptions(profile="default")


def grid(rows, columns):
    return torch.arange(rows * columns).reshape(rows, columns)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: torch.tensor(1.5), "tensor(1.5000)"),
        (lambda: torch.tensor(3), "tensor(3)"),
        (lambda: torch.tensor(True), "tensor(True)"),
        (lambda: torch.tensor(-0.0), "tensor(-0.)"),
        (lambda: torch.tensor(math.nan), "tensor(nan)"),
        (lambda: torch.tensor(1e10), "tensor(1.0000e+10)"),
        (lambda: torch.tensor([]), "tensor([])"),
        (lambda: torch.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda: torch.zeros(0, dtype=torch.int64), "tensor([], dtype=tessel.int64)"),
        (lambda: torch.zeros(2, 0, dtype=torch.bool), "tensor([], size=(2, 0), dtype=tessel.bool)"),
        (lambda: torch.tensor([1.0, 2.0, 3.0]), "tensor([1., 2., 3.])"),
        (lambda: torch.tensor([1.5, -2.0]), "tensor([ 1.5000, -2.0000])"),
        (lambda: torch.tensor([1.0, 1e9]), "tensor([1.0000e+00, 1.0000e+09])"),
        (lambda: torch.tensor([1.0, 1001.0]), "tensor([1.0000e+00, 1.0010e+03])"),
        (lambda: torch.tensor([2.0, 1001.0]), "tensor([   2., 1001.])"),
        (lambda: torch.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
        (lambda: torch.tensor([1.5, math.nan, math.inf]), "tensor([1.5000,    nan,    inf])"),
        (lambda: torch.tensor([1.0, math.nan, -math.inf]), "tensor([1., nan, -inf])"),
        (lambda: torch.tensor([math.nan, math.inf]), "tensor([nan, inf])"),
        (lambda: torch.tensor([0.0, 0.0]), "tensor([0., 0.])"),
        (lambda: torch.tensor([True, False]), "tensor([ True, False])"),
        (lambda: torch.tensor([1, -100, 3], dtype=torch.int8), "tensor([   1, -100,    3], dtype=tessel.int8)"),
        (lambda: torch.tensor([0.5], dtype=torch.float64), "tensor([0.5000], dtype=tessel.float64)"),
        (lambda: torch.tensor([0.1], dtype=torch.float16), "tensor([0.1000], dtype=tessel.float16)"),
        (lambda: torch.tensor([0.1], dtype=torch.bfloat16), "tensor([0.1001], dtype=tessel.bfloat16)"),
        (lambda: torch.tensor([1.0, 2.5], requires_grad=True), "tensor([1.0000, 2.5000], requires_grad=True)"),
        (lambda: torch.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
        (lambda: grid(2, 3), "tensor([[0, 1, 2],\n        [3, 4, 5]])"),
        (lambda: grid(4, 1).reshape(2, 2, 1), "tensor([[[0],\n         [1]],\n\n        [[2],\n         [3]]])"),
        (
            lambda: torch.zeros(2, 1, 2, 1),
            "tensor([[[[0.],\n          [0.]]],\n\n\n        [[[0.],\n          [0.]]]])",
        ),
        (
            lambda: torch.ones(3, 4, dtype=torch.float64, requires_grad=True) / 3,
            "tensor([[0.3333, 0.3333, 0.3333, 0.3333],\n"
            "        [0.3333, 0.3333, 0.3333, 0.3333],\n"
            "        [0.3333, 0.3333, 0.3333, 0.3333]], dtype=tessel.float64,\n"
            "       grad_fn=<DivBackward0>)",
        ),
        (
            lambda: torch.arange(30),
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])",
        ),
        (lambda: torch.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
        (
            lambda: grid(40, 30),
            "tensor([[   0,    1,    2,  ...,   27,   28,   29],\n"
            "        [  30,   31,   32,  ...,   57,   58,   59],\n"
            "        [  60,   61,   62,  ...,   87,   88,   89],\n"
            "        ...,\n"
            "        [1110, 1111, 1112,  ..., 1137, 1138, 1139],\n"
            "        [1140, 1141, 1142,  ..., 1167, 1168, 1169],\n"
            "        [1170, 1171, 1172,  ..., 1197, 1198, 1199]])",
        ),
        (lambda: nn.Parameter(torch.ones(2)), "Parameter containing:\ntensor([1., 1.], requires_grad=True)"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_str_is_repr():
    assert str(torch.ones(2)) == "tensor([1., 1.])" and f"{torch.tensor(2)}" == "2"


@pytest.mark.parametrize(
    "options, text",
    [
        (dict(precision=2), "tensor([0.33, 1.50])"),
        (dict(sci_mode=True), "tensor([3.3333e-01, 1.5000e+00])"),
        (dict(profile="short"), "tensor([0.33, 1.50])"),
        (dict(threshold=1, edgeitems=1), "tensor([0.3333, 1.5000])"),
    ],
)
def test_print_options(options, text):
    torch.set_printoptions(**options)
    assert repr(torch.tensor([1 / 3, 1.5])) == text


def test_summaries_and_lines():
    torch.set_printoptions(threshold=3, edgeitems=1)
    assert repr(torch.arange(5)) == "tensor([0,  ..., 4])"
    assert repr(grid(3, 3)) == "tensor([[0,  ..., 2],\n        ...,\n        [6,  ..., 8]])"
    torch.set_printoptions(profile="full", linewidth=20)
    assert repr(torch.arange(6)) == "tensor([0, 1, 2, 3,\n        4, 5])"
    torch.set_printoptions(profile="default", sci_mode=False)
    assert repr(torch.tensor([1e-5, 1.0])) == "tensor([0.0000, 1.0000])"


def test_the_default_dtype_is_not_named():
    torch.set_default_dtype(torch.float64)
    try:
        assert repr(torch.tensor([0.5])) == "tensor([0.5000])"
        assert repr(torch.tensor([0.5], dtype=torch.float32)) == "tensor([0.5000], dtype=tessel.float32)"
    finally:
        torch.set_default_dtype(torch.float32)


def test_several_results_stand_one_a_line():
    shown = repr(torch.tensor([[1.0, 3.0], [2.0, 0.0]]).max(dim=1))
    assert shown.split(".", 1)[1] == "return_types.max(\nvalues=tensor([3., 2.]),\nindices=tensor([1, 0]))"
