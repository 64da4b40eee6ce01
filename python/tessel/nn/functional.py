"""Functional forms of the layers, straight from the engine: what `_C._nn` holds stands here under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "sigmoid",
    "tanh",
)
_native = {name: getattr(_C, name) for name in _SHARED if hasattr(_C, name)}
_native |= {name: function for name, function in vars(_C._nn).items() if not name.startswith("_")}
globals().update(_native)

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

__all__ = [*_native, "gumbel_softmax", "multi_head_attention_forward", "triplet_margin_with_distance_loss"]


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
