"""Parameters that are computed from others: `register_parametrization` puts a function in front of a parameter.

The module takes a class of its own, in which the parameter's name is a property that computes it; what is trained
stands in `module.parametrizations.<name>` as `original`, or as `original0`, `original1`, ... where there are several.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..._C import Tensor
from ...autograd import no_grad
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_cached: dict[tuple[int, str], Tensor] | None = None  # None: nothing is cached now
_caching = 0  # how many `with cached()` are open


@contextmanager
def cached() -> Iterator[None]:
    """Within it every parametrized tensor is computed once, and kept."""
    global _cached, _caching
    if _cached is None:
        _cached = {}
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if _caching == 0:
            _cached = None


class ParametrizationList(ModuleList):
    """The functions in front of one tensor, first to last, with what they start from; called, it gives the tensor.

    Args:
        modules: each computes a tensor from one, or the first from several. Its `right_inverse`, where it has one,
            gives back what it would have been computed from.
        original: the parameter or buffer as it was.
        unsafe: allows shape and dtype to change.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList: requires one or more modules")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new: Any = original
        with no_grad():
            for module in reversed(modules):
                new = _inverse(module, new)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(_checked(new))
        for name, tensor in zip(self._names, [new] if self.is_tensor else new):
            if self.is_tensor:
                # The parameter keeps its identity, so that an optimizer made before still trains it.
                if new is not original:
                    if tensor.dtype != dtype and not unsafe:
                        raise ValueError(
                            f"ParametrizationList: right_inverse gives {tensor.dtype} for a tensor of {dtype}"
                        )
                    original.data = tensor.detach()
                held = original
            else:
                held = Parameter(tensor, original.requires_grad) if isinstance(original, Parameter) else tensor
            if isinstance(original, Parameter):
                self.register_parameter(name, held)  # type: ignore[arg-type]
            else:
                self.register_buffer(name, held)
        if not unsafe:
            with no_grad():
                result = self()
            if not isinstance(result, Tensor):
                raise ValueError(f"ParametrizationList: a parametrization must return a tensor, not {type(result)}")
            if result.dtype != dtype or result.shape != shape:
                raise ValueError(
                    f"ParametrizationList: a parametrization may not change dtype or shape unless unsafe=True: "
                    f"{dtype} {tuple(shape)} becomes {result.dtype} {tuple(result.shape)}"
                )

    @property
    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Sets what the tensor is computed from so that it becomes `value`."""
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"ParametrizationList: {type(module).__name__} has no right_inverse: the tensor cannot be set"
                    )
                new = module.right_inverse(new)
            tensors = [new] if self.is_tensor else _checked(new)
            if len(tensors) != self.ntensors:
                raise ValueError(
                    f"ParametrizationList: right_inverse must give {self.ntensors} tensors, not {len(tensors)}"
                )
            for name, tensor in zip(self._names, tensors):
                getattr(self, name).data = tensor.detach()

    def forward(self) -> Tensor:
        first, *others = self
        x: Tensor = first(*(getattr(self, name) for name in self._names))
        for module in others:
            x = module(x)
        return x


def _inverse(module: Module, value: Any) -> Any:
    if not hasattr(module, "right_inverse"):
        return value
    try:
        return module.right_inverse(value)
    except NotImplementedError:  # it has none after all
        return value


def _checked(tensors: Any) -> Sequence[Tensor]:
    if not isinstance(tensors, Sequence) or not all(isinstance(t, Tensor) for t in tensors):
        raise ValueError(
            f"ParametrizationList: right_inverse must give a tensor or a sequence of them, not {type(tensors)}"
        )
    return tensors


def _give_own_class(module: Module) -> None:
    """Puts the module into a class of its own, in which properties can be defined."""
    base = type(module)

    def refuse(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(); "
            "parametrize again after making the module, then load it"
        )

    def deep(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        replica = memo[id(self)] = base.__new__(base)
        replica.__setstate__(copy.deepcopy(base.__getstate__(self), memo))
        _give_own_class(replica)
        for name in replica.parametrizations:
            _define_property(replica, name)
        return replica

    members = {"__getstate__": refuse, "__deepcopy__": deep, "__module__": base.__module__}
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), members)


def _define_property(module: Module, name: str) -> None:
    def value(self: Any) -> Tensor:
        parametrization: ParametrizationList = self.parametrizations[name]
        if _cached is None:
            return parametrization()
        key = (id(self), name)
        if key not in _cached:
            _cached[key] = parametrization()
        return _cached[key]

    def assign(self: Any, new: Tensor) -> None:
        self.parametrizations[name].right_inverse(new)

    setattr(type(module), name, property(value, assign))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on `module.<tensor_name>` is `parametrization(what it was)`; returns the module.

    Where it is parametrized already the new one comes last. A `right_inverse(tensor)` of the parametrization sets the
    start so that the tensor keeps its value, and allows assigning to it.

    Args:
        unsafe: allows a parametrization that changes the tensor's shape or dtype.

    Raises:
        ValueError: there is no such parameter or buffer, or the parametrization changes shape or dtype.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held: Any = module.parametrizations
        before: ParametrizationList = held[tensor_name]
        now = getattr(module, tensor_name)
        if not unsafe:
            with no_grad():
                result = parametrization(now)
            if not isinstance(result, Tensor) or result.shape != now.shape or result.dtype != now.dtype:
                raise ValueError(
                    f"register_parametrization: {type(parametrization).__name__} changes the shape or dtype of "
                    f"{tensor_name!r}; say unsafe=True if that is meant"
                )
            if hasattr(parametrization, "right_inverse"):
                with no_grad():
                    start = _inverse(parametrization, now)
                if not isinstance(start, Tensor) or start.shape != now.shape or start.dtype != now.dtype:
                    raise ValueError(
                        f"register_parametrization: right_inverse of {type(parametrization).__name__} must keep shape "
                        f"and dtype of {tensor_name!r}"
                    )
                before.right_inverse(start)
        before.append(parametrization)
        before.unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_own_class(module)
            module.parametrizations = ModuleDict()
        _define_property(module, tensor_name)
        module.parametrizations[tensor_name] = made
    else:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrization, or one of that tensor."""
    held = module.__dict__.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes the tensor an ordinary parameter or buffer again: of the value it has, or (leave_parametrized=False) of
    what it was computed from. Returns the module.

    Raises:
        ValueError: it is not parametrized; or it is computed from several tensors, and leave_parametrized is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {type(module).__name__} has no parametrization on {tensor_name!r}")
    held: Any = module.parametrizations
    made: ParametrizationList = held[tensor_name]
    first = getattr(made, made._names[0])
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
        if made.is_tensor:
            first.data = value.detach()
            tensor = first
        else:
            parameter = isinstance(first, Parameter)
            tensor = Parameter(value.detach(), first.requires_grad) if parameter else value.detach()
    elif made.is_tensor:
        tensor = first
    else:
        raise ValueError(
            f"remove_parametrizations: leave_parametrized must be True for {tensor_name!r}, made of several tensors"
        )
    delattr(type(module), tensor_name)
    del held[tensor_name]
    if isinstance(first, Parameter):
        module.register_parameter(tensor_name, tensor)
    else:
        module.register_buffer(tensor_name, tensor)
    if len(held) == 0:
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class, or what it was before it had parametrizations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Gives `to_module` the parametrizations of `from_module` (or those of one tensor) and what they start from."""
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]  # type: ignore[arg-type]
    if not is_parametrized(from_module) or not all(is_parametrized(from_module, name) for name in names):
        raise ValueError(f"transfer_parametrizations_and_params: {names} are not parametrized in the source")
    for name in names:
        source: Any = from_module.parametrizations[name]  # type: ignore[index]
        if not hasattr(to_module, name):
            with no_grad():
                to_module.register_parameter(name, Parameter(getattr(from_module, name).clone()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        target: Any = to_module.parametrizations[name]  # type: ignore[index]
        for original in target._names:
            setattr(target, original, getattr(source, original))
    return to_module
