"""Writes promotion.json, the dtypes PyTorch gives to mixed operands: python -m tests.promotion (needs PyTorch)."""

import json
import pathlib

FILE = pathlib.Path(__file__).with_suffix(".json")
DTYPES = "float32 float64 bfloat16 float16 int64 int32 int16 int8 uint8 bool".split()
SCALARS = {"bool": True, "int": 2, "float": 2.0}
# each kind of operand: a tensor with dimensions, a 0-d tensor, a Python number
KINDS = ("tensor", "zero-d")
OPS = ("add", "sub", "mul", "true_divide", "floor_divide", "pow", "eq", "maximum", "where", "cat")


LEFT = [f"{kind} {dtype}" for kind in KINDS for dtype in DTYPES]
RIGHT = LEFT + [f"number {name}" for name in SCALARS]


def made(torch, operand):
    kind, name = operand.split()
    if kind == "number":
        return SCALARS[name]
    return torch.ones((2,) if kind == "tensor" else (), dtype=getattr(torch, name))


def outcome(torch, op, a, b) -> str:
    """The dtype of the result, or the exception's type."""
    a, b = made(torch, a), made(torch, b)
    try:
        if op == "where":
            y = torch.where(torch.tensor([True, False]), a, b)
        elif op == "cat":
            y = torch.cat([a, b])
        else:
            y = getattr(torch, op)(a, b)
    except Exception as e:
        return next(k.__name__ for k in type(e).__mro__ if k.__module__ == "builtins")
    return str(y.dtype).split(".")[-1]


def table(torch) -> dict:
    """By op and left operand: the outcomes for every right operand, in the order of RIGHT."""
    return {op: {a: " ".join(outcome(torch, op, a, b) for b in RIGHT) for a in LEFT} for op in OPS}


if __name__ == "__main__":
    import torch

    FILE.write_text(json.dumps(table(torch), indent=1) + "\n")
