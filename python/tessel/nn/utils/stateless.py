"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._C import Tensor
from ..module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs), with these tensors, by dotted name, in place of its own for this call.

    Gradients flow into the tensors that are given. The module is as it was afterwards.

    Args:
        parameters_and_buffers: one mapping, or several without a common key.
        args: a tuple of arguments, or the only one.
        tie_weights: a tensor that stands under several names is replaced under all of them.
        strict: raise where a parameter or buffer is missing in the mapping.

    Raises:
        ValueError: the mappings have a common key, or tied names are given different tensors.
        RuntimeError: with `strict`, names are missing.
        KeyError: the module has no parameter or buffer of that name.
    """
    given = _merged(parameters_and_buffers)
    own: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    own |= dict(module.named_buffers(remove_duplicate=False))
    unknown = [name for name in given if name not in own]
    if unknown:
        raise KeyError(f"functional_call: {type(module).__name__} has no parameter or buffer {unknown[0]!r}")
    if strict and len(given) < len(own):
        missing = sorted(set(own) - set(given))
        raise RuntimeError(f"functional_call: missing parameters or buffers: {', '.join(missing)}")
    if tie_weights:
        given = _tied(own, given)
    places = [_place(module, name) for name in given]
    before = [table[name] for table, name in places]
    try:
        for (table, name), tensor in zip(places, given.values()):
            table[name] = tensor
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for (table, name), tensor in zip(places, before):
            table[name] = tensor


def _merged(given: Any) -> dict[str, Tensor]:
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, Sequence) or not all(isinstance(part, Mapping) for part in given):
        raise ValueError(f"functional_call: expected a mapping or a sequence of them, not {type(given).__name__}")
    merged: dict[str, Tensor] = {}
    for part in given:
        common = merged.keys() & part.keys()
        if common:
            raise ValueError(f"functional_call: {sorted(common)[0]!r} stands in several of the mappings")
        merged |= part
    return merged


def _tied(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """given, and what it says under one name said under all names of the same tensor."""
    names: dict[int, list[str]] = {}
    for name, tensor in own.items():
        names.setdefault(id(tensor), []).append(name)
    tied = dict(given)
    for name, tensor in given.items():
        for other in names[id(own[name])]:
            if given.get(other, tensor) is not tensor:
                raise ValueError(f"functional_call: {name!r} and {other!r} are tied, but different tensors are given")
            tied[other] = tensor
    return tied


def _place(module: Module, name: str) -> tuple[Any, str]:
    """The table that holds the tensor of this dotted name, and its name there."""
    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    return (owner._parameters if last in owner._parameters else owner._buffers), last
