"""Short-time Fourier transforms, and the windows of the top-level namespace."""

from __future__ import annotations

import math
import warnings
from typing import Any

from . import _C
from ._C import Tensor
from .fft import fft, ifft, irfft, rfft

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "istft", "kaiser_window", "stft"]


# ---- windows


def _window(
    name: str, length: int, periodic: bool, shape: Any, dtype: Any = None, requires_grad: bool = False, **options: Any
) -> Tensor:
    """shape(t) with t from 0 to 1 over the window, in float64; a periodic one is the next longer without its end."""
    dtype = dtype or _C.get_default_dtype()
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name}: expects floating point dtypes, got {dtype}")
    if length < 0:
        raise RuntimeError(f"{name}: requires non-negative window_length, got window_length={length}")
    if length <= 1:
        y = _C.ones(length, dtype=dtype)
    else:
        y = shape(_C.arange(length, dtype=_C.float64) / (length if periodic else length - 1)).to(dtype)
    device = options.pop("device", None)
    unknown = set(options) - {"layout", "pin_memory"}
    if unknown:
        raise TypeError(f"{name}: got an unexpected keyword argument '{unknown.pop()}'")
    return (y if device is None else y.to(device)).requires_grad_(requires_grad)


def _cosines(t: Tensor, *factors: float) -> Tensor:
    """factors[0] - factors[1] cos(2 pi t) + factors[2] cos(4 pi t) - ..."""
    y = _C.zeros_like(t)
    for k, factor in enumerate(factors):
        y += (-1) ** k * factor * _C.cos(2 * math.pi * k * t)
    return y


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """0.5 - 0.5 cos(2 pi t), t from 0 to 1; dtype, device and requires_grad may be given."""
    return _window("hann_window", window_length, periodic, lambda t: _cosines(t, 0.5, 0.5), **options)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any
) -> Tensor:
    """alpha - beta cos(2 pi t), t from 0 to 1."""
    return _window("hamming_window", window_length, periodic, lambda t: _cosines(t, alpha, beta), **options)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t), t from 0 to 1."""
    shape = lambda t: _cosines(t, 0.42, 0.5, 0.08).clamp(min=0)  # noqa: E731 - the ends are 0, not -1e-17
    return _window("blackman_window", window_length, periodic, shape, **options)


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 over 1 to 0."""
    return _window("bartlett_window", window_length, periodic, lambda t: 1 - (2 * t - 1).abs(), **options)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 t - 1)^2)) / I0(beta), t from 0 to 1."""

    def shape(t: Tensor) -> Tensor:
        height = _C.i0(_C.tensor(float(beta), dtype=t.dtype))
        return _C.i0(beta * (1 - (2 * t - 1).square()).clamp(min=0).sqrt()) / height

    return _window("kaiser_window", window_length, periodic, shape, **options)


# ---- transforms of frames


def _frame_sizes(name: str, n_fft: int, hop_length: int | None, win_length: int | None) -> tuple[int, int]:
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={width} and n_fft={n_fft}")
    return hop, width


def _whole_window(name: str, window: Tensor | None, n_fft: int, width: int, dtype: Any) -> Tensor | None:
    """The window in the middle of n_fft points; None for one of ones."""
    if window is not None and tuple(window.shape) != (width,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={width}, but got window with size "
            f"{tuple(window.shape)}"
        )
    if width == n_fft:
        return window
    left = (n_fft - width) // 2
    window = _C.ones(width, dtype=dtype) if window is None else window
    return _C.cat([window.new_zeros(left), window, window.new_zeros(n_fft - width - left)])


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The transforms of overlapping frames of a signal.

    Args:
        input: (time,) or (batch, time), real or complex.
        n_fft: points of a frame.
        hop_length: from one frame to the next, n_fft // 4 for None.
        win_length: points of the window, which stands in the middle of a frame; n_fft for None.
        window: what a frame is multiplied with, ones for None.
        center: frame t is centred at t * hop_length, the signal being padded; else it begins there.
        pad_mode: how it is padded, as in `nn.functional.pad`.
        normalized: divides by sqrt(n_fft).
        onesided: only the n_fft // 2 + 1 frequencies that are not negative; True for None and reals.
        return_complex: False (old): the parts in a last dimension of two.

    Returns:
        ([batch,] frequencies, frames).
    """
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"stft: expected a tensor of floating point or complex values, got {input.dtype}")
    if input.dim() not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, got {tuple(input.shape)}")
    if align_to_window is not None and center:
        raise RuntimeError("stft: align_to_window should only be set when center = false")
    in_complex = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None:
        if not in_complex:
            raise RuntimeError("stft: requires the return_complex parameter be given for real inputs")
        return_complex = True
    x = input if input.dim() == 2 else input.unsqueeze(0)
    if center:
        x = _padded(x, n_fft // 2, pad_mode)
    length = x.shape[-1]
    if not 0 < n_fft <= length:
        raise RuntimeError(
            f"stft: expected 0 < n_fft <= {length}, but got n_fft={n_fft} (input is {tuple(input.shape)})"
        )
    hop, width = _frame_sizes("stft", n_fft, hop_length, win_length)
    window = _whole_window("stft", window, n_fft, width, x.dtype)
    if onesided is None:
        onesided = not in_complex
    if onesided and in_complex:
        raise RuntimeError("stft: Cannot have onesided output if window or input is complex")
    frames = x.unfold(-1, n_fft, hop)
    if window is not None:
        frames = frames * window
    norm = "ortho" if normalized else None
    y = (rfft if onesided else fft)(frames, norm=norm).transpose(-1, -2)
    y = y if input.dim() == 2 else y.squeeze(0)
    return y if return_complex else _C.view_as_real(y)


def _padded(x: Tensor, by: int, mode: str) -> Tensor:
    if x.is_complex():
        parts = [_padded(part, by, mode) for part in (x.real, x.imag)]
        return _C.complex(*parts)
    return _C._nn.pad(x.unsqueeze(0), (by, by), mode).squeeze(0)


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The inverse of `stft`: frames are transformed back, multiplied with the window once more, added up where they
    overlap and divided by the sum of the squared windows, which must not vanish.

    Args:
        input: ([batch,] frequencies, frames), complex. The others are as in `stft`.
        length: of the signal to return; all that the frames cover for None.
    """
    if not input.is_complex():
        raise RuntimeError(
            "istft: requires a complex-valued input tensor matching the output from stft with return_complex=True"
        )
    if input.dim() not in (2, 3) or input.numel() == 0:
        raise RuntimeError(f"istft: expected a tensor with 2 or 3 dimensions and elements, got {tuple(input.shape)}")
    hop, width = _frame_sizes("istft", n_fft, hop_length, win_length)
    whole = input.shape[-2] == n_fft
    onesided = not whole if onesided is None else onesided
    bins = n_fft // 2 + 1 if onesided else n_fft
    if input.shape[-2] != bins:
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft "
            f"{'/ 2 + 1 ' if onesided else ''}when onesided={onesided}, but got {input.shape[-2]}"
        )
    if onesided and (return_complex or (window is not None and window.is_complex())):
        raise RuntimeError("istft: cannot have onesided input if window or output is complex")
    x = (input if input.dim() == 3 else input.unsqueeze(0)).transpose(-1, -2)
    norm = "ortho" if normalized else None
    if return_complex:
        frames = ifft(x, norm=norm)
    else:
        frames = irfft(x if onesided else x[..., : n_fft // 2 + 1], n=n_fft, norm=norm)
    window = _whole_window("istft", window, n_fft, width, frames.real.dtype)
    if window is None:
        window = _C.ones(n_fft, dtype=frames.real.dtype)
    count = frames.shape[1]
    total = n_fft + hop * (count - 1)
    at = (hop * _C.arange(count).unsqueeze(1) + _C.arange(n_fft)).reshape(-1)
    frames = frames * window
    y = frames.new_zeros(len(frames), total).index_add(1, at, frames.reshape(len(frames), -1))
    square = window.square().expand(count, n_fft).reshape(-1)
    envelope = square.new_zeros(total).index_add(0, at, square)
    start = n_fft // 2 if center else 0
    end = total - (n_fft // 2 if center else 0) if length is None else min(start + length, total)
    y, envelope = y[:, start:end], envelope[start:end]
    least = float(envelope.detach().abs().min()) if envelope.numel() else 1.0
    if least <= 1e-11:
        raise RuntimeError(f"istft: window overlap add min: {least}, the sum of the squared windows must not vanish")
    y = y / envelope
    if length is not None and length > y.shape[1]:
        warnings.warn(
            "istft: the length of the signal is shorter than the length parameter; it is padded with zeros at the end",
            stacklevel=2,
        )
        y = _C.cat([y, y.new_zeros(len(y), length - y.shape[1])], 1)
    return y if input.dim() == 3 else y.squeeze(0)
