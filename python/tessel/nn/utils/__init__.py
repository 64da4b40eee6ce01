"""Gradient clipping, parameters as one vector, sequences of several lengths (`rnn`), computed parameters
(`parametrize`, `parametrizations`) and fused layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import _names
from . import rnn
from .clip_grad import clip_grad_norm, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "stateless",
    "vector_to_parameters",
    "weight_norm",
]


# What is loaded when it is first used.
_LAZY = {
    "fuse_conv_bn_eval": "fusion:fuse_conv_bn_eval",
    "fuse_conv_bn_weights": "fusion:fuse_conv_bn_weights",
    "fuse_linear_bn_eval": "fusion:fuse_linear_bn_eval",
    "fuse_linear_bn_weights": "fusion:fuse_linear_bn_weights",
    "fusion": "fusion",
    "init": "init",
    "parametrizations": "parametrizations",
    "parametrize": "parametrize",
    "remove_spectral_norm": "norm_hooks:remove_spectral_norm",
    "remove_weight_norm": "norm_hooks:remove_weight_norm",
    "skip_init": "init:skip_init",
    "stateless": "stateless",
    "spectral_norm": "norm_hooks:spectral_norm",
    "weight_norm": "norm_hooks:weight_norm",
}

if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import fusion as fusion
    from . import init as init
    from . import parametrizations as parametrizations
    from . import parametrize as parametrize
    from . import stateless as stateless
    from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
    from .init import skip_init
    from .norm_hooks import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
else:
    __getattr__, __dir__ = _names.lazily(__name__, _LAZY)
