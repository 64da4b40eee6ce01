"""Losses: how far from the target, as a mean, a sum, or each for itself."""

import numpy as np

from . import Spec, case, error, given, ints, positive, rand
from .elementwise import softplus
from .reduce import cosine_similarity, pairwise_distance
from .softmax import log_softmax

TOLERANCE = {"float32": (1e-5, 1e-5), "float16": (6e-3, 6e-3), "bfloat16": (4e-2, 4e-2)}


def reduced(y, reduction, count=None):
    if reduction == "none":
        return y
    return y.sum() if reduction == "sum" else y.sum() / (y.size if count is None else count)


def nll_loss(x, t, weight=None, ignore_index=-100, reduction="mean"):
    """x is (n, classes, ...) or (classes,), t has class numbers."""
    if x.ndim == 1:
        y = nll_loss(x[None], t[None], weight, ignore_index, "none")
        w = 1.0 if weight is None or t == ignore_index else weight[t]
        return y[0] if reduction == "none" else reduced(y[0] * 1.0, "sum") / (w if reduction == "mean" else 1)
    kept = t != ignore_index
    safe = np.where(kept, t, 0)
    w = kept * (np.ones(x.shape[1]) if weight is None else weight)[safe]
    y = -np.take_along_axis(x, safe[:, None], 1)[:, 0] * w
    return reduced(y, reduction, w.sum())


def cross_entropy(x, t, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dim = 0 if x.ndim == 1 else 1
    logp, classes = log_softmax(x, dim), x.shape[dim]
    w = np.ones(classes) if weight is None else weight
    w_along = w.reshape((-1,) + (1,) * (x.ndim - dim - 1))
    if t.shape == x.shape:  # probabilities
        t = t * (1 - label_smoothing) + label_smoothing / classes
        y = -(logp * t * w_along).sum(dim)
        return reduced(y, reduction, y.size)
    hard = nll_loss(logp, t, weight, ignore_index, "none")
    kept = t != ignore_index
    soft = -(logp * w_along).sum(dim) * kept / classes
    count = (kept * w[np.where(kept, t, 0)]).sum()
    return reduced((1 - label_smoothing) * hard + label_smoothing * soft, reduction, count)


def mse_loss(x, t, reduction="mean"):
    return reduced((x - t) ** 2, reduction)


def smooth_l1_loss(x, t, reduction="mean", beta=1.0):
    d = np.abs(x - t)
    return reduced(np.where(d < beta, d * d / 2 / max(beta, 1e-300), d - beta / 2), reduction)


def huber_loss(x, t, reduction="mean", delta=1.0):
    d = np.abs(x - t)
    return reduced(np.where(d < delta, d * d / 2, delta * (d - delta / 2)), reduction)


def with_logits(x, t, weight=None, reduction="mean", pos_weight=None):
    y = (1 - t) * x + (1 + ((1 if pos_weight is None else pos_weight) - 1) * t) * softplus(-x)
    return reduced(y if weight is None else y * weight, reduction)


def binary_cross_entropy(x, t, weight=None, reduction="mean"):
    with np.errstate(all="ignore"):
        y = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))
    return reduced(y if weight is None else y * weight, reduction)


def kl_div(x, t, reduction="mean", log_target=False):
    with np.errstate(all="ignore"):
        y = np.exp(t) * (t - x) if log_target else np.where(t > 0, t * (np.log(np.where(t > 0, t, 1)) - x), 0 * t)
    return y.sum() / x.shape[0] if reduction == "batchmean" else reduced(y, reduction)


def cosine_embedding_loss(a, b, t, margin=0.0, reduction="mean"):
    cos = cosine_similarity(a, b, -1, 1e-12)
    return reduced(np.where(t == 1, 1 - cos, np.maximum(cos - margin, 0)), reduction)


def gaussian_nll_loss(x, t, var, full=False, eps=1e-6, reduction="mean"):
    var = np.maximum(var.reshape(var.shape + (1,) * (x.ndim - var.ndim)), eps)
    return reduced((np.log(var) + (x - t) ** 2 / var + full * np.log(2 * np.pi)) / 2, reduction)


def hinge_embedding_loss(x, t, margin=1.0, reduction="mean"):
    return reduced(np.where(t == 1, x, np.maximum(margin - x, 0)), reduction)


