"""The tensor as an object: dtypes and promotion, views and memory, conversions, Python's protocols, identity."""

import copy
import ctypes
import gc
import json
import operator
import pickle
import sys
import weakref

import numpy as np
import pytest

import tessel as torch
from tests import STANDS_IN, promotion

DTYPES = promotion.DTYPES
WITH_NUMPY = [d for d in DTYPES if d != "bfloat16"]
GOLDEN = json.loads(promotion.FILE.read_text())


def dtype(name):
    return getattr(torch, name)


def grid(*shape, dtype=None):
    return torch.arange(int(np.prod(shape)), dtype=dtype or torch.float32).reshape(shape)


# dtypes and promotion


@pytest.mark.parametrize("op", promotion.OPS)
@pytest.mark.parametrize("left", promotion.LEFT)
def test_promotion(op, left):
    wanted = dict(zip(promotion.RIGHT, GOLDEN[op][left].split()))
    got = {right: promotion.outcome(torch, op, left, right) for right in promotion.RIGHT}
    assert got == wanted


def test_promote_types_and_result_type():
    assert torch.promote_types(torch.int32, torch.float16) == torch.float16
    assert torch.promote_types(torch.uint8, torch.int8) == torch.int16
    assert torch.promote_types(torch.bfloat16, torch.float16) == torch.float32
    assert torch.result_type(torch.ones(2, dtype=torch.int8), 2.5) == torch.float32
    assert torch.result_type(torch.ones(2, dtype=torch.int8), 1000) == torch.int8
    assert torch.can_cast(torch.int32, torch.float32) and not torch.can_cast(torch.float32, torch.int32)


def test_facts_of_dtypes():
    sizes = dict(float32=4, float64=8, bfloat16=2, float16=2, int64=8, int32=4, int16=2, int8=1, uint8=1, bool=1)
    for name, size in sizes.items():
        d = dtype(name)
        assert d.itemsize == size and torch.ones(1, dtype=d).element_size() == size
        assert d.is_floating_point == ("float" in name) and not d.is_complex
        assert repr(d) == f"{torch.__name__}.{name}" and pickle.loads(pickle.dumps(d)) is d
    assert torch.float is torch.float32 and torch.half is torch.float16 and torch.long is torch.int64
    assert torch.double is torch.float64 and torch.int is torch.int32 and torch.short is torch.int16
    assert torch.finfo(torch.bfloat16).eps == 2**-7 and torch.finfo(torch.float32).max == np.finfo(np.float32).max
    assert torch.finfo(torch.float16).tiny == 2**-14 and torch.iinfo(torch.int8).min == -128
    assert torch.iinfo(torch.uint8).max == 255
    assert torch.complex64.is_complex and torch.promote_types(torch.complex64, torch.float64) == torch.complex128


def test_default_dtype():
    assert torch.get_default_dtype() == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.tensor(1.0).dtype == torch.zeros(1).dtype == torch.float64
        assert (torch.tensor([1]) / 2).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_dtypes_inferred_from_python_values():
    assert torch.tensor(1).dtype == torch.int64
    assert torch.tensor([1, 2.5]).dtype == torch.float32
    assert torch.tensor([True, False]).dtype == torch.bool
    assert torch.tensor([True, 2]).dtype == torch.int64
    assert torch.tensor([]).dtype == torch.float32
    assert torch.tensor(np.float64(1.5)).dtype == torch.float64
    assert torch.tensor(np.arange(3, dtype=np.int16)).dtype == torch.int16
    assert torch.tensor([torch.tensor(1.0), torch.tensor(2.0)]).shape == (2,)
    with pytest.raises((ValueError, TypeError)):
        torch.tensor([[1, 2], [3]])
    with pytest.raises((TypeError, ValueError)):
        torch.tensor(["a"])


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_casts(source, target):
    values = np.array([0, 1, 2, 100] if source != "bool" else [0, 1, 1, 0])
    x = torch.from_numpy(values).to(dtype(source))
    y = x.to(dtype(target))
    assert y.dtype == dtype(target)
    wanted = values if target != "bool" else values != 0
    assert y.to(torch.float64).tolist() == [float(v) for v in wanted]


