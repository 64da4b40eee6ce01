"""Writes docs/from_pytorch.md: what is the same as in PyTorch, what is better, what is not there; from the namespace.

python tools/from_pytorch.py            # writes it
python tools/from_pytorch.py --check    # fails where it is out of date
"""

import argparse
import importlib
import inspect
import sys
import textwrap
import warnings
from pathlib import Path

import tessel
from tessel import _names

PAGE = Path(__file__).resolve().parent.parent / "docs" / "from_pytorch.md"

# Places of PyTorch's, in the order of the page, and what each is for.
PLACES = {
    "torch": "functions, dtypes, modes",
    "torch.Tensor": "methods and attributes",
    "torch.nn": "layers",
    "torch.nn.functional": "layers as functions",
    "torch.nn.Module": "methods of modules",
    "torch.nn.init": "initialisation",
    "torch.nn.utils": "clipping, parameters as vectors",
    "torch.nn.utils.rnn": "sequences of several lengths",
    "torch.optim": "optimizers",
    "torch.optim.lr_scheduler": "schedules",
    "torch.optim.swa_utils": "averaged weights",
    "torch.utils.data": "datasets, samplers, the DataLoader",
    "torch.utils.checkpoint": "memory for time",
    "torch.autograd": "differentiation",
    "torch.autograd.functional": "Jacobians, Hessians and products with them",
    "torch.func": "derivatives of functions",
    "torch.linalg": "linear algebra",
    "torch.fft": "Fourier transforms",
    "torch.special": "special functions",
    "torch.distributions": "distributions",
    "torch.amp": "mixed precision",
    "torch.random": "the generator",
    "torch.cuda": "the GPU",
    "torch.backends": "libraries behind PyTorch: flags are kept",
    "torch.compiler": "passes through",
    "torch.jit": "passes through",
    "torch.distributed": "a world of one process",
    "torch.multiprocessing": "processes",
    "torch.profiler": "times of kernels",
    "torch.testing": "comparing",
    "torch.hub": "models and weights from elsewhere",
}

HEAD = """\
# From PyTorch

Written by `tools/from_pytorch.py` from what stands in the package; a test holds the two together.

`import tessel as torch` is all that most programs change, and `python -m tessel script.py` runs those that cannot be
changed: `torch` and its modules then stand for tessel's. `python -m tessel --check script.py` reads a program and lists
the names of PyTorch's that it uses and tessel lacks. A name that is missing raises an error that says what stands
nearest.

## The same

Names, argument order, keywords, defaults, results, dtypes and their promotion, gradients, the keys of `state_dict`s and
the types of exceptions. PyTorch's own databases of operators, modules and optimizers are run against tessel
(`make peer`). A `state_dict` loads both ways; `save` writes safetensors, or
PyTorch's own files where the name ends in `.pt` or `.pth`.

## Better

- **Small**: a wheel of 5 MB that needs numpy and safetensors; imported in milliseconds.
- **The same bits** at any number of threads, and one random stream for every device: `manual_seed(0)` draws the same
  values on every processor and GPU.
- **Errors** in one line, with the numbers: `{error}`
- **In-place errors name both lines**, that which saved the tensor and that which overwrote it, without a special mode.
- **Nothing is executed by `load`**, and `save` leaves the old file or the whole new one, whenever it is cut off.
- **A DataLoader's workers are threads**, and the data are the same whatever their number.
- **Rows of attention that see nothing** give zeros instead of NaN, and attention weights come from the fused path.
- `compile`, `jit.script` and `jit.trace` give back what they get: there is nothing to wait for, and no `_orig_mod.` in
  the keys.

## Other

- `nn.DataParallel`, `DistributedDataParallel` and `torch.distributed` work for one process. A larger world raises.
- `backends.*` flags and `use_deterministic_algorithms` are kept and change nothing: every kernel is deterministic.
  `set_float32_matmul_precision` matters where a matrix unit multiplies bfloat16; elsewhere float32 is float32.
- `torch.version.torch` says which PyTorch is meant: {version}.

## What of PyTorch's is there

Of the public names of PyTorch {version}, place by place. A folded list names those that are not there.

| place | what | there | of |
| --- | --- | ---: | ---: |
"""

TAIL = """
## What only tessel has

Names and keywords in these modules that PyTorch does not know.

"""


def find(place):
    """tessel's module or class of PyTorch's name, or None."""
    parts = place.split(".")[1:]
    found = tessel
    for i, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(["tessel", *parts[: i + 1]]))
            except ModuleNotFoundError:
                return None
    return found


def has(place, name) -> bool:
    try:
        return hasattr(place, name)
    except ImportError:
        return True  # there, but for a library that is not installed


def extra_names(place, found, known):
    """Public names of functions and classes that PyTorch lacks."""
    names = getattr(found, "__all__", None) or [n for n in dir(found) if not n.startswith("_")]
    for name in sorted(set(names) - known):
        value = getattr(found, name, None)
        is_own = (getattr(value, "__module__", "") or "").startswith("tessel")
        if (
            not name.startswith("_")
            and is_own
            and value is not tessel.Tensor
            and (inspect.isclass(value) or inspect.isroutine(value))
        ):
            yield name


def page() -> str:
    try:
        tessel.nn.functional.conv2d(tessel.ones(2, 8, 32, 32), tessel.ones(4, 16, 3, 3))
    except RuntimeError as error:
        sample = str(error)
    rows, folded, extras = [], [], []
    for place, what in PLACES.items():
        known = _names.torch_names(place)
        found = find(place)
        there = {n for n in known if found is not None and has(found, n)}
        rows.append(f"| `{place}` | {what} | {len(there)} | {len(known)} |")
        missing = sorted(known - there)
        if found is None:
            folded.append(f"- `{place}` is not there.")
        elif missing:
            names = textwrap.fill(", ".join(f"`{n}`" for n in missing), 118, break_on_hyphens=False)
            folded.append(
                f"<details><summary><code>{place}</code>: {len(missing)}</summary>\n\n{names}\n\n</details>\n"
            )
        more = [] if found is None or place in ("torch.Tensor", "torch") else list(extra_names(place, found, known))
        if more:
            extras.append(f"- `{place.replace('torch', 'tessel', 1)}`: " + ", ".join(f"`{n}`" for n in more))
    text = HEAD.format(error=sample, version=tessel.version.torch) + "\n".join(rows)
    text += "\n\n### Not there\n\n" + "\n".join(folded) + TAIL + "\n".join(wrapped(line) for line in extras) + "\n"
    return text


def wrapped(line):
    return textwrap.fill(line, 118, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def main():
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__).splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    warnings.simplefilter("ignore")
    text = page()
    if not check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/from_pytorch.md is out of date: run python tools/from_pytorch.py")


if __name__ == "__main__":
    main()
