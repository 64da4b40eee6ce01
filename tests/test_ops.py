"""Every spec, from every side: values, dtypes, layouts, gradients of both orders, in-place, out=, errors, threads."""

import itertools
import re
import warnings

import numpy as np
import pytest

import tessel as torch
from tests import STANDS_IN
from tests.specs import FLOATS, Case, Spec, array, every_spec, exists, found, held, replaced

SPECS = every_spec()
STEP = 1e-6  # of a finite difference: truncation and rounding both stay near 1e-10


def of_specs(wanted=lambda spec: True):
    chosen = [spec for spec in SPECS if wanted(spec)]
    return pytest.mark.parametrize("spec", chosen, ids=[spec.name for spec in chosen])


@pytest.fixture(autouse=True)
def here(request):
    """An op that is not there is told once, by test_every_spec_names_an_op, and skipped elsewhere."""
    spec = request.node.callspec.params.get("spec") if hasattr(request.node, "callspec") else None
    if spec is not None and not exists(torch, spec):
        pytest.skip(f"{spec.name} is not there")


@pytest.fixture(autouse=True)
def without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_every_spec_names_an_op():
    absent = [spec.name for spec in SPECS if not exists(torch, spec)]
    assert not absent, f"{len(absent)} ops with a spec are not there: {' '.join(absent)}"


def test_names_are_said_once():
    names = [spec.name for spec in SPECS]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


def tensors_in(value) -> list:
    return found(value, torch.Tensor)


def outputs(result) -> list:
    """The tensors (and plain numbers) of a result, in order."""
    return list(itertools.chain(*map(outputs, result))) if isinstance(result, (tuple, list)) else [result]


def bits(t) -> tuple:
    """What two results must share to be the same bit for bit."""
    if not isinstance(t, torch.Tensor):
        return (t,)
    plain = t.detach().contiguous()
    integer = {torch.bfloat16: torch.int16, torch.float16: torch.int16}.get(plain.dtype)
    return str(t.dtype), tuple(t.shape), (plain.view(integer) if integer else plain).numpy().tobytes()


def check_values(spec: Spec, case: Case, dtype: str, layout: str = "contiguous"):
    args, kwargs = case.tensors(torch, dtype, layout)
    before = [bits(t) for t in tensors_in((args, kwargs))]
    got = outputs(spec.function(torch)(*args, **kwargs))
    assert before == [bits(t) for t in tensors_in((args, kwargs))], "an input was modified"
    numpy_args, numpy_kwargs = case.arrays(dtype, layout)
    wanted = spec.reference(*numpy_args, **numpy_kwargs)
    wanted = list(wanted) if isinstance(wanted, (tuple, list)) else [wanted]
    assert len(got) == len(wanted), f"{len(got)} outputs, expected {len(wanted)}"
    for i, (one, expected) in enumerate(zip(got, wanted)):
        where = f"{spec.name}({case}) {dtype} {layout} output {i}"
        check_value(one, expected, spec.expected_dtype(dtype, i), spec, where)


def check_value(got, wanted, dtype, spec, where):
    if not isinstance(got, torch.Tensor):
        assert got == wanted, f"{where}: {got} is not {wanted}"
        return
    assert tuple(got.shape) == np.shape(wanted), f"{where}: shape {tuple(got.shape)}, expected {np.shape(wanted)}"
    if dtype is not None:
        assert got.dtype == getattr(torch, dtype), f"{where}: {got.dtype}, expected {dtype}"
    wanted = np.asarray(wanted)
    if got.is_floating_point():
        dtype = str(got.dtype).split(".")[-1]
        wanted = held(wanted.astype(np.float64), dtype)
        np.testing.assert_allclose(array(torch, got), wanted, *spec.close_enough(dtype), err_msg=where)
    else:
        np.testing.assert_array_equal(array(torch, got), wanted, err_msg=where)


@of_specs(lambda s: s.reference)
def test_values(spec):
    for case, dtype in itertools.product(spec.cases, spec.dtypes[:2]):
        if case.suits(dtype):
            check_values(spec, case, dtype)


@of_specs(lambda s: s.reference)
def test_dtypes(spec):
    for dtype in spec.dtypes[2:]:
        for case in spec.cases:
            if case.suits(dtype):
                check_values(spec, case, dtype)


@of_specs(lambda s: s.reference and s.layouts)
def test_layouts(spec):
    for case, layout in itertools.product(spec.cases, spec.layouts):
        if any(i.shape for i in case.inputs) and case.suits(spec.dtypes[0]):
            check_values(spec, case, spec.dtypes[0], layout)