def test_casts_truncate_and_wrap():
    x = torch.tensor([1.9, -1.9, 250.0])
    assert x.to(torch.int32).tolist() == [1, -1, 250]
    assert torch.tensor([300, -1]).to(torch.uint8).tolist() == [44, 255]
    assert torch.tensor([0.0, -0.0, 0.5, float("nan")]).bool().tolist() == [False, False, True, True]


def test_bfloat16_rounds_to_nearest_even():
    wanted = {1.00390625: 1.0, 1.01171875: 1.015625, 1.0039063692092896: 1.0078125, 3.4e38: float("inf"), -1e-45: -0.0}
    got = torch.tensor(list(wanted), dtype=torch.float32).to(torch.bfloat16)
    assert got.to(torch.float32).tolist() == list(wanted.values())
    assert torch.tensor(float("nan")).to(torch.bfloat16).isnan()


def test_every_float16_survives_a_round_trip():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = torch.from_numpy(every)
    np.testing.assert_array_equal(x.float().numpy(), every.astype(np.float32))
    back = x.float().half().numpy()
    finite = ~np.isnan(every)
    np.testing.assert_array_equal(back[finite].view(np.uint16), every[finite].view(np.uint16))
    assert np.isnan(back[~finite]).all()


def test_float32_to_float16_rounds_as_numpy():
    x = np.random.default_rng(0).normal(size=10_000).astype(np.float32) * np.float32(2.0) ** np.arange(-20, 20, 0.004)[
        :10_000
    ].astype(np.float32)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(torch.from_numpy(x).half().numpy(), x.astype(np.float16))


def test_to_returns_itself_when_nothing_changes():
    x = torch.ones(2)
    assert x.to(torch.float32) is x and x.float() is x and x.to("cpu") is x and x.contiguous() is x
    assert x.to(torch.float32, copy=True) is not x
    assert (
        x.to(torch.ones(1, dtype=torch.int8)).dtype == torch.int8
        and x.type_as(torch.ones(1, dtype=torch.int8)).dtype == torch.int8
    )


# shape, memory and views


def test_shape_and_strides():
    x = torch.empty(2, 3, 4)
    assert (
        x.shape == (2, 3, 4)
        and x.size() == (2, 3, 4)
        and x.size(-1) == 4
        and x.stride() == (12, 4, 1)
        and x.stride(0) == 12
    )
    assert x.dim() == x.ndim == 3 and x.numel() == x.nelement() == 24 and x.nbytes == 96
    assert isinstance(x.shape, torch.Size) and isinstance(x.shape, tuple) and x.shape.numel() == 24
    assert x.is_contiguous() and not x.transpose(0, 1).is_contiguous()
    assert x.storage_offset() == 0 and x[1].storage_offset() == 12
    assert torch.empty(()).shape == () and torch.empty(0, 3).numel() == 0
    assert x.device == torch.device("cpu") and x.device.type == "cpu" and not x.is_cuda
    assert x.layout == torch.strided


def test_eight_dimensions():
    x = torch.ones(1, 2, 1, 2, 1, 2, 1, 2)
    assert (x + x.transpose(0, 7)).shape == (2, 2, 1, 2, 1, 2, 1, 2)
    assert x.sum((1, 3)).shape == (1, 1, 1, 2, 1, 2)
    assert x.permute(7, 6, 5, 4, 3, 2, 1, 0).shape == (2, 1, 2, 1, 2, 1, 2, 1)


