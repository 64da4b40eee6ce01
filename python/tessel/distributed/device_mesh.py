"""DeviceMesh: processes in a grid, every side of which is 1 in a world of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _C, _names
from .._C import Tensor
from . import ProcessGroup, is_initialized

__all__ = ["DeviceMesh", "init_device_mesh"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


class DeviceMesh:
    """A grid of one process, of any number of dimensions."""

    def __init__(self, device_type: str, mesh: Any, *, mesh_dim_names: tuple[str, ...] | None = None, **_: Any) -> None:
        self.mesh = mesh if isinstance(mesh, Tensor) else _C.tensor(mesh, dtype=_C.int64)
        if self.mesh.numel() != 1:
            raise NotImplementedError(
                f"DeviceMesh: the mesh has {self.mesh.numel()} processes, but tessel computes in one process"
            )
        self.device_type, self.mesh_dim_names = device_type, mesh_dim_names

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.mesh.dim()

    @property
    def shape(self) -> tuple[int, ...]:
        """Ones."""
        return tuple(self.mesh.shape)

    def size(self, mesh_dim: int | None = None) -> int:
        """1."""
        return 1

    def get_rank(self) -> int:
        """0."""
        return 0

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """0."""
        return 0

    def get_coordinate(self) -> list[int]:
        """Zeros."""
        return [0] * self.ndim

    def get_group(self, mesh_dim: int | str | None = None) -> ProcessGroup:
        """A group of this process."""
        return ProcessGroup()

    def __getitem__(self, names: str | tuple[str, ...]) -> DeviceMesh:
        """The mesh of some dimensions, by name."""
        chosen = (names,) if isinstance(names, str) else tuple(names)
        known = self.mesh_dim_names or ()
        for name in chosen:
            if name not in known:
                raise KeyError(f"DeviceMesh: no dimension is called {name!r}; they are {known}")
        return DeviceMesh(self.device_type, self.mesh.reshape((1,) * len(chosen)), mesh_dim_names=chosen)


def init_device_mesh(
    device_type: str, mesh_shape: tuple[int, ...], *, mesh_dim_names: tuple[str, ...] | None = None, **_: Any
) -> DeviceMesh:
    """A mesh of this process; every side must be 1. Makes a world where there is none."""
    if not is_initialized():
        from . import init_process_group

        init_process_group()
    if mesh_dim_names is not None and len(mesh_dim_names) != len(mesh_shape):
        raise RuntimeError(
            f"init_device_mesh: mesh_shape has {len(mesh_shape)} dimensions, mesh_dim_names {len(mesh_dim_names)}"
        )
    return DeviceMesh(device_type, _C.zeros(mesh_shape, dtype=_C.int64), mesh_dim_names=mesh_dim_names)
