"""Optimizers: they change parameters by their gradients, one native call a step and parameter group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]


if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import lr_scheduler, swa_utils
    from .adadelta import Adadelta
    from .adafactor import Adafactor
    from .adagrad import Adagrad
    from .adamax import Adamax
    from .asgd import ASGD
    from .lbfgs import LBFGS
    from .muon import Muon
    from .nadam import NAdam
    from .radam import RAdam
    from .rmsprop import RMSprop
    from .rprop import Rprop
    from .sparse_adam import SparseAdam
else:
    _LATER = "ASGD Adadelta Adafactor Adagrad Adamax LBFGS Muon NAdam RAdam RMSprop Rprop"
    __getattr__, __dir__ = _names.lazily(
        __name__,
        {
            "lr_scheduler": "lr_scheduler",
            "swa_utils": "swa_utils",
            "SparseAdam": "sparse_adam:SparseAdam",
            **{name: f"{name.lower()}:{name}" for name in _LATER.split()},
        },
    )
