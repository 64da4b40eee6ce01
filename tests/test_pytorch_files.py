"""PyTorch's files: read from bytes put together by hand, written and read again; what is not plain data is refused."""

import io
import os
import pickle
import random
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

from tests import STANDS_IN

if STANDS_IN:
    pytest.skip("PyTorch differs: it runs what it trusts", allow_module_level=True)

import tessel as torch
from tessel import nn, optim, serialization


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def storage(kind, key, count, more=b""):
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + b"K" + bytes([count]) + more + b"tQ"


def tensor(kind, key, count, offset, size, stride, grad=b"\x89", more=b""):
    dims = lambda values: b"(" + b"".join(b"K" + bytes([n]) for n in values) + b"t"  # noqa: E731
    hooks = name("collections", "OrderedDict") + b")R"
    layout = b"K" + bytes([offset]) + dims(size) + dims(stride) + grad + hooks
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage(kind, key, count, more) + layout + b"tR"


def archive(structure, storages=(), more=(), **settings):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **settings) as entries:
        entries.writestr("x/data.pkl", structure)
        for key, data in dict(storages).items():
            entries.writestr(f"x/data/{key}", data)
        for entry, data in more:
            entries.writestr(entry, data)
    file.seek(0)
    return file


def there_and_back(value):
    file = io.BytesIO()
    torch.save(value, file, format="pytorch")
    file.seek(0)
    return torch.load(file)


def test_a_file_by_hand():
    data = np.arange(6, dtype=np.float32)
    a = tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1))
    b = tensor("FloatStorage", "0", 6, 1, (2,), (3,), grad=b"\x88")
    parameter = name("torch._utils", "_rebuild_parameter") + b"(" + a + b"\x88" + name("collections", "OrderedDict")
    structure = b"\x80\x02}(" + text("a") + a + text("b") + b + text("p") + parameter + b")RtRu."
    value = torch.load(archive(structure, {"0": data.tobytes()}))
    assert list(value) == ["a", "b", "p"] and isinstance(value["p"], nn.Parameter)
    assert value["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and value["b"].tolist() == [1, 4]
    assert value["b"].requires_grad and not value["a"].requires_grad
    value["a"].fill_(7)
    assert value["b"].tolist() == [7, 7] and value["p"][0, 0] == 7


def test_bytes_in_the_other_order():
    structure = b"\x80\x02" + tensor("IntStorage", "0", 2, 0, (2,), (1,)) + b"."
    data = np.array([1, 2], dtype=">i4").tobytes()
    assert torch.load(archive(structure, {"0": data}, [("x/byteorder", b"big")])).tolist() == [1, 2]


def test_a_file_of_before_the_archives():
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    protocol = b"\x80\x02M\xe9\x03."
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, 2)
    structure = b"\x80\x02" + tensor("LongStorage", "77", 3, 1, (2,), (1,), more=b"N") + b"."
    data = struct.pack("<q", 3) + np.array([5, 6, 7]).tobytes()
    file = magic + protocol + system + structure + pickle.dumps(["77"], 2) + data
    assert torch.load(io.BytesIO(file)).tolist() == [6, 7]
    for length in range(len(file)):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            torch.load(io.BytesIO(file[:length]))


def test_there_and_back():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(6.0)
    plain = {
        "list": [None, True, 0, 255, 256, -1, 1 << 31, -(1 << 90), 0.1, "ü\x00", b"\xff", bytearray(b"a"), 2j, {1, 2}],
        "kinds": (torch.bfloat16, torch.Size([2]), torch.device("cpu"), Counter("aab"), OrderedDict(z=1)),
        (1, "key"): ((), (1, 2, 3, 4)),
    }
    value = there_and_back(
        {"net": net.state_dict(), "optim": optimizer.state_dict(), "plain": plain, "v": [base, base[2:]]}
    )
    assert value["plain"] == plain and type(value["plain"]["kinds"][3]) is Counter
    assert value["net"]._metadata == net.state_dict()._metadata
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    other.load_state_dict(value["net"])
    optim.Adam(other.parameters()).load_state_dict(value["optim"])
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), net.state_dict().values()))
    value["v"][0].fill_(3)
    assert value["v"][1].tolist() == [3, 3, 3, 3]
    shared = [1]
    one, two = there_and_back([shared, shared])
    assert one is two
    with pytest.raises(TypeError, match=r"obj\['f'\] is a builtin_function"):
        there_and_back({"f": len})


def test_names_decide_the_format(tmp_path):
    for place in ("x.pt", "x.pth", "x.ckpt", "x.bin", "x.safetensors", "x"):
        torch.save({"a": torch.ones(2)}, tmp_path / place)
        zipped = (tmp_path / place).read_bytes()[:2] == b"PK"
        assert zipped == (place not in ("x.safetensors", "x"))
        assert torch.load(tmp_path / place)["a"].tolist() == [1, 1]
    with open(tmp_path / "y.pt", "wb") as file:
        torch.save(torch.ones(2), file)
    assert torch.load(tmp_path / "y.pt", mmap=True, map_location=lambda t, where: t).tolist() == [1, 1]
    assert len(os.listdir(tmp_path)) == 7
    with pytest.raises(ValueError, match="mmap"):
        torch.load(io.BytesIO(), mmap=True)


