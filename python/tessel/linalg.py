"""Linear algebra: norms and products straight from the engine, decompositions and solvers over LAPACK."""

from typing import Any

from . import _C

_native = {name: function for name, function in vars(_C._linalg).items() if not name.startswith("_")}
globals().update(_native)

__all__ = ["LinAlgError", *_native]  # noqa: F822 - loaded when first used


def __getattr__(name: str) -> Any:
    if name == "LinAlgError":
        from ._linalg import LinAlgError

        return LinAlgError
    from ._names import AbsentName

    raise AbsentName(__name__, name)
