"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .. import _C
from .._C import Tensor
from ..nn.module import Module

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def _tables(module: Module) -> dict[str, tuple[dict, str]]:
    """Dotted name -> the table that holds it, and its name there."""
    found = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for table in (part._parameters, part._buffers):
            for name in table:
                found[f"{prefix}.{name}" if prefix else name] = (table, name)
    return found


@contextmanager
def _swapped(module: Module, values: Mapping[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    """The module with these tensors in place of its own; what shares a tensor shares the new one."""
    places = _tables(module)
    unknown = [name for name in values if name not in places]
    missing = [name for name, (table, key) in places.items() if table[key] is not None and name not in values]
    if strict and (unknown or missing):
        raise RuntimeError(
            f"functional_call: Error(s) in loading state for {type(module).__name__}: "
            + "; ".join(
                f"{what} key(s): {', '.join(names)}"
                for what, names in (("Missing", missing), ("Unexpected", unknown))
                if names
            )
        )
    if unknown:
        raise KeyError(f"functional_call: {type(module).__name__} has no parameter or buffer {unknown[0]!r}")
    new = dict(values)
    if tie_weights:
        shared: dict[int, list[str]] = {}
        for name, (table, key) in places.items():
            if table[key] is not None:
                shared.setdefault(id(table[key]), []).append(name)
        for names in shared.values():
            given = [name for name in names if name in values]
            if len({id(values[name]) for name in given}) > 1:
                raise ValueError(
                    f"functional_call: got two different values for the tied weights {given[0]} and {given[1]}; "
                    "tie_weights=False takes them apart"
                )
            if given:
                new.update(dict.fromkeys(names, values[given[0]]))
    before = {}
    try:
        for name, value in new.items():
            table, key = places[name]
            before[name] = table[key]
            table[key] = value
        yield
    finally:
        for name, value in before.items():
            table, key = places[name]
            table[key] = value


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with these tensors in place of its parameters and buffers, which come back afterwards.

    parameter_and_buffer_dicts: name -> tensor, or several such dicts. args: a tuple, or the only argument. With strict
    every parameter and buffer must be given; others may be missing then.
    """
    if isinstance(parameter_and_buffer_dicts, Mapping):
        values = dict(parameter_and_buffer_dicts)
    elif isinstance(parameter_and_buffer_dicts, Sequence) and all(
        isinstance(d, Mapping) for d in parameter_and_buffer_dicts
    ):
        values = {}
        for part in parameter_and_buffer_dicts:
            twice = values.keys() & part.keys()
            if twice:
                raise ValueError(
                    f"functional_call: {sorted(twice)[0]} appears in multiple dictionaries, which is ambiguous"
                )
            values.update(part)
    else:
        raise ValueError(
            "functional_call: Expected parameter_and_buffer_dicts to be a dict or a list of dicts, got "
            f"{type(parameter_and_buffer_dicts).__name__}"
        )
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _swapped(module, values, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of models of one class, each name's tensors stacked: for vmap over functional_call."""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(m.training != models[0].training for m in models):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(tables: list[dict[str, Tensor]], leaves: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in tables[0]:
            parts = [table[name] for table in tables]
            if any(p.requires_grad != parts[0].requires_grad for p in parts):
                raise RuntimeError(f"stack_module_state: Expected {name} of each model to have the same .requires_grad")
            found[name] = _C.stack([p.detach() for p in parts])
            if leaves:
                found[name].requires_grad_(parts[0].requires_grad)
        return found

    parameters = stacked([dict(m.named_parameters()) for m in models], True)
    return parameters, stacked([dict(m.named_buffers()) for m in models], False)


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Batch norms without running statistics, which a function must not change."""
    from ..nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d

    for module in root.modules():
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
