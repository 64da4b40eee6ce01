"""Reverse mode from the user's side: modes, hooks, graphs, in-place writes, custom functions, and what must raise."""

import gc
import re
import resource
import warnings
import weakref

import numpy as np
import pytest

import tessel as torch
from tessel.autograd import Function
from tests import STANDS_IN


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def grid(*shape):
    size = int(np.prod(shape))
    return (torch.arange(size, dtype=torch.float64).reshape(shape) + 1).requires_grad_()


def same(got, wanted):
    np.testing.assert_allclose(got.detach().numpy() if isinstance(got, torch.Tensor) else got, wanted, rtol=1e-12)


# backward and grad


def test_backward_accumulates_into_leaves():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    same(x.grad, [2, 4])
    (3 * x).sum().backward()
    same(x.grad, [5, 7])
    assert x.grad is x.grad
    x.grad = None
    assert x.grad is None


def test_backward_of_a_vector_needs_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="(?i)scalar|one element"):
        (x * x).backward()
    (x * x).backward(torch.tensor([1.0, 10.0], dtype=torch.float64))
    same(x.grad, [2, 40])


def test_gradient_of_the_wrong_shape_raises():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="3"):
        (x * x).backward(torch.ones(3, dtype=torch.float64))


def test_nothing_to_differentiate_raises():
    with pytest.raises(RuntimeError, match="(?i)grad"):
        torch.ones(()).backward()


def test_second_backward_needs_retain_graph():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, [4, 8])
    with pytest.raises(RuntimeError, match="(?i)second time|freed"):
        y.backward()


def test_graphs_without_saved_tensors_run_again():
    x = leaf(1.0, 2.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    same(x.grad, [2, 2])


def test_backward_of_chosen_inputs():
    a, b = leaf(2.0), leaf(3.0)
    (a * b).sum().backward(inputs=[a])
    same(a.grad, [3])
    assert b.grad is None
    middle = a * 2
    (middle * b).sum().backward(inputs=[middle])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(middle.grad, [3])
    with pytest.raises((RuntimeError, ValueError), match="(?i)empty"):
        (a * b).sum().backward(inputs=[])


def test_grad_returns_and_does_not_accumulate():
    a, b = leaf(2.0), leaf(3.0)
    da, db = torch.autograd.grad((a * a * b).sum(), (a, b))
    same(da, [12])
    same(db, [4])
    assert a.grad is None and b.grad is None


def test_grad_of_what_is_not_used():
    a, b = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="(?i)used"):
        torch.autograd.grad(a.sum(), (a, b))
    da, db = torch.autograd.grad(a.sum(), (a, b), allow_unused=True)
    same(da, [1])
    assert db is None
    same(torch.autograd.grad(a.sum(), (a, b), materialize_grads=True)[1], [0])


def test_grad_of_a_tensor_without_gradient_raises():
    a = leaf(2.0)
    with pytest.raises(RuntimeError, match="(?i)require"):
        torch.autograd.grad(a.sum(), torch.ones(1, dtype=torch.float64))


def test_grad_of_an_intermediate():
    x = leaf(1.0, 2.0)
    y = x * x
    z = (y * y).sum()
    same(torch.autograd.grad(z, y)[0], [2, 8])


def test_grad_of_several_outputs():
    x = leaf(1.0, 2.0)
    given = [torch.tensor([1.0, 0.0], dtype=torch.float64), None]
    same(torch.autograd.grad([x * x, (x * 3).sum()], [x], given)[0], [5, 3])


def test_a_diamond_sums_its_paths():
    x = leaf(2.0)
    a, b = x * x, x * 3
    (a * b + a).sum().backward()
    same(x.grad, [9 * 4 + 4])  # 3x^3 + x^2


def test_the_same_tensor_twice():
    x = leaf(3.0)
    (x * x * x).sum().backward()
    same(x.grad, [27])


def test_broadcast_gradients_are_summed():
    a, b = grid(3, 1), grid(1, 4)
    (a * b).sum().backward()
    assert a.grad.shape == (3, 1) and b.grad.shape == (1, 4)
    same(a.grad, np.full((3, 1), 10.0))
    same(b.grad, np.full((1, 4), 6.0))


def test_integers_cannot_require_a_gradient():
    with pytest.raises(RuntimeError, match="(?i)float"):
        torch.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="(?i)float"):
        torch.tensor([1, 2]).requires_grad_()


