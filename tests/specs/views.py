"""Views, shapes, joining and arranging: no arithmetic, every dtype."""

from dataclasses import replace
from itertools import combinations, combinations_with_replacement

import numpy as np

from . import ALL, FLOATS, Spec, case, error, given, rand


def moves(name, reference, cases, **more):
    return Spec(name, reference, cases, **{"dtypes": ALL, **more})


def view(name, reference, cases, **more):
    return moves(name, reference, cases, **{"view": True, **more})


def shape_of(args):
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (list, tuple)) else args


def reshape(x, *shape):
    return np.reshape(x, shape_of(shape))


def permute(x, *dims):
    return np.transpose(x, shape_of(dims))


def expand(x, *shape):
    shape = shape_of(shape)
    had = (1,) * (len(shape) - x.ndim) + x.shape
    return np.broadcast_to(x, [h if s == -1 else s for s, h in zip(shape, had)])


def flatten(x, start_dim=0, end_dim=-1):
    if x.ndim == 0:
        return x.reshape(1)
    end = end_dim % x.ndim
    return x.reshape(*x.shape[:start_dim], -1, *x.shape[end + 1 :])


def unflatten(x, dim, sizes):
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def squeeze(x, dim=None):
    if x.ndim == 0:
        return x
    dims = range(x.ndim) if dim is None else [d % x.ndim for d in np.atleast_1d(dim)]
    return np.squeeze(x, tuple(d for d in dims if x.shape[d] == 1))


def diagonal(x, offset=0, dim1=0, dim2=1):
    return np.diagonal(x, offset, dim1, dim2)


def unfold(x, dim, size, step):
    dim %= x.ndim
    starts = range(0, x.shape[dim] - size + 1, step)
    return np.stack([np.moveaxis(x.take(range(s, s + size), dim), dim, -1) for s in starts], dim)


def as_strided(x, size, stride, storage_offset=0):
    flat = np.ascontiguousarray(x).reshape(-1)
    places = sum(np.ix_(*[np.arange(n) * s for n, s in zip(size, stride)])) if size else 0
    return flat[places + storage_offset]


def split(x, sizes, dim=0):
    if isinstance(sizes, int):
        return np.split(x, range(sizes, x.shape[dim], sizes), dim) if x.shape[dim] else [x]
    return np.split(x, np.cumsum(sizes)[:-1], dim)


def chunk(x, chunks, dim=0):
    return split(x, -(-x.shape[dim] // chunks) or 1, dim)


def unbind(x, dim=0):
    return [x.take(i, dim) for i in range(x.shape[dim])]


def narrow(x, dim, start, length):
    start += x.shape[dim] if start < 0 else 0
    return x.take(range(start, start + length), dim)


def cat(xs, dim=0):
    kept = [x for x in xs if x.shape != (0,)] or xs[:1]
    return np.concatenate(kept, dim)


def repeat(x, *times):
    times = shape_of(times)
    return np.tile(x.reshape((1,) * (len(times) - x.ndim) + x.shape), times)


def tile(x, dims):
    return np.tile(x, dims)


def repeat_interleave(x, repeats, dim=None):
    return np.repeat(x, repeats, dim)


def pad(x, pad, mode="constant", value=None):
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    if mode == "constant":
        x = x[tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(widths, x.shape))]
        widths = [(max(0, a), max(0, b)) for a, b in widths]
        return np.pad(x, widths, constant_values=np.asarray(value or 0).astype(x.dtype))
    return np.pad(x, widths, {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], n, n), x.dtype)
    i = np.arange(x.shape[-1])
    y[..., i + max(0, -offset), i + max(0, offset)] = x
    return np.moveaxis(y, (-2, -1), (dim1, dim2))


def movedim(x, source, destination):
    return np.moveaxis(x, source, destination)


def meshgrid(*xs, indexing="ij"):
    return np.meshgrid(*xs, indexing=indexing)


def combined(x, r=2, with_replacement=False):
    chosen = (combinations_with_replacement if with_replacement else combinations)(x, r)
    return np.array(list(chosen), x.dtype).reshape(-1, r)


