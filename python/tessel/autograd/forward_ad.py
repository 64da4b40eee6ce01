"""Forward mode, which tessel does not have: its names say what to use."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


def _absent(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}: there is no forward mode; func.jvp(f, primals, tangents) and autograd.functional.jvp give the same "
        "derivative by two backward passes"
    )


class dual_level:  # noqa: N801 - PyTorch's name
    def __init__(self) -> None:
        _absent("dual_level")


class UnpackedDualTensor:
    def __init__(self, *args: Any) -> None:
        _absent("UnpackedDualTensor")


def enter_dual_level() -> int:
    _absent("enter_dual_level")


def exit_dual_level(*, level: int | None = None) -> None:
    _absent("exit_dual_level")


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    _absent("make_dual")


def unpack_dual(tensor: Any, *, level: int | None = None) -> Any:
    _absent("unpack_dual")
