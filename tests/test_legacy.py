"""What tensors have from before dtypes, what they answer about kinds that are not there, and rare functions."""

import numpy as np
import pytest

import tessel as torch


def test_new():
    x = torch.ones(2, dtype=torch.float64)
    assert x.new(3, 4).shape == (3, 4) and x.new().shape == (0,) and x.new(torch.Size([2])).dtype == torch.float64
    assert x.new([1, 2]).tolist() == [1.0, 2.0] and x.new([1, 2]).dtype == torch.float64
    assert x.new(x).data_ptr() == x.data_ptr()


def test_functions_of_pythons_numbers():
    x = torch.arange(6.0).reshape(2, 3)
    assert x.T.apply_(lambda v: v + 1).flatten().tolist() == [1, 4, 2, 5, 3, 6]
    x.map_(torch.ones(3), lambda a, b: a * 10 + b)
    assert x.tolist() == [[11, 21, 31], [41, 51, 61]]
    x.map2_(x, torch.zeros(1), lambda a, b, c: a + b + c)
    assert x[0, 0].item() == 22
    with pytest.raises(TypeError, match="requires grad"):
        torch.ones(2, requires_grad=True).apply_(abs)


def test_storages():
    x = torch.arange(6.0).reshape(2, 3)
    s = x[1].storage()
    assert len(s) == 6 and s.tolist() == list(range(6)) and s.dtype == torch.float32 and s.nbytes() == 24
    assert s.data_ptr() == x.data_ptr() and s[4] == 4 and s == x.storage()
    s[0] = 7
    assert x[0, 0].item() == 7
    copy = s.clone()
    copy.fill_(1)
    assert x[0, 1].item() == 1 and x[1, 2].item() == 5 and s.double().dtype == torch.float64
    assert torch.is_storage(s) and torch.is_storage(s.untyped()) and not torch.is_storage(x)
    assert x.storage_type() is type(s) and "FloatStorage" in s.type()
    assert len(torch.TypedStorage(3)) == 3 and torch.TypedStorage([1.0, 2.0]).tolist() == [1, 2]


def test_kinds_that_are_not_there():
    x = torch.ones(2, 3)
    assert x.to_dense() is x and x.pin_memory() is x and x.record_stream(None) is None
    assert not x.is_pinned() and not x.is_sparse and not x.is_quantized and not x.is_meta


def test_shapes_in_the_old_way():
    x = torch.arange(6)
    assert x.resize(2, 3).shape == (2, 3) and x.resize_as(torch.ones(3, 2)).shape == (3, 2)
    with pytest.raises(RuntimeError, match="^resize: "):
        x.resize(4)
    assert x.cfloat().dtype == torch.complex64 and x.cdouble().dtype == torch.complex128


def test_settings():
    assert not torch.are_deterministic_algorithms_enabled() and torch.get_deterministic_debug_mode() == 0
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled() and torch.get_deterministic_debug_mode() == 1
    torch.set_deterministic_debug_mode("default")
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    with pytest.raises(RuntimeError, match="set_deterministic_debug_mode"):
        torch.set_deterministic_debug_mode(5)
    try:
        torch.set_default_tensor_type("torch.DoubleTensor")
        assert torch.ones(1).dtype == torch.float64
        torch.set_default_tensor_type(torch.FloatTensor)
        assert torch.ones(1).dtype == torch.float32
        with pytest.raises(TypeError, match="set_default_tensor_type"):
            torch.set_default_tensor_type("torch.IntTensor")
    finally:
        torch.set_default_dtype(torch.float32)
    for bad in (0, -2):
        with pytest.raises(RuntimeError, match="set_num_threads: expects a positive integer"):
            torch.set_num_threads(bad)
        with pytest.raises(RuntimeError):
            torch.set_num_interop_threads(bad)
    assert torch.get_num_interop_threads() == 1 and torch.set_flush_denormal(True) is False
    torch.set_warn_always(True)
    assert torch.is_warn_always_enabled()
    torch.set_warn_always(False)


