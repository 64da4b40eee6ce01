"""Hooks of modules: where they are kept, how they are registered, and a module's call when there are any.

A module without hooks holds no table at all: `_call_hooks` is None on the class, and `Module.__call__` goes straight
to `forward`. The first hook gives the module tables of its own; the first hook on all modules
(`register_module_forward_hook`, ...) gives the class an empty set of tables, so that one look tells both.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from ..utils.hooks import RemovableHandle

__all__ = [
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]

Hook = Callable[..., Any]


class CallHooks:
    """The tables of hooks that run around a call; flags stand beside them, keyed by the same handle ids."""

    def __init__(self) -> None:
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.forward_pre_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.forward_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward_always_called: OrderedDict[int, bool] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()


class StateHooks:
    """The tables of hooks around `state_dict` and `load_state_dict`."""

    def __init__(self) -> None:
        self.save_pre: OrderedDict[int, Hook] = OrderedDict()
        self.save: OrderedDict[int, Hook] = OrderedDict()
        self.load_pre: OrderedDict[int, Hook] = OrderedDict()
        self.load_post: OrderedDict[int, Hook] = OrderedDict()


GLOBAL = CallHooks()  # hooks on every module


def _insert(
    table: OrderedDict[int, Hook], hook: Hook, prepend: bool = False, flags: tuple[OrderedDict[int, bool], ...] = ()
) -> RemovableHandle:
    handle = RemovableHandle(table, extra=flags)
    table[handle.id] = hook
    for flag in flags:
        flag[handle.id] = True
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def _table_property(group: str, table: str) -> Any:
    """PyTorch's private name of a table (`module._forward_hooks`), read by quite some libraries."""

    def get(self: Hookable) -> OrderedDict[int, Any]:
        return getattr(getattr(self, group)(), table)

    def set(self: Hookable, value: OrderedDict[int, Any]) -> None:
        setattr(getattr(self, group)(), table, value)

    return property(get, set)


