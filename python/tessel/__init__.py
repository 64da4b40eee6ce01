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

# What `import tessel` does not load: name -> "module" for the module itself, "module:name" for what stands in it.
_LAZY = {
    **{
        module: module
        for module in """__config__ _dynamo _utils accelerator amp array_api autograd backends compiler cuda distributed
        distributions fft func hpu hub jit linalg mps mtia multiprocessing nn npu onnx optim profiler random
        serialization special testing utils version xpu""".split()
    },
    "_standard_gamma": "_C:_standard_gamma",
    "_standard_gamma_grad": "_C:_standard_gamma_grad",
    "autocast": "amp:autocast",
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
    if name.startswith("_") and name not in _LAZY and not name.startswith("_foreach_"):  # `from . import _names` asks
        raise AttributeError(f"module 'tessel' has no attribute '{name}'")
    if name.startswith("_foreach_"):
        from . import _foreach

        if hasattr(_foreach, name):
            return getattr(_foreach, name)
    from . import _names

    return _names.load(__name__, _LAZY, name)


def __dir__():
    from . import _names

    return _names.names_there(__name__, _LAZY)
