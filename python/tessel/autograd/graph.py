"""The graph itself: its nodes, and what is done with the tensors it saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _C

Node = _C.Node


class saved_tensors_hooks:  # noqa: N801 - PyTorch's names
    """Inside, each tensor an op saves for its derivative is replaced by pack_hook(tensor) and brought back by unpack_hook."""

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        _C._push_saved_tensor_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *error: object) -> None:
        _C._pop_saved_tensor_hooks()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Keeps saved tensors in main memory and brings them back to their device when they are needed."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: (x.device, x.cpu()), lambda packed: packed[1].to(packed[0]))