class Hookable:
    """The part of Module that holds hooks. Every `register_*` returns a RemovableHandle."""

    _call_hooks: CallHooks | None = None
    _state_hooks: StateHooks | None = None

    _forward_pre_hooks = _table_property("_own_call_hooks", "forward_pre")
    _forward_pre_hooks_with_kwargs = _table_property("_own_call_hooks", "forward_pre_with_kwargs")
    _forward_hooks = _table_property("_own_call_hooks", "forward")
    _forward_hooks_with_kwargs = _table_property("_own_call_hooks", "forward_with_kwargs")
    _forward_hooks_always_called = _table_property("_own_call_hooks", "forward_always_called")
    _backward_pre_hooks = _table_property("_own_call_hooks", "backward_pre")
    _backward_hooks = _table_property("_own_call_hooks", "backward")
    _state_dict_pre_hooks = _table_property("_own_state_hooks", "save_pre")
    _state_dict_hooks = _table_property("_own_state_hooks", "save")
    _load_state_dict_pre_hooks = _table_property("_own_state_hooks", "load_pre")
    _load_state_dict_post_hooks = _table_property("_own_state_hooks", "load_post")

    def _own_call_hooks(self) -> CallHooks:
        return self.__dict__.get("_call_hooks") or self.__dict__.setdefault("_call_hooks", CallHooks())

    def _own_state_hooks(self) -> StateHooks:
        return self.__dict__.get("_state_hooks") or self.__dict__.setdefault("_state_hooks", StateHooks())

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Runs `hook(module, args)` before `forward`.

        A result that is not None replaces the positional arguments (a single value is put into a tuple). With
        `with_kwargs` the hook is called as `hook(module, args, kwargs)` and returns None or `(args, kwargs)`.
        """
        hooks = self._own_call_hooks()
        flags = (hooks.forward_pre_with_kwargs,) if with_kwargs else ()
        return _insert(hooks.forward_pre, hook, prepend, flags)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Runs `hook(module, args, output)` after `forward`; a result that is not None replaces the output.

        With `with_kwargs` it is called as `hook(module, args, kwargs, output)`; with `always_call` it also runs,
        with the output None, when the call raised.
        """
        hooks = self._own_call_hooks()
        flags = ((hooks.forward_with_kwargs,) if with_kwargs else ()) + (
            (hooks.forward_always_called,) if always_call else ()
        )
        return _insert(hooks.forward, hook, prepend, flags)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_output)` before the gradients of the module are computed.

        `grad_output` is a tuple with one entry per output; a result that is not None replaces it.
        """
        return _insert(self._own_call_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(module, grad_input, grad_output)` once the gradients of the module's inputs are known.

        `grad_input` has one entry per positional argument of the call, None where it was no tensor that requires a
        gradient; a result that is not None replaces it.
        """
        return _insert(self._own_call_hooks().backward, hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, prefix, keep_vars)` before `state_dict` gathers this module's part."""
        return _insert(self._own_state_hooks().save_pre, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata)` after it; changes are made in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return _insert(self._own_state_hooks().save, hook)

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        """As `register_state_dict_post_hook`; here a result that is not None becomes the state dict."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError("_register_state_dict_hook: this hook is registered as a state_dict_post_hook already")
        return _insert(self._own_state_hooks().save, hook)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        before `load_state_dict` reads this module's part; it may rename keys in place."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Hook, with_module: bool = False) -> RemovableHandle:
        return _insert(self._own_state_hooks().load_pre, _BoundHook(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(module, incompatible_keys)` after loading; it may empty the lists to forgive what is missing."""
        return _insert(self._own_state_hooks().load_post, hook)


class _BoundHook:
    """A load hook with the module it was registered on; copied along with the module, it names the copy."""

    def __init__(self, hook: Hook, module: Hookable) -> None:
        self.hook = hook
        self.module = module

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module, *args)


def _on_every_module(
    table: OrderedDict[int, Hook], hook: Hook, flags: tuple[OrderedDict[int, bool], ...] = ()
) -> RemovableHandle:
    if Hookable._call_hooks is None:
        Hookable._call_hooks = CallHooks()  # empty: it only sends every call through call_with_hooks
    return _insert(table, hook, flags=flags)


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """As `Module.register_forward_pre_hook`, for every module of the program; for debugging and profiling."""
    return _on_every_module(GLOBAL.forward_pre, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """As `Module.register_forward_hook`, for every module of the program."""
    flags = ((GLOBAL.forward_with_kwargs,) if with_kwargs else ()) + (
        (GLOBAL.forward_always_called,) if always_call else ()
    )
    return _on_every_module(GLOBAL.forward, hook, flags)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """As `Module.register_full_backward_pre_hook`, for every module of the program."""
    return _on_every_module(GLOBAL.backward_pre, hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """As `Module.register_full_backward_hook`, for every module of the program."""
    return _on_every_module(GLOBAL.backward, hook)


def call_with_hooks(module: Any, hooks: CallHooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module(*args, **kwargs)` with the hooks of all modules and its own around `forward`."""
    ran: set[int] = set()
    try:
        for table in (GLOBAL, hooks):
            for key, hook in list(table.forward_pre.items()):
                args, kwargs = _run_forward_pre(hook, module, args, kwargs, key in table.forward_pre_with_kwargs)

        backward_pre = [*GLOBAL.backward_pre.values(), *hooks.backward_pre.values()]
        backward = [*GLOBAL.backward.values(), *hooks.backward.values()]
        watch = _BackwardWatch(module, backward_pre, backward) if backward_pre or backward else None
        if watch is not None:
            args = watch.enter(args)

        output = module.forward(*args, **kwargs)

        for table in (GLOBAL, hooks):
            for key, hook in list(table.forward.items()):
                ran.add(key)
                output = _run_forward(hook, module, args, kwargs, output, key in table.forward_with_kwargs)
        return output if watch is None else watch.leave(output)
    except Exception:
        for table in (GLOBAL, hooks):
            for key, hook in list(table.forward.items()):
                if key in table.forward_always_called and key not in ran:
                    try:
                        _run_forward(hook, module, args, kwargs, None, key in table.forward_with_kwargs)
                    except Exception as second:  # the first error is the one to be seen
                        warnings.warn(f"a forward hook with always_call=True raised as well: {second}", stacklevel=3)
        raise