def test_views_share_memory():
    x = grid(2, 3, 4)
    for view in (
        x[0],
        x[:, 1:],
        x.view(6, 4),
        x.reshape(-1),
        x.t() if x.dim() < 3 else x.transpose(0, 1),
        x.permute(2, 0, 1),
        x.unsqueeze(0),
        x[:, 1:2].squeeze(1),
        x.flatten(),
        x.narrow(2, 1, 2),
        x.select(0, 1),
        x.expand(5, 2, 3, 4),
        x.diagonal(),
        x.unfold(2, 2, 1),
        x.split(1)[1],
        x.chunk(2)[1],
        x.unbind()[1],
        x.as_strided((2,), (5,), 3),
        x.swapaxes(0, 1),
        x.movedim(0, -1),
        x.detach(),
        x.data,
        x.view(torch.int32),
        x[None],
        x[..., ::2],
        x.mT,
    ):
        assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        before = x.clone()
        view.fill_(-7) if view.dtype == torch.int32 or not view.shape or view.stride(0) else view[0].fill_(-7)
        assert not torch.equal(before.nan_to_num(9.0), x.nan_to_num(9.0))
        x.copy_(before)


def test_copies_do_not_share():
    x = grid(2, 3)
    for copied in (
        x.clone(),
        x.t().contiguous(),
        x[[0, 1]],
        x[x > 2],
        x.to(torch.float64),
        torch.tensor(x.numpy()),
        x.repeat(1, 1),
        x.t().reshape(-1),
    ):
        assert copied.data_ptr() != x.data_ptr()


def test_view_refuses_what_would_copy():
    x = grid(2, 3).t()
    with pytest.raises(RuntimeError, match="(?i)view"):
        x.view(-1)
    assert x.reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(RuntimeError, match="7"):
        x.reshape(7)
    with pytest.raises(RuntimeError, match="(?i)-1|one dimension"):
        x.reshape(-1, -1)


def test_view_as_another_dtype():
    x = torch.tensor([1.0, -2.0])
    assert x.view(torch.int32).tolist() == [0x3F800000, -0x40000000]
    assert x.view(torch.uint8).shape == (8,)
    assert torch.arange(8, dtype=torch.uint8).view(torch.int16).tolist() == [0x0100, 0x0302, 0x0504, 0x0706]


def test_clone_keeps_dense_strides():
    x = grid(2, 3).t()
    assert x.clone().stride() == (1, 3) and torch.empty_like(x).stride() == (1, 3)
    assert x.clone(memory_format=torch.contiguous_format).is_contiguous()
    assert (x + 1).stride() == (1, 3)


def test_memory_outlives_its_views():
    view = grid(1000)[990:]
    gc.collect()
    assert view.tolist() == list(range(990, 1000))


def test_data_is_64_byte_aligned():
    for size in (1, 3, 100, 10_000):
        assert torch.empty(size).data_ptr() % 64 == 0


# numpy, DLPack, buffers


@pytest.mark.parametrize("name", WITH_NUMPY)
def test_numpy_shares_memory(name):
    x = torch.ones(2, 3, dtype=dtype(name))
    a = x.numpy()
    assert a.dtype == np.dtype(name) and a.ctypes.data == x.data_ptr() and a.shape == (2, 3)
    a[0, 1] = 0
    assert x[0, 1].item() == 0
    y = torch.from_numpy(a)
    assert y.data_ptr() == x.data_ptr() and y.dtype == x.dtype
    y[1, 2] = 0
    assert a[1, 2] == 0 and x[1, 2].item() == 0


