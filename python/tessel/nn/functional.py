"""Functional forms of the layers, straight from the engine: what `_C._nn` holds stands here under the same names."""

from __future__ import annotations

from .. import _C
from .._C import Tensor

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

__all__ = [*_native, "gumbel_softmax", "normalize", "softmin"]


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: object = None) -> Tensor:
    """softmax(-x) along `dim`."""
    return _C._nn.softmax(-input, dim, dtype=dtype)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x / max(||x||_p, eps), with the p-norm along `dim`; zero vectors stay zero."""
    length = input.norm(p, dim, keepdim=True).clamp_min(eps)
    return input / length if out is None else _C.div(input, length, out=out)


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