def test_float_and_half_meet():
    a = torch.ones(3, dtype=torch.float32, requires_grad=True)
    b = torch.ones(3, dtype=torch.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype == torch.float32 and b.grad.dtype == torch.float64


def test_properties_of_the_graph():
    x = leaf(1.0)
    y = x * 2
    assert x.is_leaf and not y.is_leaf
    assert x.grad_fn is None and y.grad_fn is not None
    assert x.requires_grad and y.requires_grad
    assert not y.detach().requires_grad and y.detach().is_leaf
    assert "grad_fn=" in repr(y) and "requires_grad=True" in repr(x)
    with pytest.raises(RuntimeError, match="(?i)leaf"):
        y.requires_grad_(False)


# second order


def test_double_backward():
    x = leaf(2.0, 3.0)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    same(first, [12, 27])
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    same(second, [12, 18])
    (third,) = torch.autograd.grad(second.sum(), x)
    same(third, [6, 6])


def test_double_backward_through_a_saved_output():
    x = leaf(0.3, -0.7)
    for f in (torch.tanh, torch.sigmoid, torch.exp, lambda t: torch.softmax(t, 0), torch.sqrt):
        x = leaf(0.3, 0.7)
        assert torch.autograd.gradgradcheck(f, (x,))


def test_create_graph_accumulates_a_differentiable_gradient():
    x = leaf(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    same(torch.autograd.grad(x.grad.sum(), x)[0], [12])


def test_gradient_penalty():
    w = grid(3, 3)
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    y = torch.tanh(x @ w).sum()
    (dx,) = torch.autograd.grad(y, x, create_graph=True)
    ((dx**2).sum() + y).backward()
    assert w.grad.shape == (3, 3) and bool(torch.isfinite(w.grad).all())


# modes


def test_no_grad():
    x = leaf(1.0)
    with torch.no_grad():
        y = x * 2
        assert not torch.is_grad_enabled()
        with torch.enable_grad():
            assert (x * 2).requires_grad
    assert torch.is_grad_enabled() and not y.requires_grad

    @torch.no_grad()
    def f(x):
        return x * 2

    assert not f(x).requires_grad and f.__name__ == "f"
    with pytest.raises(ZeroDivisionError), torch.no_grad():
        raise ZeroDivisionError
    assert torch.is_grad_enabled()


def test_no_grad_around_a_generator():
    x = leaf(1.0)

    @torch.no_grad()
    def f():
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad

    seen = []
    for flag in f():
        seen += [flag, torch.is_grad_enabled()]
    assert seen == [False, True, False, True]


def test_set_grad_enabled():
    x = leaf(1.0)
    with torch.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with torch.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    assert torch.is_grad_enabled()

    @torch.set_grad_enabled(False)
    def f(x):
        return x * 2

    assert torch.is_grad_enabled() and not f(x).requires_grad


def test_enable_grad_as_a_decorator():
    @torch.enable_grad()
    def f(x):
        return x * 2

    with torch.no_grad():
        assert f(leaf(1.0)).requires_grad


def test_inference_mode():
    x = leaf(1.0)
    with torch.inference_mode():
        assert torch.is_inference_mode_enabled()
        y = x * 2
    assert not torch.is_inference_mode_enabled()
    assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="(?i)inference"):
        (x * y).sum().backward()

    @torch.inference_mode()
    def f(x):
        return x * 2

    assert f(x).is_inference()
    assert not (y.clone()).is_inference()


def test_modes_belong_to_a_thread():
    import threading

    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


# hooks


def test_tensor_hooks():
    x = leaf(1.0, 2.0)
    seen = []
    y = x * 2
    handle = y.register_hook(lambda g: seen.append(g.clone()))
    y.register_hook(lambda g: g * 10)
    (y * y).sum().backward(retain_graph=True)
    same(seen[0], [4, 8])
    same(x.grad, [80, 160])
    handle.remove()
    x.grad = None
    (y * y).sum().backward()
    assert len(seen) == 1
    same(x.grad, [80, 160])


def test_hook_on_a_leaf_runs_before_accumulation():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 5)
    (x * 3).sum().backward()
    (x * 3).sum().backward()
    same(x.grad, [30])


def test_hook_sees_the_whole_gradient_once():
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(float(g)))
    (y * 3 + y * 4).sum().backward()
    assert seen == [7.0]


def test_post_accumulate_hook():
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(float(p.grad)))
    (x * 3).sum().backward()
    (x * 3).sum().backward()
    assert seen == [3.0, 6.0]


def test_hook_on_a_tensor_without_gradient_raises():
    with pytest.raises(RuntimeError, match="(?i)require"):
        torch.ones(1).register_hook(lambda g: g)


def test_an_error_in_a_hook_comes_through():
    x = leaf(1.0)
    y = x * 2

    def broken(g):
        raise KeyError("of the hook")

    y.register_hook(broken)
    with pytest.raises(KeyError, match="of the hook"):
        y.sum().backward()
    x2 = leaf(1.0)
    (x2 * 2).sum().backward()
    same(x2.grad, [2])


def test_retain_grad():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * y).sum().backward()
    same(y.grad, [4, 8])
    same(x.grad, [8, 16])


# custom functions


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 3 * x**2


