"""The Python array API standard 2024.12 over tessel's tensors: https://data-apis.org/array-api/2024.12

    import tessel.array_api as xp

Where PyTorch's functions and the standard differ in names, defaults or promotion, these are the standard's. Of unsigned
integers there is uint8 alone.
"""

from typing import TYPE_CHECKING, Any

from .. import _names
from .._C import (
    bool,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from .._limits import finfo as _finfo
from .._limits import iinfo as _iinfo
from ._core import *  # noqa: F403
from ._core import __array_namespace_info__

__array_api_version__ = "2024.12"


def finfo(type: Any, /) -> Any:
    """The limits of a floating point dtype, or of an array's."""
    return _finfo(getattr(type, "dtype", type))


def iinfo(type: Any, /) -> Any:
    """The limits of an integer dtype, or of an array's."""
    return _iinfo(getattr(type, "dtype", type))


if TYPE_CHECKING:
    from . import fft, linalg
else:
    __getattr__, __dir__ = _names.lazily(__name__, ("fft", "linalg"))
