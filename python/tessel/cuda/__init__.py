"""The CUDA device, where this build has the target and the machine a GPU; without one, questions have plain answers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from .. import _C, _legacy, _names, random
from .._C import Tensor

_LAZY = {
    "amp": "amp",
    "nvtx": "nvtx",
    "driver": "driver",
    "memory": "memory",
    "profiler": "profiler",
    **{f"{kind}Tensor": f"tensors:{kind}Tensor" for kind in _legacy.KINDS},
}

if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import driver as driver

    FloatTensor: Any
    DoubleTensor: Any
    HalfTensor: Any
    BFloat16Tensor: Any
    LongTensor: Any
    IntTensor: Any
    ShortTensor: Any
    CharTensor: Any
    ByteTensor: Any
    BoolTensor: Any
    from . import memory, nvtx
else:
    __getattr__, __dir__ = _names.lazily(__name__, _LAZY)

# What PyTorch raises when the GPU's memory is used up.
OutOfMemoryError = MemoryError
AcceleratorError = RuntimeError

has_half = True
has_magma = False


def is_available() -> bool:
    """Whether tensors can be moved to "cuda"."""
    return _C._cuda_available()


def device_count() -> int:
    """The number of GPUs."""
    return _C._cuda_device_count()


def is_initialized() -> bool:
    """Whether the GPU is ready for use: it is when there is one."""
    return is_available()


def init() -> None:
    """Nothing to do: the GPU is made ready at the first use."""


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes bfloat16."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether the GPU computes TF32; tessel does not use it."""
    return is_available() and get_device_capability()[0] >= 8


def is_current_stream_capturing() -> bool:
    """False: nothing is captured."""
    return False


def _no_gpu(op: str) -> NoReturn:
    raise RuntimeError(
        f"{op}: no CUDA GPU is available (torch.cuda.is_available() is False); use device 'cpu', or ask first"
    )


def _index(device: Any, op: str) -> int:
    """A device as its number; None is the current one. Raises without a GPU."""
    if not is_available():
        _no_gpu(op)
    index = device if isinstance(device, int) or device is None else _C.device(device).index
    if index is None:
        return current_device()
    if not 0 <= index < device_count():
        raise RuntimeError(f"{op}: invalid device ordinal {index}: there are {device_count()} GPUs")
    return index


# one stream for every device


def manual_seed(seed: int) -> None:
    """One random stream serves every device: the same as tessel.manual_seed."""
    random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """The same as manual_seed."""
    random.manual_seed(seed)


def seed() -> None:
    """The same as tessel.seed."""
    random.seed()


def seed_all() -> None:
    """The same as tessel.seed."""
    random.seed()


def initial_seed() -> int:
    """The same as tessel.initial_seed."""
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of the one random stream: the same as tessel.get_rng_state."""
    return random.get_rng_state()


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """The same as tessel.set_rng_state."""
    random.set_rng_state(new_state)


def get_rng_state_all() -> list[Tensor]:
    """One state for each GPU; they are the same."""
    return [random.get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states: list[Tensor]) -> None:
    """The first state, if there is one."""
    if new_states:
        random.set_rng_state(new_states[0])


# which GPU


def current_device() -> int:
    """The number of the GPU in use."""
    if not is_available():
        _no_gpu("current_device")
    return 0


def set_device(device: Any) -> None:
    """Chooses the GPU; the first is the one there is."""
    if _index(device, "set_device"):
        raise RuntimeError(f"set_device: tessel computes on the first GPU alone, got {device}")


class device:  # noqa: N801
    """A context in which the GPU is the current one; without a GPU it changes nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if is_available() and self.idx is not None and self.idx != -1:
            set_device(self.idx)

    def __exit__(self, *_: object) -> None: ...


class device_of(device):  # noqa: N801
    """The same of a tensor's device."""

    def __init__(self, obj: Tensor) -> None:
        super().__init__(obj.device.index if obj.is_cuda else None)


def synchronize(device: object = None) -> None:
    """Waits until the GPU has done all it was given."""
    if is_available():
        _C._cuda_synchronize()


def get_device_properties(device: Any = None) -> Any:
    """name, major, minor, total_memory, multi_processor_count and more, as the driver says."""
    from . import driver

    return driver.properties(_index(device, "get_device_properties"))