def test_function():
    x = leaf(2.0, 3.0)
    y = Cube.apply(x)
    assert "Cube" in type(y.grad_fn).__name__ or "Cube" in str(y.grad_fn)
    y.sum().backward()
    same(x.grad, [12, 27])
    assert torch.autograd.gradcheck(Cube.apply, (leaf(0.5, -1.5),))
    assert torch.autograd.gradgradcheck(Cube.apply, (leaf(0.5, -1.5),))


def test_function_with_everything():
    seen = {}

    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, factor, y, flag=True):
            ctx.factor = factor
            ctx.save_for_backward(x, y)
            seen["grad mode"] = torch.is_grad_enabled()
            return x * y * factor, y * 2

        @staticmethod
        def backward(ctx, first, second):
            x, y = ctx.saved_tensors
            seen["needs"] = ctx.needs_input_grad
            return first * y * ctx.factor, None, None, None

    x, y = leaf(1.0, 2.0), torch.tensor([3.0, 4.0], dtype=torch.float64)
    a, b = Scaled.apply(x, 5, y)
    (a.sum() + b.sum()).backward()
    same(x.grad, [15, 20])
    assert seen == {"grad mode": False, "needs": (True, False, False)}


def test_function_with_setup_context():
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, dy):
            return 2 * ctx.saved_tensors[0] * dy

    x = leaf(3.0)
    Square.apply(x).sum().backward()
    same(x.grad, [6])


def test_function_with_an_output_nobody_differentiates():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            values, places = x.sort()
            ctx.mark_non_differentiable(places)
            ctx.save_for_backward(places)
            return values, places

        @staticmethod
        def backward(ctx, dv, dp):
            return torch.zeros_like(dv).scatter(0, ctx.saved_tensors[0], dv)

    x = leaf(3.0, 1.0, 2.0)
    values, places = Sorted.apply(x)
    assert values.requires_grad and not places.requires_grad
    (values * torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)).sum().backward()
    same(x.grad, [100, 1, 10])


def test_function_that_writes_into_its_input():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return x

        @staticmethod
        def backward(ctx, dy):
            return dy * 2

    x = leaf(1.0, 2.0)
    y = x.clone()
    z = Double.apply(y)
    assert z is y
    (z * z).sum().backward()
    same(x.grad, [8, 16])
    with pytest.raises(RuntimeError, match="(?i)leaf"):
        Double.apply(leaf(1.0))


def test_function_gets_zeros_for_outputs_not_used():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            assert a is not None and not bool(b.any())
            return a * 2 + b * 3

    class TwoOrNone(Two):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            assert b is None
            return a * 2

    for f in (Two, TwoOrNone):
        x = leaf(1.0)
        f.apply(x)[0].sum().backward()
        same(x.grad, [2])


def test_function_that_returns_its_input():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, dy):
            return dy * 7

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x
    y.sum().backward()
    same(x.grad, [7])


def test_once_differentiable():
    class Once(Cube):
        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, dy):
            return dy * 3 * ctx.saved_tensors[0] ** 2

    x = leaf(2.0)
    (first,) = torch.autograd.grad(Once.apply(x).square().sum(), x, create_graph=True)
    same(first, [2 * 8 * 12])
    with pytest.raises(RuntimeError, match="(?i)differentiate twice|once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("count", [0, 2])
def test_function_with_the_wrong_number_of_gradients(count):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            return (dy,) * count

    with pytest.raises(RuntimeError, match=r"(?i)gradients"):
        Wrong.apply(leaf(1.0)).sum().backward()


def test_function_with_a_gradient_of_the_wrong_shape():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, dy):
            return torch.ones(5, dtype=torch.float64)

    with pytest.raises(RuntimeError, match="5"):
        Wrong.apply(leaf(1.0, 2.0)).backward()


def test_function_without_gradients_records_nothing():
    assert Cube.apply(torch.ones(2)).grad_fn is None
    with torch.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad


def test_what_a_function_saved_is_freed():
    x = leaf(1.0)
    y = Cube.apply(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="(?i)second time|freed"):
        y.backward()


def test_an_error_in_backward_comes_through():
    class Broken(Cube):
        @staticmethod
        def backward(ctx, dy):
            raise LookupError("of the backward")

    with pytest.raises(LookupError, match="of the backward"):
        Broken.apply(leaf(1.0)).sum().backward()


# in-place writes


def test_inplace_on_an_intermediate():
    x = leaf(1.0, 2.0)
    y = x * 2
    y += 1
    y *= x
    y.sum().backward()  # (2x + 1) x
    same(x.grad, [5, 9])


def test_inplace_write_into_a_view():
    x, y = grid(4), leaf(10.0, 20.0)
    z = x * 2
    z[1:3] += y
    z[1:3] *= 3
    (z * z).sum().backward()
    before = np.array([2, 3 * (4 + 10), 3 * (6 + 20), 8.0])
    same(x.grad, 2 * before * [2, 6, 6, 2])
    same(y.grad, 2 * before[1:3] * 3)


