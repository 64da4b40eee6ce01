"""Runs the entries of PyTorch's operator database on both engines and keeps the score."""

import functools
import itertools
import os
import pickle
import signal
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db

import tessel

from .exchange import Untranslatable, copy, of_tests, plain, to_tessel, to_torch, transplanted

# their memory is not initialised: only shape and dtype can be compared
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"}
UNDEFINED |= {"linalg.svd", "svd"}  # nor are the signs of singular vectors
# as little as those of these results' vectors, whose magnitudes are compared: name -> which results
VECTORS = {"linalg.eigh": (1,), "linalg.eig": (1,)}
# they give the index of an element among equals, and PyTorch leaves open of which: what it points at is compared
TIES = {"kthvalue", "mode", "topk", "sort", "argsort"}
# PyTorch's own gradient is false: as_strided_scatter passes on what was overwritten and holds back the rest, ctc_loss
# gives that of a softmax before it (behind a log_softmax both come to the same), the others give one to the triangle
# that they do not read
FALSE_GRADIENTS = {"as_strided_scatter", "cholesky_inverse", "cholesky_solve", "nn.functional.ctc_loss"}
# its 16-bit exponentials of large matrices are NaN
FALSE_16_BIT = {"matrix_exp"}
# what PyTorch refuses and tessel does, by the words of the refusal
DONE_HERE = ("padding='same' is not supported for strided convolutions",)
# PyTorch's own of these are good to 1e-7 in float64; the specs compare them with integrals
FALSE_FLOAT64 = {f"special.bessel_{kind}{n}" for kind in "jy" for n in (0, 1)}
# long sums of products: rounding is of what was added up, and not of what is left of it where the terms cancel
SUMS = {f"nn.functional.conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)}
INT_SAMPLES = 12
# as many of the first samples once more, lying in memory with holes
STRIDED_SAMPLES = 4
# of these dtypes only the values of the first samples are compared
OTHER_DTYPES = (torch.float64, torch.bfloat16, torch.float16)
OTHER_DTYPES += (torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
OTHER_SAMPLES = 6
# where PyTorch takes them; an op that says that it does not is skipped
COMPLEX = torch.complex64
SECONDS_PER_OP = 120
ROUNDING = {
    torch.float32: 1.3e-6,
    torch.float16: 1e-3,
    torch.bfloat16: 8e-3,
    torch.complex64: 1.3e-6,
}  # what a result of that dtype may be off

NAMES = sorted({op.name for op in op_db})


@dataclass
class Score:
    """What became of one name's samples."""

    passed: Counter = field(default_factory=Counter)  # by what was compared: values, gradients, inplace, out, errors
    failed: list = field(default_factory=list)  # (what, which sample, message)
    skipped: Counter = field(default_factory=Counter)  # by reason
    stochastic: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.stochastic += other.stochastic


def there(name: str) -> bool:
    """Whether tessel has something of that dotted name."""
    at = tessel
    for part in name.split("."):
        at = getattr(at, part, None)
        if at is None or isinstance(at, tessel.dtype):  # cfloat is a dtype, but not yet a method
            return "." not in name and (hasattr(tessel.Tensor, name) or hasattr(tessel.Tensor, name + "_"))
    return True


def counterpart(function, name: str):
    """tessel's function for this one of PyTorch's: rewritten if it is a test's lambda, else found by its name."""
    if of_tests(function) or isinstance(function, functools.partial):
        return transplanted(function)
    at = tessel
    for part in name.split("."):
        at = getattr(at, part, None)
    if callable(at) and not isinstance(at, type):
        return at
    return getattr(tessel.Tensor, name)


def score_of(name: str, gradients=True) -> Score:
    """All samples of one name; nothing raises, everything is told in the score."""
    score = Score()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in (o for o in op_db if o.name == name):
            run = Run(op, score)
            for dtype, limit in ((torch.float32, None), (torch.int64, INT_SAMPLES)):
                if dtype in op.supported_dtypes("cpu"):
                    run.samples(dtype, limit)
            if torch.float32 in op.supported_dtypes("cpu"):
                run.strided_values()
            for dtype in OTHER_DTYPES:
                false = dtype.itemsize == 2 and name in FALSE_16_BIT
                false = false or (dtype is torch.float64 and name in FALSE_FLOAT64)
                if dtype in op.supported_dtypes("cpu") and not false:
                    run.other_values(dtype)
            differentiable = op.supports_autograd and torch.float32 in op.supported_dtypes("cpu")
            if gradients and differentiable and name not in FALSE_GRADIENTS:
                run.gradients()
            if COMPLEX in op.supported_dtypes("cpu"):
                run.other_values(COMPLEX)
                if gradients and op.supports_autograd and name not in FALSE_GRADIENTS:
                    run.gradients(COMPLEX, OTHER_SAMPLES)
            run.errors()
    return score


class Apart:
    """score_of, or another judge, in a child process, so that a crash is only one more failure."""

    def __init__(self, name: str, gradients=True, judge=score_of):
        self.name = name
        self.begin = time.perf_counter()
        self.child, self.told = started(name, gradients, judge)

    def fileno(self) -> int:
        return self.told.fileno()

    def score(self) -> Score:
        """Waits for the end."""
        with self.told:
            data = self.told.read()
        status = os.waitpid(self.child, 0)[1]
        self.seconds = time.perf_counter() - self.begin
        if data:
            return pickle.loads(data)
        return Score(failed=[("crash", self.name, f"died of {signal.Signals(os.WTERMSIG(status)).name}")])


def score_apart(name: str, gradients=True) -> Score:
    return Apart(name, gradients).score()


def started(name: str, gradients: bool, judge):
    """The child that scores this name, and where it will tell the score."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_PER_OP)
        try:
            told = judge(name, gradients)
        except BaseException as e:  # the parent must hear of anything
            told = Score(failed=[("adapter", name, "".join(traceback.format_exception(e)[-4:]))])
        with os.fdopen(writer, "wb") as out:
            pickle.dump(told, out)
        os._exit(0)
    os.close(writer)
    return child, os.fdopen(reader, "rb")


class Run:
    def __init__(self, op, score: Score):
        self.op, self.score = op, score
        self.label = op.name + (f"[{op.variant_test_name}]" if op.variant_test_name else "")

    def attempt(self, what: str, sample: str, compare, *args):
        """Calls compare and writes down what became of it."""
        try:
            compare(*args)
        except NotImplementedError as e:
            if "complex" not in str(e):
                self.score.failed.append((what, f"{self.label} {sample}", str(e)))
            self.score.skipped[f"complex numbers in {self.op.name}"] += "complex" in str(e)
        except Untranslatable as e:
            self.score.skipped[f"{e} is not there yet"] += 1
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            last = "".join(traceback.format_exception(e)[-3:]) if not isinstance(e, AssertionError) else str(e)
            self.score.failed.append((what, f"{self.label} {sample}", last))
        else:
            self.score.passed[what] += 1

    def samples(self, dtype, limit):
        for i, sample in enumerate(self.op.sample_inputs("cpu", dtype)):
            if limit is not None and i >= limit:
                return
            told = f"sample {i}: {described(sample)}"
            try:
                wanted, fixed = theirs(self.op.op, sample)
            except Exception:  # PyTorch refuses a sample of its own
                self.score.skipped["PyTorch raises"] += 1
                continue
            fixed = fixed and self.op.name not in UNDEFINED
            self.score.stochastic += not fixed
            self.attempt("values", told, self.value, self.op.op, sample, wanted, fixed)
            if self.op.method_variant is not None:
                self.attempt("method", told, self.value, self.op.method_variant, sample, wanted, fixed)
            if self.op.inplace_variant is not None and not sample.broadcasts_input and fixed:
                self.attempt("inplace", told, self.inplace, sample)
            if self.op.supports_out and fixed and dtype is torch.float32 and takes_out(self.op.op, sample, wanted):
                self.attempt("out", told, self.out, sample, wanted)

    def strided_values(self):
        samples = itertools.islice(self.op.sample_inputs("cpu", torch.float32), STRIDED_SAMPLES)
        self.values("strides", (sample.noncontiguous() for sample in samples))

    def other_values(self, dtype):
        self.values("dtypes", itertools.islice(self.op.sample_inputs("cpu", dtype), OTHER_SAMPLES))

    def values(self, what, samples):
        for i, sample in enumerate(samples):
            try:
                wanted, fixed = theirs(self.op.op, sample)
            except Exception:
                self.score.skipped["PyTorch raises"] += 1
                continue
            fixed = fixed and self.op.name not in UNDEFINED
            self.score.stochastic += not fixed
            told = f"sample {i}: {described(sample)}"
            self.attempt(what, told, self.value, self.op.op, sample, wanted, fixed)

    def value(self, function, sample, wanted, fixed):
        got = to_torch(self.call(function, sample, method=function is not self.op.op))
        if self.op.name in TIES and not sample.kwargs.get("stable") and ties(sample.input):
            if self.op.name == "argsort":
                dim = sample.kwargs.get("dim", (*sample.args, -1)[0])
                got, wanted = (sample.input.take_along_dim(indices, dim) for indices in (got, wanted))
            else:
                got, wanted = got[:1], wanted[:1]
        got, wanted = (unsigned(self.op.name, result) for result in (got, wanted))
        if fixed:
            size = (lambda: wider(self.op.op, sample, torch.abs)) if self.op.name in SUMS else None
            compared(got, wanted, lambda: unsigned(self.op.name, wider(self.op.op, sample)), size=size)
        else:
            same_form(got, wanted)

    def call(self, function, sample, method=False, **more):
        x, args, kwargs = to_tessel((sample.input, tuple(sample.args), sample.kwargs))
        ours = counterpart(function, self.op.name)
        if method and not of_tests(function):
            return getattr(tessel.Tensor, function.__name__)(x, *args, **kwargs)
        return ours(x, *args, **kwargs, **more)

    def inplace(self, sample):
        theirs_input, args, kwargs = copied((sample.input, tuple(sample.args), sample.kwargs))
        x, our_args, our_kwargs = to_tessel((sample.input, tuple(sample.args), sample.kwargs))
        f = self.op.inplace_variant
        ours = transplanted(f)
        try:
            wanted = f(theirs_input, *args, **kwargs)
        except Exception as refusal:
            raises(type(refusal), lambda: ours(x, *our_args, **our_kwargs), str(refusal))
            return
        got = ours(x, *our_args, **our_kwargs)
        assert got is x, "the in-place form returned another tensor"
        compared(to_torch(got), plain(wanted), lambda: wider(self.op.op, sample))

    def out(self, sample, wanted):
        room = lambda t: tessel.empty(tuple(t.shape), dtype=to_tessel(t.dtype))
        out = tuple(map(room, wanted)) if isinstance(wanted, tuple) else room(wanted)
        got = self.call(self.op.op, sample, out=out)
        got, wanted = (unsigned(self.op.name, r) for r in (to_torch(out if got is None else got), wanted))
        compared(got, wanted, lambda: unsigned(self.op.name, wider(self.op.op, sample)))

    def gradients(self, dtype=torch.float32, limit=None):
        for i, sample in enumerate(itertools.islice(self.op.sample_inputs("cpu", dtype, requires_grad=True), limit)):
            told = f"sample {i}: {described(sample)}"
            try:
                if not theirs(self.op.op, sample)[1]:
                    continue
                wanted = their_gradients(self.op.op, sample)
            except Exception:
                self.score.skipped["PyTorch raises"] += 1
                continue
            if wanted is not None:
                self.attempt("gradients", told, self.gradient, sample, *wanted)

    def gradient(self, sample, wanted, cotangents):
        arguments = to_tessel((sample.input, tuple(sample.args), sample.kwargs))
        x, args, kwargs = arguments
        result = counterpart(self.op.op, self.op.name)(x, *args, **kwargs)
        results = floating(transplanted(sample.output_process_fn_grad)(result), tessel)
        assert len(results) == len(cotangents), (
            f"{len(results)} outputs carry a gradient, PyTorch has {len(cotangents)}"
        )
        leaves = [t for t in found(arguments, tessel.Tensor) if t.requires_grad]
        got = tessel.autograd.grad(results, leaves, to_tessel(cotangents), allow_unused=True)
        judged = functools.cache(lambda: wider_gradients(self.op.op, sample, cotangents))
        for i, (one, other) in enumerate(zip(got, wanted)):
            if one is None or other is None:
                assert not (one is not None and to_torch(one).any()) and not (other is not None and other.any()), (
                    "a gradient is missing"
                )
            else:
                compared(to_torch(one), other, functools.partial(lambda i: judged()[i], i), loosely=True)

    def errors(self):
        if self.op.error_inputs_func is None:
            return
        try:
            wrong = list(self.op.error_inputs("cpu"))
        except Exception:
            self.score.skipped["PyTorch makes no error inputs"] += 1
            return
        for i, error in enumerate(wrong):
            sample = error.sample_input
            told = f"error input {i}: {described(sample)}"
            try:
                self.op.op(*copied((sample.input, *sample.args)), **copied(sample.kwargs))
                self.score.skipped["PyTorch does not raise"] += 1
            except Exception as e:
                if any(words in str(e) for words in DONE_HERE):
                    self.score.skipped["tessel does what PyTorch refuses"] += 1
                    continue
                self.attempt("errors", told, raises, type(e), functools.partial(self.call, self.op.op, sample), str(e))


def theirs(function, sample):
    """PyTorch's result, and whether it was reached without drawing a random number."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    x, args, kwargs = copied((sample.input, tuple(sample.args), sample.kwargs))
    result = plain(transplanted(function, torch)(x, *args, **kwargs))
    return result, torch.equal(before, torch.get_rng_state())


def unsigned(name: str, result):
    """The results, of those whose signs are free only the magnitudes."""
    free = VECTORS.get(name, ())
    return tuple(t.abs() if i in free else t for i, t in enumerate(result)) if free else result


def ties(t) -> bool:
    return len(t.unique()) < t.numel()


def takes_out(function, sample, wanted) -> bool:
    """Whether PyTorch itself takes out= here; its database says it of names, not of samples."""
    x, args, kwargs = copied((sample.input, tuple(sample.args), sample.kwargs))
    try:
        transplanted(function, torch)(x, *args, **kwargs, out=mapped(wanted, torch.Tensor, torch.empty_like))
    except Exception:
        return False
    return bool(found(wanted, torch.Tensor))


def their_gradients(function, sample, arguments=None, cotangents=None):
    """PyTorch's gradients for fixed cotangents, and the cotangents; None where nothing carries a gradient."""
    torch.manual_seed(1)
    x, args, kwargs = arguments or (sample.input, tuple(sample.args), sample.kwargs)
    leaves = [t for t in found((x, args, kwargs), torch.Tensor) if t.requires_grad]
    result = sample.output_process_fn_grad(function(x, *args, **kwargs))
    results = floating(result, torch)
    if not leaves or not results or not all(x.is_leaf for x in leaves):
        return None
    generator = torch.Generator().manual_seed(3)
    cotangents = cotangents or [torch.randn(y.shape, generator=generator, dtype=y.dtype) for y in results]
    return torch.autograd.grad(results, leaves, cotangents, allow_unused=True), cotangents


def wide(t):
    return t.double() if t.is_floating_point() else t.cdouble() if t.is_complex() else t


def wider_gradients(function, sample, cotangents):
    """PyTorch's gradients in float64, which judge between two float32 ones."""
    widen = lambda t: wide(t.detach()).requires_grad_(t.requires_grad)
    arguments = mapped((sample.input, tuple(sample.args), sample.kwargs), torch.Tensor, widen)
    return their_gradients(function, sample, arguments, [wide(t) for t in cotangents])[0]


def wider(function, sample, first=lambda t: t):
    """PyTorch's result in float64, which judges between two narrower results; of the magnitudes, with first=abs."""
    widen = lambda t: first(wide(t)) if t.is_floating_point() or t.is_complex() else t
    x, args, kwargs = mapped((sample.input, tuple(sample.args), sample.kwargs), torch.Tensor, widen)
    return plain(function(x, *args, **kwargs))


def compared(got, wanted, judge, loosely=False, size=None):
    """got is wanted within PyTorch's tolerances; where not, it must be as near to float64's result as wanted is, give
    or take the rounding of size()'s numbers, else of the result's own."""
    same_form(got, wanted)
    if isinstance(wanted, tuple):
        judged = judge()
        for i, (one, other) in enumerate(zip(got, wanted)):
            compared(one, other, functools.partial(lambda i: judged and judged[i], i), loosely)
    elif isinstance(wanted, torch.Tensor):
        close = {"rtol": 1e-4, "atol": 1e-4} if loosely and wanted.dtype in (torch.float32, COMPLEX) else {}
        try:
            assert_close(got, wanted, equal_nan=True, check_stride=False, **close)
        except AssertionError:
            truth = judge()
            if truth is None or wanted.dtype not in ROUNDING or truth.shape != wanted.shape:
                raise
            error = (wide(wanted) - truth).abs()
            rounding = ROUNDING[wanted.dtype] * (size() if size else truth.abs())
            allowed = 2 * (error.max() if loosely else error) + 1e-5 + rounding
            if not ((wide(got) - truth).abs() <= allowed).all():
                raise
    elif isinstance(wanted, dict):
        for key in wanted:
            compared(got[key], wanted[key], lambda: None, loosely)
    elif isinstance(wanted, float):
        assert_close(got, wanted, equal_nan=True)
    else:
        assert got == wanted, f"{got!r} is not {wanted!r}"


def same_form(got, wanted):
    """Both have the same structure, shapes and dtypes."""
    if isinstance(wanted, tuple):
        assert isinstance(got, tuple) and len(got) == len(wanted), f"{len(wanted)} outputs expected, got {got}"
        for one, other in zip(got, wanted):
            same_form(one, other)
    elif isinstance(wanted, torch.Tensor):
        assert isinstance(got, torch.Tensor), f"a tensor expected, got {got!r}"
        assert got.shape == wanted.shape, f"shape {tuple(got.shape)}, expected {tuple(wanted.shape)}"
        assert got.dtype == wanted.dtype, f"{got.dtype}, expected {wanted.dtype}"
    else:
        assert type(got) is type(wanted), f"{got!r}, expected {wanted!r}"


def raises(kind, call, message):
    """call raises PyTorch's kind of exception."""
    builtin = next(k for k in kind.__mro__ if k.__module__ == "builtins")
    try:
        result = call()
    except builtin:
        return
    except Untranslatable:
        raise
    except Exception as e:
        raise AssertionError(
            f"raised {type(e).__name__}: {e}; PyTorch raises {builtin.__name__}: {message[:200]}"
        ) from None
    raise AssertionError(
        f"raised nothing and gave {str(result)[:100]}; PyTorch raises {builtin.__name__}: {message[:200]}"
    )


def mapped(value, kind, function):
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(v, kind, function) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, kind, function) for v in value)
    if isinstance(value, dict):
        return {k: mapped(v, kind, function) for k, v in value.items()}
    return value


def found(value, kind) -> list:
    kept = []
    mapped(value, kind, lambda v: kept.append(v) or v)
    return kept


def copied(value):
    """The value with tensors of its own."""
    return mapped(value, torch.Tensor, copy)


def floating(result, engine) -> list:
    return [t for t in found(result, engine.Tensor) if t.requires_grad and (t.is_floating_point() or t.is_complex())]


def described(sample) -> str:
    show = lambda t: Shape(t)
    x, args, kwargs = mapped((sample.input, tuple(sample.args), sample.kwargs), torch.Tensor, show)
    told = [repr(x), *map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
    return ", ".join(told)[:300]


class Shape:
    def __init__(self, t):
        dense = t.is_contiguous() if t.layout is torch.strided else True
        self.text = f"{str(t.dtype)[6:]}{list(t.shape)}" + ("" if dense else f"strides{list(t.stride())}")

    def __repr__(self):
        return self.text
