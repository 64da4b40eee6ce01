"""state_dict and load_state_dict: the part of Module that writes its parameters and buffers out and reads them back."""

from __future__ import annotations

import itertools
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

from .._C import Tensor
from .hooks import Hookable
from .parameter import Parameter

EXTRA_STATE_KEY = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: the keys the module lacks in the state dict, and those it does not know."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _SizeMismatch(str):
    """An error message that also remembers its row in the table of `load_state_dict`."""

    key: str
    expected: tuple[int, ...]
    found: tuple[int, ...]

    def __new__(cls, key: str, expected: Tensor, found: Tensor) -> _SizeMismatch:
        expected_shape, found_shape = tuple(expected.shape), tuple(found.shape)
        text = f"size mismatch for {key}: the state dict has {found_shape}, the module has {expected_shape}"
        message = super().__new__(cls, text)
        message.key, message.expected, message.found = key, expected_shape, found_shape
        return message


class Stateful(Hookable):
    """The part of Module that saves and loads; it reads the tables `_parameters`, `_buffers` and `_modules`."""

    _version: int = 1

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Any]

    def get_extra_state(self) -> Any:
        """Further state of the module, saved under the key `_extra_state`; override it together with
        `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: not defined, although set_extra_state is")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: not defined, although get_extra_state is")

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers of this module and those below it, by dotted name.

        The tensors share memory with the module.

        Args:
            destination: the dict to write into; a new OrderedDict by default.
            prefix: put before every key.
            keep_vars: give the parameters themselves instead of detached tensors.
        """
        if args:  # the older positional form: destination, prefix, keep_vars
            destination = args[0]
            prefix = args[1] if len(args) > 1 else prefix
            keep_vars = args[2] if len(args) > 2 else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata

        hooks = self._state_hooks
        if hooks is not None:
            for hook in list(hooks.save_pre.values()):
                hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        if hooks is not None:
            for hook in list(hooks.save.values()):
                changed = hook(self, destination, prefix, metadata)
                if getattr(hook, "_from_public_api", False):
                    if changed is not None:
                        raise RuntimeError(
                            "state_dict: a post hook must change the state dict in place, not return one"
                        )
                elif changed is not None:
                    destination = changed
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Writes this module's own entries, without those of its submodules, into `destination`."""
        for name, tensor in itertools.chain(self._parameters.items(), self._persistent_buffers()):
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA_STATE_KEY] = self.get_extra_state()

    def _persistent_buffers(self) -> list[tuple[str, Tensor | None]]:
        return [item for item in self._buffers.items() if item[0] not in self._non_persistent_buffers_set]

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies parameters and buffers from `state_dict` into this module and those below it.

        Args:
            state_dict: tensors by dotted name, as `state_dict()` gives them.
            strict: raise when keys are missing or unexpected. A tensor of another shape raises always.
            assign: take the tensors of `state_dict` over as they are (their dtype and device too) instead of copying
                their values. Optimizers must then be made afterwards.

        Returns:
            The missing and the unexpected keys.

        Raises:
            RuntimeError: one table of everything that does not fit. What does fit has been loaded.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of tensors, not {type(state_dict).__name__}")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        entries = OrderedDict(state_dict)  # hooks may rename keys: the caller's dict stays as it is
        if metadata is not None:
            entries._metadata = metadata  # type: ignore[attr-defined]

        def load(module: Stateful, entries: dict[str, Any], prefix: str) -> None:
            local = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local = {**local, "assign_to_params_buffers": True}
            # Strictness is judged at the end, when the hooks have had their say about both lists.
            module._load_from_state_dict(entries, prefix, local, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    child_prefix = f"{prefix}{name}."
                    load(child, {k: v for k, v in entries.items() if k.startswith(child_prefix)}, child_prefix)
            if module._state_hooks is not None:
                for hook in list(module._state_hooks.load_post.values()):
                    if hook(module, IncompatibleKeys(missing, unexpected)) is not None:
                        raise RuntimeError("load_state_dict: a post hook must change the keys in place, not return any")

        load(self, entries, "")
        if errors or (strict and (missing or unexpected)):
            shown = (missing, unexpected) if strict else ([], [])
            raise RuntimeError(self._mismatch_table(state_dict, *shown, errors))
        return IncompatibleKeys(missing, unexpected)

    def _mismatch_table(
        self, state_dict: Mapping[str, Any], missing: list[str], unexpected: list[str], errors: list[str]
    ) -> str:
        own = self.state_dict(keep_vars=True)

        def shape(tensors: Mapping[str, Any], key: str) -> str:
            return str(tuple(tensors[key].shape)) if isinstance(tensors.get(key), Tensor) else "-"

        rows = [("", "key", "module", "state dict")]
        rows += [("missing", key, shape(own, key), "-") for key in missing]
        rows += [("unexpected", key, "-", shape(state_dict, key)) for key in unexpected]
        mismatches = [error for error in errors if isinstance(error, _SizeMismatch)]
        rows += [("size mismatch", error.key, str(error.expected), str(error.found)) for error in mismatches]
        lines = [f"Error(s) in loading state_dict for {type(self).__name__}:"]
        if len(rows) > 1:
            widths = [max(len(row[column]) for row in rows) for column in range(4)]
            lines += ["    " + "  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip() for row in rows]
        lines += ["    " + error for error in errors if not isinstance(error, _SizeMismatch)]
        return "\n".join(lines)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Loads this module's own entries, without those of its submodules; subclasses override it to read older
        layouts (`local_metadata["version"]` tells which).

        What does not fit is appended to the three lists and raised by `load_state_dict`.
        """
        if self._state_hooks is not None:
            for hook in list(self._state_hooks.load_pre.values()):
                hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

        held = {**self._parameters, **dict(self._persistent_buffers())}
        own = {name: tensor for name, tensor in held.items() if tensor is not None}
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            key = prefix + name
            if key in state_dict:
                error = self._load_tensor(name, key, target, state_dict[key], assign)
                if error is not None:
                    error_msgs.append(error)
            elif strict:
                missing_keys.append(key)

        extra_key = prefix + EXTRA_STATE_KEY
        has_extra = type(self).set_extra_state is not Stateful.set_extra_state
        if has_extra and extra_key in state_dict:
            self.set_extra_state(state_dict[extra_key])
        elif has_extra and strict:
            missing_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and not (has_extra and key == extra_key):
                    name, dot, _ = key[len(prefix) :].partition(".")
                    if name not in (self._modules if dot else own):
                        unexpected_keys.append(key)

    def _load_tensor(self, name: str, key: str, target: Tensor, value: Any, assign: bool) -> str | None:
        """Loads one entry; returns what is wrong with it, or None."""
        if not isinstance(value, Tensor):
            return f"{key}: expected a Tensor in the state dict, found {type(value).__name__}"
        if target.dim() == 0 and value.dim() == 1 and value.shape[0] == 1:
            value = value[0]  # 0-d tensors were saved as one element once
        if value.shape != target.shape:
            return _SizeMismatch(key, target, value)
        from ..autograd import no_grad

        try:
            with no_grad():
                if not assign:
                    target.copy_(value)
                elif not isinstance(target, Parameter):
                    setattr(self, name, value)
                elif isinstance(value, Parameter):
                    setattr(self, name, value.requires_grad_(target.requires_grad))
                else:
                    setattr(self, name, Parameter(value, requires_grad=target.requires_grad))
        except Exception as error:
            return f"{key}: {error}"
        return None
