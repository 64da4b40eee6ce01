"""PyTorch's files: what is saved on one side is loaded on the other, bit for bit."""

import io
from collections import Counter, OrderedDict

import pytest

torch = pytest.importorskip("torch", reason="the peer tests compare with PyTorch, which is not installed")

import tessel  # noqa: E402

from .exchange import to_torch  # noqa: E402

DTYPES = ["float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def contents(home):
    """Something of everything, of either library."""
    home.manual_seed(0)
    base = home.arange(24.0).reshape(4, 6)
    net = home.nn.Sequential(home.nn.Linear(3, 4), home.nn.BatchNorm1d(4))
    optimizer = home.optim.Adam(net.parameters(), lr=0.1)
    net(home.arange(15.0).reshape(5, 3)).sum().backward()
    optimizer.step()
    parameter = home.nn.Parameter(home.ones(2, 3), requires_grad=False)
    return {
        "dtypes": {name: home.tensor([[0, 1], [1, 1]], dtype=getattr(home, name)) for name in DTYPES},
        "views": [base, base[1:3, ::2], base.t(), base[0, 0], home.zeros(0, 3), home.ones(1).expand(5)],
        "parameter": parameter,
        "again": (parameter, home.ones(2, requires_grad=True)),
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": [None, True, -3, 1 << 70, 0.5, "text ü", b"\x00\xff", 1 + 2j, (), (1,), (1, 2, 3, 4), {3, 4}],
        "kinds": [
            home.float16,
            home.Size([2, 3]),
            home.device("cpu"),
            Counter("aab"),
            OrderedDict(a=1),
            bytearray(b"ab"),
        ],
        3: {"nested": [[[{}]]]},
    }


def plain(value):
    """The value as PyTorch has it."""
    if isinstance(value, (torch.Tensor, tessel.Tensor)):
        grad, kind = value.requires_grad, type(value).__name__
        return kind, grad, to_torch(value) if isinstance(value, tessel.Tensor) else value.detach()
    if isinstance(value, (dict, OrderedDict)):
        attributes = getattr(value, "__dict__", {})
        kept = plain(dict(attributes)) if attributes else None
        return type(value), {key: plain(entry) for key, entry in value.items()}, kept
    if isinstance(value, (list, tuple, set)):
        return type(value).__name__, [plain(entry) for entry in value]
    return str(value).replace("tessel", "torch")


def same(a, b):
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("mapped", [False, True])
def test_theirs_here(tmp_path, mapped):
    torch.save(contents(torch), tmp_path / "x.pt")
    here = tessel.load(tmp_path / "x.pt", mmap=mapped)
    same(plain(contents(torch)), plain(here))
    assert here["parameter"] is here["again"][0]
    views = here["views"]
    views[0].mul_(2)
    assert views[1][0, 0] == 12 and views[2][0, 1] == 12


def test_theirs_of_before_the_archives(tmp_path):
    torch.save(contents(torch), tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    here = tessel.load(tmp_path / "x.pth")
    same(plain(contents(torch)), plain(here))
    here["views"][0].mul_(2)
    assert here["views"][1][0, 0] == 12


@pytest.mark.parametrize("mapped", [False, True])
def test_ours_there(tmp_path, mapped):
    tessel.save(contents(tessel), tmp_path / "x.pth")
    there = torch.load(tmp_path / "x.pth", weights_only=True, mmap=mapped)
    same(plain(there), plain(tessel.load(tmp_path / "x.pth")))
    same(plain(there), plain(contents(tessel)))
    assert there["parameter"] is there["again"][0]
    there["views"][0].mul_(2)
    assert there["views"][1][0, 0] == 12
    there = torch.load(tmp_path / "x.pth", weights_only=False)
    assert isinstance(there["parameter"], torch.nn.Parameter)


def test_buffers_of_bytes():
    ours, theirs = io.BytesIO(), io.BytesIO()
    tessel.save(contents(tessel), ours, format="pytorch")
    torch.save(contents(torch), theirs)
    for file in (ours, theirs):
        file.seek(0)
        there = torch.load(file, weights_only=True)
        file.seek(0)
        same(plain(there), plain(tessel.load(file)))


def test_numpy_values(tmp_path):
    import numpy as np

    value = {"scalar": np.float64(0.25), "array": np.arange(6, dtype=">i4").reshape(2, 3).T, "half": np.float16(2)}
    torch.save(value, tmp_path / "x.pt")
    here = tessel.load(tmp_path / "x.pt")
    assert here["scalar"] == 0.25 and type(here["scalar"]) is np.float64 and type(here["half"]) is np.float16
    assert np.array_equal(here["array"], value["array"]) and here["array"].dtype.str[1:] == "i4"


def test_objects_are_named(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(Exception, match="torch.nn.modules.linear.Linear") as error:
        tessel.load(tmp_path / "x.pt", weights_only=False)
    assert type(error.value).__name__ == "UnpicklingError"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "y.pt")
    with pytest.raises(RuntimeError, match="TorchScript"):
        tessel.load(tmp_path / "y.pt")
