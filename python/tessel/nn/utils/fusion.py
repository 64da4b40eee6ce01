"""A convolution or a linear layer and the batch norm behind it, as one layer for evaluation."""

from __future__ import annotations

import copy
from typing import Any

from ... import _C
from ..._C import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _scaled(
    weight: Tensor, bias: Tensor | None, scale: Tensor, mean: Tensor, shift: Tensor, shape: tuple[int, ...]
) -> tuple[Parameter, Parameter]:
    """(w, b) of scale (w x + b - mean) + shift."""
    start = _C.zeros_like(mean) if bias is None else bias
    new_weight = (weight * scale.reshape(shape)).to(weight.dtype)
    new_bias = ((start - mean) * scale + shift).to(weight.dtype if bias is None else bias.dtype)
    grad = weight.requires_grad
    return Parameter(new_weight, grad), Parameter(new_bias, grad if bias is None else bias.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution that gives what batch norm made of the given one's output."""
    scale = (bn_rv + bn_eps).rsqrt() * (1.0 if bn_w is None else bn_w)
    shift = _C.zeros_like(bn_rm) if bn_b is None else bn_b
    channels = (1, -1) if transpose else (-1, 1)
    return _scaled(conv_w, conv_b, scale, bn_rm, shift, (*channels, *(1,) * (conv_w.dim() - 2)))


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer that gives what batch norm made of the given one's output."""
    return _scaled(linear_w, linear_b, bn_w * (bn_rv + bn_eps).rsqrt(), bn_rm, bn_b, (-1, 1))


def _check_eval(name: str, layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise AssertionError(f"{name}: fusion is only for eval(): in training batch norm depends on the batch")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError(f"{name}: the batch norm keeps no running statistics")


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A copy of the convolution that does the batch norm behind it too; both in eval()."""
    _check_eval("fuse_conv_bn_eval", conv, bn)
    fused: Any = copy.deepcopy(conv)
    norm: Any = bn
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A copy of the linear layer that does the batch norm behind it too; both in eval()."""
    _check_eval("fuse_linear_bn_eval", linear, bn)
    fused: Any = copy.deepcopy(linear)
    norm: Any = bn
    if norm.num_features not in (fused.out_features, 1):
        raise AssertionError(
            f"fuse_linear_bn_eval: the linear layer has {fused.out_features} outputs, batch norm {norm.num_features}"
        )
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return fused