@pytest.mark.parametrize("sizes, strides, offset", [((2, 2), (4, 1), 0), ((2,), (1,), 4)])
def test_inplace_write_into_a_view_that_covers_more_than_its_base(sizes, strides, offset):
    x, y = torch.ones(sizes, requires_grad=True), torch.full((6,), 2.0, requires_grad=True)
    base = torch.full((6,), 3.0).as_strided(sizes, strides, offset).detach()  # a base of its own, with holes around it
    base.copy_(x)
    base.as_strided((6,), (1,), 0).mul_(y)
    torch.full((6,), float("nan"))  # lies, once freed, where the next block comes from
    base.sum().backward()
    same(x.grad, np.full(sizes, 2.0))
    covered = np.zeros(6)
    np.lib.stride_tricks.as_strided(covered[offset:], sizes, [8 * s for s in strides])[...] = 1
    same(y.grad, covered)


def test_assignment_through_a_mask():
    x = grid(4)
    z = x * 2
    z[z > 5] = 0
    (z * z).sum().backward()
    same(x.grad, [8, 16, 0, 0])


def test_assignment_of_a_tensor_that_needs_a_gradient():
    x, v = grid(2, 3), leaf(5.0, 6.0, 7.0)
    z = x * 1
    z[0] = v
    (z * z).sum().backward()
    same(x.grad, [[0, 0, 0], [8, 10, 12]])
    same(v.grad, [10, 12, 14])


def test_assignment_by_indices():
    x, v = grid(5), leaf(7.0, 8.0)
    z = x * 1
    z[torch.tensor([3, 0])] = v
    (z * z).sum().backward()
    same(x.grad, [0, 4, 6, 0, 10])
    same(v.grad, [14, 16])


def test_write_into_zeros_makes_them_part_of_the_graph():
    x = leaf(1.0, 2.0)
    z = torch.zeros(2, 2, dtype=torch.float64)
    z[0] = x
    z[:, 1] = x * 3
    assert z.requires_grad
    z.sum().backward()
    same(x.grad, [4, 3])


def test_chains_of_views():
    x = grid(2, 6)
    z = x * 1
    part = z.reshape(2, 2, 3)[:, 1].t()[1:]
    part.mul_(10)
    z.view(-1)[0] = 100
    (z * z).sum().backward()
    scale = np.ones((2, 6))
    scale[:, 4:] = 10
    wanted = 2 * x.detach().numpy() * scale**2
    wanted[0, 0] = 0
    same(x.grad, wanted)


def test_a_stale_view_sees_the_write():
    x = leaf(1.0, 2.0, 3.0)
    z = x * 1
    view = z[1:]
    z.mul_(5)
    same(view, [10, 15])
    (view * view).sum().backward()
    same(x.grad, [0, 100, 150])


def test_a_view_of_a_view_after_a_write_through_another():
    x = grid(4)
    z = x * 1
    a, b = z[:2], z[1:]
    a.mul_(2)
    same(b, [4, 3, 4])
    b.sum().backward()
    same(x.grad, [0, 2, 1, 1])


def test_the_view_keeps_its_gradient_function():
    x = grid(4)
    z = x * 1
    view = z[:2]
    old = view.grad_fn
    z.add_(1)
    assert view.grad_fn is not None and view.grad_fn is not old
    assert view._base is z and view._is_view()


def test_copy_and_fill_and_zero_end_the_history():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = x * 2
    z.copy_(y)
    z.sum().backward()
    assert x.grad is None or not bool(x.grad.any())
    same(y.grad, [1, 1])
    z = x * 2
    z.zero_()
    z.sum().backward()
    assert x.grad is None or not bool(x.grad.any())


def test_inplace_on_a_leaf_raises():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.add_(1), lambda: x.__setitem__(0, 5.0), lambda: x[:1].mul_(2), lambda: x.zero_()):
        with pytest.raises(RuntimeError, match="(?i)leaf"):
            write()
    same(x, [1, 2])
    with torch.no_grad():
        x.add_(1)
        x[0] = 7
    same(x, [7, 3])
    assert x.requires_grad


def test_inplace_on_split_outputs_raises():
    x = grid(4)
    for parts in (x.clone().split(2), x.clone().chunk(2), x.clone().unbind()):
        with pytest.raises(RuntimeError, match="(?i)(view|split|chunk|unbind|multiple)"):
            parts[0].mul_(2)
    first = torch.ones(4).split(2)[0]
    first.mul_(2)
    same(first, [2, 2])


