"""The default generator: seeds and states. One stream for every device; a DataLoader's workers have their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ._C import Generator, Tensor, _current_generator

__all__ = ["fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


def manual_seed(seed: int) -> Generator:
    """Begins the stream anew; the same seed gives the same numbers, whatever the device or the number of threads.

    Args:
        seed: from -2**63 to 2**64 - 1; negative ones count from 2**64 down.
    """
    seed = int(seed)
    if not -(1 << 63) <= seed < 1 << 64:
        raise ValueError(f"manual_seed: overflow, the seed {seed} does not fit into 64 bits")
    return _current_generator().manual_seed(seed)


def seed() -> int:
    """Seeds the stream from the operating system and returns that seed."""
    return _current_generator().seed()


def initial_seed() -> int:
    """What the stream was last seeded with."""
    return _current_generator().initial_seed()


def get_rng_state() -> Tensor:
    """Where the stream is, as a uint8 tensor for `set_rng_state`."""
    return _current_generator().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Takes the stream back to where `get_rng_state` found it."""
    _current_generator().set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **_: Any) -> Iterator[None]:
    """Leaves the stream, on the way out, where it was on the way in.

    Devices share one stream: naming them changes nothing.
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
