"""Scaled dot product attention. Sizes above 64 take more than one block of queries and keys."""

import numpy as np

from . import Spec, case, error, given, ints, mask, rand

TOLERANCE = {"float32": (1e-5, 1e-5), "float16": (5e-3, 5e-3), "bfloat16": (4e-2, 4e-2)}


def attention(
    q,
    k,
    v,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
    return_weights=False,
):
    """Every score at once; a row whose scores are all -inf gives 0."""
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    scores = scale * q @ np.swapaxes(k, -1, -2)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    top = scores.max(-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(top == -np.inf, 0, top))
    total = weights.sum(-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return (weights @ v, weights) if return_weights else weights @ v


def qkv(q, k=None, v=None):
    """Inputs of these shapes; k and v as q unless given."""
    return rand(*q), rand(*(k or q)), rand(*(v or k or q))


CLOSED = given([[True, False, True, False], [False] * 4, [True] * 4], "bool")  # the second query sees nothing
SUNK = given([[0.5, -np.inf, 0.0, 1.0], [-np.inf] * 4, [0.0, -1.0, 2.0, 0.0]]).const


SPECS = [
    Spec(
        "nn.functional.scaled_dot_product_attention",
        attention,
        [
            case(*qkv((2, 2, 3, 4))),
            case(*qkv((2, 2, 3, 4)), is_causal=True),
            case(*qkv((3, 4), (5, 4), (5, 2))),
            case(*qkv((2, 3, 4), (2, 2, 4)), is_causal=True, scale=0.3),
            case(*qkv((2, 3, 4), (2, 5, 4)), is_causal=True, scale=-1.5),
            case(*qkv((2, 3, 4)), mask(3, 3)),
            case(*qkv((2, 3, 4), (2, 4, 4)), CLOSED),
            case(*qkv((2, 3, 4), (2, 4, 4)), SUNK),
            case(*qkv((2, 2, 3, 4)), mask(2, 1, 1, 3)),
            case(*qkv((2, 2, 3, 4)), rand(3, 3)),
            case(*qkv((2, 2, 3, 4)), rand(2, 1, 3, 1)),
            case(*qkv((2, 2, 3, 4)), rand(2, 1, 3), is_causal=True),
            case(*qkv((2, 4, 3, 2), (2, 2, 3, 2)), enable_gqa=True),
            case(*qkv((4, 3, 2), (2, 3, 2)), mask(4, 3, 3), enable_gqa=True),
            case(*qkv((4, 3, 2), (2, 3, 2), (1, 3, 2)), is_causal=True, enable_gqa=True),
            case(*qkv((2, 4, 3, 2), (2, 1, 3, 2))),
            case(*qkv((2, 1, 3, 2), (1, 2, 3, 2))),
            case(*qkv((1, 3, 1), (1, 3, 1), (1, 3, 1))),
            case(*qkv((2, 0, 4), (2, 3, 4))),
            case(*qkv((2, 3, 4), (2, 0, 4))),
            case(*qkv((0, 3, 4))),
            case(*qkv((2, 3, 4), (2, 3, 4), (2, 3, 0))),
            case(*qkv((1, 2, 70, 5), (1, 2, 67, 5), (1, 2, 67, 3))),
            case(*qkv((1, 1, 82, 5), (1, 1, 97, 5)), is_causal=True),
            case(*qkv((1, 1, 97, 5), (1, 1, 70, 5)), is_causal=True),
            case(*qkv((1, 2, 70, 5)), mask(70, 70)),
            case(*qkv((2, 2, 3, 4)), return_weights=True),
            case(*qkv((2, 3, 4), (2, 5, 4)), is_causal=True, scale=-0.5, return_weights=True),
            case(*qkv((2, 3, 4), (2, 4, 4)), CLOSED, return_weights=True),
            case(*qkv((2, 3, 4), (2, 4, 4)), SUNK, return_weights=True),
            case(*qkv((2, 2, 3, 4)), rand(2, 1, 3), is_causal=True, return_weights=True),
            case(*qkv((2, 4, 3, 2), (2, 2, 3, 2)), enable_gqa=True, return_weights=True),
        ],
        method=False,
        tolerance=TOLERANCE,
        large=case(*qkv((3, 5, 300, 20), (3, 5, 200, 20)), is_causal=True),
        bench=[
            case(*qkv((4, 12, 512, 64))),
            case(*qkv((4, 12, 512, 64)), is_causal=True),
            case(*qkv((4, 12, 512, 64)), return_weights=True),
        ],
        errors=[
            error(RuntimeError, ".*last size: 4 and 3", rand(2, 5, 4), rand(2, 5, 3), rand(2, 5, 4)),
            error(RuntimeError, ".*3 rows but value has 5", rand(2, 5, 4), rand(2, 3, 4), rand(2, 5, 4)),
            error(RuntimeError, ".*2 dimensional.*1", rand(4), rand(2, 5, 4), rand(2, 5, 4)),
            error(RuntimeError, ".*same dtype", rand(2, 4), rand(2, 4), ints(2, 4)),
            error(RuntimeError, ".*3, 3.*broadcast", *qkv((2, 5, 4)), mask(3, 3)),
            error(RuntimeError, ".*attn_mask.dtype: int64", *qkv((2, 5, 4)), ints(5, 5)),
            error(RuntimeError, ".*divide.*3, 3 and 4", *qkv((4, 5, 2), (3, 5, 2)), enable_gqa=True),
            error(RuntimeError, ".*1.5", *qkv((2, 5, 4)), dropout_p=1.5),
        ],
    ),
]