def test_inplace_on_expanded_memory_raises():
    x = torch.ones(3, 1).expand(3, 4)
    with pytest.raises(RuntimeError, match="(?i)(memory|expand|overlap)"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="(?i)(memory|expand|overlap)"):
        torch.ones(4).expand(3, 4).copy_(torch.ones(3, 4))
    base = torch.ones(5)
    with pytest.raises(RuntimeError, match="(?i)(memory|overlap)"):
        torch.exp(base[:4], out=base[1:])


def test_partial_overlap_of_input_and_target_raises():
    base = torch.arange(5.0)
    with pytest.raises(RuntimeError, match="(?i)(memory|overlap)"):
        base[1:].add_(base[:4])


def test_no_grad_views_of_a_leaf_can_be_written():
    w = grid(2, 2)
    with torch.no_grad():
        w[0].fill_(9)
        w.view(-1)[3] = 5
    same(w, [[9, 9], [3, 5]])
    assert w.is_leaf and w.requires_grad


# saved tensors that were overwritten


def test_overwriting_a_saved_tensor_raises():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="(?i)in-?place|overwritten|modified"):
        z.sum().backward()


@pytest.mark.skipif(STANDS_IN, reason="PyTorch does not name the overwriting op")
def test_the_message_names_both_ops_and_both_lines():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = torch.sin(y)  # the line that saves
    y.mul_(3)  # the line that overwrites
    with pytest.raises(RuntimeError) as raised:
        z.sum().backward()
    source = open(__file__).read().split("\n")
    saving = next(i for i, line in enumerate(source, 1) if line.endswith("# the line that saves"))
    writing = next(i for i, line in enumerate(source, 1) if line.endswith("# the line that overwrites"))
    message = str(raised.value)
    assert re.search(r"\bsin\b", message) and re.search(r"\bmul_", message), message
    assert f"test_autograd.py:{saving}" in message and f"test_autograd.py:{writing}" in message, message


def test_overwriting_through_a_view_or_detach_is_seen():
    for write in (
        lambda y: y[:1].zero_(),
        lambda y: y.detach().zero_(),
        lambda y: y.view(-1).add_(1),
        lambda y: y.__setitem__(0, 3.0),
    ):
        y = leaf(1.0, 2.0) * 2
        z = torch.sin(y)
        with torch.no_grad():
            write(y)
        with pytest.raises(RuntimeError, match="(?i)in-?place|overwritten|modified"):
            z.sum().backward()


def test_overwriting_what_is_not_saved_is_allowed():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y + 1
    y.zero_()
    z.sum().backward()
    same(x.grad, [2, 2])


def test_versions_count_writes():
    x = torch.ones(3)
    first = x._version
    x.add_(1)
    x[0] = 5
    view = x[1:]
    view.mul_(2)
    assert x._version == view._version == first + 3
    assert x.detach()._version == first + 3
    x + 1
    assert x._version == first + 3


# .data and detach


def test_data_is_not_tracked():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = torch.sin(y)
    y.data.mul_(100)  # not seen by the version: PyTorch's known trap, kept
    z.sum().backward()
    assert x.data._version == 0 and not x.data.requires_grad
    same(x.grad, 2 * np.cos(np.array([200.0, 400.0])))


def test_data_of_a_leaf_can_be_written():
    x = leaf(1.0, 2.0)
    x.data -= 0.5
    x.data[0] = 9
    same(x, [9, 1.5])
    assert x.requires_grad and x.is_leaf


def test_assigning_data_keeps_the_tensor():
    x = leaf(1.0, 2.0)
    name = id(x)
    x.data = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64)
    assert id(x) == name and x.shape == (3,) and x.requires_grad and x.is_leaf
    (x * x).sum().backward()
    same(x.grad, [10, 12, 14])


def test_detach_shares_memory_and_version():
    x = leaf(1.0, 2.0)
    y = (x * 2).detach()
    assert not y.requires_grad
    z = torch.ones(2)
    z.detach().add_(1)
    same(z, [2, 2])
    w = x * 3
    w.detach_()
    assert w.is_leaf and not w.requires_grad and w.grad_fn is None


def test_assigning_a_gradient():
    x = leaf(1.0, 2.0)
    x.grad = torch.ones(2, dtype=torch.float64)
    (x * 2).sum().backward()
    same(x.grad, [3, 3])
    with pytest.raises(RuntimeError, match="(?i)(shape|size)"):
        x.grad = torch.ones(3, dtype=torch.float64)
    with pytest.raises((RuntimeError, TypeError), match="(?i)(type|float)"):
        x.grad = torch.ones(2, dtype=torch.float32)
    with pytest.raises(TypeError):
        x.grad = 1.0


def test_accumulation_keeps_the_gradient_tensor():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    same(first, [5, 5])


def test_the_gradient_is_not_the_users_tensor():
    x = leaf(1.0, 2.0)
    given = torch.ones(2, dtype=torch.float64)
    y = x * 1
    y.backward(given)
    x.grad.mul_(100)
    same(given, [1, 1])


