"""save and load: everything comes back as it was, other readers understand the file, damage is noticed."""

import io
import json
import math
import os
import pickle
import random
import stat
import struct
from collections import OrderedDict

import numpy as np
import pytest

from tests import STANDS_IN

if STANDS_IN:
    pytest.skip("PyTorch differs: it pickles", allow_module_level=True)

import tessel as torch
from tessel import nn, optim

DTYPES = ["float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def there_and_back(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file)


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and a.shape == b.shape and a.requires_grad == b.requires_grad
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_tensors(dtype, shape):
    count = math.prod(shape)
    same_tensor = (torch.arange(count) % 2 if dtype == "bool" else torch.arange(count)).reshape(shape)
    value = same_tensor.to(getattr(torch, dtype))
    same(there_and_back(value), value)


def test_plain_values():
    value = {
        "none": None,
        "flags": [True, False],
        "numbers": (1, -(10**30), 0.1, -0.0, 1e-320, math.inf, -math.inf, math.nan),
        "texts": ["", "a\nb", "ü€😀", "\x00"],
        "bytes": b"\x00\xff",
        3: {"dtype": torch.bfloat16, "size": torch.Size([2, 3]), "device": torch.device("cpu")},
        (1, "a"): [],
        None: {},
        2.5: OrderedDict(z=1, y=(2,)),
        True: ((),),
        "tensor": {"tensor": "not one", "dict": 1},
    }
    same(there_and_back(value), value)
    assert there_and_back(np.float64(0.5)) == 0.5


def test_names_that_mean_something_to_the_format():
    value = {"__metadata__": torch.ones(1), "a.b": torch.zeros(1), "a": {"b": torch.ones(2)}, "": torch.ones(3)}
    same(there_and_back(value), value)


def test_shared_memory_stays_shared():
    base = torch.arange(12.0)
    loaded = there_and_back({"part": base[2:6], "grid": base.view(3, 4).t(), "again": base[2:6]})
    assert loaded["grid"].shape == (4, 3) and loaded["grid"].stride() == (1, 4)
    loaded["part"][0] = 77
    assert loaded["grid"][2, 0].item() == 77 and loaded["again"][0].item() == 77
    one = torch.ones(3)
    loaded = there_and_back([one, one])
    assert loaded[0] is loaded[1]


def test_views_are_saved_without_what_they_leave_out():
    file = io.BytesIO()
    torch.save(torch.zeros(1000, 1000)[3], file)
    assert len(file.getvalue()) < 10_000
    file = io.BytesIO()
    wide = torch.ones(1).expand(1_000_000)
    torch.save(wide, file)
    assert len(file.getvalue()) < 10_000
    file.seek(0)
    assert torch.load(file).shape == (1_000_000,)
    transposed = torch.arange(6.0).reshape(2, 3).t()
    same(there_and_back(transposed), transposed)


def test_parameters_and_gradients():
    loaded = there_and_back([nn.Parameter(torch.ones(2)), torch.ones(2, requires_grad=True)])
    assert isinstance(loaded[0], nn.Parameter) and loaded[0].requires_grad
    assert type(loaded[1]) is torch.Tensor and loaded[1].requires_grad and loaded[1].is_leaf


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_state_dicts(tmp_path):
    net, other = network(), network()
    torch.save(net.state_dict(), tmp_path / "net.safetensors")
    state = torch.load(tmp_path / "net.safetensors")
    assert isinstance(state, OrderedDict) and list(state) == list(net.state_dict())
    assert state._metadata["1"] == {"version": 2}
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    x = torch.ones(5, 3)
    assert torch.equal(net.eval()(x), other.eval()(x))


def test_other_readers_understand_state_dicts(tmp_path):
    from safetensors import safe_open

    net = network()
    torch.save(net.state_dict(), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        assert set(file.keys()) == set(net.state_dict())
        np.testing.assert_array_equal(file.get_tensor("0.weight"), net[0].weight.detach().numpy())
        assert file.metadata()["format"] == "pt"


def test_files_of_other_writers(tmp_path):
    from safetensors.numpy import save_file

    save_file({"b": np.arange(3), "a": np.ones((2, 2), np.float32)}, tmp_path / "x.safetensors")
    loaded = torch.load(tmp_path / "x.safetensors")
    assert set(loaded) == {"a", "b"} and loaded["b"].tolist() == [0, 1, 2] and loaded["a"].shape == (2, 2)


def test_training_goes_on_after_loading(tmp_path):
    def step(net, optimizer):
        optimizer.zero_grad()
        net(torch.arange(12.0).reshape(4, 3)).square().mean().backward()
        optimizer.step()

    net = network()
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    for _ in range(3):
        step(net, optimizer)
    path = str(tmp_path / "checkpoint.safetensors")
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    other = network()
    resumed = optim.Adam(other.parameters())
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    other.load_state_dict(checkpoint["model"])
    resumed.load_state_dict(checkpoint["optimizer"])
    for _ in range(3):
        step(net, optimizer)
        step(other, resumed)
    assert checkpoint["epoch"] == 3
    for p, q in zip(net.parameters(), other.parameters()):
        assert torch.equal(p, q)


def test_map_location():
    file = io.BytesIO()
    torch.save({"x": torch.ones(2)}, file)
    seen = []

    def place(tensor, location):
        seen.append(location)
        return tensor * 2

    for where, value in [("cpu", 1), (torch.device("cpu"), 1), ({"cpu": "cpu"}, 1), (place, 2)]:
        file.seek(0)
        assert torch.load(file, map_location=where)["x"].tolist() == [value] * 2
    assert seen == ["cpu"]


# ---- what cannot be saved


def test_other_objects_are_refused_by_name():
    cases = [
        ({"model": {"fn": len}}, r"obj\['model'\]\['fn'\]"),
        ([1, {2}], r"obj\[1\] is a set"),
        ({"a": [np.ones(2)]}, r"obj\['a'\]\[0\] is a numpy.ndarray.*from_numpy"),
        ({frozenset(): 1}, "key"),
    ]
    for value, text in cases:
        with pytest.raises(TypeError, match=text):
            torch.save(value, io.BytesIO())
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="itself"):
        torch.save(circle, io.BytesIO())
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        torch.save(deep, io.BytesIO())


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(TypeError):
        torch.save({"a": len}, path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        torch.save({"a": torch.zeros(2)}, path)
    assert torch.load(path)["a"].tolist() == [1, 1]
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_files_on_disk(tmp_path):
    path = tmp_path / "x.safetensors"
    torch.save(torch.ones(2), path)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    os.chmod(path, 0o640)
    torch.save(torch.zeros(2), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(FileNotFoundError):
        torch.save(1, tmp_path / "nowhere" / "x")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "nothing")


# ---- damaged files


def packed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
DAMAGED = {
    "empty": b"",
    "short": b"\x05\x00",
    "header longer than the file": struct.pack("<Q", 100) + b"{}",
    "enormous header": struct.pack("<Q", 1 << 62) + b"{}",
    "no brace": packed(b"  {}"),
    "no JSON": packed(b"{'a': 1}"),
    "no UTF-8": packed(b'{"\xff": 1}'),
    "a name twice": packed(b'{"a": %b, "a": %b}' % ((json.dumps(ENTRY).encode(),) * 2), bytes(4)),
    "no offsets": packed({"a": {"dtype": "F32", "shape": [1]}}),
    "negative shape": packed({"a": {**ENTRY, "shape": [-1]}}, bytes(4)),
    "fractional shape": packed({"a": {**ENTRY, "shape": [1.0]}}, bytes(4)),
    "huge shape": packed({"a": {**ENTRY, "shape": [1 << 61, 1 << 61]}}, bytes(4)),
    "unlike size": packed({"a": {**ENTRY, "shape": [2]}}, bytes(4)),
    "backwards": packed({"a": {**ENTRY, "shape": [0], "data_offsets": [4, 0]}}, bytes(4)),
    "hole": packed({"a": {**ENTRY, "data_offsets": [4, 8]}}, bytes(8)),
    "overlap": packed({"a": ENTRY, "b": ENTRY}, bytes(4)),
    "missing data": packed({"a": ENTRY}, bytes(3)),
    "rest": packed({"a": ENTRY}, bytes(5)),
    "metadata": packed({"__metadata__": {"a": 1}}),
    "structure is no JSON": packed({"__metadata__": {"tessel": "{"}}),
    "unknown kind": packed({"__metadata__": {"tessel": '{"module": "os"}'}}),
    "unknown tensor": packed({"__metadata__": {"tessel": '{"tensor": "b"}'}, "a": ENTRY}, bytes(4)),
    "view too far": packed(
        {"__metadata__": {"tessel": '{"tensor": "a", "view": [[2], [1], 0]}'}, "a": ENTRY}, bytes(4)
    ),
    "negative view": packed(
        {"__metadata__": {"tessel": '{"tensor": "a", "view": [[1], [1], -1]}'}, "a": ENTRY}, bytes(4)
    ),
    "deep": packed({"__metadata__": {"tessel": "[" * 100_000}}),
    "empty node": packed({"__metadata__": {"tessel": "{}"}}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(name):
    with pytest.raises(RuntimeError, match="damaged"):
        torch.load(io.BytesIO(DAMAGED[name]))


def test_pickles_are_not_run():
    class Bomb:
        def __reduce__(self):
            return os.system, ("false",)

    with pytest.raises(pickle.UnpicklingError, match="posix.system|nt.system"):
        torch.load(io.BytesIO(pickle.dumps(Bomb())), weights_only=False)
    with pytest.raises(RuntimeError, match="dtype"):
        torch.load(io.BytesIO(packed({"a": {**ENTRY, "dtype": "F4"}}, bytes(4))))


def test_flipped_bytes_never_do_harm():
    file = io.BytesIO()
    base = torch.arange(12.0)
    torch.save({"a": [base[2:6], base.view(3, 4), (1, 2.5, "text", b"xy")], "b": torch.tensor([True, False])}, file)
    data = file.getvalue()
    rng = random.Random(0)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.choice(b'0123456789"{}[],:ab\x00\xff')
        if rng.random() < 0.2:
            damaged = damaged[: rng.randrange(len(damaged))]
        try:
            loaded = torch.load(io.BytesIO(bytes(damaged)))
        except RuntimeError:
            continue
        repr(loaded)


def test_streams_that_cannot_seek():
    class Stream:
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def read(self, count=-1):
            return self.data.read(count)

    file = io.BytesIO()
    torch.save({"x": torch.ones(2)}, file)
    assert torch.load(Stream(file.getvalue()))["x"].tolist() == [1, 1]
