"""Finding the op whose gradient is not a number."""

from __future__ import annotations

from .. import _C


class set_detect_anomaly:  # noqa: N801 - PyTorch's names
    """While on, a node whose gradients contain NaN raises, naming its op and the line that
    recorded it. Slower: for debugging."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (_C.is_anomaly_enabled(), _C.is_anomaly_check_nan_enabled())
        _C._set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _C._set_anomaly_enabled(*self._before)


class detect_anomaly(set_detect_anomaly):  # noqa: N801
    """`with detect_anomaly(): loss.backward()`"""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)
        _C._set_anomaly_enabled(*self._before)
        self._check_nan = check_nan

    def __enter__(self) -> None:
        _C._set_anomaly_enabled(True, self._check_nan)
