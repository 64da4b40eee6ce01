"""Settings of a compiler that is not there: they are kept and change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

assume_static_by_default = True
automatic_dynamic_shapes = True
cache_size_limit = 8
recompile_limit = 8
accumulated_cache_size_limit = 256
capture_scalar_outputs = False
capture_dynamic_output_shape_ops = False
inline_inbuilt_nn_modules = True
optimize_ddp = True
suppress_errors = False
verbose = False
disable = False


@contextlib.contextmanager
def patch(arg: str | dict[str, Any] | None = None, value: Any = None, **changes: Any) -> Iterator[None]:
    """Sets settings and takes them back; also a decorator."""
    settings = globals()
    new = {**(arg if isinstance(arg, dict) else {arg: value} if arg else {}), **changes}
    before = {name: settings[name] for name in new if name in settings}
    settings.update(new)
    try:
        yield
    finally:
        for name in new:
            settings.pop(name)
        settings.update(before)