# depth and memory


def test_a_million_nodes():
    x = torch.ones((), dtype=torch.float32, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward()
    assert float(x.grad) == 1
    del y
    gc.collect()
    y = x
    for _ in range(1_000_000):
        y = y.neg()
    del y  # freed without having run


def test_the_graph_dies_with_its_output():
    x = torch.ones(1000, 1000, requires_grad=True)

    class Mark:
        pass

    mark = Mark()
    y = (x * 2).exp()
    y.register_hook(lambda g, mark=mark: g)
    alive = weakref.ref(mark)
    del mark, y
    gc.collect()
    assert alive() is None


def test_a_graph_in_a_cycle_with_its_hook_is_collected():
    class Mark:
        pass

    mark = Mark()
    y = leaf(1.0) * 2
    mark.y = y
    y.register_hook(lambda g, mark=mark: g)
    alive = weakref.ref(mark)
    del mark, y
    gc.collect()
    if STANDS_IN:
        pytest.skip("PyTorch's collector does not see it either")
    assert alive() is None


def test_training_steps_do_not_grow():
    w = torch.ones(200, 200, requires_grad=True)

    def step():
        torch.tanh(w @ w).sum().backward()
        w.grad = None

    for _ in range(20):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        step()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8 * 1024, f"{grown} KiB more after 200 steps"


# anomaly detection, checkpoint, checks


def test_anomaly_mode_names_the_forward_line():
    x = leaf(0.0, 1.0)
    with warnings.catch_warnings(record=True) as told, pytest.raises(RuntimeError, match="(?i)nan") as raised:
        warnings.simplefilter("always")
        with torch.autograd.detect_anomaly():
            y = torch.sqrt(x) * 0  # the line of the nan
            (y / y).sum().backward()
    text = str(raised.value) + "".join(str(w.message) for w in told)
    if not STANDS_IN:
        assert "test_autograd.py:" in text, text
    assert not torch.is_anomaly_enabled()
    with torch.autograd.set_detect_anomaly(True):
        assert torch.is_anomaly_enabled()
    (torch.sqrt(leaf(0.0)) * 0).sum().backward()  # nan, and nobody minds


def test_checkpoint():
    from tessel.utils.checkpoint import checkpoint

    runs = []

    def block(x, w):
        runs.append(1)
        return torch.tanh(x @ w)

    for reentrant in (False, True):
        runs.clear()
        x, w = grid(2, 3), (grid(3, 3) / 10).detach().requires_grad_()
        y = checkpoint(block, x, w, use_reentrant=reentrant)
        assert len(runs) == 1
        y.sum().backward()
        assert len(runs) == 2
        x2, w2 = x.detach().requires_grad_(), w.detach().requires_grad_()
        block(x2, w2).sum().backward()
        same(x.grad, x2.grad.numpy())
        same(w.grad, w2.grad.numpy())


def test_checkpoint_draws_the_same_random_numbers():
    from tessel.utils.checkpoint import checkpoint

    x = torch.ones(1000, dtype=torch.float64, requires_grad=True)
    y = checkpoint(lambda t: torch.nn.functional.dropout(t, 0.5), x, use_reentrant=False)
    y.sum().backward()
    same(x.grad, y.detach().numpy())


def test_gradcheck_finds_a_wrong_gradient():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, dy):
            return dy * 2.9 * ctx.saved_tensors[0] ** 2

    assert torch.autograd.gradcheck(torch.sin, (leaf(0.5, 1.5),))
    assert not torch.autograd.gradcheck(Wrong.apply, (leaf(0.5, 1.5),), raise_exception=False)
    with pytest.raises(RuntimeError, match="(?i)jacobian|gradient"):
        torch.autograd.gradcheck(Wrong.apply, (leaf(0.5, 1.5),))


def test_gradgradcheck_finds_a_wrong_second_gradient():
    class Flat(Cube):
        @staticmethod
        def backward(ctx, dy):
            return dy * (3 * ctx.saved_tensors[0] ** 2).detach()

    assert torch.autograd.gradcheck(Flat.apply, (leaf(0.5, 1.5),))
    with pytest.raises(RuntimeError):
        torch.autograd.gradgradcheck(Flat.apply, (leaf(0.5, 1.5),))


def test_gradients_of_a_whole_network():
    x, w, b, v = grid(2, 3), grid(3, 4), grid(4), grid(4, 1)

    def network(x, w, b, v):
        return torch.log_softmax((torch.tanh(x @ w / 10 + b / 10) @ v / 10), 0).sum()

    assert torch.autograd.gradcheck(network, (x, w, b, v))
    assert torch.autograd.gradgradcheck(network, (x, w, b, v))


