"""Layers that learn the size of their input from the first one: LazyLinear and its kin, LazyModuleMixin, and the
parameters without a shape that they hold until then."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .linear import Linear
from .parameter import Parameter

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
    "UninitializedBuffer",
    "UninitializedParameter",
]


class UninitializedTensorMixin:
    """A tensor whose shape is not known yet; `materialize` gives it one, and makes it an ordinary tensor."""

    cls_to_become: type

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Takes memory for this shape, and the class `cls_to_become`; the values are not initialised."""
        own: Any = self
        device = own.data.device if device is None else device
        dtype = own.data.dtype if dtype is None else dtype
        own.data = _C.empty(shape, device=device, dtype=dtype)
        own.__class__ = self.cls_to_become

    @property  # type: ignore[override,unused-ignore]
    def shape(self) -> Any:
        raise RuntimeError(
            f"{type(self).__name__}: the shape is not known before the module's first call; "
            "call forward once, or materialize(shape)"
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(f"{type(self).__name__}: cannot be shared before it has a shape; call forward once")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def is_lazy(param: Any) -> bool:
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc,override]
    """A parameter of a shape that is not known yet."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        return Tensor._make_subclass(cls, _C.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copy = memo.get(id(self))
        if copy is None:
            copy = type(self)(self.requires_grad, self.data.device, self.data.dtype)
            memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad, None, self.data.dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc,override]
    """A buffer of a shape that is not known yet."""

    cls_to_become = Tensor
    persistent: bool

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        buffer: UninitializedBuffer = Tensor._make_subclass(cls, _C.empty(0, device=device, dtype=dtype), requires_grad)
        buffer.persistent = persistent
        return buffer

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        raise TypeError("UninitializedBuffer: a module puts a new buffer in its place")


class LazyModuleMixin:
    """Makes a layer wait for its first input: before that call `initialize_parameters(input)` gives its uninitialised
    parameters their shapes, and the layer becomes a `cls_to_become`.

    It stands before the layer in a class's list of bases. A state dict saved after the first call can be loaded before
    one; the shapes then come from there.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self
        self._load_hook = own._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = own.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        own: Any = self
        for name, tensor in [*own._parameters.items(), *own._persistent_buffers()]:
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *unused: Any) -> None:
        own: Any = self
        for table in (own._parameters, own._buffers):
            for name, tensor in list(table.items()):
                given = state_dict.get(prefix + name)
                if is_lazy(tensor) and given is not None and not is_lazy(given):
                    self._materialize(name, tuple(given.shape))

    def _materialize(self, name: str, shape: tuple[int, ...]) -> None:
        """Gives a parameter, which keeps its identity, or a buffer memory of this shape."""
        own: Any = self
        if name in own._parameters:
            own._parameters[name].materialize(shape)
        else:
            waiting = own._buffers[name].data
            own._buffers[name] = _C.empty(shape, dtype=waiting.dtype, device=waiting.device)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives the parameters their shapes, from what the first call is given; every lazy layer defines it."""
        raise NotImplementedError(f"{type(self).__name__}: initialize_parameters is not defined")

    def has_uninitialized_params(self) -> bool:
        """Whether something still waits for its shape."""
        own: Any = self
        return any(map(is_lazy, [*own._parameters.values(), *own._buffers.values()]))

    def _infer_parameters(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"{type(module).__name__}: the module has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _replicate_for_data_parallel(self) -> Any:
        raise RuntimeError(f"{type(self).__name__}: call the module once before it is replicated")


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear whose in_features is the size of the first input's last dimension."""

    cls_to_become = Linear
    weight: UninitializedParameter  # type: ignore[assignment]

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:  # type: ignore[override]
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self._materialize("weight", (self.out_features, self.in_features))
            if self.bias is not None:
                self._materialize("bias", (self.out_features,))
            self.reset_parameters()
        self.in_features = self.weight.shape[-1]


class _LazyConvMixin(LazyModuleMixin):
    """What the lazy convolutions share; the class behind it takes in_channels first, which here is not asked for."""

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, 0, kernel_size, *args, **kwargs)
        own: Any = self
        if out_channels % own.groups:
            raise ValueError(
                f"{type(self).__name__}: out_channels must be divisible by groups, not {out_channels} by {own.groups}"
            )
        own.out_channels = out_channels
        options = {"device": own.weight.device, "dtype": own.weight.dtype}
        own.weight = UninitializedParameter(**options)
        if own.bias is not None:
            own.bias = UninitializedParameter(**options)

    def reset_parameters(self) -> None:
        own: Any = self
        if not self.has_uninitialized_params() and own.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        own: Any = self
        name = type(self).__name__
        if input.dim() not in (own.dims + 1, own.dims + 2):
            raise RuntimeError(
                f"{name}: expected {own.dims + 1}D (unbatched) or {own.dims + 2}D (batched) input, "
                f"but got input of size {tuple(input.shape)}"
            )
        own.in_channels = input.shape[-own.dims - 1]
        if own.in_channels % own.groups:
            raise ValueError(f"{name}: in_channels must be divisible by groups, not {own.in_channels} by {own.groups}")
        if self.has_uninitialized_params():
            self._materialize("weight", own._weight_shape())
            if own.bias is not None:
                self._materialize("bias", (own.out_channels,))
            own.reset_parameters()


class _LazyNormMixin(LazyModuleMixin):
    """What the lazy norms share; the class behind it takes num_features first, which here is not asked for."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=bias)
        own: Any = self
        own.affine = affine
        own.track_running_stats = track_running_stats
        if affine:
            own.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                own.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            own.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            own.running_var = UninitializedBuffer(device=device, dtype=dtype)
            own.num_batches_tracked = _C.tensor(0, dtype=_C.int64, device=device)

    def reset_parameters(self) -> None:
        own: Any = self
        if not self.has_uninitialized_params() and own.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:  # type: ignore[override]
        own: Any = self
        unbatched = issubclass(own.cls_to_become, _InstanceNorms) and input.dim() == own.input_dims[0]
        own.num_features = input.shape[0 if unbatched else 1]
        if self.has_uninitialized_params():
            for table in (own._parameters, own._buffers):
                for name, tensor in list(table.items()):
                    if is_lazy(tensor):
                        self._materialize(name, (own.num_features,))
            own.reset_parameters()


_InstanceNorms = (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)


class LazyConv1d(_LazyConvMixin, Conv1d):
    """A Conv1d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvMixin, Conv2d):
    """A Conv2d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvMixin, Conv3d):
    """A Conv3d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvMixin, ConvTranspose1d):
    """A ConvTranspose1d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvMixin, ConvTranspose2d):
    """A ConvTranspose2d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvMixin, ConvTranspose3d):
    """A ConvTranspose3d whose in_channels are those of the first input; arguments without in_channels."""

    cls_to_become = ConvTranspose3d


class LazyBatchNorm1d(_LazyNormMixin, BatchNorm1d):
    """A BatchNorm1d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNormMixin, BatchNorm2d):
    """A BatchNorm2d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNormMixin, BatchNorm3d):
    """A BatchNorm3d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNormMixin, InstanceNorm1d):
    """A InstanceNorm1d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNormMixin, InstanceNorm2d):
    """A InstanceNorm2d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNormMixin, InstanceNorm3d):
    """A InstanceNorm3d whose num_features are the channels of the first input; arguments without num_features."""

    cls_to_become = InstanceNorm3d