class Bomb:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(protocol):
    for bomb in (Bomb(os.system, "false"), Bomb(eval, "1/0"), Bomb(print, "!"), Bomb(getattr, dict, "keys"), Bomb):
        with pytest.raises((pickle.UnpicklingError, RuntimeError)):
            torch.load(archive(pickle.dumps(bomb, protocol)))
    if protocol >= 2:
        with pytest.raises(pickle.UnpicklingError, match="builtins.eval"):
            torch.load(archive(pickle.dumps([Bomb(eval, "1/0")], protocol)))
    for value in ({"a": [1, (2.5, None, "x")], "b": {3}, "c": b"x", "d": 1 << 40}, OrderedDict(a=1), Counter("ab")):
        if protocol >= 2:
            assert torch.load(archive(pickle.dumps(value, protocol))) == value


WRONG = {
    "a call of a dtype": name("torch", "float32") + b")R.",
    "a call of a list": b"])R.",
    "new objects": name("collections", "OrderedDict") + b")\x81" + name("os", "system") + b"b.",
    "an instruction of old": b"(" + text("false") + b"ios\nsystem\n.",
    "an extension": b"\x82\x01.",
    "a state for a dict": b"}}" + text("keys") + b"K\x01sb.",
    "methods of an ordered dict": name("collections", "OrderedDict") + b")R}" + text("keys") + b"K\x01sb.",
    "a persistent id": text("storage") + b"Q.",
    "entries of a tuple": b")K\x01K\x02s.",
    "an empty stack": b"s.",
    "a mark that is not there": b"t.",
    "what was not remembered": b"h\x05.",
    "a length without end": b"X\xff\xff\xff\xffabc.",
    "no end": b"]",
    "a storage that is not there": tensor("FloatStorage", "1", 2, 0, (2,), (1,)) + b".",
    "a storage of another size": tensor("FloatStorage", "0", 3, 0, (2,), (1,)) + b".",
    "a storage of another dtype": tensor("LongStorage", "0", 2, 0, (2,), (1,)) + b".",
    "a view too far": tensor("FloatStorage", "0", 2, 1, (2,), (1,)) + b".",
    "a name outside": tensor("FloatStorage", "../../data/0", 2, 0, (2,), (1,)) + b".",
    "a quantized tensor": name("torch._utils", "_rebuild_qtensor") + b")R.",
    "an array of objects": name("numpy", "dtype") + b"(" + text("O8") + b"\x89\x88tR.",
    "a key that cannot be": b"}]K\x01s.",
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_structures(kind):
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match="load:"):
        torch.load(archive(b"\x80\x02" + WRONG[kind], {"0": bytes(8)}))


def test_wrong_archives():
    structure = b"\x80\x02" + tensor("FloatStorage", "0", 2, 0, (2,), (1,)) + b"."
    assert torch.load(archive(structure, {"0": bytes(8)})).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="compressed"):
        torch.load(archive(structure, {"0": bytes(8)}, compression=zipfile.ZIP_DEFLATED))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(structure, {"0": bytes(8)}, [("x/data/0", bytes(8))])
    with pytest.raises(RuntimeError, match="twice"):
        torch.load(twice)
    with pytest.raises(RuntimeError, match="TorchScript"):
        torch.load(archive(structure, {}, [("x/constants.pkl", b"")]))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as entries:
        entries.writestr("readme.txt", "")
    other.seek(0)
    with pytest.raises(RuntimeError, match="not one"):
        torch.load(other)


def test_flipped_bytes_never_do_harm():
    file = io.BytesIO()
    torch.save({"a": torch.arange(9.0), "b": [nn.Parameter(torch.ones(2)), "text"]}, file, format="pytorch")
    whole, rng = file.getvalue(), random.Random(0)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3))):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            torch.load(io.BytesIO(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.1 else damaged))
        except (RuntimeError, pickle.UnpicklingError):
            pass


class Settings:
    def __init__(self, rate):
        self.rate = rate


def test_classes_that_the_user_trusts():
    data = pickle.dumps({"settings": Settings(3)}, 2)
    with pytest.raises(pickle.UnpicklingError, match="Settings"):
        torch.load(archive(data))
    with serialization.safe_globals([Settings]):
        assert serialization.get_safe_globals() == [Settings]
        assert torch.load(archive(data))["settings"].rate == 3
    assert serialization.get_safe_globals() == []


@pytest.mark.parametrize("mode", ["min", "max"])
def test_s40_early_stopping_goes_on_counting_when_resumed(mode, tmp_path):
    from tessel.utils.early_stopping import EarlyStopping

    sign = 1 if mode == "min" else -1
    metrics = [sign * value for value in (3.0, 2.0, 1.95, 2.5, float("nan"), 1.0)]

    def make():
        model = nn.Linear(1, 1)
        return model, EarlyStopping(patience=3, min_delta=0.1, mode=mode, model=model)

    def run(model, stopping, first, last):
        for epoch in range(first, last):
            with torch.no_grad():
                model.weight.fill_(float(epoch))
            if stopping.step(torch.tensor(metrics[epoch])):
                return epoch
        return None

    model, stopping = make()
    assert run(model, stopping, 0, 6) == 4 and stopping.best_epoch == 1 and stopping.best == sign * 2
    stopping.restore()
    assert model.weight.item() == 1
    model, stopping = make()
    assert run(model, stopping, 0, 3) is None and stopping.bad_epochs == 1
    torch.save(stopping.state_dict(), tmp_path / "stopping.pt")
    model, stopping = make()
    stopping.load_state_dict(torch.load(tmp_path / "stopping.pt"))
    assert run(model, stopping, 3, 6) == 4
    stopping.restore()
    assert model.weight.item() == 1
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping(mode="best")
