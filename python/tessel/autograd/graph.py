"""The graph itself: its nodes, and what is done with the tensors it saves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import _C

Node = _C.Node

_refused = threading.local()  # .message: why saved_tensors_hooks may not be used now


class saved_tensors_hooks:  # noqa: N801 - PyTorch's names
    """Inside, each tensor an op saves for its derivative is replaced by pack_hook(tensor) and brought
    back by unpack_hook."""

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if message := getattr(_refused, "message", None):
            raise RuntimeError(message)
        _C._push_saved_tensor_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *error: object) -> None:
        _C._pop_saved_tensor_hooks()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Keeps saved tensors in main memory and brings them back to their device when they are needed."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: (x.device, x.cpu()), lambda packed: packed[1].to(packed[0]))


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, using saved_tensors_hooks raises a RuntimeError with this message."""
    before = getattr(_refused, "message", None)
    _refused.message = error_message
    try:
        yield
    finally:
        _refused.message = before
