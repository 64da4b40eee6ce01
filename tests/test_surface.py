"""What stands around the engine under PyTorch's names: one process's distributed, the profiler, absent names."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import tessel as torch
import tessel.distributed as dist
from tessel import nn
from tessel.utils import _pytree as pytree


def passes(function):
    return torch.compile(function) is function


ROOT = pathlib.Path(__file__).parents[1]


# names


def test_absent_names_say_what_is_near():
    for place, name, near in (
        (nn, "Lineer", "nearest: 'Linear'"),
        (nn, "relu", "it is tessel.relu"),
        (nn.functional, "rellu", "nearest: 'relu'"),
        (torch, "Conv2d", "it is tessel.nn.Conv2d"),
        (torch, "fx", "PyTorch has it, tessel does not yet; instead: call the modules"),
        (torch.optim, "Adamm", "nearest: 'Adam'"),
        (torch.utils.data, "Dataloader", "nearest: 'DataLoader'"),
        (torch.nn.init, "xavier_normal_x", "nearest: 'xavier_normal_'"),
        (torch.linalg, "nrm", "nearest: 'norm'"),
        (torch.cuda, "is_availabel", "nearest: 'is_available'"),
    ):
        assert not hasattr(place, name)
        with pytest.raises(AttributeError) as error:
            getattr(place, name)
        assert str(error.value).startswith(f"module '{place.__name__}' has no attribute '{name}'")
        assert near in str(error.value)


def test_absent_methods_of_tensors_say_so():
    x = torch.ones(2)
    absent = next(n for n in ("to_sparse_bsc", "sparse_dim", "dequantize") if not hasattr(x, n))
    with pytest.raises(
        AttributeError, match=f"'Tensor' object has no attribute '{absent}': PyTorch has it, tessel does"
    ):
        getattr(x, absent)
    assert absent not in dir(x) and absent not in dir(torch.Tensor) and getattr(x, absent, 5) == 5
    setattr(x, absent, 3)  # a name of one's own is free
    assert getattr(x, absent) == 3 and absent in dir(x)
    with pytest.raises(AttributeError):
        torch.ones(2).no_such_thing  # noqa: B018


def test_files_of_pytorch_are_found_under_their_names():
    from tessel.nn.modules.batchnorm import BatchNorm2d
    from tessel.nn.modules.linear import Linear
    from tessel.nn.modules.utils import _pair, _reverse_repeat_tuple

    assert Linear is nn.Linear and BatchNorm2d is nn.BatchNorm2d is nn.modules.BatchNorm2d
    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2) and _reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)
    keys = nn.modules.module._IncompatibleKeys([], ["a"])
    assert keys.unexpected_keys == ["a"] and isinstance(nn.Linear(1, 1).load_state_dict({}, strict=False), type(keys))
    with pytest.raises(AttributeError, match="nn.modules.linear"):
        nn.modules.linear.Absent  # noqa: B018


# what passes through


def test_compile_gives_back_what_it_gets():
    model = nn.Linear(2, 2)
    assert torch.compile(model, mode="max-autotune", fullgraph=True) is model
    assert list(model.state_dict()) == ["weight", "bias"]

    @torch.compile
    def double(x):
        return 2 * x

    @torch.compile(dynamic=True, backend="eager")
    def triple(x):
        return 3 * x

    assert double(2) == 4 and triple(2) == 6 and passes(abs)
    with pytest.raises(RuntimeError, match="both"):
        torch.compile(model, mode="default", options={})
    assert not torch.compiler.is_compiling() and torch.compiler.disable(double) is double
    torch._dynamo.config.suppress_errors = True
    with torch._dynamo.config.patch(cache_size_limit=64):
        assert torch._dynamo.config.cache_size_limit == 64
    assert torch._dynamo.config.cache_size_limit == 8
    torch._dynamo.reset()


def test_jit_gives_back_what_it_gets():
    model = nn.LazyLinear(3) if hasattr(nn, "LazyLinear") else nn.Linear(2, 3)
    assert torch.jit.trace(model, torch.ones(4, 2)) is model and model.weight.shape == (3, 2)

    @torch.jit.script
    def f(x: torch.Tensor) -> torch.Tensor:
        return x if torch.jit.is_scripting() else x + torch.jit.annotate(int, 1)

    @torch.jit.ignore(drop=True)
    def g():
        return 1

    assert f(torch.ones(1)).item() == 2 and g() == 1 and issubclass(torch.jit.ScriptModule, nn.Module)
    with pytest.raises(NotImplementedError, match="state_dict"):
        torch.jit.save(model, "x")
    with pytest.raises(NotImplementedError, match="state_dict"):
        torch.jit.load("x")


def test_switches_are_kept():
    import tessel.backends.cudnn as cudnn

    with cudnn.flags(enabled=False, benchmark=True):
        assert not cudnn.enabled and cudnn.benchmark
    assert cudnn.enabled and not cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled() and torch.get_deterministic_debug_mode() == 1
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("high")
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="set_float32_matmul_precision: expected"):
        torch.set_float32_matmul_precision("low")
    assert not torch.backends.mps.is_available() and not torch.xpu.is_available()
    assert torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        pass
    with pytest.raises(RuntimeError, match="^no$"):
        torch._check(False, lambda: "no")
    assert torch._C._jit_set_profiling_mode(False) is False
    assert nn.Linear(1, 1).compile(mode="max-autotune") is None
    assert torch.typename(3.5) == "float" and torch.typename(nn.Linear) == "tessel.nn.linear.Linear"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_questions_have_plain_answers():
    assert torch.cuda.device_count() == torch.cuda.memory_allocated() == torch.cuda.max_memory_reserved() == 0
    assert torch.cuda.memory_stats() == {} and torch.accelerator.current_accelerator() is None
    with torch.cuda.device(0), torch.cuda.stream(None):
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    for call in (
        lambda: torch.cuda.set_device(0),
        torch.cuda.current_device,
        torch.cuda.get_device_name,
        torch.cuda.Event,
        torch.cuda.Stream,
    ):
        with pytest.raises(RuntimeError, match="no CUDA GPU is available"):
            call()
    with pytest.raises(NotImplementedError, match="not captured"):
        torch.cuda.CUDAGraph()


def test_foreach():
    xs = [torch.ones(2), torch.full((3,), 4.0)]
    torch._foreach_mul_(xs, 2)
    torch._foreach_addcdiv_(xs, [x.clone() for x in xs], [x.clone() for x in xs], value=0.5)
    assert [x.tolist() for x in xs] == [[2.5] * 2, [8.5] * 3]
    assert [x[0].item() for x in torch._foreach_add(xs, [1.0, 2.0])] == [3.5, 10.5]
    assert [n.item() for n in torch._foreach_norm([torch.tensor([3.0, 4.0])])] == [5.0]
    with pytest.raises(
        RuntimeError, match="_foreach_add: Tensor lists must have the same number of tensors, got 2 and 1"
    ):
        torch._foreach_add(xs, [1.0])


# a world of one


@pytest.fixture
def world():
    dist.init_process_group("gloo", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_world_of_one(world):
    assert dist.is_initialized() and dist.get_rank() == 0 and dist.get_world_size() == 1
    assert dist.get_backend() == "gloo" and dist.group.WORLD is not None
    x = torch.arange(4.0)
    assert dist.all_reduce(x, op=dist.ReduceOp.MAX) is None and dist.all_reduce(x, async_op=True).wait()
    lists, into = [torch.zeros(4)], torch.zeros(1, 4)
    dist.all_gather(lists, x)
    dist.all_gather_into_tensor(into, x)
    dist.broadcast(x, src=0)
    dist.barrier()
    assert torch.equal(lists[0], x) and torch.equal(into[0], x)
    objects = [None]
    dist.all_gather_object(objects, {"a": 1})
    assert objects == [{"a": 1}]
    assert dist.get_rank(dist.new_group([0])) == 0
    mesh = dist.init_device_mesh("cpu", (1, 1), mesh_dim_names=("dp", "tp"))
    assert mesh["tp"].size() == 1 and mesh.get_coordinate() == [0, 0]
    with pytest.raises(ValueError, match="rank 3 is not in a world of 1"):
        dist.broadcast(x, src=3)
    with pytest.raises(ValueError, match="all_gather: the output is"):
        dist.all_gather([torch.zeros(5)], x)
    with pytest.raises(ValueError, match="there is no other process"):
        dist.send(x, 1)


def test_no_world():
    assert not dist.is_initialized()
    with pytest.raises(ValueError, match="get_rank: the default process group has not been initialized"):
        dist.get_rank()
    with pytest.raises(NotImplementedError, match="world size is 4"):
        dist.init_process_group("nccl", rank=0, world_size=4)
    with pytest.raises(ValueError, match="has not been initialized"):
        nn.parallel.DistributedDataParallel(nn.Linear(1, 1))


def test_wrappers_call_what_they_wrap(world):
    inner = nn.Linear(2, 3)
    x = torch.randn(4, 2)
    for wrapper in (nn.DataParallel(inner), nn.parallel.DistributedDataParallel(inner)):
        assert torch.equal(wrapper(x), inner(x)) and list(wrapper.state_dict()) == ["module.weight", "module.bias"]
    with wrapper.no_sync():
        wrapper(x).sum().backward()
    assert inner.weight.grad is not None
    with pytest.raises(RuntimeError, match="DistributedDataParallel: no parameter of ReLU"):
        nn.parallel.DistributedDataParallel(nn.ReLU())


# testing


def test_assert_close():
    close = torch.testing.assert_close
    close(torch.ones(2), torch.ones(2) + 1e-6)
    close({"a": [1.0, (torch.ones(1), None)]}, {"a": [1.0, (torch.ones(1), None)]})
    close(torch.tensor([float("nan")]), torch.tensor([float("nan")]), equal_nan=True)
    close(torch.ones(2), torch.ones(2, dtype=torch.float64), check_dtype=False)
    for pair, options, text in (
        ((torch.ones(3), torch.tensor([1.0, 2, 1])), {}, r"not close!\n\nMismatched elements: 1 / 3 \(33.3%\)"),
        ((torch.ones(3), torch.tensor([1.0, 2, 1])), {}, r"absolute difference: 1.0 at index \(1,\) \(up to 1e-05"),
        ((torch.tensor([1, 2]), torch.tensor([1, 3])), {}, "not equal!"),
        ((torch.ones(2), torch.ones(3)), {}, "'shape' do not match"),
        ((torch.ones(2), torch.ones(2).double()), {}, "'dtype' do not match: .*float32 != .*float64"),
        (([1, 2.0], [1, 3.0]), {}, r"Expected 3.0 but got 2.0[\s\S]*item \[1\]"),
        (([1], [1, 2]), {}, "1 != 2"),
        (({"a": 1}, {"b": 1}), {}, r"Missing keys in the actual mapping: \['b'\]"),
        ((1, 1.0), {}, r"\(d\)types do not match"),
        ((None, 1), {}, "None mismatch"),
        ((torch.tensor(1.0), torch.tensor(2.0)), {"msg": lambda m: "mine: " + m}, "mine: Scalars are not close"),
    ):
        with pytest.raises(AssertionError, match=text):
            close(*pair, **options)
    with pytest.raises(TypeError, match="Cannot compare a str with a str|No tensor"):
        close("a", "a")
    with pytest.raises(ValueError, match="both"):
        close(1.0, 1.0, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool], ids=str)
def test_make_tensor(dtype):
    x = torch.testing.make_tensor((3, 4), dtype=dtype, noncontiguous=True, exclude_zero=dtype != torch.bool)
    assert x.shape == (3, 4) and x.dtype == dtype and not x.is_contiguous()
    assert dtype == torch.bool or bool((x != 0).all())
    assert torch.testing.make_tensor(2, 0, dtype=dtype, low=0, high=1).shape == (2, 0)


# trees


def test_trees():
    tree = {"b": [1, (2, None)], "a": 3}
    leaves, spec = pytree.tree_flatten(tree)
    assert leaves == [1, 2, None, 3] and pytree.tree_unflatten(leaves, spec) == tree
    assert pytree.tree_map(lambda a, b: (a, b), [1, {"x": 2}], [3, {"x": 4}]) == [(1, 3), {"x": (2, 4)}]
    assert pytree.tree_map_only(int, lambda x: -x, [1, "a"]) == [-1, "a"]
    paths = [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path(tree)[0]]
    assert paths == ["['b'][0]", "['b'][1][0]", "['b'][1][1]", "['a']"]
    with pytest.raises(ValueError, match="got 1 leaves"):
        pytree.tree_unflatten([1], spec)

    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    pytree.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda values, _: Pair(*values))
    doubled = pytree.tree_map(lambda x: 2 * x, Pair(1, [2]))
    assert doubled.a == 2 and doubled.b == [4]


# the profiler


def test_profiler_times_every_kernel(tmp_path):
    model, x = nn.Linear(64, 64), torch.randn(32, 64)
    with torch.profiler.profile(record_shapes=True) as profiled:
        with torch.profiler.record_function("forward"):
            y = model(x).relu().sum()
        y.backward()
    found = {e.key: e for e in profiled.key_averages()}
    assert {"forward", "linear", "relu", "sum"} <= set(found)
    assert found["linear"].count == 1 and 0 < found["linear"].cpu_time_total < found["forward"].cpu_time_total
    assert found["forward"].self_cpu_time_total < found["forward"].cpu_time_total
    table = profiled.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total", row_limit=3)
    assert "[[32, 64]]" in table and "# of Calls" in table
    profiled.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"linear", "forward"} <= {e["name"] for e in events} and all(e["dur"] >= 0 for e in events)
    model(x)
    assert len(profiled.events()) == len(events)  # nobody listens any more


def test_profiler_keeps_a_schedule(tmp_path):
    ready = []
    plan = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
    assert [plan(i).value for i in range(9)] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    with torch.profiler.profile(schedule=plan, on_trace_ready=lambda p: ready.append(p.step_num)) as profiled:
        for _ in range(8):
            torch.ones(10).exp()
            profiled.step()
    assert ready == [4, 8]
    assert {"ProfilerStep#6", "ProfilerStep#7", "exp"} <= {e.key for e in profiled.key_averages()}
    torch.profiler.tensorboard_trace_handler(str(tmp_path))(profiled)
    assert len(list(tmp_path.glob("*.pt.trace.json"))) == 1


def test_timer():
    found = torch.utils.benchmark.Timer("x + 1", globals={"x": torch.ones(2)}).blocked_autorange(min_run_time=0.01)
    assert 0 < found.median < 1 and "x + 1" in repr(found)


# elsewhere


def test_hub(tmp_path):
    (tmp_path / "hubconf.py").write_text(
        "from tessel import nn\ndependencies = ['math']\n"
        "def net(width=2):\n    'A net.'\n    return nn.Linear(width, 1)\n"
    )
    assert torch.hub.load(str(tmp_path), "net", source="local", width=3).weight.shape == (1, 3)
    assert torch.hub.list(str(tmp_path), source="local") == ["net"]
    assert torch.hub.help(str(tmp_path), "net", source="local") == "A net."
    with pytest.raises(NotImplementedError, match="git clone"):
        torch.hub.load("pytorch/vision", "resnet18")
    torch.save({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    url = (tmp_path / "w.safetensors").as_uri()
    loaded = torch.hub.load_state_dict_from_url(url, model_dir=str(tmp_path / "kept"), progress=False)
    assert loaded["w"].tolist() == [1, 1] and (tmp_path / "kept" / "w.safetensors").exists()
    with pytest.raises(OSError, match="could not be fetched"):
        torch.hub.download_url_to_file((tmp_path / "none").as_uri(), str(tmp_path / "x"), progress=False)
    with pytest.raises(RuntimeError, match="SHA-256"):
        torch.hub.download_url_to_file(url, str(tmp_path / "x"), hash_prefix="0000", progress=False)
    assert not (tmp_path / "x").exists()


def test_writers_need_their_library():
    try:
        import tensorboardX  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(ImportError, match="pip install tensorboardX"):
            from tessel.utils.tensorboard import SummaryWriter  # noqa: F401


# programs


def run(*arguments, **options):
    path = os.pathsep.join([str(pathlib.Path(torch.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "tessel", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        **options,
    )


PROGRAM = """\
import sys
import torch, torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.nn.modules.linear import Linear
import torch.backends.cudnn as cudnn
import importlib.metadata, importlib.util, pickle

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return F.log_softmax(self.fc(x), -1)

