"""DistributedDataParallel: a module trained by several processes, which is the module in a world of one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """Calls `module`; there are no other processes to average gradients with.

    The keys of its state_dict begin with `module.`, as in PyTorch. Other arguments are accepted and change nothing.

    Raises:
        ValueError: no world was made (distributed.init_process_group).
        RuntimeError: no parameter of the module requires a gradient.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        **_: Any,
    ) -> None:
        from ... import distributed

        super().__init__()
        distributed.get_world_size(process_group)
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                f"DistributedDataParallel: no parameter of {type(module).__name__} requires a gradient;"
                " use the module itself"
            )
        self.module = module
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim
        self.process_group = process_group
        self.find_unused_parameters = find_unused_parameters
        self.static_graph = static_graph
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """A context in which gradients are not averaged, which they never need to be."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextlib.contextmanager
    def join(self, *_: Any, **__: Any) -> Iterator[None]:
        """A context for uneven inputs, which one process does not have."""
        yield

    def register_comm_hook(self, state: object, hook: Any) -> None:
        """Nothing is communicated, so that the hook is never called."""
