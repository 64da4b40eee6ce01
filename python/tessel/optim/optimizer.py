"""Optimizer: parameter groups with their settings, the state kept for every parameter, and hooks around `step`."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from .._C import Tensor
from ..utils.hooks import RemovableHandle

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

Hook = Callable[..., Any]

_step_pre_hooks: OrderedDict[int, Hook] = OrderedDict()  # on every optimizer
_step_post_hooks: OrderedDict[int, Hook] = OrderedDict()


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()  # the default of a setting that every group must give


class Optimizer:
    """Base of all optimizers.

    A subclass defines `step(closure=None)`; it reads the settings of each of `self.param_groups` and keeps what it
    needs between steps in `self.state[parameter]`.

    Args:
        params: parameters, or (name, parameter) pairs, or dicts that describe groups: `{"params": [...], "lr": 0.1}`.
        defaults: the settings of groups that do not give them.
    """

    _hooked = False  # whether a step must look at hooks; set by the first hook

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(f"{type(self).__name__}: params must be an iterable of tensors or dicts, not one tensor")
        self.defaults = defaults
        self.state: defaultdict[Tensor, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._make_hook_tables()
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: the list of parameters is empty")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hook_tables(self) -> None:
        self._optimizer_step_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._optimizer_step_post_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._optimizer_state_dict_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._optimizer_state_dict_post_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: OrderedDict[int, Hook] = OrderedDict()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    # -- the step -----------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Changes the parameters by their gradients.

        Args:
            closure: computes the loss and its gradients anew; called with gradients enabled.

        Returns:
            What the closure returned, or None.
        """
        raise NotImplementedError(f"{type(self).__name__}: step is not defined")

    @staticmethod
    def _run_closure(closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            return None
        from ..autograd import enable_grad

        with enable_grad():
            return closure()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or (with `set_to_none=False`) fills them with zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif (grad := parameter.grad) is not None:
                    (grad.detach_() if grad.grad_fn is not None else grad.requires_grad_(False)).zero_()

    # -- groups -------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters, for layers that are unfrozen during training.

        Args:
            param_group: "params" (a parameter, or several, or (name, parameter) pairs), and settings that differ from
                the defaults.

        Raises:
            TypeError: an entry is no tensor, or "params" is a set, whose order changes between runs.
            ValueError: a parameter is no leaf, stands twice, or a required setting is missing.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name}: a parameter group must be a dict, not {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{name}: params must be ordered, and a set is not; use a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        names: list[str] = []
        for place, entry in enumerate(params):
            if isinstance(entry, tuple):
                names.append(entry[0])
                params[place] = entry = entry[1]
            if not isinstance(entry, Tensor):
                raise TypeError(f"{name}: params must be tensors, but entry {place} is {type(entry).__name__}")
            if not (self.defaults.get("differentiable") or entry.is_leaf or entry.retains_grad):
                raise ValueError(f"{name}: parameter {place} is no leaf; the result of an operation cannot be trained")
        named_before = [("param_names" in group) for group in self.param_groups]
        if 0 < len(names) < len(params) or (named_before and named_before[0] != bool(names)):
            raise ValueError(f"{name}: either all parameters have names, or none")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for key, default in self.defaults.items():
            if default is required and key not in param_group:
                raise ValueError(f"{name}: the parameter group gives no {key}, which is required")
            param_group.setdefault(key, default)
        own = {id(parameter) for parameter in params}
        if len(own) < len(params):
            raise ValueError(f"{name}: a parameter stands twice in one group")
        if any(id(parameter) in own for group in self.param_groups for parameter in group["params"]):
            raise ValueError(f"{name}: a parameter stands in more than one group")
        self.param_groups.append(param_group)

    def __repr__(self) -> str:
        blocks = []
        for place, group in enumerate(self.param_groups):
            settings = "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            blocks.append(f"\nParameter Group {place}\n{settings}")
        return f"{type(self).__name__} ({''.join(blocks)})"

    # -- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state to be saved, in PyTorch's layout.

        Returns:
            `{"state": {number: {...}}, "param_groups": [{..., "params": [number, ...]}]}`: parameters are numbered in
            the order of the groups. The tensors are the optimizer's own, not copies.
        """
        for hook in list(self._optimizer_state_dict_pre_hooks.values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(parameter)] for parameter in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: self._saved_state(value)
            for key, value in self.state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._optimizer_state_dict_post_hooks.values()):
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def _saved_state(self, state: Any) -> Any:
        """A parameter's state as `state_dict` gives it; where a subclass keeps it otherwise, it overrides this."""
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave, here or in PyTorch. Tensors are copied, and cast to their parameter's
        dtype and device.

        Raises:
            ValueError: the groups are not as many, or not as long, as the optimizer's.
        """
        state_dict = state_dict.copy()
        for hook in list(self._optimizer_load_state_dict_pre_hooks.values()):
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved_groups = deepcopy(state_dict["param_groups"])
        name = type(self).__name__
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(
                f"{name}.load_state_dict: the state has {len(saved_groups)} parameter groups, "
                f"the optimizer {len(self.param_groups)}"
            )
        parameters: dict[Any, Tensor] = {}
        for place, (saved, group) in enumerate(zip(saved_groups, self.param_groups)):
            if len(saved["params"]) != len(group["params"]):
                raise ValueError(
                    f"{name}.load_state_dict: group {place} of the state has {len(saved['params'])} parameters, "
                    f"that of the optimizer {len(group['params'])}"
                )
            parameters.update(zip(saved["params"], group["params"]))
            saved["params"] = group["params"]
            if "param_names" in group:
                saved["param_names"] = group["param_names"]
            else:
                saved.pop("param_names", None)
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in parameters:
                state[parameters[key]] = _fitted(value, parameters[key])
            else:
                state[key] = value
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in list(self._optimizer_load_state_dict_post_hooks.values()):
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._make_hook_tables()
        for group in self.param_groups:  # a setting that did not exist when the state was saved
            for key, default in self.defaults.items():
                group.setdefault(key, default)

    # -- hooks --------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(optimizer, args, kwargs)` before every step; it may return new `(args, kwargs)`.

        The first of the arguments is the optimizer itself, as in any method.
        """
        self._hooked = True
        return _insert(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Runs `hook(optimizer, args, kwargs)` after every step."""
        self._hooked = True
        return _insert(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer)` before `state_dict`."""
        return _insert(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer, state_dict)` after `state_dict`; a result that is not None replaces it."""
        return _insert(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer, state_dict)` before loading; a result that is not None replaces the state dict."""
        return _insert(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Runs `hook(optimizer)` after loading."""
        return _insert(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """As `Optimizer.register_step_pre_hook`, for every optimizer of the program."""
    Optimizer._hooked = True
    return _insert(_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """As `Optimizer.register_step_post_hook`, for every optimizer of the program."""
    Optimizer._hooked = True
    return _insert(_step_post_hooks, hook)


def _insert(table: OrderedDict[int, Hook], hook: Hook, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(table)
    table[handle.id] = hook
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between its hooks; a step that a subclass calls through super() runs bare."""

    @functools.wraps(step)
    def hooked_step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if not self._hooked or type(self).step is not hooked_step:
            return step(self, *args, **kwargs)
        for hook in [*_step_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()]:
            changed = hook(self, (self, *args), kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"a step pre-hook must return None or (args, kwargs), but returned {changed}")
                (_, *args), kwargs = changed
        result = step(self, *args, **kwargs)
        for hook in [*self._optimizer_step_post_hooks.values(), *_step_post_hooks.values()]:
            hook(self, (self, *args), kwargs)
        return result

    return hooked_step


def _fitted(value: Any, parameter: Tensor, key: Any = None) -> Any:
    """A copy of a parameter's saved state, in the dtype and on the device of the parameter; `step` keeps its dtype."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.clone()
        dtype = parameter.dtype if parameter.is_floating_point() else value.dtype
        return value.to(device=parameter.device, dtype=dtype, copy=True)
    if isinstance(value, dict):
        return {name: _fitted(entry, parameter, name) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fitted(entry, parameter) for entry in value)
    return value


def check_not_negative(optimizer: str, **settings: Any) -> None:
    """Raises ValueError for the first setting below zero (or not a number)."""
    for name, value in settings.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"{optimizer}: {name} must be one number, but is a tensor of shape {tuple(value.shape)}")
        if not value >= 0:
            raise ValueError(f"{optimizer}: {name} must not be negative, but is {value}")


def check_modes(optimizer: str, foreach: bool | None, fused: bool | None, differentiable: bool) -> None:
    """The ways PyTorch may carry out a step; here it is always one native call, so they are only checked."""
    if foreach and fused:
        raise RuntimeError(f"{optimizer}: foreach and fused cannot both be True")
    if differentiable:
        raise ValueError(
            f"{optimizer}: differentiable=True is not supported, steps are not recorded; to differentiate through "
            "a step, write it with tensor operations on what autograd.grad(..., create_graph=True) gives"
        )