def test_numpy_of_views():
    x = grid(3, 4)
    np.testing.assert_array_equal(x.t()[1::2].numpy(), np.arange(12).reshape(3, 4).T[1::2])
    assert x.t().numpy().strides == (4, 16)
    a = np.arange(24).reshape(2, 3, 4)[:, ::2, 1:].transpose(2, 0, 1)
    y = torch.from_numpy(a)
    assert y.stride() == tuple(s // 8 for s in a.strides) and y.data_ptr() == a.ctypes.data
    np.testing.assert_array_equal(y.numpy(), a)


def test_numpy_keeps_the_memory_alive():
    a = grid(10).numpy()
    gc.collect()
    assert a.tolist() == list(range(10))
    y = torch.from_numpy(np.arange(10.0))
    gc.collect()
    assert y.tolist() == list(range(10))


def test_numpy_refuses_what_needs_a_gradient():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="(?i)detach"):
        x.numpy()
    assert x.detach().numpy().tolist() == [1, 1]
    assert (x * 2).numpy(force=True).tolist() == [2, 2]
    with pytest.raises(TypeError):
        torch.ones(2, dtype=torch.bfloat16).numpy()


def test_from_numpy_refusals():
    with pytest.raises(ValueError, match="(?i)negative|stride"):
        torch.from_numpy(np.arange(3)[::-1])
    with pytest.raises(TypeError):
        torch.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError):
        torch.from_numpy([1, 2])


def test_numpy_functions_take_tensors():
    x = grid(2, 3)
    assert np.asarray(x).ctypes.data == x.data_ptr()
    assert np.array(x).ctypes.data != x.data_ptr()
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.add(x, 1).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.float32(2) * x.numpy()[0, 1] == 2
    assert isinstance(x * np.float32(2), torch.Tensor) and (x * np.float64(2)).dtype == torch.float32
    assert (x + np.arange(3, dtype=np.float32)).tolist() == [[0, 2, 4], [3, 5, 7]]


@pytest.mark.parametrize("name", WITH_NUMPY)
def test_dlpack_both_ways_with_numpy(name):
    x = torch.ones(2, 3, dtype=dtype(name))
    a = np.from_dlpack(x)
    assert a.ctypes.data == x.data_ptr() and a.dtype == np.dtype(name) and a.shape == (2, 3)
    b = np.ones((2, 3), name).T
    y = torch.from_dlpack(b)
    assert y.data_ptr() == b.ctypes.data and y.shape == (3, 2) and y.stride() == (1, 3) and y.dtype == x.dtype
    z = torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x))
    assert z.data_ptr() == x.data_ptr()
    assert tuple(x.__dlpack_device__()) == (1, 0)


def test_dlpack_keeps_the_memory_alive_and_lets_it_go():
    x = grid(5)
    a = np.from_dlpack(x)
    del x
    gc.collect()
    assert a.tolist() == [0, 1, 2, 3, 4]

    class Array(np.ndarray):
        pass

    base = np.arange(6.0).view(Array)
    alive = weakref.ref(base)
    y = torch.from_dlpack(base)
    del base
    gc.collect()
    assert y.tolist() == [0, 1, 2, 3, 4, 5] and alive() is not None
    del y
    gc.collect()
    assert alive() is None


def test_dlpack_of_a_gradient_raises():
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(torch.ones(2, requires_grad=True))


def test_buffers():
    x = torch.frombuffer(bytearray(b"\x01\x00\x02\x00\x03\x00"), dtype=torch.int16)
    assert x.tolist() == [1, 2, 3]
    assert torch.frombuffer(bytearray(range(8)), dtype=torch.uint8, count=3, offset=2).tolist() == [2, 3, 4]
    with pytest.raises(ValueError):
        torch.frombuffer(bytearray(3), dtype=torch.int16)


@pytest.mark.skipif(
    not hasattr(torch.Tensor, "__buffer__") and torch.__name__ == "torch", reason="PyTorch has no buffer protocol"
)
def test_the_buffer_protocol():
    x = grid(2, 3)
    m = memoryview(x)
    assert (
        m.shape == (2, 3) and m.format == "f" and m.strides == (12, 4) and not m.readonly and m.tolist() == x.tolist()
    )
    assert bytes(memoryview(x.t().contiguous()))[:4] == b"\0\0\0\0"
    m[1, 2] = 9.0
    assert x[1, 2].item() == 9
    with pytest.raises((BufferError, TypeError, RuntimeError)):
        memoryview(torch.ones(2, requires_grad=True))