def margin_ranking_loss(a, b, t, margin=0.0, reduction="mean"):
    return reduced(np.maximum(margin - t * (a - b), 0), reduction)


def multi_margin_loss(x, t, p=1, margin=1.0, weight=None, reduction="mean"):
    rows, t_rows = np.atleast_2d(x), np.atleast_1d(t)
    own = np.arange(rows.shape[1]) == t_rows[:, None]
    y = np.where(own, 0, np.maximum(margin - rows[own][:, None] + rows, 0) ** p)
    y = (y if weight is None else y * weight[t_rows][:, None]).mean(1)
    return reduced(y if x.ndim > 1 else y[0], reduction)


def multilabel_margin_loss(x, t, reduction="mean"):
    def of_row(row, labels):
        kept = labels[: np.flatnonzero(np.append(labels, -1) == -1)[0]]
        others = np.setdiff1d(np.arange(row.size), kept)
        return np.maximum(1 - row[kept][:, None] + row[others], 0).sum() / row.size

    y = np.array([of_row(*pair) for pair in zip(np.atleast_2d(x), np.atleast_2d(t))])
    return reduced(y if x.ndim > 1 else y[0], reduction)


def multilabel_soft_margin_loss(x, t, weight=None, reduction="mean"):
    return reduced(with_logits(x, t, weight, "none").mean(-1), reduction)


def poisson_nll_loss(x, t, log_input=True, full=False, eps=1e-8, reduction="mean"):
    y = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    many = np.maximum(t, 1)  # Stirling's formula, for targets beyond 1
    y = y + full * (t > 1) * (many * np.log(many) - many + np.log(2 * np.pi * many) / 2)
    return reduced(y, reduction)


def soft_margin_loss(x, t, reduction="mean"):
    return reduced(softplus(-t * x), reduction)


