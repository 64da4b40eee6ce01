"""A small causal transformer learns to write Python, one character at a time.

    python examples/char_gpt.py [--steps 800] [--seed 0] [--threads N] [--prompt TEXT] [--sample 600]

Its reading matter is on every machine: the sources of the standard library of the Python that runs it. Half a minute
on two cores takes the loss from ln(vocabulary), 4.6 nats a character, to below 2: words, indentation and def look
right, the meaning does not. Everything is built from plain modules, so that it can be read as a description of the
architecture (A. Vaswani et al., "Attention is all you need", 2017, in its pre-norm, decoder-only form).
"""

import argparse
import math
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import tessel as torch
from tessel import Tensor, nn, optim

try:
    from tqdm import tqdm
except ImportError:

    class tqdm(list[int]):  # type: ignore[no-redef]
        """Stands in for the progress bar where it is not installed: the same loop, nothing drawn."""

        def __init__(self, iterable: Iterable[int], **_: object) -> None:
            super().__init__(iterable)

        def set_postfix(self, **_: object) -> None:
            pass


CONTEXT, WIDTH, HEADS, LAYERS, DROPOUT = 64, 96, 4, 3, 0.05
BATCH, PEAK_RATE, WARMUP = 16, 4e-3, 40


class Attention(nn.Module):
    """Causal multi-head self-attention: (n, t, width) -> (n, t, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.query_key_value(x).view(n, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        dropped = DROPOUT if self.training else 0.0
        heads = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
        y: Tensor = self.output(heads.transpose(1, 2).reshape(n, t, WIDTH))
        return y


class Block(nn.Module):
    """Characters look at each other, then each thinks for itself; both add to what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(DROPOUT)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class CharGPT(nn.Module):
    """(n, t) characters -> (n, t, vocabulary) scores of the character that follows each."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.scores = nn.Linear(WIDTH, vocabulary)
        for module in self.modules():  # GPT-2's start: small weights, so that the first guess is an even one
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(x.shape[1])
        y: Tensor = self.scores(self.norm(self.blocks(self.characters(x) + self.positions(place))))
        return y


def standard_library() -> str:
    """The text of the standard library's top-level modules, ASCII only, in alphabetical order."""
    folder = Path(sysconfig.get_path("stdlib"))
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.py")))
    return text.encode("ascii", "ignore").decode()


def windows(data: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """The inputs (n, CONTEXT) that start there, and the targets: the same text, one character on."""
    text = data[starts[:, None] + torch.arange(CONTEXT + 1)]
    return text[:, :-1], text[:, 1:]


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy in nats a character."""
    scores = model(x)
    return nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))


def validation_loss(model: nn.Module, data: Tensor, rounds: int = 8) -> float:
    """The loss over evenly spaced windows of text that was never trained on."""
    model.eval()
    starts = torch.arange(rounds * BATCH) * ((len(data) - CONTEXT - 1) // (rounds * BATCH))
    with torch.no_grad():
        losses = [loss_of(model, *windows(data, starts[i : i + BATCH])).item() for i in range(0, len(starts), BATCH)]
    model.train()
    return sum(losses) / len(losses)


def rate(step: int, steps: int) -> float:
    """A linear warm-up, then half a cosine down to a tenth of the peak."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return PEAK_RATE * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def write(model: nn.Module, start: Tensor, length: int, temperature: float = 0.8) -> Tensor:
    """Continues the characters `start` (1, t) by `length` more, each drawn from the model's own distribution."""
    model.eval()
    text = start
    with torch.no_grad():
        for _ in range(length):
            scores = model(text[:, -CONTEXT:])[:, -1]
            following = torch.multinomial((scores / temperature).softmax(dim=-1), 1)
            text = torch.cat([text, following], dim=1)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="a character transformer on Python's standard library")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: every core this process may use")
    parser.add_argument("--prompt", default="def ", help="what the sample starts with")
    parser.add_argument("--sample", type=int, default=600, help="characters to write at the end")
    args = parser.parse_args()

    start = time.perf_counter()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    text = standard_library()
    alphabet = sorted(set(text))
    number = {character: i for i, character in enumerate(alphabet)}
    data = torch.from_numpy(np.array([number[character] for character in text], dtype=np.int64))
    cut = int(0.95 * len(data))
    train, val = data[:cut], data[cut:]

    model = CharGPT(len(alphabet))
    optimizer = optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99), weight_decay=0.05)
    print(
        f"{len(data):,} characters, {len(alphabet)} different ones; "
        f"{sum(p.numel() for p in model.parameters()):,} parameters; {torch.get_num_threads()} threads"
    )
    print(f"validation loss before training: {validation_loss(model, val):.3f}")

    bar = tqdm(range(args.steps), desc="training", unit="step")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps)
        optimizer.zero_grad()
        loss = loss_of(model, *windows(train, torch.randint(0, len(train) - CONTEXT, (BATCH,))))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")

    print(f"validation loss after {args.steps} steps: {validation_loss(model, val):.3f}")
    known = [number[character] for character in args.prompt if character in number]
    prompt = torch.tensor([known or [number["\n"]]])  # something has to stand there
    written = write(model, prompt, args.sample)
    print(f"trained and wrote in {time.perf_counter() - start:.1f} s:\n")
    print("".join(alphabet[i] for i in written[0].tolist()))


if __name__ == "__main__":
    main()
