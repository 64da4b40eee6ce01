"""distributed for one process: a world of size 1, in which every collective is the identity.

Programs that ask for their rank, reduce their losses and wait at barriers run as they are. A larger world raises.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from .. import _names
from .._C import Tensor

if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import device_mesh, distributed_c10d
    from .device_mesh import DeviceMesh, init_device_mesh
else:
    __getattr__, __dir__ = _names.lazily(
        __name__,
        {
            "device_mesh": "device_mesh",
            "distributed_c10d": "distributed_c10d",
            "DeviceMesh": "device_mesh:DeviceMesh",
            "init_device_mesh": "device_mesh:init_device_mesh",
        },
    )


class ReduceOp(enum.Enum):
    """How a reduction combines; of one value, each gives that value."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


class Backend:
    """The names of backends; what is asked for is remembered and not used: nothing is sent."""

    GLOO, NCCL, MPI, UCC, XCCL, UNDEFINED = "gloo", "nccl", "mpi", "ucc", "xccl", "undefined"

    def __new__(cls, name: str) -> Any:
        if not isinstance(name, str):
            raise ValueError(f"Backend: the name must be a string, got {type(name).__name__}")
        return name.lower()


class Work:
    """A collective under way, which is done already."""

    def __init__(self, result: Any = None) -> None:
        self._result = result

    def wait(self, timeout: timedelta | None = None) -> bool:
        """True at once."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True

    def is_success(self) -> bool:
        """True."""
        return True

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def result(self) -> Any:
        """What was computed."""
        return self._result


class ProcessGroup:
    """The processes that a collective is among: this one."""

    def __init__(self, backend: str = "gloo", name: str = "default") -> None:
        self.backend, self.group_name, self.group_desc = backend, name, name

    def rank(self) -> int:
        """0."""
        return 0

    def size(self) -> int:
        """1."""
        return 1

    def name(self) -> str:
        """The backend's name."""
        return self.backend


class GroupMember:
    """The groups that have names."""

    WORLD: ProcessGroup | None = None
    NON_GROUP_MEMBER = object()


class _Groups:
    """group.WORLD: every process, once there is a world."""

    @property
    def WORLD(self) -> ProcessGroup | None:  # noqa: N802 - PyTorch's name
        return GroupMember.WORLD


group = _Groups()

Group = ProcessGroup | None
default_pg_timeout = timedelta(minutes=30)


# the world


def is_available() -> bool:
    """True: programs for several processes run in one."""
    return True


def is_initialized() -> bool:
    """Whether init_process_group was called."""
    return GroupMember.WORLD is not None


def is_nccl_available() -> bool:
    """False: nothing is sent between GPUs."""
    return False


def is_gloo_available() -> bool:
    """True: in a world of one process, the backend has nothing to do."""
    return True


def is_mpi_available() -> bool:
    """False: MPI is not used."""
    return False


def is_backend_available(backend: str) -> bool:
    """Whether the backend is gloo."""
    return backend.lower() == "gloo"


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
    **_: Any,
) -> None:
    """Makes a world of this process. A world size other than 1, given or in WORLD_SIZE, raises NotImplementedError."""
    if is_initialized():
        raise ValueError("init_process_group: trying to initialize the default process group twice!")
    size = world_size if world_size != -1 else int(os.environ.get("WORLD_SIZE", "1"))
    number = rank if rank != -1 else int(os.environ.get("RANK", "0"))
    if size != 1:
        raise NotImplementedError(
            f"init_process_group: the world size is {size}, but tessel computes in one process; start one process"
            " (WORLD_SIZE=1), whose threads use all cores"
        )
    if number != 0:
        raise ValueError(f"init_process_group: rank {number} is not in a world of 1 process")
    GroupMember.WORLD = ProcessGroup((backend or "gloo").lower())


def destroy_process_group(group: Group = None) -> None:
    """Ends the world."""
    _world("destroy_process_group")
    if group is None or group is GroupMember.WORLD:
        GroupMember.WORLD = None


def _world(op: str, group: Any = None) -> ProcessGroup:
    if group is not None and group is not GroupMember.NON_GROUP_MEMBER:
        return group  # type: ignore[no-any-return]
    if GroupMember.WORLD is None:
        raise ValueError(f"{op}: the default process group has not been initialized; call init_process_group first")
    return GroupMember.WORLD