@pytest.mark.skipif(STANDS_IN, reason="PyTorch resizes memory that numpy looks at")
def test_lent_memory_does_not_move():
    x = torch.zeros(4)
    a = x.numpy()
    with pytest.raises(RuntimeError, match="(?i)shared"):
        x.resize_(1000)
    a[0] = 5
    assert x[0].item() == 5


def test_lists_that_change_or_hold_themselves():
    class Emptying:
        def __float__(self):
            numbers.clear()
            return 1.0

    numbers = [Emptying(), 2.0, 3.0]
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        torch.tensor(numbers, dtype=torch.float32)
    endless = [1, 2]
    endless.append(endless)
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        torch.tensor(endless, dtype=torch.int64 if STANDS_IN else None)


def test_what_has_an_array_is_data():
    class Data:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3)

    assert torch.as_tensor(Data() if not STANDS_IN else np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.skipif(STANDS_IN, reason="it counts tessel's memory")
@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.__dlpack__(),
        lambda x: x.__dlpack__(max_version=(1, 0)),
        lambda x: torch.from_dlpack(np.from_dlpack(x)),
        lambda x: torch.from_numpy(x.numpy()),
        lambda x: torch.frombuffer(memoryview(x), dtype=torch.uint8),
        lambda x: np.asarray(x),
        lambda x: pickle.loads(pickle.dumps([x, x[1:]])),
        lambda x: copy.deepcopy([x, x[1:]]),
        lambda x: x.untyped_storage().tensor(),
    ],
)
def test_no_way_out_keeps_memory(use):
    use(torch.zeros(1000))
    gc.collect()
    before = torch.memory_stats()["allocated_bytes"]
    for _ in range(10):
        use(torch.zeros(1000))
    gc.collect()
    assert torch.memory_stats()["allocated_bytes"] == before


def test_as_tensor():
    a = np.arange(3.0)
    assert torch.as_tensor(a).data_ptr() == a.ctypes.data
    assert torch.as_tensor(a, dtype=torch.float32).data_ptr() != a.ctypes.data
    x = torch.ones(2)
    assert torch.as_tensor(x) is x
    assert torch.asarray(a).data_ptr() == a.ctypes.data
    assert torch.as_tensor([1, 2]).dtype == torch.int64


# Python's protocols


