"""Neighbours that run as one: a product (Linear, Conv) and the activation module behind it, in one pass over the
result; a residual connection and the norm behind it.

The engine gives the two together the bits and the graph that they have apart, so nothing could tell but somebody who
stands between them: a hook, a subclass, a forward put in the place of ours. Where anybody does, they are called apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _C
from .._C import Tensor
from . import functional as F
from .activation import GELU, ReLU, Sigmoid, SiLU, Tanh
from .conv import Conv1d, Conv2d, Conv3d, _ConvNd
from .linear import Linear
from .module import Module, _tell_where
from .normalization import LayerNorm, RMSNorm

__all__ = ["PRODUCTS", "activation_of", "add_norm", "run_together"]


class _Known(NamedTuple):
    """A class as it was made here, and what stands for its forward."""

    forward: Callable[..., Any]
    does: Callable[..., Any]


def _linear(layer: Any, input: Tensor, activation: str, inplace: bool) -> Tensor:
    return _C._ops.linear(input, layer.weight, layer.bias, activation, inplace)


def _conv(layer: Any, input: Tensor, activation: str, inplace: bool) -> Tensor:
    padding = layer.padding
    if layer.padding_mode != "zeros":
        input = F.pad(input, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)
        padding = (0,) * layer.dims
    convolve = getattr(_C._ops, f"conv{layer.dims}d")
    return convolve(
        input, layer.weight, layer.bias, layer.stride, padding, layer.dilation, layer.groups, activation, inplace
    )


PRODUCTS: dict[type[Module], _Known] = {
    Linear: _Known(Linear.forward, _linear),
    **{kind: _Known(_ConvNd.forward, _conv) for kind in (Conv1d, Conv2d, Conv3d)},
}
_GELU = {"none": "gelu", "tanh": "gelu_tanh"}
_ACTIVATIONS: dict[type, _Known] = {  # the name of the function, and whether it overwrites its input
    GELU: _Known(GELU.forward, lambda module: (_GELU.get(module.approximate), False)),
    ReLU: _Known(ReLU.forward, lambda module: ("relu", module.inplace)),
    SiLU: _Known(SiLU.forward, lambda module: ("silu", module.inplace)),
    Sigmoid: _Known(Sigmoid.forward, lambda module: ("sigmoid", False)),
    Tanh: _Known(Tanh.forward, lambda module: ("tanh", False)),
}
_FUNCTIONS = {id(getattr(F, name)): name for name in ("gelu", "relu", "sigmoid", "silu", "tanh")}
_NORMS: dict[type[Module], _Known] = {
    LayerNorm: _Known(
        LayerNorm.forward,
        lambda norm, x, more: _C._ops.add_layer_norm(x, more, norm.normalized_shape, norm.weight, norm.bias, norm.eps),
    ),
    RMSNorm: _Known(
        RMSNorm.forward,
        lambda norm, x, more: _C._ops.add_rms_norm(x, more, norm.normalized_shape, norm.weight, norm.eps),
    ),
}
_CALL = Module.__call__


def _untouched(module: Module, known: _Known) -> bool:
    """Whether a call of the module is a call of the forward we know, and of nothing else."""
    kind = type(module)
    return (
        module._call_hooks is None
        and kind.forward is known.forward
        and kind.__call__ is _CALL
        and "forward" not in module.__dict__
    )


def activation_of(product: Module, follower: Any) -> tuple[str, bool] | None:
    """The activation that the product can take along for `follower`, a module or a function; None: call them apart."""
    known = _ACTIVATIONS.get(type(follower))
    if known is not None:
        name, inplace = known.does(follower) if _untouched(follower, known) else (None, False)
    else:
        name, inplace = _FUNCTIONS.get(id(follower)), False
    if name is None:
        return None
    known = PRODUCTS.get(type(product))
    return (name, inplace) if known is not None and _untouched(product, known) else None


def run_together(product: Module, activation: tuple[str, bool], input: Any) -> Any:
    """The activation of product(input)."""
    try:
        return PRODUCTS[type(product)].does(product, input, *activation)
    except Exception as error:
        _tell_where(error, product)
        raise


def add_norm(x: Tensor, more: Tensor, norm: Module) -> tuple[Tensor, Tensor]:
    """norm(x + more), and the sum."""
    known = _NORMS.get(type(norm))
    if known is None or not _untouched(norm, known):
        total = x + more
        return norm(total), total
    try:
        y, total = known.does(norm, x, more)
    except Exception as error:
        _tell_where(error, norm)
        raise
    return y, total
