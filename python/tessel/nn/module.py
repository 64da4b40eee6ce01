"""Module: a tree of parameters, buffers and submodules with a `forward`; the base of every network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .._C import Tensor
from .conversion import Convertible
from .hooks import call_with_hooks
from .members import Members
from .parameter import Buffer, Parameter
from .state import IncompatibleKeys as _IncompatibleKeys  # noqa: F401  PyTorch's place and name for it

__all__ = ["Module"]

Self = TypeVar("Self", bound="Module")

_TABLES = ("_parameters", "_buffers", "_modules")


class Module(Convertible):
    """Base of all networks and layers.

    A subclass calls `super().__init__()`, assigns parameters and submodules to attributes and defines `forward`:

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Linear(4, 16)
                self.out = nn.Linear(16, 3)

            def forward(self, x):
                return self.out(self.hidden(x).relu())

    An exception out of a submodule's forward ends with the path of that submodule: `(in encoder.layers.3.linear1)`.
    """

    training: bool
    call_super_init: bool = False
    dump_patches: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            culprit = f"keyword argument {next(iter(kwargs))!r}" if kwargs else f"{len(args)} positional arguments"
            raise TypeError(f"{type(self).__name__}.__init__: Module takes no arguments, but got {culprit}")
        # Past __setattr__, which would look each name up in tables that do not exist yet.
        own = self.__dict__
        own["training"] = True
        own["_non_persistent_buffers_set"] = set()
        for table in _TABLES:
            own[table] = Members(self)
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # -- the call -----------------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it. Call the module itself, so that hooks run."""
        raise NotImplementedError(f"{type(self).__name__}: forward is not defined")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._call_hooks is None:
                return self.forward(*args, **kwargs)
            return call_with_hooks(self, self._call_hooks, args, kwargs)
        except Exception as error:
            _tell_where(error, self)
            raise

    # -- attributes ---------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        # Only for what is not in __dict__: names that do not exist, and members of a module whose own __setstate__
        # did not call ours.
        own = self.__dict__
        if "_parameters" in own:
            table = own["_parameters"]
            if name in table:
                return table[name]
            table = own["_modules"]
            if name in table:
                return table[name]
            table = own["_buffers"]
            if name in table:
                return table[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        parameters = own.get("_parameters")
        if isinstance(value, Parameter):
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
        elif parameters is None:
            if isinstance(value, (Module, Buffer)):
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name!r}")
            object.__setattr__(self, name, value)
        elif name in parameters:
            _check_none(self, name, value, "Parameter")
            parameters[name] = None
        elif isinstance(value, Module):
            self._forget(name, "_buffers")
            own["_modules"][name] = value
        elif name in own["_modules"]:
            _check_none(self, name, value, "Module")
            own["_modules"][name] = None
        elif isinstance(value, Buffer):
            self._forget(name, "_modules")
            self.register_buffer(name, value, value.persistent)
        elif name in own["_buffers"]:
            if not isinstance(value, Tensor):
                _check_none(self, name, value, "Tensor")
            own["_buffers"][name] = value
        elif name in _TABLES:
            self._replace_table(name, value)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__.get(table, ()):
                self._forget(name, table)
                return
        object.__delattr__(self, name)

    def _forget(self, name: str, *tables: str) -> None:
        """Takes `name` out of the instance and the given tables, to make room for something of another kind."""
        own = self.__dict__
        own.pop(name, None)
        for table in tables:
            own.get(table, {}).pop(name, None)
        if "_buffers" in tables:
            own.get("_non_persistent_buffers_set", set()).discard(name)

    def __dir__(self) -> list[str]:
        own = self.__dict__
        names = {*dir(type(self)), *own}
        for table in _TABLES:
            names.update(own.get(table, ()))
        return sorted(name for name in names if not name[:1].isdigit())  # "0" of a Sequential is no attribute

    def _replace_table(self, table: str, entries: Mapping[str, Any]) -> None:
        """Puts a whole new table in place of one; its members become attributes, those of the old one cease to be."""
        own = self.__dict__
        for name in own.get(table, ()):
            own.pop(name, None)
        own[table] = Members(self, entries)

    def __getstate__(self) -> dict[str, Any]:
        own = self.__dict__
        mirrored = {name for table in _TABLES for name in own.get(table, ())}
        return {name: value for name, value in own.items() if name not in mirrored}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for table in _TABLES:
            self.__dict__[table] = Members(self, state.get(table))
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("training", True)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, reachable as the attribute `name`; None reserves the name (a layer without bias).

        Raises:
            TypeError: `param` is neither a Parameter nor None.
            ValueError: `param` was computed by operations; parameters are leaves.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning parameters")
        self._check_new_name("parameter", name, "_parameters")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(f"register_parameter: {name!r} must be a Parameter or None, not {type(param).__name__}")
            if param.grad_fn is not None:
                raise ValueError(
                    f"register_parameter: {name!r} is the result of {param.grad_fn.name()}, but parameters are leaves; "
                    "compute it in forward instead"
                )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is part of the module's state, moves with `to`, and is not trained.

        Args:
            persistent: whether `state_dict` holds it.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning buffers")
        self._check_new_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name!r} must be a Tensor or None, not {type(tensor).__name__}")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule, reachable as the attribute `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name!r} must be a Module or None, not {type(module).__name__}")
        self._check_new_name("module", name, "_modules")
        self._modules[name] = module

    register_module = add_module

    def _check_new_name(self, kind: str, name: str, table: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"register_{kind}: the name must be a str, not {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"register_{kind}: the name {name!r} must not be empty or contain a dot")
        if name not in self.__dict__[table] and hasattr(self, name):
            raise KeyError(f"register_{kind}: {type(self).__name__} has an attribute {name!r} already")

    # -- the tree -----------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module under the name `prefix`, then all below it, depth first, each with its dotted name.

        With `remove_duplicate` a module that stands in several places is given once.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once unless `remove_duplicate` is False."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, each once, with their names."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        get_members: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, member in get_members(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; a shared one once, unless `remove_duplicate` is False."""
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and (with `recurse`) of those below it, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; a shared one once, unless `remove_duplicate` is False."""
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and (with `recurse`) of those below it, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; the empty path is this module itself.

        Raises:
            AttributeError: there is nothing, or no module, at that path.
        """
        module: Any = self
        walked: list[str] = []
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"get_submodule: {_describe(walked, module)} has no attribute {name!r}")
            module = getattr(module, name)
            walked.append(name)
            if not isinstance(module, Module):
                raise AttributeError(f"get_submodule: {'.'.join(walked)!r} is no Module but {type(module).__name__}")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a dotted path; with `strict` there must be one already."""
        if not target:
            raise ValueError("set_submodule: the path must not be empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a Module, not {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        present = getattr(parent, name, None)
        if strict and present is None:
            raise AttributeError(f"set_submodule: {_describe(path.split('.'), parent)} has no attribute {name!r}")
        if present is not None and not isinstance(present, Module):
            raise AttributeError(f"set_submodule: {target!r} is no Module but {type(present).__name__}")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get_tensor("get_parameter", target, "_parameters")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        return self._get_tensor("get_buffer", target, "_buffers")

    def _get_tensor(self, caller: str, target: str, table: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{caller}: {_describe(path.split('.'), module)} has no attribute {name!r}")
        if name not in module.__dict__[table]:
            raise AttributeError(f"{caller}: {target!r} is not one of the module's {table.strip('_')}")
        return module.__dict__[table][name]

    # -- states and places --------------------------------------------------------------------------------------

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn(module)` on every module below this one and then on itself; for initialisation."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Sets training mode here and below: dropout drops, batch norm uses the batch's own statistics."""
        if not isinstance(mode, bool):
            raise ValueError("train: mode must be a bool")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Sets evaluation mode; the same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Switches gradients of all parameters on or off; for freezing part of a model."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or (with `set_to_none=False`) fills them with zeros."""
        for parameter in self.parameters():
            grad = parameter.grad
            if grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                (grad.detach_() if grad.grad_fn is not None else grad.requires_grad_(False)).zero_()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the kernels are compiled already, and a call runs them directly."""

    # -- text ---------------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of a layer's repr; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if not child_lines and len(extra_lines) <= 1:
            return f"{self._get_name()}({extra})"
        lines = "".join(f"\n  {line}" for line in extra_lines + child_lines)
        return f"{self._get_name()}({lines}\n)"


def _indented(text: str) -> str:
    """Everything behind the first line moved two columns to the right."""
    return text.replace("\n", "\n  ")


def _describe(path: list[str], module: Module) -> str:
    return f"{type(module).__name__} at {'.'.join(path)!r}" if any(path) else type(module).__name__


def _check_none(module: Module, name: str, value: Any, kind: str) -> None:
    if value is not None:
        raise TypeError(
            f"{type(module).__name__}.{name}: expected a {kind} or None, not {type(value).__name__}; "
            f"delete the attribute first to put something else there"
        )


def _tell_where(error: Exception, module: Module) -> None:
    """Ends the message of an exception that passes through `module` with the path of the module that raised it.

    Called by every module on the way out, innermost first. Each prefixes its own piece of the path, which it finds by
    looking for the module the exception came from; the outermost module's name is never part of it.
    """
    inner, path, suffix = error.__dict__.get("_raised_in", (None, "", ""))
    if inner is module:
        return
    if inner is not None:
        name = next((name for name, m in module.named_modules() if m is inner), f"<{type(inner).__name__}>")
        path = f"{name}.{path}" if path else name
    new_suffix = f" (in {path})" if path else ""
    if new_suffix and type(error).__str__ is BaseException.__str__ and len(error.args) == 1:
        text = error.args[0]
        if isinstance(text, str):
            error.args = (text.removesuffix(suffix) + new_suffix,)
    elif new_suffix and hasattr(error, "add_note"):  # a KeyError's argument is the key, an OSError's a number
        notes = getattr(error, "__notes__", [])
        if suffix.strip() in notes:
            notes.remove(suffix.strip())
        error.add_note(new_suffix.strip())
    error.__dict__["_raised_in"] = (module, path, new_suffix)
