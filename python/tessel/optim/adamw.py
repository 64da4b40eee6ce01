"""AdamW at its place in PyTorch; it stands in adam.py."""

from .adam import AdamW

__all__ = ["AdamW"]
