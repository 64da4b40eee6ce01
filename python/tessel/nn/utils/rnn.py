"""Sequences of several lengths in one batch: padded to one length, or packed step after step without padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ... import _C
from ..._C import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """A batch of sequences sorted by falling length: `data` holds the first element of each, then the second of those
    that have one, and so on; `batch_sizes` (int64, on the CPU) says how many each step has. `sorted_indices` leads
    from the batch as it was to the sorted one and `unsorted_indices` back; both None where nothing was sorted.
    Recurrent layers take it and give it. Made by `pack_padded_sequence` and `pack_sequence`."""

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:  # data is a pair
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise ValueError("PackedSequence: expected data and batch_sizes, or a pair of them")
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                f"PackedSequence: batch_sizes should always be on CPU, but it is on {batch_sizes.device}; "
                "sequences are packed by pack_padded_sequence and pack_sequence"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with the data as `Tensor.to` gives it; itself where nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order, back = (i if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices))
        return PackedSequence(data, self.batch_sizes, order, back)

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> PackedSequence:
        return self.to(device)

    def double(self) -> PackedSequence:
        return self.to(dtype=_C.float64)

    def float(self) -> PackedSequence:
        return self.to(dtype=_C.float32)

    def half(self) -> PackedSequence:
        return self.to(dtype=_C.float16)

    def long(self) -> PackedSequence:
        return self.to(dtype=_C.int64)

    def int(self) -> PackedSequence:
        return self.to(dtype=_C.int32)

    def short(self) -> PackedSequence:
        return self.to(dtype=_C.int16)

    def char(self) -> PackedSequence:
        return self.to(dtype=_C.int8)

    def byte(self) -> PackedSequence:
        return self.to(dtype=_C.uint8)

    @property
    def is_cuda(self) -> bool:
        return self.data.device.type == "cuda"


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`; None for None."""
    if permutation is None:
        return None
    places = _C.arange(permutation.numel(), dtype=permutation.dtype, device=permutation.device)
    return _C.empty_like(permutation).scatter_(0, permutation, places)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs padded sequences (time, batch, ...), or (batch, time, ...) with `batch_first`, of the given lengths.

    With `enforce_sorted` the lengths must not grow (RuntimeError); without it the batch is sorted, and what comes of
    it is put back into its order by `pad_packed_sequence` and by the recurrent layers.
    """
    lengths = _C.as_tensor(lengths, dtype=_C.int64)
    if enforce_sorted:
        order = None
    else:
        lengths, order = lengths.sort(descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    data, batch_sizes = _C._ops.pack_padded(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Padded sequences (time, batch, ...), or (batch, time, ...) with `batch_first`, and their lengths, in the order
    they had before packing. `total_length` gives the padded length, ValueError where it is less than the longest
    sequence."""
    data, batch_sizes, _, back = sequence
    padded, lengths = _C._ops.pad_packed(data, batch_sizes, batch_first, padding_value, total_length or 0)
    if back is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, back), lengths[back.cpu()]


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (steps, ...) of several lengths as one tensor (time, batch, ...), or (batch, time, ...) with
    `batch_first`, the shorter ones filled up with `padding_value` behind ("right") or before ("left") them."""
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"pad_sequence: padding_side should be 'right' or 'left', not {padding_side!r}")
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: expected an iterable of tensors, got {type(sequences).__name__}")
    return _C._ops.pad_sequence(list(sequences), batch_first, padding_value, padding_side == "left")


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each cut to its length."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [sequence[:length] for sequence, length in zip(padded_sequences, lengths.tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (steps, ...); `enforce_sorted` as for `pack_padded_sequence`."""
    lengths = [sequence.shape[0] for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in the order they had before packing."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
