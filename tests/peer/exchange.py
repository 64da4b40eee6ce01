"""Carries arguments and results between PyTorch and tessel: the same values, dtypes, strides and offsets."""

import dataclasses
import functools
import types

import torch

import tessel

# numpy has no bfloat16: its bits travel as integers
CARRIED = {torch.bfloat16: torch.int16}


class Untranslatable(Exception):
    """PyTorch has something here that tessel does not have yet; the text says what."""


def same_name(value):
    """The object of tessel that bears the name of this dtype, layout, memory format or device."""
    if isinstance(value, torch.device):
        if value.type != "cpu":
            raise Untranslatable(f"device {value.type}")
        return tessel.device("cpu")
    name = str(value).removeprefix("torch.")
    found = getattr(tessel, name, None)
    if found is None:
        raise Untranslatable(name)
    return found


def to_tessel(value):
    """The value as tessel has it; every tensor copied, lying in memory just as it lay."""
    if isinstance(value, torch.Tensor):
        return tensor_to_tessel(value)
    if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
        return same_name(value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(to_tessel, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_tessel, value))
    if isinstance(value, dict):
        return {k: to_tessel(v) for k, v in value.items()}
    if isinstance(value, FUNCTIONS):
        return transplanted(value)
    if dataclasses.is_dataclass(value) and hasattr(tessel.nn, type(value).__name__):
        fields = {f.name: to_tessel(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return getattr(tessel.nn, type(value).__name__)(**fields)
    if isinstance(value, torch.nn.Module):
        raise Untranslatable(f"the module {type(value).__name__}")
    return value


def tensor_to_tessel(t):
    if t.layout is not torch.strided or t.device.type != "cpu" or t.is_conj() or t.is_neg():
        raise Untranslatable(f"{t.layout} on {t.device}")
    if str(t.dtype).removeprefix("torch.") not in NAMES_OF_DTYPES:
        raise Untranslatable(str(t.dtype))
    memory = whole_memory(t)
    ours = tessel.from_numpy(memory.view(CARRIED.get(t.dtype, t.dtype)).numpy())
    if t.dtype in CARRIED:
        ours = ours.view(same_name(t.dtype))
    ours = tessel.as_strided(ours, tuple(t.shape), tuple(t.stride()), t.storage_offset())
    if isinstance(t, torch.nn.Parameter):
        return tessel.nn.Parameter(ours, requires_grad=t.requires_grad)
    return ours.detach().requires_grad_() if t.requires_grad else ours.detach()


def whole_memory(t):
    """A copy of everything in the tensor's storage, as one row."""
    count = t.untyped_storage().nbytes() // t.element_size()
    return torch.as_strided(t.detach(), (count,), (1,), 0).clone()


def copy(t):
    """PyTorch's tensor once more in memory of its own, which lies as it lay and needs no gradient."""
    if t.layout is not torch.strided or t.device.type != "cpu":
        return t.detach().clone()
    return torch.as_strided(whole_memory(t), t.shape, t.stride(), t.storage_offset())


def to_torch(value):
    """The value as PyTorch has it; tuples of any kind come back as plain tuples."""
    if isinstance(value, tessel.Tensor):
        plain = value.detach()
        kind = plain.dtype
        carrier = {same_name(k): (v, k) for k, v in CARRIED.items() if hasattr(tessel, str(k).removeprefix("torch."))}
        if kind in carrier:
            through, original = carrier[kind]
            return torch.from_numpy(plain.contiguous().view(same_name(through)).numpy().copy()).view(original)
        return torch.from_numpy(plain.contiguous().numpy().copy())
    if isinstance(value, (list, tuple)):
        return tuple(map(to_torch, value))
    if isinstance(value, dict):
        return {k: to_torch(v) for k, v in value.items()}
    if isinstance(value, (tessel.dtype, tessel.device)):
        return str(value).replace("tessel.", "torch.")
    return value


def plain(value):
    """A result of PyTorch in the form of to_torch."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    return value.detach() if isinstance(value, torch.Tensor) else value


NAMES_OF_DTYPES = {"float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"}
NAMES_OF_DTYPES |= {"complex64", "complex128"}


def transplanted(function, home=tessel):
    """A Python function of PyTorch's tests, that speaks to home wherever it spoke to torch and leaves seeds alone."""
    if isinstance(function, functools.partial):
        given = to_tessel((function.args, function.keywords)) if home is tessel else (function.args, function.keywords)
        return functools.partial(transplanted(function.func, home), *given[0], **given[1])
    if not of_tests(function):
        return named_in_tessel(function) if home is tessel else function
    names = {**function.__globals__, "torch": home}
    if hasattr(getattr(home, "nn", None), "functional"):
        names["F"] = home.nn.functional
    for name in function.__code__.co_names:
        helper = names.get(name)
        if isinstance(helper, types.FunctionType) and helper is not function and of_tests(helper):
            names[name] = transplanted(helper, home)
    names["wrapper_set_seed"] = lambda op, *args, **kwargs: op(*args, **kwargs)
    cells = [types.CellType(transplanted(v, home) if isinstance(v, FUNCTIONS) else v) for v in contents(function)]
    twin = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, tuple(cells) or None)
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


FUNCTIONS = (
    types.FunctionType,
    functools.partial,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)


def contents(function) -> list:
    return [cell.cell_contents for cell in function.__closure__ or ()]


def named_in_tessel(function):
    """The function of tessel with the name of this one of PyTorch."""
    if getattr(torch, function.__name__, None) is function:
        home = tessel
    elif getattr(torch.nn.functional, function.__name__, None) is function:
        home = tessel.nn.functional
    elif getattr(torch.Tensor, function.__name__, None) is function:
        home = tessel.Tensor
    else:
        return function
    if not hasattr(home, function.__name__):
        raise Untranslatable(function.__name__)
    return getattr(home, function.__name__)


def of_tests(function) -> bool:
    """Whether it is a Python function that belongs to PyTorch's tests and not to PyTorch."""
    return isinstance(function, types.FunctionType) and (function.__module__ or "").startswith("torch.testing")