@of_specs(lambda s: s.reference and s.layouts and len(s.dtypes) > 2)
def test_layouts_of_other_dtypes(spec):
    for dtype, layout in itertools.product(spec.dtypes[1:], spec.layouts):
        if case := next((c for c in spec.cases if c.suits(dtype) and any(i.shape for i in c.inputs)), None):
            check_values(spec, case, dtype, layout)


@of_specs(lambda s: s.method and s.reference)
def test_method_equals_function(spec):
    for case in spec.cases:
        args, kwargs = case.tensors(torch, spec.dtypes[0])
        if args and isinstance(args[0], torch.Tensor):
            wanted = spec.function(torch)(*args, **kwargs)
            got = getattr(args[0], spec.short)(*args[1:], **kwargs)
            assert list(map(bits, outputs(got))) == list(map(bits, outputs(wanted)))


@of_specs(lambda s: s.inplace)
def test_inplace_equals_function(spec):
    compared = 0
    for case, layout in itertools.product(spec.cases, ("contiguous", "transposed", "stepped")):
        args, kwargs = case.tensors(torch, spec.dtypes[0], layout)
        if not args or not isinstance(args[0], torch.Tensor):
            continue
        wanted = spec.function(torch)(*args, **kwargs)
        if wanted.shape != args[0].shape:
            with pytest.raises(RuntimeError):
                getattr(args[0], spec.short + "_")(*args[1:], **kwargs)
            continue
        address = args[0].data_ptr()
        got = getattr(args[0], spec.short + "_")(*args[1:], **kwargs)
        assert got is args[0] and got.data_ptr() == address, f"{spec.short}_({case}) returned another tensor"
        assert bits(got) == bits(wanted.to(got.dtype)), f"{spec.short}_({case}) {layout}"
        compared += 1
    assert compared, "no case could be done in place"


@of_specs(lambda s: s.inplace and s.differentiable)
def test_gradient_through_inplace(spec):
    case = next(c for c in spec.cases if c.args and getattr(c.args[0], "differentiable", False))
    args, kwargs = case.tensors(torch, "float64")
    if spec.function(torch)(*args, **kwargs).shape != args[0].shape:
        return
    gradients = []
    for call in (spec.function(torch), lambda x, *a, **k: getattr(x.clone(), spec.short + "_")(*a, **k)):
        leaf = args[0].detach().requires_grad_()
        y = call(leaf, *args[1:], **kwargs)
        try:
            gradients.append(torch.autograd.grad(y, leaf, torch.ones_like(y))[0])
        except NotImplementedError:
            assert STANDS_IN, "only PyTorch may lack it"
            pytest.skip("PyTorch does not differentiate it in place")
    assert bits(gradients[0]) == bits(gradients[1])


@of_specs(lambda s: s.out)
def test_out_equals_function(spec):
    for case in spec.cases:
        args, kwargs = case.tensors(torch, spec.dtypes[0])
        if not tensors_in((args, kwargs)):
            continue
        wanted = spec.function(torch)(*args, **kwargs)
        for place in (lambda t: torch.empty_like(t), lambda t: torch.empty(0, dtype=t.dtype)):
            out = replaced(tuple(wanted), torch.Tensor, place) if isinstance(wanted, tuple) else place(wanted)
            got = spec.function(torch)(*args, **kwargs, out=out)
            for one, kept in zip(outputs(got), outputs(out)):
                assert one is kept, "out= was not what came back"
            assert list(map(bits, outputs(out))) == list(map(bits, outputs(wanted)))


@of_specs(lambda s: s.view)
def test_views_share_memory(spec):
    for case in spec.cases:
        args, kwargs = case.tensors(torch, spec.dtypes[0])
        x = tensors_in(args)[0]
        storage = x.untyped_storage().data_ptr()
        for y in tensors_in(outputs(spec.function(torch)(*args, **kwargs))):
            assert y.numel() == 0 or y.untyped_storage().data_ptr() == storage, f"{spec.name}({case}) copied"


@of_specs(lambda s: s.errors)
def test_errors(spec):
    for wrong in spec.errors:
        args, kwargs = wrong.case.tensors(torch, spec.dtypes[0])
        with pytest.raises(wrong.raises) as raised:
            spec.function(torch)(*args, **kwargs)
        message = str(raised.value)
        if not STANDS_IN:
            op = "index" if spec.short in ("__getitem__", "__setitem__") else re.escape(spec.short)
            pattern = re.compile(rf"{op}_?(\(\))?: .*{wrong.match.removeprefix('(?i)')}", re.IGNORECASE)
            assert pattern.match(message), f"{spec.name}({wrong.case}): {message}"
            assert "\n" not in message.strip(), message


