"""tessel: a deep-learning engine in one small wheel, with PyTorch's names, defaults and semantics.

    import tessel as torch

Functions and Tensor come straight from the extension; layers, optimizers and data are loaded when they are first used.
"""

from math import e, inf, nan, pi

from . import _C
from ._C import *  # noqa: F403
from .autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from .random import get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__version__ = "0.1.0"

newaxis = None
# PyTorch has these as functions too; of those with an underscore in front `import *` brings none.
globals().update({name: getattr(_C.Tensor, name) for name in "addmv_ gcd_ index_put_ lcm_ ldexp_ xlogy_".split()})
globals().update({name: value for name, value in vars(_C).items() if name.startswith("_foreach_")})

# What `import tessel` does not load: name -> "module" for the module itself, "module:name" for what stands in it.
_LAZY = {
    **{
        module: module
        for module in """__config__ _dynamo _utils accelerator amp array_api autograd backends compiler cpu cuda
        distributed distributions fft func hpu hub jit linalg mps mtia multiprocessing nn npu onnx optim profiler random
        serialization signal special testing utils version xpu""".split()
    },
    "_standard_gamma": "_C:_standard_gamma",
    "_standard_gamma_grad": "_C:_standard_gamma_grad",
    "TypedStorage": "_storage:TypedStorage",
    "autocast": "amp:autocast",
    **{
        name: f"amp:{name}"
        for name in """autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache
        get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype is_autocast_cache_enabled
        is_autocast_cpu_enabled is_autocast_enabled set_autocast_cache_enabled set_autocast_cpu_dtype
        set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype""".split()
    },
    "compile": "compiler:compile",
    "finfo": "_limits:finfo",
    "fork_rng": "random:fork_rng",
    "get_printoptions": "_tensor_str:get_printoptions",
    "iinfo": "_limits:iinfo",
    "load": "serialization:load",
    "pca_lowrank": "_lowrank:pca_lowrank",
    "save": "serialization:save",
    "set_printoptions": "_tensor_str:set_printoptions",
    "svd_lowrank": "_lowrank:svd_lowrank",
    "vmap": "func:vmap",
    **{name: f"_functions:{name}" for name in "frobenius_norm gradient nuclear_norm range unravel_index".split()},
    **{
        name: f"_spectral:{name}"
        for name in "bartlett_window blackman_window hamming_window hann_window istft kaiser_window stft".split()
    },
    **{
        f"{kind}Tensor": f"_legacy:{kind}Tensor"
        for kind in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
    },
    **{
        name: f"settings:{name}"
        for name in """_assert _check _check_index _check_is_size _check_not_implemented _check_type _check_value
        are_deterministic_algorithms_enabled compiled_with_cxx11_abi get_deterministic_debug_mode
        get_float32_matmul_precision get_num_interop_threads is_deterministic_algorithms_warn_only_enabled is_storage
        is_vulkan_available is_warn_always_enabled set_default_tensor_type set_deterministic_debug_mode
        set_float32_matmul_precision set_flush_denormal set_num_interop_threads set_warn_always typename
        use_deterministic_algorithms""".split()
    },
}


def __getattr__(name: str):
    if name.startswith("_") and name not in _LAZY:  # `from . import _names` asks first
        raise AttributeError(f"module 'tessel' has no attribute '{name}'")
    from . import _names

    return _names.load(__name__, _LAZY, name)


def __dir__():
    from . import _names

    return _names.names_there(__name__, _LAZY)