def _run_forward_pre(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], with_kwargs: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not with_kwargs:
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs
    changed = hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(f"a forward pre-hook with kwargs must return None or (args, kwargs), but returned {changed}")
    return changed


def _run_forward(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, with_kwargs: bool
) -> Any:
    changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
    return output if changed is None else changed


class _BackwardWatch:
    """Backward hooks of one call: two identity functions in the graph, around what the module does.

    The one behind the outputs sees `grad_output` first, the one before the inputs sees `grad_input` last.
    """

    def __init__(self, module: Any, pre: list[Hook], post: list[Hook]) -> None:
        self.module = module
        self.pre = pre
        self.post = post
        self.count = 0  # positional arguments of the call
        self.places: list[int] | None = None  # which of them the gradients go to; None: no argument needs one
        self.grad_output: tuple[Any, ...] | None = None

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.count = len(args)
        watched = _identity(self._grad_input_known, args)
        if watched is None:
            return args
        args, self.places = watched
        return args

    def leave(self, output: Any) -> Any:
        outputs = tuple(output) if isinstance(output, (tuple, list)) else (output,)

        def grad_output_known(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * len(outputs)
            for place, grad in zip(places, grads):
                full[place] = grad
            changed = self._grad_output_known(tuple(full))
            return tuple(changed[place] for place in places)

        watched = _identity(grad_output_known, outputs)
        if watched is None:
            return output
        outputs, places = watched
        if isinstance(output, tuple) and hasattr(output, "_fields"):
            return type(output)(*outputs)
        return type(output)(outputs) if isinstance(output, (tuple, list)) else outputs[0]

    def _grad_output_known(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.pre:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = _checked("backward pre-hook", changed, len(grads))
        self.grad_output = grads
        if self.places is None:
            self._run_post((None,) * self.count)
        return grads

    def _grad_input_known(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.grad_output is None:  # gradients of the inputs that did not come through the outputs
            return grads
        assert self.places is not None
        full: list[Any] = [None] * self.count
        for place, grad in zip(self.places, grads):
            full[place] = grad
        changed = self._run_post(tuple(full))
        return tuple(changed[place] for place in self.places)

    def _run_post(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.post:
            changed = hook(self.module, grad_input, self.grad_output)
            if changed is not None:
                grad_input = _checked("backward hook", changed, len(grad_input))
        self.grad_output = None
        return grad_input


def _checked(what: str, grads: Any, count: int) -> tuple[Any, ...]:
    grads = grads if isinstance(grads, tuple) else (grads,)
    if len(grads) != count:
        raise RuntimeError(f"{what}: returned {len(grads)} gradients where {count} are expected")
    return grads


def _identity(
    on_backward: Callable[[tuple[Any, ...]], tuple[Any, ...]], values: tuple[Any, ...]
) -> tuple[tuple[Any, ...], list[int]] | None:
    """The same values, the tensors that require a gradient passed through a node that calls `on_backward(grads)`.

    Returns the values and the places of those tensors, or None when there are none to watch.
    """
    from .. import autograd

    places = [place for place, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not places or not _C.is_grad_enabled():
        return None

    class ModuleHook(autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Any:
            ctx.set_materialize_grads(False)  # a hook sees None where no gradient came
            return tuple(tensor.view_as(tensor) for tensor in tensors)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> Any:
            return on_backward(grads)

    watched = list(values)
    for place, tensor in zip(places, ModuleHook.apply(*[values[place] for place in places])):
        watched[place] = tensor
    return tuple(watched), places
