"""Linear algebra, straight from the engine: norms, products of vectors and matrices."""

from . import _C

_native = {name: function for name, function in vars(_C._linalg).items() if not name.startswith("_")}
globals().update(_native)

__all__ = list(_native)
