"""A program as a user types it: test_house.py has mypy read it, nobody runs it."""

import numpy as np

import tessel as torch
import tessel.nn.functional as F
from tessel import Tensor, nn, optim
from tessel.autograd import Function, gradcheck
from tessel.utils.data import DataLoader, Dataset, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, hidden)
        self.fc2 = torch.nn.Linear(hidden, 2)
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.fc1(x))
        return self.fc2(h) * self.scale + 1.0


class Square(Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * dy


class Pairs(Dataset[tuple[Tensor, int]]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.randn(4), index % 2


@torch.no_grad()
def evaluate(model: nn.Module, data: TensorDataset) -> float:
    total = 0.0
    for x, y in DataLoader(data, batch_size=2):
        total += (model(x).argmax(1) == y).float().mean().item()
    return total


def train() -> float:
    torch.manual_seed(0)
    torch.cuda.manual_seed_all(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = Net().to(device).train()
    optimizer: optim.Optimizer = optim.AdamW(net.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.StepLR(optimizer, 2)
    learn, _ = random_split(Pairs(), [0.8, 0.2])
    for _ in range(2):
        for x, y in DataLoader(learn, batch_size=4, shuffle=True):
            loss: Tensor = nn.CrossEntropyLoss()(net(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        schedule.step()
    torch.save(net.state_dict(), "net.safetensors")
    net.load_state_dict(torch.load("net.safetensors"))
    return evaluate(net, TensorDataset(torch.randn(4, 4), torch.zeros(4, dtype=torch.long)))


def tensors() -> int:
    a = torch.arange(6, dtype=torch.float).reshape(2, 3)
    values, indices = a.max(dim=1)
    n: int = a.shape[0] + a.size(0) + len(a)
    b = a[:, None, ...] @ a.T
    c: np.ndarray = a.numpy()
    d = torch.from_numpy(c) > 2
    mask = d & (a < 3) | ~d
    mean: float = a.mean().item()
    s = torch.stack([a, a], dim=0).sum(dim=(0, 1), keepdim=True) / mean
    z = Square.apply(a.requires_grad_())
    (g,) = torch.autograd.grad(z.sum(), [a])
    with torch.no_grad():
        a += 1
        a[mask] = 0.0
    handle = a.register_hook(lambda gradient: gradient * 2)
    handle.remove()
    if a.grad is not None:
        a.grad.zero_()
    u = torch.where(a > 0, a, torch.zeros_like(a)).view(-1, 3).permute(1, 0).contiguous().to(torch.float64)
    best = torch.topk(a, 2).indices.tolist()
    print(torch.cat((a, g), 1).shape, F.softmax(u, dim=-1), values.dtype == torch.bool, indices, b, s, best)
    return n if gradcheck(torch.sin, (u,)) else torch.iinfo(torch.int).max