def test_iteration_and_length():
    x = grid(3, 2)
    assert len(x) == 3 and [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    a, b, c = x
    assert b.tolist() == [2, 3] and list(reversed([1])) == [1]
    with pytest.raises(TypeError, match="0-d"):
        len(torch.tensor(1))
    with pytest.raises(TypeError, match="0-d"):
        iter(torch.tensor(1))
    assert 3 in x and 9 not in x


def test_bool():
    assert bool(torch.tensor(1.5)) and not bool(torch.tensor([0])) and not torch.tensor(False)
    with pytest.raises(RuntimeError, match="(?i)ambiguous"):
        bool(torch.ones(2))
    with pytest.raises(RuntimeError, match="(?i)ambiguous"):
        bool(torch.ones(0))


def test_numbers():
    x = torch.tensor(2.5)
    assert x.item() == 2.5 and float(x) == 2.5 and int(x) == 2 and f"{x:.2f}" == "2.50"
    assert (
        torch.tensor([[7]]).item() == 7
        and type(torch.tensor(True).item()) is bool
        and type(torch.tensor(3).item()) is int
    )
    assert (
        [10, 20, 30][torch.tensor(1)] == 20
        and operator.index(torch.tensor(3)) == 3
        and list(range(torch.tensor(2))) == [0, 1]
    )
    assert complex(torch.tensor(2.0)) == 2
    with pytest.raises(RuntimeError, match="(?i)scalar|2 elements"):
        torch.ones(2).item()
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        float(torch.ones(2))
    with pytest.raises(TypeError):
        operator.index(torch.tensor(1.5))


def test_tolist():
    assert torch.tensor(3).tolist() == 3
    assert grid(2, 2).t().tolist() == [[0, 2], [1, 3]]
    assert torch.ones(2, 0).tolist() == [[], []] and torch.ones(0, 2).tolist() == []
    assert torch.tensor([True]).tolist() == [True] and type(torch.tensor([1]).tolist()[0]) is int
    assert torch.tensor([1.5], dtype=torch.bfloat16).tolist() == [1.5]


def test_operators():
    x, y = torch.tensor([7.0, -7.0]), torch.tensor([2.0, 2.0])
    assert (
        (x + y).tolist() == [9, -5]
        and (1 + x).tolist() == [8, -6]
        and (x - 1).tolist() == [6, -8]
        and (1 - x).tolist() == [-6, 8]
    )
    assert (2 * x).tolist() == [14, -14] and (x / 2).tolist() == [3.5, -3.5] and (7 / x).tolist() == [1, -1]
    assert (
        (x // 2).tolist() == [3, -4]
        and (x % 4).tolist() == [3, 1]
        and (x**2).tolist() == [49, 49]
        and (2**y).tolist() == [4, 4]
    )
    assert (-x).tolist() == [-7, 7] and abs(x).tolist() == [7, 7] and (+x).tolist() == x.tolist()
    assert (
        (x < y).tolist() == [False, True] and (x >= 7).tolist() == [True, False] and (x == 7).tolist() == [True, False]
    )
    assert (x != x).tolist() == [False, False]
    i = torch.tensor([6, 5])
    assert (
        (i & 3).tolist() == [2, 1]
        and (i | 1).tolist() == [7, 5]
        and (i ^ 1).tolist() == [7, 4]
        and (~i).tolist() == [-7, -6]
    )
    assert (i << 1).tolist() == [12, 10] and (i >> 1).tolist() == [3, 2] and (1 << i).tolist() == [64, 32]
    assert (grid(2, 3) @ torch.ones(3)).tolist() == [3, 12]
    m = torch.tensor([True, False])
    assert (~m).tolist() == [False, True] and (m & torch.tensor([True, True])).tolist() == [True, False]
    assert (x == None) is False  # noqa: E711
    assert (x == "a") is False and (x != "a") is True


def test_inplace_operators_keep_identity():
    x = torch.ones(2)
    y = x
    x += 1
    x *= 3
    x -= 1
    x /= 5
    x **= 2
    assert x is y and x.tolist() == [1, 1]
    i = torch.tensor([6])
    j = i
    i //= 4
    i <<= 3
    i |= 1
    i &= 11
    i ^= 2
    i %= 8
    assert i is j and i.tolist() == [3]
    with pytest.raises(RuntimeError, match="(?i)cast|float|type"):
        i /= 2
    with pytest.raises(RuntimeError, match="(?i)cast|float|type"):
        i += 1.5


def test_operators_with_strangers():
    class Stranger:
        def __radd__(self, other):
            return "radd"

        def __eq__(self, other):
            return "eq"

        __hash__ = None

    assert torch.ones(2) + Stranger() == "radd"
    with pytest.raises(TypeError):
        torch.ones(2) + "a"
    with pytest.raises(TypeError):
        torch.ones(2) + None


def test_hash_is_identity():
    x, y = torch.ones(2), torch.ones(2)
    assert hash(x) == hash(x) and len({x, y, x}) == 2 and {x: 1}[x] == 1


def test_copies():
    x = grid(2, 3)
    shallow = copy.copy(x)
    deep = copy.deepcopy(x)
    assert deep.data_ptr() != x.data_ptr() and torch.equal(deep, x) and torch.equal(shallow, x)
    p = torch.ones(2, requires_grad=True)
    p.grad = torch.full((2,), 5.0)
    p.note = ["kept"]
    q = copy.deepcopy(p)
    assert (
        q.requires_grad
        and q.is_leaf
        and q.grad.tolist() == [5, 5]
        and q.grad is not p.grad
        and q.note == ["kept"]
        and q.note is not p.note
    )
    pair = copy.deepcopy([x, x, x[0]])
    assert pair[0] is pair[1] and pair[2].untyped_storage().data_ptr() == pair[0].untyped_storage().data_ptr()
    with pytest.raises(RuntimeError, match="(?i)leaf|leaves|graph"):
        copy.deepcopy(p * 2)


@pytest.mark.parametrize("name", DTYPES)
def test_pickling(name):
    x = torch.ones(2, 3, dtype=dtype(name)).t()
    y = pickle.loads(pickle.dumps(x))
    assert y.dtype == x.dtype and y.shape == x.shape and torch.equal(x, y)
    empty = pickle.loads(pickle.dumps(torch.empty(0, 3, dtype=dtype(name))))
    assert empty.shape == (0, 3) and empty.dtype == x.dtype


def test_pickling_keeps_requires_grad_and_attributes():
    p = torch.nn.Parameter(torch.ones(2))
    q = pickle.loads(pickle.dumps(p))
    assert isinstance(q, torch.nn.Parameter) and q.requires_grad
    x = torch.ones(2, requires_grad=True)
    assert pickle.loads(pickle.dumps(x)).requires_grad


def test_attributes_live_as_long_as_the_tensor():
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y.note = "kept"
    holder = [y]
    del y
    gc.collect()
    assert holder[0].note == "kept"
    x.grad = torch.ones(3)
    x.grad.note = "on the gradient"
    gc.collect()
    assert x.grad.note == "on the gradient" and x.grad is x.grad


def test_the_base_of_a_view_is_the_same_object():
    x = torch.ones(3, 3)
    x.note = "base"
    view = x[0]
    name = id(x)
    del x
    gc.collect()
    assert view._base.note == "base" and id(view._base) == name


def test_saved_tensors_come_back_as_the_same_object():
    kept = []

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            kept.append(ctx.saved_tensors[0])
            return dy * 2

    x = torch.ones(2, requires_grad=True)
    x.note = "mine"
    F.apply(x).sum().backward()
    assert kept[0] is x and kept[0].note == "mine"


def test_weak_references():
    x = torch.ones(3)
    alive = weakref.ref(x)
    assert alive() is x
    del x
    gc.collect()
    assert alive() is None


def test_a_tensor_in_a_cycle_is_collected():
    x = torch.ones(3)
    x.me = x
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_no_reference_is_lost_or_kept():
    x = torch.ones(3)
    before = sys.getrefcount(x)
    for _ in range(100):
        x + 1
        x[0]
        x.view(-1)
        x.add_(0)
        x.sum().item()
    assert sys.getrefcount(x) == before
    before = sys.getrefcount(None)
    for _ in range(1000):
        _ = x.grad
    assert abs(sys.getrefcount(None) - before) < 100


def test_subclasses():
    class Mine(torch.Tensor):
        def double(self):
            return "mine"

    x = torch.ones(2).as_subclass(Mine)
    assert isinstance(x, Mine) and isinstance(x, torch.Tensor) and x.double() == "mine"
    x.note = 1
    assert x.note == 1 and x.tolist() == [1, 1]
    y = Mine([1.0, 2.0])
    assert isinstance(y, Mine) and y.tolist() == [1, 2]


def test_parameters():
    p = torch.nn.Parameter(torch.ones(2))
    assert isinstance(p, torch.Tensor) and p.requires_grad and p.is_leaf and repr(p).startswith("Parameter containing")
    assert not isinstance(torch.ones(2), torch.nn.Parameter) and not isinstance(p * 2, torch.nn.Parameter)
    assert not torch.nn.Parameter(torch.ones(2), requires_grad=False).requires_grad


def test_is_tensor_and_friends():
    x = torch.ones(2)
    assert torch.is_tensor(x) and not torch.is_tensor([1]) and torch.numel(x) == 2
    assert torch.is_floating_point(x) and x.is_floating_point() and not x.is_complex() and x.is_signed()
    assert x.is_same_size(torch.zeros(2)) and x.get_device() == -1
    assert torch.is_nonzero(torch.tensor(3)) and x.is_set_to(x)


def test_constructors_of_old():
    assert torch.Tensor(2, 3).shape == (2, 3) and torch.Tensor([1, 2]).dtype == torch.float32
    assert torch.FloatTensor([1]).dtype == torch.float32 and torch.LongTensor([1, 2]).dtype == torch.int64
    assert torch.Tensor().shape == (0,)


# indexing errors that a user meets


def test_indexing_errors():
    x = grid(2, 3)
    with pytest.raises(IndexError, match="2"):
        x[2]
    with pytest.raises(IndexError, match="(?i)too many|indices"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="5"):
        x[torch.tensor([5])]
    with pytest.raises(IndexError):
        x[torch.tensor([True, False, True])]
    with pytest.raises((IndexError, TypeError)):
        x["a"]
    with pytest.raises((IndexError, TypeError)):
        x[1.5]
    with pytest.raises(ValueError, match="(?i)step"):
        x[::-1]
    with pytest.raises(RuntimeError):
        x[0] = torch.ones(7)


def test_assignment():
    x = torch.zeros(2, 3)
    x[0, 1] = 5
    x[1] = torch.tensor([1.0, 2.0, 3.0])
    x[:, 0] += 10
    x[..., -1:] = -1
    x[torch.tensor([0]), torch.tensor([2])] = 8
    assert x.tolist() == [[10, 5, 8], [11, 2, -1]]
    x[x > 9] = 0
    x[None, 0] = 4
    assert x.tolist() == [[4, 4, 4], [0, 2, -1]]
    x[:] = True
    assert x.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(TypeError):
        del x[0]


def test_out_of_memory_is_an_error_and_nothing_more():
    with pytest.raises((MemoryError, RuntimeError)):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert torch.ones(3).sum().item() == 3
    with pytest.raises((RuntimeError, OverflowError, ValueError)):
        torch.empty(1 << 40, 1 << 40)
    with pytest.raises(RuntimeError, match="(?i)negative"):
        torch.empty(-1)


def test_foreign_memory_is_not_written_past_its_end():
    # a page of poison after the tensor: a kernel that overruns would change it
    memory = bytearray(b"\xab" * 4096)
    x = torch.frombuffer(memory, dtype=torch.float32, count=37)
    x.fill_(1)
    torch.exp(x, out=x)
    x.add_(x).mul_(3).sigmoid_()
    assert set(memory[37 * 4 :]) == {0xAB}
    assert ctypes.sizeof(ctypes.c_float) == x.element_size()


@pytest.mark.parametrize("convert", [int, float, complex])
@pytest.mark.parametrize("size", [(2,), (0,), (1, 3)])
def test_many_elements_are_no_number(convert, size):
    with pytest.raises(ValueError, match="only one element tensors can be converted"):
        convert(torch.ones(size))
    assert convert(torch.full((1, 1), 3.0)) == 3


def test_broadcast_shapes():
    assert torch.broadcast_shapes((2, 1), (3,)) == (2, 3) and torch.broadcast_shapes() == ()
    assert isinstance(torch.broadcast_shapes(2, (1, 2), torch.Size([4, 1, 1])), torch.Size)
    assert torch.broadcast_shapes(2, (1, 2), torch.Size([4, 1, 1])) == (4, 1, 2)
    with pytest.raises(RuntimeError, match="broadcast_shapes"):
        torch.broadcast_shapes((2,), (3,))
    with pytest.raises(RuntimeError, match="negative"):
        torch.broadcast_shapes((2,), (-1,))


def test_every_name_that_is_listed_is_there():
    for name in dir(torch):
        getattr(torch, name)
