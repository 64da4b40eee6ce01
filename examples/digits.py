"""LeNet-5 reads handwritten digits: 1,797 real 8x8 scans that scikit-learn carries with it.

    python examples/digits.py [--epochs 40] [--seed 0] [--batch-size 32] [--threads N] [--output DIR]

Trains with a fresh small distortion of every scan each epoch, stops when the validation loss no longer falls, keeps
the best weights in a safetensors file, reads them back, and judges them on scans that were held out from all of it.
Writes lenet5.safetensors and digits.png into the output folder; the last line printed is the test accuracy.
"""

import argparse
import itertools
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import tessel as torch
from tessel import Tensor, nn, optim
from tessel.utils.data import DataLoader, TensorDataset

try:
    from tqdm import tqdm
except ImportError:

    class tqdm(list[int]):  # type: ignore[no-redef]
        """Stands in for the progress bar where it is not installed: the same loop, nothing drawn."""

        def __init__(self, iterable: Iterable[int], **_: object) -> None:
            super().__init__(iterable)

        def set_postfix(self, **_: object) -> None:
            pass


Array = NDArray[Any]
Loader = DataLoader[tuple[Tensor, ...]]

SIDE = 32  # LeNet-5 was drawn for 32x32 images
PEAK_RATE = 3e-3


