"""Functional forms of the layers, straight from the engine: what `_C._nn` holds stands here under the same names."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _C, _names
from .._C import Tensor
from .multihead import multi_head_attention_forward

# Functions that PyTorch has both as torch.f and as torch.nn.functional.f, with one signature.
_SHARED = (
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "avg_pool1d",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_similarity",
    "pairwise_distance",
    "prelu",
    "sigmoid",
    "tanh",
)
_native = {name: getattr(_C, name) for name in _SHARED if hasattr(_C, name)}
_native |= {name: function for name, function in vars(_C._nn).items() if not name.startswith("_")}
globals().update(_native)

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

__all__ = [
    *_native,
    "gumbel_softmax",
    "linear_cross_entropy",
    "multi_head_attention_forward",
    "triplet_margin_with_distance_loss",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample from the Gumbel-softmax distribution along `dim`, sharper for smaller `tau`.

    With `hard` the result is one-hot, and its gradient that of the soft sample. Source: Jang et al., "Categorical
    Reparameterization with Gumbel-Softmax", 2016.
    """
    noise = -_C.empty_like(logits).exponential_().log()
    soft = _C._nn.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = _C.zeros_like(logits).scatter_(dim, soft.max(dim, keepdim=True)[1], 1.0)
    return chosen - soft.detach() + soft


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for a distance of one's own.

    With `swap` the negative's distance is the lesser of those to the anchor and to the positive. Source: Balntas et
    al., "Learning local feature descriptors with triplets and shallow convolutional neural networks", 2016.
    """
    if margin <= 0:
        raise ValueError(f"triplet_margin_with_distance_loss: margin must be greater than 0, got {margin}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    dims = (anchor.dim(), positive.dim(), negative.dim())
    if len(set(dims)) > 1:
        raise RuntimeError(f"triplet_margin_with_distance_loss: inputs must have as many dimensions, but have {dims}")
    distance = _C.pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _C.minimum(far, distance(positive, negative))
    loss = (near - far + margin).clamp_min(0)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target).

    With `options` (nn.LinearCrossEntropyOptions) and class indices for targets the logits are made for some samples at
    a time, forward and backward, and never held all at once. Shapes: input (n, in) or (in,), linear_weight (classes, *,
    in), target (n, *) or (n, classes, *) of probabilities.
    """
    name = "linear_cross_entropy"
    if input.dim() not in (1, 2):
        raise RuntimeError(f"{name}: expected input to be 1- or 2-dimensional, got {tuple(input.shape)}")
    if linear_weight.dim() < 2:
        raise RuntimeError(f"{name}: expected linear_weight of at least 2 dimensions, got {tuple(linear_weight.shape)}")
    classes, *positions, width = linear_weight.shape
    if input.shape[-1] != width:
        raise RuntimeError(f"{name}: input has {input.shape[-1]} features, but linear_weight has {width}")
    if positions and input.dim() == 1:
        raise RuntimeError(f"{name}: linear_weight of {tuple(linear_weight.shape)} requires input with a batch")
    shape = (*input.shape[:-1], classes, *positions)
    if tuple(target.shape) == shape and target.is_floating_point() and ignore_index is not None:
        raise RuntimeError(f"{name}: ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    indices = target.dtype in (_C.int64, _C.uint8) and target.dim() == input.dim() - 1
    if options is not None and indices and not positions:
        batched = input.dim() == 2
        x, wanted = (input, target) if batched else (input.unsqueeze(0), target.unsqueeze(0))
        loss = _C._ops.linear_cross_entropy(
            x,
            linear_weight,
            wanted,
            linear_bias=linear_bias,
            weight=weight,
            reduction=reduction,
            ignore_index=ignored,
            label_smoothing=label_smoothing,
            rows=options.rows(x.shape[0], width, classes),
        )
        return loss if batched or reduction != "none" else loss.squeeze(0)
    if options is not None:
        warnings.warn(f"{name}: options are for class indices and 2-d weights; here all logits are made", stacklevel=2)
    rows = classes * math.prod(positions)
    bias = None if linear_bias is None else linear_bias.reshape(rows)
    logits = _C._nn.linear(input, linear_weight.reshape(rows, width), bias).reshape(shape)
    return _C._nn.cross_entropy(
        logits, target, weight=weight, reduction=reduction, ignore_index=ignored, label_smoothing=label_smoothing
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """interpolate, under its older name."""
    warnings.warn("nn.functional.upsample is deprecated. Use nn.functional.interpolate instead.", stacklevel=2)
    return _C._nn.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode "nearest", under its older name."""
    warnings.warn("nn.functional.upsample_nearest is deprecated. Use nn.functional.interpolate instead.", stacklevel=2)
    return _C._nn.interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode "bilinear" and aligned corners, under its older name."""
    warnings.warn("nn.functional.upsample_bilinear is deprecated. Use nn.functional.interpolate instead.", stacklevel=2)
    return _C._nn.interpolate(input, size, scale_factor, "bilinear", align_corners=True)