def block_diag(*xs):
    xs = [np.atleast_2d(x) for x in xs]
    y = np.zeros(np.sum([x.shape for x in xs], 0), xs[0].dtype)
    at = np.zeros(2, int)
    for x in xs:
        y[at[0] : at[0] + x.shape[0], at[1] : at[1] + x.shape[1]] = x
        at += x.shape
    return y


def with_written(read):
    """x with y where read(x, ...) reads."""

    def reference(x, y, *args, **kwargs):
        places = read(np.arange(x.size).reshape(x.shape), *args, **kwargs)
        x = x.copy()
        x.reshape(-1)[places] = y
        return x

    return reference


def cut(x, dim=0, start=None, end=None, step=1):
    return np.moveaxis(np.moveaxis(x, dim, 0)[start:end:step], 0, dim)


def tensor_split(x, parts, dim=0):
    return np.array_split(x, parts, dim)


RANGE = [error(IndexError, ".*3", rand(2, 3, 4), 3, 0)]
X = rand(2, 3, 4)

VIEWS = [
    view(
        "reshape",
        reshape,
        [
            case(X, (6, 4)),
            case(X, (-1,)),
            case(X, (2, -1, 2)),
            case(rand(), (1, 1)),
            case(rand(0, 3), (3, 0)),
            case(rand(1), ()),
        ],
        view=False,
        errors=[error(RuntimeError, ".*5", X, (5, 5)), error(RuntimeError, ".*", X, (-1, -1))],
    ),
    view(
        "view",
        reshape,
        [case(X, (6, 4)), case(X, -1), case(X, 2, 12), case(rand(0, 3), 3, -1, 1).of(()), case(rand(), 1, 1)],
        layouts=(),
        errors=[error(RuntimeError, ".*5", X, (5, 5))],
    ),
    view("view_as", lambda x, y: x.reshape(y.shape), [case(X, rand(6, 4).const)], layouts=()),
    view("reshape_as", lambda x, y: x.reshape(y.shape), [case(X, rand(6, 4).const)], view=False),
    view(
        "transpose", np.swapaxes, [case(X, 0, 1), case(X, -1, 0), case(X, 1, 1), case(rand(0, 3), 0, 1)], errors=RANGE
    ),
    view("swapaxes", np.swapaxes, [case(X, 0, 1)], errors=RANGE),
    view("swapdims", np.swapaxes, [case(X, 0, 2)], errors=RANGE),
    view(
        "permute",
        permute,
        [case(X, (2, 0, 1)), case(X, (-1, 0, 1)), case(rand(), ())],
        errors=[
            error(RuntimeError, ".*", X, (0, 1)),
            error(RuntimeError, ".*", X, (0, 0, 1)),
            error(IndexError, ".*7", X, (0, 1, 7)),
        ],
    ),
    view("t", np.transpose, [case(rand(3, 4)), case(rand(3)), case(rand())], errors=[error(RuntimeError, ".*", X)]),
    view("T", np.transpose, [case(rand(3, 4))], call=lambda torch, x: x.T, method=False),
    view("mT", lambda x: np.swapaxes(x, -1, -2), [case(X)], call=lambda torch, x: x.mT, method=False),
    view("adjoint", lambda x: np.swapaxes(x, -1, -2), [case(X)]),
    view(
        "movedim",
        movedim,
        [case(X, 0, 2), case(X, (0, 1), (2, 0)), case(X, -1, 0)],
        errors=[error(RuntimeError, ".*", X, (0, 0), (1, 2))],
    ),
    view("moveaxis", movedim, [case(X, 0, 2)]),
    view(
        "squeeze",
        squeeze,
        [
            case(rand(1, 3, 1)),
            case(rand(1, 3, 1), 0),
            case(rand(1, 3, 1), 1),
            case(rand(1, 3, 1), (0, 2)),
            case(rand()),
        ],
        errors=[error(IndexError, ".*3", rand(1, 2), 3)],
    ),
    view(
        "unsqueeze",
        np.expand_dims,
        [case(X, 0), case(X, -1), case(X, 2), case(rand(), 0)],
        errors=[error(IndexError, ".*4", X, 4)],
    ),
    view(
        "flatten",
        flatten,
        [case(X), case(X, 1), case(X, 0, 1), case(rand()), case(rand(3))],
        view=False,
        errors=[error(RuntimeError, ".*", X, 2, 1)],
    ),
    view(
        "unflatten",
        unflatten,
        [case(rand(6, 4), 0, (2, 3)), case(rand(6, 4), -1, (2, 2))],
        errors=[error(RuntimeError, ".*", rand(6, 4), 0, (4, 2))],
    ),
    view("ravel", np.ravel, [case(X), case(rand())], view=False),
    view(
        "expand",
        expand,
        [case(rand(3, 1), 3, 4), case(rand(3, 1), (2, -1, 4)), case(rand(), 2, 3), case(rand(1, 3), 0, 3)],
        errors=[error(RuntimeError, ".*3.*5|.*5.*3", rand(3, 1), 5, 4), error(RuntimeError, ".*", rand(3, 1), 4)],
    ),
    view("expand_as", lambda x, y: np.broadcast_to(x, y.shape), [case(rand(3, 1), rand(2, 3, 4).const)]),
    view("broadcast_to", np.broadcast_to, [case(rand(3, 1), (2, 3, 4))]),
    view(
        "narrow",
        narrow,
        [case(X, 1, 1, 2), case(X, -1, 0, 3), case(X, 0, 1, 0), case(X, 2, -2, 2)],
        errors=[error(RuntimeError, ".*", X, 1, 2, 2), error(RuntimeError, ".*", X, 1, 0, -1)],
    ),
    view(
        "select",
        lambda x, dim, index: x.take(index, dim),
        [case(X, 1, 2), case(X, -1, -1), case(X, 0, 0)],
        errors=[error(IndexError, ".*5", X, 1, 5)],
    ),
    view(
        "diagonal",
        diagonal,
        [
            case(rand(3, 4)),
            case(rand(3, 4), 1),
            case(rand(3, 4), -2),
            case(X, 0, 1, 2),
            case(X, 1, -1, 0),
            case(rand(3, 4), 9),
        ],
        errors=[error(RuntimeError, ".*", X, 0, 1, 1)],
    ),
    view(
        "unfold",
        unfold,
        [case(rand(7), 0, 3, 2), case(rand(2, 7), 1, 3, 1), case(rand(5, 2), 0, 2, 2)],
        errors=[error(RuntimeError, ".*", rand(7), 0, 9, 1), error(RuntimeError, ".*", rand(7), 0, 2, 0)],
    ),
    view(
        "as_strided",
        as_strided,
        [case(rand(12), (2, 3), (4, 1)), case(rand(12), (2, 3), (1, 2), 1), case(rand(12), (3, 3), (1, 1), 2)],
        layouts=(),
        errors=[error(RuntimeError, ".*", rand(4), (9,), (1,)), error(RuntimeError, ".*", rand(4), (2, 2), (1,))],
    ),
    view("detach", lambda x: x, [case(X), case(rand())], differentiable=False),
    view("unbind", unbind, [case(X), case(X, 1), case(X, -1), case(rand(0, 3))]),
    view(
        "split",
        split,
        [case(rand(7, 2), 3), case(X, 2, -1), case(X, [1, 2], 1), case(rand(0, 2), 3), case(rand(4), 9)],
        errors=[error(RuntimeError, ".*", rand(4), [1, 2])],
    ),
    view(
        "split_with_sizes",
        split,
        [case(X, [1, 2], 1), case(rand(4), (4, 0))],
        errors=[error(RuntimeError, ".*", rand(4), [1, 2])],
    ),
    view(
        "chunk",
        chunk,
        [case(rand(7, 2), 3), case(X, 2, -1), case(rand(2), 5)],
        errors=[error(RuntimeError, ".*", rand(4), 0)],
    ),
    view(
        "tensor_split",
        tensor_split,
        [case(rand(7, 2), 3), case(X, (1, 2), 2), case(X, 2, 1)],
        errors=[error(RuntimeError, ".*", rand(4), 0)],
    ),
    view(
        "hsplit", np.hsplit, [case(rand(2, 4), 2), case(rand(4), 2)], errors=[error(RuntimeError, ".*", rand(2, 3), 2)]
    ),
    view("vsplit", np.vsplit, [case(rand(4, 2), 2)]),
    view("dsplit", np.dsplit, [case(rand(2, 3, 4), 2)]),
    view("unsafe_chunk", chunk, [case(rand(7, 2), 3), case(X, 2, -1)]),
    view("unsafe_split", split, [case(rand(7, 2), 3), case(X, 2, -1)]),
    view(
        "unsafe_split_with_sizes",
        split,
        [case(X, [1, 2], 1), case(rand(4), (4, 0))],
        errors=[error(RuntimeError, ".*", rand(4), [1, 2])],
    ),
    moves(
        "narrow_copy",
        narrow,
        [case(X, 1, 1, 2), case(X, -1, 0, 3), case(X, 0, 1, 0)],
        errors=[error(RuntimeError, ".*", X, 1, 2, 2)],
    ),
]

