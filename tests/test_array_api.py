"""The array API standard's namespace, where it differs from PyTorch's: promotion, names, defaults."""

import numpy as np
import pytest

import tessel
import tessel.array_api as xp

X = np.random.default_rng(0).standard_normal((3, 4))


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), b, rtol=1e-12, atol=1e-12)


def test_a_tensor_leads_to_the_namespace():
    assert tessel.ones(2).__array_namespace__() is xp
    assert tessel.ones(2).__array_namespace__(api_version="2023.12") is xp
    with pytest.raises(ValueError, match="2024.12"):
        tessel.ones(2).__array_namespace__(api_version="2030.12")
    assert xp.__array_api_version__ == "2024.12"


def test_arrays_without_dimensions_promote():
    x, wide = xp.ones(3, dtype=xp.float32), xp.asarray(1.5, dtype=xp.float64)
    assert (x + wide).dtype == xp.float32  # PyTorch's way
    assert xp.add(x, wide).dtype == xp.float64 == xp.result_type(x, wide)
    assert xp.where(x > 0, x, wide).dtype == xp.float64
    assert xp.add(x, 1.5).dtype == xp.float32 and xp.result_type(x, 1.5) == xp.float32
    assert xp.maximum(xp.asarray([1], dtype=xp.int8), xp.asarray(3, dtype=xp.int64)).dtype == xp.int64
    assert not xp.can_cast(xp.float64, xp.float32) and xp.can_cast(xp.int8, xp.int16)


def test_dtypes_are_of_kinds():
    assert xp.isdtype(xp.uint8, "unsigned integer") and xp.isdtype(xp.int8, ("bool", "integral"))
    assert not xp.isdtype(xp.float32, "complex floating")
    with pytest.raises(ValueError, match="isdtype: unrecognized"):
        xp.isdtype(xp.int8, "int")
    info = xp.__array_namespace_info__()
    assert info.dtypes(kind="real floating") == {"float32": xp.float32, "float64": xp.float64}
    assert info.default_dtypes()["integral"] == xp.int64 and info.capabilities()["boolean indexing"]


def test_reductions():
    x = xp.asarray(X)
    close(xp.sum(x, axis=(0, 1), keepdims=True), X.sum((0, 1), keepdims=True))
    close(xp.prod(x, axis=(0, 1)), X.prod((0, 1)))
    close(xp.std(x, correction=1.0, axis=1), X.std(1, ddof=1))
    assert xp.sum(xp.ones(3, dtype=xp.int8)).dtype == xp.int64
    assert xp.argmax(x, keepdims=True).shape == (1, 1)
    close(xp.cumulative_sum(x, axis=1, include_initial=True)[:, 0], np.zeros(3))


def test_form():
    x = xp.asarray(X)
    close(xp.concat([x, x], axis=None), np.concatenate([X, X], None))
    close(xp.permute_dims(x, (1, 0)), X.T)
    close(xp.eye(2, 3, k=1), np.eye(2, 3, k=1))
    close(xp.linspace(0, 1, 4, endpoint=False), np.linspace(0, 1, 4, endpoint=False))
    with pytest.raises(ValueError, match="squeeze"):
        xp.squeeze(x, 0)
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray([1.0], copy=False)
    values, places, inverse, counts = xp.unique_all(xp.asarray([3, 1, 3, 2]))
    assert values.tolist() == [1, 2, 3] and places.tolist() == [1, 3, 0]
    assert inverse.tolist() == [2, 0, 2, 1] and counts.tolist() == [1, 1, 2]


def test_linalg():
    x = xp.asarray(X[:, :3] @ X[:, :3].T + np.eye(3))
    close(xp.linalg.solve(x, xp.asarray(X)), np.linalg.solve(np.asarray(x), X))
    close(xp.linalg.qr(x).R, np.linalg.qr(np.asarray(x)).R)
    close(xp.linalg.vector_norm(x, ord=1), np.abs(np.asarray(x)).sum())