def triplet_margin_loss(a, near, far, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    gap = pairwise_distance(a, far, p, eps)
    gap = np.minimum(gap, pairwise_distance(near, far, p, eps)) if swap else gap
    return reduced(np.maximum(pairwise_distance(a, near, p, eps) - gap + margin, 0), reduction)


def each(*args, **more):
    return [case(*args, reduction=r, **more) for r in ("mean", "sum", "none")]


N, C = 5, 4
LOGITS, CLASSES = rand(N, C), ints(N, high=C)
IMAGES = rand(2, C, 3, 2), ints(2, 3, 2, high=C)
SOME_IGNORED = given([0, 3, -100, 1, -100], "int64")
WEIGHT = positive(C).const
SHARES = positive(N, C, low=0.1, high=0.5)
CHANCE, TRUTH = positive(3, 4, low=0.1, high=0.9), positive(3, 4, low=0.0, high=1.0)
SIDES = given([1, -1, 1, -1, -1], "int64")
GRID_SIDES = given([[1, -1, 1, -1], [-1, -1, 1, 1], [1, 1, -1, -1]], "int64")
LABELS = given([[3, 0, -1, 1], [-1, 0, 1, 2], [0, 1, 2, 3]], "int64")
WRONG_SHAPE = error(RuntimeError, ".*", rand(3, 4), rand(3, 5))
WRONG_REDUCTION = error(ValueError, ".*average", rand(3, 4), rand(3, 4), reduction="average")
WRONG_CLASS = error(IndexError, ".*", LOGITS, given([0, 1, 2, 3, 4], "int64"))
WRONG_COUNT = error(ValueError, ".*", LOGITS, ints(3, high=C))


def loss(name, reference, cases, **more):
    return Spec("nn.functional." + name, reference, cases, **{"method": False, "tolerance": TOLERANCE, **more})


def sigmoid_focal_loss(x, t, alpha=0.25, gamma=2.0, reduction="none"):
    p = 1 / (1 + np.exp(-x))
    entropy = -(t * -softplus(-x) + (1 - t) * -softplus(x))
    y = entropy * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    return reduced(y * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else y, reduction)


def focal_loss(x, t, weight=None, gamma=2.0, ignore_index=-100, reduction="mean"):
    logp = log_softmax(x, 0 if x.ndim == 1 else 1)
    entropy = nll_loss(logp, t, None, ignore_index, "none")
    kept = t != ignore_index
    w = kept * (np.ones(x.shape[min(1, x.ndim - 1)]) if weight is None else weight)[np.where(kept, t, 0)]
    return reduced(entropy * (1 - np.exp(-entropy)) ** gamma * w, reduction, w.sum())


def ctc_loss(x, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """All readings of every place, step by step, as probabilities."""
    lone = x.ndim == 2
    x = x[:, None] if lone else x
    lengths, counts = np.reshape(input_lengths, -1), np.reshape(target_lengths, -1)
    begins, losses = np.cumsum(counts) - counts, []
    for n, (steps, count) in enumerate(zip(lengths, counts)):
        target = targets[n, :count] if targets.ndim == 2 else targets[begins[n] : begins[n] + count]
        label = [blank] + [v for t in target for v in (t, blank)]
        p = np.zeros(len(label))
        p[0] = 1
        for step in range(steps):
            before = p.copy()
            if step:
                p[1:] += before[:-1]
                for s in range(2, len(label)):
                    p[s] += before[s - 2] if s % 2 and label[s] != label[s - 2] else 0
            elif len(label) > 1:
                p[1] = 1
            p = p * np.exp(x[step, n, label])
        reads = p[-2:].sum() if steps else float(len(label) == 1)
        loss = -np.log(reads) if reads > 0 else np.inf
        losses.append(0.0 if zero_infinity and np.isinf(loss) else loss)
    losses = np.array(losses)
    if reduction == "mean":
        return (losses / np.maximum(counts, 1)).mean()
    return losses.sum() if reduction == "sum" else losses[0] if lone else losses


HARD = given([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]).const

SPECS = [
    loss(
        "cross_entropy",
        cross_entropy,
        [
            *each(LOGITS, CLASSES),
            *each(LOGITS, CLASSES, weight=WEIGHT),
            *each(LOGITS, SOME_IGNORED),
            *each(LOGITS, SOME_IGNORED, weight=WEIGHT, label_smoothing=0.2),
            case(LOGITS, CLASSES, ignore_index=1),
            case(LOGITS, CLASSES, label_smoothing=0.1),
            *each(*IMAGES, weight=WEIGHT),
            case(rand(C), ints(high=C)),
            *each(LOGITS, SHARES),
            *each(LOGITS, SHARES, weight=WEIGHT, label_smoothing=0.3),
            case(rand(2, C, 3), positive(2, C, 3)),
            case(rand(C), positive(C)),
            case(rand(N, 133), ints(N, high=133)),
            case(given([[1e4, -1e4, 0.0]]), given([0], "int64")).of(("float32", "float64")),
        ],
        large=case(rand(701, 151), ints(701, high=151)),
        bench=[case(rand(128, 10), ints(128, high=10)), case(rand(512, 32_000), ints(512, high=32_000))],
        errors=[
            WRONG_CLASS,
            WRONG_COUNT,
            error(RuntimeError, ".*", LOGITS, CLASSES, weight=positive(3)),
            error(ValueError, ".*", LOGITS, CLASSES, reduction="average"),
            error(RuntimeError, ".*", LOGITS, CLASSES, label_smoothing=1.5),
        ],
    ),
    loss(
        "nll_loss",
        nll_loss,
        [
            *each(LOGITS, CLASSES),
            *each(LOGITS, CLASSES, weight=WEIGHT),
            *each(LOGITS, SOME_IGNORED),
            case(LOGITS, CLASSES, ignore_index=1),
            *each(*IMAGES, weight=WEIGHT),
            case(rand(C), ints(high=C)),
            case(rand(C), ints(high=C), weight=WEIGHT),
        ],
        large=case(rand(9001, 31), ints(9001, high=31)),
        errors=[WRONG_CLASS, WRONG_COUNT],
    ),
    loss(
        "mse_loss",
        mse_loss,
        [*each(rand(3, 4), rand(3, 4)), case(rand(), rand())],
        large=case(rand(301, 233), rand(301, 233)),
        errors=[
            error(RuntimeError, ".*", rand(3), rand(4)),
            error(ValueError, ".*", rand(3), rand(3), reduction="average"),
        ],
        bench=[case(rand(1 << 16), rand(1 << 16))],
    ),
    loss("l1_loss", lambda x, t, reduction="mean": reduced(np.abs(x - t), reduction), each(rand(3, 4), rand(3, 4))),
    loss(
        "smooth_l1_loss",
        smooth_l1_loss,
        [*each(rand(3, 4), rand(3, 4)), case(rand(3, 4), rand(3, 4), beta=0.5)],
        twice=False,
    ),
    loss(
        "huber_loss", huber_loss, [*each(rand(3, 4), rand(3, 4)), case(rand(3, 4), rand(3, 4), delta=0.5)], twice=False
    ),
    loss(
        "binary_cross_entropy",
        binary_cross_entropy,
        [
            *each(CHANCE, TRUTH.const),
            case(CHANCE, TRUTH.const, weight=positive(3, 4).const),
            case(given([0.0, 1.0, 0.0, 1.0]), given([0.0, 1.0, 1.0, 0.0])),
        ],
        twice=False,
        errors=[error(ValueError, ".*", CHANCE, positive(3, 5))],
    ),
    loss(
        "binary_cross_entropy_with_logits",
        with_logits,
        [
            *each(rand(3, 4), TRUTH.const),
            case(rand(3, 4), TRUTH.const, pos_weight=positive(4).const),
            case(rand(3, 4), TRUTH.const, weight=positive(3, 4).const),
            case(given([1e4, -1e4]), given([0.0, 1.0])).of(("float32", "float64")),
        ],
        errors=[error(ValueError, ".*", rand(3, 4), positive(3, 5))],
    ),
    loss(
        "kl_div",
        kl_div,
        [
            *each(rand(3, 4), positive(3, 4)),
            case(rand(3, 4), positive(3, 4), reduction="batchmean"),
            case(rand(3, 4), rand(3, 4), log_target=True),
        ],
    ),
    loss(
        "cosine_embedding_loss",
        cosine_embedding_loss,
        [
            *each(rand(5, 4), rand(5, 4), SIDES),
            case(rand(5, 4), rand(5, 4), SIDES, margin=-0.5),
            case(rand(4), rand(4), given(-1, "int64")),
        ],
        errors=[error(RuntimeError, ".*", rand(5, 4), rand(5, 3), SIDES)],
    ),
    loss(
        "gaussian_nll_loss",
        gaussian_nll_loss,
        [
            *each(rand(3, 4), rand(3, 4), positive(3, 4)),
            case(rand(3, 4), rand(3, 4), positive(3, 1), full=True),
            case(rand(3, 4), rand(3, 4), positive(3)),
            case(rand(3, 4), rand(3, 4), positive(3, 4).const, eps=9.0),
        ],
        errors=[error(ValueError, ".*", rand(3, 4), rand(3, 4), rand(3, 4, low=-2.0, high=-1.0))],
    ),
    loss(
        "hinge_embedding_loss",
        hinge_embedding_loss,
        [*each(rand(3, 4), GRID_SIDES), case(rand(5), SIDES, margin=2.5)],
        errors=[WRONG_SHAPE, WRONG_REDUCTION],
    ),
    loss(
        "margin_ranking_loss",
        margin_ranking_loss,
        [*each(rand(5), rand(5), SIDES), case(rand(5), rand(5), SIDES, margin=0.5)],
        errors=[error(RuntimeError, ".*", rand(3, 5), rand(5), SIDES)],
    ),
    loss(
        "multi_margin_loss",
        multi_margin_loss,
        [
            *each(LOGITS, CLASSES),
            *each(LOGITS, CLASSES, 2, 0.5, WEIGHT),
            case(rand(C), ints(high=C)),
        ],
        errors=[error(RuntimeError, ".*", LOGITS, ints(3, high=C)), error(ValueError, ".*", LOGITS, CLASSES, p=3)],
    ),
    loss(
        "multilabel_margin_loss",
        multilabel_margin_loss,
        [*each(rand(3, 4), LABELS), case(rand(4), given([2, 0, -1, 1], "int64"))],
        errors=[error(RuntimeError, ".*", rand(3, 4), ints(3, 5))],
    ),
    loss(
        "multilabel_soft_margin_loss",
        multilabel_soft_margin_loss,
        [*each(rand(3, 4), TRUTH.const), *each(rand(3, 4), TRUTH.const, weight=WEIGHT)],
        errors=[WRONG_SHAPE],
    ),
    loss(
        "poisson_nll_loss",
        poisson_nll_loss,
        [
            *each(rand(3, 4), positive(3, 4).const),
            case(rand(3, 4), positive(3, 4, high=6.0).const, full=True),
            case(positive(3, 4), positive(3, 4).const, log_input=False),
        ],
        tolerance={**TOLERANCE, "float16": (1e-2, 2e-2), "bfloat16": (6e-2, 0.15)},
        errors=[WRONG_SHAPE, WRONG_REDUCTION],
    ),
    loss(
        "soft_margin_loss",
        soft_margin_loss,
        [*each(rand(3, 4), GRID_SIDES), case(rand(5), SIDES)],
        errors=[WRONG_SHAPE, WRONG_REDUCTION],
    ),
    loss(
        "triplet_margin_loss",
        triplet_margin_loss,
        [
            *each(rand(5, 4), rand(5, 4), rand(5, 4)),
            case(rand(5, 4), rand(5, 4), rand(5, 4), margin=3.0, swap=True),
            case(rand(5, 4), rand(5, 4), rand(5, 4), p=1.0, eps=1e-3),
            case(rand(4), rand(4), rand(4)),
        ],
        errors=[error(RuntimeError, ".*", rand(5, 4), rand(5, 4), rand(4))],
    ),
    loss(
        "sigmoid_focal_loss",
        sigmoid_focal_loss,
        [
            *each(rand(3, 4), HARD),
            case(rand(3, 4), HARD, -1, 0),
            case(rand(3, 4), HARD, 0.6, 1.5, reduction="mean"),
            case(rand(3, 4), positive(3, 4, low=0.1, high=0.9).const),
        ],
    ),
    loss(
        "focal_loss",
        focal_loss,
        [
            *each(rand(5, 4), ints(5, high=4)),
            case(rand(5, 4), ints(5, high=4), positive(4).const, 1.5),
            case(rand(5, 4), ints(5, high=4), gamma=0.0),
            case(rand(2, 4, 3), ints(2, 3, high=4), ignore_index=1),
            case(rand(2, 4, 3), ints(2, 3, high=4), positive(4).const, 2.0, 1, "sum"),
            case(rand(4), given(2, "int64")),
        ],
    ),
    loss(
        "ctc_loss",
        ctc_loss,
        [
            *each(rand(7, 3, 4, high=0.0), ints(3, 2, low=1, high=4), (7, 5, 6), (2, 1, 2)),
            case(rand(7, 3, 4, high=0.0), ints(5, low=1, high=4), (7, 5, 6), (2, 1, 2)),
            case(rand(6, 2, 3, high=0.0), given([[1, 1, 2], [0, 1, 0]], "int64"), (6, 5), (3, 0), 2),
            case(rand(9, 4, high=0.0), given([1, 3, 3, 1], "int64"), (9,), (4,)),
            case(rand(9, 40, high=0.0), given([*range(1, 4)] * 3, "int64"), (9,), (9,), reduction="none"),
            case(rand(3, 2, 4, high=0.0), given([[1, 1, 1], [1, 2, 3]], "int64"), (3, 3), (3, 3), zero_infinity=True),
            case(rand(3, 2, 4, high=0.0), given([[1, 1], [1, 2]], "int64"), (0, 3), (0, 2)),
        ],
        twice=False,
        large=case(rand(40, 6, 30, high=0.0), ints(6, 12, low=1, high=30), (40,) * 6, (12, 11, 10, 9, 12, 5)),
        errors=[
            error(RuntimeError, "blank", rand(7, 1, 4), ints(1, 2), (7,), (2,), 4),
            error(RuntimeError, "input_lengths", rand(7, 2, 4), ints(2, 2), (7,), (2, 2)),
            error(RuntimeError, "at most 7", rand(7, 1, 4), ints(1, 2), (8,), (2,)),
            error(RuntimeError, "at least 3", rand(7, 1, 4), ints(1, 2), (7,), (3,)),
        ],
    ),
]
