"""Fourier transforms against numpy, their gradients against differences, short-time transforms and windows."""

import inspect

import numpy as np
import pytest

import tessel as torch

RNG = np.random.default_rng(3)


def real(*shape):
    return RNG.standard_normal(shape)


def both(*shape):
    return real(*shape) + 1j * real(*shape)


def leaf(a):
    return torch.from_numpy(a).requires_grad_()


FROM_REALS = {"rfft", "ihfft", "rfft2", "ihfft2", "rfftn", "ihfftn"}
ALONG_ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
ALONG_SEVERAL = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


@pytest.mark.parametrize("norm", [None, "backward", "forward", "ortho"])
@pytest.mark.parametrize("name", ALONG_ONE)
def test_along_one_dimension(name, norm):
    f, g = getattr(torch.fft, name), getattr(np.fft, name)
    for n, dim in ((None, -1), (4, -1), (9, 0), (5, 1), (1, 0)):
        a = real(5, 6) if name in FROM_REALS else both(5, 6)
        got = f(torch.from_numpy(a), n, dim, norm)
        np.testing.assert_allclose(got.numpy(), g(a, n, dim, norm), atol=1e-12)
        single = f(torch.from_numpy(a.astype("complex64" if a.dtype.kind == "c" else "float32")), n, dim, norm)
        assert single.dtype == (torch.float32 if got.dtype == torch.float64 else torch.complex64)
        np.testing.assert_allclose(single.numpy(), got.numpy(), atol=1e-5)


@pytest.mark.parametrize("norm", [None, "forward", "ortho"])
@pytest.mark.parametrize("name", ALONG_SEVERAL)
def test_along_several_dimensions(name, norm):
    f, g = getattr(torch.fft, name), getattr(np.fft, name)
    a = real(4, 5, 6) if name in FROM_REALS else both(4, 5, 6)
    np.testing.assert_allclose(f(torch.from_numpy(a), norm=norm).numpy(), g(a, norm=norm), atol=1e-12)
    for s, dim in (((3, 8), (0, 2)), ((7, 4), (-1, 0))):
        np.testing.assert_allclose(f(torch.from_numpy(a), s, dim, norm).numpy(), g(a, s, dim, norm), atol=1e-12)
    if name.endswith("n"):
        got = f(torch.from_numpy(a), s=(-1, 5))
        np.testing.assert_allclose(got.numpy(), g(a, s=(a.shape[1], 5), axes=(1, 2)), atol=1e-12)


def test_hermitian_transforms_undo_each_other():
    x = torch.from_numpy(real(4, 6))
    for norm in (None, "forward", "ortho"):
        assert torch.allclose(torch.fft.hfft(torch.fft.ihfft(x, norm=norm), 6, norm=norm), x)
        assert torch.allclose(torch.fft.hfft2(torch.fft.ihfft2(x, norm=norm), (4, 6), norm=norm), x)
        assert torch.allclose(torch.fft.hfftn(torch.fft.ihfftn(x, norm=norm), (4, 6), norm=norm), x)
    half = both(4)
    np.testing.assert_allclose(torch.fft.hfftn(torch.from_numpy(half)).numpy(), np.fft.hfft(half), atol=1e-12)


def test_of_integers_and_halves():
    assert torch.fft.fft(torch.arange(4)).dtype == torch.complex64
    np.testing.assert_allclose(torch.fft.rfft(torch.arange(4)).numpy(), np.fft.rfft(np.arange(4)))
    with pytest.raises(RuntimeError, match="fft: Unsupported dtype"):
        torch.fft.fft(torch.ones(4, dtype=torch.float16))


def test_out():
    x, out = torch.from_numpy(both(5)), torch.empty(0, dtype=torch.complex128)
    assert torch.fft.fft(x, out=out) is out and torch.equal(out, torch.fft.fft(x))
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.fft.fft(x, out=torch.empty(5))


@pytest.mark.parametrize(
    "call, kind, says",
    [
        (lambda x: torch.fft.fft(x, 0), RuntimeError, r"fft: Invalid number of data points \(0\)"),
        (lambda x: torch.fft.fft(x, dim=2), IndexError, r"fft: Dimension out of range .*got 2"),
        (lambda x: torch.fft.fft(x, norm="other"), RuntimeError, "fft: Invalid normalization mode"),
        (lambda x: torch.fft.rfft(x * 1j), RuntimeError, "rfft: expects a real input tensor"),
        (lambda x: torch.fft.fft2(x, dim=(0, 0)), RuntimeError, "fft2: FFT dims must be unique"),
        (lambda x: torch.fft.fftn(x, s=(1, 2), dim=(0,)), RuntimeError, "fftn: When given, dim and shape"),
        (lambda x: torch.fft.fftn(x, s=(1, 2, 3)), RuntimeError, "fftn: Got shape with 3 values"),
        (lambda x: torch.stft(x, 4), RuntimeError, "stft: requires the return_complex parameter"),
        (lambda x: torch.stft(x, 4, 0, return_complex=True), RuntimeError, "stft: expected hop_length > 0"),
        (lambda x: torch.istft(x, 4), RuntimeError, "istft: requires a complex-valued input"),
    ],
)
def test_wrong_calls(call, kind, says):
    with pytest.raises(kind, match=f"^{says}"):
        call(torch.ones(3, 8))


def transforms():
    for name in (*ALONG_ONE, *ALONG_SEVERAL, "hfft2", "ihfftn"):
        yield name, getattr(torch.fft, name)


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("name, f", list(transforms()))
def test_gradients(name, f, norm):
    x = leaf(real(2, 4) if name in FROM_REALS else both(2, 4))
    assert torch.autograd.gradcheck(lambda x: f(x, norm=norm), (x,))
    several = name[-1] in "2n"
    assert torch.autograd.gradcheck(lambda x: f(x, (3, 5) if several else 5, norm=norm), (x,))
    assert torch.autograd.gradgradcheck(lambda x: f(x * x, norm=norm), (x,))


