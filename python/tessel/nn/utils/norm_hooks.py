"""weight_norm and spectral_norm as they were before parametrizations: their parameters stand in the module itself, and
a hook before forward computes the weight."""

from __future__ import annotations

import warnings
from typing import Any

from ... import _C
from ..._C import Tensor
from ...autograd import no_grad
from .. import functional as F
from ..conv import _ConvTransposeNd
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class WeightNorm:
    """Called before the module's forward: computes weight = g v / |v| and puts it where the parameter was."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def _hook_of(module: Module, name: str, kind: type, forget: bool = False) -> Any:
    """The hook of that kind on that parameter, taken from the module with `forget`; None where there is none."""
    hooks = module._call_hooks
    for key, hook in list(hooks.forward_pre.items()) if hooks is not None else ():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            if forget and hooks is not None:
                del hooks.forward_pre[key]
            return hook
    return None


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """weight = g v / |v|, with parameters weight_g and weight_v; its successor is parametrizations.weight_norm."""
    warnings.warn(
        "nn.utils.weight_norm is deprecated in favor of nn.utils.parametrizations.weight_norm.",
        FutureWarning,
        stacklevel=2,
    )
    if _hook_of(module, name, WeightNorm) is not None:
        raise RuntimeError(f"weight_norm: cannot register two weight_norm hooks on the same parameter {name}")
    norm = WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name)
    delattr(module, name)
    with no_grad():
        length = norm_except(weight, norm.dim)
    module.register_parameter(name + "_g", Parameter(length))
    module.register_parameter(name + "_v", Parameter(weight.data))
    setattr(module, name, norm.compute_weight(module))
    module.register_forward_pre_hook(norm)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again, of the value it has."""
    norm = _hook_of(module, name, WeightNorm, forget=True)
    if norm is None:
        raise ValueError(f"remove_weight_norm: weight_norm of {name!r} not found in {module}")
    with no_grad():
        weight = norm.compute_weight(module)
    delattr(module, name)
    del module._parameters[name + "_g"]
    del module._parameters[name + "_v"]
    setattr(module, name, Parameter(weight.data))
    return module


class SpectralNorm:
    """Called before the module's forward: divides the weight by its greatest singular value, which it follows."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: expected n_power_iterations to be positive, got {n_power_iterations}")
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def matrix(self, weight: Tensor) -> Tensor:
        return (weight.movedim(self.dim, 0) if self.dim else weight).flatten(1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(_C.mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(_C.mv(matrix, v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the next call writes over them
        return weight / _C.dot(u, _C.mv(matrix, v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """weight / its greatest singular value, with the parameter weight_orig and the buffers weight_u and weight_v;
    nn.utils.parametrizations.spectral_norm is its successor."""
    if dim is None:
        dim = 1 if isinstance(module, _ConvTransposeNd) else 0
    if _hook_of(module, name, SpectralNorm) is not None:
        raise RuntimeError(f"spectral_norm: cannot register two spectral_norm hooks on the same parameter {name}")
    norm = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = getattr(module, name)
    if weight is None:
        raise ValueError(f"spectral_norm: parameter {name!r} of {type(module).__name__} is None")
    with no_grad():
        matrix = norm.matrix(weight)
        u, v = (F.normalize(weight.new_empty(size).normal_(0, 1), dim=0, eps=eps) for size in matrix.shape)
    del module._parameters[name]
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.data)  # what copies the module finds a tensor there
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(norm)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again, of the value it has."""
    norm = _hook_of(module, name, SpectralNorm, forget=True)
    if norm is None:
        raise ValueError(f"remove_spectral_norm: spectral_norm of {name!r} not found in {module}")
    with no_grad():
        weight = norm.compute_weight(module, False)
    delattr(module, name)
    for buffer in ("_u", "_v"):
        delattr(module, name + buffer)
    delattr(module, name + "_orig")
    module.register_parameter(name, Parameter(weight.detach()))
    return module