def _done(async_op: bool, result: Any = None) -> Work | None:
    return Work(result) if async_op else None


def get_rank(group: Group = None) -> int:
    """0."""
    return _world("get_rank", group).rank()


def get_world_size(group: Group = None) -> int:
    """1."""
    return _world("get_world_size", group).size()


def get_backend(group: Group = None) -> str:
    """The backend that was asked for."""
    return _world("get_backend", group).backend


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's number on its machine, from LOCAL_RANK."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError("get_node_local_rank: LOCAL_RANK is not in the environment; pass fallback_rank")
    return fallback_rank


def new_group(ranks: Sequence[int] | None = None, *args: Any, backend: str | None = None, **_: Any) -> Any:
    """A group of this process, if it is among the ranks."""
    world = _world("new_group")
    if ranks is not None and any(rank != 0 for rank in ranks):
        raise ValueError(f"new_group: the ranks {list(ranks)} are not all in a world of 1 process")
    if ranks is not None and not len(ranks):
        return GroupMember.NON_GROUP_MEMBER
    return ProcessGroup((backend or world.backend).lower(), "group")


def new_subgroups(group_size: int | None = None, *_: Any, **__: Any) -> tuple[Any, list[Any]]:
    """One group of one process."""
    if group_size not in (None, 1):
        raise ValueError(f"new_subgroups: the group size {group_size} is larger than the world size 1")
    made = new_group([0])
    return made, [made]


def get_process_group_ranks(group: Group) -> list[int]:
    """[0]."""
    return [0]


def get_global_rank(group: Group, group_rank: int) -> int:
    """The rank in the world: 0."""
    return _peer("get_global_rank", group_rank)


def get_group_rank(group: Group, global_rank: int) -> int:
    """The rank in the group: 0."""
    return _peer("get_group_rank", global_rank)


def _peer(op: str, rank: int | None) -> int:
    if rank not in (0, None):
        raise ValueError(f"{op}: rank {rank} is not in a world of 1 process")
    return 0


# collectives of tensors