def test_frequencies_and_shifts():
    for n in (1, 4, 5):
        np.testing.assert_allclose(torch.fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5), atol=1e-7)
        np.testing.assert_allclose(torch.fft.rfftfreq(n, dtype=torch.float64).numpy(), np.fft.rfftfreq(n))
        a = real(n, 4)
        for dim in (None, 0, (1,), (0, 1)):
            np.testing.assert_array_equal(torch.fft.fftshift(torch.from_numpy(a), dim).numpy(), np.fft.fftshift(a, dim))
            np.testing.assert_array_equal(
                torch.fft.ifftshift(torch.from_numpy(a), dim).numpy(), np.fft.ifftshift(a, dim)
            )


# frames


@pytest.mark.parametrize(
    "settings", [{}, {"normalized": True}, {"onesided": False}, {"win_length": 12}, {"center": False}]
)
def test_frames_and_back(settings):
    n, hop = 16, 4
    x = torch.from_numpy(real(2, 100))
    window = torch.hann_window(settings.get("win_length", n), dtype=torch.float64) + 0.1
    y = torch.stft(x, n, hop, window=window, return_complex=True, **settings)
    assert y.shape[:2] == (2, n if settings.get("onesided") is False else n // 2 + 1)
    signal = x.numpy() if settings.get("center") is False else np.pad(x.numpy(), ((0, 0), (n // 2, n // 2)), "reflect")
    width = len(window)
    whole = np.pad(window.numpy(), ((n - width) // 2, n - width - (n - width) // 2))
    frame = np.fft.fft(signal[1, 3 * hop : 3 * hop + n] * whole)[: y.shape[1]]
    np.testing.assert_allclose(y[1, :, 3].numpy(), frame / (4 if settings.get("normalized") else 1), atol=1e-12)
    options = {k: v for k, v in settings.items() if k != "win_length"}
    back = torch.istft(y, n, hop, settings.get("win_length"), window, length=96, **options)
    if "win_length" not in settings:
        np.testing.assert_allclose(back[:, :90].numpy(), x[:, :90].numpy(), atol=1e-10)
    old = torch.view_as_real(y)
    np.testing.assert_allclose(x.stft(n, hop, window=window, return_complex=False, **settings).numpy(), old.numpy())


def test_gradient_of_frames():
    x, window = leaf(real(20)), leaf(real(8))
    assert torch.autograd.gradcheck(lambda x, w: torch.stft(x, 8, 4, window=w, return_complex=True), (x, window))
    y = torch.stft(x.detach(), 8, 2, window=torch.ones(8, dtype=torch.float64), return_complex=True)
    assert torch.autograd.gradcheck(lambda y: torch.istft(y, 8, 2), (y.requires_grad_(),))


# windows


def test_windows():
    for n in (1, 2, 7, 8):
        for name, reference in (
            ("hann", np.hanning),
            ("hamming", np.hamming),
            ("blackman", np.blackman),
            ("bartlett", np.bartlett),
        ):
            f = getattr(torch, f"{name}_window")
            np.testing.assert_allclose(f(n, False, dtype=torch.float64).numpy(), reference(n), atol=1e-12)
            np.testing.assert_allclose(f(n).numpy(), reference(n + 1)[:-1] if n > 1 else [1], atol=1e-6)
            other = getattr(torch.signal.windows, name)
            np.testing.assert_allclose(other(n, dtype=torch.float64).numpy(), reference(n), atol=1e-12)
            np.testing.assert_allclose(other(n, sym=False).numpy(), reference(n + 1)[:-1] if n > 1 else [1], atol=1e-6)
        np.testing.assert_allclose(
            torch.kaiser_window(n, False, 5.0, dtype=torch.float64).numpy(), np.kaiser(n, 5.0), atol=1e-12
        )
        np.testing.assert_allclose(torch.signal.windows.kaiser(n, beta=5.0).numpy(), np.kaiser(n, 5.0), atol=1e-6)
    k = np.arange(6)
    windows = torch.signal.windows
    np.testing.assert_allclose(windows.gaussian(6, std=2.0).numpy(), np.exp(-0.5 * ((k - 2.5) / 2) ** 2), atol=1e-6)
    np.testing.assert_allclose(windows.exponential(6, tau=2.0).numpy(), np.exp(-abs(k - 2.5) / 2), atol=1e-6)
    np.testing.assert_allclose(windows.cosine(6).numpy(), np.sin(np.pi * (k + 0.5) / 6), atol=1e-6)
    np.testing.assert_allclose(windows.general_hamming(6, alpha=0.54).numpy(), np.hamming(6), atol=1e-6)
    assert windows.nuttall(7)[3].item() == pytest.approx(1) and len(windows.hann(0)) == 0
    assert torch.hann_window(4, requires_grad=True).requires_grad
    for bad in (
        lambda: windows.hann(-1),
        lambda: windows.gaussian(3, std=0),
        lambda: windows.hann(3, dtype=torch.int64),
    ):
        with pytest.raises(ValueError):
            bad()


def test_names_and_keywords_are_pytorchs():
    for name in torch.fft.__all__:
        parameters = list(inspect.signature(getattr(torch.fft, name)).parameters)
        if "freq" in name:
            assert parameters[:2] == ["n", "d"]
        elif "shift" in name:
            assert parameters == ["input", "dim"]
        else:
            assert parameters == ["input", "s" if name[-1] in "2n" else "n", "dim", "norm", "out"]
