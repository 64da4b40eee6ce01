"""The CPU as a device, for programs that treat it like others."""

from __future__ import annotations

from .. import _C, _names

__getattr__, __dir__ = _names.lazily(__name__, ["amp"])


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """ "cpu"."""
    return "cpu"


def set_device(device: object) -> None:
    """Nothing to do: there is one CPU."""


def synchronize(device: object = None) -> None:
    """Nothing to do: ops on the CPU are done when they return."""


def get_capabilities() -> dict[str, object]:
    """The instruction set in use."""
    return {"target": _C._cpu_target()}
