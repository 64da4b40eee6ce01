"""Instance normalisation over (c, ...) or (n, c, ...) of one, two or three spatial dimensions."""

from __future__ import annotations

import warnings
from typing import Any

from .._C import Tensor
from . import functional as F
from .batchnorm import _Norm

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _InstanceNorm(_Norm):
    """What the instance norms share; of `input_dims` the first has no batch."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        dim = input.dim() - self.input_dims[0]
        if input.shape[dim] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"{type(self).__name__}: expected input's size at dim={dim} to match num_features "
                    f"({self.num_features}), but got: {input.shape[dim]}"
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features; without affine it is not used",
                stacklevel=2,
            )
        x = input if dim else input.unsqueeze(0)
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if dim else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and variance of each channel of each sample.

    Shapes: x and y (n, c, l) or (c, l); weight and bias (c,) with `affine`. With `track_running_stats` means over the
    samples seen are kept, and used in evaluation.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance Normalization", 2016.
    """

    input_dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """As InstanceNorm1d for images: x and y (n, c, h, w) or (c, h, w)."""

    input_dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """As InstanceNorm1d for volumes: x and y (n, c, d, h, w) or (c, d, h, w)."""

    input_dims = (4, 5)