if __name__ == "__main__":
    assert torch.nn is nn and Linear is nn.Linear and isinstance(Net(), torch.nn.Module)
    assert torch.__version__.startswith(importlib.metadata.version("torch")[:4])
    assert importlib.util.find_spec("torch.nn") is not None
    net = torch.compile(Net())
    again = pickle.loads(pickle.dumps(net))
    x, = next(iter(DataLoader(TensorDataset(torch.ones(6, 4)), batch_size=3)))
    print(torch.equal(net(x), again(x)), sys.argv[1:], __file__.endswith("program.py"))
"""


def test_runs_a_program_as_it_is(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run(tmp_path / "program.py", "--lr", "1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "True ['--lr', '1'] True\n"), done.stderr
    done = run("-m", "program", "x", cwd=tmp_path)
    assert done.stdout == "True ['x'] True\n", done.stderr
    assert run("-c", "import torch; print(torch.ones(2).sum().item())").stdout == "2.0\n"
    assert run(input="import torch.nn.functional as F; print(F.relu.__name__)").stdout == "relu\n"
    done = run("-c", "import sys; sys.exit(3)")
    assert done.returncode == 3


def test_says_what_a_program_lacks(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import torch\nfrom torch import nn\nnn.Linear(2, 2)\nnn.Lineer\n")
    done = run(program)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"tessel: {program}:4: torch.nn.Lineer is not there; nearest: 'Linear'"
    program.write_text("from torch.nn import Linear, Conv9d\n")
    assert f"{program}:1: torch.nn.Conv9d is not there; nearest: 'Conv3d'" in run(program).stderr
    program.write_text("import torch.fx\n")
    assert f"{program}:1: No module named 'torch.fx': PyTorch has it" in run(program).stderr
    program.write_text("print(1 / 0)\n")
    assert run(program).stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_checks_a_program_without_running_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run("--check", program)
    assert done.returncode == 0 and "0 missing" in done.stdout, done.stdout
    program.write_text(
        "import torch.nn as nn\nfrom torch import fx, randn\nraise SystemExit\ndef f(nn):\n    return nn.Lineer\n"
        "nn.Lineer(randn(2).to_sparse_bsc(1), 2)\n"
    )
    done = run("--check", tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].endswith("2 missing") and lines[1].startswith("  torch.fx (line 2): PyTorch has it")
    assert lines[2] == "  torch.nn.Lineer (line 6); nearest: 'Linear'" and "x.to_sparse_bsc() (line 6)" in lines[3]


SPAWNING = """\
import torch, torch.multiprocessing as mp

def work(rank, x):
    assert torch.equal(x, torch.arange(3)) and rank in (0, 1)
    if rank == x.max() - 1:
        raise RuntimeError(f"rank {rank} fails")

if __name__ == "__main__":
    try:
        mp.spawn(work, args=(torch.arange(3),), nprocs=2)
    except mp.ProcessRaisedException as error:
        print("rank 1 fails" in str(error), error.error_index)
"""


def test_spawned_processes_run_on_tessel_too(tmp_path):
    (tmp_path / "program.py").write_text(SPAWNING)
    done = run(tmp_path / "program.py")
    assert done.stdout == "True 1\n", done.stderr


@pytest.mark.skipif(not (ROOT / "tools/from_pytorch.py").exists(), reason="no sources here")
def test_the_page_for_those_who_come_from_pytorch_is_fresh():
    run = subprocess.run([sys.executable, ROOT / "tools/from_pytorch.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