class LeNet5(nn.Module):
    """Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998: (n, 1, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5),  # 32 -> 28
            nn.Tanh(),
            nn.AvgPool2d(2),  # 28 -> 14
            nn.Conv2d(6, 16, 5),  # 14 -> 10
            nn.Tanh(),
            nn.AvgPool2d(2),  # 10 -> 5
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.features(x))
        return y


def sample(scans: Array, matrices: Array, shifts: Array) -> Array:
    """(n, 8, 8) scans read as (n, SIDE, SIDE) images, bilinearly, each through its own affine map.

    Pixel centres of the image, measured from its centre in units of scan pixels, go through matrices (n, 2, 2) and
    are moved by shifts (n, 2). Whatever lies beyond the scan's edge is its background, 0.
    """
    n, size = len(scans), scans.shape[-1]
    ticks = ((np.arange(SIDE) + 0.5) / SIDE - 0.5) * size
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    points = grid @ matrices.transpose(0, 2, 1) + shifts[:, None]

    margin = 1  # the background ring that points outside are clipped into
    padded = np.pad(scans, ((0, 0), (margin, margin + 1), (margin, margin + 1)))
    points = np.clip(points + (size - 1) / 2 + margin, 0, size + margin)
    corner = points.astype(int)
    (row, column), (down, right) = np.moveaxis(corner, -1, 0), np.moveaxis(points - corner, -1, 0)
    scan = np.arange(n)[:, None]
    upper = padded[scan, row, column] * (1 - right) + padded[scan, row, column + 1] * right
    lower = padded[scan, row + 1, column] * (1 - right) + padded[scan, row + 1, column + 1] * right
    images: Array = (upper * (1 - down) + lower * down).reshape(n, SIDE, SIDE).astype(np.float32)
    return images


def enlarge(scans: Array) -> Array:
    """The scans as they are, only larger."""
    return sample(scans, np.tile(np.eye(2), (len(scans), 1, 1)), np.zeros((len(scans), 2)))


def distort(scans: Array, rng: np.random.Generator) -> Array:
    """Every scan a little turned, slanted, zoomed and shifted, each in its own way: as other hands write."""
    n = len(scans)
    angle, slant = rng.uniform(-0.25, 0.25, n), rng.uniform(-0.3, 0.3, n)
    zoom, shifts = rng.uniform(0.8, 1.2, n), rng.uniform(-0.7, 0.7, (n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    slanted = np.array([[np.ones(n), np.zeros(n)], [slant, np.ones(n)]]).transpose(2, 0, 1)
    return sample(scans, zoom[:, None, None] * turned @ slanted, shifts)


def split(labels: Array, rng: np.random.Generator, parts: tuple[float, ...] = (0.7, 0.15, 0.15)) -> list[Array]:
    """Index arrays for training, validation and test, with every digit present in each in the same proportion."""
    cuts = np.cumsum(parts)[:-1]
    chosen: list[list[Array]] = [[] for _ in parts]
    for digit in np.unique(labels):
        where = rng.permutation(np.flatnonzero(labels == digit))
        for part, indices in zip(chosen, np.split(where, np.rint(cuts * len(where)).astype(int))):
            part.append(indices)
    return [np.sort(np.concatenate(part)) for part in chosen]


def dataset(images: Array, labels: Array) -> TensorDataset:
    """Images in [0, 1] as a TensorDataset of (1, side, side) images about zero, and their digits."""
    return TensorDataset(torch.from_numpy((2 * images - 1)[:, None]), torch.from_numpy(labels))


def train_epoch(model: nn.Module, loader: Loader, loss_of: nn.Module, optimizer: optim.Optimizer) -> float:
    """One pass over the training scans; returns the mean loss."""
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


def evaluate(model: nn.Module, loader: Loader, loss_of: nn.Module) -> tuple[float, Array]:
    """The mean loss over a loader, and the digit read from each image, in order."""
    model.eval()
    total, read = 0.0, []
    with torch.no_grad():
        for x, y in loader:
            scores = model(x)
            total += loss_of(scores, y).item() * len(y)
            read.append(scores.argmax(dim=1).numpy())
    return total / len(loader.dataset), np.concatenate(read)


def draw(path: Path, history: list[tuple[float, float, float]], images: Array, labels: Array, read: Array) -> None:
    """The learning curves, who was taken for whom, and the digits that were read wrongly, on one page."""
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=(2.4, 1))
    upper, lower = halves
    curves, table = upper.subplots(1, 2, width_ratios=(1.4, 1))

    epochs = np.arange(1, len(history) + 1)
    training, validation, accuracy = np.array(history).T
    curves.plot(epochs, training, label="training loss (distorted scans)")
    curves.plot(epochs, validation, label="validation loss")
    best = validation.argmin()
    curves.axvline(epochs[best], color="grey", linestyle=":", label=f"best weights: epoch {epochs[best]}")
    curves.set(title="Learning curves", xlabel="epoch", ylabel="cross-entropy", yscale="log")
    right = curves.twinx()
    right.plot(epochs, 100 * accuracy, color="tab:green", label="validation accuracy")
    right.set(ylabel="accuracy, %", ylim=(min(90, 100 * accuracy.min()), 100.2))
    handles = [line for axes in (curves, right) for line in axes.get_legend_handles_labels()[0]]
    curves.legend(handles=handles, loc="center right")

    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels, read), 1)
    table.imshow(np.sqrt(confusion), cmap="Blues")  # the root makes a single error visible beside 27 right ones
    for row, column in zip(*confusion.nonzero()):
        dark = confusion[row, column] > confusion.max() / 2
        table.text(column, row, confusion[row, column], ha="center", va="center", color="white" if dark else "black")
    table.set(title="Test scans", xlabel="read as", ylabel="is", xticks=range(10), yticks=range(10))

    wrong = np.flatnonzero(labels != read)
    lower.suptitle(f"Wrongly read: {len(wrong)} of {len(labels)}")
    for axes, index in itertools.zip_longest(lower.subplots(1, 8), wrong[:8]):
        axes.axis("off")
        if index is not None:
            axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(f"{labels[index]} read as {read[index]}")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="LeNet-5 on scikit-learn's handwritten digits")
    parser.add_argument("--epochs", type=int, default=40, help="at most so many (early stopping may end sooner)")
    parser.add_argument("--patience", type=int, default=12, help="epochs without a better validation loss")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights, the order, the distortions")
    parser.add_argument("--threads", type=int, help="default: every core this process may use")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    weights = args.output / "lenet5.safetensors"

    start = time.perf_counter()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    digits = load_digits()
    scans, labels = (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)
    train, val, test = split(labels, rng)
    val_loader, test_loader = (
        Loader(dataset(enlarge(scans[part]), labels[part]), batch_size=256) for part in (val, test)
    )

    model = LeNet5()
    loss_of = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=PEAK_RATE)
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters; scans: {len(train):,} to train, "
        f"{len(val)} to validate, {len(test)} to test; {torch.get_num_threads()} threads"
    )

    history, best_loss, best_epoch = [], float("inf"), 0
    bar = tqdm(range(1, args.epochs + 1), desc="training", unit="epoch")
    for epoch in bar:
        for group in optimizer.param_groups:  # a half cosine from the peak to nothing
            group["lr"] = PEAK_RATE * (1 + math.cos(math.pi * (epoch - 1) / args.epochs)) / 2
        train_set = dataset(distort(scans[train], rng), labels[train])
        train_loss = train_epoch(model, DataLoader(train_set, args.batch_size, shuffle=True), loss_of, optimizer)
        val_loss, read = evaluate(model, val_loader, loss_of)
        accuracy = float((read == labels[val]).mean())
        history.append((train_loss, val_loss, accuracy))
        bar.set_postfix(train=f"{train_loss:.3f}", val=f"{val_loss:.3f}", accuracy=f"{100 * accuracy:.1f} %")
        if val_loss < best_loss:
            best_loss, best_epoch = val_loss, epoch
            torch.save(model.state_dict(), weights)
        elif epoch - best_epoch >= args.patience:
            break

    model = LeNet5()  # a new one: only what was saved counts
    model.load_state_dict(torch.load(weights))
    test_loss, read = evaluate(model, test_loader, loss_of)
    draw(args.output / "digits.png", history, enlarge(scans[test]), labels[test], read)

    print(f"best epoch {best_epoch} of {len(history)}; test loss {test_loss:.3f}; {time.perf_counter() - start:.1f} s")
    print(f"wrote {weights} and {args.output / 'digits.png'}")
    print(f"test accuracy: {100 * (read == labels[test]).mean():.1f} %")


if __name__ == "__main__":
    main()