@of_specs(lambda s: s.stochastic)
def test_same_seed_same_values(spec):
    for case in spec.cases:
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            args, kwargs = case.tensors(torch, spec.dtypes[0])
            drawn.append(list(map(bits, outputs(spec.function(torch)(*args, **kwargs)))))
        assert drawn[0] == drawn[1]


class Differentiated:
    """A case as a function of its float64 inputs, folded with fixed cotangents into one number."""

    def __init__(self, spec: Spec, case: Case, dtype="float64", layout="contiguous"):
        self.function = spec.function(torch)
        self.args, self.kwargs = case.tensors(torch, dtype, layout)
        wanted = [i.differentiable and i.dtype is None for i in case.inputs]
        every = tensors_in((self.args, self.kwargs))
        self.leaves = [t.detach().clone() if layout == "contiguous" else t for t, yes in zip(every, wanted) if yes]
        self.places = [id(t) for t, yes in zip(every, wanted) if yes]
        generator = np.random.default_rng(7)
        self.cotangents = [
            torch.from_numpy(np.asarray(generator.uniform(-1, 1, tuple(y.shape)))).to(y.dtype)
            for y in self.results(self.leaves)
        ]

    def results(self, leaves) -> list:
        given = dict(zip(self.places, leaves))
        args, kwargs = replaced((self.args, self.kwargs), torch.Tensor, lambda t: given.get(id(t), t))
        floats = lambda y: isinstance(y, torch.Tensor) and y.is_floating_point()
        return list(filter(floats, outputs(self.function(*args, **kwargs))))

    def number(self, leaves, cotangents):
        return sum((y * c).sum() for y, c in zip(self.results(leaves), cotangents))

    def gradients(self, leaves, cotangents, create_graph=False) -> list:
        """One gradient for each leaf, zeros where nothing depends on it."""
        number = self.number(leaves, cotangents)
        if not isinstance(number, torch.Tensor) or not number.requires_grad:
            return [torch.zeros_like(x) for x in leaves]
        found = torch.autograd.grad(number, leaves, create_graph=create_graph, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found)]


def finite(f: Differentiated) -> bool:
    return all(y.isfinite().all() for y in f.results(f.leaves))


def with_gradient(tensors) -> list:
    return [t.detach().requires_grad_() for t in tensors]


def differences(number, point: list, directions: list) -> list:
    """The derivative of number at point along each direction, by central differences."""
    moved = lambda way, by: [p + by * d if d is not None else p for p, d in zip(point, way)]
    return [(number(moved(way, STEP)) - number(moved(way, -STEP))) / (2 * STEP) for way in directions]


def directions(point: list, limit: int) -> list:
    """Every coordinate in turn; beyond limit of them, so many random directions."""
    sizes = [p.numel() for p in point]
    if sum(sizes) > limit:
        generator = np.random.default_rng(3)
        return [
            [torch.from_numpy(np.asarray(generator.uniform(-1, 1, tuple(p.shape)))) for p in point] for _ in range(8)
        ]
    ways = []
    for i, p in enumerate(point):
        for j in range(sizes[i]):
            one = np.zeros(tuple(p.shape))
            one.reshape(-1)[j] = 1
            ways.append([torch.from_numpy(one) if k == i else None for k in range(len(point))])
    return ways


def along(gradients: list, way: list) -> float:
    return sum(float((g * d).sum()) for g, d in zip(gradients, way) if d is not None)


def differentiable_cases(spec: Spec):
    for case in spec.cases:
        finite = all(np.isfinite(i.values).all() for i in case.inputs if i.values is not None and i.dtype is None)
        given = any(i.values is not None and i.dtype is None for i in case.inputs)
        if finite and not given and any(i.differentiable and i.dtype is None and 0 not in i.shape for i in case.inputs):
            yield case


differentiable = of_specs(lambda s: s.differentiable and not s.stochastic and list(differentiable_cases(s)))


@differentiable
def test_gradient(spec):
    for case in differentiable_cases(spec):
        check_gradient(Differentiated(spec, case), f"{spec.name}({case})")


def check_gradient(f, where):
    if not finite(f):
        return
    leaves = with_gradient(f.leaves)
    assert f.number(leaves, f.cotangents).requires_grad, f"{where} has no gradient"
    gradients = f.gradients(leaves, f.cotangents)
    for x, g in zip(leaves, gradients):
        assert g.shape == x.shape and g.dtype == x.dtype
    ways = directions(f.leaves, 40)
    with torch.no_grad():
        numbers = differences(lambda p: float(f.number(p, f.cotangents)), f.leaves, ways)
    np.testing.assert_allclose([along(gradients, way) for way in ways], numbers, rtol=1e-5, atol=1e-6, err_msg=where)


