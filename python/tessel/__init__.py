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

# What `import tessel` does not load: name -> (module, attribute), attribute None for the module itself.
_LAZY = {
    "autograd": ("autograd", None),
    "cuda": ("cuda", None),
    "linalg": ("linalg", None),
    "nn": ("nn", None),
    "optim": ("optim", None),
    "serialization": ("serialization", None),
    "utils": ("utils", None),
    "save": ("serialization", "save"),
    "load": ("serialization", "load"),
    "set_printoptions": ("_tensor_str", "set_printoptions"),
    "get_printoptions": ("_tensor_str", "get_printoptions"),
    "finfo": ("_limits", "finfo"),
    "iinfo": ("_limits", "iinfo"),
    **{
        f"{kind}Tensor": ("_legacy", f"{kind}Tensor")
        for kind in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
    },
}


def __getattr__(name: str):
    if name in _LAZY:
        import importlib

        module, attribute = _LAZY[name]
        try:
            found = importlib.import_module(f"tessel.{module}")
        except ModuleNotFoundError as missing:
            if missing.name != f"tessel.{module}":
                raise
        else:
            value = found if attribute is None else getattr(found, attribute)
            globals()[name] = value
            return value
    if name.startswith("__"):
        raise AttributeError(f"module 'tessel' has no attribute '{name}'")
    import difflib

    near = difflib.get_close_matches(name, [*globals(), *_LAZY], 1)
    raise AttributeError(
        f"module 'tessel' has no attribute '{name}'" + (f"; the nearest name there is '{near[0]}'" if near else "")
    )


def __dir__():
    return sorted({*globals(), *_LAZY})
