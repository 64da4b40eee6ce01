"""Initialisation of parameters. Every function with a trailing underscore fills its tensor in place, unseen by
autograd, and returns it; `generator` is where random numbers come from, by default the global one."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from .. import _C, _names
from .._C import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_PLAIN_GAIN = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are scaled to keep the variance of activations through a nonlinearity.

    1 for linear layers and sigmoid, 5/3 for tanh, sqrt(2) for relu, 3/4 for selu, and
    sqrt(2 / (1 + slope^2)) for leaky_relu with the slope `param`, 0.01 by default.
    """
    if nonlinearity in _PLAIN_GAIN or nonlinearity == "sigmoid":
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the negative slope must be a number, not {slope!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output depends on, and how many outputs an input reaches: of a weight (out, in, *kernel)."""
    if tensor.dim() < 2:
        raise ValueError(f"init: fan in and fan out need at least 2 dimensions, not {tuple(tensor.shape)}")
    outputs, inputs, *kernel = tensor.shape
    area = math.prod(kernel)
    return inputs * area, outputs * area


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def _no_grad() -> Any:
    from ..autograd import no_grad

    return no_grad()


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b)."""
    with _no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    with _no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal with the given mean and standard deviation, cut off outside [a, b]: the inverse of the distribution
    function is applied to uniform numbers between the values it has at a and b."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: the mean {mean} lies more than 2 std ({std}) outside [{a}, {b}]; "
            "the values may not follow the distribution well",
            stacklevel=2,
        )

    def cdf(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = cdf((a - mean) / std), cdf((b - mean) / std)
    with _no_grad():
        tensor.uniform_(2 * low - 1, 2 * high - 1, generator=generator)
        tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean)
        return tensor.clamp_(min=a, max=b)  # erfinv of the outermost numbers may round past the bounds


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    with _no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    with _no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, as far as a tensor (m, n) has room for it."""
    if tensor.dim() != 2:
        raise ValueError(f"eye_: expected a 2-d tensor, not {tuple(tensor.shape)}")
    with _no_grad():
        return tensor.copy_(_C.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The convolution weight (out, in, *kernel), of 3 to 5 dimensions, that passes its input channels through: a 1 in
    the middle of the kernel where input and output channel agree, in each of `groups` groups."""
    if tensor.dim() not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a tensor of 3 to 5 dimensions, not {tuple(tensor.shape)}")
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups:
        raise ValueError(f"dirac_: {outputs} output channels cannot be cut into {groups} groups")
    outputs //= groups
    middle = tuple(size // 2 for size in kernel)
    with _no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(outputs, inputs)):
                centre = (group * outputs + channel, channel, *middle)
                tensor[centre] = 1
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan in + fan out)).

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with std gain sqrt(2 / (fan in + fan out)). Source as `xavier_uniform_`."""
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    """gain / sqrt(fan), or None for an empty tensor, which is left alone."""
    if 0 in tensor.shape:
        warnings.warn("init: an empty tensor is left as it is", stacklevel=3)
        return None
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan), with the gain of the nonlinearity (`a`: the slope of leaky_relu) and the fan of
    `mode`: "fan_in" keeps the variance forward, "fan_out" backward.

    Source: He et al., "Delving Deep into Rectifiers", 2015.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with std gain / sqrt(fan); arguments and source as `kaiming_uniform_`."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times `gain`; dimensions behind the first count as one.

    It is the Q of a normal matrix's QR decomposition, with the signs that make R's diagonal positive, so that every
    orthogonal matrix is equally likely. Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", 2013.
    """
    import numpy as np

    if tensor.dim() < 2:
        raise ValueError(f"orthogonal_: expected at least 2 dimensions, not {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    with _no_grad():
        normal = _C.empty((rows, columns), dtype=_C.float64).normal_(0, 1, generator=generator).numpy()
        q, r = np.linalg.qr(normal.T if rows < columns else normal)
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0) * gain
        values = np.ascontiguousarray(q.T if rows < columns else q)
        return tensor.copy_(_C.from_numpy(values).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal with the given std, and the share `sparsity` of every column (of a 2-d tensor) set to zero.

    Source: Martens, "Deep learning via Hessian-free optimization", 2010.
    """
    if tensor.dim() != 2:
        raise ValueError(f"sparse_: expected a 2-d tensor, not {tuple(tensor.shape)}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with _no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[_C.randperm(rows, generator=generator)[:zeros], column] = 0
    return tensor


def _without_underscore(function: Any) -> Any:
    """The function under its older name, with a warning."""
    name = function.__name__

    def older(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    older.__name__ = name[:-1]
    older.__doc__ = f"{name}, under its older name."
    return older


uniform = _without_underscore(uniform_)
normal = _without_underscore(normal_)
constant = _without_underscore(constant_)
eye = _without_underscore(eye_)
dirac = _without_underscore(dirac_)
xavier_uniform = _without_underscore(xavier_uniform_)
xavier_normal = _without_underscore(xavier_normal_)
kaiming_uniform = _without_underscore(kaiming_uniform_)
kaiming_normal = _without_underscore(kaiming_normal_)
orthogonal = _without_underscore(orthogonal_)
sparse = _without_underscore(sparse_)


if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)