@of_specs(lambda s: s.differentiable and s.twice and not s.stochastic and list(differentiable_cases(s)))
def test_second_gradient(spec):
    for case in [c for c in differentiable_cases(spec) if all(0 not in i.shape for i in c.inputs)][:4]:
        check_second_gradient(Differentiated(spec, case), f"{spec.name}({case})")


def check_second_gradient(f, where):
    if not finite(f):
        return
    many = len(f.leaves)
    generator = np.random.default_rng(11)
    pull = [torch.from_numpy(np.asarray(generator.uniform(-1, 1, tuple(x.shape)))) for x in f.leaves]

    def slope(point):
        """The first gradient folded with pull: a number that depends on the inputs and on the cotangents."""
        first = f.gradients(point[:many], point[many:], create_graph=True)
        return sum((g * v).sum() for g, v in zip(first, pull))

    point = with_gradient(f.leaves + f.cotangents)
    number = slope(point)
    second = [None] * len(point)
    if number.requires_grad:
        second = torch.autograd.grad(number, point, allow_unused=True)
    second = [torch.zeros_like(p) if g is None else g for p, g in zip(point, second)]
    ways = directions(f.leaves + f.cotangents, 12)
    numbers = differences(lambda p: float(slope(with_gradient(p))), f.leaves + f.cotangents, ways)
    np.testing.assert_allclose([along(second, way) for way in ways], numbers, rtol=1e-5, atol=1e-6, err_msg=where)


@differentiable
def test_gradient_of_other_layouts(spec):
    for case, layout in itertools.product(list(differentiable_cases(spec))[:3], spec.layouts):
        plain, laid = Differentiated(spec, case, layout="contiguous"), Differentiated(spec, case, layout=layout)
        if layout == "expanded":  # the values differ: the same values without the layout
            plain.leaves = [x.contiguous() for x in laid.leaves]
            plain.args, plain.kwargs, plain.places = laid.args, laid.kwargs, laid.places
            plain.cotangents = laid.cotangents
        wanted = plain.gradients(with_gradient(plain.leaves), plain.cotangents)
        got = laid.gradients(with_gradient(laid.leaves), laid.cotangents)
        for g, w in zip(got, wanted):
            np.testing.assert_allclose(
                array(torch, g), array(torch, w), rtol=1e-9, atol=1e-9, err_msg=f"{spec.name}({case}) {layout}"
            )


@differentiable
def test_gradient_of_other_dtypes(spec):
    """The gradient in each float dtype against float64's, and of the input's own dtype."""
    for case, dtype in itertools.product(list(differentiable_cases(spec))[:2], spec.dtypes):
        if dtype not in FLOATS or dtype == "float64":
            continue
        f = Differentiated(spec, case, dtype)
        if len(f.results(f.leaves)) == 0:
            continue
        gradients = f.gradients(with_gradient(f.leaves), f.cotangents)
        wide = Differentiated(spec, case)
        wide.args, wide.kwargs = replaced(
            (f.args, f.kwargs), torch.Tensor, lambda t: t.double() if t.is_floating_point() else t
        )
        every = tensors_in((wide.args, wide.kwargs))
        narrow = tensors_in((f.args, f.kwargs))
        wide.places = [id(w) for w, n in zip(every, narrow) if id(n) in f.places]
        wanted = wide.gradients(with_gradient([x.double() for x in f.leaves]), [c.double() for c in f.cotangents])
        rtol, atol = {"float32": (1e-4, 2e-5), "float16": (1e-2, 1e-2), "bfloat16": (6e-2, 6e-2)}[dtype]
        for x, g, w in zip(f.leaves, gradients, wanted):
            assert g.dtype == x.dtype
            scale = max(1.0, float(w.abs().max())) if w.numel() else 1.0
            np.testing.assert_allclose(
                array(torch, g), array(torch, w), rtol, atol * scale, err_msg=f"{spec.name}({case}) {dtype}"
            )


@pytest.mark.skipif(STANDS_IN, reason="PyTorch does not promise equal bits at every thread count")
@of_specs(lambda s: s.large)
def test_same_bits_at_any_thread_count(spec, threads):
    case = spec.large
    dtypes = [d for d in ("float32", "bfloat16", "int64") if d in spec.dtypes] or spec.dtypes[:1]
    for dtype in dtypes:
        seen = []
        for count in (1, 2, 3):
            threads(count)
            torch.manual_seed(5)
            args, kwargs = case.tensors(torch, dtype)
            results = outputs(spec.function(torch)(*args, **kwargs))
            if spec.differentiable and dtype == "float32" and not spec.stochastic:
                f = Differentiated(spec, case, dtype)
                results = results + f.gradients(with_gradient(f.leaves), f.cotangents)
            seen.append(list(map(bits, results)))
        assert seen[0] == seen[1] == seen[2], f"{spec.name}({case}) {dtype}"