# each has a twin whose result lies in memory of its own
TWINNED = """as_strided diagonal expand permute select split split_with_sizes squeeze t transpose unbind unfold
    unsqueeze view"""


def twin(spec):
    """It takes sizes as one argument, and one size to split by."""
    taken = {"expand": tuple, "view": tuple, "split": int}.get(spec.short, object)
    cases = [c for c in spec.cases if all(isinstance(a, taken) for a in c.args[1:2])]
    return replace(spec, name=spec.short + "_copy", cases=cases, view=False, method=False, errors=[])


COPIES = [twin(spec) for spec in VIEWS if spec.short in TWINNED.split()] + [
    twin(view("slice", cut, [case(X, 1, 1), case(X, 1, 0, 2), case(X, -1, 0, 4, 2), case(X)])),
    twin(view("alias", lambda x: x, [case(X), case(rand())])),
]

WRITTEN = [
    moves(
        "select_scatter",
        with_written(lambda x, dim, index: x.take(index, dim)),
        [case(X, rand(2, 4), 1, 2), case(X, rand(2, 3), -1, -1), case(rand(3), rand(), 0, 1)],
        errors=[error(IndexError, ".*5", X, rand(2, 4), 1, 5), error(RuntimeError, ".*", X, rand(2, 5), 1, 0)],
    ),
    moves(
        "slice_scatter",
        with_written(cut),
        [
            case(X, rand(1, 3, 4), 0, 1),
            case(X, rand(2, 2, 4), 1, 0, 2),
            case(X, rand(2, 3, 2), -1, 0, 4, 2),
            case(X, X),
            case(X, rand(2, 3, 1), 2, start=-1),
        ],
        errors=[error(RuntimeError, ".*", X, rand(2, 3, 3), 1, 0, 2)],
    ),
    moves(
        "diagonal_scatter",
        with_written(diagonal),
        [
            case(rand(3, 4), rand(3)),
            case(rand(3, 4), rand(2), -1),
            case(X, rand(2, 3), 0, 1, 2),
            case(X, rand(3, 2), 0, 2, 0),
        ],
        errors=[error(RuntimeError, ".*", rand(3, 4), rand(4))],
    ),
    moves(
        "as_strided_scatter",
        with_written(as_strided),
        [case(rand(12), rand(2, 3), (2, 3), (4, 1)), case(rand(3, 4), rand(2, 2), (2, 2), (1, 4), 1)],
        layouts=(),
        errors=[error(RuntimeError, ".*", rand(4), rand(9), (9,), (1,))],
    ),
]

