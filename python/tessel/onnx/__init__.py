"""onnx: models are not written in this format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from .. import _names

__all__ = ["export", "is_in_onnx_export"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)


def is_in_onnx_export() -> bool:
    """False: nothing is exported."""
    return False


def export(model: Any, args: Any = (), f: Any = None, **_: Any) -> NoReturn:
    """Raises: ONNX files are not written."""
    raise NotImplementedError(
        "onnx.export: ONNX files are not written; tessel.save(model.state_dict(), file) keeps the weights in a"
        " safetensors file, which PyTorch loads for its own onnx.export"
    )