def barrier(group: Group = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Waits for nobody."""
    _world("barrier", group)
    return _done(async_op)


def monitored_barrier(group: Group = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Waits for nobody."""
    _world("monitored_barrier", group)


def _check_tensor(op: str, tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{op}: expected a Tensor, got {type(tensor).__name__}")
    return tensor


def _check_one(op: str, tensors: Any, what: str) -> Tensor:
    if len(tensors) != 1:
        raise ValueError(f"{op}: {what} has {len(tensors)} tensors, but the world has 1 process")
    return _check_tensor(op, tensors[0])


def _copy(op: str, to: Tensor, source: Tensor) -> None:
    from ..autograd.grad_mode import no_grad

    if to.dtype != source.dtype or to.numel() != source.numel():
        raise ValueError(
            f"{op}: the output is {tuple(to.shape)} of {to.dtype}, the input {tuple(source.shape)} of {source.dtype}"
        )
    with no_grad():
        to.copy_(source.reshape(to.shape))


def all_reduce(tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Group = None, async_op: bool = False) -> Work | None:
    """The tensor keeps its values."""
    _world("all_reduce", group)
    return _done(async_op, [_check_tensor("all_reduce", tensor)])


def all_reduce_coalesced(
    tensors: Sequence[Tensor], op: ReduceOp = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """The tensors keep their values."""
    _world("all_reduce_coalesced", group)
    return _done(async_op, list(tensors))


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """The tensor keeps its values."""
    _world("reduce", group)
    _peer("reduce", dst)
    return _done(async_op, [_check_tensor("reduce", tensor)])


def broadcast(
    tensor: Tensor, src: int | None = None, group: Group = None, async_op: bool = False, group_src: int | None = None
) -> Work | None:
    """The tensor keeps its values."""
    _world("broadcast", group)
    _peer("broadcast", src)
    return _done(async_op, [_check_tensor("broadcast", tensor)])


def all_gather(tensor_list: list[Tensor], tensor: Tensor, group: Group = None, async_op: bool = False) -> Work | None:
    """Copies the tensor into the only one of the list."""
    _world("all_gather", group)
    _copy("all_gather", _check_one("all_gather", tensor_list, "tensor_list"), _check_tensor("all_gather", tensor))
    return _done(async_op, tensor_list)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Copies the input into the output."""
    _world("all_gather_into_tensor", group)
    _copy("all_gather_into_tensor", output_tensor, input_tensor)
    return _done(async_op, output_tensor)


def gather(
    tensor: Tensor,
    gather_list: list[Tensor] | None = None,
    dst: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Copies the tensor into the only one of the list."""
    _world("gather", group)
    _peer("gather", dst)
    _copy("gather", _check_one("gather", gather_list or [], "gather_list"), _check_tensor("gather", tensor))
    return _done(async_op, gather_list)


def scatter(
    tensor: Tensor,
    scatter_list: list[Tensor] | None = None,
    src: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Copies the only tensor of the list."""
    _world("scatter", group)
    _peer("scatter", src)
    _copy("scatter", _check_tensor("scatter", tensor), _check_one("scatter", scatter_list or [], "scatter_list"))
    return _done(async_op, tensor)


def reduce_scatter(
    output: Tensor,
    input_list: list[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Copies the only tensor of the list."""
    _world("reduce_scatter", group)
    _copy("reduce_scatter", output, _check_one("reduce_scatter", input_list, "input_list"))
    return _done(async_op, output)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: ReduceOp = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """Copies the input into the output."""
    _world("reduce_scatter_tensor", group)
    _copy("reduce_scatter_tensor", output, input)
    return _done(async_op, output)


def all_to_all(
    output_tensor_list: list[Tensor], input_tensor_list: list[Tensor], group: Group = None, async_op: bool = False
) -> Work | None:
    """Copies the only tensor of the input list into the only one of the output list."""
    _world("all_to_all", group)
    source = _check_one("all_to_all", input_tensor_list, "input_tensor_list")
    _copy("all_to_all", _check_one("all_to_all", output_tensor_list, "output_tensor_list"), source)
    return _done(async_op, output_tensor_list)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Any = None,
    input_split_sizes: Any = None,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Copies the input into the output."""
    _world("all_to_all_single", group)
    _copy("all_to_all_single", output, input)
    return _done(async_op, output)


# collectives of objects


def all_gather_object(object_list: list[Any], obj: Any, group: Group = None) -> None:
    """Puts the object into the list."""
    _world("all_gather_object", group)
    object_list[0] = obj


def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: Group = None,
    group_dst: int | None = None,
) -> None:
    """Puts the object into the list."""
    _world("gather_object", group)
    _peer("gather_object", dst)
    if object_gather_list:
        object_gather_list[0] = obj


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Group = None,
    device: Any = None,
    group_src: int | None = None,
    **_: Any,
) -> None:
    """The objects stay."""
    _world("broadcast_object_list", group)
    _peer("broadcast_object_list", src)


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: Group = None,
    group_src: int | None = None,
) -> None:
    """Takes the only object of the input list."""
    _world("scatter_object_list", group)
    if not scatter_object_input_list:
        raise ValueError("scatter_object_list: the source needs scatter_object_input_list with 1 object")
    scatter_object_output_list[0] = scatter_object_input_list[0]


# messages: there is nobody to send them to


def _alone(op: str) -> NoReturn:
    _world(op)
    raise ValueError(f"{op}: there is no other process in a world of size 1")


def send(tensor: Tensor, dst: int | None = None, *_: Any, **__: Any) -> NoReturn:
    """Raises: there is no other process."""
    _alone("send")


def recv(tensor: Tensor, src: int | None = None, *_: Any, **__: Any) -> NoReturn:
    """Raises: there is no other process."""
    _alone("recv")


def isend(tensor: Tensor, dst: int | None = None, *_: Any, **__: Any) -> NoReturn:
    """Raises: there is no other process."""
    _alone("isend")


def irecv(tensor: Tensor, src: int | None = None, *_: Any, **__: Any) -> NoReturn:
    """Raises: there is no other process."""
    _alone("irecv")
