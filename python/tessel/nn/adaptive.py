"""AdaptiveLogSoftmaxWithLoss: a softmax over very many classes, the rare ones in clusters of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import _C
from .._C import Tensor
from . import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of the targets among `n_classes`, sorted by falling frequency, and their mean loss.

    Classes below `cutoffs[0]` are told apart by the head, as are the clusters of the others, which begin at each
    cutoff; cluster i is told apart from a projection to in_features / div_value^(i + 1) dimensions.

    Shapes: x (n, in_features) or (in_features,), target (n,) or (); output as target, loss a scalar.

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        ordered = all(int(a) == a and a < b for a, b in zip(ends, [*ends[1:], n_classes]))
        if not ends or ends[0] <= 0 or not ordered:
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be unique positive integers in increasing order, each "
                f"between 1 and n_classes - 1 = {n_classes - 1}, not {ends}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for cluster in range(self.n_clusters):
            width = int(in_features // div_value ** (cluster + 1))
            size = self.cutoffs[cluster + 1] - self.cutoffs[cluster]
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, device=device, dtype=dtype),
                    Linear(width, size, bias=False, device=device, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        self.head.reset_parameters()
        for projection in self.tail:
            for layer in projection.children():
                layer.reset_parameters()  # type: ignore[operator]

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        expected = {0: 1, 1: 2}.get(target_.dim())
        if expected is None:
            raise RuntimeError(f"{type(self).__name__}: 0D or 1D target expected, but it is {tuple(target_.shape)}")
        if input_.dim() != expected:
            raise RuntimeError(
                f"{type(self).__name__}: a {target_.dim()}D target expects {expected}D input, not {tuple(input_.shape)}"
            )
        batched = target_.dim() == 1
        x, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        if x.shape[0] != target.shape[0]:
            raise RuntimeError(
                f"{type(self).__name__}: input and target should have the same size in the batch dimension, "
                f"not {x.shape[0]} and {target.shape[0]}"
            )
        if target.numel() and not 0 <= int(target.min()) <= int(target.max()) < self.n_classes:
            raise RuntimeError(
                f"{type(self).__name__}: target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{int(target.min())}, {int(target.max())}] were found"
            )
        # The head says the class, or the cluster; each cluster then adds what it says of its own samples.
        cluster = _C.bucketize(target, _C.tensor(self.cutoffs[:-1], device=target.device), right=True)
        in_head = _C.where(cluster == 0, target, self.shortlist_size - 1 + cluster)
        output = F.log_softmax(self.head(x), 1).gather(1, in_head.unsqueeze(1)).squeeze(1)
        for i in range(self.n_clusters):
            rows = (cluster == i + 1).nonzero().squeeze(1)
            if rows.numel():
                within = target.index_select(0, rows) - self.cutoffs[i]
                local = F.log_softmax(self.tail[i](x.index_select(0, rows)), 1).gather(1, within.unsqueeze(1))
                output = output.index_add(0, rows, local.squeeze(1))
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        head = F.log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for i, projection in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(projection(input), 1) + head[:, at : at + 1])
        return _C.cat(parts, 1)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: (n, in_features) to (n, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of every sample: (n, in_features) to (n,); clusters are only looked at for samples whose
        head names one."""
        head = self.head(input)
        best = head.argmax(1)
        rows = (best >= self.shortlist_size).nonzero().squeeze(1)
        if rows.numel() == 0:
            return best
        full = self._get_full_log_prob(input.index_select(0, rows), head.index_select(0, rows))
        return best.index_copy(0, rows, full.argmax(1))