def test_kinks_have_pytorchs_gradients():
    x = leaf(0.0)
    same(torch.autograd.grad(x.abs().sum(), x)[0], [0])
    same(torch.autograd.grad(torch.relu(x).sum(), x)[0], [0])
    a, b = leaf(1.0), leaf(1.0)
    da, db = torch.autograd.grad(torch.maximum(a, b).sum(), (a, b))
    same(da, [0.5])
    same(db, [0.5])
    t = leaf(2.0, 5.0, 5.0)
    same(torch.autograd.grad(t.max(), t)[0], [0, 0.5, 0.5])
    same(torch.autograd.grad(t.amax(), t)[0], [0, 0.5, 0.5])
    same(torch.autograd.grad(t.max(0)[0], t)[0], [0, 1, 0])
    c = leaf(-1.0, 1.0)
    same(torch.autograd.grad(c.clamp(-1, 1).sum(), c)[0], [1, 1])


def test_where_masks_the_gradient_of_the_other_side():
    x = leaf(-1.0, 4.0)
    y = torch.where(x > 0, x * 2, torch.zeros_like(x))
    same(torch.autograd.grad(y.sum(), x)[0], [0, 2])


# what a pass runs, and what it leaves alone


def test_asking_for_an_intermediate_does_not_use_up_what_lies_below():
    x = leaf(1.0, 2.0)
    y = x * x
    torch.autograd.grad((y * y).sum(), y)
    y.sum().backward()
    same(x.grad, [2, 4])


def test_hooks_of_what_is_not_asked_for_do_not_run():
    a, b = leaf(2.0), leaf(3.0)
    seen = []
    a.register_hook(lambda g: seen.append("a"))
    b.register_hook(lambda g: seen.append("b"))
    (a * b).sum().backward(inputs=[a])
    assert seen == ["a"] and b.grad is None


def test_views_joins_and_means_run_again():
    x = leaf(1.0, 2.0)
    y = torch.cat([x.view(2, 1).expand(2, 3).t().reshape(-1), x])[1:3].sum() + x.mean()
    y.backward()
    y.backward()
    same(x.grad, [3, 3])


