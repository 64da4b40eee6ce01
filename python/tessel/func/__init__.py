"""Functions of functions: derivatives, Jacobians, maps over a dimension, modules as functions of their parameters.

The names are torch.func's. Derivatives run backwards through the recorded graph (jvp twice); vmap calls the function
once for each slice and stacks the results, so it saves writing, not time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import _names
from .derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from .mapping import vmap
from .modules import functional_call, replace_all_batch_norm_modules_, stack_module_state

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]


if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """func itself: nothing is traced here, so there is nothing that writing in place would disturb."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize: valid options for remove= are 'mutations' and 'mutations_and_views', got {remove!r}"
        )
    return func
