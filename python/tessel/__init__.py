"""tessel: a deep-learning engine in one small wheel, with PyTorch's names, defaults and semantics."""

from . import _C
from ._C import *  # noqa: F403

__version__ = "0.1.0"