def get_device_name(device: Any = None) -> str:
    """The GPU's name."""
    return str(get_device_properties(device).name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability: (9, 0) for an H100."""
    found = get_device_properties(device)
    return found.major, found.minor


def get_arch_list() -> list[str]:
    """The architectures that kernels were compiled for, empty without the CUDA half."""
    return ["sm_80", "sm_90"] if is_available() else []


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """False: one GPU computes."""
    return False


def ipc_collect() -> None:
    """Nothing to collect: no memory is shared with other processes."""


def utilization(device: Any = None) -> int:
    """Raises: nvidia-smi tells it."""
    raise NotImplementedError("utilization: not measured; nvidia-smi tells it")


def cudart() -> Any:
    """The runtime's functions that profilers are switched with; they do nothing."""
    nothing = SimpleNamespace(cudaProfilerStart=lambda: 0, cudaProfilerStop=lambda: 0)
    return nothing


# memory


def empty_cache() -> None:
    """Gives cached GPU memory back to the driver."""
    if is_available():
        _C._cuda_empty_cache()


def _bytes(device: Any = None) -> dict[str, int]:
    return _C._cuda_memory_stats() if is_available() else {}


def memory_allocated(device: Any = None) -> int:
    """Bytes of the GPU's memory in use; 0 without a GPU."""
    return _bytes().get("allocated_bytes", 0)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of the GPU's memory that were in use at once."""
    return _bytes().get("peak_allocated_bytes", 0)


def memory_reserved(device: Any = None) -> int:
    """Bytes of the GPU's memory in use or kept for the next caller."""
    return _bytes().get("reserved_bytes", 0)


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that were in use or kept at once."""
    return _bytes().get("peak_reserved_bytes", 0)


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Counts peaks from now on."""
    if is_available():
        _C._cuda_reset_peak()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_stats(device: Any = None) -> dict[str, int]:
    """What the GPU's allocator counts, under PyTorch's names and its own."""
    own = _bytes()
    if not own:
        return {}
    return {
        "allocated_bytes.all.current": own["allocated_bytes"],
        "allocated_bytes.all.peak": own["peak_allocated_bytes"],
        "reserved_bytes.all.current": own["reserved_bytes"],
        "reserved_bytes.all.peak": own["peak_reserved_bytes"],
        "allocation.all.allocated": own["allocations"],
        "allocation.all.freed": own["releases"],
        **own,
    }


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """What the GPU's allocator counts, as lines of text."""
    return "\n".join(f"{name:<24}{value:>20,}" for name, value in _bytes().items())


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of the GPU's memory."""
    from . import driver

    return driver.memory(_index(device, "mem_get_info"))


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Raises unless the fraction is 1: the allocator takes what it needs."""
    if fraction != 1:
        raise NotImplementedError("set_per_process_memory_fraction: the allocator has no limit to set")


# streams: there is one


class Stream:
    """The GPU's one stream: everything runs in the order it was called."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device_index = _index(device, "Stream")
        self.device = _C.device("cuda", self.device_index)
        self.priority, self.cuda_stream = priority, 0

    def synchronize(self) -> None:
        """Waits until the GPU has done all it was given."""
        synchronize()

    def query(self) -> bool:
        """Waits, and so is always done."""
        synchronize()
        return True

    def wait_stream(self, stream: Stream) -> None:
        """Nothing to wait for: there is one stream."""

    def wait_event(self, event: Event) -> None:
        """Nothing to wait for: there is one stream."""

    def record_event(self, event: Event | None = None) -> Event:
        """Records an event here."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None: ...


ExternalStream = Stream


class Event:
    """A moment on the GPU: `record` waits for what came before, so that times between events are true."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if not is_available():
            _no_gpu("Event")
        self._at: int | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Now is the moment."""
        synchronize()
        self._at = time.perf_counter_ns()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another."""
        if self._at is None or end_event._at is None:
            raise RuntimeError("elapsed_time: both events must be recorded before calculating elapsed time")
        return (end_event._at - self._at) / 1e6

    def synchronize(self) -> None:
        """Waits until the GPU has done all it was given."""
        synchronize()

    def wait(self, stream: Stream | None = None) -> None:
        """Nothing to wait for: there is one stream."""

    def query(self) -> bool:
        """True: recording waited."""
        return True


def current_stream(device: Any = None) -> Stream:
    """The one stream."""
    return Stream(device)


def default_stream(device: Any = None) -> Stream:
    """The one stream."""
    return Stream(device)


def set_stream(stream: Stream) -> None:
    """Nothing to choose: there is one stream."""


@contextlib.contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    """A context that changes nothing: there is one stream."""
    yield


StreamContext = stream


class CUDAGraph:
    """Raises: the GPU's work is not captured."""

    def __init__(self, keep_graph: bool = False) -> None:
        raise NotImplementedError("CUDAGraph: the GPU's work is not captured; call the functions themselves")


class graph:  # noqa: N801
    """Raises: the GPU's work is not captured."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("graph: the GPU's work is not captured; call the functions themselves")


def make_graphed_callables(callables: Any, sample_args: Any = None, **_: Any) -> NoReturn:
    """Raises: the GPU's work is not captured."""
    raise NotImplementedError("make_graphed_callables: the GPU's work is not captured; call the functions themselves")