JOINED = [
    moves(
        "cat",
        cat,
        [
            case([rand(2, 3), rand(4, 3)]),
            case([rand(2, 3), rand(2, 1)], 1),
            case([rand(2, 3)], -1),
            case([rand(0), rand(2, 3)]),
            case([rand(2, 0), rand(2, 3)], dim=1),
            case([rand(1, 2, 3), rand(1, 2, 3), rand(1, 2, 3)], 2),
        ],
        method=False,
        out=True,
        large=case([rand(301, 200), rand(150, 200)]),
        bench=[case([rand(256, 256), rand(256, 256)], 1)],
        errors=[
            error(RuntimeError, ".*", [rand(2, 3), rand(2, 4)]),
            error((RuntimeError, ValueError), ".*", []),
            error(IndexError, ".*2", [rand(2, 3), rand(2, 3)], 2),
        ],
    ),
    moves("concat", cat, [case([rand(2, 3), rand(4, 3)])], method=False),
    moves(
        "stack",
        lambda xs, dim=0: np.stack(xs, dim),
        [
            case([rand(2, 3), rand(2, 3)]),
            case([rand(2, 3), rand(2, 3)], 1),
            case([rand(2), rand(2)], -1),
            case([rand(), rand()]),
            case([rand(0), rand(0)]),
        ],
        method=False,
        out=True,
        errors=[error(RuntimeError, ".*", [rand(2, 3), rand(2, 4)])],
    ),
    moves(
        "hstack",
        np.hstack,
        [case([rand(2, 3), rand(2, 1)]), case([rand(3), rand(2)]), case([rand(), rand()])],
        method=False,
    ),
    moves("vstack", np.vstack, [case([rand(2, 3), rand(1, 3)]), case([rand(3), rand(3)])], method=False),
    moves("dstack", np.dstack, [case([rand(2, 3), rand(2, 3)]), case([rand(3), rand(3)])], method=False),
    moves("column_stack", np.column_stack, [case([rand(3), rand(3, 2)])], method=False),
    moves("block_diag", block_diag, [case(rand(2, 3), rand(1, 2)), case(rand(2), rand())], method=False),
    moves(
        "broadcast_tensors",
        lambda *xs: np.broadcast_arrays(*xs),
        [case(rand(3, 1), rand(4))],
        method=False,
        errors=[error(RuntimeError, ".*", rand(3), rand(4))],
    ),
    moves(
        "meshgrid",
        meshgrid,
        [
            case(rand(3), rand(4), indexing="ij"),
            case(rand(3), rand(4), indexing="xy"),
            case(rand(2), rand(3), rand(4), indexing="ij"),
        ],
        method=False,
    ),
    moves(
        "cartesian_prod",
        lambda *xs: np.stack([m.ravel() for m in np.meshgrid(*xs, indexing="ij")], 1),
        [case(rand(3), rand(4))],
        method=False,
    ),
]

