"""Writes the public names of PyTorch's modules, by which tessel knows a name that it lacks from one that never was:
python/tessel/_torch_names.txt, and for what its tensors have csrc/bindings/torch_methods.h.

    python tools/torch_names.py      # needs torch
"""

import importlib
import inspect
import re
import textwrap
import warnings
from pathlib import Path
from types import ModuleType
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
NAMES = ROOT / "python" / "tessel" / "_torch_names.txt"
METHODS = ROOT / "csrc" / "bindings" / "torch_methods.h"

MODULES = """torch torch.accelerator torch.amp torch.autograd torch.autograd.functional torch.autograd.graph
    torch.autograd.profiler torch.backends torch.backends.cpu torch.backends.cuda torch.backends.cudnn
    torch.backends.mha torch.backends.mkl torch.backends.mkldnn torch.backends.mps torch.backends.openmp
    torch.backends.opt_einsum torch.compiler torch.cpu torch.cuda torch.cuda.amp torch.cuda.memory torch.cuda.nvtx
    torch.distributed
    torch.distributed.device_mesh torch.distributions torch.distributions.constraints torch.distributions.transforms
    torch.export torch.fft torch.func torch.futures torch.fx torch.hub torch.jit torch.library torch.linalg torch.mps
    torch.multiprocessing torch.nested torch.nn torch.nn.attention torch.nn.functional torch.nn.init torch.nn.modules
    torch.nn.parallel torch.nn.utils torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune
    torch.nn.utils.rnn torch.nn.utils.stateless torch.onnx torch.optim torch.optim.lr_scheduler torch.optim.swa_utils
    torch.overrides torch.package torch.profiler torch.random torch.sparse torch.special torch.testing torch.utils
    torch.utils.benchmark torch.utils.checkpoint torch.utils.cpp_extension torch.utils.data torch.utils.data.distributed
    torch.utils.dlpack torch.utils.hooks torch.xpu torch._dynamo torch.utils._pytree""".split()

FIRST_LINES = """\
# The public names of PyTorch {version}, written by tools/torch_names.py. A line is a module or class: its names.
"""

HEADER = """\
// What PyTorch {version}'s tensors have, written by tools/torch_names.py; used by absent.cpp.
#pragma once

namespace tessel::python {{

constexpr const char* kTorchMethods[] = {{
{names}
}};

}}  // namespace tessel::python
"""


# What stands at PyTorch's top level and is no part of what it promises: its compiler's classes, ops of other libraries.
INNER = re.compile(
    r"(cudnn|miopen|mkldnn|mps|fbgemm|quantized|fake_quantize|fused_moving|choose_qparams|q|sparse|sym|autocast|batch_norm)_"
    r"|import_ir_|parse_|merge_type|unify_type|vitals_|read_vitals|set_vital|bits?\d|quint|qint|float4|.*_copy$|bit$|Sym[A-Z]"
    r"|(hsmm|dsmm|hspmm|saddmm|smm|spmm|sspaddmm|cpp|wait|fork|classes|classproperty|name|ops|types|return_types)$|USE_"
)
CLASSES = set(
    "Tensor Generator Size dtype device layout memory_format finfo iinfo Stream Event Tag OutOfMemoryError qscheme "
    "UntypedStorage AcceleratorError GradScaler autocast no_grad enable_grad set_grad_enabled inference_mode".split()
)


def is_own(module, value) -> bool:
    """Whether a name is the module's own, and not what its file imports from elsewhere."""
    if isinstance(value, ModuleType):
        return value.__name__.rpartition(".")[0] == module.__name__
    if isinstance(value, (str, int, float, list, dict, set, TypeVar)) and not module.__name__.startswith(
        "torch.backends"
    ):
        return module.__name__ == "torch" and isinstance(value, float)
    home = getattr(value, "__module__", None)
    if isinstance(value, type) or inspect.isfunction(value):
        return bool(home) and home.startswith(module.__name__)
    return not (home or "").startswith(("typing", "collections", "functools", "abc", "enum"))


def names_of(name):
    module = importlib.import_module(name)
    listed = set(getattr(module, "__all__", ()))
    own = {n for n in dir(module) if not n.startswith("_") and is_own(module, getattr(module, n, None))}
    if name != "torch":
        return sorted(own | listed)
    inner = {n for n in own if isinstance(getattr(module, n), type) and n not in CLASSES and not n.endswith("Tensor")}
    return sorted(n for n in own - inner if not n.endswith("_backward") and not INNER.match(n))


def main():
    import torch

    warnings.simplefilter("ignore")
    places = {name: names_of(name) for name in MODULES}
    places["torch.Tensor"] = [n for n in dir(torch.Tensor) if not n.startswith("_")]
    places["torch.nn.Module"] = [n for n in dir(torch.nn.Module) if not n.startswith("_")]
    lines = [f"{place}: {' '.join(names)}" for place, names in sorted(places.items())]
    version = torch.__version__.partition("+")[0]
    NAMES.write_text(FIRST_LINES.format(version=version) + "\n".join(lines) + "\n")
    quoted = textwrap.fill(", ".join(f'"{name}"' for name in places["torch.Tensor"]) + ",", 116)
    METHODS.write_text(HEADER.format(version=version, names=textwrap.indent(quoted, "    ")))
    print(textwrap.shorten(", ".join(f"{place} {len(names)}" for place, names in places.items()), 2000))


if __name__ == "__main__":
    main()