def test_typename():
    assert torch.typename(torch.ones(1)).endswith("FloatTensor")
    assert torch.typename(1) == "int" and torch.typename(np.ones).startswith("numpy")
    assert torch.typename(torch.nn.Linear(1, 1)).endswith("Linear")


def test_nodes_have_classes_of_their_names():
    x = torch.ones(2, requires_grad=True)
    y = x + 1
    assert type(y.grad_fn).__name__ == "AddBackward0" == y.grad_fn.name()
    assert isinstance(y.grad_fn, torch._C.Node) and type(y.grad_fn) is type((x + 2).grad_fn)
    assert type(y.grad_fn.next_functions[0][0]).__name__ == "AccumulateGrad"
    assert y.grad_fn is y.grad_fn
    del y
    assert type((x * x).sum().grad_fn).__name__ == "SumBackward0"


def test_lists_of_tensors():
    xs = [torch.arange(3.0), torch.ones(2, 2)]
    assert torch._foreach_add(xs, 1)[0].tolist() == [1, 2, 3]
    assert torch._foreach_add(xs, xs, alpha=2)[1].tolist() == [[3, 3], [3, 3]]
    assert torch._foreach_mul(xs, [2, 3])[1][0, 0].item() == 3
    assert torch._foreach_div(xs, torch.tensor(2.0))[0].tolist() == [0, 0.5, 1]
    torch._foreach_mul_(xs, 4)
    assert xs[0].tolist() == [0, 4, 8] and xs[1][0, 0].item() == 4
    assert [n.item() for n in torch._foreach_norm(xs)] == [pytest.approx(80**0.5), 8]
    torch._foreach_sqrt_(xs)
    torch._foreach_addcdiv_(xs, xs, [torch.ones(3), xs[1]], [0, 1])
    assert xs[1][0, 0].item() == 3 and torch._foreach_maximum(xs, 2.5)[0].tolist()[0] == 2.5
    torch._foreach_lerp_(xs, torch._foreach_neg(xs), 0.5)
    assert all(not x.any() for x in xs)
    torch._foreach_copy_(xs, [torch.ones(3), torch.ones(2, 2)])
    torch._foreach_zero_(xs)
    assert not xs[0].any() and torch._foreach_max(xs)[0].item() == 0
    for bad in (
        lambda: torch._foreach_add([], 1),
        lambda: torch._foreach_add(xs, xs[:1]),
        lambda: torch._foreach_mul_(xs, [1]),
    ):
        with pytest.raises(RuntimeError):
            bad()
    weights = [torch.ones(2, requires_grad=True)]
    torch._foreach_mul(weights, weights)[0].sum().backward()
    assert weights[0].grad.tolist() == [2, 2]


def test_rare_functions():
    i = torch.tensor([[0, 5], [11, 7]])
    for got, wanted in zip(torch.unravel_index(i, (3, 4)), np.unravel_index(i.numpy(), (3, 4))):
        np.testing.assert_array_equal(got.numpy(), wanted)
    with pytest.raises(ValueError, match="unravel_index"):
        torch.unravel_index(torch.ones(2), (3, 4))
    assert torch.range(1, 4).tolist() == [1, 2, 3, 4] and torch.range(1, 2, 0.5).tolist() == [1, 1.5, 2]
    a = np.random.default_rng(0).standard_normal((5, 6))
    x = torch.from_numpy(a)
    for order in (1, 2):
        for got, wanted in zip(torch.gradient(x, spacing=0.5, edge_order=order), np.gradient(a, 0.5, edge_order=order)):
            np.testing.assert_allclose(got.numpy(), wanted)
        at = np.cumsum(np.arange(1.0, 7))
        (got,) = torch.gradient(x, spacing=[torch.from_numpy(at)], dim=1, edge_order=order)
        np.testing.assert_allclose(got.numpy(), np.gradient(a, at, axis=1, edge_order=order))
    np.testing.assert_allclose(torch.frobenius_norm(x, (0, 1)).item(), np.linalg.norm(a))
    np.testing.assert_allclose(torch.nuclear_norm(x).item(), np.linalg.norm(a, "nuc"))
    assert torch.xlogy_(torch.ones(1), torch.ones(1)).item() == 0