def test_a_function_that_saved_nothing_runs_again():
    class Triple(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.factor = 3
            return x * 3

        @staticmethod
        def backward(ctx, dy):
            return dy * ctx.factor

    x = leaf(1.0)
    y = Triple.apply(x).sum()
    y.backward()
    y.backward()
    same(x.grad, [6])


# hooks that come and go


def test_a_hook_that_removes_itself_disturbs_no_other():
    y = leaf(1.0) * 2
    seen = []

    def once(g):
        seen.append("once")
        handle.remove()

    handle = y.register_hook(once)
    y.register_hook(lambda g: seen.append("always"))
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert seen == ["once", "always", "always"]


def test_hooks_stay_with_the_value_and_retain_grad_with_the_tensor():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    handle = y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.retain_grad()
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward(retain_graph=True)
    assert seen == [("after", [1, 1]), ("before", [3, 3])]
    same(y.grad, [1, 1])
    handle.remove()
    seen.clear()
    y.sum().backward()
    assert seen == [("after", [1, 1])]


def test_retained_gradients_of_a_base_and_its_written_view():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    view = y[:1]
    view.retain_grad()
    view.mul_(3)
    (y * y).sum().backward()
    same(y.grad, [12, 8])
    same(x.grad, [72, 16])


def test_the_hooks_of_a_leaf_outlive_it():
    seen = []

    def loss():
        w = leaf(2.0)
        w.register_hook(lambda g: seen.append(g.tolist()))
        return (w * 3).sum()

    loss().backward()
    assert seen == [[3]]


def test_hooks_of_nodes():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    handle = y.grad_fn.register_hook(lambda dx, dy: seen.append((dx[0].tolist(), dy[0].tolist())))
    y.grad_fn.register_prehook(lambda dy: (dy[0] * 10,))
    y.sum().backward(retain_graph=True)
    handle.remove()
    y.sum().backward()
    assert seen == [([20, 20], [10, 10])]
    same(x.grad, [40, 40])


def test_hooks_of_an_accumulator():
    x = leaf(1.0, 2.0)
    seen = []
    accumulator = (x * 1).grad_fn.next_functions[0][0]
    assert accumulator.variable is x
    accumulator.register_hook(lambda dx, dy: seen.append(("after", len(dx), x.grad is not None)))
    accumulator.register_prehook(lambda dy: seen.append("before"))
    (x * 2).sum().backward()
    assert seen == ["before", ("after", 0, True)]


def test_a_parameter_in_a_cycle_with_its_hook_is_collected():
    class Holder:
        pass

    holder = Holder()
    holder.p = leaf(1.0)
    holder.p.register_hook(lambda g, holder=holder: g)
    alive = weakref.ref(holder)
    del holder
    gc.collect()
    assert alive() is None


def test_classes_of_tensors_survive_the_collector():
    for _ in range(30):

        class Named(torch.Tensor):
            def name(self):
                return "named"

        many = [torch.ones(1).as_subclass(Named) for _ in range(5)]
        gc.collect()
        assert all(x.name() == "named" for x in many)


def test_a_dying_tensor_is_whole():
    seen = []

    class Told(torch.Tensor):
        def __del__(self):
            seen.append(tuple(self.shape))

    x = torch.ones(2, 3).as_subclass(Told)
    y = leaf(1.0) * x.double().sum() + x.sum()
    del x, y
    gc.collect()
    assert (2, 3) in seen


# in-place writes, differentiated twice


@pytest.mark.parametrize("write", ["tanh_", "exp_", "sin_"])
def test_second_order_through_writes_into_views(write):
    def f(x):
        y = (x * 1).t()
        y[:, 1].add_(x[0])
        y[1:].mul_(2)
        getattr(y[0], write)()
        return y * y

    x = torch.tensor([[0.3, 0.7], [0.1, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(f, (x,))
    assert torch.autograd.gradgradcheck(f, (x,))


@pytest.mark.skipif(STANDS_IN, reason="PyTorch raises in backward instead of keeping the old values")
def test_an_overwritten_factor_keeps_its_history():
    x, w = leaf(2.0), leaf(3.0)
    y = x * 1
    y.mul_(w)
    (dw,) = torch.autograd.grad(y.sum(), w, create_graph=True)
    same(dw, [2])
    same(torch.autograd.grad(dw.sum(), x)[0], [1])
    z = leaf(3.0) * 1
    u = z.clone()
    u.mul_(u)
    same(torch.autograd.grad(u.sum(), z)[0], [6])
    v = z * 1
    v.mul_(v.detach())
    same(torch.autograd.grad(v.sum(), z)[0], [3])


@pytest.mark.skipif(
    STANDS_IN, reason="PyTorch loses the gradient outside the view unless the view is the first argument"
)
def test_a_function_that_writes_into_a_view():
    class Scale(Function):
        @staticmethod
        def forward(ctx, factor, x):
            ctx.mark_dirty(x)
            ctx.save_for_backward(factor)
            return x.mul_(factor)

        @staticmethod
        def backward(ctx, dy):
            return None, dy * ctx.saved_tensors[0]

    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    Scale.apply(torch.tensor([3.0, 4.0], dtype=torch.float64), y[:2])
    y.sum().backward()
    same(x.grad, [3, 4, 1])


# saved tensors given away


def test_saved_tensor_hooks():
    packed, unpacked = [], []

    def pack(t):
        packed.append(tuple(t.shape))
        return t.numpy().copy() if not t.requires_grad else t

    def unpack(kept):
        unpacked.append(1)
        return kept if isinstance(kept, torch.Tensor) else torch.from_numpy(kept)

    x, w = leaf(0.5, 0.25), leaf(2.0, 3.0)
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (x * w).exp()
    (y * 1).sum().backward()
    same(x.grad, np.exp([1, 0.75]) * [2, 3])
    assert len(packed) == 3 and len(unpacked) == 3
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x**3
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    same(torch.autograd.grad(first.sum(), x)[0], [3, 1.5])
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        with pytest.raises(RuntimeError, match="not here"), torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            pass


def test_inference_mode_wins_over_enable_grad():
    x = leaf(1.0)
    with torch.inference_mode(), torch.enable_grad():
        assert not (x * 2).requires_grad
    with torch.inference_mode(), torch.inference_mode(False):
        assert (x * 2).requires_grad


def test_gradients_lie_in_memory_as_their_leaves():
    x = torch.ones(2, 3, requires_grad=True)
    (x.t() * torch.ones(3, 2)).sum().backward()
    assert x.grad.stride() == (3, 1)
    y = torch.ones(2, 3).t().requires_grad_()
    (y * 2).sum().backward()
    assert y.grad.stride() == y.stride()


def test_jacobians_and_hessians():
    from tessel.autograd.functional import hessian, hvp, jacobian, jvp, vjp

    x, v = leaf(1.0, 2.0), torch.tensor([1.0, 10.0], dtype=torch.float64)
    same(jacobian(lambda t: t * t, x), [[2, 0], [0, 4]])
    same(hessian(lambda t: (t**3).sum(), x), [[6, 0], [0, 12]])
    same(vjp(lambda t: t * t, x, v)[1], [2, 40])
    same(jvp(lambda t: t * t, x, v)[1], [2, 40])
    same(hvp(lambda t: (t**3).sum(), x, v)[1], [6, 120])
    pair = jacobian(lambda a, b: (a * b, a + 1), (x, v))
    same(pair[0][1], [[1, 0], [0, 2]])
    same(pair[1][1], np.zeros((2, 2)))