# the padding modes that read the input: floats, and at least two dimensions
PAD_MODES = [
    case(rand(2, 3, 5), (2, 1), mode="reflect"),
    case(rand(1, 2, 4, 5), (1, 2, 2, 1), mode="reflect"),
    case(rand(2, 3, 5), (2, 7), mode="replicate"),
    case(rand(1, 2, 4, 5), (1, 2, 3, 4), mode="replicate"),
    case(rand(2, 3, 5), (2, 5), mode="circular"),
    case(rand(1, 2, 4, 5), (1, 2, 3, 4), mode="circular"),
]

ARRANGED = [
    moves("clone", lambda x: x, [case(X), case(rand()), case(rand(0, 3))], large=case(rand(301, 233))),
    moves("contiguous", lambda x: x, [case(X), case(rand())], method=False),
    moves(
        "flip",
        np.flip,
        [case(X, (0,)), case(X, (0, 2)), case(X, (-1,)), case(rand(0, 3), (0,))],
        large=case(rand(301, 233), (0, 1)),
        errors=[error((RuntimeError, IndexError), ".*", X, (0, 0))],
    ),
    moves("fliplr", np.fliplr, [case(rand(2, 3))]),
    moves("flipud", np.flipud, [case(rand(2, 3)), case(rand(3))]),
    moves(
        "roll",
        lambda x, shifts, dims=None: np.roll(x, shifts, dims),
        [case(X, 1, 0), case(X, -5, 2), case(X, (1, 2), (0, 1)), case(X, 5), case(rand(0), 1, 0)],
        errors=[error(RuntimeError, ".*", X, (1, 2), 0)],
    ),
    moves(
        "rot90",
        lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
        [case(rand(2, 3)), case(rand(2, 3), 2), case(X, 3, (1, 2)), case(X, -1, (0, 2))],
    ),
    moves(
        "repeat",
        repeat,
        [case(rand(2, 3), 2, 1), case(rand(2, 3), (2, 1, 3)), case(rand(), 3), case(rand(2), 0)],
        errors=[error(RuntimeError, ".*", rand(2, 3), 2)],
    ),
    moves("tile", tile, [case(rand(2, 3), (2,)), case(rand(2, 3), (2, 1, 3))]),
    moves(
        "repeat_interleave",
        repeat_interleave,
        [
            case(rand(2, 3), 2),
            case(rand(2, 3), 2, 0),
            case(rand(2, 3), given([1, 2], "int64"), dim=0),
            case(rand(3), given([0, 2, 1], "int64"), 0),
        ],
        layouts=("transposed", "stepped"),
        errors=[error(RuntimeError, ".*", rand(3), given([-1, 2, 1], "int64"), 0)],
    ),
    moves(
        "tril",
        np.tril,
        [case(rand(3, 4)), case(rand(3, 4), 1), case(rand(2, 3, 3), -1), case(rand(0, 3))],
        inplace=True,
        out=True,
        errors=[error(RuntimeError, ".*", rand(3))],
    ),
    moves(
        "triu",
        np.triu,
        [case(rand(3, 4)), case(rand(3, 4), 1), case(rand(2, 3, 3), -1), case(rand(0, 3))],
        inplace=True,
        out=True,
        errors=[error(RuntimeError, ".*", rand(3))],
    ),
    moves(
        "diag",
        np.diag,
        [case(rand(3)), case(rand(3), 1), case(rand(3, 4)), case(rand(3, 4), -1)],
        errors=[error(RuntimeError, ".*", X)],
    ),
    moves("diag_embed", diag_embed, [case(rand(3)), case(rand(2, 3)), case(rand(2, 3), 1), case(rand(2, 3), -1, 0, 2)]),
    moves("diagflat", lambda x, offset=0: np.diagflat(x, offset), [case(rand(2, 2)), case(rand(3), 1)]),
    moves("atleast_1d", np.atleast_1d, [case(rand()), case(rand(2))], method=False),
    moves("atleast_2d", np.atleast_2d, [case(rand()), case(rand(2))], method=False),
    moves("atleast_3d", np.atleast_3d, [case(rand()), case(rand(2)), case(rand(2, 3))], method=False),
    moves(
        "combinations",
        combined,
        [case(rand(4)), case(rand(4), 3), case(rand(3), 2, True), case(rand(2), 3)],
        layouts=("stepped",),
        method=False,
    ),
    moves(
        "constant_pad_nd",
        lambda x, widths, value=0: pad(x, widths, value=value),
        [case(rand(2, 3), (1, 2)), case(rand(2, 3), (1, 2, 3, 0), 7)],
        method=False,
    ),
    moves(
        "nn.functional.pad",
        pad,
        [
            case(rand(2, 3), (1, 2)),
            case(rand(2, 3), (1, 2, 3, 0), value=7),
            case(rand(2, 5), (-1, -2)),
            case(rand(2, 5), (2, -1, 0, 1)),
            case(rand(2, 3), ()),
            case(rand(0, 3), (1, 1, 1, 1)),
            *(c.of(FLOATS) for c in PAD_MODES),
        ],
        method=False,
        large=case(rand(150, 301), (1, 2, 3, 4)),
        errors=[
            error(RuntimeError, ".*", rand(2, 3), (1,)),
            error(RuntimeError, ".*", rand(2, 3), (-2, -2)),
            error(RuntimeError, ".*", rand(1, 2, 3), (3, 0), mode="reflect"),
        ],
    ),
]

SPECS = VIEWS + COPIES + WRITTEN + JOINED + ARRANGED
